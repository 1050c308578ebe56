// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prepare how a displaced instruction is executed: all decisions are taken here, once;
 * the trap path only follows them.
 */
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <asm/text-patching.h>

#include "hit/mechanism.h"
#include "hit/probe.h"
#include "hit/resume.h"

/**
 * ktramp_prepare_emulate() - prepare a site's instruction for emulation
 * @p: the probe; @p->emu is filled in
 * @site: its site
 * @draft: unused: no code is written
 * @r: (out) the refusal
 *
 * Return: 0, or -EOPNOTSUPP (%KTRAMP_R_NO_EMULATION and what ktramp_plan_copy() refuses).
 */
int ktramp_prepare_emulate(struct ktramp_probe *p, const struct ktramp_site *site,
			   struct ktramp_draft *draft, struct ktramp_refusal *r)
{
	int err = ktramp_plan_copy(site, r);

	if (!err && !ktramp_emulate_prepare(&p->emu, &site->insn, site->addr))
		err = ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_NO_EMULATION,
				    "ktramp does not emulate this instruction; int3-boost runs a copy of it");
	return err;
}

/**
 * ktramp_prepare_boost() - a copy with a jump behind it
 * @p: the probe
 * @site: its site
 * @draft: the slot
 * @r: (out) the refusal
 *
 * Return: 0, -EOPNOTSUPP, -ERANGE.
 */
int ktramp_prepare_boost(struct ktramp_probe *p, const struct ktramp_site *site,
			 struct ktramp_draft *draft, struct ktramp_refusal *r)
{
	struct ktramp_emit *e = &draft->emit;
	struct ktramp_region one = {
		.len = site->insn.len,
		.nr = 1,
		.ends = ktramp_insn_ends_flow(&site->insn),
	};
	int err;

	err = ktramp_plan_copy(site, r);
	if (err)
		return err;
	p->resume = e->addr + e->len;
	err = ktramp_synthesize_region(e, site, &one);
	p->copied = one.copied;
	if (err == -ERANGE)
		return ktramp_refuse(r, err, KTRAMP_R_RANGE,
				     "an operand does not reach from the slot");
	return err;
}

/**
 * ktramp_prepare_step_int3() - a copy with an int3 behind it
 * @p: the probe; @p->done is the trap behind the copy
 * @site: its site
 * @draft: the slot
 * @r: (out) the refusal
 *
 * Interrupts stay as they are while the copy runs, and no per-CPU state says that it
 * does: the second int3 is found by its own address, on whatever CPU it is reached.
 * That is why pushf, popf, cli and sti need no correction here, unlike in kprobes.
 *
 * Return: 0, -EOPNOTSUPP, -ERANGE.
 */
int ktramp_prepare_step_int3(struct ktramp_probe *p, const struct ktramp_site *site,
			     struct ktramp_draft *draft, struct ktramp_refusal *r)
{
	struct ktramp_emit *e = &draft->emit;
	int err;

	err = ktramp_plan_copy(site, r);
	if (err)
		return err;
	if (site->insn.branch != KTRAMP_BR_NONE)
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_LEAVES_SLOT,
				     "a branch leaves the slot before the int3 behind it; int3-emulate and int3-boost can");
	p->resume = e->addr;
	ktramp_synthesize_copy(e, &site->insn, site->func.code + site->off, site->addr);
	p->copied = e->len;
	p->done.addr = e->addr + e->len;
	ktramp_emit(e, INT3_INSN_OPCODE);
	if (e->err == -ERANGE)
		return ktramp_refuse(r, e->err, KTRAMP_R_RANGE,
				     "an operand does not reach from the slot");
	return e->err;
}

static u8 step_corrections(const struct ktramp_insn *insn)
{
	u8 step = 0;

	if (insn->branch == KTRAMP_BR_RET || insn->branch == KTRAMP_BR_JMP_IND ||
	    insn->branch == KTRAMP_BR_CALL_IND)
		step |= KTRAMP_STEP_ABSOLUTE;
	if (insn->branch == KTRAMP_BR_CALL || insn->branch == KTRAMP_BR_CALL_IND)
		step |= KTRAMP_STEP_CALL;
	if (insn->attr & KTRAMP_A_IF_READ)
		step |= KTRAMP_STEP_PUSHF;
	if (insn->attr & KTRAMP_A_IF_WRITE)
		step |= KTRAMP_STEP_IF;
	if (insn->attr & KTRAMP_A_TF_WRITE)
		step |= KTRAMP_STEP_TF;
	if (insn->attr & KTRAMP_A_REP)
		step |= KTRAMP_STEP_REP;
	return step;
}

/* Calls of a hypervisor, and entries into a guest. */
static bool leaves_machine(const struct ktramp_insn *insn)
{
	if (insn->map != KTRAMP_MAP_0F || insn->opcode != 0x01)
		return false;
	switch (insn->modrm) {
	case 0xc1 ... 0xc3:	/* vmcall, vmlaunch, vmresume */
	case 0xcc:		/* tdcall */
	case 0xd8 ... 0xd9:	/* vmrun, vmmcall */
		return true;
	}
	return false;
}

/*
 * Interrupts are off while TF steps. What waits for one never ends then; and what enters a guest
 * comes out of it elsewhere, without TF (SDM vol. 3, VM exits: loading host RIP, RSP, RFLAGS).
 */
static int plan_step_tf(const struct ktramp_site *site, struct ktramp_refusal *r)
{
	if (ktramp_plan_waits(&site->insn))
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_REGION,
				     "the instruction waits for an interrupt, which a step with TF holds off; int3-boost does not");
	if (leaves_machine(&site->insn))
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_REGION,
				     "the instruction may leave for a hypervisor or a guest, and come back without TF; int3-boost needs none");
	return 0;
}

/**
 * ktramp_prepare_step_tf() - a copy that is single-stepped by EFLAGS.TF
 * @p: the probe; @p->step says what the #DB handler must put right
 * @site: its site
 * @draft: the slot
 * @r: (out) the refusal
 *
 * Branches are copied as they are: the CPU never gets to fetch where they lead, because
 * #DB comes first, and the handler adds the distance between copy and site to RIP.
 * Behind it stands a boosted copy, for a hit that finds no frame left to step in.
 *
 * Return: 0, -EOPNOTSUPP, -ERANGE.
 */
int ktramp_prepare_step_tf(struct ktramp_probe *p, const struct ktramp_site *site,
			   struct ktramp_draft *draft, struct ktramp_refusal *r)
{
	struct ktramp_emit *e = &draft->emit;
	int err;

	err = ktramp_plan_copy(site, r);
	if (err)
		return err;
	err = plan_step_tf(site, r);
	if (err)
		return err;
	p->step = step_corrections(&site->insn);
	ktramp_synthesize_copy(e, &site->insn, site->func.code + site->off, site->addr);
	/* #DB comes behind the copy, or where its branch goes; but for what delays it. */
	p->done.addr = e->addr + e->len;
	ktramp_emit(e, INT3_INSN_OPCODE);
	err = ktramp_prepare_boost(p, site, draft, r);
	p->copied = site->insn.len;
	return err;
}
