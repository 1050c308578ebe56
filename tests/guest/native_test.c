// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own mechanisms are in the state their name says, by the kernel's own word;
 * and other people's kprobes beside our probes.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kt.h"


/* ---- states ---- */

FIXTURE(state) {
	int fd;
	char optimization[8];
	struct ktramp_mechanism_info info;
};

/*
 * @target: an instruction it can serve
 * @marks: what the kernel's list says of it; NULL: that is not asked
 * @first: the site's first byte, during the run
 * @bp: #BP of a hit
 */
FIXTURE_VARIANT(state) {
	unsigned int mechanism;
	const char *target, *marks;
	__u8 first;
	unsigned int bp;
	const char *optimization;
};

#define VARIANT(name, nr, on, text, byte, bps, opt)				\
	FIXTURE_VARIANT_ADD(state, name) {					\
		.mechanism = nr, .target = on, .marks = text, .first = byte,	\
		.bp = bps, .optimization = opt,					\
	}

VARIANT(kprobe_step, KTRAMP_KPROBE_STEP, "lea", "", INT3, 2, "0");
VARIANT(kprobe_emulate, KTRAMP_KPROBE_EMULATE, "call", "", INT3, 1, "0");
/* The kernel's list calls it optimized as soon as it is queued: its bytes tell. */
VARIANT(kprobe_opt_pending, KTRAMP_KPROBE_OPT_PENDING, "lea", NULL, INT3, 1, "1");
VARIANT(kprobe_opt, KTRAMP_KPROBE_OPT, "lea", "[OPTIMIZED]", JMP, 0, "1");
VARIANT(kprobe_ftrace, KTRAMP_KPROBE_FTRACE, "lea", "[FTRACE]", CALL, 0, "1");
VARIANT(kretprobe, KTRAMP_KRETPROBE, "lea", "[FTRACE]", CALL, 0, "1");

FIXTURE_SETUP(state)
{
	ASSERT_EQ(0, kt_pin(0));
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, kt_mechanism(self->fd, variant->mechanism, &self->info));
	ASSERT_EQ(0, self->info.reason);
	ASSERT_LT(0, kt_read_file(KPROBE_OPT, self->optimization, sizeof(self->optimization)));
	ASSERT_EQ(0, kt_write_file(KPROBE_OPT, variant->optimization));
}

FIXTURE_TEARDOWN(state)
{
	close(self->fd);
	kt_write_file(KPROBE_OPT, self->optimization);
}

TEST_F_TIMEOUT(state, is_what_its_name_says, 120)
{
	int target = kt_target_index(self->fd, variant->target);
	int id = kt_create(self->fd, variant->target, variant->mechanism);
	struct ktramp_probe_info probe;
	struct ktramp_run run;
	char line[512];

	ASSERT_LT(0, id);
	ASSERT_EQ(0, kt_probe(self->fd, id, &probe));
	EXPECT_FALSE(kt_kprobe_listed(probe.address, NULL, 0));
	ASSERT_EQ(0, kt_arm(self->fd, id));
	ASSERT_EQ(0, kt_run(self->fd, target, id, 10, KTRAMP_RUN_TRAPS, &run));
	EXPECT_EQ(10, run.hits);
	EXPECT_EQ(0, run.wrong);
	EXPECT_EQ(10 * variant->bp, run.bp);
	EXPECT_EQ(0, run.db);
	EXPECT_EQ(variant->first, run.now[0]);
	if (variant->marks) {
		ASSERT_TRUE(kt_kprobe_listed(probe.address, line, sizeof(line)));
		EXPECT_STREQ(variant->marks, strchr(line, '[') ? strchr(line, '[') : "")
			TH_LOG("%s", line);
	}
	ASSERT_EQ(0, kt_disarm(self->fd, id));
	EXPECT_FALSE(kt_kprobe_listed(probe.address, NULL, 0));
}

TEST(optimized_states_are_refused_when_the_sysctl_forbids_them)
{
	static const unsigned int mechanisms[] = { KTRAMP_KPROBE_OPT, KTRAMP_KPROBE_OPT_PENDING };
	char was[8];
	int fd = kt_open();

	ASSERT_LE(0, fd);
	ASSERT_LT(0, kt_read_file(KPROBE_OPT, was, sizeof(was)));
	ASSERT_EQ(0, kt_write_file(KPROBE_OPT, "0"));
	for (unsigned int i = 0; i < ARRAY_SIZE(mechanisms); i++) {
		int id = kt_create(fd, "lea", mechanisms[i]);

		EXPECT_LT(0, id);
		EXPECT_EQ(-EAGAIN, kt_arm(fd, id));
	}
	EXPECT_EQ(0, kt_write_file(KPROBE_OPT, was));
	close(fd);
}

/* ---- others ---- */

FIXTURE(others) {
	int fd, id, target;
	struct ktramp_target_info before;
	struct ktramp_probe_info probe;
};

/*
 * @late: is a kprobe on our armed bytes refused? The kernel knows no int3 of others: 6.1 finds
 * an instruction it will not copy (-EINVAL), 6.12 none at all (-EILSEQ).
 */
FIXTURE_VARIANT(others) {
	unsigned int mechanism;
	bool late;
};

FIXTURE_VARIANT_ADD(others, int3_boost) {
	.mechanism = KTRAMP_INT3_BOOST, .late = true,
};

FIXTURE_VARIANT_ADD(others, jump) {
	.mechanism = KTRAMP_JUMP, .late = false,
};

/* Somebody else's kprobe at a target's site, through tracefs. */
static int theirs_on(const struct ktramp_target_info *target)
{
	char site[KTRAMP_SITE_MAX + 16];

	snprintf(site, sizeof(site), "ktramp:%s", target->site);
	return kt_theirs_ready(site) ?: kt_theirs_on();
}

FIXTURE_SETUP(others)
{
	ASSERT_EQ(0, kt_pin(0));
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	self->target = kt_target_index(self->fd, "lea");
	ASSERT_EQ(0, kt_target(self->fd, self->target, &self->before));
	self->id = kt_create(self->fd, "lea", variant->mechanism);
	ASSERT_LT(0, self->id);
}

FIXTURE_TEARDOWN(others)
{
	struct ktramp_target_info after;
	int fd = kt_open();

	kt_theirs_off();
	close(self->fd);
	ASSERT_EQ(0, kt_target(fd, self->target, &after));
	EXPECT_EQ(0, memcmp(self->before.bytes, after.bytes, sizeof(after.bytes)));
	close(fd);
}

TEST_F_TIMEOUT(others, keep_their_bytes_when_they_were_first, 120)
{
	struct ktramp_target_info now;
	struct ktramp_run run;

	ASSERT_EQ(0, theirs_on(&self->before));
	ASSERT_EQ(0, kt_target(self->fd, self->target, &now));
	ASSERT_EQ(INT3, now.bytes[0]);
	/* The bytes are not those the probe was planned with. */
	EXPECT_EQ(-EILSEQ, kt_arm(self->fd, self->id));
	ASSERT_EQ(0, kt_run(self->fd, self->target, 0, 10, 0, &run));
	EXPECT_EQ(0, run.wrong);
	ASSERT_EQ(0, kt_theirs_off());
	/* When they are gone everything is ours again. */
	ASSERT_EQ(0, kt_arm(self->fd, self->id));
	ASSERT_EQ(0, kt_run(self->fd, self->target, self->id, 10, 0, &run));
	EXPECT_EQ(10, run.hits);
	EXPECT_EQ(0, run.wrong);
}

TEST_F_TIMEOUT(others, who_come_later_harm_nobody, 120)
{
	struct ktramp_probe_info probe;
	struct ktramp_batch batch;
	struct ktramp_run run;
	__u32 id = self->id;
	int err;

	ASSERT_EQ(0, kt_arm(self->fd, id));
	err = theirs_on(&self->before);
	EXPECT_EQ(variant->late, err == -EILSEQ || err == -EINVAL)
		TH_LOG("error %d", err);
	if (!variant->late)
		ASSERT_EQ(0, err);
	/* Whether the kernel lets them in or not, every result is right. */
	ASSERT_EQ(0, kt_run(self->fd, self->target, 0, 100, 0, &run));
	EXPECT_EQ(0, run.wrong);
	ASSERT_EQ(0, kt_probe(self->fd, id, &probe));
	EXPECT_EQ(INT3, probe.now[0]);
	if (!variant->late) {
		/* They wrote over it: that is seen, left alone, and keeps the module. */
		EXPECT_EQ(-EILSEQ, kt_batch(self->fd, KTRAMP_IOC_DISARM, &id, 1, &batch));
		EXPECT_EQ(KTRAMP_R_NOT_OURS, batch.reason);
		EXPECT_EQ(id, batch.failed);
		ASSERT_EQ(0, kt_probe(self->fd, id, &probe));
		EXPECT_EQ(KTRAMP_STUCK, probe.state);
		EXPECT_EQ(INT3, probe.now[0]);
		EXPECT_EQ(-EILSEQ, kt_arm(self->fd, id));
		ASSERT_EQ(0, kt_run(self->fd, self->target, 0, 100, 0, &run));
		EXPECT_EQ(0, run.wrong);
		ASSERT_EQ(0, kt_theirs_off());
	}
	EXPECT_EQ(0, kt_disarm(self->fd, id));
	ASSERT_EQ(0, kt_probe(self->fd, id, &probe));
	EXPECT_EQ(KTRAMP_DISARMED, probe.state);
	ASSERT_EQ(0, kt_run(self->fd, self->target, 0, 100, 0, &run));
	EXPECT_EQ(0, run.wrong);
}

/* Not with a fixture, which would hold the device open. */
TEST(a_stuck_probe_keeps_the_module)
{
	struct ktramp_target_info target;
	struct ktramp_create create;
	int fd = kt_open();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, kt_target(fd, kt_target_index(fd, "lea"), &target));
	ASSERT_EQ(0, kt_create_as(fd, "lea", KTRAMP_JUMP, KTRAMP_COUNT, KTRAMP_CREATE_KEEP,
				  &create));
	ASSERT_EQ(0, kt_arm(fd, create.id));
	ASSERT_EQ(0, theirs_on(&target));
	EXPECT_EQ(-EILSEQ, kt_disarm(fd, create.id));
	close(fd);
	EXPECT_EQ(-EAGAIN, kt_unload_module());
	ASSERT_EQ(0, kt_theirs_off());
	fd = kt_open();
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, kt_destroy(fd, create.id));
	close(fd);
	/* And then it may go. */
	EXPECT_EQ(0, kt_unload_module());
	EXPECT_EQ(0, kt_load_module());
}

TEST_HARNESS_MAIN
