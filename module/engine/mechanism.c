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
#define BPF		BIT(KTRAMP_BPF)
#define COUNT_REGS	(COUNT | BIT(KTRAMP_REGS))
#define ALL_HANDLERS	(COUNT_REGS | BIT(KTRAMP_COUNT_INLINE))

#define OURS(_name, _text, _handlers, _changes, _prepare, ...)			\
	{ .name = _name, .text = _text, .target = "lea",			\
	  .kind = KTRAMP_KIND_OURS, .handlers = (_handlers),			\
	  .changes = (_changes), .prepare = (_prepare), __VA_ARGS__ }

#define KERNEL(_name, _text, _target, _handlers, _changes, _supported, ...)	\
	{ .name = _name, .text = _text, .target = _target,			\
	  .kind = KTRAMP_KIND_KERNEL, .handlers = (_handlers),			\
	  .changes = (_changes), .supported = (_supported), __VA_ARGS__ }

/* Attached from user space; arming only looks whether the instruction will do. */
#define LIBBPF(_name, _text, _target, _changes, _supported, ...)		\
	KERNEL(_name, _text, _target, BPF, _changes, _supported,		\
	       .libbpf = true, __VA_ARGS__)

static const struct ktramp_mechanism_ops mechanisms[] = {
	[KTRAMP_CALL] = {
		.name = "call", .text = "the target called, nothing attached: the baseline",
		.target = "lea", .kind = KTRAMP_KIND_BASE, .handlers = COUNT,
	},
	[KTRAMP_INT3_EMULATE] = OURS("int3-emulate",
		"breakpoint, the displaced instruction done by C code",
		COUNT_REGS | BPF, INT3_INSN_SIZE, ktramp_prepare_emulate),
	[KTRAMP_INT3_STEP_TF] = OURS("int3-step-tf",
		"breakpoint, a copy single-stepped by EFLAGS.TF and #DB",
		COUNT_REGS | BPF, INT3_INSN_SIZE, ktramp_prepare_step_tf),
	[KTRAMP_INT3_STEP_INT3] = OURS("int3-step-int3",
		"breakpoint, a copy with a second breakpoint behind it",
		COUNT_REGS | BPF, INT3_INSN_SIZE, ktramp_prepare_step_int3),
	[KTRAMP_INT3_BOOST] = OURS("int3-boost",
		"breakpoint, a copy with a jump back behind it",
		COUNT_REGS | BPF, INT3_INSN_SIZE, ktramp_prepare_boost),
	[KTRAMP_JUMP] = OURS("jump",
		"5-byte jump to a detour, no exception",
		ALL_HANDLERS, KTRAMP_JMP_SIZE, ktramp_prepare_detour),
	[KTRAMP_KPROBE_STEP] = KERNEL("kprobe-step",
		"kprobe held on its breakpoint, the copy stepped to an int3",
		"lea", COUNT_REGS, INT3_INSN_SIZE, ktramp_kprobe_supported,
		.arm = ktramp_kprobe_step_arm, .disarm = ktramp_kprobe_disarm),
	[KTRAMP_KPROBE_EMULATE] = KERNEL("kprobe-emulate",
		"kprobe on an instruction that the kernel emulates",
		"jmp", COUNT_REGS, INT3_INSN_SIZE, ktramp_kprobe_supported,
		.arm = ktramp_kprobe_emulate_arm, .disarm = ktramp_kprobe_disarm),
	[KTRAMP_KPROBE_BOOST] = KERNEL("kprobe-boost",
		"kprobe on its breakpoint, the copy with a jump back",
		"lea", COUNT_REGS, INT3_INSN_SIZE, ktramp_kprobe_boost_supported,
		.arm = ktramp_kprobe_boost_arm, .disarm = ktramp_kprobe_disarm),
	[KTRAMP_KPROBE_OPT_PENDING] = KERNEL("kprobe-opt-pending",
		"kprobe queued for the optimizer: int3 into the detour buffer's copy",
		"lea", COUNT_REGS, INT3_INSN_SIZE, ktramp_kprobe_opt_supported,
		.arm = ktramp_kprobe_opt_arm, .enter = ktramp_kprobe_pending_enter,
		.disarm = ktramp_kprobe_disarm),
	[KTRAMP_KPROBE_OPT] = KERNEL("kprobe-opt",
		"kprobe optimized to a 5-byte jump",
		"lea", COUNT_REGS, KTRAMP_JMP_SIZE, ktramp_kprobe_opt_supported,
		.arm = ktramp_kprobe_opt_arm, .disarm = ktramp_kprobe_disarm),
	[KTRAMP_KPROBE_FTRACE] = KERNEL("kprobe-ftrace",
		"kprobe at a function's entry, served by ftrace",
		"lea", COUNT_REGS, KTRAMP_JMP_SIZE, ktramp_kprobe_ftrace_supported,
		.at_entry = true, .arm = ktramp_kprobe_ftrace_arm,
		.disarm = ktramp_kprobe_disarm),
	[KTRAMP_KRETPROBE] = KERNEL("kretprobe",
		"kprobe at the entry that replaces the return address",
		"lea", COUNT, KTRAMP_JMP_SIZE, ktramp_kretprobe_supported, .at_entry = true,
		.arm = ktramp_kretprobe_arm, .disarm = ktramp_kretprobe_disarm),
	[KTRAMP_FTRACE] = KERNEL("ftrace",
		"ftrace_ops at a function's entry, its own trampoline",
		"lea", COUNT_REGS | BPF, KTRAMP_JMP_SIZE, ktramp_ftrace_supported,
		.at_entry = true, .arm = ktramp_ftrace_arm, .disarm = ktramp_ftrace_disarm),
	[KTRAMP_FPROBE] = KERNEL("fprobe",
		"fprobe at a function's entry",
		"lea", COUNT, KTRAMP_JMP_SIZE, ktramp_fprobe_supported, .at_entry = true,
		.arm = ktramp_fprobe_arm, .disarm = ktramp_fprobe_disarm),
	[KTRAMP_TRACEPOINT_OFF] = KERNEL("tracepoint-off",
		"a compiled-in tracepoint that nobody listens to",
		"tracepoint", COUNT, 0, ktramp_tracepoint_supported),
	[KTRAMP_TRACEPOINT] = KERNEL("tracepoint",
		"a compiled-in tracepoint with our function on it",
		"tracepoint", COUNT, 0, ktramp_tracepoint_supported, .arm = ktramp_tracepoint_arm,
		.disarm = ktramp_tracepoint_disarm),
	[KTRAMP_BPF_KPROBE_STEP] = LIBBPF("bpf-kprobe-step",
		"BPF program on a kprobe held on its breakpoint",
		"lea", INT3_INSN_SIZE, ktramp_bpf_kprobe_step_supported,
		.arm = ktramp_kprobe_step_allowed),
	[KTRAMP_BPF_KPROBE_INT3] = LIBBPF("bpf-kprobe-int3",
		"BPF program on a kprobe queued for the optimizer: one breakpoint",
		"lea", INT3_INSN_SIZE, ktramp_bpf_kprobe_opt_supported,
		.arm = ktramp_kprobe_allowed),
	[KTRAMP_BPF_KPROBE_OPT] = LIBBPF("bpf-kprobe-opt",
		"BPF program on a kprobe optimized to a jump",
		"lea", KTRAMP_JMP_SIZE, ktramp_bpf_kprobe_opt_supported,
		.arm = ktramp_kprobe_allowed),
	[KTRAMP_BPF_KPROBE_FTRACE] = LIBBPF("bpf-kprobe-ftrace",
		"BPF program on a kprobe at a function's entry, by ftrace",
		"lea", KTRAMP_JMP_SIZE, ktramp_bpf_kprobe_ftrace_supported, .at_entry = true),
	[KTRAMP_BPF_KPROBE_MULTI] = LIBBPF("bpf-kprobe-multi",
		"BPF program on an fprobe, which may have many functions",
		"lea", KTRAMP_JMP_SIZE, ktramp_bpf_kprobe_multi_supported, .at_entry = true),
	[KTRAMP_BPF_KRETPROBE] = LIBBPF("bpf-kretprobe",
		"BPF program on a kretprobe: at the function's return",
		"lea", KTRAMP_JMP_SIZE, ktramp_bpf_kretprobe_supported, .at_entry = true),
	[KTRAMP_BPF_FENTRY] = LIBBPF("bpf-fentry",
		"BPF program called by its own trampoline at a function's entry",
		"lea", KTRAMP_JMP_SIZE, ktramp_bpf_trampoline_supported, .at_entry = true),
	[KTRAMP_BPF_FEXIT] = LIBBPF("bpf-fexit",
		"BPF program called by its own trampoline at the return",
		"lea", KTRAMP_JMP_SIZE, ktramp_bpf_trampoline_supported, .at_entry = true),
	[KTRAMP_BPF_RAW_TP] = LIBBPF("bpf-raw-tp",
		"BPF program called by a tracepoint with its arguments",
		"tracepoint", 0, ktramp_bpf_supported),
	[KTRAMP_BPF_TRACEPOINT] = LIBBPF("bpf-tracepoint",
		"BPF program on a tracepoint's perf event, with its record",
		"tracepoint", 0, ktramp_bpf_supported),
	[KTRAMP_BPF_JUMP] = OURS("bpf-jump",
		"BPF program called by a detour, at any instruction",
		BPF | BIT(KTRAMP_BPF_INLINE), KTRAMP_JMP_SIZE, ktramp_prepare_detour,
		.supported = ktramp_bpf_handler_supported),
	[KTRAMP_INT3_DIVERT] = OURS("int3-divert",
		"breakpoint that goes on in a detour, which runs the handler",
		ALL_HANDLERS | BPF, INT3_INSN_SIZE, ktramp_prepare_divert),
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
