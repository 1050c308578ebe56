// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel publishes of its kprobes in debugfs (Documentation/trace/kprobes.rst).
 *
 * A worker reads it: who closes /dev/ktramp by its death has no root directory any more, and who
 * lives in a container sees another debugfs, or none.
 */
#include <linux/dcache.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uio.h>
#include <linux/workqueue.h>

#include "kernel/published.h"

#define DIRECTORY	"/sys/kernel/debug/kprobes/"

/* What is behind a longer line's first words nobody wants. */
#define LINE_MAX	256

struct reading {
	struct work_struct work;
	const char *name;
	void (*visit)(char *line, void *data);
	void *data;
	int err;
};

static void end_line(struct reading *reading, char *line, size_t *len)
{
	line[*len] = '\0';
	if (*len)
		reading->visit(line, reading->data);
	*len = 0;
}

static int read_lines(struct reading *reading, struct file *file)
{
	char text[LINE_MAX], line[LINE_MAX];
	struct kiocb kiocb;
	size_t len = 0;
	ssize_t got, i;

	init_sync_kiocb(&kiocb, file);
	do {
		struct kvec vec = { .iov_base = text, .iov_len = sizeof(text) };
		struct iov_iter iter;

		iov_iter_kvec(&iter, ITER_DEST, &vec, 1, vec.iov_len);
		got = seq_read_iter(&kiocb, &iter);
		for (i = 0; i < got; i++) {
			if (text[i] == '\n')
				end_line(reading, line, &len);
			else if (len < sizeof(line) - 1)
				line[len++] = text[i];
		}
	} while (got > 0);
	end_line(reading, line, &len);
	return got;
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
static int read_file(struct reading *reading, struct file *file)
{
	int err = is_genuine(file, reading->name) ? debugfs_file_get(file->f_path.dentry) : -ENOENT;

	if (err)
		return err;
	err = read_lines(reading, file);
	debugfs_file_put(file->f_path.dentry);
	return err;
}

static void read_published(struct work_struct *work)
{
	struct reading *reading = container_of(work, struct reading, work);
	char path[sizeof(DIRECTORY) + 16];
	struct file *file;

	snprintf(path, sizeof(path), DIRECTORY "%s", reading->name);
	file = filp_open(path, O_RDONLY, 0);
	if (IS_ERR(file)) {
		reading->err = PTR_ERR(file);
		return;
	}
	reading->err = read_file(reading, file);
	filp_close(file, NULL);
}

/**
 * ktramp_published_each() - each line of a file in debugfs/kprobes
 * @name: the file's name
 * @visit: called with the beginning of a line, which it may write to, in a worker
 * @data: for it
 *
 * Context: process, may sleep. Under ktramp_mutex or not: our own files, which take it while they
 * are read, have a lock class of their own (debugfs.c).
 * Return: 0 or a negative errno: debugfs is not mounted, memory, and so on. Some lines may have
 * been visited.
 */
int ktramp_published_each(const char *name, void (*visit)(char *line, void *data),
			  void *data)
{
	struct reading reading = { .name = name, .visit = visit, .data = data };

	INIT_WORK_ONSTACK(&reading.work, read_published);
	schedule_work(&reading.work);
	flush_work(&reading.work);
	destroy_work_on_stack(&reading.work);
	return reading.err;
}
