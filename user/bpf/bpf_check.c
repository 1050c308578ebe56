// SPDX-License-Identifier: GPL-2.0-only
/*
 * Objects that libbpf can be let at. It "is not meant to be used on untrusted objects", and
 * libelf hands over what a header says; an object that was cut off, or that another tool has
 * been at, would end the command instead of being an error of it.
 *
 * What is checked is what libbpf relies on: sections lie in the file, symbols and relocations in
 * sections, names have an end, types and what refers to them are there (bpf_check_btf.c).
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/btf.h>
#include <linux/bpf.h>

#include "bpf/bpf_check.h"
#include "lib/ktramp.h"

#ifndef EM_BPF
#define EM_BPF	247
#endif

/* libbpf maps each; the kernel takes no map that is nearly as large. */
#define DATA_MAX	(1U << 30)

#define INSN_SIZE	8

struct elf {
	struct bpf_check *check;
	const uint8_t *data;
	size_t size;
	const Elf64_Ehdr *header;
	const Elf64_Shdr *sections;
	uint32_t nr;			/* sections */
	uint32_t symtab;		/* its section, or 0 */
	uint32_t nr_types, strings;	/* of .BTF */
};

bool bpf_check_fail(struct bpf_check *check, const char *fmt, ...)
{
	va_list ap;

	if (*check->why)
		return false;
	va_start(ap, fmt);
	vsnprintf(check->why, sizeof(check->why), fmt, ap);
	va_end(ap);
	return false;
}

/* ---- sections ---- */

static const char *section_name(const struct elf *elf, uint32_t index)
{
	const Elf64_Shdr *names = &elf->sections[elf->header->e_shstrndx];

	return (const char *)elf->data + names->sh_offset + elf->sections[index].sh_name;
}

static bool has_bytes(const Elf64_Shdr *section)
{
	return section->sh_type != SHT_NULL && section->sh_type != SHT_NOBITS;
}

static bool check_names(const struct elf *elf, uint32_t index)
{
	const Elf64_Shdr *names = &elf->sections[index];
	const uint8_t *bytes = elf->data + names->sh_offset;

	if (names->sh_type != SHT_STRTAB || !names->sh_size || bytes[0] ||
	    bytes[names->sh_size - 1])
		return bpf_check_fail(elf->check, "section %u is no table of names", index);
	return true;
}

static bool check_section(const struct elf *elf, uint32_t index)
{
	const Elf64_Shdr *section = &elf->sections[index];

	if (has_bytes(section) && (section->sh_offset > elf->size ||
				   section->sh_size > elf->size - section->sh_offset))
		return bpf_check_fail(elf->check, "section %u reaches behind the end of the file",
				      index);
	if (section->sh_size > DATA_MAX)
		return bpf_check_fail(elf->check,
				      "section %u has more than %u bytes", index, DATA_MAX);
	if (section->sh_addralign & (section->sh_addralign - 1))
		return bpf_check_fail(elf->check,
				      "section %u is aligned to no power of two", index);
	if (section->sh_flags & SHF_COMPRESSED)
		return bpf_check_fail(elf->check, "section %u is compressed", index);
	return true;
}

static bool check_sections(struct elf *elf)
{
	const Elf64_Ehdr *header = elf->header;

	if (header->e_shentsize != sizeof(Elf64_Shdr) || header->e_shoff % 8 || !header->e_shnum ||
	    header->e_shoff > elf->size ||
	    header->e_shnum > (elf->size - header->e_shoff) / sizeof(Elf64_Shdr))
		return bpf_check_fail(elf->check, "its table of sections is not in the file");
	elf->sections = (const void *)(elf->data + header->e_shoff);
	elf->nr = header->e_shnum;
	for (uint32_t i = 0; i < elf->nr; i++)
		if (!check_section(elf, i))
			return false;
	if (header->e_shstrndx >= elf->nr)
		return bpf_check_fail(elf->check, "its sections have no names");
	if (!check_names(elf, header->e_shstrndx))
		return false;
	for (uint32_t i = 0; i < elf->nr; i++)
		if (elf->sections[i].sh_name >= elf->sections[header->e_shstrndx].sh_size)
			return bpf_check_fail(elf->check,
					      "section %u has a name that is not there", i);
	return true;
}

static bool check_header(struct elf *elf, bool object)
{
	const Elf64_Ehdr *header = (const void *)elf->data;

	if (elf->size < SELFMAG || memcmp(elf->data, ELFMAG, SELFMAG))
		return bpf_check_fail(elf->check, "it is no ELF file");
	if (elf->size < sizeof(*header))
		return bpf_check_fail(elf->check, "it is cut off");
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB)
		return bpf_check_fail(elf->check, "it is not of a 64-bit little-endian machine");
	if (header->e_ident[EI_VERSION] != EV_CURRENT || header->e_version != EV_CURRENT)
		return bpf_check_fail(elf->check, "it is of no known version of ELF");
	if (object && (header->e_type != ET_REL ||
		       (header->e_machine != EM_BPF && header->e_machine != EM_NONE)))
		return bpf_check_fail(elf->check, "it is an ELF file, but no object for BPF");
	elf->header = header;
	return true;
}

/* ---- symbols and relocations ---- */

/* Of which libbpf makes others, and adds up in an int: no program is nearly as long. */
#define IMM_MAX		(1 << 27)

static bool is_wide(const struct bpf_insn *insn)
{
	return insn->code == (BPF_LD | BPF_IMM | BPF_DW);
}

static bool is_call(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL);
}

/* Whole instructions, also those of two slots: libbpf writes to both. */
static bool check_code(const struct elf *elf, const Elf64_Sym *symbol, uint32_t number)
{
	const Elf64_Shdr *section = &elf->sections[symbol->st_shndx];
	const struct bpf_insn *insn = (const void *)(elf->data + section->sh_offset +
						     symbol->st_value);
	const struct bpf_insn *end = insn + symbol->st_size / INSN_SIZE;

	for (; insn < end; insn++) {
		if (is_call(insn) && insn->src_reg == BPF_PSEUDO_CALL &&
		    (insn->imm > IMM_MAX || insn->imm < -IMM_MAX))
			return bpf_check_fail(elf->check,
					      "the function at symbol %u calls nothing that is near",
					      number);
		if (is_wide(insn) && (++insn == end || insn->code))
			return bpf_check_fail(elf->check,
					      "the function at symbol %u has half an instruction",
					      number);
	}
	return true;
}

static bool check_symbol(const struct elf *elf, const Elf64_Sym *symbol, uint32_t number,
			 size_t names)
{
	const Elf64_Shdr *section;

	if (symbol->st_name >= names)
		return bpf_check_fail(elf->check, "symbol %u has a name that is not there", number);
	if (symbol->st_shndx == SHN_UNDEF || symbol->st_shndx >= SHN_LORESERVE)
		return true;
	if (symbol->st_shndx >= elf->nr)
		return bpf_check_fail(elf->check, "symbol %u is in section %u, and there are %u",
				      number, symbol->st_shndx, elf->nr);
	section = &elf->sections[symbol->st_shndx];
	if (symbol->st_value > section->sh_size ||
	    symbol->st_size > section->sh_size - symbol->st_value)
		return bpf_check_fail(elf->check, "symbol %u reaches behind the end of its section",
				      number);
	if (ELF64_ST_TYPE(symbol->st_info) == STT_FUNC &&
	    (section->sh_offset % INSN_SIZE || symbol->st_value % INSN_SIZE ||
	     symbol->st_size % INSN_SIZE || !symbol->st_size))
		return bpf_check_fail(elf->check,
				      "symbol %u is a function of no whole instructions",
				      number);
	if (ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && has_bytes(section))
		return check_code(elf, symbol, number);
	return true;
}

static bool check_symbols(struct elf *elf, uint32_t index)
{
	const Elf64_Shdr *section = &elf->sections[index];
	const Elf64_Sym *symbols = (const void *)(elf->data + section->sh_offset);

	if (elf->symtab)
		return bpf_check_fail(elf->check, "it has two tables of symbols");
	elf->symtab = index;
	if (section->sh_entsize != sizeof(*symbols) || section->sh_size % sizeof(*symbols) ||
	    section->sh_offset % 8)
		return bpf_check_fail(elf->check, "section %u is no table of symbols", index);
	if (section->sh_link >= elf->nr)
		return bpf_check_fail(elf->check, "its symbols have no names");
	if (!check_names(elf, section->sh_link))
		return false;
	for (uint32_t i = 0; i < section->sh_size / sizeof(*symbols); i++)
		if (!check_symbol(elf, &symbols[i], i, elf->sections[section->sh_link].sh_size))
			return false;
	return true;
}

/* What is added to the symbol's place stands in the instruction. */
static bool check_addend(const struct elf *elf, const Elf64_Shdr *target,
			 const Elf64_Rel *relocation)
{
	const Elf64_Sym *symbols = (const void *)(elf->data +
						  elf->sections[elf->symtab].sh_offset);
	const Elf64_Sym *symbol = &symbols[ELF64_R_SYM(relocation->r_info)];
	const struct bpf_insn *insn = (const void *)(elf->data + target->sh_offset +
						     relocation->r_offset);

	if (!(target->sh_flags & SHF_EXECINSTR) || !has_bytes(target))
		return true;
	if (target->sh_offset % INSN_SIZE || relocation->r_offset % INSN_SIZE)
		return false;
	if (is_call(insn))
		return insn->imm >= -IMM_MAX && insn->imm <= IMM_MAX;
	return !is_wide(insn) || (insn->imm >= 0 && insn->imm <= IMM_MAX &&
				  symbol->st_value <= DATA_MAX);
}

/*
 * libbpf uses those of code, maps and struct_ops. It skips all others: of DWARF, whose places of
 * four bytes may be the last ones of their section, and of BTF.
 */
static bool is_relocated(const struct elf *elf, uint32_t index)
{
	const Elf64_Shdr *target = &elf->sections[elf->sections[index].sh_info];
	const char *name = section_name(elf, index);

	return (target->sh_flags & SHF_EXECINSTR) || !strcmp(name, ".rel.maps") ||
	       !strncmp(name, ".rel.struct_ops", strlen(".rel.struct_ops")) ||
	       !strncmp(name, ".rel?.struct_ops", strlen(".rel?.struct_ops"));
}

static bool check_relocations(struct elf *elf, uint32_t index)
{
	const Elf64_Shdr *section = &elf->sections[index], *target;
	const Elf64_Rel *relocations = (const void *)(elf->data + section->sh_offset);
	uint64_t nr_symbols = elf->sections[elf->symtab].sh_size / sizeof(Elf64_Sym);

	/* libbpf looks at these two before it skips. */
	if (section->sh_entsize != sizeof(*relocations))
		return bpf_check_fail(elf->check, "section %u is no table of relocations", index);
	if (section->sh_info >= elf->nr)
		return bpf_check_fail(elf->check,
				      "the relocations in section %u are of nothing", index);
	if (!is_relocated(elf, index))
		return true;
	if (section->sh_size % sizeof(*relocations) || section->sh_offset % 8)
		return bpf_check_fail(elf->check, "section %u is no table of relocations", index);
	if (section->sh_link != elf->symtab || !section->sh_info)
		return bpf_check_fail(elf->check,
				      "the relocations in section %u are of nothing", index);
	target = &elf->sections[section->sh_info];
	for (uint32_t i = 0; i < section->sh_size / sizeof(*relocations); i++) {
		if (relocations[i].r_offset > target->sh_size ||
		    target->sh_size - relocations[i].r_offset < INSN_SIZE)
			return bpf_check_fail(elf->check,
					      "relocation %u in section %u is behind the end of section %u",
					      i, index, section->sh_info);
		if (ELF64_R_SYM(relocations[i].r_info) >= nr_symbols)
			return bpf_check_fail(elf->check,
					      "relocation %u in section %u is for a symbol that is not there",
					      i, index);
		if (!check_addend(elf, target, &relocations[i]))
			return bpf_check_fail(elf->check,
					      "relocation %u in section %u is of no instruction that is relocated",
					      i, index);
	}
	return true;
}

/* ---- .BTF and what refers to it ---- */

/* The parts of .BTF.ext that refer to types: of them libbpf uses the relocations. */
struct ext_header {
	uint16_t magic;
	uint8_t version, flags;
	uint32_t hdr_len;
	uint32_t func_info_off, func_info_len, line_info_off, line_info_len;
	uint32_t core_relo_off, core_relo_len;
};

/* Those of one section of code; libbpf keeps it private, too. */
struct ext_section {
	uint32_t sec_name_off;
	uint32_t num_info;
};

static bool check_core(const struct elf *elf, const uint8_t *part, size_t len)
{
	uint32_t record, at = sizeof(record);

	if (len < sizeof(record))
		return true;
	memcpy(&record, part, sizeof(record));
	if (record < sizeof(struct bpf_core_relo) || record % 4)
		return bpf_check_fail(elf->check, ".BTF.ext has relocations of %u bytes", record);
	while (len - at >= sizeof(struct ext_section)) {
		const struct ext_section *sec = (const void *)(part + at);

		at += sizeof(*sec);
		if (sec->num_info > (len - at) / record || sec->sec_name_off >= elf->strings)
			return bpf_check_fail(elf->check, ".BTF.ext is cut off");
		for (uint32_t i = 0; i < sec->num_info; i++, at += record) {
			const struct bpf_core_relo *relo = (const void *)(part + at);

			if (relo->type_id >= elf->nr_types ||
			    relo->access_str_off >= elf->strings || relo->insn_off % INSN_SIZE)
				return bpf_check_fail(elf->check,
						      ".BTF.ext has a relocation of nothing that is there");
		}
	}
	return at == len || bpf_check_fail(elf->check, ".BTF.ext is cut off");
}

static bool check_ext(const struct elf *elf, const uint8_t *data, size_t size)
{
	const struct ext_header *header = (const void *)data;
	const size_t least = offsetof(struct ext_header, core_relo_off);
	size_t left;

	if (size < least || header->magic != BTF_MAGIC || header->hdr_len < least ||
	    header->hdr_len > size || header->hdr_len % 4)
		return bpf_check_fail(elf->check, ".BTF.ext is cut off");
	if (header->hdr_len < sizeof(*header))
		return true;
	left = size - header->hdr_len;
	if (header->core_relo_off > left || header->core_relo_len > left - header->core_relo_off ||
	    header->core_relo_off % 4)
		return bpf_check_fail(elf->check, ".BTF.ext is cut off");
	return check_core(elf, data + header->hdr_len + header->core_relo_off,
			  header->core_relo_len);
}

/* A copy of a section's bytes: what is in it is aligned, whatever the section is. */
static uint8_t *copy_section(const struct elf *elf, uint32_t index)
{
	const Elf64_Shdr *section = &elf->sections[index];
	uint8_t *copy = malloc(section->sh_size + 1);

	if (!copy)
		bpf_check_fail(elf->check, "out of memory");
	else
		memcpy(copy, elf->data + section->sh_offset, section->sh_size);
	return copy;
}

/* The only one of that name, or 0. False: which of them libbpf takes is not said. */
static bool find_section(const struct elf *elf, const char *name, uint32_t *found)
{
	*found = 0;
	for (uint32_t i = 1; i < elf->nr; i++) {
		if (strcmp(section_name(elf, i), name))
			continue;
		if (*found || elf->sections[i].sh_type != SHT_PROGBITS)
			return bpf_check_fail(elf->check,
					      "section %u is no %s, but called so", i, name);
		*found = i;
	}
	return true;
}

static bool check_elf_types(struct elf *elf)
{
	uint32_t btf, ext;
	uint8_t *copy;
	bool ok;

	if (!find_section(elf, ".BTF", &btf) || !find_section(elf, ".BTF.ext", &ext))
		return false;
	if (!btf)
		return true;
	copy = copy_section(elf, btf);
	ok = copy && bpf_check_btf(elf->check, copy, elf->sections[btf].sh_size, &elf->nr_types,
				   &elf->strings);
	free(copy);
	if (!ok || !ext)
		return ok;
	copy = copy_section(elf, ext);
	ok = copy && check_ext(elf, copy, elf->sections[ext].sh_size);
	free(copy);
	return ok;
}

/* ---- files ---- */

static bool check_elf(struct elf *elf, bool object)
{
	if (!check_header(elf, object) || !check_sections(elf))
		return false;
	for (uint32_t i = 1; i < elf->nr && object; i++) {
		const Elf64_Shdr *section = &elf->sections[i];

		if (section->sh_type == SHT_SYMTAB && !check_symbols(elf, i))
			return false;
		if (section->sh_type == SHT_PROGBITS && (section->sh_flags & SHF_EXECINSTR) &&
		    section->sh_size % INSN_SIZE)
			return bpf_check_fail(elf->check,
					      "section %u ends inside of an instruction", i);
	}
	for (uint32_t i = 1; i < elf->nr && object; i++)
		if (elf->sections[i].sh_type == SHT_REL && !check_relocations(elf, i))
			return false;
	return check_elf_types(elf);
}

/* Its bytes, to be unmapped. Return: 0 or -errno. */
static int map_file(const char *path, uint8_t **data, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;
	struct stat stat;

	if (fd < 0 || fstat(fd, &stat)) {
		err = -errno;
	} else if (S_ISDIR(stat.st_mode)) {
		err = -EISDIR;
	} else {
		*size = stat.st_size;
		*data = *size ? mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
		err = *data == MAP_FAILED ? -errno : 0;
	}
	if (fd >= 0)
		close(fd);
	return err;
}

/* Of the kernel's own shape, there is no more to a file of types than them. */
static bool is_raw(const uint8_t *data, size_t size)
{
	return size >= 2 && data[0] == (BTF_MAGIC & 0xff) && data[1] == BTF_MAGIC >> 8;
}

static int check_file(struct bpf_check *check, const char *path, bool object)
{
	struct elf elf = { .check = check };
	uint8_t *data = NULL;
	size_t size = 0;
	int err;
	bool ok;

	check->why[0] = '\0';
	err = map_file(path, &data, &size);
	if (err) {
		bpf_check_fail(check, "%s", strerror(-err));
		return err;
	}
	elf.data = data;
	elf.size = size;
	if (!object && is_raw(data, size))
		ok = bpf_check_btf(check, data, size, NULL, NULL);
	else
		ok = check_elf(&elf, object);
	if (data)
		munmap(data, size);
	return ok ? 0 : -EINVAL;
}

/**
 * bpf_check_object() - can libbpf be let at an object?
 * @check: (out) why not
 * @path: its file
 *
 * Return: 0; -EINVAL; or what opening it says.
 */
int bpf_check_object(struct bpf_check *check, const char *path)
{
	return check_file(check, path, true);
}

/**
 * bpf_check_types() - can libbpf be let at a file of types?
 * @check: (out) why not
 * @path: BTF as the kernel shows it, or an ELF file with a section .BTF
 *
 * Return: 0; -EINVAL; or what opening it says.
 */
int bpf_check_types(struct bpf_check *check, const char *path)
{
	return check_file(check, path, false);
}
