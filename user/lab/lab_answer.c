// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is an answer right, and if not, what was the thought behind it? A lab lists the wrong answers
 * that readers give, each with what leads from there to the right one.
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "lab/lab.h"

#define WORDS_MAX	32

/* What is judged: one question, one answer to it. */
struct judged {
	const struct labs *labs;
	const json_t *lab;
	const json_t *step;
	char *answer;		/* in lower case, one blank between words */
	bool is_number;
	double number;
	double right;		/* of kind "number" */
};

/* Quotes, and what ends a sentence, are no part of an answer. */
static char *plain(const char *answer)
{
	char *text = strdup(answer), *to = text;

	if (!text)
		return NULL;
	for (const char *from = answer; *from; from++) {
		if (isspace((unsigned char)*from)) {
			if (to > text && to[-1] != ' ')
				*to++ = ' ';
		} else if (!strchr("'\"`", *from)) {
			*to++ = tolower((unsigned char)*from);
		}
	}
	while (to > text && strchr(" .!?", to[-1]))
		to--;
	*to = '\0';
	return text;
}

/* The comma of "4,095" and "10,752": between digits, with three of them behind it. */
static bool is_thousands(const char *comma)
{
	return isdigit((unsigned char)comma[1]) && isdigit((unsigned char)comma[2]) &&
	       isdigit((unsigned char)comma[3]) && !isdigit((unsigned char)comma[4]);
}

/* Digits as strtod() takes them; no double has more of them than fit. */
static const char *read_digits(const char *word, double *number)
{
	char digits[64];
	size_t len = 0;
	char *end;

	for (const char *from = word; *from && *from != ' ' && len + 1 < sizeof(digits); from++)
		if (*from != ',' || !len || !isdigit((unsigned char)digits[len - 1]) ||
		    !is_thousands(from))
			digits[len++] = *from;
	digits[len] = '\0';
	if (!isdigit((unsigned char)digits[strspn(digits, "+-.")]))
		return NULL;
	*number = strtod(digits, &end);
	return end == digits || isalpha((unsigned char)*end) ? NULL : word;
}

/* "8", "~8 instructions", "byte 8", "+0x1f", "4,095", "eight". */
static bool parse(const char *answer, double *number)
{
	static const char *const words[] = {
		"none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
		"ten", "eleven", "twelve",
	};

	for (const char *word = answer + strspn(answer, " ~"); *word; word += strspn(word, " ~")) {
		size_t len = strcspn(word, " ");

		if (read_digits(word, number))
			return true;
		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			if (strlen(words[i]) == len && !strncmp(words[i], word, len)) {
				*number = i;
				return true;
			}
		if (len == 4 && !strncmp(word, "zero", 4)) {
			*number = 0;
			return true;
		}
		word += len;
	}
	return false;
}

/* A pattern is a word, or /a regular expression/, of the whole answer. */
static bool matches(const char *pattern, const char *answer)
{
	char *whole __cleanup(free_string) = NULL;
	regex_t regex;
	size_t len = strlen(pattern);
	bool found;

	if (*pattern != '/' || len < 2 || pattern[len - 1] != '/')
		return !strcasecmp(pattern, answer);
	if (asprintf(&whole, "^(%.*s)$", (int)len - 2, pattern + 1) < 0) {
		whole = NULL;
		return false;
	}
	if (regcomp(&regex, whole, REG_EXTENDED | REG_NOSUB | REG_ICASE))
		return false;
	found = !regexec(&regex, answer, 0, NULL, 0);
	regfree(&regex);
	return found;
}

static bool matches_any(const json_t *patterns, const char *answer)
{
	json_t *pattern;
	size_t i;

	json_array_foreach(patterns, i, pattern)
		if (matches(json_string_value(pattern) ?: "", answer))
			return true;
	return false;
}

/* Hexadecimal digits alone: "0xCC", "cc 8d" and "cc8d". */
static void bare_bytes(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		if (from[0] == '0' && from[1] == 'x')
			from++;
		else if (isxdigit((unsigned char)*from))
			*to++ = *from;
		else if (!strchr(" ,:", *from))
			*to++ = '?';
	}
	*to = '\0';
}

/* The value of a question: a number, text, or "@NAME", a figure. */
static char *value_of(const struct judged *judged, const json_t *value)
{
	const char *string = json_string_value(value);
	char *text = NULL;

	if (string && *string == '@')
		return lab_figure(judged->labs, judged->lab, string + 1);
	if (string)
		return strdup(string);
	return asprintf(&text, "%.12g", json_number_value(value)) < 0 ? NULL : text;
}

/* "2 bytes" is 2, whatever the question calls it. */
static bool is_same_number(const json_t *patterns, double answer)
{
	json_t *pattern;
	double number;
	size_t i;

	json_array_foreach(patterns, i, pattern)
		if (parse(json_string_value(pattern) ?: "", &number) && number == answer)
			return true;
	return false;
}

static bool number_is(const struct judged *judged, double value, const json_t *how)
{
	double give = json_number_value(json_object_get(how, "give"));
	double within = json_number_value(json_object_get(how, "within")) * fabs(value);

	return judged->is_number && fabs(judged->number - value) <= MAX(give, within) + 1e-9;
}

/* What one entry of "wrong" says it is about; all it names must be so. */
static bool entry_fits(const struct judged *judged, const json_t *entry)
{
	const json_t *answers = json_object_get(entry, "answers");
	const json_t *value = json_object_get(entry, "value");
	const json_t *from = json_object_get(entry, "from"), *to = json_object_get(entry, "to");

	if (answers)
		return matches_any(answers, judged->answer) ||
		       (judged->is_number && !strcmp(lab_string(judged->step, "kind"), "number") &&
			is_same_number(answers, judged->number));
	if (value) {
		char *text __cleanup(free_string) = value_of(judged, value);

		return text && number_is(judged, strtod(text, NULL), entry);
	}
	if (!judged->is_number)
		return false;
	if (json_is_true(json_object_get(entry, "less")))
		return judged->number < judged->right;
	if (json_is_true(json_object_get(entry, "more")))
		return judged->number > judged->right;
	return (from || to) && (!from || judged->number >= json_number_value(from)) &&
	       (!to || judged->number <= json_number_value(to));
}

static char *why_wrong(const struct judged *judged)
{
	json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(judged->step, "wrong"), i, entry)
		if (entry_fits(judged, entry))
			return lab_fill(judged->labs, judged->lab, json_object_get(entry, "why"));
	return lab_fill(judged->labs, judged->lab, json_object_get(judged->step, "otherwise"));
}

static int judge_number(struct judged *judged, struct lab_verdict *verdict)
{
	verdict->value = value_of(judged, json_object_get(judged->step, "value"));
	if (!verdict->value)
		return -ENOENT;
	judged->right = strtod(verdict->value, NULL);
	if (!judged->is_number) {
		verdict->why = strdup("The answer is a number.");
		return 0;
	}
	verdict->right = number_is(judged, judged->right, judged->step);
	return 0;
}

static int judge_bytes(struct judged *judged, struct lab_verdict *verdict)
{
	char *want __cleanup(free_string) = NULL;

	verdict->value = value_of(judged, json_object_get(judged->step, "value"));
	want = verdict->value ? strdup(verdict->value) : NULL;
	if (!want)
		return -ENOENT;
	bare_bytes(want);
	bare_bytes(judged->answer);
	verdict->right = !strcmp(want, judged->answer);
	return 0;
}

/* "(b)", "b)" or the choice's own words. */
static int judge_choice(struct judged *judged, struct lab_verdict *verdict)
{
	const char *letter = judged->answer + (*judged->answer == '(');
	json_t *choices = json_object_get(judged->step, "choices"), *choice;
	size_t i;

	json_array_foreach(choices, i, choice) {
		char *text __cleanup(free_string) = lab_text(json_object_get(choice, "text"));
		char *words __cleanup(free_string) = text ? plain(text) : NULL;

		if (!words)
			return -ENOMEM;
		if (strcmp(words, judged->answer) &&
		    (*letter != 'a' + (int)i || letter[1 + (letter[1] == ')')]))
			continue;
		verdict->right = json_is_true(json_object_get(choice, "right"));
		if (!verdict->right)
			verdict->why = lab_fill(judged->labs, judged->lab,
						json_object_get(choice, "why"));
		return 0;
	}
	if (asprintf(&verdict->why, "The answer is a letter from a to %c.",
		     (char)('a' + json_array_size(choices) - 1)) < 0)
		verdict->why = NULL;
	return 0;
}

/* All of "set", each once, in any order, and nothing else. */
static int judge_set(struct judged *judged, struct lab_verdict *verdict)
{
	json_t *set = json_object_get(judged->step, "set"), *entry;
	unsigned int found = 0, words = 0, known = 0;
	char *rest = judged->answer, *word;
	char *all[WORDS_MAX];
	size_t i, j;

	while ((word = strsep(&rest, " ,;")) != NULL)
		if (*word && strcmp(word, "and") && words < WORDS_MAX)
			all[words++] = word;
	json_array_foreach(set, i, entry) {
		bool here = false;

		for (j = 0; j < words; j++)
			if (matches(json_string_value(entry) ?: "", all[j])) {
				here = true;
				known++;
			}
		found += here;
	}
	verdict->right = found == json_array_size(set) && known == words;
	if (verdict->right)
		return 0;

	/* A word too many says more of the thought behind it than one that is missing. */
	json_array_foreach(json_object_get(judged->step, "wrong"), i, entry)
		for (j = 0; j < words; j++)
			if (matches_any(json_object_get(entry, "answers"), all[j])) {
				verdict->why = lab_fill(judged->labs, judged->lab,
							json_object_get(entry, "why"));
				return 0;
			}
	verdict->why = lab_fill(judged->labs, judged->lab,
				json_object_get(judged->step, "otherwise"));
	if (!verdict->why && asprintf(&verdict->why, "%u of the %zu are there, and %u that "
				      "do not belong to them.", found, json_array_size(set),
				      words - known) < 0)
		verdict->why = NULL;
	return 0;
}

static int judge_word(struct judged *judged, struct lab_verdict *verdict)
{
	verdict->right = matches_any(json_object_get(judged->step, "accept"), judged->answer);
	return 0;
}

static const struct {
	const char *kind;
	int (*judge)(struct judged *judged, struct lab_verdict *verdict);
} kinds[] = {
	{ "number", judge_number },
	{ "bytes", judge_bytes },
	{ "choice", judge_choice },
	{ "set", judge_set },
	{ "word", judge_word },
};

int lab_judge(const struct labs *labs, const json_t *lab, const json_t *step, const char *answer,
	      struct lab_verdict *verdict)
{
	char *text __cleanup(free_string) = plain(answer);
	struct judged judged = { .labs = labs, .lab = lab, .step = step, .answer = text };
	int err = -EINVAL;

	*verdict = (struct lab_verdict){ 0 };
	if (!text) {
		p_err("cannot check an answer: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	judged.is_number = parse(text, &judged.number);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].kind, lab_string(step, "kind")))
			err = kinds[i].judge(&judged, verdict);
	if (err) {
		p_err("the question of lab %u cannot be judged: %s", lab_number(lab),
		      strerror(-err));
		return err;
	}
	if (verdict->right)
		verdict->why = lab_fill(labs, lab, json_object_get(step, "right"));
	else if (!verdict->why)
		verdict->why = why_wrong(&judged);
	return 0;
}

void lab_verdict_free(struct lab_verdict *verdict)
{
	free(verdict->why);
	free(verdict->value);
}
