// SPDX-License-Identifier: GPL-2.0-only
/*
 * bpf() for host tests of the loader: a kernel that lets everything in. What it is handed is
 * read to the last byte, so that the sanitizers see what a kernel would be told.
 *
 * Linked with --wrap=syscall, by which libbpf enters the kernel, and
 * --wrap=btf__load_vmlinux_btf.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/bpf.h>

#include "fake_bpf.h"

/* And without types of its own: those of the machine would take longer than all the rest. */
struct btf *__wrap_btf__load_vmlinux_btf(void)
{
	errno = ENOENT;
	return NULL;
}

/* Entries that a map has, for who goes through them. */
#define ENTRIES	2

/* As much as a kernel takes. */
#define KEY_MAX		512
#define VALUE_MAX	(4U << 20)

static unsigned int entries_left;
static volatile uint64_t all;

static void read_all(uint64_t address, size_t size)
{
	const uint8_t *bytes = (const void *)(uintptr_t)address;
	uint64_t sum = 0;

	for (size_t i = 0; bytes && i < size; i++)
		sum += bytes[i];
	all += sum;
}

static long new_fd(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

/* A file as long as the values of an array, which libbpf maps for what is global in a program. */
static long new_map(const union bpf_attr *attr)
{
	uint64_t size = (((uint64_t)attr->value_size + 7) & ~7ULL) * attr->max_entries;
	long page = sysconf(_SC_PAGESIZE);
	int fd = memfd_create("map", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, (size + page - 1) & ~(page - 1))) {
		close(fd);
		return -1;
	}
	return fd;
}

static long load_program(const union bpf_attr *attr)
{
	read_all(attr->insns, attr->insn_cnt * sizeof(struct bpf_insn));
	if (attr->license)
		read_all(attr->license, strlen((const char *)(uintptr_t)attr->license) + 1);
	read_all(attr->func_info, (size_t)attr->func_info_cnt * attr->func_info_rec_size);
	read_all(attr->line_info, (size_t)attr->line_info_cnt * attr->line_info_rec_size);
	return new_fd();
}

static long next_key(const union bpf_attr *attr)
{
	if (!attr->key)
		entries_left = ENTRIES;
	if (!entries_left) {
		errno = ENOENT;
		return -1;
	}
	entries_left--;
	return 0;
}

static long fake_bpf(int cmd, const void *given, size_t size)
{
	union bpf_attr zeroed = { 0 }, *attr = &zeroed;

	/* What is not handed over is 0. */
	memcpy(attr, given, size < sizeof(*attr) ? size : sizeof(*attr));
	switch (cmd) {
	case BPF_PROG_LOAD:
		return load_program(attr);
	case BPF_BTF_LOAD:
		read_all(attr->btf, attr->btf_size);
		return new_fd();
	case BPF_MAP_CREATE:
		if (attr->key_size > KEY_MAX || attr->value_size > VALUE_MAX) {
			errno = E2BIG;
			return -1;
		}
		return new_map(attr);
	case BPF_MAP_GET_NEXT_KEY:
		return next_key(attr);
	case BPF_MAP_UPDATE_ELEM:
	case BPF_MAP_LOOKUP_ELEM:
	case BPF_MAP_FREEZE:
	case BPF_PROG_BIND_MAP:
		return 0;
	default:
		errno = EINVAL;
		return -1;
	}
}

/* As many arguments are looked at as there can be, not as many as there are. */
__attribute__((no_sanitize("address", "undefined"))) long __wrap_syscall(long number, ...)
{
	long args[6];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		args[i] = va_arg(ap, long);
	va_end(ap);
	if (number == __NR_bpf)
		return fake_bpf(args[0], (const void *)args[1], args[2]);
	return __real_syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}
