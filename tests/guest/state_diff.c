// SPDX-License-Identifier: GPL-2.0-only
/* Two results of the same case: are they the same, and if not, where. */
#include <capstone/capstone.h>
#include <stdio.h>
#include <string.h>

#include "state.h"

static const char *const reg_names[16] = {
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
};

static const char *const exit_names[] = { "nowhere", "fell through", "branched" };

bool result_equals(const struct state_result *a, const struct state_result *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static void explain(const char *what, uint64_t bare, uint64_t probed)
{
	if (bare != probed)
		printf("#   %-8s %016llx bare, %016llx probed\n", what,
		       (unsigned long long)bare, (unsigned long long)probed);
}

static const char *exit_name(uint32_t nr)
{
	return nr < sizeof(exit_names) / sizeof(*exit_names) ? exit_names[nr] : "?";
}

static void explain_memory(const char *which, const struct state_result *r)
{
	for (uint32_t i = 0; i < r->changed && i < STATE_CHANGES; i++) {
		uint32_t at = r->at[i] * 8;
		const char *area = "data";

		if (at >= STATE_DATA_SIZE + STATE_STACK_SIZE) {
			at -= STATE_DATA_SIZE + STATE_STACK_SIZE;
			area = "per-CPU";
		} else if (at >= STATE_DATA_SIZE) {
			at -= STATE_DATA_SIZE;
			area = "stack";
		}
		printf("#   %s: %s+0x%x became %016llx\n", which, area, at,
		       (unsigned long long)r->word[i]);
	}
}

/* Everything that differs, and the registers it started with. */
void result_explain(const struct state_case *state, const struct state_result *bare,
		    const struct state_result *probed)
{
	for (int i = 0; i < 16; i++)
		explain(reg_names[i], bare->r[i], probed->r[i]);
	explain("rflags", bare->rflags, probed->rflags);
	explain("vectors", bare->vector, probed->vector);
	if (bare->exit != probed->exit)
		printf("#   it %s bare, %s probed\n", exit_name(bare->exit),
		       exit_name(probed->exit));
	explain("traps", bare->traps, probed->traps);
	explain("trapnr", bare->trapnr, probed->trapnr);
	explain("error", bare->error, probed->error);
	explain("address", bare->address, probed->address);
	if (bare->changed != probed->changed || memcmp(bare->at, probed->at, sizeof(bare->at)) ||
	    memcmp(bare->word, probed->word, sizeof(bare->word))) {
		explain_memory("bare", bare);
		explain_memory("probed", probed);
	}
	printf("#   before:");
	for (int i = 0; i < 16; i++)
		printf(" %s=%llx", reg_names[i], (unsigned long long)state->r[i]);
	printf(" rflags=%llx entry=%llx memory=%llx\n", (unsigned long long)state->rflags,
	       (unsigned long long)state->entry, (unsigned long long)state->memory);
}

/* Bytes as assembler, as far as there is some. */
void bytes_explain(const char *what, const uint8_t *bytes, unsigned int length, uint64_t address)
{
	cs_insn *insn;
	size_t nr;
	csh handle;

	printf("#   %s:\n", what);
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle))
		return;
	cs_option(handle, CS_OPT_SYNTAX, CS_OPT_SYNTAX_ATT);
	cs_option(handle, CS_OPT_SKIPDATA, CS_OPT_ON);
	nr = cs_disasm(handle, bytes, length, address, 0, &insn);
	for (size_t i = 0; i < nr; i++) {
		printf("#     %llx ", (unsigned long long)insn[i].address);
		for (unsigned int j = 0; j < 15; j++)
			if (j < insn[i].size)
				printf("%02x", insn[i].bytes[j]);
			else
				printf("  ");
		printf("  %s %s\n", insn[i].mnemonic, insn[i].op_str);
	}
	if (nr)
		cs_free(insn, nr);
	cs_close(&handle);
}

void code_explain(const struct code *code)
{
	unsigned int end = STATE_CELL_SIZE;

	/* Without the nops behind it. */
	while (end && code->bytes[end - 1] == 0)
		end--;
	bytes_explain("code", code->bytes, end, code->address);
	printf("#   instruction at %llx, probe at %llx\n",
	       (unsigned long long)(code->address + code->at),
	       (unsigned long long)(code->address + code->site));
}
