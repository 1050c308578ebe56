// SPDX-License-Identifier: GPL-2.0-only
/*
 * The counting handler of the bench, as a BPF program of each kind.
 *
 * One body; the wrappers differ in how the kernel calls them. Only the one that is
 * measured is loaded. The counter is not atomic: the bench runs on one CPU.
 */
#include "core.h"

__u64 hits;

static __always_inline int count(void)
{
	hits++;
	return 0;
}

SEC("?kprobe")
int count_kprobe(void *ctx)
{
	return count();
}

SEC("?kprobe.multi")
int count_kprobe_multi(void *ctx)
{
	return count();
}

SEC("?kretprobe")
int count_kretprobe(void *ctx)
{
	return count();
}

SEC("?fentry")
int count_fentry(void *ctx)
{
	return count();
}

SEC("?fexit")
int count_fexit(void *ctx)
{
	return count();
}

SEC("?raw_tp/ktramp_target")
int count_raw_tp(void *ctx)
{
	return count();
}

SEC("?tp/ktramp/ktramp_target")
int count_tracepoint(void *ctx)
{
	return count();
}

char LICENSE[] SEC("license") = "GPL";
