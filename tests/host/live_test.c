// SPDX-License-Identifier: GPL-2.0-only
/*
 * Liveness: code, and what is dead where it begins. Each row says in words why.
 */
#include <stdio.h>
#include <string.h>

#include "../../module/plan/live.h"

enum {
	AX = 1 << 0, CX = 1 << 1, DX = 1 << 2,
};

#define ARRAY_SIZE(_a)	(sizeof(_a) / sizeof((_a)[0]))

#define CF	KTRAMP_F_CF
#define ZF	KTRAMP_F_ZF
#define OF	KTRAMP_F_OF
#define ARITH	KTRAMP_F_ARITH

/* The bytes are what the assembler makes of the code beside them. */
static const struct row {
	const char *name;
	const char *code;
	const char *hex;
	u16 regs;
	u16 flags;
	u8 marked;	/* offset of an instruction that has @mark */
	u8 mark;
} rows[] = {
	{ "overwritten by arithmetic",
	  "lea (%rdi,%rsi),%rax; add $1,%rax; ret",
	  "488d04374883c001c3", AX, ARITH },
	{ "read by adc",
	  "lea (%rdi,%rsi),%rax; adc $0,%rax; ret",
	  "488d04374883d000c3", AX, ARITH & ~CF },
	{ "a load may fault",
	  "mov (%rdi),%rax; xor %ecx,%ecx; ret",
	  "488b0731c9c3", 0, 0 },
	{ "behind a load that may fault",
	  "xor %ecx,%ecx; mov (%rdi),%rax; xor %edx,%edx; ret",
	  "31c9488b0731d2c3", CX, ARITH },
	{ "push and pop are no loads",
	  "push %rsi; xor %esi,%esi; pop %rdx; ret",
	  "5631f65ac3", DX, ARITH },
	{ "a call may read anything",
	  "call .+100; xor %eax,%eax; ret",
	  "e85f00000031c0c3", 0, 0 },
	{ "a return may hand on anything",
	  "ret; xor %eax,%eax",
	  "c331c0", 0, 0 },
	{ "an indirect jump",
	  "jmp *%rdx; xor %eax,%eax",
	  "ffe231c0", 0, 0 },
	{ "both ways of a branch overwrite",
	  "je 1f; add $1,%rax; mov $0,%ecx; ret; 1: sub $1,%rax; mov $1,%ecx; ret",
	  "740a4883c001b900000000c34883e801b901000000c3", CX, ARITH & ~ZF },
	{ "one way of a branch reads",
	  "jo 1f; xor %ecx,%ecx; ret; 1: adc $0,%ecx; xor %ecx,%ecx; ret",
	  "700331c9c383d10031c9c3", 0, ARITH & ~(OF | CF) },
	{ "one way of a branch leaves the function",
	  "je .+100; xor %ecx,%ecx; ret",
	  "746231c9c3", 0, 0 },
	{ "a nop of two bytes may become a jump",
	  ".byte 0x66,0x90; xor %ecx,%ecx; ret",
	  "669031c9c3", 0, 0 },
	{ "a nop of five bytes may become a jump",
	  ".byte 0x0f,0x1f,0x44,0,0; xor %ecx,%ecx; ret",
	  "0f1f44000031c9c3", 0, 0 },
	{ "other nops stay what they are",
	  "nop; nopl (%rax); nopl 0(%rax,%rax); xor %ecx,%ecx; ret",
	  "900f1f000f1f040031c9c3", CX, ARITH },
	{ "a short jump may become a nop",
	  "jmp 1f; 1: xor %ecx,%ecx; ret",
	  "eb0031c9c3", 0, 0 },
	{ "a near jump may become a nop",
	  "{disp32} jmp 1f; 1: xor %ecx,%ecx; ret",
	  "e90000000031c9c3", 0, 0 },
	{ "dec keeps the carry",
	  "dec %ecx; ret",
	  "ffc9c3", 0, ARITH & ~CF },
	{ "a loop never ends",
	  "1: inc %rcx; jne 1b; ret",
	  "48ffc175fbc3", 0, ARITH & ~CF },
	{ "a byte is a part of its register",
	  "mov $1,%al; ret",
	  "b001c3", 0, 0 },
	{ "half a register is all of it",
	  "mov $1,%eax; ret",
	  "b801000000c3", AX, 0 },
	{ "cmov may keep",
	  "cmove %rdx,%rcx; ret",
	  "480f44cac3", 0, 0 },
	{ "a shift by CL may keep the flags",
	  "shl %cl,%rdx; ret",
	  "48d3e2c3", 0, 0 },
	{ "a shift by a number does not",
	  "shl $3,%rdx; ret",
	  "48c1e203c3", 0, ARITH },
	{ "read before it is overwritten",
	  "mov %rcx,%rdx; mov $0,%ecx; ret",
	  "4889cab900000000c3", DX, 0 },
	{ "the stack pointer is never dead",
	  "mov %rdi,%rsp; ret",
	  "4889fcc3", 0, 0 },
	{ "the end of what is known",
	  "mov $1,%eax",
	  "b801000000", AX, 0 },
	{ "pushf reads them all",
	  "pushf; xor %eax,%eax; ret",
	  "9c31c0c3", 0, 0 },
	{ "a static call that returns 0 may become a call",
	  "mov $1,%ecx; .byte 0x2e,0x2e,0x2e; xor %eax,%eax; mov $1,%edx; ret",
	  "b9010000002e2e2e31c0ba01000000c3", CX, 0, 5, KTRAMP_M_OWNED },
	{ "the same bytes of nobody's",
	  "mov $1,%ecx; .byte 0x2e,0x2e,0x2e; xor %eax,%eax; mov $1,%edx; ret",
	  "b9010000002e2e2e31c0ba01000000c3", AX | CX | DX, ARITH },
	{ "a branch that is a static call may go elsewhere",
	  "xor %ecx,%ecx; jne 1f; 1: mov $1,%edx; ret",
	  "31c90f8500000000ba01000000c3", CX, ARITH, 2, KTRAMP_M_OWNED },
	{ "what an exception table has may lead anywhere",
	  "xor %ecx,%ecx; rdmsr; xor %esi,%esi; ret",
	  "31c90f3231f6c3", CX, ARITH, 2, KTRAMP_M_FIXUP },
	{ "ud2 shows everything",
	  "ud2; xor %eax,%eax",
	  "0f0b31c0", 0, 0 },
};

static u32 parse(const char *hex, u8 *code, u32 max)
{
	unsigned int byte;
	u32 n = 0;

	while (n < max && sscanf(hex + 2 * n, "%2x", &byte) == 1)
		code[n++] = byte;
	return n;
}

static int check(unsigned int nr, const struct row *row)
{
	static const struct ktramp_thunks no_thunks;
	u8 code[64], marks[64];
	struct ktramp_func func = {
		.code = code,
		.marks = marks,
		.addr = 0xffffffff81000000,
		.size = parse(row->hex, code, sizeof(code)),
	};
	struct ktramp_refusal refusal;
	struct ktramp_dead dead = {};
	struct ktramp_site site;
	int err;

	ktramp_func_scan(&func, &no_thunks);
	marks[row->marked] |= row->mark;
	err = ktramp_plan_site(&site, &func, 0, &refusal);
	if (!err)
		dead = ktramp_live_dead(&site);
	if (!err && dead.regs == row->regs && dead.flags == row->flags) {
		printf("ok %u live: %s\n", nr, row->name);
		return 0;
	}
	printf("not ok %u live: %s\n", nr, row->name);
	printf("# %s\n# registers %04x, expected %04x; flags %04x, expected %04x; error %d\n",
	       row->code, dead.regs, row->regs, dead.flags, row->flags, err);
	return 1;
}

int main(void)
{
	const unsigned int nr = ARRAY_SIZE(rows);
	int failed = 0;

	printf("TAP version 13\n1..%u\n", nr);
	for (unsigned int i = 0; i < nr; i++)
		failed += check(i + 1, &rows[i]);
	return failed != 0;
}
