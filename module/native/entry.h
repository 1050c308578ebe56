/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Jumps at functions' entries, where ftrace has its call already.
 */
#ifndef KTRAMP_ENTRY_H
#define KTRAMP_ENTRY_H

#include "hit/set.h"

void ktramp_entries_arm(struct ktramp_set *set);
void ktramp_entries_disarm(struct ktramp_set *set);
void ktramp_entries_exit(void);

#endif /* KTRAMP_ENTRY_H */
