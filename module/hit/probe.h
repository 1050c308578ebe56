/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A probe's life: create -> arm -> hit -> disarm -> free.
 */
#ifndef KTRAMP_PROBE_H
#define KTRAMP_PROBE_H

#include <linux/kref.h>
#include <linux/percpu.h>
#include <linux/types.h>

#include "hit/bpf.h"
#include "hit/handler.h"
#include "plan/plan.h"
#include "hit/resume.h"
#include "hit/trap.h"

struct ktramp_native;
struct ktramp_mechanism_ops;

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
 * @bpf: the program, %KTRAMP_BPF only, and not where it is attached from user space
 * @native: the kernel's own registration: mechanisms of %KTRAMP_KIND_KERNEL
 * @owner: the open file it belongs to, NULL with %KTRAMP_CREATE_KEEP
 * @code: slot or detour, 0 if none
 * @resume: where a hit goes on after the handler: the copy in the slot, or the
 *	relocated instructions in the detour
 * @pins: int3s inside the jump, NULL if nothing goes there
 * @springboard: NULL without %KTRAMP_TACTIC_SPRINGBOARD
 * @id: number, unique while the module is loaded
 * @code_len: bytes at @code
 * @relocated: offset of the displaced instructions' copy in @code
 * @copied: bytes of that copy
 * @mechanism: &enum ktramp_mechanism
 * @handler: &enum ktramp_handler
 * @state: &enum ktramp_state
 * @tactic: &enum ktramp_tactic
 * @pid: the process whose hits are handled, 0 for all
 * @region: bytes of whole instructions displaced
 * @insn_len: bytes of the site's instruction
 * @armed_len: bytes changed at the site
 * @step: KTRAMP_STEP_*: what single-stepping this instruction has to put right
 * @nr_displaced: instructions displaced
 * @ref: the list's, and those of whoever looks at it
 * @in_set: already in the batch that is being put together
 * @met: somebody else has a kprobe on its bytes: valid while its set is armed or disarmed
 * @hashed: @trap is in the trap table
 * @done_hashed: so is @done, from the first arming until the probe is freed
 * @before: the site's bytes when the probe was made
 *
 * Written under ktramp_mutex only, except the per-CPU data. The trap path reads @trap to
 * @resume, @handler, @insn_len and @step, which do not change while @hashed.
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
	unsigned long code;
	unsigned long resume;
	struct ktramp_pins *pins;
	struct ktramp_springboard *springboard;
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
	return (p->mechanism >= KTRAMP_KPROBE_STEP && p->mechanism != KTRAMP_BPF_JUMP) ||
	       p->mechanism == KTRAMP_CALL || p->tactic == KTRAMP_TACTIC_FTRACE;
}

/* Does it have a detour? */
static inline bool ktramp_probe_is_jump(const struct ktramp_probe *p)
{
	return p->mechanism == KTRAMP_JUMP || p->mechanism == KTRAMP_BPF_JUMP;
}

/**
 * struct ktramp_request - a probe that is wanted
 * @mechanism: how control leaves the site
 * @handler: what runs then
 * @site: where, as text
 * @pid: the process whose hits are handled, 0 for all
 * @owner: the open file it will belong to, or NULL
 */
struct ktramp_request {
	enum ktramp_mechanism mechanism;
	enum ktramp_handler handler;
	const char *site;
	u32 pid;
	void *owner;
};

int ktramp_probe_create(const struct ktramp_request *request, struct ktramp_refusal *r);
int ktramp_probe_add(struct ktramp_probe *p, struct ktramp_refusal *r);
struct ktramp_probe *ktramp_probe_alloc(const struct ktramp_request *request, unsigned long addr);
int ktramp_probes_arm(const u32 *ids, unsigned int nr, void *owner, struct ktramp_batch *reply);
int ktramp_probes_disarm(const u32 *ids, unsigned int nr, void *owner,
			 struct ktramp_batch *reply);
int ktramp_probes_destroy(const u32 *ids, unsigned int nr, void *owner,
			  struct ktramp_batch *reply);
int ktramp_probe_bpf(struct ktramp_bpf *bpf, void *owner, struct ktramp_refusal *r);
void ktramp_probes_release(void *owner);
void ktramp_probes_forget(unsigned long start, unsigned long size);
void ktramp_probes_exit(void);

struct ktramp_probe *ktramp_probe_get(u32 id, bool next);
void ktramp_probe_put(struct ktramp_probe *p);
int ktramp_probe_enter(struct ktramp_probe *p, struct ktramp_refusal *r);
void ktramp_probe_leave(struct ktramp_probe *p);
unsigned int ktramp_probe_count(void);
void ktramp_probe_sum(const struct ktramp_probe *p, struct ktramp_stat *sum);
unsigned int ktramp_probe_memory(const struct ktramp_probe *p);
unsigned int ktramp_probe_code(const struct ktramp_probe *p, u8 *buf);

#endif /* KTRAMP_PROBE_H */
