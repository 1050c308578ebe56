/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions that share a name.
 */
#ifndef KTRAMP_NAMESAKE_H
#define KTRAMP_NAMESAKE_H

#include "kernel/symbol.h"

/* More functions of one name than this are counted, not listed. */
#define KTRAMP_NAMESAKES_MAX	64

/**
 * struct ktramp_namesakes - the functions of one name, in one image
 * @nr: how many there are
 * @addr: their first bytes, ascending
 */
struct ktramp_namesakes {
	unsigned int nr;
	unsigned long addr[KTRAMP_NAMESAKES_MAX];
};

int ktramp_namesakes_of(const struct ktramp_symbol *symbol, struct ktramp_namesakes *all);
int ktramp_namesake_modules(const char *name);
void ktramp_namesakes_exit(void);

#endif /* KTRAMP_NAMESAKE_H */
