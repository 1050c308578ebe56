// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decoder on the instruction shapes that matter to a probe: one line a case, the
 * expectation written from the manuals, not taken from a decoder.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../module/decode/insn.h"

#define ARRAY_SIZE(_a)	(sizeof(_a) / sizeof((_a)[0]))

enum {
	AX = 1 << 0, CX = 1 << 1, DX = 1 << 2, BX = 1 << 3, SP = 1 << 4, BP = 1 << 5,
	SI = 1 << 6, DI = 1 << 7, R8 = 1 << 8, R9 = 1 << 9, R11 = 1 << 11, R12 = 1 << 12,
	R15 = 1 << 15, REGS = 0xffff,
};

#define CF	KTRAMP_F_CF
#define PF	KTRAMP_F_PF
#define AF	KTRAMP_F_AF
#define ZF	KTRAMP_F_ZF
#define SF	KTRAMP_F_SF
#define DF	KTRAMP_F_DF
#define IF	KTRAMP_F_IF
#define TF	KTRAMP_F_TF
#define OF	KTRAMP_F_OF
#define ARITH	KTRAMP_F_ARITH
#define FLAGS	(ARITH | DF | IF | TF)

#define RIP	KTRAMP_A_RIPREL
#define LD	(KTRAMP_A_MEM_READ | KTRAMP_A_FAULT)
#define ST	(KTRAMP_A_MEM_WRITE | KTRAMP_A_FAULT)
#define FAULT	KTRAMP_A_FAULT
#define STK	KTRAMP_A_RSP
#define IFR	(KTRAMP_A_IF_READ | KTRAMP_A_TF_READ)
#define IFW	(KTRAMP_A_IF_WRITE | KTRAMP_A_TF_WRITE)
#define PRIV	(KTRAMP_A_PRIV | KTRAMP_A_FAULT)
#define REP	KTRAMP_A_REP
#define VEC	(KTRAMP_A_VECTOR | KTRAMP_A_FAULT)
#define NOP	KTRAMP_A_NOP
#define LOCK	KTRAMP_A_LOCK
#define SHADOW	KTRAMP_A_SS_SHADOW

#define NONE	KTRAMP_BR_NONE
#define JMP	KTRAMP_BR_JMP
#define JCC	KTRAMP_BR_JCC
#define LOOP	KTRAMP_BR_LOOP
#define CALL	KTRAMP_BR_CALL
#define JMPI	KTRAMP_BR_JMP_IND
#define CALLI	KTRAMP_BR_CALL_IND
#define RET	KTRAMP_BR_RET
#define FAR	KTRAMP_BR_FAR
#define TRAP	KTRAMP_BR_TRAP
#define XB	KTRAMP_BR_XBEGIN

struct row {
	const char *hex;
	const char *name;
	u8 branch;
	u16 rd, wr;		/* registers */
	u16 frd, fwr;		/* flags */
	u32 attr;		/* exactly these */
};

static const struct row rows[] = {
	/* moves */
	{ "89 e5", "mov %esp,%ebp", NONE, SP, BP, 0, 0, STK },
	{ "48 89 f7", "mov %rsi,%rdi", NONE, SI, DI, 0, 0, 0 },
	{ "4d 89 c1", "mov %r8,%r9", NONE, R8, R9, 0, 0, 0 },
	{ "66 89 d8", "mov %bx,%ax keeps the rest of rax", NONE, AX | BX, 0, 0, 0, 0 },
	{ "88 e0", "mov %ah,%al is rax twice", NONE, AX, 0, 0, 0, 0 },
	{ "40 88 e0", "mov %spl,%al", NONE, AX | SP, 0, 0, 0, STK },
	{ "8a 07", "mov (%rdi),%al", NONE, AX | DI, 0, 0, 0, LD },
	{ "48 8b 05 78 56 34 12", "mov 0x12345678(%rip),%rax", NONE, 0, AX, 0, 0, LD | RIP },
	{ "67 48 8b 05 78 56 34 12", "mov (%eip),%rax", NONE, 0, AX, 0, 0, LD | RIP },
	{ "48 89 1d 00 00 00 00", "mov %rbx,(%rip)", NONE, BX, 0, 0, 0, ST | RIP },
	{ "65 48 8b 04 25 28 00 00 00", "mov %gs:0x28,%rax", NONE, 0, AX, 0, 0, LD },
	{ "48 8b 44 24 08", "mov 8(%rsp),%rax", NONE, SP, AX, 0, 0, LD | STK },
	{ "4a 8b 04 e5 00 00 00 00", "mov (,%r12,8),%rax", NONE, R12, AX, 0, 0, LD },
	{ "48 8b 04 cb", "mov (%rbx,%rcx,8),%rax", NONE, BX | CX, AX, 0, 0, LD },
	{ "41 8b 45 00", "mov 0(%r13),%eax", NONE, 1 << 13, AX, 0, 0, LD },
	{ "48 b8 88 77 66 55 44 33 22 11", "movabs $imm64,%rax", NONE, 0, AX, 0, 0, 0 },
	{ "b8 01 00 00 00", "mov $1,%eax", NONE, 0, AX, 0, 0, 0 },
	{ "66 b8 01 00", "mov $1,%ax", NONE, AX, 0, 0, 0, 0 },
	{ "b4 01", "mov $1,%ah", NONE, AX, 0, 0, 0, 0 },
	{ "48 c7 c0 ff ff ff ff", "mov $-1,%rax", NONE, 0, AX, 0, 0, 0 },
	{ "48 c7 05 00 00 00 00 01 00 00 00", "movq $1,(%rip)", NONE, 0, 0, 0, 0, ST | RIP },
	{ "48 a1 88 77 66 55 44 33 22 11", "movabs 0x..,%rax", NONE, 0, AX, 0, 0, LD },
	{ "a2 88 77 66 55 44 33 22 11", "movabs %al,0x..", NONE, AX, 0, 0, 0, ST },
	{ "67 a1 44 33 22 11", "mov 0x11223344,%eax", NONE, 0, AX, 0, 0, LD },
	{ "0f b6 c4", "movzbl %ah,%eax", NONE, AX, AX, 0, 0, 0 },
	{ "44 0f b6 c6", "movzbl %sil,%r8d", NONE, SI, R8, 0, 0, 0 },
	{ "66 0f be c3", "movsbw %bl,%ax", NONE, AX | BX, 0, 0, 0, 0 },
	{ "48 63 d0", "movslq %eax,%rdx", NONE, AX, DX, 0, 0, 0 },
	{ "0f c8", "bswap %eax", NONE, AX, AX, 0, 0, 0 },
	{ "0f 38 f0 07", "movbe (%rdi),%eax", NONE, DI, AX, 0, 0, LD },
	{ "0f c3 07", "movnti %eax,(%rdi)", NONE, AX | DI, 0, 0, 0, ST },
	{ "48 98", "cltq", NONE, AX, AX, 0, 0, 0 },
	{ "99", "cltd", NONE, AX, DX, 0, 0, 0 },
	{ "8c d8", "mov %ds,%eax", NONE, 0, AX, 0, 0, 0 },
	{ "8e d0", "mov %eax,%ss", NONE, AX, 0, 0, 0, PRIV | SHADOW },
	{ "8e d8", "mov %eax,%ds", NONE, AX, 0, 0, 0, PRIV },
	{ "8d 44 03 04", "lea 4(%rbx,%rax),%eax", NONE, AX | BX, AX, 0, 0, 0 },
	{ "48 8d 3d 10 00 00 00", "lea 0x10(%rip),%rdi", NONE, 0, DI, 0, 0, RIP },

	/* arithmetic */
	{ "01 d8", "add %ebx,%eax", NONE, AX | BX, AX, 0, ARITH, 0 },
	{ "48 83 c0 01", "add $1,%rax", NONE, AX, AX, 0, ARITH, 0 },
	{ "05 01 00 00 00", "add $1,%eax", NONE, AX, AX, 0, ARITH, 0 },
	{ "66 05 01 00", "add $1,%ax", NONE, AX, 0, 0, ARITH, 0 },
	{ "48 83 ec 28", "sub $0x28,%rsp", NONE, SP, SP, 0, ARITH, STK },
	{ "f0 48 83 07 01", "lock addq $1,(%rdi)", NONE, DI, 0, 0, ARITH, LD | ST | LOCK },
	{ "83 3d 00 00 00 00 01", "cmpl $1,(%rip)", NONE, 0, 0, 0, ARITH, LD | RIP },
	{ "11 d8", "adc %ebx,%eax", NONE, AX | BX, AX, CF, ARITH, 0 },
	{ "19 c0", "sbb %eax,%eax", NONE, AX, AX, CF, ARITH, 0 },
	{ "31 c0", "xor %eax,%eax", NONE, 0, AX, 0, ARITH, 0 },
	{ "45 31 c0", "xor %r8d,%r8d", NONE, 0, R8, 0, ARITH, 0 },
	{ "41 31 c0", "xor %eax,%r8d", NONE, AX | R8, R8, 0, ARITH, 0 },
	{ "66 31 c0", "xor %ax,%ax", NONE, AX, 0, 0, ARITH, 0 },
	{ "30 e0", "xor %ah,%al", NONE, AX, 0, 0, ARITH, 0 },
	{ "48 29 db", "sub %rbx,%rbx", NONE, 0, BX, 0, ARITH, 0 },
	{ "85 c0", "test %eax,%eax", NONE, AX, 0, 0, ARITH, 0 },
	{ "f6 47 08 01", "testb $1,8(%rdi)", NONE, DI, 0, 0, ARITH, LD },
	{ "f7 d8", "neg %eax", NONE, AX, AX, 0, ARITH, 0 },
	{ "f7 d0", "not %eax", NONE, AX, AX, 0, 0, 0 },
	{ "ff c0", "inc %eax keeps CF", NONE, AX, AX, 0, ARITH & ~CF, 0 },
	{ "fe c8", "dec %al", NONE, AX, 0, 0, ARITH & ~CF, 0 },
	{ "f7 e3", "mul %ebx", NONE, AX | BX, AX | DX, 0, ARITH, 0 },
	{ "f6 e3", "mul %bl", NONE, AX | BX, 0, 0, ARITH, 0 },
	{ "48 f7 f1", "div %rcx", NONE, AX | CX | DX, AX | DX, 0, ARITH, FAULT },
	{ "f6 f1", "div %cl", NONE, AX | CX, 0, 0, ARITH, FAULT },
	{ "48 0f af c7", "imul %rdi,%rax", NONE, AX | DI, AX, 0, ARITH, 0 },
	{ "6b c7 0c", "imul $12,%edi,%eax", NONE, DI, AX, 0, ARITH, 0 },
	{ "66 69 c7 0c 00", "imul $12,%di,%ax", NONE, AX | DI, 0, 0, ARITH, 0 },
	{ "c1 e0 04", "shl $4,%eax", NONE, AX, AX, 0, ARITH, 0 },
	{ "c1 e0 20", "shl $32,%eax shifts by 0", NONE, AX, AX, 0, 0, 0 },
	{ "48 c1 e0 20", "shl $32,%rax", NONE, AX, AX, 0, ARITH, 0 },
	{ "d1 e8", "shr %eax", NONE, AX, AX, 0, ARITH, 0 },
	{ "d3 e8", "shr %cl,%eax may keep flags", NONE, AX | CX, AX, ARITH, 0, 0 },
	{ "c1 c0 08", "rol $8,%eax", NONE, AX, AX, 0, CF | OF, 0 },
	{ "d1 d8", "rcr %eax", NONE, AX, AX, CF, CF | OF, 0 },
	{ "48 0f a4 c2 10", "shld $16,%rax,%rdx", NONE, AX | DX, 0, 0, ARITH, 0 },
	{ "0f a5 c2", "shld %cl,%eax,%edx", NONE, AX | CX | DX, 0, ARITH, 0, 0 },
	{ "48 0f ba e0 3f", "bt $63,%rax", NONE, AX, 0, 0, ARITH & ~ZF, 0 },
	{ "f0 0f ab 07", "lock bts %eax,(%rdi)", NONE, AX | DI, 0, 0, ARITH & ~ZF, LD | ST | LOCK },
	{ "0f bc c7", "bsf %edi,%eax may keep rax", NONE, AX | DI, 0, 0, ARITH, 0 },
	{ "f3 0f bc c7", "tzcnt, bsf on an old CPU", NONE, AX | DI, 0, 0, ARITH, 0 },
	{ "f3 0f b8 c7", "popcnt %edi,%eax", NONE, DI, AX, 0, ARITH, 0 },
	{ "f2 48 0f 38 f1 c7", "crc32 %rdi,%rax", NONE, AX | DI, AX, 0, 0, 0 },
	{ "66 0f 38 f6 c3", "adcx %ebx,%eax", NONE, AX | BX, AX, CF, CF, 0 },
	{ "f3 48 0f 38 f6 c3", "adox %rbx,%rax", NONE, AX | BX, AX, OF, OF, 0 },
	{ "c4 e2 78 f2 c3", "andn %ebx,%eax,%eax", NONE, AX | BX, AX, 0, ARITH, 0 },
	{ "c4 e2 f8 f3 cb", "blsr %rbx,%rax", NONE, BX, AX, 0, ARITH, 0 },
	{ "c4 e2 fb f6 cb", "mulx %rbx,%rax,%rcx", NONE, BX | DX, AX | CX, 0, 0, 0 },
	{ "c4 e2 f9 f7 cb", "shlx %rax,%rbx,%rcx", NONE, AX | BX, CX, 0, 0, 0 },
	{ "c4 e3 fb f0 cb 0d", "rorx $13,%rbx,%rcx", NONE, BX, CX, 0, 0, 0 },

	/* conditions, exchanges */
	{ "0f 94 c0", "sete %al", NONE, AX, 0, ZF, 0, 0 },
	{ "0f 9f 07", "setg (%rdi)", NONE, DI, 0, ZF | SF | OF, 0, ST },
	{ "48 0f 42 c7", "cmovb %rdi,%rax", NONE, AX | DI, 0, CF, 0, 0 },
	{ "93", "xchg %ebx,%eax", NONE, AX | BX, AX | BX, 0, 0, 0 },
	{ "87 07", "xchg %eax,(%rdi)", NONE, AX | DI, AX, 0, 0, LD | ST | LOCK },
	{ "f0 48 0f b1 0f", "lock cmpxchg %rcx,(%rdi)", NONE, AX | CX | DI, 0, 0, ARITH,
	  LD | ST | LOCK },
	{ "f0 0f c1 07", "lock xadd %eax,(%rdi)", NONE, AX | DI, AX, 0, ARITH, LD | ST | LOCK },
	{ "f0 48 0f c7 0f", "lock cmpxchg16b (%rdi)", NONE, AX | BX | CX | DX | DI, 0, 0, ZF,
	  LD | ST | LOCK },
	{ "9e", "sahf", NONE, AX, 0, 0, ARITH & ~OF, 0 },
	{ "9f", "lahf", NONE, AX, 0, ARITH & ~OF, 0, 0 },
	{ "f9", "stc", NONE, 0, 0, 0, CF, 0 },
	{ "f5", "cmc", NONE, 0, 0, CF, CF, 0 },
	{ "fd", "std", NONE, 0, 0, 0, DF, 0 },

	/* the stack */
	{ "55", "push %rbp", NONE, BP | SP, SP, 0, 0, ST | STK },
	{ "41 5c", "pop %r12", NONE, SP, SP | R12, 0, 0, LD | STK },
	{ "66 58", "pop %ax", NONE, AX | SP, SP, 0, 0, LD | STK },
	{ "6a ff", "push $-1", NONE, SP, SP, 0, 0, ST | STK },
	{ "68 00 00 00 80", "push $imm32", NONE, SP, SP, 0, 0, ST | STK },
	{ "ff 35 00 00 00 00", "push (%rip)", NONE, SP, SP, 0, 0, LD | ST | STK | RIP },
	{ "8f 00", "pop (%rax)", NONE, AX | SP, SP, 0, 0, LD | ST | STK },
	{ "9c", "pushf", NONE, SP, SP, FLAGS, 0, ST | STK | IFR },
	{ "9d", "popf", NONE, SP, SP, 0, FLAGS, LD | STK | IFW },
	{ "c9", "leave", NONE, BP, BP | SP, 0, 0, LD | STK },
	{ "c8 10 00 00", "enter $16,$0", NONE, BP | SP, BP | SP, 0, 0, LD | ST | STK },

	/* branches */
	{ "eb fe", "jmp .", JMP, 0, 0, 0, 0, 0 },
	{ "e9 00 00 00 00", "jmp rel32", JMP, 0, 0, 0, 0, 0 },
	{ "74 05", "je", JCC, 0, 0, ZF, 0, 0 },
	{ "0f 8f 00 01 00 00", "jg rel32", JCC, 0, 0, ZF | SF | OF, 0, 0 },
	{ "2e 76 05", "jbe with a hint", JCC, 0, 0, CF | ZF, 0, 0 },
	{ "e2 fe", "loop", LOOP, CX, CX, 0, 0, 0 },
	{ "e1 fe", "loope", LOOP, CX, CX, ZF, 0, 0 },
	{ "e3 00", "jrcxz", LOOP, CX, 0, 0, 0, 0 },
	{ "e8 00 00 00 00", "call rel32", CALL, SP, SP, 0, 0, ST | STK },
	{ "41 ff d3", "call *%r11", CALLI, SP | R11, SP, 0, 0, ST | STK },
	{ "ff 14 c5 00 00 00 00", "call *(,%rax,8)", CALLI, AX | SP, SP, 0, 0, LD | ST | STK },
	{ "ff e0", "jmp *%rax", JMPI, AX, 0, 0, 0, FAULT },
	{ "3e ff 25 00 00 00 00", "notrack jmp *(%rip)", JMPI, 0, 0, 0, 0, LD | RIP },
	{ "c3", "ret", RET, SP, SP, 0, 0, LD | STK },
	{ "f3 c3", "repz ret", RET, SP, SP, 0, 0, LD | STK },
	{ "c2 08 00", "ret $8", RET, SP, SP, 0, 0, LD | STK },
	{ "cc", "int3", TRAP, REGS, 0, FLAGS, 0, FAULT | STK | IFR },
	{ "0f 0b", "ud2", TRAP, REGS, 0, FLAGS, 0, FAULT | STK | IFR },
	{ "0f b9 40 10", "ud1", TRAP, REGS, 0, FLAGS, 0, FAULT | STK | IFR },
	{ "cd 80", "int $0x80", FAR, REGS, 0, FLAGS, 0, FAULT | STK | IFR },
	{ "0f 05", "syscall", FAR, REGS, 0, FLAGS, 0, FAULT | STK | IFR },
	{ "48 cf", "iretq", FAR, SP, SP, 0, FLAGS, LD | STK | IFW | PRIV },
	{ "48 cb", "lretq", FAR, SP, SP, 0, 0, LD | STK | PRIV },
	{ "ff 6f 10", "ljmp *0x10(%rdi)", FAR, DI, 0, 0, 0, LD | PRIV },
	{ "48 0f 07", "sysretq", FAR, CX | R11, 0, 0, FLAGS, PRIV | IFW },
	{ "c7 f8 00 00 00 00", "xbegin", XB, AX, 0, 0, 0, 0 },

	/* strings */
	{ "a4", "movsb", NONE, SI | DI, SI | DI, DF, 0, LD | ST },
	{ "f3 a4", "rep movsb", NONE, CX | SI | DI, 0, DF, 0, LD | ST | REP },
	{ "f3 48 ab", "rep stosq", NONE, AX | CX | DI, 0, DF, 0, ST | REP },
	{ "f3 a6", "repe cmpsb", NONE, CX | SI | DI, 0, DF | ARITH, 0, LD | REP },
	{ "a6", "cmpsb", NONE, SI | DI, SI | DI, DF, ARITH, LD },
	{ "f2 ae", "repne scasb", NONE, AX | CX | DI, 0, DF | ARITH, 0, LD | REP },
	{ "48 ad", "lodsq", NONE, SI, AX | SI, DF, 0, LD },
	{ "ac", "lodsb", NONE, AX | SI, SI, DF, 0, LD },
	{ "f3 48 ad", "rep lodsq", NONE, AX | CX | SI, 0, DF, 0, LD | REP },
	{ "f3 6e", "rep outsb", NONE, CX | DX | SI, 0, DF, 0, LD | PRIV | REP },
	{ "d7", "xlat", NONE, AX | BX, 0, 0, 0, LD },

	/* nops and hints */
	{ "90", "nop", NONE, 0, 0, 0, 0, NOP },
	{ "66 90", "xchg %ax,%ax", NONE, 0, 0, 0, 0, NOP },
	{ "f3 90", "pause", NONE, 0, 0, 0, 0, 0 },
	{ "41 90", "xchg %r8d,%eax", NONE, AX | R8, AX | R8, 0, 0, 0 },
	{ "87 c0", "xchg %eax,%eax clears the upper half", NONE, AX, AX, 0, 0, 0 },
	{ "0f 1f 44 00 00", "5-byte nop", NONE, 0, 0, 0, 0, NOP },
	{ "66 66 2e 0f 1f 84 00 00 00 00 00", "11-byte nop", NONE, 0, 0, 0, 0, NOP },
	{ "f3 0f 1e fa", "endbr64", NONE, 0, 0, 0, 0, NOP },
	{ "f3 48 0f 1e c8", "rdsspq, a nop or not", NONE, AX, 0, 0, 0, 0 },
	{ "0f 18 0f", "prefetcht0 (%rdi)", NONE, DI, 0, 0, 0, 0 },
	{ "0f ae f0", "mfence", NONE, 0, 0, 0, 0, 0 },
	{ "66 0f ae 38", "clflushopt (%rax)", NONE, AX, 0, 0, 0, LD },

	/* the system */
	{ "fa", "cli", NONE, 0, 0, 0, IF, PRIV | KTRAMP_A_IF_WRITE },
	{ "fb", "sti", NONE, 0, 0, 0, IF, PRIV | KTRAMP_A_IF_WRITE },
	{ "f4", "hlt", NONE, 0, 0, 0, 0, PRIV },
	{ "0f 01 ca", "clac", NONE, 0, 0, 0, 0, PRIV },
	{ "0f 01 f8", "swapgs", NONE, 0, 0, 0, 0, PRIV },
	{ "0f 30", "wrmsr", NONE, AX | CX | DX, 0, 0, 0, PRIV },
	{ "0f 32", "rdmsr", NONE, CX, AX | DX, 0, 0, PRIV },
	{ "0f 31", "rdtsc", NONE, 0, AX | DX, 0, 0, 0 },
	{ "0f 01 f9", "rdtscp", NONE, 0, AX | CX | DX, 0, 0, 0 },
	{ "0f a2", "cpuid", NONE, AX | CX, AX | BX | CX | DX, 0, 0, 0 },
	{ "0f 22 d8", "mov %rax,%cr3", NONE, AX, 0, 0, 0, PRIV },
	{ "44 0f 20 c0", "mov %cr8,%rax", NONE, 0, AX, 0, 0, PRIV },
	{ "0f 20 1c", "mov %cr3,%rsp: mod is ignored", NONE, 0, SP, 0, 0, PRIV | STK },
	{ "0f 01 38", "invlpg (%rax)", NONE, AX, 0, 0, 0, PRIV },
	{ "66 0f 38 82 04 24", "invpcid (%rsp),%rax", NONE, AX | SP, 0, 0, 0, LD | PRIV | STK },
	{ "ec", "in (%dx),%al", NONE, AX | DX, 0, 0, 0, PRIV },
	{ "e7 80", "out %eax,$0x80", NONE, AX, 0, 0, 0, PRIV },
	{ "0f 01 c1", "vmcall", NONE, REGS, 0, FLAGS, 0, PRIV | STK | IFR },
	{ "0f 78 c3", "vmread %rax,%rbx", NONE, AX, BX, 0, ARITH, PRIV },
	{ "f2 0f 00 f7", "lkgs %edi", NONE, DI, 0, 0, 0, PRIV },
	{ "f2 0f 01 ca", "erets", FAR, SP, SP, 0, FLAGS, LD | PRIV | STK | IFW },
	{ "48 0f c7 f0", "rdrand %rax", NONE, 0, AX, 0, ARITH, 0 },
	{ "66 0f c7 f0", "rdrand %ax", NONE, AX, 0, 0, ARITH, 0 },
	{ "f3 48 0f ae d8", "wrgsbase %rax", NONE, AX, 0, 0, 0, PRIV },
	{ "48 0f ae 27", "xsave64 (%rdi)", NONE, AX | DX | DI, 0, 0, 0, LD | ST | VEC },
	{ "48 0f c7 1f", "xrstors64 (%rdi)", NONE, AX | DX | DI, 0, 0, 0, LD | VEC | PRIV },
	{ "66 0f 38 f8 06", "movdir64b (%rsi),%rax", NONE, AX | SI, 0, 0, 0, LD | ST },

	/* vectors and x87: only what concerns general registers, flags and memory */
	{ "0f 10 07", "movups (%rdi),%xmm0", NONE, DI, 0, 0, 0, LD | VEC },
	{ "66 0f 7f 07", "movdqa %xmm0,(%rdi)", NONE, DI, 0, 0, 0, ST | VEC },
	{ "66 48 0f 7e c0", "movq %xmm0,%rax", NONE, 0, AX, 0, 0, VEC },
	{ "66 48 0f 6e c0", "movq %rax,%xmm0", NONE, AX, 0, 0, 0, VEC },
	{ "f2 48 0f 2c c1", "cvttsd2si %xmm1,%rax", NONE, 0, AX, 0, 0, VEC },
	{ "66 0f 2e c1", "ucomisd", NONE, 0, 0, 0, ARITH, VEC },
	{ "66 0f d7 c1", "pmovmskb %xmm1,%eax", NONE, 0, AX, 0, 0, VEC },
	{ "c5 fd 6f 07", "vmovdqa (%rdi),%ymm0", NONE, DI, 0, 0, 0, LD | VEC },
	{ "c5 fd 7f 05 00 00 00 00", "vmovdqa %ymm0,(%rip)", NONE, 0, 0, 0, 0, ST | VEC | RIP },
	{ "c5 f8 77", "vzeroupper", NONE, 0, 0, 0, 0, VEC },
	{ "c4 e3 7d 39 c1 01", "vextracti128", NONE, 0, 0, 0, 0, VEC },
	{ "62 f1 fd 48 6f 47 01", "vmovdqa64 0x40(%rdi),%zmm0", NONE, DI, 0, 0, 0, LD | VEC },
	{ "62 f2 7d 48 7c c0", "vpbroadcastd %eax,%zmm0", NONE, AX, 0, 0, 0, VEC },
	{ "62 f3 75 48 25 c2 96", "vpternlogd $0x96", NONE, 0, 0, 0, 0, VEC },
	{ "c4 e2 69 90 04 08", "vpgatherdd (%rax,%xmm1)", NONE, AX, 0, 0, 0, LD | VEC },
	{ "c5 f8 92 c0", "kmovw %eax,%k0", NONE, AX, 0, 0, 0, VEC },
	{ "df e0", "fnstsw %ax", NONE, AX, 0, 0, 0, VEC },
	{ "dd 36", "fnsave (%rsi)", NONE, SI, 0, 0, 0, ST | VEC },
	{ "9b", "fwait", NONE, 0, 0, 0, 0, VEC },
	{ "db e8", "fucomi", NONE, 0, 0, 0, CF | PF | ZF, VEC },

	/* prefixes */
	{ "48 66 89 d8", "REX before 66 is ignored", NONE, AX | BX, 0, 0, 0, 0 },
	{ "48 40 89 d8", "the last REX counts", NONE, BX, AX, 0, 0, 0 },
	{ "66 66 66 66 90", "redundant 66", NONE, 0, 0, 0, 0, NOP },
	{ "66 48 89 d8", "REX.W wins over 66", NONE, BX, AX, 0, 0, 0 },
	{ "66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", "15 bytes", NONE, 0, 0, 0, 0, NOP },
	{ "f2 f3 90", "the last of f2, f3 counts", NONE, 0, 0, 0, 0, 0 },
};

static const struct {
	const char *hex;
	const char *name;
} refused[] = {
	{ "06", "push %es" },
	{ "17", "pop %ss" },
	{ "27", "daa" },
	{ "60", "pusha" },
	{ "62 00 00 00 00 00", "bound" },
	{ "82 c0 01", "alu group 82" },
	{ "9a 00 00 00 00 00 00", "lcall imm" },
	{ "c4 00 00 00 00 00", "les, and a VEX map that is none" },
	{ "ce", "into" },
	{ "d4 0a", "aam" },
	{ "d6", "salc" },
	{ "ea 00 00 00 00 00 00", "ljmp imm" },
	{ "ff f8", "group 5 /7" },
	{ "fe d0", "group 4 /2" },
	{ "ff d8", "lcall of a register" },
	{ "8d c0", "lea of a register" },
	{ "8e c8", "mov %eax,%cs" },
	{ "8f c8", "pop group /1" },
	{ "8f e9 78 01 c8", "xop" },
	{ "c6 c8 00", "mov group /1" },
	{ "0f 04", "no such opcode" },
	{ "0f 0f c0 9e", "3DNow!" },
	{ "0f 20 c8", "mov %cr1,%rax" },
	{ "44 0f 20 c8", "mov %cr9,%rax" },
	{ "44 0f 21 c0", "mov %dr8,%rax" },
	{ "0f 38 ff c0", "no such opcode in 0f 38" },
	{ "0f 3a 00 c0 00", "no such opcode in 0f 3a without VEX" },
	{ "0f b8 c7", "popcnt without f3" },
	{ "0f c7 c8", "cmpxchg8b of a register" },
	{ "f0 90", "lock nop" },
	{ "f0 01 d8", "lock add to a register" },
	{ "f0 8b 07", "lock mov" },
	{ "f0 39 07", "lock cmp" },
	{ "66 c5 f8 77", "66 before VEX" },
	{ "48 c5 f8 77", "REX before VEX" },
	{ "f0 c5 f8 77", "lock before VEX" },
	{ "c4 e2 7c f2 c3", "andn with a vector length" },
	{ "62 f1 f9 48 6f 47 01", "EVEX without its fixed bit" },
	{ "66 e8 00 00 00 00", "call with 66" },
	{ "66 e9 00 00 00 00", "jmp with 66" },
	{ "66 74 00", "je with 66" },
	{ "66 c3", "ret with 66" },
	{ "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", "16 bytes" },
	{ "67 67 67 67 67 67 67 67 67 67 67 b8 00 00 00 00", "16 bytes with the immediate" },
	{ "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 66", "prefixes without end" },
};

static unsigned int test_nr;
static bool failed;

static void result(bool ok, const char *what, const char *name)
{
	printf("%s %u %s: %s\n", ok ? "ok" : "not ok", ++test_nr, what, name);
	failed |= !ok;
}

/* A heap block of exactly the bytes, so that a sanitizer sees any read behind them. */
static u8 *parse_hex(const char *hex, size_t *len)
{
	u8 *buf = malloc(strlen(hex) / 3 + 1);
	char *end;

	if (!buf)
		abort();
	for (*len = 0; *hex; hex = *end ? end + 1 : end)
		buf[(*len)++] = (u8)strtoul(hex, &end, 16);
	return buf;
}

static void check_u32(bool *ok, const char *what, u32 got, u32 want)
{
	if (got == want)
		return;
	printf("# %s is %#x, expected %#x\n", what, got, want);
	*ok = false;
}

static void test_row(const struct row *r)
{
	struct ktramp_insn insn;
	bool ok = true;
	size_t len, cut;
	u8 *buf = parse_hex(r->hex, &len);

	check_u32(&ok, "length", (u32)ktramp_insn_decode(&insn, buf, len), (u32)len);
	check_u32(&ok, "len field", insn.len, (u32)len);
	check_u32(&ok, "branch", insn.branch, r->branch);
	check_u32(&ok, "registers read", insn.regs_read, r->rd);
	check_u32(&ok, "registers written", insn.regs_written, r->wr);
	check_u32(&ok, "flags read", insn.flags_read, r->frd);
	check_u32(&ok, "flags written", insn.flags_written, r->fwr);
	check_u32(&ok, "attributes", insn.attr, r->attr);
	result(ok, r->hex, r->name);

	ok = true;
	for (cut = 0; cut < len; cut++) {
		u8 *part = malloc(cut + 1);

		if (!part)
			abort();
		memcpy(part, buf, cut);
		check_u32(&ok, "result of a part", (u32)ktramp_insn_decode(&insn, part, cut),
			  (u32)-ENODATA);
		free(part);
	}
	result(ok, r->hex, "cut short anywhere needs more bytes");
	free(buf);
}

static void test_refused(const char *hex, const char *name)
{
	static const struct ktramp_insn zero;
	struct ktramp_insn insn;
	bool ok = true;
	size_t len;
	u8 *buf = parse_hex(hex, &len);

	check_u32(&ok, "result", (u32)ktramp_insn_decode(&insn, buf, len), (u32)-EINVAL);
	if (memcmp(&insn, &zero, sizeof(insn))) {
		printf("# the output is not zeroed\n");
		ok = false;
	}
	result(ok, hex, name);
	free(buf);
}

/* Where the parts of one long instruction are, and their values. */
static void test_fields(void)
{
	/* lock addq $0x7f, %gs:-0x80(%r9,%r12,8) */
	static const u8 add[] = { 0x65, 0xf0, 0x4b, 0x83, 0x44, 0xe1, 0x80, 0x7f };
	static const u8 mov[] = { 0x48, 0xa1, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const u8 jcc[] = { 0x0f, 0x85, 0xf6, 0xff, 0xff, 0xff };
	static const u8 enter[] = { 0xc8, 0x34, 0x12, 0x01 };
	struct ktramp_insn insn;
	bool ok = true;

	ktramp_insn_decode(&insn, add, sizeof(add));
	check_u32(&ok, "prefix", insn.prefix, KTRAMP_P_GS | KTRAMP_P_LOCK);
	check_u32(&ok, "rex", insn.rex, 0x4b);
	check_u32(&ok, "opcode", insn.opcode, 0x83);
	check_u32(&ok, "opcode_off", insn.opcode_off, 3);
	check_u32(&ok, "modrm", insn.modrm, 0x44);
	check_u32(&ok, "modrm_off", insn.modrm_off, 4);
	check_u32(&ok, "sib", insn.sib, 0xe1);
	check_u32(&ok, "disp_off", insn.disp_off, 6);
	check_u32(&ok, "disp_len", insn.disp_len, 1);
	check_u32(&ok, "disp", (u32)insn.disp, (u32)-0x80);
	check_u32(&ok, "imm_off", insn.imm_off, 7);
	check_u32(&ok, "imm", (u32)insn.imm, 0x7f);
	check_u32(&ok, "osz", insn.osz, 8);
	result(ok, "fields", "lock addq $0x7f, %gs:-0x80(%r9,%r12,8)");

	ok = true;
	ktramp_insn_decode(&insn, mov, sizeof(mov));
	check_u32(&ok, "disp_off", insn.disp_off, 2);
	check_u32(&ok, "disp_len", insn.disp_len, 8);
	check_u32(&ok, "disp == -8", insn.disp == -8, 1);
	check_u32(&ok, "imm_len", insn.imm_len, 0);
	result(ok, "fields", "movabs with a negative address");

	ok = true;
	ktramp_insn_decode(&insn, jcc, sizeof(jcc));
	check_u32(&ok, "map", insn.map, KTRAMP_MAP_0F);
	check_u32(&ok, "cc", insn.cc, 5);
	check_u32(&ok, "imm_off", insn.imm_off, 2);
	check_u32(&ok, "imm_len", insn.imm_len, 4);
	check_u32(&ok, "imm", (u32)insn.imm, (u32)-10);
	check_u32(&ok, "is_rel", ktramp_insn_is_rel(&insn), 1);
	check_u32(&ok, "ends_flow", ktramp_insn_ends_flow(&insn), 0);
	result(ok, "fields", "jne back");

	ok = true;
	ktramp_insn_decode(&insn, enter, sizeof(enter));
	check_u32(&ok, "imm_len", insn.imm_len, 3);
	check_u32(&ok, "imm", (u32)insn.imm, 0x1234);
	result(ok, "fields", "enter $0x1234,$1");
}

int main(void)
{
	const unsigned int nr_rows = ARRAY_SIZE(rows);
	const unsigned int nr_refused = ARRAY_SIZE(refused);
	unsigned int i;

	printf("TAP version 13\n1..%u\n", 2 * nr_rows + nr_refused + 4);
	for (i = 0; i < nr_rows; i++)
		test_row(&rows[i]);
	for (i = 0; i < nr_refused; i++)
		test_refused(refused[i].hex, refused[i].name);
	test_fields();
	return failed;
}
