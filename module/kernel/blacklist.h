/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel's own kprobes keep away from, as the kernel publishes it.
 */
#ifndef KTRAMP_BLACKLIST_H
#define KTRAMP_BLACKLIST_H

#include <linux/types.h>

struct module;

int ktramp_blacklist_init(void);
bool ktramp_blacklist_known(void);
bool ktramp_blacklist_overlaps(unsigned long start, unsigned long size);
int ktramp_blacklist_learn(void);
bool ktramp_blacklist_has_name(const char *name);
bool ktramp_blacklist_of_module(const struct module *mod, unsigned long start, unsigned long size);
void ktramp_blacklist_exit(void);

#endif /* KTRAMP_BLACKLIST_H */
