// SPDX-License-Identifier: GPL-2.0-only
/* ktramp add: probes that stay. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "places/places.h"

struct options {
	const char *file;
	uint32_t handler;
	uint32_t pid;
	char **sites;
	unsigned int nr_sites;
};

/* Probes that were made, and how many of the sites were refused one. */
struct added {
	const struct dev *dev;
	const struct options *opts;
	const struct ktramp_mechanism_info *mechanism;	/* NULL: the usual */
	uint32_t *ids;
	uint32_t nr;
	uint32_t refused;
};

static const struct argp_option options[] = {
	{ "file", 'f', "FILE", 0, "Sites, one a line; # begins a comment; - is stdin", 0 },
	{ "handler", 'H', "HANDLER", 0,
	  "Run 'count' (default), 'count-inline' or 'regs' at a hit", 0 },
	{ "pid", 'p', "PID", 0, "Handle hits of this process only, with all its threads", 0 },
	{ }
};

static const char doc[] =
	"Probe each SITE through MECHANISM, and leave the probes there when the command ends. "
	"Without one it is 'jump', or 'int3-divert' where no jump fits. "
	"'ktramp probes' lists them with their counters, 'ktramp remove' takes them away.\n\n"
	"SITE is symbol+0xoffset, module:symbol+0xoffset, 0xaddress or a target's name. A pattern "
	"('vfs_*', 'ext4:*') is each function that is called so, FUNCTION%return each place where "
	"control leaves FUNCTION.\v"
	"All sites of one call share the waits that arming a jump takes. A site that is refused "
	"is named, and the others are probed all the same.\n\n"
	"The same by text: echo 'jump vfs_read+0x20' >> /sys/kernel/debug/ktramp/probes\n\n"
	"Exit status: 0, 1 if a site was refused, 2 on wrong usage.\n\n"
	"Examples:\n"
	"  ktramp add vfs_read+0x20 vfs_write\n"
	"  ktramp add jump vfs_read+0x24\n"
	"  ktramp add jump --pid $$ --handler regs do_sys_openat2\n"
	"  ktramp add jump 'vfs_*'\n"
	"  ktramp add int3-boost --file sites.txt\n";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opts = state->input;

	switch (key) {
	case 'f':
		opts->file = arg;
		return 0;
	case 'H':
		opts->handler = parse_handler(state, arg);
		return 0;
	case 'p':
		opts->pid = parse_number(state, "pid", arg, 1, INT32_MAX);
		return 0;
	case ARGP_KEY_ARG:
		opts->sites = &state->argv[state->next - 1];
		opts->nr_sites = state->argc - state->next + 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		if (!opts->nr_sites && !opts->file)
			argp_error(state, "a SITE, or --file, is needed");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = CMD_ARGP("[MECHANISM] [SITE...]");

/* Return: 0 also if the site is refused; an error ends the whole. */
static int add_site(struct added *added, const char *site)
{
	struct ktramp_create create = {
		.flags		= KTRAMP_CREATE_KEEP,
		.mechanism	= added->mechanism ? added->mechanism->mechanism : 0,
		.handler	= added->opts->handler,
		.pid		= added->opts->pid,
	};
	int err = -ENAMETOOLONG;
	uint32_t *id;

	if (stopped)
		return -EINTR;
	if (strlen(site) < sizeof(create.site)) {
		strcpy(create.site, site);
		err = added->mechanism ? dev_create(added->dev, &create) :
					 dev_create_usual(added->dev, &create);
	}
	if (err) {
		const struct refusal about = { site, create.reason, err };

		p_refusal(&about, "'%s' cannot serve '%s': %s",
			  added->mechanism ? added->mechanism->name : "jump", site,
			  *create.why ? create.why : strerror(-err));
		added->refused++;
		return 0;
	}
	id = array_more(added->ids, added->nr);
	if (!id) {
		struct ktramp_batch batch;

		dev_destroy(added->dev, create.id, &batch);
		p_err("cannot remember the probes: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	*id = create.id;
	added->nr++;
	return 0;
}

/* A pattern is many sites. */
static int add_places(struct added *added, const char *text)
{
	struct places places = { 0 };
	int err = 0;

	/* As a site that is refused: the others are probed. */
	if (places_add(&places, added->dev, text))
		added->refused++;
	for (unsigned int i = 0; i < places.nr && !err; i++)
		err = add_site(added, places.v[i].site);
	places_free(&places);
	return err;
}

static int add_file(struct added *added, const char *path)
{
	FILE *file = strcmp(path, "-") ? fopen(path, "re") : stdin;
	char *line = NULL;
	size_t size = 0;
	int err = 0;

	if (!file) {
		p_err("cannot read '%s': %s", path, strerror(errno));
		return -errno;
	}
	while (!err && getline(&line, &size, file) > 0) {
		char *site = line + strspn(line, " \t");

		site[strcspn(site, "# \t\r\n")] = '\0';
		if (*site)
			err = add_places(added, site);
	}
	if (!err && ferror(file)) {
		err = -EIO;
		p_err("cannot read all of '%s'", path);
	}
	free(line);
	if (file != stdin)
		fclose(file);
	return err;
}

/* Those of a batch that are not armed, each with its own reason. */
static int complain_each(const struct added *added, const uint32_t *ids, uint32_t n)
{
	int err = 0;

	for (uint32_t i = 0; i < n && !stopped; i++) {
		struct ktramp_probe_info probe;
		struct ktramp_batch batch;
		int failed;

		if (dev_probe(added->dev, ids[i], 0, &probe) || probe.state != KTRAMP_NEW)
			continue;
		failed = dev_arm(added->dev, ids[i], &batch);
		if (!failed)
			continue;
		err = failed;
		p_refusal(&(struct refusal){ probe.site, batch.reason, failed },
			  "'%s' cannot be armed at '%s': %s", added->mechanism->name, probe.site,
			  *batch.why ? batch.why : strerror(-failed));
	}
	return err;
}

/* What cannot be armed does not stay. */
static int arm_all(struct added *added)
{
	int err = 0;

	for (uint32_t i = 0; i < added->nr; i += KTRAMP_BATCH_MAX) {
		uint32_t n = MIN(added->nr - i, (uint32_t)KTRAMP_BATCH_MAX);
		struct ktramp_batch batch;

		if (dev_batch(added->dev, KTRAMP_IOC_ARM, &added->ids[i], n, &batch))
			err = complain_each(added, &added->ids[i], n) ?: err;
	}
	return err;
}

static int show_one(struct added *added, uint32_t id)
{
	struct ktramp_probe_info probe;
	struct ktramp_batch batch;
	int err = dev_probe(added->dev, id, 0, &probe);

	if (err)
		return 0;
	if (probe.state == KTRAMP_NEW)
		return dev_destroy(added->dev, id, &batch);
	if (out_json)
		return out_line(stdout, probe_json(added->dev, &probe));
	printf("probe %u: %s %s\n", probe.id, added->dev->mechanisms[probe.mechanism - 1].name,
	       probe.site);
	return 0;
}

static int add_all(struct added *added)
{
	int err = 0, armed;

	for (unsigned int i = 0; i < added->opts->nr_sites && !err; i++)
		err = add_places(added, added->opts->sites[i]);
	if (!err && added->opts->file)
		err = add_file(added, added->opts->file);
	/* What was made before an interruption is as good as the rest would have been. */
	armed = arm_all(added);
	for (uint32_t i = 0; i < added->nr; i++)
		if (show_one(added, added->ids[i]))
			err = err ? err : -EIO;
	return err ? err : armed;
}

/*
 * The first argument is the mechanism, if there is one of that name. No site has a dash.
 * Return: 0 or -EINVAL.
 */
static int take_mechanism(struct added *added, struct options *opts)
{
	const char *first = opts->nr_sites ? opts->sites[0] : "";

	for (unsigned int i = 0; i < added->dev->nr_mechanisms; i++)
		if (!strcmp(added->dev->mechanisms[i].name, first))
			added->mechanism = &added->dev->mechanisms[i];
	if (!added->mechanism && strchr(first, '-'))
		return dev_mechanism(added->dev, first) ? 0 : -EINVAL;
	if (added->mechanism) {
		opts->sites++;
		opts->nr_sites--;
	}
	if (!opts->nr_sites && !opts->file) {
		p_err("'%s' needs a SITE, or --file", first);
		return -EINVAL;
	}
	return 0;
}

int cmd_add(int argc, char **argv)
{
	struct options opts = { .handler = KTRAMP_COUNT };
	struct dev dev __cleanup(dev_close) = { .fd = -1 };
	struct added added = { .dev = &dev, .opts = &opts };
	int err;

	argp_parse(&argp, argc, argv, 0, NULL, &opts);
	if (dev_open(&dev))
		return EXIT_FAILED;
	if (take_mechanism(&added, &opts))
		return EXIT_USAGE;
	catch_signals();
	err = add_all(&added);
	free(added.ids);
	return err || added.refused ? EXIT_FAILED : EXIT_OK;
}
