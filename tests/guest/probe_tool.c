// SPDX-License-Identifier: GPL-2.0-only
/*
 * A tracer as others write them, for the test "run": it knows nothing of ktramp but its target, and
 * attaches a program to a kprobe by perf events, each WAY a little differently.
 *
 * usage: probe_tool WAY
 *
 * Prints what it saw: the same with and without 'ktramp run'. Exit status: 0, or 1 with a line
 * on stderr about the call that failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "kt.h"
#include "progs.h"

#define PIN	"/sys/fs/bpf/probe_tool"
#define COOKIE	0x1234567

static struct progs_bpf *skel;
static int dev, prog, target;
static struct ktramp_target_info place;
static char function[KTRAMP_SITE_MAX];

static void must(int ret, const char *what)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "probe_tool: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned int kprobe_type(void)
{
	char text[32] = "";

	kt_read_file("/sys/bus/event_source/devices/kprobe/type", text, sizeof(text));
	return atoi(text);
}

static struct perf_event_attr attr_of(void)
{
	return (struct perf_event_attr){
		.type = kprobe_type(), .size = sizeof(struct perf_event_attr),
		.config1 = (unsigned long)function, .config2 = place.offset,
	};
}

static int open_attr(const struct perf_event_attr *attr)
{
	return syscall(SYS_perf_event_open, attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
}

static int open_event(void)
{
	struct perf_event_attr attr = attr_of();
	int fd = open_attr(&attr);

	must(fd, "perf_event_open");
	return fd;
}

/* Which file serves, for who wants to know. */
static void print_server(int fd)
{
	char path[64], link[128] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (readlink(path, link, sizeof(link) - 1) > 0)
		fprintf(stderr, "server %s\n", link);
}

static unsigned long long counted(void)
{
	unsigned long long values[64] = { 0 }, sum = 0;
	unsigned int slot = 0;

	must(bpf_map_lookup_elem(bpf_map__fd(skel->maps.counts), &slot, values), "read the count");
	for (int i = 0; i < libbpf_num_possible_cpus(); i++)
		sum += values[i];
	return sum;
}

static void call(unsigned int times)
{
	struct ktramp_run run;

	if (kt_run(dev, target, 0, times, 0, &run) || run.wrong) {
		fprintf(stderr, "probe_tool: %llu wrong results\n", (unsigned long long)run.wrong);
		exit(1);
	}
}

static void set_program(int fd)
{
	must(ioctl(fd, PERF_EVENT_IOC_SET_BPF, prog), "PERF_EVENT_IOC_SET_BPF");
}

static void say_counted(const char *when)
{
	printf("%s: %llu\n", when, counted());
	fflush(stdout);
}

static int attach(void)
{
	int fd = open_event();

	set_program(fd);
	must(ioctl(fd, PERF_EVENT_IOC_ENABLE, 0), "PERF_EVENT_IOC_ENABLE");
	print_server(fd);
	return fd;
}

/* ---- the ways ---- */

static void way_event(void)
{
	int fd = attach();

	call(100);
	say_counted("attached");
	must(ioctl(fd, PERF_EVENT_IOC_DISABLE, 0), "PERF_EVENT_IOC_DISABLE");
	call(10);
	/* The kernel runs the program all the same. */
	say_counted("disabled");
	must(ioctl(fd, PERF_EVENT_IOC_ENABLE, 0), "PERF_EVENT_IOC_ENABLE");
	call(5);
	say_counted("enabled again");
	close(fd);
	call(10);
	say_counted("closed");
}

static void way_address(void)
{
	struct perf_event_attr attr = attr_of();
	int fd;

	attr.config1 = 0;
	attr.config2 = place.address;
	fd = open_attr(&attr);
	must(fd, "perf_event_open");
	set_program(fd);
	print_server(fd);
	call(100);
	say_counted("attached");
}

static void way_link(void)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .perf_event.bpf_cookie = COOKIE);
	int fd = open_event(), link = bpf_link_create(prog, fd, BPF_PERF_EVENT, &opts);

	must(link, "BPF_LINK_CREATE");
	print_server(fd);
	/* A link outlives its event. */
	close(fd);
	call(100);
	printf("cookie %llx\n", (unsigned long long)skel->bss->seen_cookie);
	printf("calls %llu\n", (unsigned long long)skel->bss->calls);
	close(link);
	call(10);
	printf("calls %llu\n", (unsigned long long)skel->bss->calls);
}

static void way_pin(void)
{
	int fd = open_event(), link = bpf_link_create(prog, fd, BPF_PERF_EVENT, NULL);

	must(link, "BPF_LINK_CREATE");
	call(100);
	say_counted("attached");
	unlink(PIN);
	must(bpf_obj_pin(link, PIN), "BPF_OBJ_PIN");
	print_server(fd);
	close(fd);
	close(link);
	call(10);
	say_counted("pinned");
	unlink(PIN);
	/* The kernel lets go of it when it gets to it. */
	usleep(500000);
	call(10);
	say_counted("unpinned");
}

/* The event is closed, and its number another file's, when the kernel takes over. */
static void way_reused(void)
{
	struct bpf_link_info info = { 0 };
	int fd = open_event(), link = bpf_link_create(prog, fd, BPF_PERF_EVENT, NULL), null;
	unsigned int size = sizeof(info);
	char path[64], file[64] = "";

	must(link, "BPF_LINK_CREATE");
	close(fd);
	null = open("/dev/null", O_RDONLY);
	must(bpf_obj_get_info_by_fd(link, &info, &size), "BPF_OBJ_GET_INFO_BY_FD");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", null);
	must(readlink(path, file, sizeof(file) - 1), "readlink");
	printf("%s, %s\n", null == fd ? "reused" : "another number", file);
	call(100);
	say_counted("attached");
}

static void way_info(void)
{
	struct bpf_link_info info = { 0 };
	int fd = open_event(), link = bpf_link_create(prog, fd, BPF_PERF_EVENT, NULL);
	unsigned int size = sizeof(info);

	must(link, "BPF_LINK_CREATE");
	must(bpf_obj_get_info_by_fd(link, &info, &size), "BPF_OBJ_GET_INFO_BY_FD");
	printf("link type %u\n", info.type);
	call(100);
	say_counted("attached");
}

static void way_dup(void)
{
	int fd = attach(), copy = dup(fd);

	close(fd);
	call(100);
	say_counted("one of two is closed");
	close(copy);
	call(10);
	say_counted("closed");
}

static void way_fork(void)
{
	int fd = attach(), status, pipes[2];
	char go = 0;
	pid_t child;

	must(pipe(pipes), "pipe");
	child = fork();
	if (!child) {
		must(read(pipes[0], &go, 1), "read");
		_exit(0);
	}
	close(fd);
	call(100);
	say_counted("the child has it");
	must(write(pipes[1], &go, 1), "write");
	waitpid(child, &status, 0);
	call(10);
	say_counted("nobody has it");
}

static void way_disabled(void)
{
	struct perf_event_attr attr = attr_of();
	int fd;

	attr.disabled = 1;
	fd = open_attr(&attr);
	must(fd, "perf_event_open");
	set_program(fd);
	call(10);
	say_counted("made disabled");
	must(ioctl(fd, PERF_EVENT_IOC_ENABLE, 0), "PERF_EVENT_IOC_ENABLE");
	call(100);
	say_counted("enabled");
}

static void way_twice(void)
{
	int fd = attach();

	printf("a second program: %s\n",
	       ioctl(fd, PERF_EVENT_IOC_SET_BPF, prog) ? strerrorname_np(errno) : "taken");
	call(100);
	say_counted("attached");
}

static void way_query(void)
{
	struct perf_event_query_bpf query = { 0 };

	printf("asked for its programs: %s\n",
	       ioctl(attach(), PERF_EVENT_IOC_QUERY_BPF, &query) ?
	       strerrorname_np(errno) : "taken");
}

static void way_fd_query(void)
{
	unsigned int id, type, size = 128;
	__u64 offset, address;
	char name[128] = "";
	int fd = attach();

	must(bpf_task_fd_query(getpid(), fd, 0, name, &size, &id, &type, &offset, &address),
	     "BPF_TASK_FD_QUERY");
	printf("type %u offset %llu\n", type, (unsigned long long)offset);
	call(100);
	say_counted("attached");
}

static void way_return(void)
{
	struct perf_event_attr attr = attr_of();
	int fd;

	attr.config = 1;
	attr.config2 = 0;
	fd = open_attr(&attr);
	must(fd, "perf_event_open");
	set_program(fd);
	print_server(fd);
	call(100);
	say_counted("attached");
}

/* What only a perf event can be asked. */
static void way_other_ioctl(void)
{
	unsigned long long id;
	int fd = attach();

	call(100);
	say_counted("attached");
	must(ioctl(fd, PERF_EVENT_IOC_ID, &id), "PERF_EVENT_IOC_ID");
	print_server(fd);
	call(10);
	say_counted("asked for its number");
}

static const char *opened(const struct perf_event_attr *attr)
{
	int fd = open_attr(attr);

	if (fd < 0)
		return strerrorname_np(errno);
	close(fd);
	return "taken";
}

static void way_bad(void)
{
	struct perf_event_attr attr = attr_of();

	printf("no attributes: %s\n", opened((void *)16));
	attr.size = 1 << 20;
	printf("long ones: %s\n", opened(&attr));
	attr = attr_of();
	attr.config1 = 16;
	printf("no name: %s\n", opened(&attr));
	attr = attr_of();
	attr.config1 = (unsigned long)"no_such_function";
	printf("no function: %s\n", opened(&attr));
	attr = attr_of();
	attr.config2++;
	printf("inside an instruction: %s\n", opened(&attr));
	attr = attr_of();
	attr.config = 1 << 20;
	printf("no such configuration: %s\n", opened(&attr));
	printf("no link: %s\n", bpf_link_create(prog, -1, BPF_PERF_EVENT, NULL) < 0 ?
	       strerrorname_np(errno) : "taken");
	printf("no program: %s\n", ioctl(open_event(), PERF_EVENT_IOC_SET_BPF, -1) ?
	       strerrorname_np(errno) : "taken");
}

static void way_nobody(void)
{
	struct perf_event_attr attr = attr_of();

	must(setuid(65534), "setuid");
	printf("as nobody: %s\n", opened(&attr));
}

/* Another thread changes the attributes while they are read. */
static struct perf_event_attr racing;
static volatile bool stop;

static void *change(void *unused)
{
	for (unsigned int i = 0; !stop; i++) {
		racing.config1 = i & 1 ? (unsigned long)function : 16;
		racing.config2 = i & 2 ? place.offset : 1;
		racing.size = i & 4 ? sizeof(racing) : 1 << 30;
	}
	return NULL;
}

static void way_race(void)
{
	pthread_t thread;
	unsigned int bad = 0;

	racing = attr_of();
	if (pthread_create(&thread, NULL, change, NULL))
		exit(1);
	for (int i = 0; i < 200; i++) {
		int fd = open_attr(&racing);

		if (fd >= 0)
			close(fd);
		else
			bad += errno != EFAULT && errno != E2BIG && errno != EILSEQ &&
			       errno != EINVAL && errno != ENOENT;
	}
	stop = true;
	pthread_join(thread, NULL);
	printf("other errors: %u\n", bad);
}

/* Until it is killed. */
static void way_wait(void)
{
	attach();
	call(100);
	say_counted("attached");
	pause();
}

static void way_status(void)
{
	attach();
	exit(42);
}

static void way_signal(void)
{
	attach();
	raise(SIGTERM);
}

static const struct {
	const char *name;
	const char *program;
	void (*act)(void);
} ways[] = {
	{ "event", "count_first", way_event },
	{ "address", "count_first", way_address },
	{ "link", "use_helpers", way_link },
	{ "pin", "count_first", way_pin },
	{ "info", "count_first", way_info },
	{ "reused", "count_first", way_reused },
	{ "dup", "count_first", way_dup },
	{ "fork", "count_first", way_fork },
	{ "disabled", "count_first", way_disabled },
	{ "twice", "count_first", way_twice },
	{ "query", "count_first", way_query },
	{ "fd_query", "count_first", way_fd_query },
	{ "return", "count_first", way_return },
	{ "other_ioctl", "count_first", way_other_ioctl },
	{ "refused", "tail_calls", way_address },
	{ "bad", "count_first", way_bad },
	{ "nobody", "count_first", way_nobody },
	{ "race", "count_first", way_race },
	{ "wait", "count_first", way_wait },
	{ "status", "count_first", way_status },
	{ "signal", "count_first", way_signal },
};

static int prepare(const char *program)
{
	dev = kt_open();
	if (dev < 0)
		return 1;
	target = kt_target_index(dev, "lea");
	if (target < 0 || kt_target(dev, target, &place))
		return 1;
	snprintf(function, sizeof(function), "%.*s", (int)strcspn(place.site, "+"), place.site);
	skel = strcmp(program, "use_helpers") ? progs_load(program, &prog) :
	       progs_load_for_ring(program, &prog);
	if (!skel)
		fprintf(stderr, "probe_tool: cannot load '%s'\n", program);
	return !skel;
}

int main(int argc, char **argv)
{
	for (unsigned int i = 0; argc == 2 && i < sizeof(ways) / sizeof(*ways); i++) {
		if (strcmp(ways[i].name, argv[1]))
			continue;
		if (prepare(ways[i].program))
			return 1;
		ways[i].act();
		return 0;
	}
	fprintf(stderr, "usage: probe_tool WAY\n");
	return 2;
}
