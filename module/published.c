// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel publishes of its kprobes in debugfs (Documentation/trace/kprobes.rst).
 */
#include <linux/dcache.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uio.h>

#include "published.h"

#define DIRECTORY	"/sys/kernel/debug/kprobes/"

/* A line is 60 bytes and more. */
#define PROBES_ROOM	(16U << 10)
#define PROBES_ROOM_MAX	(4U << 20)

static ssize_t read_all(struct file *file, char *text, size_t room)
{
	struct kiocb kiocb;
	size_t len = 0;
	ssize_t got;

	init_sync_kiocb(&kiocb, file);
	do {
		struct kvec vec = { .iov_base = text + len, .iov_len = room - len };
		struct iov_iter iter;

		iov_iter_kvec(&iter, ITER_DEST, &vec, 1, vec.iov_len);
		got = seq_read_iter(&kiocb, &iter);
		if (got < 0)
			return got;
		len += got;
	} while (got && len < room);
	return got ? -EFBIG : len;
}

/* It is in debugfs that the kernel itself has put this file. */
static bool is_genuine(const struct file *file, const char *name)
{
	struct dentry *kprobes = debugfs_lookup("kprobes", NULL);
	struct dentry *list = kprobes ? debugfs_lookup(name, kprobes) : NULL;
	bool same = list && list == file->f_path.dentry;

	dput(list);
	dput(kprobes);
	return same;
}

/* debugfs has no read for kernel buffers, but what is behind this file has. */
static ssize_t read_file(struct file *file, const char *name, char *text, size_t room)
{
	const struct file_operations *fops;
	ssize_t len;
	int err = is_genuine(file, name) ? debugfs_file_get(file->f_path.dentry) : -ENOENT;

	if (err)
		return err;
	fops = debugfs_real_fops(file);
	len = fops && fops->read == seq_read ? read_all(file, text, room) : -EOPNOTSUPP;
	debugfs_file_put(file->f_path.dentry);
	return len;
}

/**
 * ktramp_published_read() - read a file in debugfs/kprobes
 * @name: its name
 * @text: (out) what is in it, with a NUL behind
 * @room: bytes there
 *
 * Context: process, may sleep; not under ktramp_mutex, which our own files take while they
 * are read.
 * Return: bytes, or a negative errno: -EFBIG there is more; debugfs is not mounted, and so on.
 */
ssize_t ktramp_published_read(const char *name, char *text, size_t room)
{
	char path[sizeof(DIRECTORY) + 16];
	struct file *file;
	ssize_t len;

	snprintf(path, sizeof(path), DIRECTORY "%s", name);
	file = filp_open(path, O_RDONLY, 0);
	if (IS_ERR(file))
		return PTR_ERR(file);
	len = read_file(file, name, text, room - 1);
	filp_close(file, NULL);
	if (len >= 0)
		text[len] = '\0';
	return len;
}

/* Each line begins with an address, or with 0 where addresses are hidden. */
static struct ktramp_published *parse(char *text)
{
	struct ktramp_published *list;
	unsigned int nr = 0;
	char *line;

	for (line = text; (line = strchr(line, '\n')); line++)
		nr++;
	list = kvmalloc(struct_size(list, addr, nr), GFP_KERNEL);
	if (!list)
		return NULL;
	list->nr = 0;
	while ((line = strsep(&text, "\n")) && list->nr < nr) {
		line[strcspn(line, " ")] = '\0';
		if (!kstrtoul(line, 16, &list->addr[list->nr]))
			list->nr++;
	}
	return list;
}

/**
 * ktramp_published_probes() - what kprobes are there, enabled or not
 *
 * Context: as ktramp_published_read().
 * Return: the list, to be freed by kvfree(); NULL if it is not to be had; an error pointer:
 * -ENOMEM.
 */
struct ktramp_published *ktramp_published_probes(void)
{
	struct ktramp_published *list = NULL;
	ssize_t len = -EFBIG;
	size_t room;
	char *text;

	for (room = PROBES_ROOM; len == -EFBIG && room <= PROBES_ROOM_MAX; room *= 4) {
		text = kvmalloc(room, GFP_KERNEL);
		if (!text)
			return ERR_PTR(-ENOMEM);
		len = ktramp_published_read("list", text, room);
		if (len >= 0)
			list = parse(text);
		kvfree(text);
	}
	return len == -ENOMEM || (len >= 0 && !list) ? ERR_PTR(-ENOMEM) : list;
}

/**
 * ktramp_published_has() - is there a kprobe on these bytes?
 * @list: from ktramp_published_probes(), or NULL
 * @start: the first byte
 * @size: bytes
 *
 * Context: any.
 */
bool ktramp_published_has(const struct ktramp_published *list, unsigned long start,
			  unsigned long size)
{
	unsigned int i;

	for (i = 0; list && i < list->nr; i++)
		if (list->addr[i] - start < size)
			return true;
	return false;
}
