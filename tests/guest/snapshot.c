// SPDX-License-Identifier: GPL-2.0-only
/* Read the kernel's text, without ktramp, and compare it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kt.h"
#include "snapshot.h"

#define SCANNED_MAX	65536
#define PRINTED_MAX	8

bool snapshot_read(uint64_t address, void *bytes, size_t size)
{
	int fd = open(KT_WINDOW, O_RDONLY | O_CLOEXEC);
	off_t at = address - KT_TEXT_BASE;
	size_t done = 0;
	ssize_t n;

	while (done < size && (n = pread(fd, bytes + done, size - done, at + done)) > 0)
		done += n;
	close(fd);
	return done == size;
}

bool snapshot_take(struct snapshot *shot)
{
	shot->start = kt_symbol("_stext");
	shot->size = kt_symbol("_etext") - shot->start;
	shot->bytes = malloc(shot->size);
	return shot->size && shot->bytes && snapshot_read(shot->start, shot->bytes, shot->size);
}

/*
 * Is the byte part of an instruction that the kernel itself changes as it runs? A jump label or a
 * static call is as whoever uses it left it.
 */
static bool is_the_kernels(int fd, uint64_t address)
{
	static struct ktramp_scan_insn insns[SCANNED_MAX];
	struct ktramp_scan scan = {
		.size = sizeof(scan), .address = address, .insns = (uintptr_t)insns,
		.max = SCANNED_MAX,
	};

	if (kt_ioctl(fd, KTRAMP_IOC_SCAN, &scan))
		return false;
	for (uint32_t i = 0; i < scan.nr && i < scan.max; i++)
		if (address - scan.address - insns[i].offset < insns[i].length)
			return insns[i].kernel == KTRAMP_R_PATCHED;
	return false;
}

/*
 * Return: bytes that changed and should not have; the first are printed. @fd: of KTRAMP_DEVICE.
 * @explained: (out) those that may change
 */
size_t snapshot_compare(int fd, const struct snapshot *before, const struct snapshot *after,
			size_t *explained)
{
	size_t changed = 0;

	*explained = 0;
	for (size_t i = 0; i < before->size; i++) {
		uint64_t address = before->start + i;

		if (before->bytes[i] == after->bytes[i])
			continue;
		if (is_the_kernels(fd, address)) {
			(*explained)++;
			continue;
		}
		if (changed++ < PRINTED_MAX)
			printf("# 0x%llx: %02x became %02x\n", (unsigned long long)address,
			       before->bytes[i], after->bytes[i]);
	}
	return changed;
}
