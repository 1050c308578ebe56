// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where probes have their counters.
 *
 * An increment that stands in a detour is one instruction if its 32 bits of displacement reach
 * the counter. Of per-CPU memory they reach the first chunk, which other users soon have filled,
 * and what modules were loaded with: so some counters are there.
 */
#include <linux/bitmap.h>
#include <linux/percpu.h>

#include "hit/stat.h"
#include "uapi/ktramp.h"

/* All modules share 8 KB (PERCPU_MODULE_RESERVE), without which none can be loaded. */
#define NEAR_STATS	32

static DEFINE_PER_CPU(struct ktramp_stat [NEAR_STATS], near_stats);
static DECLARE_BITMAP(near_used, NEAR_STATS);

static struct ktramp_stat __percpu *near_alloc(void)
{
	unsigned int i, cpu;

	do {
		i = find_first_zero_bit(near_used, NEAR_STATS);
		if (i == NEAR_STATS)
			return NULL;
		/* Somebody else may free one, or take this one. */
	} while (test_and_set_bit(i, near_used));
	for_each_possible_cpu(cpu)
		*per_cpu_ptr(&near_stats[i], cpu) = (struct ktramp_stat){};
	return &near_stats[i];
}

/**
 * ktramp_stat_alloc() - counters for a probe, all 0
 * @handler: &enum ktramp_handler; those that count in the detour itself get what a displacement
 *	reaches while there is some
 *
 * Context: process, sleeps.
 * Return: NULL without memory.
 */
struct ktramp_stat __percpu *ktramp_stat_alloc(unsigned int handler)
{
	struct ktramp_stat __percpu *stat = NULL;

	if (handler == KTRAMP_COUNT_INLINE || handler >= KTRAMP_BPF)
		stat = near_alloc();
	return stat ?: alloc_percpu(struct ktramp_stat);
}

/* Nobody counts there any more. Context: process. */
void ktramp_stat_free(struct ktramp_stat __percpu *stat)
{
	unsigned long at = (__force unsigned long)stat - (__force unsigned long)near_stats;

	if (at < sizeof(near_stats))
		clear_bit(at / sizeof(*near_stats), near_used);
	else
		free_percpu(stat);
}
