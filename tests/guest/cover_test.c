// SPDX-License-Identifier: GPL-2.0-only
/*
 * Blocks that are watched by breakpoints which take themselves away: what is hit is told, what is
 * not stays, others' patches are theirs, and the text is what it was, whatever comes in between.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "covers.h"
#undef ARRAY_SIZE
#include "kselftest_harness.h"
#include "kt.h"
#include "snapshot.h"

/* As it is read without ktramp. */
static uint8_t byte_at(uint64_t address)
{
	uint8_t byte = 0;

	return snapshot_read(address, &byte, 1) ? byte : 0;
}

FIXTURE(cover) {
	struct cover_session s;
	struct ktramp_cover c;
	struct ktramp_run run;
};

FIXTURE_SETUP(cover)
{
	ASSERT_EQ(0, kt_open_window());
	ASSERT_EQ(0, cover_open(&self->s));
}

FIXTURE_TEARDOWN(cover)
{
	cover_close(&self->s);
}

/* mov, cmp, je over four bytes: what is behind the je is never come to. */
TEST_F(cover, tells_the_blocks_that_were_executed_and_no_other)
{
	struct cover_session *s = &self->s;

	ASSERT_EQ(0, cover_add_function(s, cover_target(s, "jcc_taken")));
	ASSERT_EQ(1, s->plan.nr_funcs);
	EXPECT_EQ(0, s->plan.func[0].reason);
	ASSERT_EQ(3, s->plan.nr_blocks);
	for (size_t i = 0; i < 3; i++)
		EXPECT_EQ(0, s->plan.block[i].reason);
	EXPECT_EQ(-EINVAL, cover_do(s, KTRAMP_IOC_COVER_RESET, &self->c));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_START, &self->c));
	EXPECT_EQ(3, self->c.blocks);
	EXPECT_EQ(0, self->c.hit);
	for (size_t i = 0; i < 3; i++)
		EXPECT_EQ(INT3, byte_at(cover_site(s, i)));
	ASSERT_EQ(0, cover_run(s, "jcc_taken", 10, &self->run));
	EXPECT_EQ(0, self->run.wrong);
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_STAT, &self->c));
	EXPECT_EQ(2, self->c.hit);
	EXPECT_EQ(2, self->c.traps);
	ASSERT_EQ(0, cover_read_hits(s));
	EXPECT_EQ(2, s->hit.nr);
	EXPECT_TRUE(cover_is_hit(s, cover_site(s, 0)));
	EXPECT_FALSE(cover_is_hit(s, cover_site(s, 1)));
	EXPECT_TRUE(cover_is_hit(s, cover_site(s, 2)));
	EXPECT_NE(INT3, byte_at(cover_site(s, 0)));
	EXPECT_EQ(INT3, byte_at(cover_site(s, 1)));
}

TEST_F(cover, counts_again_after_a_reset_and_not_without)
{
	struct cover_session *s = &self->s;

	ASSERT_EQ(0, cover_add_function(s, cover_target(s, "jcc_not_taken")));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_START, &self->c));
	for (unsigned int i = 1; i <= 5; i++) {
		ASSERT_EQ(0, cover_run(s, "jcc_not_taken", 3, &self->run));
		EXPECT_EQ(0, self->run.wrong);
		ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_STAT, &self->c));
		EXPECT_EQ(3, self->c.hit);
		EXPECT_EQ(3 * i, self->c.traps);
		ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_RESET, &self->c));
		EXPECT_EQ(0, self->c.hit);
	}
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_STOP, &self->c));
	EXPECT_EQ(KTRAMP_COVER_STOPPED, self->c.state);
	ASSERT_EQ(0, cover_run(s, "jcc_not_taken", 3, &self->run));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_STAT, &self->c));
	EXPECT_EQ(15, self->c.traps);
	EXPECT_EQ(0, self->c.hit);
}

TEST_F(cover, leaves_the_text_as_it_was)
{
	struct cover_session *s = &self->s;
	uint64_t address = cover_target(s, "jcc_taken");
	uint8_t before[32], armed[32], after[32];

	ASSERT_TRUE(snapshot_read(address, before, sizeof(before)));
	ASSERT_EQ(0, cover_add_function(s, address));
	ASSERT_TRUE(snapshot_read(address, after, sizeof(after)));
	EXPECT_EQ(0, memcmp(before, after, sizeof(after)));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_START, &self->c));
	ASSERT_TRUE(snapshot_read(address, armed, sizeof(armed)));
	EXPECT_NE(0, memcmp(before, armed, sizeof(armed)));
	ASSERT_EQ(0, cover_run(s, "jcc_taken", 1, &self->run));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_STOP, &self->c));
	ASSERT_TRUE(snapshot_read(address, after, sizeof(after)));
	EXPECT_EQ(0, memcmp(before, after, sizeof(after)));
}

TEST_F(cover, belongs_to_one_open_file_and_ends_with_it)
{
	struct cover_session *s = &self->s, other;
	uint64_t address = cover_target(s, "lea"), site;
	uint8_t before;

	ASSERT_EQ(0, cover_open(&other));
	ASSERT_EQ(0, cover_add_function(s, address));
	site = cover_site(s, 0);
	before = byte_at(site);
	EXPECT_EQ(-EBUSY, cover_add_function(&other, address));
	EXPECT_EQ(-EINVAL, cover_do(&other, KTRAMP_IOC_COVER_START, &self->c));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_START, &self->c));
	EXPECT_EQ(-EBUSY, cover_add_function(s, address));
	EXPECT_EQ(-EINVAL, cover_do(s, KTRAMP_IOC_COVER_START, &self->c));
	EXPECT_EQ(-EINVAL, cover_do(&other, KTRAMP_IOC_COVER_STOP, &self->c));
	EXPECT_EQ(-EINVAL, cover_read_hits(&other));
	ASSERT_EQ(0, cover_do(&other, KTRAMP_IOC_COVER_STAT, &self->c));
	EXPECT_EQ(KTRAMP_COVER_NONE, self->c.state);
	EXPECT_EQ(INT3, byte_at(site));
	close(s->dev.fd);
	s->dev.fd = -1;
	EXPECT_EQ(before, byte_at(site));
	EXPECT_EQ(0, cover_add_function(&other, address));
	cover_close(&other);
}

/* What runs before a breakpoint is served, and what nobody may probe. */
TEST_F(cover, tells_why_a_block_cannot_be_observed)
{
	static const struct {
		const char *name;
		uint32_t reason;
	} refused[] = {
		{ "exc_int3", KTRAMP_R_BLACKLIST },
		{ "__x86_return_thunk", KTRAMP_R_RECURSION },
		{ "start_secondary", KTRAMP_R_UNSERVED },
		{ "kprobe_int3_handler", KTRAMP_R_BLACKLIST },
	};
	struct cover_session *s = &self->s;
	unsigned int found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		uint64_t address = kt_symbol(refused[i].name);
		const struct ktramp_cover_func *func;

		if (!address)
			continue;
		ASSERT_EQ(0, cover_add_function(s, address));
		func = &s->plan.func[s->plan.nr_funcs - 1];
		EXPECT_EQ(refused[i].reason, func->reason) TH_LOG("%s", refused[i].name);
		EXPECT_LT(0, func->nr);
		found++;
	}
	EXPECT_LT(1, found);
	for (size_t i = 0; i < s->plan.nr_blocks; i++)
		EXPECT_NE(0, s->plan.block[i].reason);
	EXPECT_EQ(-ENOENT, cover_do(s, KTRAMP_IOC_COVER_START, &self->c));
	/* A name that is no function, and one more that is: the session goes on. */
	ASSERT_EQ(0, cover_add_function(s, 0x1000));
	EXPECT_EQ(KTRAMP_R_NOT_TEXT, s->plan.func[s->plan.nr_funcs - 1].reason);
	ASSERT_EQ(0, cover_add_function(s, cover_target(s, "lea")));
	EXPECT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_START, &self->c));
	EXPECT_EQ(1, self->c.blocks);
}

/* ---- others ---- */

static int theirs_at(uint64_t address)
{
	char site[32];

	snprintf(site, sizeof(site), "0x%llx", (unsigned long long)address);
	return kt_theirs_ready(site);
}

TEST_F(cover, leaves_a_kprobe_its_breakpoint)
{
	struct cover_session *s = &self->s;
	uint64_t address = cover_target(s, "jcc_taken");

	ASSERT_EQ(0, cover_add_function(s, address));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_START, &self->c));
	/* Behind a breakpoint of ours, and on one, kprobes see somebody else's. */
	EXPECT_NE(0, theirs_at(cover_site(s, 0)));
	EXPECT_NE(0, theirs_at(cover_site(s, 2)));
	ASSERT_EQ(0, cover_run(s, "jcc_taken", 1, &self->run));
	ASSERT_EQ(0, theirs_at(cover_site(s, 0)));
	ASSERT_EQ(0, kt_theirs_on());
	ASSERT_EQ(0, cover_run(s, "jcc_taken", 3, &self->run));
	EXPECT_EQ(0, self->run.wrong);
	EXPECT_TRUE(kt_kprobe_listed(cover_site(s, 0), NULL, 0));
	/* A reset does not take it for ours, nor does stopping. */
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_RESET, &self->c));
	EXPECT_EQ(1, self->c.busy);
	EXPECT_EQ(0, self->c.hit);
	ASSERT_EQ(0, cover_run(s, "jcc_taken", 3, &self->run));
	EXPECT_EQ(0, self->run.wrong);
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_STAT, &self->c));
	EXPECT_EQ(1, self->c.hit);
	ASSERT_EQ(0, kt_theirs_off());
	EXPECT_NE(INT3, byte_at(cover_site(s, 0)));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_RESET, &self->c));
	EXPECT_EQ(0, self->c.busy);
	EXPECT_EQ(INT3, byte_at(cover_site(s, 0)));
	ASSERT_EQ(0, cover_run(s, "jcc_taken", 1, &self->run));
	EXPECT_EQ(0, self->run.wrong);
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_STAT, &self->c));
	EXPECT_EQ(2, self->c.hit);
}

/* It shows in no byte, until it is enabled. */
TEST_F(cover, keeps_away_from_a_kprobe_that_is_disabled)
{
	struct cover_session *s = &self->s;
	uint64_t site = dev_target(&s->dev, "lea")->address;
	uint8_t before = byte_at(site);

	ASSERT_EQ(0, theirs_at(site));
	ASSERT_EQ(0, cover_add_function(s, cover_target(s, "lea")));
	/* Behind ftrace's call, if the function has one: where the probes of this target are. */
	ASSERT_EQ(site, cover_site(s, 0));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_START, &self->c));
	EXPECT_EQ(1, self->c.busy);
	EXPECT_EQ(before, byte_at(site));
	ASSERT_EQ(0, kt_theirs_on());
	ASSERT_EQ(0, cover_run(s, "lea", 3, &self->run));
	EXPECT_EQ(0, self->run.wrong);
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_STOP, &self->c));
	ASSERT_EQ(0, kt_theirs_off());
	EXPECT_EQ(before, byte_at(site));
}

FIXTURE(probed) {
	struct cover_session s;
	struct ktramp_cover c;
	struct ktramp_run run;
};

FIXTURE_VARIANT(probed) {
	unsigned int mechanism;
};

FIXTURE_VARIANT_ADD(probed, int3_boost) { .mechanism = KTRAMP_INT3_BOOST };
FIXTURE_VARIANT_ADD(probed, int3_step_int3) { .mechanism = KTRAMP_INT3_STEP_INT3 };
FIXTURE_VARIANT_ADD(probed, int3_step_tf) { .mechanism = KTRAMP_INT3_STEP_TF };
FIXTURE_VARIANT_ADD(probed, int3_divert) { .mechanism = KTRAMP_INT3_DIVERT };
FIXTURE_VARIANT_ADD(probed, jump) { .mechanism = KTRAMP_JUMP };

FIXTURE_SETUP(probed)
{
	ASSERT_EQ(0, kt_open_window());
	ASSERT_EQ(0, cover_open(&self->s));
}

FIXTURE_TEARDOWN(probed)
{
	cover_close(&self->s);
}

/* Behind the probed instruction of "targeted", of 3 bytes, a loop comes back. */
static int create_at_loop(const struct cover_session *s, unsigned int mechanism)
{
	char site[32];

	snprintf(site, sizeof(site), "0x%llx",
		 (unsigned long long)dev_target(&s->dev, "targeted")->address + 3);
	return kt_create(s->dev.fd, site, mechanism);
}

static __u64 hits_of(const struct cover_session *s, int id)
{
	struct ktramp_probe_info info;

	return kt_probe(s->dev.fd, id, &info) ? 0 : info.hits;
}

/* The probe takes the bytes that it needs, when it is armed and not before. */
TEST_F(probed, is_probed_all_the_same)
{
	struct cover_session *s = &self->s;
	uint64_t address = cover_target(s, "targeted");
	uint8_t before[48], after[48];
	int early, late;
	__u64 hits;

	ASSERT_TRUE(snapshot_read(address, before, sizeof(before)));
	early = create_at_loop(s, variant->mechanism);
	ASSERT_LT(0, early);
	ASSERT_EQ(0, cover_add_function(s, address));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_START, &self->c));
	EXPECT_EQ(3, self->c.blocks);
	EXPECT_EQ(0, self->c.busy);
	late = create_at_loop(s, variant->mechanism);
	ASSERT_LT(0, late);
	ASSERT_EQ(0, kt_arm(s->dev.fd, early));
	EXPECT_EQ(-EBUSY, kt_arm(s->dev.fd, late));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_STAT, &self->c));
	EXPECT_EQ(1, self->c.busy);
	ASSERT_EQ(0, cover_run(s, "targeted", 5, &self->run));
	EXPECT_EQ(0, self->run.wrong);
	hits = hits_of(s, early);
	EXPECT_LT(0, hits);
	/* A reset leaves them to the probe. */
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_RESET, &self->c));
	EXPECT_EQ(1, self->c.busy);
	ASSERT_EQ(0, cover_run(s, "targeted", 5, &self->run));
	EXPECT_EQ(0, self->run.wrong);
	EXPECT_EQ(2 * hits, hits_of(s, early));
	ASSERT_EQ(0, kt_disarm(s->dev.fd, early));
	ASSERT_EQ(0, kt_arm(s->dev.fd, late));
	ASSERT_EQ(0, kt_disarm(s->dev.fd, late));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_RESET, &self->c));
	EXPECT_EQ(0, self->c.busy);
	ASSERT_EQ(0, cover_run(s, "targeted", 5, &self->run));
	EXPECT_EQ(0, self->run.wrong);
	EXPECT_EQ(2 * hits, hits_of(s, early));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_STOP, &self->c));
	EXPECT_EQ(3, self->c.hit);
	ASSERT_TRUE(snapshot_read(address, after, sizeof(after)));
	EXPECT_EQ(0, memcmp(before, after, sizeof(after)));
}

TEST_F(probed, is_covered_but_for_what_a_probe_has)
{
	struct cover_session *s = &self->s;
	int id = create_at_loop(s, variant->mechanism);

	ASSERT_LT(0, id);
	ASSERT_EQ(0, kt_arm(s->dev.fd, id));
	ASSERT_EQ(0, cover_add_function(s, cover_target(s, "targeted")));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_START, &self->c));
	EXPECT_EQ(1, self->c.busy);
	ASSERT_EQ(0, cover_run(s, "targeted", 5, &self->run));
	EXPECT_EQ(0, self->run.wrong);
	EXPECT_LT(0, hits_of(s, id));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_STOP, &self->c));
	EXPECT_EQ(2, self->c.hit);
	EXPECT_EQ(1, self->c.busy);
	ASSERT_EQ(0, kt_disarm(s->dev.fd, id));
}

/* ---- the command ---- */

/* What is told: "N of M observed blocks were hit". Return: N, or -1. */
static long long hits_told(struct kt_output *o)
{
	long long hits, observed;
	const char *line;

	for (line = o->out; line; line = strchr(line, '\n'), line += !!line)
		if (sscanf(line, "%lld of %lld observed blocks were hit", &hits, &observed) == 2)
			return hits <= observed ? hits : -1;
	return -1;
}

#define OF_ONE	"ktramp cover --function version_proc_show "

TEST_F(cover, is_told_by_the_command)
{
	static struct kt_output o;

	kt_shell(OF_ONE "-- cat /proc/version", &o);
	EXPECT_EQ(0, o.status) TH_LOG("%s", o.err);
	EXPECT_LT(0, hits_told(&o)) TH_LOG("%s", o.out);
	kt_shell(OF_ONE "-- true", &o);
	EXPECT_EQ(0, o.status) TH_LOG("%s", o.err);
	EXPECT_EQ(0, hits_told(&o)) TH_LOG("%s", o.out);
	/* What fails is told, and what was covered all the same. */
	kt_shell(OF_ONE "-- sh -c 'cat /proc/version; exit 3'", &o);
	EXPECT_EQ(1, o.status);
	EXPECT_LT(0, hits_told(&o));
	EXPECT_NE(NULL, strstr(o.err, "status 3"));
	kt_shell("ktramp cover --function no_such_function -- true", &o);
	EXPECT_EQ(1, o.status);
	kt_shell("ktramp cover -- true", &o);
	EXPECT_EQ(2, o.status);
}

TEST_F(cover, goes_on_between_commands)
{
	static struct kt_output o;

	kt_shell("ktramp cover read", &o);
	EXPECT_EQ(1, o.status);
	kt_shell("ktramp cover start --function version_proc_show", &o);
	ASSERT_EQ(0, o.status) TH_LOG("%s", o.err);
	kt_shell("ktramp cover start --function version_proc_show", &o);
	EXPECT_EQ(1, o.status);
	kt_shell("ktramp cover read", &o);
	EXPECT_EQ(0, hits_told(&o)) TH_LOG("%s%s", o.out, o.err);
	kt_shell("cat /proc/version; ktramp cover read", &o);
	EXPECT_LT(0, hits_told(&o));
	kt_shell("ktramp cover reset; ktramp cover read", &o);
	EXPECT_EQ(0, hits_told(&o));
	kt_shell("cat /proc/version; ktramp cover stop --blocks", &o);
	EXPECT_EQ(0, o.status) TH_LOG("%s", o.err);
	EXPECT_LT(0, hits_told(&o));
	kt_shell("ktramp cover read", &o);
	EXPECT_EQ(1, o.status);
	/* Nothing holds the device any more. */
	ASSERT_EQ(0, cover_add_function(&self->s, cover_target(&self->s, "lea")));
}

TEST_F(cover, is_told_to_programs)
{
	unsigned int functions = 0, blocks = 0, hits = 0;
	static struct kt_output o;
	const char *type;
	json_t *line;

	kt_shell(OF_ONE "--json --blocks -- cat /proc/version", &o);
	EXPECT_EQ(0, o.status) TH_LOG("%s", o.err);
	for (char *at = strtok(o.out, "\n"); at; at = strtok(NULL, "\n")) {
		line = json_loads(at, 0, NULL);
		type = json_string_value(json_object_get(line, "type"));
		functions += type && !strcmp(type, "function");
		if (type && !strcmp(type, "block")) {
			blocks++;
			hits += json_is_true(json_object_get(line, "hit"));
			EXPECT_STREQ("version_proc_show",
				     json_string_value(json_object_get(line, "function")));
		}
		json_decref(line);
	}
	EXPECT_EQ(1, functions);
	EXPECT_LT(0, blocks);
	EXPECT_LT(0, hits);
}

/* ---- what it costs ---- */

/* Instructions of one hit, on the clock that counts them. */
#define HIT_MAX		200

TEST_F(cover, costs_one_trap_a_block_and_then_nothing)
{
	struct cover_session *s = &self->s;
	uint64_t bare, first, second;

	if (s->dev.info.clock != KTRAMP_CLOCK_ICOUNT)
		SKIP(return, "this clock does not count instructions (qemu/run --accel icount)");
	ASSERT_EQ(0, cover_add_function(s, cover_target(s, "jcc_not_taken")));
	ASSERT_EQ(0, cover_run(s, "jcc_not_taken", 1, &self->run));
	ASSERT_EQ(0, cover_run(s, "jcc_not_taken", 1, &self->run));
	bare = self->run.ticks;
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_START, &self->c));
	ASSERT_EQ(0, cover_run(s, "jcc_not_taken", 1, &self->run));
	first = self->run.ticks;
	ASSERT_EQ(0, cover_run(s, "jcc_not_taken", 1, &self->run));
	second = self->run.ticks;
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_STAT, &self->c));
	ASSERT_EQ(3, self->c.hit);
	printf("# one hit: %llu instructions, by the %s\n",
	       (unsigned long long)(first - bare) / 3,
	       self->c.entry == KTRAMP_ENTRY_DIRECT ? "direct entry" : "notifier");
	EXPECT_EQ(bare, second);
	EXPECT_LT(bare, first);
	/* What is built to look at itself executes more on the way. */
	if (self->c.entry == KTRAMP_ENTRY_DIRECT && !(s->dev.info.config & KTRAMP_CONFIG_KASAN))
		EXPECT_GE(HIT_MAX, (first - bare) / 3);
}

TEST_HARNESS_MAIN
