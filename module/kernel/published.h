/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel publishes of its kprobes in debugfs.
 */
#ifndef KTRAMP_PUBLISHED_H
#define KTRAMP_PUBLISHED_H

int ktramp_published_each(const char *name, void (*visit)(char *line, void *data),
			  void *data);

#endif /* KTRAMP_PUBLISHED_H */
