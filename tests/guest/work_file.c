// SPDX-License-Identifier: GPL-2.0-only
/* The workload's files: contents, names, locks, watches, and the file systems under them. */
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "work.h"

#define SIZE	(96 * 1024)

static uint8_t in[SIZE], out[SIZE];

static enum outcome contents(void)
{
	uint32_t sum;
	struct iovec parts[2] = { { out, SIZE / 2 }, { out + SIZE / 2, SIZE / 2 } };
	struct stat st;
	uint8_t *map;
	int fd, to;

	work_fill(in, SIZE, 1);
	sum = work_sum(in, SIZE);
	fd = open("contents", O_RDWR | O_CREAT | O_TRUNC, 0644);
	MUST(fd >= 0);
	MUST(write(fd, in, SIZE) == SIZE);
	MUST(!fsync(fd) && !fdatasync(fd));
	MUST(pread(fd, out, SIZE, 0) == SIZE && work_sum(out, SIZE) == sum);
	memset(out, 0, SIZE);
	MUST(lseek(fd, 0, SEEK_SET) == 0 && readv(fd, parts, 2) == SIZE);
	MUST(work_sum(out, SIZE) == sum);
	MUST(pwritev(fd, parts, 2, SIZE) == SIZE);
	MUST(!fstat(fd, &st) && st.st_size == 2 * SIZE);
	MUST(!ftruncate(fd, SIZE + 5) && !ftruncate(fd, 2 * SIZE));
	MUST(pread(fd, out, 16, SIZE + 8) == 16 && !out[0] && !out[15]);
	posix_fadvise(fd, 0, SIZE, POSIX_FADV_WILLNEED);
	readahead(fd, 0, SIZE);
	if (!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192))
		MUST(pread(fd, out, 8192, 4096) == 8192 && !out[0] && !out[8191]);
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	MUST(map != MAP_FAILED);
	memcpy(map, in, SIZE);
	MUST(!msync(map, SIZE, MS_SYNC));
	MUST(pread(fd, out, SIZE, 0) == SIZE && work_sum(out, SIZE) == sum);
	MUST(!munmap(map, SIZE));
	to = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0600);
	MUST(to >= 0);
	MUST(lseek(fd, 0, SEEK_SET) == 0);
	for (ssize_t n, left = SIZE; left; left -= n) {
		n = left > SIZE / 2 ? sendfile(to, fd, NULL, left / 3) :
			copy_file_range(fd, NULL, to, NULL, left, 0);
		MUST(n > 0);
	}
	MUST(pread(to, out, SIZE, 0) == SIZE && work_sum(out, SIZE) == sum);
	lseek(fd, 0, SEEK_DATA);
	lseek(fd, 0, SEEK_HOLE);
	fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 4096);
	fallocate(fd, 0, 0, 4 * SIZE);
	MUST(sync_file_range(fd, 0, SIZE, SYNC_FILE_RANGE_WRITE) == 0);
	close(fd);
	fd = open("contents", O_RDONLY | O_DIRECT);
	if (fd >= 0) {
		void *page = aligned_alloc(4096, 8192);

		MUST(read(fd, page, 8192) == 8192);
		close(fd);
	}
	close(to);
	MUST(!unlink("contents") && !unlink("copy"));
	return RIGHT;
}

static enum outcome directories(void)
{
	struct timespec times[2] = { { 1000, 5 }, { 2000, 7 } };
	char text[64] = "";
	struct dirent *entry;
	struct statx stx;
	struct statfs fs;
	struct stat st;
	unsigned int nr = 0;
	DIR *dir;
	int fd;

	MUST(!mkdir("names", 0755));
	for (int i = 0; i < 24; i++) {
		snprintf(text, sizeof(text), "names/a-rather-long-name-%d", i);
		fd = open(text, O_CREAT | O_EXCL | O_WRONLY, 0640);
		MUST(fd >= 0);
		close(fd);
	}
	MUST(open("names/a-rather-long-name-3", O_CREAT | O_EXCL, 0600) < 0 && errno == EEXIST);
	MUST(!rename("names/a-rather-long-name-3", "names/renamed"));
	MUST(access("names/a-rather-long-name-3", F_OK) && errno == ENOENT);
	MUST(!syscall(SYS_renameat2, AT_FDCWD, "names/renamed", AT_FDCWD,
		      "names/a-rather-long-name-4", 2 /* exchange */) || errno == EINVAL);
	MUST(!link("names/renamed", "names/linked"));
	MUST(!stat("names/linked", &st) && st.st_nlink == 2);
	MUST(!symlink("renamed", "names/symbolic"));
	MUST(readlink("names/symbolic", text, sizeof(text)) == 7 && !memcmp(text, "renamed", 7));
	MUST(!chmod("names/symbolic", 0700) && !stat("names/renamed", &st));
	MUST((st.st_mode & 07777) == 0700);
	MUST(!lchown("names/renamed", 12, 34) && !stat("names/renamed", &st));
	MUST(st.st_uid == 12 && st.st_gid == 34);
	MUST(!utimensat(AT_FDCWD, "names/renamed", times, 0) && !stat("names/renamed", &st));
	MUST(st.st_mtim.tv_sec == 2000 && st.st_atim.tv_sec == 1000);
	MUST(!statx(AT_FDCWD, "names/renamed", 0, STATX_ALL, &stx) && stx.stx_uid == 12);
	MUST(!mkfifo("names/fifo", 0600) && !mknod("names/null", S_IFCHR | 0600, 0x103));
	fd = open("names/null", O_WRONLY);
	MUST(fd < 0 || write(fd, text, 8) == 8);
	close(fd);
	if (!setxattr("names/renamed", "trusted.work", "value", 5, 0)) {
		MUST(getxattr("names/renamed", "trusted.work", text, sizeof(text)) == 5);
		MUST(listxattr("names/renamed", text, sizeof(text)) > 0);
		MUST(!removexattr("names/renamed", "trusted.work"));
	}
	MUST(!statfs("names", &fs) && fs.f_bsize > 0);
	dir = opendir("names");
	MUST(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		nr++;
		MUST(!unlinkat(dirfd(dir), entry->d_name, 0));
	}
	closedir(dir);
	MUST(nr == 28);
	MUST(!mkdir("names/sub", 0700) && rmdir("names") && errno == ENOTEMPTY);
	MUST(!chdir("names/sub") && getcwd(text, sizeof(text)) && strstr(text, "/names/sub"));
	MUST(!chdir("../..") && !rmdir("names/sub") && !rmdir("names"));
	return RIGHT;
}

static enum outcome locks(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_start = 10, .l_len = 20 };
	int fd = open("locks", O_RDWR | O_CREAT, 0600), other, status, looked[2];
	pid_t pid;

	MUST(fd >= 0 && !flock(fd, LOCK_EX));
	other = open("locks", O_RDWR);
	MUST(flock(other, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK);
	MUST(!flock(fd, LOCK_UN) && !flock(other, LOCK_SH | LOCK_NB));
	MUST(!fcntl(fd, F_SETLK, &lock) && !pipe(looked));
	pid = fork();
	if (!pid) {
		struct flock their = { .l_type = F_WRLCK, .l_start = 5, .l_len = 10 };

		if (fcntl(fd, F_SETLK, &their) != -1 || errno != EAGAIN)
			_exit(1);
		if (fcntl(fd, F_GETLK, &their) || their.l_pid != getppid())
			_exit(2);
		if (write(looked[1], "", 1) != 1)
			_exit(4);
		/* Granted when the parent lets go of it. */
		their = (struct flock){ .l_type = F_WRLCK, .l_start = 5, .l_len = 10 };
		_exit(fcntl(fd, F_SETLKW, &their) ? 3 : 0);
	}
	close(looked[1]);
	MUST(read(looked[0], out, 1) == 1);
	usleep(1000);
	lock.l_type = F_UNLCK;
	MUST(!fcntl(fd, F_SETLK, &lock));
	status = work_join(pid);
	MUST(status == 0);
	lock = (struct flock){ .l_type = F_RDLCK, .l_len = 4 };
	MUST(!fcntl(other, F_OFD_SETLK, &lock));
	close(other);
	fcntl(fd, F_SETLEASE, F_RDLCK);
	fcntl(fd, F_SETLEASE, F_UNLCK);
	close(fd);
	MUST(!unlink("locks"));
	return RIGHT;
}

static enum outcome watches(void)
{
	uint8_t buf[4096];
	struct inotify_event *event = (void *)buf;
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), file;
	ssize_t n;

	MUST(fd >= 0 && !mkdir("watched", 0700));
	MUST(inotify_add_watch(fd, "watched", IN_ALL_EVENTS) >= 0);
	file = open("watched/file", O_CREAT | O_RDWR, 0600);
	MUST(file >= 0 && write(file, "x", 1) == 1);
	n = read(fd, buf, sizeof(buf));
	MUST(n > 0 && event->mask == IN_CREATE && !strcmp(event->name, "file"));
	close(fd);
	fd = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY);
	if (fd >= 0) {
		struct fanotify_event_metadata *meta = (void *)buf;

		MUST(!fanotify_mark(fd, FAN_MARK_ADD, FAN_MODIFY | FAN_OPEN | FAN_EVENT_ON_CHILD,
				    AT_FDCWD, "watched"));
		MUST(write(file, "y", 1) == 1);
		n = read(fd, buf, sizeof(buf));
		MUST(n >= (ssize_t)sizeof(*meta) && (meta->mask & FAN_MODIFY));
		close(meta->fd);
		close(fd);
	}
	close(file);
	MUST(!unlink("watched/file") && !rmdir("watched"));
	return RIGHT;
}

static enum outcome pipes(void)
{
	int a[2], b[2], fd;
	struct iovec part = { in, 4096 };
	pid_t pid;
	uint32_t sum;
	size_t got = 0;

	work_fill(in, SIZE, 2);
	sum = work_sum(in, SIZE);
	MUST(!pipe(a) && !pipe2(b, O_CLOEXEC | O_NONBLOCK));
	MUST(read(b[0], out, 1) < 0 && errno == EAGAIN);
	pid = fork();
	if (!pid) {
		close(a[0]);
		_exit(write(a[1], in, SIZE) != SIZE);
	}
	close(a[1]);
	while (got < SIZE) {
		ssize_t n = read(a[0], out + got, SIZE - got);

		MUST(n > 0);
		got += n;
	}
	MUST(read(a[0], out, 1) == 0 && !work_join(pid));
	MUST(work_sum(out, SIZE) == sum);
	MUST(fcntl(b[0], F_SETPIPE_SZ, 65536) >= 65536);
	MUST(vmsplice(b[1], &part, 1, 0) == 4096);
	MUST(!pipe(a) && tee(b[0], a[1], 4096, 0) == 4096);
	fd = open("spliced", O_RDWR | O_CREAT | O_TRUNC, 0600);
	MUST(fd >= 0 && splice(b[0], NULL, fd, NULL, 4096, 0) == 4096);
	MUST(read(a[0], out, 4096) == 4096 && !memcmp(in, out, 4096));
	MUST(pread(fd, out, 4096, 0) == 4096 && !memcmp(in, out, 4096));
	lseek(fd, 0, SEEK_SET);
	MUST(splice(fd, NULL, b[1], NULL, 4096, 0) == 4096 && read(b[0], out, 4096) == 4096);
	MUST(!memcmp(in, out, 4096));
	close(fd);
	MUST(!unlink("spliced"));
	return RIGHT;
}

static enum outcome aio(void)
{
	int fd = open("aio", O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct iocb cb = {
		.aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = fd,
		.aio_buf = (uintptr_t)in, .aio_nbytes = 8192,
	}, *list[] = { &cb };
	aio_context_t context = 0;
	struct io_event event;

	NEED(!syscall(SYS_io_setup, 4, &context));
	work_fill(in, 8192, 3);
	MUST(syscall(SYS_io_submit, context, 1, list) == 1);
	MUST(syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1 && event.res == 8192);
	MUST(pread(fd, out, 8192, 0) == 8192 && !memcmp(in, out, 8192));
	MUST(!syscall(SYS_io_destroy, context));
	close(fd);
	MUST(!unlink("aio"));
	return RIGHT;
}

/* One no-op, one read and one timeout through the rings, by hand. */
static enum outcome uring(void)
{
	struct io_uring_params params = { };
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	struct __kernel_timespec ts = { .tv_nsec = 1000 };
	unsigned int *tail, *array, *head, *done, seen = 0;
	uint8_t *ring;
	int fd = syscall(SYS_io_uring_setup, 8, &params), file;

	NEED(fd >= 0);
	file = open("/proc/self/exe", O_RDONLY);
	ring = mmap(NULL, params.sq_off.array + 8 * 4 + params.cq_off.cqes + 16 * 16,
		    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQ_RING);
	sqes = mmap(NULL, 8 * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
		    IORING_OFF_SQES);
	MUST(ring != MAP_FAILED && sqes != MAP_FAILED);
	tail = (unsigned int *)(ring + params.sq_off.tail);
	array = (unsigned int *)(ring + params.sq_off.array);
	head = (unsigned int *)(ring + params.cq_off.head);
	done = (unsigned int *)(ring + params.cq_off.tail);
	cqes = (struct io_uring_cqe *)(ring + params.cq_off.cqes);
	sqes[0] = (struct io_uring_sqe){ .opcode = IORING_OP_NOP, .user_data = 1 };
	sqes[1] = (struct io_uring_sqe){
		.opcode = IORING_OP_READ, .fd = file, .addr = (uintptr_t)out, .len = 4,
		.user_data = 2,
	};
	sqes[2] = (struct io_uring_sqe){
		.opcode = IORING_OP_TIMEOUT, .addr = (uintptr_t)&ts, .len = 1, .user_data = 4,
	};
	for (unsigned int i = 0; i < 3; i++)
		array[i] = i;
	__atomic_store_n(tail, 3, __ATOMIC_RELEASE);
	MUST(syscall(SYS_io_uring_enter, fd, 3, 3, IORING_ENTER_GETEVENTS, NULL, 0) == 3);
	/* A signal may have ended the wait. */
	while (__atomic_load_n(done, __ATOMIC_ACQUIRE) < 3)
		syscall(SYS_io_uring_enter, fd, 0, 3, IORING_ENTER_GETEVENTS, NULL, 0);
	for (unsigned int i = 0; i < 3; i++)
		seen |= cqes[(*head + i) & 15].user_data;
	MUST(seen == 7 && !memcmp(out, "\177ELF", 4));
	close(fd);
	return RIGHT;
}

static bool attach_loop(char *device, size_t size, const char *file)
{
	int control = open("/dev/loop-control", O_RDWR), fd, loop, nr;

	if (control < 0)
		return false;
	nr = ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	snprintf(device, size, "/dev/loop%d", nr);
	/* The driver makes the node a moment later. */
	for (int i = 0; (loop = open(device, O_RDWR)) < 0 && i < 1000; i++)
		usleep(1000);
	fd = open(file, O_RDWR);
	nr = ioctl(loop, LOOP_SET_FD, fd);
	close(fd);
	close(loop);
	return !nr;
}

static bool detach_loop(const char *device)
{
	int loop = open(device, O_RDWR), err = ioctl(loop, LOOP_CLR_FD);

	close(loop);
	return !err;
}

/* The same on a disk: its image comes with the tests. */
static enum outcome disk(void)
{
	char device[32] = "";
	int tries = 0;

	NEED(!access("/tests/ext4.img.gz", R_OK) && !access("/dev/loop-control", R_OK));
	/* Where it is a module, the guest has not brought it along. */
	NEED(!system("grep -qw ext4 /proc/filesystems"));
	MUST(!system("gunzip -c /tests/ext4.img.gz >image"));
	/* Both CPUs may have been told the same free one. */
	while (!attach_loop(device, sizeof(device), "image"))
		MUST(tries++ < 100);
	mkdir("mounted", 0755);
	MUST(!mount(device, "mounted", "ext4", 0, ""));
	MUST(!chdir("mounted"));
	MUST(contents() == RIGHT && directories() == RIGHT && aio() == RIGHT && locks() == RIGHT);
	MUST(!system("cp /bin/busybox . && cmp busybox /bin/busybox && rm busybox"));
	sync();
	MUST(!chdir(".."));
	MUST(!mount(NULL, "mounted", NULL, MS_REMOUNT | MS_RDONLY, ""));
	MUST(open("mounted/no", O_CREAT | O_WRONLY, 0600) < 0 && errno == EROFS);
	MUST(!mount(NULL, "mounted", NULL, MS_REMOUNT, ""));
	MUST(!umount("mounted"));
	MUST(detach_loop(device));
	MUST(!unlink("image") && !rmdir("mounted"));
	return RIGHT;
}

static enum outcome mounts(void)
{
	mkdir("m1", 0755);
	mkdir("m2", 0755);
	MUST(!mount("none", "m1", "tmpfs", MS_NOSUID, "size=1m,mode=700"));
	MUST(!mount("m1", "m2", NULL, MS_BIND, NULL));
	MUST(!close(open("m1/seen", O_CREAT | O_WRONLY, 0600)) && !access("m2/seen", F_OK));
	MUST(!mount(NULL, "m2", NULL, MS_SHARED, NULL));
	MUST(!mount(NULL, "m2", NULL, MS_PRIVATE, NULL));
	MUST(!umount2("m2", MNT_DETACH) && !umount("m1"));
	for (int i = 0; i < 3; i++) {
		static const char *const types[] = { "ramfs", "proc", "sysfs" };

		MUST(!mount("none", "m1", types[i], 0, NULL) && !umount("m1"));
	}
	MUST(!rmdir("m1") && !rmdir("m2"));
	return RIGHT;
}

const struct part file_parts[] = {
	{ "contents", contents }, { "directories", directories }, { "locks", locks },
	{ "watches", watches }, { "pipes", pipes }, { "aio", aio }, { "uring", uring },
	{ "disk", disk }, { "mounts", mounts }, { }
};
