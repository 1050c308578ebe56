/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * #BP and #DB: whose is it, run the handler, resume.
 */
#ifndef KTRAMP_TRAP_H
#define KTRAMP_TRAP_H

#include <linux/types.h>

#include "uapi/ktramp.h"

struct ktramp_probe;
struct ktramp_trap;

void ktramp_trap_add(struct ktramp_trap *trap);
void ktramp_trap_del(struct ktramp_trap *trap);
void ktramp_trap_set_direct(struct ktramp_trap *trap, bool direct);
void ktramp_trap_count_cover(bool comes);
int ktramp_trap_settle(void);
void ktramp_trap_choose(struct ktramp_probe *p);
bool ktramp_trap_is_direct(enum ktramp_mechanism mechanism, enum ktramp_handler handler);
bool ktramp_trap_is_alone(enum ktramp_mechanism mechanism, enum ktramp_handler handler);
bool ktramp_trap_is_debug_direct(void);
const char *ktramp_trap_why(enum ktramp_mechanism mechanism, enum ktramp_handler handler);
int ktramp_trap_init(void);
void ktramp_trap_exit(void);
u64 ktramp_trap_int3_count(void);
u64 ktramp_trap_debug_count(void);

#endif /* KTRAMP_TRAP_H */
