// SPDX-License-Identifier: GPL-2.0-only
/*
 * The handler that keeps the registers of the last hit.
 */
#include <linux/kprobes.h>

#include "hit/handler.h"
#include "hit/probe.h"

/**
 * ktramp_handle_regs() - copy the registers of a hit, and count it
 * @p: the probe
 * @regs: registers as the displaced instruction will find them
 *
 * An NMI that hits this probe while the copy is under way is counted as missed: it would tear
 * the snapshot. A detour stores the registers itself (detour.c), by the same rule.
 * Context: any; not migrated, because @regs of a preemptible site may be.
 */
notrace void ktramp_handle_regs(struct ktramp_probe *p, struct pt_regs *regs)
{
	struct ktramp_snapshot *snapshot;

	if (p->pid && p->pid != current->tgid) {
		this_cpu_inc(p->stat->filtered);
		return;
	}
	preempt_disable_notrace();
	snapshot = this_cpu_ptr(p->regs);
	if (this_cpu_inc_return(p->regs->depth) == 1) {
		snapshot->regs = *regs;
		snapshot->seq++;
		this_cpu_inc(p->stat->hits);
	} else {
		this_cpu_inc(p->stat->missed);
		this_cpu_inc(p->stat->recursed);
	}
	this_cpu_dec(p->regs->depth);
	preempt_enable_notrace();
}
NOKPROBE_SYMBOL(ktramp_handle_regs);
