// SPDX-License-Identifier: GPL-2.0-only
/*
 * module/hit/emulate.c without a kernel: does the emulator do what the CPU does? Each instruction
 * is executed by this CPU and by the emulator, from the same registers and flags.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- what emulate.c has of the kernel; the headers that it includes are empty here ---- */

#define noinstr
#define noinstr
#define nokprobe_inline		inline __attribute__((always_inline))
#define INT3_INSN_OPCODE	0xcc

#define X86_EFLAGS_CF		0x1
#define X86_EFLAGS_FIXED	0x2
#define X86_EFLAGS_PF		0x4
#define X86_EFLAGS_AF		0x10
#define X86_EFLAGS_ZF		0x40
#define X86_EFLAGS_SF		0x80
#define X86_EFLAGS_IF		0x200
#define X86_EFLAGS_OF		0x800
#define X86_EFLAGS_RF		0x10000
#define X86_EFLAGS_VM		0x20000
#define X86_EFLAGS_VIF		0x80000
#define X86_EFLAGS_VIP		0x100000

struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax, ip, cs, flags, sp, ss;
};

static inline void int3_emulate_jmp(struct pt_regs *regs, unsigned long ip)
{
	regs->ip = ip;
}

static inline void int3_emulate_push(struct pt_regs *regs, unsigned long value)
{
	regs->sp -= 8;
	*(unsigned long *)regs->sp = value;
}

static inline unsigned long int3_emulate_pop(struct pt_regs *regs)
{
	regs->sp += 8;
	return *(unsigned long *)(regs->sp - 8);
}

#include "module/hit/emulate.c"

/* ---- the CPU ---- */

#define SITE	0xffffffff81000000UL
#define STATUS	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | \
		 X86_EFLAGS_SF | X86_EFLAGS_OF)

/* By number, as reg() counts them; RSP stays as it is. Read and written by the code below. */
unsigned long cpu_r[16] __attribute__((used)), cpu_flags __attribute__((used));
unsigned long cpu_code __attribute__((used)), cpu_sp __attribute__((used));
void cpu_enter(void);
extern const char cpu_back[];

#define EACH(_op)							\
	_op(0, rax) _op(1, rcx) _op(2, rdx) _op(3, rbx) _op(5, rbp)	\
	_op(6, rsi) _op(7, rdi) _op(8, r8) _op(9, r9) _op(10, r10)	\
	_op(11, r11) _op(12, r12) _op(13, r13) _op(14, r14) _op(15, r15)
#define LOAD(_nr, _reg)		"mov cpu_r + 8 * " #_nr "(%rip), %" #_reg "\n"
#define STORE(_nr, _reg)	"mov %" #_reg ", cpu_r + 8 * " #_nr "(%rip)\n"

asm(".globl cpu_enter, cpu_back\n"
    "cpu_enter:\n"
    "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "mov %rsp, cpu_sp(%rip)\n"
    "pushq cpu_flags(%rip); popfq\n"
    EACH(LOAD)
    "jmp *cpu_code(%rip)\n"
    "cpu_back:\n"
    EACH(STORE)
    "pushfq; popq cpu_flags(%rip)\n"
    "cld\n"
    "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "ret\n");

/* The instruction, and jmp *0(%rip) behind it. */
static void execute(const u8 *insn, size_t len)
{
	static const u8 jump[] = { 0xff, 0x25, 0, 0, 0, 0 };
	static u8 *code;
	const char *back = cpu_back;

	if (!code)
		code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (code == MAP_FAILED) {
		perror("mmap");
		exit(69);
	}
	memcpy(code, insn, len);
	memcpy(code + len, jump, sizeof(jump));
	memcpy(code + len + sizeof(jump), &back, sizeof(back));
	cpu_code = (unsigned long)code;
	cpu_enter();
}

/* ---- the emulator ---- */

static bool prepare(struct ktramp_emu *emu, const u8 *bytes)
{
	struct ktramp_insn insn;

	if (ktramp_insn_decode(&insn, bytes, 15) < 0) {
		printf("# no instruction begins with %02x %02x\n", bytes[0], bytes[1]);
		exit(69);
	}
	return ktramp_emulate_prepare(emu, &insn, SITE);
}

static unsigned long random_word(void)
{
	static unsigned long state = 88172645463325252UL;

	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

/* From one state: what both leave. Complains, once a test, of the first difference. */
static bool same(const struct ktramp_emu *emu, const u8 *insn, size_t len, const char *what)
{
	struct pt_regs regs = { .ip = SITE };
	unsigned long before[16], flags = X86_EFLAGS_FIXED | X86_EFLAGS_IF;

	flags |= random_word() & STATUS;
	for (u8 i = 0; i < 16; i++)
		before[i] = cpu_r[i] = *reg(&regs, i) = random_word();
	regs.flags = cpu_flags = flags;
	emu->fn(emu, &regs);
	execute(insn, len);
	if (regs.ip != SITE + len) {
		printf("# %s: the next instruction is at +%#lx, not +%#zx\n", what, regs.ip - SITE,
		       len);
		return false;
	}
	if ((regs.flags ^ cpu_flags) & STATUS) {
		printf("# %s: flags %#lx, the CPU has %#lx\n", what, regs.flags, cpu_flags);
		return false;
	}
	for (u8 i = 0; i < 16; i++)
		if (i != 4 && *reg(&regs, i) != cpu_r[i]) {
			printf("# %s: register %u was %016lx and is %016lx, the CPU has %016lx\n",
			       what, i, before[i], *reg(&regs, i), cpu_r[i]);
			return false;
		}
	return true;
}

/* ---- the tests ---- */

static unsigned int tests, failed;

static void result(bool ok, const char *name)
{
	printf("%s %u %s\n", ok ? "ok" : "not ok", ++tests, name);
	failed += !ok;
}

/* Many states of one instruction. */
static bool does(const u8 *insn, const char *what)
{
	struct ktramp_emu emu;
	struct ktramp_insn decoded;
	int len = ktramp_insn_decode(&decoded, insn, 15);

	if (!prepare(&emu, insn)) {
		printf("# %s: refused: ktramp does not emulate this instruction\n", what);
		return false;
	}
	for (unsigned int i = 0; i < 500; i++)
		if (!same(&emu, insn, len, what))
			return false;
	return true;
}

static bool refuses(const u8 *insn, const char *what)
{
	struct ktramp_emu emu;

	if (!prepare(&emu, insn))
		return true;
	printf("# %s: accepted\n", what);
	return false;
}

/* cmovCC of every condition: REX, the ModRM byte, and how it is written. */
static bool cmov_does(u8 rex, u8 modrm, const char *operands)
{
	for (u8 cc = 0; cc < 16; cc++) {
		u8 insn[15] = { rex, 0x0f, 0x40 + cc, modrm };
		char what[64];

		snprintf(what, sizeof(what), "cmov, condition %u, %s", cc, operands);
		if (!does(rex ? insn : insn + 1, what))
			return false;
	}
	return true;
}

static void test_all(void)
{
	const u8 lea[15] = { 0x48, 0x8d, 0x44, 0xb7, 0x10 }, mov[15] = { 0x4d, 0x89, 0xfa };
	const u8 mov32[15] = { 0x89, 0xc8 }, nop[15] = { 0x90 };
	const u8 memory[15] = { 0x48, 0x0f, 0x44, 0x01 }, word[15] = { 0x66, 0x0f, 0x44, 0xc1 };
	const u8 setz[15] = { 0x0f, 0x94, 0xc0 };
	bool ok = does(lea, "lea 16(%rdi,%rsi,4), %rax") && does(mov, "mov %r15, %r10") &&
		  does(mov32, "mov %ecx, %eax") && does(nop, "nop");

	result(ok, "what is emulated already is as the CPU does it");
	result(cmov_does(0x48, 0xc1, "%rcx, %rax"), "cmov moves if its condition holds");
	result(cmov_does(0x4d, 0xfa, "%r10, %r15"), "cmov of %r8 to %r15");
	result(cmov_does(0, 0xc1, "%ecx, %eax"), "cmov of 32 bits");
	result(cmov_does(0x48, 0xc0, "%rax, %rax"), "cmov of a register to itself");
	ok = refuses(memory, "cmovz (%rcx), %rax") & refuses(word, "cmovz %cx, %ax") &
	     refuses(setz, "setz %al");
	result(ok, "what is not emulated right is refused");
}

/* What this CPU does, without an emulator. */
static void ask_cpu(void)
{
	const u8 cmovz[15] = { 0x0f, 0x44, 0xc1 };

	for (unsigned int zf = 0; zf < 2; zf++) {
		cpu_r[0] = 0xffffffff00000001;
		cpu_r[1] = 0xeeeeeeee00000002;
		cpu_flags = X86_EFLAGS_FIXED | X86_EFLAGS_IF | (zf ? X86_EFLAGS_ZF : 0);
		printf("cmovz %%ecx, %%eax; ZF %u: rax %016lx ", zf, cpu_r[0]);
		execute(cmovz, 3);
		printf("-> %016lx\n", cpu_r[0]);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "cpu")) {
		ask_cpu();
		return 0;
	}
	test_all();
	printf("%u of %u failed\n", failed, tests);
	return failed != 0;
}
