// SPDX-License-Identifier: GPL-2.0-only
/*
 * Probes of ours on what a mount can make the kernel do. They stand behind the entry, on
 * the first instruction that is the function's own: ftrace, which owns the entry, cannot
 * ask whose hit it is, and a machine that forks elsewhere must not count here.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "overlay/overlay.h"

/*
 * Inlined functions have no entry: not probed are dup_mm(), unshare_fs(), do_new_mount().
 * One without a symbol on this kernel is reported as missing, and the others count.
 */
const struct overlay_point overlay_points[] = {
	{ "kernel_clone",	NULL,	ROLE_CALLER },
	{ "copy_process",	NULL,	ROLE_CALLER },
	{ "copy_page_range",	NULL,	ROLE_CALLER },	/* one per mapping with pages */
	{ "copy_fs_struct",	NULL,	ROLE_CALLER },
	{ "ksys_unshare",	NULL,	ROLE_CALLER },
	{ "kernel_wait4",	NULL,	ROLE_CALLER },
	{ "bprm_execve",	NULL,	ROLE_WORKER },
	{ "begin_new_exec",	NULL,	ROLE_WORKER },
	{ "load_elf_binary",	NULL,	ROLE_WORKER },
	{ "set_fs_pwd",		NULL,	ROLE_WORKER },
	{ "__x64_sys_mount",	NULL,	ROLE_WORKER },
	{ "copy_mount_options",	NULL,	ROLE_WORKER },
	{ "path_mount",		NULL,	ROLE_WORKER },
	{ "__x64_sys_fsconfig",	NULL,	ROLE_WORKER },
	{ "legacy_parse_param",	NULL,	ROLE_WORKER },
	{ "vfs_get_tree",	NULL,	ROLE_WORKER },
	{ "__x64_sys_move_mount", NULL,	ROLE_WORKER },
	{ "ovl_mount",		"overlay", ROLE_WORKER },
	{ "ovl_get_tree",	"overlay", ROLE_WORKER },
	{ "ovl_parse_param",	"overlay", ROLE_WORKER },
	{ "ovl_fill_super",	"overlay", ROLE_WORKER },
	{ "exit_mmap",		NULL,	ROLE_WORKER },
	{ "do_exit",		NULL,	ROLE_WORKER },
};

const unsigned int overlay_nr_points = ARRAY_SIZE(overlay_points);

/* A jump if it fits there, else an int3 with the resume method that the instruction allows. */
static const uint32_t mechanisms[] = {
	KTRAMP_JUMP, KTRAMP_INT3_BOOST, KTRAMP_INT3_EMULATE, KTRAMP_INT3_STEP_INT3,
};

static int create_at(struct overlay_probes *probes, const char *site, pid_t pid,
		     struct ktramp_create *create)
{
	int err = -EINVAL;

	for (size_t i = 0; i < ARRAY_SIZE(mechanisms); i++) {
		*create = (struct ktramp_create){
			.mechanism = mechanisms[i], .handler = KTRAMP_COUNT, .pid = pid,
		};
		snprintf(create->site, sizeof(create->site), "%s", site);
		err = dev_create(probes->dev, create);
		/* Another way in does not help where there is no such instruction. */
		if (!err || err == -ENOENT || err == -EILSEQ)
			break;
	}
	return err;
}

/* Behind the 5 bytes that ftrace owns, which stand behind an endbr64 if there is one. */
static int create_probe(struct overlay_probes *probes, unsigned int i, pid_t pid, uint32_t *id)
{
	static const unsigned int offsets[] = { 5, 9 };
	const struct overlay_point *point = &overlay_points[i];
	struct ktramp_create create = { 0 };
	int err = -EINVAL;

	for (size_t k = 0; k < ARRAY_SIZE(offsets) && err; k++) {
		snprintf(probes->site[i], sizeof(probes->site[i]), "%s%s%s+0x%x",
			 point->module ?: "", point->module ? ":" : "", point->function,
			 offsets[k]);
		err = create_at(probes, probes->site[i], pid, &create);
		if (err == -ENOENT)
			break;
	}
	*id = err ? 0 : create.id;
	if (err)
		snprintf(probes->why[i], sizeof(probes->why[i]), "%s",
			 *create.why ? create.why : strerror(-err));
	return err;
}

int overlay_probes_open(struct overlay_probes *probes, const struct dev *dev)
{
	unsigned int made = 0;

	*probes = (struct overlay_probes){ .dev = dev, .self = getpid() };
	for (unsigned int i = 0; i < overlay_nr_points; i++)
		made += !create_probe(probes, i, probes->self, &probes->own[i]);
	if (!made) {
		p_err("cannot probe any of %u functions; %s: %s", overlay_nr_points,
		      overlay_points[0].function, probes->why[0]);
		return -EOPNOTSUPP;
	}
	return 0;
}

/* The probes that count for this mount: all of ours, or the caller's, or the worker's. */
static unsigned int pick(const struct overlay_probes *probes, uint32_t *ids, bool callers,
			 bool workers, const uint32_t *from)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < overlay_nr_points; i++) {
		bool wanted = overlay_points[i].role == ROLE_CALLER ? callers : workers;

		if (wanted && probes->own[i] && from[i])
			ids[nr++] = from[i];
	}
	return nr;
}

static int complain(const char *what, int err, const struct ktramp_batch *batch)
{
	if (err)
		p_err("cannot %s: %s", what, *batch->why ? batch->why : strerror(-err));
	return err;
}

static int read_hits(const struct overlay_probes *probes, uint32_t id, uint64_t *hits)
{
	struct ktramp_probe_info info;
	int err = dev_probe(probes->dev, id, 0, &info);

	if (err) {
		p_err("cannot read probe %u: %s", id, strerror(-err));
		return err;
	}
	if (info.missed) {
		p_err("probe %u at %s missed %llu hits; the count would be wrong", id, info.site,
		      info.missed);
		return -EIO;
	}
	*hits = info.hits;
	return 0;
}

int overlay_probes_begin(struct overlay_probes *probes, bool follows)
{
	uint32_t ids[OVERLAY_POINTS_MAX];
	struct ktramp_batch batch = { 0 };
	unsigned int nr = pick(probes, ids, true, !follows, probes->own);
	int err = 0;

	probes->follows = follows;
	memset(probes->child, 0, sizeof(probes->child));
	memset(probes->base, 0, sizeof(probes->base));
	memset(probes->count, 0, sizeof(probes->count));
	for (unsigned int i = 0; !err && i < overlay_nr_points; i++)
		if (probes->own[i])
			err = read_hits(probes, probes->own[i], &probes->base[i]);
	if (!err && nr)
		err = complain("arm the probes",
			       dev_batch(probes->dev, KTRAMP_IOC_ARM, ids, nr, &batch), &batch);
	return err;
}

/* @worker waits meanwhile: it has done nothing yet that counts as its own. */
int overlay_probes_follow(struct overlay_probes *probes, pid_t worker)
{
	uint32_t ids[OVERLAY_POINTS_MAX];
	struct ktramp_batch batch = { 0 };
	unsigned int nr;

	for (unsigned int i = 0; i < overlay_nr_points; i++) {
		int err;

		if (overlay_points[i].role != ROLE_WORKER || !probes->own[i])
			continue;
		err = create_probe(probes, i, worker, &probes->child[i]);
		if (err) {
			p_err("cannot probe %s for process %d: %s", probes->site[i], worker,
			      probes->why[i]);
			return err;
		}
	}
	nr = pick(probes, ids, false, true, probes->child);
	if (!nr)
		return 0;
	return complain("arm the probes", dev_batch(probes->dev, KTRAMP_IOC_ARM, ids, nr, &batch),
			&batch);
}

static int read_counts(struct overlay_probes *probes)
{
	for (unsigned int i = 0; i < overlay_nr_points; i++) {
		bool other = probes->follows && overlay_points[i].role == ROLE_WORKER;
		uint32_t id = other ? probes->child[i] : probes->own[i];
		int err;

		if (!id)
			continue;
		err = read_hits(probes, id, &probes->count[i]);
		if (err)
			return err;
		if (!other)
			probes->count[i] -= probes->base[i];
	}
	return 0;
}

/* Disarms in any case, and reads what was counted. */
int overlay_probes_end(struct overlay_probes *probes)
{
	uint32_t ids[OVERLAY_POINTS_MAX];
	struct ktramp_batch batch = { 0 };
	unsigned int nr = pick(probes, ids, true, !probes->follows, probes->own);
	int err = 0, child_err = 0;

	if (nr)
		err = complain("disarm the probes",
			       dev_batch(probes->dev, KTRAMP_IOC_DISARM, ids, nr, &batch), &batch);
	if (!err)
		err = read_counts(probes);
	nr = pick(probes, ids, false, true, probes->child);
	if (nr)
		child_err = complain("destroy the probes",
				     dev_batch(probes->dev, KTRAMP_IOC_DESTROY, ids, nr, &batch),
				     &batch);
	memset(probes->child, 0, sizeof(probes->child));
	return err ?: child_err;
}
