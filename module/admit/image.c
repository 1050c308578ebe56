// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jump labels, static calls, exception tables, and branches from afar: what a region must
 * not displace, and where control comes in that no nearby byte tells of.
 *
 * A module has its tables in struct module. The kernel's own are found by their symbols,
 * which register_kprobe() looks up for anybody. They are data, read only, never called. A
 * kernel that does not tell (CONFIG_KALLSYMS_ALL is off) leaves the image blind, and jumps
 * in it are refused.
 */
#include <linux/jump_label.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/static_call_types.h>
#include <linux/vmalloc.h>
#include <asm/extable.h>

#include "admit/claim.h"
#include "admit/image.h"
#include "kernel/compat.h"
#include "kernel/lock.h"
#include "kernel/symbol.h"
#include "kernel/text.h"

/* struct ktramp_tables - where an image's tables are; counts are of entries */
struct ktramp_tables {
	const struct jump_entry *label, *label_end;
	const struct static_call_site *call, *call_end;
	const struct exception_table_entry *fault, *fault_end;
};

/* A module's image, kept until the module goes. Under ktramp_mutex. */
struct module_image {
	struct list_head list;
	struct ktramp_image image;
};

static LIST_HEAD(module_images);
static struct ktramp_image kernel_image;

static bool inside(const struct ktramp_image *image, unsigned long addr)
{
	return addr - image->start < image->size;
}

static void enter(struct ktramp_image *image, unsigned long addr)
{
	if (inside(image, addr))
		__set_bit(addr - image->start, image->enter);
}

static int compare_u32(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

static void add_owned(struct ktramp_image *image, unsigned long addr)
{
	if (inside(image, addr))
		image->owned[image->nr_owned++] = addr - image->start;
}

/* The targets of a jump label that is off do not show in the text: they count all the same. */
static int read_owned(struct ktramp_image *image, const struct ktramp_tables *t)
{
	size_t nr = (t->label_end - t->label) + (t->call_end - t->call);
	const struct static_call_site *call;
	const struct jump_entry *label;

	image->owned = kvmalloc_array(nr ?: 1, sizeof(*image->owned), GFP_KERNEL);
	if (!image->owned)
		return -ENOMEM;
	for (label = t->label; label < t->label_end; label++) {
		if (!inside(image, jump_entry_code(label)))
			continue;
		add_owned(image, jump_entry_code(label));
		enter(image, jump_entry_target(label));
	}
	for (call = t->call; call < t->call_end; call++)
		add_owned(image, (unsigned long)&call->addr + call->addr);
	sort(image->owned, image->nr_owned, sizeof(*image->owned), compare_u32, NULL);
	return 0;
}

static int read_fixups(struct ktramp_image *image, const struct ktramp_tables *t)
{
	const struct exception_table_entry *fault;
	size_t nr = t->fault_end - t->fault;

	image->fixup = kvmalloc_array(nr ?: 1, sizeof(*image->fixup), GFP_KERNEL);
	if (!image->fixup)
		return -ENOMEM;
	for (fault = t->fault; fault < t->fault_end; fault++) {
		unsigned long insn = (unsigned long)&fault->insn + fault->insn;

		if (!inside(image, insn))
			continue;
		image->fixup[image->nr_fixup++] = insn - image->start;
		enter(image, (unsigned long)&fault->fixup + fault->fixup);
	}
	sort(image->fixup, image->nr_fixup, sizeof(*image->fixup), compare_u32, NULL);
	return 0;
}

/*
 * A compiler moves cold blocks of a function far away, and they come back into its middle.
 * Bytes that look like jmp, jcc or call rel32 are taken for one, wherever they stand. A false
 * match only costs a refused site.
 */
static void read_branches(struct ktramp_image *image)
{
	const u8 *text = (const u8 *)image->start;
	unsigned long at;
	s32 rel;

	for (at = 0; at + 5 <= image->size; at++) {
		u8 byte = text[at];

		if (!(at & 0xffff))
			cond_resched();
		if ((byte & 0xfe) != 0xe8 && ((byte & 0xf0) != 0x80 || !at || text[at - 1] != 0x0f))
			continue;
		memcpy(&rel, text + at + 1, sizeof(rel));
		enter(image, image->start + at + 5 + rel);
	}
}

/* Jump tables, and the label addresses that a computed goto takes its target from. */
static int read_pointers(struct ktramp_image *image, unsigned long from, unsigned long to)
{
	const size_t words = PAGE_SIZE / sizeof(unsigned long);
	unsigned long *page = (unsigned long *)__get_free_page(GFP_KERNEL);
	size_t i;

	if (!page)
		return -ENOMEM;
	for (from &= PAGE_MASK; from < to; from += PAGE_SIZE) {
		cond_resched();
		/* Data that was freed after boot points nowhere. */
		if (copy_from_kernel_nofault(page, (void *)from, PAGE_SIZE))
			continue;
		for (i = 0; i < words; i++)
			enter(image, page[i]);
	}
	free_page((unsigned long)page);
	return 0;
}

static void drop(struct ktramp_image *image)
{
	vfree(image->enter);
	kvfree(image->owned);
	kvfree(image->fixup);
	memset(image, 0, sizeof(*image));
}

static int build(struct ktramp_image *image, const struct ktramp_tables *t, bool branches)
{
	int err = 0;

	image->enter = vzalloc(BITS_TO_LONGS(image->size) * sizeof(long));
	if (!image->enter)
		err = -ENOMEM;
	if (!err)
		err = read_owned(image, t);
	if (!err)
		err = read_fixups(image, t);
	if (err)
		drop(image);
	else if (branches)
		read_branches(image);
	return err;
}

/* Both ends of a table of the kernel. Return: 0, -ENOENT, -ENOMEM. */
static int find_table(const char *start, const char *end, const void **from, const void **to)
{
	return ktramp_symbol_find(start, (unsigned long *)from) ?:
	       ktramp_symbol_find(end, (unsigned long *)to);
}

static int read_kernel_pointers(struct ktramp_image *image)
{
	const void *rodata, *rodata_end, *data, *data_end;
	int err;

	err = find_table("__start_rodata", "__end_rodata", &rodata, &rodata_end) ?:
	      find_table("_sdata", "_edata", &data, &data_end);
	if (err == -ENOENT)
		return 0;
	if (!err)
		err = read_pointers(image, (unsigned long)rodata, (unsigned long)rodata_end) ?:
		      read_pointers(image, (unsigned long)data, (unsigned long)data_end);
	if (err)
		drop(image);
	else
		image->pointers = true;
	return err;
}

/* A table that the kernel does not tell of leaves the image blind; missing memory does not. */
static int find_kernel_tables(struct ktramp_image *image, struct ktramp_tables *t)
{
	const void *from, *to;
	int err;

	err = find_table("__start___jump_table", "__stop___jump_table", &from, &to);
	if (!err) {
		t->label = from;
		t->label_end = to;
	} else {
		image->blind = IS_ENABLED(CONFIG_JUMP_LABEL);
	}
	if (err != -ENOMEM)
		err = find_table("__start_static_call_sites", "__stop_static_call_sites", &from,
				 &to);
	if (!err) {
		t->call = from;
		t->call_end = to;
	} else {
		image->blind |= IS_ENABLED(CONFIG_HAVE_STATIC_CALL_INLINE);
	}
	if (err != -ENOMEM)
		err = find_table("__start___ex_table", "__stop___ex_table", &from, &to);
	if (!err) {
		t->fault = from;
		t->fault_end = to;
	} else {
		image->blind = true;
	}
	return err == -ENOMEM ? err : 0;
}

static int build_kernel(struct ktramp_image *image)
{
	struct ktramp_tables t = {};
	const void *from, *to;
	int err;

	err = find_table("_stext", "_etext", &from, &to);
	if (err)
		return err;
	image->start = (unsigned long)from;
	image->size = to - from;
	err = find_kernel_tables(image, &t);
	if (err) {
		drop(image);
		return err;
	}
	return build(image, &t, true) ?: read_kernel_pointers(image);
}

static int read_module_pointers(struct ktramp_image *image, struct module *mod)
{
	unsigned long data, size;
	unsigned int part;
	int err = 0;

	for (part = 0; part < KTRAMP_MODULE_DATA_PARTS && !err; part++) {
		data = ktramp_module_data(mod, part, &size);
		err = read_pointers(image, data, data + size);
	}
	if (err)
		drop(image);
	else
		image->pointers = true;
	return err;
}

static int build_module(struct ktramp_image *image, struct module *mod)
{
	struct ktramp_tables t = {
		.fault = mod->extable,
		.fault_end = mod->extable + mod->num_exentries,
	};

#ifdef CONFIG_JUMP_LABEL
	t.label = mod->jump_entries;
	t.label_end = mod->jump_entries + mod->num_jump_entries;
#endif
#ifdef CONFIG_HAVE_STATIC_CALL_INLINE
	t.call = mod->static_call_sites;
	t.call_end = mod->static_call_sites + mod->num_static_call_sites;
#endif
	image->start = KTRAMP_MODULE_TEXT(mod);
	image->size = KTRAMP_MODULE_TEXT_SIZE(mod);
	/* Ours are written by hand, and their text is mostly slots. */
	return build(image, &t, mod != THIS_MODULE) ?: read_module_pointers(image, mod);
}

static struct ktramp_image *find_module_image(unsigned long addr)
{
	struct module_image *m;

	list_for_each_entry(m, &module_images, list)
		if (inside(&m->image, addr))
			return &m->image;
	return NULL;
}

static int add_module_image(struct module *mod, unsigned long addr, struct ktramp_refusal *r)
{
	struct module_image *m;
	int err;

	/* Its init text goes soon, and so may the rest: what is loaded stays until it is told. */
	if (mod != THIS_MODULE && READ_ONCE(mod->state) != MODULE_STATE_LIVE)
		return ktramp_refuse(r, -EBUSY, KTRAMP_R_NOT_TEXT,
				     "module %s is on its way in or out", mod->name);
	if (addr - KTRAMP_MODULE_TEXT(mod) >= KTRAMP_MODULE_TEXT_SIZE(mod))
		return ktramp_refuse(r, -ENOENT, KTRAMP_R_NOT_TEXT,
				     "the address is in no text of module %s that stays",
				     mod->name);
	m = kzalloc(sizeof(*m), GFP_KERNEL);
	if (!m)
		return -ENOMEM;
	err = build_module(&m->image, mod);
	if (err) {
		kfree(m);
		return err;
	}
	list_add(&m->list, &module_images);
	return 0;
}

static const struct ktramp_image *module_image(const struct ktramp_symbol *symbol,
					       struct ktramp_refusal *r)
{
	struct ktramp_image *image = find_module_image(symbol->start);
	struct module *mod;
	int err;

	if (image)
		return image;
	mod = ktramp_module_get(symbol->module);
	if (!mod) {
		err = ktramp_refuse(r, -ENOENT, KTRAMP_R_NOT_TEXT,
				    "%s is not the text of a loaded module", symbol->module);
		return ERR_PTR(err);
	}
	err = add_module_image(mod, symbol->start, r);
	ktramp_module_put(mod);
	return err ? ERR_PTR(err) : find_module_image(symbol->start);
}

/**
 * ktramp_image_at() - the image around a function
 * @symbol: the function
 * @r: (out) the refusal
 *
 * The first call reads the kernel's text once, some 20 MiB; the result is kept.
 *
 * Context: process, under ktramp_mutex, which also keeps a module from going away.
 * Return: the image, valid while the mutex is held; or an error pointer: -ENOENT no text
 * of the kernel or of a module; -EBUSY the module comes or goes; -ENOMEM.
 */
const struct ktramp_image *ktramp_image_at(const struct ktramp_symbol *symbol,
					   struct ktramp_refusal *r)
{
	int err = 0;

	lockdep_assert_held(&ktramp_mutex);
	if (symbol->module[0])
		return module_image(symbol, r);
	if (!kernel_image.size)
		err = build_kernel(&kernel_image);
	if (!err && !inside(&kernel_image, symbol->start))
		err = -ENOENT;
	if (err == -ENOENT)
		ktramp_refuse(r, err, KTRAMP_R_NOT_TEXT, "the address is not in the kernel's text");
	return err ? ERR_PTR(err) : &kernel_image;
}

/* Mark those of a sorted list that are in the function. */
static void mark_sorted(struct ktramp_func *func, u32 base, const u32 *v, unsigned int nr, u8 mark)
{
	unsigned int low = 0, high = nr;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (v[mid] < base)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < nr && v[low] - base < func->size; low++)
		func->marks[v[low] - base] |= mark;
}

/**
 * ktramp_image_mark() - add to a function's marks what its image knows
 * @image: the image
 * @func: a function in it, scanned
 */
void ktramp_image_mark(const struct ktramp_image *image, struct ktramp_func *func)
{
	unsigned long base = func->addr - image->start;
	unsigned long end = min(base + func->size, image->size);
	unsigned long bit;

	for (bit = find_next_bit(image->enter, end, base + 1); bit < end;
	     bit = find_next_bit(image->enter, end, bit + 1))
		func->marks[bit - base] |= KTRAMP_M_ENTER;
	mark_sorted(func, base, image->owned, image->nr_owned, KTRAMP_M_OWNED);
	mark_sorted(func, base, image->fixup, image->nr_fixup, KTRAMP_M_FIXUP);
}

/* The module whose text starts at @addr goes. Under ktramp_mutex. */
void ktramp_image_forget(unsigned long addr)
{
	struct module_image *m, *next;

	list_for_each_entry_safe(m, next, &module_images, list) {
		if (!inside(&m->image, addr))
			continue;
		list_del(&m->list);
		drop(&m->image);
		kfree(m);
	}
}

void ktramp_images_exit(void)
{
	struct module_image *m, *next;

	list_for_each_entry_safe(m, next, &module_images, list) {
		list_del(&m->list);
		drop(&m->image);
		kfree(m);
	}
	drop(&kernel_image);
}
