/* SPDX-License-Identifier: GPL-2.0-only */
/* How decoder and oracle can differ, and which differences are known and why. */
#ifndef KTRAMP_TEST_INSN_EXPLAIN_H
#define KTRAMP_TEST_INSN_EXPLAIN_H

#include "insn_oracle.h"

enum cause {
	CAUSE_REFUSED,		/* only Zydis decodes it */
	CAUSE_ACCEPTED,		/* only we decode it */
	CAUSE_LENGTH,
	CAUSE_ENCODING,		/* opcode, ModRM, SIB, place and value of the rest */
	CAUSE_BRANCH,
	CAUSE_RIPREL,
	CAUSE_READ_MISSING,	/* a register Zydis says is read */
	CAUSE_READ_EXTRA,
	CAUSE_WRITE_MISSING,
	CAUSE_WRITE_EXTRA,	/* a register we claim is determined afterwards */
	CAUSE_FLREAD_MISSING,
	CAUSE_FLREAD_EXTRA,
	CAUSE_FLWRITE_MISSING,
	CAUSE_FLWRITE_EXTRA,
	CAUSE_LOAD,
	CAUSE_STORE,
	CAUSE_LOCK,
	CAUSE_REP,
	CAUSE_PRIV,		/* privileged, and we do not say so */
	CAUSE_NOP,
	CAUSE_RSP,
	CAUSE_COUNT
};

/**
 * struct pair - two opinions on the same bytes
 * @ours: ktramp's; zero if @ret is negative
 * @ret: what ktramp_insn_decode() returned
 * @oracle: Zydis'
 * @buf: the bytes
 */
struct pair {
	struct ktramp_insn ours;
	int ret;
	struct oracle oracle;
	const u8 *buf;
};

/**
 * struct explanation - a class of differences that is meant to be
 * @causes: bit mask of &enum cause
 * @match: whether a pair belongs to it
 * @why: the reason, printed with the count
 */
struct explanation {
	u32 causes;
	bool (*match)(const struct pair *p);
	const char *why;
};

extern const struct explanation explanations[];
extern const unsigned int nr_explanations;

/* Index into explanations[], or -1 if nothing there explains this difference. */
int explain(enum cause cause, const struct pair *p);

#endif /* KTRAMP_TEST_INSN_EXPLAIN_H */
