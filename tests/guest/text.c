// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's functions, by kallsyms, and its text, by the window of tests/module. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kt.h"
#include "text.h"

#define SCANNED_MAX	4096
#define PRINTED_MAX	8

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

/* From text_start to text_end, behind kt_open_window(). Return: NULL if it cannot be read. */
unsigned char *read_text(void)
{
	size_t done = 0, size = text_end - text_start;
	unsigned char *text = malloc(size);
	int fd = open(KT_WINDOW, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;

	while (text && fd >= 0 && done < size && n > 0) {
		n = pread(fd, text + done, size - done, text_start + done - KT_TEXT_BASE);
		done += n > 0 ? n : 0;
	}
	close(fd);
	if (done == size)
		return text;
	free(text);
	return NULL;
}

/* Does a jump label or a static call own this byte? They are as whoever uses them left them. */
static bool is_labels(int fd, __u64 address)
{
	static struct ktramp_scan_insn insns[SCANNED_MAX];
	struct ktramp_scan scan = {
		.size = sizeof(scan), .insns = (unsigned long)insns, .max = SCANNED_MAX,
		.address = address,
	};

	if (kt_ioctl(fd, KTRAMP_IOC_SCAN, &scan))
		return false;
	for (unsigned int i = 0; i < scan.nr && i < SCANNED_MAX; i++)
		if (address - scan.address - insns[i].offset < insns[i].length)
			return insns[i].kernel == KTRAMP_R_PATCHED;
	return false;
}

/* Print the first bytes that differ. @fd: of KTRAMP_DEVICE. Return: how many do. */
unsigned int changed_text(int fd, const unsigned char *before, const unsigned char *after)
{
	unsigned int changed = 0;

	for (size_t i = 0; i < text_end - text_start; i++) {
		if (before[i] == after[i] || is_labels(fd, text_start + i))
			continue;
		if (changed++ < PRINTED_MAX)
			printf("# 0x%llx: %02x became %02x\n", text_start + i, before[i], after[i]);
	}
	return changed;
}
