/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a BPF program's compiled code may change, from its bytes. Pure, as plan.h.
 */
#ifndef KTRAMP_JITED_H
#define KTRAMP_JITED_H

#include "plan/relocate.h"

/* Bytes of the longest program that is looked at. */
#define KTRAMP_JITED_MAX	16384

/* Bytes of the longest program that is copied. */
#define KTRAMP_BODY_MAX		256

/* What a C function may clobber: rax, rcx, rdx, rsi, rdi, r8 to r11. */
#define KTRAMP_CALLER_SAVED	0x0fc7

/**
 * struct ktramp_jited_code - compiled code to look at
 * @code: its bytes
 * @len: how many
 * @addr: address of the first one
 * @thunk: where returns go that are jumps, 0 if none are
 */
struct ktramp_jited_code {
	const u8 *code;
	u32 len;
	u64 addr;
	u64 thunk;
};

/**
 * struct ktramp_jited - what it may change, and where it begins
 * @hook: offset of the nop that other programs are attached at: a caller that enters behind it
 *	must look whether it still is one
 * @entry: offset of the first instruction behind it that is no nop
 * @body: offset behind what makes its stack frame; 0 if it uses the frame or calls
 * @clobbers: bit n: GPR n may be another one when it returns. Registers that the calling
 *	convention has preserved are; those that its own calls may change count
 * @calls: it calls functions
 * @percpu: it accesses memory through %gs
 * @why: what was not understood, as the end of a sentence that begins with its code, or NULL
 * @at: its offset
 */
struct ktramp_jited {
	u32 hook;
	u32 entry;
	u32 body;
	u16 clobbers;
	bool calls;
	bool percpu;
	const char *why;
	u32 at;
};

void ktramp_jited_scan(struct ktramp_jited *j, const struct ktramp_jited_code *code, u8 *starts);
void ktramp_synthesize_body(struct ktramp_emit *e, const struct ktramp_jited *j,
			    const struct ktramp_jited_code *code, u16 *moved);

/* The nop of five bytes, as the JIT writes it, and the kernel puts it back. */
extern const u8 ktramp_jited_nop[5];

#endif /* KTRAMP_JITED_H */
