// SPDX-License-Identifier: GPL-2.0-only
/* The command as a person and a script meet it, and debugfs beside it. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kt.h"

#define DEBUGFS	"/sys/kernel/debug/ktramp/"

FIXTURE(command) {
	struct kt_output o;
};

FIXTURE_SETUP(command)
{
	self->o.status = -1;
}

FIXTURE_TEARDOWN(command)
{
	unlink("/tmp/out");
	unlink("/tmp/err");
}

static const struct {
	const char *line;
	int status;
	const char *out, *err;	/* found in it; NULL: it is empty */
} lines[] = {
	{ "ktramp --help", 0, "Commands", NULL },
	{ "ktramp help show", 0, "Usage: ktramp show", NULL },
	{ "ktramp --version", 0, "0.", NULL },
	{ "ktramp", 2, NULL, "Usage" },
	{ "ktramp nonsense", 2, NULL, "nonsense" },
	{ "ktramp targets", 0, "ktramp_target_lea", NULL },
	{ "ktramp targets more", 2, NULL, "more" },
	{ "ktramp mechanisms", 0, "kprobe-opt-pending", NULL },
	{ "ktramp mech", 0, "kprobe-opt-pending", NULL },
	{ "ktramp info", 0, "instructions", NULL },
	{ "ktramp probes", 0, "", NULL },
	{ "ktramp probes --no-such", 2, NULL, "no-such" },
	{ "ktramp show lea jump", 0, "e9", NULL },
	{ "ktramp show lea int3-boost", 0, "cc", NULL },
	{ "ktramp show lea bpf-jump --handler bpf", 0, "10 calls: 10 hits", NULL },
	{ "ktramp show lea bpf-kprobe-int3 --handler bpf", 0, "10 #BP", NULL },
	{ "ktramp show lea bpf-kprobe-opt --handler bpf", 0, "e9", NULL },
	{ "ktramp show lea", 2, NULL, "" },
	{ "ktramp show lea no-such-mechanism", 2, NULL, "no-such-mechanism" },
	{ "ktramp show tracepoint jump", 1, NULL, "tracepoint" },
	{ "ktramp bench --hits 0", 2, NULL, "--hits" },
	{ "ktramp bench --hits 12x", 2, NULL, "12x" },
	{ "ktramp bench -m no-such", 2, NULL, "no-such" },
	{ "ktramp bench -m jump -t lea --hits 10 --repeat 1", 0, "jump", NULL },
	{ "ktramp bench -m int3-emulate -t rep --hits 10 --repeat 1", 0, "int3-emulate", NULL },
	{ "ktramp bench -m jump -o /no/such/dir/file", 1, "", "/no/such/dir/file" },
	{ "ktramp bench -m call --xray /tmp/x", 1, NULL, "plugin" },
	{ "ktramp record --output /tmp/x lea true", 1, NULL, "plugin" },
	{ "ktramp record --output /tmp/x no_such_symbol true", 1, NULL, "no_such_symbol" },
	{ "ktramp record lea true", 2, NULL, "--output" },
	{ "ktramp record --output /tmp/x lea", 2, NULL, "COMMAND" },
	{ "ktramp xray", 2, NULL, "FILE" },
	{ "ktramp xray /no/such/file", 1, NULL, "/no/such/file" },
	{ "ktramp targets >/dev/full", 1, NULL, "No space left" },
	{ "ktramp --help >/dev/full", 1, NULL, "No space left" },
	{ "ktramp bench -m jump --hits 10 --repeat 1 --json >/dev/full", 1, NULL, "No space left" },
};

TEST_F_TIMEOUT(command, exits_with_what_its_help_says_and_complains_on_stderr, 300)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(lines); i++) {
		kt_shell(lines[i].line, &self->o);
		EXPECT_EQ(lines[i].status, self->o.status) TH_LOG("%s", lines[i].line);
		if (lines[i].out) {
			EXPECT_NE(NULL, strstr(self->o.out, lines[i].out))
				TH_LOG("%s: %s", lines[i].line, self->o.out);
		} else {
			EXPECT_STREQ("", self->o.out) TH_LOG("%s", lines[i].line);
		}
		if (lines[i].err) {
			EXPECT_NE(NULL, strstr(self->o.err, lines[i].err))
				TH_LOG("%s: %s", lines[i].line, self->o.err);
			EXPECT_NE('\0', self->o.err[0]) TH_LOG("%s", lines[i].line);
		} else {
			EXPECT_STREQ("", self->o.err) TH_LOG("%s", lines[i].line);
		}
	}
}

TEST_F(command, shows_fentry_or_says_what_the_kernel_lacks)
{
	kt_shell("ktramp show lea bpf-fentry --handler bpf", &self->o);
	if (kt_has_btf()) {
		EXPECT_EQ(0, self->o.status) TH_LOG("%s", self->o.err);
		EXPECT_NE(NULL, strstr(self->o.out, "10 calls: 10 hits"));
	} else {
		EXPECT_EQ(1, self->o.status);
		EXPECT_NE(NULL, strstr(self->o.err, "CONFIG_DEBUG_INFO_BTF"));
	}
}

TEST_F(command, names_what_it_does_not_know)
{
	kt_shell("ktramp show no_such_target jump", &self->o);
	EXPECT_NE(0, self->o.status);
	EXPECT_NE(NULL, strstr(self->o.err, "no_such_target"));
	kt_shell("ktramp show no_such_target jump --json", &self->o);
	EXPECT_NE(0, self->o.status);
	EXPECT_STREQ("", self->o.out);
	EXPECT_NE(NULL, strstr(self->o.err, "\"error\":"));
}

/* A row that is held on the breakpoint has nothing to be held on. */
TEST_F_TIMEOUT(command, says_who_emulates_an_instruction, 120)
{
	static const char why[] = "unsupported: the kernel emulates this instruction";
	const char *row;

	kt_shell("ktramp bench -t jmp -m kprobe-step -m bpf-kprobe-step --hits 10 --repeat 1",
		 &self->o);
	EXPECT_EQ(0, self->o.status) TH_LOG("%s", self->o.err);
	row = strstr(self->o.out, why);
	ASSERT_NE(NULL, row) TH_LOG("%s", self->o.out);
	EXPECT_NE(NULL, strstr(row + 1, why)) TH_LOG("%s", self->o.out);
}

/* Every line of @text is one JSON object with a type. Return: how many there are. */
static int json_lines(char *text)
{
	char *line, *state;
	int nr = 0;

	for (line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
		json_t *root = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		bool good = json_is_string(json_object_get(root, "type"));

		json_decref(root);
		if (!good)
			return -1;
		nr++;
	}
	return nr;
}

TEST_F_TIMEOUT(command, prints_json_lines, 120)
{
	struct ktramp_info info;
	int fd = kt_open();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, kt_info(fd, &info));
	kt_shell("ktramp targets --json", &self->o);
	EXPECT_EQ(info.nr_targets, json_lines(self->o.out));
	kt_shell("ktramp mechanisms --json", &self->o);
	EXPECT_EQ(KTRAMP_INT3_DIVERT, json_lines(self->o.out));
	kt_shell("ktramp info --json", &self->o);
	EXPECT_EQ(1, json_lines(self->o.out));
	kt_shell("ktramp show lea jump --json", &self->o);
	EXPECT_EQ(0, self->o.status);
	EXPECT_LT(0, json_lines(self->o.out));
	kt_shell("ktramp bench -m jump -m int3-boost --hits 10 --repeat 1 --json", &self->o);
	EXPECT_EQ(3, json_lines(self->o.out));
	/* A probe that is there has its line, and only while it is. */
	kt_shell("ktramp probes --json", &self->o);
	EXPECT_EQ(0, json_lines(self->o.out));
	ASSERT_LT(0, kt_create(fd, "lea", KTRAMP_JUMP));
	kt_shell("ktramp probes --json", &self->o);
	EXPECT_EQ(1, json_lines(self->o.out));
	close(fd);
}

TEST_F(command, shows_the_jump_between_the_bytes_before_and_after)
{
	struct ktramp_target_info target;
	char before[32];
	int fd = kt_open();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, kt_target(fd, kt_target_index(fd, "lea"), &target));
	close(fd);
	snprintf(before, sizeof(before), "%02x %02x %02x %02x", target.bytes[0],
		 target.bytes[1], target.bytes[2], target.bytes[3]);
	kt_shell("ktramp show lea jump", &self->o);
	EXPECT_EQ(0, self->o.status);
	EXPECT_NE(NULL, strstr(self->o.out, before));
	EXPECT_NE(NULL, strstr(self->o.out, "e9 "));
	EXPECT_NE(NULL, strstr(self->o.out, "jmp"));
}

/* ---- what it must put back ---- */

FIXTURE(optimization) {
	char was[8];
};

/* @sig: that ends the bench, or 0 to let it end */
FIXTURE_VARIANT(optimization) {
	int sig;
	const char *value;
};

FIXTURE_VARIANT_ADD(optimization, end_0) { .sig = 0, .value = "0" };
FIXTURE_VARIANT_ADD(optimization, end_1) { .sig = 0, .value = "1" };
FIXTURE_VARIANT_ADD(optimization, sigint_0) { .sig = SIGINT, .value = "0" };
FIXTURE_VARIANT_ADD(optimization, sigint_1) { .sig = SIGINT, .value = "1" };
FIXTURE_VARIANT_ADD(optimization, sigterm_0) { .sig = SIGTERM, .value = "0" };
FIXTURE_VARIANT_ADD(optimization, sigterm_1) { .sig = SIGTERM, .value = "1" };

FIXTURE_SETUP(optimization)
{
	ASSERT_LT(0, kt_read_file(KPROBE_OPT, self->was, sizeof(self->was)));
	ASSERT_EQ(0, kt_write_file(KPROBE_OPT, variant->value));
}

FIXTURE_TEARDOWN(optimization)
{
	kt_write_file(KPROBE_OPT, self->was);
}

TEST_F_TIMEOUT(optimization, is_what_it_was_after_a_bench, 120)
{
	/* Rows that want the other value, so that the bench must change it. */
	const char *row = variant->value[0] == '0' ? "kprobe-opt" : "kprobe-step";
	char now[8];
	int status;
	pid_t child;

	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, 1);
		dup2(null, 2);
		execl("/bin/ktramp", "ktramp", "bench", "-m", row, "--hits", "2000",
		      "--repeat", variant->sig ? "100000" : "5", NULL);
		_exit(127);
	}
	if (variant->sig) {
		for (int i = 0; i < 1000; i++) {
			ASSERT_LT(0, kt_read_file(KPROBE_OPT, now, sizeof(now)));
			if (now[0] != variant->value[0])
				break;
			usleep(10000);
		}
		/* It has changed the value, and is measuring. */
		ASSERT_NE(variant->value[0], now[0]);
		usleep(50000);
		ASSERT_EQ(0, kill(child, variant->sig));
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(variant->sig ? 1 : 0, WEXITSTATUS(status));
	ASSERT_LT(0, kt_read_file(KPROBE_OPT, now, sizeof(now)));
	EXPECT_EQ(variant->value[0], now[0]);
}

/* ---- debugfs ---- */

TEST(debugfs_lists_the_targets_of_the_ioctl)
{
	static char text[65536];
	struct ktramp_target_info target;
	char line[512], *at = text;
	int fd = kt_open();

	ASSERT_LE(0, fd);
	ASSERT_LT(0, kt_read_file(DEBUGFS "targets", text, sizeof(text)));
	for (unsigned int i = 0; !kt_target(fd, i, &target); i++) {
		snprintf(line, sizeof(line), "\n%s\t%s\t%s\t", target.name, target.site,
			 target.insn);
		at = strstr(at, line);
		ASSERT_NE(NULL, at) TH_LOG("no line for %s", target.name);
	}
	close(fd);
}

TEST(debugfs_shows_a_probe_as_the_ioctl_does)
{
	struct ktramp_probe_info probe;
	struct ktramp_run run_lea;
	char text[4096], line[512];
	int fd = kt_open(), id;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, kt_read_file(DEBUGFS "probes", text, sizeof(text)));
	id = kt_create(fd, "lea", KTRAMP_INT3_BOOST);
	ASSERT_LT(0, id);
	ASSERT_EQ(0, kt_arm(fd, id));
	ASSERT_EQ(0, kt_run(fd, kt_target_index(fd, "lea"), id, 5, 0, &run_lea));
	ASSERT_EQ(0, kt_probe(fd, id, &probe));
	ASSERT_LT(0, kt_read_file(DEBUGFS "probes", text, sizeof(text)));
	snprintf(line, sizeof(line),
		 "int3-boost %s handler=count\t# %d armed hits=5 missed=0 recursed=0 filtered=0 tactic=none before=%02x %02x %02x %02x now=cc %02x %02x %02x\n",
		 probe.site, id, probe.before[0], probe.before[1], probe.before[2],
		 probe.before[3], probe.before[1], probe.before[2], probe.before[3]);
	EXPECT_STREQ(line, text);
	close(fd);
	ASSERT_EQ(0, kt_read_file(DEBUGFS "probes", text, sizeof(text)));
}

TEST_HARNESS_MAIN
