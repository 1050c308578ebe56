// SPDX-License-Identifier: GPL-2.0-only
/* The page of ktramp report: a template that user.mk puts together of user/page/, and its data. */
#include <errno.h>
#include <string.h>

#include "lib/ktramp.h"

#define DATA_MARK	"@data@"

extern const char page_template[];

asm(".pushsection .rodata\n"
	".globl page_template\n"
	"page_template:\n"
	"	.incbin \"" KTRAMP_PAGE "\"\n"
	"	.byte 0\n"
	".popsection\n");

/*
 * A '<' of the data stands in a string, where it may be written as an escape; then nothing in
 * the data can end the element that holds it, or begin a comment.
 */
static int write_escaped(const char *text, size_t size, void *to)
{
	while (size) {
		const char *special = memchr(text, '<', size);
		size_t plain = special ? (size_t)(special - text) : size;

		if (fwrite(text, 1, plain, to) != plain)
			return -1;
		if (!special)
			break;
		if (fputs("\\u003c", to) == EOF)
			return -1;
		text += plain + 1;
		size -= plain + 1;
	}
	return 0;
}

int page_write(FILE *to, const json_t *lines)
{
	const char *data = strstr(page_template, DATA_MARK);
	size_t head = data - page_template;

	if (fwrite(page_template, 1, head, to) != head ||
	    json_dump_callback(lines, write_escaped, to, JSON_COMPACT | JSON_REAL_PRECISION(12)) ||
	    fputs(data + strlen(DATA_MARK), to) == EOF || fflush(to)) {
		p_err("cannot write the page: %s", strerror(errno));
		return -EIO;
	}
	return 0;
}
