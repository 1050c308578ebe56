// SPDX-License-Identifier: GPL-2.0-only
/* ktramp targets: the module's functions whose instructions are known. */
#include "lib/ktramp.h"

static const char doc[] =
	"List the targets: functions of the module, each around one instruction that a trampoline "
	"may find difficult, each with a known result.\v"
	"The bytes are those at the site now: a probe that is armed shows.\n\n"
	"Exit status: 0, 1 if the module cannot be asked, 2 on wrong usage.\n\n"
	"Examples:\n"
	"  ktramp targets\n"
	"  ktramp targets --json | jq -r .name\n";

static const struct argp argp = { .doc = doc, .children = out_children };

static json_t *target_json(const struct ktramp_target_info *target)
{
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:s, s:s, s:s}",
			 "type", "target",
			 "name", target->name,
			 "site", target->site,
			 "offset", (json_int_t)target->offset,
			 "length", (json_int_t)target->length,
			 "func_size", (json_int_t)target->func_size,
			 "entered", (json_int_t)target->entered,
			 "address", json_address(target->address),
			 "bytes", json_hex(target->bytes, MIN(target->length, KTRAMP_BYTES_MAX)),
			 "insn", target->insn,
			 "base", target->base,
			 "text", target->text);
}

static int print_json(const struct dev *dev)
{
	for (unsigned int i = 0; i < dev->nr_targets; i++) {
		int err = out_line(stdout, target_json(&dev->targets[i]));

		if (err)
			return err;
	}
	return 0;
}

static int print_table(const struct dev *dev)
{
	struct table table;
	int err;

	table_init(&table, 5, 0);
	table_add(&table, "TARGET\tSITE\tBYTES\tINSTRUCTION\tWHAT IS DIFFICULT");
	for (unsigned int i = 0; i < dev->nr_targets; i++) {
		const struct ktramp_target_info *target = &dev->targets[i];
		char bytes[3 * KTRAMP_BYTES_MAX + 1];

		hex(bytes, sizeof(bytes), target->bytes, MIN(target->length, KTRAMP_BYTES_MAX));
		table_add(&table, "%s\t%s\t%s\t%s\t%s", target->name, target->site, bytes,
			  target->insn, target->text);
	}
	err = table_print(&table);
	table_deinit(&table);
	return err;
}

int cmd_targets(int argc, char **argv)
{
	struct dev dev __cleanup(dev_close) = { .fd = -1 };
	int err;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	err = dev_open(&dev);
	if (!err)
		err = out_json ? print_json(&dev) : print_table(&dev);
	return err ? EXIT_FAILED : EXIT_OK;
}
