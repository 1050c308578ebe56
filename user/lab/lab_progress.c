// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which questions were answered, so that an answer may leave out which one it is to. One line
 * an answer, "LAB STEP"; whoever cannot write there only has to name the step.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab/lab.h"

static int progress_path(char *path, size_t size, bool make)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char *slash;

	if (state && *state)
		snprintf(path, size, "%s/ktramp/labs", state);
	else if (home && *home)
		snprintf(path, size, "%s/.local/state/ktramp/labs", home);
	else
		return -ENOENT;
	for (slash = strchr(path + 1, '/'); make && slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0777);
		*slash = '/';
	}
	return 0;
}

bool lab_progress_has(unsigned int lab, unsigned int step)
{
	char path[4096];
	unsigned int a, b;
	bool found = false;
	FILE *file;

	if (progress_path(path, sizeof(path), false))
		return false;
	file = fopen(path, "re");
	while (file && !found && fscanf(file, "%u %u", &a, &b) == 2)
		found = a == lab && b == step;
	if (file)
		fclose(file);
	return found;
}

void lab_progress_add(unsigned int lab, unsigned int step)
{
	char path[4096];
	FILE *file;

	if (lab_progress_has(lab, step) || progress_path(path, sizeof(path), true))
		return;
	file = fopen(path, "ae");
	if (!file)
		return;
	fprintf(file, "%u %u\n", lab, step);
	fclose(file);
}

unsigned int lab_progress_next(const json_t *lab)
{
	json_t *step;
	size_t i;

	json_array_foreach(json_object_get(lab, "steps"), i, step)
		if (lab_asks(step) && !lab_progress_has(lab_number(lab), i + 1))
			return i + 1;
	return 0;
}

unsigned int lab_progress_count(const json_t *lab)
{
	unsigned int count = 0;
	json_t *step;
	size_t i;

	json_array_foreach(json_object_get(lab, "steps"), i, step)
		count += lab_asks(step) && lab_progress_has(lab_number(lab), i + 1);
	return count;
}

int lab_progress_forget(unsigned int lab)
{
	char path[4096], text[65536];
	unsigned int a, b;
	size_t len = 0;
	FILE *file;

	if (progress_path(path, sizeof(path), false))
		return 0;
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fscanf(file, "%u %u", &a, &b) == 2 && len + 32 < sizeof(text))
		if (a != lab)
			len += snprintf(text + len, sizeof(text) - len, "%u %u\n", a, b);
	fclose(file);
	file = fopen(path, "we");
	if (!file || fwrite(text, 1, len, file) != len || fclose(file)) {
		p_err("cannot write %s: %s", path, strerror(errno));
		return -errno;
	}
	return 0;
}
