/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What runs at a hit.
 *
 * A handler runs in the site's own context when a jump brought it there (interrupts on
 * or off, preemptible or not, NMI), and with interrupts off, NMI-like, when an int3
 * did. So: no locks, no sleeping, per-CPU data only, not traced, not probed.
 */
#ifndef KTRAMP_HANDLER_H
#define KTRAMP_HANDLER_H

#include <linux/percpu.h>
#include <linux/ptrace.h>

struct ktramp_probe;
struct ktramp_snapshot;
struct ktramp_stat;

/* Preserves every register but its argument; Kbuild has it for gcc. */
#ifdef __clang__
#define ktramp_leaf	__attribute__((no_caller_saved_registers))
#else
#define ktramp_leaf
#endif

ktramp_leaf void ktramp_handle_count(struct ktramp_stat __percpu *stat);
ktramp_leaf void ktramp_handle_count_pid(struct ktramp_probe *p);
ktramp_leaf void ktramp_handle_stored(struct ktramp_snapshot __percpu *snapshot);
ktramp_leaf void ktramp_handle_resched(void);
void ktramp_store_regs(struct ktramp_probe *p, const struct pt_regs *regs);
void ktramp_handle_regs(struct ktramp_probe *p, struct pt_regs *regs);

#endif /* KTRAMP_HANDLER_H */
