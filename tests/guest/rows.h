/* SPDX-License-Identifier: GPL-2.0-only */
/* The JSON Lines of a command, as rows to ask. */
#ifndef ROWS_H
#define ROWS_H

#include <jansson.h>
#include <stdbool.h>

json_t *kt_rows(const char *text);
const json_t *kt_row(const json_t *rows, const char *key, const char *value);
long long kt_number(const json_t *row, const char *path);
const char *kt_text(const json_t *row, const char *key);
bool kt_flag(const json_t *row, const char *key);

#endif /* ROWS_H */
