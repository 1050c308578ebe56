// SPDX-License-Identifier: GPL-2.0-only
/* ktramp bpf: a user's own BPF program at any site. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bpf/bpf.h"
#include "bpf/bpf_dump.h"

/* Pages of one CPU's perf buffer. */
#define PERF_PAGES	16

enum option_key {
	OPT_PROG = 256,
	OPT_BTF,
	OPT_KEEP,
	OPT_INLINE,
	OPT_REENTRANT,
};

struct options {
	const char *site;
	const char *object;
	const char *prog;
	const char *mechanism;
	const char *btf;
	uint32_t seconds;
	uint32_t interval;
	uint32_t pid;
	bool keep;
	bool reentrant;
	bool inlined;
};

/* One that the program writes records to. */
struct stream {
	const char *map;
	struct ring_buffer *ring;
	struct perf_buffer *perf;
	uint64_t lost;
};

#define STREAMS_MAX	16

struct run {
	const struct options *opts;
	struct bpf_object *object;
	struct bpf_program *prog;
	struct bpf_probe probe;
	unsigned int nr_streams;
	struct stream stream[STREAMS_MAX];
};

static const struct argp_option options[] = {
	{ "prog", OPT_PROG, "NAME", 0, "Run this program of the object, where it has several", 0 },
	{ "mechanism", 'm', "MECHANISM", 0,
	  "Probe by this one: one that runs the handler 'bpf', or the kernel's bpf-*, which 'ktramp "
	  "mechanisms' lists. Default: bpf-jump, or int3-divert where no jump fits", 0 },
	{ "pid", 'p', "PID", 0, "Hits of this process only, with all its threads; ours only", 0 },
	{ "seconds", 's', "N", 0, "End after N seconds. Default: at Ctrl-C", 0 },
	{ "interval", 'i', "N", 0, "Print the maps every N seconds, not at the end only", 0 },
	{ "keep", OPT_KEEP, NULL, 0,
	  "Leave the probe there, as a pinned link would be; 'ktramp remove' takes it away", 0 },
	{ "inline", OPT_INLINE, NULL, 0,
	  "Have the program's instructions in the detour itself, without a call (handler "
	  "'bpf-inline'): if it calls nothing and uses no stack. bpf-jump only", 0 },
	{ "reentrant", OPT_REENTRANT, NULL, 0,
	  "A run of the program in the middle of another one does no harm: bpf-jump does without "
	  "the guard that its stores would need", 0 },
	{ "btf", OPT_BTF, "FILE", 0, "Types of this kernel, instead of its own", 0 },
	{ }
};

static const char doc[] =
	"Run a program of the BPF object file OBJECT at each hit of SITE, and print what it writes: "
	"records of ring and perf buffers as they come, and at the end its maps and global "
	"variables. SITE is symbol+0xoffset, module:symbol+0xoffset, 0xaddress or a target's "
	"name.\v"
	"The object is what 'clang -target bpf -g -O2 -c' makes of a source with SEC(\"kprobe\"). "
	"Ours, bpf-jump, runs it at any instruction, with all registers as its context; the kernel's "
	"ways need the kind of program they are for, such as SEC(\"fentry\").\n\n"
	"A kernel without types (BTF) is served where they were built into the command, or by "
	"--btf.\n\n"
	"Exit status: 0, 1 if the object, the program or the site will not do, 2 on wrong usage.\n\n"
	"Examples:\n"
	"  ktramp bpf vfs_read+0x20 mine.bpf.o\n"
	"  ktramp bpf do_sys_openat2 mine.bpf.o --prog on_open --seconds 10\n"
	"  ktramp bpf vfs_read mine.bpf.o --mechanism bpf-fentry\n"
	"  ktramp bpf kfree mine.bpf.o --json | jq 'select(.type == \"map\")'\n";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opts = state->input;

	switch (key) {
	case OPT_PROG:
		opts->prog = arg;
		return 0;
	case 'm':
		opts->mechanism = arg;
		return 0;
	case 'p':
		opts->pid = parse_number(state, "--pid", arg, 1, INT32_MAX);
		return 0;
	case 's':
		opts->seconds = parse_number(state, "--seconds", arg, 1, INT32_MAX);
		return 0;
	case 'i':
		opts->interval = parse_number(state, "--interval", arg, 1, INT32_MAX);
		return 0;
	case OPT_KEEP:
		opts->keep = true;
		return 0;
	case OPT_INLINE:
		opts->inlined = true;
		return 0;
	case OPT_REENTRANT:
		opts->reentrant = true;
		return 0;
	case OPT_BTF:
		opts->btf = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num == 0)
			opts->site = arg;
		else if (state->arg_num == 1)
			opts->object = arg;
		else
			argp_error(state, "'%s': there are a SITE and an OBJECT already", arg);
		return 0;
	case ARGP_KEY_END:
		if (!opts->object)
			argp_error(state, "a SITE and an OBJECT are needed");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = CMD_ARGP("SITE OBJECT");

/* ---- records ---- */

static bool is_text(const char *data, size_t size)
{
	size_t len = strnlen(data, size);

	if (!len || len == size)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isprint((unsigned char)data[i]) && !isspace((unsigned char)data[i]))
			return false;
	return true;
}

static int print_record(const struct stream *stream, const void *data, size_t size)
{
	char bytes[3 * 256 + 4] = "";
	size_t n = MIN(size, (size_t)256);
	json_t *line;

	hex(bytes, sizeof(bytes), data, n);
	if (!out_json) {
		if (is_text(data, size))
			printf("%s: %s\n", stream->map, (const char *)data);
		else
			printf("%s: %s%s\n", stream->map, bytes, n < size ? " ..." : "");
		return fflush(stdout) ? -EIO : 0;
	}
	line = json_pack("{s:s, s:s, s:I, s:s}", "type", "record", "map", stream->map, "size",
			 (json_int_t)size, "bytes", bytes);
	if (is_text(data, size))
		json_object_set_new(line, "text", json_string(data));
	return out_line(stdout, line);
}

static int on_ring(void *context, void *data, size_t size)
{
	return print_record(context, data, size);
}

static void on_perf(void *context, int cpu __unused, void *data, __u32 size)
{
	print_record(context, data, size);
}

static void on_lost(void *context, int cpu __unused, __u64 lost)
{
	((struct stream *)context)->lost += lost;
}

static int open_stream(struct stream *stream, const struct bpf_map *map)
{
	stream->map = bpf_map__name(map);
	if (bpf_map__type(map) == BPF_MAP_TYPE_RINGBUF)
		stream->ring = ring_buffer__new(bpf_map__fd(map), on_ring, stream, NULL);
	else
		stream->perf = perf_buffer__new(bpf_map__fd(map), PERF_PAGES, on_perf, on_lost,
						stream, NULL);
	if (stream->ring || stream->perf)
		return 0;
	p_err("cannot read '%s': %s", stream->map, strerror(errno));
	return -errno;
}

static int open_streams(struct run *run)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, run->object) {
		int err;

		if (bpf_map__type(map) != BPF_MAP_TYPE_RINGBUF &&
		    bpf_map__type(map) != BPF_MAP_TYPE_PERF_EVENT_ARRAY)
			continue;
		if (run->nr_streams == STREAMS_MAX) {
			p_err("'%s' has more than %u ring and perf buffers", run->opts->object,
			      STREAMS_MAX);
			return -E2BIG;
		}
		err = open_stream(&run->stream[run->nr_streams], map);
		if (err)
			return err;
		run->nr_streams++;
	}
	return 0;
}

static void close_streams(struct run *run)
{
	for (unsigned int i = 0; i < run->nr_streams; i++) {
		ring_buffer__free(run->stream[i].ring);
		perf_buffer__free(run->stream[i].perf);
	}
}

static int read_streams(struct run *run, int timeout)
{
	for (unsigned int i = 0; i < run->nr_streams; i++) {
		struct stream *stream = &run->stream[i];
		int err = stream->ring ? ring_buffer__poll(stream->ring, timeout) :
					 perf_buffer__poll(stream->perf, timeout);

		if (err < 0 && err != -EINTR) {
			p_err("cannot read '%s': %s", stream->map, strerror(-err));
			return err;
		}
	}
	return ferror(stdout) ? -EIO : 0;
}

/* ---- running ---- */

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void nap(void)
{
	const struct timespec ts = { .tv_nsec = 100000000 };

	nanosleep(&ts, NULL);
}

static int follow(struct run *run)
{
	double begin = now(), printed = begin;
	int err = 0;

	while (!stopped && !err) {
		if (run->opts->seconds && now() - begin >= run->opts->seconds)
			break;
		if (run->nr_streams)
			err = read_streams(run, 100);
		else
			nap();
		if (!err && run->opts->interval && now() - printed >= run->opts->interval) {
			printed = now();
			err = bpf_dump_maps(run->object);
			fflush(stdout);
		}
	}
	return err ? err : read_streams(run, 0);
}

static int report(struct run *run)
{
	const struct ktramp_probe_info *info = &run->probe.info;
	int err = bpf_dump_maps(run->object);

	for (unsigned int i = 0; i < run->nr_streams; i++)
		if (run->stream[i].lost)
			p_warn("%llu records of '%s' were lost",
			       (unsigned long long)run->stream[i].lost, run->stream[i].map);
	if (err || bpf_probe_counters(&run->probe))
		return err;
	if (bpf_is_way(run->probe.mechanism->mechanism))
		return 0;
	if (out_json)
		return out_line(stdout, json_pack("{s:s, s:s, s:I, s:I, s:I, s:o}", "type", "end",
						  "site", info->site,
						  "hits", (json_int_t)info->hits,
						  "missed", (json_int_t)info->missed,
						  "filtered", (json_int_t)info->filtered,
						  "class", class_json(info)));
	if (info->bpf_class)
		p_info("%s: %llu hits, %llu missed, class %s", info->site, info->hits,
		       info->missed, class_name(info->bpf_class));
	else
		p_info("%s: %llu hits, %llu missed", info->site, info->hits, info->missed);
	return 0;
}

/*
 * What a program is for is the name of its section: to the kernel those for returns, and for
 * programs of user space, are of one type with all that run at a site.
 */
static int check_section(const struct run *run)
{
	const char *name = bpf_program__section_name(run->prog), *why = NULL;
	bool returns = bpf_is_return(run->probe.mechanism->mechanism);

	name += *name == '?';
	if (!strncmp(name, "kretprobe", 9) && !returns)
		why = "is for returns: -m bpf-kretprobe runs it there";
	else if (!strncmp(name, "uprobe", 6) || !strncmp(name, "uretprobe", 9) ||
		 !strncmp(name, "usdt", 4))
		why = "is for a place in a program, not in the kernel";
	if (!why)
		return 0;
	p_refusal(&(struct refusal){ run->probe.info.site, KTRAMP_R_PROGRAM, EINVAL },
		  "'%s' of '%s', SEC(\"%s\"), %s", bpf_program__name(run->prog),
		  run->opts->object, name, why);
	return -EINVAL;
}

static int load_object(struct run *run, const struct bpf_types *types)
{
	int err;

	err = bpf_way_open(run->probe.mechanism->mechanism, &run->probe.info);
	if (err)
		return err;
	run->object = bpf_object_open_file(run->opts->object, types);
	if (!run->object)
		return -EINVAL;
	run->prog = bpf_object_choose(run->object, run->opts->prog);
	if (!run->prog)
		return -ENOENT;
	err = check_section(run);
	if (err)
		return err;
	bpf_listen();
	err = bpf_way_prepare(run->prog, run->probe.mechanism->mechanism, &run->probe.info);
	if (!err)
		err = bpf_object__load(run->object);
	if (err)
		p_err("cannot load '%s': %s", run->opts->object, bpf_why(err));
	return err;
}

static int leave(struct run *run)
{
	printf("probe %u: %s %s\n", run->probe.info.id, run->probe.mechanism->name,
	       run->probe.info.site);
	bpf_probe_leave(&run->probe);
	return 0;
}

static int start(struct run *run, const struct dev *dev, const struct bpf_types *types)
{
	const struct options *opts = run->opts;
	int err;

	err = bpf_probe_make(&run->probe, dev, opts->mechanism,
			     opts->inlined ? KTRAMP_BPF_INLINE : KTRAMP_BPF, opts->site, opts->keep,
			     opts->pid);
	run->probe.flags = opts->reentrant ? KTRAMP_BPF_REENTRANT : 0;
	if (!err && opts->keep && bpf_is_way(run->probe.mechanism->mechanism)) {
		p_err("--keep is for our own mechanisms; '%s' ends with the command",
		      opts->mechanism);
		err = -EINVAL;
	}
	if (!err)
		err = load_object(run, types);
	if (!err)
		err = bpf_probe_attach(&run->probe, run->prog);
	if (err || opts->keep)
		return err;
	return open_streams(run);
}

static int bpf(struct run *run)
{
	struct dev dev __cleanup(dev_close) = { .fd = -1 };
	struct bpf_types types __cleanup(bpf_types_drop) = { .fd = -1 };
	int err;

	if (dev_open(&dev) || bpf_types_find(&types, run->opts->btf))
		return -EIO;
	err = start(run, &dev, &types);
	if (!err && run->opts->keep)
		err = leave(run);
	else if (!err)
		err = follow(run);
	if (!err && !run->opts->keep)
		err = report(run);
	bpf_probe_drop(&run->probe);
	close_streams(run);
	bpf_object__close(run->object);
	return err;
}

int cmd_bpf(int argc, char **argv)
{
	struct options opts = { 0 };
	struct run run = { .opts = &opts };

	argp_parse(&argp, argc, argv, 0, NULL, &opts);
	catch_signals();
	return bpf(&run) ? EXIT_FAILED : EXIT_OK;
}
