/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KTRAMP_UNLOAD_H
#define KTRAMP_UNLOAD_H

int ktramp_unload_init(void);
void ktramp_unload_exit(void);

#endif /* KTRAMP_UNLOAD_H */
