// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many instructions of this kernel, on this CPU, can be probed by a jump: a sample of
 * what `make coverage` counts. And what is counted is what making a probe comes to.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../../user/lib/ktramp.h"
#include "kselftest_harness.h"

/* In so many functions there are more instructions than are sampled. */
#define SAMPLE	1500
#define PART	16

struct share {
	struct sample sample;
	unsigned int accepted, jump;
	unsigned int refused[NR_REASONS];
};

static int add(struct sample *sample, uint64_t function, const struct ktramp_scan_insn *insn)
{
	struct share *share = container_of(sample, struct share, sample);
	unsigned int reason = insn->reason[KTRAMP_JUMP];

	if (!sample_is_accepted(sample, function, insn))
		return 0;
	share->accepted++;
	if (reason)
		share->refused[MIN(reason, NR_REASONS - 1)]++;
	else
		share->jump++;
	return 0;
}

TEST(a_jump_serves_95_of_100_instructions_that_the_kernel_probes)
{
	const struct sample_config config = { .sample = SAMPLE, .part = PART, .seed = 1 };
	struct share share = { .sample.planned = add };
	struct dev dev;

	ASSERT_EQ(0, dev_open(&dev));
	ASSERT_EQ(0, sample_plan(&share.sample, &dev, &config));
	printf("# %u of %u are served\n", share.jump, share.accepted);
	for (unsigned int i = 1; i < NR_REASONS; i++)
		if (share.refused[i])
			printf("# refused: %-12s %u\n", reason_name(i), share.refused[i]);
	EXPECT_LE(SAMPLE * 9 / 10, share.accepted);
	EXPECT_LE(95 * share.accepted, 100 * share.jump);
	/* The criterion bit: not everything is served. */
	EXPECT_LT(share.jump, share.accepted);
	sample_deinit(&share.sample);
	dev_close(&dev);
}

/* Functions; of each the first instructions. Each makes the kernel be asked, which is slow. */
#define ENTRIES	100
#define FIRST	4

struct entries {
	const struct dev *dev;
	struct text text;
	unsigned int compared, moved, differ;
};

/*
 * Make the probe that was planned; it goes with the device. @address: (out) where it is.
 * Return: the reason, or none.
 */
static unsigned int make(const struct dev *dev, uint64_t at, unsigned int mechanism,
			 uint8_t *tactic, uint64_t *address)
{
	struct ktramp_create create = { .mechanism = mechanism, .handler = KTRAMP_COUNT };
	struct ktramp_probe_info probe;

	*tactic = KTRAMP_TACTIC_NONE;
	*address = at;
	snprintf(create.site, sizeof(create.site), "0x%llx", (unsigned long long)at);
	if (dev_create(dev, &create))
		return create.reason ? create.reason : NR_REASONS;
	if (!dev_probe(dev, create.id, 0, &probe)) {
		*tactic = probe.tactic;
		*address = probe.address;
	}
	return KTRAMP_R_NONE;
}

static void compare(struct entries *entries, uint64_t at, const struct ktramp_scan_insn *insn)
{
	for (unsigned int m = OURS_FIRST; m <= OURS_LAST; m++) {
		uint64_t address;
		uint8_t tactic;
		unsigned int reason = make(entries->dev, at, m, &tactic, &address);

		entries->compared++;
		entries->moved += address != at;
		if (reason == insn->reason[m] && (m != KTRAMP_JUMP || tactic == insn->tactic))
			continue;
		if (entries->differ++ < 8)
			printf("# 0x%llx %s: planned %s by %s, made %s by %s\n",
			       (unsigned long long)at, entries->dev->mechanisms[m - 1].name,
			       reason_name(insn->reason[m]), tactic_name(insn->tactic),
			       reason_name(reason), tactic_name(tactic));
	}
}

static void compare_entry(struct entries *entries, uint64_t function)
{
	struct ktramp_scan_insn insns[FIRST];
	struct ktramp_scan scan = {
		.address = function, .insns = (uintptr_t)insns, .max = FIRST,
		.mechanisms = (2U << OURS_LAST) - (1U << OURS_FIRST),
	};

	if (dev_scan(entries->dev, &scan) || scan.address != function)
		return;
	for (uint32_t i = 0; i < MIN(scan.nr, FIRST); i++) {
		uint64_t at = function + insns[i].offset;

		if (!insns[i].kernel && !(insns[i].marks & KTRAMP_SCAN_PADDING) &&
		    !text_is_blacklisted(&entries->text, at))
			compare(entries, at, &insns[i]);
	}
}

FIXTURE(entry) {
	struct dev dev;
};

FIXTURE_SETUP(entry)
{
	ASSERT_EQ(0, dev_open(&self->dev));
}

FIXTURE_TEARDOWN(entry)
{
	dev_close(&self->dev);
}

TEST_F_TIMEOUT(entry, is_planned_as_it_is_made, 120)
{
	bool ibt = self->dev.info.config & KTRAMP_CONFIG_X86_KERNEL_IBT;
	struct entries entries = { .dev = &self->dev };
	uint64_t random = 1;

	ASSERT_EQ(0, text_read(&entries.text, NULL));
	/* Not each so many-th: where each has its __pfx_ that could be all of those. */
	for (unsigned int i = 0; i < ENTRIES; i++)
		compare_entry(&entries,
			      entries.text.functions[prng(&random) % entries.text.nr]);
	printf("# %u compared, %u of them made behind an endbr64\n", entries.compared,
	       entries.moved);
	EXPECT_EQ(0, entries.differ);
	EXPECT_LT(ENTRIES * FIRST, entries.compared);
	EXPECT_EQ(ibt, entries.moved > 0);
	text_deinit(&entries.text);
}

/* The sentence says which instruction an int3 would do for. */
TEST_F(entry, is_refused_to_int3s_for_the_instruction_behind_it)
{
	struct ktramp_create create = {
		.mechanism = KTRAMP_INT3_BOOST, .handler = KTRAMP_COUNT, .site = "vfs_read",
	};
	const char *behind;

	EXPECT_EQ(-EBUSY, dev_create(&self->dev, &create));
	EXPECT_EQ(KTRAMP_R_PATCHED, create.reason);
	behind = strrchr(create.why, '+');
	ASSERT_NE(NULL, behind);
	snprintf(create.site, sizeof(create.site), "vfs_read%.8s", behind);
	EXPECT_EQ(0, dev_create(&self->dev, &create)) {
		TH_LOG("%s: %s", create.site, create.why);
	}
}

TEST_HARNESS_MAIN
