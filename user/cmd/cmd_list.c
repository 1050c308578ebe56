// SPDX-License-Identifier: GPL-2.0-only
/* ktramp list: a function's instructions, and what could be done at each. */
#include <string.h>

#include "places/places.h"

struct options {
	const char *site;
	bool ask;
};

enum option_key {
	OPT_ASK = 256,
};

static const struct argp_option options[] = {
	{ "ask", OPT_ASK, NULL, 0,
	  "Ask the kernel whether it accepts a kprobe at each of them, instead of reading its "
	  "tables: millions of instructions each", 0 },
	{ }
};

static const char doc[] =
	"List the instructions of the function at SITE, and what could be done at each: the tactic of a jump "
	"of ktramp's, whether a breakpoint could stand there, and whether the kernel would accept "
	"a kprobe; or the reason against it.\v"
	"Bytes are those that stand there now: a probe that is "
	"armed shows. '>' marks where control may come from elsewhere, '<' where it leaves the "
	"function: symbol%return is all of these places. 'ktramp plan SITE' tells more of one.\n\n"
	"Exit status: 0, 1 if there is no such function or it cannot be read, 2 on wrong usage.\n\n"
	"Examples:\n"
	"  ktramp list vfs_read\n"
	"  ktramp list ext4:ext4_sync_file\n"
	"  ktramp list vfs_read --json | jq -r 'select(.jump == \"copy\").site'\n";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opts = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = NULL;
		return 0;
	case OPT_ASK:
		opts->ask = true;
		return 0;
	case ARGP_KEY_ARG:
		if (opts->site)
			argp_error(state, "'%s' is one argument too many", arg);
		opts->site = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "a SITE is needed");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = { { &out_argp, 0, NULL, 0 }, { } };
static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "SITE", .doc = doc,
	.children = children,
};

/* What serves an instruction, or why nothing does. */
static const char *jump_text(const struct ktramp_scan_insn *insn)
{
	uint32_t reason = insn->reason[KTRAMP_JUMP];

	return reason ? reason_name(reason) : tactic_name(insn->tactic);
}

static bool is_refused(const struct ktramp_scan_insn *insn)
{
	return insn->reason[KTRAMP_JUMP];
}

/* The first of ours that a breakpoint would go on by. */
static const char *int3_text(const struct ktramp_scan_insn *insn)
{
	if (!insn->reason[KTRAMP_INT3_BOOST])
		return "boost";
	if (!insn->reason[KTRAMP_INT3_EMULATE])
		return "emulate";
	if (!insn->reason[KTRAMP_INT3_STEP_TF])
		return "step-tf";
	return reason_name(insn->reason[KTRAMP_INT3_BOOST]);
}

static const char *kprobe_text(const struct ktramp_scan_insn *insn)
{
	return insn->kernel ? reason_name(insn->kernel) : "yes";
}

static json_t *insn_json(const struct function *function, uint32_t i)
{
	const struct ktramp_scan_insn *insn = &function->insns[i];
	char site[KTRAMP_SITE_MAX + 16];

	snprintf(site, sizeof(site), "%s+0x%x", function->name, insn->offset);
	return json_pack("{s:s, s:s, s:o, s:I, s:o, s:s, s:b, s:b, s:s?, s:s?, s:s, s:o}",
			 "type", "insn",
			 "site", site,
			 "address", json_address(function->address + insn->offset),
			 "offset", (json_int_t)insn->offset,
			 "bytes", json_hex(function->code + insn->offset, insn->length),
			 "text", function->lines[i].text,
			 "entered", (insn->marks & KTRAMP_SCAN_ENTER) != 0,
			 "leaves", function_leaves(function, i),
			 "jump", is_refused(insn) ? NULL : tactic_name(insn->tactic),
			 "jump_reason", is_refused(insn) ? jump_text(insn) : NULL,
			 "int3", int3_text(insn),
			 "kprobe_reason", insn->kernel ? json_string(kprobe_text(insn)) :
			 json_null());
}

static int print_json(const struct function *function)
{
	for (uint32_t i = 0; i < function->nr; i++) {
		int err = 0;

		if (!(function->insns[i].marks & KTRAMP_SCAN_PADDING))
			err = out_line(stdout, insn_json(function, i));
		if (err)
			return err;
	}
	return 0;
}

static int print_table(const struct function *function)
{
	struct table table;
	int err;

	printf("%s, at 0x%016llx, %u bytes\n\n", function->name,
	       (unsigned long long)function->address, function->length);
	table_init(&table, 7, 0);
	table_add(&table, "\tOFFSET\tBYTES\tINSTRUCTION\tJUMP\tINT3\tKPROBE");
	for (uint32_t i = 0; i < function->nr; i++) {
		const struct ktramp_scan_insn *insn = &function->insns[i];
		char bytes[3 * KTRAMP_BYTES_MAX + 1];

		if (insn->marks & KTRAMP_SCAN_PADDING)
			continue;
		table_add(&table, "%s%s\t+0x%x\t%s\t%s\t%s\t%s\t%s",
			  insn->marks & KTRAMP_SCAN_ENTER ? ">" : " ",
			  function_leaves(function, i) ? "<" : " ", insn->offset,
			  hex(bytes, sizeof(bytes), function->code + insn->offset, insn->length),
			  function->lines[i].text, jump_text(insn), int3_text(insn),
			  kprobe_text(insn));
	}
	err = table_print(&table);
	table_deinit(&table);
	return err;
}

int cmd_list(int argc, char **argv)
{
	struct dev dev __cleanup(dev_close) = { .fd = -1 };
	struct options opts = { 0 };
	struct function function;
	int err;

	argp_parse(&argp, argc, argv, 0, NULL, &opts);
	if (dev_open(&dev))
		return EXIT_FAILED;
	err = function_read(&function, &dev, opts.site, opts.ask);
	if (!err)
		err = out_json ? print_json(&function) : print_table(&function);
	function_free(&function);
	return err ? EXIT_FAILED : EXIT_OK;
}
