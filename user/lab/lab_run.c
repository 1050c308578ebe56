// SPDX-License-Identifier: GPL-2.0-only
/* Commands of a lab: run as a reader would type them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/lab.h"

/* Both streams, in the order they were written. */
int lab_command(const char *command, FILE *to)
{
	char *line = NULL, buf[4096];
	FILE *from;
	size_t n;
	int status;

	fflush(NULL);
	/* On a line of its own: the command may end in a comment. */
	if (asprintf(&line, "exec 2>&1 </dev/null\n%s\n", command) < 0) {
		p_err("cannot run '%s': %s", command, strerror(ENOMEM));
		return -ENOMEM;
	}
	from = popen(line, "re");
	free(line);
	if (!from) {
		p_err("cannot run '%s': %s", command, strerror(errno));
		return -errno;
	}
	while ((n = fread(buf, 1, sizeof(buf), from)) > 0) {
		fwrite(buf, 1, n, to);
		fflush(to);
	}
	status = pclose(from);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/*
 * A step's commands, each behind its prompt. What a lab shows may fail on purpose: then the
 * step says with which status.
 */
int lab_run_step(const json_t *step, FILE *to)
{
	json_t *run = json_object_get(step, "run"), *command;
	int want = json_integer_value(json_object_get(step, "status"));
	size_t i;

	json_array_foreach(run, i, command) {
		const char *line = json_string_value(command);
		bool last = i + 1 == json_array_size(run);
		int status;

		fprintf(to, "%s%c %s\n", i ? "\n" : "", lab_where(step) == LAB_HOST ? '$' : '#',
			line);
		status = lab_command(line, to);
		if (status < 0)
			return status;
		if (status != (last ? want : 0)) {
			p_err("'%s' ended with status %d, not %d", line, status, last ? want : 0);
			return -EIO;
		}
	}
	return 0;
}
