/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Jumps at functions' entries, where ftrace has its call already.
 */
#ifndef KTRAMP_ENTRY_H
#define KTRAMP_ENTRY_H

#include "engine/arm.h"

/* Says that entry @i of a set could not be armed. */
typedef void (*ktramp_entry_failed_t)(struct ktramp_set *set, unsigned int i, int err,
				      const struct ktramp_refusal *r);

void ktramp_entries_arm(struct ktramp_set *set, ktramp_entry_failed_t failed);
void ktramp_entries_disarm(struct ktramp_set *set);
void ktramp_entries_exit(void);

#endif /* KTRAMP_ENTRY_H */
