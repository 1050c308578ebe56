// SPDX-License-Identifier: GPL-2.0-only
/* ktramp overlay: the same mount made five ways, and what each makes the kernel do. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "overlay/overlay.h"

#define REPEAT_MAX	1000
#define SETTLE_US	20000

enum option_key {
	OPT_RSS = 256,
	OPT_REPEAT,
	OPT_NAME_LENGTH,
	OPT_CONCURRENT,
	OPT_THREADS,
	OPT_MOUNTS,
	OPT_NO_UNSHARE,
	OPT_LIMITS,
	OPT_WORKER,
};

struct options {
	unsigned int modes;	/* bit n: mode n was asked for */
	unsigned int layers;
	unsigned int width;
	unsigned int rss;
	unsigned int repeat;
	unsigned int threads;
	unsigned int mounts;
	bool concurrent;
	bool no_unshare;
	bool limits;
	int worker;
};

struct overlay {
	const struct options *opts;
	struct dev dev;
	struct layers layers;
	char view[OVERLAY_PATH_MAX];
	struct overlay_job *job;
	struct overlay_probes probes;
	struct overlay_times *times;
	double *values;
	struct overlay_report report;
};

static const struct argp_option options[] = {
	{ "mode", 'm', "MODE", 0, "Mount this way only: 'direct', 'thread', 'fork', 'forkexec' or "
	  "'fsconfig'; may be repeated. Default: all", 0 },
	{ "layers", 'l', "N", 0, "Lower layers of the mount, 2 to 500. Default: 16", 0 },
	{ "name-length", OPT_NAME_LENGTH, "N", 0, "Characters in a layer's name. Default: 3; "
	  "Docker's have 26", 0 },
	{ "rss", OPT_RSS, "MIB", 0, "Memory the process has in use, which a fork has to copy the "
	  "page tables of. Default: 0", 0 },
	{ "repeat", OPT_REPEAT, "N", 0, "Timed mounts of each mode. Default: 5", 0 },
	{ "concurrent", OPT_CONCURRENT, NULL, 0, "Mount from many threads at once, each with a "
	  "working directory of its own, and check what they disturb", 1 },
	{ "threads", OPT_THREADS, "N", 0, "Threads of --concurrent. Default: 8", 1 },
	{ "mounts", OPT_MOUNTS, "N", 0, "Mounts a thread of --concurrent. Default: 100", 1 },
	{ "no-unshare", OPT_NO_UNSHARE, NULL, 0, "With --concurrent: leave the working directory "
	  "shared, to see it go wrong", 1 },
	{ "limits", OPT_LIMITS, NULL, 0, "Try the limits: where mount(2) cuts the options, how "
	  "many layers there can be", 2 },
	{ "worker", OPT_WORKER, "FD", OPTION_HIDDEN, NULL, 0 },
	{ }
};

static const char doc[] =
	"Make the same overlayfs mount in five ways; show what each makes the kernel do, and how "
	"long it takes.\n\n"
	"The options of mount(2) are one page, so the layers of a container image are given by "
	"short paths, relative to a working directory; but that belongs to the whole process. "
	"direct: absolute paths. thread: a thread that unshares its working directory "
	"(CLONE_FS). fork: a child. forkexec: a child that executes a helper. fsconfig: no "
	"option string, a call a layer (lowerdir+, since Linux 6.8; otherwise this falls back to "
	"thread, and says so).\v"
	"The counts are hits of ktramp's own jump and int3 probes in these functions, for this "
	"mount alone: each probe asks whose hit it is. Times are of other mounts, unprobed: until "
	"the mounting context is ready, of the mount, until the context is gone. Their unit is "
	"instructions in a guest of 'qemu -icount shift=0', nanoseconds elsewhere.\n\n"
	"All of it happens in a mount namespace and on a tmpfs of its own.\n\n"
	"Exit status: 0, 1 if a mount or a view of it was wrong or every mode was refused, 2 on "
	"wrong usage.\n\n"
	"Examples:\n"
	"  ktramp overlay\n"
	"  ktramp overlay --layers 128 --rss 256 -m thread -m fork\n"
	"  ktramp overlay --concurrent --no-unshare\n"
	"  ktramp overlay --limits --json | jq 'select(.refused).merged'\n";

static unsigned int mode_bit(struct argp_state *state, const char *name)
{
	for (unsigned int i = 0; i < OVERLAY_MODES; i++)
		if (!strcmp(overlay_mode_names[i], name))
			return 1U << i;
	argp_error(state, "no mode '%s'; there are direct, thread, fork, forkexec and fsconfig",
		   name);
	return 0;
}

static void check_options(struct argp_state *state, const struct options *opts)
{
	char last[16];

	if (opts->concurrent && opts->limits)
		argp_error(state, "--concurrent and --limits: say one of them");
	if (opts->no_unshare && !opts->concurrent)
		argp_error(state, "--no-unshare is for --concurrent");
	if ((int)opts->width < snprintf(last, sizeof(last), "%u", opts->layers - 1))
		argp_error(state, "--name-length %u is too short to tell %u layers apart",
			   opts->width, opts->layers);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opts = state->input;

	switch (key) {
	case 'm':
		opts->modes |= mode_bit(state, arg);
		return 0;
	case 'l':
		opts->layers = parse_number(state, "--layers", arg, 2, OVERLAY_LAYERS_MAX);
		return 0;
	case OPT_NAME_LENGTH:
		opts->width = parse_number(state, "--name-length", arg, 1, 100);
		return 0;
	case OPT_RSS:
		opts->rss = parse_number(state, "--rss", arg, 0, 1 << 20);
		return 0;
	case OPT_REPEAT:
		opts->repeat = parse_number(state, "--repeat", arg, 1, REPEAT_MAX);
		return 0;
	case OPT_CONCURRENT:
		opts->concurrent = true;
		return 0;
	case OPT_THREADS:
		opts->threads = parse_number(state, "--threads", arg, 2, 1000);
		return 0;
	case OPT_MOUNTS:
		opts->mounts = parse_number(state, "--mounts", arg, 1, 1000000);
		return 0;
	case OPT_NO_UNSHARE:
		opts->no_unshare = true;
		return 0;
	case OPT_LIMITS:
		opts->limits = true;
		return 0;
	case OPT_WORKER:
		opts->worker = parse_number(state, "--worker", arg, 3, 1 << 20);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is not an option; did you mean --mode?", arg);
		return 0;
	case ARGP_KEY_END:
		check_options(state, opts);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = CMD_ARGP(NULL);

/* Small pages, each with something in it: what a process that has been at work looks like. */
static int use_memory(unsigned int mib)
{
	size_t size = (size_t)mib << 20;
	char *memory;

	if (!mib)
		return 0;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || (madvise(memory, size, MADV_NOHUGEPAGE) && errno != EINVAL)) {
		p_err("cannot use %u MiB of memory: %s", mib, strerror(errno));
		return -errno;
	}
	for (size_t i = 0; i < size; i += 4096)
		memory[i] = 1;
	return 0;
}

/* One mount, seen to be right, and gone again. */
static int mount_checked(struct overlay *overlay, struct mode_row *row,
			 struct overlay_probes *probes, struct overlay_times *times)
{
	unsigned int merged;
	int err = overlay_mount(row->used, overlay->job, &overlay->layers, overlay->view, probes,
				times, row->why, sizeof(row->why));

	row->state = err == -E2BIG ? MOUNT_REFUSED : err ? MOUNT_FAILED : MOUNT_OK;
	if (err)
		return err;
	err = layers_view(&overlay->layers, overlay->view, &merged);
	if (!err && merged != overlay->layers.nr)
		err = -EIO;
	if (err) {
		row->state = MOUNT_FAILED;
		snprintf(row->why, sizeof(row->why), "the view has %u of %u layers, or others: %s",
			 merged, overlay->layers.nr, strerror(-err));
	}
	if (umount2(overlay->view, 0) && !err) {
		err = -errno;
		row->state = MOUNT_FAILED;
		snprintf(row->why, sizeof(row->why), "cannot unmount: %s", strerror(-err));
	}
	return err;
}

static int summarize(struct overlay *overlay, size_t member, struct spread *spread)
{
	for (unsigned int i = 0; i < overlay->opts->repeat; i++)
		overlay->values[i] = *(uint64_t *)((char *)&overlay->times[i] + member);
	return stats_spread(overlay->values, overlay->opts->repeat, 1, spread);
}

static int run_mode(struct overlay *overlay, struct mode_row *row)
{
	struct overlay_times counted;
	int err;

	err = mount_checked(overlay, row, &overlay->probes, &counted);
	if (err)
		return err;
	memcpy(row->count, overlay->probes.count, sizeof(row->count));
	for (unsigned int i = 0; i < overlay->opts->repeat; i++) {
		/* What the last unmount left to RCU and to kworkers is not this mount's time. */
		usleep(SETTLE_US);
		err = mount_checked(overlay, row, NULL, &overlay->times[i]);
		if (err)
			return err;
		if (stopped) {
			snprintf(row->why, sizeof(row->why), "stopped by signal %d", (int)stopped);
			row->state = MOUNT_FAILED;
			return -EINTR;
		}
	}
	err = summarize(overlay, offsetof(struct overlay_times, setup), &row->setup);
	if (!err)
		err = summarize(overlay, offsetof(struct overlay_times, mount), &row->mount);
	if (!err)
		err = summarize(overlay, offsetof(struct overlay_times, teardown), &row->teardown);
	if (!err)
		err = summarize(overlay, offsetof(struct overlay_times, total), &row->total);
	return err;
}

/* The string that mount(2) would get, whether it fits or not. */
static int measure_options(const struct overlay *overlay, struct mode_row *row)
{
	char *options = layers_options(&overlay->layers, row->used == OVERLAY_DIRECT);

	if (!options)
		return -ENOMEM;
	row->bytes = strlen(options);
	free(options);
	return 0;
}

static int choose_way(const struct overlay *overlay, struct mode_row *row)
{
	int err;

	row->used = row->mode;
	if (row->mode == OVERLAY_FSCONFIG) {
		err = overlay_has_by_layer(&overlay->layers, row->fallback, sizeof(row->fallback));
		if (!err)
			return 0;
		if (err != -EOPNOTSUPP) {
			row->state = MOUNT_FAILED;
			snprintf(row->why, sizeof(row->why), "cannot make a file system: %s",
				 strerror(-err));
			return err;
		}
		row->used = OVERLAY_THREAD;
	}
	return measure_options(overlay, row);
}

/* A mode that was refused or went wrong is a row that says so, and the others go on. */
static int run_modes(struct overlay *overlay)
{
	struct overlay_report *report = &overlay->report;
	unsigned int good = 0;
	int err = 0;

	for (unsigned int i = 0; i < OVERLAY_MODES && !stopped; i++) {
		struct mode_row *row = &report->rows[report->nr];

		if (!(overlay->opts->modes & (1U << i)))
			continue;
		report->nr++;
		row->mode = i;
		if (!choose_way(overlay, row))
			good += !run_mode(overlay, row);
		if (row->state == MOUNT_FAILED)
			err = -EIO;
	}
	if (overlay_report(report, &overlay->probes))
		return -EIO;
	for (unsigned int i = 0; i < report->nr; i++)
		if (report->rows[i].state == MOUNT_FAILED || (!good && !err))
			p_err("mode %s: %s", overlay_mode_names[report->rows[i].mode],
			      report->rows[i].why);
	return good ? err : -EIO;
}

static int compare_modes(struct overlay *overlay, const char *scratch)
{
	const struct options *opts = overlay->opts;
	int err;

	overlay->report.layers = opts->layers;
	overlay->report.rss = opts->rss;
	overlay->report.repeat = opts->repeat;
	overlay->report.clock = overlay->dev.info.clock;
	snprintf(overlay->layers.dir, sizeof(overlay->layers.dir), "%s/l", scratch);
	snprintf(overlay->view, sizeof(overlay->view), "%s/view", scratch);
	overlay->layers.nr = opts->layers;
	overlay->layers.width = opts->width;
	overlay->times = calloc(opts->repeat, sizeof(*overlay->times));
	overlay->values = calloc(opts->repeat, sizeof(*overlay->values));
	overlay->job = overlay_job_open();
	if (!overlay->times || !overlay->values || !overlay->job)
		return -ENOMEM;
	if (mkdir(overlay->view, 0755)) {
		err = -errno;
		p_err("cannot make a directory '%s': %s", overlay->view, strerror(-err));
		return err;
	}
	err = layers_make(&overlay->layers);
	if (!err)
		err = overlay_probes_open(&overlay->probes, &overlay->dev);
	if (!err)
		err = use_memory(opts->rss);
	return err ?: run_modes(overlay);
}

/* Before anything is probed: functions of a module that is not there have no address. */
static int load_overlayfs(void)
{
	int context = fsopen("overlay", FSOPEN_CLOEXEC);
	int err = context < 0 ? -errno : 0;

	if (err)
		p_err("the kernel has no overlayfs: %s; is there an overlay module "
		      "(CONFIG_OVERLAY_FS), and can it be loaded ('modprobe overlay')?",
		      strerror(-err));
	else
		close(context);
	return err;
}

static int run_overlay(const struct options *opts)
{
	struct overlay overlay = { .opts = opts, .dev = { .fd = -1 } };
	bool compares = !opts->concurrent && !opts->limits;
	char scratch[OVERLAY_PATH_MAX / 2];
	int err = load_overlayfs();

	if (!err && compares)
		err = dev_open(&overlay.dev);
	if (!err)
		err = scratch_enter(scratch, sizeof(scratch));
	if (err)
		goto out;
	if (opts->concurrent)
		err = overlay_concurrent(scratch, opts->threads, opts->mounts, !opts->no_unshare);
	else if (opts->limits)
		err = overlay_limits(scratch);
	else
		err = compare_modes(&overlay, scratch);
	scratch_leave(scratch);
out:
	overlay_job_close(&overlay.job);
	free(overlay.times);
	free(overlay.values);
	dev_close(&overlay.dev);
	return err;
}

int cmd_overlay(int argc, char **argv)
{
	struct options opts = {
		.layers = 16, .width = 3, .repeat = 5, .threads = 8, .mounts = 100,
	};

	argp_parse(&argp, argc, argv, 0, NULL, &opts);
	if (opts.worker)
		return overlay_worker(opts.worker);
	if (!opts.modes)
		opts.modes = (1U << OVERLAY_MODES) - 1;
	catch_signals();
	return run_overlay(&opts) ? EXIT_FAILED : EXIT_OK;
}
