/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * BPF programs as handlers.
 */
#ifndef KTRAMP_BPF_PROGRAM_H
#define KTRAMP_BPF_PROGRAM_H

#include "refuse.h"

int ktramp_bpf_supported(struct ktramp_refusal *r);
int ktramp_bpf_kprobe_supported(struct ktramp_refusal *r);
int ktramp_bpf_kprobe_opt_supported(struct ktramp_refusal *r);
int ktramp_bpf_kprobe_ftrace_supported(struct ktramp_refusal *r);
int ktramp_bpf_kprobe_multi_supported(struct ktramp_refusal *r);
int ktramp_bpf_kretprobe_supported(struct ktramp_refusal *r);
int ktramp_bpf_trampoline_supported(struct ktramp_refusal *r);

#endif /* KTRAMP_BPF_PROGRAM_H */
