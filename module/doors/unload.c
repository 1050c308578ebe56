// SPDX-License-Identifier: GPL-2.0-only
/*
 * Another module goes, and takes the probes in it along.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>

#include "admit/admit.h"
#include "admit/context.h"
#include "admit/image.h"
#include "doors/unload.h"
#include "engine/cover.h"
#include "engine/registry.h"
#include "kernel/compat.h"
#include "kernel/lock.h"

/*
 * MODULE_STATE_GOING is told when the module's exit function has run, or its init function
 * has failed, and before its text is freed. No new probe gets in afterwards: image.c takes
 * live modules only.
 */
static int module_event(struct notifier_block *nb, unsigned long event, void *data)
{
	struct module *mod = data;

	if (event != MODULE_STATE_GOING || mod == THIS_MODULE)
		return NOTIFY_DONE;
	mutex_lock(&ktramp_mutex);
	ktramp_admit_settle();
	ktramp_cover_forget(KTRAMP_MODULE_TEXT(mod));
	ktramp_probes_forget(KTRAMP_MODULE_TEXT(mod), KTRAMP_MODULE_TEXT_SIZE(mod));
	ktramp_context_drop();
	ktramp_image_forget(KTRAMP_MODULE_TEXT(mod));
	ktramp_admit_forget(KTRAMP_MODULE_TEXT(mod), KTRAMP_MODULE_TEXT_SIZE(mod));
	mutex_unlock(&ktramp_mutex);
	return NOTIFY_OK;
}

static struct notifier_block module_notifier = {
	.notifier_call = module_event,
};

int ktramp_unload_init(void)
{
	return register_module_notifier(&module_notifier);
}

void ktramp_unload_exit(void)
{
	unregister_module_notifier(&module_notifier);
}
