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

#include "plan/plan.h"

#define INT3		0xcc
#define JMP32		0xe9
#define JMP8		0xeb

/* cs: ignored by jmp rel32 */
#define PREFIX		0x2e

static bool has_mark(const struct ktramp_func *func, u32 off, u8 mark)
{
	return func->marks[off] & mark;
}

/* The bytes from @off on cannot be told apart from something else. */
static int refuse_unknown(const struct ktramp_func *func, struct ktramp_refusal *r)
{
	if (func->code[func->known] == INT3)
		return ktramp_refuse(r, -EBUSY, KTRAMP_R_PATCHED,
				     "somebody else's breakpoint at +0x%x hides what follows it",
				     func->known);
	if (func->code[func->known] == JMP32)
		return ktramp_refuse(r, -EBUSY, KTRAMP_R_PATCHED,
				     "somebody else's jump at +0x%x hides what follows it",
				     func->known);
	return ktramp_refuse(r, -EILSEQ, KTRAMP_R_DECODE,
			     "bytes at +0x%x are no instruction known to ktramp", func->known);
}

/**
 * ktramp_plan_site() - decode a site and prove that an instruction starts there
 * @site: (out) the decoded site; keeps a reference to @func's code and marks
 * @func: the function around it, scanned
 * @off: offset of the site in @func
 * @r: (out) the refusal
 *
 * The function was decoded from its start, because x86 code read from the middle of an
 * instruction is other code.
 *
 * Return: 0, or -EILSEQ (%KTRAMP_R_BOUNDARY, %KTRAMP_R_DECODE), -EBUSY (%KTRAMP_R_PATCHED).
 */
int ktramp_plan_site(struct ktramp_site *site, const struct ktramp_func *func, u32 off,
		     struct ktramp_refusal *r)
{
	u32 at = off;

	if (off >= func->size)
		return ktramp_refuse(r, -EILSEQ, KTRAMP_R_BOUNDARY,
				     "offset 0x%x is behind the function's last byte", off);
	if (off >= func->known)
		return refuse_unknown(func, r);
	while (!has_mark(func, at, KTRAMP_M_START))
		at--;
	if (at != off)
		return ktramp_refuse(r, -EILSEQ, KTRAMP_R_BOUNDARY,
				     "+0x%x is inside the instruction at +0x%x", off, at);
	site->func = *func;
	site->gaps = NULL;
	site->off = off;
	site->addr = func->addr + off;
	ktramp_func_decode(func, off, &site->insn);
	return 0;
}

/* Can this one instruction run somewhere else, under any resume method? */
static int plan_insn(const struct ktramp_func *func, const struct ktramp_insn *insn, u32 off,
		     struct ktramp_refusal *r)
{
	if (insn->branch == KTRAMP_BR_TRAP || insn->branch == KTRAMP_BR_FAR)
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_TRAPS,
				     "the instruction at +0x%x traps or leaves the kernel", off);
	if (has_mark(func, off, KTRAMP_M_OWNED))
		return ktramp_refuse(r, -EBUSY, KTRAMP_R_PATCHED,
				     "a jump label, a static call or ftrace owns the bytes at +0x%x",
				     off);
	if (has_mark(func, off, KTRAMP_M_FIXUP))
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_FAULTS,
				     "a fault at +0x%x is expected there: it has an exception table entry",
				     off);
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

static bool is_sti(const struct ktramp_insn *insn)
{
	return insn->map == KTRAMP_MAP_1B && insn->opcode == 0xfb;
}

/**
 * ktramp_plan_waits() - does an instruction end only when an interrupt comes?
 * @insn: the instruction
 *
 * HLT, MWAIT and MWAITX do.
 */
bool ktramp_plan_waits(const struct ktramp_insn *insn)
{
	if (insn->map == KTRAMP_MAP_1B)
		return insn->opcode == 0xf4;
	return insn->map == KTRAMP_MAP_0F && insn->opcode == 0x01 &&
	       (insn->modrm == 0xc9 || insn->modrm == 0xfb);
}

static int refuse_shadow(u32 sti, struct ktramp_refusal *r)
{
	return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_REGION,
			     "sti at +0x%x must be followed by its hlt at once", sti);
}

/*
 * STI lets no interrupt in before the next instruction is done (SDM vol. 2, STI): with one
 * in between, the wake-up that HLT or MWAIT waits for could already be gone.
 */
static int plan_shadow(const struct ktramp_func *func, const struct ktramp_insn *insn, u32 off,
		       struct ktramp_refusal *r)
{
	u32 at = off + insn->len;
	struct ktramp_insn next;

	if (is_sti(insn) && at < func->size && ktramp_func_decode(func, at, &next) > 0 &&
	    ktramp_plan_waits(&next))
		return refuse_shadow(off, r);
	return 0;
}

/* The same from behind: what control leaves the text for comes between the two as well. */
static int plan_shadowed(const struct ktramp_site *site, struct ktramp_refusal *r)
{
	const struct ktramp_func *func = &site->func;
	struct ktramp_insn sti;
	u32 at = site->off;

	if (!ktramp_plan_waits(&site->insn) || !at)
		return 0;
	do
		at--;
	while (at && !has_mark(func, at, KTRAMP_M_START));
	if (ktramp_func_decode(func, at, &sti) > 0 && is_sti(&sti))
		return refuse_shadow(at, r);
	return 0;
}

/**
 * ktramp_plan_copy() - may the site's instruction run out of line?
 * @site: the site
 * @r: (out) the refusal
 *
 * Return: 0, -EOPNOTSUPP or -EBUSY with the reason.
 */
int ktramp_plan_copy(const struct ktramp_site *site, struct ktramp_refusal *r)
{
	return plan_insn(&site->func, &site->insn, site->off, r) ?:
	       plan_shadowed(site, r) ?:
	       plan_shadow(&site->func, &site->insn, site->off, r);
}

/* Nothing falls into these bytes; what else may come there is looked for later. */
static bool is_free(const struct ktramp_func *func, const struct ktramp_insn *insn, u32 off)
{
	return (func->code[off] == INT3 || (insn->attr & KTRAMP_A_NOP)) &&
	       !has_mark(func, off, KTRAMP_M_OWNED);
}

/* One more instruction of the region: may it run elsewhere, and does control go on behind it? */
static int displace_insn(const struct ktramp_site *site, const struct ktramp_insn *insn, u32 off,
			 bool last, struct ktramp_region *region, struct ktramp_refusal *r)
{
	int err = plan_insn(&site->func, insn, off, r);

	if (!err && last)
		err = plan_shadow(&site->func, insn, off, r);
	if (err)
		return err;
	region->nr++;
	region->ends = ktramp_insn_ends_flow(insn);
	if (ktramp_insn_is_rel(insn))
		region->tactic = KTRAMP_TACTIC_REENCODE;
	return 0;
}

/*
 * The whole instructions in the first @need bytes. Behind one that ends the flow, int3 and
 * nops are free to take. Other instructions there are reached by some branch: they are
 * displaced as well, and need a pin even if no branch to them is known.
 */
static int displace(const struct ktramp_site *site, u32 need, struct ktramp_region *region,
		    struct ktramp_refusal *r)
{
	const struct ktramp_func *func = &site->func;
	u32 end = site->off, stop = site->off + need;
	struct ktramp_insn insn;
	int err;

	memset(region, 0, sizeof(*region));
	region->jump = need;
	region->tactic = KTRAMP_TACTIC_COPY;
	for (; end < stop; end += insn.len) {
		if (end >= func->size)
			return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_SHORT,
					     "only %u bytes are left in the function, a jump needs %u",
					     func->size - site->off, need);
		if (end >= func->known)
			return refuse_unknown(func, r);
		ktramp_func_decode(func, end, &insn);
		if (region->ends && is_free(func, &insn, end)) {
			region->tactic = KTRAMP_TACTIC_REENCODE;
			continue;
		}
		if (region->ends)
			region->entered |= 1U << (end - site->off);
		region->at[region->nr] = end - site->off;
		err = displace_insn(site, &insn, end, end + insn.len >= stop, region, r);
		if (err)
			return err;
	}
	region->len = end - site->off;
	return 0;
}

/* Is offset @k of the region where a displaced call returns to, the original way? */
static bool is_returned_to(const struct ktramp_site *site, const struct ktramp_region *region,
			   u32 k)
{
	struct ktramp_insn insn;
	unsigned int i;

	for (i = 0; i < region->nr; i++) {
		ktramp_func_decode(&site->func, site->off + region->at[i], &insn);
		if (region->at[i] + insn.len == k)
			return insn.branch == KTRAMP_BR_CALL || insn.branch == KTRAMP_BR_CALL_IND;
	}
	return false;
}

/* Was an instruction at offset @k of the region displaced? */
static bool is_displaced(const struct ktramp_region *region, u32 k)
{
	unsigned int i;

	for (i = 0; i < region->nr; i++)
		if (region->at[i] == k)
			return true;
	return false;
}

static int refuse_target(const struct ktramp_site *site, u32 k, struct ktramp_refusal *r)
{
	s64 source = ktramp_func_source(&site->func, site->off + k);

	if (source >= 0)
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_TARGETED,
				     "the branch at +0x%x goes to +0x%x, inside the jump",
				     (u32)source, site->off + k);
	return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_TARGETED,
			     "something outside the function's straight code goes to +0x%x, inside the jump",
			     site->off + k);
}

/*
 * Where control may enter the jump behind its first byte, an int3 must stand, and what
 * stood there must be an instruction that was displaced.
 */
static int plan_pins(const struct ktramp_site *site, struct ktramp_region *region,
		     struct ktramp_refusal *r)
{
	/* Negative for a short jump, in which no int3 can stand. */
	const s32 disp = (s32)region->jump - 4;
	s32 k;

	for (k = 1; k < (s32)region->jump; k++) {
		if (!has_mark(&site->func, site->off + k, KTRAMP_M_ENTER) &&
		    !(region->entered & (1U << k)) && !is_returned_to(site, region, k))
			continue;
		if (k < disp || k >= disp + KTRAMP_PINS_MAX || !is_displaced(region, k))
			return refuse_target(site, k, r);
		region->pin[region->nr_pins++].at = k;
		region->tactic = KTRAMP_TACTIC_PUN;
	}
	return 0;
}

/* An indirect jump may lead to any instruction, but into none. */
static int plan_indirect(const struct ktramp_site *site, const struct ktramp_region *region,
			 struct ktramp_refusal *r)
{
	if (site->func.indirect < 0 || region->len == site->insn.len)
		return 0;
	return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_INDIRECT,
			     "the indirect jump at +0x%x may enter the region",
			     (u32)site->func.indirect);
}

/* The region of a jump of @len bytes, and what enters it. */
static int plan_jump(const struct ktramp_site *site, u32 len, struct ktramp_region *region,
		     struct ktramp_refusal *r)
{
	return plan_shadowed(site, r) ?: displace(site, len, region, r) ?:
	       plan_indirect(site, region, r) ?: plan_pins(site, region, r);
}

/* The lowest address in a gap for a jump that a short jump at the site reaches, or 0. */
static u64 place_springboard(const struct ktramp_site *site, const struct ktramp_region *region,
			     const struct ktramp_gap *gap)
{
	u64 from = site->addr + KTRAMP_JMP8_SIZE;
	u64 addr = gap->addr;

	if (addr < from - KTRAMP_JMP8_BACK)
		addr = from - KTRAMP_JMP8_BACK;
	/* The region may have taken the gap's first bytes itself. */
	if (addr < site->addr + region->len && addr + KTRAMP_JMP_SIZE > site->addr)
		addr = site->addr + region->len;
	if (addr + KTRAMP_JMP_SIZE > gap->addr + gap->len || addr > from + KTRAMP_JMP8_ON)
		return 0;
	return addr;
}

/*
 * A jump of 2 bytes to one of 5 in the padding between functions: it displaces less, so that
 * less can be in its way. As e9patch's tactic T3 does with code that it displaces for it
 * (Duck et al., PLDI 2020).
 */
static int plan_springboard(const struct ktramp_site *site, struct ktramp_region *region,
			    struct ktramp_refusal *r)
{
	unsigned int i;
	int err;

	err = plan_jump(site, KTRAMP_JMP8_SIZE, region, r);
	if (err)
		return err;
	region->tactic = KTRAMP_TACTIC_SPRINGBOARD;
	for (i = 0; i < site->gaps->nr && !region->springboard; i++)
		region->springboard = place_springboard(site, region, &site->gaps->gap[i]);
	if (region->springboard)
		return 0;
	return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_SHORT, "no padding is within reach");
}

/**
 * ktramp_plan_may_spring() - could a springboard serve what was refused?
 * @r: the refusal of a site without gaps
 *
 * Return: false if the reason is one that gaps do not change.
 */
bool ktramp_plan_may_spring(const struct ktramp_refusal *r)
{
	switch (r->reason) {
	case KTRAMP_R_SHORT:
	case KTRAMP_R_TARGETED:
	case KTRAMP_R_INDIRECT:
	case KTRAMP_R_PATCHED:
	case KTRAMP_R_TRAPS:
	case KTRAMP_R_FAULTS:
	case KTRAMP_R_REGION:
		return true;
	default:
		return false;
	}
}

/* What an earlier tactic was refused for is no refusal. */
static int planned(struct ktramp_refusal *r)
{
	r->reason = KTRAMP_R_NONE;
	r->why[0] = '\0';
	return 0;
}

/**
 * ktramp_plan_region() - find the displaced region of a jump at a site
 * @site: the site
 * @region: (out) the region, and how the jump over it must look
 * @r: (out) the refusal
 *
 * Where something else enters the bytes of the jump, the displacement must have a 0xcc
 * there, which the breakpoint handler serves with the displaced instruction's copy: "pins",
 * after instruction punning (Chamith et al., PLDI 2017). Only the two low bytes of a
 * displacement can be chosen; prefixes move them to where they are wanted. What has no region
 * of 5 bytes, but gaps around it, may have a springboard.
 *
 * Return: 0, or -EOPNOTSUPP, -EBUSY, -EILSEQ with the reason.
 */
int ktramp_plan_region(const struct ktramp_site *site, struct ktramp_region *region,
		       struct ktramp_refusal *r)
{
	struct ktramp_refusal later;
	u32 prefixes;
	int err;

	if (site->func.known < site->func.size)
		return refuse_unknown(&site->func, r);
	err = plan_jump(site, KTRAMP_JMP_SIZE, region, r);
	if (!err)
		return 0;
	prefixes = r->reason == KTRAMP_R_TARGETED ? 1 : KTRAMP_PREFIXES_MAX + 1;
	for (; prefixes <= KTRAMP_PREFIXES_MAX; prefixes++)
		if (!plan_jump(site, KTRAMP_JMP_SIZE + prefixes, region, &later))
			return planned(r);
	if (site->gaps && !plan_springboard(site, region, &later))
		return planned(r);
	return err;
}

/* Where the detour of a region must be for the jump to have its 0xcc bytes. */
struct ktramp_place ktramp_plan_place(const struct ktramp_site *site,
				      const struct ktramp_region *region)
{
	struct ktramp_place place = { .from = site->addr + region->jump };
	unsigned int i, shift;

	for (i = 0; i < region->nr_pins; i++) {
		shift = 8 * (region->pin[i].at - (region->jump - 4));
		place.mask |= 0xffU << shift;
		place.want |= (u32)INT3 << shift;
	}
	return place;
}

/**
 * ktramp_synthesize_region() - write a displaced region and the jump behind it
 * @e: where to
 * @site: the site
 * @region: its region; @copied and the pins' @copy are filled in
 *
 * Return: 0, or @e->err.
 */
int ktramp_synthesize_region(struct ktramp_emit *e, const struct ktramp_site *site,
			     struct ktramp_region *region)
{
	u32 start = e->len;
	struct ktramp_insn insn;
	unsigned int i, j;

	for (i = 0; i < region->nr; i++) {
		u32 at = site->off + region->at[i];

		if (ktramp_func_decode(&site->func, at, &insn) < 0)
			return -EILSEQ;
		for (j = 0; j < region->nr_pins; j++)
			if (region->at[i] == region->pin[j].at)
				region->pin[j].copy = e->len;
		ktramp_synthesize_insn(e, &insn, site->func.code + at, site->func.addr + at);
	}
	region->copied = e->len - start;
	if (!region->ends)
		ktramp_emit_jmp(e, site->addr + region->len);
	return e->err;
}

/**
 * ktramp_synthesize_jump() - write the jump itself, prefixed to a length
 * @e: where to
 * @len: bytes: at least %KTRAMP_JMP_SIZE, or %KTRAMP_JMP8_SIZE
 * @target: where it goes: of a short jump within its reach, as planned
 */
void ktramp_synthesize_jump(struct ktramp_emit *e, unsigned int len, u64 target)
{
	if (len == KTRAMP_JMP8_SIZE) {
		ktramp_emit(e, JMP8, target - (e->addr + e->len + KTRAMP_JMP8_SIZE));
		return;
	}
	for (; len > KTRAMP_JMP_SIZE; len--)
		ktramp_emit(e, PREFIX);
	ktramp_emit_jmp(e, target);
}
