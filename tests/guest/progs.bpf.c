// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs of the tests (progs.c). Each is loaded where a test wants it; none needs types.
 */
#include <linux/errno.h>

#include "core.h"
#include "../module/ktramp_state.h"

#define STACK_MAX	32

/* ---- hits, counted by two programs that replace each other ---- */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

static __always_inline int count_in(__u32 slot)
{
	__u64 *count = bpf_map_lookup_elem(&counts, &slot);

	if (count)
		(*count)++;
	return 0;
}

SEC("?kprobe")
int count_first(void *ctx)
{
	return count_in(0);
}

SEC("?kprobe")
int count_second(void *ctx)
{
	return count_in(1);
}

/* ---- one for each class of detours ---- */

__u64 adds, stores, filtered_in, looked_up, attached;
__u64 wanted;

SEC("?kprobe")
int add_bare(void *ctx)
{
	__sync_fetch_and_add(&adds, 1);
	return 0;
}

SEC("?kprobe")
int store_light(void *ctx)
{
	stores++;
	return 0;
}

SEC("?kprobe")
int filter_light(struct pt_regs *ctx)
{
	if (PT_REGS_PARM1(ctx) != wanted)
		return 0;
	__sync_fetch_and_add(&filtered_in, 1);
	return 0;
}

SEC("?kprobe")
int tell_helpers(void *ctx)
{
	__sync_fetch_and_add(&looked_up, bpf_get_current_pid_tgid() != 0);
	return 0;
}

/* Attached to one of them. It writes to each register that a function may. */
SEC("?fentry")
int on_program(void *ctx)
{
	__u64 time = bpf_ktime_get_ns();

	if (time)
		__sync_fetch_and_add(&attached, 1);
	return 0;
}

/* Attached to a function, at the entry of which it may be a jump. */
SEC("?fexit")
int on_return(void *ctx)
{
	__sync_fetch_and_add(&attached, 1);
	return 0;
}

/* ---- what the program is given ---- */

struct pt_regs seen_regs;

SEC("?kprobe")
int keep_regs(struct pt_regs *ctx)
{
	seen_regs = *ctx;
	return 0;
}

/* ---- helpers ---- */

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 64);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, STACK_MAX * sizeof(__u64));
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, __u64);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(int));
	__uint(value_size, sizeof(int));
} events SEC(".maps");

char seen_comm[16];
__u64 seen_pid_tgid, seen_time, seen_cookie, seen_func_ip, seen_bytes;
__u64 seen_stack[STACK_MAX];
__s64 stack_size, stack_id, update_error, ring_error, perf_error, read_error;
__u64 parm1, parm2;
__u64 calls;

/* Without a ring where its lock sleeps: such programs are refused there. */
static __always_inline int use(struct pt_regs *ctx, bool with_ring)
{
	__u64 key = 7, value = ++calls;

	parm1 = PT_REGS_PARM1(ctx);
	parm2 = PT_REGS_PARM2(ctx);
	bpf_get_current_comm(seen_comm, sizeof(seen_comm));
	seen_pid_tgid = bpf_get_current_pid_tgid();
	seen_time = bpf_ktime_get_ns();
	seen_cookie = bpf_get_attach_cookie(ctx);
	stack_size = bpf_get_stack(ctx, seen_stack, sizeof(seen_stack), 0);
	stack_id = bpf_get_stackid(ctx, &stacks, 0);
	update_error = bpf_map_update_elem(&hash, &key, &value, BPF_ANY);
	if (with_ring)
		ring_error = bpf_ringbuf_output(&ring, &value, sizeof(value), 0);
	perf_error = bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &value, sizeof(value));
	read_error = bpf_probe_read_kernel(&seen_bytes, sizeof(seen_bytes),
					   (void *)(PT_REGS_IP(ctx) - 1));
	return 0;
}

SEC("?kprobe")
int use_helpers(struct pt_regs *ctx)
{
	return use(ctx, true);
}

SEC("?kprobe")
int use_helpers_but_ring(struct pt_regs *ctx)
{
	return use(ctx, false);
}

/* ---- what tools do ---- */

__s64 stack_id_of_site;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} by_pid SEC(".maps");

SEC("?kprobe")
int add_by_pid(void *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	__u64 *count = bpf_map_lookup_elem(&by_pid, &pid);

	if (count)
		__sync_fetch_and_add(count, 1);
	return 0;
}

SEC("?kprobe")
int keep_stack(void *ctx)
{
	stack_id_of_site = bpf_get_stackid(ctx, &stacks, 0);
	return 0;
}

/* ---- a map whose locks have no try ---- */

__u64 on_event;

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, __u64);
} recent SEC(".maps");

static __always_inline int update_recent(void)
{
	__u64 key = 7, value = 1;

	bpf_map_update_elem(&recent, &key, &value, BPF_ANY);
	return 0;
}

SEC("?kprobe")
int update_lru(void *ctx)
{
	return update_recent();
}

SEC("?perf_event")
int update_lru_on_event(void *ctx)
{
	__sync_fetch_and_add(&on_event, 1);
	return update_recent();
}

/* ---- what state_test's cells give it; the cookie is the number of one ---- */

struct pt_regs seen_at[STATE_CELLS];
__u64 hits_at[STATE_CELLS];
__u64 hole, owner, went_wrong;

/* The helpers do what they are for, and one of them takes a page fault. */
static __always_inline int see(struct pt_regs *ctx, bool with_ring)
{
	__u64 at = bpf_get_attach_cookie(ctx), nothing;

	if (at >= STATE_CELLS) {
		went_wrong++;
		return 0;
	}
	seen_at[at] = *ctx;
	hits_at[at]++;
	use(ctx, with_ring);
	if (seen_pid_tgid >> 32 != owner || update_error || read_error || stack_size < 8 ||
	    seen_stack[0] != PT_REGS_IP(ctx) ||
	    bpf_probe_read_kernel(&nothing, sizeof(nothing), (void *)hole) != -EFAULT)
		went_wrong++;
	return 0;
}

SEC("?kprobe")
int see_state(struct pt_regs *ctx)
{
	return see(ctx, true);
}

SEC("?kprobe")
int see_state_but_ring(struct pt_regs *ctx)
{
	return see(ctx, false);
}

/* ---- what must be refused ---- */

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} tails SEC(".maps");

SEC("?uprobe.s")
int may_sleep(void *ctx)
{
	return 0;
}

SEC("?kprobe")
int tail_calls(void *ctx)
{
	bpf_tail_call(ctx, &tails, 0);
	return 0;
}

SEC("?kprobe")
int overrides(struct pt_regs *ctx)
{
	bpf_override_return(ctx, -1);
	return 0;
}

SEC("?kprobe")
int asks_func_ip(void *ctx)
{
	__sync_fetch_and_add(&on_event, bpf_get_func_ip(ctx));
	return 0;
}

SEC("?kprobe.multi")
int for_multi(void *ctx)
{
	return 0;
}

SEC("?raw_tp/sys_enter")
int for_tracepoint(void *ctx)
{
	return 0;
}

/* ---- a flood ---- */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} flood SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} flooded SEC(".maps");

/* Slot 0 counts what was written, slot 1 what found no room. */
static __always_inline void count_flooded(__u32 slot)
{
	__u64 *count = bpf_map_lookup_elem(&flooded, &slot);

	if (count)
		(*count)++;
}

SEC("?kprobe")
int write_flood(void *ctx)
{
	__u64 *event = bpf_ringbuf_reserve(&flood, sizeof(*event), 0);

	/* The two ends are apart, or 6.1 loses track of what is reserved. */
	if (!event) {
		count_flooded(1);
		return 0;
	}
	*event = bpf_get_smp_processor_id();
	bpf_ringbuf_submit(event, 0);
	count_flooded(0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
