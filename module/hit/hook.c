// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lead a call of the kernel's to one of our functions, and back.
 *
 * The call of interest is exc_int3()'s of poke_int3_handler(). No breakpoint can stand in its
 * way while it is rewritten: exc_int3() is what would serve it. So the change is one store of
 * eight aligned bytes, which every CPU fetches before or after, never in between (AMD64 manual
 * vol. 2, 7.6.1, asynchronous cross-modification; Intel's CPUs fetch no less at once). It is
 * tried in these places:
 *   - the call's displacement, if its four bytes are within eight aligned ones;
 *   - else the callee's first instruction: if it is long enough for a jump and that is within
 *     eight aligned bytes, nobody can be between the bytes that change. What it displaces is
 *     done by us on the way on;
 *   - else the same with a jump of 2 bytes, for which the nop that was an endbr64 is long enough,
 *     to one of 5 in the padding in front of the callee.
 * Where none fits there is no such hook, and @why says so.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "hit/hook.h"
#include "kernel/symbol.h"
#include "kernel/text.h"
#include "plan/func.h"
#include "plan/plan.h"

/* Exception handlers are short: a call behind this is not looked for. */
#define CALLER_MAX	1024

/* The function of the first of these names. Return: 0, -ENOENT, -ENOMEM. */
static int find_function(const char *const *names, struct ktramp_symbol *symbol)
{
	unsigned long addr;
	int err = -ENOENT;

	for (; *names && err == -ENOENT; names++) {
		err = ktramp_symbol_find(*names, &addr);
		/* It may be the address behind an endbr64. */
		if (!err)
			err = ktramp_symbol_at(symbol, addr);
	}
	return err;
}

/* Where a function calls @callee, its only call of it; 0 if it does not. */
static unsigned long find_call(const struct ktramp_symbol *caller, unsigned long callee)
{
	u32 size = min_t(u32, caller->size, CALLER_MAX), at, len;
	u8 *code = kmalloc(size, GFP_KERNEL);
	struct ktramp_insn insn;
	unsigned long call = 0;

	if (!code || ktramp_text_read(code, caller->start, size))
		goto out;
	for (at = 0; at < size; at += len) {
		if (ktramp_insn_decode(&insn, code + at, size - at) < 0)
			break;
		len = insn.len;
		if (insn.branch != KTRAMP_BR_CALL || caller->start + at + len + insn.imm != callee)
			continue;
		if (call) {
			call = 0;
			break;
		}
		call = caller->start + at;
	}
out:
	kfree(code);
	return call;
}

/* Are the bytes of the text from @addr on in eight aligned ones? */
static bool is_one_store(unsigned long addr, unsigned int len)
{
	return addr % sizeof(u64) + len <= sizeof(u64);
}

/* Make @hook change @len bytes at @addr to @bytes. */
static int set_bytes(struct ktramp_hook *hook, unsigned long addr, const u8 *bytes,
		     unsigned int len)
{
	unsigned long at = round_down(addr, sizeof(u64));
	int err = ktramp_text_read(&hook->theirs, at, sizeof(hook->theirs));

	if (err)
		return err;
	hook->led = hook->theirs;
	memcpy((u8 *)&hook->led + (addr - at), bytes, len);
	hook->at = at;
	return 0;
}

/* The call's displacement leads to us, and @on is a jump to the callee. */
static int use_call(struct ktramp_hook *hook, unsigned long call, unsigned long callee,
		    struct ktramp_emit *on)
{
	u8 rel32[4];
	struct ktramp_emit e = { .buf = rel32, .max = sizeof(rel32), .addr = call + 1 };

	ktramp_emit_rel32(&e, (unsigned long)hook->ours);
	ktramp_emit_jmp(on, callee);
	return e.err ?: set_bytes(hook, call + 1, rel32, sizeof(rel32));
}

/*
 * Where the padding of the function in front of @addr begins, if it is in reach of a short jump
 * there; or 0. Its last bytes belong to @addr: the kernel writes call thunks there (__pfx_).
 */
static unsigned long find_padding(unsigned long addr, struct ktramp_symbol *symbol)
{
	/* Nothing but an endbr64 is branched to through a pointer, as objtool sees to. */
	const struct ktramp_thunks thunks = { .land = true, .tables = true };
	struct ktramp_func func = {};
	unsigned long end = addr, at = 0;
	u8 *code;

	if (!IS_ENABLED(CONFIG_X86_KERNEL_IBT))
		return 0;
	if (!ktramp_symbol_at(symbol, addr - 1) && strstarts(symbol->name, "__pfx_"))
		end = symbol->start;
	if (ktramp_symbol_at(symbol, end - 1) || symbol->size > CALLER_MAX)
		return 0;
	code = kcalloc(2, symbol->size, GFP_KERNEL);
	if (!code || ktramp_text_read(code, symbol->start, symbol->size))
		goto out;
	func.code = code;
	func.marks = code + symbol->size;
	func.addr = symbol->start;
	func.size = symbol->size;
	ktramp_func_scan(&func, &thunks);
	at = func.addr + ktramp_func_tail(&func);
	if (at + KTRAMP_JMP_SIZE > end || at + KTRAMP_JMP8_BACK < addr + KTRAMP_JMP8_SIZE)
		at = 0;
out:
	kfree(code);
	return at;
}

/* Nobody executes padding: the jump to us may stand there before anything leads to it. */
static int make_springboard(struct ktramp_hook *hook, unsigned long addr)
{
	struct ktramp_symbol *symbol = kmalloc(sizeof(*symbol), GFP_KERNEL);
	u8 jump[KTRAMP_JMP_SIZE];
	struct ktramp_emit e = { .buf = jump, .max = sizeof(jump) };
	unsigned long at;
	int err;

	if (!symbol)
		return -ENOMEM;
	at = find_padding(addr, symbol);
	kfree(symbol);
	if (!at)
		return -EOPNOTSUPP;
	e.addr = at;
	ktramp_emit_jmp(&e, (unsigned long)hook->ours);
	err = e.err ?: ktramp_text_read(hook->padding, at, sizeof(hook->padding)) ?:
	      ktramp_text_write(at, jump, sizeof(jump));
	if (!err)
		hook->springboard = at;
	return err;
}

/* The callee begins with a jump to us, and @on does what that displaces. */
static int use_callee(struct ktramp_hook *hook, unsigned long callee, struct ktramp_emit *on)
{
	struct ktramp_insn insn;
	u8 first[KTRAMP_INSN_MAX], jump[KTRAMP_JMP_SIZE];
	struct ktramp_emit e = { .buf = jump, .max = sizeof(jump), .addr = callee };
	unsigned int len = KTRAMP_JMP_SIZE;
	int err;

	if (ktramp_text_read(first, callee, sizeof(first)) ||
	    ktramp_insn_decode(&insn, first, sizeof(first)) < KTRAMP_JMP8_SIZE ||
	    insn.branch != KTRAMP_BR_NONE)
		return -EOPNOTSUPP;
	if (insn.len < KTRAMP_JMP_SIZE) {
		len = KTRAMP_JMP8_SIZE;
		err = make_springboard(hook, callee);
		if (err)
			return err;
	}
	if (!is_one_store(callee, len))
		return -EOPNOTSUPP;
	ktramp_synthesize_jump(&e, len, hook->springboard ?: (unsigned long)hook->ours);
	ktramp_synthesize_copy(on, &insn, first, callee);
	ktramp_emit_jmp(on, callee + insn.len);
	return e.err ?: set_bytes(hook, callee, jump, len);
}

static int find(struct ktramp_hook *hook, struct ktramp_emit *on, struct ktramp_symbol *symbol)
{
	unsigned long callee, call;
	int err;

	hook->why = "the kernel has no such function";
	err = find_function(hook->callees, symbol);
	if (err)
		return err;
	callee = symbol->start;
	err = find_function(hook->callers, symbol);
	if (err)
		return err;
	hook->why = "the call is not found, or not the only one";
	call = find_call(symbol, callee);
	if (!call)
		return -ENOENT;
	hook->why = "no single store changes it: it is not within eight aligned bytes";
	/* endbr64: our function calls it through a pointer */
	ktramp_emit(on, 0xf3, 0x0f, 0x1e, 0xfa);
	if (is_one_store(call + 1, sizeof(u32)))
		return use_call(hook, call, callee, on);
	return hook->is_caller_alone ? use_callee(hook, callee, on) : -EOPNOTSUPP;
}

/**
 * ktramp_hook_find() - find a call that can be led to us
 * @hook: what is wanted; the rest of it is filled in
 * @code: address of %KTRAMP_HOOK_CODE executable bytes for @hook->on
 *
 * Context: process, sleeps; while the module is loaded, before there are probes.
 * Return: 0, also if there is no such call: then @hook->why says what is missing; -ENOMEM.
 */
int ktramp_hook_find(struct ktramp_hook *hook, unsigned long code)
{
	struct ktramp_symbol *symbol = kmalloc(sizeof(*symbol), GFP_KERNEL);
	u8 buf[KTRAMP_HOOK_CODE];
	struct ktramp_emit on = { .buf = buf, .max = sizeof(buf), .addr = code };
	int err;

	if (!symbol)
		return -ENOMEM;
	err = find(hook, &on, symbol) ?: on.err ?: ktramp_text_write(code, buf, on.len);
	kfree(symbol);
	if (err) {
		hook->at = 0;
		ktramp_hook_forget(hook);
		return err == -ENOMEM ? err : 0;
	}
	hook->on = code;
	hook->why = NULL;
	return 0;
}

/**
 * ktramp_hook_lead() - the call leads to us
 * @hook: the hook
 *
 * Every CPU calls us from the next ktramp_text_sync() on; until then the one or the other.
 *
 * Context: process, under ktramp_mutex.
 * Return: 0; -ENOMEM; -EILSEQ somebody else has rewritten the call.
 */
int ktramp_hook_lead(struct ktramp_hook *hook)
{
	int err;

	if (!hook->at || hook->is_led)
		return 0;
	err = ktramp_text_exchange(hook->at, hook->theirs, hook->led);
	if (!err)
		hook->is_led = true;
	return err;
}

/**
 * ktramp_hook_leave() - the call leads to the callee again
 * @hook: the hook
 *
 * A CPU may still come to us until ktramp_text_sync(); we still go on to the callee.
 *
 * Context, return value: as ktramp_hook_lead().
 */
int ktramp_hook_leave(struct ktramp_hook *hook)
{
	int err;

	if (!hook->is_led)
		return 0;
	err = ktramp_text_exchange(hook->at, hook->led, hook->theirs);
	if (!err)
		hook->is_led = false;
	return err;
}

/**
 * ktramp_hook_forget() - give back what a hook holds
 * @hook: the hook: the call leads to the callee, and ktramp_text_sync() has been since
 *
 * Context: process, sleeps.
 */
void ktramp_hook_forget(struct ktramp_hook *hook)
{
	if (!hook->springboard)
		return;
	while (ktramp_text_write(hook->springboard, hook->padding, sizeof(hook->padding)) ==
	       -ENOMEM)
		schedule_timeout_uninterruptible(1);
	hook->springboard = 0;
}
