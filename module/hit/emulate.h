/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Emulate an instruction.
 */
#ifndef KTRAMP_EMULATE_H
#define KTRAMP_EMULATE_H

#include <linux/ptrace.h>

#include "decode/insn.h"

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

bool ktramp_emulate_prepare(struct ktramp_emu *emu, const struct ktramp_insn *insn, u64 addr);

#endif /* KTRAMP_EMULATE_H */
