// SPDX-License-Identifier: GPL-2.0-only
/* A user's own BPF object: opened, and one of its programs chosen. */
#include <errno.h>
#include <string.h>

#include <bpf/btf.h>

#include "bpf/bpf.h"
#include "bpf/bpf_check.h"

/* The header of .BTF.ext (Documentation/bpf/btf.rst of the kernel); libbpf keeps it private. */
struct ext_header {
	uint16_t magic;
	uint8_t version;
	uint8_t flags;
	uint32_t hdr_len;
	uint32_t func_info_off, func_info_len;
	uint32_t line_info_off, line_info_len;
	uint32_t core_relo_off, core_relo_len;
};

static bool has_core_relocations(const struct btf_ext *ext)
{
	const struct ext_header *header;
	uint32_t size;

	header = btf_ext__get_raw_data(ext, &size);
	return header && size >= sizeof(*header) && header->hdr_len >= sizeof(*header) &&
	       header->core_relo_len;
}

/**
 * bpf_object_needs_types() - does an object hold CO-RE relocations?
 * @path: its file
 */
int bpf_object_needs_types(const char *path)
{
	struct btf_ext *ext = NULL;
	struct btf *btf;
	int needs;

	bpf_listen();
	btf = btf__parse_elf(path, &ext);
	/* Without BTF there is nothing to relocate by; opening it says what else is wrong. */
	if (!btf)
		return errno == ENOENT || errno == ENODATA ? 0 : -errno;
	needs = ext && has_core_relocations(ext);
	btf_ext__free(ext);
	btf__free(btf);
	return needs;
}

/* Declared as any other map, one has nothing of what libbpf expects there. */
static bool has_struct_ops(const struct bpf_object *object)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
		if (bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS)
			return true;
	return false;
}

/* Complains. */
struct bpf_object *bpf_object_open_file(const char *path, const struct bpf_types *types)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = types->path);
	struct bpf_object *object;
	struct bpf_check check;
	int needs, err;

	if (bpf_check_object(&check, path)) {
		p_err("cannot read '%s' as a BPF object: %s; is it made by 'clang -target bpf -g'?",
		      path, check.why);
		return NULL;
	}
	needs = bpf_object_needs_types(path);
	if (needs < 0) {
		p_err("cannot read '%s' as a BPF object: %s; is it made by 'clang -target bpf -g'?",
		      path, bpf_why(needs));
		return NULL;
	}
	if (needs && types->missing) {
		bpf_types_complain(path);
		return NULL;
	}
	/* libbpf would look for types that nothing needs. */
	if (!needs)
		opts.btf_custom_path = NULL;
	bpf_listen();
	object = bpf_object__open_file(path, &opts);
	if (object && !has_struct_ops(object))
		return object;
	if (object) {
		bpf_object__close(object);
		p_err("'%s' has a map of the type struct_ops, which no site runs", path);
		return NULL;
	}
	err = -errno;
	p_err("cannot read '%s' as a BPF object: %s; is it made by 'clang -target bpf -g'?", path,
	      bpf_why(err));
	return NULL;
}

static void list_programs(struct bpf_object *object, char *buf, size_t size)
{
	struct bpf_program *prog;
	size_t len = 0;

	snprintf(buf, size, " none");
	bpf_object__for_each_program(prog, object)
		if (len < size)
			len += snprintf(buf + len, size - len, " %s", bpf_program__name(prog));
}

/* By name, or the only one; the others are not loaded. Complains. */
struct bpf_program *bpf_object_choose(struct bpf_object *object, const char *name)
{
	struct bpf_program *prog, *chosen = NULL;
	unsigned int nr = 0;
	char names[512];

	bpf_object__for_each_program(prog, object) {
		bool is = !name || !strcmp(bpf_program__name(prog), name);

		bpf_program__set_autoload(prog, is);
		nr += is;
		if (is)
			chosen = prog;
	}
	if (nr == 1)
		return chosen;
	list_programs(object, names, sizeof(names));
	if (name)
		p_err("no program '%s' in '%s'; there are:%s", name, bpf_object__name(object),
		      names);
	else
		p_err("'%s' does not have one program but:%s; choose by --prog",
		      bpf_object__name(object), names);
	return NULL;
}
