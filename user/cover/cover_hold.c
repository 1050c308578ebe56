// SPDX-License-Identifier: GPL-2.0-only
/*
 * Coverage that outlives the command which started it: 'ktramp cover start' leaves a process that
 * has /dev/ktramp open, which is what coverage ends with, and a file with what was found. Who
 * wants to read, reset or stop finds the process by the lock that it holds, and takes copies of
 * both descriptors (pidfd_getfd()). There is no protocol to speak, and nothing to serve.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cover/cover.h"

#define DIRECTORY	"/run"
#define LOCK		DIRECTORY "/ktramp-cover.lock"

/* Descriptors of the process that holds. */
#define HELD_DEVICE	3
#define HELD_PLAN	4

/* What the file begins with. Its version is that of the structs, which belong to one build. */
struct head {
	char magic[16];
	uint64_t nr_funcs;
	uint64_t nr_blocks;
	uint64_t names;		/* bytes: "module:name\n" of each function */
};

#define MAGIC	"ktramp cover 1"

static int complain(const char *what)
{
	int err = -errno;

	p_err("cannot %s: %s", what, strerror(-err));
	return err;
}

/* ---- the file ---- */

static int write_plan(FILE *file, const struct cover *cover)
{
	struct head head = {
		.magic = MAGIC, .nr_funcs = cover->plan.nr_funcs,
		.nr_blocks = cover->plan.nr_blocks,
	};

	for (size_t i = 0; i < cover->plan.nr_funcs; i++)
		head.names += strlen(cover->names.v[i].module) + strlen(cover->names.v[i].name) + 2;
	fwrite(&head, sizeof(head), 1, file);
	fwrite(cover->plan.func, sizeof(*cover->plan.func), head.nr_funcs, file);
	fwrite(cover->plan.block, sizeof(*cover->plan.block), head.nr_blocks, file);
	for (size_t i = 0; i < cover->plan.nr_funcs; i++)
		fprintf(file, "%s:%s\n", cover->names.v[i].module, cover->names.v[i].name);
	return ferror(file) || fflush(file) ? -EIO : 0;
}

static int read_names(FILE *file, const struct head *head, struct cover *cover)
{
	char *text = malloc(head->names + 1), *line = text, *end, *name;
	int err = text && fread(text, 1, head->names, file) == head->names ? 0 : -EIO;

	cover->names.v = calloc(head->nr_funcs + 1, sizeof(*cover->names.v));
	if (!cover->names.v)
		err = -ENOMEM;
	for (size_t i = 0; !err && i < head->nr_funcs; i++, line = end + 1) {
		text[head->names] = '\0';
		end = strchr(line, '\n');
		name = strchr(line, ':');
		if (!end || !name || name > end) {
			err = -EIO;
			break;
		}
		*end = '\0';
		*name++ = '\0';
		cover->names.v[i] = (struct cover_name){
			.address = cover->plan.func[i].address,
			.module = strdup(line), .name = strdup(name),
		};
		cover->names.nr++;
	}
	free(text);
	return err;
}

static int read_plan(FILE *file, struct cover *cover)
{
	struct cover_plan *plan = &cover->plan;
	struct head head;

	if (fread(&head, sizeof(head), 1, file) != 1 || strcmp(head.magic, MAGIC))
		return -EIO;
	plan->func = calloc(head.nr_funcs + 1, sizeof(*plan->func));
	plan->block = calloc(head.nr_blocks + 1, sizeof(*plan->block));
	if (!plan->func || !plan->block)
		return -ENOMEM;
	plan->nr_funcs = fread(plan->func, sizeof(*plan->func), head.nr_funcs, file);
	plan->nr_blocks = fread(plan->block, sizeof(*plan->block), head.nr_blocks, file);
	if (plan->nr_funcs != head.nr_funcs || plan->nr_blocks != head.nr_blocks)
		return -EIO;
	return read_names(file, &head, cover);
}

/* ---- the process ---- */

static int open_lock(void)
{
	/* Of a system that was booted without much of one. */
	if (mkdir(DIRECTORY, 0755) && errno != EEXIST)
		return -1;
	return open(LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static struct flock whole_file(void)
{
	return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
}

/* Until somebody ends it: /dev/ktramp is closed then, whatever it is that ends it. */
static void hold(int device, int plan, int lock, int ready)
{
	struct flock whole = whole_file();
	char done = 1;

	setsid();
	/* In an order in which neither overwrites the other. */
	device = fcntl(device, F_DUPFD_CLOEXEC, 10);
	plan = fcntl(plan, F_DUPFD_CLOEXEC, 10);
	lock = fcntl(lock, F_DUPFD_CLOEXEC, 10);
	ready = fcntl(ready, F_DUPFD_CLOEXEC, 10);
	if (dup2(device, HELD_DEVICE) < 0 || dup2(plan, HELD_PLAN) < 0 ||
	    fcntl(lock, F_SETLK, &whole))
		_exit(EXIT_FAILED);
	close(device);
	close(plan);
	for (int fd = 0; fd < 3; fd++) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		if (null < 0 || dup2(null, fd) < 0)
			_exit(EXIT_FAILED);
		if (null > 2)
			close(null);
	}
	if (write(ready, &done, 1) != 1)
		_exit(EXIT_FAILED);
	close(ready);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	for (;;)
		pause();
}

/* Leave a process that keeps @dev open, on which coverage was started. */
int cover_hold(const struct dev *dev, const struct cover *cover)
{
	int fd = memfd_create("ktramp-cover", MFD_CLOEXEC), lock, ready[2], err;
	FILE *file = fd >= 0 ? fdopen(fd, "w+") : NULL;
	char done = 0;
	pid_t child;

	if (!file || write_plan(file, cover))
		return complain("keep what was found");
	lock = open_lock();
	if (lock < 0)
		return complain("open " LOCK);
	if (pipe2(ready, O_CLOEXEC))
		return complain("make a pipe");
	fflush(stdout);
	child = fork();
	if (!child)
		hold(dev->fd, fd, lock, ready[1]);
	close(ready[1]);
	close(lock);
	err = child < 0 ? complain("leave a process behind") : 0;
	if (!err && read(ready[0], &done, 1) != 1) {
		p_err("another coverage is held already: 'ktramp cover stop' ends it");
		err = -EBUSY;
	}
	close(ready[0]);
	fclose(file);
	return err;
}

static pid_t find_holder(void)
{
	struct flock whole = whole_file();
	int lock = open(LOCK, O_RDWR | O_CLOEXEC);
	bool known = lock >= 0 && !fcntl(lock, F_GETLK, &whole) && whole.l_type != F_UNLCK;

	if (lock >= 0)
		close(lock);
	return known ? whole.l_pid : 0;
}

/*
 * What 'ktramp cover start' has left. @dev: opened; becomes the file that covers. @holder: (out)
 * the process, as a descriptor.
 */
int cover_held(struct dev *dev, struct cover *cover, int *holder)
{
	pid_t pid = find_holder();
	int device, fd, err;
	FILE *file;

	if (!pid) {
		p_err("nothing is covered: 'ktramp cover start' begins that");
		return -ENOENT;
	}
	*holder = pidfd_open(pid, 0);
	if (*holder < 0)
		return complain("find the process that holds the coverage");
	device = pidfd_getfd(*holder, HELD_DEVICE, 0);
	fd = pidfd_getfd(*holder, HELD_PLAN, 0);
	if (device < 0 || fd < 0)
		return complain("get at what the process holds");
	close(dev->fd);
	dev->fd = device;
	file = fdopen(fd, "r");
	if (!file)
		return complain("read what was found");
	rewind(file);
	err = read_plan(file, cover);
	fclose(file);
	if (err)
		p_err("cannot read what was found: %s; was it another build of ktramp?",
		      strerror(-err));
	return err;
}

/* It ends, and is gone when this returns. */
int cover_release(int holder)
{
	struct pollfd poll_fd = { .fd = holder, .events = POLLIN };

	if (pidfd_send_signal(holder, SIGTERM, NULL, 0))
		return complain("end the process that holds the coverage");
	while (poll(&poll_fd, 1, -1) < 0)
		if (errno != EINTR)
			return complain("wait for the process that holds the coverage");
	return 0;
}
