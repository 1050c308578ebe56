// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/ktramp and debugfs/ktramp by callers that mean harm, or do not know what they do: three
 * threads make random calls with structs that are nearly right, on descriptors and probes that they
 * share, while signals come. As root, and as nobody who was handed the descriptors. In the end
 * nothing is armed, the text is what it was, byte for byte, and the module can be unloaded.
 *
 * In the environment:
 *
 *	FUZZ_CALLS	how many calls, of all threads of both
 *	FUZZ_SEED	other ones
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kt.h"
#include "progs.h"
#include "snapshot.h"
#include "text.h"

#define DEBUGFS		"/sys/kernel/debug/ktramp/"
#define NOBODY		65534
#define THREADS		3
#define DEVICES		4
#define IDS		8
#define PLACE_MAX	8192	/* bytes of memory for a request, and for what it points to */
#define BLOCKS_MAX	300	/* basic blocks that one is asked for */
#define LOOPS		300	/* calls of a target that a call asks for */

/* Of so many calls of a kind one goes well. */
#define ENOUGH		40

static unsigned long number_of(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : otherwise;
}

/* ---- random choices ---- */

struct fuzzer {
	__u64 seed;
	unsigned int device;	/* of this call */
	struct fuzz *fuzz;
	unsigned char *request;	/* ends at a page that is not there, as ... */
	unsigned char *buffer;
	unsigned char *blocks;
	unsigned char *fixed;	/* cannot be written */
};

/* xorshift64: a thread has its own. */
static unsigned int any(struct fuzzer *f, unsigned int below)
{
	f->seed ^= f->seed << 13;
	f->seed ^= f->seed >> 7;
	f->seed ^= f->seed << 17;
	return (f->seed >> 16) % below;
}

static bool seldom(struct fuzzer *f, unsigned int times)
{
	return !any(f, times);
}

static __u64 odd_number(struct fuzzer *f)
{
	static const __u64 odd[] = {
		0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 4095, 4096, 4097,
		16384, 16385, 65535, 65536, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
		0x100000000, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff,
	};

	return seldom(f, 3) ? f->seed : odd[any(f, ARRAY_SIZE(odd))];
}

/* ---- what all threads share ---- */

enum kind {
	CALL_INFO, CALL_MECHANISM, CALL_TARGET, CALL_CREATE, CALL_ARM, CALL_DISARM, CALL_DESTROY,
	CALL_PROBE, CALL_CODE, CALL_RUN, CALL_REGS, CALL_LOAD, CALL_SCAN, CALL_CPU_STAT,
	CALL_KPROBES, CALL_SITE, CALL_BPF, CALL_WATCH, CALL_COVER_ADD, CALL_COVER_START,
	CALL_COVER_RESET, CALL_COVER_STOP, CALL_COVER_STAT, CALL_COVER_READ, CALL_WILD, CALL_FILE,
	CALL_DEBUGFS,
	NR_CALLS,
};

struct fuzz {
	int device[DEVICES];
	int program[3];
	unsigned int nr_programs;
	bool is_root;
	__u64 seed;
	unsigned long wanted;
	atomic_ulong done;
	atomic_uint ids[DEVICES][IDS], next_id;
	atomic_ulong made[NR_CALLS], well[NR_CALLS];
	atomic_ulong told;	/* addresses that nobody may see */
	struct ktramp_target_info target[64];
	unsigned int nr_targets;
};

/* Mostly of this call's device: what is another's, most calls do not get to. */
static unsigned int any_id(struct fuzzer *f)
{
	unsigned int device = seldom(f, 20) ? any(f, DEVICES) : f->device;

	if (seldom(f, 20))
		return odd_number(f);
	return atomic_load(&f->fuzz->ids[device][any(f, IDS)]);
}

static void remember(struct fuzzer *f, unsigned int id)
{
	unsigned int at = atomic_fetch_add(&f->fuzz->next_id, 1) % IDS;

	atomic_store(&f->fuzz->ids[f->device][at], id);
}

static int device(struct fuzzer *f)
{
	return f->fuzz->device[f->device];
}

/* A place for so many bytes in front of @end. It mostly fits. */
static void *any_place(struct fuzzer *f, unsigned char *end, size_t size)
{
	switch (any(f, 40)) {
	case 0:
		return NULL;
	case 1:
		return end - any(f, size + 1);
	case 2:
		return f->fixed;
	case 3:
		return (void *)(unsigned long)odd_number(f);
	default:
		return end - size - any(f, 64);
	}
}

/* How much of a place is memory, behind its first byte. */
static size_t room(const void *place, const unsigned char *end)
{
	const unsigned char *at = place;

	return at >= end - PLACE_MAX && at < end ? end - at : 0;
}

/* ---- sites ---- */

static const struct ktramp_target_info *any_target(struct fuzzer *f)
{
	return &f->fuzz->target[any(f, f->fuzz->nr_targets)];
}

static void any_text(struct fuzzer *f, char *text, size_t size)
{
	size_t len = seldom(f, 8) ? size : any(f, size);

	for (size_t i = 0; i < len; i++)
		text[i] = seldom(f, 3) ? (char)any(f, 256) : "+-!#:0x1fz_.\n "[any(f, 15)];
	if (len < size)
		text[len] = '\0';
}

/* The kernel's own mechanisms go to the targets: any other place is at the kernel's risk. */
static void any_site(struct fuzzer *f, char *site, size_t size, bool is_ours)
{
	const struct function *function = &functions[any(f, nr_functions)];

	switch (any(f, is_ours ? 18 : 8)) {
	case 0:
		any_text(f, site, size);
		break;
	case 1:
		snprintf(site, size, "%s+0x%x", any_target(f)->name, any(f, 64));
		break;
	case 2:
		snprintf(site, size, "ktramp:%s", any_target(f)->site);
		break;
	case 3 ... 7:
		snprintf(site, size, "%s", any_target(f)->name);
		break;
	case 8:
		snprintf(site, size, "0x%llx", odd_number(f));
		break;
	case 9 ... 11:
		snprintf(site, size, "0x%llx", function->address + any(f, 200));
		break;
	case 12:
		snprintf(site, size, "%s:%s", seldom(f, 2) ? "vmlinux" : "no_such", function->name);
		break;
	default:
		snprintf(site, size, "%s+0x%x", function->name, seldom(f, 3) ? any(f, 200) : 0);
	}
}

static bool is_ours(unsigned int mechanism)
{
	return (mechanism >= KTRAMP_INT3_EMULATE && mechanism <= KTRAMP_JUMP) ||
	       mechanism == KTRAMP_BPF_JUMP || mechanism == KTRAMP_INT3_DIVERT;
}

static unsigned int any_mechanism(struct fuzzer *f)
{
	static const unsigned int ours[] = {
		KTRAMP_INT3_EMULATE, KTRAMP_INT3_STEP_TF, KTRAMP_INT3_STEP_INT3,
		KTRAMP_INT3_BOOST, KTRAMP_JUMP, KTRAMP_BPF_JUMP, KTRAMP_INT3_DIVERT,
	};

	return seldom(f, 3) ? any(f, KTRAMP_INT3_DIVERT + 3) : ours[any(f, ARRAY_SIZE(ours))];
}

/* ---- ioctls ---- */

union request {
	__u32 size;
	unsigned char bytes[1024];
	__u32 words[256];
	struct ktramp_info info;
	struct ktramp_mechanism_info mechanism;
	struct ktramp_target_info target;
	struct ktramp_create create;
	struct ktramp_batch batch;
	struct ktramp_probe_info probe;
	struct ktramp_code code;
	struct ktramp_run run;
	struct ktramp_regs regs;
	struct ktramp_load load;
	struct ktramp_scan scan;
	struct ktramp_cpu_stat stat;
	struct ktramp_kprobes kprobes;
	struct ktramp_site_info site;
	struct ktramp_bpf bpf;
	struct ktramp_watch_id watch;
	struct ktramp_cover_add cover_add;
	struct ktramp_cover cover;
	struct ktramp_cover_read cover_read;
};

static void fill_mechanism(struct fuzzer *f, union request *r)
{
	r->mechanism.mechanism = any_mechanism(f);
}

static void fill_target(struct fuzzer *f, union request *r)
{
	r->target.index = any(f, f->fuzz->nr_targets + 2);
}

static void fill_create(struct fuzzer *f, union request *r)
{
	r->create.flags = seldom(f, 4);
	r->create.mechanism = any_mechanism(f);
	r->create.handler = seldom(f, 8) ? any(f, KTRAMP_BPF_INLINE + 2) :
			    r->create.mechanism == KTRAMP_BPF_JUMP || seldom(f, 4) ? KTRAMP_BPF :
			    seldom(f, 2) ? KTRAMP_REGS : KTRAMP_COUNT;
	r->create.pid = seldom(f, 6) ? (__u32)getpid() : seldom(f, 20) ? odd_number(f) : 0;
	any_site(f, r->create.site, sizeof(r->create.site), is_ours(r->create.mechanism));
}

static void fill_batch(struct fuzzer *f, union request *r)
{
	unsigned int nr = seldom(f, 30) ? odd_number(f) : seldom(f, 4) ? any(f, 12) : 1;
	__u32 *ids = any_place(f, f->buffer, 16 * sizeof(*ids));
	size_t fit = room(ids, f->buffer) / sizeof(*ids);

	r->batch.nr = nr;
	r->batch.ids = (unsigned long)ids;
	for (unsigned int i = 0; i < nr && i < fit; i++)
		ids[i] = any_id(f);
}

static void fill_probe(struct fuzzer *f, union request *r)
{
	r->probe.flags = any(f, 5);
	r->probe.id = any_id(f);
}

static void fill_code(struct fuzzer *f, union request *r)
{
	r->code.id = any_id(f);
	r->code.part = any(f, KTRAMP_CODE_SPRINGBOARD + 2);
}

/* A million loops would be right, too, and take a second. */
static void fill_run(struct fuzzer *f, union request *r)
{
	r->run.flags = any(f, 5);
	r->run.target = any(f, f->fuzz->nr_targets + 1);
	r->run.id = seldom(f, 2) ? any_id(f) : 0;
	r->run.loops = seldom(f, 20) ? KTRAMP_LOOPS_MAX + any(f, 3) + 1 : any(f, LOOPS);
}

static void fill_regs(struct fuzzer *f, union request *r)
{
	r->regs.id = any_id(f);
	r->regs.cpu = any(f, 4);
}

/* Its threads take the CPUs that the others want. */
static void fill_load(struct fuzzer *f, union request *r)
{
	r->load.flags = seldom(f, 8) ? KTRAMP_LOAD_START : seldom(f, 8) ? any(f, 4) :
			KTRAMP_LOAD_STOP;
}

static void fill_scan(struct fuzzer *f, union request *r)
{
	r->scan.address = seldom(f, 8) ? odd_number(f) :
			  functions[any(f, nr_functions)].address + any(f, 64);
	r->scan.max = seldom(f, 10) ? odd_number(f) : 1 + any(f, 40);
	r->scan.first = seldom(f, 4) ? any(f, 100) : 0;
	r->scan.mechanisms = seldom(f, 4) ? odd_number(f) : 1U << any(f, KTRAMP_JUMP + 1);
	r->scan.flags = seldom(f, 50);
	r->scan.insns = (unsigned long)any_place(f, f->buffer,
						 40 * sizeof(struct ktramp_scan_insn));
}

static void fill_stat(struct fuzzer *f, union request *r)
{
	r->stat.id = any_id(f);
	r->stat.cpu = seldom(f, 8) ? odd_number(f) : any(f, 3);
}

/* Real kprobes: at the targets, or where nothing is. */
static void fill_kprobes(struct fuzzer *f, union request *r)
{
	__u64 *addresses = any_place(f, f->buffer, 4 * sizeof(*addresses));
	size_t fit = room(addresses, f->buffer) / sizeof(*addresses);

	r->kprobes.nr = any(f, 3);
	r->kprobes.addresses = (unsigned long)addresses;
	for (unsigned int i = 0; i < r->kprobes.nr && i < fit; i++)
		addresses[i] = seldom(f, 4) ? any(f, 1 << 20) :
			       any_target(f)->address + (seldom(f, 4) ? any(f, 16) : 0);
}

static void fill_site(struct fuzzer *f, union request *r)
{
	any_site(f, r->site.site, sizeof(r->site.site), true);
}

static void fill_bpf(struct fuzzer *f, union request *r)
{
	r->bpf.id = any_id(f);
	r->bpf.flags = seldom(f, 4);
	r->bpf.cookie = seldom(f, 8);
	r->bpf.prog_fd = f->fuzz->nr_programs && !seldom(f, 5) ?
			 f->fuzz->program[any(f, f->fuzz->nr_programs)] : (int)any(f, 20) - 1;
}

static void fill_watch(struct fuzzer *f, union request *r)
{
	r->watch.id = any_id(f);
}

static void fill_cover_add(struct fuzzer *f, union request *r)
{
	struct ktramp_cover_func *funcs = any_place(f, f->buffer, 4 * sizeof(*funcs));
	size_t fit = room(funcs, f->buffer) / sizeof(*funcs);
	unsigned int nr = seldom(f, 10) ? odd_number(f) : 1 + any(f, 4);

	r->cover_add.flags = seldom(f, 2) ? KTRAMP_COVER_CALLS : 0;
	r->cover_add.functions = (unsigned long)funcs;
	r->cover_add.nr = nr;
	r->cover_add.blocks = (unsigned long)any_place(f, f->blocks, BLOCKS_MAX *
						       sizeof(struct ktramp_cover_block));
	r->cover_add.max = seldom(f, 10) ? odd_number(f) : BLOCKS_MAX;
	for (unsigned int i = 0; i < nr && i < fit; i++)
		funcs[i].address = seldom(f, 10) ? odd_number(f) :
				   functions[any(f, nr_functions)].address + any(f, 64);
}

static void fill_cover_read(struct fuzzer *f, union request *r)
{
	r->cover_read.flags = seldom(f, 4) ? KTRAMP_COVER_BUSY : 0;
	r->cover_read.from = seldom(f, 4) ? odd_number(f) : 0;
	r->cover_read.max = seldom(f, 10) ? odd_number(f) : 1 + any(f, 64);
	r->cover_read.addresses = (unsigned long)any_place(f, f->buffer, 64 * sizeof(__u64));
}

static void fill_nothing(struct fuzzer *f, union request *r)
{
}

/* @often: of a thousand calls */
static const struct {
	unsigned long request;
	size_t size;
	void (*fill)(struct fuzzer *f, union request *r);
	unsigned int often;
	const char *name;
} calls[NR_CALLS] = {
#define IOCTL(name, type, fill, often) \
	[CALL_##name] = { KTRAMP_IOC_##name, sizeof(struct type), fill, often, #name }
	IOCTL(INFO, ktramp_info, fill_nothing, 20),
	IOCTL(MECHANISM, ktramp_mechanism_info, fill_mechanism, 30),
	IOCTL(TARGET, ktramp_target_info, fill_target, 30),
	IOCTL(CREATE, ktramp_create, fill_create, 148),
	IOCTL(ARM, ktramp_batch, fill_batch, 8),
	IOCTL(DISARM, ktramp_batch, fill_batch, 4),
	IOCTL(DESTROY, ktramp_batch, fill_batch, 16),
	IOCTL(PROBE, ktramp_probe_info, fill_probe, 100),
	IOCTL(CODE, ktramp_code, fill_code, 90),
	IOCTL(RUN, ktramp_run, fill_run, 20),
	IOCTL(REGS, ktramp_regs, fill_regs, 100),
	IOCTL(LOAD, ktramp_load, fill_load, 6),
	IOCTL(SCAN, ktramp_scan, fill_scan, 30),
	IOCTL(CPU_STAT, ktramp_cpu_stat, fill_stat, 80),
	IOCTL(KPROBES, ktramp_kprobes, fill_kprobes, 4),
	IOCTL(SITE, ktramp_site_info, fill_site, 60),
	IOCTL(BPF, ktramp_bpf, fill_bpf, 20),
	IOCTL(WATCH, ktramp_watch_id, fill_watch, 40),
	IOCTL(COVER_ADD, ktramp_cover_add, fill_cover_add, 6),
	IOCTL(COVER_START, ktramp_cover, fill_nothing, 6),
	IOCTL(COVER_RESET, ktramp_cover, fill_nothing, 2),
	IOCTL(COVER_STOP, ktramp_cover, fill_nothing, 2),
	IOCTL(COVER_STAT, ktramp_cover, fill_nothing, 14),
	IOCTL(COVER_READ, ktramp_cover_read, fill_cover_read, 20),
#undef IOCTL
	[CALL_WILD] = { .often = 50, .name = "no ioctl" },
	[CALL_FILE] = { .often = 30, .name = "file" },
	[CALL_DEBUGFS] = { .often = 64, .name = "debugfs" },
};

/* One word, or all of it; but loops stay few, and kprobes where they are. */
static void spoil(struct fuzzer *f, enum kind call, union request *r)
{
	size_t words = calls[call].size / sizeof(r->words[0]);

	if (call == CALL_KPROBES || call == CALL_RUN || call == CALL_LOAD) {
		r->words[seldom(f, 2)] = odd_number(f);
		return;
	}
	/* What a create names must not be mixed: see any_site(). */
	if (call == CALL_CREATE)
		words = offsetof(struct ktramp_create, mechanism) / sizeof(r->words[0]);
	if (call != CALL_CREATE && seldom(f, 4))
		for (size_t i = 1; i < words; i++)
			r->words[i] = odd_number(f);
	else
		r->words[any(f, words)] = odd_number(f);
}

/* No address for nobody, and nothing that has some in it. */
static unsigned int tells(enum kind call, const union request *r)
{
	switch (call) {
	case CALL_INFO:
		return r->info.addresses;
	case CALL_TARGET:
		return !!r->target.address;
	case CALL_PROBE:
		return r->probe.address || r->probe.slot || r->probe.detour || r->probe.springboard;
	case CALL_SITE:
		return !!r->site.address;
	case CALL_CODE:
	case CALL_REGS:
	case CALL_SCAN:
	case CALL_COVER_ADD:
	case CALL_COVER_READ:
		return 1;
	default:
		return 0;
	}
}

static void one_ioctl(struct fuzzer *f, enum kind call)
{
	union request request = {};
	unsigned char *place;
	size_t fit;

	request.size = calls[call].size;
	calls[call].fill(f, &request);
	if (seldom(f, 10))
		spoil(f, call, &request);
	place = any_place(f, f->request, sizeof(request));
	fit = room(place, f->request);
	if (fit)
		memcpy(place, &request, fit < sizeof(request) ? fit : sizeof(request));
	if (ioctl(device(f), calls[call].request, place))
		return;
	atomic_fetch_add(&f->fuzz->well[call], 1);
	if (fit < sizeof(request))
		return;
	memcpy(&request, place, sizeof(request));
	if (call == CALL_CREATE)
		remember(f, request.create.id);
	if (!f->fuzz->is_root)
		atomic_fetch_add(&f->fuzz->told, tells(call, &request));
}

/* ---- other calls ---- */

static void wild_ioctl(struct fuzzer *f)
{
	unsigned long request = seldom(f, 2) ? odd_number(f) :
		_IOC(any(f, 4), KTRAMP_IOC_MAGIC, 50 + any(f, 206), any(f, 2048));

	if (!ioctl(device(f), request, any_place(f, f->request, 1024)) && seldom(f, 2))
		return;
	/* Of theirs, with another size in its number. */
	request = calls[any(f, CALL_WILD)].request ^ (1UL << (16 + any(f, 14)));
	ioctl(device(f), request, any_place(f, f->request, 1024));
}

static void any_file_call(struct fuzzer *f)
{
	int *device = &f->fuzz->device[f->device], fd;
	cpu_set_t set;

	switch (any(f, 24)) {
	case 0 ... 4:
		if (read(*device, f->buffer - 64, 64) >= 0)
			abort();
		break;
	case 5 ... 9:
		if (write(*device, f->buffer - 64, 64) >= 0)
			abort();
		break;
	case 10 ... 14:
		if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, *device, 0) != MAP_FAILED)
			abort();
		break;
	case 15 ... 18:
		lseek(*device, odd_number(f), any(f, 3));
		break;
	case 19 ... 22:
		/* Where no CPU is it stays. */
		CPU_ZERO(&set);
		CPU_SET(any(f, 2), &set);
		sched_setaffinity(0, sizeof(set), &set);
		break;
	default:
		/* Its probes go with it, under the calls of the others. Nobody gets another one. */
		if (!f->fuzz->is_root) {
			if (open(KTRAMP_DEVICE, O_RDWR) >= 0)
				abort();
			break;
		}
		fd = kt_open();
		if (fd >= 0) {
			dup3(fd, *device, O_CLOEXEC);
			close(fd);
		}
	}
	atomic_fetch_add(&f->fuzz->well[CALL_FILE], 1);
}

/* A line for debugfs/ktramp/probes, right or not. */
static size_t any_line(struct fuzzer *f, char *line, size_t size)
{
	static const char *const names[] = {
		"int3-emulate", "int3-step-tf", "int3-step-int3", "int3-boost", "jump",
		"int3-divert", "bpf-jump", "kprobe-step", "kprobe-opt", "kprobe-ftrace", "ftrace",
		"call", "no-such",
	};
	unsigned int name = any(f, ARRAY_SIZE(names));
	char site[KTRAMP_SITE_MAX + 1] = "";

	any_site(f, site, KTRAMP_SITE_MAX, name < 7);
	switch (any(f, 8)) {
	case 0:
		any_text(f, line, size - 1);
		line[size - 1] = '\0';
		break;
	case 1:
		snprintf(line, size, "%c%s\n", "+-!"[any(f, 3)], site);
		break;
	case 2 ... 4:
		snprintf(line, size, "%c%u%s", "+-!"[any(f, 3)], any_id(f),
			 seldom(f, 8) ? "" : "\n");
		break;
	default:
		snprintf(line, size, "%s %s handler=%s%s", names[name], site,
			 seldom(f, 6) ? "regs" : seldom(f, 10) ? "bpf" : "count",
			 seldom(f, 8) ? " pid=1\n" : "\n");
	}
	return strnlen(line, size);
}

static void any_debugfs(struct fuzzer *f)
{
	static const char *const files[] = {
		DEBUGFS "probes", DEBUGFS "targets", DEBUGFS "error", DEBUGFS "none",
	};
	bool writes = seldom(f, 3);
	char text[3 * KTRAMP_SITE_MAX];
	ssize_t n;
	int fd;

	/* '>' takes away all that stays. */
	fd = open(writes ? files[0] : files[any(f, 4)], writes && seldom(f, 20) ?
		  O_WRONLY | O_TRUNC : writes ? O_WRONLY | O_APPEND : seldom(f, 4) ?
		  O_RDWR : O_RDONLY);
	if (fd < 0)
		return;
	if (!f->fuzz->is_root)
		abort();
	if (writes) {
		size_t len = any_line(f, text, sizeof(text));

		n = write(fd, seldom(f, 20) ? any_place(f, f->buffer, 64) : text, len);
	} else {
		n = pread(fd, any_place(f, f->buffer, 4096), any(f, 4096),
			  seldom(f, 4) ? odd_number(f) : 0);
	}
	if (n >= 0)
		atomic_fetch_add(&f->fuzz->well[CALL_DEBUGFS], 1);
	close(fd);
}

static enum kind any_call(struct fuzzer *f)
{
	unsigned int at = any(f, 1000), call = 0;

	while (call < NR_CALLS - 1 && at >= calls[call].often)
		at -= calls[call++].often;
	return call;
}

static void *fuzz_thread(void *arg)
{
	struct fuzzer *f = arg;
	const size_t page = sysconf(_SC_PAGESIZE);
	unsigned char *memory = mmap(NULL, 3 * PLACE_MAX + 4 * page, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	f->request = memory + PLACE_MAX;
	f->buffer = f->request + page + PLACE_MAX;
	f->blocks = f->buffer + page + PLACE_MAX;
	f->fixed = f->blocks + page;
	if (mprotect(f->request, page, PROT_NONE) || mprotect(f->buffer, page, PROT_NONE) ||
	    mprotect(f->blocks, page, PROT_NONE) || mprotect(f->fixed, page, PROT_READ))
		abort();
	while (atomic_fetch_add(&f->fuzz->done, 1) < f->fuzz->wanted) {
		enum kind call = any_call(f);

		f->device = any(f, DEVICES);
		atomic_fetch_add(&f->fuzz->made[call], 1);
		if (call == CALL_WILD)
			wild_ioctl(f);
		else if (call == CALL_FILE)
			any_file_call(f);
		else if (call == CALL_DEBUGFS)
			any_debugfs(f);
		else
			one_ioctl(f, call);
	}
	return NULL;
}

static void on_signal(int signal)
{
}

/* All of it in a process of its own. Never returns. */
static void run_fuzz(struct fuzz *fuzz)
{
	struct sigaction action = { .sa_handler = on_signal };
	static struct fuzzer fuzzers[THREADS];
	pthread_t threads[THREADS];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Calls that wait are to be interrupted, and not taken up again. */
	sigaction(SIGUSR1, &action, NULL);
	if (!fuzz->is_root && (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY)))
		_exit(2);
	for (unsigned int i = 0; i < THREADS; i++) {
		fuzzers[i] = (struct fuzzer){
			.fuzz = fuzz,
			.seed = (fuzz->seed * THREADS + i + 1) * 0x9e3779b97f4a7c15ULL,
		};
		if (pthread_create(&threads[i], NULL, fuzz_thread, &fuzzers[i]))
			_exit(3);
	}
	while (atomic_load(&fuzz->done) < fuzz->wanted) {
		usleep(20000);
		pthread_kill(threads[fuzz->done % THREADS], SIGUSR1);
	}
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

/* ---- the test ---- */

FIXTURE(fuzz) {
	struct fuzz *fuzz;
	struct progs_bpf *skel[3];
	int fd;
};

FIXTURE_VARIANT(fuzz) {
	bool is_root;
};

FIXTURE_VARIANT_ADD(fuzz, root) { true };
FIXTURE_VARIANT_ADD(fuzz, nobody) { false };

FIXTURE_SETUP(fuzz)
{
	static const char *const programs[] = { "add_bare", "store_light", "tell_helpers" };
	struct fuzz *fuzz = mmap(NULL, sizeof(*fuzz), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, fuzz);
	self->fuzz = fuzz;
	fuzz->is_root = variant->is_root;
	fuzz->seed = number_of("FUZZ_SEED", 1) * 2 + variant->is_root;
	fuzz->wanted = number_of("FUZZ_CALLS", 20000) / 2;
	read_functions();
	ASSERT_LT(10000, nr_functions);
	ASSERT_EQ(0, kt_open_window());
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	while (fuzz->nr_targets < ARRAY_SIZE(fuzz->target) &&
	       !kt_target(self->fd, fuzz->nr_targets, &fuzz->target[fuzz->nr_targets]))
		fuzz->nr_targets++;
	ASSERT_LT(0, fuzz->nr_targets);
	for (unsigned int i = 0; i < DEVICES; i++) {
		fuzz->device[i] = kt_open();
		ASSERT_LE(0, fuzz->device[i]);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(programs); i++) {
		self->skel[i] = progs_load(programs[i], &fuzz->program[fuzz->nr_programs]);
		fuzz->nr_programs += !!self->skel[i];
	}
}

FIXTURE_TEARDOWN(fuzz)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(self->skel); i++)
		progs_bpf__destroy(self->skel[i]);
	close(self->fd);
}

/* What was made to stay. A kprobe of the kernel's that is still on its way out comes first. */
static unsigned int destroy_all(int fd)
{
	struct ktramp_probe_info probe;
	struct ktramp_info info;

	for (unsigned int tries = 0; tries < 100; tries++) {
		__u32 id = 0;

		for (;;) {
			probe = (struct ktramp_probe_info){
				.size = sizeof(probe), .flags = KTRAMP_PROBE_NEXT, .id = id,
			};
			if (kt_ioctl(fd, KTRAMP_IOC_PROBE, &probe))
				break;
			kt_destroy(fd, probe.id);
			id = probe.id + 1;
		}
		if (!kt_info(fd, &info) && !info.nr_probes)
			return 0;
		usleep(100000);
	}
	return info.nr_probes;
}

TEST_F_TIMEOUT(fuzz, leaves_nothing_behind, 86400)
{
	struct fuzz *fuzz = self->fuzz;
	struct snapshot before, after;
	size_t explained;
	struct ktramp_load load;
	struct ktramp_info info, now;
	int status;
	pid_t pid;

	ASSERT_EQ(0, kt_info(self->fd, &info));
	ASSERT_TRUE(snapshot_take(&before));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(self->fd);
		run_fuzz(fuzz);
	}
	/* Its are the only ones: what it closes is closed. */
	for (unsigned int i = 0; i < DEVICES; i++)
		close(fuzz->device[i]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	kt_load(self->fd, KTRAMP_LOAD_STOP, &load);
	EXPECT_EQ(0, load.wrong);
	EXPECT_EQ(0, destroy_all(self->fd));
	for (unsigned int i = 0; i < NR_CALLS; i++) {
		unsigned long well = atomic_load(&fuzz->well[i]);

		printf("# %s: %lu of %lu well\n", calls[i].name, well, atomic_load(&fuzz->made[i]));
		/* What is asked rarely, or refused to nobody, may never go well. */
		if (variant->is_root && i != CALL_WILD && atomic_load(&fuzz->made[i]) >= ENOUGH &&
		    (i != CALL_BPF || fuzz->nr_programs))
			EXPECT_LT(0, well) TH_LOG("%s", calls[i].name);
	}
	EXPECT_EQ(0, atomic_load(&fuzz->told));
	ASSERT_EQ(0, kt_info(self->fd, &now));
	EXPECT_EQ(0, now.nr_probes);
	EXPECT_EQ(info.slot_bytes, now.slot_bytes);
	ASSERT_TRUE(snapshot_take(&after));
	EXPECT_EQ(0, snapshot_compare(self->fd, &before, &after, &explained));
	free(before.bytes);
	free(after.bytes);
	close(self->fd);
	ASSERT_EQ(0, kt_unload_module());
	ASSERT_EQ(0, kt_load_module());
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
}

TEST_HARNESS_MAIN
