// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/ktramp against callers that are wrong: sizes, flags, pointers, numbers, sites,
 * permissions; and what is left when they go.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kt.h"

#define KPTR_RESTRICT	"/proc/sys/kernel/kptr_restrict"
#define PAGE		4096

/* The largest struct an ioctl takes, and room behind it. */
union any {
	__u32 size;
	char bytes[PAGE];
};

FIXTURE(device) {
	int fd;
	struct ktramp_info before;
};

FIXTURE_SETUP(device)
{
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, kt_info(self->fd, &self->before));
}

/* Whatever a test did: once its file is closed nothing of it is left. */
FIXTURE_TEARDOWN(device)
{
	struct ktramp_info after;
	int fd;

	close(self->fd);
	fd = kt_open();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, kt_info(fd, &after));
	EXPECT_EQ(self->before.nr_probes, after.nr_probes);
	EXPECT_EQ(self->before.slot_bytes, after.slot_bytes);
	close(fd);
}

/* ---- each ioctl, called rightly but for one thing ---- */

FIXTURE(call) {
	int fd;
	__u32 id;
	union any any;	/* a call that succeeds */
};

FIXTURE_VARIANT(call) {
	unsigned long request;
	size_t size;
};

#define CALL_VARIANT(name, ioc, type)						\
	FIXTURE_VARIANT_ADD(call, name) { .request = ioc, .size = sizeof(struct type) }

CALL_VARIANT(info, KTRAMP_IOC_INFO, ktramp_info);
CALL_VARIANT(mechanism, KTRAMP_IOC_MECHANISM, ktramp_mechanism_info);
CALL_VARIANT(target, KTRAMP_IOC_TARGET, ktramp_target_info);
CALL_VARIANT(create, KTRAMP_IOC_CREATE, ktramp_create);
CALL_VARIANT(arm, KTRAMP_IOC_ARM, ktramp_batch);
CALL_VARIANT(disarm, KTRAMP_IOC_DISARM, ktramp_batch);
CALL_VARIANT(destroy, KTRAMP_IOC_DESTROY, ktramp_batch);
CALL_VARIANT(probe, KTRAMP_IOC_PROBE, ktramp_probe_info);
CALL_VARIANT(code, KTRAMP_IOC_CODE, ktramp_code);
CALL_VARIANT(run, KTRAMP_IOC_RUN, ktramp_run);
CALL_VARIANT(regs, KTRAMP_IOC_REGS, ktramp_regs);
CALL_VARIANT(load, KTRAMP_IOC_LOAD, ktramp_load);
CALL_VARIANT(scan, KTRAMP_IOC_SCAN, ktramp_scan);
CALL_VARIANT(cpu_stat, KTRAMP_IOC_CPU_STAT, ktramp_cpu_stat);
CALL_VARIANT(kprobes, KTRAMP_IOC_KPROBES, ktramp_kprobes);
CALL_VARIANT(site, KTRAMP_IOC_SITE, ktramp_site_info);

/* No instruction: the kernel refuses a kprobe there, and the call succeeds. */
static void fill_kprobes(struct ktramp_kprobes *kprobes)
{
	static __u64 address = 0x1000;

	kprobes->addresses = (unsigned long)&address;
	kprobes->nr = 1;
}

static void fill_scan(struct ktramp_scan *scan)
{
	static struct ktramp_scan_insn insns[4];
	struct ktramp_target_info target;
	int fd = kt_open();

	kt_target(fd, 0, &target);
	close(fd);
	scan->address = target.address;
	scan->insns = (unsigned long)insns;
	scan->max = ARRAY_SIZE(insns);
	scan->mechanisms = 1U << KTRAMP_JUMP;
}

static void fill(union any *any, unsigned long request, __u32 *id)
{
	memset(any, 0, sizeof(*any));
	switch (request) {
	case KTRAMP_IOC_MECHANISM:
		((struct ktramp_mechanism_info *)any)->mechanism = 1;
		break;
	case KTRAMP_IOC_CREATE:
		((struct ktramp_create *)any)->mechanism = KTRAMP_INT3_BOOST;
		((struct ktramp_create *)any)->handler = KTRAMP_COUNT;
		strcpy(((struct ktramp_create *)any)->site, "lea7");
		break;
	case KTRAMP_IOC_SITE:
		strcpy(((struct ktramp_site_info *)any)->site, "lea7");
		break;
	case KTRAMP_IOC_ARM:
	case KTRAMP_IOC_DISARM:
	case KTRAMP_IOC_DESTROY:
		((struct ktramp_batch *)any)->ids = (unsigned long)id;
		((struct ktramp_batch *)any)->nr = 1;
		break;
	case KTRAMP_IOC_PROBE:
		((struct ktramp_probe_info *)any)->id = *id;
		break;
	case KTRAMP_IOC_CODE:
		((struct ktramp_code *)any)->id = *id;
		((struct ktramp_code *)any)->part = KTRAMP_CODE_SITE;
		break;
	case KTRAMP_IOC_RUN:
		((struct ktramp_run *)any)->loops = 1;
		break;
	case KTRAMP_IOC_SCAN:
		fill_scan((struct ktramp_scan *)any);
		break;
	case KTRAMP_IOC_KPROBES:
		fill_kprobes((struct ktramp_kprobes *)any);
		break;
	case KTRAMP_IOC_CPU_STAT:
		((struct ktramp_cpu_stat *)any)->id = *id;
		break;
	case KTRAMP_IOC_REGS:
		((struct ktramp_regs *)any)->id = *id;
		break;
	}
}

FIXTURE_SETUP(call)
{
	struct ktramp_create create;

	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, kt_create_as(self->fd, "lea", KTRAMP_INT3_BOOST, KTRAMP_REGS, 0, &create));
	self->id = create.id;
	fill(&self->any, variant->request, &self->id);
	self->any.size = variant->size;
}

FIXTURE_TEARDOWN(call)
{
	close(self->fd);
}

TEST_F(call, succeeds_with_the_size_of_its_struct_and_tells_it_back)
{
	EXPECT_EQ(0, kt_ioctl(self->fd, variant->request, &self->any));
	EXPECT_EQ(variant->size, self->any.size);
}

TEST_F(call, refuses_a_size_that_is_smaller)
{
	static const __u32 less[] = { 0, 1, 4, 8 };

	for (unsigned int i = 0; i < ARRAY_SIZE(less); i++) {
		self->any.size = less[i];
		EXPECT_EQ(-EINVAL, kt_ioctl(self->fd, variant->request, &self->any));
	}
	self->any.size = variant->size - 1;
	EXPECT_EQ(-EINVAL, kt_ioctl(self->fd, variant->request, &self->any));
}

TEST_F(call, takes_a_larger_struct_only_if_the_surplus_is_zero)
{
	self->any.bytes[variant->size + 7] = 1;
	self->any.size = variant->size + 8;
	EXPECT_EQ(-E2BIG, kt_ioctl(self->fd, variant->request, &self->any));
	self->any.size = PAGE + 1;
	EXPECT_EQ(-E2BIG, kt_ioctl(self->fd, variant->request, &self->any));
	self->any.size = 0xffffffff;
	EXPECT_EQ(-E2BIG, kt_ioctl(self->fd, variant->request, &self->any));
	self->any.bytes[variant->size + 7] = 0;
	self->any.size = variant->size + 8;
	EXPECT_EQ(0, kt_ioctl(self->fd, variant->request, &self->any));
}

TEST_F(call, refuses_flags_it_does_not_know)
{
	struct ktramp_info *any = (void *)&self->any;

	for (int bit = 2; bit < 32; bit++) {
		any->flags = 1U << bit;
		EXPECT_EQ(-EINVAL, kt_ioctl(self->fd, variant->request, any))
			TH_LOG("with bit %d", bit);
	}
}

TEST_F(call, refuses_pointers_it_cannot_use)
{
	char *none = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	ASSERT_NE(MAP_FAILED, none);
	ASSERT_EQ(0, munmap(none + PAGE, PAGE));
	EXPECT_EQ(-EFAULT, kt_ioctl(self->fd, variant->request, NULL));
	EXPECT_EQ(-EFAULT, kt_ioctl(self->fd, variant->request, (void *)0xffffffff81000000UL));
	EXPECT_EQ(-EFAULT, kt_ioctl(self->fd, variant->request, none + PAGE));
	/* Its size can be read, its end cannot. */
	memcpy(none + PAGE - 8, &self->any, 8);
	EXPECT_EQ(-EFAULT, kt_ioctl(self->fd, variant->request, none + PAGE - 8));
	/* Everything can be read, and nothing answered. */
	memcpy(none, &self->any, variant->size);
	ASSERT_EQ(0, mprotect(none, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, kt_ioctl(self->fd, variant->request, none));
}

TEST_F(call, has_one_number_one_direction_and_one_size_only)
{
	unsigned long other = _IOC(_IOC_READ, KTRAMP_IOC_MAGIC, _IOC_NR(variant->request),
				   variant->size);

	EXPECT_EQ(-ENOTTY, kt_ioctl(self->fd, other, &self->any));
	other = _IOC(_IOC_READ | _IOC_WRITE, 'k', _IOC_NR(variant->request), variant->size);
	EXPECT_EQ(-ENOTTY, kt_ioctl(self->fd, other, &self->any));
	other = _IOC(_IOC_READ | _IOC_WRITE, KTRAMP_IOC_MAGIC, 255, variant->size);
	EXPECT_EQ(-ENOTTY, kt_ioctl(self->fd, other, &self->any));
	other = _IOC(_IOC_READ | _IOC_WRITE, KTRAMP_IOC_MAGIC, 0, variant->size);
	EXPECT_EQ(-ENOTTY, kt_ioctl(self->fd, other, &self->any));
}

/* ---- numbers and enums ---- */

TEST_F(device, knows_no_mechanism_target_probe_or_part_beyond_its_own)
{
	struct ktramp_code code = { .size = sizeof(code), .part = 5 };
	struct ktramp_mechanism_info mechanism;
	struct ktramp_target_info target;
	struct ktramp_probe_info probe;
	struct ktramp_run run;

	EXPECT_EQ(-EINVAL, kt_mechanism(self->fd, 0, &mechanism));
	EXPECT_EQ(-ENOENT, kt_mechanism(self->fd, KTRAMP_INT3_DIVERT + 1, &mechanism));
	EXPECT_EQ(-ENOENT, kt_target(self->fd, self->before.nr_targets, &target));
	EXPECT_EQ(-ENOENT, kt_probe(self->fd, 0, &probe));
	EXPECT_EQ(-ENOENT, kt_probe(self->fd, -1, &probe));
	EXPECT_EQ(-EINVAL, kt_ioctl(self->fd, KTRAMP_IOC_CODE, &code));
	code = (struct ktramp_code){ .size = sizeof(code), .part = 0 };
	EXPECT_EQ(-EINVAL, kt_ioctl(self->fd, KTRAMP_IOC_CODE, &code));
	code = (struct ktramp_code){ .size = sizeof(code), .part = 1, .id = -1 };
	EXPECT_EQ(-ENOENT, kt_ioctl(self->fd, KTRAMP_IOC_CODE, &code));
	EXPECT_EQ(-ENOENT, kt_run(self->fd, self->before.nr_targets, 0, 1, 0, &run));
	EXPECT_EQ(-ENOENT, kt_run(self->fd, 0, -1, 1, 0, &run));
	EXPECT_EQ(-EINVAL, kt_run(self->fd, 0, 0, 0, 0, &run));
	EXPECT_EQ(-EINVAL, kt_run(self->fd, 0, 0, KTRAMP_LOOPS_MAX + 1, 0, &run));
	EXPECT_EQ(-EINVAL, kt_run(self->fd, 0, 0, 1, KTRAMP_RUN_MEASURE | KTRAMP_RUN_TRAPS, &run));
}

TEST_F(device, refuses_reserved_fields_that_are_not_zero)
{
	struct ktramp_mechanism_info mechanism = { .size = sizeof(mechanism), .mechanism = 1 };
	struct ktramp_probe_info probe = { .size = sizeof(probe) };
	struct ktramp_load load = { .size = sizeof(load), .reserved = 1 };
	int id = kt_create(self->fd, "lea", KTRAMP_JUMP);

	ASSERT_LT(0, id);
	mechanism.reserved = 1;
	EXPECT_EQ(-EINVAL, kt_ioctl(self->fd, KTRAMP_IOC_MECHANISM, &mechanism));
	mechanism.reserved = 0;
	EXPECT_EQ(0, kt_ioctl(self->fd, KTRAMP_IOC_MECHANISM, &mechanism));
	probe.id = id;
	probe.reserved = 1;
	EXPECT_EQ(-EINVAL, kt_ioctl(self->fd, KTRAMP_IOC_PROBE, &probe));
	EXPECT_EQ(-EINVAL, kt_ioctl(self->fd, KTRAMP_IOC_LOAD, &load));
}

TEST_F(device, wants_runs_on_the_target_of_an_armed_probe)
{
	int id = kt_create(self->fd, "lea", KTRAMP_INT3_BOOST);
	struct ktramp_run run;

	ASSERT_LT(0, id);
	EXPECT_EQ(-EINVAL, kt_run(self->fd, 0, id, 1, 0, &run));
	ASSERT_EQ(0, kt_arm(self->fd, id));
	EXPECT_EQ(-EINVAL, kt_run(self->fd, 1, id, 1, 0, &run));
	EXPECT_EQ(0, kt_run(self->fd, 0, id, 1, 0, &run));
}

/* ---- sites ---- */

static const struct {
	const char *site;
	unsigned int mechanism, handler;
	int err;
	unsigned int reason;
} refusals[] = {
	{ "", KTRAMP_JUMP, KTRAMP_COUNT, -EINVAL, KTRAMP_R_SYNTAX },
	{ "+0x9", KTRAMP_JUMP, KTRAMP_COUNT, -EINVAL, KTRAMP_R_SYNTAX },
	{ "lea+", KTRAMP_JUMP, KTRAMP_COUNT, -EINVAL, KTRAMP_R_SYNTAX },
	{ "lea+zz", KTRAMP_JUMP, KTRAMP_COUNT, -EINVAL, KTRAMP_R_SYNTAX },
	{ "ktramp_target_lea+0x1ffffffffffffffff", KTRAMP_JUMP, KTRAMP_COUNT, -EINVAL,
	  KTRAMP_R_SYNTAX },
	{ "lea", 0, KTRAMP_COUNT, -EINVAL, KTRAMP_R_SYNTAX },
	{ "lea", KTRAMP_INT3_DIVERT + 1, KTRAMP_COUNT, -EINVAL, KTRAMP_R_SYNTAX },
	{ "lea", ~0U, KTRAMP_COUNT, -EINVAL, KTRAMP_R_SYNTAX },
	{ "lea", KTRAMP_JUMP, 0, -EINVAL, KTRAMP_R_SYNTAX },
	{ "lea", KTRAMP_JUMP, KTRAMP_BPF_INLINE + 1, -EINVAL, KTRAMP_R_SYNTAX },
	{ "lea", KTRAMP_KRETPROBE, KTRAMP_REGS, -EOPNOTSUPP, KTRAMP_R_HANDLER },
	{ "lea", KTRAMP_BPF_FENTRY, KTRAMP_COUNT, -EOPNOTSUPP, KTRAMP_R_HANDLER },
	{ "lea", KTRAMP_BPF_RAW_TP, KTRAMP_BPF, -EOPNOTSUPP, KTRAMP_R_SHAPE },
	{ "lea", KTRAMP_INT3_BOOST, KTRAMP_COUNT_INLINE, -EOPNOTSUPP, KTRAMP_R_HANDLER },
	{ "no_such_target", KTRAMP_JUMP, KTRAMP_COUNT, -ENOENT, KTRAMP_R_NO_SYMBOL },
	{ "no_such_module:vfs_read", KTRAMP_JUMP, KTRAMP_COUNT, -ENOENT, KTRAMP_R_NO_SYMBOL },
	{ "vfs_read+0x100000", KTRAMP_JUMP, KTRAMP_COUNT, -EINVAL, KTRAMP_R_NOT_TEXT },
	{ "0x1000", KTRAMP_JUMP, KTRAMP_COUNT, -ENOENT, KTRAMP_R_NOT_TEXT },
	{ "0xffffffffffffffff", KTRAMP_JUMP, KTRAMP_COUNT, -ENOENT, KTRAMP_R_NOT_TEXT },
	{ "jiffies", KTRAMP_JUMP, KTRAMP_COUNT, -ENOENT, KTRAMP_R_NOT_TEXT },
	{ "exc_int3", KTRAMP_JUMP, KTRAMP_COUNT, -EACCES, KTRAMP_R_BLACKLIST },
	{ "notify_die+0x10", KTRAMP_INT3_STEP_TF, KTRAMP_COUNT, -EACCES, KTRAMP_R_RECURSION },
	{ "ktramp_handle_count", KTRAMP_JUMP, KTRAMP_COUNT, -EACCES, KTRAMP_R_RECURSION },
	{ "ktramp_target_lea", KTRAMP_INT3_BOOST, KTRAMP_COUNT, -EBUSY, KTRAMP_R_PATCHED },
	{ "lea", KTRAMP_TRACEPOINT, KTRAMP_COUNT, -EOPNOTSUPP, KTRAMP_R_SHAPE },
	{ "tracepoint", KTRAMP_JUMP, KTRAMP_COUNT, -EBUSY, KTRAMP_R_PATCHED },
};

TEST_F_TIMEOUT(device, refuses_wrong_sites_with_errno_reason_and_sentence, 120)
{
	struct ktramp_create create;

	for (unsigned int i = 0; i < ARRAY_SIZE(refusals); i++) {
		EXPECT_EQ(refusals[i].err, kt_create_as(self->fd, refusals[i].site,
							refusals[i].mechanism,
							refusals[i].handler, 0, &create))
			TH_LOG("site '%s', row %u", refusals[i].site, i);
		EXPECT_EQ(refusals[i].reason, create.reason)
			TH_LOG("site '%s', row %u", refusals[i].site, i);
		EXPECT_NE(0, create.why[0]);
		EXPECT_EQ(0, create.id);
	}
}

TEST_F(device, refuses_a_site_without_an_end)
{
	struct ktramp_create create = { .size = sizeof(create), .mechanism = KTRAMP_JUMP,
					.handler = KTRAMP_COUNT };

	memset(create.site, 'l', sizeof(create.site));
	EXPECT_EQ(-EINVAL, kt_ioctl(self->fd, KTRAMP_IOC_CREATE, &create));
}

TEST_F(device, refuses_sites_inside_an_instruction_and_behind_the_function)
{
	struct ktramp_target_info target;
	struct ktramp_create create;
	char site[KTRAMP_SITE_MAX];

	/* lea7 has 7 bytes: 6 places that are no instruction. */
	ASSERT_EQ(0, kt_target(self->fd, kt_target_index(self->fd, "lea7"), &target));
	ASSERT_EQ(7, target.length);
	for (unsigned int i = 0; i <= 7; i++) {
		snprintf(site, sizeof(site), "ktramp_target_lea7+0x%x", target.offset + i);
		if (i == 0 || i == 7) {
			EXPECT_EQ(0, kt_create_as(self->fd, site, KTRAMP_INT3_BOOST, KTRAMP_COUNT,
						  0, &create)) TH_LOG("%s", site);
			continue;
		}
		EXPECT_EQ(-EILSEQ, kt_create_as(self->fd, site, KTRAMP_INT3_BOOST, KTRAMP_COUNT,
						0, &create)) TH_LOG("%s", site);
		EXPECT_NE(0, create.reason);
	}
	snprintf(site, sizeof(site), "ktramp_target_lea7+0x%x", 0x7fffffff);
	EXPECT_NE(0, kt_create_as(self->fd, site, KTRAMP_INT3_BOOST, KTRAMP_COUNT, 0, &create));
}

/* ---- batches ---- */

TEST_F(device, refuses_batches_of_wrong_length_or_without_numbers)
{
	struct ktramp_batch batch;
	__u32 id = 1;

	EXPECT_EQ(-EINVAL, kt_batch(self->fd, KTRAMP_IOC_ARM, &id, 0, &batch));
	EXPECT_EQ(-EINVAL, kt_batch(self->fd, KTRAMP_IOC_ARM, &id, KTRAMP_BATCH_MAX + 1, &batch));
	EXPECT_EQ(-EFAULT, kt_batch(self->fd, KTRAMP_IOC_ARM, NULL, 1, &batch));
	EXPECT_EQ(-EFAULT, kt_batch(self->fd, KTRAMP_IOC_ARM, (void *)0xffffffff81000000UL, 1,
				    &batch));
}

TEST_F_TIMEOUT(device, arms_the_rest_of_a_batch_and_names_the_first_that_failed, 120)
{
	struct ktramp_probe_info probe;
	struct ktramp_batch batch;
	__u32 ids[6];
	int a, b;

	a = kt_create(self->fd, "lea", KTRAMP_JUMP);
	b = kt_create(self->fd, "lea7", KTRAMP_INT3_BOOST);
	ASSERT_LT(0, a);
	ASSERT_LT(0, b);
	ids[0] = a;
	ids[1] = a;
	ids[2] = 0x7ffffff1;
	ids[3] = 0;
	ids[4] = b;
	ids[5] = b;
	EXPECT_EQ(-ENOENT, kt_batch(self->fd, KTRAMP_IOC_ARM, ids, 6, &batch));
	EXPECT_EQ(4, batch.done);
	EXPECT_EQ(0x7ffffff1, batch.failed);
	EXPECT_EQ(KTRAMP_R_NO_SYMBOL, batch.reason);
	EXPECT_NE(0, batch.why[0]);
	ASSERT_EQ(0, kt_probe(self->fd, a, &probe));
	EXPECT_EQ(KTRAMP_ARMED, probe.state);
	ASSERT_EQ(0, kt_probe(self->fd, b, &probe));
	EXPECT_EQ(KTRAMP_ARMED, probe.state);
	/* What is already so succeeds. */
	EXPECT_EQ(0, kt_batch(self->fd, KTRAMP_IOC_ARM, ids, 2, &batch));
	EXPECT_EQ(2, batch.done);
	EXPECT_EQ(0, batch.failed);
	EXPECT_EQ(0, kt_batch(self->fd, KTRAMP_IOC_DISARM, ids, 2, &batch));
	EXPECT_EQ(0, kt_batch(self->fd, KTRAMP_IOC_DISARM, ids, 2, &batch));
	EXPECT_EQ(-ENOENT, kt_batch(self->fd, KTRAMP_IOC_DESTROY, ids, 6, &batch));
	EXPECT_EQ(-ENOENT, kt_probe(self->fd, a, &probe));
	EXPECT_EQ(-ENOENT, kt_probe(self->fd, b, &probe));
}

TEST_F(device, lets_one_probe_only_have_the_bytes)
{
	int jump = kt_create(self->fd, "nop", KTRAMP_JUMP), same, inside, behind;
	struct ktramp_target_info target;
	struct ktramp_probe_info probe;
	char site[KTRAMP_SITE_MAX];

	ASSERT_LT(0, jump);
	ASSERT_EQ(0, kt_probe(self->fd, jump, &probe));
	ASSERT_EQ(0, kt_target(self->fd, kt_target_index(self->fd, "nop"), &target));
	same = kt_create(self->fd, "nop", KTRAMP_INT3_BOOST);
	ASSERT_LT(0, same);
	snprintf(site, sizeof(site), "ktramp_target_nop+0x%x", target.offset + 1);
	inside = kt_create(self->fd, site, KTRAMP_INT3_EMULATE);
	/* add %rsi, %rax has no emulation; a copy of it can run. */
	EXPECT_EQ(-EOPNOTSUPP, inside);
	inside = kt_create(self->fd, site, KTRAMP_INT3_BOOST);
	ASSERT_LT(0, inside);
	snprintf(site, sizeof(site), "ktramp_target_nop+0x%x", target.offset + probe.region);
	behind = kt_create(self->fd, site, KTRAMP_INT3_BOOST);
	ASSERT_LT(0, behind);

	ASSERT_EQ(0, kt_arm(self->fd, jump));
	EXPECT_EQ(-EBUSY, kt_arm(self->fd, same));
	EXPECT_EQ(-EBUSY, kt_arm(self->fd, inside));
	EXPECT_EQ(0, kt_arm(self->fd, behind));
	ASSERT_EQ(0, kt_disarm(self->fd, jump));
	EXPECT_EQ(0, kt_arm(self->fd, inside));
	EXPECT_EQ(-EBUSY, kt_arm(self->fd, jump));
	EXPECT_EQ(0, kt_arm(self->fd, same));
}

/* ---- owners ---- */

TEST_F(device, lets_only_the_owner_change_a_probe)
{
	int id = kt_create(self->fd, "lea", KTRAMP_JUMP), other = kt_open();
	struct ktramp_probe_info probe;

	ASSERT_LT(0, id);
	ASSERT_LE(0, other);
	EXPECT_EQ(-EPERM, kt_arm(other, id));
	ASSERT_EQ(0, kt_arm(self->fd, id));
	EXPECT_EQ(-EPERM, kt_disarm(other, id));
	EXPECT_EQ(-EPERM, kt_destroy(other, id));
	ASSERT_EQ(0, kt_probe(other, id, &probe));
	EXPECT_EQ(0, probe.mine);
	EXPECT_EQ(KTRAMP_ARMED, probe.state);
	ASSERT_EQ(0, kt_probe(self->fd, id, &probe));
	EXPECT_EQ(1, probe.mine);
	close(other);
}

TEST_F(device, destroys_the_probes_of_a_closed_file_but_those_to_keep)
{
	struct ktramp_target_info before, after;
	struct ktramp_create kept;
	struct ktramp_probe_info probe;
	int other = kt_open(), id;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, kt_target(self->fd, 0, &before));
	id = kt_create(other, "lea", KTRAMP_JUMP);
	ASSERT_LT(0, id);
	ASSERT_EQ(0, kt_create_as(other, "lea7", KTRAMP_INT3_BOOST, KTRAMP_COUNT,
				  KTRAMP_CREATE_KEEP, &kept));
	ASSERT_EQ(0, kt_arm(other, id));
	ASSERT_EQ(0, kt_arm(other, kept.id));
	close(other);
	EXPECT_EQ(-ENOENT, kt_probe(self->fd, id, &probe));
	ASSERT_EQ(0, kt_target(self->fd, 0, &after));
	EXPECT_EQ(0, memcmp(before.bytes, after.bytes, sizeof(before.bytes)));
	ASSERT_EQ(0, kt_probe(self->fd, kept.id, &probe));
	EXPECT_EQ(KTRAMP_ARMED, probe.state);
	EXPECT_EQ(1, probe.keep);
	EXPECT_EQ(0, probe.mine);
	/* Anyone may end what is nobody's. */
	EXPECT_EQ(0, kt_destroy(self->fd, kept.id));
}

TEST_F(device, restores_the_bytes_when_its_user_is_killed)
{
	struct ktramp_target_info before, armed, after;
	int ready[2], status;
	pid_t child;
	char byte;

	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, kt_target(self->fd, 0, &before));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		int fd = kt_open();

		/* The parent's file stays open, so only this one's end can restore. */
		if (kt_arm(fd, kt_create(fd, "lea", KTRAMP_JUMP)))
			_exit(1);
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	ASSERT_EQ(0, kt_target(self->fd, 0, &armed));
	EXPECT_EQ(JMP, armed.bytes[0]);
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	ASSERT_EQ(0, kt_target(self->fd, 0, &after));
	EXPECT_EQ(0, memcmp(before.bytes, after.bytes, sizeof(before.bytes)));
	close(ready[0]);
}

/* ---- permissions ---- */

TEST_F(device, opens_only_with_cap_sys_admin)
{
	int status;
	pid_t child = fork();

	ASSERT_LE(0, child);
	if (!child) {
		int fd, err = 0;

		/* The mode says yes, so that only the capability can say no. */
		if (chmod(KTRAMP_DEVICE, 0666) || setuid(65534))
			_exit(2);
		fd = open(KTRAMP_DEVICE, O_RDWR);
		if (fd < 0)
			err = errno;
		_exit(err == EPERM ? 0 : 1);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_EQ(0, chmod(KTRAMP_DEVICE, 0600));
}

TEST_F(device, hides_addresses_when_kptr_restrict_says_so)
{
	struct ktramp_code code = { .size = sizeof(code), .part = KTRAMP_CODE_DETOUR };
	int id = kt_create(self->fd, "springboard", KTRAMP_JUMP);
	struct ktramp_target_info target;
	struct ktramp_probe_info probe;
	struct ktramp_info info;
	struct ktramp_regs regs;
	char was[8];

	ASSERT_LT(0, id);
	ASSERT_EQ(0, kt_probe(self->fd, id, &probe));
	EXPECT_NE(0, probe.address);
	EXPECT_NE(0, probe.detour);
	EXPECT_NE(0, probe.springboard);
	code.id = id;
	EXPECT_EQ(0, kt_ioctl(self->fd, KTRAMP_IOC_CODE, &code));
	EXPECT_EQ(probe.detour, code.address);

	ASSERT_LT(0, kt_read_file(KPTR_RESTRICT, was, sizeof(was)));
	ASSERT_EQ(0, kt_write_file(KPTR_RESTRICT, "2"));
	EXPECT_EQ(0, kt_info(self->fd, &info));
	EXPECT_EQ(0, info.addresses);
	EXPECT_EQ(0, kt_probe(self->fd, id, &probe));
	EXPECT_EQ(0, probe.address | probe.slot | probe.detour | probe.springboard);
	EXPECT_EQ(0, kt_target(self->fd, 0, &target));
	EXPECT_EQ(0, target.address);
	code = (struct ktramp_code){ .size = sizeof(code), .id = id, .part = KTRAMP_CODE_DETOUR };
	EXPECT_EQ(-EPERM, kt_ioctl(self->fd, KTRAMP_IOC_CODE, &code));
	EXPECT_EQ(-EPERM, kt_regs(self->fd, id, &regs));
	EXPECT_EQ(0, kt_write_file(KPTR_RESTRICT, was));
}

TEST_HARNESS_MAIN
