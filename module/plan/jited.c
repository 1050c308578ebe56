// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read a BPF program's compiled code: which registers it may change, and whether it calls.
 *
 * The JIT writes instructions one behind the other, without data in between, and ends each way
 * with a return. What does not look like that is not understood, and the caller is told where.
 */
#ifdef __KERNEL__
#include <linux/string.h>
#else
#include <string.h>
#endif

#include "plan/jited.h"

#define RSP		4
#define RBP		5
#define BIT_OF(reg)	(1U << (reg))

const u8 ktramp_jited_nop[5] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };

/* push %rbp; mov %rsp, %rbp */
static const u8 frame[] = { 0x55, 0x48, 0x89, 0xe5 };

static void fail(struct ktramp_jited *j, u32 at, const char *why)
{
	if (j->why)
		return;
	j->why = why;
	j->at = at;
}

static bool is_1b(const struct ktramp_insn *insn, u8 opcode)
{
	return insn->map == KTRAMP_MAP_1B && insn->opcode == opcode;
}

static bool is_leave(const struct ktramp_insn *insn)
{
	return is_1b(insn, 0xc9);
}

static bool is_int3(const struct ktramp_insn *insn)
{
	return is_1b(insn, 0xcc);
}

static bool is_push_or_pop(const struct ktramp_insn *insn)
{
	return insn->map == KTRAMP_MAP_1B && insn->opcode >= 0x50 && insn->opcode <= 0x5f;
}

/*
 * Does the decoder's list of written registers have all that this instruction may change? It
 * leaves out what is written in part or sometimes, which it counts as read. These write
 * registers of 4 or 8 bytes in any case.
 */
static bool writes_exactly(const struct ktramp_insn *insn)
{
	if (insn->osz < 4 || (insn->attr & (KTRAMP_A_REP | KTRAMP_A_LOCK)))
		return false;
	if (insn->map == KTRAMP_MAP_1B)
		return insn->opcode < 0x60 || insn->opcode == 0x63 || insn->opcode == 0x69 ||
		       insn->opcode == 0x6b || (insn->opcode & 0xf0) == 0x70 ||
		       (insn->opcode >= 0x80 && insn->opcode <= 0x85) ||
		       (insn->opcode >= 0x88 && insn->opcode <= 0x8d) ||
		       (insn->opcode & 0xf8) == 0xb8 || insn->opcode == 0xc1 ||
		       insn->opcode == 0xc7 || insn->opcode == 0xd1 || insn->opcode == 0xd3 ||
		       insn->opcode == 0xf7 || insn->opcode == 0xff || insn->branch;
	if (insn->map == KTRAMP_MAP_0F)
		return (insn->opcode & 0xf0) == 0x80 || insn->opcode == 0xaf ||
		       insn->opcode == 0xb6 || insn->opcode == 0xb7 || insn->opcode == 0xbe ||
		       insn->opcode == 0xbf || (insn->opcode & 0xf8) == 0xc8;
	return false;
}

static u16 may_write(const struct ktramp_insn *insn)
{
	if (insn->attr & KTRAMP_A_NOP)
		return 0;
	return insn->regs_written | (writes_exactly(insn) ? 0 : insn->regs_read);
}

static s64 branch_to(const struct ktramp_insn *insn, u32 at)
{
	return (s64)at + insn->len + insn->imm;
}

/* Does control leave for good, as a return does? */
static bool is_return(const struct ktramp_jited_code *code, const struct ktramp_insn *insn,
		      u32 at)
{
	if (insn->branch == KTRAMP_BR_RET)
		return !insn->imm_len;
	return insn->branch == KTRAMP_BR_JMP && code->thunk &&
	       code->addr + branch_to(insn, at) == code->thunk;
}

static void scan_branch(struct ktramp_jited *j, const struct ktramp_jited_code *code,
			const struct ktramp_insn *insn, u32 at, bool reachable)
{
	s64 to = branch_to(insn, at);

	switch (insn->branch) {
	case KTRAMP_BR_NONE:
		return;
	case KTRAMP_BR_TRAP:
		/* Behind a return, against speculation. */
		if (!is_int3(insn) || reachable)
			fail(j, at, "traps");
		return;
	case KTRAMP_BR_CALL:
		if (to >= 0 && to < code->len)
			fail(j, at, "calls itself");
		j->calls = true;
		return;
	case KTRAMP_BR_RET:
	case KTRAMP_BR_JMP:
	case KTRAMP_BR_JCC:
		if (!is_return(code, insn, at) &&
		    (insn->branch == KTRAMP_BR_RET || to < 0 || to >= code->len))
			fail(j, at, "leaves in a way that is not known here");
		return;
	default:
		fail(j, at, "jumps or calls through a register");
	}
}

static void scan_insn(struct ktramp_jited *j, const struct ktramp_jited_code *code,
		      const struct ktramp_insn *insn, u32 at, bool reachable)
{
	const u16 control = KTRAMP_F_DF | KTRAMP_F_IF | KTRAMP_F_TF;

	scan_branch(j, code, insn, at, reachable);
	if (insn->attr & (KTRAMP_A_PRIV | KTRAMP_A_VECTOR | KTRAMP_A_SS_SHADOW) ||
	    (insn->flags_written & control))
		fail(j, at, "has an instruction that programs do not need");
	j->clobbers |= may_write(insn);
	j->percpu |= !!(insn->prefix & (KTRAMP_P_GS | KTRAMP_P_FS));
}

/* All instructions, in the order they stand in. */
static void scan_all(struct ktramp_jited *j, const struct ktramp_jited_code *code, u8 *starts)
{
	bool reachable = true;
	struct ktramp_insn insn;
	u32 at;

	for (at = 0; at < code->len && !j->why; at += insn.len) {
		if (ktramp_insn_decode(&insn, code->code + at, code->len - at) < 0) {
			fail(j, at, "has an instruction that is not known here");
			return;
		}
		starts[at] = 1;
		scan_insn(j, code, &insn, at, reachable);
		if (!is_int3(&insn))
			reachable = !ktramp_insn_ends_flow(&insn);
	}
	if (reachable)
		fail(j, at, "has no end");
}

/* Each branch must lead to an instruction. */
static void check_targets(struct ktramp_jited *j, const struct ktramp_jited_code *code,
			  const u8 *starts)
{
	struct ktramp_insn insn;
	u32 at;

	for (at = 0; at < code->len && !j->why; at += insn.len) {
		ktramp_insn_decode(&insn, code->code + at, code->len - at);
		if (insn.branch != KTRAMP_BR_JMP && insn.branch != KTRAMP_BR_JCC)
			continue;
		if (!is_return(code, &insn, at) && !starts[branch_to(&insn, at)])
			fail(j, at, "branches into an instruction");
	}
}

/* endbr64, the nop that other programs are attached at, and nops that are only there to fill. */
static void find_entry(struct ktramp_jited *j, const struct ktramp_jited_code *code)
{
	struct ktramp_insn insn;
	u32 at = 0;

	if (ktramp_insn_decode(&insn, code->code, code->len) > 0 &&
	    (insn.attr & KTRAMP_A_NOP) && insn.len == 4)
		at = insn.len;
	if (code->len - at <= sizeof(ktramp_jited_nop) ||
	    memcmp(code->code + at, ktramp_jited_nop, sizeof(ktramp_jited_nop))) {
		fail(j, at, "has something attached at its entry, or no place for it");
		return;
	}
	j->hook = at;
	at += sizeof(ktramp_jited_nop);
	while (ktramp_insn_decode(&insn, code->code + at, code->len - at) > 0 &&
	       (insn.attr & KTRAMP_A_NOP))
		at += insn.len;
	j->entry = at;
}

/* Can it do without its stack frame? Then each way out is leave and a return. */
static bool is_frameless(const struct ktramp_jited_code *code, u32 body)
{
	struct ktramp_insn insn;
	bool left = false;
	u32 at;

	for (at = body; at < code->len; at += insn.len) {
		const u16 frame_regs = BIT_OF(RSP) | BIT_OF(RBP);
		u16 regs;

		ktramp_insn_decode(&insn, code->code + at, code->len - at);
		regs = insn.regs_read | insn.regs_written;
		if (is_int3(&insn))
			continue;
		if (is_return(code, &insn, at) != left)
			return false;
		left = is_leave(&insn);
		if (left || is_return(code, &insn, at) || (insn.attr & KTRAMP_A_NOP))
			continue;
		if ((regs & frame_regs) && !(is_push_or_pop(&insn) && !(regs & BIT_OF(RBP))))
			return false;
	}
	return !left;
}

static void find_body(struct ktramp_jited *j, const struct ktramp_jited_code *code)
{
	u32 at = j->entry;
	struct ktramp_insn insn;

	if (j->calls || code->len - at <= sizeof(frame) ||
	    memcmp(code->code + at, frame, sizeof(frame)))
		return;
	at += sizeof(frame);
	while (ktramp_insn_decode(&insn, code->code + at, code->len - at) > 0 &&
	       (insn.attr & KTRAMP_A_NOP))
		at += insn.len;
	if (is_frameless(code, at))
		j->body = at;
}

/**
 * ktramp_jited_scan() - what compiled code may change
 * @j: (out) the answer
 * @code: the code
 * @starts: room for @code->len bytes, all 0; 1 where an instruction starts afterwards
 */
void ktramp_jited_scan(struct ktramp_jited *j, const struct ktramp_jited_code *code, u8 *starts)
{
	*j = (struct ktramp_jited){};
	if (!code->len || code->len > KTRAMP_JITED_MAX) {
		fail(j, 0, "is longer than what is looked at");
		return;
	}
	find_entry(j, code);
	scan_all(j, code, starts);
	check_targets(j, code, starts);
	if (j->why)
		return;
	find_body(j, code);
	if (j->calls)
		j->clobbers |= KTRAMP_CALLER_SAVED;
	j->clobbers &= KTRAMP_CALLER_SAVED;
}

/* ---- a copy of the body ---- */

/* Nothing of a frame that is not made, and a jump to the end for each return but the last. */
static void synthesize_one(struct ktramp_emit *e, const struct ktramp_jited_code *code,
			   const struct ktramp_insn *insn, u32 at, const u16 *moved, u32 start)
{
	u64 base = e->addr + start;
	bool last = at + insn->len >= code->len ||
		    (at + insn->len + 1 == code->len && code->code[code->len - 1] == 0xcc);

	if (is_leave(insn) || is_int3(insn) || (insn->attr & KTRAMP_A_NOP))
		return;
	if (is_return(code, insn, at)) {
		if (!last)
			ktramp_emit_jmp(e, base + moved[code->len]);
	} else if (insn->branch == KTRAMP_BR_JMP) {
		ktramp_emit_jmp(e, base + moved[branch_to(insn, at)]);
	} else if (insn->branch == KTRAMP_BR_JCC) {
		ktramp_emit(e, 0x0f, 0x80 | insn->cc);
		ktramp_emit_rel32(e, base + moved[branch_to(insn, at)]);
	} else {
		ktramp_synthesize_copy(e, insn, code->code + at, code->addr + at);
	}
}

/**
 * ktramp_synthesize_body() - copy a program's instructions, without its frame and its returns
 * @e: where to; it goes on behind the copy
 * @j: what ktramp_jited_scan() found; @j->body is not 0
 * @code: the code
 * @moved: room for @code->len + 1 numbers
 *
 * The first round finds where each instruction comes to be, which does not depend on where
 * branches go; the second one writes them.
 */
void ktramp_synthesize_body(struct ktramp_emit *e, const struct ktramp_jited *j,
			    const struct ktramp_jited_code *code, u16 *moved)
{
	const struct ktramp_emit before = *e;
	struct ktramp_insn insn;
	unsigned int round;
	u32 at;

	memset(moved, 0, (code->len + 1) * sizeof(*moved));
	for (round = 0; round < 2; round++) {
		*e = before;
		for (at = j->body; at < code->len; at += insn.len) {
			ktramp_insn_decode(&insn, code->code + at, code->len - at);
			moved[at] = e->len - before.len;
			synthesize_one(e, code, &insn, at, moved, before.len);
		}
		moved[code->len] = e->len - before.len;
	}
}
