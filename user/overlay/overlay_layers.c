// SPDX-License-Identifier: GPL-2.0-only
/* Layers to mount, where nobody else sees them, and what a right view of them is. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "overlay/overlay.h"

#define MARKER	"marker-"
#define WHICH	"which"

/*
 * A mount namespace of our own: whatever happens to this process, its mounts go with it,
 * and an empty directory is all that can be left.
 */
int scratch_enter(char *dir, size_t size)
{
	int err;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		err = -errno;
		p_err("cannot have a mount namespace to try in: %s; it needs CAP_SYS_ADMIN: run as "
		      "root", strerror(-err));
		return err;
	}
	/* Short, because each layer's path has it, and they share a page. */
	snprintf(dir, size, "/tmp/kt.XXXXXX");
	if (!mkdtemp(dir)) {
		err = -errno;
		p_err("cannot make a directory '%s': %s", dir, strerror(-err));
		return err;
	}
	if (mount("ktramp", dir, "tmpfs", MS_NOSUID | MS_NODEV, NULL)) {
		err = -errno;
		p_err("cannot mount a tmpfs on '%s': %s", dir, strerror(-err));
		rmdir(dir);
		return err;
	}
	return 0;
}

void scratch_leave(const char *dir)
{
	if (chdir("/") || umount2(dir, MNT_DETACH) || rmdir(dir))
		p_warn("cannot remove '%s': %s", dir, strerror(errno));
}

void layers_name(const struct layers *layers, unsigned int i, char *name, size_t size)
{
	snprintf(name, size, "%0*u", (int)(layers->width - (i < layers->narrow)), i);
}

/* What the files of a layer hold: which set of layers, and which of them. */
static int content(const struct layers *layers, unsigned int i, char *text, size_t size)
{
	return snprintf(text, size, "%s %u\n", strrchr(layers->dir, '/') + 1, i);
}

static int write_file(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644), err = 0;
	ssize_t len = strlen(text), n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n != len)
		err = n < 0 ? -errno : -ENOSPC;
	close(fd);
	return err;
}

static int make_layer(const struct layers *layers, int dir, unsigned int i)
{
	char name[256], text[OVERLAY_PATH_MAX + 16], marker[32];
	int fd, err;

	layers_name(layers, i, name, sizeof(name));
	if (mkdirat(dir, name, 0755))
		return -errno;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	content(layers, i, text, sizeof(text));
	snprintf(marker, sizeof(marker), MARKER "%u", i);
	err = write_file(fd, marker, text);
	if (!err)
		err = write_file(fd, WHICH, text);
	close(fd);
	return err;
}

int layers_make(const struct layers *layers)
{
	int fd = -1, err = 0;

	if (mkdir(layers->dir, 0755))
		err = -errno;
	else
		fd = open(layers->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!err && fd < 0)
		err = -errno;
	for (unsigned int i = 0; !err && i < layers->nr; i++)
		err = make_layer(layers, fd, i);
	if (fd >= 0)
		close(fd);
	if (err)
		p_err("cannot make %u layers in '%s': %s", layers->nr, layers->dir,
		      strerror(-err));
	return err;
}

/* "lowerdir=A:B:C", of any length; NULL: out of memory. */
char *layers_options(const struct layers *layers, bool absolute)
{
	char *options = NULL;
	size_t size;
	FILE *file = open_memstream(&options, &size);

	if (!file)
		return NULL;
	for (unsigned int i = 0; i < layers->nr; i++) {
		char name[256];

		layers_name(layers, i, name, sizeof(name));
		fprintf(file, "%s%s%s%s", i ? ":" : "lowerdir=", absolute ? layers->dir : "",
			absolute ? "/" : "", name);
	}
	if (fclose(file)) {
		free(options);
		return NULL;
	}
	return options;
}

/*
 * The kernel would not say a word: it cuts the string, and if the cut falls on a colon
 * mounts the layers in front of it.
 */
int options_check(const char *options, char *why, size_t size)
{
	size_t length = strlen(options);

	if (length <= OVERLAY_OPTIONS_MAX)
		return 0;
	snprintf(why, size,
		 "%zu bytes of options, and mount(2) takes %u: it would cut the rest off in silence",
		 length, OVERLAY_OPTIONS_MAX);
	return -E2BIG;
}

static bool holds(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t len = strlen(text), n;
	char found[OVERLAY_PATH_MAX + 16];

	if (fd < 0)
		return false;
	n = read(fd, found, sizeof(found));
	close(fd);
	return n == len && !memcmp(found, text, len);
}

/* -EIO: it shows what is not one of these layers, or not the uppermost one's file. */
static int check_entry(const struct layers *layers, int dir, const char *name,
		       unsigned int *markers)
{
	char text[OVERLAY_PATH_MAX + 16];
	unsigned long i = 0;
	char *end;

	if (!strncmp(name, MARKER, strlen(MARKER))) {
		i = strtoul(name + strlen(MARKER), &end, 10);
		if (*end || i >= layers->nr)
			return -EIO;
		++*markers;
	} else if (strcmp(name, WHICH)) {
		return -EIO;
	}
	content(layers, i, text, sizeof(text));
	return holds(dir, name, text) ? 0 : -EIO;
}

/*
 * Is @view the first @merged of the layers, whole? Read as whoever uses the mount would:
 * by listing it and reading its files.
 */
int layers_view(const struct layers *layers, const char *view, unsigned int *merged)
{
	struct dirent *entry;
	bool which = false;
	int err = 0;
	DIR *dir;

	*merged = 0;
	dir = opendir(view);
	if (!dir)
		return -errno;
	while (!err && (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		which |= !strcmp(entry->d_name, WHICH);
		err = check_entry(layers, dirfd(dir), entry->d_name, merged);
	}
	closedir(dir);
	return err ?: which ? 0 : -EIO;
}
