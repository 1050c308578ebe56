/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KTRAMP_ACTIVE_H
#define KTRAMP_ACTIVE_H

#include <linux/percpu.h>

/*
 * The kernel's bpf_prog_active: how many BPF programs, and bpf() system calls that work on a map,
 * are under way on a CPU. NULL if the kernel does not show it. Constant once the module is loaded.
 */
extern int __percpu *ktramp_active;

int ktramp_active_init(void);

#endif /* KTRAMP_ACTIVE_H */
