// SPDX-License-Identifier: GPL-2.0-only
/* The JSON Lines of a command, as rows to ask. */
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rows.h"

/*
 * Return: an array with an object a line, or NULL if a line is none. A last line that is
 * being written is not there yet.
 */
json_t *kt_rows_of(const char *path)
{
	FILE *file = fopen(path, "re");
	json_t *rows = json_array();
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	while (file && (len = getline(&line, &size, file)) > 0 && line[len - 1] == '\n') {
		json_t *row = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

		if (!row || json_array_append_new(rows, row)) {
			json_decref(rows);
			rows = NULL;
			break;
		}
	}
	free(line);
	if (file)
		fclose(file);
	return rows;
}

/* The one row whose @key is @value; NULL also if there are several. */
const json_t *kt_row(const json_t *rows, const char *key, const char *value)
{
	const json_t *found = NULL;
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		if (strcmp(kt_text(row, key), value))
			continue;
		if (found)
			return NULL;
		found = row;
	}
	return found;
}

/* @path: a key, or key.key; LLONG_MIN: there is no number. */
long long kt_number(const json_t *row, const char *path)
{
	const char *dot = strchrnul(path, '.');
	const json_t *value = json_object_getn(row, path, dot - path);

	if (*dot)
		return kt_number(value, dot + 1);
	return json_is_number(value) ? (long long)json_number_value(value) : LLONG_MIN;
}

/* "" if there is none. */
const char *kt_text(const json_t *row, const char *key)
{
	return json_string_value(json_object_get(row, key)) ?: "";
}

bool kt_flag(const json_t *row, const char *key)
{
	return json_is_true(json_object_get(row, key));
}
