// SPDX-License-Identifier: GPL-2.0-only
/*
 * A probe is made: find the site, read the function around it, plan, and write the code
 * out of line. The text is not touched.
 */
#include <linux/err.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/slab.h>
#include <asm/text-patching.h>

#include "admit/admit.h"
#include "admit/claim.h"
#include "admit/context.h"
#include "engine/create.h"
#include "engine/gap.h"
#include "engine/registry.h"
#include "engine/site.h"
#include "hit/bpf.h"
#include "hit/mechanism.h"
#include "hit/trap.h"
#include "kernel/lock.h"
#include "kernel/patchers.h"
#include "kernel/slot.h"
#include "kernel/target.h"
#include "kernel/text.h"
#include "native/native.h"

/* The int3s in the jump need traps of their own. */
static int make_pins(struct ktramp_probe *p, const struct ktramp_region *region)
{
	unsigned int i;

	if (!region->nr_pins)
		return 0;
	if (!p->pins)
		p->pins = kzalloc(sizeof(*p->pins), GFP_KERNEL);
	if (!p->pins)
		return -ENOMEM;
	p->pins->nr = region->nr_pins;
	for (i = 0; i < region->nr_pins; i++) {
		p->pins->pin[i].trap.addr = ktramp_probe_addr(p) + region->pin[i].at;
		p->pins->pin[i].resume = p->code + region->pin[i].copy;
	}
	return 0;
}

static int prepare(struct ktramp_probe *p, const struct ktramp_mechanism_ops *ops,
		   const struct ktramp_site *site, struct ktramp_draft *draft,
		   struct ktramp_refusal *r)
{
	u8 *buf = draft->emit.buf;
	int err;

	/* Lengths do not depend on the address; displacements from the area's start reach. */
	draft->emit.addr = ktramp_slot_base();
	err = ops->prepare(p, site, draft, r);
	if (err || !draft->emit.len)
		return err;
	p->code = ktramp_slot_alloc(draft->emit.len, &draft->place);
	if (!p->code)
		return ktramp_refuse(r, -ENOSPC, KTRAMP_R_SPACE,
				     "no room for %u bytes of slot or detour%s", draft->emit.len,
				     draft->place.mask ? " where the jump wants them" : "");
	p->code_len = draft->emit.len;
	draft->emit = (struct ktramp_emit){ .buf = buf, .max = KTRAMP_CODE_MAX, .addr = p->code };
	return ops->prepare(p, site, draft, r);
}

/* Plan, write the code out of line, validate it there, publish it to nobody yet. */
static int build_code(struct ktramp_probe *p, const struct ktramp_mechanism_ops *ops,
		      const struct ktramp_site *site, struct ktramp_refusal *r)
{
	u8 buf[KTRAMP_CODE_MAX];
	struct ktramp_draft draft = { .emit = { .buf = buf, .max = sizeof(buf) } };
	int err = prepare(p, ops, site, &draft, r);

	if (err || !p->code)
		return err;
	return make_pins(p, &draft.region) ?:
	       ktramp_springboard_reserve(p, draft.region.springboard) ?:
	       ktramp_text_write(p->code, buf, draft.emit.len);
}

/*
 * Is it worth another try, with a springboard? Gaps are looked for only then: it takes reading
 * the functions around.
 *
 * Return: 1, 0 or -ENOMEM.
 */
static int find_gaps(const struct ktramp_probe *p, const struct ktramp_context *ctx,
		     struct ktramp_site *site, const struct ktramp_refusal *r)
{
	/* Under ktramp_mutex, as all planning is. */
	static struct ktramp_gaps gaps;
	int err;

	if (!ktramp_probe_is_jump(p) || !ktramp_plan_may_spring(r))
		return 0;
	err = ktramp_gaps_find(ctx, site->addr, &gaps);
	site->gaps = &gaps;
	return err ?: gaps.nr > 0;
}

/* The kernel must not mind the other instructions of the region either. */
static int admit_region(const struct ktramp_context *ctx, u32 from, u32 len,
			struct ktramp_refusal *r)
{
	u32 off;
	int err;

	for (off = from; off < from + len; off++) {
		if (!(ctx->func.marks[off] & KTRAMP_M_START))
			continue;
		err = ktramp_admit_insn(ctx, off, r);
		if (err)
			return err;
	}
	return 0;
}

static int plan_at(struct ktramp_probe *p, const struct ktramp_mechanism_ops *ops,
		   const struct ktramp_context *ctx, struct ktramp_site *site,
		   struct ktramp_refusal *r)
{
	int err;

	if (ctx->blind && ktramp_probe_is_jump(p))
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_INDIRECT,
				     "this kernel hides its jump labels and exception tables (CONFIG_KALLSYMS_ALL)");
	if (ktramp_probe_is_jump(p) && !ktramp_patchers_known())
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_HIDDEN,
				     "this kernel hides the locks of its own patchers (CONFIG_KALLSYMS_ALL): an int3 mechanism serves");
	p->insn_len = site->insn.len;
	p->region = site->insn.len;
	p->nr_displaced = 1;
	p->armed_len = ops->changes;
	err = build_code(p, ops, site, r);
	if (err) {
		int again = find_gaps(p, ctx, site, r);

		if (again)
			err = again < 0 ? again : build_code(p, ops, site, r);
	}
	if (!err)
		err = admit_region(ctx, site->off, p->region, r);
	if (!err)
		ktramp_trap_choose(p);
	return err;
}

/* ftrace's call is there already: it is asked to make it, nothing is displaced. */
static int plan_ftrace(struct ktramp_probe *p, u32 off, struct ktramp_refusal *r)
{
	const struct ktramp_mechanism_ops *ops = ktramp_mechanism(KTRAMP_FTRACE);

	if (!ktramp_probe_is_jump(p))
		return ktramp_refuse(r, -EBUSY, KTRAMP_R_PATCHED,
				     "ftrace owns the function's entry: 'jump' uses it, or take the next instruction, +0x%x",
				     off + CALL_INSN_SIZE);
	if (!(ops->handlers & BIT(p->handler)))
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_HANDLER,
				     "ftrace, which owns the function's entry, calls handlers: '%s' is none, 'count' is",
				     ktramp_handler_name(p->handler));
	p->tactic = KTRAMP_TACTIC_FTRACE;
	p->region = ops->changes;
	p->armed_len = ops->changes;
	return 0;
}

static int find_insn(const struct ktramp_context *ctx, u32 off, struct ktramp_site *site,
		     struct ktramp_refusal *r)
{
	int err = ktramp_plan_site(site, &ctx->func, off, r);

	if (!err && ctx->func.code[off] == INT3_INSN_OPCODE)
		err = ktramp_refuse(r, -EBUSY, KTRAMP_R_PATCHED,
				    "an int3 stands there: somebody else's probe, or padding");
	return err;
}

static int plan_ours(struct ktramp_probe *p, const struct ktramp_mechanism_ops *ops,
		     const struct ktramp_context *ctx, struct ktramp_refusal *r)
{
	u32 off = ktramp_probe_addr(p) - ctx->func.addr;
	struct ktramp_site site;

	if (off == (u32)ctx->ftrace)
		return plan_ftrace(p, off, r);
	return find_insn(ctx, off, &site, r) ?: plan_at(p, ops, ctx, &site, r);
}

/**
 * ktramp_plan_dry() - what would be planned, without a slot and without asking the kernel
 * @p: a scratch probe with mechanism and handler; @p->tactic and more is filled in
 * @ctx: the function
 * @off: offset of the site in it; 0 is the function's entry, as for ktramp_plan()
 * @r: (out) the refusal
 *
 * Context: process, under ktramp_mutex.
 * Return: 0, or the errno that ktramp_plan() would refuse with.
 */
int ktramp_plan_dry(struct ktramp_probe *p, const struct ktramp_context *ctx, u32 off,
		    struct ktramp_refusal *r)
{
	u8 buf[KTRAMP_CODE_MAX];
	struct ktramp_draft draft = {
		.emit = { .buf = buf, .max = sizeof(buf), .addr = ktramp_slot_base() },
	};
	const struct ktramp_mechanism_ops *ops = ktramp_mechanism(p->mechanism);
	struct ktramp_site site;
	int err, again;

	if (off == 0)
		off = ktramp_func_entry(&ctx->func);
	p->trap.addr = ctx->func.addr + off;
	p->tactic = KTRAMP_TACTIC_NONE;
	if (off == (u32)ctx->ftrace)
		return plan_ftrace(p, off, r);
	err = find_insn(ctx, off, &site, r);
	if (err)
		return err;
	err = ops->prepare(p, &site, &draft, r);
	if (!err)
		return 0;
	again = find_gaps(p, ctx, &site, r);
	if (again <= 0)
		return again ?: err;
	draft.emit.len = 0;
	draft.emit.err = 0;
	return ops->prepare(p, &site, &draft, r);
}

/* The hook is the nop, of 2 or 5 bytes as objtool chose. */
static void plan_tracepoint(struct ktramp_probe *p)
{
	struct ktramp_insn insn;

	p->armed_len = ktramp_insn_decode(&insn, p->before, sizeof(p->before)) > 0 ? insn.len : 0;
	p->region = p->armed_len;
}

static bool is_tracepoint(enum ktramp_mechanism mechanism)
{
	switch (mechanism) {
	case KTRAMP_TRACEPOINT:
	case KTRAMP_TRACEPOINT_OFF:
	case KTRAMP_BPF_RAW_TP:
	case KTRAMP_BPF_TRACEPOINT:
		return true;
	default:
		return false;
	}
}

/**
 * ktramp_plan() - plan a probe, and write its code out of line
 * @p: a new probe; its address may be moved to the function's entry
 * @r: (out) the refusal
 *
 * Context: process, under ktramp_mutex.
 * Return: 0 or a negative errno.
 */
int ktramp_plan(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	const struct ktramp_mechanism_ops *ops = ktramp_mechanism(p->mechanism);
	struct ktramp_context *ctx = ktramp_context_at(ktramp_probe_addr(p), r);
	int err;
	u32 off;

	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	off = ktramp_probe_addr(p) - ctx->func.addr;
	if (ops->at_entry || off == 0)
		off = ktramp_func_entry(&ctx->func);
	err = ktramp_admit_function(ctx, off, ktramp_trap_is_alone(p->mechanism, p->handler), r);
	if (err)
		return err;
	p->trap.addr = ctx->func.addr + off;
	memcpy(p->before, ctx->func.code + off,
	       min_t(u32, sizeof(p->before), ctx->func.size - off));
	if (ops->kind == KTRAMP_KIND_OURS)
		return plan_ours(p, ops, ctx, r);
	p->armed_len = ops->changes;
	p->region = p->armed_len;
	if (is_tracepoint(p->mechanism))
		plan_tracepoint(p);
	return 0;
}

static int check_request(const struct ktramp_request *request, struct ktramp_refusal *r)
{
	const struct ktramp_mechanism_ops *ops = ktramp_mechanism(request->mechanism);

	if (!ops || request->handler < KTRAMP_COUNT || request->handler > KTRAMP_BPF_INLINE)
		return ktramp_refuse(r, -EINVAL, KTRAMP_R_SYNTAX, "no such mechanism or handler");
	if (!(ops->handlers & BIT(request->handler)))
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_HANDLER, "%s cannot run handler %s",
				     ops->name, ktramp_handler_name(request->handler));
	if (request->pid &&
	    (ops->kind != KTRAMP_KIND_OURS || request->handler == KTRAMP_COUNT_INLINE))
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_HANDLER,
				     "%s with handler %s does not ask for the process",
				     ops->name, ktramp_handler_name(request->handler));
	if (request->handler >= KTRAMP_BPF && !ops->libbpf && ktramp_bpf_handler_supported(r))
		return -EOPNOTSUPP;
	return ops->supported ? ops->supported(r) : 0;
}

/* By the caller's namespace. Return: 0 also for all processes, which is NULL. */
static int find_process(const struct ktramp_request *request, struct pid **process,
			struct ktramp_refusal *r)
{
	struct pid *pid = request->pid ? find_get_pid(request->pid) : NULL;
	bool leads, runs;

	*process = pid;
	if (!request->pid)
		return 0;
	rcu_read_lock();
	leads = pid && pid_task(pid, PIDTYPE_TGID);
	runs = pid && pid_task(pid, PIDTYPE_PID);
	rcu_read_unlock();
	if (leads)
		return 0;
	put_pid(pid);
	return ktramp_refuse(r, -ESRCH, KTRAMP_R_NO_PROCESS,
			     runs ? "%u is a thread: say its process" : "there is no process %u",
			     request->pid);
}

static int find_site(const struct ktramp_request *request, unsigned long *addr,
		     struct ktramp_refusal *r)
{
	struct ktramp_where where;
	int err = ktramp_site_find(request->site, &where, r);

	if (err)
		return err;
	if (is_tracepoint(request->mechanism) && (!where.target || !where.target->base))
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_SHAPE,
				     "no tracepoint of ktramp is there; the target 'tracepoint' has one");
	*addr = where.addr;
	return 0;
}

/**
 * ktramp_probe_create() - make a probe
 * @request: what is wanted
 * @r: (out) the refusal
 *
 * The text is not touched.
 *
 * Context: process, sleeps.
 * Return: the probe's number, or a negative errno as struct ktramp_create documents.
 */
int ktramp_probe_create(const struct ktramp_request *request, struct ktramp_refusal *r)
{
	struct ktramp_probe *p;
	struct pid *process;
	unsigned long addr;
	int err;

	err = check_request(request, r);
	if (!err)
		err = find_site(request, &addr, r);
	if (!err)
		err = find_process(request, &process, r);
	if (err)
		return err;
	p = ktramp_probe_alloc(request, addr, process);
	put_pid(process);
	if (!p)
		return -ENOMEM;
	mutex_lock(&ktramp_mutex);
	err = ktramp_plan(p, r);
	if (!err)
		err = ktramp_probe_add(p, r);
	mutex_unlock(&ktramp_mutex);
	if (err < 0)
		ktramp_probe_put(p);
	return err;
}
