/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract between ktramp_state.ko and state_test: /dev/ktramp_state.
 *
 * For tests. Whoever may open it may write the text of any module and jump anywhere.
 */
#ifndef KTRAMP_STATE_H
#define KTRAMP_STATE_H

#define KTRAMP_STATE_DEVICE	"/dev/ktramp_state"

/* A cell holds one case's code. Cells share functions: what is known of one is found once. */
#define STATE_CELL_SIZE		64
#define STATE_FUNC_CELLS	3
#define STATE_FUNCS		170
#define STATE_CELLS		(STATE_FUNCS * STATE_FUNC_CELLS)

/*
 * In front of each such function, and behind the last one, is one of nothing but padding. Each
 * cell has one within reach of a short jump; and in each there is room for springboards of
 * four probes in all three cells that reach it, even where the kernel keeps its last bytes.
 */
#define STATE_PADDING_SIZE	96
#define STATE_STRIDE		(STATE_PADDING_SIZE + STATE_CELL_SIZE * STATE_FUNC_CELLS)
#define STATE_TEXT_SIZE		(STATE_STRIDE * STATE_FUNCS + STATE_PADDING_SIZE)

/* Functions that begin with what ftrace owns, behind which there is room for a cell. */
#define STATE_ENTRIES		8

/* Memory a case may touch, bytes. Of the stack's, half is above the stack pointer. */
#define STATE_DATA_SIZE		512
#define STATE_STACK_SIZE	1024
#define STATE_PERCPU_SIZE	128
#define STATE_WORDS		((STATE_DATA_SIZE + STATE_STACK_SIZE + STATE_PERCPU_SIZE) / 8)

#define STATE_PATCHES		4	/* words of memory a case wants to be something */
#define STATE_CHANGES		12	/* words of memory it may have changed */
#define STATE_IMAGE_SIZE	832	/* x87, SSE and AVX, as XSAVE writes them */

#ifndef __ASSEMBLY__

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct state_info - where everything is (STATE_IOC_INFO)
 * @cells: (out) the padding in front of the first cell
 * @entries: (out) the 5 bytes that ftrace owns of each such function, 0 if it does not
 * @data: (out) STATE_DATA_SIZE bytes, margins on both sides
 * @stack: (out) STATE_STACK_SIZE bytes, a margin of four pages below them
 * @percpu: (out) STATE_PERCPU_SIZE bytes, as an offset from GS
 * @gs: (out) GS base of the CPU that asked
 * @fall: (out) where a case ends that fell out of its last instruction
 * @taken: (out) where a branch may lead
 * @back: (out) where a call may lead that returns at once
 * @hole: (out) a page that is not there
 * @constant: (out) words that can only be read
 * @xfeatures: (out) the parts of the vector state that are kept, 0 if none can be
 */
struct state_info {
	__u64 cells;
	__u64 entries[STATE_ENTRIES];
	__u64 data;
	__u64 stack;
	__u64 percpu;
	__u64 gs;
	__u64 fall;
	__u64 taken;
	__u64 back;
	__u64 hole;
	__u64 constant;
	__u64 xfeatures;
};

/**
 * struct state_copy - read kernel memory, write module text (STATE_IOC_READ, _WRITE)
 * @address: (in) in the kernel
 * @buffer: (in) the caller's
 * @size: (in) bytes
 */
struct state_copy {
	__u64 address;
	__u64 buffer;
	__u64 size;
};

/* &state_case.flags */
#define STATE_VECTOR	(1U << 0)	/* the vector registers belong to the state */
#define STATE_PUSHES	(1U << 1)	/* what it leaves between the stack pointers counts */

/**
 * struct state_case - the state before
 * @r: rax rcx rdx rbx rsp rbp rsi rdi r8 .. r15
 * @rflags: RFLAGS
 * @entry: where to start
 * @memory: seed of all memory and of the vector registers
 * @flags: STATE_VECTOR, STATE_PUSHES
 * @length: of the instruction that may fault, bytes; it is skipped then
 * @patches: entries of @at and @word
 * @reserved: 0
 * @at: number of a word: the data's first, then the stack's, then the per-CPU ones
 * @word: what it is
 */
struct state_case {
	__u64 r[16];
	__u64 rflags;
	__u64 entry;
	__u64 memory;
	__u32 flags;
	__u32 length;
	__u32 patches;
	__u32 reserved;
	__u32 at[STATE_PATCHES];
	__u64 word[STATE_PATCHES];
};

/* &state_result.exit */
#define STATE_FELL	1
#define STATE_TOOK	2

/**
 * struct state_result - the state after
 * @r: as in struct state_case
 * @rflags: RFLAGS
 * @exit: STATE_FELL or STATE_TOOK
 * @traps: exceptions raised
 * @trapnr: the last one's number
 * @error: and its error code
 * @address: of a page fault
 * @vector: checksum of the vector state, 0 if it does not belong to it
 * @changed: words of memory that are not what they were; entries of @at and @word
 * @reserved: 0
 * @at: their numbers
 * @word: what they are now
 */
struct state_result {
	__u64 r[16];
	__u64 rflags;
	__u32 exit;
	__u32 traps;
	__u32 trapnr;
	__u32 error;
	__u64 address;
	__u64 vector;
	__u32 changed;
	__u32 reserved;
	__u32 at[STATE_CHANGES];
	__u64 word[STATE_CHANGES];
};

/**
 * struct state_run - execute cases (STATE_IOC_RUN)
 * @cases: (in) struct state_case, @nr of them
 * @results: (in) where to put as many struct state_result
 * @image: (in) 0, or where to put the last case's vector state, STATE_IMAGE_SIZE bytes
 * @nr: (in) how many
 * @reserved: 0
 */
struct state_run {
	__u64 cases;
	__u64 results;
	__u64 image;
	__u32 nr;
	__u32 reserved;
};

#define STATE_IOC_MAGIC	0xbc
#define STATE_IOC_INFO	_IOR(STATE_IOC_MAGIC, 1, struct state_info)
#define STATE_IOC_READ	_IOW(STATE_IOC_MAGIC, 2, struct state_copy)
#define STATE_IOC_WRITE	_IOW(STATE_IOC_MAGIC, 3, struct state_copy)
#define STATE_IOC_RUN	_IOW(STATE_IOC_MAGIC, 4, struct state_run)

#endif /* __ASSEMBLY__ */
#endif /* KTRAMP_STATE_H */
