// SPDX-License-Identifier: GPL-2.0-only
/*
 * A BPF program's code, as the verifier and the JIT left it: read once, when a probe is given
 * the program.
 *
 * plan/ebpf.c reads the one, plan/jited.c the other. Here is where the kernel keeps them, which
 * functions have no parameters, and what follows of both for a detour. A program whose code says
 * something else than it does cannot be: the kernel executes the same bytes.
 */
#include <linux/filter.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <asm/linkage.h>
#include <asm/nospec-branch.h>

#include "kernel/compat.h"
#include "hit/program.h"
#include "plan/ebpf.h"
#include "plan/jited.h"
#include "uapi/ktramp.h"

#if KTRAMP_HAS_BPF_CTX

/* ---- where returns go ---- */

/*
 * A return, as every other one in this module: the kernel makes of it what its JIT writes too
 * (x86_return_thunk), where returns are jumps.
 */
void ktramp_return(void);

__attribute__((naked)) noinline notrace void ktramp_return(void)
{
	asm(ASM_RET);
	KTRAMP_NAKED_END;
}
NOKPROBE_SYMBOL(ktramp_return);

static u64 return_thunk(void)
{
	unsigned long at = (unsigned long)ktramp_return;
	struct ktramp_insn insn;

	OPTIMIZER_HIDE_VAR(at);
	while (ktramp_insn_decode(&insn, (const void *)at, KTRAMP_INSN_MAX) > 0 &&
	       (insn.attr & KTRAMP_A_NOP))
		at += insn.len;
	return insn.branch == KTRAMP_BR_JMP ? at + insn.len + insn.imm : 0;
}

/* ---- functions without parameters ---- */

/* After the verifier's rewriting a call has the distance of its function, no number. */
static const char *const parameterless[] = {
	"bpf_get_current_pid_tgid", "bpf_get_current_uid_gid", "bpf_get_current_task",
	"bpf_get_current_task_btf", "bpf_get_current_cgroup_id", "bpf_get_smp_processor_id",
	"bpf_get_raw_cpu_id", "bpf_get_numa_node_id", "bpf_get_raw_smp_processor_id",
	"bpf_ktime_get_ns", "bpf_ktime_get_boot_ns", "bpf_ktime_get_coarse_ns",
	"bpf_ktime_get_tai_ns", "bpf_jiffies64", "bpf_user_rnd_u32",
};

static bool calls_one_of(const struct bpf_insn *call, const char *const *names, size_t nr)
{
	char name[KSYM_SYMBOL_LEN];

	if (call->src_reg)
		return false;
	sprint_symbol_no_offset(name, (unsigned long)__bpf_call_base + call->imm);
	return match_string(names, nr, name) >= 0;
}

static bool takes_none(const struct bpf_insn *call)
{
	return calls_one_of(call, parameterless, ARRAY_SIZE(parameterless));
}

/* ---- functions that take no lock ---- */

/* Besides those without parameters. A lookup is the map's own function after the rewriting. */
static const char *const lockless[] = {
	"bpf_get_current_comm", "bpf_get_stack_tp", "bpf_get_attach_cookie_trace",
	"bpf_get_attach_cookie_pe", "bpf_get_func_ip_kprobe", "bpf_probe_read_kernel",
	"bpf_probe_read_user", "bpf_probe_read_kernel_str", "bpf_probe_read_user_str",
	"bpf_probe_read_compat", "bpf_probe_read_compat_str", "__htab_map_lookup_elem",
	"htab_map_lookup_elem", "htab_lru_map_lookup_elem", "htab_percpu_map_lookup_elem",
	"array_map_lookup_elem", "percpu_array_map_lookup_elem", "trie_lookup_elem",
};

/* Of functions of its own only the first is looked at: a call of the others may do anything. */
static bool may_lock(const struct bpf_prog *func)
{
	const struct bpf_insn *insn;

	for (insn = func->insnsi; insn < func->insnsi + func->len; insn++)
		if (insn->code == (BPF_JMP | BPF_CALL) && !takes_none(insn) &&
		    !calls_one_of(insn, lockless, ARRAY_SIZE(lockless)))
			return true;
	return false;
}

/* ---- reading it ---- */

/* Of a program with functions of its own, the first is the one that is entered. */
static const struct bpf_prog *first_function(const struct bpf_prog *prog)
{
	return prog->aux->func_cnt ? prog->aux->func[0] : prog;
}

static int read_translated(const struct bpf_prog *prog, struct ktramp_ebpf *e)
{
	struct ktramp_ebpf_state *states;
	u32 nr = min_t(u32, prog->len, KTRAMP_EBPF_MAX);

	states = kvcalloc(nr, sizeof(*states), GFP_KERNEL);
	if (!states)
		return -ENOMEM;
	ktramp_ebpf_scan(e, prog->insnsi, prog->len, takes_none, states);
	kvfree(states);
	return 0;
}

static struct ktramp_jited_code compiled_code(const struct bpf_prog *prog)
{
	return (struct ktramp_jited_code){
		.code = (const u8 *)prog->bpf_func, .len = prog->jited_len,
		.addr = (unsigned long)prog->bpf_func, .thunk = return_thunk(),
	};
}

static int read_compiled(const struct ktramp_jited_code *code, struct ktramp_jited *j)
{
	u8 *starts = kvzalloc(min_t(u32, code->len, KTRAMP_JITED_MAX), GFP_KERNEL);

	if (!starts)
		return -ENOMEM;
	ktramp_jited_scan(j, code, starts);
	kvfree(starts);
	return 0;
}

/* Its compiled code is not known, or nothing follows from it: as C calls any function. */
static void call_in_c(struct ktramp_shape *shape, const char *why)
{
	*shape = (struct ktramp_shape){
		.class = KTRAMP_BPF_FULL, .guard = true, .locks = true, .why = why,
	};
}

static void choose(struct ktramp_shape *shape, const struct ktramp_ebpf *e,
		   const struct ktramp_jited *j, bool reentrant)
{
	bool calls = e->calls || j->calls;

	shape->guard = calls || e->escapes || e->percpu || j->percpu || (e->stores && !reentrant);
	shape->fields = e->escapes ? KTRAMP_FIELDS_ALL : e->fields;
	shape->inlines = j->body && !shape->guard && !e->escapes;
	if (e->escapes) {
		shape->class = KTRAMP_BPF_FULL;
		shape->why = e->why;
	} else if (calls) {
		shape->class = KTRAMP_BPF_HELPERS;
		shape->why = "calls functions";
	} else if (shape->fields || shape->guard) {
		shape->class = KTRAMP_BPF_LIGHT;
		shape->why = shape->fields ? "reads registers" :
			     shape->guard && (e->percpu || j->percpu) ?
			     "uses memory that each CPU has its own of" :
			     "writes memory without atomic operations";
	} else {
		shape->class = KTRAMP_BPF_BARE;
	}
}

/**
 * ktramp_program_shape() - what a program needs of a detour
 * @prog: the program
 * @reentrant: whoever gives it to a probe says that a run of it in the middle of another one
 *	does no harm
 * @shape: (out) the answer
 *
 * Context: process, sleeps.
 * Return: 0 or -ENOMEM.
 */
int ktramp_program_shape(const struct bpf_prog *prog, bool reentrant, struct ktramp_shape *shape)
{
	const struct bpf_prog *func = first_function(prog);
	const struct ktramp_jited_code code = compiled_code(func);
	struct ktramp_jited j = {};
	struct ktramp_ebpf e = {};
	int err;

	if (!prog->jited || !func->jited) {
		call_in_c(shape, "is not compiled");
		return 0;
	}
	if (KTRAMP_PROG_THROWS(prog)) {
		call_in_c(shape, "may throw an exception");
		return 0;
	}
	err = read_translated(func, &e) ?: read_compiled(&code, &j);
	if (err)
		return err;
	if (j.why) {
		call_in_c(shape, j.why);
		return 0;
	}
	*shape = (struct ktramp_shape){
		.clobbers = j.clobbers,
		.hook = (unsigned long)func->bpf_func + j.hook,
		.entry = (unsigned long)func->bpf_func + j.entry,
		.code = code,
		.body = j.body,
		.locks = may_lock(func),
	};
	choose(shape, &e, &j, reentrant);
	/* Loads that may fault are known by their addresses: a copy of them is not. */
	shape->inlines &= !func->aux->num_exentries && code.len <= KTRAMP_BODY_MAX;
	return 0;
}

#else /* !KTRAMP_HAS_BPF_CTX */

int ktramp_program_shape(const struct bpf_prog *prog, bool reentrant, struct ktramp_shape *shape)
{
	return -EOPNOTSUPP;
}

#endif /* KTRAMP_HAS_BPF_CTX */
