// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which blocks of the kernel were executed: breakpoints that take themselves away.
 *
 * hit/cover.c has what a hit does, and in which order. Here they come and go:
 *
 *   (5) which blocks get an int3: those whose text nobody else has. Under the locks of the
 *	kernel's own patchers, until (8), so that it stays so
 *   (6) they are not done any more. None has its int3 yet: a CPU that took an older one finds the
 *	original byte, and goes back to it
 *   (7) sync: no such CPU is on its way any more
 *   (8) their int3s, but not of those that are done again, and sync: everybody comes to them
 *
 * Starting is that for all blocks, and in front of it exc_int3() is led to us, with a sync; a
 * reset is that for those that are done, and for no other: the int3 of one that is not done may be
 * on its way out. Stopping:
 *
 *   (9) the original byte of each block that is not done, if its int3 is there. On one that is
 *	done, an int3 is a kprobe's
 *   (10) sync: nobody fetches an int3 any more, nor is in a handler of one. Then exc_int3() is
 *	the kernel's again, and what hits look through goes
 *
 * What somebody else may write to, on purpose or not, is not ours to write: jump labels, static
 * calls and ftrace's calls were left out when the blocks were found (plan/block.c); kprobes,
 * enabled or not, and what a jump of theirs could reach, are looked for in (5), and so are armed
 * probes of ours.
 */
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <asm/text-patching.h>

#include "admit/admit.h"
#include "admit/claim.h"
#include "admit/context.h"
#include "admit/image.h"
#include "engine/cover.h"
#include "hit/cover.h"
#include "hit/trap.h"
#include "kernel/hotplug.h"
#include "kernel/lock.h"
#include "kernel/patchers.h"
#include "kernel/text.h"
#include "plan/block.h"

/* The jump that a kprobe may become reaches so much further than the kprobe. */
#define KPROBE_REACH	(JMP32_INSN_SIZE - 1)

struct area {
	struct list_head list;
	struct ktramp_cover_area area;
	unsigned long memory;
};

/*
 * struct session - what is covered. There is one at a time. Under ktramp_mutex
 * @owner: the open file; NULL: there is none
 * @state: &enum ktramp_cover_state
 * @areas: texts, by address
 * @gone: blocks of texts that are gone
 * @room: two lists for hits to look through, of which one is in use
 * @before: what hits had come to when it started
 */
static struct session {
	const void *owner;
	u32 state;
	struct list_head areas;
	u64 gone;
	struct ktramp_cover_areas *room[2];
	struct ktramp_cover_count before;
} session = { .areas = LIST_HEAD_INIT(session.areas) };

/* For each site of @a, in order: @off in the text, and its number @n. */
#define for_each_site(a, off, n)						\
	for ((off) = find_first_bit((a)->site, (a)->size), (n) = 0; (off) < (a)->size;	\
	     (off) = next_site(a, off), (n)++)

/* As find_next_bit(), for maps in which the next bit is near. */
static inline unsigned long next_site(const struct ktramp_cover_area *a, unsigned long off)
{
	unsigned long word = off / BITS_PER_LONG;
	unsigned long bits = a->site[word] & (~1UL << off % BITS_PER_LONG);

	while (!bits) {
		if (++word >= BITS_TO_LONGS(a->size))
			return a->size;
		bits = a->site[word];
	}
	return word * BITS_PER_LONG + __ffs(bits);
}

/* ---- finding blocks ---- */

static void *zalloc(struct area *area, unsigned long size)
{
	area->memory += size;
	return kvzalloc(size, GFP_KERNEL_ACCOUNT);
}

static void free_area(struct area *area)
{
	struct ktramp_cover_area *a = &area->area;

	ktramp_text_unmap(a->map, a->start);
	kvfree(a->site);
	kvfree(a->rank);
	kvfree(a->orig);
	kvfree(a->done);
	kvfree(a->busy);
	kvfree(a->again);
	kfree(area);
}

static struct area *find_area(unsigned long addr)
{
	struct area *area;

	list_for_each_entry(area, &session.areas, list)
		if (addr - area->area.start < area->area.size)
			return area;
	return NULL;
}

static void insert_area(struct area *area)
{
	struct area *other;

	list_for_each_entry(other, &session.areas, list)
		if (other->area.start > area->area.start)
			break;
	list_add_tail(&area->list, &other->list);
}

/* The area of a function, which is made if it is the first one there. */
static struct area *get_area(const struct ktramp_context *ctx, struct ktramp_refusal *r)
{
	const struct ktramp_image *image = ktramp_image_at(&ctx->symbol, r);
	struct area *area;

	if (IS_ERR(image))
		return ERR_CAST(image);
	area = find_area(image->start);
	if (area)
		return area;
	area = kzalloc(sizeof(*area), GFP_KERNEL_ACCOUNT);
	if (!area)
		return ERR_PTR(-ENOMEM);
	area->area.start = image->start;
	area->area.size = image->size;
	/* Whole ranks, for who numbers the sites. */
	area->area.site = zalloc(area, round_up(image->size, KTRAMP_COVER_RANK) / BITS_PER_BYTE);
	area->area.map = ktramp_text_map(image->start, image->size);
	if (!area->area.site || !area->area.map) {
		free_area(area);
		return ERR_PTR(-ENOMEM);
	}
	insert_area(area);
	return area;
}

/* Return: 0; -ENOSPC: they do not fit, and nothing has changed. */
static int find_blocks(const struct ktramp_context *ctx, u32 reason, struct ktramp_cover_func *func,
		       struct ktramp_cover_found *found)
{
	const struct ktramp_blocks blocks = {
		.func = &ctx->func,
		.ftrace = ctx->ftrace,
		.calls = found->calls,
		.locks = ktramp_hotplug_brings_locks(),
	};
	struct ktramp_block block;
	u32 nr = found->nr;
	bool more;

	for (more = ktramp_block_first(&blocks, &block); more;
	     more = ktramp_block_next(&blocks, &block)) {
		if (nr == found->max)
			return -ENOSPC;
		if (reason)
			block.reason = reason;
		found->block[nr++] = (struct ktramp_cover_block){
			.address = ctx->func.addr + block.start,
			.length = block.len,
			.offset = block.reason ? 0 : block.site - block.start,
			.reason = block.reason,
		};
	}
	func->nr = nr - found->nr;
	found->nr = nr;
	return 0;
}

/* The last @nr of @found are observed, as far as they can be. */
static void keep_sites(struct area *area, const struct ktramp_cover_found *found, u32 nr)
{
	const struct ktramp_cover_block *block;
	u32 i;

	for (i = found->nr - nr; i < found->nr; i++) {
		block = &found->block[i];
		if (!block->reason)
			__set_bit(block->address + block->offset - area->area.start,
				  area->area.site);
	}
}

static int add_function(struct ktramp_context *ctx, struct ktramp_cover_func *func,
			struct ktramp_cover_found *found, struct ktramp_refusal *r)
{
	struct area *area;
	int err;

	func->address = ctx->func.addr;
	func->length = ctx->func.size;
	func->known = ctx->func.known;
	/* Nops in front of a function are nobody's blocks. */
	if (ktramp_context_is_prefix(ctx))
		return 0;
	if (ctx->blind)
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_HIDDEN,
				     "the kernel hides which instructions it rewrites");
	err = ktramp_admit_cover(ctx, ktramp_trap_is_alone(KTRAMP_INT3_EMULATE, KTRAMP_COUNT), r);
	if (err == -ENOMEM)
		return err;
	func->reason = err ? r->reason : KTRAMP_R_NONE;
	area = get_area(ctx, r);
	if (IS_ERR(area))
		return PTR_ERR(area);
	err = find_blocks(ctx, func->reason, func, found);
	if (!err)
		keep_sites(area, found, func->nr);
	return err;
}

static int open_session(void *owner, struct ktramp_refusal *r)
{
	if (!ktramp_patchers_known())
		return ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_HIDDEN,
				     "the kernel hides the locks of its own patchers");
	if (session.owner && session.owner != owner)
		return ktramp_refuse(r, -EBUSY, KTRAMP_R_BUSY,
				     "somebody else covers the kernel: there is one at a time");
	if (session.state > KTRAMP_COVER_PLANNED)
		return ktramp_refuse(r, -EBUSY, KTRAMP_R_BUSY,
				     "it has started: blocks are added before, or by another open file");
	session.owner = owner;
	session.state = KTRAMP_COVER_PLANNED;
	return 0;
}

/**
 * ktramp_cover_add() - find the blocks of a function, to be observed
 * @func: (in/out) the function
 * @found: (in/out) where they go
 * @owner: the open file
 * @r: (out) the refusal
 *
 * Of a function that cannot be observed @func tells why, and it is no error.
 *
 * Context: process, sleeps.
 * Return: 0; -ENOSPC no room in @found; -EBUSY; -EOPNOTSUPP; -ENOMEM.
 */
int ktramp_cover_add(struct ktramp_cover_func *func, struct ktramp_cover_found *found, void *owner,
		     struct ktramp_refusal *r)
{
	struct ktramp_context *ctx;
	int err;

	mutex_lock(&ktramp_mutex);
	err = open_session(owner, r);
	if (err)
		goto unlock;
	func->length = 0;
	func->known = 0;
	func->nr = 0;
	func->reason = KTRAMP_R_NONE;
	ctx = ktramp_context_at(func->address, r);
	if (!IS_ERR(ctx))
		err = add_function(ctx, func, found, r);
	else if (PTR_ERR(ctx) == -ENOMEM)
		err = -ENOMEM;
	else
		func->reason = r->reason ?: KTRAMP_R_NOT_TEXT;
unlock:
	mutex_unlock(&ktramp_mutex);
	return err;
}

/* ---- coming ---- */

static int prepare(struct area *area)
{
	struct ktramp_cover_area *a = &area->area;
	unsigned long map;

	a->rank = zalloc(area, DIV_ROUND_UP(a->size, KTRAMP_COVER_RANK) * sizeof(*a->rank));
	if (!a->rank)
		return -ENOMEM;
	ktramp_cover_index(a);
	map = BITS_TO_LONGS(a->nr + 1) * sizeof(long);
	a->orig = zalloc(area, a->nr + 1);
	a->done = zalloc(area, map);
	a->busy = zalloc(area, map);
	a->again = zalloc(area, map);
	return a->orig && a->done && a->busy && a->again ? 0 : -ENOMEM;
}

static void unprepare(struct area *area)
{
	struct ktramp_cover_area *a = &area->area;

	kvfree(a->rank);
	kvfree(a->orig);
	kvfree(a->done);
	kvfree(a->busy);
	kvfree(a->again);
	a->rank = NULL;
	a->orig = NULL;
	a->done = NULL;
	a->busy = NULL;
	a->again = NULL;
	area->memory = round_up(a->size, KTRAMP_COVER_RANK) / BITS_PER_BYTE;
}

static void free_room(void)
{
	kfree(session.room[0]);
	kfree(session.room[1]);
	session.room[0] = NULL;
	session.room[1] = NULL;
}

static int alloc_room(void)
{
	struct area *area;
	unsigned int nr = 0;

	list_for_each_entry(area, &session.areas, list)
		nr++;
	session.room[0] = kzalloc(struct_size(session.room[0], area, nr), GFP_KERNEL);
	session.room[1] = kzalloc(struct_size(session.room[1], area, nr), GFP_KERNEL);
	return session.room[0] && session.room[1] ? 0 : -ENOMEM;
}

/* Hits look through what is listed now: as soon as everybody has synced, through nothing else. */
static void publish(void)
{
	struct ktramp_cover_areas *areas = session.room[1];
	struct area *area;

	areas->nr = 0;
	list_for_each_entry(area, &session.areas, list)
		areas->area[areas->nr++] = &area->area;
	swap(session.room[0], session.room[1]);
	ktramp_cover_publish(areas);
}

/* The sites from @addr on belong to somebody else. */
static void take_out(unsigned long addr, unsigned int len, void *unused)
{
	struct area *area = find_area(addr);
	struct ktramp_cover_area *a;
	unsigned long off, end;

	if (!area)
		return;
	a = &area->area;
	end = min(addr - a->start + len, a->size);
	for (off = find_next_bit(a->site, end, addr - a->start); off < end;
	     off = find_next_bit(a->site, end, off + 1))
		__clear_bit(ktramp_cover_number(a, off), a->again);
}

static void take_out_kprobe(unsigned long addr, void *unused)
{
	take_out(addr, 1 + KPROBE_REACH, NULL);
}

/* Of one area, (5): what nobody has taken out, and the text says is free. */
static void choose(struct ktramp_cover_area *a, bool first)
{
	unsigned long off;
	u32 n;

	for_each_site(a, off, n) {
		u8 byte = READ_ONCE(a->map[off]);
		bool done = first || test_bit(n, a->done);

		/* Not hit yet: its int3 stands, or a hit is on its way. */
		if (!done) {
			__clear_bit(n, a->again);
			continue;
		}
		/* Of what was somebody else's the original byte was not known. */
		if (first || test_bit(n, a->busy))
			a->orig[n] = byte;
		if (!test_bit(n, a->again) || byte == INT3_INSN_OPCODE || byte != a->orig[n]) {
			__clear_bit(n, a->again);
			__set_bit(n, a->busy);
			set_bit(n, a->done);
		} else if (!first) {
			__clear_bit(n, a->busy);
			clear_bit(n, a->done);					/* (6) */
		}
	}
}

/*
 * Of one area, (8). A handler that was under way in (6) may have come to its last step since:
 * what it came from is a hit after the reset.
 */
static void write_int3s(struct ktramp_cover_area *a)
{
	unsigned long off;
	u32 n;

	for_each_site(a, off, n)
		if (test_bit(n, a->again) && !test_bit(n, a->done))
			ktramp_text_swap(a->map + off, a->orig[n], INT3_INSN_OPCODE);
}

/* (5) to (8). */
static void arm(bool first)
{
	struct area *area;

	ktramp_patchers_lock();
	list_for_each_entry(area, &session.areas, list)
		bitmap_fill(area->area.again, area->area.nr);
	ktramp_patchers_each_kprobe(take_out_kprobe, NULL);
	ktramp_claims_each(take_out, NULL);
	list_for_each_entry(area, &session.areas, list) {
		choose(&area->area, first);
		cond_resched();
	}
	ktramp_text_sync();							/* (7) */
	list_for_each_entry(area, &session.areas, list) {
		write_int3s(&area->area);
		cond_resched();
	}
	ktramp_text_sync();
	ktramp_patchers_unlock();
}

/* The way of breakpoints to us, open or closed. Under ktramp_patchers_lock() no CPU comes. */
static int settle(bool comes)
{
	int err;

	ktramp_trap_count_cover(comes);
	while ((err = ktramp_trap_settle()) == -ENOMEM && !comes)
		schedule_timeout_uninterruptible(1);
	return err;
}

/* Whoever was on the way to our code, or through what hits look at, has left. */
static void sync(void)
{
	ktramp_patchers_lock();
	ktramp_text_sync();
	ktramp_patchers_unlock();
}

static int start(struct ktramp_refusal *r)
{
	struct area *area;
	u64 nr = 0;
	int err = alloc_room();

	list_for_each_entry(area, &session.areas, list) {
		if (err)
			return err;
		err = prepare(area);
		nr += area->area.nr;
	}
	if (err)
		return err;
	if (!nr)
		return ktramp_refuse(r, -ENOENT, KTRAMP_R_NO_SYMBOL,
				     "there is no block that can be observed");
	ktramp_cover_sum(&session.before);
	publish();
	err = settle(true);
	if (err) {
		settle(false);
		ktramp_cover_publish(NULL);
		/* By the int3 of a kprobe, say. */
		sync();
		return err == -EILSEQ ? ktramp_refuse(r, err, KTRAMP_R_NOT_OURS,
						      "somebody else has rewritten exc_int3()") :
					err;
	}
	sync();
	arm(true);
	session.state = KTRAMP_COVER_ARMED;
	return 0;
}

static int check(const void *owner, u32 state, struct ktramp_refusal *r)
{
	if (session.owner == owner && session.state == state)
		return 0;
	return ktramp_refuse(r, -EINVAL, KTRAMP_R_NO_STATE, "this open file covers nothing %s",
			     state == KTRAMP_COVER_ARMED ? "at the moment" : "that could start");
}

/**
 * ktramp_cover_start() - observe the blocks that were found
 * @owner: the open file
 * @r: (out) the refusal
 *
 * Context: process, sleeps.
 * Return: 0; -EINVAL; -ENOENT; -EILSEQ; -ENOMEM.
 */
int ktramp_cover_start(void *owner, struct ktramp_refusal *r)
{
	struct area *area;
	int err;

	mutex_lock(&ktramp_mutex);
	err = check(owner, KTRAMP_COVER_PLANNED, r);
	if (err)
		goto unlock;
	/* What a question to the kernel has left is a kprobe in its table. */
	ktramp_admit_settle();
	err = start(r);
	if (err) {
		list_for_each_entry(area, &session.areas, list)
			unprepare(area);
		free_room();
	}
unlock:
	mutex_unlock(&ktramp_mutex);
	return err;
}

/**
 * ktramp_cover_reset() - no block was hit: observe them again
 * @owner: the open file
 * @r: (out) the refusal
 *
 * Context: process, sleeps.
 * Return: 0 or -EINVAL.
 */
int ktramp_cover_reset(void *owner, struct ktramp_refusal *r)
{
	int err;

	mutex_lock(&ktramp_mutex);
	err = check(owner, KTRAMP_COVER_ARMED, r);
	if (!err) {
		ktramp_admit_settle();
		arm(false);
	}
	mutex_unlock(&ktramp_mutex);
	return err;
}

/* ---- going ---- */

/* (9) */
static void restore(struct ktramp_cover_area *a)
{
	unsigned long off;
	u32 n;

	for_each_site(a, off, n)
		if (!test_bit(n, a->done))
			ktramp_text_swap(a->map + off, INT3_INSN_OPCODE, a->orig[n]);
}

static void stop(void)
{
	struct area *area;

	if (session.state != KTRAMP_COVER_ARMED)
		return;
	ktramp_patchers_lock();
	list_for_each_entry(area, &session.areas, list) {
		restore(&area->area);
		cond_resched();
	}
	ktramp_text_sync();							/* (10) */
	settle(false);
	ktramp_cover_publish(NULL);
	ktramp_text_sync();
	ktramp_patchers_unlock();
	free_room();
	session.state = KTRAMP_COVER_STOPPED;
}

/**
 * ktramp_cover_stop() - observe no more; what was hit is kept
 * @owner: the open file
 * @r: (out) the refusal
 *
 * Context: process, sleeps.
 * Return: 0 or -EINVAL.
 */
int ktramp_cover_stop(void *owner, struct ktramp_refusal *r)
{
	int err;

	mutex_lock(&ktramp_mutex);
	err = check(owner, KTRAMP_COVER_ARMED, r);
	if (!err)
		stop();
	mutex_unlock(&ktramp_mutex);
	return err;
}

/* The open file goes. Context: process, sleeps. */
void ktramp_cover_release(const void *owner)
{
	struct area *area, *next;

	mutex_lock(&ktramp_mutex);
	if (session.owner == owner) {
		stop();
		list_for_each_entry_safe(area, next, &session.areas, list) {
			list_del(&area->list);
			free_area(area);
		}
		session.owner = NULL;
		session.state = KTRAMP_COVER_NONE;
		session.gone = 0;
	}
	mutex_unlock(&ktramp_mutex);
}

/**
 * ktramp_cover_forget() - a module goes, and its blocks with it
 * @start: its text's first byte, which is still there
 *
 * Context: process, under ktramp_mutex.
 */
void ktramp_cover_forget(unsigned long start)
{
	struct area *area = find_area(start);

	if (!area)
		return;
	list_del(&area->list);
	if (session.state == KTRAMP_COVER_ARMED) {
		ktramp_patchers_lock();
		restore(&area->area);
		ktramp_text_sync();
		publish();
		ktramp_text_sync();
		ktramp_patchers_unlock();
	}
	session.gone += area->area.nr;
	free_area(area);
}

/* ---- looking ---- */

static u32 count_hits(const struct ktramp_cover_area *a)
{
	return bitmap_weight(a->done, a->nr) - bitmap_weight(a->busy, a->nr);
}

/**
 * ktramp_cover_stat() - what an open file covers, in numbers
 * @owner: the open file
 * @stat: (out) them
 *
 * Context: process, sleeps.
 */
void ktramp_cover_stat(const void *owner, struct ktramp_cover *stat)
{
	struct ktramp_cover_count now;
	struct area *area;

	ktramp_cover_sum(&now);
	mutex_lock(&ktramp_mutex);
	stat->state = session.owner == owner ? session.state : KTRAMP_COVER_NONE;
	if (stat->state == KTRAMP_COVER_NONE)
		goto unlock;
	list_for_each_entry(area, &session.areas, list) {
		stat->memory += area->memory;
		if (!area->area.done)
			continue;
		stat->blocks += area->area.nr;
		stat->hit += count_hits(&area->area);
		stat->busy += bitmap_weight(area->area.busy, area->area.nr);
	}
	stat->gone = session.gone;
	if (stat->state != KTRAMP_COVER_PLANNED) {
		stat->traps = now.traps - session.before.traps;
		stat->late = now.late - session.before.late;
	}
unlock:
	mutex_unlock(&ktramp_mutex);
}

static u32 read_area(const struct ktramp_cover_area *a, u64 from, bool busy, u64 *address, u32 max)
{
	unsigned long off = from > a->start ? from - a->start : 0;
	u32 n, nr = 0;

	if (off >= a->size)
		return 0;
	off = find_next_bit(a->site, a->size, off);
	if (off >= a->size)
		return 0;
	for (n = ktramp_cover_number(a, off); off < a->size && nr < max;
	     off = next_site(a, off), n++)
		if (test_bit(n, a->done) && test_bit(n, a->busy) == busy)
			address[nr++] = a->start + off;
	return nr;
}

/**
 * ktramp_cover_read() - which blocks were hit
 * @owner: the open file
 * @from: lowest address that is wanted
 * @busy: those that somebody else has, instead
 * @address: (out) where they are observed, ascending
 * @max: how many @address has room for
 *
 * Context: process, sleeps.
 * Return: how many were written; -EINVAL nothing was started.
 */
int ktramp_cover_read(const void *owner, u64 from, bool busy, u64 *address, u32 max)
{
	struct area *area;
	int nr = -EINVAL;

	mutex_lock(&ktramp_mutex);
	if (session.owner != owner || session.state < KTRAMP_COVER_ARMED)
		goto unlock;
	nr = 0;
	list_for_each_entry(area, &session.areas, list)
		nr += read_area(&area->area, from, busy, address + nr, max - nr);
unlock:
	mutex_unlock(&ktramp_mutex);
	return nr;
}
