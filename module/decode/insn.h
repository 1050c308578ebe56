/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Decode one x86-64 instruction, for planning what a probe may do to it.
 *
 * No kernel state is used: the same two files build into ktramp.ko, into the
 * host tests and into the fuzzer.
 */
#ifndef KTRAMP_INSN_H
#define KTRAMP_INSN_H

#ifdef __KERNEL__
#include <linux/types.h>
#include <linux/errno.h>
#else
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
#endif

/* Longest legal encoding, Intel SDM vol. 2, 2.3.11. */
#define KTRAMP_INSN_MAX		15

/**
 * enum ktramp_map - opcode map the opcode byte is looked up in
 * @KTRAMP_MAP_1B: one-byte opcodes
 * @KTRAMP_MAP_0F: two-byte opcodes, 0f xx
 * @KTRAMP_MAP_0F38: 0f 38 xx
 * @KTRAMP_MAP_0F3A: 0f 3a xx
 * @KTRAMP_MAP_3DNOW: 0f 0f modrm xx, the opcode stands last
 * @KTRAMP_MAP_EVEX5: EVEX map 5
 * @KTRAMP_MAP_EVEX6: EVEX map 6
 */
enum ktramp_map {
	KTRAMP_MAP_1B,
	KTRAMP_MAP_0F,
	KTRAMP_MAP_0F38,
	KTRAMP_MAP_0F3A,
	KTRAMP_MAP_3DNOW,
	KTRAMP_MAP_EVEX5,
	KTRAMP_MAP_EVEX6,
};

/**
 * enum ktramp_branch - how the instruction leaves the straight line
 * @KTRAMP_BR_NONE: it does not
 * @KTRAMP_BR_JMP: jmp rel8/rel32
 * @KTRAMP_BR_JCC: jcc rel8/rel32; &ktramp_insn.cc is the condition
 * @KTRAMP_BR_LOOP: loop, loope, loopne, jrcxz/jecxz rel8
 * @KTRAMP_BR_CALL: call rel32
 * @KTRAMP_BR_JMP_IND: jmp through a register or memory
 * @KTRAMP_BR_CALL_IND: call through a register or memory
 * @KTRAMP_BR_RET: near ret, with or without imm16
 * @KTRAMP_BR_FAR: far jmp/call/ret, iret, int, syscall, sysret, sysenter, sysexit
 * @KTRAMP_BR_TRAP: int3, int1, ud0/ud1/ud2: never continues by itself
 * @KTRAMP_BR_XBEGIN: xbegin rel32, an abort resumes elsewhere
 */
enum ktramp_branch {
	KTRAMP_BR_NONE,
	KTRAMP_BR_JMP,
	KTRAMP_BR_JCC,
	KTRAMP_BR_LOOP,
	KTRAMP_BR_CALL,
	KTRAMP_BR_JMP_IND,
	KTRAMP_BR_CALL_IND,
	KTRAMP_BR_RET,
	KTRAMP_BR_FAR,
	KTRAMP_BR_TRAP,
	KTRAMP_BR_XBEGIN,
};

/* &ktramp_insn.attr: what a planner has to know beside the encoding. */
#define KTRAMP_A_RIPREL		(1U << 0)	/* memory operand is disp32(%rip) */
#define KTRAMP_A_MEM_READ	(1U << 1)	/* explicit or implicit load */
#define KTRAMP_A_MEM_WRITE	(1U << 2)	/* explicit or implicit store */
#define KTRAMP_A_FAULT		(1U << 3)	/* can raise an exception: memory, #DE, #GP, #NM */
#define KTRAMP_A_RSP		(1U << 4)	/* reads or writes RSP, push and call included */
#define KTRAMP_A_IF_READ	(1U << 5)	/* result depends on EFLAGS.IF (pushf) */
#define KTRAMP_A_IF_WRITE	(1U << 6)	/* may change EFLAGS.IF (cli, sti, popf, iret) */
#define KTRAMP_A_TF_READ	(1U << 7)	/* result depends on EFLAGS.TF (pushf) */
#define KTRAMP_A_TF_WRITE	(1U << 8)	/* may change EFLAGS.TF (popf, iret) */
#define KTRAMP_A_SS_SHADOW	(1U << 9)	/* mov to %ss: no #DB and IRQ for one more insn */
#define KTRAMP_A_PRIV		(1U << 10)	/* privileged, or touches system state */
#define KTRAMP_A_REP		(1U << 11)	/* repeats: TF traps after every iteration */
#define KTRAMP_A_VECTOR		(1U << 12)	/* x87, MMX, SSE, AVX state */
#define KTRAMP_A_NOP		(1U << 13)	/* architectural nop, any length (endbr too) */
#define KTRAMP_A_LOCK		(1U << 14)	/* atomic: lock prefix or xchg with memory */

/* &ktramp_insn.prefix */
#define KTRAMP_P_66		(1U << 0)
#define KTRAMP_P_67		(1U << 1)
#define KTRAMP_P_F2		(1U << 2)
#define KTRAMP_P_F3		(1U << 3)
#define KTRAMP_P_LOCK		(1U << 4)
#define KTRAMP_P_FS		(1U << 5)
#define KTRAMP_P_GS		(1U << 6)
#define KTRAMP_P_SEG		(1U << 7)	/* cs, ds, es, ss: ignored, or a hint to jcc */
#define KTRAMP_P_VEX		(1U << 8)
#define KTRAMP_P_EVEX		(1U << 9)
#define KTRAMP_P_XOP		(1U << 10)

/* Arithmetic flags in their EFLAGS positions, plus the two control flags that matter here. */
#define KTRAMP_F_CF		0x0001U
#define KTRAMP_F_PF		0x0004U
#define KTRAMP_F_AF		0x0010U
#define KTRAMP_F_ZF		0x0040U
#define KTRAMP_F_SF		0x0080U
#define KTRAMP_F_TF		0x0100U
#define KTRAMP_F_IF		0x0200U
#define KTRAMP_F_DF		0x0400U
#define KTRAMP_F_OF		0x0800U
#define KTRAMP_F_ARITH		(KTRAMP_F_CF | KTRAMP_F_PF | KTRAMP_F_AF | \
				 KTRAMP_F_ZF | KTRAMP_F_SF | KTRAMP_F_OF)

/**
 * struct ktramp_insn - one decoded instruction
 * @len: bytes, 1 to %KTRAMP_INSN_MAX
 * @map: opcode map, &enum ktramp_map
 * @opcode: opcode byte within @map
 * @opcode_off: offset of the opcode byte in the instruction
 * @rex: REX byte, or the equivalent W/R/X/B bits of VEX/EVEX (0x40-based), 0 if none
 * @modrm: ModRM byte, valid if @has_modrm
 * @sib: SIB byte, valid if @has_sib
 * @has_modrm: the encoding has a ModRM byte
 * @has_sib: the encoding has a SIB byte
 * @modrm_off: offset of ModRM
 * @disp_off: offset of the displacement, valid if @disp_len
 * @disp_len: bytes of displacement: 0, 1, 4 (8 for moffs)
 * @imm_off: offset of the (first) immediate or relative displacement, valid if @imm_len
 * @imm_len: bytes of immediate in all (enter has 3)
 * @osz: operand size in bytes: 1, 2, 4, 8 (16, 32, 64 for vectors)
 * @prefix: KTRAMP_P_*
 * @branch: &enum ktramp_branch
 * @cc: condition code 0..15 of jcc/setcc/cmovcc; for loops the low two opcode bits
 * @disp: displacement, sign extended, valid if @disp_len; an EVEX disp8 is not scaled
 * @imm: immediate or branch displacement, sign extended, valid if @imm_len
 * @attr: KTRAMP_A_*
 * @regs_read: bit n set: the instruction's effect depends on GPR n (rax=0 ... r15=15).
 *	A register that is only partly or only conditionally written counts as read.
 *	xor r,r and sub r,r of the same register count as not reading it.
 * @regs_written: bit n set: GPR n is wholly determined by this instruction afterwards,
 *	on every path
 * @flags_read: EFLAGS bits (KTRAMP_F_*) whose value matters, conditionally written ones too
 * @flags_written: EFLAGS bits that are certainly overwritten, or left undefined by the manual
 *
 * @regs_read and @flags_read may be too large and @regs_written and @flags_written too
 * small for exotic instructions, never the other way round: "dead" is only concluded
 * from what is certain. What hands over to an exception handler, a system call or a
 * hypervisor (int3, ud2, syscall, vmcall) reads everything.
 */
struct ktramp_insn {
	u8 len;
	u8 map;
	u8 opcode;
	u8 opcode_off;
	u8 rex;
	u8 modrm;
	u8 sib;
	bool has_modrm;
	bool has_sib;
	u8 modrm_off;
	u8 disp_off;
	u8 disp_len;
	u8 imm_off;
	u8 imm_len;
	u8 osz;
	u16 prefix;
	u8 branch;
	u8 cc;
	s64 disp;
	s64 imm;
	u32 attr;
	u16 regs_read;
	u16 regs_written;
	u16 flags_read;
	u16 flags_written;
};

/**
 * ktramp_insn_decode() - decode the instruction at the start of a buffer
 * @insn: (out) the decoded instruction, zeroed on error
 * @buf: bytes
 * @avail: how many bytes may be read from @buf
 *
 * Context: any; no allocation, no lock, no kernel state.
 * Return: the length, or -EINVAL if the bytes are no 64-bit mode instruction or one that
 * is refused (3DNow!, XOP, and near branches with a 66 prefix, on whose length Intel and
 * AMD disagree), or -ENODATA if @avail ends inside the instruction.
 */
int ktramp_insn_decode(struct ktramp_insn *insn, const void *buf, size_t avail);

/**
 * ktramp_insn_outline() - decode no more than where an instruction ends and control goes
 * @insn: (out) the instruction: its encoding, @branch, and of @attr what every operand has, and
 *	%KTRAMP_A_NOP. Not what it does to registers and flags
 * @buf: bytes
 * @avail: how many bytes may be read from @buf
 *
 * Half the work of ktramp_insn_decode(), for who goes through all of a kernel.
 *
 * Context, return value: as ktramp_insn_decode().
 */
int ktramp_insn_outline(struct ktramp_insn *insn, const void *buf, size_t avail);

/* True if control is transferred by a displacement relative to the next instruction. */
static inline bool ktramp_insn_is_rel(const struct ktramp_insn *insn)
{
	return insn->branch == KTRAMP_BR_JMP || insn->branch == KTRAMP_BR_JCC ||
	       insn->branch == KTRAMP_BR_LOOP || insn->branch == KTRAMP_BR_CALL ||
	       insn->branch == KTRAMP_BR_XBEGIN;
}

/* True if the instruction behind this one is never reached from it by falling through. */
static inline bool ktramp_insn_ends_flow(const struct ktramp_insn *insn)
{
	return insn->branch == KTRAMP_BR_JMP || insn->branch == KTRAMP_BR_JMP_IND ||
	       insn->branch == KTRAMP_BR_RET || insn->branch == KTRAMP_BR_FAR ||
	       insn->branch == KTRAMP_BR_TRAP;
}

#endif /* KTRAMP_INSN_H */
