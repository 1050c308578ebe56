// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decoder against Zydis: every instruction in the text of the kernels named, and
 * seeded random bytes shaped to reach every opcode map.
 *
 * Usage: insn_diff [-r COUNT] [-s SEED] [-j JOBS] [VMLINUX ...]
 *
 * Prints TAP, each group of differences as a comment. A difference that insn_explain.c
 * does not explain fails the test.
 */
#include <elf.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "insn_explain.h"

#define MAX_EXPLANATIONS	64
#define MAX_KEYS		2048	/* Zydis mnemonics, or map << 8 | opcode */

static const char *const cause_names[CAUSE_COUNT] = {
	[CAUSE_REFUSED] = "refused by us alone",
	[CAUSE_ACCEPTED] = "accepted by us alone",
	[CAUSE_LENGTH] = "length",
	[CAUSE_ENCODING] = "opcode, modrm, displacement or immediate",
	[CAUSE_BRANCH] = "branch kind",
	[CAUSE_RIPREL] = "rip-relative operand",
	[CAUSE_READ_MISSING] = "register read, not by us",
	[CAUSE_READ_EXTRA] = "register read by us alone",
	[CAUSE_WRITE_MISSING] = "register written, not by us",
	[CAUSE_WRITE_EXTRA] = "register written by us alone",
	[CAUSE_FLREAD_MISSING] = "flag read, not by us",
	[CAUSE_FLREAD_EXTRA] = "flag read by us alone",
	[CAUSE_FLWRITE_MISSING] = "flag written, not by us",
	[CAUSE_FLWRITE_EXTRA] = "flag written by us alone",
	[CAUSE_LOAD] = "memory load",
	[CAUSE_STORE] = "memory store",
	[CAUSE_LOCK] = "atomicity",
	[CAUSE_REP] = "repetition",
	[CAUSE_PRIV] = "privilege",
	[CAUSE_NOP] = "nop",
	[CAUSE_RSP] = "use of the stack pointer",
};

struct group {
	u64 count;
	u8 len;
	u8 bytes[KTRAMP_INSN_MAX];
};

/**
 * struct tally - what one run found; lives in memory shared with the worker processes
 * @compared: instructions both accept
 * @int3: of these, int3: mostly fill between functions
 * @neither: places both refuse
 * @differing: of all, how many differ in some way
 * @unexplained: differences without explanation
 * @explained: differences by explanation
 * @groups: unexplained ones by cause and mnemonic or opcode
 */
struct tally {
	u64 compared;
	u64 int3;
	u64 neither;
	u64 differing;
	u64 unexplained;
	u64 explained[MAX_EXPLANATIONS];
	struct group explained_examples[MAX_EXPLANATIONS];
	struct group groups[CAUSE_COUNT][MAX_KEYS];
};

_Static_assert(ZYDIS_MNEMONIC_MAX_VALUE < MAX_KEYS, "more mnemonics than groups");

static ZydisDecoder decoder;
static unsigned int test_nr;
static bool failed;

/* We sign extend every immediate, Zydis some. */
static bool imm_differs(const struct ktramp_insn *a, const struct ktramp_insn *b)
{
	unsigned int bits = a->imm_len == 3 ? 16 : 8 * a->imm_len;

	return bits && (u64)(a->imm ^ b->imm) << (64 - bits);
}

static u32 mismatch(const struct pair *p)
{
	const struct ktramp_insn *a = &p->ours, *b = &p->oracle.insn;
	u32 attr = a->attr ^ b->attr;
	u32 m = 0;

	if (p->ret < 0 || !p->oracle.valid)
		return p->oracle.valid ? 1U << CAUSE_REFUSED :
		       p->ret > 0 ? 1U << CAUSE_ACCEPTED : 0;
	if (a->len != b->len || a->len != p->ret)
		return 1U << CAUSE_LENGTH;
	if (a->opcode != b->opcode || a->has_modrm != b->has_modrm ||
	    (a->has_modrm && (a->modrm != b->modrm || a->modrm_off != b->modrm_off)) ||
	    a->has_sib != b->has_sib || a->disp_len != b->disp_len ||
	    a->disp_off != b->disp_off || a->disp != b->disp || a->imm_len != b->imm_len ||
	    a->imm_off != b->imm_off || imm_differs(a, b))
		m |= 1U << CAUSE_ENCODING;
	m |= (u32)(a->branch != b->branch) << CAUSE_BRANCH;
	m |= (u32)!!(attr & KTRAMP_A_RIPREL) << CAUSE_RIPREL;
	m |= (u32)!!(b->regs_read & ~a->regs_read) << CAUSE_READ_MISSING;
	m |= (u32)!!(a->regs_read & ~b->regs_read) << CAUSE_READ_EXTRA;
	m |= (u32)!!(b->regs_written & ~a->regs_written) << CAUSE_WRITE_MISSING;
	m |= (u32)!!(a->regs_written & ~b->regs_written) << CAUSE_WRITE_EXTRA;
	m |= (u32)!!(b->flags_read & ~a->flags_read) << CAUSE_FLREAD_MISSING;
	m |= (u32)!!(a->flags_read & ~b->flags_read) << CAUSE_FLREAD_EXTRA;
	m |= (u32)!!(b->flags_written & ~a->flags_written) << CAUSE_FLWRITE_MISSING;
	m |= (u32)!!(a->flags_written & ~b->flags_written) << CAUSE_FLWRITE_EXTRA;
	m |= (u32)!!(attr & KTRAMP_A_MEM_READ) << CAUSE_LOAD;
	m |= (u32)!!(attr & KTRAMP_A_MEM_WRITE) << CAUSE_STORE;
	m |= (u32)!!(attr & KTRAMP_A_LOCK) << CAUSE_LOCK;
	m |= (u32)!!(attr & KTRAMP_A_REP) << CAUSE_REP;
	m |= (u32)!!(b->attr & ~a->attr & KTRAMP_A_PRIV) << CAUSE_PRIV;
	m |= (u32)!!(attr & KTRAMP_A_NOP) << CAUSE_NOP;
	m |= (u32)!!(attr & KTRAMP_A_RSP) << CAUSE_RSP;
	return m;
}

static void group_add(struct group *g, const u8 *buf, u8 len)
{
	if (!g->count++) {
		g->len = len;
		memcpy(g->bytes, buf, len);
	}
}

static void record(struct tally *t, const struct pair *p, u32 causes)
{
	u8 len = p->oracle.valid ? p->oracle.insn.len : p->ours.len;
	unsigned int key = p->oracle.valid ? p->oracle.z.mnemonic :
					     (unsigned int)p->ours.map << 8 | p->ours.opcode;
	enum cause cause;

	t->differing++;
	for (cause = 0; cause < CAUSE_COUNT; cause++) {
		int why;

		if (!(causes >> cause & 1))
			continue;
		why = explain(cause, p);
		if (why >= 0) {
			t->explained[why]++;
			group_add(&t->explained_examples[why], p->buf, len);
		} else {
			t->unexplained++;
			group_add(&t->groups[cause][key], p->buf, len);
		}
	}
}

/* Returns how far to go on: past the instruction, or one byte if there is none. */
static unsigned int compare(struct tally *t, const u8 *buf, size_t avail)
{
	struct pair p = { .buf = buf };
	u32 causes;

	p.ret = ktramp_insn_decode(&p.ours, buf, avail);
	oracle_decode(&decoder, &p.oracle, buf, avail);
	if (p.ret < 0 && !p.oracle.valid)
		t->neither++;
	else if (p.ret > 0 && p.oracle.valid)
		t->compared++;
	t->int3 += p.ours.branch == KTRAMP_BR_TRAP && p.ours.map == KTRAMP_MAP_1B &&
		   p.ours.opcode == 0xcc;
	causes = mismatch(&p);
	if (causes)
		record(t, &p, causes);
	return p.oracle.valid ? p.oracle.insn.len : 1;
}

static void print_example(const struct group *g)
{
	unsigned int i;

	for (i = 0; i < g->len; i++)
		printf(" %02x", g->bytes[i]);
}

static void report(const struct tally *t, const char *what, double seconds)
{
	unsigned int i, key;

	printf("# %s: %llu compared (%llu of them int3), %llu refused by both, %.1f s\n", what,
	       (unsigned long long)t->compared, (unsigned long long)t->int3,
	       (unsigned long long)t->neither, seconds);
	printf("# %s: %llu differ, %llu differences unexplained\n", what,
	       (unsigned long long)t->differing, (unsigned long long)t->unexplained);
	for (i = 0; i < nr_explanations; i++) {
		if (!t->explained[i])
			continue;
		printf("# explained %9llu: %s, as in", (unsigned long long)t->explained[i],
		       explanations[i].why);
		print_example(&t->explained_examples[i]);
		printf("\n");
	}
	for (i = 0; i < CAUSE_COUNT; i++) {
		for (key = 0; key < MAX_KEYS; key++) {
			const struct group *g = &t->groups[i][key];

			if (!g->count)
				continue;
			if (i == CAUSE_ACCEPTED)
				printf("# UNEXPLAINED %9llu: %s: map %u opcode %02x, as in",
				       (unsigned long long)g->count, cause_names[i], key >> 8,
				       key & 0xff);
			else
				printf("# UNEXPLAINED %9llu: %s: %s, as in",
				       (unsigned long long)g->count, cause_names[i],
				       ZydisMnemonicGetString((ZydisMnemonic)key));
			print_example(g);
			printf("\n");
		}
	}
}

static void result(bool ok, const char *name)
{
	printf("%s %u %s\n", ok ? "ok" : "not ok", ++test_nr, name);
	fflush(stdout);
	failed |= !ok;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static struct tally *tally_create(void)
{
	struct tally *t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (t == MAP_FAILED) {
		perror("no memory for the tally");
		exit(1);
	}
	return t;
}

/* Counts add up, the first example stays. */
static void tally_merge(struct tally *to, const struct tally *from)
{
	unsigned int i, key;

	to->compared += from->compared;
	to->int3 += from->int3;
	to->neither += from->neither;
	to->differing += from->differing;
	to->unexplained += from->unexplained;
	for (i = 0; i < MAX_EXPLANATIONS; i++) {
		if (!to->explained[i])
			to->explained_examples[i] = from->explained_examples[i];
		to->explained[i] += from->explained[i];
	}
	for (i = 0; i < CAUSE_COUNT; i++) {
		for (key = 0; key < MAX_KEYS; key++) {
			const struct group *f = &from->groups[i][key];
			struct group *g = &to->groups[i][key];
			u64 count = g->count + f->count;

			if (!g->count)
				*g = *f;
			g->count = count;
		}
	}
}

static void sweep(struct tally *t, const u8 *text, size_t size)
{
	size_t off = 0;

	while (off < size)
		off += compare(t, text + off, size - off);
}

static void test_kernel(const char *path)
{
	double start = now();
	struct tally *t = tally_create();
	char name[512];
	const Elf64_Ehdr *eh;
	const Elf64_Shdr *sh;
	unsigned int i;
	struct stat st;
	const u8 *elf;
	int fd = open(path, O_RDONLY);

	if (fd < 0 || fstat(fd, &st) < 0) {
		perror(path);
		exit(1);
	}
	elf = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	eh = (const Elf64_Ehdr *)elf;
	if (elf == MAP_FAILED || (size_t)st.st_size < sizeof(*eh) ||
	    memcmp(eh->e_ident, ELFMAG, SELFMAG) || eh->e_machine != EM_X86_64 ||
	    eh->e_shoff + eh->e_shnum * sizeof(*sh) > (size_t)st.st_size) {
		fprintf(stderr, "%s: no x86-64 ELF with sections: unpack its vmlinuz\n", path);
		exit(1);
	}
	sh = (const Elf64_Shdr *)(elf + eh->e_shoff);
	for (i = 0; i < eh->e_shnum; i++) {
		if (sh[i].sh_type != SHT_PROGBITS || !(sh[i].sh_flags & SHF_EXECINSTR))
			continue;
		if (sh[i].sh_offset + sh[i].sh_size > (size_t)st.st_size) {
			fprintf(stderr, "%s: section %u ends behind the file: unpack it again\n",
				path, i);
			exit(1);
		}
		sweep(t, elf + sh[i].sh_offset, sh[i].sh_size);
	}
	report(t, path, now() - start);
	snprintf(name, sizeof(name), "insn_diff: kernel text %s", path);
	result(t->compared && !t->unexplained, name);
	munmap((void *)elf, (size_t)st.st_size);
	munmap(t, sizeof(*t));
	close(fd);
}

static u64 next_random(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* Random bytes, most of them behind a prefix and escape that leads to a rarer map. */
static void shape(u8 *buf, u64 *state)
{
	static const u8 prefixes[] = {
		0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x64, 0x65, 0x3e, 0x40, 0x48, 0x4f, 0x41, 0x44,
	};
	u64 r = next_random(state), r2 = next_random(state);
	unsigned int i = 0;

	memcpy(buf, &r, 8);
	r = next_random(state);
	memcpy(buf + 8, &r, 8);
	while ((r2 & 3) == 0 && i < 4) {
		buf[i++] = prefixes[(r2 >> 2) % sizeof(prefixes)];
		r2 >>= 8;
	}
	switch (r2 >> 8 & 7) {
	case 0:
	case 1:
		break;
	case 2:
	case 3:
		buf[i] = 0x0f;
		break;
	case 4:
		buf[i] = 0x0f;
		buf[i + 1] = r2 >> 16 & 1 ? 0x38 : 0x3a;
		break;
	case 5:
		buf[i] = 0xc5;
		break;
	case 6:
		buf[i] = 0xc4;
		buf[i + 1] = (buf[i + 1] & 0xe0) | (1 + (r2 >> 16) % 3);
		break;
	case 7:
		buf[i] = 0x62;
		buf[i + 1] &= 0xf7;
		buf[i + 2] |= 0x04;
		break;
	}
}

static void run_random(struct tally *t, u64 count, u64 seed)
{
	u8 buf[16];

	while (count--) {
		shape(buf, &seed);
		compare(t, buf, KTRAMP_INSN_MAX);
	}
}

static void test_random(u64 count, u64 seed, unsigned int jobs)
{
	struct tally *t[8];
	double start = now();
	char name[64];
	unsigned int i;
	bool ok = true;

	for (i = 0; i < jobs; i++)
		t[i] = tally_create();
	fflush(stdout);
	for (i = 0; i < jobs; i++) {
		pid_t pid = fork();

		if (pid < 0) {
			perror("fork");
			exit(1);
		}
		if (!pid) {
			u64 share = count / jobs + (i < count % jobs);

			run_random(t[i], share, seed + i);
			_exit(0);
		}
	}
	for (i = 0; i < jobs; i++) {
		int status;

		ok &= wait(&status) > 0 && status == 0;
	}
	for (i = 1; i < jobs; i++)
		tally_merge(t[0], t[i]);
	snprintf(name, sizeof(name), "%llu random strings, seed %llu",
		 (unsigned long long)count, (unsigned long long)seed);
	report(t[0], name, now() - start);
	result(ok && t[0]->compared && !t[0]->unexplained, "insn_diff: random bytes");
}

int main(int argc, char **argv)
{
	u64 count = 2000000, seed = 1;
	unsigned int jobs = 2;
	int opt;

	while ((opt = getopt(argc, argv, "r:s:j:")) != -1) {
		switch (opt) {
		case 'r':
			count = strtoull(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'j':
			jobs = (unsigned int)atoi(optarg);
			break;
		default:
			fprintf(stderr, "usage: %s [-r COUNT] [-s SEED] [-j JOBS] [VMLINUX ...]\n",
				argv[0]);
			return 2;
		}
	}
	if (jobs < 1 || jobs > 8) {
		fprintf(stderr, "-j takes 1 to 8 processes\n");
		return 2;
	}
	if (nr_explanations > MAX_EXPLANATIONS) {
		fprintf(stderr, "more explanations than counters: raise MAX_EXPLANATIONS\n");
		return 1;
	}
	oracle_init(&decoder);
	printf("TAP version 13\n1..%d\n", argc - optind + (count ? 1 : 0));
	while (optind < argc)
		test_kernel(argv[optind++]);
	if (count)
		test_random(count, seed, jobs);
	return failed;
}
