// SPDX-License-Identifier: GPL-2.0-only
/* ktramp history: what a hit costs on several kernels, beside each other. */
#include <errno.h>
#include <stdlib.h>

#include "lib/ktramp.h"

struct options {
	double percent;
	char **files;
	int nr_files;
};

static const struct argp_option options[] = {
	{ "percent", 'p', "N", 0, "Mark changes of N percent and more. Default: 5", 0 },
	{ }
};

static const char doc[] =
	"Compare what a hit costs through every mechanism on several kernels.\n\n"
	"Each FILE is JSON Lines of 'ktramp bench --output', '-' standard input; 'make history' makes "
	"one of every series of Linux that Debian ships. A row is a mechanism, a column a kernel, "
	"in the order of the files. A cell is the cost of a hit, and behind it the change since the "
	"kernel before it that has the mechanism. Where there is no cost the cell has the reason, as a "
	"word ('ktramp bench' tells it in a sentence), or '-' if nothing was measured.\v"
	"With --json, a line a row, with every change and every sentence.\n\n"
	"Exit status: 0, 1 if a file cannot be read, has nothing to compare, or a row is an error, "
	"2 on wrong usage.\n\n"
	"Examples:\n"
	"  ktramp history out/history.jsonl\n"
	"  ktramp history old/bench.jsonl new/bench.jsonl --percent 1\n";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opts = state->input;

	switch (key) {
	case 'p':
		opts->percent = parse_number(state, "percent", arg, 0, 1000000);
		return 0;
	case ARGP_KEY_ARGS:
		opts->files = state->argv + state->next;
		opts->nr_files = state->argc - state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no FILE to compare; 'make history' leaves out/history.jsonl");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = CMD_ARGP("FILE...");

int cmd_history(int argc, char **argv)
{
	struct history *history __cleanup(history_close) = NULL;
	struct options opts = { .percent = 5 };
	int err;

	argp_parse(&argp, argc, argv, 0, NULL, &opts);
	err = history_open(&history);
	for (int i = 0; i < opts.nr_files && !err; i++)
		err = history_add(history, opts.files[i]);
	if (!err && history_is_empty(history)) {
		p_err("nothing to compare: no result of 'ktramp bench' in %s",
		      opts.nr_files == 1 ? opts.files[0] : "these files");
		err = -ENODATA;
	}
	if (!err)
		err = out_json ? history_lines(history) : history_print(history, opts.percent);
	return err || history_errors(history) ? EXIT_FAILED : EXIT_OK;
}
