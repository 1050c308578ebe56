// SPDX-License-Identifier: GPL-2.0-only
/* Programs that cannot run at a site, each for a reason that is to be told. */
#include <linux/types.h>
#include <linux/ptrace.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

struct task_struct {
	int no_such_field;
} __attribute__((preserve_access_index));

SEC("kprobe")
int reads_a_field_that_is_not_there(struct pt_regs *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, no_such_field);
}

SEC("kprobe")
int reads_what_it_may_not(struct pt_regs *ctx)
{
	return *(volatile int *)ctx->rdi;
}

SEC("kretprobe")
int is_for_returns(struct pt_regs *ctx)
{
	return 0;
}

SEC("fentry/function")
int is_for_entries(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
