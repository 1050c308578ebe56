/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The protocol by which probes enter and leave the text.
 */
#ifndef KTRAMP_ARM_H
#define KTRAMP_ARM_H

#include "plan/refuse.h"

struct ktramp_probe;

/**
 * struct ktramp_set - probes that change state together
 * @probe: the probes; NULL where there is nothing (more) to do
 * @nr: entries
 * @failures: entries that did not reach the state
 * @err: errno of the first failure, or 0
 * @first: index of the first failure
 * @refusal: its reason
 */
struct ktramp_set {
	struct ktramp_probe **probe;
	unsigned int nr;
	unsigned int failures;
	int err;
	unsigned int first;
	struct ktramp_refusal refusal;
};

/* The next entry there is something to do for, from @i up. */
static inline struct ktramp_probe *ktramp_next_in_set(const struct ktramp_set *set, unsigned int *i)
{
	while (*i < set->nr && !set->probe[*i])
		(*i)++;
	return *i < set->nr ? set->probe[*i] : NULL;
}

#define ktramp_for_each_in_set(set, i, p)					\
	for ((i) = 0; ((p) = ktramp_next_in_set(set, &(i))); (i)++)

void ktramp_set_fail(struct ktramp_set *set, unsigned int i, int err,
		     const struct ktramp_refusal *r);
void ktramp_probe_abandon(struct ktramp_probe *p);
void ktramp_set_arm(struct ktramp_set *set);
void ktramp_set_disarm(struct ktramp_set *set);

#endif /* KTRAMP_ARM_H */
