// SPDX-License-Identifier: GPL-2.0-only
/*
 * The protocol by which probes enter and leave the text. Documentation/protocol.rst
 * tells it with pictures; the step numbers are the same.
 *
 * Arming a jump:
 *   (0) if it has a springboard: the jump there, in padding that nobody executes
 *   (1) make the int3 at the site known to trap.c, lead exc_int3() to it if it is the first
 *       (hook.c), and sync: no CPU takes the old way there any more, none holds anything older of
 *       the slot, detour or springboard than what was built there. Of slot and detour it is
 *       caution: so far each enters them by an IRET, which serialises
 *   (2) int3 over byte 0
 *   (3) sync: every CPU now takes the int3 path, which resumes in the detour's copy of
 *       the displaced instructions, never in the bytes behind the int3
 *   (4) tasks-RCU: no task that was preempted or interrupted inside the displaced region
 *       can still return into it. Not needed if one instruction is displaced: its only
 *       boundary is byte 0
 *   (5) the other bytes of the jump, which nobody can be fetching
 *   (6) sync
 *   (7) byte 0 of the jump; a CPU now sees the int3 or the whole jump
 *   (8) sync: afterwards no CPU takes the int3 any more. Caution as well: it would find its
 *       trap, and (10) comes before anything else changes. An int3 there is somebody else's
 *       from now on, and the notifier's
 * An int3 mechanism is armed after (3). The kernel's own patchers are locked out (patchers.c) from
 * the comparison in front of (0) to (3), and from another in front of (5) to (8): not during (4),
 * because what they patch may not wait for tasks-RCU. Disarming is the mirror image, under the
 * same locks from the comparison to (15), and again for (17):
 *   (9) as (1), with a sync, and int3 over byte 0, (10) sync, (11) other original bytes, (12) sync,
 *   (13) the original byte 0, (14) sync, which also waits for every #BP handler that is
 *   under way, (15) trap.c forgets the int3, and exc_int3() is the kernel's again if it was the
 *   last. A springboard then waits for (16) tasks-RCU: a
 *   task may have been preempted between the two jumps; (17) the padding again.
 * What is executed out of line is reused only after another tasks-RCU grace period.
 *
 * Leading an armed jump to another detour, because its program changes:
 *   (18) int3 over byte 0, (19) sync: hits now come by the int3, and go on in the old detour's
 *   copy. With a springboard, (20) tasks-RCU: a task may have been preempted in front of the
 *   jump there. (21) what a hit finds changes: the copy it goes on in, the program it runs;
 *   (22) the other bytes of the jump, or the springboard's jump, (23) sync, (24) byte 0 of the
 *   jump, (25) sync, (26) tasks-RCU: nobody is in the old detour, or in its program, any more.
 *
 * Where something else enters the jump ("pins", plan.c), the original byte is an int3 from
 * (2) on, which is what the jump has there too, and until (13): whoever comes there goes on
 * in the detour's copy, at every step.
 *
 * A set of probes goes through each step together and shares the syncs and the waits.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <asm/text-patching.h>

#include "admit/admit.h"
#include "admit/claim.h"
#include "engine/arm.h"
#include "hit/bpf.h"
#include "hit/detour.h"
#include "hit/mechanism.h"
#include "hit/probe.h"
#include "hit/trap.h"
#include "kernel/hotplug.h"
#include "kernel/lock.h"
#include "kernel/patchers.h"
#include "kernel/text.h"
#include "native/entry.h"

static const u8 int3 = INT3_INSN_OPCODE;

static bool is_ours(const struct ktramp_probe *p)
{
	return !ktramp_probe_is_native(p);
}

static bool is_jump(const struct ktramp_probe *p)
{
	return ktramp_probe_is_jump(p) && is_ours(p);
}

/* A jump of ours that ftrace makes: the set's go through ftrace together. */
static bool is_entry(const struct ktramp_probe *p)
{
	return p->tactic == KTRAMP_TACTIC_FTRACE;
}

static bool is_empty(const struct ktramp_set *set)
{
	unsigned int i = 0;

	return !ktramp_next_in_set(set, &i);
}

static bool has_done_trap(const struct ktramp_probe *p)
{
	return p->mechanism == KTRAMP_INT3_STEP_INT3 || p->mechanism == KTRAMP_INT3_STEP_TF;
}

static void hash(struct ktramp_probe *p)
{
	unsigned int i;

	p->trap.direct = ktramp_trap_is_direct(p->mechanism, p->handler);
	ktramp_trap_add(&p->trap);
	p->hashed = true;
	for (i = 0; p->pins && i < p->pins->nr; i++)
		ktramp_trap_add(&p->pins->pin[i].trap);
	if (has_done_trap(p) && !p->done_hashed) {
		ktramp_trap_add(&p->done);
		p->done_hashed = true;
	}
}

/*
 * The int3 behind a copy stays known until the probe is freed: a task that was preempted
 * in the slot reaches it only when it runs again.
 */
static void unhash(struct ktramp_probe *p)
{
	unsigned int i;

	ktramp_trap_del(&p->trap);
	p->hashed = false;
	for (i = 0; p->pins && i < p->pins->nr; i++)
		ktramp_trap_del(&p->pins->pin[i].trap);
}

static int arm_native(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	const struct ktramp_mechanism_ops *ops = ktramp_mechanism(p->mechanism);
	int err = ktramp_claim(p, r);

	if (err || !ops->arm)
		return err;
	err = ops->arm(p, r);
	if (err)
		ktramp_unclaim(p);
	else if (ops->enter)
		/* The kernel would get there; KTRAMP_IOC_RUN enters the state when it matters. */
		ops->disarm(p);
	return err;
}

/* ---- other people's kprobes ---- */

/* The jump that a kprobe may become reaches so much further than the kprobe. */
#define KPROBE_REACH	(JMP32_INSN_SIZE - 1)

static void mark_met(unsigned long addr, void *reach)
{
	ktramp_claims_meet(addr, *(unsigned long *)reach);
}

/*
 * Which probes of a set meet a kprobe of somebody else, disabled ones included: they change
 * no byte, until somebody enables them. Those that admission asked with are nobody else's, and
 * have been taken back. Under ktramp_patchers_lock().
 */
static void look_for_kprobes(const struct ktramp_set *set, unsigned long reach)
{
	struct ktramp_probe *p;
	unsigned int i;

	ktramp_for_each_in_set(set, i, p)
		p->met = false;
	ktramp_patchers_each_kprobe(mark_met, &reach);
}

/* ---- arming ---- */

/* Checks that need only this probe. */
static int check_ready(const struct ktramp_probe *p, struct ktramp_refusal *r)
{
	if (p->state == KTRAMP_STUCK)
		return ktramp_refuse(r, -EILSEQ, KTRAMP_R_NOT_OURS,
				     "someone else patched over this probe; it cannot be armed");
	if (ktramp_probe_runs_program(p) && !p->bpf->prog &&
	    !ktramp_mechanism(p->mechanism)->libbpf)
		return ktramp_refuse(r, -EINVAL, KTRAMP_R_NO_PROGRAM,
				     "the probe has no BPF program to run (KTRAMP_IOC_BPF)");
	return 0;
}

/* What is not ours is armed by the kernel, which takes the locks of its patchers by itself. */
static void arm_others(struct ktramp_set *set)
{
	struct ktramp_refusal r;
	struct ktramp_probe *p;
	unsigned int i;
	int err;

	ktramp_for_each_in_set(set, i, p) {
		if (p->state == KTRAMP_ARMED) {
			set->probe[i] = NULL;
			continue;
		}
		r = (struct ktramp_refusal){};
		err = check_ready(p, &r);
		if (!err && is_entry(p))
			err = ktramp_claim(p, &r);
		else if (!err && !is_ours(p))
			err = arm_native(p, &r);
		if (err)
			ktramp_set_fail(set, i, err, &r);
		else if (!is_ours(p) && !is_entry(p))
			p->state = KTRAMP_ARMED;
	}
	ktramp_entries_arm(set);
	ktramp_for_each_in_set(set, i, p)
		if (!is_ours(p))
			set->probe[i] = NULL;
}

/*
 * Once an int3 stands there is only forward or back, and both write: a page of kernel
 * memory that is missing for the moment is waited for.
 *
 * Return: 0; -EFAULT, -EIO: the text is not what was written, for good.
 */
static int write_surely(unsigned long addr, const void *bytes, size_t len)
{
	int err;

	while ((err = ktramp_text_write(addr, bytes, len)) == -ENOMEM)
		schedule_timeout_uninterruptible(1);
	return err;
}

/* Left as it is from now on: its int3, if one stands, is served, and its code stays. */
static void make_stuck(struct ktramp_probe *p, const char *why)
{
	if (p->state == KTRAMP_STUCK)
		return;
	pr_warn("%s probe %u at %pS: left alone, ktramp stays loaded\n", why, p->id,
		(void *)ktramp_probe_addr(p));
	__module_get(THIS_MODULE);
	p->state = KTRAMP_STUCK;
}

/*
 * A step could not be written, as where a hypervisor guards the text. The next ones rely on it,
 * and to forget the int3 that stands there would be an oops.
 */
static void write_failed(struct ktramp_set *set, unsigned int i, int err)
{
	struct ktramp_refusal r;

	make_stuck(set->probe[i], "the text cannot be written under");
	ktramp_set_fail(set, i, ktramp_refuse(&r, err, KTRAMP_R_NOT_OURS,
					      "the text there cannot be written: %pe",
					      ERR_PTR(err)), &r);
}

static bool has_springboard(const struct ktramp_probe *p)
{
	u8 jump[KTRAMP_JMP_SIZE];

	if (!p->springboard)
		return true;
	ktramp_springboard_jump(p, jump);
	return ktramp_text_equals(p->springboard->addr, jump, sizeof(jump));
}

/* Nothing leads there any more. What somebody else has put there meanwhile is his. */
static void restore_padding(const struct ktramp_probe *p)
{
	if (p->springboard && has_springboard(p))
		write_surely(p->springboard->addr, p->springboard->before,
			     sizeof(p->springboard->before));
}

/* Step (0). */
static int write_springboard(const struct ktramp_probe *p)
{
	u8 jump[KTRAMP_JMP_SIZE];
	int err;

	if (!p->springboard)
		return 0;
	ktramp_springboard_jump(p, jump);
	err = ktramp_text_write(p->springboard->addr, jump, sizeof(jump));
	if (err)
		write_surely(p->springboard->addr, p->springboard->before,
			     sizeof(p->springboard->before));
	return err;
}

/* What is led to us by a call of the kernel's is so as long as there is a breakpoint. */
static void settle_surely(void)
{
	while (ktramp_trap_settle() == -ENOMEM)
		schedule_timeout_uninterruptible(1);
}

/*
 * While a jump stands, an int3 in its place is somebody else's kprobe on it, which must come
 * before us.
 */
static void set_direct(struct ktramp_probe *p, bool direct)
{
	if (ktramp_trap_is_direct(p->mechanism, p->handler))
		ktramp_trap_set_direct(&p->trap, direct);
}

static int make_known(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	int err;

	hash(p);
	err = ktramp_trap_settle();
	if (!err)
		return 0;
	unhash(p);
	restore_padding(p);
	return err == -EILSEQ ? ktramp_refuse(r, err, KTRAMP_R_NOT_OURS,
					      "somebody else has rewritten exc_int3()") :
				err;
}

/*
 * Steps (0) and (1). On an instruction with a kprobe that is enabled later, the kernel would
 * write over ours, or go on in the middle of it.
 */
static int arm_known(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	int err = 0;

	if (p->met)
		err = ktramp_refuse(r, -EBUSY, KTRAMP_R_PATCHED,
				    "somebody else has a kprobe there, enabled or not: it must go first");
	if (!err)
		err = write_springboard(p) ?: make_known(p, r);
	if (err)
		ktramp_unclaim(p);
	return err;
}

/* Where something else enters the jump, its int3 stands before and after the jump does. */
static int write_pins(const struct ktramp_probe *p, bool pinned)
{
	unsigned int i, at;
	int err = 0;

	for (i = 0; !err && p->pins && i < p->pins->nr; i++) {
		at = p->pins->pin[i].trap.addr - ktramp_probe_addr(p);
		err = write_surely(ktramp_probe_addr(p) + at, pinned ? &int3 : p->before + at, 1);
	}
	return err;
}

/* The bytes behind the first: the jump's, or the original ones, but for the pins. */
static int write_rest(const struct ktramp_probe *p, const u8 *bytes)
{
	u8 rest[KTRAMP_JUMP_MAX];
	unsigned int i;

	memcpy(rest, bytes, p->armed_len);
	for (i = 0; p->pins && i < p->pins->nr; i++)
		rest[p->pins->pin[i].trap.addr - ktramp_probe_addr(p)] = int3;
	return write_surely(ktramp_probe_addr(p) + 1, rest + 1, p->armed_len - 1);
}

static int write_head(const struct ktramp_probe *p, u8 byte)
{
	return write_surely(ktramp_probe_addr(p), &byte, 1);
}

/* Step (2). */
static int arm_int3(struct ktramp_probe *p)
{
	int err = ktramp_text_write(ktramp_probe_addr(p), &int3, sizeof(int3));

	/* Written, but something else reads back: it counts as armed, and disarming will tell. */
	if (!err || err == -EIO) {
		p->state = KTRAMP_ARMED;
		return err ?: write_pins(p, true);
	}
	/* Nothing was written, so no CPU looks for the trap, or comes to a springboard. */
	unhash(p);
	settle_surely();
	restore_padding(p);
	ktramp_unclaim(p);
	return err;
}

/* What stands at the site of an armed probe, as far as nobody else wrote there. */
static void expected(const struct ktramp_probe *p, u8 *bytes)
{
	unsigned int i;

	memcpy(bytes, p->before, KTRAMP_REGION_MAX);
	if (p->jumps)
		ktramp_detour_jump(p, bytes);
	if (!p->jumps || p->halted)
		bytes[0] = int3;
	if (p->jumps)
		return;
	for (i = 0; p->pins && i < p->pins->nr; i++)
		bytes[p->pins->pin[i].trap.addr - ktramp_probe_addr(p)] = int3;
}

/*
 * What we wrote must still be there, and what we left of the displaced instructions: anything
 * else is someone else's, and stays. To register_kprobe() our int3 or jump is an instruction,
 * and the next one begins behind it, where it then lets a kprobe in. It lets one in at our jump as
 * well, and keeps a copy of that. Not enabled yet, neither shows in the text.
 *
 * Return: 0; -EILSEQ; -EFAULT: there is no text any more.
 */
static int check_armed(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	const char *who = p->met ? "has a kprobe in" : "patched over";
	u8 bytes[KTRAMP_REGION_MAX];

	if (ktramp_text_read(bytes, ktramp_probe_addr(p), ktramp_claimed(p)))
		return -EFAULT;
	expected(p, bytes);
	if (!p->met && ktramp_text_equals(ktramp_probe_addr(p), bytes, ktramp_claimed(p)) &&
	    has_springboard(p)) {
		if (p->state == KTRAMP_STUCK)
			module_put(THIS_MODULE);
		p->state = KTRAMP_ARMED;
		return 0;
	}
	make_stuck(p, p->met ? "someone else has a kprobe in" : "someone else patched over");
	return ktramp_refuse(r, -EILSEQ, KTRAMP_R_NOT_OURS,
			     "someone else %s this probe; remove theirs first", who);
}

/* Steps (0) to (3), and what they rely on. */
static void plant_int3s(struct ktramp_set *set)
{
	struct ktramp_refusal r;
	struct ktramp_probe *p;
	unsigned int i;
	int err;

	ktramp_for_each_in_set(set, i, p) {
		r = (struct ktramp_refusal){};
		err = ktramp_claim(p, &r);
		if (err)
			ktramp_set_fail(set, i, err, &r);
	}
	look_for_kprobes(set, KPROBE_REACH);
	/* (0), (1) */
	ktramp_for_each_in_set(set, i, p) {
		r = (struct ktramp_refusal){};
		err = arm_known(p, &r);
		if (err)
			ktramp_set_fail(set, i, err, &r);
	}
	ktramp_text_sync();
	/* (2) */
	ktramp_for_each_in_set(set, i, p) {
		r = (struct ktramp_refusal){};
		err = arm_int3(p);
		if (err)
			ktramp_set_fail(set, i, err, &r);
	}
	/* (3) */
	ktramp_text_sync();
}

/* Steps (5) to (8), for what is left of the set, and what they rely on. */
static void write_jumps(struct ktramp_set *set)
{
	struct ktramp_refusal r;
	u8 jump[KTRAMP_JUMP_MAX];
	struct ktramp_probe *p;
	unsigned int i;
	int err;

	look_for_kprobes(set, 0);
	ktramp_for_each_in_set(set, i, p) {
		r = (struct ktramp_refusal){};
		err = check_armed(p, &r);
		if (err)
			ktramp_set_fail(set, i, err, &r);
	}
	/* (5) */
	ktramp_for_each_in_set(set, i, p) {
		ktramp_detour_jump(p, jump);
		err = write_rest(p, jump);
		if (err)
			write_failed(set, i, err);
	}
	/* (6) */
	ktramp_text_sync();
	/* (7) */
	ktramp_for_each_in_set(set, i, p) {
		ktramp_detour_jump(p, jump);
		err = write_head(p, jump[0]);
		if (err)
			write_failed(set, i, err);
		else
			p->jumps = true;
		p->halted = false;
	}
	/* (8) */
	ktramp_text_sync();
	ktramp_for_each_in_set(set, i, p)
		set_direct(p, !p->jumps);
	settle_surely();
}

/* Only jumps go on behind (3). Return: are there any, and is one to wait (4) for? */
static bool keep_jumps(struct ktramp_set *set, bool *wait)
{
	struct ktramp_probe *p;
	bool any = false;
	unsigned int i;

	*wait = false;
	ktramp_for_each_in_set(set, i, p) {
		if (!is_jump(p)) {
			set->probe[i] = NULL;
			continue;
		}
		any = true;
		*wait |= p->nr_displaced > 1;
	}
	return any;
}

/*
 * A CPU that comes up executes some of the text before it can take an int3. A jump does it no
 * harm: so none may come while there is an int3 for a jump.
 */
static bool hold_cpus(const struct ktramp_set *set)
{
	struct ktramp_probe *p;
	bool jumps = false;
	unsigned int i;

	ktramp_for_each_in_set(set, i, p)
		jumps |= is_jump(p);
	if (jumps)
		ktramp_hotplug_hold();
	return jumps;
}

/**
 * ktramp_set_arm() - arm a set of probes
 * @set: the probes; failures are recorded in it
 *
 * Context: process, under ktramp_mutex; sleeps for grace periods if it has jumps.
 */
void ktramp_set_arm(struct ktramp_set *set)
{
	bool wait, held;

	lockdep_assert_held(&ktramp_mutex);
	arm_others(set);
	if (is_empty(set))
		return;
	ktramp_admit_settle();
	held = hold_cpus(set);
	ktramp_patchers_lock();
	plant_int3s(set);
	ktramp_patchers_unlock();
	if (keep_jumps(set, &wait)) {
		/* (4) */
		if (wait)
			ktramp_text_wait();
		ktramp_patchers_lock();
		write_jumps(set);
		ktramp_patchers_unlock();
	}
	if (held)
		ktramp_hotplug_release();
}

/**
 * ktramp_probe_abandon() - count a probe as disarmed, its text being on its way out
 * @p: the probe, armed or stuck
 *
 * Context: process, under ktramp_mutex.
 */
void ktramp_probe_abandon(struct ktramp_probe *p)
{
	lockdep_assert_held(&ktramp_mutex);
	unhash(p);
	settle_surely();
	ktramp_unclaim(p);
	/* What held the module while it was stuck. */
	if (p->state == KTRAMP_STUCK)
		module_put(THIS_MODULE);
	p->state = KTRAMP_DISARMED;
	p->jumps = false;
}

/**
 * ktramp_probe_suspend() - let hits of an armed jump come by an int3
 * @p: the probe
 * @r: (out) the refusal
 *
 * Afterwards @p->resume and its pins', and what its handler runs, may change. Until
 * ktramp_probe_resume() the other patchers are locked out.
 *
 * Context: process, under ktramp_mutex; sleeps for a grace period if there is a springboard.
 * Return: 0, and ktramp_probe_resume() must follow; -EILSEQ the bytes are not ours.
 */
int ktramp_probe_suspend(struct ktramp_probe *p, struct ktramp_refusal *r)
{
	struct ktramp_set set = { .probe = &p, .nr = 1 };
	int err;

	lockdep_assert_held(&ktramp_mutex);
	ktramp_admit_settle();
	ktramp_patchers_lock();
	/* The CPUs that come to the new detour fetch what was written. */
	ktramp_text_sync();
	look_for_kprobes(&set, 0);
	err = check_armed(p, r);
	if (!err && p->jumps) {
		/* (18) */
		err = write_head(p, int3);
		p->halted = true;
		/* (19) */
		ktramp_text_sync();
	}
	if (!err && p->jumps && p->springboard) {
		ktramp_patchers_unlock();
		/* (20) */
		ktramp_text_wait();
		ktramp_patchers_lock();
		look_for_kprobes(&set, 0);
		err = check_armed(p, r);
	}
	if (err)
		ktramp_patchers_unlock();
	return err;
}

/**
 * ktramp_probe_resume() - let the jump of a suspended probe lead to its detour, @p->code
 * @p: the probe
 *
 * Context: process, under ktramp_mutex. What is not used any more may be after another
 * ktramp_text_wait().
 */
void ktramp_probe_resume(struct ktramp_probe *p)
{
	u8 jump[KTRAMP_JUMP_MAX];

	/* It may be left at its int3, by somebody who came at (4). */
	if (p->jumps) {
		/* (22) */
		if (p->springboard) {
			ktramp_springboard_jump(p, jump);
			write_surely(p->springboard->addr, jump, KTRAMP_JMP_SIZE);
		}
		ktramp_detour_jump(p, jump);
		write_rest(p, jump);
		/* (23) */
		ktramp_text_sync();
		/* (24) */
		write_head(p, jump[0]);
		p->halted = false;
		/* (25) */
		ktramp_text_sync();
	}
	ktramp_patchers_unlock();
}

static void disarm_native(struct ktramp_probe *p)
{
	const struct ktramp_mechanism_ops *ops = ktramp_mechanism(p->mechanism);

	if (ops->disarm && !ops->enter)
		ops->disarm(p);
	ktramp_unclaim(p);
	p->state = KTRAMP_DISARMED;
}

/* What is not ours. Those of a set that ftrace made go together. */
static void disarm_others(struct ktramp_set *set)
{
	struct ktramp_probe *p;
	unsigned int i;

	ktramp_for_each_in_set(set, i, p) {
		if (p->state != KTRAMP_ARMED && p->state != KTRAMP_STUCK) {
			set->probe[i] = NULL;
			continue;
		}
		if (!is_ours(p) && !is_entry(p)) {
			disarm_native(p);
			set->probe[i] = NULL;
		}
	}
	ktramp_entries_disarm(set);
	ktramp_for_each_in_set(set, i, p) {
		if (is_entry(p)) {
			ktramp_unclaim(p);
			set->probe[i] = NULL;
		}
	}
}

/* Is it all there still? And step (9). What is not, leaves the set. */
static void take_heads(struct ktramp_set *set)
{
	struct ktramp_refusal r = {};
	struct ktramp_probe *p;
	bool jumps = false;
	unsigned int i;
	int err;

	look_for_kprobes(set, 0);
	ktramp_for_each_in_set(set, i, p) {
		err = check_armed(p, &r);
		if (err == -EFAULT) {
			ktramp_probe_abandon(p);
			set->probe[i] = NULL;
		} else if (err) {
			ktramp_set_fail(set, i, err, &r);
		} else if (p->jumps) {
			set_direct(p, true);
			jumps = true;
		}
	}
	if (!jumps)
		return;
	settle_surely();
	ktramp_text_sync();
	/* (9) */
	ktramp_for_each_in_set(set, i, p) {
		if (!p->jumps)
			continue;
		err = write_head(p, int3);
		if (err) {
			set_direct(p, false);
			write_failed(set, i, err);
		}
	}
}

/* Steps (10) to (12). */
static void take_jumps(struct ktramp_set *set)
{
	struct ktramp_probe *p;
	bool jumps = false;
	unsigned int i;
	int err;

	ktramp_for_each_in_set(set, i, p)
		jumps |= p->jumps;
	if (!jumps)
		return;
	/* (10) */
	ktramp_text_sync();
	/* (11) */
	ktramp_for_each_in_set(set, i, p) {
		if (!p->jumps)
			continue;
		err = write_rest(p, p->before);
		if (err)
			write_failed(set, i, err);
		else
			p->jumps = false;
	}
	/* (12) */
	ktramp_text_sync();
}

/* Steps (13) to (15). */
static void take_int3s(struct ktramp_set *set)
{
	struct ktramp_probe *p;
	unsigned int i;
	int err;

	/* (13) */
	ktramp_for_each_in_set(set, i, p) {
		err = write_pins(p, false) ?: write_head(p, p->before[0]);
		if (err)
			write_failed(set, i, err);
	}
	/* (14) */
	ktramp_text_sync();
	/* (15) */
	ktramp_for_each_in_set(set, i, p) {
		unhash(p);
		p->state = KTRAMP_DISARMED;
	}
	settle_surely();
}

/* Steps (16) and (17), where there are any. */
static void take_springboards(struct ktramp_set *set)
{
	struct ktramp_probe *p;
	bool any = false;
	unsigned int i;

	ktramp_for_each_in_set(set, i, p)
		any |= !!p->springboard;
	/* (16) */
	if (any)
		ktramp_text_wait();
	/* (17) */
	ktramp_patchers_lock();
	ktramp_for_each_in_set(set, i, p) {
		restore_padding(p);
		ktramp_unclaim(p);
	}
	ktramp_patchers_unlock();
}

/**
 * ktramp_set_disarm() - disarm a set of probes
 * @set: the probes; failures are recorded in it. Those disarmed here stay in @set->probe,
 *	the others become NULL
 *
 * Context: process, under ktramp_mutex.
 */
void ktramp_set_disarm(struct ktramp_set *set)
{
	bool held;

	lockdep_assert_held(&ktramp_mutex);
	disarm_others(set);
	if (is_empty(set))
		return;
	ktramp_admit_settle();
	held = hold_cpus(set);
	ktramp_patchers_lock();
	take_heads(set);
	take_jumps(set);
	take_int3s(set);
	ktramp_patchers_unlock();
	if (held)
		ktramp_hotplug_release();
	take_springboards(set);
}
