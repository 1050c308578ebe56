// SPDX-License-Identifier: GPL-2.0-only
/* ktramp exits: no exit of a process is lost, whoever dies first. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exits/exits.h"

enum option_key {
	OPT_PINS = 256,
	OPT_STATE,
	OPT_SIZE,
	OPT_NAIVE,
};

enum action_kind {
	ACTION_NONE,
	ACTION_DAEMON,
	ACTION_RUN,
	ACTION_ADOPT,
	ACTION_STATUS,
	ACTION_LIST,
	ACTION_FORGET,
	ACTION_UNLOAD,
};

static const struct {
	const char *name;
	enum action_kind kind;
	bool wants_id;
	bool wants_more;
	bool wants_program;	/* it must be loaded, and not only the records be there */
} actions[] = {
	{ "daemon", ACTION_DAEMON, false, false, false },
	{ "run", ACTION_RUN, true, true, true },
	{ "adopt", ACTION_ADOPT, true, true, true },
	{ "status", ACTION_STATUS, true, false, false },
	{ "list", ACTION_LIST, false, false, false },
	{ "forget", ACTION_FORGET, true, true, false },
	{ "unload", ACTION_UNLOAD, false, false, false },
};

struct options {
	enum action_kind action;
	bool wants_id, wants_more, wants_program;
	const char *pins;
	const char *state;
	uint32_t size;
	bool naive;
	const char *id;
	char **more;	/* a command, or a process's number */
	int nr_more;
};

static const struct argp_option options[] = {
	{ "pins", OPT_PINS, "DIR", 0, "Where in a BPF file system the program and its maps are. "
	  "Default: " EXITS_PINS, 0 },
	{ "state", OPT_STATE, "DIR", 0, "Where the records are. Default: " EXITS_STATE, 0 },
	{ "size", OPT_SIZE, "N", 0, "daemon: processes watched at once, exits that nobody has "
	  "fetched included, if the program is not loaded yet. Default: 4096", 0 },
	{ "naive", OPT_NAIVE, NULL, 0, "daemon: load the rule that takes the first thread's exit "
	  "for the process's, to see it go wrong", 0 },
	{ }
};

static const char doc[] =
	"Start programs whose exit is never lost, whoever dies first: the program, whoever started "
	"it, or the daemon that waits for it.\n\n"
	"daemon: put a BPF program on the tracepoint sched_process_exit, unless it is there, then "
	"print each exit, once. run: start CMD as ID. adopt: watch a process that runs already. "
	"status: how ID ended, or that it is running. list: all of them, and what was counted. "
	"forget: remove the record of what has ended. unload: take the program out of the kernel and remove what is recorded nowhere else.\v"
	"The program and its maps are pinned: while no daemon runs, and nothing else of ktramp "
	"either, exits are recorded all the same. CMD's parent need not live. One that has ended "
	"is known by number and start, so that a later process with its number is not taken for "
	"it.\n\n"
	"Exit status: 0, 1 if something failed (run: CMD could not be started or watched), 2 on "
	"wrong usage.\n\n"
	"Examples:\n"
	"  ktramp exits daemon &\n"
	"  ktramp exits run web -- httpd -f\n"
	"  ktramp exits status web\n"
	"  ktramp exits list --json | jq 'select(.code != 0)'\n"
	"  ktramp exits forget web\n";

static void set_action(struct argp_state *state, struct options *opts, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (strcmp(actions[i].name, name))
			continue;
		opts->action = actions[i].kind;
		opts->wants_id = actions[i].wants_id;
		opts->wants_more = actions[i].wants_more;
		opts->wants_program = actions[i].wants_program;
		return;
	}
	argp_error(state,
		   "no action '%s'; there are daemon, run, adopt, status, list, forget and unload",
		   name);
}

static void check_id(struct argp_state *state, const char *id)
{
	if (!record_id_is_valid(id))
		argp_error(state, "ID '%s' is not 1 to %d letters, digits, '.', '_' or '-', "
			   "of which the first is a letter or digit", id, EXITS_ID_MAX);
}

/* What is behind the ID is another program's command line. */
static void set_id(struct argp_state *state, struct options *opts, const char *id)
{
	check_id(state, id);
	opts->id = id;
	if (!opts->wants_more)
		return;
	if (state->next < state->argc && !strcmp(state->argv[state->next], "--"))
		state->next++;
	opts->more = &state->argv[state->next];
	opts->nr_more = state->argc - state->next;
	state->next = state->argc;
}

static void check_options(struct argp_state *state, const struct options *opts)
{
	if (!opts->action)
		argp_error(state,
			   "an action is needed: daemon, run, adopt, status, list, forget or unload");
	if (opts->wants_id && !opts->id)
		argp_error(state, "an ID is needed");
	if (opts->action == ACTION_RUN && !opts->nr_more)
		argp_error(state, "a command to run is needed: run ID -- CMD");
	if (opts->action == ACTION_ADOPT && opts->nr_more % 2 != 1)
		argp_error(state, "the number of a process is needed for each: adopt ID PID");
	for (int i = 1; opts->action == ACTION_ADOPT && i < opts->nr_more; i += 2)
		check_id(state, opts->more[i]);
	for (int i = 0; opts->action == ACTION_FORGET && i < opts->nr_more; i++)
		check_id(state, opts->more[i]);
	if ((opts->naive || opts->size) && opts->action != ACTION_DAEMON)
		argp_error(state, "--naive and --size are for the daemon");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opts = state->input;

	switch (key) {
	case OPT_PINS:
		opts->pins = arg;
		return 0;
	case OPT_STATE:
		opts->state = arg;
		return 0;
	case OPT_SIZE:
		opts->size = parse_number(state, "--size", arg, 1, 1 << 20);
		return 0;
	case OPT_NAIVE:
		opts->naive = true;
		return 0;
	case ARGP_KEY_ARG:
		if (!opts->action)
			set_action(state, opts, arg);
		else if (opts->wants_id && !opts->id)
			set_id(state, opts, arg);
		else
			argp_error(state, "'%s' is one argument too many", arg);
		return 0;
	case ARGP_KEY_END:
		check_options(state, opts);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = CMD_ARGP(
	"daemon\nrun ID [--] CMD [ARG...]\nadopt ID PID [ID PID...]\n"
	"status ID\nlist\nforget ID...\nunload");

/* The exits of what is watched would be lost, and nobody told. */
static int unload(const struct exits *exits, const struct options *opts)
{
	if (exits_is_served(exits)) {
		p_err("a daemon serves '%s' and watches by this program: end it first",
		      exits->state);
		return -EBUSY;
	}
	return exits_unload(opts->pins);
}

static int run_action(struct exits *exits, const struct options *opts)
{
	int err;

	if (opts->action == ACTION_UNLOAD)
		return unload(exits, opts);
	if (opts->action == ACTION_DAEMON)
		return exits_daemon(exits, opts->size ?: EXITS_SIZE, opts->naive);
	/* What has ended is on disk. */
	if (opts->wants_program || exits_are_loaded(opts->pins) || access(opts->state, F_OK)) {
		err = exits_open(exits, opts->pins);
		if (err)
			return err;
	}
	switch (opts->action) {
	case ACTION_RUN:
		return exits_run(exits, opts->id, opts->more);
	case ACTION_ADOPT:
		return exits_adopt(exits, opts->id, opts->more, opts->nr_more);
	case ACTION_STATUS:
		return exits_status(exits, opts->id);
	case ACTION_FORGET:
		return exits_drop(exits, opts->id, opts->more, opts->nr_more);
	default:
		return exits_list(exits);
	}
}

int cmd_exits(int argc, char **argv)
{
	struct options opts = { .pins = EXITS_PINS, .state = EXITS_STATE };
	struct exits exits = { .watched = -1, .events = -1, .counters = -1, .identify = -1 };
	int err;

	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &opts);
	exits.pins = opts.pins;
	exits.state = opts.state;
	err = run_action(&exits, &opts);
	exits_close(&exits);
	return err ? EXIT_FAILED : EXIT_OK;
}
