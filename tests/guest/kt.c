// SPDX-License-Identifier: GPL-2.0-only
/* What the guest tests share. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kt.h"

#define MODULE	"/lib/modules/ktramp.ko"
#define WINDOW	"/lib/modules/ktramp_window.ko"

bool kt_ring_sleeps(void)
{
	unsigned int major, minor;
	struct utsname uts;

	return !uname(&uts) && strstr(uts.version, "PREEMPT_RT") &&
	       sscanf(uts.release, "%u.%u", &major, &minor) == 2 &&
	       (major < 6 || (major == 6 && minor < 12));
}

/* Does C protect programs that call something, because there is more to ask? */
bool kt_bpf_is_left_to_c(void)
{
	struct utsname uts;

	return !uname(&uts) &&
	       (strstr(uts.version, "PREEMPT_RT") || !access("/proc/lockdep", F_OK));
}

bool kt_has_btf(void)
{
	return !access("/sys/kernel/btf/vmlinux", R_OK);
}

int kt_open(void)
{
	int fd = open(KTRAMP_DEVICE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int kt_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) ? -errno : 0;
}

int kt_info(int fd, struct ktramp_info *info)
{
	*info = (struct ktramp_info){ .size = sizeof(*info) };
	return kt_ioctl(fd, KTRAMP_IOC_INFO, info);
}

int kt_target(int fd, unsigned int index, struct ktramp_target_info *info)
{
	*info = (struct ktramp_target_info){ .size = sizeof(*info), .index = index };
	return kt_ioctl(fd, KTRAMP_IOC_TARGET, info);
}

int kt_target_index(int fd, const char *name)
{
	struct ktramp_target_info info;
	int err;

	for (unsigned int i = 0;; i++) {
		err = kt_target(fd, i, &info);
		if (err)
			return err;
		if (!strcmp(info.name, name))
			return i;
	}
}

int kt_mechanism(int fd, unsigned int mechanism, struct ktramp_mechanism_info *info)
{
	*info = (struct ktramp_mechanism_info){ .size = sizeof(*info), .mechanism = mechanism };
	return kt_ioctl(fd, KTRAMP_IOC_MECHANISM, info);
}

int kt_create_as(int fd, const char *site, unsigned int mechanism, unsigned int handler,
		 unsigned int flags, struct ktramp_create *create)
{
	*create = (struct ktramp_create){
		.size = sizeof(*create), .flags = flags,
		.mechanism = mechanism, .handler = handler,
	};
	strncpy(create->site, site, sizeof(create->site) - 1);
	return kt_ioctl(fd, KTRAMP_IOC_CREATE, create);
}

/* Return: the number of a new counting probe, or -errno. */
int kt_create(int fd, const char *site, unsigned int mechanism)
{
	struct ktramp_create create;
	int err = kt_create_as(fd, site, mechanism, KTRAMP_COUNT, 0, &create);

	return err ? err : (int)create.id;
}

int kt_batch(int fd, unsigned long request, const __u32 *ids, unsigned int nr,
	     struct ktramp_batch *batch)
{
	*batch = (struct ktramp_batch){
		.size = sizeof(*batch), .ids = (unsigned long)ids, .nr = nr,
	};
	return kt_ioctl(fd, request, batch);
}

static int one(int fd, unsigned long request, __u32 id)
{
	struct ktramp_batch batch;

	return kt_batch(fd, request, &id, 1, &batch);
}

int kt_arm(int fd, unsigned int id)
{
	return one(fd, KTRAMP_IOC_ARM, id);
}

int kt_disarm(int fd, unsigned int id)
{
	return one(fd, KTRAMP_IOC_DISARM, id);
}

int kt_destroy(int fd, unsigned int id)
{
	return one(fd, KTRAMP_IOC_DESTROY, id);
}

int kt_probe(int fd, unsigned int id, struct ktramp_probe_info *info)
{
	*info = (struct ktramp_probe_info){ .size = sizeof(*info), .id = id };
	return kt_ioctl(fd, KTRAMP_IOC_PROBE, info);
}

int kt_regs(int fd, unsigned int id, struct ktramp_regs *regs)
{
	*regs = (struct ktramp_regs){ .size = sizeof(*regs), .id = id };
	return kt_ioctl(fd, KTRAMP_IOC_REGS, regs);
}

int kt_run(int fd, unsigned int target, unsigned int id, unsigned int loops,
	   unsigned int flags, struct ktramp_run *run)
{
	*run = (struct ktramp_run){
		.size = sizeof(*run), .flags = flags,
		.target = target, .id = id, .loops = loops,
	};
	return kt_ioctl(fd, KTRAMP_IOC_RUN, run);
}

int kt_load(int fd, unsigned int flags, struct ktramp_load *load)
{
	*load = (struct ktramp_load){ .size = sizeof(*load), .flags = flags };
	return kt_ioctl(fd, KTRAMP_IOC_LOAD, load);
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* @len: bytes from the site to the function's end; what is behind it belongs to others. */
bool kt_bytes_are_original(const struct ktramp_probe_info *probe, size_t len)
{
	return !memcmp(probe->now, probe->before, min_size(len, sizeof(probe->now)));
}

/* Are the bytes at the site those its mechanism claims to write, and the rest untouched? */
bool kt_bytes_are_armed(const struct ktramp_probe_info *probe, size_t len)
{
	size_t changed = 0;
	__s32 rel;

	memcpy(&rel, probe->now + 1, sizeof(rel));
	switch (probe->mechanism) {
	case KTRAMP_INT3_EMULATE:
	case KTRAMP_INT3_STEP_TF:
	case KTRAMP_INT3_STEP_INT3:
	case KTRAMP_INT3_BOOST:
	case KTRAMP_INT3_DIVERT:
	case KTRAMP_KPROBE_STEP:
	case KTRAMP_KPROBE_EMULATE:
	case KTRAMP_KPROBE_BOOST:
	case KTRAMP_KPROBE_OPT_PENDING:
		if (probe->now[0] != INT3)
			return false;
		changed = 1;
		break;
	case KTRAMP_JUMP:
		changed = probe->length;
		if (probe->tactic == KTRAMP_TACTIC_SPRINGBOARD) {
			if (probe->now[0] != JMP8)
				return false;
			break;
		}
		for (size_t i = 0; i + JMP_SIZE < changed; i++)
			if (probe->now[i] != PREFIX)
				return false;
		memcpy(&rel, probe->now + changed - sizeof(rel), sizeof(rel));
		if (probe->now[changed - JMP_SIZE] != JMP ||
		    probe->address + changed + rel != probe->detour)
			return false;
		break;
	case KTRAMP_KPROBE_OPT:
		if (probe->now[0] != JMP)
			return false;
		changed = JMP_SIZE;
		break;
	case KTRAMP_KPROBE_FTRACE:
	case KTRAMP_KRETPROBE:
	case KTRAMP_FTRACE:
	case KTRAMP_FPROBE:
		if (probe->now[0] != CALL)
			return false;
		changed = JMP_SIZE;
		break;
	case KTRAMP_TRACEPOINT:
		/* Its static key is a nop, or a jump, of 2 or 5 bytes. */
		if (probe->now[0] != 0xeb && probe->now[0] != JMP)
			return false;
		changed = probe->now[0] == JMP ? JMP_SIZE : 2;
		break;
	}
	len = min_size(len, sizeof(probe->now));
	return !memcmp(probe->now + changed, probe->before + changed, len - changed);
}

int kt_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

static int write_flags(const char *path, const char *text, int flags)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags);
	ssize_t len = strlen(text), n;
	int err = 0;

	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n != len)
		err = n < 0 ? -errno : -EIO;
	close(fd);
	return err;
}

/* Append, because kprobe_events forgets its other events when truncated. */
int kt_write_file(const char *path, const char *text)
{
	return write_flags(path, text, O_APPEND);
}

/* Return: bytes read, NUL excluded, or -errno. */
int kt_read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 0;

	if (fd < 0)
		return -errno;
	while (len < size - 1) {
		n = read(fd, buf + len, size - 1 - len);
		if (n <= 0)
			break;
		len += n;
	}
	buf[len] = '\0';
	close(fd);
	return n < 0 ? -EIO : (int)len;
}

#define THEIRS		"ktramp_theirs"
#define THEIRS_ENABLE	"/sys/kernel/tracing/events/kprobes/" THEIRS "/enable"

/* @site: as kprobe_events has it, a symbol with its module or an address */
int kt_theirs_ready(const char *site)
{
	char text[KTRAMP_SITE_MAX + 64];

	snprintf(text, sizeof(text), "p:" THEIRS " %s\n", site);
	return kt_write_file(KPROBE_EVENTS, text);
}

int kt_theirs_on(void)
{
	return kt_write_file(THEIRS_ENABLE, "1");
}

int kt_theirs_off(void)
{
	kt_write_file(THEIRS_ENABLE, "0");
	return kt_write_file(KPROBE_EVENTS, "-:" THEIRS "\n");
}

unsigned long long kt_symbol(const char *wanted)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	unsigned long long address, found = 0;
	char name[512];

	while (file && !found && fscanf(file, "%llx %*c %511s%*[^\n]", &address, name) == 2)
		if (!strcmp(name, wanted))
			found = address;
	if (file)
		fclose(file);
	return found;
}

/* Can a probe of ours run a BPF program? */
bool kt_runs_bpf(void)
{
	struct ktramp_create create;
	int fd = kt_open(), err;

	err = fd < 0 ? fd : kt_create_as(fd, "lea", KTRAMP_BPF_JUMP, KTRAMP_BPF, 0, &create);
	close(fd);
	return err != -EOPNOTSUPP;
}

/* Find the kernel's own line about a kprobe at @address; @line may be NULL. */
bool kt_kprobe_listed(unsigned long long address, char *line, size_t size)
{
	static char list[65536];
	char *next, *at;

	if (kt_read_file(KPROBE_LIST, list, sizeof(list)) < 0)
		return false;
	for (at = list; *at; at = next) {
		next = strchrnul(at, '\n');
		if (*next)
			*next++ = '\0';
		if (strtoull(at, NULL, 16) != address)
			continue;
		if (line)
			snprintf(line, size, "%s", at);
		return true;
	}
	return false;
}

/* Run a shell command; its output goes through files, so that no pipe fills. */
void kt_shell(const char *command, struct kt_output *o)
{
	char line[512];
	int status;

	snprintf(line, sizeof(line), "{ %s; } >/tmp/out 2>/tmp/err", command);
	status = system(line);
	o->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (kt_read_file("/tmp/out", o->out, sizeof(o->out)) < 0)
		o->out[0] = '\0';
	if (kt_read_file("/tmp/err", o->err, sizeof(o->err)) < 0)
		o->err[0] = '\0';
}

int kt_insmod_with(const char *path, const char *parameters)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (syscall(SYS_finit_module, fd, parameters, 0))
		err = -errno;
	close(fd);
	return err;
}

int kt_insmod(const char *path)
{
	return kt_insmod_with(path, "");
}

int kt_open_window(void)
{
	int err = kt_insmod(WINDOW);

	return err == -EEXIST ? 0 : err;
}

int kt_load_module(void)
{
	return kt_insmod(MODULE);
}

int kt_load_module_with(const char *parameters)
{
	return kt_insmod_with(MODULE, parameters);
}

int kt_unload_module(void)
{
	return syscall(SYS_delete_module, "ktramp", O_NONBLOCK) ? -errno : 0;
}
