// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who serves others with probes ('ktramp run') does not own them: they go when their owner
 * closes them, unasked, and their counters with them. A watch keeps the last sums for it.
 *
 * A probe points to its watch, and the watch to its probe, until one of them goes; both under
 * ktramp_mutex.
 */
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/slab.h>

#include "engine/watch.h"
#include "kernel/lock.h"

/**
 * struct ktramp_watch - one probe that is watched
 * @node: in the list of all
 * @watcher: the open file that reads it
 * @p: the probe, NULL once it is gone
 * @id: its number
 * @sum: its last counters, once it is gone
 */
struct ktramp_watch {
	struct list_head node;
	const void *watcher;
	struct ktramp_probe *p;
	u32 id;
	struct ktramp_stat sum;
};

static LIST_HEAD(watches);

/**
 * ktramp_watch_add() - keep a probe's last counters
 * @p: the probe
 * @watcher: the open file that wants them
 *
 * Context: process, under ktramp_mutex.
 * Return: 0; -EBUSY somebody watches it; -ENOMEM.
 */
int ktramp_watch_add(struct ktramp_probe *p, void *watcher)
{
	struct ktramp_watch *w;

	lockdep_assert_held(&ktramp_mutex);
	if (p->watch)
		return -EBUSY;
	w = kzalloc(sizeof(*w), GFP_KERNEL);
	if (!w)
		return -ENOMEM;
	w->watcher = watcher;
	w->p = p;
	w->id = p->id;
	p->watch = w;
	list_add_tail(&w->node, &watches);
	return 0;
}

/* The probe goes, and nobody executes its code any more: @sum is final. */
void ktramp_watch_end(struct ktramp_probe *p, const struct ktramp_stat *sum)
{
	lockdep_assert_held(&ktramp_mutex);
	if (!p->watch)
		return;
	p->watch->sum = *sum;
	p->watch->p = NULL;
	p->watch = NULL;
}

/* Return: 0; -ENOENT @watcher watched no probe @id, or it is still there. */
int ktramp_watch_read(u32 id, const void *watcher, struct ktramp_stat *sum)
{
	struct ktramp_watch *w;
	int err = -ENOENT;

	mutex_lock(&ktramp_mutex);
	list_for_each_entry(w, &watches, node) {
		if (w->id != id || w->watcher != watcher || w->p)
			continue;
		*sum = w->sum;
		err = 0;
		break;
	}
	mutex_unlock(&ktramp_mutex);
	return err;
}

/* The open file @watcher is closed. */
void ktramp_watch_release(const void *watcher)
{
	struct ktramp_watch *w, *next;

	mutex_lock(&ktramp_mutex);
	list_for_each_entry_safe(w, next, &watches, node) {
		if (w->watcher != watcher)
			continue;
		if (w->p)
			w->p->watch = NULL;
		list_del(&w->node);
		kfree(w);
	}
	mutex_unlock(&ktramp_mutex);
}
