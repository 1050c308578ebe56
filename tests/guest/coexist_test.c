// SPDX-License-Identifier: GPL-2.0-only
/*
 * Others who write kernel text, in the function that our probe is in: kprobes, ftrace,
 * livepatch and jump labels, before us and after us. Each is refused, or both work: no call
 * of a function returns a wrong result, no hit is lost, and in the end the bytes are the
 * original ones.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kt.h"

#define TRACING	"/sys/kernel/tracing/"
#define LIVEPATCH	"/sys/kernel/livepatch/ktramp_patch/"
#define PATCH		"/lib/modules/ktramp_patch.ko"
#define PATCHED		"/sys/module/ktramp_patch/parameters/calls"
#define CALLS	50
#define EVERY_WAY	6	/* instructions: each mechanism is tried, and left both ways */
#define NEAR	10	/* bytes: a jump with the instructions it displaces, or theirs */

/* The function that they and we are in. */
struct place {
	int fd;
	int index;
	struct ktramp_target_info target;
	struct ktramp_info info;
	char name[KTRAMP_SITE_MAX];
};

/* Theirs at any byte of the function, registered but not enabled. */
static int theirs_ready(const char *function, unsigned int offset)
{
	char site[KTRAMP_SITE_MAX + 32];

	snprintf(site, sizeof(site), "ktramp:%s+0x%x", function, offset);
	return kt_theirs_ready(site);
}

static int theirs_on(const char *function, unsigned int offset)
{
	return theirs_ready(function, offset) ?: kt_theirs_on();
}

static bool enter(struct place *p, const char *target)
{
	p->fd = kt_open();
	p->index = kt_target_index(p->fd, target);
	if (kt_pin(0) || p->index < 0 || kt_target(p->fd, p->index, &p->target) ||
	    kt_info(p->fd, &p->info))
		return false;
	strcpy(p->name, p->target.site);
	p->name[strcspn(p->name, "+")] = '\0';
	return true;
}

/* Is everything as it was? */
static bool leave(struct place *p)
{
	struct ktramp_target_info after;
	struct ktramp_info info;
	bool same;

	kt_theirs_off();
	kt_write_file(TRACING "current_tracer", "nop");
	close(p->fd);
	p->fd = kt_open();
	same = !kt_target(p->fd, p->index, &after) && !kt_info(p->fd, &info) &&
	       !memcmp(p->target.bytes, after.bytes, sizeof(after.bytes)) &&
	       info.nr_probes == p->info.nr_probes && info.slot_bytes == p->info.slot_bytes;
	close(p->fd);
	return same;
}

FIXTURE(function) {
	struct place p;
};

FIXTURE_VARIANT(function) {
	const char *target;
	unsigned int around;	/* bytes around the target's site that are looked at */
};

FIXTURE_VARIANT_ADD(function, of_short_instructions) { .target = "nop", .around = 1024 };
FIXTURE_VARIANT_ADD(function, with_a_jump_label) { .target = "tracepoint", .around = 6 };

FIXTURE_SETUP(function)
{
	ASSERT_TRUE(enter(&self->p, variant->target));
}

FIXTURE_TEARDOWN(function)
{
	EXPECT_TRUE(leave(&self->p));
}

/* Offsets of the function's instructions. Return: how many. */
static unsigned int instructions(int fd, const struct ktramp_target_info *target, __u32 *offset,
				 unsigned int max)
{
	struct ktramp_scan_insn insns[64];
	struct ktramp_scan scan = {
		.size = sizeof(scan), .address = target->address, .insns = (unsigned long)insns,
		.max = 64,
	};
	unsigned int nr = 0;

	if (kt_ioctl(fd, KTRAMP_IOC_SCAN, &scan))
		return 0;
	for (unsigned int i = 0; i < scan.nr && i < scan.max && nr < max; i++)
		if (!(insns[i].marks & KTRAMP_SCAN_PADDING))
			offset[nr++] = insns[i].offset;
	return nr;
}

static int create_at(int fd, const char *function, unsigned int offset, unsigned int mechanism,
		     struct ktramp_create *create)
{
	char site[KTRAMP_SITE_MAX + 16];
	int err;

	snprintf(site, sizeof(site), "%s+0x%x", function, offset);
	err = kt_create_as(fd, site, mechanism, KTRAMP_COUNT, 0, create);
	return err ? err : (int)create->id;
}

static const unsigned int ours[] = { KTRAMP_JUMP, KTRAMP_INT3_BOOST, KTRAMP_INT3_STEP_TF };
static const char *const names[] = { "jump", "int3-boost", "int3-step-tf" };

static bool is_near(unsigned int a, unsigned int b, unsigned int distance)
{
	return a + distance >= b && b + distance >= a;
}

static bool computes_right(struct place *p)
{
	struct ktramp_run run;

	return !kt_run(p->fd, p->index, 0, CALLS, 0, &run) && !run.wrong;
}

/* How many pairs of ours and theirs were armed together, and how many were not. */
struct pairs {
	unsigned int both, alone, stayed;
};

/*
 * Theirs first. They are at instructions: elsewhere the kernel lets nobody in.
 * Return: false if the function went wrong.
 */
static bool try_behind_them(struct place *p, unsigned int them, unsigned int us,
			    unsigned int mechanism, struct pairs *pairs)
{
	struct ktramp_create create;
	int id = create_at(p->fd, p->name, us, mechanism, &create), armed = -1;
	bool right;

	if (id > 0)
		armed = kt_arm(p->fd, id);
	right = computes_right(p);
	pairs->both += !armed;
	pairs->alone += armed != 0;
	if (id > 0)
		right = !kt_destroy(p->fd, id) && computes_right(p) && right;
	return right;
}

/*
 * Ours first, theirs then at any byte, and ours to be disarmed below theirs: that works, or
 * is refused and works when they have gone. Return: false if the function went wrong.
 */
static bool try_before_them(struct place *p, unsigned int them, int id, struct pairs *pairs)
{
	bool right = !kt_arm(p->fd, id);
	int theirs = theirs_on(p->name, them), err;

	right = computes_right(p) && right;
	pairs->both += !theirs;
	pairs->alone += theirs != 0;
	if (!theirs) {
		err = kt_disarm(p->fd, id);
		right = (!err || err == -EILSEQ) && computes_right(p) && right;
	}
	kt_theirs_off();
	return !kt_disarm(p->fd, id) && computes_right(p) && right;
}

/*
 * Their kprobe near ours, first theirs and then ours, and the other way round. Whatever is
 * let in, the function returns what it must.
 */
TEST_F_TIMEOUT(function, bears_kprobes_beside_ours, 600)
{
	struct pairs behind = { 0 }, before = { 0 };
	unsigned int size = self->p.target.func_size, them, last;
	struct ktramp_create create;
	__u32 offset[64];
	unsigned int nr;

	nr = instructions(self->p.fd, &self->p.target, offset, ARRAY_SIZE(offset));
	ASSERT_LT(2, nr);
	for (unsigned int i = 0; i < nr; i++) {
		if (!is_near(offset[i], self->p.target.offset, variant->around))
			continue;
		if (theirs_on(self->p.name, offset[i])) {
			kt_theirs_off();
			continue;
		}
		for (unsigned int j = 0; j < nr; j++) {
			if (!is_near(offset[j], offset[i], NEAR))
				continue;
			ASSERT_TRUE(try_behind_them(&self->p, offset[i], offset[j],
						    ours[(i + j) % ARRAY_SIZE(ours)], &behind))
				TH_LOG("theirs at +0x%x, then ours at +0x%x", offset[i], offset[j]);
		}
		kt_theirs_off();
	}
	for (unsigned int i = 0; i < nr * ARRAY_SIZE(ours); i++) {
		unsigned int us = offset[i / ARRAY_SIZE(ours)];
		int id;

		if (!is_near(us, self->p.target.offset, variant->around))
			continue;
		id = create_at(self->p.fd, self->p.name, us, ours[i % ARRAY_SIZE(ours)], &create);
		if (id < 0)
			continue;
		last = us + NEAR < size ? us + NEAR : size - 1;
		for (them = us > NEAR ? us - NEAR : 0; them <= last; them++) {
			ASSERT_TRUE(try_before_them(&self->p, them, id, &before))
				TH_LOG("%s at +0x%x, then theirs at +0x%x",
				       names[i % ARRAY_SIZE(ours)], us, them);
		}
		ASSERT_EQ(0, kt_destroy(self->p.fd, id));
		ASSERT_TRUE(computes_right(&self->p));
	}
	/* The criterion bit: some pairs do coexist, and some are refused. */
	EXPECT_LT(0, behind.both);
	EXPECT_LT(0, behind.alone);
	EXPECT_LT(0, before.both);
	EXPECT_LT(0, before.alone);
}

/*
 * Theirs is there, but disabled: no byte tells. Ours is not armed over it, because it would be
 * written over; beside it both work.
 */
TEST_F_TIMEOUT(function, bears_a_kprobe_that_is_enabled_when_ours_are_armed, 300)
{
	unsigned int armed = 0, refused = 0;
	struct ktramp_create create;
	struct ktramp_batch batch;
	__u32 offset[64], id;
	unsigned int nr;

	nr = instructions(self->p.fd, &self->p.target, offset, ARRAY_SIZE(offset));
	for (unsigned int i = 0; i < nr * nr; i++) {
		unsigned int us = offset[i / nr], them = offset[i % nr];
		int err;

		if (!is_near(us, self->p.target.offset, variant->around) ||
		    !is_near(us, them, NEAR))
			continue;
		if (theirs_ready(self->p.name, them))
			continue;
		id = create_at(self->p.fd, self->p.name, us, ours[i % ARRAY_SIZE(ours)], &create);
		if ((int)id < 0) {
			kt_theirs_off();
			continue;
		}
		err = kt_batch(self->p.fd, KTRAMP_IOC_ARM, &id, 1, &batch);
		if (err) {
			EXPECT_EQ(-EBUSY, err);
			EXPECT_EQ(KTRAMP_R_PATCHED, batch.reason);
		}
		armed += !err;
		refused += err != 0;
		ASSERT_EQ(0, kt_theirs_on());
		ASSERT_TRUE(computes_right(&self->p))
			TH_LOG("%s at +0x%x, theirs at +0x%x", names[i % ARRAY_SIZE(ours)], us,
			       them);
		kt_theirs_off();
		ASSERT_EQ(0, kt_destroy(self->p.fd, id));
		ASSERT_TRUE(computes_right(&self->p));
	}
	EXPECT_LT(0, armed);
	EXPECT_LT(0, refused);
}

/*
 * Theirs comes when ours is armed, where the kernel takes what we wrote for instructions, and is
 * enabled when ours has gone, or was to go. Return: false if the function went wrong.
 */
static bool try_left_behind(struct place *p, unsigned int them, unsigned int us,
			    unsigned int mechanism, bool closed, struct pairs *pairs)
{
	struct ktramp_create create;
	int fd = kt_open(), id = create_at(fd, p->name, us, mechanism, &create), err;
	bool right = id > 0 && !kt_arm(fd, id);

	if (!right || theirs_ready(p->name, them)) {
		kt_theirs_off();
		close(fd);
		return computes_right(p);
	}
	err = closed ? close(fd) : kt_disarm(fd, id);
	pairs->both += !err;
	pairs->alone += err != 0;
	right = !err || err == -EILSEQ;
	right = !kt_theirs_on() && computes_right(p) && right;
	kt_theirs_off();
	/* What had to stay when its owner went is anybody's. */
	err = kt_destroy(closed ? p->fd : fd, id);
	pairs->stayed += closed && !err;
	right = (!err || (closed && err == -ENOENT)) && right;
	if (!closed)
		close(fd);
	return right && computes_right(p);
}

TEST_F_TIMEOUT(function, bears_a_kprobe_that_is_enabled_when_ours_have_gone, 300)
{
	unsigned int size = self->p.target.func_size, nr, tried = 0;
	struct pairs pairs[2] = { };
	__u32 offset[64];

	nr = instructions(self->p.fd, &self->p.target, offset, ARRAY_SIZE(offset));
	for (unsigned int i = 0; i < nr; i++) {
		unsigned int us = offset[i];

		if (!is_near(us, self->p.target.offset, variant->around))
			continue;
		tried++;
		for (unsigned int them = us; them < us + NEAR && them < size; them++) {
			/* EVERY_WAY instructions see all of them, at each distance. */
			bool closed = (i ^ them) & 1;
			unsigned int mechanism = ours[(i / 2 + them) % ARRAY_SIZE(ours)];

			ASSERT_TRUE(try_left_behind(&self->p, them, us, mechanism, closed,
						    &pairs[closed]))
				TH_LOG("ours at +0x%x, theirs at +0x%x, %s", us, them,
				       closed ? "closed" : "disarmed");
		}
	}
	EXPECT_LT(0, pairs[0].both);
	EXPECT_LT(0, pairs[1].both);
	/* Around a jump label the compiler may have put fewer, and longer ones. */
	ASSERT_TRUE(tried >= EVERY_WAY || variant->around < 1024);
	if (tried >= EVERY_WAY) {
		EXPECT_LT(0, pairs[0].alone);
		EXPECT_LT(0, pairs[1].stayed);
	}
}

/* The tracer comes before our probes and goes after them, and the other way round. */
TEST_F_TIMEOUT(function, is_traced_while_ours_are_at_its_entry_and_behind, 300)
{
	struct ktramp_create create;
	struct ktramp_batch batch;
	struct ktramp_probe_info probe;
	struct ktramp_run run;

	if (access(TRACING "set_ftrace_filter", W_OK))
		SKIP(return, "no function tracer (CONFIG_FUNCTION_TRACER)");
	for (unsigned int first = 0; first < 2; first++) {
		__u32 id[2];
		unsigned int nr = 1;

		ASSERT_EQ(0, kt_write_file(TRACING "set_ftrace_filter", self->p.name));
		if (first)
			ASSERT_EQ(0, kt_write_file(TRACING "current_tracer", "function"));
		/* Both kinds of jump in one batch. */
		id[0] = create_at(self->p.fd, self->p.name, 0, KTRAMP_JUMP, &create);
		ASSERT_LT(0, (int)id[0]) TH_LOG("%s", create.why);
		id[1] = create_at(self->p.fd, self->p.name, self->p.target.offset, KTRAMP_JUMP,
				  &create);
		nr += (int)id[1] > 0;
		ASSERT_EQ(0, kt_batch(self->p.fd, KTRAMP_IOC_ARM, id, nr, &batch));
		ASSERT_EQ(0, kt_probe(self->p.fd, id[0], &probe));
		EXPECT_EQ(KTRAMP_TACTIC_FTRACE, probe.tactic);
		EXPECT_EQ(CALL, probe.now[0]);
		if (!first)
			ASSERT_EQ(0, kt_write_file(TRACING "current_tracer", "function"));
		ASSERT_EQ(0, kt_run(self->p.fd, self->p.index, 0, CALLS, 0, &run));
		EXPECT_EQ(0, run.wrong);
		if (first)
			ASSERT_EQ(0, kt_write_file(TRACING "current_tracer", "nop"));
		ASSERT_EQ(0, kt_run(self->p.fd, self->p.index, 0, CALLS, 0, &run));
		EXPECT_EQ(0, run.wrong);
		for (unsigned int i = 0; i < nr; i++) {
			ASSERT_EQ(0, kt_probe(self->p.fd, id[i], &probe));
			EXPECT_EQ(2 * CALLS, probe.hits);
		}
		ASSERT_EQ(0, kt_batch(self->p.fd, KTRAMP_IOC_DESTROY, id, nr, &batch));
		ASSERT_EQ(0, kt_run(self->p.fd, self->p.index, 0, CALLS, 0, &run));
		EXPECT_EQ(0, run.wrong);
		ASSERT_EQ(0, kt_write_file(TRACING "current_tracer", "nop"));
	}
}

/* A probe that is armed is not taken away from by who turns ftrace off. */
TEST_F(function, keeps_ftrace_on_while_ours_is_at_its_entry)
{
	static const char enabled[] = "/proc/sys/kernel/ftrace_enabled";
	struct ktramp_create create;
	struct ktramp_probe_info probe;
	struct ktramp_batch batch;
	struct ktramp_run run;
	__u32 id;
	int err;

	if (access(enabled, W_OK))
		SKIP(return, "no function tracer (CONFIG_FUNCTION_TRACER)");
	id = create_at(self->p.fd, self->p.name, 0, KTRAMP_JUMP, &create);
	ASSERT_LT(0, (int)id) TH_LOG("%s", create.why);
	err = kt_write_file(enabled, "0");
	if (err == -EOPNOTSUPP) {
		kt_destroy(self->p.fd, id);
		SKIP(return, "this kernel never turns ftrace off");
	}
	ASSERT_EQ(0, err);
	EXPECT_EQ(-EBUSY, kt_batch(self->p.fd, KTRAMP_IOC_ARM, &id, 1, &batch));
	EXPECT_EQ(KTRAMP_R_UNREGISTERED, batch.reason);
	EXPECT_NE(NULL, strstr(batch.why, "ftrace_enabled"));
	ASSERT_EQ(0, kt_write_file(enabled, "1"));
	ASSERT_EQ(0, kt_arm(self->p.fd, id));
	EXPECT_EQ(-EBUSY, kt_write_file(enabled, "0"));
	ASSERT_EQ(0, kt_run(self->p.fd, self->p.index, 0, CALLS, 0, &run));
	ASSERT_EQ(0, kt_probe(self->p.fd, id, &probe));
	EXPECT_EQ(CALLS, probe.hits);
	ASSERT_EQ(0, kt_destroy(self->p.fd, id));
}

/* ---- livepatch ---- */

FIXTURE(patched) {
	struct place p;
};

FIXTURE_SETUP(patched)
{
	if (access("/sys/kernel/livepatch", F_OK))
		SKIP(return, "no livepatch (CONFIG_LIVEPATCH)");
	ASSERT_TRUE(enter(&self->p, "plain"));
}

FIXTURE_TEARDOWN(patched)
{
	if (self->p.fd)
		EXPECT_TRUE(leave(&self->p));
}

/* Every task has gone over to the other function when its state has settled. */
static bool wait_for_transition(void)
{
	char text[8] = "";

	for (unsigned int i = 0; i < 1000; i++) {
		if (kt_read_file(LIVEPATCH "transition", text, sizeof(text)) > 0 && *text == '0')
			return true;
		usleep(20000);
	}
	return false;
}

static bool patch(void)
{
	return !kt_insmod(PATCH) && wait_for_transition();
}

/* What is disabled takes its directory away, and then the module may go. */
static bool unpatch(void)
{
	if (kt_write_file(LIVEPATCH "enabled", "0"))
		return false;
	for (unsigned int i = 0; i < 1000; i++) {
		if (!syscall(SYS_delete_module, "ktramp_patch", 0))
			return true;
		usleep(20000);
	}
	return false;
}

static unsigned long patched_calls(void)
{
	char text[24] = "";

	kt_read_file(PATCHED, text, sizeof(text));
	return strtoul(text, NULL, 10);
}

static __u64 hits(int fd, __u32 id)
{
	struct ktramp_probe_info probe;

	return kt_probe(fd, id, &probe) ? ~0ULL : probe.hits;
}

/*
 * One of ours is at the entry, which the patched function is entered by as well, one behind
 * it, which is not executed while the function is patched.
 */
TEST_F_TIMEOUT(patched, is_left_and_entered_again_with_ours_in_it, 120)
{
	struct ktramp_create create;
	struct ktramp_batch batch;

	for (unsigned int first = 0; first < 2; first++) {
		__u32 id[2], entry = 0, inside = 0;

		if (first)
			ASSERT_TRUE(patch());
		id[0] = create_at(self->p.fd, self->p.name, 0, KTRAMP_JUMP, &create);
		ASSERT_LT(0, (int)id[0]) TH_LOG("%s", create.why);
		id[1] = create_at(self->p.fd, self->p.name, self->p.target.offset, KTRAMP_JUMP,
				  &create);
		ASSERT_LT(0, (int)id[1]) TH_LOG("%s", create.why);
		ASSERT_EQ(0, kt_batch(self->p.fd, KTRAMP_IOC_ARM, id, 2, &batch));
		if (!first) {
			ASSERT_TRUE(computes_right(&self->p));
			entry = CALLS;
			inside = CALLS;
			EXPECT_EQ(entry, hits(self->p.fd, id[0]));
			EXPECT_EQ(inside, hits(self->p.fd, id[1]));
			ASSERT_TRUE(patch());
		}
		ASSERT_TRUE(computes_right(&self->p));
		entry += CALLS;
		EXPECT_EQ(CALLS, patched_calls());
		EXPECT_EQ(entry, hits(self->p.fd, id[0]));
		EXPECT_EQ(inside, hits(self->p.fd, id[1]));
		if (first)
			ASSERT_EQ(0, kt_batch(self->p.fd, KTRAMP_IOC_DISARM, id, 2, &batch));
		ASSERT_TRUE(unpatch());
		ASSERT_TRUE(computes_right(&self->p));
		if (!first) {
			entry += CALLS;
			inside += CALLS;
		}
		EXPECT_EQ(entry, hits(self->p.fd, id[0]));
		EXPECT_EQ(inside, hits(self->p.fd, id[1]));
		ASSERT_EQ(0, kt_batch(self->p.fd, KTRAMP_IOC_DESTROY, id, 2, &batch));
		ASSERT_TRUE(computes_right(&self->p));
	}
}

/* ---- what hides instructions, and what flips them ---- */

FIXTURE(site) {
	struct place p;
};

FIXTURE_SETUP(site)
{
	ASSERT_TRUE(enter(&self->p, "nop"));
}

FIXTURE_TEARDOWN(site)
{
	EXPECT_TRUE(leave(&self->p));
}

/* An optimized kprobe hides instructions behind its jump: nothing is planned over them. */
TEST_F_TIMEOUT(site, is_not_read_behind_an_optimized_kprobe, 120)
{
	struct ktramp_create create;
	struct ktramp_target_info now;
	struct ktramp_run run;
	char was[8];
	int tries = 0, id;

	ASSERT_LT(0, kt_read_file(KPROBE_OPT, was, sizeof(was)));
	ASSERT_EQ(0, kt_write_file(KPROBE_OPT, "1"));
	ASSERT_EQ(0, theirs_on(self->p.name, self->p.target.offset));
	do {
		usleep(20000);
		ASSERT_EQ(0, kt_target(self->p.fd, self->p.index, &now));
	} while (now.bytes[0] != JMP && tries++ < 200);
	ASSERT_EQ(JMP, now.bytes[0]);
	/* On it, in it and right behind it. */
	for (unsigned int at = 0; at <= JMP_SIZE; at++) {
		for (unsigned int m = 0; m < ARRAY_SIZE(ours); m++) {
			id = create_at(self->p.fd, self->p.name, self->p.target.offset + at,
				       ours[m], &create);
			EXPECT_GT(0, id) TH_LOG("+%u was planned", at);
		}
	}
	ASSERT_EQ(0, kt_run(self->p.fd, self->p.index, 0, CALLS, 0, &run));
	EXPECT_EQ(0, run.wrong);
	kt_theirs_off();
	/* From 7.0 on the optimizer, which takes the jump away, is a task of its own. */
	tries = 0;
	do {
		usleep(20000);
		ASSERT_EQ(0, kt_target(self->p.fd, self->p.index, &now));
	} while (now.bytes[0] == JMP && tries++ < 200);
	id = create_at(self->p.fd, self->p.name, self->p.target.offset, KTRAMP_JUMP, &create);
	EXPECT_LT(0, id) TH_LOG("%s", create.why);
	kt_write_file(KPROBE_OPT, was);
}

FIXTURE(label) {
	struct place p;
};

FIXTURE_SETUP(label)
{
	ASSERT_TRUE(enter(&self->p, "tracepoint"));
}

FIXTURE_TEARDOWN(label)
{
	EXPECT_TRUE(leave(&self->p));
}

/* The label flips while ours is at each instruction of its function. */
TEST_F_TIMEOUT(label, flips_while_ours_are_around_it, 300)
{
	unsigned int refused = 0, hit = 0, nr, at_label = self->p.target.offset;
	struct ktramp_create create;
	struct ktramp_run run;
	__u32 offset[32];
	int flip;

	nr = instructions(self->p.fd, &self->p.target, offset, ARRAY_SIZE(offset));
	flip = kt_create(self->p.fd, "tracepoint", KTRAMP_TRACEPOINT);
	ASSERT_LT(0, flip);
	for (unsigned int i = 0; i < nr * ARRAY_SIZE(ours); i++) {
		unsigned int us = offset[i / ARRAY_SIZE(ours)];
		struct ktramp_probe_info probe;
		int id = create_at(self->p.fd, self->p.name, us, ours[i % ARRAY_SIZE(ours)],
				   &create);

		if (us == at_label) {
			EXPECT_GT(0, id);
			EXPECT_EQ(KTRAMP_R_PATCHED, create.reason);
		}
		if (id < 0) {
			refused++;
			continue;
		}
		ASSERT_EQ(0, kt_arm(self->p.fd, id));
		for (unsigned int on = 0; on < 3; on++) {
			ASSERT_EQ(0, kt_arm(self->p.fd, flip));
			ASSERT_EQ(0, kt_run(self->p.fd, self->p.index, 0, CALLS, 0, &run));
			EXPECT_EQ(0, run.wrong) TH_LOG("+0x%x, label on", us);
			ASSERT_EQ(0, kt_disarm(self->p.fd, flip));
			ASSERT_EQ(0, kt_run(self->p.fd, self->p.index, 0, CALLS, 0, &run));
			EXPECT_EQ(0, run.wrong) TH_LOG("+0x%x, label off", us);
		}
		ASSERT_EQ(0, kt_probe(self->p.fd, id, &probe));
		hit += probe.hits == 6 * CALLS;
		ASSERT_EQ(0, kt_destroy(self->p.fd, id));
	}
	EXPECT_LT(0, refused);
	EXPECT_LT(0, hit);
}

TEST_HARNESS_MAIN
