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

/* No register, in &ktramp_emu. */
#define KTRAMP_EMU_NONE		0xff

/**
 * struct ktramp_emu - an instruction prepared for emulation
 * @fn: does it: changes @regs, RIP included
 * @value: immediate, displacement or branch target, as @fn wants it
 * @next_delta: bytes from the site to the next instruction
 * @dst: register number, or %KTRAMP_EMU_NONE
 * @src: register number: source or base, or %KTRAMP_EMU_NONE
 * @index: register number, or %KTRAMP_EMU_NONE
 * @aux: scale, or condition code
 * @wide: 64-bit operand; otherwise 32-bit, which zeroes the upper half
 */
struct ktramp_emu {
	void (*fn)(const struct ktramp_emu *emu, struct pt_regs *regs);
	s64 value;
	u32 next_delta;
	u8 dst;
	u8 src;
	u8 index;
	u8 aux : 7;
	u8 wide : 1;
};

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
