/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPUs that come and go, and are kept from it for a while.
 */
#ifndef KTRAMP_HOTPLUG_H
#define KTRAMP_HOTPLUG_H

#include <linux/types.h>

int ktramp_hotplug_init(void);
bool ktramp_hotplug_brings_locks(void);
void ktramp_hotplug_hold(void);
void ktramp_hotplug_release(void);

#endif /* KTRAMP_HOTPLUG_H */
