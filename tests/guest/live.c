// SPDX-License-Identifier: GPL-2.0-only
/* What runs while a kernel has breakpoints all over. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kt.h"
#include "live.h"

#define SHARED		"/tmp/workload"
#define PROGRAM		"/tests/workload"

bool live_share(struct load *load)
{
	size_t size = WORKLOADS_MAX * sizeof(*load->shared);
	int fd = open(SHARED, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, size))
		return false;
	load->shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	load->nr = MIN(sysconf(_SC_NPROCESSORS_ONLN), WORKLOADS_MAX);
	return load->shared != MAP_FAILED;
}

void live_start(struct load *load)
{
	for (unsigned int i = 0; i < load->nr; i++) {
		char cpu[16];

		snprintf(cpu, sizeof(cpu), "%u", i);
		atomic_store(&load->shared[i].stop, false);
		atomic_store(&load->shared[i].begun, 0);
		atomic_store(&load->shared[i].ended, 0);
		load->pid[i] = fork();
		if (!load->pid[i]) {
			execl(PROGRAM, PROGRAM, cpu, SHARED, getenv("LIVE_WORK"), NULL);
			_exit(127);
		}
	}
}

static bool is_alive(const struct load *load, unsigned int i)
{
	return !waitpid(load->pid[i], NULL, WNOHANG);
}

/* Until every CPU has done a whole round that began after now. @each: called now and then */
bool live_wait(const struct load *load, void (*each)(void *data), void *data)
{
	unsigned long until[WORKLOADS_MAX];
	bool alive = true;

	for (unsigned int i = 0; i < load->nr; i++)
		until[i] = atomic_load(&load->shared[i].begun) + 1;
	for (unsigned int i = 0; i < load->nr; i++)
		while (alive && atomic_load(&load->shared[i].ended) < until[i]) {
			usleep(300000);
			alive = is_alive(load, i);
			if (alive && each)
				each(data);
		}
	return alive;
}

/* Return: how many did not end as they should. */
unsigned int live_stop(const struct load *load)
{
	unsigned int failed = 0;
	int status;

	for (unsigned int i = 0; i < load->nr; i++)
		atomic_store(&load->shared[i].stop, true);
	for (unsigned int i = 0; i < load->nr; i++)
		failed += waitpid(load->pid[i], &status, 0) != load->pid[i] || status;
	return failed;
}

void live_print(const struct load *load)
{
	for (unsigned int i = 0; i < load->nr; i++) {
		const struct workload *w = &load->shared[i];

		printf("# CPU %u: %lu parts without support, %lu wrong%s%s\n", i,
		       atomic_load(&w->skipped), atomic_load(&w->wrong),
		       *w->why ? ", first: " : "", w->why);
	}
}
