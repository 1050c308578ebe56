// SPDX-License-Identifier: GPL-2.0-only
/*
 * The figures: the same digits on a second run in another order, and within the bars.
 * They are instructions, so the machine must count those.
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
	double median, min, max;
	bool unsupported;
};

struct figures {
	unsigned int nr;
	struct figure row[ROWS_MAX];
};

/* Run the bench; -EIO if it failed, or printed anything but a run and its results. */
static int measure(const char *seed, struct figures *f)
{
	char command[128], *line = NULL;
	unsigned int runs = 0;
	size_t size = 0;
	int err = 0;
	FILE *out;

	f->nr = 0;
	snprintf(command, sizeof(command), "ktramp bench --json --seed %s", seed);
	out = popen(command, "r");
	if (!out)
		return -errno;
	while (!err && getline(&line, &size, out) > 0) {
		struct figure *row = &f->row[f->nr];
		json_t *root = json_loads(line, 0, NULL), *per_hit;
		const char *type = json_string_value(json_object_get(root, "type"));

		if (type && !strcmp(type, "run")) {
			runs++;
		} else if (type && !strcmp(type, "result") && f->nr < ROWS_MAX) {
			per_hit = json_object_get(root, "per_hit");
			snprintf(row->mechanism, sizeof(row->mechanism), "%s",
				 json_string_value(json_object_get(root, "mechanism")));
			row->unsupported = json_is_string(json_object_get(root, "unsupported"));
			row->median = json_number_value(json_object_get(per_hit, "median"));
			row->min = json_number_value(json_object_get(per_hit, "min"));
			row->max = json_number_value(json_object_get(per_hit, "max"));
			f->nr++;
		} else {
			err = -EIO;
		}
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

/*
 * The most a hit may cost, or what the kernel's own was measured to cost, for 6.1 and
 * 6.12; 0: no bar.
 */
static const struct {
	const char *mechanism;
	double most[2], about[2];
} bars[] = {
	{ "jump",		{ 29, 29 } },
	{ "bpf-jump",		{ 75, 75 } },
	{ "int3-step-int3",	{ 0, 860 } },
	{ "int3-boost",		{ 0, 430 } },
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
	ASSERT_EQ(0, measure("1", &self->first));
}

FIXTURE_TEARDOWN(figures)
{
}

TEST_F_TIMEOUT(figures, are_the_same_to_the_digit_in_another_order, 300)
{
	static struct figures second;

	ASSERT_EQ(0, measure("20261", &second));
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

TEST_HARNESS_MAIN
