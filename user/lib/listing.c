// SPDX-License-Identifier: GPL-2.0-only
/* A probe's code as a page to read: what is the kernel's, what is ours, what jumps where. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ktramp.h"
#include "xray/xray.h"

/* Enough to see where control comes back to. */
#define SITE_SHOWN	48U

static const char *const titles[VIEW_PARTS] = {
	[VIEW_BEFORE]	= "site before",
	[VIEW_ARMED]	= "site armed",
	[VIEW_SPRINGBOARD] = "springboard",
	[VIEW_SLOT]	= "slot",
	[VIEW_DETOUR]	= "detour",
	[VIEW_AFTER]	= "site after",
};

static const char *const origins[] = {
	[ORIGIN_KERNEL]	= "original",
	[ORIGIN_PROBE]	= "probe",
	[ORIGIN_COPY]	= "relocated",
	[ORIGIN_REST]	= "rest",
};

static const char marks[] = {
	[ORIGIN_KERNEL]	= ' ',
	[ORIGIN_PROBE]	= '*',
	[ORIGIN_COPY]	= '=',
	[ORIGIN_REST]	= '-',
};

/* Where an int3 at the site leads. */
static const char *const at_site[] = {
	[KTRAMP_INT3_EMULATE]	= "#BP: the handler, then the instruction is emulated",
	[KTRAMP_INT3_STEP_TF]	= "#BP: the handler, then the slot with EFLAGS.TF set, #DB",
	[KTRAMP_INT3_STEP_INT3]	= "#BP: the handler, then the slot, #BP",
	[KTRAMP_INT3_BOOST]	= "#BP: the handler, then the slot, which jumps back",
	[KTRAMP_INT3_DIVERT]	= "#BP: on to the detour",
	[KTRAMP_KPROBE_STEP]	= "#BP: kprobe handler, copied instruction, #BP",
	[KTRAMP_KPROBE_EMULATE]	= "#BP: kprobe handler, then the instruction is emulated",
	[KTRAMP_KPROBE_BOOST]	= "#BP: kprobe handler, copied instruction, jump back",
	[KTRAMP_KPROBE_OPT_PENDING] = "#BP: kprobe handler, then the copy in the detour",
};

static unsigned int patched_length(const struct view *view)
{
	const struct listing *before = &view->listing[VIEW_BEFORE];
	const struct listing *armed = &view->listing[VIEW_ARMED];

	if (!memcmp(before->code, armed->code, MIN(before->length, armed->length)))
		return 0;
	switch (armed->code[0]) {
	case 0xcc:
		return 1;
	case 0xe8:
	case 0xe9:
		return MIN(5U, armed->length);
	case 0xeb:
		return MIN(2U, armed->length);
	default:
		return MIN(view->probe.length, armed->length);
	}
}

/* A static key is within the function, not at the site. */
static void mark_changes(const struct listing *before, struct listing *armed)
{
	for (unsigned int i = 0; i < armed->nr; i++) {
		struct insn_line *line = &armed->lines[i];

		if (line->origin == ORIGIN_KERNEL &&
		    memcmp(before->code + line->offset, armed->code + line->offset, line->length))
			line->origin = ORIGIN_PROBE;
	}
}

/* Padding between functions is of no interest, unless it was displaced. */
static void trim(struct listing *listing, unsigned int displaced)
{
	while (listing->nr) {
		const struct insn_line *last = &listing->lines[listing->nr - 1];

		if (last->offset < displaced || last->origin != ORIGIN_KERNEL ||
		    (strncmp(last->text, "int3", 4) && strncmp(last->text, "nop", 3)))
			break;
		listing->nr--;
	}
}

static void disassemble_site(struct view *view, struct disasm *disasm)
{
	struct listing *before = &view->listing[VIEW_BEFORE];
	struct listing *armed = &view->listing[VIEW_ARMED];
	unsigned int patched = patched_length(view), displaced, shown, insns;

	shown = disasm_cover(disasm, before->code, before->length,
			     MIN(before->length, SITE_SHOWN), &insns);
	disasm_range(disasm, before, 0, shown, ORIGIN_KERNEL);

	/* Behind a patch the old stream of instructions goes on, not one that starts there. */
	displaced = disasm_cover(disasm, before->code, before->length, patched, &insns);
	disasm_range(disasm, armed, 0, patched, ORIGIN_PROBE);
	disasm_rest(armed, patched, displaced, insns == 1 ?
		    "(rest of the displaced instruction)" :
		    "(rest of the displaced instructions)");
	disasm_range(disasm, armed, displaced, shown, ORIGIN_KERNEL);
	mark_changes(before, armed);
	trim(before, displaced);
	trim(armed, displaced);

	if (patched == 1 && armed->nr && view->mechanism->mechanism < ARRAY_SIZE(at_site) &&
	    at_site[view->mechanism->mechanism])
		snprintf(armed->lines[0].note, sizeof(armed->lines[0].note), "%s",
			 at_site[view->mechanism->mechanism]);
}

static void disassemble_copy(struct view *view, struct disasm *disasm, enum view_part part)
{
	struct listing *listing = &view->listing[part];
	unsigned int from = view->relocated[part], to = from + view->copied[part];

	disasm_range(disasm, listing, 0, from, ORIGIN_PROBE);
	disasm_range(disasm, listing, from, to, ORIGIN_COPY);
	disasm_range(disasm, listing, to, listing->length, ORIGIN_PROBE);

	for (unsigned int i = 0; i < listing->nr; i++)
		if (view->mechanism->mechanism == KTRAMP_INT3_STEP_INT3 &&
		    listing->lines[i].offset == to && listing->code[to] == 0xcc)
			snprintf(listing->lines[i].note, sizeof(listing->lines[i].note),
				 "#BP: back to the instruction behind the site");
}

static bool label_range(char *buf, size_t size, const char *name, uint64_t start,
			uint64_t length, uint64_t address)
{
	if (!start || address < start || address - start >= length)
		return false;
	if (address == start)
		snprintf(buf, size, "%s", name);
	else
		snprintf(buf, size, "%s+0x%" PRIx64, name, address - start);
	return true;
}

static bool label_here(const struct view *view, uint64_t address, char *buf, size_t size)
{
	const struct ktramp_target_info *target = view->target;
	const struct listing *slot = &view->listing[VIEW_SLOT];
	const struct listing *detour = &view->listing[VIEW_DETOUR];
	const struct listing *springboard = &view->listing[VIEW_SPRINGBOARD];
	char symbol[KTRAMP_SITE_MAX];

	snprintf(symbol, sizeof(symbol), "%.*s", (int)strcspn(target->site, "+"), target->site);
	return label_range(buf, size, "detour", detour->length ? detour->address : 0,
			   detour->length, address) ||
	       label_range(buf, size, "slot", slot->length ? slot->address : 0, slot->length,
			   address) ||
	       label_range(buf, size, "springboard", springboard->address, springboard->length,
			   address) ||
	       label_range(buf, size, symbol, target->address ? target->address - target->offset :
			   0, target->func_size, address);
}

static void note(struct insn_line *line, const char *label)
{
	snprintf(line->note, sizeof(line->note), "%s %.140s", line->branch ? "->" : "#", label);
}

/* A line's name for its target: found here, or left to the kernel's symbols. */
static void annotate(struct view *view, enum view_part from, enum view_part to)
{
	struct insn_line *asked[128];
	struct ksym syms[ARRAY_SIZE(asked)] = { 0 };
	char label[KTRAMP_SITE_MAX];
	size_t n = 0;

	for (unsigned int part = from; part <= to; part++) {
		struct listing *listing = &view->listing[part];

		for (unsigned int i = 0; i < listing->nr; i++) {
			struct insn_line *line = &listing->lines[i];

			if (!line->target)
				continue;
			if (label_here(view, line->target, label, sizeof(label))) {
				note(line, label);
			} else if (n < ARRAY_SIZE(asked)) {
				syms[n].address = line->target;
				asked[n++] = line;
			}
		}
	}

	if (view->symbols ? symbols_resolve(view->symbols, syms, n) : ksyms_resolve(syms, n))
		return;
	for (size_t i = 0; i < n; i++)
		if (syms[i].start &&
		    label_range(label, sizeof(label), syms[i].name, syms[i].start, UINT32_MAX,
				syms[i].address))
			note(asked[i], label);
}

/* A part that the probe does not have leaves the listing empty. */
int view_read(struct view *view, const struct dev *dev, uint32_t id, uint32_t part,
	      enum view_part to)
{
	struct listing *listing = &view->listing[to];
	struct ktramp_code code;
	int err = dev_code(dev, id, part, &code);

	if (err)
		return err == -ENOENT ? 0 : err;
	listing->address = code.address;
	listing->length = MIN(code.length, (uint32_t)KTRAMP_CODE_MAX);
	memcpy(listing->code, code.code, listing->length);
	view->relocated[to] = MIN(code.relocated, listing->length);
	view->copied[to] = MIN(code.copied, listing->length - view->relocated[to]);
	return 0;
}

void view_disassemble(struct view *view, struct disasm *disasm)
{
	struct listing *springboard = &view->listing[VIEW_SPRINGBOARD];

	disassemble_site(view, disasm);
	disasm_range(disasm, springboard, 0, springboard->length, ORIGIN_PROBE);
	for (enum view_part part = VIEW_SLOT; part <= VIEW_DETOUR; part++)
		disassemble_copy(view, disasm, part);
	annotate(view, VIEW_BEFORE, VIEW_DETOUR);
}

/* As much of it as there is of the site before. */
void view_disassemble_after(struct view *view, struct disasm *disasm)
{
	const struct listing *before = &view->listing[VIEW_BEFORE];
	struct listing *after = &view->listing[VIEW_AFTER];
	unsigned int shown = 0;

	if (before->nr)
		shown = before->lines[before->nr - 1].offset + before->lines[before->nr - 1].length;
	disasm_range(disasm, after, 0, MIN(shown, after->length), ORIGIN_KERNEL);
	mark_changes(before, after);
	annotate(view, VIEW_AFTER, VIEW_AFTER);
}

/* A site that is as it was is told in one line, not listed again. */
static bool is_restored(const struct view *view, enum view_part part)
{
	const struct listing *before = &view->listing[VIEW_BEFORE];
	const struct listing *after = &view->listing[VIEW_AFTER];

	return part == VIEW_AFTER && before->length == after->length &&
	       !memcmp(before->code, after->code, after->length);
}

static void print_listing(const struct listing *listing, unsigned int origin, int bytes_width,
			  int text_width)
{
	for (unsigned int i = 0; i < listing->nr; i++) {
		const struct insn_line *line = &listing->lines[i];
		char bytes[64];

		hex(bytes, sizeof(bytes), listing->code + line->offset, line->length);
		if (*line->note)
			printf("  %c +0x%-4x %-*s  %-*s  %s\n", marks[line->origin],
			       origin + line->offset, bytes_width, bytes, text_width, line->text,
			       line->note);
		else
			printf("  %c +0x%-4x %-*s  %s\n", marks[line->origin],
			       origin + line->offset, bytes_width, bytes, line->text);
	}
}

static void print_legend(const struct view *view)
{
	bool ours = view->mechanism->kind == KTRAMP_KIND_OURS;
	bool used[ARRAY_SIZE(marks)] = { false };

	for (unsigned int part = 0; part < VIEW_PARTS; part++)
		for (unsigned int i = 0; i < view->listing[part].nr; i++)
			used[view->listing[part].lines[i].origin] = true;

	if (used[ORIGIN_PROBE])
		printf("  * written by %s\n", ours ? "ktramp" : "the kernel's own mechanism");
	if (used[ORIGIN_COPY])
		printf("  = displaced from the site, copied here\n");
	if (used[ORIGIN_REST])
		printf("  - left over, not executed while armed\n");
}

static bool is_elsewhere(enum view_part part)
{
	return part == VIEW_SLOT || part == VIEW_DETOUR || part == VIEW_SPRINGBOARD;
}

/* Offsets count from the function at the site, from the first byte elsewhere. */
static unsigned int origin_of(const struct view *view, enum view_part part)
{
	const struct ktramp_target_info *target = view->target;

	if (is_elsewhere(part))
		return 0;
	return target->offset + (view->listing[part].address - target->address);
}

void view_print(const struct view *view)
{
	int bytes_width = 0, text_width = 0;

	for (unsigned int part = 0; part < VIEW_PARTS; part++) {
		const struct listing *listing = &view->listing[part];

		for (unsigned int i = 0; i < listing->nr; i++) {
			const struct insn_line *line = &listing->lines[i];

			bytes_width = MAX(bytes_width, 3 * (int)line->length - 1);
			if (*line->note)
				text_width = MAX(text_width, (int)strlen(line->text));
		}
	}
	for (unsigned int part = 0; part < VIEW_PARTS; part++) {
		const struct listing *listing = &view->listing[part];

		if (!listing->length || is_restored(view, part))
			continue;
		printf("\n%s, at 0x%" PRIx64, titles[part], listing->address);
		if (is_elsewhere(part))
			printf(", %u bytes", listing->length);
		printf("\n");
		print_listing(listing, origin_of(view, part), bytes_width, text_width);
	}
	printf("\n");
	print_legend(view);
}

static json_t *line_json(const struct listing *listing, const struct insn_line *line)
{
	return json_pack("{s:I, s:o, s:s, s:s, s:o, s:o}",
			 "offset", (json_int_t)line->offset,
			 "bytes", json_hex(listing->code + line->offset, line->length),
			 "origin", origins[line->origin],
			 "insn", line->text,
			 "target", json_address(line->target),
			 "note", *line->note ? json_string(line->note) : json_null());
}

json_t *view_json(const struct view *view)
{
	json_t *parts = json_array();

	for (unsigned int part = 0; part < VIEW_PARTS; part++) {
		const struct listing *listing = &view->listing[part];
		json_t *lines = json_array();

		if (!listing->length) {
			json_decref(lines);
			continue;
		}
		for (unsigned int i = 0; i < listing->nr; i++)
			json_array_append_new(lines, line_json(listing, &listing->lines[i]));
		json_array_append_new(parts, json_pack("{s:s, s:o, s:I, s:o}",
						       "part", titles[part],
						       "address", json_address(listing->address),
						       "length", (json_int_t)listing->length,
						       "lines", lines));
	}
	return parts;
}
