/* SPDX-License-Identifier: GPL-2.0-only */
/* What a BPF object's maps hold. */
#ifndef _KTRAMP_BPF_DUMP_H
#define _KTRAMP_BPF_DUMP_H

#include "bpf/bpf.h"

int bpf_dump_maps(struct bpf_object *object);

#endif /* _KTRAMP_BPF_DUMP_H */
