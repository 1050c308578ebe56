// SPDX-License-Identifier: GPL-2.0-only
/* ktramp: finds the subcommand and runs it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/ktramp.h"

const char *argp_program_version = "ktramp " KTRAMP_VERSION;

static int cmd_help(int argc, char **argv);

static const struct cmd cmds[] = {
	{ "targets",	cmd_targets,	"list the functions that can be probed" },
	{ "mechanisms",	cmd_mechanisms,	"list the ways to probe, and which this kernel has" },
	{ "show",	cmd_show,	"probe an instruction, show what that did to the code" },
	{ "plan",	cmd_plan,	"tell what could be done at an instruction, or at all" },
	{ "list",	cmd_list,	"list a function's instructions, and what fits at each" },
	{ "trace",	cmd_trace,	"print each hit of an instruction, as it happens" },
	{ "bpf",	cmd_bpf,	"run your own BPF program at an instruction" },
	{ "run",	cmd_run,	"run a tool as it is, its kprobes served by jumps" },
	{ "reloc",	cmd_reloc,	"tell what the loader did to a BPF object" },
	{ "bench",	cmd_bench,	"measure what one hit costs through every mechanism" },
	{ "history",	cmd_history,	"compare the cost of a hit on several kernels" },
	{ "xray",	cmd_xray,	"print every instruction of a hit, out of a file" },
	{ "record",	cmd_record,	"x-ray hits of a site under a command, in a guest" },
	{ "cover",	cmd_cover,	"tell which code of the kernel a command reaches" },
	{ "arming",	cmd_arming,	"measure what it takes to arm many probes" },
	{ "add",	cmd_add,	"probe instructions, and leave the probes there" },
	{ "enable",	cmd_enable,	"arm such probes again" },
	{ "disable",	cmd_disable,	"disarm them, and keep them" },
	{ "remove",	cmd_remove,	"disarm them, and forget them" },
	{ "probes",	cmd_probes,	"list the probes that exist, with their counters" },
	{ "info",	cmd_info,	"tell what this kernel, module and clock are" },
	{ "overlay",	cmd_overlay,	"make one overlayfs mount in five ways, and count" },
	{ "report",	cmd_report,	"draw results as one page for a browser" },
	{ "exits",	cmd_exits,	"start programs whose exit is never lost" },
	{ "lab",	cmd_lab,	"learn by running: labs, their questions, answers" },
	{ "help",	cmd_help,	"help on a command" },
};

/* An exact name, or the beginning of exactly one. */
static const struct cmd *find_cmd(const char *name)
{
	const struct cmd *found = NULL;
	char candidates[256] = "";
	unsigned int matches = 0;

	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++) {
		size_t len = strlen(candidates);

		if (!strcmp(cmds[i].name, name))
			return &cmds[i];
		if (!*name || strncmp(cmds[i].name, name, strlen(name)))
			continue;
		found = &cmds[i];
		matches++;
		snprintf(candidates + len, sizeof(candidates) - len, " %s", cmds[i].name);
	}
	if (matches == 1)
		return found;
	if (matches)
		p_err("'%s' could be any of:%s", name, candidates);
	else
		p_err("no command '%s'; 'ktramp --help' lists them", name);
	return NULL;
}

static int run_cmd(const struct cmd *cmd, int argc, char **argv)
{
	char *name;
	int status;

	/* What argp calls the program in its messages. */
	if (asprintf(&name, "ktramp %s", cmd->name) < 0) {
		p_err("cannot run '%s': %s", cmd->name, strerror(ENOMEM));
		return EXIT_FAILED;
	}
	argv[0] = name;
	status = cmd->run(argc, argv);
	free(name);
	return status;
}


static const struct argp help_argp = {
	.args_doc = "[COMMAND]",
	.doc = "Print the help of a command, or the list of commands.",
	.children = out_children,
};

static int list_cmds(void)
{
	if (!out_json)
		printf("Commands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++) {
		if (!out_json)
			printf("  %-12s%s\n", cmds[i].name, cmds[i].summary);
		else if (out_line(stdout, json_pack("{s:s, s:s, s:s}", "type", "command",
						    "name", cmds[i].name,
						    "summary", cmds[i].summary)))
			return EXIT_FAILED;
	}
	if (!out_json)
		printf("\n'ktramp help COMMAND' or 'ktramp COMMAND --help' tells more.\n");
	return EXIT_OK;
}

static int cmd_help(int argc, char **argv)
{
	char help[] = "--help", *help_argv[] = { NULL, help, NULL };
	const struct cmd *cmd;
	int first;

	argp_parse(&help_argp, argc, argv, ARGP_IN_ORDER, &first, NULL);
	if (first == argc)
		return list_cmds();
	cmd = find_cmd(argv[first]);
	return cmd ? run_cmd(cmd, 2, help_argv) : EXIT_USAGE;
}

static char *help_filter(int key, const char *text, void *input __unused)
{
	char *list = NULL;
	size_t size;
	FILE *file;

	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	file = open_memstream(&list, &size);
	if (!file)
		return (char *)text;
	fprintf(file, "Commands (a unique beginning of a name will do):\n");
	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++)
		fprintf(file, "  %-12s%s\n", cmds[i].name, cmds[i].summary);
	fprintf(file, "\n%s", text);
	if (fclose(file)) {
		free(list);
		return (char *)text;
	}
	return list;
}

static const char doc[] =
	"Probe instructions of the running kernel with every trampoline there is, and see what "
	"they did and what they cost.\v"
	"Exit status: 0 if all is well, 1 if something failed, 2 on wrong usage.\n\n"
	"Examples:\n"
	"  insmod ktramp.ko\n"
	"  ktramp show lea jump\n"
	"  ktramp bench\n"
	"  ktramp help bench\n";

struct command_line {
	int argc;
	char **argv;
};

static error_t parse(int key, char *arg __unused, struct argp_state *state)
{
	struct command_line *line = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		/* The command's own parser takes the rest. */
		line->argc = state->argc - state->next + 1;
		line->argv = &state->argv[state->next - 1];
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_usage(state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.parser = parse, .args_doc = "COMMAND [OPTION...]", .doc = doc, .children = out_children,
	.help_filter = help_filter,
};

/* A full disk or a closed pipe is a failure, also behind argp's own exit(). */
static void close_stdout(void)
{
	bool failed = ferror(stdout);

	/* What an earlier write failed with is not known any more, but that one did. */
	errno = failed ? EIO : 0;
	if (fclose(stdout))
		failed = true;
	if (failed) {
		out_failed();
		fflush(stderr);
		_exit(EXIT_FAILED);
	}
}

int main(int argc, char **argv)
{
	struct command_line line = { 0 };
	const struct cmd *cmd;

	atexit(close_stdout);
	argp_err_exit_status = EXIT_USAGE;

	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &line);
	cmd = find_cmd(line.argv[0]);
	return cmd ? run_cmd(cmd, line.argc, line.argv) : EXIT_USAGE;
}
