// SPDX-License-Identifier: GPL-2.0-only
/*
 * How much of the kernel each mechanism can serve: plans at a sample of its instructions,
 * or at all of them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ktramp.h"

#define OURS_FIRST	KTRAMP_INT3_EMULATE
#define OURS_LAST	KTRAMP_JUMP
#define OURS		((2U << OURS_LAST) - (1U << OURS_FIRST))

struct function {
	uint64_t address;
	uint32_t nr;		/* instructions, padding included; 0: it cannot be read */
	uint32_t padding;
};

struct count {
	uint64_t served;
	uint64_t refused[NR_REASONS];
};

struct tally {
	uint64_t functions;
	uint64_t instructions;
	uint64_t sampled;
	uint64_t accepted;	/* of those, by the kernel's kprobes */
	uint64_t tactic[NR_TACTICS];
	struct count mechanism[OURS_LAST + 1];
};

struct work {
	const struct dev *dev;
	const struct coverage_config *config;
	struct text text;
	struct function *functions;
	uint32_t longest;	/* function, instructions */
	struct ktramp_scan_insn *insns;
	bool *picks;
	time_t shown;
	struct tally tally;
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
	struct ktramp_scan_insn unused;
	struct ktramp_scan reply;

	for (size_t i = 0; i < work->text.nr; i++) {
		struct function *function = &work->functions[i];
		int err;

		if (stopped)
			return -EINTR;
		progress(work, "reading functions", i, work->text.nr);
		function->address = work->text.functions[i];
		err = scan(work, function, UINT32_MAX, 1, 0, &unused, &reply);
		if (err)
			return err;
		/* A label inside of a function that is known by another name. */
		if (reply.nr && reply.address != function->address)
			continue;
		function->nr = reply.nr;
		function->padding = reply.padding;
		work->longest = MAX(work->longest, reply.nr);
		work->tally.functions += reply.nr != reply.padding;
		work->tally.instructions += reply.nr - reply.padding;
	}
	return 0;
}

static void add(struct work *work, uint64_t function, const struct ktramp_scan_insn *insn)
{
	struct tally *tally = &work->tally;

	tally->sampled++;
	if (insn->kernel || text_is_blacklisted(&work->text, function + insn->offset))
		return;
	tally->accepted++;
	tally->tactic[insn->tactic < NR_TACTICS ? insn->tactic : 0]++;
	for (unsigned int m = OURS_FIRST; m <= OURS_LAST; m++) {
		uint8_t reason = insn->reason[m];

		if (!reason)
			tally->mechanism[m].served++;
		else
			tally->mechanism[m].refused[MIN(reason, NR_REASONS - 1)]++;
	}
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
	for (uint32_t i = 0, n = 0; !err && i < function->nr; i++) {
		struct ktramp_scan_insn insn;
		struct ktramp_scan reply;

		if ((work->insns[i].marks & KTRAMP_SCAN_PADDING) || !work->picks[n++])
			continue;
		err = scan(work, function, i, 1, OURS, &insn, &reply);
		if (!err)
			add(work, function->address, &insn);
	}
	return err;
}

static int plan_all(struct work *work)
{
	uint64_t left = work->tally.instructions, random = work->config->seed;
	uint64_t wanted = work->config->sample ? MIN(work->config->sample, left) : left;

	for (size_t i = 0; i < work->text.nr; i++) {
		int err;

		if (stopped)
			return -EINTR;
		progress(work, "planning", i, work->text.nr);
		err = plan_function(work, &work->functions[i], &left, &wanted, &random);
		if (err)
			return err;
	}
	return 0;
}

static json_t *count_json(const struct count *count)
{
	json_t *refused = json_object();

	for (unsigned int i = 1; i < NR_REASONS; i++)
		if (count->refused[i])
			json_object_set_new(refused, reason_name(i),
					    json_integer(count->refused[i]));
	return refused;
}

static int print_json(const struct work *work, const struct run_facts *facts)
{
	const struct tally *tally = &work->tally;
	json_t *tactics = json_object(), *mechanisms = json_object();

	for (unsigned int i = 1; i < NR_TACTICS; i++)
		json_object_set_new(tactics, tactic_name(i), json_integer(tally->tactic[i]));
	for (unsigned int m = OURS_FIRST; m <= OURS_LAST; m++)
		json_object_set_new(mechanisms, work->dev->mechanisms[m - 1].name,
				    json_pack("{s:I, s:o}",
					      "served", (json_int_t)tally->mechanism[m].served,
					      "refused", count_json(&tally->mechanism[m])));
	return out_line(stdout, json_pack("{s:s, s:i, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:b, s:I,"
					  " s:I, s:I, s:o, s:o, s:o}",
		"type", "coverage",
		"schema", 1,
		"kernel", facts->uts.release,
		"cpu", facts->cpu,
		"module", work->dev->info.version,
		"text", work->config->module ? json_string(work->config->module) : json_null(),
		"functions", (json_int_t)tally->functions,
		"instructions", (json_int_t)tally->instructions,
		"seed", (json_int_t)work->config->seed,
		"asked", work->config->ask,
		"sampled", (json_int_t)tally->sampled,
		"accepted", (json_int_t)tally->accepted,
		"jump", (json_int_t)tally->mechanism[KTRAMP_JUMP].served,
		"by_tactic", tactics,
		"refused", count_json(&tally->mechanism[KTRAMP_JUMP]),
		"mechanisms", mechanisms));
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * part / whole : 0;
}

static int print_table(const struct work *work, const struct run_facts *facts)
{
	const struct tally *tally = &work->tally;
	struct table table;
	int err;

	printf("Linux %s, %s: %llu of %llu instructions in %llu functions of %s\n",
	       facts->uts.release, facts->cpu, (unsigned long long)tally->sampled,
	       (unsigned long long)tally->instructions, (unsigned long long)tally->functions,
	       work->config->module ? work->config->module : "the kernel");
	printf("a kprobe is accepted on %llu of them, %.2f %%, which are 100 %% below\n\n",
	       (unsigned long long)tally->accepted, percent(tally->accepted, tally->sampled));
	table_init(&table, 4, 0xc);
	table_add(&table, "MECHANISM\tOUTCOME\tINSNS\t%%");
	for (unsigned int m = OURS_FIRST; m <= OURS_LAST; m++) {
		const struct count *count = &tally->mechanism[m];

		table_add(&table, "%s\tserved\t%llu\t%.2f", work->dev->mechanisms[m - 1].name,
			  (unsigned long long)count->served,
			  percent(count->served, tally->accepted));
		for (unsigned int i = 1; m == KTRAMP_JUMP && i < NR_TACTICS; i++)
			table_add(&table, "\t  by %s\t%llu\t%.2f", tactic_name(i),
				  (unsigned long long)tally->tactic[i],
				  percent(tally->tactic[i], tally->accepted));
		for (unsigned int i = 1; i < NR_REASONS; i++)
			if (count->refused[i])
				table_add(&table, "\t  refused: %s\t%llu\t%.2f", reason_name(i),
					  (unsigned long long)count->refused[i],
					  percent(count->refused[i], tally->accepted));
	}
	err = table_print(&table);
	table_deinit(&table);
	return err;
}

static int allocate(struct work *work)
{
	work->insns = calloc(work->longest + 1, sizeof(*work->insns));
	work->picks = calloc(work->longest + 1, sizeof(*work->picks));
	return work->insns && work->picks ? 0 : no_memory();
}

static int run(struct work *work)
{
	struct run_facts facts = { 0 };
	int err;

	work->functions = calloc(work->text.nr, sizeof(*work->functions));
	if (!work->functions)
		return no_memory();
	err = kernel_release(&facts.uts);
	if (err)
		return err;
	cpu_model(facts.cpu, sizeof(facts.cpu));
	err = count_instructions(work);
	if (!err)
		err = allocate(work);
	if (!err)
		err = plan_all(work);
	progress_end();
	if (err == -EINTR)
		p_err("interrupted");
	if (err)
		return err;
	return out_json ? print_json(work, &facts) : print_table(work, &facts);
}

int coverage(const struct dev *dev, const struct coverage_config *config)
{
	struct work work = { .dev = dev, .config = config };
	int err = text_read(&work.text, config->module);

	if (!err)
		err = run(&work);
	free(work.functions);
	free(work.insns);
	free(work.picks);
	text_deinit(&work.text);
	return err;
}
