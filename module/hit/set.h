/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Probes that change state together, and share the waiting.
 */
#ifndef KTRAMP_SET_H
#define KTRAMP_SET_H

#include "plan/refuse.h"

struct ktramp_probe;

/**
 * struct ktramp_set - probes that change state together
 * @probe: the probes; an entry becomes NULL when it has failed, or is in the wanted state
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

/* The first entry from @i up that is not NULL; @i becomes its index. */
static inline struct ktramp_probe *ktramp_next_in_set(const struct ktramp_set *set, unsigned int *i)
{
	while (*i < set->nr && !set->probe[*i])
		(*i)++;
	return *i < set->nr ? set->probe[*i] : NULL;
}

#define ktramp_for_each_in_set(set, i, p)						\
	for ((i) = 0; ((p) = ktramp_next_in_set(set, &(i))); (i)++)

/* Entry @i failed. Only the first failure's reason is kept. */
static inline void ktramp_set_fail(struct ktramp_set *set, unsigned int i, int err,
				   const struct ktramp_refusal *r)
{
	set->probe[i] = NULL;
	if (!set->failures++) {
		set->err = err;
		set->first = i;
		set->refusal = *r;
	}
}

#endif /* KTRAMP_SET_H */
