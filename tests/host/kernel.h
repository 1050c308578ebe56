/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A whole kernel on the host: its text as it ran in a guest (qemu/text), its symbols, and
 * the tables of its vmlinux. What another decoder says of where control may enter is kept
 * apart from what the planner is told.
 */
#ifndef KTRAMP_TEST_KERNEL_H
#define KTRAMP_TEST_KERNEL_H

#include <Zydis/Zydis.h>
#include <stdbool.h>

#include "../../module/plan/func.h"

/**
 * struct kernel_func - one symbol's text
 * @addr: its address
 * @size: bytes, up to the next symbol's address
 * @prefix: it is the nops in front of a function
 */
struct kernel_func {
	u64 addr;
	u32 size;
	bool prefix;
};

/**
 * struct kernel - its text and what is known of it
 * @start: address of the first byte of @text
 * @size: bytes of @text
 * @text: the live text
 * @truth: bit n: control may come to byte n other than from the instruction before it:
 *	a direct branch as Zydis reads it, a jump label's target, an exception's fixup, an
 *	address in data
 * @told: bit n: what module/admit/image.c marks: any bytes that look like such a branch
 * @owned: bit n: a jump label or static call starts at byte n
 * @rewritten: bit n: byte n is one that a jump label or static call rewrites
 * @fixup: bit n: the instruction at byte n has an exception table entry
 * @warning: bit n: the ud2 at byte n is a WARN(), which goes on behind it
 * @func: its functions, by address; behind the last one a symbol at the text's end
 * @nr_funcs: of them
 * @prefixed: there are nops in front of functions, with symbols of their own or without
 * @thunks: how its indirect jumps look
 */
struct kernel {
	u64 start;
	size_t size;
	u8 *text;
	u8 *truth;
	u8 *told;
	u8 *owned;
	u8 *rewritten;
	u8 *fixup;
	u8 *warning;
	struct kernel_func *func;
	size_t nr_funcs;
	bool prefixed;
	struct ktramp_thunks thunks;
};

static inline bool kernel_bit(const u8 *map, size_t n)
{
	return map[n / 8] >> n % 8 & 1;
}

/* Or end the program with a sentence. @dir: of qemu/text. */
void kernel_load(struct kernel *k, const char *vmlinux, const char *dir);
void kernel_drop(struct kernel *k);

/* Bytes of an instruction in these kernels that Zydis 4.0 does not know: lkgs; 0 if it is none. */
u32 kernel_unknown(const u8 *code, u32 left);

/* The decoder of everything that is called the truth. */
extern ZydisDecoder kernel_decoder;

#endif /* KTRAMP_TEST_KERNEL_H */
