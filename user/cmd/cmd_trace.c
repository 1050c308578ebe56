// SPDX-License-Identifier: GPL-2.0-only
/* ktramp trace: each hit of a site, as it happens. */
#include <asm/ptrace.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/bpf.h"
#include "bpf/bpf_args.h"
#include "places/places.h"
#include "trace.h"
#include "trace.skel.h"

/* A CPU's buffer: 256 KiB. */
#define SAMPLE_PAGES	64

enum option_key {
	OPT_BTF = 256,
	OPT_REGS,
	OPT_ARGS,
	OPT_STACK,
	OPT_COUNT,
};

struct options {
	char **sites;
	unsigned int nr_sites;
	const char *mechanism;
	const char *btf;
	uint64_t events;
	uint32_t pid;
	bool regs, args, stack, count;
};

/* What is printed of the function at one probe. */
struct traced_args {
	struct bpf_args *args;		/* NULL: nothing */
	bool returns;			/* a hit is a return */
	bool leaves;			/* of FUNCTION%return */
};

struct trace {
	const struct options *opts;
	struct places places;
	struct bpf_probe *probes;	/* by address */
	struct traced_args *args;	/* of each of them */
	unsigned int nr;
	unsigned int refused;		/* that a pattern matched */
	struct trace_bpf *skel;
	struct bpf_program *program;
	bool perf;			/* it writes to perf's buffers, not to a ring */
	struct ring_buffer *ring;
	struct perf_buffer *samples;
	struct ksym_table *symbols;
	uint64_t events;		/* printed */
	uint64_t left;			/* read behind the last one that was wanted */
	bool draining;			/* nothing is added any more */
	int err;
};

static const struct argp_option options[] = {
	{ "number", 'n', "N", 0, "End after N hits. Default: at Ctrl-C", 0 },
	{ "mechanism", 'm', "MECHANISM", 0,
	  "Probe by this one: one that runs the handler 'bpf', or the kernel's bpf-kprobe-*. Default: "
	  "bpf-jump, or int3-divert where no jump fits", 0 },
	{ "pid", 'p', "PID", 0, "Hits of this process only, with all its threads", 0 },
	{ "args", OPT_ARGS, NULL, 0,
	  "Print the function's arguments, by their types; SITE is its entry. With -m "
	  "bpf-kretprobe print what it returns", 0 },
	{ "regs", OPT_REGS, NULL, 0, "Print all registers", 0 },
	{ "stack", OPT_STACK, NULL, 0, "Print who called whom, up to the site", 0 },
	{ "count", OPT_COUNT, NULL, 0, "Print no hits, but how many each site had", 0 },
	{ "btf", OPT_BTF, "FILE", 0, "Types of this kernel, instead of its own", 0 },
	{ }
};

static const char doc[] =
	"Print a line for each hit of a SITE: time since boot, CPU, thread, its name, and on "
	"demand registers, arguments and stack. SITE is symbol+0xoffset, module:symbol+0xoffset, "
	"0xaddress or a target's name; any instruction will do. A pattern ('vfs_*', 'ext4:*') is "
	"each function that is called so, FUNCTION%return each place where control leaves "
	"FUNCTION.\v"
	"The program that does it is BPF, and is run by ktramp's own jump, so that there is no "
	"exception and nothing that must be a kprobe; where no jump fits, a breakpoint goes on in the "
	"same detour, which is said. What is hit faster than it is read is lost, "
	"and counted at the end: printed and lost make up the hits. Hits of the command itself are "
	"left out. The probe is gone when the command is.\n\n"
	"Exit status: 0, 1 if the site cannot be probed, 2 on wrong usage.\n\n"
	"Examples:\n"
	"  ktramp trace do_sys_openat2 --args\n"
	"  ktramp trace vfs_read+0x20 -n 10 --regs\n"
	"  ktramp trace kfree --stack -n 1\n"
	"  ktramp trace 'vfs_*' --count\n"
	"  ktramp trace vfs_read%return --args\n"
	"  ktramp trace do_exit --json | jq -r .comm\n";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opts = state->input;

	switch (key) {
	case 'n':
		opts->events = parse_number(state, "--number", arg, 1, INT64_MAX);
		return 0;
	case 'm':
		opts->mechanism = arg;
		return 0;
	case 'p':
		opts->pid = parse_number(state, "--pid", arg, 1, INT32_MAX);
		return 0;
	case OPT_ARGS:
		opts->args = true;
		return 0;
	case OPT_REGS:
		opts->regs = true;
		return 0;
	case OPT_STACK:
		opts->stack = true;
		return 0;
	case OPT_COUNT:
		opts->count = true;
		return 0;
	case OPT_BTF:
		opts->btf = arg;
		return 0;
	case ARGP_KEY_ARG:
		opts->sites = &state->argv[state->next - 1];
		opts->nr_sites = state->argc - state->next + 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "a SITE is needed");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = CMD_ARGP("SITE...");

/* ---- printing ---- */

struct named_reg {
	const char *name;
	uint64_t value;
};

static unsigned int name_regs(const struct pt_regs *regs, struct named_reg *named)
{
	const struct named_reg all[] = {
		{ "rax", regs->rax }, { "rbx", regs->rbx }, { "rcx", regs->rcx },
		{ "rdx", regs->rdx }, { "rsi", regs->rsi }, { "rdi", regs->rdi },
		{ "rbp", regs->rbp }, { "rsp", regs->rsp }, { "r8", regs->r8 },
		{ "r9", regs->r9 }, { "r10", regs->r10 }, { "r11", regs->r11 },
		{ "r12", regs->r12 }, { "r13", regs->r13 }, { "r14", regs->r14 },
		{ "r15", regs->r15 }, { "rip", regs->rip }, { "eflags", regs->eflags },
	};

	memcpy(named, all, sizeof(all));
	return ARRAY_SIZE(all);
}

static unsigned int frames_of(const struct trace_event *event)
{
	return event->stack_bytes > 0 ? event->stack_bytes / sizeof(event->stack[0]) : 0;
}

static const char *frame_name(const struct trace *t, uint64_t address, char *buf, size_t size)
{
	return ksym_table_name(t->symbols, address, buf, size);
}

static int by_address(const void *a, const void *b)
{
	const struct bpf_probe *x = a, *y = b;

	return x->info.address < y->info.address ? -1 : x->info.address > y->info.address;
}

/* Whose hit it was. With hidden addresses there is one probe only. */
static unsigned int probe_of(const struct trace *t, const struct trace_event *event)
{
	const struct bpf_probe key = { .info.address = event->regs.rip };
	const struct bpf_probe *found;

	if (t->nr == 1)
		return 0;
	found = bsearch(&key, t->probes, t->nr, sizeof(key), by_address);
	return found ? found - t->probes : 0;
}

/* The name of a thread may be any bytes. */
static json_t *comm_json(const struct trace_event *event)
{
	json_t *comm = json_stringn(event->comm, strnlen(event->comm, sizeof(event->comm)));
	char buf[4 * sizeof(event->comm) + 1];

	return comm ? comm : json_string(printable(buf, sizeof(buf), event->comm,
						   sizeof(event->comm)));
}

static json_t *event_json(const struct trace *t, const struct trace_event *event)
{
	unsigned int probe = probe_of(t, event);
	json_t *line = json_pack("{s:s, s:I, s:I, s:I, s:I, s:o, s:s}", "type", "hit",
				 "time", (json_int_t)event->time,
				 "cpu", (json_int_t)event->cpu,
				 "pid", (json_int_t)event->pid,
				 "tgid", (json_int_t)event->tgid,
				 "comm", comm_json(event),
				 "site", t->probes[probe].info.site);
	const struct traced_args *args = &t->args[probe];
	struct named_reg named[32];
	char buf[KTRAMP_SITE_MAX];

	if (t->opts->regs) {
		unsigned int nr = name_regs(&event->regs, named);
		json_t *regs = json_object();

		for (unsigned int i = 0; i < nr; i++)
			json_object_set_new(regs, named[i].name,
					    json_sprintf("0x%llx",
							 (unsigned long long)named[i].value));
		json_object_set_new(line, "regs", regs);
	}
	if (args->args)
		json_object_set_new(line, args->returns ? "return" : "args",
				    bpf_args_json(args->args, &event->regs));
	if (t->opts->stack) {
		json_t *stack = json_array();

		for (unsigned int i = 0; i < frames_of(event); i++)
			json_array_append_new(stack, json_string(
				frame_name(t, event->stack[i], buf, sizeof(buf))));
		json_object_set_new(line, "stack", stack);
	}
	return line;
}

static const char *time_text(uint64_t ns, char *buf, size_t size)
{
	snprintf(buf, size, "%" PRIu64 ".%06" PRIu64, ns / 1000000000, ns / 1000 % 1000000);
	return buf;
}

static void print_event(const struct trace *t, const struct trace_event *event)
{
	unsigned int probe = probe_of(t, event);
	const struct traced_args *args = &t->args[probe];
	char comm[4 * sizeof(event->comm) + 1];
	char buf[1024];

	printf("%-13s  %3u  %7u  %-15s  %s", time_text(event->time, buf, sizeof(buf)), event->cpu,
	       event->pid, printable(comm, sizeof(comm), event->comm, sizeof(event->comm)),
	       t->probes[probe].info.site);
	if (args->args)
		printf(args->returns ? " = %s" : "(%s)",
		       bpf_args_text(args->args, &event->regs, buf, sizeof(buf)));
	printf("\n");
	if (t->opts->regs) {
		struct named_reg named[32];
		unsigned int nr = name_regs(&event->regs, named);

		for (unsigned int i = 0; i < nr; i++)
			printf("%s%-6s %016llx%s", i % 4 ? "  " : "    ", named[i].name,
			       (unsigned long long)named[i].value,
			       i % 4 == 3 || i == nr - 1 ? "\n" : "");
	}
	for (unsigned int i = 0; t->opts->stack && i < frames_of(event); i++)
		printf("    %s\n", frame_name(t, event->stack[i], buf, sizeof(buf)));
	fflush(stdout);
}

static bool is_enough(const struct trace *t)
{
	return t->err || (t->opts->events && t->events >= t->opts->events);
}

static int print_hit(const struct trace *t, const struct trace_event *event)
{
	if (out_json)
		return out_line(stdout, event_json(t, event));
	print_event(t, event);
	return ferror(stdout) ? out_failed() : 0;
}

/*
 * The ring may hold more than was asked for. What goes on being added must not keep the reader
 * from seeing that it is to end: it comes back for the rest when nothing is added any more.
 */
static int on_event(void *context, void *data, size_t size __unused)
{
	struct trace *t = context;

	if (is_enough(t)) {
		t->left++;
	} else {
		t->err = print_hit(t, data);
		if (t->err)
			t->left++;
		else
			t->events++;
	}
	return !t->draining && (stopped || is_enough(t)) ? -ECANCELED : 0;
}

/* ---- running ---- */

static uint64_t counted(const struct trace *t, enum trace_count which)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *values = calloc(cpus > 0 ? cpus : 1, sizeof(*values)), all = 0;
	uint32_t slot = which;

	if (values && !bpf_map_lookup_elem(bpf_map__fd(t->skel->maps.counts), &slot, values))
		for (int i = 0; i < cpus; i++)
			all += values[i];
	free(values);
	return all;
}

static void on_sample(void *context, int cpu __unused, void *data, uint32_t size)
{
	on_event(context, data, size);
}

/* The program counts what it could not write. */
static void on_lost(void *context __unused, int cpu __unused, unsigned long long nr __unused)
{
}

/* Where its lock sleeps a program with a ring is refused: PREEMPT_RT before 6.12. */
static bool ring_sleeps(void)
{
	unsigned int major, minor;
	struct utsname uts;

	return !kernel_release(&uts) && strstr(uts.version, "PREEMPT_RT") &&
	       sscanf(uts.release, "%u.%u", &major, &minor) == 2 &&
	       (major < 6 || (major == 6 && minor < 12));
}

static int open_buffer(struct trace *t)
{
	int err;

	if (t->perf)
		t->samples = perf_buffer__new(bpf_map__fd(t->skel->maps.perf_events), SAMPLE_PAGES,
					      on_sample, on_lost, t, NULL);
	else
		t->ring = ring_buffer__new(bpf_map__fd(t->skel->maps.events), on_event, t, NULL);
	if (t->samples || t->ring)
		return 0;
	err = -errno;
	p_err("cannot read the tracing program's buffer: %s", strerror(-err));
	return err;
}

static int follow(struct trace *t)
{
	int err = 0;

	if (!out_json && !t->opts->count)
		printf("%-13s  %3s  %7s  %-15s  %s\n", "TIME", "CPU", "THREAD", "NAME", "SITE");
	fflush(stdout);
	while (!stopped && !is_enough(t)) {
		err = t->perf ? perf_buffer__poll(t->samples, 200) :
				ring_buffer__poll(t->ring, 200);
		if (err < 0 && err != -EINTR && err != -ECANCELED)
			break;
		err = 0;
	}
	if (err)
		p_err("cannot read the tracing program's buffer: %s", strerror(-err));
	return err;
}

/* What was hit before the probe went is in the buffer. */
static int drain(struct trace *t)
{
	int err = t->nr == 1 ? bpf_probe_stop(&t->probes[0]) : 0;

	if (t->nr > 1)
		bpf_probes_stop(t->probes, t->nr);
	t->draining = true;
	if (!err)
		err = t->perf ? perf_buffer__consume(t->samples) : ring_buffer__consume(t->ring);
	if (err < 0)
		p_err("cannot read the rest of the tracing program's buffer: %s", strerror(-err));
	return err < 0 ? err : 0;
}

static int by_hits(const void *a, const void *b)
{
	const struct bpf_probe *x = a, *y = b;

	if (x->info.hits != y->info.hits)
		return x->info.hits < y->info.hits ? 1 : -1;
	return strcmp(x->info.site, y->info.site);
}

/* Sites that were hit, the one with the most hits first. */
static int print_counts(const struct trace *t, uint64_t hits)
{
	struct table table;
	int err = 0;

	if (t->nr > 1)
		qsort(t->probes, t->nr, sizeof(*t->probes), by_hits);
	table_init(&table, 2, 0b01);
	table_add(&table, "HITS\tSITE");
	for (unsigned int i = 0; i < t->nr && !err; i++) {
		const struct ktramp_probe_info *info = &t->probes[i].info;
		uint64_t nr = t->nr == 1 ? hits : info->hits;

		if (!nr)
			continue;
		if (out_json)
			err = out_line(stdout, json_pack("{s:s, s:s, s:I}", "type", "count",
							 "site", info->site,
							 "hits", (json_int_t)nr));
		table_add(&table, "%" PRIu64 "\t%s", nr, info->site);
	}
	if (!out_json && !err)
		err = table_print(&table);
	table_deinit(&table);
	return err;
}

/* Printed and lost make up the hits, whatever happened. */
static int report(struct trace *t)
{
	uint64_t full = counted(t, TRACE_LOST), own = counted(t, TRACE_OWN);
	uint64_t hits = counted(t, TRACE_HITS), missed = 0, ours = 0;

	for (unsigned int i = 0; i < t->nr; i++) {
		bpf_probe_counters(&t->probes[i]);
		ours += t->probes[i].info.hits;
		missed += t->probes[i].info.missed;
	}
	/* Of the kernel's own ways only the program counts. */
	if (!bpf_is_way(t->probes[0].mechanism->mechanism))
		hits = ours;
	if (t->opts->count)
		return print_counts(t, hits);
	/* Nobody reads what is printed: who reads errors is told. */
	if (out_json)
		return out_line(t->err ? stderr : stdout,
				json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "type", "end",
					  "printed", (json_int_t)t->events,
					  "lost", (json_int_t)(full + t->left),
					  "hits", (json_int_t)(hits - own),
					  "missed", (json_int_t)missed,
					  "own", (json_int_t)own));
	if (t->err && t->left)
		p_warn("%llu hits were not printed, %llu were", (unsigned long long)t->left,
		       (unsigned long long)t->events);
	if (full)
		p_warn("%llu hits found the buffer full and were not printed",
		       (unsigned long long)full);
	if (own)
		p_warn("%llu hits were this command's own, and left out",
		       (unsigned long long)own);
	if (missed)
		p_warn("%llu hits were inside of BPF programs or bpf(), and left out",
		       (unsigned long long)missed);
	return 0;
}

/* Its namespace, and its number there. */
static int set_own(struct trace *t)
{
	struct stat ns = { 0 };

	/* A kernel without CONFIG_PID_NS has the others only. */
	if (stat("/proc/self/ns/pid", &ns) && (errno != ENOENT || access("/proc/self/ns", F_OK))) {
		p_err("cannot tell this command's own hits: /proc/self/ns/pid: %s; is /proc "
		      "mounted?", strerror(errno));
		return -errno;
	}
	t->skel->rodata->own_tgid = getpid();
	t->skel->rodata->own_dev = ns.st_dev;
	t->skel->rodata->own_ino = ns.st_ino;
	return 0;
}

/* Where control leaves by a jump there is no value; a pattern's functions may have no types. */
static int find_args(struct trace *t, unsigned int i, const struct bpf_types *types)
{
	const struct bpf_probe *probe = &t->probes[i];
	struct traced_args *args = &t->args[i];

	args->returns |= bpf_is_return(probe->mechanism->mechanism);
	if (args->leaves && !args->returns)
		return 0;
	return bpf_args_find(&args->args, probe->dev, &probe->info, args->returns, types);
}

static int prepare(struct trace *t, const struct bpf_types *types)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = types->path);
	int err;

	if (types->missing) {
		bpf_types_complain("ktramp trace");
		return -ENOENT;
	}
	bpf_listen();
	t->skel = trace_bpf__open_opts(&opts);
	err = t->skel ? 0 : -errno;
	if (!err) {
		t->perf = ring_sleeps();
		t->program = t->perf ? t->skel->progs.trace_hit_perf : t->skel->progs.trace_hit;
		bpf_program__set_autoload(t->program, true);
		t->skel->rodata->want_stack = t->opts->stack;
		t->skel->rodata->want_events = !t->opts->count;
		if (set_own(t))
			return -EIO;
		err = trace_bpf__load(t->skel);
	}
	if (err) {
		p_err("cannot load the tracing program: %s", bpf_why(err));
		return err;
	}
	for (unsigned int i = 0; t->opts->args && i < t->nr && !err; i++)
		err = find_args(t, i, types);
	if (err)
		return err;
	if (t->opts->stack)
		t->symbols = ksym_table_load();
	return 0;
}

/* What a pattern matched and cannot be probed is passed over, and counted. */
static int make_probe(struct trace *t, const struct dev *dev, const struct place *place)
{
	const struct options *opts = t->opts;
	struct bpf_probe *probe = &t->probes[t->nr];
	int err;

	if (place->matched)
		err = bpf_probe_try(probe, dev, opts->mechanism, place->site, opts->pid);
	else
		err = bpf_probe_make(probe, dev, opts->mechanism, KTRAMP_BPF, place->site, false,
				     opts->pid);
	if (err && place->matched && probe->mechanism && !probe->mechanism->reason) {
		t->refused++;
		return 0;
	}
	if (!err)
		t->nr++;
	return err;
}

static int check_many(const struct trace *t)
{
	const char *mechanism = t->opts->mechanism ? t->opts->mechanism : "bpf-jump";

	if (!t->nr) {
		p_err("none of %u functions can be probed by '%s'", t->refused, mechanism);
		return -ENOENT;
	}
	if (t->refused)
		p_warn("%u of %u functions cannot be probed by '%s'", t->refused,
		       t->refused + t->nr, mechanism);
	if (t->nr == 1)
		return 0;
	if (bpf_is_way(t->probes[0].mechanism->mechanism)) {
		p_err("'%s' is for one site; ktramp's own mechanisms take several", mechanism);
		return -EINVAL;
	}
	if (!t->probes[0].info.address) {
		p_err("addresses are hidden, by which hits are told apart: say one site, or see "
		      "sysctl kernel.kptr_restrict");
		return -EPERM;
	}
	return 0;
}

/* By address, each with what is known of its place. */
static int note_places(struct trace *t)
{
	t->args = calloc(t->nr + 1, sizeof(*t->args));
	if (!t->args)
		return -ENOMEM;
	if (t->nr > 1)
		qsort(t->probes, t->nr, sizeof(*t->probes), by_address);
	for (unsigned int i = 0; i < t->nr; i++)
		for (unsigned int j = 0; j < t->places.nr; j++) {
			const struct place *place = &t->places.v[j];

			if (!place->leaves || strcmp(place->site, t->probes[i].info.site))
				continue;
			t->args[i].leaves = true;
			t->args[i].returns = place->returns;
		}
	return 0;
}

static int make_probes(struct trace *t, const struct dev *dev)
{
	const struct options *opts = t->opts;
	int err = 0;

	for (unsigned int i = 0; i < opts->nr_sites && !err; i++)
		err = places_add(&t->places, dev, opts->sites[i]);
	t->probes = err ? NULL : calloc(t->places.nr + 1, sizeof(*t->probes));
	if (!err && !t->probes)
		err = -ENOMEM;
	for (unsigned int i = 0; i < t->places.nr && !err && !stopped; i++)
		err = make_probe(t, dev, &t->places.v[i]);
	if (!err)
		err = check_many(t);
	if (!err)
		err = note_places(t);
	if (err == -ENOMEM)
		p_err("cannot probe so many places: %s", strerror(ENOMEM));
	return err;
}

static int attach(struct trace *t)
{
	unsigned int gone = 0;
	int err;

	if (t->nr == 1)
		return bpf_probe_attach(&t->probes[0], t->program);
	err = bpf_probes_attach(t->probes, t->nr, t->program);
	for (unsigned int i = 0; i < t->nr && !err; i++)
		gone += !t->probes[i].info.id;
	if (gone)
		p_warn("%u of %u probes cannot be armed", gone, t->nr);
	return err;
}

static int trace(struct trace *t)
{
	struct dev dev __cleanup(dev_close) = { .fd = -1 };
	struct bpf_types types __cleanup(bpf_types_drop) = { .fd = -1 };
	int err;

	if (dev_open(&dev) || bpf_types_find(&types, t->opts->btf))
		return -EIO;
	err = make_probes(t, &dev);
	if (!err)
		err = prepare(t, &types);
	if (!err)
		err = open_buffer(t);
	if (!err)
		err = attach(t);
	if (!err) {
		err = follow(t);
		/* Whatever it ended by, what was hit is told of. */
		err = drain(t) ?: err;
		err = report(t) ?: err;
	}
	for (unsigned int i = 0; i < t->nr; i++)
		bpf_probe_drop(&t->probes[i]);
	return err ?: t->err;
}

int cmd_trace(int argc, char **argv)
{
	struct options opts = { 0 };
	struct trace t = { .opts = &opts };
	int err;

	argp_parse(&argp, argc, argv, 0, NULL, &opts);
	catch_signals();
	err = trace(&t);
	ring_buffer__free(t.ring);
	perf_buffer__free(t.samples);
	trace_bpf__destroy(t.skel);
	for (unsigned int i = 0; t.args && i < t.nr; i++)
		bpf_args_free(t.args[i].args);
	free(t.args);
	free(t.probes);
	places_free(&t.places);
	ksym_table_free(t.symbols);
	return err ? EXIT_FAILED : EXIT_OK;
}
