// SPDX-License-Identifier: GPL-2.0-only
/* The labs, as they were built into the command. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab/lab.h"

#define WIDTH	80

extern const char labs_start[], labs_end[];

/* Every lab.json, one behind the other, and the figures. */
asm(".pushsection .rodata\n"
	".globl labs_start, labs_end\n"
	"labs_start:\n"
	"	.incbin \"" KTRAMP_LABS "\"\n"
	"labs_end:\n"
	".popsection\n");

int labs_load(struct labs *labs)
{
	const char *from = labs_start;
	json_error_t error;

	labs->labs = json_array();
	labs->figures = json_array();
	while (from < labs_end) {
		json_t *line = json_loadb(from, labs_end - from, JSON_DISABLE_EOF_CHECK, &error);

		/* White space behind the last one. */
		if (!line && !strspn(from, "{"))
			break;
		if (!line) {
			p_err("the labs built into this command cannot be read: %s, line %d behind "
			      "'%.40s'", error.text, error.line, from);
			return -EINVAL;
		}
		json_array_append_new(json_object_get(line, "lab") &&
				      json_object_get(line, "steps") ? labs->labs : labs->figures,
				      line);
		from += error.position;
		while (from < labs_end && strchr("\n ", *from))
			from++;
	}
	return 0;
}

void labs_free(struct labs *labs)
{
	json_decref(labs->labs);
	json_decref(labs->figures);
}

json_t *labs_find(const struct labs *labs, unsigned int number)
{
	size_t i;
	json_t *lab;

	json_array_foreach(labs->labs, i, lab)
		if (lab_number(lab) == number)
			return lab;
	p_err("no lab %u; 'ktramp lab list' has them all", number);
	return NULL;
}

unsigned int lab_number(const json_t *lab)
{
	return json_integer_value(json_object_get(lab, "lab"));
}

const char *lab_string(const json_t *object, const char *field)
{
	return json_string_value(json_object_get(object, field)) ?: "";
}

unsigned int lab_nr_steps(const json_t *lab)
{
	return json_array_size(json_object_get(lab, "steps"));
}

json_t *lab_step(const json_t *lab, unsigned int step)
{
	json_t *found = step ? json_array_get(json_object_get(lab, "steps"), step - 1) : NULL;

	if (!found)
		p_err("lab %u has no step %u: it has 1 to %u", lab_number(lab), step,
		      lab_nr_steps(lab));
	return found;
}

bool lab_asks(const json_t *step)
{
	return json_object_get(step, "ask");
}

static const char *const wheres[LAB_WHERES] = {
	[LAB_GUEST] = "guest", [LAB_TRACE] = "trace", [LAB_HOST] = "host",
};

enum lab_where lab_where(const json_t *object)
{
	const char *name = lab_string(object, "where");

	for (enum lab_where i = 0; i < LAB_WHERES; i++)
		if (!strcmp(name, wheres[i]))
			return i;
	return LAB_GUEST;
}

const char *lab_where_name(enum lab_where where)
{
	return wheres[where];
}

/* A string, or lines of one; an empty line ends a paragraph. NULL if there is none. */
char *lab_text(const json_t *text)
{
	char *joined = NULL;
	size_t size, i;
	FILE *file;
	json_t *line;
	bool begun = false;

	if (json_is_string(text))
		return strdup(json_string_value(text));
	if (!json_is_array(text))
		return NULL;
	file = open_memstream(&joined, &size);
	if (!file)
		return NULL;
	json_array_foreach(text, i, line) {
		const char *words = json_string_value(line) ?: "";

		fprintf(file, "%s%s", !*words ? "\n\n" : begun ? " " : "", words);
		begun = *words;
	}
	if (fclose(file)) {
		free(joined);
		return NULL;
	}
	return joined;
}

/* The page's `` for what is typed as it stands are ' in a terminal. */
static void print_word(const char *word, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool literal = word[i] == '`' && i + 1 < len && word[i + 1] == '`';

		putchar(literal ? '\'' : word[i]);
		i += literal;
	}
}

static size_t printed_length(const char *word, size_t len)
{
	size_t printed = len;

	for (size_t i = 0; i + 1 < len; i++)
		if (word[i] == '`' && word[i + 1] == '`') {
			printed--;
			i++;
		}
	return printed;
}

void lab_print(const char *text, unsigned int indent)
{
	unsigned int column = 0;

	for (const char *word = text; *word;) {
		size_t len = strcspn(word, "\n "), printed = printed_length(word, len);

		if (column && column + 1 + printed > WIDTH) {
			putchar('\n');
			column = 0;
		}
		if (len) {
			column += printf("%*s", column ? 1 : (int)indent, "");
			print_word(word, len);
			column += printed;
		}
		word += len;
		if (*word == '\n') {
			putchar('\n');
			column = 0;
		}
		word += *word != '\0';
	}
	putchar('\n');
}
