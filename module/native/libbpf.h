/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's own ways to run a BPF program.
 */
#ifndef KTRAMP_LIBBPF_H
#define KTRAMP_LIBBPF_H

#include "plan/refuse.h"

int ktramp_bpf_kprobe_supported(struct ktramp_refusal *r);
int ktramp_bpf_kprobe_step_supported(struct ktramp_refusal *r);
int ktramp_bpf_kprobe_opt_supported(struct ktramp_refusal *r);
int ktramp_bpf_kprobe_ftrace_supported(struct ktramp_refusal *r);
int ktramp_bpf_kprobe_multi_supported(struct ktramp_refusal *r);
int ktramp_bpf_kretprobe_supported(struct ktramp_refusal *r);
int ktramp_bpf_trampoline_supported(struct ktramp_refusal *r);

#endif /* KTRAMP_LIBBPF_H */
