// SPDX-License-Identifier: GPL-2.0-only
/* ktramp plan: what would be done at an instruction, or at all of them, and why not. */
#include "lib/ktramp.h"

struct options {
	const char *site;
	const char *mechanism;
	bool all;
	bool counts;		/* an option was given that goes with --all only */
	struct sample_config coverage;
	const char *output;
};

enum {
	OPT_ALL = 0x100,
	OPT_SEED,
	OPT_ASK,
};

static const struct argp_option options[] = {
	{ "mechanism", 'm', "MECHANISM", 0,
	  "What SITE's listing is of: 'jump' (default) or another of ktramp's own", 0 },
	{ "all", OPT_ALL, NULL, 0, "Plan at every instruction of the kernel, and count", 0 },
	{ "sample", 'n', "N", 0, "With --all: at N instructions of it, chosen at random", 0 },
	{ "seed", OPT_SEED, "N", 0, "With --sample: choose others", 0 },
	{ "module", 'M', "MODULE", 0, "With --all: in this module instead of the kernel", 0 },
	{ "output", 'o', "FILE", 0, "With --all: also write the result to FILE, as JSON", 0 },
	{ "ask", OPT_ASK, NULL, 0,
	  "With --all: ask the kernel whether it accepts a kprobe, at each of them, instead of "
	  "reading its tables: millions of instructions each", 0 },
	{ }
};

static const char doc[] =
	"Tell what each of ktramp's mechanisms would do at SITE, or why it cannot, and list the "
	"code that it would write. Nothing is armed.\n\n"
	"SITE is symbol+0xoffset, module:symbol+0xoffset, 0xaddress or a target's name. With "
	"--all, count over the whole kernel how many instructions each mechanism serves, of "
	"those that the kernel accepts a kprobe on, and why the others are refused.\v"
	"The tactic says how a jump is made to fit: 'copy' as kprobes do; 'reencode' branches and "
	"calls, or take padding; 'pun' where something branches into the jump, whose displacement "
	"then has an int3 there; 'springboard' where only 2 bytes fit, which lead to a jump in the "
	"padding between functions; 'ftrace' at a function's entry.\n\n"
	"Padding is left out of the count: nops and int3 that nothing leads to.\n\n"
	"Exit status: 0, 1 if there is no such instruction or it cannot be probed at all, 2 on "
	"wrong usage.\n\n"
	"Examples:\n"
	"  ktramp plan vfs_read+0x20\n"
	"  ktramp plan vfs_read+0x20 --mechanism int3-boost\n"
	"  ktramp plan --all --sample 20000\n"
	"  ktramp plan --all --json | jq .refused\n";

static void check(const struct options *opts, struct argp_state *state)
{
	if (opts->all && opts->site)
		argp_error(state, "a SITE or --all: say one of them");
	if (!opts->all && !opts->site)
		argp_error(state, "a SITE or --all is needed");
	if (opts->counts && !opts->all)
		argp_error(state, "--sample, --seed, --module, --output and --ask go with --all");
	if (opts->mechanism && opts->all)
		argp_error(state, "--all counts every mechanism; --mechanism goes with a SITE");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opts = state->input;

	switch (key) {
	case 'm':
		opts->mechanism = arg;
		return 0;
	case OPT_ALL:
		opts->all = true;
		return 0;
	case 'n':
		opts->coverage.sample = parse_number(state, "sample", arg, 1, UINT32_MAX);
		opts->counts = true;
		return 0;
	case OPT_SEED:
		opts->coverage.seed = parse_number(state, "seed", arg, 0, INT64_MAX);
		opts->counts = true;
		return 0;
	case 'M':
		opts->coverage.module = arg;
		opts->counts = true;
		return 0;
	case 'o':
		opts->output = arg;
		opts->counts = true;
		return 0;
	case OPT_ASK:
		opts->coverage.ask = true;
		opts->counts = true;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num)
			argp_error(state, "'%s' is one argument too many", arg);
		opts->site = arg;
		return 0;
	case ARGP_KEY_END:
		check(opts, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = CMD_ARGP("SITE\n--all");

int cmd_plan(int argc, char **argv)
{
	struct options opts = { .coverage.seed = 1 };
	struct dev dev __cleanup(dev_close) = { .fd = -1 };
	const struct ktramp_mechanism_info *mechanism;
	int err;

	argp_parse(&argp, argc, argv, 0, NULL, &opts);
	if (dev_open(&dev))
		return EXIT_FAILED;
	catch_signals();
	if (opts.all)
		return coverage(&dev, &opts.coverage, opts.output) ? EXIT_FAILED : EXIT_OK;

	mechanism = dev_mechanism(&dev, opts.mechanism ? opts.mechanism : "jump");
	if (!mechanism)
		return EXIT_USAGE;
	if (mechanism->kind != KTRAMP_KIND_OURS ||
	    !(mechanism->handlers & (1U << KTRAMP_COUNT))) {
		p_err("'%s' cannot be planned: it is the kernel's own, or needs a program; "
		      "'jump' is what bpf-jump would write", mechanism->name);
		return EXIT_USAGE;
	}
	err = site_plan(&dev, opts.site, mechanism);
	return err ? EXIT_FAILED : EXIT_OK;
}
