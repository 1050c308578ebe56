/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a kernel or module image says about its text beside the text itself.
 */
#ifndef KTRAMP_IMAGE_H
#define KTRAMP_IMAGE_H

#include <linux/types.h>

#include "plan/func.h"
#include "plan/refuse.h"
#include "kernel/symbol.h"

/**
 * struct ktramp_image - the text of the kernel, or of one module
 * @start: first byte
 * @size: bytes
 * @enter: bit n: a rel32 branch, a jump label or an exception's fixup leads to byte n
 * @owned: offsets of instructions that jump labels and static calls rewrite, sorted
 * @nr_owned: how many
 * @fixup: offsets of instructions with an exception table entry, sorted
 * @nr_fixup: how many
 * @pointers: what in the image's data points into its text is in @enter
 * @blind: the tables were not found: @owned and @fixup are empty for that reason
 */
struct ktramp_image {
	unsigned long start;
	unsigned long size;
	unsigned long *enter;
	u32 *owned;
	u32 *fixup;
	unsigned int nr_owned;
	unsigned int nr_fixup;
	bool pointers;
	bool blind;
};

const struct ktramp_image *ktramp_image_at(const struct ktramp_symbol *symbol,
					   struct ktramp_refusal *r);
void ktramp_image_mark(const struct ktramp_image *image, struct ktramp_func *func);
void ktramp_image_forget(unsigned long addr);
void ktramp_images_exit(void);

#endif /* KTRAMP_IMAGE_H */
