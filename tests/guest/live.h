/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What runs while a kernel has breakpoints all over.
 */
#ifndef LIVE_H
#define LIVE_H

#include "../../user/lib/ktramp.h"
#include "workload.h"

/* The workload, a process on each CPU. */
struct load {
	unsigned int nr;
	pid_t pid[WORKLOADS_MAX];
	unsigned long skipped[WORKLOADS_MAX];	/* before there was a breakpoint */
	struct workload *shared;
};

bool live_share(struct load *load);
void live_start(struct load *load);
bool live_wait(const struct load *load, void (*each)(void *data), void *data);
unsigned int live_stop(const struct load *load);
void live_print(const struct load *load);

#endif /* LIVE_H */
