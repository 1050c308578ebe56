/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is compared, and what runs, while a kernel has breakpoints all over.
 */
#ifndef LIVE_H
#define LIVE_H

#include "../../user/lib/ktramp.h"
#include "workload.h"

/* The kernel's own text, as the window shows it (kt_open_window()). */
struct snapshot {
	uint64_t start;
	size_t size;
	uint8_t *bytes;
};

/* The workload, a process on each CPU. */
struct load {
	unsigned int nr;
	pid_t pid[WORKLOADS_MAX];
	unsigned long skipped[WORKLOADS_MAX];	/* before there was a breakpoint */
	struct workload *shared;
};

bool live_read(uint64_t address, void *bytes, size_t size);
bool live_take(struct snapshot *shot);
size_t live_compare(const struct dev *dev, const struct snapshot *before,
		    const struct snapshot *after, size_t *explained);

bool live_share(struct load *load);
void live_start(struct load *load);
bool live_wait(const struct load *load, void (*each)(void *data), void *data);
unsigned int live_stop(const struct load *load);
void live_print(const struct load *load);

#endif /* LIVE_H */
