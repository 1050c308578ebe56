// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read a function from its first byte to its last: where instructions start, and where
 * control may enter.
 */
#ifdef __KERNEL__
#include <linux/string.h>
#else
#include <string.h>
#endif

#include "plan/func.h"

#define INT3		0xcc

/* call rel32, or what stands for one */
#define CALL_SIZE	5

/* Decode at an offset of a function, never past its end. */
int ktramp_func_decode(const struct ktramp_func *func, u32 off, struct ktramp_insn *insn)
{
	return ktramp_insn_decode(insn, func->code + off, func->size - off);
}

/* As ktramp_func_decode(), without what the instruction does to registers and flags. */
static int outline(const struct ktramp_func *func, u32 off, struct ktramp_insn *insn)
{
	return ktramp_insn_outline(insn, func->code + off, func->size - off);
}

static bool is_endbr64(const struct ktramp_insn *insn)
{
	return insn->map == KTRAMP_MAP_0F && insn->opcode == 0x1e && insn->modrm == 0xfa &&
	       (insn->prefix & KTRAMP_P_F3);
}

static bool is_thunk(const struct ktramp_thunks *thunks, u64 target)
{
	return target >= thunks->start && target < thunks->end;
}

static bool only_padding(const struct ktramp_func *func, u32 at)
{
	while (at < func->size && func->code[at] == INT3)
		at++;
	return at == func->size;
}

/* A 5-byte nop, or the call that ftrace makes of it. */
static bool may_be_ftrace(const struct ktramp_func *func, u32 off)
{
	static const u8 nop5[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
	/* Before 5.13 the kernel takes K8's on some CPUs: "x86: Remove dynamic NOP selection". */
	static const u8 k8_nop5[] = { 0x66, 0x66, 0x66, 0x66, 0x90 };

	return off + sizeof(nop5) <= func->size &&
	       (func->code[off] == 0xe8 || !memcmp(func->code + off, nop5, sizeof(nop5)) ||
		!memcmp(func->code + off, k8_nop5, sizeof(k8_nop5)));
}

/* Where the bytes of an entry say that ftrace has its call, behind an endbr64, or -1. */
s32 ktramp_func_ftrace(const struct ktramp_func *func)
{
	struct ktramp_insn insn;
	u32 off = 0;

	/* A sealed endbr64 is a nop of its length. */
	if (ktramp_func_decode(func, 0, &insn) == 4 && (insn.attr & KTRAMP_A_NOP))
		off = 4;
	return may_be_ftrace(func, off) ? (s32)off : -1;
}

/**
 * ktramp_func_owned_entry() - where a function's bytes say that ftrace owns its entry
 * @func: the function, marked
 *
 * As ktramp_func_ftrace(), unless the kernel is known to patch that instruction itself.
 *
 * Return: the offset, or -1.
 */
s32 ktramp_func_owned_entry(const struct ktramp_func *func)
{
	s32 off = ktramp_func_ftrace(func);

	return off >= 0 && !(func->marks[off] & KTRAMP_M_OWNED) ? off : -1;
}

/**
 * ktramp_func_entry() - a function's first instruction, as kprobes see it
 * @func: the function
 *
 * Return: its offset: 0, or behind the endbr64, or what the kernel sealed one with.
 */
u32 ktramp_func_entry(const struct ktramp_func *func)
{
	static const u8 endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	/* gen_endbr_poison(): until 6.18, "x86,ibt: Use UDB instead of 0xEA", and from then on. */
	static const u8 sealed[][4] = { { 0x66, 0x0f, 0x1f, 0x00 }, { 0x0f, 0x1f, 0x40, 0xd6 } };

	if (func->size <= sizeof(endbr64))
		return 0;
	return !memcmp(func->code, endbr64, sizeof(endbr64)) ||
	       !memcmp(func->code, sealed[0], sizeof(sealed[0])) ||
	       !memcmp(func->code, sealed[1], sizeof(sealed[1])) ? sizeof(endbr64) : 0;
}

static void mark_own(struct ktramp_func *func, u64 addr)
{
	if (addr - func->addr < func->size)
		func->marks[addr - func->addr] |= KTRAMP_M_ENTER;
}

/*
 * An indirect jump takes its target from data, or from an address that the function itself
 * makes: a label's, as an operand.
 */
static void mark_operands(struct ktramp_func *func)
{
	struct ktramp_insn insn;
	u32 at;

	for (at = 0; at < func->known; at += insn.len) {
		outline(func, at, &insn);
		if (insn.attr & KTRAMP_A_RIPREL)
			mark_own(func, func->addr + at + insn.len + insn.disp);
		else if (insn.disp_len >= 4)
			mark_own(func, insn.disp);
		if (insn.imm_len >= 4 && !ktramp_insn_is_rel(&insn))
			mark_own(func, insn.imm);
	}
}

static void mark_branch(struct ktramp_func *func, const struct ktramp_thunks *thunks,
			const struct ktramp_insn *insn, u32 at)
{
	s64 to = ktramp_insn_is_rel(insn) ? ktramp_branch_offset(insn, at) : -1;
	bool indirect = insn->branch == KTRAMP_BR_JMP_IND;

	if (insn->branch == KTRAMP_BR_JMP || insn->branch == KTRAMP_BR_JCC)
		indirect = is_thunk(thunks, func->addr + to);
	if (indirect && !thunks->land && func->indirect < 0)
		func->indirect = at;
	if (to >= 0 && to < func->size)
		func->marks[to] |= KTRAMP_M_ENTER;
}

/* What the instruction at @at does to control, for who looks for blocks. */
static void mark_flow(struct ktramp_func *func, const struct ktramp_insn *insn, u32 at)
{
	u8 behind = 0;

	if ((insn->attr & KTRAMP_A_NOP) || func->code[at] == INT3)
		func->marks[at] |= KTRAMP_M_FILL;
	switch (insn->branch) {
	case KTRAMP_BR_JCC:
	case KTRAMP_BR_LOOP:
	case KTRAMP_BR_XBEGIN:
		behind = KTRAMP_M_BEHIND;
		break;
	case KTRAMP_BR_CALL:
	case KTRAMP_BR_CALL_IND:
		behind = KTRAMP_M_RETURN;
		break;
	default:
		if (ktramp_insn_ends_flow(insn))
			func->marks[at] |= KTRAMP_M_LAST;
	}
	if (behind && at + insn->len < func->size)
		func->marks[at + insn->len] |= behind;
}

/**
 * ktramp_func_scan() - mark instructions and the targets of the function's own branches
 * @func: @code, @marks, @addr and @size are set; @marks, @known and @indirect are filled in
 * @thunks: how indirect jumps look
 *
 * It ends early, at @func->known, at bytes that are no instruction and at an int3 that
 * control would fall into: somebody else's breakpoint, behind which the rest of the
 * instruction it covers would be read as another one.
 */
void ktramp_func_scan(struct ktramp_func *func, const struct ktramp_thunks *thunks)
{
	struct ktramp_insn insn;
	bool falls = false;
	u32 at = 0;

	memset(func->marks, 0, func->size);
	func->indirect = -1;
	while (at < func->size) {
		int len = outline(func, at, &insn);

		if (len < 0)
			break;
		if (func->code[at] == INT3 && falls && !only_padding(func, at))
			break;
		func->marks[at] |= KTRAMP_M_START;
		if (is_endbr64(&insn))
			func->marks[at] |= KTRAMP_M_ENTER;
		mark_branch(func, thunks, &insn, at);
		mark_flow(func, &insn, at);
		falls = !ktramp_insn_ends_flow(&insn);
		at += len;
	}
	func->known = at;
	/* Code that was written by hand may also compute where it jumps to. */
	if (func->indirect >= 0 && thunks->tables && ktramp_func_ftrace(func) >= 0) {
		mark_operands(func);
		func->indirect = -1;
	}
}

/**
 * ktramp_func_enter() - mark where a neighbour's short branches enter a function
 * @func: the function
 * @code: the neighbour's bytes
 * @addr: where it lives
 * @size: bytes
 *
 * Compilers do not let one function branch into the middle of another, but for its own
 * cold part, which is far; hand-written code does.
 */
void ktramp_func_enter(struct ktramp_func *func, const u8 *code, u64 addr, u32 size)
{
	const struct ktramp_func other = { .code = code, .addr = addr, .size = size };
	struct ktramp_insn insn;
	u32 at = 0;

	while (at < size) {
		int len = outline(&other, at, &insn);
		s64 to;

		if (len < 0)
			break;
		to = (s64)(addr - func->addr) + ktramp_branch_offset(&insn, at);
		if (ktramp_insn_is_rel(&insn) && to > 0 && to < func->size)
			func->marks[to] |= KTRAMP_M_ENTER;
		at += len;
	}
}

/**
 * ktramp_func_tail() - where the padding behind a function's last instruction begins
 * @func: the function, scanned, and marked with all that is known to enter it
 *
 * Padding is nops and int3 that nothing enters and that control does not fall into. Not padding:
 *   - the int3 right behind a ret or jmp: it stops straight-line speculation;
 *   - the four int3 behind a static tail call that is a ret at the moment.
 *
 * Return: an offset in @func, or its size if it has no padding.
 */
u32 ktramp_func_tail(const struct ktramp_func *func)
{
	struct ktramp_insn insn;
	bool ended = false;
	u32 at, end, tail = 0;

	if (func->known < func->size || func->indirect >= 0)
		return func->size;
	for (at = 0; at < func->known; at += insn.len) {
		ktramp_func_decode(func, at, &insn);
		if ((func->code[at] == INT3 || (insn.attr & KTRAMP_A_NOP)) &&
		    !(func->marks[at] & (KTRAMP_M_ENTER | KTRAMP_M_OWNED)))
			continue;
		ended = ktramp_insn_ends_flow(&insn);
		end = at + insn.len;
		if ((func->marks[at] & KTRAMP_M_OWNED) && insn.len < CALL_SIZE)
			end = at + CALL_SIZE;
		if (tail < end)
			tail = end;
	}
	if (!ended || tail >= func->size)
		return func->size;
	return func->code[tail] == INT3 ? tail + 1 : tail;
}

/* The offset of a branch in @func that goes to offset @to, or -1: it comes from elsewhere. */
s64 ktramp_func_source(const struct ktramp_func *func, u32 to)
{
	struct ktramp_insn insn;
	u32 at = 0;

	while (at < func->known) {
		int len = ktramp_func_decode(func, at, &insn);

		if (len < 0)
			break;
		if (ktramp_insn_is_rel(&insn) && ktramp_branch_offset(&insn, at) == to)
			return at;
		at += len;
	}
	return -1;
}
