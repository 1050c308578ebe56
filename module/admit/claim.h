/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which bytes of the text belong to which probe.
 */
#ifndef KTRAMP_CLAIM_H
#define KTRAMP_CLAIM_H

#include "plan/refuse.h"

struct ktramp_probe;

int ktramp_claim(struct ktramp_probe *p, struct ktramp_refusal *r);
void ktramp_unclaim(struct ktramp_probe *p);
unsigned int ktramp_claimed(const struct ktramp_probe *p);
int ktramp_springboard_reserve(struct ktramp_probe *p, unsigned long addr);
void ktramp_springboard_release(struct ktramp_probe *p);
bool ktramp_claims_have(unsigned long addr);
void ktramp_claims_meet(unsigned long addr, unsigned long reach);
void ktramp_claims_each(void (*visit)(unsigned long addr, unsigned int len, void *data),
			void *data);
void ktramp_claims_recover(u8 *code, unsigned long start, unsigned long size);

#endif /* KTRAMP_CLAIM_H */
