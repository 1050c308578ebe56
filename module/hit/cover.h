/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Blocks that are watched by breakpoints which take themselves away: what a hit looks at.
 */
#ifndef KTRAMP_HIT_COVER_H
#define KTRAMP_HIT_COVER_H

#include <linux/bitops.h>
#include <linux/types.h>

struct pt_regs;

/* Bytes of text for which there is a rank. */
#define KTRAMP_COVER_RANK	512

/* Bits that count the sites in front of a word of one rank: up to 448 of them. */
#define KTRAMP_COVER_COUNT	9

/**
 * struct ktramp_cover_rank - how many sites there are in front of a place
 * @before: in front of these bytes of text
 * @within: for each but the first of their words in the map of sites, how many are in front of
 *	it, %KTRAMP_COVER_COUNT bits each
 */
struct ktramp_cover_rank {
	u32 before;
	u64 within;
} __packed __aligned(4);

/**
 * struct ktramp_cover_area - the text of the kernel, or of one module, and its blocks
 * @start: first byte
 * @size: bytes of it
 * @map: a writable mapping of all of them
 * @site: bit n: byte n is the first one of an instruction that a block is observed at
 * @rank: of each %KTRAMP_COVER_RANK bytes
 * @nr: sites, of which each has a number: how many are in front of it
 * @orig: by number: the byte that an int3 stands for
 * @done: by number: an int3 there is not ours any more
 * @busy: by number: it was not ours either, since before the last reset
 * @again: by number: the int3 will be written; scratch of who arms
 *
 * The map of sites, the ranks and @orig do not change while the area can be found by a hit. @done
 * is set by hits, with atomic operations, and so it is by everybody else.
 */
struct ktramp_cover_area {
	unsigned long start;
	unsigned long size;
	u8 *map;
	unsigned long *site;
	struct ktramp_cover_rank *rank;
	u32 nr;
	u8 *orig;
	unsigned long *done;
	unsigned long *busy;
	unsigned long *again;
};

/**
 * struct ktramp_cover_areas - those that a hit looks through
 * @nr: how many
 * @area: them, by address
 */
struct ktramp_cover_areas {
	unsigned int nr;
	const struct ktramp_cover_area *area[];
};

/**
 * struct ktramp_cover_count - what int3s of blocks came to, on one CPU
 * @traps: were a block's hit
 * @late: were gone already, taken away on another CPU
 */
struct ktramp_cover_count {
	u64 traps;
	u64 late;
};

bool ktramp_cover_hit(struct pt_regs *regs);

void ktramp_cover_index(struct ktramp_cover_area *area);
u32 ktramp_cover_number(const struct ktramp_cover_area *area, unsigned long off);
const struct ktramp_cover_areas *ktramp_cover_publish(const struct ktramp_cover_areas *areas);
void ktramp_cover_recover(u8 *code, unsigned long start, unsigned long size);
void ktramp_cover_yield(unsigned long start, unsigned long size);
bool ktramp_cover_overlaps(unsigned long start, unsigned long size);
void ktramp_cover_sum(struct ktramp_cover_count *sum);

#endif /* KTRAMP_HIT_COVER_H */
