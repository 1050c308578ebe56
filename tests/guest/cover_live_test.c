// SPDX-License-Identifier: GPL-2.0-only
/*
 * All blocks of a running kernel are watched, while every CPU runs a workload that checks what
 * comes out of it. Wants a CPU without cmpxchg16b under QEMU 7.2 (tests/run).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "covers.h"
#undef ARRAY_SIZE
#include "kselftest_harness.h"
#include "kt.h"
#include "live.h"

FIXTURE(kernel) {
	struct cover_session s;
	struct ktramp_cover c;
};

FIXTURE_SETUP(kernel)
{
	ASSERT_EQ(0, kt_open_window());
	ASSERT_EQ(0, cover_open(&self->s));
}

FIXTURE_TEARDOWN(kernel)
{
	cover_close(&self->s);
}

/* Every function of the kernel, or of a module. */
static int add_all(struct cover_session *s, const char *module)
{
	struct text text;
	int err = text_read(&text, module);

	if (!err)
		err = cover_add(&s->dev, text.functions, text.nr, 0, &s->plan);
	text_deinit(&text);
	return err;
}

static void print_plan(const struct cover_session *s)
{
	size_t refused[NR_REASONS] = { 0 }, moved = 0, bytes = 0;

	for (size_t i = 0; i < s->plan.nr_blocks; i++) {
		refused[MIN(s->plan.block[i].reason, NR_REASONS - 1)]++;
		moved += s->plan.block[i].offset > 0;
	}
	for (size_t i = 0; i < s->plan.nr_funcs; i++)
		bytes += s->plan.func[i].length - s->plan.func[i].known;
	printf("# %zu functions, %zu blocks, %zu observed (%.1f %%), %zu of them behind their first instruction; %zu bytes not decoded\n",
	       s->plan.nr_funcs, s->plan.nr_blocks, refused[0],
	       100.0 * refused[0] / s->plan.nr_blocks, moved, bytes);
	for (unsigned int i = 1; i < NR_REASONS; i++)
		if (refused[i])
			printf("#   not observable: %s %zu\n", reason_name(i), refused[i]);
}

/* Of all blocks of the kernel so many of 1,000 can be observed. */
#define OBSERVED_MIN	960

TEST_F_TIMEOUT(kernel, covers_the_whole_kernel_and_changes_nothing_that_it_computes, 3000)
{
	struct cover_session *s = &self->s;
	struct snapshot before, after;
	size_t explained = 0;
	struct load load = { };
	uint64_t first, second;

	setbuf(stdout, NULL);
	kt_insmod("/tests/modules/loop.ko");
	ASSERT_TRUE(live_share(&load));
	live_start(&load);
	EXPECT_TRUE(live_wait(&load, NULL, NULL));
	EXPECT_EQ(0, live_stop(&load));
	for (unsigned int i = 0; i < load.nr; i++)
		load.skipped[i] = atomic_load(&load.shared[i].skipped);
	ASSERT_TRUE(live_take(&before));

	ASSERT_EQ(0, add_all(s, NULL));
	print_plan(s);
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_START, &self->c));
	EXPECT_LE(OBSERVED_MIN * s->plan.nr_blocks, 1000 * self->c.blocks);
	printf("# %.2f bytes a block\n", 1.0 * self->c.memory / self->c.blocks);
	live_start(&load);
	EXPECT_TRUE(live_wait(&load, NULL, NULL));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_STAT, &self->c));
	first = self->c.hit;
	EXPECT_LT(5000, first);
	/* Again, while everything runs into it. */
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_RESET, &self->c));
	EXPECT_GT(first, self->c.hit);
	EXPECT_TRUE(live_wait(&load, NULL, NULL));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_STOP, &self->c));
	second = self->c.hit;
	EXPECT_LT(first * 8 / 10, second);
	printf("# hit %llu blocks, and %llu after a reset; %llu traps, %llu late\n",
	       (unsigned long long)first, (unsigned long long)second,
	       (unsigned long long)self->c.traps, (unsigned long long)self->c.late);
	EXPECT_EQ(0, live_stop(&load));
	for (unsigned int i = 0; i < load.nr; i++) {
		EXPECT_EQ(0, atomic_load(&load.shared[i].wrong))
			TH_LOG("%s", load.shared[i].why);
		EXPECT_EQ(load.skipped[i], atomic_load(&load.shared[i].skipped));
	}
	ASSERT_TRUE(live_take(&after));
	EXPECT_EQ(0, live_compare(&s->dev, &before, &after, &explained));
	printf("# text: %zu bytes compared, %zu changed by the kernel itself\n", before.size,
	       explained);
	free(before.bytes);
	free(after.bytes);
}

TEST_HARNESS_MAIN
