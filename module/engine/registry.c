// SPDX-License-Identifier: GPL-2.0-only
/*
 * A probe's life: create -> arm -> hit -> disarm -> free. The only owner of state.
 *
 * Everything here sleeps and runs under ktramp_mutex; hits are trap.c's and the
 * detours'. arm.c has the protocol by which the text changes.
 */
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "admit/admit.h"
#include "admit/claim.h"
#include "engine/arm.h"
#include "engine/program.h"
#include "engine/registry.h"
#include "engine/watch.h"
#include "hit/bpf.h"
#include "hit/mechanism.h"
#include "hit/stat.h"
#include "hit/trap.h"
#include "kernel/lock.h"
#include "kernel/slot.h"
#include "kernel/text.h"
#include "native/native.h"

/* By number. Numbers go up and are not reused before they wrap. */
static DEFINE_XARRAY_ALLOC1(probes);
static u32 probe_next_id = 1;
static unsigned int probe_count;

unsigned int ktramp_probe_count(void)
{
	return READ_ONCE(probe_count);
}

/**
 * ktramp_probe_sum() - add up a probe's per-CPU counters
 * @p: the probe
 * @sum: (out) the sums
 *
 * Context: any; a hit under way may or may not be in it.
 */
void ktramp_probe_sum(const struct ktramp_probe *p, struct ktramp_stat *sum)
{
	int cpu;

	*sum = (struct ktramp_stat){ .missed = p->native ? ktramp_native_missed(p) : 0 };
	for_each_possible_cpu(cpu) {
		const struct ktramp_stat *stat = per_cpu_ptr(p->stat, cpu);

		sum->hits += READ_ONCE(stat->hits);
		sum->missed += READ_ONCE(stat->missed);
		sum->recursed += READ_ONCE(stat->recursed);
		sum->filtered += READ_ONCE(stat->filtered);
	}
}

/* Bytes a probe holds, its per-CPU counters excluded. */
unsigned int ktramp_probe_memory(const struct ktramp_probe *p)
{
	unsigned int memory = ksize(p);

	if (p->native)
		memory += ksize(p->native);
	if (p->pins)
		memory += ksize(p->pins);
	if (p->springboard)
		memory += ksize(p->springboard);
	return memory + round_up(p->code_len, KTRAMP_SLOT_UNIT);
}

/* The process a probe is for, as the caller's namespace counts; 0 if it has none there. */
u32 ktramp_probe_pid(const struct ktramp_probe *p)
{
	return pid_vnr(p->process);
}

/* The last reference is gone and nobody executes its code any more. */
static void probe_free(struct kref *ref)
{
	struct ktramp_probe *p = container_of(ref, struct ktramp_probe, ref);

	ktramp_slot_free(p->code, p->code_len);
	ktramp_springboard_release(p);
	put_pid(p->process);
	kfree(p->pins);
	kfree(p->native);
	if (ktramp_probe_runs_program(p))
		ktramp_bpf_free(p->bpf);
	else
		free_percpu(p->regs);
	ktramp_stat_free(p->stat);
	kfree(p);
}

void ktramp_probe_put(struct ktramp_probe *p)
{
	kref_put(&p->ref, probe_free);
}

/* Is there something of the kernel's to register for it? */
static bool needs_native(const struct ktramp_probe *p)
{
	const struct ktramp_mechanism_ops *ops = ktramp_mechanism(p->mechanism);

	return ops->kind == KTRAMP_KIND_KERNEL && ops->disarm;
}

/* A new probe, nothing planned yet. Return: NULL without memory. */
struct ktramp_probe *ktramp_probe_alloc(const struct ktramp_request *request, unsigned long addr,
					struct pid *process)
{
	struct ktramp_probe *p = kzalloc(sizeof(*p), GFP_KERNEL);

	if (!p)
		return NULL;
	kref_init(&p->ref);
	p->mechanism = request->mechanism;
	p->handler = request->handler;
	p->process = get_pid(process);
	p->pid = pid_nr(process);
	p->owner = request->owner;
	p->state = KTRAMP_NEW;
	p->trap.addr = addr;
	p->stat = ktramp_stat_alloc(p->handler);
	if (p->handler == KTRAMP_REGS)
		p->regs = alloc_percpu(struct ktramp_snapshot);
	if (ktramp_probe_runs_program(p))
		p->bpf = ktramp_bpf_alloc(p->stat, p->pid);
	if (needs_native(p))
		p->native = ktramp_native_alloc(p);
	if (p->stat && (p->regs || (p->handler != KTRAMP_REGS && !ktramp_probe_runs_program(p))) &&
	    (p->native || !needs_native(p)))
		return p;
	ktramp_probe_put(p);
	return NULL;
}

/**
 * ktramp_probe_add() - give a planned probe its number
 * @p: the probe
 * @r: (out) the refusal
 *
 * Context: process, under ktramp_mutex.
 * Return: the number, -ENOSPC, -ENOMEM.
 */
int ktramp_probe_add(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	int err;

	lockdep_assert_held(&ktramp_mutex);
	if (probe_count >= KTRAMP_PROBES_MAX)
		return ktramp_refuse(r, -ENOSPC, KTRAMP_R_SPACE, "%u probes exist already",
				     KTRAMP_PROBES_MAX);
	err = xa_alloc_cyclic(&probes, &p->id, p, XA_LIMIT(1, INT_MAX), &probe_next_id, GFP_KERNEL);
	if (err < 0)
		return err;
	WRITE_ONCE(probe_count, probe_count + 1);
	return p->id;
}

/**
 * ktramp_probe_get() - find a probe and keep it from being freed
 * @id: its number
 * @next: the lowest numbered one from @id up
 *
 * It may be disarmed and destroyed meanwhile; its memory and counters stay.
 * Return: the probe, or NULL; give it back with ktramp_probe_put(), in process context.
 */
struct ktramp_probe *ktramp_probe_get(u32 id, bool next)
{
	unsigned long index = id;
	struct ktramp_probe *p;

	mutex_lock(&ktramp_mutex);
	p = next ? xa_find(&probes, &index, ULONG_MAX, XA_PRESENT) : xa_load(&probes, index);
	if (p)
		kref_get(&p->ref);
	mutex_unlock(&ktramp_mutex);
	return p;
}

/* As ktramp_probe_get(): the lowest numbered one from @id up that belongs to @owner. */
struct ktramp_probe *ktramp_probe_get_owned(u32 id, const void *owner)
{
	struct ktramp_probe *p;
	unsigned long index;

	mutex_lock(&ktramp_mutex);
	xa_for_each_start(&probes, index, p, id)
		if (p->owner == owner)
			break;
	if (p)
		kref_get(&p->ref);
	mutex_unlock(&ktramp_mutex);
	return p;
}

/* KTRAMP_IOC_WATCH: as ktramp_watch_add(), or -ENOENT. */
int ktramp_probe_watch(u32 id, void *watcher)
{
	struct ktramp_probe *p;
	int err;

	mutex_lock(&ktramp_mutex);
	p = xa_load(&probes, id);
	err = p ? ktramp_watch_add(p, watcher) : -ENOENT;
	mutex_unlock(&ktramp_mutex);
	return err;
}

static void no_probe(struct ktramp_set *set, unsigned int i, u32 id)
{
	struct ktramp_refusal r;

	ktramp_set_fail(set, i, ktramp_refuse(&r, -ENOENT, KTRAMP_R_NO_SYMBOL,
					      "there is no probe %u", id), &r);
}

static void not_yours(struct ktramp_set *set, unsigned int i, u32 id)
{
	struct ktramp_refusal r;

	ktramp_set_fail(set, i, ktramp_refuse(&r, -EPERM, KTRAMP_R_BUSY,
					      "probe %u belongs to another open file", id), &r);
}

/* Look up a batch. A number that is in it twice is done once. */
static void look_up(struct ktramp_set *set, const u32 *ids, void *owner)
{
	struct ktramp_probe *p;
	unsigned int i;

	for (i = 0; i < set->nr; i++) {
		p = xa_load(&probes, ids[i]);
		set->probe[i] = p;
		if (!p)
			no_probe(set, i, ids[i]);
		else if (p->owner && p->owner != owner)
			not_yours(set, i, ids[i]);
		else if (p->in_set)
			set->probe[i] = NULL;
		else
			p->in_set = true;
	}
	for (i = 0; i < set->nr; i++)
		if (set->probe[i])
			set->probe[i]->in_set = false;
}

/*
 * Disarmed probes leave the list; then nobody may still execute their code, which
 * includes the int3 behind a copy; then nobody may still look at the probe.
 */
static void destroy_set(struct ktramp_set *set)
{
	bool had_done = false;
	unsigned int i;

	for (i = 0; i < set->nr; i++) {
		struct ktramp_probe *p = set->probe[i];

		if (p) {
			xa_erase(&probes, p->id);
			WRITE_ONCE(probe_count, probe_count - 1);
		}
	}
	ktramp_text_wait();
	for (i = 0; i < set->nr; i++) {
		struct ktramp_probe *p = set->probe[i];

		if (p && p->done_hashed) {
			ktramp_trap_del(&p->done);
			had_done = true;
		}
	}
	if (had_done) {
		/* It may have been the last breakpoint that somebody could come to. */
		while (ktramp_trap_settle() == -ENOMEM)
			schedule_timeout_uninterruptible(1);
		ktramp_text_sync();
	}
	for (i = 0; i < set->nr; i++) {
		struct ktramp_probe *p = set->probe[i];
		struct ktramp_stat sum;

		if (!p)
			continue;
		ktramp_probe_sum(p, &sum);
		ktramp_watch_end(p, &sum);
		ktramp_probe_put(p);
	}
}

static void destroy(struct ktramp_set *set)
{
	struct ktramp_probe **all = set->probe;
	unsigned int i;

	/* Disarming drops from its set what needs no disarming; that is destroyed as well. */
	set->probe = set->probe + set->nr;
	memcpy(set->probe, all, set->nr * sizeof(*all));
	ktramp_set_disarm(set);
	set->probe = all;
	for (i = 0; i < set->nr; i++)
		if (all[i] && all[i]->state == KTRAMP_STUCK)
			all[i] = NULL;
	destroy_set(set);
}

/* One of the batch calls: look up, do, report. */
static int batch(const u32 *ids, unsigned int nr, void *owner, struct ktramp_batch *reply,
		 void (*act)(struct ktramp_set *set))
{
	struct ktramp_set set = { .nr = nr };

	set.probe = kvcalloc(2 * nr, sizeof(*set.probe), GFP_KERNEL);
	if (!set.probe)
		return -ENOMEM;
	mutex_lock(&ktramp_mutex);
	look_up(&set, ids, owner);
	act(&set);
	mutex_unlock(&ktramp_mutex);
	kvfree(set.probe);
	reply->done = nr - set.failures;
	if (set.failures) {
		reply->failed = ids[set.first];
		reply->reason = set.refusal.reason;
		strscpy(reply->why, set.refusal.why, sizeof(reply->why));
	}
	return set.err;
}

/**
 * ktramp_probes_arm() - arm probes by number
 * @ids: numbers
 * @nr: how many
 * @owner: the open file that asks
 * @reply: (out) counts and the first refusal
 *
 * Context: process, sleeps for grace periods.
 * Return: 0 or the first probe's error, see struct ktramp_batch.
 */
int ktramp_probes_arm(const u32 *ids, unsigned int nr, void *owner, struct ktramp_batch *reply)
{
	return batch(ids, nr, owner, reply, ktramp_set_arm);
}

/* As ktramp_probes_arm(), the other way. */
int ktramp_probes_disarm(const u32 *ids, unsigned int nr, void *owner,
			 struct ktramp_batch *reply)
{
	return batch(ids, nr, owner, reply, ktramp_set_disarm);
}

/* As ktramp_probes_arm(): disarm, and give the numbers and all memory back. */
int ktramp_probes_destroy(const u32 *ids, unsigned int nr, void *owner,
			  struct ktramp_batch *reply)
{
	return batch(ids, nr, owner, reply, destroy);
}

/**
 * ktramp_probe_bpf() - KTRAMP_IOC_BPF
 * @bpf: as struct ktramp_bpf says
 * @owner: the open file that asks
 * @r: (out) the refusal
 *
 * Context: process, sleeps.
 */
int ktramp_probe_bpf(struct ktramp_bpf *bpf, void *owner, struct ktramp_refusal *r)
{
	struct ktramp_probe *p;
	int err;

	mutex_lock(&ktramp_mutex);
	p = xa_load(&probes, bpf->id);
	if (!p)
		err = ktramp_refuse(r, -ENOENT, KTRAMP_R_NO_SYMBOL, "there is no probe %u",
				    bpf->id);
	else if (p->owner && p->owner != owner)
		err = ktramp_refuse(r, -EPERM, KTRAMP_R_BUSY,
				    "probe %u belongs to another open file", bpf->id);
	else if (!ktramp_probe_runs_program(p) || ktramp_mechanism(p->mechanism)->libbpf)
		err = ktramp_refuse(r, -EINVAL, KTRAMP_R_HANDLER,
				    "probe %u runs no program of its own", bpf->id);
	else
		err = ktramp_program_set(p, bpf, r);
	mutex_unlock(&ktramp_mutex);
	return err;
}

/* Of probes whose owner goes, this many share a grace period. */
#define RELEASE_BATCH	1024

struct release {
	void *owner;
	unsigned long start, size;
	bool (*wanted)(const struct release *release, const struct ktramp_probe *p);
};

static bool is_owned(const struct release *release, const struct ktramp_probe *p)
{
	return p->owner == release->owner;
}

static bool is_anyones(const struct release *release, const struct ktramp_probe *p)
{
	return true;
}

static bool is_inside(const struct release *release, const struct ktramp_probe *p)
{
	return ktramp_probe_addr(p) - release->start < release->size;
}

/*
 * Destroy up to RELEASE_BATCH of the wanted probes. The array is static, because a close
 * must not fail for want of memory.
 *
 * Return: how many it tried.
 */
static unsigned int release_some(const struct release *release)
{
	static struct ktramp_probe *v[2 * RELEASE_BATCH];
	struct ktramp_set set = { .probe = v };
	struct ktramp_probe *p;
	unsigned long id;

	lockdep_assert_held(&ktramp_mutex);
	xa_for_each(&probes, id, p) {
		if (set.nr == RELEASE_BATCH)
			break;
		if (!release->wanted(release, p))
			continue;
		/* If it is stuck it stays, and is nobody's: anyone may try again. */
		p->owner = NULL;
		v[set.nr++] = p;
	}
	if (set.nr)
		destroy(&set);
	return set.nr;
}

static unsigned int release_locked(const struct release *release)
{
	unsigned int nr;

	mutex_lock(&ktramp_mutex);
	nr = release_some(release);
	mutex_unlock(&ktramp_mutex);
	return nr;
}

/* The open file @owner is closed: disarm and destroy its probes. */
void ktramp_probes_release(void *owner)
{
	const struct release release = { .owner = owner, .wanted = is_owned };

	while (release_locked(&release))
		;
}

/*
 * Text goes, with whatever somebody else wrote over a probe in it: one that is stuck there
 * ends like the others, but its bytes are left to go as they are.
 */
static void abandon_stuck(const struct release *release)
{
	struct ktramp_probe *p;
	unsigned long id;

	xa_for_each(&probes, id, p)
		if (p->state == KTRAMP_STUCK && release->wanted(release, p))
			ktramp_probe_abandon(p);
}

/**
 * ktramp_probes_forget() - disarm and destroy the probes in a range of text that goes
 * @start: its first byte
 * @size: bytes
 *
 * Context: process, under ktramp_mutex; the text must still be there.
 */
void ktramp_probes_forget(unsigned long start, unsigned long size)
{
	const struct release release = { .start = start, .size = size, .wanted = is_inside };
	unsigned int left, before;

	do {
		before = probe_count;
		left = release_some(&release);
		/* Nothing but stuck ones came back. */
		if (left && probe_count == before)
			abandon_stuck(&release);
	} while (left);
}

/*
 * The module goes. It is pinned while a probe is known to be stuck; one that is found
 * to be so only now must be waited for, because its code goes with the module.
 */
void ktramp_probes_exit(void)
{
	const struct release release = { .wanted = is_anyones };

	while (release_locked(&release))
		if (ktramp_probe_count())
			schedule_timeout_uninterruptible(HZ / 10);
}

/**
 * ktramp_probe_enter() - enter a transient state, for one measurement
 * @p: a probe that is armed
 * @r: (out) the refusal
 *
 * Holds ktramp_mutex until ktramp_probe_leave(). The caller must not sleep in between: that
 * is what ends such a state.
 *
 * Return: 0; -EINVAL not armed; what the mechanism's arming says.
 */
int ktramp_probe_enter(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	const struct ktramp_mechanism_ops *ops = ktramp_mechanism(p->mechanism);
	int err = 0;

	mutex_lock(&ktramp_mutex);
	if (p->state != KTRAMP_ARMED)
		err = -EINVAL;
	else if (ops->enter)
		err = ops->enter(p, r);
	if (err)
		mutex_unlock(&ktramp_mutex);
	return err;
}

void ktramp_probe_leave(struct ktramp_probe *p)
{
	const struct ktramp_mechanism_ops *ops = ktramp_mechanism(p->mechanism);

	if (ops->enter)
		ops->disarm(p);
	mutex_unlock(&ktramp_mutex);
}

/**
 * ktramp_probe_code() - the out-of-line code of a probe
 * @p: the probe
 * @buf: (out) %KTRAMP_CODE_MAX bytes
 *
 * Return: bytes, 0 if it has none.
 */
unsigned int ktramp_probe_code(const struct ktramp_probe *p, u8 *buf)
{
	return p->code && !ktramp_text_read(buf, p->code, p->code_len) ? p->code_len : 0;
}
