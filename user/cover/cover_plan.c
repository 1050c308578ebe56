// SPDX-License-Identifier: GPL-2.0-only
/* Ask the module for blocks, and for those that were hit, until it has told all. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cover/cover.h"

/* Functions asked about at once: their blocks are some dozens each. */
#define FUNCS_ONCE	1024
#define BLOCKS_ONCE	65536

static int complain(const char *what, int err, const char *why)
{
	p_err("cannot %s: %s", what, *why ? why : strerror(-err));
	return err;
}

/* Room for @more behind the @nr elements of @size that an array has. Return: the array or NULL. */
static void *grow(void *array, size_t nr, size_t more, size_t size)
{
	return reallocarray(array, nr + more, size);
}

static int grow_plan(struct cover_plan *plan, size_t funcs, size_t blocks)
{
	void *func = grow(plan->func, plan->nr_funcs, funcs, sizeof(*plan->func));
	void *block;

	if (!func)
		return complain("keep the functions", -ENOMEM, "");
	plan->func = func;
	block = grow(plan->block, plan->nr_blocks, blocks, sizeof(*plan->block));
	if (!block)
		return complain("keep the blocks", -ENOMEM, "");
	plan->block = block;
	return 0;
}

/* Some of the functions. Return: how many, or -errno. */
static int add_some(const struct dev *dev, const uint64_t *functions, size_t nr, uint32_t flags,
		    struct cover_plan *plan)
{
	struct ktramp_cover_add add = { .flags = flags };
	uint32_t max = BLOCKS_ONCE;
	int err;

	nr = MIN(nr, FUNCS_ONCE);
	do {
		err = grow_plan(plan, nr, max);
		if (err)
			return err;
		for (size_t i = 0; i < nr; i++)
			plan->func[plan->nr_funcs + i] =
				(struct ktramp_cover_func){ .address = functions[i] };
		add.functions = (uintptr_t)&plan->func[plan->nr_funcs];
		add.blocks = (uintptr_t)&plan->block[plan->nr_blocks];
		add.nr = nr;
		add.max = max;
		err = dev_cover_add(dev, &add);
		max *= 2;
	} while (err == -ENOSPC && max <= KTRAMP_COVER_MAX);
	if (err == -EINTR)
		return complain("find blocks", err, "interrupted");
	if (err)
		return complain("find blocks", err, add.why);
	plan->nr_funcs += add.done;
	plan->nr_blocks += add.nr_blocks;
	return add.done;
}

/* Find the blocks of these functions, to be observed. */
int cover_add(const struct dev *dev, const uint64_t *functions, size_t nr, uint32_t flags,
	      struct cover_plan *plan)
{
	int done;

	for (; nr && !stopped; functions += done, nr -= done) {
		done = add_some(dev, functions, nr, flags, plan);
		if (done < 0)
			return done;
	}
	return stopped ? complain("find blocks", -EINTR, "interrupted") : 0;
}

/* @request: KTRAMP_IOC_COVER_START, _RESET, _STOP or _STAT */
int cover_act(const struct dev *dev, unsigned long request, struct ktramp_cover *reply)
{
	static const struct {
		unsigned long request;
		const char *what;
	} acts[] = {
		{ KTRAMP_IOC_COVER_START, "start observing blocks" },
		{ KTRAMP_IOC_COVER_RESET, "observe the blocks again" },
		{ KTRAMP_IOC_COVER_STOP, "stop observing blocks" },
		{ KTRAMP_IOC_COVER_STAT, "look at what is covered" },
	};
	int err = dev_cover(dev, request, reply);

	for (size_t i = 0; err && i < ARRAY_SIZE(acts); i++)
		if (acts[i].request == request)
			return complain(acts[i].what, err, reply->why);
	return err;
}

/* Where blocks were hit, or with KTRAMP_COVER_BUSY are somebody else's. */
int cover_hits(const struct dev *dev, uint32_t flags, struct cover_addresses *addresses)
{
	struct ktramp_cover_read read = { .flags = flags, .max = BLOCKS_ONCE };
	int err;

	free(addresses->v);
	*addresses = (struct cover_addresses){ 0 };
	do {
		uint64_t *v = grow(addresses->v, addresses->nr, read.max, sizeof(*v));

		if (!v)
			return complain("keep the hits", -ENOMEM, "");
		addresses->v = v;
		read.from = addresses->nr ? v[addresses->nr - 1] + 1 : 0;
		read.addresses = (uintptr_t)(v + addresses->nr);
		err = dev_cover_read(dev, &read);
		if (err)
			return complain("read the hits", err, "");
		addresses->nr += read.nr;
	} while (read.nr == read.max);
	return 0;
}

bool cover_has(const struct cover_addresses *addresses, uint64_t address)
{
	size_t low = 0, high = addresses->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (addresses->v[middle] < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < addresses->nr && addresses->v[low] == address;
}

void cover_plan_deinit(struct cover_plan *plan)
{
	free(plan->func);
	free(plan->block);
	*plan = (struct cover_plan){ 0 };
}
