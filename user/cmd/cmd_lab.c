// SPDX-License-Identifier: GPL-2.0-only
/* ktramp lab: the labs of Documentation/labs, their questions, and what answers are worth. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab/lab.h"

enum action {
	ACTION_NONE,
	ACTION_LIST,
	ACTION_SHOW,
	ACTION_CHECK,
	ACTION_RUN,
	ACTION_FORGET,
	ACTION_FILES,
	ACTION_FIGURES,
};

static const struct {
	const char *name;
	enum action action;
	bool lab;	/* wants one */
	bool step;	/* may have one */
} actions[] = {
	{ "list", ACTION_LIST, false, false },
	{ "show", ACTION_SHOW, true, true },
	{ "check", ACTION_CHECK, true, true },
	{ "run", ACTION_RUN, true, true },
	{ "forget", ACTION_FORGET, true, false },
	{ "files", ACTION_FILES, true, false },
	{ "figures", ACTION_FIGURES, true, false },
};

struct options {
	enum action action;
	bool may_lab, may_step;
	unsigned int lab;
	unsigned int step;	/* 0: none was named */
	char *answer;
	const char *output;
	enum lab_where where;
};

static const struct argp_option options[] = {
	{ "output", 'o', "DIR", 0, "run: leave what each step prints in DIR/STEP.txt instead", 0 },
	{ "where", 'w', "WHERE", 0, "run, figures: those for the 'guest' (default), those that "
	  "read x-rays in ./xray ('trace'), or those for the source tree ('host')", 0 },
	{ }
};

static const char doc[] =
	"Learn the trampolines by running them. Each lab is a page of Documentation/labs and a guest "
	"with what it needs, which 'make lab LAB=N' boots. A step asks what you expect before it "
	"shows what happens; 'check' says whether you were right and, if not, what you may have "
	"overlooked.\v"
	"list says which labs there are, and how many of their questions you have answered. show "
	"prints a lab, or a step of it: the question, and the commands. check judges an answer, to "
	"the first question that you have not answered yet if you do not name the step. run types "
	"the commands of a step for you. forget makes all questions of a lab new. files and figures are for "
	"make: what the guest is given, and the numbers that this kernel has for the lab.\n\n"
	"An answer is a letter, a number (8, 0x1f, eight), bytes in hexadecimal, or a word or several, "
	"as the question says. Figures depend on the kernel: with ktramp.ko loaded and a clock that "
	"counts instructions they are measured while you wait.\n\n"
	"Exit status: 0; 1 if the answer is wrong, or a command failed; 2 on wrong usage.\n\n"
	"Examples:\n"
	"  ktramp lab list\n"
	"  ktramp lab show 4\n"
	"  ktramp lab show 4 1\n"
	"  ktramp lab check 4 1 b\n"
	"  ktramp lab check 4 'five bytes'\n"
	"  ktramp lab run 4 1\n"
	"  ktramp lab show 4 --json | jq -r 'select(.type == \"step\").title'\n";

static void set_action(struct argp_state *state, struct options *opts, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (!strcmp(actions[i].name, name)) {
			opts->action = actions[i].action;
			opts->may_lab = actions[i].lab;
			opts->may_step = actions[i].step;
			return;
		}
	argp_error(state, "no action '%s'; there are list, show, check, run, forget, files and "
		   "figures", name);
}

static void set_where(struct argp_state *state, struct options *opts, const char *name)
{
	for (enum lab_where i = 0; i < LAB_WHERES; i++)
		if (!strcmp(lab_where_name(i), name)) {
			opts->where = i;
			return;
		}
	argp_error(state, "no place '%s'; there are guest, trace and host", name);
}

static bool is_number(const char *arg)
{
	return *arg && !arg[strspn(arg, "0123456789")];
}

/* An answer may be several words, and the first may be a number: then it is none of a step. */
static void set_answer(struct argp_state *state, struct options *opts, const char *arg)
{
	bool more = state->next < state->argc;
	char *joined;

	if (!opts->step && !opts->answer && more && is_number(arg)) {
		opts->step = parse_number(state, "step", arg, 1, 1000);
		return;
	}
	if (asprintf(&joined, "%s%s%s", opts->answer ?: "", opts->answer ? " " : "", arg) < 0)
		argp_failure(state, EXIT_FAILED, ENOMEM, "cannot keep the answer");
	free(opts->answer);
	opts->answer = joined;
}

static void check_options(struct argp_state *state, const struct options *opts)
{
	if (!opts->action)
		argp_error(state, "say what to do: list, show, check, run, forget, files or "
			   "figures");
	if (opts->may_lab && !opts->lab)
		argp_error(state, "of which lab? 'ktramp lab list' has their numbers");
	if (opts->action == ACTION_CHECK && !opts->answer)
		argp_error(state, "what is your answer? 'ktramp lab check %u 'ANSWER''", opts->lab);
	if (opts->output && opts->action != ACTION_RUN)
		argp_error(state, "--output is for run");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opts = state->input;

	switch (key) {
	case 'o':
		opts->output = arg;
		return 0;
	case 'w':
		set_where(state, opts, arg);
		return 0;
	case ARGP_KEY_ARG:
		if (!opts->action)
			set_action(state, opts, arg);
		else if (opts->may_lab && !opts->lab)
			opts->lab = parse_number(state, "lab", arg, 1, 1000);
		else if (opts->action == ACTION_CHECK)
			set_answer(state, opts, arg);
		else if (opts->may_step && !opts->step)
			opts->step = parse_number(state, "step", arg, 1, 1000);
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
	"list\nshow N [STEP]\ncheck N [STEP] ANSWER\nrun N [STEP]\nforget N\n"
	"files N\nfigures N");

/* ---- list ---- */

static unsigned int nr_questions(const json_t *lab)
{
	unsigned int count = 0;
	json_t *step;
	size_t i;

	json_array_foreach(json_object_get(lab, "steps"), i, step)
		count += lab_asks(step);
	return count;
}

static json_t *lab_json(const json_t *lab)
{
	char *goal __cleanup(free_string) = lab_text(json_object_get(lab, "goal"));

	return json_pack("{s:s, s:i, s:s, s:s, s:O, s:s, s:i, s:i}",
			 "type", "lab",
			 "lab", lab_number(lab),
			 "name", lab_string(lab, "name"),
			 "title", lab_string(lab, "title"),
			 "minutes", json_object_get(lab, "minutes"),
			 "goal", goal ?: "",
			 "questions", nr_questions(lab),
			 "answered", lab_progress_count(lab));
}

static int list_labs(const struct labs *labs)
{
	struct table table;
	json_t *lab;
	size_t i;
	int err = 0;

	table_init(&table, 4, 0b1011);
	table_add(&table, "LAB\tMINUTES\tTITLE\tANSWERED");
	json_array_foreach(labs->labs, i, lab) {
		if (out_json)
			err = out_line(stdout, lab_json(lab));
		if (err)
			break;
		table_add(&table, "%u\t%lld\t%s\t%u of %u", lab_number(lab),
			  (long long)json_integer_value(json_object_get(lab, "minutes")),
			  lab_string(lab, "title"), lab_progress_count(lab), nr_questions(lab));
	}
	if (!out_json && !err)
		err = table_print(&table);
	table_deinit(&table);
	return err;
}

/* ---- show ---- */

static const char *how_to_answer(const json_t *step)
{
	const char *kind = lab_string(step, "kind");

	if (!strcmp(kind, "choice"))
		return "LETTER";
	if (!strcmp(kind, "number"))
		return "NUMBER";
	if (!strcmp(kind, "bytes"))
		return "'BYTES'";
	return strcmp(kind, "set") ? "'ANSWER'" : "'ONE, ANOTHER, ...'";
}

/* What a reader is shown, and nothing that would give the answer away. */
static json_t *step_json(const struct labs *labs, const json_t *lab, unsigned int number)
{
	const json_t *step = lab_step(lab, number), *run = json_object_get(step, "run");
	char *ask __cleanup(free_string) = lab_fill(labs, lab, json_object_get(step, "ask"));
	json_t *choices = json_array(), *choice;
	size_t i;

	json_array_foreach(json_object_get(step, "choices"), i, choice) {
		char *text __cleanup(free_string) = lab_text(json_object_get(choice, "text"));

		json_array_append_new(choices, json_string(text ?: ""));
	}
	return json_pack("{s:s, s:i, s:i, s:s, s:s?, s:s?, s:o, s:o, s:s, s:b}",
			 "type", "step",
			 "lab", lab_number(lab),
			 "step", number,
			 "title", lab_string(step, "title"),
			 "ask", ask,
			 "kind", ask ? lab_string(step, "kind") : NULL,
			 "choices", choices,
			 "run", run ? json_deep_copy(run) : json_array(),
			 "where", lab_where_name(lab_where(step)),
			 "answered", lab_progress_has(lab_number(lab), number));
}

static void print_question(const struct labs *labs, const json_t *lab, const json_t *step,
			   unsigned int number)
{
	char *ask __cleanup(free_string) = lab_fill(labs, lab, json_object_get(step, "ask"));
	json_t *choice;
	size_t i;

	printf("\n");
	lab_print(ask ?: "", 0);
	json_array_foreach(json_object_get(step, "choices"), i, choice) {
		char *text __cleanup(free_string) = lab_text(json_object_get(choice, "text"));

		printf("  (%c)", (char)('a' + i));
		lab_print(text ?: "", 1);
	}
	printf("\n  ktramp lab check %u %u %s\n", lab_number(lab), number, how_to_answer(step));
}

static void print_step(const struct labs *labs, const json_t *lab, unsigned int number)
{
	const json_t *step = lab_step(lab, number), *run = json_object_get(step, "run");
	json_t *command;
	size_t i;

	printf("%u.%u  %s\n", lab_number(lab), number, lab_string(step, "title"));
	if (lab_asks(step))
		print_question(labs, lab, step, number);
	if (!json_array_size(run))
		return;
	printf("\n%s%s\n\n", lab_asks(step) ? "Then see for yourself" : "See for yourself",
	       lab_where(step) == LAB_HOST ? ", on the host, in the source tree:" : ":");
	json_array_foreach(run, i, command)
		printf("  %s\n", json_string_value(command));
}

static int show_step(const struct labs *labs, const json_t *lab, unsigned int number)
{
	if (!lab_step(lab, number))
		return -ENOENT;
	if (out_json)
		return out_line(stdout, step_json(labs, lab, number));
	print_step(labs, lab, number);
	return 0;
}

static void print_lab(const json_t *lab)
{
	char *goal __cleanup(free_string) = lab_text(json_object_get(lab, "goal"));
	unsigned int next = lab_progress_next(lab);

	printf("Lab %u: %s\n\n", lab_number(lab), lab_string(lab, "title"));
	lab_print(goal ?: "", 0);
	printf("\n");
	for (unsigned int i = 1; i <= lab_nr_steps(lab); i++) {
		const json_t *step = lab_step(lab, i);

		printf("  %c %u.%-2u %s\n", lab_progress_has(lab_number(lab), i) ? '*' :
		       lab_asks(step) ? '?' : ' ', lab_number(lab), i, lab_string(step, "title"));
	}
	printf("\n  ? asks what you expect   * you answered that\n\n");
	if (next)
		printf("Next: ktramp lab show %u %u\n", lab_number(lab), next);
	else
		printf("All questions are answered; 'ktramp lab forget %u' makes them new.\n",
		       lab_number(lab));
}

static int show_lab(const struct labs *labs, const json_t *lab)
{
	int err;

	if (!out_json) {
		print_lab(lab);
		return 0;
	}
	err = out_line(stdout, lab_json(lab));
	for (unsigned int i = 1; !err && i <= lab_nr_steps(lab); i++)
		err = out_line(stdout, step_json(labs, lab, i));
	return err;
}

/* ---- check ---- */

/* Steps for the host are commands of the source tree, which no guest has. */
static bool is_elsewhere(const json_t *step)
{
	return lab_where(step) == LAB_HOST && access("qemu/run", X_OK);
}

static int print_verdict(const json_t *lab, unsigned int number, const char *answer,
			 const struct lab_verdict *verdict)
{
	unsigned int next = lab_progress_next(lab);

	if (out_json)
		return out_line(stdout, json_pack("{s:s, s:i, s:i, s:s, s:b, s:s?, s:s?}",
						  "type", "check",
						  "lab", lab_number(lab),
						  "step", number,
						  "answer", answer,
						  "right", verdict->right,
						  "why", verdict->why,
						  "value", verdict->right ? verdict->value : NULL));
	printf("%s\n", verdict->right ? "Right." : "Not so.");
	if (verdict->why)
		lab_print(verdict->why, 0);
	if (!verdict->right)
		return 0;
	if (json_array_size(json_object_get(lab_step(lab, number), "run")))
		printf("\nSee it%s: ktramp lab %s %u %u\n",
		       is_elsewhere(lab_step(lab, number)) ? ", on the host" : "",
		       is_elsewhere(lab_step(lab, number)) ? "show" : "run", lab_number(lab),
		       number);
	if (next)
		printf("Next: ktramp lab show %u %u\n", lab_number(lab), next);
	return 0;
}

static int check_answer(const struct labs *labs, const json_t *lab, unsigned int number,
			const char *answer)
{
	struct lab_verdict verdict;
	const json_t *step;
	int err;

	if (!number)
		number = lab_progress_next(lab);
	if (!number) {
		p_err("all questions of lab %u are answered; name a step, or 'ktramp lab forget %u'",
		      lab_number(lab), lab_number(lab));
		return -ENOENT;
	}
	step = lab_step(lab, number);
	if (!step)
		return -ENOENT;
	if (!lab_asks(step)) {
		p_err("step %u of lab %u asks nothing", number, lab_number(lab));
		return -ENOENT;
	}
	err = lab_judge(labs, lab, step, answer, &verdict);
	if (err)
		return err;
	if (verdict.right)
		lab_progress_add(lab_number(lab), number);
	err = print_verdict(lab, number, answer, &verdict);
	if (!err && !verdict.right)
		err = -EDOM;
	lab_verdict_free(&verdict);
	return err;
}

/* ---- run ---- */

static int run_to_file(const json_t *lab, unsigned int number, const char *directory)
{
	char path[4096];
	FILE *file;
	int err;

	snprintf(path, sizeof(path), "%s/%u.txt", directory, number);
	file = fopen(path, "we");
	if (!file) {
		p_err("cannot write %s: %s", path, strerror(errno));
		return -errno;
	}
	err = lab_run_step(lab_step(lab, number), file);
	if (fclose(file) && !err) {
		p_err("cannot write %s: %s", path, strerror(errno));
		err = -errno;
	}
	if (err)
		p_err("step %u left what it printed in %s", number, path);
	return err;
}

static int run_steps(const json_t *lab, const struct options *opts)
{
	unsigned int first = opts->step ?: 1, last = opts->step ?: lab_nr_steps(lab);
	int err = 0;

	if (opts->output && mkdir(opts->output, 0777) && errno != EEXIST) {
		p_err("cannot make %s: %s", opts->output, strerror(errno));
		return -errno;
	}
	for (unsigned int i = first; !err && i <= last; i++) {
		const json_t *step = lab_step(lab, i);

		if (!step)
			return -ENOENT;
		if (!json_array_size(json_object_get(step, "run")))
			continue;
		if (lab_where(step) != opts->where && !opts->step)
			continue;
		if (is_elsewhere(step)) {
			p_err("step %u of lab %u is for the host, in the source tree; 'ktramp lab "
			      "show %u %u' has its commands", i, lab_number(lab), lab_number(lab),
			      i);
			return -ENOENT;
		}
		err = opts->output ? run_to_file(lab, i, opts->output) :
		      lab_run_step(step, stdout);
	}
	return err;
}

/* ---- for make ---- */

static int print_files(const json_t *lab)
{
	static const char *const fields[] = { "files", "traces" };
	json_t *name;
	size_t j;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		json_array_foreach(json_object_get(lab, fields[i]), j, name) {
			int err = 0;

			if (out_json)
				err = out_line(stdout, json_pack("{s:s, s:s, s:O}", "type",
								 "file", "kind", fields[i],
								 "name", name));
			else
				printf("%s %s\n", fields[i], json_string_value(name));
			if (err)
				return err;
		}
	return 0;
}

static int print_figure(const json_t *lab, const char *name)
{
	char *value __cleanup(free_string) = NULL;
	struct utsname uts;
	int err = lab_figure_live(lab, name, &value);

	if (!err)
		err = kernel_release(&uts);
	if (err)
		return err;
	if (out_json)
		return out_line(stdout, json_pack("{s:s, s:i, s:s, s:s, s:s}",
						  "type", "figure",
						  "lab", lab_number(lab),
						  "name", name,
						  "value", value,
						  "kernel", uts.release));
	printf("%-24s %s\n", name, value);
	return 0;
}

static int print_figures(const json_t *lab, enum lab_where where)
{
	const char *name;
	json_t *figure;

	json_object_foreach(json_object_get(lab, "figures"), name, figure) {
		int err = lab_where(figure) == where ? print_figure(lab, name) : 0;

		if (err)
			return err;
	}
	return 0;
}

static int act(const struct labs *labs, const struct options *opts)
{
	const json_t *lab;

	if (opts->action == ACTION_LIST)
		return list_labs(labs);
	lab = labs_find(labs, opts->lab);
	if (!lab)
		return -ENOENT;
	switch (opts->action) {
	case ACTION_SHOW:
		return opts->step ? show_step(labs, lab, opts->step) : show_lab(labs, lab);
	case ACTION_CHECK:
		return check_answer(labs, lab, opts->step, opts->answer);
	case ACTION_RUN:
		return run_steps(lab, opts);
	case ACTION_FORGET:
		return lab_progress_forget(opts->lab);
	case ACTION_FILES:
		return print_files(lab);
	default:
		return print_figures(lab, opts->where);
	}
}

/* An answer may be "-1", which is no option: what is behind "--" is none. */
static char **keep_answer(int *argc, char **argv)
{
	char **kept = calloc(*argc + 2, sizeof(*kept));
	int nr = 0;
	bool ended = false;

	for (int i = 0; kept && i < *argc; i++) {
		ended |= !strcmp(argv[i], "--");
		if (!ended && argv[i][0] == '-' && isdigit((unsigned char)argv[i][1])) {
			kept[nr++] = (char *)"--";
			ended = true;
		}
		kept[nr++] = argv[i];
	}
	if (kept)
		*argc = nr;
	return kept;
}

int cmd_lab(int argc, char **argv)
{
	struct options opts = { .where = LAB_GUEST };
	char **kept = keep_answer(&argc, argv);
	struct labs labs;
	int err;

	argp_parse(&argp, argc, kept ?: argv, 0, NULL, &opts);
	err = labs_load(&labs);
	if (!err)
		err = act(&labs, &opts);
	labs_free(&labs);
	free(opts.answer);
	free(kept);
	return err ? EXIT_FAILED : EXIT_OK;
}
