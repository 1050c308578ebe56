// SPDX-License-Identifier: GPL-2.0-only
/*
 * A probe is given its BPF program, or another one: a jump gets a detour made for it.
 *
 * While the probe is armed, the new detour is built beside the old one and the jump led there
 * (arm.c, (18) to (26)). What was there goes when nobody can be in it any more.
 */
#include <linux/err.h>
#include <linux/filter.h>
#include <linux/rcupdate.h>

#include "admit/context.h"
#include "engine/arm.h"
#include "engine/program.h"
#include "hit/bpf.h"
#include "hit/bpf_detour.h"
#include "hit/detour.h"
#include "hit/mechanism.h"
#include "hit/probe.h"
#include "kernel/compat.h"
#include "kernel/lock.h"
#include "kernel/slot.h"
#include "kernel/text.h"

#if KTRAMP_HAS_BPF_CTX

/* Code that is written, and nobody's yet. */
struct detour {
	unsigned long code;
	u32 len;
	u32 relocated;
	struct ktramp_region region;
};

/*
 * Lengths do not depend on the address, as for a new probe (create.c). A program whose detour is
 * too long for a slot is called by C.
 */
static int measure(struct ktramp_probe *p, struct ktramp_draft *draft)
{
	u8 *buf = draft->emit.buf;
	int err;

	draft->emit.addr = ktramp_slot_base();
	err = ktramp_prepare_detour_again(p, draft);
	if (err != -ENOSPC || p->handler == KTRAMP_BPF_INLINE)
		return err;
	p->bpf->shape.hook = 0;
	p->bpf->shape.class = KTRAMP_BPF_FULL;
	draft->emit = (struct ktramp_emit){
		.buf = buf, .max = KTRAMP_CODE_MAX, .addr = ktramp_slot_base(),
	};
	return ktramp_prepare_detour_again(p, draft);
}

static int build(struct ktramp_probe *p, struct detour *to, struct ktramp_refusal *r)
{
	u8 buf[KTRAMP_CODE_MAX];
	struct ktramp_draft draft = { .emit = { .buf = buf, .max = sizeof(buf) } };
	int err = measure(p, &draft);

	if (err)
		return err;
	to->len = draft.emit.len;
	to->code = ktramp_slot_alloc(to->len, &draft.place);
	if (!to->code)
		return ktramp_refuse(r, -ENOSPC, KTRAMP_R_SPACE,
				     "no room for %u bytes of a detour for this program%s", to->len,
				     draft.place.mask ? " where the jump wants them" : "");
	draft.emit = (struct ktramp_emit){ .buf = buf, .max = sizeof(buf), .addr = to->code };
	err = ktramp_prepare_detour_again(p, &draft) ?:
	      ktramp_text_write(to->code, buf, draft.emit.len);
	if (err) {
		ktramp_slot_free(to->code, to->len);
		return err;
	}
	to->relocated = draft.relocated;
	to->region = draft.region;
	return 0;
}

/* Step (21). Whoever is at the int3 goes on in the one copy or in the other. */
static void lead_to(struct ktramp_probe *p, const struct detour *to)
{
	unsigned int i;

	WRITE_ONCE(p->code, to->code);
	p->code_len = to->len;
	p->relocated = to->relocated;
	p->copied = to->region.copied;
	WRITE_ONCE(p->resume, to->code + to->relocated);
	for (i = 0; p->pins && i < p->pins->nr; i++)
		WRITE_ONCE(p->pins->pin[i].resume, to->code + to->region.pin[i].copy);
}

/* A probe that is armed, by a jump that leads to a detour of ours. */
static bool leads_to_detour(const struct ktramp_probe *p)
{
	return p->state == KTRAMP_ARMED || p->state == KTRAMP_STUCK;
}

static int give(struct ktramp_probe *p, struct bpf_prog *prog, struct ktramp_refusal *r)
{
	const struct detour from = { .code = p->code, .len = p->code_len };
	struct bpf_prog *old;
	struct detour to;
	int err = build(p, &to, r);

	if (err)
		return err;
	if (leads_to_detour(p)) {
		err = ktramp_probe_suspend(p, r);
		if (err) {
			ktramp_slot_free(to.code, to.len);
			return err;
		}
	}
	lead_to(p, &to);
	old = ktramp_bpf_swap(p->bpf, prog);
	if (leads_to_detour(p))
		ktramp_probe_resume(p);
	/* (26): what never was armed nobody has come to. */
	if (p->state != KTRAMP_NEW)
		ktramp_text_wait();
	ktramp_slot_free(from.code, from.len);
	if (old)
		bpf_prog_put(old);
	return 0;
}

/* What runs programs by way of C only needs to know which one. */
static int give_to_c(struct ktramp_probe *p, struct bpf_prog *prog)
{
	struct bpf_prog *old = ktramp_bpf_swap(p->bpf, prog);

	if (old) {
		synchronize_rcu();
		bpf_prog_put(old);
	}
	return 0;
}

static int refuse_inline(const struct ktramp_shape *shape, struct ktramp_refusal *r)
{
	bool calls = shape->class == KTRAMP_BPF_HELPERS || shape->class == KTRAMP_BPF_FULL;

	return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_PROGRAM,
			     "the program cannot stand in a detour, because it %s; the handler 'bpf' calls it",
			     calls || shape->guard ? shape->why :
			     "has a stack, memory that may not be there, or is too long");
}

/*
 * bpf_get_func_ip() asks which kprobe is running, which is none. Behind a function's entry it
 * returns 0 under a kprobe as well.
 */
static int check_func_ip(const struct ktramp_probe *p, const struct bpf_prog *prog,
			 struct ktramp_refusal *r)
{
	const unsigned long addr = ktramp_probe_addr(p);
	const struct ktramp_context *ctx;

	if (!KTRAMP_PROG_ASKS_FUNC_IP(prog))
		return 0;
	ctx = ktramp_context_at(addr, r);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	/* Also behind what was an endbr64: it may have been named by the function's start. */
	if (addr - ctx->func.addr > ktramp_func_entry(&ctx->func))
		return 0;
	return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_PROGRAM,
			     "bpf_get_func_ip() would return 0 at this entry, where a kprobe's returns the function; PT_REGS_IP() has the address");
}

static int set(struct ktramp_probe *p, struct ktramp_bpf *bpf, struct bpf_prog *prog,
	       struct ktramp_refusal *r)
{
	struct ktramp_bpf_handler *b = p->bpf;
	const struct ktramp_shape before = b->shape;
	bool was_tailored = ktramp_probe_is_tailored(p);
	u32 was_id = b->prog ? ktramp_bpf_prog_id(b->prog) : 0;
	int err;

	if (b->prog && b->run.bpf_cookie != bpf->cookie)
		return ktramp_refuse(r, -EINVAL, KTRAMP_R_SYNTAX,
				     "the cookie is the probe's, and cannot change with its program");
	err = check_func_ip(p, prog, r);
	if (err)
		return err;
	err = ktramp_program_shape(prog, p->handler == KTRAMP_BPF_INLINE ||
				   bpf->flags & KTRAMP_BPF_REENTRANT, &b->shape);
	if (!err && p->handler == KTRAMP_BPF_INLINE && !b->shape.inlines)
		err = refuse_inline(&b->shape, r);
	if (err) {
		b->shape = before;
		return err;
	}
	b->run.bpf_cookie = bpf->cookie;
	if (p->code && ktramp_probe_is_jump(p) && (was_tailored || ktramp_probe_is_tailored(p)))
		err = give(p, prog, r);
	else
		err = give_to_c(p, prog);
	if (err) {
		b->shape = before;
		return err;
	}
	/* C makes every program's pt_regs whole, and protects each. */
	if (!ktramp_probe_is_tailored(p))
		b->shape.class = KTRAMP_BPF_FULL;
	bpf->prog_id = ktramp_bpf_prog_id(prog);
	bpf->was_id = was_id;
	return 0;
}

/**
 * ktramp_program_set() - KTRAMP_IOC_BPF for a probe that was looked up
 * @p: a probe of ours that runs a program
 * @bpf: as struct ktramp_bpf says
 * @r: (out) the refusal
 *
 * Context: process, under ktramp_mutex; sleeps for a grace period if the probe has a program.
 */
int ktramp_program_set(struct ktramp_probe *p, struct ktramp_bpf *bpf, struct ktramp_refusal *r)
{
	struct bpf_prog *prog = ktramp_bpf_get(bpf, r);
	int err;

	lockdep_assert_held(&ktramp_mutex);
	if (IS_ERR(prog))
		return PTR_ERR(prog);
	err = set(p, bpf, prog, r);
	if (err)
		bpf_prog_put(prog);
	return err;
}

#else /* !KTRAMP_HAS_BPF_CTX */

int ktramp_program_set(struct ktramp_probe *p, struct ktramp_bpf *bpf, struct ktramp_refusal *r)
{
	return ktramp_bpf_handler_supported(r);
}

#endif /* KTRAMP_HAS_BPF_CTX */
