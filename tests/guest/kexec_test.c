// SPDX-License-Identifier: GPL-2.0-only
/*
 * The next kernel comes (kexec) while jumps and breakpoints stand all over this one, and most of
 * all in what leads there. What is copied, or runs when the IDT is gone, must have none.
 *
 * This program runs twice: at first it arms, and starts the kernel /boot/vmlinuz with all that is
 * here; the one that comes runs it again, and finds that it was told so.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kt.h"
#include "text.h"

#define KERNEL		"/boot/vmlinuz"
#define INITRD		"/tmp/initrd"
#define AGAIN		" ktramp.again"
#define PROBES_MAX	8000

#ifndef LINUX_REBOOT_CMD_KEXEC
#define LINUX_REBOOT_MAGIC1	0xfee1dead
#define LINUX_REBOOT_MAGIC2	672274793
#define LINUX_REBOOT_CMD_KEXEC	0x45584543
#endif

/* Why the next kernel did not come. */
static char why[200];
static int error;

static int fail(const char *what)
{
	error = -errno;
	snprintf(why, sizeof(why), "%s: %s", what, strerror(errno));
	return error;
}

static bool is_suspect(const char *name)
{
	static const char *const parts[] = {
		"kexec", "reboot", "restart", "shutdown", "machine_", "relocate", "smp_", "apic",
		"stop_", "hlt_", "idt", "gdt", "cr4", "cr3", "native_", "wbinvd", "syscore",
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(parts); i++)
		if (strstr(name, parts[i]))
			return true;
	return false;
}

/* Behind the entry, which is ftrace's: a jump, or else a breakpoint. Return: its number, or 0. */
static __u32 probe(int fd, __u64 function)
{
	static const unsigned int offsets[] = { 9, 5, 4, 0 };
	static const unsigned int mechanisms[] = { KTRAMP_JUMP, KTRAMP_INT3_BOOST };
	struct ktramp_create create;
	char site[32];

	for (unsigned int m = 0; m < ARRAY_SIZE(mechanisms); m++) {
		for (unsigned int i = 0; i < ARRAY_SIZE(offsets); i++) {
			snprintf(site, sizeof(site), "0x%llx", function + offsets[i]);
			if (!kt_create_as(fd, site, mechanisms[m], KTRAMP_COUNT,
					  KTRAMP_CREATE_KEEP, &create))
				return create.id;
		}
	}
	return 0;
}

/* One function in eight, and those that a name suggests. */
static int arm(void)
{
	static __u32 ids[PROBES_MAX];
	struct ktramp_batch batch;
	unsigned int nr = 0;
	int fd = kt_open();

	if (fd < 0)
		return fail(KTRAMP_DEVICE);
	read_functions();
	for (unsigned int i = 0; i < nr_functions && nr < PROBES_MAX; i++) {
		if (i % 8 && !is_suspect(functions[i].name))
			continue;
		ids[nr] = probe(fd, functions[i].address);
		nr += !!ids[nr];
	}
	kt_batch(fd, KTRAMP_IOC_ARM, ids, nr, &batch);
	close(fd);
	printf("# %u of %u probes are armed\n", batch.done, nr);
	fflush(stdout);
	errno = ERANGE;
	return batch.done < PROBES_MAX / 4 ? fail("too few probes") : 0;
}

/* All that is in the root file system, but for the other tests. */
static int make_initrd(void)
{
	if (system("cd / && find . -xdev | grep -v '^./tests/.' >/tmp/files && "
		   "echo ./tests/all >>/tmp/files && echo ./tests/kexec_test >>/tmp/files && "
		   "cpio -o -H newc </tmp/files >" INITRD " 2>/dev/null"))
		return fail("cannot pack " INITRD);
	return 0;
}

static int load_next(void)
{
	char line[2048];
	int kernel = open(KERNEL, O_RDONLY), initrd = open(INITRD, O_RDONLY);
	int err = kt_read_file("/proc/cmdline", line, sizeof(line) - sizeof(AGAIN));

	if (kernel < 0 || initrd < 0 || err < 0)
		return fail(KERNEL);
	line[strcspn(line, "\n")] = '\0';
	strcat(line, AGAIN);
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(line) + 1, line, 0UL))
		return fail("kexec_file_load()");
	close(kernel);
	close(initrd);
	return 0;
}

/* Ahead of the harness. Comes back only if there is no next kernel. */
static __attribute__((constructor)) void start_next(void)
{
	char line[4096];

	if (kt_read_file("/proc/cmdline", line, sizeof(line)) < 0 || strstr(line, AGAIN))
		return;
	if (make_initrd() || load_next() || arm())
		return;
	syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC,
		NULL);
	fail("reboot()");
}

TEST(the_next_kernel_comes_while_this_one_is_armed)
{
	struct ktramp_info info;
	char line[4096];
	int fd;

	if (error == -ENOSYS)
		SKIP(return, "this kernel has no kexec_file_load() (CONFIG_KEXEC_FILE)");
	ASSERT_STREQ("", why);
	ASSERT_LT(0, kt_read_file("/proc/cmdline", line, sizeof(line)));
	ASSERT_NE(NULL, strstr(line, AGAIN));
	/* It works, and knows of no probe. */
	fd = kt_open();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, kt_info(fd, &info));
	EXPECT_EQ(0, info.nr_probes);
	EXPECT_LT(0, kt_create(fd, "lea", KTRAMP_JUMP));
	close(fd);
}

TEST_HARNESS_MAIN
