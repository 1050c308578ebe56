/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which functions may be probed at all.
 */
#ifndef KTRAMP_ADMIT_H
#define KTRAMP_ADMIT_H

#include "admit/context.h"

int ktramp_admit_function(struct ktramp_context *ctx, u32 off, bool is_direct,
			  struct ktramp_refusal *r);
int ktramp_admit_known(const struct ktramp_context *ctx, bool is_direct, struct ktramp_refusal *r);
int ktramp_admit_cover(const struct ktramp_context *ctx, bool is_direct, struct ktramp_refusal *r);
int ktramp_admit_ask(unsigned long addr, struct ktramp_refusal *r);
int ktramp_admit_insn(const struct ktramp_context *ctx, u32 off, struct ktramp_refusal *r);
void ktramp_admit_settle(void);
void ktramp_admit_forget(unsigned long start, unsigned long size);
void ktramp_admit_exit(void);

#endif /* KTRAMP_ADMIT_H */
