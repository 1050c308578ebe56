// SPDX-License-Identifier: GPL-2.0-only
/*
 * The targets: one function for each shape of instruction that matters to a trampoline.
 *
 * They are naked C functions, not assembler files, so that the compiler gives them what
 * it gives every function (ENDBR, the ftrace call, type information for BTF), and so
 * that each instruction at and around the site is the one written here.
 *
 * Each takes two numbers and returns one that is wrong if the displaced instruction was
 * skipped, executed twice, or executed with other registers, flags or stack.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/linkage.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/stringify.h>
#include <asm/frame.h>
#include <asm/nospec-branch.h>
#include <asm/text-patching.h>

#include "decode/insn.h"
#include "kernel/compat.h"
#include "kernel/target.h"

#define CREATE_TRACE_POINTS
#include "kernel/trace.h"

/* Added by each near-taken path that must not be taken, or that must. */
#define OTHER_PATH	"add $64, %rax\n"
#define RETURN		ASM_RET "\n"
#define INT3_PAD	"int3; int3; int3; int3; int3; int3\n"

#define TARGET(name, before, insn, after)					\
	long ktramp_target_##name(long a, long b);				\
	extern const u32 ktramp_offset_##name;					\
	__attribute__((naked)) noinline long ktramp_target_##name(long a, long b) \
	{									\
		asm(before							\
		    ".Lsite_" #name ": " insn "\n"				\
		    after							\
		    ".pushsection .rodata, \"a\"\n"				\
		    ".balign 4\n"						\
		    ".globl ktramp_offset_" #name "\n"				\
		    "ktramp_offset_" #name ":\n"				\
		    ".long .Lsite_" #name " - ktramp_target_" #name "\n"	\
		    ".popsection\n");						\
		KTRAMP_NAKED_END;						\
	}

/* What the RIP-relative targets read and write. */
extern long ktramp_cell_const, ktramp_cell;
long ktramp_cell_const = 0x123456789abcdef0;
long ktramp_cell;

/* rax = rdi + 1; the other registers are left alone. */
long ktramp_target_callee(long a);
__attribute__((naked)) noinline notrace long ktramp_target_callee(long a)
{
	asm("lea 1(%rdi), %rax\n" RETURN);
	KTRAMP_NAKED_END;
}

TARGET(nop, "mov %rdi, %rax\n", "nop", "add %rsi, %rax\n add $1, %rax\n" RETURN)

TARGET(push, "mov %rdi, %rax\n", "push %rsi",
	"xor %esi, %esi\n pop %rsi\n add %rsi, %rax\n" RETURN)

TARGET(pop, "push %rsi\n mov %rdi, %rax\n xor %ecx, %ecx\n", "pop %rcx",
	"add %rcx, %rax\n add $2, %rax\n" RETURN)

TARGET(mov, "xor %eax, %eax\n", "mov %rdi, %rax", "add %rsi, %rax\n add $3, %rax\n" RETURN)

TARGET(lea, "", "lea (%rdi,%rsi), %rax", "add $1, %rax\n" RETURN)

TARGET(lea7, "", "lea 0x12345678(%rdi), %rax", "add %rsi, %rax\n" RETURN)

TARGET(mov7, "", "mov $-0x12345678, %rax", "add %rdi, %rax\n" RETURN)

TARGET(mov10, "", "movabs $0x1122334455667788, %rax", "add %rdi, %rax\n" RETURN)

TARGET(load, "", "mov ktramp_cell_const(%rip), %rax", "add %rdi, %rax\n" RETURN)

TARGET(store, "", "mov %rdi, ktramp_cell(%rip)",
	"mov ktramp_cell(%rip), %rax\n add %rsi, %rax\n" RETURN)

TARGET(store_imm, "movq $0, ktramp_cell(%rip)\n", "movq $0x7654321, ktramp_cell(%rip)",
	"mov ktramp_cell(%rip), %rax\n add %rdi, %rax\n" RETURN)

TARGET(lock, "push %rdi\n", "lock addq $3, (%rsp)", "pop %rax\n add %rsi, %rax\n" RETURN)

TARGET(cmp, "xor %eax, %eax\n", "cmp %rsi, %rdi", "setl %al\n add %rdi, %rax\n" RETURN)

TARGET(adc, "mov %rdi, %rax\n cmp %rsi, %rdi\n", "adc $0, %rax", "add $1, %rax\n" RETURN)

TARGET(jcc_taken, "mov %rdi, %rax\n cmp %rdi, %rdi\n", "je 1f",
	OTHER_PATH "1: add %rsi, %rax\n" RETURN)

TARGET(jcc_not_taken, "mov %rdi, %rax\n cmp %rdi, %rdi\n", "jne 1f",
	OTHER_PATH "1: add %rsi, %rax\n" RETURN)

TARGET(jcc_near_taken, "mov %rdi, %rax\n cmp %rdi, %rdi\n", "{disp32} jns 1f",
	OTHER_PATH "1: add %rsi, %rax\n" RETURN)

TARGET(jcc_near_not_taken, "mov %rdi, %rax\n cmp %rdi, %rdi\n", "{disp32} jl 1f",
	OTHER_PATH "1: add %rsi, %rax\n" RETURN)

/* Behind the jump stands padding, as between functions: free to displace. */
TARGET(jmp, "mov %rdi, %rax\n", "jmp 1f", INT3_PAD "1: add %rsi, %rax\n" RETURN)

TARGET(jmp_near, "mov %rdi, %rax\n", "{disp32} jmp 1f", INT3_PAD "1: add %rsi, %rax\n" RETURN)

TARGET(loop, "mov %rdi, %rax\n mov $2, %ecx\n", "loop 1f",
	OTHER_PATH "1: add %rcx, %rax\n" RETURN)

TARGET(call, FRAME_BEGIN, "call ktramp_target_callee",
	"add %rsi, %rax\n" FRAME_END RETURN)

TARGET(call_ind, FRAME_BEGIN "lea ktramp_target_callee(%rip), %rax\n" ANNOTATE_RETPOLINE_SAFE "\n",
	"call *%rax", "add %rsi, %rax\n add $1, %rax\n" FRAME_END RETURN)

/* The plain instruction, whatever the kernel's own RETURN is patched to. */
TARGET(ret, "lea (%rdi,%rsi), %rax\n" ANNOTATE_RETPOLINE_SAFE "\n", "ret", INT3_PAD)

TARGET(rep, "push $0\n push $0\n push $0\n push $0\n mov %rdi, %r8\n mov %rsp, %rdi\n"
	"mov $0x21, %eax\n mov $32, %ecx\n", "rep stosb",
	"movzbl 31(%rsp), %eax\n add $32, %rsp\n add %r8, %rax\n add %rcx, %rax\n" RETURN)

/* IF and TF as pushed at the site against those pushed right behind it. */
TARGET(pushf, "mov %rdi, %rax\n", "pushf",
	"pop %rcx\n pushf\n pop %rdx\n xor %rdx, %rcx\n and $0x300, %ecx\n"
	"add %rcx, %rax\n" RETURN)

TARGET(popf, "pushf\n orq $1, (%rsp)\n clc\n", "popf",
	"mov $0, %eax\n adc %rdi, %rax\n" RETURN)

TARGET(sti, "pushf\n cli\n", "sti",
	"pushf\n pop %rax\n popf\n and $0x200, %eax\n add %rdi, %rax\n" RETURN)

TARGET(cli, "pushf\n sti\n", "cli",
	"pushf\n pop %rax\n popf\n and $0x200, %eax\n add %rdi, %rax\n" RETURN)

/* A loop's head 3 bytes behind the site: so often a call jumps there, besides falling into it. */
#define ROUNDS	3
TARGET(targeted, "mov %rdi, %rax\n mov $" __stringify(ROUNDS) ", %ecx\n", "inc %rcx",
	"1: add $1, %rax\n dec %rcx\n jnz 1b\n" RETURN)

/*
 * Two loops' heads, 2 and 4 bytes behind the site: no displacement has an int3 at both. Of the
 * padding, call thunks may want 16 bytes, and an int3 behind the ret stays (gap.c).
 */
TARGET(springboard, "mov %rdi, %rax\n mov $4, %ecx\n", "inc %ecx",
	"1: dec %ecx\n 2: add $1, %rax\n dec %ecx\n jz 3f\n test $1, %cl\n jnz 2b\n"
	"jmp 1b\n 3: " RETURN ".skip 24, 0xcc\n")

/* Known numbers in the registers, for the handler that looks at them. */
#define KNOWN(nr, reg)	"movabs $0x6b7472616d700000 + " #nr ", %" #reg "\n"
TARGET(regs, "push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
	KNOWN(0, rax) KNOWN(1, rcx) KNOWN(2, rdx) KNOWN(3, rbx) KNOWN(8, r8) KNOWN(9, r9)
	KNOWN(10, r10) KNOWN(11, r11) KNOWN(12, r12) KNOWN(13, r13) KNOWN(14, r14)
	KNOWN(15, r15) "cmp %rdi, %rdi\n stc\n",
	"nopl (%rax)",
	"mov $0, %eax\n adc %rdi, %rax\n add %rsi, %rax\n"
	"pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n" RETURN)

/* The pair the tracepoint rows compare: the same function without and with one. */
long ktramp_target_plain(long a, long b);
noinline long ktramp_target_plain(long a, long b)
{
	barrier();
	return a + b + 1;
}

long ktramp_target_tracepoint(long a, long b);
noinline long ktramp_target_tracepoint(long a, long b)
{
	trace_ktramp_target(a, b);
	return a + b + 1;
}

static long a_only(long a, long b)
{
	return a;
}

static long sum(long a, long b)
{
	return a + b;
}

static long sum_and_1(long a, long b)
{
	return a + b + 1;
}

static long sum_and_2(long a, long b)
{
	return a + b + 2;
}

static long sum_and_3(long a, long b)
{
	return a + b + 3;
}

static long sum_and_64(long a, long b)
{
	return a + b + 64;
}

static long a_and_1(long a, long b)
{
	return a + 1;
}

static long expect_targeted(long a, long b)
{
	return a + 1 + ROUNDS;
}

static long a_and_3(long a, long b)
{
	return a + 3;
}

static long a_and_0x21(long a, long b)
{
	return a + 0x21;
}

static long a_and_if(long a, long b)
{
	return a + 0x200;
}

static long expect_lea7(long a, long b)
{
	return a + b + 0x12345678;
}

static long expect_mov7(long a, long b)
{
	return a - 0x12345678;
}

static long expect_mov10(long a, long b)
{
	return a + 0x1122334455667788;
}

static long expect_load(long a, long b)
{
	return a + ktramp_cell_const;
}

static long expect_store_imm(long a, long b)
{
	return a + 0x7654321;
}

static long expect_cmp(long a, long b)
{
	return a + (a < b);
}

static long expect_adc(long a, long b)
{
	return a + ((unsigned long)a < (unsigned long)b) + 1;
}

#define ROW(nm, in, ex, tx)							\
	{ .name = #nm, .insn = in, .text = tx, .fn = ktramp_target_##nm,		\
	  .expect = ex, .offset = &ktramp_offset_##nm }
#define ROW_SHARED(nm, in, ex, tx)						\
	{ .name = #nm, .insn = in, .text = tx, .fn = ktramp_target_##nm,		\
	  .expect = ex, .offset = &ktramp_offset_##nm, .shared = true }
#define ROW_ENTERED(nm, in, ex, times, tx)					\
	{ .name = #nm, .insn = in, .text = tx, .fn = ktramp_target_##nm,		\
	  .expect = ex, .offset = &ktramp_offset_##nm, .entered = times }

static const struct ktramp_target targets[] = {
	ROW(lea, "lea (%rdi,%rsi), %rax", sum_and_1,
	    "plain arithmetic, 4 bytes: the one to compare by"),
	ROW(nop, "nop", sum_and_1, "one byte: four neighbours are displaced with it"),
	ROW(push, "push %rsi", sum, "writes the stack, one byte"),
	ROW(pop, "pop %rcx", sum_and_2, "reads the stack, one byte"),
	ROW(mov, "mov %rdi, %rax", sum_and_3, "register to register"),
	ROW(lea7, "lea 0x12345678(%rdi), %rax", expect_lea7, "7 bytes: displaced alone"),
	ROW(mov7, "mov $-0x12345678, %rax", expect_mov7, "7 bytes with an immediate"),
	ROW(mov10, "movabs $imm64, %rax", expect_mov10, "10 bytes, the longest ordinary one"),
	ROW(load, "mov cell(%rip), %rax", expect_load,
	    "RIP-relative load: the copy needs another displacement"),
	ROW_SHARED(store, "mov %rdi, cell(%rip)", sum, "RIP-relative store"),
	ROW_SHARED(store_imm, "movq $imm32, cell(%rip)", expect_store_imm,
		   "RIP-relative, and an immediate behind the displacement"),
	ROW(lock, "lock addq $3, (%rsp)", sum_and_3, "locked read-modify-write, through RSP"),
	ROW(cmp, "cmp %rsi, %rdi", expect_cmp, "sets flags that are read behind it"),
	ROW(adc, "adc $0, %rax", expect_adc, "reads flags that were set before it"),
	ROW(jcc_taken, "je +4", sum, "short conditional jump, taken"),
	ROW(jcc_not_taken, "jne +4", sum_and_64, "short conditional jump, not taken"),
	ROW(jcc_near_taken, "jns +4", sum, "near conditional jump, taken"),
	ROW(jcc_near_not_taken, "jl +4", sum_and_64, "near conditional jump, not taken"),
	ROW(jmp, "jmp +6", sum, "short jump, padding behind it"),
	ROW(jmp_near, "jmp +6", sum, "near jump: exactly 5 bytes"),
	ROW(loop, "loop +4", a_and_1, "counts RCX down and jumps, short form only"),
	ROW(call, "call callee", sum_and_1, "pushes its own return address"),
	ROW_ENTERED(call_ind, "call *%rax", sum_and_2, 1,
		    "2 bytes: it returns into what a jump would displace"),
	ROW(ret, "ret", sum, "leaves the function, padding behind it"),
	ROW(rep, "rep stosb", a_and_0x21, "repeats: #DB after each iteration under TF"),
	ROW(pushf, "pushf", a_only, "pushes TF and IF, which a stepper has changed"),
	ROW(popf, "popf", a_and_1, "loads all flags, TF and IF among them"),
	ROW(sti, "sti", a_and_if, "sets IF"),
	ROW(cli, "cli", a_only, "clears IF"),
	ROW_ENTERED(targeted, "inc %rcx", expect_targeted, ROUNDS,
		    "a loop comes back to 3 bytes behind it, into the jump"),
	ROW(springboard, "inc %ecx", a_and_3,
	    "loops come back to 2 and to 4 bytes behind it"),
	ROW(regs, "nopl (%rax)", sum_and_1, "known numbers in the registers"),
	{ .name = "plain", .insn = "(compiled)", .text = "C function, for comparison with the next",
	  .fn = ktramp_target_plain, .expect = sum_and_1 },
	{ .name = "tracepoint", .base = "plain", .insn = "nop, or jmp",
	  .text = "the same C function with a tracepoint in it",
	  .fn = ktramp_target_tracepoint, .expect = sum_and_1 },
};

static DEFINE_RAW_SPINLOCK(shared_lock);

/* What the C functions' ftrace entries hold is known only once they are loaded. */
static unsigned long target_entry[ARRAY_SIZE(targets)];
static unsigned long target_hook;

unsigned int ktramp_target_count(void)
{
	return ARRAY_SIZE(targets);
}

/* Return: the target, or NULL behind the last one. */
const struct ktramp_target *ktramp_target(unsigned int index)
{
	return index < ARRAY_SIZE(targets) ? &targets[index] : NULL;
}

unsigned int ktramp_target_index(const struct ktramp_target *t)
{
	return t - targets;
}

/* Return: the target of that name, or NULL. */
const struct ktramp_target *ktramp_target_find(const char *name, size_t len)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(targets); i++)
		if (strlen(targets[i].name) == len && !memcmp(targets[i].name, name, len))
			return &targets[i];
	return NULL;
}

/* Return: the target whose function starts at @start, or NULL. */
const struct ktramp_target *ktramp_target_at(unsigned long start)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(targets); i++)
		if ((unsigned long)targets[i].fn == start)
			return &targets[i];
	return NULL;
}

/* Address of the function's ftrace call. */
unsigned long ktramp_target_entry(const struct ktramp_target *t)
{
	return target_entry[t - targets];
}

/* Address of the function's site. */
unsigned long ktramp_target_site(const struct ktramp_target *t)
{
	if (t->offset)
		return (unsigned long)t->fn + *t->offset;
	if (t->base)
		return target_hook;
	return ktramp_target_entry(t) + CALL_INSN_SIZE;
}

/* Make calls of @t one at a time on this machine, if it needs that. Interrupts go off. */
unsigned long ktramp_targets_lock(const struct ktramp_target *t)
	__acquires(&shared_lock)
{
	unsigned long flags = 0;

	if (t->shared)
		raw_spin_lock_irqsave(&shared_lock, flags);
	else
		__acquire(&shared_lock);
	return flags;
}

void ktramp_targets_unlock(const struct ktramp_target *t, unsigned long flags)
	__releases(&shared_lock)
{
	if (t->shared)
		raw_spin_unlock_irqrestore(&shared_lock, flags);
	else
		__release(&shared_lock);
}

/* The tracepoint's nop: the first one behind the function's entry. */
static unsigned long find_hook(unsigned long entry)
{
	unsigned long at = entry + CALL_INSN_SIZE;
	struct ktramp_insn insn;

	while (ktramp_insn_decode(&insn, (void *)at, KTRAMP_INSN_MAX) > 0) {
		if (insn.attr & KTRAMP_A_NOP)
			return at;
		if (ktramp_insn_ends_flow(&insn))
			break;
		at += insn.len;
	}
	return 0;
}

/**
 * ktramp_target_init() - find the entries, and check that every target works unprobed
 *
 * An entry may begin with ENDBR, which the kernel may have sealed to a 4-byte nop.
 *
 * Return: 0 or -EIO.
 */
int ktramp_target_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(targets); i++) {
		const struct ktramp_target *t = &targets[i];
		unsigned long entry = (unsigned long)t->fn;
		struct ktramp_insn insn;
		unsigned long flags;
		long result;

		if (ktramp_insn_decode(&insn, t->fn, KTRAMP_INSN_MAX) < 0)
			return -EIO;
		if (insn.len == 4 && (insn.attr & KTRAMP_A_NOP))
			entry += insn.len;
		target_entry[i] = entry;
		if (t->base) {
			target_hook = find_hook(entry);
			if (!target_hook)
				return -EIO;
		}

		flags = ktramp_targets_lock(t);
		result = t->fn(3, 5);
		ktramp_targets_unlock(t, flags);
		if (result != t->expect(3, 5)) {
			pr_err("target %s returns %ld instead of %ld\n", t->name, result,
			       t->expect(3, 5));
			return -EIO;
		}
	}
	return 0;
}
