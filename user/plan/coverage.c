// SPDX-License-Identifier: GPL-2.0-only
/*
 * How much of the kernel each mechanism can serve: plans at a sample of its instructions,
 * or at all of them.
 */
#include <errno.h>
#include <string.h>

#include "lib/ktramp.h"

struct count {
	uint64_t served;
	uint64_t refused[NR_REASONS];
};

struct tally {
	struct sample sample;
	const struct sample_config *config;
	const struct dev *dev;
	uint64_t sampled;
	uint64_t accepted;	/* of those, by the kernel's kprobes */
	uint64_t tactic[NR_TACTICS];
	struct count mechanism[OURS_LAST + 1];
};

static int add(struct sample *sample, uint64_t function, const struct ktramp_scan_insn *insn)
{
	struct tally *tally = container_of(sample, struct tally, sample);

	tally->sampled++;
	if (!sample_is_accepted(sample, function, insn))
		return 0;
	tally->accepted++;
	tally->tactic[insn->tactic < NR_TACTICS ? insn->tactic : 0]++;
	for (unsigned int m = OURS_FIRST; m <= OURS_LAST; m++) {
		uint8_t reason = insn->reason[m];

		if (!reason)
			tally->mechanism[m].served++;
		else
			tally->mechanism[m].refused[MIN(reason, NR_REASONS - 1)]++;
	}
	return 0;
}

static json_t *count_json(const struct count *count)
{
	json_t *refused = json_object();

	for (unsigned int i = 1; i < NR_REASONS; i++)
		if (count->refused[i])
			json_object_set_new(refused, reason_name(i),
					    json_integer(count->refused[i]));
	return refused;
}

static int print_json(FILE *to, const struct tally *tally, const struct run_facts *facts)
{
	json_t *tactics = json_object(), *mechanisms = json_object();

	for (unsigned int i = 1; i < NR_TACTICS; i++)
		json_object_set_new(tactics, tactic_name(i), json_integer(tally->tactic[i]));
	for (unsigned int m = OURS_FIRST; m <= OURS_LAST; m++)
		json_object_set_new(mechanisms, tally->dev->mechanisms[m - 1].name,
				    json_pack("{s:I, s:o}",
					      "served", (json_int_t)tally->mechanism[m].served,
					      "refused", count_json(&tally->mechanism[m])));
	return out_line(to, json_pack("{s:s, s:i, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:b, s:I,"
					  " s:I, s:I, s:o, s:o, s:o}",
		"type", "coverage",
		"schema", 1,
		"kernel", facts->uts.release,
		"cpu", facts->cpu,
		"module", tally->dev->info.version,
		"text", tally->config->module ? json_string(tally->config->module) : json_null(),
		"functions", (json_int_t)tally->sample.functions,
		"instructions", (json_int_t)tally->sample.instructions,
		"seed", (json_int_t)tally->config->seed,
		"asked", tally->config->ask,
		"sampled", (json_int_t)tally->sampled,
		"accepted", (json_int_t)tally->accepted,
		"jump", (json_int_t)tally->mechanism[KTRAMP_JUMP].served,
		"by_tactic", tactics,
		"refused", count_json(&tally->mechanism[KTRAMP_JUMP]),
		"mechanisms", mechanisms));
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * part / whole : 0;
}

static int print_table(const struct tally *tally, const struct run_facts *facts)
{
	struct table table;
	int err;

	printf("Linux %s, %s: %llu of %llu instructions in %llu functions of %s\n",
	       facts->uts.release, facts->cpu, (unsigned long long)tally->sampled,
	       (unsigned long long)tally->sample.instructions,
	       (unsigned long long)tally->sample.functions,
	       tally->config->module ? tally->config->module : "the kernel");
	printf("a kprobe is accepted on %llu of them, %.2f %%, which are 100 %% below\n\n",
	       (unsigned long long)tally->accepted, percent(tally->accepted, tally->sampled));
	table_init(&table, 4, 0xc);
	table_add(&table, "MECHANISM\tOUTCOME\tINSNS\t%%");
	for (unsigned int m = OURS_FIRST; m <= OURS_LAST; m++) {
		const struct count *count = &tally->mechanism[m];

		table_add(&table, "%s\tserved\t%llu\t%.2f", tally->dev->mechanisms[m - 1].name,
			  (unsigned long long)count->served,
			  percent(count->served, tally->accepted));
		for (unsigned int i = 1; m == KTRAMP_JUMP && i < NR_TACTICS; i++)
			table_add(&table, "\t  by %s\t%llu\t%.2f", tactic_name(i),
				  (unsigned long long)tally->tactic[i],
				  percent(tally->tactic[i], tally->accepted));
		for (unsigned int i = 1; i < NR_REASONS; i++)
			if (count->refused[i])
				table_add(&table, "\t  refused: %s\t%llu\t%.2f", reason_name(i),
					  (unsigned long long)count->refused[i],
					  percent(count->refused[i], tally->accepted));
	}
	err = table_print(&table);
	table_deinit(&table);
	return err;
}

static int write_json(const char *path, const struct tally *tally, const struct run_facts *facts)
{
	FILE *file = fopen(path, "we");
	int err;

	if (!file) {
		p_err("cannot write '%s': %s", path, strerror(errno));
		return -errno;
	}
	err = print_json(file, tally, facts);
	if (fclose(file) && !err) {
		err = -errno;
		p_err("cannot write '%s': %s", path, strerror(errno));
	}
	return err;
}

int coverage(const struct dev *dev, const struct sample_config *config, const char *output)
{
	struct tally tally = { .sample.planned = add, .config = config, .dev = dev };
	struct run_facts facts = { 0 };
	int err = kernel_release(&facts.uts);

	cpu_model(facts.cpu, sizeof(facts.cpu));
	if (!err)
		err = sample_plan(&tally.sample, dev, config);
	if (!err)
		err = out_json ? print_json(stdout, &tally, &facts) : print_table(&tally, &facts);
	if (!err && output)
		err = write_json(output, &tally, &facts);
	sample_deinit(&tally.sample);
	return err;
}
