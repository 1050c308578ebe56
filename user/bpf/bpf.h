/* SPDX-License-Identifier: GPL-2.0-only */
/* What the commands that run BPF programs share. */
#ifndef _KTRAMP_USER_BPF_H
#define _KTRAMP_USER_BPF_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lib/ktramp.h"

/* bpf_btf.c: types of a kernel, for CO-RE */
struct bpf_types {
	const char *path;	/* what libbpf is to read instead of the kernel's own, or NULL */
	bool missing;		/* there are none */
	int fd;			/* of the file at @path, if it is ours */
	char buf[64];
};

int bpf_types_find(struct bpf_types *types, const char *file);		/* complains */
void bpf_types_drop(struct bpf_types *types);
/* Says which kernels the command has types of. */
void bpf_types_complain(const char *object);

static inline void bpf_object_free(struct bpf_object **object)
{
	bpf_object__close(*object);
	*object = NULL;
}

/* bpf_object.c: a user's own object */
struct bpf_object *bpf_object_open_file(const char *path, const struct bpf_types *types);
int bpf_object_needs_types(const char *path);	/* -errno, 0 or 1 */
struct bpf_program *bpf_object_choose(struct bpf_object *object, const char *name);

/* bpf_probe.c: a probe that runs a program, ours or the kernel's */
struct bpf_probe {
	const struct dev *dev;
	const struct ktramp_mechanism_info *mechanism;
	struct ktramp_probe_info info;	/* id 0: there is none */
	struct bpf_link *link;
	uint32_t flags;			/* &ktramp_bpf.flags */
};

int bpf_probe_make(struct bpf_probe *probe, const struct dev *dev, const char *mechanism,
		   uint32_t handler, const char *site, bool keep, uint32_t pid); /* complains */
/* Of one that need not be there; does not complain of the site. */
int bpf_probe_try(struct bpf_probe *probe, const struct dev *dev, const char *mechanism,
		  const char *site, uint32_t pid);
/* Many of our own mechanisms, armed at once; those that cannot be are dropped. */
int bpf_probes_attach(struct bpf_probe *probes, unsigned int nr, struct bpf_program *prog);
void bpf_probes_stop(struct bpf_probe *probes, unsigned int nr);
int bpf_probe_attach(struct bpf_probe *probe, struct bpf_program *prog);	/* complains */
int bpf_probe_counters(struct bpf_probe *probe);
int bpf_probe_stop(struct bpf_probe *probe);				/* complains */
void bpf_probe_drop(struct bpf_probe *probe);
void bpf_probe_leave(struct bpf_probe *probe);

#endif /* _KTRAMP_USER_BPF_H */
