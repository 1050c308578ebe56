// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "insn_oracle.h"

#define COMPARED_FLAGS	(KTRAMP_F_ARITH | KTRAMP_F_DF | KTRAMP_F_IF | KTRAMP_F_TF)

void oracle_init(ZydisDecoder *decoder)
{
	if (ZYAN_FAILED(ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_64,
					 ZYDIS_STACK_WIDTH_64))) {
		fprintf(stderr, "cannot initialise Zydis: reinstall libzydis-dev\n");
		exit(1);
	}
	/* Knights Corner took the VEX space for its own instructions. */
	ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_KNC, ZYAN_FALSE);
}

static u16 gpr_bit(ZydisRegister reg)
{
	ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);

	if (ZydisRegisterGetClass(whole) != ZYDIS_REGCLASS_GPR64)
		return 0;
	return (u16)(1U << ZydisRegisterGetId(whole));
}

static void take_register(struct ktramp_insn *insn, const ZydisDecodedOperand *op)
{
	ZydisRegister reg = op->reg.value;
	u16 bit = gpr_bit(reg);
	bool whole = ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, reg) >= 32;

	if (op->actions & ZYDIS_OPERAND_ACTION_MASK_READ)
		insn->regs_read |= bit;
	if (!(op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
		return;
	if (whole && (op->actions & ZYDIS_OPERAND_ACTION_WRITE))
		insn->regs_written |= bit;
	else
		insn->regs_read |= bit;
}

static void take_memory(struct oracle *o, const ZydisDecodedOperand *op)
{
	struct ktramp_insn *insn = &o->insn;

	if (op->mem.base == ZYDIS_REGISTER_RIP || op->mem.base == ZYDIS_REGISTER_EIP)
		insn->attr |= KTRAMP_A_RIPREL;
	insn->regs_read |= gpr_bit(op->mem.base) | gpr_bit(op->mem.index);
	if (op->mem.type == ZYDIS_MEMOP_TYPE_AGEN)
		return;
	if (op->actions & ZYDIS_OPERAND_ACTION_MASK_READ)
		insn->attr |= KTRAMP_A_MEM_READ;
	if (op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
		insn->attr |= KTRAMP_A_MEM_WRITE;
}

static void take_operands(struct oracle *o)
{
	const ZydisDecodedOperand *ops = o->ops;
	unsigned int i;

	for (i = 0; i < o->z.operand_count; i++) {
		if (ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER)
			take_register(&o->insn, &ops[i]);
		else if (ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
			take_memory(o, &ops[i]);
	}

	/* nop has operands, and nothing happens to them */
	if (o->z.mnemonic == ZYDIS_MNEMONIC_NOP) {
		o->insn.regs_read = 0;
		o->insn.regs_written = 0;
		o->insn.attr &= KTRAMP_A_RIPREL;
	}

	/* Zydis lists operands; that x ^ x and x - x do not depend on x is for its user to see. */
	if ((o->z.mnemonic == ZYDIS_MNEMONIC_XOR || o->z.mnemonic == ZYDIS_MNEMONIC_SUB) &&
	    ops[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	    ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	    ops[0].reg.value == ops[1].reg.value && ops[0].size >= 32)
		o->insn.regs_read = 0;
}

static u8 branch_kind(const struct oracle *o)
{
	bool imm = o->ops[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;

	if (o->z.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
		return KTRAMP_BR_FAR;
	switch (o->z.mnemonic) {
	case ZYDIS_MNEMONIC_JMP:
		return imm ? KTRAMP_BR_JMP : KTRAMP_BR_JMP_IND;
	case ZYDIS_MNEMONIC_CALL:
		return imm ? KTRAMP_BR_CALL : KTRAMP_BR_CALL_IND;
	case ZYDIS_MNEMONIC_RET:
		return o->z.opcode == 0xc2 || o->z.opcode == 0xc3 ? KTRAMP_BR_RET : KTRAMP_BR_FAR;
	case ZYDIS_MNEMONIC_JCXZ:
	case ZYDIS_MNEMONIC_JECXZ:
	case ZYDIS_MNEMONIC_JRCXZ:
	case ZYDIS_MNEMONIC_LOOP:
	case ZYDIS_MNEMONIC_LOOPE:
	case ZYDIS_MNEMONIC_LOOPNE:
		return KTRAMP_BR_LOOP;
	case ZYDIS_MNEMONIC_XBEGIN:
		return KTRAMP_BR_XBEGIN;
	case ZYDIS_MNEMONIC_INT3:
	case ZYDIS_MNEMONIC_INT1:
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
		return KTRAMP_BR_TRAP;
	case ZYDIS_MNEMONIC_INT:
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
	case ZYDIS_MNEMONIC_SYSCALL:
	case ZYDIS_MNEMONIC_SYSRET:
	case ZYDIS_MNEMONIC_SYSENTER:
	case ZYDIS_MNEMONIC_SYSEXIT:
	case ZYDIS_MNEMONIC_RSM:
	case ZYDIS_MNEMONIC_UIRET:
		return KTRAMP_BR_FAR;
	default:
		return o->z.meta.category == ZYDIS_CATEGORY_COND_BR && imm ? KTRAMP_BR_JCC :
									     KTRAMP_BR_NONE;
	}
}

static void take_encoding(struct oracle *o)
{
	const ZydisDecodedInstructionRaw *raw = &o->z.raw;
	struct ktramp_insn *insn = &o->insn;

	insn->len = o->z.length;
	insn->opcode = o->z.opcode;
	insn->has_modrm = !!(o->z.attributes & ZYDIS_ATTRIB_HAS_MODRM);
	insn->has_sib = !!(o->z.attributes & ZYDIS_ATTRIB_HAS_SIB);
	if (insn->has_modrm) {
		insn->modrm = (u8)(raw->modrm.mod << 6 | raw->modrm.reg << 3 | raw->modrm.rm);
		insn->modrm_off = raw->modrm.offset;
	}
	if (raw->disp.size) {
		insn->disp_len = raw->disp.size / 8;
		insn->disp_off = raw->disp.offset;
		insn->disp = raw->disp.value;
	}
	if (raw->imm[0].size) {
		insn->imm_len = (raw->imm[0].size + raw->imm[1].size) / 8;
		insn->imm_off = raw->imm[0].offset;
		insn->imm = raw->imm[0].value.s;
	}
}

static void take_attributes(struct oracle *o)
{
	struct ktramp_insn *insn = &o->insn;

	if (o->z.attributes & ZYDIS_ATTRIB_HAS_LOCK)
		insn->attr |= KTRAMP_A_LOCK;
	if (o->z.mnemonic == ZYDIS_MNEMONIC_XCHG && (insn->attr & KTRAMP_A_MEM_WRITE))
		insn->attr |= KTRAMP_A_LOCK;
	if (o->z.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE |
			       ZYDIS_ATTRIB_HAS_REPNE))
		insn->attr |= KTRAMP_A_REP;
	if (o->z.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED)
		insn->attr |= KTRAMP_A_PRIV;
	if (o->z.mnemonic == ZYDIS_MNEMONIC_NOP || o->z.mnemonic == ZYDIS_MNEMONIC_ENDBR64 ||
	    o->z.mnemonic == ZYDIS_MNEMONIC_ENDBR32)
		insn->attr |= KTRAMP_A_NOP;
	if ((insn->regs_read | insn->regs_written) & 0x10)
		insn->attr |= KTRAMP_A_RSP;
}

void oracle_decode(const ZydisDecoder *decoder, struct oracle *o, const void *buf, size_t avail)
{
	const ZydisAccessedFlags *flags;

	o->valid = ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder, buf, avail, &o->z, o->ops));
	memset(&o->insn, 0, sizeof(o->insn));
	if (!o->valid)
		return;
	take_encoding(o);
	take_operands(o);
	take_attributes(o);
	o->insn.branch = branch_kind(o);
	flags = o->z.cpu_flags;
	if (flags) {
		o->insn.flags_read = flags->tested & COMPARED_FLAGS;
		o->insn.flags_written = (flags->modified | flags->set_0 | flags->set_1 |
					 flags->undefined) & COMPARED_FLAGS;
	}
}
