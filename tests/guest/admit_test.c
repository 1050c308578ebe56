// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which functions may be probed: what ktramp says, and what the kernel's kprobes say.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kt.h"

#define BLACKLIST	"/sys/kernel/debug/kprobes/blacklist"
#define SAMPLE		400

struct sites {
	unsigned int nr;
	__u64 address[1024];
};

/* One for each: what could be accepted is gone again. */
static int ask(int fd, __u64 address, unsigned int *reason)
{
	struct ktramp_create create;
	char site[KTRAMP_SITE_MAX];
	int err;

	snprintf(site, sizeof(site), "0x%llx", address);
	err = kt_create_as(fd, site, KTRAMP_INT3_STEP_INT3, KTRAMP_COUNT, 0, &create);
	*reason = err ? create.reason : KTRAMP_R_NONE;
	if (!err)
		kt_destroy(fd, create.id);
	return err;
}

/* How many of them the kernel's own kprobes accept. */
static int kernel_accepts(int fd, const struct sites *sites)
{
	struct ktramp_kprobes kprobes = {
		.size		= sizeof(kprobes),
		.addresses	= (__u64)(uintptr_t)sites->address,
		.nr		= sites->nr,
	};
	int err = sites->nr ? kt_ioctl(fd, KTRAMP_IOC_KPROBES, &kprobes) : 0;

	return err ? err : (int)kprobes.registered;
}

/* Functions of the kernel itself, one in @step, that are large enough to have a second insn. */
static unsigned int choose(struct sites *sites, unsigned int step)
{
	FILE *file = fopen("/proc/kallsyms", "r");
	unsigned long long address, last = 0, end = ~0ULL;
	unsigned int seen = 0;
	char type, name[512], line[1024];
	bool inside = false;

	sites->nr = 0;
	while (file && sites->nr < SAMPLE && fgets(line, sizeof(line), file)) {
		if (strchr(line, '[') || sscanf(line, "%llx %c %511s", &address, &type, name) != 3)
			continue;
		if (!strcmp(name, "_stext"))
			inside = true;
		if (!strcmp(name, "_etext"))
			end = address;
		if (!inside || address >= end || (type != 't' && type != 'T'))
			continue;
		if (last && address >= last + 32 && seen++ % step == 0)
			sites->address[sites->nr++] = last;
		last = strncmp(name, "__pfx_", 6) ? address : 0;
	}
	if (file)
		fclose(file);
	return sites->nr;
}

FIXTURE(admission) {
	int fd;
};

FIXTURE_SETUP(admission)
{
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(admission)
{
	close(self->fd);
}

TEST_F_TIMEOUT(admission, refuses_all_of_the_kernels_list, 120)
{
	FILE *file = fopen(BLACKLIST, "r");
	unsigned long long start, end;
	unsigned int reason, nr = 0;
	char line[1024];

	ASSERT_NE(NULL, file);
	while (fgets(line, sizeof(line), file)) {
		int fields = sscanf(line, "0x%llx-0x%llx", &start, &end);

		ASSERT_EQ(2, fields);
		/* Areas are listed again, symbol by symbol. */
		EXPECT_NE(0, ask(self->fd, start, &reason)) {
			TH_LOG("accepted: %s", line);
		}
		EXPECT_TRUE(reason == KTRAMP_R_BLACKLIST || reason == KTRAMP_R_RECURSION ||
			    reason == KTRAMP_R_NOT_TEXT || reason == KTRAMP_R_UNSERVED) {
			TH_LOG("reason %u: %s", reason, line);
		}
		nr++;
	}
	fclose(file);
	EXPECT_LT(200U, nr);
}

static bool kernel_rewrites(const char *name)
{
	return !strncmp(name, "__SCT__", 7) || !strcmp(name, "ftrace_call") ||
	       !strcmp(name, "ftrace_regs_call");
}

/*
 * The kernel would let a kprobe in. Then it stops with a BUG when it changes the static call, and
 * writes over the kprobe when the function tracer comes or goes.
 */
TEST_F_TIMEOUT(admission, refuses_what_the_kernel_rewrites_and_has_in_no_table, 120)
{
	bool ftraces = false;
	FILE *file = fopen("/proc/kallsyms", "r");
	unsigned int reason, nr = 0;
	unsigned long long address;
	char name[512], line[1024];

	ASSERT_NE(NULL, file);
	while (nr < SAMPLE && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%llx %*c %511s", &address, name) != 2 || !kernel_rewrites(name))
			continue;
		ftraces |= name[0] == 'f';
		/* Those of ftrace's stand in code that is copied, too, which is looked at first. */
		EXPECT_EQ(name[0] == 'f' ? -EACCES : -EBUSY, ask(self->fd, address, &reason)) {
			TH_LOG("%s", name);
		}
		EXPECT_EQ(name[0] == 'f' ? KTRAMP_R_UNSERVED : KTRAMP_R_PATCHED, reason);
		nr++;
	}
	fclose(file);
	EXPECT_LT(1U, nr);
	EXPECT_TRUE(ftraces);
}

/* Behind the entry, where register_kprobe() is not asked; it is asked here. */
TEST_F_TIMEOUT(admission, says_what_register_kprobe_says, 240)
{
	static struct sites sample, accepted, refused;
	unsigned int reason;

	ASSERT_LT(SAMPLE / 2, choose(&sample, 97));
	accepted.nr = 0;
	refused.nr = 0;
	for (unsigned int i = 0; i < sample.nr; i++) {
		/* Behind ftrace's call, with and without an endbr64 in front of it. */
		__u64 address = sample.address[i] + 9;
		int err = ask(self->fd, address, &reason);

		if (err == -EILSEQ) {
			address = sample.address[i] + 5;
			err = ask(self->fd, address, &reason);
		}
		if (!err)
			accepted.address[accepted.nr++] = address;
		else if (reason == KTRAMP_R_BLACKLIST)
			refused.address[refused.nr++] = address;
	}
	EXPECT_LT(SAMPLE / 4, accepted.nr);
	EXPECT_EQ((int)accepted.nr, kernel_accepts(self->fd, &accepted));
	EXPECT_EQ(0, kernel_accepts(self->fd, &refused));
}

/*
 * On a kernel that hides its patchers' locks and tables, jumps are refused. The rest is asked of
 * the kernel function by function, which is slow, and says the same.
 */
TEST_F_TIMEOUT(admission, does_without_what_the_kernel_hides, 120)
{
	struct ktramp_create create;
	int err;

	close(self->fd);
	ASSERT_EQ(0, kt_unload_module());
	ASSERT_EQ(0, kt_load_module_with("locks=N"));
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	err = kt_create_as(self->fd, "preempt_schedule", KTRAMP_INT3_BOOST, KTRAMP_COUNT, 0,
			   &create);
	EXPECT_EQ(-EACCES, err);
	EXPECT_EQ(KTRAMP_R_BLACKLIST, create.reason) {
		TH_LOG("%s", create.why);
	}
	err = kt_create_as(self->fd, "lea", KTRAMP_JUMP, KTRAMP_COUNT, 0, &create);
	EXPECT_EQ(-EOPNOTSUPP, err);
	EXPECT_EQ(KTRAMP_R_HIDDEN, create.reason) {
		TH_LOG("%s", create.why);
	}
	/* ftrace keeps its own locks. */
	EXPECT_LT(0, kt_create(self->fd, "vfs_read", KTRAMP_JUMP));
	err = kt_create(self->fd, "lea", KTRAMP_INT3_BOOST);
	ASSERT_LT(0, err);
	EXPECT_EQ(0, kt_arm(self->fd, err));
	EXPECT_EQ(0, kt_disarm(self->fd, err));
	close(self->fd);
	ASSERT_EQ(0, kt_unload_module());
	ASSERT_EQ(0, kt_load_module());
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	EXPECT_LT(0, kt_create(self->fd, "lea", KTRAMP_JUMP));
}

TEST_HARNESS_MAIN
