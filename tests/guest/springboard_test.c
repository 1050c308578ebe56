// SPDX-License-Identifier: GPL-2.0-only
/*
 * Springboards: a short jump at the site to a jump in padding, which is somebody else's text as
 * much as the site is. Who may have it, what it is before and after, and who else wants it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../user/lib/ktramp.h"
#include "kselftest_harness.h"

#include "kt.h"

#define JMP8_SIZE	2
#define CALLS		100
#define TARGET		"springboard"
#define MANY		64
#define FUNCTIONS	2000	/* of the kernel's, to find one in */

#define KPTR_RESTRICT	"/proc/sys/kernel/kptr_restrict"

static int read_springboard(int fd, __u32 id, struct ktramp_code *code)
{
	*code = (struct ktramp_code){
		.size = sizeof(*code), .id = id, .part = KTRAMP_CODE_SPRINGBOARD,
	};
	return kt_ioctl(fd, KTRAMP_IOC_CODE, code);
}

/* Where a jump in @bytes, at @address, leads. */
static __u64 jump_to(const __u8 *bytes, __u64 address)
{
	__s32 rel;

	if (bytes[0] == JMP8)
		return address + JMP8_SIZE + (__s8)bytes[1];
	memcpy(&rel, bytes + 1, sizeof(rel));
	return bytes[0] == JMP ? address + JMP_SIZE + rel : 0;
}

FIXTURE(target) {
	int fd;
	int index;
	struct ktramp_info info;
};

FIXTURE_SETUP(target)
{
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, kt_pin(0));
	self->index = kt_target_index(self->fd, TARGET);
	ASSERT_LE(0, self->index);
	ASSERT_EQ(0, kt_info(self->fd, &self->info));
}

FIXTURE_TEARDOWN(target)
{
	struct ktramp_info info;

	close(self->fd);
	self->fd = kt_open();
	ASSERT_EQ(0, kt_info(self->fd, &info));
	EXPECT_EQ(self->info.nr_probes, info.nr_probes);
	EXPECT_EQ(self->info.slot_bytes, info.slot_bytes);
	close(self->fd);
}

TEST_F(target, leads_to_the_detour_and_is_padding_again)
{
	int id = kt_create(self->fd, TARGET, KTRAMP_JUMP);
	struct ktramp_code padding, armed, after;
	struct ktramp_probe_info probe;
	struct ktramp_run run;

	ASSERT_LT(0, id);
	ASSERT_EQ(0, read_springboard(self->fd, id, &padding));
	ASSERT_EQ(JMP_SIZE, padding.length);
	for (unsigned int round = 1; round <= 3; round++) {
		ASSERT_EQ(0, kt_arm(self->fd, id));
		ASSERT_EQ(0, kt_probe(self->fd, id, &probe));
		ASSERT_EQ(0, read_springboard(self->fd, id, &armed));
		EXPECT_EQ(KTRAMP_TACTIC_SPRINGBOARD, probe.tactic);
		EXPECT_EQ(JMP8_SIZE, probe.length);
		EXPECT_TRUE(kt_bytes_are_armed(&probe, sizeof(probe.now)));
		EXPECT_EQ(probe.springboard, armed.address);
		EXPECT_EQ(probe.springboard, jump_to(probe.now, probe.address));
		EXPECT_EQ(probe.detour, jump_to(armed.code, armed.address));

		ASSERT_EQ(0, kt_run(self->fd, self->index, id, CALLS, KTRAMP_RUN_TRAPS, &run));
		EXPECT_EQ(CALLS, run.hits);
		EXPECT_EQ(0, run.wrong);
		EXPECT_EQ(0, run.bp);

		ASSERT_EQ(0, kt_disarm(self->fd, id));
		ASSERT_EQ(0, read_springboard(self->fd, id, &after));
		EXPECT_EQ(0, memcmp(padding.code, after.code, JMP_SIZE));
		ASSERT_EQ(0, kt_probe(self->fd, id, &probe));
		EXPECT_TRUE(kt_bytes_are_original(&probe, sizeof(probe.now)));
		EXPECT_EQ(round * CALLS, probe.hits);
	}
	EXPECT_EQ(0, kt_destroy(self->fd, id));
}

/* Closed while it is armed: the next one finds padding. */
TEST_F(target, goes_with_its_file)
{
	struct ktramp_code first, second;
	int id = kt_create(self->fd, TARGET, KTRAMP_JUMP);

	ASSERT_LT(0, id);
	ASSERT_EQ(0, read_springboard(self->fd, id, &first));
	ASSERT_EQ(0, kt_arm(self->fd, id));
	close(self->fd);
	self->fd = kt_open();
	id = kt_create(self->fd, TARGET, KTRAMP_JUMP);
	ASSERT_LT(0, id);
	ASSERT_EQ(0, read_springboard(self->fd, id, &second));
	EXPECT_EQ(first.address, second.address);
	EXPECT_EQ(0, memcmp(first.code, second.code, JMP_SIZE));
}

/* Padding within reach is given to one after the other, until there is no more. */
TEST_F(target, is_its_probes_alone)
{
	struct ktramp_probe_info probe;
	struct ktramp_create create;
	__u64 taken[MANY];
	unsigned int nr;
	int err = 0;

	for (nr = 0; nr < MANY; nr++) {
		err = kt_create_as(self->fd, TARGET, KTRAMP_JUMP, KTRAMP_COUNT, 0, &create);
		if (err)
			break;
		ASSERT_EQ(0, kt_probe(self->fd, create.id, &probe));
		taken[nr] = probe.springboard;
		for (unsigned int i = 0; i < nr; i++)
			EXPECT_TRUE(taken[i] + JMP_SIZE <= taken[nr] ||
				    taken[nr] + JMP_SIZE <= taken[i]);
	}
	EXPECT_LT(1, nr);
	EXPECT_EQ(-EOPNOTSUPP, err);
	EXPECT_EQ(KTRAMP_R_TARGETED, create.reason);

	close(self->fd);
	self->fd = kt_open();
	EXPECT_LT(0, kt_create(self->fd, TARGET, KTRAMP_JUMP));
}

/* The function whose padding it is. */
static int scan_around(int fd, __u64 address, struct ktramp_scan *scan)
{
	struct ktramp_scan_insn insn;

	*scan = (struct ktramp_scan){
		.size = sizeof(*scan), .address = address, .insns = (unsigned long)&insn, .max = 1,
	};
	return kt_ioctl(fd, KTRAMP_IOC_SCAN, scan);
}

/* To who plans, padding is what it was; to who wants the bytes, they are taken. */
TEST_F(target, is_told_to_who_plans_around_it)
{
	int id = kt_create(self->fd, TARGET, KTRAMP_JUMP), other;
	struct ktramp_scan before, armed;
	struct ktramp_probe_info probe;
	char site[32];

	ASSERT_LT(0, id);
	ASSERT_EQ(0, kt_probe(self->fd, id, &probe));
	ASSERT_EQ(0, scan_around(self->fd, probe.springboard, &before));
	ASSERT_EQ(0, kt_arm(self->fd, id));
	ASSERT_EQ(0, scan_around(self->fd, probe.springboard, &armed));
	EXPECT_EQ(before.nr, armed.nr);
	EXPECT_EQ(before.padding, armed.padding);
	EXPECT_EQ(before.known, armed.known);
	EXPECT_LT(0, kt_create(self->fd, TARGET, KTRAMP_JUMP));
	snprintf(site, sizeof(site), "0x%llx", (unsigned long long)probe.springboard);
	other = kt_create(self->fd, site, KTRAMP_INT3_BOOST);
	if (other > 0)
		EXPECT_EQ(-EBUSY, kt_arm(self->fd, other));
	EXPECT_EQ(0, kt_disarm(self->fd, id));
}

/* ---- in the kernel's text, where somebody else may have a kprobe in the padding ---- */

FIXTURE(kernel) {
	int fd;
	__u32 id;
	struct ktramp_probe_info probe;
	struct ktramp_code padding;
};

/* A probe in a function whose springboard is in nops, where kprobes may be. */
static bool try_function(int fd, const struct ktramp_scan *scan,
			 const struct ktramp_scan_insn *insns, struct ktramp_code *padding)
{
	for (unsigned int i = 0; i < scan->nr && i < scan->max; i++) {
		char site[32];
		int id;

		if (insns[i].tactic != KTRAMP_TACTIC_SPRINGBOARD || insns[i].kernel)
			continue;
		snprintf(site, sizeof(site), "0x%llx",
			 (unsigned long long)scan->address + insns[i].offset);
		id = kt_create(fd, site, KTRAMP_JUMP);
		if (id < 0)
			continue;
		if (!read_springboard(fd, id, padding) && padding->code[0] != INT3)
			return true;
		kt_destroy(fd, id);
	}
	return false;
}

/* Of each springboard, the symbol it is in and the one that is 16 bytes behind its end. */
#define SAMPLE		200
#define ROOM_IN_FRONT	16

static size_t collect(int fd, struct ksym in[SAMPLE], struct ksym behind[SAMPLE])
{
	static struct ktramp_scan_insn insns[4096];
	__u64 at = kt_symbol("vfs_read");
	size_t nr = 0;

	for (unsigned int f = 0; at && f < FUNCTIONS && nr < SAMPLE; f++) {
		struct ktramp_scan scan = {
			.size = sizeof(scan), .address = at, .insns = (unsigned long)insns,
			.max = ARRAY_SIZE(insns), .mechanisms = 1U << KTRAMP_JUMP,
		};

		if (kt_ioctl(fd, KTRAMP_IOC_SCAN, &scan))
			break;
		for (unsigned int i = 0; i < MIN(scan.nr, scan.max) && nr < SAMPLE; i++) {
			struct ktramp_probe_info probe;
			char site[32];
			int id;

			if (insns[i].tactic != KTRAMP_TACTIC_SPRINGBOARD || insns[i].kernel)
				continue;
			snprintf(site, sizeof(site), "0x%llx",
				 (unsigned long long)scan.address + insns[i].offset);
			id = kt_create(fd, site, KTRAMP_JUMP);
			if (id < 0 || kt_probe(fd, id, &probe) || !probe.springboard)
				continue;
			in[nr].address = probe.springboard;
			behind[nr++].address = probe.springboard + JMP_SIZE + ROOM_IN_FRONT - 1;
		}
		at = scan.address + scan.length;
	}
	return nr;
}

static bool is_prefix(const char *name)
{
	return !strncmp(name, "__pfx_", 6) || !strncmp(name, "__cfi_", 6);
}

/*
 * What the kernel itself may write, in front of a function, has a symbol on it; where it does
 * that at all, the same room is left in front of a function that has none.
 */
TEST(padding_is_not_what_stands_in_front_of_functions)
{
	static struct ksym in[SAMPLE], behind[SAMPLE];
	bool prefixes = kt_symbol("__pfx_vfs_read");
	int fd = kt_open();
	size_t nr;

	ASSERT_LE(0, fd);
	nr = collect(fd, in, behind);
	close(fd);
	EXPECT_LE(SAMPLE / 4, nr);
	ASSERT_EQ(0, ksyms_resolve(in, nr));
	ASSERT_EQ(0, ksyms_resolve(behind, nr));
	for (size_t i = 0; i < nr; i++) {
		EXPECT_FALSE(is_prefix(in[i].name)) {
			TH_LOG("0x%llx in %s", (unsigned long long)in[i].address, in[i].name);
		}
		if (behind[i].start == in[i].start)
			continue;
		EXPECT_LE(in[i].address + JMP_SIZE, behind[i].start);
		EXPECT_TRUE(!prefixes || is_prefix(behind[i].name)) {
			TH_LOG("0x%llx, %s behind it", (unsigned long long)in[i].address,
			       behind[i].name);
		}
	}
}

static __u32 find_one(int fd, struct ktramp_code *padding)
{
	static struct ktramp_scan_insn insns[4096];
	__u64 at = kt_symbol("vfs_read");

	for (unsigned int i = 0; at && i < FUNCTIONS; i++) {
		struct ktramp_scan scan = {
			.size = sizeof(scan), .address = at, .insns = (unsigned long)insns,
			.max = sizeof(insns) / sizeof(*insns), .mechanisms = 1U << KTRAMP_JUMP,
		};

		if (kt_ioctl(fd, KTRAMP_IOC_SCAN, &scan))
			break;
		if (try_function(fd, &scan, insns, padding))
			return padding->id;
		at = scan.address + scan.length;
	}
	return 0;
}

FIXTURE_SETUP(kernel)
{
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	self->id = find_one(self->fd, &self->padding);
	ASSERT_LT(0, self->id);
	ASSERT_EQ(0, kt_probe(self->fd, self->id, &self->probe));
}

static int theirs_ready(__u64 address)
{
	char site[32];

	snprintf(site, sizeof(site), "0x%llx", (unsigned long long)address);
	return kt_theirs_ready(site);
}

FIXTURE_TEARDOWN(kernel)
{
	struct ktramp_code after;

	kt_theirs_off();
	EXPECT_EQ(0, kt_disarm(self->fd, self->id));
	EXPECT_EQ(0, read_springboard(self->fd, self->id, &after));
	EXPECT_EQ(0, memcmp(self->padding.code, after.code, JMP_SIZE));
	EXPECT_EQ(0, kt_destroy(self->fd, self->id));
	close(self->fd);
}

TEST_F_TIMEOUT(kernel, is_not_armed_over_a_kprobe_in_the_padding, 120)
{
	struct ktramp_batch batch;

	ASSERT_EQ(0, theirs_ready(self->padding.address));
	EXPECT_EQ(-EBUSY, kt_batch(self->fd, KTRAMP_IOC_ARM, &self->id, 1, &batch));
	EXPECT_EQ(KTRAMP_R_PATCHED, batch.reason);
	kt_theirs_off();
	EXPECT_EQ(0, kt_arm(self->fd, self->id));
}

TEST_F_TIMEOUT(kernel, stays_while_a_kprobe_is_on_it, 120)
{
	struct ktramp_probe_info probe;
	struct ktramp_code armed;

	ASSERT_EQ(0, kt_arm(self->fd, self->id));
	ASSERT_EQ(0, theirs_ready(self->padding.address));
	/* Not enabled it shows in no byte. */
	EXPECT_EQ(-EILSEQ, kt_disarm(self->fd, self->id));
	ASSERT_EQ(0, kt_probe(self->fd, self->id, &probe));
	EXPECT_EQ(KTRAMP_STUCK, probe.state);
	ASSERT_EQ(0, kt_theirs_on());
	EXPECT_EQ(-EILSEQ, kt_disarm(self->fd, self->id));
	ASSERT_EQ(0, read_springboard(self->fd, self->id, &armed));
	EXPECT_EQ(INT3, armed.code[0]);
	kt_theirs_off();
	ASSERT_EQ(0, read_springboard(self->fd, self->id, &armed));
	EXPECT_EQ(JMP, armed.code[0]);
}

/* Where the kernel does not tell of its kprobes, an enabled one shows in the bytes. */
TEST_F_TIMEOUT(kernel, stays_while_somebody_elses_byte_is_in_it, 120)
{
	char was[8];
	int err;

	ASSERT_EQ(0, kt_arm(self->fd, self->id));
	ASSERT_EQ(0, theirs_ready(self->padding.address));
	ASSERT_EQ(0, kt_theirs_on());
	ASSERT_LT(0, kt_read_file(KPTR_RESTRICT, was, sizeof(was)));
	ASSERT_EQ(0, kt_write_file(KPTR_RESTRICT, "2"));
	err = kt_disarm(self->fd, self->id);
	EXPECT_EQ(0, kt_write_file(KPTR_RESTRICT, was));
	EXPECT_EQ(-EILSEQ, err);
}

TEST_HARNESS_MAIN
