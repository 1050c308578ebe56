// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUs that come and go, and are kept from it for a while.
 *
 * cpus_read_lock() keeps them from it, but cannot be held over a grace period of tasks-RCU: its
 * thread takes the lock for reading as well (schedule_on_each_cpu()), which waits as soon as
 * somebody waits to write. cpu_hotplug_disable() makes whoever brings a CPU up fail. So it is
 * the mutex around all of it, cpu_add_remove_lock in kernel/cpu.c, which is found by its name;
 * nothing that a grace period needs takes that.
 */
#include <linux/cpumask.h>
#include <linux/errno.h>
#include <linux/mutex.h>

#include "kernel/hotplug.h"
#include "kernel/symbol.h"

/* NULL on a kernel for one CPU, or one that does not tell of its data and gets no jumps. */
static struct mutex *cpu_add_remove;

/* Has the kernel taken its lock prefixes away (arch/x86/kernel/alternative.c)? NULL: unknown. */
static const bool *uniproc_patched;

/* Context: process, sleeps. Return: 0 or -ENOMEM. */
int ktramp_hotplug_init(void)
{
	int err = ktramp_symbol_find("cpu_add_remove_lock", (unsigned long *)&cpu_add_remove);

	if (err != -ENOMEM)
		err = ktramp_symbol_find("uniproc_patched", (unsigned long *)&uniproc_patched);
	return err == -ENOMEM ? err : 0;
}

/**
 * ktramp_hotplug_brings_locks() - may a CPU still come for which lock prefixes are put back?
 *
 * With its first CPU the kernel replaces lock (f0) by ds (3e), which costs less; with the second
 * it writes all of them back, once and for good (alternatives_enable_smp()).
 *
 * Context: any.
 */
bool ktramp_hotplug_brings_locks(void)
{
	return num_possible_cpus() > 1 && (!uniproc_patched || READ_ONCE(*uniproc_patched));
}

/**
 * ktramp_hotplug_hold() - let no CPU come or go until ktramp_hotplug_release()
 *
 * Waits for one that is on its way.
 *
 * Context: process, under ktramp_mutex; sleeps.
 */
void ktramp_hotplug_hold(void)
{
	if (cpu_add_remove)
		mutex_lock(cpu_add_remove);
}

void ktramp_hotplug_release(void)
{
	if (cpu_add_remove)
		mutex_unlock(cpu_add_remove);
}
