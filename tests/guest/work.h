/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the workload share. */
#ifndef WORK_H
#define WORK_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A part's outcome, as its exit status. */
enum outcome {
	RIGHT	= 0,
	WRONG	= 1,
	SKIPPED	= 2,	/* this kernel has not what it needs */
};

struct part {
	const char *name;
	enum outcome (*run)(void);
};

/* Each list ends with an entry without a name. */
extern const struct part file_parts[], memory_parts[], process_parts[], net_parts[],
	kernel_parts[];

extern int work_cpu;
extern char work_dir[32];	/* the current directory, this CPU's own */
extern bool work_lacks;		/* the part went on without a step */

enum outcome work_wrong(const char *file, int line, const char *what);
uint32_t work_sum(const void *bytes, size_t size);
void work_fill(void *bytes, size_t size, uint32_t seed);
int work_join(pid_t pid);	/* its exit status, or 128 + signal */
ssize_t work_read_file(const char *path, char *buf, size_t size);	/* -1: it cannot be read */
bool work_write_file(const char *path, const char *text);

/*
 * A step that must have this outcome; one without which there is no part; and a system call that
 * a kernel may be built without: the part goes on, and in the end counts as without support.
 */
#define MUST(condition)								\
	do {									\
		if (!(condition))						\
			return work_wrong(__FILE_NAME__, __LINE__, #condition);	\
	} while (0)
#define NEED(condition)								\
	do {									\
		if (!(condition))						\
			return SKIPPED;						\
	} while (0)
#define WANT(condition)								\
	do {									\
		errno = 0;							\
		if (condition)							\
			break;							\
		if (errno != ENOSYS)						\
			return work_wrong(__FILE_NAME__, __LINE__, #condition);	\
		work_lacks = true;						\
	} while (0)

#endif /* WORK_H */
