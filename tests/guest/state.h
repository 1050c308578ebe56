/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of state_test share: forms of instructions (state_form.c), code and states
 * made of them (state_make.c), what differs (state_diff.c).
 */
#ifndef STATE_H
#define STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../module/decode/insn.h"
#include "../module/ktramp_state.h"
#include "ktramp.h"

/* ---- numbers that are the same for the same seed ---- */

struct rng {
	uint64_t state;
};

uint64_t rng_next(struct rng *rng);
struct rng rng_of(uint64_t seed, uint64_t stream);

/* 0 .. n - 1 */
static inline uint64_t rng_below(struct rng *rng, uint64_t n)
{
	return (rng_next(rng) >> 11) % n;
}

/* ---- forms ---- */

/**
 * enum exclusion - why instructions of a form are not executed
 * @RUN: they are
 */
enum exclusion {
	RUN,
	NOT_TRAPS,
	NOT_SYSTEM,
	NOT_REPEATABLE,
	NOT_FS,
	NOT_ADDR32,
	NOT_CONTROL,
	NOT_BOUNDED,
	NOT_STACK,
	NOT_AVX512,
	NR_EXCLUSIONS,
};

extern const char *const exclusion_text[NR_EXCLUSIONS];

/**
 * struct form - instructions that differ in register numbers, displacement, immediate only
 * @key: what they have in common
 * @bytes: the first one met
 * @length: of it, bytes
 * @exclusion: &enum exclusion
 * @simple: registers and flags only: may stand beside any other
 * @seen: how often it occurs
 */
struct form {
	uint64_t key;
	uint8_t bytes[KTRAMP_INSN_MAX];
	uint8_t length;
	uint8_t exclusion;
	bool simple;
	uint32_t seen;
};

/**
 * struct forms - those that occur in the running kernel's text, in the order of their keys
 * @v: the forms
 * @nr: how many
 * @instructions: how many were read
 * @run: indexes of those with %RUN, shuffled
 * @nr_run: how many
 * @weight: of each of them: how often it and those in front of it occur
 * @simple: indexes of the simple ones
 * @nr_simple: how many
 */
struct forms {
	struct form *v;
	unsigned int nr;
	unsigned long instructions;
	unsigned int *run;
	unsigned int nr_run;
	uint64_t *weight;
	unsigned int *simple;
	unsigned int nr_simple;
};

int forms_collect(int state, struct forms *forms);
void forms_free(struct forms *forms);
unsigned int form_in_turn(const struct forms *forms, uint64_t number);
unsigned int form_by_weight(struct rng *rng, const struct forms *forms);
uint64_t form_key(const struct ktramp_insn *insn, const uint8_t *bytes);
bool form_sets_rsp(const struct ktramp_insn *insn);
enum exclusion form_exclusion(const struct ktramp_insn *insn, const uint8_t *bytes);

/* The first eight registers. */
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

static inline bool insn_is_legacy(const struct ktramp_insn *insn)
{
	return !(insn->prefix & (KTRAMP_P_VEX | KTRAMP_P_EVEX));
}

/* Registers by number, REX bits included. */
static inline unsigned int insn_reg(const struct ktramp_insn *insn)
{
	return (insn->modrm >> 3 & 7) | (insn->rex & 4) << 1;
}

static inline unsigned int insn_rm(const struct ktramp_insn *insn)
{
	return (insn->modrm & 7) | (insn->rex & 1) << 3;
}

static inline bool insn_has_memory(const struct ktramp_insn *insn)
{
	return insn->has_modrm && insn->modrm < 0xc0 &&
	       !(insn->map == KTRAMP_MAP_0F && insn->opcode >= 0x20 && insn->opcode <= 0x23);
}

/* ---- code and states ---- */

#define ENTRY_SIZE	5	/* of what ftrace owns */

/**
 * enum shape - what stands around the instruction
 * @ALONE: the jump that ends the case, or padding, right behind it
 * @FOLLOWED: simple instructions behind it
 * @LATER: it is the second one; the probe is on the first
 * @ENTERED: simple instructions behind it, to one of which something jumps
 * @SPRUNG: likewise, to so many that only a jump of 2 bytes fits; perhaps it is the second one
 * @BEHIND: alone, behind a function's entry; the probe is on what ftrace owns of that
 */
enum shape {
	ALONE,
	FOLLOWED,
	LATER,
	ENTERED,
	SPRUNG,
	BEHIND,
};

/**
 * struct code - what is in a cell
 * @bytes: all of it
 * @address: of the cell
 * @insn: the instruction
 * @shape: &enum shape
 * @site: offset of the probe
 * @at: offset of the instruction
 * @entry: offset that a jump from elsewhere comes from, 0 if none
 * @odd: DF and AC may be set at the site
 * @operand: address of its memory operand, if that is fixed
 */
struct code {
	uint8_t bytes[STATE_CELL_SIZE];
	uint64_t address;
	struct ktramp_insn insn;
	uint8_t shape;
	uint8_t site;
	uint8_t at;
	uint8_t entry;
	bool odd;
	uint64_t operand;
};

enum shape shape_draw(struct rng *rng);
bool code_make(struct rng *rng, const struct forms *forms, enum shape shape,
	       const struct form *form, const struct state_info *where, uint64_t address,
	       struct code *code);
bool code_make_behind(struct rng *rng, const struct form *form, const struct state_info *where,
		      uint64_t address, struct code *code);
void code_fill(uint8_t *bytes, unsigned int length);
void code_fill_text(uint8_t text[STATE_TEXT_SIZE]);
void state_make(struct rng *rng, const struct state_info *where, const struct code *code,
		struct state_case *state);
bool state_is_safe(const struct state_info *where, const struct state_result *result);

/* ---- differences ---- */

bool result_equals(const struct state_result *a, const struct state_result *b);
void result_explain(const struct state_case *state, const struct state_result *bare,
		    const struct state_result *probed);
void code_explain(const struct code *code);
void bytes_explain(const char *what, const uint8_t *bytes, unsigned int length, uint64_t address);

#endif /* STATE_H */
