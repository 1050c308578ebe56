// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who has which executable bytes.
 *
 * A bitmap of 16-byte units. Free bytes are int3, so that a stray jump traps at
 * once. Freeing is immediate: the caller has waited until nobody executes there
 * (ktramp_text_wait()).
 */
#include <linux/bitmap.h>
#include <linux/mutex.h>
#include <asm/text-patching.h>

#include "kernel/slot.h"
#include "kernel/text.h"

extern const u8 ktramp_slots[], ktramp_slots_end[];

#define SLOT_UNITS_MAX	((1U << 20) / KTRAMP_SLOT_UNIT)

static DEFINE_MUTEX(slot_mutex);
static DECLARE_BITMAP(slot_map, SLOT_UNITS_MAX);
static unsigned int slot_used;

static unsigned int units(unsigned int len)
{
	return DIV_ROUND_UP(len, KTRAMP_SLOT_UNIT);
}

/* Bytes of executable memory there are. */
unsigned int ktramp_slot_capacity(void)
{
	return ktramp_slots_end - ktramp_slots;
}

/* Bytes of it that are allocated. */
unsigned int ktramp_slot_used(void)
{
	return READ_ONCE(slot_used) * KTRAMP_SLOT_UNIT;
}

/* Lowest address of it. */
unsigned long ktramp_slot_base(void)
{
	return (unsigned long)ktramp_slots;
}

/* True if @addr is in a slot or detour, allocated or not. Context: any. */
bool ktramp_slot_contains(unsigned long addr)
{
	return addr - (unsigned long)ktramp_slots < ktramp_slot_capacity();
}

/* Units that hold @len bytes at @addr. */
static void span(unsigned long addr, unsigned int len, unsigned long *first, unsigned int *nr)
{
	unsigned long off = addr - (unsigned long)ktramp_slots;

	*first = off / KTRAMP_SLOT_UNIT;
	*nr = (off + len - 1) / KTRAMP_SLOT_UNIT - *first + 1;
}

static bool is_free(unsigned long addr, unsigned int len)
{
	unsigned long first;
	unsigned int nr;

	if (!ktramp_slot_contains(addr) || !ktramp_slot_contains(addr + len - 1))
		return false;
	span(addr, len, &first, &nr);
	return find_next_bit(slot_map, first + nr, first) == first + nr;
}

static unsigned long find_anywhere(unsigned int len)
{
	unsigned long at = bitmap_find_next_zero_area(slot_map, SLOT_UNITS_MAX, 0, units(len), 0);

	return at < SLOT_UNITS_MAX ? (unsigned long)ktramp_slots + at * KTRAMP_SLOT_UNIT : 0;
}

/*
 * The first byte of the distance is given, or the second, or both. A given second byte
 * leaves a window of 256 bytes in each 64 KiB.
 */
static unsigned long find_place(unsigned int len, const struct ktramp_place *place)
{
	const u64 window = place->mask & 0xff00 ? 0x10000 : 0x100;
	const u64 step = place->mask & 0xff ? 0x100 : KTRAMP_SLOT_UNIT;
	u64 distance, low;

	distance = (ktramp_slot_base() - place->from) & ~(window - 1);
	distance += place->want & 0xff00;
	for (; place->from + distance < (unsigned long)ktramp_slots_end; distance += window)
		for (low = place->want & 0xff; low < 0x100; low += step)
			if (is_free(place->from + distance + low, len))
				return place->from + distance + low;
	return 0;
}

/**
 * ktramp_slot_alloc() - reserve executable memory
 * @len: bytes
 * @place: where it must be; a zero @place->mask for anywhere
 *
 * Context: process, may sleep. The bytes are int3; text.c writes them.
 * Return: the address, or 0 if there is none.
 */
unsigned long ktramp_slot_alloc(unsigned int len, const struct ktramp_place *place)
{
	unsigned long addr, first;
	unsigned int nr;

	mutex_lock(&slot_mutex);
	addr = place->mask ? find_place(len, place) : find_anywhere(len);
	if (addr) {
		span(addr, len, &first, &nr);
		bitmap_set(slot_map, first, nr);
		WRITE_ONCE(slot_used, slot_used + nr);
	}
	mutex_unlock(&slot_mutex);
	return addr;
}

/**
 * ktramp_slot_free() - give executable memory back
 * @addr: what ktramp_slot_alloc() returned; 0 is ignored
 * @len: as it was allocated
 *
 * Context: process, may sleep, after a ktramp_text_wait() that began when nothing led
 * there any more. If the bytes cannot be made int3 again they stay allocated: a leak is
 * better than code that nobody owns.
 */
void ktramp_slot_free(unsigned long addr, unsigned int len)
{
	unsigned long first;
	unsigned int nr;

	if (!addr)
		return;
	if (WARN_ON_ONCE(ktramp_text_fill(addr, INT3_INSN_OPCODE, len)))
		return;
	span(addr, len, &first, &nr);
	mutex_lock(&slot_mutex);
	bitmap_clear(slot_map, first, nr);
	WRITE_ONCE(slot_used, slot_used - nr);
	mutex_unlock(&slot_mutex);
}

/* Make all of it int3. Return: 0 or ktramp_text_fill()'s error. */
int ktramp_slot_init(void)
{
	BUILD_BUG_ON(SLOT_UNITS_MAX % BITS_PER_LONG);
	return ktramp_text_fill((unsigned long)ktramp_slots, INT3_INSN_OPCODE,
				ktramp_slot_capacity());
}
