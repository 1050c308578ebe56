// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tactic ftrace: a probe on a function's entry, which ftrace owns, is ftrace's call.
 * Nothing is displaced, so that the instruction under test is the one behind it. Arming and
 * disarming read all of ftrace's list: so each function is armed once for many instructions,
 * which are written while it is.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kt.h"
#include "progs.h"
#include "state_bench.h"

#define R10	(1U << 10)
#define R11	(1U << 11)
#define FLAGS	16	/* of bench.lost */

/**
 * struct loss - what a handler's way through ftrace does not give back
 * @handler: &enum ktramp_handler
 * @name: its name
 * @regs: registers
 * @flags: and flags
 *
 * Only compiled functions begin with what ftrace owns. Where one is called, the ABI lets the
 * caller keep nothing in R10, R11 and the arithmetic flags, and the function finds nothing
 * there. ftrace_caller, for handlers that do not ask for registers, saves none of them (the
 * handler may leave R10 and R11 alone). ftrace_regs_caller saves all of them, and shows them to
 * the handler, but R11 it does not load again.
 */
static const struct loss {
	unsigned int handler;
	const char *name;
	uint16_t regs;
	uint16_t flags;
} losses[] = {
	{ KTRAMP_COUNT, "count", R10 | R11, KTRAMP_F_ARITH },
	{ KTRAMP_REGS, "regs", R11, 0 },
	{ KTRAMP_BPF, "bpf", R11, 0 },
};

static const struct loss *loss_of(unsigned int handler)
{
	for (unsigned int i = 0; i < sizeof(losses) / sizeof(*losses); i++)
		if (losses[i].handler == handler)
			return &losses[i];
	return NULL;
}

bool entries_are_there(const struct bench *b)
{
	return b->where.entries[0];
}

static bool is_served(unsigned int way)
{
	return way_is_jump(way) && loss_of(ways[way].handler);
}

/* What reads what is lost comes out otherwise, and nothing is wrong. */
static bool reads_lost(const struct ktramp_insn *insn, const struct loss *loss)
{
	return (insn->regs_read & loss->regs) || (insn->flags_read & loss->flags);
}

/* Take what is lost for what it was. */
void entries_forget(struct bench *b, const struct item *item, unsigned int way,
		    const struct state_result *bare, struct state_result *probed)
{
	const struct loss *loss = loss_of(item->handler[way]);
	unsigned long *lost = b->lost[loss->handler];
	uint64_t flags = (bare->rflags ^ probed->rflags) & loss->flags;

	for (unsigned int i = 0; i < 16; i++)
		if (loss->regs & 1U << i) {
			lost[i] += probed->r[i] != bare->r[i];
			probed->r[i] = bare->r[i];
		}
	lost[FLAGS] += flags != 0;
	probed->rflags ^= flags;
}

void entries_report(const struct bench *b)
{
	for (unsigned int i = 0; i < sizeof(losses) / sizeof(*losses); i++) {
		const unsigned long *lost = b->lost[losses[i].handler];

		printf("# not compared behind ftrace's call, %s:", losses[i].name);
		for (unsigned int r = 0; r < 16; r++)
			if (losses[i].regs & 1U << r)
				printf(" r%u (changed %lu times)", r, lost[r]);
		if (losses[i].flags)
			printf(" arithmetic flags (changed %lu times)", lost[FLAGS]);
		printf("\n");
	}
}

/* An instruction has the same function each time. */
void entries_draw(struct bench *b, uint64_t number)
{
	unsigned int function = number % STATE_ENTRIES;
	struct item *item = &b->items[b->nr++];
	struct rng rng = rng_of(b->seed, number);

	memset(item, 0, sizeof(*item));
	item->number = number;
	item->form = form_in_turn(&b->forms, number - AT_ENTRIES);
	item->place = function;
	while (!code_make_behind(&rng, &b->forms.v[item->form], &b->where,
				 b->where.entries[function], &item->code))
		;
	for (unsigned int way = 0; way < WAYS; way++)
		item->handler[way] = ways[way].handler;
}

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* What is behind the entries: they themselves are ftrace's. */
int entries_write(struct bench *b, unsigned int from, unsigned int to)
{
	int err = 0;

	for (unsigned int i = from; !err && i < to; i++) {
		struct code *code = &b->items[i].code;

		err = copy_text(b->state, STATE_IOC_WRITE, code->address + ENTRY_SIZE,
				code->bytes + ENTRY_SIZE, STATE_CELL_SIZE - ENTRY_SIZE);
	}
	return err;
}

/* All items, as many at a time as there are functions. @way: %WAYS if bare */
static int run_rounds(struct bench *b, unsigned int way)
{
	int err = 0;

	for (unsigned int from = 0; !err && from < b->nr; from += STATE_ENTRIES) {
		unsigned int to = least(from + STATE_ENTRIES, b->nr);

		err = entries_write(b, from, to);
		if (!err)
			err = way == WAYS ? execute_bare(b, from, to) :
					    execute_probed(b, way, from, to);
	}
	return err;
}

/* The first item of each function makes the probe, which is that of all the others, too. */
static int create_probes(struct bench *b, unsigned int way, __u32 *ids)
{
	const struct loss *loss = loss_of(ways[way].handler);

	for (unsigned int i = 0; i < b->nr; i++) {
		struct item *item = &b->items[i];
		__u32 *id = &ids[i % STATE_ENTRIES];
		int err = *id ? 0 : item_create(b, item, way);

		if (err)
			return err;
		if (!*id)
			*id = item->probe[way];
		item->probe[way] = reads_lost(&item->code.insn, loss) ? 0 : *id;
	}
	return 0;
}

/* Every hit was handled, once, and by ftrace. */
static int check_hits(struct bench *b, unsigned int way, const __u32 *ids, unsigned int nr)
{
	for (unsigned int f = 0; f < nr; f++) {
		unsigned long long run = b->progs->bss->hits_at[b->items[f].place], hits = 0;
		struct ktramp_probe_info info;

		if (kt_probe(b->fd, ids[f], &info))
			return -EIO;
		for (unsigned int i = f; i < b->nr; i += STATE_ENTRIES)
			hits += b->items[i].hits[way];
		b->by_tactic[info.tactic % NR_TACTICS] += hits;
		if (ways[way].handler != KTRAMP_BPF)
			run = info.hits;
		if (info.hits == hits && run == hits && !info.missed &&
		    info.tactic == KTRAMP_TACTIC_FTRACE)
			continue;
		b->differences++;
		explain_probe(b, &b->items[f], way);
		printf("#   tactic %u, hits %llu, run %llu, missed %llu, instead of %llu and 0\n",
		       info.tactic, (unsigned long long)info.hits, run,
		       (unsigned long long)info.missed, hits);
	}
	return check_program(b);
}

static int one_way(struct bench *b, unsigned int way)
{
	unsigned int nr = least(b->nr, STATE_ENTRIES);
	__u32 ids[STATE_ENTRIES] = { 0 };
	struct ktramp_batch batch;
	int err = create_probes(b, way, ids);

	memset(b->progs->bss->hits_at, 0, sizeof(b->progs->bss->hits_at));
	if (!err) {
		err = kt_batch(b->fd, KTRAMP_IOC_ARM, ids, nr, &batch);
		if (err)
			printf("# probe %u of %u: %s\n", batch.failed, nr, batch.why);
	}
	if (!err)
		err = run_rounds(b, way);
	if (!err)
		err = check_hits(b, way, ids, nr);
	return kt_batch(b->fd, KTRAMP_IOC_DESTROY, ids, nr, &batch) ?: err;
}

/* Nothing is left at the entries, and behind them the last that was written. */
static bool entries_are_written(struct bench *b)
{
	uint8_t bytes[STATE_CELL_SIZE];

	for (unsigned int i = b->nr - least(b->nr, STATE_ENTRIES); i < b->nr; i++)
		if (copy_text(b->state, STATE_IOC_READ, b->items[i].code.address, bytes,
			      sizeof(bytes)) ||
		    memcmp(bytes, b->items[i].code.bytes, sizeof(bytes)))
			return false;
	return true;
}

int entries_run(struct bench *b)
{
	int err = run_rounds(b, WAYS);

	for (unsigned int way = 0; !err && way < WAYS; way++)
		if (is_served(way))
			err = one_way(b, way);
	if (!err && !entries_are_written(b)) {
		printf("# the entries are not what they were\n");
		err = -EILSEQ;
	}
	return err;
}
