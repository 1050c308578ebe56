// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fetches exits, writes them down, and tells them, each once. It may die at any time: the
 * kernel goes on recording, and the next one begins with the records, not with the past.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "exits/exits.h"

#define LOCK	".daemon"

struct watched {
	struct watched *next;
	int pidfd;
	uint64_t trace;
	char id[EXITS_ID_MAX + 1];
};

struct daemon {
	const struct exits *exits;
	int dir;
	int epoll;
	int inotify;
	struct watched *watched;
};

/* Written down first: a successor must not tell it again. */
static int tell(struct daemon *daemon, const struct record *record)
{
	char text[160];
	int err = record_write(daemon->dir, record);

	if (err)
		return err;
	exits_forget(daemon->exits, record->trace);
	if (out_json)
		return out_line(stdout, record_json(record));
	record_text(record, text, sizeof(text));
	printf("%s (process %u) %s\n", record->id, record->pid, text);
	return fflush(stdout) ? -EIO : 0;
}

static bool is_watched(const struct daemon *daemon, const struct record *record)
{
	for (const struct watched *w = daemon->watched; w; w = w->next)
		if (w->trace == record->trace)
			return true;
	return false;
}

static int watch(struct daemon *daemon, const struct record *record, int pidfd)
{
	struct watched *w = calloc(1, sizeof(*w));
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = w };

	if (!w || epoll_ctl(daemon->epoll, EPOLL_CTL_ADD, pidfd, &event)) {
		int err = w ? -errno : -ENOMEM;

		p_err("cannot wait for '%s': %s", record->id, strerror(-err));
		free(w);
		close(pidfd);
		return err;
	}
	w->pidfd = pidfd;
	w->trace = record->trace;
	snprintf(w->id, sizeof(w->id), "%s", record->id);
	w->next = daemon->watched;
	daemon->watched = w;
	return 0;
}

static void unwatch(struct daemon *daemon, struct watched *gone)
{
	struct watched **w = &daemon->watched;

	while (*w != gone)
		w = &(*w)->next;
	*w = gone->next;
	close(gone->pidfd);
	free(gone);
}

static int look_at(const struct record *read, void *arg)
{
	struct daemon *daemon = arg;
	struct record record = *read;
	int pidfd, err;

	if (record.state != RECORD_RUNNING) {
		/* A predecessor may have died between the two. */
		exits_forget(daemon->exits, record.trace);
		return 0;
	}
	if (is_watched(daemon, &record))
		return 0;
	err = record_settle(daemon->exits, &record, &pidfd);
	if (err) {
		p_err("cannot tell whether '%s' is running: %s", record.id, strerror(-err));
		return err;
	}
	return pidfd >= 0 ? watch(daemon, &record, pidfd) : tell(daemon, &record);
}

/* Its pidfd is readable, so the tracepoint has been. */
static int has_ended(struct daemon *daemon, struct watched *w)
{
	struct record record;
	int err = record_read(daemon->dir, w->id, &record), pidfd = -1;
	bool same = !err && record.trace == w->trace;

	if (same)
		err = record_settle(daemon->exits, &record, &pidfd);
	/* A record that is gone is of a program that never began. */
	if ((err && err != -ENOENT) || pidfd >= 0)
		p_err("cannot tell how '%s' ended: %s", w->id,
		      err ? strerror(-err) : "it is not recorded");
	if (pidfd >= 0)
		close(pidfd);
	unwatch(daemon, w);
	return same && !err && record.state != RECORD_RUNNING ? tell(daemon, &record) : 0;
}

static int look_at_name(struct daemon *daemon, const char *id)
{
	struct record record;

	/* Our own writing is told here too; a file that is gone again is nobody's. */
	if (!record_id_is_valid(id) || record_read(daemon->dir, id, &record))
		return 0;
	return look_at(&record, daemon);
}

/* New files, by their names; all of them, if there were more than the kernel keeps. */
static int look_at_new(struct daemon *daemon)
{
	char buf[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n = read(daemon->inotify, buf, sizeof(buf));
	int err = 0;

	for (ssize_t at = 0; at < n && !err;) {
		const struct inotify_event *event = (void *)(buf + at);

		if (event->mask & IN_Q_OVERFLOW)
			err = records_each(daemon->dir, look_at, daemon);
		else if (event->len)
			err = look_at_name(daemon, event->name);
		at += sizeof(*event) + event->len;
	}
	return err;
}

static int serve(struct daemon *daemon)
{
	struct epoll_event events[64];
	int err = 0;

	while (!stopped && !err) {
		int nr = epoll_wait(daemon->epoll, events, ARRAY_SIZE(events), -1);

		if (nr < 0 && errno != EINTR)
			err = -errno;
		for (int i = 0; i < nr && !err; i++) {
			if (events[i].data.ptr)
				err = has_ended(daemon, events[i].data.ptr);
			else
				err = look_at_new(daemon);
		}
	}
	return err;
}

/* Numbers in the program are those of the initial PID namespace, and so must ours be. */
static int check_namespace(const struct exits *exits)
{
	int pidfd = pidfd_open(getpid(), 0);
	struct exits_identity identity;
	int err = pidfd < 0 ? -errno : exits_identify(exits, pidfd, &identity);

	if (pidfd >= 0)
		close(pidfd);
	if (err) {
		p_err("cannot identify a process: %s; the kernel must have BPF task iterators for a "
		      "pidfd (Linux 6.1)", strerror(-err));
		return err;
	}
	if (identity.tgid == (uint32_t)getpid())
		return 0;
	p_err("the daemon is process %d here and %u in the initial PID namespace: run it there",
	      getpid(), identity.tgid);
	return -EXDEV;
}

/* A descriptor a process. */
static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_daemon(struct daemon *daemon)
{
	struct epoll_event event = { .events = EPOLLIN };
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", daemon->dir);
	daemon->epoll = epoll_create1(EPOLL_CLOEXEC);
	daemon->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (daemon->epoll < 0 || daemon->inotify < 0 ||
	    inotify_add_watch(daemon->inotify, path, IN_MOVED_TO) < 0 ||
	    epoll_ctl(daemon->epoll, EPOLL_CTL_ADD, daemon->inotify, &event)) {
		p_err("cannot wait for processes: %s", strerror(errno));
		return -errno;
	}
	return 0;
}

static void close_daemon(struct daemon *daemon)
{
	while (daemon->watched)
		unwatch(daemon, daemon->watched);
	if (daemon->epoll >= 0)
		close(daemon->epoll);
	if (daemon->inotify >= 0)
		close(daemon->inotify);
}

bool exits_is_served(const struct exits *exits)
{
	int dir, lock;

	/* Nobody ever did. */
	if (access(exits->state, F_OK))
		return false;
	dir = records_open(exits->state, false);
	lock = dir < 0 ? dir : records_lock(dir, LOCK, false);
	if (lock >= 0)
		close(lock);
	if (dir >= 0)
		close(dir);
	return lock == -EWOULDBLOCK;
}

int exits_daemon(struct exits *exits, uint32_t size, bool naive)
{
	struct daemon daemon = { .exits = exits, .epoll = -1, .inotify = -1 };
	int lock, err;

	daemon.dir = records_open(exits->state, true);
	if (daemon.dir < 0)
		return daemon.dir;
	lock = records_lock(daemon.dir, LOCK, false);
	if (lock < 0) {
		p_err("cannot serve '%s': %s", exits->state,
		      lock == -EWOULDBLOCK ? "another daemon does" : strerror(-lock));
		close(daemon.dir);
		return lock;
	}
	/* Only who serves them loads the program: another size would be left to the next one. */
	err = exits_load(exits, exits->pins, size, naive);
	if (!err && exits->naive != naive)
		p_warn("%s rule is loaded already; 'ktramp exits unload' removes it",
		       exits->naive ? "the naive" : "the right");
	if (!err)
		err = check_namespace(exits);
	if (!err) {
		allow_descriptors();
		catch_signals();
		err = open_daemon(&daemon);
	}
	/* New files first, then those that are there: none falls between. */
	if (!err)
		err = records_each(daemon.dir, look_at, &daemon);
	if (!err)
		err = serve(&daemon);
	close_daemon(&daemon);
	close(lock);
	close(daemon.dir);
	return err;
}
