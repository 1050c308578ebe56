/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KTRAMP_CREATE_H
#define KTRAMP_CREATE_H

#include "refuse.h"

struct ktramp_probe;

int ktramp_plan(struct ktramp_probe *p, struct ktramp_refusal *r);

#endif /* KTRAMP_CREATE_H */
