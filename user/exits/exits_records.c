// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is known of each process that was started or adopted: a file each, replaced as a
 * whole, so that whoever dies while writing leaves the old one.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exits/exits.h"

#define SEQUENCE	".sequence"

static const char *const states[] = {
	[RECORD_RUNNING] = "running", [RECORD_EXITED] = "exited", [RECORD_LOST] = "lost",
};

/* It is a file's name: none that hides, none that leads elsewhere. */
bool record_id_is_valid(const char *id)
{
	size_t len = strlen(id);

	if (!len || len > EXITS_ID_MAX || !isalnum((unsigned char)*id))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)id[i]) && !strchr("._-", id[i]))
			return false;
	return true;
}

int records_open(const char *state, bool create)
{
	int dir;

	if (create && mkdir(state, 0700) && errno == ENOENT) {
		char parent[PATH_MAX], *slash;

		/* /run of a small system; what is above it is not ours to make. */
		snprintf(parent, sizeof(parent), "%s", state);
		slash = strrchr(parent, '/');
		if (slash && slash != parent)
			*slash = '\0';
		if (mkdir(parent, 0755) || mkdir(state, 0700)) {
			p_err("cannot make '%s': %s", state, strerror(errno));
			return -errno;
		}
	}
	dir = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0)
		return dir;
	p_err("cannot open '%s', where exits are kept: %s%s", state, strerror(errno),
	      errno == ENOENT ? "; was 'ktramp exits daemon' ever started?" : "");
	return -errno;
}

int records_lock(int dir, const char *name, bool wait)
{
	int fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600), err;

	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB))) {
		if (errno == EINTR && !stopped)
			continue;
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int this_boot(char *boot, size_t size)
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	int err = 0;

	if (!file || !fgets(boot, size, file))
		err = -errno ?: -EIO;
	else
		boot[strcspn(boot, "\n")] = '\0';
	if (file)
		fclose(file);
	return err;
}

/* ---- a record as a file ---- */

static int write_all(int dir, const char *name, const char *text)
{
	char temporary[EXITS_ID_MAX + 16];
	ssize_t len = strlen(text), n;
	int fd, err = 0;

	/* One writer at a time: the lock, or a process that is not there yet for others. */
	snprintf(temporary, sizeof(temporary), ".%s.new", name);
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n != len)
		err = n < 0 ? -errno : -ENOSPC;
	close(fd);
	if (!err && renameat(dir, temporary, dir, name))
		err = -errno;
	if (err)
		unlinkat(dir, temporary, 0);
	return err;
}

static int read_all(int dir, const char *name, char *text, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	close(fd);
	return n < 0 ? -EIO : 0;
}

static enum record_state state_number(const char *name)
{
	for (size_t i = 1; name && i < ARRAY_SIZE(states); i++)
		if (!strcmp(states[i], name))
			return i;
	return 0;
}

/* -EBADMSG: it is no record, or not this one's. */
int record_read(int dir, const char *id, struct record *record)
{
	json_t *root __cleanup(free_json) = NULL;
	const char *name, *boot, *state, *why;
	json_int_t trace, pid, start, status, ended;
	char text[1024];
	int err = read_all(dir, id, text, sizeof(text));

	if (err)
		return err;
	root = json_loads(text, 0, NULL);
	if (!root || json_unpack(root, "{s:s, s:I, s:I, s:I, s:s, s:s, s:I, s:I, s:s}",
				 "id", &name, "trace", &trace, "pid", &pid, "start", &start,
				 "boot", &boot, "state", &state, "status", &status,
				 "ended", &ended, "why", &why))
		return -EBADMSG;
	if (strcmp(name, id) || !state_number(state))
		return -EBADMSG;
	*record = (struct record){
		.trace = trace, .pid = pid, .start = start, .state = state_number(state),
		.status = status, .ended = ended,
	};
	snprintf(record->id, sizeof(record->id), "%s", name);
	snprintf(record->boot, sizeof(record->boot), "%s", boot);
	snprintf(record->why, sizeof(record->why), "%s", why);
	return 0;
}

int record_write(int dir, const struct record *record)
{
	json_t *root __cleanup(free_json) =
		json_pack("{s:s, s:I, s:I, s:I, s:s, s:s, s:I, s:I, s:s}",
			  "id", record->id, "trace", (json_int_t)record->trace,
			  "pid", (json_int_t)record->pid, "start", (json_int_t)record->start,
			  "boot", record->boot, "state", states[record->state],
			  "status", (json_int_t)record->status,
			  "ended", (json_int_t)record->ended, "why", record->why);
	char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	int err = text ? write_all(dir, record->id, text) : -ENOMEM;

	free(text);
	if (err)
		p_err("cannot write the record of '%s': %s", record->id, strerror(-err));
	return err;
}

int record_remove(int dir, const char *id)
{
	return unlinkat(dir, id, 0) ? -errno : 0;
}

int records_next_trace(int dir, uint64_t *trace)
{
	char text[32] = "0";
	int err = read_all(dir, SEQUENCE, text, sizeof(text));

	if (!err || err == -ENOENT) {
		*trace = strtoull(text, NULL, 10) + 1;
		snprintf(text, sizeof(text), "%llu", (unsigned long long)*trace);
		err = write_all(dir, SEQUENCE, text);
	}
	if (err)
		p_err("cannot number an event: %s", strerror(-err));
	return err;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_record(const struct dirent *entry)
{
	return record_id_is_valid(entry->d_name);
}

/* In the order of their names, those that are being written left out. */
int records_each(int dir, int (*each)(const struct record *record, void *arg), void *arg)
{
	struct dirent **names;
	int nr = scandirat(dir, ".", &names, is_record, by_name), err = 0;

	if (nr < 0)
		return -errno;
	for (int i = 0; i < nr; i++) {
		struct record record;
		int read_err = record_read(dir, names[i]->d_name, &record);

		if (read_err == -EBADMSG)
			p_warn("'%s' is no record of an exit; it is left alone",
			       names[i]->d_name);
		else if (!read_err && !err)
			err = each(&record, arg);
		free(names[i]);
	}
	free(names);
	return err;
}

/* ---- a record for people and programs ---- */

json_t *record_json(const struct record *record)
{
	bool exited = record->state == RECORD_EXITED;
	bool by_code = exited && WIFEXITED(record->status);
	bool by_signal = exited && WIFSIGNALED(record->status);

	return json_pack("{s:s, s:s, s:I, s:s, s:o, s:o, s:o, s:o, s:I, s:o, s:o}",
		"type", "exit",
		"id", record->id,
		"pid", (json_int_t)record->pid,
		"state", states[record->state],
		"status", exited ? json_integer(record->status) : json_null(),
		"code", by_code ? json_integer(WEXITSTATUS(record->status)) : json_null(),
		"signal", by_signal ? json_integer(WTERMSIG(record->status)) : json_null(),
		"core", by_signal ? json_boolean(WCOREDUMP(record->status)) : json_null(),
		"start", (json_int_t)record->start,
		"ended", exited && record->ended ? json_integer(record->ended) : json_null(),
		"why", record->state == RECORD_LOST ? json_string(record->why) : json_null());
}

void record_text(const struct record *record, char *text, size_t size)
{
	int status = record->status;

	if (record->state == RECORD_LOST)
		snprintf(text, size, "lost: %s", record->why);
	else if (record->state == RECORD_RUNNING)
		snprintf(text, size, "running");
	else if (WIFEXITED(status))
		snprintf(text, size, "exited with %d", WEXITSTATUS(status));
	else
		snprintf(text, size, "killed by signal %d (%s)%s", WTERMSIG(status),
			 sigabbrev_np(WTERMSIG(status)) ?: "?",
			 WCOREDUMP(status) ? ", core dumped" : "");
}
