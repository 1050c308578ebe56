// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hit in every context the kernel has: hard and soft interrupts, NMI, #DB, the idle task, a page
 * fault. Each function is one that its context runs through for sure when the test makes it
 * happen, and does not otherwise. And the functions that run before a breakpoint's
 * handler can: no mechanism takes them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kt.h"
#include "progs.h"

#define PACKETS		20
#define PAGES		64
#define SLEEPS		10
#define WRITES		10

/* ---- what makes a context happen; how many hits that must be at least, or -errno ---- */

static int spin_for_ticks(void)
{
	struct timespec now;
	time_t end;

	clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec * 1000 + now.tv_nsec / 1000000 + 100;
	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < end);
	/* 100 ms are 10 ticks at the least, HZ=100. The edges may be cut. */
	return 8;
}

static int send_packets(void)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(9),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), n;

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo))
		return -errno;
	for (n = 0; n < PACKETS; n++)
		/* Nobody listens: every second one tells of the refusal of the first. */
		if (sendto(fd, &n, sizeof(n), 0, (struct sockaddr *)&to, sizeof(to)) < 0 &&
		    errno != ECONNREFUSED)
			return -errno;
	close(fd);
	return PACKETS / 2;
}

static int touch_pages(void)
{
	size_t size = PAGES * 4096;
	char *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return -errno;
	madvise(page, size, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < size; i += 4096)
		page[i] = 1;
	munmap(page, size);
	return PAGES;
}

static int go_idle(void)
{
	for (int i = 0; i < SLEEPS; i++)
		usleep(20000);
	return SLEEPS / 2;
}

/*
 * The local APIC sends its own CPU an NMI nobody expects; the kernel says so in the log.
 * Its registers are memory (SDM vol. 3, 10.6.1).
 */
static int raise_nmi(void)
{
	int fd = open(KT_WINDOW, O_RDWR | O_CLOEXEC), err;
	volatile uint32_t *apic;

	if (fd < 0)
		return -errno;
	apic = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	err = -errno;
	close(fd);
	if (apic == MAP_FAILED)
		return err;
	kt_pin(0);
	apic[0x310 / 4] = apic[0x20 / 4] & 0xff000000;
	/* NMI, assert, to the CPU named above */
	apic[0x300 / 4] = 4 << 8 | 1 << 14;
	usleep(1000);
	munmap((void *)apic, 4096);
	return 1;
}

static int open_event(struct perf_event_attr *attr)
{
	attr->size = sizeof(*attr);
	return syscall(SYS_perf_event_open, attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* @type: HW_BREAKPOINT_* */
static int open_breakpoint(unsigned int type, uint64_t address)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT, .bp_type = type, .bp_addr = address,
		.bp_len = HW_BREAKPOINT_LEN_8,
	};

	return open_event(&attr);
}

/* The kernel itself writes to memory of ours that is watched: a #DB on a stack of its own. */
static int hit_watchpoint(void)
{
	static uint64_t watched;
	int fd = open_breakpoint(HW_BREAKPOINT_W, (uintptr_t)&watched);
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC), n;

	if (fd < 0 || zero < 0)
		return -errno;
	for (n = 0; n < WRITES; n++)
		if (read(zero, &watched, sizeof(watched)) != sizeof(watched))
			return -errno;
	close(zero);
	close(fd);
	return n;
}

/* Nothing of what the others do. */
static int wait_a_little(void)
{
	return 0;
}

/**
 * struct context - one of them
 * @name: of the context
 * @function: what it runs through
 * @happen: makes it happen
 * @rare: without @happen, the function is not run
 */
struct context {
	const char *name, *function;
	int (*happen)(void);
	bool rare;
};

static const struct context hard_irq = {
	"hard interrupt", "update_process_times", spin_for_ticks,
};

static const struct context soft_irq = { "soft interrupt", "net_rx_action", send_packets, true };
static const struct context page_fault = { "page fault", "handle_mm_fault", touch_pages };
static const struct context idle = { "idle task", "tick_nohz_idle_enter", go_idle };
static const struct context debug = { "#DB", "perf_bp_event", hit_watchpoint, true };
static const struct context nmi = { "NMI", "default_get_nmi_reason", raise_nmi, true };

FIXTURE(hit) {
	int fd, id;
	struct progs_bpf *skel;
	char site[KTRAMP_SITE_MAX];
};

FIXTURE_VARIANT(hit) {
	const struct context *context;
	unsigned int mechanism, handler;
};

#define VARIANT(where, how, mech, run)						\
	FIXTURE_VARIANT_ADD(hit, where##_##how) {				\
		.context = &(where), .mechanism = mech, .handler = run,		\
	}

VARIANT(hard_irq, emulate, KTRAMP_INT3_EMULATE, KTRAMP_COUNT);
VARIANT(hard_irq, step_tf, KTRAMP_INT3_STEP_TF, KTRAMP_COUNT);
VARIANT(hard_irq, step_int3, KTRAMP_INT3_STEP_INT3, KTRAMP_REGS);
VARIANT(hard_irq, boost, KTRAMP_INT3_BOOST, KTRAMP_COUNT);
VARIANT(hard_irq, jump, KTRAMP_JUMP, KTRAMP_COUNT);
VARIANT(hard_irq, jump_regs, KTRAMP_JUMP, KTRAMP_REGS);
VARIANT(hard_irq, divert, KTRAMP_INT3_DIVERT, KTRAMP_COUNT);
VARIANT(hard_irq, divert_regs, KTRAMP_INT3_DIVERT, KTRAMP_REGS);
VARIANT(hard_irq, divert_bpf, KTRAMP_INT3_DIVERT, KTRAMP_BPF);
VARIANT(hard_irq, boost_bpf, KTRAMP_INT3_BOOST, KTRAMP_BPF);
VARIANT(hard_irq, bpf_jump, KTRAMP_BPF_JUMP, KTRAMP_BPF);
VARIANT(soft_irq, emulate, KTRAMP_INT3_EMULATE, KTRAMP_COUNT);
VARIANT(soft_irq, step_tf, KTRAMP_INT3_STEP_TF, KTRAMP_COUNT);
VARIANT(soft_irq, step_int3, KTRAMP_INT3_STEP_INT3, KTRAMP_REGS);
VARIANT(soft_irq, boost, KTRAMP_INT3_BOOST, KTRAMP_COUNT);
VARIANT(soft_irq, jump, KTRAMP_JUMP, KTRAMP_COUNT);
VARIANT(soft_irq, jump_regs, KTRAMP_JUMP, KTRAMP_REGS);
VARIANT(soft_irq, divert, KTRAMP_INT3_DIVERT, KTRAMP_COUNT);
VARIANT(soft_irq, divert_regs, KTRAMP_INT3_DIVERT, KTRAMP_REGS);
VARIANT(soft_irq, divert_bpf, KTRAMP_INT3_DIVERT, KTRAMP_BPF);
VARIANT(soft_irq, boost_bpf, KTRAMP_INT3_BOOST, KTRAMP_BPF);
VARIANT(soft_irq, bpf_jump, KTRAMP_BPF_JUMP, KTRAMP_BPF);
VARIANT(page_fault, emulate, KTRAMP_INT3_EMULATE, KTRAMP_COUNT);
VARIANT(page_fault, step_tf, KTRAMP_INT3_STEP_TF, KTRAMP_COUNT);
VARIANT(page_fault, step_int3, KTRAMP_INT3_STEP_INT3, KTRAMP_REGS);
VARIANT(page_fault, boost, KTRAMP_INT3_BOOST, KTRAMP_COUNT);
VARIANT(page_fault, jump, KTRAMP_JUMP, KTRAMP_COUNT);
VARIANT(page_fault, jump_regs, KTRAMP_JUMP, KTRAMP_REGS);
VARIANT(page_fault, divert, KTRAMP_INT3_DIVERT, KTRAMP_COUNT);
VARIANT(page_fault, divert_regs, KTRAMP_INT3_DIVERT, KTRAMP_REGS);
VARIANT(page_fault, divert_bpf, KTRAMP_INT3_DIVERT, KTRAMP_BPF);
VARIANT(page_fault, boost_bpf, KTRAMP_INT3_BOOST, KTRAMP_BPF);
VARIANT(page_fault, bpf_jump, KTRAMP_BPF_JUMP, KTRAMP_BPF);
VARIANT(idle, emulate, KTRAMP_INT3_EMULATE, KTRAMP_COUNT);
VARIANT(idle, step_tf, KTRAMP_INT3_STEP_TF, KTRAMP_COUNT);
VARIANT(idle, step_int3, KTRAMP_INT3_STEP_INT3, KTRAMP_REGS);
VARIANT(idle, boost, KTRAMP_INT3_BOOST, KTRAMP_COUNT);
VARIANT(idle, jump, KTRAMP_JUMP, KTRAMP_COUNT);
VARIANT(idle, jump_regs, KTRAMP_JUMP, KTRAMP_REGS);
VARIANT(idle, divert, KTRAMP_INT3_DIVERT, KTRAMP_COUNT);
VARIANT(idle, divert_regs, KTRAMP_INT3_DIVERT, KTRAMP_REGS);
VARIANT(idle, divert_bpf, KTRAMP_INT3_DIVERT, KTRAMP_BPF);
VARIANT(idle, boost_bpf, KTRAMP_INT3_BOOST, KTRAMP_BPF);
VARIANT(idle, bpf_jump, KTRAMP_BPF_JUMP, KTRAMP_BPF);
VARIANT(debug, emulate, KTRAMP_INT3_EMULATE, KTRAMP_COUNT);
VARIANT(debug, step_tf, KTRAMP_INT3_STEP_TF, KTRAMP_COUNT);
VARIANT(debug, step_int3, KTRAMP_INT3_STEP_INT3, KTRAMP_REGS);
VARIANT(debug, boost, KTRAMP_INT3_BOOST, KTRAMP_COUNT);
VARIANT(debug, jump, KTRAMP_JUMP, KTRAMP_COUNT);
VARIANT(debug, jump_regs, KTRAMP_JUMP, KTRAMP_REGS);
VARIANT(debug, divert, KTRAMP_INT3_DIVERT, KTRAMP_COUNT);
VARIANT(debug, divert_regs, KTRAMP_INT3_DIVERT, KTRAMP_REGS);
VARIANT(debug, divert_bpf, KTRAMP_INT3_DIVERT, KTRAMP_BPF);
VARIANT(debug, boost_bpf, KTRAMP_INT3_BOOST, KTRAMP_BPF);
VARIANT(debug, bpf_jump, KTRAMP_BPF_JUMP, KTRAMP_BPF);
VARIANT(nmi, emulate, KTRAMP_INT3_EMULATE, KTRAMP_COUNT);
VARIANT(nmi, step_tf, KTRAMP_INT3_STEP_TF, KTRAMP_COUNT);
VARIANT(nmi, step_int3, KTRAMP_INT3_STEP_INT3, KTRAMP_REGS);
VARIANT(nmi, boost, KTRAMP_INT3_BOOST, KTRAMP_COUNT);
VARIANT(nmi, jump, KTRAMP_JUMP, KTRAMP_COUNT);
VARIANT(nmi, jump_regs, KTRAMP_JUMP, KTRAMP_REGS);
VARIANT(nmi, divert, KTRAMP_INT3_DIVERT, KTRAMP_COUNT);
VARIANT(nmi, divert_regs, KTRAMP_INT3_DIVERT, KTRAMP_REGS);
VARIANT(nmi, divert_bpf, KTRAMP_INT3_DIVERT, KTRAMP_BPF);
VARIANT(nmi, boost_bpf, KTRAMP_INT3_BOOST, KTRAMP_BPF);
VARIANT(nmi, bpf_jump, KTRAMP_BPF_JUMP, KTRAMP_BPF);

/*
 * The first instruction of the function that the mechanism takes. Near the entry no branch
 * has been passed yet, so that every call comes through.
 */
static int make_probe(int fd, const char *function, unsigned int mechanism, unsigned int handler,
		      char site[KTRAMP_SITE_MAX])
{
	struct ktramp_create create;
	struct ktramp_probe_info info;
	int err = -ENOENT;

	for (unsigned int off = 0; off < 24; off++) {
		snprintf(site, KTRAMP_SITE_MAX, "%s+0x%x", function, off);
		err = kt_create_as(fd, site, mechanism, handler, 0, &create);
		if (err == -ENOENT)
			break;
		if (err)
			continue;
		/* A jump at the entry is ftrace's. */
		if (!kt_probe(fd, create.id, &info) && info.tactic != KTRAMP_TACTIC_FTRACE)
			return create.id;
		kt_destroy(fd, create.id);
	}
	return err;
}

/* A program that writes to maps and to a ring, and walks the stack, wherever it is. */
static int give_program(FIXTURE_DATA(hit) *self)
{
	struct ktramp_bpf bpf;
	int prog;

	self->skel = progs_load_for_ring("use_helpers", &prog);
	return self->skel ? progs_give(self->fd, self->id, prog, 0, &bpf) : -errno;
}

FIXTURE_SETUP(hit)
{
	self->skel = NULL;
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, kt_open_window());
	if (variant->handler == KTRAMP_BPF && !kt_runs_bpf())
		SKIP(return, "this kernel does not show which task runs a BPF program");
	self->id = make_probe(self->fd, variant->context->function, variant->mechanism,
			      variant->handler, self->site);
	if (self->id == -ENOENT)
		SKIP(return, "this kernel has no function %s", variant->context->function);
	ASSERT_LT(0, self->id);
	if (variant->handler == KTRAMP_BPF)
		ASSERT_EQ(0, give_program(self));
}

FIXTURE_TEARDOWN(hit)
{
	progs_bpf__destroy(self->skel);
	close(self->fd);
}

static __u64 hits(const FIXTURE_DATA(hit) *self)
{
	struct ktramp_probe_info info;

	if (kt_probe(self->fd, self->id, &info))
		return 0;
	/* A program is not run where RCU sleeps, or in another one: here is none of both. */
	return self->skel ? info.hits : info.hits + info.missed;
}

TEST_F_TIMEOUT(hit, works_in_its_context, 120)
{
	struct ktramp_probe_info before, after;
	int expected;
	__u64 now;

	ASSERT_EQ(0, kt_probe(self->fd, self->id, &before));
	ASSERT_EQ(0, kt_arm(self->fd, self->id));
	if (variant->context->rare) {
		now = hits(self);
		EXPECT_EQ(0, wait_a_little());
		EXPECT_EQ(now, hits(self));
	}
	now = hits(self);
	expected = variant->context->happen();
	ASSERT_LT(0, expected);
	EXPECT_LE(expected, (int)(hits(self) - now)) {
		TH_LOG("%s at %s", variant->context->name, self->site);
	}
	ASSERT_EQ(0, kt_disarm(self->fd, self->id));
	now = hits(self);
	ASSERT_LT(0, variant->context->happen());
	EXPECT_EQ(now, hits(self));
	ASSERT_EQ(0, kt_probe(self->fd, self->id, &after));
	EXPECT_EQ(0, memcmp(before.now, after.now, sizeof(after.now)));
	if (self->skel) {
		EXPECT_LE(expected, (int)self->skel->bss->calls);
		EXPECT_EQ(0, self->skel->bss->update_error);
		EXPECT_LT(0, self->skel->bss->stack_size);
	}
}

/* ---- a hit in the middle of one of the same probe ---- */

#define RDI		7
#define CALL_AND_BACK	7	/* bytes: call rel32, pop %rdi, popfq */

static int open_fault_counter(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .config = PERF_COUNT_SW_PAGE_FAULTS,
	};

	return open_event(&attr);
}

/*
 * The function is called for an event that counts page faults, with that event. Behind the stores
 * of its detour is a hardware breakpoint, whose #DB is an event too, and calls it with another
 * one: what the outer hit stored must stay.
 */
/* ---- a debugger that steps branches ---- */

#define STEPPED_CALLS	50

/* Calls a target that is stepped with TF. Return: #DB taken meanwhile, or -errno. */
static int run_stepped(void)
{
	int fd = kt_open(), id = kt_create(fd, "push", KTRAMP_INT3_STEP_TF), err;
	struct ktramp_run run;

	if (id < 0)
		return id;
	err = kt_arm(fd, id) ?: kt_run(fd, kt_target_index(fd, "push"), id, STEPPED_CALLS, 0, &run);
	close(fd);
	if (!err && (run.wrong || run.hits != STEPPED_CALLS))
		err = -EIO;
	return err ?: (int)run.db;
}

/*
 * It is for the user side of the task, but where the CPU has it, it holds in the kernel, and TF
 * stops behind branches only. So no instruction is stepped meanwhile.
 */
TEST(a_task_that_is_stepped_by_branches_is_stepped_by_no_tf)
{
	int status, steps = 0;
	pid_t pid;

	EXPECT_EQ(STEPPED_CALLS, run_stepped());
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(run_stepped() ? 1 : 0);
	}
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		steps++;
		if (ptrace(PTRACE_SINGLEBLOCK, pid, NULL, NULL))
			break;
	}
	EXPECT_LT(1, steps);
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
}

TEST(a_detour_does_not_store_over_what_it_interrupted)
{
	struct ktramp_code code = { .size = sizeof(code), .part = KTRAMP_CODE_DETOUR };
	int fd = kt_open(), faults, breakpoint, id;
	struct ktramp_probe_info before, after;
	struct ktramp_regs alone, nested;
	char site[KTRAMP_SITE_MAX];
	uint64_t fired, address;

	ASSERT_EQ(0, kt_pin(0));
	id = make_probe(fd, "perf_swevent_event", KTRAMP_JUMP, KTRAMP_REGS, site);
	if (id == -ENOENT)
		SKIP(return, "this kernel has no function perf_swevent_event");
	ASSERT_LT(0, id);
	code.id = id;
	ASSERT_EQ(0, kt_ioctl(fd, KTRAMP_IOC_CODE, &code));
	address = code.address + code.relocated - CALL_AND_BACK;
	ASSERT_EQ(CALL, code.code[code.relocated - CALL_AND_BACK]);
	faults = open_fault_counter();
	ASSERT_LE(0, faults);

	ASSERT_EQ(0, kt_arm(fd, id));
	ASSERT_EQ(PAGES, touch_pages());
	ASSERT_EQ(0, kt_regs(fd, id, &alone));
	ASSERT_EQ(0, kt_probe(fd, id, &before));
	EXPECT_LE(PAGES, before.hits);
	EXPECT_EQ(0, before.missed);

	breakpoint = open_breakpoint(HW_BREAKPOINT_X, address);
	ASSERT_LE(0, breakpoint);
	ASSERT_EQ(PAGES, touch_pages());
	ASSERT_EQ(sizeof(fired), read(breakpoint, &fired, sizeof(fired)));
	close(breakpoint);
	ASSERT_EQ(0, kt_disarm(fd, id));
	ASSERT_EQ(0, kt_regs(fd, id, &nested));
	ASSERT_EQ(0, kt_probe(fd, id, &after));
	EXPECT_LE(PAGES, fired);
	EXPECT_EQ(fired, after.missed);
	EXPECT_EQ(fired, after.recursed);
	EXPECT_LE(before.hits + fired, after.hits);
	EXPECT_EQ(after.hits, nested.seq);
	EXPECT_EQ(alone.r[RDI], nested.r[RDI]);
	close(faults);
	close(fd);
}

/* ---- what no probe may be on ---- */

/*
 * All of these run before exc_int3() calls ktramp, or in what it calls. A kernel has those that
 * it was built with.
 */
static const char *const before_handler[] = {
	"exc_int3", "asm_exc_int3", "exc_debug", "irqentry_nmi_enter", "irqentry_nmi_exit",
	"__x86_return_thunk", "poke_int3_handler", "smp_text_poke_int3_handler", "error_entry",
	/* with lockdep */
	"lock_is_held_type", "debug_lockdep_rcu_enabled",
	"lockdep_hardirqs_off", "lockdep_hardirqs_on", "debug_smp_processor_id",
	/* with which a handler ends where preemption is due, and a probe's there again */
	"preempt_schedule_notrace",
};

/* And these where ktramp's notifier is reached, or behind it. */
static const char *const before_notifier[] = {
	"notify_die", "atomic_notifier_call_chain", "notifier_call_chain",
	"hw_breakpoint_exceptions_notify", "kprobe_exceptions_notify", "trace_die_panic_handler",
	"trace_die_handler", "__rcu_read_lock", "__rcu_read_unlock", "rcu_read_unlock_special",
	/* with lockdep, under the rcu_read_lock() of the notifier chain */
	"lock_acquire", "lock_release",
	/* with KASAN */
	"kasan_check_range", "__kasan_check_read",
	/* where gcc does not inline it */
	"notify_debug",
};

/* Mechanisms whose hits never come to the notifier, where breakpoints enter directly. */
static const unsigned int direct[] = {
	KTRAMP_INT3_EMULATE, KTRAMP_INT3_STEP_INT3, KTRAMP_INT3_BOOST, KTRAMP_INT3_DIVERT,
	KTRAMP_JUMP,
};

static const unsigned int others[] = {
	KTRAMP_INT3_STEP_TF, KTRAMP_KPROBE_STEP, KTRAMP_KPROBE_OPT, KTRAMP_KPROBE_FTRACE,
	KTRAMP_KRETPROBE, KTRAMP_FTRACE,
};

FIXTURE(refused) {
	int fd;
};

FIXTURE_SETUP(refused)
{
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(refused)
{
	close(self->fd);
}

/* Return: whether there is such a function. */
static bool is_refused(struct __test_metadata *_metadata, int fd, const char *name,
		       const unsigned int *mechanisms, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		struct ktramp_create create;
		int err = kt_create_as(fd, name, mechanisms[i], KTRAMP_COUNT, 0, &create);

		if (err == -ENOENT)
			return false;
		EXPECT_EQ(-EACCES, err) {
			TH_LOG("%s, mechanism %u: %s", name, mechanisms[i], create.why);
		}
		if (!err)
			kt_destroy(fd, create.id);
	}
	return true;
}

TEST_F_TIMEOUT(refused, is_what_runs_before_the_handler_in_every_mechanism, 120)
{
	int program = kt_runs_bpf() ? -EACCES : -EOPNOTSUPP;
	struct ktramp_create create;
	struct ktramp_info info;
	unsigned int known = 0;

	ASSERT_EQ(0, kt_info(self->fd, &info));
	for (unsigned int i = 0; i < ARRAY_SIZE(before_handler); i++)
		if (is_refused(_metadata, self->fd, before_handler[i], direct, ARRAY_SIZE(direct)))
			known += is_refused(_metadata, self->fd, before_handler[i], others,
					    ARRAY_SIZE(others));
	/* Every kernel has most of the first lines. */
	EXPECT_LT(7U, known);
	known = 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(before_notifier); i++) {
		const char *name = before_notifier[i];

		if (!is_refused(_metadata, self->fd, name, others, ARRAY_SIZE(others)))
			continue;
		known++;
		/* A program's breakpoint enters by the notifier in any case. */
		EXPECT_EQ(program, kt_create_as(self->fd, name, KTRAMP_INT3_BOOST, KTRAMP_BPF, 0,
						&create));
		EXPECT_EQ(program, kt_create_as(self->fd, name, KTRAMP_BPF_JUMP, KTRAMP_BPF, 0,
						&create));
		if (info.entry == KTRAMP_ENTRY_NOTIFIER)
			is_refused(_metadata, self->fd, name, direct, ARRAY_SIZE(direct));
	}
	EXPECT_LT(3U, known);
}

/*
 * And what looks as if it did, with lockdep: who asks whether RCU watches is not asked on the
 * way to the handler. Where an int3 is on each of these, int3s elsewhere do not hit it.
 */
static const char *const beside_handler[] = {
	"rcu_lockdep_current_cpu_online", "rcu_read_lock_any_held", "rcu_read_lock_sched_held",
	"rcu_read_lock_held",
};

static const unsigned int breakpoints[] = {
	KTRAMP_INT3_EMULATE, KTRAMP_INT3_STEP_TF, KTRAMP_INT3_STEP_INT3, KTRAMP_INT3_BOOST,
	KTRAMP_INT3_DIVERT,
};

/* Behind the function's entry, where that is ftrace's, after an endbr64 or not. */
static int watch(int fd, const char *function)
{
	static const unsigned int offsets[] = { 0, 5, 9 };
	int id = -ENOENT;

	for (unsigned int i = 0; i < ARRAY_SIZE(offsets); i++) {
		char site[64];

		snprintf(site, sizeof(site), "%s+0x%x", function, offsets[i]);
		id = kt_create(fd, site, KTRAMP_INT3_BOOST);
		if (id != -EBUSY && id != -EILSEQ)
			break;
	}
	return id;
}

/* Hits of @watched while a breakpoint is hit @loops times; the system call makes some as well. */
static long hits_beside(int fd, int watched, unsigned int mechanism, unsigned int loops)
{
	int id = kt_create(fd, "lea", mechanism), target = kt_target_index(fd, "lea");
	struct ktramp_probe_info before, after;
	struct ktramp_run run;
	int err = id < 0 ? id : kt_arm(fd, id);

	err = err ?: kt_probe(fd, watched, &before) ?: kt_run(fd, target, id, loops, 0, &run) ?:
	      kt_probe(fd, watched, &after);
	if (!err && run.hits != loops)
		err = -EIO;
	if (id > 0)
		kt_destroy(fd, id);
	return err ?: (long)(after.hits + after.missed - before.hits - before.missed);
}

TEST_F_TIMEOUT(refused, is_nothing_that_does_not_run_there, 120)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(beside_handler); i++) {
		int watched = watch(self->fd, beside_handler[i]);

		/* Without lockdep there are none of them. */
		if (watched == -ENOENT)
			continue;
		ASSERT_LT(0, watched) {
			TH_LOG("%s", beside_handler[i]);
		}
		ASSERT_EQ(0, kt_arm(self->fd, watched));
		for (unsigned int j = 0; j < ARRAY_SIZE(breakpoints); j++) {
			long hits = hits_beside(self->fd, watched, breakpoints[j], 2000);

			ASSERT_LE(0, hits);
			EXPECT_GT(1000, hits) {
				TH_LOG("%s, mechanism %u", beside_handler[i], breakpoints[j]);
			}
		}
		ASSERT_EQ(0, kt_destroy(self->fd, watched));
	}
}

/*
 * Where breakpoints enter directly, one in what the notifier needs is hit by those that still
 * go there, a program's, a kprobe's, a step's #DB, and none of them hangs.
 */
TEST_F_TIMEOUT(refused, is_not_what_only_the_notifier_needs, 120)
{
	static const unsigned int notified[] = { KTRAMP_KPROBE_STEP, KTRAMP_INT3_STEP_TF };
	struct ktramp_info info;

	ASSERT_EQ(0, kt_info(self->fd, &info));
	if (info.entry == KTRAMP_ENTRY_NOTIFIER)
		SKIP(return, "%s", info.entry_why);
	for (unsigned int i = 0; i < ARRAY_SIZE(before_notifier); i++) {
		int watched = watch(self->fd, before_notifier[i]);

		/* Not in this kernel, or its first instruction is none to probe. */
		if (watched == -ENOENT || watched == -EACCES)
			continue;
		ASSERT_LT(0, watched) {
			TH_LOG("%s: %d", before_notifier[i], watched);
		}
		ASSERT_EQ(0, kt_arm(self->fd, watched));
		for (unsigned int j = 0; j < ARRAY_SIZE(notified); j++) {
			ASSERT_LE(0, hits_beside(self->fd, watched, notified[j], 100)) {
				TH_LOG("%s, mechanism %u", before_notifier[i], notified[j]);
			}
		}
		ASSERT_EQ(0, kt_destroy(self->fd, watched));
	}
}

TEST_HARNESS_MAIN
