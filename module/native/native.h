/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's own mechanisms, behind the interface of ours.
 */
#ifndef KTRAMP_NATIVE_H
#define KTRAMP_NATIVE_H

#include <linux/ftrace.h>
#include <asm/text-patching.h>

#include "hit/bpf.h"
#include "hit/handler.h"
#include "hit/mechanism.h"
#include "hit/probe.h"

struct ktramp_native *ktramp_native_alloc(struct ktramp_probe *p);

int ktramp_kprobe_supported(struct ktramp_refusal *r);
int ktramp_kprobe_boost_supported(struct ktramp_refusal *r);
int ktramp_kprobe_opt_supported(struct ktramp_refusal *r);
int ktramp_kprobe_ftrace_supported(struct ktramp_refusal *r);
int ktramp_kretprobe_supported(struct ktramp_refusal *r);
int ktramp_ftrace_supported(struct ktramp_refusal *r);
int ktramp_fprobe_supported(struct ktramp_refusal *r);
int ktramp_tracepoint_supported(struct ktramp_refusal *r);

int ktramp_kprobe_allowed(struct ktramp_probe *p, struct ktramp_refusal *r);
int ktramp_kprobe_step_allowed(struct ktramp_probe *p, struct ktramp_refusal *r);
int ktramp_kprobe_step_arm(struct ktramp_probe *p, struct ktramp_refusal *r);
int ktramp_kprobe_boost_arm(struct ktramp_probe *p, struct ktramp_refusal *r);
int ktramp_kprobe_emulate_arm(struct ktramp_probe *p, struct ktramp_refusal *r);
int ktramp_kprobe_pending_enter(struct ktramp_probe *p, struct ktramp_refusal *r);
int ktramp_kprobe_opt_arm(struct ktramp_probe *p, struct ktramp_refusal *r);
int ktramp_kprobe_ftrace_arm(struct ktramp_probe *p, struct ktramp_refusal *r);
int ktramp_kretprobe_arm(struct ktramp_probe *p, struct ktramp_refusal *r);
int ktramp_ftrace_arm(struct ktramp_probe *p, struct ktramp_refusal *r);
int ktramp_fprobe_arm(struct ktramp_probe *p, struct ktramp_refusal *r);
int ktramp_tracepoint_arm(struct ktramp_probe *p, struct ktramp_refusal *r);

void ktramp_kprobe_disarm(struct ktramp_probe *p);
void ktramp_kretprobe_disarm(struct ktramp_probe *p);
void ktramp_ftrace_disarm(struct ktramp_probe *p);
void ktramp_fprobe_disarm(struct ktramp_probe *p);
void ktramp_tracepoint_disarm(struct ktramp_probe *p);

u64 ktramp_native_missed(const struct ktramp_probe *p);
void ktramp_traps_init(void);
void ktramp_traps_exit(void);
bool ktramp_traps_countable(void);
bool ktramp_traps_count_begin(void);
void ktramp_traps_count_end(void);
u64 ktramp_traps_counted(void);

#ifdef CONFIG_DYNAMIC_FTRACE

/* ftrace has RIP behind its call; the hit is at the call. */
static __always_inline void ktramp_ftrace_hit_regs(struct ktramp_probe *p, unsigned long ip,
						   struct ftrace_regs *fregs)
{
	struct pt_regs *regs = ftrace_get_regs(fregs);
	unsigned long next = regs->ip;

	regs->ip = ip;
	ktramp_handle_regs(p, regs);
	regs->ip = next;
}

/* As kprobes have it that are served by ftrace: RIP behind the first byte. */
static __always_inline void ktramp_ftrace_hit_bpf(struct ktramp_probe *p, unsigned long ip,
						  struct ftrace_regs *fregs)
{
	struct pt_regs *regs = ftrace_get_regs(fregs);
	unsigned long next = regs->ip;

	regs->ip = ip + INT3_INSN_SIZE;
	ktramp_handle_bpf(regs, p->bpf);
	regs->ip = next;
}

#endif /* CONFIG_DYNAMIC_FTRACE */

#endif /* KTRAMP_NATIVE_H */
