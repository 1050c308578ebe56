// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which bytes of the text belong to which probe.
 *
 * A probe claims the bytes of its displaced region when it is armed, for as long as it is:
 * nobody else of ours may change them meanwhile, and whoever plans nearby is to see what
 * stood there. So are those of its springboard, if it has one; but these are reserved as soon
 * as the probe is made, because its code was planned with them.
 */
#include <linux/slab.h>
#include <linux/xarray.h>

#include "admit/claim.h"
#include "hit/cover.h"
#include "hit/probe.h"
#include "kernel/text.h"

/*
 * Armed probes by the addresses where they change the text, for what overlaps. Under
 * ktramp_mutex.
 */
static DEFINE_XARRAY(armed);

/*
 * Springboards of all probes there are, by address. Written under ktramp_mutex, but for
 * those that go with the last reference to their probe.
 */
static DEFINE_XARRAY(springboards);

/**
 * ktramp_claimed() - the bytes at a probe's site that nobody else may change while it is armed
 * @p: the probe
 */
unsigned int ktramp_claimed(const struct ktramp_probe *p)
{
	return max(p->region, p->armed_len);
}

static bool is_site(const struct ktramp_probe *p, unsigned long at)
{
	return at == ktramp_probe_addr(p);
}

/* As ktramp_claimed(), of what an armed probe has at one of its addresses. */
static unsigned int claimed_at(const struct ktramp_probe *p, unsigned long at)
{
	return is_site(p, at) ? ktramp_claimed(p) : KTRAMP_JMP_SIZE;
}

/* Lowest address at which something may begin that reaches to @addr. */
static unsigned long first_before(unsigned long addr)
{
	return addr - (KTRAMP_REGION_MAX - 1);
}

static int check_overlap(unsigned long addr, unsigned int len, struct ktramp_refusal *r)
{
	unsigned long at = first_before(addr);
	struct ktramp_probe *other;

	xa_for_each_range(&armed, at, other, at, addr + len - 1)
		if (at + claimed_at(other, at) > addr)
			return ktramp_refuse(r, -EBUSY, KTRAMP_R_BUSY,
					     "probe %u is armed on these bytes", other->id);
	return 0;
}

static int check_bytes(unsigned long addr, const u8 *bytes, unsigned int len,
		       struct ktramp_refusal *r)
{
	if (ktramp_text_equals(addr, bytes, len))
		return 0;
	return ktramp_refuse(r, -EILSEQ, KTRAMP_R_NOT_OURS,
			     "the bytes changed since the probe was made: someone else patches here");
}

static int claim(struct ktramp_probe *p, unsigned long addr, unsigned int len, const u8 *before,
		 unsigned int known, struct ktramp_refusal *r)
{
	int err = check_overlap(addr, len, r);

	if (err)
		return err;
	/* A block's breakpoint is no patch: it leaves, and the probe has the bytes. */
	ktramp_cover_yield(addr, len);
	return check_bytes(addr, before, min(len, known), r) ?:
	       xa_insert(&armed, addr, p, GFP_KERNEL);
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
	const struct ktramp_springboard *s = p->springboard;
	int err;

	if (!ktramp_claimed(p))
		return 0;
	err = claim(p, ktramp_probe_addr(p), ktramp_claimed(p), p->before, sizeof(p->before), r);
	if (err || !s)
		return err;
	err = claim(p, s->addr, sizeof(s->before), s->before, sizeof(s->before), r);
	if (err)
		xa_erase(&armed, ktramp_probe_addr(p));
	return err;
}

/* Let the bytes go. Context: process, under ktramp_mutex. */
void ktramp_unclaim(struct ktramp_probe *p)
{
	if (ktramp_claimed(p))
		xa_erase(&armed, ktramp_probe_addr(p));
	if (p->springboard)
		xa_erase(&armed, p->springboard->addr);
}

/**
 * ktramp_springboard_reserve() - give a new probe its springboard
 * @p: the probe
 * @addr: where, or 0: it needs none
 *
 * Context: process, under ktramp_mutex.
 * Return: 0, -EFAULT, -ENOMEM.
 */
int ktramp_springboard_reserve(struct ktramp_probe *p, unsigned long addr)
{
	struct ktramp_springboard *s;
	int err;

	if (!addr)
		return 0;
	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	s->addr = addr;
	err = ktramp_text_read(s->before, addr, sizeof(s->before)) ?:
	      xa_insert(&springboards, addr, p, GFP_KERNEL);
	if (err)
		kfree(s);
	else
		p->springboard = s;
	return err;
}

/* The probe is freed, nobody executes what was there any more. Context: process. */
void ktramp_springboard_release(struct ktramp_probe *p)
{
	if (p->springboard)
		xa_erase(&springboards, p->springboard->addr);
	kfree(p->springboard);
}

/**
 * ktramp_claims_have() - does a byte belong to a probe?
 * @addr: its address
 *
 * Context: process, under ktramp_mutex.
 */
bool ktramp_claims_have(unsigned long addr)
{
	unsigned long at = addr - (KTRAMP_JMP_SIZE - 1);
	struct ktramp_refusal unused;

	return xa_find(&springboards, &at, addr, XA_PRESENT) || check_overlap(addr, 1, &unused);
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
	unsigned long at = first_before(addr);
	struct ktramp_probe *p;

	xa_for_each_range(&armed, at, p, at, addr + reach)
		if (addr + reach >= at && addr < at + claimed_at(p, at))
			p->met = true;
}

/**
 * ktramp_claims_each() - each range of text that belongs to an armed probe
 * @visit: called with its first byte, and how many they are
 * @data: for it
 *
 * Context: process, under ktramp_mutex.
 */
void ktramp_claims_each(void (*visit)(unsigned long addr, unsigned int len, void *data), void *data)
{
	struct ktramp_probe *p;
	unsigned long at;

	xa_for_each(&armed, at, p)
		visit(at, claimed_at(p, at), data);
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
	unsigned long at = first_before(start);
	struct ktramp_probe *p;
	unsigned int i, len;
	const u8 *before;

	xa_for_each_range(&armed, at, p, at, start + size - 1) {
		before = is_site(p, at) ? p->before : p->springboard->before;
		len = is_site(p, at) ? p->armed_len : KTRAMP_JMP_SIZE;
		for (i = 0; i < len; i++)
			if (at + i - start < size)
				code[at + i - start] = before[i];
	}
}
