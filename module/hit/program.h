/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a detour must do for a BPF program, and need not do.
 */
#ifndef KTRAMP_PROGRAM_H
#define KTRAMP_PROGRAM_H

#include <linux/types.h>

#include "plan/jited.h"

struct bpf_prog;

/**
 * struct ktramp_shape - what a program needs of a detour
 * @class: &enum ktramp_bpf_class
 * @inlines: its body can stand in a detour
 * @guard: a second run of it on the same CPU, in the middle of it, must not be
 * @locks: it calls functions that may take a map's lock: the kernel's programs are to know of it
 * @fields: bit n: it reads member n of its pt_regs
 * @clobbers: bit n: it may change GPR n
 * @hook: address of the nop that other programs are attached at; 0: nothing is known of its
 *	code, and C calls it
 * @entry: address behind that and other nops
 * @code: the compiled code that @body is in
 * @body: offset of what stands in a detour, if it @inlines
 * @why: what keeps it from a cheaper class, as the end of a sentence that begins with the
 *	program; NULL if nothing does
 */
struct ktramp_shape {
	u8 class;
	bool inlines;
	bool guard;
	bool locks;
	u32 fields;
	u16 clobbers;
	unsigned long hook;
	unsigned long entry;
	struct ktramp_jited_code code;
	u32 body;
	const char *why;
};

int ktramp_program_shape(const struct bpf_prog *prog, bool reentrant, struct ktramp_shape *shape);

#endif /* KTRAMP_PROGRAM_H */
