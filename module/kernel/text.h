/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KTRAMP_TEXT_H
#define KTRAMP_TEXT_H

#include <linux/atomic.h>
#include <linux/types.h>

int ktramp_text_allowed(void);
int ktramp_text_read(void *to, unsigned long addr, size_t len);
int ktramp_text_write(unsigned long addr, const void *bytes, size_t len);
int ktramp_text_exchange(unsigned long addr, u64 old, u64 new);
int ktramp_text_fill(unsigned long addr, u8 byte, size_t len);
u8 *ktramp_text_map(unsigned long start, unsigned long size);
void ktramp_text_unmap(u8 *map, unsigned long start);
bool ktramp_text_equals(unsigned long addr, const void *bytes, size_t len);
void ktramp_text_sync(void);
void ktramp_text_wait(void);

/*
 * Replace one byte through a mapping, if it is still @old. Calls nothing, so that who serves
 * breakpoints may do it.
 */
static __always_inline void ktramp_text_swap(u8 *byte, u8 old, u8 new)
{
	arch_cmpxchg(byte, old, new);
}

#endif /* KTRAMP_TEXT_H */
