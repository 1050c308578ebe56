// SPDX-License-Identifier: GPL-2.0-only
/* A trace as text: the tree of calls, the list of functions, every instruction. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xray/xray.h"

/* Of the symbol, instruction or node that an index in @object names. */
static const json_t *indexed(const json_t *trace, const char *list, const json_t *object,
			     const char *key)
{
	return json_array_get(json_object_get(trace, list), json_count(object, key));
}

static const char *symbol_name(const json_t *trace, const json_t *object)
{
	return json_text(indexed(trace, "symbols", object, "symbol"), "name");
}

/* The call that is asked for, or NULL, having complained. */
const json_t *xray_find_call(const json_t *trace, const char *which)
{
	const json_t *calls = json_object_get(trace, "calls");
	json_t *call;
	size_t i;

	if (!which)
		return json_array_get(calls, json_array_size(calls) - 1);
	json_array_foreach(calls, i, call)
		if (!strcmp(json_text(call, "which"), which))
			return call;
	p_err("'%s' has no call '%s'; there are unprobed, cold and steady",
	      json_text(trace, "mechanism"), which);
	return NULL;
}

void xray_print_title(const json_t *trace, const json_t *call)
{
	const json_t *bench = json_object_get(trace, "bench");

	printf("%s", json_text(trace, "mechanism"));
	if (json_is_string(json_object_get(trace, "handler")))
		printf(", handler %s", json_text(trace, "handler"));
	printf(", at %s, Linux %s: the %s call\n", json_text(trace, "site"),
	       json_text(trace, "kernel"), json_text(call, "which"));
	printf("%lld instructions, %lld reads and %lld writes of memory",
	       (long long)json_count(call, "instructions"), (long long)json_count(call, "reads"),
	       (long long)json_count(call, "writes"));
	if (json_is_integer(bench) && strcmp(json_text(trace, "kind"), "base"))
		printf("; %lld above the unprobed call's %lld (ktramp bench: %lld)",
		       (long long)(json_count(call, "instructions") - json_count(trace, "call")),
		       (long long)json_count(trace, "call"), (long long)json_integer_value(bench));
	printf("\n\n");
}

/* ---- the tree ---- */

static const char *event_name(const json_t *call, json_int_t at)
{
	json_t *event;
	size_t i;

	json_array_foreach(json_object_get(call, "events"), i, event)
		if (json_count(event, "at") == at && *json_text(event, "name"))
			return json_text(event, "name");
	return "";
}

/* How control came there, where that is not a call. */
static void how_text(const json_t *call, const json_t *node, char *buf, size_t size)
{
	const char *how = json_text(node, "how");

	if (!strcmp(how, "jump"))
		snprintf(buf, size, "-> ");
	else if (!strcmp(how, "iret"))
		snprintf(buf, size, "iret -> ");
	else if (!strcmp(how, "exception") || !strcmp(how, "interrupt"))
		snprintf(buf, size, "%s ", event_name(call, json_count(node, "first")));
	else
		*buf = '\0';
}

int xray_print_tree(const json_t *trace, const json_t *call)
{
	json_t *node;
	size_t i;

	if (!out_json)
		printf("%6s %6s  %s\n", "OWN", "TOTAL", "FUNCTION");
	json_array_foreach(json_object_get(call, "nodes"), i, node) {
		const json_t *symbol = indexed(trace, "symbols", node, "symbol");
		const char *module = json_text(symbol, "module");
		char how[80];

		if (out_json) {
			json_t *line = json_deep_copy(node);
			int err;

			json_object_set_new(line, "type", json_string("node"));
			json_object_set_new(line, "name", json_string(json_text(symbol, "name")));
			err = out_line(stdout, line);
			if (err)
				return err;
			continue;
		}
		how_text(call, node, how, sizeof(how));
		printf("%6lld %6lld  %*s", (long long)json_count(node, "own"),
		       (long long)json_count(node, "total"),
		       2 * (int)(json_count(node, "depth") % 100), "");
		printf("%s%s%s%s%s\n", how, json_text(symbol, "name"), *module ? " [" : "", module,
		       *module ? "]" : "");
	}
	return 0;
}

/* ---- functions ---- */

struct sum {
	const json_t *symbol;
	const char *name;
	json_int_t own;
	json_int_t total;
	json_int_t other;	/* own, in what it is compared with */
};

struct sums {
	struct sum *sum;
	size_t nr;
};

static bool is_nested(const json_t *call, const json_t *node)
{
	const json_t *nodes = json_object_get(call, "nodes");
	json_int_t symbol = json_count(node, "symbol");
	size_t depth = json_array_size(nodes);

	for (const json_t *at = node; depth-- && json_is_integer(json_object_get(at, "parent"));) {
		at = json_array_get(nodes, json_count(at, "parent"));
		if (json_count(at, "symbol") == symbol)
			return true;
	}
	return false;
}

static int sum_up(const json_t *trace, const json_t *call, struct sums *sums)
{
	const json_t *symbols = json_object_get(trace, "symbols");
	json_t *node;
	size_t i;

	*sums = (struct sums){ .nr = json_array_size(symbols) };
	sums->sum = calloc(sums->nr + 1, sizeof(*sums->sum));
	if (!sums->sum) {
		p_err("cannot sum up the functions: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	for (i = 0; i < sums->nr; i++) {
		sums->sum[i].symbol = json_array_get(symbols, i);
		sums->sum[i].name = json_text(sums->sum[i].symbol, "name");
	}
	json_array_foreach(json_object_get(call, "nodes"), i, node) {
		size_t symbol = json_count(node, "symbol");

		if (symbol >= sums->nr)
			continue;
		sums->sum[symbol].own += json_count(node, "own");
		if (!is_nested(call, node))
			sums->sum[symbol].total += json_count(node, "total");
	}
	return 0;
}

static int by_own(const void *a, const void *b)
{
	const struct sum *x = a, *y = b;

	if (x->own != y->own)
		return x->own > y->own ? -1 : 1;
	return strcmp(x->name, y->name);
}

int xray_print_flat(const json_t *trace, const json_t *call)
{
	struct sums sums;
	struct table table;
	int err = sum_up(trace, call, &sums);

	if (err)
		return err;
	qsort(sums.sum, sums.nr, sizeof(*sums.sum), by_own);
	table_init(&table, 4, 0x3);
	table_add(&table, "OWN\tTOTAL\tFUNCTION\tMODULE");
	for (size_t i = 0; i < sums.nr && !err; i++) {
		const struct sum *sum = &sums.sum[i];
		const char *module = json_text(sum->symbol, "module");

		if (!sum->total)
			continue;
		if (out_json)
			err = out_line(stdout, json_pack("{s:s, s:s, s:o, s:I, s:I}",
					"type", "function",
					"name", sum->name,
					"module", *module ? json_string(module) : json_null(),
					"own", sum->own,
					"total", sum->total));
		else
			table_add(&table, "%lld\t%lld\t%s\t%s", (long long)sum->own,
				  (long long)sum->total, sum->name, *module ? module : "-");
	}
	if (!out_json && !err)
		err = table_print(&table);
	table_deinit(&table);
	free(sums.sum);
	return err;
}

/* ---- what one has more than the other ---- */

static int by_difference(const void *a, const void *b)
{
	const struct sum *x = a, *y = b;
	json_int_t dx = x->other - x->own, dy = y->other - y->own;

	if (llabs(dx) != llabs(dy))
		return llabs(dx) > llabs(dy) ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* Functions are the same when their names are: addresses differ between kernels. */
static int merge(struct sums *a, const struct sums *b)
{
	struct sum *grown = reallocarray(a->sum, a->nr + b->nr + 1, sizeof(*grown));

	if (!grown) {
		p_err("cannot compare the functions: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	a->sum = grown;
	for (size_t i = 0; i < b->nr; i++) {
		size_t j = 0;

		while (j < a->nr && strcmp(a->sum[j].name, b->sum[i].name))
			j++;
		if (j == a->nr)
			a->sum[a->nr++] = (struct sum){
				.symbol = b->sum[i].symbol, .name = b->sum[i].name,
			};
		a->sum[j].other += b->sum[i].own;
	}
	return 0;
}

static int print_differences(const struct sums *sums)
{
	json_int_t own = 0, other = 0;
	struct table table;
	int err = 0;

	table_init(&table, 4, 0x7);
	table_add(&table, "MORE\tA\tB\tFUNCTION");
	for (size_t i = 0; i < sums->nr && !err; i++) {
		const struct sum *sum = &sums->sum[i];

		own += sum->own;
		other += sum->other;
		if (!sum->own && !sum->other)
			continue;
		if (out_json)
			err = out_line(stdout, json_pack("{s:s, s:s, s:I, s:I, s:I}",
					"type", "difference",
					"name", sum->name,
					"a", sum->own,
					"b", sum->other,
					"more", sum->other - sum->own));
		else
			table_add(&table, "%+lld\t%lld\t%lld\t%s",
				  (long long)(sum->other - sum->own), (long long)sum->own,
				  (long long)sum->other, sum->name);
	}
	table_add(&table, "%+lld\t%lld\t%lld\tall", (long long)(other - own), (long long)own,
		  (long long)other);
	if (!out_json && !err)
		err = table_print(&table);
	table_deinit(&table);
	return err;
}

int xray_print_diff(const json_t *a, const json_t *call_a, const json_t *b, const json_t *call_b)
{
	struct sums sums_a, sums_b;
	int err = sum_up(a, call_a, &sums_a);

	if (err)
		return err;
	err = sum_up(b, call_b, &sums_b);
	if (!err)
		err = merge(&sums_a, &sums_b);
	if (!err) {
		qsort(sums_a.sum, sums_a.nr, sizeof(*sums_a.sum), by_difference);
		err = print_differences(&sums_a);
	}
	free(sums_a.sum);
	free(sums_b.sum);
	return err;
}

/* ---- every instruction ---- */

static void print_frame(const json_t *frame)
{
	if (!json_is_object(frame))
		return;
	printf(", frame at %s: rip %s (%s), rflags %s", json_text(frame, "address"),
	       json_text(frame, "rip"), json_text(frame, "rip_symbol"),
	       json_text(frame, "rflags"));
	if (strtoull(json_text(frame, "rflags"), NULL, 16) & 0x100)
		printf(" (TF)");
}

/* The events in front of a step; they are in time. */
static void print_events(const json_t *call, size_t step, size_t *next)
{
	const json_t *events = json_object_get(call, "events");

	for (; *next < json_array_size(events); ++*next) {
		const json_t *event = json_array_get(events, *next);

		if ((size_t)json_count(event, "at") > step)
			return;
		printf("       ---- %s", *json_text(event, "name") ? json_text(event, "name") :
		       json_text(event, "what"));
		print_frame(json_object_get(event, "frame"));
		printf("\n");
	}
}

static int listing_width(const json_t *trace, const json_t *call, bool bytes)
{
	json_t *step;
	size_t i;
	int width = 0;

	json_array_foreach(json_object_get(call, "steps"), i, step) {
		const json_t *insn = json_array_get(json_object_get(trace, "insns"),
						    json_integer_value(step));
		int length = bytes ? (int)strlen(json_text(insn, "bytes")) :
			snprintf(NULL, 0, "%s+0x%llx", symbol_name(trace, insn),
				 (long long)json_count(insn, "offset"));

		width = MAX(width, MIN(length, 60));
	}
	return width;
}

/* What a step left in registers, by name; they are in time. */
static json_t *changes_of(const json_t *call, size_t step, size_t *next)
{
	const json_t *registers = json_object_get(call, "registers");
	json_t *found = json_object();

	for (; *next < json_array_size(registers); ++*next) {
		json_t *change = json_array_get(registers, *next);

		if ((size_t)json_count(change, "at") > step)
			break;
		if ((size_t)json_count(change, "at") == step)
			json_object_set(found, json_text(change, "name"),
					json_object_get(change, "value"));
	}
	return found;
}

static void print_changes(json_t *changes)
{
	const char *name, *between = "  ";
	json_t *value;

	json_object_foreach(changes, name, value) {
		printf("%s%s=%s", between, name, json_string_value(value) ?: "");
		between = " ";
	}
}

int xray_print_listing(const json_t *trace, const json_t *call, bool registers)
{
	int place_width = listing_width(trace, call, false);
	int bytes_width = listing_width(trace, call, true);
	size_t i, next_event = 0, next_change = 0;
	json_t *step;

	json_array_foreach(json_object_get(call, "steps"), i, step) {
		const json_t *insn = json_array_get(json_object_get(trace, "insns"),
						    json_integer_value(step));
		json_t *changes __cleanup(free_json) = NULL;
		char place[192];

		snprintf(place, sizeof(place), "%s+0x%llx", symbol_name(trace, insn),
			 (long long)json_count(insn, "offset"));
		if (registers)
			changes = changes_of(call, i, &next_change);
		if (out_json) {
			json_t *line = json_deep_copy(insn);
			int err;

			json_object_set_new(line, "type", json_string("step"));
			json_object_set_new(line, "step", json_integer(i));
			json_object_set_new(line, "place", json_string(place));
			if (registers)
				json_object_set(line, "registers", changes);
			err = out_line(stdout, line);
			if (err)
				return err;
			continue;
		}
		print_events(call, i, &next_event);
		printf("%6zu %-*s  %-*s  %s", i, place_width, place, bytes_width,
		       json_text(insn, "bytes"), json_text(insn, "text"));
		printf("%s%s", *json_text(insn, "note") ? "  " : "", json_text(insn, "note"));
		if (registers)
			print_changes(changes);
		printf("\n");
	}
	return 0;
}
