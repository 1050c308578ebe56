// SPDX-License-Identifier: GPL-2.0-only
/* Columns as wide as their widest cell; the first row is the heading. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ktramp.h"

void table_init(struct table *table, unsigned int columns, unsigned int right)
{
	*table = (struct table){ .columns = MIN(columns, (unsigned int)TABLE_COLUMNS_MAX),
				 .right = right };
}

/* Adds a row: cells are separated by tabs, missing ones are empty. */
void table_add(struct table *table, const char *fmt, ...)
{
	unsigned int n = table->rows * table->columns;
	char *text = NULL, *rest, *cell;
	va_list ap;
	char **cells;
	int len;

	if (table->failed)
		return;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	cells = len < 0 ? NULL : reallocarray(table->cells, n + table->columns, sizeof(*cells));
	if (!cells) {
		if (len >= 0)
			free(text);
		table->failed = true;
		return;
	}

	table->cells = cells;
	table->rows++;
	rest = text;
	for (unsigned int i = 0; i < table->columns; i++) {
		cell = strsep(&rest, "\t");
		cells[n + i] = strdup(cell ? cell : "");
		if (!cells[n + i])
			table->failed = true;
	}
	free(text);
}

int table_print(const struct table *table)
{
	unsigned int width[TABLE_COLUMNS_MAX] = { 0 };

	if (table->failed) {
		p_err("cannot print the table: %s", strerror(ENOMEM));
		return -ENOMEM;
	}

	for (unsigned int i = 0; i < table->rows * table->columns; i++)
		width[i % table->columns] = MAX(width[i % table->columns],
						(unsigned int)strlen(table->cells[i]));

	for (unsigned int row = 0; row < table->rows; row++) {
		char **cells = &table->cells[row * table->columns];
		unsigned int last = table->columns, pad = 0;

		/* Nothing but the text itself is printed behind a row's last word. */
		while (last && !*cells[last - 1])
			last--;
		for (unsigned int i = 0; i < last; i++) {
			bool right = table->right & (1U << i);
			unsigned int len = strlen(cells[i]);

			printf("%*s%*s%s", pad, "", right ? (int)(width[i] - len) : 0, "",
			       cells[i]);
			pad = (right ? 0 : width[i] - len) + 2;
		}
		putchar('\n');
	}
	return 0;
}

void table_deinit(struct table *table)
{
	for (unsigned int i = 0; i < table->rows * table->columns; i++)
		free(table->cells[i]);
	free(table->cells);
}
