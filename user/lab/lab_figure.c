// SPDX-License-Identifier: GPL-2.0-only
/*
 * Figures of a lab: what a command prints, by a pattern. They depend on the kernel, so they are
 * measured where that is possible, and elsewhere are what a guest printed when the labs'
 * outputs were made.
 */
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab/lab.h"

/* Only a clock that counts instructions gives the figures that the labs are about. */
bool lab_counts_here(void)
{
	struct dev dev __cleanup(dev_close) = { .fd = -1 };

	return !access("/dev/ktramp", R_OK | W_OK) && !dev_open(&dev) &&
	       dev.info.clock == KTRAMP_CLOCK_ICOUNT;
}

static json_t *figure_of(const json_t *lab, const char *name)
{
	json_t *figure = json_object_get(json_object_get(lab, "figures"), name);

	if (!figure)
		p_err("lab %u has no figure '%s'", lab_number(lab), name);
	return figure;
}

static int match(const char *pattern, const char *text, char **value)
{
	regmatch_t found[2];
	regex_t regex;
	int err;

	err = regcomp(&regex, pattern, REG_EXTENDED | REG_NEWLINE);
	if (err) {
		p_err("'%s' is no regular expression", pattern);
		return -EINVAL;
	}
	err = regexec(&regex, text, 2, found, 0) || found[1].rm_so < 0;
	regfree(&regex);
	if (err)
		return -ENOENT;
	*value = strndup(text + found[1].rm_so, found[1].rm_eo - found[1].rm_so);
	return *value ? 0 : -ENOMEM;
}

/* In a guest the lab's own scripts are found wherever the reader stands. */
static char *command_of(const json_t *lab, const json_t *figure)
{
	char directory[32], *command;

	snprintf(directory, sizeof(directory), "/labs/%u", lab_number(lab));
	if (lab_where(figure) != LAB_GUEST || access(directory, X_OK))
		return strdup(lab_string(figure, "run"));
	return asprintf(&command, "cd %s\n%s", directory, lab_string(figure, "run")) < 0 ? NULL :
	       command;
}

/* What a command printed; several figures may be of one, and then it runs once. */
static int printed_by(const char *command, char **text)
{
	static char *last, *output;
	size_t size;
	FILE *file;
	int err;

	*text = output;
	if (last && !strcmp(last, command))
		return 0;
	free(last);
	free(output);
	last = NULL;
	output = NULL;
	file = open_memstream(&output, &size);
	if (!file)
		return -ENOMEM;
	err = lab_command(command, file);
	if (fclose(file))
		return -ENOMEM;
	*text = output;
	if (!err)
		last = strdup(command);
	return err;
}

int lab_figure_live(const json_t *lab, const char *name, char **value)
{
	const json_t *figure = figure_of(lab, name);
	char *command __cleanup(free_string) = NULL;
	char *text;
	int err;

	if (!figure)
		return -ENOENT;
	command = command_of(lab, figure);
	if (!command)
		return -ENOMEM;
	err = printed_by(command, &text);
	if (err) {
		p_err("'%s', for figure '%s', ended with status %d:\n%s", lab_string(figure, "run"),
		      name, err, text ?: "");
		err = -EIO;
	} else {
		err = match(lab_string(figure, "match"), text, value);
		if (err)
			p_err("'%s' printed nothing like '%s'", lab_string(figure, "run"),
			      lab_string(figure, "match"));
	}
	return err;
}

static bool same_series(const char *one, const char *other)
{
	unsigned int a[2], b[2];

	return sscanf(one, "%u.%u", &a[0], &a[1]) == 2 &&
	       sscanf(other, "%u.%u", &b[0], &b[1]) == 2 && a[0] == b[0] && a[1] == b[1];
}

/* A figure of this build is the nearest, then of its series, then of the kernel that is shown. */
static unsigned int nearness(const json_t *line, const char *release)
{
	const char *kernel = lab_string(line, "kernel");

	if (!strcmp(kernel, release))
		return 3;
	if (same_series(kernel, release))
		return 2;
	return json_is_true(json_object_get(line, "shown"));
}

static char *recorded(const struct labs *labs, const json_t *lab, const char *name)
{
	unsigned int nearest = 0;
	const char *value = NULL;
	struct utsname uts;
	json_t *line;
	size_t i;

	if (uname(&uts))
		return NULL;
	json_array_foreach(labs->figures, i, line) {
		unsigned int near = nearness(line, uts.release);

		if (json_integer_value(json_object_get(line, "lab")) != lab_number(lab) ||
		    strcmp(lab_string(line, "name"), name) || near <= nearest)
			continue;
		value = lab_string(line, "value");
		nearest = near;
	}
	return value ? strdup(value) : NULL;
}

/* Every guest has the command; a lab's own scripts are only in the lab's. */
static bool has_scripts(const json_t *lab, const json_t *figure)
{
	char directory[32];

	snprintf(directory, sizeof(directory), "/labs/%u", lab_number(lab));
	return !strstr(lab_string(figure, "run"), ".sh") || !access(directory, X_OK);
}

char *lab_figure(const struct labs *labs, const json_t *lab, const char *name)
{
	const json_t *figure = figure_of(lab, name);
	char *value = NULL;

	if (!figure)
		return NULL;
	/* Any guest has the command, only a lab's has its files. */
	if (lab_where(figure) == LAB_GUEST && lab_counts_here() &&
	    has_scripts(lab, figure)) {
		lab_figure_live(lab, name, &value);
		return value;
	}
	value = recorded(labs, lab, name);
	if (!value)
		p_err("figure '%s' of lab %u was not recorded; run this in a guest (make lab)",
		      name, lab_number(lab));
	return value;
}

/* Text with its {NAME} replaced by the figures of that name. */
char *lab_fill(const struct labs *labs, const json_t *lab, const json_t *text)
{
	char *from __cleanup(free_string) = lab_text(text);
	char *filled = NULL;
	size_t size;
	FILE *file;

	if (!from)
		return NULL;
	file = open_memstream(&filled, &size);
	if (!file)
		return NULL;
	for (char *at = from, *end; *at;) {
		size_t plain = strcspn(at, "{");
		char *name __cleanup(free_string) = NULL;
		char *value __cleanup(free_string) = NULL;

		fwrite(at, 1, plain, file);
		at += plain;
		if (!*at)
			break;
		end = strchr(at, '}');
		name = end ? strndup(at + 1, end - at - 1) : NULL;
		if (name && json_object_get(json_object_get(lab, "figures"), name))
			value = lab_figure(labs, lab, name);
		if (value) {
			fputs(value, file);
			at = end + 1;
		} else {
			fputc(*at++, file);
		}
	}
	if (fclose(file)) {
		free(filled);
		return NULL;
	}
	return filled;
}
