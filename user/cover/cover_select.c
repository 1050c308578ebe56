// SPDX-License-Identifier: GPL-2.0-only
/* Which functions are wanted: by their names, their modules, or all. */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "cover/cover.h"

/* What selects the kernel itself. */
#define KERNEL	"vmlinux"

struct bounds {
	uint64_t start, end;
};

static bool matches_one(const char *name, char **patterns, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (!fnmatch(patterns[i], name, 0))
			return true;
	return false;
}

static bool is_wanted(const struct cover_selection *s, const struct ksym_line *sym)
{
	const char *module = *sym->module ? sym->module : KERNEL;

	/* Nops in front of functions. */
	if (!strncmp(sym->name, "__pfx_", 6) || !strncmp(sym->name, "__cfi_", 6))
		return false;
	if (s->nr_modules && !matches_one(module, s->modules, s->nr_modules))
		return false;
	return !s->nr_functions || matches_one(sym->name, s->functions, s->nr_functions);
}

/* What has a name like one, but lives elsewhere: BPF programs, and what was freed after boot. */
static bool is_in_text(const struct ksym_line *sym, const struct bounds *kernel)
{
	if (!strcmp(sym->module, "bpf") || !strncmp(sym->module, "__builtin__", 11))
		return false;
	return *sym->module || (sym->address >= kernel->start && sym->address < kernel->end);
}

static int append(struct cover_names *names, const struct ksym_line *sym)
{
	struct cover_name *last = array_more(names->v, names->nr);

	if (!last)
		return -ENOMEM;
	last->address = sym->address;
	last->name = strdup(sym->name);
	last->module = strdup(sym->module);
	names->nr++;
	return last->name && last->module ? 0 : -ENOMEM;
}

static int each_symbol(FILE *file, int (*visit)(const struct ksym_line *sym, void *data),
		       void *data)
{
	char *line = NULL;
	size_t size = 0;
	int err = 0;

	rewind(file);
	while (!err && getline(&line, &size, file) > 0) {
		struct ksym_line sym;

		if (ksym_parse(line, &sym))
			err = visit(&sym, data);
	}
	free(line);
	return err;
}

static int find_bounds(const struct ksym_line *sym, void *data)
{
	struct bounds *kernel = data;

	if (!strcmp(sym->name, "_stext"))
		kernel->start = sym->address;
	if (!strcmp(sym->name, "_etext"))
		kernel->end = sym->address;
	return 0;
}

struct choice {
	const struct cover_selection *selection;
	struct cover_names *names;
	struct bounds kernel;
};

static int choose(const struct ksym_line *sym, void *data)
{
	struct choice *choice = data;

	if (!ksym_is_code(sym) || !is_in_text(sym, &choice->kernel) ||
	    !is_wanted(choice->selection, sym))
		return 0;
	return append(choice->names, sym);
}

static int by_address(const void *a, const void *b)
{
	const struct cover_name *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

/* Several names may be at one address; the first of them stays. */
static void unique(struct cover_names *names)
{
	size_t kept = 0;

	qsort(names->v, names->nr, sizeof(*names->v), by_address);
	for (size_t i = 0; i < names->nr; i++) {
		if (kept && names->v[kept - 1].address == names->v[i].address) {
			free(names->v[i].name);
			free(names->v[i].module);
		} else {
			names->v[kept++] = names->v[i];
		}
	}
	names->nr = kept;
}

int cover_select(const struct cover_selection *selection, struct cover_names *names)
{
	struct choice choice = { .selection = selection, .names = names };
	FILE *file = fopen("/proc/kallsyms", "re");
	int err;

	if (!file) {
		err = -errno;
		p_err("cannot read /proc/kallsyms: %s", strerror(-err));
		return err;
	}
	err = each_symbol(file, find_bounds, &choice.kernel);
	if (!err)
		err = each_symbol(file, choose, &choice);
	fclose(file);
	if (err) {
		p_err("cannot list the functions: %s", strerror(-err));
		return err;
	}
	if (!choice.kernel.end) {
		p_err("/proc/kallsyms shows no addresses; see sysctl kernel.kptr_restrict");
		return -EPERM;
	}
	if (!names->nr) {
		p_err("no function of the kernel or of a loaded module is meant: look for it in "
		      "/proc/kallsyms");
		return -ENOENT;
	}
	unique(names);
	return 0;
}

void cover_names_deinit(struct cover_names *names)
{
	for (size_t i = 0; i < names->nr; i++) {
		free(names->v[i].name);
		free(names->v[i].module);
	}
	free(names->v);
	*names = (struct cover_names){ 0 };
}
