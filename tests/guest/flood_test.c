// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program that writes a record for each hit of a function that every CPU is in all the
 * time: what comes out of the ring, and what found no room, are all the hits.
 *
 * FLOOD_HITS is how many hits at least; 200,000 unless the environment says otherwise.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <asm/ptrace.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kselftest_harness.h"
#include "kt.h"
#include "progs.skel.h"

#define BUSY_MAX	64

struct reader {
	unsigned long long read, wrong;
	unsigned long long cpu[BUSY_MAX];
};

static int on_event(void *context, void *data, size_t size)
{
	struct reader *reader = context;
	__u64 cpu = *(__u64 *)data;

	reader->read++;
	if (size != sizeof(cpu) || cpu >= BUSY_MAX)
		reader->wrong++;
	else
		reader->cpu[cpu]++;
	return 0;
}

static __u64 sum(int map, __u32 slot)
{
	int cpus = libbpf_num_possible_cpus();
	__u64 values[BUSY_MAX] = { 0 }, all = 0;

	if (bpf_map_lookup_elem(map, &slot, values))
		return ~0ULL;
	for (int i = 0; i < cpus; i++)
		all += values[i];
	return all;
}

/* One process a CPU, in the system call whose function is probed. */
static unsigned int start_busy(pid_t *pids)
{
	unsigned int cpus = sysconf(_SC_NPROCESSORS_ONLN), i;

	for (i = 0; i < cpus && i < BUSY_MAX; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		kt_pin(i);
		for (;;)
			getppid();
	}
	return i;
}

static void stop_busy(pid_t *pids, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
}

FIXTURE(flood) {
};

FIXTURE_SETUP(flood)
{
}

FIXTURE_TEARDOWN(flood)
{
}

TEST_F_TIMEOUT(flood, every_hit_is_in_the_ring_or_counted_as_lost, 3600)
{
	const char *text = getenv("FLOOD_HITS");
	unsigned long long want = text ? strtoull(text, NULL, 0) : 200000;
	struct ktramp_create create;
	struct ktramp_probe_info probe;
	struct reader reader = { 0 };
	struct ktramp_bpf bpf = { .size = sizeof(bpf) };
	struct ring_buffer *ring;
	struct progs_bpf *skel;
	pid_t pids[BUSY_MAX];
	unsigned int nr;
	int fd = kt_open();

	ASSERT_LE(0, fd);
	skel = progs_bpf__open();
	ASSERT_NE(NULL, skel);
	bpf_program__set_autoload(skel->progs.write_flood, true);
	ASSERT_EQ(0, progs_bpf__load(skel));
	ring = ring_buffer__new(bpf_map__fd(skel->maps.flood), on_event, &reader, NULL);
	ASSERT_NE(NULL, ring);

	ASSERT_EQ(0, kt_create_as(fd, "__x64_sys_getppid", KTRAMP_BPF_JUMP, KTRAMP_BPF, 0,
				  &create)) TH_LOG("%s", create.why);
	bpf.id = create.id;
	bpf.prog_fd = bpf_program__fd(skel->progs.write_flood);
	ASSERT_EQ(0, kt_ioctl(fd, KTRAMP_IOC_BPF, &bpf)) TH_LOG("%s", bpf.why);
	nr = start_busy(pids);
	ASSERT_EQ(0, kt_arm(fd, create.id));
	do {
		ring_buffer__poll(ring, 10);
		ASSERT_EQ(0, kt_probe(fd, create.id, &probe));
	} while (probe.hits < want);
	ASSERT_EQ(0, kt_disarm(fd, create.id));
	stop_busy(pids, nr);
	while (ring_buffer__consume(ring) > 0)
		;
	ASSERT_EQ(0, kt_probe(fd, create.id, &probe));

	EXPECT_EQ(0, reader.wrong);
	EXPECT_EQ(0, probe.missed);
	EXPECT_EQ(probe.hits, sum(bpf_map__fd(skel->maps.flooded), 0) +
			      sum(bpf_map__fd(skel->maps.flooded), 1));
	EXPECT_EQ(reader.read, sum(bpf_map__fd(skel->maps.flooded), 0));
	/* Otherwise it was no flood. */
	for (unsigned int i = 0; i < nr; i++) {
		EXPECT_LT(0, reader.cpu[i])
			TH_LOG("CPU %u", i);
	}
	TH_LOG("%llu hits: %llu read, %llu lost", probe.hits, reader.read,
	       (unsigned long long)sum(bpf_map__fd(skel->maps.flooded), 1));
	ring_buffer__free(ring);
	progs_bpf__destroy(skel);
	close(fd);
}

TEST_HARNESS_MAIN
