/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * #BP and #DB: whose is it, run the handler, resume.
 */
#ifndef KTRAMP_TRAP_H
#define KTRAMP_TRAP_H

#include <linux/types.h>

struct ktramp_probe;
struct ktramp_trap;

void ktramp_trap_add(struct ktramp_trap *trap);
void ktramp_trap_del(struct ktramp_trap *trap);
void ktramp_trap_choose(struct ktramp_probe *p);
int ktramp_trap_init(void);
void ktramp_trap_exit(void);
u64 ktramp_trap_debug_count(void);

#endif /* KTRAMP_TRAP_H */
