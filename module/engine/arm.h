/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The protocol by which probes enter and leave the text.
 */
#ifndef KTRAMP_ARM_H
#define KTRAMP_ARM_H

#include "hit/set.h"

void ktramp_set_arm(struct ktramp_set *set);
void ktramp_set_disarm(struct ktramp_set *set);
void ktramp_probe_abandon(struct ktramp_probe *p);
int ktramp_probe_suspend(struct ktramp_probe *p, struct ktramp_refusal *r);
void ktramp_probe_resume(struct ktramp_probe *p);

#endif /* KTRAMP_ARM_H */
