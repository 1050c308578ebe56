// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything at once: probes at random instructions of the whole kernel come and go in batches,
 * while CPUs come and go, tracers, kprobes, fprobes and events are switched on and off at random
 * functions, modules are loaded and unloaded, and a workload on each CPU that stays checks its
 * results. Nothing may be wrong, and in the end the text is what it was, byte for byte.
 *
 * In the environment:
 *
 *	CHAOS_SECONDS	how long
 *	CHAOS_SEED	other instructions, functions and orders
 *	CHAOS_WITHOUT	none of these: cpu, tracer, kprobe, event, module (separated by commas)
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kt.h"
#include "progs.h"
#include "snapshot.h"
#include "text.h"
#include "workload.h"

#define TRACING		"/sys/kernel/tracing/"
#define INSTANCE	TRACING "instances/chaos"
#define WORKLOAD	"/tests/workload"
#define SHARED		"/tmp/workload"

#define BATCH		100

static unsigned long long number_of(const char *name, unsigned long long otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

/* xorshift64: a process has its own. */
static __u64 seed = 88172645463325252ULL;

static unsigned int any(unsigned int below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 16) % below;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* ---- what else goes on ---- */

/* One turn of each: what it switches on it switches off, and what fails is not there. */
static void set(const char *file, const char *text, int flags)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), TRACING "%s", file);
	fd = open(path, O_WRONLY | O_CLOEXEC | flags);
	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		errno = 0;
	close(fd);
}

static const char *any_function(void)
{
	return functions[any(nr_functions)].name;
}

static void flip_cpu(void)
{
	kt_write_file(CPU1_ONLINE, "0");
	usleep(any(20000));
	kt_write_file(CPU1_ONLINE, "1");
	usleep(any(20000));
}

/* Or the workload, which looks at what it traced, would find it gone. */
static int lock_tracing(void)
{
	int fd = open(WORKLOAD_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	flock(fd, LOCK_EX);
	return fd;
}

static void flip_tracer(void)
{
	static const char *const tracers[] = { "function", "function_graph" };
	char line[64];
	int lock = lock_tracing();

	for (unsigned int i = 0; i < 40; i++) {
		snprintf(line, sizeof(line), "%s\n", any_function());
		set("set_ftrace_filter", line, O_APPEND);
	}
	/* Half the time what a breakpoint runs through as well. */
	if (any(2))
		set("set_ftrace_filter", "notifier_call_chain notify_die get_kprobe\n", O_APPEND);
	set("current_tracer", tracers[any(2)], 0);
	usleep(any(100000));
	set("current_tracer", "nop", 0);
	set("set_ftrace_filter", "", O_TRUNC);
	close(lock);
}

static void flip_kprobes(void)
{
	char line[128];

	for (unsigned int i = 0; i < 20; i++) {
		static const char *const kinds[] = { "p", "r", "f" };
		const char *kind = kinds[any(3)];

		snprintf(line, sizeof(line), "%s:chaos/c%u %s%s\n", kind, i, any_function(),
			 *kind == 'p' && any(2) ? "+0x9" : "");
		set("dynamic_events", line, O_APPEND);
	}
	set("events/chaos/enable", "1", 0);
	usleep(any(100000));
	set("events/chaos/enable", "0", 0);
	for (unsigned int i = 0; i < 20; i++) {
		snprintf(line, sizeof(line), "-:chaos/c%u\n", i);
		set("dynamic_events", line, O_APPEND);
	}
}

/*
 * Each group is so many static keys, and their tracepoints' static calls. With a buffer of its
 * own, or what they write would push out what the workload looks for.
 */
static void flip_events(void)
{
	static const char *const groups[] = {
		"sched", "irq", "kmem", "timer", "notifier", "raw_syscalls", "rcu", "workqueue",
	};
	char file[64];

	mkdir(INSTANCE, 0700);
	snprintf(file, sizeof(file), "instances/chaos/events/%s/enable", groups[any(8)]);
	set(file, "1", 0);
	usleep(any(50000));
	set(file, "0", 0);
}

/* The workload has the others. */
static void flip_module(void)
{
	kt_insmod("/lib/modules/ktramp_state.ko");
	usleep(any(20000));
	syscall(SYS_delete_module, "ktramp_state", O_NONBLOCK);
}

static const struct disturber {
	const char *name;
	void (*turn)(void);
} disturbers[] = {
	{ "cpu", flip_cpu }, { "tracer", flip_tracer }, { "kprobe", flip_kprobes },
	{ "event", flip_events }, { "module", flip_module },
};

static bool is_wanted(const struct disturber *d)
{
	const char *without = getenv("CHAOS_WITHOUT");

	return (!without || !strstr(without, d->name)) &&
	       (d->turn != flip_cpu || !access(CPU1_ONLINE, W_OK));
}

static pid_t disturb(const struct disturber *d, unsigned int nr, atomic_bool *stop,
		     atomic_ulong *turns)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	seed += 1 + nr;
	while (!atomic_load(stop)) {
		d->turn();
		atomic_fetch_add(&turns[nr], 1);
		/* An emulator of two CPUs in turn changes over at PAUSE. */
		__builtin_ia32_pause();
	}
	_exit(0);
}

/* ---- probes ---- */

struct chaos {
	int fd;
	int prog;
	__u32 ids[BATCH];
	unsigned int nr;
	unsigned long made, armed, refused, failed;
};

#define INT3S	(1U << KTRAMP_INT3_EMULATE | 1U << KTRAMP_INT3_STEP_TF | \
		 1U << KTRAMP_INT3_STEP_INT3 | 1U << KTRAMP_INT3_BOOST)

/* One instruction of the function at an address. Return: how many there are, or -errno. */
static int scan_one(int fd, __u64 address, unsigned int number, unsigned int mechanisms,
		    struct ktramp_scan *scan, struct ktramp_scan_insn *insn)
{
	*scan = (struct ktramp_scan){
		.size = sizeof(*scan), .insns = (unsigned long)insn, .first = number, .max = 1,
		.address = address, .mechanisms = mechanisms,
	};
	return kt_ioctl(fd, KTRAMP_IOC_SCAN, scan) ?: (int)scan->nr;
}

/* An instruction of a random function, and what may be there: bit m for mechanism m. */
static __u64 any_instruction(int fd, unsigned int *mechanisms)
{
	__u64 address = functions[any(nr_functions)].address;
	struct ktramp_scan_insn insn;
	struct ktramp_scan scan;
	int nr;

	if (address < text_start || address >= text_end)
		return 0;
	nr = scan_one(fd, address, 0, 0, &scan, &insn);
	if (nr <= 0 || scan_one(fd, address, any(nr), INT3S | 1U << KTRAMP_JUMP, &scan, &insn) < 0)
		return 0;
	*mechanisms = 0;
	for (unsigned int m = KTRAMP_INT3_EMULATE; m <= KTRAMP_JUMP; m++)
		if (!insn.reason[m])
			*mechanisms |= 1U << m;
	return scan.address + insn.offset;
}

static bool make_probe(struct chaos *c)
{
	static const unsigned int handlers[] = { KTRAMP_COUNT, KTRAMP_REGS, KTRAMP_COUNT_INLINE };
	struct ktramp_create create;
	char site[KTRAMP_SITE_MAX];
	unsigned int mechanisms, m, handler;
	struct ktramp_bpf bpf;
	__u64 address = any_instruction(c->fd, &mechanisms);

	if (!address || !mechanisms)
		return false;
	do
		m = KTRAMP_INT3_EMULATE + any(KTRAMP_JUMP - KTRAMP_INT3_EMULATE + 1);
	while (!(mechanisms & 1U << m));
	handler = handlers[any(m == KTRAMP_JUMP ? 3 : 2)];
	/* One in four jumps runs a program. */
	if (m == KTRAMP_JUMP && c->prog >= 0 && !any(4)) {
		m = KTRAMP_BPF_JUMP;
		handler = KTRAMP_BPF;
	}
	snprintf(site, sizeof(site), "0x%llx", address);
	if (kt_create_as(c->fd, site, m, handler, 0, &create) ||
	    (m == KTRAMP_BPF_JUMP && progs_give(c->fd, create.id, c->prog, 0, &bpf))) {
		c->refused++;
		return false;
	}
	c->ids[c->nr++] = create.id;
	c->made++;
	return true;
}

/* Those that meet somebody's kprobe, or each other, stay as they are. */
static void one_round(struct chaos *c)
{
	struct ktramp_batch batch;
	int err;

	c->nr = 0;
	for (unsigned int tries = 0; c->nr < BATCH && tries < 2 * BATCH; tries++)
		make_probe(c);
	kt_batch(c->fd, KTRAMP_IOC_ARM, c->ids, c->nr, &batch);
	c->armed += batch.done;
	usleep(any(100000));
	if (any(2)) {
		kt_batch(c->fd, KTRAMP_IOC_DISARM, c->ids, c->nr / 2, &batch);
		kt_batch(c->fd, KTRAMP_IOC_ARM, c->ids, c->nr / 2, &batch);
	}
	/* A kprobe that came meanwhile has to go first. */
	for (unsigned int tries = 0; tries < 100; tries++) {
		err = kt_batch(c->fd, KTRAMP_IOC_DESTROY, c->ids, c->nr, &batch);
		if (err != -EILSEQ)
			break;
		usleep(100000);
	}
	c->failed += err == -EILSEQ;
}

static unsigned long wrong_of(const struct workload *shared, unsigned int nr)
{
	unsigned long wrong = 0;

	for (unsigned int i = 0; i < nr; i++) {
		wrong += atomic_load(&shared[i].wrong);
		if (*shared[i].why)
			printf("# CPU %u: %s\n", i, shared[i].why);
	}
	return wrong;
}

static pid_t start_work(unsigned int cpu)
{
	char text[16];
	pid_t pid = fork();

	if (pid)
		return pid;
	snprintf(text, sizeof(text), "%u", cpu);
	execl(WORKLOAD, WORKLOAD, text, SHARED, NULL);
	_exit(127);
}

FIXTURE(chaos) {
	struct ktramp_info info;
	struct workload *shared;
	struct progs_bpf *skel;
	struct chaos c;
};

FIXTURE_SETUP(chaos)
{
	size_t size = WORKLOADS_MAX * sizeof(*self->shared);
	int file = open(SHARED, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ASSERT_EQ(0, ftruncate(file, size));
	self->shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
	ASSERT_NE(MAP_FAILED, self->shared);
	ASSERT_EQ(0, kt_open_window());
	self->c.fd = kt_open();
	ASSERT_LE(0, self->c.fd);
	ASSERT_EQ(0, kt_info(self->c.fd, &self->info));
	self->c.prog = -1;
	self->skel = progs_load_for_ring("use_helpers", &self->c.prog);
	read_functions();
	ASSERT_LT(10000, nr_functions);
	seed ^= number_of("CHAOS_SEED", 1) * 0x9e3779b97f4a7c15ULL;
}

FIXTURE_TEARDOWN(chaos)
{
	struct ktramp_info info;
	int fd = kt_open();

	close(self->c.fd);
	progs_bpf__destroy(self->skel);
	ASSERT_EQ(0, kt_info(fd, &info));
	EXPECT_EQ(self->info.nr_probes, info.nr_probes);
	EXPECT_EQ(self->info.slot_bytes, info.slot_bytes);
	close(fd);
}

TEST_F_TIMEOUT(chaos, leaves_a_kernel_that_works_and_its_text, 14400)
{
	/* Of those that stay. */
	const unsigned int cpus = !is_wanted(&disturbers[0]) && sysconf(_SC_NPROCESSORS_ONLN) > 1 ?
				  2 : 1;
	const double until = seconds() + number_of("CHAOS_SECONDS", 30);
	atomic_ulong *turns = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	atomic_bool *stop = (atomic_bool *)(turns + ARRAY_SIZE(disturbers));
	pid_t disturber[ARRAY_SIZE(disturbers)], work[2];
	struct snapshot before, after;
	size_t explained;
	unsigned long rounds = 0;
	int status;

	ASSERT_NE(MAP_FAILED, turns);
	/* What the first time leaves is no difference. */
	for (unsigned int i = 0; i < ARRAY_SIZE(disturbers); i++)
		if (is_wanted(&disturbers[i]))
			disturbers[i].turn();
	ASSERT_TRUE(snapshot_take(&before));
	for (unsigned int i = 0; i < cpus; i++)
		work[i] = start_work(i);
	for (unsigned int i = 0; i < ARRAY_SIZE(disturbers); i++)
		disturber[i] = is_wanted(&disturbers[i]) ?
			       disturb(&disturbers[i], i, stop, turns) : 0;
	for (; !rounds || seconds() < until; rounds++)
		one_round(&self->c);
	atomic_store(stop, true);
	for (unsigned int i = 0; i < ARRAY_SIZE(disturbers); i++) {
		if (!disturber[i])
			continue;
		ASSERT_EQ(disturber[i], waitpid(disturber[i], &status, 0));
		EXPECT_EQ(0, status);
		EXPECT_LT(0, atomic_load(&turns[i]));
		printf("# %s: %lu turns\n", disturbers[i].name, atomic_load(&turns[i]));
	}
	rmdir(INSTANCE);
	for (unsigned int i = 0; i < cpus; i++)
		atomic_store(&self->shared[i].stop, true);
	for (unsigned int i = 0; i < cpus; i++) {
		ASSERT_EQ(work[i], waitpid(work[i], &status, 0));
		EXPECT_EQ(0, status);
	}
	EXPECT_EQ(0, wrong_of(self->shared, cpus));
	EXPECT_EQ(0, self->c.failed);
	printf("# %lu rounds: %lu probes made, %lu armed, %lu refused\n", rounds, self->c.made,
	       self->c.armed, self->c.refused);
	EXPECT_LT(self->c.made / 2, self->c.armed);
	kt_write_file(CPU1_ONLINE, "1");
	ASSERT_TRUE(snapshot_take(&after));
	EXPECT_EQ(0, snapshot_compare(self->c.fd, &before, &after, &explained));
	free(before.bytes);
	free(after.bytes);
}

TEST_HARNESS_MAIN
