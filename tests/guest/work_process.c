// SPDX-License-Identifier: GPL-2.0-only
/* The workload's processes: fork, exec, signals, timers, tracing, namespaces, control groups. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <spawn.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "work.h"

static enum outcome execs(void)
{
	char line[256] = "";
	FILE *pipe;

	for (int i = 0; i < 3; i++) {
		static char *const args[] = { "sh", "-c", "exit 7", NULL };
		pid_t pid;

		MUST(!posix_spawn(&pid, "/bin/busybox", NULL, NULL, args, environ));
		MUST(work_join(pid) == 7);
	}
	pipe = popen("seq 1 300 | sort -rn | md5sum | cut -c 1-32", "r");
	MUST(pipe && fgets(line, sizeof(line), pipe) && !pclose(pipe));
	line[strcspn(line, "\n")] = '\0';
	MUST(!strcmp(line, "fa4d8fff54bb144994b42b03f12cefde"));
	MUST(execl("/no/such", "no", NULL) < 0 && errno == ENOENT);
	MUST(!system("printf '#!/bin/sh\\necho script $1\\n' >script && chmod +x script"));
	pipe = popen("./script works", "r");
	MUST(pipe && fgets(line, sizeof(line), pipe) && !pclose(pipe));
	MUST(!strcmp(line, "script works\n") && !unlink("script"));
	return RIGHT;
}

static volatile sig_atomic_t got[65];

static void on_signal(int sig, siginfo_t *info, void *context)
{
	got[sig] += info->si_code == SI_QUEUE ? info->si_value.sival_int : 1;
}

static enum outcome signals(void)
{
	struct sigaction act = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	stack_t stack = { .ss_sp = malloc(65536), .ss_size = 65536 };
	struct signalfd_siginfo info;
	union sigval value = { .sival_int = 5 };
	struct timespec now = { };
	sigset_t set, old;
	pid_t pid;
	int fd;

	MUST(!sigaltstack(&stack, NULL));
	act.sa_flags |= SA_ONSTACK;
	MUST(!sigaction(SIGUSR1, &act, NULL) && !sigaction(SIGRTMIN, &act, NULL));
	MUST(!raise(SIGUSR1) && !kill(getpid(), SIGUSR1) && got[SIGUSR1] == 2);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	MUST(!sigprocmask(SIG_BLOCK, &set, &old));
	for (int i = 0; i < 3; i++)
		MUST(!sigqueue(getpid(), SIGRTMIN, value));
	MUST(!raise(SIGUSR1) && got[SIGRTMIN] == 0);
	MUST(sigtimedwait(&set, NULL, &now) == SIGUSR1);
	MUST(!sigprocmask(SIG_SETMASK, &old, NULL) && got[SIGRTMIN] == 15);
	MUST(!sigprocmask(SIG_BLOCK, &set, NULL));
	fd = signalfd(-1, &set, SFD_NONBLOCK);
	MUST(fd >= 0 && !raise(SIGUSR1) && read(fd, &info, sizeof(info)) == sizeof(info));
	MUST(info.ssi_signo == SIGUSR1);
	close(fd);
	pid = fork();
	if (!pid) {
		raise(SIGSTOP);
		pause();
	}
	MUST(waitpid(pid, &(int){ 0 }, WUNTRACED) == pid && !kill(pid, SIGCONT));
	MUST(waitpid(pid, &(int){ 0 }, WCONTINUED) == pid && !kill(pid, SIGKILL));
	MUST(work_join(pid) == 128 + SIGKILL);
	/* One that dies of its own fault, with a core to write nowhere. */
	pid = fork();
	if (!pid) {
		volatile int *volatile nowhere = (int *)8;

		*nowhere = 1;
		_exit(0);
	}
	MUST(work_join(pid) == 128 + SIGSEGV);
	pid = fork();
	if (!pid) {
		volatile int zero = 0;

		_exit(100 / zero);
	}
	MUST(work_join(pid) == 128 + SIGFPE);
	return RIGHT;
}

static enum outcome timers(void)
{
	struct sigaction act = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	struct itimerval soon = { .it_value.tv_usec = 500 }, none = { };
	struct itimerspec spec = { .it_value.tv_nsec = 300000 };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 };
	struct timespec a, b, nap = { .tv_nsec = 200000 };
	uint64_t expired = 0;
	struct tms tms;
	struct rusage usage;
	timer_t timer;
	int fd;

	MUST(!sigaction(SIGALRM, &act, NULL) && !sigaction(SIGUSR2, &act, NULL));
	MUST(!setitimer(ITIMER_REAL, &soon, NULL));
	while (!got[SIGALRM])
		usleep(100);
	MUST(!timer_create(CLOCK_MONOTONIC, &event, &timer));
	MUST(!timer_settime(timer, 0, &spec, NULL));
	while (!got[SIGUSR2])
		usleep(100);
	MUST(timer_getoverrun(timer) >= 0 && !timer_delete(timer));
	MUST(!setitimer(ITIMER_VIRTUAL, &soon, NULL) && !setitimer(ITIMER_VIRTUAL, &none, NULL));
	fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC);
	MUST(fd >= 0 && !timerfd_settime(fd, 0, &spec, NULL));
	MUST(read(fd, &expired, sizeof(expired)) == sizeof(expired) && expired == 1);
	close(fd);
	for (int clock = CLOCK_REALTIME; clock <= CLOCK_BOOTTIME; clock++) {
		MUST(!syscall(SYS_clock_gettime, clock, &a) && !clock_getres(clock, &b));
		MUST(!syscall(SYS_clock_gettime, clock, &b));
		MUST(a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec <= b.tv_nsec));
	}
	MUST(!clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL));
	MUST(!clock_nanosleep(CLOCK_REALTIME, 0, &nap, NULL) && !nanosleep(&nap, NULL));
	MUST(times(&tms) != (clock_t)-1 && !getrusage(RUSAGE_SELF, &usage));
	return RIGHT;
}

static enum outcome waiting(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = 77 }, seen;
	int efd = eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE), ep = epoll_create1(0);
	struct pollfd poll_fd = { .fd = efd, .events = POLLIN };
	struct timeval none = { };
	uint64_t value = 2;
	fd_set set;

	MUST(efd >= 0 && ep >= 0 && !epoll_ctl(ep, EPOLL_CTL_ADD, efd, &event));
	MUST(epoll_wait(ep, &seen, 1, 0) == 0 && poll(&poll_fd, 1, 1) == 0);
	MUST(write(efd, &value, sizeof(value)) == sizeof(value));
	MUST(epoll_wait(ep, &seen, 1, -1) == 1 && seen.data.u64 == 77);
	MUST(epoll_wait(ep, &seen, 1, 0) == 0 && poll(&poll_fd, 1, -1) == 1);
	FD_ZERO(&set);
	FD_SET(efd, &set);
	MUST(select(efd + 1, &set, NULL, NULL, &none) == 1 && FD_ISSET(efd, &set));
	MUST(read(efd, &value, sizeof(value)) == sizeof(value) && value == 1);
	event.events = EPOLLIN | EPOLLONESHOT;
	MUST(!epoll_ctl(ep, EPOLL_CTL_MOD, efd, &event) && epoll_wait(ep, &seen, 1, 0) == 1);
	MUST(!epoll_ctl(ep, EPOLL_CTL_DEL, efd, NULL));
	close(efd);
	close(ep);
	return RIGHT;
}

static enum outcome scheduling(void)
{
	struct sched_param param = { .sched_priority = 1 };
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} attr = { .size = 48, .policy = 6 /* deadline */, .runtime = 100000,
		   .deadline = 10000000, .period = 10000000 };
	cpu_set_t set, all;
	unsigned int cpu, node;

	MUST(!sched_getaffinity(0, sizeof(all), &all) && CPU_ISSET(work_cpu, &all));
	for (int i = 0; i < sysconf(_SC_NPROCESSORS_ONLN); i++) {
		CPU_ZERO(&set);
		CPU_SET(i, &set);
		/* CPUs may come and go: who was bound to one that went is not bound any more. */
		if (sched_setaffinity(0, sizeof(set), &set)) {
			MUST(errno == EINVAL && i);
			continue;
		}
		MUST(!syscall(SYS_getcpu, &cpu, &node, NULL));
		MUST(!sched_getaffinity(0, sizeof(set), &set));
		MUST((int)cpu == i || CPU_COUNT(&set) > 1 || !CPU_ISSET(i, &set));
	}
	MUST(!sched_setaffinity(0, sizeof(all), &all));
	MUST(!setpriority(PRIO_PROCESS, 0, 5) && getpriority(PRIO_PROCESS, 0) == 5);
	MUST(!sched_setscheduler(0, SCHED_FIFO, &param) && sched_getscheduler(0) == SCHED_FIFO);
	sched_yield();
	MUST(!sched_setscheduler(0, SCHED_RR, &param));
	MUST(!sched_rr_get_interval(0, &(struct timespec){ }));
	param.sched_priority = 0;
	MUST(!sched_setscheduler(0, SCHED_BATCH, &param));
	MUST(!sched_setscheduler(0, SCHED_IDLE, &param));
	MUST(!sched_setscheduler(0, SCHED_OTHER, &param));
	if (!syscall(SYS_sched_setattr, 0, &attr, 0)) {
		sched_yield();
		MUST(!sched_setscheduler(0, SCHED_OTHER, &param));
	}
	return RIGHT;
}

static enum outcome traced(void)
{
	struct user_regs_struct regs;
	long word, steps = 0;
	int status;
	pid_t pid = fork();
	static volatile long cell = 1234;

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		getppid();
		_exit(cell == 4321 ? 0 : 1);
	}
	MUST(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	word = ptrace(PTRACE_PEEKDATA, pid, &cell, 0);
	MUST(word == 1234 && !ptrace(PTRACE_POKEDATA, pid, &cell, 4321));
	for (; steps < 20; steps++) {
		MUST(!ptrace(PTRACE_SINGLESTEP, pid, 0, 0));
		MUST(waitpid(pid, &status, 0) == pid && WSTOPSIG(status) == SIGTRAP);
	}
	MUST(!ptrace(PTRACE_GETREGS, pid, 0, &regs) && regs.rip);
	MUST(!ptrace(PTRACE_SETREGS, pid, 0, &regs));
	/* A watchpoint on the cell, which is read at the end. */
	ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg[0]), &cell);
	ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg[7]), 0xf0001);
	MUST(!ptrace(PTRACE_SYSCALL, pid, 0, 0) && waitpid(pid, &status, 0) == pid);
	MUST(!ptrace(PTRACE_CONT, pid, 0, 0));
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
		MUST(!ptrace(PTRACE_CONT, pid, 0, 0));
	MUST(WIFEXITED(status) && !WEXITSTATUS(status));
	return RIGHT;
}

static enum outcome filtered(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, code };

	MUST(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	NEED(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
	MUST(syscall(SYS_getppid) == -1 && errno == EXDEV && getpid() > 0);
	return RIGHT;
}

static enum outcome identities(void)
{
	char name[17] = "";
	gid_t groups[3] = { 5, 6, 7 };
	int fd;

	MUST(!prctl(PR_SET_NAME, "working") && !prctl(PR_GET_NAME, name));
	MUST(!strcmp(name, "working"));
	MUST(setsid() == getpid() && getsid(0) == getpid() && getpgid(0) == getpid());
	MUST(!setgroups(3, groups) && getgroups(3, groups) == 3 && groups[2] == 7);
	fd = open("owned", O_CREAT | O_WRONLY, 0600);
	MUST(fd >= 0);
	close(fd);
	MUST(!setresgid(100, 100, 100) && !setresuid(1000, 1000, 1000) && geteuid() == 1000);
	MUST(open("owned", O_RDONLY) < 0 && errno == EACCES);
	MUST(kill(1, SIGTERM) < 0 && errno == EPERM);
	MUST(sethostname("x", 1) < 0 && errno == EPERM);
	return RIGHT;
}

static int in_namespaces(void)
{
	char line[64] = "";

	if (getpid() != 1 || sethostname("inner", 5))
		return 1;
	mount("none", "/proc", "proc", 0, NULL);
	if (work_read_file("/proc/sys/kernel/hostname", line, sizeof(line)) < 0 ||
	    strncmp(line, "inner", 5))
		return 2;
	if (work_read_file("/proc/net/dev", line, sizeof(line)) < 0)
		return 3;
	return system("ip link set lo up && ping -c 1 -W 5 127.0.0.1 >/dev/null") ? 4 : 0;
}

static enum outcome namespaces(void)
{
	int flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWPID |
		    CLONE_NEWCGROUP;
	char before[65], after[65];
	pid_t pid;
	int err;

	MUST(!gethostname(before, sizeof(before)));
	/* One kind that the kernel has not makes all of them invalid. */
	err = unshare(flags) ? errno : 0;
	NEED(err != EINVAL);
	MUST(!err);
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	pid = fork();
	if (!pid)
		_exit(in_namespaces());
	MUST(work_join(pid) == 0);
	/* The parent's hostname is in the new namespace too; the test's own is not. */
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWUSER))
			_exit(SKIPPED);
		_exit(!work_write_file("/proc/self/uid_map", "0 0 1") || getuid());
	}
	MUST(work_join(pid) != WRONG && !gethostname(after, sizeof(after)));
	return RIGHT;
}

static enum outcome cgroups(void)
{
	char base[32], path[96], text[64];
	pid_t pid;

	snprintf(base, sizeof(base), "cg%d", work_cpu);
	mkdir(base, 0755);
	NEED(!mount("none", base, "cgroup2", 0, NULL));
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", base);
	work_write_file(path, "+memory +pids +cpu +io +cpuset");
	snprintf(path, sizeof(path), "%s/work%d", base, work_cpu);
	MUST(!mkdir(path, 0755) || errno == EEXIST);
	snprintf(path, sizeof(path), "%s/work%d/pids.max", base, work_cpu);
	work_write_file(path, "10");
	snprintf(path, sizeof(path), "%s/work%d/memory.max", base, work_cpu);
	work_write_file(path, "40000000");
	snprintf(path, sizeof(path), "%s/work%d/cpu.max", base, work_cpu);
	work_write_file(path, "90000 100000");
	pid = fork();
	if (!pid) {
		char *memory;

		snprintf(path, sizeof(path), "%s/work%d/cgroup.procs", base, work_cpu);
		snprintf(text, sizeof(text), "%d", getpid());
		if (!work_write_file(path, text))
			_exit(1);
		memory = malloc(1 << 20);
		work_fill(memory, 1 << 20, 1);
		_exit(work_join(fork() ?: (_exit(3), 0)) == 3 ? 0 : 2);
	}
	MUST(work_join(pid) == 0);
	snprintf(path, sizeof(path), "%s/work%d/memory.stat", base, work_cpu);
	work_read_file(path, text, sizeof(text));
	snprintf(path, sizeof(path), "%s/work%d", base, work_cpu);
	for (int i = 0; rmdir(path) && i < 100; i++)
		usleep(1000);
	MUST(access(path, F_OK) && !umount(base) && !rmdir(base));
	return RIGHT;
}

static enum outcome keys(void)
{
	char text[32] = "";
	long key = syscall(SYS_add_key, "user", "work:key", "secret", 6, KEY_SPEC_PROCESS_KEYRING);

	NEED(key > 0);
	MUST(syscall(SYS_keyctl, KEYCTL_READ, key, text, sizeof(text)) == 6);
	MUST(!memcmp(text, "secret", 6));
	MUST(!syscall(SYS_keyctl, KEYCTL_UPDATE, key, "other", 5));
	MUST(syscall(SYS_keyctl, KEYCTL_DESCRIBE, key, text, sizeof(text)) > 0);
	MUST(!syscall(SYS_keyctl, KEYCTL_REVOKE, key));
	MUST(syscall(SYS_keyctl, KEYCTL_READ, key, text, sizeof(text)) < 0);
	return RIGHT;
}

static enum outcome terminals(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	struct winsize size = { 50, 100, 0, 0 }, seen = { };
	struct termios mode;
	char line[32] = "";

	NEED(master >= 0);
	MUST(!grantpt(master) && !unlockpt(master));
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	MUST(slave >= 0 && isatty(slave) && !tcgetattr(slave, &mode));
	MUST(!ioctl(master, TIOCSWINSZ, &size) && !ioctl(slave, TIOCGWINSZ, &seen));
	MUST(seen.ws_col == 100 && write(master, "ab\177c\n", 5) == 5);
	MUST(read(slave, line, sizeof(line)) == 3 && !memcmp(line, "ac\n", 3));
	cfmakeraw(&mode);
	MUST(!tcsetattr(slave, TCSANOW, &mode) && write(slave, "x\n", 2) == 2);
	close(slave);
	close(master);
	return RIGHT;
}

const struct part process_parts[] = {
	{ "execs", execs }, { "signals", signals }, { "timers", timers }, { "waiting", waiting },
	{ "scheduling", scheduling }, { "traced", traced }, { "filtered", filtered },
	{ "identities", identities }, { "namespaces", namespaces }, { "cgroups", cgroups },
	{ "keys", keys }, { "terminals", terminals }, { }
};
