// SPDX-License-Identifier: GPL-2.0-only
/*
 * #BP and #DB: whose is it, run the handler, resume.
 *
 * Nothing is decided here: which function serves an int3 was fixed when the probe was
 * made. No lock, no allocation, no printk; interrupts are off throughout (interrupt
 * gates), RCU is watching (irqentry_nmi_enter()).
 */
#include <linux/bug.h>
#include <linux/hash.h>
#include <linux/kdebug.h>
#include <linux/kprobes.h>
#include <linux/percpu.h>
#include <linux/rculist.h>
#include <asm/cpu_entry_area.h>
#include <asm/debugreg.h>
#include <asm/text-patching.h>

#include "hit/bpf.h"
#include "hit/handler.h"
#include "hit/probe.h"
#include "hit/resume.h"
#include "hit/trap.h"

#define TRAP_HASH_BITS	12

/* Written under ktramp_mutex, read by the trap path under its implied RCU. */
static struct hlist_head trap_table[1 << TRAP_HASH_BITS];

/*
 * Single steps under way on this CPU. They nest: an NMI may hit a probe between the
 * iret into a slot and the #DB behind the instruction, and a fault in the stepped
 * instruction runs a handler that may hit others. An inner one always ends first.
 */
#define STEP_DEPTH	8

struct step_frame {
	struct ktramp_probe *probe;
	unsigned long flags;
};

struct step_stack {
	unsigned int depth;
	struct step_frame frame[STEP_DEPTH];
};

static DEFINE_PER_CPU(struct step_stack, step_stack);

/* #DB taken for our single steps, and any other in kernel mode, on this CPU. */
static DEFINE_PER_CPU(u64, debug_count);

static nokprobe_inline struct hlist_head *trap_bucket(unsigned long addr)
{
	return &trap_table[hash_64(addr, TRAP_HASH_BITS)];
}

/* Serve an int3 from now on. Under ktramp_mutex, before the int3 is written. */
void ktramp_trap_add(struct ktramp_trap *trap)
{
	hlist_add_head_rcu(&trap->node, trap_bucket(trap->addr));
}

/*
 * Stop serving one. Under ktramp_mutex, after the int3 is gone and ktramp_text_sync()
 * has waited for the handlers of those that were hit. @trap may be freed only after a
 * grace period, because others look through its bucket; served again it may be at once:
 * it goes back to the head of the same bucket, and no reader loses its way.
 */
void ktramp_trap_del(struct ktramp_trap *trap)
{
	hlist_del_rcu(&trap->node);
}

/* Programs know RIP as kprobes have it: behind the int3. */
static nokprobe_inline void handle_bpf(struct ktramp_probe *p, struct pt_regs *regs)
{
	regs->ip += INT3_INSN_SIZE;
	ktramp_handle_bpf(regs, p->bpf);
	regs->ip -= INT3_INSN_SIZE;
}

static nokprobe_inline void run_handler(struct ktramp_probe *p, struct pt_regs *regs)
{
	if (p->pid && p->pid != current->tgid)
		this_cpu_inc(p->stat->filtered);
	else if (p->handler == KTRAMP_REGS)
		ktramp_handle_regs(p, regs);
	else if (ktramp_probe_runs_program(p))
		handle_bpf(p, regs);
	else
		ktramp_handle_count(p->stat);
}

static void hit_emulate(struct ktramp_trap *trap, struct pt_regs *regs)
{
	struct ktramp_probe *p = container_of(trap, struct ktramp_probe, trap);

	run_handler(p, regs);
	p->emu.fn(&p->emu, regs);
}
NOKPROBE_SYMBOL(hit_emulate);

/* Go on in a copy that finds its own way back: boost, the first int3 of a step, a detour. */
static void hit_resume(struct ktramp_trap *trap, struct pt_regs *regs)
{
	struct ktramp_probe *p = container_of(trap, struct ktramp_probe, trap);

	run_handler(p, regs);
	regs->ip = READ_ONCE(p->resume);
}
NOKPROBE_SYMBOL(hit_resume);

/* Something branched into a jump: no hit of its probe. */
static void hit_pin(struct ktramp_trap *trap, struct pt_regs *regs)
{
	regs->ip = READ_ONCE(container_of(trap, struct ktramp_pin_trap, trap)->resume);
}
NOKPROBE_SYMBOL(hit_pin);

static void hit_step_done(struct ktramp_trap *trap, struct pt_regs *regs)
{
	struct ktramp_probe *p = container_of(trap, struct ktramp_probe, done);

	regs->ip = p->trap.addr + p->insn_len;
}
NOKPROBE_SYMBOL(hit_step_done);

/*
 * Was the hit in the handler of a #DB, as a hardware breakpoint raises one in the kernel, or in
 * an NMI that may have interrupted one? A step's own #DB would begin at the top of the same
 * stack, over the frames that are in use (arch/x86/entry/entry_64.S, idtentry_mce_db). Those
 * stacks are in the CPU's entry area, and nobody else's that gets here.
 */
static nokprobe_inline bool is_on_exception_stack(const struct pt_regs *regs)
{
	return regs->sp >> P4D_SHIFT == CPU_ENTRY_AREA_BASE >> P4D_SHIFT;
}

/*
 * Does TF stop at branches only (SDM vol. 3, IA32_DEBUGCTL.BTF)? A debugger asked for it, for the
 * user side of this task, but it holds in the kernel as well: no #DB would come behind what is
 * stepped, and popf would let interrupts in before the int3 that is there.
 */
static nokprobe_inline bool is_block_stepped(void)
{
	return READ_ONCE(current_thread_info()->flags) & _TIF_BLOCKSTEP;
}

static void hit_step_tf(struct ktramp_trap *trap, struct pt_regs *regs)
{
	struct ktramp_probe *p = container_of(trap, struct ktramp_probe, trap);
	struct step_stack *stack = this_cpu_ptr(&step_stack);
	unsigned int depth = stack->depth;

	if (depth >= STEP_DEPTH) {
		/* Must not skip the instruction: the boosted copy needs no frame, and no #DB. */
		this_cpu_inc(p->stat->missed);
		regs->ip = p->resume;
		return;
	}
	run_handler(p, regs);
	if (is_on_exception_stack(regs) || is_block_stepped()) {
		regs->ip = p->resume;
		return;
	}
	/* An NMI that comes after this store uses the next frame, and gives it back. */
	WRITE_ONCE(stack->depth, depth + 1);
	stack->frame[depth].probe = p;
	stack->frame[depth].flags = regs->flags;
	/* No interrupt between here and #DB: its handler would run in between. */
	regs->flags &= ~X86_EFLAGS_IF;
	regs->flags |= X86_EFLAGS_TF;
	regs->ip = p->code;
}
NOKPROBE_SYMBOL(hit_step_tf);

/* Undo what stepping a copy, instead of running the original, left in @regs. */
static nokprobe_inline void step_correct(const struct ktramp_probe *p, struct pt_regs *regs,
					 unsigned long flags)
{
	const unsigned long changed = X86_EFLAGS_TF | X86_EFLAGS_IF;
	unsigned long *top = (unsigned long *)regs->sp;
	unsigned long keep = 0;

	if (!(p->step & KTRAMP_STEP_ABSOLUTE))
		regs->ip += p->trap.addr - p->code;
	if (p->step & KTRAMP_STEP_CALL)
		*top = p->trap.addr + p->insn_len;
	if (p->step & KTRAMP_STEP_PUSHF)
		*top = (*top & ~changed) | (flags & changed);
	if (p->step & KTRAMP_STEP_IF)
		keep |= X86_EFLAGS_IF;
	if (p->step & KTRAMP_STEP_TF)
		keep |= X86_EFLAGS_TF;
	regs->flags = (regs->flags & (~changed | keep)) | (flags & changed & ~keep);
}

/* End the innermost step on this CPU. */
static nokprobe_inline void step_end(struct step_stack *stack, struct pt_regs *regs)
{
	unsigned int depth = stack->depth;

	step_correct(stack->frame[depth - 1].probe, regs, stack->frame[depth - 1].flags);
	WRITE_ONCE(stack->depth, depth - 1);
}

/*
 * The step's frame is another CPU's, or an oops left others on top of it: what can be known
 * without it is where to go on, and that nobody in the kernel has TF set.
 */
static nokprobe_inline void step_lost(const struct ktramp_probe *p, struct pt_regs *regs)
{
	regs->ip = p->trap.addr + p->insn_len;
	regs->flags &= ~X86_EFLAGS_TF;
}

/* STI holds off #DB for one more instruction, which is the int3 behind the copy. */
static void hit_step_tf_done(struct ktramp_trap *trap, struct pt_regs *regs)
{
	struct ktramp_probe *p = container_of(trap, struct ktramp_probe, done);
	struct step_stack *stack = this_cpu_ptr(&step_stack);
	unsigned int depth = stack->depth;

	if (depth && stack->frame[depth - 1].probe == p)
		step_end(stack, regs);
	else
		step_lost(p, regs);
}
NOKPROBE_SYMBOL(hit_step_tf_done);

static nokprobe_inline bool trap_int3(struct pt_regs *regs)
{
	unsigned long addr = regs->ip - INT3_INSN_SIZE;
	struct ktramp_trap *trap;

	hlist_for_each_entry_rcu_notrace(trap, trap_bucket(addr), node) {
		if (trap->addr == addr) {
			regs->ip = addr;
			trap->hit(trap, regs);
			return true;
		}
	}
	return false;
}

static nokprobe_inline bool trap_debug(struct pt_regs *regs, unsigned long *dr6)
{
	struct step_stack *stack = this_cpu_ptr(&step_stack);
	unsigned int depth = stack->depth;
	struct ktramp_probe *p;

	this_cpu_inc(debug_count);
	if (!(*dr6 & DR_STEP) || !depth)
		return false;
	p = stack->frame[depth - 1].probe;
	*dr6 &= ~DR_STEP;
	/* rep: one #DB an iteration, RIP stays until the last (SDM vol. 2, REP). */
	if ((p->step & KTRAMP_STEP_REP) && regs->ip == p->code)
		return !*dr6;
	step_end(stack, regs);
	/* A hardware breakpoint that fired with the step is for the others on the chain. */
	return !*dr6;
}

static int trap_notify(struct notifier_block *nb, unsigned long event, void *data)
{
	struct die_args *args = data;

	if (user_mode(args->regs))
		return NOTIFY_DONE;
	if (event == DIE_INT3 && trap_int3(args->regs))
		return NOTIFY_STOP;
	if (event == DIE_DEBUG && trap_debug(args->regs, (unsigned long *)args->err))
		return NOTIFY_STOP;
	return NOTIFY_DONE;
}
NOKPROBE_SYMBOL(trap_notify);

static struct notifier_block trap_notifier = {
	.notifier_call = trap_notify,
	.priority = INT_MAX,	/* before kgdb, which would take any int3 */
};

/**
 * ktramp_trap_choose() - fix which function serves the int3s of a probe
 * @p: a probe whose mechanism and code are prepared
 */
void ktramp_trap_choose(struct ktramp_probe *p)
{
	unsigned int i;

	for (i = 0; p->pins && i < p->pins->nr; i++)
		p->pins->pin[i].trap.hit = hit_pin;
	switch (p->mechanism) {
	case KTRAMP_INT3_EMULATE:
		p->trap.hit = hit_emulate;
		break;
	case KTRAMP_INT3_STEP_TF:
		p->done.hit = hit_step_tf_done;
		p->trap.hit = hit_step_tf;
		break;
	case KTRAMP_INT3_STEP_INT3:
		p->done.hit = hit_step_done;
		fallthrough;
	default:
		p->trap.hit = hit_resume;
	}
}

/* #DB in kernel mode seen on this CPU since load. Preemption is off. */
u64 ktramp_trap_debug_count(void)
{
	return this_cpu_read(debug_count);
}

int ktramp_trap_init(void)
{
	return register_die_notifier(&trap_notifier);
}

void ktramp_trap_exit(void)
{
	unregister_die_notifier(&trap_notifier);
}
