/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of ktramp exits share. Functions return 0 or -errno; those marked
 * "complains" have told the user why.
 */
#ifndef _KTRAMP_EXITS_H
#define _KTRAMP_EXITS_H

#include <limits.h>
#include <sys/types.h>

#include "../../bpf/exits.h"
#include "lib/ktramp.h"

#define EXITS_PINS	"/sys/fs/bpf/ktramp-exits"
#define EXITS_STATE	"/run/ktramp-exits"
#define EXITS_ID_MAX	64

/* exits_pins.c: the program and its maps, pinned: they outlive whoever made them. */
struct exits {
	const char *pins;
	const char *state;
	bool naive;
	int watched, events, counters, identify;	/* descriptors */
};

int exits_load(struct exits *exits, const char *pins, uint32_t size, bool naive); /* complains */
int exits_open(struct exits *exits, const char *pins);		/* complains */
void exits_close(struct exits *exits);
bool exits_are_loaded(const char *pins);
bool exits_are_open(const struct exits *exits);
int exits_unload(const char *pins);				/* complains */
int exits_count(const struct exits *exits, enum exits_counter counter, uint64_t *value);
void exits_add(const struct exits *exits, enum exits_counter counter);
/* -ESRCH: the process is gone, and so is its status. */
int exits_identify(const struct exits *exits, int pidfd, struct exits_identity *identity);
/* -E2BIG: a map is full; -EBUSY: the process is watched; -EEXIST: @trace is in use */
int exits_watch(const struct exits *exits, const struct exits_identity *identity,
		uint64_t trace);
void exits_unwatch(const struct exits *exits, const struct exits_identity *identity,
		   uint64_t trace);
bool exits_is_watched(const struct exits *exits, uint32_t tgid, uint64_t trace);
/* What the program would have recorded, had the process been watched in time. */
int exits_record_dead(const struct exits *exits, const struct exits_identity *identity,
		      uint64_t trace);
int exits_event(const struct exits *exits, uint64_t trace, struct exits_event *event);
void exits_forget(const struct exits *exits, uint64_t trace);

/* exits_records.c: what is known of each process, a file each */
enum record_state {
	RECORD_RUNNING	= 1,
	RECORD_EXITED	= 2,
	RECORD_LOST	= 3,	/* it is gone, and nobody saw with what status */
};

struct record {
	char id[EXITS_ID_MAX + 1];
	uint64_t trace;
	uint32_t pid;		/* in the initial PID namespace */
	uint64_t start;
	char boot[40];		/* start and trace mean something during this boot only */
	enum record_state state;
	int32_t status;
	uint64_t ended;
	char why[96];		/* lost */
};

bool record_id_is_valid(const char *id);
int records_open(const char *state, bool create);		/* complains; a descriptor */
int records_lock(int dir, const char *name, bool wait);		/* a descriptor */
int record_read(int dir, const char *id, struct record *record);
int record_write(int dir, const struct record *record);		/* complains */
int record_remove(int dir, const char *id);
int records_next_trace(int dir, uint64_t *trace);		/* complains */
int records_each(int dir, int (*each)(const struct record *record, void *arg), void *arg);
int this_boot(char *boot, size_t size);
json_t *record_json(const struct record *record);
void record_text(const struct record *record, char *text, size_t size);

/* exits_settle.c: from a process to its record, whoever dies first */
int exits_arm(const struct exits *exits, int dir, int pidfd, struct record *record);
int record_settle(const struct exits *exits, struct record *record, int *pidfd);
const char *settle_error(int err);

/* exits_run.c */
int exits_run(struct exits *exits, const char *id, char **argv);	/* complains */
int exits_adopt(struct exits *exits, const char *id, char **more,
		int nr_more);					/* complains */
/* @ids: those of records that go; the first one is @id */
int exits_drop(struct exits *exits, const char *id, char **ids, int nr);	/* complains */

/* exits_daemon.c */
int exits_daemon(struct exits *exits, uint32_t size, bool naive);	/* complains */
/* Does a daemon serve these records? */
bool exits_is_served(const struct exits *exits);

/* exits_list.c */
int exits_status(struct exits *exits, const char *id);		/* complains */
int exits_list(struct exits *exits);				/* complains */

#endif /* _KTRAMP_EXITS_H */
