// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many instructions of this kernel, on this CPU, can be probed by a jump: a sample of
 * what `make coverage` counts.
 */
#include <stdio.h>

#include "../../user/ktramp.h"
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

TEST_HARNESS_MAIN
