/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a mechanism would do at a site, from the function's bytes alone.
 *
 * Pure: no kernel state, nothing allocated, nothing written but the caller's
 * buffers. It builds on the host too.
 */
#ifndef KTRAMP_PLAN_H
#define KTRAMP_PLAN_H

#include "plan/func.h"
#include "decode/insn.h"
#include "plan/refuse.h"
#include "plan/relocate.h"

/* e9 rel32 */
#define KTRAMP_JMP_SIZE		5

/* eb rel8, and how far it leads, counted from behind it */
#define KTRAMP_JMP8_SIZE	2
#define KTRAMP_JMP8_BACK	128
#define KTRAMP_JMP8_ON		127

/* Prefixes that move the jump's displacement to where a 0xcc is wanted. */
#define KTRAMP_PREFIXES_MAX	3

#define KTRAMP_JUMP_MAX		(KTRAMP_PREFIXES_MAX + KTRAMP_JMP_SIZE)

/* A displaced region is at most 7 bytes of short instructions and one long one. */
#define KTRAMP_REGION_MAX	(KTRAMP_JUMP_MAX - 1 + KTRAMP_INSN_MAX)

/* Slots span 1 MiB, so only the low two bytes of the rel32 can be forced to 0xcc. */
#define KTRAMP_PINS_MAX		2

/* At most so many gaps are offered to one site. */
#define KTRAMP_GAPS_MAX		8

/**
 * struct ktramp_gaps - where springboards could be
 * @nr: how many there are
 * @gap: free ones: no other probe uses them
 */
struct ktramp_gaps {
	unsigned int nr;
	struct ktramp_gap gap[KTRAMP_GAPS_MAX];
};

/**
 * struct ktramp_site - a decoded site
 * @func: the function around it
 * @off: offset of the site in @func
 * @addr: address of the site
 * @insn: its instruction
 * @gaps: gaps within reach, or NULL if none were looked for
 */
struct ktramp_site {
	struct ktramp_func func;
	u32 off;
	u64 addr;
	struct ktramp_insn insn;
	const struct ktramp_gaps *gaps;
};

/**
 * struct ktramp_pin - a byte of the jump that control may come to
 * @at: its offset from the site; the displacement's byte there is 0xcc
 * @copy: offset, in the detour, of the instruction that stood there
 */
struct ktramp_pin {
	u16 at;
	u16 copy;
};

/**
 * struct ktramp_region - the whole instructions a jump displaces
 * @len: bytes, at least @jump
 * @nr: instructions; padding behind the last one does not count
 * @copied: bytes of their relocated copy, once it is synthesized
 * @jump: bytes of the jump: %KTRAMP_JMP_SIZE and a prefix or more, or %KTRAMP_JMP8_SIZE
 * @nr_pins: entries of @pin
 * @tactic: &enum ktramp_tactic
 * @ends: control never falls out of the region's end
 * @entered: bit k: nothing falls into the instruction at offset k, so a branch must lead there
 * @at: offsets of the instructions
 * @pin: where control may enter the jump
 * @springboard: address of the jump that a short one at the site goes to, or 0
 */
struct ktramp_region {
	u8 len;
	u8 nr;
	u8 copied;
	u8 jump;
	u8 nr_pins;
	u8 tactic;
	bool ends;
	u8 entered;
	u8 at[KTRAMP_JUMP_MAX];
	struct ktramp_pin pin[KTRAMP_PINS_MAX];
	u64 springboard;
};

/**
 * struct ktramp_place - where a detour may be
 * @from: the address its distance is counted from
 * @mask: bits of the distance that are given; 0: it may be anywhere
 * @want: what they are
 */
struct ktramp_place {
	u64 from;
	u32 mask;
	u32 want;
};

int ktramp_plan_site(struct ktramp_site *site, const struct ktramp_func *func, u32 off,
		     struct ktramp_refusal *r);
int ktramp_plan_region(const struct ktramp_site *site, struct ktramp_region *region,
		       struct ktramp_refusal *r);
bool ktramp_plan_may_spring(const struct ktramp_refusal *r);
bool ktramp_plan_waits(const struct ktramp_insn *insn);
int ktramp_plan_copy(const struct ktramp_site *site, struct ktramp_refusal *r);
struct ktramp_place ktramp_plan_place(const struct ktramp_site *site,
				      const struct ktramp_region *region);
int ktramp_synthesize_region(struct ktramp_emit *e, const struct ktramp_site *site,
			     struct ktramp_region *region);
void ktramp_synthesize_jump(struct ktramp_emit *e, unsigned int len, u64 target);

#endif /* KTRAMP_PLAN_H */
