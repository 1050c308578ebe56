// SPDX-License-Identifier: GPL-2.0-only
/*
 * A site's text -> its address: a target's name, symbol+0xoffset, module:symbol+0xoffset,
 * symbol,number+0xoffset where several functions have one name, or 0xaddress.
 */
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/text-patching.h>

#include "admit/context.h"
#include "engine/site.h"
#include "kernel/lock.h"
#include "kernel/namesake.h"
#include "kernel/symbol.h"
#include "kernel/target.h"

static int refuse_syntax(struct ktramp_refusal *r)
{
	return ktramp_refuse(r, -EINVAL, KTRAMP_R_SYNTAX,
			     "write symbol+0xoffset, module:symbol+0xoffset, symbol,number+0xoffset, 0xaddress or a target's name");
}

/* A function as a site's text names it. */
struct named {
	struct ktramp_symbol symbol;
	struct ktramp_namesakes all;
	unsigned int number;	/* which of @all, from 1; 0 if the text has none */
};

/* "name,1 0xffffffff81000000, name,2 ..." as far as there is room, which is for three. */
static int refuse_many(const char *name, const struct ktramp_namesakes *all,
		       struct ktramp_refusal *r)
{
	bool shown = ktramp_symbol_shows();
	unsigned int i;
	size_t len;
	int err;

	err = ktramp_refuse(r, -EADDRNOTAVAIL, KTRAMP_R_AMBIGUOUS,
			    "%u functions are called %s: say which by its address, or write %s,1 to ,%u",
			    all->nr, name, name, all->nr);
	if (!shown)
		return err;
	len = strlen(r->why);
	for (i = 0; i < min(all->nr, KTRAMP_NAMESAKES_MAX) && len < sizeof(r->why); i++)
		len += scnprintf(r->why + len, sizeof(r->why) - len, "%s0x%lx", i ? " " : ": ",
				 all->addr[i]);
	return err;
}

/* A bare name that the kernel does not have may be of several modules. */
static int check_modules(const char *name, const struct ktramp_symbol *symbol,
			 struct ktramp_refusal *r)
{
	int nr = symbol->module[0] && !strchr(name, ':') ? ktramp_namesake_modules(name) : 0;

	if (nr < 0)
		return nr;
	if (nr < 2)
		return 0;
	return ktramp_refuse(r, -EADDRNOTAVAIL, KTRAMP_R_AMBIGUOUS,
			     "%d modules have a function %s: write module:%s, as %s:%s", nr, name,
			     name, symbol->module, name);
}

/* An address is an identity; a name is one if it is alone. */
static int choose(const char *name, struct named *named, struct ktramp_refusal *r)
{
	struct ktramp_namesakes *all = &named->all;
	int err = ktramp_namesakes_of(&named->symbol, all) ?:
		  check_modules(name, &named->symbol, r);

	if (err)
		return err;
	if (!named->number)
		return all->nr > 1 ? refuse_many(name, all, r) : 0;
	if (named->number > max(all->nr, 1U))
		return ktramp_refuse(r, -ENOENT, KTRAMP_R_NO_SYMBOL,
				     "there is no %s,%u: %u function%s called so", name,
				     named->number, max(all->nr, 1U),
				     all->nr > 1 ? "s are" : " is");
	if (named->number > KTRAMP_NAMESAKES_MAX)
		return ktramp_refuse(r, -ENOENT, KTRAMP_R_AMBIGUOUS,
				     "%s,%u: say it by its address", name, named->number);
	return all->nr > 1 ? ktramp_symbol_at(&named->symbol, all->addr[named->number - 1]) : 0;
}

/* The offset must be inside the symbol: another function's instructions are its own. */
static int find_symbol(const char *name, struct named *named, unsigned long offset,
		       unsigned long *addr, struct ktramp_refusal *r)
{
	unsigned long found;
	int err = ktramp_symbol_find(name, &found);

	if (err == -ENOENT)
		ktramp_refuse(r, err, KTRAMP_R_NO_SYMBOL, "the kernel has no symbol %s", name);
	if (!err)
		err = ktramp_symbol_at(&named->symbol, found);
	if (!err)
		err = choose(name, named, r);
	if (!err && offset >= named->symbol.size)
		err = ktramp_refuse(r, -EINVAL, KTRAMP_R_NOT_TEXT,
				    "%s has only 0x%lx bytes", name, named->symbol.size);
	/* What was found may be the instruction behind the symbol's endbr64. */
	if (!err)
		*addr = named->symbol.start + offset;
	return err;
}

/* "[module:]symbol[,number][+offset]" */
static int split(const char *text, struct ktramp_where *where, struct ktramp_refusal *r)
{
	size_t len = strcspn(text, "+"), end = strcspn(text, "+,");
	unsigned long offset = 0;
	struct named *named;
	char *name, *number;
	int err = 0;

	if (!end || (text[len] && kstrtoul(text + len + 1, 0, &offset)))
		return refuse_syntax(r);
	named = kzalloc(sizeof(*named), GFP_KERNEL);
	name = kstrndup(text, len, GFP_KERNEL);
	if (!name || !named)
		err = -ENOMEM;
	if (!err && end < len) {
		number = name + end;
		*number++ = '\0';
		if (kstrtouint(number, 10, &named->number) || !named->number)
			err = refuse_syntax(r);
	}
	if (!err)
		err = find_symbol(name, named, offset, &where->addr, r);
	kfree(name);
	kfree(named);
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
 * Return: 0; -EINVAL syntax, or outside the symbol; -ENOENT no such symbol; -EADDRNOTAVAIL
 * several functions are called so; -ENOMEM.
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

/* Return: which of the functions of its name a function is, from 1; 0 if it is the only one. */
static unsigned int number_of(const struct ktramp_symbol *symbol,
			      const struct ktramp_namesakes *all)
{
	unsigned int i;

	for (i = 0; all->nr > 1 && i < min(all->nr, KTRAMP_NAMESAKES_MAX); i++)
		if (all->addr[i] == symbol->start)
			return i + 1;
	return 0;
}

/**
 * ktramp_site_print() - an address as symbol+0xoffset, or symbol,number+0xoffset
 * @buf: (out) the text, which names this place and no other
 * @size: of @buf, bytes
 * @addr: the address
 *
 * Context: process, sleeps.
 * Return: 0, or the error of ktramp_symbol_at() or ktramp_namesakes_of(), and an empty text.
 */
int ktramp_site_print(char *buf, size_t size, unsigned long addr)
{
	struct ktramp_symbol *symbol = kmalloc(sizeof(*symbol), GFP_KERNEL);
	struct ktramp_namesakes *all = kmalloc(sizeof(*all), GFP_KERNEL);
	unsigned int number;
	int err = -ENOMEM;

	*buf = '\0';
	if (symbol && all)
		err = ktramp_symbol_at(symbol, addr) ?: ktramp_namesakes_of(symbol, all);
	if (!err) {
		number = number_of(symbol, all);
		if (number)
			snprintf(buf, size, "%s,%u+0x%lx", symbol->name, number,
				 addr - symbol->start);
		else
			snprintf(buf, size, "%s+0x%lx", symbol->name, addr - symbol->start);
	}
	kfree(symbol);
	kfree(all);
	return err;
}

/*
 * Do the registers hold the arguments? In front of the function's own code there are an endbr64
 * and ftrace's call, and what is in its place while nobody traces. Behind them a loop may come
 * back to its first instruction, with registers of its own.
 */
static bool is_entry(const struct ktramp_context *ctx, u32 off)
{
	u32 entry = ktramp_func_entry(&ctx->func);

	if (ctx->func.indirect >= 0 || ktramp_func_source(&ctx->func, off) >= 0)
		return off <= entry && ctx->ftrace == (s32)entry;
	if (off <= entry)
		return true;
	return ctx->ftrace == (s32)entry && off == entry + CALL_INSN_SIZE &&
	       !(ctx->func.marks[off] & KTRAMP_M_ENTER);
}

static void describe(struct ktramp_site_info *place, const struct ktramp_context *ctx,
		     unsigned long addr)
{
	place->offset = addr - ctx->func.addr;
	if (!place->offset)
		place->offset = ktramp_func_entry(&ctx->func);
	place->length = ctx->func.size;
	place->marks = is_entry(ctx, place->offset) ? KTRAMP_SITE_ENTRY : 0;
	addr = ctx->func.addr + place->offset;
	place->address = ktramp_symbol_shows() ? addr : 0;
}

/**
 * ktramp_site_describe() - what a site's text names
 * @place: the text; (out) the rest
 * @r: (out) the refusal
 *
 * Context: process, sleeps.
 * Return: 0 or what ktramp_site_find() or ktramp_context_at() say.
 */
int ktramp_site_describe(struct ktramp_site_info *place, struct ktramp_refusal *r)
{
	struct ktramp_context *ctx;
	struct ktramp_where where;
	int err = ktramp_site_find(place->site, &where, r);

	if (err)
		return err;
	mutex_lock(&ktramp_mutex);
	ctx = ktramp_context_at(where.addr, r);
	err = PTR_ERR_OR_ZERO(ctx);
	if (!err) {
		describe(place, ctx, where.addr);
		where.addr = ctx->func.addr + place->offset;
	}
	mutex_unlock(&ktramp_mutex);
	return err ?: ktramp_site_print(place->site, sizeof(place->site), where.addr);
}
