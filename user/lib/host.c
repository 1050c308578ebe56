// SPDX-License-Identifier: GPL-2.0-only
/* The machine: its CPU, its kernel's release, and the signals it sends. */
#include <cpuid.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/ktramp.h"

volatile sig_atomic_t stopped;

static void stop(int sig)
{
	stopped = sig;
}

/*
 * What is held is put back on the way out of main(), so signals only set a flag.
 * Without SA_RESTART a KTRAMP_IOC_RUN in progress returns with -EINTR.
 */
void catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_handler = stop };

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, NULL);

	/* A reader that goes away is a write error, seen when stdout is closed. */
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL);
}

void cpu_model(char *buf, size_t size)
{
	static const char key[] = "model name";
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(buf, size, "unknown");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		char *value = strchr(line, ':');

		if (strncmp(line, key, strlen(key)) || !value)
			continue;
		value += strspn(value, ": \t");
		value[strcspn(value, "\n")] = '\0';
		snprintf(buf, size, "%s", value);
		break;
	}
	fclose(file);
}

/* QEMU without a hypervisor: its clock says nothing about any CPU. */
bool cpu_is_emulated(void)
{
	unsigned int eax, id[3] = { 0 };

	__cpuid(1, eax, id[0], id[1], id[2]);
	if (!(id[1] & (1U << 31)))
		return false;
	__cpuid(0x40000000, eax, id[0], id[1], id[2]);
	return !memcmp(id, "TCGTCGTCGTCG", sizeof(id));
}

long first_cpu(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 0;
	for (long cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			return cpu;
	return 0;
}

int pin_to_cpu(unsigned int cpu)
{
	cpu_set_t set;
	int err;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (!sched_setaffinity(0, sizeof(set), &set))
		return 0;
	err = -errno;
	p_err("cannot run on CPU %u: %s; is it online, and allowed to this task (taskset -p $$)?",
	      cpu, strerror(-err));
	return err;
}

int kernel_release(struct utsname *uts)
{
	int err;

	if (!uname(uts))
		return 0;
	err = -errno;
	p_err("cannot tell the kernel's release: %s", strerror(-err));
	return err;
}

/* Run a command. @status: (out) as a shell has it: what it exited with, or 128 and its signal. */
int command_run(char **command, int *status)
{
	pid_t child;
	int how, err;

	fflush(stdout);
	child = fork();
	if (!child) {
		signal(SIGPIPE, SIG_DFL);
		execvp(command[0], command);
		p_err("cannot run '%s': %s", command[0], strerror(errno));
		_exit(127);
	}
	while (child > 0 && waitpid(child, &how, 0) < 0 && errno == EINTR)
		;
	if (child < 0) {
		err = -errno;
		p_err("cannot run the command: %s", strerror(-err));
		return err;
	}
	*status = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
	return 0;
}
