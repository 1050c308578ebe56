/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What ktramp trace's program writes, and the command reads.
 */
#ifndef KTRAMP_BPF_TRACE_H
#define KTRAMP_BPF_TRACE_H

#define TRACE_FRAMES_MAX	48

/* What the program counts, on each CPU. */
enum trace_count {
	TRACE_HITS,	/* it was run */
	TRACE_LOST,	/* the buffer was full */
	TRACE_OWN,	/* hits of the command itself, which are not told of */
	TRACE_COUNTS
};

/**
 * struct trace_event - one hit
 * @time: ns since boot
 * @pid: thread
 * @tgid: process
 * @cpu: where
 * @exit_code: of the task, by CO-RE; -1 if this kernel's types have none
 * @stack_bytes: valid bytes in @stack, or negative: why there is none
 * @reserved: 0
 * @comm: of the thread
 * @regs: as the displaced instruction found them
 * @stack: return addresses, the site first
 */
struct trace_event {
	__u64 time;
	__u32 pid;
	__u32 tgid;
	__u32 cpu;
	__s32 exit_code;
	__s32 stack_bytes;
	__u32 reserved;
	char comm[16];
	struct pt_regs regs;
	__u64 stack[TRACE_FRAMES_MAX];
};

#endif /* KTRAMP_BPF_TRACE_H */
