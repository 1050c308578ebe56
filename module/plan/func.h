/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A function's bytes, and what is known of each. Pure, as plan.h.
 */
#ifndef KTRAMP_FUNC_H
#define KTRAMP_FUNC_H

#include "decode/insn.h"

/* Marks, one byte of them for each byte of code. */
#define KTRAMP_M_START	(1U << 0)	/* an instruction starts here */
#define KTRAMP_M_ENTER	(1U << 1)	/* a branch, call return or table may land here */
#define KTRAMP_M_OWNED	(1U << 2)	/* this insn is rewritten by a jump label or static call */
#define KTRAMP_M_FIXUP	(1U << 3)	/* this insn has an exception table entry */
#define KTRAMP_M_BEHIND	(1U << 4)	/* the insn in front may branch elsewhere */
#define KTRAMP_M_RETURN	(1U << 5)	/* the insn in front is a call */
#define KTRAMP_M_LAST	(1U << 6)	/* control does not go on behind this insn */
#define KTRAMP_M_FILL	(1U << 7)	/* a nop or an int3: padding, if nothing leads here */

/**
 * struct ktramp_func - a function's original bytes
 * @code: its bytes as the compiler and the kernel's own patching left them
 * @marks: KTRAMP_M_* of each byte; ktramp_func_scan() fills them, and whoever knows more adds
 * @addr: where it lives
 * @size: bytes
 * @known: bytes that are decoded instructions; less than @size if something is not
 * @indirect: offset of the first jump whose target the bytes do not show, or -1
 */
struct ktramp_func {
	const u8 *code;
	u8 *marks;
	u64 addr;
	u32 size;
	u32 known;
	s32 indirect;
};

/**
 * struct ktramp_gap - bytes between functions that nothing executes
 * @addr: address of the first
 * @len: how many
 */
struct ktramp_gap {
	u64 addr;
	u32 len;
};

/**
 * struct ktramp_thunks - how indirect jumps look in this kernel
 * @start: first byte of the retpolines; a jump to one is an indirect jump
 * @end: behind their last byte
 * @land: indirect jumps land on endbr64 only, as objtool saw to (CONFIG_X86_KERNEL_IBT)
 * @tables: every address in the image's data that leads into its text will be marked
 */
struct ktramp_thunks {
	u64 start;
	u64 end;
	bool land;
	bool tables;
};

int ktramp_func_decode(const struct ktramp_func *func, u32 off, struct ktramp_insn *insn);
void ktramp_func_scan(struct ktramp_func *func, const struct ktramp_thunks *thunks);
void ktramp_func_enter(struct ktramp_func *func, const u8 *code, u64 addr, u32 size);
s32 ktramp_func_ftrace(const struct ktramp_func *func);
s32 ktramp_func_owned_entry(const struct ktramp_func *func);
u32 ktramp_func_entry(const struct ktramp_func *func);
u32 ktramp_func_tail(const struct ktramp_func *func);
s64 ktramp_func_source(const struct ktramp_func *func, u32 to);

/* Where a relative branch at @off goes, as an offset in the function (may be outside). */
static inline s64 ktramp_branch_offset(const struct ktramp_insn *insn, u32 off)
{
	return (s64)off + insn->len + insn->imm;
}

#endif /* KTRAMP_FUNC_H */
