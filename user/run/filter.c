// SPDX-License-Identifier: GPL-2.0-only
/*
 * The filter: of each system call of the command it decides in the kernel, with a few
 * instructions, whether 'ktramp run' is asked about it. Asking costs tens of thousands.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/perf_event.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "run/run.h"

/* Linux 5.19: a task that waits for our answer can only be killed, not interrupted. */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV	(1UL << 5)
#endif

/* What all PERF_EVENT_IOC_* have in common: their type, '$'. */
#define IOC_TYPE_MASK	(_IOC_TYPEMASK << _IOC_TYPESHIFT)
#define IOC_TYPE_PERF	('$' << _IOC_TYPESHIFT)

/* Commands of bpf() whose descriptor may be one of ours. */
static const unsigned int bpf_commands[] = {
	BPF_LINK_CREATE, BPF_LINK_UPDATE, BPF_LINK_DETACH, BPF_OBJ_PIN, BPF_OBJ_GET_INFO_BY_FD,
	BPF_TASK_FD_QUERY,
};

static int add_rules(scmp_filter_ctx ctx)
{
	int err = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(perf_event_open), 0);

	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(ioctl), 1,
				       SCMP_A1(SCMP_CMP_MASKED_EQ, IOC_TYPE_MASK, IOC_TYPE_PERF));
	for (size_t i = 0; i < ARRAY_SIZE(bpf_commands) && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(bpf), 1,
				       SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, bpf_commands[i]));
	return err;
}

/* libseccomp writes a program to a file only. */
static int export_program(scmp_filter_ctx ctx, struct sock_fprog *program)
{
	int fd = memfd_create("filter", MFD_CLOEXEC), err;
	off_t size;

	if (fd < 0)
		return -errno;
	err = seccomp_export_bpf(ctx, fd);
	size = err ? 0 : lseek(fd, 0, SEEK_END);
	program->filter = err || size <= 0 ? NULL : malloc(size);
	program->len = size / sizeof(*program->filter);
	if (!err && !program->filter)
		err = -ENOMEM;
	if (!err && pread(fd, program->filter, size, 0) != size)
		err = -EIO;
	close(fd);
	return err;
}

static int build(struct sock_fprog *program)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int err;

	if (!ctx)
		return -ENOMEM;
	/* Programs for 32 bits go to the kernel as they are. */
	err = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
	/* A balanced tree, so that a call of no interest passes few instructions. */
	if (!err)
		err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!err)
		err = add_rules(ctx);
	if (!err)
		err = export_program(ctx, program);
	seccomp_release(ctx);
	return err;
}

static int load(const struct sock_fprog *program, unsigned long flags)
{
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		       SECCOMP_FILTER_FLAG_NEW_LISTENER | flags, program);
}

/**
 * run_filter_install() - put the calling process, and all it starts, under the filter
 *
 * It is for CAP_SYS_ADMIN: without no_new_privs, which would change what the command may do.
 *
 * Return: the listener, which exec closes; -errno, having complained.
 */
int run_filter_install(void)
{
	struct sock_fprog program = { 0 };
	int fd = build(&program);

	if (!fd)
		fd = load(&program, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
	if (fd == -1 && errno == EINVAL)
		fd = load(&program, 0);
	if (fd == -1)
		fd = -errno;
	free(program.filter);
	if (fd == -EBUSY)
		p_err("this is already under a 'ktramp run', or another supervisor of system calls: "
		      "there can be one only");
	else if (fd < 0)
		p_err("cannot watch the command's system calls: %s; this needs "
		      "CONFIG_SECCOMP_FILTER", strerror(-fd));
	return fd;
}
