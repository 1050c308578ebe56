/* SPDX-License-Identifier: GPL-2.0-only */
/* Opcodes without VEX and EVEX, by map; before them the meanings of those with several. */
#ifndef KTRAMP_INSN_MAP_H
#define KTRAMP_INSN_MAP_H

#include "decode/insn_row.h"

#define ALU_GROUP(_form) { \
	{ ANY, ANY, NTH(0) | NTH(1) | NTH(4) | NTH(5) | NTH(6), ANY, \
	  OP((_form) | MOD | RM_RW | LOCKABLE, FL(ARITH)) }, \
	{ ANY, ANY, NTH(2) | NTH(3), ANY, \
	  OP((_form) | MOD | RM_RW | LOCKABLE, FL(ADC)) }, \
	BY_REG(7, OP((_form) | MOD | RM_R, FL(ARITH))), \
	{ } }

#define SHIFT_GROUP(_form, _by, ...) { \
	{ ANY, ANY, NTH(0) | NTH(1), ANY, \
	  OP((_form) | MOD | RM_RW, FL(ROTATE##_by), __VA_ARGS__) }, \
	{ ANY, ANY, NTH(2) | NTH(3), ANY, \
	  OP((_form) | MOD | RM_RW, FL(RCX##_by), __VA_ARGS__) }, \
	{ ANY, ANY, ANY, ANY, \
	  OP((_form) | MOD | RM_RW, FL(SHIFT##_by), __VA_ARGS__) }, \
	{ } }

static const struct variant group_alu_b[] = ALU_GROUP(SZ_B | I_B);
static const struct variant group_alu_z[] = ALU_GROUP(SZ_V | I_Z);
static const struct variant group_alu_v[] = ALU_GROUP(SZ_V | I_B);
static const struct variant group_shift_b[] = SHIFT_GROUP(SZ_B | I_B, _N);
static const struct variant group_shift_v[] = SHIFT_GROUP(SZ_V | I_B, _N);
static const struct variant group_shift_1b[] = SHIFT_GROUP(SZ_B, _N);
static const struct variant group_shift_1v[] = SHIFT_GROUP(SZ_V, _N);
static const struct variant group_shift_cb[] = SHIFT_GROUP(SZ_B, _CL, RD(CX));
static const struct variant group_shift_cv[] = SHIFT_GROUP(SZ_V, _CL, RD(CX));

static const struct variant group_mov_sreg[] = {
	{ ANY, ANY, 0x3f, ANY, OP(SZ_V | MOD | RM_W) },
	{ }
};

static const struct variant group_to_sreg[] = {
	BY_REG(2, OP(SZ_V | MOD | RM_R, ATTR(PRIV | KTRAMP_A_SS_SHADOW))),
	{ ANY, ANY, NTH(0) | NTH(3) | NTH(4) | NTH(5), ANY, OP(SZ_V | MOD | RM_R, ATTR(PRIV)) },
	{ }
};

static const struct variant group_pop[] = {
	BY_REG(0, POP(MOD | RM_W)),
	{ }
};

static const struct variant group_mov_b[] = {
	BY_REG(0, OP(SZ_B | MOD | RM_W | I_B)),
	BY_MODRM(ANY, 0xf8, TRAP(SZ_B | MOD | I_B)),				/* xabort */
	{ }
};

static const struct variant group_mov_v[] = {
	BY_REG(0, OP(SZ_V | MOD | RM_W | I_Z)),
	BY_MODRM(ANY, 0xf8, OP(SZ_V | MOD | I_Z, RD(AX), BR(XBEGIN))),
	{ }
};

#define UNARY_GROUP(_form, _imm, _out) { \
	{ ANY, ANY, NTH(0) | NTH(1), ANY, OP((_form) | MOD | RM_R | (_imm), FL(ARITH)) }, \
	BY_REG(2, OP((_form) | MOD | RM_RW | LOCKABLE)), \
	BY_REG(3, OP((_form) | MOD | RM_RW | LOCKABLE, FL(ARITH))), \
	{ ANY, ANY, NTH(4) | NTH(5), ANY, \
	  OP((_form) | MOD | RM_R, RD(AX), WR(_out), FL(ARITH)) }, \
	{ ANY, ANY, NTH(6) | NTH(7), ANY, \
	  OP((_form) | MOD | RM_R, RD(_out), WR(_out), FL(ARITH), ATTR(FAULT)) }, \
	{ } }

/* test, test, not, neg, mul, imul, div, idiv; the byte forms use AX alone */
static const struct variant group_f6[] = UNARY_GROUP(SZ_B, I_B, AX);
static const struct variant group_f7[] = UNARY_GROUP(SZ_V, I_Z, AX | DX);

static const struct variant group_fe[] = {
	{ ANY, ANY, NTH(0) | NTH(1), ANY, OP(SZ_B | MOD | RM_RW | LOCKABLE, FL(INC)) },
	{ }
};

static const struct variant group_ff[] = {
	{ ANY, ANY, NTH(0) | NTH(1), ANY, OP(SZ_V | MOD | RM_RW | LOCKABLE, FL(INC)) },
	BY_REG(2, OP(SZ_Q | MOD | RM_R, RD(SP), WR(SP), ATTR(STORES), BR(CALL_IND))),
	BY_MOD(MEM, 3, OP(SZ_V | MOD | RM_R, RD(SP), WR(SP), ATTR(STORES | PRIV), BR(FAR))),
	BY_REG(4, OP(SZ_Q | MOD | RM_R, BR(JMP_IND))),
	BY_MOD(MEM, 5, OP(SZ_V | MOD | RM_R, ATTR(PRIV), BR(FAR))),
	BY_REG(6, PUSH(MOD | RM_R)),
	{ }
};

static const struct variant group_0f00[] = {
	{ ANY, ANY, NTH(0) | NTH(1), ANY, OP(SZ_V | MOD | RM_W) },		/* sldt str */
	{ ANY, ANY, NTH(2) | NTH(3), ANY, OP(SZ_V | MOD | RM_R, ATTR(PRIV)) },	/* lldt ltr */
	{ ANY, ANY, NTH(4) | NTH(5), ANY, OP(SZ_V | MOD | RM_R, FL(ZF)) },	/* verr verw */
	BY_ALL(PF2, ANY, 6, OP(SZ_V | MOD | RM_R, ATTR(PRIV))),			/* lkgs */
	{ }
};

#define SYS(...)	OP(SZ_Q | MOD, __VA_ARGS__)

static const struct variant group_0f01[] = {
	{ ANY, MEM, NTH(0) | NTH(1), ANY, OP(SZ_Q | MOD | RM_W) },		/* sgdt sidt */
	{ ANY, MEM, NTH(2) | NTH(3), ANY, OP(SZ_Q | MOD | RM_R, ATTR(PRIV)) },	/* lgdt lidt */
	BY_REG(4, OP(SZ_V | MOD | RM_W)),					/* smsw */
	BY_ALL(PF3, MEM, 5, OP(SZ_Q | MOD | RM_RW, ATTR(PRIV))),		/* rstorssp */
	BY_REG(6, OP(SZ_V | MOD | RM_R, ATTR(PRIV))),				/* lmsw */
	BY_MOD(MEM, 7, OP(SZ_B | MOD, ATTR(PRIV))),				/* invlpg */
	BY_MODRM(NO, 0xc0, TRAP(MOD, ATTR(PRIV))),				/* enclv */
	BY_MODRM(NO, 0xc1, TRAP(MOD, ATTR(PRIV))),				/* vmcall */
	BY_MODRM(NO, 0xc2, TRAP(MOD, ATTR(PRIV))),				/* vmlaunch */
	BY_MODRM(NO, 0xc3, TRAP(MOD, ATTR(PRIV))),				/* vmresume */
	BY_MODRM(NO, 0xc4, SYS(FL(ARITH), ATTR(PRIV))),				/* vmxoff */
	BY_MODRM(NO, 0xc5, TRAP(MOD, ATTR(PRIV))),				/* pconfig */
	BY_MODRM(NO, 0xc6, SYS(RD(AX | CX | DX), ATTR(PRIV))),			/* wrmsrns */
	BY_MODRM(NO, 0xc8, SYS(RD(AX | CX | DX), ATTR(PRIV))),			/* monitor */
	BY_MODRM(NO, 0xc9, SYS(RD(AX | CX), ATTR(PRIV))),			/* mwait */
	BY_MODRM(NO, 0xca, SYS(ATTR(PRIV))),					/* clac */
	BY_MODRM(NO, 0xcb, SYS(ATTR(PRIV))),					/* stac */
	BY_MODRM(PF3 | PF2, 0xca, OP(SZ_Q | MOD, RD(SP), WR(SP), FL(WRITE_ALL), BR(FAR),
				     ATTR(PRIV | LOADS))),			/* eretu erets */
	BY_MODRM(P66, 0xcc, TRAP(MOD, ATTR(PRIV))),				/* tdcall */
	BY_MODRM(P66, 0xcd, TRAP(MOD, ATTR(PRIV))),				/* seamret */
	BY_MODRM(P66, 0xce, TRAP(MOD, ATTR(PRIV))),				/* seamops */
	BY_MODRM(NO | P66, 0xcf, TRAP(MOD, ATTR(PRIV))),			/* encls seamcall */
	BY_MODRM(NO, 0xd0, OP(SZ_D | MOD, RD(CX), WR(AX | DX), ATTR(FAULT))),	/* xgetbv */
	BY_MODRM(NO, 0xd1, SYS(RD(AX | CX | DX), ATTR(PRIV))),			/* xsetbv */
	BY_MODRM(NO, 0xd4, TRAP(MOD, ATTR(PRIV))),				/* vmfunc */
	BY_MODRM(NO, 0xd5, TRAP(MOD, ATTR(FAULT))),				/* xend */
	BY_MODRM(NO, 0xd6, OP(MOD, FL(ARITH))),					/* xtest */
	BY_MODRM(NO, 0xd7, TRAP(MOD, ATTR(PRIV))),				/* enclu */
	BY_MODRM(ANY, 0xd8, TRAP(MOD, ATTR(PRIV))),				/* vmrun */
	BY_MODRM(ANY, 0xd9, TRAP(MOD, ATTR(PRIV))),			/* vmmcall vmgexit */
	BY_MODRM(ANY, 0xda, SYS(RD(AX), ATTR(PRIV | LOADS))),			/* vmload */
	BY_MODRM(ANY, 0xdb, SYS(RD(AX), ATTR(PRIV | STORES))),			/* vmsave */
	BY_MODRM(ANY, 0xdc, SYS(ATTR(PRIV))),					/* stgi */
	BY_MODRM(ANY, 0xdd, SYS(ATTR(PRIV))),					/* clgi */
	BY_MODRM(ANY, 0xde, TRAP(MOD, ATTR(PRIV))),				/* skinit */
	BY_MODRM(ANY, 0xdf, SYS(RD(AX | CX), ATTR(PRIV))),			/* invlpga */
	BY_MODRM(NO, 0xe8, OP(MOD)),						/* serialize */
	BY_MODRM(PF3, 0xe8, SYS(ATTR(PRIV | LOADS | STORES))),			/* setssbsy */
	BY_MODRM(PF2, 0xe8, SYS(ATTR(FAULT))),					/* xsusldtrk */
	BY_MODRM(PF2, 0xe9, SYS(ATTR(FAULT))),					/* xresldtrk */
	BY_MODRM(PF3, 0xea, SYS(ATTR(PRIV | LOADS | STORES))),			/* saveprevssp */
	BY_MODRM(NO, 0xee, OP(SZ_D | MOD, RD(CX), WR(AX | DX), ATTR(PRIV))),	/* rdpkru */
	BY_MODRM(NO, 0xef, SYS(RD(AX | CX | DX), ATTR(PRIV))),			/* wrpkru */
	BY_MODRM(ANY, 0xf8, SYS(ATTR(PRIV))),					/* swapgs */
	BY_MODRM(ANY, 0xf9, OP(SZ_D | MOD, WR(AX | CX | DX))),			/* rdtscp */
	BY_MODRM(NO, 0xfa, SYS(RD(AX | CX | DX), ATTR(PRIV))),			/* monitorx */
	BY_MODRM(PF3, 0xfa, SYS(FL(CF), ATTR(PRIV))),				/* mcommit */
	BY_MODRM(NO, 0xfb, SYS(RD(AX | BX | CX), ATTR(PRIV))),			/* mwaitx */
	BY_MODRM(ANY, 0xfc, SYS(RD(AX), ATTR(STORES))),				/* clzero */
	BY_MODRM(ANY, 0xfd, OP(SZ_D | MOD, RD(CX), WR(AX | DX), ATTR(PRIV))),	/* rdpru */
	BY_MODRM(NO, 0xfe, SYS(RD(AX | CX | DX), ATTR(PRIV))),			/* invlpgb */
	BY_MODRM(NO, 0xff, SYS(ATTR(PRIV))),					/* tlbsync */
	BY_MODRM(PF3, 0xfe, SYS(RD(AX | CX | DX), WR(AX), FL(INC), ATTR(PRIV))), /* rmpadjust */
	BY_MODRM(PF2, 0xfe, SYS(RD(AX | CX), WR(AX), FL(INC), ATTR(PRIV | LOADS))), /* rmpupdate */
	BY_MODRM(PF3, 0xff, SYS(RD(AX), WR(AX), FL(INC), ATTR(PRIV))),		/* psmash */
	BY_MODRM(PF2, 0xff, SYS(RD(AX | CX | DX), WR(AX), FL(ARITH), ATTR(PRIV))), /* pvalidate */
	{ }
};

static const struct variant group_prefetch[] = {
	{ ANY, MEM, 0x0f, ANY, OP(SZ_B | MOD) },
	{ ANY, ANY, ANY, ANY, OP(SZ_V | MOD, ATTR(NOP)) },
	{ }
};

static const struct variant group_prefetchw[] = {
	{ ANY, MEM, ANY, ANY, OP(SZ_B | MOD) },
	{ ANY, REG, ANY, ANY, OP(SZ_V | MOD, ATTR(NOP)) },
	{ }
};

static const struct variant group_cldemote[] = {
	BY_ALL(NO, MEM, 0, OP(SZ_B | MOD)),
	{ ANY, ANY, ANY, ANY, OP(SZ_V | MOD, ATTR(NOP)) },
	{ }
};

static const struct variant group_0f1e[] = {
	BY_ALL(PF3, REG, 1, OP(SZ_Y | MOD | RM_R)),		/* rdssp: a nop while CET is off */
	{ ANY, ANY, ANY, ANY, OP(SZ_V | MOD, ATTR(NOP)) },
	{ }
};

static const struct variant group_si2f[] = {
	BY_PFX(NO | P66, ANY, VEC(0)),
	BY_PFX(PF3 | PF2, ANY, VEC_RM_R(0)),
	{ }
};

static const struct variant group_f2si[] = {
	BY_PFX(NO | P66, ANY, VEC(0)),
	BY_PFX(PF3 | PF2, ANY, VEC_RG_W(0)),
	{ }
};

static const struct variant group_12[] = {
	BY_PFX(NO | PF3 | PF2, ANY, VEC(0)),
	BY_PFX(P66, MEM, VEC(0)),
	{ }
};

static const struct variant group_16[] = {
	BY_PFX(NO | PF3, ANY, VEC(0)),
	BY_PFX(P66, MEM, VEC(0)),
	{ }
};

static const struct variant group_pshift[] = {
	{ NO | P66, REG, NTH(2) | NTH(4) | NTH(6), ANY, VEC(I_B) },
	{ }
};

static const struct variant group_pshiftq[] = {
	{ NO | P66, REG, NTH(2) | NTH(6), ANY, VEC(I_B) },
	{ P66, REG, NTH(3) | NTH(7), ANY, VEC(I_B) },
	{ }
};

static const struct variant group_7e[] = {
	BY_PFX(NO | P66, ANY, VEC_RM_W(0)),
	BY_PFX(PF3, ANY, VEC(0)),
	{ }
};

/* The masks of the xsave family are EDX:EAX. */
#define XSTATE(_rw, ...)	OP(SZ_X | MOD | (_rw), RD(AX | DX), __VA_ARGS__)

static const struct variant group_0fae[] = {
	BY_ALL(NO, MEM, 0, OP(SZ_X | MOD | RM_W, ATTR(VECTOR))),		/* fxsave */
	BY_ALL(NO, MEM, 1, OP(SZ_X | MOD | RM_R, ATTR(VECTOR))),		/* fxrstor */
	BY_ALL(NO, MEM, 2, OP(SZ_D | MOD | RM_R, ATTR(VECTOR))),		/* ldmxcsr */
	BY_ALL(NO, MEM, 3, OP(SZ_D | MOD | RM_W, ATTR(VECTOR))),		/* stmxcsr */
	BY_ALL(NO, MEM, 4, XSTATE(RM_RW, ATTR(VECTOR))),			/* xsave */
	BY_ALL(NO, MEM, 5, XSTATE(RM_R, ATTR(VECTOR))),				/* xrstor */
	BY_ALL(NO, MEM, 6, XSTATE(RM_RW, ATTR(VECTOR))),			/* xsaveopt */
	BY_ALL(NO | P66, MEM, 7, OP(SZ_B | MOD | RM_R)),			/* clflush(opt) */
	BY_ALL(P66, MEM, 6, OP(SZ_B | MOD | RM_R)),				/* clwb */
	BY_ALL(PF3, MEM, 6, OP(SZ_Q | MOD | RM_RW, FL(CF), ATTR(PRIV))),	/* clrssbsy */
	BY_ALL(PF3, ANY, 4, OP(SZ_Y | MOD | RM_R, ATTR(PRIV))),			/* ptwrite */
	{ PF3, REG, NTH(0) | NTH(1), ANY, OP(SZ_Y | MOD | RM_W, ATTR(PRIV)) },	/* rdfsbase.. */
	{ PF3, REG, NTH(2) | NTH(3), ANY, OP(SZ_Y | MOD | RM_R, ATTR(PRIV)) },	/* wrfsbase.. */
	{ NO, REG, NTH(5) | NTH(6) | NTH(7), ANY, OP(MOD) },			/* fences */
	BY_ALL(PF3, REG, 5, OP(SZ_Y | MOD | RM_R, ATTR(PRIV))),			/* incssp */
	BY_ALL(P66, REG, 6, OP(SZ_Y | MOD | RM_R, RD(AX | DX), FL(ARITH), ATTR(PRIV))),
	BY_ALL(PF3, REG, 6, OP(SZ_Q | MOD | RM_R, ATTR(PRIV))),			/* umonitor */
	BY_ALL(PF2, REG, 6, OP(SZ_Y | MOD | RM_R, RD(AX | DX), FL(ARITH), ATTR(PRIV))),
	{ }
};

/* VIA: a random number, or a whole buffer at %rsi, %rdi and others encrypted or hashed. */
#define PADLOCK(_reg) { \
	{ ANY, REG, _reg, NTH(0), \
	  OP(SZ_Q | MOD, RD(ALL_REGS), ATTR(LOADS | STORES | KTRAMP_A_REP)) }, \
	{ } }

static const struct variant group_padlock_sha[] = PADLOCK(0x07);
static const struct variant group_padlock_aes[] = PADLOCK(0x3f);

static const struct variant group_popcnt[] = {
	BY_PFX(PF3, ANY, OP(SZ_V | MOD | RM_R | RG_W, FL(ARITH))),
	{ }
};

static const struct variant group_bt[] = {
	BY_REG(4, OP(SZ_V | MOD | RM_R | I_B, FL(BT))),
	{ ANY, ANY, NTH(5) | NTH(6) | NTH(7), ANY,
	  OP(SZ_V | MOD | RM_RW | LOCKABLE | I_B, FL(BT)) },
	{ }
};

static const struct variant group_0fc7[] = {
	/* RDX:RAX is loaded only if the comparison fails */
	BY_MOD(MEM, 1, OP(SZ_Y | MOD | RM_RW | LOCKABLE, RD(AX | BX | CX | DX), FL(ZF))),
	BY_ALL(NO, MEM, 3, XSTATE(RM_R, ATTR(VECTOR | PRIV))),			/* xrstors */
	BY_ALL(NO, MEM, 4, XSTATE(RM_W, ATTR(VECTOR))),				/* xsavec */
	BY_ALL(NO, MEM, 5, XSTATE(RM_W, ATTR(VECTOR | PRIV))),			/* xsaves */
	BY_ALL(NO, MEM, 6, OP(SZ_Q | MOD | RM_R, FL(ARITH), ATTR(PRIV))),	/* vmptrld */
	BY_ALL(NO, MEM, 7, OP(SZ_Q | MOD | RM_W, FL(ARITH), ATTR(PRIV))),	/* vmptrst */
	BY_ALL(P66, MEM, 6, OP(SZ_Q | MOD | RM_R, FL(ARITH), ATTR(PRIV))),	/* vmclear */
	BY_ALL(PF3, MEM, 6, OP(SZ_Q | MOD | RM_R, FL(ARITH), ATTR(PRIV))),	/* vmxon */
	BY_ALL(NO | P66, REG, 6, OP(SZ_V | MOD | RM_W, FL(ARITH))),		/* rdrand */
	BY_ALL(NO | P66, REG, 7, OP(SZ_V | MOD | RM_W, FL(ARITH))),		/* rdseed */
	BY_ALL(PF3, REG, 7, OP(SZ_Q | MOD | RM_W)),				/* rdpid */
	{ }
};

static const struct variant group_d6[] = {
	BY_PFX(P66, ANY, VEC_ST(0)),
	BY_PFX(PF3 | PF2, REG, VEC(0)),
	{ }
};

static const struct variant group_f0[] = {
	BY_PFX(NO | P66, MEM, OP(SZ_V | MOD | RM_R | RG_W)),			/* movbe */
	BY_PFX(PF2, ANY, OP(SZ_Y | MOD | RM_R | RM_B | RG_RW)),			/* crc32 */
	{ }
};

static const struct variant group_f1[] = {
	BY_PFX(NO | P66, MEM, OP(SZ_V | MOD | RM_W | RG_R)),
	BY_PFX(PF2, ANY, OP(SZ_Y | MOD | RM_R | RG_RW)),
	{ }
};

static const struct variant group_f6_38[] = {
	BY_PFX(NO, MEM, OP(SZ_Y | MOD | RM_W | RG_R, ATTR(PRIV))),		/* wrss */
	BY_PFX(P66, ANY, OP(SZ_Y | MOD | RM_R | RG_RW, FL(ADCX))),
	BY_PFX(PF3, ANY, OP(SZ_Y | MOD | RM_R | RG_RW, FL(ADOX))),
	{ }
};

/* The destination is the address in ModRM.reg. */
static const struct variant group_f8_38[] = {
	BY_PFX(P66, MEM, OP(SZ_Q | MOD | RM_R | RG_R, ATTR(STORES))),		/* movdir64b */
	BY_PFX(PF3 | PF2, MEM, OP(SZ_Q | MOD | RM_R | RG_R, FL(ARITH),
				  ATTR(STORES | PRIV))),			/* enqcmd(s) */
	{ }
};

static const struct variant group_hreset[] = {
	BY_MODRM(PF3, 0xc0, OP(SZ_D | MOD | I_B, RD(AX), ATTR(PRIV))),
	{ }
};

#define ALU(_op, _out, _fl, _more) \
	[(_op) + 0] = OP(SZ_B | MOD | RM_R | RG_R | ((_out) ? RM_W | LOCKABLE : 0), FL(_fl)), \
	[(_op) + 1] = OP(SZ_V | MOD | RM_R | RG_R | ((_out) ? RM_W | LOCKABLE : 0) | (_more), \
			 FL(_fl)), \
	[(_op) + 2] = OP(SZ_B | MOD | RM_R | RG_R | ((_out) ? RG_W : 0), FL(_fl)), \
	[(_op) + 3] = OP(SZ_V | MOD | RM_R | RG_R | ((_out) ? RG_W : 0) | (_more), FL(_fl)), \
	[(_op) + 4] = OP(SZ_B | I_B, RD(AX), WR((_out) ? AX : 0), FL(_fl)), \
	[(_op) + 5] = OP(SZ_V | I_Z, RD(AX), WR((_out) ? AX : 0), FL(_fl))

static const struct op map_1b[256] = {
	ALU(0x00, 1, ARITH, 0),						/* add */
	ALU(0x08, 1, ARITH, 0),						/* or */
	ALU(0x10, 1, ADC, 0),						/* adc */
	ALU(0x18, 1, ADC, 0),						/* sbb */
	ALU(0x20, 1, ARITH, 0),						/* and */
	ALU(0x28, 1, ARITH, ZEROES),					/* sub */
	ALU(0x30, 1, ARITH, ZEROES),					/* xor */
	ALU(0x38, 0, ARITH, 0),						/* cmp */
	[0x50 ... 0x57] = PUSH(Z_R),
	[0x58 ... 0x5f] = POP(Z_W),
	[0x63] = OP(SZ_V | MOD | RM_R | RG_W),				/* movsxd */
	[0x68] = PUSH(I_Z),
	[0x69] = OP(SZ_V | MOD | RM_R | RG_W | I_Z, FL(ARITH)),		/* imul */
	[0x6a] = PUSH(I_B),
	[0x6b] = OP(SZ_V | MOD | RM_R | RG_W | I_B, FL(ARITH)),
	[0x6c] = OP(SZ_B | DI, RD(DX), FL(READ_DF), ATTR(PRIV)),	/* ins */
	[0x6d] = OP(SZ_V | DI, RD(DX), FL(READ_DF), ATTR(PRIV)),
	[0x6e] = OP(SZ_B | SI, RD(DX), FL(READ_DF), ATTR(PRIV)),	/* outs */
	[0x6f] = OP(SZ_V | SI, RD(DX), FL(READ_DF), ATTR(PRIV)),
	[0x70 ... 0x7f] = OP(SZ_Q | I_B, FL(CC), BR(JCC)),
	[0x80] = GROUP(group_alu_b),
	[0x81] = GROUP(group_alu_z),
	[0x83] = GROUP(group_alu_v),
	[0x84] = OP(SZ_B | MOD | RM_R | RG_R, FL(ARITH)),		/* test */
	[0x85] = OP(SZ_V | MOD | RM_R | RG_R, FL(ARITH)),
	[0x86] = OP(SZ_B | MOD | RM_RW | RG_RW | LOCKABLE, ATTR(KTRAMP_A_LOCK)), /* xchg */
	[0x87] = OP(SZ_V | MOD | RM_RW | RG_RW | LOCKABLE, ATTR(KTRAMP_A_LOCK)),
	[0x88] = OP(SZ_B | MOD | RM_W | RG_R),				/* mov */
	[0x89] = OP(SZ_V | MOD | RM_W | RG_R),
	[0x8a] = OP(SZ_B | MOD | RM_R | RG_W),
	[0x8b] = OP(SZ_V | MOD | RM_R | RG_W),
	[0x8c] = GROUP(group_mov_sreg),
	[0x8d] = OP(SZ_V | MOD | RM_MEM | RG_W),			/* lea */
	[0x8e] = GROUP(group_to_sreg),
	[0x8f] = GROUP(group_pop),
	[0x90 ... 0x97] = OP(SZ_V | Z_RW, RD(AX), WR(AX)),		/* xchg, nop, pause */
	[0x98] = OP(SZ_V, RD(AX), WR(AX)),				/* cbw */
	[0x99] = OP(SZ_V, RD(AX), WR(DX)),				/* cwd */
	[0x9b] = OP(SZ_X, ATTR(VECTOR)),				/* fwait */
	[0x9c] = PUSH(0, FL(READ_ALL)),					/* pushf */
	[0x9d] = POP(0, FL(WRITE_ALL)),
	[0x9e] = OP(SZ_B, RD(AX), FL(SAHF)),
	[0x9f] = OP(SZ_B, RD(AX), FL(LAHF)),
	[0xa0] = OP(SZ_B | I_ADDR, WR(AX), ATTR(LOADS)),		/* mov moffs */
	[0xa1] = OP(SZ_V | I_ADDR, WR(AX), ATTR(LOADS)),
	[0xa2] = OP(SZ_B | I_ADDR, RD(AX), ATTR(STORES)),
	[0xa3] = OP(SZ_V | I_ADDR, RD(AX), ATTR(STORES)),
	[0xa4] = OP(SZ_B | SI | DI, FL(READ_DF)),			/* movs */
	[0xa5] = OP(SZ_V | SI | DI, FL(READ_DF)),
	[0xa6] = OP(SZ_B | SI | DI, FL(CMPS)),				/* cmps */
	[0xa7] = OP(SZ_V | SI | DI, FL(CMPS)),
	[0xa8] = OP(SZ_B | I_B, RD(AX), FL(ARITH)),			/* test */
	[0xa9] = OP(SZ_V | I_Z, RD(AX), FL(ARITH)),
	[0xaa] = OP(SZ_B | DI, RD(AX), FL(READ_DF)),			/* stos */
	[0xab] = OP(SZ_V | DI, RD(AX), FL(READ_DF)),
	[0xac] = OP(SZ_B | SI, WR(AX), FL(READ_DF)),			/* lods */
	[0xad] = OP(SZ_V | SI, WR(AX), FL(READ_DF)),
	[0xae] = OP(SZ_B | DI, RD(AX), FL(CMPS)),			/* scas */
	[0xaf] = OP(SZ_V | DI, RD(AX), FL(CMPS)),
	[0xb0 ... 0xb7] = OP(SZ_B | Z_W | I_B),
	[0xb8 ... 0xbf] = OP(SZ_V | Z_W | I_V),
	[0xc0] = GROUP(group_shift_b),
	[0xc1] = GROUP(group_shift_v),
	[0xc2] = OP(SZ_Q | I_W, RD(SP), WR(SP), ATTR(LOADS), BR(RET)),
	[0xc3] = OP(SZ_Q, RD(SP), WR(SP), ATTR(LOADS), BR(RET)),
	[0xc6] = GROUP(group_mov_b),
	[0xc7] = GROUP(group_mov_v),
	[0xc8] = OP(SZ_STK | I_WB, RD(SP | BP), WR(SP | BP), ATTR(LOADS | STORES)), /* enter */
	[0xc9] = OP(SZ_STK, RD(BP), WR(SP | BP), ATTR(LOADS)),		/* leave */
	[0xca] = OP(SZ_V | I_W, RD(SP), WR(SP), ATTR(LOADS | PRIV), BR(FAR)),
	[0xcb] = OP(SZ_V, RD(SP), WR(SP), ATTR(LOADS | PRIV), BR(FAR)),
	[0xcc] = TRAP(0, BR(TRAP)),					/* int3 */
	[0xcd] = TRAP(I_B, BR(FAR)),					/* int */
	[0xcf] = OP(SZ_V, RD(SP), WR(SP), FL(WRITE_ALL), ATTR(LOADS | PRIV), BR(FAR)),
	[0xd0] = GROUP(group_shift_1b),
	[0xd1] = GROUP(group_shift_1v),
	[0xd2] = GROUP(group_shift_cb),
	[0xd3] = GROUP(group_shift_cv),
	[0xd7] = OP(SZ_B, RD(BX | AX), WR(AX), ATTR(LOADS)),		/* xlat */
	[0xe0 ... 0xe1] = OP(SZ_Q | I_B, RD(CX), WR(CX), FL(READ_ZF), BR(LOOP)),
	[0xe2] = OP(SZ_Q | I_B, RD(CX), WR(CX), BR(LOOP)),
	[0xe3] = OP(SZ_Q | I_B, RD(CX), BR(LOOP)),			/* jrcxz */
	[0xe4] = OP(SZ_B | I_B, WR(AX), ATTR(PRIV)),			/* in */
	[0xe5] = OP(SZ_V | I_B, WR(AX), ATTR(PRIV)),
	[0xe6] = OP(SZ_B | I_B, RD(AX), ATTR(PRIV)),			/* out */
	[0xe7] = OP(SZ_V | I_B, RD(AX), ATTR(PRIV)),
	[0xe8] = OP(SZ_Q | I_Z, RD(SP), WR(SP), ATTR(STORES), BR(CALL)),
	[0xe9] = OP(SZ_Q | I_Z, BR(JMP)),
	[0xeb] = OP(SZ_Q | I_B, BR(JMP)),
	[0xec] = OP(SZ_B, RD(DX), WR(AX), ATTR(PRIV)),
	[0xed] = OP(SZ_V, RD(DX), WR(AX), ATTR(PRIV)),
	[0xee] = OP(SZ_B, RD(AX | DX), ATTR(PRIV)),
	[0xef] = OP(SZ_V, RD(AX | DX), ATTR(PRIV)),
	[0xf1] = TRAP(0, BR(TRAP)),					/* int1 */
	[0xf4] = OP(SZ_Q, ATTR(PRIV)),					/* hlt */
	[0xf5] = OP(SZ_Q, FL(CMC)),
	[0xf6] = GROUP(group_f6),
	[0xf7] = GROUP(group_f7),
	[0xf8 ... 0xf9] = OP(SZ_Q, FL(CF)),				/* clc stc */
	[0xfa ... 0xfb] = OP(SZ_Q, FL(WRITE_IF), ATTR(PRIV)),		/* cli sti */
	[0xfc ... 0xfd] = OP(SZ_Q, FL(WRITE_DF)),			/* cld std */
	[0xfe] = GROUP(group_fe),
	[0xff] = GROUP(group_ff),
};

static const struct op map_0f[256] = {
	[0x00] = GROUP(group_0f00),
	[0x01] = GROUP(group_0f01),
	[0x02 ... 0x03] = OP(SZ_V | MOD | RM_R | RG_R, FL(ZF)),		/* lar lsl: may not write */
	[0x05] = TRAP(0, BR(FAR)),					/* syscall */
	[0x06] = OP(SZ_Q, ATTR(PRIV)),					/* clts */
	[0x07] = OP(SZ_V, RD(CX | R11), FL(WRITE_ALL), ATTR(PRIV), BR(FAR)), /* sysret */
	[0x08 ... 0x09] = OP(SZ_Q, ATTR(PRIV)),				/* invd wbinvd wbnoinvd */
	[0x0b] = TRAP(0, BR(TRAP)),					/* ud2 */
	[0x0d] = GROUP(group_prefetchw),
	[0x10] = VEC(P_ALL),
	[0x11] = VEC_ST(P_ALL),
	[0x12] = GROUP(group_12),
	[0x13] = VEC_ST(P_N6 | RM_MEM),
	[0x14 ... 0x15] = VEC(P_N6),
	[0x16] = GROUP(group_16),
	[0x17] = VEC_ST(P_N6 | RM_MEM),
	[0x18] = GROUP(group_prefetch),
	[0x19] = OP(SZ_V | MOD, ATTR(NOP)),
	[0x1a ... 0x1b] = OP(SZ_Q | MOD | RM_R | RM_CW, ATTR(VECTOR)),	/* MPX, at its widest */
	[0x1c] = GROUP(group_cldemote),
	[0x1d] = OP(SZ_V | MOD, ATTR(NOP)),
	[0x1e] = GROUP(group_0f1e),
	[0x1f] = OP(SZ_V | MOD, ATTR(NOP)),
	[0x20 ... 0x21] = OP(SZ_Q | MOD | RM_W | RM_MOD3, ATTR(PRIV)),	/* mov from cr, dr */
	[0x22 ... 0x23] = OP(SZ_Q | MOD | RM_R | RM_MOD3, ATTR(PRIV)),	/* mov to cr, dr */
	[0x28] = VEC(P_N6),
	[0x29] = VEC_ST(P_N6),
	[0x2a] = GROUP(group_si2f),
	[0x2b] = VEC_ST(P_N6 | RM_MEM),
	[0x2c ... 0x2d] = GROUP(group_f2si),
	[0x2e ... 0x2f] = VEC(P_N6, FL(ARITH)),
	[0x30] = OP(SZ_Q, RD(AX | CX | DX), ATTR(PRIV)),		/* wrmsr */
	[0x31] = OP(SZ_D, WR(AX | DX)),					/* rdtsc */
	[0x32 ... 0x33] = OP(SZ_D, RD(CX), WR(AX | DX), ATTR(PRIV)),	/* rdmsr rdpmc */
	[0x34] = TRAP(0, BR(FAR)),					/* sysenter */
	[0x35] = OP(SZ_V, RD(CX | DX), WR(SP), ATTR(PRIV), BR(FAR)),	/* sysexit */
	[0x37] = TRAP(P_NO, ATTR(PRIV)),				/* getsec */
	[0x40 ... 0x4f] = OP(SZ_V | MOD | RM_R | RG_R, FL(CC)),		/* cmov: may not write */
	[0x50] = VEC_RG_W(P_N6 | RM_REG),
	[0x51] = VEC(P_ALL),
	[0x52 ... 0x53] = VEC(P_NO | P_F3),
	[0x54 ... 0x57] = VEC(P_N6),
	[0x58 ... 0x5a] = VEC(P_ALL),
	[0x5b] = VEC(P_N6 | P_F3),
	[0x5c ... 0x5f] = VEC(P_ALL),
	[0x60 ... 0x6b] = VEC(P_N6),
	[0x6c ... 0x6d] = VEC(P_66),
	[0x6e] = VEC_RM_R(P_N6),
	[0x6f] = VEC(P_N6 | P_F3),
	[0x70] = VEC(P_ALL | I_B),
	[0x71 ... 0x72] = GROUP(group_pshift),
	[0x73] = GROUP(group_pshiftq),
	[0x74 ... 0x76] = VEC(P_N6),
	[0x77] = OP(SZ_X | P_NO, ATTR(VECTOR)),				/* emms */
	[0x78] = OP(SZ_Q | MOD | RM_W | RG_R | P_NO, FL(ARITH), ATTR(PRIV)), /* vmread */
	[0x79] = OP(SZ_Q | MOD | RM_R | RG_R | P_NO, FL(ARITH), ATTR(PRIV)), /* vmwrite */
	[0x7c ... 0x7d] = VEC(P_66 | P_F2),
	[0x7e] = GROUP(group_7e),
	[0x7f] = VEC_ST(P_N6 | P_F3),
	[0x80 ... 0x8f] = OP(SZ_Q | I_Z, FL(CC), BR(JCC)),
	[0x90 ... 0x9f] = OP(SZ_B | MOD | RM_W, FL(CC)),
	[0xa0] = PUSH(0),						/* %fs */
	[0xa1] = OP(SZ_STK, RD(SP), WR(SP), ATTR(LOADS | PRIV)),
	[0xa2] = OP(SZ_D, RD(AX | CX), WR(AX | BX | CX | DX)),		/* cpuid */
	[0xa3] = OP(SZ_V | MOD | RM_R | RG_R, FL(BT)),
	[0xa4] = OP(SZ_V | MOD | RM_R | RM_CW | RG_R | I_B, FL(SHIFT_N)),	/* shld */
	[0xa5] = OP(SZ_V | MOD | RM_R | RM_CW | RG_R, RD(CX), FL(SHIFT_CL)),
	[0xa6] = GROUP(group_padlock_sha),
	[0xa7] = GROUP(group_padlock_aes),
	[0xa8] = PUSH(0),						/* %gs */
	[0xa9] = OP(SZ_STK, RD(SP), WR(SP), ATTR(LOADS | PRIV)),
	[0xaa] = OP(SZ_Q, ATTR(PRIV), FL(WRITE_ALL), BR(FAR)),		/* rsm */
	[0xab] = OP(SZ_V | MOD | RM_RW | RG_R | LOCKABLE, FL(BT)),
	[0xac] = OP(SZ_V | MOD | RM_R | RM_CW | RG_R | I_B, FL(SHIFT_N)),	/* shrd */
	[0xad] = OP(SZ_V | MOD | RM_R | RM_CW | RG_R, RD(CX), FL(SHIFT_CL)),
	[0xae] = GROUP(group_0fae),
	[0xaf] = OP(SZ_V | MOD | RM_R | RG_RW, FL(ARITH)),		/* imul */
	[0xb0] = OP(SZ_B | MOD | RM_R | RM_CW | RG_R | LOCKABLE, RD(AX), FL(ARITH)), /* cmpxchg */
	[0xb1] = OP(SZ_V | MOD | RM_R | RM_CW | RG_R | LOCKABLE, RD(AX), FL(ARITH)),
	[0xb2] = OP(SZ_V | MOD | RM_R | RM_MEM | RG_W, ATTR(PRIV)),	/* lss */
	[0xb3] = OP(SZ_V | MOD | RM_RW | RG_R | LOCKABLE, FL(BT)),
	[0xb4 ... 0xb5] = OP(SZ_V | MOD | RM_R | RM_MEM | RG_W, ATTR(PRIV)), /* lfs lgs */
	[0xb6] = OP(SZ_V | MOD | RM_R | RM_B | RG_W),			/* movzx */
	[0xb7] = OP(SZ_V | MOD | RM_R | RG_W),
	[0xb8] = GROUP(group_popcnt),
	[0xb9] = TRAP(MOD, BR(TRAP)),					/* ud1 */
	[0xba] = GROUP(group_bt),
	[0xbb] = OP(SZ_V | MOD | RM_RW | RG_R | LOCKABLE, FL(BT)),
	/*
	 * A zero source leaves the destination alone; tzcnt and lzcnt are no different where
	 * the CPU does not know them and runs bsf and bsr.
	 */
	[0xbc ... 0xbd] = OP(SZ_V | MOD | RM_R | RG_R, FL(ARITH)),
	[0xbe] = OP(SZ_V | MOD | RM_R | RM_B | RG_W),			/* movsx */
	[0xbf] = OP(SZ_V | MOD | RM_R | RG_W),
	[0xc0] = OP(SZ_B | MOD | RM_RW | RG_RW | LOCKABLE, FL(ARITH)),	/* xadd */
	[0xc1] = OP(SZ_V | MOD | RM_RW | RG_RW | LOCKABLE, FL(ARITH)),
	[0xc2] = VEC(P_ALL | I_B),
	[0xc3] = OP(SZ_Y | MOD | RM_W | RM_MEM | RG_R | P_NO),		/* movnti */
	[0xc4] = OP(SZ_Y | MOD | RM_R | P_N6 | I_B, ATTR(VECTOR)),	/* pinsrw */
	[0xc5] = VEC_RG_W(P_N6 | RM_REG | I_B),				/* pextrw */
	[0xc6] = VEC(P_N6 | I_B),
	[0xc7] = GROUP(group_0fc7),
	[0xc8 ... 0xcf] = OP(SZ_V | Z_RW),				/* bswap */
	[0xd0] = VEC(P_66 | P_F2),
	[0xd1 ... 0xd5] = VEC(P_N6),
	[0xd6] = GROUP(group_d6),
	[0xd7] = VEC_RG_W(P_N6 | RM_REG),
	[0xd8 ... 0xe5] = VEC(P_N6),
	[0xe6] = VEC(P_66 | P_32),
	[0xe7] = VEC_ST(P_N6 | RM_MEM),
	[0xe8 ... 0xef] = VEC(P_N6),
	[0xf0] = VEC(P_F2 | RM_MEM),
	[0xf1 ... 0xf6] = VEC(P_N6),
	[0xf7] = OP(SZ_X | MOD | RM_R | RM_X | RM_REG | P_N6, RD(RDI), ATTR(VECTOR | STORES)),
	[0xf8 ... 0xfe] = VEC(P_N6),
	[0xff] = TRAP(MOD, BR(TRAP)),					/* ud0 */
};

static const struct op map_0f38[256] = {
	[0x00 ... 0x0b] = VEC(P_N6),
	[0x10] = VEC(P_66),
	[0x14 ... 0x15] = VEC(P_66),
	[0x17] = VEC(P_66, FL(ARITH)),					/* ptest */
	[0x1c ... 0x1e] = VEC(P_N6),
	[0x20 ... 0x25] = VEC(P_66),
	[0x28 ... 0x29] = VEC(P_66),
	[0x2a] = VEC(P_66 | RM_MEM),
	[0x2b] = VEC(P_66),
	[0x30 ... 0x35] = VEC(P_66),
	[0x37 ... 0x41] = VEC(P_66),
	[0x80 ... 0x81] = OP(SZ_Q | MOD | RM_R | RM_MEM | RG_R | P_66, FL(ARITH), ATTR(PRIV)),
	[0x82] = OP(SZ_Q | MOD | RM_R | RM_MEM | RG_R | P_66, ATTR(PRIV)), /* invpcid */
	[0xc8 ... 0xcd] = VEC(P_NO),
	[0xcf] = VEC(P_66),
	[0xdb ... 0xdf] = VEC(P_66),
	[0xf0] = GROUP(group_f0),
	[0xf1] = GROUP(group_f1),
	[0xf5] = OP(SZ_Y | MOD | RM_W | RM_MEM | RG_R | P_66, ATTR(PRIV)), /* wruss */
	[0xf6] = GROUP(group_f6_38),
	[0xf8] = GROUP(group_f8_38),
	[0xf9] = OP(SZ_Y | MOD | RM_W | RM_MEM | RG_R | P_NO),		/* movdiri */
};

static const struct op map_0f3a[256] = {
	[0x08 ... 0x0e] = VEC(P_66 | I_B),
	[0x0f] = VEC(P_N6 | I_B),
	[0x14 ... 0x17] = VEC_RM_W(P_66 | I_B),				/* pextr */
	[0x20] = VEC_RM_R(P_66 | I_B),					/* pinsrb */
	[0x21] = VEC(P_66 | I_B),
	[0x22] = VEC_RM_R(P_66 | I_B),
	[0x40 ... 0x42] = VEC(P_66 | I_B),
	[0x44] = VEC(P_66 | I_B),
	[0x60] = VEC(P_66 | I_B, RD(AX | DX), FL(ARITH)),		/* pcmpestrm */
	[0x61] = VEC(P_66 | I_B, RD(AX | DX), WR(CX), FL(ARITH)),	/* pcmpestri */
	[0x62] = VEC(P_66 | I_B, FL(ARITH)),				/* pcmpistrm */
	[0x63] = VEC(P_66 | I_B, WR(CX), FL(ARITH)),			/* pcmpistri */
	[0xcc] = VEC(P_NO | I_B),
	[0xce ... 0xcf] = VEC(P_66 | I_B),
	[0xdf] = VEC(P_66 | I_B),
	[0xf0] = GROUP(group_hreset),
};

/**
 * struct x87 - the corner cases of one of the opcodes d8..df
 * @stores: bit n: with memory, ModRM.reg == n stores
 * @no_mem: bit n: with memory, ModRM.reg == n does not exist
 * @no_reg: bit n: ModRM 0xc0 + n does not exist
 */
struct x87 {
	u8 stores;
	u8 no_mem;
	u64 no_reg;
};

static const struct x87 x87[8] = {
	[1] = { 0xcc, 0x02, 0x000080cc00fe0000ULL },
	[2] = { 0x00, 0x00, 0xfffffdff00000000ULL },
	[3] = { 0x8e, 0x50, 0xff0000e000000000ULL },
	[5] = { 0xce, 0x20, 0xffff000000000000ULL },
	[6] = { 0x00, 0x00, 0x00000000fd000000ULL },
	[7] = { 0xce, 0x00, 0xff0000fe00000000ULL },
};

#endif /* KTRAMP_INSN_MAP_H */
