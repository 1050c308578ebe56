/* SPDX-License-Identifier: GPL-2.0-only */
/* Between state.c and its assembler. */
#ifndef STATE_H
#define STATE_H

#include <linux/types.h>

/**
 * struct state_regs - registers on the way in, or out
 * @r: in the order the CPU numbers them
 * @rflags: RFLAGS
 * @where: address to start at, or STATE_FELL, STATE_TOOK
 */
struct state_regs {
	u64 r[16];
	u64 rflags;
	u64 where;
};

extern struct state_regs state_before, state_after;
extern unsigned long state_kernel_sp, state_skip_to;
extern const u8 state_cells[], state_cells_end[];
extern const u8 state_fall[], state_taken[], state_back[], state_fault[];

void state_enter(void);
unsigned long state_entry(unsigned int nr);

#endif /* STATE_H */
