// SPDX-License-Identifier: GPL-2.0-only
/* What each mechanism would do at one instruction: probes that are made and never armed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ktramp.h"

#define PREFIX		0x2e
#define JMP_REL32	0xe9
#define JMP_REL8	0xeb
#define INT3		0xcc

#define FUNCTION_MAX	65536	/* instructions */

struct plan {
	const struct ktramp_mechanism_info *mechanism;
	struct ktramp_probe_info probe;
	uint32_t reason;
	char why[KTRAMP_WHY_MAX];
};

struct site_plan {
	const struct dev *dev;
	struct ktramp_target_info place;
	unsigned int nr;
	struct plan *plans;
	const struct plan *chosen;
	struct disasm *disasm;
	struct view view;
	uint32_t nr_insns;		/* of the function, 0 if addresses are hidden */
	struct ktramp_scan_insn *insns;
};

/* Make a probe, look at it, let it go. */
static int try_one(struct site_plan *sp, struct plan *plan)
{
	struct ktramp_create create = {
		.mechanism = plan->mechanism->mechanism, .handler = KTRAMP_COUNT,
	};
	struct ktramp_batch batch;
	int err;

	strcpy(create.site, sp->place.site);
	err = dev_create(sp->dev, &create);
	if (err && !create.reason) {
		p_err("cannot plan '%s' at '%s': %s", plan->mechanism->name, sp->place.site,
		      strerror(-err));
		return err;
	}
	plan->reason = create.reason;
	strcpy(plan->why, create.why);
	if (err)
		return 0;
	err = dev_probe(sp->dev, create.id, 0, &plan->probe);
	if (!err && plan == sp->chosen && plan->probe.address) {
		sp->view.probe = plan->probe;
		err = view_read(&sp->view, sp->dev, create.id, KTRAMP_CODE_SITE, VIEW_BEFORE);
		if (!err)
			err = view_read(&sp->view, sp->dev, create.id, KTRAMP_CODE_SPRINGBOARD,
					VIEW_SPRINGBOARD);
		if (!err)
			err = view_read(&sp->view, sp->dev, create.id, KTRAMP_CODE_SLOT, VIEW_SLOT);
		if (!err)
			err = view_read(&sp->view, sp->dev, create.id, KTRAMP_CODE_DETOUR,
					VIEW_DETOUR);
	}
	dev_destroy(sp->dev, create.id, &batch);
	if (err)
		p_err("cannot look at a probe on '%s': %s", sp->place.site, strerror(-err));
	return err;
}

static int try_all(struct site_plan *sp, const struct ktramp_mechanism_info *chosen)
{
	sp->plans = calloc(sp->dev->nr_mechanisms, sizeof(*sp->plans));
	if (!sp->plans) {
		p_err("cannot plan: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < sp->dev->nr_mechanisms; i++) {
		struct plan *plan = &sp->plans[sp->nr];
		int err;

		/* A BPF program is run by the same jump; there is none to plan with. */
		if (sp->dev->mechanisms[i].kind != KTRAMP_KIND_OURS ||
		    !(sp->dev->mechanisms[i].handlers & (1U << KTRAMP_COUNT)))
			continue;
		sp->nr++;
		plan->mechanism = &sp->dev->mechanisms[i];
		if (plan->mechanism == chosen)
			sp->chosen = plan;
		err = try_one(sp, plan);
		if (err)
			return err;
	}
	return 0;
}

static void write_jump(struct listing *listing, uint32_t length, uint64_t to)
{
	int32_t rel = to - (listing->address + length);

	memset(listing->code, PREFIX, length);
	listing->code[length - 5] = JMP_REL32;
	memcpy(&listing->code[length - 4], &rel, sizeof(rel));
}

/* The bytes that arming would write; the probe's code says where the jump would go. */
static void write_site(struct site_plan *sp)
{
	const struct listing *before = &sp->view.listing[VIEW_BEFORE];
	struct listing *armed = &sp->view.listing[VIEW_ARMED];
	const struct ktramp_probe_info *probe = &sp->chosen->probe;
	uint32_t length = MIN(probe->length, before->length);

	*armed = *before;
	if (!probe->detour) {
		armed->code[0] = INT3;
	} else if (probe->springboard) {
		armed->code[0] = JMP_REL8;
		armed->code[1] = probe->springboard - (probe->address + length);
		write_jump(&sp->view.listing[VIEW_SPRINGBOARD], 5, probe->detour);
	} else {
		write_jump(armed, length, probe->detour);
	}
}

static int read_function(struct site_plan *sp)
{
	struct ktramp_scan scan = {
		.address = sp->place.address, .max = FUNCTION_MAX,
	};
	int err;

	if (!sp->place.address)
		return 0;
	sp->insns = calloc(FUNCTION_MAX, sizeof(*sp->insns));
	if (!sp->insns) {
		p_err("cannot read the function: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	scan.insns = (uintptr_t)sp->insns;
	err = dev_scan(sp->dev, &scan);
	if (err) {
		p_err("cannot read the function of '%s': %s", sp->place.site,
		      *scan.why ? scan.why : strerror(-err));
		return err;
	}
	sp->nr_insns = MIN(scan.nr, FUNCTION_MAX);
	return 0;
}

static void describe(const struct plan *plan, char *buf, size_t size)
{
	const struct ktramp_probe_info *probe = &plan->probe;
	size_t len;

	if (plan->reason) {
		snprintf(buf, size, "refused (%s): %s", reason_name(plan->reason), plan->why);
		return;
	}
	len = snprintf(buf, size, "%u byte%s at the site", probe->length,
		       probe->length == 1 ? "" : "s");
	if (probe->tactic == KTRAMP_TACTIC_FTRACE)
		snprintf(buf + len, size - len, ": ftrace's own call, nothing displaced");
	else if (probe->detour_len)
		snprintf(buf + len, size - len, ", %u displaced (%s), a detour of %u",
			 probe->region, tactic_name(probe->tactic), probe->detour_len);
	else if (probe->slot_len)
		snprintf(buf + len, size - len, ", a slot of %u", probe->slot_len);
}

/* Branches of the function to @offset. Return: how many. */
static unsigned int print_sources(const struct site_plan *sp, uint32_t offset)
{
	unsigned int nr = 0;

	for (uint32_t i = 0; i < sp->nr_insns; i++) {
		const struct ktramp_scan_insn *insn = &sp->insns[i];

		if (!(insn->marks & KTRAMP_SCAN_BRANCH) || insn->to != (int64_t)offset)
			continue;
		printf("%s+0x%x", nr++ ? ", " : "", insn->offset);
	}
	return nr;
}

/* What enters the displaced region behind its first byte. */
static void print_entries(const struct site_plan *sp)
{
	uint32_t start = sp->place.offset, end = start + sp->chosen->probe.region;
	bool headed = false;

	for (uint32_t i = 0; i < sp->nr_insns; i++) {
		const struct ktramp_scan_insn *insn = &sp->insns[i];

		if (insn->offset <= start || insn->offset >= end ||
		    !(insn->marks & KTRAMP_SCAN_ENTER))
			continue;
		if (!headed)
			printf("\nbranches into the displaced region\n");
		headed = true;
		printf("  to +0x%x from ", insn->offset);
		if (!print_sources(sp, insn->offset))
			printf("another function, a jump table, a jump label or an exception");
		printf("\n");
	}
}

static int print_text(const struct site_plan *sp)
{
	char bytes[3 * KTRAMP_BYTES_MAX + 1], text[256];
	struct table table;
	int err;

	printf("%s", sp->place.site);
	if (sp->place.address)
		printf(", at 0x%016llx", (unsigned long long)sp->place.address);
	printf(": %s\n\n", hex(bytes, sizeof(bytes), sp->place.bytes,
			       MIN(sp->place.length, (uint32_t)KTRAMP_BYTES_MAX)));
	table_init(&table, 2, 0);
	table_add(&table, "MECHANISM\tPLAN");
	for (unsigned int i = 0; i < sp->nr; i++) {
		describe(&sp->plans[i], text, sizeof(text));
		table_add(&table, "%s\t%s", sp->plans[i].mechanism->name, text);
	}
	err = table_print(&table);
	table_deinit(&table);
	if (err || !sp->view.listing[VIEW_ARMED].length)
		return err;
	printf("\n%s would write\n", sp->chosen->mechanism->name);
	view_print(&sp->view);
	print_entries(sp);
	return 0;
}

static json_t *plan_json(const struct plan *plan)
{
	const struct ktramp_probe_info *probe = &plan->probe;

	return json_pack("{s:s, s:o, s:o, s:s, s:I, s:I, s:I, s:I}",
			 "mechanism", plan->mechanism->name,
			 "reason", plan->reason ? json_string(reason_name(plan->reason)) :
			 json_null(),
			 "why", plan->reason ? json_string(plan->why) : json_null(),
			 "tactic", tactic_name(probe->tactic),
			 "length", (json_int_t)probe->length,
			 "region", (json_int_t)probe->region,
			 "slot_len", (json_int_t)probe->slot_len,
			 "detour_len", (json_int_t)probe->detour_len);
}

static int print_json(const struct site_plan *sp)
{
	json_t *plans = json_array();

	for (unsigned int i = 0; i < sp->nr; i++)
		json_array_append_new(plans, plan_json(&sp->plans[i]));
	return out_line(stdout, json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:o}",
		"type", "plan",
		"site", sp->place.site,
		"address", json_address(sp->place.address),
		"bytes", json_hex(sp->place.bytes,
				  MIN(sp->place.length, (uint32_t)KTRAMP_BYTES_MAX)),
		"plans", plans,
		"mechanism", sp->chosen->mechanism->name,
		"code", sp->view.listing[VIEW_ARMED].length ? view_json(&sp->view) :
		json_null()));
}

static int make(struct site_plan *sp, const char *site,
		const struct ktramp_mechanism_info *mechanism)
{
	int err = dev_place(sp->dev, site, &sp->place);

	if (!err)
		err = disasm_open(&sp->disasm, false);
	if (!err)
		err = read_function(sp);
	if (err)
		return err;
	sp->view.mechanism = mechanism;
	sp->view.target = &sp->place;
	/* What is refused has no code; what is planned is listed. */
	err = try_all(sp, mechanism);
	if (err || sp->chosen->reason || !sp->view.listing[VIEW_BEFORE].length ||
	    sp->chosen->probe.tactic == KTRAMP_TACTIC_FTRACE)
		return err;
	write_site(sp);
	view_disassemble(&sp->view, sp->disasm);
	return 0;
}

int site_plan(const struct dev *dev, const char *site,
	      const struct ktramp_mechanism_info *mechanism)
{
	struct site_plan *sp = calloc(1, sizeof(*sp));
	int err;

	if (!sp) {
		p_err("cannot plan: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	sp->dev = dev;
	err = make(sp, site, mechanism);
	if (!err)
		err = out_json ? print_json(sp) : print_text(sp);
	disasm_close(&sp->disasm);
	free(sp->plans);
	free(sp->insns);
	free(sp);
	return err;
}
