// SPDX-License-Identifier: GPL-2.0-only
/*
 * The program that records exits, and its maps. They are pinned in bpffs and need nobody:
 * what a process leaves is there whether or not the daemon is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>

#include "exits/exits.h"
#include "exits.skel.h"

/* The link is pinned last and removed first: while it is there, all of them are. */
static const char *const pins[] = { "link", "watched", "events", "counters", "identify" };

static void pin_path(char *path, size_t size, const char *directory, const char *pin)
{
	snprintf(path, size, "%s/%s", directory, pin);
}

static bool is_pinned(const char *directory, const char *pin)
{
	char path[PATH_MAX];

	pin_path(path, sizeof(path), directory, pin);
	return !access(path, F_OK);
}

bool exits_are_loaded(const char *directory)
{
	for (size_t i = 0; i < ARRAY_SIZE(pins); i++)
		if (!is_pinned(directory, pins[i]))
			return false;
	return true;
}

/* Also what a predecessor left that died half-way. */
int exits_unload(const char *directory)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(pins); i++) {
		pin_path(path, sizeof(path), directory, pins[i]);
		if (unlink(path) && errno != ENOENT) {
			int err = -errno;

			p_err("cannot remove '%s': %s", path, strerror(-err));
			return err;
		}
	}
	rmdir(directory);
	return 0;
}

/* ---- loading ---- */

static int check_bpffs(const char *directory)
{
	char parent[PATH_MAX];
	struct statfs fs;
	char *slash;

	snprintf(parent, sizeof(parent), "%s", directory);
	slash = strrchr(parent, '/');
	if (slash && slash != parent)
		*slash = '\0';
	if (statfs(parent, &fs)) {
		p_err("cannot pin in '%s': %s", parent, strerror(errno));
		return -ENOENT;
	}
	if (fs.f_type != BPF_FS_MAGIC) {
		p_err("'%s' is not in a BPF file system; mount one there: mount -t bpf none "
		      "/sys/fs/bpf", parent);
		return -EINVAL;
	}
	if (mkdir(directory, 0700) && errno != EEXIST) {
		p_err("cannot make '%s': %s", directory, strerror(errno));
		return -errno;
	}
	return 0;
}

static int pin_all(struct exits_bpf *skel, struct bpf_link *link, const char *directory)
{
	const struct {
		const char *name;
		int fd;
	} objects[] = {
		{ "watched", bpf_map__fd(skel->maps.watched) },
		{ "events", bpf_map__fd(skel->maps.events) },
		{ "counters", bpf_map__fd(skel->maps.counters) },
		{ "identify", bpf_program__fd(skel->progs.exits_identify) },
		{ "link", bpf_link__fd(link) },
	};
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
		pin_path(path, sizeof(path), directory, objects[i].name);
		if (bpf_obj_pin(objects[i].fd, path)) {
			int err = -errno;

			p_err("cannot pin '%s': %s", path, strerror(-err));
			return err;
		}
	}
	return 0;
}

static int load_and_pin(struct exits_bpf *skel, const char *directory, uint32_t size, bool naive)
{
	struct bpf_program *prog = naive ? skel->progs.exits_naive : skel->progs.exits_record;
	uint32_t key = EXITS_NAIVE;
	uint64_t one = 1;
	struct bpf_link *link;
	int err;

	bpf_program__set_autoload(prog, true);
	bpf_map__set_max_entries(skel->maps.watched, size);
	bpf_map__set_max_entries(skel->maps.events, size);
	err = exits_bpf__load(skel);
	if (!err && naive)
		err = bpf_map_update_elem(bpf_map__fd(skel->maps.counters), &key, &one, BPF_ANY);
	if (err) {
		p_err("cannot load the program that records exits: %s", bpf_why(err));
		return err;
	}
	link = bpf_program__attach(prog);
	if (!link) {
		err = -errno;
		p_err("cannot attach to sched_process_exit: %s", bpf_why(err));
		return err;
	}
	err = pin_all(skel, link, directory);
	/* What is pinned goes on; the rest goes with this process. */
	bpf_link__destroy(link);
	return err;
}

int exits_load(struct exits *exits, const char *directory, uint32_t size, bool naive)
{
	struct exits_bpf *skel;
	int err;

	if (exits_are_loaded(directory))
		return exits_open(exits, directory);
	err = check_bpffs(directory);
	if (!err)
		err = exits_unload(directory);
	if (!err)
		err = check_bpffs(directory);
	if (err)
		return err;

	bpf_listen();
	skel = exits_bpf__open();
	if (!skel) {
		err = -errno;
		p_err("cannot read the program that records exits: %s", bpf_why(err));
		return err;
	}
	err = load_and_pin(skel, directory, size, naive);
	exits_bpf__destroy(skel);
	if (err) {
		exits_unload(directory);
		return err;
	}
	return exits_open(exits, directory);
}

/* ---- use ---- */

static int get_pin(const char *directory, const char *pin, int *fd)
{
	char path[PATH_MAX];

	pin_path(path, sizeof(path), directory, pin);
	*fd = bpf_obj_get(path);
	if (*fd >= 0)
		return 0;
	p_err("cannot open '%s': %s%s", path, strerror(errno),
	      errno == EPERM || errno == EACCES ? "; run as root" : "");
	return -errno;
}

int exits_open(struct exits *exits, const char *directory)
{
	uint64_t naive;
	int err;

	exits->watched = -1;
	exits->events = -1;
	exits->counters = -1;
	exits->identify = -1;
	if (!exits_are_loaded(directory)) {
		p_err("nothing records exits at '%s': start 'ktramp exits daemon' first",
		      directory);
		return -ENOENT;
	}
	err = get_pin(directory, "watched", &exits->watched);
	if (!err)
		err = get_pin(directory, "events", &exits->events);
	if (!err)
		err = get_pin(directory, "counters", &exits->counters);
	if (!err)
		err = get_pin(directory, "identify", &exits->identify);
	if (!err)
		err = exits_count(exits, EXITS_NAIVE, &naive);
	if (err) {
		exits_close(exits);
		return err;
	}
	exits->naive = naive;
	return 0;
}

bool exits_are_open(const struct exits *exits)
{
	return exits->watched >= 0;
}

void exits_close(struct exits *exits)
{
	int *const fds[] = {
		&exits->watched, &exits->events, &exits->counters, &exits->identify,
	};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

int exits_count(const struct exits *exits, enum exits_counter counter, uint64_t *value)
{
	uint32_t key = counter;

	return bpf_map_lookup_elem(exits->counters, &key, value) ? -errno : 0;
}

/* Only what the program itself does not count. */
void exits_add(const struct exits *exits, enum exits_counter counter)
{
	uint32_t key = counter;
	uint64_t value;

	if (exits_count(exits, counter, &value))
		return;
	value++;
	bpf_map_update_elem(exits->counters, &key, &value, BPF_ANY);
}

static ssize_t read_iter(int prog, int pidfd, void *buf, size_t size)
{
	union bpf_iter_link_info info = { .task.pid_fd = pidfd };
	DECLARE_LIBBPF_OPTS(bpf_link_create_opts, opts, .iter_info = &info,
			    .iter_info_len = sizeof(info));
	int link = bpf_link_create(prog, 0, BPF_TRACE_ITER, &opts), iter;
	ssize_t n;

	if (link < 0)
		return -errno;
	iter = bpf_iter_create(link);
	n = iter < 0 ? -errno : read(iter, buf, size);
	if (iter >= 0) {
		n = n < 0 ? -errno : n;
		close(iter);
	}
	close(link);
	return n;
}

int exits_identify(const struct exits *exits, int pidfd, struct exits_identity *identity)
{
	ssize_t n = read_iter(exits->identify, pidfd, identity, sizeof(*identity));

	/*
	 * The kernel looks by number: what it found is ours only if the number still belongs
	 * to the pidfd's process, which it does until that is reaped.
	 */
	if (syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) && errno == ESRCH)
		return -ESRCH;
	if (n < 0)
		return n;
	return n == sizeof(*identity) ? 0 : -ESRCH;
}

/*
 * Room for the event first: an exit that is watched can always be recorded. The naive rule
 * takes none.
 */
int exits_watch(const struct exits *exits, const struct exits_identity *identity,
		uint64_t trace)
{
	struct exits_watched entry = { .trace = trace, .start = identity->start }, there;
	struct exits_event event = { .state = EXITS_RUNNING, .start = identity->start };
	int err = 0;

	if (!exits->naive && bpf_map_update_elem(exits->events, &trace, &event, BPF_NOEXIST))
		return -errno;
	/* An entry of a process that is gone, watched when nothing recorded, is in the way. */
	if (!bpf_map_lookup_elem(exits->watched, &identity->tgid, &there)) {
		if (there.start == identity->start)
			err = -EBUSY;
		else
			bpf_map_delete_elem(exits->watched, &identity->tgid);
	}
	if (!err && bpf_map_update_elem(exits->watched, &identity->tgid, &entry, BPF_NOEXIST))
		err = -errno;
	if (err)
		exits_forget(exits, trace);
	return err;
}

bool exits_is_watched(const struct exits *exits, uint32_t tgid, uint64_t trace)
{
	struct exits_watched entry;

	return !bpf_map_lookup_elem(exits->watched, &tgid, &entry) && entry.trace == trace;
}

void exits_unwatch(const struct exits *exits, const struct exits_identity *identity,
		   uint64_t trace)
{
	if (exits_is_watched(exits, identity->tgid, trace))
		bpf_map_delete_elem(exits->watched, &identity->tgid);
	exits_forget(exits, trace);
}

/* As in the program: whoever takes the process off the list writes the event. */
int exits_record_dead(const struct exits *exits, const struct exits_identity *identity,
		      uint64_t trace)
{
	struct exits_event event = {
		.state = EXITS_EXITED, .status = identity->status, .start = identity->start,
	};

	if (bpf_map_delete_elem(exits->watched, &identity->tgid))
		return 0;
	if (bpf_map_update_elem(exits->events, &trace, &event, BPF_ANY))
		return -errno;
	exits_add(exits, EXITS_LATE);
	return 0;
}

int exits_event(const struct exits *exits, uint64_t trace, struct exits_event *event)
{
	return bpf_map_lookup_elem(exits->events, &trace, event) ? -errno : 0;
}

void exits_forget(const struct exits *exits, uint64_t trace)
{
	bpf_map_delete_elem(exits->events, &trace);
}
