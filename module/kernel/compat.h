/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels ktramp runs on, one definition a difference.
 */
#ifndef KTRAMP_COMPAT_H
#define KTRAMP_COMPAT_H

#ifdef __ASSEMBLER__

#include <linux/linkage.h>

/* 156ff4a544ae ("x86/ibt: Base IBT bits"), 5.18. */
#ifndef ENDBR
#define ENDBR
#endif

#else /* !__ASSEMBLER__ */

#include <linux/ftrace.h>
#include <linux/kconfig.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/version.h>
#ifdef CONFIG_FPROBE
/* cad9931f64dc ("fprobe: Add ftrace based probe APIs"), 5.18. */
#include <linux/fprobe.h>
#endif
#ifdef CONFIG_X86_KERNEL_IBT
/* 156ff4a544ae ("x86/ibt: Base IBT bits"), 5.18. */
#include <asm/ibt.h>
#endif

/*
 * The end of a naked function that has returned or jumped away. gcc puts a ud2 there unless it
 * is told that nothing comes there. clang puts none, and takes nothing but assembler in such
 * a function.
 */
#ifdef __clang__
#define KTRAMP_NAKED_END
#else
#define KTRAMP_NAKED_END		__builtin_unreachable()
#endif

/*
 * A function that calls without checking the type, so that objtool knows it is meant:
 * 894af4a1cde6 ("objtool: Validate kCFI calls"), 6.18.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0)
#include <linux/objtool.h>
#else
#define ANNOTATE_NOCFI_SYM(sym)		static_assert(!__same_type(sym, void))
#endif

#ifdef CONFIG_FPROBE
/*
 * An fprobe's entry handler: in 6.1 it returns nothing, in 6.12 an int, and takes the
 * return address (include/linux/fprobe.h). Told apart by the member's own type.
 */
#define KTRAMP_FPROBE_ENTRY(void_handler, int_handler)				\
	__builtin_choose_expr(							\
		__builtin_types_compatible_p(					\
			typeof(((struct fprobe *)0)->entry_handler),		\
			typeof(&(void_handler))),				\
		void_handler, int_handler)

/* What it is given of the registers: "fprobe: Use ftrace_regs in fprobe entry handler", 6.14. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
typedef struct ftrace_regs ktramp_fprobe_regs;
#else
typedef struct pt_regs ktramp_fprobe_regs;
#endif
#endif /* CONFIG_FPROBE */

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 11, 0)
/*
 * ftrace hands out pt_regs: d19ad0775dcd ("ftrace: Have the callbacks receive a struct
 * ftrace_regs instead of pt_regs"), 5.11.
 */
#define ftrace_regs			pt_regs
#define ftrace_get_regs(regs)		(regs)

/* d741bf41d7c7 ("kprobes: Remove kretprobe hash"), 5.11. */
static inline struct kretprobe *get_kretprobe(struct kretprobe_instance *ri)
{
	return ri->rp;
}
#endif

#ifdef CONFIG_DYNAMIC_FTRACE
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 18, 0)
/* Several at once: "ftrace: Add ftrace_set_filter_ips function", 5.18. All of them, or none. */
static inline int ktramp_ftrace_filter(struct ftrace_ops *ops, unsigned long *ips, unsigned int nr,
				       bool remove)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < nr && !err; i++)
		err = ftrace_set_filter_ip(ops, ips[i], remove, 0);
	if (err && !remove)
		for (i--; i-- > 0;)
			ftrace_set_filter_ip(ops, ips[i], 1, 0);
	return err;
}

/* "ftrace: Export ftrace_free_filter() to modules", 6.2 and 6.1.8: an empty filter is as good. */
static inline void ktramp_ftrace_unfilter(struct ftrace_ops *ops)
{
	ftrace_set_filter(ops, NULL, 0, 1);
}
#else
static inline int ktramp_ftrace_filter(struct ftrace_ops *ops, unsigned long *ips, unsigned int nr,
				       bool remove)
{
	return ftrace_set_filter_ips(ops, ips, nr, remove, 0);
}

static inline void ktramp_ftrace_unfilter(struct ftrace_ops *ops)
{
	ftrace_free_filter(ops);
}
#endif
#endif /* CONFIG_DYNAMIC_FTRACE */

/*
 * Does code begin with an endbr64, or with what the kernel seals one with? is_endbr() takes an
 * address and is not exported any more since "x86/ibt: Clean up is_endbr()", 6.15.
 */
static inline bool ktramp_is_endbr(const void *code)
{
#ifdef CONFIG_X86_KERNEL_IBT
	u32 word;

	memcpy(&word, code, sizeof(word));
	return word == gen_endbr() || word == gen_endbr_poison();
#else
	return false;
#endif
}

/*
 * CONFIG_RETPOLINE and CONFIG_RETHUNK became CONFIG_MITIGATION_* in 6.9:
 * aefb2f2e619b ("x86/bugs: Rename CONFIG_RETPOLINE => CONFIG_MITIGATION_RETPOLINE"),
 * 0911b8c52c4d ("x86/bugs: Rename CONFIG_RETHUNK => CONFIG_MITIGATION_RETHUNK").
 */
#define KTRAMP_HAS_RETPOLINE \
	(IS_ENABLED(CONFIG_RETPOLINE) || IS_ENABLED(CONFIG_MITIGATION_RETPOLINE))
#define KTRAMP_HAS_RETHUNK \
	(IS_ENABLED(CONFIG_RETHUNK) || IS_ENABLED(CONFIG_MITIGATION_RETHUNK))

/*
 * A module's text, and its data, in parts: struct module_layout became an array of struct
 * module_memory in 6.4, ac3b43283923 ("module: replace module_layout with module_memory").
 */
#ifdef for_each_mod_mem_type
#define KTRAMP_MODULE_TEXT(mod)		((unsigned long)(mod)->mem[MOD_TEXT].base)
#define KTRAMP_MODULE_TEXT_SIZE(mod)	((mod)->mem[MOD_TEXT].size)
#define KTRAMP_MODULE_DATA_PARTS	3	/* MOD_DATA, MOD_RODATA, MOD_RO_AFTER_INIT */

static inline unsigned long ktramp_module_data(const struct module *mod, unsigned int part,
					       unsigned long *size)
{
	*size = mod->mem[MOD_DATA + part].size;
	return (unsigned long)mod->mem[MOD_DATA + part].base;
}
#else
#define KTRAMP_MODULE_TEXT(mod)		((unsigned long)(mod)->core_layout.base)
#define KTRAMP_MODULE_TEXT_SIZE(mod)	((mod)->core_layout.text_size)
#define KTRAMP_MODULE_DATA_PARTS	1

static inline unsigned long ktramp_module_data(const struct module *mod, unsigned int part,
					       unsigned long *size)
{
	*size = mod->core_layout.size - mod->core_layout.text_size;
	return KTRAMP_MODULE_TEXT(mod) + KTRAMP_MODULE_TEXT_SIZE(mod);
}
#endif

/*
 * Until 6.3 a CPU goes idle in functions that may be probed, without RCU:
 * 2b5a0e425e6e ("objtool/idle: Validate __cpuidle code as noinstr").
 */
#define KTRAMP_IDLE_IS_TRACED		(LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0))

/* 66c8473135c6 ("bpf: move sleepable flag from bpf_prog_aux to bpf_prog"), 6.9. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
#define KTRAMP_PROG_SLEEPABLE(prog)	((prog)->sleepable)
#else
#define KTRAMP_PROG_SLEEPABLE(prog)	((prog)->aux->sleepable)
#endif

/* f18b03fabaa9 ("bpf: Implement BPF exceptions"), 6.7. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
#define KTRAMP_PROG_THROWS(prog)						\
	((prog)->aux->exception_boundary || (prog)->aux->exception_cb)
#else
#define KTRAMP_PROG_THROWS(prog)	((void)(prog), false)
#endif

/* 9ffd9f3ff719 ("bpf: Add bpf_get_func_ip helper for kprobe programs"), 5.15. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 15, 0)
#define KTRAMP_PROG_ASKS_FUNC_IP(prog)	((prog)->call_get_func_ip)
#else
#define KTRAMP_PROG_ASKS_FUNC_IP(prog)	((void)(prog), false)
#endif

/* 7384893d970e ("bpf: Allow uprobe program to change context registers"), 6.18. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0)
#define KTRAMP_PROG_WRITES_CTX(prog)	((prog)->aux->kprobe_write_ctx)
#else
#define KTRAMP_PROG_WRITES_CTX(prog)	((void)(prog), false)
#endif

/*
 * Where code finds the current task and the preemption count: in a struct of their own since
 * e57ef2ed97c1 ("x86: Put hot per CPU variables into a struct"), 6.2, until 46e8fff6d45f
 * ("x86/preempt: Move preempt count to percpu hot section"), 6.15.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0) && LINUX_VERSION_CODE < KERNEL_VERSION(6, 15, 0)
#define KTRAMP_CURRENT_TASK		(&pcpu_hot.current_task)
#define KTRAMP_PREEMPT_COUNT		(&pcpu_hot.preempt_count)
#else
#define KTRAMP_CURRENT_TASK		(&current_task)
#define KTRAMP_PREEMPT_COUNT		(&__preempt_count)
#endif

/* What says that another task is due is the top bit of eight bytes, not of four, since 7.0. */
#define KTRAMP_PREEMPT_COUNT_IS_LONG	IS_ENABLED(CONFIG_HAS_SEPARATE_PREEMPT_RESCHED_BITS)

/* 8b62645b09f8 ("bpf: Use raw_spinlock_t in ringbuf"), 6.12. */
#define KTRAMP_RINGBUF_SLEEPS							\
	(IS_ENABLED(CONFIG_PREEMPT_RT) && LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0))

/*
 * By a task's bpf_ctx a hit knows that it is nested in another program: c7603cfa04e7 ("bpf: Add
 * ambient BPF runtime context stored in current"), 5.15.
 */
#if defined(CONFIG_BPF_SYSCALL) && LINUX_VERSION_CODE >= KERNEL_VERSION(5, 15, 0)
#define KTRAMP_HAS_BPF_CTX		1
#else
#define KTRAMP_HAS_BPF_CTX		0
#endif

/* cf68fffb66d6 ("add support for Clang CFI"), 5.13. */
#ifndef __nocfi
#define __nocfi
#endif

/* What exc_int3() calls first, by its name of 6.16 and newer, and the one before. */
#define KTRAMP_POKE_INT3_HANDLER	"smp_text_poke_int3_handler", "poke_int3_handler"

/* __NR_ia32_bpf is in no header that a module's build has. */
#define KTRAMP_NR_IA32_BPF		357

#endif /* !__ASSEMBLER__ */

#endif /* KTRAMP_COMPAT_H */
