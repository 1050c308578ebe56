/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The slots' memory: a section of the module itself, because module text is the
 * only executable memory within rel32 reach that exported symbols lead to.
 *
 * It is linked as long nops, which objtool reads faster than the int3 that
 * slot.c fills it with at load; @nobits would do, but objtool cannot read it.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>

	.section .ktramp.slots, "ax", @progbits
	.balign 4096
	.globl ktramp_slots
	.globl ktramp_slots_end
ktramp_slots:
	ANNOTATE_NOENDBR
	.fill (1 << 20) / 8, 8, 0x0000000000841f0f	/* nopl 0(%rax,%rax) */
ktramp_slots_end:
	ANNOTATE_NOENDBR
	nop
	/* What goes on from our functions to those of the kernel that they come before (hook.c). */
	.balign 32
	.globl ktramp_hook_code
ktramp_hook_code:
	ANNOTATE_NOENDBR
	.fill 32 / 8, 8, 0x0000000000841f0f
	ANNOTATE_NOENDBR
	.fill 32 / 8, 8, 0x0000000000841f0f
