// SPDX-License-Identifier: GPL-2.0-only
/*
 * The counter by which the kernel's BPF programs know of each other: bpf_prog_active.
 *
 * It is a per-CPU variable, which is not exported, and until 6.15 register_kprobe() finds no such
 * symbol: its address is an offset in each CPU's area. But trace_call_bpf(), which runs the
 * programs of the kernel's kprobes, is found; the variable is the one that it counts up when it
 * begins.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/slab.h>

#include "decode/insn.h"
#include "kernel/active.h"
#include "kernel/compat.h"
#include "kernel/patchers.h"
#include "kernel/symbol.h"
#include "kernel/text.h"

int __percpu *ktramp_active __ro_after_init;

/* Of trace_call_bpf() no more is looked at; it has some 300 bytes, with KASAN some 700. */
#define LOOKED_AT	1024

/*
 * xadd %reg, %gs:variable, of 4 bytes: what __this_cpu_inc_return() is made of. By an absolute
 * address, or relative to RIP since 6.15 (and without %gs on a kernel for one CPU).
 */
static unsigned long counted_up(const struct ktramp_insn *insn, unsigned long next)
{
	bool absolute = insn->has_sib && insn->modrm >> 6 == 0 && (insn->modrm & 7) == 4 &&
			insn->sib == 0x25;

	if (insn->map != KTRAMP_MAP_0F || insn->opcode != 0xc1 || insn->osz != 4)
		return 0;
	if (IS_ENABLED(CONFIG_SMP) && !(insn->prefix & KTRAMP_P_GS))
		return 0;
	if (insn->attr & KTRAMP_A_RIPREL)
		return next + insn->disp;
	return absolute ? insn->disp : 0;
}

static unsigned long find_in(const u8 *code, size_t len, unsigned long addr)
{
	unsigned long found = 0;
	struct ktramp_insn insn;
	size_t at;

	for (at = 0; at < len && !found; at += insn.len) {
		if (ktramp_insn_decode(&insn, code + at, len - at) < 0)
			break;
		found = counted_up(&insn, addr + at + insn.len);
	}
	return found;
}

/**
 * ktramp_active_init() - find the variable
 *
 * Context: process, may sleep; behind ktramp_patchers_init().
 * Return: 0 or -ENOMEM. A kernel that hides it is no error: programs that rely on it are refused.
 */
int __init ktramp_active_init(void)
{
	struct ktramp_symbol symbol;
	unsigned long addr;
	size_t len;
	u8 *code;
	int err;

	if (!KTRAMP_HAS_BPF_CTX || !ktramp_patchers_known())
		return 0;
	err = ktramp_symbol_find("trace_call_bpf", &addr) ?: ktramp_symbol_at(&symbol, addr);
	if (err)
		return err == -ENOMEM ? err : 0;
	len = min_t(size_t, symbol.start + symbol.size - addr, LOOKED_AT);
	code = kmalloc(len, GFP_KERNEL);
	if (!code)
		return -ENOMEM;
	if (!ktramp_text_read(code, addr, len))
		ktramp_active = (__force int __percpu *)find_in(code, len, addr);
	kfree(code);
	if (!ktramp_active)
		pr_warn("the kernel hides which BPF programs run: maps that rely on it are refused\n");
	return 0;
}
