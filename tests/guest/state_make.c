// SPDX-License-Identifier: GPL-2.0-only
/*
 * Code and states of which an instruction can be executed in the kernel: register numbers,
 * displacements and immediates are drawn, and the registers it addresses memory by are what
 * leads to the case's own memory; now and then to where there is none.
 */
#include <string.h>

#include "state.h"

#define FIXED	0x2
#define ARITH	0x8d5
#define IF	0x200
#define DF	0x400
#define AC	0x40000
#define ID	0x200000

#define PADDING	8	/* bytes behind the instruction that a jump may need */

/* Where in the data a fixed operand lies: its neighbours on both sides are the case's too. */
#define OPERAND_FROM	128
#define OPERAND_SPAN	192

static bool is_1b(const struct ktramp_insn *insn, uint8_t opcode)
{
	return insn->map == KTRAMP_MAP_1B && insn->opcode == opcode && insn_is_legacy(insn);
}

static bool is_group(const struct ktramp_insn *insn, uint8_t opcode, unsigned int reg)
{
	return is_1b(insn, opcode) && (insn->modrm >> 3 & 7) == reg;
}

/* A bit number in a register may reach far from the operand. */
static bool is_bit_string(const struct ktramp_insn *insn)
{
	return insn->map == KTRAMP_MAP_0F && insn_is_legacy(insn) && insn_has_memory(insn) &&
	       (insn->opcode == 0xa3 || insn->opcode == 0xab || insn->opcode == 0xb3 ||
		insn->opcode == 0xbb);
}

static bool is_endbr64(const struct ktramp_insn *insn)
{
	return insn->map == KTRAMP_MAP_0F && insn->opcode == 0x1e && insn->modrm == 0xfa;
}

static bool is_string(const struct ktramp_insn *insn)
{
	return insn->map == KTRAMP_MAP_1B && insn_is_legacy(insn) &&
	       ((insn->opcode >= 0xa4 && insn->opcode <= 0xa7) ||
		(insn->opcode >= 0xaa && insn->opcode <= 0xaf));
}

static bool is_moffs(const struct ktramp_insn *insn)
{
	return insn->map == KTRAMP_MAP_1B && insn_is_legacy(insn) && insn->opcode >= 0xa0 &&
	       insn->opcode <= 0xa3;
}

static bool is_division(const struct ktramp_insn *insn)
{
	return (is_1b(insn, 0xf6) || is_1b(insn, 0xf7)) && (insn->modrm >> 3 & 7) >= 6;
}

/* Does it access what its operand names? lea, nop and prefetch do not. */
static bool accesses(const struct ktramp_insn *insn)
{
	return insn_has_memory(insn) && (insn->attr & (KTRAMP_A_MEM_READ | KTRAMP_A_MEM_WRITE));
}

static bool has_base(const struct ktramp_insn *insn)
{
	if (!insn_has_memory(insn) || (insn->attr & KTRAMP_A_RIPREL))
		return false;
	return !insn->has_sib || (insn->sib & 7) != 5 || insn->modrm >> 6;
}

static unsigned int base_of(const struct ktramp_insn *insn)
{
	return ((insn->has_sib ? insn->sib : insn->modrm) & 7) | (insn->rex & 1) << 3;
}

static bool has_index(const struct ktramp_insn *insn)
{
	return insn->has_sib && ((insn->sib & 0x38) != 0x20 || (insn->rex & 2));
}

static unsigned int index_of(const struct ktramp_insn *insn)
{
	return (insn->sib >> 3 & 7) | (insn->rex & 2) << 2;
}

static bool pushes(const struct ktramp_insn *insn)
{
	if (insn->branch == KTRAMP_BR_CALL || insn->branch == KTRAMP_BR_CALL_IND)
		return true;
	if (insn->map == KTRAMP_MAP_0F)
		return insn->opcode == 0xa0 || insn->opcode == 0xa8;
	return insn->map == KTRAMP_MAP_1B &&
	       ((insn->opcode >= 0x50 && insn->opcode <= 0x57) || insn->opcode == 0x68 ||
		insn->opcode == 0x6a || insn->opcode == 0x9c || is_group(insn, 0xff, 6));
}

/* ---- code ---- */

/* Nops as the kernel writes them: few instructions, so that functions are read fast. */
void code_fill(uint8_t *bytes, unsigned int length)
{
	static const uint8_t nops[9][8] = {
		[1] = { 0x90 }, [2] = { 0x66, 0x90 }, [3] = { 0x0f, 0x1f, 0x00 },
		[4] = { 0x0f, 0x1f, 0x40 }, [5] = { 0x0f, 0x1f, 0x44 },
		[6] = { 0x66, 0x0f, 0x1f, 0x44 }, [7] = { 0x0f, 0x1f, 0x80 },
		[8] = { 0x0f, 0x1f, 0x84 },
	};
	unsigned int n;

	for (; length; bytes += n, length -= n) {
		n = length < 8 ? length : 8;
		memcpy(bytes, nops[n], n);
	}
}

/* Cells of nops. Padding, behind the jump that ends it, is nops as well, or int3. */
void code_fill_text(uint8_t text[STATE_TEXT_SIZE])
{
	static const uint8_t jump_to_itself[] = { 0xeb, 0xfe };

	code_fill(text, STATE_TEXT_SIZE);
	for (unsigned int i = 0; i <= STATE_FUNCS; i++) {
		uint8_t *padding = text + i * STATE_STRIDE;

		memcpy(padding, jump_to_itself, sizeof(jump_to_itself));
		padding += sizeof(jump_to_itself);
		if (i & 1)
			memset(padding, 0xcc, STATE_PADDING_SIZE - sizeof(jump_to_itself));
		else
			code_fill(padding, STATE_PADDING_SIZE - sizeof(jump_to_itself));
	}
}

static void put_number(uint8_t *at, int64_t number, unsigned int length)
{
	memcpy(at, &number, length);
}

/* Other registers in ModRM, SIB and REX; what they would change in the form is undone. */
static void draw_registers(struct rng *rng, const struct ktramp_insn *insn, uint8_t *bytes)
{
	uint64_t r = rng_next(rng);

	if (insn->has_modrm && (r & 7))
		bytes[insn->modrm_off] = (bytes[insn->modrm_off] & 0xc0) | (r >> 8 & 0x3f);
	if (insn->has_modrm && insn->has_sib) {
		bytes[insn->modrm_off] = (bytes[insn->modrm_off] & 0xf8) | (insn->modrm & 7);
		bytes[insn->modrm_off + 1] = r >> 16;
	}
	if (insn->rex && insn_is_legacy(insn) && insn->opcode_off)
		for (unsigned int i = 0; i < insn->opcode_off; i++)
			if (bytes[i] == insn->rex)
				bytes[i] = (bytes[i] & 0xf8) | (r >> 24 & 7);
	if (!insn->has_modrm)
		bytes[insn->opcode_off] ^= r >> 32 & 7;
}

static void draw_numbers(struct rng *rng, const struct ktramp_insn *insn, uint8_t *bytes)
{
	int64_t number = rng_next(rng) >> rng_below(rng, 64);

	if (rng_below(rng, 2))
		number = -number;
	if (insn->imm_len)
		put_number(bytes + insn->imm_off, number, insn->imm_len);
	number = rng_next(rng);
	if (insn->disp_len)
		put_number(bytes + insn->disp_off, number, insn->disp_len > 4 ? 4 : insn->disp_len);
}

/* A random instruction of the form; the one that was met if it has to be. */
static void draw_insn(struct rng *rng, const struct form *form, struct ktramp_insn *insn,
		      uint8_t *bytes)
{
	struct ktramp_insn first;

	ktramp_insn_decode(&first, form->bytes, form->length);
	for (int tries = 0; tries < 200; tries++) {
		memcpy(bytes, form->bytes, form->length);
		draw_registers(rng, &first, bytes);
		draw_numbers(rng, &first, bytes);
		if (ktramp_insn_decode(insn, bytes, form->length) == form->length &&
		    form_key(insn, bytes) == form->key && form_exclusion(insn, bytes) == RUN &&
		    (insn_is_legacy(insn) || !(insn->regs_written & 1U << RSP)) &&
		    !(is_bit_string(insn) &&
		      ((has_base(insn) && base_of(insn) == insn_reg(insn)) ||
		       (has_index(insn) && index_of(insn) == insn_reg(insn)))))
			return;
	}
	memcpy(bytes, form->bytes, form->length);
	*insn = first;
}

static uint64_t draw_stack(struct rng *rng, const struct state_info *where)
{
	return where->stack + STATE_STACK_SIZE / 2 + 8 * rng_below(rng, 8);
}

static uint64_t draw_operand(struct rng *rng, const struct state_info *where,
			     const struct ktramp_insn *insn)
{
	uint64_t at;

	/* In GS's segment: an offset. */
	if (insn->prefix & KTRAMP_P_GS)
		return where->percpu + 8 + 8 * rng_below(rng, 8);
	at = where->data + OPERAND_FROM + rng_below(rng, OPERAND_SPAN);
	/* Addresses need one whole word; vectors are mostly aligned. */
	if (insn->branch != KTRAMP_BR_NONE || form_sets_rsp(insn))
		return at & ~7ULL;
	if (insn->attr & KTRAMP_A_VECTOR)
		return rng_below(rng, 8) ? at & ~31ULL : at;
	return rng_below(rng, 4) ? at & ~15ULL : at;
}

/* What may be added to a stack pointer, or what it may be rounded to. */
static int64_t draw_rsp_operand(struct rng *rng, const struct ktramp_insn *insn)
{
	if (is_group(insn, 0x81, 4) || is_group(insn, 0x83, 4))
		return -(8LL << rng_below(rng, 4));
	return 8 * (int64_t)rng_below(rng, 8) - 32;
}

/* Operands whose address the instruction itself holds. */
static void fix_operand(struct rng *rng, const struct state_info *where, struct code *code)
{
	const struct ktramp_insn *insn = &code->insn;
	uint8_t *disp = code->bytes + code->at + insn->disp_off;
	uint8_t *imm = code->bytes + code->at + insn->imm_off;
	uint64_t next = code->address + code->at + insn->len;

	code->operand = 0;
	if (is_moffs(insn)) {
		code->operand = draw_operand(rng, where, insn);
		put_number(insn->disp_len ? disp : imm, code->operand, 8);
	} else if (insn->attr & KTRAMP_A_RIPREL) {
		/* lea of a stack pointer is the odd one. */
		code->operand = form_sets_rsp(insn) && !accesses(insn) ? draw_stack(rng, where) :
				draw_operand(rng, where, insn);
		put_number(disp, code->operand - next, 4);
	} else if (insn_has_memory(insn) && !has_base(insn) && !has_index(insn)) {
		code->operand = draw_operand(rng, where, insn);
		put_number(disp, code->operand, 4);
	} else if (accesses(insn) && base_of(insn) == RSP && has_base(insn) && insn->disp_len) {
		put_number(disp, 8 * rng_below(rng, 12), insn->disp_len);
	} else if (form_sets_rsp(insn) && insn_has_memory(insn) && !accesses(insn) &&
		   insn->disp_len) {
		/* lea */
		put_number(disp, draw_rsp_operand(rng, insn), insn->disp_len);
	}
}

/* Immediates that decide where control or the stack pointer goes. */
static void fix_immediate(struct rng *rng, const struct state_info *where, struct code *code,
			  unsigned int pad)
{
	const struct ktramp_insn *insn = &code->insn;
	uint8_t *imm = code->bytes + code->at + insn->imm_off;
	uint64_t next = code->address + code->at + insn->len;
	uint64_t to = code->address + pad;

	if (ktramp_insn_is_rel(insn)) {
		if (insn->branch == KTRAMP_BR_CALL && rng_below(rng, 2))
			to = where->back;
		else if (insn->imm_len == 4 && rng_below(rng, 2))
			to = where->taken;
		put_number(imm, to - next, insn->imm_len);
	} else if (insn->branch == KTRAMP_BR_RET && insn->imm_len) {
		put_number(imm, 8 * rng_below(rng, 8), insn->imm_len);
	} else if (form_sets_rsp(insn) && insn->imm_len) {
		put_number(imm, draw_rsp_operand(rng, insn), insn->imm_len);
	}
}

static void put_jump(struct code *code, unsigned int *end, uint64_t to)
{
	code->bytes[*end] = 0xe9;
	put_number(code->bytes + *end + 1, to - (code->address + *end + 5), 4);
	*end += 5;
}

/*
 * C code has DF and AC clear wherever it calls, and ktramp takes them for clear in a
 * function that has nothing to set them. These are never executed.
 */
static void put_odd(struct code *code, unsigned int *end)
{
	static const uint8_t std_stac[] = { 0xfd, 0x0f, 0x01, 0xcb };

	memcpy(code->bytes + *end, std_stac, sizeof(std_stac));
	*end += sizeof(std_stac);
}

static void put_simple(struct rng *rng, const struct forms *forms, struct code *code,
		       unsigned int *end)
{
	const struct form *form;
	struct ktramp_insn insn;

	if (!forms) {
		code_fill(code->bytes + *end, 1);
		*end += 1;
		return;
	}
	form = &forms->v[forms->simple[rng_below(rng, forms->nr_simple)]];
	draw_insn(rng, form, &insn, code->bytes + *end);
	*end += insn.len;
}

static void put_lead(struct rng *rng, struct code *code, unsigned int *end)
{
	static const uint8_t leads[][4] = {
		{ 1, 0x90 }, { 1, 0xf5 }, { 1, 0xf8 }, { 1, 0xf9 }, { 2, 0x66, 0x90 },
		{ 3, 0x0f, 0x1f, 0x00 },
	};
	/* A jump of 2 bytes displaces what is behind the first ones only. */
	const uint8_t *lead = leads[rng_below(rng, code->shape == SPRUNG ? 4 : 6)];

	memcpy(code->bytes + *end, lead + 1, lead[0]);
	*end += lead[0];
}

/* An instruction's start in the bytes a jump would take, for something else to go to. */
static unsigned int pick_entry(struct rng *rng, const struct code *code, unsigned int end)
{
	unsigned int starts[PADDING], nr = 0, at = code->at;
	struct ktramp_insn insn;

	while (at < end && ktramp_insn_decode(&insn, code->bytes + at, end - at) > 0) {
		at += insn.len;
		if (at > code->site && at - code->site < PADDING && at < end)
			starts[nr++] = at;
	}
	return nr ? starts[rng_below(rng, nr)] : 0;
}

/* A short jump, never executed but as a case's entry. */
static void put_entering(struct code *code, unsigned int *end, unsigned int to)
{
	code->bytes[*end] = 0xeb;
	code->bytes[*end + 1] = to - (*end + 2);
	*end += 2;
}

static bool is_start(const struct code *code, unsigned int offset)
{
	unsigned int at = code->site;
	struct ktramp_insn insn;

	while (at < offset &&
	       ktramp_insn_decode(&insn, code->bytes + at, STATE_CELL_SIZE - at) > 0)
		at += insn.len;
	return at == offset;
}

/*
 * Where a jump of 5 bytes, or one with prefixes, would need an int3 in its third byte and its
 * fifth: no displacement has both. Behind one of 2 bytes they are left alone, and what is an
 * instruction's start there can be entered.
 */
static void put_entries(struct rng *rng, struct code *code, unsigned int *end)
{
	unsigned int nr = 0;

	for (unsigned int k = 2; k < 5; k++) {
		bool start = is_start(code, code->site + k);

		if (k == 3 && !start)
			continue;
		if (start && !rng_below(rng, ++nr))
			code->entry = *end;
		put_entering(code, end, code->site + k);
	}
}

static void put_insn(struct rng *rng, const struct form *form, struct code *code,
		     unsigned int *end)
{
	code->at = *end;
	draw_insn(rng, form, &code->insn, code->bytes + *end);
	*end += code->insn.len;
}

static void put_padding(struct code *code, unsigned int *end)
{
	memset(code->bytes + *end, 0xcc, PADDING);
	*end += PADDING;
}

/* @pad: where a short branch may lead. Return: false if it does not fit. */
static bool finish(struct rng *rng, const struct state_info *where, struct code *code,
		   unsigned int end, unsigned int pad)
{
	if (end > STATE_CELL_SIZE)
		return false;
	code_fill(code->bytes + end, STATE_CELL_SIZE - end);
	fix_operand(rng, where, code);
	fix_immediate(rng, where, code, pad);
	return ktramp_insn_decode(&code->insn, code->bytes + code->at, KTRAMP_INSN_MAX) > 0;
}

/* What stands behind the instruction. */
static void put_rest(struct rng *rng, const struct forms *forms, const struct state_info *where,
		     struct code *code, unsigned int *end)
{
	bool ends = ktramp_insn_ends_flow(&code->insn);
	unsigned int entry = 0;

	if (ends && code->shape != SPRUNG) {
		put_padding(code, end);
		return;
	}
	/* Who falls into the second byte of a short jump cannot be helped. */
	if (ends && *end - code->site == 1)
		code->bytes[(*end)++] = 0xcc;
	while (code->shape != ALONE && *end - code->site < PADDING)
		put_simple(rng, forms, code, end);
	if (code->shape == ENTERED)
		entry = pick_entry(rng, code, *end);
	put_jump(code, end, where->fall);
	if (entry) {
		code->entry = *end;
		put_entering(code, end, entry);
	}
	if (code->shape == SPRUNG)
		put_entries(rng, code, end);
}

/* Springboards' share is taken from the shapes that jumps are simple copies in. */
enum shape shape_draw(struct rng *rng)
{
	static const uint8_t shapes[] = {
		ALONE, ALONE, ALONE, ALONE, FOLLOWED, FOLLOWED, FOLLOWED, SPRUNG,
		LATER, LATER, LATER, SPRUNG, ENTERED, ENTERED, ENTERED, ENTERED,
	};

	return shapes[rng_below(rng, sizeof(shapes))];
}

/**
 * code_make() - put an instruction of a form, and what belongs around it, into a cell
 * @rng: numbers
 * @forms: for the simple ones, or NULL: they are nops
 * @shape: what belongs around it
 * @form: the form
 * @where: addresses
 * @address: of the cell
 * @code: (out) the code
 *
 * Return: false if it does not fit into the cell.
 */
bool code_make(struct rng *rng, const struct forms *forms, enum shape shape,
	       const struct form *form, const struct state_info *where, uint64_t address,
	       struct code *code)
{
	unsigned int end = 0, pad = 0;
	uint64_t offset = address - where->cells;
	/* A function's first bytes could look like ftrace's, or be an endbr64. */
	bool back = rng_below(rng, 2) || offset % STATE_STRIDE == STATE_PADDING_SIZE;

	*code = (struct code){ .address = address, .shape = shape };
	/* Where a short branch leads: in front of the site, or behind everything. */
	if (back)
		put_jump(code, &end, where->taken);
	code->site = end;
	if (shape == LATER || (shape == SPRUNG && forms && !rng_below(rng, 3)))
		put_lead(rng, code, &end);
	put_insn(rng, form, code, &end);
	/* Who lands in the second byte of a short jump cannot be helped. */
	if (shape == SPRUNG && code->at != code->site && is_endbr64(&code->insn))
		return false;
	put_rest(rng, forms, where, code, &end);
	if (!back) {
		pad = end;
		put_jump(code, &end, where->taken);
	}
	code->odd = offset / STATE_STRIDE & 1;
	if (code->odd)
		put_odd(code, &end);
	return finish(rng, where, code, end, pad);
}

/**
 * code_make_behind() - put an instruction of a form behind a function's entry
 * @rng: numbers
 * @form: the form
 * @where: addresses
 * @address: of the nop that ftrace owns
 * @code: (out) the code, which begins with the nop
 *
 * Return: false if it does not fit.
 */
bool code_make_behind(struct rng *rng, const struct form *form, const struct state_info *where,
		      uint64_t address, struct code *code)
{
	unsigned int end = ENTRY_SIZE, pad;

	*code = (struct code){ .address = address, .shape = BEHIND };
	code_fill(code->bytes, ENTRY_SIZE);
	put_insn(rng, form, code, &end);
	if (ktramp_insn_ends_flow(&code->insn))
		put_padding(code, &end);
	else
		put_jump(code, &end, where->fall);
	pad = end;
	put_jump(code, &end, where->taken);
	return finish(rng, where, code, end, pad);
}

/* ---- states ---- */

static uint64_t draw_number(struct rng *rng)
{
	uint64_t r = rng_next(rng);

	switch (rng_below(rng, 6)) {
	case 0:
		return (int64_t)(rng_below(rng, 9)) - 4;
	case 1:
		/* around a power of two */
		return (1ULL << rng_below(rng, 64)) + rng_below(rng, 3) - 1;
	case 2:
		return r >> rng_below(rng, 64);
	default:
		return r;
	}
}

static uint64_t draw_flags(struct rng *rng, bool odd)
{
	return FIXED | (rng_next(rng) & (ARITH | IF | ID | (odd ? DF | AC : 0)));
}

/* Where there is no such memory, in one of the ways there are; 0: not this time. */
static uint64_t draw_fault(struct rng *rng, const struct state_info *where,
			   const struct ktramp_insn *insn)
{
	if (rng_below(rng, 24) || insn->branch != KTRAMP_BR_NONE || (insn->prefix & KTRAMP_P_GS))
		return 0;
	switch (rng_below(rng, 3)) {
	case 0:
		/* A scaled index rounds down; the page in front is there. */
		return where->hole + 8 + rng_below(rng, 2048);
	case 1:
		return where->constant + rng_below(rng, 256);
	default:
		return 0x8000000000000000 | rng_next(rng) >> 8;
	}
}

static void patch(struct state_case *state, const struct state_info *where, uint64_t address,
		  uint64_t word)
{
	uint32_t at;

	if (address - where->data < STATE_DATA_SIZE)
		at = (address - where->data) / 8;
	else if (address - where->stack < STATE_STACK_SIZE)
		at = (STATE_DATA_SIZE + address - where->stack) / 8;
	else if (address - where->percpu < STATE_PERCPU_SIZE)
		at = (STATE_DATA_SIZE + STATE_STACK_SIZE + address - where->percpu) / 8;
	else
		return;
	state->at[state->patches] = at;
	state->word[state->patches++] = word;
}

/* Make the registers of a memory operand lead to @to. Return: where they do lead. */
static uint64_t steer(struct rng *rng, const struct ktramp_insn *insn, struct state_case *state,
		      uint64_t to)
{
	uint64_t disp = insn->disp_len ? insn->disp : 0, scale = insn->sib >> 6;
	__u64 *base = &state->r[base_of(insn)], *index = &state->r[index_of(insn)];

	if (has_base(insn) && base_of(insn) == RSP) {
		if (!has_index(insn))
			return *base + disp;
		*index = rng_below(rng, 4);
		return *base + disp + (*index << scale);
	}
	if (!has_index(insn)) {
		*base = to - disp;
		return to;
	}
	if (!has_base(insn)) {
		*index = (to - disp) >> scale;
		/* The shift above is of a kernel address: what it lost on top is set again. */
		*index |= scale ? ~0ULL << (64 - scale) : 0;
		return disp + (*index << scale);
	}
	if (base_of(insn) == index_of(insn)) {
		*base = (to - disp) / (1 + (1ULL << scale));
		return disp + *base + (*base << scale);
	}
	*base = to - disp - (*index << scale);
	return to;
}

static uint64_t steer_memory(struct rng *rng, const struct state_info *where,
			     const struct code *code, struct state_case *state)
{
	const struct ktramp_insn *insn = &code->insn;
	uint64_t to;

	if (!accesses(insn) && !is_moffs(insn))
		return 0;
	/* Nothing below the stack pointer is anybody's for long. */
	if (is_bit_string(insn))
		state->r[insn_reg(insn)] = (int64_t)rng_below(rng, 512) -
			(has_base(insn) && base_of(insn) == RSP ? 0 : 256);
	if (code->operand)
		return code->operand;
	to = draw_fault(rng, where, insn);
	if (!to || (has_base(insn) && base_of(insn) == RSP))
		to = draw_operand(rng, where, insn);
	return steer(rng, insn, state, to);
}

static void steer_string(struct rng *rng, const struct state_info *where,
			 const struct ktramp_insn *insn, struct state_case *state)
{
	uint64_t to = draw_fault(rng, where, insn);

	state->r[RSI] = draw_operand(rng, where, insn);
	state->r[RDI] = to ?: draw_operand(rng, where, insn);
	if (insn->prefix & (KTRAMP_P_F2 | KTRAMP_P_F3))
		state->r[RCX] = rng_below(rng, 9);
}

/* Registers an instruction uses unasked. */
static void steer_implicit(struct rng *rng, const struct state_info *where,
			   const struct ktramp_insn *insn, struct state_case *state)
{
	if (is_string(insn))
		steer_string(rng, where, insn, state);
	else if (is_1b(insn, 0xd7))
		state->r[RBX] = where->data + 64;
	else if (is_1b(insn, 0xc9))
		state->r[RBP] = state->r[RSP] + 8 * rng_below(rng, 8);
	else if (is_1b(insn, 0x9d))
		patch(state, where, state->r[RSP], draw_flags(rng, true));
	else if (is_division(insn) && rng_below(rng, 2))
		state->r[RDX] = 0;
	else if (insn->branch == KTRAMP_BR_LOOP && rng_below(rng, 2))
		state->r[RCX] = rng_below(rng, 3);
	else if (insn->map == KTRAMP_MAP_0F && insn->opcode == 0x01)
		/* xgetbv */
		state->r[RCX] = rng_below(rng, 3);
}

static void steer_branch(struct rng *rng, const struct state_info *where,
			 const struct ktramp_insn *insn, struct state_case *state, uint64_t operand)
{
	uint64_t to = where->taken;

	if (insn->branch == KTRAMP_BR_RET)
		patch(state, where, state->r[RSP], where->taken);
	if (insn->branch != KTRAMP_BR_JMP_IND && insn->branch != KTRAMP_BR_CALL_IND)
		return;
	if (insn->branch == KTRAMP_BR_CALL_IND && rng_below(rng, 2))
		to = where->back;
	if (insn_has_memory(insn))
		patch(state, where, operand, to);
	else
		state->r[insn_rm(insn)] = to;
}

/* Whatever it makes of them, RSP may end up on the stack. */
static void steer_rsp(struct rng *rng, const struct state_info *where, struct state_case *state)
{
	for (int i = 0; i < 16; i++)
		if (i != RSP)
			state->r[i] = rng_below(rng, 2) ? draw_stack(rng, where) :
				      8 * rng_below(rng, 8);
	/* No interrupt between it and the next instruction: it could find no stack. */
	state->rflags &= ~(uint64_t)IF;
}

/**
 * state_make() - draw a state in which a cell's code can be executed
 * @rng: numbers
 * @where: addresses
 * @code: the code
 * @state: (out) the state
 */
void state_make(struct rng *rng, const struct state_info *where, const struct code *code,
		struct state_case *state)
{
	const struct ktramp_insn *insn = &code->insn;
	uint64_t operand;

	*state = (struct state_case){
		.rflags = draw_flags(rng, code->odd), .memory = rng_next(rng),
		.entry = code->address + code->site, .length = insn->len,
	};
	for (int i = 0; i < 16; i++)
		state->r[i] = draw_number(rng);
	state->r[RSP] = draw_stack(rng, where);
	if (insn->attr & KTRAMP_A_VECTOR)
		state->flags |= STATE_VECTOR;
	if (pushes(insn))
		state->flags |= STATE_PUSHES;
	if (form_sets_rsp(insn))
		steer_rsp(rng, where, state);
	steer_implicit(rng, where, insn, state);
	operand = steer_memory(rng, where, code, state);
	steer_branch(rng, where, insn, state, operand);
	if (form_sets_rsp(insn)) {
		patch(state, where, state->r[RSP], draw_stack(rng, where));
		patch(state, where, operand, draw_stack(rng, where));
	}
	if (code->entry && !rng_below(rng, 3))
		state->entry = code->address + code->entry;
}

/* May a probe be hit behind it, or an interrupt come? */
bool state_is_safe(const struct state_info *where, const struct state_result *result)
{
	return result->exit && result->r[RSP] - where->stack < STATE_STACK_SIZE - 64;
}
