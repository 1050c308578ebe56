// SPDX-License-Identifier: GPL-2.0-only
/*
 * BPF programs run by our own mechanisms: what they are given, which are refused, and what
 * becomes of them when they, or their owners, go.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "decode/insn.h"
#include "kselftest_harness.h"
#include "kt.h"
#include "progs.h"

#define COOKIE		0x6b7472616d70ULL
#define FRAMES_MAX	32

static int create_as(int dev, const char *site, unsigned int mechanism, unsigned int handler)
{
	struct ktramp_create create;
	int err = kt_create_as(dev, site, mechanism, handler, 0, &create);

	return err ? err : (int)create.id;
}

static int create(int dev, const char *site, unsigned int mechanism)
{
	return create_as(dev, site, mechanism, KTRAMP_BPF);
}

static __u64 sum(int map, __u32 slot)
{
	int cpus = libbpf_num_possible_cpus();
	__u64 values[64] = { 0 }, all = 0;

	if (bpf_map_lookup_elem(map, &slot, values))
		return ~0ULL;
	for (int i = 0; i < cpus; i++)
		all += values[i];
	return all;
}

/* ---- every mechanism that runs one ---- */

FIXTURE(run) {
	int fd, prog, id, target;
	struct progs_bpf *skel;
	struct ktramp_target_info site;
};

FIXTURE_VARIANT(run) {
	unsigned int mechanism;
	int bp;
};

FIXTURE_VARIANT_ADD(run, bpf_jump) { .mechanism = KTRAMP_BPF_JUMP, .bp = 0 };
FIXTURE_VARIANT_ADD(run, int3_emulate) { .mechanism = KTRAMP_INT3_EMULATE, .bp = 1 };
FIXTURE_VARIANT_ADD(run, int3_boost) { .mechanism = KTRAMP_INT3_BOOST, .bp = 1 };
FIXTURE_VARIANT_ADD(run, int3_divert) { .mechanism = KTRAMP_INT3_DIVERT, .bp = 1 };
FIXTURE_VARIANT_ADD(run, int3_step_int3) { .mechanism = KTRAMP_INT3_STEP_INT3, .bp = 2 };
FIXTURE_VARIANT_ADD(run, int3_step_tf) { .mechanism = KTRAMP_INT3_STEP_TF, .bp = 1 };

FIXTURE_SETUP(run)
{
	ASSERT_EQ(0, kt_pin(0));
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	self->skel = NULL;
	self->target = kt_target_index(self->fd, "regs");
	ASSERT_EQ(0, kt_target(self->fd, self->target, &self->site));
	self->id = create(self->fd, "regs", variant->mechanism);
	ASSERT_LT(0, self->id);
}

FIXTURE_TEARDOWN(run)
{
	progs_bpf__destroy(self->skel);
	close(self->fd);
}

TEST_F(run, counts_each_hit_once)
{
	struct ktramp_bpf bpf;
	struct ktramp_run run;

	self->skel = progs_load("count_first", &self->prog);
	ASSERT_NE(NULL, self->skel);
	/* Without a program there is nothing to arm. */
	EXPECT_EQ(-EINVAL, kt_arm(self->fd, self->id));
	ASSERT_EQ(0, progs_give(self->fd, self->id, self->prog, 0, &bpf)) TH_LOG("%s", bpf.why);
	EXPECT_NE(0, bpf.prog_id);
	EXPECT_EQ(0, bpf.was_id);
	ASSERT_EQ(0, kt_arm(self->fd, self->id));
	ASSERT_EQ(0, kt_run(self->fd, self->target, self->id, 1000, KTRAMP_RUN_TRAPS, &run));
	EXPECT_EQ(1000, run.hits);
	EXPECT_EQ(0, run.missed);
	EXPECT_EQ(0, run.wrong);
	EXPECT_EQ(1000 * variant->bp, run.bp);
	EXPECT_EQ(1000, sum(bpf_map__fd(self->skel->maps.counts), 0));
	/* Disarmed it is not run. */
	ASSERT_EQ(0, kt_disarm(self->fd, self->id));
	ASSERT_EQ(0, kt_run(self->fd, self->target, 0, 10, 0, &run));
	EXPECT_EQ(1000, sum(bpf_map__fd(self->skel->maps.counts), 0));
}

TEST_F(run, is_given_the_registers_of_the_site)
{
	const unsigned long long known = 0x6b7472616d700000ULL;
	const struct pt_regs *seen;
	struct ktramp_bpf bpf;
	struct ktramp_run run;

	self->skel = progs_load("keep_regs", &self->prog);
	ASSERT_NE(NULL, self->skel);
	ASSERT_EQ(0, progs_give(self->fd, self->id, self->prog, 0, &bpf));
	ASSERT_EQ(0, kt_arm(self->fd, self->id));
	ASSERT_EQ(0, kt_run(self->fd, self->target, self->id, 3, 0, &run));
	ASSERT_EQ(3, run.hits);
	EXPECT_EQ(0, run.wrong);
	seen = &self->skel->bss->seen_regs;
	EXPECT_EQ(2, seen->rdi);
	EXPECT_EQ(7, seen->rsi);
	EXPECT_EQ(known + 0, seen->rax);
	EXPECT_EQ(known + 1, seen->rcx);
	EXPECT_EQ(known + 2, seen->rdx);
	EXPECT_EQ(known + 3, seen->rbx);
	EXPECT_EQ(known + 8, seen->r8);
	EXPECT_EQ(known + 9, seen->r9);
	EXPECT_EQ(known + 10, seen->r10);
	EXPECT_EQ(known + 11, seen->r11);
	EXPECT_EQ(known + 12, seen->r12);
	EXPECT_EQ(known + 13, seen->r13);
	EXPECT_EQ(known + 14, seen->r14);
	EXPECT_EQ(known + 15, seen->r15);
	/* As kprobes have it: behind the first byte. */
	EXPECT_EQ(self->site.address + 1, seen->rip);
	EXPECT_EQ(0x10, seen->cs);
	EXPECT_EQ(0x18, seen->ss);
	/* cmp of equals, then stc: ZF and CF. */
	EXPECT_EQ(0x41, seen->eflags & 0x41);
	/* The stack is 16 pages; the site's own return address stands above 5 saved registers. */
	EXPECT_NE(0, seen->rsp);
	EXPECT_EQ(0, seen->rsp & 7);
}

static int on_ring(void *seen, void *data, size_t size)
{
	*(__u64 *)seen = *(__u64 *)data;
	return 0;
}

TEST_F(run, may_use_the_helpers)
{
	__u64 key = 7, value = 0, from_ring = 0, frames[FRAMES_MAX];
	struct ring_buffer *ring;
	struct progs_bpf__bss *bss;
	struct ktramp_bpf bpf;
	struct ktramp_run run;
	char comm[16] = { 0 };
	int fd;

	self->skel = progs_load_for_ring("use_helpers", &self->prog);
	ASSERT_NE(NULL, self->skel);
	bss = self->skel->bss;
	ASSERT_EQ(0, progs_give(self->fd, self->id, self->prog, COOKIE, &bpf));
	ASSERT_EQ(0, kt_arm(self->fd, self->id));
	ASSERT_EQ(0, kt_run(self->fd, self->target, self->id, 5, 0, &run));
	ASSERT_EQ(5, run.hits);
	EXPECT_EQ(5, bss->calls);
	/* Calls with a = 0 .. 4 and b = 7. */
	EXPECT_EQ(4, bss->parm1);
	EXPECT_EQ(7, bss->parm2);
	fd = open("/proc/self/comm", O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_LT(0, read(fd, comm, sizeof(comm) - 1));
	close(fd);
	comm[strcspn(comm, "\n")] = '\0';
	EXPECT_STREQ(comm, bss->seen_comm);
	EXPECT_EQ(getpid(), bss->seen_pid_tgid >> 32);
	EXPECT_NE(0, bss->seen_time);
	EXPECT_EQ(COOKIE, bss->seen_cookie);
	EXPECT_EQ(0, bss->update_error);
	EXPECT_EQ(0, bpf_map_lookup_elem(bpf_map__fd(self->skel->maps.hash), &key, &value));
	EXPECT_EQ(5, value);
	if (!kt_ring_sleeps()) {
		EXPECT_EQ(0, bss->ring_error);
		ring = ring_buffer__new(bpf_map__fd(self->skel->maps.ring), on_ring, &from_ring,
					NULL);
		ASSERT_NE(NULL, ring);
		EXPECT_EQ(5, ring_buffer__consume(ring));
		EXPECT_EQ(5, from_ring);
		ring_buffer__free(ring);
	}
	/* Nobody opened the perf event: the helper says so, and is not what fails. */
	EXPECT_EQ(-ENOENT, bss->perf_error);
	EXPECT_EQ(0, bss->read_error);

	/* The stack begins at the site, and goes on in who called it. */
	EXPECT_LT(8, bss->stack_size);
	EXPECT_EQ(self->site.address + 1, bss->seen_stack[0]);
	ASSERT_LE(0, bss->stack_id);
	ASSERT_EQ(0, bpf_map_lookup_elem(bpf_map__fd(self->skel->maps.stacks), &bss->stack_id,
					 frames));
	EXPECT_EQ(self->site.address + 1, frames[0]);
	EXPECT_EQ(bss->seen_stack[1], frames[1]);
	EXPECT_NE(0, frames[1]);
}

/* ---- refusals ---- */

FIXTURE(refuse) {
	int fd, id;
};

FIXTURE_SETUP(refuse)
{
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	self->id = create(self->fd, "lea", KTRAMP_BPF_JUMP);
	ASSERT_LT(0, self->id);
}

FIXTURE_TEARDOWN(refuse)
{
	close(self->fd);
}

static const struct {
	const char *program;
	int err;
	const char *why;
} refused[] = {
	{ "may_sleep", -EOPNOTSUPP, "sleep" },
	{ "tail_calls", -EOPNOTSUPP, "tail calls" },
	{ "overrides", -EOPNOTSUPP, "bpf_override_return" },
	{ "for_multi", -EOPNOTSUPP, "kprobe.multi" },
	{ "for_tracepoint", -EINVAL, "type kprobe" },
	{ "use_helpers", -EOPNOTSUPP, "takes a lock that sleeps" },
};

TEST_F_TIMEOUT(refuse, programs_that_cannot_run_here, 120)
{
	struct ktramp_bpf bpf;
	int prog;

	for (unsigned int i = 0; i < ARRAY_SIZE(refused); i++) {
		struct progs_bpf *skel = progs_load(refused[i].program, &prog);

		/* CONFIG_BPF_KPROBE_OVERRIDE is off in some kernels: then no such program loads. */
		if (!skel && !strcmp(refused[i].program, "overrides"))
			continue;
		if (!strcmp(refused[i].program, "use_helpers") && !kt_ring_sleeps()) {
			progs_bpf__destroy(skel);
			continue;
		}
		ASSERT_NE(NULL, skel) TH_LOG("%s does not load", refused[i].program);
		EXPECT_EQ(refused[i].err, progs_give(self->fd, self->id, prog, 0, &bpf))
			TH_LOG("%s", refused[i].program);
		EXPECT_EQ(KTRAMP_R_PROGRAM, bpf.reason);
		EXPECT_NE(NULL, strstr(bpf.why, refused[i].why)) TH_LOG("%s", bpf.why);
		EXPECT_EQ(0, bpf.prog_id);
		progs_bpf__destroy(skel);
		EXPECT_EQ(-EINVAL, kt_arm(self->fd, self->id));
	}
}

/* Behind the entry it is 0, as under a kprobe; at the entry a kprobe's is not. */
TEST_F(refuse, a_program_that_asks_for_the_function_at_its_entry)
{
	struct ktramp_create create;
	struct progs_bpf *skel;
	struct ktramp_bpf bpf;
	int prog;

	skel = progs_load("asks_func_ip", &prog);
	if (!skel)
		SKIP(return, "this kernel has no bpf_get_func_ip() for kprobes");
	EXPECT_EQ(0, progs_give(self->fd, self->id, prog, 0, &bpf));
	ASSERT_EQ(0, kt_create_as(self->fd, "vfs_read", KTRAMP_BPF_JUMP, KTRAMP_BPF, 0, &create))
		TH_LOG("%s", create.why);
	EXPECT_EQ(-EOPNOTSUPP, progs_give(self->fd, create.id, prog, 0, &bpf));
	EXPECT_EQ(KTRAMP_R_PROGRAM, bpf.reason);
	EXPECT_NE(NULL, strstr(bpf.why, "bpf_get_func_ip")) TH_LOG("%s", bpf.why);
	progs_bpf__destroy(skel);
}

TEST_F(refuse, what_is_no_program_or_no_probe_for_one)
{
	int other = kt_open(), counting = kt_create(self->fd, "nop", KTRAMP_JUMP), prog;
	struct progs_bpf *skel = progs_load("count_first", &prog);
	struct ktramp_bpf bpf;
	int watched;

	ASSERT_NE(NULL, skel);
	EXPECT_EQ(-EBADF, progs_give(self->fd, self->id, -1, 0, &bpf));
	EXPECT_EQ(-EINVAL, progs_give(self->fd, self->id, self->fd, 0, &bpf));
	EXPECT_EQ(-ENOENT, progs_give(self->fd, 0, prog, 0, &bpf));
	EXPECT_EQ(-EPERM, progs_give(other, self->id, prog, 0, &bpf));
	ASSERT_LT(0, counting);
	EXPECT_EQ(-EINVAL, progs_give(self->fd, counting, prog, 0, &bpf));
	EXPECT_EQ(KTRAMP_R_HANDLER, bpf.reason);
	watched = create(self->fd, "nop", KTRAMP_BPF_KPROBE_OPT);
	ASSERT_LT(0, watched);
	EXPECT_EQ(-EINVAL, progs_give(self->fd, watched, prog, 0, &bpf));

	EXPECT_EQ(0, progs_give(self->fd, self->id, prog, COOKIE, &bpf));
	EXPECT_EQ(-EINVAL, progs_give(self->fd, self->id, prog, COOKIE + 1, &bpf));
	EXPECT_EQ(0, progs_give(self->fd, self->id, prog, COOKIE, &bpf));
	EXPECT_EQ(bpf.prog_id, bpf.was_id);

	bpf = (struct ktramp_bpf){ .size = sizeof(bpf), .id = self->id, .prog_fd = prog,
				   .flags = 1 };
	EXPECT_EQ(-EINVAL, kt_ioctl(self->fd, KTRAMP_IOC_BPF, &bpf));
	bpf.flags = 0;
	bpf.reserved = 1;
	EXPECT_EQ(-EINVAL, kt_ioctl(self->fd, KTRAMP_IOC_BPF, &bpf));
	progs_bpf__destroy(skel);
	close(other);
}

/* ---- nesting ---- */

/* In the system call a map's lock may be held: its hits are counted, and not handled. */
TEST_F(refuse, hits_inside_the_system_call_that_works_on_maps)
{
	struct ktramp_probe_info probe;
	struct progs_bpf *skel;
	struct ktramp_bpf bpf;
	__u64 key, value = 1;
	int prog, id, hash;

	skel = progs_load_for_ring("use_helpers", &prog);
	ASSERT_NE(NULL, skel);
	hash = bpf_map__fd(skel->maps.hash);
	id = create(self->fd, "htab_map_update_elem", KTRAMP_BPF_JUMP);
	ASSERT_LT(0, id);
	ASSERT_EQ(0, progs_give(self->fd, id, prog, 0, &bpf));
	ASSERT_EQ(0, kt_arm(self->fd, id));
	for (key = 0; key < 20; key++)
		ASSERT_EQ(0, bpf_map_update_elem(hash, &key, &value, BPF_ANY));
	ASSERT_EQ(0, kt_probe(self->fd, id, &probe));
	EXPECT_EQ(0, probe.hits);
	EXPECT_EQ(20, probe.missed);
	EXPECT_EQ(20, probe.recursed);
	progs_bpf__destroy(skel);
}

/* A program's own helper hits a probe, whose program would run in the middle of the first. */
TEST_F(refuse, hits_inside_a_program)
{
	int prog, id, target = kt_target_index(self->fd, "lea");
	struct ktramp_probe_info inner, outer;
	struct progs_bpf *skel;
	struct ktramp_bpf bpf;
	struct ktramp_run run;

	skel = progs_load_for_ring("use_helpers", &prog);
	ASSERT_NE(NULL, skel);
	id = create(self->fd, "bpf_get_current_comm", KTRAMP_BPF_JUMP);
	ASSERT_LT(0, id);
	ASSERT_EQ(0, progs_give(self->fd, id, prog, 0, &bpf));
	ASSERT_EQ(0, progs_give(self->fd, self->id, prog, 0, &bpf));
	ASSERT_EQ(0, kt_arm(self->fd, id));
	ASSERT_EQ(0, kt_arm(self->fd, self->id));
	ASSERT_EQ(0, kt_run(self->fd, target, self->id, 10, 0, &run));
	EXPECT_EQ(10, run.hits);
	EXPECT_EQ(0, run.wrong);
	ASSERT_EQ(0, kt_probe(self->fd, self->id, &outer));
	ASSERT_EQ(0, kt_probe(self->fd, id, &inner));
	EXPECT_EQ(10, outer.hits);
	EXPECT_EQ(0, inner.hits);
	EXPECT_EQ(10, inner.recursed);
	progs_bpf__destroy(skel);
}

/* ---- nesting with the kernel's own programs ---- */

#define UPDATE	"htab_lru_map_update_elem"

FIXTURE(nest) {
	int fd, prog, id;
	struct progs_bpf *ours, *theirs;
	struct bpf_link *link;
};

/* A detour made for the program, and C. */
FIXTURE_VARIANT(nest) {
	unsigned int mechanism;
};

FIXTURE_VARIANT_ADD(nest, bpf_jump) { KTRAMP_BPF_JUMP };
FIXTURE_VARIANT_ADD(nest, int3_boost) { KTRAMP_INT3_BOOST };

FIXTURE_SETUP(nest)
{
	self->link = NULL;
	self->theirs = NULL;
	ASSERT_EQ(0, kt_pin(0));
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	self->ours = progs_load("update_lru", &self->prog);
	ASSERT_NE(NULL, self->ours);
}

FIXTURE_TEARDOWN(nest)
{
	bpf_link__destroy(self->link);
	progs_bpf__destroy(self->theirs);
	progs_bpf__destroy(self->ours);
	close(self->fd);
}

/* It would wait for the lock that ours holds, if it came while ours does. */
TEST_F(nest, programs_of_the_kernel_s_kprobes_are_left_out_inside_ours)
{
	int target = kt_target_index(self->fd, "lea"), unused;
	struct ktramp_bpf bpf;
	struct ktramp_run run;
	__u64 key = 1, value = 1;

	self->id = create(self->fd, "lea", variant->mechanism);
	ASSERT_LT(0, self->id);
	ASSERT_EQ(0, progs_give(self->fd, self->id, self->prog, 0, &bpf)) TH_LOG("%s", bpf.why);
	self->theirs = progs_load("count_first", &unused);
	ASSERT_NE(NULL, self->theirs);
	self->link = bpf_program__attach_kprobe(self->theirs->progs.count_first, false, UPDATE);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, kt_arm(self->fd, self->id));
	ASSERT_EQ(0, kt_run(self->fd, target, self->id, 10, 0, &run));
	EXPECT_EQ(10, run.hits);
	EXPECT_EQ(0, run.wrong);
	EXPECT_EQ(0, bpf_map_lookup_elem(bpf_map__fd(self->ours->maps.recent), &(__u64){ 7 },
					 &value));
	EXPECT_EQ(0, sum(bpf_map__fd(self->theirs->maps.counts), 0));
	/* And the map is usable: nobody is left waiting for its locks. */
	EXPECT_EQ(0, bpf_map_delete_elem(bpf_map__fd(self->ours->maps.recent), &(__u64){ 7 }));
	EXPECT_EQ(0, bpf_map_update_elem(bpf_map__fd(self->ours->maps.recent), &key, &value, 0));
}

/* Of a perf event, as an NMI's: it sets no bpf_ctx, and disables no migration. */
TEST_F_TIMEOUT(nest, ours_is_left_out_inside_a_perf_event_s_program, 120)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr), .type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK, .freq = 1, .sample_freq = 500,
	};
	volatile __u64 *on_event;
	struct ktramp_probe_info probe;
	struct ktramp_bpf bpf;
	time_t since;
	int event;

	self->id = create(self->fd, UPDATE "+9", variant->mechanism);
	if (self->id < 0)
		self->id = create(self->fd, UPDATE "+5", variant->mechanism);
	ASSERT_LT(0, self->id);
	ASSERT_EQ(0, progs_give(self->fd, self->id, self->prog, 0, &bpf)) TH_LOG("%s", bpf.why);
	ASSERT_EQ(0, kt_arm(self->fd, self->id));
	self->theirs = progs_load("update_lru_on_event", &(int){ 0 });
	ASSERT_NE(NULL, self->theirs);
	event = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	ASSERT_LE(0, event);
	self->link = bpf_program__attach_perf_event(self->theirs->progs.update_lru_on_event, event);
	ASSERT_NE(NULL, self->link);
	on_event = &self->theirs->bss->on_event;
	for (since = time(NULL); *on_event < 20 && time(NULL) < since + 60;)
		;
	EXPECT_LE(20, *on_event);
	EXPECT_EQ(0, bpf_link__destroy(self->link));
	self->link = NULL;
	ASSERT_EQ(0, kt_probe(self->fd, self->id, &probe));
	EXPECT_EQ(0, probe.hits);
	EXPECT_LE(20, probe.missed);
	EXPECT_EQ(probe.missed, probe.recursed);
}

/* Where nothing shows what runs, a map is refused whose locks rely on it. */
TEST_F_TIMEOUT(nest, maps_that_rely_on_it_are_refused_where_it_is_hidden, 120)
{
	int other;
	struct progs_bpf *skel = progs_load("add_by_pid", &other);
	struct ktramp_bpf bpf;

	ASSERT_NE(NULL, skel);
	close(self->fd);
	ASSERT_EQ(0, kt_unload_module());
	ASSERT_EQ(0, kt_load_module_with("locks=N"));
	self->fd = kt_open();
	self->id = create(self->fd, "lea", KTRAMP_INT3_BOOST);
	EXPECT_LT(0, self->id);
	EXPECT_EQ(-EOPNOTSUPP, progs_give(self->fd, self->id, self->prog, 0, &bpf));
	EXPECT_EQ(KTRAMP_R_PROGRAM, bpf.reason);
	EXPECT_NE(NULL, strstr(bpf.why, "'recent' has locks")) TH_LOG("%s", bpf.why);
	EXPECT_EQ(0, progs_give(self->fd, self->id, other, 0, &bpf)) TH_LOG("%s", bpf.why);
	progs_bpf__destroy(skel);
	close(self->fd);
	EXPECT_EQ(0, kt_unload_module());
	EXPECT_EQ(0, kt_load_module());
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
}

/* ---- detours made for their program ---- */

FIXTURE(made) {
	int fd, prog, id, target;
	struct progs_bpf *skel;
};

FIXTURE_VARIANT(made) {
	const char *program;
	unsigned int flags;
	unsigned int class;
	unsigned int handler;	/* 0: bpf */
};

FIXTURE_VARIANT_ADD(made, bare) { "add_bare", 0, KTRAMP_BPF_BARE };
FIXTURE_VARIANT_ADD(made, inlined) { "add_bare", 0, KTRAMP_BPF_BARE, KTRAMP_BPF_INLINE };
FIXTURE_VARIANT_ADD(made, inlined_filter) {
	"filter_light", 0, KTRAMP_BPF_LIGHT, KTRAMP_BPF_INLINE };
FIXTURE_VARIANT_ADD(made, light) { "store_light", 0, KTRAMP_BPF_LIGHT };
FIXTURE_VARIANT_ADD(made, light_said_to_be_reentrant) {
	"store_light", KTRAMP_BPF_REENTRANT, KTRAMP_BPF_BARE };
FIXTURE_VARIANT_ADD(made, filter) { "filter_light", 0, KTRAMP_BPF_LIGHT };
FIXTURE_VARIANT_ADD(made, helpers) { "tell_helpers", 0, KTRAMP_BPF_HELPERS };
FIXTURE_VARIANT_ADD(made, full) { "use_helpers_but_ring", 0, KTRAMP_BPF_FULL };

static int give(int dev, unsigned int id, int prog, unsigned int flags)
{
	struct ktramp_bpf bpf = {
		.size = sizeof(bpf), .flags = flags, .id = id, .prog_fd = prog,
	};

	return kt_ioctl(dev, KTRAMP_IOC_BPF, &bpf);
}

/* How often a program ran, by what it left. */
static __u64 runs(const struct progs_bpf *skel, const char *program)
{
	const struct progs_bpf__bss *bss = skel->bss;

	return !strcmp(program, "add_bare") ? bss->adds : !strcmp(program, "store_light") ?
	       bss->stores : !strcmp(program, "filter_light") ? bss->filtered_in :
	       !strcmp(program, "tell_helpers") ? bss->looked_up : bss->calls;
}

FIXTURE_SETUP(made)
{
	ASSERT_EQ(0, kt_pin(0));
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	self->target = kt_target_index(self->fd, "adc");
	self->id = create_as(self->fd, "adc", KTRAMP_BPF_JUMP, variant->handler ?: KTRAMP_BPF);
	ASSERT_LT(0, self->id);
	self->skel = progs_load(variant->program, &self->prog);
	ASSERT_NE(NULL, self->skel);
	ASSERT_EQ(0, give(self->fd, self->id, self->prog, variant->flags));
	ASSERT_EQ(0, kt_arm(self->fd, self->id));
}

FIXTURE_TEARDOWN(made)
{
	progs_bpf__destroy(self->skel);
	close(self->fd);
}

/* Where C asks more than a detour can, only what calls nothing has one of its own. */
static bool is_left_to_c(unsigned int class)
{
	return class <= KTRAMP_BPF_HELPERS && kt_bpf_is_left_to_c();
}

TEST_F(made, is_of_the_class_that_its_code_asks_for)
{
	struct ktramp_probe_info probe;
	struct ktramp_run run;

	ASSERT_EQ(0, kt_probe(self->fd, self->id, &probe));
	EXPECT_EQ(is_left_to_c(variant->class) ? KTRAMP_BPF_FULL : variant->class,
		  probe.bpf_class) TH_LOG("because it %s", probe.bpf_why);
	EXPECT_EQ(probe.bpf_class == KTRAMP_BPF_BARE, !*probe.bpf_why);
	/* The target's argument counts up from 0. */
	self->skel->bss->wanted = 17;
	ASSERT_EQ(0, kt_run(self->fd, self->target, self->id, 100, KTRAMP_RUN_TRAPS, &run));
	EXPECT_EQ(100, run.hits);
	EXPECT_EQ(0, run.missed);
	EXPECT_EQ(0, run.wrong);
	EXPECT_EQ(0, run.bp);
	EXPECT_EQ(strcmp(variant->program, "filter_light") ? 100 : 1,
		  runs(self->skel, variant->program));
}

static __u64 run_count(int prog)
{
	struct bpf_prog_info info = { 0 };
	__u32 size = sizeof(info);

	return bpf_obj_get_info_by_fd(prog, &info, &size) ? ~0ULL : info.run_cnt;
}

/* As all programs are: while somebody wants to know. */
TEST_F(made, is_counted_by_the_kernel)
{
	struct ktramp_run run;
	int stats;

	ASSERT_EQ(0, kt_run(self->fd, self->target, self->id, 10, 0, &run));
	EXPECT_EQ(0, run_count(self->prog));
	if (variant->handler)
		SKIP(return, "what stands in the detour is nobody's program");
	stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	ASSERT_LE(0, stats);
	ASSERT_EQ(0, kt_run(self->fd, self->target, self->id, 25, 0, &run));
	EXPECT_EQ(25, run.hits);
	EXPECT_EQ(0, run.wrong);
	EXPECT_EQ(25, run_count(self->prog));
	close(stats);
	ASSERT_EQ(0, kt_run(self->fd, self->target, self->id, 10, 0, &run));
	EXPECT_EQ(10, run.hits);
	EXPECT_EQ(25, run_count(self->prog));
}

/* bpftool prog profile does that: what is attached may change what the program does not. */
TEST_F(made, lets_others_attach_to_its_program)
{
	struct progs_bpf *other = progs_bpf__open();
	struct bpf_program *on;
	struct ktramp_run run;
	struct bpf_link *link;

	if (variant->handler)
		SKIP(return, "nothing comes by what is attached");
	ASSERT_NE(NULL, other);
	on = other->progs.on_program;
	bpf_program__set_autoload(on, true);
	ASSERT_EQ(0, bpf_program__set_attach_target(on, self->prog, variant->program));
	if (progs_bpf__load(other)) {
		progs_bpf__destroy(other);
		SKIP(return, "this kernel has no types, or no trampolines");
	}
	link = bpf_program__attach(on);
	ASSERT_NE(NULL, link);
	ASSERT_EQ(0, kt_run(self->fd, self->target, self->id, 50, 0, &run));
	EXPECT_EQ(50, run.hits);
	EXPECT_EQ(0, run.wrong);
	EXPECT_EQ(50, other->bss->attached);
	bpf_link__destroy(link);
	ASSERT_EQ(0, kt_run(self->fd, self->target, self->id, 50, 0, &run));
	EXPECT_EQ(50, run.hits);
	EXPECT_EQ(0, run.wrong);
	EXPECT_EQ(50, other->bss->attached);
	progs_bpf__destroy(other);
}

/* ---- beside a program of the kernel's ---- */

FIXTURE(beside) {
	int fd, target;
	struct progs_bpf *skel;
	struct bpf_link *link;
	struct ktramp_target_info before;
};

/* A fexit program, whose trampoline ftrace calls, or jumps to (DYNAMIC_FTRACE_WITH_JMP). */
FIXTURE_SETUP(beside)
{
	struct bpf_program *prog;

	self->fd = kt_open();
	self->target = kt_target_index(self->fd, "plain");
	ASSERT_EQ(0, kt_target(self->fd, self->target, &self->before));
	self->skel = progs_bpf__open();
	ASSERT_NE(NULL, self->skel);
	prog = self->skel->progs.on_return;
	bpf_program__set_autoload(prog, true);
	if (bpf_program__set_attach_target(prog, 0, "ktramp_target_plain") ||
	    progs_bpf__load(self->skel))
		SKIP(return, "this kernel has no types of modules, or no trampolines");
	self->link = bpf_program__attach(prog);
	ASSERT_NE(NULL, self->link);
}

FIXTURE_TEARDOWN(beside)
{
	struct ktramp_target_info after;

	bpf_link__destroy(self->link);
	progs_bpf__destroy(self->skel);
	EXPECT_EQ(0, kt_target(self->fd, self->target, &after));
	EXPECT_EQ(0, memcmp(self->before.bytes, after.bytes, sizeof(after.bytes)));
	close(self->fd);
}

/* The entry is ftrace's, whatever it has made of it; ours comes and goes, and so does theirs. */
TEST_F(beside, jumps_at_the_entry_through_ftrace)
{
	static const char entry[] = "ktramp_target_plain";
	struct ktramp_create create;
	struct ktramp_probe_info probe;
	struct ktramp_run run;
	int id, behind;

	EXPECT_EQ(-EBUSY, kt_create_as(self->fd, entry, KTRAMP_INT3_BOOST, KTRAMP_COUNT, 0,
				       &create));
	EXPECT_EQ(KTRAMP_R_PATCHED, create.reason) TH_LOG("%s", create.why);
	id = kt_create_as(self->fd, entry, KTRAMP_JUMP, KTRAMP_COUNT, 0, &create);
	ASSERT_EQ(0, id) TH_LOG("%s", create.why);
	id = create.id;
	behind = kt_create(self->fd, "plain", KTRAMP_INT3_BOOST);
	ASSERT_LT(0, behind);
	ASSERT_EQ(0, kt_arm(self->fd, id));
	ASSERT_EQ(0, kt_arm(self->fd, behind));
	ASSERT_EQ(0, kt_probe(self->fd, id, &probe));
	EXPECT_EQ(KTRAMP_TACTIC_FTRACE, probe.tactic);
	ASSERT_EQ(0, kt_run(self->fd, self->target, 0, 50, 0, &run));
	EXPECT_EQ(0, run.wrong);
	EXPECT_EQ(50, self->skel->bss->attached);
	/* Theirs goes first. */
	EXPECT_EQ(0, bpf_link__destroy(self->link));
	self->link = NULL;
	ASSERT_EQ(0, kt_run(self->fd, self->target, 0, 50, 0, &run));
	EXPECT_EQ(0, run.wrong);
	ASSERT_EQ(0, kt_probe(self->fd, id, &probe));
	EXPECT_EQ(100, probe.hits);
	ASSERT_EQ(0, kt_probe(self->fd, behind, &probe));
	EXPECT_EQ(100, probe.hits);
	EXPECT_EQ(0, kt_destroy(self->fd, behind));
	EXPECT_EQ(0, kt_destroy(self->fd, id));
	ASSERT_EQ(0, kt_run(self->fd, self->target, 0, 50, 0, &run));
	EXPECT_EQ(0, run.wrong);
}

/* Every class takes every other one's place, armed; and after that the probe goes as ever. */
TEST_F_TIMEOUT(made, makes_place_for_any_other, 120)
{
	static const char *const others[] = {
		"add_bare", "store_light", "filter_light", "tell_helpers", "use_helpers_but_ring",
	};
	struct ktramp_target_info before, after;
	struct ktramp_probe_info probe;
	struct progs_bpf *skel;
	struct ktramp_run run;
	int prog;

	for (unsigned int i = 0; i < ARRAY_SIZE(others); i++) {
		__u64 had = runs(self->skel, variant->program);

		/* What calls, or needs a guard, keeps out. */
		if (variant->handler && strcmp(others[i], "add_bare") &&
		    strcmp(others[i], "store_light") && strcmp(others[i], "filter_light")) {
			skel = progs_load(others[i], &prog);
			ASSERT_NE(NULL, skel);
			EXPECT_EQ(-EOPNOTSUPP, give(self->fd, self->id, prog, 0));
			ASSERT_EQ(0, kt_run(self->fd, self->target, self->id, 20, 0, &run));
			EXPECT_EQ(20, run.hits);
			EXPECT_EQ(0, runs(skel, others[i]));
			progs_bpf__destroy(skel);
			continue;
		}

		skel = progs_load(others[i], &prog);
		ASSERT_NE(NULL, skel);
		skel->bss->wanted = 3;
		ASSERT_EQ(0, give(self->fd, self->id, prog, 0));
		ASSERT_EQ(0, kt_run(self->fd, self->target, self->id, 20, KTRAMP_RUN_TRAPS, &run));
		EXPECT_EQ(20, run.hits);
		EXPECT_EQ(0, run.wrong);
		EXPECT_EQ(0, run.bp);
		EXPECT_EQ(strcmp(others[i], "filter_light") ? 20 : 1, runs(skel, others[i]));
		EXPECT_EQ(had, runs(self->skel, variant->program));
		progs_bpf__destroy(skel);
	}
	ASSERT_EQ(0, kt_probe(self->fd, self->id, &probe));
	EXPECT_EQ(KTRAMP_ARMED, probe.state);
	ASSERT_EQ(0, kt_disarm(self->fd, self->id));
	/* Disarmed, it is given another one, too. */
	ASSERT_EQ(0, give(self->fd, self->id, self->prog, variant->flags));
	ASSERT_EQ(0, kt_target(self->fd, self->target, &before));
	ASSERT_EQ(0, kt_arm(self->fd, self->id));
	ASSERT_EQ(0, kt_run(self->fd, self->target, self->id, 20, 0, &run));
	EXPECT_EQ(20, run.hits);
	EXPECT_EQ(0, run.wrong);
	ASSERT_EQ(0, kt_destroy(self->fd, self->id));
	ASSERT_EQ(0, kt_target(self->fd, self->target, &after));
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
}

/* A helper is hit: what has a guard is left out, what needs none is not. */
TEST_F(made, is_left_out_in_the_middle_of_another_if_that_matters)
{
	bool guarded = variant->class != KTRAMP_BPF_BARE;
	int prog, outer = create(self->fd, "lea", KTRAMP_BPF_JUMP), inner;
	struct ktramp_probe_info probe;
	struct progs_bpf *skel;
	struct ktramp_run run;

	/* Its only writes are atomic. */
	guarded &= strcmp(variant->program, "filter_light") != 0;
	skel = progs_load_for_ring("use_helpers", &prog);
	ASSERT_NE(NULL, skel);
	/* Behind what is ftrace's, which has no detour: with an endbr64 in front, or without. */
	inner = create(self->fd, "bpf_get_current_comm+9", KTRAMP_BPF_JUMP);
	if (inner < 0)
		inner = create(self->fd, "bpf_get_current_comm+5", KTRAMP_BPF_JUMP);
	ASSERT_LT(0, outer);
	ASSERT_LT(0, inner);
	ASSERT_EQ(0, give(self->fd, outer, prog, 0));
	ASSERT_EQ(0, give(self->fd, inner, self->prog, variant->flags));
	guarded &= !variant->handler;
	ASSERT_EQ(0, kt_arm(self->fd, inner));
	ASSERT_EQ(0, kt_arm(self->fd, outer));
	ASSERT_EQ(0, kt_run(self->fd, kt_target_index(self->fd, "lea"), outer, 10, 0, &run));
	EXPECT_EQ(10, run.hits);
	EXPECT_EQ(0, run.wrong);
	ASSERT_EQ(0, kt_probe(self->fd, inner, &probe));
	EXPECT_EQ(guarded ? 0 : 10, probe.hits);
	EXPECT_EQ(guarded ? 10 : 0, probe.recursed);
	EXPECT_EQ(probe.recursed, probe.missed);
	progs_bpf__destroy(skel);
}

/* ---- what a hit costs ---- */

#define CALLS	2000

FIXTURE(cost) {
	int fd, prog, id, target;
	struct progs_bpf *skel;
};

/*
 * On 6.12, at the target lea: instructions that the detour takes, its jumps included and what the
 * program does not; and those of a whole hit, 0: as many as helpers take.
 */
FIXTURE_VARIANT(cost) {
	const char *program;
	unsigned int flags;
	unsigned int handler;
	unsigned int detour;
	unsigned int hit;
};

FIXTURE_VARIANT_ADD(cost, counter) { "add_bare", KTRAMP_BPF_REENTRANT, KTRAMP_BPF, 12, 22 };
FIXTURE_VARIANT_ADD(cost, counter_that_stores) {
	"store_light", KTRAMP_BPF_REENTRANT, KTRAMP_BPF, 12, 22 };
FIXTURE_VARIANT_ADD(cost, counter_with_a_guard) { "store_light", 0, KTRAMP_BPF, 18, 28 };
FIXTURE_VARIANT_ADD(cost, counter_inlined) { "store_light", 0, KTRAMP_BPF_INLINE, 7, 12 };
FIXTURE_VARIANT_ADD(cost, filter_that_does_not_take) { "filter_light", 0, KTRAMP_BPF, 20, 30 };
FIXTURE_VARIANT_ADD(cost, lookup_and_add) { "add_by_pid", 0, KTRAMP_BPF, 42, 0 };
FIXTURE_VARIANT_ADD(cost, stack_id) { "keep_stack", 0, KTRAMP_BPF, 62, 0 };

FIXTURE_SETUP(cost)
{
	ASSERT_EQ(0, kt_pin(0));
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	self->target = kt_target_index(self->fd, "lea");
	self->id = create_as(self->fd, "lea", KTRAMP_BPF_JUMP, variant->handler);
	ASSERT_LT(0, self->id);
	self->skel = progs_load(variant->program, &self->prog);
	ASSERT_NE(NULL, self->skel);
	self->skel->bss->wanted = ~0ULL;
	ASSERT_EQ(0, give(self->fd, self->id, self->prog, variant->flags));
}

FIXTURE_TEARDOWN(cost)
{
	progs_bpf__destroy(self->skel);
	close(self->fd);
}

/* From the detour's first instruction to the displaced ones, and both jumps. */
static unsigned int detour_length(int fd, unsigned int id)
{
	struct ktramp_code code = { .size = sizeof(code), .id = id, .part = KTRAMP_CODE_DETOUR };
	struct ktramp_insn insn;
	unsigned int nr = 2;

	if (kt_ioctl(fd, KTRAMP_IOC_CODE, &code))
		return 0;
	for (unsigned int at = 0; at < code.relocated; at += insn.len, nr++)
		if (ktramp_insn_decode(&insn, code.code + at, code.relocated - at) < 0)
			return 0;
	return nr;
}

TEST_F(cost, is_no_more_than_this)
{
	const char *accel = getenv("KTRAMP_ACCEL");
	struct ktramp_run bare, run;
	unsigned int detour, hit;
	struct utsname uts;

	if (!accel || strcmp(accel, "icount"))
		SKIP(return, "instructions are counted with icount only");
	ASSERT_EQ(0, uname(&uts));
	ASSERT_EQ(0, kt_run(self->fd, self->target, 0, CALLS, KTRAMP_RUN_MEASURE, &bare));
	ASSERT_EQ(0, kt_arm(self->fd, self->id));
	ASSERT_EQ(0, kt_run(self->fd, self->target, self->id, CALLS, KTRAMP_RUN_MEASURE, &run));
	ASSERT_EQ(CALLS, run.hits);
	ASSERT_EQ(0, run.wrong);
	ASSERT_EQ(0, kt_disarm(self->fd, self->id));
	hit = (run.ticks - bare.ticks) / CALLS;
	detour = detour_length(self->fd, self->id);
	printf("# %s: %u instructions a hit, %u of them the detour's\n", variant->program, hit,
	       variant->handler == KTRAMP_BPF_INLINE ? hit : detour);
	if (strncmp(uts.release, "6.12", 4) || kt_bpf_is_left_to_c())
		SKIP(return, "the numbers are 6.12's");
	EXPECT_LT(0, detour);
	if (variant->handler != KTRAMP_BPF_INLINE)
		EXPECT_GE(variant->detour, detour);
	if (variant->hit)
		EXPECT_GE(variant->hit, hit);
}

/* ---- owners ---- */

/* The program is the probe's: its descriptor, its object and its maps may go. */
TEST_F(refuse, nothing_when_the_program_is_closed_while_it_runs)
{
	int prog, target = kt_target_index(self->fd, "lea");
	struct progs_bpf *skel = progs_load_for_ring("use_helpers", &prog);
	struct ktramp_bpf bpf;
	struct ktramp_run run;

	ASSERT_NE(NULL, skel);
	ASSERT_EQ(0, progs_give(self->fd, self->id, prog, 0, &bpf));
	ASSERT_EQ(0, kt_arm(self->fd, self->id));
	progs_bpf__destroy(skel);
	ASSERT_EQ(0, kt_run(self->fd, target, self->id, 100, 0, &run));
	EXPECT_EQ(100, run.hits);
	EXPECT_EQ(0, run.wrong);
	prog = bpf_prog_get_fd_by_id(bpf.prog_id);
	EXPECT_LE(0, prog);
	close(prog);
	/* And goes with it. */
	ASSERT_EQ(0, kt_destroy(self->fd, self->id));
	for (int i = 0; i < 100 && prog >= 0; i++) {
		usleep(20000);
		prog = bpf_prog_get_fd_by_id(bpf.prog_id);
		close(prog);
	}
	EXPECT_GT(0, prog);
}

TEST(a_killed_owner_leaves_the_text_as_it_was)
{
	struct ktramp_target_info before, after;
	int pipes[2], fd = kt_open(), status;
	char ready = 0;
	pid_t child;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, kt_target(fd, kt_target_index(fd, "lea"), &before));
	ASSERT_EQ(0, pipe(pipes));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		int own = kt_open(), prog, id = create(own, "lea", KTRAMP_BPF_JUMP);
		struct ktramp_bpf bpf;

		if (progs_load("count_first", &prog) && !progs_give(own, id, prog, 0, &bpf) &&
		    !kt_arm(own, id))
			ready = 1;
		if (write(pipes[1], &ready, 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	ASSERT_EQ(1, read(pipes[0], &ready, 1));
	ASSERT_EQ(1, ready);
	ASSERT_EQ(0, kt_target(fd, kt_target_index(fd, "lea"), &after));
	EXPECT_EQ(JMP, after.bytes[0]);
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_EQ(0, kt_target(fd, kt_target_index(fd, "lea"), &after));
	EXPECT_EQ(0, memcmp(before.bytes, after.bytes, sizeof(after.bytes)));
	close(fd);
}

/* ---- the command ---- */

/* Run a shell's command; its first line that has @word goes to @line. Return: its status. */
static int run_command(const char *command, const char *word, char *line, size_t size)
{
	FILE *out = popen(command, "r");
	char text[4096];
	int status;

	line[0] = '\0';
	if (!out)
		return -1;
	while (fgets(text, sizeof(text), out))
		if (!line[0] && strstr(text, word))
			snprintf(line, size, "%s", text);
	status = pclose(out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Field 52 of /proc/PID/stat. */
static int exit_code_of(pid_t pid)
{
	char path[64], text[1024], *field;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY);
	len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return -1;
	text[len] = '\0';
	field = strrchr(text, ' ');
	return field ? atoi(field + 1) : -1;
}

FIXTURE(command) {
};

FIXTURE_SETUP(command)
{
}

FIXTURE_TEARDOWN(command)
{
}

/* The same object on every kernel: what it reads is what the kernel itself says. */
TEST_F_TIMEOUT(command, a_member_that_moved_is_read_where_it_is, 120)
{
	char command[256], line[256];
	siginfo_t info;
	pid_t child = fork();

	ASSERT_LE(0, child);
	if (!child)
		_exit(42);
	/* A zombie, until the end of this test. */
	ASSERT_EQ(0, waitid(P_PID, child, &info, WEXITED | WNOWAIT));
	EXPECT_EQ(42 << 8, exit_code_of(child));
	snprintf(command, sizeof(command),
		 "(sleep 5; cat /proc/%d/stat >/dev/null) & "
		 "ktramp bpf proc_tgid_stat /tests/moved.bpf.o --seconds 10", child);
	EXPECT_EQ(0, run_command(command, "seen_exit_code", line, sizeof(line)));
	EXPECT_STREQ("seen_exit_code: 10752\n", line);
	EXPECT_EQ(child, waitpid(child, NULL, 0));
}

TEST_F_TIMEOUT(command, trace_prints_the_hits_it_was_asked_for, 120)
{
	char line[4096];

	EXPECT_EQ(0, run_command("(sleep 4; for i in 1 2 3 4 5; do cat /proc/version; done "
				 ">/dev/null) & ktramp trace do_sys_openat2 -n 2 --regs --json",
				 "\"end\"", line, sizeof(line)));
	EXPECT_NE(NULL, strstr(line, "\"printed\":2,")) TH_LOG("%s", line);
}

static const struct {
	const char *command, *says;
	int status;
	bool types;	/* the kernel's, and its modules' */
} commands[] = {
	{ "ktramp reloc /tests/trace.bpf.o", "task_struct.exit_code  offset ", 0 },
	{ "ktramp reloc /tests/all", "cannot read '/tests/all' as a BPF object", 1 },
	{ "ktramp reloc /no/such", "No such file", 1 },
	/* Cut off, with words that are wrong: none ends the command but an error of its own. */
	{ "head -c 3000 /tests/trace.bpf.o >/tmp/o; ktramp reloc /tmp/o", "not in the file", 1 },
	{ "n=0; while [ $n -lt 5000 ]; do head -c $n /tests/trace.bpf.o >/tmp/o; "
	  "ktramp reloc /tmp/o >/tmp/said 2>&1; echo \"$? $(wc -l </tmp/said)\"; "
	  "n=$((n + 250)); done | sort | uniq -c | sed 's/  *//; s/$/ of each/'",
	  "20 1 1 of each", 0 },
	{ "cp /tests/trace.bpf.o /tmp/o; for at in 40 60 700 1500 2500 3500 4500; do "
	  "printf '\\377\\377' | dd of=/tmp/o bs=1 seek=$at conv=notrunc 2>/dev/null; done; "
	  "ktramp reloc /tmp/o 2>&1; [ $? = 1 ] || echo crashed", "cannot read '/tmp/o'", 0 },
	{ "ktramp reloc /tests/moved.bpf.o --btf /no/such", "the types in '/no/such': No such", 1 },
	{ "ktramp bpf lea /tests/progs.bpf.o", "choose by --prog", 1 },
	{ "ktramp bpf lea /tests/progs.bpf.o --prog may_sleep", "for a place in a program", 1 },
	{ "ktramp bpf lea /tests/progs.bpf.o --prog none", "no program 'none'", 1 },
	{ "ktramp bpf no_such_symbol /tests/moved.bpf.o", "no symbol no_such_symbol", 1 },
	/* The verifier's words, and a field's name. As clang leaves it, and as bpftool links it. */
	{ "ktramp bpf lea /tests/wrong.bpf.o --prog reads_what_it_may_not",
	  "the verifier says: R1 invalid mem access", 1 },
	{ "ktramp bpf lea /tests/wrong.bpf.o --prog reads_a_field_that_is_not_there",
	  "task_struct.no_such_field", 1 },
	{ "ktramp reloc /tests/wrong.tmp.o", "not in these types", 1, true },
	{ "ktramp bpf lea /tests/wrong.bpf.o --prog is_for_returns", "-m bpf-kretprobe", 1 },
	/* A module's function, and no other module's of that name. */
	{ "insmod /tests/modules/dummy.ko; ktramp bpf -m bpf-fentry dummy:dummy_xmit "
	  "/tests/wrong.bpf.o --prog is_for_entries --seconds 1 && echo attached",
	  "attached", 0, true },
	{ "insmod /tests/modules/loop.ko; ktramp bpf -m bpf-fentry loop:dummy_xmit "
	  "/tests/wrong.bpf.o --prog is_for_entries --seconds 1", "loop:dummy_xmit", 1, true },
	{ "rmmod dummy; rmmod loop; echo 2 >/proc/sys/kernel/kptr_restrict; "
	  "ktramp bpf -m bpf-kprobe-int3 vfs_read+0x9 /tests/progs.bpf.o --prog count_first "
	  "--seconds 1 && echo attached; echo 0 >/proc/sys/kernel/kptr_restrict", "attached", 0 },
	{ "ktramp bpf lea", "SITE and an OBJECT", 2 },
	{ "ktramp trace regs --args", "no function's entry", 1, true },
	{ "ktramp trace lea -m jump", "cannot run handler bpf", 1 },
	{ "ktramp trace", "a SITE is needed", 2 },
	{ "ktramp bpf lea /tests/progs.bpf.o --prog count_first --seconds 1 2>&1; "
	  "ktramp probes", "0 hits, 0 missed", 0 },
};

TEST_F_TIMEOUT(command, commands_say_what_is_wrong, 240)
{
	char command[256], line[1024];

	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++) {
		if (commands[i].types && !kt_has_btf())
			continue;
		snprintf(command, sizeof(command), "%s 2>&1", commands[i].command);
		EXPECT_EQ(commands[i].status,
			  run_command(command, commands[i].says, line, sizeof(line)))
			TH_LOG("%s", commands[i].command);
		EXPECT_NE('\0', line[0]) TH_LOG("%s does not say '%s'", commands[i].command,
						commands[i].says);
	}
}

TEST_HARNESS_MAIN
