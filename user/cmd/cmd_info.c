// SPDX-License-Identifier: GPL-2.0-only
/* ktramp info: what figures from here would be figures of. */
#include "lib/ktramp.h"

static const char doc[] =
	"Tell what this kernel, CPU, module and clock are.\v"
	"The clock is icount where the counter advances by exactly one an instruction (a guest of "
	"'qemu -icount shift=0'), found out by measuring; tsc otherwise.\n\n"
	"Exit status: 0, 1 if the module cannot be asked, 2 on wrong usage.\n\n"
	"Examples:\n"
	"  ktramp info\n"
	"  ktramp info --json | jq .config.PREEMPTION\n";

static const struct argp argp = { .doc = doc, .children = out_children };

static int print_json(const struct ktramp_info *info, const struct run_facts *facts)
{
	return out_line(stdout, json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:I, s:s, s:s, s:I,"
					  " s:o, s:b, s:b, s:I, s:I, s:I, s:I, s:s, s:o, s:s}",
					  "type", "info",
					  "kernel", facts->uts.release,
					  "machine", facts->uts.machine,
					  "cpu", facts->cpu,
					  "emulated", facts->emulated,
					  "clock", clock_name(info->clock),
					  "unit", clock_unit(info->clock),
					  "tsc_khz", (json_int_t)info->tsc_khz,
					  "command", KTRAMP_VERSION,
					  "module", info->version,
					  "abi", (json_int_t)info->abi,
					  "config", config_json(info->config),
					  "counts_traps", info->counts_traps != 0,
					  "addresses", info->addresses != 0,
					  "targets", (json_int_t)info->nr_targets,
					  "probes", (json_int_t)info->nr_probes,
					  "slot_bytes", (json_int_t)info->slot_bytes,
					  "slot_capacity", (json_int_t)info->slot_capacity,
					  "entry", entry_name(info->entry),
					  "entry_why", *info->entry_why ?
						       json_string(info->entry_why) : json_null(),
					  "debug_entry", entry_name(info->debug_entry)));
}

static void print_entry(const struct ktramp_info *info)
{
	if (info->entry == KTRAMP_ENTRY_DIRECT)
		printf("breakpoints  enter directly: exc_int3() calls ktramp first\n");
	else
		printf("breakpoints  enter by the die notifier: %s\n", info->entry_why);
	printf("steps        end %s\n", info->debug_entry == KTRAMP_ENTRY_DIRECT ?
	       "in #DB, where notify_die() is called" : "by the die notifier");
}

static int print_text(const struct ktramp_info *info, const struct run_facts *facts)
{
	char config[256];

	config_text(info->config, config, sizeof(config));
	printf("kernel       %s %s\n", facts->uts.release, facts->uts.machine);
	printf("config       %s\n", config);
	printf("CPU          %s%s\n", facts->cpu, facts->emulated ? " (emulated by QEMU)" : "");
	printf("clock        %s, %u kHz: counts %s\n", clock_name(info->clock), info->tsc_khz,
	       clock_unit(info->clock));
	printf("module       ktramp %s, interface version %u\n", info->version, info->abi);
	print_entry(info);
	printf("exceptions   #BP and #DB of the kernel's mechanisms %s\n",
	       info->counts_traps ? "can be counted" : "cannot be counted");
	printf("addresses    %s\n",
	       info->addresses ? "shown" : "hidden: see sysctl kernel.kptr_restrict");
	printf("targets      %u\n", info->nr_targets);
	printf("probes       %u, %u of %u executable bytes in use\n", info->nr_probes,
	       info->slot_bytes, info->slot_capacity);
	return 0;
}

int cmd_info(int argc, char **argv)
{
	struct dev dev __cleanup(dev_close) = { .fd = -1 };
	struct run_facts facts = { 0 };
	int err;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	err = dev_open(&dev);
	if (!err)
		err = kernel_release(&facts.uts);
	if (!err) {
		cpu_model(facts.cpu, sizeof(facts.cpu));
		facts.emulated = cpu_is_emulated();
		err = out_json ? print_json(&dev.info, &facts) : print_text(&dev.info, &facts);
	}
	return err ? EXIT_FAILED : EXIT_OK;
}
