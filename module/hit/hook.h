/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A call in one of the kernel's functions that leads to one of ours, and from there on.
 */
#ifndef KTRAMP_HOOK_H
#define KTRAMP_HOOK_H

#include <linux/types.h>

#include "plan/plan.h"

/* Bytes of the code that goes on to what the kernel called. */
#define KTRAMP_HOOK_CODE	32

/**
 * struct ktramp_hook - a call that can be led to us
 * @callers: names of the function with the call; the first that exists is it. NULL ends
 * @callees: names of what it calls, likewise
 * @ours: our function, called in the callee's place, with its arguments
 * @is_caller_alone: nobody but the caller calls the callee, with interrupts off: then the
 *	callee's beginning may lead to us as well
 * @on: code of ours that goes on to the callee, as if it had been called; for a call through
 *	a pointer
 * @why: why there is no such call, or NULL
 * @at: address of the eight aligned bytes that change; 0: there is no such call
 * @theirs: those bytes as the kernel has them
 * @led: those bytes while the call leads to us
 * @springboard: address of a jump to us in padding, where a short one at @at goes; or 0
 * @padding: what stood there
 * @is_led: they stand there
 */
struct ktramp_hook {
	const char *const *callers;
	const char *const *callees;
	const void *ours;
	bool is_caller_alone;
	unsigned long on;
	const char *why;
	unsigned long at;
	u64 theirs;
	u64 led;
	unsigned long springboard;
	u8 padding[KTRAMP_JMP_SIZE];
	bool is_led;
};

int ktramp_hook_find(struct ktramp_hook *hook, unsigned long code);
int ktramp_hook_lead(struct ktramp_hook *hook);
int ktramp_hook_leave(struct ktramp_hook *hook);
void ktramp_hook_forget(struct ktramp_hook *hook);

#endif /* KTRAMP_HOOK_H */
