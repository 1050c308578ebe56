// SPDX-License-Identifier: GPL-2.0-only
/*
 * Execute instructions with any registers, flags and memory, and tell all they changed.
 *
 * For tests. state_test writes code into the cells, has it executed bare, puts ktramp's
 * probes on it, and has it executed again; ktramp knows nothing of this module.
 *
 * An exception is taken down, and the instruction that raised it skipped. #PF is got at
 * by its tracepoint, because an instruction with an exception table entry is one that
 * ktramp refuses; the others by the die chain, behind ktramp.
 */
#include <linux/irqflags.h>
#include <linux/kdebug.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/msr.h>
#include <asm/traps.h>

#include "ktramp_state.h"
#include "state.h"
#include "kernel/text.h"

#define XFEATURES	0x7	/* x87, SSE, AVX: all that STATE_IMAGE_SIZE has room for */

/* What exceptions, handlers and the helpers of programs need below a case's stack pointer. */
#define STACK_MARGIN	(4 * PAGE_SIZE)

struct state_regs state_before, state_after;
unsigned long state_kernel_sp, state_skip_to;

static struct {
	u64 below[64];
	u64 word[STATE_DATA_SIZE / 8];
	u64 above[64];
} data __aligned(PAGE_SIZE);

static struct {
	u8 below[STACK_MARGIN];
	u64 word[STATE_STACK_SIZE / 8];
	u64 above[64];
} stack __aligned(PAGE_SIZE);

static DEFINE_PER_CPU_ALIGNED(u64 [STATE_PERCPU_SIZE / 8], percpu);

static const u64 constant[64] = { 0x6b7472616d70 };

static u8 image[ALIGN(STATE_IMAGE_SIZE, 64)] __aligned(64);
static u64 expected[STATE_WORDS];
static u64 entries[STATE_ENTRIES];
static u64 xfeatures;
static void *hole;

/* One case at a time; what it leaves is taken down here. */
static DEFINE_MUTEX(state_mutex);
static struct state_result result;
static unsigned int skip_length;
static bool running;

static u64 next_random(u64 *seed)
{
	/* splitmix64: every seed is a good one */
	u64 z = (*seed += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static u64 *word(unsigned int nr)
{
	if (nr < ARRAY_SIZE(data.word))
		return &data.word[nr];
	nr -= ARRAY_SIZE(data.word);
	if (nr < ARRAY_SIZE(stack.word))
		return &stack.word[nr];
	return &(*this_cpu_ptr(&percpu))[nr - ARRAY_SIZE(stack.word)];
}

/* Did a case raise it? Only what is executed for a case is in a module and traps. */
static bool is_case(struct pt_regs *regs)
{
	return running && !user_mode(regs) && regs->ip >= MODULES_VADDR && regs->ip < MODULES_END;
}

static void take_down(unsigned int trapnr, unsigned long error, unsigned long address)
{
	result.traps++;
	result.trapnr = trapnr;
	result.error = error;
	result.address = address;
}

static int on_die(struct notifier_block *nb, unsigned long event, void *args_)
{
	struct die_args *args = args_;

	if ((event != DIE_TRAP && event != DIE_GPF) || !is_case(args->regs))
		return NOTIFY_DONE;
	take_down(args->trapnr, args->err, 0);
	args->regs->ip += skip_length;
	return NOTIFY_STOP;
}

static struct notifier_block die_notifier = { .notifier_call = on_die };

static void on_page_fault(void *unused, unsigned long address, struct pt_regs *regs,
			  unsigned long error)
{
	if (!is_case(regs))
		return;
	/* A state that was not thought of: nothing below saves the kernel from it. */
	if (address < TASK_SIZE_MAX)
		pr_crit("%pS, %*ph, reaches for the user's memory\n", (void *)regs->ip,
			(int)skip_length, (void *)regs->ip);
	take_down(X86_TRAP_PF, error, address);
	state_skip_to = regs->ip + skip_length;
	regs->ip = (unsigned long)state_fault;
}

static struct tracepoint *page_fault;

static void find_page_fault(struct tracepoint *tp, void *unused)
{
	if (!strcmp(tp->name, "page_fault_kernel"))
		page_fault = tp;
}

static void xrstor(void)
{
	asm volatile("xrstor64 %0" : : "m" (image), "a" (XFEATURES), "d" (0));
}

static void xsave(void)
{
	asm volatile("xsave64 %0" : "+m" (image) : "a" (XFEATURES), "d" (0));
}

/* Numbers in all vector registers; the control words as the kernel has them. */
static void load_vector(u64 seed)
{
	u64 *at = (u64 *)image;
	unsigned int i;

	memset(image, 0, sizeof(image));
	*(u16 *)image = 0x37f;			/* FCW */
	image[4] = 0xff;			/* FTW: the x87 registers are in use */
	*(u32 *)(image + 24) = 0x1f80;		/* MXCSR */
	for (i = 32 / 8; i < 416 / 8; i++)
		at[i] = next_random(&seed);
	for (i = 576 / 8; i < STATE_IMAGE_SIZE / 8; i++)
		at[i] = next_random(&seed);
	at[512 / 8] = xfeatures;		/* XSTATE_BV */
	xrstor();
}

static u64 save_vector(void)
{
	u64 sum = 0xcbf29ce484222325;
	unsigned int i;

	memset(image, 0, sizeof(image));
	xsave();
	/* FIP: the address of the last x87 instruction, which is that of a copy. */
	memset(image + 8, 0, 8);
	for (i = 0; i < STATE_IMAGE_SIZE / 8; i++)
		sum = (sum ^ ((u64 *)image)[i]) * 0x100000001b3;
	return sum;
}

static void write_memory(const struct state_case *c)
{
	u64 seed = c->memory;
	unsigned int i;

	for (i = 0; i < STATE_WORDS; i++)
		expected[i] = next_random(&seed);
	for (i = 0; i < c->patches; i++)
		expected[c->at[i]] = c->word[i];
	for (i = 0; i < STATE_WORDS; i++)
		*word(i) = expected[i];
}

/* What lies below the stack pointer is anybody's. */
static bool counts(const struct state_case *c, const u64 *at)
{
	unsigned long from = result.r[4];

	if (at < stack.word || at >= stack.word + ARRAY_SIZE(stack.word))
		return true;
	if (!(c->flags & STATE_PUSHES))
		from = max_t(unsigned long, from, c->r[4]);
	return (unsigned long)at >= (from & ~7UL);
}

static void compare_memory(const struct state_case *c)
{
	unsigned int i;

	for (i = 0; i < STATE_WORDS; i++) {
		u64 *at = word(i);

		if (*at == expected[i] || !counts(c, at))
			continue;
		if (result.changed < STATE_CHANGES) {
			result.at[result.changed] = i;
			result.word[result.changed] = *at;
		}
		result.changed++;
	}
}

static void run(const struct state_case *c)
{
	bool vector = (c->flags & STATE_VECTOR) && xfeatures;

	memset(&result, 0, sizeof(result));
	memcpy(state_before.r, c->r, sizeof(c->r));
	state_before.rflags = c->rflags;
	state_before.where = c->entry;
	skip_length = c->length;
	if (vector)
		kernel_fpu_begin();
	else
		preempt_disable();
	write_memory(c);
	if (vector)
		load_vector(c->memory);
	/* As lockdep sees it they are off throughout; the case has its own flags. */
	local_irq_disable();
	WRITE_ONCE(running, true);
	barrier();
	state_enter();
	barrier();
	WRITE_ONCE(running, false);
	local_irq_enable();
	memcpy(result.r, state_after.r, sizeof(result.r));
	result.rflags = state_after.rflags;
	result.exit = state_after.where;
	if (vector)
		result.vector = save_vector();
	compare_memory(c);
	if (vector)
		kernel_fpu_end();
	else
		preempt_enable();
}

static bool may_enter(u64 address)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(entries); i++)
		if (address && address == entries[i])
			return true;
	return address >= (unsigned long)state_cells && address < (unsigned long)state_cells_end;
}

static bool is_valid(const struct state_case *c)
{
	unsigned int i;

	if (c->patches > STATE_PATCHES || !may_enter(c->entry))
		return false;
	for (i = 0; i < c->patches; i++)
		if (c->at[i] >= STATE_WORDS)
			return false;
	return true;
}

static long ioc_run(const struct state_run *request)
{
	const struct state_case __user *from = u64_to_user_ptr(request->cases);
	struct state_result __user *to = u64_to_user_ptr(request->results);
	struct state_case c;
	u32 i;

	for (i = 0; i < request->nr; i++) {
		if (copy_from_user(&c, &from[i], sizeof(c)))
			return -EFAULT;
		if (!is_valid(&c))
			return -EINVAL;
		run(&c);
		if (copy_to_user(&to[i], &result, sizeof(result)))
			return -EFAULT;
		cond_resched();
	}
	if (request->image &&
	    copy_to_user(u64_to_user_ptr(request->image), image, STATE_IMAGE_SIZE))
		return -EFAULT;
	return 0;
}

static long ioc_info(void __user *argp)
{
	struct state_info info = {
		.cells = (unsigned long)state_cells,
		.data = (unsigned long)data.word,
		.stack = (unsigned long)stack.word,
		.percpu = (__force unsigned long)&percpu,
		.fall = (unsigned long)state_fall,
		.taken = (unsigned long)state_taken,
		.back = (unsigned long)state_back,
		.hole = (unsigned long)hole + PAGE_SIZE,
		.constant = (unsigned long)constant,
		.xfeatures = xfeatures,
	};
	u32 low, high;

	memcpy(info.entries, entries, sizeof(info.entries));
	rdmsr(MSR_GS_BASE, low, high);
	info.gs = (u64)high << 32 | low;
	return copy_to_user(argp, &info, sizeof(info)) ? -EFAULT : 0;
}

static long ioc_read(const struct state_copy *copy)
{
	u8 __user *to = u64_to_user_ptr(copy->buffer);
	u64 done = 0;
	u8 part[512];

	while (done < copy->size) {
		u64 n = min_t(u64, copy->size - done, sizeof(part));

		if (ktramp_text_read(part, copy->address + done, n) ||
		    copy_to_user(to + done, part, n))
			return -EFAULT;
		done += n;
		cond_resched();
	}
	return 0;
}

static long ioc_write(const struct state_copy *copy)
{
	void *bytes;
	int err;

	if (copy->address < MODULES_VADDR || copy->address >= MODULES_END || !copy->size ||
	    copy->size > STATE_TEXT_SIZE)
		return -EINVAL;
	bytes = vmemdup_user(u64_to_user_ptr(copy->buffer), copy->size);
	if (IS_ERR(bytes))
		return PTR_ERR(bytes);
	err = ktramp_text_write(copy->address, bytes, copy->size);
	ktramp_text_sync();
	kvfree(bytes);
	return err;
}

static long ioctl_locked(unsigned int request, void __user *argp)
{
	struct state_copy copy;
	struct state_run run;

	switch (request) {
	case STATE_IOC_INFO:
		return ioc_info(argp);
	case STATE_IOC_READ:
	case STATE_IOC_WRITE:
		if (copy_from_user(&copy, argp, sizeof(copy)))
			return -EFAULT;
		return request == STATE_IOC_READ ? ioc_read(&copy) : ioc_write(&copy);
	case STATE_IOC_RUN:
		return copy_from_user(&run, argp, sizeof(run)) ? -EFAULT : ioc_run(&run);
	}
	return -ENOTTY;
}

static long state_ioctl(struct file *file, unsigned int request, unsigned long arg)
{
	long err;

	mutex_lock(&state_mutex);
	err = ioctl_locked(request, (void __user *)arg);
	mutex_unlock(&state_mutex);
	return err;
}

static const struct file_operations state_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = state_ioctl,
};

static struct miscdevice state_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ktramp_state",
	.fops = &state_fops,
	.mode = 0600,
};

static void find_vector(void)
{
	if (boot_cpu_has(X86_FEATURE_XSAVE))
		xfeatures = xgetbv(XCR_XFEATURE_ENABLED_MASK) & XFEATURES;
}

static int __init state_init(void)
{
	unsigned int i;
	int err;

	BUILD_BUG_ON(offsetof(struct state_regs, rflags) != 16 * 8);
	BUILD_BUG_ON(offsetof(struct state_regs, where) != 17 * 8);
	find_vector();
	for_each_kernel_tracepoint(find_page_fault, NULL);
	if (!page_fault)
		return -ENOENT;
	for (i = 0; i < ARRAY_SIZE(entries); i++)
		entries[i] = state_entry(i);
	/* The page behind it is never mapped. */
	hole = vmalloc(PAGE_SIZE);
	if (!hole)
		return -ENOMEM;
	err = tracepoint_probe_register(page_fault, on_page_fault, NULL);
	if (err)
		goto free;
	err = register_die_notifier(&die_notifier);
	if (err)
		goto unregister;
	err = misc_register(&state_device);
	if (!err)
		return 0;
	unregister_die_notifier(&die_notifier);
unregister:
	tracepoint_probe_unregister(page_fault, on_page_fault, NULL);
	tracepoint_synchronize_unregister();
free:
	vfree(hole);
	return err;
}

static void __exit state_exit(void)
{
	misc_deregister(&state_device);
	unregister_die_notifier(&die_notifier);
	tracepoint_probe_unregister(page_fault, on_page_fault, NULL);
	tracepoint_synchronize_unregister();
	vfree(hole);
}

module_init(state_init);
module_exit(state_exit);

MODULE_DESCRIPTION("Executes instructions for ktramp's tests and tells all they changed");
MODULE_LICENSE("GPL");
