// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel says about its own text: its functions, and where kprobes may not go. */
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ktramp.h"

#define BLACKLIST	"/sys/kernel/debug/kprobes/blacklist"

/* While it is read. */
struct reading {
	struct text *text;
	void *names;		/* a tree: what the functions of the blacklist are called */
	size_t nr_parts;
	uint64_t *parts;	/* functions that the compiler made of parts of those */
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int keep_name(struct reading *reading, const char *name)
{
	char *copy = strdup(name);
	char **kept = copy ? tsearch(copy, &reading->names, compare_names) : NULL;

	if (!kept || *kept != copy)
		free(copy);
	return kept ? 0 : -ENOMEM;
}

/* The kernel looks name.cold and name.part.0 up as name (within_kprobe_blacklist()). */
static bool is_part(const struct reading *reading, const char *name)
{
	size_t len = strcspn(name, ".");
	char whole[256];

	snprintf(whole, sizeof(whole), "%.*s", (int)len, name);
	return name[len] && tfind(whole, &reading->names, compare_names);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int append(uint64_t **v, size_t *n, uint64_t value)
{
	uint64_t *last = array_more(*v, *n);

	if (!last)
		return -ENOMEM;
	*last = value;
	(*n)++;
	return 0;
}

/* Several names may be at one address. */
static void unique(uint64_t *v, size_t *n)
{
	size_t kept = 0;

	qsort(v, *n, sizeof(*v), compare);
	for (size_t i = 0; i < *n; i++)
		if (!kept || v[kept - 1] != v[i])
			v[kept++] = v[i];
	*n = kept;
}

static void cut(struct text *text, uint64_t start, uint64_t end)
{
	size_t kept = 0;

	for (size_t i = 0; i < text->nr; i++)
		if (text->functions[i] >= start && text->functions[i] < end)
			text->functions[kept++] = text->functions[i];
	text->nr = kept;
}

static int read_symbols(struct reading *reading, FILE *file, const char *module)
{
	struct text *text = reading->text;
	uint64_t start = 0, end = 0;
	char *line = NULL;
	size_t size = 0;
	int err = 0;

	while (!err && getline(&line, &size, file) > 0) {
		struct ksym_line sym;

		if (!ksym_parse(line, &sym))
			continue;
		if (!strcmp(sym.name, "_stext"))
			start = sym.address;
		else if (!strcmp(sym.name, "_etext"))
			end = sym.address;
		if (!ksym_is_code(&sym) || strcmp(sym.module, module ? module : ""))
			continue;
		err = append(&text->functions, &text->nr, sym.address);
		if (!err && is_part(reading, sym.name))
			err = append(&reading->parts, &reading->nr_parts, sym.address);
	}
	free(line);
	if (!err && !module)
		cut(text, start, end);
	return err;
}

/* "0xSTART-0xEND\tNAME [MODULE]" */
static int read_blacklist(struct reading *reading)
{
	struct text *text = reading->text;
	FILE *file = fopen(BLACKLIST, "re");
	unsigned long long start, end;
	char name[256];
	int err = 0, c;

	if (!file) {
		p_err("cannot read %s: %s; is debugfs mounted?", BLACKLIST, strerror(errno));
		return -errno;
	}
	while (!err && fscanf(file, "%llx-%llx %255s", &start, &end, name) == 3) {
		err = append(&text->blacklist, &text->nr_blacklist, start);
		if (!err)
			err = append(&text->blacklist, &text->nr_blacklist, end);
		if (!err)
			err = keep_name(reading, name);
		do
			c = getc(file);
		while (c != EOF && c != '\n');
	}
	fclose(file);
	if (err)
		p_err("cannot keep the kernel's blacklist: %s", strerror(-err));
	return err;
}

/* They end where the next function begins. */
static int blacklist_parts(struct reading *reading)
{
	struct text *text = reading->text;
	int err = 0;

	for (size_t i = 0; i < reading->nr_parts && !err; i++) {
		uint64_t *found = bsearch(&reading->parts[i], text->functions, text->nr,
					  sizeof(*found), compare);
		bool last = found == text->functions + text->nr - 1;

		if (!found)
			continue;
		err = append(&text->blacklist, &text->nr_blacklist, *found);
		if (!err)
			err = append(&text->blacklist, &text->nr_blacklist,
				     last ? UINT64_MAX : found[1]);
	}
	return err;
}

static int read_functions(struct reading *reading, const char *module)
{
	struct text *text = reading->text;
	FILE *file = fopen("/proc/kallsyms", "re");
	int err;

	if (!file) {
		p_err("cannot read /proc/kallsyms: %s", strerror(errno));
		return -errno;
	}
	err = read_symbols(reading, file, module);
	fclose(file);
	if (!err) {
		unique(text->functions, &text->nr);
		err = blacklist_parts(reading);
	}
	if (err)
		p_err("cannot list the functions: %s", strerror(-err));
	if (err || text->nr)
		return err;
	if (module)
		p_err("no functions of module '%s' in /proc/kallsyms: is it loaded?", module);
	else
		p_err("/proc/kallsyms shows no addresses; see sysctl kernel.kptr_restrict");
	return -ENOENT;
}

int text_read(struct text *text, const char *module)
{
	struct reading reading = { .text = text };
	int err;

	*text = (struct text){ 0 };
	err = read_blacklist(&reading);
	if (!err)
		err = read_functions(&reading, module);
	tdestroy(reading.names, free);
	free(reading.parts);
	return err;
}

bool text_is_blacklisted(const struct text *text, uint64_t address)
{
	for (size_t i = 0; i + 1 < text->nr_blacklist; i += 2)
		if (address >= text->blacklist[i] && address < text->blacklist[i + 1])
			return true;
	return false;
}

void text_deinit(struct text *text)
{
	free(text->functions);
	free(text->blacklist);
}
