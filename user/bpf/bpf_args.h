/* SPDX-License-Identifier: GPL-2.0-only */
/* A function's arguments, by the types that BTF has of it. */
#ifndef _KTRAMP_BPF_ARGS_H
#define _KTRAMP_BPF_ARGS_H

#include "bpf/bpf.h"

struct bpf_args;
struct pt_regs;

/* Complains. */
int bpf_args_find(struct bpf_args **args, const struct dev *dev,
		  const struct ktramp_probe_info *probe, bool returns,
		  const struct bpf_types *types);
const char *bpf_args_text(const struct bpf_args *args, const struct pt_regs *regs, char *buf,
			  size_t size);
json_t *bpf_args_json(const struct bpf_args *args, const struct pt_regs *regs);
void bpf_args_free(struct bpf_args *args);

#endif /* _KTRAMP_BPF_ARGS_H */
