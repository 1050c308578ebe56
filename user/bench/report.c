// SPDX-License-Identifier: GPL-2.0-only
/* What the bench found, as JSON Lines (Documentation/results.rst) and as a table. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "lib/ktramp.h"

#define SCHEMA	1

static json_t *string_or_null(const char *text)
{
	return text && *text ? json_string(text) : json_null();
}

static json_t *trap_or_null(double per_hit)
{
	return per_hit < 0 ? json_null() : json_number(per_hit);
}

json_t *report_run(const struct dev *dev, const struct bench_config *config,
		   const struct run_facts *facts)
{
	return json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:s, s:I, s:o,"
			 " s:I, s:I, s:I}",
			 "type", "run",
			 "schema", SCHEMA,
			 "kernel", facts->uts.release,
			 "machine", facts->uts.machine,
			 "clock", clock_name(dev->info.clock),
			 "unit", clock_unit(dev->info.clock),
			 "cpu", facts->cpu,
			 "emulated", facts->emulated,
			 "tsc_khz", (json_int_t)dev->info.tsc_khz,
			 "cpus", (json_int_t)sysconf(_SC_NPROCESSORS_ONLN),
			 "pinned", (json_int_t)config->cpu,
			 "module", dev->info.version,
			 "abi", (json_int_t)dev->info.abi,
			 "config", config_json(dev->info.config),
			 "hits", (json_int_t)config->hits,
			 "repeat", (json_int_t)config->repeat,
			 "seed", (json_int_t)config->seed);
}

static json_t *per_hit_json(const struct dev *dev, const struct spread *spread)
{
	json_t *object = json_pack("{s:o, s:o, s:o}", "median", json_number(spread->median),
				   "min", json_number(spread->min), "max",
				   json_number(spread->max));

	if (object && dev->info.clock != KTRAMP_CLOCK_ICOUNT)
		json_object_update_new(object,
				       json_pack("{s:o, s:[oo]}", "mad", json_number(spread->mad),
						 "ci95", json_number(spread->low),
						 json_number(spread->high)));
	return object;
}

json_t *report_row(const struct dev *dev, const struct run_facts *facts, const struct row *row)
{
	bool ok = row->state == ROW_OK;

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o,"
			 " s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "type", "result",
			 "kernel", facts->uts.release,
			 "clock", clock_name(dev->info.clock),
			 "unit", clock_unit(dev->info.clock),
			 "mechanism", row->mechanism->name,
			 "number", (json_int_t)row->mechanism->mechanism,
			 "handler", string_or_null(row->handler ? handler_name(row->handler) : ""),
			 "target", string_or_null(row->target ? row->target->name : ""),
			 "site", string_or_null(row->site),
			 "hits", (json_int_t)row->hits,
			 "missed", (json_int_t)row->missed,
			 "per_hit", ok ? per_hit_json(dev, &row->per_hit) : json_null(),
			 "call", ok ? json_number(row->call) : json_null(),
			 "bp", trap_or_null(row->bp),
			 "db", trap_or_null(row->db),
			 "bytes", row->nr_bytes ? json_hex(row->bytes, row->nr_bytes) : json_null(),
			 "entry", entry_json(row->entry),
			 "entry_why", string_or_null(row->entry_why),
			 "unsupported", string_or_null(row->state == ROW_UNSUPPORTED ? row->why :
						       ""),
			 "reason", row->reason ? json_string(reason_name(row->reason)) :
				   json_null(),
			 "error", string_or_null(row->state == ROW_ERROR ? row->why : ""));
}

static const char *number(char *buf, size_t size, double value)
{
	if (value < 0 && value > -1e-9)
		value = 0;
	snprintf(buf, size, fabs(value - round(value)) < 0.005 ? "%.0f" : "%.2f", value);
	return buf;
}

static const char *trap(char *buf, size_t size, double per_hit)
{
	return per_hit < 0 ? "?" : number(buf, size, per_hit);
}

static const char *cost(char *buf, size_t size, const struct dev *dev,
			const struct spread *spread)
{
	char median[32], low[32], high[32];

	number(median, sizeof(median), spread->median);
	if (dev->info.clock != KTRAMP_CLOCK_ICOUNT)
		snprintf(buf, size, "%.1f +/- %.1f", spread->median, spread->mad);
	else if (spread->min == spread->max)
		snprintf(buf, size, "%s", median);
	else
		snprintf(buf, size, "%s (%s..%s)", median,
			 number(low, sizeof(low), spread->min),
			 number(high, sizeof(high), spread->max));
	return buf;
}

static void add_row(struct table *table, const struct dev *dev, const struct row *row)
{
	char what[KTRAMP_NAME_MAX * 2], costs[96], bps[32], dbs[32], bytes[64];
	const char *target = row->target ? row->target->name : "-";
	bool unusual = row->handler && row->handler != handler_usual(row->mechanism->handlers);
	double ratio = 1;

	/* The handler is named where it is not the usual one. */
	snprintf(what, sizeof(what), "%s%s%s", row->mechanism->name,
		 unusual ? " " : "", unusual ? handler_name(row->handler) : "");

	if (row->state != ROW_OK) {
		table_add(table, "%s\t%s\t-\t-\t-\t-\t%s: %s", what, target,
			  row->state == ROW_ERROR ? "ERROR" : "unsupported", row->why);
		return;
	}
	if (row->mechanism->mechanism != KTRAMP_CALL && row->call > 0)
		ratio = (row->call + row->per_hit.median) / row->call;
	table_add(table, "%s\t%s\t%s\t%.2f\t%s\t%s\t%s", what, target,
		  cost(costs, sizeof(costs), dev, &row->per_hit), ratio,
		  trap(bps, sizeof(bps), row->bp), trap(dbs, sizeof(dbs), row->db),
		  hex(bytes, sizeof(bytes), row->bytes, row->nr_bytes));
}

int report_table(const struct dev *dev, const struct bench_config *config,
		 const struct run_facts *facts, const struct row *rows, size_t n)
{
	bool exact = dev->info.clock == KTRAMP_CLOCK_ICOUNT;
	struct table table;
	int err;

	printf("Linux %s, %s, %s: %s of one hit above the call, %u hits x %u\n",
	       facts->uts.release, facts->cpu, clock_name(dev->info.clock),
	       exact ? "instructions" :
	       facts->emulated ? "EMULATED cycles (no CPU's cost)" : "cycles",
	       config->hits, config->repeat);

	table_init(&table, 7, 0x3c);
	table_add(&table, "MECHANISM\tTARGET\t%s\tRATIO\t#BP\t#DB\tBYTES",
		  exact ? "INSNS" : facts->emulated ? "EMULATED" : "CYCLES");
	for (size_t i = 0; i < n; i++)
		if (rows[i].state != ROW_PENDING)
			add_row(&table, dev, &rows[i]);
	err = table_print(&table);
	table_deinit(&table);
	return err;
}
