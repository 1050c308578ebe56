// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bytes at a site -> what each mechanism would do there, or why it cannot.
 *
 * Everything here reads original bytes and writes private buffers; the live
 * text is text.c's.
 */
#ifdef __KERNEL__
#include <linux/string.h>
#else
#include <string.h>
#endif

#include "plan.h"

#define INT3		0xcc

/* Decode at @off of a function, never past its end. */
static int decode_at(const struct ktramp_func *func, u32 off, struct ktramp_insn *insn)
{
	return ktramp_insn_decode(insn, func->code + off, func->size - off);
}

/* Where a relative branch at @off goes, as an offset in the function (may be outside). */
static s64 branch_offset(const struct ktramp_insn *insn, u32 off)
{
	return (s64)off + insn->len + insn->imm;
}

/**
 * ktramp_plan_site() - decode a site and prove that an instruction starts there
 * @site: (out) the decoded site; keeps a reference to @func's code
 * @func: the function around it
 * @off: offset of the site in @func
 * @r: (out) the refusal
 *
 * The function is decoded from its start, because x86 code read from the middle of an
 * instruction is other code.
 *
 * Return: 0, or -EILSEQ (%KTRAMP_R_BOUNDARY, %KTRAMP_R_DECODE).
 */
int ktramp_plan_site(struct ktramp_site *site, const struct ktramp_func *func, u32 off,
		     struct ktramp_refusal *r)
{
	u32 at = 0;

	if (off >= func->size)
		return ktramp_refuse(r, -EILSEQ, KTRAMP_R_BOUNDARY,
				     "offset 0x%x is behind the function's last byte", off);
	site->func = *func;
	site->off = off;
	site->addr = func->addr + off;
	for (;;) {
		int len = decode_at(func, at, &site->insn);

		if (len < 0)
			return ktramp_refuse(r, -EILSEQ, KTRAMP_R_DECODE,
					     "bytes at +0x%x are no instruction known to ktramp",
					     at);
		if (at == off)
			return 0;
		if (at + len > off)
			return ktramp_refuse(r, -EILSEQ, KTRAMP_R_BOUNDARY,
					     "+0x%x is inside the instruction at +0x%x", off, at);
		at += len;
	}
}

/* Can this one instruction run somewhere else, under any resume method? */
static int plan_insn(const struct ktramp_insn *insn, u32 off, struct ktramp_refusal *r)
{
	if (insn->branch == KTRAMP_BR_TRAP || insn->branch == KTRAMP_BR_FAR)
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_TRAPS,
				     "the instruction at +0x%x traps or leaves the kernel", off);
	if (insn->branch == KTRAMP_BR_XBEGIN)
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_REGION,
				     "xbegin at +0x%x: an abort would resume in the copy", off);
	/* SDM vol. 3, 6.8.3: the shadow must cover the instruction that really follows. */
	if (insn->attr & KTRAMP_A_SS_SHADOW)
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_REGION,
				     "+0x%x loads SS, which holds off traps for the next insn",
				     off);
	/* The return address is pushed first here, so a stack operand would be off by 8. */
	if (insn->branch == KTRAMP_BR_CALL_IND && (insn->attr & KTRAMP_A_MEM_READ) &&
	    insn->has_sib && (insn->sib & 7) == 4 && !(insn->rex & 1))
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_REGION,
				     "call through the stack at +0x%x cannot be re-encoded", off);
	return 0;
}

/**
 * ktramp_plan_copy() - may the site's instruction run out of line?
 * @site: the site
 * @r: (out) the refusal
 *
 * Return: 0 or -EOPNOTSUPP with the reason.
 */
int ktramp_plan_copy(const struct ktramp_site *site, struct ktramp_refusal *r)
{
	return plan_insn(&site->insn, site->off, r);
}

/*
 * Nothing may enter the bytes behind the jump's opcode: look at every direct
 * branch of the function. Branches from other functions go to entries only;
 * admission (probe.c) asks for what this cannot see.
 */
static int plan_branches(const struct ktramp_site *site, struct ktramp_refusal *r)
{
	const struct ktramp_func *func = &site->func;
	struct ktramp_insn insn;
	u32 at = 0;

	while (at < func->size) {
		s64 to;
		int len = decode_at(func, at, &insn);

		if (len < 0)
			return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_DECODE,
					     "bytes at +0x%x are no instruction known to ktramp",
					     at);
		if (insn.branch == KTRAMP_BR_JMP_IND)
			return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_INDIRECT,
					     "the indirect jump at +0x%x may enter the region", at);
		to = branch_offset(&insn, at);
		if (ktramp_insn_is_rel(&insn) && to > site->off &&
		    to < site->off + KTRAMP_JMP_SIZE)
			return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_TARGETED,
					     "the branch at +0x%x goes to +0x%x, inside the jump",
					     at, (u32)to);
		at += len;
	}
	return 0;
}

/* A relocated branch must not come back into the bytes the jump now covers. */
static bool returns_into_region(const struct ktramp_site *site, const struct ktramp_insn *insn,
				u32 at, u32 end)
{
	s64 to;

	/* The address a call pushes is where the callee comes back to. */
	if (insn->branch == KTRAMP_BR_CALL || insn->branch == KTRAMP_BR_CALL_IND)
		return at + insn->len < end && at + insn->len < site->off + KTRAMP_JMP_SIZE;
	if (!ktramp_insn_is_rel(insn))
		return false;
	to = branch_offset(insn, at);
	return to > site->off && to < site->off + KTRAMP_JMP_SIZE;
}

/**
 * ktramp_plan_region() - find the displaced region of a 5-byte jump at a site
 * @site: the site
 * @region: (out) the region
 * @r: (out) the refusal
 *
 * int3 padding behind an instruction that ends the flow is free to take: nothing
 * falls into it, and what jumps to it would have trapped.
 *
 * Return: 0 or -EOPNOTSUPP with the reason.
 */
int ktramp_plan_region(const struct ktramp_site *site, struct ktramp_region *region,
		       struct ktramp_refusal *r)
{
	const struct ktramp_func *func = &site->func;
	u32 at, end = site->off;
	struct ktramp_insn insn;
	int err;

	memset(region, 0, sizeof(*region));
	while (end < site->off + KTRAMP_JMP_SIZE) {
		int len;

		if (end >= func->size)
			return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_SHORT,
					     "only %u bytes are left in the function, a jump needs %u",
					     func->size - site->off, KTRAMP_JMP_SIZE);
		if (region->ends) {
			if (func->code[end] != INT3)
				return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_SHORT,
						     "the code ends %u bytes behind the site, a jump needs %u",
						     end - site->off, KTRAMP_JMP_SIZE);
			end++;
			continue;
		}
		len = decode_at(func, end, &insn);
		if (len < 0)
			return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_DECODE,
					     "bytes at +0x%x are no instruction known to ktramp",
					     end);
		err = plan_insn(&insn, end, r);
		if (err)
			return err;
		region->nr++;
		region->ends = ktramp_insn_ends_flow(&insn);
		end += len;
	}

	for (at = site->off; at < end; at += insn.len) {
		if (at > site->off && func->code[at] == INT3)
			break;
		if (decode_at(func, at, &insn) < 0)
			break;
		if (returns_into_region(site, &insn, at, end))
			return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_REGION,
					     "+0x%x would come back into the displaced bytes", at);
	}
	region->len = end - site->off;
	return plan_branches(site, r);
}

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

/**
 * ktramp_synthesize_region() - write a displaced region and the jump behind it
 * @e: where to
 * @site: the site
 * @region: its region; @copied is filled in
 *
 * Return: 0, or @e->err.
 */
int ktramp_synthesize_region(struct ktramp_emit *e, const struct ktramp_site *site,
			     struct ktramp_region *region)
{
	u32 at = site->off, start = e->len;
	struct ktramp_insn insn;
	unsigned int i;

	for (i = 0; i < region->nr; i++) {
		int len = decode_at(&site->func, at, &insn);

		if (len < 0)
			return -EILSEQ;
		ktramp_synthesize_insn(e, &insn, site->func.code + at, site->func.addr + at);
		at += len;
	}
	region->copied = e->len - start;
	if (!region->ends)
		ktramp_emit_jmp(e, site->addr + region->len);
	return e->err;
}
