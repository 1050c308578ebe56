// SPDX-License-Identifier: GPL-2.0-only
/* ktramp cover: which blocks of the kernel did a command reach? */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cover/cover.h"

enum action {
	ACTION_RUN,
	ACTION_START,
	ACTION_READ,
	ACTION_RESET,
	ACTION_STOP,
};

static const struct {
	const char *name;
	enum action action;
} actions[] = {
	{ "start", ACTION_START },
	{ "read", ACTION_READ },
	{ "reset", ACTION_RESET },
	{ "stop", ACTION_STOP },
};

struct options {
	enum action action;
	bool given;		/* an action or a command */
	bool selects;
	struct cover_selection selection;
	uint32_t flags;
	struct cover_output output;
	bool prints;		/* an option about output was given */
	char **command;
};

enum {
	OPT_ALL = 0x100,
	OPT_CALLS,
	OPT_BLOCKS,
	OPT_EVERY,
};

static const struct argp_option options[] = {
	{ "module", 'M', "MODULE", 0, "Blocks of this module; 'vmlinux' is the kernel itself. A "
	  "shell pattern; may be repeated", 0 },
	{ "function", 'f', "GLOB", 0, "Of functions with such names. A shell pattern; may be "
	  "repeated", 0 },
	{ "all", OPT_ALL, NULL, 0, "Of the kernel and all of its modules", 0 },
	{ "calls", OPT_CALLS, NULL, 0, "What follows a call is a block of its own: did it return?",
	  0 },
	{ "blocks", OPT_BLOCKS, NULL, 0, "Print each block, with its address", 0 },
	{ "every", OPT_EVERY, NULL, 0, "Print functions of which nothing was hit, too. Without "
	  "--all that is so anyway", 0 },
	{ "output", 'o', "FILE", 0, "Also write all of it to FILE, as JSON Lines", 0 },
	{ }
};

static const char doc[] =
	"Run COMMAND, and tell which blocks of the kernel were executed meanwhile, by whomever. On "
	"each block stands a breakpoint, which takes itself away when it is hit: a block costs one "
	"trap, and then nothing.\n\n"
	"start: cover from now on, and leave a process behind that keeps it so. read: tell what was "
	"hit since. reset: begin anew. stop: tell what was hit, and end it.\v"
	"A block is a piece of code that is executed as a whole. One that cannot be observed is told "
	"with its reason, and is not counted as not hit. With --json each function is a line, and with "
	"--blocks each block. Modules that are loaded later are not covered.\n\n"
	"Hits of all processes and interrupts count.\n\n"
	"Exit status: 0; 1 if something failed, or COMMAND did; 2 on wrong usage.\n\n"
	"Examples:\n"
	"  ktramp cover --function 'ext4_*' -- sync\n"
	"  ktramp cover --all -o cover.jsonl -- ./test\n"
	"  ktramp cover --module overlay --blocks -- ls /mnt\n"
	"  ktramp cover start --all; ./test; ktramp cover stop\n";

static void append(struct argp_state *state, char ***v, size_t *nr, char *arg)
{
	char **last = array_more(*v, *nr);

	if (!last)
		argp_failure(state, EXIT_FAILED, ENOMEM, "cannot keep '%s'", arg);
	*last = arg;
	(*nr)++;
}

/* A command may have an action's name: behind "--" it is the command. */
static error_t parse_argument(struct options *opts, char *arg, struct argp_state *state)
{
	if (opts->given)
		argp_error(state, "'%s' is one argument too many", arg);
	opts->given = true;
	for (size_t i = 0; i < ARRAY_SIZE(actions) && !state->quoted; i++) {
		if (!strcmp(actions[i].name, arg)) {
			opts->action = actions[i].action;
			return 0;
		}
	}
	opts->command = &state->argv[state->next - 1];
	state->next = state->argc;
	return 0;
}

static void check(const struct options *opts, struct argp_state *state)
{
	bool finds = opts->action == ACTION_RUN || opts->action == ACTION_START;

	if (!opts->given)
		argp_error(state, "a COMMAND is needed, or start, read, reset or stop");
	if (finds && !opts->selects)
		argp_error(state, "what of the kernel? say --function, --module or --all");
	if (opts->selection.all && (opts->selection.nr_functions || opts->selection.nr_modules))
		argp_error(state, "--all is all functions of all modules: say it, or which ones");
	if (!finds && (opts->selects || opts->flags))
		argp_error(state, "--function, --module, --all and --calls go with a COMMAND or "
			   "start");
	if ((opts->action == ACTION_START || opts->action == ACTION_RESET) && opts->prints)
		argp_error(state, "--blocks, --every and --output go with a COMMAND, read or stop");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opts = state->input;
	struct cover_selection *selection = &opts->selection;

	switch (key) {
	case 'M':
		append(state, &selection->modules, &selection->nr_modules, arg);
		opts->selects = true;
		return 0;
	case 'f':
		append(state, &selection->functions, &selection->nr_functions, arg);
		opts->selects = true;
		return 0;
	case OPT_ALL:
		selection->all = true;
		opts->selects = true;
		return 0;
	case OPT_CALLS:
		opts->flags |= KTRAMP_COVER_CALLS;
		return 0;
	case OPT_BLOCKS:
		opts->output.blocks = true;
		opts->prints = true;
		return 0;
	case OPT_EVERY:
		opts->output.every = true;
		opts->prints = true;
		return 0;
	case 'o':
		opts->output.file = arg;
		opts->prints = true;
		return 0;
	case ARGP_KEY_ARG:
		return parse_argument(opts, arg, state);
	case ARGP_KEY_END:
		check(opts, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = CMD_ARGP("[--] COMMAND [ARG...]\nstart\nread\nreset\nstop");

/* Find the blocks, and start. */
static int begin(const struct dev *dev, const struct options *opts, struct cover *cover)
{
	uint64_t *addresses;
	int err = cover_select(&opts->selection, &cover->names);

	if (err)
		return err;
	addresses = calloc(cover->names.nr, sizeof(*addresses));
	if (!addresses) {
		p_err("cannot list the functions: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	for (size_t i = 0; i < cover->names.nr; i++)
		addresses[i] = cover->names.v[i].address;
	err = cover_add(dev, addresses, cover->names.nr, opts->flags, &cover->plan);
	free(addresses);
	return err ? err : cover_act(dev, KTRAMP_IOC_COVER_START, &cover->stat);
}

static int run(const struct dev *dev, const struct options *opts, struct cover *cover)
{
	int err = begin(dev, opts, cover), ran;

	if (err)
		return err;
	cover->command = opts->command;
	ran = command_run(opts->command, &cover->status);
	err = cover_act(dev, KTRAMP_IOC_COVER_STOP, &cover->stat);
	if (!err)
		err = cover_read(dev, cover);
	if (!err)
		err = cover_report(cover, dev, &opts->output);
	if (!ran && cover->status)
		p_err("the command ended with status %d", cover->status);
	return err ? err : ran ? ran : cover->status ? -EIO : 0;
}

static int start(const struct dev *dev, const struct options *opts, struct cover *cover)
{
	int err = begin(dev, opts, cover);

	if (!err)
		err = cover_hold(dev, cover);
	if (err)
		return err;
	p_info("%llu blocks are observed, %.1f MB of memory; 'ktramp cover stop' ends it",
	       (unsigned long long)cover->stat.blocks, cover->stat.memory / 1e6);
	return 0;
}

static int on_held(struct dev *dev, const struct options *opts, struct cover *cover)
{
	int holder = -1, err = cover_held(dev, cover, &holder);

	if (!err && opts->action == ACTION_RESET)
		err = cover_act(dev, KTRAMP_IOC_COVER_RESET, &cover->stat);
	if (!err && opts->action == ACTION_STOP)
		err = cover_act(dev, KTRAMP_IOC_COVER_STOP, &cover->stat);
	if (!err && opts->action != ACTION_RESET)
		err = cover_read(dev, cover);
	/* Whatever can be told of it: it ends. */
	if (holder >= 0 && opts->action == ACTION_STOP && cover_release(holder))
		err = -EIO;
	if (holder >= 0)
		close(holder);
	if (!err && opts->action != ACTION_RESET)
		err = cover_report(cover, dev, &opts->output);
	return err;
}

static int act(struct dev *dev, const struct options *opts, struct cover *cover)
{
	switch (opts->action) {
	case ACTION_RUN:
		return run(dev, opts, cover);
	case ACTION_START:
		return start(dev, opts, cover);
	default:
		return on_held(dev, opts, cover);
	}
}

int cmd_cover(int argc, char **argv)
{
	struct options opts = { .action = ACTION_RUN };
	struct dev dev __cleanup(dev_close) = { .fd = -1 };
	struct cover cover = { 0 };
	int err;

	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &opts);
	/* What is all of it would be pages of nothing. */
	opts.output.every |= !opts.selection.all && opts.action == ACTION_RUN;
	if (dev_open(&dev))
		return EXIT_FAILED;
	catch_signals();
	err = act(&dev, &opts, &cover);
	cover_deinit(&cover);
	free(opts.selection.modules);
	free(opts.selection.functions);
	return err ? EXIT_FAILED : EXIT_OK;
}
