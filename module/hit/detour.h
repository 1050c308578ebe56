/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The code a jump lands in.
 */
#ifndef KTRAMP_DETOUR_H
#define KTRAMP_DETOUR_H

#include "plan/live.h"
#include "plan/plan.h"

struct ktramp_draft;
struct ktramp_probe;

/**
 * struct ktramp_odd_flags - what a site's function may have set, and C code must not find set
 * @direction: strings go down
 * @access: user memory is in reach
 */
struct ktramp_odd_flags {
	bool direction;
	bool access;
};

/**
 * struct ktramp_layout - what a detour was planned with
 * @region: what is displaced
 * @place: where the detour may be
 * @dead: what nobody reads at the site
 * @odd: what its function may have set
 */
struct ktramp_layout {
	struct ktramp_region region;
	struct ktramp_place place;
	struct ktramp_dead dead;
	struct ktramp_odd_flags odd;
};

int ktramp_prepare_detour(struct ktramp_probe *p, const struct ktramp_site *site,
			  struct ktramp_draft *draft, struct ktramp_refusal *r);
int ktramp_prepare_detour_again(const struct ktramp_probe *p, struct ktramp_draft *draft);
void ktramp_detour_jump(const struct ktramp_probe *p, u8 jump[KTRAMP_JUMP_MAX]);
void ktramp_springboard_jump(const struct ktramp_probe *p, u8 jump[KTRAMP_JMP_SIZE]);

#endif /* KTRAMP_DETOUR_H */
