// SPDX-License-Identifier: GPL-2.0-only
/* The only file that knows /dev/ktramp. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/ktramp.h"

static int call(const struct dev *dev, unsigned long request, void *arg)
{
	return ioctl(dev->fd, request, arg) ? -errno : 0;
}

static void complain_open(int err)
{
	switch (err) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		p_err("no %s: the module is not loaded; run 'insmod ktramp.ko', or "
		      "'modprobe ktramp' if it is installed", KTRAMP_DEVICE);
		break;
	case EPERM:
	case EACCES:
		p_err("cannot open %s: %s; it needs CAP_SYS_ADMIN in the initial user namespace: "
		      "run as root, outside of containers", KTRAMP_DEVICE, strerror(err));
		break;
	default:
		p_err("cannot open %s: %s", KTRAMP_DEVICE, strerror(err));
	}
}

static int read_info(struct dev *dev)
{
	int err;

	dev->info.size = sizeof(dev->info);
	err = call(dev, KTRAMP_IOC_INFO, &dev->info);
	if (err) {
		p_err("%s does not answer KTRAMP_IOC_INFO: %s; is it ktramp's device?",
		      KTRAMP_DEVICE, strerror(-err));
		return err;
	}
	if (dev->info.abi != KTRAMP_ABI) {
		p_err("the loaded module's interface is version %u, this command's is %u; "
		      "build and load both from the same tree", dev->info.abi, KTRAMP_ABI);
		return -EPROTO;
	}
	return 0;
}

static int read_mechanisms(struct dev *dev)
{
	for (uint32_t i = 1;; i++) {
		struct ktramp_mechanism_info info = { .size = sizeof(info), .mechanism = i };
		struct ktramp_mechanism_info *last;
		int err = call(dev, KTRAMP_IOC_MECHANISM, &info);

		if (err == -ENOENT)
			return 0;
		last = err ? NULL : array_more(dev->mechanisms, dev->nr_mechanisms);
		if (!last) {
			err = err ? err : -ENOMEM;
			p_err("cannot list mechanism %u: %s", i, strerror(-err));
			return err;
		}
		*last = info;
		dev->nr_mechanisms++;
	}
}

static int read_targets(struct dev *dev)
{
	dev->targets = calloc(dev->info.nr_targets + 1, sizeof(*dev->targets));
	if (!dev->targets) {
		p_err("cannot list the targets: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < dev->info.nr_targets; i++) {
		struct ktramp_target_info *info = &dev->targets[i];
		int err;

		*info = (struct ktramp_target_info){ .size = sizeof(*info), .index = i };
		err = call(dev, KTRAMP_IOC_TARGET, info);
		if (err) {
			p_err("cannot list target %u: %s", i, strerror(-err));
			return err;
		}
		dev->nr_targets++;
	}
	return 0;
}

int dev_open(struct dev *dev)
{
	int err;

	*dev = (struct dev){ .fd = open(KTRAMP_DEVICE, O_RDWR | O_CLOEXEC) };
	if (dev->fd < 0) {
		err = -errno;
		complain_open(-err);
		return err;
	}

	err = read_info(dev);
	if (!err)
		err = read_mechanisms(dev);
	if (!err)
		err = read_targets(dev);
	if (err)
		dev_close(dev);
	return err;
}

void dev_close(struct dev *dev)
{
	if (dev->fd >= 0)
		close(dev->fd);
	free(dev->mechanisms);
	free(dev->targets);
	*dev = (struct dev){ .fd = -1 };
}

const struct ktramp_mechanism_info *dev_mechanism(const struct dev *dev, const char *name)
{
	for (unsigned int i = 0; i < dev->nr_mechanisms; i++)
		if (!strcmp(dev->mechanisms[i].name, name))
			return &dev->mechanisms[i];
	p_err("no mechanism '%s'; 'ktramp mechanisms' lists them", name);
	return NULL;
}

static const struct ktramp_target_info *find_target(const struct dev *dev, const char *name)
{
	for (unsigned int i = 0; i < dev->nr_targets; i++)
		if (!strcmp(dev->targets[i].name, name) || !strcmp(dev->targets[i].site, name))
			return &dev->targets[i];
	return NULL;
}

const struct ktramp_target_info *dev_target(const struct dev *dev, const char *name)
{
	const struct ktramp_target_info *target = find_target(dev, name);

	if (!target)
		p_err("no target '%s'; 'ktramp targets' lists them", name);
	return target;
}

bool dev_is_target(const struct dev *dev, const struct ktramp_target_info *place)
{
	return find_target(dev, place->name);
}

int dev_site(const struct dev *dev, const char *text, struct ktramp_site_info *site)
{
	int err;

	*site = (struct ktramp_site_info){ .size = sizeof(*site) };
	if (strlen(text) >= sizeof(site->site)) {
		p_refusal(&(struct refusal){ .site = text, .err = ENAMETOOLONG },
			  "the site '%.32s...' has %zu characters: at most %zu are possible",
			  text, strlen(text), sizeof(site->site) - 1);
		return -ENAMETOOLONG;
	}
	strcpy(site->site, text);
	err = call(dev, KTRAMP_IOC_SITE, site);
	if (err) {
		const struct refusal about = { text, site->reason, err };

		p_refusal(&about, "there is no place '%s': %s", text,
			  *site->why ? site->why : strerror(-err));
	}
	return err;
}

/* Names are the module's to resolve: a probe that is never armed tells. */
static int resolve(const struct dev *dev, const char *site, struct ktramp_probe_info *probe)
{
	struct ktramp_create create = {
		.mechanism = KTRAMP_INT3_BOOST, .handler = KTRAMP_COUNT,
	};
	struct ktramp_batch batch;
	int err;

	if (strlen(site) >= sizeof(create.site)) {
		p_refusal(&(struct refusal){ .site = site, .err = ENAMETOOLONG },
			  "the site '%.32s...' has %zu characters: at most %zu are possible",
			  site, strlen(site), sizeof(create.site) - 1);
		return -ENAMETOOLONG;
	}
	strcpy(create.site, site);
	err = dev_create(dev, &create);
	/* Only a jump goes to a function's entry, through ftrace's call. */
	if (err == -EBUSY) {
		create.mechanism = KTRAMP_JUMP;
		err = dev_create(dev, &create);
	}
	if (err) {
		const struct refusal about = { site, create.reason, err };

		p_refusal(&about, "cannot probe '%s': %s", site,
			  *create.why ? create.why : strerror(-err));
		return err;
	}
	err = dev_probe(dev, create.id, 0, probe);
	dev_destroy(dev, create.id, &batch);
	return err;
}

int dev_place(const struct dev *dev, const char *site, struct ktramp_target_info *place)
{
	const struct ktramp_target_info *target = find_target(dev, site);
	struct ktramp_probe_info probe;
	struct ktramp_scan_insn insn;
	struct ktramp_scan scan;
	int err;

	if (target) {
		*place = *target;
		return 0;
	}
	err = resolve(dev, site, &probe);
	if (err)
		return err;
	*place = (struct ktramp_target_info){ .address = probe.address, .length = probe.region };
	snprintf(place->name, sizeof(place->name), "%s", probe.site);
	snprintf(place->site, sizeof(place->site), "%s", probe.site);
	memcpy(place->bytes, probe.before, sizeof(place->bytes));
	scan = (struct ktramp_scan){
		.address = probe.address, .insns = (uintptr_t)&insn, .first = UINT32_MAX, .max = 1,
	};
	/* Without addresses there is nothing to disassemble either. */
	if (!probe.address || dev_scan(dev, &scan))
		return 0;
	place->offset = probe.address - scan.address;
	place->func_size = scan.length;
	return 0;
}

const struct ktramp_target_info *dev_base(const struct dev *dev,
					  const struct ktramp_target_info *target)
{
	const struct ktramp_target_info *base = find_target(dev, target->base);

	return base ? base : target;
}

unsigned int dev_target_index(const struct dev *dev, const struct ktramp_target_info *target)
{
	return find_target(dev, target->name) - dev->targets;
}

int dev_create(const struct dev *dev, struct ktramp_create *create)
{
	create->size = sizeof(*create);
	return call(dev, KTRAMP_IOC_CREATE, create);
}

/**
 * dev_create_usual() - a jump, or where none fits a breakpoint that goes on in a detour
 * @dev: the device
 * @create: (in/out) all but the mechanism; (out) that, too
 *
 * Which of them it is, if it is not the jump, is said. Return: as dev_create(), the jump's refusal.
 */
int dev_create_usual(const struct dev *dev, struct ktramp_create *create)
{
	struct ktramp_create divert = *create;
	int err;

	create->mechanism = create->handler == KTRAMP_BPF || create->handler == KTRAMP_BPF_INLINE ?
			    KTRAMP_BPF_JUMP : KTRAMP_JUMP;
	err = dev_create(dev, create);
	if (!err || !reason_is_refusal(create->reason))
		return err;
	divert.mechanism = KTRAMP_INT3_DIVERT;
	if (dev_create(dev, &divert))
		return err;
	p_warn("no jump fits at '%s', 'int3-divert' serves it: %s", create->site, create->why);
	*create = divert;
	return 0;
}

int dev_batch(const struct dev *dev, unsigned long request, const uint32_t *ids, uint32_t nr,
	      struct ktramp_batch *batch)
{
	*batch = (struct ktramp_batch){
		.size	= sizeof(*batch),
		.ids	= (uintptr_t)ids,
		.nr	= nr,
	};
	return call(dev, request, batch);
}

int dev_arm(const struct dev *dev, uint32_t id, struct ktramp_batch *batch)
{
	return dev_batch(dev, KTRAMP_IOC_ARM, &id, 1, batch);
}

int dev_disarm(const struct dev *dev, uint32_t id, struct ktramp_batch *batch)
{
	return dev_batch(dev, KTRAMP_IOC_DISARM, &id, 1, batch);
}

int dev_destroy(const struct dev *dev, uint32_t id, struct ktramp_batch *batch)
{
	return dev_batch(dev, KTRAMP_IOC_DESTROY, &id, 1, batch);
}

int dev_cpu_stat(const struct dev *dev, uint32_t id, uint32_t cpu, struct ktramp_cpu_stat *stat)
{
	*stat = (struct ktramp_cpu_stat){ .size = sizeof(*stat), .id = id, .cpu = cpu };
	return call(dev, KTRAMP_IOC_CPU_STAT, stat);
}

int dev_probe(const struct dev *dev, uint32_t id, uint32_t flags,
	      struct ktramp_probe_info *probe)
{
	*probe = (struct ktramp_probe_info){ .size = sizeof(*probe), .flags = flags, .id = id };
	return call(dev, KTRAMP_IOC_PROBE, probe);
}

int dev_code(const struct dev *dev, uint32_t id, uint32_t part, struct ktramp_code *code)
{
	*code = (struct ktramp_code){ .size = sizeof(*code), .id = id, .part = part };
	return call(dev, KTRAMP_IOC_CODE, code);
}

int dev_kprobes(const struct dev *dev, const uint64_t *addresses, uint32_t nr,
		struct ktramp_kprobes *kprobes)
{
	*kprobes = (struct ktramp_kprobes){
		.size		= sizeof(*kprobes),
		.addresses	= (uintptr_t)addresses,
		.nr		= nr,
	};
	return call(dev, KTRAMP_IOC_KPROBES, kprobes);
}

int dev_scan(const struct dev *dev, struct ktramp_scan *scan)
{
	scan->size = sizeof(*scan);
	return call(dev, KTRAMP_IOC_SCAN, scan);
}

int dev_run(const struct dev *dev, struct ktramp_run *run)
{
	run->size = sizeof(*run);
	return call(dev, KTRAMP_IOC_RUN, run);
}

int dev_bpf(const struct dev *dev, struct ktramp_bpf *bpf)
{
	bpf->size = sizeof(*bpf);
	return call(dev, KTRAMP_IOC_BPF, bpf);
}

int dev_regs(const struct dev *dev, uint32_t id, uint32_t cpu, struct ktramp_regs *regs)
{
	*regs = (struct ktramp_regs){ .size = sizeof(*regs), .id = id, .cpu = cpu };
	return call(dev, KTRAMP_IOC_REGS, regs);
}

int dev_watch(const struct dev *dev, uint32_t id)
{
	struct ktramp_watch_id watch = { .size = sizeof(watch), .id = id };

	return call(dev, KTRAMP_IOC_WATCH, &watch);
}

int dev_cover_add(const struct dev *dev, struct ktramp_cover_add *add)
{
	add->size = sizeof(*add);
	return call(dev, KTRAMP_IOC_COVER_ADD, add);
}

int dev_cover(const struct dev *dev, unsigned long request, struct ktramp_cover *cover)
{
	*cover = (struct ktramp_cover){ .size = sizeof(*cover) };
	return call(dev, request, cover);
}

int dev_cover_read(const struct dev *dev, struct ktramp_cover_read *read)
{
	read->size = sizeof(*read);
	return call(dev, KTRAMP_IOC_COVER_READ, read);
}
