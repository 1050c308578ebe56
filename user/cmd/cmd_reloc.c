// SPDX-License-Identifier: GPL-2.0-only
/*
 * ktramp reloc: what the loader did to a BPF object.
 *
 * libbpf tells it in its debug messages; what the instructions were is read before it
 * loads, and what they became behind it. Nothing is relocated here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/bpf.h"

enum option_key {
	OPT_BTF = 256,
};

struct options {
	const char *object;
	const char *btf;
};

/* One CO-RE relocation, as far as libbpf has told of it. */
struct relocation {
	char prog[64];
	unsigned int number;
	char kind[32];		/* what is asked of the field: byte_off, field_exists, ... */
	char field[192];	/* "task_struct.exit_code" */
	char access[96];
	long long from;		/* offset in the object's own types, or -1 */
	unsigned int insn;
	char patch[192];
	bool patched;
};

struct call {
	char prog[64];
	char text[192];
};

struct program {
	char name[64];
	size_t nr;
	struct bpf_insn *before;
};

struct log {
	struct relocation *relocation;
	size_t nr_relocations;
	struct call *call;
	size_t nr_calls;
	char failed[256];
};

static struct log the_log;	/* libbpf's callback has no argument */

static const struct argp_option options[] = {
	{ "btf", OPT_BTF, "FILE", 0, "Types to relocate by, instead of the kernel's own", 0 },
	{ }
};

static const char doc[] =
	"Load the BPF object file OBJECT, and print what the loader did to it: its maps and their "
	"descriptors, calls between functions, and each CO-RE relocation: the field, its offset in "
	"the object's own types and in the kernel's, and the instruction before and after.\v"
	"It is libbpf's own work that is shown. The object is loaded into the kernel and released "
	"again; nothing is attached.\n\n"
	"Exit status: 0, 1 if the object cannot be read or loaded, 2 on wrong usage.\n\n"
	"Examples:\n"
	"  ktramp reloc mine.bpf.o\n"
	"  ktramp reloc mine.bpf.o --btf vmlinux-6.1.btf\n"
	"  ktramp reloc mine.bpf.o --json | jq 'select(.type == \"core\")'\n";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opts = state->input;

	switch (key) {
	case OPT_BTF:
		opts->btf = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (opts->object)
			argp_error(state, "'%s': there is one OBJECT already", arg);
		opts->object = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "an OBJECT is needed");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = CMD_ARGP("OBJECT");

/* ---- what libbpf says ---- */

static struct relocation *find(struct log *log, const char *prog, unsigned int number)
{
	struct relocation *r;

	for (size_t i = 0; i < log->nr_relocations; i++)
		if (log->relocation[i].number == number && !strcmp(log->relocation[i].prog, prog))
			return &log->relocation[i];
	r = array_more(log->relocation, log->nr_relocations);
	if (!r)
		return NULL;
	log->nr_relocations++;
	r->number = number;
	r->from = -1;
	snprintf(r->prog, sizeof(r->prog), "%s", prog);
	return r;
}

/* "<byte_off> [2] struct task_struct.exit_code (0:2 @ offset 8)" */
static void note_field(struct relocation *r, const char *text)
{
	const char *name = strstr(text, "] "), *access = strrchr(text, '('), *offset;

	snprintf(r->kind, sizeof(r->kind), "%.*s", (int)strcspn(text + 1, ">"), text + 1);
	if (!name || !access || access < name)
		return;
	name += 2;
	if (!strncmp(name, "struct ", 7) || !strncmp(name, "union ", 6))
		name = strchr(name, ' ') + 1;
	snprintf(r->field, sizeof(r->field), "%.*s", (int)(access - name - 1), name);
	snprintf(r->access, sizeof(r->access), "%.*s", (int)strcspn(access + 1, " )"), access + 1);
	offset = strstr(access, "@ offset ");
	if (offset)
		r->from = strtoll(offset + 9, NULL, 10);
}

/* "patched insn #3 (LDX/ST/STX) off 8 -> 2332" */
static void note_patch(struct relocation *r, const char *text)
{
	int end = 0;

	/* A field that this kernel does not have: the verifier refuses it if it is reached. */
	if (sscanf(text, "substituting insn #%u", &r->insn) == 1) {
		snprintf(r->patch, sizeof(r->patch), "not in these types: made invalid");
		return;
	}
	if (sscanf(text, "patched insn #%u %n", &r->insn, &end) != 1)
		return;
	snprintf(r->patch, sizeof(r->patch), "%s", text + end);
	r->patched = true;
}

static void note_relocation(struct log *log, const char *prog, const char *text)
{
	struct relocation *r;
	unsigned int number;
	int end = 0;

	if (sscanf(text, "relo #%u: %n", &number, &end) != 1 || !end)
		return;
	text += end;
	if (!strncmp(text, "matching candidate", 18))
		return;
	r = find(log, prog, number);
	if (!r)
		return;
	if (*text == '<')
		note_field(r, text);
	else
		note_patch(r, text);
}

static void note_call(struct log *log, const char *prog, const char *text)
{
	struct call *call;

	if (!strstr(text, "points to subprog"))
		return;
	call = array_more(log->call, log->nr_calls);
	if (!call)
		return;
	log->nr_calls++;
	snprintf(call->prog, sizeof(call->prog), "%s", prog);
	snprintf(call->text, sizeof(call->text), "%s", text);
}

/* "libbpf: prog 'NAME': TEXT" */
static int listen(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[1024], prog[64];
	int end = 0;

	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	if (level == LIBBPF_WARN && !*the_log.failed)
		snprintf(the_log.failed, sizeof(the_log.failed), "%s",
			 strncmp(line, "libbpf: ", 8) ? line : line + 8);
	if (sscanf(line, "libbpf: prog '%63[^']': %n", prog, &end) != 1 || !end)
		return 0;
	note_relocation(&the_log, prog, line + end);
	note_call(&the_log, prog, line + end);
	return 0;
}

/* ---- printing ---- */

static const char *insn_text(char *buf, size_t size, const struct bpf_insn *insn)
{
	snprintf(buf, size, "%02x %02x %04hx %08x", insn->code,
		 insn->dst_reg | insn->src_reg << 4, (unsigned short)insn->off,
		 (unsigned int)insn->imm);
	return buf;
}

/* What the patched word says the offset is now. */
static bool patched_offset(const struct relocation *r, long long *to)
{
	const char *arrow = strstr(r->patch, " -> ");

	if (!r->patched || !arrow)
		return false;
	*to = strtoll(arrow + 4, NULL, 0);
	return true;
}

static int print_relocation(const struct relocation *r, const struct bpf_insn *before,
			    const struct bpf_insn *after)
{
	char was[32] = "?", is[32] = "?";
	long long to = 0;
	bool has = patched_offset(r, &to);
	json_t *line;

	if (before)
		insn_text(was, sizeof(was), before);
	if (after)
		insn_text(is, sizeof(is), after);
	if (!out_json) {
		printf("  insn %u: %s  ", r->insn, r->field);
		/* Not each relocation is of an offset. */
		if (!strcmp(r->kind, "byte_off"))
			printf("offset %lld -> ", r->from);
		else
			printf("%s -> ", r->kind);
		if (has)
			printf("%lld", to);
		else
			printf("?");
		printf("  (access %s)\n      %s  %s\n      %s\n", r->access, was, r->patch, is);
		return 0;
	}
	line = json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:I, s:s, s:s, s:s}", "type", "core",
			 "program", r->prog, "insn", (json_int_t)r->insn, "kind", r->kind,
			 "field", r->field,
			 "access", r->access, "from", (json_int_t)r->from, "patch", r->patch,
			 "before", was, "after", is);
	json_object_set_new(line, "to", has ? json_integer(to) : json_null());
	return out_line(stdout, line);
}

static int print_program(struct bpf_object *object, const struct program *program)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(object, program->name);
	const struct bpf_insn *after = prog ? bpf_program__insns(prog) : NULL;
	size_t nr_after = prog ? bpf_program__insn_cnt(prog) : 0;
	int err = 0;

	if (!out_json)
		printf("program %s: %zu instructions\n", program->name, program->nr);
	for (size_t i = 0; i < the_log.nr_calls && !err; i++) {
		if (strcmp(the_log.call[i].prog, program->name))
			continue;
		if (!out_json)
			printf("  %s\n", the_log.call[i].text);
		else
			err = out_line(stdout, json_pack("{s:s, s:s, s:s}", "type", "call",
							 "program", program->name, "text",
							 the_log.call[i].text));
	}
	for (size_t i = 0; i < the_log.nr_relocations && !err; i++) {
		const struct relocation *r = &the_log.relocation[i];

		if (strcmp(r->prog, program->name))
			continue;
		err = print_relocation(r, r->insn < program->nr ? &program->before[r->insn] : NULL,
				       after && r->insn < nr_after ? &after[r->insn] : NULL);
	}
	return err;
}

static int print_maps(struct bpf_object *object)
{
	struct bpf_map *map;
	int err = 0;

	bpf_object__for_each_map(map, object) {
		const char *type = libbpf_bpf_map_type_str(bpf_map__type(map));

		if (!out_json)
			printf("map %s: fd %d, %s, key %u, value %u, %u entries\n",
			       bpf_map__name(map), bpf_map__fd(map), type ? type : "unknown",
			       bpf_map__key_size(map), bpf_map__value_size(map),
			       bpf_map__max_entries(map));
		else
			err = out_line(stdout, json_pack("{s:s, s:s, s:i, s:s, s:I, s:I, s:I}",
				"type", "map", "name", bpf_map__name(map), "fd", bpf_map__fd(map),
				"kind", type ? type : "unknown",
				"key_size", (json_int_t)bpf_map__key_size(map),
				"value_size", (json_int_t)bpf_map__value_size(map),
				"max_entries", (json_int_t)bpf_map__max_entries(map)));
		if (err)
			break;
	}
	return err;
}

/* ---- doing ---- */

static int remember(struct bpf_object *object, struct program **programs, size_t *nr)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, object) {
		struct program *p = array_more(*programs, *nr);
		size_t insns = bpf_program__insn_cnt(prog);

		if (!p)
			return -ENOMEM;
		(*nr)++;
		p->nr = insns;
		p->before = calloc(insns + 1, 8);
		if (!p->before)
			return -ENOMEM;
		snprintf(p->name, sizeof(p->name), "%s", bpf_program__name(prog));
		memcpy(p->before, bpf_program__insns(prog), insns * sizeof(struct bpf_insn));
		/* Also those that are loaded on demand. */
		bpf_program__set_autoload(prog, true);
	}
	return 0;
}

static int reloc(const struct options *opts)
{
	struct bpf_types types __cleanup(bpf_types_drop) = { .fd = -1 };
	struct bpf_object *object __cleanup(bpf_object_free) = NULL;
	struct program *programs = NULL;
	size_t nr = 0;
	int err, load_err;

	err = bpf_types_find(&types, opts->btf);
	if (err)
		return err;
	object = bpf_object_open_file(opts->object, &types);
	if (!object)
		return -EINVAL;
	err = remember(object, &programs, &nr);
	libbpf_set_print(listen);
	load_err = err ? err : bpf_object__load(object);
	if (!load_err)
		err = print_maps(object);
	/* What was relocated before it failed is what one wants to see then. */
	for (size_t i = 0; i < nr && !err; i++)
		err = print_program(object, &programs[i]);
	if (load_err)
		p_err("cannot load '%s': %s", opts->object,
		      *the_log.failed ? the_log.failed : strerror(-load_err));
	for (size_t i = 0; i < nr; i++)
		free(programs[i].before);
	free(programs);
	free(the_log.relocation);
	free(the_log.call);
	the_log = (struct log){ 0 };
	return load_err ? load_err : err;
}

int cmd_reloc(int argc, char **argv)
{
	struct options opts = { 0 };

	argp_parse(&argp, argc, argv, 0, NULL, &opts);
	catch_signals();
	return reloc(&opts) ? EXIT_FAILED : EXIT_OK;
}
