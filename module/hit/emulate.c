// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulate an instruction: change the registers as it would. What can be decided is decided
 * when a probe is made; a hit calls one function, where exc_int3() has just begun (trap.c).
 */
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <asm/text-patching.h>

#include "hit/emulate.h"

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

static __always_inline unsigned long *reg(struct pt_regs *regs, u8 nr)
{
	return (void *)regs + reg_offset[nr];
}

static __always_inline void next_insn(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	regs->ip += emu->next_delta;
}

static noinstr void emulate_nop(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	next_insn(emu, regs);
}

/* The #BP entry leaves a gap of 6 words above the frame for this (entry_64.S). */
static noinstr void emulate_push(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	unsigned long value = emu->src == KTRAMP_EMU_NONE ? emu->value : *reg(regs, emu->src);

	int3_emulate_push(regs, value);
	next_insn(emu, regs);
}

/* pop %rsp: the popped value wins over the increment (SDM vol. 2, POP). */
static noinstr void emulate_pop(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	unsigned long value = int3_emulate_pop(regs);

	*reg(regs, emu->dst) = value;
	next_insn(emu, regs);
}

static __always_inline void set_reg(const struct ktramp_emu *emu, struct pt_regs *regs,
				    unsigned long value)
{
	*reg(regs, emu->dst) = emu->wide ? value : (u32)value;
	next_insn(emu, regs);
}

static noinstr void emulate_mov_imm(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	set_reg(emu, regs, emu->value);
}

static noinstr void emulate_mov(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	set_reg(emu, regs, *reg(regs, emu->src));
}

static noinstr void emulate_lea(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	unsigned long value = emu->value;

	if (emu->src != KTRAMP_EMU_NONE)
		value += *reg(regs, emu->src);
	if (emu->index != KTRAMP_EMU_NONE)
		value += *reg(regs, emu->index) << emu->aux;
	set_reg(emu, regs, value);
}

static noinstr void emulate_jmp(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	int3_emulate_jmp(regs, emu->value);
}

/* Condition codes of jcc, SDM vol. 1, appendix B: bit 0 negates. */
static __always_inline bool condition(unsigned long flags, u8 cc)
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

static noinstr void emulate_jcc(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	if (condition(regs->flags, emu->aux))
		int3_emulate_jmp(regs, emu->value);
	else
		next_insn(emu, regs);
}

static noinstr void emulate_call(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	int3_emulate_push(regs, regs->ip + emu->next_delta);
	int3_emulate_jmp(regs, emu->value);
}

static noinstr void emulate_call_reg(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	unsigned long target = *reg(regs, emu->src);

	int3_emulate_push(regs, regs->ip + emu->next_delta);
	int3_emulate_jmp(regs, target);
}

static noinstr void emulate_jmp_reg(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	int3_emulate_jmp(regs, *reg(regs, emu->src));
}

/* ret, and ret imm16: the immediate is released above the return address. */
static noinstr void emulate_ret(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	unsigned long target = int3_emulate_pop(regs);

	regs->sp += emu->value;
	int3_emulate_jmp(regs, target);
}

/* SDM vol. 2, PUSHF: VM and RF are pushed as 0. */
static noinstr void emulate_pushf(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	int3_emulate_push(regs, regs->flags & ~(X86_EFLAGS_VM | X86_EFLAGS_RF));
	next_insn(emu, regs);
}

/* SDM vol. 2, POPF at CPL 0: all but VM, RF, VIP and VIF come from the stack. */
static noinstr void emulate_popf(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	const unsigned long kept = X86_EFLAGS_VM | X86_EFLAGS_RF | X86_EFLAGS_VIP | X86_EFLAGS_VIF;
	unsigned long value = int3_emulate_pop(regs);

	regs->flags = (regs->flags & kept) | (value & ~kept) | X86_EFLAGS_FIXED;
	next_insn(emu, regs);
}

static noinstr void emulate_cli(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	regs->flags &= ~X86_EFLAGS_IF;
	next_insn(emu, regs);
}

static noinstr void emulate_sti(const struct ktramp_emu *emu, struct pt_regs *regs)
{
	regs->flags |= X86_EFLAGS_IF;
	next_insn(emu, regs);
}

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
 * ktramp_emulate_prepare() - prepare an instruction for emulation
 * @emu: (out) what ktramp_emu.fn needs at a hit
 * @insn: the instruction
 * @addr: its address
 *
 * Return: false if it is not emulated.
 */
bool ktramp_emulate_prepare(struct ktramp_emu *emu, const struct ktramp_insn *insn, u64 addr)
{
	*emu = (struct ktramp_emu){
		.dst = KTRAMP_EMU_NONE,
		.src = KTRAMP_EMU_NONE,
		.index = KTRAMP_EMU_NONE,
		.wide = insn->osz == 8,
		.next_delta = insn->len,
	};
	if (insn->attr & KTRAMP_A_NOP) {
		emu->fn = emulate_nop;
		return true;
	}
	if (insn->prefix & (KTRAMP_P_66 | KTRAMP_P_LOCK))
		return false;
	if (insn->branch != KTRAMP_BR_NONE)
		return prepare_branch(emu, insn, addr);
	return insn->map == KTRAMP_MAP_1B && prepare_plain(emu, insn, addr);
}
