// SPDX-License-Identifier: GPL-2.0-only
/* What a mount by relative paths must not disturb, and where the kernel's limits are. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "overlay/overlay.h"

static int make_view(const char *scratch, const char *name, char *view, size_t size)
{
	snprintf(view, size, "%s/%s", scratch, name);
	if (!mkdir(view, 0755))
		return 0;
	p_err("cannot make a directory '%s': %s", view, strerror(errno));
	return -errno;
}

/* ---- many threads, each with a working directory of its own ---- */

struct mounter {
	pthread_t thread;
	pthread_barrier_t *barrier;
	atomic_uint *mounts;	/* of each; the first thread lowers it to end early */
	bool leads;
	struct layers layers;
	char view[OVERLAY_PATH_MAX];
	bool unshared;
	unsigned int right;
	int err;		/* the first mount or view that was not right, or 0 */
};

static int mount_once(const struct mounter *mounter)
{
	unsigned int merged;
	int err;

	if (chdir(mounter->layers.dir))
		err = -errno;
	else
		err = 0;
	/*
	 * Every thread has changed directory, and none has mounted: with one working directory
	 * between them, all but one are now in the wrong place.
	 */
	pthread_barrier_wait(mounter->barrier);
	if (!err && mount("overlay", mounter->view, "overlay", 0, "lowerdir=0:1"))
		err = -errno;
	if (err)
		return err;
	err = layers_view(&mounter->layers, mounter->view, &merged);
	if (!err && merged != mounter->layers.nr)
		err = -EIO;
	if (umount2(mounter->view, 0) && !err)
		err = -errno;
	return err;
}

static void *mounter_main(void *arg)
{
	struct mounter *mounter = arg;

	if (mounter->unshared && unshare(CLONE_FS))
		mounter->err = -errno;
	/*
	 * Also after a failure: the others wait at the barrier. All take part in the mount that
	 * is made the last one, because nobody passes its barrier before that is decided.
	 */
	for (unsigned int i = 0; i < atomic_load(mounter->mounts); i++) {
		int err;

		if (mounter->leads && stopped && i + 1 < atomic_load(mounter->mounts))
			atomic_store(mounter->mounts, i + 1);
		err = mount_once(mounter);
		mounter->right += !err;
		if (err && !mounter->err)
			mounter->err = err;
	}
	return NULL;
}

static int prepare_mounter(struct mounter *mounter, const char *scratch, unsigned int i)
{
	char name[32];
	int err;

	snprintf(name, sizeof(name), "view%u", i);
	err = make_view(scratch, name, mounter->view, sizeof(mounter->view));
	if (err)
		return err;
	mounter->layers = (struct layers){ .nr = 2, .width = 1 };
	snprintf(mounter->layers.dir, sizeof(mounter->layers.dir), "%s/thread%u", scratch, i);
	return layers_make(&mounter->layers);
}

/* Threads wait for each other: without all of them, none may go. */
static int run_mounters(struct mounter *mounters, unsigned int nr)
{
	unsigned int started;
	int err = 0;

	for (started = 0; started < nr && !err; started++)
		err = pthread_create(&mounters[started].thread, NULL, mounter_main,
				     &mounters[started]);
	if (err) {
		p_err("cannot start %u threads: %s", nr, strerror(err));
		/* Those that were started wait for ever; the process ends without them. */
		return -err;
	}
	for (unsigned int i = 0; i < nr; i++)
		pthread_join(mounters[i].thread, NULL);
	return 0;
}

static int report_mounters(const struct mounter *mounters, unsigned int threads, bool unshared,
			   bool cwd_kept)
{
	unsigned int mounts = atomic_load(mounters->mounts);
	unsigned int all = threads * mounts, right = 0;
	int err = 0;

	for (unsigned int i = 0; i < threads; i++) {
		right += mounters[i].right;
		err = err ?: mounters[i].err;
	}
	if (!out_json)
		printf("%u threads, each with %s working directory: %u of %u views are right; the "
		       "main thread's directory %s\n", threads, unshared ? "its own" : "the shared",
		       right, all, cwd_kept ? "is unchanged" : "CHANGED");
	else if (out_line(stdout, json_pack("{s:s, s:i, s:i, s:b, s:i, s:i, s:b}",
					    "type", "overlay-concurrent",
					    "threads", threads, "mounts", mounts,
					    "unshared", unshared, "right", right,
					    "wrong", all - right, "cwd_kept", cwd_kept)))
		return -EIO;
	if (right == all && cwd_kept)
		return 0;
	p_err("%u of %u views were wrong or could not be mounted%s%s", all - right, all,
	      err ? ", the first one with: " : "", err ? strerror(-err) : "");
	return -EIO;
}

int overlay_concurrent(const char *scratch, unsigned int threads, unsigned int mounts,
		       bool unshared)
{
	struct mounter *mounters = calloc(threads, sizeof(*mounters));
	char before[4096] = "", after[4096] = "";
	atomic_uint count = mounts;
	pthread_barrier_t barrier;
	int err = 0;

	if (!mounters) {
		p_err("cannot start %u threads: %s", threads, strerror(ENOMEM));
		return -ENOMEM;
	}
	pthread_barrier_init(&barrier, NULL, threads);
	for (unsigned int i = 0; i < threads && !err; i++) {
		mounters[i].barrier = &barrier;
		mounters[i].mounts = &count;
		mounters[i].leads = i == 0;
		mounters[i].unshared = unshared;
		err = prepare_mounter(&mounters[i], scratch, i);
	}
	if (!err && !getcwd(before, sizeof(before)))
		err = -errno;
	if (!err)
		err = run_mounters(mounters, threads);
	if (!err && !getcwd(after, sizeof(after)))
		err = -errno;
	if (!err)
		err = report_mounters(mounters, threads, unshared, !strcmp(before, after));
	if (!err && stopped) {
		p_err("stopped by signal %d", (int)stopped);
		err = -EINTR;
	}
	free(mounters);
	return err;
}

/* ---- limits ---- */

enum via {
	VIA_STRING,	/* mount(2), one string */
	VIA_LAYER,	/* fsconfig(2), a layer a call */
};

/*
 * Names are chosen so that the option's byte 4095, which the kernel overwrites, is what
 * the case is called after. "lowerdir=" is 9 bytes; 409 names of 9, 3 of them of 8, with a
 * colon behind each, end at byte 4095.
 */
struct limit {
	const char *name;
	enum via via;
	struct layers layers;
	bool refused;		/* by our builder, before the kernel is asked */
	int err;		/* of the kernel */
	unsigned int merged;
};

static const struct limit limits[] = {
	{ "fits", VIA_STRING, { "", 409, 9, 3 }, false, 0, 409 },
	{ "cut-at-colon", VIA_STRING, { "", 429, 9, 3 }, true, 0, 409 },
	{ "cut-in-name", VIA_STRING, { "", 429, 9, 0 }, true, -ENOENT, 0 },
	{ "cut-behind-colon", VIA_STRING, { "", 429, 9, 4 }, true, -EINVAL, 0 },
	{ "most-layers", VIA_LAYER, { "", OVERLAY_LAYERS_MAX, 32, 0 }, false, 0,
	  OVERLAY_LAYERS_MAX },
	{ "too-many-layers", VIA_LAYER, { "", OVERLAY_LAYERS_MAX + 1, 32, 0 }, false, -EINVAL, 0 },
};

struct outcome {
	bool unsupported;
	size_t bytes;		/* of the option, 0: there is no such string */
	bool refused;
	int err;
	unsigned int merged;
	char why[KTRAMP_WHY_MAX];
};

static int try_limit(const struct limit *limit, const struct layers *layers, const char *view,
		     struct outcome *outcome)
{
	if (limit->via == VIA_LAYER) {
		outcome->err = overlay_by_layer(layers, view, outcome->why, sizeof(outcome->why));
	} else {
		char *options = layers_options(layers, false);

		if (!options)
			return -ENOMEM;
		outcome->bytes = strlen(options);
		outcome->refused = options_check(options, outcome->why, sizeof(outcome->why));
		/* What a builder that did not look would get. */
		outcome->err = overlay_raw(layers, view, options);
		free(options);
	}
	if (outcome->err)
		return 0;
	/* The first layers whole, however many: fewer than asked for is the case's point. */
	layers_view(layers, view, &outcome->merged);
	if (chdir("/") || umount2(view, 0))
		return -errno;
	return 0;
}

static int limit_json(const struct limit *limit, const struct outcome *outcome, bool as_expected)
{
	return out_line(stdout, json_pack("{s:s, s:s, s:i, s:b, s:o, s:b, s:o, s:i, s:s, s:b}",
		"type", "overlay-limit",
		"case", limit->name,
		"layers", limit->layers.nr,
		"supported", !outcome->unsupported,
		"bytes", outcome->bytes ? json_integer(outcome->bytes) : json_null(),
		"refused", outcome->refused,
		"errno", outcome->err ? json_string(strerrorname_np(-outcome->err)) : json_null(),
		"merged", outcome->merged,
		"why", outcome->why,
		"as_expected", as_expected));
}

static void limit_row(const struct limit *limit, const struct outcome *outcome,
		      struct table *table)
{
	const char *kernel = "mounts";
	char bytes[16] = "-";

	if (outcome->bytes)
		snprintf(bytes, sizeof(bytes), "%zu", outcome->bytes);
	if (outcome->unsupported)
		kernel = "unsupported";
	else if (outcome->err)
		kernel = strerrorname_np(-outcome->err);
	table_add(table, "%s\t%u\t%s\t%s\t%s\t%u\t%s", limit->name, limit->layers.nr, bytes,
		  outcome->refused ? "refuses" : "builds", kernel, outcome->merged, outcome->why);
}

static int run_limit(const struct limit *limit, const char *scratch, const char *view,
		     struct table *table)
{
	struct layers layers = limit->layers;
	struct outcome outcome = { 0 };
	bool as_expected;
	int err;

	snprintf(layers.dir, sizeof(layers.dir), "%s/%s", scratch, limit->name);
	err = layers_make(&layers);
	if (err)
		return err;
	if (limit->via == VIA_LAYER)
		err = overlay_has_by_layer(&layers, outcome.why, sizeof(outcome.why));
	if (err == -EOPNOTSUPP) {
		outcome.unsupported = true;
		as_expected = true;
	} else {
		err = try_limit(limit, &layers, view, &outcome);
		if (err) {
			p_err("cannot try limit '%s': %s", limit->name, strerror(-err));
			return err;
		}
		as_expected = outcome.err == limit->err && outcome.refused == limit->refused &&
			      outcome.merged == limit->merged;
	}
	if (!out_json)
		limit_row(limit, &outcome, table);
	else if (limit_json(limit, &outcome, as_expected))
		return -EIO;
	if (!as_expected) {
		p_err("limit '%s' is not where it is known to be: expected %s and %u layers merged",
		      limit->name, limit->err ? strerrorname_np(-limit->err) : "a mount",
		      limit->merged);
		return -EIO;
	}
	return 0;
}

int overlay_limits(const char *scratch)
{
	char view[OVERLAY_PATH_MAX];
	struct table table;
	int err;

	err = make_view(scratch, "view", view, sizeof(view));
	table_init(&table, 7, 0x26);
	table_add(&table, "CASE\tLAYERS\tBYTES\tBUILDER\tKERNEL\tMERGED\tWHY");
	for (size_t i = 0; i < ARRAY_SIZE(limits) && !err; i++)
		err = run_limit(&limits[i], scratch, view, &table);
	if (!out_json && table_print(&table))
		err = -ENOMEM;
	table_deinit(&table);
	return err;
}
