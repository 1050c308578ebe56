// SPDX-License-Identifier: GPL-2.0-only
/* ktramp bench: what one hit costs, through every mechanism. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/ktramp.h"

#define NAMES_MAX	64

enum option_key {
	OPT_HITS = 256,
	OPT_REPEAT,
	OPT_SEED,
	OPT_CPU,
	OPT_XRAY,
	OPT_NO_PATH,
};

struct names {
	unsigned int nr;
	const char *name[NAMES_MAX];
};

struct options {
	struct bench_config config;
	struct names mechanisms;
	struct names targets;
	unsigned int nr_handlers;
	uint32_t handlers[4];
	long cpu;
	const char *output;
	const char *xray;
	bool no_path;
	bool verbose;
};

struct rows {
	size_t nr;
	struct row *row;
};

static const struct argp_option options[] = {
	{ "mechanism", 'm', "MECHANISM", 0,
	  "Measure this one only; may be repeated. Default: all", 0 },
	{ "target", 't', "TARGET", 0, "Probe this target, or 'all' of them; may be repeated. "
	  "Default: each mechanism's own", 0 },
	{ "handler", 'H', "HANDLER", 0,
	  "Run 'count', 'count-inline', 'regs', 'bpf' or 'bpf-inline' at a hit; "
	  "may be repeated. Default: count, or bpf where there is no other", 0 },
	{ "hits", OPT_HITS, "N", 0, "Calls in one measured loop. Default: 2000", 0 },
	{ "repeat", OPT_REPEAT, "N", 0, "Measured loops of each kind. Default: 5, or 100 where "
	  "the clock counts cycles", 0 },
	{ "seed", OPT_SEED, "N", 0, "Seed of the order of the rows. Default: 1", 0 },
	{ "cpu", OPT_CPU, "N", 0, "CPU to run on. Default: the first one allowed", 0 },
	{ "output", 'o', "FILE", 0, "Write JSON Lines to FILE, beside the table on stdout", 0 },
	{ "xray", OPT_XRAY, "DIR", 0, "Have QEMU's plugin keep every instruction of some calls, "
	  "and leave what the guest knows of them in DIR; for 'make xray'", 0 },
	{ "no-path", OPT_NO_PATH, NULL, 0, "With --xray: do not ask what the module would probe of "
	  "the way to its handlers, which takes longer than the rest", 0 },
	{ "verbose", 'v', NULL, 0, "Tell on stderr which row is measured", 0 },
	{ }
};

static const char doc[] =
	"Measure what one hit costs through every mechanism.\n\n"
	"One target, one instruction, one handler; every mechanism in turn is attached to the "
	"same place. The cost of a hit is what a loop of probed calls takes more than a loop of "
	"unprobed ones, divided by the hits. Every row is proven: hits must equal calls, results "
	"must be right, the bytes at the site, the #BP and #DB of a hit, and the kernel's list of "
	"kprobes must be those of the mechanism. A row that is not so is an error.\n\n"
	"The unit is exact instructions in a guest of 'qemu -icount shift=0', and CPU cycles on a "
	"real machine or under KVM.\v"
	"Mechanisms that this kernel does not have, or that cannot serve the target, are rows that "
	"say why. Some rows need debug.kprobes-optimization at 0 or 1: it is set while they are "
	"measured, and put back.\n\n"
	"Exit status: 0 if every row is a result or unsupported, 1 if one is an error, "
	"2 on wrong usage.\n\n"
	"Examples:\n"
	"  ktramp bench\n"
	"  ktramp bench -m jump -m kprobe-opt --handler regs\n"
	"  ktramp bench -m int3-emulate -t all --json\n"
	"  ktramp bench --hits 10000 --repeat 200 --cpu 3 -o bench.jsonl\n";

static void add_name(struct argp_state *state, struct names *names, const char *name)
{
	if (names->nr == NAMES_MAX)
		argp_error(state, "more than %u names", NAMES_MAX);
	names->name[names->nr++] = name;
}

static void add_handler(struct argp_state *state, struct options *opts, const char *name)
{
	uint32_t handler = handler_number(name);

	if (!handler)
		argp_error(state,
			   "no handler '%s'; say count, count-inline, regs, bpf or bpf-inline",
			   name);
	for (unsigned int i = 0; i < opts->nr_handlers; i++)
		if (opts->handlers[i] == handler)
			return;
	opts->handlers[opts->nr_handlers++] = handler;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opts = state->input;

	switch (key) {
	case 'm':
		add_name(state, &opts->mechanisms, arg);
		return 0;
	case 't':
		add_name(state, &opts->targets, arg);
		return 0;
	case 'H':
		add_handler(state, opts, arg);
		return 0;
	case OPT_HITS:
		opts->config.hits = parse_number(state, "--hits", arg, 1, KTRAMP_LOOPS_MAX);
		return 0;
	case OPT_REPEAT:
		opts->config.repeat = parse_number(state, "--repeat", arg, 1, 100000);
		return 0;
	case OPT_SEED:
		opts->config.seed = parse_number(state, "--seed", arg, 0, INT64_MAX);
		return 0;
	case OPT_CPU:
		opts->cpu = parse_number(state, "--cpu", arg, 0, 1023);
		return 0;
	case 'o':
		opts->output = arg;
		return 0;
	case OPT_NO_PATH:
		opts->no_path = true;
		return 0;
	case OPT_XRAY:
		opts->xray = arg;
		return 0;
	case 'v':
		opts->verbose = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is not an option; did you mean --mechanism or --target?",
			   arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = CMD_ARGP(NULL);

static int add_row(struct rows *rows, const struct ktramp_mechanism_info *mechanism,
		   const struct ktramp_target_info *target, uint32_t handler)
{
	struct row *row = array_more(rows->row, rows->nr);

	if (!row) {
		p_err("cannot list the rows: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	*row = (struct row){ .mechanism = mechanism, .target = target, .handler = handler };
	rows->nr++;
	return 0;
}

static int add_handlers(struct rows *rows, const struct options *opts,
			const struct ktramp_mechanism_info *mechanism,
			const struct ktramp_target_info *target)
{
	if (expect_of(mechanism->mechanism)->silent)
		return add_row(rows, mechanism, target, 0);
	if (!opts->nr_handlers)
		return add_row(rows, mechanism, target, handler_usual(mechanism->handlers));
	for (unsigned int i = 0; i < opts->nr_handlers; i++) {
		int err = add_row(rows, mechanism, target, opts->handlers[i]);

		if (err)
			return err;
	}
	return 0;
}

static int add_mechanism(struct rows *rows, const struct dev *dev, const struct options *opts,
			 const struct ktramp_mechanism_info *mechanism)
{
	if (!opts->targets.nr) {
		const struct ktramp_target_info *target = NULL;

		if (*mechanism->target) {
			target = dev_target(dev, mechanism->target);
			if (!target)
				return -ENOENT;
		}
		return add_handlers(rows, opts, mechanism, target);
	}

	for (unsigned int i = 0; i < opts->targets.nr; i++) {
		bool all = !strcmp(opts->targets.name[i], "all");
		const struct ktramp_target_info *target =
			all ? dev->targets : dev_target(dev, opts->targets.name[i]);
		unsigned int nr = all ? dev->nr_targets : 1;

		if (!target)
			return -ENOENT;
		while (nr--) {
			int err = add_handlers(rows, opts, mechanism, target++);

			if (err)
				return err;
		}
	}
	return 0;
}

static int plan(struct rows *rows, const struct dev *dev, const struct options *opts)
{
	int err = 0;

	if (!opts->mechanisms.nr)
		for (unsigned int i = 0; i < dev->nr_mechanisms && !err; i++)
			err = add_mechanism(rows, dev, opts, &dev->mechanisms[i]);
	for (unsigned int i = 0; i < opts->mechanisms.nr && !err; i++) {
		const struct ktramp_mechanism_info *mechanism =
			dev_mechanism(dev, opts->mechanisms.name[i]);

		err = mechanism ? add_mechanism(rows, dev, opts, mechanism) : -ENOENT;
	}
	return err;
}

/* The order of measuring, so that no mechanism always runs behind the same other one. */
static size_t *shuffled(size_t n, uint64_t seed)
{
	size_t *order = calloc(n + 1, sizeof(*order));

	if (!order) {
		p_err("cannot shuffle the rows: %s", strerror(ENOMEM));
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		size_t j = prng(&seed) % (i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	return order;
}

/* To @json, when it is not NULL, one line a row, in the order measured. */
static int measure(const struct dev *dev, const struct options *opts,
		   const struct run_facts *facts, const struct rows *rows, FILE *json)
{
	struct kprobe_opt opt __cleanup(kprobe_opt_drop) = { .was = -1 };
	size_t *order = shuffled(rows->nr, opts->config.seed);
	int failed = 0, err;

	if (!order)
		return -ENOMEM;
	err = json ? out_line(json, report_run(dev, &opts->config, facts)) : 0;

	for (size_t i = 0; i < rows->nr && !err; i++) {
		struct row *row = &rows->row[order[i]];

		if (opts->verbose)
			p_info("%zu/%zu %s on %s", i + 1, rows->nr, row->mechanism->name,
			       row->target ? row->target->name : "nothing");
		if (bench_row(dev, &opts->config, &opt, row))
			failed = -EIO;
		if (stopped) {
			row->state = ROW_PENDING;
			p_err("stopped by signal %d (%s) with %zu of %zu rows measured",
			      (int)stopped, strsignal(stopped), i, rows->nr);
			err = -EINTR;
			break;
		}
		if (row->state == ROW_ERROR)
			p_err("%s on %s: %s", row->mechanism->name,
			      row->target ? row->target->name : "nothing", row->why);
		if (json)
			err = out_line(json, report_row(dev, facts, row));
	}
	free(order);

	if (kprobe_opt_restore(&opt))
		failed = -EIO;
	return err ? err : failed;
}

static int prepare(const struct dev *dev, struct options *opts, struct run_facts *facts)
{
	int err = kernel_release(&facts->uts);

	if (!err)
		err = pin_to_cpu(opts->config.cpu);
	if (err)
		return err;

	if (!opts->config.repeat)
		opts->config.repeat = dev->info.clock == KTRAMP_CLOCK_ICOUNT ? 5 : 100;
	cpu_model(facts->cpu, sizeof(facts->cpu));
	facts->emulated = cpu_is_emulated();
	if (facts->emulated && dev->info.clock != KTRAMP_CLOCK_ICOUNT)
		p_warn("this CPU is emulated by QEMU's TCG: its cycles are the emulator's, and say "
		       "nothing about a CPU; run the guest with '-icount shift=0,sleep=off' to "
		       "count instructions");
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		p_warn("cannot lock memory: %s; page faults may show in the spread",
		       strerror(errno));
	return 0;
}

static void free_rows(struct rows *rows)
{
	free(rows->row);
}

static int measure_and_report(const struct dev *dev, const struct options *opts,
			      const struct run_facts *facts, const struct rows *rows)
{
	FILE *file = NULL;
	int err;

	if (opts->output) {
		file = fopen(opts->output, "we");
		if (!file) {
			err = -errno;
			p_err("cannot write '%s': %s", opts->output, strerror(-err));
			return err;
		}
	}
	err = measure(dev, opts, facts, rows, out_json ? stdout : file);
	if (file && fclose(file)) {
		p_err("cannot write '%s': %s", opts->output, strerror(errno));
		err = -EIO;
	}
	if (!out_json && report_table(dev, &opts->config, facts, rows->row, rows->nr))
		err = -EIO;
	return err;
}

static int bench(struct options *opts)
{
	struct dev dev __cleanup(dev_close) = { .fd = -1 };
	struct rows rows __cleanup(free_rows) = { 0 };
	struct run_facts facts = { 0 };
	int err;

	if (dev_open(&dev))
		return EXIT_FAILED;
	err = plan(&rows, &dev, opts);
	if (err)
		return err == -ENOENT ? EXIT_USAGE : EXIT_FAILED;
	if (prepare(&dev, opts, &facts))
		return EXIT_FAILED;
	if (opts->xray && xray_open(&opts->config.xray, &dev, opts->xray))
		return EXIT_FAILED;
	err = measure_and_report(&dev, opts, &facts, &rows);
	if (!err && !opts->no_path)
		err = xray_finish(opts->config.xray, &dev);
	if (xray_close(&opts->config.xray))
		err = -EIO;
	return err ? EXIT_FAILED : EXIT_OK;
}

int cmd_bench(int argc, char **argv)
{
	struct options opts = {
		.config = { .hits = 2000, .seed = 1 },
		.cpu = -1,
	};

	argp_parse(&argp, argc, argv, 0, NULL, &opts);
	if (out_json && opts.output) {
		p_err("--json and --output exclude each other: both are the JSON Lines");
		return EXIT_USAGE;
	}
	opts.config.cpu = opts.cpu < 0 ? first_cpu() : opts.cpu;

	catch_signals();
	return bench(&opts);
}
