// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jumps at functions' entries, where ftrace has its call already.
 *
 * All probes with the same handler share one ftrace_ops, and a hit looks its probe up. One
 * ftrace_ops for each would save eleven instructions a hit, and cost a hash and a page for its
 * trampoline, and for each that is unregistered a walk over all that ftrace knows and grace
 * periods of its own (ftrace_shutdown() in kernel/trace/ftrace.c): half a minute for the
 * entries among 10,000 probes.
 */
#include <linux/ftrace.h>
#include <linux/hash.h>
#include <linux/rculist.h>

#include "admit/claim.h"
#include "hit/probe.h"
#include "native/entry.h"
#include "native/native.h"

#ifdef CONFIG_DYNAMIC_FTRACE

#define ENTRY_HASH_BITS	10

/*
 * Probes by address, through the node of their trap, which is not in trap.c's table. Written
 * under ktramp_mutex. Who reads is in ftrace's trampoline, which tasks-RCU waits for; so does
 * whoever frees a probe.
 */
static struct hlist_head entry_table[1 << ENTRY_HASH_BITS];

static __always_inline struct ktramp_probe *find(unsigned long ip)
{
	struct ktramp_probe *p;

	hlist_for_each_entry_rcu_notrace(p, &entry_table[hash_64(ip, ENTRY_HASH_BITS)], trap.node)
		if (p->trap.addr == ip)
			return p;
	/* Disarmed since the call. */
	return NULL;
}

/* The probe whose handler is to run, or NULL. */
static __always_inline struct ktramp_probe *hit(unsigned long ip)
{
	struct ktramp_probe *p = find(ip);

	if (likely(p) && unlikely(p->pid) && p->pid != current->tgid) {
		this_cpu_inc(p->stat->filtered);
		return NULL;
	}
	return p;
}

static notrace void entry_count(unsigned long ip, unsigned long parent_ip,
				struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	struct ktramp_probe *p = hit(ip);

	if (likely(p))
		this_cpu_inc(p->stat->hits);
}

static notrace void entry_regs(unsigned long ip, unsigned long parent_ip,
			       struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	struct ktramp_probe *p = hit(ip);

	if (likely(p))
		ktramp_ftrace_hit_regs(p, ip, fregs);
}

static notrace void entry_bpf(unsigned long ip, unsigned long parent_ip,
			      struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	struct ktramp_probe *p = hit(ip);

	if (likely(p))
		ktramp_ftrace_hit_bpf(p, ip, fregs);
}

/*
 * PERMANENT: kernel.ftrace_enabled=0 would take the calls away, and hits with them, and nobody
 * would hear of it.
 *
 * @nr: probes that are armed with it; it is registered while there are any, because an empty
 *	filter means every function
 */
static struct entry_ops {
	struct ftrace_ops ops;
	unsigned int nr;
} entry_ops[] = {
	[KTRAMP_COUNT] = {
		.ops = { .func = entry_count, .flags = FTRACE_OPS_FL_PERMANENT },
	},
	[KTRAMP_REGS] = {
		.ops = {
			.func = entry_regs,
			.flags = FTRACE_OPS_FL_PERMANENT | FTRACE_OPS_FL_SAVE_REGS,
		},
	},
	[KTRAMP_BPF] = {
		.ops = {
			.func = entry_bpf,
			.flags = FTRACE_OPS_FL_PERMANENT | FTRACE_OPS_FL_SAVE_REGS,
		},
	},
};

/*
 * So many go through ftrace together. The array is static, because disarming must not fail for
 * want of memory; under ktramp_mutex.
 */
#define ENTRIES_MAX	512

static struct entries {
	unsigned int nr;
	unsigned int at[ENTRIES_MAX];	/* in the set */
	unsigned long ip[ENTRIES_MAX];
} entries;

static bool is_armed(const struct ktramp_probe *p)
{
	return p->state == KTRAMP_ARMED;
}

/* The next ones of a set from @from up, of one handler, that are armed or not. */
static bool gather(const struct ktramp_set *set, unsigned int *from, unsigned int handler,
		   bool armed)
{
	struct ktramp_probe *p;

	entries.nr = 0;
	for (; entries.nr < ENTRIES_MAX && (p = ktramp_next_in_set(set, from)); (*from)++) {
		if (p->tactic != KTRAMP_TACTIC_FTRACE || p->handler != handler ||
		    is_armed(p) != armed)
			continue;
		entries.at[entries.nr] = *from;
		entries.ip[entries.nr++] = ktramp_probe_addr(p);
	}
	return entries.nr;
}

/* Take entries out of a filter: memory that is missing for the moment is waited for. */
static void filter_out(struct entry_ops *e, unsigned long *ip, unsigned int nr)
{
	int err;

	while ((err = ktramp_ftrace_filter(&e->ops, ip, nr, true)) == -ENOMEM)
		schedule_timeout_uninterruptible(1);
	WARN_ONCE(err, "ftrace keeps %u entries from %pS on: %pe\n", nr, (void *)*ip, ERR_PTR(err));
}

static int refuse_ftrace(struct ktramp_refusal *r, const char *function, int err)
{
	if (err == -EBUSY)
		return ktramp_refuse(r, err, KTRAMP_R_UNREGISTERED,
				     "ftrace is off: set kernel.ftrace_enabled to 1");
	return ktramp_refuse(r, err, KTRAMP_R_UNREGISTERED, "%s() failed: %pe", function,
			     ERR_PTR(err));
}

/* All of them, or none. */
static int filter_in(struct entry_ops *e, unsigned long *ip, unsigned int nr,
		     struct ktramp_refusal *r)
{
	int err = ktramp_ftrace_filter(&e->ops, ip, nr, false);

	if (err)
		return refuse_ftrace(r, "ftrace_set_filter_ips", err);
	if (!e->nr) {
		err = register_ftrace_function(&e->ops);
		if (err) {
			filter_out(e, ip, nr);
			return refuse_ftrace(r, "register_ftrace_function", err);
		}
	}
	e->nr += nr;
	return 0;
}

/* If they cannot be armed together, each is tried alone: one must not keep out the others. */
static void arm_gathered(struct entry_ops *e, struct ktramp_set *set)
{
	struct ktramp_refusal r = {};
	unsigned int i;
	int all, err;

	for (i = 0; i < entries.nr; i++) {
		struct ktramp_trap *trap = &set->probe[entries.at[i]]->trap;

		hlist_add_head_rcu(&trap->node,
				   &entry_table[hash_64(trap->addr, ENTRY_HASH_BITS)]);
	}
	all = filter_in(e, entries.ip, entries.nr, &r);
	for (i = 0; i < entries.nr; i++) {
		struct ktramp_probe *p = set->probe[entries.at[i]];

		err = all;
		if (err && entries.nr > 1)
			err = filter_in(e, &entries.ip[i], 1, &r);
		if (!err) {
			p->state = KTRAMP_ARMED;
			continue;
		}
		hlist_del_rcu(&p->trap.node);
		ktramp_unclaim(p);
		ktramp_set_fail(set, entries.at[i], err, &r);
	}
}

/**
 * ktramp_entries_arm() - arm those of a set that are ftrace's to make
 * @set: the probes, claimed; those armed here are %KTRAMP_ARMED afterwards, and those that
 *	cannot be are claimed no more
 *
 * Context: process, under ktramp_mutex.
 */
void ktramp_entries_arm(struct ktramp_set *set)
{
	unsigned int handler, from;

	for (handler = 0; handler < ARRAY_SIZE(entry_ops); handler++)
		for (from = 0; gather(set, &from, handler, false);)
			arm_gathered(&entry_ops[handler], set);
}

/**
 * ktramp_entries_disarm() - disarm those of a set that ftrace made
 * @set: the probes; those disarmed here stay in it
 *
 * A task that was preempted in ftrace's trampoline may still reach the handler, which finds no
 * probe, until whoever destroys the probe has waited.
 *
 * Context: process, under ktramp_mutex.
 */
void ktramp_entries_disarm(struct ktramp_set *set)
{
	unsigned int handler, from, i;

	for (handler = 0; handler < ARRAY_SIZE(entry_ops); handler++) {
		struct entry_ops *e = &entry_ops[handler];

		for (from = 0; gather(set, &from, handler, true);) {
			e->nr -= entries.nr;
			if (!e->nr)
				unregister_ftrace_function(&e->ops);
			filter_out(e, entries.ip, entries.nr);
			for (i = 0; i < entries.nr; i++) {
				struct ktramp_probe *p = set->probe[entries.at[i]];

				hlist_del_rcu(&p->trap.node);
				p->state = KTRAMP_DISARMED;
			}
		}
	}
}

/* No probe is left. */
void ktramp_entries_exit(void)
{
	unsigned int handler;

	for (handler = 0; handler < ARRAY_SIZE(entry_ops); handler++)
		ktramp_ftrace_unfilter(&entry_ops[handler].ops);
}

#else /* !CONFIG_DYNAMIC_FTRACE */

/* No function's entry is ftrace's, so no probe has the tactic. */
void ktramp_entries_arm(struct ktramp_set *set)
{
}

void ktramp_entries_disarm(struct ktramp_set *set)
{
}

void ktramp_entries_exit(void)
{
}

#endif /* CONFIG_DYNAMIC_FTRACE */
