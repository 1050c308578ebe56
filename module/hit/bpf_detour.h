/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Detours made for their BPF program.
 */
#ifndef KTRAMP_BPF_DETOUR_H
#define KTRAMP_BPF_DETOUR_H

#include "hit/layout.h"
#include "hit/program.h"

struct ktramp_probe;

/* Registers, and a gap between any two of them. */
#define KTRAMP_FRAME_MAX	44
#define KTRAMP_FIXUPS_MAX	24

/* Places that a detour branches to before they are written. */
enum ktramp_label {
	KTRAMP_L_CALL_IN_C,
	KTRAMP_L_LEAVE_TO_C,
	KTRAMP_L_OTHER_PROCESS,
	KTRAMP_L_MISS,
	KTRAMP_L_OUT,
	KTRAMP_L_RESCHED,
	KTRAMP_L_BACK,
	KTRAMP_L_IN_C,
	KTRAMP_L_COPY,
	KTRAMP_NR_LABELS,
};

/**
 * struct ktramp_frame_item - what stands on the stack, from the top down
 * @what: a register's number, or one of FRAME_* (bpf_detour.c)
 * @bytes: of a gap, how many
 * @restore: it is put back afterwards
 */
struct ktramp_frame_item {
	u8 what;
	u8 bytes;
	bool restore;
};

/**
 * struct ktramp_bpf_draft - a detour that is being written
 * @p: its probe
 * @layout: what it was planned with
 * @shape: what its program needs
 * @item: what is saved, in the order it is pushed in
 * @nr: entries of it
 * @nr_first: those that come before anything may change the flags
 * @base: (registers are read) distance of what the program is handed from the stack pointer
 * @fix_sp: distance of the stack pointer's copy from it, if that is to be corrected; or 0
 * @wrong_by: how much it is too small then
 * @scratch: a register that may be changed once the frame stands
 * @fixup: displacements to write once their labels are known
 * @nr_fixups: entries of it
 * @at: where labels are
 */
struct ktramp_bpf_draft {
	const struct ktramp_probe *p;
	const struct ktramp_layout *layout;
	const struct ktramp_shape *shape;
	struct ktramp_frame_item item[KTRAMP_FRAME_MAX];
	unsigned int nr;
	unsigned int nr_first;
	s32 base;
	u32 fix_sp;
	u8 wrong_by;
	u8 scratch;
	struct {
		u32 at;
		u8 label;
	} fixup[KTRAMP_FIXUPS_MAX];
	unsigned int nr_fixups;
	u32 at[KTRAMP_NR_LABELS];
};

bool ktramp_probe_is_tailored(const struct ktramp_probe *p);
void ktramp_bpf_emit_front(struct ktramp_bpf_draft *d, struct ktramp_emit *e);
void ktramp_bpf_emit_behind(struct ktramp_bpf_draft *d, struct ktramp_emit *e, u32 copy,
			    void (*emit_c)(struct ktramp_emit *e, const struct ktramp_probe *p,
					   const struct ktramp_layout *layout));

#endif /* KTRAMP_BPF_DETOUR_H */
