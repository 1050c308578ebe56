// SPDX-License-Identifier: GPL-2.0-only
/*
 * Results of several kernels beside each other: a row a mechanism, a column a kernel.
 *
 * Kernels come in the order of the files. A kernel that is there twice has one column: the later
 * line of a row counts, as when a bench was repeated.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ktramp.h"

/* Two columns of the table are a row's names; a kernel has two, its figure and the change to it. */
#define KERNELS_MAX	((TABLE_COLUMNS_MAX - 2) / 2)

struct history {
	size_t nr_kernels;
	char kernel[KERNELS_MAX][65];
	char unit[32];		/* of all figures */
	size_t nr_rows;
	struct history_row *row;
};

struct history_row {
	json_int_t number;
	char mechanism[KTRAMP_NAME_MAX];
	char handler[KTRAMP_NAME_MAX];
	char target[KTRAMP_NAME_MAX];
	json_t *result[KERNELS_MAX];	/* its line, or NULL */
};

int history_open(struct history **history)
{
	*history = calloc(1, sizeof(**history));
	if (*history)
		return 0;
	p_err("cannot keep the results: %s", strerror(ENOMEM));
	return -ENOMEM;
}

void history_close(struct history **history)
{
	if (!*history)
		return;
	for (size_t i = 0; i < (*history)->nr_rows; i++)
		for (size_t k = 0; k < KERNELS_MAX; k++)
			json_decref((*history)->row[i].result[k]);
	free((*history)->row);
	free(*history);
	*history = NULL;
}

/* The number of a kernel's column, a new one if need be, or -errno. */
static int column_of(struct history *history, const char *name, const char *kernel)
{
	size_t k;

	for (k = 0; k < history->nr_kernels; k++)
		if (!strcmp(history->kernel[k], kernel))
			return k;
	if (k == KERNELS_MAX) {
		p_err("'%s': more than %d kernels do not fit beside each other", name, KERNELS_MAX);
		return -E2BIG;
	}
	snprintf(history->kernel[k], sizeof(history->kernel[k]), "%s", kernel);
	return history->nr_kernels++;
}

static struct history_row *row_of(struct history *history, const json_t *line)
{
	struct history_row *row;

	for (size_t i = 0; i < history->nr_rows; i++) {
		row = &history->row[i];
		if (!strcmp(row->mechanism, json_text(line, "mechanism")) &&
		    !strcmp(row->handler, json_text(line, "handler")) &&
		    !strcmp(row->target, json_text(line, "target")))
			return row;
	}
	row = reallocarray(history->row, history->nr_rows + 1, sizeof(*row));
	if (!row) {
		p_err("cannot keep the results: %s", strerror(ENOMEM));
		return NULL;
	}
	history->row = row;
	row = &history->row[history->nr_rows++];
	*row = (struct history_row){ .number = json_count(line, "number") };
	snprintf(row->mechanism, sizeof(row->mechanism), "%s", json_text(line, "mechanism"));
	snprintf(row->handler, sizeof(row->handler), "%s", json_text(line, "handler"));
	snprintf(row->target, sizeof(row->target), "%s", json_text(line, "target"));
	return row;
}

/* Instructions and cycles are no history of each other. */
static int check_unit(struct history *history, const char *name, const json_t *line)
{
	const char *unit = json_text(line, "unit");

	if (!*history->unit)
		snprintf(history->unit, sizeof(history->unit), "%s", unit);
	if (!strcmp(history->unit, unit))
		return 0;
	p_err("'%s': figures of %s are in %s, those before it in %s: compare one unit", name,
	      json_text(line, "kernel"), *unit ? unit : "no unit", history->unit);
	return -EINVAL;
}

static int add_line(struct history *history, const char *name, json_t *line)
{
	const char *type = json_text(line, "type"), *kernel = json_text(line, "kernel");
	struct history_row *row;
	int column, err;

	/* The first line gives a kernel its place; the others come in any order. */
	if (strcmp(type, "run") && strcmp(type, "result"))
		return 0;
	if (!*kernel) {
		p_err("'%s': a line of type '%s' names no kernel", name, type);
		return -EBADMSG;
	}
	err = check_unit(history, name, line);
	if (err)
		return err;
	column = column_of(history, name, kernel);
	if (column < 0 || !strcmp(type, "run"))
		return MIN(column, 0);
	row = row_of(history, line);
	if (!row)
		return -ENOMEM;
	json_decref(row->result[column]);
	row->result[column] = json_incref(line);
	return 0;
}

static int add_lines(struct history *history, const char *name, FILE *file)
{
	unsigned int number = 0;
	char *text = NULL;
	size_t size = 0;
	int err = 0;

	while (!err && getline(&text, &size, file) >= 0) {
		json_t *line __cleanup(free_json) = NULL;
		json_error_t error;

		number++;
		if (!text[strspn(text, " \t\r\n")])
			continue;
		line = json_loads(text, 0, &error);
		if (line) {
			err = add_line(history, name, line);
		} else {
			p_err("'%s', line %u is not JSON: %s", name, number, error.text);
			err = -EBADMSG;
		}
	}
	if (!err && ferror(file)) {
		err = -EIO;
		p_err("cannot read '%s': %s", name, strerror(errno));
	}
	free(text);
	return err;
}

int history_add(struct history *history, const char *name)
{
	bool standard = !strcmp(name, "-");
	FILE *file = standard ? stdin : fopen(name, "re");
	int err;

	if (!file) {
		err = -errno;
		p_err("cannot read '%s': %s", name, strerror(-err));
		return err;
	}
	err = add_lines(history, name, file);
	if (!standard)
		fclose(file);
	return err;
}

bool history_is_empty(const struct history *history)
{
	return !history->nr_rows;
}

static int by_number(const void *a, const void *b)
{
	const struct history_row *x = a, *y = b;
	int order = (x->number > y->number) - (x->number < y->number);

	order = order ?: strcmp(x->mechanism, y->mechanism);
	order = order ?: strcmp(x->target, y->target);
	return order ?: strcmp(x->handler, y->handler);
}

static void sort_rows(struct history *history)
{
	if (history->nr_rows)
		qsort(history->row, history->nr_rows, sizeof(*history->row), by_number);
}

/* What a hit cost there, or NAN: unsupported, an error, or not measured. */
static double cost_on(const struct history_row *row, size_t kernel)
{
	const json_t *per_hit = json_object_get(row->result[kernel], "per_hit");
	const json_t *median = json_object_get(per_hit, "median");

	return json_is_number(median) ? json_number_value(median) : NAN;
}

/* The change in percent since the last kernel before it that has a figure, or NAN. */
static double change_on(const struct history_row *row, size_t kernel)
{
	double now = cost_on(row, kernel), was = NAN;

	while (kernel-- && isnan(was))
		was = cost_on(row, kernel);
	return was > 0 ? 100 * (now - was) / was : NAN;
}

static void cells_text(const struct history_row *row, size_t kernel, double percent, char *buf,
		       size_t size)
{
	const json_t *line = row->result[kernel];
	double cost = cost_on(row, kernel), change = change_on(row, kernel);
	int len;

	if (!line) {
		snprintf(buf, size, "-\t");
	} else if (*json_text(line, "error")) {
		snprintf(buf, size, "ERROR\t");
	} else if (isnan(cost)) {
		snprintf(buf, size, "%s\t", json_text(line, "reason"));
	} else {
		len = snprintf(buf, size, fabs(cost - round(cost)) < 0.005 ? "%.0f\t" : "%.2f\t",
			       cost);
		if (fabs(change) >= percent)
			snprintf(buf + len, size - len, "%+.0f%%", change);
	}
}

static bool has_series(const char *release, const char *series, size_t length)
{
	return !strncmp(release, series, length) && !strchr("0123456789", release[length]);
}

/* "6.12", as qemu/kernel takes it; where two have that, "6.12+deb13", or the whole release. */
static void heading(const struct history *history, size_t kernel, char *buf, size_t size)
{
	const char *release = history->kernel[kernel], *debian = strchr(release, '+');
	size_t series = strspn(release, "0123456789"), same = 0, similar = 0;
	int length = debian ? strcspn(debian, ".-") : 0;

	if (release[series] == '.')
		series += 1 + strspn(release + series + 1, "0123456789");
	for (size_t k = 0; k < history->nr_kernels; k++) {
		const char *other = strchr(history->kernel[k], '+');

		if (!has_series(history->kernel[k], release, series))
			continue;
		same++;
		similar += !debian || (other && has_series(other, debian, length));
	}
	if (!series || similar > 1)
		snprintf(buf, size, "%s", release);
	else
		snprintf(buf, size, "%.*s%.*s", (int)series, release, same > 1 ? length : 0,
			 debian ?: "");
}

int history_print(struct history *history, double percent)
{
	struct table table;
	char line[1024], text[64];
	int err, len;

	sort_rows(history);
	printf("%s of one hit above the call; %%: %g and more since the kernel before it\n",
	       !strcmp(history->unit, "instructions") ? "Instructions" : "Cycles", percent);
	table_init(&table, 2 + 2 * history->nr_kernels, ~3U);
	len = snprintf(line, sizeof(line), "MECHANISM\tTARGET");
	for (size_t k = 0; k < history->nr_kernels; k++) {
		heading(history, k, text, sizeof(text));
		len += snprintf(line + len, sizeof(line) - len, "\t%s\t", text);
	}
	table_add(&table, "%s", line);
	for (size_t i = 0; i < history->nr_rows; i++) {
		const struct history_row *row = &history->row[i];
		bool usual = !*row->handler || !strcmp(row->handler, handler_name(KTRAMP_COUNT)) ||
			     !strcmp(row->handler, handler_name(KTRAMP_BPF));

		len = snprintf(line, sizeof(line), "%s%s%s\t%s", row->mechanism, usual ? "" : " ",
			       usual ? "" : row->handler, *row->target ? row->target : "-");
		for (size_t k = 0; k < history->nr_kernels; k++) {
			cells_text(row, k, percent, text, sizeof(text));
			len += snprintf(line + len, sizeof(line) - len, "\t%s", text);
		}
		table_add(&table, "%s", line);
	}
	err = table_print(&table);
	table_deinit(&table);
	return err;
}

static json_t *number_or_null(double value)
{
	return isnan(value) ? json_null() : json_number(value);
}

static json_t *field(const json_t *line, const char *key)
{
	json_t *value = json_object_get(line, key);

	return value ? json_incref(value) : json_null();
}

static json_t *costs_json(const struct history *history, const struct history_row *row)
{
	json_t *costs = json_array();

	for (size_t k = 0; k < history->nr_kernels; k++) {
		const json_t *line = row->result[k];

		json_array_append_new(costs, json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			"kernel", history->kernel[k],
			"per_hit", number_or_null(cost_on(row, k)),
			"change", number_or_null(change_on(row, k)),
			"bp", field(line, "bp"),
			"db", field(line, "db"),
			"unsupported", field(line, "unsupported"),
			"reason", field(line, "reason"),
			"error", field(line, "error")));
	}
	return costs;
}

int history_lines(struct history *history)
{
	int err = 0;

	sort_rows(history);
	for (size_t i = 0; i < history->nr_rows && !err; i++) {
		const struct history_row *row = &history->row[i];

		err = out_line(stdout, json_pack("{s:s, s:s, s:s, s:I, s:o, s:o, s:o}",
			"type", "history",
			"unit", history->unit,
			"mechanism", row->mechanism,
			"number", row->number,
			"handler", *row->handler ? json_string(row->handler) : json_null(),
			"target", *row->target ? json_string(row->target) : json_null(),
			"costs", costs_json(history, row)));
	}
	return err;
}

unsigned int history_errors(const struct history *history)
{
	unsigned int errors = 0;

	for (size_t i = 0; i < history->nr_rows; i++)
		for (size_t k = 0; k < history->nr_kernels; k++) {
			const struct history_row *row = &history->row[i];
			const char *error = json_text(row->result[k], "error");

			if (!*error)
				continue;
			errors++;
			p_err("%s on %s: %s", row->mechanism, history->kernel[k], error);
		}
	return errors;
}
