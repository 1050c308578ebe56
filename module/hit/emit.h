/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Instructions that detours are made of.
 */
#ifndef KTRAMP_EMIT_H
#define KTRAMP_EMIT_H

#include <linux/types.h>

#include "plan/relocate.h"

#define RAX	0
#define RSI	6
#define RDI	7

static inline void ktramp_emit_push(struct ktramp_emit *e, u8 reg)
{
	if (reg >= 8)
		ktramp_emit(e, 0x41);
	ktramp_emit(e, 0x50 | (reg & 7));
}

static inline void ktramp_emit_pop(struct ktramp_emit *e, u8 reg)
{
	if (reg >= 8)
		ktramp_emit(e, 0x41);
	ktramp_emit(e, 0x58 | (reg & 7));
}

/* mov $value, %reg in the shortest form that holds it */
static inline void ktramp_emit_mov(struct ktramp_emit *e, u8 reg, u64 value)
{
	u8 rex = reg >= 8;

	if (value == (u32)value) {
		/* mov $imm32, %r32: zero extended */
		if (rex)
			ktramp_emit(e, 0x41);
		ktramp_emit(e, 0xb8 | (reg & 7));
		ktramp_emit_bytes(e, &value, 4);
	} else if (value == (u64)(s32)value) {
		/* mov $imm32, %r64: sign extended */
		ktramp_emit(e, 0x48 | rex, 0xc7, 0xc0 | (reg & 7));
		ktramp_emit_bytes(e, &value, 4);
	} else {
		/* movabs $imm64, %r64 */
		ktramp_emit(e, 0x48 | rex, 0xb8 | (reg & 7));
		ktramp_emit_bytes(e, &value, 8);
	}
}

void ktramp_emit_call(struct ktramp_emit *e, const void *function);

#endif /* KTRAMP_EMIT_H */
