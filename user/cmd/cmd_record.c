// SPDX-License-Identifier: GPL-2.0-only
/* ktramp record: x-ray any site, under any command. The guest's part of 'make xray SITE=...'. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xray/xray_record.h"

struct options {
	const char *site;
	const char *mechanism;
	const char *output;
	uint32_t handler;
	char **command;
};

struct record {
	const struct dev *dev;
	struct xray *x;
	struct disasm *disasm;
	struct row row;
	struct ktramp_target_info place;
	struct ktramp_probe_info probe;		/* armed */
	struct xray_range end[XRAY_RANGES];
	unsigned int nr_ends;
};

static const struct argp_option options[] = {
	{ "mechanism", 'm', "MECHANISM", 0, "Probe through this one. Default: jump, or the first "
	  "of ktramp's own that serves the site", 0 },
	{ "handler", 'H', "HANDLER", 0, "Run 'count' (default), 'count-inline' or 'regs' at a hit",
	  0 },
	{ "output", 'o', "DIR", 0, "Where to leave what the guest knows of the hits", 0 },
	{ }
};

static const char doc[] =
	"Probe SITE, run COMMAND, and have QEMU's plugin keep every instruction of the hits, from the "
	"probed one to the next one that the function executes itself. Works in a guest of "
	"'make xray' only, which reads what it leaves.\v"
	"Hits of all processes are kept, the first 16 of them. An interrupt, or another task, that "
	"comes in the middle of a hit is part of what is seen.\n\n"
	"Exit status: 0; 1 if the site cannot be probed, was not hit, or the command failed; 2 on "
	"wrong usage.\n\n"
	"Examples:\n"
	"  make xray SITE=vfs_read+0x1f CMD='cat /etc/passwd'\n"
	"  ktramp record --output /out vfs_read+0x1f -- cat /etc/passwd\n"
	"  ktramp record -o /out -m kprobe-opt vfs_read+0x1f cat /etc/passwd\n";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opts = state->input;

	switch (key) {
	case 'm':
		opts->mechanism = arg;
		return 0;
	case 'H':
		opts->handler = parse_handler(state, arg);
		return 0;
	case 'o':
		opts->output = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (!state->arg_num) {
			opts->site = arg;
			return 0;
		}
		/* What follows is the command's. */
		opts->command = &state->argv[state->next - 1];
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		if (!opts->command)
			argp_error(state, "a SITE and a COMMAND are needed");
		if (!opts->output)
			argp_error(state, "--output is needed: 'make xray' reads from there");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = CMD_ARGP("SITE COMMAND [ARG...]");

static int complain(const char *what, int err, const char *why)
{
	p_err("cannot %s: %s", what, *why ? why : strerror(-err));
	return err;
}

/* ---- the probe ---- */

static int create(struct record *r, const struct ktramp_mechanism_info *mechanism,
		  struct ktramp_create *create)
{
	int err;

	*create = (struct ktramp_create){
		.mechanism	= mechanism->mechanism,
		.handler	= r->row.handler,
	};
	snprintf(create->site, sizeof(create->site), "%s", r->place.site);
	err = dev_create(r->dev, create);
	if (err)
		return err;
	r->row.mechanism = mechanism;
	r->probe.id = create->id;
	return 0;
}

/* The jump if it can be, otherwise what can. */
static int create_any(struct record *r, struct ktramp_create *reply)
{
	const struct dev *dev = r->dev;
	int err = create(r, &dev->mechanisms[KTRAMP_JUMP - 1], reply);

	for (unsigned int i = 0; i < dev->nr_mechanisms && err; i++) {
		struct ktramp_create other;

		if (dev->mechanisms[i].kind == KTRAMP_KIND_OURS &&
		    !create(r, &dev->mechanisms[i], &other))
			err = 0;
	}
	return err;
}

static int make_probe(struct record *r, const struct options *opts)
{
	const struct ktramp_mechanism_info *mechanism = NULL;
	struct ktramp_create reply;
	int err;

	if (opts->mechanism) {
		mechanism = dev_mechanism(r->dev, opts->mechanism);
		if (!mechanism)
			return -ENOENT;
		if (expect_of(mechanism->mechanism)->fleeting) {
			p_err("'%s' lasts no longer than a measurement: it cannot be recorded",
			      mechanism->name);
			return -EOPNOTSUPP;
		}
	}
	err = mechanism ? create(r, mechanism, &reply) : create_any(r, &reply);
	if (err)
		p_err("cannot probe '%s': %s", opts->site, *reply.why ? reply.why :
		      strerror(-err));
	return err;
}

/* ---- where a hit ends ---- */

static int add_end(struct record *r, uint64_t from, uint64_t to)
{
	if (r->nr_ends == XRAY_RANGES)
		return -E2BIG;
	r->end[r->nr_ends++] = (struct xray_range){ from, to };
	return 0;
}

/*
 * A hit ends with the function's next instruction, or where a displaced branch leads. Where
 * one leads that reads its target from a register or from memory only a run could tell.
 */
static int find_ends(struct record *r)
{
	/* Too large for the stack. */
	static struct listing listing;
	uint64_t start = r->place.address - r->place.offset;
	unsigned int length = MAX(r->probe.region, r->place.length);
	int err = add_end(r, start, start + r->place.func_size);

	listing = (struct listing){ .address = r->probe.address };
	listing.length = MIN(MAX(length, 1U), (unsigned int)KTRAMP_BYTES_MAX);
	memcpy(listing.code, r->probe.before, listing.length);
	disasm_range(r->disasm, &listing, 0, listing.length, ORIGIN_KERNEL);
	for (unsigned int i = 0; i < listing.nr && !err; i++) {
		const struct insn_line *line = &listing.lines[i];

		if (line->flow == FLOW_NEXT)
			continue;
		if (line->flow == FLOW_RETURN || line->flow == FLOW_IRET || !line->branch ||
		    !line->target || strchr(line->text, '*')) {
			p_err("'%s' at %s leads where only running it tells, and so does a hit: "
			      "record an instruction before it", line->text, r->probe.site);
			return -EOPNOTSUPP;
		}
		err = add_end(r, line->target, line->target + 1);
	}
	return err;
}

/* ---- the command ---- */

static int run_command(char **command)
{
	int status = 0, err = command_run(command, &status);

	if (err || !status)
		return err;
	if (status <= 128)
		p_err("the command ended with status %d", status);
	else
		p_err("the command was killed by signal %d", status - 128);
	return -EIO;
}

static int record_hits(struct record *r, char **command)
{
	struct ktramp_run run = { 0 };
	struct ktramp_probe_info after;
	uint64_t hits, lost;
	int err, ran;

	xray_start_at(r->x, r->probe.address, r->end, r->nr_ends);
	ran = run_command(command);
	err = xray_end(r->x, &hits, &lost);
	if (err || ran)
		return err ? err : ran;
	if (!hits) {
		p_err("the command did not run through %s; what does? 'ktramp add jump %s', and look "
		      "at its counter in 'ktramp probes'", r->probe.site, r->probe.site);
		return -ENODATA;
	}
	err = dev_probe(r->dev, r->probe.id, 0, &after);
	if (err)
		return complain("look at the probe", err, "");
	run.now_len = sizeof(run.now);
	memcpy(run.now, after.now, sizeof(run.now));
	p_info("%llu hits of %s through %s", (unsigned long long)hits, r->probe.site,
	       r->row.mechanism->name);
	return xray_write(r->x, r->dev, &r->row, &r->place, &r->probe, true, &run);
}

static int while_armed(struct record *r, char **command)
{
	int err = dev_probe(r->dev, r->probe.id, 0, &r->probe);

	if (err)
		return complain("look at the probe", err, "");
	err = find_ends(r);
	return err ? err : record_hits(r, command);
}

static int record(struct record *r, const struct options *opts)
{
	struct kprobe_opt opt __cleanup(kprobe_opt_drop) = { .was = -1 };
	const struct expect *expect = expect_of(r->row.mechanism->mechanism);
	struct ktramp_batch batch;
	int err = 0, disarm_err;

	if (expect->optimization != EXPECT_ANY)
		err = kprobe_opt_hold(&opt, expect->optimization);
	if (err)
		return err;
	err = dev_arm(r->dev, r->probe.id, &batch);
	if (err)
		return complain("arm the probe", err, batch.why);
	err = while_armed(r, opts->command);
	disarm_err = dev_disarm(r->dev, r->probe.id, &batch);
	if (disarm_err)
		return complain("disarm the probe", disarm_err, batch.why);
	return err ? err : xray_finish(r->x, r->dev);
}

static int prepare_and_record(struct record *r, const struct options *opts)
{
	int err;

	r->row.handler = opts->handler;
	r->row.target = &r->place;
	/* Complains. */
	err = dev_place(r->dev, opts->site, &r->place);
	if (!err)
		err = make_probe(r, opts);
	if (!err)
		err = disasm_open(&r->disasm, false);
	if (!err)
		err = xray_open(&r->x, r->dev, opts->output);
	if (!err)
		err = record(r, opts);
	if (xray_close(&r->x))
		err = -EIO;
	disasm_close(&r->disasm);
	return err;
}

int cmd_record(int argc, char **argv)
{
	struct options opts = { .handler = KTRAMP_COUNT };
	struct dev dev __cleanup(dev_close) = { .fd = -1 };
	struct record r = { .dev = &dev };

	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &opts);
	if (dev_open(&dev))
		return EXIT_FAILED;
	catch_signals();
	return prepare_and_record(&r, &opts) ? EXIT_FAILED : EXIT_OK;
}
