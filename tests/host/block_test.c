// SPDX-License-Identifier: GPL-2.0-only
/*
 * module/plan/block.c without a kernel: the blocks of functions written for it, and those of
 * whole kernels beside what Zydis finds in the same bytes.
 *
 * Usage: block_test [VMLINUX=TEXT...]
 *
 *	TEXT	the directory of qemu/text
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../module/plan/block.h"
#include "../../module/plan/refuse.h"
#include "kernel.h"

#define ARRAY_SIZE(_a)	(sizeof(_a) / sizeof((_a)[0]))

/* Of a kernel's blocks at least so many of 1,000 must be observable, refused functions aside. */
#define OBSERVABLE_MIN	975

/* Complaints of one kernel that are printed. */
#define SHOWN		20

static unsigned int test_nr, failures;

static void result(bool ok, const char *what, const char *of)
{
	printf("%s %u block_test: %s%s%s\n", ok ? "ok" : "not ok", ++test_nr, what,
	       *of ? ": " : "", of);
	failures += !ok;
}

/* ---- functions of a few instructions ---- */

struct row {
	const char *what;
	const char *code;	/* hex, spaces between instructions */
	const char *blocks;	/* start+len@site each, or start+len!reason */
	bool calls, locks;
	s32 ftrace;		/* -1: none; 0 is written as AT0 */
	u32 owned;		/* offset of an instruction, 0: none */
	u32 enter;		/* likewise, where control comes from elsewhere */
};

#define NONE	.ftrace = -1
#define TRAPS	"11"
#define PATCHED	"7"
#define SHAPE	"20"

static const struct row rows[] = {
	{ "one block", "488d0437 c3", "0+5@0", NONE },
	{ "a call goes on", "e800010000 90 c3", "0+7@0", NONE },
	{ "a call ends one, if wanted", "e800010000 90 c3", "0+5@0 5+2@5", .calls = true, NONE },
	{ "an indirect call, likewise", "ffd0 90 c3", "0+2@0 2+2@2", .calls = true, NONE },
	{ "a branch, what follows it, its target", "7501 90 c3", "0+2@0 2+1@2 3+1@3", NONE },
	{ "a loop to itself", "90 75fe c3", "0+1@0 1+2@1 3+1@3", NONE },
	{ "loop and jrcxz", "e201 90 e300 c3", "0+2@0 2+1@2 3+2@3 5+1@5", NONE },
	{ "behind a jmp is nothing", "eb02 90 90 c3", "0+2@0 4+1@4", NONE },
	{ "behind a ret is padding", "c3 90 90 cc", "0+1@0", NONE },
	{ "behind a ret that is come back to", "7402 c3 90 90 c3", "0+2@0 2+1@2 4+2@4", NONE },
	{ "ud2 ends one", "90 0f0b 90", "0+3@0", NONE },
	{ "an int3", "7401 c3 cc 90 c3", "0+2@0 2+1@2 3+1!" TRAPS, NONE },
	{ "an int3 is fallen into: the rest is unknown", "7400 90 cc 90 c3", "0+2@0 2+1@2", NONE },
	{ "endbr64 stays", "f30f1efa 90 c3", "0+6@4", NONE },
	{ "endbr64 and ftrace", "f30f1efa 0f1f440000 90 c3", "0+11@9", .ftrace = 4 },
	{ "endbr64, and ftrace's tables", "f30f1efa 0f1f440000 90 c3", "0+11@9",
	  .ftrace = 4, .enter = 4 },
	{ "ftrace at once", "0f1f440000 90 c3", "0+7@5", .ftrace = 0 },
	{ "ftrace, and a loop to behind it", "0f1f440000 75fe c3", "0+5!" PATCHED " 5+2@5 7+1@7",
	  .ftrace = 0 },
	{ "a label that is off", "90 0f1f440000 90 c3", "0+8@0", .owned = 1, NONE },
	{ "it is entered", "7400 0f1f440000 90 c3", "0+2@0 2+7@7", .owned = 2, NONE },
	{ "a label that is on", "90 eb01 50 c3", "0+3@0 3+1@3 4+1@4", .owned = 1, NONE },
	{ "it is entered", "7400 eb01 50 c3", "0+2@0 2+2!" PATCHED " 4+1@4 5+1@5",
	  .owned = 2, NONE },
	{ "a static call", "7400 e800010000 90 c3", "0+2@0 2+7@7", .owned = 2, NONE },
	{ "it ends a block", "7400 e800010000 90 c3", "0+2@0 2+5!" PATCHED " 7+2@7", .calls = true,
	  .owned = 2, NONE },
	{ "a static tail call", "90 e9f6ffffff cc 90", "0+6@0", .owned = 1, NONE },
	{ "a static tail call that is a ret", "90 c3 cc cc cc cc", "0+2@0", .owned = 1, NONE },
	{ "a lock prefix that is gone", "7400 3eff00 90 c3", "0+2@0 2+5@5", .locks = true, NONE },
	{ "for good", "7400 3eff00 90 c3", "0+2@0 2+5@2", NONE },
	{ "hlt behind sti, entered", "fb f4 90 c3", "0+1@0 1+3@2", .enter = 1, NONE },
	{ "hlt behind a byte of sti", "b0fb f4 90 c3", "0+2@0 2+3@2", .enter = 2, NONE },
	{ "entered from elsewhere", "90 90 c3", "0+1@0 1+2@1", .enter = 1, NONE },
	{ "no instruction: the rest is unknown", "7400 90 06 c3", "0+2@0 2+1@2", NONE },
	{ "nothing is known", "06", "", NONE },
};

static size_t unhex(const char *text, u8 *bytes)
{
	size_t n = 0;
	unsigned int byte;

	for (; *text; text += *text == ' ' ? 1 : 2)
		if (*text != ' ' && sscanf(text, "%2x", &byte) == 1)
			bytes[n++] = (u8)byte;
	return n;
}

static void list(const struct ktramp_blocks *blocks, char *text, size_t size)
{
	struct ktramp_block block;
	size_t at = 0;

	*text = '\0';
	for (bool more = ktramp_block_first(blocks, &block); more;
	     more = ktramp_block_next(blocks, &block))
		at += (size_t)snprintf(text + at, size - at, "%s%u+%u%c%u", at ? " " : "",
				       block.start, block.len, block.reason ? '!' : '@',
				       block.reason ? block.reason : block.site);
}

static void test_rows(void)
{
	static const struct ktramp_thunks no_thunks;
	unsigned int wrong = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		u8 code[64], marks[64];
		struct ktramp_func func = {
			.code = code, .marks = marks, .addr = 0xffffffffc0200000ULL,
		};
		struct ktramp_blocks blocks = {
			.func = &func, .ftrace = row->ftrace, .calls = row->calls,
			.locks = row->locks,
		};
		char text[256];

		func.size = (u32)unhex(row->code, code);
		ktramp_func_scan(&func, &no_thunks);
		if (row->owned)
			marks[row->owned] |= KTRAMP_M_OWNED;
		if (row->enter)
			marks[row->enter] |= KTRAMP_M_ENTER;
		list(&blocks, text, sizeof(text));
		if (strcmp(text, row->blocks)) {
			printf("# %s: \"%s\", expected \"%s\"\n", row->what, text, row->blocks);
			wrong++;
		}
	}
	result(!wrong, "the blocks of small functions", "");
}

/* ---- whole kernels ---- */

struct tally {
	u64 funcs, blocks, observable, moved, wrong;
	u64 unread;	/* functions that Zydis reads otherwise */
};

static struct kernel kernel;
static struct tally tally;

static void wrong(const struct ktramp_func *func, u32 at, const char *what)
{
	if (tally.wrong++ < SHOWN)
		printf("# %#llx+%#x: %s\n", (unsigned long long)func->addr, at, what);
}

#define LEADER	1
#define CALLED	2	/* behind a call */
#define FIXED	4	/* no int3 may stand there */
#define TAKEN	8	/* its address is taken (_THIS_IP_): somebody may come by that */

static bool is_fill(const ZydisDecodedInstruction *insn)
{
	return insn->mnemonic == ZYDIS_MNEMONIC_NOP || insn->mnemonic == ZYDIS_MNEMONIC_INT3;
}

/* Where in the function an address is that the instruction takes, or 0. */
static u32 takes_address(const ZydisDecodedInstruction *insn, u32 at, u32 size)
{
	ZyanI64 to = (ZyanI64)at + insn->length + insn->raw.disp.value;

	return insn->mnemonic == ZYDIS_MNEMONIC_LEA && !insn->raw.modrm.mod &&
	       insn->raw.modrm.rm == 5 && to > 0 && to < size ? to : 0;
}

/* What an outline says is what the whole decoder says. */
static void check_outline(const struct ktramp_func *func, u32 at)
{
	const u32 attr = KTRAMP_A_NOP | KTRAMP_A_RIPREL;
	struct ktramp_insn outline, whole;
	int len = ktramp_insn_outline(&outline, func->code + at, func->size - at);

	if (len != ktramp_insn_decode(&whole, func->code + at, func->size - at) || len < 0 ||
	    outline.len != whole.len || outline.branch != whole.branch ||
	    outline.imm != whole.imm || outline.imm_len != whole.imm_len ||
	    outline.opcode != whole.opcode || outline.map != whole.map ||
	    outline.modrm != whole.modrm || outline.prefix != whole.prefix ||
	    outline.disp != whole.disp || (outline.attr & attr) != (whole.attr & attr))
		wrong(func, at, "its outline is that of another instruction");
}

/*
 * What Zydis says of each instruction of the function. Return: false if it has other ones than the
 * planner's decoder, which insn_diff is about.
 */
static bool read_with_zydis(const struct ktramp_func *func, u8 *says)
{
	enum ZydisInstructionCategory_ front = ZYDIS_CATEGORY_INVALID;
	bool label = false, sti = false;
	ZydisDecodedInstruction insn;
	u32 at = 0;

	memset(says, 0, func->size);
	for (; at < func->known; at += insn.length) {
		u64 n = func->addr - kernel.start + at;

		if (!(func->marks[at] & KTRAMP_M_START) ||
		    ZYAN_FAILED(ZydisDecoderDecodeInstruction(&kernel_decoder, NULL,
							      func->code + at, func->size - at,
							      &insn)))
			return false;
		check_outline(func, at);
		says[takes_address(&insn, at, func->size)] |= TAKEN;
		if (!at || kernel_bit(kernel.truth, n) || front == ZYDIS_CATEGORY_COND_BR)
			says[at] |= LEADER;
		if (at && (s32)at == ktramp_func_owned_entry(func))
			says[at] = 0;
		if (label && (!is_fill(&insn) || kernel_bit(kernel.owned, n)))
			says[at] |= LEADER;
		if (front == ZYDIS_CATEGORY_CALL)
			says[at] |= CALLED;
		if (kernel_bit(kernel.rewritten, n) || insn.mnemonic == ZYDIS_MNEMONIC_ENDBR64 ||
		    insn.mnemonic == ZYDIS_MNEMONIC_INT3 || sti || func->code[at] == 0x3e)
			says[at] |= FIXED;
		front = insn.meta.category;
		label = kernel_bit(kernel.owned, n) && (front == ZYDIS_CATEGORY_UNCOND_BR ||
							front == ZYDIS_CATEGORY_RET);
		sti = insn.mnemonic == ZYDIS_MNEMONIC_STI;
	}
	return at == func->known;
}

/* Is there none that control comes to, from @from up to @to? */
static bool is_clear(const u8 *says, u32 from, u32 to, u8 wanted)
{
	while (from < to && !(says[from] & wanted))
		from++;
	return from >= to;
}

static void check_blocks(const struct ktramp_func *func, const u8 *says, bool calls)
{
	const struct ktramp_blocks blocks = {
		.func = func, .calls = calls, .locks = true,
		.ftrace = ktramp_func_owned_entry(func),
	};
	const u8 wanted = calls ? LEADER | CALLED : LEADER;
	struct ktramp_block block;
	u32 end = 0;

	for (bool more = ktramp_block_first(&blocks, &block); more;
	     more = ktramp_block_next(&blocks, &block)) {
		tally.blocks++;
		if (!is_clear(says, end, block.start, wanted))
			wrong(func, end, "a block begins here that was left out");
		if (!(says[block.start] & (wanted | TAKEN)))
			wrong(func, block.start, "no block begins here");
		if (!is_clear(says, block.start + 1, block.start + block.len, wanted))
			wrong(func, block.start, "another block begins in this one");
		end = block.start + block.len;
		if (block.reason)
			continue;
		tally.observable++;
		tally.moved += block.site != block.start;
		if (block.site < block.start || block.site >= end ||
		    !(func->marks[block.site] & KTRAMP_M_START))
			wrong(func, block.site, "the site is no instruction of its block");
		if ((says[block.site] & FIXED) || (s32)block.site == blocks.ftrace)
			wrong(func, block.site, "no int3 may stand here");
		for (u32 at = block.start; at < block.site; at++)
			if ((func->marks[at] & KTRAMP_M_START) && !(says[at] & FIXED) &&
			    (s32)at != blocks.ftrace)
				wrong(func, at, "the site could have been here");
	}
	if (!is_clear(says, end, func->known, wanted))
		wrong(func, end, "a block begins here that was left out");
}

static void check_func(const struct kernel_func *f)
{
	struct ktramp_func func = {
		.code = kernel.text + (f->addr - kernel.start), .addr = f->addr, .size = f->size,
	};
	u64 from = f->addr - kernel.start;
	u8 *says;

	if (!f->size || f->size > 1 << 20 || f->prefix)
		return;
	func.marks = malloc(f->size);
	says = malloc(f->size);
	if (!func.marks || !says)
		exit(1);
	ktramp_func_scan(&func, &kernel.thunks);
	for (u32 at = 0; at < f->size; at++) {
		if (at && kernel_bit(kernel.truth, from + at))
			func.marks[at] |= KTRAMP_M_ENTER;
		if (kernel_bit(kernel.owned, from + at))
			func.marks[at] |= KTRAMP_M_OWNED;
	}
	tally.funcs++;
	if (read_with_zydis(&func, says)) {
		check_blocks(&func, says, false);
		check_blocks(&func, says, true);
	} else {
		tally.unread++;
	}
	free(func.marks);
	free(says);
}

static void test_kernel(char *argument)
{
	char *dir = strchr(argument, '=');

	if (!dir) {
		fprintf(stderr, "'%s': say VMLINUX=TEXT\n", argument);
		exit(2);
	}
	*dir++ = '\0';
	memset(&tally, 0, sizeof(tally));
	kernel_load(&kernel, argument, dir);
	for (size_t i = 0; i < kernel.nr_funcs; i++)
		check_func(&kernel.func[i]);
	printf("# %llu functions, %llu of them Zydis reads otherwise; %llu blocks, "
	       "with and without those behind calls, %llu observed, %llu of them at a later instruction\n",
	       (unsigned long long)tally.funcs, (unsigned long long)tally.unread,
	       (unsigned long long)tally.blocks, (unsigned long long)tally.observable,
	       (unsigned long long)tally.moved);
	result(tally.blocks > 100000 && tally.moved > 1000 && !tally.wrong &&
	       tally.unread < tally.funcs / 100, "each block is where Zydis sees one", dir);
	result(1000 * tally.observable >= OBSERVABLE_MIN * tally.blocks,
	       "nearly all can be observed", dir);
	kernel_drop(&kernel);
}

int main(int argc, char **argv)
{
	printf("TAP version 13\n1..%d\n", 1 + 2 * (argc - 1));
	test_rows();
	for (int i = 1; i < argc; i++)
		test_kernel(argv[i]);
	return failures > 0;
}
