// SPDX-License-Identifier: GPL-2.0-only
/* The workload's memory: mappings, faults, sharing between processes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "work.h"

#define PAGE	4096UL
#define SIZE	(32 * PAGE)

static void *map(size_t size, int flags)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
}

static enum outcome mappings(void)
{
	uint8_t *a = map(SIZE, MAP_PRIVATE), *b;
	unsigned char in_core[SIZE / PAGE];
	uint32_t sum;
	int fd;

	MUST(a != MAP_FAILED);
	work_fill(a, SIZE, 4);
	sum = work_sum(a, SIZE);
	MUST(!mprotect(a + PAGE, PAGE, PROT_READ) && !mprotect(a + PAGE, PAGE, PROT_NONE));
	MUST(!mprotect(a, SIZE, PROT_READ | PROT_WRITE) && work_sum(a, SIZE) == sum);
	a = mremap(a, SIZE, 4 * SIZE, MREMAP_MAYMOVE);
	MUST(a != MAP_FAILED && work_sum(a, SIZE) == sum && !a[4 * SIZE - 1]);
	a = mremap(a, 4 * SIZE, SIZE, 0);
	MUST(a != MAP_FAILED && work_sum(a, SIZE) == sum);
	MUST(!mincore(a, SIZE, in_core) && (in_core[0] & 1));
	for (int advice = MADV_NORMAL; advice <= MADV_WILLNEED; advice++)
		/* Without swap there is nowhere to read memory of no file from. */
		MUST(!madvise(a, SIZE, advice) ||
		     (advice == MADV_WILLNEED && errno == EBADF));
	madvise(a, SIZE, MADV_FREE);
	madvise(a, SIZE, 20 /* cold */);
	madvise(a, SIZE, 21 /* pageout */);
	MUST(!madvise(a, PAGE, MADV_DONTNEED) && !a[0]);
	MUST(!mlock(a, 4 * PAGE) && !munlock(a, 4 * PAGE));
	MUST(!munmap(a + 2 * PAGE, PAGE) && !munmap(a, SIZE));
	/* Huge pages, where there are some. */
	b = map(4UL << 20, MAP_PRIVATE);
	MUST(b != MAP_FAILED);
	madvise(b, 4UL << 20, MADV_HUGEPAGE);
	b[0] = 7;
	b[3UL << 20] = 7;
	madvise(b, 4UL << 20, 25 /* collapse */);
	MUST(b[0] == 7 && !b[1UL << 20] && !munmap(b, 4UL << 20));
	fd = memfd_create("work", MFD_ALLOW_SEALING);
	MUST(fd >= 0 && !ftruncate(fd, SIZE) && !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
	MUST(ftruncate(fd, 0) && errno == EPERM);
	a = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	b = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	MUST(a != MAP_FAILED && b != MAP_FAILED);
	a[5] = 1;
	MUST(b[5] == 1);
	b[5] = 2;
	MUST(a[5] == 1 && b[5] == 2);
	MUST(!munmap(a, SIZE) && !munmap(b, SIZE));
	close(fd);
	MUST(sbrk(SIZE) != (void *)-1 && sbrk(-SIZE) != (void *)-1);
	syscall(SYS_membarrier, 1 /* global */, 0, 0);
	return RIGHT;
}

/* A child's writes stay its own, and what it inherited is what it was. */
static enum outcome copy_on_write(void)
{
	uint8_t *own = map(SIZE, MAP_PRIVATE), *both = map(SIZE, MAP_SHARED);
	uint32_t sum;
	int pid;

	MUST(own != MAP_FAILED && both != MAP_FAILED);
	work_fill(own, SIZE, 5);
	sum = work_sum(own, SIZE);
	pid = fork();
	if (!pid) {
		if (work_sum(own, SIZE) != sum)
			_exit(1);
		work_fill(own, SIZE, 6);
		work_fill(both, SIZE, 5);
		_exit(work_sum(own, SIZE) == sum);
	}
	MUST(!work_join(pid));
	MUST(work_sum(own, SIZE) == sum && work_sum(both, SIZE) == sum);
	return RIGHT;
}

static volatile sig_atomic_t faults;
static volatile uint8_t *faulty;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	faults++;
	if ((uint8_t *)info->si_addr == faulty + 8)
		mprotect((void *)faulty, PAGE, PROT_READ | PROT_WRITE);
}

static enum outcome page_faults(void)
{
	struct sigaction act = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	struct iovec local, remote;
	uint8_t byte = 9;
	void *volatile nowhere = (void *)16;
	int fd;

	faulty = map(PAGE, MAP_PRIVATE);
	MUST(faulty != MAP_FAILED && !sigaction(SIGSEGV, &act, NULL));
	MUST(!mprotect((void *)faulty, PAGE, PROT_NONE));
	faulty[8] = 3;
	MUST(faults == 1 && faulty[8] == 3);
	/* In the kernel's own accesses to user memory. */
	fd = open("/dev/zero", O_RDONLY);
	MUST(read(fd, nowhere, 8) < 0 && errno == EFAULT);
	MUST(!getcwd((void *)-4096UL, 100) && errno == EFAULT);
	close(fd);
	local = (struct iovec){ &byte, 1 };
	remote = (struct iovec){ (void *)(faulty + 9), 1 };
	WANT(process_vm_writev(getpid(), &local, 1, &remote, 1, 0) == 1 && faulty[9] == 9);
	WANT(process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 1 && byte == 9);
	return RIGHT;
}

static enum outcome sysv(void)
{
	struct { long type; char text[16]; } message = { 3, "hello" };
	struct sembuf up = { 0, 1, 0 }, down = { 0, -1, 0 };
	int shm = shmget(IPC_PRIVATE, PAGE, 0600), sem, queue, pid;
	char *a;

	NEED(shm >= 0);
	a = shmat(shm, NULL, 0);
	MUST(a != (void *)-1 && !shmctl(shm, IPC_RMID, NULL));
	sem = semget(IPC_PRIVATE, 1, 0600);
	queue = msgget(IPC_PRIVATE, 0600);
	MUST(sem >= 0 && queue >= 0);
	pid = fork();
	if (!pid) {
		if (semop(sem, &down, 1) || a[0] != 5)
			_exit(1);
		_exit(msgsnd(queue, &message, sizeof(message.text), 0) ? 2 : 0);
	}
	a[0] = 5;
	MUST(!semop(sem, &up, 1));
	memset(message.text, 0, sizeof(message.text));
	MUST(msgrcv(queue, &message, sizeof(message.text), 3, 0) == sizeof(message.text));
	MUST(!strcmp(message.text, "hello") && !work_join(pid));
	MUST(!semctl(sem, 0, IPC_RMID) && !msgctl(queue, IPC_RMID, NULL) && !shmdt(a));
	return RIGHT;
}

static enum outcome posix_queue(void)
{
	struct mq_attr attr = { .mq_maxmsg = 4, .mq_msgsize = 16 };
	char name[32], text[16] = "";
	unsigned int priority;
	mqd_t q;

	snprintf(name, sizeof(name), "/work%d", work_cpu);
	q = mq_open(name, O_CREAT | O_RDWR, 0600, &attr);
	NEED(q >= 0);
	MUST(!mq_send(q, "low", 4, 1) && !mq_send(q, "high", 5, 9));
	MUST(mq_receive(q, text, sizeof(text), &priority) == 5 && priority == 9);
	MUST(mq_receive(q, text, sizeof(text), &priority) == 4 && !strcmp(text, "low"));
	MUST(!mq_close(q) && !mq_unlink(name));
	return RIGHT;
}

struct turn {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	pthread_barrier_t barrier;
	unsigned long count;
};

static void *take_turns(void *arg)
{
	struct turn *turn = arg;

	for (int i = 0; i < 100; i++) {
		pthread_mutex_lock(&turn->mutex);
		turn->count++;
		pthread_cond_broadcast(&turn->cond);
		pthread_mutex_unlock(&turn->mutex);
		if (i % 10 == 0)
			sched_yield();
	}
	pthread_barrier_wait(&turn->barrier);
	return NULL;
}

/* Threads and futexes, with and without priority inheritance. */
static enum outcome threads(void)
{
	for (int inherit = 0; inherit < 2; inherit++) {
		struct turn turn = { .cond = PTHREAD_COND_INITIALIZER };
		pthread_mutexattr_t attr;
		pthread_t thread[3];

		pthread_mutexattr_init(&attr);
		pthread_mutexattr_setprotocol(&attr, inherit ? PTHREAD_PRIO_INHERIT :
					      PTHREAD_PRIO_NONE);
		pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
		pthread_mutex_init(&turn.mutex, &attr);
		pthread_barrier_init(&turn.barrier, NULL, 4);
		for (int i = 0; i < 3; i++)
			MUST(!pthread_create(&thread[i], NULL, take_turns, &turn));
		pthread_mutex_lock(&turn.mutex);
		while (turn.count < 300)
			pthread_cond_wait(&turn.cond, &turn.mutex);
		pthread_mutex_unlock(&turn.mutex);
		pthread_barrier_wait(&turn.barrier);
		for (int i = 0; i < 3; i++)
			MUST(!pthread_join(thread[i], NULL));
		MUST(turn.count == 300);
	}
	return RIGHT;
}

/* A fault that another thread resolves with a page of its own. */
static void *serve_fault(void *arg)
{
	int fd = *(int *)arg;
	struct uffd_msg msg;
	static uint8_t page[PAGE] __attribute__((aligned(4096)));
	struct uffdio_copy copy = { .src = (uintptr_t)page, .len = PAGE };

	if (read(fd, &msg, sizeof(msg)) != sizeof(msg))
		return NULL;
	work_fill(page, PAGE, 8);
	copy.dst = msg.arg.pagefault.address & ~(PAGE - 1);
	ioctl(fd, UFFDIO_COPY, &copy);
	return arg;
}

static enum outcome user_faults(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	uint8_t *a = map(PAGE, MAP_PRIVATE), expected[PAGE];
	pthread_t thread;

	NEED(fd >= 0);
	MUST(!ioctl(fd, UFFDIO_API, &api) && a != MAP_FAILED);
	range.range.start = (uintptr_t)a;
	range.range.len = PAGE;
	MUST(!ioctl(fd, UFFDIO_REGISTER, &range));
	MUST(!pthread_create(&thread, NULL, serve_fault, &fd));
	work_fill(expected, PAGE, 8);
	MUST(!memcmp(a, expected, PAGE) && !pthread_join(thread, NULL));
	close(fd);
	return RIGHT;
}

static enum outcome numa_and_limits(void)
{
	unsigned long nodes[16] = { 0 };
	struct rlimit limit;
	int policy;

	MUST(!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur > 0);
	limit.rlim_cur = 64;
	MUST(!setrlimit(RLIMIT_NOFILE, &limit) && !getrlimit(RLIMIT_NOFILE, &limit));
	MUST(limit.rlim_cur == 64 && dup2(0, 80) < 0);
	if (!syscall(SYS_get_mempolicy, &policy, nodes, 1024, 0, 0)) {
		nodes[0] = 1;
		syscall(SYS_set_mempolicy, 2 /* bind */, nodes, 64);
		syscall(SYS_mbind, map(PAGE, MAP_PRIVATE), PAGE, 1, nodes, 64, 0);
		syscall(SYS_migrate_pages, 0, 64, nodes, nodes);
	}
	work_write_file("/proc/sys/vm/compact_memory", "1");
	work_write_file("/proc/sys/vm/drop_caches", "3");
	return RIGHT;
}

const struct part memory_parts[] = {
	{ "mappings", mappings }, { "copy-on-write", copy_on_write },
	{ "page-faults", page_faults }, { "sysv", sysv }, { "posix-queue", posix_queue },
	{ "threads", threads }, { "user-faults", user_faults },
	{ "numa-and-limits", numa_and_limits }, { }
};
