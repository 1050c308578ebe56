/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a workload and the one who started it talk: a file that both have mapped.
 */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <stdatomic.h>

#define WORKLOADS_MAX	8

/* Locked by who uses what there is one of: the tracer and its buffer, a device, modules. */
#define WORKLOAD_LOCK	"/tmp/work.lock"

/**
 * struct workload - a workload on one CPU
 * @begun: rounds begun
 * @ended: rounds ended
 * @wrong: parts whose outcome was not as it must be
 * @skipped: parts that this kernel has not, or not whole; the most of any round
 * @stop: set by the one who started it
 * @part: the part that runs, for whoever looks at what is left of a guest
 * @why: the first wrong outcome, and where
 */
struct workload {
	atomic_ulong begun, ended, wrong, skipped;
	atomic_bool stop;
	char part[32];
	char why[128];
};

#endif /* WORKLOAD_H */
