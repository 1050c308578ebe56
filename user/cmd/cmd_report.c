// SPDX-License-Identifier: GPL-2.0-only
/* ktramp report: results as one page to read in a browser. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ktramp.h"

struct options {
	const char *output;
	char **files;
	int nr_files;
};

static const struct argp_option options[] = {
	{ "output", 'o', "FILE", 0, "Write the page to FILE, whole or not at all. Default: "
	  "standard output", 0 },
	{ }
};

static const char doc[] =
	"Draw results as one HTML page: what a hit costs through every mechanism, and, as far as "
	"the files have it, what each does to the code and which instructions a hit runs through.\n\n"
	"Each FILE is JSON Lines, '-' standard input: of 'ktramp bench --output', 'ktramp show "
	"--json', 'ktramp mechanisms --json', or out/xray.jsonl, whose traces are read too. The page "
	"needs nothing but itself: no network, no module, no other file. What the files do not "
	"have, the page says is missing. Lines of a type that is not known are left out.\v"
	"With --json, the data of the page are printed instead, one object a line; instructions "
	"that traces share are in lines of type 'text'.\n\n"
	"Exit status: 0, 1 if a file cannot be read or holds nothing to draw, 2 on wrong usage.\n\n"
	"Examples:\n"
	"  ktramp report -o report.html bench.jsonl show.jsonl xray.jsonl\n"
	"  ktramp bench --json | ktramp report - >report.html\n";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opts = state->input;

	switch (key) {
	case 'o':
		opts->output = arg;
		return 0;
	case ARGP_KEY_ARGS:
		opts->files = state->argv + state->next;
		opts->nr_files = state->argc - state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no FILE to draw; 'make bench' leaves out/bench.jsonl");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = CMD_ARGP("FILE...");

static int print_lines(const json_t *lines)
{
	json_t *line;
	size_t i;
	int err;

	json_array_foreach(lines, i, line) {
		err = out_line(stdout, json_incref(line));
		if (err)
			return err;
	}
	return 0;
}

/* A reader never finds half a page where a whole one was. */
static int write_file(const char *name, const json_t *lines)
{
	char *draft;
	FILE *file;
	int err;

	if (asprintf(&draft, "%s.new", name) < 0) {
		p_err("cannot write '%s': %s", name, strerror(ENOMEM));
		return -ENOMEM;
	}
	file = fopen(draft, "we");
	if (!file) {
		err = -errno;
		p_err("cannot write '%s': %s", draft, strerror(-err));
		free(draft);
		return err;
	}
	err = page_write(file, lines);
	if (fclose(file) && !err) {
		err = -errno;
		p_err("cannot write '%s': %s", draft, strerror(-err));
	}
	if (!err && rename(draft, name)) {
		err = -errno;
		p_err("cannot write '%s': %s", name, strerror(-err));
	}
	if (err)
		remove(draft);
	free(draft);
	return err;
}

int cmd_report(int argc, char **argv)
{
	struct page_data data __cleanup(page_data_deinit) = { 0 };
	struct options opts = { 0 };
	int err;

	argp_parse(&argp, argc, argv, 0, NULL, &opts);
	if (out_json && opts.output) {
		p_err("--json and --output exclude each other: --json prints lines, not the page");
		return EXIT_USAGE;
	}
	err = page_data_init(&data);
	for (int i = 0; i < opts.nr_files && !err; i++)
		err = page_data_add(&data, opts.files[i]);
	if (!err && !json_array_size(data.lines)) {
		p_err("nothing to draw: no line of 'ktramp bench', 'show' or 'xray' in %s",
		      opts.nr_files == 1 ? opts.files[0] : "these files");
		err = -ENODATA;
	}
	if (!err && out_json)
		err = print_lines(data.lines);
	else if (!err && opts.output)
		err = write_file(opts.output, data.lines);
	else if (!err)
		err = page_write(stdout, data.lines);
	return err ? EXIT_FAILED : EXIT_OK;
}
