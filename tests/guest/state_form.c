// SPDX-License-Identifier: GPL-2.0-only
/* Forms of instructions: read the running kernel's text, function by function. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "state.h"

#define INT3		0xcc
#define TEXT_MAX	(64U << 20)
#define HASH_BITS	16

const char *const exclusion_text[NR_EXCLUSIONS] = {
	[NOT_TRAPS] = "trap, leave the kernel, or shadow what follows: always refused",
	[NOT_SYSTEM] = "change the system's state, or read what no seed decides",
	[NOT_REPEATABLE] = "give another result each time: rdtsc, rdrand, rdseed",
	[NOT_FS] = "use FS, whose base is the user's",
	[NOT_ADDR32] = "have 32-bit addresses, where the kernel has no memory",
	[NOT_CONTROL] = "load x87 or SSE control words: could unmask exceptions",
	[NOT_BOUNDED] = "access more memory than a case has, or where no operand says",
	[NOT_STACK] = "jump to the stack, or move it where there is none: data, read as code",
	[NOT_AVX512] = "are EVEX-encoded: no emulated CPU has them",
};

uint64_t rng_next(struct rng *rng)
{
	/* splitmix64 */
	uint64_t z = (rng->state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

struct rng rng_of(uint64_t seed, uint64_t stream)
{
	struct rng rng = { seed };

	rng.state = rng_next(&rng) ^ (stream * 0xd6e8feb86659fd93);
	return rng;
}

/* Does ModRM.reg say which instruction it is? */
static bool is_group(const struct ktramp_insn *insn)
{
	if (insn->map == KTRAMP_MAP_0F38)
		return (insn->prefix & KTRAMP_P_VEX) && insn->opcode == 0xf3;
	if (insn->map == KTRAMP_MAP_0F)
		switch (insn->opcode) {
		case 0x00: case 0x01: case 0x0d: case 0x18: case 0x19 ... 0x1f: case 0x20 ... 0x23:
		case 0x71 ... 0x73: case 0xae: case 0xba: case 0xc7:
			return true;
		}
	if (insn->map != KTRAMP_MAP_1B)
		return false;
	switch (insn->opcode) {
	case 0x80: case 0x81: case 0x83: case 0x8c: case 0x8e: case 0x8f: case 0xc0: case 0xc1:
	case 0xc6: case 0xc7: case 0xd0 ... 0xd3: case 0xd8 ... 0xdf: case 0xf6: case 0xf7:
	case 0xfe: case 0xff:
		return true;
	}
	return false;
}

/* ModRM.rm, too. */
static bool is_whole_group(const struct ktramp_insn *insn)
{
	if (insn->modrm < 0xc0)
		return false;
	return (insn->map == KTRAMP_MAP_1B && insn->opcode >= 0xd8 && insn->opcode <= 0xdf) ||
	       (insn->map == KTRAMP_MAP_0F && (insn->opcode == 0x01 || insn->opcode == 0x1e)) ||
	       /* xabort, xbegin */
	       (insn->map == KTRAMP_MAP_1B && insn->opcode >= 0xc6 && insn->opcode <= 0xc7 &&
		insn->modrm == 0xf8);
}

/* How memory is addressed: the mode, what of base and index there is, whether it is RSP. */
static unsigned int address_class(const struct ktramp_insn *insn)
{
	unsigned int class = (insn->modrm >> 6) + 1;

	if (insn->attr & KTRAMP_A_RIPREL)
		return 5;
	if (!insn->has_sib)
		return class;
	class |= 8;
	if ((insn->sib & 7) == 5 && !(insn->modrm >> 6))
		class |= 16;
	else if ((insn->sib & 7) == 4 && !(insn->rex & 1))
		class |= 32;
	if ((insn->sib & 0x38) != 0x20 || (insn->rex & 2))
		class |= 64;
	return class;
}

static bool is_opcode_reg(const struct ktramp_insn *insn)
{
	if (insn->map == KTRAMP_MAP_0F)
		return (insn->opcode & 0xf8) == 0xc8;
	return insn->map == KTRAMP_MAP_1B &&
	       ((insn->opcode >= 0x50 && insn->opcode <= 0x5f) ||
		(insn->opcode >= 0x91 && insn->opcode <= 0x97) ||
		(insn->opcode >= 0xb0 && insn->opcode <= 0xbf));
}

/* Everything about an instruction but register numbers, displacement and immediate. */
uint64_t form_key(const struct ktramp_insn *insn, const uint8_t *bytes)
{
	uint64_t opcode = insn->opcode, key, modrm = 0, rsp = 0;
	bool legacy = insn_is_legacy(insn);

	if (is_opcode_reg(insn)) {
		rsp = (opcode & 7) == 4 && !(insn->rex & 1);
		opcode &= 0xf8;
	}
	key = insn->map | opcode << 3 | (uint64_t)insn->prefix << 11;
	if (insn->has_modrm) {
		bool memory = insn_has_memory(insn);

		modrm = memory ? address_class(insn) : 4;
		if (is_group(insn))
			modrm |= (uint64_t)(8 | (insn->modrm >> 3 & 7)) << 7;
		else if (legacy && insn_reg(insn) == 4)
			rsp |= 2;
		if (is_whole_group(insn))
			modrm |= (uint64_t)(8 | (insn->modrm & 7)) << 11;
		else if (legacy && !memory && insn_rm(insn) == 4)
			rsp |= 1;
		/* One register twice is another instruction: xor, sub, xchg. */
		if (!memory && insn_reg(insn) == insn_rm(insn))
			rsp |= 4;
	}
	key |= modrm << 22 | rsp << 37;
	key |= (uint64_t)(insn->imm_len | insn->disp_len << 4) << 40;
	if (legacy)
		/* REX.W, and that there is one at all: it decides what byte registers mean. */
		key |= (uint64_t)(insn->rex ? 1 + (insn->rex >> 3 & 1) : 0) << 48;
	else
		/* The last byte of VEX: W or R, L, pp; vvvv counts as used or not. */
		key |= (uint64_t)(bytes[insn->opcode_off - 1] & 0x87) << 50 |
		       (uint64_t)((bytes[insn->opcode_off - 1] & 0x78) == 0x78) << 58;
	return key;
}

/* Pushes and pops move RSP by little; what names it may put any number there. */
bool form_sets_rsp(const struct ktramp_insn *insn)
{
	if (!insn_is_legacy(insn) || insn->branch != KTRAMP_BR_NONE)
		return false;
	if (insn->has_modrm && !insn_has_memory(insn) && insn_rm(insn) == RSP)
		return true;
	/* Of most groups that is no register, which does no harm. */
	if (insn->has_modrm)
		return insn_reg(insn) == RSP;
	if (insn->map != KTRAMP_MAP_1B || (insn->rex & 1))
		return false;
	return insn->opcode == 0x5c || insn->opcode == 0x94 || insn->opcode == 0xb4 ||
	       insn->opcode == 0xbc;
}

/* Privileged, but harmless, and the kernel has them everywhere. */
static bool is_harmless(const struct ktramp_insn *insn)
{
	if (insn->map == KTRAMP_MAP_1B)
		return insn->opcode == 0xfa || insn->opcode == 0xfb;
	if (insn->map != KTRAMP_MAP_0F)
		return false;
	if (insn->opcode == 0x01)
		return insn->modrm == 0xca || insn->modrm == 0xcb;
	/* mov from CR; a page fault changes CR2 */
	if (insn->opcode == 0x20)
		return (insn->modrm >> 3 & 7) != 2;
	/* rdfsbase, rdgsbase */
	return insn->opcode == 0xae && insn->modrm >= 0xc0 && (insn->modrm >> 3 & 7) < 2;
}

static bool loads_control(const struct ktramp_insn *insn)
{
	unsigned int reg = insn->modrm >> 3 & 7;

	if (insn->modrm >= 0xc0)
		return false;
	if (insn->map == KTRAMP_MAP_0F && insn->opcode == 0xae)
		return reg == 1 || reg == 2 || reg == 5;
	return insn->map == KTRAMP_MAP_1B &&
	       ((insn->opcode == 0xd9 && (reg == 4 || reg == 5)) ||
		(insn->opcode == 0xdd && reg == 4));
}

static bool is_unbounded(const struct ktramp_insn *insn)
{
	unsigned int reg = insn->modrm >> 3 & 7;
	bool memory = insn_has_memory(insn);

	/* Where GS and RSP together lead nobody knows. */
	if (memory && (insn->prefix & KTRAMP_P_GS) && insn->has_sib && (insn->sib & 7) == 4 &&
	    !(insn->rex & 1))
		return true;
	switch (insn->map) {
	case KTRAMP_MAP_1B:
		/* enter; fnstenv and fnsave, which store the address of an instruction */
		return insn->opcode == 0xc8 || (memory && reg == 6 &&
						(insn->opcode == 0xd9 || insn->opcode == 0xdd));
	case KTRAMP_MAP_0F:
		/* fxsave, xsave and so on; padlock; maskmovq; clzero */
		return (insn->opcode == 0xae && memory && (reg == 0 || reg == 4 || reg == 6) &&
			!(insn->prefix & KTRAMP_P_66)) ||
		       (insn->opcode == 0xc7 && memory && reg >= 3) || insn->opcode == 0xa6 ||
		       insn->opcode == 0xa7 || insn->opcode == 0xf7 ||
		       (insn->opcode == 0x01 && insn->modrm == 0xfc);
	case KTRAMP_MAP_0F38:
		/* gathers; movdir64b, enqcmd */
		return ((insn->prefix & KTRAMP_P_VEX) && (insn->opcode & 0xfc) == 0x90) ||
		       insn->opcode == 0xf8;
	}
	return false;
}

/* What makes a number of RSP that is no stack's, and branches to where it points. */
static bool leaves_no_stack(const struct ktramp_insn *insn)
{
	/* mov from CR */
	if (insn->map == KTRAMP_MAP_0F && insn->opcode == 0x20)
		return insn_rm(insn) == RSP;
	if (insn->branch == KTRAMP_BR_JMP_IND || insn->branch == KTRAMP_BR_CALL_IND)
		return insn->modrm >= 0xc0 && insn_rm(insn) == RSP;
	if (!form_sets_rsp(insn) || !(insn->regs_written & 1U << RSP))
		return false;
	/* xor and sub of itself */
	return insn->osz == 4 || !(insn->regs_read & 1U << RSP || insn->attr & KTRAMP_A_MEM_READ ||
				   insn_reg(insn) != insn_rm(insn) || !insn->has_modrm);
}

/* Every form is run, but for these. */
enum exclusion form_exclusion(const struct ktramp_insn *insn, const uint8_t *bytes)
{
	if (insn->branch == KTRAMP_BR_FAR || insn->branch == KTRAMP_BR_TRAP ||
	    insn->branch == KTRAMP_BR_XBEGIN || (insn->attr & KTRAMP_A_SS_SHADOW))
		return NOT_TRAPS;
	if ((insn->attr & KTRAMP_A_PRIV) && !is_harmless(insn))
		return NOT_SYSTEM;
	if (insn->map == KTRAMP_MAP_0F &&
	    (insn->opcode == 0x31 || (insn->opcode == 0x01 && insn->modrm == 0xf9) ||
	     (insn->opcode == 0xc7 && insn->modrm >= 0xf0)))
		return NOT_REPEATABLE;
	if (insn->prefix & KTRAMP_P_FS)
		return NOT_FS;
	if (insn->prefix & KTRAMP_P_EVEX)
		return NOT_AVX512;
	if ((insn->prefix & KTRAMP_P_67) &&
	    (insn->attr & (KTRAMP_A_MEM_READ | KTRAMP_A_MEM_WRITE)))
		return NOT_ADDR32;
	if (loads_control(insn))
		return NOT_CONTROL;
	if (leaves_no_stack(insn))
		return NOT_STACK;
	return is_unbounded(insn) ? NOT_BOUNDED : RUN;
}

static bool is_simple(const struct ktramp_insn *insn)
{
	const uint32_t unwanted = KTRAMP_A_MEM_READ | KTRAMP_A_MEM_WRITE | KTRAMP_A_FAULT |
		KTRAMP_A_RSP | KTRAMP_A_IF_READ | KTRAMP_A_IF_WRITE | KTRAMP_A_TF_READ |
		KTRAMP_A_TF_WRITE | KTRAMP_A_PRIV | KTRAMP_A_REP | KTRAMP_A_VECTOR |
		KTRAMP_A_RIPREL;

	/* What a CPU may lack raises #UD, which skips the instruction under test. */
	return insn->branch == KTRAMP_BR_NONE && !(insn->attr & unwanted) &&
	       insn->map == KTRAMP_MAP_1B && !(insn->prefix & (KTRAMP_P_VEX | KTRAMP_P_SEG));
}

struct table {
	struct form *v;
	unsigned int *slot;
	unsigned int nr, max;
};

static int table_add(struct table *t, const struct ktramp_insn *insn, const uint8_t *bytes)
{
	uint64_t key = form_key(insn, bytes);
	unsigned int at = (key * 0x9e3779b97f4a7c15) >> (64 - HASH_BITS);
	struct form *form;

	for (; t->slot[at]; at = (at + 1) % (1U << HASH_BITS)) {
		form = &t->v[t->slot[at] - 1];
		if (form->key == key) {
			form->seen++;
			return 0;
		}
	}
	if (t->nr == t->max)
		return -ENOSPC;
	form = &t->v[t->nr];
	*form = (struct form){
		.key = key, .length = insn->len, .seen = 1,
		.exclusion = form_exclusion(insn, bytes),
	};
	form->simple = form->exclusion == RUN && is_simple(insn);
	memcpy(form->bytes, bytes, insn->len);
	t->slot[at] = ++t->nr;
	return 0;
}

/* One function's bytes, to its end or to what is none. Return: instructions, or -errno. */
static long read_function(struct table *t, const uint8_t *bytes, size_t length)
{
	struct ktramp_insn insn;
	long nr = 0;
	int err;

	for (size_t at = 0; at < length; at += insn.len, nr++) {
		if (ktramp_insn_decode(&insn, bytes + at, length - at) < 0)
			break;
		/* Padding is never executed. */
		if (bytes[at] == INT3) {
			nr--;
			continue;
		}
		err = table_add(t, &insn, bytes + at);
		if (err)
			return err;
	}
	return nr;
}

/* "ffffffff81000000 T _stext"; the kernel lists its own symbols first. */
static bool next_symbol(FILE *file, uint64_t *address, char *type, char *name, size_t size)
{
	char line[512], *end;

	if (!fgets(line, sizeof(line), file) || strchr(line, '['))
		return false;
	*address = strtoull(line, &end, 16);
	if (end[0] != ' ' || end[2] != ' ')
		return false;
	*type = end[1] | 0x20;
	end[strcspn(end, "\n")] = '\0';
	snprintf(name, size, "%s", end + 3);
	return true;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Addresses of all functions from _stext to _etext, both included. Return: how many. */
static long find_functions(uint64_t **functions)
{
	FILE *file = fopen("/proc/kallsyms", "r");
	uint64_t *v = NULL, address, start = 0, end = 0;
	long nr = 0, max = 0;
	char type, name[256];

	if (!file)
		return -errno;
	while (next_symbol(file, &address, &type, name, sizeof(name))) {
		if (!strcmp(name, "_stext"))
			start = address;
		if (!strcmp(name, "_etext"))
			end = address;
		if (type != 't' && type != 'w')
			continue;
		if (nr == max) {
			max = max ? 2 * max : 1 << 16;
			v = realloc(v, max * sizeof(*v));
			if (!v)
				break;
		}
		v[nr++] = address;
	}
	fclose(file);
	*functions = v;
	if (!v)
		return -ENOMEM;
	qsort(v, nr, sizeof(*v), compare_u64);
	max = nr;
	nr = 0;
	for (long i = 0; i < max; i++)
		if (v[i] >= start && v[i] <= end && (!nr || v[i] != v[nr - 1]))
			v[nr++] = v[i];
	return nr > 1 && start ? nr : -ENOENT;
}

static int read_text(int state, struct table *t, const uint64_t *functions, long nr,
		     unsigned long *instructions)
{
	size_t size = functions[nr - 1] - functions[0];
	uint8_t *text = size <= TEXT_MAX ? malloc(size) : NULL;
	struct state_copy copy = {
		.address = functions[0], .buffer = (uintptr_t)text, .size = size,
	};
	long some = 0;

	if (!text)
		return -ENOMEM;
	if (ioctl(state, STATE_IOC_READ, &copy)) {
		free(text);
		return -errno;
	}
	*instructions = 0;
	for (long i = 0; some >= 0 && i + 1 < nr; i++) {
		some = read_function(t, text + (functions[i] - functions[0]),
				     functions[i + 1] - functions[i]);
		*instructions += some > 0 ? some : 0;
	}
	free(text);
	return some < 0 ? some : 0;
}

static int compare_forms(const void *a, const void *b)
{
	const struct form *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static int sort_out(struct forms *forms)
{
	struct rng rng = { 1 };

	qsort(forms->v, forms->nr, sizeof(*forms->v), compare_forms);
	forms->run = calloc(forms->nr, sizeof(*forms->run));
	forms->weight = calloc(forms->nr, sizeof(*forms->weight));
	forms->simple = calloc(forms->nr, sizeof(*forms->simple));
	if (!forms->run || !forms->weight || !forms->simple)
		return -ENOMEM;
	for (unsigned int i = 0; i < forms->nr; i++) {
		if (forms->v[i].exclusion == RUN) {
			unsigned int at = rng_below(&rng, forms->nr_run + 1);

			forms->run[forms->nr_run++] = forms->run[at];
			forms->run[at] = i;
		}
		if (forms->v[i].simple)
			forms->simple[forms->nr_simple++] = i;
	}
	for (unsigned int i = 0; i < forms->nr_run; i++)
		forms->weight[i] = (i ? forms->weight[i - 1] : 0) + forms->v[forms->run[i]].seen;
	return forms->nr_run && forms->nr_simple ? 0 : -ENOENT;
}

/* Index of a form; as many numbers as there are forms lead to each once. */
unsigned int form_in_turn(const struct forms *forms, uint64_t number)
{
	return forms->run[number % forms->nr_run];
}

/* Index of a form, the more often it occurs the more likely. */
unsigned int form_by_weight(struct rng *rng, const struct forms *forms)
{
	uint64_t at = rng_below(rng, forms->weight[forms->nr_run - 1]);
	unsigned int low = 0, high = forms->nr_run - 1;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (forms->weight[mid] <= at)
			low = mid + 1;
		else
			high = mid;
	}
	return forms->run[low];
}

/**
 * forms_collect() - read all forms from the running kernel's text
 * @state: the open test device
 * @forms: (out) give it to forms_free()
 *
 * Return: 0 or a negative errno.
 */
int forms_collect(int state, struct forms *forms)
{
	struct table t = { .max = 1U << (HASH_BITS - 1) };
	uint64_t *functions = NULL;
	long nr = find_functions(&functions);
	int err = nr < 0 ? nr : 0;

	*forms = (struct forms){ 0 };
	t.v = calloc(t.max, sizeof(*t.v));
	t.slot = calloc(1U << HASH_BITS, sizeof(*t.slot));
	if (!t.v || !t.slot)
		err = -ENOMEM;
	if (!err)
		err = read_text(state, &t, functions, nr, &forms->instructions);
	forms->v = t.v;
	forms->nr = t.nr;
	if (!err)
		err = sort_out(forms);
	free(t.slot);
	free(functions);
	if (err)
		forms_free(forms);
	return err;
}

void forms_free(struct forms *forms)
{
	free(forms->v);
	free(forms->run);
	free(forms->weight);
	free(forms->simple);
	*forms = (struct forms){ 0 };
}
