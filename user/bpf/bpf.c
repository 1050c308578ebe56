// SPDX-License-Identifier: GPL-2.0-only
/*
 * BPF programs on the kernel's mechanisms, by libbpf; and libbpf's voice, made ours.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "count.skel.h"
#include "lib/ktramp.h"

/* How long the kernel's optimizer may take, and detaching until the bytes are back. */
#define SETTLE_MS	3000

/* libbpf explains a failure in warnings, the first of which is the cause. */
static char first_warning[256];

static int keep_warning(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	if (level != LIBBPF_WARN || *first_warning)
		return 0;
	vsnprintf(first_warning, sizeof(first_warning), fmt, ap);
	first_warning[strcspn(first_warning, "\n")] = '\0';
	return 0;
}

void bpf_listen(void)
{
	first_warning[0] = '\0';
	libbpf_set_print(keep_warning);
}

/* What went wrong since bpf_listen(), or the error's own name. */
const char *bpf_why(int err)
{
	const char *text = first_warning;

	if (!*text)
		return strerror(err < 0 ? -err : err);
	return strncmp(text, "libbpf: ", 8) ? text : text + 8;
}

/* ---- the kernel's ways ---- */

static const struct way {
	uint32_t mechanism;
	const char *counter;		/* the program of bpf/count.bpf.c */
	enum bpf_prog_type type;
	bool retprobe;
	bool named;			/* attaches to a function by its name, in BTF */
} ways[] = {
	{ KTRAMP_BPF_KPROBE_STEP, "count_kprobe", BPF_PROG_TYPE_KPROBE, false, false },
	{ KTRAMP_BPF_KPROBE_INT3, "count_kprobe", BPF_PROG_TYPE_KPROBE, false, false },
	{ KTRAMP_BPF_KPROBE_OPT, "count_kprobe", BPF_PROG_TYPE_KPROBE, false, false },
	{ KTRAMP_BPF_KPROBE_FTRACE, "count_kprobe", BPF_PROG_TYPE_KPROBE, false, false },
	{ KTRAMP_BPF_KPROBE_MULTI, "count_kprobe_multi", BPF_PROG_TYPE_KPROBE, false, false },
	{ KTRAMP_BPF_KRETPROBE, "count_kretprobe", BPF_PROG_TYPE_KPROBE, true, false },
	{ KTRAMP_BPF_FENTRY, "count_fentry", BPF_PROG_TYPE_TRACING, false, true },
	{ KTRAMP_BPF_FEXIT, "count_fexit", BPF_PROG_TYPE_TRACING, false, true },
	{ KTRAMP_BPF_RAW_TP, "count_raw_tp", BPF_PROG_TYPE_RAW_TRACEPOINT, false, false },
	{ KTRAMP_BPF_TRACEPOINT, "count_tracepoint", BPF_PROG_TYPE_TRACEPOINT, false, false },
};

static const struct way *way_of(uint32_t mechanism)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		if (ways[i].mechanism == mechanism)
			return &ways[i];
	return NULL;
}

/* Is it attached from here, instead of by the module? */
bool bpf_is_way(uint32_t mechanism)
{
	return way_of(mechanism);
}

/* Are its hits a function's returns? */
bool bpf_is_return(uint32_t mechanism)
{
	const struct way *way = way_of(mechanism);

	return way && way->retprobe;
}

/* "module:symbol+0x10" or "symbol": the symbol. */
static void function_of(const char *site, char *name, size_t size)
{
	const char *colon = strchr(site, ':');

	snprintf(name, size, "%s", colon ? colon + 1 : site);
	name[strcspn(name, "+ ")] = '\0';
}

static int attach_multi(const struct bpf_program *prog, uint64_t address, struct bpf_link **link)
{
	const unsigned long addr = address;
	LIBBPF_OPTS(bpf_kprobe_multi_opts, opts, .addrs = &addr, .cnt = 1);

	*link = bpf_program__attach_kprobe_multi_opts(prog, NULL, &opts);
	return *link ? 0 : -errno;
}

/* By address: a static function's name may not be the only one. */
static int attach_kprobe(const struct bpf_program *prog, bool retprobe, uint64_t address,
			 struct bpf_link **link)
{
	LIBBPF_OPTS(bpf_kprobe_opts, opts, .offset = address, .retprobe = retprobe);

	*link = bpf_program__attach_kprobe_opts(prog, NULL, &opts);
	return *link ? 0 : -errno;
}

/**
 * bpf_way_prepare() - tell a program, before it is loaded, where it will be attached
 * @prog: the program
 * @mechanism: one of the kernel's BPF mechanisms
 * @probe: the probe that watches the site
 */
int bpf_way_prepare(struct bpf_program *prog, uint32_t mechanism,
		    const struct ktramp_probe_info *probe)
{
	char function[KTRAMP_SITE_MAX];

	const struct way *way = way_of(mechanism);

	if (!way || !way->named)
		return 0;
	function_of(probe->site, function, sizeof(function));
	return bpf_program__set_attach_target(prog, 0, function);
}

/**
 * bpf_way_attach() - attach a loaded program
 * @prog: the program
 * @mechanism: one of the kernel's BPF mechanisms
 * @probe: the probe that watches the site
 * @link: (out) give it back with bpf_link__destroy()
 */
int bpf_way_attach(struct bpf_program *prog, uint32_t mechanism,
		   const struct ktramp_probe_info *probe, struct bpf_link **link)
{
	const struct way *way = way_of(mechanism);

	switch (mechanism) {
	case KTRAMP_BPF_KPROBE_MULTI:
		return attach_multi(prog, probe->address, link);
	case KTRAMP_BPF_KPROBE_STEP:
	case KTRAMP_BPF_KPROBE_INT3:
	case KTRAMP_BPF_KPROBE_OPT:
	case KTRAMP_BPF_KPROBE_FTRACE:
	case KTRAMP_BPF_KRETPROBE:
		return attach_kprobe(prog, way->retprobe, probe->address, link);
	default:
		*link = bpf_program__attach(prog);
		return *link ? 0 : -errno;
	}
}

static bool is_settled(const struct ktramp_probe_info *probe, int first)
{
	if (first >= 0)
		return probe->now[0] == first;
	return !memcmp(probe->now, probe->before,
		       MIN(probe->length, (uint32_t)KTRAMP_BYTES_MAX));
}

/**
 * bpf_way_settle() - wait until the kernel is done with the site's bytes
 * @dev: the device
 * @id: the probe that watches them
 * @first: the first byte that is waited for, or -1 for the original ones
 *
 * A kprobe becomes a jump, and goes, some time after it is asked to.
 * Return: 0; -EAGAIN the kernel left other bytes there.
 */
int bpf_way_settle(const struct dev *dev, uint32_t id, int first)
{
	struct ktramp_probe_info probe;

	for (unsigned int waited = 0; waited < SETTLE_MS; waited += 10) {
		int err = dev_probe(dev, id, 0, &probe);

		if (err)
			return err;
		if (is_settled(&probe, first))
			return 0;
		usleep(10000);
	}
	return -EAGAIN;
}

/* ---- the program that counts ---- */

struct bpf_counter {
	uint32_t mechanism;
	struct count_bpf *skel;
	struct bpf_program *prog;
	struct bpf_link *link;
};

/**
 * bpf_counter_load() - load the counting program
 * @counter: (out) to be given to bpf_counter_free()
 * @mechanism: what will run it
 * @probe: the probe at the site
 *
 * Return: 0, or -errno that bpf_why() explains.
 */
int bpf_counter_load(struct bpf_counter **counter, uint32_t mechanism,
		     const struct ktramp_probe_info *probe)
{
	const struct way *way = way_of(mechanism);
	const char *program = way ? way->counter : "count_kprobe";
	struct bpf_counter *c = calloc(1, sizeof(*c));
	int err;

	bpf_listen();
	*counter = c;
	if (!c)
		return -ENOMEM;
	c->mechanism = mechanism;
	c->skel = count_bpf__open();
	if (!c->skel)
		return -errno;
	c->prog = bpf_object__find_program_by_name(c->skel->obj, program);
	bpf_program__set_autoload(c->prog, true);
	err = bpf_way_prepare(c->prog, mechanism, probe);
	return err ? err : count_bpf__load(c->skel);
}

/* Return: 0, or -errno that bpf_why() explains. */
int bpf_counter_attach(struct bpf_counter *counter, const struct ktramp_probe_info *probe)
{
	bpf_listen();
	return bpf_way_attach(counter->prog, counter->mechanism, probe, &counter->link);
}

void bpf_counter_detach(struct bpf_counter *counter)
{
	bpf_link__destroy(counter->link);
	counter->link = NULL;
}

int bpf_counter_fd(const struct bpf_counter *counter)
{
	return bpf_program__fd(counter->prog);
}

uint64_t bpf_counter_read(const struct bpf_counter *counter)
{
	return *(volatile const __u64 *)&counter->skel->bss->hits;
}

void bpf_counter_free(struct bpf_counter **counter)
{
	struct bpf_counter *c = *counter;

	*counter = NULL;
	if (!c)
		return;
	bpf_counter_detach(c);
	count_bpf__destroy(c->skel);
	free(c);
}
