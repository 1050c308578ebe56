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

#include <linux/bsearch.h>
#include <linux/err.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/stringhash.h>

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

/*
 * gcc's copy of a function, as name.constprop.0, is on the list if the function is: kprobes look
 * for that by its name. Here the names on the list are looked for, as hashes, sorted; of two names
 * with one hash too much is refused.
 */
static u32 *names;
static unsigned int nr_names;

static u32 hash_name(const char *name)
{
	return full_name_hash(NULL, name, strcspn(name, "."));
}

static int compare_names(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

/* Call @visit for each function in an area. Return: 0 or -ENOMEM. */
static int each_name(const struct area *area, struct ktramp_symbol *symbol,
		     void (*visit)(const char *name))
{
	unsigned long at;
	int err;

	for (at = area->start; at < area->end; at = symbol->start + symbol->size) {
		err = ktramp_symbol_at(symbol, at);
		if (err == -ENOMEM)
			return err;
		if (err || !symbol->size)
			return 0;
		visit(symbol->name);
		cond_resched();
	}
	return 0;
}

static void count_name(const char *name)
{
	nr_names++;
}

static void keep_name(const char *name)
{
	names[nr_names++] = hash_name(name);
}

static int each_listed(struct ktramp_symbol *symbol, void (*visit)(const char *name))
{
	unsigned int i;
	int err = 0;

	nr_names = 0;
	for (i = 0; i < nr_areas && !err; i++)
		err = each_name(&areas[i], symbol, visit);
	return err;
}

/**
 * ktramp_blacklist_learn() - learn the names on the list, for ktramp_blacklist_has_name()
 *
 * Only the first call does anything: some millions of instructions.
 *
 * Context: process, under ktramp_mutex.
 * Return: 0 or -ENOMEM.
 */
int ktramp_blacklist_learn(void)
{
	struct ktramp_symbol *symbol;
	int err = -ENOMEM;

	if (names)
		return 0;
	symbol = kmalloc(sizeof(*symbol), GFP_KERNEL);
	if (symbol)
		err = each_listed(symbol, count_name);
	if (!err) {
		names = kvmalloc_array(nr_names + 1, sizeof(*names), GFP_KERNEL);
		err = names ? each_listed(symbol, keep_name) : -ENOMEM;
	}
	kfree(symbol);
	if (err) {
		kvfree(names);
		names = NULL;
		return err;
	}
	sort(names, nr_names, sizeof(*names), compare_names, NULL);
	return 0;
}

/* Is a function of this name, its suffix aside, on the list? After ktramp_blacklist_learn(). */
bool ktramp_blacklist_has_name(const char *name)
{
	u32 hash = hash_name(name);

	return bsearch(&hash, names, nr_names, sizeof(*names), compare_names);
}

static bool overlaps(const void *start, unsigned long size, unsigned long from, unsigned long len)
{
	return size && from < (unsigned long)start + size && from + len > (unsigned long)start;
}

/**
 * ktramp_blacklist_of_module() - is any of this text on what a module adds to the list?
 * @mod: the module, which stays
 * @start: address of a function in it
 * @size: bytes
 *
 * Context: process.
 */
bool ktramp_blacklist_of_module(const struct module *mod, unsigned long start, unsigned long size)
{
	unsigned int i;

	for (i = 0; i < mod->num_kprobe_blacklist; i++)
		if (mod->kprobe_blacklist[i] - start < size)
			return true;
	return overlaps(mod->kprobes_text_start, mod->kprobes_text_size, start, size) ||
	       overlaps(mod->noinstr_text_start, mod->noinstr_text_size, start, size);
}

void ktramp_blacklist_exit(void)
{
	kvfree(areas);
	kvfree(names);
	areas = NULL;
	names = NULL;
	nr_areas = 0;
	nr_names = 0;
}
