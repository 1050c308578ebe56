/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Batches of instructions through all the ways there are to probe them (state_bench.c).
 */
#ifndef STATE_BENCH_H
#define STATE_BENCH_H

#include "state.h"

#define STATES		10	/* of an instruction */
#define DIFFERENCES	5	/* explained in full */

#define WAYS		7
#define NR_TACTICS	16
#define NR_REASONS	64
#define NR_TRAPS	32

/**
 * struct way - how a probe is made
 * @mechanism: &enum ktramp_mechanism
 * @handler: &enum ktramp_handler; 0: count or regs, by chance
 * @name: for people
 */
struct way {
	unsigned int mechanism;
	unsigned int handler;
	const char *name;
};

extern const struct way ways[WAYS];

/**
 * struct item - what is in a cell at the moment
 * @number: of the instruction
 * @form: of its form
 * @code: the code
 * @states: how many of @state can be executed
 * @state: states before
 * @bare: and after, unprobed
 * @probe: numbers of the probes, 0 if refused
 * @handler: theirs
 * @pid: the process they are for: this one, or 0
 * @hits: how often each must have been hit
 * @explained: a difference was
 */
struct item {
	uint64_t number;
	unsigned int form;
	struct code code;
	unsigned int states;
	struct state_case state[STATES];
	struct state_result bare[STATES];
	__u32 probe[WAYS];
	unsigned int handler[WAYS];
	unsigned int pid[WAYS];
	unsigned int hits[WAYS];
	bool explained;
};

/**
 * struct bench - all that is needed, and what happened
 * @fd: ktramp
 * @state: the test's own module
 * @seed: of everything drawn
 * @where: addresses
 * @forms: what there is to execute
 * @items: the cells' contents
 * @nr: how many of them are in use
 * @cases: of one ioctl
 * @results: likewise
 * @cases_done: instructions times their states
 * @probed: executions that were compared with the bare one
 * @traps: exceptions that bare ones raised
 * @taken: bare ones that branched
 * @unsafe: states that nothing could have been probed in
 * @differences: results that were not the same
 * @explained: those that were printed
 * @by_trap: @traps by the last one's number
 * @by_way: executions
 * @by_tactic: executions
 * @refused: cases
 * @why: the sentence for a reason
 * @form_done: which forms were executed
 */
struct bench {
	int fd;
	int state;
	uint64_t seed;
	struct state_info where;
	struct forms forms;
	struct item *items;
	unsigned int nr;
	struct state_case cases[STATE_CELLS];
	struct state_result results[STATE_CELLS];
	unsigned long cases_done, probed, traps, taken, unsafe, differences, explained;
	unsigned long by_trap[NR_TRAPS];
	unsigned long by_way[WAYS];
	unsigned long by_tactic[NR_TACTICS];
	unsigned long refused[WAYS][NR_REASONS];
	char why[NR_REASONS][KTRAMP_WHY_MAX];
	uint8_t *form_done;
};

int bench_open(struct bench *b, uint64_t seed);
void bench_close(struct bench *b);
int bench_introduce(struct bench *b);
void bench_draw(struct bench *b, uint64_t number);
int bench_run(struct bench *b);

/* Parts of bench_run(). */
uint64_t cell_address(const struct bench *b, unsigned int cell);
int write_cells(struct bench *b);
int copy_text(int fd, unsigned long request, uint64_t address, void *buffer, size_t size);
int execute(int fd, const struct state_case *cases, struct state_result *results, unsigned int nr);
int item_create(struct bench *b, struct item *item, unsigned int way);
bool sight(struct bench *b, const struct item *item, unsigned int way, struct state_result *seen);
bool is_truth(const struct state_result *seen, const struct state_case *state);

#endif /* STATE_BENCH_H */
