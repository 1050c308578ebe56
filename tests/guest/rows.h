/* SPDX-License-Identifier: GPL-2.0-only */
/* The JSON Lines of a command, as rows to ask. */
#ifndef ROWS_H
#define ROWS_H

#include <jansson.h>
#include <stdbool.h>

json_t *kt_rows_of(const char *path);
const json_t *kt_row(const json_t *rows, const char *key, const char *value);
long long kt_number(const json_t *row, const char *path);
const char *kt_text(const json_t *row, const char *key);
bool kt_flag(const json_t *row, const char *key);

/*
 * In a test whose fixture has o and rows: run a command, and have its rows. From the file:
 * the output may be larger than o.
 */
#define RUN(...)								\
do {										\
	char line_[400];							\
	snprintf(line_, sizeof(line_), __VA_ARGS__);				\
	kt_shell(line_, &self->o);						\
	json_decref(self->rows);						\
	self->rows = kt_rows_of("/tmp/out");					\
	ASSERT_NE(NULL, self->rows) TH_LOG("%s: %s", line_, self->o.out);	\
} while (0)

#endif /* ROWS_H */
