// SPDX-License-Identifier: GPL-2.0-only
/*
 * The measured loop, and the threads that keep the targets hit.
 */
#include <linux/cpu.h>
#include <linux/kthread.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <asm/msr.h>
#include <asm/text-patching.h>

#include "doors/bench.h"
#include "engine/registry.h"
#include "hit/mechanism.h"
#include "hit/trap.h"
#include "kernel/target.h"
#include "kernel/text.h"
#include "native/native.h"

/* Calls with interrupts off at a stretch. */
#define STRETCH		1000

/* One user of the #BP counter at a time. */
static DEFINE_MUTEX(traps_mutex);

/*
 * The loop itself. Every row's figure is this loop with a probe less this loop without,
 * so what the loop costs cancels; that it is the same code does not. Not traced: the
 * counter must not see ftrace's own work.
 *
 * The compiler may not peel the first test off the loop, so that @calls calls take exactly
 * @calls times what one takes more than none. The jump there is always taken; behind a
 * plain one objtool would find the loop unreachable.
 */
static noinline notrace u64 timed_calls(const struct ktramp_target *t, long first,
					unsigned int calls, long *sum)
{
	long (*fn)(long a, long b) = t->fn;
	long a = first, end = first + calls, acc = 0;
	u64 before = rdtsc_ordered();

	asm goto("stc; jc %l[test]" : : : "cc" : test);
	do {
		acc += fn(a++, 7);
test:
		;
	} while (a < end);
	*sum = acc;
	return rdtsc_ordered() - before;
}

static long expected_sum(const struct ktramp_target *t, long first, unsigned int calls)
{
	long a, acc = 0;

	for (a = first; a < first + (long)calls; a++)
		acc += t->expect(a, 7);
	return acc;
}

struct counts {
	u64 hits;
	u64 missed;
	u64 bp;
	u64 db;
};

/* What this CPU has counted. Preemption is off. */
static void read_counts(const struct ktramp_probe *p, struct counts *c)
{
	memset(c, 0, sizeof(*c));
	if (p) {
		const struct ktramp_stat *stat = this_cpu_ptr(p->stat);

		c->hits = stat->hits;
		c->missed = stat->missed;
		if (p->native)
			c->missed += ktramp_native_missed(p);
	}
	c->bp = ktramp_traps_counted() + ktramp_trap_int3_count();
	c->db = ktramp_trap_debug_count();
}

static void add_counts(struct ktramp_run *run, const struct counts *a, const struct counts *b)
{
	run->hits += b->hits - a->hits;
	run->missed += b->missed - a->missed;
	run->bp += b->bp - a->bp;
	run->db += b->db - a->db;
}

/* A stretch of calls that nothing interrupts. */
static void run_stretch(struct ktramp_run *run, const struct ktramp_target *t,
			const struct ktramp_probe *p, unsigned int calls)
{
	unsigned long flags, lock_flags;
	struct counts before, after;
	u64 ticks, none;
	long sum;

	lock_flags = ktramp_targets_lock(t);
	local_irq_save(flags);
	/* What the loop takes to begin and end belongs to no call. */
	none = timed_calls(t, run->calls, 0, &sum);
	read_counts(p, &before);
	ticks = timed_calls(t, run->calls, calls, &sum);
	read_counts(p, &after);
	local_irq_restore(flags);
	ktramp_targets_unlock(t, lock_flags);
	run->ticks += ticks - min(ticks, none);
	add_counts(run, &before, &after);
	/* One sum stands for all its calls: that it differs says at least one was wrong. */
	if (sum != expected_sum(t, run->calls, calls))
		run->wrong++;
	run->calls += calls;
}

/* One call as the rest of the kernel makes them: interrupts on, each result looked at. */
static void run_single(struct ktramp_run *run, const struct ktramp_target *t,
		       const struct ktramp_probe *p)
{
	struct counts before, after;
	unsigned long flags;
	long result;

	flags = ktramp_targets_lock(t);
	preempt_disable();
	read_counts(p, &before);
	result = t->fn(run->calls, 7);
	read_counts(p, &after);
	preempt_enable();
	ktramp_targets_unlock(t, flags);
	add_counts(run, &before, &after);
	run->wrong += result != t->expect(run->calls, 7);
	run->calls++;
}

static int run_calls(struct ktramp_run *run, const struct ktramp_target *t,
		     const struct ktramp_probe *p, bool may_sleep)
{
	while (run->calls < run->loops) {
		if (run->flags)
			run_stretch(run, t, p, min_t(u64, STRETCH, run->loops - run->calls));
		else
			run_single(run, t, p);
		if (signal_pending(current))
			return -EINTR;
		/* A quiescent state of tasks-RCU would end the state of a transient probe. */
		if (may_sleep)
			cond_resched_tasks_rcu_qs();
	}
	return 0;
}

static int run_probe(struct ktramp_run *run, const struct ktramp_target *t,
		     struct ktramp_probe *p)
{
	struct ktramp_refusal r = {};
	unsigned long addr = ktramp_target_site(t);
	bool transient = p && ktramp_mechanism(p->mechanism)->enter;
	int err = 0;

	if (p) {
		addr = ktramp_probe_addr(p);
		err = ktramp_probe_enter(p, &r);
		if (err)
			return err;
		/* Only a state that ends when we sleep must keep the mutex while it is measured. */
		if (!transient)
			ktramp_probe_leave(p);
	}
	err = run_calls(run, t, p, !transient);
	run->now_len = sizeof(run->now);
	if (ktramp_text_read(run->now, addr, sizeof(run->now)))
		run->now_len = 0;
	if (transient) {
		if (!err && (!run->now_len || run->now[0] != INT3_INSN_OPCODE))
			err = -EAGAIN;
		ktramp_probe_leave(p);
	}
	return err;
}

static bool probe_is_on(const struct ktramp_probe *p, const struct ktramp_target *t)
{
	unsigned long addr = ktramp_probe_addr(p);

	return addr == ktramp_target_site(t) || addr == ktramp_target_entry(t);
}

/**
 * ktramp_bench_run() - KTRAMP_IOC_RUN
 * @run: as struct ktramp_run says
 *
 * Context: process, sleeps.
 */
int ktramp_bench_run(struct ktramp_run *run)
{
	const struct ktramp_target *t = ktramp_target(run->target);
	struct ktramp_probe *p = NULL;
	bool counting = false;
	int err;

	if (!t)
		return -ENOENT;
	if (!run->loops || run->loops > KTRAMP_LOOPS_MAX ||
	    (run->flags & ~(KTRAMP_RUN_MEASURE | KTRAMP_RUN_TRAPS)) ||
	    run->flags == (KTRAMP_RUN_MEASURE | KTRAMP_RUN_TRAPS))
		return -EINVAL;
	if (run->id) {
		p = ktramp_probe_get(run->id, false);
		if (!p)
			return -ENOENT;
		err = -EINVAL;
		if (!probe_is_on(p, t))
			goto put;
	}
	run->ticks = 0;
	run->calls = 0;
	run->wrong = 0;
	run->hits = 0;
	run->missed = 0;
	run->bp = 0;
	run->db = 0;
	if (run->flags & KTRAMP_RUN_TRAPS) {
		err = -EBUSY;
		if (!mutex_trylock(&traps_mutex))
			goto put;
		counting = ktramp_traps_count_begin();
	}
	err = run_probe(run, t, p);
	if (run->flags & KTRAMP_RUN_TRAPS) {
		if (counting)
			ktramp_traps_count_end();
		mutex_unlock(&traps_mutex);
	}
	if (!counting)
		run->bp = KTRAMP_UNKNOWN;
	if (!(run->flags & KTRAMP_RUN_MEASURE))
		run->ticks = 0;
put:
	if (p)
		ktramp_probe_put(p);
	return err;
}

/* ---- what the counter counts ---- */

/* Ticks around code of a known number of instructions. */
#define TICKS_AROUND(code)							\
({										\
	u64 _before = rdtsc_ordered();						\
										\
	asm volatile(code ::: "eax", "ecx", "cc");				\
	rdtsc_ordered() - _before;						\
})

/**
 * ktramp_bench_clock() - does the counter count instructions?
 *
 * Code of 0, 512 and 1024 nops and a loop of 512 two-instruction rounds must take ticks
 * that differ by exactly their instructions, every time. No CPU does that with cycles:
 * nops retire several to one, the loop does not.
 */
enum ktramp_clock ktramp_bench_clock(void)
{
	enum ktramp_clock clock = KTRAMP_CLOCK_ICOUNT;
	unsigned long flags;
	int i;

	local_irq_save(flags);
	for (i = 0; i < 8; i++) {
		u64 none = TICKS_AROUND("");
		u64 nops = TICKS_AROUND(".rept 512; nop; .endr");
		u64 more = TICKS_AROUND(".rept 1024; nop; .endr");
		u64 loop = TICKS_AROUND("mov $512, %%ecx; 1: dec %%ecx; jnz 1b");

		if (nops - none != 512 || more - none != 1024 || loop - none != 1 + 2 * 512)
			clock = KTRAMP_CLOCK_TSC;
	}
	local_irq_restore(flags);
	return clock;
}

/* ---- load ---- */

static DEFINE_MUTEX(load_mutex);
static struct task_struct **load_threads;
static unsigned int load_count;
static atomic64_t load_calls, load_wrong;

static int load_thread(void *unused)
{
	unsigned int i = 0;
	long a = 0;

	while (!kthread_should_stop()) {
		const struct ktramp_target *t = ktramp_target(i++ % ktramp_target_count());
		unsigned long flags = ktramp_targets_lock(t);
		long result = t->fn(a, 7);

		ktramp_targets_unlock(t, flags);
		if (result != t->expect(a, 7))
			atomic64_inc(&load_wrong);
		atomic64_inc(&load_calls);
		a++;
		/* Never sleeping, this thread would hold up every arming's grace period. */
		cond_resched_tasks_rcu_qs();
	}
	return 0;
}

static void load_stop(void)
{
	unsigned int i;

	for (i = 0; i < load_count; i++)
		kthread_stop(load_threads[i]);
	kfree(load_threads);
	load_threads = NULL;
	load_count = 0;
}

static int load_start(void)
{
	struct task_struct *task;
	unsigned int cpu;
	int err = 0;

	if (load_count)
		return -EALREADY;
	atomic64_set(&load_calls, 0);
	atomic64_set(&load_wrong, 0);
	cpus_read_lock();
	load_threads = kcalloc(num_online_cpus(), sizeof(*load_threads), GFP_KERNEL);
	if (!load_threads)
		err = -ENOMEM;
	for_each_online_cpu(cpu) {
		if (err)
			break;
		task = kthread_create_on_node(load_thread, NULL, cpu_to_node(cpu), "ktramp/%u",
					      cpu);
		if (IS_ERR(task)) {
			err = PTR_ERR(task);
			break;
		}
		kthread_bind(task, cpu);
		load_threads[load_count++] = task;
		wake_up_process(task);
	}
	cpus_read_unlock();
	if (err)
		load_stop();
	return err;
}

/**
 * ktramp_bench_load() - KTRAMP_IOC_LOAD
 * @load: as struct ktramp_load says
 *
 * Context: process, sleeps.
 */
int ktramp_bench_load(struct ktramp_load *load)
{
	int err = 0;

	if ((load->flags & ~(KTRAMP_LOAD_START | KTRAMP_LOAD_STOP)) || load->reserved ||
	    load->flags == (KTRAMP_LOAD_START | KTRAMP_LOAD_STOP))
		return -EINVAL;
	mutex_lock(&load_mutex);
	if (load->flags & KTRAMP_LOAD_START)
		err = load_start();
	if (load->flags & KTRAMP_LOAD_STOP)
		load_stop();
	load->threads = load_count;
	mutex_unlock(&load_mutex);
	load->calls = atomic64_read(&load_calls);
	load->wrong = atomic64_read(&load_wrong);
	return err;
}

void ktramp_bench_load_stop(void)
{
	mutex_lock(&load_mutex);
	load_stop();
	mutex_unlock(&load_mutex);
}
