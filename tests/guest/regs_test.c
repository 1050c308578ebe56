// SPDX-License-Identifier: GPL-2.0-only
/*
 * The registers a handler sees, against those the target "regs" has put there.
 *
 * The stack pointer is not known beforehand. A second probe, one instruction in front of
 * the site, sees the same one and is the measure; it also sees the flags before stc.
 */
#include <errno.h>
#include <string.h>

#include "kselftest_harness.h"
#include "kt.h"

#define KNOWN		0x6b7472616d700000ULL
#define B		7	/* the second argument of each call */
#define SAVED		(5 * 8)	/* what the function pushes between its entry and the site */

#define CF		0x01
#define ZF		0x40
#define TF		0x100
#define IF		0x200

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 };

FIXTURE(regs) {
	int fd;
	int target;
	int optimization;
	struct ktramp_mechanism_info info;
	struct ktramp_target_info site;
};

FIXTURE_VARIANT(regs) {
	unsigned int mechanism;
	int optimization;
};

#define VARIANT(name, nr, opt)							\
	FIXTURE_VARIANT_ADD(regs, name) { .mechanism = nr, .optimization = opt }

VARIANT(int3_emulate, KTRAMP_INT3_EMULATE, 1);
VARIANT(int3_step_tf, KTRAMP_INT3_STEP_TF, 1);
VARIANT(int3_step_int3, KTRAMP_INT3_STEP_INT3, 1);
VARIANT(int3_boost, KTRAMP_INT3_BOOST, 1);
VARIANT(int3_divert, KTRAMP_INT3_DIVERT, 1);
VARIANT(jump, KTRAMP_JUMP, 1);
VARIANT(kprobe_step, KTRAMP_KPROBE_STEP, 0);
VARIANT(kprobe_opt_pending, KTRAMP_KPROBE_OPT_PENDING, 1);
VARIANT(kprobe_opt, KTRAMP_KPROBE_OPT, 1);
VARIANT(kprobe_ftrace, KTRAMP_KPROBE_FTRACE, 1);
VARIANT(ftrace, KTRAMP_FTRACE, 1);

FIXTURE_SETUP(regs)
{
	char text[8];

	ASSERT_EQ(0, kt_pin(0));
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, kt_mechanism(self->fd, variant->mechanism, &self->info));
	self->target = kt_target_index(self->fd, "regs");
	ASSERT_LE(0, self->target);
	ASSERT_EQ(0, kt_target(self->fd, self->target, &self->site));
	ASSERT_LT(0, kt_read_file(KPROBE_OPT, text, sizeof(text)));
	self->optimization = text[0] - '0';
	ASSERT_EQ(0, kt_write_file(KPROBE_OPT, variant->optimization ? "1" : "0"));
}

FIXTURE_TEARDOWN(regs)
{
	close(self->fd);
	kt_write_file(KPROBE_OPT, self->optimization ? "1" : "0");
}

static int make_armed(int fd, const char *site, unsigned int mechanism)
{
	struct ktramp_create create;
	int err = kt_create_as(fd, site, mechanism, KTRAMP_REGS, 0, &create);

	if (!err)
		err = kt_arm(fd, create.id);
	return err ? err : (int)create.id;
}

TEST_F_TIMEOUT(regs, are_those_the_displaced_instruction_would_find, 120)
{
	unsigned long long entry = self->site.address - self->site.offset;
	struct ktramp_regs regs, before;
	char in_front[KTRAMP_SITE_MAX];
	struct ktramp_run run;
	int id, stc;

	if (self->info.reason)
		SKIP(return, "%s: %s", self->info.name, self->info.why);
	id = make_armed(self->fd, "regs", variant->mechanism);
	ASSERT_LT(0, id);
	snprintf(in_front, sizeof(in_front), "ktramp_target_regs+0x%x", self->site.offset - 1);
	stc = make_armed(self->fd, in_front, KTRAMP_INT3_BOOST);
	ASSERT_LT(0, stc);

	/* Nothing hit it yet: nothing recorded. */
	ASSERT_EQ(0, kt_regs(self->fd, id, &regs));
	EXPECT_EQ(0, regs.seq);
	/* Calls with a = 0, 1, 2: the last hit has 2. */
	ASSERT_EQ(0, kt_run(self->fd, self->target, id, 3, 0, &run));
	ASSERT_EQ(3, run.hits);
	ASSERT_EQ(0, run.wrong);
	ASSERT_EQ(0, kt_regs(self->fd, id, &regs));
	ASSERT_EQ(0, kt_regs(self->fd, stc, &before));
	EXPECT_EQ(3, regs.seq);
	EXPECT_EQ(3, before.seq);

	EXPECT_EQ(2, regs.r[RDI]);
	EXPECT_EQ(B, regs.r[RSI]);
	EXPECT_EQ(before.cs, regs.cs);
	EXPECT_EQ(before.ss, regs.ss);
	EXPECT_EQ(0x10, regs.cs);
	EXPECT_EQ(before.r[RBP], regs.r[RBP]);
	EXPECT_EQ(0, regs.eflags & TF);
	EXPECT_EQ(before.eflags & IF, regs.eflags & IF);
	EXPECT_EQ(self->site.address - 1, before.ip);
	EXPECT_EQ(ZF, before.eflags & (ZF | CF));

	if (self->info.at_entry) {
		EXPECT_EQ(before.r[RSP] + SAVED, regs.r[RSP]);
		EXPECT_LE(entry, regs.ip);
		EXPECT_GE(entry + 4, regs.ip);
		return;
	}
	for (unsigned int i = RAX; i < 16; i++) {
		if (i > RBX && i < R8)
			continue;
		EXPECT_EQ(KNOWN + i, regs.r[i]) TH_LOG("in register %u", i);
	}
	EXPECT_EQ(before.r[RSP], regs.r[RSP]);
	EXPECT_EQ(self->site.address, regs.ip);
	EXPECT_EQ(ZF | CF, regs.eflags & (ZF | CF));
}

TEST_F(regs, see_the_interrupt_flag_of_the_site)
{
	struct ktramp_regs regs;
	struct ktramp_run run;
	int id;

	if (self->info.reason)
		SKIP(return, "%s: %s", self->info.name, self->info.why);
	id = make_armed(self->fd, "regs", variant->mechanism);
	ASSERT_LT(0, id);
	ASSERT_EQ(0, kt_run(self->fd, self->target, id, 1, 0, &run));
	ASSERT_EQ(1, run.hits);
	ASSERT_EQ(0, kt_regs(self->fd, id, &regs));
	EXPECT_EQ(IF, regs.eflags & IF);
	/* A measured run has interrupts off. */
	ASSERT_EQ(0, kt_run(self->fd, self->target, id, 1, KTRAMP_RUN_MEASURE, &run));
	ASSERT_EQ(1, run.hits);
	ASSERT_EQ(0, kt_regs(self->fd, id, &regs));
	EXPECT_EQ(2, regs.seq);
	EXPECT_EQ(0, regs.eflags & IF);
}

TEST(counting_probes_have_no_registers_and_other_cpus_none_yet)
{
	struct ktramp_regs regs = { .size = sizeof(regs) };
	int fd = kt_open(), id;

	ASSERT_LE(0, fd);
	id = kt_create(fd, "regs", KTRAMP_JUMP);
	ASSERT_LT(0, id);
	EXPECT_EQ(-EOPNOTSUPP, kt_regs(fd, id, &regs));
	EXPECT_EQ(-ENOENT, kt_regs(fd, id + 1000, &regs));
	regs = (struct ktramp_regs){ .size = sizeof(regs), .id = id, .cpu = 1U << 31 };
	EXPECT_EQ(-ENOENT, kt_ioctl(fd, KTRAMP_IOC_REGS, &regs));
	close(fd);
}

TEST_HARNESS_MAIN
