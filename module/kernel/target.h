/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions whose instructions and results are known, to probe and to measure.
 */
#ifndef KTRAMP_TARGET_H
#define KTRAMP_TARGET_H

#include <linux/types.h>

#include "uapi/ktramp.h"

/**
 * struct ktramp_target - one target
 * @name: short name
 * @base: name of the target whose unprobed cost is subtracted, NULL for its own
 * @insn: the site's instruction, AT&T syntax
 * @text: what is difficult about it
 * @fn: the function
 * @expect: what it returns
 * @offset: of the site in the function, NULL for the compiled ones: their site is the
 *	first instruction behind the ftrace entry, or the tracepoint's nop
 * @entered: how often a call comes back into the bytes behind the site that a jump there covers
 * @shared: writes memory that calls on two CPUs would share: one call at a time
 */
struct ktramp_target {
	const char *name;
	const char *base;
	const char *insn;
	const char *text;
	long (*fn)(long a, long b);
	long (*expect)(long a, long b);
	const u32 *offset;
	u8 entered;
	bool shared;
};

int ktramp_target_init(void);
unsigned int ktramp_target_count(void);
const struct ktramp_target *ktramp_target(unsigned int index);
const struct ktramp_target *ktramp_target_at(unsigned long start);
const struct ktramp_target *ktramp_target_find(const char *name, size_t len);
unsigned int ktramp_target_index(const struct ktramp_target *t);
unsigned long ktramp_target_entry(const struct ktramp_target *t);
unsigned long ktramp_target_site(const struct ktramp_target *t);
unsigned long ktramp_targets_lock(const struct ktramp_target *t);
void ktramp_targets_unlock(const struct ktramp_target *t, unsigned long flags);

#endif /* KTRAMP_TARGET_H */
