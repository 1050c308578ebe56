// SPDX-License-Identifier: GPL-2.0-only
/*
 * The data of the page of ktramp report: lines that it can draw, and traces, packed.
 *
 * Traces of one kernel run through much the same code. So each instruction and function is kept
 * once a kernel, in a line of type "text", and the traces refer to it by index.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ktramp.h"

static const char *const kept_types[] = { "run", "result", "mechanism", "show", "xray" };

struct shared {
	json_t *line;		/* borrowed: of the kernel */
	json_t *indices;	/* borrowed: what is pooled -> its index */
};

int page_data_init(struct page_data *data)
{
	*data = (struct page_data){
		.lines = json_array(), .texts = json_object(), .indices = json_object(),
	};
	if (data->lines && data->texts && data->indices)
		return 0;
	p_err("cannot keep the results: %s", strerror(ENOMEM));
	return -ENOMEM;
}

void page_data_deinit(struct page_data *data)
{
	json_decref(data->lines);
	json_decref(data->texts);
	json_decref(data->indices);
}

static json_t *child(json_t *parent, const char *name, json_t *(*make)(void))
{
	if (!json_object_get(parent, name))
		json_object_set_new(parent, name, make());
	return json_object_get(parent, name);
}

static struct shared shared_of(struct page_data *data, const char *kernel)
{
	struct shared shared = {
		.line = json_object_get(data->texts, kernel),
		.indices = child(data->indices, kernel, json_object),
	};

	if (shared.line)
		return shared;
	shared.line = json_pack("{s:s, s:s, s:[], s:[]}", "type", "text", "kernel", kernel,
			      "symbols", "insns");
	if (json_object_set_new(data->texts, kernel, shared.line) ||
	    json_array_append(data->lines, shared.line))
		shared.line = NULL;
	return shared;
}

/* The index of @item among its like; -1 when out of memory. */
static json_int_t pooled(const struct shared *shared, const char *pool, json_t *item)
{
	json_t *items = json_object_get(shared->line, pool);
	json_t *indices = child(shared->indices, pool, json_object);
	char *key = json_dumps(item, JSON_COMPACT | JSON_SORT_KEYS);
	json_int_t index = -1;
	json_t *known;

	if (!key)
		return -1;
	known = json_object_get(indices, key);
	if (known) {
		index = json_integer_value(known);
	} else if (!json_array_append(items, item) &&
		   !json_object_set_new(indices, key, json_integer(json_array_size(items) - 1))) {
		index = json_array_size(items) - 1;
	}
	free(key);
	return index;
}

/* Each index in @list, or in the member @member of its elements, replaced by what @map says. */
static int remap(json_t *list, const char *member, const json_int_t *map, size_t n)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		json_t *old = member ? json_object_get(item, member) : item;
		json_int_t index = json_integer_value(old);

		if (!json_is_integer(old) || index < 0 || (size_t)index >= n)
			return -EINVAL;
		if (member ? json_object_set_new(item, member, json_integer(map[index])) :
			     json_array_set_new(list, i, json_integer(map[index])))
			return -ENOMEM;
	}
	return 0;
}

static int pool_all(const struct shared *shared, const char *pool, json_t *items, json_int_t *map)
{
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item) {
		map[i] = pooled(shared, pool, item);
		if (map[i] < 0)
			return -ENOMEM;
	}
	return 0;
}

/* The steady one comes last; of the bare call there is only the one that is not probed. */
static json_t *drawn_call(const json_t *trace)
{
	json_t *calls = json_object_get(trace, "calls");

	return json_array_get(calls, json_array_size(calls) - 1);
}

/* Only one of the calls is drawn. The trace is the caller's to change. */
static int pack_trace(struct page_data *data, const char *kernel, json_t *trace)
{
	json_t *symbols = json_object_get(trace, "symbols");
	json_t *insns = json_object_get(trace, "insns");
	size_t nr_symbols = json_array_size(symbols), nr_insns = json_array_size(insns);
	json_int_t *map = calloc(nr_symbols + nr_insns + 1, sizeof(*map));
	json_int_t *insn_map = map + nr_symbols;
	struct shared shared = shared_of(data, kernel);
	json_t *call = drawn_call(trace), *insn;
	int err = -ENOMEM;
	size_t i;

	if (!map || !shared.line)
		goto out;
	err = -EINVAL;
	if (!call)
		goto out;
	err = pool_all(&shared, "symbols", symbols, map);
	if (!err)
		err = remap(insns, "symbol", map, nr_symbols);
	/* The symbol's address and the offset say it already. */
	json_array_foreach(insns, i, insn)
		json_object_del(insn, "address");
	if (!err)
		err = pool_all(&shared, "insns", insns, insn_map);
	if (!err)
		err = remap(json_object_get(call, "nodes"), "symbol", map, nr_symbols);
	if (!err)
		err = remap(json_object_get(call, "steps"), NULL, insn_map, nr_insns);
	if (!err && (json_object_set(trace, "drawn", call) ||
		     json_array_append(data->lines, trace)))
		err = -ENOMEM;
	json_object_del(trace, "calls");
	json_object_del(trace, "symbols");
	json_object_del(trace, "insns");
out:
	free(map);
	return err;
}

static int add_trace(struct page_data *data, const char *name, size_t number, json_t *trace)
{
	const char *kernel = json_string_value(json_object_get(trace, "kernel"));
	int err = kernel ? pack_trace(data, kernel, trace) : -EINVAL;

	if (err == -EINVAL)
		p_err("'%s', line %zu is not a whole trace: it needs a kernel and a call whose "
		      "steps and nodes are of its instructions and symbols", name, number);
	else if (err)
		p_err("cannot keep the trace in '%s': %s", name, strerror(-err));
	return err;
}

static int add_file(struct page_data *data, const char *name, bool follow);

/* A line of xray.jsonl names the file of its trace, relative to itself. */
static int follow_trace(struct page_data *data, const char *name, size_t number, const char *file)
{
	const char *slash = strrchr(name, '/');
	char *path;
	int err;

	if (*file == '/' || strstr(file, "..")) {
		p_err("'%s', line %zu: the trace '%s' is not below the file's directory", name,
		      number, file);
		return -EINVAL;
	}
	if (asprintf(&path, "%.*s%s", slash ? (int)(slash - name + 1) : 0, name, file) < 0) {
		p_err("cannot read '%s': %s", file, strerror(ENOMEM));
		return -ENOMEM;
	}
	err = add_file(data, path, false);
	if (err == -ENOENT)
		p_warn("'%s', line %zu: there is no '%s'; its hit is not drawn", name, number,
		       path);
	free(path);
	return err == -ENOENT ? 0 : err;
}

static int add_value(struct page_data *data, const char *name, size_t number, bool follow,
		     json_t *value)
{
	const char *type = json_string_value(json_object_get(value, "type"));
	const char *file = json_string_value(json_object_get(value, "file"));

	if (!type) {
		p_err("'%s', line %zu is not a result: it has no \"type\"", name, number);
		return -EINVAL;
	}
	if (!strcmp(type, "trace"))
		return add_trace(data, name, number, value);
	for (size_t i = 0; i < ARRAY_SIZE(kept_types); i++) {
		if (strcmp(kept_types[i], type))
			continue;
		if (json_array_append(data->lines, value)) {
			p_err("cannot keep '%s', line %zu: %s", name, number, strerror(ENOMEM));
			return -ENOMEM;
		}
		return follow && file ? follow_trace(data, name, number, file) : 0;
	}
	return 0;
}

/* One JSON value behind another: lines, or a value of many lines. */
static int add_values(struct page_data *data, const char *name, bool follow, const char *text,
		      size_t size)
{
	size_t at = 0, number = 1;

	for (;;) {
		json_t *value __cleanup(free_json) = NULL;
		json_error_t error;
		int err;

		for (; at < size && strchr(" \t\r\n", text[at]) && text[at]; at++)
			number += text[at] == '\n';
		if (at == size)
			return 0;
		value = json_loadb(text + at, size - at, JSON_DISABLE_EOF_CHECK, &error);
		if (!value) {
			p_err("'%s', line %zu is not JSON: %s", name, number + error.line - 1,
			      error.text);
			return -EINVAL;
		}
		err = add_value(data, name, number, follow, value);
		if (err)
			return err;
		for (size_t end = at + error.position; at < end; at++)
			number += text[at] == '\n';
	}
}

static int read_all(FILE *file, char **text, size_t *size)
{
	FILE *memory = open_memstream(text, size);
	char part[65536];
	size_t n;
	int err = 0;

	if (!memory)
		return -ENOMEM;
	errno = 0;
	while (!err && (n = fread(part, 1, sizeof(part), file)))
		if (fwrite(part, 1, n, memory) != n)
			err = -ENOMEM;
	if (!err && ferror(file))
		err = errno ? -errno : -EIO;
	if (fclose(memory) && !err)
		err = -ENOMEM;
	return err;
}

static int add_file(struct page_data *data, const char *name, bool follow)
{
	bool is_stdin = !strcmp(name, "-");
	FILE *file = is_stdin ? stdin : fopen(name, "re");
	char *text = NULL;
	size_t size = 0;
	int err;

	if (!file) {
		err = -errno;
		/* Whoever follows a line knows what a file that is missing means. */
		if (follow || err != -ENOENT)
			p_err("cannot read '%s': %s", name, strerror(-err));
		return err;
	}
	err = read_all(file, &text, &size);
	if (err)
		p_err("cannot read '%s': %s", name, strerror(-err));
	else
		err = add_values(data, name, follow && !is_stdin, text, size);
	free(text);
	if (!is_stdin)
		fclose(file);
	return err;
}

int page_data_add(struct page_data *data, const char *name)
{
	return add_file(data, name, true);
}
