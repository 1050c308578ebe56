/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an x-ray is while the host works on it (Documentation/xray.rst has what it is in
 * files): the guest's symbols, the trace of an order, and the tree of calls in it.
 */
#ifndef _KTRAMP_XRAY_USER_H
#define _KTRAMP_XRAY_USER_H

#include "lib/ktramp.h"

/* ---- xray_symbols.c: names of a guest's addresses ---- */

struct symbol {
	uint64_t start;
	uint64_t end;
	size_t line;		/* order in the file */
	bool text;
	bool generated;		/* at run time, by the kernel */
	const char *name;
	const char *module;	/* or NULL */
};

struct symbols;

int symbols_read(struct symbols **symbols, const char *kallsyms);	/* complains */
void symbols_free(struct symbols **symbols);
int symbols_add(struct symbols *symbols, uint64_t start, uint64_t length, const char *name,
		const char *module);
void symbols_remove(struct symbols *symbols, uint64_t start);
const struct symbol *symbols_find(const struct symbols *symbols, uint64_t address);
int symbols_resolve(const struct symbols *symbols, struct ksym *syms, size_t n);
const char *symbols_print(const struct symbols *symbols, uint64_t address, char *buf, size_t size);

/* ---- xray_trace.c: what the plugin wrote ---- */

#define FRAME_WORDS	7

struct step {
	uint32_t insn;		/* index in the hit's trace */
	uint16_t reads;
	uint16_t writes;
	uint64_t read;		/* address of the first read, or 0 */
	uint64_t write;		/* address of the last write, or 0 */
	uint64_t at;		/* address of @word */
	uint64_t word[FRAME_WORDS];
};

/* A general register that a step left with another value. */
struct change {
	uint32_t step;
	uint8_t reg;
	uint64_t value;
};

struct hit {
	size_t nr;
	struct step *step;
	size_t nr_changes;
	struct change *change;	/* in the order of the steps */
	uint64_t next;		/* where it ended */
	bool whole;
};

struct order {
	size_t nr;
	struct hit *hit;
};

struct trace_insn {
	uint64_t address;
	uint8_t size;
	uint8_t bytes[15];
};

struct trace {
	size_t nr_insns;
	struct trace_insn *insn;
	size_t nr_orders;
	struct order *order;	/* by number */
	bool has_registers;	/* this QEMU shows them to its plugins */
};

const char *register_name(unsigned int reg);	/* NULL behind the last one */

void hit_free(struct hit *hit);
int trace_read(struct trace *trace, const char *name);		/* complains */
void trace_free(struct trace *trace);

/* ---- xray_tree.c: who called whom ---- */

enum node_how {
	NODE_CALL,
	NODE_JUMP,
	NODE_EXCEPTION,
	NODE_INTERRUPT,
	NODE_IRET,
};

/* A function of the trace. */
enum func_kind {
	FUNC_KERNEL,
	FUNC_TARGET,
	FUNC_SLOT,
	FUNC_DETOUR,
	FUNC_HANDLER,
	FUNC_KTRAMP,
	FUNC_GENERATED,
	FUNC_ENTRY,
};

struct func {
	enum func_kind kind;
	uint64_t start;
	uint64_t end;
	char name[128];
	char module[64];	/* or empty */
};

struct tree_insn {
	const struct trace_insn *insn;
	unsigned int func;
	enum insn_flow flow;
	char text[96];
	char note[160];
};

struct node {
	unsigned int func;
	int parent;		/* -1: the root */
	unsigned int depth;
	enum node_how how;
	size_t first;
	size_t end;
	size_t own;
	unsigned int now;	/* function that it went on into without a branch */
	unsigned int frame;
};

struct event {
	size_t at;
	enum { EVENT_EXCEPTION, EVENT_INTERRUPT, EVENT_IRET } what;
	char name[64];
	bool has_frame;
	uint64_t address;	/* of the frame */
	uint64_t frame[5];	/* rip, cs, rflags, rsp, ss */
};

struct phase {
	size_t at;
	size_t end;
	const char *phase;
	char name[64];
};

struct call_tree {
	const char *which;
	const struct hit *hit;
	size_t nr_nodes;
	struct node *node;
	size_t nr_events;
	struct event *event;
	size_t nr_phases;
	struct phase *phase;
	size_t hit_first, hit_end;	/* equal: nothing is probed */
	bool interrupted;		/* it ended in an exception or interrupt */
};

/* A mechanism's calls with what they share. */
struct xray_calls {
	const struct symbols *symbols;
	const struct trace *trace;
	struct disasm *disasm;
	uint64_t site;		/* 0: none */
	bool has_base;		/* the first call is unprobed */
	struct {
		uint64_t start;
		uint64_t end;
		uint32_t part;	/* enum ktramp_code_part */
	} own_code[3];		/* slot, detour, springboard; end 0: none */
	size_t nr_funcs;
	struct func *func;
	size_t nr_insns;
	struct tree_insn *insn;
	uint32_t *insn_of;	/* by index in the trace; 0: not yet, or index + 1 */
	size_t nr_calls;
	struct call_tree call[3];
};

int tree_add(struct xray_calls *calls, const char *which, const struct hit *hit);
void tree_drop(struct xray_calls *calls);
void tree_free(struct xray_calls *calls);

#define XRAY_SCHEMA	1

/* ---- xray_json.c: as the files have it ---- */

json_t *xray_symbols_json(const struct xray_calls *calls);
json_t *xray_insns_json(const struct xray_calls *calls);
json_t *xray_calls_json(const struct xray_calls *calls);
json_t *xray_exceptions_json(const struct call_tree *tree);
json_t *xray_functions_json(const struct xray_calls *calls, const struct call_tree *tree);

/* ---- xray_path.c: what runs on the way to our handlers ---- */

int path_add(json_t *path, const struct xray_calls *calls, const struct call_tree *tree,
	     const char *mechanism);
json_t *path_line(const char *name, const json_t *entry, const json_t *admissions);

/* ---- xray_import.c: from the guest's and the plugin's files to those of an x-ray ---- */

int xray_import(const char *out, char **directories, unsigned int nr);	/* complains */

/* ---- xray_print.c: the files as text, or as JSON Lines ---- */

const json_t *xray_find_call(const json_t *trace, const char *which);	/* complains */
void xray_print_title(const json_t *trace, const json_t *call);
int xray_print_tree(const json_t *trace, const json_t *call);
int xray_print_flat(const json_t *trace, const json_t *call);
int xray_print_listing(const json_t *trace, const json_t *call, bool registers);
int xray_print_diff(const json_t *a, const json_t *call_a, const json_t *b, const json_t *call_b);

#endif /* _KTRAMP_XRAY_USER_H */
