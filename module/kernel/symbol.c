// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address to symbol, through what is exported: sprint_symbol() prints all that
 * kallsyms knows, "name+0xoffset/0xsize [module]".
 */
#include <linux/capability.h>
#include <linux/kernel.h>
#include <linux/kobject.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "kernel/compat.h"
#include "kernel/symbol.h"

/**
 * ktramp_symbol_shows() - may the caller see kernel addresses?
 *
 * As kallsyms decides: CAP_SYSLOG, unless kptr_restrict is 2, which shows in what %pK makes of
 * any pointer.
 */
bool ktramp_symbol_shows(void)
{
	char text[20];

	if (!capable(CAP_SYSLOG))
		return false;
	snprintf(text, sizeof(text), "%pK", ktramp_symbol_shows);
	return strspn(text, "0") != strlen(text);
}

/**
 * ktramp_symbol_find() - the address of a symbol
 * @name: "symbol" or "module:symbol"
 * @addr: (out) the address
 *
 * register_kprobe() looks its symbol up before anything else, and leaves the address in
 * the struct whether or not it goes on to register there. A function's entry may come back
 * as the instruction behind its endbr64.
 *
 * Context: process, sleeps. Costs millions of instructions if a kprobe may be there.
 * Return: 0, -ENOENT, -ENOMEM.
 */
int ktramp_symbol_find(const char *name, unsigned long *addr)
{
	struct kprobe *kp = kzalloc(sizeof(*kp), GFP_KERNEL);
	int err;

	if (!kp)
		return -ENOMEM;
	kp->symbol_name = name;
	kp->flags = KPROBE_FLAG_DISABLED;
	err = register_kprobe(kp);
	if (!err)
		unregister_kprobe(kp);
	*addr = (unsigned long)kp->addr;
	kfree(kp);
	if (*addr)
		return 0;
	/* Of a lookup that failed, memory is the one reason that may be gone the next time. */
	return err == -ENOMEM ? err : -ENOENT;
}

#ifdef CONFIG_KALLSYMS
static bool is_there(const Elf_Sym *sym, unsigned long addr)
{
	return sym->st_shndx != SHN_UNDEF && sym->st_value == addr;
}

/*
 * kallsyms lets a function run to the next symbol. For the last one of a section of a module that
 * is in another section, or the end of the pages of the module's text: in between are zeros, of
 * which an odd number is no instruction, and sections without symbols, such as
 * .altinstr_replacement. The module's own table has kept the size that the compiler gave the
 * function.
 */
static void end_with_section(struct ktramp_symbol *symbol, const struct module *mod)
{
	const struct mod_kallsyms *all = &mod->core_kallsyms;
	unsigned int i, section = SHN_UNDEF;
	unsigned long size = 0;

	for (i = 1; i < all->num_symtab; i++) {
		const Elf_Sym *sym = &all->symtab[i];

		if (!is_there(sym, symbol->start))
			continue;
		section = sym->st_shndx;
		size = max_t(unsigned long, size, sym->st_size);
	}
	for (i = 1; i < all->num_symtab; i++)
		if (all->symtab[i].st_shndx == section && all->symtab[i].st_value > symbol->start)
			return;
	/* What was written in assembler may have no size. */
	if (size && size < symbol->size)
		symbol->size = size;
}
#else
static void end_with_section(struct ktramp_symbol *symbol, const struct module *mod)
{
}
#endif

/**
 * ktramp_symbol_at() - the function around an address
 * @symbol: (out) the function
 * @addr: any address in it
 *
 * Context: process; allocates a line.
 * Return: 0, -ENOENT if the address is in no known function, -ENOMEM.
 */
int ktramp_symbol_at(struct ktramp_symbol *symbol, unsigned long addr)
{
	unsigned long offset, size;
	char *line, *plus, *bracket;
	struct module *mod;
	int err = -ENOENT;

	line = kmalloc(KSYM_SYMBOL_LEN, GFP_KERNEL);
	if (!line)
		return -ENOMEM;
	sprint_symbol(line, addr);
	plus = strrchr(line, '+');
	if (!plus || sscanf(plus, "+%lx/%lx", &offset, &size) != 2)
		goto out;
	/* Behind a module's text 6.1 still names the text's last symbol, of no size. */
	if (offset >= size)
		goto out;
	*plus = '\0';
	symbol->start = addr - offset;
	symbol->size = size;
	bracket = strchr(plus + 1, '[');
	if (bracket)
		bracket[strcspn(bracket, "] ")] = '\0';
	strscpy(symbol->module, bracket ? bracket + 1 : "", sizeof(symbol->module));
	/* What ktramp lists as its targets needs no module in front of it. */
	if (bracket && (strcmp(symbol->module, KBUILD_MODNAME) || !strstarts(line, "ktramp_")))
		snprintf(symbol->name, sizeof(symbol->name), "%s:%s", symbol->module, line);
	else
		strscpy(symbol->name, line, sizeof(symbol->name));
	mod = bracket ? ktramp_module_get(symbol->module) : NULL;
	if (mod) {
		end_with_section(symbol, mod);
		ktramp_module_put(mod);
	}
	err = offset < symbol->size ? 0 : -ENOENT;
out:
	kfree(line);
	return err;
}

/**
 * ktramp_module_get() - a module by its name
 * @name: of the module
 *
 * Its kobject is the only thing that can be asked for. It keeps the memory of the module: who
 * unloads it waits in mod_kobject_put() before that goes. It does not keep the module from leaving.
 *
 * Return: NULL if there is none. Give it back by ktramp_module_put().
 */
struct module *ktramp_module_get(const char *name)
{
	struct kobject *kobj = kset_find_obj(THIS_MODULE->mkobj.kobj.kset, name);
	struct module *mod = NULL;

	if (kobj) {
		mod = container_of(kobj, struct module_kobject, kobj)->mod;
		if (!mod)
			kobject_put(kobj);
	}
	return mod;
}

void ktramp_module_put(struct module *mod)
{
	kobject_put(&mod->mkobj.kobj);
}
