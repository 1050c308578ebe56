// SPDX-License-Identifier: GPL-2.0-only
/*
 * module/plan.c without a kernel: what it refuses, which bytes a jump displaces, and
 * whether the relocated code, read by another decoder, does what the original did.
 */
#include <Zydis/Zydis.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../module/plan.h"

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
	{ "an indirect jump anywhere", "488d8778563412 ffe0", 0, KTRAMP_R_INDIRECT, 0, 0, false },
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
	check_random();
	printf("plan_test: %u checks, %u failures\n", checks, failures);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
