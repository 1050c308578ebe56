// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every allocation of every request fails once (/proc/self/fail-nth, Documentation/
 * fault-injection in the kernel's tree). For the n-th allocation, n from 1 up to the first
 * that the request does not make any more:
 *
 *	the request succeeds in spite of it, or says -ENOMEM, or that the kernel would not go
 *	into the state that was asked for: it optimizes no kprobe that it cannot allocate for;
 *	probes and slots are as many as they were, the text is byte for byte what it was;
 *	the same request, asked again, succeeds.
 *
 * Behind all of them, kmemleak finds nothing. The kernel must inject faults (6.12-debug does).
 * FAULT_EVERY=k in the environment takes every k-th allocation only.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kt.h"

#define FAIL_NTH	"/proc/thread-self/fail-nth"
#define KMEMLEAK	"/sys/kernel/debug/kmemleak"
#define CONSOLE_LEVEL	"/proc/sys/kernel/printk"
#define PROBES		"/sys/kernel/debug/ktramp/probes"

/* A request that allocates more often is a runaway. */
#define NTH_MAX		1000
#define FRESH_MAX	100000

/* Each of a thousand is a module loaded anew, and so on: all of them take minutes. */
static unsigned int fault_step(void)
{
	const char *every = getenv("FAULT_EVERY");
	int step = every ? atoi(every) : 1;

	return step > 0 ? step : 1;
}

/* kmemleak does not report what is younger than 5 s. */
#define YOUNG		6

struct subject {
	int fd, id, cover;
	__u32 entries[2];
	__u64 function;		/* where the target begins */
	unsigned int mechanism, handler;
	const char *site;
};

/**
 * struct request - something that allocates
 * @run: with faults
 * @undo: without, after it succeeded; leaves the subject as it was
 */
struct request {
	int (*run)(struct subject *s);
	int (*undo)(struct subject *s);
};

/* ---- requests ---- */

static int create(struct subject *s)
{
	struct ktramp_create create;
	int err = kt_create_as(s->fd, s->site, s->mechanism, s->handler, 0, &create);

	s->id = err ? 0 : (int)create.id;
	return err;
}

static int destroy(struct subject *s)
{
	return kt_destroy(s->fd, s->id);
}

static int arm(struct subject *s)
{
	return kt_arm(s->fd, s->id);
}

static int disarm(struct subject *s)
{
	return kt_disarm(s->fd, s->id);
}

static int create_and_arm(struct subject *s)
{
	int err = create(s);

	if (!err)
		err = arm(s);
	/* A fault in arming leaves a probe behind, as it should. */
	if (err && s->id)
		kt_destroy(s->fd, s->id);
	return err;
}

static int destroy_entries(struct subject *s)
{
	struct ktramp_batch batch;

	return kt_batch(s->fd, KTRAMP_IOC_DESTROY, s->entries, ARRAY_SIZE(s->entries), &batch);
}

/* Those of one batch go through ftrace together, or one after the other if that fails. */
static int create_and_arm_entries(struct subject *s)
{
	static const char *const sites[] = { "ktramp_target_lea", "ktramp_target_adc" };
	struct ktramp_probe_info probe;
	struct ktramp_batch batch = { };
	int err = 0;

	memset(s->entries, 0, sizeof(s->entries));
	for (unsigned int i = 0; !err && i < ARRAY_SIZE(sites); i++) {
		int id = kt_create(s->fd, sites[i], KTRAMP_JUMP);

		s->entries[i] = id < 0 ? 0 : id;
		err = id < 0 ? id : 0;
	}
	if (!err)
		err = kt_batch(s->fd, KTRAMP_IOC_ARM, s->entries, ARRAY_SIZE(sites), &batch);
	/* Of several, one allocation that fails may not fail what ftrace makes after it. */
	if (err && batch.reason == KTRAMP_R_UNREGISTERED)
		err = -EIO;
	/* What did not fail is armed. */
	for (unsigned int i = 0; !err && i < ARRAY_SIZE(sites); i++)
		err = kt_probe(s->fd, s->entries[i], &probe) ?:
		      probe.state == KTRAMP_ARMED ? 0 : -EIO;
	if (err)
		destroy_entries(s);
	return err;
}

static int open_and_close(struct subject *s)
{
	int fd = kt_open();

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int read_list(struct subject *s)
{
	static char buf[65536];
	int n = kt_read_file(PROBES, buf, sizeof(buf));

	/* kt_read_file() does not keep the errno of a read. */
	return n == -EIO ? -ENOMEM : n < 0 ? n : 0;
}

static int write_line(struct subject *s)
{
	char line[256];

	snprintf(line, sizeof(line), "jump %s\n", s->site);
	return kt_write_file(PROBES, line);
}

static int write_removal(struct subject *s)
{
	char line[256];

	snprintf(line, sizeof(line), "-%s\n", s->site);
	return kt_write_file(PROBES, line);
}

static int start_load(struct subject *s)
{
	struct ktramp_load load;

	return kt_load(s->fd, KTRAMP_LOAD_START, &load);
}

static int stop_load(struct subject *s)
{
	struct ktramp_load load;

	return kt_load(s->fd, KTRAMP_LOAD_STOP, &load);
}

static int list_probes(struct subject *s)
{
	struct ktramp_probe_info info = {
		.size = sizeof(info), .flags = KTRAMP_PROBE_NEXT, .id = 1,
	};
	int err = kt_ioctl(s->fd, KTRAMP_IOC_PROBE, &info);

	return err == -ENOENT ? 0 : err;
}

static int run_target(struct subject *s)
{
	struct ktramp_run run;

	return kt_run(s->fd, 0, 0, 10, KTRAMP_RUN_TRAPS, &run);
}

/* By an open file of its own: what it has found does not outlive a failure. */
static int cover(struct subject *s)
{
	struct ktramp_cover_func func = { .address = s->function };
	struct ktramp_cover_block blocks[64];
	struct ktramp_cover_add add = {
		.size = sizeof(add), .functions = (uintptr_t)&func, .nr = 1,
		.blocks = (uintptr_t)blocks, .max = ARRAY_SIZE(blocks),
	};
	struct ktramp_cover start = { .size = sizeof(start) };
	int err;

	s->cover = kt_open();
	if (s->cover < 0)
		return s->cover;
	err = kt_ioctl(s->cover, KTRAMP_IOC_COVER_ADD, &add);
	if (!err)
		err = kt_ioctl(s->cover, KTRAMP_IOC_COVER_START, &start);
	if (err)
		close(s->cover);
	return err;
}

static int uncover(struct subject *s)
{
	return close(s->cover);
}

static int nothing(struct subject *s)
{
	return 0;
}

static const struct request creating = { create, destroy };
static const struct request arming = { arm, disarm };
static const struct request disarming = { disarm, arm };
static const struct request whole = { create_and_arm, destroy };
static const struct request entries = { create_and_arm_entries, destroy_entries };
static const struct request opening = { open_and_close, nothing };
static const struct request listing = { list_probes, nothing };
static const struct request reading = { read_list, nothing };
static const struct request writing = { write_line, write_removal };
static const struct request loading = { start_load, stop_load };
static const struct request running = { run_target, nothing };
static const struct request covering = { cover, uncover };

/* ---- faults ---- */

static const char *const knobs[] = { "failslab", "fail_page_alloc" };

/* Sleeping allocations are meant, of any order, and no trace of each in the log. */
static int prepare_faults(void)
{
	static const char *const values[][2] = {
		{ "ignore-gfp-wait", "N" }, { "verbose", "0" },
	};
	char path[128];
	int err;

	for (unsigned int i = 0; i < ARRAY_SIZE(knobs); i++) {
		for (unsigned int j = 0; j < ARRAY_SIZE(values); j++) {
			snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", knobs[i],
				 values[j][0]);
			err = kt_write_file(path, values[j][1]);
			if (err)
				return err;
		}
	}
	err = kt_write_file("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	return err ?: kt_write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N");
}

/* One descriptor, opened in advance: opening allocates. */
static int fail_nth(int fd, unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	return pwrite(fd, text, len, 0) == len ? 0 : -errno;
}

/* Did the allocation fail that was to? What is left of the count is taken back. */
static int was_injected(int fd)
{
	char text[16] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
		return -errno;
	return fail_nth(fd, 0) ?: !strtoul(text, NULL, 10);
}

/* What every other test here stands on: a fault that is asked for does come. */
TEST(injection_reaches_a_request)
{
	struct subject s = {
		.mechanism = KTRAMP_INT3_EMULATE, .handler = KTRAMP_COUNT, .site = "lea",
	};
	int nth;

	if (access(FAIL_NTH, W_OK))
		SKIP(return, "this kernel injects no faults (CONFIG_FAULT_INJECTION_DEBUG_FS)");
	ASSERT_EQ(0, prepare_faults());
	nth = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, nth);
	s.fd = kt_open();
	ASSERT_LE(0, s.fd);
	ASSERT_EQ(0, fail_nth(nth, 1));
	EXPECT_EQ(-ENOMEM, create(&s));
	EXPECT_EQ(1, was_injected(nth));
	EXPECT_EQ(0, create(&s));
	close(s.fd);
	close(nth);
	/* What was lost before is not about ktramp. */
	kt_write_file(KMEMLEAK, "scan");
	kt_write_file(KMEMLEAK, "clear");
}

/*
 * The kernel prints a trace for each failed vmalloc(), which the host would take for a warning
 * of something that is wrong: it is kept off the console, and the log is read here.
 */
static const char *const splats[] = {
	"WARNING:", "BUG:", "Oops", "KASAN", "UBSAN", "possible circular", "possible recursive",
	"inconsistent lock", "bad unlock", "suspicious RCU", "held lock freed", "invalid context",
};

static int watch_log(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || lseek(fd, 0, SEEK_END) < 0 || kt_write_file(CONSOLE_LEVEL, "4"))
		return -errno;
	return fd;
}

/* The first line since then that tells of something else than a failed allocation, or "". */
static const char *find_splat(int fd)
{
	static char line[8192];
	ssize_t n;

	for (;;) {
		n = read(fd, line, sizeof(line) - 1);
		/* Lines that were overwritten are skipped by the next read. */
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return "";
		line[n] = '\0';
		for (unsigned int i = 0; i < ARRAY_SIZE(splats); i++)
			if (strstr(line, splats[i]))
				return line;
	}
}

FIXTURE(fault) {
	struct subject s;
	int nth, log;
	struct ktramp_target_info before;
	struct ktramp_code padding;	/* a springboard's, if there is a probe that has one */
	struct ktramp_info info;
};

/*
 * @request: what is asked for
 * @mechanism, @handler, @site: of the probe
 * @state: what it is before the request: KTRAMP_NEW, KTRAMP_ARMED, or 0, there is none
 */
FIXTURE_VARIANT(fault) {
	const struct request *request;
	unsigned int mechanism, handler, state;
	const char *site;
};

#define VARIANT(name, asked, mech, run, needs, at)				\
	FIXTURE_VARIANT_ADD(fault, name) {					\
		.request = &(asked), .mechanism = mech, .handler = run,		\
		.state = needs, .site = at,					\
	}

VARIANT(open, opening, 0, 0, 0, "lea");
VARIANT(list, listing, 0, 0, 0, "lea");
VARIANT(run_traps, running, 0, 0, 0, "lea");
VARIANT(debugfs_read, reading, KTRAMP_JUMP, KTRAMP_COUNT, KTRAMP_NEW, "lea");
VARIANT(debugfs_write, writing, 0, 0, 0, "lea");
VARIANT(load_threads, loading, 0, 0, 0, "lea");
VARIANT(cover, covering, 0, 0, 0, "lea");
VARIANT(create_emulate, creating, KTRAMP_INT3_EMULATE, KTRAMP_COUNT, 0, "lea");
VARIANT(create_step_tf, creating, KTRAMP_INT3_STEP_TF, KTRAMP_REGS, 0, "lea");
VARIANT(create_jump, creating, KTRAMP_JUMP, KTRAMP_COUNT, 0, "lea");
VARIANT(create_jump_regs, creating, KTRAMP_JUMP, KTRAMP_REGS, 0, "lea");
VARIANT(create_jump_pinned, creating, KTRAMP_JUMP, KTRAMP_COUNT, 0, "targeted");
VARIANT(create_springboard, creating, KTRAMP_JUMP, KTRAMP_COUNT, 0, "springboard");
VARIANT(create_jump_in_kernel, creating, KTRAMP_JUMP, KTRAMP_COUNT, 0, "vfs_read");
VARIANT(arm_step_int3, arming, KTRAMP_INT3_STEP_INT3, KTRAMP_COUNT, KTRAMP_NEW, "lea");
VARIANT(arm_jump, arming, KTRAMP_JUMP, KTRAMP_COUNT, KTRAMP_NEW, "lea");
VARIANT(arm_jump_pinned, arming, KTRAMP_JUMP, KTRAMP_COUNT, KTRAMP_NEW, "targeted");
VARIANT(arm_springboard, arming, KTRAMP_JUMP, KTRAMP_COUNT, KTRAMP_NEW, "springboard");
VARIANT(entries, entries, KTRAMP_JUMP, KTRAMP_COUNT, 0, "lea");
VARIANT(arm_entry, arming, KTRAMP_JUMP, KTRAMP_COUNT, KTRAMP_NEW, "ktramp_target_lea");
VARIANT(disarm_step_int3, disarming, KTRAMP_INT3_STEP_INT3, KTRAMP_COUNT, KTRAMP_ARMED, "lea");
VARIANT(disarm_jump, disarming, KTRAMP_JUMP, KTRAMP_COUNT, KTRAMP_ARMED, "lea");
VARIANT(disarm_jump_pinned, disarming, KTRAMP_JUMP, KTRAMP_COUNT, KTRAMP_ARMED, "targeted");
VARIANT(disarm_springboard, disarming, KTRAMP_JUMP, KTRAMP_COUNT, KTRAMP_ARMED,
	"springboard");
VARIANT(disarm_entry, disarming, KTRAMP_JUMP, KTRAMP_COUNT, KTRAMP_ARMED, "ktramp_target_lea");
VARIANT(kprobe_step, whole, KTRAMP_KPROBE_STEP, KTRAMP_COUNT, 0, "lea");
VARIANT(kprobe_opt, whole, KTRAMP_KPROBE_OPT, KTRAMP_COUNT, 0, "lea");
VARIANT(kprobe_ftrace, whole, KTRAMP_KPROBE_FTRACE, KTRAMP_COUNT, 0, "lea");
VARIANT(kretprobe, whole, KTRAMP_KRETPROBE, KTRAMP_COUNT, 0, "lea");
VARIANT(ftrace, whole, KTRAMP_FTRACE, KTRAMP_COUNT, 0, "lea");
VARIANT(fprobe, whole, KTRAMP_FPROBE, KTRAMP_COUNT, 0, "lea");

static void read_padding(const struct subject *s, struct ktramp_code *code)
{
	*code = (struct ktramp_code){
		.size = sizeof(*code), .id = s->id, .part = KTRAMP_CODE_SPRINGBOARD,
	};
	if (kt_ioctl(s->fd, KTRAMP_IOC_CODE, code))
		*code = (struct ktramp_code){ };
}

FIXTURE_SETUP(fault)
{
	int index;

	if (access(FAIL_NTH, W_OK))
		SKIP(return, "this kernel injects no faults (CONFIG_FAULT_INJECTION_DEBUG_FS)");
	ASSERT_EQ(0, prepare_faults());
	self->nth = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->nth);
	self->log = watch_log();
	ASSERT_LE(0, self->log);
	self->s = (struct subject){
		.fd = kt_open(), .mechanism = variant->mechanism, .handler = variant->handler,
		.site = variant->site,
	};
	ASSERT_LE(0, self->s.fd);
	if (variant->state) {
		ASSERT_EQ(0, create(&self->s));
		if (variant->state == KTRAMP_ARMED)
			ASSERT_EQ(0, arm(&self->s));
	}
	index = kt_target_index(self->s.fd, strchr(variant->site, '_') ? "lea" : variant->site);
	ASSERT_LE(0, index);
	ASSERT_EQ(0, kt_target(self->s.fd, index, &self->before));
	self->s.function = self->before.address - self->before.offset;
	ASSERT_EQ(0, kt_info(self->s.fd, &self->info));
	read_padding(&self->s, &self->padding);
}

FIXTURE_TEARDOWN(fault)
{
	kt_write_file(CONSOLE_LEVEL, "5");
	close(self->log);
	close(self->nth);
	close(self->s.fd);
}

static void expect_unchanged(struct __test_metadata *_metadata, const FIXTURE_DATA(fault) *self,
			     unsigned int n)
{
	struct ktramp_target_info after;
	struct ktramp_code padding;
	struct ktramp_info info;

	ASSERT_EQ(0, kt_info(self->s.fd, &info));
	EXPECT_EQ(self->info.nr_probes, info.nr_probes) {
		TH_LOG("probes were left behind by allocation %u", n);
	}
	EXPECT_EQ(self->info.slot_bytes, info.slot_bytes) {
		TH_LOG("slots were left behind by allocation %u", n);
	}
	ASSERT_EQ(0, kt_target(self->s.fd, self->before.index, &after));
	EXPECT_EQ(0, memcmp(self->before.bytes, after.bytes, sizeof(after.bytes))) {
		TH_LOG("the text changed with allocation %u", n);
	}
	read_padding(&self->s, &padding);
	EXPECT_EQ(0, memcmp(self->padding.code, padding.code, JMP_SIZE)) {
		TH_LOG("the padding changed with allocation %u", n);
	}
}

TEST_F_TIMEOUT(fault, in_any_allocation_is_an_error_and_nothing_else, 300)
{
	unsigned int n, injected = 0, refused = 0;

	for (n = 1; n < NTH_MAX; n += fault_step()) {
		int err, hit;

		ASSERT_EQ(0, fail_nth(self->nth, n));
		err = variant->request->run(&self->s);
		hit = was_injected(self->nth);
		ASSERT_LE(0, hit);
		if (!hit) {
			/* It makes fewer than n: nothing failed. */
			ASSERT_EQ(0, err);
			ASSERT_EQ(0, variant->request->undo(&self->s));
			break;
		}
		injected++;
		if (err) {
			refused++;
			EXPECT_TRUE(err == -ENOMEM ||
				    (err == -EAGAIN && variant->mechanism == KTRAMP_KPROBE_OPT)) {
				TH_LOG("allocation %u: error %d", n, -err);
			}
			expect_unchanged(_metadata, self, n);
			ASSERT_EQ(0, variant->request->run(&self->s)) {
				TH_LOG("again, after allocation %u failed", n);
			}
		}
		ASSERT_EQ(0, variant->request->undo(&self->s));
		expect_unchanged(_metadata, self, n);
	}
	EXPECT_GT(NTH_MAX, n);
	EXPECT_STREQ("", find_splat(self->log));
	TH_LOG("%u allocations failed, %u requests with them", injected, refused);
}

/* The first look at the kernel's text is what allocates most: with a fresh module each time. */
FIXTURE(fresh_module) {
};

FIXTURE_SETUP(fresh_module)
{
}

FIXTURE_TEARDOWN(fresh_module)
{
}

TEST_F_TIMEOUT(fresh_module, fails_cleanly_whatever_allocation_fails, 1200)
{
	struct subject s = {
		.mechanism = KTRAMP_JUMP, .handler = KTRAMP_COUNT, .site = "vfs_read",
	};
	unsigned int n, injected = 0, refused = 0;
	int nth, log, hit = 1;

	if (access(FAIL_NTH, W_OK))
		SKIP(return, "this kernel injects no faults (CONFIG_FAULT_INJECTION_DEBUG_FS)");
	ASSERT_EQ(0, prepare_faults());
	nth = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, nth);
	log = watch_log();
	ASSERT_LE(0, log);
	/* What is computed once takes thousands: the further in, the fewer of them. */
	for (n = 1; n < FRESH_MAX && hit; n += fault_step() == 1 ? 1 : fault_step() + n / 16) {
		int err;

		ASSERT_EQ(0, kt_unload_module());
		ASSERT_EQ(0, kt_load_module());
		s.fd = kt_open();
		ASSERT_LE(0, s.fd);
		ASSERT_EQ(0, fail_nth(nth, n));
		err = create(&s);
		hit = was_injected(nth);
		ASSERT_LE(0, hit);
		injected += hit;
		if (err) {
			EXPECT_EQ(-ENOMEM, err) {
				TH_LOG("allocation %u", n);
			}
			refused++;
			ASSERT_EQ(0, create(&s));
		}
		ASSERT_EQ(0, destroy(&s));
		close(s.fd);
	}
	kt_write_file(CONSOLE_LEVEL, "5");
	EXPECT_STREQ("", find_splat(log));
	EXPECT_FALSE(hit);
	EXPECT_LT(0U, refused);
	TH_LOG("%u allocations failed, %u requests with them", injected, refused);
	close(log);
	close(nth);
}

/* Behind all the others. What is on its way at the first look is not at the second. */
FIXTURE(leaks) {
};

FIXTURE_SETUP(leaks)
{
}

FIXTURE_TEARDOWN(leaks)
{
}

TEST_F_TIMEOUT(leaks, are_none_behind_all_of_these, 200)
{
	static char text[8192];

	/* Without memory to spare it switches itself off, and refuses. */
	if (kt_write_file(KMEMLEAK, "scan"))
		SKIP(return, "kmemleak is off (CONFIG_DEBUG_KMEMLEAK, kmemleak=on)");
	for (int look = 0; look < 2; look++) {
		sleep(YOUNG);
		ASSERT_EQ(0, kt_write_file(KMEMLEAK, "scan"));
	}
	ASSERT_LE(0, kt_read_file(KMEMLEAK, text, sizeof(text)));
	EXPECT_STREQ("", text);
}

TEST_HARNESS_MAIN
