// SPDX-License-Identifier: GPL-2.0-only
/*
 * What arming costs the kernel: many kprobes, registered as register_kprobes() does, until
 * those that can have become jumps.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/msr.h>
#include <asm/text-patching.h>

#include "doors/kprobes.h"
#include "uapi/ktramp.h"
#include "kernel/text.h"

/* The optimizer has given up when nothing changed for so long. */
#define QUIET_MS	2000
#define POLL_MS		10

static int nothing(struct kprobe *kp, struct pt_regs *regs)
{
	return 0;
}
NOKPROBE_SYMBOL(nothing);

/* Return: how many are jumps now. */
static u32 count_jumps(struct kprobe *const *kps, u32 nr)
{
	u32 jumps = 0, i;
	u8 byte;

	for (i = 0; i < nr; i++)
		if (!ktramp_text_read(&byte, (unsigned long)kps[i]->addr, 1))
			jumps += byte == JMP32_INSN_OPCODE;
	return jumps;
}

static long wait_for_jumps(struct ktramp_kprobes *request, struct kprobe *const *kps, u64 start)
{
	unsigned int quiet = 0;
	u32 jumps;

	while (quiet < QUIET_MS && request->jumps < request->registered) {
		if (signal_pending(current))
			return -EINTR;
		msleep_interruptible(POLL_MS);
		quiet += POLL_MS;
		jumps = count_jumps(kps, request->registered);
		if (jumps == request->jumps)
			continue;
		request->jumps = jumps;
		request->jump_ticks = rdtsc_ordered() - start;
		quiet = 0;
	}
	return 0;
}

static long measure(struct ktramp_kprobes *request, struct kprobe *pool, struct kprobe **kps,
		    const u64 *addresses)
{
	u64 start = rdtsc_ordered(), from;
	long err = 0;
	u32 i;

	for (i = 0; i < request->nr && !err; i++) {
		pool[i].addr = (kprobe_opcode_t *)addresses[i];
		pool[i].pre_handler = nothing;
		from = rdtsc_ordered();
		if (!register_kprobe(&pool[i])) {
			request->register_ticks += rdtsc_ordered() - from;
			kps[request->registered++] = &pool[i];
		}
		if (signal_pending(current))
			err = -EINTR;
	}
	if (!err)
		err = wait_for_jumps(request, kps, start);
	from = rdtsc_ordered();
	if (request->registered)
		unregister_kprobes(kps, request->registered);
	request->unregister_ticks = rdtsc_ordered() - from;
	return err;
}

/**
 * ktramp_kprobes() - KTRAMP_IOC_KPROBES
 * @request: the request, and the reply
 *
 * Context: process, sleeps.
 * Return: 0 or a negative errno as struct ktramp_kprobes documents.
 */
long ktramp_kprobes(struct ktramp_kprobes *request)
{
	struct kprobe *pool, **kps;
	long err = -ENOMEM;
	u64 *addresses;

	if (!request->nr || request->nr > KTRAMP_KPROBES_MAX)
		return -EINVAL;
	request->registered = 0;
	request->jumps = 0;
	request->register_ticks = 0;
	request->jump_ticks = 0;
	addresses = vmemdup_user(u64_to_user_ptr(request->addresses),
				 request->nr * sizeof(*addresses));
	if (IS_ERR(addresses))
		return PTR_ERR(addresses);
	pool = kvcalloc(request->nr, sizeof(*pool), GFP_KERNEL);
	kps = kvcalloc(request->nr, sizeof(*kps), GFP_KERNEL);
	if (pool && kps)
		err = measure(request, pool, kps, addresses);
	kvfree(kps);
	kvfree(pool);
	kvfree(addresses);
	return err;
}
