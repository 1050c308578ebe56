// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decoder: prefixes, opcode, ModRM, immediate, in the order they stand in memory;
 * then what the table row says, applied to the operands found.
 *
 * Near branches with a 66 prefix are refused because Intel ignores it, while AMD cuts the
 * displacement and the instruction pointer to 16 bits. Instruction sets that no kernel uses
 * (3DNow!, XOP, FMA4, SSE4a, Key Locker) have no rows.
 */
#ifdef __KERNEL__
#include <linux/string.h>
#else
#include <string.h>
#endif

#include "decode/insn.h"
#include "decode/insn_map.h"
#include "decode/insn_vex.h"

#define REX_W		8
#define REX_R		4
#define REX_X		2
#define REX_B		1

/**
 * struct decoder - an instruction being read
 * @insn: the result
 * @op: table row
 * @buf: the instruction's bytes
 * @limit: how many of them may be read
 * @short_buf: @limit is the end of the caller's buffer, not of the longest instruction
 * @outline: what it does to registers and flags is not wanted
 * @pp: mandatory prefix: 0 none, 1 66, 2 f3, 3 f2
 * @vvvv: third register operand of VEX
 * @ll: vector length of VEX: 0, 1, 2 for 16, 32, 64 bytes
 */
struct decoder {
	struct ktramp_insn *insn;
	const struct op *op;
	const u8 *buf;
	u8 limit;
	bool short_buf;
	bool outline;
	u8 pp;
	u8 vvvv;
	u8 ll;
};

/* What running into the limit means. */
static int decoder_end(const struct decoder *d)
{
	return d->short_buf ? -ENODATA : -EINVAL;
}

/* The next byte, or a negative error. */
static int next_byte(struct decoder *d)
{
	if (d->insn->len >= d->limit)
		return decoder_end(d);
	return d->buf[d->insn->len++];
}

/* Read a little-endian, sign-extended number of 1, 2, 4 or 8 bytes. */
static int next_number(struct decoder *d, unsigned int bytes, s64 *val)
{
	u64 raw = 0;
	unsigned int i;

	if (d->insn->len + bytes > d->limit)
		return decoder_end(d);
	for (i = 0; i < bytes; i++)
		raw |= (u64)d->buf[d->insn->len++] << (8 * i);
	if (bytes < 8 && raw >> (8 * bytes - 1))
		raw |= ~0ULL << (8 * bytes);
	*val = (s64)raw;
	return 0;
}

/* Legacy prefixes, then REX. Returns the first byte that is neither. */
static int read_prefixes(struct decoder *d)
{
	struct ktramp_insn *insn = d->insn;

	for (;;) {
		int b = next_byte(d);

		if (b < 0)
			return b;
		if ((b & 0xf0) == 0x40) {
			insn->rex = (u8)b;
			continue;
		}
		switch (b) {
		case 0x66:
			insn->prefix |= KTRAMP_P_66;
			break;
		case 0x67:
			insn->prefix |= KTRAMP_P_67;
			break;
		case 0xf0:
			insn->prefix |= KTRAMP_P_LOCK;
			break;
		case 0xf2:
			insn->prefix |= KTRAMP_P_F2;
			d->pp = 3;
			break;
		case 0xf3:
			insn->prefix |= KTRAMP_P_F3;
			d->pp = 2;
			break;
		case 0x64:
			insn->prefix |= KTRAMP_P_FS;
			break;
		case 0x65:
			insn->prefix |= KTRAMP_P_GS;
			break;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
			insn->prefix |= KTRAMP_P_SEG;
			break;
		default:
			if (!d->pp && (insn->prefix & KTRAMP_P_66))
				d->pp = 1;
			return b;
		}
		/* REX counts only right before the opcode. */
		insn->rex = 0;
	}
}

/* VEX of two or three bytes, EVEX; @b is their first byte. Returns the opcode byte. */
static int read_vex(struct decoder *d, int b)
{
	static const u8 evex_maps[8] = {
		[1] = KTRAMP_MAP_0F, [2] = KTRAMP_MAP_0F38, [3] = KTRAMP_MAP_0F3A,
		[5] = KTRAMP_MAP_EVEX5, [6] = KTRAMP_MAP_EVEX6,
	};
	struct ktramp_insn *insn = d->insn;
	int p0, p1, p2 = 0;

	if (insn->rex || d->pp || (insn->prefix & KTRAMP_P_LOCK))
		return -EINVAL;

	p0 = next_byte(d);
	if (p0 < 0)
		return p0;
	if (b == 0xc5) {
		/* R vvvv L pp: move R aside, map 0f */
		p1 = p0 & 0x7f;
		p0 = (p0 & 0x80) | 0x61;
	} else {
		p1 = next_byte(d);
		if (p1 < 0)
			return p1;
	}
	if (b == 0x62) {
		p2 = next_byte(d);
		if (p2 < 0)
			return p2;
		/* length 3 is a rounding mode, of registers only */
		if ((p0 & 0x08) || !(p1 & 0x04) || (p2 & 0x70) == 0x60)
			return -EINVAL;
		insn->prefix |= KTRAMP_P_EVEX;
		insn->map = evex_maps[p0 & 7];
		d->ll = (p2 >> 5) & 3;
	} else {
		insn->prefix |= KTRAMP_P_VEX;
		insn->map = (p0 & 0x1f) <= 3 ? evex_maps[p0 & 3] : KTRAMP_MAP_1B;
		d->ll = (p1 >> 2) & 1;
	}
	if (insn->map == KTRAMP_MAP_1B)
		return -EINVAL;

	insn->rex = 0x40 | ((p1 & 0x80) ? REX_W : 0) | (~p0 >> 5 & 7);
	d->pp = p1 & 3;
	d->vvvv = (~p1 >> 3) & 15;
	return next_byte(d);
}

/* 0f, 0f 38, 0f 3a. Returns the opcode byte behind them. */
static int read_escape(struct decoder *d)
{
	int b = next_byte(d);

	d->insn->map = KTRAMP_MAP_0F;
	if (b == 0x38 || b == 0x3a) {
		d->insn->map = b == 0x38 ? KTRAMP_MAP_0F38 : KTRAMP_MAP_0F3A;
		b = next_byte(d);
	}
	return b;
}

/* ModRM, and the SIB and displacement it asks for. */
static int read_modrm(struct decoder *d)
{
	struct ktramp_insn *insn = d->insn;
	unsigned int mod, base;
	int b;

	insn->modrm_off = insn->len;
	b = next_byte(d);
	if (b < 0)
		return b;
	insn->has_modrm = true;
	insn->modrm = (u8)b;
	mod = insn->modrm >> 6;
	base = insn->modrm & 7;
	if (mod == 3 || (d->op && (d->op->form & RM_MOD3)))
		return 0;

	if (base == 4) {
		b = next_byte(d);
		if (b < 0)
			return b;
		insn->has_sib = true;
		insn->sib = (u8)b;
		base = insn->sib & 7;
	}
	if (mod == 1)
		insn->disp_len = 1;
	else if (mod == 2 || base == 5)
		insn->disp_len = 4;
	if (mod == 0 && base == 5 && !insn->has_sib)
		insn->attr |= KTRAMP_A_RIPREL;
	return 0;
}

static bool is_mem(const struct decoder *d)
{
	return d->insn->has_modrm && d->insn->modrm < 0xc0 && !(d->op->form & RM_MOD3);
}

/* x87: memory operands load but for a few stores, registers are the FPU's own. */
static int find_x87(struct decoder *d)
{
	static const struct op load = VEC(0);
	static const struct op store = VEC_ST(0);
	static const struct op comi = VEC(0, FL(FCOMI));
	static const struct op cmov = VEC(0, FL(FCMOV));
	static const struct op fnstsw = OP(SZ_X | MOD, RD(AX), ATTR(VECTOR));
	const struct ktramp_insn *insn = d->insn;
	const struct x87 *x = &x87[insn->opcode & 7];
	unsigned int reg = insn->modrm >> 3 & 7;

	d->op = &load;
	if (is_mem(d)) {
		if (x->no_mem >> reg & 1)
			return -EINVAL;
		if (x->stores >> reg & 1)
			d->op = &store;
		return 0;
	}
	if (x->no_reg >> (insn->modrm & 63) & 1)
		return -EINVAL;
	if (insn->opcode == 0xdf && insn->modrm == 0xe0)
		d->op = &fnstsw;
	else if ((insn->opcode == 0xda || insn->opcode == 0xdb) && reg < 4)
		d->op = &cmov;
	else if ((insn->opcode == 0xdb || insn->opcode == 0xdf) && (reg == 5 || reg == 6))
		d->op = &comi;
	return 0;
}

static int find_vex(struct decoder *d)
{
	static const u8 *const exists[] = {
		[KTRAMP_MAP_0F] = vex_0f,
		[KTRAMP_MAP_0F38] = vex_0f38,
		[KTRAMP_MAP_0F3A] = vex_0f3a,
		[KTRAMP_MAP_EVEX5] = evex_5,
		[KTRAMP_MAP_EVEX6] = evex_6,
	};
	static const struct op load = VEC(0);
	const struct ktramp_insn *insn = d->insn;
	unsigned int pp = 1U << (d->pp + (insn->prefix & KTRAMP_P_EVEX ? 4 : 0));
	const struct vex_op *v;
	unsigned int mod;

	d->op = &load;
	mod = is_mem(d) ? MEM : REG;
	if (!(exists[insn->map][insn->opcode] & pp))
		return -EINVAL;
	for (v = vex_ops; v->pp; v++) {
		if (v->map == insn->map && v->first <= insn->opcode && insn->opcode <= v->last &&
		    (v->pp & pp) && (v->mod & mod) && (v->reg >> (insn->modrm >> 3 & 7) & 1)) {
			d->op = &v->op;
			break;
		}
	}
	return d->op->form ? 0 : -EINVAL;
}

/* One of the meanings of an opcode that has several. */
static int find_variant(struct decoder *d)
{
	const struct ktramp_insn *insn = d->insn;
	unsigned int mod = is_mem(d) ? MEM : REG;
	const struct variant *v;

	for (v = d->op->variants; v->pfx; v++) {
		if ((v->pfx >> d->pp & 1) && (v->mod & mod) &&
		    (v->reg >> (insn->modrm >> 3 & 7) & 1) && (v->rm >> (insn->modrm & 7) & 1)) {
			d->op = &v->op;
			return 0;
		}
	}
	return -EINVAL;
}

/* Reads ModRM on the way, if there is one. */
static int find_op(struct decoder *d)
{
	static const struct op *const maps[] = {
		[KTRAMP_MAP_1B] = map_1b,
		[KTRAMP_MAP_0F] = map_0f,
		[KTRAMP_MAP_0F38] = map_0f38,
		[KTRAMP_MAP_0F3A] = map_0f3a,
	};
	struct ktramp_insn *insn = d->insn;
	int err;

	if (insn->prefix & (KTRAMP_P_VEX | KTRAMP_P_EVEX)) {
		/* vzeroupper, vzeroall */
		if (insn->map != KTRAMP_MAP_0F || insn->opcode != 0x77) {
			err = read_modrm(d);
			if (err)
				return err;
		}
		return find_vex(d);
	}

	d->op = &maps[insn->map][insn->opcode];
	if (insn->map == KTRAMP_MAP_1B && (insn->opcode & 0xf8) == 0xd8) {
		err = read_modrm(d);
		return err ? err : find_x87(d);
	}
	if (!d->op->form)
		return -EINVAL;
	if ((d->op->form & P_MASK) && !(d->op->form >> P_SHIFT >> d->pp & 1))
		return -EINVAL;
	if (d->op->variants || (d->op->form & MOD)) {
		err = read_modrm(d);
		if (err)
			return err;
	}
	return d->op->variants ? find_variant(d) : 0;
}

static u8 operand_size(const struct decoder *d)
{
	const struct ktramp_insn *insn = d->insn;
	bool wide = insn->rex & REX_W;
	bool p66 = insn->prefix & KTRAMP_P_66;

	switch (d->op->form & SZ_MASK) {
	case SZ_B:
		return 1;
	case SZ_Y:
		return wide ? 8 : 4;
	case SZ_STK:
		return p66 && !wide ? 2 : 8;
	case SZ_Q:
		return 8;
	case SZ_D:
		return 4;
	case SZ_X:
		return 16 << (d->ll < 3 ? d->ll : 2);
	default:
		return wide ? 8 : p66 ? 2 : 4;
	}
}

/* The displacement of ModRM, or the absolute address of mov moffs. */
static int read_disp(struct decoder *d)
{
	struct ktramp_insn *insn = d->insn;

	if ((d->op->form & I_MASK) == I_ADDR)
		insn->disp_len = insn->prefix & KTRAMP_P_67 ? 4 : 8;
	if (!insn->disp_len)
		return 0;
	insn->disp_off = insn->len;
	return next_number(d, insn->disp_len, &insn->disp);
}

static int read_imm(struct decoder *d)
{
	struct ktramp_insn *insn = d->insn;
	u8 size = insn->osz < 4 ? 2 : 4;
	s64 nesting;
	int err;

	switch (d->op->form & I_MASK) {
	case I_B:
		size = 1;
		break;
	case I_W:
	case I_WB:
		size = 2;
		break;
	case I_Z:
		break;
	case I_V:
		size = insn->osz;
		break;
	default:
		/* VEX rows are shared by opcodes with and without: the maps tell */
		if (!(insn->prefix & (KTRAMP_P_VEX | KTRAMP_P_EVEX)))
			return 0;
		if (insn->map != KTRAMP_MAP_0F3A &&
		    !(insn->map == KTRAMP_MAP_0F && (map_0f[insn->opcode].form & I_MASK)) &&
		    !(insn->map == KTRAMP_MAP_0F && insn->opcode >= 0x71 && insn->opcode <= 0x73))
			return 0;
		size = 1;
	}
	insn->imm_off = insn->len;
	insn->imm_len = size;
	err = next_number(d, size, &insn->imm);
	if (!err && (d->op->form & I_MASK) == I_WB) {
		insn->imm_len++;
		err = next_number(d, 1, &nesting);
	}
	return err;
}

/* Encodings that the row's operands rule out, once all is read. */
static bool is_valid(const struct decoder *d)
{
	const struct ktramp_insn *insn = d->insn;
	u32 form = d->op->form;
	bool mem = is_mem(d);

	if (((form & RM_MEM) && !mem) || ((form & RM_REG) && mem))
		return false;
	if ((insn->prefix & KTRAMP_P_LOCK) && !(mem && (form & LOCKABLE)))
		return false;
	if ((form & VSIB) && !insn->has_sib)
		return false;
	if (form & RM_MOD3) {
		unsigned int n = (insn->modrm >> 3 & 7) | (insn->rex & REX_R ? 8 : 0);

		/* dr0 to dr7; cr0, cr2, cr3, cr4, cr8 */
		return insn->opcode & 1 ? n < 8 : 0x11d >> n & 1;
	}
	/* the vector length of an instruction without vectors is 0, with memory at most 2 */
	if (d->ll && (!(d->op->attr & VECTOR) || (mem && d->ll > 2)))
		return false;
	/* xchg %rax,%r8 or pause: the books differ */
	if (insn->map == KTRAMP_MAP_1B && insn->opcode == 0x90 && d->pp == 2 &&
	    (insn->rex & REX_B))
		return false;
	switch (d->op->br) {
	case KTRAMP_BR_JMP:
	case KTRAMP_BR_JCC:
	case KTRAMP_BR_LOOP:
	case KTRAMP_BR_CALL:
	case KTRAMP_BR_JMP_IND:
	case KTRAMP_BR_CALL_IND:
	case KTRAMP_BR_RET:
		return !(insn->prefix & KTRAMP_P_66) || (insn->rex & REX_W);
	}
	return true;
}

/* Bit of a GPR operand: %ah to %bh are the second bytes of %rax to %rbx. */
static u16 gpr(const struct ktramp_insn *insn, unsigned int n, bool high, bool byte)
{
	if (byte && !insn->rex && n >= 4)
		n -= 4;
	return (u16)(1U << (n + (high ? 8 : 0)));
}

/* A write narrower than 32 bits leaves the rest of the register as it was. */
static void write_gpr(struct ktramp_insn *insn, u16 regs)
{
	if (insn->osz < 4)
		insn->regs_read |= regs;
	else
		insn->regs_written |= regs;
}

static void use_address(const struct decoder *d)
{
	struct ktramp_insn *insn = d->insn;
	unsigned int mod = insn->modrm >> 6;
	unsigned int base = insn->modrm & 7;

	if (insn->has_sib) {
		unsigned int index = insn->sib >> 3 & 7;

		base = insn->sib & 7;
		if (!(d->op->form & VSIB) && (index != 4 || (insn->rex & REX_X)))
			insn->regs_read |= gpr(insn, index, insn->rex & REX_X, false);
	}
	if (mod || base != 5)
		insn->regs_read |= gpr(insn, base, insn->rex & REX_B, false);
}

static void use_rm(const struct decoder *d)
{
	struct ktramp_insn *insn = d->insn;
	u32 form = d->op->form;
	bool byte = (form & SZ_MASK) == SZ_B || (form & RM_B);
	u16 reg = gpr(insn, insn->modrm & 7, insn->rex & REX_B, byte);

	if (is_mem(d)) {
		if (form & RM_R)
			insn->attr |= KTRAMP_A_MEM_READ;
		if (form & (RM_W | RM_CW))
			insn->attr |= KTRAMP_A_MEM_WRITE;
		if (!(insn->attr & KTRAMP_A_NOP))
			use_address(d);
		return;
	}
	insn->attr &= ~KTRAMP_A_LOCK;
	if (form & RM_X)
		return;
	if (form & RM_R)
		insn->regs_read |= reg;
	if (form & RM_W)
		write_gpr(insn, reg);
}

static void use_operands(const struct decoder *d)
{
	struct ktramp_insn *insn = d->insn;
	u32 form = d->op->form;
	bool byte = (form & SZ_MASK) == SZ_B;
	u16 reg = gpr(insn, insn->modrm >> 3 & 7, insn->rex & REX_R, byte);
	u16 z = gpr(insn, insn->opcode & 7, insn->rex & REX_B, byte);
	u16 v = (u16)(1U << d->vvvv);

	if (insn->has_modrm)
		use_rm(d);
	if (form & RG_R)
		insn->regs_read |= reg;
	if (form & RG_W)
		write_gpr(insn, reg);
	if (form & Z_R)
		insn->regs_read |= z;
	if (form & Z_W)
		write_gpr(insn, z);
	if (form & V_R)
		insn->regs_read |= v;
	if (form & V_W)
		insn->regs_written |= v;

	insn->regs_read |= d->op->rd;
	insn->regs_written |= d->op->wr & SP;
	if (d->op->wr & ~SP)
		write_gpr(insn, d->op->wr & ~SP);

	/* the difference of a register with itself does not depend on it */
	if ((form & ZEROES) && !is_mem(d) && insn->osz >= 4 &&
	    reg == gpr(insn, insn->modrm & 7, insn->rex & REX_B, false))
		insn->regs_read &= ~reg;
}

static void use_string(const struct decoder *d)
{
	struct ktramp_insn *insn = d->insn;
	u16 regs = 0;

	if (d->op->form & SI) {
		regs |= RSI;
		insn->attr |= KTRAMP_A_MEM_READ;
	}
	if (d->op->form & DI) {
		regs |= RDI;
		/* cmps and scas only look */
		insn->attr |= d->op->fl == FL_CMPS ? KTRAMP_A_MEM_READ : KTRAMP_A_MEM_WRITE;
	}
	if (!regs)
		return;
	insn->regs_read |= regs;
	if (!(insn->prefix & (KTRAMP_P_F2 | KTRAMP_P_F3))) {
		insn->regs_written |= regs;
		return;
	}
	/* %rcx may be zero: then nothing is written */
	insn->attr |= KTRAMP_A_REP;
	insn->regs_read |= CX | d->op->wr;
	insn->regs_written = 0;
	insn->flags_read |= insn->flags_written;
	insn->flags_written = 0;
}

static void use_flags(const struct decoder *d)
{
	struct ktramp_insn *insn = d->insn;
	unsigned int fl = d->op->fl;

	insn->flags_read = flag_effects[fl].rd;
	insn->flags_written = flag_effects[fl].wr;
	if (fl == FL_CC) {
		insn->cc = insn->opcode & 15;
		insn->flags_read = cc_flags[insn->cc >> 1];
	}
	/* shifting by zero leaves the flags alone */
	if ((fl == FL_SHIFT_N || fl == FL_ROTATE_N || fl == FL_RCX_N) && insn->imm_len &&
	    !(insn->imm & (insn->osz == 8 ? 63 : 31)))
		insn->flags_written = 0;
}

/* 90 is xchg %eax,%eax that does not clear the upper half; with f3 it is pause. */
static void fix_nop(const struct decoder *d)
{
	struct ktramp_insn *insn = d->insn;

	if (insn->map != KTRAMP_MAP_1B || insn->opcode != 0x90 || (insn->rex & REX_B))
		return;
	insn->regs_read = 0;
	insn->regs_written = 0;
	if (d->pp != 2)
		insn->attr |= KTRAMP_A_NOP;
}

static void use_attributes(const struct decoder *d)
{
	struct ktramp_insn *insn = d->insn;
	u32 faults = KTRAMP_A_MEM_READ | KTRAMP_A_MEM_WRITE | KTRAMP_A_PRIV | KTRAMP_A_VECTOR;

	if (insn->branch == KTRAMP_BR_LOOP)
		insn->cc = insn->opcode & 3;
	if (insn->prefix & KTRAMP_P_LOCK)
		insn->attr |= KTRAMP_A_LOCK;
	if ((insn->regs_read | insn->regs_written) & SP)
		insn->attr |= KTRAMP_A_RSP;
	if (insn->flags_read & KTRAMP_F_IF)
		insn->attr |= KTRAMP_A_IF_READ;
	if (insn->flags_written & KTRAMP_F_IF)
		insn->attr |= KTRAMP_A_IF_WRITE;
	if (insn->flags_read & KTRAMP_F_TF)
		insn->attr |= KTRAMP_A_TF_READ;
	if (insn->flags_written & KTRAMP_F_TF)
		insn->attr |= KTRAMP_A_TF_WRITE;
	if ((insn->attr & faults) || insn->branch == KTRAMP_BR_JMP_IND ||
	    insn->branch == KTRAMP_BR_FAR || insn->branch == KTRAMP_BR_TRAP)
		insn->attr |= KTRAMP_A_FAULT;
}

static int decode(struct decoder *d)
{
	struct ktramp_insn *insn = d->insn;
	int b = read_prefixes(d);
	int err;

	if (b == 0xc4 || b == 0xc5 || b == 0x62)
		b = read_vex(d, b);
	else if (b == 0x0f)
		b = read_escape(d);
	if (b < 0)
		return b;
	insn->opcode = (u8)b;
	insn->opcode_off = insn->len - 1;

	err = find_op(d);
	if (err)
		return err;
	insn->osz = operand_size(d);
	err = read_disp(d);
	if (!err)
		err = read_imm(d);
	if (err)
		return err;
	if (!is_valid(d))
		return -EINVAL;

	insn->attr |= d->op->attr;
	insn->branch = d->op->br;
	if (d->outline) {
		fix_nop(d);
		return insn->len;
	}
	use_flags(d);
	use_operands(d);
	use_string(d);
	fix_nop(d);
	use_attributes(d);
	return insn->len;
}

static int decode_as(struct ktramp_insn *insn, const void *buf, size_t avail, bool outline)
{
	struct decoder d = {
		.insn = insn,
		.buf = buf,
		.limit = avail < KTRAMP_INSN_MAX ? (u8)avail : KTRAMP_INSN_MAX,
		.short_buf = avail < KTRAMP_INSN_MAX,
		.outline = outline,
	};
	int ret;

	memset(insn, 0, sizeof(*insn));
	ret = decode(&d);
	if (ret < 0)
		memset(insn, 0, sizeof(*insn));
	return ret;
}

int ktramp_insn_decode(struct ktramp_insn *insn, const void *buf, size_t avail)
{
	return decode_as(insn, buf, avail, false);
}

int ktramp_insn_outline(struct ktramp_insn *insn, const void *buf, size_t avail)
{
	return decode_as(insn, buf, avail, true);
}
