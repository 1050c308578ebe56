// SPDX-License-Identifier: GPL-2.0-only
/*
 * ktramp overlay: each way to mount gives the right view, makes the kernel do what it is
 * known for and nothing else, costs what it should, and stops where mount(2) would lie.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kt.h"
#include "rows.h"

static const char *const modes[] = { "direct", "thread", "fork", "forkexec", "fsconfig" };

/* lowerdir+ came with 6.8. */
static bool has_by_layer(void)
{
	struct utsname uts;
	int major, minor;

	uname(&uts);
	if (sscanf(uts.release, "%d.%d", &major, &minor) != 2)
		return false;
	return major > 6 || (major == 6 && minor >= 8);
}

FIXTURE(overlay) {
	struct kt_output o;
	json_t *rows;
};

FIXTURE_SETUP(overlay)
{
	if (system("grep -qw overlay /proc/filesystems"))
		SKIP(return, "this kernel has no overlayfs (CONFIG_OVERLAY_FS)");
	self->rows = NULL;
}

FIXTURE_TEARDOWN(overlay)
{
	json_decref(self->rows);
	unlink("/tmp/out");
	unlink("/tmp/err");
}

TEST_F_TIMEOUT(overlay, every_mode_gives_the_view_of_all_layers, 120)
{
	static const unsigned int layers[] = { 2, 16, 64, 128 };

	for (size_t i = 0; i < ARRAY_SIZE(layers); i++) {
		RUN("ktramp overlay --layers %u --repeat 1 --json", layers[i]);
		EXPECT_EQ(0, self->o.status) TH_LOG("%s", self->o.err);
		for (size_t k = 0; k < ARRAY_SIZE(modes); k++) {
			const json_t *row = kt_row(self->rows, "mode", modes[k]);

			EXPECT_STREQ("ok", kt_text(row, "state"))
				TH_LOG("%u layers, %s", layers[i], modes[k]);
			EXPECT_EQ(layers[i], kt_number(row, "layers"));
		}
	}
}

/* Hits of one mount; ANY: of no interest, SOME: at least one. */
enum { ANY = -1, SOME = -2 };

static const struct {
	const char *function;
	int count[ARRAY_SIZE(modes)];
} counts[] = {			/*  direct thread fork forkexec fsconfig */
	{ "kernel_clone",	{   0,     1,     1,   1,       0 } },
	{ "copy_process",	{   0,     1,     1,   1,       0 } },
	{ "copy_page_range",	{   0,     0,  SOME,   SOME,    0 } },
	{ "copy_fs_struct",	{   0,     1,     1,   1,       0 } },
	{ "ksys_unshare",	{   0,     1,     0,   0,       0 } },
	{ "kernel_wait4",	{   0,     0,     1,   1,       0 } },
	{ "bprm_execve",	{   0,     0,     0,   1,       0 } },
	{ "begin_new_exec",	{   0,     0,     0,   1,       0 } },
	{ "set_fs_pwd",		{   0,     1,     1,   1,       0 } },
	{ "__x64_sys_mount",	{   1,     1,     1,   1,       0 } },
	{ "path_mount",		{   1,     1,     1,   1,       0 } },
	{ "__x64_sys_fsconfig",	{   0,     0,     0,   0,      17 } },
	{ "vfs_get_tree",	{   1,     1,     1,   1,       1 } },
	{ "ovl_fill_super",	{   1,     1,     1,   1,       1 } },
	{ "exit_mmap",		{   0,     0,     1,   2,       0 } },
	{ "do_exit",		{   0,     1,     1,   1,       0 } },
};

static void expect_counts(struct __test_metadata *_metadata, const json_t *rows)
{
	for (size_t k = 0; k < ARRAY_SIZE(modes); k++) {
		const json_t *row = kt_row(rows, "mode", modes[k]);
		/* What it fell back to is what it must have done. */
		size_t as = strcmp(kt_text(row, "used"), modes[k]) ? 1 : k;

		ASSERT_STREQ(modes[as], kt_text(row, "used"));
		for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
			long long hits = kt_number(json_object_get(row, "counts"),
						   counts[i].function);

			if (counts[i].count[as] == SOME) {
				EXPECT_LT(0, hits)
					TH_LOG("%s in %s", counts[i].function, modes[k]);
			} else {
				EXPECT_EQ(counts[i].count[as], hits)
					TH_LOG("%s in %s", counts[i].function, modes[k]);
			}
		}
	}
}

TEST_F_TIMEOUT(overlay, each_mode_makes_the_kernel_do_exactly_its_own, 120)
{
	RUN("ktramp overlay --layers 16 --repeat 1 --json");
	ASSERT_EQ(0, self->o.status);
	expect_counts(_metadata, self->rows);
}

/* A neighbour that forks, executes and exits all the time is none of the mount's calls. */
TEST_F_TIMEOUT(overlay, counts_no_other_process, 120)
{
	RUN("while :; do /bin/true; done & ktramp overlay --layers 16 --repeat 1 --json; "
	    "status=$?; kill $!; (exit $status)");
	ASSERT_EQ(0, self->o.status);
	expect_counts(_metadata, self->rows);
}

TEST_F_TIMEOUT(overlay, threads_mount_without_disturbing_each_other, 120)
{
	RUN("ktramp overlay --concurrent --threads 8 --mounts 100 --json");
	EXPECT_EQ(0, self->o.status);
	EXPECT_EQ(800, kt_number(json_array_get(self->rows, 0), "right"));
	EXPECT_EQ(0, kt_number(json_array_get(self->rows, 0), "wrong"));
	EXPECT_TRUE(kt_flag(json_array_get(self->rows, 0), "cwd_kept"));
}

/* The control: what the test above would see if a thread kept the common directory. */
TEST_F_TIMEOUT(overlay, threads_that_share_a_directory_are_seen_to_go_wrong, 120)
{
	RUN("ktramp overlay --concurrent --no-unshare --threads 8 --mounts 10 --json");
	EXPECT_EQ(1, self->o.status);
	EXPECT_LT(0, kt_number(json_array_get(self->rows, 0), "wrong"));
	EXPECT_EQ(80, kt_number(json_array_get(self->rows, 0), "wrong") +
		      kt_number(json_array_get(self->rows, 0), "right"));
	EXPECT_FALSE(kt_flag(json_array_get(self->rows, 0), "cwd_kept"));
}

/* Instructions, so that they say nothing of the machine the guest runs on. */
TEST_F_TIMEOUT(overlay, memory_in_use_makes_a_fork_dear_and_a_thread_not, 120)
{
	static const char *const some[] = { "thread", "fork" };
	long long small[ARRAY_SIZE(some)], large[ARRAY_SIZE(some)];

	RUN("ktramp overlay -m thread -m fork --rss 0 --repeat 5 --json");
	ASSERT_EQ(0, self->o.status);
	for (size_t i = 0; i < ARRAY_SIZE(some); i++)
		small[i] = kt_number(kt_row(self->rows, "mode", some[i]), "total.median");
	RUN("ktramp overlay -m thread -m fork --rss 256 --repeat 5 --json");
	ASSERT_EQ(0, self->o.status) TH_LOG("%s", self->o.err);
	for (size_t i = 0; i < ARRAY_SIZE(some); i++)
		large[i] = kt_number(kt_row(self->rows, "mode", some[i]), "total.median");
	EXPECT_LT(0, small[0]);
	EXPECT_LE(2 * large[0], 3 * small[0]);
	EXPECT_LT(0, small[1]);
	EXPECT_GE(large[1], 3 * small[1]);
}

/* ---- limits ---- */

static const struct {
	const char *name;
	bool refused;
	const char *error;	/* of the kernel; "" if it mounts */
	unsigned int layers, merged;
	long long bytes;	/* of the option, 0: a call a layer */
} limits[] = {
	{ "fits",		false,	"",		409,	409,	4095 },
	{ "cut-at-colon",	true,	"",		429,	409,	4295 },
	{ "cut-in-name",	true,	"ENOENT",	429,	0,	4298 },
	{ "cut-behind-colon",	true,	"EINVAL",	429,	0,	4294 },
	{ "most-layers",	false,	"",		500,	500,	0 },
	{ "too-many-layers",	false,	"EINVAL",	501,	0,	0 },
};

TEST_F_TIMEOUT(overlay, refuses_what_mount_would_cut_off_in_silence, 120)
{
	RUN("ktramp overlay --limits --json");
	EXPECT_EQ(0, self->o.status) TH_LOG("%s", self->o.err);
	EXPECT_EQ(ARRAY_SIZE(limits), json_array_size(self->rows));
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		const json_t *row = kt_row(self->rows, "case", limits[i].name);
		bool supported = limits[i].bytes || has_by_layer();

		EXPECT_EQ(supported, kt_flag(row, "supported")) TH_LOG("%s", limits[i].name);
		EXPECT_EQ(limits[i].layers, kt_number(row, "layers"));
		EXPECT_EQ(limits[i].refused, kt_flag(row, "refused")) TH_LOG("%s", limits[i].name);
		if (!supported) {
			EXPECT_NE(NULL, strstr(kt_text(row, "why"), "EINVAL at create"));
			continue;
		}
		EXPECT_STREQ(limits[i].error, kt_text(row, "errno")) TH_LOG("%s", limits[i].name);
		EXPECT_EQ(limits[i].merged, kt_number(row, "merged")) TH_LOG("%s", limits[i].name);
		if (limits[i].bytes)
			EXPECT_EQ(limits[i].bytes, kt_number(row, "bytes"));
	}
}

TEST_F_TIMEOUT(overlay, refuses_a_mount_whose_paths_do_not_fit, 120)
{
	RUN("ktramp overlay --layers 128 --name-length 26 -m direct -m thread --repeat 1 --json");
	EXPECT_EQ(0, self->o.status);
	EXPECT_STREQ("refused", kt_text(kt_row(self->rows, "mode", "direct"), "state"));
	EXPECT_STREQ("ok", kt_text(kt_row(self->rows, "mode", "thread"), "state"));
	EXPECT_EQ(9 + 128 * 27 - 1, kt_number(kt_row(self->rows, "mode", "thread"), "bytes"));
	/* Nothing else was asked for, and nothing was mounted. */
	RUN("ktramp overlay --layers 128 --name-length 26 -m direct --json");
	EXPECT_EQ(1, self->o.status);
	EXPECT_NE(NULL, strstr(self->o.err, "cut the rest off"));
}

TEST_F_TIMEOUT(overlay, falls_back_where_there_is_no_lowerdir_plus, 120)
{
	const json_t *row;

	RUN("ktramp overlay -m fsconfig --layers 500 --repeat 1 --json");
	EXPECT_EQ(0, self->o.status);
	row = kt_row(self->rows, "mode", "fsconfig");
	EXPECT_STREQ("ok", kt_text(row, "state"));
	if (has_by_layer()) {
		EXPECT_STREQ("fsconfig", kt_text(row, "used"));
		EXPECT_STREQ("", kt_text(row, "fallback"));
		EXPECT_EQ(501, kt_number(row, "counts.__x64_sys_fsconfig"));
	} else {
		EXPECT_STREQ("thread", kt_text(row, "used"));
		EXPECT_NE(NULL, strstr(kt_text(row, "fallback"), "unsupported (EINVAL at create"));
		EXPECT_EQ(0, kt_number(row, "counts.__x64_sys_fsconfig"));
	}
}

/* ---- the command ---- */

#define OVERLAY	"ktramp overlay "

static const char *const wrong[] = {
	OVERLAY "--mode spoon", OVERLAY "--layers 1", OVERLAY "--layers 501", OVERLAY "--rss x",
	OVERLAY "--repeat 0", OVERLAY "--no-unshare", OVERLAY "--concurrent --limits",
	OVERLAY "--layers 128 --name-length 2", OVERLAY "more",
};

TEST(usage_that_is_wrong_ends_with_2)
{
	static struct kt_output o;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		kt_shell(wrong[i], &o);
		EXPECT_EQ(2, o.status) TH_LOG("%s", wrong[i]);
		EXPECT_NE('\0', o.err[0]);
	}
	kt_shell(OVERLAY "--worker 3", &o);
	EXPECT_EQ(1, o.status);
}

static int scratch_directories(void)
{
	DIR *dir = opendir("/tmp");
	struct dirent *entry;
	int nr = 0;

	while ((entry = readdir(dir)))
		nr += !strncmp(entry->d_name, "kt.", 3);
	closedir(dir);
	return nr;
}

TEST_F_TIMEOUT(overlay, leaves_no_mount_no_directory_no_probe, 120)
{
	char before[8192], after[8192];

	ASSERT_LT(0, kt_read_file("/proc/mounts", before, sizeof(before)));
	RUN("ktramp overlay --repeat 1 --json");
	RUN("ktramp overlay --concurrent --mounts 2 --json");
	RUN("ktramp overlay --concurrent --no-unshare --mounts 2 --json");
	RUN("ktramp overlay --concurrent --mounts 1000000 --json & sleep 1; kill -INT $!; wait $!");
	EXPECT_EQ(1, self->o.status);
	EXPECT_NE(NULL, strstr(self->o.err, "stopped by signal"));
	ASSERT_LT(0, kt_read_file("/proc/mounts", after, sizeof(after)));
	EXPECT_STREQ(before, after);
	EXPECT_EQ(0, scratch_directories());
	RUN("ktramp probes --json");
	EXPECT_EQ(0, json_array_size(self->rows));
}

TEST_HARNESS_MAIN
