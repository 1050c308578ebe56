/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The one contract between ktramp.ko and user space: /dev/ktramp.
 *
 * Every ioctl takes a pointer to a struct that starts with its own size, as
 * clone3(2) and openat2(2) do: a caller sets @size to sizeof the struct it was
 * compiled with. A smaller, older struct keeps working; a larger, newer one
 * works as long as what this kernel does not know is zero, and is -E2BIG
 * otherwise. @flags and @reserved fields must be zero unless described, or the
 * call is -EINVAL. Fields are marked (in), (out) or (in/out).
 *
 * A refusal is an errno, plus @reason and @why in the struct, which is copied
 * back in that case too. Errors common to all calls:
 *   -EFAULT  the struct, or a buffer it points to, cannot be read or written
 *   -EINVAL  @size smaller than the first version, a reserved bit or field set
 *   -E2BIG   @size larger than known, and the surplus is not zero
 *   -ENOTTY  no such ioctl
 *   -EPERM   lockdown forbids it, or (KTRAMP_IOC_CODE) addresses are hidden. What lists
 *	      probes and takes them away is allowed under lockdown
 * The device itself opens only with CAP_SYS_ADMIN, in the initial user namespace.
 */
#ifndef _UAPI_KTRAMP_H
#define _UAPI_KTRAMP_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define KTRAMP_ABI		1
#define KTRAMP_DEVICE		"/dev/ktramp"

#define KTRAMP_NAME_MAX		32	/* mechanism, handler, target, with NUL */
#define KTRAMP_SITE_MAX		256	/* "module:symbol+0xoffset", with NUL */
#define KTRAMP_TEXT_MAX		96	/* one line of explanation, with NUL */
#define KTRAMP_WHY_MAX		160	/* one sentence of refusal, with NUL */
#define KTRAMP_BYTES_MAX	16	/* bytes of a site */
#define KTRAMP_CODE_MAX		512	/* bytes of a slot or a detour */
#define KTRAMP_BATCH_MAX	16384	/* probes in one KTRAMP_IOC_ARM */
#define KTRAMP_LOOPS_MAX	1000000	/* calls in one KTRAMP_IOC_RUN */
#define KTRAMP_PROBES_MAX	65536	/* probes that may exist at once */

/**
 * enum ktramp_mechanism - how control leaves the site
 *
 * Names, as KTRAMP_IOC_MECHANISM tells them, are these words in lower case
 * with dashes. They never change meaning, and numbers are never reused.
 */
enum ktramp_mechanism {
	KTRAMP_CALL			= 1,	/* nothing: the baseline */
	KTRAMP_INT3_EMULATE		= 2,
	KTRAMP_INT3_STEP_TF		= 3,
	KTRAMP_INT3_STEP_INT3		= 4,
	KTRAMP_INT3_BOOST		= 5,
	KTRAMP_JUMP			= 6,
	KTRAMP_KPROBE_STEP		= 7,
	KTRAMP_KPROBE_EMULATE		= 8,
	KTRAMP_KPROBE_BOOST		= 9,
	KTRAMP_KPROBE_OPT_PENDING	= 10,
	KTRAMP_KPROBE_OPT		= 11,
	KTRAMP_KPROBE_FTRACE		= 12,
	KTRAMP_KRETPROBE		= 13,
	KTRAMP_FTRACE			= 14,
	KTRAMP_FPROBE			= 15,
	KTRAMP_TRACEPOINT_OFF		= 16,
	KTRAMP_TRACEPOINT		= 17,
	KTRAMP_BPF_KPROBE_STEP		= 18,
	KTRAMP_BPF_KPROBE_INT3		= 19,
	KTRAMP_BPF_KPROBE_OPT		= 20,
	KTRAMP_BPF_KPROBE_FTRACE	= 21,
	KTRAMP_BPF_KPROBE_MULTI		= 22,
	KTRAMP_BPF_KRETPROBE		= 23,
	KTRAMP_BPF_FENTRY		= 24,
	KTRAMP_BPF_FEXIT		= 25,
	KTRAMP_BPF_RAW_TP		= 26,
	KTRAMP_BPF_TRACEPOINT		= 27,
	KTRAMP_BPF_JUMP			= 28,
	KTRAMP_INT3_DIVERT		= 29,
};

/**
 * enum ktramp_kind - whose mechanism it is
 * @KTRAMP_KIND_BASE: nobody's: the unprobed call
 * @KTRAMP_KIND_OURS: ktramp's engine
 * @KTRAMP_KIND_KERNEL: the kernel's own, measured for comparison
 */
enum ktramp_kind {
	KTRAMP_KIND_BASE	= 1,
	KTRAMP_KIND_OURS	= 2,
	KTRAMP_KIND_KERNEL	= 3,
};

/**
 * enum ktramp_handler - what runs at a hit
 * @KTRAMP_COUNT: a C function that increments a per-CPU counter
 * @KTRAMP_REGS: a C function that copies the full pt_regs of the hit, and counts
 * @KTRAMP_COUNT_INLINE: no function: the counter's increment stands in the detour itself.
 *	Only a detour can
 * @KTRAMP_BPF: a BPF program, which KTRAMP_IOC_BPF gives the probe before it is armed. The
 *	kernel's own mechanisms of this handler are attached from user space: a probe of
 *	theirs writes nothing and counts nothing, but keeps others away from the bytes and
 *	shows them
 * @KTRAMP_BPF_INLINE: no call: a program's instructions stand in the detour themselves, without
 *	its entry and its returns. Only of one that calls nothing, uses no stack and no memory that
 *	each CPU has its own of. It may be entered again in the middle, as KTRAMP_BPF_REENTRANT
 *	says of others; the kernel does not count it (kernel.bpf_stats_enabled), and what is
 *	attached to it does not run. A hit that comes by the int3 runs it as KTRAMP_BPF
 */
enum ktramp_handler {
	KTRAMP_COUNT	= 1,
	KTRAMP_REGS	= 2,
	KTRAMP_COUNT_INLINE = 3,
	KTRAMP_BPF	= 4,
	KTRAMP_BPF_INLINE = 5,
};

/**
 * enum ktramp_state - a probe's life
 * @KTRAMP_NEW: planned, code built out of line, text untouched
 * @KTRAMP_ARMED: the text is written, hits are handled
 * @KTRAMP_DISARMED: the original bytes are back; may be armed again
 * @KTRAMP_STUCK: somebody else patched over our bytes, or has a kprobe there; they are left
 *	alone, and the slot, the detour and the module stay until the bytes are ours again
 * @KTRAMP_GONE: there is no such probe any more; its last counters are shown to the open file
 *	that watched it (KTRAMP_IOC_WATCH)
 */
enum ktramp_state {
	KTRAMP_NEW	= 1,
	KTRAMP_ARMED	= 2,
	KTRAMP_DISARMED	= 3,
	KTRAMP_STUCK	= 4,
	KTRAMP_GONE	= 5,
};

/**
 * enum ktramp_reason - why something was refused
 * @KTRAMP_R_NONE: it was not
 * @KTRAMP_R_SYNTAX: the site's text cannot be parsed
 * @KTRAMP_R_NO_SYMBOL: no such target, symbol or module
 * @KTRAMP_R_NOT_TEXT: the address is in no kernel or module function
 * @KTRAMP_R_BOUNDARY: not the first byte of an instruction
 * @KTRAMP_R_DECODE: the instruction is not known to the decoder
 * @KTRAMP_R_BLACKLIST: the kernel refuses a kprobe there
 * @KTRAMP_R_PATCHED: ftrace, a jump label, a static call or a BUG owns the bytes
 * @KTRAMP_R_BUSY: another probe of ours is armed on these bytes
 * @KTRAMP_R_NO_EMULATION: the instruction has no emulation
 * @KTRAMP_R_LEAVES_SLOT: a branch: the trap behind the copy would not be reached
 * @KTRAMP_R_TRAPS: the instruction itself traps or leaves the kernel
 * @KTRAMP_R_FAULTS: has an exception table entry, which an out-of-line copy would miss
 * @KTRAMP_R_RANGE: a relative operand does not reach from the copy
 * @KTRAMP_R_SHORT: fewer than 5 bytes left in the function
 * @KTRAMP_R_TARGETED: something jumps into the displaced region
 * @KTRAMP_R_INDIRECT: the function jumps where the planner cannot see
 * @KTRAMP_R_REGION: an instruction of the displaced region cannot be relocated
 * @KTRAMP_R_NO_CONFIG: the kernel was built without it
 * @KTRAMP_R_NO_STATE: the kernel has it, but would not go into, or stay in, that state
 * @KTRAMP_R_SHAPE: not this instruction: the mechanism needs another one
 * @KTRAMP_R_HANDLER: the mechanism cannot run this handler
 * @KTRAMP_R_SPACE: no slot left
 * @KTRAMP_R_NOT_OURS: the bytes at the site are not the ones that were planned with
 * @KTRAMP_R_UNREGISTERED: the kernel's registration function failed
 * @KTRAMP_R_RECURSION: runs before ktramp's own handler can, or is part of it
 * @KTRAMP_R_NO_PROGRAM: the probe's handler is a BPF program, and it has none
 * @KTRAMP_R_PROGRAM: the BPF program is none that can run here
 * @KTRAMP_R_HIDDEN: the kernel hides the locks of its own patchers
 * @KTRAMP_R_AMBIGUOUS: several functions have this name
 * @KTRAMP_R_NO_PROCESS: no process has this number
 * @KTRAMP_R_LOCKDOWN: the kernel was locked down since the module was loaded
 * @KTRAMP_R_UNSERVED: runs where no breakpoint is served: as a copy, or on a CPU without IDT
 */
enum ktramp_reason {
	KTRAMP_R_NONE		= 0,
	KTRAMP_R_SYNTAX		= 1,
	KTRAMP_R_NO_SYMBOL	= 2,
	KTRAMP_R_NOT_TEXT	= 3,
	KTRAMP_R_BOUNDARY	= 4,
	KTRAMP_R_DECODE		= 5,
	KTRAMP_R_BLACKLIST	= 6,
	KTRAMP_R_PATCHED	= 7,
	KTRAMP_R_BUSY		= 8,
	KTRAMP_R_NO_EMULATION	= 9,
	KTRAMP_R_LEAVES_SLOT	= 10,
	KTRAMP_R_TRAPS		= 11,
	KTRAMP_R_FAULTS		= 12,
	KTRAMP_R_RANGE		= 13,
	KTRAMP_R_SHORT		= 14,
	KTRAMP_R_TARGETED	= 15,
	KTRAMP_R_INDIRECT	= 16,
	KTRAMP_R_REGION		= 17,
	KTRAMP_R_NO_CONFIG	= 18,
	KTRAMP_R_NO_STATE	= 19,
	KTRAMP_R_SHAPE		= 20,
	KTRAMP_R_HANDLER	= 21,
	KTRAMP_R_SPACE		= 22,
	KTRAMP_R_NOT_OURS	= 23,
	KTRAMP_R_UNREGISTERED	= 24,
	KTRAMP_R_RECURSION	= 25,
	KTRAMP_R_NO_PROGRAM	= 30,
	KTRAMP_R_PROGRAM	= 31,
	KTRAMP_R_HIDDEN		= 32,
	KTRAMP_R_AMBIGUOUS	= 33,
	KTRAMP_R_NO_PROCESS	= 34,
	KTRAMP_R_LOCKDOWN	= 35,
	KTRAMP_R_UNSERVED	= 36,
};

/**
 * enum ktramp_tactic - how a jump is made to fit
 * @KTRAMP_TACTIC_NONE: it is no jump
 * @KTRAMP_TACTIC_COPY: the displaced instructions are copied, as kprobes do
 * @KTRAMP_TACTIC_REENCODE: branches or calls among them are re-encoded, or the jump takes
 *	padding behind them
 * @KTRAMP_TACTIC_PUN: something branches into the jump: the displacement has an int3
 *	there, from which its handler goes on in the copy
 * @KTRAMP_TACTIC_FTRACE: at a function's entry: ftrace's own call is used, nothing displaced
 * @KTRAMP_TACTIC_SPRINGBOARD: a jump of 2 bytes goes to one of 5 in the padding between functions
 */
enum ktramp_tactic {
	KTRAMP_TACTIC_NONE	= 0,
	KTRAMP_TACTIC_COPY	= 1,
	KTRAMP_TACTIC_REENCODE	= 2,
	KTRAMP_TACTIC_PUN	= 3,
	KTRAMP_TACTIC_FTRACE	= 4,
	KTRAMP_TACTIC_SPRINGBOARD = 5,
};

/**
 * enum ktramp_entry - where a breakpoint comes to ktramp
 * @KTRAMP_ENTRY_NONE: there is none: not of ours, or no int3 stands while it is armed
 * @KTRAMP_ENTRY_DIRECT: exc_int3() calls ktramp, before anything else
 * @KTRAMP_ENTRY_NOTIFIER: by the die notifier chain, behind the kernel's own users
 */
enum ktramp_entry {
	KTRAMP_ENTRY_NONE	= 0,
	KTRAMP_ENTRY_DIRECT	= 1,
	KTRAMP_ENTRY_NOTIFIER	= 2,
};

/**
 * enum ktramp_clock - what the bench's counter counts
 * @KTRAMP_CLOCK_TSC: the CPU's time stamp counter: cycles of its own frequency
 * @KTRAMP_CLOCK_ICOUNT: exactly one per instruction (QEMU -icount shift=0); found out
 *	by measuring code of known length, not by asking
 */
enum ktramp_clock {
	KTRAMP_CLOCK_TSC	= 1,
	KTRAMP_CLOCK_ICOUNT	= 2,
};

/* &ktramp_info.config: what the running kernel was built with. */
#define KTRAMP_CONFIG_PREEMPTION	(1U << 0)
#define KTRAMP_CONFIG_PREEMPT_RT	(1U << 1)
#define KTRAMP_CONFIG_OPTPROBES		(1U << 2)
#define KTRAMP_CONFIG_KPROBES_ON_FTRACE	(1U << 3)
#define KTRAMP_CONFIG_FPROBE		(1U << 4)
#define KTRAMP_CONFIG_X86_KERNEL_IBT	(1U << 5)
#define KTRAMP_CONFIG_RETHUNK		(1U << 6)
#define KTRAMP_CONFIG_RETPOLINE		(1U << 7)
#define KTRAMP_CONFIG_KASAN		(1U << 8)
#define KTRAMP_CONFIG_PROVE_LOCKING	(1U << 9)
#define KTRAMP_CONFIG_BTF		(1U << 10)

/**
 * struct ktramp_info - what this module and kernel are (KTRAMP_IOC_INFO)
 * @size: (in) sizeof(struct ktramp_info)
 * @flags: (in) 0
 * @abi: (out) KTRAMP_ABI of the module
 * @clock: (out) &enum ktramp_clock
 * @config: (out) KTRAMP_CONFIG_*
 * @nr_targets: (out) indexes of KTRAMP_IOC_TARGET are 0 .. nr_targets - 1
 * @nr_probes: (out) probes that exist, of all owners
 * @counts_traps: (out) 1 if KTRAMP_RUN_TRAPS can count #BP of the kernel's mechanisms
 * @addresses: (out) 1 if the caller is shown kernel addresses (kptr_restrict, CAP_SYSLOG)
 * @tsc_khz: (out) frequency of the counter, kHz
 * @slot_bytes: (out) executable bytes in use for slots and detours
 * @slot_capacity: (out) executable bytes there are
 * @version: (out) module version
 * @entry: (out) &enum ktramp_entry of breakpoints whose handler is not a BPF program
 * @debug_entry: (out) &enum ktramp_entry of the #DB of a step, which the call of notify_die()
 *	can lead to
 * @entry_why: (out) why @entry is the notifier; empty if it is not
 */
struct ktramp_info {
	__u32 size;
	__u32 flags;
	__u32 abi;
	__u32 clock;
	__u32 config;
	__u32 nr_targets;
	__u32 nr_probes;
	__u32 counts_traps;
	__u32 addresses;
	__u32 tsc_khz;
	__u32 slot_bytes;
	__u32 slot_capacity;
	char version[KTRAMP_NAME_MAX];
	__u32 entry;
	__u32 debug_entry;
	char entry_why[KTRAMP_TEXT_MAX];
};

/**
 * struct ktramp_mechanism_info - one mechanism (KTRAMP_IOC_MECHANISM)
 * @size: (in) sizeof(struct ktramp_mechanism_info)
 * @flags: (in) 0
 * @mechanism: (in) &enum ktramp_mechanism, from 1 up; -ENOENT behind the last one
 * @kind: (out) &enum ktramp_kind
 * @reason: (out) KTRAMP_R_NONE, or why this kernel cannot do it at all
 * @at_entry: (out) 1 if it attaches to the function's entry, whatever the site
 * @handlers: (out) bit n set: handler n (&enum ktramp_handler) can run
 * @reserved: 0
 * @name: (out) its name everywhere
 * @target: (out) the target it is measured on by default
 * @text: (out) what it is
 * @why: (out) the sentence for @reason
 */
struct ktramp_mechanism_info {
	__u32 size;
	__u32 flags;
	__u32 mechanism;
	__u32 kind;
	__u32 reason;
	__u32 at_entry;
	__u32 handlers;
	__u32 reserved;
	char name[KTRAMP_NAME_MAX];
	char target[KTRAMP_NAME_MAX];
	char text[KTRAMP_TEXT_MAX];
	char why[KTRAMP_WHY_MAX];
};

/**
 * struct ktramp_target_info - one target function (KTRAMP_IOC_TARGET)
 * @size: (in) sizeof(struct ktramp_target_info)
 * @flags: (in) 0
 * @index: (in) 0 .. nr_targets - 1; -ENOENT behind the last one
 * @offset: (out) of the site within the function, bytes
 * @length: (out) of the site's instruction, bytes
 * @func_size: (out) of the function, bytes
 * @address: (out) of the site; 0 if hidden from the caller
 * @bytes: (out) the site's first bytes as they are now
 * @name: (out) short name, e.g. "lea"; accepted as a site
 * @base: (out) the target whose unprobed cost is subtracted; itself, but for the tracepoint
 * @insn: (out) the site's instruction, assembler (AT&T)
 * @site: (out) symbol+0xoffset
 * @text: (out) what a trampoline finds difficult about it
 * @entered: (out) how often a call of the target comes back into the bytes behind the site
 *	that a jump there covers: each time is a #BP of a punned jump
 * @reserved: 0
 */
struct ktramp_target_info {
	__u32 size;
	__u32 flags;
	__u32 index;
	__u32 offset;
	__u32 length;
	__u32 func_size;
	__u64 address;
	__u8 bytes[KTRAMP_BYTES_MAX];
	char name[KTRAMP_NAME_MAX];
	char base[KTRAMP_NAME_MAX];
	char insn[KTRAMP_TEXT_MAX];
	char site[KTRAMP_SITE_MAX];
	char text[KTRAMP_TEXT_MAX];
	__u32 entered;
	__u32 reserved;
};

/* &ktramp_create.flags: the probe outlives the file that made it. */
#define KTRAMP_CREATE_KEEP	(1U << 0)

/**
 * struct ktramp_create - make a probe (KTRAMP_IOC_CREATE)
 * @size: (in) sizeof(struct ktramp_create)
 * @flags: (in) 0 or KTRAMP_CREATE_KEEP
 * @mechanism: (in) &enum ktramp_mechanism
 * @handler: (in) &enum ktramp_handler
 * @id: (out) the probe's number, never 0. Numbers go up, and are not reused before they begin again
 *	behind 2^31 of them
 * @reason: (out) &enum ktramp_reason
 * @site: (in) a target's name, symbol+0xoffset, module:symbol+0xoffset or 0xaddress; NUL
 *	terminated. A function's first byte means its first instruction behind an endbr64
 * @why: (out) the sentence for @reason
 * @pid: (in) 0, or the process (thread group) whose hits alone are handled; in interrupts
 *	the interrupted one counts
 * @reserved: 0
 *
 * The text is not touched. A probe belongs to the open file that made it and is
 * disarmed and destroyed when that is closed, unless KTRAMP_CREATE_KEEP.
 *
 * Errors: -EINVAL syntax, enum out of range; -ENOENT no such symbol; -EILSEQ not an
 * instruction; -EOPNOTSUPP refused, see @reason; -EACCES blacklisted; -EBUSY the bytes
 * are someone else's; -ENOSPC no slot, or KTRAMP_PROBES_MAX reached; -ENOMEM.
 */
struct ktramp_create {
	__u32 size;
	__u32 flags;
	__u32 mechanism;
	__u32 handler;
	__u32 id;
	__u32 reason;
	char site[KTRAMP_SITE_MAX];
	char why[KTRAMP_WHY_MAX];
	__u32 pid;
	__u32 reserved;
};

/**
 * struct ktramp_batch - arm, disarm or destroy (KTRAMP_IOC_ARM, _DISARM, _DESTROY)
 * @size: (in) sizeof(struct ktramp_batch)
 * @flags: (in) 0
 * @ids: (in) pointer to @nr probe numbers, __u32 each
 * @nr: (in) 1 .. KTRAMP_BATCH_MAX
 * @done: (out) how many of them are now in the wanted state
 * @reason: (out) &enum ktramp_reason of the first one that is not
 * @failed: (out) the number of that probe, 0 if none
 * @why: (out) the sentence for @reason
 *
 * The whole batch shares its waits and its syncs. Probes after a refused one are
 * still tried. Arming what is armed, and disarming what is not, succeeds.
 * Destroying disarms first. Sleeps up to a few tasks-RCU grace periods.
 *
 * Errors are those of the first refused probe: -ENOENT no such number; -EPERM it belongs
 * to another open file; -EBUSY bytes in use (KTRAMP_R_BUSY), or somebody else has a kprobe
 * there when arming (KTRAMP_R_PATCHED), or disarming: -EILSEQ, as when bytes changed
 * (KTRAMP_R_NOT_OURS);
 * -EAGAIN the kernel did not reach the state; -EINTR a signal came first; -ENOMEM.
 */
struct ktramp_batch {
	__u32 size;
	__u32 flags;
	__u64 ids;
	__u32 nr;
	__u32 done;
	__u32 reason;
	__u32 failed;
	char why[KTRAMP_WHY_MAX];
};

/* &ktramp_probe_info.flags (in): the lowest numbered probe with a number >= @id. */
#define KTRAMP_PROBE_NEXT	(1U << 0)
/* ... and, with it: the lowest numbered one of this open file. */
#define KTRAMP_PROBE_MINE	(1U << 1)

/**
 * struct ktramp_probe_info - a probe as it is now (KTRAMP_IOC_PROBE)
 * @size: (in) sizeof(struct ktramp_probe_info)
 * @flags: (in) 0, KTRAMP_PROBE_NEXT, or that with KTRAMP_PROBE_MINE
 * @id: (in/out) the probe's number
 * @mechanism: (out) &enum ktramp_mechanism
 * @handler: (out) &enum ktramp_handler
 * @state: (out) &enum ktramp_state
 * @keep: (out) 1 if made with KTRAMP_CREATE_KEEP
 * @mine: (out) 1 if it belongs to this open file
 * @hits: (out) hits handled, all CPUs, since it was made
 * @missed: (out) hits that ran the displaced instruction but not the handler
 * @address: (out) of the bytes the mechanism changes; 0 if hidden
 * @slot: (out) address of the slot, 0 if none or hidden
 * @detour: (out) address of the detour, 0 if none or hidden
 * @slot_len: (out) bytes
 * @detour_len: (out) bytes
 * @length: (out) bytes at the site this mechanism may change, 0 .. KTRAMP_BYTES_MAX
 * @region: (out) bytes of whole instructions displaced
 * @memory: (out) bytes of memory held for this probe, executable bytes included,
 *	per-CPU counters excluded
 * @tactic: (out) &enum ktramp_tactic
 * @before: (out) bytes at the site when the probe was made
 * @now: (out) bytes at the site now
 * @site: (out) symbol+0xoffset
 * @recursed: (out) those of @missed that found a handler running on their CPU already
 * @filtered: (out) hits of other processes than @pid
 * @pid: (out) the process it is for, 0 for all
 * @reserved: 0
 * @springboard: (out) address of the jump in padding that the one at the site goes to; 0 if
 *	there is none (&enum ktramp_tactic) or hidden
 * @bpf_class: (out) &enum ktramp_bpf_class of a bpf-jump that has its program, else 0
 * @entry: (out) &enum ktramp_entry of its breakpoint
 * @bpf_why: (out) what keeps its program from a cheaper class, as the end of a sentence that
 *	begins with the program; empty if nothing does
 * @entry_why: (out) why @entry is the notifier; empty if it is not
 *
 * Of a probe that is gone and was watched by this open file, @state is KTRAMP_GONE, the counters
 * are its last, and all else is 0.
 *
 * Errors: -ENOENT no such probe (or none left, with KTRAMP_PROBE_NEXT); -EINVAL
 * KTRAMP_PROBE_MINE alone.
 */
struct ktramp_probe_info {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 mechanism;
	__u32 handler;
	__u32 state;
	__u32 keep;
	__u32 mine;
	__u64 hits;
	__u64 missed;
	__u64 address;
	__u64 slot;
	__u64 detour;
	__u32 slot_len;
	__u32 detour_len;
	__u32 length;
	__u32 region;
	__u32 memory;
	__u32 tactic;
	__u8 before[KTRAMP_BYTES_MAX];
	__u8 now[KTRAMP_BYTES_MAX];
	char site[KTRAMP_SITE_MAX];
	__u64 recursed;
	__u64 filtered;
	__u32 pid;
	__u32 reserved;
	__u64 springboard;
	__u32 bpf_class;
	__u32 entry;
	char bpf_why[KTRAMP_TEXT_MAX];
	char entry_why[KTRAMP_TEXT_MAX];
};

/**
 * struct ktramp_cpu_stat - a probe's counters on one CPU (KTRAMP_IOC_CPU_STAT)
 * @size: (in) sizeof(struct ktramp_cpu_stat)
 * @flags: (in) 0
 * @id: (in) the probe's number
 * @cpu: (in) which CPU
 * @hits: (out) hits handled there since the probe was made
 * @missed: (out) hits that ran the displaced instruction but not the handler
 * @recursed: (out) those of @missed that found a handler running there already
 * @filtered: (out) hits of other processes than the probe is for
 *
 * Misses that the kernel counts for its own mechanisms have no CPU: they are in
 * struct ktramp_probe_info only.
 *
 * Errors: -ENOENT no such probe or CPU.
 */
struct ktramp_cpu_stat {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 cpu;
	__u64 hits;
	__u64 missed;
	__u64 recursed;
	__u64 filtered;
};

/**
 * enum ktramp_code_part - which code of a probe
 * @KTRAMP_CODE_SITE: the function's bytes from the site on, as they are now
 * @KTRAMP_CODE_SLOT: the out-of-line copy
 * @KTRAMP_CODE_DETOUR: what the jump lands in
 * @KTRAMP_CODE_SPRINGBOARD: the 5 bytes of padding that a springboard takes, as they are now
 */
enum ktramp_code_part {
	KTRAMP_CODE_SITE	= 1,
	KTRAMP_CODE_SLOT	= 2,
	KTRAMP_CODE_DETOUR	= 3,
	KTRAMP_CODE_SPRINGBOARD	= 4,
};

/**
 * struct ktramp_code - read a probe's code (KTRAMP_IOC_CODE)
 * @size: (in) sizeof(struct ktramp_code)
 * @flags: (in) 0
 * @id: (in) the probe's number
 * @part: (in) &enum ktramp_code_part
 * @address: (out) of the first byte
 * @length: (out) bytes in @code; for KTRAMP_CODE_SITE up to the end of the function
 * @relocated: (out) offset in @code of the displaced instructions' copy, for a slot
 *	or detour
 * @copied: (out) bytes of that copy; what is behind it is ktramp's again
 * @reserved: 0
 * @code: (out) the bytes
 *
 * Errors: -ENOENT no such probe, or it has no such part; -EPERM addresses are hidden
 * from the caller: code holds them.
 */
struct ktramp_code {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 part;
	__u64 address;
	__u32 length;
	__u32 relocated;
	__u32 copied;
	__u32 reserved;
	__u8 code[KTRAMP_CODE_MAX];
};

/* &ktramp_run.flags */
#define KTRAMP_RUN_MEASURE	(1U << 0)	/* interrupts off, @ticks is valid */
#define KTRAMP_RUN_TRAPS	(1U << 1)	/* count exceptions; slows each #BP down */

/* &ktramp_run.bp and @db when they could not be counted. */
#define KTRAMP_UNKNOWN		(~0ULL)

/**
 * struct ktramp_run - call a target (KTRAMP_IOC_RUN)
 * @size: (in) sizeof(struct ktramp_run)
 * @flags: (in) KTRAMP_RUN_*; MEASURE and TRAPS exclude each other
 * @target: (in) index of the target
 * @id: (in) a probe on that target that the calls are expected to hit, or 0
 * @loops: (in) calls, 1 .. KTRAMP_LOOPS_MAX
 * @now_len: (out) valid bytes in @now
 * @ticks: (out) sum over the calls of what the counter advanced, loop included
 * @calls: (out) calls done; less than @loops only with -EINTR
 * @wrong: (out) calls whose result was not the known one
 * @hits: (out) by how much the probe's hits grew, on this CPU
 * @missed: (out) by how much its missed hits grew, on this CPU
 * @bp: (out) #BP exceptions in kernel mode on this CPU during the calls
 * @db: (out) #DB exceptions in kernel mode on this CPU during the calls
 * @now: (out) bytes at the site, read while the state measured was still held
 *
 * Runs on the calling CPU; pin the thread to choose it. With KTRAMP_RUN_MEASURE the
 * calls are made in stretches of at most 1,000 with interrupts off.
 *
 * KTRAMP_KPROBE_OPT_PENDING lasts only until the optimizer's grace period: it is
 * entered anew at the start of the call and left at its end.
 *
 * Errors: -ENOENT no such target or probe; -EINVAL the probe is on another target, is not
 * armed, loops out of range; -EAGAIN the state could not be held; -EBUSY another run
 * counts traps; -EINTR.
 */
struct ktramp_run {
	__u32 size;
	__u32 flags;
	__u32 target;
	__u32 id;
	__u32 loops;
	__u32 now_len;
	__u64 ticks;
	__u64 calls;
	__u64 wrong;
	__u64 hits;
	__u64 missed;
	__u64 bp;
	__u64 db;
	__u8 now[KTRAMP_BYTES_MAX];
};

/**
 * struct ktramp_regs - registers of the last hit (KTRAMP_IOC_REGS)
 * @size: (in) sizeof(struct ktramp_regs)
 * @flags: (in) 0
 * @id: (in) number of a probe with handler KTRAMP_REGS
 * @cpu: (in) whose last hit
 * @seq: (out) hits recorded on that CPU; the rest is valid if not 0
 * @r: (out) rax rcx rdx rbx rsp rbp rsi rdi r8 .. r15 as the displaced instruction
 *	would have found them
 * @ip: (out) the site's address; 0 if hidden from the caller
 * @eflags: (out) EFLAGS
 * @cs: (out) code segment
 * @ss: (out) stack segment
 *
 * Errors: -ENOENT no such probe or CPU; -EOPNOTSUPP it has another handler; -EPERM
 * addresses are hidden from the caller: registers hold them.
 */
struct ktramp_regs {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 cpu;
	__u64 seq;
	__u64 r[16];
	__u64 ip;
	__u64 eflags;
	__u64 cs;
	__u64 ss;
};

/* &ktramp_load.flags; with neither, only report. */
#define KTRAMP_LOAD_START	(1U << 0)
#define KTRAMP_LOAD_STOP	(1U << 1)

/**
 * struct ktramp_load - threads that call every target (KTRAMP_IOC_LOAD)
 * @size: (in) sizeof(struct ktramp_load)
 * @flags: (in) KTRAMP_LOAD_*
 * @threads: (out) one a CPU while it runs, otherwise 0
 * @reserved: 0
 * @calls: (out) calls since it was started
 * @wrong: (out) calls whose result was not the known one
 *
 * Keeps the targets hit on every CPU while probes come and go; stops when told so or
 * when the module is unloaded, not when the file is closed.
 *
 * Errors: -EALREADY start while it runs; -ENOMEM.
 */
struct ktramp_load {
	__u32 size;
	__u32 flags;
	__u32 threads;
	__u32 reserved;
	__u64 calls;
	__u64 wrong;
};

/* &ktramp_scan.flags: ask the kernel itself about a kprobe at each of them. */
#define KTRAMP_SCAN_ASK		(1U << 0)

/* Functions longer than this are not planned in; no instruction is shorter than a byte. */
#define KTRAMP_SCAN_MAX		(1U << 20)

/* &ktramp_scan_insn.marks */
#define KTRAMP_SCAN_ENTER	(1U << 0)	/* control may come from elsewhere */
#define KTRAMP_SCAN_BRANCH	(1U << 1)	/* a relative branch, @to is valid */
#define KTRAMP_SCAN_PADDING	(1U << 2)	/* nop or int3 that nothing is known to lead to */

/**
 * struct ktramp_scan_insn - what could be done at one instruction
 * @offset: (out) of it in the function
 * @to: (out) where it branches to, counted from the function's first byte
 * @length: (out) bytes
 * @marks: (out) KTRAMP_SCAN_*
 * @tactic: (out) &enum ktramp_tactic of a jump there
 * @kernel: (out) KTRAMP_R_NONE if nothing known is against a kprobe there, or the reason.
 *	Without KTRAMP_SCAN_ASK it leaves the kernel's blacklist out, which
 *	debugfs/kprobes/blacklist has
 * @reason: (out) at index m, for mechanism m: &enum ktramp_reason. KTRAMP_R_NONE for those
 *	that were not asked for
 *
 * A probe at a function's first byte goes behind an endbr64 there (struct ktramp_create): what
 * @tactic, @kernel and @reason of it say is of the instruction behind it.
 */
struct ktramp_scan_insn {
	__u32 offset;
	__s32 to;
	__u8 length;
	__u8 marks;
	__u8 tactic;
	__u8 kernel;
	__u8 reason[8];
};

/**
 * struct ktramp_scan - plan at the instructions of a function (KTRAMP_IOC_SCAN)
 * @size: (in) sizeof(struct ktramp_scan)
 * @flags: (in) 0 or KTRAMP_SCAN_ASK
 * @address: (in) any address in the function; (out) its first byte
 * @insns: (in) pointer to @max structs ktramp_scan_insn
 * @first: (in) number of the first instruction that is wanted, from 0
 * @max: (in) how many are wanted, 1 .. KTRAMP_SCAN_MAX
 * @mechanisms: (in) bit m set: plan for mechanism m of &enum ktramp_mechanism, ours only
 * @nr: (out) instructions the function has, padding included; those of them that are wanted
 *	are written
 * @padding: (out) how many of them are padding
 * @length: (out) bytes of the function
 * @known: (out) bytes of it that are decoded instructions
 * @reason: (out) &enum ktramp_reason if there can be no probe in the function at all
 * @why: (out) the sentence for @reason
 *
 * Nothing is made and no text is written. Slots that are taken are not minded. Without
 * KTRAMP_SCAN_ASK the kernel is not asked, which would cost it millions of instructions
 * each time. What a mechanism would write, and its refusal as a sentence, are told
 * by making a probe (KTRAMP_IOC_CREATE).
 *
 * Errors: -ENOENT no function there; -EINVAL; -EPERM addresses are hidden from the caller;
 * -EBUSY its module comes or goes; -EOPNOTSUPP; -EFAULT; -EINTR; -ENOMEM.
 */
struct ktramp_scan {
	__u32 size;
	__u32 flags;
	__u64 address;
	__u64 insns;
	__u32 first;
	__u32 max;
	__u32 mechanisms;
	__u32 nr;
	__u32 length;
	__u32 known;
	__u32 reason;
	__u32 padding;
	char why[KTRAMP_WHY_MAX];
};

/**
 * enum ktramp_bpf_class - what the detour of a bpf-jump does for its program
 * @KTRAMP_BPF_FULL: the context leaves the program's hands, or is not understood: a whole
 *	pt_regs, and all that protects a program
 * @KTRAMP_BPF_HELPERS: it calls functions: the registers that it reads, all that protects a
 *	program, and every register that a function may change is saved
 * @KTRAMP_BPF_LIGHT: it calls nothing: the registers that it reads, those that it changes are
 *	saved; preemption is off and no second run comes in between, if that matters
 * @KTRAMP_BPF_BARE: it reads no register and changes memory by atomic operations only: what it
 *	changes is saved
 *
 * Chosen from the program's code when it is given to the probe. No program is handled otherwise
 * than in the first one, but for a hit in the middle of another one: what nothing can come of
 * does not protect itself from it.
 */
enum ktramp_bpf_class {
	KTRAMP_BPF_FULL		= 1,
	KTRAMP_BPF_HELPERS	= 2,
	KTRAMP_BPF_LIGHT	= 3,
	KTRAMP_BPF_BARE		= 4,
};

/*
 * &ktramp_bpf.flags: a run of the program in the middle of another one, on the same CPU, does no
 * harm: it needs no guard for what it writes without atomic operations
 */
#define KTRAMP_BPF_REENTRANT	(1U << 0)

/**
 * struct ktramp_bpf - give a probe its BPF program (KTRAMP_IOC_BPF)
 * @size: (in) sizeof(struct ktramp_bpf)
 * @flags: (in) KTRAMP_BPF_REENTRANT or 0
 * @id: (in) number of a probe of ours with handler KTRAMP_BPF or KTRAMP_BPF_INLINE
 * @prog_fd: (in) a loaded program of type BPF_PROG_TYPE_KPROBE
 * @cookie: (in) what bpf_get_attach_cookie() returns; must not change with the program
 * @prog_id: (out) the program's number, as the kernel counts them
 * @was_id: (out) that of the program it had, 0 if none
 * @reason: (out) &enum ktramp_reason
 * @reserved: 0
 * @why: (out) the sentence for @reason
 *
 * The probe keeps the program: the descriptor may be closed. A probe that has one gets the
 * new one in its place, also while it is armed and hit: each hit runs the one or the other,
 * and when the call returns no CPU runs the old one any more. The program goes with the
 * probe.
 *
 * Errors: -ENOENT no such probe; -EPERM it belongs to another open file; -EBADF no program;
 * -EINVAL not of that type, another handler, another cookie; -EOPNOTSUPP a program that
 * cannot run here, see @reason.
 */
struct ktramp_bpf {
	__u32 size;
	__u32 flags;
	__u32 id;
	__s32 prog_fd;
	__u64 cookie;
	__u32 prog_id;
	__u32 was_id;
	__u32 reason;
	__u32 reserved;
	char why[KTRAMP_WHY_MAX];
};

/* &ktramp_site_info.marks */
#define KTRAMP_SITE_ENTRY	(1U << 0)	/* registers hold the arguments */

/**
 * struct ktramp_site_info - what a site's text names (KTRAMP_IOC_SITE)
 * @size: (in) sizeof(struct ktramp_site_info)
 * @flags: (in) 0
 * @offset: (out) of the place in its function; for its first byte, that of the
 *	instruction behind an endbr64 there (struct ktramp_create)
 * @length: (out) bytes of the function
 * @marks: (out) KTRAMP_SITE_*
 * @reason: (out) &enum ktramp_reason
 * @address: (out) of the place; 0 if hidden
 * @site: (in/out) as for struct ktramp_create; (out) the one way it is written
 * @why: (out) the sentence for @reason
 *
 * Nothing is made, and the kernel is not asked whether there may be a probe. Two texts name one
 * place if what comes out as @site is equal.
 *
 * Errors: as KTRAMP_IOC_CREATE, of the site's text.
 */
struct ktramp_site_info {
	__u32 size;
	__u32 flags;
	__u32 offset;
	__u32 length;
	__u32 marks;
	__u32 reason;
	__u64 address;
	char site[KTRAMP_SITE_MAX];
	char why[KTRAMP_WHY_MAX];
};

/* &ktramp_kprobes.nr at the most */
#define KTRAMP_KPROBES_MAX	4096

/**
 * struct ktramp_kprobes - what it takes to arm kprobes (KTRAMP_IOC_KPROBES)
 * @size: (in) sizeof(struct ktramp_kprobes)
 * @flags: (in) 0
 * @addresses: (in) pointer to @nr addresses of instructions, __u64 each
 * @nr: (in) 1 .. KTRAMP_KPROBES_MAX
 * @registered: (out) kprobes that the kernel accepted
 * @jumps: (out) how many of them became jumps
 * @reserved: 0
 * @register_ticks: (out) what the counter advanced in register_kprobe(), sum
 * @jump_ticks: (out) from the first registration until the last one was a jump
 * @unregister_ticks: (out) in unregister_kprobes() for all of them
 *
 * Registers a kprobe with an empty handler at each address, waits until no more of them become
 * jumps, and unregisters them: the kernel's figures beside those of KTRAMP_IOC_ARM.
 *
 * Errors: -EINVAL; -EFAULT; -EINTR; -ENOMEM.
 */
struct ktramp_kprobes {
	__u32 size;
	__u32 flags;
	__u64 addresses;
	__u32 nr;
	__u32 registered;
	__u32 jumps;
	__u32 reserved;
	__u64 register_ticks;
	__u64 jump_ticks;
	__u64 unregister_ticks;
};

/**
 * struct ktramp_watch_id - see a probe's counters after it is gone (KTRAMP_IOC_WATCH)
 * @size: (in) sizeof(struct ktramp_watch_id)
 * @flags: (in) 0
 * @id: (in) the probe's number, of any owner
 * @reserved: 0
 *
 * For who has others' probes to account for: they go without a word when their file is closed.
 * KTRAMP_IOC_PROBE on this open file then has the last counters, until the file is closed.
 *
 * Errors: -ENOENT no such probe; -EBUSY another open file watches it, or this one does already;
 * -ENOMEM.
 */
struct ktramp_watch_id {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 reserved;
};

/* &ktramp_cover_add.flags: what follows a call is a block of its own */
#define KTRAMP_COVER_CALLS	(1U << 0)

/* &ktramp_cover_read.flags: those that somebody else has, not those that were hit */
#define KTRAMP_COVER_BUSY	(1U << 0)

#define KTRAMP_COVER_FUNCS_MAX	4096		/* functions in one KTRAMP_IOC_COVER_ADD */
#define KTRAMP_COVER_MAX	(1U << 18)	/* blocks in one, and in one COVER_READ */

/**
 * struct ktramp_cover_func - a function whose blocks are to be observed
 * @address: (in) any address in it; (out) its first byte
 * @length: (out) bytes
 * @known: (out) bytes of it that are decoded instructions: of the rest no block is known
 * @nr: (out) blocks
 * @reason: (out) KTRAMP_R_NONE, or the &enum ktramp_reason why none of them can be observed;
 *	if nothing of the function could be read, @length and @nr are 0
 */
struct ktramp_cover_func {
	__u64 address;
	__u32 length;
	__u32 known;
	__u32 nr;
	__u32 reason;
};

/**
 * struct ktramp_cover_block - instructions of which all are executed if the first one is
 * @address: (out) of the first one
 * @length: (out) bytes
 * @offset: (out) the first of them on which a breakpoint may stand is so many bytes behind
 *	@address. What comes in front of it is the kernel's to rewrite, or an endbr64
 * @reason: (out) KTRAMP_R_NONE, or why the block cannot be observed
 * @reserved: 0
 */
struct ktramp_cover_block {
	__u64 address;
	__u32 length;
	__u16 offset;
	__u8 reason;
	__u8 reserved;
};

/**
 * struct ktramp_cover_add - find blocks to observe (KTRAMP_IOC_COVER_ADD)
 * @size: (in) sizeof(struct ktramp_cover_add)
 * @flags: (in) 0 or KTRAMP_COVER_CALLS
 * @functions: (in) pointer to @nr structs ktramp_cover_func, which are filled in
 * @blocks: (in) pointer to @max structs ktramp_cover_block
 * @nr: (in) functions, 1 .. KTRAMP_COVER_FUNCS_MAX
 * @max: (in) blocks that there is room for, 1 .. KTRAMP_COVER_MAX
 * @done: (out) functions that were looked at: all, or as many as there was room for the blocks
 *	of, or until a signal
 * @nr_blocks: (out) blocks of those functions, one function behind the other
 * @reason: (out) &enum ktramp_reason
 * @reserved: 0
 * @why: (out) the sentence for @reason
 *
 * The first one makes this open file the one that covers: there is one at a time, and it ends
 * with the file, which takes all breakpoints away. Nothing is written to the text yet. Blocks of
 * functions that cannot be observed are told as well, and stay what they are.
 *
 * Errors: -EBUSY another file covers, or this one has started already; -ENOSPC no room for the
 * blocks of the first function; -EOPNOTSUPP (KTRAMP_R_HIDDEN) the kernel hides the locks or the
 * tables of its own patchers; -EPERM addresses are hidden from the caller; -EINVAL; -EFAULT;
 * -EINTR; -ENOMEM.
 */
struct ktramp_cover_add {
	__u32 size;
	__u32 flags;
	__u64 functions;
	__u64 blocks;
	__u32 nr;
	__u32 max;
	__u32 done;
	__u32 nr_blocks;
	__u32 reason;
	__u32 reserved;
	char why[KTRAMP_WHY_MAX];
};

/**
 * enum ktramp_cover_state - what an open file's coverage is doing
 * @KTRAMP_COVER_NONE: there is none
 * @KTRAMP_COVER_PLANNED: blocks are found, the text is untouched
 * @KTRAMP_COVER_ARMED: breakpoints stand where no hit was yet
 * @KTRAMP_COVER_STOPPED: they are gone; what was hit can be read
 */
enum ktramp_cover_state {
	KTRAMP_COVER_NONE	= 0,
	KTRAMP_COVER_PLANNED	= 1,
	KTRAMP_COVER_ARMED	= 2,
	KTRAMP_COVER_STOPPED	= 3,
};

/**
 * struct ktramp_cover - start, reset, stop, or look (KTRAMP_IOC_COVER_START, _RESET, _STOP, _STAT)
 * @size: (in) sizeof(struct ktramp_cover)
 * @flags: (in) must be 0
 * @state: (out) &enum ktramp_cover_state
 * @entry: (out) &enum ktramp_entry: where its breakpoints come to ktramp
 * @blocks: (out) those that are observed, in all text that is there
 * @hit: (out) of those, hit since the start or the last reset
 * @busy: (out) of those, not observed because a kprobe or a probe is there
 * @gone: (out) those of modules that are gone
 * @traps: (out) breakpoints that were a block's hit, since the start
 * @late: (out) breakpoints that another CPU had taken away by the time they came here
 * @memory: (out) bytes of memory
 * @reason: (out) &enum ktramp_reason
 * @reserved: 0
 * @why: (out) the sentence for @reason
 *
 * Starting writes a breakpoint at each block; one that is hit takes itself away. A reset writes
 * it again at each block that was hit since, and keeps blocks that somebody else patches. Stopping
 * puts back what was not hit. Each returns when no CPU executes the text of before any more.
 *
 * While breakpoints stand, register_kprobe() takes them for somebody else's, and refuses what is
 * behind one in its function (-EILSEQ, -EINVAL). A probe of ours takes the bytes that it needs.
 *
 * Errors: -EINVAL not in this state; -ENOENT no block is observed; -EILSEQ (KTRAMP_R_NOT_OURS)
 * somebody else has rewritten exc_int3(); -ENOMEM.
 */
struct ktramp_cover {
	__u32 size;
	__u32 flags;
	__u32 state;
	__u32 entry;
	__u64 blocks;
	__u64 hit;
	__u64 busy;
	__u64 gone;
	__u64 traps;
	__u64 late;
	__u64 memory;
	__u32 reason;
	__u32 reserved;
	char why[KTRAMP_WHY_MAX];
};

/**
 * struct ktramp_cover_read - which blocks were hit (KTRAMP_IOC_COVER_READ)
 * @size: (in) sizeof(struct ktramp_cover_read)
 * @flags: (in) 0, or KTRAMP_COVER_BUSY
 * @from: (in) lowest address that is wanted
 * @addresses: (in) pointer to @max addresses: of the instructions at which the blocks are
 *	observed (&ktramp_cover_block.offset), ascending
 * @max: (in) 1 .. KTRAMP_COVER_MAX
 * @nr: (out) how many were written. Less than @max: there are no more
 *
 * Errors: -EINVAL nothing was started; -EPERM addresses are hidden from the caller; -EFAULT;
 * -ENOMEM.
 */
struct ktramp_cover_read {
	__u32 size;
	__u32 flags;
	__u64 from;
	__u64 addresses;
	__u32 max;
	__u32 nr;
};

#define KTRAMP_IOC_MAGIC	0xbb

#define KTRAMP_IOC_INFO		_IOWR(KTRAMP_IOC_MAGIC, 1, struct ktramp_info)
#define KTRAMP_IOC_MECHANISM	_IOWR(KTRAMP_IOC_MAGIC, 2, struct ktramp_mechanism_info)
#define KTRAMP_IOC_TARGET	_IOWR(KTRAMP_IOC_MAGIC, 3, struct ktramp_target_info)
#define KTRAMP_IOC_CREATE	_IOWR(KTRAMP_IOC_MAGIC, 4, struct ktramp_create)
#define KTRAMP_IOC_ARM		_IOWR(KTRAMP_IOC_MAGIC, 5, struct ktramp_batch)
#define KTRAMP_IOC_DISARM	_IOWR(KTRAMP_IOC_MAGIC, 6, struct ktramp_batch)
#define KTRAMP_IOC_DESTROY	_IOWR(KTRAMP_IOC_MAGIC, 7, struct ktramp_batch)
#define KTRAMP_IOC_PROBE	_IOWR(KTRAMP_IOC_MAGIC, 8, struct ktramp_probe_info)
#define KTRAMP_IOC_CODE		_IOWR(KTRAMP_IOC_MAGIC, 9, struct ktramp_code)
#define KTRAMP_IOC_RUN		_IOWR(KTRAMP_IOC_MAGIC, 10, struct ktramp_run)
#define KTRAMP_IOC_REGS		_IOWR(KTRAMP_IOC_MAGIC, 11, struct ktramp_regs)
#define KTRAMP_IOC_LOAD		_IOWR(KTRAMP_IOC_MAGIC, 12, struct ktramp_load)
#define KTRAMP_IOC_SCAN		_IOWR(KTRAMP_IOC_MAGIC, 13, struct ktramp_scan)
#define KTRAMP_IOC_CPU_STAT	_IOWR(KTRAMP_IOC_MAGIC, 14, struct ktramp_cpu_stat)
#define KTRAMP_IOC_KPROBES	_IOWR(KTRAMP_IOC_MAGIC, 15, struct ktramp_kprobes)
#define KTRAMP_IOC_SITE	_IOWR(KTRAMP_IOC_MAGIC, 16, struct ktramp_site_info)
#define KTRAMP_IOC_BPF		_IOWR(KTRAMP_IOC_MAGIC, 20, struct ktramp_bpf)
#define KTRAMP_IOC_WATCH	_IOWR(KTRAMP_IOC_MAGIC, 30, struct ktramp_watch_id)
#define KTRAMP_IOC_COVER_ADD	_IOWR(KTRAMP_IOC_MAGIC, 40, struct ktramp_cover_add)
#define KTRAMP_IOC_COVER_START	_IOWR(KTRAMP_IOC_MAGIC, 41, struct ktramp_cover)
#define KTRAMP_IOC_COVER_RESET	_IOWR(KTRAMP_IOC_MAGIC, 42, struct ktramp_cover)
#define KTRAMP_IOC_COVER_STOP	_IOWR(KTRAMP_IOC_MAGIC, 43, struct ktramp_cover)
#define KTRAMP_IOC_COVER_STAT	_IOWR(KTRAMP_IOC_MAGIC, 44, struct ktramp_cover)
#define KTRAMP_IOC_COVER_READ	_IOWR(KTRAMP_IOC_MAGIC, 45, struct ktramp_cover_read)

#endif /* _UAPI_KTRAMP_H */
