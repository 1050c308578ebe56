/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KTRAMP_CHARDEV_H
#define KTRAMP_CHARDEV_H

int ktramp_chardev_init(void);
void ktramp_chardev_exit(void);

int ktramp_debugfs_init(void);
void ktramp_debugfs_exit(void);

#endif /* KTRAMP_CHARDEV_H */
