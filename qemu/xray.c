// SPDX-License-Identifier: GPL-2.0-only
/*
 * A TCG plugin that keeps hits: each instruction from one address to others, its accesses
 * to memory, and what the CPU pushed where control went elsewhere.
 *
 * usage: qemu-system-x86_64 -plugin xray.so,out=FILE ...
 *
 * It sees nothing but orders (xray.h) until it is told to attach, so that booting takes no
 * longer than without. One CPU: -icount has no more, and a hit is on one.
 *
 * The trace is text, a line each:
 *   order N			what follows is for the order N
 *   registers			and tells what instructions left in registers
 *   hit N			begins, the Nth since the order
 *   i ADDRESS BYTES		an instruction is executed
 *   r ADDRESS SIZE		it has read memory; w: written
 *   m ADDRESS VALUE...		eight-byte words of memory from there on, where a first store
 *				behind a break in the sequence went: an exception's frame
 *   g NAME VALUE		a register that it left with another value, or an exception
 *				behind it
 *   end ADDRESS		the hit ended in front of the instruction there
 *   lost			the hit did not end in time
 *
 * environment: KTRAMP_QEMU_VERSION, which of QEMU's versions this is, such as 11.1
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"
#include "xray.h"

QEMU_PLUGIN_EXPORT int qemu_plugin_version;
QEMU_PLUGIN_EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc,
					   char **argv);

#define INSN_MAX	16
#define FRAME_WORDS	7
#define REGISTERS	16

/* The instructions of a handler in which its first store is looked for. */
#define FRAME_WINDOW	5

/**
 * struct insn - an instruction as it was translated
 * @next: in its bucket
 * @listed: the next one that was executed in a hit
 * @is_listed: it is in that list
 * @sets: those that it came into
 */
struct insn {
	struct insn *next;
	struct insn *listed;
	uint64_t address;
	uint64_t sets;
	bool is_listed;
	uint8_t size;
	uint8_t bytes[INSN_MAX];
};

#define BUCKETS		(1u << 16)

static struct insn *buckets[BUCKETS];

/* Sets that what is executed comes into. */
static uint64_t watched;

static uint64_t self;	/* what QEMU calls this plugin */
static int interface;	/* version of QEMU's own interface, whichever one we asked for */
static FILE *trace;

/* The guest's memory: a file that QEMU maps, because the plugins' interface reads none. */
static uint8_t *ram;
static uint64_t ram_size;

/* The page of the guest that waits for us to attach. */
static struct xray_order *waiting;
static bool attached;

static struct {
	bool on;
	bool in_hit;
	bool writing;
	struct xray_order order;
	uint64_t hits;
	uint64_t lost;
	uint64_t length;
	uint64_t expected;	/* address behind the last instruction */
	unsigned int frame;	/* instructions left in which a frame is looked for */
	struct insn *list;
	uint64_t nr_listed;
} hit;

/* The general registers, as they were in front of the instruction that is executed now. */
static struct {
	bool known;
	GByteArray *buf;
	struct qemu_plugin_register *handle[REGISTERS];
	uint64_t value[REGISTERS];
} regs;

static const char *const reg_names[REGISTERS] = {
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
};

static void complain(const char *text)
{
	qemu_plugin_outs("xray: ");
	qemu_plugin_outs(text);
	qemu_plugin_outs("\n");
}

/* ---- the guest's memory ---- */

static bool find_ram(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];

	if (!maps)
		return false;
	while (!ram && fgets(line, sizeof(line), maps)) {
		uintptr_t from, to;

		if (!strstr(line, "memory-backend-memfd") ||
		    sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &from, &to) != 2)
			continue;
		ram = (uint8_t *)from;
		ram_size = to - from;
	}
	fclose(maps);
	return ram;
}

/* Where @size bytes at a guest's address are here, or NULL: a device, or across pages. */
static void *guest_memory(uint32_t info, uint64_t vaddr, unsigned int size)
{
	struct qemu_plugin_hwaddr *hw = qemu_plugin_get_hwaddr(info, vaddr);
	uint64_t address;

	if (!hw || qemu_plugin_hwaddr_is_io(hw))
		return NULL;
	address = qemu_plugin_hwaddr_phys_addr(hw);
	if (address >= ram_size || (vaddr & (XRAY_PAGE - 1)) + size > XRAY_PAGE)
		return NULL;
	return ram + address;
}

/* ---- registers ---- */

static bool can_read_registers(void)
{
	return qemu_plugin_get_registers && qemu_plugin_read_register && g_byte_array_new;
}

/* They are the CPU's, so only it can be asked, while it runs. */
static void find_registers(void)
{
	GArray *all = qemu_plugin_get_registers();
	size_t size = g_array_get_element_size(all);

	for (unsigned int i = 0; i < all->len; i++) {
		const struct qemu_plugin_reg_descriptor *reg = (const void *)(all->data + i * size);

		for (unsigned int j = 0; j < REGISTERS; j++)
			if (!strcmp(reg->name, reg_names[j]))
				regs.handle[j] = reg->handle;
	}
	g_array_unref(all);
	regs.buf = g_byte_array_new();
}

static uint64_t read_register(unsigned int i)
{
	uint64_t value = 0;

	g_byte_array_set_size(regs.buf, 0);
	if (regs.handle[i])
		qemu_plugin_read_register(regs.handle[i], regs.buf);
	memcpy(&value, regs.buf->data,
	       regs.buf->len < sizeof(value) ? regs.buf->len : sizeof(value));
	return value;
}

/* What the instruction before this one left; of the first one nothing is known. */
static void keep_registers(void)
{
	if (!can_read_registers())
		return;
	if (!regs.buf)
		find_registers();
	for (unsigned int i = 0; i < REGISTERS; i++) {
		uint64_t value = read_register(i);

		if (regs.known && value != regs.value[i])
			fprintf(trace, "g %s %" PRIx64 "\n", reg_names[i], value);
		regs.value[i] = value;
	}
	regs.known = true;
}

/* ---- hits ---- */

static bool is_end(uint64_t address)
{
	for (unsigned int i = 0; i < hit.order.nr_ends; i++)
		if (address >= hit.order.end[i].from && address < hit.order.end[i].to)
			return true;
	return false;
}

static void begin_hit(void)
{
	hit.in_hit = true;
	hit.writing = hit.hits + hit.lost < hit.order.keep;
	hit.length = 0;
	hit.expected = hit.order.begin;
	hit.frame = 0;
	regs.known = false;
	if (hit.writing)
		fprintf(trace, "hit %" PRIu64 "\n", hit.hits + hit.lost);
}

static void end_hit(uint64_t address)
{
	hit.in_hit = false;
	hit.hits++;
	if (!hit.writing)
		return;
	keep_registers();
	fprintf(trace, "end %" PRIx64 "\n", address);
}

static void lose_hit(void)
{
	hit.in_hit = false;
	hit.lost++;
	if (hit.writing)
		fprintf(trace, "lost\n");
}

static void keep_insn(struct insn *insn)
{
	if (insn->address != hit.expected)
		hit.frame = FRAME_WINDOW;
	else if (hit.frame)
		hit.frame--;
	hit.expected = insn->address + insn->size;
	if (!hit.writing)
		return;
	keep_registers();
	if (!insn->is_listed) {
		insn->is_listed = true;
		insn->listed = hit.list;
		hit.list = insn;
		hit.nr_listed++;
	}
	fprintf(trace, "i %" PRIx64 " ", insn->address);
	for (unsigned int i = 0; i < insn->size; i++)
		fprintf(trace, "%02x", insn->bytes[i]);
	fputc('\n', trace);
}

static void on_insn(unsigned int cpu, void *data)
{
	struct insn *insn = data;

	(void)cpu;
	insn->sets |= watched;
	if (!hit.on)
		return;
	/* A site in its function's own range is no end of the hit that begins there. */
	if (hit.in_hit && hit.length && insn->address != hit.order.begin && is_end(insn->address))
		end_hit(insn->address);
	if (!hit.in_hit && insn->address == hit.order.begin)
		begin_hit();
	if (!hit.in_hit)
		return;
	if (++hit.length > hit.order.most)
		lose_hit();
	else
		keep_insn(insn);
}

static void keep_frame(uint32_t info, uint64_t vaddr)
{
	/* An exception's own stack may end right behind the frame. */
	unsigned int words = (XRAY_PAGE - (vaddr & (XRAY_PAGE - 1))) / 8;
	const uint64_t *word;

	if (words > FRAME_WORDS)
		words = FRAME_WORDS;
	word = guest_memory(info, vaddr, words * 8);
	hit.frame = 0;
	if (!word || !words)
		return;
	fprintf(trace, "m %" PRIx64, vaddr);
	for (unsigned int i = 0; i < words; i++)
		fprintf(trace, " %" PRIx64, word[i]);
	fputc('\n', trace);
}

static void on_access(unsigned int cpu, uint32_t info, uint64_t vaddr, void *data)
{
	bool store = qemu_plugin_mem_is_store(info);

	(void)cpu;
	(void)data;
	if (!hit.in_hit || !hit.writing)
		return;
	fprintf(trace, "%c %" PRIx64 " %u\n", store ? 'w' : 'r', vaddr,
		1u << qemu_plugin_mem_size_shift(info));
	if (store && hit.frame)
		keep_frame(info, vaddr);
}

/* ---- translation ---- */

/* Its bytes, until the next call. */
static const uint8_t *bytes_of(const struct qemu_plugin_insn *insn)
{
	static uint8_t bytes[INSN_MAX];
	uintptr_t found = qemu_plugin_insn_data(insn, bytes, sizeof(bytes));

	return interface < 3 ? (const uint8_t *)found : bytes;
}

static struct insn *insn_of(struct qemu_plugin_insn *from)
{
	uint64_t address = qemu_plugin_insn_vaddr(from);
	const uint8_t *bytes = bytes_of(from);
	size_t size = qemu_plugin_insn_size(from);
	struct insn **bucket = &buckets[(address ^ address >> 16) % BUCKETS];
	struct insn *insn;

	if (size > INSN_MAX)
		size = INSN_MAX;
	/* Code that changed is another instruction. */
	for (insn = *bucket; insn; insn = insn->next)
		if (insn->address == address && insn->size == size &&
		    !memcmp(insn->bytes, bytes, size))
			return insn;
	insn = calloc(1, sizeof(*insn));
	if (!insn) {
		complain("out of memory");
		exit(1);
	}
	insn->address = address;
	insn->size = size;
	memcpy(insn->bytes, bytes, size);
	insn->next = *bucket;
	*bucket = insn;
	return insn;
}

static bool is_order(struct qemu_plugin_insn *insn)
{
	static const uint8_t store[] = XRAY_STORE_BYTES;

	return qemu_plugin_insn_size(insn) == sizeof(store) &&
	       !memcmp(bytes_of(insn), store, sizeof(store));
}

static void on_order(unsigned int cpu, uint32_t info, uint64_t vaddr, void *data);

static void translate(struct qemu_plugin_tb *tb)
{
	enum qemu_plugin_cb_flags flags =
		can_read_registers() ? QEMU_PLUGIN_CB_R_REGS : QEMU_PLUGIN_CB_NO_REGS;

	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (is_order(insn)) {
			qemu_plugin_register_vcpu_mem_cb(insn, on_order, QEMU_PLUGIN_CB_NO_REGS,
							 QEMU_PLUGIN_MEM_W, NULL);
		} else if (attached) {
			struct insn *known = insn_of(insn);

			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_insn, flags, known);
			qemu_plugin_register_vcpu_mem_cb(insn, on_access, QEMU_PLUGIN_CB_NO_REGS,
							 QEMU_PLUGIN_MEM_RW, NULL);
		}
	}
}

/* Up to version 6 and from 7 on. */
static void on_translation_id(uint64_t id, struct qemu_plugin_tb *tb)
{
	(void)id;
	translate(tb);
}

static void on_translation_data(struct qemu_plugin_tb *tb, void *data)
{
	(void)data;
	translate(tb);
}

static void watch_translation(void)
{
	qemu_plugin_cb_t cb = (qemu_plugin_cb_t)on_translation_id;

	if (qemu_plugin_version >= 7)
		cb = (qemu_plugin_cb_t)on_translation_data;
	qemu_plugin_register_vcpu_tb_trans_cb(self, cb, NULL);
}

/* All that was translated before is gone, and comes back with the callbacks it needs now. */
static void on_reset(void)
{
	watch_translation();
	waiting->attached = 1;
}

/* ---- orders ---- */

/*
 * There is no way back: QEMU before 8.0 leaves a pointer to an instruction's callbacks
 * behind when that leaves translated code, as iret does, and follows it after a second
 * reset has freed them.
 */
static void attach(struct xray_order *order)
{
	if (attached) {
		order->attached = 1;
		return;
	}
	attached = true;
	waiting = order;
	qemu_plugin_reset(self, on_reset, NULL);
}

static void forget_list(void)
{
	while (hit.list) {
		struct insn *insn = hit.list;

		hit.list = insn->listed;
		insn->is_listed = false;
	}
	hit.nr_listed = 0;
}

static void start(const struct xray_order *order)
{
	forget_list();
	hit.order = *order;
	if (hit.order.nr_ends > XRAY_RANGES)
		hit.order.nr_ends = XRAY_RANGES;
	hit.hits = 0;
	hit.lost = 0;
	hit.in_hit = false;
	hit.on = attached;
	fprintf(trace, "order %" PRIu64 "\n", order->number);
	if (can_read_registers())
		fputs("registers\n", trace);
}

static void stop(struct xray_order *order)
{
	hit.on = false;
	if (hit.in_hit)
		lose_hit();
	order->hits = hit.hits;
	order->lost = hit.lost;
	fflush(trace);
}

static void ask(struct xray_order *order)
{
	struct insn *insn = hit.list;
	uint64_t i = 0;

	order->nr = hit.nr_listed;
	for (; insn && i < order->first; i++)
		insn = insn->listed;
	for (i = 0; insn && i < XRAY_LIST; i++, insn = insn->listed)
		order->address[i] = insn->address;
}

/* Of code that changed there may be several at one address: each is told. */
static void tell_seen(struct xray_order *order)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < BUCKETS; i++) {
		for (const struct insn *insn = buckets[i]; insn; insn = insn->next) {
			if (!(insn->sets & order->sets))
				continue;
			if (nr >= order->first && nr - order->first < XRAY_LIST)
				order->address[nr - order->first] = insn->address;
			nr++;
		}
	}
	order->nr = nr;
}

static void on_order(unsigned int cpu, uint32_t info, uint64_t vaddr, void *data)
{
	uint64_t start_of_page = vaddr & ~(uint64_t)(XRAY_PAGE - 1);
	struct xray_order *order;

	(void)cpu;
	(void)data;
	/* The memory may be mapped only after the plugin was loaded. */
	if (!ram && !find_ram()) {
		complain("the guest's memory is not of a memory-backend-memfd");
		return;
	}
	order = guest_memory(info, vaddr, sizeof(order->command));
	if (!order)
		return;
	order = (void *)((uint8_t *)order - (vaddr - start_of_page));
	if (order->magic != XRAY_MAGIC)
		return;
	switch (order->command) {
	case XRAY_ATTACH:
		attach(order);
		break;
	case XRAY_START:
		start(order);
		break;
	case XRAY_STOP:
		stop(order);
		break;
	case XRAY_ASK:
		ask(order);
		break;
	case XRAY_WATCH:
		watched = attached ? order->sets : 0;
		break;
	case XRAY_SEEN:
		tell_seen(order);
		break;
	default:
		return;
	}
	order->answer = order->command;
}

static void close_trace(void)
{
	if (fclose(trace))
		complain("cannot write all of the trace");
}

/*
 * QEMU reads the version before it calls us, and takes only those that it knows. What it has tells
 * which those are, but for the last: 7 added no function.
 */
__attribute__((constructor)) static void choose_version(void)
{
	const char *qemu = getenv("KTRAMP_QEMU_VERSION");
	unsigned int major = 0, minor = 0;

	if (qemu)
		sscanf(qemu, "%u.%u", &major, &minor);
	if (!qemu_plugin_get_registers)
		qemu_plugin_version = 1;
	else if (!qemu_plugin_set_pc)
		qemu_plugin_version = 2;
	else if (major == 11 && !minor)
		qemu_plugin_version = 6;
	else
		qemu_plugin_version = 7;
}

int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv)
{
	if (!info->system_emulation || strcmp(info->target_name, "x86_64") ||
	    info->system.max_vcpus != 1) {
		complain("wants one CPU of a whole x86_64 machine: -smp 1");
		return -1;
	}
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], "out=", 4))
			trace = fopen(argv[i] + 4, "we");
	if (!trace) {
		complain("cannot write the trace: say out=FILE");
		return -1;
	}
	self = id;
	interface = info->version.cur;
	watch_translation();
	qemu_plugin_register_atexit_cb(id, close_trace, NULL);
	return 0;
}
