/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which registers and flags nobody reads any more. Pure, as plan.h.
 */
#ifndef KTRAMP_LIVE_H
#define KTRAMP_LIVE_H

#include "plan/plan.h"

/**
 * struct ktramp_dead - what is proven dead before a site's instruction
 * @regs: bit n: GPR n is overwritten before it is read, on every path
 * @flags: KTRAMP_F_*: likewise
 */
struct ktramp_dead {
	u16 regs;
	u16 flags;
};

struct ktramp_dead ktramp_live_dead(const struct ktramp_site *site);

#endif /* KTRAMP_LIVE_H */
