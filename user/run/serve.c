// SPDX-License-Identifier: GPL-2.0-only
/*
 * Answers to the system calls that attach a BPF program to a kprobe.
 *
 * One open file of /dev/ktramp is one probe, and takes the place of the perf event that was
 * asked for: it is duplicated, inherited, passed on and closed like one, and the probe goes
 * with the last of its descriptors, however the command ends. The file itself says which
 * probe it is. Whatever is not served here, or refused by ktramp, is done by the kernel as it
 * would have been: the answer is then SECCOMP_USER_NOTIF_FLAG_CONTINUE.
 *
 * CONTINUE lets the kernel read the arguments again, when they may have been changed. The
 * command gains nothing by that: the kernel checks what it reads.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "run/run.h"

#define KPROBE_TYPE	"/sys/bus/event_source/devices/kprobe/type"

/* config of the PMU of kprobes, bit 0: at the function's return. */
#define KPROBE_CONFIG_RETURN	1

/* ---- what a notification is answered ---- */

static void answer(struct run *run, int err, int64_t value, uint32_t flags)
{
	memset(run->reply, 0, run->reply_size);
	run->reply->id = run->question->id;
	run->reply->error = err;
	run->reply->val = value;
	run->reply->flags = flags;
	/* Fails if the task was killed, which needs no answer. */
	ioctl(run->listener, SECCOMP_IOCTL_NOTIF_SEND, run->reply);
}

static void let_kernel(struct run *run)
{
	answer(run, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

/* Beside 0 and an errno. */
enum {
	LET_KERNEL	= 1,
	ANSWERED	= 2,
};

/*
 * The last that is done about a notification. Descriptors of the task's files are closed
 * by then: it goes on at once, and what it closes must be gone.
 */
static void finish(struct run *run, int result)
{
	if (result == LET_KERNEL)
		let_kernel(run);
	else if (result != ANSWERED)
		answer(run, result, 0, 0);
}

/* Is it still the same task that waits for the same answer? */
static bool is_valid(const struct run *run)
{
	return !ioctl(run->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &run->question->id);
}

/*
 * A new descriptor of the task's for our file @fd is what its call returns.
 *
 * Ours is closed in between: the task goes on at once, and when it closes the file that must be
 * its end. A task that was killed meanwhile has the descriptor for as long as it takes to die;
 * one that was interrupted, which is possible before 5.19 only, has it for nothing.
 */
static int give(struct run *run, int fd, bool cloexec)
{
	struct seccomp_notif_addfd add = {
		.id = run->question->id, .srcfd = fd, .newfd_flags = cloexec ? O_CLOEXEC : 0,
	};
	int given = ioctl(run->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
	int err = given < 0 ? -errno : 0;

	close(fd);
	answer(run, err, err ? 0 : given, 0);
	return err ? err : given;
}

/* The task's descriptor @number is for our file @fd from now on. */
static int put_at(struct run *run, int fd, int number)
{
	struct seccomp_notif_addfd add = {
		.id = run->question->id, .flags = SECCOMP_ADDFD_FLAG_SETFD, .srcfd = fd,
		.newfd = number, .newfd_flags = O_CLOEXEC,
	};

	return ioctl(run->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 ? -errno : 0;
}

/* ---- the probes ---- */

/* Read once for each thread, as a rule before the first of its probes is armed. */
static const char *comm_of(struct run *run, pid_t tid)
{
	char path[64];
	FILE *file;

	if (tid == run->tid)
		return run->comm;
	run->tid = tid;
	snprintf(run->comm, sizeof(run->comm), "?");
	snprintf(path, sizeof(path), "/proc/%d/comm", tid);
	file = fopen(path, "re");
	if (file) {
		if (fgets(run->comm, sizeof(run->comm), file))
			run->comm[strcspn(run->comm, "\n")] = '\0';
		fclose(file);
	}
	return run->comm;
}

static struct run_probe *new_probe(struct run *run, const struct run_task *task)
{
	struct run_probe **grown = reallocarray(run->probes, run->nr_probes + 1, sizeof(*grown));
	struct run_probe *p = grown ? calloc(1, sizeof(*p)) : NULL;

	if (grown)
		run->probes = grown;
	if (!p)
		return NULL;
	p->event_fd = -1;
	p->link_fd = -1;
	snprintf(p->comm, sizeof(p->comm), "%s", comm_of(run, task->tid));
	run->probes[run->nr_probes++] = p;
	return p;
}

static void say(const struct run *run, const struct run_probe *p)
{
	if (!run->verbose)
		return;
	if (p->id)
		p_info("ktramp run: %s: %s is probe %u of ktramp", p->comm, p->site, p->id);
	else
		p_info("ktramp run: %s: %s is the kernel's: %s", p->comm, p->site, p->why);
}

static void is_kernels(const struct run *run, struct run_probe *p, const char *why)
{
	p->id = 0;
	if (why != p->why)
		snprintf(p->why, sizeof(p->why), "%s", why);
	say(run, p);
}

static struct dev as_dev(int fd)
{
	return (struct dev){ .fd = fd };
}

/* The probe of an open file, with what is known of it now; NULL if it is not one of ours. */
static struct run_probe *find_ours(struct run *run, int fd)
{
	struct dev dev = as_dev(fd);
	struct ktramp_probe_info info;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || !S_ISCHR(st.st_mode) || st.st_rdev != run->rdev)
		return NULL;
	if (dev_probe(&dev, 1, KTRAMP_PROBE_NEXT | KTRAMP_PROBE_MINE, &info))
		return NULL;
	for (size_t i = 0; i < run->nr_probes; i++) {
		struct run_probe *p = run->probes[i];

		if (p->id == info.id) {
			p->info = info;
			return p;
		}
	}
	return NULL;
}

/* ---- becoming the kernel's ---- */

static int open_event(const struct run_probe *p)
{
	struct perf_event_attr attr = p->attr;
	int fd;

	if (*p->function)
		attr.config1 = (uintptr_t)p->function;
	fd = syscall(SYS_perf_event_open, &attr, -1, p->cpu, -1, p->flags | PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The program of @p at the kernel's event, by a link if it was one. Return: the link, 0, -errno. */
static int attach_event(const struct run_probe *p, int event, uint32_t prog_id)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .perf_event.bpf_cookie = p->cookie);
	int prog = bpf_prog_get_fd_by_id(prog_id), ret;

	if (prog < 0)
		return prog;
	if (p->link_fd >= 0)
		ret = bpf_link_create(prog, event, BPF_PERF_EVENT, &opts);
	else
		ret = ioctl(event, PERF_EVENT_IOC_SET_BPF, prog) ? -errno : 0;
	close(prog);
	return ret;
}

/* Is the task's descriptor @number one of the probe's? */
static bool is_at(struct run *run, const struct run_task *task, const struct run_probe *p,
		  int number)
{
	int fd = run_task_fd(task, number);
	bool is = find_ours(run, fd) == p;

	if (fd >= 0)
		close(fd);
	return is;
}

/**
 * hand_over() - have the kernel serve a probe that was ours
 * @run: the run
 * @task: who asks
 * @p: the probe
 * @ours: its open file
 * @number: the asking task's descriptor for it, which becomes the kernel's event
 * @why: for the table
 *
 * Our text goes first: a kprobe on our jump would keep it there.
 */
static int hand_over(struct run *run, const struct run_task *task, struct run_probe *p, int ours,
		     int number, const char *why)
{
	struct dev dev = as_dev(ours);
	struct ktramp_batch batch;
	int event, link = 0, err;

	err = dev_disarm(&dev, p->id, &batch);
	if (err)
		return err;
	event = open_event(p);
	if (event < 0)
		return event;
	if (p->has_program)
		link = attach_event(p, event, p->prog_id);
	err = MIN(link, 0);
	if (err >= 0 && p->link_fd >= 0)
		err = put_at(run, link, p->link_fd);
	/* The event may be closed, where its link is asked for, and its number another's. */
	if (err >= 0 && number != p->link_fd && is_at(run, task, p, number))
		err = put_at(run, event, number);
	close(event);
	if (link > 0)
		close(link);
	if (err < 0)
		return err;
	is_kernels(run, p, why);
	return 0;
}

/* ---- perf_event_open ---- */

/* A kprobe as libbpf, bcc and bpftrace ask for it, for a program: not one that samples. */
static const char *why_not_ours(const struct run *run, const struct perf_event_attr *attr)
{
	const __u64 *args = run->question->data.args;

	if (attr->config & KPROBE_CONFIG_RETURN)
		return "a return probe";
	if (attr->config)
		return "a configuration that ktramp does not know";
	if ((int)args[1] != -1)
		return "it is for one task";
	if ((int)args[3] != -1 || args[4] & ~PERF_FLAG_FD_CLOEXEC)
		return "it is one of a group, or for a cgroup";
	if (attr->sample_type || attr->freq)
		return "it takes samples";
	return NULL;
}

/* A tool may know a longer one than we do: what we do not know of it must be zero. */
static int read_attr(struct run *run, const struct run_task *task, struct perf_event_attr *attr)
{
	union {
		struct perf_event_attr attr;
		char bytes[1024];
	} copy = { .bytes = "" };
	ssize_t n = run_task_read(task, run->question->data.args[0], &copy, sizeof(copy));
	uint32_t size;

	if (n < PERF_ATTR_SIZE_VER0)
		return -EFAULT;
	size = copy.attr.size ? copy.attr.size : PERF_ATTR_SIZE_VER0;
	if (size < PERF_ATTR_SIZE_VER0 || size > n)
		return -E2BIG;
	for (size_t i = sizeof(copy.attr); i < size; i++)
		if (copy.bytes[i])
			return -E2BIG;
	if (size < sizeof(copy))
		memset(copy.bytes + size, 0, sizeof(copy) - size);
	*attr = copy.attr;
	attr->size = MIN(size, (uint32_t)sizeof(*attr));
	return 0;
}

static int read_site(const struct run_task *task, struct run_probe *p)
{
	int err = 0;

	if (p->attr.config1)
		err = run_task_read_string(task, p->attr.config1, p->function,
					   sizeof(p->function));
	if (err)
		*p->function = '\0';
	else if (!p->attr.config1)
		snprintf(p->site, sizeof(p->site), "0x%llx",
			 (unsigned long long)p->attr.config2);
	else if (snprintf(p->site, sizeof(p->site), "%s+0x%llx", p->function,
			  (unsigned long long)p->attr.config2) >= (int)sizeof(p->site))
		err = -ENAMETOOLONG;
	return err;
}

/* Return: an open file that has the probe, or -errno with the reason in @p. */
static int make_probe(const struct run *run, struct run_probe *p)
{
	struct ktramp_create create = { .mechanism = KTRAMP_BPF_JUMP, .handler = KTRAMP_BPF };
	struct dev dev = as_dev(open(KTRAMP_DEVICE, O_RDWR | O_CLOEXEC));
	int err = dev.fd < 0 ? -errno : 0;

	snprintf(create.site, sizeof(create.site), "%s", p->site);
	if (!err)
		err = dev_create(&dev, &create);
	if (!err)
		err = dev_probe(&dev, create.id, 0, &p->info);
	/* Its counters, when its file is closed: only the task knows when that is. */
	if (!err)
		err = dev_watch(run->dev, create.id);
	if (!err) {
		p->id = create.id;
		snprintf(p->site, sizeof(p->site), "%s", p->info.site);
		return dev.fd;
	}
	snprintf(p->why, sizeof(p->why), "%s", *create.why ? create.why : strerror(-err));
	if (dev.fd >= 0)
		close(dev.fd);
	return err;
}

static void serve_probe(struct run *run, struct run_probe *p)
{
	int fd = make_probe(run, p);

	if (fd < 0) {
		is_kernels(run, p, p->why);
		let_kernel(run);
		return;
	}
	/* If it gets none, because its table is full, the probe goes at once. */
	p->event_fd = give(run, fd, p->flags & PERF_FLAG_FD_CLOEXEC);
	say(run, p);
}

static void on_perf_event_open(struct run *run, const struct run_task *task)
{
	struct perf_event_attr attr = { 0 };
	struct run_probe *p;
	const char *why;

	if (read_attr(run, task, &attr) || attr.type != run->type) {
		let_kernel(run);
		return;
	}
	p = new_probe(run, task);
	if (!p) {
		let_kernel(run);
		return;
	}
	p->attr = attr;
	p->cpu = run->question->data.args[2];
	p->flags = run->question->data.args[4];
	why = why_not_ours(run, &attr);
	if (read_site(task, p))
		why = "its name cannot be read, or is too long";
	if (!why && !run_task_may_probe(task))
		why = "the task lacks CAP_SYS_ADMIN in the initial user namespace";
	if (!why && !is_valid(run))
		why = "the task was killed";
	if (why) {
		is_kernels(run, p, why);
		let_kernel(run);
		return;
	}
	serve_probe(run, p);
}

/* ---- a program for it ---- */

static int arm(int ours, struct run_probe *p)
{
	struct dev dev = as_dev(ours);
	struct ktramp_batch batch;
	int err = dev_arm(&dev, p->id, &batch);

	if (err)
		snprintf(p->why, sizeof(p->why), "%s", *batch.why ? batch.why : strerror(-err));
	return err;
}

static int set_program(int ours, struct run_probe *p, const struct run_task *task, int prog,
		       uint64_t cookie)
{
	struct dev dev = as_dev(ours);
	struct ktramp_bpf bpf = { .id = p->id, .cookie = cookie };
	int err;

	if (p->has_program)
		return -EEXIST;
	bpf.prog_fd = run_task_fd(task, prog);
	if (bpf.prog_fd < 0)
		return -EBADF;
	err = dev_bpf(&dev, &bpf);
	close(bpf.prog_fd);
	if (!err)
		err = arm(ours, p);
	if (!err) {
		p->has_program = true;
		p->prog_id = bpf.prog_id;
		p->cookie = cookie;
	} else if (*bpf.why) {
		snprintf(p->why, sizeof(p->why), "%s", bpf.why);
	}
	return err;
}

/*
 * What ktramp refuses the kernel may do, on the same descriptor.
 *
 * Return: 0, an errno for the task, or LET_KERNEL.
 */
static int set_or_hand_over(struct run *run, const struct run_task *task, struct run_probe *p,
			    int ours, int number, int prog, uint64_t cookie)
{
	int err = set_program(ours, p, task, prog, cookie);
	char why[KTRAMP_WHY_MAX];

	if (!err || err == -EEXIST || err == -EBADF)
		return err;
	snprintf(why, sizeof(why), "%s", *p->why ? p->why : strerror(-err));
	return hand_over(run, task, p, ours, number, why) ? err : LET_KERNEL;
}

/* ---- ioctl ---- */

static int ioctl_of_ours(struct run *run, const struct run_task *task, struct run_probe *p, int fd)
{
	const __u64 *args = run->question->data.args;
	int err;

	switch ((uint32_t)args[1]) {
	case PERF_EVENT_IOC_SET_BPF:
		return set_or_hand_over(run, task, p, fd, args[0], args[2], 0);
	/* A program at a kprobe runs from when it is set until the event is closed all the same. */
	case PERF_EVENT_IOC_ENABLE:
	case PERF_EVENT_IOC_DISABLE:
		return 0;
	/* For tracepoints only. */
	case PERF_EVENT_IOC_QUERY_BPF:
		return -EINVAL;
	default:
		err = hand_over(run, task, p, fd, args[0],
				"the command wants what only perf events can");
		return err ? err : LET_KERNEL;
	}
}

static void on_ioctl(struct run *run, const struct run_task *task)
{
	int fd = run_task_fd(task, run->question->data.args[0]), err = LET_KERNEL;
	struct run_probe *p = find_ours(run, fd);

	if (p && is_valid(run))
		err = ioctl_of_ours(run, task, p, fd);
	if (fd >= 0)
		close(fd);
	finish(run, err);
}

/* ---- bpf ---- */

/* The descriptor of a perf event, or of a link to one, that the command is about. */
static int named_fd(uint32_t command, const union bpf_attr *attr)
{
	switch (command) {
	case BPF_LINK_CREATE:
		return attr->link_create.attach_type == BPF_PERF_EVENT ?
		       (int)attr->link_create.target_fd : -1;
	case BPF_LINK_UPDATE:
		return attr->link_update.link_fd;
	case BPF_LINK_DETACH:
		return attr->link_detach.link_fd;
	case BPF_OBJ_PIN:
		return attr->bpf_fd;
	case BPF_OBJ_GET_INFO_BY_FD:
		return attr->info.bpf_fd;
	case BPF_TASK_FD_QUERY:
		return attr->task_fd_query.fd;
	default:
		return -1;
	}
}

static int link_create(struct run *run, const struct run_task *task, struct run_probe *p, int fd,
		       const union bpf_attr *attr)
{
	int err = -EINVAL;

	if (!attr->link_create.flags)
		err = set_or_hand_over(run, task, p, fd, attr->link_create.target_fd,
				       attr->link_create.prog_fd,
				       attr->link_create.perf_event.bpf_cookie);
	if (err)
		return err;
	/* The link is one more descriptor of the same file. This closes ours. */
	p->link_fd = give(run, fd, true);
	return ANSWERED;
}

static int bpf_of_ours(struct run *run, const struct run_task *task, struct run_probe *p, int fd,
		       int number, const union bpf_attr *attr)
{
	int err;

	switch ((uint32_t)run->question->data.args[0]) {
	case BPF_LINK_CREATE:
		return link_create(run, task, p, fd, attr);
	/* Links to perf events know neither. */
	case BPF_LINK_UPDATE:
		return -EINVAL;
	case BPF_LINK_DETACH:
		return -EOPNOTSUPP;
	default:
		err = hand_over(run, task, p, fd, number == p->link_fd ? p->event_fd : number,
				"the command pins its link, or asks the kernel about it");
		return err ? err : LET_KERNEL;
	}
}

static void on_bpf(struct run *run, const struct run_task *task)
{
	const __u64 *args = run->question->data.args;
	size_t size = MIN((size_t)(uint32_t)args[2], sizeof(union bpf_attr));
	union bpf_attr attr = { 0 };
	struct run_probe *p = NULL;
	int number = -1, fd = -1, err = LET_KERNEL;

	if (run_task_read(task, args[1], &attr, size) == (ssize_t)size)
		number = named_fd(args[0], &attr);
	if (number >= 0)
		fd = run_task_fd(task, number);
	p = find_ours(run, fd);
	if (p && is_valid(run))
		err = bpf_of_ours(run, task, p, fd, number, &attr);
	if (fd >= 0 && err != ANSWERED)
		close(fd);
	finish(run, err);
}

/* ---- */

/* Takes one notification and answers it. */
void run_serve_one(struct run *run)
{
	struct run_task task;

	memset(run->question, 0, run->question_size);
	/* Fails if who asked was killed meanwhile. */
	if (ioctl(run->listener, SECCOMP_IOCTL_NOTIF_RECV, run->question))
		return;
	run->questions++;
	if (run_task_open(&task, run->question->pid)) {
		let_kernel(run);
	} else {
		switch (run->question->data.nr) {
		case SYS_perf_event_open:
			on_perf_event_open(run, &task);
			break;
		case SYS_ioctl:
			on_ioctl(run, &task);
			break;
		default:
			on_bpf(run, &task);
		}
	}
	run_task_close(&task);
}

/* The counters as they are now, or as they were when the probe went. */
void run_refresh(struct run *run)
{
	for (size_t i = 0; i < run->nr_probes; i++) {
		struct run_probe *p = run->probes[i];
		struct ktramp_probe_info info;

		if (!p->id || p->info.state == KTRAMP_GONE)
			continue;
		if (!dev_probe(run->dev, p->id, 0, &info)) {
			p->info.state = info.state;
			p->info.hits = info.hits;
			p->info.missed = info.missed;
		}
	}
}

int run_serve_init(struct run *run)
{
	struct seccomp_notif_sizes sizes;
	struct stat st;
	FILE *file = fopen(KPROBE_TYPE, "re");
	int found = file ? fscanf(file, "%u", &run->type) : 0;

	if (file)
		fclose(file);
	if (found != 1) {
		p_err("no %s: this kernel has no perf events for kprobes (CONFIG_KPROBE_EVENTS), "
		      "or /sys is not mounted", KPROBE_TYPE);
		return -ENOENT;
	}
	if (stat(KTRAMP_DEVICE, &st) || syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes)) {
		p_err("cannot watch system calls: %s; this needs CONFIG_SECCOMP_FILTER",
		      strerror(errno));
		return -errno;
	}
	run->rdev = st.st_rdev;
	/* A newer kernel writes more than we know of. */
	run->question_size = MAX((size_t)sizes.seccomp_notif, sizeof(*run->question));
	run->reply_size = MAX((size_t)sizes.seccomp_notif_resp, sizeof(*run->reply));
	run->question = malloc(run->question_size);
	run->reply = malloc(run->reply_size);
	if (run->question && run->reply)
		return 0;
	p_err("cannot watch system calls: %s", strerror(ENOMEM));
	return -ENOMEM;
}

void run_serve_deinit(struct run *run)
{
	for (size_t i = 0; i < run->nr_probes; i++)
		free(run->probes[i]);
	free(run->probes);
	free(run->question);
	free(run->reply);
}
