// SPDX-License-Identifier: GPL-2.0-only
/*
 * A block's one hit: its breakpoint takes itself away.
 *
 * On the first instruction of a block stands an int3. Whoever comes to it puts the original byte
 * back, marks the block as done, and executes the instruction where it is: nothing is emulated,
 * copied or stepped. Other CPUs meet in here, so the order is this, and so it is in
 * tests/model/cover.pml:
 *
 *   (1) what stands there is no int3 any more: somebody else was first. Go back and execute it;
 *   (2) the block is done: it is an int3 that is not ours, or that went between (1) and here. If
 *	it is still there it is not ours, and others are asked;
 *   (3) the original byte comes back, if the int3 is still there;
 *   (4) the block is done. Not before (3): who resets (engine/cover.c) takes a block that is done
 *	for one whose int3 is gone.
 *
 * The iret at the end is the serialising instruction that this CPU needs; any other one takes the
 * int3 once more or finds the byte.
 *
 * All of it runs before exc_int3() has done anything (trap.c), or in the notifier chain: it calls
 * nothing that could have a breakpoint of its own, not even what counts bits.
 */
#include <linux/percpu.h>
#include <linux/ptrace.h>
#include <linux/rcupdate.h>
#include <asm/cpufeature.h>
#include <asm/text-patching.h>

#include "hit/cover.h"
#include "kernel/text.h"

/* What can be hit. Written under ktramp_mutex, read with interrupts off. */
static const struct ktramp_cover_areas *live;

static DEFINE_PER_CPU(struct ktramp_cover_count, count);

/* hweight64() may be a call, of a function that may be covered (__sw_hweight64()). */
static __always_inline unsigned int bits_of(u64 word)
{
	u64 bits;

	if (cpu_feature_enabled(X86_FEATURE_POPCNT)) {
		asm("popcnt %1, %0" : "=r" (bits) : "r" (word) : "cc");
		return bits;
	}
	word -= (word >> 1) & 0x5555555555555555ULL;
	word = (word & 0x3333333333333333ULL) + ((word >> 2) & 0x3333333333333333ULL);
	word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return (word * 0x0101010101010101ULL) >> 56;
}

static __always_inline u32 number_of(const struct ktramp_cover_area *area, unsigned long off)
{
	const struct ktramp_cover_rank *rank = &area->rank[off / KTRAMP_COVER_RANK];
	unsigned int word = off / BITS_PER_LONG % (KTRAMP_COVER_RANK / BITS_PER_LONG);
	u64 below = area->site[off / BITS_PER_LONG] & ((1UL << off % BITS_PER_LONG) - 1);
	u32 n = rank->before + bits_of(below);

	if (word)
		n += rank->within >> (word - 1) * KTRAMP_COVER_COUNT &
		     ((1U << KTRAMP_COVER_COUNT) - 1);
	return n;
}

/* The area of an address, or NULL. They are as many as there are modules, and one. */
static __always_inline const struct ktramp_cover_area *find_area(unsigned long addr)
{
	const struct ktramp_cover_areas *areas = READ_ONCE(live);
	unsigned int low = 0, high = areas ? areas->nr : 0;

	while (low < high) {
		unsigned int mid = (low + high) / 2;
		const struct ktramp_cover_area *area = areas->area[mid];

		if (addr - area->start < area->size)
			return area;
		if (addr < area->start)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* Return: false if the int3 is nobody's here. Else the registers say where to go on. */
noinstr bool ktramp_cover_hit(struct pt_regs *regs)
{
	unsigned long addr = regs->ip - INT3_INSN_SIZE, off;
	const struct ktramp_cover_area *area = find_area(addr);
	u8 *byte;
	u32 n;

	if (!area)
		return false;
	off = addr - area->start;
	if (!(area->site[off / BITS_PER_LONG] >> off % BITS_PER_LONG & 1))
		return false;
	byte = area->map + off;
	n = number_of(area, off);
	if (READ_ONCE(*byte) != INT3_INSN_OPCODE) {				/* (1) */
		this_cpu_inc(count.late);
	} else if (READ_ONCE(area->done[n / BITS_PER_LONG]) >> n % BITS_PER_LONG & 1) {
		if (READ_ONCE(*byte) == INT3_INSN_OPCODE)			/* (2) */
			return false;
		this_cpu_inc(count.late);
	} else {
		ktramp_text_swap(byte, INT3_INSN_OPCODE, area->orig[n]);	/* (3) */
		arch_set_bit(n, area->done);					/* (4) */
		this_cpu_inc(count.traps);
	}
	regs->ip = addr;
	return true;
}

/**
 * ktramp_cover_index() - number the sites of an area
 * @area: with its map of sites, and room for the ranks
 *
 * Context: process, before the area is published.
 */
void ktramp_cover_index(struct ktramp_cover_area *area)
{
	const unsigned int words = KTRAMP_COVER_RANK / BITS_PER_LONG;
	unsigned long nr = DIV_ROUND_UP(area->size, KTRAMP_COVER_RANK), i;
	unsigned int word;

	area->nr = 0;
	for (i = 0; i < nr; i++) {
		struct ktramp_cover_rank *rank = &area->rank[i];
		unsigned int within = 0;

		*rank = (struct ktramp_cover_rank){ .before = area->nr };
		for (word = 0; word < words; word++) {
			if (word)
				rank->within |= (u64)within << (word - 1) * KTRAMP_COVER_COUNT;
			within += bits_of(area->site[i * words + word]);
		}
		area->nr += within;
	}
}

/* Which site is it? @off: of one. */
u32 ktramp_cover_number(const struct ktramp_cover_area *area, unsigned long off)
{
	return number_of(area, off);
}

/**
 * ktramp_cover_publish() - what hits look through from now on
 * @areas: it, or NULL
 *
 * A hit may still look through what it was before, until ktramp_text_sync().
 *
 * Context: process, under ktramp_mutex.
 * Return: what it was.
 */
const struct ktramp_cover_areas *ktramp_cover_publish(const struct ktramp_cover_areas *areas)
{
	const struct ktramp_cover_areas *was = live;

	/* What a hit finds in them was written before. */
	smp_store_release(&live, areas);
	return was;
}

/* Call @visit for each site in some text. Under ktramp_mutex. */
static void each_site(unsigned long start, unsigned long size,
		      void (*visit)(const struct ktramp_cover_area *area, unsigned long off,
				    void *data), void *data)
{
	const struct ktramp_cover_area *area;
	unsigned long off, end;
	unsigned int i;

	for (i = 0; live && i < live->nr; i++) {
		area = live->area[i];
		if (start >= area->start + area->size || start + size <= area->start)
			continue;
		off = max(start, area->start) - area->start;
		end = min(start + size, area->start + area->size) - area->start;
		for (off = find_next_bit(area->site, end, off); off < end;
		     off = find_next_bit(area->site, end, off + 1))
			visit(area, off, data);
	}
}

struct copy {
	u8 *code;
	unsigned long start;
};

static void recover(const struct ktramp_cover_area *area, unsigned long off, void *data)
{
	const struct copy *copy = data;
	u8 *byte = copy->code + (area->start + off - copy->start);
	u32 n = number_of(area, off);

	if (*byte != INT3_INSN_OPCODE)
		return;
	/* A hit since it was read changes the text first, and is done then. */
	if (test_bit(n, area->done))
		*byte = READ_ONCE(area->map[off]);
	else
		*byte = area->orig[n];
}

/**
 * ktramp_cover_recover() - put back, in a copy of text, what breakpoints of blocks stand for
 * @code: the copy, maybe of a moment ago
 * @start: where it was read
 * @size: bytes
 *
 * Context: process, under ktramp_mutex.
 */
void ktramp_cover_recover(u8 *code, unsigned long start, unsigned long size)
{
	struct copy copy = { code, start };

	each_site(start, size, recover, &copy);
}

static void yield_one(const struct ktramp_cover_area *area, unsigned long off, void *unused)
{
	u32 n = number_of(area, off);

	if (test_bit(n, area->done))
		return;
	/* As a hit does it, and not counted as one. */
	set_bit(n, area->busy);
	ktramp_text_swap(area->map + off, INT3_INSN_OPCODE, area->orig[n]);
	set_bit(n, area->done);
}

/**
 * ktramp_cover_yield() - leave some text to a probe
 * @start: first byte
 * @size: bytes
 *
 * Its blocks are not observed any more, until a reset finds the text free. A CPU may still take
 * one of their int3s until ktramp_text_sync(), and goes back to what stands there then.
 *
 * Context: process, under ktramp_mutex.
 */
void ktramp_cover_yield(unsigned long start, unsigned long size)
{
	each_site(start, size, yield_one, NULL);
}

static void note(const struct ktramp_cover_area *area, unsigned long off, void *data)
{
	*(bool *)data |= !test_bit(number_of(area, off), area->done);
}

/* Does a block's breakpoint stand in some text? Under ktramp_mutex. */
bool ktramp_cover_overlaps(unsigned long start, unsigned long size)
{
	bool found = false;

	each_site(start, size, note, &found);
	return found;
}

/* What hits came to on all CPUs, since load. */
void ktramp_cover_sum(struct ktramp_cover_count *sum)
{
	int cpu;

	*sum = (struct ktramp_cover_count){};
	for_each_possible_cpu(cpu) {
		const struct ktramp_cover_count *c = per_cpu_ptr(&count, cpu);

		sum->traps += READ_ONCE(c->traps);
		sum->late += READ_ONCE(c->late);
	}
}
