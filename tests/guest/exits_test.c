// SPDX-License-Identifier: GPL-2.0-only
/*
 * ktramp exits: every exit is recorded with the status that wait(2) gives, whoever dies
 * first, and none is taken for another's.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../bpf/exits.h"
#include "kselftest_harness.h"
#include "kt.h"
#include "rows.h"

#define PINS	"/sys/fs/bpf/exits-test"
#define STATE	"/tmp/exits-test"
#define WHERE	" --pins " PINS " --state " STATE " "
#define EXITS	"ktramp exits --json" WHERE

/* Who is behind a pidfd an iterator says, a program whose type is in there. */
#define LACKS	"this kernel has no types of its own (CONFIG_DEBUG_INFO_BTF)"

FIXTURE(exits) {
	struct kt_output o;
	json_t *rows;
	pid_t daemon;
};

FIXTURE_SETUP(exits)
{
	if (!kt_has_btf())
		SKIP(return, LACKS);
	self->rows = NULL;
	self->daemon = 0;
	kt_shell("ktramp exits unload" WHERE "; rm -rf " STATE, &self->o);
}

FIXTURE_TEARDOWN(exits)
{
	if (self->daemon) {
		kill(self->daemon, SIGKILL);
		waitpid(self->daemon, NULL, 0);
	}
	json_decref(self->rows);
	kt_shell("ktramp exits unload" WHERE "; rm -rf " STATE " /tmp/out /tmp/err /tmp/told* "
		 "/tmp/gate*", &self->o);
}

/* ---- the daemon ---- */

/* @told: the file that it prints exits to. It is there when its lock and program are. */
static pid_t start_daemon(const char *told, const char *option, const char *value)
{
	pid_t child = fork();

	if (!child) {
		int fd = open(told, O_WRONLY | O_CREAT | O_APPEND, 0600);

		dup2(fd, 1);
		execl("/bin/ktramp", "ktramp", "exits", "--json", "--pins", PINS, "--state", STATE,
		      "daemon", option, value, NULL);
		_exit(127);
	}
	for (int i = 0; i < 500; i++) {
		if (!access(STATE "/.daemon", F_OK) && !access(PINS "/link", F_OK))
			break;
		usleep(20000);
	}
	return child;
}

static void stop_daemon(pid_t *daemon, int sig)
{
	kill(*daemon, sig);
	waitpid(*daemon, NULL, 0);
	*daemon = 0;
}

static json_t *wait_for_rows(const char *told, size_t nr)
{
	json_t *rows = NULL;

	for (int i = 0; i < 1000; i++) {
		json_decref(rows);
		rows = kt_rows_of(told);
		if (rows && json_array_size(rows) >= nr)
			break;
		usleep(20000);
	}
	return rows;
}

/* ---- children ---- */

struct child {
	pid_t pid;
	int gate;	/* a byte lets it go on */
};

static void pass_gate(int fd)
{
	char byte;

	if (read(fd, &byte, 1) != 1)
		_exit(99);
}

/* In the child: 0, with its end of the gate in @child. */
static pid_t fork_gated(struct child *child)
{
	int gate[2];

	if (pipe2(gate, O_CLOEXEC))
		return -1;
	child->pid = fork();
	child->gate = child->pid ? gate[1] : gate[0];
	close(child->pid ? gate[0] : gate[1]);
	return child->pid;
}

static void open_gate(struct child *child)
{
	if (write(child->gate, "", 1) != 1)
		abort();
}

static int reap(const struct child *child)
{
	int status = -1;

	waitpid(child->pid, &status, 0);
	close(child->gate);
	return status;
}

/* ---- C1: all statuses ---- */

#define CHILDREN	500

/* 256 codes, then signals: two that end it, one that cannot be caught, three that dump. */
static void end_as(int i)
{
	static const int signals[] = { SIGHUP, SIGKILL, SIGTERM, SIGQUIT, SIGABRT, SIGSEGV };

	if (i < 256)
		_exit(i);
	signal(signals[i % 6], SIG_DFL);
	kill(getpid(), signals[i % 6]);
	pause();
}

static int adopt_all(struct child *children)
{
	static char words[2 * CHILDREN][16], *argv[2 * CHILDREN + 8] = {
		"ktramp", "exits", "--pins", PINS, "--state", STATE, "adopt",
	};
	int status, null;
	pid_t pid;

	for (int i = 0; i < CHILDREN; i++) {
		sprintf(words[2 * i], "c%d", i);
		sprintf(words[2 * i + 1], "%d", children[i].pid);
		argv[7 + 2 * i] = words[2 * i];
		argv[8 + 2 * i] = words[2 * i + 1];
	}
	pid = fork();
	if (!pid) {
		null = open("/dev/null", O_WRONLY);
		dup2(null, 1);
		execv("/bin/ktramp", argv);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return status;
}

TEST_F_TIMEOUT(exits, have_the_status_of_wait_for_every_code_and_signal, 300)
{
	static struct child children[CHILDREN];
	static int status[CHILDREN];
	struct rlimit core = { .rlim_cur = 1 << 20, .rlim_max = 1 << 20 };
	unsigned int cores = 0;
	json_t *told;
	char id[16];

	ASSERT_EQ(0, setrlimit(RLIMIT_CORE, &core));
	ASSERT_EQ(0, kt_write_file("/proc/sys/kernel/core_pattern", "/tmp/core"));
	self->daemon = start_daemon("/tmp/told", NULL, NULL);
	stop_daemon(&self->daemon, SIGKILL);
	for (int i = 0; i < CHILDREN; i++) {
		if (!fork_gated(&children[i])) {
			pass_gate(children[i].gate);
			end_as(i);
		}
		ASSERT_LT(0, children[i].pid);
	}
	ASSERT_EQ(0, adopt_all(children));
	for (int i = 0; i < CHILDREN; i++) {
		open_gate(&children[i]);
		status[i] = reap(&children[i]);
		cores += WIFSIGNALED(status[i]) && WCOREDUMP(status[i]);
	}
	EXPECT_LT(0, cores);
	unlink("/tmp/core");

	/* Out of the kernel's maps, with no daemon; then by one that was not there. */
	RUN(EXITS "list");
	EXPECT_EQ(0, self->o.status);
	EXPECT_EQ(CHILDREN, kt_number(kt_row(self->rows, "type", "exits"), "recorded"));
	self->daemon = start_daemon("/tmp/told", NULL, NULL);
	told = wait_for_rows("/tmp/told", CHILDREN);
	EXPECT_EQ(CHILDREN, json_array_size(told));
	for (int i = 0; i < CHILDREN; i++) {
		sprintf(id, "c%d", i);
		EXPECT_EQ(status[i], kt_number(kt_row(self->rows, "id", id), "status"));
		/* kt_row() finds it only if it was told once. */
		EXPECT_EQ(status[i], kt_number(kt_row(told, "id", id), "status"));
	}
	json_decref(told);
}

/* ---- C2: nobody is there ---- */

static int commands_named(const char *name)
{
	char path[300], comm[32];
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	int nr = 0;

	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		if (kt_read_file(path, comm, sizeof(comm)) > 0)
			nr += !strncmp(comm, name, strlen(name));
	}
	closedir(dir);
	return nr;
}

/* All that wait at a FIFO go on when somebody has opened its other end. */
static void open_fifo(const char *path)
{
	close(open(path, O_WRONLY));
}

#define HALF	50

TEST_F_TIMEOUT(exits, are_kept_while_the_daemon_and_the_parent_are_dead, 300)
{
	json_t *told;
	char id[16];

	ASSERT_EQ(0, mkfifo("/tmp/gate0", 0600));
	ASSERT_EQ(0, mkfifo("/tmp/gate1", 0600));
	self->daemon = start_daemon("/tmp/told", NULL, NULL);
	for (int i = 0; i < 2 * HALF; i++) {
		RUN(EXITS "run c%d -- sh -c 'read x </tmp/gate%d; exit %d'", i, i % 2, i + 1);
		ASSERT_EQ(0, self->o.status) TH_LOG("%s", self->o.err);
	}
	stop_daemon(&self->daemon, SIGKILL);
	/* Not one process that waits for them. */
	EXPECT_EQ(0, commands_named("ktramp"));
	open_fifo("/tmp/gate0");
	for (int i = 0; i < 500 && commands_named("sh") > HALF + 3; i++)
		usleep(20000);

	self->daemon = start_daemon("/tmp/told", NULL, NULL);
	told = wait_for_rows("/tmp/told", HALF);
	EXPECT_EQ(HALF, json_array_size(told));
	for (int i = 0; i < 2 * HALF; i += 2) {
		sprintf(id, "c%d", i);
		EXPECT_EQ(i + 1, kt_number(kt_row(told, "id", id), "code"));
	}
	json_decref(told);
	open_fifo("/tmp/gate1");
	told = wait_for_rows("/tmp/told", 2 * HALF);
	EXPECT_EQ(2 * HALF, json_array_size(told));
	for (int i = 0; i < 2 * HALF; i++) {
		sprintf(id, "c%d", i);
		EXPECT_EQ(i + 1, kt_number(kt_row(told, "id", id), "code"));
	}
	json_decref(told);
	/* A third one tells nothing again. */
	stop_daemon(&self->daemon, SIGKILL);
	self->daemon = start_daemon("/tmp/told", NULL, NULL);
	RUN(EXITS "run last -- true");
	told = wait_for_rows("/tmp/told", 2 * HALF + 1);
	EXPECT_EQ(2 * HALF + 1, json_array_size(told));
	json_decref(told);
}

/* ---- C3: the first thread is not the process ---- */

static struct child *acting;

static void *last_thread(void *arg)
{
	pass_gate(acting->gate);
	usleep(50000);		/* until the first thread is a zombie */
	/* When the test has looked. */
	pass_gate(acting->gate);
	_exit(7);
	return NULL;
}

static void leader_exits_first(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, last_thread, NULL);
	syscall(SYS_exit, 0);
}

static void *executing_thread(void *arg)
{
	char fd[16];

	pass_gate(acting->gate);
	fcntl(acting->gate, F_SETFD, 0);
	sprintf(fd, "%d", acting->gate);
	execl("/bin/sh", "sh", "-c", "read x </dev/fd/$1; exit 9", "sh", fd, NULL);
	_exit(99);
	return NULL;
}

static void other_thread_executes(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, executing_thread, NULL);
	pause();
}

/* @early: what is said of it while it runs. */
FIXTURE(threads) {
	struct kt_output o;
	json_t *rows;
	pid_t daemon;
};

FIXTURE_VARIANT(threads) {
	void (*act)(void);
	const char *option;
	const char *early;
	int code, said;
};

FIXTURE_VARIANT_ADD(threads, leader_exits_first) {
	.act = leader_exits_first, .early = "running", .code = 7, .said = 7,
};

FIXTURE_VARIANT_ADD(threads, other_thread_executes) {
	.act = other_thread_executes, .early = "running", .code = 9, .said = 9,
};

/* The known bug: were it not seen here, the two above would prove nothing. */
FIXTURE_VARIANT_ADD(threads, leader_exits_first_naive) {
	.act = leader_exits_first, .option = "--naive", .early = "exited", .code = 7, .said = 0,
};

FIXTURE_VARIANT_ADD(threads, other_thread_executes_naive) {
	.act = other_thread_executes, .option = "--naive", .early = "exited", .code = 9, .said = 0,
};

FIXTURE_SETUP(threads)
{
	if (!kt_has_btf())
		SKIP(return, LACKS);
	self->rows = NULL;
	self->daemon = 0;
	kt_shell("ktramp exits unload" WHERE "; rm -rf " STATE, &self->o);
	self->daemon = start_daemon("/tmp/told", variant->option, NULL);
}

FIXTURE_TEARDOWN(threads)
{
	stop_daemon(&self->daemon, SIGKILL);
	json_decref(self->rows);
	kt_shell("ktramp exits unload" WHERE "; rm -rf " STATE " /tmp/told", &self->o);
}

TEST_F_TIMEOUT(threads, exit_is_that_of_the_last_one, 60)
{
	struct child child;
	json_t *told;

	if (!fork_gated(&child)) {
		acting = &child;
		pass_gate(child.gate);
		variant->act();
	}
	RUN(EXITS "adopt c %d", child.pid);
	ASSERT_EQ(0, self->o.status) TH_LOG("%s", self->o.err);
	open_gate(&child);
	open_gate(&child);
	usleep(300000);
	EXPECT_EQ(0, kill(child.pid, 0));
	RUN(EXITS "status c");
	EXPECT_STREQ(variant->early, kt_text(json_array_get(self->rows, 0), "state"));

	ASSERT_EQ(1, write(child.gate, "\n", 1));
	EXPECT_EQ(variant->code << 8, reap(&child));
	told = wait_for_rows("/tmp/told", 1);
	EXPECT_EQ(1, json_array_size(told));
	EXPECT_EQ(variant->said, kt_number(kt_row(told, "id", "c"), "code"));
	json_decref(told);
}

/* ---- C4: no room ---- */

#define SIZE	8
#define MANY	20

/* What cannot be recorded is not started: no exit is lost, and no code is wrong. */
TEST_F_TIMEOUT(exits, are_refused_in_advance_where_there_is_no_room, 120)
{
	const json_t *counters;
	int refused = 0;
	char id[16];

	self->daemon = start_daemon("/tmp/told", "--size", "8");
	stop_daemon(&self->daemon, SIGKILL);
	for (int i = 0; i < MANY; i++) {
		RUN(EXITS "run c%d -- sh -c 'echo >>/tmp/gate; exit %d'", i, i + 1);
		EXPECT_EQ(i < SIZE ? 0 : 1, self->o.status);
		refused += !!strstr(self->o.err, "room");
	}
	EXPECT_EQ(MANY - SIZE, refused);
	usleep(200000);
	EXPECT_EQ(SIZE, kt_read_file("/tmp/gate", id, sizeof(id)));
	RUN(EXITS "list");
	counters = kt_row(self->rows, "type", "exits");
	EXPECT_EQ(SIZE, kt_number(counters, "recorded"));
	EXPECT_EQ(MANY - SIZE, kt_number(counters, "refused"));
	EXPECT_EQ(0, kt_number(counters, "dropped"));
	for (int i = 0; i < SIZE; i++) {
		sprintf(id, "c%d", i);
		EXPECT_EQ(i + 1, kt_number(kt_row(self->rows, "id", id), "code"));
	}
	/* Fetched, they make room. */
	self->daemon = start_daemon("/tmp/told", NULL, NULL);
	json_decref(wait_for_rows("/tmp/told", SIZE));
	RUN(EXITS "run more -- true");
	EXPECT_EQ(0, self->o.status);
}

/* The naive rule finds out at the exit; at least it is counted, and nothing made up. */
TEST_F_TIMEOUT(exits, are_counted_when_the_naive_rule_drops_them, 120)
{
	const json_t *counters, *row;
	int right = 0, lost = 0;
	char id[16];

	self->daemon = start_daemon("/tmp/told", "--naive", "--size=8");
	stop_daemon(&self->daemon, SIGKILL);
	for (int i = 0; i < MANY; i++) {
		RUN(EXITS "run c%d -- sh -c 'exit %d'", i, i + 1);
		EXPECT_EQ(0, self->o.status);
		usleep(20000);
	}
	RUN(EXITS "list");
	counters = kt_row(self->rows, "type", "exits");
	EXPECT_TRUE(kt_flag(counters, "naive"));
	EXPECT_EQ(MANY - SIZE, kt_number(counters, "dropped"));
	for (int i = 0; i < MANY; i++) {
		sprintf(id, "c%d", i);
		row = kt_row(self->rows, "id", id);
		lost += !strcmp("lost", kt_text(row, "state"));
		right += kt_number(row, "code") == i + 1;
	}
	EXPECT_EQ(SIZE, right);
	EXPECT_EQ(MANY - SIZE, lost);
}

/* ---- C5, C6: a number is not a process ---- */

/* A child with this number in the PID namespace it is made in. */
static pid_t fork_as(pid_t number)
{
	pid_t set_tid[] = { number };
	struct clone_args args = {
		.exit_signal = SIGCHLD, .set_tid = (unsigned long)set_tid, .set_tid_size = 1,
	};

	return syscall(SYS_clone3, &args, sizeof(args));
}

/* By a process between: once its namespace has lost its first one, it can fork no more. */
static int run_in_namespace(int (*first)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		if (unshare(CLONE_NEWPID))
			_exit(95);
		pid = fork();
		if (!pid)
			_exit(first());
		waitpid(pid, &status, 0);
		_exit(WEXITSTATUS(status));
	}
	waitpid(pid, &status, 0);
	return status;
}

#define NUMBER	777

static int reuse_number(void)
{
	struct child gate = { 0 };
	int pipes[2], status;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC))
		return 90;
	pid = fork_as(NUMBER);
	if (!pid) {
		gate.gate = pipes[0];
		pass_gate(gate.gate);
		_exit(5);
	}
	/* Here it is 777, wherever else it is what it is. */
	if (pid != NUMBER || system("ktramp exits" WHERE "adopt c 777 >/dev/null"))
		return 91;
	if (write(pipes[1], "", 1) != 1 || waitpid(pid, &status, 0) != pid)
		return 92;
	pid = fork_as(NUMBER);
	if (!pid)
		_exit(6);
	if (pid != NUMBER || waitpid(pid, &status, 0) != pid)
		return 93;
	return WEXITSTATUS(status) == 6 ? 0 : 94;
}

TEST_F_TIMEOUT(exits, of_a_number_used_again_are_not_the_first_ones, 60)
{
	self->daemon = start_daemon("/tmp/told", NULL, NULL);
	ASSERT_EQ(0, run_in_namespace(reuse_number));
	RUN(EXITS "status c");
	EXPECT_EQ(5, kt_number(json_array_get(self->rows, 0), "code"));
	EXPECT_NE(NUMBER, kt_number(json_array_get(self->rows, 0), "pid"));
	RUN(EXITS "list");
	EXPECT_EQ(1, kt_number(kt_row(self->rows, "type", "exits"), "recorded"));
}

static pid_t twin;

static int exit_as_twin(void)
{
	int status;
	pid_t pid = fork_as(twin);

	if (!pid)
		_exit(6);
	if (pid != twin || waitpid(pid, &status, 0) != pid)
		return 93;
	return WEXITSTATUS(status) == 6 ? 0 : 94;
}

TEST_F_TIMEOUT(exits, of_a_number_in_another_namespace_are_ignored, 60)
{
	struct child child;

	self->daemon = start_daemon("/tmp/told", NULL, NULL);
	if (!fork_gated(&child)) {
		pass_gate(child.gate);
		_exit(5);
	}
	RUN(EXITS "adopt c %d", child.pid);
	ASSERT_EQ(0, self->o.status);
	twin = child.pid;
	ASSERT_EQ(0, run_in_namespace(exit_as_twin));
	RUN(EXITS "status c");
	EXPECT_STREQ("running", kt_text(json_array_get(self->rows, 0), "state"));
	open_gate(&child);
	EXPECT_EQ(5 << 8, reap(&child));
	RUN(EXITS "status c");
	EXPECT_EQ(5, kt_number(json_array_get(self->rows, 0), "code"));
}

static int update_watched(pid_t pid)
{
	struct exits_watched entry;
	__u32 key = pid;
	union bpf_attr attr = { .pathname = (unsigned long)PINS "/watched" };
	int map = syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof(attr));

	attr = (union bpf_attr){
		.map_fd = map, .key = (unsigned long)&key, .value = (unsigned long)&entry,
	};
	if (syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof(attr)))
		return -errno;
	entry.start--;
	return syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof(attr)) ? -errno : 0;
}

/* As if the list had an entry of an earlier process with this number. */
TEST_F_TIMEOUT(exits, of_a_later_process_are_counted_as_a_strangers, 60)
{
	struct child child;

	self->daemon = start_daemon("/tmp/told", NULL, NULL);
	stop_daemon(&self->daemon, SIGKILL);
	if (!fork_gated(&child)) {
		pass_gate(child.gate);
		_exit(6);
	}
	RUN(EXITS "adopt c %d", child.pid);
	ASSERT_EQ(0, update_watched(child.pid));
	open_gate(&child);
	EXPECT_EQ(6 << 8, reap(&child));
	RUN(EXITS "list");
	EXPECT_EQ(1, kt_number(kt_row(self->rows, "type", "exits"), "strangers"));
	EXPECT_EQ(0, kt_number(kt_row(self->rows, "type", "exits"), "recorded"));
	EXPECT_STREQ("lost", kt_text(kt_row(self->rows, "id", "c"), "state"));
}

/* ---- dead before it was watched; half a predecessor ---- */

TEST_F_TIMEOUT(exits, of_what_is_a_zombie_already_are_read_from_it, 60)
{
	struct child child;
	siginfo_t info;

	self->daemon = start_daemon("/tmp/told", NULL, NULL);
	if (!fork_gated(&child)) {
		pass_gate(child.gate);
		_exit(11);
	}
	open_gate(&child);
	ASSERT_EQ(0, waitid(P_PID, child.pid, &info, WEXITED | WNOWAIT));
	EXPECT_EQ(0, kill(child.pid, 0));
	RUN(EXITS "adopt c %d", child.pid);
	EXPECT_EQ(0, self->o.status) TH_LOG("%s", self->o.err);
	EXPECT_EQ(11 << 8, reap(&child));
	RUN(EXITS "status c");
	EXPECT_EQ(11, kt_number(json_array_get(self->rows, 0), "code"));
	RUN(EXITS "list");
	EXPECT_EQ(1, kt_number(kt_row(self->rows, "type", "exits"), "late"));
	/* Reaped, there is nothing to read. */
	RUN(EXITS "adopt d %d", child.pid);
	EXPECT_EQ(1, self->o.status);
	RUN(EXITS "status d");
	EXPECT_EQ(1, self->o.status);
}

/* @gone: what a predecessor had not pinned yet, or somebody took away. */
FIXTURE(pins) {
	struct kt_output o;
	json_t *rows;
	pid_t daemon;
};

FIXTURE_VARIANT(pins) {
	const char *gone;
};

FIXTURE_VARIANT_ADD(pins, link) { .gone = PINS "/link" };
FIXTURE_VARIANT_ADD(pins, events) { .gone = PINS "/events" };
FIXTURE_VARIANT_ADD(pins, all) { .gone = PINS "/*" };

FIXTURE_SETUP(pins)
{
	if (!kt_has_btf())
		SKIP(return, LACKS);
	self->rows = NULL;
	self->daemon = 0;
	kt_shell("ktramp exits unload" WHERE "; rm -rf " STATE, &self->o);
}

FIXTURE_TEARDOWN(pins)
{
	if (self->daemon)
		stop_daemon(&self->daemon, SIGKILL);
	json_decref(self->rows);
	kt_shell("ktramp exits unload" WHERE "; rm -rf " STATE " /tmp/told*", &self->o);
}

TEST_F_TIMEOUT(pins, that_are_not_all_there_are_made_anew, 60)
{
	struct child lives, dies;
	json_t *told;

	self->daemon = start_daemon("/tmp/told", NULL, NULL);
	stop_daemon(&self->daemon, SIGKILL);
	if (!fork_gated(&lives)) {
		pass_gate(lives.gate);
		_exit(21);
	}
	if (!fork_gated(&dies)) {
		pass_gate(dies.gate);
		_exit(22);
	}
	RUN(EXITS "adopt lives %d dies %d", lives.pid, dies.pid);
	RUN("rm %s", variant->gone);
	/* Half of it is as good as nothing, and is called that. */
	RUN(EXITS "run more -- true");
	EXPECT_EQ(1, self->o.status);
	EXPECT_NE(NULL, strstr(self->o.err, "nothing records"));
	open_gate(&dies);
	EXPECT_EQ(22 << 8, reap(&dies));
	unlink(STATE "/.daemon");
	self->daemon = start_daemon("/tmp/told2", NULL, NULL);
	told = wait_for_rows("/tmp/told2", 1);
	/* Nothing recorded it, so nothing is made up. */
	EXPECT_STREQ("lost", kt_text(kt_row(told, "id", "dies"), "state"));
	json_decref(told);
	open_gate(&lives);
	EXPECT_EQ(21 << 8, reap(&lives));
	told = wait_for_rows("/tmp/told2", 2);
	EXPECT_EQ(21, kt_number(kt_row(told, "id", "lives"), "code"));
	json_decref(told);
}

/* ---- the command ---- */

static const struct {
	const char *line;
	int status;
	const char *err;
} lines[] = {
	{ "ktramp exits", 2, "action" },
	{ "ktramp exits spoon", 2, "spoon" },
	{ "ktramp exits run", 2, "ID" },
	{ "ktramp exits run a", 2, "command" },
	{ "ktramp exits run ../a -- true", 2, "ID" },
	{ "ktramp exits run .a -- true", 2, "ID" },
	{ "ktramp exits adopt a", 2, "number" },
	{ "ktramp exits forget", 2, "ID" },
	{ "ktramp exits forget a ../b", 2, "ID" },
	{ "ktramp exits list --naive", 2, "daemon" },
	{ "ktramp exits list more", 2, "more" },
	{ "ktramp exits daemon --size 0", 2, "size" },
	{ "ktramp exits" WHERE "list", 1, "daemon" },
	{ "ktramp exits --pins /tmp/pins daemon", 1, "BPF file system" },
};

TEST(usage_that_is_wrong_ends_with_a_word_on_it)
{
	static struct kt_output o;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		kt_shell(lines[i].line, &o);
		EXPECT_EQ(lines[i].status, o.status) TH_LOG("%s", lines[i].line);
		EXPECT_NE(NULL, strstr(o.err, lines[i].err))
			TH_LOG("%s: %s", lines[i].line, o.err);
	}
}

TEST_F_TIMEOUT(exits, command_gives_no_name_twice_and_serves_no_state_twice, 60)
{
	json_t *told;

	self->daemon = start_daemon("/tmp/told", NULL, NULL);
	RUN(EXITS "daemon");
	EXPECT_EQ(1, self->o.status);
	EXPECT_NE(NULL, strstr(self->o.err, "another daemon"));
	/* What it watches would be lost. */
	RUN(EXITS "unload");
	EXPECT_EQ(1, self->o.status);
	EXPECT_NE(NULL, strstr(self->o.err, "end it first")) TH_LOG("%s", self->o.err);
	RUN("unshare -p -f " EXITS "--state /tmp/told.d daemon");
	EXPECT_EQ(1, self->o.status);
	EXPECT_NE(NULL, strstr(self->o.err, "initial PID namespace"));
	RUN(EXITS "run c -- sleep 1000");
	EXPECT_EQ(0, self->o.status);
	RUN(EXITS "run c -- true");
	EXPECT_EQ(1, self->o.status);
	EXPECT_NE(NULL, strstr(self->o.err, "running"));
	RUN(EXITS "run d -- /no/such/program");
	EXPECT_EQ(1, self->o.status);
	EXPECT_NE(NULL, strstr(self->o.err, "/no/such/program"));
	/* It never began: there is nothing to tell of it, and its name is free. */
	RUN(EXITS "status d");
	EXPECT_EQ(1, self->o.status);
	EXPECT_NE(NULL, strstr(self->o.err, "nothing is known of 'd'")) TH_LOG("%s", self->o.err);
	RUN(EXITS "adopt d 99999999999");
	EXPECT_EQ(1, self->o.status);
	EXPECT_NE(NULL, strstr(self->o.err, "a process's number is needed"))
		TH_LOG("%s", self->o.err);
	RUN(EXITS "adopt d 4194303");
	EXPECT_EQ(1, self->o.status);
	EXPECT_NE(NULL, strstr(self->o.err, "No such process")) TH_LOG("%s", self->o.err);
	RUN("kill -15 $(" EXITS "status c | sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/')");
	told = wait_for_rows("/tmp/told", 1);
	EXPECT_EQ(1, json_array_size(told));
	EXPECT_EQ(SIGTERM, kt_number(kt_row(told, "id", "c"), "signal"));
	json_decref(told);
	/* It has ended, and that was told: the name is free. */
	RUN(EXITS "run c -- sh -c 'exit 4'");
	EXPECT_EQ(0, self->o.status);
	told = wait_for_rows("/tmp/told", 2);
	EXPECT_EQ(4, kt_number(json_array_get(told, 1), "code"));
	json_decref(told);
}

TEST_F_TIMEOUT(exits, records_are_kept_until_they_are_forgotten, 60)
{
	json_t *told;

	self->daemon = start_daemon("/tmp/told", NULL, NULL);
	RUN(EXITS "run ends -- sh -c 'exit 4'");
	RUN(EXITS "run stays -- sleep 1000");
	told = wait_for_rows("/tmp/told", 1);
	json_decref(told);
	/* What runs is not forgotten, and keeps nothing else from it. */
	RUN(EXITS "run ends2 -- sh -c 'exit 5'");
	told = wait_for_rows("/tmp/told", 2);
	json_decref(told);
	RUN(EXITS "forget stays ends2");
	EXPECT_EQ(1, self->o.status);
	EXPECT_NE(NULL, strstr(self->o.err, "'stays' is process")) TH_LOG("%s", self->o.err);
	RUN(EXITS "status ends2");
	EXPECT_NE(NULL, strstr(self->o.err, "nothing is known of 'ends2'"));
	/* The program goes, as with its file system; what has ended is on disk. */
	stop_daemon(&self->daemon, SIGTERM);
	RUN(EXITS "unload");
	EXPECT_EQ(0, self->o.status) TH_LOG("%s", self->o.err);
	RUN(EXITS "status ends");
	EXPECT_EQ(0, self->o.status) TH_LOG("%s", self->o.err);
	EXPECT_NE(NULL, strstr(self->o.out, "\"code\":4"));
	RUN(EXITS "status stays");
	EXPECT_EQ(1, self->o.status);
	EXPECT_NE(NULL, strstr(self->o.err, "nothing records exits")) TH_LOG("%s", self->o.err);
	RUN(EXITS "list");
	EXPECT_EQ(1, self->o.status);
	EXPECT_NE(NULL, strstr(self->o.out, "\"id\":\"ends\""));
	EXPECT_NE(NULL, strstr(self->o.err, "nothing records exits"));
	RUN(EXITS "forget ends");
	EXPECT_EQ(0, self->o.status) TH_LOG("%s", self->o.err);
	EXPECT_NE(0, access(STATE "/ends", F_OK));
	RUN("killall sleep");
}

TEST_HARNESS_MAIN
