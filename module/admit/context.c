// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read and mark the function around a site. The last one is kept: sites often come
 * several to a function. So is the last of those around it that was looked at.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <asm/nospec-branch.h>
#include <asm/text-patching.h>

#include "admit/claim.h"
#include "admit/context.h"
#include "admit/image.h"
#include "hit/cover.h"
#include "kernel/compat.h"
#include "kernel/lock.h"
#include "kernel/text.h"
#include "plan/plan.h"

/* Functions larger than this are not planned in. */
#define FUNC_SIZE_MAX	(1U << 20)

/* jmp and jcc rel8 lead no further than this behind themselves, or in front. */
#define SHORT_REACH	128

/* Under ktramp_mutex. @nearby is for whoever asks whose an address is, and is done with it. */
static struct ktramp_context last, beside;
static struct ktramp_symbol nearby;

/*
 * What was found out about functions around the last ones that were read: who goes through all of
 * them, one after the other, asks about each but once. A name costs thousands of instructions. Of
 * the kernel's own text only: the init text of a module goes without a word.
 */
struct neighbour {
	unsigned long start;
	unsigned long size;
	bool compiled;
	bool stays;	/* no short branch leads out of it */
};

#define NEIGHBOURS	64

static struct neighbour neighbours[NEIGHBOURS], in_module;
static unsigned int next_neighbour;

/* The last function of the kernel's own text that was looked up. */
static struct ktramp_symbol named;

static struct ktramp_thunks thunks(const struct ktramp_image *image)
{
	struct ktramp_thunks t = {
		.land = IS_ENABLED(CONFIG_X86_KERNEL_IBT),
		.tables = image->pointers,
	};

#if KTRAMP_HAS_RETPOLINE
	/* One for each register, in their order. */
	t.start = (u64)&__x86_indirect_thunk_rax;
	t.end = (u64)&__x86_indirect_thunk_r15 + sizeof(retpoline_thunk_t);
#endif
	return t;
}

static void drop(struct ktramp_context *ctx)
{
	kvfree(ctx->func.code);
	kvfree(ctx->func.marks);
	memset(ctx, 0, sizeof(*ctx));
}

/* Forget the functions that are kept: the text changed under them, or goes. */
void ktramp_context_drop(void)
{
	drop(&last);
	drop(&beside);
	memset(neighbours, 0, sizeof(neighbours));
	named.size = 0;
}

/* A function's bytes as they are without our breakpoints. Return: a buffer or an error pointer. */
static u8 *read_function(unsigned long start, unsigned long size)
{
	u8 *code = kvmalloc(size, GFP_KERNEL);
	int err;

	if (!code)
		return ERR_PTR(-ENOMEM);
	err = ktramp_text_read(code, start, size);
	if (err) {
		kvfree(code);
		return ERR_PTR(err);
	}
	ktramp_cover_recover(code, start, size);
	ktramp_claims_recover(code, start, size);
	return code;
}

/* The pages of kprobes, ftrace and BPF belong to modules of that name. */
static bool is_generated(const struct ktramp_symbol *symbol)
{
	return strstarts(symbol->module, "__builtin__") || !strcmp(symbol->module, "bpf");
}

/* The nops in front of a function, for which objtool and the kernel have a symbol. */
static bool is_prefix(const struct ktramp_symbol *symbol)
{
	return strstarts(symbol->name, "__pfx_") || strstarts(symbol->name, "__cfi_");
}

/* Is it no function, but the nops in front of one? */
bool ktramp_context_is_prefix(const struct ktramp_context *ctx)
{
	return is_prefix(&ctx->symbol);
}

/* Do such nops begin at an address? Under ktramp_mutex. Return: 1, 0 or -ENOMEM. */
int ktramp_context_is_prefix_at(unsigned long addr)
{
	int err = ktramp_symbol_at(&nearby, addr);

	return err == -ENOMEM ? err : !err && is_prefix(&nearby);
}

/* Code with an entry for ftrace was compiled, and stays within itself. */
static bool is_compiled(unsigned long start)
{
	u8 code[9];
	const struct ktramp_func func = { .code = code, .addr = start, .size = sizeof(code) };

	return !ktramp_text_read(code, start, sizeof(code)) && ktramp_func_ftrace(&func) >= 0;
}

/* The function around an address. Return: or an error pointer, -ENOENT or -ENOMEM. */
static const struct ktramp_symbol *symbol_at(unsigned long addr)
{
	int err;

	if (addr - named.start < named.size)
		return &named;
	named.size = 0;
	err = ktramp_symbol_at(&nearby, addr);
	if (err)
		return ERR_PTR(err);
	if (nearby.module[0])
		return &nearby;
	named = nearby;
	return &named;
}

static bool leaves(const struct ktramp_func *func, const struct ktramp_insn *insn, u32 off)
{
	s64 to = ktramp_branch_offset(insn, off);

	return to < 0 || to >= func->size;
}

/*
 * Does no short branch lead out of a function? Those of 32 bits are in the image's map, but for
 * our own module's. What somebody's breakpoint may hide does not count as known.
 */
static bool stays_within(const u8 *code, const struct ktramp_symbol *symbol)
{
	const struct ktramp_func func = {
		.code = code, .addr = symbol->start, .size = symbol->size,
	};
	bool ours = !strcmp(symbol->module, KBUILD_MODNAME), falls = true;
	struct ktramp_insn insn;
	u32 off;

	for (off = 0; off < func.size; off += insn.len) {
		if (ktramp_func_decode(&func, off, &insn) < 0)
			return false;
		if (code[off] == INT3_INSN_OPCODE && falls)
			return false;
		falls = !ktramp_insn_ends_flow(&insn);
		if (ktramp_insn_is_rel(&insn) && (insn.imm_len == 1 || ours) &&
		    leaves(&func, &insn, off))
			return false;
	}
	return true;
}

/* Of what is not compiled, and can be read. Return: 0 or -ENOMEM. */
static int look_into(struct neighbour *n, const struct ktramp_symbol *symbol)
{
	u8 *code = read_function(symbol->start, symbol->size);

	if (IS_ERR(code))
		return PTR_ERR(code) == -ENOMEM ? -ENOMEM : 0;
	n->stays = stays_within(code, symbol);
	kvfree(code);
	return 0;
}

/* What is around an address, function or not. Return: or an error pointer, as symbol_at(). */
static const struct neighbour *neighbour_at(unsigned long addr)
{
	const struct ktramp_symbol *symbol;
	struct neighbour found = {}, *n;
	int err = 0;

	for (n = neighbours; n < neighbours + NEIGHBOURS; n++)
		if (addr - n->start < n->size)
			return n;
	symbol = symbol_at(addr);
	if (IS_ERR(symbol))
		return ERR_CAST(symbol);
	found.start = symbol->start;
	found.size = symbol->size;
	found.stays = is_prefix(symbol);
	found.compiled = symbol->size > FUNC_SIZE_MAX || is_compiled(symbol->start);
	if (!found.stays && !found.compiled)
		err = look_into(&found, symbol);
	if (err)
		return ERR_PTR(err);
	n = symbol->module[0] ? &in_module : &neighbours[next_neighbour++ % NEIGHBOURS];
	*n = found;
	return n;
}

static int mark_from(struct ktramp_func *func, const struct neighbour *n)
{
	u8 *code = read_function(n->start, n->size);

	if (IS_ERR(code))
		return PTR_ERR(code) == -ENOMEM ? -ENOMEM : 0;
	ktramp_func_enter(func, code, n->start, n->size);
	kvfree(code);
	return 0;
}

/*
 * Short branches that come in from the functions around. Assembler code has labels that are
 * symbols, so the next symbol alone is not enough. Stop at the first compiled function: compilers
 * do not branch into their neighbours.
 */
static int mark_neighbours(struct ktramp_func *func, bool in_front)
{
	unsigned long edge = in_front ? func->addr : func->addr + func->size, at = edge;
	const struct neighbour *n;
	int err = 0;

	while (!err && (in_front ? edge - at : at - edge) < SHORT_REACH) {
		n = neighbour_at(in_front ? at - 1 : at);
		if (n == ERR_PTR(-ENOMEM))
			return -ENOMEM;
		/* Text in no function, as between sections. What has a branch is no shorter. */
		if (IS_ERR(n)) {
			at += in_front ? -KTRAMP_JMP8_SIZE : KTRAMP_JMP8_SIZE;
			continue;
		}
		if (n->compiled)
			break;
		if (!n->stays)
			err = mark_from(func, n);
		at = in_front ? n->start : n->start + n->size;
	}
	return err;
}

/*
 * Where a jump out of the function leads: to text, or to what a kprobe was optimized into?
 * Return: 1, 0 or -ENOMEM.
 */
static int leads_to_text(const struct ktramp_image *image, unsigned long addr)
{
	int err;

	if (addr - image->start < image->size)
		return 1;
	err = ktramp_symbol_at(&nearby, addr);
	if (err)
		return err == -ENOMEM ? err : 0;
	return !is_generated(&nearby);
}

/*
 * Somebody else's breakpoint or jump stands over an instruction whose length it hides: what
 * follows would be read from its middle. An int3 that control comes to is no padding.
 *
 * Return: 0 or -ENOMEM.
 */
static int stop_at_foreign(const struct ktramp_context *ctx, struct ktramp_func *func,
			   const struct ktramp_image *image)
{
	struct ktramp_insn insn;
	int text = 1;
	u32 off;

	for (off = 0; off < func->known; off++) {
		if (!(func->marks[off] & KTRAMP_M_START))
			continue;
		if (func->code[off] == INT3_INSN_OPCODE && (func->marks[off] & KTRAMP_M_ENTER))
			break;
		if (func->code[off] != JMP32_INSN_OPCODE || off == (u32)ctx->ftrace)
			continue;
		ktramp_func_decode(func, off, &insn);
		if (leaves(func, &insn, off))
			text = leads_to_text(image, func->addr + ktramp_branch_offset(&insn, off));
		if (text <= 0)
			break;
	}
	func->known = min(func->known, off);
	return min(text, 0);
}

/*
 * Does the call at an entry look like ftrace's? Cold parts may begin with one of their own, to
 * a function; ftrace's goes to its own code, or to a trampoline that it, BPF or a module made.
 *
 * Return: 1, 0 or -ENOMEM.
 */
static int is_ftraces(const struct ktramp_context *ctx, u32 off)
{
	struct ktramp_insn insn;
	int err;

	if (ktramp_func_decode(&ctx->func, off, &insn) < 0 || insn.branch != KTRAMP_BR_CALL)
		return 1;
	err = ktramp_symbol_at(&nearby, ctx->func.addr + ktramp_branch_offset(&insn, off));
	if (err)
		return err == -ENOMEM ? err : 1;
	if (nearby.module[0] && strcmp(nearby.module, ctx->symbol.module))
		return 1;
	return strstarts(nearby.name, "ftrace_") || !strcmp(nearby.name, "__fentry__");
}

/*
 * Does the jump at an entry look like ftrace's? From 6.19 on ftrace jumps to a trampoline that
 * nobody shares and that returns to the function's caller, as fexit's does
 * (CONFIG_DYNAMIC_FTRACE_WITH_JMP). A compiled function's own first jump goes to a function, and
 * an optimized kprobe's to a page of kprobes.
 *
 * Return: the jump's offset, -ENOENT or -ENOMEM.
 */
static s32 find_ftraces_jump(const struct ktramp_context *ctx)
{
	const struct ktramp_func *func = &ctx->func;
	u32 off = ktramp_func_entry(func);
	struct ktramp_insn insn;
	int err;

	if (!IS_ENABLED(CONFIG_DYNAMIC_FTRACE_WITH_JMP) || func->code[off] != JMP32_INSN_OPCODE ||
	    ktramp_func_decode(func, off, &insn) < 0 || !leaves(func, &insn, off))
		return -ENOENT;
	err = ktramp_symbol_at(&nearby, func->addr + ktramp_branch_offset(&insn, off));
	if (err)
		return err;
	if (!nearby.module[0] || !strcmp(nearby.module, ctx->symbol.module) ||
	    !strcmp(nearby.module, "__builtin__kprobes"))
		return -ENOENT;
	return off;
}

/*
 * The calls in ftrace's own trampolines: ftrace rewrites them as tracers come and go
 * (ftrace_update_ftrace_func() in arch/x86/kernel/ftrace.c), no table has them, and
 * register_kprobe() accepts.
 */
static void mark_ftraces(struct ktramp_context *ctx)
{
	static const char * const calls[] = { "ftrace_call", "ftrace_regs_call" };

	if (!ctx->symbol.module[0] && match_string(calls, ARRAY_SIZE(calls), ctx->symbol.name) >= 0)
		ctx->func.marks[0] |= KTRAMP_M_OWNED;
}

/* Where ftrace owns the entry, as far as bytes and symbols tell. Return: 0 or -ENOMEM. */
static int find_ftrace(struct ktramp_context *ctx)
{
	int ftraces;

	ctx->ftrace = find_ftraces_jump(ctx);
	if (ctx->ftrace >= 0) {
		ctx->func.marks[ctx->ftrace] |= KTRAMP_M_OWNED;
		return 0;
	}
	if (ctx->ftrace == -ENOMEM)
		return -ENOMEM;
	ctx->ftrace = ktramp_func_owned_entry(&ctx->func);
	ftraces = ctx->ftrace >= 0 ? is_ftraces(ctx, ctx->ftrace) : 0;
	if (ftraces <= 0)
		ctx->ftrace = -1;
	return min(ftraces, 0);
}

/* @code becomes the context's, or is freed. */
static int fill(struct ktramp_context *ctx, u8 *code, struct ktramp_refusal *r)
{
	const struct ktramp_image *image;
	struct ktramp_func *func = &ctx->func;
	struct ktramp_thunks t;
	int err;

	func->code = code;
	func->addr = ctx->symbol.start;
	func->size = ctx->symbol.size;
	func->marks = kvmalloc(func->size, GFP_KERNEL);
	image = ktramp_image_at(&ctx->symbol, r);
	if (IS_ERR(image))
		return PTR_ERR(image);
	if (!func->marks)
		return -ENOMEM;
	ctx->blind = image->blind;
	ctx->builtin = !ctx->symbol.module[0] && func->addr >= image->start &&
		       func->addr - image->start < image->size;
	t = thunks(image);
	ktramp_func_scan(func, &t);
	ktramp_image_mark(image, func);
	mark_ftraces(ctx);
	err = find_ftrace(ctx) ?: stop_at_foreign(ctx, func, image);
	if (err)
		return err;
	ctx->admitted = false;
	return mark_neighbours(func, true) ?: mark_neighbours(func, false);
}

static bool is_unchanged(const struct ktramp_context *ctx, const u8 *code)
{
	return ctx->func.code && !memcmp(ctx->func.code, code, ctx->symbol.size);
}

static int load(struct ktramp_context *ctx, unsigned long addr, struct ktramp_refusal *r)
{
	struct ktramp_symbol *symbol = &ctx->symbol;
	u8 *code;
	int err;

	if (!ctx->func.code || addr - symbol->start >= symbol->size) {
		const struct ktramp_symbol *found = symbol_at(addr);

		drop(ctx);
		err = PTR_ERR_OR_ZERO(found);
		if (!err)
			*symbol = *found;
		if (err == -ENOENT)
			ktramp_refuse(r, err, KTRAMP_R_NOT_TEXT, "the address is in no function");
		if (err)
			return err;
	}
	if (symbol->size > FUNC_SIZE_MAX)
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_DECODE,
				     "the function's size of %lu bytes is not believable",
				     symbol->size);
	code = read_function(symbol->start, symbol->size);
	if (IS_ERR(code))
		return PTR_ERR(code);
	if (is_unchanged(ctx, code)) {
		kvfree(code);
		return 0;
	}
	kvfree(ctx->func.code);
	kvfree(ctx->func.marks);
	ctx->func.marks = NULL;
	return fill(ctx, code, r);
}

static struct ktramp_context *load_into(struct ktramp_context *ctx, unsigned long addr,
					struct ktramp_refusal *r)
{
	int err;

	lockdep_assert_held(&ktramp_mutex);
	err = load(ctx, addr, r);
	if (!err)
		return ctx;
	drop(ctx);
	return ERR_PTR(err);
}

/**
 * ktramp_context_at() - the function around an address
 * @addr: the address
 * @r: (out) the refusal
 *
 * Context: process, under ktramp_mutex.
 * Return: the context, valid while the mutex is held; or an error pointer: -ENOENT no
 * function; -EBUSY its module comes or goes; -EOPNOTSUPP; -ENOMEM.
 */
struct ktramp_context *ktramp_context_at(unsigned long addr, struct ktramp_refusal *r)
{
	return load_into(&last, addr, r);
}

/**
 * ktramp_context_beside() - as ktramp_context_at(), and what that returned stays valid
 * @addr: an address in another function
 * @r: (out) the refusal
 *
 * Context and return value as ktramp_context_at(); valid until it is called again.
 */
struct ktramp_context *ktramp_context_beside(unsigned long addr, struct ktramp_refusal *r)
{
	return load_into(&beside, addr, r);
}

/* The module goes. */
void ktramp_context_exit(void)
{
	ktramp_context_drop();
	ktramp_images_exit();
}
