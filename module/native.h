/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's own mechanisms, behind the interface of ours.
 */
#ifndef KTRAMP_NATIVE_H
#define KTRAMP_NATIVE_H

#include "mechanism.h"

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

#endif /* KTRAMP_NATIVE_H */
