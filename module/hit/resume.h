/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the displaced instruction still gets executed: emulate, step with TF,
 * step to an int3, boost.
 */
#ifndef KTRAMP_RESUME_H
#define KTRAMP_RESUME_H

#include <linux/ptrace.h>

#include "plan/plan.h"

/* &ktramp_probe.step: what a single step of a copy leaves wrong. */
#define KTRAMP_STEP_ABSOLUTE	(1U << 0)	/* RIP is the real target: ret, indirect branches */
#define KTRAMP_STEP_CALL	(1U << 1)	/* the pushed return address is the copy's */
#define KTRAMP_STEP_PUSHF	(1U << 2)	/* the pushed flags are the stepper's */
#define KTRAMP_STEP_IF		(1U << 3)	/* it sets IF itself */
#define KTRAMP_STEP_TF		(1U << 4)	/* it sets TF itself */
#define KTRAMP_STEP_REP		(1U << 5)	/* #DB after each iteration, RIP unchanged */

struct ktramp_draft;
struct ktramp_probe;

int ktramp_prepare_emulate(struct ktramp_probe *p, const struct ktramp_site *site,
			   struct ktramp_draft *draft, struct ktramp_refusal *r);
int ktramp_prepare_step_tf(struct ktramp_probe *p, const struct ktramp_site *site,
			   struct ktramp_draft *draft, struct ktramp_refusal *r);
int ktramp_prepare_step_int3(struct ktramp_probe *p, const struct ktramp_site *site,
			     struct ktramp_draft *draft, struct ktramp_refusal *r);
int ktramp_prepare_boost(struct ktramp_probe *p, const struct ktramp_site *site,
			 struct ktramp_draft *draft, struct ktramp_refusal *r);

#endif /* KTRAMP_RESUME_H */
