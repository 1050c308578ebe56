// SPDX-License-Identifier: GPL-2.0-only
/*
 * The leaf handlers. Kbuild compiles this file so that its functions preserve every
 * register but RDI, their argument, and the flags; a detour saves just those.
 *
 * Nothing here may call another function: the compiler would believe that the callee
 * preserves them too. The scheduler's thunk does.
 */
#include <linux/kprobes.h>
#include <linux/preempt.h>

#include "hit/handler.h"
#include "hit/probe.h"

/**
 * ktramp_handle_count() - count a hit
 * @stat: the probe's counters
 *
 * One instruction does it, so no recursion guard is needed: an NMI on this CPU comes
 * before or after.
 * Context: any.
 */
ktramp_leaf notrace void ktramp_handle_count(struct ktramp_stat __percpu *stat)
{
	this_cpu_inc(stat->hits);
}
NOKPROBE_SYMBOL(ktramp_handle_count);

/**
 * ktramp_handle_count_pid() - count a hit of one process
 * @p: the probe
 *
 * Context: any.
 */
ktramp_leaf notrace void ktramp_handle_count_pid(struct ktramp_probe *p)
{
	if (current->tgid == p->pid)
		this_cpu_inc(p->stat->hits);
	else
		this_cpu_inc(p->stat->filtered);
}
NOKPROBE_SYMBOL(ktramp_handle_count_pid);

/**
 * ktramp_handle_stored() - count a hit whose registers are stored, or could not be
 * @snapshot: where the detour stored them if it found nobody else at it, and counted itself in
 *
 * Context: interrupts off, since before the detour looked.
 */
ktramp_leaf notrace void ktramp_handle_stored(struct ktramp_snapshot __percpu *snapshot)
{
	struct ktramp_stat __percpu *stat = this_cpu_read(snapshot->stat);

	if (this_cpu_read(snapshot->depth) == 1) {
		this_cpu_inc(snapshot->seq);
		this_cpu_inc(stat->hits);
	} else {
		this_cpu_inc(stat->missed);
		this_cpu_inc(stat->recursed);
	}
	this_cpu_dec(snapshot->depth);
}
NOKPROBE_SYMBOL(ktramp_handle_stored);

/**
 * ktramp_handle_resched() - a detour has turned preemption on again, and another task is due
 *
 * Context: what preemption was turned on in.
 */
ktramp_leaf notrace void ktramp_handle_resched(void)
{
	preempt_disable_notrace();
	preempt_enable_notrace();
}
NOKPROBE_SYMBOL(ktramp_handle_resched);
