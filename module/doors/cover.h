/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The requests of who covers the kernel.
 */
#ifndef KTRAMP_DOORS_COVER_H
#define KTRAMP_DOORS_COVER_H

struct file;

long ktramp_do_cover_add(struct file *file, void *arg);
long ktramp_do_cover_start(struct file *file, void *arg);
long ktramp_do_cover_reset(struct file *file, void *arg);
long ktramp_do_cover_stop(struct file *file, void *arg);
long ktramp_do_cover_stat(struct file *file, void *arg);
long ktramp_do_cover_read(struct file *file, void *arg);

#endif /* KTRAMP_DOORS_COVER_H */
