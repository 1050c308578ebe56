/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels ktramp runs on, one definition a difference.
 */
#ifndef KTRAMP_COMPAT_H
#define KTRAMP_COMPAT_H

#include <linux/fprobe.h>
#include <linux/kconfig.h>
#include <linux/module.h>
#include <linux/version.h>

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

/* 8b62645b09f8 ("bpf: Use raw_spinlock_t in ringbuf"), 6.12. */
#define KTRAMP_RINGBUF_SLEEPS							\
	(IS_ENABLED(CONFIG_PREEMPT_RT) && LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0))

/* __NR_ia32_bpf is in no header that a module's build has. */
#define KTRAMP_NR_IA32_BPF		357

#endif /* KTRAMP_COMPAT_H */
