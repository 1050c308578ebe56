// SPDX-License-Identifier: GPL-2.0-only
/*
 * module/plan/plan.c without a kernel: what it refuses, which bytes a jump displaces, and
 * whether the relocated code, read by another decoder, does what the original did.
 */
#include <Zydis/Zydis.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../module/plan/plan.h"

#define FUNC	0xffffffffc0200000ULL	/* where the function under test lives */
#define DETOUR	0xffffffffc0301230ULL	/* where its copy goes */

#define ARRAY_SIZE(_a)	(sizeof(_a) / sizeof((_a)[0]))

static unsigned int failures, checks;

#define CHECK(condition, ...)							\
	do {									\
		checks++;							\
		if (!(condition)) {						\
			failures++;						\
			printf("%s:%d: %s: ", __FILE__, __LINE__, #condition);	\
			printf(__VA_ARGS__);					\
			printf("\n");						\
		}								\
	} while (0)

/* ---- refusals and regions: bytes of a function, offset of a site, what is expected ---- */

struct region_row {
	const char *what;
	const char *code;	/* hex, spaces between instructions */
	unsigned int site;
	unsigned int reason;	/* 0: a region, of @len bytes and @nr instructions */
	unsigned int len, nr;
	bool ends;
	unsigned int pin;	/* offset of the first int3 in the jump */
	unsigned int jump;	/* its bytes, if it needs more than 5 */
};

static const struct region_row regions[] = {
	{ "one of 7 bytes", "488d8778563412 c3", 0, 0, 7, 1, false },
	{ "one of exactly 5", "e906000000 cccccccccccc c3", 0, 0, 5, 1, true },
	{ "4 + 4 bytes", "488d0437 4883c001 c3", 0, 0, 8, 2, false },
	{ "five of one byte", "90 90 90 90 90 c3", 0, 0, 5, 5, false },
	{ "a site in the middle", "90 488d0437 4883c001 c3", 1, 0, 8, 2, false },
	{ "ret, padding behind it", "c3 cccccccc", 0, 0, 5, 1, true },
	{ "jmp short, padding behind it", "eb03 cccccc c3", 0, 0, 5, 1, true },
	{ "ret, too little padding", "c3 cccc", 0, KTRAMP_R_SHORT, 0, 0, false },
	{ "ret, nops behind it", "c3 90 90 90 90 90", 0, 0, 5, 1, true },
	{ "ret, code behind it", "c3 4883c001 c3", 0, 0, 5, 2, false, 1 },
	{ "ret, padding, code", "c3 90 4883c001 c3", 0, 0, 6, 2, false, 2 },
	{ "ret, code too far behind it", "c3 90 90 90 4883c001 c3", 0, 0, 8, 2, false, 4, 7 },
	{ "two rets", "c3 c3 c3 9090", 0, 0, 5, 3, true, 1 },
	{ "three rets and code", "c3 c3 c3 4883c001", 0, KTRAMP_R_TARGETED },
	{ "4 bytes left", "488d0437", 0, KTRAMP_R_SHORT, 0, 0, false },
	{ "a loop to byte 4", "488d0437 4883c001 75fa c3", 0, 0, 8, 2, false, 4, 7 },
	{ "loops to bytes 1 and 4", "90 488d00 4883c001 75fa 75f5 c3", 0, KTRAMP_R_TARGETED },
	{ "a loop to the middle of byte 0", "488d8778563412 75fb c3", 0, KTRAMP_R_TARGETED },
	{ "a loop to byte 1", "90 90 90 90 90 75fa c3", 0, 0, 5, 5, false, 1 },
	{ "a loop to byte 0", "90 90 90 90 90 75f9 c3", 0, 0, 5, 5, false },
	{ "a loop to byte 5", "488d8778563412 75fc c3", 0, 0, 7, 1, false },
	{ "a jump from far behind",
	  "90 90 90 90 90 90 eb f9 c3", 0, 0, 5, 5, false, 1 },
	{ "a branch from in front",
	  "7501 90 90 90 90 90 90 c3", 2, 0, 5, 5, false, 1 },
	{ "an indirect jump anywhere", "488d0437 90 ffe0", 0, KTRAMP_R_INDIRECT, 0, 0, false },
	{ "it, and one instruction", "488d8778563412 ffe0", 0, 0, 7, 1, false },
	{ "it is the one instruction", "ff24c578563412", 0, 0, 7, 1, true },
	{ "it, and padding taken", "eb00 cc cc cc ffe0", 0, KTRAMP_R_INDIRECT, 0, 0, false },
	{ "it, and a ret's padding", "c3 cc cc cc cc ffe0", 0, KTRAMP_R_INDIRECT, 0, 0, false },
	{ "call *%rax, 2 bytes", "ffd0 4801f0 c3", 0, 0, 5, 2, false, 2 },
	{ "call rel32 last in it", "90 e800000000 c3", 0, 0, 6, 2, false },
	{ "call in its first bytes", "ffd0 90 90 90 c3", 0, 0, 5, 4, false, 2 },
	{ "a jcc back into it", "90 75fe 90 90 90 c3", 0, 0, 5, 4, false, 1 },
	{ "int3 in it", "90 cc 90 90 90 c3", 0, KTRAMP_R_PATCHED, 0, 0, false },
	{ "ud2 in it", "90 0f0b 90 90 c3", 0, KTRAMP_R_TRAPS, 0, 0, false },
	{ "iret in it", "90 48cf 90 90 90 c3", 0, KTRAMP_R_TRAPS, 0, 0, false },
	{ "mov to SS in it", "8ed0 90 90 90 c3", 0, KTRAMP_R_REGION, 0, 0, false },
	{ "sti last, hlt behind it", "488d0437 fb f4 c3", 0, KTRAMP_R_REGION, 0, 0, false },
	{ "sti last, mwait behind it", "488d0437 fb 0f01c9", 0, KTRAMP_R_REGION, 0, 0, false },
	{ "sti last, the function's end", "488d0437 fb", 0, 0, 5, 2, false },
	{ "sti last, hlt at the end", "488d0437 fb f4", 0, KTRAMP_R_REGION, 0, 0, false },
	{ "hlt behind sti", "90 fb f4 90 90 90 90 c3", 2, KTRAMP_R_REGION, 0, 0, false },
	{ "mwait behind sti", "fb 0f01c9 90 90 c3", 1, KTRAMP_R_REGION, 0, 0, false },
	{ "mwaitx behind sti", "fb 0f01fb 90 90 c3", 1, KTRAMP_R_REGION, 0, 0, false },
	{ "hlt behind no sti", "fb 90 f4 90 90 90 90 c3", 2, 0, 5, 5, false },
	{ "hlt behind 0xfb, no sti", "b8000000fb f4 90 90 90 90 c3", 5, 0, 5, 5, false },
	{ "sti and hlt, both displaced", "90 fb f4 90 90 c3", 0, 0, 5, 5, false },
	{ "nop behind sti", "fb 90 90 90 90 90 c3", 1, 0, 5, 5, false },
	{ "xbegin in it", "c7f800000000 c3", 0, KTRAMP_R_REGION, 0, 0, false },
	{ "call through the stack", "ff542408 90 90 c3", 0, KTRAMP_R_REGION, 0, 0, false },
	{ "no instruction in it", "90 06 90 90 90 c3", 0, KTRAMP_R_DECODE, 0, 0, false },
	{ "no instruction elsewhere", "488d8778563412 06 c3", 0, KTRAMP_R_DECODE, 0, 0, false },
	{ "inside an instruction", "488d8778563412 c3", 3, KTRAMP_R_BOUNDARY, 0, 0, false },
	{ "behind the function", "488d8778563412 c3", 8, KTRAMP_R_BOUNDARY, 0, 0, false },
	{ "behind no instruction", "06 488d8778563412 c3", 1, KTRAMP_R_DECODE, 0, 0, false },
};

static size_t unhex(const char *text, u8 *bytes)
{
	size_t n = 0;

	while (*text) {
		unsigned int byte;

		if (*text == ' ') {
			text++;
			continue;
		}
		sscanf(text, "%2x", &byte);
		bytes[n++] = byte;
		text += 2;
	}
	return n;
}

/* A function of these bytes, marked. */
static struct ktramp_func function(const u8 *code, u32 size)
{
	static const struct ktramp_thunks no_thunks;
	static u8 marks[64];
	struct ktramp_func func = { .code = code, .marks = marks, .addr = FUNC, .size = size };

	ktramp_func_scan(&func, &no_thunks);
	return func;
}

static void check_regions(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(regions); i++) {
		const struct region_row *row = &regions[i];
		struct ktramp_refusal r = { 0 };
		struct ktramp_region region = { 0 };
		struct ktramp_site site;
		unsigned int jump = row->jump ? row->jump : KTRAMP_JMP_SIZE;
		u8 code[64];
		struct ktramp_func func = function(code, unhex(row->code, code));
		int err = ktramp_plan_site(&site, &func, row->site, &r);

		if (!err)
			err = ktramp_plan_region(&site, &region, &r);
		CHECK(r.reason == row->reason, "%s: reason %u, expected %u (%s)", row->what,
		      r.reason, row->reason, r.why);
		CHECK(!err == !row->reason, "%s: error %d", row->what, err);
		CHECK(!row->reason || r.why[0], "%s: refused without a sentence", row->what);
		if (err || row->reason)
			continue;
		CHECK(region.len == row->len, "%s: %u bytes", row->what, region.len);
		CHECK(region.nr == row->nr, "%s: %u instructions", row->what, region.nr);
		CHECK(region.ends == row->ends, "%s: ends %d", row->what, region.ends);
		CHECK(!region.nr_pins == !row->pin && region.pin[0].at == row->pin,
		      "%s: %u pins, at %u", row->what, region.nr_pins, region.pin[0].at);
		CHECK(region.jump == jump, "%s: a jump of %u bytes", row->what, region.jump);
	}
}

/* ---- relocation, as Zydis reads it ---- */

static ZydisDecoder decoder;

struct decoded {
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	u64 addr;
};

static bool decode(struct decoded *d, const u8 *bytes, size_t len, u64 addr)
{
	d->addr = addr;
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, len, &d->insn, d->op));
}

/* The absolute address of a relative or RIP-relative operand; 0 if it has none. */
static u64 absolute(const struct decoded *d)
{
	for (unsigned int i = 0; i < d->insn.operand_count; i++) {
		ZyanU64 to;

		if (d->op[i].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && !d->op[i].imm.is_relative)
			continue;
		if (d->op[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
		    d->op[i].mem.base != ZYDIS_REGISTER_RIP)
			continue;
		if (d->op[i].type != ZYDIS_OPERAND_TYPE_IMMEDIATE &&
		    d->op[i].type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		if (ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&d->insn, &d->op[i], d->addr, &to)))
			return to;
	}
	return 0;
}

struct copy {
	u8 bytes[128];
	struct decoded insn[8];
	unsigned int nr;
};

/* Relocate the site's single instruction and read the result. */
static bool relocate(const u8 *code, size_t size, struct copy *copy, struct ktramp_emit *e)
{
	struct ktramp_func func = function(code, size);
	struct ktramp_refusal r = { 0 };
	struct ktramp_site site;
	u32 at = 0;

	*e = (struct ktramp_emit){ .buf = copy->bytes, .max = sizeof(copy->bytes), .addr = DETOUR };
	copy->nr = 0;
	if (ktramp_plan_site(&site, &func, 0, &r) || ktramp_plan_copy(&site, &r))
		return false;
	ktramp_synthesize_insn(e, &site.insn, code, FUNC);
	while (!e->err && at < e->len) {
		struct decoded *d = &copy->insn[copy->nr++];

		if (copy->nr > 8 || !decode(d, copy->bytes + at, e->len - at, DETOUR + at))
			return false;
		at += d->insn.length;
	}
	return true;
}

/* A branch of each kind, from its bytes: the mnemonics of its copy. */
static const struct {
	const char *code;
	ZydisMnemonic copy[3];
} branches[] = {
	{ "eb10", { ZYDIS_MNEMONIC_JMP } },
	{ "e900010000", { ZYDIS_MNEMONIC_JMP } },
	{ "7410", { ZYDIS_MNEMONIC_JZ } },
	{ "75f0", { ZYDIS_MNEMONIC_JNZ } },
	{ "0f8c00100000", { ZYDIS_MNEMONIC_JL } },
	{ "0f8f00f0ffff", { ZYDIS_MNEMONIC_JNLE } },
	{ "e210", { ZYDIS_MNEMONIC_LOOP, ZYDIS_MNEMONIC_JMP, ZYDIS_MNEMONIC_JMP } },
	{ "e110", { ZYDIS_MNEMONIC_LOOPE, ZYDIS_MNEMONIC_JMP, ZYDIS_MNEMONIC_JMP } },
	{ "e310", { ZYDIS_MNEMONIC_JRCXZ, ZYDIS_MNEMONIC_JMP, ZYDIS_MNEMONIC_JMP } },
	{ "67e310", { ZYDIS_MNEMONIC_JECXZ, ZYDIS_MNEMONIC_JMP, ZYDIS_MNEMONIC_JMP } },
	{ "e800010000", { ZYDIS_MNEMONIC_PUSH, ZYDIS_MNEMONIC_JMP } },
	{ "e8f0ffffff", { ZYDIS_MNEMONIC_PUSH, ZYDIS_MNEMONIC_JMP } },
	{ "ffd0", { ZYDIS_MNEMONIC_PUSH, ZYDIS_MNEMONIC_JMP } },
	{ "ff1500100000", { ZYDIS_MNEMONIC_PUSH, ZYDIS_MNEMONIC_JMP } },
	{ "41ff5308", { ZYDIS_MNEMONIC_PUSH, ZYDIS_MNEMONIC_JMP } },
	{ "c3", { ZYDIS_MNEMONIC_RET } },
};

static void check_branches(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(branches); i++) {
		struct decoded from;
		struct ktramp_emit e;
		struct copy copy;
		unsigned int nr = 0;
		u8 code[16];
		size_t len = unhex(branches[i].code, code);

		if (!decode(&from, code, len, FUNC) || !relocate(code, len, &copy, &e)) {
			CHECK(false, "%s: not relocated", branches[i].code);
			continue;
		}
		while (nr < 3 && branches[i].copy[nr])
			nr++;
		CHECK(copy.nr == nr, "%s: %u instructions", branches[i].code, copy.nr);
		for (unsigned int j = 0; j < nr && j < copy.nr; j++)
			CHECK(copy.insn[j].insn.mnemonic == branches[i].copy[j], "%s: %s",
			      branches[i].code,
			      ZydisMnemonicGetString(copy.insn[j].insn.mnemonic));
		/* Its last jump goes where the branch did; a call returns to the old address. */
		CHECK(absolute(&copy.insn[copy.nr - 1]) == absolute(&from), "%s: to %llx",
		      branches[i].code, (unsigned long long)absolute(&copy.insn[copy.nr - 1]));
		if (copy.insn[0].insn.mnemonic == ZYDIS_MNEMONIC_PUSH)
			CHECK((u64)copy.insn[0].op[0].imm.value.s == FUNC + len,
			      "%s: pushes another return address", branches[i].code);
		/* Taken, a loop skips the jump that skips the other one. */
		if (nr == 3) {
			CHECK(absolute(&copy.insn[0]) == copy.insn[2].addr, "%s: taken",
			      branches[i].code);
			CHECK(absolute(&copy.insn[1]) == DETOUR + e.len, "%s: not taken",
			      branches[i].code);
		}
	}
}

/* ---- springboards: what is refused with no gap around, and gaps ---- */

#define NO_BOARD	INT32_MIN
#define ANYWHERE	0x40

struct spring_row {
	const char *what;
	const char *code;	/* as of struct region_row */
	unsigned int site;
	unsigned int reason;	/* without gaps, and with these if @board is NO_BOARD */
	s32 gap[2], len[2];	/* offsets from the function; the second one may be missing */
	s32 board;		/* where the springboard is, as an offset from the function */
	unsigned int bytes, nr;	/* of the region */
	bool ends;
	unsigned int owned, fixup;	/* offsets of instructions so marked, 0: none */
};

#define GAP(_at, _len)		{ _at }, { _len }
#define GAPS(_a, _la, _b, _lb)	{ _a, _b }, { _la, _lb }
#define NEAR			GAP(ANYWHERE, 16), ANYWHERE
#define NEAR_IN_VAIN		GAP(ANYWHERE, 16), NO_BOARD
#define SHORT			0, KTRAMP_R_SHORT

static const struct spring_row springs[] = {
	/* what is in the way of 5 bytes */
	{ "a branch to byte 3", "7503 4801f0 ebf9", 2, KTRAMP_R_TARGETED, NEAR, 3, 1, false },
	{ "a branch to byte 4", "7504 4801f0 90 c3", 2, KTRAMP_R_TARGETED, NEAR, 3, 1, false },
	{ "a branch to byte 2", "7502 9090 ebfc", 2, KTRAMP_R_SHORT, NEAR, 2, 2, false },
	{ "too short", "c3 cc", SHORT, NEAR, 2, 1, true },
	{ "too short, a nop", "c3 90 90", SHORT, NEAR, 2, 1, true },
	{ "too short by a byte", "4801f0 c3", SHORT, NEAR, 3, 1, false },
	{ "one long instruction", "488d0437", SHORT, NEAR, 4, 1, false },
	{ "two of one byte", "90 c3", SHORT, NEAR, 2, 2, true },
	{ "of one byte, and a long one", "90 4801f0", SHORT, NEAR, 4, 2, false },
	{ "a call returns behind it", "ffd0 c3", SHORT, NEAR, 2, 1, false },
	{ "a neighbour that is owned", "4801f0 0f1f440000 c3", 0, KTRAMP_R_PATCHED, NEAR, 3, 1,
	  false, 3 },
	{ "two, and one that is owned", "90 90 e800000000 c3", 0, KTRAMP_R_PATCHED, NEAR, 2, 2,
	  false, 2 },
	{ "a neighbour that faults", "4801f0 488b00 c3", 0, KTRAMP_R_FAULTS, NEAR, 3, 1, false,
	  0, 3 },
	{ "a neighbour that traps", "90 90 0f0b", 0, KTRAMP_R_TRAPS, NEAR, 2, 2, false },
	{ "a neighbour that is bound to its next", "4801f0 8ed0 c3", 0, KTRAMP_R_REGION, NEAR, 3,
	  1, false },
	{ "sti and its hlt", "fb f4 c3", SHORT, NEAR, 2, 2, false },
	{ "an indirect jump", "4801f0 90 90 ffe0", 0, KTRAMP_R_INDIRECT, NEAR, 3, 1, false },
	{ "it is one", "ffe0 90 90 90", 0, KTRAMP_R_INDIRECT, NEAR, 2, 1, true },

	/* and of 2 */
	{ "one byte is left", "4801f0 c3", 3, KTRAMP_R_SHORT, NEAR_IN_VAIN },
	{ "branches to bytes 1 and 4", "90 488d00 4883c001 75fa 75f5 c3", 0,
	  KTRAMP_R_TARGETED, NEAR_IN_VAIN },
	{ "code behind a ret", "c3 c3 c3 4883c001", 0, KTRAMP_R_TARGETED, NEAR_IN_VAIN },
	{ "into the instruction", "4801f0 75fc", 0, KTRAMP_R_TARGETED, NEAR_IN_VAIN },
	{ "the second one is owned", "90 0f1f440000 c3", 0, KTRAMP_R_PATCHED, NEAR_IN_VAIN,
	  .owned = 1 },
	{ "the second one traps", "90 0f0b c3", 0, KTRAMP_R_TRAPS, NEAR_IN_VAIN },
	{ "the second one faults", "90 488b00 c3", 0, KTRAMP_R_FAULTS, NEAR_IN_VAIN,
	  .fixup = 1 },
	{ "it traps itself", "0f0b c3", 0, KTRAMP_R_TRAPS, NEAR_IN_VAIN },
	{ "sti, and hlt behind it", "90 fb f4 c3", 0, KTRAMP_R_SHORT, NEAR_IN_VAIN },
	{ "an indirect jump, and two", "90 90 90 90 90 ffe0", 0, KTRAMP_R_INDIRECT, NEAR_IN_VAIN },
	{ "no instruction", "4801f0 c3 06", 0, KTRAMP_R_DECODE, NEAR_IN_VAIN },

	/* how far: 127 bytes on and 128 back, from behind the short jump */
	{ "just within reach", "c3 cc", SHORT, GAP(2 + 127, 5), 2 + 127, 2, 1, true },
	{ "just out of reach", "c3 cc", SHORT, GAP(2 + 128, 5), NO_BOARD },
	{ "just within reach, back", "c3 cc", SHORT, GAP(2 - 128, 5), 2 - 128, 2, 1, true },
	{ "just out of reach, back", "c3 cc", SHORT, GAP(2 - 129, 5), NO_BOARD },
	{ "from out of reach, back", "c3 cc", SHORT, GAP(2 - 129, 6), 2 - 128, 2, 1, true },
	{ "from far out of reach, back", "c3 cc", SHORT, GAP(-200, 79), 2 - 128, 2, 1, true },
	{ "from far, a byte too few", "c3 cc", SHORT, GAP(-200, 78), NO_BOARD },
	{ "from the site, not the function", "90 90 90 c3 cc", 3, KTRAMP_R_SHORT,
	  GAP(5 + 127, 5), 5 + 127, 2, 1, true },
	{ "from the site, back", "90 90 90 c3 cc", 3, KTRAMP_R_SHORT, GAP(4 - 128, 5), NO_BOARD },

	/* how much */
	{ "4 bytes", "c3 cc", SHORT, GAP(ANYWHERE, 4), NO_BOARD },
	{ "5 bytes", "c3 cc", SHORT, GAP(ANYWHERE, 5), ANYWHERE, 2, 1, true },
	{ "the lower of two", "c3 cc", SHORT, GAPS(-32, 8, 32, 8), -32, 2, 1, true },
	{ "not the lower of two", "c3 cc", SHORT, GAPS(-32, 4, 32, 5), 32, 2, 1, true },
	{ "neither of two", "c3 cc", SHORT, GAPS(-32, 4, 32, 4), NO_BOARD },

	/* what the region itself took */
	{ "its first byte is taken", "c3 90", SHORT, GAP(1, 6), 2, 2, 1, true },
	{ "its first byte is taken, 4 left", "c3 90", SHORT, GAP(1, 5), NO_BOARD },
	{ "right behind the region", "c3 90", SHORT, GAP(2, 5), 2, 2, 1, true },
	{ "right in front of the site", "c3 90", SHORT, GAP(-5, 5), -5, 2, 1, true },
	{ "across the site", "c3 90", SHORT, GAP(-4, 10), NO_BOARD },
	{ "across the site and on", "c3 90", SHORT, GAP(-4, 11), 2, 2, 1, true },
};

static struct ktramp_gaps gaps_of(const struct spring_row *row)
{
	struct ktramp_gaps gaps = { 0 };

	for (unsigned int i = 0; i < 2 && row->len[i]; i++)
		gaps.gap[gaps.nr++] = (struct ktramp_gap){ FUNC + (s64)row->gap[i], row->len[i] };
	return gaps;
}

/* The short jump, as another decoder reads it. */
static void check_short_jump(const struct ktramp_site *site, u64 to, const char *what)
{
	u8 bytes[KTRAMP_JUMP_MAX];
	struct ktramp_emit e = { .buf = bytes, .max = sizeof(bytes), .addr = site->addr };
	struct decoded jmp;

	ktramp_synthesize_jump(&e, KTRAMP_JMP8_SIZE, to);
	CHECK(!e.err && e.len == 2 && bytes[0] == 0xeb, "%s: a jump of %u bytes", what, e.len);
	CHECK(decode(&jmp, bytes, e.len, site->addr) && jmp.insn.length == 2 &&
	      jmp.insn.mnemonic == ZYDIS_MNEMONIC_JMP && absolute(&jmp) == to,
	      "%s: the jump goes to %llx", what, (unsigned long long)absolute(&jmp));
}

static void check_spring(const struct spring_row *row, const struct ktramp_site *site)
{
	struct ktramp_region region = { 0 };
	struct ktramp_refusal r = { 0 };
	u64 board = FUNC + (s64)row->board;

	CHECK(!ktramp_plan_region(site, &region, &r), "%s: refused: %s", row->what, r.why);
	CHECK(r.reason == KTRAMP_R_NONE && !r.why[0], "%s: planned, but %s", row->what, r.why);
	CHECK(region.tactic == KTRAMP_TACTIC_SPRINGBOARD, "%s: tactic %u", row->what,
	      region.tactic);
	CHECK(region.springboard == board, "%s: at %+lld", row->what,
	      (long long)(region.springboard - FUNC));
	CHECK(region.jump == 2 && !region.nr_pins, "%s: a jump of %u bytes, %u pins", row->what,
	      region.jump, region.nr_pins);
	CHECK(region.len == row->bytes && region.nr == row->nr && region.ends == row->ends,
	      "%s: %u bytes, %u instructions, ends %d", row->what, region.len, region.nr,
	      region.ends);
	check_short_jump(site, board, row->what);
}

/* Without a gap that will do, the refusal is the one there was. */
static void check_no_spring(const struct spring_row *row, const struct ktramp_site *site, int err,
			    const struct ktramp_refusal *before)
{
	struct ktramp_region region = { 0 };
	struct ktramp_refusal r = { 0 };

	CHECK(ktramp_plan_region(site, &region, &r) == err, "%s: planned, or another error",
	      row->what);
	CHECK(r.reason == before->reason && !strcmp(r.why, before->why), "%s: '%s' became '%s'",
	      row->what, before->why, r.why);
}

static void check_springs(void)
{
	static const struct ktramp_gaps no_gaps;

	for (size_t i = 0; i < ARRAY_SIZE(springs); i++) {
		const struct spring_row *row = &springs[i];
		const struct ktramp_gaps gaps = gaps_of(row);
		struct ktramp_refusal r = { 0 };
		struct ktramp_region region = { 0 };
		struct ktramp_site site;
		u8 code[64];
		struct ktramp_func func = function(code, unhex(row->code, code));
		int err;

		if (row->owned)
			func.marks[row->owned] |= KTRAMP_M_OWNED;
		if (row->fixup)
			func.marks[row->fixup] |= KTRAMP_M_FIXUP;
		CHECK(!ktramp_plan_site(&site, &func, row->site, &r), "%s: no site", row->what);
		err = ktramp_plan_region(&site, &region, &r);
		CHECK(err && r.reason == row->reason, "%s: reason %u, expected %u (%s)",
		      row->what, r.reason, row->reason, r.why);
		site.gaps = &no_gaps;
		check_no_spring(row, &site, err, &r);
		site.gaps = &gaps;
		if (row->board == NO_BOARD) {
			check_no_spring(row, &site, err, &r);
			continue;
		}
		CHECK(ktramp_plan_may_spring(&r), "%s: nobody would look for gaps", row->what);
		check_spring(row, &site);
	}
}

/* A springboard is the last resort, and gaps are not looked for where they are of no use. */
static void check_spring_last(void)
{
	static const unsigned int in_vain[] = {
		KTRAMP_R_NONE, KTRAMP_R_BOUNDARY, KTRAMP_R_DECODE, KTRAMP_R_RANGE,
	};
	static const struct ktramp_gaps gaps = { .nr = 1, .gap = { { FUNC + ANYWHERE, 16 } } };

	for (size_t i = 0; i < ARRAY_SIZE(regions); i++) {
		const struct region_row *row = &regions[i];
		struct ktramp_refusal r = { 0 };
		struct ktramp_region region = { 0 };
		struct ktramp_site site;
		u8 code[64];
		struct ktramp_func func = function(code, unhex(row->code, code));

		if (row->reason || ktramp_plan_site(&site, &func, row->site, &r))
			continue;
		site.gaps = &gaps;
		CHECK(!ktramp_plan_region(&site, &region, &r) && !region.springboard &&
		      region.tactic != KTRAMP_TACTIC_SPRINGBOARD && region.len == row->len,
		      "%s: a springboard that it does not need", row->what);
	}
	for (size_t i = 0; i < ARRAY_SIZE(in_vain); i++)
		CHECK(!ktramp_plan_may_spring(&(struct ktramp_refusal){ .reason = in_vain[i] }),
		      "reason %u", in_vain[i]);
}

/* ---- padding at a function's end ---- */

#define NO_TAIL	-1

static const struct tail_row {
	const char *what;
	const char *code;
	s32 tail;
	unsigned int entered, owned;	/* offsets so marked, 0: none */
	bool owned_first;		/* or the function's first instruction */
} tails[] = {
	{ "nops behind a ret", "4801f0 c3 90 90 90 90 90", 4 },
	{ "long nops", "c3 0f1f440000 660f1f440000", 1 },
	{ "a jump to the padding", "eb00 90 90 90", NO_TAIL },
	{ "behind a jump elsewhere", "e900010000 90 90 90", 5 },
	{ "behind ud2", "0f0b 90 90 90", 2 },
	{ "behind iret", "48cf 90 90 90", 2 },
	{ "the int3 right behind stays", "c3 cc 90 90 90", 2 },
	{ "and no other one", "c3 cc cc cc cc", 2 },
	{ "an int3 further on does not", "c3 90 cc cc", 1 },
	{ "an int3 between nops hides code", "c3 90 cc 90 90 90 90", NO_TAIL },
	{ "the last ret counts", "7501 c3 4801f0 c3 90 90", 7 },
	{ "nops between", "c3 90 90 4801f0 c3 90", 7 },
	{ "no padding", "4801f0 c3", NO_TAIL },
	{ "one int3", "4801f0 c3 cc", NO_TAIL },
	{ "an entered nop", "c3 90 90 90 90", NO_TAIL, 2 },
	{ "an entered nop, then a ret", "c3 90 90 c3 90 90", 4, 2 },
	{ "a nop that a branch enters", "7501 c3 90 90 90", NO_TAIL },
	{ "an entered int3, and more", "c3 cc cc 90 90", 3, 2 },
	{ "an owned nop", "c3 90 0f1f440000 90 90", NO_TAIL, 0, 2 },
	{ "an owned nop, then a ret", "c3 0f1f440000 c3 90 90", 7, 0, 1 },
	{ "a static call that is a ret", "90 c3 cc cc cc cc 90 90", 6, 0, 1 },
	{ "one that is all", "c3 cc cc cc cc", NO_TAIL, 0, 0, true },
	{ "one and an int3", "c3 cc cc cc cc cc 90 90", 6, 0, 0, true },
	{ "one that is entered", "c3 cc cc cc cc 90 90", 5, 2, 0, true },
	{ "a jump label that is a jump", "e900010000 90 90", 5, 0, 0, true },
	{ "a short one at the end", "c3 eb10", NO_TAIL, 0, 1 },
	{ "a call does not end", "90 e800000000 90 90 90", NO_TAIL },
	{ "nor does a conditional jump", "c3 7510 90 90 90", NO_TAIL },
	{ "nothing but nops", "90 90 90 90 90 90", NO_TAIL },
	{ "nothing but int3", "cc cc cc cc cc cc", NO_TAIL },
	{ "bytes not known", "c3 90 90 90 90 06", NO_TAIL },
	{ "bytes not known in front", "06 c3 90 90 90 90", NO_TAIL },
	{ "an indirect jump", "ffe0 90 90 90 90", NO_TAIL },
	{ "one before", "7502 ffe0 c3 90 90 90", NO_TAIL },
};

static void check_tails(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
		const struct tail_row *row = &tails[i];
		u8 code[64];
		struct ktramp_func func = function(code, unhex(row->code, code));
		u32 tail = row->tail == NO_TAIL ? func.size : (u32)row->tail;

		if (row->entered)
			func.marks[row->entered] |= KTRAMP_M_ENTER;
		if (row->owned || row->owned_first)
			func.marks[row->owned] |= KTRAMP_M_OWNED;
		CHECK(ktramp_func_tail(&func) == tail, "%s: +%u, not +%u", row->what,
		      ktramp_func_tail(&func), tail);
	}
}

static u64 random64(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ULL;	/* splitmix64 */

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* Random instructions that are no branches: the copy is the same but for its displacement. */
static void check_random(void)
{
	unsigned int copied = 0, relative = 0;
	u64 seed = 1;

	for (unsigned int i = 0; i < 2000000; i++) {
		u64 random[2] = { random64(&seed), random64(&seed) };
		struct decoded from;
		struct ktramp_insn insn;
		struct ktramp_emit e;
		struct copy copy;
		u8 code[16];

		memcpy(code, random, sizeof(code));
		/* One in four gets a RIP-relative operand within reach. */
		if (!(i & 3)) {
			code[0] = 0x48;
			code[2] = (code[2] & 0x38) | 5;
			code[6] = code[6] & 1 ? 0 : 0xff;
		}
		if (!decode(&from, code, 15, FUNC))
			continue;
		if (ktramp_insn_decode(&insn, code, from.insn.length) != from.insn.length)
			continue;
		if (insn.branch != KTRAMP_BR_NONE)
			continue;
		if (!relocate(code, from.insn.length, &copy, &e) || e.err)
			continue;
		copied++;
		CHECK(copy.nr == 1 && copy.insn[0].insn.length == from.insn.length &&
		      copy.insn[0].insn.mnemonic == from.insn.mnemonic,
		      "instruction %u of seed 1: another one", i);
		CHECK(absolute(&copy.insn[0]) == absolute(&from),
		      "instruction %u of seed 1: operand at %llx, not %llx", i,
		      (unsigned long long)absolute(&copy.insn[0]),
		      (unsigned long long)absolute(&from));
		relative += absolute(&from) != 0;
	}
	CHECK(copied > 100000, "%u copied", copied);
	CHECK(relative > 1000, "%u of them relative", relative);
	printf("random: %u copied, %u of them RIP-relative\n", copied, relative);
}

/* A whole region: what is behind it is jumped to, unless nothing comes there. */
static void check_ends(void)
{
	static const char *const codes[] = { "488d0437 4883c001 c3", "c3 cccccccc" };

	for (unsigned int i = 0; i < 2; i++) {
		u8 code[32], buf[64];
		struct ktramp_func func = function(code, unhex(codes[i], code));
		struct ktramp_emit e = { .buf = buf, .max = sizeof(buf), .addr = DETOUR };
		struct ktramp_refusal r = { 0 };
		struct ktramp_region region;
		struct ktramp_site site;
		struct decoded last;

		CHECK(!ktramp_plan_site(&site, &func, 0, &r) &&
		      !ktramp_plan_region(&site, &region, &r) &&
		      !ktramp_synthesize_region(&e, &site, &region), "%s", r.why);
		if (i) {
			CHECK(e.len == 1 && buf[0] == 0xc3, "%u bytes for a ret", e.len);
			continue;
		}
		CHECK(decode(&last, buf + 8, e.len - 8, DETOUR + 8) &&
		      absolute(&last) == FUNC + 8, "does not go on behind the region");
	}
}

/* What does not fit, or does not reach, is an error and no code. */
static void check_limits(void)
{
	static const u8 load[] = { 0x48, 0x8b, 0x05, 0xff, 0xff, 0xff, 0x7f };
	struct ktramp_emit e;
	struct ktramp_insn insn;
	u8 buf[16];

	ktramp_insn_decode(&insn, load, sizeof(load));
	e = (struct ktramp_emit){ .buf = buf, .max = sizeof(buf), .addr = FUNC - 0x1000 };
	ktramp_synthesize_copy(&e, &insn, load, FUNC);
	CHECK(e.err == -ERANGE, "error %d", e.err);
	e = (struct ktramp_emit){ .buf = buf, .max = sizeof(buf), .addr = FUNC + 0x1000 };
	ktramp_synthesize_copy(&e, &insn, load, FUNC);
	CHECK(!e.err && e.len == sizeof(load), "error %d", e.err);
	e = (struct ktramp_emit){ .buf = buf, .max = 4, .addr = FUNC };
	ktramp_emit_jmp(&e, FUNC);
	CHECK(e.err == -ENOSPC && e.len <= 4, "error %d, %u bytes", e.err, e.len);
}

int main(void)
{
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	check_regions();
	check_branches();
	check_ends();
	check_limits();
	check_springs();
	check_spring_last();
	check_tails();
	check_random();
	printf("plan_test: %u checks, %u failures\n", checks, failures);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
