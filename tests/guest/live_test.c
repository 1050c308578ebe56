// SPDX-License-Identifier: GPL-2.0-only
/*
 * Probes on a random sample of the whole kernel's instructions, armed in batches while every
 * CPU runs a workload that checks what comes out of it.
 *
 * In the environment, for whoever wants more, or looks for the site that breaks something:
 *
 *	LIVE_SAMPLE	instructions
 *	LIVE_PART	they are of every so many functions one: reading all takes a while
 *	LIVE_SHARE	which one, from 0 up: all of them together are the whole kernel
 *	LIVE_SEED	others
 *	LIVE_BATCH	sites armed together
 *	LIVE_EACH	1: at each site, every mechanism that has a plan for it, one after the
 *			other; 0: one of them, in turn
 *	LIVE_TACTIC	a jump at each site that has this tactic, and nothing else
 *	LIVE_FROM, LIVE_TO	of the sites those numbered so, the last one excluded
 *	LIVE_LIST	1: say what is armed, and what is refused though it was planned
 *	LIVE_REPLAY	a file with such a list: instead of a sample
 *	LIVE_WORK	the part of the workload to run, instead of all
 *	LIVE_HITS	of 1,000 sites, how many must be hit
 *	LIVE_COOL	hits after which a site may be disarmed before the others, 0 for never: some
 *			fifty sites would have nearly all the hits, and take nearly all the time
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../user/lib/ktramp.h"
#include "kselftest_harness.h"
#include "kt.h"
#include "live.h"
#include "snapshot.h"

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

/* ---- sites ---- */

struct site {
	uint64_t address;
	uint32_t plans;		/* bit m: mechanism m has one */
	uint8_t tactic;
	uint8_t handler;	/* 0: in turn */
	bool hit;
};

struct sites {
	struct sample sample;
	struct site *v;
	size_t nr;
	uint64_t refused;	/* by the kernel, or no mechanism has a plan */
};

static int keep(struct sample *sample, uint64_t function, const struct ktramp_scan_insn *insn)
{
	struct sites *sites = container_of(sample, struct sites, sample);
	struct site site = { .address = function + insn->offset, .tactic = insn->tactic };
	const char *tactic = getenv("LIVE_TACTIC");

	if (tactic && strcmp(tactic, tactic_name(insn->tactic)))
		return 0;
	for (unsigned int m = OURS_FIRST; m <= OURS_LAST; m++)
		if (!insn->reason[m])
			site.plans |= 1U << m;
	if (tactic)
		site.plans &= 1U << KTRAMP_JUMP;
	if (!site.plans || !sample_is_accepted(sample, function, insn)) {
		sites->refused++;
		return 0;
	}
	sites->v[sites->nr++] = site;
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const struct site *one = a, *other = b;

	return one->address < other->address ? -1 : one->address > other->address;
}

/* Batches are not of neighbours only: what is hit most comes in all of them. */
static void shuffle(struct site *v, size_t nr, uint64_t random)
{
	for (size_t i = nr; i > 1; i--) {
		size_t j = prng(&random) % i;
		struct site site = v[j];

		v[j] = v[i - 1];
		v[i - 1] = site;
	}
}

/* What an earlier run with LIVE_LIST said it armed: the same again, or part of it. */
static bool read_list(const struct dev *dev, struct sites *sites, const char *path, size_t max)
{
	FILE *file = fopen(path, "re");
	char line[256], name[32], tactic[32], handler[32];
	unsigned long long address;

	while (file && sites->nr < max && fgets(line, sizeof(line), file)) {
		const struct ktramp_mechanism_info *mechanism;

		if (sscanf(line, "# 0x%llx %31[^,], tactic %31[^,], handler %31s", &address, name,
			   tactic, handler) != 4)
			continue;
		mechanism = dev_mechanism(dev, name);
		if (!mechanism)
			break;
		sites->v[sites->nr++] = (struct site){
			.address = address, .plans = 1U << mechanism->mechanism,
			.handler = handler_number(handler),
		};
	}
	if (file)
		fclose(file);
	return file;
}

/* ---- passes ---- */

struct pass {
	const struct dev *dev;
	uint32_t id[KTRAMP_BATCH_MAX];
	struct site *site[KTRAMP_BATCH_MAX];
	uint8_t mechanism[KTRAMP_BATCH_MAX];
	unsigned int nr;
	unsigned int cooled;	/* were disarmed before the others */
	unsigned int failed;
};

struct outcome {
	uint64_t armed[OURS_LAST + 1];
	uint64_t hit[OURS_LAST + 1];
	uint64_t by_tactic[NR_TACTICS];
	uint64_t hits, missed;
	uint64_t refused[NR_REASONS];	/* though it was planned */
	uint64_t stuck;
};

/* The n-th of the bits that are set, starting over behind the last. */
static unsigned int nth_bit(uint32_t bits, unsigned int n)
{
	unsigned int at = 0;

	for (n %= __builtin_popcount(bits);; at++)
		if ((bits >> at & 1) && !n--)
			return at;
}

static unsigned int choose_handler(const struct dev *dev, const struct site *site,
				   unsigned int mechanism, unsigned int n)
{
	const uint32_t all = 1U << KTRAMP_COUNT | 1U << KTRAMP_REGS | 1U << KTRAMP_COUNT_INLINE;

	if (site->handler)
		return site->handler;
	/* There is no detour that could count by itself. */
	if (mechanism == KTRAMP_JUMP && site->tactic == KTRAMP_TACTIC_FTRACE)
		return n % 2 ? KTRAMP_COUNT : KTRAMP_REGS;
	return nth_bit(dev->mechanisms[mechanism - 1].handlers & all, n);
}

static void create(struct pass *pass, struct site *site,
		   unsigned int mechanism, unsigned int n, struct outcome *outcome)
{
	const struct dev *dev = pass->dev;
	unsigned int handler = choose_handler(dev, site, mechanism, n);
	struct ktramp_create create;
	char where[32];

	snprintf(where, sizeof(where), "0x%llx", (unsigned long long)site->address);
	if (kt_create_as(dev->fd, where, mechanism, handler, 0, &create)) {
		outcome->refused[MIN(create.reason, NR_REASONS - 1)]++;
		if (setting("LIVE_LIST", 0))
			printf("# %s %s: %s\n", where, dev->mechanisms[mechanism - 1].name,
			       create.why);
		return;
	}
	if (setting("LIVE_LIST", 0))
		printf("# %s %s, tactic %s, handler %s\n", create.site,
		       dev->mechanisms[mechanism - 1].name, tactic_name(site->tactic),
		       handler_name(handler));
	pass->id[pass->nr] = create.id;
	pass->mechanism[pass->nr] = mechanism;
	pass->site[pass->nr++] = site;
}

/* Sites that had enough of it leave, as the workload runs into them. */
static void cool(void *data)
{
	const uint64_t enough = setting("LIVE_COOL", 5000);
	struct pass *pass = data;
	static uint32_t id[KTRAMP_BATCH_MAX];
	struct ktramp_probe_info probe;
	struct ktramp_batch batch;
	unsigned int nr = 0;

	for (unsigned int i = 0; enough && i < pass->nr; i++)
		if (!kt_probe(pass->dev->fd, pass->id[i], &probe) &&
		    probe.state == KTRAMP_ARMED && probe.hits >= enough)
			id[nr++] = pass->id[i];
	if (nr && kt_batch(pass->dev->fd, KTRAMP_IOC_DISARM, id, nr, &batch)) {
		printf("# disarming probe %u early: %s\n", batch.failed, batch.why);
		pass->failed++;
	}
	pass->cooled += nr;
}

static void look(const struct pass *pass, struct outcome *outcome)
{
	struct ktramp_probe_info probe;

	for (unsigned int i = 0; i < pass->nr; i++) {
		unsigned int m = pass->mechanism[i];

		if (kt_probe(pass->dev->fd, pass->id[i], &probe))
			continue;
		outcome->stuck += probe.state != KTRAMP_DISARMED && probe.state != KTRAMP_NEW;
		if (probe.state != KTRAMP_DISARMED)
			continue;
		outcome->armed[m]++;
		outcome->by_tactic[MIN(probe.tactic, NR_TACTICS - 1)]++;
		outcome->hits += probe.hits;
		outcome->missed += probe.missed;
		outcome->hit[m] += probe.hits > 0;
		pass->site[i]->hit |= probe.hits > 0;
	}
}

/* Return: how many parts of the workload were wrong, and processes that did not end well. */
static unsigned int run_pass(struct pass *pass, struct load *load, struct outcome *outcome)
{
	const int fd = pass->dev->fd;
	struct ktramp_batch batch;
	int err;

	live_start(load);
	err = kt_batch(fd, KTRAMP_IOC_ARM, pass->id, pass->nr, &batch);
	/* Of two that overlap the second one is refused. */
	if (err && err != -EBUSY)
		printf("# arming probe %u: error %d, %s\n", batch.failed, -err, batch.why);
	pass->failed += err && err != -EBUSY;
	printf("# armed %u of %u\n", batch.done, pass->nr);
	pass->failed += !live_wait(load, cool, pass);
	err = kt_batch(fd, KTRAMP_IOC_DISARM, pass->id, pass->nr, &batch);
	if (err)
		printf("# disarming probe %u: error %d, %s\n", batch.failed, -err, batch.why);
	pass->failed += err != 0;
	pass->failed += live_stop(load);
	printf("# %u of them disarmed early\n", pass->cooled);
	look(pass, outcome);
	pass->failed += kt_batch(fd, KTRAMP_IOC_DESTROY, pass->id, pass->nr, &batch) != 0;
	return pass->failed;
}

/*
 * One batch: each mechanism in turn at each of its sites, or, to save time, one of them at
 * each. Return: what went wrong.
 */
static unsigned int run_batch(const struct dev *dev, struct site *v, size_t nr, bool each,
			      struct load *load, struct outcome *outcome)
{
	static struct pass pass;
	unsigned int failed = 0;

	for (unsigned int m = OURS_FIRST; m <= OURS_LAST; m++) {
		pass.dev = dev;
		pass.nr = 0;
		pass.cooled = 0;
		pass.failed = 0;
		for (size_t i = 0; i < nr; i++) {
			unsigned int mechanism = each ? m : nth_bit(v[i].plans, i);

			if (v[i].plans >> mechanism & 1)
				create(&pass, &v[i], mechanism, i / 8, outcome);
		}
		printf("# %s: made %u of %zu\n", each ? dev->mechanisms[m - 1].name :
		       "all in turn", pass.nr, nr);
		failed += run_pass(&pass, load, outcome);
		if (!each)
			break;
	}
	return failed;
}

static void print_outcome(const struct dev *dev, const struct outcome *o)
{
	for (unsigned int m = OURS_FIRST; m <= OURS_LAST; m++)
		printf("# %-14s armed %6llu, hit %6llu\n", dev->mechanisms[m - 1].name,
		       (unsigned long long)o->armed[m], (unsigned long long)o->hit[m]);
	for (unsigned int i = 1; i < NR_TACTICS; i++)
		printf("#   jump by %-8s %6llu\n", tactic_name(i),
		       (unsigned long long)o->by_tactic[i]);
	for (unsigned int i = 1; i < NR_REASONS; i++)
		if (o->refused[i])
			printf("#   planned, but refused: %-12s %6llu\n", reason_name(i),
			       (unsigned long long)o->refused[i]);
	printf("# %llu hits, %llu missed\n", (unsigned long long)o->hits,
	       (unsigned long long)o->missed);
}

static size_t sites_hit(const struct sites *sites)
{
	size_t hit = 0;

	for (size_t i = 0; i < sites->nr; i++)
		hit += sites->v[i].hit;
	return hit;
}

/* ---- the proof ---- */

FIXTURE(kernel) {
	struct dev dev;
};

FIXTURE_SETUP(kernel)
{
	ASSERT_EQ(0, kt_open_window());
	ASSERT_EQ(0, dev_open(&self->dev));
}

FIXTURE_TEARDOWN(kernel)
{
	dev_close(&self->dev);
}

/* That two readings are alike says something if a probe that is armed can be read. */
TEST_F(kernel, shows_a_probe_to_who_reads_its_text)
{
	uint8_t before = 0, armed = 0, after = 0;
	int id = -ENOENT, offset = 0;
	uint64_t address;
	char site[32];

	/* Behind the function's entry, which may be ftrace's. */
	while (id < 0 && ++offset < 64) {
		snprintf(site, sizeof(site), "vfs_read+0x%x", offset);
		id = kt_create(self->dev.fd, site, KTRAMP_INT3_STEP_INT3);
	}
	ASSERT_LT(0, id) TH_LOG("%s: error %d", site, -id);
	address = kt_symbol("vfs_read") + offset;
	EXPECT_TRUE(snapshot_read(address, &before, 1));
	EXPECT_EQ(0, kt_arm(self->dev.fd, id));
	EXPECT_TRUE(snapshot_read(address, &armed, 1));
	EXPECT_EQ(0, kt_disarm(self->dev.fd, id));
	EXPECT_TRUE(snapshot_read(address, &after, 1));
	EXPECT_EQ(0, kt_destroy(self->dev.fd, id));
	EXPECT_NE(INT3, before);
	EXPECT_EQ(INT3, armed);
	EXPECT_EQ(before, after);
}

TEST_F_TIMEOUT(kernel, computes_the_same_with_probes_all_over_it, 36000)
{
	const struct sample_config config = {
		.sample = setting("LIVE_SAMPLE", 1000), .seed = setting("LIVE_SEED", 1),
		.part = setting("LIVE_PART", 16), .share = setting("LIVE_SHARE", 0),
	};
	const size_t batch = MIN(setting("LIVE_BATCH", 4000), KTRAMP_BATCH_MAX);
	struct sites sites = { .sample.planned = keep };
	struct snapshot before, after;
	size_t explained, from, to;
	struct outcome outcome = { };
	unsigned int failed = 0;
	struct load load = { };

	setbuf(stdout, NULL);
	sites.v = calloc(config.sample, sizeof(*sites.v));
	if (getenv("LIVE_REPLAY")) {
		ASSERT_TRUE(read_list(&self->dev, &sites, getenv("LIVE_REPLAY"), config.sample));
	} else {
		ASSERT_EQ(0, sample_plan(&sites.sample, &self->dev, &config));
		shuffle(sites.v, sites.nr, config.seed);
	}
	printf("# %llu instructions, %llu of them without a kprobe or any plan\n",
	       (unsigned long long)(sites.nr + sites.refused), (unsigned long long)sites.refused);

	/* For a file system on a disk; a kernel that has no such module goes without. */
	kt_insmod("/tests/modules/loop.ko");
	/* Without probes first: what is wrong then is not ours, and keys settle. */
	ASSERT_TRUE(live_share(&load));
	live_start(&load);
	EXPECT_TRUE(live_wait(&load, NULL, NULL));
	EXPECT_EQ(0, live_stop(&load));
	live_print(&load);
	for (unsigned int i = 0; i < load.nr; i++)
		load.skipped[i] = atomic_load(&load.shared[i].skipped);
	ASSERT_TRUE(snapshot_take(&before));

	from = MIN(setting("LIVE_FROM", 0), sites.nr);
	to = MIN(setting("LIVE_TO", sites.nr), sites.nr);
	for (size_t at = from; at < to; at += batch) {
		/* The module decodes a function once for all its sites that come in a row. */
		if (!getenv("LIVE_REPLAY"))
			qsort(&sites.v[at], MIN(batch, to - at), sizeof(*sites.v), by_address);
		failed += run_batch(&self->dev, &sites.v[at], MIN(batch, to - at),
				    setting("LIVE_EACH", 0), &load, &outcome);
	}
	EXPECT_EQ(0, failed);
	for (unsigned int i = 0; i < load.nr; i++) {
		EXPECT_EQ(0, atomic_load(&load.shared[i].wrong))
			TH_LOG("%s", load.shared[i].why);
		/* A probe takes nothing away from what a kernel has. */
		EXPECT_EQ(load.skipped[i], atomic_load(&load.shared[i].skipped));
	}
	live_print(&load);
	print_outcome(&self->dev, &outcome);

	ASSERT_TRUE(snapshot_take(&after));
	EXPECT_EQ(0, snapshot_compare(self->dev.fd, &before, &after, &explained));
	printf("# text: %zu bytes compared, %zu changed by the kernel itself\n", before.size,
	       explained);
	EXPECT_EQ(0, outcome.stuck);
	EXPECT_LT(0, outcome.hits);
	printf("# hit %zu of %zu sites, %zu of 1,000\n", sites_hit(&sites), to - from,
	       1000 * sites_hit(&sites) / (to - from));
	EXPECT_LE(setting("LIVE_HITS", 75), 1000 * sites_hit(&sites) / (to - from));
	sample_deinit(&sites.sample);
	free(sites.v);
}

TEST_HARNESS_MAIN
