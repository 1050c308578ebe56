/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KTRAMP_TEXT_H
#define KTRAMP_TEXT_H

#include <linux/types.h>

int ktramp_text_allowed(void);
int ktramp_text_read(void *to, unsigned long addr, size_t len);
int ktramp_text_write(unsigned long addr, const void *bytes, size_t len);
int ktramp_text_exchange(unsigned long addr, u64 old, u64 new);
int ktramp_text_fill(unsigned long addr, u8 byte, size_t len);
bool ktramp_text_equals(unsigned long addr, const void *bytes, size_t len);
void ktramp_text_sync(void);
void ktramp_text_wait(void);

#endif /* KTRAMP_TEXT_H */
