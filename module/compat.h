/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels ktramp runs on, one definition a difference.
 */
#ifndef KTRAMP_COMPAT_H
#define KTRAMP_COMPAT_H

#include <linux/fprobe.h>
#include <linux/kconfig.h>
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
 * A module's text: struct module_layout became an array of struct module_memory in 6.4,
 * ac3b43283923 ("module: replace module_layout with module_memory").
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#define KTRAMP_MODULE_TEXT(mod)		((unsigned long)(mod)->mem[MOD_TEXT].base)
#define KTRAMP_MODULE_TEXT_SIZE(mod)	((mod)->mem[MOD_TEXT].size)
#define KTRAMP_MODULE_DATA_PARTS	3	/* MOD_DATA, MOD_RODATA, MOD_RO_AFTER_INIT */
#define KTRAMP_MODULE_DATA(mod, part)	((unsigned long)(mod)->mem[MOD_DATA + (part)].base)
#define KTRAMP_MODULE_DATA_SIZE(mod, part) ((mod)->mem[MOD_DATA + (part)].size)
#else
#define KTRAMP_MODULE_TEXT(mod)		((unsigned long)(mod)->core_layout.base)
#define KTRAMP_MODULE_TEXT_SIZE(mod)	((mod)->core_layout.text_size)
#define KTRAMP_MODULE_DATA_PARTS	1
#define KTRAMP_MODULE_DATA(mod, part) \
	((unsigned long)(mod)->core_layout.base + (mod)->core_layout.text_size)
#define KTRAMP_MODULE_DATA_SIZE(mod, part) \
	((mod)->core_layout.size - (mod)->core_layout.text_size)
#endif

#endif /* KTRAMP_COMPAT_H */
