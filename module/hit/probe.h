/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A probe, and what it is made of.
 */
#ifndef KTRAMP_PROBE_H
#define KTRAMP_PROBE_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/ptrace.h>
#include <linux/types.h>

#include "hit/emulate.h"
#include "plan/plan.h"

struct ktramp_bpf_handler;
struct ktramp_native;
struct pid;

/**
 * struct ktramp_trap - an int3 of ours
 * @node: in the table, by address
 * @addr: of the int3
 * @hit: called with interrupts off, RIP pointing to @addr; sets RIP to go on at
 * @direct: from exc_int3() on, before RCU watches and the context counts as an NMI's; else by
 *	the die notifier chain
 */
struct ktramp_trap {
	struct hlist_node node;
	unsigned long addr;
	void (*hit)(struct ktramp_trap *trap, struct pt_regs *regs);
	bool direct;
};

/**
 * struct ktramp_stat - counters of one probe on one CPU
 * @hits: handled; the first member, because the detour passes its address
 * @missed: the displaced instruction ran, the handler did not
 * @recursed: those of @missed that found a handler running on this CPU
 * @filtered: hits of other processes than the probe is for
 */
struct ktramp_stat {
	u64 hits;
	u64 missed;
	u64 recursed;
	u64 filtered;
};

/**
 * struct ktramp_snapshot - registers of the last hit on one CPU
 * @regs: the registers; the first member, because then a detour's stores to it are short
 * @seq: hits recorded; it only ever grows
 * @depth: hits that are under way here: the second one, in an NMI, would tear @regs
 * @stat: the probe's counters
 */
struct ktramp_snapshot {
	struct pt_regs regs;
	u64 seq;
	unsigned int depth;
	struct ktramp_stat __percpu *stat;
};

/**
 * struct ktramp_pins - where something else enters the jump of a probe
 * @nr: how many
 * @pin: the int3 there, and where the copy of the displaced instruction is
 */
struct ktramp_pins {
	unsigned int nr;
	struct ktramp_pin_trap {
		struct ktramp_trap trap;
		unsigned long resume;
	} pin[KTRAMP_PINS_MAX];
};

/**
 * struct ktramp_springboard - a jump to the detour in padding, where a short one at the site goes
 * @addr: where it stands while the probe is armed
 * @before: the padding
 */
struct ktramp_springboard {
	unsigned long addr;
	u8 before[KTRAMP_JMP_SIZE];
};

/**
 * struct ktramp_probe - one probe
 * @trap: served when the int3 at the site is hit; hashed while the text may hold one. With
 *	%KTRAMP_TACTIC_FTRACE its node is in entry.c's table instead
 * @done: served when the int3 behind a stepped copy is hit (int3-step-int3, -tf)
 * @emu: operands of the emulation (int3-emulate)
 * @stat: per-CPU counters
 * @regs: per-CPU registers of the last hit, %KTRAMP_REGS only
 * @bpf: the program, %KTRAMP_BPF and %KTRAMP_BPF_INLINE only, and not where user space
 *	attaches it
 * @native: the kernel's own registration: mechanisms of %KTRAMP_KIND_KERNEL that are attached
 *	here. It is there as long as the probe, so that its counters can be read without a lock
 * @owner: the open file it belongs to, NULL with %KTRAMP_CREATE_KEEP
 * @watch: who wants its last counters, or NULL
 * @code: slot or detour, 0 if none
 * @resume: where a hit goes on after the handler: the copy in the slot, or the
 *	relocated instructions in the detour
 * @pins: int3s inside the jump, NULL if nothing goes there. Like @trap they are freed with the
 *	probe, after the wait: a CPU may still look through their hash bucket
 * @springboard: NULL without %KTRAMP_TACTIC_SPRINGBOARD
 * @id: number, unique while the module is loaded
 * @code_len: bytes at @code
 * @relocated: offset of the displaced instructions' copy in @code
 * @copied: bytes of that copy
 * @mechanism: &enum ktramp_mechanism
 * @handler: &enum ktramp_handler
 * @state: &enum ktramp_state
 * @tactic: &enum ktramp_tactic
 * @pid: the process whose hits are handled, as the initial namespace counts, 0 for all
 * @process: the same, for whoever counts otherwise
 * @region: bytes of whole instructions displaced
 * @insn_len: bytes of the site's instruction
 * @armed_len: bytes changed at the site
 * @step: KTRAMP_STEP_*: what single-stepping this instruction has to put right
 * @nr_displaced: instructions displaced
 * @ref: the list's, and those of whoever looks at it
 * @in_set: already in the batch that is being put together
 * @jumps: the jump stands, not only its int3
 * @halted: but for byte 0, which is an int3 while it is led elsewhere
 * @met: somebody else has a kprobe on its bytes: valid while its set is armed or disarmed
 * @hashed: @trap is in the trap table
 * @done_hashed: so is @done, from the first arming until the probe is freed
 * @before: the site's bytes when the probe was made
 *
 * Written under ktramp_mutex only, except the per-CPU data. The trap path reads @trap to
 * @resume, @handler, @insn_len and @step, which do not change while @hashed; but @resume, and
 * that of @pins, when another program gets another detour (engine/program.c): old and new are
 * good then.
 */
struct ktramp_probe {
	struct ktramp_trap trap;
	union {
		struct ktramp_trap done;
		struct ktramp_emu emu;
	};
	struct ktramp_stat __percpu *stat;
	union {
		struct ktramp_snapshot __percpu *regs;
		struct ktramp_bpf_handler *bpf;
	};
	struct ktramp_native *native;
	void *owner;
	struct ktramp_watch *watch;
	unsigned long code;
	unsigned long resume;
	struct ktramp_pins *pins;
	struct ktramp_springboard *springboard;
	struct pid *process;
	struct kref ref;
	u32 id;
	u32 pid;
	u16 code_len;
	u16 relocated;
	u8 copied;
	u8 mechanism;
	u8 handler;
	u8 state;
	u8 tactic;
	u8 region;
	u8 insn_len;
	u8 armed_len;
	u8 step;
	u8 nr_displaced;
	bool hashed;
	bool done_hashed;
	bool in_set;
	bool jumps;
	bool halted;
	bool met;
	u8 before[KTRAMP_REGION_MAX];
};

/* Address of the bytes the probe's mechanism changes. */
static inline unsigned long ktramp_probe_addr(const struct ktramp_probe *p)
{
	return p->trap.addr;
}

/* Is it served by the kernel, in whose hands the text then is? */
static inline bool ktramp_probe_is_native(const struct ktramp_probe *p)
{
	return (p->mechanism >= KTRAMP_KPROBE_STEP && p->mechanism < KTRAMP_BPF_JUMP) ||
	       p->mechanism == KTRAMP_CALL || p->tactic == KTRAMP_TACTIC_FTRACE;
}

/* Does it run a BPF program? */
static inline bool ktramp_probe_runs_program(const struct ktramp_probe *p)
{
	return p->handler == KTRAMP_BPF || p->handler == KTRAMP_BPF_INLINE;
}

/* Is it a jump at the site? */
static inline bool ktramp_probe_is_jump(const struct ktramp_probe *p)
{
	return p->mechanism == KTRAMP_JUMP || p->mechanism == KTRAMP_BPF_JUMP;
}

/* Does it have a detour? */
static inline bool ktramp_probe_has_detour(const struct ktramp_probe *p)
{
	return ktramp_probe_is_jump(p) || p->mechanism == KTRAMP_INT3_DIVERT;
}

#endif /* KTRAMP_PROBE_H */
