/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one lock of ktramp, and its place among the kernel's.
 *
 * Locks are taken in this order, from the outside in:
 *
 *   the kernel's module notifier chain (unload.c is called under it)
 *     ktramp_mutex
 *       kprobe_mutex (in register_kprobe() and unregister_kprobe())
 *         cpus_read_lock() (ktramp_text_sync())
 *           text_mutex (in the kernel's own patching)
 *   slot_mutex (slot.c) is taken under any of these or none, and nothing under it. The mutexes
 *   of bench.c and debugfs.c are outside ktramp_mutex.
 *
 * ktramp_mutex sleeps, also for grace periods. The trap path and the handlers take no lock.
 */
#ifndef KTRAMP_LOCK_H
#define KTRAMP_LOCK_H

#include <linux/mutex.h>

/* Serialises everything that changes a probe, the lists of probes, or the text. */
extern struct mutex ktramp_mutex;

#endif /* KTRAMP_LOCK_H */
