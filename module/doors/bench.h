/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KTRAMP_BENCH_H
#define KTRAMP_BENCH_H

#include "uapi/ktramp.h"

int ktramp_bench_run(struct ktramp_run *run);
int ktramp_bench_load(struct ktramp_load *load);
void ktramp_bench_load_stop(void);
enum ktramp_clock ktramp_bench_clock(void);

#endif /* KTRAMP_BENCH_H */
