// SPDX-License-Identifier: GPL-2.0-only
/* Bytes to lines of assembler, by Capstone. */
#include <capstone/capstone.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ktramp.h"

struct disasm {
	csh handle;
	cs_insn *insn;
};

int disasm_open(struct disasm **disasm, bool intel)
{
	struct disasm *d = calloc(1, sizeof(*d));
	cs_err err = CS_ERR_MEM;

	if (d)
		err = cs_open(CS_ARCH_X86, CS_MODE_64, &d->handle);
	if (err == CS_ERR_OK) {
		cs_option(d->handle, CS_OPT_DETAIL, CS_OPT_ON);
		cs_option(d->handle, CS_OPT_SYNTAX,
			  intel ? CS_OPT_SYNTAX_INTEL : CS_OPT_SYNTAX_ATT);
		d->insn = cs_malloc(d->handle);
		if (d->insn) {
			*disasm = d;
			return 0;
		}
		cs_close(&d->handle);
		err = CS_ERR_MEM;
	}
	free(d);
	p_err("cannot disassemble: %s", cs_strerror(err));
	return -ENOMEM;
}

void disasm_close(struct disasm **disasm)
{
	struct disasm *d = *disasm;

	if (!d)
		return;
	cs_free(d->insn, 1);
	cs_close(&d->handle);
	free(d);
	*disasm = NULL;
}

static bool decode(struct disasm *d, const uint8_t *code, size_t left, uint64_t address)
{
	return cs_disasm_iter(d->handle, &code, &left, &address, d->insn);
}

static bool is_branch(const struct disasm *d)
{
	return cs_insn_group(d->handle, d->insn, X86_GRP_JUMP) ||
	       cs_insn_group(d->handle, d->insn, X86_GRP_CALL) ||
	       cs_insn_group(d->handle, d->insn, X86_GRP_BRANCH_RELATIVE);
}

static enum insn_flow flow(const struct disasm *d)
{
	if (cs_insn_group(d->handle, d->insn, X86_GRP_IRET))
		return FLOW_IRET;
	if (cs_insn_group(d->handle, d->insn, X86_GRP_RET))
		return FLOW_RETURN;
	if (cs_insn_group(d->handle, d->insn, X86_GRP_CALL))
		return FLOW_CALL;
	return cs_insn_group(d->handle, d->insn, X86_GRP_JUMP) ? FLOW_JUMP : FLOW_NEXT;
}

/* The address an instruction names: of a branch, of RIP-relative data, of a constant. */
static uint64_t names_address(const struct disasm *d)
{
	const cs_x86 *x86 = &d->insn->detail->x86;

	for (uint8_t i = 0; i < x86->op_count; i++) {
		const cs_x86_op *op = &x86->operands[i];

		if (op->type == X86_OP_MEM && op->mem.base == X86_REG_RIP &&
		    op->mem.segment != X86_REG_GS)
			return d->insn->address + d->insn->size + op->mem.disp;
		/* A constant in the upper half is more likely a pointer than a number. */
		if (op->type == X86_OP_IMM && op->size == 8 && op->imm < -4096)
			return op->imm;
	}
	return 0;
}

static struct insn_line *add_line(struct listing *listing, unsigned int offset,
				  unsigned int length, enum origin origin)
{
	struct insn_line *line;

	if (listing->nr == LISTING_MAX)
		return NULL;
	line = &listing->lines[listing->nr++];
	*line = (struct insn_line){ .offset = offset, .length = length, .origin = origin };
	return line;
}

/* Adds the instructions in [from, to) of the listing's code; none crosses the end. */
void disasm_range(struct disasm *disasm, struct listing *listing, unsigned int from,
		  unsigned int to, enum origin origin)
{
	struct insn_line *line;

	for (unsigned int at = from; at < to; at += line->length) {
		if (decode(disasm, listing->code + at, to - at, listing->address + at)) {
			const cs_insn *insn = disasm->insn;

			line = add_line(listing, at, insn->size, origin);
			if (!line)
				return;
			snprintf(line->text, sizeof(line->text), "%s%s%s", insn->mnemonic,
				 *insn->op_str ? " " : "", insn->op_str);
			line->target = names_address(disasm);
			line->branch = is_branch(disasm);
			line->flow = flow(disasm);
		} else {
			line = add_line(listing, at, 1, origin);
			if (!line)
				return;
			snprintf(line->text, sizeof(line->text), ".byte 0x%02x",
				 listing->code[at]);
		}
	}
}

/* Adds bytes that are not instructions now. */
void disasm_rest(struct listing *listing, unsigned int from, unsigned int to, const char *text)
{
	struct insn_line *line;

	if (from >= to)
		return;
	line = add_line(listing, from, to - from, ORIGIN_REST);
	if (line)
		snprintf(line->text, sizeof(line->text), "%s", text);
}

/* Length, and number, of the whole instructions that @want bytes at @code touch. */
unsigned int disasm_cover(struct disasm *disasm, const uint8_t *code, unsigned int length,
			  unsigned int want, unsigned int *insns)
{
	unsigned int at = 0;

	*insns = 0;
	while (at < want && at < length) {
		at += decode(disasm, code + at, length - at, at) ? disasm->insn->size : 1;
		++*insns;
	}
	return at;
}
