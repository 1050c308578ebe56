/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Write instructions so that they do elsewhere what they did at home. Pure, as plan.h.
 */
#ifndef KTRAMP_RELOCATE_H
#define KTRAMP_RELOCATE_H

#include "decode/insn.h"

/**
 * struct ktramp_emit - a buffer that code is written into before it is published
 * @buf: the private buffer
 * @max: its size
 * @len: bytes written so far
 * @addr: address @buf[0] will have when it is published
 * @err: first error: -ENOSPC, or -ERANGE for a displacement that does not reach
 */
struct ktramp_emit {
	u8 *buf;
	u32 max;
	u32 len;
	u64 addr;
	int err;
};

static inline void ktramp_emit_bytes(struct ktramp_emit *e, const void *bytes, u32 n)
{
	if (e->len + n > e->max) {
		e->err = e->err ?: -ENOSPC;
		return;
	}
	__builtin_memcpy(e->buf + e->len, bytes, n);
	e->len += n;
}

#define ktramp_emit(e, ...)							\
	ktramp_emit_bytes(e, (const u8 []){ __VA_ARGS__ },			\
			  sizeof((const u8 []){ __VA_ARGS__ }))

static inline void ktramp_emit_s32(struct ktramp_emit *e, s64 value)
{
	s32 v = value;

	if (v != value)
		e->err = e->err ?: -ERANGE;
	ktramp_emit_bytes(e, &v, sizeof(v));
}

/* A rel32 to @target, counted from behind itself. */
static inline void ktramp_emit_rel32(struct ktramp_emit *e, u64 target)
{
	ktramp_emit_s32(e, (s64)(target - (e->addr + e->len + 4)));
}

/* jmp rel32 */
static inline void ktramp_emit_jmp(struct ktramp_emit *e, u64 target)
{
	ktramp_emit(e, 0xe9);
	ktramp_emit_rel32(e, target);
}

void ktramp_synthesize_copy(struct ktramp_emit *e, const struct ktramp_insn *insn,
			    const u8 *bytes, u64 from);
void ktramp_synthesize_insn(struct ktramp_emit *e, const struct ktramp_insn *insn,
			    const u8 *bytes, u64 from);

#endif /* KTRAMP_RELOCATE_H */
