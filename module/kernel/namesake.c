// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions that share a name: static ones of several files, and of several modules. To
 * kallsyms a name is the first of them.
 *
 * Livepatch counts them by address, from 1 ("function,sympos"); so does ktramp.
 *
 * A module's symbols are in struct module. The kernel's can only be asked for one address at
 * a time: the first question goes through all of its text, some 100,000 functions, and keeps
 * those that are not alone. That text does not change.
 */
#include <linux/jhash.h>
#include <linux/kobject.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>

#include "kernel/compat.h"
#include "kernel/namesake.h"

/* struct name - a function of the kernel whose name's hash is not the only one of its kind */
struct name {
	u32 hash;
	u32 offset;
};

static DEFINE_MUTEX(names_lock);
static struct name *names;
static size_t nr_names;
static unsigned long text, text_end;

static u32 hash_of(const char *name)
{
	return jhash(name, strlen(name), 0);
}

static int compare(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* ---- the kernel's own ---- */

/* Names while they are read. */
struct reading {
	struct name *all;
	size_t nr, max;
};

static int keep(struct reading *reading, const struct ktramp_symbol *symbol)
{
	if (reading->nr == reading->max) {
		size_t max = reading->max ? 2 * reading->max : 65536;
		struct name *grown = kvmalloc_array(max, sizeof(*grown), GFP_KERNEL);

		if (!grown)
			return -ENOMEM;
		memcpy(grown, reading->all, reading->nr * sizeof(*grown));
		kvfree(reading->all);
		reading->all = grown;
		reading->max = max;
	}
	reading->all[reading->nr++] = (struct name){
		.hash = hash_of(symbol->name), .offset = symbol->start - text,
	};
	return 0;
}

static int read_names(struct reading *reading)
{
	struct ktramp_symbol *symbol = kmalloc(sizeof(*symbol), GFP_KERNEL);
	unsigned long addr = text;
	int err = symbol ? 0 : -ENOMEM;

	while (!err && addr < text_end) {
		cond_resched();
		err = ktramp_symbol_at(symbol, addr);
		if (err == -ENOENT) {
			addr++;
			err = 0;
			continue;
		}
		if (!err)
			err = keep(reading, symbol);
		addr = symbol->start + symbol->size;
	}
	kfree(symbol);
	return err;
}

/* Those of one hash follow each other. Return: how many are left. */
static size_t drop_lonely(struct name *all, size_t nr)
{
	size_t i, kept = 0;
	u32 last = 0;

	for (i = 0; i < nr; i++) {
		u32 hash = all[i].hash;
		bool follows = i && last == hash;

		last = hash;
		if (follows || (i + 1 < nr && all[i + 1].hash == hash))
			all[kept++] = all[i];
	}
	return kept;
}

static int build(void)
{
	struct reading reading = {};
	int err;

	err = ktramp_symbol_find("_stext", &text) ?: ktramp_symbol_find("_etext", &text_end) ?:
	      read_names(&reading);
	if (!err) {
		sort(reading.all, reading.nr, sizeof(*reading.all), compare, NULL);
		reading.nr = drop_lonely(reading.all, reading.nr);
		names = kvmalloc_array(reading.nr ?: 1, sizeof(*names), GFP_KERNEL);
		err = names ? 0 : -ENOMEM;
	}
	if (!err) {
		memcpy(names, reading.all, reading.nr * sizeof(*names));
		nr_names = reading.nr;
	}
	kvfree(reading.all);
	return err;
}

static void add(struct ktramp_namesakes *all, unsigned long addr)
{
	if (all->nr < KTRAMP_NAMESAKES_MAX)
		all->addr[all->nr] = addr;
	all->nr++;
}

static size_t first_of(u32 hash)
{
	size_t low = 0, high = nr_names;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (names[mid].hash < hash)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* A hash is no name. */
static int find_in_kernel(const char *name, struct ktramp_namesakes *all)
{
	struct ktramp_symbol *symbol;
	u32 hash = hash_of(name);
	int err = 0;
	size_t i;

	mutex_lock(&names_lock);
	if (!names)
		err = build();
	mutex_unlock(&names_lock);
	if (err)
		return err;
	symbol = kmalloc(sizeof(*symbol), GFP_KERNEL);
	if (!symbol)
		return -ENOMEM;
	for (i = first_of(hash); i < nr_names && names[i].hash == hash && !err; i++) {
		err = ktramp_symbol_at(symbol, text + names[i].offset);
		if (!err && !strcmp(symbol->name, name))
			add(all, symbol->start);
	}
	kfree(symbol);
	return err;
}

/* ---- a module's ---- */

static int compare_addr(const void *a, const void *b)
{
	unsigned long x = *(const unsigned long *)a, y = *(const unsigned long *)b;

	return x < y ? -1 : x > y;
}

/* Its init symbols go when it is loaded: RCU-sched keeps the table that is read. */
static void find_in_module(struct module *mod, const char *name, struct ktramp_namesakes *all)
{
	unsigned long start = KTRAMP_MODULE_TEXT(mod), size = KTRAMP_MODULE_TEXT_SIZE(mod);
	const struct mod_kallsyms *table;
	unsigned int i, j;

	rcu_read_lock_sched();
	table = rcu_dereference_sched(mod->kallsyms);
	for (i = 0; table && i < table->num_symtab; i++) {
		const Elf_Sym *sym = &table->symtab[i];

		if (sym->st_shndx == SHN_UNDEF || sym->st_value - start >= size ||
		    strcmp(table->strtab + sym->st_name, name))
			continue;
		/* Two symbols at one address are one function. */
		for (j = 0; j < min(all->nr, KTRAMP_NAMESAKES_MAX); j++)
			if (all->addr[j] == sym->st_value)
				break;
		if (j == min(all->nr, KTRAMP_NAMESAKES_MAX))
			add(all, sym->st_value);
	}
	rcu_read_unlock_sched();
	sort(all->addr, min(all->nr, KTRAMP_NAMESAKES_MAX), sizeof(all->addr[0]), compare_addr,
	     NULL);
}

/**
 * ktramp_namesakes_of() - the functions that are called as one is
 * @symbol: the function
 * @all: (out) all of that name in its image: the kernel, or its module
 *
 * @all->nr is 0 or 1 if it is the only one.
 *
 * Context: process, sleeps.
 * Return: 0, -ENOMEM, -ENOENT the module is gone.
 */
int ktramp_namesakes_of(const struct ktramp_symbol *symbol, struct ktramp_namesakes *all)
{
	const char *colon = strchr(symbol->name, ':');
	const char *name = symbol->module[0] && colon ? colon + 1 : symbol->name;
	struct module *mod;

	all->nr = 0;
	if (!symbol->module[0])
		return find_in_kernel(name, all);
	mod = ktramp_module_get(symbol->module);
	if (!mod)
		return -ENOENT;
	find_in_module(mod, name, all);
	ktramp_module_put(mod);
	return 0;
}

/**
 * ktramp_namesake_modules() - how many loaded modules have a function of that name
 * @name: without a module
 *
 * A module's kobject leaves the list before its memory goes.
 *
 * Context: process.
 * Return: how many, -ENOMEM.
 */
int ktramp_namesake_modules(const char *name)
{
	struct kset *modules = THIS_MODULE->mkobj.kobj.kset;
	struct ktramp_namesakes *all = kmalloc(sizeof(*all), GFP_KERNEL);
	struct kobject *kobj;
	int nr = 0;

	if (!all)
		return -ENOMEM;
	spin_lock(&modules->list_lock);
	list_for_each_entry(kobj, &modules->list, entry) {
		struct module *mod = container_of(kobj, struct module_kobject, kobj)->mod;

		if (!mod || READ_ONCE(mod->state) != MODULE_STATE_LIVE)
			continue;
		all->nr = 0;
		find_in_module(mod, name, all);
		nr += all->nr > 0;
	}
	spin_unlock(&modules->list_lock);
	kfree(all);
	return nr;
}

void ktramp_namesakes_exit(void)
{
	kvfree(names);
}
