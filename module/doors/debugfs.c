// SPDX-License-Identifier: GPL-2.0-only
/*
 * debugfs/ktramp/: the same core, for cat and echo.
 */
#include <linux/capability.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "doors/chardev.h"
#include "doors/command.h"
#include "engine/registry.h"
#include "engine/site.h"
#include "hit/mechanism.h"
#include "kernel/symbol.h"
#include "kernel/target.h"
#include "kernel/text.h"

/* Of one write(); the writer comes again with what is left. */
#define LINES_MAX	65536

static struct dentry *dir;

static void print_bytes(struct seq_file *m, const u8 *bytes, unsigned int len)
{
	unsigned int i;

	for (i = 0; i < len; i++)
		seq_printf(m, "%s%02x", i ? " " : "", bytes[i]);
}

static void print_site(struct seq_file *m, unsigned long addr)
{
	char *site = kmalloc(KTRAMP_SITE_MAX, GFP_KERNEL);

	if (site && !ktramp_site_print(site, KTRAMP_SITE_MAX, addr))
		seq_puts(m, site);
	else
		seq_puts(m, "?");
	kfree(site);
}

static int targets_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	seq_puts(m, "# name\tsite\tinstruction\tbytes\n");
	for (i = 0; i < ktramp_target_count(); i++) {
		const struct ktramp_target *t = ktramp_target(i);
		unsigned long site = ktramp_target_site(t);
		u8 bytes[8];

		seq_printf(m, "%s\t", t->name);
		print_site(m, site);
		seq_printf(m, "\t%s\t", t->insn);
		if (!ktramp_text_read(bytes, site, sizeof(bytes)))
			print_bytes(m, bytes, sizeof(bytes));
		seq_putc(m, '\n');
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(targets);

/* A line that makes the probe again, and what is known of it as a comment. */
static void print_probe(struct seq_file *m, const struct ktramp_probe *p)
{
	unsigned int len = max_t(unsigned int, p->region, p->armed_len);
	u8 now[KTRAMP_BYTES_MAX];
	struct ktramp_stat sum;

	len = min_t(unsigned int, len, sizeof(now));
	ktramp_probe_sum(p, &sum);
	seq_printf(m, "%s ", ktramp_mechanism(p->mechanism)->name);
	print_site(m, ktramp_probe_addr(p));
	seq_printf(m, " handler=%s", ktramp_handler_name(p->handler));
	if (p->pid)
		seq_printf(m, " pid=%u", ktramp_probe_pid(p));
	seq_printf(m, "\t# %u %s%s hits=%llu missed=%llu recursed=%llu filtered=%llu tactic=%s before=",
		   p->id, ktramp_state_name(READ_ONCE(p->state)), p->owner ? "" : " kept",
		   sum.hits, sum.missed, sum.recursed, sum.filtered, ktramp_tactic_name(p->tactic));
	print_bytes(m, p->before, len);
	seq_puts(m, " now=");
	if (!ktramp_text_read(now, ktramp_probe_addr(p), len))
		print_bytes(m, now, len);
	seq_putc(m, '\n');
}

static int probes_show(struct seq_file *m, void *unused)
{
	struct ktramp_probe *p;
	u32 id = 0;

	while ((p = ktramp_probe_get(id, true))) {
		id = p->id + 1;
		print_probe(m, p);
		ktramp_probe_put(p);
	}
	return 0;
}

/* What the last line that could not be done was refused for. */
static struct ktramp_refusal last_refusal;
static DEFINE_MUTEX(refusal_mutex);

static int tell(int err, const struct ktramp_refusal *r)
{
	if (!err)
		return 0;
	mutex_lock(&refusal_mutex);
	last_refusal = *r;
	mutex_unlock(&refusal_mutex);
	return err;
}

static int error_show(struct seq_file *m, void *unused)
{
	mutex_lock(&refusal_mutex);
	if (last_refusal.why[0])
		seq_printf(m, "%s\n", last_refusal.why);
	mutex_unlock(&refusal_mutex);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(error);

/* As kprobe_events: '>' removes what is there, '>>' adds to it. */
static int probes_open(struct inode *inode, struct file *file)
{
	struct ktramp_refusal r = {};
	int err = 0;

	if (file->f_mode & FMODE_WRITE) {
		err = capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
		if (!err && (file->f_flags & O_TRUNC))
			err = tell(ktramp_command_clear(&r), &r);
	}
	if (!err)
		err = single_open(file, probes_show, inode->i_private);
	return err;
}

/* Whole lines only; the writer brings the rest of a cut one again. */
static size_t whole_lines(const char *text, size_t len)
{
	const char *last = strrchr(text, '\n');

	return last ? last + 1 - text : len;
}

static ssize_t probes_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	struct ktramp_refusal r = {};
	char *text;
	int err;

	len = min_t(size_t, len, LINES_MAX);
	text = memdup_user_nul(buf, len);
	if (IS_ERR(text))
		return PTR_ERR(text);
	len = whole_lines(text, len);
	text[len] = '\0';
	err = tell(ktramp_command_lines(text, &r), &r);
	kfree(text);
	return err ?: len;
}

static const struct file_operations probes_fops = {
	.owner = THIS_MODULE,
	.open = probes_open,
	.read = seq_read,
	.write = probes_write,
	.llseek = seq_lseek,
	.release = single_release,
};

/* A kernel without debugfs loses three files, not the module. */
int ktramp_debugfs_init(void)
{
	dir = debugfs_create_dir("ktramp", NULL);
	debugfs_create_file("targets", 0400, dir, NULL, &targets_fops);
	debugfs_create_file("probes", 0600, dir, NULL, &probes_fops);
	debugfs_create_file("error", 0400, dir, NULL, &error_fops);
	return 0;
}

void ktramp_debugfs_exit(void)
{
	debugfs_remove_recursive(dir);
}
