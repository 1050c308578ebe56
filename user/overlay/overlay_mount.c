// SPDX-License-Identifier: GPL-2.0-only
/*
 * One mount, five ways. A working directory common to the layers makes their paths short,
 * but it belongs to the whole process: so the mount is made where one can be changed
 * without disturbing anybody, and the question is what such a place costs.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "overlay/overlay.h"

const char *const overlay_mode_names[OVERLAY_MODES] = {
	[OVERLAY_DIRECT]	= "direct",
	[OVERLAY_THREAD]	= "thread",
	[OVERLAY_FORK]		= "fork",
	[OVERLAY_FORKEXEC]	= "forkexec",
	[OVERLAY_FSCONFIG]	= "fsconfig",
};

/* What went wrong, in the words of overlay_job.stage. */
static const char *const stages[] = {
	"start", "leave the common working directory (unshare)", "enter the layers' directory",
	"mount", "execute itself",
};

enum stage {
	STAGE_START,
	STAGE_UNSHARE,
	STAGE_CHDIR,
	STAGE_MOUNT,
	STAGE_EXEC,
};

/* In memory that the one who wants the mount shares with the one who makes it. */
struct overlay_job {
	int fd;				/* of this memory, for a program that is executed */
	int gate[2];			/* a worker that is probed waits for it */
	char cwd[OVERLAY_PATH_MAX];	/* empty: stay */
	char view[OVERLAY_PATH_MAX];
	char options[OVERLAY_OPTIONS_MAX + 1];
	enum stage stage;
	int err;
	uint64_t from, to;		/* of the mount alone */
};

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

struct overlay_job *overlay_job_open(void)
{
	/* Not close-on-exec: the executed worker finds its job here. */
	int fd = memfd_create("ktramp-overlay", 0);
	struct overlay_job *job = MAP_FAILED;

	if (fd >= 0 && !ftruncate(fd, sizeof(*job)))
		job = mmap(NULL, sizeof(*job), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (job == MAP_FAILED) {
		p_err("cannot share memory with a worker: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	job->fd = fd;
	return job;
}

void overlay_job_close(struct overlay_job **job)
{
	if (!*job)
		return;
	close((*job)->fd);
	munmap(*job, sizeof(**job));
}

static void fail(struct overlay_job *job, enum stage stage)
{
	job->stage = stage;
	job->err = -errno;
}

/* Where the working directory may be changed. */
static void perform(struct overlay_job *job)
{
	if (*job->cwd && chdir(job->cwd)) {
		fail(job, STAGE_CHDIR);
		return;
	}
	job->from = now();
	if (mount("overlay", job->view, "overlay", 0, job->options))
		fail(job, STAGE_MOUNT);
	job->to = now();
}

/* ---- thread: it stops sharing the working directory, and dies with its own ---- */

static void *thread_main(void *arg)
{
	struct overlay_job *job = arg;

	if (unshare(CLONE_FS))
		fail(job, STAGE_UNSHARE);
	else
		perform(job);
	return NULL;
}

static int in_thread(struct overlay_job *job)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, thread_main, job);

	if (!err)
		err = pthread_join(thread, NULL);
	return -err;
}

/* ---- fork, and execution ---- */

static void child_main(struct overlay_job *job, bool gated, bool exec)
{
	char fd[16], *argv[] = {
		(char *)"ktramp", (char *)"overlay", (char *)"--worker", fd, NULL
	};
	char byte;

	/* Nobody will open it if the parent is gone: read() returns 0. */
	if (gated) {
		close(job->gate[1]);
		if (read(job->gate[0], &byte, 1) != 1)
			_exit(EXIT_FAILED);
	}
	if (exec) {
		snprintf(fd, sizeof(fd), "%d", job->fd);
		execv("/proc/self/exe", argv);
		fail(job, STAGE_EXEC);
	} else {
		perform(job);
	}
	_exit(EXIT_OK);
}

static int open_gate(struct overlay_job *job, struct overlay_probes *probes, pid_t child)
{
	int err = overlay_probes_follow(probes, child);

	close(job->gate[0]);
	if (!err && write(job->gate[1], "", 1) != 1)
		err = -errno;
	close(job->gate[1]);
	return err;
}

static int in_child(struct overlay_job *job, bool exec, struct overlay_probes *probes)
{
	int status, err = 0;
	pid_t child;

	if (probes && pipe2(job->gate, O_CLOEXEC))
		return -errno;
	child = fork();
	if (!child)
		child_main(job, probes, exec);
	if (child < 0) {
		err = -errno;
		if (probes) {
			close(job->gate[0]);
			close(job->gate[1]);
		}
		return err;
	}
	if (probes)
		err = open_gate(job, probes, child);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (!err && (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_OK))
		err = -ECHILD;
	return err;
}

/* The other end of "--worker": a program of its own that does what its job says. */
int overlay_worker(int fd)
{
	struct overlay_job *job = MAP_FAILED;
	struct stat st;

	/* A shorter file could be mapped, and would kill whoever reads behind its end. */
	if (!fstat(fd, &st) && st.st_size == sizeof(*job))
		job = mmap(NULL, sizeof(*job), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (job == MAP_FAILED) {
		p_err("descriptor %d holds no job; --worker is for ktramp itself", fd);
		return EXIT_FAILED;
	}
	perform(job);
	return EXIT_OK;
}

/* ---- fsconfig: layer by layer, so that no path has to be short ---- */

/* The kernel's own words about a file system context, without their "e overlay: ". */
static void context_says(int context, char *why, size_t size)
{
	ssize_t n = read(context, why, size - 1);
	char *text;

	why[n > 0 ? n : 0] = '\0';
	why[strcspn(why, "\n")] = '\0';
	text = strstr(why, ": ");
	if (text && text - why <= (ssize_t)strlen("e overlayfs"))
		memmove(why, text + 2, strlen(text + 2) + 1);
}

/* Return: a context that has all layers, or -errno with the kernel's words. */
static int add_layers(const struct layers *layers, char *why, size_t size)
{
	int context = fsopen("overlay", FSOPEN_CLOEXEC);

	if (context < 0) {
		snprintf(why, size, "fsopen: %s", strerror(errno));
		return -errno;
	}
	for (unsigned int i = 0; i < layers->nr; i++) {
		char path[OVERLAY_PATH_MAX + 256], name[256];

		layers_name(layers, i, name, sizeof(name));
		snprintf(path, sizeof(path), "%s/%s", layers->dir, name);
		if (fsconfig(context, FSCONFIG_SET_STRING, "lowerdir+", path, 0)) {
			int err = -errno;

			context_says(context, why, size);
			close(context);
			return err;
		}
	}
	return context;
}

static int attach(int context, const char *view)
{
	int mounted = fsmount(context, FSMOUNT_CLOEXEC, 0), err = 0;

	if (mounted < 0)
		return -errno;
	if (move_mount(mounted, "", AT_FDCWD, view, MOVE_MOUNT_F_EMPTY_PATH))
		err = -errno;
	close(mounted);
	return err;
}

/*
 * A kernel before 6.8 takes lowerdir+ as it takes any string, and rejects it only when the
 * file system is made.
 */
int overlay_by_layer(const struct layers *layers, const char *view, char *why, size_t size)
{
	int context = add_layers(layers, why, size), err = 0;

	if (context < 0)
		return context;
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0)) {
		err = -errno;
		context_says(context, why, size);
	} else if (view) {
		err = attach(context, view);
	}
	close(context);
	return err;
}

int overlay_has_by_layer(const struct layers *layers, char *why, size_t size)
{
	struct layers two = *layers;
	char says[KTRAMP_WHY_MAX] = "";
	int err;

	two.nr = 2;
	err = overlay_by_layer(&two, NULL, says, sizeof(says));
	if (!err)
		return 0;
	snprintf(why, size, "unsupported (%s at create%s%s): lowerdir+ is there since Linux 6.8",
		 strerrorname_np(-err), *says ? ": " : "", says);
	return err == -EINVAL ? -EOPNOTSUPP : err;
}

/* ---- the ways ---- */

int overlay_raw(const struct layers *layers, const char *view, const char *options)
{
	if (chdir(layers->dir))
		return -errno;
	return mount("overlay", view, "overlay", 0, options) ? -errno : 0;
}

static int prepare(enum overlay_mode mode, struct overlay_job *job, const struct layers *layers,
		   const char *view, char *why, size_t size)
{
	bool absolute = mode == OVERLAY_DIRECT;
	char *options;
	int err;

	job->stage = STAGE_START;
	job->err = 0;
	job->from = 0;
	job->to = 0;
	snprintf(job->view, sizeof(job->view), "%s", view);
	snprintf(job->cwd, sizeof(job->cwd), "%s", absolute ? "" : layers->dir);
	if (mode == OVERLAY_FSCONFIG)
		return 0;
	options = layers_options(layers, absolute);
	if (!options)
		return -ENOMEM;
	err = options_check(options, why, size);
	if (!err)
		memcpy(job->options, options, strlen(options) + 1);
	free(options);
	return err;
}

static int mount_by(enum overlay_mode mode, struct overlay_job *job, const struct layers *layers,
		    struct overlay_probes *probes, char *why, size_t size)
{
	int err = 0;

	switch (mode) {
	case OVERLAY_DIRECT:
		perform(job);
		break;
	case OVERLAY_THREAD:
		err = in_thread(job);
		break;
	case OVERLAY_FORK:
	case OVERLAY_FORKEXEC:
		err = in_child(job, mode == OVERLAY_FORKEXEC, probes);
		break;
	default:
		job->from = now();
		err = overlay_by_layer(layers, job->view, why, size);
		job->to = now();
	}
	if (!err && job->err) {
		err = job->err;
		snprintf(why, size, "cannot %s: %s", stages[job->stage], strerror(-err));
	}
	return err;
}

int overlay_mount(enum overlay_mode mode, struct overlay_job *job, const struct layers *layers,
		  const char *view, struct overlay_probes *probes, struct overlay_times *times,
		  char *why, size_t size)
{
	bool follows = mode == OVERLAY_FORK || mode == OVERLAY_FORKEXEC;
	uint64_t from, to;
	int err, probe_err = 0;

	*why = '\0';
	err = prepare(mode, job, layers, view, why, size);
	if (!err && probes)
		err = overlay_probes_begin(probes, follows);
	if (!err) {
		from = now();
		err = mount_by(mode, job, layers, probes, why, size);
		to = now();
		*times = (struct overlay_times){
			.setup	= job->from - from,
			.mount	= job->to - job->from,
			.teardown = to - job->to,
			.total	= to - from,
		};
		if (probes)
			probe_err = overlay_probes_end(probes);
	}
	err = err ?: probe_err;
	if (err && !*why)
		snprintf(why, size, "%s", strerror(-err));
	return err;
}
