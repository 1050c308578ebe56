/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KTRAMP_SYMBOL_H
#define KTRAMP_SYMBOL_H

#include <linux/kallsyms.h>
#include <linux/module.h>

/**
 * struct ktramp_symbol - the function around an address
 * @start: its first byte
 * @size: bytes
 * @module: the module it is in, empty for the kernel
 * @name: symbol; module:symbol outside the core kernel and this module
 */
struct ktramp_symbol {
	unsigned long start;
	unsigned long size;
	char module[MODULE_NAME_LEN];
	char name[KSYM_NAME_LEN + MODULE_NAME_LEN + 1];
};

bool ktramp_symbol_shows(void);
int ktramp_symbol_find(const char *name, unsigned long *addr);
int ktramp_symbol_at(struct ktramp_symbol *symbol, unsigned long addr);

struct module *ktramp_module_get(const char *name);
void ktramp_module_put(struct module *mod);

#endif /* KTRAMP_SYMBOL_H */
