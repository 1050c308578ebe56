/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's functions, and where its text is: for tests that change it all over.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "ktramp.h"

#define FUNCTIONS_MAX	100000

/**
 * struct function - one of the kernel's own, modules excluded
 * @address: of its first byte
 * @name: as kallsyms has it, or its beginning
 */
struct function {
	__u64 address;
	char name[64];
};

/* Sorted by address, once read_functions() was called; and the text they are in. */
extern struct function functions[FUNCTIONS_MAX];
extern unsigned int nr_functions;
extern __u64 text_start, text_end;

void read_functions(void);
__u64 address_of(const char *name);

#endif /* TEXT_H */
