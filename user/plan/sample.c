// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plans at a sample of the instructions of the kernel, or of a module, or at all of them:
 * padding and what the kernel's blacklist has can be told apart, and each instruction is as
 * likely as any other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/ktramp.h"

#define OURS		((2U << OURS_LAST) - (1U << OURS_FIRST))

struct function {
	uint64_t address;
	uint32_t nr;		/* instructions, padding included; 0: it is not looked at */
	uint32_t padding;
};

struct work {
	const struct dev *dev;
	const struct sample_config *config;
	struct sample *sample;
	struct function *functions;
	uint32_t longest;	/* function, instructions */
	struct ktramp_scan_insn *insns;
	bool *picks;
	time_t shown;
};

static int no_memory(void)
{
	p_err("cannot plan at every instruction: %s", strerror(ENOMEM));
	return -ENOMEM;
}

static void progress(struct work *work, const char *what, size_t done, size_t all)
{
	time_t now = time(NULL);

	if (!isatty(STDERR_FILENO) || now == work->shown)
		return;
	work->shown = now;
	fprintf(stderr, "\r%s: %zu %%\033[K", what, 100 * done / all);
}

static void progress_end(void)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}

/* A function that the module cannot read at all has no instructions. */
static int scan(struct work *work, const struct function *function, uint32_t first, uint32_t max,
		uint32_t mechanisms, struct ktramp_scan_insn *insns, struct ktramp_scan *scan)
{
	int err;

	*scan = (struct ktramp_scan){
		.flags		= mechanisms && work->config->ask ? KTRAMP_SCAN_ASK : 0,
		.address	= function->address,
		.insns		= (uintptr_t)insns,
		.first		= first,
		.max		= max,
		.mechanisms	= mechanisms,
	};
	err = dev_scan(work->dev, scan);
	if (err == -EOPNOTSUPP || err == -ENOENT) {
		scan->nr = 0;
		return 0;
	}
	if (err)
		p_err("cannot plan in the function at 0x%016llx: %s",
		      (unsigned long long)function->address, *scan->why ? scan->why :
		      strerror(-err));
	return err;
}

/* How many instructions each function has. */
static int count_instructions(struct work *work)
{
	uint64_t random = ~work->config->seed;
	struct ktramp_scan_insn unused;
	struct ktramp_scan reply;

	for (size_t i = 0; i < work->sample->text.nr; i++) {
		struct function *function = &work->functions[i];
		int err;

		if (stopped)
			return -EINTR;
		progress(work, "reading functions", i, work->sample->text.nr);
		function->address = work->sample->text.functions[i];
		if (work->config->part > 1 &&
		    prng(&random) % work->config->part != work->config->share)
			continue;
		err = scan(work, function, UINT32_MAX, 1, 0, &unused, &reply);
		if (err)
			return err;
		/* A label inside of a function that is known by another name. */
		if (reply.nr && reply.address != function->address)
			continue;
		function->nr = reply.nr;
		function->padding = reply.padding;
		work->longest = MAX(work->longest, reply.nr);
		work->sample->functions += reply.nr != reply.padding;
		work->sample->instructions += reply.nr - reply.padding;
	}
	return 0;
}

/* Selection sampling: each instruction is as likely as any other (Knuth, vol. 2, 3.4.2, S). */
static bool chosen(uint64_t *left, uint64_t *wanted, uint64_t *random)
{
	bool yes = prng(random) % (*left)-- < *wanted;

	*wanted -= yes;
	return yes;
}

/* What is padding shows only when the function is read. */
static int mark_padding(struct work *work, const struct function *function)
{
	struct ktramp_scan reply;

	return scan(work, function, 0, function->nr, 0, work->insns, &reply);
}

/* From the n-th of the instructions that are none of the padding to the n-th of all. */
static void spread_picks(struct work *work, const struct function *function)
{
	uint32_t n = function->nr - function->padding;

	for (uint32_t i = function->nr; i--;) {
		bool padding = work->insns[i].marks & KTRAMP_SCAN_PADDING;

		work->picks[i] = !padding && work->picks[--n];
	}
}

/* How many instructions from @first on are like it: picked, or not. */
static uint32_t same_picks(const struct work *work, const struct function *function,
			   uint32_t first)
{
	uint32_t i = first;

	while (i < function->nr && work->picks[i] == work->picks[first])
		i++;
	return i - first;
}

/* The module reads the function anew for each call: so many in one that stand side by side. */
static int plan_run(struct work *work, const struct function *function, uint32_t first,
		    uint32_t nr)
{
	struct ktramp_scan reply;
	int err = scan(work, function, first, nr, OURS, work->insns, &reply);

	for (uint32_t i = 0; !err && i < nr; i++)
		err = work->sample->planned(work->sample, function->address, &work->insns[i]);
	return err;
}

static int plan_function(struct work *work, const struct function *function, uint64_t *left,
			 uint64_t *wanted, uint64_t *random)
{
	int err = 0;

	/* Nothing in most functions is chosen: then they need not be read. */
	memset(work->picks, 0, function->nr - function->padding);
	for (uint32_t i = 0; i < function->nr - function->padding; i++) {
		work->picks[i] = chosen(left, wanted, random);
		err |= work->picks[i];
	}
	if (!err)
		return 0;
	err = mark_padding(work, function);
	spread_picks(work, function);
	for (uint32_t i = 0, nr; !err && i < function->nr; i += nr) {
		nr = same_picks(work, function, i);
		if (work->picks[i])
			err = plan_run(work, function, i, nr);
	}
	return err;
}

static int plan_all(struct work *work)
{
	uint64_t left = work->sample->instructions, random = work->config->seed;
	uint64_t wanted = work->config->sample ? MIN(work->config->sample, left) : left;

	for (size_t i = 0; i < work->sample->text.nr; i++) {
		int err;

		if (stopped)
			return -EINTR;
		progress(work, "planning", i, work->sample->text.nr);
		err = plan_function(work, &work->functions[i], &left, &wanted, &random);
		if (err)
			return err;
	}
	return 0;
}

static int allocate(struct work *work)
{
	work->insns = calloc(work->longest + 1, sizeof(*work->insns));
	work->picks = calloc(work->longest + 1, sizeof(*work->picks));
	return work->insns && work->picks ? 0 : no_memory();
}

static int run(struct work *work)
{
	int err;

	work->functions = calloc(work->sample->text.nr, sizeof(*work->functions));
	if (!work->functions)
		return no_memory();
	err = count_instructions(work);
	if (!err)
		err = allocate(work);
	if (!err)
		err = plan_all(work);
	progress_end();
	if (err == -EINTR)
		p_err("interrupted");
	return err;
}

int sample_plan(struct sample *sample, const struct dev *dev, const struct sample_config *config)
{
	struct work work = { .dev = dev, .config = config, .sample = sample };
	int err = text_read(&sample->text, config->module);

	if (!err)
		err = run(&work);
	free(work.functions);
	free(work.insns);
	free(work.picks);
	return err;
}

bool sample_is_accepted(const struct sample *sample, uint64_t function,
			const struct ktramp_scan_insn *insn)
{
	return !insn->kernel && !text_is_blacklisted(&sample->text, function + insn->offset);
}

void sample_deinit(struct sample *sample)
{
	text_deinit(&sample->text);
}
