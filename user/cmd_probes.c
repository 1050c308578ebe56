// SPDX-License-Identifier: GPL-2.0-only
/* ktramp probes: what is probed right now, by anybody. */
#include <errno.h>
#include <string.h>

#include "ktramp.h"

static const char doc[] =
	"List the probes that exist, of all owners, as they are now.\v"
	"A probe belongs to the program that made it and goes with it, unless it was made to "
	"stay. 'stuck' is a probe over whose bytes somebody else has patched.\n\n"
	"Exit status: 0, 1 if the module cannot be asked, 2 on wrong usage.\n\n"
	"Examples:\n"
	"  ktramp probes\n"
	"  ktramp probes --json | jq 'select(.state == \"armed\").site'\n";

static const struct argp_child children[] = { { &out_argp, 0, NULL, 0 }, { } };
static const struct argp argp = { .doc = doc, .children = children };

static const char *mechanism_name(const struct dev *dev, uint32_t mechanism)
{
	for (unsigned int i = 0; i < dev->nr_mechanisms; i++)
		if (dev->mechanisms[i].mechanism == mechanism)
			return dev->mechanisms[i].name;
	return "unknown";
}

static json_t *probe_json(const struct dev *dev, const struct ktramp_probe_info *probe)
{
	uint32_t length = MIN(probe->length, KTRAMP_BYTES_MAX);

	return json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:o, s:o, s:o, s:I, s:I,"
			 " s:I, s:o, s:o}",
			 "type", "probe",
			 "id", (json_int_t)probe->id,
			 "site", probe->site,
			 "mechanism", mechanism_name(dev, probe->mechanism),
			 "handler", handler_name(probe->handler),
			 "state", state_name(probe->state),
			 "keep", probe->keep != 0,
			 "hits", (json_int_t)probe->hits,
			 "missed", (json_int_t)probe->missed,
			 "address", json_address(probe->address),
			 "slot", json_address(probe->slot),
			 "detour", json_address(probe->detour),
			 "slot_len", (json_int_t)probe->slot_len,
			 "detour_len", (json_int_t)probe->detour_len,
			 "memory", (json_int_t)probe->memory,
			 "before", json_hex(probe->before, length),
			 "now", json_hex(probe->now, length));
}

static void probe_row(const struct dev *dev, const struct ktramp_probe_info *probe,
		      struct table *table)
{
	char before[3 * KTRAMP_BYTES_MAX + 1], now[3 * KTRAMP_BYTES_MAX + 1];
	uint32_t length = MIN(probe->length, KTRAMP_BYTES_MAX);

	table_add(table, "%u\t%s\t%s\t%s\t%llu\t%llu\t%s\t%s", probe->id,
		  probe->site, mechanism_name(dev, probe->mechanism), state_name(probe->state),
		  probe->hits, probe->missed,
		  hex(before, sizeof(before), probe->before, length),
		  hex(now, sizeof(now), probe->now, length));
}

static int each_probe(const struct dev *dev, struct table *table)
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
		if (!out_json)
			probe_row(dev, &probe, table);
		else if (out_line(stdout, probe_json(dev, &probe)))
			return -EIO;
	}
	return 0;
}

int cmd_probes(int argc, char **argv)
{
	struct dev dev __cleanup(dev_close) = { .fd = -1 };
	struct table table;
	int err;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	err = dev_open(&dev);
	if (err)
		return EXIT_FAILED;

	table_init(&table, 8, 0x31);
	table_add(&table, "ID\tSITE\tMECHANISM\tSTATE\tHITS\tMISSED\tBEFORE\tNOW");
	err = each_probe(&dev, &table);
	if (!err && !out_json)
		err = table_print(&table);
	table_deinit(&table);
	return err ? EXIT_FAILED : EXIT_OK;
}
