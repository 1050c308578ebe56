/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The programs of progs.bpf.c, for the tests that give them to probes.
 */
#ifndef PROGS_H
#define PROGS_H

#include <asm/ptrace.h>
#include <bpf/libbpf.h>

#include "ktramp.h"
#include "progs.skel.h"

struct progs_bpf *progs_load(const char *name, int *fd);
struct progs_bpf *progs_load_for_ring(const char *name, int *fd);
int progs_give(int dev, unsigned int id, int prog_fd, __u64 cookie, struct ktramp_bpf *bpf);

#endif /* PROGS_H */
