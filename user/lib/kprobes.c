// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's switch for jump optimization, and its list of kprobes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/ktramp.h"

#define OPTIMIZATION	"/proc/sys/debug/kprobes-optimization"
#define LIST		"/sys/kernel/debug/kprobes/list"

static int read_optimization(int *value)
{
	FILE *file = fopen(OPTIMIZATION, "re");
	int err = 0;

	if (!file)
		return -errno;
	if (fscanf(file, "%d", value) != 1)
		err = -EIO;
	fclose(file);
	return err;
}

static int write_optimization(int value)
{
	const char *text = value ? "1\n" : "0\n";
	int fd = open(OPTIMIZATION, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

int kprobe_opt_hold(struct kprobe_opt *opt, int value)
{
	int now, err;

	err = read_optimization(&now);
	/* Kernels without jump optimization have no switch: it is off. */
	if (err == -ENOENT && !value)
		return 0;
	if (err) {
		p_err("cannot read %s: %s; is /proc mounted, and the kernel built with "
		      "CONFIG_OPTPROBES?", OPTIMIZATION, strerror(-err));
		return err;
	}
	if (now == value)
		return 0;

	err = write_optimization(value);
	if (err) {
		p_err("cannot set debug.kprobes-optimization to %d: %s; run as root with /proc/sys "
		      "writable, or leave out the mechanisms that need it", value, strerror(-err));
		return err;
	}
	if (opt->was < 0)
		opt->was = now;
	opt->now = value;
	return 0;
}

int kprobe_opt_restore(struct kprobe_opt *opt)
{
	int was = opt->was, err;

	opt->was = -1;
	if (was < 0 || opt->now == was)
		return 0;
	err = write_optimization(was);
	if (err)
		p_err("cannot set debug.kprobes-optimization back: %s; run "
		      "'sysctl debug.kprobes-optimization=%d'", strerror(-err), was);
	return err;
}

/*
 * A line is "ADDRESS  k  SYMBOL+0xOFFSET  MODULE [FTRACE]"; the address reads as zero
 * where it is hidden, and the symbol alone decides then.
 */
static bool line_is(const char *line, uint64_t address, const char *site)
{
	unsigned long long at;
	char type[8], symbol[KTRAMP_SITE_MAX];

	if (sscanf(line, "%llx %7s %255s", &at, type, symbol) != 3)
		return false;
	if (at && address)
		return at == address;
	return !strcmp(symbol, site);
}

/* Copies the line of the kprobe at a place; -ENOENT if there is none. */
int kprobe_list_find(uint64_t address, const char *site, char *line, size_t size)
{
	FILE *file = fopen(LIST, "re");
	int err = -ENOENT;

	if (!file)
		return errno == ENOENT ? -ENODATA : -errno;
	while (fgets(line, size, file)) {
		if (!line_is(line, address, site))
			continue;
		line[strcspn(line, "\n")] = '\0';
		for (size_t n = strlen(line); n && line[n - 1] == ' '; n--)
			line[n - 1] = '\0';
		err = 0;
		break;
	}
	fclose(file);
	return err;
}
