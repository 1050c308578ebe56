// SPDX-License-Identifier: GPL-2.0-only
/*
 * The handler that keeps the registers of the last hit.
 */
#include <linux/kprobes.h>

#include "hit/handler.h"
#include "hit/probe.h"

/* On one CPU: interrupts, or preemption, are off. */
static __always_inline void store(struct ktramp_probe *p, const struct pt_regs *regs)
{
	struct ktramp_snapshot *snapshot = raw_cpu_ptr(p->regs);

	if (this_cpu_inc_return(p->regs->depth) == 1) {
		snapshot->regs = *regs;
		snapshot->seq++;
		this_cpu_inc(p->stat->hits);
	} else {
		this_cpu_inc(p->stat->missed);
		this_cpu_inc(p->stat->recursed);
	}
	this_cpu_dec(p->regs->depth);
}

/**
 * ktramp_store_regs() - copy the registers of a hit that an int3 brought, and count it
 * @p: the probe
 * @regs: registers as the displaced instruction will find them
 *
 * An NMI that hits this probe while the copy is under way is counted as missed: it would tear
 * the snapshot. A detour stores the registers itself (detour.c), by the same rule.
 * Context: #BP, interrupts off, noinstr.
 */
noinstr void ktramp_store_regs(struct ktramp_probe *p, const struct pt_regs *regs)
{
	store(p, regs);
}

/**
 * ktramp_handle_regs() - as ktramp_store_regs(), from a detour that asks for the process
 * @p: the probe
 * @regs: registers as the displaced instruction will find them
 *
 * Context: any; not migrated, because @regs of a preemptible site may be.
 */
notrace void ktramp_handle_regs(struct ktramp_probe *p, struct pt_regs *regs)
{
	if (p->pid && p->pid != current->tgid) {
		this_cpu_inc(p->stat->filtered);
		return;
	}
	preempt_disable_notrace();
	store(p, regs);
	preempt_enable_notrace();
}
NOKPROBE_SYMBOL(ktramp_handle_regs);
