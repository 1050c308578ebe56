// SPDX-License-Identifier: GPL-2.0-only
/*
 * An abstract interpreter of eBPF: where a program's context goes.
 *
 * The kernel's verifier has shown that the program is safe; here only three things are asked.
 * Is the context only loaded from, at known offsets? Does the program write to memory that a
 * second run of it, in an interrupt, would meet half written? Does it call anything? Copies of
 * the context's address are followed through registers and the stack. What is not understood
 * counts as an escape of the context.
 *
 * What is read are the instructions after the verifier's rewriting (struct bpf_prog, insnsi),
 * so some codes are the kernel's own (include/linux/filter.h), and are defined here.
 */
#ifdef __KERNEL__
#include <linux/string.h>
#else
#include <string.h>
#endif

#include "plan/ebpf.h"

/* Modes of loads and stores. */
#define MODE(code)		((code) & 0xe0)
#define MODE_MEM		0x60	/* BPF_MEM */
#define MODE_MEMSX		0x80	/* BPF_MEMSX, 6.6 */
#define MODE_ATOMIC		0xc0	/* BPF_ATOMIC; BPF_NOSPEC in class BPF_ST */
#define MODE_PROBE_MEM		0x20
#define MODE_PROBE_MEMSX	0x40

/* Since 5.12; before, adding is all there is. */
#ifndef BPF_FETCH
#define BPF_FETCH		0x01
#define BPF_CMPXCHG		(0xf0 | BPF_FETCH)
#endif

/* Operations of BPF_ATOMIC that are no read-modify-write: 6.15. */
#define LOAD_ACQUIRE		0x100
#define STORE_RELEASE		0x110

/* Classes' operations. */
#define OP(code)		((code) & 0xf0)
#define OP_JCOND		0xe0	/* may_goto, 6.10 */
#define OP_TAIL_CALL		0xf0

/* off of BPF_ALU64 | BPF_MOV | BPF_X: this CPU's copy of a variable, 6.10. */
#define ADDR_PERCPU		(-1)

#define REG_FP			10
#define STACK_SIZE		512

/* Somewhere in the stack, or not in the stack. */
#define ANYWHERE		(-32768)

enum kind {
	OTHER,		/* not the context, and not the stack */
	CONTEXT,
	STACK,
	MIXED,		/* the context on one path only, or a part of its address */
};

struct scan {
	struct ktramp_ebpf *e;
	const struct bpf_insn *insns;
	u32 nr;
	ktramp_ebpf_takes_none_t takes_none;
	struct ktramp_ebpf_state *states;
	bool more;		/* a state changed behind the instruction that is looked at */
};

static const struct ktramp_ebpf_value other = { .kind = OTHER };

static bool is_context(struct ktramp_ebpf_value v)
{
	return v.kind == CONTEXT || v.kind == MIXED;
}

static bool is_same(struct ktramp_ebpf_value a, struct ktramp_ebpf_value b)
{
	return a.kind == b.kind && a.off == b.off;
}

static struct ktramp_ebpf_value join(struct ktramp_ebpf_value a, struct ktramp_ebpf_value b)
{
	if (is_same(a, b))
		return a;
	if (is_context(a) || is_context(b))
		return (struct ktramp_ebpf_value){ .kind = MIXED };
	/* At least one is the stack: two that are not are the same. */
	return (struct ktramp_ebpf_value){ .kind = STACK, .off = ANYWHERE };
}

static void escape(struct scan *s, u32 at, const char *why)
{
	if (s->e->escapes)
		return;
	s->e->escapes = true;
	s->e->at = at;
	s->e->why = why;
}

/* ---- states ---- */

static void flow(struct scan *s, const struct ktramp_ebpf_state *from, u32 at, s64 to)
{
	struct ktramp_ebpf_state *state;
	struct ktramp_ebpf_value v;
	unsigned int i;

	if (to < 0 || to >= s->nr) {
		escape(s, at, "branches out of its code");
		return;
	}
	state = &s->states[to];
	if (!state->reached) {
		*state = *from;
		state->reached = true;
		state->dirty = true;
	}
	for (i = 0; i < KTRAMP_EBPF_REGS; i++) {
		v = join(state->reg[i], from->reg[i]);
		state->dirty |= !is_same(v, state->reg[i]);
		state->reg[i] = v;
	}
	for (i = 0; i < KTRAMP_EBPF_SLOTS; i++) {
		v = join(state->slot[i], from->slot[i]);
		state->dirty |= !is_same(v, state->slot[i]);
		state->slot[i] = v;
	}
	if (state->dirty && to <= at)
		s->more = true;
}

/* First slot that bytes at an offset from the frame pointer touch, or -1 if they are not in it. */
static int slot_of(s32 off)
{
	return off >= -STACK_SIZE && off < 0 ? (off + STACK_SIZE) / 8 : -1;
}

/* Is the context in the stack, at or above an offset from the frame pointer? Or a way to it. */
static bool holds_context(const struct ktramp_ebpf_state *state, s32 off, bool pointers)
{
	int i = off == ANYWHERE || off < -STACK_SIZE ? 0 : off >= 0 ? KTRAMP_EBPF_SLOTS :
		slot_of(off);

	for (; i < KTRAMP_EBPF_SLOTS; i++)
		if (is_context(state->slot[i]) || (pointers && state->slot[i].kind == STACK))
			return true;
	return false;
}

/* ---- instructions ---- */

static unsigned int size_of(u8 code)
{
	switch (BPF_SIZE(code)) {
	case BPF_B:
		return 1;
	case BPF_H:
		return 2;
	case BPF_W:
		return 4;
	default:
		return 8;
	}
}

static void load_context(struct scan *s, u32 at, s32 off, unsigned int size)
{
	if (off < 0 || off / 8 >= KTRAMP_FIELDS || off / 8 != (off + (s32)size - 1) / 8)
		escape(s, at, "reads its context at an offset that is no register's");
	else
		s->e->fields |= 1U << off / 8;
}

static struct ktramp_ebpf_value load_stack(const struct ktramp_ebpf_state *state,
					   struct ktramp_ebpf_value base, s32 off,
					   unsigned int size)
{
	const struct ktramp_ebpf_value mixed = { .kind = MIXED };
	const struct ktramp_ebpf_value anywhere = { .kind = STACK, .off = ANYWHERE };
	int slot;

	if (base.off == ANYWHERE)
		return holds_context(state, ANYWHERE, false) ? mixed :
		       holds_context(state, ANYWHERE, true) ? anywhere : other;
	slot = slot_of(base.off + off);
	if (slot < 0)
		return mixed;
	if (size == 8 && (base.off + off) % 8 == 0)
		return state->slot[slot];
	/* A part of an address; of what spans two slots, the second as well. */
	if (is_context(state->slot[slot]) ||
	    (slot + 1 < KTRAMP_EBPF_SLOTS && is_context(state->slot[slot + 1])))
		return mixed;
	return other;
}

static void load(struct scan *s, struct ktramp_ebpf_state *state, u32 at)
{
	const struct bpf_insn *insn = &s->insns[at];
	struct ktramp_ebpf_value base = state->reg[insn->src_reg];
	u8 mode = MODE(insn->code);

	state->reg[insn->dst_reg] = other;
	if (base.kind == MIXED || (is_context(base) && mode != MODE_MEM && mode != MODE_MEMSX))
		escape(s, at, "reads through what may be its context");
	else if (base.kind == CONTEXT)
		load_context(s, at, base.off + insn->off, size_of(insn->code));
	else if (base.kind == STACK)
		state->reg[insn->dst_reg] = load_stack(state, base, insn->off,
						       size_of(insn->code));
}

static void store_stack(struct ktramp_ebpf_state *state, struct ktramp_ebpf_value base, s32 off,
			unsigned int size, struct ktramp_ebpf_value value)
{
	int first = slot_of(base.off + off), last = slot_of(base.off + off + (s32)size - 1), i;

	if (size == 8 && first == last) {
		state->slot[first] = value;
		return;
	}
	/* What is left of an address is no address. */
	for (i = first; i <= last; i++)
		state->slot[i] = is_context(state->slot[i]) || is_context(value) ?
			(struct ktramp_ebpf_value){ .kind = MIXED } : other;
}

static void store(struct scan *s, struct ktramp_ebpf_state *state, u32 at,
		  struct ktramp_ebpf_value value)
{
	const struct bpf_insn *insn = &s->insns[at];
	struct ktramp_ebpf_value base = state->reg[insn->dst_reg];
	unsigned int size = size_of(insn->code), i;

	if (is_context(base)) {
		escape(s, at, "writes to its context");
		return;
	}
	if (base.kind == STACK && base.off != ANYWHERE) {
		if (slot_of(base.off + insn->off) < 0 ||
		    slot_of(base.off + insn->off + (s32)size - 1) < 0)
			escape(s, at, "writes outside of its stack");
		else
			store_stack(state, base, insn->off, size, value);
		return;
	}
	s->e->stores = true;
	if (is_context(value))
		escape(s, at, "stores its context's address");
	if (base.kind != STACK) {
		/* Not followed from there on. */
		if (value.kind == STACK)
			escape(s, at, "stores its stack's address");
		return;
	}
	for (i = 0; i < KTRAMP_EBPF_SLOTS; i++)
		state->slot[i] = join(state->slot[i], value);
}

/* The operations of one instruction that nothing on this CPU can come between. */
static void work_atomically(struct scan *s, struct ktramp_ebpf_state *state, u32 at)
{
	const struct bpf_insn *insn = &s->insns[at];
	struct ktramp_ebpf_value base = state->reg[insn->dst_reg];

	if (insn->imm == LOAD_ACQUIRE) {
		load(s, state, at);
		return;
	}
	if (insn->imm == STORE_RELEASE) {
		store(s, state, at, state->reg[insn->src_reg]);
		return;
	}
	if (is_context(base) || is_context(state->reg[insn->src_reg]) ||
	    (insn->imm == BPF_CMPXCHG && is_context(state->reg[BPF_REG_0]))) {
		escape(s, at, "uses its context in an atomic operation");
		return;
	}
	/* What is fetched may be a pointer to the stack that was there. */
	if (base.kind == STACK) {
		if (holds_context(state, base.off == ANYWHERE ? ANYWHERE : base.off + insn->off,
				  true))
			escape(s, at, "works on its stack in an atomic operation");
		store(s, state, at, other);
	}
	if (insn->imm == BPF_CMPXCHG)
		state->reg[BPF_REG_0] = other;
	else if (insn->imm & BPF_FETCH)
		state->reg[insn->src_reg] = other;
}

static void move(struct scan *s, struct ktramp_ebpf_state *state, u32 at, bool wide)
{
	const struct bpf_insn *insn = &s->insns[at];
	struct ktramp_ebpf_value value = other;

	if (BPF_SRC(insn->code) == BPF_X)
		value = state->reg[insn->src_reg];
	if (wide && BPF_SRC(insn->code) == BPF_X && insn->off == ADDR_PERCPU)
		s->e->percpu = true;
	if (value.kind != OTHER && (!wide || insn->off)) {
		if (is_context(value))
			escape(s, at, "takes its context's address for a number");
		value = other;
	}
	state->reg[insn->dst_reg] = value;
}

static void add(struct scan *s, struct ktramp_ebpf_state *state, u32 at)
{
	const struct bpf_insn *insn = &s->insns[at];
	struct ktramp_ebpf_value *value = &state->reg[insn->dst_reg];
	s64 off = (s64)value->off + (OP(insn->code) == BPF_SUB ? -(s64)insn->imm : insn->imm);

	if (value->kind == STACK && (value->off == ANYWHERE || off < -STACK_SIZE || off > 0))
		value->off = ANYWHERE;
	else if (value->kind == CONTEXT && (off < 0 || off >= 8 * KTRAMP_FIELDS))
		escape(s, at, "computes with its context's address");
	else if (value->kind != OTHER)
		value->off = off;
}

static void compute(struct scan *s, struct ktramp_ebpf_state *state, u32 at, bool wide)
{
	const struct bpf_insn *insn = &s->insns[at];
	struct ktramp_ebpf_value *dst = &state->reg[insn->dst_reg];
	struct ktramp_ebpf_value src = other;
	u8 op = OP(insn->code);

	if (op == BPF_MOV) {
		move(s, state, at, wide);
		return;
	}
	/* Of BPF_END the bit says the byte order. */
	if (BPF_SRC(insn->code) == BPF_X && op != BPF_END && op != BPF_NEG)
		src = state->reg[insn->src_reg];
	if (dst->kind == MIXED || is_context(src)) {
		escape(s, at, "computes with its context's address");
		return;
	}
	if (wide && (op == BPF_ADD || op == BPF_SUB) && BPF_SRC(insn->code) == BPF_K) {
		add(s, state, at);
		return;
	}
	if (dst->kind == CONTEXT)
		escape(s, at, "computes with its context's address");
	/* The difference of two pointers to the stack is taken for one. */
	if (dst->kind == STACK || src.kind == STACK)
		*dst = (struct ktramp_ebpf_value){ .kind = STACK, .off = ANYWHERE };
	else
		*dst = other;
}

static void call(struct scan *s, struct ktramp_ebpf_state *state, u32 at)
{
	const struct bpf_insn *insn = &s->insns[at];
	unsigned int i;

	s->e->calls = true;
	for (i = BPF_REG_1; i <= BPF_REG_5 && !s->takes_none(insn); i++) {
		struct ktramp_ebpf_value v = state->reg[i];

		if (is_context(v))
			escape(s, at, "hands its context to a function");
		if (v.kind == STACK && holds_context(state, v.off, true))
			escape(s, at, "hands memory with its context's address to a function");
	}
	for (i = BPF_REG_0; i <= BPF_REG_5; i++)
		state->reg[i] = other;
}

/* Return: may the next instruction come after it? */
static bool jump(struct scan *s, struct ktramp_ebpf_state *state, u32 at)
{
	const struct bpf_insn *insn = &s->insns[at];
	bool is_wide = BPF_CLASS(insn->code) == BPF_JMP;

	switch (OP(insn->code)) {
	case BPF_EXIT:
		return false;
	case BPF_CALL:
		call(s, state, at);
		return true;
	case OP_TAIL_CALL:
		escape(s, at, "calls another program");
		return false;
	case BPF_JA:
		if (BPF_SRC(insn->code) == BPF_X) {
			escape(s, at, "jumps through a table");
			return false;
		}
		flow(s, state, at, (s64)at + 1 + (is_wide ? insn->off : insn->imm));
		return false;
	case OP_JCOND:
		flow(s, state, at, (s64)at + 1 + insn->off);
		return true;
	}
	if (is_context(state->reg[insn->dst_reg]) ||
	    (BPF_SRC(insn->code) == BPF_X && is_context(state->reg[insn->src_reg])))
		escape(s, at, "compares its context's address");
	flow(s, state, at, (s64)at + 1 + insn->off);
	return true;
}

static bool step(struct scan *s, struct ktramp_ebpf_state *state, u32 at)
{
	const struct bpf_insn *insn = &s->insns[at];
	u8 mode = MODE(insn->code);

	if (insn->dst_reg >= KTRAMP_EBPF_REGS || insn->src_reg >= KTRAMP_EBPF_REGS) {
		escape(s, at, "has an instruction that is not known here");
		return false;
	}
	switch (BPF_CLASS(insn->code)) {
	case BPF_ALU64:
		compute(s, state, at, true);
		return true;
	case BPF_ALU:
		compute(s, state, at, false);
		return true;
	case BPF_JMP:
	case BPF_JMP32:
		return jump(s, state, at);
	case BPF_LDX:
		if (mode != MODE_MEM && mode != MODE_MEMSX && mode != MODE_PROBE_MEM &&
		    mode != MODE_PROBE_MEMSX)
			break;
		load(s, state, at);
		return true;
	case BPF_STX:
		if (mode == MODE_MEM) {
			store(s, state, at, state->reg[insn->src_reg]);
			return true;
		}
		if (mode != MODE_ATOMIC)
			break;
		work_atomically(s, state, at);
		return true;
	case BPF_ST:
		if (mode == MODE_MEM)
			store(s, state, at, other);
		else if (mode != MODE_ATOMIC)
			break;
		return true;
	}
	escape(s, at, "has an instruction that is not known here");
	return false;
}

static bool is_load_imm64(const struct bpf_insn *insn)
{
	return insn->code == (BPF_LD | BPF_IMM | BPF_DW);
}

static void look_at(struct scan *s, u32 at)
{
	struct ktramp_ebpf_state state = s->states[at];
	const struct bpf_insn *insn = &s->insns[at];

	s->states[at].dirty = false;
	if (is_load_imm64(insn)) {
		if (insn->dst_reg >= REG_FP + 2) {
			escape(s, at, "has an instruction that is not known here");
			return;
		}
		state.reg[insn->dst_reg] = other;
		flow(s, &state, at, (s64)at + 2);
	} else if (step(s, &state, at)) {
		flow(s, &state, at, (s64)at + 1);
	}
}

/**
 * ktramp_ebpf_scan() - what a program does with its context and with memory
 * @e: (out) the answer
 * @insns: its instructions, after the verifier's rewriting
 * @nr: how many
 * @takes_none: does a function that is called have no parameters?
 * @states: room for @nr of them
 *
 * Each state only ever gets worse, so that it ends: a value can change twice.
 */
void ktramp_ebpf_scan(struct ktramp_ebpf *e, const struct bpf_insn *insns, u32 nr,
		      ktramp_ebpf_takes_none_t takes_none, struct ktramp_ebpf_state *states)
{
	struct scan s = {
		.e = e, .insns = insns, .nr = nr, .takes_none = takes_none, .states = states,
	};
	u32 at;

	*e = (struct ktramp_ebpf){};
	if (!nr || nr > KTRAMP_EBPF_MAX) {
		escape(&s, 0, "is longer than what is looked at");
		return;
	}
	memset(states, 0, nr * sizeof(*states));
	states[0].reached = true;
	states[0].dirty = true;
	states[0].reg[BPF_REG_1].kind = CONTEXT;
	states[0].reg[REG_FP].kind = STACK;
	do {
		s.more = false;
		for (at = 0; at < nr && !e->escapes; at++)
			if (states[at].dirty)
				look_at(&s, at);
	} while (s.more && !e->escapes);
}
