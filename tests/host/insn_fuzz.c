// SPDX-License-Identifier: GPL-2.0-only
/*
 * What must hold for any bytes. Built with -fsanitize=fuzzer it is a libFuzzer target;
 * with -DFUZZ_STANDALONE it runs over seeded bytes itself and prints TAP.
 *
 * Usage of the latter: insn_fuzz [COUNT [SEED]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../module/decode/insn.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void fail(const u8 *data, size_t size, const char *what)
{
	size_t i;

	fprintf(stderr, "insn_fuzz: %s, with", what);
	for (i = 0; i < size; i++)
		fprintf(stderr, " %02x", data[i]);
	fprintf(stderr, "\n");
	abort();
}

#define CHECK(_cond)	do { if (!(_cond)) fail(data, size, "not so: " #_cond); } while (0)

/* Decode a heap copy of exactly these bytes, so that a sanitizer sees any read behind them. */
static int decode_copy(struct ktramp_insn *insn, const u8 *data, size_t size)
{
	u8 *copy = malloc(size ? size : 1);
	int ret;

	if (!copy)
		abort();
	memcpy(copy, data, size);
	memset(insn, 0xa5, sizeof(*insn));
	ret = ktramp_insn_decode(insn, copy, size);
	free(copy);
	return ret;
}

static void check_layout(const struct ktramp_insn *insn, const u8 *data, size_t size)
{
	CHECK(insn->opcode_off < insn->len);
	CHECK(data[insn->opcode_off] == insn->opcode);
	CHECK(insn->len <= size);
	if (insn->has_modrm) {
		CHECK(insn->modrm_off == insn->opcode_off + 1);
		CHECK(data[insn->modrm_off] == insn->modrm);
	}
	if (insn->has_sib) {
		CHECK(insn->has_modrm && insn->modrm < 0xc0);
		CHECK(data[insn->modrm_off + 1] == insn->sib);
	}
	CHECK(insn->disp_off + insn->disp_len <= insn->len);
	CHECK(insn->imm_off + insn->imm_len <= insn->len);
	/* opcode, ModRM, SIB, displacement, immediate and nothing else */
	CHECK(insn->opcode_off + 1 + insn->has_modrm + insn->has_sib + insn->disp_len +
	      insn->imm_len == insn->len);
	if (insn->attr & KTRAMP_A_RIPREL)
		CHECK(insn->disp_len == 4 && !insn->has_sib);
}

static void check_meaning(const struct ktramp_insn *insn, const u8 *data, size_t size)
{
	bool rsp = (insn->regs_read | insn->regs_written) & 0x10;

	CHECK(rsp == !!(insn->attr & KTRAMP_A_RSP));
	if (insn->attr & (KTRAMP_A_MEM_READ | KTRAMP_A_MEM_WRITE))
		CHECK(insn->attr & KTRAMP_A_FAULT);
	if (insn->attr & KTRAMP_A_NOP)
		CHECK(!insn->regs_read && !insn->regs_written && !insn->flags_written);
	if (insn->prefix & KTRAMP_P_LOCK)
		CHECK((insn->attr & KTRAMP_A_LOCK) && (insn->attr & KTRAMP_A_MEM_WRITE));
	if (ktramp_insn_is_rel(insn)) {
		CHECK(insn->imm_len && insn->imm_off + insn->imm_len == insn->len);
		CHECK(!insn->disp_len);
	}
	CHECK(!((insn->flags_read | insn->flags_written) &
		~(KTRAMP_F_ARITH | KTRAMP_F_DF | KTRAMP_F_IF | KTRAMP_F_TF)));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const struct ktramp_insn zero;
	struct ktramp_insn insn, again;
	int ret = decode_copy(&insn, data, size);
	size_t cut;

	CHECK(decode_copy(&again, data, size) == ret);
	CHECK(!memcmp(&insn, &again, sizeof(insn)));
	if (ret < 0) {
		CHECK(ret == -EINVAL || ret == -ENODATA);
		CHECK(ret != -ENODATA || size < KTRAMP_INSN_MAX);
		CHECK(!memcmp(&insn, &zero, sizeof(insn)));
		return 0;
	}

	CHECK(ret == insn.len && ret >= 1 && ret <= KTRAMP_INSN_MAX);
	check_layout(&insn, data, size);
	check_meaning(&insn, data, size);

	/* the bytes behind it do not matter, all of its own do */
	CHECK(decode_copy(&again, data, insn.len) == ret);
	CHECK(!memcmp(&insn, &again, sizeof(insn)));
	for (cut = 0; cut < insn.len; cut++)
		CHECK(decode_copy(&again, data, cut) == -ENODATA);
	return 0;
}

#ifdef FUZZ_STANDALONE
int main(int argc, char **argv)
{
	unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 0) : 1000000;
	u64 state = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	static const u8 starts[] = { 0x0f, 0xc4, 0xc5, 0x62, 0x48, 0x66, 0xf3, 0xf0 };
	unsigned long i;
	u8 buf[32];

	for (i = 0; i < count; i++) {
		size_t j;

		for (j = 0; j < sizeof(buf); j++) {
			state = state * 6364136223846793005ULL + 1442695040888963407ULL;
			buf[j] = (u8)(state >> 56);
		}
		if (buf[31] & 1)
			buf[0] = starts[buf[31] >> 5];
		LLVMFuzzerTestOneInput(buf, buf[30] & 31);
	}
	printf("TAP version 13\n1..1\nok 1 insn_fuzz: %lu strings keep what must hold\n", count);
	return 0;
}
#endif
