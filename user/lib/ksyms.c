// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names for addresses. /proc/kallsyms has hundreds of thousands of lines and is slow to
 * read in an emulated guest: one pass answers all questions, and nothing is kept.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ktramp.h"

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

/* ---- all of them, for who asks about each hit ---- */

struct ksym_table {
	size_t nr;
	size_t max;
	struct ksym_entry {
		uint64_t start;
		char *name;
	} *entry;
};

static int by_start(const void *a, const void *b)
{
	const struct ksym_entry *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static bool table_put(struct ksym_table *table, uint64_t start, const char *name)
{
	if (table->nr == table->max) {
		size_t max = table->max ? 2 * table->max : 65536;
		struct ksym_entry *grown = reallocarray(table->entry, max, sizeof(*grown));

		if (!grown)
			return false;
		table->entry = grown;
		table->max = max;
	}
	table->entry[table->nr].start = start;
	table->entry[table->nr].name = strndup(name, strcspn(name, " \t\n"));
	return table->entry[table->nr].name && ++table->nr;
}

/* Return: NULL where there are none to be read; addresses are then printed as numbers. */
struct ksym_table *ksym_table_load(void)
{
	struct ksym_table *table = calloc(1, sizeof(*table));
	FILE *file = table ? fopen("/proc/kallsyms", "re") : NULL;
	char *line = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		char *rest;
		uint64_t start = strtoull(line, &rest, 16);

		if (start && strlen(rest) > 3 && tolower((unsigned char)rest[1]) == 't' &&
		    !table_put(table, start, rest + 3))
			break;
	}
	free(line);
	if (file)
		fclose(file);
	if (table)
		qsort(table->entry, table->nr, sizeof(*table->entry), by_start);
	return table;
}

const char *ksym_table_name(const struct ksym_table *table, uint64_t address, char *buf,
			    size_t size)
{
	size_t low = 0, high = table ? table->nr : 0;

	/* The last one that does not begin behind the address. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->entry[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || address - table->entry[low - 1].start >= REACH)
		snprintf(buf, size, "0x%llx", (unsigned long long)address);
	else
		snprintf(buf, size, "%s+0x%llx", table->entry[low - 1].name,
			 (unsigned long long)(address - table->entry[low - 1].start));
	return buf;
}

void ksym_table_free(struct ksym_table *table)
{
	for (size_t i = 0; table && i < table->nr; i++)
		free(table->entry[i].name);
	if (table)
		free(table->entry);
	free(table);
}
