/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Into a case with every register its own, and out of it with every register kept.
 *
 * The stack pointer is the case's too, so nothing here uses the stack before it has one:
 * a case may leave any number in it.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/asm.h>
#include <asm/nospec-branch.h>

#include "kernel/compat.h"

#define R(file, nr)	(state_##file + 8 * (nr))(%rip)
#define NR_RSP		4
#define RFLAGS		16
#define ENTRY		17	/* of state_before */
#define EXIT		17	/* of state_after */

	.text

/* void state_enter(void) */
SYM_FUNC_START(state_enter)
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	pushfq
	mov	%rsp, state_kernel_sp(%rip)
	pushq	R(before, RFLAGS)
	mov	R(before, 0), %rax
	mov	R(before, 1), %rcx
	mov	R(before, 2), %rdx
	mov	R(before, 3), %rbx
	mov	R(before, 5), %rbp
	mov	R(before, 6), %rsi
	mov	R(before, 7), %rdi
	mov	R(before, 8), %r8
	mov	R(before, 9), %r9
	mov	R(before, 10), %r10
	mov	R(before, 11), %r11
	mov	R(before, 12), %r12
	mov	R(before, 13), %r13
	mov	R(before, 14), %r14
	mov	R(before, 15), %r15
	popfq
	mov	R(before, NR_RSP), %rsp
	ANNOTATE_RETPOLINE_SAFE
	jmp	*R(before, ENTRY)

	/* What a call may lead to that comes back: into the bytes that a jump displaced. */
	.globl	state_back
state_back:
	ENDBR
	RET

	/* Where branches lead. */
	.globl	state_taken
state_taken:
	ENDBR
	movl	$2, R(after, EXIT)
	jmp	1f

	/* Behind the case's last instruction. */
	.globl	state_fall
state_fall:
	ENDBR
	movl	$1, R(after, EXIT)
1:
	mov	%rax, R(after, 0)
	mov	%rcx, R(after, 1)
	mov	%rdx, R(after, 2)
	mov	%rbx, R(after, 3)
	mov	%rsp, R(after, NR_RSP)
	mov	%rbp, R(after, 5)
	mov	%rsi, R(after, 6)
	mov	%rdi, R(after, 7)
	mov	%r8, R(after, 8)
	mov	%r9, R(after, 9)
	mov	%r10, R(after, 10)
	mov	%r11, R(after, 11)
	mov	%r12, R(after, 12)
	mov	%r13, R(after, 13)
	mov	%r14, R(after, 14)
	mov	%r15, R(after, 15)
	mov	state_kernel_sp(%rip), %rsp
	pushfq
	popq	R(after, RFLAGS)
	popfq
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	RET

	/*
	 * A page fault ends here: its tracepoint moves RIP to state_fault, for which there is
	 * an exception table entry, as there must not be for the case's own instruction.
	 */
	.globl	state_fault
state_fault:
	ANNOTATE_NOENDBR
	nop
	.globl	state_skip
state_skip:
	ANNOTATE_NOENDBR
	ANNOTATE_RETPOLINE_SAFE
	jmp	*state_skip_to(%rip)
	_ASM_EXTABLE(state_fault, state_skip)
SYM_FUNC_END(state_enter)
STACK_FRAME_NON_STANDARD state_enter
