// SPDX-License-Identifier: GPL-2.0-only
/*
 * Detours, where a jump or a breakpoint goes on: save what the handler clobbers, call it, run the
 * displaced instructions, jump behind them.
 *
 * A detour runs in the context of its site: same stack, same interrupt flag,
 * preemptible or not.
 *
 * Nothing between a detour's first and last byte may sleep. Before its memory is reused
 * ktramp_text_wait() waits for tasks-RCU, to which a task that sleeps has left. That is why
 *   - a displaced call becomes a push of its return address and a jump: the callee, which
 *     may sleep, is not inside the detour, and returns to the original text;
 *   - handlers may not sleep, nor programs;
 *   - an instruction that may fault and be fixed up is not displaced (plan.c).
 * A task may still be preempted or interrupted in a detour; tasks-RCU waits for that.
 */
#include <linux/kernel.h>
#include <asm/cpufeature.h>
#include <asm/segment.h>

#include "hit/bpf.h"
#include "hit/bpf_detour.h"
#include "hit/detour.h"
#include "hit/emit.h"
#include "hit/handler.h"
#include "hit/mechanism.h"
#include "hit/probe.h"
#include "hit/resume.h"
#include "kernel/compat.h"
#include "plan/live.h"

/* General registers in the order pt_regs has them, from its end: what push makes of it. */
static const u8 push_order[] = { RDI, RSI, 2, 1, 0, 8, 9, 10, 11, 3, 5, 12, 13, 14, 15 };

/* The part of them that a C function may clobber comes first. */
#define NR_CALLER_SAVED		9

/* Flags are saved unless what follows the handler overwrites all it may change. */
static void emit_save_flags(struct ktramp_emit *e, const struct ktramp_dead *dead)
{
	if ((dead->flags & KTRAMP_F_ARITH) != KTRAMP_F_ARITH)
		ktramp_emit(e, 0x9c);			/* pushfq */
}

static void emit_restore_flags(struct ktramp_emit *e, const struct ktramp_dead *dead)
{
	if ((dead->flags & KTRAMP_F_ARITH) != KTRAMP_F_ARITH)
		ktramp_emit(e, 0x9d);			/* popfq */
}

static void emit_save_rdi(struct ktramp_emit *e, const struct ktramp_dead *dead)
{
	if (!(dead->regs & BIT(RDI)))
		ktramp_emit_push(e, RDI);
}

static void emit_restore_rdi(struct ktramp_emit *e, const struct ktramp_dead *dead)
{
	if (!(dead->regs & BIT(RDI)))
		ktramp_emit_pop(e, RDI);
}

/* ktramp_handle_count() and _pid() preserve all registers but its argument (Kbuild). */
static void emit_count(struct ktramp_emit *e, const struct ktramp_probe *p,
		       const struct ktramp_dead *dead)
{
	emit_save_flags(e, dead);
	emit_save_rdi(e, dead);
	ktramp_emit_mov(e, RDI, p->pid ? (u64)p : (u64)(__force unsigned long)p->stat);
	ktramp_emit_call(e, p->pid ? (void *)ktramp_handle_count_pid : (void *)ktramp_handle_count);
	emit_restore_rdi(e, dead);
	emit_restore_flags(e, dead);
}

/* incq %gs:(%reg), the address in a register that is free, if there is one */
static void emit_count_far(struct ktramp_emit *e, u64 hits, const struct ktramp_dead *dead)
{
	/* RSP and RBP are encoded otherwise. */
	static const u8 regs[] = { RDI, RSI, RAX, 1, 2, 3 };
	u8 reg = RDI;
	int i;

	for (i = ARRAY_SIZE(regs) - 1; i >= 0; i--)
		if (dead->regs & BIT(regs[i]))
			reg = regs[i];
	if (!(dead->regs & BIT(reg)))
		ktramp_emit_push(e, reg);
	ktramp_emit_mov(e, reg, hits);
	ktramp_emit(e, 0x65, 0x48, 0xff, reg);
	if (!(dead->regs & BIT(reg)))
		ktramp_emit_pop(e, reg);
}

/* What ktramp_handle_count() does, without it. */
static void emit_count_inline(struct ktramp_emit *e, const struct ktramp_probe *p,
			      const struct ktramp_dead *dead)
{
	u64 hits = (__force unsigned long)&p->stat->hits;

	emit_save_flags(e, dead);
	if (hits == (u64)(s32)hits) {
		/* incq %gs:disp32, absolute: sign extended */
		ktramp_emit(e, 0x65, 0x48, 0xff, 0x04, 0x25);
		ktramp_emit_bytes(e, &hits, 4);
	} else {
		/* A chunk of per-CPU memory may be anywhere in the address space. */
		emit_count_far(e, hits, dead);
	}
	emit_restore_flags(e, dead);
}

/* ModRM and displacement of offset(%rdi) */
static void emit_at_rdi(struct ktramp_emit *e, u8 reg, s32 offset)
{
	bool is_short = offset == (s8)offset;

	ktramp_emit(e, (is_short ? 0x40 : 0x80) | (reg & 7) << 3 | RDI);
	if (is_short)
		ktramp_emit(e, offset);
	else
		ktramp_emit_s32(e, offset);
}

/* pop %gs:offset(%rdi) */
static void emit_pop_to(struct ktramp_emit *e, s32 offset)
{
	ktramp_emit(e, 0x65, 0x8f);
	emit_at_rdi(e, 0, offset);
}

/* mov %reg, %gs:offset(%rdi) */
static void emit_store(struct ktramp_emit *e, u8 reg, s32 offset)
{
	ktramp_emit(e, 0x65, 0x48 | (reg >= 8 ? 0x04 : 0), 0x89);
	emit_at_rdi(e, reg, offset);
}

/* RDI points to the snapshot; what was in it is on the stack, and the flags are. */
static void emit_store_all(struct ktramp_emit *e)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(push_order); i++)
		if (push_order[i] != RDI)
			emit_store(e, push_order[i],
				   offsetof(struct pt_regs, di) - i * (int)sizeof(u64));
	ktramp_emit(e, 0xff, 0x34, 0x24);		/* push (%rsp) */
	emit_pop_to(e, offsetof(struct pt_regs, di));
	ktramp_emit(e, 0xff, 0x74, 0x24, 0x08);		/* push 8(%rsp) */
	emit_pop_to(e, offsetof(struct pt_regs, flags));
	/* RAX is stored already. */
	ktramp_emit(e, 0x48, 0x8d, 0x44, 0x24, 0x10);	/* lea 16(%rsp), %rax */
	emit_store(e, RAX, offsetof(struct pt_regs, sp));
	ktramp_emit(e, 0x65, 0x48, 0x8b);		/* mov %gs:ax(%rdi), %rax */
	emit_at_rdi(e, RAX, offsetof(struct pt_regs, ax));
}

/* What is the same at each hit. */
static void fill_snapshots(const struct ktramp_probe *p)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct ktramp_snapshot *snapshot = per_cpu_ptr(p->regs, cpu);

		snapshot->stat = p->stat;
		snapshot->regs.orig_ax = -1;
		snapshot->regs.ip = p->trap.addr;
		snapshot->regs.cs = __KERNEL_CS;
		snapshot->regs.ss = __KERNEL_DS;
	}
}

/*
 * Store the registers where ktramp_handle_regs() would copy them to. Building a pt_regs on the
 * stack and copying it would double the instructions. Interrupts are off meanwhile, so that no
 * other hit comes between; an NMI that hits this probe too sees it by the depth. The flags are
 * always restored, for IF.
 */
static void emit_snapshot(struct ktramp_emit *e, const struct ktramp_probe *p)
{
	const s32 depth = offsetof(struct ktramp_snapshot, depth);
	u8 buf[S8_MAX];		/* within reach of a short jump */
	struct ktramp_emit stores = { .buf = buf, .max = sizeof(buf) };

	fill_snapshots(p);
	ktramp_emit(e, 0x9c);				/* pushfq */
	ktramp_emit(e, 0xfa);				/* cli */
	ktramp_emit_push(e, RDI);
	ktramp_emit_mov(e, RDI, (__force unsigned long)p->regs);
	ktramp_emit(e, 0x65, 0xff);			/* incl %gs:depth(%rdi) */
	emit_at_rdi(e, 0, depth);
	ktramp_emit(e, 0x65, 0x83);			/* cmpl $1, %gs:depth(%rdi) */
	emit_at_rdi(e, 7, depth);
	ktramp_emit(e, 1);
	emit_store_all(&stores);
	ktramp_emit(e, 0x75, stores.len);		/* jne: to behind the stores */
	ktramp_emit_bytes(e, buf, stores.len);
	e->err = e->err ?: stores.err;
	ktramp_emit_call(e, ktramp_handle_stored);
	ktramp_emit_pop(e, RDI);
	ktramp_emit(e, 0x9d);				/* popfq */
}

/*
 * The handler of one process only asks first, in C. And under Xen's paravirtualisation it is
 * not the flags that have the interrupt flag.
 */
static bool stores_itself(const struct ktramp_probe *p)
{
	return p->handler == KTRAMP_REGS && !p->pid && !boot_cpu_has(X86_FEATURE_XENPV);
}

static void emit_call_regs(struct ktramp_emit *e, const struct ktramp_probe *p)
{
	ktramp_emit(e, 0x48, 0x89, 0xe6);		/* mov %rsp, %rsi */
	ktramp_emit_mov(e, RDI, (u64)p);
	ktramp_emit_call(e, ktramp_handle_regs);
}

static void emit_call_bpf(struct ktramp_emit *e, const struct ktramp_probe *p)
{
	ktramp_emit(e, 0x48, 0x89, 0xe7);		/* mov %rsp, %rdi */
	ktramp_emit_mov(e, RSI, (u64)p->bpf);
	ktramp_emit_call(e, p->pid ? ktramp_handle_bpf_pid : ktramp_handle_bpf);
}

/*
 * What C code takes for granted and the site's function may have changed: the direction of
 * string instructions (std), and that user memory is out of reach (stac, or a function that
 * is called with it in reach: such have fixups).
 */
static struct ktramp_odd_flags find_odd_flags(const struct ktramp_func *func)
{
	static const u8 stac[] = { 0x0f, 0x01, 0xcb };
	struct ktramp_odd_flags odd = {};
	u32 off;

	for (off = 0; off < func->known; off++) {
		odd.access |= func->marks[off] & KTRAMP_M_FIXUP;
		if (!(func->marks[off] & KTRAMP_M_START))
			continue;
		odd.direction |= func->code[off] == 0xfd;	/* std */
		odd.access |= off + sizeof(stac) <= func->known &&
			      !memcmp(func->code + off, stac, sizeof(stac));
	}
	odd.access &= boot_cpu_has(X86_FEATURE_SMAP);
	return odd;
}

/* Build the pt_regs that a breakpoint at the site would have made. */
static void emit_regs(struct ktramp_emit *e, const struct ktramp_probe *p,
		      const struct ktramp_layout *layout)
{
	const struct ktramp_dead *dead = &layout->dead;
	const struct ktramp_odd_flags odd = layout->odd;
	const u8 callee_saved = (ARRAY_SIZE(push_order) - NR_CALLER_SAVED) * 8;
	/* To programs RIP is where kprobes have it. */
	const u64 ip = p->trap.addr + ktramp_probe_runs_program(p);
	int i;

	ktramp_emit(e, 0x6a, __KERNEL_DS);		/* push $__KERNEL_DS */
	ktramp_emit(e, 0x54);				/* push %rsp: 8 less than at the site */
	ktramp_emit(e, 0x9c);				/* pushfq */
	ktramp_emit(e, 0x6a, __KERNEL_CS);		/* push $__KERNEL_CS */
	ktramp_emit(e, 0x68);				/* push $ip, sign extended */
	ktramp_emit_s32(e, (s64)ip);
	ktramp_emit(e, 0x6a, 0xff);			/* push $-1: orig_ax, no system call */
	for (i = 0; i < ARRAY_SIZE(push_order); i++)
		ktramp_emit_push(e, push_order[i]);
	/* addq $8, sp(%rsp): the flags are saved already */
	ktramp_emit(e, 0x48, 0x83, 0x84, 0x24);
	ktramp_emit_s32(e, offsetof(struct pt_regs, sp));
	ktramp_emit(e, 0x08);
	if (odd.direction)
		ktramp_emit(e, 0xfc);			/* cld */
	if (odd.access)
		ktramp_emit(e, 0x0f, 0x01, 0xca);	/* clac */
	if (ktramp_probe_runs_program(p))
		emit_call_bpf(e, p);
	else
		emit_call_regs(e, p);
	/* lea callee_saved(%rsp), %rsp: the handler preserved them */
	ktramp_emit(e, 0x48, 0x8d, 0x64, 0x24, callee_saved);
	for (i = NR_CALLER_SAVED; i--;)
		ktramp_emit_pop(e, push_order[i]);
	if ((dead->flags & KTRAMP_F_ARITH) == KTRAMP_F_ARITH && !odd.direction && !odd.access) {
		ktramp_emit(e, 0x48, 0x8d, 0x64, 0x24, 0x30);	/* lea 48(%rsp), %rsp: all of it */
		return;
	}
	ktramp_emit(e, 0x48, 0x8d, 0x64, 0x24, 0x18);	/* lea 24(%rsp), %rsp: orig_ax, ip, cs */
	ktramp_emit(e, 0x9d);				/* popfq */
	ktramp_emit(e, 0x48, 0x8d, 0x64, 0x24, 0x10);	/* lea 16(%rsp), %rsp: sp, ss */
}

/* Everything in front of the displaced instructions. */
static void emit_front(struct ktramp_emit *e, const struct ktramp_probe *p,
		       const struct ktramp_layout *layout)
{
	if (p->handler == KTRAMP_COUNT)
		emit_count(e, p, &layout->dead);
	else if (p->handler == KTRAMP_COUNT_INLINE)
		emit_count_inline(e, p, &layout->dead);
	else if (stores_itself(p))
		emit_snapshot(e, p);
	else
		emit_regs(e, p, layout);
}

/* Return: 0, or what ktramp_synthesize_region() does. */
static int write_detour(const struct ktramp_probe *p, const struct ktramp_site *site,
			const struct ktramp_layout *layout, struct ktramp_draft *draft)
{
	struct ktramp_bpf_draft tailored = { .p = p, .layout = layout };
	struct ktramp_emit *e = &draft->emit;
	bool tailor = ktramp_probe_is_tailored(p);
	int err;

	if (tailor)
		ktramp_bpf_emit_front(&tailored, e);
	else
		emit_front(e, p, layout);
	draft->relocated = e->len;
	err = ktramp_synthesize_region(e, site, &draft->region);
	if (tailor && !err) {
		ktramp_bpf_emit_behind(&tailored, e, draft->relocated, emit_regs);
		err = e->err;
	}
	return err;
}

/**
 * ktramp_prepare_divert() - write the detour of a breakpoint: it displaces one instruction
 * @p: the probe; its @resume and @relocated are filled in
 * @site: its site
 * @draft: the detour
 * @r: (out) the refusal
 *
 * Return: 0, -EOPNOTSUPP, -ERANGE.
 */
int ktramp_prepare_divert(struct ktramp_probe *p, const struct ktramp_site *site,
			  struct ktramp_draft *draft, struct ktramp_refusal *r)
{
	const struct ktramp_layout layout = {
		.dead = ktramp_live_dead(site), .odd = find_odd_flags(&site->func),
	};
	int err = ktramp_plan_copy(site, r);

	if (err)
		return err;
	emit_front(&draft->emit, p, &layout);
	p->relocated = draft->emit.len;
	/* Handler, copy, and a jump back: behind the handler it is a boost. */
	return ktramp_prepare_boost(p, site, draft, r);
}

/**
 * ktramp_prepare_detour() - plan the displaced region and write the detour
 * @p: the probe; its region, @resume and @relocated are filled in
 * @site: its site
 * @draft: the detour, and where it may be
 * @r: (out) the refusal
 *
 * Return: 0, -EOPNOTSUPP, -ERANGE.
 */
int ktramp_prepare_detour(struct ktramp_probe *p, const struct ktramp_site *site,
			  struct ktramp_draft *draft, struct ktramp_refusal *r)
{
	struct ktramp_layout layout = {
		.dead = ktramp_live_dead(site), .odd = find_odd_flags(&site->func),
	};
	struct ktramp_region *region = &draft->region;
	int err;

	err = ktramp_plan_region(site, region, r);
	if (err)
		return err;
	draft->place = ktramp_plan_place(site, region);
	err = write_detour(p, site, &layout, draft);
	p->region = region->len;
	p->nr_displaced = region->nr;
	p->armed_len = region->jump;
	p->tactic = region->tactic;
	p->relocated = draft->relocated;
	p->resume = draft->emit.addr + draft->relocated;
	p->copied = region->copied;
	layout.region = *region;
	layout.place = draft->place;
	if (ktramp_probe_runs_program(p) && p->bpf)
		p->bpf->layout = layout;
	if (err == -ERANGE)
		return ktramp_refuse(r, err, KTRAMP_R_RANGE,
				     "an operand of the displaced region does not reach from the detour");
	return err;
}

/**
 * ktramp_prepare_detour_again() - write the detour of another program
 * @p: a probe that was planned for; nothing of it changes
 * @draft: the detour, and where it may be
 *
 * The displaced instructions are those of @p->before: the site may be armed.
 *
 * Return: 0, -ENOSPC, -ERANGE.
 */
int ktramp_prepare_detour_again(const struct ktramp_probe *p, struct ktramp_draft *draft)
{
	const struct ktramp_layout *layout = &p->bpf->layout;
	const struct ktramp_site site = {
		.func = {
			.code = p->before, .addr = ktramp_probe_addr(p), .size = p->region,
			.known = p->region,
		},
		.addr = ktramp_probe_addr(p),
	};

	draft->region = layout->region;
	draft->place = layout->place;
	return write_detour(p, &site, layout, draft);
}

/**
 * ktramp_detour_jump() - the bytes of the jump from a site to its detour, or its springboard
 * @p: the probe
 * @jump: (out) prefixes and e9 rel32, or eb rel8: @p->armed_len bytes
 */
void ktramp_detour_jump(const struct ktramp_probe *p, u8 jump[KTRAMP_JUMP_MAX])
{
	struct ktramp_emit e = { .buf = jump, .max = KTRAMP_JUMP_MAX, .addr = p->trap.addr };

	ktramp_synthesize_jump(&e, p->armed_len, p->springboard ? p->springboard->addr : p->code);
}

/**
 * ktramp_springboard_jump() - the bytes of the jump from a springboard to the detour
 * @p: a probe with a springboard
 * @jump: (out) e9 rel32
 */
void ktramp_springboard_jump(const struct ktramp_probe *p, u8 jump[KTRAMP_JMP_SIZE])
{
	struct ktramp_emit e = {
		.buf = jump, .max = KTRAMP_JMP_SIZE, .addr = p->springboard->addr,
	};

	ktramp_synthesize_jump(&e, KTRAMP_JMP_SIZE, p->code);
}
