/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel publishes of its kprobes in debugfs.
 */
#ifndef KTRAMP_PUBLISHED_H
#define KTRAMP_PUBLISHED_H

#include <linux/types.h>

/**
 * struct ktramp_published - kprobes
 * @nr: how many
 * @addr: where
 */
struct ktramp_published {
	unsigned int nr;
	unsigned long addr[];
};

ssize_t ktramp_published_read(const char *name, char *text, size_t room);
struct ktramp_published *ktramp_published_probes(void);
bool ktramp_published_has(const struct ktramp_published *list, unsigned long start,
			  unsigned long size);

#endif /* KTRAMP_PUBLISHED_H */
