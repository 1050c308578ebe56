// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own patchers of its text: their locks, and the kprobes that they know.
 *
 * Whoever writes text in the kernel holds text_mutex, and whoever registers a kprobe holds
 * kprobe_mutex from looking at the text until the kprobe is in kprobe_table. Neither is exported.
 * They are data, and found by their names as the tables of image.c are. With both held, what a
 * comparison saw is still there when the text is written.
 *
 * A kprobe that is disabled shows in no byte; it is in the table as the others are.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpu.h>
#include <linux/hash.h>
#include <linux/kprobes.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include "kernel/patchers.h"
#include "kernel/symbol.h"
#include "kernel/target.h"

/* KPROBE_HASH_BITS of kernel/kprobes.c: 6 since there are kprobes. finds_ours() would tell. */
#define KPROBE_HASH_BITS	6

static bool use_locks = true;
module_param_named(locks, use_locks, bool, 0400);
MODULE_PARM_DESC(locks, "take the kernel's own locks (default: Y); N is how a kernel is that hides them");

static struct mutex *kprobe_lock;
static struct mutex *text_lock;
static struct hlist_head *kprobe_lists;

/* Are the locks and the table known? Context: any. */
bool ktramp_patchers_known(void)
{
	return kprobe_lists;
}

/**
 * ktramp_patchers_lock() - keep the kernel's other patchers away
 *
 * In the kernel's order: register_kprobe() takes kprobe_mutex, cpus_read_lock() and text_mutex.
 * They are not to be held for a grace period: jump labels and static calls wait for them.
 * Where they are not known it keeps away CPUs that come or go, and nobody else.
 *
 * Context: process, may sleep; under ktramp_mutex.
 */
void ktramp_patchers_lock(void)
{
	if (ktramp_patchers_known())
		mutex_lock(kprobe_lock);
	cpus_read_lock();
	if (ktramp_patchers_known())
		mutex_lock(text_lock);
}

void ktramp_patchers_unlock(void)
{
	if (ktramp_patchers_known())
		mutex_unlock(text_lock);
	cpus_read_unlock();
	if (ktramp_patchers_known())
		mutex_unlock(kprobe_lock);
}

/**
 * ktramp_patchers_each_kprobe() - each address at which there is a kprobe, enabled or not
 * @visit: called with the address
 * @data: for it
 *
 * Not those of a module that is on its way out: nobody can enable them any more.
 *
 * Context: under ktramp_patchers_lock(). Visits nothing if the table is not known.
 */
void ktramp_patchers_each_kprobe(void (*visit)(unsigned long addr, void *data), void *data)
{
	struct kprobe *kp;
	unsigned int i;

	if (!ktramp_patchers_known())
		return;
	for (i = 0; i < 1 << KPROBE_HASH_BITS; i++)
		hlist_for_each_entry(kp, &kprobe_lists[i], hlist)
			if (!kprobe_gone(kp))
				visit((unsigned long)kp->addr, data);
}

/* Is a kprobe where it must be, if this is the table? There it may be an aggregate of its own. */
static bool is_listed(const kprobe_opcode_t *addr)
{
	struct kprobe *kp;
	bool listed = false;

	mutex_lock(kprobe_lock);
	hlist_for_each_entry(kp, &kprobe_lists[hash_ptr(addr, KPROBE_HASH_BITS)], hlist)
		listed |= kp->addr == addr;
	mutex_unlock(kprobe_lock);
	return listed;
}

/* A table is believed that has a kprobe while it is registered, and not afterwards. */
static int finds_ours(bool *finds)
{
	const struct ktramp_target *target = ktramp_target(0);
	struct kprobe *kp = kzalloc(sizeof(*kp), GFP_KERNEL);
	int err;

	*finds = false;
	if (!kp)
		return -ENOMEM;
	kp->addr = (kprobe_opcode_t *)ktramp_target_site(target);
	kp->flags = KPROBE_FLAG_DISABLED;
	err = register_kprobe(kp);
	if (!err) {
		*finds = is_listed(kp->addr);
		unregister_kprobe(kp);
		*finds = *finds && !is_listed(kp->addr);
	}
	kfree(kp);
	return err == -ENOMEM ? err : 0;
}

/**
 * ktramp_patchers_init() - find the locks and the table, if the kernel shows them
 *
 * Context: process, may sleep.
 * Return: 0 or -ENOMEM. A kernel that hides them is no error: it gets no jumps.
 */
int ktramp_patchers_init(void)
{
	bool finds = false;
	int err = -ENOENT;

	if (use_locks)
		err = ktramp_symbol_find("kprobe_mutex", (unsigned long *)&kprobe_lock) ?:
		      ktramp_symbol_find("text_mutex", (unsigned long *)&text_lock) ?:
		      ktramp_symbol_find("kprobe_table", (unsigned long *)&kprobe_lists);
	if (!err)
		err = finds_ours(&finds);
	if (!finds)
		kprobe_lists = NULL;
	if (!finds && err != -ENOMEM)
		pr_warn("the kernel hides the locks of its patchers: no jumps, and nothing keeps it from patching under an int3 of ours\n");
	return err == -ENOMEM ? err : 0;
}
