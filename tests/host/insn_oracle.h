/* SPDX-License-Identifier: GPL-2.0-only */
/* Zydis as a second opinion, put into the terms of struct ktramp_insn. */
#ifndef KTRAMP_TEST_INSN_ORACLE_H
#define KTRAMP_TEST_INSN_ORACLE_H

#include <Zydis/Zydis.h>

#include "../../module/decode/insn.h"

/**
 * struct oracle - what Zydis says
 * @valid: it is an instruction; else nothing below is set
 * @z: Zydis' own view
 * @ops: operands, hidden ones too
 * @insn: the same in our terms; fields without a counterpart stay 0
 */
struct oracle {
	bool valid;
	ZydisDecodedInstruction z;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	struct ktramp_insn insn;
};

void oracle_init(ZydisDecoder *decoder);
void oracle_decode(const ZydisDecoder *decoder, struct oracle *o, const void *buf, size_t avail);

#endif /* KTRAMP_TEST_INSN_ORACLE_H */
