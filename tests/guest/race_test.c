// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two CPUs call a target while somebody arms and disarms it.
 *
 * The callers keep two counters each: calls begun, raised before an ioctl that makes some,
 * and calls ended, raised behind it. The one who arms reads them around its own calls:
 *
 *	ended(before arm) .. begun(behind disarm)	all that may have hit
 *	begun(behind arm) .. ended(before disarm)	all that must have hit
 *
 * so a hit that should have counted and did not is seen in every single round, and one
 * that counted twice as well.
 *
 * RACE_PART in the environment makes of the rounds and calls every so many: for a kernel that
 * takes its time.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kt.h"

#define CALLERS		2
#define BATCH		16	/* calls an ioctl */
#define STAY		64	/* each so many rounds wait for a whole batch of each caller */

#define CALLS		20000	/* by each caller of what stays armed */

#define CPU1_ONLINE	"/sys/devices/system/cpu/cpu1/online"

static unsigned int part_of(unsigned int times)
{
	const char *part = getenv("RACE_PART");
	unsigned int n = part ? strtoul(part, NULL, 0) : 1;

	return n > 1 ? (times + n - 1) / n : times;
}

struct caller {
	pthread_t thread;
	int fd, cpu, err;
	unsigned int target;
	atomic_ulong begun, ended, wrong;
	unsigned long limit;	/* calls to make, or 0: until told to stop */
	atomic_bool *stop;
};

/*
 * To other threads of this CPU, which a grace period of tasks-RCU needs to see as well;
 * and to the other CPU, when an emulator runs them in turn: it changes over at PAUSE.
 */
static void let_others_run(void)
{
	sched_yield();
	__builtin_ia32_pause();
}

static void *call_target(void *arg)
{
	struct caller *c = arg;
	struct ktramp_run run;

	/* A CPU that goes away takes its thread elsewhere, which is fine. */
	kt_pin(c->cpu);
	while (!atomic_load(c->stop) && (!c->limit || atomic_load(&c->begun) < c->limit)) {
		atomic_fetch_add(&c->begun, BATCH);
		c->err = kt_run(c->fd, c->target, 0, BATCH, 0, &run);
		if (c->err)
			break;
		atomic_fetch_add(&c->wrong, run.wrong);
		atomic_fetch_add(&c->ended, BATCH);
		let_others_run();
	}
	return NULL;
}

FIXTURE(two_cpus) {
	int fd;
	int target;
	struct ktramp_target_info before;
	struct ktramp_info info;
	atomic_bool stop;
	struct caller caller[CALLERS];
};

FIXTURE_VARIANT(two_cpus) {
	unsigned int mechanism;
	const char *target;
	unsigned int rounds;
};

#define VARIANT(name, nr, on, times)						\
	FIXTURE_VARIANT_ADD(two_cpus, name) {					\
		.mechanism = nr, .target = on, .rounds = times,			\
	}

/* A jump over one long instruction needs no grace period; the last ones do. */
VARIANT(int3_boost, KTRAMP_INT3_BOOST, "lea", 10000);
VARIANT(int3_divert, KTRAMP_INT3_DIVERT, "lea", 2000);
VARIANT(int3_step_int3, KTRAMP_INT3_STEP_INT3, "lea", 2000);
VARIANT(int3_step_tf, KTRAMP_INT3_STEP_TF, "lea", 2000);
VARIANT(int3_emulate, KTRAMP_INT3_EMULATE, "push", 2000);
VARIANT(jump_over_one, KTRAMP_JUMP, "lea7", 10000);
VARIANT(jump_over_two, KTRAMP_JUMP, "lea", 40);
VARIANT(jump_by_springboard, KTRAMP_JUMP, "springboard", 40);
VARIANT(jump_over_call, KTRAMP_JUMP, "call", 200);

FIXTURE_SETUP(two_cpus)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "this machine has one CPU");
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, kt_info(self->fd, &self->info));
	self->target = kt_target_index(self->fd, variant->target);
	ASSERT_LE(0, self->target);
	ASSERT_EQ(0, kt_target(self->fd, self->target, &self->before));
	for (int i = 0; i < CALLERS; i++) {
		self->caller[i] = (struct caller){
			.fd = self->fd, .cpu = i, .target = self->target, .stop = &self->stop,
		};
	}
}

FIXTURE_TEARDOWN(two_cpus)
{
	struct ktramp_target_info after;
	struct ktramp_info info;
	int fd = kt_open();

	close(self->fd);
	ASSERT_EQ(0, kt_target(fd, self->target, &after));
	EXPECT_EQ(0, memcmp(self->before.bytes, after.bytes, sizeof(after.bytes)));
	ASSERT_EQ(0, kt_info(fd, &info));
	EXPECT_EQ(self->info.nr_probes, info.nr_probes);
	EXPECT_EQ(self->info.slot_bytes, info.slot_bytes);
	close(fd);
}

/* The sums over all callers of calls begun, or ended. */
static unsigned long begun(struct caller *c)
{
	return atomic_load(&c[0].begun) + atomic_load(&c[1].begun);
}

static unsigned long ended(struct caller *c)
{
	return atomic_load(&c[0].ended) + atomic_load(&c[1].ended);
}

/* Until each caller has made a whole batch that began after now. */
static void wait_for_batches(struct caller *c)
{
	for (int i = 0; i < CALLERS; i++) {
		unsigned long until = atomic_load(&c[i].begun) + BATCH;

		while (!c[i].err && atomic_load(&c[i].ended) < until)
			let_others_run();
	}
}

static void start(struct caller *c)
{
	for (int i = 0; i < CALLERS; i++)
		pthread_create(&c[i].thread, NULL, call_target, &c[i]);
}

static unsigned long join(struct caller *c)
{
	unsigned long wrong = 0;

	for (int i = 0; i < CALLERS; i++) {
		pthread_join(c[i].thread, NULL);
		wrong += atomic_load(&c[i].wrong);
	}
	return wrong;
}

static __u64 hits_of(int fd, unsigned int id)
{
	struct ktramp_probe_info probe;

	return kt_probe(fd, id, &probe) ? 0 : probe.hits;
}

TEST_F_TIMEOUT(two_cpus, lose_no_hit_while_a_third_party_arms_and_disarms, 300)
{
	int id = kt_create(self->fd, variant->target, variant->mechanism);
	unsigned long must, may, proven = 0;
	struct caller *c = self->caller;
	unsigned int rounds = part_of(variant->rounds);
	struct ktramp_probe_info probe;
	__u64 hits = 0, now;

	ASSERT_LT(0, id);
	start(c);
	wait_for_batches(c);
	for (unsigned int i = 0; i < rounds; i++) {
		unsigned long before_arm = ended(c), behind_arm, before_disarm;

		ASSERT_EQ(0, kt_arm(self->fd, id));
		behind_arm = begun(c);
		if (i % STAY == 0)
			wait_for_batches(c);
		before_disarm = ended(c);
		ASSERT_EQ(0, kt_disarm(self->fd, id));
		may = begun(c) - before_arm;
		must = before_disarm > behind_arm ? before_disarm - behind_arm : 0;
		now = hits_of(self->fd, id);
		ASSERT_LE(must, now - hits) TH_LOG("in round %u", i);
		ASSERT_GE(may, now - hits) TH_LOG("in round %u", i);
		proven += must;
		hits = now;
	}
	atomic_store(&self->stop, true);
	EXPECT_EQ(0, join(c));
	EXPECT_EQ(0, c[0].err | c[1].err);
	ASSERT_EQ(0, kt_probe(self->fd, id, &probe));
	EXPECT_EQ(0, probe.missed);
	/* The criterion bit: there were calls that had to hit, and calls that did not. */
	EXPECT_LT(0, proven);
	EXPECT_LT(probe.hits, begun(c));
}

TEST_F_TIMEOUT(two_cpus, hit_once_a_call_while_it_stays_armed, 60)
{
	int id = kt_create(self->fd, variant->target, variant->mechanism);
	const unsigned long calls = part_of(CALLS / BATCH) * BATCH;
	struct caller *c = self->caller;
	struct ktramp_probe_info probe;

	ASSERT_LT(0, id);
	ASSERT_EQ(0, kt_arm(self->fd, id));
	c[0].limit = calls;
	c[1].limit = calls;
	start(c);
	EXPECT_EQ(0, join(c));
	EXPECT_EQ(0, c[0].err | c[1].err);
	ASSERT_EQ(0, kt_probe(self->fd, id, &probe));
	EXPECT_EQ(CALLERS * calls, probe.hits);
	EXPECT_EQ(0, probe.missed);
}

/* ---- what several people do at once ---- */

FIXTURE(load) {
	int fd;
	struct ktramp_info info;
	atomic_bool stop;
};

FIXTURE_SETUP(load)
{
	struct ktramp_load load;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "this machine has one CPU");
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, kt_info(self->fd, &self->info));
	ASSERT_EQ(0, kt_load(self->fd, KTRAMP_LOAD_START, &load));
	ASSERT_EQ(2, load.threads);
	ASSERT_EQ(-EALREADY, kt_load(self->fd, KTRAMP_LOAD_START, &load));
}

/* Every target was called on every CPU meanwhile, and none returned anything wrong. */
FIXTURE_TEARDOWN(load)
{
	struct ktramp_load load;
	struct ktramp_info info;
	int fd = kt_open();

	close(self->fd);
	ASSERT_EQ(0, kt_load(fd, KTRAMP_LOAD_STOP, &load));
	EXPECT_EQ(0, load.threads);
	EXPECT_LT(1000, load.calls);
	EXPECT_EQ(0, load.wrong);
	ASSERT_EQ(0, kt_info(fd, &info));
	EXPECT_EQ(self->info.nr_probes, info.nr_probes);
	EXPECT_EQ(self->info.slot_bytes, info.slot_bytes);
	close(fd);
}

struct churner {
	pthread_t thread;
	const char *site[2];
	unsigned int mechanism[2];
	unsigned int armed, busy, failed;
	int err;	/* of the last one that failed */
};

static void *churn(void *arg)
{
	struct churner *c = arg;
	int fd = kt_open();

	for (unsigned int i = 0; i < 24; i++) {
		int id = kt_create(fd, c->site[i & 1], c->mechanism[i >> 1 & 1]), err;

		if (id < 0) {
			/* The kernel's admission does not look through what the other wrote. */
			if (id == -EILSEQ || id == -EACCES) {
				c->busy++;
			} else {
				c->failed++;
				c->err = id;
			}
			continue;
		}
		err = kt_arm(fd, id);
		if (!err) {
			c->armed++;
		} else if (err == -EBUSY) {
			c->busy++;
		} else {
			c->failed++;
			c->err = err;
		}
		if (kt_destroy(fd, id))
			c->failed++;
	}
	close(fd);
	return NULL;
}

TEST_F_TIMEOUT(load, survives_two_who_probe_the_same_and_neighbouring_sites, 180)
{
	struct ktramp_target_info nop, before, after;
	int target = kt_target_index(self->fd, "nop");
	struct churner c[2] = { };
	char inside[64];

	ASSERT_EQ(0, kt_target(self->fd, target, &nop));
	ASSERT_EQ(0, kt_target(self->fd, target, &before));
	snprintf(inside, sizeof(inside), "ktramp_target_nop+0x%x", nop.offset + 1);
	for (int i = 0; i < 2; i++) {
		c[i].site[0] = "nop";
		c[i].site[1] = i ? inside : "nop";
		c[i].mechanism[0] = KTRAMP_JUMP;
		c[i].mechanism[1] = KTRAMP_INT3_BOOST;
		pthread_create(&c[i].thread, NULL, churn, &c[i]);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(c[i].thread, NULL);
		EXPECT_LT(0, c[i].armed);
		EXPECT_EQ(24, c[i].armed + c[i].busy);
		EXPECT_EQ(0, c[i].failed) TH_LOG("%s", strerror(-c[i].err));
	}
	ASSERT_EQ(0, kt_target(self->fd, target, &after));
	EXPECT_EQ(0, memcmp(before.bytes, after.bytes, sizeof(after.bytes)));
}

struct armer {
	pthread_t thread;
	int fd;
	__u32 id;
	atomic_ulong rounds;
};

static void *arm_until_closed(void *arg)
{
	struct armer *a = arg;

	while (!kt_arm(a->fd, a->id) && !kt_disarm(a->fd, a->id))
		atomic_fetch_add(&a->rounds, 1);
	return NULL;
}

TEST_F_TIMEOUT(load, restores_when_a_file_is_closed_while_it_arms, 120)
{
	int target = kt_target_index(self->fd, "lea7");
	struct ktramp_target_info before, after;
	struct ktramp_probe_info probe;

	ASSERT_EQ(0, kt_target(self->fd, target, &before));
	for (unsigned int i = 0; i < 10; i++) {
		struct armer a = { .fd = kt_open() };
		int id = kt_create(a.fd, "lea7", i & 1 ? KTRAMP_JUMP : KTRAMP_INT3_STEP_TF);

		ASSERT_LT(0, id);
		a.id = id;
		pthread_create(&a.thread, NULL, arm_until_closed, &a);
		while (atomic_load(&a.rounds) < 10 + i)
			let_others_run();
		close(a.fd);
		pthread_join(a.thread, NULL);
		EXPECT_EQ(-ENOENT, kt_probe(self->fd, id, &probe));
		ASSERT_EQ(0, kt_target(self->fd, target, &after));
		EXPECT_EQ(0, memcmp(before.bytes, after.bytes, sizeof(after.bytes)));
	}
}

TEST_F_TIMEOUT(load, survives_a_cpu_that_goes_and_comes_back, 120)
{
	int jump = kt_create(self->fd, "lea7", KTRAMP_JUMP);
	int step = kt_create(self->fd, "push", KTRAMP_INT3_STEP_TF);
	__u64 hits;

	if (access(CPU1_ONLINE, W_OK))
		SKIP(return, "CPU 1 cannot be taken offline (CONFIG_HOTPLUG_CPU)");
	ASSERT_LT(0, jump);
	ASSERT_LT(0, step);
	ASSERT_EQ(0, kt_arm(self->fd, step));
	for (unsigned int i = 0; i < 3; i++) {
		hits = hits_of(self->fd, step);
		ASSERT_EQ(0, kt_write_file(CPU1_ONLINE, "0"));
		ASSERT_EQ(1, sysconf(_SC_NPROCESSORS_ONLN));
		EXPECT_EQ(0, kt_arm(self->fd, jump));
		ASSERT_EQ(0, kt_write_file(CPU1_ONLINE, "1"));
		/* The CPU that comes back sees the armed text. */
		ASSERT_EQ(2, sysconf(_SC_NPROCESSORS_ONLN));
		usleep(50000);
		EXPECT_EQ(0, kt_disarm(self->fd, jump));
		EXPECT_LT(hits, hits_of(self->fd, step));
	}
	EXPECT_LT(0, hits_of(self->fd, jump));
}

struct flipper {
	pthread_t thread;
	atomic_bool stop;
	atomic_uint times;	/* gone and come back */
	atomic_uint failed;
};

static void *flip_cpu(void *arg)
{
	struct flipper *f = arg;

	kt_pin(0);
	while (!atomic_load(&f->stop)) {
		atomic_fetch_add(&f->failed, kt_write_file(CPU1_ONLINE, "0") != 0);
		let_others_run();
		atomic_fetch_add(&f->failed, kt_write_file(CPU1_ONLINE, "1") != 0);
		atomic_fetch_add(&f->times, 1);
	}
	return NULL;
}

/* Every sync of arming meets a CPU in whatever state it is on the way down, or up. */
TEST_F_TIMEOUT(load, arms_while_a_cpu_goes_and_comes_back, 180)
{
	static const char *const targets[] = { "lea7", "lea", "push" };
	static const unsigned int mechanisms[] = {
		KTRAMP_JUMP, KTRAMP_JUMP, KTRAMP_INT3_STEP_INT3,
	};
	struct flipper f = { };
	struct ktramp_batch batch;
	__u32 ids[3];

	if (access(CPU1_ONLINE, W_OK))
		SKIP(return, "CPU 1 cannot be taken offline (CONFIG_HOTPLUG_CPU)");
	for (unsigned int i = 0; i < 3; i++) {
		ids[i] = kt_create(self->fd, targets[i], mechanisms[i]);
		ASSERT_LT(0, (int)ids[i]);
	}
	pthread_create(&f.thread, NULL, flip_cpu, &f);
	for (unsigned int rounds = 0; rounds < 16 || atomic_load(&f.times) < 3; rounds++) {
		/* The middle one waits for a grace period, so the others are armed more often. */
		unsigned int first = rounds % 8 ? 0 : 1, nr = rounds % 8 ? 1 : 2;

		ASSERT_EQ(0, kt_batch(self->fd, KTRAMP_IOC_ARM, &ids[first], nr, &batch));
		let_others_run();
		ASSERT_EQ(0, kt_batch(self->fd, KTRAMP_IOC_DISARM, &ids[first], nr, &batch));
	}
	atomic_store(&f.stop, true);
	pthread_join(f.thread, NULL);
	EXPECT_EQ(0, atomic_load(&f.failed));
	ASSERT_EQ(2, sysconf(_SC_NPROCESSORS_ONLN));
	/* The text still takes and keeps them, and both CPUs come by. */
	ASSERT_EQ(0, kt_batch(self->fd, KTRAMP_IOC_ARM, ids, 3, &batch));
	for (unsigned int i = 0; i < 3; i++) {
		__u64 hits = hits_of(self->fd, ids[i]);

		while (hits_of(self->fd, ids[i]) <= hits)
			let_others_run();
	}
}

/* ---- somebody else, at the same instruction ---- */

#define RIVAL		"/lib/modules/ktramp_rival.ko"
#define RIVAL_DEVICE	"/dev/ktramp_rival"
#define HITS		20
#define TRIES		10000
#define PATIENCE	20	/* times as many rounds, until they meet */

struct rival {
	pthread_t thread;
	atomic_bool stop;
	char address[32];
	atomic_uint accepted, refused;
	int err;	/* of a kind that the kernel does not refuse a kprobe with */
};

static void *register_kprobes(void *arg)
{
	struct rival *r = arg;
	int fd = open(RIVAL_DEVICE, O_WRONLY | O_CLOEXEC);

	kt_pin(1);
	r->err = fd < 0 ? -errno : 0;
	while (!r->err && !atomic_load(&r->stop)) {
		if (write(fd, r->address, strlen(r->address)) > 0)
			r->accepted++;
		else if (errno == EILSEQ || errno == EINVAL || errno == EBUSY)
			r->refused++;
		else
			r->err = -errno;
	}
	close(fd);
	return NULL;
}

FIXTURE(duel) {
	int fd;
	int target;
	struct ktramp_target_info before;
	struct rival rival;
};

FIXTURE_VARIANT(duel) {
	unsigned int mechanism;
	const char *target;
	unsigned int rounds;
};

/* The first waits for tasks each time, which takes seconds. */
FIXTURE_VARIANT_ADD(duel, jump) { KTRAMP_JUMP, "lea", 10 };
FIXTURE_VARIANT_ADD(duel, jump_over_one) { KTRAMP_JUMP, "lea7", 200 };
FIXTURE_VARIANT_ADD(duel, boost) { KTRAMP_INT3_BOOST, "lea", 1000 };

FIXTURE_SETUP(duel)
{
	int err = kt_insmod(RIVAL);

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "this machine has one CPU");
	ASSERT_TRUE(!err || err == -EEXIST);
	self->fd = kt_open();
	self->target = kt_target_index(self->fd, variant->target);
	ASSERT_EQ(0, kt_target(self->fd, self->target, &self->before));
	snprintf(self->rival.address, sizeof(self->rival.address), "%llx",
		 (unsigned long long)self->before.address);
	kt_pin(0);
}

FIXTURE_TEARDOWN(duel)
{
	close(self->fd);
}

/* Theirs may be on top of ours: it goes at once. */
static int disarm_at_last(int fd, int id)
{
	int err = -EILSEQ;

	for (unsigned int i = 0; i < TRIES && err == -EILSEQ; i++) {
		err = kt_disarm(fd, id);
		if (err)
			let_others_run();
	}
	return err;
}

/*
 * A kprobe comes and goes at the instruction that ours is armed and disarmed at. Whoever comes
 * second is refused, or works on top of the first: no hit is lost, and no byte.
 */
TEST_F_TIMEOUT(duel, is_lost_by_nobody, 600)
{
	unsigned int rounds = part_of(variant->rounds), armed = 0, refused = 0;
	int id = kt_create(self->fd, variant->target, variant->mechanism);
	struct ktramp_target_info after;
	struct ktramp_run run;
	__u64 hits;
	int err;

	ASSERT_LT(0, id);
	pthread_create(&self->rival.thread, NULL, register_kprobes, &self->rival);
	/* Where the optimizer never waits, theirs comes seldom: then it takes longer. */
	for (unsigned int i = 0; i < rounds || !armed || (!(refused + self->rival.refused) &&
							  i < PATIENCE * rounds); i++) {
		err = kt_arm(self->fd, id);
		if (err) {
			/* Theirs was there first, or came while we waited for tasks. */
			ASSERT_TRUE(err == -EBUSY || err == -EILSEQ) TH_LOG("%s", strerror(-err));
			ASSERT_EQ(0, disarm_at_last(self->fd, id)) TH_LOG("in round %u", i);
			refused++;
			continue;
		}
		armed++;
		hits = hits_of(self->fd, id);
		ASSERT_EQ(0, kt_run(self->fd, self->target, 0, HITS, 0, &run));
		EXPECT_EQ(0, run.wrong);
		ASSERT_EQ(hits + HITS, hits_of(self->fd, id)) TH_LOG("in round %u", i);
		ASSERT_EQ(0, disarm_at_last(self->fd, id)) TH_LOG("in round %u", i);
	}
	atomic_store(&self->rival.stop, true);
	pthread_join(self->rival.thread, NULL);
	EXPECT_EQ(0, self->rival.err);
	EXPECT_LT(0, self->rival.accepted);
	/* They meet, in one way or the other. */
	EXPECT_LT(0, refused + self->rival.refused);
	TH_LOG("armed %u, refused %u; theirs accepted %u, refused %u", armed, refused,
	       self->rival.accepted, self->rival.refused);
	ASSERT_EQ(0, kt_target(self->fd, self->target, &after));
	EXPECT_EQ(0, memcmp(self->before.bytes, after.bytes, sizeof(after.bytes)));
	ASSERT_EQ(0, kt_run(self->fd, self->target, 0, HITS, 0, &run));
	EXPECT_EQ(0, run.wrong);
	EXPECT_EQ(0, kt_destroy(self->fd, id));
}

/* Not in a fixture: what holds the device open would keep the module from going. */
TEST(the_module_goes_while_its_armed_probes_are_hit)
{
	static const unsigned int mechanisms[] = {
		KTRAMP_JUMP, KTRAMP_INT3_BOOST, KTRAMP_INT3_STEP_TF, KTRAMP_INT3_STEP_INT3,
		KTRAMP_INT3_DIVERT,
	};
	static const char *const targets[] = { "lea", "nop", "push", "lea7", "cmp", "rep",
					       "springboard" };
	struct ktramp_create create;
	struct ktramp_load load;
	struct ktramp_info info;

	for (unsigned int round = 0; round < 4; round++) {
		int fd = kt_open();

		ASSERT_LE(0, fd);
		ASSERT_EQ(0, kt_load(fd, KTRAMP_LOAD_START, &load));
		for (unsigned int i = 0; i < ARRAY_SIZE(targets); i++) {
			ASSERT_EQ(0, kt_create_as(fd, targets[i], mechanisms[(i + round) % 4],
						  KTRAMP_COUNT, KTRAMP_CREATE_KEEP, &create));
			ASSERT_EQ(0, kt_arm(fd, create.id));
		}
		usleep(20000);
		EXPECT_LT(0, hits_of(fd, create.id));
		/* It must not go under its users. */
		EXPECT_EQ(-EAGAIN, kt_unload_module());
		ASSERT_EQ(0, kt_load(fd, 0, &load));
		EXPECT_LT(0, load.calls);
		EXPECT_EQ(0, load.wrong);
		close(fd);
		ASSERT_EQ(0, kt_unload_module());
		EXPECT_EQ(-ENOENT, kt_open());
		ASSERT_EQ(0, kt_load_module());
		fd = kt_open();
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, kt_info(fd, &info));
		EXPECT_EQ(0, info.nr_probes + info.slot_bytes);
		close(fd);
	}
}

TEST_HARNESS_MAIN
