// SPDX-License-Identifier: GPL-2.0-only
/* The task that asks: its memory and its descriptors, each looked at once. */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "run/run.h"

/* Return: the process of a thread, or -errno. */
static int process_of(pid_t tid)
{
	char line[256];
	int tgid = -ESRCH;
	FILE *file;

	snprintf(line, sizeof(line), "/proc/%d/status", tid);
	file = fopen(line, "re");
	if (!file)
		return -errno;
	while (tgid < 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "Tgid: %d", &tgid) != 1)
			tgid = -ESRCH;
	fclose(file);
	return tgid;
}

/**
 * run_task_open() - the process of a thread that asks
 * @task: (out) to be given to run_task_close()
 * @tid: the thread
 *
 * The thread may be gone, and its number another's: who calls asks the kernel afterwards
 * whether the notification is still valid. Descriptors belong to the process, and a
 * pidfd is one of processes. Files are read only for a thread that is not its process's
 * first: each read of ours is a hit, too, of a probe that counts reads.
 */
int run_task_open(struct run_task *task, pid_t tid)
{
	int tgid;

	*task = (struct run_task){ .tid = tid };
	task->pidfd = syscall(SYS_pidfd_open, tid, 0);
	if (task->pidfd >= 0)
		return 0;
	tgid = process_of(tid);
	if (tgid >= 0)
		task->pidfd = syscall(SYS_pidfd_open, tgid, 0);
	return task->pidfd < 0 ? -errno : 0;
}

void run_task_close(struct run_task *task)
{
	if (task->pidfd >= 0)
		close(task->pidfd);
	task->pidfd = -1;
}

/* Return: bytes read, which are fewer where its memory ends, or -errno. */
ssize_t run_task_read(const struct run_task *task, uint64_t at, void *to, size_t size)
{
	struct iovec local = { to, size }, remote = { (void *)(uintptr_t)at, size };
	ssize_t n = process_vm_readv(task->tid, &local, 1, &remote, 1, 0);

	return n < 0 ? -errno : n;
}

/* A string with its NUL. It is read up to the end of a page at a time: none may be behind it. */
int run_task_read_string(const struct run_task *task, uint64_t at, char *to, size_t size)
{
	const size_t page = 4096;
	size_t got = 0;

	while (got < size) {
		size_t want = MIN(page - ((at + got) & (page - 1)), size - got);
		ssize_t n = run_task_read(task, at + got, to + got, want);

		if (n <= 0)
			return n ? n : -EFAULT;
		if (memchr(to + got, '\0', n))
			return 0;
		got += n;
	}
	return -ENAMETOOLONG;
}

int run_task_write(const struct run_task *task, uint64_t at, const void *from, size_t size)
{
	struct iovec local = { (void *)from, size }, remote = { (void *)(uintptr_t)at, size };
	ssize_t n = process_vm_writev(task->tid, &local, 1, &remote, 1, 0);

	return n == (ssize_t)size ? 0 : -EFAULT;
}

/* A descriptor of its process, as one of ours. */
int run_task_fd(const struct run_task *task, int fd)
{
	int copy = syscall(SYS_pidfd_getfd, task->pidfd, fd, 0);

	return copy < 0 ? -errno : copy;
}

/**
 * run_task_may_probe() - may it do itself what it is about to be given?
 * @task: the task
 *
 * A program that gave its privileges up, or never had them, gets nothing from us: opening
 * /dev/ktramp takes CAP_SYS_ADMIN in the initial user namespace, which is ours.
 */
bool run_task_may_probe(const struct run_task *task)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3, .pid = task->tid,
	};
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
	struct stat ours, its;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", task->tid);
	if (stat(path, &its) || stat("/proc/self/ns/user", &ours))
		return false;
	return its.st_ino == ours.st_ino && its.st_dev == ours.st_dev &&
	       !syscall(SYS_capget, &header, caps) &&
	       caps[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN);
}
