// SPDX-License-Identifier: GPL-2.0-only
/* Many places at once: patterns, a function's returns, and the list one chooses from. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kt.h"

FIXTURE(places) {
	int fd;
	struct kt_output o;
};

FIXTURE_SETUP(places)
{
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(places)
{
	kt_shell("ktramp remove --all; cat /sys/kernel/debug/ktramp/probes", &self->o);
	EXPECT_EQ(NULL, strstr(self->o.out, "armed"));
	unlink("/tmp/counts");
	close(self->fd);
}

/* The text of a field of one line of JSON; "" if it is null. */
static const char *text(const char *line, const char *name, char *buf, size_t size)
{
	char key[32];
	const char *at;

	snprintf(key, sizeof(key), "\"%s\":", name);
	at = strstr(line, key);
	buf[0] = '\0';
	if (at && at[strlen(key)] == '"')
		snprintf(buf, size, "%.*s", (int)strcspn(at + strlen(key) + 1, "\""),
			 at + strlen(key) + 1);
	return buf;
}

static bool can_probe(int fd, const char *site, unsigned int mechanism)
{
	struct ktramp_create create;
	bool can = !kt_create_as(fd, site, mechanism, KTRAMP_COUNT, 0, &create);

	if (can)
		kt_destroy(fd, create.id);
	return can;
}

/* What is listed is what a probe there does. */
TEST_F_TIMEOUT(places, that_are_listed_are_as_they_are, 300)
{
	static char lines[65536];
	char *line, *state;
	int nr = 0, leaves = 0;

	kt_shell("ktramp list vfs_read --json", &self->o);
	ASSERT_EQ(0, self->o.status) TH_LOG("%s", self->o.err);
	strcpy(lines, self->o.out);
	for (line = strtok_r(lines, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
		char site[256], reason[64], int3[64];

		text(line, "site", site, sizeof(site));
		text(line, "jump_reason", reason, sizeof(reason));
		text(line, "int3", int3, sizeof(int3));
		/* At its first byte the entry is meant, behind an endbr64. */
		if (nr++ == 0)
			continue;
		leaves += !!strstr(line, "\"leaves\":true");
		EXPECT_EQ(!*reason, can_probe(self->fd, site, KTRAMP_JUMP)) TH_LOG("%s", line);
		EXPECT_EQ(!strcmp(int3, "boost"), can_probe(self->fd, site, KTRAMP_INT3_BOOST))
			TH_LOG("%s", line);
	}
	EXPECT_LT(20, nr);
	EXPECT_LT(0, leaves);
	kt_shell("ktramp list vfs_read", &self->o);
	EXPECT_NE(NULL, strstr(self->o.out, "ret")) TH_LOG("%s", self->o.out);
	kt_shell("ktramp list no_such_function", &self->o);
	EXPECT_EQ(1, self->o.status);
}

/* The number in front of a site of "HITS SITE". */
static long hits_of(const char *counts, const char *site)
{
	const char *at = strstr(counts, site);

	while (at && at > counts && at[-1] != '\n')
		at--;
	return at ? atol(at) : 0;
}

/* Who goes in comes out: each hit of the entry is one of a place that leaves. */
TEST_F_TIMEOUT(places, where_a_function_returns_are_all_of_them, 180)
{
	long in = 0, out = 0;
	char *line, *state;

	if (!kt_runs_bpf())
		SKIP(return, "this kernel does not show which task runs a BPF program");
	kt_shell("ktramp trace vfs_read vfs_read%return --count >/tmp/counts & sleep 1; "
		 "dd if=/dev/zero of=/dev/null bs=64 count=100 2>/dev/null; cat /proc/self/mem "
		 ">/dev/null 2>&1; kill -INT $!; wait $!; sed 1d /tmp/counts", &self->o);
	ASSERT_EQ(0, self->o.status) TH_LOG("%s", self->o.err);
	in = hits_of(self->o.out, "vfs_read+0x0");
	if (!in)
		in = hits_of(self->o.out, "vfs_read+0x4");
	for (line = strtok_r(self->o.out, "\n", &state); line;
	     line = strtok_r(NULL, "\n", &state))
		out += atol(line);
	EXPECT_LT(100, in);
	EXPECT_EQ(in, out - in);
}

TEST_F_TIMEOUT(places, where_a_function_returns_have_its_value, 180)
{
	long nr = 0;

	if (!kt_runs_bpf())
		SKIP(return, "this kernel does not show which task runs a BPF program");
	if (!kt_has_btf())
		SKIP(return, "no BTF");
	kt_shell("ktramp trace vfs_read%return --args --json & sleep 1; "
		 "dd if=/dev/zero of=/dev/null bs=77 count=5 2>/dev/null; kill -INT $!; wait $!",
		 &self->o);
	for (const char *at = self->o.out; (at = strstr(at, "\"return\":77")); at++)
		nr++;
	EXPECT_LE(5, nr) TH_LOG("%s %s", self->o.out, self->o.err);
}

TEST_F_TIMEOUT(places, of_a_pattern_are_traced_together, 300)
{
	if (!kt_runs_bpf())
		SKIP(return, "this kernel does not show which task runs a BPF program");
	kt_shell("ktramp trace 'vfs_*' --json >/tmp/counts & sleep 2; "
		 "dd if=/dev/zero of=/dev/null bs=64 count=50 2>/dev/null; kill -INT $!; wait $!; "
		 "grep -c '\"site\":\"vfs_read+' /tmp/counts; grep -c '\"site\":\"vfs_write+' "
		 "/tmp/counts; grep -c hit /tmp/counts; tail -n 1 /tmp/counts", &self->o);
	EXPECT_LE(50, atol(self->o.out)) TH_LOG("%s %s", self->o.out, self->o.err);
	EXPECT_NE(NULL, strstr(self->o.out, "\"lost\":0,")) TH_LOG("%s", self->o.out);
	kt_shell("ktramp add jump 'vfs_rea*'; ktramp probes --json | grep -c vfs_read", &self->o);
	EXPECT_NE(NULL, strstr(self->o.out, "vfs_read+")) TH_LOG("%s", self->o.err);
	EXPECT_NE(NULL, strstr(self->o.out, "vfs_readlink+")) TH_LOG("%s", self->o.err);
	kt_shell("ktramp trace 'no_such_*'", &self->o);
	EXPECT_EQ(1, self->o.status);
	EXPECT_NE(NULL, strstr(self->o.err, "no_such_*"));
}

/* A module's functions behind which another section begins, by the module's file. */
struct last {
	unsigned long start, size;
	char name[128];
};

/* Return: how many, at most one a section, or -1. */
static int find_last(const char *path, struct last *last, unsigned int max)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), nr = 0;
	const Elf64_Shdr *section, *symbols = NULL;
	const Elf64_Sym *all;
	struct stat stat;
	const char *file;

	if (fd < 0 || fstat(fd, &stat))
		return -1;
	file = mmap(NULL, stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (file == MAP_FAILED)
		return -1;
	section = (const void *)(file + ((const Elf64_Ehdr *)file)->e_shoff);
	for (unsigned int i = 0; i < ((const Elf64_Ehdr *)file)->e_shnum; i++)
		if (section[i].sh_type == SHT_SYMTAB)
			symbols = &section[i];
	all = (const void *)(file + (symbols ? symbols->sh_offset : 0));
	for (unsigned int i = 0;
	     symbols && i < ((const Elf64_Ehdr *)file)->e_shnum && i < max; i++) {
		struct last found = { 0 };

		for (size_t k = 0; k < symbols->sh_size / sizeof(*all); k++) {
			const char *name = file + section[symbols->sh_link].sh_offset +
					   all[k].st_name;

			if (all[k].st_shndx != i || !*name || all[k].st_value < found.start)
				continue;
			found.start = all[k].st_value;
			found.size = ELF64_ST_TYPE(all[k].st_info) == STT_FUNC ? all[k].st_size : 0;
			snprintf(found.name, sizeof(found.name), "%s", name);
		}
		if (found.size)
			last[nr++] = found;
	}
	munmap((void *)file, stat.st_size);
	return nr;
}

static unsigned long long address_in(const char *module, const char *symbol)
{
	char line[1024], name[512], of[64];
	unsigned long long address, found = 0;
	FILE *file = fopen("/proc/kallsyms", "re");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%llx %*c %511s [%63[^]]", &address, name, of) == 3 &&
		    !strcmp(of, module) && !strcmp(name, symbol))
			found = address;
	if (file)
		fclose(file);
	return found;
}

/* Behind it kallsyms has zeros, and sections without symbols, up to the next symbol or page. */
TEST_F_TIMEOUT(places, in_a_module_end_where_their_section_does, 120)
{
	static const char *const modules[] = { "ktramp_window", "ktramp_rival", "ktramp_state" };
	static struct ktramp_scan_insn insns[4096];
	struct ktramp_site_info site = { .size = sizeof(site) };
	struct last last[64];
	unsigned int seen = 0;
	char path[64];

	for (unsigned int i = 0; i < ARRAY_SIZE(modules); i++) {
		int nr;

		snprintf(path, sizeof(path), "/lib/modules/%s.ko", modules[i]);
		nr = find_last(path, last, ARRAY_SIZE(last));
		ASSERT_LT(0, nr) TH_LOG("%s", path);
		/* A test before may have left it. */
		syscall(SYS_delete_module, modules[i], 0);
		ASSERT_EQ(0, kt_insmod(path));
		while (nr--) {
			struct ktramp_scan scan = {
				.size = sizeof(scan), .insns = (__u64)(uintptr_t)insns,
				.address = address_in(modules[i], last[nr].name),
				.max = ARRAY_SIZE(insns), .mechanisms = 1U << KTRAMP_JUMP,
			};

			/* What initializes a module is gone. */
			if (!scan.address)
				continue;
			seen++;
			EXPECT_EQ(0, kt_ioctl(self->fd, KTRAMP_IOC_SCAN, &scan));
			EXPECT_EQ(last[nr].size, scan.length) TH_LOG("%s", last[nr].name);
			EXPECT_EQ(last[nr].size, scan.known) TH_LOG("%s", last[nr].name);
			/* What is behind it is no function's, or another one's. */
			snprintf(site.site, sizeof(site.site), "0x%llx",
				 scan.address + scan.length);
			if (!kt_ioctl(self->fd, KTRAMP_IOC_SITE, &site))
				EXPECT_EQ(0, site.offset) TH_LOG("%s", site.site);
		}
		ASSERT_EQ(0, syscall(SYS_delete_module, modules[i], 0));
	}
	/* Ordinary code, and what is there to leave. */
	EXPECT_LE(4, seen);
}

TEST_HARNESS_MAIN
