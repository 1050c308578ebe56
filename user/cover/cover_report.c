// SPDX-License-Identifier: GPL-2.0-only
/* Tables and JSON Lines of what was covered. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cover/cover.h"

struct count {
	uint64_t blocks;	/* observable or not */
	uint64_t observed;
	uint64_t hit;
	uint64_t busy;
};

/* A function with its blocks. */
struct item {
	const struct cover_name *name;
	const struct ktramp_cover_func *func;
	const struct ktramp_cover_block *block;
	struct count count;
};

static uint64_t site(const struct ktramp_cover_block *block)
{
	return block->address + block->offset;
}

static void count_block(const struct cover *cover, const struct ktramp_cover_block *block,
			struct count *count)
{
	count->blocks++;
	if (block->reason)
		return;
	count->observed++;
	count->hit += cover_has(&cover->hit, site(block));
	count->busy += cover_has(&cover->busy, site(block));
}

/* Call @visit for each function, in the order of addresses. */
static int each_item(const struct cover *cover, int (*visit)(const struct item *item, void *data),
		     void *data)
{
	const struct ktramp_cover_block *block = cover->plan.block;
	int err = 0;

	for (size_t i = 0; i < cover->plan.nr_funcs && !err; i++) {
		struct item item = {
			.name = &cover->names.v[i], .func = &cover->plan.func[i], .block = block,
		};

		for (uint32_t n = 0; n < item.func->nr; n++)
			count_block(cover, block++, &item.count);
		err = visit(&item, data);
	}
	return err;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * part / whole : 0;
}

int cover_read(const struct dev *dev, struct cover *cover)
{
	int err = cover_hits(dev, 0, &cover->hit);

	if (!err)
		err = cover_hits(dev, KTRAMP_COVER_BUSY, &cover->busy);
	return err ? err : cover_act(dev, KTRAMP_IOC_COVER_STAT, &cover->stat);
}

/* ---- sums ---- */

struct sums {
	struct count count;
	uint64_t functions, reached;	/* of those, hit at all */
	uint64_t undecoded;		/* bytes */
	uint64_t reason[NR_REASONS];
};

static int sum_up(const struct item *item, void *data)
{
	struct sums *sums = data;

	sums->functions++;
	sums->reached += item->count.hit > 0;
	sums->count.blocks += item->count.blocks;
	sums->count.observed += item->count.observed;
	sums->count.hit += item->count.hit;
	sums->count.busy += item->count.busy;
	if (!item->func->reason)
		sums->undecoded += item->func->length - item->func->known;
	for (uint32_t n = 0; n < item->func->nr; n++)
		sums->reason[MIN(item->block[n].reason, NR_REASONS - 1)]++;
	return 0;
}

/* ---- for programs ---- */

static json_t *reasons_json(const struct sums *sums)
{
	json_t *reasons = json_object();

	for (unsigned int i = 1; i < NR_REASONS; i++)
		if (sums->reason[i])
			json_object_set_new(reasons, reason_name(i),
					    json_integer(sums->reason[i]));
	return reasons;
}

static json_t *command_json(const struct cover *cover)
{
	json_t *command = json_array();

	if (!cover->command) {
		json_decref(command);
		return json_null();
	}
	for (char **word = cover->command; *word; word++) {
		json_t *text = json_string(*word);

		/* What is no UTF-8 is no JSON either. */
		json_array_append_new(command, text ? text : json_null());
	}
	return command;
}

static json_t *cover_json(const struct cover *cover, const struct dev *dev)
{
	struct utsname uts = { 0 };
	struct sums sums = { 0 };

	each_item(cover, sum_up, &sums);
	if (kernel_release(&uts))
		return NULL;
	return json_pack("{s:s, s:i, s:s, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I,"
			 " s:o, s:I, s:I, s:I, s:I, s:I, s:o}",
		"type", "cover",
		"schema", 1,
		"kernel", uts.release,
		"module", dev->info.version,
		"command", command_json(cover),
		"status", cover->command ? json_integer(cover->status) : json_null(),
		"functions", (json_int_t)sums.functions,
		"functions_hit", (json_int_t)sums.reached,
		"blocks", (json_int_t)sums.count.blocks,
		"observed", (json_int_t)sums.count.observed,
		"hit", (json_int_t)sums.count.hit,
		"busy", (json_int_t)sums.count.busy,
		"not_observable", reasons_json(&sums),
		"undecoded", (json_int_t)sums.undecoded,
		"gone", (json_int_t)cover->stat.gone,
		"traps", (json_int_t)cover->stat.traps,
		"late", (json_int_t)cover->stat.late,
		"memory", (json_int_t)cover->stat.memory,
		"entry", entry_json(cover->stat.entry));
}

static json_t *module_json(const struct cover_name *name)
{
	return *name->module ? json_string(name->module) : json_null();
}

static json_t *reason_json(uint32_t reason)
{
	return reason ? json_string(reason_name(reason)) : json_null();
}

struct printing {
	const struct cover *cover;
	const struct cover_output *output;
	FILE *to;
	struct table *table;
	uint64_t left_out;
};

static int block_line(const struct printing *p, const struct item *item,
		      const struct ktramp_cover_block *block)
{
	json_t *hit = json_null();

	if (!block->reason && !cover_has(&p->cover->busy, site(block))) {
		json_decref(hit);
		hit = json_boolean(cover_has(&p->cover->hit, site(block)));
	}
	return out_line(p->to, json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:o, s:o, s:o}",
		"type", "block",
		"function", item->name->name,
		"module", module_json(item->name),
		"address", json_address(block->address),
		"offset", (json_int_t)(block->address - item->func->address),
		"length", (json_int_t)block->length,
		"site", block->reason ? json_null() : json_address(site(block)),
		"hit", hit,
		"reason", block->reason ? reason_json(block->reason) :
			  reason_json(cover_has(&p->cover->busy, site(block)) ?
				      KTRAMP_R_BUSY : KTRAMP_R_NONE)));
}

static int item_lines(const struct item *item, void *data)
{
	const struct printing *p = data;
	int err = out_line(p->to, json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:o}",
		"type", "function",
		"name", item->name->name,
		"module", module_json(item->name),
		"address", json_address(item->func->address),
		"length", (json_int_t)item->func->length,
		"blocks", (json_int_t)item->count.blocks,
		"observed", (json_int_t)item->count.observed,
		"hit", (json_int_t)item->count.hit,
		"busy", (json_int_t)item->count.busy,
		"reason", reason_json(item->func->reason)));

	for (uint32_t n = 0; n < item->func->nr && p->output->blocks && !err; n++)
		err = block_line(p, item, &item->block[n]);
	return err;
}

static int print_json(FILE *to, const struct cover *cover, const struct dev *dev,
		      const struct cover_output *output)
{
	struct printing p = { .cover = cover, .output = output, .to = to };
	json_t *first = cover_json(cover, dev);
	int err = first ? out_line(to, first) : -EIO;

	return err ? err : each_item(cover, item_lines, &p);
}

/* ---- for people ---- */

static void name_text(const struct cover_name *name, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s%s", name->module, *name->module ? ":" : "", name->name);
}

static int item_row(const struct item *item, void *data)
{
	struct printing *p = data;
	char name[256];

	if (!item->count.hit && !p->output->every) {
		p->left_out++;
		return 0;
	}
	name_text(item->name, name, sizeof(name));
	if (item->count.observed)
		table_add(p->table, "%s\t%llu\t%llu\t%llu\t%.1f\t", name,
			  (unsigned long long)item->count.blocks,
			  (unsigned long long)item->count.observed,
			  (unsigned long long)item->count.hit,
			  percent(item->count.hit, item->count.observed));
	else
		table_add(p->table, "%s\t%llu\t0\t-\t-\tnot observable: %s", name,
			  (unsigned long long)item->count.blocks,
			  item->func->reason ? reason_name(item->func->reason) : "see --blocks");
	return 0;
}

static int block_rows(const struct item *item, void *data)
{
	struct printing *p = data;
	char name[256], where[320];

	if (!item->count.hit && !p->output->every)
		return 0;
	name_text(item->name, name, sizeof(name));
	for (uint32_t n = 0; n < item->func->nr; n++) {
		const struct ktramp_cover_block *block = &item->block[n];
		const char *state = "not hit";

		if (block->reason)
			state = "not observable: ";
		else if (cover_has(&p->cover->busy, site(block)))
			state = "busy: somebody else has the text";
		else if (cover_has(&p->cover->hit, site(block)))
			state = "hit";
		snprintf(where, sizeof(where), "%s+0x%llx", name,
			 (unsigned long long)(block->address - item->func->address));
		table_add(p->table, "0x%llx\t%s\t%u\t%s%s", (unsigned long long)block->address,
			  where, block->length, state,
			  block->reason ? reason_name(block->reason) : "");
	}
	return 0;
}

static int print_sums(const struct cover *cover, const struct sums *sums)
{
	printf("%llu of %llu observed blocks were hit (%.1f %%), in %llu of %llu functions\n",
	       (unsigned long long)sums->count.hit, (unsigned long long)sums->count.observed,
	       percent(sums->count.hit, sums->count.observed),
	       (unsigned long long)sums->reached, (unsigned long long)sums->functions);
	for (unsigned int i = 1; i < NR_REASONS; i++)
		if (sums->reason[i])
			printf("  not observable, %s: %llu blocks\n", reason_name(i),
			       (unsigned long long)sums->reason[i]);
	if (sums->count.busy)
		printf("  busy, somebody else has the text: %llu blocks\n",
		       (unsigned long long)sums->count.busy);
	if (sums->undecoded)
		printf("  not decoded: %llu bytes\n", (unsigned long long)sums->undecoded);
	if (cover->stat.gone)
		printf("  of modules that are gone: %llu blocks, not among these\n",
		       (unsigned long long)cover->stat.gone);
	return 0;
}

static int print_table(const struct cover *cover, const struct cover_output *output)
{
	struct printing p = { .cover = cover, .output = output };
	struct sums sums = { 0 };
	struct table table;
	int err;

	each_item(cover, sum_up, &sums);
	table_init(&table, output->blocks ? 4 : 6, output->blocks ? 0x4 : 0x1e);
	p.table = &table;
	if (output->blocks) {
		table_add(&table, "ADDRESS\tBLOCK\tBYTES\tSTATE");
		each_item(cover, block_rows, &p);
	} else {
		table_add(&table, "FUNCTION\tBLOCKS\tOBSERVED\tHIT\t%%\t");
		each_item(cover, item_row, &p);
	}
	err = table_print(&table);
	table_deinit(&table);
	if (err)
		return err;
	if (p.left_out)
		printf("%llu functions of which nothing was hit are left out: --every shows them\n",
		       (unsigned long long)p.left_out);
	putchar('\n');
	return print_sums(cover, &sums);
}

static int write_json(const struct cover *cover, const struct dev *dev,
		      const struct cover_output *output)
{
	FILE *file = fopen(output->file, "we");
	int err;

	if (!file) {
		err = -errno;
		p_err("cannot write '%s': %s", output->file, strerror(-err));
		return err;
	}
	err = print_json(file, cover, dev, output);
	if (fclose(file) && !err) {
		err = -errno;
		p_err("cannot write '%s': %s", output->file, strerror(-err));
	}
	return err;
}

int cover_report(const struct cover *cover, const struct dev *dev,
		 const struct cover_output *output)
{
	int err = out_json ? print_json(stdout, cover, dev, output) : print_table(cover, output);

	if (!err && output->file)
		err = write_json(cover, dev, output);
	return err;
}

void cover_deinit(struct cover *cover)
{
	cover_names_deinit(&cover->names);
	cover_plan_deinit(&cover->plan);
	free(cover->hit.v);
	free(cover->busy.v);
	*cover = (struct cover){ 0 };
}
