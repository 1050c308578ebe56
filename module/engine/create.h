/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Probes are made.
 */
#ifndef KTRAMP_CREATE_H
#define KTRAMP_CREATE_H

#include "admit/context.h"

struct ktramp_probe;
struct ktramp_request;

int ktramp_probe_create(const struct ktramp_request *request, struct ktramp_refusal *r);
int ktramp_plan(struct ktramp_probe *p, struct ktramp_refusal *r);
int ktramp_plan_dry(struct ktramp_probe *p, const struct ktramp_context *ctx, u32 off,
		    struct ktramp_refusal *r);

#endif /* KTRAMP_CREATE_H */
