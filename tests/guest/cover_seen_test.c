// SPDX-License-Identifier: GPL-2.0-only
/*
 * Coverage is true: what it tells is what a plugin of QEMU saw, which looks at every instruction
 * that the CPU executes, in interrupts and in whatever task.
 *
 * The plugin keeps two sets: the outer one begins before the blocks are observed and ends after
 * they were read, the inner one the other way about. All of the inner one must be told, and
 * nothing that is not in the outer one. What is in the outer one alone is the way in and out.
 *
 * Wants one CPU, without cmpxchg16b under QEMU 7.2, and qemu/xray.c as a plugin (tests/run).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "covers.h"
#include "xray/xray_record.h"
#undef ARRAY_SIZE
#include "kselftest_harness.h"
#include "kt.h"

/* The plugin forgets none of its sets: each workload has two of its own. */
#define OUTER(v)	(1ULL << (v)->sets)
#define INNER(v)	(2ULL << (v)->sets)

/* The way in and out is no more than one in so many of what is told. */
#define EDGE_PART	20

static struct xray_order *order;

static int give(uint32_t command, uint64_t sets)
{
	order->sets = sets;
	return xray_give_order(order, command);
}

/* Return: 0; -ENODEV there is no plugin. */
static int attach(void)
{
	order = mmap(NULL, XRAY_PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (order == MAP_FAILED)
		return -ENOMEM;
	for (unsigned int i = 0; i < 1000; i++) {
		int err = xray_give_order(order, XRAY_ATTACH);

		if (err || *(volatile uint32_t *)&order->attached)
			return err;
		usleep(1000);
	}
	return -ETIMEDOUT;
}

static int by_address(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The addresses of a set of the plugin's, ascending. */
static int read_set(uint64_t set, struct cover_addresses *addresses)
{
	*addresses = (struct cover_addresses){ 0 };
	do {
		order->first = addresses->nr;
		if (give(XRAY_SEEN, set))
			return -ENODEV;
		if (!addresses->v)
			addresses->v = calloc(order->nr + 1, sizeof(*addresses->v));
		if (!addresses->v)
			return -ENOMEM;
		for (size_t i = 0; i < XRAY_LIST && addresses->nr < order->nr; i++)
			addresses->v[addresses->nr++] = order->address[i];
	} while (addresses->nr < order->nr);
	qsort(addresses->v, addresses->nr, sizeof(*addresses->v), by_address);
	return 0;
}

FIXTURE(seen) {
	bool mounted;
	struct cover_session s;
	struct ktramp_cover c;
};

/* What runs meanwhile, for the shell. */
FIXTURE_VARIANT(seen) {
	bool disk;
	const char *command;
	unsigned int sets;
};

FIXTURE_VARIANT_ADD(seen, files_on_ext4) {
	.sets = 0,
	.disk = true,
	.command = "cd /tmp/seen; for i in 1 2 3; do cp /tests/workload a; sync; mv a b; "
		   "cmp /tests/workload b; rm b; done",
};

FIXTURE_VARIANT_ADD(seen, network) {
	.sets = 2,
	.command = "ip link set lo up; (echo hello | nc -l -p 7000 >/tmp/got &) ; sleep 0.2; "
		   "nc 127.0.0.1 7000 </proc/version >/tmp/back; ping -c 2 127.0.0.1",
};

FIXTURE_VARIANT_ADD(seen, module) {
	.sets = 4,
	.command = "for i in 1 2 3; do "
		   "insmod /tests/modules/brd.ko rd_nr=1 rd_size=1024; rmmod brd; done",
};

FIXTURE_SETUP(seen)
{
	struct kt_output o;

	ASSERT_EQ(0, kt_open_window());
	kt_insmod("/tests/modules/loop.ko");
	kt_insmod("/tests/modules/jbd2.ko");
	kt_insmod("/tests/modules/ext4.ko");
	kt_shell("mkdir -p /tmp/seen; gunzip -c /tests/ext4.img.gz >/tmp/seen.img; "
		 "mount -o loop /tmp/seen.img /tmp/seen", &o);
	self->mounted = !o.status;
	ASSERT_EQ(0, cover_open(&self->s));
}

FIXTURE_TEARDOWN(seen)
{
	struct kt_output o;

	cover_close(&self->s);
	kt_shell("umount /tmp/seen", &o);
}

static int add_kernel(struct cover_session *s)
{
	struct text text;
	int err = text_read(&text, NULL);

	if (!err)
		err = cover_add(&s->dev, text.functions, text.nr, 0, &s->plan);
	text_deinit(&text);
	return err;
}

struct result {
	size_t told, missed, made_up, edge;
};

static void compare(const struct cover_session *s, const struct cover_addresses *inner,
		    const struct cover_addresses *outer, struct result *result)
{
	for (size_t i = 0; i < s->plan.nr_blocks; i++) {
		uint64_t site = cover_site(s, i);
		bool told, in, out;

		if (s->plan.block[i].reason)
			continue;
		told = cover_has(&s->hit, site);
		in = cover_has(inner, site);
		out = cover_has(outer, site);
		result->told += told;
		result->edge += out && !in;
		if (in && !told && result->missed++ < 8)
			printf("# 0x%llx was executed, and is not told\n",
			       (unsigned long long)site);
		if (told && !out && result->made_up++ < 8)
			printf("# 0x%llx is told, and was not executed\n",
			       (unsigned long long)site);
	}
}

TEST_F_TIMEOUT(seen, is_what_was_executed, 3000)
{
	struct cover_session *s = &self->s;
	struct cover_addresses inner, outer;
	struct result result = { 0 };
	static struct kt_output o;
	int err;

	setbuf(stdout, NULL);
	if (variant->disk && !self->mounted)
		SKIP(return, "this guest mounts no ext4 (CONFIG_EXT4_FS, and the loop device)");
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		SKIP(return, "the plugin looks at one CPU");
	ASSERT_EQ(0, add_kernel(s));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_START, &self->c));
	/* What is done once only, and pages in. */
	kt_shell(variant->command, &o);
	err = attach();
	if (err == -ENODEV)
		SKIP(return, "QEMU has no plugin here (qemu/run --plugin)");
	ASSERT_EQ(0, err);

	ASSERT_EQ(0, give(XRAY_WATCH, OUTER(variant)));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_RESET, &self->c));
	ASSERT_EQ(0, give(XRAY_WATCH, OUTER(variant) | INNER(variant)));
	kt_shell(variant->command, &o);
	ASSERT_EQ(0, give(XRAY_WATCH, OUTER(variant)));
	ASSERT_EQ(0, cover_do(s, KTRAMP_IOC_COVER_STOP, &self->c));
	ASSERT_EQ(0, give(XRAY_WATCH, 0));
	EXPECT_EQ(0, o.status) TH_LOG("%s", o.err);

	ASSERT_EQ(0, cover_read_hits(s));
	ASSERT_EQ(0, read_set(INNER(variant), &inner));
	ASSERT_EQ(0, read_set(OUTER(variant), &outer));
	compare(s, &inner, &outer, &result);
	printf("# %zu blocks told, %zu missed, %zu made up; %zu in the outer set alone\n",
	       result.told, result.missed, result.made_up, result.edge);
	EXPECT_LT(1000, result.told);
	EXPECT_EQ(0, result.missed);
	EXPECT_EQ(0, result.made_up);
	EXPECT_GE(result.told / EDGE_PART, result.edge);
	free(inner.v);
	free(outer.v);
}

TEST_HARNESS_MAIN
