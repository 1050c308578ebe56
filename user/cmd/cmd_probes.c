// SPDX-License-Identifier: GPL-2.0-only
/* ktramp probes: what is probed right now, by anybody. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/ktramp.h"

struct options {
	bool cpus;
};

static const struct argp_option options[] = {
	{ "cpus", 'c', NULL, 0, "Show each CPU's part of the counters too", 0 },
	{ }
};

static const char doc[] =
	"List the probes that exist, of all owners, as they are now.\v"
	"A probe belongs to the program that made it and goes with it, unless it was made to "
	"stay, as by 'ktramp add'. 'stuck' is a probe over whose bytes somebody else has "
	"patched.\n\n"
	"MISSED are hits whose handler did not run, RECURSED those of them that came while a "
	"handler was running on that CPU, FILTERED hits of other processes than the probe is for. "
	"The displaced instruction was executed in every case.\n\n"
	"Exit status: 0, 1 if the module cannot be asked, 2 on wrong usage.\n\n"
	"Examples:\n"
	"  ktramp probes\n"
	"  ktramp probes --cpus\n"
	"  ktramp probes --json | jq 'select(.state == \"armed\").site'\n";

static error_t parse(int key, char *arg __unused, struct argp_state *state)
{
	struct options *opts = state->input;

	switch (key) {
	case 'c':
		opts->cpus = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = CMD_ARGP(NULL);

static const char *mechanism_name(const struct dev *dev, uint32_t mechanism)
{
	for (unsigned int i = 0; i < dev->nr_mechanisms; i++)
		if (dev->mechanisms[i].mechanism == mechanism)
			return dev->mechanisms[i].name;
	return "unknown";
}

/* A CPU that never was there has no counters; one that counted nothing is not worth a line. */
static bool read_cpu(const struct dev *dev, uint32_t id, uint32_t cpu, struct ktramp_cpu_stat *stat)
{
	return !dev_cpu_stat(dev, id, cpu, stat) &&
	       (stat->hits || stat->missed || stat->filtered);
}

static bool is_ours(const struct dev *dev, uint32_t mechanism)
{
	for (unsigned int i = 0; i < dev->nr_mechanisms; i++)
		if (dev->mechanisms[i].mechanism == mechanism)
			return dev->mechanisms[i].kind == KTRAMP_KIND_OURS;
	return false;
}

/*
 * The counters of the CPUs that have any, to @stats, which has room for all. It is hit meanwhile:
 * what is counted in all is their sum then, not what it was a moment ago. But what the kernel
 * itself missed, of its own mechanisms, is no CPU's.
 */
static unsigned int read_cpus(const struct dev *dev, struct ktramp_probe_info *probe,
			      struct ktramp_cpu_stat *stats)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	struct ktramp_cpu_stat sum = { 0 };
	unsigned int nr = 0;

	for (long cpu = 0; cpu < cpus; cpu++) {
		if (!read_cpu(dev, probe->id, cpu, &stats[nr]))
			continue;
		sum.hits += stats[nr].hits;
		sum.missed += stats[nr].missed;
		sum.recursed += stats[nr].recursed;
		sum.filtered += stats[nr].filtered;
		nr++;
	}
	if (is_ours(dev, probe->mechanism)) {
		probe->hits = sum.hits;
		probe->missed = sum.missed;
		probe->recursed = sum.recursed;
		probe->filtered = sum.filtered;
	}
	return nr;
}

static struct ktramp_cpu_stat *alloc_stats(void)
{
	return calloc(MAX(sysconf(_SC_NPROCESSORS_CONF), 1), sizeof(struct ktramp_cpu_stat));
}

static json_t *cpus_json(const struct dev *dev, struct ktramp_probe_info *probe)
{
	struct ktramp_cpu_stat *stats = alloc_stats();
	unsigned int nr = stats ? read_cpus(dev, probe, stats) : 0;
	json_t *array = json_array();

	for (unsigned int i = 0; i < nr; i++)
		json_array_append_new(array, json_pack("{s:I, s:I, s:I, s:I, s:I}",
			"cpu", (json_int_t)stats[i].cpu,
			"hits", (json_int_t)stats[i].hits,
			"missed", (json_int_t)stats[i].missed,
			"recursed", (json_int_t)stats[i].recursed,
			"filtered", (json_int_t)stats[i].filtered));
	free(stats);
	return array;
}

/* What the detour does for its program; null where there is none. */
json_t *class_json(const struct ktramp_probe_info *probe)
{
	return probe->bpf_class ? json_string(class_name(probe->bpf_class)) : json_null();
}

json_t *probe_json(const struct dev *dev, const struct ktramp_probe_info *read)
{
	struct ktramp_probe_info copy = *read, *probe = &copy;
	uint32_t length = MIN(probe->length, KTRAMP_BYTES_MAX);
	json_t *cpus = cpus_json(dev, probe);

	return json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:o,"
			 " s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "type", "probe",
			 "id", (json_int_t)probe->id,
			 "site", probe->site,
			 "mechanism", mechanism_name(dev, probe->mechanism),
			 "handler", handler_name(probe->handler),
			 "tactic", tactic_name(probe->tactic),
			 "state", state_name(probe->state),
			 "keep", probe->keep != 0,
			 "pid", (json_int_t)probe->pid,
			 "hits", (json_int_t)probe->hits,
			 "missed", (json_int_t)probe->missed,
			 "recursed", (json_int_t)probe->recursed,
			 "filtered", (json_int_t)probe->filtered,
			 "cpus", cpus,
			 "address", json_address(probe->address),
			 "slot", json_address(probe->slot),
			 "detour", json_address(probe->detour),
			 "springboard", json_address(probe->springboard),
			 "slot_len", (json_int_t)probe->slot_len,
			 "detour_len", (json_int_t)probe->detour_len,
			 "memory", (json_int_t)probe->memory,
			 "before", json_hex(probe->before, length),
			 "now", json_hex(probe->now, length),
			 "class", class_json(probe),
			 "class_why", *probe->bpf_why ? json_string(probe->bpf_why) : json_null(),
			 "entry", entry_json(probe->entry),
			 "entry_why", *probe->entry_why ? json_string(probe->entry_why) :
							  json_null());
}

static void probe_row(const struct dev *dev, const struct ktramp_probe_info *probe,
		      struct table *table)
{
	char before[3 * KTRAMP_BYTES_MAX + 1], now[3 * KTRAMP_BYTES_MAX + 1];
	uint32_t length = MIN(probe->length, KTRAMP_BYTES_MAX);
	char mechanism[2 * KTRAMP_NAME_MAX];

	snprintf(mechanism, sizeof(mechanism), probe->bpf_class ? "%s %s" : "%s",
		 mechanism_name(dev, probe->mechanism), class_name(probe->bpf_class));
	table_add(table, "%u\t%s\t%s\t%s\t%llu\t%llu\t%llu\t%llu\t%s\t%s", probe->id,
		  probe->site, mechanism, state_name(probe->state),
		  probe->hits, probe->missed, probe->recursed, probe->filtered,
		  hex(before, sizeof(before), probe->before, length),
		  hex(now, sizeof(now), probe->now, length));
}

/* A row for each CPU as well, whose sum the probe's is. */
static void probe_rows(const struct dev *dev, struct ktramp_probe_info *probe,
		       struct table *table)
{
	struct ktramp_cpu_stat *stats = alloc_stats();
	unsigned int nr = stats ? read_cpus(dev, probe, stats) : 0;

	probe_row(dev, probe, table);
	for (unsigned int i = 0; i < nr; i++)
		table_add(table, "\t  CPU %u\t\t\t%llu\t%llu\t%llu\t%llu", stats[i].cpu,
			  stats[i].hits, stats[i].missed, stats[i].recursed, stats[i].filtered);
	free(stats);
}

static int each_probe(const struct dev *dev, const struct options *opts, struct table *table)
{
	struct ktramp_probe_info probe;

	for (uint32_t id = 1; id; id = probe.id + 1) {
		int err = dev_probe(dev, id, KTRAMP_PROBE_NEXT, &probe);

		if (err == -ENOENT)
			return 0;
		if (err) {
			p_err("cannot read the probes from number %u on: %s", id, strerror(-err));
			return err;
		}
		if (out_json && out_line(stdout, probe_json(dev, &probe)))
			return -EIO;
		if (!out_json && opts->cpus)
			probe_rows(dev, &probe, table);
		else if (!out_json)
			probe_row(dev, &probe, table);
	}
	return 0;
}

int cmd_probes(int argc, char **argv)
{
	struct dev dev __cleanup(dev_close) = { .fd = -1 };
	struct options opts = { 0 };
	struct table table;
	int err;

	argp_parse(&argp, argc, argv, 0, NULL, &opts);
	err = dev_open(&dev);
	if (err)
		return EXIT_FAILED;

	table_init(&table, 10, 0xf1);
	table_add(&table, "ID\tSITE\tMECHANISM\tSTATE\tHITS\tMISSED\tRECURSED\tFILTERED\t"
		  "BEFORE\tNOW");
	err = each_probe(&dev, &opts, &table);
	if (!err && !out_json)
		err = table_print(&table);
	table_deinit(&table);
	return err ? EXIT_FAILED : EXIT_OK;
}
