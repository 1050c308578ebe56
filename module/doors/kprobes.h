/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KTRAMP_KPROBES_H
#define KTRAMP_KPROBES_H

struct ktramp_kprobes;

long ktramp_kprobes(struct ktramp_kprobes *request);

#endif /* KTRAMP_KPROBES_H */
