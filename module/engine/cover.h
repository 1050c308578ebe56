/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which blocks of the kernel were executed: breakpoints that take themselves away.
 */
#ifndef KTRAMP_ENGINE_COVER_H
#define KTRAMP_ENGINE_COVER_H

#include <linux/types.h>

#include "plan/refuse.h"

/**
 * struct ktramp_cover_found - blocks that were found
 * @block: room for them
 * @max: how many it has room for
 * @nr: how many there are
 * @calls: what follows a call is a block of its own
 */
struct ktramp_cover_found {
	struct ktramp_cover_block *block;
	u32 max;
	u32 nr;
	bool calls;
};

int ktramp_cover_add(struct ktramp_cover_func *func, struct ktramp_cover_found *found, void *owner,
		     struct ktramp_refusal *r);
int ktramp_cover_start(void *owner, struct ktramp_refusal *r);
int ktramp_cover_reset(void *owner, struct ktramp_refusal *r);
int ktramp_cover_stop(void *owner, struct ktramp_refusal *r);
void ktramp_cover_stat(const void *owner, struct ktramp_cover *stat);
int ktramp_cover_read(const void *owner, u64 from, bool busy, u64 *address, u32 max);
void ktramp_cover_release(const void *owner);
void ktramp_cover_forget(unsigned long start);

#endif /* KTRAMP_ENGINE_COVER_H */
