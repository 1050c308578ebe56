// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plan at every instruction of a function, and make nothing.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/text-patching.h>

#include "admit/admit.h"
#include "admit/context.h"
#include "doors/scan.h"
#include "engine/create.h"
#include "engine/registry.h"
#include "hit/mechanism.h"
#include "hit/trap.h"
#include "kernel/lock.h"

/* What the kernel's tables say; register_kprobe() looks into the same ones, behind an endbr64. */
static enum ktramp_reason kernel_reason(const struct ktramp_context *ctx, u32 off)
{
	struct ktramp_insn insn;

	if (off == 0)
		off = ktramp_func_entry(&ctx->func);
	/* Of what hides there nothing is known. */
	if (off >= ctx->func.known)
		return KTRAMP_R_NONE;
	if (ctx->func.marks[off] & KTRAMP_M_OWNED)
		return off == (u32)ctx->ftrace ? KTRAMP_R_NONE : KTRAMP_R_PATCHED;
	/* An int3 is somebody else's breakpoint to kprobes, and ud2 is a BUG. */
	ktramp_func_decode(&ctx->func, off, &insn);
	return insn.branch == KTRAMP_BR_TRAP ? KTRAMP_R_TRAPS : KTRAMP_R_NONE;
}

static void plan_insn(struct ktramp_probe *scratch, const struct ktramp_context *ctx,
		      u32 mechanisms, struct ktramp_scan_insn *out)
{
	struct ktramp_refusal r;
	unsigned int m;

	for (m = KTRAMP_INT3_EMULATE; m <= KTRAMP_JUMP; m++) {
		if (!(mechanisms & BIT(m)))
			continue;
		r.reason = KTRAMP_R_NONE;
		scratch->mechanism = m;
		if (ktramp_admit_known(ctx, ktramp_trap_is_alone(m, scratch->handler), &r) ||
		    ktramp_plan_dry(scratch, ctx, out->offset, &r))
			out->reason[m] = r.reason;
		else if (m == KTRAMP_JUMP)
			out->tactic = scratch->tactic;
	}
}

/*
 * Is it padding: nops or int3 that control does not reach? @reached: does control reach @off?
 * (in) from the instruction before, (out) for the one after.
 */
static bool is_padding(const struct ktramp_context *ctx, u32 off, bool *reached)
{
	struct ktramp_insn insn;
	bool fill;

	ktramp_func_decode(&ctx->func, off, &insn);
	fill = (insn.attr & KTRAMP_A_NOP) || ctx->func.code[off] == INT3_INSN_OPCODE;
	if (!fill || (ctx->func.marks[off] & KTRAMP_M_ENTER))
		*reached = true;
	if (!*reached)
		return true;
	*reached = !ktramp_insn_ends_flow(&insn);
	return false;
}

static int scan_insn(const struct ktramp_scan *scan, const struct ktramp_context *ctx, u32 off,
		     bool padding, struct ktramp_probe *scratch, struct ktramp_scan_insn *out)
{
	struct ktramp_refusal r = {};
	struct ktramp_insn insn;
	int err = 0;

	memset(out, 0, sizeof(*out));
	out->offset = off;
	out->length = ktramp_func_decode(&ctx->func, off, &insn);
	if (padding)
		out->marks |= KTRAMP_SCAN_PADDING;
	if (ctx->func.marks[off] & KTRAMP_M_ENTER)
		out->marks |= KTRAMP_SCAN_ENTER;
	if (ktramp_insn_is_rel(&insn)) {
		out->marks |= KTRAMP_SCAN_BRANCH;
		out->to = ktramp_branch_offset(&insn, off);
	}
	out->kernel = kernel_reason(ctx, off);
	plan_insn(scratch, ctx, scan->mechanisms, out);
	if (!(scan->flags & KTRAMP_SCAN_ASK))
		return 0;
	if (signal_pending(current))
		return -EINTR;
	err = ktramp_admit_ask(ctx->func.addr + off, &r);
	out->kernel = r.reason;
	return err == -ENOMEM || err == -EINTR ? err : 0;
}

/*
 * struct found - the instructions that were wanted
 * @insn: what is known of each
 * @nr: how many
 *
 * Kept until ktramp_mutex is released: the user's memory may be a file's, whose server takes its
 * time, or userfaultfd's.
 */
struct found {
	struct ktramp_scan_insn *insn;
	u32 nr;
};

static u32 count_insns(const struct ktramp_func *func)
{
	u32 off, nr = 0;

	for (off = 0; off < func->known; off++)
		nr += !!(func->marks[off] & KTRAMP_M_START);
	return nr;
}

static long scan_function(struct ktramp_scan *scan, const struct ktramp_context *ctx,
			  struct ktramp_probe *scratch, struct found *found)
{
	bool reached = !ktramp_context_is_prefix(ctx), padding;
	u32 off, nr;
	int err;

	found->insn = kvcalloc(min(scan->max, count_insns(&ctx->func)) ?: 1, sizeof(*found->insn),
			       GFP_KERNEL_ACCOUNT);
	if (!found->insn)
		return -ENOMEM;

	scan->address = ctx->func.addr;
	scan->length = ctx->func.size;
	scan->known = ctx->func.known;
	scan->nr = 0;
	scan->padding = 0;
	for (off = 0; off < ctx->func.known; off++) {
		if (!(ctx->func.marks[off] & KTRAMP_M_START))
			continue;
		padding = is_padding(ctx, off, &reached);
		scan->padding += padding;
		nr = scan->nr++;
		if (nr < scan->first || nr - scan->first >= scan->max)
			continue;
		err = scan_insn(scan, ctx, off, padding, scratch, &found->insn[found->nr]);
		if (err)
			return err;
		found->nr++;
		cond_resched();
	}
	return 0;
}

/**
 * ktramp_scan() - KTRAMP_IOC_SCAN
 * @scan: the request, and the reply
 *
 * Context: process, sleeps.
 * Return: 0 or a negative errno as struct ktramp_scan documents.
 */
long ktramp_scan(struct ktramp_scan *scan)
{
	const struct ktramp_request request = {
		.mechanism = KTRAMP_JUMP, .handler = KTRAMP_COUNT,
	};
	struct ktramp_refusal r = {};
	struct found found = {};
	struct ktramp_context *ctx;
	struct ktramp_probe *scratch;
	long err;

	BUILD_BUG_ON(ARRAY_SIZE(((struct ktramp_scan_insn *)0)->reason) <= KTRAMP_JUMP);
	if (!scan->max || scan->max > KTRAMP_SCAN_MAX ||
	    (scan->mechanisms & ~GENMASK(KTRAMP_JUMP, KTRAMP_INT3_EMULATE)))
		return -EINVAL;
	scratch = ktramp_probe_alloc(&request, scan->address, NULL);
	if (!scratch)
		return -ENOMEM;
	mutex_lock(&ktramp_mutex);
	ctx = ktramp_context_at(scan->address, &r);
	err = IS_ERR(ctx) ? PTR_ERR(ctx) : scan_function(scan, ctx, scratch, &found);
	if (!err)
		ktramp_admit_known(ctx, ktramp_trap_is_alone(KTRAMP_JUMP, KTRAMP_COUNT), &r);
	mutex_unlock(&ktramp_mutex);
	ktramp_probe_put(scratch);
	if (!err && copy_to_user(u64_to_user_ptr(scan->insns), found.insn,
				 found.nr * sizeof(*found.insn)))
		err = -EFAULT;
	kvfree(found.insn);
	scan->reason = r.reason;
	strscpy(scan->why, r.why, sizeof(scan->why));
	return err;
}
