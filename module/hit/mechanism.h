/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table of mechanisms: names, what they need, who does them.
 */
#ifndef KTRAMP_MECHANISM_H
#define KTRAMP_MECHANISM_H

#include "plan/plan.h"

struct ktramp_probe;

/**
 * struct ktramp_draft - code that is being written for a probe
 * @emit: the code
 * @region: (jump) what is displaced
 * @place: where the code may be
 * @relocated: (jump) offset of the displaced instructions' copy
 */
struct ktramp_draft {
	struct ktramp_emit emit;
	struct ktramp_region region;
	struct ktramp_place place;
	u32 relocated;
};

#define KTRAMP_NR_MECHANISMS	KTRAMP_INT3_DIVERT

/**
 * struct ktramp_mechanism_ops - one mechanism
 * @name: its identifier everywhere
 * @text: what it is, in one line
 * @target: what it is measured on unless told otherwise
 * @kind: &enum ktramp_kind
 * @handlers: bit n set: can run handler n
 * @at_entry: attaches to the function's entry, whatever the site
 * @libbpf: attached from user space, only watched by its probe
 * @changes: bytes it may change at the site
 * @supported: can this kernel do it at all? Return: 0 or a refusal
 * @prepare: (ours) plan, and write slot or detour to a private buffer
 * @arm: (the kernel's) register; the text is the kernel's business. Of what libbpf attaches:
 *	just look whether the instruction will do
 * @enter: (the kernel's) enter a state that lasts only until the task sleeps, for one
 *	measurement; then @arm just finds out whether the kernel would get there
 * @disarm: (the kernel's) unregister and wait until no handler runs
 */
struct ktramp_mechanism_ops {
	const char *name;
	const char *text;
	const char *target;
	u8 kind;
	u8 handlers;
	bool at_entry;
	bool libbpf;
	u8 changes;
	int (*supported)(struct ktramp_refusal *r);
	int (*prepare)(struct ktramp_probe *p, const struct ktramp_site *site,
		       struct ktramp_draft *draft, struct ktramp_refusal *r);
	int (*arm)(struct ktramp_probe *p, struct ktramp_refusal *r);
	int (*enter)(struct ktramp_probe *p, struct ktramp_refusal *r);
	void (*disarm)(struct ktramp_probe *p);
};

const struct ktramp_mechanism_ops *ktramp_mechanism(unsigned int mechanism);
const char *ktramp_handler_name(unsigned int handler);
unsigned int ktramp_handler_number(const char *name);
const char *ktramp_tactic_name(unsigned int tactic);
const char *ktramp_state_name(unsigned int state);

#endif /* KTRAMP_MECHANISM_H */
