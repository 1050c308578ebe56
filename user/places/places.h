/* SPDX-License-Identifier: GPL-2.0-only */
/* Places in the kernel: the instructions of a function, and what a pattern stands for. */
#ifndef _KTRAMP_USER_PLACES_H
#define _KTRAMP_USER_PLACES_H

#include "lib/ktramp.h"

/* function.c */
struct function {
	char name[KTRAMP_SITE_MAX];	/* as a site without its offset */
	uint64_t address;
	uint32_t length;
	uint32_t nr;
	struct ktramp_scan_insn *insns;
	uint8_t *code;			/* as it stands there */
	struct insn_line *lines;	/* of each instruction */
};

/* @ask: ask the kernel about a kprobe at each of them. Complains. */
int function_read(struct function *function, const struct dev *dev, const char *site, bool ask);
void function_free(struct function *function);

/* Does control leave the function at its instruction @i? */
bool function_leaves(const struct function *function, uint32_t i);

/* Does it return there? A jump to another function leaves it too. */
bool function_returns(const struct function *function, uint32_t i);

/* places.c */
struct places {
	unsigned int nr;
	struct place {
		char site[KTRAMP_SITE_MAX];
		bool matched;		/* by a pattern: it need not be one that can be probed */
		bool leaves;		/* of FUNCTION%return; */
		bool returns;		/* and its value is there: it is no jump elsewhere */
	} *v;
};

/* A site, a pattern of functions, or FUNCTION%return. Complains. */
int places_add(struct places *places, const struct dev *dev, const char *text);
void places_free(struct places *places);

#endif /* _KTRAMP_USER_PLACES_H */
