/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A probe's life: create -> arm -> hit -> disarm -> free.
 */
#ifndef KTRAMP_REGISTRY_H
#define KTRAMP_REGISTRY_H

#include "hit/probe.h"

/**
 * struct ktramp_request - a probe that is wanted
 * @mechanism: how control leaves the site
 * @handler: what runs then
 * @site: where, as text
 * @pid: the process whose hits are handled, as the caller counts, 0 for all
 * @owner: the open file it will belong to, or NULL
 */
struct ktramp_request {
	enum ktramp_mechanism mechanism;
	enum ktramp_handler handler;
	const char *site;
	u32 pid;
	void *owner;
};

int ktramp_probe_add(struct ktramp_probe *p, struct ktramp_refusal *r);
struct ktramp_probe *ktramp_probe_alloc(const struct ktramp_request *request, unsigned long addr,
					struct pid *process);
int ktramp_probes_arm(const u32 *ids, unsigned int nr, void *owner, struct ktramp_batch *reply);
int ktramp_probes_disarm(const u32 *ids, unsigned int nr, void *owner,
			 struct ktramp_batch *reply);
int ktramp_probes_destroy(const u32 *ids, unsigned int nr, void *owner,
			  struct ktramp_batch *reply);
int ktramp_probe_bpf(struct ktramp_bpf *bpf, void *owner, struct ktramp_refusal *r);
void ktramp_probes_release(void *owner);
void ktramp_probes_forget(unsigned long start, unsigned long size);
void ktramp_probes_exit(void);

int ktramp_probe_watch(u32 id, void *watcher);
struct ktramp_probe *ktramp_probe_get(u32 id, bool next);
struct ktramp_probe *ktramp_probe_get_owned(u32 id, const void *owner);
void ktramp_probe_put(struct ktramp_probe *p);
int ktramp_probe_enter(struct ktramp_probe *p, struct ktramp_refusal *r);
void ktramp_probe_leave(struct ktramp_probe *p);
unsigned int ktramp_probe_count(void);
u32 ktramp_probe_pid(const struct ktramp_probe *p);
void ktramp_probe_sum(const struct ktramp_probe *p, struct ktramp_stat *sum);
unsigned int ktramp_probe_memory(const struct ktramp_probe *p);
unsigned int ktramp_probe_code(const struct ktramp_probe *p, u8 *buf);

#endif /* KTRAMP_REGISTRY_H */
