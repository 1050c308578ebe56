/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The code a jump lands in.
 */
#ifndef KTRAMP_DETOUR_H
#define KTRAMP_DETOUR_H

#include "hit/layout.h"

struct ktramp_draft;
struct ktramp_probe;

int ktramp_prepare_detour(struct ktramp_probe *p, const struct ktramp_site *site,
			  struct ktramp_draft *draft, struct ktramp_refusal *r);
int ktramp_prepare_detour_again(const struct ktramp_probe *p, struct ktramp_draft *draft);
int ktramp_prepare_divert(struct ktramp_probe *p, const struct ktramp_site *site,
			  struct ktramp_draft *draft, struct ktramp_refusal *r);
void ktramp_detour_jump(const struct ktramp_probe *p, u8 jump[KTRAMP_JUMP_MAX]);
void ktramp_springboard_jump(const struct ktramp_probe *p, u8 jump[KTRAMP_JMP_SIZE]);

#endif /* KTRAMP_DETOUR_H */
