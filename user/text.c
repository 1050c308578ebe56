// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel says about its own text: its functions, and where kprobes may not go. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ktramp.h"

#define BLACKLIST	"/sys/kernel/debug/kprobes/blacklist"

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int append(uint64_t **v, size_t *n, uint64_t value)
{
	/* Powers of two: grown when one is reached. */
	if (!(*n & (*n - 1))) {
		uint64_t *grown = reallocarray(*v, *n ? 2 * *n : 1, sizeof(**v));

		if (!grown)
			return -ENOMEM;
		*v = grown;
	}
	(*v)[(*n)++] = value;
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

/* "ADDRESS TYPE NAME\t[MODULE]" */
static int read_symbols(struct text *text, FILE *file, const char *module)
{
	uint64_t start = 0, end = 0;
	char *line = NULL;
	size_t size = 0;
	int err = 0;

	while (!err && getline(&line, &size, file) > 0) {
		char name[256], in[64] = "", type;
		unsigned long long address;

		if (sscanf(line, "%llx %c %255s [%63[^]]", &address, &type, name, in) < 3 ||
		    !address)
			continue;
		if (!strcmp(name, "_stext"))
			start = address;
		else if (!strcmp(name, "_etext"))
			end = address;
		if (strchr("tTwW", type) && !strcmp(in, module ? module : ""))
			err = append(&text->functions, &text->nr, address);
	}
	free(line);
	if (!err && !module)
		cut(text, start, end);
	return err;
}

/* "0xSTART-0xEND\tNAME" */
static int read_blacklist(struct text *text)
{
	FILE *file = fopen(BLACKLIST, "re");
	unsigned long long start, end;
	int err = 0, c;

	if (!file) {
		p_err("cannot read %s: %s; is debugfs mounted?", BLACKLIST, strerror(errno));
		return -errno;
	}
	while (!err && fscanf(file, "%llx-%llx", &start, &end) == 2) {
		err = append(&text->blacklist, &text->nr_blacklist, start);
		if (!err)
			err = append(&text->blacklist, &text->nr_blacklist, end);
		do
			c = getc(file);
		while (c != EOF && c != '\n');
	}
	fclose(file);
	if (err)
		p_err("cannot keep the kernel's blacklist: %s", strerror(-err));
	return err;
}

int text_read(struct text *text, const char *module)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	int err;

	*text = (struct text){ 0 };
	if (!file) {
		p_err("cannot read /proc/kallsyms: %s", strerror(errno));
		return -errno;
	}
	err = read_symbols(text, file, module);
	fclose(file);
	if (err) {
		p_err("cannot list the functions: %s", strerror(-err));
		return err;
	}
	unique(text->functions, &text->nr);
	if (!text->nr) {
		if (module)
			p_err("no functions of module '%s' in /proc/kallsyms: is it loaded?",
			      module);
		else
			p_err("/proc/kallsyms shows no addresses; see sysctl kernel.kptr_restrict");
		return -ENOENT;
	}
	return read_blacklist(text);
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
