// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is read of BPF programs. Translated code: hand-made programs, and noise, which must end.
 * Compiled code: hand-made, and drawn instructions, of which Zydis knows what they write.
 */
#include <Zydis/Zydis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../module/plan/ebpf.h"
#include "../../module/plan/jited.h"

#define ARRAY_SIZE(_a)	(sizeof(_a) / sizeof((_a)[0]))

static unsigned int failed;

/* ---- translated code ---- */

#define INSN(c, d, s, o, i)						\
	{ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) }
#define MOV(d, s)	INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define SET(d, i)	INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADD(d, i)	INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define LOAD(d, s, o)	INSN(BPF_LDX | BPF_MEM | BPF_DW, d, s, o, 0)
#define STORE(d, o, s)	INSN(BPF_STX | BPF_MEM | BPF_DW, d, s, o, 0)
#define ATOMIC(d, o, s, i) INSN(BPF_STX | BPF_ATOMIC | BPF_DW, d, s, o, i)
#define MAP(d)		INSN(BPF_LD | BPF_IMM | BPF_DW, d, 2, 0, 1), INSN(0, 0, 0, 0, 0)
#define CALL(i)		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, i)
#define JEQ(d, i, o)	INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, o, i)
#define JA(o)		INSN(BPF_JMP | BPF_JA, 0, 0, o, 0)
#define EXIT		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

#define DI	(1U << 14)
#define SI	(1U << 13)
#define R15	(1U << 0)
#define SS	(1U << 20)

/* The helper without parameters, in these tests. */
#define NONE	14

static bool takes_none(const struct bpf_insn *call)
{
	return call->imm == NONE;
}

static const struct row {
	const char *name;
	struct bpf_insn insn[16];
	u32 fields;
	bool escapes, calls, stores, percpu;
} rows[] = {
	{ "nothing", { SET(0, 0), EXIT } },
	{ "a register", { LOAD(0, 1, 112), EXIT }, .fields = DI },
	{ "the first and the last", { LOAD(0, 1, 0), LOAD(2, 1, 160), EXIT }, .fields = R15 | SS },
	{ "half of one", { INSN(BPF_LDX | BPF_MEM | BPF_W, 0, 1, 108, 0), EXIT }, .fields = SI },
	{ "a copy", { MOV(6, 1), SET(1, 0), LOAD(0, 6, 104), EXIT }, .fields = SI },
	{ "an offset from a copy", { MOV(6, 1), ADD(6, 8), LOAD(0, 6, 104), EXIT }, .fields = DI },
	{ "spilt, and back", { STORE(10, -8, 1), SET(1, 0), LOAD(7, 10, -8), LOAD(0, 7, 112),
	  EXIT }, .fields = DI },
	{ "by an offset from the stack's", { MOV(2, 10), ADD(2, -16), STORE(2, 8, 1),
	  LOAD(7, 10, -8), LOAD(0, 7, 112), EXIT }, .fields = DI },
	{ "behind the last", { LOAD(0, 1, 168), EXIT }, .escapes = true },
	{ "across two", { INSN(BPF_LDX | BPF_MEM | BPF_DW, 0, 1, 108, 0), EXIT }, .escapes = true },
	{ "written to", { STORE(1, 112, 0), EXIT }, .escapes = true },
	{ "stored in a map", { MAP(2), STORE(2, 0, 1), EXIT }, .escapes = true },
	{ "the stack's address in a map", { MAP(2), STORE(2, 0, 10), EXIT }, .escapes = true },
	{ "added to a map", { MAP(2), ATOMIC(2, 0, 1, BPF_ADD), EXIT }, .escapes = true },
	{ "computed with", { INSN(BPF_ALU64 | BPF_XOR | BPF_X, 0, 1, 0, 0), EXIT },
	  .escapes = true },
	{ "cut to 32 bits", { INSN(BPF_ALU | BPF_MOV | BPF_X, 0, 1, 0, 0), EXIT },
	  .escapes = true },
	{ "compared", { JEQ(1, 0, 0), EXIT }, .escapes = true },
	{ "handed on", { CALL(1), EXIT }, .escapes = true, .calls = true },
	{ "still there, for nobody", { CALL(NONE), EXIT }, .calls = true },
	{ "handed on in the fifth", { MOV(5, 1), SET(1, 0), CALL(1), EXIT }, .escapes = true,
	  .calls = true },
	{ "in memory that is handed on", { STORE(10, -8, 1), MOV(1, 10), ADD(1, -16), CALL(1),
	  EXIT }, .escapes = true, .calls = true },
	{ "below what is handed on", { STORE(10, -16, 1), MOV(1, 10), ADD(1, -8), CALL(1),
	  LOAD(1, 10, -16), LOAD(0, 1, 112), EXIT }, .fields = DI, .calls = true },
	{ "a part of its spilt address", { STORE(10, -8, 1),
	  INSN(BPF_LDX | BPF_MEM | BPF_W, 0, 10, -8, 0), MAP(2), STORE(2, 0, 0), EXIT },
	  .escapes = true },
	{ "overwritten on the stack", { STORE(10, -8, 1), SET(1, 0), STORE(10, -8, 1),
	  LOAD(2, 10, -8), MAP(3), STORE(3, 0, 2), EXIT }, .stores = true },
	{ "on one path", { JEQ(0, 0, 1), MOV(2, 1), SET(1, 0), LOAD(0, 2, 112), EXIT },
	  .escapes = true },
	{ "on both", { JEQ(0, 0, 2), MOV(2, 1), JA(1), MOV(2, 1), SET(1, 0), LOAD(0, 2, 112),
	  EXIT }, .fields = DI },
	{ "at one of two offsets", { JEQ(0, 0, 1), ADD(1, 8), LOAD(0, 1, 104), EXIT },
	  .escapes = true },
	{ "lost in a loop", { SET(2, 3), MOV(3, 1), LOAD(0, 3, 112), SET(3, 0), ADD(2, -1),
	  INSN(BPF_JMP | BPF_JNE | BPF_K, 2, 0, -4, 0), EXIT }, .escapes = true },
	{ "kept in a loop", { SET(2, 3), LOAD(0, 1, 112), ADD(2, -1),
	  INSN(BPF_JMP | BPF_JNE | BPF_K, 2, 0, -3, 0), EXIT }, .fields = DI },
	{ "a counter", { MAP(1), LOAD(2, 1, 0), ADD(2, 1), STORE(1, 0, 2), EXIT },
	  .stores = true },
	{ "an atomic counter", { MAP(1), SET(2, 1), ATOMIC(1, 0, 2, BPF_ADD), EXIT } },
	{ "a number in a map", { MAP(1), INSN(BPF_ST | BPF_MEM | BPF_DW, 1, 0, 0, 7), EXIT },
	  .stores = true },
	{ "the stack", { SET(1, 1), STORE(10, -8, 1), ATOMIC(10, -8, 1, BPF_ADD), EXIT } },
	{ "a release", { MAP(1), SET(2, 1), ATOMIC(1, 0, 2, 0x110), EXIT }, .stores = true },
	{ "an acquisition of the context", { ATOMIC(0, 112, 1, 0x100), EXIT }, .escapes = true },
	{ "per CPU", { SET(1, 0), INSN(BPF_ALU64 | BPF_MOV | BPF_X, 0, 1, -1, 0), EXIT },
	  .percpu = true },
	{ "a tail call", { INSN(BPF_JMP | 0xf0, 0, 0, 0, 0), EXIT }, .escapes = true },
	{ "a table", { INSN(BPF_JMP | BPF_JA | BPF_X, 2, 0, 0, 0), EXIT }, .escapes = true },
	{ "out of the code", { JA(40), EXIT }, .escapes = true },
	{ "no end", { SET(0, 0) }, .escapes = true },
	{ "what nobody knows", { INSN(BPF_LD | BPF_ABS | BPF_W, 0, 0, 0, 0), EXIT },
	  .escapes = true },
	{ "never executed", { JA(1), STORE(1, 112, 0), EXIT } },
};

static u32 length(const struct bpf_insn *insn)
{
	u32 nr = 16;

	while (nr > 1 && !insn[nr - 1].code && !insn[nr - 1].imm)
		nr--;
	return nr;
}

static void check_rows(void)
{
	static struct ktramp_ebpf_state states[16];
	struct ktramp_ebpf e;

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		bool same;

		ktramp_ebpf_scan(&e, row->insn, length(row->insn), takes_none, states);
		/* What escapes may have been found before all else was. */
		same = e.escapes == row->escapes && !e.why == !e.escapes;
		if (!e.escapes)
			same &= e.fields == row->fields && e.calls == row->calls &&
				e.stores == row->stores && e.percpu == row->percpu;
		printf("%sok ebpf: %s\n", same ? "" : "not ", row->name);
		if (!same)
			printf("# %x, escapes %d (%s, at %u), calls %d, stores %d, per-CPU %d\n",
			       e.fields, e.escapes, e.why ?: "", e.at, e.calls, e.stores,
			       e.percpu);
		failed += !same;
	}
}

static uint64_t rng = 0x6b7472616d70;

static uint64_t draw(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

/* Whatever it reads, it ends, and stays in its memory. */
static void check_noise(unsigned int rounds)
{
	static struct ktramp_ebpf_state *states;
	static struct bpf_insn insn[64];
	unsigned long escaped = 0;
	struct ktramp_ebpf e;

	for (unsigned int i = 0; i < rounds; i++) {
		u32 nr = 1 + draw() % ARRAY_SIZE(insn);

		for (u32 k = 0; k < nr; k++) {
			uint64_t bits = draw();

			memcpy(&insn[k], &bits, sizeof(bits));
			/* Most are ones that exist, of registers that exist, and near. */
			if (bits & 7) {
				insn[k].dst_reg = draw() % 11;
				insn[k].src_reg = draw() % 11;
				insn[k].off = (int)(draw() % 16) - 8;
				insn[k].imm = (int)(draw() % 64) - 32;
			}
		}
		/* At the end of what may be read. */
		states = malloc(nr * sizeof(*states));
		ktramp_ebpf_scan(&e, insn, nr, takes_none, states);
		escaped += e.escapes;
		free(states);
	}
	printf("ok ebpf: %u programs of noise, %lu of them not understood\n", rounds, escaped);
}

/* ---- compiled code ---- */

#define ENTRY	"\xf3\x0f\x1e\xfa\x0f\x1f\x44\x00\x00\x66\x90"
#define FRAME	"\x55\x48\x89\xe5\xf3\x0f\x1e\xfa"
#define LEAVE	"\x31\xc0\xc9\xc3"
#define AX	(1 << 0)
#define CX	(1 << 1)
#define DX	(1 << 2)
#define RSI	(1 << 6)
#define RDI	(1 << 7)

static const struct code_row {
	const char *name;
	const char *code;
	unsigned int len;
	u16 clobbers;
	bool calls, percpu, refused, body;
} code_rows[] = {
#define CODE(bytes)	(bytes), sizeof(bytes) - 1
	{ "nothing", CODE(ENTRY FRAME LEAVE), AX, .body = true },
	{ "without an endbr64", CODE("\x0f\x1f\x44\x00\x00" FRAME LEAVE), AX, .body = true },
	{ "an int3 behind the return", CODE(ENTRY FRAME LEAVE "\xcc"), AX, .body = true },
	/* mov 112(%rdi),%rsi; mov %esi,%edx */
	{ "loads and moves", CODE(ENTRY FRAME "\x48\x8b\x77\x70\x89\xf2" LEAVE), AX | RSI | DX,
	  .body = true },
	/* push %rbx; mov %rdi,%rbx; pop %rbx */
	{ "what is preserved", CODE(ENTRY FRAME "\x53\x48\x89\xfb\x5b" LEAVE), AX, .body = true },
	/* mov %cl,%dl: a part */
	{ "a part of one", CODE(ENTRY FRAME "\x88\xca" LEAVE), AX | CX | DX, .body = true },
	/* cmove %rsi,%rcx: perhaps */
	{ "perhaps", CODE(ENTRY FRAME "\x48\x0f\x44\xce" LEAVE), AX | CX | RSI, .body = true },
	/* lock xadd %rdx,(%rdi) */
	{ "xadd", CODE(ENTRY FRAME "\xf0\x48\x0f\xc1\x17" LEAVE), AX | DX | RDI, .body = true },
	/* sub $8,%rsp */
	{ "a stack", CODE(ENTRY FRAME "\x48\x81\xec\x08\x00\x00\x00" LEAVE), AX },
	/* mov -8(%rbp),%rdx */
	{ "a frame", CODE(ENTRY FRAME "\x48\x8b\x55\xf8" LEAVE), AX | DX },
	/* call .+0x1000 */
	{ "a call", CODE(ENTRY FRAME "\xe8\x00\x10\x00\x00" LEAVE), KTRAMP_CALLER_SAVED,
	  .calls = true },
	/* mov %gs:0x20,%edx */
	{ "per CPU", CODE(ENTRY FRAME "\x65\x8b\x14\x25\x20\x00\x00\x00" LEAVE), AX | DX,
	  .percpu = true, .body = true },
	/* je 1f; mov %rdi,%rdx; 1: */
	{ "a branch", CODE(ENTRY FRAME "\x74\x03\x48\x89\xfa" LEAVE), AX | DX, .body = true },
	{ "a branch into an instruction", CODE(ENTRY FRAME "\x74\x01\x48\x89\xfa" LEAVE),
	  .refused = true },
	{ "a branch out", CODE(ENTRY FRAME "\x0f\x84\x00\x10\x00\x00" LEAVE), .refused = true },
	{ "an indirect jump", CODE(ENTRY FRAME "\xff\xe1" LEAVE), .refused = true },
	{ "an indirect call", CODE(ENTRY FRAME "\xff\xd0" LEAVE), .refused = true },
	{ "the return thunk", CODE(ENTRY FRAME "\x31\xc0\xc9\xe9\x00\x10\x00\x00"), AX,
	  .body = true },
	{ "another jump out", CODE(ENTRY FRAME "\x31\xc0\xc9\xe9\x01\x10\x00\x00"),
	  .refused = true },
	{ "something attached", CODE("\xf3\x0f\x1e\xfa\xe8\x00\x10\x00\x00" FRAME LEAVE),
	  .refused = true },
	{ "an int3 that is reached", CODE(ENTRY FRAME "\xcc" LEAVE), .refused = true },
	{ "std", CODE(ENTRY FRAME "\xfd" LEAVE), .refused = true },
	{ "cli", CODE(ENTRY FRAME "\xfa" LEAVE), .refused = true },
	{ "xorps", CODE(ENTRY FRAME "\x0f\x57\xc1" LEAVE), .refused = true },
	{ "no end", CODE(ENTRY FRAME "\x31\xc0"), .refused = true },
	{ "cut off", CODE(ENTRY FRAME "\x48"), .refused = true },
};

#define ADDR	0xffffffffc0100000ULL

static bool scan_code(struct ktramp_jited *j, const u8 *bytes, unsigned int len, u64 thunk)
{
	const struct ktramp_jited_code code = {
		.code = bytes, .len = len, .addr = ADDR, .thunk = thunk,
	};
	u8 *starts = calloc(len, 1);

	ktramp_jited_scan(j, &code, starts);
	free(starts);
	return !j->why;
}

static void check_code_rows(void)
{
	/* Where the row's jump goes, counted from its end. */
	const u64 thunk = ADDR + sizeof(ENTRY FRAME "\x31\xc0\xc9\xe9....") - 1 + 0x1000;
	struct ktramp_jited j;

	for (unsigned int i = 0; i < ARRAY_SIZE(code_rows); i++) {
		const struct code_row *row = &code_rows[i];
		u8 *copy = malloc(row->len);
		bool same;

		memcpy(copy, row->code, row->len);
		same = scan_code(&j, copy, row->len, thunk) == !row->refused;
		if (!row->refused)
			same &= j.clobbers == row->clobbers && j.calls == row->calls &&
				j.percpu == row->percpu && !!j.body == row->body;
		printf("%sok jited: %s\n", same ? "" : "not ", row->name);
		if (!same)
			printf("# clobbers %x, calls %d, per-CPU %d, body %u, %s\n", j.clobbers,
			       j.calls, j.percpu, j.body, j.why ?: "understood");
		failed += !same;
		free(copy);
	}
}

static u16 gpr_of(ZydisRegister reg)
{
	ZydisRegister wide = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);

	return wide >= ZYDIS_REGISTER_RAX && wide <= ZYDIS_REGISTER_R15 ?
	       1U << (wide - ZYDIS_REGISTER_RAX) : 0;
}

/* What Zydis says that an instruction may write. */
static u16 written(const ZydisDecoder *decoder, const u8 *bytes, unsigned int len)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	u16 regs = 0;

	if (ZYAN_FAILED(ZydisDecoderDecodeFull(decoder, bytes, len, &insn, operands)))
		return 0;
	for (unsigned int i = 0; i < insn.operand_count; i++)
		if (operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    (operands[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			regs |= gpr_of(operands[i].reg.value);
	return regs;
}

/* Each drawn instruction in a program of its own: none is left out of what it may change. */
static void check_writes(unsigned int rounds)
{
	static const char head[] = ENTRY FRAME, tail[] = LEAVE;
	unsigned int at = sizeof(head) - 1, understood = 0, wrong = 0;
	u8 bytes[64];
	struct ktramp_insn insn;
	struct ktramp_jited j;
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	memcpy(bytes, head, at);
	for (unsigned int i = 0; i < rounds; i++) {
		u64 random[2] = { draw(), draw() };
		u16 regs;

		memcpy(bytes + at, random, sizeof(random));
		/* Half of them with a REX prefix, as nearly all of the JIT's. */
		if (random[1] & 1)
			bytes[at] = 0x40 | (bytes[at] & 15);
		if (ktramp_insn_decode(&insn, bytes + at, KTRAMP_INSN_MAX) < 0)
			continue;
		memcpy(bytes + at + insn.len, tail, sizeof(tail) - 1);
		if (!scan_code(&j, bytes, at + insn.len + sizeof(tail) - 1, 0))
			continue;
		understood++;
		regs = written(&decoder, bytes + at, insn.len) & KTRAMP_CALLER_SAVED;
		if (!(regs & ~j.clobbers))
			continue;
		if (wrong++ < 5) {
			printf("# writes %x, known are %x:", regs, j.clobbers);
			for (unsigned int k = 0; k < insn.len; k++)
				printf(" %02x", bytes[at + k]);
			printf("\n");
		}
	}
	printf("%sok jited: %u of %u drawn instructions understood, %u write more\n",
	       wrong || !understood ? "not " : "", understood, rounds, wrong);
	failed += wrong || !understood;
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : 300000;

	check_rows();
	check_noise(rounds / 10);
	check_code_rows();
	check_writes(rounds);
	printf("# %u failed\n", failed);
	return !!failed;
}
