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

/*
 * A line of /proc/kallsyms: "ADDRESS TYPE NAME\t[MODULE]". Absolute symbols are offsets into
 * per-CPU memory, and have no place.
 *
 * Return: false if there is no address: it is hidden, or the symbol is absolute.
 */
bool ksym_parse(char *line, struct ksym_line *sym)
{
	char *rest, *module;

	sym->address = strtoull(line, &rest, 16);
	if (!sym->address || strlen(rest) < 4)
		return false;
	sym->type = tolower((unsigned char)rest[1]);
	sym->name = rest + 3;
	rest[3 + strcspn(rest + 3, "\n ")] = '\0';
	module = strchr(rest + 3, '\t');
	sym->module = "";
	if (module) {
		*module++ = '\0';
		module += *module == '[';
		module[strcspn(module, "]")] = '\0';
		sym->module = module;
	}
	return sym->type != 'a';
}

/* A function, or a weak one. */
bool ksym_is_code(const struct ksym_line *sym)
{
	return sym->type == 't' || sym->type == 'w';
}

static void consider(struct ksym *sym, uint64_t start, const char *name)
{
	if (start > sym->address || sym->address - start >= REACH)
		return;
	/* The first of several names at an address stays. */
	if (sym->start && start <= sym->start)
		return;
	sym->start = start;
	snprintf(sym->name, sizeof(sym->name), "%s", name);
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
		struct ksym_line sym;

		if (!ksym_parse(line, &sym))
			continue;
		for (size_t i = 0; i < n; i++)
			consider(&syms[i], sym.address, sym.name);
	}
	free(line);
	fclose(file);
	return 0;
}

/* ---- all of them, for who asks about each hit ---- */

struct ksym_table {
	size_t nr;
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
	struct ksym_entry *entry = array_more(table->entry, table->nr);

	if (!entry)
		return false;
	entry->start = start;
	entry->name = strdup(name);
	return entry->name && ++table->nr;
}

/* Return: NULL where there are none to be read; addresses are then printed as numbers. */
struct ksym_table *ksym_table_load(void)
{
	struct ksym_table *table = calloc(1, sizeof(*table));
	FILE *file = table ? fopen("/proc/kallsyms", "re") : NULL;
	char *line = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		struct ksym_line sym;

		if (ksym_parse(line, &sym) && ksym_is_code(&sym) &&
		    !table_put(table, sym.address, sym.name))
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
