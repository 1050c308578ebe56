// SPDX-License-Identifier: GPL-2.0-only
/*
 * A site's text -> its address: a target's name, symbol+0xoffset, module:symbol+0xoffset,
 * or 0xaddress.
 */
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "engine/site.h"
#include "kernel/symbol.h"
#include "kernel/target.h"

static int refuse_syntax(struct ktramp_refusal *r)
{
	return ktramp_refuse(r, -EINVAL, KTRAMP_R_SYNTAX,
			     "write symbol+0xoffset, module:symbol+0xoffset, 0xaddress or a target's name");
}

/* The offset must be inside the symbol: another function's instructions are its own. */
static int find_symbol(const char *name, unsigned long offset, unsigned long *addr,
		       struct ktramp_refusal *r)
{
	struct ktramp_symbol *symbol;
	unsigned long found;
	int err = ktramp_symbol_find(name, &found);

	if (err == -ENOENT)
		ktramp_refuse(r, err, KTRAMP_R_NO_SYMBOL, "the kernel has no symbol %s", name);
	if (err)
		return err;
	symbol = kmalloc(sizeof(*symbol), GFP_KERNEL);
	if (!symbol)
		return -ENOMEM;
	err = ktramp_symbol_at(symbol, found);
	if (!err && offset >= symbol->size)
		err = ktramp_refuse(r, -EINVAL, KTRAMP_R_NOT_TEXT,
				    "%s has only 0x%lx bytes", name, symbol->size);
	/* What was found may be the instruction behind the symbol's endbr64. */
	*addr = symbol->start + offset;
	kfree(symbol);
	return err;
}

static int split(const char *text, struct ktramp_where *where, struct ktramp_refusal *r)
{
	size_t len = strcspn(text, "+");
	unsigned long offset = 0;
	char *name;
	int err;

	if (!len || (text[len] && kstrtoul(text + len + 1, 0, &offset)))
		return refuse_syntax(r);
	name = kstrndup(text, len, GFP_KERNEL);
	if (!name)
		return -ENOMEM;
	err = find_symbol(name, offset, &where->addr, r);
	kfree(name);
	return err;
}

/* The target whose function an address is in. */
static const struct ktramp_target *target_around(unsigned long addr)
{
	struct ktramp_symbol *symbol = kmalloc(sizeof(*symbol), GFP_KERNEL);
	const struct ktramp_target *t = NULL;

	if (symbol && !ktramp_symbol_at(symbol, addr))
		t = ktramp_target_at(symbol->start);
	kfree(symbol);
	return t;
}

/**
 * ktramp_site_find() - find a site by its text
 * @text: the text
 * @where: (out) the site
 * @r: (out) the refusal
 *
 * Context: process, sleeps.
 * Return: 0; -EINVAL syntax, or outside the symbol; -ENOENT no such symbol; -ENOMEM.
 */
int ktramp_site_find(const char *text, struct ktramp_where *where, struct ktramp_refusal *r)
{
	int err;

	where->target = ktramp_target_find(text, strlen(text));
	if (where->target) {
		where->addr = ktramp_target_site(where->target);
		return 0;
	}
	if (text[0] == '0')
		err = kstrtoul(text, 16, &where->addr) ? refuse_syntax(r) : 0;
	else
		err = split(text, where, r);
	if (!err)
		where->target = target_around(where->addr);
	return err;
}
