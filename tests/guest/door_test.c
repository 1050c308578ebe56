// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any instruction of the kernel, by every door: lines of text in debugfs, the command,
 * the ioctls; and that what they count and plan is what is so.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kt.h"

#define PROBES	"/sys/kernel/debug/ktramp/probes"
#define REFUSED	"/sys/kernel/debug/ktramp/error"

/* Does nothing but return a number, and nobody else calls it here. */
#define QUIET	"__x64_sys_getppid"

#define CALLS	300

static char text[1 << 20];

/* Write at once. Return: 0 or -errno. */
static int write_text(const char *path, const char *lines, int flags)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags), err = 0;
	size_t len = strlen(lines);

	if (fd < 0)
		return -errno;
	if (write(fd, lines, len) != (ssize_t)len)
		err = -errno;
	close(fd);
	return err;
}

static int append(const char *lines)
{
	return write_text(PROBES, lines, O_APPEND);
}

static unsigned int count(const char *in, const char *what)
{
	unsigned int nr = 0;

	for (; (in = strstr(in, what)); in++)
		nr++;
	return nr;
}

static unsigned int nr_probes(int fd)
{
	struct ktramp_info info;

	return kt_info(fd, &info) ? -1U : info.nr_probes;
}

FIXTURE(door) {
	int fd;
	struct ktramp_info before;
};

FIXTURE_SETUP(door)
{
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, write_text(PROBES, "", O_TRUNC));
	ASSERT_EQ(0, kt_info(self->fd, &self->before));
}

/* Nothing is left, of memory neither. */
FIXTURE_TEARDOWN(door)
{
	struct ktramp_info after;

	EXPECT_EQ(0, write_text(PROBES, "", O_TRUNC));
	EXPECT_EQ(0, kt_info(self->fd, &after));
	EXPECT_EQ(self->before.nr_probes, after.nr_probes);
	EXPECT_EQ(self->before.slot_bytes, after.slot_bytes);
	close(self->fd);
}

/* ---- lines of text ---- */

TEST_F(door, makes_probes_by_lines_that_can_be_read_and_written_again)
{
	static char again[4096];

	ASSERT_EQ(0, append("jump lea\nint3-boost nop handler=regs pid=7\n\n# nothing\n"));
	/* Without a newline too, as printf and echo -n leave it. */
	ASSERT_EQ(0, append("jump ktramp_target_pop"));
	EXPECT_EQ(3, nr_probes(self->fd));
	ASSERT_LT(0, kt_read_file(PROBES, text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "jump ktramp_target_lea+0x")) TH_LOG("%s", text);
	EXPECT_NE(NULL, strstr(text, " handler=regs pid=7\t# ")) TH_LOG("%s", text);
	EXPECT_EQ(3, count(text, " armed kept "));
	EXPECT_EQ(1, count(text, " tactic=ftrace "));
	strcpy(again, text);
	/* What is there is replaced by the same. */
	ASSERT_EQ(0, write_text(PROBES, again, O_TRUNC));
	EXPECT_EQ(3, nr_probes(self->fd));
	ASSERT_LT(0, kt_read_file(PROBES, text, sizeof(text)));
	EXPECT_EQ(3, count(text, " armed kept "));
	EXPECT_EQ(1, count(text, " handler=regs pid=7\t# "));
}

TEST_F(door, arms_disarms_and_removes_by_site_and_by_number)
{
	struct ktramp_probe_info probe;
	char line[64];

	ASSERT_EQ(0, append("jump lea\njump nop\n"));
	ASSERT_EQ(0, kt_ioctl(self->fd, KTRAMP_IOC_PROBE, &(struct ktramp_probe_info){
			.size = sizeof(probe), .id = 1, .flags = KTRAMP_PROBE_NEXT }));
	ASSERT_EQ(0, append("!lea\n"));
	ASSERT_LT(0, kt_read_file(PROBES, text, sizeof(text)));
	EXPECT_EQ(1, count(text, " disarmed kept "));
	EXPECT_EQ(1, count(text, " armed kept "));
	ASSERT_EQ(0, append("+lea\n"));
	ASSERT_LT(0, kt_read_file(PROBES, text, sizeof(text)));
	EXPECT_EQ(2, count(text, " armed kept "));
	ASSERT_EQ(0, append("-nop\n"));
	EXPECT_EQ(1, nr_probes(self->fd));
	probe = (struct ktramp_probe_info){ .size = sizeof(probe), .id = 1,
					    .flags = KTRAMP_PROBE_NEXT };
	ASSERT_EQ(0, kt_ioctl(self->fd, KTRAMP_IOC_PROBE, &probe));
	snprintf(line, sizeof(line), "-%u\n", probe.id);
	ASSERT_EQ(0, append(line));
	EXPECT_EQ(0, nr_probes(self->fd));
	EXPECT_EQ(-ENOENT, append(line));
}

TEST_F(door, leaves_alone_what_belongs_to_an_open_file)
{
	int id = kt_create(self->fd, "lea", KTRAMP_JUMP);
	char line[64];

	ASSERT_LT(0, id);
	ASSERT_EQ(0, kt_arm(self->fd, id));
	ASSERT_EQ(0, append("jump nop\n"));
	EXPECT_EQ(-ENOENT, append("-lea\n"));
	snprintf(line, sizeof(line), "-%d\n", id);
	EXPECT_EQ(-EPERM, append(line));
	ASSERT_EQ(0, write_text(PROBES, "", O_TRUNC));
	EXPECT_EQ(1, nr_probes(self->fd));
	ASSERT_EQ(0, kt_destroy(self->fd, id));
}

static const struct {
	const char *line;
	int err;
	const char *why;
} wrong[] = {
	{ "jump", -EINVAL, "site" },
	{ "hop vfs_read", -EINVAL, "hop" },
	{ "jump no_such_symbol", -ENOENT, "no_such_symbol" },
	{ "jump vfs_read+0x20000000", -EINVAL, "vfs_read" },
	{ "jump vfs_read+", -EINVAL, "symbol" },
	{ "jump lea handler=none", -EINVAL, "none" },
	{ "jump lea handler=", -EINVAL, "handler" },
	{ "jump lea pid=x", -EINVAL, "pid" },
	{ "jump lea colour=red", -EINVAL, "colour" },
	{ "jump lea more", -EINVAL, "more" },
	{ "call lea pid=1", -EOPNOTSUPP, "process" },
	{ "jump exc_int3+0x10", -EACCES, "exc_int3" },
	{ "-lea", -ENOENT, "lea" },
	{ "-", -EINVAL, "" },
	{ "+4000000000", -ENOENT, "" },
};

TEST_F(door, refuses_wrong_lines_and_says_why)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(wrong[i].err, append(wrong[i].line)) TH_LOG("'%s'", wrong[i].line);
		ASSERT_LE(0, kt_read_file(REFUSED, text, sizeof(text)));
		EXPECT_NE(NULL, strstr(text, wrong[i].why))
			TH_LOG("'%s': %s", wrong[i].line, text);
		EXPECT_EQ(0, nr_probes(self->fd)) TH_LOG("'%s'", wrong[i].line);
	}
	/* What came before a wrong line stays, what comes behind it is not done. */
	EXPECT_EQ(-EINVAL, append("jump lea\nhop\njump nop\n"));
	EXPECT_EQ(1, nr_probes(self->fd));
	ASSERT_LT(0, kt_read_file(PROBES, text, sizeof(text)));
	EXPECT_EQ(1, count(text, " armed kept "));
	EXPECT_NE(NULL, strstr(text, "ktramp_target_lea"));
}

/* ---- plans ---- */

#define INSNS_MAX	2000

static struct ktramp_scan_insn insns[INSNS_MAX];

/* The instructions of the function around an address. */
static unsigned int scan(int fd, __u64 *address, __u32 mechanisms)
{
	struct ktramp_scan s = {
		.size = sizeof(s), .address = *address, .insns = (unsigned long)insns,
		.max = INSNS_MAX, .mechanisms = mechanisms,
	};

	if (kt_ioctl(fd, KTRAMP_IOC_SCAN, &s))
		return 0;
	*address = s.address;
	return s.nr < INSNS_MAX ? s.nr : INSNS_MAX;
}

static __u64 address_of(int fd, const char *site)
{
	struct ktramp_probe_info probe;
	int id = kt_create(fd, site, KTRAMP_INT3_BOOST);

	if (id <= 0 || kt_probe(fd, id, &probe))
		return 0;
	kt_destroy(fd, id);
	return probe.address;
}

/* A plan that makes nothing says what making a probe says, at each instruction. */
TEST_F_TIMEOUT(door, plans_what_it_does, 120)
{
	static const char *const functions[] = {
		"vfs_read+0x20", "schedule+0x20", "kfree+0x20", "ktramp_target_rep+0x10",
		"ktramp_target_targeted+0x10",
	};
	static __u32 ids[5 * INSNS_MAX];
	struct ktramp_create create;
	struct ktramp_batch batch;
	char site[32];

	for (unsigned int f = 0; f < ARRAY_SIZE(functions); f++) {
		__u64 address = address_of(self->fd, functions[f]);
		unsigned int nr = address ? scan(self->fd, &address, 0x7c) : 0, served = 0;

		if (!nr)
			continue;	/* no instruction begins at that offset in this kernel */
		for (unsigned int i = 0; i < nr; i++)
			for (unsigned int m = KTRAMP_INT3_EMULATE; m <= KTRAMP_JUMP; m++) {
				/* A function's first byte means its first instruction. */
				if (!insns[i].offset)
					continue;
				snprintf(site, sizeof(site), "0x%llx",
					 (unsigned long long)address + insns[i].offset);
				if (!kt_create_as(self->fd, site, m, KTRAMP_COUNT, 0, &create))
					ids[served++] = create.id;
				EXPECT_EQ(insns[i].reason[m], create.reason)
					TH_LOG("%s, instruction +0x%x, mechanism %u: %s",
					       functions[f], insns[i].offset, m, create.why);
			}
		ASSERT_LT(0, served) TH_LOG("%s", functions[f]);
		EXPECT_EQ(0, kt_batch(self->fd, KTRAMP_IOC_DESTROY, ids, served, &batch));
	}
}

TEST_F_TIMEOUT(door, arms_every_instruction_of_a_function_in_one_write, 120)
{
	__u64 address = address_of(self->fd, QUIET "+0x0") ?: address_of(self->fd, QUIET "+0x9");
	unsigned int nr, wanted = 0, len = 0;

	for (int off = 0; !address && off < 64; off++) {
		char site[64];

		snprintf(site, sizeof(site), QUIET "+0x%x", off);
		address = address_of(self->fd, site);
	}
	ASSERT_NE(0, address);
	nr = scan(self->fd, &address, 1U << KTRAMP_INT3_BOOST);
	ASSERT_LT(3, nr);
	for (unsigned int i = 0; i < nr; i++)
		if (insns[i].offset && !insns[i].reason[KTRAMP_INT3_BOOST] && !insns[i].kernel) {
			len += snprintf(text + len, sizeof(text) - len, "int3-boost 0x%llx\n",
					(unsigned long long)address + insns[i].offset);
			wanted++;
		}
	ASSERT_EQ(0, append(text));
	EXPECT_EQ(wanted, nr_probes(self->fd));
	EXPECT_EQ(getppid(), syscall(SYS_getppid));
	ASSERT_LT(0, kt_read_file(PROBES, text, sizeof(text)));
	EXPECT_EQ(wanted, count(text, " armed kept "));
	EXPECT_LT(2, count(text, " hits=") - count(text, " hits=0 "));
}

/* ---- counters ---- */

/* The first instruction behind the entry that a jump serves. */
static bool find_site(int fd, char *site, size_t size)
{
	__u64 address = 0;
	unsigned int nr;

	for (int off = 0; !address && off < 64; off++) {
		snprintf(site, size, QUIET "+0x%x", off);
		address = address_of(fd, site);
	}
	nr = address ? scan(fd, &address, 1U << KTRAMP_JUMP) : 0;
	for (unsigned int i = 0; i < nr; i++) {
		if (!insns[i].offset || insns[i].reason[KTRAMP_JUMP] || insns[i].kernel ||
		    insns[i].tactic == KTRAMP_TACTIC_FTRACE)
			continue;
		snprintf(site, size, "0x%llx", (unsigned long long)address + insns[i].offset);
		return true;
	}
	return false;
}

static pid_t call_in_child(void)
{
	pid_t child = fork();

	if (child)
		return child;
	raise(SIGSTOP);
	for (int i = 0; i < CALLS; i++)
		syscall(SYS_getppid);
	_exit(0);
}

TEST_F(door, handles_hits_of_one_process_and_counts_the_others)
{
	static const struct {
		unsigned int mechanism, handler;
		bool entry;	/* of the function, where a jump is ftrace's call */
	} how[] = {
		{ KTRAMP_JUMP, KTRAMP_COUNT }, { KTRAMP_JUMP, KTRAMP_REGS },
		{ KTRAMP_INT3_BOOST, KTRAMP_COUNT }, { KTRAMP_INT3_STEP_TF, KTRAMP_REGS },
		{ KTRAMP_JUMP, KTRAMP_COUNT, true }, { KTRAMP_JUMP, KTRAMP_REGS, true },
	};
	struct ktramp_probe_info probe;
	struct ktramp_create create;
	char site[64];

	ASSERT_TRUE(find_site(self->fd, site, sizeof(site)));
	for (unsigned int i = 0; i < ARRAY_SIZE(how); i++) {
		pid_t child = call_in_child();
		int status;

		ASSERT_LT(0, child);
		create = (struct ktramp_create){
			.size = sizeof(create), .mechanism = how[i].mechanism,
			.handler = how[i].handler, .pid = child,
		};
		strcpy(create.site, how[i].entry ? QUIET : site);
		ASSERT_EQ(0, kt_ioctl(self->fd, KTRAMP_IOC_CREATE, &create))
			TH_LOG("%s", create.why);
		ASSERT_EQ(0, kt_arm(self->fd, create.id));
		ASSERT_EQ(child, waitpid(child, &status, WUNTRACED));
		ASSERT_EQ(0, kill(child, SIGCONT));
		ASSERT_EQ(child, waitpid(child, &status, 0));
		for (int j = 0; j < CALLS / 2; j++)
			syscall(SYS_getppid);
		ASSERT_EQ(0, kt_probe(self->fd, create.id, &probe));
		EXPECT_EQ(CALLS, probe.hits) TH_LOG("way %u", i);
		EXPECT_EQ(CALLS / 2, probe.filtered) TH_LOG("way %u", i);
		EXPECT_EQ(0, probe.missed);
		EXPECT_EQ(child, probe.pid);
		EXPECT_EQ(0, kt_destroy(self->fd, create.id));
	}
}

TEST_F(door, counts_for_each_cpu_what_it_counts_in_all)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct ktramp_cpu_stat stat;
	struct ktramp_probe_info probe;
	__u64 sum = 0;
	char site[64];
	int id;

	ASSERT_TRUE(find_site(self->fd, site, sizeof(site)));
	id = kt_create(self->fd, site, KTRAMP_JUMP);
	ASSERT_LT(0, id);
	ASSERT_EQ(0, kt_arm(self->fd, id));
	for (long cpu = 0; cpu < cpus; cpu++) {
		ASSERT_EQ(0, kt_pin(cpu));
		for (int j = 0; j < CALLS + cpu; j++)
			syscall(SYS_getppid);
		stat = (struct ktramp_cpu_stat){ .size = sizeof(stat), .id = id, .cpu = cpu };
		ASSERT_EQ(0, kt_ioctl(self->fd, KTRAMP_IOC_CPU_STAT, &stat));
		EXPECT_EQ(CALLS + cpu, (long)stat.hits) TH_LOG("CPU %ld", cpu);
		sum += stat.hits;
	}
	ASSERT_EQ(0, kt_probe(self->fd, id, &probe));
	EXPECT_EQ(sum, probe.hits);
	stat = (struct ktramp_cpu_stat){ .size = sizeof(stat), .id = id, .cpu = 1 << 20 };
	EXPECT_EQ(-ENOENT, kt_ioctl(self->fd, KTRAMP_IOC_CPU_STAT, &stat));
	EXPECT_EQ(0, kt_destroy(self->fd, id));
}

/* ---- the command ---- */

TEST_F_TIMEOUT(door, does_the_same_by_the_command, 120)
{
	static struct kt_output o;

	kt_shell("ktramp add jump lea nop no_such_symbol", &o);
	EXPECT_EQ(1, o.status);
	EXPECT_EQ(2, count(o.out, "\n")) TH_LOG("%s", o.out);
	EXPECT_NE(NULL, strstr(o.err, "no_such_symbol"));
	EXPECT_EQ(2, nr_probes(self->fd));
	kt_shell("printf 'pop # a comment\\n\\n  mov\\n' | ktramp add int3-boost --file - --json",
		 &o);
	EXPECT_EQ(0, o.status);
	EXPECT_EQ(2, count(o.out, "\"type\":\"probe\"")) TH_LOG("%s", o.out);
	EXPECT_EQ(4, nr_probes(self->fd));
	kt_shell("ktramp disable ktramp_target_pop+0x0", &o);
	EXPECT_EQ(1, o.status);
	kt_shell("ktramp disable --all", &o);
	EXPECT_EQ(0, o.status);
	EXPECT_STREQ("4 probes disarmed\n", o.out);
	kt_shell("ktramp probes --json", &o);
	EXPECT_EQ(4, count(o.out, "\"state\":\"disarmed\""));
	kt_shell("ktramp enable --all && ktramp remove --all", &o);
	EXPECT_EQ(0, o.status);
	EXPECT_STREQ("4 probes armed\n4 probes removed\n", o.out);
	EXPECT_EQ(0, nr_probes(self->fd));
	kt_shell("ktramp remove", &o);
	EXPECT_EQ(2, o.status);
	kt_shell("ktramp add jump", &o);
	EXPECT_EQ(2, o.status);
	kt_shell("ktramp add int3-bost lea", &o);
	EXPECT_EQ(2, o.status);
	EXPECT_NE(NULL, strstr(o.err, "int3-bost"));
	kt_shell("ktramp add lea", &o);
	EXPECT_EQ(0, o.status);
	EXPECT_NE(NULL, strstr(o.out, ": jump ")) TH_LOG("%s", o.out);
	EXPECT_STREQ("", o.err);
	kt_shell("ktramp remove --all", &o);
	kt_shell("ktramp add jump --file /no/such/file", &o);
	EXPECT_EQ(1, o.status);
	EXPECT_NE(NULL, strstr(o.err, "/no/such/file"));
}

/* The first instruction of one of some functions that a breakpoint serves, and no jump. */
static bool find_where_no_jump_fits(int fd, char *site, size_t size)
{
	static const char *const functions[] = {
		"vfs_read", "vfs_write", "do_filp_open", "path_openat", "kmem_cache_free",
		"do_exit",
		"handle_mm_fault", "schedule", "__schedule", "try_to_wake_up", "copy_process",
	};

	for (unsigned int f = 0; f < ARRAY_SIZE(functions); f++) {
		__u64 address = 0;
		unsigned int nr;

		for (int off = 0; !address && off < 24; off++) {
			snprintf(site, size, "%s+0x%x", functions[f], off);
			address = address_of(fd, site);
		}
		nr = address ? scan(fd, &address, 1U << KTRAMP_JUMP | 1U << KTRAMP_INT3_BOOST) : 0;
		for (unsigned int i = 0; i < nr; i++) {
			if (!insns[i].reason[KTRAMP_JUMP] || insns[i].reason[KTRAMP_INT3_BOOST] ||
			    insns[i].kernel)
				continue;
			snprintf(site, size, "0x%llx",
				 (unsigned long long)address + insns[i].offset);
			return true;
		}
	}
	return false;
}

TEST_F_TIMEOUT(door, takes_a_breakpoint_where_no_jump_fits_and_says_so, 120)
{
	static struct kt_output o;
	char site[64], command[256];

	ASSERT_TRUE(find_where_no_jump_fits(self->fd, site, sizeof(site)));
	snprintf(command, sizeof(command), "ktramp add jump %s", site);
	kt_shell(command, &o);
	EXPECT_EQ(1, o.status);
	snprintf(command, sizeof(command), "ktramp add %s", site);
	kt_shell(command, &o);
	EXPECT_EQ(0, o.status) TH_LOG("%s", o.err);
	EXPECT_NE(NULL, strstr(o.out, ": int3-divert ")) TH_LOG("%s", o.out);
	EXPECT_NE(NULL, strstr(o.err, "no jump fits")) TH_LOG("%s", o.err);
	kt_shell("ktramp probes --json", &o);
	EXPECT_EQ(1, count(o.out, "\"mechanism\":\"int3-divert\""));
	EXPECT_EQ(1, count(o.out, "\"entry\":\""));
	kt_shell("ktramp remove --all", &o);
	EXPECT_EQ(0, o.status);
}

TEST_F_TIMEOUT(door, plans_by_the_command_and_makes_nothing, 120)
{
	static struct kt_output o;

	kt_shell("ktramp plan call_ind", &o);
	EXPECT_EQ(0, o.status);
	EXPECT_NE(NULL, strstr(o.out, "(pun)"));
	EXPECT_NE(NULL, strstr(o.out, "jump would write"));
	kt_shell("ktramp plan targeted", &o);
	EXPECT_NE(NULL, strstr(o.out, "branches into the displaced region")) TH_LOG("%s", o.out);
	kt_shell("ktramp plan ktramp_target_lea", &o);
	EXPECT_EQ(0, o.status);
	EXPECT_NE(NULL, strstr(o.out, "ftrace's own call"));
	kt_shell("ktramp plan lea --json", &o);
	EXPECT_EQ(1, count(o.out, "\"type\":\"plan\""));
	EXPECT_EQ(6, count(o.out, "\"mechanism\":") - 1);
	kt_shell("ktramp plan no_such_symbol", &o);
	EXPECT_EQ(1, o.status);
	kt_shell("ktramp plan", &o);
	EXPECT_EQ(2, o.status);
	kt_shell("ktramp plan lea --all", &o);
	EXPECT_EQ(2, o.status);
	kt_shell("ktramp plan lea --mechanism kprobe-opt", &o);
	EXPECT_EQ(2, o.status);
	kt_shell("ktramp plan --all --module ktramp --sample 50 --json", &o);
	EXPECT_EQ(0, o.status) TH_LOG("%s", o.err);
	EXPECT_NE(NULL, strstr(o.out, "\"sampled\":50"));
	EXPECT_EQ(0, nr_probes(self->fd));
}

/* ---- a module that goes ---- */

TEST_F_TIMEOUT(door, lets_a_module_take_its_probes_along, 120)
{
	struct ktramp_create create;
	int owned;

	for (unsigned int round = 0; round < 3; round++) {
		ASSERT_EQ(0, kt_insmod("/lib/modules/ktramp_state.ko"));
		ASSERT_EQ(0, kt_create_as(self->fd, "ktramp_state:state_ioctl", KTRAMP_JUMP,
					  KTRAMP_COUNT, 0, &create)) TH_LOG("%s", create.why);
		owned = create.id;
		ASSERT_EQ(0, kt_arm(self->fd, owned));
		ASSERT_EQ(0, append("jump ktramp_state:state_exit\njump lea\n"));
		EXPECT_EQ(3, nr_probes(self->fd));
		ASSERT_EQ(0, syscall(SYS_delete_module, "ktramp_state", 0));
		/* Another's is still there. */
		EXPECT_EQ(1, nr_probes(self->fd));
		EXPECT_EQ(-ENOENT, kt_destroy(self->fd, owned));
		EXPECT_EQ(-ENOENT, kt_create_as(self->fd, "ktramp_state:state_ioctl", KTRAMP_JUMP,
						KTRAMP_COUNT, 0, &create));
		ASSERT_EQ(0, write_text(PROBES, "", O_TRUNC));
	}
}

TEST_HARNESS_MAIN
