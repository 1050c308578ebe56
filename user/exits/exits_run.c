// SPDX-License-Identifier: GPL-2.0-only
/*
 * Start a program whose exit will be recorded, or see to it for a process that runs
 * already. Nothing of ours stays: the daemon need not be there, nor whoever called this.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exits/exits.h"

#define LOCK	".lock"

/* ---- what both have in common ---- */

/*
 * An ID is free if its process has ended and the daemon has told so; until then the record
 * is what the exit will be told by.
 */
static int check_ended(const struct exits *exits, int dir, const char *id, const char *otherwise)
{
	struct record record;
	char text[160];
	int err = record_read(dir, id, &record), pidfd;

	if (err == -ENOENT || (!err && record.state != RECORD_RUNNING))
		return 0;
	if (!err)
		err = record_settle(exits, &record, &pidfd);
	if (err) {
		p_err("cannot tell whether '%s' is in use: %s", id, settle_error(err));
		return err;
	}
	if (pidfd >= 0)
		close(pidfd);
	record_text(&record, text, sizeof(text));
	p_err("'%s' is process %u, %s%s: %s", id, record.pid, text,
	      pidfd >= 0 ? "" : ", which the daemon has not told yet", otherwise);
	return -EEXIST;
}

static int check_free(const struct exits *exits, int dir, const char *id)
{
	return check_ended(exits, dir, id, "take another name");
}

static int complain_arm(const struct exits *exits, const char *id, int err)
{
	switch (err) {
	case -E2BIG:
		exits_add(exits, EXITS_REFUSED);
		p_err("cannot watch '%s': as many processes are watched, or have exits that nobody has "
		      "fetched, as there is room for; start the daemon, or load it with a larger "
		      "--size", id);
		break;
	case -EBUSY:
		p_err("cannot watch '%s': this process is watched under another name", id);
		break;
	case -ESRCH:
		p_err("cannot watch '%s': the process is gone, and its status went to its parent",
		      id);
		break;
	default:
		p_err("cannot watch '%s': %s", id, strerror(-err));
	}
	return err;
}

static int begin(struct exits *exits, int *dir)
{
	int lock;

	*dir = records_open(exits->state, false);
	if (*dir < 0)
		return *dir;
	lock = records_lock(*dir, LOCK, true);
	if (lock < 0) {
		p_err("cannot lock '%s': %s", exits->state, strerror(-lock));
		close(*dir);
	}
	return lock;
}

static int arm_and_write(struct exits *exits, int dir, int pidfd, struct record *record)
{
	int err = exits_arm(exits, dir, pidfd, record);
	struct exits_identity identity = { .tgid = record->pid, .start = record->start };

	if (err)
		return complain_arm(exits, record->id, err);
	err = record_write(dir, record);
	if (err)
		exits_unwatch(exits, &identity, record->trace);
	return err;
}

static int report(const struct record *record)
{
	if (out_json)
		return out_line(stdout, record_json(record));
	printf("%s is process %u\n", record->id, record->pid);
	return 0;
}

/* ---- a program that is started ---- */

struct child {
	pid_t pid;
	int pidfd;
	int gate;	/* a byte lets it execute, if it can; closing ends it */
	int failure;	/* errno of execvp(), or nothing */
};

static void child_main(int gate, int failure, char **argv)
{
	char byte;
	int err;

	if (read(gate, &byte, 1) != 1)
		_exit(EXIT_FAILED);
	execvp(*argv, argv);
	err = errno;
	/* What never began has no exit: it waits until nobody watches it any more. */
	if (write(failure, &err, sizeof(err)) != sizeof(err) || read(gate, &byte, 1))
		_exit(EXIT_FAILED);
	_exit(err == ENOENT ? 127 : 126);
}

static int start(struct child *child, char **argv)
{
	int gate[2], failure[2], err;

	if (pipe2(gate, O_CLOEXEC))
		return -errno;
	if (pipe2(failure, O_CLOEXEC)) {
		err = -errno;
		close(gate[0]);
		close(gate[1]);
		return err;
	}
	/* What is buffered would be written twice. */
	fflush(NULL);
	child->pid = fork();
	if (!child->pid) {
		close(gate[1]);
		child_main(gate[0], failure[1], argv);
	}
	err = child->pid < 0 ? -errno : 0;
	close(gate[0]);
	close(failure[1]);
	child->gate = gate[1];
	child->failure = failure[0];
	child->pidfd = err ? -1 : pidfd_open(child->pid, 0);
	return err ?: child->pidfd < 0 ? -errno : 0;
}

static int let_go(struct child *child, const char *program)
{
	int err = 0;

	/* A child that was killed at the gate is recorded like any other. */
	if (write(child->gate, "", 1) != 1)
		return 0;
	if (read(child->failure, &err, sizeof(err)) == sizeof(err)) {
		p_err("cannot execute '%s': %s", program, strerror(err));
		return -err;
	}
	return 0;
}

/* It executes nothing, and will not. */
static void end(struct child *child)
{
	close(child->gate);
	child->gate = -1;
	waitpid(child->pid, NULL, 0);
}

static void take_back(const struct exits *exits, int dir, const struct record *record)
{
	struct exits_identity identity = { .tgid = record->pid, .start = record->start };

	exits_unwatch(exits, &identity, record->trace);
	record_remove(dir, record->id);
}

static void release(struct child *child)
{
	close(child->gate);
	close(child->failure);
	if (child->pidfd >= 0)
		close(child->pidfd);
}

int exits_run(struct exits *exits, const char *id, char **argv)
{
	struct child child = { .pidfd = -1, .gate = -1, .failure = -1 };
	struct record record = { 0 };
	int dir, lock = begin(exits, &dir), err;

	if (lock < 0)
		return lock;
	snprintf(record.id, sizeof(record.id), "%s", id);
	err = check_free(exits, dir, id);
	if (err)
		goto out;
	err = start(&child, argv);
	if (err)
		p_err("cannot start '%s': %s", *argv, strerror(-err));
	else
		err = arm_and_write(exits, dir, child.pidfd, &record);
	if (!err) {
		err = let_go(&child, *argv);
		if (err)
			take_back(exits, dir, &record);
	}
	if (err && child.pid > 0)
		end(&child);
	if (!err)
		err = report(&record);
	release(&child);
out:
	close(lock);
	close(dir);
	return err;
}

/* ---- a process that runs already ---- */

static int adopt(struct exits *exits, int dir, const char *id, const char *number)
{
	struct record record = { 0 };
	char *end;
	long pid = strtol(number, &end, 10);
	bool is_number = !*end && pid > 0 && pid <= INT_MAX;
	int pidfd = is_number ? pidfd_open(pid, 0) : -1;
	int err;

	if (pidfd < 0) {
		p_err("no process '%s' to watch as '%s': %s", number, id,
		      is_number ? strerror(errno) : "a process's number is needed");
		return -ESRCH;
	}
	snprintf(record.id, sizeof(record.id), "%s", id);
	err = check_free(exits, dir, id);
	if (!err)
		err = arm_and_write(exits, dir, pidfd, &record);
	if (!err)
		err = report(&record);
	close(pidfd);
	return err;
}

/* @more: PID, and pairs of ID and PID. One that cannot be adopted keeps no other from it. */
int exits_adopt(struct exits *exits, const char *id, char **more, int nr_more)
{
	int dir, lock = begin(exits, &dir), err;

	if (lock < 0)
		return lock;
	err = adopt(exits, dir, id, more[0]);
	for (int i = 1; i < nr_more; i += 2)
		err = adopt(exits, dir, more[i], more[i + 1]) ?: err;
	close(lock);
	close(dir);
	return err;
}

/* ---- a record that nobody needs any more ---- */

static int drop(const struct exits *exits, int dir, const char *id)
{
	struct record record;
	int err = record_read(dir, id, &record);

	if (err) {
		p_err("nothing is known of '%s': %s", id,
		      err == -ENOENT ? "'ktramp exits list' lists what is" : strerror(-err));
		return err;
	}
	err = check_ended(exits, dir, id, "its record is what its exit will be told by");
	if (err)
		return err;
	err = record_remove(dir, id);
	if (err)
		p_err("cannot remove the record of '%s': %s", id, strerror(-err));
	return err;
}

/* One that cannot be dropped keeps no other from it. */
int exits_drop(struct exits *exits, const char *id, char **ids, int nr)
{
	int dir, lock = begin(exits, &dir), err;

	if (lock < 0)
		return lock;
	err = drop(exits, dir, id);
	for (int i = 0; i < nr; i++)
		err = drop(exits, dir, ids[i]) ?: err;
	close(lock);
	close(dir);
	return err;
}
