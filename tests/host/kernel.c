// SPDX-License-Identifier: GPL-2.0-only
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel.h"

/*
 * struct jump_entry, static_call_site, exception_table_entry and bug_entry, as the kernel lays
 * them out.
 */
struct label {
	s32 code, target;
	s64 key;
};

struct call_site {
	s32 addr, key;
};

struct fault {
	s32 insn, fixup, data;
};

struct bug {
	s32 addr, file;
	u16 line, flags;
};

#define BUGFLAG_WARNING	(1U << 0)

struct image {
	const u8 *bytes;
	size_t size;
};

ZydisDecoder kernel_decoder;

static void die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static struct image map_file(const char *path)
{
	struct image image = { 0 };
	int fd = open(path, O_RDONLY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !st.st_size)
		die(path, "cannot be read");
	image.size = (size_t)st.st_size;
	image.bytes = mmap(NULL, image.size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (image.bytes == MAP_FAILED)
		die(path, "cannot be mapped");
	close(fd);
	return image;
}

static u8 *new_map(const struct kernel *k)
{
	u8 *map = calloc(k->size / 8 + 1, 1);

	if (!map)
		die("kernel", "no memory");
	return map;
}

static void set(const struct kernel *k, u8 *map, u64 addr)
{
	u64 n = addr - k->start;

	if (n < k->size)
		map[n / 8] |= (u8)(1U << n % 8);
}

/* ---- symbols: "ADDRESS TYPE NAME", sorted ---- */

struct symbols {
	u64 text, etext, bugs, bugs_end, labels, labels_end, calls, calls_end, thunks, last_thunk;
	u64 rodata, rodata_end, data, data_end;
};

static void note_symbol(struct symbols *s, const char *name, u64 addr)
{
	const struct {
		const char *name;
		u64 *addr;
	} wanted[] = {
		{ "_stext", &s->text }, { "_etext", &s->etext },
		{ "__start___jump_table", &s->labels }, { "__stop___jump_table", &s->labels_end },
		{ "__start___bug_table", &s->bugs }, { "__stop___bug_table", &s->bugs_end },
		{ "__start_static_call_sites", &s->calls },
		{ "__stop_static_call_sites", &s->calls_end },
		{ "__start_rodata", &s->rodata }, { "__end_rodata", &s->rodata_end },
		{ "_sdata", &s->data }, { "_edata", &s->data_end },
		{ "__x86_indirect_thunk_rax", &s->thunks },
		{ "__x86_indirect_thunk_r15", &s->last_thunk },
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		if (!strcmp(name, wanted[i].name))
			*wanted[i].addr = addr;
}

static void add_func(struct kernel *k, u64 addr, const char *name)
{
	struct kernel_func *last = k->nr_funcs ? &k->func[k->nr_funcs - 1] : NULL;

	if (last && last->addr == addr)
		return;
	/* Powers of two: grown when one is reached. */
	if (!(k->nr_funcs & (k->nr_funcs - 1))) {
		k->func = reallocarray(k->func, k->nr_funcs ? 2 * k->nr_funcs : 1, sizeof(*last));
		if (!k->func)
			die("kernel", "no memory");
		last = k->nr_funcs ? &k->func[k->nr_funcs - 1] : NULL;
	}
	if (last)
		last->size = (u32)(addr - last->addr);
	k->func[k->nr_funcs] = (struct kernel_func){
		.addr = addr,
		.prefix = !strncmp(name, "__pfx_", 6) || !strncmp(name, "__cfi_", 6),
	};
	k->prefixed |= k->func[k->nr_funcs++].prefix;
}

static struct symbols read_symbols(struct kernel *k, const char *path)
{
	FILE *file = fopen(path, "r");
	struct symbols s = { 0 };
	char line[1024], type, name[512];
	unsigned long long addr;

	if (!file)
		die(path, "cannot be read");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%llx %c %511s", &addr, &type, name) == 3)
			note_symbol(&s, name, addr);
	rewind(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%llx %c %511s", &addr, &type, name) == 3 && addr >= s.text &&
		    addr <= s.etext)
			add_func(k, addr, name);
	fclose(file);
	if (!s.text || !s.bugs || !s.labels || !s.calls || k->nr_funcs < 1000)
		die(path, "no symbols of a kernel");
	k->nr_funcs--;		/* _etext itself */
	return s;
}

/* ---- tables of vmlinux ---- */

/* Bytes of @image that are loaded at @addr. */
static const u8 *at_address(const struct image *image, u64 addr, size_t size)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)image->bytes;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(image->bytes + eh->e_phoff);

	for (unsigned int i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_LOAD && addr - ph[i].p_vaddr + size <= ph[i].p_filesz)
			return image->bytes + ph[i].p_offset + (addr - ph[i].p_vaddr);
	die("vmlinux", "a table is in no segment");
	return NULL;
}

static const Elf64_Shdr *find_section(const struct image *image, const char *name)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)image->bytes;
	const Elf64_Shdr *sh = (const Elf64_Shdr *)(image->bytes + eh->e_shoff);
	const char *names = (const char *)image->bytes + sh[eh->e_shstrndx].sh_offset;

	for (unsigned int i = 0; i < eh->e_shnum; i++)
		if (!strcmp(names + sh[i].sh_name, name))
			return &sh[i];
	die("vmlinux", "it has no exception table");
	return NULL;
}

/*
 * An instruction that the kernel rewrites as a whole. Of a static call that is a ret, and int3
 * up to the length of a call, the text shows less.
 */
static void set_owned(struct kernel *k, u64 addr, u32 len_min)
{
	ZydisDecodedInstruction insn;
	u64 at = addr - k->start;

	set(k, k->owned, addr);
	if (at >= k->size || ZYAN_FAILED(ZydisDecoderDecodeInstruction(&kernel_decoder, NULL,
								       k->text + at, k->size - at,
								       &insn)))
		return;
	for (u32 n = 0; n < insn.length || n < len_min; n++)
		set(k, k->rewritten, addr + n);
}

static void read_tables(struct kernel *k, const struct image *image, const struct symbols *s)
{
	const u8 *labels = at_address(image, s->labels, s->labels_end - s->labels);
	const u8 *calls = at_address(image, s->calls, s->calls_end - s->calls);
	const Elf64_Shdr *section = find_section(image, "__ex_table");
	const u8 *faults = image->bytes + section->sh_offset;

	for (u64 at = s->labels; at < s->labels_end; at += sizeof(struct label)) {
		const struct label *label = (const struct label *)(labels + (at - s->labels));

		set_owned(k, at + (u64)(s64)label->code, 2);
		set(k, k->truth, at + 4 + (u64)(s64)label->target);
	}
	for (u64 at = s->calls; at < s->calls_end; at += sizeof(struct call_site)) {
		const struct call_site *call = (const struct call_site *)(calls + (at - s->calls));

		set_owned(k, at + (u64)(s64)call->addr, 5);
	}
	for (u64 n = 0; n < section->sh_size; n += sizeof(struct fault)) {
		const struct fault *fault = (const struct fault *)(faults + n);

		set(k, k->fixup, section->sh_addr + n + (u64)(s64)fault->insn);
		set(k, k->truth, section->sh_addr + n + 4 + (u64)(s64)fault->fixup);
	}
}

static void read_bugs(struct kernel *k, const struct image *image, const struct symbols *s)
{
	const u8 *bugs = at_address(image, s->bugs, s->bugs_end - s->bugs);

	for (u64 at = s->bugs; at < s->bugs_end; at += sizeof(struct bug)) {
		const struct bug *bug = (const struct bug *)(bugs + (at - s->bugs));

		if (bug->flags & BUGFLAG_WARNING)
			set(k, k->warning, at + (u64)(s64)bug->addr);
	}
}

/* Jump tables, and the addresses of labels. */
static void read_pointers(struct kernel *k, const struct image *image, u64 from, u64 to)
{
	from &= ~0xfffULL;
	for (u64 at = from; at < to; at += 0x1000) {
		const u8 *page = at_address(image, at, 1);

		for (unsigned int i = 0; i < 0x1000 && at + i + 8 <= to; i += 8) {
			u64 word;

			memcpy(&word, page + i, sizeof(word));
			set(k, k->truth, word);
		}
	}
}

/* ---- branches, twice ---- */

/* What module/admit/image.c takes for a branch, wherever it stands. */
static void read_told(struct kernel *k)
{
	for (size_t at = 0; at + 5 <= k->size; at++) {
		u8 byte = k->text[at];
		s32 rel;

		if ((byte & 0xfe) != 0xe8 &&
		    ((byte & 0xf0) != 0x80 || !at || k->text[at - 1] != 0x0f))
			continue;
		memcpy(&rel, k->text + at + 1, sizeof(rel));
		set(k, k->told, k->start + at + 5 + (u64)(s64)rel);
	}
}

u32 kernel_unknown(const u8 *code, u32 left)
{
	static const u8 lkgs[] = { 0xf2, 0x0f, 0x00 };

	/* /6, of a register without REX */
	return left > sizeof(lkgs) && !memcmp(code, lkgs, sizeof(lkgs)) &&
	       (code[sizeof(lkgs)] & 0xf8) == 0xf0 ? sizeof(lkgs) + 1 : 0;
}

static void read_truth(struct kernel *k, const struct kernel_func *func)
{
	static const char xen[] = { 'x', 'e', 'n' };
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	const u8 *code = k->text + (func->addr - k->start);
	ZydisDecodedInstruction insn;
	ZyanU64 to;

	for (u32 at = 0; at < func->size; at += insn.length) {
		at += kernel_unknown(code + at, func->size - at);
		if (ZYAN_FAILED(ZydisDecoderDecodeFull(&kernel_decoder, code + at, func->size - at,
						       &insn, op)))
			break;
		if (op[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && op[0].imm.is_relative &&
		    ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&insn, &op[0], func->addr + at, &to)))
			set(k, k->truth, to);
		if (insn.mnemonic == ZYDIS_MNEMONIC_ENDBR64)
			set(k, k->truth, func->addr + at);
		/* What Xen emulates is marked by ud2 and its name, which is no instruction. */
		if (insn.mnemonic == ZYDIS_MNEMONIC_UD2 && func->size - at > sizeof(xen) &&
		    !memcmp(code + at + insn.length, xen, sizeof(xen)))
			at += sizeof(xen);
	}
}

/* Then most functions begin with the mark of an indirect jump's target. */
static bool is_built_for_ibt(const struct kernel *k)
{
	static const u8 endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	size_t marked = 0;

	for (size_t i = 0; i < k->nr_funcs; i++)
		marked += k->func[i].size >= sizeof(endbr64) &&
			  !memcmp(k->text + (k->func[i].addr - k->start), endbr64, sizeof(endbr64));
	return marked > k->nr_funcs / 4;
}

void kernel_load(struct kernel *k, const char *vmlinux, const char *dir)
{
	struct image image = map_file(vmlinux), text;
	struct symbols s;
	char path[4096];

	memset(k, 0, sizeof(*k));
	ZydisDecoderInit(&kernel_decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	snprintf(path, sizeof(path), "%s/symbols", dir);
	s = read_symbols(k, path);
	snprintf(path, sizeof(path), "%s/text", dir);
	text = map_file(path);
	k->start = s.text;
	k->size = text.size;
	if (text.size != s.etext - s.text)
		die(path, "not the text that its symbols tell of");
	k->text = malloc(k->size);
	if (!k->text)
		die("kernel", "no memory");
	memcpy(k->text, text.bytes, k->size);
	munmap((void *)text.bytes, text.size);
	k->truth = new_map(k);
	k->owned = new_map(k);
	k->rewritten = new_map(k);
	k->fixup = new_map(k);
	k->warning = new_map(k);
	read_tables(k, &image, &s);
	read_bugs(k, &image, &s);
	read_pointers(k, &image, s.rodata, s.rodata_end);
	read_pointers(k, &image, s.data, s.data_end);
	/* Of the tables' targets the planner is told as well. */
	k->told = new_map(k);
	memcpy(k->told, k->truth, k->size / 8 + 1);
	read_told(k);
	for (size_t i = 0; i < k->nr_funcs; i++)
		read_truth(k, &k->func[i]);
	k->thunks = (struct ktramp_thunks){
		.start = s.thunks, .end = s.last_thunk ? s.last_thunk + 32 : 0,
		.tables = true,
		.land = is_built_for_ibt(k),
	};
	munmap((void *)image.bytes, image.size);
}

void kernel_drop(struct kernel *k)
{
	free(k->text);
	free(k->truth);
	free(k->told);
	free(k->owned);
	free(k->rewritten);
	free(k->fixup);
	free(k->warning);
	free(k->func);
}
