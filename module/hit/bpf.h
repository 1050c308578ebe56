/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * BPF programs as handlers.
 */
#ifndef KTRAMP_BPF_HANDLER_H
#define KTRAMP_BPF_HANDLER_H

#include <linux/bpf.h>

#include "hit/layout.h"
#include "hit/probe.h"
#include "hit/program.h"
#include "kernel/compat.h"
#include "plan/refuse.h"

/**
 * struct ktramp_bpf_handler - a probe's program, and all that a hit needs to run it
 * @run: what the kernel's own kprobes put on the stack for their program: the helpers
 *	find it through current. Only read, so that all CPUs share it
 * @func: what a hit calls: the program's machine code, which takes no second argument.
 *	Replaced while it is hit
 * @prog: the program, NULL until the probe is given one
 * @stat: the probe's counters
 * @pid: the process whose hits run it, 0 for all
 * @shape: what a detour does for @prog
 * @layout: (jump) what the detour was planned with
 *
 * Written under ktramp_mutex; lives as long as its probe.
 */
struct ktramp_bpf_handler {
#if KTRAMP_HAS_BPF_CTX
	struct bpf_trace_run_ctx run;
	bpf_func_t func;
#endif
	struct bpf_prog *prog;
	struct ktramp_stat __percpu *stat;
	u32 pid;
	struct ktramp_shape shape;
	struct ktramp_layout layout;
};

/* Programs of ours that run on this CPU, less one: the guard of all of them. */
DECLARE_PER_CPU(int, ktramp_bpf_depth);

struct ktramp_bpf_handler *ktramp_bpf_alloc(struct ktramp_stat __percpu *stat, u32 pid);
void ktramp_bpf_free(struct ktramp_bpf_handler *b);
struct bpf_prog *ktramp_bpf_get(const struct ktramp_bpf *bpf, struct ktramp_refusal *r);
struct bpf_prog *ktramp_bpf_swap(struct ktramp_bpf_handler *b, struct bpf_prog *prog);
u32 ktramp_bpf_prog_id(const struct bpf_prog *prog);
void ktramp_handle_bpf(struct pt_regs *regs, struct ktramp_bpf_handler *b);
void ktramp_handle_bpf_pid(struct pt_regs *regs, struct ktramp_bpf_handler *b);

int ktramp_bpf_supported(struct ktramp_refusal *r);
int ktramp_bpf_handler_supported(struct ktramp_refusal *r);

#endif /* KTRAMP_BPF_HANDLER_H */
