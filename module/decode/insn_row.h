/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The language of the decoder's tables: insn_map.h, insn_vex.h.
 *
 * A row says what an opcode does to its operands, not what it is called: which of the
 * ModRM operands it reads and writes, which registers it uses unasked, what happens to
 * the flags. An opcode without a row is refused.
 */
#ifndef KTRAMP_INSN_ROW_H
#define KTRAMP_INSN_ROW_H

#include "decode/insn.h"

struct variant;

/**
 * struct op - what one opcode does
 * @form: encoding and operands, see below; 0 if there is no such opcode
 * @attr: KTRAMP_A_*, beside those that follow from @form
 * @rd: GPRs read unasked
 * @wr: GPRs written unasked, with the operand size (RSP always whole)
 * @fl: &enum flag_effect
 * @br: &enum ktramp_branch
 * @variants: if set, the row is one of these: ModRM or the prefixes decide
 */
struct op {
	u32 form;
	u16 attr;
	u16 rd;
	u16 wr;
	u8 fl;
	u8 br;
	const struct variant *variants;
};

/* Operand size. */
#define SZ_V		0x0U		/* 2, 4 or 8 */
#define SZ_B		0x1U		/* 1 */
#define SZ_Y		0x2U		/* 4, or 8 with REX.W */
#define SZ_STK		0x3U		/* 8, or 2 with 66 */
#define SZ_Q		0x4U		/* 8 */
#define SZ_D		0x5U		/* 4 */
#define SZ_X		0x6U		/* 16, 32 or 64 with the vector length */
#define SZ_MASK		0x7U

/* Immediate. */
#define I_NONE		(0x0U << 3)
#define I_B		(0x1U << 3)	/* 1 byte */
#define I_W		(0x2U << 3)	/* 2 bytes */
#define I_Z		(0x3U << 3)	/* 2 or 4 bytes */
#define I_V		(0x4U << 3)	/* 2, 4 or 8 bytes */
#define I_WB		(0x5U << 3)	/* 2 bytes, then 1 */
#define I_ADDR		(0x6U << 3)	/* absolute address of 8, with 67 of 4 bytes */
#define I_MASK		(0x7U << 3)

/* Operands. */
#define MOD		(1U << 6)	/* has ModRM */
#define RM_R		(1U << 7)	/* r/m is read */
#define RM_W		(1U << 8)	/* r/m is written */
#define RM_CW		(1U << 9)	/* r/m is written on some paths */
#define RM_X		(1U << 10)	/* a register r/m is no GPR */
#define RM_B		(1U << 11)	/* r/m is a byte, whatever the operand size */
#define RM_MEM		(1U << 12)	/* r/m must be memory */
#define RM_REG		(1U << 13)	/* r/m must be a register */
#define RM_MOD3		(1U << 14)	/* r/m is a register, mod is ignored */
#define RG_R		(1U << 15)	/* ModRM.reg is a GPR and read */
#define RG_W		(1U << 16)	/* ModRM.reg is a GPR and written */
#define Z_R		(1U << 17)	/* the opcode's low three bits are a GPR, read */
#define Z_W		(1U << 18)	/* ... written */
#define V_R		(1U << 19)	/* VEX.vvvv is a GPR, read */
#define V_W		(1U << 20)	/* ... written */
#define SI		(1U << 21)	/* string source (%rsi) */
#define DI		(1U << 22)	/* string destination (%rdi) */
#define LOCKABLE	(1U << 23)	/* lock is allowed if r/m is memory */
#define ZEROES		(1U << 24)	/* of two equal registers: does not read them */
#define VSIB		(1U << 25)	/* the index is a vector register */

/* Mandatory prefixes the opcode exists with; with none of the four they are no part of it. */
#define P_NO		(1U << 26)
#define P_66		(1U << 27)
#define P_F3		(1U << 28)
#define P_F2		(1U << 29)
#define P_SHIFT		26
#define P_MASK		(0xfU << P_SHIFT)
#define P_N6		(P_NO | P_66)
#define P_32		(P_F3 | P_F2)
#define P_ALL		P_MASK

#define F_OK		(1U << 31)	/* there is such an opcode */

#define OP(_form, ...)		{ .form = F_OK | (_form), __VA_ARGS__ }
#define GROUP(_variants)		{ .form = F_OK, .variants = (_variants) }

/* Shorthands for the fields of a row. */
#define FL(_effect)		.fl = FL_##_effect
#define ATTR(_attr)		.attr = (_attr)
#define RD(_regs)		.rd = (_regs)
#define WR(_regs)		.wr = (_regs)
#define BR(_kind)		.br = KTRAMP_BR_##_kind

#define PRIV			KTRAMP_A_PRIV
#define FAULT			KTRAMP_A_FAULT
#define LOADS			KTRAMP_A_MEM_READ
#define STORES			KTRAMP_A_MEM_WRITE
#define VECTOR			KTRAMP_A_VECTOR
#define NOP			KTRAMP_A_NOP

#define AX			(1U << 0)
#define CX			(1U << 1)
#define DX			(1U << 2)
#define BX			(1U << 3)
#define SP			(1U << 4)
#define BP			(1U << 5)
#define RSI			(1U << 6)
#define RDI			(1U << 7)
#define R11			(1U << 11)
#define ALL_REGS		0xffffU

#define RM_RW			(RM_R | RM_W)
#define RG_RW			(RG_R | RG_W)
#define Z_RW			(Z_R | Z_W)

/* Operands are vector registers or memory: load, store. */
#define VEC(_pfx, ...)		OP(SZ_X | MOD | RM_R | RM_X | (_pfx), ATTR(VECTOR), __VA_ARGS__)
#define VEC_ST(_pfx, ...)	OP(SZ_X | MOD | RM_W | RM_X | (_pfx), ATTR(VECTOR), __VA_ARGS__)
/* One operand is a GPR: r/m source, r/m destination, ModRM.reg destination. */
#define VEC_RM_R(_pfx)		OP(SZ_Y | MOD | RM_R | (_pfx), ATTR(VECTOR))
#define VEC_RM_W(_pfx)		OP(SZ_Y | MOD | RM_W | (_pfx), ATTR(VECTOR))
#define VEC_RG_W(_pfx)		OP(SZ_Y | MOD | RM_R | RM_X | RG_W | (_pfx), ATTR(VECTOR))

#define PUSH(_form, ...)	OP(SZ_STK | (_form), RD(SP), WR(SP), ATTR(STORES), __VA_ARGS__)
#define POP(_form, ...)		OP(SZ_STK | (_form), RD(SP), WR(SP), ATTR(LOADS), __VA_ARGS__)

/* Hands every register to somebody: a hypervisor, an enclave, an exception handler. */
#define TRAP(_form, ...)	OP((_form), RD(ALL_REGS), FL(READ_ALL), __VA_ARGS__)

enum flag_effect {
	FL_NONE,
	FL_ARITH,		/* all overwritten or undefined */
	FL_ADC,
	FL_INC,
	FL_ZF,
	FL_CF,
	FL_CMC,
	FL_BT,
	FL_ADCX,
	FL_ADOX,
	FL_LAHF,
	FL_SAHF,
	FL_WRITE_DF,
	FL_WRITE_IF,
	FL_READ_DF,
	FL_CMPS,
	FL_READ_ZF,
	FL_READ_ALL,
	FL_WRITE_ALL,
	FL_FCOMI,
	FL_FCMOV,
	/* from here on insn.c looks closer: condition code, shift count */
	FL_CC,
	FL_SHIFT_N,
	FL_ROTATE_N,
	FL_RCX_N,
	FL_SHIFT_CL,
	FL_ROTATE_CL,
	FL_RCX_CL,
};

struct flag_rw {
	u16 rd;
	u16 wr;
};

#define CF		KTRAMP_F_CF
#define ZF		KTRAMP_F_ZF
#define OF		KTRAMP_F_OF
#define SF		KTRAMP_F_SF
#define PF		KTRAMP_F_PF
#define AF		KTRAMP_F_AF
#define ALL_FLAGS	(KTRAMP_F_ARITH | KTRAMP_F_DF | KTRAMP_F_IF | KTRAMP_F_TF)

static const struct flag_rw flag_effects[] = {
	[FL_ARITH] = { 0, KTRAMP_F_ARITH },
	[FL_ADC] = { CF, KTRAMP_F_ARITH },
	[FL_INC] = { 0, KTRAMP_F_ARITH & ~CF },
	[FL_ZF] = { 0, ZF },
	[FL_CF] = { 0, CF },
	[FL_CMC] = { CF, CF },
	[FL_BT] = { 0, KTRAMP_F_ARITH & ~ZF },
	[FL_ADCX] = { CF, CF },
	[FL_ADOX] = { OF, OF },
	[FL_LAHF] = { KTRAMP_F_ARITH & ~OF, 0 },
	[FL_SAHF] = { 0, KTRAMP_F_ARITH & ~OF },
	[FL_WRITE_DF] = { 0, KTRAMP_F_DF },
	[FL_WRITE_IF] = { 0, KTRAMP_F_IF },
	[FL_READ_DF] = { KTRAMP_F_DF, 0 },
	[FL_CMPS] = { KTRAMP_F_DF, KTRAMP_F_ARITH },
	[FL_READ_ZF] = { ZF, 0 },
	[FL_READ_ALL] = { ALL_FLAGS, 0 },
	[FL_WRITE_ALL] = { 0, ALL_FLAGS },
	[FL_FCOMI] = { 0, CF | PF | ZF },
	[FL_FCMOV] = { CF | PF | ZF, 0 },
	[FL_SHIFT_N] = { 0, KTRAMP_F_ARITH },
	[FL_ROTATE_N] = { 0, CF | OF },
	[FL_RCX_N] = { CF, CF | OF },
	[FL_SHIFT_CL] = { KTRAMP_F_ARITH, 0 },
	[FL_ROTATE_CL] = { CF | OF, 0 },
	[FL_RCX_CL] = { CF | OF, 0 },
};

/* What the condition in bits 3..1 of jcc, setcc and cmovcc looks at. */
static const u16 cc_flags[8] = { OF, CF, ZF, CF | ZF, SF, PF, SF | OF, ZF | SF | OF };

/**
 * struct variant - one meaning of an opcode that has several
 * @pfx: mandatory prefixes it stands for, bit 0 none, 1: 66, 2: f3, 3: f2
 * @mod: bit 0 for memory, bit 1 for a register
 * @reg: bit n for ModRM.reg == n
 * @rm: bit n for ModRM.rm == n
 */
struct variant {
	u8 pfx;
	u8 mod;
	u8 reg;
	u8 rm;
	struct op op;
};

#define ANY		0xffU
#define MEM		1U
#define REG		2U
#define NO		1U
#define P66		2U
#define PF3		4U
#define PF2		8U
#define NTH(_n)		(1U << (_n))

/* By ModRM.reg alone; with memory or register too; one ModRM byte; the latter with a prefix. */
#define BY_REG(_reg, ...)		{ ANY, ANY, NTH(_reg), ANY, __VA_ARGS__ }
#define BY_MOD(_mod, _reg, ...)		{ ANY, _mod, NTH(_reg), ANY, __VA_ARGS__ }
#define BY_PFX(_pfx, _mod, ...)		{ _pfx, _mod, ANY, ANY, __VA_ARGS__ }
#define BY_MODRM(_pfx, _byte, ...)	{ _pfx, REG, NTH(((_byte) >> 3) & 7), \
					  NTH((_byte) & 7), __VA_ARGS__ }
#define BY_ALL(_pfx, _mod, _reg, ...)	{ _pfx, _mod, NTH(_reg), ANY, __VA_ARGS__ }

#endif /* KTRAMP_INSN_ROW_H */
