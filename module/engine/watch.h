/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters that outlive their probe, for who watches it. */
#ifndef KTRAMP_WATCH_H
#define KTRAMP_WATCH_H

#include "hit/probe.h"

int ktramp_watch_add(struct ktramp_probe *p, void *watcher);
void ktramp_watch_end(struct ktramp_probe *p, const struct ktramp_stat *sum);
int ktramp_watch_read(u32 id, const void *watcher, struct ktramp_stat *sum);
void ktramp_watch_release(const void *watcher);

#endif /* KTRAMP_WATCH_H */
