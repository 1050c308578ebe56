// SPDX-License-Identifier: GPL-2.0-only
/* 'ktramp run': a tool prints and ends with it as it does without. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kt.h"

#define TOOL	"/tests/probe_tool"
#define OURS	"server /dev/ktramp"
#define KERNELS	"server anon_inode:[perf_event]"

FIXTURE(tool) {
	int fd;
	struct kt_output alone, run;
};

FIXTURE_VARIANT(tool) {
	const char *way;
	const char *server;	/* found in what it says of its descriptor; NULL: it says nothing */
	int ours;		/* of its probes, how many the table says are ktramp's; -1: any */
	int status;		/* it ends with */
};

#define WAY(name, ...)	FIXTURE_VARIANT_ADD(tool, name) { .way = #name, __VA_ARGS__ }
WAY(event, .server = OURS, .ours = 1);
WAY(address, .server = OURS, .ours = 1);
WAY(link, .server = OURS, .ours = 1);
WAY(pin, .server = KERNELS, .ours = 0);
WAY(info, .ours = 0);
WAY(reused, .ours = 0);
WAY(dup, .server = OURS, .ours = 1);
WAY(fork, .server = OURS, .ours = 1);
WAY(disabled, .ours = 1);
WAY(twice, .server = OURS, .ours = 1);
WAY(query, .server = OURS, .ours = 1);
WAY(fd_query, .server = OURS, .ours = 0);
WAY(return, .server = KERNELS, .ours = 0);
WAY(other_ioctl, .server = KERNELS, .ours = 0);
WAY(refused, .server = KERNELS, .ours = 0);
WAY(bad, .ours = 1);
WAY(nobody, .ours = 0);
WAY(race, .ours = -1);
WAY(status, .server = OURS, .ours = 1, .status = 42);
WAY(signal, .server = OURS, .ours = 1, .status = 128 + SIGTERM);

/* The kernel takes its own jumps away when it gets to it. */
static bool is_original(int fd)
{
	static const unsigned char lea[] = { 0x48, 0x8d, 0x04, 0x37 };
	int index = kt_target_index(fd, "lea");
	struct ktramp_target_info info;

	for (unsigned int tries = 0; tries < 100; tries++) {
		if (!kt_target(fd, index, &info) && !memcmp(info.bytes, lea, sizeof(lea)))
			return true;
		usleep(50000);
	}
	return false;
}

FIXTURE_SETUP(tool)
{
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(tool)
{
	struct ktramp_info info;

	/* Whatever it did, nothing of it is left. */
	EXPECT_TRUE(is_original(self->fd));
	EXPECT_EQ(0, kt_info(self->fd, &info));
	EXPECT_EQ(0, info.nr_probes);
	close(self->fd);
}

static int nr_ours(const char *table)
{
	const char *line = strstr(table, " kprobes served by ktramp");

	/* "N of M kprobes served by ktramp" */
	while (line && line > table && line[-1] != '\n')
		line--;
	return line ? atoi(line) : -1;
}

TEST_F_TIMEOUT(tool, prints_and_ends_as_without, 120)
{
	char line[128];

	snprintf(line, sizeof(line), "%s %s", TOOL, variant->way);
	kt_shell(line, &self->alone);
	ASSERT_EQ(variant->status, self->alone.status) TH_LOG("%s", self->alone.err);
	snprintf(line, sizeof(line), "ktramp run -- %s %s", TOOL, variant->way);
	kt_shell(line, &self->run);
	EXPECT_EQ(variant->status, self->run.status) TH_LOG("%s", self->run.err);
	EXPECT_STREQ(self->alone.out, self->run.out);
	if (variant->server)
		EXPECT_NE(NULL, strstr(self->run.err, variant->server))
			TH_LOG("%s", self->run.err);
	if (variant->ours >= 0)
		EXPECT_EQ(variant->ours, nr_ours(self->run.err)) TH_LOG("%s", self->run.err);
}

/* ---- the command itself ---- */

FIXTURE(run) {
	int fd;
	struct kt_output o;
};

FIXTURE_SETUP(run)
{
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(run)
{
	close(self->fd);
}

static const struct {
	const char *line;
	int status;
	const char *err;
} lines[] = {
	{ "ktramp run", 2, "COMMAND" },
	{ "ktramp run -- true", 0, "0 of 0 kprobes" },
	{ "ktramp run false", 1, "0 of 0 kprobes" },
	{ "ktramp run -- sh -c 'exit 7'", 7, "0 of 0 kprobes" },
	{ "ktramp run -- /no/such/command", 127, "/no/such/command" },
	{ "ktramp run -- /etc", 126, "/etc" },
	{ "ktramp run -- ktramp run -- true", 1, "already under" },
	{ "ktramp run -o /no/such/dir/file -- true", 0, "/no/such/dir/file" },
	{ "ktramp run -- sh -c 'kill -TERM $$'", 128 + SIGTERM, "0 of 0 kprobes" },
};

TEST_F_TIMEOUT(run, ends_with_the_status_of_the_command, 120)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(lines); i++) {
		kt_shell(lines[i].line, &self->o);
		EXPECT_EQ(lines[i].status, self->o.status)
			TH_LOG("%s: %s", lines[i].line, self->o.err);
		EXPECT_NE(NULL, strstr(self->o.err, lines[i].err))
			TH_LOG("%s: %s", lines[i].line, self->o.err);
	}
}

TEST_F(run, prints_lines_of_json)
{
	kt_shell("ktramp run --json -o /tmp/served -- " TOOL " event && cat /tmp/served", &self->o);
	EXPECT_EQ(0, self->o.status) TH_LOG("%s", self->o.err);
	EXPECT_NE(NULL, strstr(self->o.out, "\"type\":\"served\""));
	EXPECT_NE(NULL, strstr(self->o.out, "\"hits\":115"));
	EXPECT_NE(NULL, strstr(self->o.out, "ktramp_target_lea"));
	unlink("/tmp/served");
}

/* Children that go on alone are served as well: the last of them ends it. */
TEST_F(run, waits_for_the_last_of_the_command)
{
	kt_shell("ktramp run -- sh -c '(sleep 1; " TOOL " event) & exit 3'", &self->o);
	EXPECT_EQ(3, self->o.status);
	EXPECT_NE(NULL, strstr(self->o.out, "enabled again: 115")) TH_LOG("%s", self->o.err);
	EXPECT_NE(NULL, strstr(self->o.err, "1 of 1 kprobes")) TH_LOG("%s", self->o.err);
}

/* ---- death ---- */

FIXTURE(killed) {
	int fd;
};

FIXTURE_VARIANT(killed) {
	bool supervisor;
};

FIXTURE_VARIANT_ADD(killed, tool) { .supervisor = false };
FIXTURE_VARIANT_ADD(killed, supervisor) { .supervisor = true };

FIXTURE_SETUP(killed)
{
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(killed)
{
	close(self->fd);
}

/* Some are killed while they attach, some when they have. */
TEST_F_TIMEOUT(killed, leaves_nothing_when_it_is_killed, 300)
{
	unsigned int times = getenv("RUN_KILLS") ? atoi(getenv("RUN_KILLS")) : 12;
	struct ktramp_info info;

	srand(1);
	for (unsigned int i = 0; i < times; i++) {
		pid_t pid = fork();
		char line[128];
		int status;

		if (!pid) {
			freopen("/dev/null", "w", stdout);
			freopen("/dev/null", "w", stderr);
			execlp("ktramp", "ktramp", "run", "--", TOOL, "wait", NULL);
			_exit(127);
		}
		ASSERT_LT(0, pid);
		usleep(rand() % 600000);
		snprintf(line, sizeof(line), "killall -KILL %s 2>/dev/null",
			 variant->supervisor ? "ktramp" : "probe_tool");
		system(line);
		usleep(rand() % 100000);
		/* The tool may not have been there yet; and does not end by itself. */
		system("killall -KILL probe_tool ktramp 2>/dev/null");
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		system("killall -KILL probe_tool 2>/dev/null");
		for (unsigned int tries = 0; tries < 100; tries++) {
			ASSERT_EQ(0, kt_info(self->fd, &info));
			if (!info.nr_probes)
				break;
			usleep(50000);
		}
		EXPECT_EQ(0, info.nr_probes);
		ASSERT_TRUE(is_original(self->fd));
	}
}

TEST_HARNESS_MAIN
