/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ktramp run: a command under a seccomp filter whose kprobes ktramp serves.
 *
 *   cmd_run.c  start the command, wait for the last of its tasks, print what was served
 *   filter.c   which system calls are asked about
 *   task.c     the task that asks: its memory, its descriptors, what it may do
 *   serve.c    what it is answered
 */
#ifndef _KTRAMP_USER_RUN_H
#define _KTRAMP_USER_RUN_H

#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <sys/types.h>

#include "lib/ktramp.h"

/**
 * struct run_task - the task behind a notification
 * @tid: its number, in our own pid namespace
 * @pidfd: its process
 */
struct run_task {
	pid_t tid;
	int pidfd;
};

int run_task_open(struct run_task *task, pid_t tid);
void run_task_close(struct run_task *task);
ssize_t run_task_read(const struct run_task *task, uint64_t at, void *to, size_t size);
int run_task_read_string(const struct run_task *task, uint64_t at, char *to, size_t size);
int run_task_write(const struct run_task *task, uint64_t at, const void *from, size_t size);
int run_task_fd(const struct run_task *task, int fd);
bool run_task_may_probe(const struct run_task *task);

int run_filter_install(void);	/* in the child; complains; the listener or -errno */

/**
 * struct run_probe - a kprobe that the command asked for
 * @id: of ours that serves it, 0 if the kernel does
 * @site: symbol+0xoffset as asked for; of ours as ktramp names it
 * @why: why it is the kernel's
 * @comm: the thread that asked
 * @info: of ours, as it was last seen
 * @has_program: a second one is refused
 * @function: for @attr.config1
 * @attr: what was asked for, should it become the kernel's
 * @flags: PERF_FLAG_* with that
 * @cpu: with that
 * @prog_id: number of its program
 * @cookie: of the link
 * @event_fd: its number in the asking process, -1 if unknown
 * @link_fd: that of the link, or -1
 */
struct run_probe {
	uint32_t id;
	char site[KTRAMP_SITE_MAX];
	char why[KTRAMP_WHY_MAX];
	char comm[16];
	struct ktramp_probe_info info;
	bool has_program;
	uint32_t prog_id;
	char function[KTRAMP_SITE_MAX];
	struct perf_event_attr attr;
	unsigned long flags;
	int cpu;
	uint64_t cookie;
	int event_fd;
	int link_fd;
};

/**
 * struct run - one run of a command
 * @dev: for what is asked of all probes; those that serve have an open file each
 * @listener: notifications
 * @type: of the PMU of kprobes
 * @rdev: of /dev/ktramp, by which its descriptors are known
 * @verbose: say what is asked and answered
 * @questions: notifications so far
 * @tid: the thread that asked for the last probe
 * @comm: its name
 */
struct run {
	const struct dev *dev;
	int listener;
	uint32_t type;
	dev_t rdev;
	bool verbose;
	uint64_t questions;
	pid_t tid;
	char comm[16];
	struct run_probe **probes;
	size_t nr_probes;
	struct seccomp_notif *question;
	struct seccomp_notif_resp *reply;
	size_t question_size;
	size_t reply_size;
};

int run_serve_init(struct run *run);	/* complains */
void run_serve_deinit(struct run *run);
void run_serve_one(struct run *run);
void run_refresh(struct run *run);

#endif /* _KTRAMP_USER_RUN_H */
