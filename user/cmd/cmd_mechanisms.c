// SPDX-License-Identifier: GPL-2.0-only
/* ktramp mechanisms: the ways to leave a site, and whether this kernel has them. */
#include "lib/ktramp.h"

static const char doc[] =
	"List every mechanism: whose it is (ours is the module's engine, kernel is the kernel's "
	"own), the target it is measured on by default, the handlers it can run, and why this "
	"kernel cannot do it, where it cannot.\v"
	"Exit status: 0, 1 if the module cannot be asked, 2 on wrong usage.\n\n"
	"Examples:\n"
	"  ktramp mechanisms\n"
	"  ktramp mechanisms --json | jq -r 'select(.unsupported == null).name'\n";

static const struct argp argp = { .doc = doc, .children = out_children };

static json_t *handlers_json(uint32_t handlers)
{
	json_t *list = json_array();

	for (uint32_t i = KTRAMP_COUNT; i <= KTRAMP_BPF_INLINE; i++)
		if (handlers & (1U << i))
			json_array_append_new(list, json_string(handler_name(i)));
	return list;
}

static void handlers_text(uint32_t handlers, char *buf, size_t size)
{
	size_t len = 0;

	snprintf(buf, size, "-");
	for (uint32_t i = KTRAMP_COUNT; i <= KTRAMP_BPF_INLINE && len < size; i++)
		if (handlers & (1U << i))
			len += snprintf(buf + len, size - len, "%s%s", len ? "," : "",
					handler_name(i));
}

static json_t *mechanism_json(const struct ktramp_mechanism_info *mechanism)
{
	bool supported = mechanism->reason == KTRAMP_R_NONE;

	return json_pack("{s:s, s:s, s:s, s:o, s:b, s:o, s:s, s:o, s:o}",
			 "type", "mechanism",
			 "name", mechanism->name,
			 "kind", kind_name(mechanism->kind),
			 "target", *mechanism->target ? json_string(mechanism->target) :
				   json_null(),
			 "at_entry", mechanism->at_entry != 0,
			 "handlers", handlers_json(mechanism->handlers),
			 "text", mechanism->text,
			 "unsupported", supported ? json_null() : json_string(mechanism->why),
			 "reason", supported ? json_null() :
				   json_string(reason_name(mechanism->reason)));
}

static int print_json(const struct dev *dev)
{
	for (unsigned int i = 0; i < dev->nr_mechanisms; i++) {
		int err = out_line(stdout, mechanism_json(&dev->mechanisms[i]));

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
	table_add(&table, "MECHANISM\tWHOSE\tTARGET\tHANDLERS\tWHAT IT IS");
	for (unsigned int i = 0; i < dev->nr_mechanisms; i++) {
		const struct ktramp_mechanism_info *mechanism = &dev->mechanisms[i];
		bool supported = mechanism->reason == KTRAMP_R_NONE;
		char handlers[64];

		handlers_text(mechanism->handlers, handlers, sizeof(handlers));
		table_add(&table, "%s\t%s\t%s\t%s\t%s%s", mechanism->name,
			  kind_name(mechanism->kind), *mechanism->target ? mechanism->target : "-",
			  handlers, supported ? "" : "unsupported: ",
			  supported ? mechanism->text : mechanism->why);
	}
	err = table_print(&table);
	table_deinit(&table);
	return err;
}

int cmd_mechanisms(int argc, char **argv)
{
	struct dev dev __cleanup(dev_close) = { .fd = -1 };
	int err;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	err = dev_open(&dev);
	if (!err)
		err = out_json ? print_json(&dev) : print_table(&dev);
	return err ? EXIT_FAILED : EXIT_OK;
}
