// SPDX-License-Identifier: GPL-2.0-only
/* The interface's numbers, in the words that the output and the documentation use. */
#include <string.h>

#include "lib/ktramp.h"

#define NAME_OF(table, n) ((n) < ARRAY_SIZE(table) && (table)[n] ? (table)[n] : "unknown")

static const char *const handlers[] = {
	[KTRAMP_COUNT]	= "count",
	[KTRAMP_REGS]	= "regs",
	[KTRAMP_COUNT_INLINE] = "count-inline",
	[KTRAMP_BPF]	= "bpf",
	[KTRAMP_BPF_INLINE] = "bpf-inline",
};

static const char *const states[] = {
	[KTRAMP_NEW]		= "new",
	[KTRAMP_ARMED]		= "armed",
	[KTRAMP_DISARMED]	= "disarmed",
	[KTRAMP_STUCK]		= "stuck",
	[KTRAMP_GONE]		= "gone",
};

static const char *const tactics[] = {
	[KTRAMP_TACTIC_NONE]	= "none",
	[KTRAMP_TACTIC_COPY]	= "copy",
	[KTRAMP_TACTIC_REENCODE] = "reencode",
	[KTRAMP_TACTIC_PUN]	= "pun",
	[KTRAMP_TACTIC_FTRACE]	= "ftrace",
	[KTRAMP_TACTIC_SPRINGBOARD] = "springboard",
};

static const char *const classes[] = {
	[KTRAMP_BPF_FULL]	= "full",
	[KTRAMP_BPF_HELPERS]	= "helpers",
	[KTRAMP_BPF_LIGHT]	= "light",
	[KTRAMP_BPF_BARE]	= "bare",
};

static const char *const entries[] = {
	[KTRAMP_ENTRY_NONE]	= "none",
	[KTRAMP_ENTRY_DIRECT]	= "direct",
	[KTRAMP_ENTRY_NOTIFIER]	= "notifier",
};

static const char *const kinds[] = {
	[KTRAMP_KIND_BASE]	= "base",
	[KTRAMP_KIND_OURS]	= "ours",
	[KTRAMP_KIND_KERNEL]	= "kernel",
};

static const char *const clocks[] = {
	[KTRAMP_CLOCK_TSC]	= "tsc",
	[KTRAMP_CLOCK_ICOUNT]	= "icount",
};

static const char *const units[] = {
	[KTRAMP_CLOCK_TSC]	= "cycles",
	[KTRAMP_CLOCK_ICOUNT]	= "instructions",
};

/*
 * A refusal is a fact about the kernel, the mechanism and the site, and would be the
 * same on the next run. The others are accidents.
 */
static const struct {
	const char *name;
	bool refusal;
} reasons[] = {
	[KTRAMP_R_NONE]		= { "none", false },
	[KTRAMP_R_SYNTAX]	= { "syntax", false },
	[KTRAMP_R_NO_SYMBOL]	= { "no-symbol", false },
	[KTRAMP_R_NOT_TEXT]	= { "not-text", false },
	[KTRAMP_R_BOUNDARY]	= { "boundary", false },
	[KTRAMP_R_DECODE]	= { "decode", true },
	[KTRAMP_R_BLACKLIST]	= { "blacklist", true },
	[KTRAMP_R_PATCHED]	= { "patched", true },
	[KTRAMP_R_BUSY]		= { "busy", false },
	[KTRAMP_R_NO_EMULATION]	= { "no-emulation", true },
	[KTRAMP_R_LEAVES_SLOT]	= { "leaves-slot", true },
	[KTRAMP_R_TRAPS]	= { "traps", true },
	[KTRAMP_R_FAULTS]	= { "faults", true },
	[KTRAMP_R_RANGE]	= { "range", true },
	[KTRAMP_R_SHORT]	= { "short", true },
	[KTRAMP_R_TARGETED]	= { "targeted", true },
	[KTRAMP_R_INDIRECT]	= { "indirect", true },
	[KTRAMP_R_REGION]	= { "region", true },
	[KTRAMP_R_NO_CONFIG]	= { "no-config", true },
	[KTRAMP_R_NO_STATE]	= { "no-state", true },
	[KTRAMP_R_SHAPE]	= { "shape", true },
	[KTRAMP_R_HANDLER]	= { "handler", true },
	[KTRAMP_R_SPACE]	= { "space", false },
	[KTRAMP_R_NOT_OURS]	= { "not-ours", false },
	[KTRAMP_R_UNREGISTERED]	= { "unregistered", false },
	[KTRAMP_R_RECURSION]	= { "recursion", true },
	[KTRAMP_R_NO_PROGRAM]	= { "no-program", false },
	[KTRAMP_R_PROGRAM]	= { "program", true },
	[KTRAMP_R_HIDDEN]	= { "hidden", true },
	[KTRAMP_R_AMBIGUOUS]	= { "ambiguous", false },
	[KTRAMP_R_NO_PROCESS]	= { "no-process", false },
	[KTRAMP_R_LOCKDOWN]	= { "lockdown", false },
	[KTRAMP_R_UNSERVED]	= { "unserved", true },
};

static const struct {
	uint32_t bit;
	const char *name;
} configs[] = {
	{ KTRAMP_CONFIG_PREEMPTION,		"PREEMPTION" },
	{ KTRAMP_CONFIG_PREEMPT_RT,		"PREEMPT_RT" },
	{ KTRAMP_CONFIG_OPTPROBES,		"OPTPROBES" },
	{ KTRAMP_CONFIG_KPROBES_ON_FTRACE,	"KPROBES_ON_FTRACE" },
	{ KTRAMP_CONFIG_FPROBE,			"FPROBE" },
	{ KTRAMP_CONFIG_X86_KERNEL_IBT,		"X86_KERNEL_IBT" },
	{ KTRAMP_CONFIG_RETHUNK,		"RETHUNK" },
	{ KTRAMP_CONFIG_RETPOLINE,		"RETPOLINE" },
	{ KTRAMP_CONFIG_KASAN,			"KASAN" },
	{ KTRAMP_CONFIG_PROVE_LOCKING,		"PROVE_LOCKING" },
	{ KTRAMP_CONFIG_BTF,			"BTF" },
};

const char *handler_name(uint32_t handler)
{
	return NAME_OF(handlers, handler);
}

uint32_t handler_number(const char *name)
{
	for (uint32_t i = 1; i < ARRAY_SIZE(handlers); i++)
		if (!strcmp(handlers[i], name))
			return i;
	return 0;
}

uint32_t parse_handler(struct argp_state *state, const char *arg)
{
	uint32_t handler = handler_number(arg);

	if (!handler)
		argp_error(state, "no handler '%s'; there are count, count-inline and regs", arg);
	return handler;
}

bool handler_is_program(uint32_t handler)
{
	return handler == KTRAMP_BPF || handler == KTRAMP_BPF_INLINE;
}

uint32_t handler_usual(uint32_t handlers)
{
	return handlers & 1U << KTRAMP_COUNT ? KTRAMP_COUNT : KTRAMP_BPF;
}

const char *state_name(uint32_t state)
{
	return NAME_OF(states, state);
}

const char *tactic_name(uint32_t tactic)
{
	return NAME_OF(tactics, tactic);
}

const char *class_name(uint32_t class)
{
	return NAME_OF(classes, class);
}

const char *entry_name(uint32_t entry)
{
	return NAME_OF(entries, entry);
}

json_t *entry_json(uint32_t entry)
{
	return entry == KTRAMP_ENTRY_NONE ? json_null() : json_string(entry_name(entry));
}

const char *kind_name(uint32_t kind)
{
	return NAME_OF(kinds, kind);
}

const char *clock_name(uint32_t clock)
{
	return NAME_OF(clocks, clock);
}

const char *clock_unit(uint32_t clock)
{
	return NAME_OF(units, clock);
}

const char *reason_name(uint32_t reason)
{
	return reason < ARRAY_SIZE(reasons) && reasons[reason].name ? reasons[reason].name :
								       "unknown";
}

bool reason_is_refusal(uint32_t reason)
{
	return reason < ARRAY_SIZE(reasons) && reasons[reason].refusal;
}

json_t *config_json(uint32_t config)
{
	json_t *object = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(configs); i++)
		json_object_set_new(object, configs[i].name,
				    json_boolean(config & configs[i].bit));
	return object;
}

void config_text(uint32_t config, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(configs) && len < size; i++)
		if (config & configs[i].bit)
			len += snprintf(buf + len, size - len, "%s%s", len ? " " : "",
					configs[i].name);
}
