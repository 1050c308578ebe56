/* SPDX-License-Identifier: GPL-2.0-only */
/* Ways to make an object file something else than it was. */
#ifndef KTRAMP_OBJECT_CHANGE_H
#define KTRAMP_OBJECT_CHANGE_H

#include <stddef.h>
#include <stdint.h>

/* @btf: where in @data its types are; all of it, in a file of nothing else. */
struct object_file {
	const char *name;
	uint8_t *data;
	size_t size, btf;
};

enum object_part {
	OBJECT,		/* the object itself */
	TYPES,		/* what it is relocated by, another object */
	RAW_TYPES,	/* or nothing but BTF */
};

/**
 * struct object_change - one way
 * @name: of it
 * @part: what is changed
 * @count: how many different results there are
 * @change: make the n-th of what is in @data; returns its size
 */
struct object_change {
	const char *name;
	enum object_part part;
	size_t (*count)(const struct object_file *file);
	size_t (*change)(const struct object_file *file, size_t n, uint8_t *data);
};

extern const struct object_change object_changes[];
extern const size_t nr_object_changes;

#endif /* KTRAMP_OBJECT_CHANGE_H */
