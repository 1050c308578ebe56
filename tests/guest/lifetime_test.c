// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who goes first: probes, the module they are in, ktramp itself, and those who look.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "kt.h"

/* Of the tests' own module: nothing calls it while nobody reads the window. */
#define THEIR_FUNCTION	"ktramp_window:read_text"

/* More than leave in one batch when ktramp goes, RELEASE_BATCH of module/probe.c. */
#define MANY		2400

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static int unload(const char *module)
{
	return syscall(SYS_delete_module, module, O_NONBLOCK) ? -errno : 0;
}

/* A probe that stays, of the first instruction that takes it. Return: its number, or -errno. */
static int keep(int fd, const char *site, unsigned int mechanism)
{
	struct ktramp_create create;
	int err = kt_create_as(fd, site, mechanism, KTRAMP_COUNT, KTRAMP_CREATE_KEEP, &create);

	return err ? err : (int)create.id;
}

/* Probes that stay, armed, at so many instructions of a function. Return: how many there are. */
static unsigned int keep_in(int fd, const char *function, unsigned int mechanism, __u32 *ids,
			    unsigned int nr)
{
	char site[KTRAMP_SITE_MAX];
	unsigned int found = 0;
	int id;

	/* Behind what ftrace has there. */
	for (unsigned int off = 9; found < nr && off < 200; off++) {
		snprintf(site, sizeof(site), "%s+0x%x", function, off);
		id = keep(fd, site, mechanism);
		if (id < 0)
			continue;
		if (kt_arm(fd, id)) {
			kt_destroy(fd, id);
			continue;
		}
		ids[found++] = id;
		/* Not so near that they touch. */
		off += JMP_SIZE;
	}
	return found;
}

/* ... all over the kernel, one a function. */
static unsigned int keep_many(int fd, __u32 *ids, unsigned int nr)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	unsigned long long address, last = 0;
	char type, line[1024], name[512], site[64];
	unsigned int found = 0;
	int id;

	while (file && found < nr && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%llx %c %511s", &address, &type, name) != 3 ||
		    strchr(line, '[') || (type != 't' && type != 'T') ||
		    !strncmp(name, "__pfx_", 6) || !strncmp(name, "__cfi_", 6) ||
		    address < last + 64)
			continue;
		last = address;
		/* Behind what ftrace has there, and behind an endbr64 as well. */
		snprintf(site, sizeof(site), "0x%llx", address + 5);
		id = keep(fd, site, KTRAMP_INT3_BOOST);
		if (id == -EILSEQ) {
			snprintf(site, sizeof(site), "0x%llx", address + 9);
			id = keep(fd, site, KTRAMP_INT3_BOOST);
		}
		if (id > 0)
			ids[found++] = id;
	}
	if (file)
		fclose(file);
	return found;
}

struct going {
	pthread_t thread;
	atomic_int err;
};

static void *unload_ktramp(void *arg)
{
	struct going *g = arg;

	atomic_store(&g->err, unload("ktramp"));
	return NULL;
}

FIXTURE(order) {
	int fd;
};

/* Closed by who unloads ktramp, and open again behind it. */
FIXTURE_SETUP(order)
{
	ASSERT_EQ(0, kt_open_window());
	self->fd = kt_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(order)
{
	struct ktramp_info info;

	ASSERT_EQ(0, kt_info(self->fd, &info));
	EXPECT_EQ(0, info.nr_probes + info.slot_bytes);
	close(self->fd);
}

/*
 * ktramp's probes go batch by batch. A module that goes in between takes its text along, and
 * the probe in it must have been told.
 */
TEST_F_TIMEOUT(order, a_probed_module_goes_while_ktramp_goes, 120)
{
	static __u32 ids[MANY + 1];
	struct ktramp_batch batch;
	struct going g = { .err = 1 };
	unsigned int nr = keep_many(self->fd, ids, MANY);
	int err;

	ASSERT_EQ(MANY, nr);
	ASSERT_EQ(1, keep_in(self->fd, THEIR_FUNCTION, KTRAMP_INT3_BOOST, &ids[nr], 1));
	ASSERT_EQ(0, kt_batch(self->fd, KTRAMP_IOC_ARM, ids, nr, &batch)) {
		TH_LOG("%s", batch.why);
	}
	close(self->fd);
	pthread_create(&g.thread, NULL, unload_ktramp, &g);
	/* The device goes before the first of them. */
	while (!access(KTRAMP_DEVICE, F_OK))
		usleep(1000);
	err = unload("ktramp_window");
	EXPECT_EQ(0, err) {
		TH_LOG("%s", strerror(-err));
	}
	pthread_join(g.thread, NULL);
	EXPECT_EQ(0, atomic_load(&g.err));
	ASSERT_EQ(0, kt_load_module());
	self->fd = kt_open();
}

/* The kernel has killed its kprobes by then, and never writes their bytes back. */
TEST_F_TIMEOUT(order, a_module_takes_its_kernel_probes_along_at_once, 120)
{
	__u32 ids[4];
	double begun;

	ASSERT_EQ(4, keep_in(self->fd, THEIR_FUNCTION, KTRAMP_KPROBE_STEP, ids, 4));
	begun = seconds();
	ASSERT_EQ(0, unload("ktramp_window"));
	EXPECT_GT(2, seconds() - begun);
}

/* Who looks at a probe holds no lock: what it looks at is there as long as the probe is. */
TEST_F(order, a_kernel_probe_keeps_its_memory_until_it_is_destroyed)
{
	int id = kt_create(self->fd, "nop", KTRAMP_KPROBE_STEP);
	struct ktramp_probe_info created, armed, disarmed;

	ASSERT_LT(0, id);
	ASSERT_EQ(0, kt_probe(self->fd, id, &created));
	ASSERT_EQ(0, kt_arm(self->fd, id));
	ASSERT_EQ(0, kt_probe(self->fd, id, &armed));
	ASSERT_EQ(0, kt_disarm(self->fd, id));
	ASSERT_EQ(0, kt_probe(self->fd, id, &disarmed));
	EXPECT_EQ(created.memory, armed.memory);
	EXPECT_EQ(armed.memory, disarmed.memory);
	ASSERT_EQ(0, kt_destroy(self->fd, id));
}

/* ---- those who look ---- */

/* The number behind @name, from @text on; 0 if there is none. */
static unsigned long long number(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

TEST_F_TIMEOUT(order, a_probe_that_is_hit_has_what_its_cpus_have, 120)
{
	static struct kt_output o;
	struct ktramp_load load;
	unsigned int nr = 0;

	kt_shell("ktramp add jump lea", &o);
	ASSERT_EQ(0, o.status) TH_LOG("%s", o.err);
	ASSERT_EQ(0, kt_load(self->fd, KTRAMP_LOAD_START, &load));
	kt_shell("for i in 1 2 3 4 5 6 7 8 9 10; do ktramp probes --json; done", &o);
	EXPECT_EQ(0, o.status) TH_LOG("%s", o.err);
	ASSERT_EQ(0, kt_load(self->fd, KTRAMP_LOAD_STOP, &load));
	for (char *line = strtok(o.out, "\n"); line; line = strtok(NULL, "\n"), nr++) {
		const char *cpus = strstr(line, "\"cpus\":[");
		unsigned long long hits = number(line, "\"hits\":"), sum = 0;

		ASSERT_NE(NULL, cpus) TH_LOG("%s", line);
		for (const char *at = cpus; (at = strstr(at, "\"hits\":")); at++)
			sum += number(at, "\"hits\":");
		EXPECT_LT(0, hits);
		EXPECT_EQ(hits, sum);
	}
	EXPECT_EQ(10, nr);
	kt_shell("ktramp remove --all", &o);
	EXPECT_EQ(0, o.status);
}

TEST_HARNESS_MAIN
