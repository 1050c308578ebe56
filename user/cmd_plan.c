// SPDX-License-Identifier: GPL-2.0-only
/* ktramp plan: what would be done, and why not. */
#include "ktramp.h"

struct options {
	const char *site;
	bool all;
	struct coverage_config coverage;
};

enum {
	OPT_ALL = 0x100,
	OPT_SEED,
	OPT_ASK,
};

static const struct argp_option options[] = {
	{ "all", OPT_ALL, NULL, 0, "Plan at every instruction of the kernel, and count", 0 },
	{ "sample", 'n', "N", 0, "With --all: at N instructions of it, chosen at random", 0 },
	{ "seed", OPT_SEED, "N", 0, "With --sample: choose others", 0 },
	{ "module", 'M', "MODULE", 0, "With --all: in this module instead of the kernel", 0 },
	{ "ask", OPT_ASK, NULL, 0,
	  "With --all: ask the kernel whether it accepts a kprobe there, at each of them, instead "
	  "of reading its tables: millions of instructions each", 0 },
	{ }
};

static const char doc[] = "x";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opts = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = NULL;
		return 0;
	case OPT_ALL:
		opts->all = true;
		return 0;
	case 'n':
		opts->coverage.sample = parse_number(state, "sample", arg, 1, UINT32_MAX);
		return 0;
	case OPT_SEED:
		opts->coverage.seed = parse_number(state, "seed", arg, 0, INT64_MAX);
		return 0;
	case 'M':
		opts->coverage.module = arg;
		return 0;
	case OPT_ASK:
		opts->coverage.ask = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = { { &out_argp, 0, NULL, 0 }, { } };
static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "SITE\n--all", .doc = doc,
	.children = children,
};

int cmd_plan(int argc, char **argv)
{
	struct options opts = { .coverage.seed = 1 };
	struct dev dev __cleanup(dev_close) = { .fd = -1 };

	argp_parse(&argp, argc, argv, 0, NULL, &opts);
	if (dev_open(&dev))
		return EXIT_FAILED;
	catch_signals();
	return coverage(&dev, &opts.coverage) ? EXIT_FAILED : EXIT_OK;
}
