/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions in which no breakpoint may stand, not even for a moment.
 */
#ifndef KTRAMP_HAZARD_H
#define KTRAMP_HAZARD_H

#include <linux/types.h>

#include "plan/refuse.h"

int ktramp_hazard(const char *name, bool is_direct, struct ktramp_refusal *r);

#endif /* KTRAMP_HAZARD_H */
