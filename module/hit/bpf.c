// SPDX-License-Identifier: GPL-2.0-only
/*
 * BPF programs as handlers.
 *
 * A program of type kprobe relies on what trace_call_bpf() does for it. And it relies on not
 * being hit inside another program or inside the bpf() system call: either may hold the lock of
 * a map that the program is about to take. Three marks show that, while preemption is off:
 *   - the task's bpf_ctx is set while our programs run, and the kernel's kprobe, tracepoint,
 *     fentry and cgroup programs;
 *   - its migration is disabled while the system call works on a map
 *     (bpf_disable_instrumentation()), and while most programs run;
 *   - the CPU's bpf_prog_active (kernel/active.c) is not 0 in the system call, and while the
 *     kernel's kprobe, tracepoint and perf event programs run: those of a perf event, which may
 *     be an NMI's, leave no other mark.
 * A hit that finds one is not handled but counted. Likewise the kernel's programs look at
 * bpf_prog_active alone, so it is raised around ours. That takes four instructions, which
 * programs that take no lock are spared in a detour (hit/program.c).
 */
#include <linux/filter.h>
#include <linux/kprobes.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <asm/syscall.h>

#include "hit/bpf.h"
#include "kernel/active.h"
#include "kernel/compat.h"

#if KTRAMP_HAS_BPF_CTX

/* ---- a hit ---- */

/*
 * Disabled migration says that bpf() is working on a map. It says nothing on PREEMPT_RT, where
 * each spinlock disables migration, and on UP kernels, which never disable it. If there is no
 * bpf_prog_active either, every hit inside the bpf() system call is skipped there.
 */
static __always_inline bool may_hold_map(const struct task_struct *task)
{
#if defined(CONFIG_SMP) && !defined(CONFIG_PREEMPT_RT)
	return task->migration_disabled;
#else
	if (ktramp_active)
		return false;
	long nr = task_pt_regs((struct task_struct *)task)->orig_ax;

	return nr == __NR_bpf || (IS_ENABLED(CONFIG_IA32_EMULATION) && nr == KTRAMP_NR_IA32_BPF);
#endif
}

/*
 * A program that calls nothing has no bpf_ctx: its detour only counts itself in here, and so
 * does everything else that runs programs. From -1, so that the first one makes it zero.
 */
DEFINE_PER_CPU(int, ktramp_bpf_depth) = -1;

static __always_inline bool may_nest(const struct task_struct *task)
{
	return this_cpu_read(ktramp_bpf_depth) || task->bpf_ctx || may_hold_map(task) ||
	       (ktramp_active && this_cpu_read(*ktramp_active));
}

/*
 * As the kernel runs its programs, which is counted and timed with the sysctl
 * kernel.bpf_stats_enabled. Also @func for those that are not compiled: they need theirs.
 */
static notrace unsigned int run_program(const void *regs, const struct bpf_insn *handler)
{
	const struct ktramp_bpf_handler *b = (const void *)handler;

	return bpf_prog_run(READ_ONCE(b->prog), regs);
}
NOKPROBE_SYMBOL(run_program);

/*
 * To lockdep a breakpoint is an NMI, and a lock that is also taken elsewhere must not be taken
 * in one. Programs do so with the locks of LRU hashes. What keeps those from waiting for
 * themselves is bpf_prog_active, which lockdep does not know.
 */
static __always_inline void lockdep_silence(int step)
{
#ifdef CONFIG_PROVE_LOCKING
	if (ktramp_active && in_nmi())
		this_cpu_add(lockdep_recursion, step);
#endif
}

/*
 * With what every program needs: its cookie where the helpers look for it, and RCU. A
 * region with preemption off is one of RCU's readers; lockdep wants it in writing. The
 * program's code has no hash for kCFI at any kernel's call.
 */
static __always_inline __nocfi void run(struct pt_regs *regs, struct ktramp_bpf_handler *b,
					struct task_struct *task)
{
	const struct bpf_insn *second = (const void *)b;
	bpf_func_t func = READ_ONCE(b->func);

	lockdep_silence(1);
	WRITE_ONCE(task->bpf_ctx, &b->run.run_ctx);
	if (ktramp_active)
		this_cpu_inc(*ktramp_active);
	this_cpu_inc(b->stat->hits);
	if (IS_ENABLED(CONFIG_PROVE_RCU))
		rcu_read_lock();
	if (static_branch_unlikely(&bpf_stats_enabled_key))
		run_program(regs, second);
	else
		func(regs, second);
	if (IS_ENABLED(CONFIG_PROVE_RCU))
		rcu_read_unlock();
	if (ktramp_active)
		this_cpu_dec(*ktramp_active);
	WRITE_ONCE(task->bpf_ctx, NULL);
	lockdep_silence(-1);
}

static __always_inline void miss(const struct ktramp_bpf_handler *b)
{
	this_cpu_inc(b->stat->missed);
	this_cpu_inc(b->stat->recursed);
}

static __always_inline void enter(void)
{
	preempt_disable_notrace();
	this_cpu_inc(ktramp_bpf_depth);
}

static __always_inline void leave(void)
{
	this_cpu_dec(ktramp_bpf_depth);
	preempt_enable_notrace();
}

/*
 * RCU does not wait for a CPU that is idle: programs and maps could be freed under us.
 * What rcu_is_watching() hits itself is kept out by bpf_ctx.
 */
static noinline notrace void handle_idle(struct pt_regs *regs, struct ktramp_bpf_handler *b)
{
	struct task_struct *task = current;
	bool watching;

	if (may_nest(task)) {
		miss(b);
	} else {
		WRITE_ONCE(task->bpf_ctx, &b->run.run_ctx);
		watching = rcu_is_watching();
		WRITE_ONCE(task->bpf_ctx, NULL);
		if (watching)
			run(regs, b, task);
		else
			miss(b);
	}
	leave();
}
NOKPROBE_SYMBOL(handle_idle);
ANNOTATE_NOCFI_SYM(handle_idle);

/**
 * ktramp_handle_bpf() - run the program of a hit, and count it
 * @regs: as the kernel's kprobes make them: RIP is behind the first byte of the site
 * @b: the program
 *
 * An NMI between looking at bpf_ctx and setting it finds NULL, and leaves NULL. The rare case
 * is a function of its own, so that the common one saves no registers for it.
 * Context: any.
 */
notrace void ktramp_handle_bpf(struct pt_regs *regs, struct ktramp_bpf_handler *b)
{
	struct task_struct *task;

	enter();
	task = current;
	if (KTRAMP_IDLE_IS_TRACED && unlikely(task->flags & PF_IDLE))
		return handle_idle(regs, b);
	if (unlikely(may_nest(task)))
		miss(b);
	else
		run(regs, b, task);
	leave();
}
NOKPROBE_SYMBOL(ktramp_handle_bpf);
ANNOTATE_NOCFI_SYM(ktramp_handle_bpf);

/* As ktramp_handle_bpf(), for the hits of one process. */
notrace void ktramp_handle_bpf_pid(struct pt_regs *regs, struct ktramp_bpf_handler *b)
{
	if (current->tgid == b->pid)
		ktramp_handle_bpf(regs, b);
	else
		this_cpu_inc(b->stat->filtered);
}
NOKPROBE_SYMBOL(ktramp_handle_bpf_pid);

/* ---- attaching ---- */

/**
 * ktramp_bpf_alloc() - the handler of a new probe, without a program yet
 * @stat: the probe's counters
 * @pid: the process whose hits run it, 0 for all
 */
struct ktramp_bpf_handler *ktramp_bpf_alloc(struct ktramp_stat __percpu *stat, u32 pid)
{
	struct ktramp_bpf_handler *b = kzalloc(sizeof(*b), GFP_KERNEL);

	if (b) {
		b->stat = stat;
		b->pid = pid;
	}
	return b;
}

/* Nobody executes the probe's code any more. */
void ktramp_bpf_free(struct ktramp_bpf_handler *b)
{
	if (b && b->prog)
		bpf_prog_put(b->prog);
	kfree(b);
}

/*
 * Maps whose locks are taken without a try, also in an NMI (bpf_lru_list.c, lpm_trie.c): they rely
 * on bpf_prog_active alone. Hashes have a mark of their own (map_locked), rings, queues and free
 * lists a try, local storages both.
 */
static bool relies_on_active(const struct bpf_map *map)
{
	if (map->inner_map_meta)
		map = map->inner_map_meta;
	return map->map_type == BPF_MAP_TYPE_LRU_HASH ||
	       map->map_type == BPF_MAP_TYPE_LRU_PERCPU_HASH ||
	       map->map_type == BPF_MAP_TYPE_LPM_TRIE;
}

/*
 * The ring buffer's lock sleeps on PREEMPT_RT until 6.12, 8b62645b09f8 ("bpf: Use
 * raw_spinlock_t in ringbuf"). A tail call can lead to any program, also to one that
 * overrides the function's return.
 */
static int check_map(const struct bpf_map *map, struct ktramp_refusal *r)
{
	if (!ktramp_active && relies_on_active(map))
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_PROGRAM,
				     "map '%s' has locks that a program in an NMI would wait for: this kernel hides bpf_prog_active; a plain hash will do",
				     map->name);
	if (map->map_type == BPF_MAP_TYPE_PROG_ARRAY)
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_PROGRAM,
				     "map '%s' is for tail calls, which may lead to bpf_override_return()",
				     map->name);
	if (map->map_type == BPF_MAP_TYPE_RINGBUF && KTRAMP_RINGBUF_SLEEPS)
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_PROGRAM,
				     "map '%s': this kernel's ring buffer takes a lock that sleeps (PREEMPT_RT)",
				     map->name);
	return 0;
}

static int check_maps(const struct bpf_prog *prog, struct ktramp_refusal *r)
{
	struct bpf_prog_aux *aux = prog->aux;
	int err = 0;
	u32 i;

	mutex_lock(&aux->used_maps_mutex);
	for (i = 0; i < aux->used_map_cnt && !err; i++)
		err = check_map(aux->used_maps[i], r);
	mutex_unlock(&aux->used_maps_mutex);
	return err;
}

/* The verifier let it in for kprobes; what follows is of kprobes that we are not. */
static int check_program(const struct bpf_prog *prog, struct ktramp_refusal *r)
{
	if (KTRAMP_PROG_SLEEPABLE(prog))
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_PROGRAM,
				     "the program may sleep, a site may not");
	if (prog->kprobe_override)
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_PROGRAM,
				     "bpf_override_return() needs a function's entry, and error injection");
	if (KTRAMP_PROG_WRITES_CTX(prog))
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_PROGRAM,
				     "the program changes registers, which only a uprobe's may");
	if (prog->expected_attach_type)
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_PROGRAM,
				     "the program is for kprobe.multi or uprobe.multi, whose helpers look for a link of theirs");
	return check_maps(prog, r);
}

/**
 * ktramp_bpf_get() - the program that KTRAMP_IOC_BPF hands over
 * @bpf: as struct ktramp_bpf says
 * @r: (out) the refusal
 *
 * Context: process, sleeps.
 * Return: the program, which bpf_prog_put() gives back, or an ERR_PTR().
 */
struct bpf_prog *ktramp_bpf_get(const struct ktramp_bpf *bpf, struct ktramp_refusal *r)
{
	struct bpf_prog *prog = bpf_prog_get_type_dev(bpf->prog_fd, BPF_PROG_TYPE_KPROBE, false);
	int err;

	if (IS_ERR(prog)) {
		ktramp_refuse(r, PTR_ERR(prog), KTRAMP_R_PROGRAM,
			      "descriptor %d is no BPF program of type kprobe", bpf->prog_fd);
		return prog;
	}
	err = check_program(prog, r);
	if (!err)
		return prog;
	bpf_prog_put(prog);
	return ERR_PTR(err);
}

/**
 * ktramp_bpf_swap() - let a handler run another program
 * @b: the handler
 * @prog: the program
 *
 * A hit on another CPU calls the one or the other.
 *
 * Context: process, under ktramp_mutex.
 * Return: the program it had, or NULL.
 */
struct bpf_prog *ktramp_bpf_swap(struct ktramp_bpf_handler *b, struct bpf_prog *prog)
{
	struct bpf_prog *old = b->prog;

	/* It is there, as its loader left it, before somebody finds it. */
	smp_store_release(&b->prog, prog);
	/* As above. */
	smp_store_release(&b->func, prog->jited ? prog->bpf_func : run_program);
	return old;
}

u32 ktramp_bpf_prog_id(const struct bpf_prog *prog)
{
	return prog->aux->id;
}

#else /* !KTRAMP_HAS_BPF_CTX */

void ktramp_handle_bpf(struct pt_regs *regs, struct ktramp_bpf_handler *b)
{
}

void ktramp_handle_bpf_pid(struct pt_regs *regs, struct ktramp_bpf_handler *b)
{
}

struct ktramp_bpf_handler *ktramp_bpf_alloc(struct ktramp_stat __percpu *stat, u32 pid)
{
	return kzalloc(sizeof(struct ktramp_bpf_handler), GFP_KERNEL);
}

void ktramp_bpf_free(struct ktramp_bpf_handler *b)
{
	kfree(b);
}

struct bpf_prog *ktramp_bpf_get(const struct ktramp_bpf *bpf, struct ktramp_refusal *r)
{
	return ERR_PTR(ktramp_bpf_handler_supported(r));
}

struct bpf_prog *ktramp_bpf_swap(struct ktramp_bpf_handler *b, struct bpf_prog *prog)
{
	return NULL;
}

u32 ktramp_bpf_prog_id(const struct bpf_prog *prog)
{
	return 0;
}

#endif /* KTRAMP_HAS_BPF_CTX */

int ktramp_bpf_supported(struct ktramp_refusal *r)
{
	return ktramp_need_config(CONFIG_BPF_EVENTS, r);
}

/* May a probe of ours run a program? */
int ktramp_bpf_handler_supported(struct ktramp_refusal *r)
{
	int err = ktramp_bpf_supported(r);

	if (!err && !KTRAMP_HAS_BPF_CTX)
		err = ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_NO_CONFIG,
				    "this kernel does not show which task runs a BPF program: that takes 5.15");
	return err;
}
