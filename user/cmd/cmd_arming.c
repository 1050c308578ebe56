// SPDX-License-Identifier: GPL-2.0-only
/* ktramp arming: what it takes to arm many jumps, beside the kernel's own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

#include "lib/ktramp.h"

#define INSNS_MAX	8192

/* Sites are this far apart, so that no two of them displace the same instruction. */
#define APART		24

/* Behind the entry, which is ftrace's. */
#define BEHIND_ENTRY	16

struct options {
	uint32_t sites;
	uint32_t per_function;
	uint64_t seed;
};

struct arming {
	const struct dev *dev;
	const struct options *opts;
	struct text text;
	uint64_t *sites;
	uint32_t nr;
	uint32_t *ids;
	uint32_t made;
	uint64_t create, arm, disarm, destroy;	/* ticks, in all */
	uint64_t memory;			/* bytes, in all */
	struct ktramp_kprobes kprobes;
};

static const struct argp_option options[] = {
	{ "sites", 'n', "N", 0, "Instructions to probe, 1000 by default", 0 },
	{ "per-function", 'p', "N", 0, "So many in each function, 1 by default", 0 },
	{ "seed", 's', "N", 0, "Choose other functions", 0 },
	{ }
};

static const char doc[] =
	"Measure what it takes to arm many jumps on instructions of the running kernel, and what "
	"it takes the kernel to arm kprobes on the same ones until those that can have become "
	"jumps. Both are gone afterwards.\v"
	"EACH is what the making of one takes, in ticks of the counter: instructions in a guest "
	"that counts them. DONE is from the first until all are armed; there are grace periods in "
	"it, during which the machine does something else.\n\n"
	"With one site a function, nearly all of EACH is the kernel's own check of a kprobe's "
	"address, which ktramp asks for once a function.\n\n"
	"Exit status: 0, 1 if something failed, 2 on wrong usage.\n\n"
	"Examples:\n"
	"  ktramp arming\n"
	"  ktramp arming --per-function 20 --json\n";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opts = state->input;

	switch (key) {
	case 'n':
		opts->sites = parse_number(state, "sites", arg, 1, KTRAMP_KPROBES_MAX);
		return 0;
	case 'p':
		opts->per_function = parse_number(state, "per-function", arg, 1, 1000);
		return 0;
	case 's':
		opts->seed = parse_number(state, "seed", arg, 0, INT64_MAX);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = CMD_ARGP(NULL);

/* Instructions of a function that a jump serves; none if there are too few. */
static int choose_in(struct arming *a, uint64_t function, struct ktramp_scan_insn *insns)
{
	struct ktramp_scan scan = {
		.address	= function,
		.insns		= (uintptr_t)insns,
		.max		= INSNS_MAX,
		.mechanisms	= 1U << KTRAMP_JUMP,
	};
	uint32_t first = a->nr, next = BEHIND_ENTRY;
	int err = dev_scan(a->dev, &scan);

	if (err == -ENOENT || err == -EOPNOTSUPP)
		return 0;
	if (err)
		return err;
	for (uint32_t i = 0; i < MIN(scan.nr, INSNS_MAX) && a->nr < a->opts->sites; i++) {
		const struct ktramp_scan_insn *insn = &insns[i];

		if (a->nr - first == a->opts->per_function)
			break;
		if (insn->reason[KTRAMP_JUMP] || insn->kernel || insn->offset < next ||
		    (insn->marks & KTRAMP_SCAN_PADDING) || insn->tactic == KTRAMP_TACTIC_FTRACE ||
		    text_is_blacklisted(&a->text, function + insn->offset))
			continue;
		a->sites[a->nr++] = function + insn->offset;
		next = insn->offset + APART;
	}
	if (a->nr < a->opts->sites && a->nr - first < a->opts->per_function)
		a->nr = first;
	return 0;
}

static int choose(struct arming *a)
{
	struct ktramp_scan_insn *insns = calloc(INSNS_MAX, sizeof(*insns));
	uint64_t random = a->opts->seed;
	int err = insns ? 0 : -ENOMEM;

	/* Functions in a random order, each once. */
	for (size_t left = a->text.nr; left && !err && a->nr < a->opts->sites; left--) {
		size_t i = prng(&random) % left;
		uint64_t function = a->text.functions[i];

		a->text.functions[i] = a->text.functions[left - 1];
		err = stopped ? -EINTR : choose_in(a, function, insns);
	}
	free(insns);
	if (err)
		p_err("cannot find instructions: %s", strerror(-err));
	else if (!a->nr)
		p_err("no function has %u instructions to probe", a->opts->per_function);
	return err ? err : a->nr ? 0 : -ENOENT;
}

static int make(struct arming *a)
{
	for (uint32_t i = 0; i < a->nr; i++) {
		struct ktramp_create create = {
			.mechanism = KTRAMP_JUMP, .handler = KTRAMP_COUNT,
		};
		uint64_t from;
		int err;

		snprintf(create.site, sizeof(create.site), "0x%llx",
			 (unsigned long long)a->sites[i]);
		from = __rdtsc();
		err = dev_create(a->dev, &create);
		a->create += __rdtsc() - from;
		/* Refused by the kernel itself, or without room where a pun wants it. */
		if (err && !create.reason) {
			p_err("cannot probe '%s': %s", create.site, strerror(-err));
			return err;
		}
		if (!err)
			a->ids[a->made++] = create.id;
	}
	return 0;
}

static int batch(struct arming *a, unsigned long request, const char *what, uint64_t *ticks)
{
	struct ktramp_batch reply;
	uint64_t from = __rdtsc();
	int err = dev_batch(a->dev, request, a->ids, a->made, &reply);

	*ticks = __rdtsc() - from;
	if (err)
		p_err("cannot %s %u of %u probes: %s", what, a->made - reply.done, a->made,
		      *reply.why ? reply.why : strerror(-err));
	return err;
}

static void sum_memory(struct arming *a)
{
	for (uint32_t i = 0; i < a->made; i++) {
		struct ktramp_probe_info probe;

		if (!dev_probe(a->dev, a->ids[i], 0, &probe))
			a->memory += probe.memory;
	}
}

static int measure(struct arming *a)
{
	int err = make(a), gone;

	if (!err)
		err = batch(a, KTRAMP_IOC_ARM, "arm", &a->arm);
	sum_memory(a);
	if (!err)
		err = batch(a, KTRAMP_IOC_DISARM, "disarm", &a->disarm);
	gone = a->made ? batch(a, KTRAMP_IOC_DESTROY, "destroy", &a->destroy) : 0;
	if (err || gone)
		return err ? err : gone;
	err = dev_kprobes(a->dev, a->sites, a->nr, &a->kprobes);
	if (err)
		p_err("cannot register kprobes: %s", strerror(-err));
	return err;
}

static double per(uint64_t ticks, uint32_t nr)
{
	return nr ? (double)ticks / nr : 0;
}

static int print_json(const struct arming *a, const struct run_facts *facts)
{
	const struct ktramp_kprobes *k = &a->kprobes;

	return out_line(stdout, json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I,"
					  " s:{s:I, s:I, s:I, s:I, s:I, s:o},"
					  " s:{s:I, s:I, s:I, s:I, s:I}}",
		"type", "arming",
		"schema", 1,
		"kernel", facts->uts.release,
		"cpu", facts->cpu,
		"clock", clock_name(a->dev->info.clock),
		"unit", clock_unit(a->dev->info.clock),
		"tsc_khz", (json_int_t)a->dev->info.tsc_khz,
		"sites", (json_int_t)a->nr,
		"per_function", (json_int_t)a->opts->per_function,
		"seed", (json_int_t)a->opts->seed,
		"jump",
		"armed", (json_int_t)a->made,
		"create", (json_int_t)a->create,
		"arm", (json_int_t)a->arm,
		"disarm", (json_int_t)a->disarm,
		"destroy", (json_int_t)a->destroy,
		"memory", json_number(per(a->memory, a->made)),
		"kprobe",
		"armed", (json_int_t)k->registered,
		"jumps", (json_int_t)k->jumps,
		"create", (json_int_t)k->register_ticks,
		"done", (json_int_t)k->jump_ticks,
		"destroy", (json_int_t)k->unregister_ticks));
}

static double seconds(const struct arming *a, uint64_t ticks)
{
	return ticks / (1000.0 * a->dev->info.tsc_khz);
}

static int print_table(const struct arming *a, const struct run_facts *facts)
{
	const struct ktramp_kprobes *k = &a->kprobes;
	struct table table;
	int err;

	printf("Linux %s, %s, %s: %u instructions, %u to a function\n", facts->uts.release,
	       facts->cpu, clock_name(a->dev->info.clock), a->nr, a->opts->per_function);
	table_init(&table, 7, 0x7e);
	table_add(&table, "MECHANISM\tARMED\tJUMPS\tEACH\tDONE s\tGONE s\tBYTES");
	table_add(&table, "jump\t%u\t%u\t%.0f\t%.3f\t%.3f\t%.0f", a->made, a->made,
		  per(a->create + a->arm, a->made), seconds(a, a->create + a->arm),
		  seconds(a, a->disarm + a->destroy), per(a->memory, a->made));
	table_add(&table, "kprobe\t%u\t%u\t%.0f\t%.3f\t%.3f\t", k->registered, k->jumps,
		  per(k->register_ticks, k->registered), seconds(a, k->jump_ticks),
		  seconds(a, k->unregister_ticks));
	err = table_print(&table);
	table_deinit(&table);
	return err;
}

static int run(struct arming *a)
{
	struct run_facts facts = { 0 };
	int err = text_read(&a->text, NULL);

	a->sites = calloc(a->opts->sites, sizeof(*a->sites));
	a->ids = calloc(a->opts->sites, sizeof(*a->ids));
	if (!err && (!a->sites || !a->ids)) {
		p_err("cannot measure: %s", strerror(ENOMEM));
		err = -ENOMEM;
	}
	if (!err)
		err = kernel_release(&facts.uts);
	if (!err)
		err = choose(a);
	if (!err)
		err = measure(a);
	if (err)
		return err;
	cpu_model(facts.cpu, sizeof(facts.cpu));
	return out_json ? print_json(a, &facts) : print_table(a, &facts);
}

int cmd_arming(int argc, char **argv)
{
	struct options opts = { .sites = 1000, .per_function = 1, .seed = 1 };
	struct dev dev __cleanup(dev_close) = { .fd = -1 };
	struct arming arming = { .dev = &dev, .opts = &opts };
	int err;

	argp_parse(&argp, argc, argv, 0, NULL, &opts);
	if (dev_open(&dev))
		return EXIT_FAILED;
	catch_signals();
	err = pin_to_cpu(first_cpu());
	if (!err)
		err = run(&arming);
	free(arming.sites);
	free(arming.ids);
	text_deinit(&arming.text);
	return err ? EXIT_FAILED : EXIT_OK;
}
