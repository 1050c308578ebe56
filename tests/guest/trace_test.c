// SPDX-License-Identifier: GPL-2.0-only
/* ktramp trace: no hit is lost uncounted, however it ends, and what it prints is right. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kt.h"

#define READS	"dd if=/dev/zero of=/dev/null bs=64 count=%d 2>/dev/null"

/* The number behind "name": of the last line that has it, or -1. */
static long long field(const char *text, const char *name)
{
	char key[32];
	const char *at = NULL, *next = text;

	snprintf(key, sizeof(key), "\"%s\":", name);
	while ((next = strstr(next, key)) != NULL)
		at = next += strlen(key);
	return at ? strtoll(at, NULL, 0) : -1;
}

static long count_lines(const char *text, const char *what)
{
	long nr = 0;

	while ((text = strstr(text, what)) != NULL) {
		nr++;
		text += strlen(what);
	}
	return nr;
}

FIXTURE(trace) {
	struct kt_output o;
};

FIXTURE_VARIANT(trace) {
	const char *command;
	bool to_stderr;		/* nobody reads the other one */
	bool last_line;		/* is all there is */
};

/* Reads that go on; what ends them is in $load. */
#define LOAD	"(while :; do " READS "; done) & load=$!; "

/* By the number that was asked for, by a signal under load, into a pipe that is closed. */
FIXTURE_VARIANT_ADD(trace, number) {
	.command = LOAD "ktramp trace vfs_read -n 5 --json; kill $load",
};
FIXTURE_VARIANT_ADD(trace, signal) {
	.command = LOAD "ktramp trace vfs_read --json >/tmp/trace & sleep 2; kill -INT $!; "
		   "wait $!; kill $load; tail -n 1 /tmp/trace",
	.last_line = true,
};
FIXTURE_VARIANT_ADD(trace, signal_while_idle) {
	.command = "ktramp trace vfs_read --json & sleep 1; " READS "; kill -INT $!; wait $!",
};
FIXTURE_VARIANT_ADD(trace, term) {
	.command = "ktramp trace vfs_read+0x9 -m int3-boost --json & sleep 1; " READS
		   "; kill -TERM $!; wait $!",
};
FIXTURE_VARIANT_ADD(trace, kernels_own) {
	.command = "ktramp trace vfs_read -m bpf-kprobe-ftrace --json & sleep 1; " READS
		   "; kill -INT $!; wait $!",
};
FIXTURE_VARIANT_ADD(trace, closed_pipe) {
	.command = LOAD "ktramp trace vfs_read --json | head -n 2 >/dev/null; kill $load",
	.to_stderr = true,
};

FIXTURE_SETUP(trace)
{
	if (!kt_runs_bpf())
		SKIP(return, "this kernel does not show which task runs a BPF program");
}

FIXTURE_TEARDOWN(trace)
{
	kt_shell("cat /sys/kernel/debug/ktramp/probes", &self->o);
	EXPECT_STREQ("", self->o.out);
	unlink("/tmp/trace");
}

TEST_F_TIMEOUT(trace, prints_or_counts_every_hit, 300)
{
	char line[512];
	const char *text;

	snprintf(line, sizeof(line), variant->command, 300);
	kt_shell(line, &self->o);
	text = variant->to_stderr ? self->o.err : self->o.out;
	ASSERT_NE(NULL, strstr(text, "\"type\":\"end\"")) TH_LOG("%s", self->o.err);
	EXPECT_LT(0, field(text, "hits"));
	EXPECT_EQ(field(text, "hits"), field(text, "printed") + field(text, "lost"));
	if (!variant->to_stderr && !variant->last_line)
		EXPECT_EQ(field(text, "printed"), count_lines(text, "\"type\":\"hit\""));
	TH_LOG("%lld printed, %lld lost, %lld hits", field(text, "printed"), field(text, "lost"),
	       field(text, "hits"));
}

FIXTURE(shown) {
	struct kt_output o;
};

FIXTURE_SETUP(shown)
{
	if (!kt_runs_bpf())
		SKIP(return, "this kernel does not show which task runs a BPF program");
}

FIXTURE_TEARDOWN(shown)
{
	unlink("/tmp/trace");
}

/* Each line that it writes is a hit of its own site. */
TEST_F_TIMEOUT(shown, by_a_tracer_of_itself_are_no_hits_of_its_own, 120)
{
	kt_shell("ktramp trace vfs_write --json >/tmp/trace & sleep 1; echo x "
		 ">/tmp/x; kill -INT $!; wait $!; tail -n 1 /tmp/trace; wc -c "
		 "</tmp/trace >&2",
		 &self->o);
	EXPECT_EQ(field(self->o.out, "hits"),
		  field(self->o.out, "printed") + field(self->o.out, "lost"));
	EXPECT_LT(0, field(self->o.out, "own")) TH_LOG("%s", self->o.out);
	EXPECT_GT(100000, atol(self->o.err)) TH_LOG("%s bytes", self->o.err);
}

/* Two that trace each other never come to an end of their buffers. */
TEST_F_TIMEOUT(shown, by_two_tracers_of_each_other_end_all_the_same, 120)
{
	kt_shell("ktramp trace vfs_write >/tmp/trace & a=$!; ktramp trace "
		 "vfs_write+0x9 -m int3-boost >/tmp/x & b=$!; sleep 2; echo x "
		 ">/tmp/y; sleep 1; kill -INT $a $b; wait $a; x=$?; wait $b; echo "
		 "$x $?",
		 &self->o);
	EXPECT_STREQ("0 0\n", self->o.out) TH_LOG("%s", self->o.err);
}

/* A thread's name is text of somebody else's. */
TEST_F_TIMEOUT(shown, names_hold_no_escape_sequence, 120)
{
	pid_t child = fork();

	if (!child) {
		prctl(PR_SET_NAME, "a\033[31m\nb\xff");
		for (;;) {
			int fd = open("/proc/self/comm", O_RDONLY);
			char buf[16];

			(void)!read(fd, buf, sizeof(buf));
			close(fd);
			usleep(1000);
		}
	}
	kt_shell("ktramp trace vfs_read -n 3; ktramp trace vfs_read -n 3 --json >&2", &self->o);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	EXPECT_NE(NULL, strstr(self->o.out, "a\\x1b[31m\\x0ab\\xff")) TH_LOG("%s", self->o.out);
	EXPECT_EQ(NULL, strchr(self->o.out, '\033'));
	EXPECT_EQ(3, count_lines(self->o.err, "\"type\":\"hit\"")) TH_LOG("%s", self->o.err);
	EXPECT_EQ(NULL, strchr(self->o.err, '\033'));
}

TEST_F_TIMEOUT(shown, arguments_are_the_functions, 180)
{
	if (!kt_has_btf())
		SKIP(return, "no BTF");
	kt_shell("(sleep 1; dd if=/dev/zero of=/dev/null bs=77 count=5 "
		 "2>/dev/null) & ktramp trace vfs_read --args --json & sleep 3; "
		 "kill -INT $!; wait $!",
		 &self->o);
	EXPECT_LE(5, count_lines(self->o.out, "\"count\":77")) TH_LOG("%s", self->o.err);
	/* At the return there is what it returns, and no argument. */
	kt_shell("(sleep 1; dd if=/dev/zero of=/dev/null bs=77 count=5 "
		 "2>/dev/null) & ktramp trace vfs_read -m bpf-kretprobe --args "
		 "--json & sleep 3; kill -INT $!; wait $!",
		 &self->o);
	EXPECT_LE(5, count_lines(self->o.out, "\"return\":77")) TH_LOG("%s", self->o.err);
	EXPECT_EQ(NULL, strstr(self->o.out, "\"args\""));
	/* Behind the entry nothing is known. */
	kt_shell("ktramp trace vfs_read+0xb --args", &self->o);
	EXPECT_EQ(1, self->o.status);
	kt_shell("ktramp trace kfree -m bpf-kretprobe --args -n 1", &self->o);
	EXPECT_EQ(1, self->o.status);
	EXPECT_NE(NULL, strstr(self->o.err, "returns nothing")) TH_LOG("%s", self->o.err);
}

/* ---- errors for programs ---- */

TEST_F(shown, errors_say_site_reason_and_errno)
{
	static const char *const parts[] = {
		"{\"type\":\"error\",\"error\":", "\"reason\":\"no-symbol\"",
		"\"errno\":\"ENOENT\"", "\"site\":\"no_such_symbol\"",
	};

	kt_shell("ktramp trace no_such_symbol --json", &self->o);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		EXPECT_NE(NULL, strstr(self->o.err, parts[i])) TH_LOG("%s", self->o.err);
}

/* More than a site's 255 characters. */
TEST_F(shown, no_site_is_too_long_for_a_word)
{
	static const char *const commands[] = {
		"show %s jump", "plan %s", "add jump %s", "remove %s", "trace %s",
		"show %s jump --json",
	};
	char site[300], line[512];

	memset(site, 'x', sizeof(site) - 1);
	site[sizeof(site) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		char with[64];

		snprintf(with, sizeof(with), "ktramp %s", commands[i]);
		snprintf(line, sizeof(line), with, site);
		kt_shell(line, &self->o);
		EXPECT_EQ(1, self->o.status) TH_LOG("%s", line);
		EXPECT_NE(NULL, strstr(self->o.err, "xxxx")) TH_LOG("%s: '%s'", line, self->o.err);
	}
}

/* Escape sequences of a site stay where they came from. */
TEST_F(shown, errors_hold_no_escape_sequence)
{
	kt_shell("ktramp add jump \"$(printf 'a\\033[31mb')\"", &self->o);
	EXPECT_EQ(1, self->o.status);
	EXPECT_EQ(NULL, strchr(self->o.err, '\033'));
}

/* Two of one batch, each with its reason. */
TEST_F(shown, probes_that_cannot_be_armed_are_named_by_their_sites)
{
	kt_shell("ktramp add jump vfs_read+0x9 vfs_read+0x9 lea lea", &self->o);
	EXPECT_EQ(1, self->o.status);
	EXPECT_NE(NULL, strstr(self->o.err, "at 'vfs_read+0x9'")) TH_LOG("%s", self->o.err);
	EXPECT_NE(NULL, strstr(self->o.err, "at 'ktramp_target_lea")) TH_LOG("%s", self->o.err);
	kt_shell("ktramp remove --all", &self->o);
}

TEST_HARNESS_MAIN
