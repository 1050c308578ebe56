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

#include "slot.h"
#include "text.h"

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

/**
 * ktramp_slot_alloc() - reserve executable memory
 * @len: bytes
 *
 * Context: process, may sleep. The bytes are int3; text.c writes them.
 * Return: the address, or 0 if there is none.
 */
unsigned long ktramp_slot_alloc(unsigned int len)
{
	unsigned long at;

	mutex_lock(&slot_mutex);
	at = bitmap_find_next_zero_area(slot_map, SLOT_UNITS_MAX, 0, units(len), 0);
	if (at < SLOT_UNITS_MAX) {
		bitmap_set(slot_map, at, units(len));
		WRITE_ONCE(slot_used, slot_used + units(len));
	}
	mutex_unlock(&slot_mutex);
	return at < SLOT_UNITS_MAX ? (unsigned long)ktramp_slots + at * KTRAMP_SLOT_UNIT : 0;
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
	if (!addr)
		return;
	if (WARN_ON_ONCE(ktramp_text_fill(addr, INT3_INSN_OPCODE, len)))
		return;
	mutex_lock(&slot_mutex);
	bitmap_clear(slot_map, (addr - (unsigned long)ktramp_slots) / KTRAMP_SLOT_UNIT,
		     units(len));
	WRITE_ONCE(slot_used, slot_used - units(len));
	mutex_unlock(&slot_mutex);
}

/* Make all of it int3. Return: 0 or ktramp_text_fill()'s error. */
int ktramp_slot_init(void)
{
	BUILD_BUG_ON(SLOT_UNITS_MAX % BITS_PER_LONG);
	return ktramp_text_fill((unsigned long)ktramp_slots, INT3_INSN_OPCODE,
				ktramp_slot_capacity());
}
