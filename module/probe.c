// SPDX-License-Identifier: GPL-2.0-only
/*
 * A probe's life: create -> arm -> hit -> disarm -> free. The only owner of state.
 *
 * Everything here sleeps and runs under ktramp_mutex; hits are trap.c's and the
 * detours'. arm.c has the protocol by which the text changes.
 */
#include <linux/err.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/xarray.h>
#include <asm/text-patching.h>

#include "arm.h"
#include "mechanism.h"
#include "native.h"
#include "probe.h"
#include "slot.h"
#include "symbol.h"
#include "target.h"
#include "text.h"

/* Functions larger than this are not planned in. */
#define FUNC_SIZE_MAX	(1U << 20)

/* Every probe's state, the lists of them, and the text. */
DEFINE_MUTEX(ktramp_mutex);

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
 * @hits: (out) handled hits
 * @missed: (out) unhandled ones
 *
 * Context: any; a hit under way may or may not be in it.
 */
void ktramp_probe_sum(const struct ktramp_probe *p, u64 *hits, u64 *missed)
{
	int cpu;

	*hits = 0;
	*missed = p->native ? ktramp_native_missed(p) : 0;
	for_each_possible_cpu(cpu) {
		const struct ktramp_stat *stat = per_cpu_ptr(p->stat, cpu);

		*hits += READ_ONCE(stat->hits);
		*missed += READ_ONCE(stat->missed);
	}
}

/* Bytes a probe holds, its per-CPU counters excluded. */
unsigned int ktramp_probe_memory(const struct ktramp_probe *p)
{
	unsigned int memory = ksize(p);

	if (p->native)
		memory += ksize(p->native);
	return memory + round_up(p->code_len, KTRAMP_SLOT_UNIT);
}

/* The last reference is gone and nobody executes its code any more. */
static void probe_free(struct kref *ref)
{
	struct ktramp_probe *p = container_of(ref, struct ktramp_probe, ref);

	ktramp_slot_free(p->code, p->code_len);
	free_percpu(p->regs);
	free_percpu(p->stat);
	kfree(p);
}

void ktramp_probe_put(struct ktramp_probe *p)
{
	kref_put(&p->ref, probe_free);
}

static struct ktramp_probe *probe_alloc(enum ktramp_mechanism mechanism,
					enum ktramp_handler handler, unsigned long addr)
{
	struct ktramp_probe *p = kzalloc(sizeof(*p), GFP_KERNEL);

	if (!p)
		return NULL;
	kref_init(&p->ref);
	p->mechanism = mechanism;
	p->handler = handler;
	p->state = KTRAMP_NEW;
	p->trap.addr = addr;
	p->stat = alloc_percpu(struct ktramp_stat);
	if (handler == KTRAMP_REGS)
		p->regs = alloc_percpu(struct ktramp_snapshot);
	if (p->stat && (p->regs || handler != KTRAMP_REGS))
		return p;
	ktramp_probe_put(p);
	return NULL;
}

/* A site's text -> its target. This version knows no others. */
static const struct ktramp_target *find_target(const char *site, unsigned long *addr,
					       struct ktramp_refusal *r)
{
	static const char prefix[] = "ktramp_target_";
	size_t len = strcspn(site, "+");
	const struct ktramp_target *t;
	unsigned long offset = 0;

	if (!len || (site[len] && kstrtoul(site + len + 1, 0, &offset))) {
		ktramp_refuse(r, 0, KTRAMP_R_SYNTAX, "write a target's name or symbol+0xoffset");
		return ERR_PTR(-EINVAL);
	}
	t = ktramp_target_find(site, len);
	if (t && !site[len]) {
		*addr = ktramp_target_site(t);
		return t;
	}
	if (len > strlen(prefix) && !strncmp(site, prefix, strlen(prefix))) {
		t = ktramp_target_find(site + strlen(prefix), len - strlen(prefix));
		if (t) {
			*addr = (unsigned long)t->fn + offset;
			return t;
		}
	}
	ktramp_refuse(r, 0, KTRAMP_R_OWN_TARGETS,
		      "this version probes its own targets only; 'ktramp targets' lists them");
	return ERR_PTR(-ENOENT);
}

/* The bytes the function had before any probe of this module was armed in it. */
static void recover_bytes(u8 *code, unsigned long start, unsigned long size)
{
	struct ktramp_probe *p;
	unsigned long id;

	xa_for_each(&probes, id, p) {
		unsigned long at = ktramp_probe_addr(p) - start;

		if ((p->state == KTRAMP_ARMED || p->state == KTRAMP_STUCK) && at < size)
			memcpy(code + at, p->before, min_t(unsigned long, p->armed_len, size - at));
	}
}

/* Plan, write the code out of line, validate it there, publish it to nobody yet. */
static int build_code(struct ktramp_probe *p, const struct ktramp_mechanism_ops *ops,
		      const struct ktramp_site *site, struct ktramp_refusal *r)
{
	u8 buf[KTRAMP_CODE_MAX];
	struct ktramp_emit e = { .buf = buf, .max = sizeof(buf) };
	int err;

	/* Lengths do not depend on the address; displacements from the area's start reach. */
	e.addr = ktramp_slot_base();
	err = ops->prepare(p, site, &e, r);
	if (err)
		return err;
	if (!e.len)
		return 0;
	p->code = ktramp_slot_alloc(e.len);
	if (!p->code)
		return ktramp_refuse(r, -ENOSPC, KTRAMP_R_SPACE,
				     "all %u bytes for slots and detours are in use",
				     ktramp_slot_capacity());
	p->code_len = e.len;
	e = (struct ktramp_emit){ .buf = buf, .max = sizeof(buf), .addr = p->code };
	err = ops->prepare(p, site, &e, r);
	if (err)
		return err;
	return ktramp_text_write(p->code, buf, e.len);
}

static int plan_ours(struct ktramp_probe *p, const struct ktramp_mechanism_ops *ops,
		     const struct ktramp_symbol *symbol, struct ktramp_refusal *r)
{
	struct ktramp_func func = { .addr = symbol->start, .size = symbol->size };
	struct ktramp_site site;
	u8 *code;
	int err;

	if (symbol->size > FUNC_SIZE_MAX)
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_DECODE,
				     "the function's size of %lu bytes is not believable",
				     symbol->size);
	code = kvmalloc(symbol->size, GFP_KERNEL);
	if (!code)
		return -ENOMEM;
	err = ktramp_text_read(code, symbol->start, symbol->size);
	if (err)
		goto free;
	recover_bytes(code, symbol->start, symbol->size);
	func.code = code;
	err = ktramp_plan_site(&site, &func, ktramp_probe_addr(p) - symbol->start, r);
	if (!err && code[site.off] == INT3_INSN_OPCODE)
		err = ktramp_refuse(r, -EBUSY, KTRAMP_R_PATCHED,
				    "an int3 stands there: somebody else's probe, or padding");
	if (err)
		goto free;
	memcpy(p->before, code + site.off,
	       min_t(unsigned long, sizeof(p->before), symbol->size - site.off));
	p->insn_len = site.insn.len;
	p->region = site.insn.len;
	p->nr_displaced = 1;
	err = build_code(p, ops, &site, r);
	if (!err)
		ktramp_trap_choose(p);
free:
	kvfree(code);
	return err;
}

static int plan(struct ktramp_probe *p, const struct ktramp_mechanism_ops *ops,
		struct ktramp_refusal *r)
{
	struct ktramp_symbol *symbol = kmalloc(sizeof(*symbol), GFP_KERNEL);
	unsigned long addr = ktramp_probe_addr(p);
	struct ktramp_insn insn;
	int err = -ENOMEM;

	if (!symbol)
		return err;
	err = ktramp_symbol_at(symbol, addr);
	if (err == -ENOENT)
		ktramp_refuse(r, err, KTRAMP_R_NOT_TEXT, "the address is in no function");
	if (err)
		goto free;
	p->armed_len = ops->changes;
	if (ops->kind == KTRAMP_KIND_OURS) {
		err = ktramp_admit(addr, r);
		if (!err)
			err = plan_ours(p, ops, symbol, r);
	} else {
		err = ktramp_text_read(p->before, addr,
				       min_t(unsigned long, sizeof(p->before),
					     symbol->start + symbol->size - addr));
		if (!err && (p->mechanism == KTRAMP_TRACEPOINT ||
			     p->mechanism == KTRAMP_TRACEPOINT_OFF))
			/* The hook is the nop, of 2 or 5 bytes as objtool chose. */
			p->armed_len = ktramp_insn_decode(&insn, p->before,
							  sizeof(p->before)) > 0 ?
				insn.len : 0;
		p->region = p->armed_len;
	}
free:
	kfree(symbol);
	return err;
}

/* An ftrace entry is ftrace's: our own mechanisms stay off it. */
static int check_entry(const struct ktramp_mechanism_ops *ops, const struct ktramp_target *t,
		       unsigned long addr, struct ktramp_refusal *r)
{
	if (ops->kind == KTRAMP_KIND_OURS && addr <= ktramp_target_entry(t))
		return ktramp_refuse(r, -EBUSY, KTRAMP_R_PATCHED,
				     "ftrace owns the function's entry; the next instruction is at +0x%lx",
				     ktramp_target_entry(t) + KTRAMP_JMP_SIZE -
				     (unsigned long)t->fn);
	return 0;
}

/**
 * ktramp_probe_create() - make a probe
 * @mechanism: how control leaves the site
 * @handler: what runs then
 * @site: where, as text
 * @owner: the open file it belongs to, or NULL
 * @r: (out) the refusal
 *
 * The text is not touched.
 *
 * Context: process, sleeps.
 * Return: the probe's number, or a negative errno as struct ktramp_create documents.
 */
int ktramp_probe_create(enum ktramp_mechanism mechanism, enum ktramp_handler handler,
			const char *site, void *owner, struct ktramp_refusal *r)
{
	const struct ktramp_mechanism_ops *ops = ktramp_mechanism(mechanism);
	const struct ktramp_target *t;
	struct ktramp_probe *p;
	unsigned long addr;
	int err;

	if (!ops || handler < KTRAMP_COUNT || handler > KTRAMP_COUNT_INLINE)
		return ktramp_refuse(r, -EINVAL, KTRAMP_R_SYNTAX, "no such mechanism or handler");
	if (!(ops->handlers & BIT(handler)))
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_HANDLER,
				     "%s cannot run handler %s", ops->name,
				     ktramp_handler_name(handler));
	err = ops->supported ? ops->supported(r) : 0;
	if (err)
		return err;
	t = find_target(site, &addr, r);
	if (IS_ERR(t))
		return PTR_ERR(t);
	if ((mechanism == KTRAMP_TRACEPOINT || mechanism == KTRAMP_TRACEPOINT_OFF) && !t->base)
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_SHAPE,
				     "this target has no tracepoint in it; the target 'tracepoint' has");
	err = check_entry(ops, t, addr, r);
	if (err)
		return err;

	p = probe_alloc(mechanism, handler, ops->at_entry ? ktramp_target_entry(t) : addr);
	if (!p)
		return -ENOMEM;
	p->owner = owner;
	mutex_lock(&ktramp_mutex);
	err = plan(p, ops, r);
	if (!err && probe_count >= KTRAMP_PROBES_MAX)
		err = ktramp_refuse(r, -ENOSPC, KTRAMP_R_SPACE, "%u probes exist already",
				    KTRAMP_PROBES_MAX);
	if (!err)
		err = xa_alloc_cyclic(&probes, &p->id, p, XA_LIMIT(1, INT_MAX), &probe_next_id,
				      GFP_KERNEL);
	if (err >= 0) {
		WRITE_ONCE(probe_count, probe_count + 1);
		err = p->id;
	}
	mutex_unlock(&ktramp_mutex);
	if (err < 0)
		ktramp_probe_put(p);
	return err;
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
	if (had_done)
		synchronize_rcu();
	for (i = 0; i < set->nr; i++)
		if (set->probe[i])
			ktramp_probe_put(set->probe[i]);
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

/* Of probes whose owner goes, this many share a grace period. */
#define RELEASE_BATCH	1024

/*
 * Destroy up to RELEASE_BATCH probes of one owner, or of everyone. The array is static,
 * because a close must not fail for want of memory.
 *
 * Return: how many it tried.
 */
static unsigned int release_some(void *owner, bool everyone)
{
	static struct ktramp_probe *v[2 * RELEASE_BATCH];
	struct ktramp_set set = { .probe = v };
	struct ktramp_probe *p;
	unsigned long id;

	mutex_lock(&ktramp_mutex);
	xa_for_each(&probes, id, p) {
		if (set.nr == RELEASE_BATCH)
			break;
		if (!everyone && p->owner != owner)
			continue;
		/* If it is stuck it stays, and is nobody's: anyone may try again. */
		p->owner = NULL;
		v[set.nr++] = p;
	}
	if (set.nr)
		destroy(&set);
	mutex_unlock(&ktramp_mutex);
	return set.nr;
}

/* The open file @owner is closed: disarm and destroy its probes. */
void ktramp_probes_release(void *owner)
{
	while (release_some(owner, false))
		;
}

/*
 * The module goes. It is pinned while a probe is known to be stuck; one that is found
 * to be so only now must be waited for, because its code goes with the module.
 */
void ktramp_probes_exit(void)
{
	while (release_some(NULL, true))
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
