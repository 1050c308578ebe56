// SPDX-License-Identifier: GPL-2.0-only
/*
 * debugfs/ktramp/: the same core, to be read with cat.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "chardev.h"
#include "mechanism.h"
#include "probe.h"
#include "symbol.h"
#include "target.h"
#include "text.h"

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

	if (site && !ktramp_symbol_print(site, KTRAMP_SITE_MAX, addr))
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

static void print_probe(struct seq_file *m, const struct ktramp_probe *p)
{
	unsigned int len = max_t(unsigned int, p->region, p->armed_len);
	u8 now[KTRAMP_BYTES_MAX];
	struct ktramp_stat sum;

	len = min_t(unsigned int, len, sizeof(now));
	ktramp_probe_sum(p, &sum);
	seq_printf(m, "%u\t%s\t%s\t", p->id, ktramp_mechanism(p->mechanism)->name,
		   ktramp_handler_name(p->handler));
	print_site(m, ktramp_probe_addr(p));
	seq_printf(m, "\t%s\t%llu\t%llu\t", ktramp_state_name(READ_ONCE(p->state)), sum.hits, sum.missed);
	print_bytes(m, p->before, len);
	seq_putc(m, '\t');
	if (!ktramp_text_read(now, ktramp_probe_addr(p), len))
		print_bytes(m, now, len);
	seq_putc(m, '\n');
}

static int probes_show(struct seq_file *m, void *unused)
{
	struct ktramp_probe *p;
	u32 id = 0;

	seq_puts(m, "# id\tmechanism\thandler\tsite\tstate\thits\tmissed\tbefore\tnow\n");
	while ((p = ktramp_probe_get(id, true))) {
		id = p->id + 1;
		print_probe(m, p);
		ktramp_probe_put(p);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(probes);

/* A kernel without debugfs loses two files, not the module. */
int ktramp_debugfs_init(void)
{
	dir = debugfs_create_dir("ktramp", NULL);
	debugfs_create_file("targets", 0400, dir, NULL, &targets_fops);
	debugfs_create_file("probes", 0400, dir, NULL, &probes_fops);
	return 0;
}

void ktramp_debugfs_exit(void)
{
	debugfs_remove_recursive(dir);
}
