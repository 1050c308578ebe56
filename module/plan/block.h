/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The basic blocks of a function. Pure, as plan.h.
 */
#ifndef KTRAMP_BLOCK_H
#define KTRAMP_BLOCK_H

#include "plan/func.h"

/**
 * struct ktramp_blocks - which blocks of a function are wanted
 * @func: the function, scanned, and marked with all that is known to enter it
 * @ftrace: offset of the instruction that ftrace owns, or -1
 * @calls: what follows a call begins a block, too
 * @locks: the kernel may still write lock prefixes (f0) where it has ds (3e)
 */
struct ktramp_blocks {
	const struct ktramp_func *func;
	s32 ftrace;
	bool calls;
	bool locks;
};

/**
 * struct ktramp_block - instructions of which all are executed if the first one is
 * @start: offset of the first one
 * @site: offset of the first one on which an int3 may stand; of what comes in front of it
 *	control goes on to it. Undefined if there is a @reason
 * @len: bytes up to the next block, or to the end of what control comes to
 * @reason: why it cannot be observed, &enum ktramp_reason, or %KTRAMP_R_NONE
 */
struct ktramp_block {
	u32 start;
	u32 site;
	u32 len;
	u32 reason;
};

bool ktramp_block_first(const struct ktramp_blocks *blocks, struct ktramp_block *block);
bool ktramp_block_next(const struct ktramp_blocks *blocks, struct ktramp_block *block);

#endif /* KTRAMP_BLOCK_H */
