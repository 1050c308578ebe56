/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files about coverage share.
 *
 * Functions return 0 or -errno, and have complained.
 */
#ifndef KTRAMP_COVER_H
#define KTRAMP_COVER_H

#include "lib/ktramp.h"

/**
 * struct cover_name - a function, as /proc/kallsyms has it
 * @address: its first byte
 * @name: its name
 * @module: whose it is, "" for the kernel itself
 */
struct cover_name {
	uint64_t address;
	char *name;
	char *module;
};

/**
 * struct cover_selection - which functions are wanted
 * @all: of the kernel and of all modules
 * @modules: of these modules; "vmlinux" is the kernel itself
 * @nr_modules: how many
 * @functions: shell patterns of names
 * @nr_functions: how many
 * @files: shell patterns of source files
 * @nr_files: how many
 */
struct cover_selection {
	bool all;
	char **modules;
	size_t nr_modules;
	char **functions;
	size_t nr_functions;
	char **files;
	size_t nr_files;
};

struct cover_names {
	size_t nr;
	struct cover_name *v;
};

/**
 * struct cover_plan - blocks that were found
 * @func: the functions, by address
 * @nr_funcs: how many
 * @block: the blocks, of one function behind the other
 * @nr_blocks: how many
 */
struct cover_plan {
	struct ktramp_cover_func *func;
	size_t nr_funcs;
	struct ktramp_cover_block *block;
	size_t nr_blocks;
};

struct cover_addresses {
	uint64_t *v;	/* ascending */
	size_t nr;
};

/**
 * struct cover - coverage of the kernel
 * @names: the functions that are observed
 * @plan: their blocks, in the same order
 * @hit: where blocks were hit
 * @busy: where somebody else has the text
 * @stat: in numbers
 * @command: what ran, or NULL
 * @status: how it ended
 */
struct cover {
	struct cover_names names;
	struct cover_plan plan;
	struct cover_addresses hit;
	struct cover_addresses busy;
	struct ktramp_cover stat;
	char **command;
	int status;
};

/* What is printed, and where. */
struct cover_output {
	bool blocks;		/* each of them, too */
	bool every;		/* functions of which nothing was hit, too */
	const char *file;	/* JSON Lines, besides; or NULL */
	const char *lcov;	/* lines, for genhtml; or NULL */
};

int cover_select(const struct cover_selection *selection, struct cover_names *names);
void cover_names_deinit(struct cover_names *names);

int cover_add(const struct dev *dev, const uint64_t *functions, size_t nr, uint32_t flags,
	      struct cover_plan *plan);
int cover_act(const struct dev *dev, unsigned long request, struct ktramp_cover *reply);
int cover_hits(const struct dev *dev, uint32_t flags, struct cover_addresses *addresses);
void cover_plan_deinit(struct cover_plan *plan);

bool cover_has(const struct cover_addresses *addresses, uint64_t address);
int cover_read(const struct dev *dev, struct cover *cover);
int cover_report(const struct cover *cover, const struct dev *dev,
		 const struct cover_output *output);
void cover_deinit(struct cover *cover);

int cover_hold(const struct dev *dev, const struct cover *cover);
int cover_held(struct dev *dev, struct cover *cover, int *holder);
int cover_release(int holder);

#endif /* KTRAMP_COVER_H */
