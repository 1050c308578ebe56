// SPDX-License-Identifier: GPL-2.0-only
/*
 * The figures: the same digits on a second run in another order, and within the bars.
 * They are instructions, so the machine must count those. And the rows where something
 * branches into the jump, on any machine.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "kselftest_harness.h"
#include "kt.h"

#define ROWS_MAX	64

struct figure {
	char mechanism[KTRAMP_NAME_MAX];
	char target[KTRAMP_NAME_MAX];
	char handler[KTRAMP_NAME_MAX];
	char reason[KTRAMP_NAME_MAX];
	double median, min, max, bp;
	bool unsupported;
};

struct figures {
	unsigned int nr;
	struct figure row[ROWS_MAX];
};

static void keep(char word[KTRAMP_NAME_MAX], const json_t *row, const char *field)
{
	const char *text = json_string_value(json_object_get(row, field));

	snprintf(word, KTRAMP_NAME_MAX, "%s", text ? text : "");
}

static void add(struct figures *f, const json_t *root)
{
	const json_t *per_hit = json_object_get(root, "per_hit");
	struct figure *row = &f->row[f->nr++];

	keep(row->mechanism, root, "mechanism");
	keep(row->target, root, "target");
	keep(row->handler, root, "handler");
	keep(row->reason, root, "reason");
	row->unsupported = json_is_string(json_object_get(root, "unsupported"));
	row->median = json_number_value(json_object_get(per_hit, "median"));
	row->min = json_number_value(json_object_get(per_hit, "min"));
	row->max = json_number_value(json_object_get(per_hit, "max"));
	row->bp = json_number_value(json_object_get(root, "bp"));
}

/* Run the bench; -EIO if it failed, or printed anything but a run and its results. */
static int measure(const char *arguments, struct figures *f)
{
	char command[256], *line = NULL;
	unsigned int runs = 0;
	size_t size = 0;
	int err = 0;
	FILE *out;

	memset(f, 0, sizeof(*f));
	snprintf(command, sizeof(command), "ktramp bench --json %s", arguments);
	out = popen(command, "r");
	if (!out)
		return -errno;
	while (!err && getline(&line, &size, out) > 0) {
		json_t *root = json_loads(line, 0, NULL);
		const char *type = json_string_value(json_object_get(root, "type"));

		if (type && !strcmp(type, "run"))
			runs++;
		else if (type && !strcmp(type, "result") && f->nr < ROWS_MAX)
			add(f, root);
		else
			err = -EIO;
		json_decref(root);
	}
	free(line);
	if (pclose(out) || runs != 1)
		err = -EIO;
	return err;
}

static const struct figure *find(const struct figures *f, const char *mechanism)
{
	for (unsigned int i = 0; i < f->nr; i++)
		if (!strcmp(f->row[i].mechanism, mechanism))
			return &f->row[i];
	return NULL;
}

static const struct figure *find_row(const struct figures *f, const char *mechanism,
				     const char *target, const char *handler)
{
	for (unsigned int i = 0; i < f->nr; i++)
		if (!strcmp(f->row[i].mechanism, mechanism) &&
		    !strcmp(f->row[i].target, target) && !strcmp(f->row[i].handler, handler))
			return &f->row[i];
	return NULL;
}

/*
 * The most a hit may cost, or what the kernel's own was measured to cost, for 6.1 and
 * 6.12; 0: no bar.
 */
static const struct {
	const char *mechanism;
	double most[2], about[2];
} bars[] = {
	{ "jump",		{ 8, 8 } },
	{ "bpf-jump",		{ 28, 28 } },
	{ "int3-emulate",	{ 210, 210 } },
	{ "int3-divert",	{ 200, 200 } },
	{ "int3-boost",		{ 190, 190 } },
	{ "int3-step-int3",	{ 380, 380 } },
	/* 6.1 has no single store that leads its #DB to us. */
	{ "int3-step-tf",	{ 0, 450 } },
	{ "kprobe-step",	{ }, { 575, 567 } },
	{ "kprobe-opt-pending",	{ }, { 301, 297 } },
	{ "kprobe-opt",		{ }, { 102, 105 } },
	{ "kprobe-ftrace",	{ }, { 157, 166 } },
	{ "ftrace",		{ }, { 36, 40 } },
	{ "bpf-kprobe-int3",	{ }, { 489, 495 } },
	{ "bpf-kprobe-opt",	{ }, { 290, 303 } },
	{ "bpf-kprobe-ftrace",	{ }, { 346, 365 } },
	{ "bpf-kprobe-multi",	{ }, { 0, 269 } },
	{ "bpf-fentry",		{ }, { 127, 134 } },
	{ "bpf-fexit",		{ }, { 182, 195 } },
};

FIXTURE(figures) {
	struct figures first;
	int series;	/* column of the bars, -1 for a kernel they are not for */
};

FIXTURE_SETUP(figures)
{
	struct ktramp_info info;
	struct utsname uts;
	int fd = kt_open();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, kt_info(fd, &info));
	close(fd);
	if (info.clock != KTRAMP_CLOCK_ICOUNT)
		SKIP(return, "this machine's counter does not count instructions");
	ASSERT_EQ(0, uname(&uts));
	self->series = -1;
	if (strstr(uts.release, "-cloud-amd64")) {
		if (!strncmp(uts.release, "6.1.", 4))
			self->series = 0;
		if (!strncmp(uts.release, "6.12.", 5))
			self->series = 1;
	}
	ASSERT_EQ(0, measure("--seed 1", &self->first));
}

FIXTURE_TEARDOWN(figures)
{
}

TEST_F_TIMEOUT(figures, are_the_same_to_the_digit_in_another_order, 300)
{
	static struct figures second;

	ASSERT_EQ(0, measure("--seed 20261", &second));
	/* The orders differ, or the seed was not used. */
	ASSERT_EQ(self->first.nr, second.nr);
	EXPECT_NE(0, memcmp(&self->first, &second, sizeof(second)));
	for (unsigned int i = 0; i < second.nr; i++) {
		const struct figure *b = &second.row[i];
		const struct figure *a = find(&self->first, b->mechanism);

		ASSERT_NE(NULL, a) TH_LOG("%s", b->mechanism);
		EXPECT_EQ(a->median, b->median) TH_LOG("%s", b->mechanism);
		EXPECT_EQ(b->min, b->max) TH_LOG("%s", b->mechanism);
	}
}

TEST_F_TIMEOUT(figures, are_within_the_bars, 300)
{
	if (self->series < 0)
		SKIP(return, "the bars are for the cloud kernels");
	for (unsigned int i = 0; i < ARRAY_SIZE(bars); i++) {
		const struct figure *row = find(&self->first, bars[i].mechanism);
		double most = bars[i].most[self->series], about = bars[i].about[self->series];

		ASSERT_NE(NULL, row) TH_LOG("%s", bars[i].mechanism);
		if (!most && !about)
			continue;
		ASSERT_FALSE(row->unsupported) TH_LOG("%s", bars[i].mechanism);
		EXPECT_LT(0, row->median) TH_LOG("%s", bars[i].mechanism);
		if (most) {
			EXPECT_GE(most, row->median)
				TH_LOG("%s: %g", bars[i].mechanism, row->median);
		}
		if (about) {
			EXPECT_GE(about + 3, row->median)
				TH_LOG("%s: %g", bars[i].mechanism, row->median);
			EXPECT_LE(about - 3, row->median)
				TH_LOG("%s: %g", bars[i].mechanism, row->median);
		}
	}
}

TEST_F_TIMEOUT(figures, have_a_row_for_every_mechanism, 300)
{
	struct ktramp_mechanism_info info;
	unsigned int nr = 0;
	int fd = kt_open();

	ASSERT_LE(0, fd);
	while (!kt_mechanism(fd, nr + 1, &info)) {
		const struct figure *row = find(&self->first, info.name);

		ASSERT_NE(NULL, row) TH_LOG("%s", info.name);
		EXPECT_EQ(info.reason != 0, row->unsupported) TH_LOG("%s", info.name);
		nr++;
	}
	EXPECT_EQ(nr, self->first.nr);
	close(fd);
}

/*
 * The most a jump's hit may cost with each handler. Behind the lea everything that a detour
 * saves is overwritten before it is read; the adc reads the flags.
 */
static const struct {
	const char *target, *handler;
	double most;
} jump_bars[] = {
	{ "lea", "count", 16 },		{ "adc", "count", 24 },
	{ "lea", "count-inline", 4 },	{ "adc", "count-inline", 6 },
	{ "lea", "regs", 50 },		{ "adc", "regs", 50 },
};

TEST_F_TIMEOUT(figures, of_jumps_are_within_the_bars_of_each_handler, 120)
{
	static struct figures f;
	struct ktramp_create create;
	struct ktramp_batch batch;
	int fd = kt_open();
	__u32 ids[40];

	if (self->series < 0)
		SKIP(return, "the bars are for the cloud kernels");
	ASSERT_LE(0, fd);
	/* More than there are near counters for; what is freed is there again. */
	for (unsigned int i = 0; i < ARRAY_SIZE(ids); i++) {
		ASSERT_EQ(0, kt_create_as(fd, "lea", KTRAMP_JUMP, KTRAMP_COUNT_INLINE, 0, &create));
		ids[i] = create.id;
	}
	ASSERT_EQ(0, kt_batch(fd, KTRAMP_IOC_DESTROY, ids, ARRAY_SIZE(ids), &batch));
	/* On a machine that runs for long, near per-CPU memory is taken. */
	for (unsigned int i = 0; i < 3000; i++)
		ASSERT_LT(0, kt_create(fd, "lea", KTRAMP_INT3_BOOST));
	ASSERT_EQ(0, measure("-m jump -t lea -t adc -H count -H count-inline -H regs", &f));
	EXPECT_EQ(ARRAY_SIZE(jump_bars), f.nr);
	for (unsigned int i = 0; i < ARRAY_SIZE(jump_bars); i++) {
		const struct figure *row = find_row(&f, "jump", jump_bars[i].target,
						    jump_bars[i].handler);

		ASSERT_NE(NULL, row);
		EXPECT_FALSE(row->unsupported);
		EXPECT_LT(0, row->median);
		EXPECT_GE(jump_bars[i].most, row->median) {
			TH_LOG("%s on %s: %g", row->handler, row->target, row->median);
		}
	}
	close(fd);
}

/* Ticks that calls of a target take, with interrupts off. */
static double ticks_a_call(int fd, unsigned int target)
{
	struct ktramp_run run;

	if (kt_run(fd, target, 0, 1000, KTRAMP_RUN_MEASURE, &run) || run.calls != 1000)
		return -1;
	return run.ticks / 1000.0;
}

/* What a hit costs that ftrace makes, beside an ftrace_ops for one function alone. */
TEST_F(figures, of_a_jump_at_an_entry_are_near_those_of_ftrace)
{
	static const struct {
		unsigned int mechanism;
		double most[2];		/* 6.1, 6.12 */
	} bars[] = { { KTRAMP_JUMP, { 47, 51 } }, { KTRAMP_FTRACE, { 36, 40 } } };
	int fd = kt_open(), target;

	if (self->series < 0)
		SKIP(return, "the bars are for the cloud kernels");
	ASSERT_LE(0, fd);
	target = kt_target_index(fd, "lea");
	for (unsigned int i = 0; i < ARRAY_SIZE(bars); i++) {
		double bare = ticks_a_call(fd, target), armed;
		int id = kt_create(fd, "ktramp_target_lea", bars[i].mechanism);

		ASSERT_LT(0, id);
		ASSERT_EQ(0, kt_arm(fd, id));
		armed = ticks_a_call(fd, target);
		ASSERT_EQ(0, kt_destroy(fd, id));
		TH_LOG("%s: %g", i ? "ftrace" : "jump", armed - bare);
		EXPECT_LT(0, bare);
		EXPECT_LT(bare, armed);
		EXPECT_GE(bars[i].most[self->series], armed - bare);
	}
	close(fd);
}

/* ---- where something comes back into the jump ---- */

FIXTURE(entered) {
	int fd;
};

FIXTURE_SETUP(entered)
{
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(entered)
{
	close(self->fd);
}

/* Calls of a target: hits of a breakpoint on the instruction behind its site, or -1. */
static long hits_behind(int fd, const struct ktramp_target_info *target, unsigned int calls)
{
	struct ktramp_probe_info probe;
	char site[KTRAMP_SITE_MAX + 16];
	struct ktramp_run run;
	int id;

	snprintf(site, sizeof(site), "%.*s+0x%x", (int)strcspn(target->site, "+"), target->site,
		 target->offset + target->length);
	id = kt_create(fd, site, KTRAMP_INT3_BOOST);
	if (id < 0 || kt_arm(fd, id) || kt_run(fd, target->index, 0, calls, 0, &run) ||
	    kt_probe(fd, id, &probe) || kt_destroy(fd, id))
		return -1;
	return run.calls == calls && !run.wrong ? (long)probe.hits : -1;
}

/* A jump is punned just there, and how often is counted by other means. */
TEST_F(entered, is_what_the_target_says)
{
	struct ktramp_target_info target;
	struct ktramp_probe_info probe;
	unsigned int entered = 0;

	for (unsigned int i = 0; !kt_target(self->fd, i, &target); i++) {
		int id = kt_create(self->fd, target.name, KTRAMP_JUMP);

		if (id < 0)
			continue;
		ASSERT_EQ(0, kt_probe(self->fd, id, &probe));
		EXPECT_EQ(probe.tactic == KTRAMP_TACTIC_PUN, target.entered > 0) {
			TH_LOG("%s: %u", target.name, target.entered);
		}
		ASSERT_EQ(0, kt_destroy(self->fd, id));
		if (!target.entered)
			continue;
		/* Besides, what is not a call falls into it. */
		EXPECT_EQ(100 * (target.entered + !!strncmp(target.insn, "call", 4)),
			  hits_behind(self->fd, &target, 100)) {
			TH_LOG("%s", target.name);
		}
		entered++;
	}
	EXPECT_EQ(2, entered);
}

static unsigned int entered_of(int fd, const char *name)
{
	struct ktramp_target_info target;

	return kt_target(fd, kt_target_index(fd, name), &target) ? 0 : target.entered;
}

TEST_F_TIMEOUT(entered, makes_no_row_an_error, 300)
{
	static struct figures f;
	struct ktramp_info info;

	ASSERT_EQ(0, kt_info(self->fd, &info));
	ASSERT_EQ(0, measure("-t targeted -t call_ind --hits 100 --repeat 1", &f));
	for (unsigned int i = 0; i < f.nr; i++) {
		const struct figure *row = &f.row[i];
		bool jump = !strcmp(row->mechanism, "jump") || !strcmp(row->mechanism, "bpf-jump");

		EXPECT_FALSE(jump && row->unsupported);
		if (jump && info.counts_traps) {
			EXPECT_EQ(entered_of(self->fd, row->target), row->bp) {
				TH_LOG("%s on %s", row->mechanism, row->target);
			}
		}
		/* The kernel makes no jump of a kprobe there. */
		if (!strncmp(row->mechanism, "bpf-kprobe-int3", 16)) {
			EXPECT_TRUE(row->unsupported);
			EXPECT_STREQ("no-state", row->reason);
		}
	}
	EXPECT_NE(NULL, find_row(&f, "jump", "targeted", "count"));
	EXPECT_NE(NULL, find_row(&f, "bpf-jump", "call_ind", "bpf"));
}

/* Where the kernel allows no kprobe, that is why a program has none. */
TEST(a_tracepoint_is_no_place_for_the_program_of_a_kprobe)
{
	static struct figures f;

	ASSERT_EQ(0, measure("-t tracepoint -m bpf-kprobe-step -m bpf-kprobe-int3 "
			     "-m bpf-kprobe-opt --hits 100 --repeat 1", &f));
	ASSERT_EQ(3, f.nr);
	for (unsigned int i = 0; i < f.nr; i++) {
		EXPECT_TRUE(f.row[i].unsupported);
		EXPECT_STREQ("blacklist", f.row[i].reason);
	}
}

TEST_HARNESS_MAIN
