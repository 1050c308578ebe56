// SPDX-License-Identifier: GPL-2.0-only
/* Load programs of progs.bpf.c, and give them to probes. */
#include <stdarg.h>
#include <stdio.h>

#include "kt.h"
#include "progs.h"

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

/* All programs of the object are optional: load one of them, with its maps. */
struct progs_bpf *progs_load(const char *name, int *fd)
{
	struct bpf_program *prog;
	struct progs_bpf *skel;

	libbpf_set_print(quiet);
	skel = progs_bpf__open();
	if (!skel)
		return NULL;
	prog = bpf_object__find_program_by_name(skel->obj, name);
	bpf_program__set_autoload(prog, true);
	if (progs_bpf__load(skel)) {
		progs_bpf__destroy(skel);
		return NULL;
	}
	*fd = bpf_program__fd(prog);
	return skel;
}

/* One that writes to the ring: the other one of the two where its lock sleeps. */
struct progs_bpf *progs_load_for_ring(const char *name, int *fd)
{
	char other[64];

	snprintf(other, sizeof(other), "%s_but_ring", name);
	return progs_load(kt_ring_sleeps() ? other : name, fd);
}

/* KTRAMP_IOC_BPF. Return: 0 or -errno. */
int progs_give(int dev, unsigned int id, int prog_fd, __u64 cookie, struct ktramp_bpf *bpf)
{
	*bpf = (struct ktramp_bpf){
		.size = sizeof(*bpf), .id = id, .prog_fd = prog_fd, .cookie = cookie,
	};
	return kt_ioctl(dev, KTRAMP_IOC_BPF, bpf);
}
