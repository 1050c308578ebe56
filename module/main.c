// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load, test ourselves, open the doors; and the way back.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include "admit/admit.h"
#include "admit/context.h"
#include "doors/bench.h"
#include "doors/chardev.h"
#include "doors/unload.h"
#include "engine/create.h"
#include "engine/registry.h"
#include "hit/trap.h"
#include "kernel/active.h"
#include "kernel/blacklist.h"
#include "kernel/namesake.h"
#include "kernel/patchers.h"
#include "kernel/hotplug.h"
#include "kernel/slot.h"
#include "kernel/target.h"
#include "kernel/text.h"
#include "native/entry.h"
#include "native/native.h"

/*
 * Plant one probe of each kind on our own target, hit it, remove it. A kernel on which
 * this goes wrong is found out here, on code that is ours, and the module does not load.
 */
static int __init selftest_one(enum ktramp_mechanism mechanism)
{
	const struct ktramp_target *t = ktramp_target_find("lea", strlen("lea"));
	const struct ktramp_request request = {
		.mechanism = mechanism, .handler = KTRAMP_COUNT, .site = "lea",
	};
	struct ktramp_refusal r = {};
	struct ktramp_batch reply = {};
	struct ktramp_stat sum = {};
	struct ktramp_probe *p;
	long result = 0;
	int id, err;

	id = ktramp_probe_create(&request, &r);
	if (id < 0) {
		pr_err("self-test: mechanism %d: %s\n", mechanism, r.why);
		return id;
	}
	err = ktramp_probes_arm((u32 []){ id }, 1, NULL, &reply);
	if (!err) {
		result = t->fn(3, 5);
		p = ktramp_probe_get(id, false);
		if (p) {
			ktramp_probe_sum(p, &sum);
			ktramp_probe_put(p);
		}
		if (result != t->expect(3, 5) || sum.hits != 1 || sum.missed)
			err = -EIO;
	}
	if (err)
		pr_err("self-test: mechanism %d: %pe, result %ld, hits %llu, missed %llu %s\n",
		       mechanism, ERR_PTR(err), result, sum.hits, sum.missed, reply.why);
	return ktramp_probes_destroy((u32 []){ id }, 1, NULL, &reply) ?: err;
}

static int __init selftest(void)
{
	static const enum ktramp_mechanism ours[] __initconst = {
		KTRAMP_INT3_EMULATE, KTRAMP_INT3_STEP_TF, KTRAMP_INT3_STEP_INT3,
		KTRAMP_INT3_BOOST, KTRAMP_INT3_DIVERT, KTRAMP_JUMP,
	};
	int i, err = 0;

	for (i = 0; i < ARRAY_SIZE(ours) && !err; i++)
		if (ours[i] != KTRAMP_JUMP || ktramp_patchers_known())
			err = selftest_one(ours[i]);
	return err;
}

static int __init ktramp_init(void)
{
	int err;

	err = ktramp_text_allowed();
	if (!err)
		err = ktramp_slot_init();
	if (!err)
		err = ktramp_target_init();
	if (!err)
		err = ktramp_patchers_init();
	if (!err)
		err = ktramp_hotplug_init();
	if (!err)
		err = ktramp_active_init();
	if (!err)
		err = ktramp_blacklist_init();
	if (err)
		return err;
	err = ktramp_trap_init();
	if (err)
		goto undo_blacklist;
	ktramp_traps_init();
	err = ktramp_unload_init();
	if (err)
		goto undo_traps;
	err = selftest();
	if (!err)
		err = ktramp_chardev_init();
	if (err)
		goto undo_probes;
	ktramp_debugfs_init();
	return 0;
undo_probes:
	ktramp_probes_exit();
	ktramp_unload_exit();
undo_traps:
	ktramp_entries_exit();
	ktramp_traps_exit();
	ktramp_trap_exit();
	ktramp_admit_exit();
	ktramp_context_exit();
undo_blacklist:
	ktramp_blacklist_exit();
	ktramp_namesakes_exit();
	return err;
}

static void __exit ktramp_exit(void)
{
	ktramp_debugfs_exit();
	ktramp_chardev_exit();
	/*
	 * While the probes are still being hit: that is the case that must work. And while we are
	 * still told of modules that go: they take probes along as long as there are any.
	 */
	ktramp_probes_exit();
	ktramp_unload_exit();
	ktramp_bench_load_stop();
	ktramp_entries_exit();
	ktramp_traps_exit();
	ktramp_trap_exit();
	ktramp_admit_exit();
	ktramp_context_exit();
	ktramp_blacklist_exit();
	ktramp_namesakes_exit();
}

module_init(ktramp_init);
module_exit(ktramp_exit);

MODULE_DESCRIPTION("Instruction trampolines: int3, single-step and jump probes, and what they cost");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.2.0");
