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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "covers.h"
#undef ARRAY_SIZE
#include "kselftest_harness.h"
#include "kt.h"
#include "live.h"
#include "snapshot.h"

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

/* On the clock of -icount: instructions, as long as nobody sleeps. */
static uint64_t ticks(void)
{
	unsigned int aux;

	return __builtin_ia32_rdtscp(&aux);
}

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

/* Every function of the kernel, "vmlinux", or of a module. @spent: by who finds the blocks */
static int add_all(struct cover_session *s, const char *module, uint64_t *spent)
{
	char *wanted = (char *)module;
	const struct cover_selection selection = { .modules = &wanted, .nr_modules = 1 };
	struct cover_names names = { 0 };
	uint64_t *functions = NULL;
	int err = cover_select(&selection, &names);

	if (!err)
		functions = calloc(names.nr + 1, sizeof(*functions));
	for (size_t i = 0; functions && i < names.nr; i++)
		functions[i] = names.v[i].address;
	*spent = ticks();
	if (functions)
		err = cover_add(&s->dev, functions, names.nr, 0, &s->plan);
	*spent = ticks() - *spent;
	free(functions);
	cover_names_deinit(&names);
	return err;
}

/* Was any block of a function hit? */
static bool is_reached(const struct cover_session *s, const char *name)
{
	const uint64_t start = kt_symbol(name);
	size_t n = 0;

	for (size_t i = 0; i < s->plan.nr_funcs; n += s->plan.func[i++].nr) {
		if (s->plan.func[i].address != start)
			continue;
		for (uint32_t k = 0; k < s->plan.func[i].nr; k++)
			if (cover_is_hit(s, cover_site(s, n + k)))
				return true;
	}
	return false;
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
	printf("# %zu functions, %zu blocks, %zu observed (%.1f %%)\n", s->plan.nr_funcs,
	       s->plan.nr_blocks, refused[0], 100.0 * refused[0] / s->plan.nr_blocks);
	printf("# %zu of them behind their first instruction; %zu bytes are not decoded\n", moved,
	       bytes);
	for (unsigned int i = 1; i < NR_REASONS; i++)
		if (refused[i])
			printf("#   not observable: %s %zu\n", reason_name(i), refused[i]);
}

/* Of all blocks of the kernel so many of 1,000 can be observed. */
#define OBSERVED_MIN	960

/*
 * What it takes, in bytes and instructions a block. Finding them depends on the kernel's build.
 */
#define BYTES_MAX	6
#define PLAN_MAX	6500
#define CHANGE_MAX	80

static void say(const char *what, uint64_t spent, uint64_t blocks)
{
	printf("# %s: %.1f instructions a block\n", what, 1.0 * spent / blocks);
}

TEST_F_TIMEOUT(kernel, costs_no_more_than_it_should, 600)
{
	struct cover_session *s = &self->s;
	uint64_t plan, start, reset, stop;

	if (s->dev.info.clock != KTRAMP_CLOCK_ICOUNT)
		SKIP(return, "this clock does not count instructions (qemu/run --accel icount)");
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		SKIP(return, "what other CPUs execute counts as well");
	if (s->dev.info.config & KTRAMP_CONFIG_KASAN)
		SKIP(return, "a kernel that looks at itself (CONFIG_KASAN) executes more");
	ASSERT_EQ(0, add_all(s, "vmlinux", &plan));
	start = ticks();
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_START, &self->c));
	start = ticks() - start;
	reset = ticks();
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_RESET, &self->c));
	reset = ticks() - reset;
	stop = ticks();
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_STOP, &self->c));
	stop = ticks() - stop;
	say("finding", plan, s->plan.nr_blocks);
	say("starting", start, self->c.blocks);
	say("a reset", reset, self->c.blocks);
	say("stopping", stop, self->c.blocks);
	printf("# %.2f bytes a block\n", 1.0 * self->c.memory / self->c.blocks);
	EXPECT_GE(PLAN_MAX, plan / s->plan.nr_blocks);
	EXPECT_GE(CHANGE_MAX, start / self->c.blocks);
	EXPECT_GE(CHANGE_MAX, reset / self->c.blocks);
	EXPECT_GE(CHANGE_MAX, stop / self->c.blocks);
	EXPECT_GE(BYTES_MAX * self->c.blocks, self->c.memory);
}

TEST_F_TIMEOUT(kernel, covers_the_whole_kernel_and_changes_nothing_that_it_computes, 3000)
{
	struct cover_session *s = &self->s;
	struct snapshot before, after;
	size_t explained;
	struct load load = { };
	uint64_t first, second, spent;

	setbuf(stdout, NULL);
	kt_insmod("/tests/modules/loop.ko");
	ASSERT_TRUE(live_share(&load));
	live_start(&load);
	EXPECT_TRUE(live_wait(&load, NULL, NULL));
	EXPECT_EQ(0, live_stop(&load));
	for (unsigned int i = 0; i < load.nr; i++)
		load.skipped[i] = atomic_load(&load.shared[i].skipped);
	ASSERT_TRUE(snapshot_take(&before));

	ASSERT_EQ(0, add_all(s, "vmlinux", &spent));
	print_plan(s);
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_START, &self->c));
	EXPECT_LE(OBSERVED_MIN * s->plan.nr_blocks, 1000 * self->c.blocks);
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
	ASSERT_TRUE(snapshot_take(&after));
	EXPECT_EQ(0, snapshot_compare(s->dev.fd, &before, &after, &explained));
	printf("# text: %zu bytes compared, %zu changed by the kernel itself\n", before.size,
	       explained);
	free(before.bytes);
	free(after.bytes);
}

/* ---- others come and go ---- */

TEST_F(kernel, loses_the_blocks_of_a_module_that_goes_and_no_other)
{
	struct cover_session *s = &self->s;
	uint64_t blocks, spent;
	int err = kt_insmod("/tests/modules/brd.ko");

	if (err == -ENOENT)
		SKIP(return, "this kernel has no module brd (CONFIG_BLK_DEV_RAM)");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, add_all(s, "brd", &spent));
	ASSERT_EQ(0, cover_add_function(s, cover_target(s, "lea")));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_START, &self->c));
	blocks = self->c.blocks;
	ASSERT_LT(10, blocks);
	/* What its exit function runs into is hit. */
	ASSERT_EQ(0, syscall(SYS_delete_module, "brd", O_NONBLOCK));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_STAT, &self->c));
	EXPECT_EQ(blocks - 1, self->c.gone);
	EXPECT_EQ(1, self->c.blocks);
	EXPECT_LT(0, self->c.traps);
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_RESET, &self->c));
	/* Another one comes to its place. */
	ASSERT_EQ(0, kt_insmod("/tests/modules/brd.ko"));
	ASSERT_EQ(0, syscall(SYS_delete_module, "brd", O_NONBLOCK));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_STOP, &self->c));
	EXPECT_EQ(1, self->c.blocks);
}

/* On every CPU threads call the targets, all the time. */
TEST_F_TIMEOUT(kernel, is_reset_while_every_cpu_runs_into_it, 600)
{
	struct cover_session *s = &self->s;
	struct ktramp_load load;
	unsigned int rounds = setting("COVER_RESETS", 500);
	uint64_t hit = 0;

	for (uint32_t i = 0; i < s->dev.nr_targets; i++)
		ASSERT_EQ(0, cover_add_function(s, s->dev.targets[i].address -
						   s->dev.targets[i].offset));
	ASSERT_EQ(0, kt_load(s->dev.fd, KTRAMP_LOAD_START, &load));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_START, &self->c));
	for (unsigned int i = 0; i < rounds; i++) {
		usleep(i % 7 * 100);
		ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_STAT, &self->c));
		hit += self->c.hit;
		ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_RESET, &self->c));
		EXPECT_EQ(0, self->c.busy);
	}
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_STOP, &self->c));
	ASSERT_EQ(0, kt_load(s->dev.fd, KTRAMP_LOAD_STOP, &load));
	printf("# %llu calls, %llu traps, %llu late\n", (unsigned long long)load.calls,
	       (unsigned long long)self->c.traps, (unsigned long long)self->c.late);
	EXPECT_EQ(0, load.wrong);
	EXPECT_LT(hit / 2, self->c.traps);
}

/* A child that covers some functions, and resets, until it is killed. */
static void cover_until_killed(const uint64_t *functions, size_t nr)
{
	struct cover_session s;
	struct ktramp_cover c;

	int err;

	if (cover_open(&s) || cover_add(&s.dev, functions, nr, 0, &s.plan))
		_exit(1);
	err = cover_do(&s, KTRAMP_IOC_COVER_START, &c);
	/* Among these may be none that can be observed, as trampolines of static calls. */
	while (err == -ENOENT)
		pause();
	while (!err)
		err = cover_do(&s, KTRAMP_IOC_COVER_RESET, &c);
	_exit(1);
}

TEST_F_TIMEOUT(kernel, leaves_no_breakpoint_when_it_is_killed, 3000)
{
	const unsigned int kills = setting("COVER_KILLS", 30), nr = 200;
	struct snapshot before, after;
	size_t explained;
	struct text text;
	int status;

	srand(setting("COVER_SEED", 1));
	ASSERT_EQ(0, text_read(&text, NULL));
	ASSERT_LT(nr, text.nr);
	ASSERT_TRUE(snapshot_take(&before));
	for (unsigned int i = 0; i < kills; i++) {
		size_t first = rand() % (text.nr - nr);
		pid_t child = fork();

		if (!child)
			cover_until_killed(text.functions + first, nr);
		ASSERT_LT(0, child);
		usleep(rand() % 60000);
		ASSERT_EQ(0, kill(child, SIGKILL));
		ASSERT_EQ(child, waitpid(child, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
		/* The next one may cover at once. */
		ASSERT_EQ(0, cover_add_function(&self->s, cover_target(&self->s, "lea")));
		cover_close(&self->s);
		ASSERT_EQ(0, cover_open(&self->s));
	}
	ASSERT_TRUE(snapshot_take(&after));
	EXPECT_EQ(0, snapshot_compare(self->s.dev.fd, &before, &after, &explained));
	text_deinit(&text);
	free(before.bytes);
	free(after.bytes);
}

/* What a CPU executes on its way up and down is observed, or refused: it has no IDT at first. */
TEST_F_TIMEOUT(kernel, is_covered_while_a_cpu_goes_and_comes, 600)
{
	struct cover_session *s = &self->s;
	struct snapshot before, after;
	size_t explained;
	uint64_t spent;

	if (access(CPU1_ONLINE, W_OK))
		SKIP(return, "there is one CPU");
	ASSERT_TRUE(snapshot_take(&before));
	ASSERT_EQ(0, add_all(s, "vmlinux", &spent));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_START, &self->c));
	for (unsigned int i = 0; i < 4; i++) {
		ASSERT_EQ(0, kt_write_file(CPU1_ONLINE, "0"));
		/* One that is away meanwhile finds what was written when it comes. */
		if (i % 2)
			ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_RESET, &self->c));
		ASSERT_EQ(0, kt_write_file(CPU1_ONLINE, "1"));
		ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_RESET, &self->c));
	}
	ASSERT_EQ(0, kt_write_file(CPU1_ONLINE, "0"));
	ASSERT_EQ(0, kt_write_file(CPU1_ONLINE, "1"));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_STOP, &self->c));
	ASSERT_EQ(0, cover_read_hits(s));
	EXPECT_TRUE(is_reached(s, "cpuhp_invoke_callback"));
	ASSERT_TRUE(snapshot_take(&after));
	EXPECT_EQ(0, snapshot_compare(s->dev.fd, &before, &after, &explained));
	free(before.bytes);
	free(after.bytes);
}

TEST_HARNESS_MAIN
