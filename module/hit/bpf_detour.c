// SPDX-License-Identifier: GPL-2.0-only
/*
 * Detours made for their BPF program: what they save is what it changes and somebody reads, its
 * pt_regs has the registers that it reads, and what protects it stands in line.
 *
 * In time order:
 *   (a) The flags are saved, if anybody reads them.
 *   (b) Has the program a caller's duties? If kernel.bpf_stats_enabled is on, or something is
 *       attached to the program (fentry, fexit, freplace: the nop at its entry is none), C calls
 *       it: of what is attached nobody knows which registers it changes. The code that does is
 *       the detour of a program that nothing is known of.
 *   (c) The frame: members of pt_regs that are read, where they belong, and what is only saved,
 *       in the gaps and below.
 *   (d) The guard: preemption is turned off, and a hit inside of another one is counted and not
 *       handled (ktramp_bpf_depth). With functions to call, bpf_ctx and migration are looked at
 *       as ktramp_handle_bpf() does, and bpf_ctx is set. If one of them may take a lock,
 *       bpf_prog_active is looked at, and raised.
 *   (e) The hit is counted and the program called, behind its nops.
 *   (f) All that in reverse.
 * A program without a guard may be interrupted, preempted and migrated: it reads no register
 * and changes memory by atomic operations only. Its memory outlives it, because it is freed
 * behind ktramp_text_wait(), when nobody is in the detour any more.
 *
 * With the handler bpf-inline the program's instructions stand at (e), and (b) is left out.
 *
 * Interrupts see the frame half made at any step: what is below the stack pointer is nobody's.
 */
#include <linux/filter.h>
#include <linux/kernel.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <asm/segment.h>

#include "hit/bpf.h"
#include "hit/bpf_detour.h"
#include "hit/emit.h"
#include "hit/handler.h"
#include "hit/probe.h"
#include "kernel/active.h"
#include "kernel/compat.h"
#include "plan/ebpf.h"

#if KTRAMP_HAS_BPF_CTX

/* What a frame is made of beside the 16 registers. */
enum {
	FRAME_ORIG_AX = 16,
	FRAME_IP,
	FRAME_CS,
	FRAME_FLAGS,
	FRAME_SP,
	FRAME_SS,
	FRAME_GAP,
};

/* Which register each member of pt_regs is. */
static const u8 members[KTRAMP_FIELDS] = {
	15, 14, 13, 12, 5, 3, 11, 10, 9, 8, 0, 1, 2, 6, 7,
	FRAME_ORIG_AX, FRAME_IP, FRAME_CS, FRAME_FLAGS, FRAME_SP, FRAME_SS,
};

#define MEMBER(name)	(offsetof(struct pt_regs, name) / 8)

/* Conditions of jcc */
#define CC_E		0x4
#define CC_NE		0x5

/* ---- single instructions ---- */

/* A 32-bit absolute address, sign extended */
static void emit_abs(struct ktramp_emit *e, u64 addr)
{
	ktramp_emit_s32(e, (s64)addr);
}

static bool reaches(u64 addr)
{
	return addr == (u64)(s32)addr;
}

static u64 percpu_addr(const void __percpu *variable)
{
	return (__force unsigned long)variable;
}

/* inc (0) or dec (1) %gs:addr, of 4 bytes, or 8 */
static void emit_step(struct ktramp_emit *e, u8 dec, bool wide, u64 addr)
{
	ktramp_emit(e, 0x65);
	if (wide)
		ktramp_emit(e, 0x48);
	ktramp_emit(e, 0xff, 0x04 | dec << 3, 0x25);
	emit_abs(e, addr);
}

/* mov %gs:current_task, %reg */
static void emit_current(struct ktramp_emit *e, u8 reg)
{
	ktramp_emit(e, 0x65, 0x48, 0x8b, 0x04 | reg << 3, 0x25);
	emit_abs(e, percpu_addr(KTRAMP_CURRENT_TASK));
}

/* ModRM and displacement of offset(%reg) */
static void emit_at(struct ktramp_emit *e, u8 opcode_or_reg, u8 reg, u32 offset)
{
	ktramp_emit(e, 0x80 | opcode_or_reg << 3 | reg);
	ktramp_emit_s32(e, offset);
}

/* lea bytes(%rsp), %rsp: the flags stay */
static void emit_move_sp(struct ktramp_emit *e, s32 bytes)
{
	if (!bytes)
		return;
	if (bytes == (s8)bytes) {
		ktramp_emit(e, 0x48, 0x8d, 0x64, 0x24, bytes);
	} else {
		ktramp_emit(e, 0x48, 0x8d, 0xa4, 0x24);
		ktramp_emit_s32(e, bytes);
	}
}

/* ---- labels ---- */

static void bind(struct ktramp_bpf_draft *d, const struct ktramp_emit *e, enum ktramp_label label)
{
	d->at[label] = e->len;
}

static void emit_later(struct ktramp_bpf_draft *d, struct ktramp_emit *e, enum ktramp_label label)
{
	if (WARN_ON_ONCE(d->nr_fixups == ARRAY_SIZE(d->fixup))) {
		e->err = e->err ?: -ENOSPC;
		return;
	}
	d->fixup[d->nr_fixups].at = e->len;
	d->fixup[d->nr_fixups++].label = label;
	ktramp_emit_s32(e, 0);
}

/* jcc rel32 */
static void emit_jcc(struct ktramp_bpf_draft *d, struct ktramp_emit *e, u8 cc,
		     enum ktramp_label label)
{
	ktramp_emit(e, 0x0f, 0x80 | cc);
	emit_later(d, e, label);
}

/* jmp rel32 */
static void emit_jmp(struct ktramp_bpf_draft *d, struct ktramp_emit *e, enum ktramp_label label)
{
	ktramp_emit(e, 0xe9);
	emit_later(d, e, label);
}

static void fix_up(const struct ktramp_bpf_draft *d, struct ktramp_emit *e)
{
	unsigned int i;

	for (i = 0; i < d->nr_fixups && !e->err; i++) {
		u32 at = d->fixup[i].at;
		s32 rel = d->at[d->fixup[i].label] - (at + 4);

		memcpy(e->buf + at, &rel, sizeof(rel));
	}
}

/* ---- (a), (c): the frame ---- */

static bool has_environment(const struct ktramp_shape *shape)
{
	return shape->class == KTRAMP_BPF_FULL || shape->class == KTRAMP_BPF_HELPERS;
}

/* Flags that functions take for granted; the program's own code does not mind them. */
static bool is_odd(const struct ktramp_bpf_draft *d)
{
	return has_environment(d->shape) && (d->layout->odd.direction || d->layout->odd.access);
}

static void add_item(struct ktramp_bpf_draft *d, u8 what, bool restore)
{
	d->item[d->nr++] = (struct ktramp_frame_item){
		.what = what, .bytes = 8, .restore = restore,
	};
}

static void add_gap(struct ktramp_bpf_draft *d)
{
	if (d->nr && d->item[d->nr - 1].what == FRAME_GAP)
		d->item[d->nr - 1].bytes += 8;
	else
		add_item(d, FRAME_GAP, false);
}

static u32 frame_bytes(const struct ktramp_bpf_draft *d)
{
	unsigned int i;
	u32 sum = 0;

	for (i = 0; i < d->nr; i++)
		sum += d->item[i].bytes;
	return sum;
}

/* One that is only saved: it may stand anywhere. */
static u8 take_spare(u16 *spare)
{
	u8 reg = __ffs(*spare);

	*spare &= ~BIT(reg);
	return reg;
}

static u16 only_saved(u16 saved, u32 fields)
{
	unsigned int i;

	for (i = 0; i < KTRAMP_FIELDS; i++)
		if ((fields & BIT(i)) && members[i] < 16)
			saved &= ~BIT(members[i]);
	return saved;
}

/* Members that are read, from the last one down, where they belong. */
static void plan_fields(struct ktramp_bpf_draft *d, u32 fields, u16 saved, bool flags, u16 *spare)
{
	int i;

	for (i = __fls(fields); i >= (int)__ffs(fields); i--) {
		u8 what = members[i];

		if (!(fields & BIT(i))) {
			if (*spare)
				add_item(d, take_spare(spare), true);
			else
				add_gap(d);
			continue;
		}
		/* What is pushed already is not the site's. */
		if (what == FRAME_SP)
			d->wrong_by = frame_bytes(d);
		add_item(d, what, what < 16 ? saved & BIT(what) : what == FRAME_FLAGS && flags);
		if (what == FRAME_FLAGS)
			d->nr_first = d->nr;
	}
}

static void plan_frame(struct ktramp_bpf_draft *d)
{
	bool flags = (d->layout->dead.flags & KTRAMP_F_ARITH) != KTRAMP_F_ARITH || is_odd(d);
	u32 fields = d->shape->fields, bytes;
	u16 saved = d->shape->clobbers, spare;

	/* The detour itself changes the register that it hands the frame over in. */
	if (fields)
		saved |= BIT(RDI);
	saved &= ~d->layout->dead.regs;

	/* Above them stands what is read: they have their place there, or come first. */
	if (flags && fields >= BIT(MEMBER(flags)))
		fields |= BIT(MEMBER(flags));
	spare = only_saved(saved, fields);
	if (flags && !(fields & BIT(MEMBER(flags)))) {
		add_item(d, FRAME_FLAGS, true);
		d->nr_first = d->nr;
	}
	if (fields)
		plan_fields(d, fields, saved, flags, &spare);
	bytes = frame_bytes(d);
	while (spare)
		add_item(d, take_spare(&spare), true);
	if (!fields)
		return;
	d->base = frame_bytes(d) - bytes - 8 * (s32)__ffs(fields);
	if (d->wrong_by)
		d->fix_sp = d->base + offsetof(struct pt_regs, sp);
}

static void emit_item(const struct ktramp_bpf_draft *d, struct ktramp_emit *e,
		      const struct ktramp_frame_item *item)
{
	switch (item->what) {
	case FRAME_ORIG_AX:
		ktramp_emit(e, 0x6a, 0xff);		/* push $-1: no system call */
		break;
	case FRAME_IP:
		ktramp_emit(e, 0x68);			/* push $ip: as kprobes have it */
		ktramp_emit_s32(e, (s64)ktramp_probe_addr(d->p) + 1);
		break;
	case FRAME_CS:
		ktramp_emit(e, 0x6a, __KERNEL_CS);
		break;
	case FRAME_FLAGS:
		ktramp_emit(e, 0x9c);			/* pushfq */
		break;
	case FRAME_SP:
		ktramp_emit(e, 0x54);			/* push %rsp */
		break;
	case FRAME_SS:
		ktramp_emit(e, 0x6a, __KERNEL_DS);
		break;
	case FRAME_GAP:
		emit_move_sp(e, -(s32)item->bytes);
		break;
	default:
		ktramp_emit_push(e, item->what);
	}
}

/* Put back what the first @nr items are. */
static void emit_undo(const struct ktramp_bpf_draft *d, struct ktramp_emit *e, unsigned int nr)
{
	s32 skip = 0;

	while (nr--) {
		if (!d->item[nr].restore) {
			skip += d->item[nr].bytes;
			continue;
		}
		emit_move_sp(e, skip);
		skip = 0;
		if (d->item[nr].what == FRAME_FLAGS)
			ktramp_emit(e, 0x9d);		/* popfq */
		else
			ktramp_emit_pop(e, d->item[nr].what);
	}
	emit_move_sp(e, skip);
}

static void emit_frame(const struct ktramp_bpf_draft *d, struct ktramp_emit *e)
{
	unsigned int i;

	for (i = d->nr_first; i < d->nr; i++)
		emit_item(d, e, &d->item[i]);
	if (has_environment(d->shape) && d->layout->odd.direction)
		ktramp_emit(e, 0xfc);			/* cld */
	if (has_environment(d->shape) && d->layout->odd.access)
		ktramp_emit(e, 0x0f, 0x01, 0xca);	/* clac */
	if (!d->fix_sp)
		return;
	/* addq $wrong_by, fix_sp(%rsp): the flags are saved, or nobody's */
	ktramp_emit(e, 0x48, 0x83, 0x84, 0x24);
	ktramp_emit_s32(e, d->fix_sp);
	ktramp_emit(e, d->wrong_by);
}

/* ---- (b) ---- */

static bool is_inline(const struct ktramp_bpf_draft *d)
{
	return d->p->handler == KTRAMP_BPF_INLINE;
}

static void emit_duties(struct ktramp_bpf_draft *d, struct ktramp_emit *e)
{
	/* What stands in the detour is nobody's program. */
	if (is_inline(d))
		return;
	ktramp_emit(e, 0x83, 0x3c, 0x25);		/* cmpl $0, bpf_stats_enabled_key */
	emit_abs(e, (unsigned long)&bpf_stats_enabled_key.key.enabled);
	ktramp_emit(e, 0x00);
	emit_jcc(d, e, CC_NE, KTRAMP_L_CALL_IN_C);
	ktramp_emit(e, 0x80, 0x3c, 0x25);		/* cmpb $0x0f, hook: still a nop? */
	emit_abs(e, d->shape->hook);
	ktramp_emit(e, 0x0f);
	emit_jcc(d, e, CC_NE, KTRAMP_L_CALL_IN_C);
}

/* ---- (d), (e), (f) ---- */

/* One of the counters of struct ktramp_stat. */
static void emit_count(const struct ktramp_bpf_draft *d, struct ktramp_emit *e, u32 offset)
{
	u64 counter = percpu_addr(d->p->stat) + offset;

	if (reaches(counter)) {
		emit_step(e, 0, true, counter);
		return;
	}
	ktramp_emit_mov(e, d->scratch, counter);
	ktramp_emit(e, 0x65, 0x48, 0xff, d->scratch);	/* incq %gs:(%scratch) */
}

static void emit_ask_process(struct ktramp_bpf_draft *d, struct ktramp_emit *e)
{
	if (!d->p->pid)
		return;
	emit_current(e, d->scratch);
	ktramp_emit(e, 0x81);				/* cmpl $pid, tgid(%scratch) */
	emit_at(e, 7, d->scratch, offsetof(struct task_struct, tgid));
	ktramp_emit_s32(e, (s32)d->p->pid);
	emit_jcc(d, e, CC_NE, KTRAMP_L_OTHER_PROCESS);
}

/* Where RCU may not watch: C asks. */
static void emit_ask_idle(struct ktramp_bpf_draft *d, struct ktramp_emit *e)
{
	if (!KTRAMP_IDLE_IS_TRACED || !has_environment(d->shape))
		return;
	emit_current(e, d->scratch);
	ktramp_emit(e, 0xf7);				/* testl $PF_IDLE, flags(%scratch) */
	emit_at(e, 0, d->scratch, offsetof(struct task_struct, flags));
	ktramp_emit_s32(e, PF_IDLE);
	emit_jcc(d, e, CC_NE, KTRAMP_L_LEAVE_TO_C);
}

/* Do the kernel's own programs need to know that it runs, and it of them? */
static bool is_active(const struct ktramp_bpf_draft *d)
{
	return has_environment(d->shape) && d->shape->locks && ktramp_active;
}

static void emit_environment(struct ktramp_bpf_draft *d, struct ktramp_emit *e)
{
	const u32 bpf_ctx = offsetof(struct task_struct, bpf_ctx);

	emit_current(e, d->scratch);
	ktramp_emit(e, 0x48, 0x83);			/* cmpq $0, bpf_ctx(%scratch) */
	emit_at(e, 7, d->scratch, bpf_ctx);
	ktramp_emit(e, 0x00);
	emit_jcc(d, e, CC_NE, KTRAMP_L_MISS);
#ifdef CONFIG_SMP
	ktramp_emit(e, 0x66, 0x83);			/* cmpw $0, migration_disabled(%scratch) */
	emit_at(e, 7, d->scratch, offsetof(struct task_struct, migration_disabled));
	ktramp_emit(e, 0x00);
	emit_jcc(d, e, CC_NE, KTRAMP_L_MISS);
#endif
	if (is_active(d)) {
		ktramp_emit(e, 0x65, 0x83, 0x3c, 0x25);	/* cmpl $0, %gs:bpf_prog_active */
		emit_abs(e, percpu_addr(ktramp_active));
		ktramp_emit(e, 0x00);
		emit_jcc(d, e, CC_NE, KTRAMP_L_MISS);
		emit_step(e, 0, false, percpu_addr(ktramp_active));
	}
	ktramp_emit_mov(e, RDI, (unsigned long)&d->p->bpf->run.run_ctx);
	ktramp_emit(e, 0x48, 0x89);			/* mov %rdi, bpf_ctx(%scratch) */
	emit_at(e, RDI, d->scratch, bpf_ctx);
}

static void emit_enter(struct ktramp_bpf_draft *d, struct ktramp_emit *e)
{
	if (!d->shape->guard)
		return;
	if (IS_ENABLED(CONFIG_PREEMPT_COUNT))
		emit_step(e, 0, KTRAMP_PREEMPT_COUNT_IS_LONG, percpu_addr(KTRAMP_PREEMPT_COUNT));
	emit_step(e, 0, false, percpu_addr(&ktramp_bpf_depth));
	emit_jcc(d, e, CC_NE, KTRAMP_L_MISS);
	if (has_environment(d->shape))
		emit_environment(d, e);
}

static void emit_leave(struct ktramp_bpf_draft *d, struct ktramp_emit *e)
{
	if (is_active(d))
		emit_step(e, 1, false, percpu_addr(ktramp_active));
	if (has_environment(d->shape)) {
		emit_current(e, d->scratch);
		ktramp_emit(e, 0x48, 0xc7);		/* movq $0, bpf_ctx(%scratch) */
		emit_at(e, 0, d->scratch, offsetof(struct task_struct, bpf_ctx));
		ktramp_emit_s32(e, 0);
	}
	bind(d, e, KTRAMP_L_OUT);
	if (d->shape->guard) {
		emit_step(e, 1, false, percpu_addr(&ktramp_bpf_depth));
		if (IS_ENABLED(CONFIG_PREEMPT_COUNT))
			emit_step(e, 1, KTRAMP_PREEMPT_COUNT_IS_LONG,
				  percpu_addr(KTRAMP_PREEMPT_COUNT));
		if (IS_ENABLED(CONFIG_PREEMPTION))
			emit_jcc(d, e, CC_E, KTRAMP_L_RESCHED);
	}
	bind(d, e, KTRAMP_L_BACK);
}

static void emit_body(const struct ktramp_bpf_draft *d, struct ktramp_emit *e)
{
	/* Under ktramp_mutex, as all detours are written. */
	static u16 moved[KTRAMP_BODY_MAX + 1];
	const struct ktramp_jited j = { .body = d->shape->body };

	ktramp_synthesize_body(e, &j, &d->shape->code, moved);
}

static void emit_program(struct ktramp_bpf_draft *d, struct ktramp_emit *e)
{
	emit_count(d, e, offsetof(struct ktramp_stat, hits));
	if (d->shape->fields) {
		ktramp_emit(e, 0x48, 0x8d, 0xbc, 0x24);	/* lea base(%rsp), %rdi */
		ktramp_emit_s32(e, d->base);
	}
	if (is_inline(d)) {
		emit_body(d, e);
		return;
	}
	ktramp_emit(e, 0xe8);				/* call, behind the nops */
	ktramp_emit_rel32(e, d->shape->entry);
}

/**
 * ktramp_probe_is_tailored() - is a detour made for the program that a probe has?
 * @p: the probe
 *
 * Where spinlocks disable migration, or nothing does, C finds out whether a map's lock may be
 * held; lockdep wants RCU's readers in writing; and an instruction must reach what it changes.
 *
 * Return: false: it has none, or C calls it.
 */
bool ktramp_probe_is_tailored(const struct ktramp_probe *p)
{
	const u16 scratch = BIT(0) | BIT(1) | BIT(2) | BIT(6) | BIT(7);
	const struct ktramp_shape *shape;

	if (!ktramp_probe_runs_program(p) || !ktramp_probe_is_jump(p) || !p->bpf)
		return false;
	shape = &p->bpf->shape;
	if (!shape->hook || !(shape->clobbers & scratch))
		return false;
	if (has_environment(shape) &&
	    (!IS_ENABLED(CONFIG_SMP) || IS_ENABLED(CONFIG_PREEMPT_RT) ||
	     IS_ENABLED(CONFIG_PROVE_RCU) || IS_ENABLED(CONFIG_DEBUG_LOCK_ALLOC)))
		return false;
	return reaches(shape->hook) && reaches(percpu_addr(&ktramp_bpf_depth)) &&
	       reaches(percpu_addr(ktramp_active)) &&
	       reaches(percpu_addr(KTRAMP_CURRENT_TASK)) &&
	       reaches(percpu_addr(KTRAMP_PREEMPT_COUNT));
}

/**
 * ktramp_bpf_emit_front() - all of a detour that stands before the displaced instructions
 * @d: the draft, with its probe and layout
 * @e: where to
 */
void ktramp_bpf_emit_front(struct ktramp_bpf_draft *d, struct ktramp_emit *e)
{
	unsigned int i;

	BUILD_BUG_ON(MEMBER(ss) != KTRAMP_FIELDS - 1 || MEMBER(di) != 14);
	d->shape = &d->p->bpf->shape;
	d->scratch = __ffs(d->shape->clobbers);
	plan_frame(d);
	for (i = 0; i < d->nr_first; i++)
		emit_item(d, e, &d->item[i]);
	emit_duties(d, e);
	emit_frame(d, e);
	emit_ask_process(d, e);
	emit_ask_idle(d, e);
	emit_enter(d, e);
	emit_program(d, e);
	emit_leave(d, e);
	emit_undo(d, e, d->nr);
}

static void emit_rare(struct ktramp_bpf_draft *d, struct ktramp_emit *e)
{
	if (d->p->pid) {
		bind(d, e, KTRAMP_L_OTHER_PROCESS);
		emit_count(d, e, offsetof(struct ktramp_stat, filtered));
		emit_jmp(d, e, KTRAMP_L_BACK);
	}
	if (!d->shape->guard)
		return;
	bind(d, e, KTRAMP_L_MISS);
	emit_count(d, e, offsetof(struct ktramp_stat, missed));
	emit_count(d, e, offsetof(struct ktramp_stat, recursed));
	emit_jmp(d, e, KTRAMP_L_OUT);
	if (!IS_ENABLED(CONFIG_PREEMPTION))
		return;
	bind(d, e, KTRAMP_L_RESCHED);
	ktramp_emit_push(e, RDI);
	ktramp_emit_call(e, ktramp_handle_resched);
	ktramp_emit_pop(e, RDI);
	emit_jmp(d, e, KTRAMP_L_BACK);
}

/**
 * ktramp_bpf_emit_behind() - what stands behind them: all that is rare
 * @d: the draft, as ktramp_bpf_emit_front() left it
 * @e: where to
 * @copy: offset of the displaced instructions' copy
 * @emit_c: writes the call by way of C
 */
void ktramp_bpf_emit_behind(struct ktramp_bpf_draft *d, struct ktramp_emit *e, u32 copy,
			    void (*emit_c)(struct ktramp_emit *e, const struct ktramp_probe *p,
					   const struct ktramp_layout *layout))
{
	d->at[KTRAMP_L_COPY] = copy;
	emit_rare(d, e);
	if (is_inline(d)) {
		fix_up(d, e);
		return;
	}
	if (KTRAMP_IDLE_IS_TRACED && has_environment(d->shape)) {
		bind(d, e, KTRAMP_L_LEAVE_TO_C);
		emit_undo(d, e, d->nr);
		emit_jmp(d, e, KTRAMP_L_IN_C);
	}
	bind(d, e, KTRAMP_L_CALL_IN_C);
	emit_undo(d, e, d->nr_first);
	bind(d, e, KTRAMP_L_IN_C);
	emit_c(e, d->p, d->layout);
	emit_jmp(d, e, KTRAMP_L_COPY);
	fix_up(d, e);
}

#else /* !KTRAMP_HAS_BPF_CTX */

bool ktramp_probe_is_tailored(const struct ktramp_probe *p)
{
	return false;
}

void ktramp_bpf_emit_front(struct ktramp_bpf_draft *d, struct ktramp_emit *e)
{
}

void ktramp_bpf_emit_behind(struct ktramp_bpf_draft *d, struct ktramp_emit *e, u32 copy,
			    void (*emit_c)(struct ktramp_emit *e, const struct ktramp_probe *p,
					   const struct ktramp_layout *layout))
{
}

#endif /* KTRAMP_HAS_BPF_CTX */
