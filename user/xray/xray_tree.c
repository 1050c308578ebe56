// SPDX-License-Identifier: GPL-2.0-only
/*
 * A sequence of instructions to a tree of calls.
 *
 * Nothing says who called whom but the instructions themselves. A call pushes a return
 * address; the one that reads that place of the stack again ends it, whatever happened in
 * between: return thunks, retpolines and stack switches all come out right, because the
 * place decides and not the count of calls and returns. What breaks the sequence without
 * being a branch is an exception or an interrupt, and iret ends it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xray/xray.h"

#define DEPTH_MAX	256

/* An activation: of a function by a call, or of an entry by an exception. */
struct frame {
	size_t below;		/* node that it interrupted or was called by */
	bool exception;
	uint64_t slot;		/* (call) where the return address is */
	uint64_t back;		/* (call) where it returns to */
};

struct walk {
	struct xray_calls *calls;
	struct call_tree *tree;
	const struct hit *hit;
	unsigned int depth;
	struct frame frame[DEPTH_MAX];
	size_t now;		/* node */
};

/* ---- functions and instructions ---- */

static bool starts(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static bool is_entry(const char *name)
{
	return starts(name, "asm_exc_") || starts(name, "asm_sysvec_") ||
	       starts(name, "asm_common_interrupt") || starts(name, "asm_spurious_interrupt") ||
	       starts(name, "irq_entries_start") || starts(name, "spurious_entries_start");
}

/* The module's own handlers, and what runs as one: a BPF program. */
static bool is_handler(const struct symbol *symbol)
{
	if (symbol->generated)
		return starts(symbol->name, "bpf_prog_");
	if (!symbol->module || strcmp(symbol->module, "ktramp"))
		return false;
	return starts(symbol->name, "ktramp_handle_") || strstr(symbol->name, "_count") ||
	       strstr(symbol->name, "_regs");
}

static enum func_kind kind_of(const struct symbol *symbol)
{
	if (is_handler(symbol))
		return FUNC_HANDLER;
	if (symbol->generated)
		return FUNC_GENERATED;
	if (symbol->module && !strcmp(symbol->module, "ktramp"))
		return FUNC_KTRAMP;
	return is_entry(symbol->name) ? FUNC_ENTRY : FUNC_KERNEL;
}

/* Of the probe's code out of line: which, or -1. */
static int find_own(const struct xray_calls *calls, uint64_t address)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls->own_code); i++)
		if (address >= calls->own_code[i].start && address < calls->own_code[i].end)
			return i;
	return -1;
}

static const char *own_name(uint32_t part)
{
	switch (part) {
	case KTRAMP_CODE_SLOT:
		return "slot";
	case KTRAMP_CODE_SPRINGBOARD:
		return "springboard";
	default:
		return "detour";
	}
}

static void describe(struct func *func, const struct xray_calls *calls, uint64_t address)
{
	int own = find_own(calls, address);
	const struct symbol *symbol;

	*func = (struct func){ .start = address, .end = address + 1 };
	if (own >= 0) {
		uint32_t part = calls->own_code[own].part;

		func->start = calls->own_code[own].start;
		func->end = calls->own_code[own].end;
		/* A springboard is the detour's first jump. */
		func->kind = part == KTRAMP_CODE_SLOT ? FUNC_SLOT : FUNC_DETOUR;
		snprintf(func->name, sizeof(func->name), "%s", own_name(part));
		snprintf(func->module, sizeof(func->module), "ktramp");
		return;
	}
	symbol = symbols_find(calls->symbols, address);
	if (!symbol) {
		func->kind = FUNC_GENERATED;
		symbols_print(calls->symbols, address, func->name, sizeof(func->name));
		return;
	}
	func->start = symbol->start;
	func->end = symbol->end;
	func->kind = kind_of(symbol);
	snprintf(func->name, sizeof(func->name), "%s", symbol->name);
	snprintf(func->module, sizeof(func->module), "%s", symbol->module ?: "");
}

static int func_at(struct xray_calls *calls, uint64_t address, unsigned int *index)
{
	int own = find_own(calls, address);
	struct func *func;

	for (size_t i = 0; i < calls->nr_funcs; i++) {
		if (address < calls->func[i].start || address >= calls->func[i].end)
			continue;
		/* A springboard is in some function's padding. */
		if (own >= 0 && calls->func[i].start != calls->own_code[own].start)
			continue;
		*index = i;
		return 0;
	}
	func = array_more(calls->func, calls->nr_funcs);
	if (!func)
		return -ENOMEM;
	describe(func, calls, address);
	*index = calls->nr_funcs++;
	return 0;
}

static void disassemble(struct xray_calls *calls, struct tree_insn *to)
{
	/* Too large for the stack. */
	static struct listing listing;
	const struct trace_insn *insn = to->insn;
	const struct insn_line *line = &listing.lines[0];
	char name[160];

	listing.address = insn->address;
	listing.length = insn->size;
	listing.nr = 0;
	memcpy(listing.code, insn->bytes, insn->size);
	disasm_range(calls->disasm, &listing, 0, insn->size, ORIGIN_KERNEL);
	snprintf(to->text, sizeof(to->text), "%s", line->text);
	to->flow = line->flow;
	if (line->target)
		snprintf(to->note, sizeof(to->note), "%s %s", line->branch ? "->" : "#",
			 symbols_print(calls->symbols, line->target, name, sizeof(name)));
}

static int insn_at(struct xray_calls *calls, uint32_t traced, uint32_t *index)
{
	struct tree_insn *insn;
	int err;

	if (calls->insn_of[traced]) {
		*index = calls->insn_of[traced] - 1;
		return 0;
	}
	insn = array_more(calls->insn, calls->nr_insns);
	if (!insn)
		return -ENOMEM;
	insn->insn = &calls->trace->insn[traced];
	err = func_at(calls, insn->insn->address, &insn->func);
	if (err)
		return err;
	disassemble(calls, insn);
	*index = calls->nr_insns++;
	calls->insn_of[traced] = calls->nr_insns;
	return 0;
}

static const struct tree_insn *insn_of_step(const struct walk *w, size_t i)
{
	return &w->calls->insn[w->calls->insn_of[w->hit->step[i].insn] - 1];
}

/* ---- nodes ---- */

static struct node *node_now(struct walk *w)
{
	return &w->tree->node[w->now];
}

static int push_node(struct walk *w, size_t step, unsigned int func, enum node_how how)
{
	struct call_tree *tree = w->tree;
	bool is_root = !tree->nr_nodes;
	struct node *node = array_more(tree->node, tree->nr_nodes);

	if (!node)
		return -ENOMEM;
	*node = (struct node){
		.func = func, .parent = is_root ? -1 : (int)w->now, .how = how, .first = step,
		.depth = is_root ? 0 : node_now(w)->depth + 1, .now = func,
		.frame = w->depth - 1,
	};
	w->now = tree->nr_nodes++;
	return 0;
}

/* Ends nodes down to, and without, @node. */
static void pop_to(struct walk *w, size_t step, size_t node)
{
	while (w->now != node) {
		node_now(w)->end = step;
		w->now = node_now(w)->parent;
	}
}

static int push_frame(struct walk *w, struct frame new, size_t step, unsigned int func,
		      enum node_how how)
{
	if (w->depth == DEPTH_MAX)
		return -E2BIG;
	new.below = w->now;
	w->frame[w->depth++] = new;
	return push_node(w, step, func, how);
}

/* Without a call: to a function that is under way in this frame, or to a new one. */
static int jump(struct walk *w, size_t step, unsigned int func, enum node_how how)
{
	size_t at = w->now;

	for (;;) {
		const struct node *node = &w->tree->node[at];

		if (node->frame != w->depth - 1)
			break;
		if (node->func == func || node->now == func) {
			pop_to(w, step, at);
			return 0;
		}
		if (node->parent < 0)
			break;
		at = node->parent;
	}
	return push_node(w, step, func, how);
}

static void pop_frame(struct walk *w, size_t step)
{
	pop_to(w, step, w->frame[--w->depth].below);
}

/* The innermost call that a return ends, or 0: beyond an exception there is none. */
static unsigned int find_returned(const struct walk *w, uint64_t slot, uint64_t address)
{
	unsigned int frame;

	/* The first frame is the target's, whose caller is not in the trace. */
	for (frame = w->depth; frame > 1 && !w->frame[frame - 1].exception; frame--)
		if (w->frame[frame - 1].slot == slot)
			return frame;
	/* error_entry() moves its return address, to make room for registers. */
	for (frame = w->depth; frame > 1 && !w->frame[frame - 1].exception; frame--)
		if (w->frame[frame - 1].back == address)
			return frame;
	return 0;
}

/* Reading the place of a return address ends its call, and those in it. */
static int do_return(struct walk *w, size_t step, uint64_t slot, uint64_t address,
		     unsigned int func)
{
	unsigned int frame = find_returned(w, slot, address);

	if (!frame)
		return jump(w, step, func, NODE_JUMP);
	while (w->depth >= frame)
		pop_frame(w, step);
	/* Somebody may have put another address there. */
	return w->frame[w->depth].back == address ? 0 : jump(w, step, func, NODE_JUMP);
}

/* ---- exceptions ---- */

static const struct {
	const char *symbol;
	const char *name;
	bool code;	/* the CPU pushes an error code */
} exceptions[] = {
	{ "asm_exc_divide_error", "#DE", false },
	{ "asm_exc_debug", "#DB", false },
	{ "asm_exc_nmi", "NMI", false },
	{ "asm_exc_int3", "#BP", false },
	{ "asm_exc_overflow", "#OF", false },
	{ "asm_exc_bounds", "#BR", false },
	{ "asm_exc_invalid_op", "#UD", false },
	{ "asm_exc_device_not_available", "#NM", false },
	{ "asm_exc_double_fault", "#DF", true },
	{ "asm_exc_invalid_tss", "#TS", true },
	{ "asm_exc_segment_not_present", "#NP", true },
	{ "asm_exc_stack_segment", "#SS", true },
	{ "asm_exc_general_protection", "#GP", true },
	{ "asm_exc_page_fault", "#PF", true },
	{ "asm_exc_coprocessor_error", "#MF", false },
	{ "asm_exc_alignment_check", "#AC", true },
	{ "asm_exc_machine_check", "#MC", false },
	{ "asm_exc_simd_coprocessor_error", "#XM", false },
	{ "asm_exc_control_protection", "#CP", true },
};

/*
 * The frame lies above what the entry pushed first: a word in place of an error code, or,
 * behind a real one, a return address.
 */
static void find_frame(const struct walk *w, size_t step, bool code, struct event *event)
{
	for (size_t i = step; i < w->hit->nr && i < step + 5; i++) {
		const struct step *s = &w->hit->step[i];
		const uint64_t *frame = &s->word[code ? 2 : 1];

		if (!s->at)
			continue;
		/* CS of the kernel or of a process. */
		if (frame[1] != 0x10 && frame[1] != 0x33 && frame[1] != 0x23)
			return;
		memcpy(event->frame, frame, sizeof(event->frame));
		event->address = s->at + (code ? 16 : 8);
		event->has_frame = true;
		return;
	}
}

static struct event *add_event(struct walk *w)
{
	struct call_tree *tree = w->tree;
	struct event *event = array_more(tree->event, tree->nr_events);

	tree->nr_events += !!event;
	return event;
}

static void describe_entry(const struct walk *w, size_t step, unsigned int func,
			   struct event *event)
{
	const char *symbol = w->calls->func[func].name;
	bool code = false;

	event->at = step;
	event->what = starts(symbol, "asm_exc_") ? EVENT_EXCEPTION : EVENT_INTERRUPT;
	snprintf(event->name, sizeof(event->name), "%s", symbol);
	for (size_t i = 0; i < ARRAY_SIZE(exceptions); i++) {
		if (strcmp(symbol, exceptions[i].symbol))
			continue;
		snprintf(event->name, sizeof(event->name), "%s", exceptions[i].name);
		code = exceptions[i].code;
	}
	find_frame(w, step, code, event);
}

static int do_iret(struct walk *w, size_t step, unsigned int func)
{
	struct event *event = add_event(w);
	unsigned int frame = w->depth;

	if (!event)
		return -ENOMEM;
	event->at = step;
	event->what = EVENT_IRET;
	while (frame > 1 && !w->frame[frame - 1].exception)
		frame--;
	/* iret is also a way to switch NMIs on again. */
	if (frame <= 1)
		return jump(w, step, func, NODE_IRET);
	while (w->depth >= frame)
		pop_frame(w, step);
	return jump(w, step, func, NODE_IRET);
}

/* ---- the walk ---- */

/* What the instruction before step @i did, when it led to @address. */
static int go_on(struct walk *w, size_t i, uint64_t address, unsigned int func)
{
	const struct tree_insn *last = insn_of_step(w, i - 1);
	const struct step *before = &w->hit->step[i - 1];
	uint64_t behind = last->insn->address + last->insn->size;
	struct frame frame = { .slot = before->write, .back = behind };

	switch (last->flow) {
	case FLOW_CALL:
		return push_frame(w, frame, i, func, NODE_CALL);
	case FLOW_RETURN:
		return do_return(w, i, before->read, address, func);
	case FLOW_IRET:
		return do_iret(w, i, func);
	case FLOW_JUMP:
		return jump(w, i, func, NODE_JUMP);
	case FLOW_NEXT:
		break;
	}
	/* A repeated instruction, and one that faulted, is its own successor. */
	if (address != behind && address != last->insn->address)
		return jump(w, i, func, NODE_JUMP);
	/* A label in the middle of a function is a symbol too. */
	node_now(w)->now = func;
	return 0;
}

/* Entries are entered at their first byte, but for interrupts' stubs, which are an array. */
static bool is_entered(const struct walk *w, size_t i)
{
	const struct tree_insn *insn = insn_of_step(w, i), *last = insn_of_step(w, i - 1);
	const struct func *func = &w->calls->func[insn->func];

	return func->kind == FUNC_ENTRY && w->calls->func[last->func].kind != FUNC_ENTRY &&
	       (insn->insn->address == func->start || strstr(func->name, "entries_start"));
}

static int transition(struct walk *w, size_t i)
{
	const struct tree_insn *insn = insn_of_step(w, i);
	struct event entry = { 0 }, *event;
	unsigned int func;
	int err;

	if (!is_entered(w, i))
		return go_on(w, i, insn->insn->address, insn->func);
	func = insn->func;
	describe_entry(w, i, func, &entry);
	/* A branch, too, may have come before: then that is where it went. */
	if (entry.has_frame) {
		unsigned int interrupted;

		err = func_at(w->calls, entry.frame[0], &interrupted);
		if (!err)
			err = go_on(w, i, entry.frame[0], interrupted);
		if (err)
			return err;
	}
	event = add_event(w);
	if (!event)
		return -ENOMEM;
	*event = entry;
	return push_frame(w, (struct frame){ .exception = true }, i, func,
			  entry.what == EVENT_INTERRUPT ? NODE_INTERRUPT : NODE_EXCEPTION);
}

static int walk(struct walk *w)
{
	uint32_t index;
	int err = 0;

	for (size_t i = 0; i < w->hit->nr && !err; i++)
		err = insn_at(w->calls, w->hit->step[i].insn, &index);
	if (err)
		return err;
	w->depth = 1;
	w->frame[0] = (struct frame){ 0 };
	err = push_node(w, 0, insn_of_step(w, 0)->func, NODE_CALL);
	if (err)
		return err;
	node_now(w)->own++;
	for (size_t i = 1; i < w->hit->nr && !err; i++) {
		err = transition(w, i);
		if (!err)
			node_now(w)->own++;
	}
	while (!err) {
		node_now(w)->end = w->hit->nr;
		if (node_now(w)->parent < 0)
			break;
		w->now = node_now(w)->parent;
	}
	return err;
}

/* ---- the timeline ---- */

static bool is_above(const struct call_tree *tree, size_t node, size_t step)
{
	return step >= tree->node[node].first && step < tree->node[node].end;
}

static void name(struct phase *phase, const char *text)
{
	snprintf(phase->name, sizeof(phase->name), "%s", text);
}

/* Where a step is: the innermost node that says it. */
static void phase_of(const struct walk *w, size_t node, struct phase *phase)
{
	const struct call_tree *tree = w->tree;
	const struct func *outer = NULL;

	for (int at = node; at >= 0; at = tree->node[at].parent) {
		const struct func *func = &w->calls->func[tree->node[at].func];
		enum node_how how = tree->node[at].how;

		name(phase, func->name);
		if (func->kind == FUNC_HANDLER) {
			phase->phase = "handler";
			return;
		}
		if (how == NODE_EXCEPTION || how == NODE_INTERRUPT) {
			phase->phase = how == NODE_EXCEPTION ? "exception" : "interrupt";
			for (size_t i = 0; i < tree->nr_events; i++)
				if (tree->event[i].at == tree->node[at].first)
					name(phase, tree->event[i].name);
			return;
		}
		if (func->kind == FUNC_SLOT || func->kind == FUNC_DETOUR ||
		    func->kind == FUNC_GENERATED) {
			phase->phase = func->kind == FUNC_SLOT ? "slot" :
				       func->kind == FUNC_DETOUR ? "detour" : "generated";
			return;
		}
		if (tree->node[at].parent >= 0)
			outer = func;
	}
	phase->phase = outer ? "kernel" : "target";
	name(phase, outer ? outer->name : w->calls->func[tree->node[0].func].name);
}

static int add_phase(struct walk *w, size_t step, size_t node)
{
	struct call_tree *tree = w->tree;
	struct phase phase = { .at = step, .end = step + 1 };
	struct phase *last = tree->nr_phases ? &tree->phase[tree->nr_phases - 1] : NULL;
	bool is_site = node == 0 && w->calls->site &&
		       insn_of_step(w, step)->insn->address == w->calls->site &&
		       step == tree->hit_first;

	phase_of(w, node, &phase);
	if (is_site)
		name(&phase, "site");
	if (last && !strcmp(last->phase, phase.phase) && !strcmp(last->name, phase.name)) {
		last->end++;
		return 0;
	}
	last = array_more(tree->phase, tree->nr_phases);
	if (!last)
		return -ENOMEM;
	*last = phase;
	tree->nr_phases++;
	return 0;
}

static int find_phases(struct walk *w)
{
	struct call_tree *tree = w->tree;
	size_t node = 0;
	int err = 0;

	/* Nodes are in the order of their first steps. */
	for (size_t i = 0, next = 1; i < w->hit->nr && !err; i++) {
		while (!is_above(tree, node, i))
			node = tree->node[node].parent;
		while (next < tree->nr_nodes && tree->node[next].first == i)
			node = next++;
		err = add_phase(w, i, node);
	}
	return err;
}

/* An instruction that the unprobed call executes, too. */
static bool is_unprobed(const struct walk *w, uint64_t address)
{
	const struct call_tree *unprobed = &w->calls->call[0];

	for (size_t i = 0; i < unprobed->hit->nr; i++)
		if (w->calls->trace->insn[unprobed->hit->step[i].insn].address == address)
			return true;
	return false;
}

/*
 * From the site to the function's next instruction of its own. Where another function is the
 * base, that is the one behind the site.
 */
static void find_hit(struct walk *w)
{
	struct call_tree *tree = w->tree;
	const struct trace_insn *site, *insn;
	bool has_base;
	size_t i = 0;

	while (i < w->hit->nr && insn_of_step(w, i)->insn->address != w->calls->site)
		i++;
	tree->hit_first = i;
	tree->hit_end = i;
	if (i == w->hit->nr)
		return;
	site = insn_of_step(w, i)->insn;
	/* A user's own site: the trace is the hit. */
	if (!w->calls->has_base) {
		tree->hit_end = w->hit->nr;
		return;
	}
	has_base = is_unprobed(w, insn_of_step(w, 0)->insn->address);
	while (++i < w->hit->nr) {
		insn = insn_of_step(w, i)->insn;
		if (insn->address == site->address ||
		    insn_of_step(w, i)->func != tree->node[0].func)
			continue;
		if (has_base ? is_unprobed(w, insn->address) :
			       insn->address == site->address + site->size)
			break;
	}
	tree->hit_end = i;
}

/* The iret that leads out of a hit is its last instruction: where it went is behind it. */
static bool is_interrupted(const struct walk *w)
{
	unsigned int open = 0;

	for (unsigned int i = 1; i < w->depth; i++)
		open += w->frame[i].exception;
	if (open && insn_of_step(w, w->hit->nr - 1)->flow == FLOW_IRET)
		open--;
	return open;
}

/**
 * tree_add() - the tree of one more call
 * @calls: to which the call is added
 * @which: what it is called
 * @hit: the call's instructions; kept, not copied
 *
 * Return: 0, -ENOMEM, -E2BIG.
 */
int tree_add(struct xray_calls *calls, const char *which, const struct hit *hit)
{
	struct walk *w = calloc(1, sizeof(*w));
	int err = -ENOMEM;

	if (!calls->insn_of)
		calls->insn_of = calloc(calls->trace->nr_insns, sizeof(*calls->insn_of));
	if (!w || !calls->insn_of || !hit->nr)
		goto free;
	w->calls = calls;
	w->hit = hit;
	w->tree = &calls->call[calls->nr_calls++];
	*w->tree = (struct call_tree){ .which = which, .hit = hit };
	err = walk(w);
	if (err)
		goto free;
	w->tree->interrupted = is_interrupted(w);
	calls->func[w->tree->node[0].func].kind = FUNC_TARGET;
	find_hit(w);
	err = find_phases(w);
free:
	free(w);
	return err;
}

/* Takes the last one away again. */
void tree_drop(struct xray_calls *calls)
{
	struct call_tree *tree = &calls->call[--calls->nr_calls];

	free(tree->node);
	free(tree->event);
	free(tree->phase);
}

void tree_free(struct xray_calls *calls)
{
	while (calls->nr_calls)
		tree_drop(calls);
	free(calls->func);
	free(calls->insn);
	free(calls->insn_of);
}
