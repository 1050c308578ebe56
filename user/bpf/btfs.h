/* SPDX-License-Identifier: GPL-2.0-only */
/* Types of kernels that have none of their own; bpf/btfs writes the table. */
#ifndef _KTRAMP_BTFS_H
#define _KTRAMP_BTFS_H

struct built_in_btf {
	const char *release;
	const unsigned char *data;
	unsigned int size;
};

extern const struct built_in_btf built_in_btfs[];
extern const unsigned int nr_built_in_btfs;

#endif /* _KTRAMP_BTFS_H */
