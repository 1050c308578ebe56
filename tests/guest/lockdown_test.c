// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lockdown that comes while probes are armed. It does not go until the next boot: of the tests of
 * a guest this is the last one.
 */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kt.h"

#define SECURITY	"/sys/kernel/security"
#define PROBES		"/sys/kernel/debug/ktramp/probes"

static bool lock_down(void)
{
	mount("securityfs", SECURITY, "securityfs", 0, NULL);
	return !kt_write_file(SECURITY "/lockdown", "confidentiality");
}

TEST(probes_can_be_listed_and_taken_away_and_none_is_added)
{
	struct ktramp_create create;
	struct kt_output o;
	int fd = kt_open(), id;

	ASSERT_LE(0, fd);
	kt_shell("ktramp add jump lea nop vfs_read", &o);
	ASSERT_EQ(0, o.status) TH_LOG("%s", o.err);
	id = kt_create(fd, "lea7", KTRAMP_JUMP);
	ASSERT_LT(0, id);
	if (!lock_down()) {
		kt_shell("ktramp remove --all", &o);
		SKIP(return, "this kernel has no lockdown");
	}
	/* Nothing new. */
	EXPECT_EQ(-EPERM, kt_create_as(fd, "lea", KTRAMP_JUMP, KTRAMP_COUNT, 0, &create));
	EXPECT_EQ(-EPERM, kt_arm(fd, id));
	kt_shell("ktramp add jump lea7", &o);
	EXPECT_EQ(1, o.status);
	/* What is there is shown, and goes. */
	kt_shell("ktramp probes", &o);
	EXPECT_EQ(0, o.status) TH_LOG("%s", o.err);
	EXPECT_NE(NULL, strstr(o.out, "ktramp_target_lea"));
	EXPECT_EQ(0, kt_destroy(fd, id));
	kt_shell("ktramp disable --all && ktramp remove --all", &o);
	EXPECT_EQ(0, o.status) TH_LOG("%s", o.err);
	kt_shell("ktramp probes --json", &o);
	EXPECT_EQ(0, o.status);
	EXPECT_STREQ("", o.out);
	close(fd);
}

TEST_HARNESS_MAIN
