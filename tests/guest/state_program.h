/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Drawn BPF programs, and what they must do (state_program.c).
 */
#ifndef STATE_PROGRAM_H
#define STATE_PROGRAM_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>

#include "state.h"

#define PROGRAM_INSNS	96
#define PROGRAM_WORDS	8	/* of memory that one has */

/**
 * struct program - a drawn program
 * @insn: instructions
 * @nr: how many
 * @class: &enum ktramp_bpf_class that it must be given
 * @reentrant: whoever gives it to a probe says so
 * @deep: it may be given a stack that each CPU has its own of, and a guard with it: "bpf, x86:
 *	Support private stack in jit", 6.13, from 64 bytes on, in steps of 16
 */
struct program {
	struct bpf_insn insn[PROGRAM_INSNS];
	unsigned int nr;
	unsigned int class;
	bool reentrant;
	bool deep;
};

/**
 * struct program_maps - what programs use
 * @words: descriptor of an array with one element: PROGRAM_WORDS words for each cell
 * @hash: of a hash, words to words
 */
struct program_maps {
	int words;
	int hash;
};

void program_draw(struct rng *rng, unsigned int place, const struct program_maps *maps,
		  struct program *program);
int program_load(const struct program *program, char *log, unsigned int size);
int program_interpret(const struct program *program, const struct state_case *state,
		      uint64_t ip, uint64_t owner, uint64_t place, uint64_t *words);
void program_explain(const struct program *program);

#endif /* STATE_PROGRAM_H */
