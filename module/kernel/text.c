// SPDX-License-Identifier: GPL-2.0-only
/*
 * Write kernel text. The only file that modifies code, with ktramp_text_swap() in its header.
 *
 * The kernel's text_poke() is not exported. A page of text is written through a
 * second, writable mapping of it, which is taken away behind the write. vunmap() is lazy: the TLB
 * of the CPU that wrote may keep it for a while. Where single bytes are written all over the text,
 * by whoever hits them, it is one that stays. Order and waiting are the caller's:
 * ktramp_probes_arm() has the protocol.
 */
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/security.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <asm/sync_core.h>

#include "kernel/lock.h"
#include "kernel/text.h"

/* lock.h says what it protects. */
DEFINE_MUTEX(ktramp_mutex);

/*
 * All of the protocol rests on ktramp_text_wait(). Without these, where tasks can be preempted,
 * synchronize_rcu_tasks() is one that does not wait for them.
 */
#if defined(CONFIG_PREEMPTION) && !defined(CONFIG_TASKS_RCU)
#error "preemptible, without CONFIG_TASKS_RCU: nothing waits for tasks in old text"
#endif
#ifndef CONFIG_TASKS_RUDE_RCU
#error "without CONFIG_TASKS_RUDE_RCU (see CONFIG_FUNCTION_TRACER): nothing waits for idle tasks"
#endif

/**
 * ktramp_text_allowed() - does lockdown let anybody write kernel text?
 *
 * Writing it breaks integrity, as kgdb's does; a probe reads registers and memory as
 * kprobes do, which breaks confidentiality.
 *
 * Return: 0 or -EPERM.
 */
int ktramp_text_allowed(void)
{
	return security_locked_down(LOCKDOWN_DBG_WRITE_KERNEL) ?:
	       security_locked_down(LOCKDOWN_KPROBES);
}

/**
 * ktramp_text_read() - read kernel text that may go away
 * @to: (out) buffer
 * @addr: first byte
 * @len: bytes
 *
 * Context: any.
 * Return: 0 or -EFAULT.
 */
int ktramp_text_read(void *to, unsigned long addr, size_t len)
{
	return copy_from_kernel_nofault(to, (void *)addr, len) ? -EFAULT : 0;
}

/**
 * ktramp_text_equals() - is this what stands in the text?
 * @addr: first byte
 * @bytes: expected
 * @len: bytes, at most 64
 */
bool ktramp_text_equals(unsigned long addr, const void *bytes, size_t len)
{
	u8 now[64];

	if (WARN_ON_ONCE(len > sizeof(now)))
		return false;
	return !ktramp_text_read(now, addr, len) && !memcmp(now, bytes, len);
}

static struct page *text_page(unsigned long addr)
{
	if (addr >= MODULES_VADDR && addr < MODULES_END)
		return vmalloc_to_page((void *)addr);
	return virt_to_page(lm_alias((void *)addr));
}

/* Write one page's part of a range through an alias. */
static int write_in_page(unsigned long addr, const u8 *bytes, u8 fill, size_t len)
{
	struct page *page = text_page(addr);
	u8 *alias, *to;

	if (!page)
		return -EFAULT;
	alias = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	if (!alias)
		return -ENOMEM;
	to = alias + offset_in_page(addr);
	if (!bytes)
		memset(to, fill, len);
	else if (len == 1)
		/* The byte a CPU decides on while it fetches: one store, no more. */
		WRITE_ONCE(*to, *bytes);
	else
		memcpy(to, bytes, len);
	vunmap(alias);
	return 0;
}

static int write_range(unsigned long addr, const u8 *bytes, u8 fill, size_t len)
{
	while (len) {
		size_t n = min_t(size_t, len, PAGE_SIZE - offset_in_page(addr));
		int err = write_in_page(addr, bytes, fill, n);

		if (err)
			return err;
		addr += n;
		len -= n;
		if (bytes)
			bytes += n;
	}
	return 0;
}

/**
 * ktramp_text_write() - write bytes into kernel or module text
 * @addr: first byte
 * @bytes: what to write
 * @len: bytes
 *
 * A single byte is written in one store. Several are not atomic: the caller has seen
 * to it that no CPU fetches them (an int3 in front, or nobody knows the address yet).
 * Other CPUs may execute the old bytes until ktramp_text_sync().
 *
 * Context: process, may sleep.
 * Return: 0; -ENOMEM and nothing, or a page-aligned first part of the range, was
 * written; -EFAULT no such text; -EIO the bytes read back differ.
 */
int ktramp_text_write(unsigned long addr, const void *bytes, size_t len)
{
	int err = write_range(addr, bytes, 0, len);

	if (err)
		return err;
	if (WARN_ON_ONCE(len <= 64 && !ktramp_text_equals(addr, bytes, len)))
		return -EIO;
	return 0;
}

/**
 * ktramp_text_exchange() - replace eight aligned bytes of kernel text in one store
 * @addr: the first of them
 * @old: what must stand there
 * @new: what will
 *
 * For text that CPUs execute and that no int3 can be put in front of.
 *
 * Context: process, may sleep.
 * Return: 0; -ENOMEM; -EFAULT no such text; -EILSEQ something else stands there, nothing was
 * written.
 */
int ktramp_text_exchange(unsigned long addr, u64 old, u64 new)
{
	struct page *page = text_page(addr);
	u64 was;
	u8 *alias;

	if (!page || WARN_ON_ONCE(addr % sizeof(u64)))
		return -EFAULT;
	alias = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	if (!alias)
		return -ENOMEM;
	was = cmpxchg64((u64 *)(alias + offset_in_page(addr)), old, new);
	vunmap(alias);
	return was == old ? 0 : -EILSEQ;
}

/**
 * ktramp_text_map() - map some text writable, until ktramp_text_unmap()
 * @start: first byte
 * @size: bytes
 *
 * Context: process, may sleep.
 * Return: where the byte at @start is; NULL: no memory, or no such text.
 */
u8 *ktramp_text_map(unsigned long start, unsigned long size)
{
	unsigned long first = round_down(start, PAGE_SIZE);
	unsigned long nr = (round_up(start + size, PAGE_SIZE) - first) >> PAGE_SHIFT, i;
	struct page **pages = kvmalloc_array(nr, sizeof(*pages), GFP_KERNEL);
	u8 *map = NULL;

	for (i = 0; pages && i < nr; i++) {
		pages[i] = text_page(first + i * PAGE_SIZE);
		if (!pages[i])
			goto free;
	}
	if (pages)
		map = vmap(pages, nr, VM_MAP, PAGE_KERNEL);
free:
	kvfree(pages);
	return map ? map + (start - first) : NULL;
}

/* @start: as it was mapped. Nobody uses it any more. Context: process, may sleep. */
void ktramp_text_unmap(u8 *map, unsigned long start)
{
	if (map)
		vunmap(map - offset_in_page(start));
}

/**
 * ktramp_text_fill() - fill text that nobody executes with one byte
 * @addr: first byte
 * @byte: the byte
 * @len: bytes
 *
 * Context and return value as ktramp_text_write().
 */
int ktramp_text_fill(unsigned long addr, u8 byte, size_t len)
{
	return write_range(addr, NULL, byte, len);
}

static void sync_one_cpu(void *unused)
{
	sync_core();
}

/**
 * ktramp_text_sync() - every CPU fetches anew what was written before
 *
 * Executes a serialising instruction on each CPU (SDM vol. 3, 9.1.3, cross-modifying
 * code). It waits for CPUs that have interrupts off, so afterwards no CPU is between
 * executing an int3 that was there before and the end of its #BP handler either.
 *
 * A CPU on its way up or down executes kernel text but gets no IPI, hence the lock: what
 * is on its way has arrived, and what starts later fetches what is there then.
 *
 * Context: process, may sleep; under cpus_read_lock(), which ktramp_patchers_lock() takes.
 */
void ktramp_text_sync(void)
{
	on_each_cpu(sync_one_cpu, NULL, 1);
}

/**
 * ktramp_text_wait() - nobody still executes, or returns into, what was unreachable before
 *
 * synchronize_rcu_tasks() waits until every task that was preempted or interrupted has
 * left of its own will; the rude one also makes the idle tasks, which the first one
 * does not look at, pass through the scheduler. Trap handlers have interrupts off, and those
 * that begin in exc_int3() come before RCU watches: the sync waits for them.
 *
 * Context: process, sleeps for a grace period.
 */
void ktramp_text_wait(void)
{
	synchronize_rcu_tasks();
	synchronize_rcu_tasks_rude();
	ktramp_text_sync();
}
