// SPDX-License-Identifier: GPL-2.0-only
/*
 * Objects that are not what they say, through the loader of the command: each is refused in
 * one sentence, or loads. The loader is the command's own, and libbpf; both are built with
 * ASan and UBSan here. The kernel is of fake_bpf.c.
 *
 * usage: object_test [-a] [-k CHANGE [-n ONE]] OBJECT...
 *
 *   -a   every case; otherwise a sample of each change
 *   -k   this change only, of those in object_change.c
 *   -n   this case of it only, and say what came of it
 *
 * OBJECT is changed, or the types that it is relocated by, which are its own. Some of them must
 * load as they are; those that attach to functions by name do not, without a kernel's types.
 * NAME.tmp.o, as clang left it, with DWARF, must do what NAME.bpf.o in front of it does, which
 * bpftool linked.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/btf.h>
#include <gelf.h>

#include "bpf/bpf.h"
#include "bpf/bpf_dump.h"
#include "bpf/btfs.h"
#include "object_change.h"

/* A case that takes longer hangs. */
#define CASE_SECONDS	20
/* Cases of each change, unless all are wanted. */
#define SAMPLE		150
#define SHOWN		6

int cmd_reloc(int argc, char **argv);

/* The test's kernel has its types in files. */
const struct built_in_btf built_in_btfs[1];
const unsigned int nr_built_in_btfs;

/* There is no device. */
int dev_probe(const struct dev *dev, uint32_t id, uint32_t flags, struct ktramp_probe_info *info)
{
	return -ENODEV;
}

struct shared {
	size_t at;			/* the case that is under way */
	size_t loaded, refused;
};

static struct shared *shared;
/* How many loaded that nobody had changed. */
static size_t unchanged;
static int object_fd, types_fd, talk_fd;

/* ---- a case ---- */

/* @object: the file; @raw: a copy of its types. Both to be freed. */
static bool read_object(const char *name, struct object_file *object, struct object_file *raw)
{
	FILE *in = fopen(name, "rb");
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	size_t names;
	Elf *elf;

	if (!in || fseek(in, 0, SEEK_END))
		return false;
	*object = (struct object_file){ .name = basename(name), .size = ftell(in) };
	*raw = (struct object_file){ .name = object->name };
	rewind(in);
	object->data = malloc(object->size);
	if (!object->data || fread(object->data, 1, object->size, in) != object->size)
		return false;
	fclose(in);
	elf = elf_memory((char *)object->data, object->size);
	if (!elf || elf_getshdrstrndx(elf, &names))
		return false;
	while ((scn = elf_nextscn(elf, scn))) {
		if (!gelf_getshdr(scn, &shdr) ||
		    strcmp(elf_strptr(elf, names, shdr.sh_name) ?: "", ".BTF"))
			continue;
		object->btf = shdr.sh_offset;
		raw->size = shdr.sh_size;
	}
	elf_end(elf);
	raw->data = malloc(raw->size + 1);
	if (!raw->size || !raw->data)
		return false;
	memcpy(raw->data, object->data + object->btf, raw->size);
	return true;
}

static void fill(int fd, const uint8_t *data, size_t size)
{
	if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size) {
		perror("object_test: memfd");
		exit(1);
	}
}

/* What was said on stderr since the last case. */
static size_t heard(char *text, size_t size)
{
	ssize_t n = pread(talk_fd, text, size - 1, 0);

	text[n < 0 ? 0 : n] = '\0';
	return n < 0 ? 0 : n;
}

/* One sentence, of ours: not half of one, and not libbpf's without what it is about. */
static bool is_error(const char *text)
{
	const char *end = strchr(text, '\n');

	return !strncmp(text, "ktramp: error: ", 15) && end && !end[1] && end - text > 30;
}

/* As ktramp bpf does it, but for the attaching. */
static int load_and_dump(const char *object, const char *path)
{
	struct bpf_object *obj __cleanup(bpf_object_free) = NULL;
	struct bpf_program *prog;
	struct bpf_types types;
	int err;

	if (bpf_types_find(&types, path))
		return 1;
	obj = bpf_object_open_file(object, &types);
	if (!obj)
		return 1;
	bpf_object__for_each_program(prog, obj)
		bpf_program__set_autoload(prog, true);
	bpf_listen();
	err = bpf_object__load(obj);
	if (err) {
		p_err("cannot load '%s': %s", object, bpf_why(err));
		return 1;
	}
	return bpf_dump_maps(obj) ? 1 : 0;
}

/* Return: what is wrong with it, or NULL. */
static const char *verdict(int status, char *text, size_t size)
{
	size_t n = heard(text, size);

	if (status == 0)
		return n ? "it is loaded, and complains" : NULL;
	if (status != 1)
		return "not an exit status";
	return is_error(text) ? NULL : "not one sentence";
}

static void quiet_start(void)
{
	fflush(stderr);
	if (ftruncate(talk_fd, 0) || lseek(talk_fd, 0, SEEK_SET))
		exit(1);
}

static const char *run_case(char *text, size_t size)
{
	char object[32], types[32], reloc[] = "reloc", btf[] = "--btf";
	char *argv[5] = { reloc, object, btf, types };
	const char *wrong;
	int status;

	snprintf(object, sizeof(object), "/proc/self/fd/%d", object_fd);
	snprintf(types, sizeof(types), "/proc/self/fd/%d", types_fd);
	quiet_start();
	status = cmd_reloc(ARRAY_SIZE(argv) - 1, argv);
	wrong = verdict(status, text, size);
	if (status)
		shared->refused++;
	else
		shared->loaded++;
	if (wrong)
		return wrong;
	quiet_start();
	return verdict(load_and_dump(object, types), text, size);
}

/* ---- all of them ---- */

/* What is changed, and what else there is to a case. */
struct plan {
	const struct object_change *change;
	const struct object_file *changed, *object, *types;
	size_t count, step;
};

/* Goes on from shared->at until something is wrong with a case. */
static void work(const struct plan *plan, bool once)
{
	static const struct itimerval limit = { .it_value.tv_sec = CASE_SECONDS }, none;
	const struct object_file *object = plan->object, *types = plan->types;
	uint8_t *data = malloc(plan->changed->size);
	char text[65536];

	for (; shared->at < plan->count; shared->at += plan->step) {
		const char *wrong;
		size_t size;

		memcpy(data, plan->changed->data, plan->changed->size);
		size = plan->change->change(plan->changed, shared->at, data);
		if (plan->change->part == OBJECT) {
			fill(object_fd, data, size);
			fill(types_fd, types->data, types->size);
		} else {
			fill(object_fd, object->data, object->size);
			fill(types_fd, data, size);
		}
		/* Of its own time, however busy the machine is. */
		setitimer(ITIMER_PROF, &limit, NULL);
		wrong = run_case(text, sizeof(text));
		setitimer(ITIMER_PROF, &none, NULL);
		if (wrong) {
			dprintf(talk_fd, "%s\n", wrong);
			_exit(2);
		}
		if (once)
			break;
	}
	free(data);
	/* With a look for leaks. */
	exit(0);
}

static void print_wrong(const struct plan *plan, int status, const char *text)
{
	printf("%s, %s, case %zu: %s %d\n%s\n", plan->object->name, plan->change->name, shared->at,
	       WIFSIGNALED(status) ? "killed by signal" : "status",
	       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), text);
}

/* A process until one case kills it, and another behind that one. Return: how many went wrong. */
static size_t go_through(const struct plan *plan, size_t first, bool once)
{
	static size_t shown;
	size_t wrong = 0;
	int status;

	for (shared->at = first; shared->at < plan->count; shared->at += plan->step) {
		char text[8192];
		pid_t pid;

		fflush(stdout);
		pid = fork();
		if (!pid) {
			dup2(talk_fd, STDERR_FILENO);
			dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
			work(plan, once);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return wrong + 1;
		heard(text, sizeof(text));
		if (once)
			printf("%s", text);
		if (!status)
			break;
		wrong++;
		if (shown++ < SHOWN)
			print_wrong(plan, status, text);
		if (once)
			break;
	}
	return wrong;
}

static size_t try_change(struct plan *plan, bool all, size_t only, bool once)
{
	size_t wrong;

	plan->count = plan->change->count(plan->changed);
	plan->step = all || plan->count <= SAMPLE ? 1 : plan->count / SAMPLE | 1;
	shared->loaded = 0;
	shared->refused = 0;
	wrong = go_through(plan, only, once);
	if (plan->count == 1)
		unchanged += shared->loaded;
	printf("%s, %s: %zu loaded, %zu refused, %zu wrong, of %zu\n", plan->object->name,
	       plan->change->name, shared->loaded, shared->refused, wrong, plan->count);
	return wrong;
}

static int new_memfd(const char *name)
{
	int fd = memfd_create(name, 0);

	if (fd < 0) {
		perror("object_test: memfd_create");
		exit(1);
	}
	return fd;
}

/* Return: how many of them are wrong. */
static size_t compare_raw(const char *name, bool loads)
{
	static char linked[64];
	static bool linked_loads;
	size_t len = strcspn(name, ".");

	if (!strcmp(name + len, ".bpf.o")) {
		snprintf(linked, sizeof(linked), "%.*s", (int)len, name);
		linked_loads = loads;
	} else if (!strcmp(name + len, ".tmp.o") && strlen(linked) == len &&
		   !strncmp(linked, name, len) && loads != linked_loads) {
		printf("%s %s, linked it %s\n", name, loads ? "loads" : "is refused",
		       linked_loads ? "loads" : "is refused");
		return 1;
	}
	return 0;
}

static void usage(void)
{
	fprintf(stderr, "object_test: wrong arguments: [-a] [-k CHANGE [-n ONE]] OBJECT...\n");
	exit(2);
}

int main(int argc, char **argv)
{
	size_t only = 0, wrong = 0;
	const char *change = NULL;
	bool all = false;
	bool once = false;
	int option;

	while ((option = getopt(argc, argv, "ak:n:")) != -1) {
		switch (option) {
		case 'a':
			all = true;
			break;
		case 'k':
			change = optarg;
			break;
		case 'n':
			once = true;
			all = true;
			only = strtoull(optarg, NULL, 0);
			break;
		default:
			usage();
		}
	}
	if (optind == argc)
		usage();
	elf_version(EV_CURRENT);
	object_fd = new_memfd("object");
	types_fd = new_memfd("types");
	talk_fd = new_memfd("talk");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	for (; optind < argc; optind++) {
		struct object_file object, raw;
		size_t before = unchanged;

		if (!read_object(argv[optind], &object, &raw)) {
			fprintf(stderr, "object_test: cannot read '%s' as an object with BTF\n",
				argv[optind]);
			return 1;
		}
		for (size_t i = 0; i < nr_object_changes; i++) {
			struct plan plan = {
				.change = &object_changes[i], .object = &object, .types = &object,
				.changed = object_changes[i].part == RAW_TYPES ? &raw : &object,
			};

			if (!change || !strcmp(change, object_changes[i].name))
				wrong += try_change(&plan, all, only, once);
		}
		if (!change)
			wrong += compare_raw(object.name, unchanged > before);
		free(object.data);
		free(raw.data);
	}
	/* Or all the rest was refused for another reason. */
	if (!change && !unchanged) {
		printf("nothing loads, changed or not\n");
		wrong++;
	}
	printf("%zu wrong\n", wrong);
	return wrong ? 1 : 0;
}
