/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Probes are given their BPF program.
 */
#ifndef KTRAMP_ENGINE_PROGRAM_H
#define KTRAMP_ENGINE_PROGRAM_H

#include "plan/refuse.h"
#include "uapi/ktramp.h"

struct ktramp_probe;

int ktramp_program_set(struct ktramp_probe *p, struct ktramp_bpf *bpf, struct ktramp_refusal *r);

#endif /* KTRAMP_ENGINE_PROGRAM_H */
