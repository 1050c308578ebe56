// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drawn BPF programs: the analysis of a program's code (module/plan/ebpf.c, jited.c) and the
 * detours that are made for it are to meet what nobody thought of. Each one loads members of its
 * context of every size, keeps its context's address in registers and on the stack, computes,
 * branches, loops, and leaves what it found in its words of a map, by stores or by atomic
 * operations. What the words must be then, an interpreter knows, which has the state that the
 * probed instruction was executed in.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <asm/ptrace.h>

#include "ktramp.h"
#include "state_program.h"

#define FIELDS		21	/* of struct pt_regs */
#define STEPS		24	/* of a program, at most */
#define SPILLS		6	/* slots of its stack beside the key's */
#define KEY		(-8)	/* where the key is: the context is never above it */
#define SMALL_STACK	48	/* bytes; a larger one may be another one on each CPU */

/* What a register has. */
enum content { NOTHING, NUMBER, CONTEXT };

struct author {
	struct rng *rng;
	struct program *program;
	const struct program_maps *maps;
	unsigned int place;
	enum content reg[10];	/* BPF_REG_9 has the address of the words */
	enum content slot[SPILLS];
	bool stores, calls, hands_on, loads;
	unsigned int frozen;	/* steps that a branch may skip: contents must not change */
};

/* ---- writing ---- */

static void put(struct author *a, uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
	a->program->insn[a->program->nr++] = (struct bpf_insn){
		.code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm,
	};
}

static void put_words(struct author *a)
{
	unsigned int offset = a->place * PROGRAM_WORDS * sizeof(uint64_t);

	put(a, BPF_LD | BPF_IMM | BPF_DW, BPF_REG_9, BPF_PSEUDO_MAP_VALUE, 0, a->maps->words);
	put(a, 0, 0, 0, 0, offset);
}

static unsigned int pick(struct author *a, enum content content)
{
	unsigned int found = 0, nr = 0;

	for (unsigned int i = 0; i < 9; i++)
		if (a->reg[i] == content && !rng_below(a->rng, ++nr))
			found = i;
	return nr ? found : 9;
}

/*
 * One that may be overwritten, or 9: the last one that has the context stays, and so does what a
 * register has where a branch may skip the step.
 */
static unsigned int pick_target(struct author *a)
{
	for (unsigned int tries = 0; tries < 8; tries++) {
		unsigned int reg = rng_below(a->rng, 9);

		if (a->reg[reg] != CONTEXT && (!a->frozen || a->reg[reg] == NUMBER))
			return reg;
	}
	return 9;
}

static void load_field(struct author *a)
{
	static const struct { uint8_t code, bytes; } sizes[] = {
		{ BPF_B, 1 }, { BPF_H, 2 }, { BPF_W, 4 }, { BPF_DW, 8 }, { BPF_DW, 8 },
	};
	unsigned int from = pick(a, CONTEXT), to = pick_target(a);
	unsigned int size = rng_below(a->rng, 5), field = rng_below(a->rng, FIELDS);
	unsigned int within = rng_below(a->rng, 8 / sizes[size].bytes) * sizes[size].bytes;

	if (from == 9 || to == 9)
		return;
	put(a, BPF_LDX | BPF_MEM | sizes[size].code, to, from, 8 * field + within, 0);
	a->reg[to] = NUMBER;
	a->loads = true;
}

static void compute(struct author *a)
{
	static const uint8_t ops[] = {
		BPF_ADD, BPF_SUB, BPF_MUL, BPF_OR, BPF_AND, BPF_XOR, BPF_MOV, BPF_LSH, BPF_RSH,
		BPF_ARSH, BPF_DIV, BPF_MOD,
	};
	uint8_t class = rng_below(a->rng, 3) ? BPF_ALU64 : BPF_ALU;
	uint8_t op = ops[rng_below(a->rng, sizeof(ops))];
	unsigned int to = pick(a, NUMBER), from = pick(a, NUMBER);

	if (to == 9)
		return;
	if (op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH)
		put(a, class | op | BPF_K, to, 0, 0, rng_below(a->rng, 32));
	else if (op == BPF_DIV || op == BPF_MOD)
		put(a, class | op | BPF_K, to, 0, 0, 1 + rng_below(a->rng, 1000));
	else if (rng_below(a->rng, 2))
		put(a, class | op | BPF_X, to, from, 0, 0);
	else
		put(a, class | op | BPF_K, to, 0, 0, (int32_t)rng_next(a->rng));
}

/* To a register or to the stack, and back from there. */
static void move(struct author *a, enum content content)
{
	unsigned int from = pick(a, content), to = pick_target(a);
	unsigned int slot = rng_below(a->rng, SPILLS);
	int offset = KEY - 8 * (int)(slot + 1);

	if (from == 9 || to == 9 || a->frozen)
		return;
	if (rng_below(a->rng, 2)) {
		put(a, BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
		a->reg[to] = content;
		return;
	}
	put(a, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, from, offset, 0);
	a->slot[slot] = content;
	if (offset < -SMALL_STACK)
		a->program->deep = true;
	slot = rng_below(a->rng, SPILLS);
	if (a->slot[slot] == NOTHING)
		return;
	offset = KEY - 8 * (int)(slot + 1);
	put(a, BPF_LDX | BPF_MEM | BPF_DW, to, BPF_REG_10, offset, 0);
	a->reg[to] = a->slot[slot];
}

static void leave_word(struct author *a, bool by_store)
{
	unsigned int from = pick(a, NUMBER);
	int16_t offset = 8 * rng_below(a->rng, PROGRAM_WORDS);
	static const int32_t ops[] = {
		BPF_ADD, BPF_ADD, BPF_XOR, BPF_ADD | BPF_FETCH, BPF_XCHG,
	};
	int32_t op = ops[rng_below(a->rng, 5)];

	if (from == 9)
		return;
	if (by_store) {
		put(a, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_9, from, offset, 0);
		a->stores = true;
	} else {
		put(a, BPF_STX | BPF_ATOMIC | BPF_DW, BPF_REG_9, from, offset, op);
	}
}

/* What a function leaves in the registers of its arguments is nothing. */
static void forget_arguments(struct author *a)
{
	for (unsigned int i = BPF_REG_1; i <= BPF_REG_5; i++)
		a->reg[i] = NOTHING;
	a->calls = true;
}

static bool is_elsewhere(const struct author *a)
{
	for (unsigned int i = BPF_REG_6; i <= BPF_REG_8; i++)
		if (a->reg[i] == CONTEXT)
			return true;
	return false;
}

static void call(struct author *a)
{
	unsigned int context = pick(a, CONTEXT);
	unsigned int offset;

	if (a->frozen || !is_elsewhere(a))
		return;
	switch (rng_below(a->rng, 4)) {
	case 0:
		put(a, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_current_pid_tgid);
		break;
	case 1:
		/* The time is nobody's to know. */
		put(a, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ktime_get_ns);
		put(a, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1);
		break;
	case 2:
		/* A word that is another one's too: it is only added to. */
		put(a, BPF_ST | BPF_MEM | BPF_DW, BPF_REG_10, 0, KEY, 7);
		/* It has two parameters, which nobody but the verifier knows. */
		for (unsigned int i = BPF_REG_3; i <= BPF_REG_5; i++)
			if (a->reg[i] == CONTEXT)
				put(a, BPF_ALU64 | BPF_MOV | BPF_K, i, 0, 0, 0);
		put(a, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_10, 0, 0);
		put(a, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, KEY);
		put(a, BPF_LD | BPF_IMM | BPF_DW, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, a->maps->hash);
		put(a, 0, 0, 0, 0, 0);
		put(a, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem);
		put(a, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 2, 0);
		put(a, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_1, 0, 0, 1);
		put(a, BPF_STX | BPF_ATOMIC | BPF_DW, BPF_REG_0, BPF_REG_1, 0, BPF_ADD);
		put(a, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 2);
		break;
	default:
		if (!a->hands_on)
			return;
		if (context != BPF_REG_1)
			put(a, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, context, 0, 0);
		put(a, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_attach_cookie);
		offset = 8 * rng_below(a->rng, PROGRAM_WORDS);
		put(a, BPF_STX | BPF_ATOMIC | BPF_DW, BPF_REG_9, BPF_REG_0, offset, BPF_ADD);
		break;
	}
	forget_arguments(a);
	a->reg[BPF_REG_0] = NUMBER;
}

static void step(struct author *a, bool by_store);

/* Some steps that a comparison decides on; what registers have is the same both ways. */
static void branch(struct author *a, bool by_store)
{
	static const uint8_t ops[] = {
		BPF_JEQ, BPF_JNE, BPF_JGT, BPF_JGE, BPF_JLT, BPF_JLE, BPF_JSGT, BPF_JSLE, BPF_JSET,
	};
	unsigned int reg = pick(a, NUMBER), at = a->program->nr;
	uint8_t class = rng_below(a->rng, 2) ? BPF_JMP : BPF_JMP32;

	if (reg == 9 || a->frozen)
		return;
	put(a, class | ops[rng_below(a->rng, sizeof(ops))] | BPF_K, reg, 0, 0,
	    (int32_t)rng_next(a->rng));
	a->frozen++;
	for (unsigned int i = 1 + rng_below(a->rng, 3); i; i--)
		step(a, by_store);
	a->frozen--;
	a->program->insn[at].off = a->program->nr - at - 1;
}

/* The same steps, twice or three times. */
static void loop(struct author *a, bool by_store)
{
	unsigned int start;

	if (a->frozen || a->reg[BPF_REG_8] == CONTEXT)
		return;
	put(a, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_8, 0, 0, 2 + rng_below(a->rng, 2));
	a->reg[BPF_REG_8] = NOTHING;
	start = a->program->nr;
	a->frozen++;
	for (unsigned int i = 1 + rng_below(a->rng, 2); i; i--)
		step(a, by_store);
	a->frozen--;
	put(a, BPF_ALU64 | BPF_SUB | BPF_K, BPF_REG_8, 0, 0, 1);
	put(a, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_8, 0, (int)start - (int)a->program->nr - 1, 0);
	a->reg[BPF_REG_8] = NUMBER;
}

static void step(struct author *a, bool by_store)
{
	/* Room for the rest of what is under way. */
	if (a->program->nr > PROGRAM_INSNS - 24)
		return;
	switch (rng_below(a->rng, 10)) {
	case 0:
	case 1:
		if (a->loads)
			load_field(a);
		break;
	case 2:
	case 3:
		compute(a);
		break;
	case 4:
		move(a, CONTEXT);
		break;
	case 5:
		move(a, NUMBER);
		break;
	case 6:
	case 7:
		leave_word(a, by_store && rng_below(a->rng, 2));
		break;
	case 8:
		branch(a, by_store);
		break;
	default:
		if (a->calls)
			call(a);
		else
			loop(a, by_store);
	}
}

/**
 * program_draw() - draw a program of some class
 * @rng: numbers
 * @place: number of the cell that it is for
 * @maps: what it uses
 * @program: (out) the program
 */
void program_draw(struct rng *rng, unsigned int place, const struct program_maps *maps,
		  struct program *program)
{
	struct author a = { .rng = rng, .program = program, .maps = maps, .place = place };
	unsigned int class = KTRAMP_BPF_FULL + rng_below(rng, 4);
	bool by_store = rng_below(rng, 2), keeps = rng_below(rng, 2);

	*program = (struct program){ 0 };
	a.reg[BPF_REG_1] = CONTEXT;
	a.loads = class != KTRAMP_BPF_BARE;
	a.hands_on = class == KTRAMP_BPF_FULL;
	if (class == KTRAMP_BPF_BARE)
		program->reentrant = by_store;
	put_words(&a);
	if (a.hands_on || class == KTRAMP_BPF_HELPERS || keeps) {
		put(&a, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_1, 0, 0);
		a.reg[BPF_REG_6] = CONTEXT;
	}
	put(&a, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, (int32_t)rng_next(rng));
	a.reg[BPF_REG_0] = NUMBER;
	if (a.loads)
		load_field(&a);
	if (a.hands_on) {
		put(&a, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_attach_cookie);
		put(&a, BPF_STX | BPF_ATOMIC | BPF_DW, BPF_REG_9, BPF_REG_0, 0, BPF_ADD);
		forget_arguments(&a);
	}
	a.calls = a.hands_on || class == KTRAMP_BPF_HELPERS;
	for (unsigned int i = 3 + rng_below(rng, STEPS - 3); i; i--)
		step(&a, by_store);
	if (class == KTRAMP_BPF_HELPERS) {
		put(&a, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_current_pid_tgid);
		put(&a, BPF_STX | BPF_ATOMIC | BPF_DW, BPF_REG_9, BPF_REG_0, 8, BPF_ADD);
	} else if (pick(&a, NUMBER) != 9) {
		leave_word(&a, by_store);
	}
	put(&a, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0);
	put(&a, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	program->class = class;
}

/* Return: a descriptor, or a negative errno, and the verifier's words in @log. */
int program_load(const struct program *program, char *log, unsigned int size)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .log_buf = log, .log_size = size, .log_level = 1);
	int fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "drawn", "GPL", program->insn, program->nr,
			       log ? &opts : NULL);

	return fd < 0 ? -errno : fd;
}

/* ---- what it must do ---- */

static struct pt_regs context_of(const struct state_case *state, uint64_t ip)
{
	/* r: rax rcx rdx rbx rsp rbp rsi rdi r8 .. r15 */
	const __u64 *r = state->r;

	return (struct pt_regs){
		.r15 = r[15], .r14 = r[14], .r13 = r[13], .r12 = r[12], .rbp = r[5],
		.rbx = r[3], .r11 = r[11], .r10 = r[10], .r9 = r[9], .r8 = r[8], .rax = r[0],
		.rcx = r[1], .rdx = r[2], .rsi = r[6], .rdi = r[7], .orig_rax = -1,
		.rip = ip, .cs = 0x10, .eflags = state->rflags, .rsp = r[4], .ss = 0x18,
	};
}

static uint64_t load(uint64_t address, uint8_t code)
{
	uint64_t value = 0;

	memcpy(&value, (void *)address, BPF_SIZE(code) == BPF_B ? 1 : BPF_SIZE(code) == BPF_H ? 2 :
	       BPF_SIZE(code) == BPF_W ? 4 : 8);
	return value;
}

static uint64_t alu64(uint8_t op, uint64_t a, uint64_t b)
{
	switch (op) {
	case BPF_ADD: return a + b;
	case BPF_SUB: return a - b;
	case BPF_MUL: return a * b;
	case BPF_OR: return a | b;
	case BPF_AND: return a & b;
	case BPF_XOR: return a ^ b;
	case BPF_MOV: return b;
	case BPF_LSH: return a << (b & 63);
	case BPF_RSH: return a >> (b & 63);
	case BPF_ARSH: return (int64_t)a >> (b & 63);
	case BPF_DIV: return a / b;
	default: return a % b;
	}
}

static uint32_t alu32(uint8_t op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_LSH: return a << (b & 31);
	case BPF_RSH: return a >> (b & 31);
	case BPF_ARSH: return (int32_t)a >> (b & 31);
	default: return alu64(op, a, b);
	}
}

static bool compares(uint8_t op, uint64_t a, uint64_t b, bool wide)
{
	int64_t sa = wide ? (int64_t)a : (int32_t)a, sb = wide ? (int64_t)b : (int32_t)b;

	if (!wide) {
		a = (uint32_t)a;
		b = (uint32_t)b;
	}
	switch (op) {
	case BPF_JEQ: return a == b;
	case BPF_JNE: return a != b;
	case BPF_JGT: return a > b;
	case BPF_JGE: return a >= b;
	case BPF_JLT: return a < b;
	case BPF_JLE: return a <= b;
	case BPF_JSGT: return sa > sb;
	case BPF_JSLE: return sa <= sb;
	default: return a & b;
	}
}

static void atomic(const struct bpf_insn *insn, uint64_t *reg)
{
	uint64_t *word = (uint64_t *)(reg[insn->dst_reg] + insn->off), old = *word;

	switch (insn->imm & ~BPF_FETCH) {
	case BPF_ADD:
		*word += reg[insn->src_reg];
		break;
	case BPF_XOR:
		*word ^= reg[insn->src_reg];
		break;
	default:
		/* BPF_XCHG */
		*word = reg[insn->src_reg];
	}
	if (insn->imm & BPF_FETCH)
		reg[insn->src_reg] = old;
}

static int call_helper(int32_t number, uint64_t *reg, uint64_t owner, uint64_t place)
{
	static uint64_t shared;

	switch (number) {
	case BPF_FUNC_get_current_pid_tgid:
		reg[0] = owner;
		return 0;
	case BPF_FUNC_ktime_get_ns:
		return 0;
	case BPF_FUNC_map_lookup_elem:
		reg[0] = (uintptr_t)&shared;
		return 0;
	case BPF_FUNC_get_attach_cookie:
		reg[0] = place;
		return 0;
	}
	return -EINVAL;
}

/**
 * program_interpret() - what a run of it does to its words
 * @program: the program
 * @state: what the probed instruction found
 * @ip: and where, as programs have it
 * @owner: what get_current_pid_tgid() returns
 * @place: what get_attach_cookie() returns
 * @words: (in/out) its words
 *
 * Return: 0, or -EINVAL for what is not drawn.
 */
int program_interpret(const struct program *program, const struct state_case *state, uint64_t ip,
		      uint64_t owner, uint64_t place, uint64_t *words)
{
	struct pt_regs context = context_of(state, ip);
	uint64_t reg[11] = { 0 }, stack[64] = { 0 }, b;

	reg[BPF_REG_1] = (uintptr_t)&context;
	reg[BPF_REG_10] = (uintptr_t)&stack[64];
	for (unsigned int at = 0; at < program->nr; at++) {
		const struct bpf_insn *insn = &program->insn[at];
		uint8_t op = BPF_OP(insn->code);

		b = BPF_SRC(insn->code) == BPF_X ? reg[insn->src_reg] :
						   (uint64_t)(int64_t)insn->imm;
		switch (BPF_CLASS(insn->code)) {
		case BPF_LD:
			reg[insn->dst_reg] = insn->src_reg == BPF_PSEUDO_MAP_VALUE ?
					     (uintptr_t)words : 0;
			at++;
			break;
		case BPF_LDX:
			reg[insn->dst_reg] = load(reg[insn->src_reg] + insn->off, insn->code);
			break;
		case BPF_ST:
			*(int64_t *)(reg[insn->dst_reg] + insn->off) = insn->imm;
			break;
		case BPF_STX:
			if (BPF_MODE(insn->code) == BPF_ATOMIC)
				atomic(insn, reg);
			else
				*(uint64_t *)(reg[insn->dst_reg] + insn->off) = reg[insn->src_reg];
			break;
		case BPF_ALU64:
			reg[insn->dst_reg] = alu64(op, reg[insn->dst_reg], b);
			break;
		case BPF_ALU:
			reg[insn->dst_reg] = alu32(op, reg[insn->dst_reg], b);
			break;
		default:
			if (op == BPF_EXIT)
				return 0;
			if (op == BPF_CALL) {
				if (call_helper(insn->imm, reg, owner, place))
					return -EINVAL;
			} else if (compares(op, reg[insn->dst_reg], b,
					    BPF_CLASS(insn->code) == BPF_JMP)) {
				at += insn->off;
			}
		}
	}
	return -EINVAL;
}

void program_explain(const struct program *program)
{
	printf("#   program of class %u:\n", program->class);
	for (unsigned int i = 0; i < program->nr; i++) {
		const struct bpf_insn *insn = &program->insn[i];

		printf("#     %2u: code %02x dst r%u src r%u off %d imm %d\n", i, insn->code,
		       insn->dst_reg, insn->src_reg, insn->off, insn->imm);
	}
}
