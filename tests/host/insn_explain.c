// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "insn_explain.h"

#define ARRAY_SIZE(_a)	(sizeof(_a) / sizeof((_a)[0]))
#define C(_cause)	(1U << CAUSE_##_cause)
#define FLAGS_MAY_STAY	(C(FLREAD_EXTRA) | C(FLWRITE_MISSING))
#define ANY_CAUSE	(~0U)

static bool is_legacy(const struct pair *p, u8 map, u8 first, u8 last)
{
	return !(p->ours.prefix & (KTRAMP_P_VEX | KTRAMP_P_EVEX)) && p->ours.map == map &&
	       p->ours.opcode >= first && p->ours.opcode <= last;
}

static bool has_prefix(const struct pair *p, u8 prefix)
{
	unsigned int i;

	for (i = 0; i < p->oracle.z.raw.prefix_count; i++) {
		if (p->oracle.z.raw.prefixes[i].value == prefix)
			return true;
	}
	return false;
}

static bool is_string(const struct pair *p)
{
	return is_legacy(p, KTRAMP_MAP_1B, 0xa4, 0xa7) || is_legacy(p, KTRAMP_MAP_1B, 0xaa, 0xaf) ||
	       is_legacy(p, KTRAMP_MAP_1B, 0x6c, 0x6f);
}

static bool foreign_set(const struct pair *p)
{
	switch (p->oracle.z.meta.isa_ext) {
	case ZYDIS_ISA_EXT_AMD3DNOW:
	case ZYDIS_ISA_EXT_FMA4:
	case ZYDIS_ISA_EXT_KEYLOCKER:
	case ZYDIS_ISA_EXT_KEYLOCKER_WIDE:
	case ZYDIS_ISA_EXT_KNC:
	case ZYDIS_ISA_EXT_KNCE:
	case ZYDIS_ISA_EXT_KNCV:
	case ZYDIS_ISA_EXT_SSE4A:
	case ZYDIS_ISA_EXT_TBM:
	case ZYDIS_ISA_EXT_UINTR:
	case ZYDIS_ISA_EXT_XOP:
		return true;
	default:
		return false;
	}
}

/* By its name: an older Zydis has no number for it. */
static bool is_of(const struct pair *p, const char *const *names, unsigned int nr)
{
	const char *name = ZydisISAExtGetString(p->oracle.z.meta.isa_ext);

	for (unsigned int i = 0; i < nr; i++) {
		if (!strcmp(name, names[i]))
			return true;
	}
	return false;
}

static bool later_set(const struct pair *p)
{
	static const char *const names[] = {
		"AVX_IFMA", "AVX_NE_CONVERT", "AVX_VNNI_INT16", "AVX_VNNI_INT8", "PCOMMIT",
		"PBNDKB", "RAO_INT", "SHA512", "SM3", "SM4",
	};

	return is_of(p, names, ARRAY_SIZE(names));
}

static bool prefetch_code(const struct pair *p)
{
	static const char *const names[] = { "ICACHE_PREFETCH" };

	return is_of(p, names, ARRAY_SIZE(names));
}

static bool short_branch(const struct pair *p)
{
	return has_prefix(p, 0x66) && !p->oracle.z.raw.rex.W &&
	       p->oracle.insn.branch != KTRAMP_BR_NONE && p->oracle.insn.branch != KTRAMP_BR_FAR;
}

static bool pause_r8(const struct pair *p)
{
	return p->oracle.insn.opcode == 0x90 && has_prefix(p, 0xf3) && p->oracle.z.raw.rex.B;
}

static bool vector_fields(const struct pair *p)
{
	return p->ours.prefix & (KTRAMP_P_VEX | KTRAMP_P_EVEX);
}

static bool newer(const struct pair *p)
{
	const struct ktramp_insn *insn = &p->ours;

	return (is_legacy(p, KTRAMP_MAP_0F, 0x00, 0x00) && (insn->modrm >> 3 & 7) == 6) ||
	       (is_legacy(p, KTRAMP_MAP_0F, 0x01, 0x01) &&
		(insn->modrm == 0xc6 || insn->modrm == 0xca));
}

static bool mpx(const struct pair *p)
{
	return is_legacy(p, KTRAMP_MAP_0F, 0x1a, 0x1b);
}

static bool padlock(const struct pair *p)
{
	return is_legacy(p, KTRAMP_MAP_0F, 0xa6, 0xa7);
}

static bool takes_all(const struct pair *p)
{
	return p->ours.regs_read == 0xffff;
}

static bool bit_scan(const struct pair *p)
{
	return is_legacy(p, KTRAMP_MAP_0F, 0xbc, 0xbd);
}

static bool descriptor(const struct pair *p)
{
	return is_legacy(p, KTRAMP_MAP_0F, 0x02, 0x03);
}

static bool leave(const struct pair *p)
{
	return is_legacy(p, KTRAMP_MAP_1B, 0xc9, 0xc9);
}

static bool shift_cl(const struct pair *p)
{
	return is_legacy(p, KTRAMP_MAP_1B, 0xd2, 0xd3) || is_legacy(p, KTRAMP_MAP_0F, 0xa5, 0xa5) ||
	       is_legacy(p, KTRAMP_MAP_0F, 0xad, 0xad);
}

static bool shift_zero(const struct pair *p)
{
	bool shift = is_legacy(p, KTRAMP_MAP_1B, 0xc0, 0xc1) ||
		     is_legacy(p, KTRAMP_MAP_0F, 0xa4, 0xa4) ||
		     is_legacy(p, KTRAMP_MAP_0F, 0xac, 0xac);

	return shift && !(p->ours.imm & (p->ours.osz == 8 ? 63 : 31));
}

static bool repeated(const struct pair *p)
{
	return is_string(p) && (p->ours.attr & KTRAMP_A_REP);
}

static bool unrepeated(const struct pair *p)
{
	return is_string(p) && !(p->ours.attr & KTRAMP_A_REP);
}

static bool hint(const struct pair *p)
{
	return is_legacy(p, KTRAMP_MAP_0F, 0x0d, 0x0d) || is_legacy(p, KTRAMP_MAP_0F, 0x18, 0x18) ||
	       is_legacy(p, KTRAMP_MAP_0F, 0x1c, 0x1c) ||
	       p->oracle.z.mnemonic == ZYDIS_MNEMONIC_INVLPG;
}

static bool enter(const struct pair *p)
{
	return is_legacy(p, KTRAMP_MAP_1B, 0xc8, 0xc8);
}

static bool undefined(const struct pair *p)
{
	return is_legacy(p, KTRAMP_MAP_0F, 0xb9, 0xb9) || is_legacy(p, KTRAMP_MAP_0F, 0xff, 0xff);
}

static bool x87_flags(const struct pair *p)
{
	return is_legacy(p, KTRAMP_MAP_1B, 0xda, 0xdb) || is_legacy(p, KTRAMP_MAP_1B, 0xdf, 0xdf);
}

static bool through_register(const struct pair *p)
{
	switch (p->oracle.z.mnemonic) {
	case ZYDIS_MNEMONIC_CLZERO:
	case ZYDIS_MNEMONIC_ENQCMD:
	case ZYDIS_MNEMONIC_ENQCMDS:
	case ZYDIS_MNEMONIC_RMPUPDATE:
	case ZYDIS_MNEMONIC_SAVEPREVSSP:
	case ZYDIS_MNEMONIC_SETSSBSY:
	case ZYDIS_MNEMONIC_VMLOAD:
	case ZYDIS_MNEMONIC_VMSAVE:
		return true;
	default:
		return false;
	}
}

static bool rdssp(const struct pair *p)
{
	return is_legacy(p, KTRAMP_MAP_0F, 0x1e, 0x1e);
}

static bool mwaitx(const struct pair *p)
{
	return p->oracle.z.mnemonic == ZYDIS_MNEMONIC_MWAITX;
}

static bool clears_flags(const struct pair *p)
{
	switch (p->oracle.z.mnemonic) {
	case ZYDIS_MNEMONIC_CLRSSBSY:
	case ZYDIS_MNEMONIC_VPTEST:
	case ZYDIS_MNEMONIC_VTESTPD:
	case ZYDIS_MNEMONIC_VTESTPS:
		return true;
	default:
		return false;
	}
}

static bool no_base(const struct pair *p)
{
	return p->ours.has_sib && p->ours.modrm < 0x40 && (p->ours.sib & 7) == 5 &&
	       (p->ours.prefix & KTRAMP_P_67);
}

const struct explanation explanations[] = {
	{ C(REFUSED), foreign_set,
	  "sets no kernel uses: 3DNow!, XOP, TBM, FMA4, SSE4a, KNC, Key Locker, UINTR" },
	{ C(REFUSED), later_set,
	  "sets of vectors and atomics that Zydis 4.1 knows: AVX-VNNI-INT, SHA512, SM3, RAO-INT" },
	{ C(READ_MISSING) | C(NOP) | C(RSP), prefetch_code,
	  "prefetchit0, prefetchit1: nops but for a RIP-relative address, and to Zydis 4.0" },
	{ C(REFUSED), short_branch, "near branch with 66: Intel and AMD disagree on its length" },
	{ C(REFUSED), pause_r8, "90 with f3 and REX.B: pause or xchg" },
	{ C(ACCEPTED), vector_fields, "VEX, EVEX: fields that must have one value go unchecked" },
	{ C(ACCEPTED), newer, "newer than Zydis 4.0: lkgs, wrmsrns, eretu, erets" },
	{ ANY_CAUSE, mpx, "MPX: a nop on most CPUs, taken at its widest" },
	{ ANY_CAUSE, padlock, "VIA PadLock: taken at its widest" },
	{ C(LOAD), undefined, "ud0, ud1: trap before they load anything" },
	{ C(READ_EXTRA) | C(WRITE_MISSING) | C(RSP) | FLAGS_MAY_STAY, takes_all,
	  "hands over every register: traps, system and hypervisor calls" },
	{ C(READ_EXTRA) | C(WRITE_MISSING), bit_scan,
	  "bsf, bsr, and tzcnt, lzcnt on CPUs that run them as such: keep the destination for 0" },
	{ C(READ_EXTRA) | C(WRITE_MISSING), descriptor, "lar, lsl: may keep the destination" },
	{ C(READ_MISSING) | C(WRITE_EXTRA), leave, "leave: RSP is set from RBP" },
	{ FLAGS_MAY_STAY, shift_cl, "shift by CL: flags stay if CL is 0" },
	{ FLAGS_MAY_STAY, shift_zero, "shift by an immediate 0: flags stay" },
	{ FLAGS_MAY_STAY, repeated, "repeated cmps, scas: flags stay if RCX is 0" },
	{ C(WRITE_EXTRA), unrepeated, "single string instruction: always writes its registers" },
	{ C(LOAD), hint, "prefetch, cldemote, invlpg: nothing is loaded" },
	{ C(LOAD), enter, "enter: loads with a nesting level" },
	{ FLAGS_MAY_STAY, x87_flags, "fcmov reads flags, fcomi is documented for ZF, PF, CF only" },
	{ C(LOAD) | C(STORE), through_register,
	  "memory named by a register operand or the shadow stack pointer" },
	{ C(READ_EXTRA) | C(WRITE_MISSING), rdssp, "rdssp: a nop while shadow stacks are off" },
	{ C(READ_EXTRA), mwaitx, "mwaitx: EBX may be the timeout" },
	{ C(FLWRITE_EXTRA), clears_flags, "flags the manual says are cleared" },
	{ C(READ_MISSING), no_base, "Zydis 4.0 names a base where SIB has none, with 67" },
};

const unsigned int nr_explanations = ARRAY_SIZE(explanations);

int explain(enum cause cause, const struct pair *p)
{
	unsigned int i;

	for (i = 0; i < nr_explanations; i++) {
		if ((explanations[i].causes >> cause & 1) && explanations[i].match(p))
			return (int)i;
	}
	return -1;
}
