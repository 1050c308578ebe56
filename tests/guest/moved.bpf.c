// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read a member that lies elsewhere in each kernel, by CO-RE: the exit code of the task
 * that /proc/PID/stat is read of. An object of its own, because it needs a kernel's types.
 */
#include "core.h"

__s32 seen_exit_code;
__s32 seen_pid;

/* proc_tgid_stat(m, ns, pid, task) */
SEC("kprobe")
int read_exit_code(struct pt_regs *ctx)
{
	struct task_struct *task = (void *)PT_REGS_PARM4(ctx);

	seen_exit_code = BPF_CORE_READ(task, exit_code);
	seen_pid = BPF_CORE_READ(task, tgid);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
