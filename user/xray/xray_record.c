// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's side of an x-ray: tells QEMU's plugin (qemu/xray.c) which calls to keep, and
 * writes down what the host cannot know: the guest's symbols, also those that come and go
 * with a probe, and what was probed how.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "xray/xray_record.h"

/* The measured loop of module/doors/bench.c: behind it, and between its calls, is no hit. */
#define LOOP		"timed_calls"

#define RING_PAGES	64

/* Of a hit that goes astray. */
#define INSNS_MOST	200000

/* The others are counted. */
#define HITS_KEPT	16

struct xray {
	struct xray_order *order;
	FILE *file;
	uint64_t number;
	bool called;			/* by the loop of the bench, not by anybody */
	struct xray_range loop;
	int perf;
	struct perf_event_mmap_page *ring;
	struct xray_path *path;		/* through which our own mechanisms' hits went */
};

/* ---- orders ---- */

/* QEMU begins to look when the CPU next leaves translated code: soon, if the guest lets it. */
static int see_everything(struct xray *x)
{
	int err;

	x->order->attached = 0;
	err = xray_give_order(x->order, XRAY_ATTACH);
	for (int i = 0; i < 10000 && !err; i++) {
		if (*(volatile uint32_t *)&x->order->attached)
			return 0;
		sched_yield();
	}
	if (!err)
		err = -ETIMEDOUT;
	p_err("QEMU's plugin does not attach: %s", strerror(-err));
	return err;
}

/* ---- symbols ---- */

/* The whole of /proc/kallsyms once: it takes an emulated guest seconds. */
static int copy_symbols(const char *name)
{
	FILE *from = fopen("/proc/kallsyms", "re");
	FILE *to = fopen(name, "we");
	int err = from && to ? 0 : -errno;
	char block[65536];
	size_t n;

	while (!err && (n = fread(block, 1, sizeof(block), from)))
		if (fwrite(block, 1, n, to) != n)
			err = -EIO;
	if (from)
		fclose(from);
	if (to && fclose(to))
		err = -EIO;
	return err;
}

/*
 * Where the loop is: up to the next symbol of the module, whose symbols are in no order.
 * The compiler may have changed its arguments, and says so behind a dot.
 */
static int find_loop(struct xray_range *loop, const char *name)
{
	char *line = NULL;
	size_t size = 0;

	*loop = (struct xray_range){ 0 };
	for (int pass = 0; pass < 2; pass++) {
		FILE *file = fopen(name, "re");

		if (!file)
			break;
		while (getline(&line, &size, file) > 0) {
			struct ksym_line sym;

			if (!ksym_parse(line, &sym) || strcmp(sym.module, "ktramp"))
				continue;
			if (!pass && !strncmp(sym.name, LOOP, strlen(LOOP)) &&
			    strchr(".", sym.name[strlen(LOOP)]))
				loop->from = sym.address;
			if (pass && sym.address > loop->from &&
			    (!loop->to || sym.address < loop->to))
				loop->to = sym.address;
		}
		fclose(file);
	}
	free(line);
	return loop->from && loop->to ? 0 : -ENOENT;
}

static int keep_symbols(struct xray *x, const char *directory)
{
	char name[512];
	int err;

	snprintf(name, sizeof(name), "%s/kallsyms", directory);
	err = copy_symbols(name);
	if (err) {
		p_err("cannot copy the kernel's symbols to '%s': %s", name, strerror(-err));
		return err;
	}
	err = find_loop(&x->loop, name);
	if (err)
		p_err("no '%s' of the module in /proc/kallsyms; are addresses hidden (sysctl "
		      "kernel.kptr_restrict)?", LOOP);
	return err;
}

/*
 * Symbols made later: ftrace's trampolines, pages of kprobe slots, BPF programs. No file
 * tells them cheaply; perf does, as they come and go.
 */
static int watch_symbols(struct xray *x)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.ksymbol = 1,
		.watermark = 1,
		.wakeup_watermark = UINT32_MAX,
	};
	long page = sysconf(_SC_PAGESIZE);
	void *ring;

	x->perf = syscall(SYS_perf_event_open, &attr, -1, first_cpu(), -1, PERF_FLAG_FD_CLOEXEC);
	if (x->perf < 0)
		return -errno;
	ring = mmap(NULL, (RING_PAGES + 1) * page, PROT_READ | PROT_WRITE, MAP_SHARED, x->perf, 0);
	if (ring == MAP_FAILED)
		return -errno;
	x->ring = ring;
	return 0;
}

struct ksym_record {
	struct perf_event_header header;
	uint64_t address;
	uint32_t length;
	uint16_t type;
	uint16_t flags;
	char name[256];
};

static int write_symbol(struct xray *x, const struct ksym_record *record)
{
	return out_line(x->file, json_pack("{s:s, s:o, s:I, s:s, s:s, s:b}",
			"type", "symbol",
			"address", json_address(record->address),
			"length", (json_int_t)record->length,
			"name", record->name,
			"module", record->type == PERF_RECORD_KSYMBOL_TYPE_BPF ? "bpf" : "",
			"gone", record->flags & PERF_RECORD_KSYMBOL_FLAGS_UNREGISTER));
}

/* What perf has told since the last time. */
static int write_symbols(struct xray *x)
{
	long page = sysconf(_SC_PAGESIZE);
	const char *data = (const char *)x->ring + page;
	uint64_t size = RING_PAGES * page, tail = x->ring->data_tail;
	uint64_t head = __atomic_load_n(&x->ring->data_head, __ATOMIC_ACQUIRE);
	int err = 0;

	while (tail < head && !err) {
		struct ksym_record record = { 0 };
		const struct perf_event_header *header = (const void *)(data + tail % size);

		for (size_t i = 0; i < MIN(header->size, sizeof(record) - 1); i++)
			((char *)&record)[i] = data[(tail + i) % size];
		tail += header->size;
		if (record.header.type == PERF_RECORD_KSYMBOL)
			err = write_symbol(x, &record);
	}
	__atomic_store_n(&x->ring->data_tail, tail, __ATOMIC_RELEASE);
	return err;
}

/* ---- hits ---- */

/**
 * xray_start_at() - keep the hits that come
 * @x: the x-ray
 * @begin: address of their first instruction
 * @end: they end in front of the next one in any of these; @begin itself is none
 * @nr: of them, up to XRAY_RANGES
 *
 * May be said again before xray_end(): what was kept since is forgotten.
 */
void xray_start_at(struct xray *x, uint64_t begin, const struct xray_range *end, unsigned int nr)
{
	x->order->number = x->number;
	x->order->begin = begin;
	memcpy(x->order->end, end, MIN(nr, XRAY_RANGES) * sizeof(*end));
	x->order->nr_ends = MIN(nr, XRAY_RANGES);
	x->order->most = INSNS_MOST;
	x->order->keep = HITS_KEPT;
	xray_give_order(x->order, XRAY_START);
}

/* As many whole hits there were, and others; complains if the plugin is gone. */
int xray_end(struct xray *x, uint64_t *hits, uint64_t *lost)
{
	int err = xray_give_order(x->order, XRAY_STOP);

	if (err)
		p_err("QEMU's plugin does not answer");
	*hits = x->order->hits;
	*lost = x->order->lost;
	return err;
}

/**
 * xray_start() - keep the calls that come
 * @x: the x-ray, or NULL: nothing is done
 * @target: what is called
 */
void xray_start(struct xray *x, const struct ktramp_target_info *target)
{
	if (!x)
		return;
	x->called = true;
	xray_start_at(x, target->address - target->offset, &x->loop, 1);
}

static json_t *code_json(const struct dev *dev, uint32_t id)
{
	json_t *parts = json_array();

	for (uint32_t part = KTRAMP_CODE_SITE; id && part <= KTRAMP_CODE_SPRINGBOARD; part++) {
		struct ktramp_code code;

		if (dev_code(dev, id, part, &code))
			continue;
		json_array_append_new(parts, json_pack("{s:i, s:o, s:I, s:I, s:o}",
			"part", part,
			"address", json_address(code.address),
			"relocated", (json_int_t)code.relocated,
			"copied", (json_int_t)code.copied,
			"bytes", json_hex(code.code, MIN(code.length,
							 (uint32_t)sizeof(code.code)))));
	}
	return parts;
}

static json_t *target_json(const struct ktramp_target_info *target)
{
	return json_pack("{s:s, s:s, s:o, s:I, s:I}",
			 "name", target->name,
			 "site", target->site,
			 "address", json_address(target->address),
			 "offset", (json_int_t)target->offset,
			 "size", (json_int_t)target->func_size);
}

/**
 * xray_write() - write down what was kept between xray_start() and xray_end()
 * @x: the x-ray
 * @dev: the device
 * @row: what is measured
 * @target: what was called, or probed
 * @probe: the probe; its id is 0 if there is none
 * @armed: it is armed
 * @run: the calls; of it the bytes at the site
 *
 * Return: 0 or -errno, having complained.
 */
int xray_write(struct xray *x, const struct dev *dev, const struct row *row,
	       const struct ktramp_target_info *target, const struct ktramp_probe_info *probe,
	       bool armed, const struct ktramp_run *run)
{
	int err = write_symbols(x);

	if (!err && armed && row->mechanism->kind == KTRAMP_KIND_OURS)
		err = xray_path_add(x->path, x->order);
	if (err)
		return err;
	return out_line(x->file, json_pack("{s:s, s:I, s:s, s:I, s:s, s:s, s:o, s:b, s:o, s:b, s:s,"
			" s:o, s:I, s:o, s:o}",
		"type", "calls",
		"order", (json_int_t)x->number++,
		"mechanism", row->mechanism->name,
		"number", (json_int_t)row->mechanism->mechanism,
		"kind", kind_name(row->mechanism->kind),
		"text", row->mechanism->text,
		"handler", row->handler ? json_string(handler_name(row->handler)) : json_null(),
		"called", x->called,
		"target", target_json(target),
		"armed", armed,
		"site", armed ? probe->site : target->site,
		"address", json_address(armed ? probe->address : target->address),
		"length", (json_int_t)(armed ? probe->length : 0),
		"now", json_hex(run->now, MIN(run->now_len, (uint32_t)sizeof(run->now))),
		"code", code_json(dev, probe->id)));
}

/**
 * xray_stop() - end what xray_start() began, and write down what it was
 *
 * As xray_write(), but that there must be a whole call for each of @run. Nothing is done if @x
 * is NULL.
 */
int xray_stop(struct xray *x, const struct dev *dev, const struct row *row,
	      const struct ktramp_target_info *target, const struct ktramp_probe_info *probe,
	      bool armed, const struct ktramp_run *run)
{
	uint64_t hits, lost;
	int err;

	if (!x)
		return 0;
	err = xray_end(x, &hits, &lost);
	if (err)
		return err;
	if (hits == run->calls && !lost)
		return xray_write(x, dev, row, target, probe, armed, run);
	p_err("QEMU's plugin saw %llu whole calls and %llu others of %llu",
	      (unsigned long long)hits, (unsigned long long)lost, run->calls);
	return -EIO;
}

/* ---- from begin to end ---- */

static struct xray_order *new_order(void)
{
	void *page = mmap(NULL, XRAY_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return page == MAP_FAILED || mlock(page, XRAY_PAGE) ? NULL : page;
}

static int write_run(struct xray *x, const struct dev *dev)
{
	json_t *names;
	struct utsname uts;
	int err = kernel_release(&uts);

	if (err)
		return err;
	names = json_array();
	for (unsigned int i = 0; i < dev->nr_mechanisms; i++)
		json_array_append_new(names, json_pack("{s:s, s:s, s:s}",
			"name", dev->mechanisms[i].name,
			"kind", kind_name(dev->mechanisms[i].kind),
			"text", dev->mechanisms[i].text));
	return out_line(x->file, json_pack("{s:s, s:s, s:s, s:s, s:o}",
			"type", "run",
			"kernel", uts.release,
			"cpu", getenv("KTRAMP_CPU") ?: "",
			"module", dev->info.version,
			"mechanisms", names));
}

static int open_all(struct xray *x, const struct dev *dev, const char *directory)
{
	char name[512];
	int err;

	if (dev->info.clock != KTRAMP_CLOCK_ICOUNT || sysconf(_SC_NPROCESSORS_ONLN) != 1) {
		p_err("an x-ray needs QEMU with '-icount shift=0' and one CPU: run 'make xray'");
		return -EOPNOTSUPP;
	}
	x->path = xray_path_new();
	if (!x->path)
		return -ENOMEM;
	x->order = new_order();
	err = x->order ? xray_give_order(x->order, XRAY_STOP) : -ENOMEM;
	if (err) {
		p_err("an x-ray needs QEMU's plugin, which does not answer: run 'make xray'");
		return err;
	}
	if (mkdir(directory, 0755) && errno != EEXIST) {
		err = -errno;
		p_err("cannot make the directory '%s': %s", directory, strerror(-err));
		return err;
	}
	snprintf(name, sizeof(name), "%s/record.jsonl", directory);
	x->file = fopen(name, "we");
	if (!x->file) {
		err = -errno;
		p_err("cannot write '%s': %s", name, strerror(-err));
		return err;
	}
	err = watch_symbols(x);
	if (err) {
		p_err("cannot learn of new symbols from perf: %s (CONFIG_PERF_EVENTS)",
		      strerror(-err));
		return err;
	}
	err = keep_symbols(x, directory);
	if (!err)
		err = see_everything(x);
	return err ? err : write_run(x, dev);
}

/**
 * xray_open() - make ready to keep calls
 * @x: (out) the x-ray
 * @dev: the device
 * @directory: where to write the guest's part of it; made if it is not there
 *
 * Return: 0 or -errno, having complained.
 */
int xray_open(struct xray **x, const struct dev *dev, const char *directory)
{
	int err;

	*x = calloc(1, sizeof(**x));
	if (!*x) {
		p_err("cannot x-ray: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	(*x)->perf = -1;
	err = open_all(*x, dev, directory);
	if (err)
		xray_close(x);
	return err;
}

/**
 * xray_finish() - ask what the module would probe of the path of its own hits
 * @x: the x-ray, or NULL: nothing is done
 * @dev: the device
 *
 * Return: 0 or -errno, having complained.
 */
int xray_finish(struct xray *x, const struct dev *dev)
{
	return x ? xray_path_write(x->path, dev, x->file) : 0;
}

/* Complains if not all of the record could be written. */
int xray_close(struct xray **xp)
{
	struct xray *x = *xp;
	int err = 0;

	*xp = NULL;
	if (!x)
		return 0;
	if (x->ring)
		munmap(x->ring, (RING_PAGES + 1) * sysconf(_SC_PAGESIZE));
	if (x->perf >= 0)
		close(x->perf);
	if (x->file && fclose(x->file)) {
		err = -EIO;
		p_err("cannot write all of the record: %s", strerror(errno));
	}
	if (x->order)
		munmap(x->order, XRAY_PAGE);
	xray_path_free(x->path);
	free(x);
	return err;
}
