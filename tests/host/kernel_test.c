// SPDX-License-Identifier: GPL-2.0-only
/*
 * The planner over whole kernels: a jump at every instruction of their text, and what
 * Zydis reads of each. Where one is planned,
 *
 *	the region is whole instructions, at least as long as the jump;
 *	nothing comes into the jump but at an int3 of it that leads to the copy of what was
 *	there: no direct branch, jump label, exception fixup, displaced call's return;
 *	the jump is one instruction and goes to the detour;
 *	the copy does what the originals did: the same instructions, operands and targets,
 *	the original return addresses pushed; and goes on behind the region;
 *	a springboard is in padding behind a function's end, which nothing comes to, nobody
 *	rewrites and no prefix of a function has; the short jump leads there.
 *
 * Usage: kernel_test [-n STEP] VMLINUX=TEXT...
 *
 *	-n	plan at each STEP-th function only [1]
 *	TEXT	the directory of qemu/text
 *
 * Prints TAP, with what the planner said of all of them as comments.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../module/plan/plan.h"
#include "kernel.h"

/* Where detours are: in a module. Some bytes in front of the copy stand for the handler. */
#define DETOURS		0xffffffffc0400000ULL
#define HANDLER_LEN	33

/* How far a short branch leads. */
#define REACH		128

/*
 * In front of each function, if any has such nops: CONFIG_FUNCTION_PADDING_BYTES, which a
 * symbol covers if the compiler made them.
 */
#define ROOM_IN_FRONT	16

/* Complaints of one kernel that are printed. */
#define SHOWN		20

/* Of what may be planned for at all, on any kernel that Debian ships. */
#define COVERAGE_MIN	95.0

#define NR_REASONS	64
#define NR_TACTICS	16

struct decoded {
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	const u8 *bytes;
	u64 addr;
};

/**
 * struct tally - what came of one kernel
 * @insns: places that were asked about
 * @tactic: jumps, by &enum ktramp_tactic
 * @reason: refusals, by &enum ktramp_reason
 * @copies: single instructions whose copy was read, refused as a region or not
 * @chance: refusals for a branch into the jump that Zydis sees none of
 * @wrong: complaints
 */
struct tally {
	u64 insns;
	u64 tactic[NR_TACTICS];
	u64 reason[NR_REASONS];
	u64 copies;
	u64 chance;
	u64 wrong;
};

static struct kernel kernel;
static struct tally tally;
static u64 site_addr;
static unsigned int test_nr;
static bool failed;

static bool wrong(const char *what)
{
	if (tally.wrong++ < SHOWN)
		printf("# %#llx: %s\n", (unsigned long long)site_addr, what);
	return false;
}

#define REQUIRE(condition, what)	do { if (!(condition)) return wrong(what); } while (0)

static bool decode(struct decoded *d, const u8 *bytes, size_t len, u64 addr)
{
	d->bytes = bytes;
	d->addr = addr;
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&kernel_decoder, bytes, len, &d->insn, d->op));
}

static bool is_relative(const struct decoded *d)
{
	return d->op[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && d->op[0].imm.is_relative;
}

static u64 target(const struct decoded *d)
{
	ZyanU64 to = 0;

	ZydisCalcAbsoluteAddress(&d->insn, &d->op[0], d->addr, &to);
	return to;
}

static bool goes_to(const struct decoded *d, ZydisMnemonic mnemonic, u64 to)
{
	return d->insn.mnemonic == mnemonic && is_relative(d) && target(d) == to;
}

/* The address of the RIP-relative operand, or 0. */
static u64 rip_operand(const struct decoded *d)
{
	ZyanU64 to = 0;

	for (unsigned int i = 0; i < d->insn.operand_count; i++)
		if (d->op[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
		    d->op[i].mem.base == ZYDIS_REGISTER_RIP)
			ZydisCalcAbsoluteAddress(&d->insn, &d->op[i], d->addr, &to);
	return to;
}

/* The same bytes, but for a RIP-relative displacement, which leads to the same address. */
static bool is_same(const struct decoded *a, const struct decoded *b)
{
	u8 x[ZYDIS_MAX_INSTRUCTION_LENGTH], y[ZYDIS_MAX_INSTRUCTION_LENGTH];
	u64 operand = rip_operand(a);

	if (a->insn.length != b->insn.length || operand != rip_operand(b))
		return false;
	memcpy(x, a->bytes, a->insn.length);
	memcpy(y, b->bytes, b->insn.length);
	if (operand) {
		memset(x + a->insn.raw.disp.offset, 0, 4);
		memset(y + b->insn.raw.disp.offset, 0, 4);
	}
	return !memcmp(x, y, a->insn.length);
}

/* Does a jump read the operand that a call does? Both are ff, /4 and /2. */
static bool is_same_through(const struct decoded *call, const struct decoded *jmp)
{
	u8 as_call[ZYDIS_MAX_INSTRUCTION_LENGTH];
	struct decoded d;
	u8 at = jmp->insn.raw.modrm.offset;

	if (jmp->insn.mnemonic != ZYDIS_MNEMONIC_JMP || is_relative(jmp))
		return false;
	memcpy(as_call, jmp->bytes, jmp->insn.length);
	as_call[at] = (as_call[at] & ~0x38) | 2 << 3;
	return decode(&d, as_call, jmp->insn.length, jmp->addr) && is_same(call, &d);
}

/* A copy that is being read. */
struct reader {
	const u8 *bytes;
	u32 len, at;
	u64 addr;
};

static bool next(struct reader *r, struct decoded *d)
{
	if (!decode(d, r->bytes + r->at, r->len - r->at, r->addr + r->at))
		return false;
	r->at += d->insn.length;
	return true;
}

static bool is_pushed(struct reader *r, u64 value)
{
	struct decoded push;

	return next(r, &push) && push.insn.mnemonic == ZYDIS_MNEMONIC_PUSH &&
	       push.op[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
	       push.op[0].imm.value.u == value && push.insn.operand_width == 64;
}

/* loop +2; jmp past the next; jmp target */
static bool is_loop_copy(struct reader *r, const struct decoded *from)
{
	struct decoded loop, skip, jmp;

	return next(r, &loop) && next(r, &skip) && next(r, &jmp) &&
	       loop.insn.mnemonic == from->insn.mnemonic &&
	       loop.insn.address_width == from->insn.address_width &&
	       goes_to(&loop, from->insn.mnemonic, jmp.addr) &&
	       goes_to(&skip, ZYDIS_MNEMONIC_JMP, r->addr + r->at) &&
	       goes_to(&jmp, ZYDIS_MNEMONIC_JMP, target(from));
}

/* Does what is read next do what @from does? */
static bool is_copy(struct reader *r, const struct decoded *from)
{
	struct decoded d;

	switch (from->insn.mnemonic) {
	case ZYDIS_MNEMONIC_CALL:
		if (!is_pushed(r, from->addr + from->insn.length) || !next(r, &d))
			return false;
		return is_relative(from) ? goes_to(&d, ZYDIS_MNEMONIC_JMP, target(from)) :
					   is_same_through(from, &d);
	case ZYDIS_MNEMONIC_LOOP:
	case ZYDIS_MNEMONIC_LOOPE:
	case ZYDIS_MNEMONIC_LOOPNE:
	case ZYDIS_MNEMONIC_JRCXZ:
	case ZYDIS_MNEMONIC_JECXZ:
		return is_loop_copy(r, from);
	default:
		if (!next(r, &d))
			return false;
		return is_relative(from) ? goes_to(&d, from->insn.mnemonic, target(from)) :
					   is_same(from, &d);
	}
}

static bool never_falls_through(const struct decoded *d)
{
	return d->insn.mnemonic == ZYDIS_MNEMONIC_JMP || d->insn.mnemonic == ZYDIS_MNEMONIC_RET;
}

static const struct ktramp_pin *pin_at(const struct ktramp_region *region, u32 at)
{
	for (unsigned int i = 0; i < region->nr_pins; i++)
		if (region->pin[i].at == at)
			return &region->pin[i];
	return NULL;
}

/* Control that comes to a byte of the jump must find an int3 there. */
static bool check_entry(const struct ktramp_region *region, u32 at)
{
	return !at || at >= region->jump || pin_at(region, at);
}

/* Bytes of the region that nothing falls into are no code. */
static bool check_padding(const struct ktramp_site *site, u32 at, u32 end)
{
	struct decoded d;

	for (; at < end; at += d.insn.length) {
		REQUIRE(decode(&d, site->func.code + site->off + at, end - at, site->addr + at),
			"no padding");
		REQUIRE(d.insn.mnemonic == ZYDIS_MNEMONIC_INT3 ||
			d.insn.mnemonic == ZYDIS_MNEMONIC_NOP, "code taken for padding");
	}
	return true;
}

/* The originals, one by one, beside their copy. */
static bool check_copy(const struct ktramp_site *site, const struct ktramp_region *region,
		       struct reader *r)
{
	const u8 *code = site->func.code + site->off;
	u32 start = r->at, end = 0, nr, left = site->func.size - site->off;
	const struct ktramp_pin *pin;
	struct decoded from;
	bool falls = true;

	for (nr = 0; nr < region->nr; nr++) {
		u32 at = region->at[nr];

		REQUIRE(falls ? at == end : at >= end, "an instruction is skipped");
		REQUIRE(falls || check_entry(region, at),
			"displaced code cannot be come to");
		if (!check_padding(site, end, at))
			return false;
		REQUIRE(decode(&from, code + at, left - at, site->addr + at),
			"no instruction is displaced");
		pin = pin_at(region, at);
		REQUIRE(!pin || pin->copy == r->at, "an int3 of the jump leads elsewhere");
		REQUIRE(is_copy(r, &from), "the copy is another instruction");
		end = at + from.insn.length;
		falls = !never_falls_through(&from);
		if (from.insn.mnemonic == ZYDIS_MNEMONIC_CALL)
			REQUIRE(check_entry(region, end),
				"a displaced call returns into the jump");
	}
	REQUIRE(r->at - start == region->copied, "the copy has another length");
	REQUIRE(region->ends == !falls, "wrong about where the code ends");
	if (falls) {
		REQUIRE(end == region->len, "the region is not whole instructions");
		REQUIRE(next(r, &from) && goes_to(&from, ZYDIS_MNEMONIC_JMP, site->addr + end),
			"does not go on behind the region");
	}
	REQUIRE(r->at == r->len, "code behind the end");
	return check_padding(site, end, region->len);
}

static bool check_jump(const struct ktramp_site *site, const struct ktramp_region *region,
		       u64 to)
{
	u8 bytes[KTRAMP_JUMP_MAX];
	struct ktramp_emit e = { .buf = bytes, .max = sizeof(bytes), .addr = site->addr };
	struct decoded jmp;

	ktramp_synthesize_jump(&e, region->jump, to);
	REQUIRE(!e.err && e.len == region->jump && region->len >= e.len, "the jump does not fit");
	REQUIRE(decode(&jmp, bytes, e.len, site->addr) && jmp.insn.length == e.len &&
		goes_to(&jmp, ZYDIS_MNEMONIC_JMP, to), "the jump goes elsewhere");
	for (u32 at = 1; at < e.len; at++) {
		REQUIRE(!kernel_bit(kernel.truth, site->addr + at - kernel.start) ||
			pin_at(region, at), "something comes into the jump");
		REQUIRE(!pin_at(region, at) || bytes[at] == 0xcc, "no int3 where one is wanted");
	}
	return true;
}

/* The function whose text has an address. */
static const struct kernel_func *func_at(u64 addr)
{
	size_t low = 0, high = kernel.nr_funcs;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (kernel.func[middle].addr <= addr)
			low = middle;
		else
			high = middle;
	}
	return &kernel.func[low];
}

static bool is_entered(const struct decoded *d)
{
	for (u32 n = 0; n < d->insn.length; n++)
		if (kernel_bit(kernel.truth, d->addr + n - kernel.start))
			return true;
	return false;
}

/* As never_falls_through(), of what is never displaced too. */
static bool ends_flow(const struct decoded *d)
{
	switch (d->insn.mnemonic) {
	case ZYDIS_MNEMONIC_IRETQ:
	case ZYDIS_MNEMONIC_SYSRET:
		return true;
	case ZYDIS_MNEMONIC_UD2:
		return !kernel_bit(kernel.warning, d->addr - kernel.start);
	default:
		return never_falls_through(d);
	}
}

/* The function read from its start: nothing falls into [@from, @to), which is nops and int3. */
static bool check_unused(const struct kernel_func *f, u64 from, u64 to)
{
	bool ended = false, filler;
	struct decoded d;

	for (u64 at = f->addr; at < to; at += d.insn.length) {
		const u8 *code = kernel.text + (at - kernel.start);
		u32 left = f->addr + f->size - at, unknown = kernel_unknown(code, left);

		ended &= !unknown;
		at += unknown;
		REQUIRE(decode(&d, code + unknown, left - unknown, at),
			"no instruction in front of the springboard");
		filler = d.insn.mnemonic == ZYDIS_MNEMONIC_INT3 ||
			 d.insn.mnemonic == ZYDIS_MNEMONIC_NOP;
		if (at + d.insn.length > from) {
			REQUIRE(filler, "a springboard in code");
			REQUIRE(ended, "something falls into the springboard");
			REQUIRE(!is_entered(&d), "something comes to the springboard");
		}
		if (!filler || is_entered(&d))
			ended = ends_flow(&d);
	}
	return true;
}

static bool check_springboard(const struct ktramp_site *site, const struct ktramp_region *region,
			      u64 detour)
{
	const u64 from = region->springboard, to = from + KTRAMP_JMP_SIZE;
	const struct kernel_func *f = func_at(from);
	u8 bytes[KTRAMP_JMP_SIZE];
	struct ktramp_emit e = { .buf = bytes, .max = sizeof(bytes), .addr = from };
	struct decoded jmp;
	u64 end = f->addr + f->size;

	REQUIRE(region->jump == 2 && !region->nr_pins, "a springboard for another jump");
	REQUIRE(from >= kernel.start && to <= end, "a springboard across a symbol");
	REQUIRE(!f->prefix && (!kernel.prefixed || f[1].prefix || to + ROOM_IN_FRONT <= end),
		"a springboard in front of a function");
	REQUIRE(to <= site->addr || from >= site->addr + region->len,
		"a springboard in the displaced region");
	for (u64 at = from; at < to; at++)
		REQUIRE(!kernel_bit(kernel.rewritten, at - kernel.start),
			"the kernel rewrites the springboard");
	ktramp_synthesize_jump(&e, KTRAMP_JMP_SIZE, detour);
	REQUIRE(!e.err && decode(&jmp, bytes, e.len, from) && jmp.insn.length == sizeof(bytes) &&
		goes_to(&jmp, ZYDIS_MNEMONIC_JMP, detour), "the springboard leads elsewhere");
	return check_unused(f, from, to);
}

/* Where the plan wants its detour, as slot.c finds it: somewhere in 64 KiB. */
static u64 place_detour(const struct ktramp_site *site, const struct ktramp_region *region)
{
	struct ktramp_place place = ktramp_plan_place(site, region);
	u64 wanted = place.from + place.want;

	return DETOURS + (place.mask ? (wanted - DETOURS) & 0xffff : site->addr & 0xfff0);
}

static bool check_region(const struct ktramp_site *site, struct ktramp_region *region)
{
	u64 detour = place_detour(site, region);
	u8 buf[256];
	struct ktramp_emit e = { .buf = buf, .max = sizeof(buf), .addr = detour };
	struct reader r;

	memset(buf, 0x90, HANDLER_LEN);
	e.len = HANDLER_LEN;
	for (u32 at = 0; at < region->len; at++)
		REQUIRE(!kernel_bit(kernel.rewritten, site->addr + at - kernel.start),
			"the kernel rewrites the region");
	REQUIRE(!ktramp_synthesize_region(&e, site, region), "the copy cannot be written");
	r = (struct reader){ .bytes = buf, .len = e.len, .at = HANDLER_LEN, .addr = detour };
	REQUIRE(!region->springboard == (region->tactic != KTRAMP_TACTIC_SPRINGBOARD),
		"a springboard by another name");
	if (!check_copy(site, region, &r))
		return false;
	if (!region->springboard)
		return check_jump(site, region, detour);
	return check_jump(site, region, region->springboard) &&
	       check_springboard(site, region, detour);
}

/* The site's instruction alone, as an int3 that is boosted has it. */
static void check_single(const struct ktramp_site *site)
{
	u8 buf[64];
	struct ktramp_emit e = { .buf = buf, .max = sizeof(buf), .addr = DETOURS };
	struct ktramp_refusal r = { 0 };
	struct decoded from;
	struct reader reader;

	if (ktramp_plan_copy(site, &r))
		return;
	tally.copies++;
	ktramp_synthesize_insn(&e, &site->insn, site->func.code + site->off, site->addr);
	reader = (struct reader){ .bytes = buf, .len = e.len, .addr = DETOURS };
	if (e.err || !decode(&from, site->func.code + site->off, site->insn.len, site->addr) ||
	    !is_copy(&reader, &from) || reader.at != e.len)
		wrong("the copy of one instruction is another");
}

/* Was it refused for a branch that is none? */
static bool is_chance(const struct ktramp_site *site)
{
	for (u32 at = 1; at < KTRAMP_JUMP_MAX && site->off + at < site->func.size; at++)
		if (kernel_bit(kernel.truth, site->addr + at - kernel.start))
			return false;
	return true;
}

/* Short branches of a function nearby; one that was compiled has none, and ends an object. */
static bool mark_from(struct ktramp_func *func, const struct kernel_func *near)
{
	const struct ktramp_func other = {
		.code = kernel.text + (near->addr - kernel.start), .addr = near->addr,
		.size = near->size,
	};

	if (near->prefix)
		return true;
	if (ktramp_func_ftrace(&other) >= 0)
		return false;
	ktramp_func_enter(func, other.code, other.addr, other.size);
	return true;
}

/* The marks that module/admit/context.c gives a function. */
static void mark(struct ktramp_func *func, size_t index)
{
	u64 from = func->addr - kernel.start;

	ktramp_func_scan(func, &kernel.thunks);
	for (u32 at = 0; at < func->size; at++) {
		if (at && kernel_bit(kernel.told, from + at))
			func->marks[at] |= KTRAMP_M_ENTER;
		if (kernel_bit(kernel.owned, from + at))
			func->marks[at] |= KTRAMP_M_OWNED;
		if (kernel_bit(kernel.fixup, from + at))
			func->marks[at] |= KTRAMP_M_FIXUP;
	}
	for (size_t i = index; i-- > 0 &&
	     func->addr - kernel.func[i].addr - kernel.func[i].size < REACH;)
		if (!mark_from(func, &kernel.func[i]))
			break;
	for (size_t i = index + 1; i < kernel.nr_funcs &&
	     kernel.func[i].addr - func->addr - func->size < REACH; i++)
		if (!mark_from(func, &kernel.func[i]))
			break;
}

/* A function with the planner's marks, which the caller frees. */
static bool read_func(struct ktramp_func *func, size_t index)
{
	const struct kernel_func *f = &kernel.func[index];

	/* Nobody probes nops in front of a function; module/admit/context.c has the limit. */
	if (!f->size || f->size > 1 << 20 || f->prefix)
		return false;
	*func = (struct ktramp_func){
		.code = kernel.text + (f->addr - kernel.start), .addr = f->addr, .size = f->size,
		.marks = malloc(f->size),
	};
	if (!func->marks)
		exit(1);
	mark(func, index);
	return true;
}

/* ---- gaps, as module/engine/gap.c finds them ---- */

/* Of each function where its padding begins, plus 1; 0 if nobody asked yet. */
static u32 *tails;

static u32 tail(size_t index)
{
	struct ktramp_func func;

	if (!tails[index] && read_func(&func, index)) {
		tails[index] = ktramp_func_tail(&func) + 1;
		free(func.marks);
	}
	return tails[index] ? tails[index] - 1 : kernel.func[index].size;
}

static void add_tail(struct ktramp_gaps *gaps, size_t index, u64 from, u64 to)
{
	const struct kernel_func *f = &kernel.func[index];
	u64 start = f->addr + tail(index), end = f->addr + f->size;

	if (kernel.prefixed && !f[1].prefix)
		end -= ROOM_IN_FRONT;
	if (start < from)
		start = from;
	if (end > to)
		end = to;
	if (start + KTRAMP_JMP_SIZE <= end && gaps->nr < KTRAMP_GAPS_MAX)
		gaps->gap[gaps->nr++] = (struct ktramp_gap){ start, (u32)(end - start) };
}

/* @index: of the function around the site */
static void find_gaps(struct ktramp_gaps *gaps, size_t index, u64 site)
{
	const u64 from = site + KTRAMP_JMP8_SIZE - KTRAMP_JMP8_BACK;
	const u64 to = site + KTRAMP_JMP8_SIZE + KTRAMP_JMP8_ON + KTRAMP_JMP_SIZE;

	gaps->nr = 0;
	while (index && kernel.func[index].addr > from)
		index--;
	for (; index < kernel.nr_funcs && kernel.func[index].addr < to; index++)
		add_tail(gaps, index, from, to);
}

/* Gaps are looked for only where they can be of use, as module/engine/create.c does. */
static bool plan(struct ktramp_site *site, size_t index, struct ktramp_region *region,
		 struct ktramp_refusal *r)
{
	static struct ktramp_gaps gaps;

	if (!ktramp_plan_region(site, region, r))
		return true;
	if (!ktramp_plan_may_spring(r))
		return false;
	find_gaps(&gaps, index, site->addr);
	site->gaps = &gaps;
	return gaps.nr && !ktramp_plan_region(site, region, r);
}

static void check_site(const struct ktramp_func *func, size_t index, u32 off)
{
	struct ktramp_region region;
	struct ktramp_refusal r = { 0 };
	struct ktramp_site site;

	site_addr = func->addr + off;
	tally.insns++;
	if (ktramp_plan_site(&site, func, off, &r)) {
		wrong("an instruction is refused as a site");
		return;
	}
	check_single(&site);
	if (plan(&site, index, &region, &r)) {
		if (region.tactic >= NR_TACTICS || !check_region(&site, &region))
			return;
		tally.tactic[region.tactic]++;
		return;
	}
	if (r.reason == KTRAMP_R_NONE || r.reason >= NR_REASONS || !r.why[0])
		wrong("refused without a reason");
	else
		tally.reason[r.reason]++;
	tally.chance += r.reason == KTRAMP_R_TARGETED && is_chance(&site);
}

static bool is_padding(const struct ktramp_func *func, u32 off)
{
	return func->code[off] == 0xcc;
}

static void check_func(size_t index)
{
	struct ktramp_func func;
	s32 entry;

	if (!read_func(&func, index))
		return;
	/* The call of ftrace, which is asked to use it itself. */
	entry = ktramp_func_ftrace(&func);
	if (entry >= 0 && (func.marks[entry] & KTRAMP_M_OWNED))
		entry = -1;
	if (entry >= 0)
		func.marks[entry] |= KTRAMP_M_OWNED;
	for (u32 off = 0; off < func.known; off++) {
		if (!(func.marks[off] & KTRAMP_M_START) || is_padding(&func, off))
			continue;
		if ((s32)off == entry) {
			tally.insns++;
			tally.tactic[KTRAMP_TACTIC_FTRACE]++;
		} else {
			check_site(&func, index, off);
		}
	}
	free(func.marks);
}

static const char *const tactics[] = {
	[KTRAMP_TACTIC_COPY] = "copy", [KTRAMP_TACTIC_REENCODE] = "reencode",
	[KTRAMP_TACTIC_PUN] = "pun", [KTRAMP_TACTIC_FTRACE] = "ftrace",
	[KTRAMP_TACTIC_SPRINGBOARD] = "springboard",
};

static const char *const reasons[] = {
	[KTRAMP_R_DECODE] = "not decoded",
	[KTRAMP_R_PATCHED] = "owned by a jump label or static call",
	[KTRAMP_R_TRAPS] = "traps itself", [KTRAMP_R_FAULTS] = "has an exception table entry",
	[KTRAMP_R_SHORT] = "too near the function's end", [KTRAMP_R_TARGETED] = "branched into",
	[KTRAMP_R_INDIRECT] = "the function jumps indirectly",
	[KTRAMP_R_REGION] = "cannot be displaced",
};

static void print_row(const char *const *names, size_t nr, unsigned int i, u64 count,
		      const char *what)
{
	if (!count)
		return;
	printf("#   %s ", what);
	if (i < nr && names[i])
		printf("%s", names[i]);
	else
		printf("%u", i);
	printf(": %llu (%.2f %%)\n", (unsigned long long)count, 100.0 * count / tally.insns);
}

/* Percent of all that a probe could be at: what traps or is the kernel's to patch is not. */
static double report(void)
{
	u64 jumps = 0, none = tally.reason[KTRAMP_R_TRAPS] + tally.reason[KTRAMP_R_PATCHED];

	printf("# %zu functions, %llu instructions, %llu copies of one read\n", kernel.nr_funcs,
	       (unsigned long long)tally.insns, (unsigned long long)tally.copies);
	for (unsigned int i = 0; i < NR_TACTICS; i++) {
		jumps += tally.tactic[i];
		print_row(tactics, sizeof(tactics) / sizeof(*tactics), i, tally.tactic[i],
			  "jump by");
	}
	for (unsigned int i = 0; i < NR_REASONS; i++)
		print_row(reasons, sizeof(reasons) / sizeof(*reasons), i, tally.reason[i],
			  "refused,");
	printf("#   %llu of those branched into are not, as Zydis sees it\n",
	       (unsigned long long)tally.chance);
	return tally.insns > none ? 100.0 * jumps / (tally.insns - none) : 0;
}

static void result(bool ok, const char *what, const char *path)
{
	printf("%s %u kernel_test: %s: %s\n", ok ? "ok" : "not ok", ++test_nr, what, path);
	fflush(stdout);
	failed |= !ok;
}

static void test_kernel(char *argument, unsigned int step)
{
	char *dir = strchr(argument, '=');
	double covered;

	if (!dir) {
		fprintf(stderr, "'%s': say VMLINUX=TEXT\n", argument);
		exit(2);
	}
	*dir++ = '\0';
	memset(&tally, 0, sizeof(tally));
	kernel_load(&kernel, argument, dir);
	tails = calloc(kernel.nr_funcs, sizeof(*tails));
	if (!tails)
		exit(1);
	for (size_t i = 0; i < kernel.nr_funcs; i += step)
		check_func(i);
	printf("# %s\n", dir);
	covered = report();
	printf("#   %.2f %% of those a probe could be at become jumps\n", covered);
	result(tally.insns > 10000 && tally.tactic[KTRAMP_TACTIC_SPRINGBOARD] && !tally.wrong,
	       "each plan is right", dir);
	result(covered >= COVERAGE_MIN, "nearly everything becomes a jump", dir);
	free(tails);
	kernel_drop(&kernel);
}

int main(int argc, char **argv)
{
	unsigned int step = 1;
	int opt;

	while ((opt = getopt(argc, argv, "n:")) != -1) {
		step = opt == 'n' ? (unsigned int)atoi(optarg) : 0;
		if (step < 1) {
			fprintf(stderr, "usage: %s [-n STEP] VMLINUX=TEXT...\n", argv[0]);
			return 2;
		}
	}
	printf("TAP version 13\n1..%d\n", 2 * (argc - optind));
	while (optind < argc)
		test_kernel(argv[optind++], step);
	return failed;
}
