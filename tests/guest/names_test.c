// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names are not identities: functions that share one, processes of another namespace, and a
 * probe by every name that it has.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kt.h"

/* ---- the kernel's functions, by name ---- */

/* With a number behind it a name still names a site. */
#define NAME_MAX_HERE	(KTRAMP_SITE_MAX - sizeof(",18446744073709551615"))

struct symbol {
	unsigned long long address;
	char name[NAME_MAX_HERE];
};

static struct symbol *symbols;
static size_t nr_symbols;

static int by_name(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;
	int cmp = strcmp(x->name, y->name);

	return cmp ? cmp : x->address < y->address ? -1 : x->address > y->address;
}

/* Between _stext and _etext, each address once, by name and address. */
static bool read_symbols(void)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	unsigned long long address, last = 0;
	char line[1024], type, name[512];
	bool inside = false;

	while (file && fgets(line, sizeof(line), file)) {
		if (strchr(line, '[') || sscanf(line, "%llx %c %511s", &address, &type, name) != 3)
			continue;
		if (!strcmp(name, "_stext"))
			inside = true;
		if (!strcmp(name, "_etext"))
			break;
		if (!inside || !strchr("tTwW", type) || address == last)
			continue;
		/* Rust's may be longer than what names a site: those have an address. */
		if (strlen(name) >= NAME_MAX_HERE)
			continue;
		last = address;
		if (!(nr_symbols & (nr_symbols - 1)))
			symbols = reallocarray(symbols, nr_symbols ? 2 * nr_symbols : 1,
					       sizeof(*symbols));
		symbols[nr_symbols].address = address;
		strcpy(symbols[nr_symbols++].name, name);
	}
	if (file)
		fclose(file);
	qsort(symbols, nr_symbols, sizeof(*symbols), by_name);
	return nr_symbols > 10000;
}

/* How many symbols from @i on have its name. */
static size_t group(size_t i)
{
	size_t n = 1;

	while (i + n < nr_symbols && !strcmp(symbols[i].name, symbols[i + n].name))
		n++;
	return n;
}

static int ask(int fd, const char *text, struct ktramp_site_info *site)
{
	*site = (struct ktramp_site_info){ .size = sizeof(*site) };
	snprintf(site->site, sizeof(site->site), "%s", text);
	return kt_ioctl(fd, KTRAMP_IOC_SITE, site);
}

FIXTURE(names) {
	int fd;
	struct kt_output o;
};

FIXTURE_SETUP(names)
{
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(names)
{
	kt_shell("ktramp remove --all", &self->o);
	close(self->fd);
}

/* A function's first byte is where it is probed: behind its endbr64. */
static bool is_at(const struct ktramp_site_info *site, unsigned long long function)
{
	return site->address == function || (site->address == function + 4 && site->offset == 4);
}

TEST_F_TIMEOUT(names, of_several_functions_are_refused_and_each_has_one_of_its_own, 300)
{
	struct ktramp_site_info site, again;
	size_t shared = 0, copies = 0;
	char text[KTRAMP_SITE_MAX], hex[32];

	ASSERT_TRUE(read_symbols());
	for (size_t i = 0, n; i < nr_symbols; i += n) {
		n = group(i);
		/* A target's name is the target's. */
		if (n == 1 || !strncmp(symbols[i].name, "__pfx_", 6) ||
		    kt_target_index(self->fd, symbols[i].name) >= 0)
			continue;
		shared++;
		EXPECT_EQ(-EADDRNOTAVAIL, ask(self->fd, symbols[i].name, &site))
			TH_LOG("%s is %s", symbols[i].name, site.site);
		EXPECT_EQ(KTRAMP_R_AMBIGUOUS, site.reason);
		snprintf(hex, sizeof(hex), "0x%llx", symbols[i].address);
		if (strlen(symbols[i].name) < 24)
			EXPECT_NE(NULL, strstr(site.why, hex)) TH_LOG("%s", site.why);
		for (size_t k = 0; k < n; k++) {
			copies++;
			snprintf(text, sizeof(text), "%s,%zu", symbols[i].name, k + 1);
			if (ask(self->fd, text, &site)) {
				/* Not every function may be looked at; which one it is, it says. */
				EXPECT_NE(KTRAMP_R_NO_SYMBOL, site.reason) TH_LOG("%s", site.why);
				EXPECT_NE(KTRAMP_R_AMBIGUOUS, site.reason) TH_LOG("%s", site.why);
				continue;
			}
			EXPECT_TRUE(is_at(&site, symbols[i + k].address))
				TH_LOG("%s is at 0x%llx, not 0x%llx", text, site.address,
				       symbols[i + k].address);
			EXPECT_EQ(0, strncmp(site.site, text, strlen(text)))
				TH_LOG("%s is printed as %s", text, site.site);
			/* As printed, and by its address, it is the same one. */
			EXPECT_EQ(0, ask(self->fd, site.site, &again));
			EXPECT_EQ(site.address, again.address);
			snprintf(hex, sizeof(hex), "0x%llx", symbols[i + k].address);
			EXPECT_EQ(0, ask(self->fd, hex, &again));
			EXPECT_STREQ(site.site, again.site);
		}
		snprintf(text, sizeof(text), "%s,%zu", symbols[i].name, n + 1);
		EXPECT_NE(0, ask(self->fd, text, &site));
	}
	TH_LOG("%zu names of %zu functions", shared, copies);
	EXPECT_LT(100, shared);
}

TEST_F(names, that_are_alone_have_no_number)
{
	struct ktramp_site_info site, other;

	ASSERT_EQ(0, ask(self->fd, "vfs_read", &site)) TH_LOG("%s", site.why);
	EXPECT_EQ(0, strncmp(site.site, "vfs_read+0x", 11)) TH_LOG("%s", site.site);
	ASSERT_EQ(0, ask(self->fd, "vfs_read,1", &other));
	EXPECT_STREQ(site.site, other.site);
	EXPECT_EQ(-ENOENT, ask(self->fd, "vfs_read,2", &other));
	EXPECT_EQ(-EINVAL, ask(self->fd, "vfs_read,0", &other));
	EXPECT_EQ(-EINVAL, ask(self->fd, "vfs_read,x+0x4", &other));
	ASSERT_EQ(0, ask(self->fd, "ktramp:vfs_read", &other) ? 0 : 1);
	/* A target's site is printed as ever. */
	ASSERT_EQ(0, ask(self->fd, "lea", &site));
	EXPECT_EQ(0, strncmp(site.site, "ktramp_target_lea+0x", 20)) TH_LOG("%s", site.site);
}

TEST_F_TIMEOUT(names, of_a_probe_are_all_that_it_has, 120)
{
	struct ktramp_site_info site;
	char line[512];
	const char *ways[3];
	char address[32];

	ASSERT_EQ(0, ask(self->fd, "vfs_read", &site));
	snprintf(address, sizeof(address), "0x%llx", site.address);
	ways[0] = "vfs_read";
	ways[1] = address;
	ways[2] = site.site;
	for (size_t i = 0; i < 3; i++) {
		kt_shell("ktramp add jump vfs_read", &self->o);
		ASSERT_EQ(0, self->o.status) TH_LOG("%s", self->o.err);
		for (size_t j = 0; j < 3; j++) {
			snprintf(line, sizeof(line), "ktramp disable %s && ktramp enable %s",
				 ways[j], ways[(j + 1) % 3]);
			kt_shell(line, &self->o);
			EXPECT_EQ(0, self->o.status) TH_LOG("%s: %s", line, self->o.err);
		}
		snprintf(line, sizeof(line), "ktramp remove %s %s", ways[i], ways[(i + 1) % 3]);
		kt_shell(line, &self->o);
		EXPECT_EQ(0, self->o.status) TH_LOG("%s: %s", line, self->o.err);
		EXPECT_STREQ("1 probe removed\n", self->o.out);
		/* And the same by text. */
		snprintf(line, sizeof(line),
			 "cd /sys/kernel/debug/ktramp && echo jump vfs_read >>probes && "
			 "echo '!%s' >>probes && echo '-%s' >>probes && cat probes",
			 ways[i], ways[(i + 2) % 3]);
		kt_shell(line, &self->o);
		EXPECT_EQ(0, self->o.status) TH_LOG("%s: %s", line, self->o.err);
		EXPECT_STREQ("", self->o.out);
	}
}

/* The second of two: it, and not the first, is shown, planned and armed. */
TEST_F_TIMEOUT(names, of_several_functions_are_kept_apart_by_each_command, 120)
{
	struct ktramp_site_info site;
	char line[512], text[KTRAMP_SITE_MAX], second[32];
	size_t i, n;

	ASSERT_TRUE(read_symbols());
	for (i = 0; i < nr_symbols; i += n) {
		n = group(i);
		snprintf(text, sizeof(text), "%s,2", symbols[i].name);
		/* A long name leaves no room for both addresses. */
		if (n == 2 && strlen(symbols[i].name) < 20 && !ask(self->fd, text, &site)) {
			snprintf(line, sizeof(line), "ktramp plan %s --json", site.site);
			kt_shell(line, &self->o);
			if (!self->o.status &&
			    strstr(self->o.out, "\"mechanism\":\"jump\",\"reason\":null"))
				break;
		}
	}
	ASSERT_LT(i, nr_symbols);
	snprintf(second, sizeof(second), "0x%016llx", site.address);
	EXPECT_NE(NULL, strstr(self->o.out, second)) TH_LOG("%s", self->o.out);
	snprintf(line, sizeof(line), "ktramp show 0x%llx jump --json", symbols[i + 1].address);
	kt_shell(line, &self->o);
	EXPECT_EQ(0, self->o.status) TH_LOG("%s", self->o.err);
	EXPECT_NE(NULL, strstr(self->o.out, second)) TH_LOG("%s", self->o.out);
	snprintf(line, sizeof(line), "ktramp add jump %s", symbols[i].name);
	kt_shell(line, &self->o);
	EXPECT_EQ(1, self->o.status);
	snprintf(text, sizeof(text), "0x%llx", symbols[i + 1].address);
	EXPECT_NE(NULL, strstr(self->o.err, text)) TH_LOG("%s", self->o.err);
	EXPECT_NE(NULL, strstr(self->o.err, symbols[i].name)) TH_LOG("%s", self->o.err);
	snprintf(line, sizeof(line), "echo jump %s >>/sys/kernel/debug/ktramp/probes",
		 symbols[i].name);
	kt_shell(line, &self->o);
	EXPECT_EQ(1, self->o.status);
}

/* ---- where the arguments are ---- */

TEST_F(names, of_entries_are_where_the_arguments_are)
{
	struct ktramp_site_info site;
	char text[64];
	unsigned int own;

	ASSERT_EQ(0, ask(self->fd, "vfs_read", &site));
	EXPECT_TRUE(site.marks & KTRAMP_SITE_ENTRY);
	/* Behind ftrace's call. */
	own = site.offset + 5;
	snprintf(text, sizeof(text), "vfs_read+0x%x", own);
	ASSERT_EQ(0, ask(self->fd, text, &site));
	EXPECT_TRUE(site.marks & KTRAMP_SITE_ENTRY) TH_LOG("%s", text);
	/* An instruction behind that, wherever it begins. */
	for (unsigned int off = own + 1; off < own + 16; off++) {
		snprintf(text, sizeof(text), "vfs_read+0x%x", off);
		if (!ask(self->fd, text, &site))
			EXPECT_FALSE(site.marks & KTRAMP_SITE_ENTRY) TH_LOG("%s", text);
	}
}

/* ---- processes ---- */

static int create_for(int fd, unsigned int pid, struct ktramp_create *create)
{
	*create = (struct ktramp_create){
		.size = sizeof(*create), .mechanism = KTRAMP_JUMP, .handler = KTRAMP_COUNT,
		.site = "lea", .pid = pid,
	};
	return kt_ioctl(fd, KTRAMP_IOC_CREATE, create);
}


TEST_F(names, of_no_process_are_refused)
{
	struct ktramp_create create;

	/* Of numbers up to the limit, one is free. */
	EXPECT_EQ(-ESRCH, create_for(self->fd, 4194303, &create));
	EXPECT_EQ(KTRAMP_R_NO_PROCESS, create.reason);
	EXPECT_NE(NULL, strstr(create.why, "4194303")) TH_LOG("%s", create.why);
	kt_shell("ktramp add jump lea --pid 4194303", &self->o);
	EXPECT_EQ(1, self->o.status);
	EXPECT_NE(NULL, strstr(self->o.err, "no process 4194303")) TH_LOG("%s", self->o.err);
	EXPECT_EQ(0, create_for(self->fd, getpid(), &create));
}

TEST_F(names, of_processes_are_those_of_the_callers_namespace)
{
	int status;
	pid_t child;

	ASSERT_EQ(0, unshare(CLONE_NEWPID));
	child = fork();
	if (!child) {
		int fd = kt_open(), target = kt_target_index(fd, "lea");
		struct ktramp_probe_info probe;
		struct ktramp_create create;
		struct ktramp_run run;

		/* Number 1 here; the initial namespace's 1 is init. */
		if (getpid() != 1 || create_for(fd, 1, &create))
			_exit(2);
		if (kt_arm(fd, create.id) || kt_run(fd, target, create.id, 10, 0, &run))
			_exit(3);
		if (run.hits != 10 || kt_probe(fd, create.id, &probe))
			_exit(4);
		_exit(probe.pid == 1 && !probe.filtered ? 0 : 5);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status) TH_LOG("status 0x%x", status);
	/* This process is another one, whatever its number was there. */
}

TEST_HARNESS_MAIN
