// SPDX-License-Identifier: GPL-2.0-only
/*
 * Relocation: RIP-relative operands are adjusted, relative branches re-encoded.
 */
#ifdef __KERNEL__
#include <linux/string.h>
#else
#include <string.h>
#endif

#include "plan/relocate.h"

/**
 * ktramp_synthesize_copy() - copy an instruction, its RIP-relative operand adjusted
 * @e: where to
 * @insn: the instruction
 * @bytes: its bytes
 * @from: its original address
 *
 * Branch displacements stay as they are: for a stepped branch the trap handler
 * corrects RIP afterwards.
 */
void ktramp_synthesize_copy(struct ktramp_emit *e, const struct ktramp_insn *insn,
			    const u8 *bytes, u64 from)
{
	u32 start = e->len;
	u64 to = e->addr + start;

	if (!(insn->attr & KTRAMP_A_RIPREL)) {
		ktramp_emit_bytes(e, bytes, insn->len);
		return;
	}
	/* An immediate may follow the displacement; both count from the next instruction. */
	ktramp_emit_bytes(e, bytes, insn->disp_off);
	ktramp_emit_s32(e, insn->disp + (s64)(from - to));
	ktramp_emit_bytes(e, bytes + insn->disp_off + 4, insn->len - insn->disp_off - 4);
}

/* call *operand: push the original return address, then jump through the operand. */
static void synthesize_call_ind(struct ktramp_emit *e, const struct ktramp_insn *insn,
				const u8 *bytes, u64 from)
{
	u8 copy[KTRAMP_INSN_MAX];
	struct ktramp_insn jmp = *insn;

	/* push $imm32, sign extended: kernel text is in the top 2 GiB */
	ktramp_emit(e, 0x68);
	ktramp_emit_s32(e, (s64)(from + insn->len));
	/* ff /2 -> ff /4 */
	memcpy(copy, bytes, insn->len);
	copy[insn->modrm_off] = (bytes[insn->modrm_off] & ~0x38) | (4 << 3);
	ktramp_synthesize_copy(e, &jmp, copy, from);
}

/**
 * ktramp_synthesize_insn() - write an instruction so that it does the same elsewhere
 * @e: where to; @e->err tells of a displacement that does not reach
 * @insn: the instruction, one that ktramp_plan_copy() or _region() accepted
 * @bytes: its bytes
 * @from: its original address
 *
 * Relative branches get 32-bit displacements to their original targets. A call pushes
 * its original return address, so that the callee, the unwinder and a kretprobe see
 * the caller they would have seen.
 */
void ktramp_synthesize_insn(struct ktramp_emit *e, const struct ktramp_insn *insn,
			    const u8 *bytes, u64 from)
{
	u64 target = from + insn->len + insn->imm;

	switch (insn->branch) {
	case KTRAMP_BR_JMP:
		ktramp_emit_jmp(e, target);
		break;
	case KTRAMP_BR_JCC:
		/* jcc rel32 */
		ktramp_emit(e, 0x0f, 0x80 | insn->cc);
		ktramp_emit_rel32(e, target);
		break;
	case KTRAMP_BR_LOOP:
		/* loop +2; jmp +5; jmp target: the address-size prefix matters to rcx/ecx */
		if (insn->prefix & KTRAMP_P_67)
			ktramp_emit(e, 0x67);
		ktramp_emit(e, insn->opcode, 0x02);
		ktramp_emit(e, 0xeb, 0x05);
		ktramp_emit_jmp(e, target);
		break;
	case KTRAMP_BR_CALL:
		/* push $imm32, sign extended */
		ktramp_emit(e, 0x68);
		ktramp_emit_s32(e, (s64)(from + insn->len));
		ktramp_emit_jmp(e, target);
		break;
	case KTRAMP_BR_CALL_IND:
		synthesize_call_ind(e, insn, bytes, from);
		break;
	default:
		ktramp_synthesize_copy(e, insn, bytes, from);
	}
}
