// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which functions of the kernel itself may have no kprobe.
 *
 * register_kprobe() looks through all jump labels, static calls and BUGs before it says that
 * a function may be probed: two million instructions. The list that it asks, too, is found by
 * its name (kernel/kprobes.c, kprobe_blacklist). Its part about the kernel itself is complete
 * when the kernel has booted: what comes and goes later is about modules. So it is copied once.
 *
 * Where it is hidden, register_kprobe() is asked for each function (admit.c).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/sort.h>

#include "kernel/blacklist.h"
#include "kernel/patchers.h"
#include "kernel/symbol.h"

struct area {
	unsigned long start;
	unsigned long end;
};

/* Sorted, and none touches the next. Written once, while the module loads. */
static struct area *areas;
static unsigned int nr_areas;

static int compare_areas(const void *a, const void *b)
{
	const struct area *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Areas are listed again, symbol by symbol. */
static void merge(void)
{
	unsigned int i, last = 0;

	sort(areas, nr_areas, sizeof(*areas), compare_areas, NULL);
	for (i = 1; i < nr_areas; i++) {
		if (areas[i].start <= areas[last].end)
			areas[last].end = max(areas[last].end, areas[i].end);
		else
			areas[++last] = areas[i];
	}
	nr_areas = last + 1;
}

/* Under ktramp_patchers_lock(). */
static int copy_list(const struct list_head *list)
{
	const struct kprobe_blacklist_entry *entry;
	unsigned int room = 0;

	list_for_each_entry(entry, list, list)
		room++;
	areas = room ? kvcalloc(room, sizeof(*areas), GFP_KERNEL) : NULL;
	if (!areas)
		return room ? -ENOMEM : -ENODATA;
	list_for_each_entry(entry, list, list)
		areas[nr_areas++] = (struct area){ entry->start_addr, entry->end_addr };
	merge();
	return 0;
}

static int read_list(void)
{
	const struct list_head *list;
	int err = -ENOENT;

	if (ktramp_patchers_known())
		err = ktramp_symbol_find("kprobe_blacklist", (unsigned long *)&list);
	if (err)
		return err;
	ktramp_patchers_lock();
	err = copy_list(list);
	ktramp_patchers_unlock();
	return err;
}

/**
 * ktramp_blacklist_init() - copy the list, if the kernel shows it
 *
 * Context: process, may sleep.
 * Return: 0 or -ENOMEM. A list that cannot be had is no error.
 */
int ktramp_blacklist_init(void)
{
	int err = read_list();

	if (err)
		ktramp_blacklist_exit();
	if (err && err != -ENOMEM)
		pr_info("kprobes' blacklist is not to be had (%pe): each function is asked for\n",
			ERR_PTR(err));
	return err == -ENOMEM ? err : 0;
}

/* Context: any. */
bool ktramp_blacklist_known(void)
{
	return areas;
}

/**
 * ktramp_blacklist_overlaps() - is any of this text on the list?
 * @start: address in the kernel's own text
 * @size: bytes
 *
 * Context: any, if ktramp_blacklist_known().
 */
bool ktramp_blacklist_overlaps(unsigned long start, unsigned long size)
{
	unsigned int low = 0, high = nr_areas;

	/* The first area that ends behind @start. */
	while (low < high) {
		unsigned int mid = low + (high - low) / 2;

		if (areas[mid].end <= start)
			low = mid + 1;
		else
			high = mid;
	}
	return low < nr_areas && areas[low].start < start + size;
}

void ktramp_blacklist_exit(void)
{
	kvfree(areas);
	areas = NULL;
	nr_areas = 0;
}
