// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs on a function that every CPU is in all the time. One writes a record for each hit:
 * what comes out of the ring, and what found no room, are all the hits. Others are attached,
 * replaced and detached meanwhile: each hit runs one of them, once.
 *
 * FLOOD_HITS is how many hits at least; 200,000 unless the environment says otherwise.
 * FLOOD_ROUNDS is how often they are attached, replaced and detached; 200.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kselftest_harness.h"
#include "kt.h"
#include "progs.h"

#define BUSY_MAX	64

/* The program's ring, and what a record takes of it, with its header. */
#define RING_SIZE	(1U << 18)
#define RECORD_SIZE	16

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

static unsigned long long number(const char *name, unsigned long long otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
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
	if (kt_ring_sleeps())
		SKIP(return, "this kernel's ring buffer takes a lock that sleeps, and is refused");
}

FIXTURE_TEARDOWN(flood)
{
}

TEST_F_TIMEOUT(flood, every_hit_is_in_the_ring_or_counted_as_lost, 3600)
{
	unsigned long long want = number("FLOOD_HITS", 200000);
	struct ktramp_create create;
	struct ktramp_probe_info probe;
	struct reader reader = { 0 };
	struct ring_buffer *ring;
	struct progs_bpf *skel;
	pid_t pids[BUSY_MAX];
	struct ktramp_bpf bpf;
	int fd = kt_open(), prog;
	unsigned int nr;

	ASSERT_LE(0, fd);
	skel = progs_load("write_flood", &prog);
	ASSERT_NE(NULL, skel);
	ring = ring_buffer__new(bpf_map__fd(skel->maps.flood), on_event, &reader, NULL);
	ASSERT_NE(NULL, ring);

	ASSERT_EQ(0, kt_create_as(fd, "__x64_sys_getppid", KTRAMP_BPF_JUMP, KTRAMP_BPF, 0,
				  &create)) TH_LOG("%s", create.why);
	ASSERT_EQ(0, progs_give(fd, create.id, prog, 0, &bpf)) TH_LOG("%s", bpf.why);
	nr = start_busy(pids);
	ASSERT_EQ(0, kt_arm(fd, create.id));
	/* At first nobody reads, until there must be some that found no room. */
	do {
		ASSERT_EQ(0, kt_probe(fd, create.id, &probe));
	} while (probe.hits < 2 * RING_SIZE / RECORD_SIZE);
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
	EXPECT_LE(RING_SIZE / RECORD_SIZE, sum(bpf_map__fd(skel->maps.flooded), 1));
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

/* ---- attaching, replacing, detaching ---- */

/* Rounds with one probe: the next has another one, in another slot. */
#define ROUNDS_EACH	50

FIXTURE(replaced) {
	int fd, prog[2];
	struct progs_bpf *skel;
	unsigned int slot_bytes;
};

/* The program that takes the first one's place: of the same class of detours, or of another. */
FIXTURE_VARIANT(replaced) {
	bool bare;
};

FIXTURE_VARIANT_ADD(replaced, by_its_like) { false };
FIXTURE_VARIANT_ADD(replaced, by_a_bare_one) { true };

FIXTURE_SETUP(replaced)
{
	struct bpf_program *second;
	struct ktramp_info info;

	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	self->skel = progs_bpf__open();
	ASSERT_NE(NULL, self->skel);
	bpf_program__set_autoload(self->skel->progs.count_first, true);
	second = variant->bare ? self->skel->progs.add_bare : self->skel->progs.count_second;
	bpf_program__set_autoload(second, true);
	ASSERT_EQ(0, progs_bpf__load(self->skel));
	self->prog[0] = bpf_program__fd(self->skel->progs.count_first);
	self->prog[1] = bpf_program__fd(second);
	ASSERT_EQ(0, kt_info(self->fd, &info));
	self->slot_bytes = info.slot_bytes;
}

FIXTURE_TEARDOWN(replaced)
{
	progs_bpf__destroy(self->skel);
	close(self->fd);
}

static int give(const FIXTURE_DATA(replaced) *self, unsigned int id, unsigned int which)
{
	struct ktramp_bpf bpf;

	return progs_give(self->fd, id, self->prog[which], 0, &bpf);
}

/* Until there are more hits than there were. */
static int wait_for_hit(int fd, unsigned int id)
{
	struct ktramp_probe_info before, now;
	int err = kt_probe(fd, id, &before);

	do {
		usleep(1000);
		err = err ?: kt_probe(fd, id, &now);
	} while (!err && now.hits == before.hits);
	return err;
}

/* Attach, replace, detach; in the first round, not before each program had its hit. */
static int go_round(const FIXTURE_DATA(replaced) *self, unsigned int id, bool first)
{
	return give(self, id, 0) ?: kt_arm(self->fd, id) ?:
	       (first ? wait_for_hit(self->fd, id) : 0) ?: give(self, id, 1) ?:
	       (first ? wait_for_hit(self->fd, id) : 0) ?: kt_disarm(self->fd, id);
}

/*
 * @hits: (out) of the probe, counted when nobody can be on the way through it any more: where
 * the kernel is preempted, a hit may be counted long after its site was disarmed.
 */
static void rounds_with_one(struct __test_metadata *_metadata, const FIXTURE_DATA(replaced) *self,
			    unsigned int rounds, __u64 *hits)
{
	struct ktramp_create create;
	struct ktramp_probe_info probe;
	struct ktramp_load calls;

	ASSERT_EQ(0, kt_create_as(self->fd, "mov10", KTRAMP_BPF_JUMP, KTRAMP_BPF, 0, &create));
	ASSERT_EQ(0, kt_load(self->fd, KTRAMP_LOAD_START, &calls));
	for (unsigned int i = 0; i < rounds; i++) {
		ASSERT_EQ(0, go_round(self, create.id, !i)) {
			TH_LOG("round %u", i);
		}
	}
	ASSERT_EQ(0, kt_load(self->fd, KTRAMP_LOAD_STOP, &calls));
	EXPECT_EQ(0, calls.wrong);
	ASSERT_EQ(0, kt_probe(self->fd, create.id, &probe));
	EXPECT_EQ(0, probe.missed);
	EXPECT_LE(probe.hits, calls.calls);
	*hits = probe.hits;
	ASSERT_EQ(0, kt_destroy(self->fd, create.id));
}

TEST_F_TIMEOUT(replaced, while_it_is_hit_runs_one_program_each_time, 7200)
{
	unsigned int rounds = number("FLOOD_ROUNDS", 200), left;
	__u64 all = 0, first = 0, second = 0, hits;
	struct ktramp_info info;

	for (left = rounds; left; left -= left < ROUNDS_EACH ? left : ROUNDS_EACH) {
		rounds_with_one(_metadata, self, left < ROUNDS_EACH ? left : ROUNDS_EACH, &hits);
		all += hits;
		first = sum(bpf_map__fd(self->skel->maps.counts), 0);
		second = variant->bare ? self->skel->bss->adds :
			 sum(bpf_map__fd(self->skel->maps.counts), 1);
		ASSERT_EQ(all, first + second) {
			TH_LOG("with %u rounds to go", left);
		}
	}
	EXPECT_LT(0, first);
	EXPECT_LT(0, second);
	/* Slots are given back when no CPU can be in them. */
	for (int i = 0; i < 100; i++) {
		ASSERT_EQ(0, kt_info(self->fd, &info));
		if (info.slot_bytes == self->slot_bytes)
			break;
		usleep(20000);
	}
	EXPECT_EQ(self->slot_bytes, info.slot_bytes);
	TH_LOG("%u rounds, %llu hits: %llu of the first program, %llu of the second", rounds,
	       (unsigned long long)all, (unsigned long long)first, (unsigned long long)second);
}

TEST_HARNESS_MAIN
