// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every mechanism in one table: the CLI, the ioctls and debugfs know no other list.
 */
#include <linux/bug.h>		/* text-patching.h of 5.10 needs it */
#include <linux/cache.h>	/* that of 6.1 needs this */
#include <linux/kernel.h>
#include <asm/text-patching.h>

#include "hit/bpf.h"
#include "hit/detour.h"
#include "hit/resume.h"
#include "native/libbpf.h"
#include "native/native.h"

#define COUNT		BIT(KTRAMP_COUNT)
#define COUNT_REGS	(BIT(KTRAMP_COUNT) | BIT(KTRAMP_REGS))
#define ALL_HANDLERS	(COUNT_REGS | BIT(KTRAMP_COUNT_INLINE))

static const struct ktramp_mechanism_ops mechanisms[] = {
	[KTRAMP_CALL] = {
		.name = "call",
		.text = "the target called, nothing attached: the baseline",
		.target = "lea",
		.kind = KTRAMP_KIND_BASE,
		.handlers = COUNT,
	},
	[KTRAMP_INT3_EMULATE] = {
		.name = "int3-emulate",
		.text = "breakpoint, the displaced instruction done by C code",
		.target = "lea",
		.kind = KTRAMP_KIND_OURS,
		.handlers = COUNT_REGS | BIT(KTRAMP_BPF),
		.changes = INT3_INSN_SIZE,
		.prepare = ktramp_prepare_emulate,
	},
	[KTRAMP_INT3_STEP_TF] = {
		.name = "int3-step-tf",
		.text = "breakpoint, a copy single-stepped by EFLAGS.TF and #DB",
		.target = "lea",
		.kind = KTRAMP_KIND_OURS,
		.handlers = COUNT_REGS | BIT(KTRAMP_BPF),
		.changes = INT3_INSN_SIZE,
		.prepare = ktramp_prepare_step_tf,
	},
	[KTRAMP_INT3_STEP_INT3] = {
		.name = "int3-step-int3",
		.text = "breakpoint, a copy with a second breakpoint behind it",
		.target = "lea",
		.kind = KTRAMP_KIND_OURS,
		.handlers = COUNT_REGS | BIT(KTRAMP_BPF),
		.changes = INT3_INSN_SIZE,
		.prepare = ktramp_prepare_step_int3,
	},
	[KTRAMP_INT3_BOOST] = {
		.name = "int3-boost",
		.text = "breakpoint, a copy with a jump back behind it",
		.target = "lea",
		.kind = KTRAMP_KIND_OURS,
		.handlers = COUNT_REGS | BIT(KTRAMP_BPF),
		.changes = INT3_INSN_SIZE,
		.prepare = ktramp_prepare_boost,
	},
	[KTRAMP_JUMP] = {
		.name = "jump",
		.text = "5-byte jump to a detour, no exception",
		.target = "lea",
		.kind = KTRAMP_KIND_OURS,
		.handlers = ALL_HANDLERS,
		.changes = KTRAMP_JMP_SIZE,
		.prepare = ktramp_prepare_detour,
	},
	[KTRAMP_KPROBE_STEP] = {
		.name = "kprobe-step",
		.text = "kprobe held on its breakpoint, the copy stepped to an int3",
		.target = "lea",
		.kind = KTRAMP_KIND_KERNEL,
		.handlers = COUNT_REGS,
		.changes = INT3_INSN_SIZE,
		.supported = ktramp_kprobe_supported,
		.arm = ktramp_kprobe_step_arm,
		.disarm = ktramp_kprobe_disarm,
	},
	[KTRAMP_KPROBE_EMULATE] = {
		.name = "kprobe-emulate",
		.text = "kprobe on an instruction that the kernel emulates",
		.target = "jmp",
		.kind = KTRAMP_KIND_KERNEL,
		.handlers = COUNT_REGS,
		.changes = INT3_INSN_SIZE,
		.supported = ktramp_kprobe_supported,
		.arm = ktramp_kprobe_emulate_arm,
		.disarm = ktramp_kprobe_disarm,
	},
	[KTRAMP_KPROBE_BOOST] = {
		.name = "kprobe-boost",
		.text = "kprobe on its breakpoint, the copy with a jump back",
		.target = "lea",
		.kind = KTRAMP_KIND_KERNEL,
		.handlers = COUNT_REGS,
		.changes = INT3_INSN_SIZE,
		.supported = ktramp_kprobe_boost_supported,
		.arm = ktramp_kprobe_boost_arm,
		.disarm = ktramp_kprobe_disarm,
	},
	[KTRAMP_KPROBE_OPT_PENDING] = {
		.name = "kprobe-opt-pending",
		.text = "kprobe queued for the optimizer: int3 into the detour buffer's copy",
		.target = "lea",
		.kind = KTRAMP_KIND_KERNEL,
		.handlers = COUNT_REGS,
		.changes = INT3_INSN_SIZE,
		.supported = ktramp_kprobe_opt_supported,
		.arm = ktramp_kprobe_opt_arm,
		.enter = ktramp_kprobe_pending_enter,
		.disarm = ktramp_kprobe_disarm,
	},
	[KTRAMP_KPROBE_OPT] = {
		.name = "kprobe-opt",
		.text = "kprobe optimized to a 5-byte jump",
		.target = "lea",
		.kind = KTRAMP_KIND_KERNEL,
		.handlers = COUNT_REGS,
		.changes = KTRAMP_JMP_SIZE,
		.supported = ktramp_kprobe_opt_supported,
		.arm = ktramp_kprobe_opt_arm,
		.disarm = ktramp_kprobe_disarm,
	},
	[KTRAMP_KPROBE_FTRACE] = {
		.name = "kprobe-ftrace",
		.text = "kprobe at a function's entry, served by ftrace",
		.target = "lea",
		.kind = KTRAMP_KIND_KERNEL,
		.handlers = COUNT_REGS,
		.at_entry = true,
		.changes = KTRAMP_JMP_SIZE,
		.supported = ktramp_kprobe_ftrace_supported,
		.arm = ktramp_kprobe_ftrace_arm,
		.disarm = ktramp_kprobe_disarm,
	},
	[KTRAMP_KRETPROBE] = {
		.name = "kretprobe",
		.text = "kprobe at the entry that replaces the return address",
		.target = "lea",
		.kind = KTRAMP_KIND_KERNEL,
		.handlers = COUNT,
		.at_entry = true,
		.changes = KTRAMP_JMP_SIZE,
		.supported = ktramp_kretprobe_supported,
		.arm = ktramp_kretprobe_arm,
		.disarm = ktramp_kretprobe_disarm,
	},
	[KTRAMP_FTRACE] = {
		.name = "ftrace",
		.text = "ftrace_ops at a function's entry, its own trampoline",
		.target = "lea",
		.kind = KTRAMP_KIND_KERNEL,
		.handlers = COUNT_REGS | BIT(KTRAMP_BPF),
		.at_entry = true,
		.changes = KTRAMP_JMP_SIZE,
		.supported = ktramp_ftrace_supported,
		.arm = ktramp_ftrace_arm,
		.disarm = ktramp_ftrace_disarm,
	},
	[KTRAMP_FPROBE] = {
		.name = "fprobe",
		.text = "fprobe at a function's entry",
		.target = "lea",
		.kind = KTRAMP_KIND_KERNEL,
		.handlers = COUNT,
		.at_entry = true,
		.changes = KTRAMP_JMP_SIZE,
		.supported = ktramp_fprobe_supported,
		.arm = ktramp_fprobe_arm,
		.disarm = ktramp_fprobe_disarm,
	},
	[KTRAMP_TRACEPOINT_OFF] = {
		.name = "tracepoint-off",
		.text = "a compiled-in tracepoint that nobody listens to",
		.target = "tracepoint",
		.kind = KTRAMP_KIND_KERNEL,
		.handlers = COUNT,
		.supported = ktramp_tracepoint_supported,
	},
	[KTRAMP_TRACEPOINT] = {
		.name = "tracepoint",
		.text = "a compiled-in tracepoint with our function on it",
		.target = "tracepoint",
		.kind = KTRAMP_KIND_KERNEL,
		.handlers = COUNT,
		.supported = ktramp_tracepoint_supported,
		.arm = ktramp_tracepoint_arm,
		.disarm = ktramp_tracepoint_disarm,
	},
	[KTRAMP_BPF_KPROBE_STEP] = {
		.name = "bpf-kprobe-step",
		.text = "BPF program on a kprobe held on its breakpoint",
		.target = "lea",
		.kind = KTRAMP_KIND_KERNEL,
		.handlers = BIT(KTRAMP_BPF),
		.libbpf = true,
		.changes = INT3_INSN_SIZE,
		.supported = ktramp_bpf_kprobe_step_supported,
		.arm = ktramp_kprobe_step_allowed,
	},
	[KTRAMP_BPF_KPROBE_INT3] = {
		.name = "bpf-kprobe-int3",
		.text = "BPF program on a kprobe queued for the optimizer: one breakpoint",
		.target = "lea",
		.kind = KTRAMP_KIND_KERNEL,
		.handlers = BIT(KTRAMP_BPF),
		.libbpf = true,
		.changes = INT3_INSN_SIZE,
		.supported = ktramp_bpf_kprobe_opt_supported,
		.arm = ktramp_kprobe_allowed,
	},
	[KTRAMP_BPF_KPROBE_OPT] = {
		.name = "bpf-kprobe-opt",
		.text = "BPF program on a kprobe optimized to a jump",
		.target = "lea",
		.kind = KTRAMP_KIND_KERNEL,
		.handlers = BIT(KTRAMP_BPF),
		.libbpf = true,
		.changes = KTRAMP_JMP_SIZE,
		.supported = ktramp_bpf_kprobe_opt_supported,
		.arm = ktramp_kprobe_allowed,
	},
	[KTRAMP_BPF_KPROBE_FTRACE] = {
		.name = "bpf-kprobe-ftrace",
		.text = "BPF program on a kprobe at a function's entry, by ftrace",
		.target = "lea",
		.kind = KTRAMP_KIND_KERNEL,
		.handlers = BIT(KTRAMP_BPF),
		.libbpf = true,
		.at_entry = true,
		.changes = KTRAMP_JMP_SIZE,
		.supported = ktramp_bpf_kprobe_ftrace_supported,
	},
	[KTRAMP_BPF_KPROBE_MULTI] = {
		.name = "bpf-kprobe-multi",
		.text = "BPF program on an fprobe, which may have many functions",
		.target = "lea",
		.kind = KTRAMP_KIND_KERNEL,
		.handlers = BIT(KTRAMP_BPF),
		.libbpf = true,
		.at_entry = true,
		.changes = KTRAMP_JMP_SIZE,
		.supported = ktramp_bpf_kprobe_multi_supported,
	},
	[KTRAMP_BPF_KRETPROBE] = {
		.name = "bpf-kretprobe",
		.text = "BPF program on a kretprobe: at the function's return",
		.target = "lea",
		.kind = KTRAMP_KIND_KERNEL,
		.handlers = BIT(KTRAMP_BPF),
		.libbpf = true,
		.at_entry = true,
		.changes = KTRAMP_JMP_SIZE,
		.supported = ktramp_bpf_kretprobe_supported,
	},
	[KTRAMP_BPF_FENTRY] = {
		.name = "bpf-fentry",
		.text = "BPF program called by its own trampoline at a function's entry",
		.target = "lea",
		.kind = KTRAMP_KIND_KERNEL,
		.handlers = BIT(KTRAMP_BPF),
		.libbpf = true,
		.at_entry = true,
		.changes = KTRAMP_JMP_SIZE,
		.supported = ktramp_bpf_trampoline_supported,
	},
	[KTRAMP_BPF_FEXIT] = {
		.name = "bpf-fexit",
		.text = "BPF program called by its own trampoline at the return",
		.target = "lea",
		.kind = KTRAMP_KIND_KERNEL,
		.handlers = BIT(KTRAMP_BPF),
		.libbpf = true,
		.at_entry = true,
		.changes = KTRAMP_JMP_SIZE,
		.supported = ktramp_bpf_trampoline_supported,
	},
	[KTRAMP_BPF_RAW_TP] = {
		.name = "bpf-raw-tp",
		.text = "BPF program called by a tracepoint with its arguments",
		.target = "tracepoint",
		.kind = KTRAMP_KIND_KERNEL,
		.handlers = BIT(KTRAMP_BPF),
		.libbpf = true,
		.supported = ktramp_bpf_supported,
	},
	[KTRAMP_BPF_TRACEPOINT] = {
		.name = "bpf-tracepoint",
		.text = "BPF program on a tracepoint's perf event, with its record",
		.target = "tracepoint",
		.kind = KTRAMP_KIND_KERNEL,
		.handlers = BIT(KTRAMP_BPF),
		.libbpf = true,
		.supported = ktramp_bpf_supported,
	},
	[KTRAMP_BPF_JUMP] = {
		.name = "bpf-jump",
		.text = "BPF program called by a detour, at any instruction",
		.target = "lea",
		.kind = KTRAMP_KIND_OURS,
		.handlers = BIT(KTRAMP_BPF) | BIT(KTRAMP_BPF_INLINE),
		.changes = KTRAMP_JMP_SIZE,
		.supported = ktramp_bpf_handler_supported,
		.prepare = ktramp_prepare_detour,
	},
	[KTRAMP_INT3_DIVERT] = {
		.name = "int3-divert",
		.text = "breakpoint that goes on in a detour, which runs the handler",
		.target = "lea",
		.kind = KTRAMP_KIND_OURS,
		.handlers = ALL_HANDLERS | BIT(KTRAMP_BPF),
		.changes = INT3_INSN_SIZE,
		.prepare = ktramp_prepare_divert,
	},
};

/* Return: the mechanism's row, or NULL if there is no such number. */
const struct ktramp_mechanism_ops *ktramp_mechanism(unsigned int mechanism)
{
	BUILD_BUG_ON(ARRAY_SIZE(mechanisms) != KTRAMP_NR_MECHANISMS + 1);
	if (!mechanism || mechanism >= ARRAY_SIZE(mechanisms))
		return NULL;
	return &mechanisms[mechanism];
}

static const char * const handler_names[] = {
	[KTRAMP_COUNT] = "count",
	[KTRAMP_REGS] = "regs",
	[KTRAMP_COUNT_INLINE] = "count-inline",
	[KTRAMP_BPF] = "bpf",
	[KTRAMP_BPF_INLINE] = "bpf-inline",
};

const char *ktramp_handler_name(unsigned int handler)
{
	return handler < ARRAY_SIZE(handler_names) && handler_names[handler] ?
	       handler_names[handler] : "unknown";
}

/* Return: the handler of that name, or 0. */
unsigned int ktramp_handler_number(const char *name)
{
	unsigned int i;

	for (i = 1; i < ARRAY_SIZE(handler_names); i++)
		if (handler_names[i] && !strcmp(handler_names[i], name))
			return i;
	return 0;
}

const char *ktramp_tactic_name(unsigned int tactic)
{
	static const char * const names[] = {
		[KTRAMP_TACTIC_NONE] = "none",
		[KTRAMP_TACTIC_COPY] = "copy",
		[KTRAMP_TACTIC_REENCODE] = "reencode",
		[KTRAMP_TACTIC_PUN] = "pun",
		[KTRAMP_TACTIC_FTRACE] = "ftrace",
		[KTRAMP_TACTIC_SPRINGBOARD] = "springboard",
	};

	return tactic < ARRAY_SIZE(names) && names[tactic] ? names[tactic] : "unknown";
}

const char *ktramp_state_name(unsigned int state)
{
	static const char * const names[] = {
		[KTRAMP_NEW] = "new",
		[KTRAMP_ARMED] = "armed",
		[KTRAMP_DISARMED] = "disarmed",
		[KTRAMP_STUCK] = "stuck",
		[KTRAMP_GONE] = "gone",
	};

	return state < ARRAY_SIZE(names) && names[state] ? names[state] : "unknown";
}
