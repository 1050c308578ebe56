// SPDX-License-Identifier: GPL-2.0-only
/*
 * The symbols of a guest, out of a copy of its /proc/kallsyms, and those that came and went
 * since. ksyms.c answers a few questions about the kernel it runs on; this one answers
 * thousands about another.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "xray/xray.h"

/* Farther from its symbol than this, an address is in nothing that has a name. */
#define REACH	0x100000

struct symbols {
	size_t nr;
	struct symbol *symbol;	/* by address; of several names at one, the first */
	size_t nr_live;
	struct symbol *live;	/* added later: few */
};

static int read_line(struct symbols *symbols, char *line)
{
	struct ksym_line sym;
	struct symbol *symbol;

	if (!ksym_parse(line, &sym))
		return 0;
	symbol = array_more(symbols->symbol, symbols->nr);
	if (!symbol)
		return -ENOMEM;
	*symbol = (struct symbol){
		.start = sym.address, .line = symbols->nr, .text = ksym_is_code(&sym),
		.name = strdup(sym.name), .module = *sym.module ? strdup(sym.module) : NULL,
		/* As kallsyms marks them. perf reports those that come later. */
		.generated = !strcmp(sym.module, "bpf") ||
			     !strncmp(sym.module, "__builtin__", strlen("__builtin__")),
	};
	if (!symbol->name || (*sym.module && !symbol->module))
		return -ENOMEM;
	symbols->nr++;
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	/* As the kernel does: the first of several names. */
	return x->line < y->line ? -1 : x->line > y->line;
}

static void sort(struct symbols *symbols)
{
	size_t kept = 0;

	qsort(symbols->symbol, symbols->nr, sizeof(*symbols->symbol), by_start);
	for (size_t i = 0; i < symbols->nr; i++) {
		struct symbol *symbol = &symbols->symbol[i];

		if (kept && symbols->symbol[kept - 1].start == symbol->start) {
			symbols->symbol[kept - 1].text |= symbol->text;
			free((char *)symbol->name);
			free((char *)symbol->module);
			continue;
		}
		symbols->symbol[kept++] = *symbol;
	}
	symbols->nr = kept;
	for (size_t i = 0; i < kept; i++)
		symbols->symbol[i].end = i + 1 < kept &&
			symbols->symbol[i + 1].start - symbols->symbol[i].start < REACH ?
			symbols->symbol[i + 1].start : symbols->symbol[i].start + REACH;
}

int symbols_read(struct symbols **result, const char *kallsyms)
{
	struct symbols *symbols = calloc(1, sizeof(*symbols));
	FILE *file = fopen(kallsyms, "re");
	int err = symbols && file ? 0 : -errno;
	char *line = NULL;
	size_t size = 0;

	while (!err && getline(&line, &size, file) > 0)
		err = read_line(symbols, line);
	free(line);
	if (file)
		fclose(file);
	if (!err && !symbols->nr)
		err = -ENODATA;
	if (err) {
		p_err("cannot read the guest's symbols from '%s': %s", kallsyms, strerror(-err));
		symbols_free(&symbols);
		return err;
	}
	sort(symbols);
	*result = symbols;
	return 0;
}

static void free_names(struct symbol *symbol)
{
	free((char *)symbol->name);
	free((char *)symbol->module);
}

void symbols_free(struct symbols **symbols)
{
	struct symbols *s = *symbols;

	if (!s)
		return;
	for (size_t i = 0; i < s->nr; i++)
		free_names(&s->symbol[i]);
	for (size_t i = 0; i < s->nr_live; i++)
		free_names(&s->live[i]);
	free(s->symbol);
	free(s->live);
	free(s);
	*symbols = NULL;
}

/* What the kernel made at run time: hides what was there. */
int symbols_add(struct symbols *symbols, uint64_t start, uint64_t length, const char *name,
		const char *module)
{
	struct symbol *symbol = array_more(symbols->live, symbols->nr_live);

	if (!symbol)
		return -ENOMEM;
	*symbol = (struct symbol){
		.start = start, .end = start + length, .text = true, .generated = true,
		.name = strdup(name), .module = module ? strdup(module) : NULL,
	};
	symbols->nr_live++;
	return symbol->name ? 0 : -ENOMEM;
}

void symbols_remove(struct symbols *symbols, uint64_t start)
{
	for (size_t i = 0; i < symbols->nr_live; i++) {
		if (symbols->live[i].start != start)
			continue;
		free_names(&symbols->live[i]);
		memmove(&symbols->live[i], &symbols->live[i + 1],
			(--symbols->nr_live - i) * sizeof(symbols->live[0]));
		return;
	}
}

const struct symbol *symbols_find(const struct symbols *symbols, uint64_t address)
{
	size_t low = 0, high = symbols->nr;

	/* The newest first. */
	for (size_t i = symbols->nr_live; i--;)
		if (address >= symbols->live[i].start && address < symbols->live[i].end)
			return &symbols->live[i];
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (symbols->symbol[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || address >= symbols->symbol[low - 1].end)
		return NULL;
	return &symbols->symbol[low - 1];
}

/* "name+0xoffset", or the address where nothing has a name. */
const char *symbols_print(const struct symbols *symbols, uint64_t address, char *buf, size_t size)
{
	const struct symbol *symbol = symbols_find(symbols, address);

	if (!symbol)
		snprintf(buf, size, "0x%" PRIx64, address);
	else if (symbol->start == address)
		snprintf(buf, size, "%s", symbol->name);
	else
		snprintf(buf, size, "%s+0x%" PRIx64, symbol->name, address - symbol->start);
	return buf;
}

/* As ksyms_resolve(). Return: 0 */
int symbols_resolve(const struct symbols *symbols, struct ksym *syms, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct symbol *symbol = symbols_find(symbols, syms[i].address);

		if (!symbol)
			continue;
		syms[i].start = symbol->start;
		snprintf(syms[i].name, sizeof(syms[i].name), "%s", symbol->name);
	}
	return 0;
}
