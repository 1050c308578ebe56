// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address to symbol, through what is exported: sprint_symbol() prints all that
 * kallsyms knows, "name+0xoffset/0xsize [module]".
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "symbol.h"

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
	int err = -ENOENT;

	line = kmalloc(KSYM_SYMBOL_LEN, GFP_KERNEL);
	if (!line)
		return -ENOMEM;
	sprint_symbol(line, addr);
	plus = strrchr(line, '+');
	if (!plus || sscanf(plus, "+%lx/%lx", &offset, &size) != 2)
		goto out;
	*plus = '\0';
	symbol->start = addr - offset;
	symbol->size = size;
	bracket = strchr(plus + 1, '[');
	if (bracket && strncmp(bracket + 1, KBUILD_MODNAME "]", strlen(KBUILD_MODNAME) + 1)) {
		bracket[strcspn(bracket, "] ")] = '\0';
		snprintf(symbol->name, sizeof(symbol->name), "%s:%s", bracket + 1, line);
	} else {
		strscpy(symbol->name, line, sizeof(symbol->name));
	}
	err = 0;
out:
	kfree(line);
	return err;
}

/**
 * ktramp_symbol_print() - an address as symbol+0xoffset
 * @buf: (out) the text
 * @size: of @buf, bytes
 * @addr: the address
 *
 * Return: 0, or ktramp_symbol_at()'s error and an empty text.
 */
int ktramp_symbol_print(char *buf, size_t size, unsigned long addr)
{
	struct ktramp_symbol *symbol = kmalloc(sizeof(*symbol), GFP_KERNEL);
	int err = -ENOMEM;

	*buf = '\0';
	if (symbol)
		err = ktramp_symbol_at(symbol, addr);
	if (!err)
		snprintf(buf, size, "%s+0x%lx", symbol->name, addr - symbol->start);
	kfree(symbol);
	return err;
}
