/* SPDX-License-Identifier: GPL-2.0-only */
/* bpf() for host tests of the loader. */
#ifndef KTRAMP_FAKE_BPF_H
#define KTRAMP_FAKE_BPF_H

struct btf;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
struct btf *__wrap_btf__load_vmlinux_btf(void);

#endif /* KTRAMP_FAKE_BPF_H */
