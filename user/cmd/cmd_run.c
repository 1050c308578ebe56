// SPDX-License-Identifier: GPL-2.0-only
/* ktramp run: a tool as it is, its kprobes by ktramp's jumps. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run/run.h"

/* What a shell says of a command that it cannot find, or not execute. */
#define EXIT_NOT_EXECUTABLE	126
#define EXIT_NOT_FOUND		127

struct options {
	const char *output;
	bool verbose;
	char **command;
};

/* The command, and what its state is waited for by. */
struct child {
	pid_t pid;
	int pidfd;
	int signals;
	int status;
	bool ended;
};

static const struct argp_option options[] = {
	{ "output", 'o', "FILE", 0, "Write the table there, not to stderr", 0 },
	{ "verbose", 'v', NULL, 0, "Say of each probe, when it is made, who serves it", 0 },
	{ }
};

static const char doc[] =
	"Run COMMAND as it is, and serve its kprobes with ktramp's jumps: bpftrace, bcc's tools, "
	"what is made with libbpf. At an instruction that the kernel does not optimize, a hit "
	"then costs a tenth.\v"
	"Served are kprobes that run a BPF program, at any instruction, by perf events. Everything "
	"else the kernel does as it would have: return probes, kprobe.multi, uprobes, tracepoints, "
	"fentry, tracefs, and whatever ktramp refuses. A tool that gave up its privileges gets "
	"nothing that it could not have had.\n\n"
	"When the last of the command's processes has ended, a table on stderr says who served each "
	"probe, and why the kernel if it did. SIGUSR1 prints it as it is then.\n\n"
	"Exit status: the command's; if a signal ended it, the same signal. 127 if there is no such "
	"command, 126 if it cannot be executed, 1 if it could not be watched, 2 on wrong usage.\n\n"
	"Examples:\n"
	"  ktramp run -- bpftrace -e 'kprobe:vfs_read+23 { @[comm] = count(); }'\n"
	"  ktramp run -o table.txt -- funclatency-bpfcc -d 5 vfs_read\n"
	"  ktramp run --json -- ./mytool 2>served.jsonl\n";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opts = state->input;

	switch (key) {
	case 'o':
		opts->output = arg;
		return 0;
	case 'v':
		opts->verbose = true;
		return 0;
	case ARGP_KEY_ARG:
		/* What follows is the command's. */
		opts->command = &state->argv[state->next - 1];
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		if (!opts->command)
			argp_error(state, "a COMMAND is needed");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "COMMAND [ARG...]", .doc = doc,
	.children = out_children,
};

/* ---- starting ---- */

/*
 * The child puts itself under the filter, says which descriptor the listener is, and goes on
 * when the parent has it: from exec on nobody but the parent does.
 */
static void become_command(char **command, int to_parent, int from_parent, const sigset_t *mask)
{
	int listener = run_filter_install();
	char go;

	if (write(to_parent, &listener, sizeof(listener)) != sizeof(listener) || listener < 0 ||
	    read(from_parent, &go, sizeof(go)) != sizeof(go))
		_exit(EXIT_FAILED);
	sigprocmask(SIG_SETMASK, mask, NULL);
	signal(SIGPIPE, SIG_DFL);
	execvp(command[0], command);
	p_err("cannot run '%s': %s", command[0], strerror(errno));
	_exit(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

/* Return: the listener as a descriptor of ours, or -errno. */
static int take_listener(const struct child *child, int from_child, int to_child)
{
	int number, listener;
	char go = 0;

	if (read(from_child, &number, sizeof(number)) != sizeof(number) || number < 0)
		return -EIO;	/* it has said why */
	listener = syscall(SYS_pidfd_getfd, child->pidfd, number, 0);
	if (listener < 0 || write(to_child, &go, sizeof(go)) != sizeof(go)) {
		p_err("cannot watch the command: %s", strerror(errno));
		return -errno;
	}
	return listener;
}

static int start(struct run *run, struct child *child, char **command, const sigset_t *mask)
{
	int up[2], down[2];

	if (pipe2(up, O_CLOEXEC) || pipe2(down, O_CLOEXEC))
		goto failed;
	fflush(stdout);
	child->pid = fork();
	if (child->pid < 0)
		goto failed;
	if (!child->pid)
		become_command(command, up[1], down[0], mask);
	close(up[1]);
	close(down[0]);
	child->pidfd = syscall(SYS_pidfd_open, child->pid, 0);
	if (child->pidfd < 0)
		goto failed;
	run->listener = take_listener(child, up[0], down[1]);
	close(up[0]);
	close(down[1]);
	return run->listener < 0 ? run->listener : 0;
failed:
	p_err("cannot run the command: %s", strerror(errno));
	return -errno;
}

/* ---- the table ---- */

static const char *served_by(const struct run_probe *p)
{
	return p->id ? tactic_name(p->info.tactic) : "kernel";
}

static json_t *served_json(const struct run_probe *p)
{
	if (!p->id)
		return json_pack("{s:s, s:s, s:s, s:s, s:n, s:n, s:s}", "type", "served",
				 "comm", p->comm, "site", p->site, "by", "kernel", "hits", "missed",
				 "why", p->why);
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:n}", "type", "served", "comm", p->comm,
			 "site", p->site, "by", served_by(p), "hits", (json_int_t)p->info.hits,
			 "missed", (json_int_t)p->info.missed, "why");
}

static void print_rows(FILE *to, const struct run *run)
{
	size_t ours = 0;

	fprintf(to, "%-16s %-12s %12s %8s  %s\n", "COMM", "SERVED BY", "HITS", "MISSED", "SITE");
	for (size_t i = 0; i < run->nr_probes; i++) {
		const struct run_probe *p = run->probes[i];

		ours += p->id != 0;
		if (p->id)
			fprintf(to, "%-16s %-12s %12llu %8llu  %s\n", p->comm, served_by(p),
				(unsigned long long)p->info.hits,
				(unsigned long long)p->info.missed, p->site);
		else
			fprintf(to, "%-16s %-12s %12s %8s  %s: %s\n", p->comm, "kernel", "-", "-",
				p->site, p->why);
	}
	fprintf(to, "%zu of %zu kprobes served by ktramp; %llu system calls asked about\n", ours,
		run->nr_probes, (unsigned long long)run->questions);
}

static int print_table(const struct run *run, const char *output)
{
	FILE *to = output ? fopen(output, "we") : stderr;
	int err = 0;

	if (!to) {
		p_err("cannot write '%s': %s", output, strerror(errno));
		return -errno;
	}
	if (!out_json)
		print_rows(to, run);
	for (size_t i = 0; out_json && i < run->nr_probes && !err; i++)
		err = out_line(to, served_json(run->probes[i]));
	if (output && fclose(to) && !err) {
		err = -errno;
		p_err("cannot write all of '%s': %s", output, strerror(errno));
	}
	return err;
}

/* ---- while it runs ---- */

static void reap(struct child *child)
{
	/* Until 6.11 a zombie holds the filter: the listener ends only when it is waited for. */
	if (waitpid(child->pid, &child->status, 0) == child->pid)
		child->ended = true;
	close(child->pidfd);
	child->pidfd = -1;
}

/* What is sent to us is meant for the command; what comes from the terminal it has already. */
static void on_signal(struct run *run, const struct child *child, const struct options *opts)
{
	struct signalfd_siginfo info;

	if (read(child->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGUSR1) {
		run_refresh(run);
		print_table(run, opts->output);
	} else if (info.ssi_code <= 0 && !child->ended) {
		kill(child->pid, info.ssi_signo);
	}
}

/* Until the last task under the filter is gone, which may be long after the command is. */
static void serve_all(struct run *run, struct child *child, const struct options *opts)
{
	for (;;) {
		struct pollfd wait[] = {
			{ run->listener, POLLIN, 0 }, { child->pidfd, POLLIN, 0 },
			{ child->signals, POLLIN, 0 },
		};
		int n = poll(wait, ARRAY_SIZE(wait), -1);

		if (n < 0 && errno != EINTR)
			return;
		if (n <= 0)
			continue;
		if (wait[2].revents & POLLIN)
			on_signal(run, child, opts);
		if (wait[1].revents & POLLIN)
			reap(child);
		if (wait[0].revents & POLLIN)
			run_serve_one(run);
		else if (wait[0].revents & (POLLHUP | POLLERR))
			return;
	}
}

/* Ends as the command did. */
static int status_of(const struct child *child)
{
	struct rlimit none = { 0, 0 };
	sigset_t all;

	if (WIFEXITED(child->status))
		return WEXITSTATUS(child->status);
	/* The core, if any, is the command's. */
	setrlimit(RLIMIT_CORE, &none);
	fflush(NULL);
	signal(WTERMSIG(child->status), SIG_DFL);
	sigfillset(&all);
	sigprocmask(SIG_UNBLOCK, &all, NULL);
	raise(WTERMSIG(child->status));
	return 128 + WTERMSIG(child->status);
}

static int run_command(struct run *run, const struct options *opts)
{
	struct child child = { .pidfd = -1, .signals = -1 };
	sigset_t taken, before;
	int err;

	sigemptyset(&taken);
	sigaddset(&taken, SIGINT);
	sigaddset(&taken, SIGQUIT);
	sigaddset(&taken, SIGTERM);
	sigaddset(&taken, SIGHUP);
	sigaddset(&taken, SIGUSR1);
	sigprocmask(SIG_BLOCK, &taken, &before);
	child.signals = signalfd(-1, &taken, SFD_CLOEXEC);
	if (child.signals < 0) {
		p_err("cannot wait for signals: %s", strerror(errno));
		return EXIT_FAILED;
	}
	err = start(run, &child, opts->command, &before);
	if (!err)
		serve_all(run, &child, opts);
	if (child.pidfd >= 0)
		reap(&child);
	if (err)
		return EXIT_FAILED;
	close(run->listener);
	run_refresh(run);
	print_table(run, opts->output);
	return status_of(&child);
}

int cmd_run(int argc, char **argv)
{
	struct options opts = { 0 };
	struct dev dev __cleanup(dev_close) = { .fd = -1 };
	struct run run = { .dev = &dev, .listener = -1 };
	int status = EXIT_FAILED;

	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &opts);
	run.verbose = opts.verbose;
	if (dev_open(&dev))
		return EXIT_FAILED;
	if (!run_serve_init(&run))
		status = run_command(&run, &opts);
	run_serve_deinit(&run);
	return status;
}
