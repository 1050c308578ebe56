/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one lock of ktramp, and its place among the kernel's.
 *
 * Locks are taken in this order, from the outside in:
 *
 *   the kernel's module notifier chain (unload.c is called under it)
 *     ktramp_mutex
 *       cpu_add_remove_lock (ktramp_hotplug_hold())
 *         kprobe_mutex (patchers.c, and in register_kprobe() and unregister_kprobe())
 *           cpus_read_lock() (patchers.c)
 *             text_mutex (patchers.c, and in the kernel's own patching)
 *   names_lock (namesake.c) is taken under ktramp_mutex or none, and over kprobe_mutex.
 *   slot_mutex (slot.c) is taken under any of these or none, and nothing under it. The mutexes
 *   of bench.c and debugfs.c are outside ktramp_mutex.
 *
 * ktramp_mutex sleeps, also for grace periods; what patchers.c takes is not held for one. ftrace
 * has locks of its own outside text_mutex, and register_kprobe() takes all three: neither is called
 * under them. The trap path and the handlers take no lock.
 */
#ifndef KTRAMP_LOCK_H
#define KTRAMP_LOCK_H

#include <linux/mutex.h>

/* Serialises everything that changes a probe, the lists of probes, or the text. */
extern struct mutex ktramp_mutex;

#endif /* KTRAMP_LOCK_H */
