// SPDX-License-Identifier: GPL-2.0-only
/*
 * A function's arguments, by the types that BTF has of it, out of the registers that
 * carry them (psABI, 3.2.3): up to six that fit one each.
 */
#include <asm/ptrace.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>

#include "bpf/bpf_args.h"

#define ARGS_MAX	6
#define TYPES_MAX	32	/* typedefs and qualifiers around a type, or a loop of them */

struct arg {
	char name[64];
	unsigned int bytes;
	bool is_signed, is_bool, is_pointer;
};

struct bpf_args {
	bool returns;		/* the only one is what the function returns */
	unsigned int nr;
	unsigned int left_out;
	struct arg arg[ARGS_MAX];
};

/* "module:symbol+0x0" */
static void split_site(const char *site, char *module, char *function, size_t size)
{
	const char *colon = strchr(site, ':');

	snprintf(module, size, "%.*s", colon ? (int)(colon - site) : 0, site);
	snprintf(function, size, "%s", colon ? colon + 1 : site);
	function[strcspn(function, "+ ")] = '\0';
}

static const struct btf_type *skip_names(const struct btf *btf, uint32_t id)
{
	const struct btf_type *type = btf__type_by_id(btf, id);

	for (unsigned int i = 0; type && i < TYPES_MAX; i++) {
		if (!btf_is_mod(type) && !btf_is_typedef(type) && !btf_is_type_tag(type))
			return type;
		type = btf__type_by_id(btf, type->type);
	}
	return NULL;
}

static bool fill(struct arg *arg, const struct btf *btf, uint32_t id, uint32_t name_off)
{
	const struct btf_type *type = skip_names(btf, id);
	const char *name = btf__name_by_offset(btf, name_off);

	snprintf(arg->name, sizeof(arg->name), "%s", name && *name ? name : "?");
	if (!type)
		return false;
	arg->is_pointer = btf_is_ptr(type);
	arg->bytes = arg->is_pointer ? sizeof(void *) : type->size;
	if (btf_is_int(type)) {
		arg->is_signed = btf_int_encoding(type) & BTF_INT_SIGNED;
		arg->is_bool = btf_int_encoding(type) & BTF_INT_BOOL;
	} else if (!arg->is_pointer && !btf_is_any_enum(type)) {
		/* A structure takes registers as its members' classes want. */
		return false;
	}
	return arg->bytes && arg->bytes <= sizeof(uint64_t);
}

static int fill_all(struct bpf_args *args, const struct btf *btf, int32_t id)
{
	const struct btf_type *func = btf__type_by_id(btf, id);
	const struct btf_type *proto = func ? btf__type_by_id(btf, func->type) : NULL;
	const struct btf_param *params;
	unsigned int nr;

	if (!proto || !btf_is_func_proto(proto))
		return -EINVAL;
	if (args->returns) {
		if (!proto->type)
			return -ENODATA;
		args->nr = fill(&args->arg[0], btf, proto->type, 0);
		return args->nr ? 0 : -EOPNOTSUPP;
	}
	nr = btf_vlen(proto);
	params = btf_params(proto);
	while (args->nr < nr && args->nr < ARGS_MAX &&
	       fill(&args->arg[args->nr], btf, params[args->nr].type, params[args->nr].name_off))
		args->nr++;
	args->left_out = nr - args->nr;
	return 0;
}

static int fill_from(struct bpf_args *args, const struct btf *btf, const char *function)
{
	int32_t id = btf__find_by_name_kind(btf, function, BTF_KIND_FUNC);

	return id < 0 ? id : fill_all(args, btf, id);
}

static int fill_from_module(struct bpf_args *args, const char *module, struct btf *base,
			    const char *function)
{
	struct btf *btf = btf__load_module_btf(module, base);
	int err = btf ? fill_from(args, btf, function) : -errno;

	btf__free(btf);
	return err;
}

/*
 * Of the image that the function is in, and no other: another module's function of that name is
 * another function. Without a module in front a site is the kernel's, or ktramp's own.
 */
static int fill_by_name(struct bpf_args *args, const struct bpf_types *types, const char *module,
			const char *function)
{
	struct btf *base = types->path ? btf__parse(types->path, NULL) : btf__load_vmlinux_btf();
	int err = base ? 0 : -errno;

	if (!*module && !strncmp(function, "ktramp_", 7))
		module = "ktramp";
	if (!err && *module)
		err = fill_from_module(args, module, base, function);
	else if (!err)
		err = fill_from(args, base, function);
	btf__free(base);
	return err;
}

/* Do the registers hold the arguments there? Complains. */
static int check_entry(const struct dev *dev, const struct ktramp_probe_info *probe)
{
	struct ktramp_site_info site;
	int err = dev_site(dev, probe->site, &site);

	if (err || (site.marks & KTRAMP_SITE_ENTRY))
		return err;
	p_refusal(&(struct refusal){ probe->site, KTRAMP_R_SHAPE, EINVAL },
		  "%s is no function's entry: only there do registers surely hold the arguments; "
		  "leave --args out, or --regs prints what they hold here", probe->site);
	return -EINVAL;
}

/**
 * bpf_args_find() - find the arguments of the function that a probe is at the entry of
 * @args: (out) to be given to bpf_args_free()
 * @dev: the device
 * @probe: the probe
 * @returns: its hits are returns: find the value instead
 * @types: of this kernel
 */
int bpf_args_find(struct bpf_args **args, const struct dev *dev,
		  const struct ktramp_probe_info *probe, bool returns,
		  const struct bpf_types *types)
{
	char module[KTRAMP_SITE_MAX], function[KTRAMP_SITE_MAX];
	int err = returns ? 0 : check_entry(dev, probe);

	if (err)
		return err;
	*args = calloc(1, sizeof(**args));
	if (!*args)
		return -ENOMEM;
	(*args)->returns = returns;
	split_site(probe->site, module, function, sizeof(module));
	if (strchr(function, ',')) {
		p_refusal(&(struct refusal){ probe->site, KTRAMP_R_AMBIGUOUS, EADDRNOTAVAIL },
			  "several functions are called as %s is, and BTF does not say whose types "
			  "it has; --regs prints the registers", probe->site);
		return -EADDRNOTAVAIL;
	}
	bpf_listen();
	err = fill_by_name(*args, types, module, function);
	if (err == -ENODATA)
		p_refusal(&(struct refusal){ probe->site, 0, err }, "%s returns nothing", function);
	else if (err)
		p_refusal(&(struct refusal){ probe->site, 0, err },
			  "no types are known of the %s of '%s': %s; --regs prints the registers",
			  returns ? "value" : "arguments", function, strerror(-err));
	return err;
}

void bpf_args_free(struct bpf_args *args)
{
	free(args);
}

static uint64_t value_of(const struct bpf_args *args, const struct pt_regs *regs, unsigned int i)
{
	const struct arg *arg = &args->arg[i];
	const uint64_t carriers[ARGS_MAX] = {
		args->returns ? regs->rax : regs->rdi,
		regs->rsi, regs->rdx, regs->rcx, regs->r8, regs->r9,
	};
	unsigned int unused = 64 - 8 * arg->bytes;

	/* What is above the type's own bits is anything. */
	if (arg->is_signed)
		return (int64_t)(carriers[i] << unused) >> unused;
	return carriers[i] << unused >> unused;
}

static void print_value(const struct arg *arg, uint64_t value, char *buf, size_t size)
{
	if (arg->is_pointer)
		snprintf(buf, size, "0x%llx", (unsigned long long)value);
	else if (arg->is_bool)
		snprintf(buf, size, "%s", value ? "true" : "false");
	else if (arg->is_signed)
		snprintf(buf, size, "%lld", (long long)value);
	else
		snprintf(buf, size, "%llu", (unsigned long long)value);
}

const char *bpf_args_text(const struct bpf_args *args, const struct pt_regs *regs, char *buf,
			  size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	if (args->returns) {
		print_value(&args->arg[0], value_of(args, regs, 0), buf, size);
		return buf;
	}
	for (unsigned int i = 0; i < args->nr && len < size; i++) {
		char value[32];

		print_value(&args->arg[i], value_of(args, regs, i), value, sizeof(value));
		len += snprintf(buf + len, size - len, "%s%s=%s", i ? ", " : "",
				args->arg[i].name, value);
	}
	if (args->left_out && len < size)
		snprintf(buf + len, size - len, "%s...", args->nr ? ", " : "");
	return buf;
}

static json_t *value_json(const struct arg *arg, uint64_t value)
{
	if (arg->is_pointer || (!arg->is_signed && value > INT64_MAX))
		return json_sprintf("0x%llx", (unsigned long long)value);
	return arg->is_bool ? json_boolean(value) : json_integer((json_int_t)value);
}

json_t *bpf_args_json(const struct bpf_args *args, const struct pt_regs *regs)
{
	json_t *object;

	if (args->returns)
		return value_json(&args->arg[0], value_of(args, regs, 0));
	object = json_object();
	for (unsigned int i = 0; i < args->nr; i++)
		json_object_set_new(object, args->arg[i].name,
				    value_json(&args->arg[i], value_of(args, regs, i)));
	return object;
}
