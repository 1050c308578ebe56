/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Padding between functions, for springboards.
 */
#ifndef KTRAMP_GAP_H
#define KTRAMP_GAP_H

#include "admit/context.h"
#include "plan/plan.h"

int ktramp_gaps_find(const struct ktramp_context *ctx, u64 site, struct ktramp_gaps *gaps);

#endif /* KTRAMP_GAP_H */
