// SPDX-License-Identifier: GPL-2.0-only
/*
 * A livepatch of one of ktramp's targets, for coexist_test: the same result, counted.
 */
#include <linux/livepatch.h>
#include <linux/module.h>

static unsigned long calls;
module_param(calls, ulong, 0444);
MODULE_PARM_DESC(calls, "Calls that the patched function has had");

#ifdef CONFIG_LIVEPATCH
static noinline long patched(long a, long b)
{
	WRITE_ONCE(calls, calls + 1);
	return a + b + 1;
}

static struct klp_func funcs[] = {
	{ .old_name = "ktramp_target_plain", .new_func = patched },
	{ }
};

static struct klp_object objects[] = {
	{ .name = "ktramp", .funcs = funcs },
	{ }
};

static struct klp_patch patch = { .mod = THIS_MODULE, .objs = objects };

static int __init patch_init(void)
{
	return klp_enable_patch(&patch);
}
#else
static int __init patch_init(void)
{
	return -EOPNOTSUPP;
}
#endif

/* It goes when it was disabled, in /sys/kernel/livepatch. */
static void __exit patch_exit(void)
{
}

module_init(patch_init);
module_exit(patch_exit);

MODULE_DESCRIPTION("Livepatches one of ktramp's targets for its tests");
MODULE_INFO(livepatch, "Y");
MODULE_LICENSE("GPL");
