// SPDX-License-Identifier: GPL-2.0-only
/* A function of the running kernel, instruction by instruction. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "places/places.h"

#define KCORE	"/proc/kcore"

/* Memory as the kernel shows it to root: one segment a range of addresses. */
static int read_kcore(int fd, uint64_t address, uint8_t *buf, size_t size)
{
	Elf64_Ehdr header;
	Elf64_Phdr segment;

	if (pread(fd, &header, sizeof(header), 0) != sizeof(header))
		return -EIO;
	for (unsigned int i = 0; i < header.e_phnum; i++) {
		if (pread(fd, &segment, sizeof(segment), header.e_phoff + i * sizeof(segment)) !=
		    sizeof(segment))
			return -EIO;
		if (segment.p_type != PT_LOAD || address < segment.p_vaddr ||
		    address - segment.p_vaddr >= segment.p_memsz)
			continue;
		if (pread(fd, buf, size, segment.p_offset + address - segment.p_vaddr) ==
		    (ssize_t)size)
			return 0;
	}
	return -EFAULT;
}

static int read_code(struct function *function)
{
	int fd = open(KCORE, O_RDONLY | O_CLOEXEC), err;

	function->code = malloc(function->length);
	if (!function->code)
		err = -ENOMEM;
	else
		err = fd < 0 ? -errno : read_kcore(fd, function->address, function->code,
						   function->length);
	if (fd >= 0)
		close(fd);
	if (err && err != -ENOMEM)
		p_err("cannot read %s's code from %s: %s", function->name, KCORE, strerror(-err));
	return err;
}

/* One at a time: a listing is short, a function may be of any length. */
static void disassemble_one(struct function *function, struct disasm *disasm,
			    struct listing *listing, uint32_t i)
{
	const struct ktramp_scan_insn *insn = &function->insns[i];

	listing->nr = 0;
	listing->address = function->address + insn->offset;
	listing->length = insn->length;
	memcpy(listing->code, function->code + insn->offset, insn->length);
	disasm_range(disasm, listing, 0, insn->length, ORIGIN_KERNEL);
	function->lines[i] = listing->lines[0];
}

static int disassemble(struct function *function)
{
	struct listing *listing = calloc(1, sizeof(*listing));
	struct disasm *disasm = NULL;
	int err = read_code(function);

	function->lines = calloc(function->nr + 1, sizeof(*function->lines));
	if (!err && (!function->lines || !listing))
		err = -ENOMEM;
	if (!err)
		err = disasm_open(&disasm, false);
	for (uint32_t i = 0; i < function->nr && !err; i++)
		disassemble_one(function, disasm, listing, i);
	disasm_close(&disasm);
	free(listing);
	return err;
}

static int scan(struct function *function, const struct dev *dev, uint64_t address, bool ask)
{
	struct ktramp_scan scan = { .address = address, .flags = ask ? KTRAMP_SCAN_ASK : 0 };
	int err;

	for (uint32_t m = OURS_FIRST; m <= OURS_LAST; m++)
		scan.mechanisms |= 1U << m;
	/* No instruction is shorter than a byte. */
	scan.max = function->length;
	function->insns = calloc(scan.max, sizeof(*function->insns));
	if (!function->insns)
		return -ENOMEM;
	scan.insns = (uintptr_t)function->insns;
	err = dev_scan(dev, &scan);
	if (err) {
		p_refusal(&(struct refusal){ function->name, scan.reason, err },
			  "cannot read the instructions of %s: %s", function->name,
			  *scan.why ? scan.why : strerror(-err));
		return err;
	}
	function->address = scan.address;
	function->nr = MIN(scan.nr, scan.max);
	return 0;
}

int function_read(struct function *function, const struct dev *dev, const char *site, bool ask)
{
	struct ktramp_site_info info;
	int err = dev_site(dev, site, &info);

	*function = (struct function){ .length = info.length };
	if (err)
		return err;
	snprintf(function->name, sizeof(function->name), "%.*s",
		 (int)(strrchr(info.site, '+') - info.site), info.site);
	if (!info.address) {
		p_err("the addresses of %s are hidden: see sysctl kernel.kptr_restrict", site);
		return -EPERM;
	}
	err = scan(function, dev, info.address, ask);
	if (!err)
		err = disassemble(function);
	if (err == -ENOMEM)
		p_err("cannot list %s: %s", site, strerror(ENOMEM));
	return err;
}

void function_free(struct function *function)
{
	free(function->insns);
	free(function->lines);
	free(function->code);
}

/* Its returns, and its jumps to other functions, the return thunk among them. */
bool function_leaves(const struct function *function, uint32_t i)
{
	const struct insn_line *line = &function->lines[i];

	if (function->insns[i].marks & KTRAMP_SCAN_PADDING)
		return false;
	if (line->flow == FLOW_RETURN)
		return true;
	return line->flow == FLOW_JUMP && line->target &&
	       (line->target < function->address ||
		line->target >= function->address + function->length);
}

bool function_returns(const struct function *function, uint32_t i)
{
	struct ksym thunk = { .address = function->lines[i].target };

	if (!function_leaves(function, i))
		return false;
	if (function->lines[i].flow == FLOW_RETURN)
		return true;
	/* __x86_return_thunk, and those that a CPU with a fault of its own has instead. */
	return !ksyms_resolve(&thunk, 1) && strstr(thunk.name, "return_thunk");
}
