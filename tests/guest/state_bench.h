/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Batches of instructions through all the ways there are to probe them (state_bench.c).
 */
#ifndef STATE_BENCH_H
#define STATE_BENCH_H

#include "state.h"
#include "state_program.h"

#define STATES		10	/* of an instruction */
#define DIFFERENCES	5	/* explained in full */
#define AT_ENTRIES	(1ULL << 32)	/* numbers of instructions behind functions' entries */

#define WAYS		8	/* whose probes are there together */
#define DRAWN		WAYS	/* the one behind them: bpf-jump, each with a program of its own */
#define ALL_WAYS	(WAYS + 1)
#define NR_DRAWN	3
#define NR_HANDLERS	(KTRAMP_BPF_INLINE + 1)
#define NR_CLASSES	(KTRAMP_BPF_BARE + 1)
#define NR_TACTICS	16
#define NR_REASONS	64
#define NR_TRAPS	32

/**
 * struct way - how a probe is made
 * @mechanism: &enum ktramp_mechanism
 * @handler: &enum ktramp_handler; 0: one of drawn_handlers
 * @name: for people
 */
struct way {
	unsigned int mechanism;
	unsigned int handler;
	const char *name;
};

extern const struct way ways[ALL_WAYS];
extern const unsigned int drawn_handlers[NR_DRAWN];

static inline bool way_is_jump(unsigned int way)
{
	return ways[way].mechanism == KTRAMP_JUMP || ways[way].mechanism == KTRAMP_BPF_JUMP;
}

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
 * @place: the number that the program knows it by
 * @program: the drawn one
 * @words: what it must have left
 * @explained: a difference was
 */
struct item {
	uint64_t number;
	unsigned int form;
	struct code code;
	unsigned int states;
	struct state_case state[STATES];
	struct state_result bare[STATES];
	__u32 probe[ALL_WAYS];
	unsigned int handler[ALL_WAYS];
	unsigned int pid[ALL_WAYS];
	unsigned int hits[ALL_WAYS];
	unsigned int place;
	struct program program;
	uint64_t words[PROGRAM_WORDS];
	bool explained;
};

/**
 * struct bench - all that is needed, and what happened
 * @fd: ktramp
 * @state: the test's own module
 * @progs: the program that probes are given, and what it saw
 * @prog: its descriptor
 * @maps: of drawn programs
 * @words: theirs, of all cells
 * @by_class: executions with a drawn program
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
 * @by_way: executions, by handler
 * @by_tactic: executions
 * @entered: those of them that came in behind the site
 * @lost: at entries, by handler: executions that left another number in a register, or, the
 *	last of them, other flags, which ftrace need not give back
 * @refused: cases
 * @why: the sentence for a reason
 * @form_done: which forms were executed
 */
struct bench {
	int fd;
	int state;
	struct progs_bpf *progs;
	int prog;
	struct program_maps maps;
	uint64_t (*words)[PROGRAM_WORDS];
	unsigned long by_class[NR_CLASSES];
	uint64_t seed;
	struct state_info where;
	struct forms forms;
	struct item *items;
	unsigned int nr;
	struct state_case cases[STATE_CELLS];
	struct state_result results[STATE_CELLS];
	unsigned long cases_done, probed, traps, taken, unsafe, differences, explained;
	unsigned long by_trap[NR_TRAPS];
	unsigned long by_way[ALL_WAYS][NR_HANDLERS];
	unsigned long by_tactic[NR_TACTICS];
	unsigned long entered[NR_TACTICS];
	unsigned long lost[NR_HANDLERS][17];
	unsigned long refused[ALL_WAYS][NR_REASONS];
	char why[NR_REASONS][KTRAMP_WHY_MAX];
	uint8_t *form_done;
};

int bench_open(struct bench *b, uint64_t seed);
void bench_close(struct bench *b);
int bench_introduce(struct bench *b);
void bench_draw(struct bench *b, uint64_t number);
int bench_run(struct bench *b);

/* As bench_draw() and bench_run(), of instructions behind entries (state_entry.c). */
bool entries_are_there(const struct bench *b);
void entries_draw(struct bench *b, uint64_t number);
int entries_run(struct bench *b);
void entries_report(const struct bench *b);
void entries_forget(struct bench *b, const struct item *item, unsigned int way,
		    const struct state_result *bare, struct state_result *probed);

/* Parts of bench_run(); where two numbers are asked for, items from the first to the second. */
uint64_t cell_address(const struct bench *b, unsigned int cell);
int write_cells(struct bench *b);
int copy_text(int fd, unsigned long request, uint64_t address, void *buffer, size_t size);
int execute(int fd, const struct state_case *cases, struct state_result *results, unsigned int nr);
int entries_write(struct bench *b, unsigned int from, unsigned int to);
int execute_bare(struct bench *b, unsigned int from, unsigned int to);
int execute_probed(struct bench *b, unsigned int way, unsigned int from, unsigned int to);
int check_program(const struct bench *b);
void explain_probe(struct bench *b, const struct item *item, unsigned int way);
int item_create(struct bench *b, struct item *item, unsigned int way);
bool sight(struct bench *b, const struct item *item, unsigned int way, struct state_result *seen);
bool is_truth(const struct state_result *seen, const struct state_case *state);

#endif /* STATE_BENCH_H */
