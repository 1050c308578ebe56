// SPDX-License-Identifier: GPL-2.0-only
/*
 * #BP and #DB: whose is it, run the handler, resume.
 *
 * Nothing is decided here: which function serves an int3 was fixed when the probe was
 * made. No lock, no allocation, no printk; interrupts are off throughout (interrupt gates).
 *
 * A breakpoint enters in one of two ways:
 *   directly: exc_int3() first calls poke_int3_handler(), and while there are breakpoints of
 *	ours that call leads here (hook.c). Nothing has run before but the entry code. RCU
 *	may not be watching, the context does not yet count as an NMI's, and what is called
 *	must be noinstr, as exc_int3() is: an int3 in it would come back here for ever;
 *   by the notifier: where there is no such call, or the handler is a BPF program, which
 *	needs RCU, and helpers that see that they are in an NMI.
 * Steps end by #DB, where exc_debug_kernel() calls notify_die(); that call can lead here, too.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bug.h>
#include <linux/hash.h>
#include <linux/instrumentation.h>
#include <linux/kdebug.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/rculist.h>
#include <asm/cpu_entry_area.h>
#include <asm/debugreg.h>
#include <asm/text-patching.h>

#include "hit/bpf.h"
#include "hit/cover.h"
#include "hit/handler.h"
#include "hit/hook.h"
#include "hit/probe.h"
#include "hit/resume.h"
#include "hit/trap.h"
#include "kernel/compat.h"
#include "kernel/slot.h"
#include "kernel/text.h"

#define TRAP_HASH_BITS	12

/* Written under ktramp_mutex, read with interrupts off. */
static struct hlist_head trap_table[1 << TRAP_HASH_BITS];

/* How many of them are direct. Under ktramp_mutex. */
static unsigned int nr_direct;

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

/* #BP that were served directly, on this CPU. */
static DEFINE_PER_CPU(u64, int3_count);

/* #DB taken for our single steps, and any other in kernel mode, on this CPU. */
static DEFINE_PER_CPU(u64, debug_count);

static __always_inline struct hlist_head *trap_bucket(unsigned long addr)
{
	return &trap_table[hash_64(addr, TRAP_HASH_BITS)];
}

/* Serve an int3 from now on. Under ktramp_mutex, before the int3 is written. */
void ktramp_trap_add(struct ktramp_trap *trap)
{
	nr_direct += trap->direct;
	hlist_add_head_rcu(&trap->node, trap_bucket(trap->addr));
}

/*
 * Stop serving one. Under ktramp_mutex, after the int3 is gone and ktramp_text_sync()
 * has waited for the handlers of those that were hit. @trap may be freed only after another
 * one, because others look through its bucket; served again it may be at once: it goes back
 * to the head of the same bucket, and no reader loses its way.
 */
void ktramp_trap_del(struct ktramp_trap *trap)
{
	hlist_del_rcu(&trap->node);
	nr_direct -= trap->direct;
}

/**
 * ktramp_trap_set_direct() - where an int3 enters that is served already
 * @trap: it
 * @direct: from exc_int3()
 *
 * A hit meanwhile enters by the one way or the other: both lead to the same function.
 * Context: process, under ktramp_mutex.
 */
void ktramp_trap_set_direct(struct ktramp_trap *trap, bool direct)
{
	nr_direct += direct - trap->direct;
	WRITE_ONCE(trap->direct, direct);
}

/*
 * Programs know RIP as kprobes have it: behind the int3. Never directly: RCU is watching, and
 * the context is an NMI's.
 */
static noinstr void handle_bpf(struct ktramp_probe *p, struct pt_regs *regs)
{
	instrumentation_begin();
	regs->ip += INT3_INSN_SIZE;
	ktramp_handle_bpf(regs, p->bpf);
	regs->ip -= INT3_INSN_SIZE;
	instrumentation_end();
}

static __always_inline void run_handler(struct ktramp_probe *p, struct pt_regs *regs)
{
	if (p->pid && p->pid != current->tgid)
		this_cpu_inc(p->stat->filtered);
	else if (likely(p->handler == KTRAMP_COUNT))
		this_cpu_inc(p->stat->hits);
	else if (p->handler == KTRAMP_REGS)
		ktramp_store_regs(p, regs);
	else
		handle_bpf(p, regs);
}

static noinstr void hit_emulate(struct ktramp_trap *trap, struct pt_regs *regs)
{
	struct ktramp_probe *p = container_of(trap, struct ktramp_probe, trap);

	run_handler(p, regs);
	p->emu.fn(&p->emu, regs);
}

/* Go on in a copy that finds its own way back: boost, the first int3 of a step. */
static noinstr void hit_resume(struct ktramp_trap *trap, struct pt_regs *regs)
{
	struct ktramp_probe *p = container_of(trap, struct ktramp_probe, trap);

	run_handler(p, regs);
	regs->ip = READ_ONCE(p->resume);
}

/* Go on in the detour, which runs the handler in the site's own context. */
static noinstr void hit_divert(struct ktramp_trap *trap, struct pt_regs *regs)
{
	regs->ip = READ_ONCE(container_of(trap, struct ktramp_probe, trap)->code);
}

/* Something branched into a jump: no hit of its probe. */
static noinstr void hit_pin(struct ktramp_trap *trap, struct pt_regs *regs)
{
	regs->ip = READ_ONCE(container_of(trap, struct ktramp_pin_trap, trap)->resume);
}

static noinstr void hit_step_done(struct ktramp_trap *trap, struct pt_regs *regs)
{
	struct ktramp_probe *p = container_of(trap, struct ktramp_probe, done);

	regs->ip = p->trap.addr + p->insn_len;
}

/*
 * Was the hit in the handler of a #DB, as a hardware breakpoint raises one in the kernel, or in
 * an NMI that may have interrupted one? A step's own #DB would begin at the top of the same
 * stack, over the frames that are in use (arch/x86/entry/entry_64.S, idtentry_mce_db). Those
 * stacks are in the CPU's entry area, and nobody else's that gets here.
 */
static __always_inline bool is_on_exception_stack(const struct pt_regs *regs)
{
	return regs->sp >> P4D_SHIFT == CPU_ENTRY_AREA_BASE >> P4D_SHIFT;
}

/*
 * Does TF stop at branches only (SDM vol. 3, IA32_DEBUGCTL.BTF)? A debugger asked for it, for the
 * user side of this task, but it holds in the kernel as well: no #DB would come behind what is
 * stepped, and popf would let interrupts in before the int3 that is there.
 */
static __always_inline bool is_block_stepped(void)
{
	return READ_ONCE(current_thread_info()->flags) & _TIF_BLOCKSTEP;
}

static noinstr void hit_step_tf(struct ktramp_trap *trap, struct pt_regs *regs)
{
	struct ktramp_probe *p = container_of(trap, struct ktramp_probe, trap);
	struct step_stack *stack = raw_cpu_ptr(&step_stack);
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

/* Undo what stepping a copy, instead of running the original, left in @regs. */
static __always_inline void step_correct(const struct ktramp_probe *p, struct pt_regs *regs,
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
static __always_inline void step_end(struct step_stack *stack, struct pt_regs *regs)
{
	unsigned int depth = stack->depth;

	step_correct(stack->frame[depth - 1].probe, regs, stack->frame[depth - 1].flags);
	WRITE_ONCE(stack->depth, depth - 1);
}

/*
 * The step's frame is another CPU's, or an oops left others on top of it: what can be known
 * without it is where to go on, and that nobody in the kernel has TF set.
 */
static __always_inline void step_lost(const struct ktramp_probe *p, struct pt_regs *regs)
{
	regs->ip = p->trap.addr + p->insn_len;
	regs->flags &= ~X86_EFLAGS_TF;
}

/* STI holds off #DB for one more instruction, which is the int3 behind the copy. */
static noinstr void hit_step_tf_done(struct ktramp_trap *trap, struct pt_regs *regs)
{
	struct ktramp_probe *p = container_of(trap, struct ktramp_probe, done);
	struct step_stack *stack = raw_cpu_ptr(&step_stack);
	unsigned int depth = stack->depth;

	if (depth && stack->frame[depth - 1].probe == p)
		step_end(stack, regs);
	else
		step_lost(p, regs);
}

/* @direct: from exc_int3(). What is not to be served there comes again, by the notifier. */
static __always_inline bool trap_int3(struct pt_regs *regs, bool direct)
{
	unsigned long addr = regs->ip - INT3_INSN_SIZE;
	struct ktramp_trap *trap;

	hlist_for_each_entry_rcu_notrace(trap, trap_bucket(addr), node) {
		if (trap->addr != addr)
			continue;
		if (direct && !READ_ONCE(trap->direct))
			return false;
		if (direct)
			this_cpu_inc(int3_count);
		regs->ip = addr;
		trap->hit(trap, regs);
		return true;
	}
	return false;
}

static __always_inline bool trap_debug(struct pt_regs *regs, unsigned long *dr6)
{
	struct step_stack *stack = raw_cpu_ptr(&step_stack);
	unsigned int depth = stack->depth;
	struct ktramp_probe *p;

	if (!(*dr6 & DR_STEP) || !depth)
		return false;
	p = stack->frame[depth - 1].probe;
	*dr6 &= ~DR_STEP;
	/* rep: one #DB an iteration, RIP stays until the last (SDM vol. 2, REP). */
	if (!(p->step & KTRAMP_STEP_REP) || regs->ip != p->code)
		step_end(stack, regs);
	/* A hardware breakpoint that fired with the step is for the others on the chain. */
	return !*dr6;
}

/* ---- directly ---- */

static const char * const int3_callers[] = { "exc_int3", NULL };
static const char * const int3_callees[] = { KTRAMP_POKE_INT3_HANDLER, NULL };

static int hooked_int3(struct pt_regs *regs);

static struct ktramp_hook int3_hook = {
	.callers = int3_callers,
	.callees = int3_callees,
	.ours = hooked_int3,
	.is_caller_alone = true,
};

/* The code that goes on to poke_int3_handler() has no hash for kCFI. */
static __always_inline __nocfi int theirs_int3(struct pt_regs *regs)
{
	return ((int (*)(struct pt_regs *))int3_hook.on)(regs);
}

/* It is no probe's. A function of its own, so that a probe's hit need not save for this one. */
static noinstr __nocfi int covered_int3(struct pt_regs *regs)
{
	return ktramp_cover_hit(regs) ? 1 : theirs_int3(regs);
}

/* In the place of poke_int3_handler(). */
static noinstr __nocfi int hooked_int3(struct pt_regs *regs)
{
	if (user_mode(regs))
		return theirs_int3(regs);
	return trap_int3(regs, true) ? 1 : covered_int3(regs);
}

/* notify_debug() is compiled into its callers, or not. */
static const char * const debug_callers[] = {
	"notify_debug", "exc_debug_kernel", "exc_debug", NULL
};

static const char * const debug_callees[] = { "notify_die", NULL };

static int hooked_debug(enum die_val val, const char *str, struct pt_regs *regs, long err,
			int trap, int sig);

static struct ktramp_hook debug_hook = {
	.callers = debug_callers,
	.callees = debug_callees,
	.ours = hooked_debug,
};

/* In the place of notify_die(): RCU is watching, only the chain is saved. */
static noinstr __nocfi int hooked_debug(enum die_val val, const char *str, struct pt_regs *regs,
					long err, int trap, int sig)
{
	if (!user_mode(regs) && trap_debug(regs, (unsigned long *)err)) {
		this_cpu_inc(debug_count);
		return NOTIFY_STOP;
	}
	return ((typeof(&hooked_debug))debug_hook.on)(val, str, regs, err, trap, sig);
}

/**
 * ktramp_trap_settle() - the kernel's calls lead to us if there is a breakpoint that needs it
 *
 * A CPU may take the old way until ktramp_text_sync(), and go on from there.
 *
 * Context: process, under ktramp_mutex; sleeps.
 * Return: 0; -ENOMEM; -EILSEQ somebody else has rewritten exc_int3().
 */
int ktramp_trap_settle(void)
{
	static bool pinned;
	int err;

	if (nr_direct)
		return ktramp_hook_lead(&int3_hook) ?: ktramp_hook_lead(&debug_hook);
	err = ktramp_hook_leave(&int3_hook) ?: ktramp_hook_leave(&debug_hook);
	if (err == -EILSEQ && !pinned) {
		pr_warn("somebody else has rewritten the kernel's way to breakpoints: ktramp stays loaded\n");
		__module_get(THIS_MODULE);
		pinned = true;
	}
	return err;
}

/**
 * ktramp_trap_count_cover() - breakpoints of blocks come, or have gone
 * @comes: they come
 *
 * They enter directly, if anything can. ktramp_trap_settle() is to follow.
 * Context: process, under ktramp_mutex.
 */
void ktramp_trap_count_cover(bool comes)
{
	nr_direct += comes ? 1 : -1;
}

static bool is_program(enum ktramp_handler handler)
{
	return handler == KTRAMP_BPF || handler == KTRAMP_BPF_INLINE;
}

/**
 * ktramp_trap_why() - why breakpoints of such a probe enter by the notifier
 * @mechanism: a mechanism of ours
 * @handler: what runs at a hit
 *
 * Return: a reason, or NULL: they enter directly.
 */
const char *ktramp_trap_why(enum ktramp_mechanism mechanism, enum ktramp_handler handler)
{
	if (!int3_hook.at)
		return int3_hook.why;
	/* A detour runs its handler itself. */
	if (is_program(handler) && mechanism < KTRAMP_JUMP)
		return "a BPF program needs RCU, and helpers that know of the NMI context";
	return NULL;
}

bool ktramp_trap_is_direct(enum ktramp_mechanism mechanism, enum ktramp_handler handler)
{
	return !ktramp_trap_why(mechanism, handler);
}

/**
 * ktramp_trap_is_alone() - does nothing run at a hit but exc_int3()'s beginning and what is ours?
 * @mechanism: a mechanism
 * @handler: what runs at a hit
 *
 * Not where #DB ends a step, whose handler may come to the chain, nor with a program, whose
 * helpers may be any function.
 */
bool ktramp_trap_is_alone(enum ktramp_mechanism mechanism, enum ktramp_handler handler)
{
	switch (mechanism) {
	case KTRAMP_INT3_EMULATE:
	case KTRAMP_INT3_STEP_INT3:
	case KTRAMP_INT3_BOOST:
	case KTRAMP_INT3_DIVERT:
	case KTRAMP_JUMP:
		return !is_program(handler) && ktramp_trap_is_direct(mechanism, handler);
	default:
		return false;
	}
}

/* Does the #DB of a step come to us without the notifier chain? */
bool ktramp_trap_is_debug_direct(void)
{
	return debug_hook.at;
}

/* ---- by the notifier ---- */

static noinstr int trap_notify(struct notifier_block *nb, unsigned long event, void *data)
{
	struct die_args *args = data;

	if (user_mode(args->regs))
		return NOTIFY_DONE;
	if (event == DIE_INT3 && (trap_int3(args->regs, false) || ktramp_cover_hit(args->regs)))
		return NOTIFY_STOP;
	if (event != DIE_DEBUG)
		return NOTIFY_DONE;
	this_cpu_inc(debug_count);
	return trap_debug(args->regs, (unsigned long *)args->err) ? NOTIFY_STOP : NOTIFY_DONE;
}

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

	p->trap.direct = ktramp_trap_is_direct(p->mechanism, p->handler);
	for (i = 0; p->pins && i < p->pins->nr; i++) {
		p->pins->pin[i].trap.hit = hit_pin;
		p->pins->pin[i].trap.direct = int3_hook.at;
	}
	switch (p->mechanism) {
	case KTRAMP_INT3_EMULATE:
		p->trap.hit = hit_emulate;
		break;
	case KTRAMP_INT3_STEP_TF:
		p->done.hit = hit_step_tf_done;
		p->done.direct = int3_hook.at;
		p->trap.hit = hit_step_tf;
		break;
	case KTRAMP_INT3_STEP_INT3:
		p->done.hit = hit_step_done;
		p->done.direct = int3_hook.at;
		fallthrough;
	case KTRAMP_INT3_BOOST:
		p->trap.hit = hit_resume;
		break;
	default:
		p->trap.hit = hit_divert;
	}
}

/* #BP served directly on this CPU since load: no tracer saw them. Preemption is off. */
u64 ktramp_trap_int3_count(void)
{
	return this_cpu_read(int3_count);
}

/* #DB in kernel mode seen on this CPU since load. Preemption is off. */
u64 ktramp_trap_debug_count(void)
{
	return this_cpu_read(debug_count);
}

int ktramp_trap_init(void)
{
	unsigned long code = (unsigned long)ktramp_hook_code;
	int err;

	err = ktramp_hook_find(&int3_hook, code) ?:
	      ktramp_hook_find(&debug_hook, code + KTRAMP_HOOK_CODE) ?:
	      register_die_notifier(&trap_notifier);
	if (err) {
		ktramp_hook_forget(&int3_hook);
		ktramp_hook_forget(&debug_hook);
	}
	return err;
}

/* There is no trap any more; nobody is in our functions behind the sync. */
void ktramp_trap_exit(void)
{
	ktramp_text_sync();
	ktramp_hook_forget(&int3_hook);
	ktramp_hook_forget(&debug_hook);
	unregister_die_notifier(&trap_notifier);
}
