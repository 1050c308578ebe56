/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a BPF program does with its context and with memory, from its translated code. Pure, as
 * plan.h: no kernel state, nothing allocated.
 */
#ifndef KTRAMP_EBPF_H
#define KTRAMP_EBPF_H

#include <linux/bpf.h>

#include "decode/insn.h"

/* Instructions of the longest program that is looked at. */
#define KTRAMP_EBPF_MAX		4096

/* BPF_REG_0 to _10, and the one that constant blinding takes (BPF_REG_AX). */
#define KTRAMP_EBPF_REGS	12

/* Eight bytes each of the 512 that a program's stack has. */
#define KTRAMP_EBPF_SLOTS	64

/* Members of struct pt_regs, eight bytes each; their order is the one of its definition. */
#define KTRAMP_FIELDS		21
#define KTRAMP_FIELDS_ALL	((1U << KTRAMP_FIELDS) - 1)

/**
 * struct ktramp_ebpf_value - what is known of a register or of a slot of the stack
 * @kind: a number, or a pointer that is not followed here; a pointer to the context, to the
 *	stack, or to somewhere in the stack or elsewhere; or the context on one path and not on
 *	another, which nobody may use
 * @off: (context, stack) how far it points behind their beginning
 */
struct ktramp_ebpf_value {
	u8 kind;
	s16 off;
};

/**
 * struct ktramp_ebpf_state - what is known in front of an instruction, on all paths to it
 * @reg: registers
 * @slot: the stack, its lowest bytes first
 * @reached: some path leads here
 * @dirty: it was changed since the instruction was looked at
 */
struct ktramp_ebpf_state {
	struct ktramp_ebpf_value reg[KTRAMP_EBPF_REGS];
	struct ktramp_ebpf_value slot[KTRAMP_EBPF_SLOTS];
	bool reached;
	bool dirty;
};

/**
 * struct ktramp_ebpf - what a program does
 * @fields: bit n: it loads from member n of its pt_regs
 * @escapes: the context is used in another way than that, or something was not understood
 * @calls: it calls helpers, kfuncs or functions of its own
 * @stores: it writes to memory that is not its stack, other than by an atomic operation
 * @percpu: it computes the address of a per-CPU variable
 * @at: (@escapes) the instruction
 * @why: (@escapes) what it does, as the end of a sentence that begins with the program
 */
struct ktramp_ebpf {
	u32 fields;
	bool escapes;
	bool calls;
	bool stores;
	bool percpu;
	u32 at;
	const char *why;
};

/**
 * typedef ktramp_ebpf_takes_none_t - does the function that is called have no parameters?
 *
 * Then what is still in the registers of arguments is not handed to it.
 */
typedef bool (*ktramp_ebpf_takes_none_t)(const struct bpf_insn *call);

void ktramp_ebpf_scan(struct ktramp_ebpf *e, const struct bpf_insn *insns, u32 nr,
		      ktramp_ebpf_takes_none_t takes_none, struct ktramp_ebpf_state *states);

#endif /* KTRAMP_EBPF_H */
