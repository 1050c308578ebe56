// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run as much of the kernel as is cheap, and check what comes out of it.
 *
 * usage: workload CPU FILE [PART]
 *
 * Round after round on one CPU until FILE, which holds a struct workload for each CPU, says
 * stop: then the part that runs is the last. Each part is a process of its own, so that what
 * it leaves behind goes with it.
 * Exit status: 0; 1 if anything was wrong, which FILE tells.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "work.h"
#include "workload.h"

static struct workload *shared;

static const struct part *const lists[] = { file_parts, memory_parts, process_parts, net_parts,
					    kernel_parts };

int work_cpu;
char work_dir[32];
bool work_lacks;

enum outcome work_wrong(const char *file, int line, const char *what)
{
	int err = errno;

	if (!*shared->why)
		snprintf(shared->why, sizeof(shared->why), "%s %s:%d: %s (%s)", shared->part,
			 file, line, what, strerror(err));
	return WRONG;
}

uint32_t work_sum(const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	uint32_t sum = 2166136261;

	while (size--)
		sum = (sum ^ *at++) * 16777619;
	return sum;
}

void work_fill(void *bytes, size_t size, uint32_t seed)
{
	uint8_t *to = bytes;

	while (size--) {
		seed = seed * 1664525 + 1013904223;
		*to++ = seed >> 24;
	}
}

int work_join(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

ssize_t work_read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = -1, len = 0;

	if (fd < 0)
		return -1;
	while (len < (ssize_t)size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += n;
	close(fd);
	buf[len] = '\0';
	return n < 0 && !len ? -1 : len;
}

bool work_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return good;
}

static void run_part(const struct part *part, unsigned long *skipped)
{
	pid_t pid;
	int status;

	snprintf(shared->part, sizeof(shared->part), "%s", part->name);
	pid = fork();
	if (!pid) {
		enum outcome outcome;

		/* Whatever hangs is wrong too. */
		alarm(300);
		outcome = part->run();
		_exit(outcome == RIGHT && work_lacks ? SKIPPED : outcome);
	}
	status = work_join(pid);
	if (status == SKIPPED) {
		(*skipped)++;
	} else if (status) {
		atomic_fetch_add(&shared->wrong, 1);
		if (!*shared->why)
			snprintf(shared->why, sizeof(shared->why), "%s: ended with %d", part->name,
				 status);
	}
}

static void run_round(const char *only)
{
	unsigned long skipped = 0;

	atomic_fetch_add(&shared->begun, 1);
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		for (const struct part *part = lists[i]; part->name; part++) {
			if (atomic_load(&shared->stop))
				return;
			if (!only || !strcmp(only, part->name))
				run_part(part, &skipped);
		}
	}
	if (skipped > atomic_load(&shared->skipped))
		atomic_store(&shared->skipped, skipped);
	atomic_fetch_add(&shared->ended, 1);
}

static bool attach(const char *file)
{
	size_t size = WORKLOADS_MAX * sizeof(*shared);
	int fd = open(file, O_RDWR | O_CLOEXEC);
	void *map;

	if (fd < 0)
		return false;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return false;
	shared = (struct workload *)map + work_cpu;
	return true;
}

int main(int argc, char **argv)
{
	const char *only = argc > 3 ? argv[3] : NULL;
	cpu_set_t set;

	if (argc < 3 || atoi(argv[1]) < 0 || atoi(argv[1]) >= WORKLOADS_MAX) {
		fprintf(stderr, "usage: workload CPU FILE [PART]\n");
		return 2;
	}
	work_cpu = atoi(argv[1]);
	CPU_ZERO(&set);
	CPU_SET(work_cpu, &set);
	snprintf(work_dir, sizeof(work_dir), "/tmp/work%d", work_cpu);
	mkdir(work_dir, 0755);
	if (sched_setaffinity(0, sizeof(set), &set) || !attach(argv[2]) || chdir(work_dir)) {
		perror("workload");
		return 2;
	}
	do
		run_round(only);
	while (!atomic_load(&shared->stop));
	return atomic_load(&shared->wrong) ? 1 : 0;
}
