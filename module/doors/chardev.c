// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/ktramp: copy in, check, call, copy out. What the ioctls mean is told in
 * uapi/ktramp.h.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/tsc.h>

#include "doors/bench.h"
#include "doors/chardev.h"
#include "doors/cover.h"
#include "doors/kprobes.h"
#include "doors/scan.h"
#include "engine/cover.h"
#include "engine/create.h"
#include "engine/registry.h"
#include "engine/site.h"
#include "engine/watch.h"
#include "hit/bpf.h"
#include "hit/mechanism.h"
#include "hit/trap.h"
#include "kernel/compat.h"
#include "kernel/slot.h"
#include "kernel/symbol.h"
#include "kernel/target.h"
#include "kernel/text.h"
#include "native/native.h"

/* Found out at load, where nothing else is going on yet. */
static enum ktramp_clock clock;

static u64 shown(unsigned long addr)
{
	return ktramp_symbol_shows() ? addr : 0;
}

static u32 config_bits(void)
{
	u32 config = 0;

	if (IS_ENABLED(CONFIG_PREEMPTION))
		config |= KTRAMP_CONFIG_PREEMPTION;
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		config |= KTRAMP_CONFIG_PREEMPT_RT;
	if (IS_ENABLED(CONFIG_OPTPROBES))
		config |= KTRAMP_CONFIG_OPTPROBES;
	if (IS_ENABLED(CONFIG_KPROBES_ON_FTRACE))
		config |= KTRAMP_CONFIG_KPROBES_ON_FTRACE;
	if (IS_ENABLED(CONFIG_FPROBE))
		config |= KTRAMP_CONFIG_FPROBE;
	if (IS_ENABLED(CONFIG_X86_KERNEL_IBT))
		config |= KTRAMP_CONFIG_X86_KERNEL_IBT;
	if (KTRAMP_HAS_RETHUNK)
		config |= KTRAMP_CONFIG_RETHUNK;
	if (KTRAMP_HAS_RETPOLINE)
		config |= KTRAMP_CONFIG_RETPOLINE;
	if (IS_ENABLED(CONFIG_KASAN))
		config |= KTRAMP_CONFIG_KASAN;
	if (IS_ENABLED(CONFIG_PROVE_LOCKING))
		config |= KTRAMP_CONFIG_PROVE_LOCKING;
	if (IS_ENABLED(CONFIG_DEBUG_INFO_BTF))
		config |= KTRAMP_CONFIG_BTF;
	return config;
}

static long do_info(struct file *file, void *arg)
{
	struct ktramp_info *info = arg;
	const char *why;

	if (info->flags)
		return -EINVAL;
	info->abi = KTRAMP_ABI;
	info->clock = clock;
	info->config = config_bits();
	info->nr_targets = ktramp_target_count();
	info->nr_probes = ktramp_probe_count();
	info->counts_traps = ktramp_traps_countable();
	info->addresses = ktramp_symbol_shows();
	info->tsc_khz = tsc_khz;
	info->slot_bytes = ktramp_slot_used();
	info->slot_capacity = ktramp_slot_capacity();
	strscpy(info->version, THIS_MODULE->version, sizeof(info->version));
	why = ktramp_trap_why(KTRAMP_INT3_BOOST, KTRAMP_COUNT);
	info->entry = why ? KTRAMP_ENTRY_NOTIFIER : KTRAMP_ENTRY_DIRECT;
	info->debug_entry = ktramp_trap_is_debug_direct() ? KTRAMP_ENTRY_DIRECT :
							    KTRAMP_ENTRY_NOTIFIER;
	strscpy(info->entry_why, why ?: "", sizeof(info->entry_why));
	return 0;
}

static long do_mechanism(struct file *file, void *arg)
{
	struct ktramp_mechanism_info *info = arg;
	const struct ktramp_mechanism_ops *ops = ktramp_mechanism(info->mechanism);
	struct ktramp_refusal r = {};

	if (info->flags || info->reserved || !info->mechanism)
		return -EINVAL;
	if (!ops)
		return -ENOENT;
	if (ops->supported)
		ops->supported(&r);
	info->kind = ops->kind;
	info->reason = r.reason;
	info->at_entry = ops->at_entry;
	info->handlers = ops->handlers;
	strscpy(info->name, ops->name, sizeof(info->name));
	strscpy(info->target, ops->target, sizeof(info->target));
	strscpy(info->text, ops->text, sizeof(info->text));
	strscpy(info->why, r.why, sizeof(info->why));
	return 0;
}

static long do_target(struct file *file, void *arg)
{
	struct ktramp_target_info *info = arg;
	const struct ktramp_target *t = ktramp_target(info->index);
	struct ktramp_symbol *symbol;
	struct ktramp_insn insn;
	unsigned long site;
	int err;

	if (info->flags)
		return -EINVAL;
	if (!t)
		return -ENOENT;
	symbol = kmalloc(sizeof(*symbol), GFP_KERNEL);
	if (!symbol)
		return -ENOMEM;
	site = ktramp_target_site(t);
	err = ktramp_symbol_at(symbol, site);
	if (!err)
		err = ktramp_text_read(info->bytes, site, sizeof(info->bytes));
	if (err)
		goto free;
	info->offset = site - symbol->start;
	info->func_size = symbol->size;
	info->length = ktramp_insn_decode(&insn, info->bytes, sizeof(info->bytes)) > 0 ?
		insn.len : 0;
	info->address = shown(site);
	info->entered = t->entered;
	info->reserved = 0;
	strscpy(info->name, t->name, sizeof(info->name));
	strscpy(info->base, t->base ?: t->name, sizeof(info->base));
	strscpy(info->insn, t->insn, sizeof(info->insn));
	strscpy(info->text, t->text, sizeof(info->text));
	err = ktramp_site_print(info->site, sizeof(info->site), site);
free:
	kfree(symbol);
	return err;
}

static long do_create(struct file *file, void *arg)
{
	struct ktramp_create *create = arg;
	const struct ktramp_request request = {
		.mechanism = create->mechanism,
		.handler = create->handler,
		.site = create->site,
		.pid = create->pid,
		.owner = create->flags & KTRAMP_CREATE_KEEP ? NULL : file,
	};
	struct ktramp_refusal r = {};
	int id;

	if ((create->flags & ~KTRAMP_CREATE_KEEP) || create->reserved)
		return -EINVAL;
	if (strnlen(create->site, sizeof(create->site)) == sizeof(create->site))
		return -EINVAL;
	id = ktramp_probe_create(&request, &r);
	create->reason = r.reason;
	strscpy(create->why, r.why, sizeof(create->why));
	create->id = id > 0 ? id : 0;
	return id > 0 ? 0 : id;
}

static long do_batch(struct file *file, struct ktramp_batch *b,
		     int (*act)(const u32 *ids, unsigned int nr, void *owner,
				struct ktramp_batch *reply))
{
	u32 *ids;
	long err;

	if (b->flags || !b->nr || b->nr > KTRAMP_BATCH_MAX)
		return -EINVAL;
	ids = vmemdup_user(u64_to_user_ptr(b->ids), b->nr * sizeof(*ids));
	if (IS_ERR(ids))
		return PTR_ERR(ids);
	b->failed = 0;
	b->reason = KTRAMP_R_NONE;
	b->why[0] = '\0';
	err = act(ids, b->nr, file, b);
	kvfree(ids);
	return err;
}

static long do_arm(struct file *file, void *arg)
{
	return do_batch(file, arg, ktramp_probes_arm);
}

static long do_disarm(struct file *file, void *arg)
{
	return do_batch(file, arg, ktramp_probes_disarm);
}

static long do_destroy(struct file *file, void *arg)
{
	return do_batch(file, arg, ktramp_probes_destroy);
}

/* What a detour does for its program. */
static void tell_class(struct ktramp_probe_info *info, const struct ktramp_probe *p)
{
	const struct ktramp_shape *shape;

	info->bpf_class = 0;
	memset(info->bpf_why, 0, sizeof(info->bpf_why));
	if (p->mechanism != KTRAMP_BPF_JUMP || !READ_ONCE(p->bpf->prog))
		return;
	shape = &p->bpf->shape;
	info->bpf_class = READ_ONCE(shape->class);
	strscpy(info->bpf_why, READ_ONCE(shape->why) ?: "", sizeof(info->bpf_why));
}

/* A probe that is no more, for who watched it. */
static int tell_gone(struct ktramp_probe_info *info, const struct file *file)
{
	struct ktramp_stat sum;
	int err = ktramp_watch_read(info->id, file, &sum);

	if (err)
		return err;
	info->state = KTRAMP_GONE;
	info->hits = sum.hits;
	info->missed = sum.missed;
	info->recursed = sum.recursed;
	info->filtered = sum.filtered;
	return 0;
}

static long do_watch(struct file *file, void *arg)
{
	struct ktramp_watch_id *watch = arg;

	if (watch->flags || watch->reserved)
		return -EINVAL;
	return ktramp_probe_watch(watch->id, file);
}

/* Of a jump, the breakpoints are where something else enters it. */
static void tell_entry(const struct ktramp_probe *p, struct ktramp_probe_info *info)
{
	const char *why = ktramp_trap_why(p->mechanism, p->handler);

	info->entry = KTRAMP_ENTRY_NONE;
	info->entry_why[0] = '\0';
	if (ktramp_probe_is_native(p) || (ktramp_probe_is_jump(p) && !p->pins))
		return;
	info->entry = why ? KTRAMP_ENTRY_NOTIFIER : KTRAMP_ENTRY_DIRECT;
	if (why)
		strscpy(info->entry_why, why, sizeof(info->entry_why));
}

static long do_probe(struct file *file, void *arg)
{
	struct ktramp_probe_info *info = arg;
	bool has_detour, next = info->flags & KTRAMP_PROBE_NEXT;
	bool mine = info->flags & KTRAMP_PROBE_MINE;
	struct ktramp_probe *p;
	struct ktramp_stat sum;

	if ((info->flags & ~(KTRAMP_PROBE_NEXT | KTRAMP_PROBE_MINE)) || info->reserved ||
	    (mine && !next))
		return -EINVAL;
	p = mine ? ktramp_probe_get_owned(info->id, file) : ktramp_probe_get(info->id, next);
	if (!p)
		return next ? -ENOENT : tell_gone(info, file);
	has_detour = ktramp_probe_has_detour(p);
	info->id = p->id;
	info->mechanism = p->mechanism;
	info->handler = p->handler;
	info->state = READ_ONCE(p->state);
	info->keep = !p->owner;
	info->mine = p->owner == file;
	ktramp_probe_sum(p, &sum);
	info->hits = sum.hits;
	info->missed = sum.missed;
	info->recursed = sum.recursed;
	info->filtered = sum.filtered;
	info->pid = ktramp_probe_pid(p);
	info->tactic = p->tactic;
	info->address = shown(ktramp_probe_addr(p));
	info->slot = has_detour ? 0 : shown(p->code);
	info->detour = has_detour ? shown(p->code) : 0;
	info->slot_len = has_detour ? 0 : p->code_len;
	info->detour_len = has_detour ? p->code_len : 0;
	info->length = p->armed_len;
	info->region = p->region;
	info->springboard = p->springboard ? shown(p->springboard->addr) : 0;
	tell_class(info, p);
	info->memory = ktramp_probe_memory(p);
	BUILD_BUG_ON(sizeof(info->before) > sizeof(p->before));
	memcpy(info->before, p->before, sizeof(info->before));
	if (ktramp_text_read(info->now, ktramp_probe_addr(p), sizeof(info->now)))
		memset(info->now, 0, sizeof(info->now));
	ktramp_site_print(info->site, sizeof(info->site), ktramp_probe_addr(p));
	tell_entry(p, info);
	ktramp_probe_put(p);
	return 0;
}

static int read_springboard(struct ktramp_code *code, const struct ktramp_probe *p)
{
	if (!p->springboard)
		return -ENOENT;
	code->address = p->springboard->addr;
	code->length = sizeof(p->springboard->before);
	return ktramp_text_read(code->code, code->address, code->length);
}

/* The function's bytes from the site to its end, as far as they fit. */
static int read_site(struct ktramp_code *code, const struct ktramp_probe *p)
{
	struct ktramp_symbol *symbol = kmalloc(sizeof(*symbol), GFP_KERNEL);
	unsigned long addr = ktramp_probe_addr(p);
	int err;

	if (!symbol)
		return -ENOMEM;
	err = ktramp_symbol_at(symbol, addr);
	if (!err) {
		code->address = addr;
		code->length = min_t(unsigned long, symbol->start + symbol->size - addr,
				     sizeof(code->code));
		err = ktramp_text_read(code->code, addr, code->length);
	}
	kfree(symbol);
	return err;
}

static long do_code(struct file *file, void *arg)
{
	struct ktramp_code *code = arg;
	struct ktramp_probe *p;
	bool has_detour;
	int err = -ENOENT;

	if (code->flags || code->reserved || code->part < KTRAMP_CODE_SITE ||
	    code->part > KTRAMP_CODE_SPRINGBOARD)
		return -EINVAL;
	if (!ktramp_symbol_shows())
		return -EPERM;
	p = ktramp_probe_get(code->id, false);
	if (!p)
		return -ENOENT;
	has_detour = ktramp_probe_has_detour(p);
	code->relocated = 0;
	code->copied = 0;
	if (code->part == KTRAMP_CODE_SITE) {
		err = read_site(code, p);
	} else if (code->part == KTRAMP_CODE_SPRINGBOARD) {
		err = read_springboard(code, p);
	} else if (has_detour == (code->part == KTRAMP_CODE_DETOUR)) {
		/* Another program's detour may take its place. */
		do {
			code->address = READ_ONCE(p->code);
			code->length = ktramp_probe_code(p, code->code);
			code->relocated = p->relocated;
			code->copied = p->copied;
		} while (code->address != READ_ONCE(p->code));
		err = code->length ? 0 : -ENOENT;
	}
	ktramp_probe_put(p);
	return err;
}

static long do_run(struct file *file, void *arg)
{
	return ktramp_bench_run(arg);
}

/* pt_regs in the order the CPU numbers the registers. */
static void copy_regs(struct ktramp_regs *out, const struct pt_regs *in)
{
	const unsigned long r[16] = {
		in->ax, in->cx, in->dx, in->bx, in->sp, in->bp, in->si, in->di,
		in->r8, in->r9, in->r10, in->r11, in->r12, in->r13, in->r14, in->r15,
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(r); i++)
		out->r[i] = r[i];
	out->ip = in->ip;
	out->eflags = in->flags;
	out->cs = in->cs & 0xffff;
	out->ss = in->ss & 0xffff;
}

static long do_regs(struct file *file, void *arg)
{
	struct ktramp_regs *regs = arg;
	struct ktramp_snapshot *snapshot;
	struct ktramp_probe *p;
	int err = -EOPNOTSUPP;

	if (regs->flags)
		return -EINVAL;
	if (!ktramp_symbol_shows())
		return -EPERM;
	if (regs->cpu >= nr_cpu_ids || !cpu_possible(regs->cpu))
		return -ENOENT;
	p = ktramp_probe_get(regs->id, false);
	if (!p)
		return -ENOENT;
	if (p->handler == KTRAMP_REGS) {
		snapshot = per_cpu_ptr(p->regs, regs->cpu);
		copy_regs(regs, &snapshot->regs);
		regs->seq = READ_ONCE(snapshot->seq);
		err = 0;
	}
	ktramp_probe_put(p);
	return err;
}

static long do_cpu_stat(struct file *file, void *arg)
{
	struct ktramp_cpu_stat *out = arg;
	const struct ktramp_stat *stat;
	struct ktramp_probe *p;

	if (out->flags)
		return -EINVAL;
	if (out->cpu >= nr_cpu_ids || !cpu_possible(out->cpu))
		return -ENOENT;
	p = ktramp_probe_get(out->id, false);
	if (!p)
		return -ENOENT;
	stat = per_cpu_ptr(p->stat, out->cpu);
	out->hits = READ_ONCE(stat->hits);
	out->missed = READ_ONCE(stat->missed);
	out->recursed = READ_ONCE(stat->recursed);
	out->filtered = READ_ONCE(stat->filtered);
	ktramp_probe_put(p);
	return 0;
}

static long do_kprobes(struct file *file, void *arg)
{
	struct ktramp_kprobes *request = arg;

	if (request->flags || request->reserved)
		return -EINVAL;
	return ktramp_kprobes(request);
}

static long do_scan(struct file *file, void *arg)
{
	struct ktramp_scan *scan = arg;

	if (scan->flags & ~KTRAMP_SCAN_ASK)
		return -EINVAL;
	return ktramp_symbol_shows() ? ktramp_scan(scan) : -EPERM;
}

static long do_load(struct file *file, void *arg)
{
	return ktramp_bench_load(arg);
}

static long do_bpf(struct file *file, void *arg)
{
	struct ktramp_bpf *bpf = arg;
	struct ktramp_refusal r = {};
	int err;

	if ((bpf->flags & ~KTRAMP_BPF_REENTRANT) || bpf->reserved)
		return -EINVAL;
	bpf->prog_id = 0;
	bpf->was_id = 0;
	err = ktramp_probe_bpf(bpf, file, &r);
	bpf->reason = r.reason;
	strscpy(bpf->why, r.why, sizeof(bpf->why));
	return err;
}

static long do_site(struct file *file, void *arg)
{
	struct ktramp_site_info *place = arg;
	struct ktramp_refusal r = {};
	int err;

	if (place->flags || strnlen(place->site, sizeof(place->site)) == sizeof(place->site))
		return -EINVAL;
	err = ktramp_site_describe(place, &r);
	place->reason = r.reason;
	strscpy(place->why, r.why, sizeof(place->why));
	return err;
}

/*
 * Lockdown may come while probes are armed. What only lists them, and what takes them away, is
 * allowed all the same.
 */
struct command {
	u32 size;
	bool lockable;
	long (*act)(struct file *file, void *arg);
};

#define COMMAND(ioc, fn)	\
	[_IOC_NR(ioc)] = { .size = _IOC_SIZE(ioc), .lockable = true, .act = fn }
#define FREE_COMMAND(ioc, fn)	[_IOC_NR(ioc)] = { .size = _IOC_SIZE(ioc), .act = fn }

static const struct command commands[] = {
	FREE_COMMAND(KTRAMP_IOC_INFO, do_info),
	FREE_COMMAND(KTRAMP_IOC_MECHANISM, do_mechanism),
	FREE_COMMAND(KTRAMP_IOC_TARGET, do_target),
	COMMAND(KTRAMP_IOC_CREATE, do_create),
	COMMAND(KTRAMP_IOC_ARM, do_arm),
	FREE_COMMAND(KTRAMP_IOC_DISARM, do_disarm),
	FREE_COMMAND(KTRAMP_IOC_DESTROY, do_destroy),
	FREE_COMMAND(KTRAMP_IOC_PROBE, do_probe),
	COMMAND(KTRAMP_IOC_CODE, do_code),
	COMMAND(KTRAMP_IOC_RUN, do_run),
	COMMAND(KTRAMP_IOC_REGS, do_regs),
	COMMAND(KTRAMP_IOC_LOAD, do_load),
	COMMAND(KTRAMP_IOC_SCAN, do_scan),
	FREE_COMMAND(KTRAMP_IOC_CPU_STAT, do_cpu_stat),
	COMMAND(KTRAMP_IOC_KPROBES, do_kprobes),
	COMMAND(KTRAMP_IOC_BPF, do_bpf),
	COMMAND(KTRAMP_IOC_SITE, do_site),
	COMMAND(KTRAMP_IOC_WATCH, do_watch),
	COMMAND(KTRAMP_IOC_COVER_ADD, ktramp_do_cover_add),
	COMMAND(KTRAMP_IOC_COVER_START, ktramp_do_cover_start),
	COMMAND(KTRAMP_IOC_COVER_RESET, ktramp_do_cover_reset),
	FREE_COMMAND(KTRAMP_IOC_COVER_STOP, ktramp_do_cover_stop),
	FREE_COMMAND(KTRAMP_IOC_COVER_STAT, ktramp_do_cover_stat),
	COMMAND(KTRAMP_IOC_COVER_READ, ktramp_do_cover_read),
};

/* Every struct begins with its size, as the caller knows it. */
static long ktramp_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;
	const struct command *c;
	unsigned int nr = _IOC_NR(cmd);
	void *copy;
	u32 size;
	long err, ret;

	if (_IOC_TYPE(cmd) != KTRAMP_IOC_MAGIC || _IOC_DIR(cmd) != (_IOC_READ | _IOC_WRITE) ||
	    nr >= ARRAY_SIZE(commands) || !commands[nr].act)
		return -ENOTTY;
	c = &commands[nr];
	if (get_user(size, (u32 __user *)user))
		return -EFAULT;
	/* This is the first version: nothing smaller exists. */
	if (size < c->size)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	copy = kzalloc(c->size, GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	err = copy_struct_from_user(copy, c->size, user, size);
	if (err)
		goto free;
	ret = c->lockable ? ktramp_text_allowed() : 0;
	if (!ret)
		ret = c->act(file, copy);
	*(u32 *)copy = c->size;
	err = copy_to_user(user, copy, c->size) ? -EFAULT : ret;
free:
	kfree(copy);
	return err;
}

static int ktramp_open(struct inode *inode, struct file *file)
{
	return capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

static int ktramp_release(struct inode *inode, struct file *file)
{
	ktramp_cover_release(file);
	ktramp_watch_release(file);
	ktramp_probes_release(file);
	return 0;
}

static const struct file_operations ktramp_fops = {
	.owner = THIS_MODULE,
	.open = ktramp_open,
	.release = ktramp_release,
	.unlocked_ioctl = ktramp_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice ktramp_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ktramp",
	.fops = &ktramp_fops,
	.mode = 0600,
};

int ktramp_chardev_init(void)
{
	clock = ktramp_bench_clock();
	return misc_register(&ktramp_device);
}

void ktramp_chardev_exit(void)
{
	misc_deregister(&ktramp_device);
}
