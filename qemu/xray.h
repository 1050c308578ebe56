/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What `ktramp record` in the guest and the plugin in QEMU say to each other.
 *
 * An order is a page of the guest's memory and one store to it, by an instruction that
 * nobody else has: the plugin knows it by its bytes, learns from the store which page it
 * is, and reads and answers there. The guest needs no driver and the host no socket, and
 * the order is carried out before the guest's next instruction.
 */
#ifndef KTRAMP_XRAY_H
#define KTRAMP_XRAY_H

#include <stdint.h>

#define XRAY_PAGE	4096u
#define XRAY_MAGIC	0x7961722d706d6172ULL
#define XRAY_RANGES	16
#define XRAY_LIST	128

/* mov %eax, XRAY_STORE(%rdi) */
#define XRAY_STORE	0x6b787279
#define XRAY_STORE_BYTES	{ 0x89, 0x87, 0x79, 0x72, 0x78, 0x6b }

enum xray_command {
	XRAY_ATTACH	= 1,	/* see every instruction; @attached tells from when on */
	XRAY_START	= 2,	/* keep hits */
	XRAY_STOP	= 3,
	XRAY_ASK	= 4,	/* which instructions were in the hits kept since XRAY_START? */
	XRAY_WATCH	= 5,	/* note every instruction that is executed from now on, in sets */
	XRAY_SEEN	= 6,	/* which instructions are in one of the sets? */
};

struct xray_range {
	uint64_t from;
	uint64_t to;
};

/**
 * struct xray_order - the page
 * @command: (in) the store's target
 * @answer: (out) @command, as soon as it is done
 * @attached: (out) 1 as soon as ATTACH is done, which needs the CPU to leave translated code
 * @nr_ends: (in) START: valid ones of @end
 * @magic: (in) XRAY_MAGIC
 * @number: (in) START: what the trace calls it
 * @begin: (in) START: a hit begins with the instruction here
 * @end: (in) START: and ends in front of the first one in any of these
 * @hits: (out) STOP: whole hits since START
 * @lost: (out) STOP: those that did not end within @most instructions
 * @most: (in) START: instructions of a hit
 * @keep: (in) START: hits to keep in the trace; further ones are counted only
 * @first: (in) ASK, SEEN: how many addresses to skip
 * @nr: (out) ASK, SEEN: how many there are
 * @address: (out) ASK, SEEN: of the instructions from @first on
 * @sets: (in) WATCH: bit n: they come into set n; SEEN: those of any of these sets
 */
struct xray_order {
	uint32_t command;
	uint32_t answer;
	uint32_t attached;
	uint32_t nr_ends;
	uint64_t magic;
	uint64_t number;
	uint64_t begin;
	struct xray_range end[XRAY_RANGES];
	uint64_t hits;
	uint64_t lost;
	uint64_t most;
	uint64_t keep;
	uint64_t first;
	uint64_t nr;
	uint64_t address[XRAY_LIST];
	uint64_t sets;
};

_Static_assert(sizeof(struct xray_order) <= XRAY_PAGE, "an order is one page");

#endif /* KTRAMP_XRAY_H */
