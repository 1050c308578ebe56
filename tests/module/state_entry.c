// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions as the compiler makes them, whose entries ftrace owns. What is behind the entry
 * is room for what state_test writes; linked as nops.
 */
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/stringify.h>

#include "ktramp_state.h"
#include "state.h"

/* The number tells them apart: the compiler would make one of functions that are the same. */
#define STATE_ENTRY(nr)							\
	static noinline void state_entry_##nr(void)			\
	{								\
		/* nopl 0(%rax,%rax) */					\
		asm volatile("# " #nr "\n\t"				\
			     ".fill %c0, 8, 0x0000000000841f0f"		\
			     : : "i" (STATE_CELL_SIZE / 8));		\
	}

STATE_ENTRY(0)
STATE_ENTRY(1)
STATE_ENTRY(2)
STATE_ENTRY(3)
STATE_ENTRY(4)
STATE_ENTRY(5)
STATE_ENTRY(6)
STATE_ENTRY(7)

static void (* const entries[])(void) = {
	state_entry_0, state_entry_1, state_entry_2, state_entry_3,
	state_entry_4, state_entry_5, state_entry_6, state_entry_7,
};

/* The nop that ftrace makes a call of, behind an endbr64 or what the kernel made of that. */
unsigned long state_entry(unsigned int nr)
{
	static const u8 nop[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
	const u8 *at;

	BUILD_BUG_ON(ARRAY_SIZE(entries) != STATE_ENTRIES);
	at = (const u8 *)entries[nr];
	if (memcmp(at, nop, sizeof(nop)))
		at += 4;
	return memcmp(at, nop, sizeof(nop)) ? 0 : (unsigned long)at;
}
