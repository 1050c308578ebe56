// SPDX-License-Identifier: GPL-2.0-only
/*
 * The exit of a process, recorded by the kernel, whether anybody is there to read it.
 *
 * The tracepoint comes before the process can be waited for, and before its pidfd becomes
 * readable (do_exit() calls it ahead of exit_notify()): whoever is woken finds the event.
 */
#include "core.h"
#include "exits.h"

#define SIGNAL_GROUP_EXIT	0x4	/* include/linux/sched/signal.h */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EXITS_SIZE);
	__type(key, __u32);
	__type(value, struct exits_watched);
} watched SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EXITS_SIZE);
	__type(key, __u64);
	__type(value, struct exits_event);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EXITS_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

static __always_inline void count(__u32 counter)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &counter);

	if (value)
		__sync_fetch_and_add(value, 1);
}

/*
 * As wait_task_zombie() does. Since Linux 5.17 the last thread of a process sets the flag
 * itself if no exit of the group had (synchronize_group_exit()).
 */
static __always_inline int status_of(struct task_struct *task)
{
	if (BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT)
		return BPF_CORE_READ(task, signal, group_exit_code);
	return BPF_CORE_READ(task, group_leader, exit_code);
}

/* The entry of the process that exits, or NULL if it is not watched. */
static __always_inline struct exits_watched *find(struct task_struct *task, __u32 tgid)
{
	struct exits_watched *entry = bpf_map_lookup_elem(&watched, &tgid);

	if (!entry)
		return NULL;
	if (entry->start == BPF_CORE_READ(task, group_leader, start_boottime))
		return entry;
	count(EXITS_STRANGERS);
	return NULL;
}

static __always_inline struct exits_event exited(const struct exits_watched *entry, int status)
{
	struct exits_event event = {
		.state = EXITS_EXITED, .status = status, .start = entry->start,
		.ended = bpf_ktime_get_boot_ns(),
	};

	return event;
}

/*
 * A process has exited when its last thread has, which need not be the first one: the
 * count of living threads goes down ahead of the tracepoint. Two threads may both find it
 * at 0; the one that takes the process off the list writes the event.
 *
 * The event's room was taken when the process was put on the list, so that it cannot be
 * missing now: replacing an element of a preallocated map needs no new one.
 */
SEC("?raw_tp/sched_process_exit")
int exits_record(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	__u32 tgid = BPF_CORE_READ(task, tgid);
	struct exits_watched *entry;
	struct exits_event event;
	__u64 trace;

	if (BPF_CORE_READ(task, signal, live.counter))
		return 0;
	entry = find(task, tgid);
	if (!entry)
		return 0;
	trace = entry->trace;
	event = exited(entry, status_of(task));
	if (bpf_map_delete_elem(&watched, &tgid))
		return 0;
	if (bpf_map_update_elem(&events, &trace, &event, BPF_EXIST))
		count(EXITS_UNCLAIMED);
	else
		count(EXITS_RECORDED);
	return 0;
}

/*
 * What a well-known implementation does, kept to be seen failing: it takes the first
 * thread's exit for the process's, and finds out only now whether there is room.
 */
SEC("?raw_tp/sched_process_exit")
int exits_naive(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	__u32 tgid = BPF_CORE_READ(task, tgid);
	struct exits_watched *entry;
	struct exits_event event;
	__u64 trace;

	if ((__u32)BPF_CORE_READ(task, pid) != tgid)
		return 0;
	entry = find(task, tgid);
	if (!entry)
		return 0;
	trace = entry->trace;
	event = exited(entry, BPF_CORE_READ(task, exit_code));
	if (bpf_map_update_elem(&events, &trace, &event, BPF_NOEXIST))
		count(EXITS_DROPPED);
	else
		count(EXITS_RECORDED);
	bpf_map_delete_elem(&watched, &tgid);
	return 0;
}

/*
 * Who is the process behind a pidfd? Its number in the reader's PID namespace would not do
 * for the program above, which knows those of the initial one.
 */
SEC("iter/task")
int exits_identify(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct exits_identity identity = { };

	if (!task || task->pid != task->tgid)
		return 0;
	identity.tgid = task->tgid;
	identity.start = task->start_boottime;
	identity.dead = !BPF_CORE_READ(task, signal, live.counter);
	identity.status = identity.dead ? status_of(task) : 0;
	bpf_seq_write(ctx->meta->seq, &identity, sizeof(identity));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
