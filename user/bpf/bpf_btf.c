// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which types of the kernel CO-RE goes by: the running kernel's own, a file's, or those
 * that were built into the command for kernels that have none.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/bpf.h"
#include "bpf/bpf_check.h"
#include "bpf/btfs.h"

#define KERNELS_OWN	"/sys/kernel/btf/vmlinux"

/* libbpf wants a path. */
static int make_file(struct bpf_types *types, const struct built_in_btf *btf)
{
	types->fd = memfd_create("ktramp-btf", MFD_CLOEXEC);
	if (types->fd < 0 || write(types->fd, btf->data, btf->size) != (ssize_t)btf->size) {
		int err = errno ? -errno : -EIO;

		p_err("cannot hand over the types of '%s': %s", btf->release, strerror(-err));
		return err;
	}
	snprintf(types->buf, sizeof(types->buf), "/proc/self/fd/%d", types->fd);
	types->path = types->buf;
	return 0;
}

static const struct built_in_btf *find_built_in(const char *release)
{
	for (unsigned int i = 0; i < nr_built_in_btfs; i++)
		if (!strcmp(built_in_btfs[i].release, release))
			return &built_in_btfs[i];
	return NULL;
}

/**
 * bpf_types_find() - decide where types come from
 * @types: (out) to be given to bpf_types_drop()
 * @file: a file with BTF that the user named, or NULL
 *
 * A kernel that is not known gets none: types of another one would be wrong somewhere.
 */
int bpf_types_find(struct bpf_types *types, const char *file)
{
	const struct built_in_btf *btf;
	struct bpf_check check;
	struct utsname uts;
	int err;

	*types = (struct bpf_types){ .path = file, .fd = -1 };
	err = file ? bpf_check_types(&check, file) : 0;
	if (err) {
		p_err("cannot read the types in '%s': %s", file, check.why);
		return err;
	}
	if (file || !access(KERNELS_OWN, R_OK))
		return 0;
	err = kernel_release(&uts);
	if (err)
		return err;
	btf = find_built_in(uts.release);
	if (btf)
		return make_file(types, btf);
	types->missing = true;
	return 0;
}

void bpf_types_drop(struct bpf_types *types)
{
	if (types->fd >= 0)
		close(types->fd);
	types->fd = -1;
}

void bpf_types_complain(const char *object)
{
	char known[512] = "none";
	struct utsname uts = { 0 };
	size_t len = 0;

	uname(&uts);
	for (unsigned int i = 0; i < nr_built_in_btfs && len < sizeof(known); i++)
		len += snprintf(known + len, sizeof(known) - len, "%s%s", len ? ", " : "",
				built_in_btfs[i].release);
	p_err("'%s' needs the types of this kernel, %s, which has none of its own "
	      "(CONFIG_DEBUG_INFO_BTF) and is not among those that were built into this command: "
	      "%s; name a file with its BTF by --btf, or build with BTF_KERNELS", object,
	      uts.release, known);
}
