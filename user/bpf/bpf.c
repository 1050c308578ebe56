// SPDX-License-Identifier: GPL-2.0-only
/*
 * BPF programs on the kernel's mechanisms, by libbpf; and libbpf's voice, made ours.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "count.skel.h"
#include "lib/ktramp.h"

/* How long the kernel's optimizer may take, and detaching until the bytes are back. */
#define SETTLE_MS	3000

/* libbpf explains a failure in warnings, the first of which is the cause. */
static char first_warning[256];

/* And the verifier in its log, which is one of the next: its last words are its reason. */
static char verdict[256];

#define LOG_BEGIN	"BEGIN PROG LOAD LOG --\n"
#define LOG_END		"-- END PROG LOAD LOG"

/* From 7.3 on an explanation of many lines follows the reason. */
#define EXPLANATION	"Verification failed: "

/* What a line of the log says of the cause; the log of a field that is missing says which. */
static bool is_verdict(const char *line, size_t len)
{
	static const char *const others[] = { "processed ", "verification time", "stack depth" };

	if (!len)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (!strncmp(line, others[i], strlen(others[i])))
			return false;
	return true;
}

static void keep_verdict(const char *log)
{
	const char *end = strstr(log, LOG_END), *missing = strstr(log, "failed to resolve CO-RE");

	if (missing && (!end || missing < end)) {
		snprintf(verdict, sizeof(verdict), "%.*s", (int)strcspn(missing, "\n"), missing);
		return;
	}
	for (const char *line = log; *line && (!end || line < end);) {
		size_t len = strcspn(line, "\n");

		if (!strncmp(line, EXPLANATION, strlen(EXPLANATION)))
			return;
		if (is_verdict(line, len))
			snprintf(verdict, sizeof(verdict), "%.*s", (int)len, line);
		line += len + (line[len] == '\n');
	}
}

static int keep_warning(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char *text, *log;

	if (level != LIBBPF_WARN || vasprintf(&text, fmt, ap) < 0)
		return 0;
	log = strstr(text, LOG_BEGIN);
	if (log) {
		keep_verdict(log + strlen(LOG_BEGIN));
	} else if (!*first_warning) {
		snprintf(first_warning, sizeof(first_warning), "%.*s", (int)strcspn(text, "\n"),
			 text);
	}
	free(text);
	return 0;
}

void bpf_listen(void)
{
	first_warning[0] = '\0';
	verdict[0] = '\0';
	libbpf_set_print(keep_warning);
}

/* What went wrong since bpf_listen(), or the error's own name. */
const char *bpf_why(int err)
{
	static char both[sizeof(first_warning) + sizeof(verdict) + 32];
	const char *text = first_warning;

	if (!*text)
		return strerror(err < 0 ? -err : err);
	text += strncmp(text, "libbpf: ", 8) ? 0 : 8;
	if (!*verdict)
		return text;
	snprintf(both, sizeof(both), "%s; the verifier says: %s", text, verdict);
	return both;
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

/* Where addresses are hidden, a name and an offset have to do. */
static int name_of(const struct ktramp_probe_info *probe, char *name, size_t size,
		   uint64_t *offset)
{
	const char *plus = strrchr(probe->site, '+');

	if (strchr(probe->site, ',')) {
		p_refusal(&(struct refusal){ probe->site, KTRAMP_R_AMBIGUOUS, EADDRNOTAVAIL },
			  "several functions are called as %s is, and the kernel attaches by name",
			  probe->site);
		return -EADDRNOTAVAIL;
	}
	snprintf(name, size, "%.*s", (int)(plus ? plus - probe->site : (long)size), probe->site);
	*offset = plus ? strtoull(plus + 1, NULL, 16) : 0;
	return 0;
}

static int attach_multi(const struct bpf_program *prog, const struct ktramp_probe_info *probe,
			struct bpf_link **link)
{
	const unsigned long addr = probe->address;
	char name[KTRAMP_SITE_MAX];
	const char *symbol = name;
	uint64_t offset;
	LIBBPF_OPTS(bpf_kprobe_multi_opts, opts, .cnt = 1);
	int err = addr ? 0 : name_of(probe, name, sizeof(name), &offset);

	if (err)
		return err;
	if (addr)
		opts.addrs = &addr;
	else
		opts.syms = &symbol;

	*link = bpf_program__attach_kprobe_multi_opts(prog, NULL, &opts);
	return *link ? 0 : -errno;
}

/* By address: a static function's name may not be the only one. */
static int attach_kprobe(const struct bpf_program *prog, bool retprobe,
			 const struct ktramp_probe_info *probe, struct bpf_link **link)
{
	LIBBPF_OPTS(bpf_kprobe_opts, opts, .offset = probe->address, .retprobe = retprobe);
	char name[KTRAMP_SITE_MAX];
	uint64_t offset = 0;
	int err = probe->address ? 0 : name_of(probe, name, sizeof(name), &offset);

	if (err)
		return err;
	if (!probe->address)
		opts.offset = retprobe ? 0 : offset;
	*link = bpf_program__attach_kprobe_opts(prog, probe->address ? NULL : name, &opts);
	return *link ? 0 : -errno;
}

/*
 * A function of a module. libbpf looks for its name in the kernel and then in each module, and
 * takes the first: the id in the types of the module that is meant goes past it.
 */
static struct {
	int fd;			/* of the module's types */
	uint32_t id;		/* of the function in them; 0: it is the kernel's */
} module_function = { .fd = -1 };

static int set_module_function(struct bpf_program *prog __unused,
			       struct bpf_prog_load_opts *opts, long cookie __unused)
{
	opts->attach_btf_obj_fd = module_function.fd;
	opts->attach_btf_id = module_function.id;
	return 0;
}

/* Return: a descriptor of a module's types, or -errno. */
static int open_module_types(const char *module)
{
	uint32_t id = 0;

	while (!bpf_btf_get_next_id(id, &id)) {
		char name[64] = "";
		struct bpf_btf_info info = { .name = (uintptr_t)name, .name_len = sizeof(name) };
		uint32_t size = sizeof(info);
		int fd = bpf_btf_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (!bpf_obj_get_info_by_fd(fd, &info, &size) && info.kernel_btf &&
		    !strcmp(name, module))
			return fd;
		close(fd);
	}
	return -ENOENT;
}

static int find_module_function(const char *module, const char *function)
{
	struct btf *base = btf__load_vmlinux_btf();
	struct btf *btf = base ? btf__load_module_btf(module, base) : NULL;
	int32_t id = btf ? btf__find_by_name_kind(btf, function, BTF_KIND_FUNC) : -ENOENT;

	btf__free(btf);
	btf__free(base);
	if (id < 0)
		return id;
	module_function.fd = open_module_types(module);
	if (module_function.fd < 0)
		return module_function.fd;
	module_function.id = id;
	return 0;
}

/**
 * bpf_way_open() - before an object is opened: where its programs will be attached
 * @mechanism: any
 * @probe: the probe that watches the site
 *
 * Complains.
 */
int bpf_way_open(uint32_t mechanism, const struct ktramp_probe_info *probe)
{
	static const struct {
		const char *section;
		enum bpf_attach_type type;
	} sections[] = { { "fentry+", BPF_TRACE_FENTRY }, { "fexit+", BPF_TRACE_FEXIT } };
	LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .prog_prepare_load_fn = set_module_function);
	const struct way *way = way_of(mechanism);
	char module[KTRAMP_SITE_MAX], function[KTRAMP_SITE_MAX];
	const char *colon = strchr(probe->site, ':');
	uint64_t offset;
	int err;

	if (!way || !way->named)
		return 0;
	err = name_of(probe, module, sizeof(module), &offset);
	if (err || !colon)
		return err;
	function_of(probe->site, function, sizeof(function));
	module[colon - probe->site] = '\0';
	err = find_module_function(module, function);
	if (err) {
		p_refusal(&(struct refusal){ probe->site, 0, err },
			  "the types of module %s have no function %s: %s", module, function,
			  strerror(-err));
		return err;
	}
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		err = libbpf_register_prog_handler(sections[i].section, BPF_PROG_TYPE_TRACING,
						   sections[i].type, &opts);
		if (err < 0)
			return err;
	}
	return 0;
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

	if (!way || !way->named || module_function.id)
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
		return attach_multi(prog, probe, link);
	case KTRAMP_BPF_KPROBE_STEP:
	case KTRAMP_BPF_KPROBE_INT3:
	case KTRAMP_BPF_KPROBE_OPT:
	case KTRAMP_BPF_KPROBE_FTRACE:
	case KTRAMP_BPF_KRETPROBE:
		return attach_kprobe(prog, way->retprobe, probe, link);
	case KTRAMP_BPF_FENTRY:
	case KTRAMP_BPF_FEXIT:
		*link = bpf_program__attach_trace(prog);
		return *link ? 0 : -errno;
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
