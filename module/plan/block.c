// SPDX-License-Identifier: GPL-2.0-only
/*
 * The basic blocks of a function, out of the marks that scanning it left: nothing is decoded
 * here, and no instruction is looked at twice.
 *
 * A block is observed by an int3 on its first instruction. Where the kernel may rewrite that one,
 * or where it must be what an indirect branch finds, the next one does as well: control goes on to
 * it, as long as it does not begin a block of its own. Of a jump label that holds while it is off.
 */
#ifdef __KERNEL__
#include <linux/string.h>
#else
#include <string.h>
#endif

#include "plan/block.h"
#include "plan/refuse.h"

#define INT3		0xcc
#define STI		0xfb
#define LOST_LOCK	0x3e	/* ds, where the kernel has taken a lock prefix away */

/* The instruction behind the one at @at, or where what is known of the function ends. */
static u32 next_insn(const struct ktramp_func *func, u32 at)
{
	while (++at < func->known && !(func->marks[at] & KTRAMP_M_START))
		;
	return at;
}

/* @front: the instruction in front of @at, or -1. */
static bool is_leader(const struct ktramp_blocks *blocks, u32 at, s64 front)
{
	u8 mark = blocks->func->marks[at];

	if (!at)
		return true;
	/* ftrace's tables have its address, and behind it is where the entry is observed. */
	if ((s64)at == blocks->ftrace)
		return false;
	if (mark & (KTRAMP_M_ENTER | KTRAMP_M_BEHIND))
		return true;
	if (blocks->calls && (mark & KTRAMP_M_RETURN))
		return true;
	/* A jump label that is on goes on here when off; behind a static tail call is padding. */
	return front >= 0 && (blocks->func->marks[front] & KTRAMP_M_OWNED) &&
	       (blocks->func->marks[front] & KTRAMP_M_LAST) &&
	       (!(mark & KTRAMP_M_FILL) || (mark & KTRAMP_M_OWNED));
}

static bool is_endbr64(const struct ktramp_func *func, u32 at)
{
	static const u8 endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };

	return at + sizeof(endbr64) <= func->size &&
	       !memcmp(func->code + at, endbr64, sizeof(endbr64));
}

/* Why no int3 may stand on the instruction at @at, or KTRAMP_R_NONE. */
static u32 refuse_insn(const struct ktramp_blocks *blocks, u32 at, s64 front)
{
	const struct ktramp_func *func = blocks->func;

	if (func->code[at] == INT3)
		return KTRAMP_R_TRAPS;
	if ((func->marks[at] & KTRAMP_M_OWNED) || (s64)at == blocks->ftrace)
		return KTRAMP_R_PATCHED;
	if (func->code[at] == LOST_LOCK && blocks->locks)
		return KTRAMP_R_PATCHED;
	/* An indirect branch that does not find one is a fault (#CP). */
	if (is_endbr64(func, at))
		return KTRAMP_R_SHAPE;
	/* sti keeps interrupts off for one more instruction, a hlt: it would not be woken up. */
	if (front >= 0 && func->code[front] == STI && front + 1 == at)
		return KTRAMP_R_SHAPE;
	return KTRAMP_R_NONE;
}

/* Go through the block that begins at @block->start. @front: as is_leader(). */
static void walk(const struct ktramp_blocks *blocks, struct ktramp_block *block, s64 front)
{
	const struct ktramp_func *func = blocks->func;
	bool found = false, last;
	u32 at = block->start;

	do {
		if (!found) {
			block->site = at;
			block->reason = refuse_insn(blocks, at, front);
			/* Nothing goes on behind an int3. */
			found = !block->reason || block->reason == KTRAMP_R_TRAPS;
		}
		last = func->marks[at] & KTRAMP_M_LAST;
		front = at;
		at = next_insn(func, at);
	} while (!last && at < func->known && !is_leader(blocks, at, front));
	block->len = at - block->start;
}

/* From @at on. */
static bool find(const struct ktramp_blocks *blocks, struct ktramp_block *block, u32 at, s64 front)
{
	const struct ktramp_func *func = blocks->func;

	while (at < func->known && !is_leader(blocks, at, front)) {
		front = at;
		at = next_insn(func, at);
	}
	if (at >= func->known)
		return false;
	block->start = at;
	walk(blocks, block, front);
	return true;
}

/**
 * ktramp_block_first() - the first block of a function
 * @blocks: the function
 * @block: (out) the block
 *
 * Return: false if there is none: nothing of the function is known.
 */
bool ktramp_block_first(const struct ktramp_blocks *blocks, struct ktramp_block *block)
{
	return find(blocks, block, 0, -1);
}

/* The instruction in front of @at, which is the last one of a block. */
static u32 last_insn(const struct ktramp_func *func, u32 at)
{
	while (!(func->marks[--at] & KTRAMP_M_START))
		;
	return at;
}

/**
 * ktramp_block_next() - the block behind another one
 * @blocks: the function
 * @block: (in/out) the block
 *
 * Return: false if that was the last one.
 */
bool ktramp_block_next(const struct ktramp_blocks *blocks, struct ktramp_block *block)
{
	u32 end = block->start + block->len;

	return find(blocks, block, end, last_insn(blocks->func, end));
}
