// SPDX-License-Identifier: GPL-2.0-only
/* Give QEMU's plugin (qemu/xray.c) an order. */
#include <errno.h>

#include "xray/xray_record.h"

/*
 * The plugin recognizes the store by its bytes, and answers before the next instruction:
 * to the compiler that is a function which may change the page.
 */
int xray_give_order(struct xray_order *order, uint32_t command)
{
	order->answer = 0;
	order->magic = XRAY_MAGIC;
	asm volatile(".byte 0x89, 0x87; .long %c[store]"
		     : : [store] "i" (XRAY_STORE), "a" (command),
		       "D" ((char *)&order->command - XRAY_STORE)
		     : "memory");
	return *(volatile uint32_t *)&order->answer == command ? 0 : -ENODEV;
}
