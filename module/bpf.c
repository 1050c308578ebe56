// SPDX-License-Identifier: GPL-2.0-only
/*
 * BPF programs as handlers.
 *
 * The kernel's own ways to run one are attached from user space, by libbpf; what is here
 * of them is only whether this kernel has them.
 */
#include <linux/module.h>

#include "bpf.h"
#include "native.h"

static int need(bool there, struct ktramp_refusal *r, const char *config)
{
	return there ? 0 : ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_NO_CONFIG,
					 "this kernel was built without %s", config);
}

int ktramp_bpf_supported(struct ktramp_refusal *r)
{
	return need(IS_ENABLED(CONFIG_BPF_EVENTS), r, "CONFIG_BPF_EVENTS");
}

int ktramp_bpf_kprobe_supported(struct ktramp_refusal *r)
{
	return ktramp_bpf_supported(r) ?:
	       need(IS_ENABLED(CONFIG_KPROBE_EVENTS), r, "CONFIG_KPROBE_EVENTS");
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
	return ktramp_bpf_kprobe_supported(r) ?:
	       need(IS_ENABLED(CONFIG_KRETPROBES), r, "CONFIG_KRETPROBES");
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
		  need(IS_ENABLED(CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS), r,
		       "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS") ?:
		  need(IS_ENABLED(CONFIG_DEBUG_INFO_BTF), r, "CONFIG_DEBUG_INFO_BTF") ?:
		  need(IS_ENABLED(CONFIG_DEBUG_INFO_BTF_MODULES), r,
		       "CONFIG_DEBUG_INFO_BTF_MODULES");

	if (!err && !has_own_types())
		err = ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_NO_CONFIG,
				    "this ktramp.ko was built without BTF, which the kernel finds its functions by");
	return err;
}
