// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ways to make an object file something else than it was: cut off, words and bits of it
 * changed, types that refer to what they should not.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>

#include "object_change.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* How often a file is changed at random. */
#define FLIPS		20000

static uint32_t get(const uint8_t *at)
{
	uint32_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

static void put(uint8_t *at, uint32_t word)
{
	memcpy(at, &word, sizeof(word));
}

/* ---- as it is ---- */

static size_t count_one(const struct object_file *file)
{
	return 1;
}

static size_t change_nothing(const struct object_file *file, size_t n, uint8_t *data)
{
	return file->size;
}

/* ---- cut off, behind every byte ---- */

static size_t count_bytes(const struct object_file *file)
{
	return file->size;
}

static size_t cut(const struct object_file *file, size_t n, uint8_t *data)
{
	return n;
}

/* ---- each word: a size, an offset, an index or a type that is wrong ---- */

#define VALUES	9

static size_t count_words(const struct object_file *file)
{
	return file->size / 4 * VALUES;
}

static size_t change_word(const struct object_file *file, size_t n, uint8_t *data)
{
	uint8_t *at = data + n / VALUES * 4;
	const uint32_t word = get(at), values[VALUES] = {
		0, 1, word + 1, word - 1, word + 8, 0x7fffffff, 0x80000000, 0xffffffff,
		(uint32_t)file->size,
	};

	put(at, values[n % VALUES]);
	return file->size;
}

/* ---- some bits, the same ones each time ---- */

static uint64_t random_state;

static uint64_t next_random(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static size_t count_flips(const struct object_file *file)
{
	return FLIPS;
}

static size_t flip(const struct object_file *file, size_t n, uint8_t *data)
{
	unsigned int nr;

	random_state = n + 1;
	nr = 1 + next_random() % 8;
	while (nr--)
		data[next_random() % file->size] ^= 1 << next_random() % 8;
	return file->size;
}

/* ---- types ---- */

static struct btf_header *header_in(const struct object_file *file, uint8_t *data)
{
	return (void *)(data + file->btf);
}

static uint8_t *types_in(const struct object_file *file, uint8_t *data)
{
	const struct btf_header *header = header_in(file, data);

	return (uint8_t *)header + header->hdr_len + header->type_off;
}

/* Bytes of a type, which is one of clang's. */
static size_t size_of(const struct btf_type *t)
{
	const size_t n = btf_vlen(t);

	switch (btf_kind(t)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return sizeof(*t) + 4;
	case BTF_KIND_ARRAY:
		return sizeof(*t) + sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return sizeof(*t) + n * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return sizeof(*t) + n * sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return sizeof(*t) + n * sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return sizeof(*t) + n * sizeof(struct btf_param);
	case BTF_KIND_DATASEC:
		return sizeof(*t) + n * sizeof(struct btf_var_secinfo);
	default:
		return sizeof(*t);
	}
}

/* Where in a type the ids of others are: the first, how far apart, how many. */
static size_t references_in(const struct btf_type *t, size_t *first, size_t *stride)
{
	const size_t n = btf_vlen(t);

	*first = sizeof(*t) + offsetof(struct btf_member, type);
	switch (btf_kind(t)) {
	case BTF_KIND_ARRAY:
		*first = sizeof(*t);
		*stride = 4;
		return 2;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		*stride = sizeof(struct btf_member);
		return n;
	case BTF_KIND_FUNC_PROTO:
		/* What it returns is in front of the parameters, as far as they are apart. */
		*first = offsetof(struct btf_type, type);
		*stride = sizeof(struct btf_param);
		return n + 1;
	case BTF_KIND_DATASEC:
		*first = sizeof(*t);
		*stride = sizeof(struct btf_var_secinfo);
		return n;
	case BTF_KIND_INT:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
	case BTF_KIND_FLOAT:
	case BTF_KIND_FWD:
		return 0;
	default:
		*first = offsetof(struct btf_type, type);
		*stride = 4;
		return 1;
	}
}

static uint32_t count_types(const struct object_file *file)
{
	const uint8_t *at = types_in(file, file->data);
	const uint8_t *end = at + header_in(file, file->data)->type_len;
	uint32_t nr = 0;

	for (; at < end; at += size_of((const void *)at))
		nr++;
	return nr;
}

/* The @n-th reference of all types in @data, or NULL; *@n: less those before. */
static uint8_t *find_reference(const struct object_file *file, uint8_t *data, size_t *n)
{
	uint8_t *at = types_in(file, data);
	const uint8_t *end = at + header_in(file, data)->type_len;

	for (; at < end; at += size_of((const void *)at)) {
		size_t first, stride, nr = references_in((const void *)at, &first, &stride);

		if (*n < nr)
			return at + first + *n * stride;
		*n -= nr;
	}
	return NULL;
}

/* Every reference, to every type, itself among them, to none and to one that is not there. */
static size_t count_references(const struct object_file *file)
{
	const size_t many = SIZE_MAX / 2;
	size_t left = many;

	find_reference(file, file->data, &left);
	return (many - left) * (count_types(file) + 2);
}

static size_t change_reference(const struct object_file *file, size_t n, uint8_t *data)
{
	uint32_t values = count_types(file) + 2, to = n % values;

	n /= values;
	put(find_reference(file, data, &n), to);
	return file->size;
}

/* What is as long as a type can be without anything behind it. */
static const uint8_t short_kinds[] = {
	BTF_KIND_PTR, BTF_KIND_FWD, BTF_KIND_TYPEDEF, BTF_KIND_VOLATILE, BTF_KIND_CONST,
	BTF_KIND_RESTRICT, BTF_KIND_FUNC, BTF_KIND_TYPE_TAG, BTF_KIND_FLOAT, BTF_KIND_STRUCT,
	BTF_KIND_UNION, BTF_KIND_ENUM, BTF_KIND_FUNC_PROTO,
};

static size_t count_chains(const struct object_file *file)
{
	uint32_t types = count_types(file);

	return types * types * ARRAY_SIZE(short_kinds);
}

/*
 * From some type on, each is a name for the next, or a pointer to it, or ...; the last is one
 * for a type before, or in the chain, which makes it a loop.
 */
static size_t make_chain(const struct object_file *file, size_t n, uint8_t *data)
{
	unsigned int kind = short_kinds[n % ARRAY_SIZE(short_kinds)];
	const uint32_t types = count_types(file);
	const uint32_t from = n / ARRAY_SIZE(short_kinds) / types + 1;
	const uint32_t to = n / ARRAY_SIZE(short_kinds) % types + 1;
	uint8_t *at = types_in(file, data), *end = at + header_in(file, data)->type_len;

	for (uint32_t id = 1; at < end; id++) {
		struct btf_type *t = (void *)at;
		size_t size = size_of(t);

		if (id >= from) {
			t->info = kind << 24;
			t->type = id == types ? to : id + 1;
			memmove(at + sizeof(*t), at + size, end - at - size);
			end -= size - sizeof(*t);
			size = sizeof(*t);
		}
		at += size;
	}
	header_in(file, data)->type_len = end - types_in(file, data);
	return file->size;
}

const struct object_change object_changes[] = {
	{ "same", OBJECT, count_one, change_nothing },
	{ "cut", OBJECT, count_bytes, cut },
	{ "word", OBJECT, count_words, change_word },
	{ "flip", OBJECT, count_flips, flip },
	{ "reference", OBJECT, count_references, change_reference },
	{ "chain", OBJECT, count_chains, make_chain },
	{ "types-cut", TYPES, count_bytes, cut },
	{ "types-word", TYPES, count_words, change_word },
	{ "types-flip", TYPES, count_flips, flip },
	{ "raw-same", RAW_TYPES, count_one, change_nothing },
	{ "raw-cut", RAW_TYPES, count_bytes, cut },
	{ "raw-word", RAW_TYPES, count_words, change_word },
	{ "raw-flip", RAW_TYPES, count_flips, flip },
	{ "raw-reference", RAW_TYPES, count_references, change_reference },
	{ "raw-chain", RAW_TYPES, count_chains, make_chain },
};
const size_t nr_object_changes = ARRAY_SIZE(object_changes);
