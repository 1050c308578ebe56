/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's text as it is, by the window of tests/module (kt_open_window()): before and after.
 */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct snapshot - the kernel's own text
 * @start: address of its first byte
 * @size: bytes
 * @bytes: them; free() when done
 */
struct snapshot {
	uint64_t start;
	size_t size;
	uint8_t *bytes;
};

bool snapshot_read(uint64_t address, void *bytes, size_t size);
bool snapshot_take(struct snapshot *shot);
size_t snapshot_compare(int fd, const struct snapshot *before, const struct snapshot *after,
			size_t *explained);

#endif /* SNAPSHOT_H */
