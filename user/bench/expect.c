// SPDX-License-Identifier: GPL-2.0-only
/*
 * How each mechanism proves that it is the one measured: by the first byte at the site, of
 * a jump with prefixes by all of those, by the exceptions a hit takes, and, for kprobes, by
 * what the kernel says of them.
 */
#include <errno.h>
#include <string.h>

#include "lib/ktramp.h"

#define INT3	0xcc
#define JMP	0xe9
#define JMP8	0xeb
#define CALL	0xe8
#define PREFIX	0x2e

#define JMP_SIZE	5

#define OURS(bps, dbs, byte) \
	{ .bp = (bps), .db = (dbs), .first = (byte), .optimization = EXPECT_ANY }
#define PUNS \
	{ .bp = 0, .db = 0, .first = JMP, .optimization = EXPECT_ANY, .puns = true }
#define KPROBE(bps, byte, opt, text) \
	{ .bp = (bps), .db = 0, .first = (byte), .optimization = (opt), .marks = (text) }

static const struct expect any = {
	.bp = EXPECT_ANY, .db = EXPECT_ANY, .first = EXPECT_ANY, .optimization = EXPECT_ANY,
};

static const struct expect expects[] = {
	[KTRAMP_CALL] = {
		.first = EXPECT_ANY, .optimization = EXPECT_ANY, .silent = true,
	},
	[KTRAMP_INT3_EMULATE]	= OURS(1, 0, INT3),
	[KTRAMP_INT3_STEP_TF] = {
		.bp = 1, .db = 1, .first = INT3, .optimization = EXPECT_ANY, .steps = true,
	},
	[KTRAMP_INT3_STEP_INT3]	= OURS(2, 0, INT3),
	[KTRAMP_INT3_BOOST]	= OURS(1, 0, INT3),
	[KTRAMP_JUMP]		= PUNS,
	[KTRAMP_KPROBE_STEP]	= KPROBE(2, INT3, 0, ""),
	[KTRAMP_KPROBE_EMULATE]	= KPROBE(1, INT3, 0, ""),
	[KTRAMP_KPROBE_BOOST]	= KPROBE(1, INT3, 0, ""),
	/* The kernel marks a kprobe optimized when it queues it: only its bytes tell. */
	[KTRAMP_KPROBE_OPT_PENDING] = {
		.bp = 1, .first = INT3, .optimization = 1, .fleeting = true,
	},
	[KTRAMP_KPROBE_OPT]	= KPROBE(0, JMP, 1, "[OPTIMIZED]"),
	[KTRAMP_KPROBE_FTRACE]	= KPROBE(0, CALL, EXPECT_ANY, "[FTRACE]"),
	[KTRAMP_KRETPROBE]	= KPROBE(0, CALL, EXPECT_ANY, "[FTRACE]"),
	[KTRAMP_FTRACE]		= OURS(0, 0, CALL),
	[KTRAMP_FPROBE]		= OURS(0, 0, CALL),
	/* A static key is a nop or a jump of 2 or 5 bytes, as the assembler chose. */
	[KTRAMP_TRACEPOINT_OFF]	= {
		.first = EXPECT_ANY, .optimization = EXPECT_ANY, .silent = true,
	},
	[KTRAMP_TRACEPOINT]	= OURS(0, 0, EXPECT_ANY),
	[KTRAMP_BPF_KPROBE_STEP] = KPROBE(2, INT3, 0, ""),
	[KTRAMP_BPF_KPROBE_INT3] = {
		.bp = 1, .first = INT3, .optimization = 1, .fleeting = true,
	},
	[KTRAMP_BPF_KPROBE_OPT]	= KPROBE(0, JMP, 1, "[OPTIMIZED]"),
	[KTRAMP_BPF_KPROBE_FTRACE] = KPROBE(0, CALL, EXPECT_ANY, "[FTRACE]"),
	[KTRAMP_BPF_KPROBE_MULTI] = OURS(0, 0, CALL),
	[KTRAMP_BPF_KRETPROBE]	= KPROBE(0, CALL, EXPECT_ANY, "[FTRACE]"),
	[KTRAMP_BPF_FENTRY]	= OURS(0, 0, CALL),
	/* From 6.19 on the kernel jumps to a trampoline that returns to the caller by itself. */
	[KTRAMP_BPF_FEXIT] = {
		.first = CALL, .or_first = JMP, .optimization = EXPECT_ANY,
	},
	[KTRAMP_BPF_RAW_TP]	= OURS(0, 0, EXPECT_ANY),
	[KTRAMP_BPF_TRACEPOINT]	= OURS(0, 0, EXPECT_ANY),
	[KTRAMP_BPF_JUMP]	= PUNS,
	[KTRAMP_INT3_DIVERT]	= OURS(1, 0, INT3),
};

/* A mechanism newer than this command has nothing to prove. */
const struct expect *expect_of(uint32_t mechanism)
{
	if (!mechanism || mechanism >= ARRAY_SIZE(expects))
		return &any;
	return &expects[mechanism];
}

/* #BP of one call: each time that the target comes back into a jump, it meets one more. */
int expect_bp(const struct expect *expect, const struct ktramp_probe_info *probe,
	      const struct ktramp_target_info *target)
{
	if (expect->puns && probe->tactic == KTRAMP_TACTIC_PUN)
		return expect->bp + target->entered;
	return expect->bp;
}

/* The bytes at the site while armed: prefixes, if there are any, and the byte behind them. */
int expect_bytes(const struct expect *expect, const struct ktramp_probe_info *probe,
		 const uint8_t *now, uint32_t len, char *why, size_t size)
{
	uint32_t prefixes = expect->puns && probe->length > JMP_SIZE ? probe->length - JMP_SIZE : 0;
	int first = expect->first;

	if (first == EXPECT_ANY)
		return 0;
	if (expect->puns && probe->tactic == KTRAMP_TACTIC_SPRINGBOARD)
		first = JMP8;
	for (uint32_t i = 0; i <= prefixes; i++) {
		uint8_t want = i < prefixes ? PREFIX : first;

		if (i < len && (now[i] == want || (expect->or_first && now[i] == expect->or_first)))
			continue;
		snprintf(why, size, "byte %u at the site was %02x while armed, expected %02x", i,
			 i < len ? now[i] : 0, want);
		return -EILSEQ;
	}
	return 0;
}

/* The words in brackets at the end of a line of the kernel's list. */
static const char *marks_of(const char *line)
{
	const char *mark = strchr(line, '[');

	return mark ? mark : "";
}

int expect_listed(const struct expect *expect, const struct ktramp_probe_info *probe,
		  char *why, size_t size)
{
	char line[512];
	int err;

	if (!expect->marks)
		return 0;

	err = kprobe_list_find(probe->address, probe->site, line, sizeof(line));
	if (err == -ENODATA) {
		snprintf(why, size, "its state cannot be proven: no kprobes/list in "
			 "/sys/kernel/debug; run 'mount -t debugfs none /sys/kernel/debug'");
		return err;
	}
	if (err) {
		snprintf(why, size, "its state cannot be proven: no line for %s in the kernel's "
			 "kprobes/list: %s", probe->site, strerror(-err));
		return err;
	}
	if (strcmp(marks_of(line), expect->marks)) {
		snprintf(why, size, "the kernel says '%s' of this kprobe, expected '%s'",
			 marks_of(line), expect->marks);
		return -EILSEQ;
	}
	return 0;
}
