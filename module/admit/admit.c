// SPDX-License-Identifier: GPL-2.0-only
/*
 * Admission: what the kernel refuses to kprobes is refused to us, and so is what runs
 * before our handler can.
 *
 * register_kprobe() knows, but each call walks over all jump labels, static calls and BUGs:
 * millions of instructions. So there are two questions:
 *   - About one instruction: is it a jump label, a static call, a BUG? image.c's marks answer.
 *     Without marks we ask register_kprobe().
 *   - About the whole function: is it blacklisted, does ftrace own its entry? We ask
 *     register_kprobe() once per function and cache the answer. Where blacklist.c has the list,
 *     and the question is not about the entry itself, we do not ask at all.
 */
#include <linux/bitfield.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/static_call_types.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "admit/admit.h"
#include "admit/hazard.h"
#include "hit/cover.h"
#include "kernel/blacklist.h"
#include "kernel/hotplug.h"
#include "kernel/lock.h"
#include "kernel/target.h"

/*
 * Verdicts by address / 16. The rest of the address is kept in the entry: two functions
 * of less than 16 bytes take turns.
 */
static DEFINE_XARRAY(verdicts);

#define VERDICT_SHIFT	4
#define VERDICT_REFUSED	BIT(0)
#define VERDICT_FTRACE	GENMASK(2, 1)	/* 0: none; 1: at +0; 2: at +4 */
#define VERDICT_LOW	GENMASK(6, 3)	/* low bits of the address */

static const s8 ftrace_offset[] = { -1, 0, 4, -1 };

/*
 * What runs between an int3 and our handler that the kernel's blacklist does not have, if the
 * int3 enters from exc_int3(): thunks, and what a detour's handler runs outside of its guard.
 * preempt_schedule_notrace() is here for that: handlers end in it where preemption is due. It
 * still is when a probe there ends its own handler, and so on. The entry code, exc_int3(), and
 * what is ours are noinstr, which the kernel refuses.
 */
static const char * const direct[] = {
	"preempt_schedule_notrace",
	"__x86_return_thunk",
	"__x86_indirect_thunk_array",
	"entry_untrain_ret",
	"call_depth_return_thunk",
	"its_return_thunk",
	"retbleed_return_thunk",
	"retbleed_untrain_ret",
	"srso_return_thunk",
	"srso_safe_ret",
	"srso_untrain_ret",
	"srso_alias_return_thunk",
	"srso_alias_safe_ret",
	"srso_alias_untrain_ret",
	"zen_untrain_ret",
};

/*
 * What runs besides if it enters by the notifier, and from there to the IRET; between a #DB
 * and our handler, likewise. The kernel's own kprobes are served earlier, so its blacklist does
 * not have all of them. Found by tracing hits (Documentation/xray.rst), not by reading.
 */
static const char * const by_notifier[] = {
	"notify_die",
	"atomic_notifier_call_chain",
	"notifier_call_chain",
	"hw_breakpoint_exceptions_notify",
	"kprobe_exceptions_notify",
	"trace_die_panic_handler",
	"trace_die_handler",
	"kgdb_notify",
	"notify_debug",
	"fixup_iopl_exception",
	"test_ti_thread_flag",
	"__rcu_read_lock",
	"__rcu_read_unlock",
	"rcu_read_unlock_special",
#ifdef CONFIG_LOCKDEP
	"lock_acquire",
	"lock_release",
#endif
#ifdef CONFIG_PROVE_RCU
	"rcu_is_watching",
#endif
#ifdef CONFIG_KASAN
	"kasan_check_range",
	"__kasan_check_read",
	"__kasan_check_write",
#endif
};

/*
 * gcc's copy of a function, as name.constprop.0, runs where the function would. Of what early
 * code calls as well, 7.x has an alias of the same address, __pi_name, which kallsyms may tell.
 */
static bool is_listed(const char *name, const char * const *list, size_t nr)
{
	size_t i, len;

	if (strstarts(name, "__pi_"))
		name += strlen("__pi_");
	len = strcspn(name, ".");
	for (i = 0; i < nr; i++)
		if (*name == *list[i] && !strncmp(name, list[i], len) && !list[i][len])
			return true;
	return false;
}

static bool is_recursive(const char *name, bool is_direct)
{
	if (is_listed(name, direct, ARRAY_SIZE(direct)) ||
	    (!is_direct && is_listed(name, by_notifier, ARRAY_SIZE(by_notifier))))
		return true;
	return strstarts(name, "__x86_indirect_thunk_") ||
	       strstarts(name, "__x86_indirect_call_thunk_") ||
	       strstarts(name, "__x86_indirect_jump_thunk_");
}

/*
 * Taking a kprobe back waits for a grace period, which many can share. Until then it is
 * registered but disabled, and changes nothing; but it must not stay: a second user's arming
 * of it would write over our bytes. Under ktramp_mutex.
 */
#define ASKED_MAX	256

static struct kprobe *asked[ASKED_MAX];
static int nr_asked;

/**
 * ktramp_admit_settle() - take back the kprobes that questions have left
 *
 * Context: process, under ktramp_mutex; sleeps for a grace period if there are any.
 */
void ktramp_admit_settle(void)
{
	lockdep_assert_held(&ktramp_mutex);
	if (!nr_asked)
		return;
	unregister_kprobes(asked, nr_asked);
	while (nr_asked)
		kfree(asked[--nr_asked]);
}

static void settle_later(struct work_struct *work)
{
	mutex_lock(&ktramp_mutex);
	ktramp_admit_settle();
	mutex_unlock(&ktramp_mutex);
}
static DECLARE_DELAYED_WORK(settle_work, settle_later);

/* Ask for @addr. @ftrace: (out) the address that ftrace owns, if it is there, or 0. */
static int ask(unsigned long addr, unsigned long *ftrace)
{
	struct kprobe *kp = kzalloc(sizeof(*kp), GFP_KERNEL);
	int err;

	*ftrace = 0;
	if (!kp)
		return -ENOMEM;
	kp->addr = (kprobe_opcode_t *)addr;
	kp->flags = KPROBE_FLAG_DISABLED;
	err = register_kprobe(kp);
	if (err) {
		kfree(kp);
		return err;
	}
	if (kp->flags & KPROBE_FLAG_FTRACE)
		*ftrace = (unsigned long)kp->addr;
	asked[nr_asked++] = kp;
	if (nr_asked == ASKED_MAX)
		ktramp_admit_settle();
	else
		schedule_delayed_work(&settle_work, HZ);
	return 0;
}

static int refuse_kernel(int err, struct ktramp_refusal *r)
{
	if (err == -ENOMEM || err == -EINTR)
		return err;
	if (err == -EBUSY)
		return ktramp_refuse(r, err, KTRAMP_R_PATCHED,
				     "the kernel is patching there: try again");
	return ktramp_refuse(r, -EACCES, KTRAMP_R_BLACKLIST,
			     "the kernel refuses a kprobe there (error %d)", -err);
}

/*
 * The prefix that the kernel puts in the place of lock while it has one CPU. A real lock is not
 * replaced any more: what a second CPU brings back stays (alternatives_enable_smp()).
 */
static bool is_lock(const struct ktramp_func *func, u32 off)
{
	return func->code[off] == 0x3e;
}

/* Where ftrace owns the entry, or may: behind bytes that look so, or what context.c found. */
static s32 ftraces_entry(const struct ktramp_context *ctx)
{
	return ctx->ftrace >= 0 ? ctx->ftrace : ktramp_func_owned_entry(&ctx->func);
}

/*
 * May we skip register_kprobe()? Yes if blacklist.c has the answer: the text is built in, the
 * name has no ".suffix" (the kernel also looks it up without), and the site is behind the 5-byte
 * ftrace entry. Not while an int3 hides the entry.
 */
static bool is_blacklist_enough(const struct ktramp_context *ctx, u32 off)
{
	const struct ktramp_func *func = &ctx->func;
	s32 entry = ftraces_entry(ctx);

	if (!ctx->builtin || ctx->blind || !ktramp_blacklist_known() ||
	    strchr(ctx->symbol.name, '.'))
		return false;
	if (entry >= 0)
		return off >= entry + CALL_INSN_SIZE;
	/* At +0, or behind an endbr64. */
	return func->code[0] != INT3_INSN_OPCODE &&
	       (func->size <= 4 || func->code[4] != INT3_INSN_OPCODE);
}

/* Would a refusal of this instruction mean that the function is blacklisted? */
static bool is_ordinary(const struct ktramp_func *func, u32 off)
{
	struct ktramp_insn insn;

	if (!(func->marks[off] & KTRAMP_M_START) || (func->marks[off] & KTRAMP_M_OWNED))
		return false;
	ktramp_func_decode(func, off, &insn);
	return insn.branch == KTRAMP_BR_NONE && !is_lock(func, off);
}

/* Where in a function to ask: best its ftrace entry, for which nothing else is prepared. */
static u32 where_to_ask(const struct ktramp_context *ctx)
{
	const struct ktramp_func *func = &ctx->func;
	s32 entry = ftraces_entry(ctx);
	u32 off;

	if (entry >= 0)
		return entry;
	for (off = 0; off < func->known; off++)
		if (is_ordinary(func, off))
			return off;
	return 0;
}

static unsigned long find_verdict(const struct ktramp_func *func, bool *found)
{
	void *entry = xa_load(&verdicts, func->addr >> VERDICT_SHIFT);
	unsigned long verdict = entry ? xa_to_value(entry) : 0;

	*found = entry && FIELD_GET(VERDICT_LOW, verdict) ==
		 (func->addr & (BIT(VERDICT_SHIFT) - 1));
	return verdict;
}

static int ask_verdict(const struct ktramp_context *ctx, unsigned long *verdict,
		       struct ktramp_refusal *r)
{
	const struct ktramp_func *func = &ctx->func;
	unsigned long ftrace;
	int err = ask(func->addr + where_to_ask(ctx), &ftrace);

	/* It takes a block's breakpoint for somebody's patch. */
	if (err && err != -ENOMEM && ktramp_cover_overlaps(func->addr, func->size))
		return ktramp_refuse(r, -EBUSY, KTRAMP_R_BUSY,
				     "blocks of %s are covered, and the kernel cannot be asked about it meanwhile: stop that first",
				     ctx->symbol.name);
	if (err == -ENOMEM || err == -EINTR || err == -EBUSY || err == -ENOENT)
		return refuse_kernel(err, r);
	*verdict = FIELD_PREP(VERDICT_LOW, func->addr & (BIT(VERDICT_SHIFT) - 1));
	if (err)
		*verdict |= VERDICT_REFUSED;
	else if (ftrace)
		*verdict |= FIELD_PREP(VERDICT_FTRACE, ftrace == func->addr ? 1 : 2);
	/* If it cannot be kept it is asked for again. */
	xa_store(&verdicts, func->addr >> VERDICT_SHIFT, xa_mk_value(*verdict), GFP_KERNEL);
	return 0;
}

/*
 * What needs no asking. @is_direct: all that runs before the probe's handler, or between its
 * exceptions, is what comes before exc_int3()'s first call.
 *
 * Return: 0, or -EACCES or -EBUSY with the reason.
 */
int ktramp_admit_known(const struct ktramp_context *ctx, bool is_direct, struct ktramp_refusal *r)
{
	int err = ktramp_hazard(ctx->symbol.name, is_direct, r);

	if (err)
		return err;
	if (is_recursive(ctx->symbol.name, is_direct))
		return ktramp_refuse(r, -EACCES, KTRAMP_R_RECURSION,
				     "%s runs before ktramp's own breakpoint handler: a probe there never returns",
				     ctx->symbol.name);
	/* Some of them are rewritten, and kprobes are let into none (is_cfi_preamble_symbol()). */
	if (ktramp_context_is_prefix(ctx))
		return ktramp_refuse(r, -EACCES, KTRAMP_R_BLACKLIST,
				     "%s is no function, but the bytes in front of one",
				     ctx->symbol.name);
	/* register_kprobe() takes it, and static_call_update() then stops with a BUG. */
	if (strstarts(ctx->symbol.name, STATIC_CALL_TRAMP_PREFIX_STR))
		return ktramp_refuse(r, -EBUSY, KTRAMP_R_PATCHED,
				     "%s is a static call's trampoline, which the kernel rewrites",
				     ctx->symbol.name);
	if (!strcmp(ctx->symbol.module, KBUILD_MODNAME) &&
	    !ktramp_target_at(ctx->symbol.start))
		return ktramp_refuse(r, -EACCES, KTRAMP_R_RECURSION,
				     "%s is part of ktramp itself", ctx->symbol.name);
	return 0;
}

/* Ask about one address, remember nothing. Return: 0, or refuse_kernel()'s error. */
int ktramp_admit_ask(unsigned long addr, struct ktramp_refusal *r)
{
	unsigned long ftrace;
	int err = ask(addr, &ftrace);

	return err ? refuse_kernel(err, r) : 0;
}

static int refuse_function(const struct ktramp_context *ctx, struct ktramp_refusal *r)
{
	return ktramp_refuse(r, -EACCES, KTRAMP_R_BLACKLIST, "the kernel refuses kprobes in %s",
			     ctx->symbol.name);
}

/**
 * ktramp_admit_function() - may there be a probe in a function?
 * @ctx: the function, marked; if the kernel was asked, @ctx->ftrace becomes certain, and its
 *	instruction owned
 * @off: offset of the probe's site
 * @is_direct: as ktramp_admit_known()
 * @r: (out) the refusal
 *
 * Context: process, under ktramp_mutex. It may cost millions of instructions, the first time.
 * Return: 0; -EACCES it is on the kernel's list or on ours; -EBUSY; -ENOMEM.
 */
int ktramp_admit_function(struct ktramp_context *ctx, u32 off, bool is_direct,
			  struct ktramp_refusal *r)
{
	unsigned long verdict;
	bool found;
	int err;

	err = ktramp_admit_known(ctx, is_direct, r);
	if (err || ctx->admitted)
		return err;
	verdict = find_verdict(&ctx->func, &found);
	if (!found && is_blacklist_enough(ctx, off))
		return ktramp_blacklist_overlaps(ctx->func.addr, ctx->func.size) ?
		       refuse_function(ctx, r) : 0;
	if (!found) {
		err = ask_verdict(ctx, &verdict, r);
		if (err)
			return err;
	}
	if (verdict & VERDICT_REFUSED)
		return refuse_function(ctx, r);
	ctx->ftrace = ftrace_offset[FIELD_GET(VERDICT_FTRACE, verdict)];
	if (ctx->ftrace >= 0)
		ctx->func.marks[ctx->ftrace] |= KTRAMP_M_OWNED;
	ctx->admitted = true;
	return 0;
}

static int admit_module(const struct ktramp_context *ctx, struct ktramp_refusal *r)
{
	struct module *mod = ktramp_module_get(ctx->symbol.module);
	bool refused;

	if (!mod)
		return ktramp_refuse(r, -ENOENT, KTRAMP_R_NOT_TEXT,
				     "%s is not the text of a loaded module", ctx->symbol.module);
	refused = ktramp_blacklist_of_module(mod, ctx->func.addr, ctx->func.size);
	ktramp_module_put(mod);
	return refused ? refuse_function(ctx, r) : 0;
}

/**
 * ktramp_admit_cover() - may breakpoints that take themselves away stand in a function?
 * @ctx: the function
 * @is_direct: they enter directly
 * @r: (out) the refusal
 *
 * As ktramp_admit_function(), but register_kprobe() is not asked, because this is about all
 * functions: the lists must be there. They are, wherever ktramp_patchers_known().
 *
 * Context: process, under ktramp_mutex.
 * Return: 0; -EACCES; -EBUSY; -ENOENT; -ENOMEM.
 */
int ktramp_admit_cover(const struct ktramp_context *ctx, bool is_direct, struct ktramp_refusal *r)
{
	int err = ktramp_admit_known(ctx, is_direct, r);

	if (err)
		return err;
	if (!ctx->builtin)
		return admit_module(ctx, r);
	err = ktramp_blacklist_learn();
	if (err)
		return err;
	if (ktramp_blacklist_overlaps(ctx->func.addr, ctx->func.size) ||
	    (strchr(ctx->symbol.name, '.') && ktramp_blacklist_has_name(ctx->symbol.name)))
		return refuse_function(ctx, r);
	return 0;
}

/* Could these bytes be a jump label, a static call or a BUG? */
static bool is_suspicious(const struct ktramp_insn *insn)
{
	if (insn->attr & KTRAMP_A_NOP)
		return insn->len == 2 || insn->len == 5;
	return insn->branch == KTRAMP_BR_JMP || insn->branch == KTRAMP_BR_CALL ||
	       insn->branch == KTRAMP_BR_TRAP || (insn->branch == KTRAMP_BR_JCC && insn->len == 6);
}

/**
 * ktramp_admit_insn() - may there be a probe at, or over, this instruction?
 * @ctx: its function, admitted
 * @off: its offset
 * @r: (out) the refusal
 *
 * Decides what the marks do not: everything if they are blind, otherwise just the lock
 * prefixes that the kernel has taken away from a machine with one CPU. register_kprobe() does not
 * know of those: it asks alternatives_text_reserved() for an empty range.
 *
 * Context: process, under ktramp_mutex.
 * Return: 0 or -EACCES, -EBUSY, -ENOMEM.
 */
int ktramp_admit_insn(const struct ktramp_context *ctx, u32 off, struct ktramp_refusal *r)
{
	struct ktramp_insn insn;

	ktramp_func_decode(&ctx->func, off, &insn);
	if (is_lock(&ctx->func, off) && ktramp_hotplug_brings_locks())
		return ktramp_refuse(r, -EBUSY, KTRAMP_R_PATCHED,
				     "+0x%x has lost its lock prefix, which the kernel puts back with the second CPU",
				     off);
	if (!(ctx->blind && is_suspicious(&insn)))
		return 0;
	return ktramp_admit_ask(ctx->func.addr + off, r);
}

/* The text from @start on goes, and other text may come there. Under ktramp_mutex. */
void ktramp_admit_forget(unsigned long start, unsigned long size)
{
	unsigned long index;
	void *entry;

	xa_for_each_range(&verdicts, index, entry, start >> VERDICT_SHIFT,
			  (start + size) >> VERDICT_SHIFT)
		xa_erase(&verdicts, index);
}

/* The module goes, and nobody else asks any more. */
void ktramp_admit_exit(void)
{
	cancel_delayed_work_sync(&settle_work);
	mutex_lock(&ktramp_mutex);
	ktramp_admit_settle();
	mutex_unlock(&ktramp_mutex);
	xa_destroy(&verdicts);
}
