/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where probes have their counters.
 */
#ifndef KTRAMP_STAT_H
#define KTRAMP_STAT_H

#include "hit/probe.h"

struct ktramp_stat __percpu *ktramp_stat_alloc(unsigned int handler);
void ktramp_stat_free(struct ktramp_stat __percpu *stat);

#endif /* KTRAMP_STAT_H */
