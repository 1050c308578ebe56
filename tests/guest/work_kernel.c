// SPDX-License-Identifier: GPL-2.0-only
/* The workload's look at the kernel itself: its files, modules, BPF, perf and tracing. */
#include <asm/ldt.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/landlock.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "work.h"
#include "workload.h"

#define TRACING	"/sys/kernel/tracing/"

/* What there is one of is one CPU's at a time. */
static int only_one(void)
{
	int fd = open(WORKLOAD_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	flock(fd, LOCK_EX);
	return fd;
}

/* Reading these never ends, takes long, or changes something. */
static bool is_to_be_read(const char *path, const char *name)
{
	static const char *const not[] = {
		"kcore", "kmsg", "kallsyms", "kpagecount", "kpageflags", "kpagecgroup",
		"pagemap", "mem", "sysrq-trigger", "debug", "tracing", "clear_refs", "timer_list",
		"slab", "autogroup", "vmcoreinfo", "resource0", "resource1", "rom", "task", "bpf",
		"fuse", "event",
	};

	for (size_t i = 0; i < sizeof(not) / sizeof(*not); i++)
		if (!strcmp(name, not[i]))
			return false;
	/* Processes come and go. */
	return strcmp(path, "/proc") || name[0] < '0' || name[0] > '9';
}

static unsigned int read_tree(const char *path, unsigned int depth)
{
	static char buf[65536];
	unsigned int nr = 0;
	struct dirent *entry;
	DIR *dir = opendir(path);
	char name[512];

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !is_to_be_read(path, entry->d_name))
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (entry->d_type == DT_DIR && depth)
			nr += read_tree(name, depth - 1);
		else if (entry->d_type == DT_REG)
			nr += work_read_file(name, buf, sizeof(buf)) >= 0;
		else if (entry->d_type == DT_LNK)
			nr += readlink(name, buf, sizeof(buf)) > 0;
	}
	if (dir)
		closedir(dir);
	return nr;
}

static enum outcome proc_files(void)
{
	char text[512], expected[32];

	MUST(work_read_file("/proc/self/stat", text, sizeof(text)) > 0);
	snprintf(expected, sizeof(expected), "%d (", getpid());
	MUST(!strncmp(text, expected, strlen(expected)));
	MUST(read_tree("/proc/self", 2) > 40);
	MUST(read_tree("/proc", 5) > 300);
	return RIGHT;
}

static enum outcome sysfs(void)
{
	MUST(read_tree("/sys", 7) > 1000);
	return RIGHT;
}

static enum outcome assorted(void)
{
	struct sysinfo info;
	struct utsname uts;
	uint8_t a[32] = { 0 }, b[32] = { 0 };
	char log[256];
	struct user_desc ldt = { .entry_number = 0, .limit = 0xfff, .seg_32bit = 1,
				 .limit_in_pages = 1 };
	pid_t pid;
	int fd;

	MUST(!sysinfo(&info) && info.totalram > 0 && !uname(&uts) && !strcmp(uts.sysname, "Linux"));
	MUST(getrandom(a, sizeof(a), 0) == sizeof(a) && getrandom(b, sizeof(b), 0) == sizeof(b));
	MUST(memcmp(a, b, sizeof(a)));
	fd = open("/dev/urandom", O_RDWR);
	MUST(read(fd, a, 32) == 32 && write(fd, a, 32) == 32);
	close(fd);
	fd = open("/dev/null", O_WRONLY);
	MUST(write(fd, a, 32) == 32);
	close(fd);
	fd = open("/dev/full", O_WRONLY);
	MUST(fd < 0 || (write(fd, a, 1) < 0 && errno == ENOSPC));
	close(fd);
	klogctl(3 /* read all */, log, sizeof(log));
	MUST(personality(0xffffffff) >= 0);
	syscall(SYS_modify_ldt, 1, &ldt, sizeof(ldt));
	WANT(!ioperm(0x80, 1, 1) && !ioperm(0x80, 1, 0));
	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	fd = syscall(SYS_pidfd_open, pid, 0);
	MUST(fd >= 0 && !syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0));
	MUST(work_join(pid) == 128 + SIGTERM);
	close(fd);
	WANT(syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 1) >= 0);
	MUST(prctl(PR_GET_DUMPABLE) >= 0 && !prctl(PR_SET_DUMPABLE, 1));
	prctl(PR_CAPBSET_READ, 1);
	acct(NULL);
	return RIGHT;
}

static enum outcome landlock(void)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = LANDLOCK_ACCESS_FS_WRITE_FILE };
	struct landlock_path_beneath_attr rule = {
		.allowed_access = LANDLOCK_ACCESS_FS_WRITE_FILE,
	};
	int ruleset = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0), fd;

	NEED(ruleset >= 0);
	rule.parent_fd = open(".", O_PATH);
	MUST(!syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0));
	MUST(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	MUST(!syscall(SYS_landlock_restrict_self, ruleset, 0));
	fd = open("allowed", O_CREAT | O_WRONLY, 0600);
	MUST(fd >= 0 && open("/etc/passwd", O_WRONLY) < 0 && errno == EACCES);
	close(fd);
	MUST(!unlink("allowed"));
	return RIGHT;
}

/* Loaded and unloaded again; ktramp is not among them. */
static enum outcome loading(void)
{
	struct dirent *entry;
	DIR *dir = opendir("/tests/modules");
	char path[300], name[128];
	unsigned int loaded = 0;
	int lock;

	NEED(dir);
	lock = only_one();
	while ((entry = readdir(dir))) {
		int fd, err;

		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, "loop.ko"))
			continue;
		snprintf(path, sizeof(path), "/tests/modules/%s", entry->d_name);
		fd = open(path, O_RDONLY);
		err = syscall(SYS_finit_module, fd, "", 0);
		close(fd);
		MUST(!err);
		loaded++;
		snprintf(name, sizeof(name), "%.*s", (int)strlen(entry->d_name) - 3,
			 entry->d_name);
		MUST(!syscall(SYS_delete_module, name, O_NONBLOCK));
	}
	close(lock);
	/* One that is none. */
	MUST(syscall(SYS_init_module, "\177ELF but no more", 16, "") < 0 && errno == ENOEXEC);
	closedir(dir);
	/* A kernel with all of it built in. */
	NEED(loaded > 0);
	return RIGHT;
}

static long bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static int make_map(uint32_t type, uint32_t key, uint32_t value)
{
	union bpf_attr attr = {
		.map_type = type, .key_size = key, .value_size = value,
		.max_entries = type == BPF_MAP_TYPE_RINGBUF ? 4096 : 16,
		.map_flags = type == BPF_MAP_TYPE_LPM_TRIE ? BPF_F_NO_PREALLOC : 0,
	};

	return bpf(BPF_MAP_CREATE, &attr);
}

static enum outcome maps(void)
{
	static const uint32_t types[] = {
		BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_LRU_HASH,
		BPF_MAP_TYPE_LPM_TRIE,
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		bool lpm = types[i] == BPF_MAP_TYPE_LPM_TRIE;
		uint32_t key[2] = { lpm ? 32 : 3, 3 }, value = 42, seen = 0;
		int fd = make_map(types[i], lpm ? 8 : 4, 4);
		union bpf_attr attr = {
			.map_fd = fd, .key = (uintptr_t)key, .value = (uintptr_t)&value,
		};

		NEED(fd >= 0);
		MUST(!bpf(BPF_MAP_UPDATE_ELEM, &attr));
		attr.value = (uintptr_t)&seen;
		MUST(!bpf(BPF_MAP_LOOKUP_ELEM, &attr) && seen == 42);
		attr.value = 0;
		if (types[i] != BPF_MAP_TYPE_ARRAY)
			MUST(!bpf(BPF_MAP_DELETE_ELEM, &attr));
		attr.value = (uintptr_t)&seen;
		if (types[i] != BPF_MAP_TYPE_ARRAY)
			MUST(bpf(BPF_MAP_LOOKUP_ELEM, &attr) < 0 && errno == ENOENT);
		close(fd);
	}
	return RIGHT;
}

#define INSN(c, d, s, o, i) ((struct bpf_insn){ .code = c, .dst_reg = d, .src_reg = s, .off = o, \
						.imm = i })

/* Sums a loop and a packet's first byte; run on a packet of ours. */
static enum outcome programs(void)
{
	static char log[65536];
	char packet[64] = { 7 };
	struct bpf_insn code[] = {
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0),
		INSN(BPF_LD | BPF_ABS | BPF_B, 0, 0, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 1, 0, 0, 5),
		INSN(BPF_ALU64 | BPF_ADD | BPF_X, 0, 1, 0, 0),
		INSN(BPF_STX | BPF_MEM | BPF_DW, 10, 0, -8, 0),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, -1),
		INSN(BPF_JMP | BPF_JNE | BPF_K, 1, 0, -4, 0),
		INSN(BPF_LDX | BPF_MEM | BPF_DW, 0, 10, -8, 0),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insns = (uintptr_t)code,
		.insn_cnt = sizeof(code) / sizeof(*code), .license = (uintptr_t)"GPL",
		.log_buf = (uintptr_t)log, .log_size = sizeof(log), .log_level = 1,
	};
	union bpf_attr run = { .test = { .data_in = (uintptr_t)packet,
					 .data_size_in = sizeof(packet) } };
	int fd = bpf(BPF_PROG_LOAD, &attr), pair[2];

	packet[14] = 7;	/* behind what a frame begins with */
	NEED(fd >= 0);
	run.test.prog_fd = fd;
	MUST(!bpf(BPF_PROG_TEST_RUN, &run) && run.test.retval == 7 + 15);
	MUST(!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	MUST(!setsockopt(pair[1], SOL_SOCKET, SO_ATTACH_BPF, &fd, sizeof(fd)));
	MUST(write(pair[0], packet, 40) == 40 && read(pair[1], packet, 64) == 22);
	/* Reads a register that was never written: the verifier says no. */
	code[7].src_reg = 7;
	attr.log_level = 2;
	MUST(bpf(BPF_PROG_LOAD, &attr) < 0 && *log);
	return RIGHT;
}

static volatile uint64_t sink;

static enum outcome perf(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK, .sample_period = 100000,
		.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME |
			       PERF_SAMPLE_CALLCHAIN, .exclude_kernel = 0, .disabled = 1,
		.mmap = 1, .comm = 1,
	};
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	const char *accel = getenv("KTRAMP_ACCEL");
	unsigned int rounds = accel && !strcmp(accel, "icount") ? 1 : 500;
	struct perf_event_mmap_page *ring;
	uint64_t count = 0;

	NEED(fd >= 0);
	ring = mmap(NULL, 5 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	MUST(ring != MAP_FAILED && !ioctl(fd, PERF_EVENT_IOC_ENABLE, 0));
	/*
	 * With the host's time, QEMU's timers come when their thread gets a CPU, which may be
	 * after the loop; with its own they come at once.
	 */
	for (unsigned int n = 0; n < rounds && !__atomic_load_n(&ring->data_head, __ATOMIC_ACQUIRE);
	     n++) {
		for (unsigned int i = 0; i < 2000000; i++)
			sink += i;
		for (unsigned int i = 0; i < 200; i++)
			getppid();
	}
	MUST(!ioctl(fd, PERF_EVENT_IOC_DISABLE, 0));
	MUST(read(fd, &count, sizeof(count)) == sizeof(count) && count > 0);
	MUST(ring->data_head > 0);
	munmap(ring, 5 * 4096);
	close(fd);
	return RIGHT;
}

static bool trace(const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), TRACING "%s", file);
	return work_write_file(path, text);
}

/* Events on, filtered, with a histogram; the function tracer on one function; off again. */
static enum outcome tracing(void)
{
	static char text[65536];
	int lock;

	NEED(!access(TRACING "trace", W_OK));
	lock = only_one();
	MUST(trace("events/sched/sched_switch/enable", "1"));
	MUST(trace("events/syscalls/sys_enter_getppid/enable", "1") ||
	     trace("events/timer/enable", "1"));
	trace("events/sched/sched_process_fork/filter", "child_pid > 0");
	trace("events/sched/sched_process_fork/trigger", "hist:keys=parent_pid");
	trace("set_ftrace_filter", "vfs_statx");
	trace("current_tracer", "function");
	for (int i = 0; i < 5; i++) {
		struct stat st;

		MUST(!stat("/etc/passwd", &st) && getppid() > 0);
		usleep(1000);
	}
	MUST(work_join(fork() ?: (_exit(5), 0)) == 5);
	MUST(work_read_file(TRACING "trace", text, sizeof(text)) > 0);
	MUST(strstr(text, "sched_switch"));
	work_read_file(TRACING "events/sched/sched_process_fork/hist", text, sizeof(text));
	trace("current_tracer", "nop");
	trace("events/sched/sched_process_fork/trigger", "!hist:keys=parent_pid");
	trace("events/sched/sched_process_fork/filter", "0");
	trace("events/timer/enable", "0");
	trace("events/syscalls/sys_enter_getppid/enable", "0");
	MUST(trace("events/sched/sched_switch/enable", "0"));
	trace("set_ftrace_filter", " ");
	trace("trace", " ");
	close(lock);
	return RIGHT;
}

#define DEVICE	"/sys/bus/pci/devices/0000:00:01.1"

/* A device that nothing uses goes, and is found again. */
static enum outcome devices(void)
{
	char text[32] = "";
	int lock = only_one();

	NEED(!access(DEVICE "/remove", W_OK) && access(DEVICE "/driver", F_OK));
	MUST(work_read_file(DEVICE "/class", text, sizeof(text)) > 0);
	MUST(work_write_file(DEVICE "/remove", "1") && access(DEVICE, F_OK));
	MUST(work_write_file("/sys/bus/pci/rescan", "1") && !access(DEVICE, F_OK));
	MUST(work_write_file("/sys/class/mem/null/uevent", "change"));
	close(lock);
	return RIGHT;
}

const struct part kernel_parts[] = {
	{ "proc", proc_files }, { "sysfs", sysfs }, { "assorted", assorted },
	{ "landlock", landlock },
	{ "modules", loading }, { "maps", maps }, { "programs", programs }, { "perf", perf },
	{ "tracing", tracing }, { "devices", devices }, { }
};
