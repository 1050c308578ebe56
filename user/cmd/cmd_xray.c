// SPDX-License-Identifier: GPL-2.0-only
/* ktramp xray: what a hit was made of, from the files that 'make xray' left. */
#include <errno.h>
#include <string.h>

#include "xray/xray.h"

#define FILES_MAX	64

enum option_key {
	OPT_TREE = 256,
	OPT_FLAT,
	OPT_LISTING,
	OPT_REGISTERS,
	OPT_DIFF,
	OPT_CALL,
	OPT_IMPORT,
};

struct options {
	int way;		/* enum option_key, 0: none was chosen */
	const char *call;
	const char *out;
	unsigned int nr_files;
	char *file[FILES_MAX];
};

static const struct argp_option options[] = {
	{ "tree", OPT_TREE, NULL, 0, "Print who called whom, with own and total instructions "
	  "(default)", 0 },
	{ "flat", OPT_FLAT, NULL, 0, "Print the functions, those with most instructions first",
	  0 },
	{ "listing", OPT_LISTING, NULL, 0, "Print every instruction, and the exceptions between "
	  "them", 0 },
	{ "registers", OPT_REGISTERS, NULL, 0, "Print every instruction, and the general registers "
	  "that it left with another value (with QEMU 9.0 or later)", 0 },
	{ "diff", OPT_DIFF, NULL, 0, "Print function by function what FILE B has more than "
	  "FILE A", 0 },
	{ "call", OPT_CALL, "CALL", 0, "Which call: 'unprobed', 'cold' (the first after arming) or "
	  "'steady'. Default: steady", 0 },
	{ "import", OPT_IMPORT, "OUT", 0, "Make OUT/xray.jsonl and the traces in OUT/xray from "
	  "what guests left in the directories FILE; 'make xray' does it", 0 },
	{ }
};

static const char doc[] =
	"Print what one hit is made of: every instruction from the target's call to its return, as "
	"QEMU's plugin saw it. FILE is one of out/xray/KERNEL/MECHANISM.json, which 'make xray' "
	"leaves.\v"
	"In the tree, -> marks what was jumped to (a tail call, a detour, a return thunk), and "
	"#BP, #DB what an exception entered. Own instructions are those of the function alone, "
	"total ones also those of what it called.\n\n"
	"Exit status: 0, 1 if a file cannot be read or is no trace, 2 on wrong usage.\n\n"
	"Examples:\n"
	"  make xray\n"
	"  ktramp xray out/xray/6.12*/int3-step-tf.json\n"
	"  ktramp xray --listing out/xray/6.12*/jump.json | less\n"
	"  ktramp xray --diff out/xray/6.1.*/kprobe-opt.json out/xray/6.12*/kprobe-opt.json\n"
	"  ktramp xray --flat --json out/xray/6.12*/kprobe-step.json | jq -r .name\n";

static void choose(struct argp_state *state, struct options *opts, int way)
{
	if (opts->way && opts->way != way)
		argp_error(state, "--tree, --flat, --listing, --registers, --diff and --import "
			   "exclude each other");
	opts->way = way;
}

static void check_files(struct argp_state *state, const struct options *opts)
{
	unsigned int want = opts->way == OPT_DIFF ? 2 : 1;

	if (opts->way == OPT_IMPORT ? opts->nr_files >= 1 : opts->nr_files == want)
		return;
	argp_error(state, opts->way == OPT_DIFF ? "--diff wants two files" :
		   opts->way == OPT_IMPORT ? "--import wants directories of guests" :
		   "one FILE is wanted: out/xray/KERNEL/MECHANISM.json, from 'make xray'");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opts = state->input;

	switch (key) {
	case OPT_IMPORT:
		opts->out = arg;
		choose(state, opts, key);
		return 0;
	case OPT_TREE:
	case OPT_FLAT:
	case OPT_LISTING:
	case OPT_REGISTERS:
	case OPT_DIFF:
		choose(state, opts, key);
		return 0;
	case OPT_CALL:
		if (strcmp(arg, "unprobed") && strcmp(arg, "cold") && strcmp(arg, "steady"))
			argp_error(state, "no call '%s'; there are unprobed, cold and steady", arg);
		opts->call = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (opts->nr_files == FILES_MAX)
			argp_error(state, "more than %d files", FILES_MAX);
		opts->file[opts->nr_files++] = arg;
		return 0;
	case ARGP_KEY_END:
		check_files(state, opts);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = CMD_ARGP("FILE...");

/* A trace, and the call of it that is wanted; complains. */
static int load(const struct options *opts, const char *name, json_t **trace, const json_t **call)
{
	json_error_t error;
	const char *type;

	*trace = json_load_file(name, 0, &error);
	if (!*trace) {
		p_err("cannot read '%s': %s", name, error.text);
		return -EIO;
	}
	type = json_string_value(json_object_get(*trace, "type"));
	if (!type || strcmp(type, "trace")) {
		p_err("'%s' is no trace; 'make xray' leaves some in out/xray", name);
		return -EBADMSG;
	}
	if (json_integer_value(json_object_get(*trace, "schema")) != XRAY_SCHEMA) {
		p_err("'%s' is of another version of ktramp; run 'make xray' again", name);
		return -EPROTO;
	}
	*call = xray_find_call(*trace, opts->call);
	return *call ? 0 : -ENOENT;
}

static int print(const struct options *opts)
{
	json_t *trace __cleanup(free_json) = NULL;
	const json_t *call;

	if (load(opts, opts->file[0], &trace, &call))
		return -EIO;
	if (opts->way == OPT_REGISTERS && !json_is_array(json_object_get(call, "registers"))) {
		p_err("'%s' has no registers: QEMU shows them to its plugins from 9.0 on; run "
		      "'make xray' where there is one", opts->file[0]);
		return -ENODATA;
	}
	if (!out_json)
		xray_print_title(trace, call);
	if (opts->way == OPT_FLAT)
		return xray_print_flat(trace, call);
	if (opts->way == OPT_LISTING || opts->way == OPT_REGISTERS)
		return xray_print_listing(trace, call, opts->way == OPT_REGISTERS);
	return xray_print_tree(trace, call);
}

static int print_diff(const struct options *opts)
{
	json_t *a __cleanup(free_json) = NULL, *b __cleanup(free_json) = NULL;
	const json_t *call_a, *call_b;

	if (load(opts, opts->file[0], &a, &call_a) || load(opts, opts->file[1], &b, &call_b))
		return -EIO;
	if (!out_json) {
		printf("A: ");
		xray_print_title(a, call_a);
		printf("B: ");
		xray_print_title(b, call_b);
	}
	return xray_print_diff(a, call_a, b, call_b);
}

int cmd_xray(int argc, char **argv)
{
	struct options opts = { 0 };
	int err;

	argp_parse(&argp, argc, argv, 0, NULL, &opts);
	if (opts.way == OPT_IMPORT)
		err = xray_import(opts.out, opts.file, opts.nr_files);
	else
		err = opts.way == OPT_DIFF ? print_diff(&opts) : print(&opts);
	return err ? EXIT_FAILED : EXIT_OK;
}
