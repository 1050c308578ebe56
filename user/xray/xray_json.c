// SPDX-License-Identifier: GPL-2.0-only
/* Calls and their trees as JSON; Documentation/xray.rst is the contract. */
#include <stdlib.h>
#include <string.h>

#include "xray/xray.h"

static const char *const func_kinds[] = {
	[FUNC_KERNEL]	 = "kernel",
	[FUNC_TARGET]	 = "target",
	[FUNC_SLOT]	 = "slot",
	[FUNC_DETOUR]	 = "detour",
	[FUNC_HANDLER]	 = "handler",
	[FUNC_KTRAMP]	 = "ktramp",
	[FUNC_GENERATED] = "generated",
	[FUNC_ENTRY]	 = "entry",
};

static const char *const hows[] = {
	[NODE_CALL]	 = "call",
	[NODE_JUMP]	 = "jump",
	[NODE_EXCEPTION] = "exception",
	[NODE_INTERRUPT] = "interrupt",
	[NODE_IRET]	 = "iret",
};

static const char *const event_kinds[] = {
	[EVENT_EXCEPTION] = "exception",
	[EVENT_INTERRUPT] = "interrupt",
	[EVENT_IRET]	  = "iret",
};

static json_t *text_or_null(const char *text)
{
	return *text ? json_string(text) : json_null();
}

json_t *xray_symbols_json(const struct xray_calls *calls)
{
	json_t *list = json_array();

	for (size_t i = 0; i < calls->nr_funcs; i++) {
		const struct func *func = &calls->func[i];

		json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:s}",
			"name", func->name,
			"module", text_or_null(func->module),
			"address", json_address(func->start),
			"kind", func_kinds[func->kind]));
	}
	return list;
}

json_t *xray_insns_json(const struct xray_calls *calls)
{
	json_t *list = json_array();

	for (size_t i = 0; i < calls->nr_insns; i++) {
		const struct tree_insn *insn = &calls->insn[i];

		json_array_append_new(list, json_pack("{s:o, s:I, s:I, s:o, s:s, s:o}",
			"address", json_address(insn->insn->address),
			"symbol", (json_int_t)insn->func,
			"offset", (json_int_t)(insn->insn->address - calls->func[insn->func].start),
			"bytes", json_hex(insn->insn->bytes, insn->insn->size),
			"text", insn->text,
			"note", text_or_null(insn->note)));
	}
	return list;
}

static json_t *frame_json(const struct xray_calls *calls, const struct event *event)
{
	const uint64_t *frame = event->frame;
	const struct func *func = NULL;
	char name[160];

	if (!event->has_frame)
		return json_null();
	/* Slots and detours have no symbol of their own. */
	for (size_t i = 0; i < calls->nr_funcs; i++)
		if (frame[0] >= calls->func[i].start && frame[0] < calls->func[i].end)
			func = &calls->func[i];
	if (func)
		snprintf(name, sizeof(name), "%s+0x%llx", func->name,
			 (unsigned long long)(frame[0] - func->start));
	else
		symbols_print(calls->symbols, frame[0], name, sizeof(name));
	return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:o}",
			 "address", json_address(event->address),
			 "rip", json_address(frame[0]),
			 "rip_symbol", name,
			 "cs", json_address(frame[1]),
			 "rflags", json_address(frame[2]),
			 "rsp", json_address(frame[3]),
			 "ss", json_address(frame[4]));
}

static json_t *events_json(const struct xray_calls *calls, const struct call_tree *tree)
{
	json_t *list = json_array();

	for (size_t i = 0; i < tree->nr_events; i++) {
		const struct event *event = &tree->event[i];

		json_array_append_new(list, json_pack("{s:I, s:s, s:o, s:I, s:o}",
			"at", (json_int_t)event->at,
			"what", event_kinds[event->what],
			"name", text_or_null(event->name),
			"from", (json_int_t)event->at - 1,
			"frame", frame_json(calls, event)));
	}
	return list;
}

static json_t *nodes_json(const struct call_tree *tree)
{
	json_t *list = json_array();

	for (size_t i = 0; i < tree->nr_nodes; i++) {
		const struct node *node = &tree->node[i];

		json_array_append_new(list, json_pack("{s:I, s:o, s:I, s:s, s:I, s:I, s:I, s:I}",
			"symbol", (json_int_t)node->func,
			"parent", node->parent < 0 ? json_null() : json_integer(node->parent),
			"depth", (json_int_t)node->depth,
			"how", hows[node->how],
			"first", (json_int_t)node->first,
			"end", (json_int_t)node->end,
			"own", (json_int_t)node->own,
			"total", (json_int_t)(node->end - node->first)));
	}
	return list;
}

static json_t *registers_json(const struct xray_calls *calls, const struct hit *hit)
{
	json_t *list;

	if (!calls->trace->has_registers)
		return json_null();
	list = json_array();
	for (size_t i = 0; i < hit->nr_changes; i++)
		json_array_append_new(list, json_pack("{s:I, s:s, s:o}",
			"at", (json_int_t)hit->change[i].step,
			"name", register_name(hit->change[i].reg),
			"value", json_sprintf("0x%llx",
					      (unsigned long long)hit->change[i].value)));
	return list;
}

static json_t *phases_json(const struct call_tree *tree)
{
	json_t *list = json_array();

	for (size_t i = 0; i < tree->nr_phases; i++)
		json_array_append_new(list, json_pack("{s:I, s:I, s:s, s:s}",
			"at", (json_int_t)tree->phase[i].at,
			"end", (json_int_t)tree->phase[i].end,
			"phase", tree->phase[i].phase,
			"name", tree->phase[i].name));
	return list;
}

static json_t *call_json(const struct xray_calls *calls, const struct call_tree *tree)
{
	const struct hit *hit = tree->hit;
	json_int_t reads = 0, writes = 0;
	json_t *steps = json_array();

	for (size_t i = 0; i < hit->nr; i++) {
		json_array_append_new(steps, json_integer(calls->insn_of[hit->step[i].insn] - 1));
		reads += hit->step[i].reads;
		writes += hit->step[i].writes;
	}
	return json_pack("{s:s, s:I, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o}",
			 "which", tree->which,
			 "instructions", (json_int_t)hit->nr,
			 "hit", tree->hit_first == tree->hit_end ? json_null() :
				json_pack("[I, I]", (json_int_t)tree->hit_first,
					  (json_int_t)tree->hit_end),
			 "reads", reads,
			 "writes", writes,
			 "steps", steps,
			 "nodes", nodes_json(tree),
			 "events", events_json(calls, tree),
			 "phases", phases_json(tree),
			 "registers", registers_json(calls, hit));
}

json_t *xray_calls_json(const struct xray_calls *calls)
{
	json_t *list = json_array();

	for (size_t i = 0; i < calls->nr_calls; i++)
		json_array_append_new(list, call_json(calls, &calls->call[i]));
	return list;
}

json_t *xray_exceptions_json(const struct call_tree *tree)
{
	json_t *object = json_object();

	for (size_t i = 0; i < tree->nr_events; i++) {
		const struct event *event = &tree->event[i];
		json_int_t before;

		if (event->what == EVENT_IRET)
			continue;
		before = json_integer_value(json_object_get(object, event->name));
		json_object_set_new(object, event->name, json_integer(before + 1));
	}
	return object;
}

/* ---- functions ---- */

struct sum {
	unsigned int func;
	json_int_t own;
	json_int_t total;
};

static int by_own(const void *a, const void *b)
{
	const struct sum *x = a, *y = b;

	if (x->own != y->own)
		return x->own > y->own ? -1 : 1;
	if (x->total != y->total)
		return x->total > y->total ? -1 : 1;
	return x->func < y->func ? -1 : x->func > y->func;
}

/* A function that is called by itself has run once. */
static bool is_nested(const struct call_tree *tree, const struct node *node)
{
	for (int at = node->parent; at >= 0; at = tree->node[at].parent)
		if (tree->node[at].func == node->func)
			return true;
	return false;
}

json_t *xray_functions_json(const struct xray_calls *calls, const struct call_tree *tree)
{
	struct sum *sums = calloc(calls->nr_funcs + 1, sizeof(*sums));
	json_t *list = sums ? json_array() : NULL;

	if (!list)
		return NULL;
	for (size_t i = 0; i < calls->nr_funcs; i++)
		sums[i].func = i;
	for (size_t i = 0; i < tree->nr_nodes; i++) {
		const struct node *node = &tree->node[i];

		sums[node->func].own += node->own;
		if (!is_nested(tree, node))
			sums[node->func].total += node->end - node->first;
	}
	qsort(sums, calls->nr_funcs, sizeof(*sums), by_own);
	for (size_t i = 0; i < calls->nr_funcs; i++) {
		const struct func *func = &calls->func[sums[i].func];

		if (sums[i].total)
			json_array_append_new(list, json_pack("{s:s, s:o, s:I, s:I}",
				"name", func->name,
				"module", text_or_null(func->module),
				"own", sums[i].own,
				"total", sums[i].total));
	}
	free(sums);
	return list;
}
