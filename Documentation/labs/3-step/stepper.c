// SPDX-License-Identifier: GPL-2.0-only
/*
 * A breakpoint and a single step out of line, in a process of one's own: what int3-step-tf does
 * in the kernel, small enough to read in ten minutes, and with its repairs left out on demand.
 *
 * usage: stepper pushf|call|ret|rip [naive]
 *
 * The kernel turns #BP and #DB into SIGTRAP, and a signal's handler may change the registers that
 * it returns to: it is to this program what an exception's handler is to the kernel.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define TF		0x100
#define SITE		0x10000000UL	/* where the probed function is */
#define SLOT		0x20000000UL	/* where the copy of its instruction is executed */
#define CELL		0x100		/* behind either: what "rip" reads */
#define REPAIR_RIP	1
#define REPAIR_FLAGS	2
#define REPAIR_RETURN	4
#define REPAIR_DISP	8

struct example {
	const char *name;
	const char *what;
	uint8_t code[24];
	unsigned int length;	/* of the first instruction, which is probed */
	int repairs;		/* what a copy of it needs */
};

/* Each returns in RAX what shows whether the probed instruction did what it should. */
static const struct example examples[] = {
	{ "pushf", "TF in the flags that were pushed",
	  { 0x9c,				/* pushfq */
	    0x58,				/* pop %rax */
	    0xc3 }, 1, REPAIR_RIP | REPAIR_FLAGS },
	{ "call", "the return address that the callee sees",
	  { 0xe8, 0x03, 0x00, 0x00, 0x00,	/* call 1f */
	    0xc3, 0xcc, 0xcc,			/* ret */
	    0x48, 0x8b, 0x04, 0x24,		/* 1: mov (%rsp), %rax */
	    0xc3 }, 5, REPAIR_RIP | REPAIR_RETURN },
	{ "ret", "1, if the caller was reached",
	  { 0xc3 }, 1, 0 },
	{ "rip", "what was read behind the function",
	  { 0x48, 0x8b, 0x05, CELL - 7, 0x00, 0x00, 0x00,	/* mov CELL-7(%rip), %rax */
	    0xc3 }, 7, REPAIR_RIP | REPAIR_DISP },
};

static const struct example *example;
static int repairs;
static int nr_bp, nr_db;
static sigjmp_buf out;

/* #BP: the handler would run here. Then the copy is to be executed, and nothing behind it. */
static void breakpoint(greg_t *regs)
{
	nr_bp++;
	regs[REG_RIP] = SLOT;
	regs[REG_EFL] |= TF;
}

/* #DB: the copy was executed. What does it know of where it was? */
static void single_step(greg_t *regs)
{
	uint64_t *top = (uint64_t *)regs[REG_RSP];

	nr_db++;
	regs[REG_EFL] &= ~TF;
	if (repairs & REPAIR_RIP)
		regs[REG_RIP] += SITE - SLOT;
	if (repairs & REPAIR_FLAGS)
		*top &= ~(uint64_t)TF;
	if (repairs & REPAIR_RETURN)
		*top += SITE - SLOT;
}

static void lost(int sig, uint64_t rip)
{
	if (rip >= SLOT && rip < SLOT + 4096)
		printf("%s: went on in the slot, behind the copy\n", strsignal(sig));
	else
		printf("%s: went to where nothing is\n", strsignal(sig));
}

static void trap(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

	if (sig == SIGTRAP && info->si_code == SI_KERNEL && regs[REG_RIP] == SITE + 1) {
		breakpoint(regs);
	} else if (sig == SIGTRAP && info->si_code == TRAP_TRACE) {
		single_step(regs);
	} else {
		lost(sig, regs[REG_RIP]);
		siglongjmp(out, 1);
	}
}

static uint8_t *page(uint64_t address)
{
	uint8_t *memory = mmap((void *)address, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (memory != (void *)address)
		return NULL;
	memset(memory, 0xcc, 4096);
	return memory;
}

static void write_code(uint8_t *site, uint8_t *slot)
{
	uint64_t right = 0x600d, wrong = 0xbad;
	int32_t displacement;

	memcpy(site, example->code, sizeof(example->code));
	memcpy(slot, example->code, example->length);
	memcpy(site + CELL, &right, sizeof(right));
	memcpy(slot + CELL, &wrong, sizeof(wrong));
	if (repairs & REPAIR_DISP) {
		memcpy(&displacement, slot + 3, sizeof(displacement));
		displacement += (int32_t)(SITE - SLOT);
		memcpy(slot + 3, &displacement, sizeof(displacement));
	}
	site[0] = 0xcc;
}

static uint64_t call_site(void)
{
	uint64_t result = 1;

	/* Not below the red zone: the functions use the stack as any does. */
	asm volatile("sub $128, %%rsp\n\tcall *%1\n\tadd $128, %%rsp"
		     : "+a" (result) : "r" (SITE) : "memory", "cc");
	return result;
}

static void tell(uint64_t result)
{
	if (!strcmp(example->name, "pushf"))
		result = !!(result & TF);
	printf("%s: 0x%llx\n", example->what, (unsigned long long)result);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = trap, .sa_flags = SA_SIGINFO | SA_NODEFER };
	uint8_t *site, *slot;

	for (size_t i = 0; argc > 1 && i < sizeof(examples) / sizeof(examples[0]); i++)
		if (!strcmp(examples[i].name, argv[1]))
			example = &examples[i];
	if (!example || argc > 3 || (argc == 3 && strcmp(argv[2], "naive"))) {
		fprintf(stderr, "usage: stepper pushf|call|ret|rip [naive]\n");
		return 2;
	}
	/* Everybody thinks of RIP. For "ret" that is one repair too many. */
	repairs = argc == 3 ? REPAIR_RIP : example->repairs;
	site = page(SITE);
	slot = page(SLOT);
	if (!site || !slot) {
		perror("stepper: cannot map the site and the slot");
		return 1;
	}
	write_code(site, slot);
	sigaction(SIGTRAP, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	if (!sigsetjmp(out, 1))
		tell(call_site());
	printf("%d #BP, %d #DB\n", nr_bp, nr_db);
	return 0;
}
