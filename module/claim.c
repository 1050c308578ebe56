// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which bytes of the text belong to which probe.
 *
 * A probe claims the bytes of its displaced region when it is armed, for as long as it is:
 * nobody else of ours may change them meanwhile, and whoever plans nearby is to see what
 * stood there.
 */
#include <linux/xarray.h>

#include "claim.h"
#include "probe.h"
#include "text.h"

/* Armed probes by address, for what overlaps. Under ktramp_mutex. */
static DEFINE_XARRAY(armed);

/**
 * ktramp_claimed() - the bytes at a probe's site that nobody else may change while it is armed
 * @p: the probe
 */
unsigned int ktramp_claimed(const struct ktramp_probe *p)
{
	return max(p->region, p->armed_len);
}

static int check_overlap(const struct ktramp_probe *p, struct ktramp_refusal *r)
{
	unsigned long addr = ktramp_probe_addr(p);
	unsigned long at = addr - (KTRAMP_REGION_MAX - 1);
	struct ktramp_probe *other;

	xa_for_each_range(&armed, at, other, at, addr + ktramp_claimed(p) - 1)
		if (at + ktramp_claimed(other) > addr)
			return ktramp_refuse(r, -EBUSY, KTRAMP_R_BUSY,
					     "probe %u is armed on these bytes", other->id);
	return 0;
}

static int check_bytes(const struct ktramp_probe *p, struct ktramp_refusal *r)
{
	unsigned int len = min_t(unsigned int, ktramp_claimed(p), sizeof(p->before));

	if (ktramp_text_equals(ktramp_probe_addr(p), p->before, len))
		return 0;
	return ktramp_refuse(r, -EILSEQ, KTRAMP_R_NOT_OURS,
			     "the bytes changed since the probe was made: someone else patches here");
}

/**
 * ktramp_claim() - claim a probe's bytes, which must be as they were when it was made
 * @p: the probe
 * @r: (out) the refusal
 *
 * Context: process, under ktramp_mutex.
 * Return: 0, -EBUSY (%KTRAMP_R_BUSY), -EILSEQ (%KTRAMP_R_NOT_OURS), -ENOMEM.
 */
int ktramp_claim(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	if (!ktramp_claimed(p))
		return 0;
	return check_overlap(p, r) ?: check_bytes(p, r) ?:
	       xa_insert(&armed, ktramp_probe_addr(p), p, GFP_KERNEL);
}

/* Let the bytes go. Context: process, under ktramp_mutex. */
void ktramp_unclaim(struct ktramp_probe *p)
{
	if (ktramp_claimed(p))
		xa_erase(&armed, ktramp_probe_addr(p));
}

/**
 * ktramp_claims_meet() - somebody else has a kprobe: mark the probes whose bytes it meets
 * @addr: its address
 * @reach: how many bytes behind the first it may come to change
 *
 * Context: process, under ktramp_mutex.
 */
void ktramp_claims_meet(unsigned long addr, unsigned long reach)
{
	unsigned long at = addr - (KTRAMP_REGION_MAX - 1);
	struct ktramp_probe *p;

	xa_for_each_range(&armed, at, p, at, addr + reach)
		if (addr + reach >= at && addr < at + ktramp_claimed(p))
			p->met = true;
}

/**
 * ktramp_claims_recover() - put back, in a copy of text, what our probes changed
 * @code: the copy
 * @start: where it was read
 * @size: bytes
 *
 * Context: process, under ktramp_mutex.
 */
void ktramp_claims_recover(u8 *code, unsigned long start, unsigned long size)
{
	unsigned long at = start - (KTRAMP_REGION_MAX - 1);
	struct ktramp_probe *p;
	unsigned int i;

	xa_for_each_range(&armed, at, p, at, start + size - 1)
		for (i = 0; i < p->armed_len; i++)
			if (at + i - start < size)
				code[at + i - start] = p->before[i];
}
