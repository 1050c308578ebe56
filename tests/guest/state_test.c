// SPDX-License-Identifier: GPL-2.0-only
/*
 * No probe changes what the kernel computes: instructions of every form that occurs in the
 * running kernel's text are executed bare, and through every mechanism, tactic and handler
 * of ktramp's engine, from the same registers, flags and memory; everything they leave
 * behind is compared.
 *
 * environment: STATE_CASES (how many), STATE_SEED, STATE_ONLY (the number of an instruction:
 * this one alone)
 *
 * A case is an instruction and a state. The same seed, numbers and kernel make the same cases.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kselftest_harness.h"
#include "kt.h"
#include "progs.h"
#include "state_bench.h"

#define CASES		50000	/* a guest; make check has two */
#define ENTRIES_SHARE	10	/* behind entries there are as many of these, besides */
#define FEW		200	/* instructions that say nothing of how often something is seen */
#define TIMEOUT		36000	/* seconds of the guest */
#define SEED		0x6b7472616d70

/* Exceptions by number. */
enum { DE = 0, UD = 6, SS = 12, GP = 13, PF = 14 };

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

FIXTURE(state) {
	struct bench *b;
};

FIXTURE_SETUP(state)
{
	self->b = malloc(sizeof(*self->b));
	ASSERT_NE(NULL, self->b);
	ASSERT_EQ(0, bench_open(self->b, from_environment("STATE_SEED", SEED)));
}

FIXTURE_TEARDOWN(state)
{
	bench_close(self->b);
	free(self->b);
}

/* ---- reports ---- */

static void report_forms(const struct bench *b)
{
	unsigned long nr[NR_EXCLUSIONS] = { 0 }, seen[NR_EXCLUSIONS] = { 0 };

	for (unsigned int i = 0; i < b->forms.nr; i++) {
		nr[b->forms.v[i].exclusion]++;
		seen[b->forms.v[i].exclusion] += b->forms.v[i].seen;
	}
	printf("# %lu instructions in the kernel's text, of %u forms\n", b->forms.instructions,
	       b->forms.nr);
	for (unsigned int i = RUN + 1; i < NR_EXCLUSIONS; i++)
		if (nr[i])
			printf("# not run: %4lu forms, %6lu instructions: they %s\n", nr[i],
			       seen[i], exclusion_text[i]);
}

static unsigned long executed(const struct bench *b, unsigned int way)
{
	unsigned long sum = 0;

	for (unsigned int i = 0; i < NR_HANDLERS; i++)
		sum += b->by_way[way][i];
	return sum;
}

static void report_way(const struct bench *b, unsigned int way)
{
	static const char *const handlers[NR_HANDLERS] = {
		[KTRAMP_COUNT] = "count", [KTRAMP_REGS] = "regs", [KTRAMP_BPF] = "bpf",
		[KTRAMP_BPF_INLINE] = "bpf-inline",
	};

	printf("# %-19s %7lu executed", ways[way].name, executed(b, way));
	for (unsigned int i = 0; (!ways[way].handler || way == DRAWN) && i < NR_HANDLERS; i++)
		if (b->by_way[way][i])
			printf(", %lu %s", b->by_way[way][i], handlers[i]);
	printf("\n");
}

static void report(const struct bench *b)
{
	static const char *const tactics[NR_TACTICS] = {
		[KTRAMP_TACTIC_COPY] = "copy", [KTRAMP_TACTIC_REENCODE] = "reencode",
		[KTRAMP_TACTIC_PUN] = "pun", [KTRAMP_TACTIC_FTRACE] = "ftrace",
		[KTRAMP_TACTIC_SPRINGBOARD] = "springboard",
	};
	static const char *const classes[NR_CLASSES] = {
		[KTRAMP_BPF_FULL] = "full", [KTRAMP_BPF_HELPERS] = "helpers",
		[KTRAMP_BPF_LIGHT] = "light", [KTRAMP_BPF_BARE] = "bare",
	};
	static const char *const traps[NR_TRAPS] = {
		[DE] = "#DE", [UD] = "#UD", [SS] = "#SS", [GP] = "#GP", [PF] = "#PF",
	};

	printf("# %lu cases, seed 0x%llx: %lu raised an exception, %lu branched\n", b->cases_done,
	       (unsigned long long)b->seed, b->traps, b->taken);
	printf("# exceptions:");
	for (unsigned int i = 0; i < NR_TRAPS; i++)
		if (b->by_trap[i])
			printf(" %lu %s", b->by_trap[i], traps[i] ?: "of another kind");
	printf("\n");
	printf("# %lu states more left no stack, and were drawn anew\n", b->unsafe);
	for (unsigned int way = 0; way < ALL_WAYS; way++) {
		report_way(b, way);
		for (unsigned int r = 0; r < NR_REASONS; r++)
			if (b->refused[way][r])
				printf("# %27lu refused: %s\n", b->refused[way][r], b->why[r]);
	}
	for (unsigned int i = 1; i < NR_CLASSES; i++)
		printf("# a program of class %-7s %7lu executed\n", classes[i], b->by_class[i]);
	for (unsigned int i = 1; i < NR_TACTICS; i++)
		if (b->by_tactic[i])
			printf("# tactic %-12s %7lu executed, %lu entered behind the site\n",
			       tactics[i] ?: "of a later number", b->by_tactic[i], b->entered[i]);
	if (entries_are_there(b))
		entries_report(b);
	else
		printf("# no tactic ftrace: this kernel has no ftrace\n");
	printf("# %lu executions compared, %lu differences\n", b->probed, b->differences);
}

static unsigned int forms_left(const struct bench *b)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < b->forms.nr_run; i++) {
		const struct form *form = &b->forms.v[b->forms.run[i]];

		if (b->form_done[b->forms.run[i]])
			continue;
		if (left++ < 20)
			bytes_explain("no state found for", form->bytes, form->length, 0);
	}
	return left;
}

/* What a mechanism cannot do by its nature. */
static bool may_refuse(unsigned int mechanism, unsigned int reason)
{
	switch (mechanism) {
	case KTRAMP_INT3_EMULATE:
		return reason == KTRAMP_R_NO_EMULATION;
	case KTRAMP_INT3_STEP_INT3:
		return reason == KTRAMP_R_LEAVES_SLOT;
	case KTRAMP_JUMP:
	case KTRAMP_BPF_JUMP:
		/* Somewhere in the function, a jump through a register or memory. */
		return reason == KTRAMP_R_INDIRECT;
	}
	return false;
}

/* Instructions from one number to another: in cells, or behind entries. */
static int run(struct bench *b, uint64_t number, uint64_t end)
{
	bool behind = number >= AT_ENTRIES;
	int err = 0;

	while (!err && number < end) {
		b->nr = 0;
		do {
			if (behind)
				entries_draw(b, number++);
			else
				bench_draw(b, number++);
		} while (number < end && number % STATE_CELLS);
		err = behind ? entries_run(b) : bench_run(b);
	}
	return err;
}

/* Nothing is refused but what a mechanism cannot do by its nature; all the rest is seen often. */
static void check_ways(struct __test_metadata *_metadata, const struct bench *b)
{
	for (unsigned int way = 0; way < ALL_WAYS; way++) {
		for (unsigned int r = 0; r < NR_REASONS; r++) {
			if (may_refuse(ways[way].mechanism, r))
				continue;
			EXPECT_EQ(0, b->refused[way][r]) {
				TH_LOG("%s: %s", ways[way].name, b->why[r]);
			}
		}
		EXPECT_LT(b->cases_done / 20, executed(b, way)) {
			TH_LOG("%s", ways[way].name);
		}
		for (unsigned int h = 0; !ways[way].handler && h < NR_DRAWN; h++) {
			EXPECT_LT(b->cases_done / 100, b->by_way[way][drawn_handlers[h]]) {
				TH_LOG("%s, handler %u", ways[way].name, drawn_handlers[h]);
			}
		}
	}
	EXPECT_LT(b->cases_done / 100, b->by_way[DRAWN][KTRAMP_BPF_INLINE]);
	EXPECT_LT(b->cases_done / 20, b->by_class[KTRAMP_BPF_FULL]);
	EXPECT_LT(b->cases_done / 20, b->by_class[KTRAMP_BPF_LIGHT]);
	EXPECT_LT(b->cases_done / 20, b->by_class[KTRAMP_BPF_BARE]);
	for (unsigned int i = KTRAMP_TACTIC_COPY; i <= KTRAMP_TACTIC_SPRINGBOARD; i++) {
		if (i == KTRAMP_TACTIC_FTRACE && !entries_are_there(b))
			continue;
		EXPECT_LT(b->cases_done / 20, b->by_tactic[i]) {
			TH_LOG("tactic %u", i);
		}
	}
	/* What both are for. */
	EXPECT_LT(b->cases_done / 100, b->entered[KTRAMP_TACTIC_PUN]);
	EXPECT_LT(b->cases_done / 100, b->entered[KTRAMP_TACTIC_SPRINGBOARD]);
}

TEST_F_TIMEOUT(state, every_form_is_the_same_through_every_mechanism, TIMEOUT)
{
	struct bench *b = self->b;
	uint64_t instructions = from_environment("STATE_CASES", CASES) / STATES;
	uint64_t only = from_environment("STATE_ONLY", ~0ULL);

	ASSERT_EQ(0, forms_collect(b->state, &b->forms));
	b->form_done = calloc(b->forms.nr, 1);
	ASSERT_NE(NULL, b->form_done);
	report_forms(b);
	if (only != ~0ULL) {
		ASSERT_TRUE(only < AT_ENTRIES || entries_are_there(b));
		ASSERT_EQ(0, run(b, only, only + 1));
	} else {
		ASSERT_EQ(0, run(b, 0, instructions));
		if (entries_are_there(b))
			ASSERT_EQ(0, run(b, AT_ENTRIES, AT_ENTRIES + instructions / ENTRIES_SHARE));
	}
	report(b);
	EXPECT_EQ(0, b->differences);
	if (only != ~0ULL || instructions < FEW)
		return;
	check_ways(_metadata, b);
	/* One of four instructions is drawn by weight. */
	if (instructions < b->forms.nr_run / 3 * 4 + 4)
		return;
	EXPECT_EQ(0, forms_left(b));
	EXPECT_LT(b->cases_done / 200, b->traps);
	EXPECT_LT(0, b->by_trap[DE]);
	EXPECT_LT(0, b->by_trap[GP]);
	EXPECT_LT(b->cases_done / 1000, b->by_trap[PF]);
}

/* ---- can it fail? ---- */

/* What a spoilt byte must show in. */
enum symptom { IN_REGISTER, IN_FLAGS, IN_MEMORY, IN_EXIT, IN_TRAPS, IN_VECTORS };

static bool shows(enum symptom symptom, const struct state_result *a,
		  const struct state_result *b)
{
	switch (symptom) {
	case IN_REGISTER:
		return memcmp(a->r, b->r, sizeof(a->r));
	case IN_FLAGS:
		return a->rflags != b->rflags;
	case IN_MEMORY:
		return a->changed != b->changed || memcmp(a->at, b->at, sizeof(a->at)) ||
		       memcmp(a->word, b->word, sizeof(a->word));
	case IN_EXIT:
		return a->exit != b->exit;
	case IN_TRAPS:
		return a->traps != b->traps;
	case IN_VECTORS:
		return a->vector != b->vector;
	}
	return false;
}

/* A copy that does something else, as a wrong relocation would make it. */
FIXTURE(spoilt) {
	struct bench *b;
};

FIXTURE_VARIANT(spoilt) {
	uint8_t insn[KTRAMP_INSN_MAX];
	unsigned int way;
	int at;		/* of the spoilt byte, from the copy's first one */
	uint8_t by;	/* what it is XORed with */
	enum symptom symptom;
	uint8_t opcode;	/* of what is spoilt instead in ftrace's trampoline, behind its call */
	uint8_t modrm;
	enum shape shape;
};

enum { EMULATE, STEP_TF, STEP_INT3, BOOST, JUMP, JUMP_INLINE, JUMP_REGS, BPF_JUMP };

#define SPOILT(name, way, at, by, symptom, ...)					\
	FIXTURE_VARIANT_ADD(spoilt, name) { { __VA_ARGS__ }, way, at, by, symptom }

/* mov 0(%rip), %rax: another word is loaded */
SPOILT(load, BOOST, 3, 0x08, IN_REGISTER, 0x48, 0x8b, 0x05, 0, 0, 0, 0);
SPOILT(load_in_a_jump, JUMP, 3, 0x08, IN_REGISTER, 0x48, 0x8b, 0x05, 0, 0, 0, 0);
FIXTURE_VARIANT_ADD(spoilt, load_behind_a_springboard) {
	{ 0x48, 0x8b, 0x05, 0, 0, 0, 0 }, JUMP, 3, 0x08, IN_REGISTER, .shape = SPRUNG };
/* movl $1, 0(%rip): another one is stored */
SPOILT(store, STEP_INT3, 6, 0x10, IN_MEMORY, 0xc7, 0x05, 0, 0, 0, 0, 1, 0, 0, 0);
/* mov %eax, %gs:0(%rip) */
SPOILT(store_per_cpu, STEP_TF, 3, 0x08, IN_MEMORY, 0x65, 0x89, 0x05, 0, 0, 0, 0);
/* push %rcx: %rdx is pushed */
SPOILT(push, STEP_TF, 0, 0x03, IN_MEMORY, 0x51);
/* je: jne */
SPOILT(branch, JUMP, 1, 0x01, IN_EXIT, 0x0f, 0x84, 0, 0, 0, 0);
/* call: push $imm32 of another return address */
SPOILT(return_address, JUMP, 1, 0x01, IN_MEMORY, 0xe8, 0, 0, 0, 0);
/* clc: cmc, stc */
SPOILT(flag, STEP_INT3, 0, 0x01, IN_FLAGS, 0xf8);
/* cli: sti */
SPOILT(interrupt_flag, BOOST, 0, 0x01, IN_FLAGS, 0xfa);
/* div %ecx, by zero: mul %ecx */
SPOILT(exception, BOOST, 1, 0x10, IN_TRAPS, 0xf7, 0xf1);
/* xorps %xmm1, %xmm0: %xmm2 */
SPOILT(vector, BOOST, 2, 0x03, IN_VECTORS, 0x0f, 0x57, 0xc1);
/* The detour's own: pop %rsi instead of %rdi, and the flags not restored. */
SPOILT(saved_register, JUMP, -2, 0x01, IN_REGISTER, 0x0f, 0x1f, 0x00);
SPOILT(saved_register_of_a_program, BPF_JUMP, -12, 0x01, IN_REGISTER, 0x0f, 0x1f, 0x00);
SPOILT(saved_flags, JUMP_REGS, -1, 0xc2, IN_FLAGS, 0x0f, 0x1f, 0x00);

#define SPOILT_ENTRY(name, way, opcode, modrm, at, by, symptom)				\
	FIXTURE_VARIANT_ADD(spoilt, name) {						\
		{ 0x0f, 0x1f, 0x00 }, way, at, by, symptom, opcode, modrm, BEHIND }

/* mov disp8(%rsp), %rdx: %rax, which is loaded after it; popfq: pop %rax */
SPOILT_ENTRY(register_at_an_entry, JUMP, 0x8b, 0x54, 2, 0x10, IN_REGISTER);
SPOILT_ENTRY(flags_at_an_entry, BPF_JUMP, 0x9d, 0, 0, 0xc5, IN_FLAGS);

FIXTURE_SETUP(spoilt)
{
	self->b = malloc(sizeof(*self->b));
	ASSERT_NE(NULL, self->b);
	ASSERT_EQ(0, bench_open(self->b, SEED));
}

FIXTURE_TEARDOWN(spoilt)
{
	bench_close(self->b);
	free(self->b);
}

static const uint8_t nop[KTRAMP_INSN_MAX] = { 0x0f, 0x1f, 0x00 };

/* An instruction, in the first cell or behind the first entry, and a state of it. */
static void put(struct bench *b, const uint8_t *insn, enum shape shape)
{
	struct item *item = b->items;
	struct rng rng = rng_of(b->seed, 0);
	struct form form = { 0 };
	struct ktramp_insn decoded;

	form.length = ktramp_insn_decode(&decoded, insn, KTRAMP_INSN_MAX);
	memcpy(form.bytes, insn, form.length);
	/* No other has this key: registers and numbers are as they are. */
	form.key = ~0ULL;
	*item = (struct item){ 0 };
	for (unsigned int way = 0; way < ALL_WAYS; way++)
		item->handler[way] = ways[way].handler ?: KTRAMP_COUNT;
	if (shape == BEHIND)
		code_make_behind(&rng, &form, &b->where, b->where.entries[0], &item->code);
	else
		code_make(&rng, NULL, shape, &form, &b->where, cell_address(b, 0), &item->code);
	state_make(&rng, &b->where, &item->code, item->state);
	/* For the division; ZF and CF are set. */
	item->state->r[RCX] = 0;
	item->state->rflags |= 0x241;
	item->states = 1;
	b->nr = 1;
}

static int write_code(struct bench *b)
{
	return b->items->code.shape == BEHIND ? entries_write(b, 0, 1) : write_cells(b);
}

/* Execute the first item, and leave out what does not count. */
static int execute_first(struct bench *b, unsigned int way, const struct state_result *bare,
			 struct state_result *probed)
{
	struct item *item = b->items;
	int err = execute(b->state, item->state, probed, 1);

	if (item->code.shape == BEHIND)
		entries_forget(b, item, way, bare, probed);
	return err;
}

/* Is the first item's probe made as its shape wants? */
static bool is_served_so(const struct bench *b, unsigned int way)
{
	const struct item *item = b->items;
	struct ktramp_probe_info info;

	return !kt_probe(b->fd, item->probe[way], &info) &&
	       (info.tactic == KTRAMP_TACTIC_SPRINGBOARD) == (item->code.shape == SPRUNG);
}

/* In the copy, or in the detour around it. Return: the byte's address, or 0. */
static uint64_t find_in_copy(struct bench *b, unsigned int way, int at)
{
	struct ktramp_code code = { .size = sizeof(code), .id = b->items->probe[way] };

	code.part = way_is_jump(way) ? KTRAMP_CODE_DETOUR : KTRAMP_CODE_SLOT;
	return kt_ioctl(b->fd, KTRAMP_IOC_CODE, &code) ? 0 : code.address + code.relocated + at;
}

/* In what the call at the first entry leads to. Return: the instruction's address, or 0. */
static uint64_t find_in_trampoline(struct bench *b, uint8_t opcode, uint8_t modrm)
{
	uint64_t start = b->where.entries[0];
	uint8_t code[512];
	struct ktramp_insn insn;
	bool called = false;

	if (copy_text(b->state, STATE_IOC_READ, start, code, ENTRY_SIZE) || code[0] != CALL)
		return 0;
	ktramp_insn_decode(&insn, code, ENTRY_SIZE);
	start += insn.len + insn.imm;
	if (copy_text(b->state, STATE_IOC_READ, start, code, sizeof(code)))
		return 0;
	for (unsigned int i = 0; ktramp_insn_decode(&insn, code + i, sizeof(code) - i) > 0;
	     i += insn.len) {
		if (called && insn.opcode == opcode && insn.modrm == modrm)
			return start + i;
		called |= insn.branch == KTRAMP_BR_CALL;
	}
	return 0;
}

/* The first time it spoils it, the second time it puts it right. */
static int spoil(struct bench *b, uint64_t at, uint8_t by)
{
	uint8_t byte;
	int err = copy_text(b->state, STATE_IOC_READ, at, &byte, 1);

	byte ^= by;
	return err ?: copy_text(b->state, STATE_IOC_WRITE, at, &byte, 1);
}

TEST_F_TIMEOUT(spoilt, copy_is_found_out, 120)
{
	struct state_result bare, probed;
	struct bench *b = self->b;
	struct item *item = b->items;
	unsigned int way = variant->way;
	uint64_t at;

	if (variant->opcode && !entries_are_there(b))
		SKIP(return, "this kernel has no ftrace");
	put(b, variant->insn, variant->shape);
	ASSERT_EQ(0, write_code(b));
	ASSERT_EQ(0, execute(b->state, item->state, &bare, 1));
	ASSERT_EQ(0, item_create(b, item, way));
	ASSERT_NE(0, item->probe[way]);
	ASSERT_TRUE(is_served_so(b, way));
	ASSERT_EQ(0, kt_arm(b->fd, item->probe[way]));
	ASSERT_EQ(0, execute_first(b, way, &bare, &probed));
	EXPECT_TRUE(result_equals(&bare, &probed));

	if (variant->opcode)
		at = find_in_trampoline(b, variant->opcode, variant->modrm) + variant->at;
	else
		at = find_in_copy(b, way, variant->at);
	ASSERT_LT(0xff, at);
	ASSERT_EQ(0, spoil(b, at, variant->by));
	ASSERT_EQ(0, execute_first(b, way, &bare, &probed));
	EXPECT_FALSE(result_equals(&bare, &probed));
	EXPECT_TRUE(shows(variant->symptom, &bare, &probed)) {
		code_explain(&item->code);
		result_explain(item->state, &bare, &probed);
	}

	ASSERT_EQ(0, spoil(b, at, variant->by));
	ASSERT_EQ(0, execute_first(b, way, &bare, &probed));
	EXPECT_TRUE(result_equals(&bare, &probed));
	EXPECT_EQ(0, kt_destroy(b->fd, item->probe[way]));
}

/* A handler, or a program, that saw one bit of one register wrong. */
static void lie(struct __test_metadata *_metadata, struct bench *b, unsigned int way,
		enum shape shape)
{
	struct item *item = b->items;
	struct state_result probed, seen;

	put(b, nop, shape);
	ASSERT_EQ(0, write_code(b));
	ASSERT_EQ(0, item_create(b, item, way));
	ASSERT_EQ(0, kt_arm(b->fd, item->probe[way]));
	ASSERT_EQ(0, execute(b->state, item->state, &probed, 1));
	ASSERT_TRUE(sight(b, item, way, &seen));
	EXPECT_TRUE(is_truth(&seen, item->state));
	for (int i = 0; i < 16; i++) {
		item->state->r[i] ^= 1ULL << (4 * i);
		EXPECT_FALSE(is_truth(&seen, item->state));
		item->state->r[i] ^= 1ULL << (4 * i);
	}
	item->state->rflags ^= 1;
	EXPECT_FALSE(is_truth(&seen, item->state));
	item->code.site++;
	EXPECT_FALSE(sight(b, item, way, &seen));
	EXPECT_EQ(0, kt_destroy(b->fd, item->probe[way]));
}

TEST_F_TIMEOUT(state, a_lie_of_the_handler_is_found_out, 120)
{
	lie(_metadata, self->b, JUMP_REGS, ALONE);
	lie(_metadata, self->b, BPF_JUMP, ALONE);
	if (entries_are_there(self->b))
		lie(_metadata, self->b, BPF_JUMP, BEHIND);
}

/* The helpers say of whom they are; and a program runs as often as it is counted. */
TEST_F_TIMEOUT(state, what_goes_wrong_in_a_program_is_found_out, 120)
{
	struct bench *b = self->b;

	b->form_done = calloc(1, 1);
	ASSERT_NE(NULL, b->form_done);
	put(b, nop, ALONE);
	b->items->states = 0;
	ASSERT_EQ(0, bench_run(b));
	EXPECT_EQ(0, b->differences);
	EXPECT_EQ(STATES, b->by_way[BPF_JUMP][KTRAMP_BPF]);
	put(b, nop, ALONE);
	b->items->states = 0;
	b->progs->bss->owner++;
	EXPECT_EQ(-EIO, bench_run(b));
	EXPECT_EQ(STATES, b->progs->bss->went_wrong);
}

TEST_HARNESS_MAIN
