/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's own patchers of its text: their locks, and the kprobes that they know.
 */
#ifndef KTRAMP_PATCHERS_H
#define KTRAMP_PATCHERS_H

#include <linux/types.h>

int ktramp_patchers_init(void);
bool ktramp_patchers_known(void);
void ktramp_patchers_lock(void);
void ktramp_patchers_unlock(void);
void ktramp_patchers_each_kprobe(void (*visit)(unsigned long addr, void *data), void *data);

#endif /* KTRAMP_PATCHERS_H */
