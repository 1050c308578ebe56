/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What our programs read of the kernel's types, by CO-RE.
 *
 * Kept by hand instead of dumped from some kernel's BTF: an object then depends on no
 * kernel and is the same, byte for byte, wherever it is built. Only names and types
 * matter; libbpf finds the offsets in the BTF of the kernel that runs.
 */
#ifndef KTRAMP_BPF_CORE_H
#define KTRAMP_BPF_CORE_H

#include <stdbool.h>
#include <linux/types.h>
#include <linux/ptrace.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#define CORE	__attribute__((preserve_access_index))

typedef struct {
	int counter;
} CORE atomic_t;

struct signal_struct {
	atomic_t live;
	int group_exit_code;
	unsigned int flags;
} CORE;

struct task_struct {
	int pid;
	int tgid;
	int exit_code;
	__u64 start_boottime;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct signal_struct *signal;
	char comm[16];
} CORE;

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
} CORE;

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} CORE;

#endif /* KTRAMP_BPF_CORE_H */
