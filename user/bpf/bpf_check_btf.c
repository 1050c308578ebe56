// SPDX-License-Identifier: GPL-2.0-only
/*
 * BTF that libbpf can be let at (Documentation/bpf/btf.rst of the kernel). It checks the
 * sizes of the parts, but follows types wherever they lead: to one that is not there, or round
 * and round, because a compiler writes neither.
 */
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>

#include "bpf/bpf_check.h"
#include "lib/ktramp.h"

/* Types in types; the kernel's own go to about 20. libbpf calls itself for each. */
#define DEPTH_MAX	128

/* Bytes of a type: libbpf has them in an int here and there, where an error is negative. */
#define TYPE_MAX	(1U << 30)

struct types {
	struct bpf_check *check;
	const uint8_t *data;
	const char *strings;
	uint32_t strings_size;
	uint32_t *at;			/* by id: offset in @data */
	uint32_t nr;			/* with void, 0 */
};

/* ---- a record ---- */

/* Bytes behind the header of a type, or -1: there is no such kind. */
static int64_t size_of_rest(const struct btf_type *t)
{
	const int64_t n = btf_vlen(t);

	switch (btf_kind(t)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return 4;
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return n * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return n * sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return n * sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return n * sizeof(struct btf_param);
	case BTF_KIND_DATASEC:
		return n * sizeof(struct btf_var_secinfo);
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case BTF_KIND_TYPE_TAG:
		return 0;
	default:
		return -1;
	}
}

static const struct btf_type *type_at(const struct types *types, uint32_t id)
{
	return (const void *)(types->data + types->at[id]);
}

/* Where the records are. @len: bytes of them. */
static bool find_records(struct types *types, size_t len)
{
	size_t at = 0;

	types->at = malloc((len / sizeof(struct btf_type) + 1) * sizeof(*types->at));
	if (!types->at)
		return bpf_check_fail(types->check, "out of memory");
	types->nr = 1;
	while (at < len) {
		const struct btf_type *t = (const void *)(types->data + at);
		int64_t rest = len - at < sizeof(*t) ? -1 : size_of_rest(t);

		if (len - at < sizeof(*t) || (rest >= 0 && len - at - sizeof(*t) < (size_t)rest))
			return bpf_check_fail(types->check,
					      "type %u in .BTF is cut off", types->nr);
		if (rest < 0)
			return bpf_check_fail(types->check,
					      "type %u in .BTF is of no known kind, %u",
					      types->nr, btf_kind(t));
		types->at[types->nr++] = at;
		at += sizeof(*t) + rest;
	}
	return true;
}

/* ---- what a type refers to ---- */

/* The @n-th type that one refers to. False: there are not as many. */
static bool reference(const struct btf_type *t, uint32_t n, uint32_t *id)
{
	switch (btf_kind(t)) {
	case BTF_KIND_ARRAY:
		*id = n ? btf_array(t)->index_type : btf_array(t)->type;
		return n < 2;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		if (n < btf_vlen(t))
			*id = btf_members(t)[n].type;
		return n < btf_vlen(t);
	case BTF_KIND_FUNC_PROTO:
		if (n && n <= btf_vlen(t))
			*id = btf_params(t)[n - 1].type;
		else
			*id = t->type;
		return n <= btf_vlen(t);
	case BTF_KIND_DATASEC:
		if (n < btf_vlen(t))
			*id = btf_var_secinfos(t)[n].type;
		return n < btf_vlen(t);
	case BTF_KIND_PTR:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
	case BTF_KIND_TYPE_TAG:
		*id = t->type;
		return !n;
	default:
		return false;
	}
}

/* The @n-th name in it, as an offset. False: there are not as many. */
static bool name_in(const struct btf_type *t, uint32_t n, uint32_t *offset)
{
	*offset = t->name_off;
	if (!n)
		return true;
	if (n > btf_vlen(t))
		return false;
	switch (btf_kind(t)) {
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		*offset = btf_members(t)[n - 1].name_off;
		return true;
	case BTF_KIND_ENUM:
		*offset = btf_enum(t)[n - 1].name_off;
		return true;
	case BTF_KIND_ENUM64:
		*offset = btf_enum64(t)[n - 1].name_off;
		return true;
	case BTF_KIND_FUNC_PROTO:
		*offset = btf_params(t)[n - 1].name_off;
		return true;
	default:
		return false;
	}
}

/* What the kernel demands of them too, and libbpf takes for granted. */
static bool is_of_right_kind(const struct types *types, const struct btf_type *t, uint32_t to)
{
	const struct btf_type *target = to ? type_at(types, to) : NULL;

	switch (btf_kind(t)) {
	case BTF_KIND_FUNC:
		return target && btf_is_func_proto(target);
	case BTF_KIND_DATASEC:
		return target && (btf_is_var(target) || btf_is_func(target));
	case BTF_KIND_DECL_TAG:
		return target;
	case BTF_KIND_ARRAY:
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_VAR:
		return target && !btf_is_func(target) && !btf_is_func_proto(target) &&
		       !btf_is_var(target) && !btf_is_datasec(target) && !btf_is_decl_tag(target);
	default:
		return !target || (!btf_is_func(target) && !btf_is_var(target) &&
				   !btf_is_datasec(target) && !btf_is_decl_tag(target));
	}
}

static bool check_type(const struct types *types, uint32_t id)
{
	const struct btf_type *t = type_at(types, id);
	uint32_t to, offset;

	for (uint32_t n = 0; reference(t, n, &to); n++) {
		if (to >= types->nr)
			return bpf_check_fail(types->check,
					      "type %u in .BTF refers to type %u, and there are %u",
					      id, to, types->nr - 1);
		if (!is_of_right_kind(types, t, to))
			return bpf_check_fail(types->check,
					      "type %u in .BTF is of a kind that cannot refer to type %u",
					      id, to);
	}
	for (uint32_t n = 0; name_in(t, n, &offset); n++)
		if (offset >= types->strings_size)
			return bpf_check_fail(types->check,
					      "type %u in .BTF has a name at %u, behind the last",
					      id, offset);
	return true;
}

/* ---- round and round ---- */

/* What @walk does not go through: behind a pointer types may well meet themselves. */
enum walk {
	WALK_INSIDE,	/* what a type is made of */
	WALK_NAMED,	/* what its name stands for, without the members of structs */
};

static bool is_followed(enum walk walk, const struct btf_type *t)
{
	switch (btf_kind(t)) {
	case BTF_KIND_PTR:
	case BTF_KIND_FUNC_PROTO:
	case BTF_KIND_FUNC:
	case BTF_KIND_DECL_TAG:
		return walk == WALK_NAMED;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return walk == WALK_INSIDE;
	default:
		return true;
	}
}

/* How deep what is below an id is: 0 not looked at, UNDER_WAY on the way there. */
#define UNDER_WAY	0xffff

struct step {
	uint32_t id, next;
};

/* Not by calling itself: how deep it is, is what is to be found out. */
static bool walk_from(const struct types *types, enum walk walk, uint16_t *depth, uint32_t first)
{
	struct step stack[DEPTH_MAX] = { { first, 0 } };
	unsigned int nr = 1;

	depth[first] = UNDER_WAY;
	while (nr) {
		struct step *top = &stack[nr - 1];
		const struct btf_type *t = type_at(types, top->id);
		uint32_t to;

		if (!is_followed(walk, t) || !reference(t, top->next, &to)) {
			uint16_t deep = depth[top->id] == UNDER_WAY ? 1 : depth[top->id];

			/* Of those it refers to, all are known by now. */
			for (uint32_t n = 0; is_followed(walk, t) && reference(t, n, &to); n++)
				if (to && depth[to] + 1 > deep)
					deep = depth[to] + 1;
			depth[top->id] = deep;
			nr--;
			if (deep + nr > DEPTH_MAX)
				break;
			continue;
		}
		top->next++;
		if (!to || (depth[to] && depth[to] != UNDER_WAY))
			continue;
		if (depth[to] == UNDER_WAY)
			return bpf_check_fail(types->check, "type %u in .BTF %s itself", to,
					      walk == WALK_INSIDE ? "contains" : "is a name for");
		if (nr == DEPTH_MAX)
			break;
		depth[to] = UNDER_WAY;
		stack[nr++] = (struct step){ to, 0 };
	}
	if (nr)
		return bpf_check_fail(types->check,
				      "type %u in .BTF is nested deeper than %u", first,
				      DEPTH_MAX);
	return true;
}

static bool check_loops(const struct types *types, enum walk walk)
{
	uint16_t *depth = calloc(types->nr, sizeof(*depth));
	bool ok = depth || bpf_check_fail(types->check, "out of memory");

	for (uint32_t id = 1; id < types->nr && ok; id++)
		if (!depth[id])
			ok = walk_from(types, walk, depth, id);
	free(depth);
	return ok;
}

/* ---- sizes, and members inside of what they are members of: data is printed by both ---- */

/* Bytes; what has none, a function's type or an incomplete one, counts as none. */
static uint64_t size_of(const struct types *types, uint32_t id)
{
	const struct btf_type *t = type_at(types, id);
	uint64_t size = 1;

	/* No loops, and not deep: check_loops() has seen to it. */
	for (;;) {
		switch (btf_kind(t)) {
		case BTF_KIND_ARRAY:
			size *= btf_array(t)->nelems;
			if (!btf_array(t)->type || !size || size > UINT32_MAX)
				return size;
			t = type_at(types, btf_array(t)->type);
			continue;
		case BTF_KIND_TYPEDEF:
		case BTF_KIND_VOLATILE:
		case BTF_KIND_CONST:
		case BTF_KIND_RESTRICT:
		case BTF_KIND_TYPE_TAG:
			if (!t->type)
				return 0;
			t = type_at(types, t->type);
			continue;
		case BTF_KIND_PTR:
			return size * sizeof(uint64_t);
		case BTF_KIND_INT:
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
		case BTF_KIND_ENUM:
		case BTF_KIND_ENUM64:
		case BTF_KIND_FLOAT:
		case BTF_KIND_DATASEC:
			return size * t->size;
		default:
			return 0;
		}
	}
}

static bool check_size(const struct types *types, uint32_t id)
{
	const struct btf_type *t = type_at(types, id);

	if (size_of(types, id) > TYPE_MAX)
		return bpf_check_fail(types->check, "type %u in .BTF takes more than %u bytes", id,
				      TYPE_MAX);
	if (!btf_is_composite(t))
		return true;
	for (uint32_t n = 0; n < btf_vlen(t); n++) {
		uint64_t bits = btf_member_bitfield_size(t, n);

		if (!bits)
			bits = size_of(types, btf_members(t)[n].type) * 8;
		if (btf_member_bit_offset(t, n) + bits > t->size * 8ULL)
			return bpf_check_fail(types->check,
					      "type %u in .BTF is less than its members",
					      id);
	}
	return true;
}

/* ---- all of it ---- */

static bool check_header(struct types *types, const uint8_t *data, size_t size, size_t *len)
{
	const struct btf_header *header = (const void *)data;
	struct bpf_check *check = types->check;
	size_t left;

	if (size < sizeof(*header))
		return bpf_check_fail(check, ".BTF is cut off");
	if (header->magic != BTF_MAGIC)
		return bpf_check_fail(check,
				      ".BTF does not begin as BTF of a little-endian machine does");
	if (header->version != BTF_VERSION)
		return bpf_check_fail(check,
				      ".BTF is of version %u, and %u is known", header->version,
				      BTF_VERSION);
	if (header->hdr_len < sizeof(*header) || header->hdr_len > size || header->hdr_len % 4)
		return bpf_check_fail(check, ".BTF has a header of %u bytes", header->hdr_len);
	left = size - header->hdr_len;
	if (header->type_off > left || header->type_len > left - header->type_off ||
	    header->str_off > left || header->str_len > left - header->str_off ||
	    header->type_off % 4)
		return bpf_check_fail(check, ".BTF is cut off");
	types->data = data + header->hdr_len + header->type_off;
	types->strings = (const char *)data + header->hdr_len + header->str_off;
	types->strings_size = header->str_len;
	if (!header->str_len || types->strings[0] || types->strings[header->str_len - 1])
		return bpf_check_fail(check, "the names in .BTF have no end");
	*len = header->type_len;
	return true;
}

bool bpf_check_btf(struct bpf_check *check, const uint8_t *data, size_t size,
		   uint32_t *nr_types, uint32_t *strings)
{
	struct types types = { .check = check };
	size_t len = 0;
	bool ok;

	ok = check_header(&types, data, size, &len) && find_records(&types, len);
	for (uint32_t id = 1; ok && id < types.nr; id++)
		ok = check_type(&types, id);
	ok = ok && check_loops(&types, WALK_INSIDE) && check_loops(&types, WALK_NAMED);
	for (uint32_t id = 1; ok && id < types.nr; id++)
		ok = check_size(&types, id);
	if (nr_types)
		*nr_types = types.nr;
	if (strings)
		*strings = types.strings_size;
	free(types.at);
	return ok;
}
