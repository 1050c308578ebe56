/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * #BP and #DB: whose is it, run the handler, resume.
 */
#ifndef KTRAMP_TRAP_H
#define KTRAMP_TRAP_H

#include <linux/list.h>
#include <linux/ptrace.h>

/**
 * struct ktramp_trap - an int3 of ours
 * @node: in the table, by address
 * @addr: of the int3
 * @hit: called with interrupts off, RIP pointing to @addr; sets RIP to go on at
 */
struct ktramp_trap {
	struct hlist_node node;
	unsigned long addr;
	void (*hit)(struct ktramp_trap *trap, struct pt_regs *regs);
};

struct ktramp_probe;

void ktramp_trap_add(struct ktramp_trap *trap);
void ktramp_trap_del(struct ktramp_trap *trap);
void ktramp_trap_choose(struct ktramp_probe *p);
int ktramp_trap_init(void);
void ktramp_trap_exit(void);
u64 ktramp_trap_debug_count(void);

#endif /* KTRAMP_TRAP_H */
