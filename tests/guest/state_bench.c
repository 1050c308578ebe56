// SPDX-License-Identifier: GPL-2.0-only
/*
 * One batch: as many instructions as there are cells. Each is executed bare, then with a
 * probe of each kind on it; a kind's probes are armed together, because what arming waits
 * for is waited for once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "kt.h"
#include "progs.h"
#include "state_bench.h"

#define MODULE		"/lib/modules/ktramp_state.ko"

#define KERNEL_CS	0x10
#define KERNEL_DS	0x18

#define TRIES		4	/* for a state that can be executed */

const struct way ways[ALL_WAYS] = {
	{ KTRAMP_INT3_EMULATE, 0, "int3-emulate" },
	{ KTRAMP_INT3_STEP_TF, 0, "int3-step-tf" },
	{ KTRAMP_INT3_STEP_INT3, 0, "int3-step-int3" },
	{ KTRAMP_INT3_BOOST, 0, "int3-boost" },
	{ KTRAMP_JUMP, KTRAMP_COUNT, "jump, count" },
	{ KTRAMP_JUMP, KTRAMP_COUNT_INLINE, "jump, count-inline" },
	{ KTRAMP_JUMP, KTRAMP_REGS, "jump, regs" },
	{ KTRAMP_BPF_JUMP, KTRAMP_BPF, "bpf-jump" },
	{ KTRAMP_BPF_JUMP, KTRAMP_BPF, "bpf-jump, drawn" },
};

const unsigned int drawn_handlers[NR_DRAWN] = { KTRAMP_COUNT, KTRAMP_REGS, KTRAMP_BPF };

/*
 * A test that was killed may still be on its way out, its probes armed on the cells. While
 * they are, the text must stay.
 */
static int wait_for_probes(int fd)
{
	struct ktramp_info info;
	int err, tries = 0;

	do {
		if (tries)
			usleep(100000);
		err = kt_info(fd, &info);
	} while (!err && info.nr_probes && ++tries < 100);
	return err ?: info.nr_probes ? -EBUSY : 0;
}

static int load_program(struct bench *b)
{
	b->progs = progs_load_for_ring("see_state", &b->prog);
	if (!b->progs)
		return -ENOEXEC;
	b->progs->bss->hole = b->where.hole;
	b->progs->bss->owner = getpid();
	return 0;
}

/* A word that is there for any program to add to, and words of their own. */
static int make_maps(struct bench *b)
{
	LIBBPF_OPTS(bpf_map_create_opts, mapped, .map_flags = BPF_F_MMAPABLE);
	const uint32_t size = sizeof(b->words[0]) * STATE_CELLS;
	uint64_t key = 7, value = 0;

	b->maps.words = bpf_map_create(BPF_MAP_TYPE_ARRAY, "words", sizeof(uint32_t), size, 1,
				       &mapped);
	b->maps.hash = bpf_map_create(BPF_MAP_TYPE_HASH, "hash", sizeof(key), sizeof(value), 4,
				      NULL);
	if (b->maps.words < 0 || b->maps.hash < 0 ||
	    bpf_map_update_elem(b->maps.hash, &key, &value, BPF_ANY))
		return -errno;
	b->words = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, b->maps.words, 0);
	return b->words == MAP_FAILED ? -errno : 0;
}

/* Return: 0 or a negative errno; bench_close() is needed in any case. */
int bench_open(struct bench *b, uint64_t seed)
{
	int err = kt_pin(0);

	*b = (struct bench){ .fd = -1, .state = -1, .maps = { -1, -1 }, .seed = seed };
	b->items = calloc(STATE_CELLS, sizeof(*b->items));
	if (!b->items)
		return -ENOMEM;
	if (!err)
		err = kt_insmod(MODULE);
	if (err && err != -EEXIST)
		return err;
	b->fd = kt_open();
	if (b->fd < 0)
		return b->fd;
	b->state = open(KTRAMP_STATE_DEVICE, O_RDWR | O_CLOEXEC);
	if (b->state < 0 || ioctl(b->state, STATE_IOC_INFO, &b->where))
		return -errno;
	return wait_for_probes(b->fd) ?: load_program(b) ?: make_maps(b) ?: bench_introduce(b);
}

void bench_close(struct bench *b)
{
	close(b->fd);
	close(b->state);
	close(b->maps.words);
	close(b->maps.hash);
	progs_bpf__destroy(b->progs);
	forms_free(&b->forms);
	free(b->form_done);
	free(b->items);
}

int copy_text(int fd, unsigned long request, uint64_t address, void *buffer, size_t size)
{
	struct state_copy copy = {
		.address = address, .buffer = (uintptr_t)buffer, .size = size,
	};

	return ioctl(fd, request, &copy) ? -errno : 0;
}

int execute(int fd, const struct state_case *cases, struct state_result *results, unsigned int nr)
{
	struct state_run run = {
		.cases = (uintptr_t)cases, .results = (uintptr_t)results, .nr = nr,
	};

	return ioctl(fd, STATE_IOC_RUN, &run) ? -errno : 0;
}

uint64_t cell_address(const struct bench *b, unsigned int cell)
{
	return b->where.cells + cell / STATE_FUNC_CELLS * STATE_STRIDE + STATE_PADDING_SIZE +
	       cell % STATE_FUNC_CELLS * STATE_CELL_SIZE;
}

/*
 * Three of four: each form as often as the others. The fourth: as often as kernels have it.
 * An instruction has the same cell each time, because its bytes depend on that.
 */
void bench_draw(struct bench *b, uint64_t number)
{
	struct item *item = &b->items[b->nr++];
	struct rng rng = rng_of(b->seed, number);
	unsigned int form = number % 4 ? form_in_turn(&b->forms, number - number / 4 - 1) :
					 form_by_weight(&rng, &b->forms);

	memset(item, 0, sizeof(*item));
	item->number = number;
	item->form = form;
	item->place = item - b->items;
	while (!code_make(&rng, &b->forms, shape_draw(&rng), &b->forms.v[form], &b->where,
			  cell_address(b, number % STATE_CELLS), &item->code))
		;
	for (unsigned int i = 0; i < ALL_WAYS; i++) {
		item->handler[i] = i == DRAWN && rng_below(&rng, 2) ? KTRAMP_BPF_INLINE :
				   ways[i].handler ?: drawn_handlers[rng_below(&rng, NR_DRAWN)];
		/* Asking for the process takes other code; the inline counter cannot. */
		if (item->handler[i] != KTRAMP_COUNT_INLINE && !rng_below(&rng, 4))
			item->pid[i] = getpid();
	}
}

/* The items, and the padding between. */
static const uint8_t *all_text(const struct bench *b)
{
	static uint8_t text[STATE_TEXT_SIZE];

	code_fill_text(text);
	for (unsigned int i = 0; i < b->nr; i++)
		memcpy(text + b->items[i].code.address - b->where.cells, b->items[i].code.bytes,
		       STATE_CELL_SIZE);
	return text;
}

int write_cells(struct bench *b)
{
	return copy_text(b->state, STATE_IOC_WRITE, b->where.cells, (void *)all_text(b),
			 STATE_TEXT_SIZE);
}

/* ktramp asks the kernel once for each function: while its cells are nothing but nops. */
int bench_introduce(struct bench *b)
{
	char site[32];
	int id, err;

	b->nr = 0;
	err = write_cells(b);
	for (unsigned int i = 0; !err && i < STATE_FUNCS; i++) {
		snprintf(site, sizeof(site), "0x%llx",
			 (unsigned long long)cell_address(b, i * STATE_FUNC_CELLS) + 8);
		id = kt_create(b->fd, site, KTRAMP_INT3_BOOST);
		if (id < 0)
			return id;
		err = kt_destroy(b->fd, id);
	}
	return err;
}

static bool cells_are_written(struct bench *b)
{
	static uint8_t text[STATE_TEXT_SIZE];

	return !copy_text(b->state, STATE_IOC_READ, b->where.cells, text, sizeof(text)) &&
	       !memcmp(text, all_text(b), sizeof(text));
}

/* The oracle: what the bare instruction does. */
int execute_bare(struct bench *b, unsigned int from, unsigned int to)
{
	for (unsigned int i = from; i < to; i++) {
		struct item *item = &b->items[i];
		struct rng rng = rng_of(~b->seed, item->number);

		for (unsigned int tries = 0; tries < STATES * TRIES && item->states < STATES;
		     tries++) {
			struct state_case *state = &item->state[item->states];
			struct state_result *bare = &item->bare[item->states];
			int err;

			state_make(&rng, &b->where, &item->code, state);
			err = execute(b->state, state, bare, 1);
			if (err)
				return err;
			if (!state_is_safe(&b->where, bare)) {
				b->unsafe++;
				continue;
			}
			item->states++;
			b->cases_done++;
			b->traps += bare->traps;
			if (bare->traps)
				b->by_trap[bare->trapnr % NR_TRAPS]++;
			b->taken += bare->exit == STATE_TOOK;
			b->form_done[item->form] = 1;
		}
	}
	return 0;
}

static bool wants(const struct item *item, unsigned int way)
{
	/* An int3 replaces the instruction it stands on; the first one is tested elsewhere. */
	return item->states &&
	       (way_is_jump(way) || item->code.at == item->code.site);
}

static int give_drawn(struct bench *b, struct item *item)
{
	struct rng rng = rng_of(b->seed ^ DRAWN, item->number);
	struct ktramp_bpf bpf = {
		.size = sizeof(bpf), .id = item->probe[DRAWN], .cookie = item->place,
	};
	static char log[4096];
	int err;

	program_draw(&rng, item->place, &b->maps, &item->program);
	bpf.prog_fd = program_load(&item->program, NULL, 0);
	if (bpf.prog_fd < 0) {
		program_load(&item->program, log, sizeof(log));
		printf("# a program does not load: %s\n", log);
		program_explain(&item->program);
		return bpf.prog_fd;
	}
	bpf.flags = item->program.reentrant ? KTRAMP_BPF_REENTRANT : 0;
	memset(item->words, 0, sizeof(item->words));
	memset(b->words[item->place], 0, sizeof(b->words[item->place]));
	err = kt_ioctl(b->fd, KTRAMP_IOC_BPF, &bpf);
	close(bpf.prog_fd);
	return err;
}

/* Half of those without calls are to stand in the detour; what cannot is called after all. */
static int give_or_call(struct bench *b, struct item *item)
{
	int err = give_drawn(b, item);

	if (err != -EOPNOTSUPP || item->handler[DRAWN] != KTRAMP_BPF_INLINE)
		return err;
	err = kt_destroy(b->fd, item->probe[DRAWN]);
	item->probe[DRAWN] = 0;
	item->handler[DRAWN] = KTRAMP_BPF;
	return err ?: item_create(b, item, DRAWN);
}

int item_create(struct bench *b, struct item *item, unsigned int way)
{
	struct ktramp_bpf bpf;
	struct ktramp_create create = {
		.size = sizeof(create), .mechanism = ways[way].mechanism,
		.handler = item->handler[way], .pid = item->pid[way],
	};
	int err;

	snprintf(create.site, sizeof(create.site), "0x%llx",
		 (unsigned long long)(item->code.address + item->code.site));
	err = kt_ioctl(b->fd, KTRAMP_IOC_CREATE, &create);
	if (!err) {
		item->probe[way] = create.id;
		if (way == DRAWN)
			return give_or_call(b, item);
		return item->handler[way] != KTRAMP_BPF ? 0 :
		       progs_give(b->fd, create.id, b->prog, item->place, &bpf);
	}
	if (err != -EOPNOTSUPP && err != -ENOSPC)
		return err;
	b->refused[way][create.reason % NR_REASONS] += item->states;
	snprintf(b->why[create.reason % NR_REASONS], KTRAMP_WHY_MAX, "%s", create.why);
	return 0;
}

static int create_all(struct bench *b, unsigned int first, unsigned int last)
{
	for (unsigned int i = 0; i < b->nr; i++)
		for (unsigned int way = first; way < last; way++) {
			int err = wants(&b->items[i], way) ? item_create(b, &b->items[i], way) : 0;

			if (err) {
				printf("# %s refused with %d\n", ways[way].name, err);
				code_explain(&b->items[i].code);
				return err;
			}
		}
	return 0;
}

static int for_all(struct bench *b, unsigned long request, unsigned int first, unsigned int last)
{
	static __u32 ids[STATE_CELLS * ALL_WAYS];
	struct ktramp_batch batch;
	unsigned int nr = 0;
	int err;

	for (unsigned int i = 0; i < b->nr; i++)
		for (unsigned int way = first; way < last; way++)
			if (b->items[i].probe[way])
				ids[nr++] = b->items[i].probe[way];
	if (!nr)
		return 0;
	err = kt_batch(b->fd, request, ids, nr, &batch);
	if (err)
		printf("# probe %u of %u: %s\n", batch.failed, nr, batch.why);
	return err;
}

void explain_probe(struct bench *b, const struct item *item, unsigned int way)
{
	struct ktramp_code code = { .size = sizeof(code), .id = item->probe[way] };
	struct utsname name;

	uname(&name);
	printf("# %s, handler %u; this one again:\n", ways[way].name, item->handler[way]);
	printf("#   make check-guest TEST=state KERNEL=%s STATE_SEED=0x%llx STATE_ONLY=%llu\n",
	       name.release, (unsigned long long)b->seed, (unsigned long long)item->number);
	code_explain(&item->code);
	if (way == DRAWN)
		program_explain(&item->program);
	code.part = way_is_jump(way) ? KTRAMP_CODE_DETOUR : KTRAMP_CODE_SLOT;
	if (!kt_ioctl(b->fd, KTRAMP_IOC_CODE, &code))
		bytes_explain("out of line", code.code, code.length, code.address);
	code.part = KTRAMP_CODE_SPRINGBOARD;
	if (!kt_ioctl(b->fd, KTRAMP_IOC_CODE, &code))
		bytes_explain("springboard", code.code, code.length, code.address);
}

/* What the program was given. */
static bool sight_of_program(struct bench *b, const struct item *item, struct state_result *seen)
{
	const struct pt_regs *regs = &b->progs->bss->seen_at[item->place];
	const __u64 r[16] = {
		regs->rax, regs->rcx, regs->rdx, regs->rbx,
		regs->rsp, regs->rbp, regs->rsi, regs->rdi,
		regs->r8, regs->r9, regs->r10, regs->r11,
		regs->r12, regs->r13, regs->r14, regs->r15,
	};

	memcpy(seen->r, r, sizeof(seen->r));
	seen->rflags = regs->eflags;
	/* As kprobes have it: behind the first byte. */
	return regs->rip == item->code.address + item->code.site + 1 &&
	       regs->cs == KERNEL_CS && regs->ss == KERNEL_DS;
}

/* What the handler saw, in the words of a result. Return: was it at the site? */
bool sight(struct bench *b, const struct item *item, unsigned int way, struct state_result *seen)
{
	struct ktramp_regs regs;

	*seen = (struct state_result){ 0 };
	if (item->handler[way] == KTRAMP_BPF)
		return sight_of_program(b, item, seen);
	if (kt_regs(b->fd, item->probe[way], &regs))
		return false;
	memcpy(seen->r, regs.r, sizeof(seen->r));
	seen->rflags = regs.eflags;
	return regs.ip == item->code.address + item->code.site;
}

bool is_truth(const struct state_result *seen, const struct state_case *state)
{
	return !memcmp(seen->r, state->r, sizeof(seen->r)) && seen->rflags == state->rflags;
}

static void difference(struct bench *b, struct item *item, unsigned int way,
		       const struct state_case *state, const struct state_result *bare,
		       const struct state_result *probed)
{
	b->differences++;
	/* One of an instruction tells enough. */
	if (item->explained || b->explained++ >= DIFFERENCES)
		return;
	item->explained = true;
	explain_probe(b, item, way);
	result_explain(state, bare, probed);
}

/* A drawn program left what it must have, of what it was given. */
static void compare_words(struct bench *b, struct item *item, const struct state_case *state)
{
	const uint64_t owner = (uint64_t)getpid() << 32 | (uint32_t)getpid();
	const uint64_t *words = b->words[item->place];

	if (program_interpret(&item->program, state, item->code.address + item->code.site + 1,
			      owner, item->place, item->words))
		printf("# a program that cannot be interpreted\n");
	else if (!memcmp(words, item->words, sizeof(item->words)))
		return;
	if (b->differences++ >= DIFFERENCES)
		return;
	explain_probe(b, item, DRAWN);
	for (unsigned int i = 0; i < PROGRAM_WORDS; i++)
		if (words[i] != item->words[i])
			printf("#   word %u is %llx and not %llx\n", i,
			       (unsigned long long)words[i], (unsigned long long)item->words[i]);
}

static void compare(struct bench *b, struct item *item, unsigned int way, unsigned int s,
		    const struct state_result *probed)
{
	const struct state_case *state = &item->state[s];
	struct state_result left = *probed, seen;

	b->by_way[way][item->handler[way]]++;
	b->probed++;
	if (item->code.shape == BEHIND)
		entries_forget(b, item, way, &item->bare[s], &left);
	if (!result_equals(&item->bare[s], &left))
		difference(b, item, way, state, &item->bare[s], &left);
	/* Who comes in by another way is no hit. */
	if (state->entry != item->code.address + item->code.site)
		return;
	item->hits[way]++;
	if (way == DRAWN) {
		compare_words(b, item, state);
		return;
	}
	if (item->handler[way] != KTRAMP_REGS && item->handler[way] != KTRAMP_BPF)
		return;
	if (!sight(b, item, way, &seen) || !is_truth(&seen, state)) {
		printf("# the handler of the next did not see what the instruction found\n");
		difference(b, item, way, state, &item->bare[s], &seen);
	}
}

/* Each state of each instruction, with all probes of one kind armed. */
int execute_probed(struct bench *b, unsigned int way, unsigned int from, unsigned int to)
{
	unsigned int who[STATE_CELLS], nr;
	int err;

	for (unsigned int s = 0; s < STATES; s++) {
		nr = 0;
		for (unsigned int i = from; i < to; i++)
			if (b->items[i].probe[way] && s < b->items[i].states) {
				who[nr] = i;
				b->cases[nr++] = b->items[i].state[s];
			}
		err = execute(b->state, b->cases, b->results, nr);
		if (err)
			return err;
		for (unsigned int i = 0; i < nr; i++)
			compare(b, &b->items[who[i]], way, s, &b->results[i]);
	}
	return 0;
}

int check_program(const struct bench *b)
{
	if (!b->progs->bss->went_wrong)
		return 0;
	printf("# a helper did not do what it is for, %llu times\n", b->progs->bss->went_wrong);
	return -EIO;
}

/*
 * Its detour is the one that its code asks for; or the one that fits all, where the kernel, or
 * what instrumentation it was built with, leaves that to C.
 */
static void check_class(struct bench *b, const struct item *item,
			const struct ktramp_probe_info *info)
{
	b->by_class[info->bpf_class % NR_CLASSES] += item->states;
	if (info->bpf_class == item->program.class || info->bpf_class == KTRAMP_BPF_FULL)
		return;
	/* Whoever wants it there says that it may be entered again. */
	if (info->handler == KTRAMP_BPF_INLINE && info->bpf_class == KTRAMP_BPF_BARE)
		return;
	if (item->program.deep && item->program.class == KTRAMP_BPF_BARE &&
	    info->bpf_class == KTRAMP_BPF_LIGHT)
		return;
	if (b->differences++ >= DIFFERENCES)
		return;
	explain_probe(b, item, DRAWN);
	printf("#   class %u, because it %s\n", info->bpf_class, info->bpf_why);
}

/* Every hit was handled, and nothing else was taken for one. */
static int check_hits(struct bench *b, unsigned int way)
{
	const struct progs_bpf__bss *bss = b->progs->bss;
	struct ktramp_probe_info info;

	for (unsigned int i = 0; i < b->nr; i++) {
		struct item *item = &b->items[i];
		unsigned long long run = bss->hits_at[item->place];

		if (!item->probe[way])
			continue;
		if (kt_probe(b->fd, item->probe[way], &info))
			return -EIO;
		b->by_tactic[info.tactic % NR_TACTICS] += item->states;
		b->entered[info.tactic % NR_TACTICS] += item->states - item->hits[way];
		if (way == DRAWN || item->handler[way] != KTRAMP_BPF)
			run = info.hits;
		if (way == DRAWN)
			check_class(b, item, &info);
		if (info.hits == item->hits[way] && run == item->hits[way] && !info.missed)
			continue;
		if (b->differences++ < DIFFERENCES) {
			explain_probe(b, item, way);
			printf("#   hits %llu, run %llu, missed %llu, instead of %u and 0\n",
			       (unsigned long long)info.hits, run, (unsigned long long)info.missed,
			       item->hits[way]);
		}
	}
	return check_program(b);
}

static int one_way(struct bench *b, unsigned int way)
{
	int err = for_all(b, KTRAMP_IOC_ARM, way, way + 1);

	memset(b->progs->bss->hits_at, 0, sizeof(b->progs->bss->hits_at));
	if (!err)
		err = execute_probed(b, way, 0, b->nr);
	if (!err)
		err = check_hits(b, way);
	return for_all(b, KTRAMP_IOC_DISARM, way, way + 1) ?: err;
}

int bench_run(struct bench *b)
{
	int err = write_cells(b);

	if (!err)
		err = execute_bare(b, 0, b->nr);
	if (!err)
		err = create_all(b, 0, WAYS);
	for (unsigned int way = 0; !err && way < WAYS; way++)
		err = one_way(b, way);
	if (for_all(b, KTRAMP_IOC_DESTROY, 0, WAYS))
		return -EIO;
	/* The padding between has no room for springboards of all. */
	if (!err)
		err = create_all(b, DRAWN, ALL_WAYS);
	if (!err)
		err = one_way(b, DRAWN);
	if (for_all(b, KTRAMP_IOC_DESTROY, DRAWN, ALL_WAYS))
		return -EIO;
	if (!err && !cells_are_written(b)) {
		printf("# the text is not what it was\n");
		err = -EILSEQ;
	}
	return err;
}
