// SPDX-License-Identifier: GPL-2.0-only
/*
 * The requests of who covers the kernel: copy in, check, call, copy out. What they mean is told
 * in uapi/ktramp.h.
 *
 * Nothing is copied to user space under ktramp_mutex: that memory may be a file's, whose server
 * takes its time, or is traced by whoever waits for the mutex.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "doors/cover.h"
#include "engine/cover.h"
#include "hit/trap.h"
#include "kernel/symbol.h"

static void tell(u32 *reason, char *why, const struct ktramp_refusal *r)
{
	*reason = r->reason;
	strscpy(why, r->why, KTRAMP_WHY_MAX);
}

/* As many functions as there is room for. Each takes and leaves ktramp_mutex: all take seconds. */
static int add_all(struct file *file, struct ktramp_cover_add *add,
		   struct ktramp_cover_func *funcs, struct ktramp_cover_found *found,
		   struct ktramp_refusal *r)
{
	int err = 0;

	for (add->done = 0; add->done < add->nr; add->done++) {
		*r = (struct ktramp_refusal){};
		err = signal_pending(current) ? -EINTR :
		      ktramp_cover_add(&funcs[add->done], found, file, r);
		if (err)
			break;
		cond_resched();
	}
	/* What was done is told, and the rest asked for again. */
	if ((err == -EINTR || err == -ENOSPC) && add->done)
		err = 0;
	if (!err)
		*r = (struct ktramp_refusal){};
	return err;
}

static int copy_found(const struct ktramp_cover_add *add, const struct ktramp_cover_func *funcs,
		      const struct ktramp_cover_found *found)
{
	if (copy_to_user(u64_to_user_ptr(add->functions), funcs, add->done * sizeof(*funcs)) ||
	    copy_to_user(u64_to_user_ptr(add->blocks), found->block,
			 found->nr * sizeof(*found->block)))
		return -EFAULT;
	return 0;
}

long ktramp_do_cover_add(struct file *file, void *arg)
{
	struct ktramp_cover_add *add = arg;
	struct ktramp_cover_found found = {
		.max = add->max, .calls = add->flags & KTRAMP_COVER_CALLS,
	};
	struct ktramp_cover_func *funcs;
	struct ktramp_refusal r = {};
	int err;

	if ((add->flags & ~KTRAMP_COVER_CALLS) || add->reserved ||
	    !add->nr || add->nr > KTRAMP_COVER_FUNCS_MAX ||
	    !add->max || add->max > KTRAMP_COVER_MAX)
		return -EINVAL;
	if (!ktramp_symbol_shows())
		return -EPERM;
	funcs = vmemdup_user(u64_to_user_ptr(add->functions), add->nr * sizeof(*funcs));
	if (IS_ERR(funcs))
		return PTR_ERR(funcs);
	found.block = kvcalloc(add->max, sizeof(*found.block), GFP_KERNEL_ACCOUNT);
	err = found.block ? add_all(file, add, funcs, &found, &r) : -ENOMEM;
	if (!err)
		err = copy_found(add, funcs, &found);
	add->nr_blocks = found.nr;
	tell(&add->reason, add->why, &r);
	kvfree(found.block);
	kvfree(funcs);
	return err;
}

static long act(struct file *file, struct ktramp_cover *cover,
		int (*act)(void *owner, struct ktramp_refusal *r))
{
	struct ktramp_refusal r = {};
	int err = 0;

	if (cover->flags || cover->reserved)
		return -EINVAL;
	if (act)
		err = act(file, &r);
	*cover = (struct ktramp_cover){
		.entry = ktramp_trap_is_direct(KTRAMP_INT3_EMULATE, KTRAMP_COUNT) ?
			 KTRAMP_ENTRY_DIRECT : KTRAMP_ENTRY_NOTIFIER,
	};
	ktramp_cover_stat(file, cover);
	tell(&cover->reason, cover->why, &r);
	return err;
}

long ktramp_do_cover_start(struct file *file, void *arg)
{
	return act(file, arg, ktramp_cover_start);
}

long ktramp_do_cover_reset(struct file *file, void *arg)
{
	return act(file, arg, ktramp_cover_reset);
}

long ktramp_do_cover_stop(struct file *file, void *arg)
{
	return act(file, arg, ktramp_cover_stop);
}

long ktramp_do_cover_stat(struct file *file, void *arg)
{
	return act(file, arg, NULL);
}

long ktramp_do_cover_read(struct file *file, void *arg)
{
	struct ktramp_cover_read *read = arg;
	u64 *address;
	int nr;

	if ((read->flags & ~KTRAMP_COVER_BUSY) || !read->max || read->max > KTRAMP_COVER_MAX)
		return -EINVAL;
	if (!ktramp_symbol_shows())
		return -EPERM;
	address = kvcalloc(read->max, sizeof(*address), GFP_KERNEL_ACCOUNT);
	if (!address)
		return -ENOMEM;
	nr = ktramp_cover_read(file, read->from, read->flags & KTRAMP_COVER_BUSY, address,
			       read->max);
	read->nr = max(nr, 0);
	if (copy_to_user(u64_to_user_ptr(read->addresses), address, read->nr * sizeof(*address)))
		nr = -EFAULT;
	kvfree(address);
	return min(nr, 0);
}
