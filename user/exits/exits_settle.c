// SPDX-License-Identifier: GPL-2.0-only
/*
 * From a process to its record. The order of the steps makes up for every death in
 * between: of the process, of the daemon, of whoever started either.
 */
#include <errno.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "exits/exits.h"

static int watch_as_new(const struct exits *exits, int dir,
			const struct exits_identity *identity, uint64_t *trace)
{
	int err;

	/* Records that were lost took their sequence with them; the maps may know its numbers. */
	do {
		err = records_next_trace(dir, trace);
		if (!err)
			err = exits_watch(exits, identity, *trace);
	} while (err == -EEXIST);
	return err;
}

/*
 * Watch the process of @pidfd, which fills in @record. Under the records' lock.
 *
 *  (1) who is it: number, and when it started
 *  (2) put it on the list, with room for its exit
 *  (3) ask again: if a thread lived after (2), the tracepoint of its last one is still to
 *      come and will find it on the list. Signal 0 would not tell, it reaches a zombie too
 *  (4) if none did, the exit was missed or is being recorded; its status is there to read
 *      until somebody reaps it, and whoever takes it off the list writes the event
 *
 * Return: 0; -ESRCH: it was gone before it was on the list, and so is its status.
 */
int exits_arm(const struct exits *exits, int dir, int pidfd, struct record *record)
{
	struct exits_identity identity, again;
	struct exits_event event;
	int err;

	err = exits_identify(exits, pidfd, &identity);		/* (1) */
	if (!err)
		err = watch_as_new(exits, dir, &identity, &record->trace); /* (2) */
	if (!err)
		err = this_boot(record->boot, sizeof(record->boot));
	if (err)
		return err;
	record->state = RECORD_RUNNING;
	record->pid = identity.tgid;
	record->start = identity.start;

	err = exits_identify(exits, pidfd, &again);		/* (3) */
	if (err && !exits_event(exits, record->trace, &event) && event.state == EXITS_EXITED)
		return 0;
	if (err)
		exits_unwatch(exits, &identity, record->trace);
	else if (again.dead)
		err = exits_record_dead(exits, &again, record->trace); /* (4) */
	return err;
}

static bool take_event(const struct exits *exits, struct record *record)
{
	struct exits_event event;

	if (exits_event(exits, record->trace, &event) || event.state != EXITS_EXITED)
		return false;
	record->state = RECORD_EXITED;
	record->status = event.status;
	record->ended = event.ended;
	return true;
}

static void lose(struct record *record, const char *why)
{
	record->state = RECORD_LOST;
	snprintf(record->why, sizeof(record->why), "%s", why);
}

static bool is_same(const struct record *record, const struct exits_identity *identity)
{
	return identity->tgid == record->pid && identity->start == record->start;
}

/* It lives, but nothing would record its exit: the maps it was in are gone. */
static int watch_anew(const struct exits *exits, const struct exits_identity *identity,
		      struct record *record)
{
	if (exits->naive || exits_is_watched(exits, record->pid, record->trace))
		return 0;
	exits_forget(exits, record->trace);
	return exits_watch(exits, identity, record->trace);
}

/*
 * Is the process of a record that says "running" still running, or how did it end? An event
 * is believed first; then the process is asked; then the event again, because it may have
 * come in between.
 *
 * @pidfd: (out) of the process if it runs, or -1
 *
 * Return: 0 with @record brought up to date, or -errno if it cannot be told: -ENODEV without the
 * program, which the maps went with.
 */
int record_settle(const struct exits *exits, struct record *record, int *pidfd)
{
	struct exits_identity identity;
	char boot[sizeof(record->boot)];
	int fd, err;

	*pidfd = -1;
	if (record->state != RECORD_RUNNING)
		return 0;
	err = this_boot(boot, sizeof(boot));
	if (err)
		return err;
	if (strcmp(boot, record->boot)) {
		lose(record, "the machine was restarted");
		return 0;
	}
	if (!exits_are_open(exits))
		return -ENODEV;
	if (take_event(exits, record))
		return 0;

	fd = pidfd_open(record->pid, 0);
	err = fd < 0 ? -errno : exits_identify(exits, fd, &identity);
	if (!err && is_same(record, &identity) && !identity.dead)
		err = watch_anew(exits, &identity, record);
	else if (!err && is_same(record, &identity))
		err = exits_record_dead(exits, &identity, record->trace);
	else if (!err || err == -ESRCH || err == -EINVAL)
		err = -ESRCH;

	if (take_event(exits, record)) {
		err = 0;
	} else if (err == -ESRCH) {
		lose(record, "it ended, and that was not recorded");
		err = 0;
	} else if (!err && fd >= 0) {
		*pidfd = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return err;
}

/* What -errno of record_settle() is for, as the end of a sentence. */
const char *settle_error(int err)
{
	return err == -ENODEV ? "nothing records exits any more; start 'ktramp exits daemon'" :
				strerror(-err);
}
