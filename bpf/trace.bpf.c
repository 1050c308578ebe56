// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tell of each hit: who, where, with which registers, called by whom.
 */
#include "core.h"
#include "trace.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

/*
 * The same where a ring buffer's lock sleeps (PREEMPT_RT before 6.12). An event is made in the
 * scratch: no hit of this CPU comes in between, as each is of the current task.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(int));
	__uint(value_size, sizeof(int));
} perf_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct trace_event);
} scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TRACE_COUNTS);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

/* An NMI's hit may come in between. */
static __always_inline void count(enum trace_count which)
{
	__u32 slot = which;
	__u64 *value = bpf_map_lookup_elem(&counts, &slot);

	if (value)
		__sync_fetch_and_add(value, 1);
}

/* Or only counters. */
const volatile bool want_events = true;

/* The command's process, as its namespace counts, and that namespace. */
const volatile __u32 own_tgid;
const volatile __u64 own_dev, own_ino;

static __always_inline bool is_own(void)
{
	struct bpf_pidns_info ids = {};

	/* A kernel without pid namespaces. */
	if (!own_ino)
		return bpf_get_current_pid_tgid() >> 32 == own_tgid;
	return !bpf_get_ns_current_pid_tgid(own_dev, own_ino, &ids, sizeof(ids)) &&
	       ids.tgid == own_tgid;
}

/* Return: is this hit to be told of? A command that traces itself would never be done. */
static __always_inline bool begin(void)
{
	count(TRACE_HITS);
	if (!is_own())
		return want_events;
	count(TRACE_OWN);
	return false;
}

const volatile bool want_stack;

static __always_inline void tell(struct pt_regs *ctx, struct trace_event *event)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 id = bpf_get_current_pid_tgid();

	event->time = bpf_ktime_get_ns();
	event->pid = id;
	event->tgid = id >> 32;
	event->cpu = bpf_get_smp_processor_id();
	event->reserved = 0;
	event->exit_code = -1;
	if (bpf_core_field_exists(task->exit_code))
		event->exit_code = BPF_CORE_READ(task, exit_code);
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	event->regs = *ctx;
	/* RIP is behind the site's first byte, as kprobes have it. */
	event->regs.rip--;
	event->stack_bytes = 0;
	if (want_stack)
		event->stack_bytes = bpf_get_stack(ctx, event->stack, sizeof(event->stack), 0);
}

SEC("?kprobe")
int trace_hit(struct pt_regs *ctx)
{
	struct trace_event *event;

	if (!begin())
		return 0;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	/* The ring is full: the command cannot read as fast as this is hit. */
	if (!event) {
		count(TRACE_LOST);
		return 0;
	}
	tell(ctx, event);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

SEC("?kprobe")
int trace_hit_perf(struct pt_regs *ctx)
{
	__u32 slot = 0;
	struct trace_event *event = bpf_map_lookup_elem(&scratch, &slot);

	if (!begin() || !event)
		return 0;
	tell(ctx, event);
	if (bpf_perf_event_output(ctx, &perf_events, BPF_F_CURRENT_CPU, event, sizeof(*event)))
		count(TRACE_LOST);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
