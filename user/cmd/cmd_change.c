// SPDX-License-Identifier: GPL-2.0-only
/* ktramp enable, disable, remove: what is to become of probes that stay. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ktramp.h"

struct change {
	const char *done;	/* "probe 3: ..." */
	unsigned long request;
	bool all;
	char **names;
	unsigned int nr_names;
};

static const struct argp_option options[] = {
	{ "all", 'a', NULL, 0, "All probes that stay", 0 },
	{ }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct change *change = state->input;

	switch (key) {
	case 'a':
		change->all = true;
		return 0;
	case ARGP_KEY_ARG:
		(void)arg;
		change->names = &state->argv[state->next - 1];
		change->nr_names = state->argc - state->next + 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		if (change->all == !!change->nr_names)
			argp_error(state, "numbers or sites of probes, or --all, are needed");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}


struct ids {
	uint32_t *v;
	uint32_t nr;
};

static int append(struct ids *ids, uint32_t id)
{
	uint32_t *last = array_more(ids->v, ids->nr);

	if (!last) {
		p_err("cannot list the probes: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	*last = id;
	ids->nr++;
	return 0;
}

/* What a probe is named by: its number, or its site, where there may be several. */
struct wanted {
	uint32_t id;			/* 0: by the site */
	const char *site;		/* as it is printed; NULL: any */
};

static bool is_wanted(const struct ktramp_probe_info *probe, const struct wanted *wanted)
{
	if (wanted->id)
		return probe->id == wanted->id;
	return !wanted->site || !strcmp(wanted->site, probe->site);
}

static bool is_there(const struct ids *ids, uint32_t id)
{
	for (uint32_t i = 0; i < ids->nr; i++)
		if (ids->v[i] == id)
			return true;
	return false;
}

static int choose(const struct dev *dev, const struct wanted *wanted, struct ids *ids,
		  bool *found)
{
	struct ktramp_probe_info probe;
	int err = 0;

	for (uint32_t id = 1; id && !err; id = probe.id + 1) {
		err = dev_probe(dev, id, KTRAMP_PROBE_NEXT, &probe);
		if (err || !probe.keep || !is_wanted(&probe, wanted))
			continue;
		*found = true;
		/* Two names may be of one probe; --all has none. */
		if ((!wanted->site && !wanted->id) || !is_there(ids, probe.id))
			err = append(ids, probe.id);
	}
	return err == -ENOENT ? 0 : err;
}

static int choose_named(const struct dev *dev, const char *name, struct ids *ids)
{
	struct wanted wanted = { .site = name };
	struct ktramp_site_info site;
	bool found = false;
	char *end;
	int err;

	if (isdigit((unsigned char)*name)) {
		wanted.id = strtoul(name, &end, 10);
		if (*end)
			wanted.id = 0;
	}
	/* As it was added, by its address, or as it is printed: all one place. */
	if (!wanted.id) {
		err = dev_site(dev, name, &site);
		if (err)
			return err;
		wanted.site = site.site;
	}
	err = choose(dev, &wanted, ids, &found);
	if (err || found)
		return err;
	p_err("no kept probe '%s'; 'ktramp probes' lists the numbers and sites to use", name);
	return -ENOENT;
}

static int apply(const struct dev *dev, const struct change *change, const struct ids *ids)
{
	int err = 0;

	for (uint32_t i = 0; i < ids->nr; i += KTRAMP_BATCH_MAX) {
		uint32_t n = MIN(ids->nr - i, (uint32_t)KTRAMP_BATCH_MAX);
		struct ktramp_probe_info probe;
		struct ktramp_batch batch;
		int failed = dev_batch(dev, change->request, &ids->v[i], n, &batch);

		if (out_json && out_line(stdout, json_pack("{s:s, s:s, s:I}", "type", "change",
							   "change", change->done,
							   "probes", (json_int_t)batch.done)))
			return -EIO;
		if (!out_json)
			printf("%u probe%s %s\n", batch.done, batch.done == 1 ? "" : "s",
			       change->done);
		if (!failed)
			continue;
		err = failed;
		dev_probe(dev, batch.failed, 0, &probe);
		p_refusal(&(struct refusal){ probe.site, batch.reason, failed },
			  "%u of %u probes are not %s; probe %u%s%s: %s", n - batch.done, n,
			  change->done, batch.failed, *probe.site ? " at " : "", probe.site,
			  *batch.why ? batch.why : strerror(-err));
	}
	return err;
}

static int run(struct change *change, const char *doc, int argc, char **argv)
{
	const struct argp argp = {
		.options = options, .parser = parse, .args_doc = "NUMBER|SITE...\n--all",
		.doc = doc, .children = out_children,
	};
	struct dev dev __cleanup(dev_close) = { .fd = -1 };
	const struct wanted all = { 0 };
	struct ids ids = { 0 };
	bool found;
	int err = 0;

	argp_parse(&argp, argc, argv, 0, NULL, change);
	if (dev_open(&dev))
		return EXIT_FAILED;
	if (change->all)
		err = choose(&dev, &all, &ids, &found);
	for (unsigned int i = 0; i < change->nr_names && !err; i++)
		err = choose_named(&dev, change->names[i], &ids);
	if (!err)
		err = apply(&dev, change, &ids);
	free(ids.v);
	return err ? EXIT_FAILED : EXIT_OK;
}

#define EXIT_DOC								\
	"Probes of other programs are theirs, and not touched.\n\n"		\
	"Exit status: 0, 1 if a probe could not be changed or there is none, 2 on wrong usage.\n\n"

int cmd_enable(int argc, char **argv)
{
	struct change change = { .done = "armed", .request = KTRAMP_IOC_ARM };

	return run(&change,
		   "Arm probes again that 'ktramp disable' has disarmed; they keep their "
		   "counters.\v"
		   EXIT_DOC
		   "Examples:\n"
		   "  ktramp enable vfs_read+0x20\n"
		   "  ktramp enable --all\n", argc, argv);
}

int cmd_disable(int argc, char **argv)
{
	struct change change = { .done = "disarmed", .request = KTRAMP_IOC_DISARM };

	return run(&change,
		   "Put the original bytes back, and keep the probes with their counters.\v"
		   EXIT_DOC
		   "Examples:\n"
		   "  ktramp disable 3 4\n"
		   "  ktramp disable --all\n", argc, argv);
}

int cmd_remove(int argc, char **argv)
{
	struct change change = { .done = "removed", .request = KTRAMP_IOC_DESTROY };

	return run(&change,
		   "Disarm probes, and forget them.\v"
		   EXIT_DOC
		   "Examples:\n"
		   "  ktramp remove vfs_read+0x20\n"
		   "  ktramp remove --all\n", argc, argv);
}
