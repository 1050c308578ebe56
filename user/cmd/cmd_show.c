// SPDX-License-Identifier: GPL-2.0-only
/* ktramp show: one probe, from the bytes before it to the bytes after it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ktramp.h"

#define CALLS	10

struct options {
	const char *site;
	const char *mechanism;
	uint32_t handler;
	bool intel;
};

struct show {
	const struct dev *dev;
	const struct expect *expect;
	struct disasm *disasm;
	uint32_t handler;
	uint32_t id;
	unsigned int cpu;
	bool callable;		/* the site is a target's: it can be called, to be hit */
	bool hidden;		/* code and registers hold addresses, and are not shown */
	bool restored;
	struct utsname uts;
	struct ktramp_target_info place;
	struct ktramp_probe_info after;
	struct bpf_counter *counter;	/* the program of handler bpf, or NULL */
	bool watched;			/* libbpf attaches it, and the module only watches */
	struct view view;
	struct ktramp_run run;
	struct ktramp_regs regs;
	struct ktramp_code padding;	/* of a springboard, before; length 0: none, or hidden */
	char listed[512];	/* the kernel's line on its kprobe, or empty */
};

static const struct argp_option options[] = {
	{ "handler", 'H', "HANDLER", 0,
	  "Run 'count' (default), 'count-inline' or 'regs' at a hit", 0 },
	{ "syntax", 's', "SYNTAX", 0, "Assembler as 'att' (default) or 'intel'", 0 },
	{ }
};

static const char doc[] =
	"Probe SITE through MECHANISM, and show what that did to the code: the site's bytes "
	"before and while armed, the slot or detour the hit runs through, where each jump goes. "
	"SITE is a target's name, which is called a few times to be hit, or any instruction of the "
	"running kernel: symbol+0xoffset, module:symbol+0xoffset or 0xaddress. The probe is gone "
	"afterwards.\v"
	"In the listing, * marks what the probe wrote, = instructions displaced from the site and "
	"copied, - bytes of them left over at the site. With the handler 'regs', the registers at "
	"the last hit are printed.\n\n"
	"Addresses are needed to disassemble: where sysctl kernel.kptr_restrict hides them, only "
	"the site's bytes are shown.\n\n"
	"Exit status: 0, 1 if the mechanism cannot serve the site or calls went wrong, 2 on "
	"wrong usage.\n\n"
	"Examples:\n"
	"  ktramp show lea jump\n"
	"  ktramp show lea int3-step-int3 --handler regs\n"
	"  ktramp show lea kprobe-opt --syntax intel\n"
	"  ktramp show vfs_read+0x1f jump\n"
	"  ktramp show lea jump --json | jq -r '.code[] | .part, .lines[].insn'\n";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opts = state->input;

	switch (key) {
	case 'H':
		opts->handler = parse_handler(state, arg);
		return 0;
	case 's':
		if (strcmp(arg, "att") && strcmp(arg, "intel"))
			argp_error(state, "no syntax '%s'; there are att and intel", arg);
		opts->intel = !strcmp(arg, "intel");
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num == 0)
			opts->site = arg;
		else if (state->arg_num == 1)
			opts->mechanism = arg;
		else
			argp_error(state, "'%s' is one argument too many", arg);
		return 0;
	case ARGP_KEY_END:
		if (!opts->mechanism)
			argp_error(state, "a SITE and a MECHANISM are needed; see "
				   "'ktramp targets' and 'ktramp mechanisms'");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = CMD_ARGP("SITE MECHANISM");

static int complain(const char *what, int err, const char *why)
{
	p_err("cannot %s: %s", what, *why ? why : strerror(-err));
	return err;
}

/* A part that the probe does not have leaves the listing empty. */
static int read_code(struct show *show, uint32_t part, enum view_part to)
{
	int err = show->hidden ? 0 : view_read(&show->view, show->dev, show->id, part, to);

	if (err != -EPERM)
		return err ? complain("read the probe's code", err, "") : 0;
	show->hidden = true;
	return 0;
}

/* What a springboard takes is text that is changed, too. */
static int read_padding(struct show *show, struct ktramp_code *code)
{
	int err = dev_code(show->dev, show->id, KTRAMP_CODE_SPRINGBOARD, code);

	if (!err)
		return 0;
	code->length = 0;
	return err == -ENOENT || err == -EPERM ? 0 : complain("read the padding", err, "");
}

/* As the bench does. */
static int load_program(struct show *show)
{
	struct ktramp_bpf bpf = { .id = show->id };
	int err;

	err = dev_probe(show->dev, show->id, 0, &show->view.probe);
	if (err)
		return complain("look at the probe", err, "");
	err = bpf_counter_load(&show->counter, show->view.mechanism->mechanism,
			       &show->view.probe);
	if (err)
		return complain("load the program", err, bpf_why(err));
	show->watched = bpf_is_way(show->view.mechanism->mechanism);
	if (show->watched)
		return 0;
	bpf.prog_fd = bpf_counter_fd(show->counter);
	err = dev_bpf(show->dev, &bpf);
	return err ? complain("hand over the program", err, bpf.why) : 0;
}

static int create(struct show *show)
{
	struct ktramp_create create = {
		.mechanism	= show->view.mechanism->mechanism,
		.handler	= show->handler,
	};
	int err;

	snprintf(create.site, sizeof(create.site), "%s", show->view.target->site);
	err = dev_create(show->dev, &create);
	if (err) {
		p_err("'%s' cannot serve '%s': %s", show->view.mechanism->name,
		      show->view.target->name, *create.why ? create.why : strerror(-err));
		return err;
	}
	show->id = create.id;
	err = handler_is_program(show->handler) ? load_program(show) : 0;
	if (!err)
		err = read_code(show, KTRAMP_CODE_SITE, VIEW_BEFORE);
	return err ? err : read_padding(show, &show->padding);
}

static int attach_program(struct show *show)
{
	int err = bpf_counter_attach(show->counter, &show->view.probe);

	return err ? complain("attach the program", err, bpf_why(err)) : 0;
}

static int detach_program(struct show *show)
{
	int err;

	bpf_counter_detach(show->counter);
	err = bpf_way_settle(show->dev, show->id, -1);
	return err ? complain("see the program's probe go", err, "") : 0;
}

/* The module knows nothing of the hits of what it did not attach. */
static int counted_run(struct show *show)
{
	uint64_t before = bpf_counter_read(show->counter);
	int err, detach_err;

	if (show->expect->fleeting && attach_program(show))
		return -EIO;
	err = dev_run(show->dev, &show->run);
	show->run.hits = bpf_counter_read(show->counter) - before;
	if (!show->expect->fleeting)
		return err;
	if (!err && (!show->run.now_len || show->run.now[0] != show->expect->first))
		err = -EAGAIN;
	detach_err = detach_program(show);
	return detach_err ? detach_err : err;
}

static int call_target(struct show *show)
{
	struct listing *armed = &show->view.listing[VIEW_ARMED];
	int tries = show->expect->fleeting ? FLEETING_TRIES : 1;
	int err;

	do {
		show->run = (struct ktramp_run){
			.flags	= KTRAMP_RUN_TRAPS,
			.target	= dev_target_index(show->dev, show->view.target),
			.id	= show->id,
			.loops	= CALLS,
		};
		err = show->watched ? counted_run(show) : dev_run(show->dev, &show->run);
	} while (err == -EAGAIN && --tries);
	if (err)
		return complain("call the target", err, "");

	/* Such a state is there only during the run, which brought its bytes along. */
	if (show->expect->fleeting) {
		memcpy(armed->code, show->run.now, MIN(show->run.now_len, armed->length));
		memcpy(show->view.probe.now, show->run.now, sizeof(show->run.now));
	}
	return 0;
}

static int inspect(struct show *show)
{
	int err;

	err = dev_probe(show->dev, show->id, 0, &show->view.probe);
	if (err)
		return complain("look at the probe", err, "");
	err = read_code(show, KTRAMP_CODE_SITE, VIEW_ARMED);
	if (!err)
		err = read_code(show, KTRAMP_CODE_SPRINGBOARD, VIEW_SPRINGBOARD);
	if (!err)
		err = read_code(show, KTRAMP_CODE_SLOT, VIEW_SLOT);
	if (!err)
		err = read_code(show, KTRAMP_CODE_DETOUR, VIEW_DETOUR);
	if (!err && (show->expect->marks || show->expect->fleeting) &&
	    kprobe_list_find(show->view.probe.address, show->view.probe.site, show->listed,
			     sizeof(show->listed)))
		show->listed[0] = '\0';
	if (!err && show->callable)
		err = call_target(show);
	if (err || show->hidden)
		return err;

	/* While it is armed: the kernel's trampolines have names only as long as they live. */
	view_disassemble(&show->view, show->disasm);
	if (show->handler != KTRAMP_REGS || !show->callable)
		return 0;

	err = dev_regs(show->dev, show->id, show->cpu, &show->regs);
	return err ? complain("read the registers of the last hit", err, "") : 0;
}

static int inspect_watched(struct show *show)
{
	const struct expect *expect = show->expect;
	int err, detach_err;

	if (expect->fleeting)
		return inspect(show);

	err = attach_program(show);
	if (err)
		return err;
	if (expect->optimization == 1)
		err = bpf_way_settle(show->dev, show->id, expect->first);
	if (err)
		p_err("the kernel did not make a jump of it: not optimizable");
	else
		err = inspect(show);
	detach_err = detach_program(show);
	return err ? err : detach_err;
}

static int take_away(struct show *show)
{
	struct ktramp_probe_info *after = &show->after;
	struct ktramp_code padding;
	struct ktramp_batch batch;
	int err;

	err = dev_disarm(show->dev, show->id, &batch);
	if (err)
		return complain("disarm the probe", err, batch.why);
	err = dev_probe(show->dev, show->id, 0, after);
	if (err)
		return complain("look at the probe", err, "");
	show->restored = !memcmp(after->before, after->now,
				 MIN(after->length, (uint32_t)KTRAMP_BYTES_MAX));
	err = read_code(show, KTRAMP_CODE_SITE, VIEW_AFTER);
	if (!err)
		err = read_padding(show, &padding);
	if (!err)
		show->restored &= !memcmp(padding.code, show->padding.code, padding.length);
	if (!err && !show->hidden)
		view_disassemble_after(&show->view, show->disasm);
	return err;
}

static int collect(struct show *show)
{
	struct ktramp_batch batch;
	int err, disarm_err;

	err = create(show);
	if (err)
		return err;
	err = dev_arm(show->dev, show->id, &batch);
	if (err)
		return complain("arm the probe", err, batch.why);
	err = show->watched ? inspect_watched(show) : inspect(show);
	disarm_err = take_away(show);
	return err ? err : disarm_err;
}

static json_t *regs_json(const struct ktramp_regs *regs)
{
	static const char *const names[] = {
		"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
	};
	json_t *object = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		json_object_set_new(object, names[i],
				    json_sprintf("0x%016llx", (unsigned long long)regs->r[i]));
	json_object_set_new(object, "rip", json_address(regs->ip));
	json_object_set_new(object, "eflags",
			    json_sprintf("0x%016llx", (unsigned long long)regs->eflags));
	return object;
}

static void print_regs(const struct ktramp_regs *regs)
{
	json_t *object __cleanup(free_json) = regs_json(regs);
	unsigned int column = 0;
	const char *name;
	json_t *value;

	printf("\nregisters at the last hit\n");
	json_object_foreach(object, name, value)
		printf("  %-6s %-18s%s", name, json_is_null(value) ? "hidden" :
		       json_string_value(value), ++column % 3 ? "  " : "\n");
}

static json_t *trap_json(__u64 count)
{
	return count == KTRAMP_UNKNOWN ? json_null() : json_integer(count);
}

static int print_json(const struct show *show)
{
	const struct ktramp_probe_info *probe = &show->view.probe;
	uint32_t length = MIN(probe->length, (uint32_t)KTRAMP_BYTES_MAX);

	return out_line(stdout, json_pack("{s:s, s:o, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:I,"
					  " s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:b, s:o, s:s}",
		"type", "show",
		"target", show->callable ? json_string(show->view.target->name) : json_null(),
		"site", probe->site,
		"mechanism", show->view.mechanism->name,
		"tactic", tactic_name(probe->tactic),
		"handler", handler_name(show->handler),
		"address", json_address(probe->address),
		"before", json_hex(probe->before, length),
		"armed", json_hex(probe->now, length),
		"code", show->hidden ? json_null() : view_json(&show->view),
		"calls", (json_int_t)show->run.calls,
		"wrong", (json_int_t)show->run.wrong,
		"hits", (json_int_t)show->run.hits,
		"missed", (json_int_t)show->run.missed,
		"bp", trap_json(show->run.bp),
		"db", trap_json(show->run.db),
		"listed", *show->listed ? json_string(show->listed) : json_null(),
		"regs", show->regs.seq ? regs_json(&show->regs) : json_null(),
		"restored", show->restored,
		"after", json_hex(show->after.now,
				  MIN(show->after.length, (uint32_t)KTRAMP_BYTES_MAX)),
		"kernel", show->uts.release));
}

static void print_trap(const char *name, __u64 count)
{
	if (count == KTRAMP_UNKNOWN)
		printf(", %s not counted", name);
	else
		printf(", %llu %s", count, name);
}

static void print_bytes(const char *what, const uint8_t *bytes, uint32_t length)
{
	char text[3 * KTRAMP_BYTES_MAX + 1];

	printf("  %-8s %s\n", what,
	       hex(text, sizeof(text), bytes, MIN(length, (uint32_t)KTRAMP_BYTES_MAX)));
}

static void print_calls(const struct show *show)
{
	printf("\n%llu calls: %llu hits, %llu missed, %llu wrong results", show->run.calls,
	       show->run.hits, show->run.missed, show->run.wrong);
	print_trap("#BP", show->run.bp);
	print_trap("#DB", show->run.db);
	printf("\n");
}

static void print_text(const struct show *show)
{
	const struct view *view = &show->view;
	const struct ktramp_probe_info *probe = &view->probe;

	printf("%s", probe->site);
	if (show->callable)
		printf(" (target %s)", view->target->name);
	printf(" through %s", view->mechanism->name);
	if (probe->tactic)
		printf(" (%s)", tactic_name(probe->tactic));
	printf(", handler %s\n", handler_name(show->handler));
	if (show->hidden) {
		printf("\nsite; addresses are hidden (sysctl kernel.kptr_restrict), so there is no "
		       "code to show\n");
		print_bytes("before", probe->before, probe->length);
		print_bytes("armed", probe->now, probe->length);
	} else {
		view_print(view);
	}

	if (*show->listed)
		printf("\nthe kernel's list of kprobes\n  %s\n", show->listed);
	if (show->callable)
		print_calls(show);
	if (show->regs.seq)
		print_regs(&show->regs);
	printf("\ndisarmed: the site's bytes are %s\n",
	       show->restored ? "the original ones again" : "NOT the original ones");
}

/* Shown all the same: what went wrong is best seen in the listing. */
static int judge(const struct show *show)
{
	__u64 want = show->expect->silent ? 0 : show->run.calls;

	if (show->run.wrong) {
		p_err("%llu calls returned a wrong result", show->run.wrong);
		return -EIO;
	}
	if (show->callable && show->run.hits != want) {
		p_err("%llu calls were %llu hits, expected %llu",
		      show->run.calls, show->run.hits, want);
		return -EIO;
	}
	if (!show->restored) {
		p_err("the site's bytes are not the original ones after disarming");
		return -EIO;
	}
	return 0;
}

static int show_probe(struct show *show, bool intel)
{
	struct kprobe_opt opt __cleanup(kprobe_opt_drop) = { .was = -1 };
	int err = 0;

	if (show->view.mechanism->reason) {
		p_err("this kernel has no '%s': %s", show->view.mechanism->name,
		      show->view.mechanism->why);
		return -EOPNOTSUPP;
	}
	if (show->expect->optimization != EXPECT_ANY)
		err = kprobe_opt_hold(&opt, show->expect->optimization);
	if (!err)
		err = kernel_release(&show->uts);
	if (!err)
		err = pin_to_cpu(show->cpu);
	if (!err)
		err = disasm_open(&show->disasm, intel);
	if (!err)
		err = collect(show);
	if (err)
		return err;

	if (!out_json)
		print_text(show);
	else
		err = print_json(show);
	return err ? err : judge(show);
}

static void free_show(struct show **show)
{
	if (*show) {
		disasm_close(&(*show)->disasm);
		bpf_counter_free(&(*show)->counter);
	}
	free(*show);
}

int cmd_show(int argc, char **argv)
{
	struct options opts = { .handler = KTRAMP_COUNT };
	struct dev dev __cleanup(dev_close) = { .fd = -1 };
	struct show *show __cleanup(free_show) = NULL;

	argp_parse(&argp, argc, argv, 0, NULL, &opts);
	if (dev_open(&dev))
		return EXIT_FAILED;

	show = calloc(1, sizeof(*show));
	if (!show) {
		p_err("cannot show a probe: %s", strerror(ENOMEM));
		return EXIT_FAILED;
	}
	show->dev = &dev;
	show->handler = opts.handler;
	show->cpu = first_cpu();
	show->view.mechanism = dev_mechanism(&dev, opts.mechanism);
	if (!show->view.mechanism)
		return EXIT_USAGE;
	if (dev_place(&dev, opts.site, &show->place))
		return EXIT_FAILED;
	show->view.target = &show->place;
	show->callable = dev_is_target(&dev, &show->place);
	show->expect = expect_of(show->view.mechanism->mechanism);

	catch_signals();
	return show_probe(show, opts.intel) ? EXIT_FAILED : EXIT_OK;
}
