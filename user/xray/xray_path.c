// SPDX-License-Identifier: GPL-2.0-only
/*
 * The functions that a hit of our own mechanisms runs through, and whether the module would
 * probe them: computed from traces, to be compared with what it refuses.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xray/xray.h"

/*
 * What a program calls, and the RCU reader around it, finds the program running on this task if
 * it is hit, and is counted as recursion: a detour that is made for a program which calls
 * something has that guard, too. What follows the program is behind it: where preemption is due,
 * preempt_enable() calls the scheduler.
 */
static bool is_guarded(const struct xray_calls *calls, const struct call_tree *tree, size_t node)
{
	const struct func *last = NULL;

	for (int at = node; at >= 0; at = tree->node[at].parent) {
		const struct func *func = &calls->func[tree->node[at].func];

		if (func->kind == FUNC_HANDLER && !strncmp(func->name, "ktramp_handle_bpf", 17))
			return last && strncmp(last->name, "preempt_schedule", 16);
		if (func->kind == FUNC_HANDLER && last && !strncmp(func->name, "bpf_prog_", 9))
			return true;
		last = func;
	}
	return false;
}

/* Where in the hit a step is, or NULL: it is not on the way to the handler and back. */
static const char *context_of(const struct xray_calls *calls, const struct call_tree *tree,
			      size_t node, const bool *reached)
{
	enum func_kind kind = calls->func[tree->node[node].func].kind;

	if (kind == FUNC_SLOT || kind == FUNC_DETOUR)
		return NULL;
	for (int at = node; at >= 0; at = tree->node[at].parent) {
		const struct node *above = &tree->node[at];

		if (above->how == NODE_EXCEPTION) {
			const char *entry = calls->func[above->func].name;

			if (!strcmp(entry, "asm_exc_int3"))
				return reached[at] ? "#BP behind" : "#BP before";
			if (!strcmp(entry, "asm_exc_debug"))
				return reached[at] ? "#DB behind" : "#DB before";
			return NULL;
		}
		/* It is not ours that runs in an interrupt, but may hit what is. */
		if (above->how == NODE_INTERRUPT)
			return NULL;
		if (calls->func[above->func].kind == FUNC_DETOUR)
			return is_guarded(calls, tree, node) ? "program" : "detour";
	}
	/* Not on the way either, but to compare with: this one is probed. */
	return kind == FUNC_TARGET ? "target" : NULL;
}

static int add_name(json_t *set, const char *name)
{
	json_t *known;
	size_t i;

	json_array_foreach(set, i, known)
		if (!strcmp(json_string_value(known), name))
			return 0;
	return json_array_append_new(set, json_string(name));
}

static json_t *entry_of(json_t *path, const struct func *func)
{
	json_t *entry = json_object_get(path, func->name);

	if (entry)
		return entry;
	entry = json_pack("{s:s, s:[], s:[], s:{}}", "module", func->module, "contexts",
			  "mechanisms", "addresses");
	json_object_set_new(path, func->name, entry);
	return entry;
}

static int add_step(json_t *path, const struct xray_calls *calls, const struct tree_insn *insn,
		    const char *context, const char *mechanism)
{
	json_t *entry = entry_of(path, &calls->func[insn->func]);
	char address[32];

	snprintf(address, sizeof(address), "0x%016llx", (unsigned long long)insn->insn->address);
	if (!entry || add_name(json_object_get(entry, "contexts"), context) ||
	    add_name(json_object_get(entry, "mechanisms"), mechanism) ||
	    json_object_set_new(json_object_get(entry, "addresses"), address, json_true()))
		return -ENOMEM;
	return 0;
}

/* Marks the exceptions in which the module's own code has run by now. */
static void mark_reached(const struct xray_calls *calls, const struct call_tree *tree, size_t node,
			 bool *reached)
{
	enum func_kind kind = calls->func[tree->node[node].func].kind;

	if (kind != FUNC_KTRAMP && kind != FUNC_HANDLER)
		return;
	for (int at = node; at >= 0; at = tree->node[at].parent)
		reached[at] = true;
}

/**
 * path_add() - add the functions of one call
 * @path: (in/out) object by function: module, contexts, mechanisms, addresses
 * @calls: of a mechanism of ours
 * @tree: one of them
 * @mechanism: its name
 *
 * Return: 0 or -ENOMEM.
 */
int path_add(json_t *path, const struct xray_calls *calls, const struct call_tree *tree,
	     const char *mechanism)
{
	bool *reached = calloc(tree->nr_nodes + 1, sizeof(*reached));
	size_t node = 0;
	int err = reached ? 0 : -ENOMEM;

	for (size_t i = 0, next = 1; i < tree->hit->nr && !err; i++) {
		const char *context;

		while (i >= tree->node[node].end)
			node = tree->node[node].parent;
		while (next < tree->nr_nodes && tree->node[next].first == i)
			node = next++;
		mark_reached(calls, tree, node, reached);
		context = context_of(calls, tree, node, reached);
		if (context)
			err = add_step(path, calls,
				       &calls->insn[calls->insn_of[tree->hit->step[i].insn] - 1],
				       context, mechanism);
	}
	free(reached);
	return err;
}

/* A refusal that is about the function, or that there is none, whatever the instruction. */
static bool is_of_function(const char *reason)
{
	return !strcmp(reason, reason_name(KTRAMP_R_RECURSION)) ||
	       !strcmp(reason, reason_name(KTRAMP_R_BLACKLIST)) ||
	       !strcmp(reason, reason_name(KTRAMP_R_UNSERVED)) ||
	       !strcmp(reason, reason_name(KTRAMP_R_NOT_TEXT));
}

/**
 * path_line() - one function of the path as a line of xray.jsonl
 * @name: the function
 * @entry: its entry in the path
 * @admissions: what the module said, by address
 *
 * Return: the fields that are about the function, or NULL.
 */
json_t *path_line(const char *name, const json_t *entry, const json_t *admissions)
{
	json_t *accepted = json_array(), *value, *mechanism;
	const char *refused = NULL, *module, *address;
	size_t i, asked = 0;

	json_object_foreach(json_object_get(entry, "addresses"), address, value) {
		const json_t *said = json_object_get(admissions, address);
		const char *reason = json_string_value(json_object_get(said, "refused"));

		asked += !!said;
		if (reason && is_of_function(reason))
			refused = reason;
		json_array_foreach(json_object_get(said, "accepted"), i, mechanism)
			add_name(accepted, json_string_value(mechanism));
	}
	module = json_string_value(json_object_get(entry, "module"));
	return json_pack("{s:s, s:s, s:o, s:O, s:O, s:I, s:I, s:o, s:o}",
			 "type", "path",
			 "function", name,
			 "module", module && *module ? json_string(module) : json_null(),
			 "contexts", json_object_get(entry, "contexts"),
			 "mechanisms", json_object_get(entry, "mechanisms"),
			 "instructions", (json_int_t)json_object_size(json_object_get(entry,
										"addresses")),
			 "asked", (json_int_t)asked,
			 "refused", refused ? json_string(refused) : json_null(),
			 "accepted", accepted);
}
