// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own ways to run a BPF program. libbpf attaches them, from user space; the
 * module only says whether this kernel has them.
 */
#include <linux/module.h>

#include "hit/bpf.h"
#include "native/libbpf.h"
#include "native/native.h"

int ktramp_bpf_kprobe_supported(struct ktramp_refusal *r)
{
	return ktramp_bpf_supported(r) ?: ktramp_need_config(CONFIG_KPROBE_EVENTS, r);
}

/* A program's kprobe has no post_handler, so only preemption keeps the kernel from boosting it. */
int ktramp_bpf_kprobe_step_supported(struct ktramp_refusal *r)
{
	if (!IS_ENABLED(CONFIG_PREEMPTION))
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_NO_CONFIG,
				     "without CONFIG_PREEMPTION the kernel boosts a BPF program's kprobe, it does not step");
	return ktramp_bpf_kprobe_supported(r);
}

int ktramp_bpf_kprobe_opt_supported(struct ktramp_refusal *r)
{
	return ktramp_bpf_kprobe_supported(r) ?: ktramp_kprobe_opt_supported(r);
}

int ktramp_bpf_kprobe_ftrace_supported(struct ktramp_refusal *r)
{
	return ktramp_bpf_kprobe_supported(r) ?: ktramp_kprobe_ftrace_supported(r);
}

int ktramp_bpf_kprobe_multi_supported(struct ktramp_refusal *r)
{
	return ktramp_bpf_supported(r) ?: ktramp_fprobe_supported(r);
}

int ktramp_bpf_kretprobe_supported(struct ktramp_refusal *r)
{
	return ktramp_bpf_kprobe_supported(r) ?: ktramp_need_config(CONFIG_KRETPROBES, r);
}

/* libbpf finds the function by its type, which for one of ours is in the module's BTF. */
static bool has_own_types(void)
{
#ifdef CONFIG_DEBUG_INFO_BTF_MODULES
	return THIS_MODULE->btf_data_size;
#else
	return false;
#endif
}

int ktramp_bpf_trampoline_supported(struct ktramp_refusal *r)
{
	int err = ktramp_bpf_supported(r) ?:
		  ktramp_need_config(CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS, r) ?:
		  ktramp_need_config(CONFIG_DEBUG_INFO_BTF, r) ?:
		  ktramp_need_config(CONFIG_DEBUG_INFO_BTF_MODULES, r);

	if (!err && !has_own_types())
		err = ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_NO_CONFIG,
				    "this ktramp.ko was built without BTF, which the kernel finds its functions by");
	return err;
}
