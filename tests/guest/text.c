// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's functions, by kallsyms. */
#include <stdio.h>
#include <string.h>

#include "text.h"

struct function functions[FUNCTIONS_MAX];
unsigned int nr_functions;
__u64 text_start, text_end;

void read_functions(void)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	unsigned long long address;
	char type, name[512], line[1024];

	nr_functions = 0;
	while (file && nr_functions < FUNCTIONS_MAX && fgets(line, sizeof(line), file)) {
		if (strchr(line, '[') || sscanf(line, "%llx %c %511s", &address, &type, name) != 3)
			continue;
		if (!strcmp(name, "_stext"))
			text_start = address;
		if (!strcmp(name, "_etext"))
			text_end = address;
		if (!strchr("tTwW", type) || !strncmp(name, "__pfx_", 6))
			continue;
		functions[nr_functions].address = address;
		snprintf(functions[nr_functions++].name, sizeof(functions->name), "%.63s", name);
	}
	if (file)
		fclose(file);
}

/* Return: the address of one of them, or 0. */
__u64 address_of(const char *name)
{
	for (unsigned int i = 0; i < nr_functions; i++)
		if (!strcmp(functions[i].name, name))
			return functions[i].address;
	return 0;
}
