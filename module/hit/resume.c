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

/* pt_regs members in the order the CPU numbers the registers. */
static const u8 reg_offset[16] = {
	offsetof(struct pt_regs, ax), offsetof(struct pt_regs, cx),
	offsetof(struct pt_regs, dx), offsetof(struct pt_regs, bx),
	offsetof(struct pt_regs, sp), offsetof(struct pt_regs, bp),
	offsetof(struct pt_regs, si), offsetof(struct pt_regs, di),
	offsetof(struct pt_regs, r8), offsetof(struct pt_regs, r9),
	offsetof(struct pt_regs, r10), offsetof(struct pt_regs, r11),
	offsetof(struct pt_regs, r12), offsetof(struct pt_regs, r13),
	offsetof(struct pt_regs, r14), offsetof(struct pt_regs, r15),
};

static nokprobe_inline unsigned long *reg(struct pt_regs *regs, u8 nr)
{
	return (void *)regs + reg_offset[nr];
}

static nokprobe_inline void next_insn(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	regs->ip += emu->next_delta;
}

static void emulate_nop(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	next_insn(emu, regs);
}
NOKPROBE_SYMBOL(emulate_nop);

/* The #BP entry leaves a gap of 6 words above the frame for this (entry_64.S). */
static void emulate_push(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	unsigned long value = emu->src == KTRAMP_EMU_NONE ? emu->value : *reg(regs, emu->src);

	int3_emulate_push(regs, value);
	next_insn(emu, regs);
}
NOKPROBE_SYMBOL(emulate_push);

/* pop %rsp: the popped value wins over the increment (SDM vol. 2, POP). */
static void emulate_pop(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	unsigned long value = int3_emulate_pop(regs);

	*reg(regs, emu->dst) = value;
	next_insn(emu, regs);
}
NOKPROBE_SYMBOL(emulate_pop);

static nokprobe_inline void set_reg(const struct ktramp_emu *emu, struct pt_regs *regs,
				    unsigned long value)
{
	*reg(regs, emu->dst) = emu->wide ? value : (u32)value;
	next_insn(emu, regs);
}

static void emulate_mov_imm(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	set_reg(emu, regs, emu->value);
}
NOKPROBE_SYMBOL(emulate_mov_imm);

static void emulate_mov(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	set_reg(emu, regs, *reg(regs, emu->src));
}
NOKPROBE_SYMBOL(emulate_mov);

static void emulate_lea(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	unsigned long value = emu->value;

	if (emu->src != KTRAMP_EMU_NONE)
		value += *reg(regs, emu->src);
	if (emu->index != KTRAMP_EMU_NONE)
		value += *reg(regs, emu->index) << emu->aux;
	set_reg(emu, regs, value);
}
NOKPROBE_SYMBOL(emulate_lea);

static void emulate_jmp(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	int3_emulate_jmp(regs, emu->value);
}
NOKPROBE_SYMBOL(emulate_jmp);

/* Condition codes of jcc, SDM vol. 1, appendix B: bit 0 negates. */
static nokprobe_inline bool condition(unsigned long flags, u8 cc)
{
	bool sf_ne_of = !(flags & X86_EFLAGS_SF) != !(flags & X86_EFLAGS_OF);
	bool holds;

	switch (cc >> 1) {
	case 0:
		holds = flags & X86_EFLAGS_OF;
		break;
	case 1:
		holds = flags & X86_EFLAGS_CF;
		break;
	case 2:
		holds = flags & X86_EFLAGS_ZF;
		break;
	case 3:
		holds = flags & (X86_EFLAGS_CF | X86_EFLAGS_ZF);
		break;
	case 4:
		holds = flags & X86_EFLAGS_SF;
		break;
	case 5:
		holds = flags & X86_EFLAGS_PF;
		break;
	case 6:
		holds = sf_ne_of;
		break;
	default:
		holds = sf_ne_of || (flags & X86_EFLAGS_ZF);
		break;
	}
	return holds != (cc & 1);
}

static void emulate_jcc(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	if (condition(regs->flags, emu->aux))
		int3_emulate_jmp(regs, emu->value);
	else
		next_insn(emu, regs);
}
NOKPROBE_SYMBOL(emulate_jcc);

static void emulate_call(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	int3_emulate_push(regs, regs->ip + emu->next_delta);
	int3_emulate_jmp(regs, emu->value);
}
NOKPROBE_SYMBOL(emulate_call);

static void emulate_call_reg(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	unsigned long target = *reg(regs, emu->src);

	int3_emulate_push(regs, regs->ip + emu->next_delta);
	int3_emulate_jmp(regs, target);
}
NOKPROBE_SYMBOL(emulate_call_reg);

static void emulate_jmp_reg(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	int3_emulate_jmp(regs, *reg(regs, emu->src));
}
NOKPROBE_SYMBOL(emulate_jmp_reg);

/* ret, and ret imm16: the immediate is released above the return address. */
static void emulate_ret(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	unsigned long target = int3_emulate_pop(regs);

	regs->sp += emu->value;
	int3_emulate_jmp(regs, target);
}
NOKPROBE_SYMBOL(emulate_ret);

/* SDM vol. 2, PUSHF: VM and RF are pushed as 0. */
static void emulate_pushf(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	int3_emulate_push(regs, regs->flags & ~(X86_EFLAGS_VM | X86_EFLAGS_RF));
	next_insn(emu, regs);
}
NOKPROBE_SYMBOL(emulate_pushf);

/* SDM vol. 2, POPF at CPL 0: all but VM, RF, VIP and VIF come from the stack. */
static void emulate_popf(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	const unsigned long kept = X86_EFLAGS_VM | X86_EFLAGS_RF | X86_EFLAGS_VIP | X86_EFLAGS_VIF;
	unsigned long value = int3_emulate_pop(regs);

	regs->flags = (regs->flags & kept) | (value & ~kept) | X86_EFLAGS_FIXED;
	next_insn(emu, regs);
}
NOKPROBE_SYMBOL(emulate_popf);

static void emulate_cli(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	regs->flags &= ~X86_EFLAGS_IF;
	next_insn(emu, regs);
}
NOKPROBE_SYMBOL(emulate_cli);

static void emulate_sti(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	regs->flags |= X86_EFLAGS_IF;
	next_insn(emu, regs);
}
NOKPROBE_SYMBOL(emulate_sti);

/* ModRM's register field and register operand, with REX. */
static u8 modrm_reg(const struct ktramp_insn *insn)
{
	return ((insn->modrm >> 3) & 7) | ((insn->rex & 4) << 1);
}

static u8 modrm_rm(const struct ktramp_insn *insn)
{
	return (insn->modrm & 7) | ((insn->rex & 1) << 3);
}

static bool modrm_is_reg(const struct ktramp_insn *insn)
{
	return insn->modrm >> 6 == 3;
}

/* The register in the low three opcode bits: push, pop, mov imm. */
static u8 opcode_reg(const struct ktramp_insn *insn)
{
	return (insn->opcode & 7) | ((insn->rex & 1) << 3);
}

static void prepare_lea(struct ktramp_emu *emu, const struct ktramp_insn *insn, u64 addr)
{
	emu->fn = emulate_lea;
	emu->dst = modrm_reg(insn);
	emu->value = insn->disp_len ? insn->disp : 0;
	if (insn->attr & KTRAMP_A_RIPREL) {
		emu->value += addr + insn->len;
		return;
	}
	if (!insn->has_sib) {
		emu->src = modrm_rm(insn);
		return;
	}
	/* SDM vol. 2, table 2-3: base 101 without mod means none; index 100 means none. */
	if ((insn->sib & 7) != 5 || insn->modrm >> 6 != 0)
		emu->src = (insn->sib & 7) | ((insn->rex & 1) << 3);
	emu->index = ((insn->sib >> 3) & 7) | ((insn->rex & 2) << 2);
	if (emu->index == 4)
		emu->index = KTRAMP_EMU_NONE;
	emu->aux = insn->sib >> 6;
}

/* One-byte opcodes that are no branches. Each has a target, or the tests are not whole. */
static bool prepare_plain(struct ktramp_emu *emu, const struct ktramp_insn *insn, u64 addr)
{
	switch (insn->opcode) {
	case 0x50 ... 0x57:
		emu->fn = emulate_push;
		emu->src = opcode_reg(insn);
		return true;
	case 0x58 ... 0x5f:
		emu->fn = emulate_pop;
		emu->dst = opcode_reg(insn);
		return true;
	case 0x68:
	case 0x6a:
		emu->fn = emulate_push;
		emu->value = insn->imm;
		return true;
	case 0x89:
		emu->fn = emulate_mov;
		emu->dst = modrm_rm(insn);
		emu->src = modrm_reg(insn);
		return modrm_is_reg(insn);
	case 0x8b:
		emu->fn = emulate_mov;
		emu->dst = modrm_reg(insn);
		emu->src = modrm_rm(insn);
		return modrm_is_reg(insn);
	case 0x8d:
		/* An address-size prefix would truncate the sum. */
		prepare_lea(emu, insn, addr);
		return !(insn->prefix & KTRAMP_P_67);
	case 0x9c:
		emu->fn = emulate_pushf;
		return true;
	case 0x9d:
		emu->fn = emulate_popf;
		return true;
	case 0xb8 ... 0xbf:
		emu->fn = emulate_mov_imm;
		emu->dst = opcode_reg(insn);
		emu->value = insn->imm;
		return true;
	case 0xc7:
		emu->fn = emulate_mov_imm;
		emu->dst = modrm_rm(insn);
		emu->value = insn->imm;
		return modrm_is_reg(insn);
	case 0xfa:
		emu->fn = emulate_cli;
		return true;
	case 0xfb:
		emu->fn = emulate_sti;
		return true;
	}
	return false;
}

static bool prepare_branch(struct ktramp_emu *emu, const struct ktramp_insn *insn, u64 addr)
{
	emu->value = addr + insn->len + insn->imm;
	switch (insn->branch) {
	case KTRAMP_BR_JMP:
		emu->fn = emulate_jmp;
		return true;
	case KTRAMP_BR_JCC:
		emu->fn = emulate_jcc;
		emu->aux = insn->cc;
		return true;
	case KTRAMP_BR_CALL:
		emu->fn = emulate_call;
		return true;
	case KTRAMP_BR_CALL_IND:
		emu->fn = emulate_call_reg;
		emu->src = modrm_rm(insn);
		return modrm_is_reg(insn);
	case KTRAMP_BR_JMP_IND:
		emu->fn = emulate_jmp_reg;
		emu->src = modrm_rm(insn);
		return modrm_is_reg(insn);
	case KTRAMP_BR_RET:
		emu->fn = emulate_ret;
		emu->value = insn->imm_len ? (u16)insn->imm : 0;
		return true;
	}
	return false;
}

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
	const struct ktramp_insn *insn = &site->insn;
	struct ktramp_emu *emu = &p->emu;
	bool known = false;
	int err;

	err = ktramp_plan_copy(site, r);
	if (err)
		return err;
	memset(emu, 0, sizeof(*emu));
	emu->dst = KTRAMP_EMU_NONE;
	emu->src = KTRAMP_EMU_NONE;
	emu->index = KTRAMP_EMU_NONE;
	emu->wide = insn->osz == 8;
	emu->next_delta = insn->len;

	if (insn->attr & KTRAMP_A_NOP) {
		emu->fn = emulate_nop;
		known = true;
	} else if (insn->prefix & (KTRAMP_P_66 | KTRAMP_P_LOCK)) {
		known = false;
	} else if (insn->branch != KTRAMP_BR_NONE) {
		known = prepare_branch(emu, insn, site->addr);
	} else if (insn->map == KTRAMP_MAP_1B) {
		known = prepare_plain(emu, insn, site->addr);
	}
	if (!known)
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_NO_EMULATION,
				     "ktramp does not emulate this instruction; int3-boost runs a copy of it");
	return 0;
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
	p->step = step_corrections(&site->insn);
	ktramp_synthesize_copy(e, &site->insn, site->func.code + site->off, site->addr);
	/* #DB comes behind the copy, or where its branch goes; but for what delays it. */
	p->done.addr = e->addr + e->len;
	ktramp_emit(e, INT3_INSN_OPCODE);
	err = ktramp_prepare_boost(p, site, draft, r);
	p->copied = site->insn.len;
	return err;
}
