// SPDX-License-Identifier: GPL-2.0-only
/* The five ways beside each other: how long, and what the kernel did. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "overlay/overlay.h"

static const char *const states[] = {
	[MOUNT_OK] = "ok", [MOUNT_REFUSED] = "refused", [MOUNT_FAILED] = "failed",
};

/* Time is counted in nanoseconds, which with icount is one an instruction. */
static const char *unit(const struct overlay_report *report)
{
	return report->clock == KTRAMP_CLOCK_ICOUNT ? "instructions" : "ns";
}

static json_t *spread_json(const struct spread *spread)
{
	return json_pack("{s:o, s:o, s:o, s:o}",
			 "median", json_number(spread->median), "min", json_number(spread->min),
			 "max", json_number(spread->max), "mad", json_number(spread->mad));
}

/* null: this kernel has no such function, which is not the same as 0 calls. */
static json_t *counts_json(const struct mode_row *row, const struct overlay_probes *probes)
{
	json_t *counts = json_object();

	for (unsigned int i = 0; i < overlay_nr_points; i++)
		json_object_set_new(counts, overlay_points[i].function,
				    probes->own[i] ? json_integer(row->count[i]) : json_null());
	return counts;
}

static json_t *text_or_null(const char *text)
{
	return *text ? json_string(text) : json_null();
}

static json_t *row_json(const struct overlay_report *report, const struct mode_row *row,
			const struct overlay_probes *probes)
{
	bool ok = row->state == MOUNT_OK;

	return json_pack("{s:s, s:s, s:s, s:o, s:s, s:o, s:i, s:i, s:i, s:o, s:s,"
			 " s:o, s:o, s:o, s:o, s:o}",
		"type", "overlay",
		"mode", overlay_mode_names[row->mode],
		"used", overlay_mode_names[row->used],
		"fallback", text_or_null(row->fallback),
		"state", states[row->state],
		"why", text_or_null(row->why),
		"layers", report->layers,
		"rss", report->rss,
		"repeat", report->repeat,
		"bytes", row->bytes ? json_integer(row->bytes) : json_null(),
		"unit", unit(report),
		"setup", ok ? spread_json(&row->setup) : json_null(),
		"mount", ok ? spread_json(&row->mount) : json_null(),
		"teardown", ok ? spread_json(&row->teardown) : json_null(),
		"total", ok ? spread_json(&row->total) : json_null(),
		"counts", ok ? counts_json(row, probes) : json_null());
}

static json_t *point_json(unsigned int i, const struct overlay_probes *probes)
{
	return json_pack("{s:s, s:s, s:o, s:o}",
		"type", "overlay-probe",
		"function", overlay_points[i].function,
		"site", probes->own[i] ? json_string(probes->site[i]) : json_null(),
		"why", probes->own[i] ? json_null() : text_or_null(probes->why[i]));
}

static int print_json(const struct overlay_report *report, const struct overlay_probes *probes)
{
	for (unsigned int i = 0; i < overlay_nr_points; i++)
		if (out_line(stdout, point_json(i, probes)))
			return -EIO;
	for (unsigned int i = 0; i < report->nr; i++)
		if (out_line(stdout, row_json(report, &report->rows[i], probes)))
			return -EIO;
	return 0;
}

static int print_times(const struct overlay_report *report)
{
	struct table table;
	int err;

	table_init(&table, 7, 0x3e);
	table_add(&table, "MODE\tBYTES\tSETUP\tMOUNT\tTEARDOWN\tTOTAL");
	for (unsigned int i = 0; i < report->nr; i++) {
		const struct mode_row *row = &report->rows[i];
		char bytes[16] = "-";

		if (row->bytes)
			snprintf(bytes, sizeof(bytes), "%u", row->bytes);
		if (row->state == MOUNT_OK)
			table_add(&table, "%s\t%s\t%.0f\t%.0f\t%.0f\t%.0f\t%s%s",
				  overlay_mode_names[row->mode], bytes, row->setup.median,
				  row->mount.median, row->teardown.median, row->total.median,
				  row->used == row->mode ? "" : "as ",
				  row->used == row->mode ? "" : overlay_mode_names[row->used]);
		else
			table_add(&table, "%s\t%s\t-\t-\t-\t-\t%s", overlay_mode_names[row->mode],
				  bytes, states[row->state]);
	}
	err = table_print(&table);
	table_deinit(&table);
	return err;
}

static void print_notes(const struct overlay_report *report)
{
	for (unsigned int i = 0; i < report->nr; i++) {
		const struct mode_row *row = &report->rows[i];

		if (row->state == MOUNT_REFUSED)
			printf("%s: %s\n", overlay_mode_names[row->mode], row->why);
		if (row->used != row->mode)
			printf("%s: %s; fell back to %s\n", overlay_mode_names[row->mode],
			       row->fallback, overlay_mode_names[row->used]);
	}
}

static void add_cell(char *line, size_t size, const char *fmt, const char *text)
{
	size_t len = strlen(line);

	snprintf(line + len, size - len, fmt, text);
}

/* Functions that none of the modes called would be lines of zeros. */
static bool called(const struct overlay_report *report, unsigned int point)
{
	for (unsigned int i = 0; i < report->nr; i++)
		if (report->rows[i].count[point])
			return true;
	return false;
}

static int print_counts(const struct overlay_report *report, const struct overlay_probes *probes)
{
	char line[256] = "FUNCTION";
	struct table table;
	int err;

	table_init(&table, 1 + report->nr, 0xfe);
	for (unsigned int i = 0; i < report->nr; i++)
		add_cell(line, sizeof(line), "\t%s", overlay_mode_names[report->rows[i].mode]);
	table_add(&table, "%s", line);
	for (unsigned int point = 0; point < overlay_nr_points; point++) {
		if (!called(report, point))
			continue;
		snprintf(line, sizeof(line), "%s", overlay_points[point].function);
		for (unsigned int i = 0; i < report->nr; i++) {
			char count[24] = "-";

			if (report->rows[i].state == MOUNT_OK)
				snprintf(count, sizeof(count), "%llu",
					 (unsigned long long)report->rows[i].count[point]);
			add_cell(line, sizeof(line), "\t%s", count);
		}
		table_add(&table, "%s", line);
	}
	err = table_print(&table);
	table_deinit(&table);
	if (err)
		return err;
	for (unsigned int i = 0; i < overlay_nr_points; i++)
		if (!probes->own[i])
			printf("not probed: %s: %s\n", overlay_points[i].function, probes->why[i]);
	return 0;
}

int overlay_report(const struct overlay_report *report, const struct overlay_probes *probes)
{
	bool good = false;
	int err;

	if (out_json)
		return print_json(report, probes);
	printf("%u layers, %u MiB in use; median of %u mounts, %s\n", report->layers, report->rss,
	       report->repeat, unit(report));
	err = print_times(report);
	if (err)
		return err;
	print_notes(report);
	for (unsigned int i = 0; i < report->nr; i++)
		good |= report->rows[i].state == MOUNT_OK;
	if (!good)
		return 0;
	printf("\none mount's calls, as ktramp's probes counted them\n");
	return print_counts(report, probes);
}
