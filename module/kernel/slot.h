/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Executable memory for out-of-line copies and detours, within rel32 reach of
 * all kernel and module text.
 */
#ifndef KTRAMP_SLOT_H
#define KTRAMP_SLOT_H

#include <linux/types.h>

#include "plan/plan.h"

/* Allocation unit; code starts at a multiple of it, unless a place is given. */
#define KTRAMP_SLOT_UNIT	16

/* Room for code that goes on from hooks to what they come before (slotmem.S). */
extern u8 ktramp_hook_code[];

int ktramp_slot_init(void);
unsigned long ktramp_slot_alloc(unsigned int len, const struct ktramp_place *place);
void ktramp_slot_free(unsigned long addr, unsigned int len);
unsigned long ktramp_slot_base(void);
bool ktramp_slot_contains(unsigned long addr);
unsigned int ktramp_slot_used(void);
unsigned int ktramp_slot_capacity(void);

#endif /* KTRAMP_SLOT_H */
