// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which padding around a site could have a springboard.
 *
 * Padding is what follows a function's last instruction, up to the next symbol, if nothing is
 * known to lead there. The nops in front of a function have a symbol of their own (__pfx_,
 * __cfi_): the kernel may write a call's bookkeeping or a type's hash into them, and they are
 * left alone.
 */
#include <linux/err.h>
#include <linux/kernel.h>

#include "admit/claim.h"
#include "engine/gap.h"

/*
 * With room for call thunks in front of each function (CONFIG_CALL_PADDING), those that are
 * not compiled have it without a symbol.
 */
#ifdef CONFIG_CALL_PADDING
#define ROOM_IN_FRONT	CONFIG_FUNCTION_PADDING_BYTES
#else
#define ROOM_IN_FRONT	0
#endif

/* The part of [@from, @to) that is free, as gaps. */
static void add_free(struct ktramp_gaps *gaps, u64 from, u64 to)
{
	struct ktramp_gap *gap;
	u64 at, start;

	for (at = from; at < to; at++) {
		for (start = at; at < to && !ktramp_claims_have(at); at++)
			;
		if (at - start < KTRAMP_JMP_SIZE || gaps->nr == ARRAY_SIZE(gaps->gap))
			continue;
		gap = &gaps->gap[gaps->nr++];
		gap->addr = start;
		gap->len = at - start;
	}
}

/* A function's padding, as far as it is in [@from, @to). Return: 0 or -ENOMEM. */
static int add_tail(struct ktramp_gaps *gaps, const struct ktramp_context *ctx, u64 from, u64 to)
{
	u64 start = ctx->func.addr + ktramp_func_tail(&ctx->func);
	u64 end = ctx->func.addr + ctx->func.size;
	int prefix = ROOM_IN_FRONT ? ktramp_context_is_prefix_at(end) : 1;

	if (prefix < 0)
		return prefix;
	if (!prefix)
		end -= ROOM_IN_FRONT;
	add_free(gaps, max(start, from), min(end, to));
	return 0;
}

/* Text of one module, or of the kernel: it goes as one, and its tables are known. */
static bool is_same_image(const struct ktramp_context *a, const struct ktramp_context *b)
{
	return a->builtin == b->builtin && !strcmp(a->symbol.module, b->symbol.module) &&
	       !b->blind;
}

/**
 * ktramp_gaps_find() - padding that a short jump at a site reaches
 * @ctx: the function around the site
 * @site: the site's address
 * @gaps: (out) what nobody has claimed of it, in the order of its addresses
 *
 * Context: process, under ktramp_mutex; @ctx stays valid.
 * Return: 0, also if there is none; -ENOMEM.
 */
int ktramp_gaps_find(const struct ktramp_context *ctx, u64 site, struct ktramp_gaps *gaps)
{
	const u64 from = site + KTRAMP_JMP8_SIZE - KTRAMP_JMP8_BACK;
	const u64 to = site + KTRAMP_JMP8_SIZE + KTRAMP_JMP8_ON + KTRAMP_JMP_SIZE;
	const struct ktramp_context *other;
	struct ktramp_refusal r;
	u64 at = from;
	int err = 0;

	gaps->nr = 0;
	while (!err && at < to) {
		other = ctx;
		if (at - ctx->func.addr >= ctx->func.size)
			other = ktramp_context_beside(at, &r);
		if (IS_ERR(other)) {
			if (PTR_ERR(other) == -ENOMEM)
				return -ENOMEM;
			/* Behind the last function, or before one: what has a gap is longer. */
			if (at >= site)
				break;
			at = min_t(u64, at + KTRAMP_JMP_SIZE, ctx->func.addr);
			continue;
		}
		if (is_same_image(ctx, other) && !ktramp_context_is_prefix(other))
			err = add_tail(gaps, other, from, to);
		at = other->func.addr + other->func.size;
	}
	return err;
}
