// SPDX-License-Identifier: GPL-2.0-only
/* A probe that runs a BPF program: by our own mechanisms, or watching the kernel's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/bpf.h"

/* @mechanism: a name, or NULL for what fits. */
static int find_mechanism(struct bpf_probe *probe, const struct dev *dev, const char *mechanism)
{
	if (!mechanism)
		mechanism = "bpf-jump";
	*probe = (struct bpf_probe){ .dev = dev, .mechanism = dev_mechanism(dev, mechanism) };
	if (!probe->mechanism)
		return -EINVAL;
	if (probe->mechanism->reason) {
		p_err("this kernel has no '%s': %s", mechanism, probe->mechanism->why);
		return -EOPNOTSUPP;
	}
	return 0;
}

static int create(struct bpf_probe *probe, struct ktramp_create *create, const char *site,
		  bool usual)
{
	int err;

	create->mechanism = probe->mechanism->mechanism;
	snprintf(create->site, sizeof(create->site), "%s", site);
	err = usual ? dev_create_usual(probe->dev, create) : dev_create(probe->dev, create);
	if (err)
		return err;
	probe->mechanism = &probe->dev->mechanisms[create->mechanism - 1];
	return dev_probe(probe->dev, create->id, 0, &probe->info);
}

int bpf_probe_try(struct bpf_probe *probe, const struct dev *dev, const char *mechanism,
		  const char *site, uint32_t pid)
{
	struct ktramp_create wanted = { .handler = KTRAMP_BPF, .pid = pid };
	int err = find_mechanism(probe, dev, mechanism);

	return err ? err : create(probe, &wanted, site, false);
}

/**
 * bpf_probe_make() - make the probe, without a program yet
 * @probe: (out) to be given to bpf_probe_drop()
 * @dev: the device, to be kept open as long
 * @mechanism: name; NULL: bpf-jump, or int3-divert where no jump fits
 * @handler: KTRAMP_BPF or KTRAMP_BPF_INLINE
 * @site: where
 * @keep: it outlives the command
 * @pid: the process whose hits run the program, 0 for all
 */
int bpf_probe_make(struct bpf_probe *probe, const struct dev *dev, const char *mechanism,
		   uint32_t handler, const char *site, bool keep, uint32_t pid)
{
	struct ktramp_create wanted = {
		.flags = keep ? KTRAMP_CREATE_KEEP : 0, .handler = handler, .pid = pid,
	};
	int err = find_mechanism(probe, dev, mechanism);

	if (err)
		return err;
	if (strlen(site) >= sizeof(wanted.site)) {
		p_refusal(&(struct refusal){ .site = site, .err = ENAMETOOLONG },
			  "the site '%.32s...' is longer than %zu characters", site,
			  sizeof(wanted.site) - 1);
		return -EINVAL;
	}
	err = create(probe, &wanted, site, !mechanism);
	if (err)
		p_refusal(&(struct refusal){ site, wanted.reason, err },
			  "'%s' cannot serve '%s': %s", probe->mechanism->name, site,
			  *wanted.why ? wanted.why : strerror(-err));
	return err;
}

static int hand_over(struct bpf_probe *probe, const struct bpf_program *prog)
{
	struct ktramp_bpf bpf = {
		.flags = probe->flags, .id = probe->info.id, .prog_fd = bpf_program__fd(prog),
	};
	int err = dev_bpf(probe->dev, &bpf);

	if (err)
		p_refusal(&(struct refusal){ probe->info.site, bpf.reason, err },
			  "'%s' cannot run the program '%s': %s", probe->mechanism->name,
			  bpf_program__name(prog), *bpf.why ? bpf.why : strerror(-err));
	return err;
}

static int write_text(struct bpf_probe *probe)
{
	struct ktramp_batch batch;
	int err = dev_arm(probe->dev, probe->info.id, &batch);

	if (err)
		p_refusal(&(struct refusal){ probe->info.site, batch.reason, err },
			  "cannot arm '%s' at %s: %s", probe->mechanism->name, probe->info.site,
			  *batch.why ? batch.why : strerror(-err));
	return err;
}

/**
 * bpf_probe_attach() - have a loaded program run at each hit
 * @probe: the probe
 * @prog: the program, of the type that the mechanism runs
 */
int bpf_probe_attach(struct bpf_probe *probe, struct bpf_program *prog)
{
	bool watched = bpf_is_way(probe->mechanism->mechanism);
	int err = watched ? 0 : hand_over(probe, prog);

	if (!err)
		err = write_text(probe);
	if (err || !watched)
		return err;
	bpf_listen();
	err = bpf_way_attach(prog, probe->mechanism->mechanism, &probe->info, &probe->link);
	if (err)
		p_err("'%s' cannot attach '%s' to %s: %s", probe->mechanism->name,
		      bpf_program__name(prog), probe->info.site, bpf_why(err));
	return err;
}

/* The numbers of those that are there. */
static uint32_t *ids_of(const struct bpf_probe *probes, unsigned int nr, uint32_t *n)
{
	uint32_t *ids = calloc(nr + 1, sizeof(*ids));

	*n = 0;
	for (unsigned int i = 0; ids && i < nr; i++)
		if (probes[i].info.id)
			ids[(*n)++] = probes[i].info.id;
	return ids;
}

static void batch(const struct bpf_probe *probes, unsigned int nr, unsigned long request)
{
	uint32_t n, *ids = ids_of(probes, nr, &n);
	struct ktramp_batch reply;

	for (uint32_t i = 0; ids && i < n; i += KTRAMP_BATCH_MAX)
		dev_batch(probes->dev, request, &ids[i], MIN(n - i, (uint32_t)KTRAMP_BATCH_MAX),
			  &reply);
	free(ids);
}

/**
 * bpf_probes_attach() - have a loaded program run at each hit of many probes
 * @probes: the probes, of our own mechanisms
 * @nr: how many
 * @prog: the program
 *
 * All share the waits that arming takes. What was refused is dropped: its number is 0 then.
 */
int bpf_probes_attach(struct bpf_probe *probes, unsigned int nr, struct bpf_program *prog)
{
	unsigned int armed = 0;

	for (unsigned int i = 0; i < nr; i++) {
		int err = probes[i].info.id ? hand_over(&probes[i], prog) : 0;

		if (err)
			return err;
	}
	batch(probes, nr, KTRAMP_IOC_ARM);
	for (unsigned int i = 0; i < nr; i++) {
		if (!probes[i].info.id)
			continue;
		bpf_probe_counters(&probes[i]);
		if (probes[i].info.state == KTRAMP_ARMED)
			armed++;
		else
			bpf_probe_drop(&probes[i]);
	}
	if (armed)
		return 0;
	p_err("none of %u probes can be armed", nr);
	return -EBUSY;
}

/* No hit runs the program any more, and none is under way; their counters stay. */
void bpf_probes_stop(struct bpf_probe *probes, unsigned int nr)
{
	batch(probes, nr, KTRAMP_IOC_DISARM);
}

/* Hits and misses as they are now, in @probe->info; of the kernel's ways none are known. */
int bpf_probe_counters(struct bpf_probe *probe)
{
	return dev_probe(probe->dev, probe->info.id, 0, &probe->info);
}

/* The probe stays, with its program. */
void bpf_probe_leave(struct bpf_probe *probe)
{
	probe->info.id = 0;
}

/* No hit runs the program any more, and none is under way; its counters stay. Complains. */
int bpf_probe_stop(struct bpf_probe *probe)
{
	struct ktramp_batch batch;
	int err;

	if (probe->link) {
		bpf_link__destroy(probe->link);
		probe->link = NULL;
		bpf_way_settle(probe->dev, probe->info.id, -1);
	}
	err = dev_disarm(probe->dev, probe->info.id, &batch);
	if (err)
		p_refusal(&(struct refusal){ probe->info.site, batch.reason, err },
			  "cannot disarm the probe at %s: %s", probe->info.site,
			  *batch.why ? batch.why : strerror(-err));
	return err;
}

void bpf_probe_drop(struct bpf_probe *probe)
{
	struct ktramp_batch batch;

	if (!probe->info.id)
		return;
	if (probe->link) {
		bpf_link__destroy(probe->link);
		probe->link = NULL;
		bpf_way_settle(probe->dev, probe->info.id, -1);
	}
	if (dev_destroy(probe->dev, probe->info.id, &batch))
		p_err("cannot take the probe at %s away: %s", probe->info.site, batch.why);
	probe->info.id = 0;
}
