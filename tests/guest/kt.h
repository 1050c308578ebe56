/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the guest tests share: the ioctls as functions that return 0 or -errno, and a look
 * at the machine around them.
 */
#ifndef KT_H
#define KT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "ktramp.h"

#define INT3		0xcc
#define JMP		0xe9
#define CALL		0xe8
#define JMP_SIZE	5
#define JMP8		0xeb	/* to a springboard */
#define PREFIX		0x2e	/* moves the displacement of a jump to where it is wanted */

#define KPROBE_LIST	"/sys/kernel/debug/kprobes/list"
#define KPROBE_EVENTS	"/sys/kernel/tracing/kprobe_events"
#define KPROBE_OPT	"/proc/sys/debug/kprobes-optimization"

/* Of a module of the tests, tests/module/window.c. */
#define KT_WINDOW	"/dev/ktramp_window"
#define CPU1_ONLINE	"/sys/devices/system/cpu/cpu1/online"
#define KT_TEXT_BASE	0xffffffff80000000ULL	/* where what it shows begins */

/* What a command did. */
struct kt_output {
	int status;	/* of exit, or 128 + signal */
	char out[65536], err[4096];
};

void kt_shell(const char *command, struct kt_output *o);

int kt_open(void);
int kt_ioctl(int fd, unsigned long request, void *arg);
int kt_info(int fd, struct ktramp_info *info);
int kt_target(int fd, unsigned int index, struct ktramp_target_info *info);
int kt_target_index(int fd, const char *name);
int kt_mechanism(int fd, unsigned int mechanism, struct ktramp_mechanism_info *info);

int kt_create_as(int fd, const char *site, unsigned int mechanism, unsigned int handler,
		 unsigned int flags, struct ktramp_create *create);
int kt_create(int fd, const char *site, unsigned int mechanism);
int kt_batch(int fd, unsigned long request, const __u32 *ids, unsigned int nr,
	     struct ktramp_batch *batch);
int kt_arm(int fd, unsigned int id);
int kt_disarm(int fd, unsigned int id);
int kt_destroy(int fd, unsigned int id);
int kt_probe(int fd, unsigned int id, struct ktramp_probe_info *info);
int kt_regs(int fd, unsigned int id, struct ktramp_regs *regs);
int kt_run(int fd, unsigned int target, unsigned int id, unsigned int loops,
	   unsigned int flags, struct ktramp_run *run);
int kt_load(int fd, unsigned int flags, struct ktramp_load *load);

bool kt_bytes_are_original(const struct ktramp_probe_info *probe, size_t len);
bool kt_bytes_are_armed(const struct ktramp_probe_info *probe, size_t len);

/* Does the kernel's BPF ring buffer take a lock that sleeps, as PREEMPT_RT's does before 6.12? */
bool kt_ring_sleeps(void);
bool kt_bpf_is_left_to_c(void);

/* Does the kernel have types of its own (CONFIG_DEBUG_INFO_BTF)? */
bool kt_has_btf(void);

int kt_pin(int cpu);
int kt_write_file(const char *path, const char *text);
int kt_read_file(const char *path, char *buf, size_t size);
/* A kprobe that is not ours: registered, not enabled yet; enabled; gone. */
int kt_theirs_ready(const char *site);
int kt_theirs_on(void);
int kt_theirs_off(void);

/* The address of a symbol, or 0. */
unsigned long long kt_symbol(const char *name);
bool kt_runs_bpf(void);
bool kt_kprobe_listed(unsigned long long address, char *line, size_t size);
int kt_insmod(const char *path);
int kt_open_window(void);
int kt_load_module(void);
int kt_load_module_with(const char *parameters);
int kt_unload_module(void);

#endif /* KT_H */
