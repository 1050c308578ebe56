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

/**
 * struct ktramp_stat - counters of one probe on one CPU
 * @hits: handled; the first member, because the detour passes its address
 * @missed: the displaced instruction ran, the handler did not
 * @recursed: those of @missed that found a handler running on this CPU
 * @filtered: hits of other processes than the probe is for
 */
struct ktramp_stat {
	u64 hits;
	u64 missed;
	u64 recursed;
	u64 filtered;
};

/**
 * struct ktramp_snapshot - registers of the last hit on one CPU
 * @regs: the registers; the first member, because then a detour's stores to it are short
 * @seq: hits recorded; it only ever grows
 * @depth: hits that are under way here: the second one, in an NMI, would tear @regs
 * @stat: the probe's counters
 */
struct ktramp_snapshot {
	struct pt_regs regs;
	u64 seq;
	unsigned int depth;
	struct ktramp_stat __percpu *stat;
};

/* Preserves every register but its argument; Kbuild has it for gcc. */
#ifdef __clang__
#define ktramp_leaf	__attribute__((no_caller_saved_registers))
#else
#define ktramp_leaf
#endif

ktramp_leaf void ktramp_handle_count(struct ktramp_stat __percpu *stat);
ktramp_leaf void ktramp_handle_count_pid(struct ktramp_probe *p);
ktramp_leaf void ktramp_handle_stored(struct ktramp_snapshot __percpu *snapshot);
void ktramp_handle_regs(struct ktramp_probe *p, struct pt_regs *regs);

#endif /* KTRAMP_HANDLER_H */
