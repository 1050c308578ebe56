/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KTRAMP_SITE_H
#define KTRAMP_SITE_H

#include "plan/refuse.h"

struct ktramp_target;

/**
 * struct ktramp_where - a site's text, understood
 * @addr: the address it names
 * @target: the target it names, or whose function it is in, if any
 */
struct ktramp_where {
	unsigned long addr;
	const struct ktramp_target *target;
};

struct ktramp_site_info;

int ktramp_site_print(char *buf, size_t size, unsigned long addr);
int ktramp_site_describe(struct ktramp_site_info *place, struct ktramp_refusal *r);
int ktramp_site_find(const char *text, struct ktramp_where *where, struct ktramp_refusal *r);

#endif /* KTRAMP_SITE_H */
