// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions in which no breakpoint may stand, not even for a moment.
 *
 * A jump has an int3 while it comes and goes (engine/arm.c), so it is no better. The kernel's
 * blacklist has few of these: its kprobes are served earlier than our int3, and let into the
 * others at the user's risk.
 *
 * The names are of all kernels that ktramp runs on; one that a kernel does not have costs
 * nothing. tests/guest/hazard_test.c puts a breakpoint in all that is let through, and makes a
 * kernel do what is told here; tests/xray traces what runs before a handler.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "admit/hazard.h"

/* gcc's copy of a function, as name.constprop.0, runs where the function would. */
static bool is_one_of(const char *name, const char * const *names, size_t nr)
{
	size_t i, len = strcspn(name, ".");

	/* Asked for all functions of a kernel: most are told apart by a letter. */
	for (i = 0; i < nr; i++)
		if (*name == *names[i] && !strncmp(name, names[i], len) && !names[i][len])
			return true;
	return false;
}

/*
 * Copied, or mapped, and executed elsewhere, where a copied int3 is nobody's and a copied
 * displacement leads to nowhere.
 */
static const char * const copied[] = {
	/* goes to a page that hibernation does not overwrite (arch/x86/power/hibernate.c) */
	"core_restore_code",
	/* a page of its own, behind which nothing of this kernel is left (machine_kexec_64.c) */
	"relocate_range",
	"relocate_kernel",
	"identity_mapped",
	"virtual_mapped",
	"swap_pages",
	"kexec_debug_exc_vectors",
	"exc_handler",
	/* a copy encrypts the kernel that it was copied from (mem_encrypt_boot.S) */
	"sme_encrypt_execute",
	"__enc_copy",
	/* firmware of 32 bits, by way of a one to one mapping (efi_thunk_64.S, efi-mixed.S) */
	"__efi64_thunk",
	"efi64_stub_entry",
	"efi_enter32",
	/* labels in ftrace's templates, below */
	"ftrace_call",
	"ftrace_graph_call",
	"ftrace_epilogue",
	"ftrace_stub",
	/* filled by the hypervisor */
	"hypercall_page",
};

/*
 * ftrace makes the trampoline of each ftrace_ops of one of these (create_trampoline() in
 * arch/x86/kernel/ftrace.c). There are labels in them, which begin alike.
 */
static const char * const templates[] = {
	"ftrace_caller",
	"ftrace_regs_call",
};

/*
 * Executed by a CPU that has no IDT yet, or none any more, or not its GS base or its stack: a
 * breakpoint is a triple fault.
 */
static const char * const bare[] = {
	/* head_64.S, and what it calls */
	"startup_64",
	"__startup_64",
	"startup_64_load_idt",
	"startup_64_setup_env",
	"startup_64_setup_gdt_idt",
	"secondary_startup_64",
	"secondary_startup_64_no_verify",
	"common_startup_64",
	"early_setup_idt",
	"set_bringup_idt_handler",
	"early_idt_handler_array",
	"early_idt_handler_common",
	"soft_restart_cpu",
	"start_cpu0",
	"verify_cpu",
	"sev_verify_cbit",
	"vc_boot_ghcb",
	"vc_no_ghcb",
	"pvh_start_xen",
	"startup_xen",
	"asm_cpu_bringup_and_idle",
	"xen_cpu_bringup_again",
	/* start_secondary() until load_current_idt() is done */
	"start_secondary",
	"cr4_init",
	"cpu_init_secondary",
	"cpu_init_exception_handling",
	"cpu_init_fred_exceptions",
	"cpu_init_fred_rsps",
	"cr4_set_bits",
	"cr4_set_bits_irqsoff",
	"cr4_update_irqsoff",
	"load_direct_gdt",
	"load_fixmap_gdt",
	"load_current_idt",
	"setup_getcpu",
	"setup_ghcb",
	"sev_es_ghcb_hv_call",
	"tss_setup_ist",
	"tss_setup_io_bitmap",
	"switch_to_new_gdt",
	"switch_gdt_and_percpu_base",
	"load_percpu_segment",
	/* whom these call: the test "hazard" computes them from the kernel's text */
	"memset",
	"__memset",
	"memset_orig",
	"memset_erms",
	"cc_platform_has",
	"amd_cc_platform_has",
	"intel_cc_platform_has",
	"snp_register_ghcb_early",
	"sev_es_negotiate_protocol",
	"sev_es_terminate",
	"__pi_sev_es_terminate",
	"do_trace_write_msr",
	"__traceiter_write_msr",
	"setup_clear_cpu_cap",
	"do_clear_cpu_cap",
	/* suspend and hibernation: until the saved state is back (power/cpu.c) */
	"wakeup_long64",
	"do_suspend_lowlevel",
	"restore_registers",
	"restore_image",
	"swsusp_arch_suspend",
	"swsusp_arch_resume",
	"create_image",
	"restore_processor_state",
	"__restore_processor_state",
	/* kexec and reboot, when the IDT is gone (machine_kexec_64.c, reboot.c) */
	"machine_kexec",
	"idt_invalidate",
	"native_gdt_invalidate",
	"machine_real_restart",
	"load_trampoline_pgtable",
};

/*
 * What those do by way of paravirt's calls: registers of the machine that are written and read
 * (arch/x86/kernel/paravirt.c).
 */
static const char * const bare_native[] = {
	"native_write_",
	"native_read_",
	"native_load_",
	"native_store_",
	"native_cpuid",
	"pv_native_write_",
	"pv_native_read_",
};

/*
 * Where a CPU that is off stays. It takes no interrupt for ktramp_text_sync(), and no grace
 * period waits for it: what it executes must not change.
 */
static const char * const offline[] = {
	"play_dead",
	"play_dead_common",
	"arch_cpu_idle_dead",
	"native_play_dead",
	"hlt_play_dead",
	"mwait_play_dead",
	"cpuidle_play_dead",
	"acpi_idle_play_dead",
	"acpi_processor_ffh_play_dead",
	"acpi_mp_play_dead",
	"asm_acpi_mp_play_dead",
	"resume_play_dead",
	"sev_es_play_dead",
	"xen_pv_play_dead",
	"stop_this_cpu",
	"tboot_shutdown",
};

/*
 * What runs between an int3 that enters by the notifier and our handler, once somebody traces a
 * function on that way (by_notifier in admit.c), or an event of it: ftrace and whom it calls.
 * Some of them soon know that they have been entered again. Found by tracing hits, with tracers
 * on.
 */
static const char * const tracing[] = {
	/* whom ftrace's trampolines call */
	"arch_ftrace_ops_list_func",
	"ftrace_ops_list_func",
	"ftrace_ops_assist_func",
	"ftrace_ops_test",
	"ftrace_lookup_ip",
	"hash_contains_ip",
	"function_trace_call",
	"function_stack_trace_call",
	"function_args_trace_call",
	"function_no_repeats_trace_call",
	"function_stack_no_repeats_trace_call",
	"function_profile_call",
	"stack_trace_call",
	"perf_ftrace_function_call",
	"kprobe_ftrace_handler",
	"fprobe_handler",
	"fprobe_kprobe_handler",
	"fprobe_ftrace_entry",
	"fprobe_entry",
	"klp_ftrace_handler",
	"rethook_trampoline_handler",
	/* the function graph */
	"return_to_handler",
	"ftrace_return_to_handler",
	"__ftrace_return_to_handler",
	"ftrace_graph_func",
	"prepare_ftrace_return",
	"function_graph_enter",
	"function_graph_enter_regs",
	"function_graph_enter_ops",
	"ftrace_graph_entry_test",
	"ftrace_push_return_trace",
	"ftrace_pop_return_trace",
	"fgraph_get_task_var",
	"fgraph_reserve_data",
	"fgraph_retrieve_data",
	"trace_graph_entry",
	"__trace_graph_entry",
	"trace_graph_return",
	"__trace_graph_return",
	"trace_graph_thresh_return",
	/* programs of fentry and fexit */
	"__bpf_prog_enter",
	"__bpf_prog_exit",
	"__bpf_prog_enter_recur",
	"__bpf_prog_exit_recur",
	"__bpf_tramp_enter",
	"__bpf_tramp_exit",
	"migrate_disable",
	"migrate_enable",
	/* what these and events write with */
	"rcu_is_watching",
	"trace_function",
	"trace_event_raw_event_notifier_info",
	"perf_trace_notifier_info",
	"__bpf_trace_notifier_info",
	"trace_event_buffer_reserve",
	"trace_event_buffer_lock_reserve",
	"trace_event_buffer_commit",
	"trace_buffer_lock_reserve",
	"trace_buffer_unlock_commit_regs",
	"trace_buffer_unlock_commit_nostack",
	"call_filter_check_discard",
	"tracing_gen_ctx_irq_test",
	"ring_buffer_lock_reserve",
	"ring_buffer_event_data",
	"ring_buffer_unlock_commit",
	"__rb_reserve_next",
	"rb_commit",
	"rb_move_tail",
	"trace_clock_local",
	"sched_clock",
	"native_sched_clock",
};

static bool begins_with_one_of(const char *name, const char * const *parts, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (*name == *parts[i] && strstarts(name, parts[i]))
			return true;
	return false;
}

static bool is_copied(const char *name)
{
	return is_one_of(name, copied, ARRAY_SIZE(copied)) ||
	       begins_with_one_of(name, templates, ARRAY_SIZE(templates));
}

static bool is_bare(const char *name)
{
	return is_one_of(name, bare, ARRAY_SIZE(bare)) ||
	       begins_with_one_of(name, bare_native, ARRAY_SIZE(bare_native));
}

/* Code that is linked for both of its addresses has a name for each (arch/x86/boot/startup). */
static const char *without_prefix(const char *name)
{
	return strstarts(name, "__pi_") ? name + strlen("__pi_") : name;
}

/**
 * ktramp_hazard() - may no breakpoint stand in a function of this name?
 * @name: its symbol
 * @is_direct: an int3 there enters before the notifier chain, and whatever is traced of it
 * @r: (out) the refusal
 *
 * Return: 0 or -EACCES.
 */
int ktramp_hazard(const char *name, bool is_direct, struct ktramp_refusal *r)
{
	const char *plain = without_prefix(name);

	if (!is_direct && is_one_of(name, tracing, ARRAY_SIZE(tracing)))
		return ktramp_refuse(r, -EACCES, KTRAMP_R_RECURSION,
				     "%s runs before ktramp's own breakpoint handler when that is traced: a probe there may never return",
				     name);
	if (is_copied(plain))
		return ktramp_refuse(r, -EACCES, KTRAMP_R_UNSERVED,
				     "%s is executed elsewhere, as a copy: a probe there takes down whoever does",
				     name);
	if (is_bare(plain))
		return ktramp_refuse(r, -EACCES, KTRAMP_R_UNSERVED,
				     "%s is executed by CPUs that cannot take a breakpoint yet, or any more",
				     name);
	if (is_one_of(plain, offline, ARRAY_SIZE(offline)))
		return ktramp_refuse(r, -EACCES, KTRAMP_R_UNSERVED,
				     "%s is where CPUs stay that are off, which nobody can tell of changes",
				     name);
	return 0;
}
