// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every mechanism on every target: the result of the unprobed function, a hit for each
 * call, the bytes that were claimed, and the original ones afterwards. What cannot be
 * served is a row of the table below, so that no pair becomes served or refused unseen.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "kselftest_harness.h"
#include "kt.h"

#define CALLS	1100	/* more than the 1000 the module makes at a stretch */
#define FEW	40	/* where exceptions are counted */

/* Short names for the table. */
#define NOEM	KTRAMP_R_NO_EMULATION
#define LEAV	KTRAMP_R_LEAVES_SLOT
#define PTCH	KTRAMP_R_PATCHED

/* What the kernel's kprobe does with the instruction. */
enum kernel {
	STEPS,		/* and never optimizes it */
	OPTIMIZES,	/* steps it, or replaces it by a jump */
	EMULATES,
	REFUSES,
};

/**
 * struct row - what can be done with a target's instruction
 * @emulate, @step_tf, @step_int3, @boost, @jump: refusal of our mechanism, 0 if it serves
 * @kernel: what kprobes do with it
 * @jump_bp: #BP of one call through a jump that something else enters
 * @tf_shadow: a step of int3-step-tf may end at the int3 behind the copy and not with #DB: QEMU
 *	before 11 lets STI hold off #DB for an instruction, as it does interrupts
 * @tf_db: #DB of it: of rep, one an iteration and one behind the last
 */
static const struct row {
	const char *target;
	__u8 emulate, step_tf, step_int3, boost, jump;
	enum kernel kernel;
	__u8 tf_shadow, tf_db, jump_bp;
} rows[] = {
	/*                        emul  tf    int3  boost jump  kprobe   tf: shadow, db; jump: bp */
	{ "lea",                 0,    0,    0,    0,    0,    OPTIMIZES, 0, 1 },
	{ "nop",                 0,    0,    0,    0,    0,    OPTIMIZES, 0, 1 },
	{ "push",                0,    0,    0,    0,    0,    OPTIMIZES, 0, 1 },
	{ "pop",                 0,    0,    0,    0,    0,    OPTIMIZES, 0, 1 },
	{ "mov",                 0,    0,    0,    0,    0,    OPTIMIZES, 0, 1 },
	{ "lea7",                0,    0,    0,    0,    0,    OPTIMIZES, 0, 1 },
	{ "mov7",                0,    0,    0,    0,    0,    OPTIMIZES, 0, 1 },
	{ "mov10",               0,    0,    0,    0,    0,    OPTIMIZES, 0, 1 },
	{ "load",                NOEM, 0,    0,    0,    0,    OPTIMIZES, 0, 1 },
	{ "store",               NOEM, 0,    0,    0,    0,    OPTIMIZES, 0, 1 },
	{ "store_imm",           NOEM, 0,    0,    0,    0,    OPTIMIZES, 0, 1 },
	{ "lock",                NOEM, 0,    0,    0,    0,    OPTIMIZES, 0, 1 },
	{ "cmp",                 NOEM, 0,    0,    0,    0,    OPTIMIZES, 0, 1 },
	{ "adc",                 NOEM, 0,    0,    0,    0,    OPTIMIZES, 0, 1 },
	{ "jcc_taken",           0,    0,    LEAV, 0,    0,    EMULATES, 0, 1 },
	{ "jcc_not_taken",       0,    0,    LEAV, 0,    0,    EMULATES, 0, 1 },
	{ "jcc_near_taken",      0,    0,    LEAV, 0,    0,    EMULATES, 0, 1 },
	{ "jcc_near_not_taken",  0,    0,    LEAV, 0,    0,    EMULATES, 0, 1 },
	{ "jmp",                 0,    0,    LEAV, 0,    0,    EMULATES, 0, 1 },
	{ "jmp_near",            0,    0,    LEAV, 0,    0,    EMULATES, 0, 1 },
	{ "loop",                NOEM, 0,    LEAV, 0,    0,    EMULATES, 0, 1 },
	{ "call",                0,    0,    LEAV, 0,    0,    EMULATES, 0, 1 },
	{ "call_ind",            0,    0,    LEAV, 0,    0,    EMULATES, 0, 1, 1 },
	{ "ret",                 0,    0,    LEAV, 0,    0,    EMULATES, 0, 1 },
	{ "rep",                 NOEM, 0,    0,    0,    0,    OPTIMIZES, 0, 33 },
	{ "pushf",               0,    0,    0,    0,    0,    EMULATES, 0, 1 },
	{ "popf",                0,    0,    0,    0,    0,    EMULATES, 0, 1 },
	{ "sti",                 0,    0,    0,    0,    0,    EMULATES, 1, 1 },
	{ "cli",                 0,    0,    0,    0,    0,    EMULATES, 0, 1 },
	{ "targeted",            NOEM, 0,    0,    0,    0,    STEPS, 0, 1, 3 },
	{ "springboard",         NOEM, 0,    0,    0,    0,    STEPS, 0, 1 },
	{ "regs",                0,    0,    0,    0,    0,    OPTIMIZES, 0, 1 },
	{ "plain",               0,    0,    0,    0,    0,    OPTIMIZES, 0, 1 },
	{ "tracepoint",          PTCH, PTCH, PTCH, PTCH, PTCH, REFUSES, 0, 1 },
};

#define NR_ROWS	ARRAY_SIZE(rows)

FIXTURE(mechanism) {
	int fd;
	int optimization;
	struct ktramp_mechanism_info info;
};

/*
 * @bp: #BP of one hit; of #DB only int3-step-tf has any
 * @optimization: what debug.kprobes-optimization must be, -1 for whatever it is
 */
FIXTURE_VARIANT(mechanism) {
	unsigned int mechanism;
	unsigned int bp;
	int optimization;
};

#define VARIANT(name, nr, bps, opt)						\
	FIXTURE_VARIANT_ADD(mechanism, name) {					\
		.mechanism = nr, .bp = bps, .optimization = opt,		\
	}

VARIANT(int3_emulate, KTRAMP_INT3_EMULATE, 1, -1);
VARIANT(int3_step_tf, KTRAMP_INT3_STEP_TF, 1, -1);
VARIANT(int3_step_int3, KTRAMP_INT3_STEP_INT3, 2, -1);
VARIANT(int3_boost, KTRAMP_INT3_BOOST, 1, -1);
VARIANT(int3_divert, KTRAMP_INT3_DIVERT, 1, -1);
VARIANT(jump, KTRAMP_JUMP, 0, -1);
VARIANT(kprobe_step, KTRAMP_KPROBE_STEP, 2, 0);
VARIANT(kprobe_emulate, KTRAMP_KPROBE_EMULATE, 1, 0);
VARIANT(kprobe_boost, KTRAMP_KPROBE_BOOST, 1, 0);
VARIANT(kprobe_opt_pending, KTRAMP_KPROBE_OPT_PENDING, 1, 1);
VARIANT(kprobe_opt, KTRAMP_KPROBE_OPT, 0, 1);
VARIANT(kprobe_ftrace, KTRAMP_KPROBE_FTRACE, 0, -1);
VARIANT(kretprobe, KTRAMP_KRETPROBE, 0, -1);
VARIANT(ftrace, KTRAMP_FTRACE, 0, -1);
VARIANT(fprobe, KTRAMP_FPROBE, 0, -1);
VARIANT(tracepoint, KTRAMP_TRACEPOINT, 0, -1);

FIXTURE_SETUP(mechanism)
{
	char text[8];

	ASSERT_EQ(0, kt_pin(0));
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, kt_mechanism(self->fd, variant->mechanism, &self->info));
	ASSERT_LT(0, kt_read_file(KPROBE_OPT, text, sizeof(text)));
	self->optimization = text[0] - '0';
	if (variant->optimization >= 0)
		ASSERT_EQ(0, kt_write_file(KPROBE_OPT, variant->optimization ? "1" : "0"));
}

FIXTURE_TEARDOWN(mechanism)
{
	close(self->fd);
	kt_write_file(KPROBE_OPT, self->optimization ? "1" : "0");
}

/* The refusal the table expects, and whether only arming finds it out. */
static unsigned int expected_refusal(const struct row *row, unsigned int mechanism)
{
	switch (mechanism) {
	case KTRAMP_INT3_EMULATE:
		return row->emulate;
	case KTRAMP_INT3_STEP_TF:
		return row->step_tf;
	case KTRAMP_INT3_STEP_INT3:
		return row->step_int3;
	case KTRAMP_INT3_BOOST:
	case KTRAMP_INT3_DIVERT:
		return row->boost;
	case KTRAMP_JUMP:
		return row->jump;
	case KTRAMP_KPROBE_STEP:
	case KTRAMP_KPROBE_BOOST:
		if (row->kernel == REFUSES)
			return KTRAMP_R_BLACKLIST;
		return row->kernel == EMULATES ? KTRAMP_R_SHAPE : 0;
	case KTRAMP_KPROBE_EMULATE:
		return row->kernel == EMULATES ? 0 : KTRAMP_R_SHAPE;
	case KTRAMP_KPROBE_OPT_PENDING:
	case KTRAMP_KPROBE_OPT:
		if (row->kernel == REFUSES)
			return KTRAMP_R_BLACKLIST;
		if (row->kernel == EMULATES)
			return KTRAMP_R_SHAPE;
		return row->kernel == OPTIMIZES ? 0 : KTRAMP_R_NO_STATE;
	case KTRAMP_TRACEPOINT:
		return strcmp(row->target, "tracepoint") ? KTRAMP_R_SHAPE : 0;
	}
	return 0;
}

/*
 * Make a probe, and arm it.
 * Return: the reason of the refusal, or 0 and @id.
 */
static unsigned int make(int fd, const char *target, unsigned int mechanism,
			 unsigned int handler, unsigned int *id)
{
	struct ktramp_create create;
	struct ktramp_batch batch;
	int err;

	*id = 0;
	err = kt_create_as(fd, target, mechanism, handler, 0, &create);
	if (err)
		return create.reason && create.why[0] ? create.reason : -1U;
	err = kt_batch(fd, KTRAMP_IOC_ARM, &create.id, 1, &batch);
	if (err) {
		kt_destroy(fd, create.id);
		return batch.reason && batch.why[0] ? batch.reason : -1U;
	}
	*id = create.id;
	return 0;
}

#define SKIP_UNSUPPORTED()							\
	do {									\
		if (self->info.reason)						\
			SKIP(return, "%s: %s", self->info.name, self->info.why);\
	} while (0)

#define WHERE	TH_LOG("on target %s", rows[i].target)

TEST_F_TIMEOUT(mechanism, refuses_what_the_table_says, 600)
{
	unsigned int i, id, expected;

	SKIP_UNSUPPORTED();
	for (i = 0; i < NR_ROWS; i++) {
		expected = expected_refusal(&rows[i], variant->mechanism);
		if (!expected)
			continue;
		EXPECT_EQ(expected, make(self->fd, rows[i].target, variant->mechanism,
					 KTRAMP_COUNT, &id)) WHERE;
		EXPECT_EQ(0, id) WHERE;
	}
}

/* All calls return what they do without a probe, and each hits once. */
static void check_calls(struct __test_metadata *_metadata, int fd, unsigned int i,
			unsigned int id)
{
	static const unsigned int how[] = { 0, KTRAMP_RUN_MEASURE };
	struct ktramp_probe_info probe;
	struct ktramp_run run;

	for (unsigned int j = 0; j < 2; j++) {
		ASSERT_EQ(0, kt_run(fd, i, id, CALLS, how[j], &run)) WHERE;
		EXPECT_EQ(CALLS, run.calls) WHERE;
		EXPECT_EQ(0, run.wrong) WHERE;
		EXPECT_EQ(CALLS, run.hits) WHERE;
		EXPECT_EQ(0, run.missed) WHERE;
	}
	ASSERT_EQ(0, kt_probe(fd, id, &probe)) WHERE;
	EXPECT_EQ(2 * CALLS, probe.hits) WHERE;
	EXPECT_EQ(0, probe.missed) WHERE;
}

/* The exceptions of a hit; the same calls through another probe's number take none. */
static void check_exceptions(struct __test_metadata *_metadata, int fd, unsigned int i,
			     unsigned int id, unsigned int bp, unsigned int db)
{
	struct ktramp_run run;

	ASSERT_EQ(0, kt_run(fd, i, id, FEW, KTRAMP_RUN_TRAPS, &run)) WHERE;
	EXPECT_EQ(FEW, run.hits) WHERE;
	EXPECT_EQ(0, run.wrong) WHERE;
	EXPECT_EQ(FEW * bp, run.bp) WHERE;
	EXPECT_EQ(FEW * db, run.db) WHERE;
}

/* Whether a step ends at the int3 behind the copy, on the machine this is. */
static bool ends_at_int3(int fd, unsigned int i, unsigned int id)
{
	struct ktramp_run run;

	return !kt_run(fd, i, id, 1, KTRAMP_RUN_TRAPS, &run) && run.bp == 2 && !run.db;
}

TEST_F_TIMEOUT(mechanism, serves_the_other_targets, 600)
{
	bool transient = variant->mechanism == KTRAMP_KPROBE_OPT_PENDING;
	struct ktramp_target_info before, after;
	struct ktramp_probe_info probe;
	unsigned int i, id, len;
	struct ktramp_info info;
	struct ktramp_run run;

	SKIP_UNSUPPORTED();
	ASSERT_EQ(0, kt_info(self->fd, &info));
	ASSERT_EQ(1, info.counts_traps);
	for (i = 0; i < NR_ROWS; i++) {
		const struct row *row = &rows[i];
		bool steps = variant->mechanism == KTRAMP_INT3_STEP_TF;
		bool jumps = variant->mechanism == KTRAMP_JUMP;
		unsigned int tf_bp = 0, tf_db = steps ? row->tf_db : 0, more = 0;

		if (expected_refusal(row, variant->mechanism))
			continue;
		ASSERT_EQ(0, kt_target(self->fd, i, &before));
		ASSERT_EQ(0, make(self->fd, row->target, variant->mechanism, KTRAMP_COUNT, &id))
			WHERE;
		ASSERT_EQ(0, kt_probe(self->fd, id, &probe)) WHERE;
		len = before.func_size - (self->info.at_entry ? 0 : before.offset);
		EXPECT_EQ(KTRAMP_ARMED, probe.state) WHERE;
		/* The pending state stands only during a run; native_test looks at it there. */
		EXPECT_EQ(!transient, kt_bytes_are_armed(&probe, len)) WHERE;
		check_calls(_metadata, self->fd, i, id);
		if (steps && row->tf_shadow) {
			tf_bp = ends_at_int3(self->fd, i, id);
			tf_db -= tf_bp;
			more = 1;
		}
		check_exceptions(_metadata, self->fd, i, id,
				 variant->bp + tf_bp + (jumps ? row->jump_bp : 0), tf_db);

		ASSERT_EQ(0, kt_disarm(self->fd, id)) WHERE;
		ASSERT_EQ(0, kt_probe(self->fd, id, &probe)) WHERE;
		EXPECT_EQ(KTRAMP_DISARMED, probe.state) WHERE;
		EXPECT_TRUE(kt_bytes_are_original(&probe, len)) WHERE;
		/* No exceptions and no hits any more, and still the right results. */
		ASSERT_EQ(0, kt_run(self->fd, i, 0, FEW, KTRAMP_RUN_TRAPS, &run)) WHERE;
		EXPECT_EQ(0, run.wrong + run.bp + run.db) WHERE;
		ASSERT_EQ(0, kt_probe(self->fd, id, &probe)) WHERE;
		EXPECT_EQ(2 * CALLS + FEW + more, probe.hits) WHERE;

		/* Destroying an armed probe must restore as well. */
		ASSERT_EQ(0, kt_arm(self->fd, id)) WHERE;
		ASSERT_EQ(0, kt_destroy(self->fd, id)) WHERE;
		EXPECT_EQ(-ENOENT, kt_probe(self->fd, id, &probe)) WHERE;
		ASSERT_EQ(0, kt_target(self->fd, i, &after));
		EXPECT_EQ(0, memcmp(after.bytes, before.bytes, sizeof(after.bytes))) WHERE;
	}
}

TEST_F_TIMEOUT(mechanism, counts_the_same_with_all_registers_saved, 600)
{
	unsigned int i, id;

	SKIP_UNSUPPORTED();
	if (self->info.kind != KTRAMP_KIND_OURS)
		SKIP(return, "regs_test has the kernel's own mechanisms");
	for (i = 0; i < NR_ROWS; i++) {
		if (expected_refusal(&rows[i], variant->mechanism))
			continue;
		ASSERT_EQ(0, make(self->fd, rows[i].target, variant->mechanism, KTRAMP_REGS, &id))
			WHERE;
		check_calls(_metadata, self->fd, i, id);
		EXPECT_EQ(0, kt_destroy(self->fd, id)) WHERE;
	}
}

/* The detour without a call saves the fewest registers, so what it must save shows here. */
TEST_F_TIMEOUT(mechanism, counts_the_same_without_a_call, 600)
{
	unsigned int i, id;

	if (!(self->info.handlers & (1U << KTRAMP_COUNT_INLINE)))
		SKIP(return, "%s has no detour of ours", self->info.name);
	for (i = 0; i < NR_ROWS; i++) {
		if (expected_refusal(&rows[i], variant->mechanism))
			continue;
		ASSERT_EQ(0, make(self->fd, rows[i].target, variant->mechanism,
				  KTRAMP_COUNT_INLINE, &id))
			WHERE;
		check_calls(_metadata, self->fd, i, id);
		EXPECT_EQ(0, kt_destroy(self->fd, id)) WHERE;
	}
}

/*
 * The longest stay in a slot is that of rep. A thread that is preempted there comes back
 * to what stands behind it long after the probe was disarmed.
 */
TEST_F_TIMEOUT(mechanism, lets_a_thread_out_of_its_slot_after_disarming, 120)
{
	struct ktramp_load load;
	struct ktramp_probe_info probe;
	int id, err = 0;

	/* A jump's grace periods take too long to do this often; boost has the same way out. */
	if (variant->mechanism < KTRAMP_INT3_STEP_TF || variant->mechanism > KTRAMP_INT3_BOOST)
		SKIP(return, "%s has no slot of ours", self->info.name);
	id = kt_create(self->fd, "rep", variant->mechanism);
	ASSERT_LT(0, id);
	ASSERT_EQ(0, kt_load(self->fd, KTRAMP_LOAD_START, &load));
	for (unsigned int i = 0; i < 300 && !err; i++) {
		err = kt_arm(self->fd, id);
		usleep(50 + 7 * i);
		err = err ? err : kt_disarm(self->fd, id);
		usleep(100);
	}
	EXPECT_EQ(0, err);
	EXPECT_EQ(0, kt_load(self->fd, KTRAMP_LOAD_STOP, &load));
	EXPECT_EQ(0, load.wrong);
	EXPECT_LT(1000, load.calls);
	ASSERT_EQ(0, kt_probe(self->fd, id, &probe));
	EXPECT_LT(0, probe.hits);
}

/* One batch has a jump of ours, and one that is ftrace's to make. */
TEST(arms_a_functions_entry_beside_its_instructions)
{
	const char *const sites[] = { "ktramp_target_lea", "lea", "ktramp_target_nop" };
	struct ktramp_probe_info probe;
	struct ktramp_create create;
	__u32 ids[ARRAY_SIZE(sites)];
	struct ktramp_batch batch;
	struct ktramp_run run;
	int fd = kt_open();

	ASSERT_LE(0, fd);
	/* There is no detour for an increment to stand in. */
	EXPECT_EQ(-EOPNOTSUPP, kt_create_as(fd, sites[0], KTRAMP_JUMP, KTRAMP_COUNT_INLINE, 0,
					    &create));
	EXPECT_EQ(KTRAMP_R_HANDLER, create.reason);
	for (unsigned int i = 0; i < ARRAY_SIZE(sites); i++) {
		int id = kt_create(fd, sites[i], KTRAMP_JUMP);

		ASSERT_LT(0, id) TH_LOG("%s", sites[i]);
		ids[i] = id;
	}
	ASSERT_EQ(0, kt_batch(fd, KTRAMP_IOC_ARM, ids, ARRAY_SIZE(ids), &batch));
	ASSERT_EQ(0, kt_probe(fd, ids[0], &probe));
	EXPECT_EQ(KTRAMP_TACTIC_FTRACE, probe.tactic);
	EXPECT_EQ(CALL, probe.now[0]);
	ASSERT_EQ(0, kt_run(fd, kt_target_index(fd, "lea"), ids[1], CALLS, 0, &run));
	EXPECT_EQ(0, run.wrong);
	for (unsigned int i = 0; i < 2; i++) {
		ASSERT_EQ(0, kt_probe(fd, ids[i], &probe));
		EXPECT_EQ(CALLS, probe.hits);
	}
	ASSERT_EQ(0, kt_batch(fd, KTRAMP_IOC_DESTROY, ids, ARRAY_SIZE(ids), &batch));
	close(fd);
}

/* So many of the kernel's functions that begin with what ftrace owns, as probes. */
static unsigned int create_entries(int fd, __u32 *ids, unsigned int max)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	struct ktramp_probe_info probe;
	unsigned int nr = 0;
	char name[512];

	while (file && nr < max && fscanf(file, "%*s %*c %511s%*[^\n]", name) == 1) {
		int id = strncmp(name, "vfs_", 4) ? -ENOENT : kt_create(fd, name, KTRAMP_JUMP);

		if (id < 0)
			continue;
		if (!kt_probe(fd, id, &probe) && probe.tactic == KTRAMP_TACTIC_FTRACE)
			ids[nr++] = id;
		else
			kt_destroy(fd, id);
	}
	if (file)
		fclose(file);
	return nr;
}

static uint64_t time_entries(int fd, const __u32 *ids, unsigned int nr)
{
	struct ktramp_batch batch;
	struct timespec from, to;

	clock_gettime(CLOCK_MONOTONIC, &from);
	if (kt_batch(fd, KTRAMP_IOC_ARM, ids, nr, &batch) ||
	    kt_batch(fd, KTRAMP_IOC_DISARM, ids, nr, &batch))
		return UINT64_MAX;
	clock_gettime(CLOCK_MONOTONIC, &to);
	return (to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec;
}

/* What ftrace walks over and waits for is the batch's, not each probe's. */
TEST(arms_and_disarms_many_entries_at_the_price_of_few)
{
	unsigned int nr;
	uint64_t few, many;
	struct ktramp_batch batch;
	int fd = kt_open();
	__u32 ids[32];

	ASSERT_LE(0, fd);
	nr = create_entries(fd, ids, ARRAY_SIZE(ids));
	if (!nr)
		SKIP(return, "this kernel has no ftrace");
	ASSERT_EQ(ARRAY_SIZE(ids), nr);
	few = time_entries(fd, ids, 1);
	many = time_entries(fd, ids, nr);
	TH_LOG("%lu ns for one, %lu for %u", few, many, nr);
	EXPECT_GT(5 * few, many);
	ASSERT_EQ(0, kt_batch(fd, KTRAMP_IOC_DESTROY, ids, nr, &batch));
	close(fd);
}

TEST(the_table_has_a_row_for_every_target_in_order)
{
	struct ktramp_target_info target;
	struct ktramp_info info;
	int fd = kt_open();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, kt_info(fd, &info));
	ASSERT_EQ(NR_ROWS, info.nr_targets);
	for (unsigned int i = 0; i < NR_ROWS; i++) {
		ASSERT_EQ(0, kt_target(fd, i, &target));
		EXPECT_STREQ(rows[i].target, target.name);
	}
	EXPECT_EQ(-ENOENT, kt_target(fd, NR_ROWS, &target));
	close(fd);
}

TEST_HARNESS_MAIN
