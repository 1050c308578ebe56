/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a detour was planned with: it is written once more when its program changes.
 */
#ifndef KTRAMP_LAYOUT_H
#define KTRAMP_LAYOUT_H

#include "plan/live.h"
#include "plan/plan.h"

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

#endif /* KTRAMP_LAYOUT_H */
