/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of ktramp overlay share. Functions return 0 or -errno; those marked
 * "complains" have told the user why.
 */
#ifndef _KTRAMP_OVERLAY_H
#define _KTRAMP_OVERLAY_H

#include <sys/types.h>

#include "lib/ktramp.h"

#define OVERLAY_LAYERS_MAX	500	/* OVL_MAX_STACK of fs/overlayfs */
#define OVERLAY_PATH_MAX	128	/* of a scratch directory, and of what is right below it */

/*
 * mount(2) copies one page of options and writes NUL over its last byte: what is behind
 * these bytes is lost without an error (copy_mount_options() and path_mount(), fs/namespace.c).
 */
#define OVERLAY_OPTIONS_MAX	4095

/*
 * Layers on the scratch file system. Each holds a marker file of its own, and a file
 * "which" that all of them have: in a right view all markers are there, and "which" is
 * the uppermost layer's.
 */
struct layers {
	char dir[OVERLAY_PATH_MAX];
	unsigned int nr;
	unsigned int width;	/* characters in a name */
	unsigned int narrow;	/* in the first so many names it is one less */
};

/* overlay_layers.c */
int scratch_enter(char *dir, size_t size);	/* complains */
void scratch_leave(const char *dir);
int layers_make(const struct layers *layers);	/* complains */
void layers_name(const struct layers *layers, unsigned int i, char *name, size_t size);
char *layers_options(const struct layers *layers, bool absolute);
int layers_view(const struct layers *layers, const char *view, unsigned int *merged);
int options_check(const char *options, char *why, size_t size);

/* overlay_mount.c */
enum overlay_mode {
	OVERLAY_DIRECT,
	OVERLAY_THREAD,
	OVERLAY_FORK,
	OVERLAY_FORKEXEC,
	OVERLAY_FSCONFIG,
	OVERLAY_MODES,
};

extern const char *const overlay_mode_names[OVERLAY_MODES];

/* Nanoseconds; where the clock is icount, instructions. */
struct overlay_times {
	uint64_t setup;		/* until the context that mounts is ready to */
	uint64_t mount;
	uint64_t teardown;	/* until that context is gone */
	uint64_t total;
};

struct overlay_probes;
struct overlay_job;

struct overlay_job *overlay_job_open(void);	/* complains */
void overlay_job_close(struct overlay_job **job);
/* @probes: count what this makes the kernel do; NULL: measure undisturbed. */
int overlay_mount(enum overlay_mode mode, struct overlay_job *job, const struct layers *layers,
		  const char *view, struct overlay_probes *probes, struct overlay_times *times,
		  char *why, size_t size);
int overlay_worker(int fd);
int overlay_raw(const struct layers *layers, const char *view, const char *options);
int overlay_by_layer(const struct layers *layers, const char *view, char *why, size_t size);
/* 0, or -EOPNOTSUPP with what the kernel says. */
int overlay_has_by_layer(const struct layers *layers, char *why, size_t size);

/* overlay_probes.c */
#define OVERLAY_POINTS_MAX	32

/* Whose hits count: the process that wants the mount, or the one that makes it. */
enum overlay_role {
	ROLE_CALLER,
	ROLE_WORKER,
};

struct overlay_point {
	const char *function;
	const char *module;	/* NULL: in the kernel itself */
	enum overlay_role role;
};

struct overlay_probes {
	const struct dev *dev;
	pid_t self;
	bool follows;				/* the worker is a process of its own */
	uint32_t own[OVERLAY_POINTS_MAX];	/* 0: this kernel has none, see @why */
	uint32_t child[OVERLAY_POINTS_MAX];
	char site[OVERLAY_POINTS_MAX][64];
	char why[OVERLAY_POINTS_MAX][KTRAMP_WHY_MAX];
	uint64_t base[OVERLAY_POINTS_MAX];
	uint64_t count[OVERLAY_POINTS_MAX];
};

extern const struct overlay_point overlay_points[];
extern const unsigned int overlay_nr_points;

int overlay_probes_open(struct overlay_probes *probes, const struct dev *dev);	/* complains */
int overlay_probes_begin(struct overlay_probes *probes, bool follows);		/* complains */
int overlay_probes_follow(struct overlay_probes *probes, pid_t worker);		/* complains */
int overlay_probes_end(struct overlay_probes *probes);				/* complains */

/* overlay_report.c */
enum mount_state {
	MOUNT_OK,
	MOUNT_REFUSED,	/* by our builder: it would not fit */
	MOUNT_FAILED,
};

struct mode_row {
	enum overlay_mode mode, used;
	enum mount_state state;
	char why[256];		/* it was refused or failed */
	char fallback[256];	/* @used is not @mode */
	unsigned int bytes;	/* of the option string, 0: there is none */
	struct spread setup, mount, teardown, total;
	uint64_t count[OVERLAY_POINTS_MAX];
};

struct overlay_report {
	unsigned int layers;
	unsigned int rss;	/* MiB */
	unsigned int repeat;
	uint32_t clock;
	unsigned int nr;
	struct mode_row rows[OVERLAY_MODES];
};

int overlay_report(const struct overlay_report *report,
		   const struct overlay_probes *probes);	/* complains */

/* overlay_checks.c: each prints its result; 0 if the kernel did what it has to. */
int overlay_concurrent(const char *scratch, unsigned int threads, unsigned int mounts,
		       bool unshared);
int overlay_limits(const char *scratch);

#endif /* _KTRAMP_OVERLAY_H */
