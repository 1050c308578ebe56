// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own mechanisms behind the interface of ours, each held in the state
 * its name says.
 */
#include <linux/delay.h>
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/moduleparam.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <asm/text-patching.h>

#include "admit/admit.h"
#include "hit/probe.h"
#include "kernel/compat.h"
#include "kernel/text.h"
#include "kernel/trace.h"
#include "native/native.h"

/* More than OPTIMIZE_DELAY of kernel/kprobes.c, 5 jiffies, at any HZ. */
#define OPTIMIZER_DELAY_MS	60

/* The optimizer needs its delay and a tasks-RCU grace period, and may be at it already. */
#define OPTIMIZER_WAIT_MS	2000

/**
 * struct ktramp_native - a registration with the kernel, as old as its probe
 * @probe: whose it is
 * @stat: its counters, here so that a handler reaches them in one step
 * @kp: a kprobe
 * @rp: or a kretprobe
 * @ops: or an ftrace_ops
 * @fp: or an fprobe
 */
struct ktramp_native {
	struct ktramp_probe *probe;
	struct ktramp_stat __percpu *stat;
	union {
		struct kprobe kp;
		struct kretprobe rp;
		struct ftrace_ops ops;
#ifdef CONFIG_FPROBE
		struct fprobe fp;
#endif
	};
};

/**
 * ktramp_native_alloc() - what a new probe of the kernel's will be registered with
 * @p: the probe
 *
 * Return: freed with kfree() when the probe is; NULL without memory.
 */
struct ktramp_native *ktramp_native_alloc(struct ktramp_probe *p)
{
	struct ktramp_native *n = kzalloc(sizeof(*n), GFP_KERNEL);

	if (n) {
		n->probe = p;
		n->stat = p->stat;
	}
	return n;
}

/* A registration that never was. Whoever reads its counters meanwhile finds none. */
static struct ktramp_native *renew(struct ktramp_probe *p)
{
	struct ktramp_native *n = p->native;

	*n = (struct ktramp_native){ .probe = p, .stat = p->stat };
	return n;
}

/* The kernel's count of a registration that has ended becomes ours, which both are read for. */
#define keep_missed(p, nmissed)	this_cpu_add((p)->stat->missed, xchg(nmissed, 0))

/* What register_kprobe() means by its errors. */
static int refuse_kprobe(struct ktramp_refusal *r, int err)
{
	if (err == -EINVAL)
		return ktramp_refuse(r, -EACCES, KTRAMP_R_BLACKLIST,
				     "the kernel allows no probe there (blacklist, jump label, static call or BUG)");
	return ktramp_refuse(r, err, KTRAMP_R_BLACKLIST,
			     "the kernel allows no probe there: %pe", ERR_PTR(err));
}

static int refuse_register(struct ktramp_refusal *r, const char *function, int err)
{
	return ktramp_refuse(r, err, KTRAMP_R_UNREGISTERED, "%s() failed: %pe", function,
			     ERR_PTR(err));
}

/* ---- kprobes ---- */

/*
 * A post_handler stops the kernel from optimizing, so the probe stays stepped. Without one a hit
 * is cheaper by the call, and debug.kprobes-optimization=0 has to keep the state instead.
 */
static bool kprobe_post_handler = true;
module_param(kprobe_post_handler, bool, 0600);
MODULE_PARM_DESC(kprobe_post_handler, "give kprobe-step a post_handler (default: Y)");

static notrace void kprobe_post(struct kprobe *kp, struct pt_regs *regs, unsigned long flags)
{
}
NOKPROBE_SYMBOL(kprobe_post);

static notrace int kprobe_count(struct kprobe *kp, struct pt_regs *regs)
{
	this_cpu_inc(container_of(kp, struct ktramp_native, kp)->stat->hits);
	return 0;
}
NOKPROBE_SYMBOL(kprobe_count);

/* kprobes hand out RIP behind their int3, also where there is none. */
static notrace int kprobe_regs(struct kprobe *kp, struct pt_regs *regs)
{
	regs->ip -= INT3_INSN_SIZE;
	ktramp_handle_regs(container_of(kp, struct ktramp_native, kp)->probe, regs);
	regs->ip += INT3_INSN_SIZE;
	return 0;
}
NOKPROBE_SYMBOL(kprobe_regs);

int ktramp_kprobe_supported(struct ktramp_refusal *r)
{
	return ktramp_need_config(CONFIG_KPROBES, r);
}

int ktramp_kprobe_boost_supported(struct ktramp_refusal *r)
{
	/* setup_singlestep() in arch/x86/kernel/kprobes/core.c */
	if (IS_ENABLED(CONFIG_PREEMPTION))
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_NO_CONFIG,
				     "boosting is compiled out of kprobes with CONFIG_PREEMPTION");
	return ktramp_kprobe_supported(r);
}

int ktramp_kprobe_opt_supported(struct ktramp_refusal *r)
{
	return ktramp_need_config(CONFIG_OPTPROBES, r);
}

int ktramp_kprobe_ftrace_supported(struct ktramp_refusal *r)
{
	return ktramp_need_config(CONFIG_KPROBES_ON_FTRACE, r);
}

static int kprobe_arm(struct ktramp_probe *p, kprobe_post_handler_t post,
		      struct ktramp_refusal *r)
{
	struct ktramp_native *n = renew(p);
	int err;

	n->kp.addr = (kprobe_opcode_t *)ktramp_probe_addr(p);
	n->kp.pre_handler = p->handler == KTRAMP_REGS ? kprobe_regs : kprobe_count;
	n->kp.post_handler = post;
	err = register_kprobe(&n->kp);
	return err ? refuse_kprobe(r, err) : 0;
}

static u8 first_byte(const struct ktramp_probe *p)
{
	u8 byte = 0;

	ktramp_text_read(&byte, ktramp_probe_addr(p), sizeof(byte));
	return byte;
}

/*
 * unregister_kprobe() leaves an optimized probe's jump to the optimizer, which takes it
 * away later. Disarmed means that the original bytes are back; but of text that goes the
 * kernel writes nothing back.
 */
void ktramp_kprobe_disarm(struct ktramp_probe *p)
{
	struct kprobe *kp = &p->native->kp;
	bool gone = kp->flags & KPROBE_FLAG_GONE;
	unsigned int waited;

	unregister_kprobe(kp);
	for (waited = 0; waited < OPTIMIZER_WAIT_MS && !gone; waited += 20) {
		if (first_byte(p) == p->before[0])
			break;
		msleep(20);
	}
	keep_missed(p, &kp->nmissed);
}

/* prepare_emulation() in arch/x86/kernel/kprobes/core.c: branches, and what uses IF. */
static bool kernel_emulates(const struct ktramp_probe *p)
{
	struct ktramp_insn insn;

	if (ktramp_insn_decode(&insn, p->before, sizeof(p->before)) < 0)
		return false;
	return insn.branch != KTRAMP_BR_NONE ||
	       (insn.attr & (KTRAMP_A_IF_READ | KTRAMP_A_IF_WRITE));
}

/*
 * Of a mechanism that libbpf attaches, arming only checks that the kernel allows a kprobe there.
 * The test kprobe that asked must be removed at once, or it shows up in the kernel's list.
 */
int ktramp_kprobe_allowed(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	int err = ktramp_admit_ask(ktramp_probe_addr(p), r);

	ktramp_admit_settle();
	return err;
}

/* Does the kernel execute the copied instruction? */
static int kprobe_copies(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	if (kernel_emulates(p))
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_SHAPE,
				     "the kernel emulates this instruction; kprobe-emulate measures that");
	return 0;
}

int ktramp_kprobe_step_allowed(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	return kprobe_copies(p, r) ?: ktramp_kprobe_allowed(p, r);
}

int ktramp_kprobe_step_arm(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	kprobe_post_handler_t post = NULL;

	if (READ_ONCE(kprobe_post_handler))
		post = kprobe_post;
	return kprobe_copies(p, r) ?: kprobe_arm(p, post, r);
}

int ktramp_kprobe_boost_arm(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	return kprobe_copies(p, r) ?: kprobe_arm(p, NULL, r);
}

int ktramp_kprobe_emulate_arm(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	if (!kernel_emulates(p))
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_SHAPE,
				     "the kernel steps this instruction; it emulates branches and what uses IF");
	return kprobe_arm(p, NULL, r);
}

static int refuse_state(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	u8 byte = first_byte(p);

	ktramp_kprobe_disarm(p);
	return ktramp_refuse(r, -EAGAIN, KTRAMP_R_NO_STATE,
			     "the kernel left 0x%02x at the site: not optimizable, or debug.kprobes-optimization is 0",
			     byte);
}

/*
 * The optimizer turns a queued probe into a jump only after synchronize_rcu_tasks(),
 * which waits until this task sleeps or returns to user space. So the state holds from
 * here until then, on every kernel, without stopping the optimizer: provided that its
 * grace period begins after the probe is queued. Hence the wait for what it may still
 * have to do for probes before this one; the caller looks at the bytes afterwards.
 */
int ktramp_kprobe_pending_enter(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	int err;

	msleep(OPTIMIZER_DELAY_MS);
	synchronize_rcu_tasks();
	err = kprobe_arm(p, NULL, r);
	if (err)
		return err;
	return first_byte(p) == INT3_INSN_OPCODE ? 0 : refuse_state(p, r);
}

int ktramp_kprobe_opt_arm(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	int err = kernel_emulates(p) ?
		ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_SHAPE,
			      "the kernel emulates this instruction and never optimizes it") :
		kprobe_arm(p, NULL, r);
	unsigned int waited;

	if (err)
		return err;
	for (waited = 0; waited < OPTIMIZER_WAIT_MS; waited += 20) {
		if (first_byte(p) == JMP32_INSN_OPCODE)
			return 0;
		msleep(20);
	}
	return refuse_state(p, r);
}

int ktramp_kprobe_ftrace_arm(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	int err = kprobe_arm(p, NULL, r);

	if (err || first_byte(p) == CALL_INSN_OPCODE)
		return err;
	return refuse_state(p, r);
}

/* Hits the kernel did not hand on while @p is armed; disarming adds them to its counters. */
u64 ktramp_native_missed(const struct ktramp_probe *p)
{
	switch (p->mechanism) {
	case KTRAMP_KPROBE_STEP ... KTRAMP_KPROBE_FTRACE:
		return READ_ONCE(p->native->kp.nmissed);
	case KTRAMP_KRETPROBE:
		return READ_ONCE(p->native->rp.nmissed);
	}
	return 0;
}

/* ---- kretprobe ---- */

static notrace int kretprobe_count(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct kretprobe *rp = get_kretprobe(ri);

	/* NULL once the kretprobe is being unregistered. */
	if (rp)
		this_cpu_inc(container_of(rp, struct ktramp_native, rp)->stat->hits);
	return 0;
}
NOKPROBE_SYMBOL(kretprobe_count);

int ktramp_kretprobe_supported(struct ktramp_refusal *r)
{
	return ktramp_need_config(CONFIG_KRETPROBES, r);
}

int ktramp_kretprobe_arm(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	struct ktramp_native *n = renew(p);
	int err;

	n->rp.kp.addr = (kprobe_opcode_t *)ktramp_probe_addr(p);
	n->rp.handler = kretprobe_count;
	err = register_kretprobe(&n->rp);
	return err ? refuse_register(r, "register_kretprobe", err) : 0;
}

void ktramp_kretprobe_disarm(struct ktramp_probe *p)
{
	unregister_kretprobe(&p->native->rp);
	keep_missed(p, &p->native->rp.nmissed);
}

/* ---- ftrace ---- */

#ifdef CONFIG_DYNAMIC_FTRACE

static notrace void ftrace_count(unsigned long ip, unsigned long parent_ip,
				 struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	this_cpu_inc(container_of(ops, struct ktramp_native, ops)->stat->hits);
}

static notrace void ftrace_regs_handler(unsigned long ip, unsigned long parent_ip,
					struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	ktramp_ftrace_hit_regs(container_of(ops, struct ktramp_native, ops)->probe, ip, fregs);
}

static notrace void ftrace_bpf_handler(unsigned long ip, unsigned long parent_ip,
				       struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	ktramp_ftrace_hit_bpf(container_of(ops, struct ktramp_native, ops)->probe, ip, fregs);
}

int ktramp_ftrace_supported(struct ktramp_refusal *r)
{
	return 0;
}

int ktramp_ftrace_arm(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	struct ktramp_native *n = renew(p);
	int err;

	n->ops.func = ftrace_count;
	if (p->handler == KTRAMP_REGS) {
		n->ops.func = ftrace_regs_handler;
		n->ops.flags = FTRACE_OPS_FL_SAVE_REGS;
	}
	if (p->handler == KTRAMP_BPF) {
		n->ops.func = ftrace_bpf_handler;
		n->ops.flags = FTRACE_OPS_FL_SAVE_REGS;
	}
	err = ftrace_set_filter_ip(&n->ops, ktramp_probe_addr(p), 0, 0);
	if (err) {
		refuse_register(r, "ftrace_set_filter_ip", err);
		goto free;
	}
	err = register_ftrace_function(&n->ops);
	if (!err)
		return 0;
	refuse_register(r, "register_ftrace_function", err);
free:
	ktramp_ftrace_unfilter(&n->ops);
	return err;
}

void ktramp_ftrace_disarm(struct ktramp_probe *p)
{
	unregister_ftrace_function(&p->native->ops);
	ktramp_ftrace_unfilter(&p->native->ops);
}

/*
 * #BP is counted at kprobe_int3_handler(), which every int3 of kernel mode passes that
 * is not text_poke's own, ours too: exc_int3() is noinstr, and the die chain does not
 * see those that kprobes serve.
 */
static DEFINE_PER_CPU(u64, bp_count);

static notrace void bp_counter(unsigned long ip, unsigned long parent_ip,
			       struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	this_cpu_inc(bp_count);
}

static struct ftrace_ops bp_ops = {
	.func = bp_counter,
};

static bool bp_countable;

/*
 * The filter is set once: ftrace_free_filter() leaves an ops that cannot be used again.
 * A kernel that does not trace the function (or has no such) counts nothing.
 */
void ktramp_traps_init(void)
{
	char name[] = "kprobe_int3_handler";

	bp_countable = !ftrace_set_filter(&bp_ops, name, strlen(name), 1);
}

void ktramp_traps_exit(void)
{
	ktramp_ftrace_unfilter(&bp_ops);
}

/* Can #BP be counted on this kernel? */
bool ktramp_traps_countable(void)
{
	return bp_countable;
}

/**
 * ktramp_traps_count_begin() - count #BP in kernel mode, until ktramp_traps_count_end()
 *
 * Context: process, sleeps; one user at a time.
 * Return: true if the kernel lets it be counted.
 */
bool ktramp_traps_count_begin(void)
{
	return bp_countable && !register_ftrace_function(&bp_ops);
}

void ktramp_traps_count_end(void)
{
	unregister_ftrace_function(&bp_ops);
}

/* #BP counted on this CPU. Preemption is off. */
u64 ktramp_traps_counted(void)
{
	return this_cpu_read(bp_count);
}

#else /* !CONFIG_DYNAMIC_FTRACE */

int ktramp_ftrace_supported(struct ktramp_refusal *r)
{
	return ktramp_need_config(CONFIG_DYNAMIC_FTRACE, r);
}

int ktramp_ftrace_arm(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	return ktramp_ftrace_supported(r);
}

void ktramp_ftrace_disarm(struct ktramp_probe *p)
{
}

void ktramp_traps_init(void)
{
}

void ktramp_traps_exit(void)
{
}

bool ktramp_traps_countable(void)
{
	return false;
}

bool ktramp_traps_count_begin(void)
{
	return false;
}

void ktramp_traps_count_end(void)
{
}

u64 ktramp_traps_counted(void)
{
	return 0;
}

#endif /* CONFIG_DYNAMIC_FTRACE */

/* ---- fprobe ---- */

#ifdef CONFIG_FPROBE

static __maybe_unused notrace void fprobe_count(struct fprobe *fp, unsigned long entry_ip,
						struct pt_regs *regs, void *entry_data)
{
	this_cpu_inc(container_of(fp, struct ktramp_native, fp)->stat->hits);
}

static __maybe_unused notrace int fprobe_count_ret(struct fprobe *fp, unsigned long entry_ip,
						   unsigned long ret_ip, ktramp_fprobe_regs *regs,
						   void *entry_data)
{
	this_cpu_inc(container_of(fp, struct ktramp_native, fp)->stat->hits);
	return 0;
}

int ktramp_fprobe_supported(struct ktramp_refusal *r)
{
	return 0;
}

int ktramp_fprobe_arm(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	unsigned long addr = ktramp_probe_addr(p);
	struct ktramp_native *n = renew(p);
	int err;

	n->fp.entry_handler = KTRAMP_FPROBE_ENTRY(fprobe_count, fprobe_count_ret);
	err = register_fprobe_ips(&n->fp, &addr, 1);
	return err ? refuse_register(r, "register_fprobe_ips", err) : 0;
}

void ktramp_fprobe_disarm(struct ktramp_probe *p)
{
	unregister_fprobe(&p->native->fp);
}

#else /* !CONFIG_FPROBE */

int ktramp_fprobe_supported(struct ktramp_refusal *r)
{
	return ktramp_need_config(CONFIG_FPROBE, r);
}

int ktramp_fprobe_arm(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	return ktramp_fprobe_supported(r);
}

void ktramp_fprobe_disarm(struct ktramp_probe *p)
{
}

#endif /* CONFIG_FPROBE */

/* ---- tracepoint ---- */

static notrace void tracepoint_count(void *data, long a, long b)
{
	this_cpu_inc(((struct ktramp_native *)data)->stat->hits);
}

int ktramp_tracepoint_supported(struct ktramp_refusal *r)
{
	return ktramp_need_config(CONFIG_TRACEPOINTS, r);
}

int ktramp_tracepoint_arm(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	struct ktramp_native *n = renew(p);
	int err;

	err = register_trace_ktramp_target(tracepoint_count, n);
	return err ? refuse_register(r, "tracepoint_probe_register", err) : 0;
}

void ktramp_tracepoint_disarm(struct ktramp_probe *p)
{
	unregister_trace_ktramp_target(tracepoint_count, p->native);
	tracepoint_synchronize_unregister();
}
