// SPDX-License-Identifier: GPL-2.0-only
/*
 * Liveness: what a detour need not save, because every path from the site overwrites it
 * before reading it.
 *
 * Calling conventions are not trusted. The walk stops where control may continue at a place
 * that this function's bytes do not show, and whatever it has not seen overwritten by then
 * counts as live. It stops at
 *   - calls, returns and indirect branches;
 *   - instructions that may fault or have an exception table entry, which may lead anywhere;
 *   - what the kernel rewrites while the probe is armed: jump labels and static calls. A static
 *     call that returns 0 looks like an xor, and may become a call with arguments.
 *
 * Dead means that no code reads it any more. A probe on an instruction behind the detour can
 * still see that it has changed.
 */
#include "plan/live.h"

/* Both ways of a branch are walked, this many branches deep. */
#define LIVE_DEPTH	3

/* Instructions in all. */
#define LIVE_BUDGET	64

#define ALL_REGS	0xffff
#define RSP		(1U << 4)

struct walk {
	const struct ktramp_func *func;
	unsigned int budget;
};

/* push and pop of a register: the stack has no exception table entries. */
static bool is_stack_insn(const struct ktramp_insn *insn)
{
	return insn->map == KTRAMP_MAP_1B && insn->opcode >= 0x50 && insn->opcode <= 0x5f;
}

/* May this become something else, or lead somewhere else, than its bytes say? */
static bool is_barrier(const struct ktramp_insn *insn, u8 marks)
{
	if (marks & (KTRAMP_M_OWNED | KTRAMP_M_FIXUP))
		return true;
	if ((insn->attr & KTRAMP_A_FAULT) && !is_stack_insn(insn))
		return true;
	return (insn->attr & KTRAMP_A_NOP) && (insn->len == 2 || insn->len == 5);
}

/* What of @open is dead at @at. */
static struct ktramp_dead walk(struct walk *w, u32 at, struct ktramp_dead open,
			       unsigned int depth)
{
	struct ktramp_dead dead = {}, taken, fallen;
	struct ktramp_insn insn;
	s64 target;

	while ((open.regs || open.flags) && w->budget--) {
		if (at >= w->func->size ||
		    ktramp_insn_decode(&insn, w->func->code + at, w->func->size - at) < 0)
			break;
		if (is_barrier(&insn, w->func->marks[at]))
			break;
		open.regs &= ~insn.regs_read;
		open.flags &= ~insn.flags_read;
		dead.regs |= open.regs & insn.regs_written;
		dead.flags |= open.flags & insn.flags_written;
		open.regs &= ~insn.regs_written;
		open.flags &= ~insn.flags_written;
		at += insn.len;
		target = (s64)at + insn.imm;
		if (insn.branch == KTRAMP_BR_NONE)
			continue;
		if (insn.branch != KTRAMP_BR_JCC || !depth || target < 0 ||
		    target >= w->func->size)
			break;
		taken = walk(w, target, open, depth - 1);
		fallen = walk(w, at, open, depth - 1);
		dead.regs |= taken.regs & fallen.regs;
		dead.flags |= taken.flags & fallen.flags;
		break;
	}
	return dead;
}

/**
 * ktramp_live_dead() - registers and flags that are dead where a handler runs
 * @site: the site; its own instruction is the first one looked at
 *
 * RSP is never dead.
 */
struct ktramp_dead ktramp_live_dead(const struct ktramp_site *site)
{
	struct walk w = { .func = &site->func, .budget = LIVE_BUDGET };
	struct ktramp_dead open = { .regs = ALL_REGS & ~RSP, .flags = KTRAMP_F_ARITH };

	return walk(&w, site->off, open, LIVE_DEPTH);
}
