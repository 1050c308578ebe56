/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of ktramp lab share.
 *
 * A lab is Documentation/labs/N-NAME/lab.json, which the page beside it and this command both
 * read. Documentation/labs/index.rst has its format. All labs, and the figures that guests
 * printed for them, are built into the command.
 */
#ifndef _KTRAMP_LAB_H
#define _KTRAMP_LAB_H

#include <stdlib.h>

#include "lib/ktramp.h"

static inline void free_string(char **string)
{
	free(*string);
}

/* Where a step's commands run. */
enum lab_where {
	LAB_GUEST,	/* in the guest, with the module loaded */
	LAB_TRACE,	/* wherever the lab's x-rays are, in ./xray */
	LAB_HOST,	/* in the source tree */
	LAB_WHERES,
};

struct labs {
	json_t *labs;		/* array, by number */
	json_t *figures;	/* array of lines of type "figure" */
};

/* lab_data.c */
int labs_load(struct labs *labs);				/* complains */
void labs_free(struct labs *labs);
json_t *labs_find(const struct labs *labs, unsigned int number);	/* complains */
unsigned int lab_number(const json_t *lab);
const char *lab_string(const json_t *object, const char *field);
json_t *lab_step(const json_t *lab, unsigned int step);	/* complains */
unsigned int lab_nr_steps(const json_t *lab);
bool lab_asks(const json_t *step);
enum lab_where lab_where(const json_t *object);
const char *lab_where_name(enum lab_where where);
char *lab_text(const json_t *text);
void lab_print(const char *text, unsigned int indent);

/* lab_figure.c */
char *lab_figure(const struct labs *labs, const json_t *lab, const char *name);	/* complains */
int lab_figure_live(const json_t *lab, const char *name, char **value);	/* complains */
char *lab_fill(const struct labs *labs, const json_t *lab, const json_t *text);
bool lab_counts_here(void);

/* lab_answer.c */
struct lab_verdict {
	bool right;
	char *why;	/* to be told */
	char *value;	/* the right answer, or NULL where words are asked for */
};

int lab_judge(const struct labs *labs, const json_t *lab, const json_t *step, const char *answer,
	      struct lab_verdict *verdict);			/* complains */
void lab_verdict_free(struct lab_verdict *verdict);

/* lab_run.c */
int lab_command(const char *command, FILE *to);		/* complains; the command's status */
int lab_run_step(const json_t *step, FILE *to);			/* complains */

/* lab_progress.c: which questions were answered */
bool lab_progress_has(unsigned int lab, unsigned int step);
void lab_progress_add(unsigned int lab, unsigned int step);
unsigned int lab_progress_next(const json_t *lab);	/* 0: all were */
unsigned int lab_progress_count(const json_t *lab);
int lab_progress_forget(unsigned int lab);		/* complains */

#endif /* _KTRAMP_LAB_H */
