// SPDX-License-Identifier: GPL-2.0-only
/*
 * Would the module probe what a hit runs through? An int3 on the way from a breakpoint to
 * the module's own handler never returns. So every instruction that a hit of the module's
 * own mechanisms executed is asked for, with each of these mechanisms.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "xray/xray_record.h"

struct xray_path {
	size_t nr;
	uint64_t *address;
};

static bool is_known(const struct xray_path *path, uint64_t address)
{
	for (size_t i = 0; i < path->nr; i++)
		if (path->address[i] == address)
			return true;
	return false;
}

static int add(struct xray_path *path, uint64_t address)
{
	uint64_t *last;

	if (is_known(path, address))
		return 0;
	last = array_more(path->address, path->nr);
	if (!last)
		return -ENOMEM;
	*last = address;
	path->nr++;
	return 0;
}

struct xray_path *xray_path_new(void)
{
	return calloc(1, sizeof(struct xray_path));
}

void xray_path_free(struct xray_path *path)
{
	if (path)
		free(path->address);
	free(path);
}

/* What was in the hits since the last XRAY_START. */
int xray_path_add(struct xray_path *path, struct xray_order *order)
{
	int err = 0;

	order->first = 0;
	do {
		err = xray_give_order(order, XRAY_ASK);
		for (size_t i = 0; i < XRAY_LIST && order->first + i < order->nr && !err; i++)
			err = add(path, order->address[i]);
		order->first += XRAY_LIST;
	} while (order->first < order->nr && !err);
	return err;
}

/* Probes that were accepted, and wait to be destroyed: they share a grace period. */
struct made {
	uint32_t nr;
	uint32_t ids[512];
};

static int destroy(const struct dev *dev, struct made *made)
{
	struct ktramp_batch batch;
	int err = made->nr ? dev_batch(dev, KTRAMP_IOC_DESTROY, made->ids, made->nr, &batch) : 0;

	made->nr = 0;
	return err;
}

/* The names of the mechanisms that would probe there; the last refusal's reason. */
static json_t *ask(const struct dev *dev, uint64_t address, struct made *made, uint32_t *reason,
		   int *error)
{
	json_t *accepted = json_array();

	*error = made->nr + dev->nr_mechanisms > ARRAY_SIZE(made->ids) ? destroy(dev, made) : 0;
	for (unsigned int i = 0; i < dev->nr_mechanisms; i++) {
		const struct ktramp_mechanism_info *mechanism = &dev->mechanisms[i];
		struct ktramp_create create = {
			.mechanism	= mechanism->mechanism,
			.handler	= KTRAMP_COUNT,
		};
		int err;

		if (mechanism->kind != KTRAMP_KIND_OURS || mechanism->reason ||
		    !(mechanism->handlers & (1U << KTRAMP_COUNT)))
			continue;
		snprintf(create.site, sizeof(create.site), "0x%" PRIx64, address);
		err = dev_create(dev, &create);
		if (!err) {
			json_array_append_new(accepted, json_string(mechanism->name));
			made->ids[made->nr++] = create.id;
			continue;
		}
		/* Of the function, where there is one: what is about the bytes comes later. */
		if (create.reason)
			*reason = create.reason;
		else
			*error = err;
	}
	return accepted;
}

static int by_address(const void *one, const void *other)
{
	uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

	return a < b ? -1 : a > b;
}

/*
 * A line an address: who would accept it, and why the others would not. In their order,
 * because the module keeps the function it was asked about last.
 */
int xray_path_write(struct xray_path *path, const struct dev *dev, FILE *file)
{
	struct made made = { .nr = 0 };
	int err = 0, last;

	qsort(path->address, path->nr, sizeof(*path->address), by_address);
	for (size_t i = 0; i < path->nr && !err; i++) {
		uint32_t reason = KTRAMP_R_NONE;
		json_t *accepted = ask(dev, path->address[i], &made, &reason, &err);

		if (err) {
			p_err("cannot ask for a probe at 0x%" PRIx64 ": %s", path->address[i],
			      strerror(-err));
			json_decref(accepted);
			break;
		}
		err = out_line(file, json_pack("{s:s, s:o, s:o, s:o}",
				"type", "admission",
				"address", json_address(path->address[i]),
				"refused", reason ? json_string(reason_name(reason)) : json_null(),
				"accepted", accepted));
	}
	last = destroy(dev, &made);
	return err ? err : last;
}
