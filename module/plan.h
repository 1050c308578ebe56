/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a mechanism would do at a site, from the function's bytes alone.
 *
 * Pure: no kernel state, nothing allocated, nothing written but the caller's
 * buffers. It builds on the host too.
 */
#ifndef KTRAMP_PLAN_H
#define KTRAMP_PLAN_H

#include "insn.h"
#include "refuse.h"

/* e9 rel32 */
#define KTRAMP_JMP_SIZE		5

/* A displaced region is at most 4 bytes of short instructions and one long one. */
#define KTRAMP_REGION_MAX	(KTRAMP_JMP_SIZE - 1 + KTRAMP_INSN_MAX)

/**
 * struct ktramp_func - a function's original bytes
 * @code: its bytes as the compiler and the kernel's own patching left them
 * @addr: where it lives
 * @size: bytes
 */
struct ktramp_func {
	const u8 *code;
	u64 addr;
	u32 size;
};

/**
 * struct ktramp_site - a decoded site
 * @func: the function around it
 * @off: offset of the site in @func
 * @addr: address of the site
 * @insn: its instruction
 */
struct ktramp_site {
	struct ktramp_func func;
	u32 off;
	u64 addr;
	struct ktramp_insn insn;
};

/**
 * struct ktramp_region - the whole instructions a 5-byte jump displaces
 * @len: bytes, at least %KTRAMP_JMP_SIZE
 * @nr: instructions; padding behind the last one does not count
 * @copied: bytes of their relocated copy, once it is synthesized
 * @ends: control never falls out of the region's end
 */
struct ktramp_region {
	u8 len;
	u8 nr;
	u8 copied;
	bool ends;
};

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

int ktramp_plan_site(struct ktramp_site *site, const struct ktramp_func *func, u32 off,
		     struct ktramp_refusal *r);
int ktramp_plan_region(const struct ktramp_site *site, struct ktramp_region *region,
		       struct ktramp_refusal *r);
int ktramp_plan_copy(const struct ktramp_site *site, struct ktramp_refusal *r);
void ktramp_synthesize_copy(struct ktramp_emit *e, const struct ktramp_insn *insn,
			    const u8 *bytes, u64 from);
void ktramp_synthesize_insn(struct ktramp_emit *e, const struct ktramp_insn *insn,
			    const u8 *bytes, u64 from);
int ktramp_synthesize_region(struct ktramp_emit *e, const struct ktramp_site *site,
			     struct ktramp_region *region);

#endif /* KTRAMP_PLAN_H */
