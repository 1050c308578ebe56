// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instructions that detours are made of, and that take more than their bytes.
 */
#include <linux/compiler.h>

#include "hit/emit.h"
#include "kernel/compat.h"

/**
 * ktramp_emit_call() - call rel32, behind the ENDBR of a function
 * @e: where to
 * @function: the function, of the module's own
 */
void ktramp_emit_call(struct ktramp_emit *e, const void *function)
{
	u64 target = (u64)function;

	/* Or the compiler folds in the -4 below, and objtool sees a reference to no function. */
	OPTIMIZER_HIDE_VAR(target);
	/* Its ENDBR, of four bytes, is for indirect branches. */
	if (ktramp_is_endbr((const void *)target))
		target += sizeof(u32);
	/* call rel32 */
	ktramp_emit(e, 0xe8);
	ktramp_emit_rel32(e, target);
}
