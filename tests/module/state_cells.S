/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The cells: functions of the module's text whose bytes state_test writes.
 *
 * Linked as nops, which is what ktramp first finds there. The names are what bounds them:
 * the kernel takes a symbol to end where the next one starts.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>

#include "ktramp_state.h"

	.section .ktramp.state, "ax", @progbits
	.balign 4096
	.globl state_cells
state_cells:
	.macro state_nops kind, nr, size
	/* Of 7.x, ANNOTATE_NOENDBR is a macro whose arguments are not to be evaluated. */
	.noaltmacro
state_\kind\()_\nr:
	ANNOTATE_NOENDBR
	/* nopl 0(%rax,%rax) */
	.fill \size / 8, 8, 0x0000000000841f0f
	.altmacro
	.endm
	.altmacro
	.set number, 0
	.rept STATE_FUNCS
	state_nops padding, %number, STATE_PADDING_SIZE
	state_nops func, %number, (STATE_CELL_SIZE * STATE_FUNC_CELLS)
	.set number, number + 1
	.endr
	state_nops padding, %number, STATE_PADDING_SIZE
	.noaltmacro
	.globl state_cells_end
state_cells_end:
	ANNOTATE_NOENDBR
	nop
