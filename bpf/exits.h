/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What bpf/exits.bpf.c and the command that loads it share: the layout of the maps.
 *
 * A number of a process is used again; what identifies one is its number together with
 * when it started, which a change of program or of the leading thread does not alter.
 */
#ifndef KTRAMP_BPF_EXITS_H
#define KTRAMP_BPF_EXITS_H

#include <linux/types.h>

#define EXITS_SIZE	4096	/* processes watched at once, unread exits included */

/* Key of the map "watched": the process's number in the initial PID namespace. */

/**
 * struct exits_watched - a process whose exit is wanted
 * @trace: number of its event, never used twice
 * @start: when it started, boot time in ns; with the key, what identifies it
 */
struct exits_watched {
	__u64 trace;
	__u64 start;
};

enum exits_state {
	EXITS_RUNNING	= 1,	/* room for the exit is kept */
	EXITS_EXITED	= 2,
};

/**
 * struct exits_event - key @trace of the map "events"
 * @state: &enum exits_state
 * @status: as wait(2) gives it: exit code << 8, or signal | 0x80 if a core was dumped
 * @start: as in &struct exits_watched
 * @ended: boot time, ns
 */
struct exits_event {
	__u32 state;
	__s32 status;
	__u64 start;
	__u64 ended;
};

/**
 * enum exits_counter - key of the map "counters", __u64 each
 * @EXITS_RECORDED: exits that the program recorded
 * @EXITS_LATE: exits read from what was left of a process, which nobody had reaped yet
 * @EXITS_STRANGERS: exits of a process that has the number of a watched one, but is another
 * @EXITS_DROPPED: exits lost because the map of events was full (the naive rule alone)
 * @EXITS_UNCLAIMED: exits whose event was taken away while the process ran
 * @EXITS_REFUSED: processes that were not started or watched, because a map was full
 * @EXITS_NAIVE: not a count: 1 if the naive rule is loaded
 */
enum exits_counter {
	EXITS_RECORDED,
	EXITS_LATE,
	EXITS_STRANGERS,
	EXITS_DROPPED,
	EXITS_UNCLAIMED,
	EXITS_REFUSED,
	EXITS_NAIVE,
	EXITS_COUNTERS,
};

/**
 * struct exits_identity - what the program "identify" says about a process
 * @tgid: its number in the initial PID namespace
 * @dead: none of its threads lives on, and @status is final; the tracepoint of the last
 *	one has been, or is about to come
 * @status: as in &struct exits_event
 * @start: as in &struct exits_watched
 */
struct exits_identity {
	__u32 tgid;
	__u32 dead;
	__s32 status;
	__u32 reserved;
	__u64 start;
};

#endif /* KTRAMP_BPF_EXITS_H */
