// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copy a range of kernel memory out of /proc/kcore, for qemu/text.
 *
 * Usage: kcore START END >FILE, addresses in hexadecimal
 */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KCORE	"/proc/kcore"

static int die(const char *what)
{
	perror(what);
	return 1;
}

/* Where in the file an address is, or -1. */
static off_t find(int fd, const Elf64_Ehdr *eh, unsigned long start, unsigned long end)
{
	Elf64_Phdr ph;

	for (unsigned int i = 0; i < eh->e_phnum; i++) {
		if (pread(fd, &ph, sizeof(ph), (off_t)(eh->e_phoff + i * sizeof(ph))) != sizeof(ph))
			break;
		if (ph.p_type == PT_LOAD && start >= ph.p_vaddr && end - ph.p_vaddr <= ph.p_memsz)
			return (off_t)(ph.p_offset + (start - ph.p_vaddr));
	}
	return -1;
}

static int copy(int fd, off_t at, unsigned long left)
{
	static char buf[1 << 16];

	while (left) {
		ssize_t n = pread(fd, buf, left < sizeof(buf) ? left : sizeof(buf), at);

		if (n <= 0)
			return die(KCORE);
		if (fwrite(buf, 1, (size_t)n, stdout) != (size_t)n)
			return die("stdout");
		at += n;
		left -= (unsigned long)n;
	}
	return fflush(stdout) ? die("stdout") : 0;
}

int main(int argc, char **argv)
{
	int fd = open(KCORE, O_RDONLY);
	unsigned long start, end;
	Elf64_Ehdr eh;
	off_t at;

	if (argc != 3) {
		fprintf(stderr, "usage: kcore START END >FILE\n");
		return 2;
	}
	if (fd < 0 || read(fd, &eh, sizeof(eh)) != sizeof(eh) ||
	    memcmp(eh.e_ident, ELFMAG, SELFMAG))
		return die(KCORE);
	start = strtoul(argv[1], NULL, 16);
	end = strtoul(argv[2], NULL, 16);
	at = find(fd, &eh, start, end);
	if (at < 0) {
		fprintf(stderr, KCORE ": %s to %s is in no segment\n", argv[1], argv[2]);
		return 1;
	}
	return copy(fd, at, end - start);
}
