// SPDX-License-Identifier: GPL-2.0-only
/*
 * Code that a breakpoint takes the machine down in: each kind of it is refused, and what is let
 * through is tried, all of it, while the kernel does what the kinds are about.
 *
 * Wants a machine of two CPUs that was booted with maxcpus=1: the second one comes here.
 *
 * In the environment, to find who is to blame when the guest is lost: the kernel's log has the
 * last chunk that was begun:
 *
 *	HAZARD_PART	of the functions that no name suggests, one in so many
 *	HAZARD_CHUNK	so many have a breakpoint at a time
 *	HAZARD_FROM	begin at this function
 *	HAZARD_TO	end before this one
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kt.h"
#include "snapshot.h"
#include "text.h"

#define TRACING		"/sys/kernel/tracing/"

#define CHUNK		1500	/* armed at a time */

static unsigned int number_of(const char *name, unsigned int otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : otherwise;
}

static const unsigned int ours[] = {
	KTRAMP_INT3_EMULATE, KTRAMP_INT3_BOOST, KTRAMP_INT3_STEP_INT3, KTRAMP_INT3_STEP_TF,
	KTRAMP_JUMP,
};

static int create_at(int fd, __u64 address, unsigned int mechanism, struct ktramp_create *create)
{
	char site[KTRAMP_SITE_MAX];

	snprintf(site, sizeof(site), "0x%llx", address);
	return kt_create_as(fd, site, mechanism, KTRAMP_COUNT, 0, create);
}

/* Is there a mechanism that would be let in? Its name's number, or 0. */
static unsigned int accepted_by(int fd, __u64 address, struct ktramp_create *create)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(ours); i++) {
		if (create_at(fd, address, ours[i], create))
			continue;
		kt_destroy(fd, create->id);
		return ours[i];
	}
	return 0;
}

FIXTURE(hazard) {
	int fd;
};

FIXTURE_SETUP(hazard)
{
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	read_functions();
	ASSERT_LT(10000, nr_functions);
	ASSERT_EQ(0, kt_open_window());
}

FIXTURE_TEARDOWN(hazard)
{
	struct ktramp_info info;
	int fd = kt_open();

	close(self->fd);
	ASSERT_EQ(0, kt_info(fd, &info));
	EXPECT_EQ(0, info.nr_probes);
	close(fd);
}

/* ---- lists computed from the kernel ---- */

/* What ftrace copies is between two symbols of it, whatever labels are there. */
static const struct {
	const char *from, *to;
} copies[] = {
	{ "ftrace_caller", "ftrace_caller_end" },
	{ "ftrace_regs_caller", "ftrace_regs_caller_end" },
};

TEST_F_TIMEOUT(hazard, no_template_of_ftraces_takes_a_probe, 120)
{
	struct ktramp_create create;

	for (unsigned int i = 0; i < ARRAY_SIZE(copies); i++) {
		__u64 from = address_of(copies[i].from), to = address_of(copies[i].to);

		ASSERT_NE(0, from);
		ASSERT_LT(from, to);
		for (__u64 at = from; at < to; at++) {
			EXPECT_EQ(0, accepted_by(self->fd, at, &create)) {
				TH_LOG("%s+0x%llx", copies[i].from, at - from);
			}
		}
	}
}

/* Names for whole files of assembly: every label in them is refused, where there is one. */
static const char *const bare[] = {
	"secondary_startup_64", "secondary_startup_64_no_verify", "startup_64", "soft_restart_cpu",
	"start_cpu0", "early_setup_idt", "verify_cpu", "vc_no_ghcb", "relocate_kernel",
	"identity_mapped", "virtual_mapped", "swap_pages", "core_restore_code",
	"restore_registers", "wakeup_long64", "do_suspend_lowlevel", "machine_kexec",
	"start_secondary", "cpu_init_exception_handling", "cr4_init", "load_current_idt",
	"native_play_dead",
};

TEST_F_TIMEOUT(hazard, nothing_that_runs_without_an_idt_takes_a_probe, 120)
{
	struct ktramp_create create;
	unsigned int known = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(bare); i++) {
		__u64 at = address_of(bare[i]);

		known += !!at;
		for (__u64 end = at + 16; at && at < end; at++) {
			EXPECT_EQ(0, accepted_by(self->fd, at, &create)) {
				TH_LOG("%s", bare[i]);
			}
		}
	}
	EXPECT_LT(8U, known);
}

/* A tracer of them would be entered by each breakpoint, and by those in itself. */
TEST_F(hazard, what_serves_a_breakpoint_is_traced_by_nobody)
{
	static const char *const parts[] = {
		"trap_", "hit_", "emulate_", "ktramp_handle_",
	};
	FILE *file = fopen(TRACING "available_filter_functions", "re");
	unsigned int nr = 0;
	char line[512];

	if (!file)
		SKIP(return, "this kernel has no function tracer (CONFIG_FUNCTION_TRACER)");
	while (fgets(line, sizeof(line), file)) {
		if (!strstr(line, "[ktramp]"))
			continue;
		nr++;
		for (unsigned int i = 0; i < ARRAY_SIZE(parts); i++) {
			EXPECT_NE(0, strncmp(line, parts[i], strlen(parts[i]))) {
				TH_LOG("%s", line);
			}
		}
	}
	fclose(file);
	EXPECT_LT(10U, nr);
}

/*
 * The same, computed: what a CPU on its way up may come to before load_current_idt() is done, by
 * the calls that the kernel's text has. (By pointers it comes to tracepoints, of which the
 * names follow.) Where it would say its last words it has no IDT for them either.
 */
static const char *const roots[] = { "cr4_init", "cpu_init_exception_handling" };
static const char *const ends[] = {
	"panic", "__warn_printk", "_printk", "sev_es_terminate", "snp_abort", "__stack_chk_fail",
	"__ubsan_handle_out_of_bounds", "__ubsan_handle_shift_out_of_bounds",
};

#define WAY_MAX		256

struct way {
	__u64 function[WAY_MAX];
	unsigned int nr;
};

static const struct function *function_at(__u64 address)
{
	unsigned int low = 0, high = nr_functions;

	while (high - low > 1) {
		unsigned int mid = (low + high) / 2;

		if (functions[mid].address <= address)
			low = mid;
		else
			high = mid;
	}
	return &functions[low];
}

static void go_to(struct way *way, __u64 address)
{
	const struct function *function = function_at(address);

	for (unsigned int i = 0; i < ARRAY_SIZE(ends); i++)
		if (!strcmp(function->name, ends[i]))
			return;
	for (unsigned int i = 0; i < way->nr; i++)
		if (way->function[i] == function->address)
			return;
	if (way->nr < WAY_MAX)
		way->function[way->nr++] = function->address;
}

/* Every call and jump of a function that leaves it. Return: its instructions. */
static struct ktramp_scan look_through(int fd, const struct snapshot *text, struct way *way,
				       __u64 address)
{
	static struct ktramp_scan_insn insns[4096];
	struct ktramp_scan scan = {
		.size = sizeof(scan), .address = address, .insns = (__u64)(uintptr_t)insns,
		.max = ARRAY_SIZE(insns),
	};

	if (kt_ioctl(fd, KTRAMP_IOC_SCAN, &scan))
		scan.nr = 0;
	for (unsigned int i = 0; i < scan.nr && i < scan.max; i++) {
		__u64 at = scan.address + insns[i].offset;
		const uint8_t *code = text->bytes + (at - text->start);
		__u64 to;
		int32_t rel;

		if (insns[i].length != 5 || (*code != 0xe8 && *code != 0xe9))
			continue;
		memcpy(&rel, code + 1, sizeof(rel));
		to = at + 5 + rel;
		if (to - scan.address >= scan.length && to >= text_start && to < text_end)
			go_to(way, to);
	}
	return scan;
}

TEST_F_TIMEOUT(hazard, nothing_takes_a_probe_that_a_cpu_comes_to_before_it_has_an_idt, 300)
{
	struct ktramp_create create;
	struct way way = { .nr = 0 };
	struct snapshot text;

	ASSERT_TRUE(snapshot_take(&text));
	for (unsigned int i = 0; i < ARRAY_SIZE(roots); i++) {
		ASSERT_NE(0, address_of(roots[i])) TH_LOG("%s", roots[i]);
		go_to(&way, address_of(roots[i]));
	}
	for (unsigned int i = 0; i < way.nr; i++) {
		struct ktramp_scan scan = look_through(self->fd, &text, &way, way.function[i]);
		const struct ktramp_scan_insn *insns = (const void *)(uintptr_t)scan.insns;

		for (unsigned int k = 0; k < scan.nr && k < scan.max; k++) {
			unsigned int by = accepted_by(self->fd, scan.address + insns[k].offset,
						      &create);

			EXPECT_EQ(0, by) {
				TH_LOG("%s+0x%x", function_at(way.function[i])->name,
				       insns[k].offset);
			}
			if (by)
				break;
		}
	}
	printf("# %u functions before a CPU has its IDT\n", way.nr);
	EXPECT_LT(8, way.nr);
	EXPECT_GT(WAY_MAX, way.nr);
	free(text.bytes);
}

/* sti; hlt and sti; mwait: neither takes a probe that could lose a wake-up, nor a step with TF. */
TEST_F_TIMEOUT(hazard, what_waits_for_an_interrupt_keeps_its_sti, 120)
{
	struct ktramp_create create;
	unsigned int found = 0;
	struct snapshot text;

	ASSERT_TRUE(snapshot_take(&text));
	for (size_t i = 0; i + 4 < text.size; i++) {
		const uint8_t *sti = text.bytes + i;

		if (sti[0] != 0xfb || (sti[1] != 0xf4 && memcmp(sti + 1, "\x0f\x01\xc9", 3)))
			continue;
		/* By chance it is in the middle of something else. */
		if (create_at(self->fd, text.start + i, KTRAMP_INT3_BOOST, &create) == -EILSEQ)
			continue;
		found++;
		/* A jump takes both along, and a probe on the sti alone parts them. */
		EXPECT_NE(0, create_at(self->fd, text.start + i, KTRAMP_INT3_EMULATE, &create)) {
			TH_LOG("sti at 0x%llx", (unsigned long long)text.start + i);
		}
		EXPECT_EQ(0, accepted_by(self->fd, text.start + i + 1, &create)) {
			TH_LOG("behind sti at 0x%llx", (unsigned long long)text.start + i);
		}
	}
	free(text.bytes);
	EXPECT_LT(0, found);
}

/* ---- the kernel at work ---- */

static bool is_suspect(const char *name)
{
	static const char *const parts[] = {
		"cr4", "cpu_init", "idt", "gdt", "tss", "ucode", "native_", "startup", "second",
		"notif", "ftrace_",
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(parts); i++)
		if (strstr(name, parts[i]))
			return true;
	return false;
}

/* A breakpoint at, or right behind, a function's entry. Return: its number, or 0. */
static __u32 breakpoint(int fd, __u64 address)
{
	struct ktramp_create create;

	/* Where ftrace owns the entry, behind it; an endbr64 is stepped over. */
	for (unsigned int off = 0; off <= 9; off += off ? 4 : 5)
		for (unsigned int i = 0; i < 2; i++)
			if (!create_at(fd, address + off, ours[i], &create))
				return create.id;
	return 0;
}

static void set(const char *file, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), TRACING "%s", file);
	kt_write_file(path, text);
}

/* On the way of a breakpoint to our handler: all that can be traced there. */
static const char *const way[] = {
	"notifier_call_chain", "atomic_notifier_call_chain", "notify_die", "get_kprobe",
	"kprobe_int3_handler", "do_int3", "hw_breakpoint_exceptions_notify",
	"kprobe_exceptions_notify", "trace_die_panic_handler", "trace_die_handler",
};

static void trace_the_way(const char *tracer)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(way); i++) {
		set("set_ftrace_filter", way[i]);
		set("stack_trace_filter", way[i]);
	}
	set("events/notifier/enable", "1");
	set("current_tracer", tracer);
}

static void trace_nothing(void)
{
	set("current_tracer", "nop");
	set("events/notifier/enable", "0");
	kt_write_file("/proc/sys/kernel/stack_tracer_enabled", "0");
	close(open(TRACING "set_ftrace_filter", O_WRONLY | O_TRUNC));
	close(open(TRACING "stack_trace_filter", O_WRONLY | O_TRUNC));
}

/* Each makes the kernel copy code, go without an IDT, or trace what a breakpoint runs through. */
static int provoke(int fd)
{
	struct ktramp_run run;
	int id, err;

	err = kt_write_file(CPU1_ONLINE, "0") ?: kt_write_file(CPU1_ONLINE, "1");
	if (err)
		return err;
	/* ftrace makes a trampoline. */
	err = kt_theirs_ready("vfs_read") ?: kt_theirs_on() ?: kt_theirs_off();
	if (err)
		return err;
	id = kt_create(fd, "lea", KTRAMP_INT3_BOOST);
	if (id < 0)
		return id;
	err = kt_arm(fd, id);
	for (unsigned int i = 0; !err && i < 3; i++) {
		trace_the_way(i ? i == 1 ? "function_graph" : "nop" : "function");
		if (i == 2)
			kt_write_file("/proc/sys/kernel/stack_tracer_enabled", "1");
		err = kt_run(fd, kt_target_index(fd, "lea"), id, 10, 0, &run);
		trace_nothing();
		if (!err && (run.hits != 10 || run.wrong))
			err = -EIO;
	}
	kt_destroy(fd, id);
	return err;
}

/* ---- lock prefixes, which the kernel writes back when a second CPU comes ---- */

#define LOCKS_MAX	65536

/* Of the kernel: its own table of them (arch/x86/kernel/alternative.c); of a module: see below. */
static __u64 locks[LOCKS_MAX];

static bool read_window(__u64 address, void *to, size_t len)
{
	int fd = open(KT_WINDOW, O_RDONLY | O_CLOEXEC);
	bool read = pread(fd, to, len, address - KT_TEXT_BASE) == (ssize_t)len;

	close(fd);
	return read;
}

/* Each entry is the distance from itself. Return: how many there are. */
static unsigned int read_locks(void)
{
	__u64 from = kt_symbol("__smp_locks"), to = kt_symbol("__smp_locks_end");
	unsigned int nr = 0;
	unsigned char byte;
	__s32 offset;

	for (__u64 at = from; from && at < to && nr < LOCKS_MAX; at += sizeof(offset)) {
		if (!read_window(at, &offset, sizeof(offset)))
			return 0;
		/* The others are of text that is gone since the boot, or is an alternative now. */
		if (at + offset >= text_start && at + offset < text_end &&
		    read_window(at + offset, &byte, 1) && byte == 0x3e)
			locks[nr++] = at + offset;
	}
	return nr;
}

/* Instructions of a module's functions that begin as a lock prefix does now. */
static unsigned int read_module_locks(int fd, const char *module, unsigned int nr)
{
	static struct ktramp_scan_insn insns[512];
	FILE *file = fopen("/proc/kallsyms", "re");
	unsigned long long address;
	char type, of[64], line[1024];
	unsigned char byte;

	while (file && fgets(line, sizeof(line), file)) {
		struct ktramp_scan scan = {
			.size = sizeof(scan), .insns = (unsigned long)insns,
			.max = ARRAY_SIZE(insns),
		};

		if (sscanf(line, "%llx %c %*s [%63[^]]", &address, &type, of) != 3 ||
		    strcmp(of, module) || !strchr("tT", type))
			continue;
		scan.address = address;
		if (kt_ioctl(fd, KTRAMP_IOC_SCAN, &scan))
			continue;
		for (unsigned int i = 0; i < scan.nr && i < ARRAY_SIZE(insns); i++)
			if (nr < LOCKS_MAX &&
			    read_window(scan.address + insns[i].offset, &byte, 1) && byte == 0x3e)
				locks[nr++] = scan.address + insns[i].offset;
	}
	if (file)
		fclose(file);
	return nr;
}

/* How many of them are what a machine of several CPUs has. */
static unsigned int count_back(unsigned int nr)
{
	unsigned int count = 0;
	unsigned char byte;

	for (unsigned int i = 0; i < nr; i++)
		count += read_window(locks[i], &byte, 1) && byte == 0xf0;
	return count;
}

TEST_F_TIMEOUT(hazard, a_second_cpu_comes_to_text_that_is_armed, 600)
{
	unsigned int own, nr, taken = 0, armed = 0;
	struct ktramp_create create;
	char online[8];

	if (access(CPU1_ONLINE, W_OK))
		SKIP(return, "CPU 1 cannot be brought online (CONFIG_HOTPLUG_CPU)");
	ASSERT_LT(0, kt_read_file(CPU1_ONLINE, online, sizeof(online)));
	if (online[0] != '0')
		SKIP(return, "the second CPU is there already (maxcpus=1)");
	/* 7.3 has no table of them any more, and keeps them with one CPU. */
	if (!kt_symbol("__smp_locks"))
		SKIP(return, "this kernel does not rewrite its lock prefixes");
	own = read_locks();
	ASSERT_LT(1000, own);
	/* A module's are like them, and in a table that went with its init text. */
	kt_insmod("/tests/modules/loop.ko");
	nr = read_module_locks(self->fd, "loop", own);
	EXPECT_LT(own, nr);
	for (unsigned int i = 0; i < nr; i++) {
		/* No breakpoint on it, */
		taken += !create_at(self->fd, locks[i], KTRAMP_INT3_BOOST, &create);
		/* and no jump over it, where so many are that some would. */
		for (unsigned int k = 1; k < 5 && (i >= own || i % 8 == 0); k++) {
			if (create_at(self->fd, locks[i] - k, KTRAMP_JUMP, &create))
				continue;
			/* Whether it reaches over the prefix is told by the text. */
			if (kt_arm(self->fd, create.id))
				kt_destroy(self->fd, create.id);
			else
				armed++;
		}
	}
	EXPECT_EQ(0, taken);
	ASSERT_EQ(0, kt_write_file(CPU1_ONLINE, "1"));
	close(self->fd);
	self->fd = kt_open();
	EXPECT_EQ(nr, count_back(nr));
	TH_LOG("%u lock prefixes, %u of a module, and %u jumps near them", nr, nr - own, armed);
	EXPECT_LT(0, armed);
	kt_shell("rmmod loop", &(struct kt_output){ 0 });
}

TEST_F_TIMEOUT(hazard, a_breakpoint_in_all_that_is_accepted_takes_nothing_down, 3000)
{
	unsigned int part = number_of("HAZARD_PART", 1), chunk = number_of("HAZARD_CHUNK", CHUNK);
	__u64 from = getenv("HAZARD_FROM") ? address_of(getenv("HAZARD_FROM")) : text_start;
	__u64 to = getenv("HAZARD_TO") ? address_of(getenv("HAZARD_TO")) : text_end;
	const char *first = NULL;
	unsigned int nr = 0, all = 0;
	static __u32 ids[CHUNK];
	struct ktramp_batch batch;
	char line[200];
	__u64 last = 0;

	ASSERT_GE(CHUNK, chunk);

	if (access(CPU1_ONLINE, W_OK))
		SKIP(return, "CPU 1 cannot be taken offline (CONFIG_HOTPLUG_CPU)");
	kt_write_file(CPU1_ONLINE, "1");
	ASSERT_EQ(0, provoke(self->fd));
	for (unsigned int i = 0; i < nr_functions; i++) {
		const struct function *f = &functions[i];

		if (f->address >= from && f->address < to &&
		    f->address >= last + 24 && (i % part == 0 || is_suspect(f->name))) {
			ids[nr] = breakpoint(self->fd, f->address);
			nr += !!ids[nr];
			last = f->address;
			first = first ?: f->name;
		}
		if (nr < chunk && i + 1 < nr_functions)
			continue;
		snprintf(line, sizeof(line), "hazard: %u functions from %s to %s\n", nr, first,
			 f->name);
		kt_write_file("/dev/kmsg", line);
		first = NULL;
		EXPECT_EQ(0, kt_batch(self->fd, KTRAMP_IOC_ARM, ids, nr, &batch)) {
			TH_LOG("%s", batch.why);
		}
		EXPECT_EQ(0, provoke(self->fd)) {
			TH_LOG("functions up to %s", f->name);
		}
		EXPECT_EQ(0, kt_batch(self->fd, KTRAMP_IOC_DESTROY, ids, nr, &batch));
		all += nr;
		nr = 0;
	}
	TH_LOG("%u functions", all);
	EXPECT_LT(1000, all);
}

TEST_HARNESS_MAIN
