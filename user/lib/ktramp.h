/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the ktramp command share.
 *
 * Functions return 0 or -errno unless they say otherwise. Those that say
 * "complains" have told the user by p_err() why they failed; callers only pass
 * the failure on.
 */
#ifndef _KTRAMP_USER_H
#define _KTRAMP_USER_H

#include <argp.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "../../module/uapi/ktramp.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
/*
 * One more element, zeroed, behind the @nr that an array has; the caller counts it. Room doubles
 * at powers of two. NULL without memory: the array is as it was.
 */
#define array_more(array, nr) ({						\
	size_t _nr = (nr);							\
	typeof(array) _v = _nr & (_nr - 1) ? (array) :				\
		reallocarray(array, _nr ? 2 * _nr : 1, sizeof(*(array)));	\
										\
	if (_v)									\
		(array) = _v;							\
	_v ? (typeof(array))memset(&_v[_nr], 0, sizeof(*_v)) : NULL;		\
})

#define MIN(a, b)	((a) < (b) ? (a) : (b))
#define MAX(a, b)	((a) > (b) ? (a) : (b))
#define container_of(p, type, member)	((type *)((char *)(p) - offsetof(type, member)))
#define __printf(a, b)	__attribute__((format(printf, a, b)))
#define __unused	__attribute__((unused))
#define __cleanup(fn)	__attribute__((cleanup(fn)))

enum exit_status {
	EXIT_OK		= 0,
	EXIT_FAILED	= 1,
	EXIT_USAGE	= 2,
};

/* main.c: a subcommand returns an enum exit_status. */
struct cmd {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
};

int cmd_targets(int argc, char **argv);
int cmd_mechanisms(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_plan(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_add(int argc, char **argv);
int cmd_enable(int argc, char **argv);
int cmd_disable(int argc, char **argv);
int cmd_remove(int argc, char **argv);
int cmd_probes(int argc, char **argv);
int cmd_arming(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_history(int argc, char **argv);
int cmd_bpf(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_reloc(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_overlay(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_xray(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_cover(int argc, char **argv);
int cmd_exits(int argc, char **argv);
int cmd_lab(int argc, char **argv);

/* out.c: data goes to stdout, talk to stderr. */
extern bool out_json;
extern const struct argp out_argp;		/* --json */
extern const struct argp_child out_children[];	/* that, as a child of every argp */

/* A subcommand's argp: its options, parse() and doc. */
#define CMD_ARGP(args)	{							\
	.options = options, .parser = parse, .args_doc = args, .doc = doc,	\
	.children = out_children,						\
}


/* What a program wants to know of an error, besides the sentence. */
struct refusal {
	const char *site;	/* NULL: it is about none */
	uint32_t reason;	/* enum ktramp_reason */
	int err;		/* errno, or -errno */
};

void p_err(const char *fmt, ...) __printf(1, 2);
void p_refusal(const struct refusal *about, const char *fmt, ...) __printf(2, 3);
void p_warn(const char *fmt, ...) __printf(1, 2);
void p_info(const char *fmt, ...) __printf(1, 2);
int out_line(FILE *to, json_t *steal);	/* complains */
const char *json_text(const json_t *object, const char *key);
json_int_t json_count(const json_t *object, const char *key);
int out_failed(void);			/* complains, once */
const char *printable(char *buf, size_t size, const char *text, size_t len);
json_t *json_number(double value);
json_t *json_address(uint64_t address);
json_t *json_hex(const uint8_t *bytes, size_t n);
const char *hex(char *buf, size_t size, const uint8_t *bytes, size_t n);
uint64_t parse_number(struct argp_state *state, const char *what, const char *arg,
		      uint64_t min, uint64_t max);

static inline void free_json(json_t **json)
{
	json_decref(*json);
}

/* table.c */
#define TABLE_COLUMNS_MAX	32	/* bits of table.right */

struct table {
	unsigned int columns;
	unsigned int rows;
	unsigned int right;	/* bit n: column n is aligned to the right */
	bool failed;		/* out of memory; table_print() says so */
	char **cells;
};

void table_init(struct table *table, unsigned int columns, unsigned int right);
void table_add(struct table *table, const char *fmt, ...) __printf(2, 3);
int table_print(const struct table *table);	/* complains */
void table_deinit(struct table *table);

/* names.c: the words of the interface */
const char *handler_name(uint32_t handler);
uint32_t handler_number(const char *name);	/* 0: no such handler */
uint32_t parse_handler(struct argp_state *state, const char *arg);	/* not bpf's */
bool handler_is_program(uint32_t handler);
uint32_t handler_usual(uint32_t handlers);	/* of a mechanism's, the one it is compared by */
const char *state_name(uint32_t state);
const char *tactic_name(uint32_t tactic);
const char *class_name(uint32_t class);
#define NR_TACTICS	(KTRAMP_TACTIC_SPRINGBOARD + 1)
const char *entry_name(uint32_t entry);
json_t *entry_json(uint32_t entry);	/* null for none */
const char *kind_name(uint32_t kind);
const char *reason_name(uint32_t reason);
#define NR_REASONS	64	/* more than there are */
bool reason_is_refusal(uint32_t reason);
const char *clock_name(uint32_t clock);
const char *clock_unit(uint32_t clock);
json_t *config_json(uint32_t config);
void config_text(uint32_t config, char *buf, size_t size);

/* dev.c: /dev/ktramp */
struct dev {
	int fd;
	unsigned int nr_mechanisms;
	unsigned int nr_targets;
	struct ktramp_info info;
	struct ktramp_mechanism_info *mechanisms;
	struct ktramp_target_info *targets;
};

int dev_open(struct dev *dev);		/* complains */
void dev_close(struct dev *dev);
/* By name, or NULL, having complained. A target is also found by its site. */
const struct ktramp_mechanism_info *dev_mechanism(const struct dev *dev, const char *name);
const struct ktramp_target_info *dev_target(const struct dev *dev, const char *name);
/* The one way a site is written, whatever @text names it by; complains. */
int dev_site(const struct dev *dev, const char *text, struct ktramp_site_info *site);
/* A target, or any other site that can be probed, with what is known of it. */
int dev_place(const struct dev *dev, const char *site, struct ktramp_target_info *place);
bool dev_is_target(const struct dev *dev, const struct ktramp_target_info *place);
const struct ktramp_target_info *dev_base(const struct dev *dev,
					  const struct ktramp_target_info *target);
unsigned int dev_target_index(const struct dev *dev, const struct ktramp_target_info *target);

/* These fill in the structure's size; the caller's reply holds reason and why. */
int dev_create(const struct dev *dev, struct ktramp_create *create);
int dev_create_usual(const struct dev *dev, struct ktramp_create *create);
int dev_batch(const struct dev *dev, unsigned long request, const uint32_t *ids, uint32_t nr,
	      struct ktramp_batch *batch);
int dev_cpu_stat(const struct dev *dev, uint32_t id, uint32_t cpu, struct ktramp_cpu_stat *stat);
int dev_arm(const struct dev *dev, uint32_t id, struct ktramp_batch *batch);
int dev_disarm(const struct dev *dev, uint32_t id, struct ktramp_batch *batch);
int dev_destroy(const struct dev *dev, uint32_t id, struct ktramp_batch *batch);
int dev_probe(const struct dev *dev, uint32_t id, uint32_t flags,
	      struct ktramp_probe_info *probe);
int dev_code(const struct dev *dev, uint32_t id, uint32_t part, struct ktramp_code *code);
int dev_kprobes(const struct dev *dev, const uint64_t *addresses, uint32_t nr,
		struct ktramp_kprobes *kprobes);
int dev_scan(const struct dev *dev, struct ktramp_scan *scan);
int dev_run(const struct dev *dev, struct ktramp_run *run);
int dev_bpf(const struct dev *dev, struct ktramp_bpf *bpf);
int dev_watch(const struct dev *dev, uint32_t id);
int dev_cover_add(const struct dev *dev, struct ktramp_cover_add *add);
int dev_cover(const struct dev *dev, unsigned long request, struct ktramp_cover *cover);
int dev_cover_read(const struct dev *dev, struct ktramp_cover_read *read);
int dev_regs(const struct dev *dev, uint32_t id, uint32_t cpu, struct ktramp_regs *regs);

/* host.c: the machine this runs on, and signals */
extern volatile sig_atomic_t stopped;

void catch_signals(void);
void cpu_model(char *buf, size_t size);
bool cpu_is_emulated(void);
long first_cpu(void);			/* of those this thread may run on */
int pin_to_cpu(unsigned int cpu);	/* complains */
int kernel_release(struct utsname *uts);	/* complains */
int command_run(char **command, int *status);	/* complains, not of its status */

/* kprobes.c: what the kernel does with, and says about, its kprobes */
struct kprobe_opt {
	int was;	/* -1: not changed by us */
	int now;
};

int kprobe_opt_hold(struct kprobe_opt *opt, int value);		/* complains */
int kprobe_opt_restore(struct kprobe_opt *opt);			/* complains */
int kprobe_list_find(uint64_t address, const char *site, char *line, size_t size);

static inline void kprobe_opt_drop(struct kprobe_opt *opt)
{
	kprobe_opt_restore(opt);
}

/* cmd_probes.c */
json_t *probe_json(const struct dev *dev, const struct ktramp_probe_info *probe);
json_t *class_json(const struct ktramp_probe_info *probe);

/* bpf.c: BPF programs on the kernel's mechanisms */
struct bpf_counter;
struct bpf_link;
struct bpf_program;

void bpf_listen(void);
const char *bpf_why(int err);
bool bpf_is_way(uint32_t mechanism);
bool bpf_is_return(uint32_t mechanism);
int bpf_way_open(uint32_t mechanism, const struct ktramp_probe_info *probe);
int bpf_way_prepare(struct bpf_program *prog, uint32_t mechanism,
		    const struct ktramp_probe_info *probe);
int bpf_way_attach(struct bpf_program *prog, uint32_t mechanism,
		   const struct ktramp_probe_info *probe, struct bpf_link **link);
int bpf_way_settle(const struct dev *dev, uint32_t id, int first);
int bpf_counter_load(struct bpf_counter **counter, uint32_t mechanism,
		     const struct ktramp_probe_info *probe);
int bpf_counter_attach(struct bpf_counter *counter, const struct ktramp_probe_info *probe);
void bpf_counter_detach(struct bpf_counter *counter);
int bpf_counter_fd(const struct bpf_counter *counter);
uint64_t bpf_counter_read(const struct bpf_counter *counter);
void bpf_counter_free(struct bpf_counter **counter);

/* expect.c: what must be true while a mechanism is armed */
#define EXPECT_ANY	(-1)

/* A fleeting state is lost, -EAGAIN, when the kernel's optimizer was about to run anyway. */
#define FLEETING_TRIES	20

struct expect {
	int bp;			/* #BP per hit, or EXPECT_ANY */
	int db;			/* #DB per hit, or EXPECT_ANY */
	int first;		/* byte at the site, or EXPECT_ANY */
	int or_first;		/* or this, if not 0 */
	int optimization;	/* debug.kprobes-optimization, or EXPECT_ANY */
	bool steps;		/* @bp and @db depend on the instruction */
	bool silent;		/* calls the target, not the handler */
	bool fleeting;		/* the state lasts only during KTRAMP_IOC_RUN */
	bool puns;		/* short, prefixed, or with int3s where the target comes back */
	const char *marks;	/* at the end of its line in the kernel's list, or NULL */
};

const struct expect *expect_of(uint32_t mechanism);
int expect_bp(const struct expect *expect, const struct ktramp_probe_info *probe,
	      const struct ktramp_target_info *target);
int expect_bytes(const struct expect *expect, const struct ktramp_probe_info *probe,
		 const uint8_t *now, uint32_t len, char *why, size_t size);
int expect_listed(const struct expect *expect, const struct ktramp_probe_info *probe,
		  char *why, size_t size);

/* ksyms.c */
struct ksym_line {
	uint64_t address;
	const char *name;
	const char *module;	/* "" for the kernel itself */
	char type;		/* 't', 'd', ... of /proc/kallsyms, in lower case */
};

bool ksym_parse(char *line, struct ksym_line *sym);	/* changes the line */
bool ksym_is_code(const struct ksym_line *sym);

struct ksym {
	uint64_t address;	/* what to look for */
	uint64_t start;		/* of the symbol; 0 if none was found */
	char name[128];
};

int ksyms_resolve(struct ksym *syms, size_t n);

struct ksym_table;

struct ksym_table *ksym_table_load(void);
const char *ksym_table_name(const struct ksym_table *table, uint64_t address, char *buf,
			    size_t size);
void ksym_table_free(struct ksym_table *table);

/* text.c */
struct text {
	size_t nr;
	uint64_t *functions;	/* first bytes, ascending */
	size_t nr_blacklist;
	uint64_t *blacklist;	/* pairs: start, end */
};

int text_read(struct text *text, const char *module);	/* complains; NULL: the kernel itself */
bool text_is_blacklisted(const struct text *text, uint64_t address);
void text_deinit(struct text *text);

/* site_plan.c */
int site_plan(const struct dev *dev, const char *site,
	      const struct ktramp_mechanism_info *mechanism);	/* complains */

/* sample.c */
#define OURS_FIRST	KTRAMP_INT3_EMULATE
#define OURS_LAST	KTRAMP_JUMP

struct sample_config {
	const char *module;	/* NULL: the kernel itself */
	uint64_t sample;	/* instructions, 0 for all */
	uint64_t seed;
	uint32_t part;		/* of every so many functions one, chosen at random; 0 for all */
	uint32_t share;		/* which one: each function is in one of the shares 0 .. part - 1 */
	bool ask;		/* the kernel itself at each, not its tables */
};

struct sample {
	struct text text;
	uint64_t functions;	/* looked at; of them: */
	uint64_t instructions;	/* padding excluded */
	/* Called for each that was chosen, in the order of addresses. An error ends it. */
	int (*planned)(struct sample *sample, uint64_t function,
		       const struct ktramp_scan_insn *insn);
};

int sample_plan(struct sample *sample, const struct dev *dev,
		const struct sample_config *config);	/* complains */
/* Would the kernel accept a kprobe there? */
bool sample_is_accepted(const struct sample *sample, uint64_t function,
			const struct ktramp_scan_insn *insn);
void sample_deinit(struct sample *sample);

/* coverage.c */
/* @output: also write it there, or NULL. Complains. */
int coverage(const struct dev *dev, const struct sample_config *config, const char *output);

/* disasm.c */
enum origin {
	ORIGIN_KERNEL,	/* as it was */
	ORIGIN_PROBE,	/* written to make the probe */
	ORIGIN_COPY,	/* a displaced instruction, out of line */
	ORIGIN_REST,	/* bytes of a displaced instruction, never executed while armed */
};

enum insn_flow {
	FLOW_NEXT,	/* to the next instruction */
	FLOW_JUMP,
	FLOW_CALL,
	FLOW_RETURN,
	FLOW_IRET,
};

struct insn_line {
	unsigned int offset;
	unsigned int length;
	enum origin origin;
	bool branch;		/* @target is jumped to, not read */
	enum insn_flow flow;
	uint64_t target;	/* address the instruction names, or 0 */
	char text[96];
	char note[160];
};

#define LISTING_MAX	KTRAMP_CODE_MAX

struct listing {
	const char *name;
	uint64_t address;
	unsigned int length;
	unsigned int nr;
	uint8_t code[KTRAMP_CODE_MAX];
	struct insn_line lines[LISTING_MAX];
};

struct disasm;

int disasm_open(struct disasm **disasm, bool intel);	/* complains */
void disasm_close(struct disasm **disasm);
void disasm_range(struct disasm *disasm, struct listing *listing, unsigned int from,
		  unsigned int to, enum origin origin);
void disasm_rest(struct listing *listing, unsigned int from, unsigned int to, const char *text);
unsigned int disasm_cover(struct disasm *disasm, const uint8_t *code, unsigned int length,
			  unsigned int want, unsigned int *insns);

/* listing.c */
enum view_part {
	VIEW_BEFORE,
	VIEW_ARMED,
	VIEW_SPRINGBOARD,
	VIEW_SLOT,
	VIEW_DETOUR,
	VIEW_AFTER,	/* the site, disarmed */
	VIEW_PARTS,
};

struct symbols;

struct view {
	const struct symbols *symbols;	/* of another kernel; NULL: of the running one */
	const struct ktramp_mechanism_info *mechanism;
	const struct ktramp_target_info *target;
	struct ktramp_probe_info probe;		/* while armed */
	struct listing listing[VIEW_PARTS];	/* length 0: there is none */
	unsigned int relocated[VIEW_PARTS];	/* where the displaced insns' copy begins */
	unsigned int copied[VIEW_PARTS];	/* its bytes */
};

int view_read(struct view *view, const struct dev *dev, uint32_t id, uint32_t part,
	      enum view_part to);
void view_disassemble(struct view *view, struct disasm *disasm);
void view_disassemble_after(struct view *view, struct disasm *disasm);
void view_print(const struct view *view);
json_t *view_json(const struct view *view);

/* page_data.c */
struct page_data {
	json_t *lines;		/* what the page is given */
	json_t *texts;		/* kernel -> its line of type "text" */
	json_t *indices;	/* kernel -> pool -> item as JSON -> its index */
};

int page_data_init(struct page_data *data);	/* complains */
int page_data_add(struct page_data *data, const char *name);	/* complains */
void page_data_deinit(struct page_data *data);

/* page.c */
int page_write(FILE *to, const json_t *lines);	/* complains */

/* stats.c */
struct spread {
	double median;
	double min;
	double max;
	double mad;		/* median absolute deviation */
	double low, high;	/* 95 % bootstrap interval of the median */
};

uint64_t prng(uint64_t *state);
double stats_median(const double *values, size_t n, double *scratch);
int stats_spread(const double *values, size_t n, uint64_t seed, struct spread *spread);

/* bench.c, report.c */
struct xray;

struct bench_config {
	struct xray *xray;	/* NULL: none is made */
	uint32_t hits;
	uint32_t repeat;
	uint64_t seed;
	unsigned int cpu;
};

enum row_state {
	ROW_PENDING,
	ROW_OK,
	ROW_UNSUPPORTED,
	ROW_ERROR,
};

struct row {
	const struct ktramp_mechanism_info *mechanism;
	const struct ktramp_target_info *target;	/* NULL: the mechanism has none here */
	uint32_t handler;				/* 0: nothing is called */
	enum row_state state;
	uint32_t reason;
	char why[256];
	char site[KTRAMP_SITE_MAX];
	uint64_t hits;
	uint64_t missed;
	double bp, db;		/* per hit; negative: unknown */
	double call;
	struct spread per_hit;
	unsigned int nr_bytes;
	uint8_t bytes[KTRAMP_BYTES_MAX];
	uint32_t entry;		/* of its breakpoints */
	char entry_why[KTRAMP_TEXT_MAX];
};

struct run_facts {
	struct utsname uts;
	char cpu[128];
	bool emulated;
};

int bench_row(const struct dev *dev, const struct bench_config *config, struct kprobe_opt *opt,
	      struct row *row);
json_t *report_run(const struct dev *dev, const struct bench_config *config,
		   const struct run_facts *facts);
json_t *report_row(const struct dev *dev, const struct run_facts *facts, const struct row *row);
int report_table(const struct dev *dev, const struct bench_config *config,
		 const struct run_facts *facts, const struct row *rows, size_t n);

/* history.c: results of several kernels beside each other */
struct history;

int history_open(struct history **history);			/* complains */
int history_add(struct history *history, const char *name);	/* complains; "-": standard input */
bool history_is_empty(const struct history *history);
/* Changes of @percent and more are marked. */
int history_print(struct history *history, double percent);	/* complains */
int history_lines(struct history *history);			/* complains */
/* How many rows could not be measured, having complained of each. */
unsigned int history_errors(const struct history *history);
void history_close(struct history **history);

/* xray_record.c: in a guest whose QEMU has the plugin */
#define XRAY_CALLS	4	/* enough for one that finds everything as the one before */

int xray_open(struct xray **x, const struct dev *dev, const char *directory);	/* complains */
int xray_finish(struct xray *x, const struct dev *dev);			/* complains */
int xray_close(struct xray **x);						/* complains */
void xray_start(struct xray *x, const struct ktramp_target_info *target);
int xray_stop(struct xray *x, const struct dev *dev, const struct row *row,
	      const struct ktramp_target_info *target, const struct ktramp_probe_info *probe,
	      bool armed, const struct ktramp_run *run);			/* complains */

#endif /* _KTRAMP_USER_H */
