/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's interface for TCG plugins, versions 1 to 7 (QEMU 4.2 to 11.1): the part of it that
 * xray.c uses. Debian packages no qemu-plugin.h.
 *
 * What differs between the versions:
 *   2  (9.0)   there are registers to read
 *   3  (9.1)   qemu_plugin_insn_data() copies, and returns a size; before, it ignores what is
 *              behind its first argument, and returns where the bytes are
 *   6  (11.0)  qemu_plugin_read_register() returns a bool, and no longer a size
 *   7  (11.1)  every callback has its data as last argument, which is given where it is
 *              registered, and the plugin's number no longer as its first
 * A caller may pass a function more arguments than it reads, on x86-64: so the prototypes are those
 * of the newest version, and callbacks are passed as qemu_plugin_cb_t.
 */
#ifndef KTRAMP_PLUGIN_H
#define KTRAMP_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QEMU_PLUGIN_EXPORT	__attribute__((visibility("default")))
/* NULL in a QEMU that has no such function. */
#define QEMU_PLUGIN_OPTIONAL	__attribute__((weak))

struct qemu_info {
	const char *target_name;
	struct {
		int min;
		int cur;
	} version;
	bool system_emulation;
	struct {
		int smp_vcpus;
		int max_vcpus;
	} system;
};

enum qemu_plugin_cb_flags {
	QEMU_PLUGIN_CB_NO_REGS,
	QEMU_PLUGIN_CB_R_REGS,
	QEMU_PLUGIN_CB_RW_REGS,
};

enum qemu_plugin_mem_rw {
	QEMU_PLUGIN_MEM_R = 1,
	QEMU_PLUGIN_MEM_W,
	QEMU_PLUGIN_MEM_RW,
};

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;
struct qemu_plugin_register;

/* Newer versions have more behind these. */
struct qemu_plugin_reg_descriptor {
	struct qemu_plugin_register *handle;
	const char *name;
};

typedef void (*qemu_plugin_cb_t)(void);
typedef void (*qemu_plugin_insn_cb_t)(unsigned int cpu, void *data);
typedef void (*qemu_plugin_mem_cb_t)(unsigned int cpu, uint32_t info,
				     uint64_t vaddr, void *data);

void qemu_plugin_reset(uint64_t id, qemu_plugin_cb_t cb, void *data);
void qemu_plugin_outs(const char *text);
void qemu_plugin_register_atexit_cb(uint64_t id, qemu_plugin_cb_t cb, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, qemu_plugin_cb_t cb, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    qemu_plugin_insn_cb_t cb,
					    enum qemu_plugin_cb_flags flags, void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, qemu_plugin_mem_cb_t cb,
				      enum qemu_plugin_cb_flags flags,
				      enum qemu_plugin_mem_rw rw, void *data);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uintptr_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t size);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

unsigned int qemu_plugin_mem_size_shift(uint32_t info);
bool qemu_plugin_mem_is_store(uint32_t info);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(uint32_t info, uint64_t vaddr);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *address);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *address);

/* Of GLib, which QEMU brings along: an array of register descriptors, and one of bytes. */
typedef struct _GArray {
	char *data;
	unsigned int len;
} GArray;

typedef struct _GByteArray {
	uint8_t *data;
	unsigned int len;
} GByteArray;

QEMU_PLUGIN_OPTIONAL GArray *qemu_plugin_get_registers(void);
QEMU_PLUGIN_OPTIONAL void qemu_plugin_read_register(struct qemu_plugin_register *handle,
						    GByteArray *buf);
QEMU_PLUGIN_OPTIONAL unsigned int g_array_get_element_size(GArray *array);
QEMU_PLUGIN_OPTIONAL void *g_array_unref(GArray *array);
QEMU_PLUGIN_OPTIONAL GByteArray *g_byte_array_new(void);
QEMU_PLUGIN_OPTIONAL GByteArray *g_byte_array_set_size(GByteArray *array, unsigned int length);
/* Since version 6. */
QEMU_PLUGIN_OPTIONAL void qemu_plugin_set_pc(uint64_t vaddr);

#endif /* KTRAMP_PLUGIN_H */
