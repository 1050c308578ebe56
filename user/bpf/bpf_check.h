/* SPDX-License-Identifier: GPL-2.0-only */
/* What libbpf believes of the files it reads, looked at before it does. */
#ifndef _KTRAMP_USER_BPF_CHECK_H
#define _KTRAMP_USER_BPF_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why not, in words: "section .BTF reaches behind the end of the file". */
struct bpf_check {
	char why[160];
};

/* Notes the first reason only; false. */
bool bpf_check_fail(struct bpf_check *check, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * bpf_check_btf.c. @nr_types, @strings: (out) how many types there are, with void, and bytes of
 * their names; may be NULL.
 */
bool bpf_check_btf(struct bpf_check *check, const uint8_t *data, size_t size,
		   uint32_t *nr_types, uint32_t *strings);

/* bpf_check.c. Each: 0, or -errno with the reason. */
int bpf_check_object(struct bpf_check *check, const char *path);
int bpf_check_types(struct bpf_check *check, const char *path);

#endif /* _KTRAMP_USER_BPF_CHECK_H */
