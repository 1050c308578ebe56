/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files about coverage share.
 *
 * Functions return 0 or -errno, and have complained.
 */
#ifndef KTRAMP_COVER_H
#define KTRAMP_COVER_H

#include "lib/ktramp.h"

/**
 * struct cover_plan - blocks that were found
 * @func: the functions, by address
 * @nr_funcs: how many
 * @block: the blocks, of one function behind the other
 * @nr_blocks: how many
 */
struct cover_plan {
	struct ktramp_cover_func *func;
	size_t nr_funcs;
	struct ktramp_cover_block *block;
	size_t nr_blocks;
};

int cover_add(const struct dev *dev, const uint64_t *functions, size_t nr, uint32_t flags,
	      struct cover_plan *plan);
int cover_act(const struct dev *dev, unsigned long request, struct ktramp_cover *reply);
int cover_hits(const struct dev *dev, uint32_t flags, uint64_t **addresses, size_t *nr);
void cover_plan_deinit(struct cover_plan *plan);

#endif /* KTRAMP_COVER_H */
