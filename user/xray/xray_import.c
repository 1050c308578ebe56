// SPDX-License-Identifier: GPL-2.0-only
/*
 * Joins what the guest wrote (record.jsonl, bench.jsonl, kallsyms) with what the plugin saw
 * (trace), and writes a line a mechanism and a file a trace (Documentation/xray.rst).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "xray/xray.h"

/* Of a file, without its directory. */
#define NAME_SIZE	(KTRAMP_SITE_MAX + 2 * KTRAMP_NAME_MAX)

struct import {
	const char *out;	/* directory of the results */
	const char *from;	/* directory of a guest */
	struct symbols *symbols;
	struct trace trace;
	struct disasm *disasm;
	json_t *run;		/* first line of the record */
	json_t *unprobed;	/* lines of it, by mechanism and handler */
	json_t *bench;		/* rows, likewise */
	json_t *lines;		/* results, likewise */
	json_t *path;		/* functions on the way to our handlers */
	json_t *admissions;	/* what the module said of them, by address */
};

static uint64_t address(const json_t *object, const char *key)
{
	return strtoull(json_text(object, key), NULL, 16);
}

/* A copy of a field, so that what is missing is null. */
static json_t *field(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	return value ? json_incref(value) : json_null();
}

static unsigned int parse_hex(const char *from, uint8_t *to, unsigned int room)
{
	unsigned int nr = 0, byte;

	for (; nr < room && sscanf(from, "%2x", &byte) == 1; from += from[2] == ' ' ? 3 : 2) {
		to[nr++] = byte;
		if (!from[2])
			break;
	}
	return nr;
}

/* A line of calls that the bench's loop did not make. */
static bool is_own_site(const json_t *line)
{
	return json_is_false(json_object_get(line, "called"));
}

/*
 * What tells rows apart, and is a file's name: the mechanism, the handler where it is not the
 * usual one, the site where it is the user's own.
 */
static void name_of(const json_t *line, char *buf, size_t size)
{
	const char *handler = json_text(line, "handler");
	bool usual = !*handler || !strcmp(handler, handler_name(KTRAMP_COUNT)) ||
		     !strcmp(handler, handler_name(KTRAMP_BPF));
	bool own = is_own_site(line);

	snprintf(buf, size, "%s%s%s%s%s", own ? json_text(line, "site") : "", own ? "." : "",
		 json_text(line, "mechanism"), usual ? "" : ".", usual ? "" : handler);
	for (; *buf; buf++)
		if (strchr("/: ", *buf))
			*buf = '-';
}

/* ---- lines of JSON ---- */

typedef int (*line_fn)(struct import *im, json_t *line);

static int read_lines(struct import *im, const char *file_name, bool optional, line_fn fn)
{
	char name[512];
	FILE *file;
	int err = 0;

	snprintf(name, sizeof(name), "%s/%s", im->from, file_name);
	file = fopen(name, "re");
	if (!file && optional && errno == ENOENT)
		return 0;
	if (!file) {
		err = -errno;
		p_err("cannot read '%s': %s", name, strerror(-err));
		return err;
	}
	while (!err) {
		json_error_t error;
		json_t *line = json_loadf(file, JSON_DISABLE_EOF_CHECK, &error);

		if (!line) {
			if (json_error_code(&error) == json_error_premature_end_of_input)
				break;
			p_err("'%s' is no JSON Lines: %s", name, error.text);
			err = -EBADMSG;
			break;
		}
		err = fn(im, line);
		json_decref(line);
	}
	fclose(file);
	return err;
}

static int on_bench_line(struct import *im, json_t *line)
{
	char name[NAME_SIZE];

	if (strcmp(json_text(line, "type"), "result"))
		return 0;
	name_of(line, name, sizeof(name));
	return json_object_set(im->bench, name, line);
}

/* ---- the code, as ktramp show has it ---- */

static void fill_listing(struct view *view, const json_t *part, enum view_part to)
{
	struct listing *listing = &view->listing[to];

	listing->address = address(part, "address");
	listing->length = parse_hex(json_text(part, "bytes"), listing->code, sizeof(listing->code));
	view->relocated[to] = json_count(part, "relocated");
	view->copied[to] = json_count(part, "copied");
}

static enum view_part view_part_of(json_int_t which)
{
	switch (which) {
	case KTRAMP_CODE_SLOT:
		return VIEW_SLOT;
	case KTRAMP_CODE_SPRINGBOARD:
		return VIEW_SPRINGBOARD;
	default:
		return VIEW_DETOUR;
	}
}

static void fill_listings(struct view *view, const json_t *line, bool armed)
{
	json_t *part;
	size_t i;

	json_array_foreach(json_object_get(line, "code"), i, part) {
		json_int_t which = json_count(part, "part");

		if (which == KTRAMP_CODE_SITE)
			fill_listing(view, part, armed ? VIEW_ARMED : VIEW_BEFORE);
		else if (armed)
			fill_listing(view, part, view_part_of(which));
	}
}

static json_t *code_json(struct import *im, const json_t *unprobed, const json_t *line)
{
	/* Enough of both for view_disassemble(). */
	struct ktramp_mechanism_info mechanism = { 0 };
	struct ktramp_target_info target = { 0 };
	const json_t *to = json_object_get(line, "target");
	struct view *view = calloc(1, sizeof(*view));
	struct listing *armed;
	json_t *json;

	if (!view)
		return NULL;
	mechanism.mechanism = json_count(line, "number");
	snprintf(target.site, sizeof(target.site), "%s", json_text(to, "site"));
	target.address = address(to, "address");
	target.offset = json_count(to, "offset");
	target.func_size = json_count(to, "size");
	view->mechanism = &mechanism;
	view->target = &target;
	view->symbols = im->symbols;
	view->probe.length = json_count(line, "length");
	fill_listings(view, unprobed, false);
	fill_listings(view, line, true);
	/* A state that does not last is in what the calls brought along. */
	armed = &view->listing[VIEW_ARMED];
	if (armed->length >= KTRAMP_BYTES_MAX)
		parse_hex(json_text(line, "now"), armed->code, KTRAMP_BYTES_MAX);
	if (view->listing[VIEW_BEFORE].length && armed->length)
		view_disassemble(view, im->disasm);
	json = view_json(view);
	free(view);
	return json;
}

/* ---- calls ---- */

static const struct order *order_of(struct import *im, const json_t *line)
{
	size_t number_of = json_count(line, "order");
	struct order *order;

	if (number_of >= im->trace.nr_orders)
		return NULL;
	order = &im->trace.order[number_of];
	/* The last one may have been under way at the end. */
	if (order->nr && !order->hit[order->nr - 1].whole)
		hit_free(&order->hit[--order->nr]);
	for (size_t i = 0; i < order->nr; i++)
		if (!order->hit[i].whole)
			return NULL;
	return order->nr ? order : NULL;
}

static void find_own_code(struct xray_calls *calls, const json_t *line)
{
	json_t *part;
	size_t i, n = 0;

	json_array_foreach(json_object_get(line, "code"), i, part) {
		uint8_t bytes[KTRAMP_CODE_MAX];
		json_int_t which = json_count(part, "part");

		if (which == KTRAMP_CODE_SITE || n == ARRAY_SIZE(calls->own_code))
			continue;
		calls->own_code[n].start = address(part, "address");
		calls->own_code[n].end = calls->own_code[n].start +
			parse_hex(json_text(part, "bytes"), bytes, sizeof(bytes));
		calls->own_code[n++].part = which;
	}
}

/*
 * Anybody may run through a user's site, and an interrupt in the middle of a hit may end it
 * where its handler runs through the same function: such a hit is not one. From @at on, in
 * steps of @way.
 */
static int add_hit(struct xray_calls *calls, const char *which, const struct order *order,
		   size_t at, int way)
{
	for (; at < order->nr; at += way) {
		struct call_tree *tree = &calls->call[calls->nr_calls];
		int err = tree_add(calls, which, &order->hit[at]);

		if (err || !tree->interrupted)
			return err;
		tree_drop(calls);
	}
	return -ENODATA;
}

static int build_trees(struct import *im, const json_t *unprobed, const json_t *line,
		       struct xray_calls *calls)
{
	const struct order *before = unprobed ? order_of(im, unprobed) : NULL;
	const struct order *armed = line ? order_of(im, line) : NULL;
	int err = 0;

	if ((unprobed && !before) || (line && !armed))
		return -ENODATA;
	calls->symbols = im->symbols;
	calls->trace = &im->trace;
	calls->disasm = im->disasm;
	calls->has_base = before;
	if (line) {
		calls->site = address(line, "address");
		find_own_code(calls, line);
	}
	if (before)
		err = add_hit(calls, "unprobed", before, before->nr - 1, -1);
	if (!err && armed)
		err = add_hit(calls, "cold", armed, 0, 1);
	if (!err && armed)
		err = add_hit(calls, "steady", armed, armed->nr - 1, -1);
	return err;
}

/* The fields that the line and the file share; numbers of calls are filled in later. */
static json_t *common_json(struct import *im, const json_t *line, const json_t *row)
{
	json_t *median = json_object_get(json_object_get(row, "per_hit"), "median");

	return json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:s, s:n, s:n, s:n, s:o,"
			 " s:n, s:o, s:o, s:n, s:o, s:o}",
			 "type", "xray",
			 "schema", XRAY_SCHEMA,
			 "kernel", json_text(im->run, "kernel"),
			 "cpu", json_text(im->run, "cpu"),
			 "mechanism", json_text(line, "mechanism"),
			 "kind", json_text(line, "kind"),
			 "handler", field(line, "handler"),
			 "target", is_own_site(line) ? json_null() :
				   field(json_object_get(line, "target"), "name"),
			 "site", field(line, "site"),
			 "text", json_text(line, "text"),
			 "instructions", "cold", "call",
			 "bench", median ? json_incref(median) : json_null(),
			 "exceptions",
			 "bp", field(row, "bp"),
			 "db", field(row, "db"),
			 "file",
			 "unsupported", field(row, "unsupported"),
			 "error", field(row, "error"));
}

/*
 * The mechanism that probes nothing has its own length; the others what they add to it. What
 * a user's site is without a probe was not seen.
 */
static void add_counts(json_t *json, const struct xray_calls *calls)
{
	const struct call_tree *last = &calls->call[calls->nr_calls - 1], *cold = last;
	json_int_t base = calls->has_base ? calls->call[0].hit->nr : 0, less = 0;

	if (calls->nr_calls > 1) {
		cold = last - 1;
		less = base;
	}
	json_object_set_new(json, "call", base ? json_integer(base) : json_null());
	json_object_set_new(json, "instructions", json_integer((json_int_t)last->hit->nr - less));
	json_object_set_new(json, "cold", json_integer((json_int_t)cold->hit->nr - less));
	json_object_set_new(json, "exceptions", xray_exceptions_json(last));
}

static int make_directories(const char *path)
{
	char *copy = strdup(path), *slash;
	int err = copy ? 0 : -ENOMEM;

	for (slash = copy; !err && (slash = strchr(slash + 1, '/'));) {
		*slash = '\0';
		if (mkdir(copy, 0755) && errno != EEXIST)
			err = -errno;
		*slash = '/';
	}
	free(copy);
	return err;
}

static int write_file(struct import *im, const char *base, json_t *line, json_t *file)
{
	char name[2 * NAME_SIZE], path[4 * NAME_SIZE];
	int err;

	snprintf(name, sizeof(name), "xray/%s/%s.json", json_text(im->run, "kernel"), base);
	snprintf(path, sizeof(path), "%s/%s", im->out, name);
	err = make_directories(path);
	if (!err && json_dump_file(file, path, JSON_COMPACT))
		err = errno ? -errno : -EIO;
	if (err)
		p_err("cannot write '%s': %s", path, strerror(-err));
	json_object_set_new(line, "file", json_string(name));
	return err;
}

static bool is_ours(const json_t *line)
{
	return !strcmp(json_text(line, "kind"), kind_name(KTRAMP_KIND_OURS));
}

/* As many of them as an armed site has in the record. */
static json_t *site_bytes(const json_t *line)
{
	json_t *part;
	size_t i;

	json_array_foreach(json_object_get(line, "code"), i, part)
		if (json_count(part, "part") == KTRAMP_CODE_SITE)
			return json_sprintf("%.*s", 3 * KTRAMP_BYTES_MAX - 1,
					    json_text(part, "bytes"));
	return json_null();
}

/* One mechanism: @line is NULL for the one that probes nothing. */
static int make_trace(struct import *im, const json_t *unprobed, const json_t *line)
{
	const json_t *from = line ? line : unprobed;
	struct xray_calls calls = { 0 };
	json_t *result, *file;
	char name[NAME_SIZE];
	int err;

	name_of(from, name, sizeof(name));
	result = common_json(im, from, json_object_get(im->bench, name));
	err = build_trees(im, unprobed, line, &calls);
	if (err) {
		p_err("no trace of '%s' on %s: %s", name, json_text(im->run, "kernel"),
		      strerror(-err));
		goto free;
	}
	for (size_t i = calls.has_base; i < calls.nr_calls && is_ours(from) && !err; i++)
		err = path_add(im->path, &calls, &calls.call[i], json_text(from, "mechanism"));
	if (err)
		goto free;
	add_counts(result, &calls);
	file = json_deep_copy(result);
	json_object_set_new(file, "type", json_string("trace"));
	json_object_del(file, "file");
	json_object_set_new(file, "before", site_bytes(unprobed));
	json_object_set_new(file, "armed", line ? field(line, "now") : json_null());
	json_object_set_new(file, "code", line ? code_json(im, unprobed, line) : json_array());
	json_object_set_new(file, "symbols", xray_symbols_json(&calls));
	json_object_set_new(file, "insns", xray_insns_json(&calls));
	json_object_set_new(file, "calls", xray_calls_json(&calls));
	json_object_set_new(result, "functions",
			    xray_functions_json(&calls, &calls.call[calls.nr_calls - 1]));
	err = write_file(im, name, result, file);
	json_decref(file);
	if (!err)
		err = json_object_set(im->lines, name, result);
free:
	json_decref(result);
	tree_free(&calls);
	return err;
}

static int on_symbol(struct import *im, const json_t *line)
{
	uint64_t start = address(line, "address");

	if (json_is_true(json_object_get(line, "gone"))) {
		symbols_remove(im->symbols, start);
		return 0;
	}
	return symbols_add(im->symbols, start, json_count(line, "length"), json_text(line, "name"),
			   *json_text(line, "module") ? json_text(line, "module") : NULL);
}

static int on_calls(struct import *im, json_t *line)
{
	char name[NAME_SIZE];

	name_of(line, name, sizeof(name));
	if (json_is_true(json_object_get(line, "armed")))
		return make_trace(im, json_object_get(im->unprobed, name), line);
	if (!strcmp(json_text(line, "kind"), kind_name(KTRAMP_KIND_BASE)))
		return make_trace(im, line, NULL);
	return json_object_set(im->unprobed, name, line);
}

static int on_record_line(struct import *im, json_t *line)
{
	const char *type = json_text(line, "type");

	if (!strcmp(type, "run")) {
		json_decref(im->run);
		im->run = json_incref(line);
	} else if (!strcmp(type, "symbol")) {
		return on_symbol(im, line);
	} else if (!strcmp(type, "calls")) {
		return on_calls(im, line);
	} else if (!strcmp(type, "admission")) {
		return json_object_set(im->admissions, json_text(line, "address"), line);
	}
	return 0;
}

/* ---- what has no trace ---- */

static const json_t *mechanism_of(const struct import *im, const json_t *row)
{
	json_t *mechanism;
	size_t i;

	json_array_foreach(json_object_get(im->run, "mechanisms"), i, mechanism)
		if (!strcmp(json_text(mechanism, "name"), json_text(row, "mechanism")))
			return mechanism;
	return NULL;
}

static int add_untraced(struct import *im)
{
	const char *name;
	json_t *row;
	int err = 0;

	json_object_foreach(im->bench, name, row) {
		const json_t *mechanism = mechanism_of(im, row);
		json_t *line;

		if (json_object_get(im->lines, name))
			continue;
		line = common_json(im, row, row);
		json_object_set_new(line, "kind", field(mechanism, "kind"));
		json_object_set_new(line, "text", field(mechanism, "text"));
		/* A row has names where a record has more. */
		json_object_set_new(line, "target", field(row, "target"));
		json_object_set_new(line, "functions", json_null());
		if (json_is_null(json_object_get(line, "unsupported")) &&
		    json_is_null(json_object_get(line, "error")))
			json_object_set_new(line, "error", json_string("no call was traced"));
		err |= json_object_set_new(im->lines, name, line);
	}
	return err ? -ENOMEM : 0;
}

/* In the order of the mechanisms, whatever order they were measured in. */
static int write_results(struct import *im, FILE *to)
{
	json_t *mechanism, *line;
	const char *name;
	size_t i;
	int err;

	json_array_foreach(json_object_get(im->run, "mechanisms"), i, mechanism) {
		json_object_foreach(im->lines, name, line) {
			if (strcmp(json_text(line, "mechanism"), json_text(mechanism, "name")))
				continue;
			err = out_line(to, json_incref(line));
			if (err)
				return err;
		}
	}
	return 0;
}

static int write_path(struct import *im, FILE *to)
{
	const char *name;
	json_t *entry;

	json_object_foreach(im->path, name, entry) {
		json_t *line = path_line(name, entry, im->admissions);
		int err;

		json_object_set_new(line, "kernel", field(im->run, "kernel"));
		json_object_set_new(line, "cpu", field(im->run, "cpu"));
		err = out_line(to, line);
		if (err)
			return err;
	}
	return 0;
}

static int import_guest(struct import *im, FILE *to)
{
	char name[512];
	int err;

	im->unprobed = json_object();
	im->bench = json_object();
	im->lines = json_object();
	im->path = json_object();
	im->admissions = json_object();
	snprintf(name, sizeof(name), "%s/kallsyms", im->from);
	err = symbols_read(&im->symbols, name);
	snprintf(name, sizeof(name), "%s/trace", im->from);
	if (!err)
		err = trace_read(&im->trace, name);
	/* There is none where a user's command ran. */
	if (!err)
		err = read_lines(im, "bench.jsonl", true, on_bench_line);
	if (!err)
		err = read_lines(im, "record.jsonl", false, on_record_line);
	if (!err)
		err = add_untraced(im);
	if (!err)
		err = write_results(im, to);
	if (!err)
		err = write_path(im, to);
	json_decref(im->unprobed);
	json_decref(im->bench);
	json_decref(im->lines);
	json_decref(im->path);
	json_decref(im->admissions);
	json_decref(im->run);
	im->run = NULL;
	trace_free(&im->trace);
	symbols_free(&im->symbols);
	return err;
}

/**
 * xray_import() - write the results of guests
 * @out: directory for xray.jsonl and xray/
 * @directories: of the guests: kallsyms, record.jsonl, bench.jsonl and trace in each
 * @nr: of them
 *
 * Return: 0 or -errno, having complained; then there is no xray.jsonl.
 */
int xray_import(const char *out, char **directories, unsigned int nr)
{
	struct import im = { .out = out };
	char name[512];
	FILE *to;
	int err;

	snprintf(name, sizeof(name), "%s/xray.jsonl", out);
	err = make_directories(name);
	to = err ? NULL : fopen(name, "we");
	if (!to) {
		err = err ? err : -errno;
		p_err("cannot write '%s': %s", name, strerror(-err));
		return err;
	}
	err = disasm_open(&im.disasm, false);
	for (unsigned int i = 0; i < nr && !err; i++) {
		im.from = directories[i];
		err = import_guest(&im, to);
	}
	disasm_close(&im.disasm);
	if (fclose(to) && !err) {
		err = -EIO;
		p_err("cannot write all of '%s'", name);
	}
	if (err)
		remove(name);
	return err;
}
