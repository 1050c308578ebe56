/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that is known of the function around a site.
 */
#ifndef KTRAMP_CONTEXT_H
#define KTRAMP_CONTEXT_H

#include "plan/func.h"
#include "plan/refuse.h"
#include "kernel/symbol.h"

/**
 * struct ktramp_context - a function of the running kernel
 * @symbol: where it is
 * @func: its bytes without our probes, marked
 * @blind: the kernel's tables are not known: hidden branches may be anywhere
 * @builtin: it is in the kernel's own text, not in a module's
 * @ftrace: offset of the instruction that ftrace owns, or -1; a guess until @admitted
 * @admitted: the kernel was asked about the function, and probes may be here
 */
struct ktramp_context {
	struct ktramp_symbol symbol;
	struct ktramp_func func;
	bool blind;
	bool builtin;
	s32 ftrace;
	bool admitted;
};

struct ktramp_context *ktramp_context_at(unsigned long addr, struct ktramp_refusal *r);
struct ktramp_context *ktramp_context_beside(unsigned long addr, struct ktramp_refusal *r);
int ktramp_context_is_prefix_at(unsigned long addr);
bool ktramp_context_is_prefix(const struct ktramp_context *ctx);
void ktramp_context_drop(void);
void ktramp_context_exit(void);

#endif /* KTRAMP_CONTEXT_H */
