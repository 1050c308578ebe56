// SPDX-License-Identifier: GPL-2.0-only
/*
 * Breakpoints that enter directly: exc_int3() calls ktramp first, while there are any, and what
 * is not ktramp's goes on to where it always went.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kt.h"
#include "kselftest_harness.h"

/* Bytes of a function, at the most: as far as the module looks (CALLER_MAX). */
#define WATCHED	1024

/* What can lead to ktramp: notify_debug() is compiled into its caller, or not. */
static const char *const functions[] = {
	"exc_int3", "poke_int3_handler", "smp_text_poke_int3_handler", "exc_debug_kernel",
	"exc_debug", "notify_debug", "notify_die",
};

struct text {
	unsigned char bytes[ARRAY_SIZE(functions)][WATCHED];
};

/* Where they are; 0 for what this kernel has not. And up to what comes behind them. */
static __u64 addresses[ARRAY_SIZE(functions)];
static size_t sizes[ARRAY_SIZE(functions)];

/* kallsyms has them by their addresses. */
static void find_functions(void)
{
	char line[256], name[128], type;
	FILE *f = fopen("/proc/kallsyms", "re");
	unsigned long long address;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx %c %127s", &address, &type, name) != 3)
			continue;
		for (unsigned int i = 0; i < ARRAY_SIZE(functions); i++) {
			if (addresses[i] && !sizes[i] && address > addresses[i])
				sizes[i] = address < addresses[i] + WATCHED ?
					   address - addresses[i] : WATCHED;
			if (!strcmp(name, functions[i]))
				addresses[i] = address;
		}
	}
	if (f)
		fclose(f);
}

/* By a module of the tests: not every kernel has /proc/kcore. */
static int read_text(struct text *text)
{
	int fd = open(KT_WINDOW, O_RDONLY | O_CLOEXEC), err = fd < 0 ? -errno : 0;

	memset(text, 0, sizeof(*text));
	for (unsigned int i = 0; i < ARRAY_SIZE(functions) && !err; i++)
		if (addresses[i] && pread(fd, text->bytes[i], WATCHED,
					  addresses[i] - KT_TEXT_BASE) != WATCHED)
			err = -EIO;
	if (fd >= 0)
		close(fd);
	return err;
}

static unsigned int changed(const struct text *a, const struct text *b)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(functions); i++)
		nr += memcmp(a->bytes[i], b->bytes[i], sizes[i]) != 0;
	return nr;
}

FIXTURE(direct) {
	int fd;
	struct ktramp_info info;
	struct text before;
};

FIXTURE_SETUP(direct)
{
	ASSERT_EQ(0, kt_pin(0));
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, kt_info(self->fd, &self->info));
	if (self->info.entry != KTRAMP_ENTRY_DIRECT)
		SKIP(return, "%s", self->info.entry_why);
	ASSERT_EQ(0, kt_open_window());
	find_functions();
	ASSERT_NE(0, addresses[0]);
	ASSERT_EQ(0, read_text(&self->before));
}

FIXTURE_TEARDOWN(direct)
{
	close(self->fd);
}

TEST_F(direct, changes_exc_int3_while_there_is_a_breakpoint)
{
	static const unsigned int mechanisms[] = {
		KTRAMP_INT3_EMULATE, KTRAMP_INT3_STEP_TF, KTRAMP_INT3_STEP_INT3, KTRAMP_INT3_BOOST,
		KTRAMP_INT3_DIVERT,
	};
	static struct text now;

	for (unsigned int i = 0; i < ARRAY_SIZE(mechanisms); i++) {
		struct ktramp_probe_info probe;
		int id = kt_create(self->fd, "lea", mechanisms[i]);

		ASSERT_LT(0, id);
		ASSERT_EQ(0, read_text(&now));
		EXPECT_EQ(0, changed(&self->before, &now));
		ASSERT_EQ(0, kt_arm(self->fd, id));
		ASSERT_EQ(0, read_text(&now));
		/* exc_int3() or what it calls, and where the kernel lets us the same for #DB */
		EXPECT_EQ(self->info.debug_entry == KTRAMP_ENTRY_DIRECT ? 2 : 1,
			  changed(&self->before, &now)) {
			TH_LOG("mechanism %u", mechanisms[i]);
		}
		ASSERT_EQ(0, kt_probe(self->fd, id, &probe));
		EXPECT_EQ(KTRAMP_ENTRY_DIRECT, probe.entry);
		EXPECT_STREQ("", probe.entry_why);
		ASSERT_EQ(0, kt_destroy(self->fd, id));
		ASSERT_EQ(0, read_text(&now));
		EXPECT_EQ(0, changed(&self->before, &now)) {
			TH_LOG("mechanism %u", mechanisms[i]);
		}
	}
}

/* Only the breakpoints of its arming, and those in its displacement, enter there. */
TEST_F(direct, leaves_exc_int3_alone_while_a_jump_stands)
{
	static struct text now;
	int plain = kt_create(self->fd, "lea", KTRAMP_JUMP);
	int pinned = kt_create(self->fd, "targeted", KTRAMP_JUMP);
	struct ktramp_probe_info probe;

	ASSERT_LT(0, plain);
	ASSERT_LT(0, pinned);
	ASSERT_EQ(0, kt_arm(self->fd, plain));
	ASSERT_EQ(0, read_text(&now));
	EXPECT_EQ(0, changed(&self->before, &now));
	ASSERT_EQ(0, kt_probe(self->fd, plain, &probe));
	EXPECT_EQ(KTRAMP_ENTRY_NONE, probe.entry);
	ASSERT_EQ(0, kt_arm(self->fd, pinned));
	ASSERT_EQ(0, read_text(&now));
	EXPECT_NE(0, changed(&self->before, &now));
	ASSERT_EQ(0, kt_probe(self->fd, pinned, &probe));
	EXPECT_EQ(KTRAMP_ENTRY_DIRECT, probe.entry);
	ASSERT_EQ(0, kt_destroy(self->fd, pinned));
	ASSERT_EQ(0, kt_destroy(self->fd, plain));
	ASSERT_EQ(0, read_text(&now));
	EXPECT_EQ(0, changed(&self->before, &now));
}

/* A program needs what comes before the notifier. It says so, and changes nothing. */
TEST_F(direct, is_not_for_programs_in_the_exception)
{
	struct ktramp_create create;
	struct ktramp_probe_info probe;

	int err = kt_create_as(self->fd, "lea", KTRAMP_INT3_BOOST, KTRAMP_BPF, 0, &create);

	if (err == -EOPNOTSUPP)
		SKIP(return, "%s", create.why);
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, kt_probe(self->fd, create.id, &probe));
	EXPECT_EQ(KTRAMP_ENTRY_NOTIFIER, probe.entry);
	EXPECT_NE(NULL, strstr(probe.entry_why, "BPF"));
	EXPECT_EQ(0, kt_destroy(self->fd, create.id));
	ASSERT_EQ(0, kt_create_as(self->fd, "lea", KTRAMP_INT3_DIVERT, KTRAMP_BPF, 0, &create));
	ASSERT_EQ(0, kt_probe(self->fd, create.id, &probe));
	EXPECT_EQ(KTRAMP_ENTRY_DIRECT, probe.entry);
	EXPECT_EQ(0, kt_destroy(self->fd, create.id));
}

static volatile sig_atomic_t trapped;

static void on_trap(int sig)
{
	trapped++;
}

TEST_F(direct, leaves_user_space_its_own_breakpoints)
{
	int id = kt_create(self->fd, "lea", KTRAMP_INT3_BOOST), status;

	ASSERT_LT(0, id);
	ASSERT_EQ(0, kt_arm(self->fd, id));
	signal(SIGTRAP, on_trap);
	for (unsigned int i = 0; i < 100; i++)
		asm volatile("int3");
	EXPECT_EQ(100, trapped);
	signal(SIGTRAP, SIG_DFL);
	/* One that nobody waits for ends the process, as it always did. */
	if (!fork()) {
		asm volatile("int3");
		_exit(0);
	}
	ASSERT_LT(0, wait(&status));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGTRAP, WTERMSIG(status));
	EXPECT_EQ(0, kt_destroy(self->fd, id));
}

/* Those of the kernel: kprobes, and of its own patching (text_poke). */
TEST_F_TIMEOUT(direct, goes_on_to_what_the_kernel_has_for_others, 120)
{
	int id = kt_create(self->fd, "lea", KTRAMP_INT3_BOOST);
	int kprobe = kt_create(self->fd, "nop", KTRAMP_KPROBE_STEP);
	int lea = kt_target_index(self->fd, "lea"), nop = kt_target_index(self->fd, "nop");
	static struct kt_output o;
	struct ktramp_load load;
	struct ktramp_run run;

	ASSERT_LT(0, id);
	ASSERT_LT(0, kprobe);
	ASSERT_EQ(0, kt_arm(self->fd, id));
	ASSERT_EQ(0, kt_arm(self->fd, kprobe));
	ASSERT_EQ(0, kt_run(self->fd, nop, kprobe, 1000, 0, &run));
	EXPECT_EQ(1000, run.hits);
	EXPECT_EQ(0, run.wrong);
	ASSERT_EQ(0, kt_run(self->fd, lea, id, 1000, 0, &run));
	EXPECT_EQ(1000, run.hits);
	EXPECT_EQ(0, run.wrong);
	/* ftrace rewrites every function by breakpoints, these targets' among them. */
	ASSERT_EQ(0, kt_load(self->fd, KTRAMP_LOAD_START, &load));
	for (unsigned int i = 0; i < 3; i++) {
		kt_shell("cd /sys/kernel/tracing && echo ktramp_target_* >set_ftrace_filter && "
			 "echo function >current_tracer && echo nop >current_tracer && "
			 "echo >set_ftrace_filter", &o);
		EXPECT_EQ(0, o.status) TH_LOG("%s", o.err);
	}
	ASSERT_EQ(0, kt_load(self->fd, KTRAMP_LOAD_STOP, &load));
	EXPECT_EQ(0, load.wrong);
	EXPECT_LT(0, load.calls);
	EXPECT_EQ(0, kt_destroy(self->fd, kprobe));
	EXPECT_EQ(0, kt_destroy(self->fd, id));
}

/* An exception of ours is one, however it enters. */
TEST_F(direct, counts_its_exceptions)
{
	static const struct {
		unsigned int mechanism, bp, db;
	} rows[] = {
		{ KTRAMP_INT3_EMULATE, 1, 0 }, { KTRAMP_INT3_STEP_TF, 1, 1 },
		{ KTRAMP_INT3_STEP_INT3, 2, 0 }, { KTRAMP_INT3_BOOST, 1, 0 },
		{ KTRAMP_INT3_DIVERT, 1, 0 },
	};
	int lea = kt_target_index(self->fd, "lea");
	struct ktramp_run run;

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		int id = kt_create(self->fd, "lea", rows[i].mechanism);

		ASSERT_LT(0, id);
		ASSERT_EQ(0, kt_arm(self->fd, id));
		ASSERT_EQ(0, kt_run(self->fd, lea, id, 100, KTRAMP_RUN_TRAPS, &run));
		EXPECT_EQ(100 * rows[i].bp, run.bp) TH_LOG("mechanism %u", rows[i].mechanism);
		EXPECT_EQ(100 * rows[i].db, run.db) TH_LOG("mechanism %u", rows[i].mechanism);
		EXPECT_EQ(100, run.hits);
		EXPECT_EQ(0, kt_destroy(self->fd, id));
	}
}

TEST_HARNESS_MAIN
