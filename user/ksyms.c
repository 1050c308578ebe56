// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names for addresses. /proc/kallsyms has hundreds of thousands of lines and is slow to
 * read in an emulated guest: one pass answers all questions, and nothing is kept.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ktramp.h"

/* Farther from its symbol than this, an address is in nothing that has a name. */
#define REACH	0x100000

static void consider(struct ksym *sym, uint64_t start, const char *name)
{
	if (start > sym->address || sym->address - start >= REACH)
		return;
	/* The first of several names at an address stays. */
	if (sym->start && start <= sym->start)
		return;
	sym->start = start;
	snprintf(sym->name, sizeof(sym->name), "%.*s", (int)strcspn(name, " \t\n"), name);
}

int ksyms_resolve(struct ksym *syms, size_t n)
{
	FILE *file;
	char *line = NULL;
	size_t size = 0;

	if (!n)
		return 0;
	file = fopen("/proc/kallsyms", "re");
	if (!file)
		return -errno;

	while (getline(&line, &size, file) > 0) {
		char *rest;
		uint64_t start = strtoull(line, &rest, 16);

		/* "ADDRESS TYPE NAME\t[MODULE]"; absolute symbols are per-CPU offsets. */
		if (!start || strlen(rest) < 4 || tolower((unsigned char)rest[1]) == 'a')
			continue;
		for (size_t i = 0; i < n; i++)
			consider(&syms[i], start, rest + 3);
	}
	free(line);
	fclose(file);
	return 0;
}
