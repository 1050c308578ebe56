// SPDX-License-Identifier: GPL-2.0-only
/* What is in a program's maps, printed by the types that the object has of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>

#include "bpf/bpf_dump.h"

static void append(void *context, const char *fmt, va_list ap)
{
	vfprintf(context, fmt, ap);
}

/* libbpf reads as much as the type says, not as much as there is. */
static bool fits(const struct btf *btf, uint32_t type, uint32_t size)
{
	int64_t needed = btf__resolve_size(btf, type);

	return needed >= 0 && needed <= size;
}

/* By its type, on one line; by its bytes, where that does not work. */
static char *value_text(const struct btf *btf, uint32_t type, const void *data, uint32_t size)
{
	LIBBPF_OPTS(btf_dump_type_data_opts, opts, .compact = true, .skip_names = true);
	struct btf_dump *dump = NULL;
	char *text = NULL;
	size_t length;
	FILE *file;
	int err = -ENOENT;

	file = open_memstream(&text, &length);
	if (!file)
		return NULL;
	if (btf && type && fits(btf, type, size))
		dump = btf_dump__new(btf, append, file, NULL);
	if (dump)
		err = btf_dump__dump_type_data(dump, type, data, size, &opts);
	btf_dump__free(dump);
	if (err < 0) {
		rewind(file);
		for (uint32_t i = 0; i < size; i++)
			fprintf(file, "%s%02x", i ? " " : "", ((const uint8_t *)data)[i]);
	}
	if (fclose(file)) {
		free(text);
		return NULL;
	}
	return text;
}

static bool is_per_cpu(enum bpf_map_type type)
{
	return type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_HASH ||
	       type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

static bool is_dumped(enum bpf_map_type type)
{
	switch (type) {
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_ARRAY:
	case BPF_MAP_TYPE_LRU_HASH:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
		return true;
	default:
		return false;
	}
}

struct dump {
	const struct bpf_map *map;
	const struct btf *btf;
	const char *name;	/* as the object's source has it */
	uint32_t key_size, value_size;
	bool per_cpu;
	int cpus;
};

static int print_one(const struct dump *d, const void *key, const void *value, int cpu)
{
	char *k = value_text(d->btf, bpf_map__btf_key_type_id(d->map), key, d->key_size);
	char *v = value_text(d->btf, bpf_map__btf_value_type_id(d->map), value, d->value_size);
	int err = k && v ? 0 : -ENOMEM;

	if (!err && out_json) {
		json_t *line = json_pack("{s:s, s:s, s:s, s:s}", "type", "map", "map", d->name,
					 "key", k, "value", v);

		if (line && cpu >= 0)
			json_object_set_new(line, "cpu", json_integer(cpu));
		err = out_line(stdout, line);
	} else if (!err && cpu >= 0) {
		printf("%s[%s], CPU %d: %s\n", d->name, k, cpu, v);
	} else if (!err) {
		printf("%s[%s]: %s\n", d->name, k, v);
	}
	free(k);
	free(v);
	return err;
}

/* An array's slot that nobody wrote is not worth a line. */
static bool is_zero(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return false;
	return true;
}

static int print_values(const struct dump *d, const void *key, const uint8_t *values,
			bool array)
{
	size_t stride = (d->value_size + 7) & ~7U;
	int err = 0;

	if (!d->per_cpu)
		return array && is_zero(values, d->value_size) ? 0 :
		       print_one(d, key, values, -1);
	for (int cpu = 0; cpu < d->cpus && !err; cpu++)
		if (!is_zero(values + cpu * stride, d->value_size))
			err = print_one(d, key, values + cpu * stride, cpu);
	return err;
}

static int dump_entries(const struct dump *d)
{
	enum bpf_map_type type = bpf_map__type(d->map);
	bool array = type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY;
	uint8_t *key = calloc(2, d->key_size), *next = key ? key + d->key_size : NULL;
	uint8_t *values = calloc(d->cpus, (d->value_size + 7) & ~7U);
	void *previous = NULL;
	int err = key && values ? 0 : -ENOMEM;

	while (!err && !bpf_map_get_next_key(bpf_map__fd(d->map), previous, next)) {
		/* It may be gone again: the program goes on. */
		if (!bpf_map_lookup_elem(bpf_map__fd(d->map), next, values))
			err = print_values(d, next, values, array);
		memcpy(key, next, d->key_size);
		previous = key;
	}
	free(values);
	free(key);
	return err;
}

/* Global variables: one line each, as the source names them. */
static int dump_variables(const struct dump *d, const struct btf_type *section)
{
	uint8_t *data = calloc(1, d->value_size);
	uint32_t key = 0;
	int err = 0;

	if (!data || bpf_map_lookup_elem(bpf_map__fd(d->map), &key, data)) {
		free(data);
		return data ? 0 : -ENOMEM;
	}
	for (unsigned int i = 0; i < btf_vlen(section) && !err; i++) {
		const struct btf_var_secinfo *info = &btf_var_secinfos(section)[i];
		const struct btf_type *var = btf__type_by_id(d->btf, info->type);
		const char *name = var ? btf__name_by_offset(d->btf, var->name_off) : NULL;
		char *text;

		if (!name || info->offset > d->value_size ||
		    info->size > d->value_size - info->offset)
			continue;
		text = value_text(d->btf, var->type, data + info->offset, info->size);
		if (!text)
			err = -ENOMEM;
		else if (out_json)
			err = out_line(stdout, json_pack("{s:s, s:s, s:s}", "type", "variable",
							 "name", name, "value", text));
		else
			printf("%s: %s\n", name, text);
		free(text);
	}
	free(data);
	return err;
}

static int dump_map(struct bpf_object *object, struct bpf_map *map)
{
	struct dump d = {
		.map = map,
		.btf = bpf_object__btf(object),
		.name = bpf_map__name(map),
		.key_size = bpf_map__key_size(map),
		.value_size = bpf_map__value_size(map),
		.per_cpu = is_per_cpu(bpf_map__type(map)),
		.cpus = libbpf_num_possible_cpus(),
	};
	const struct btf_type *type = NULL;

	if (!is_dumped(bpf_map__type(map)) || d.cpus <= 0)
		return 0;
	if (d.btf && bpf_map__is_internal(map))
		type = btf__type_by_id(d.btf, bpf_map__btf_value_type_id(map));
	if (type && btf_is_datasec(type))
		return strstr(d.name, ".rodata") ? 0 : dump_variables(&d, type);
	return bpf_map__is_internal(map) ? 0 : dump_entries(&d);
}

/**
 * bpf_dump_maps() - print what the maps and global variables of an object hold now
 * @object: loaded
 */
int bpf_dump_maps(struct bpf_object *object)
{
	struct bpf_map *map;
	int err = 0;

	bpf_object__for_each_map(map, object) {
		err = dump_map(object, map);
		if (err)
			break;
	}
	return err;
}
