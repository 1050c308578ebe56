// SPDX-License-Identifier: GPL-2.0-only
/* One voice: messages, JSON Lines, numbers on the command line. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ktramp.h"

bool out_json;

/**
 * printable() - text of somebody else's, for a terminal
 * @buf: (out) the text, with \xNN for what is not printed: escape sequences, line ends
 * @size: of @buf
 * @text: the text
 * @len: its bytes, or up to a NUL
 */
const char *printable(char *buf, size_t size, const char *text, size_t len)
{
	size_t at = 0;

	for (size_t i = 0; i < len && text[i] && at + 5 < size; i++) {
		unsigned char c = text[i];

		if (c < ' ' || c >= 0x7f)
			at += snprintf(buf + at, size - at, "\\x%02x", c);
		else
			buf[at++] = c;
	}
	buf[at] = '\0';
	return buf;
}

/* A site's text may be anything; only messages of several lines have line ends. */
static void make_plain(char *text)
{
	for (; *text; text++)
		if (iscntrl((unsigned char)*text) && *text != '\n' && *text != '\t')
			*text = '?';
}

static json_t *string_or_null(const char *string)
{
	return string && *string ? json_string(string) : json_null();
}

static json_t *message_json(const char *kind, const char *text, const struct refusal *about)
{
	json_t *line = json_pack("{s:s, s:s}", "type", kind, kind, text);

	/* Bytes that are no UTF-8. */
	if (!line)
		line = json_pack("{s:s, s:s}", "type", kind, kind, "text that is not UTF-8");
	if (strcmp(kind, "error"))
		return line;
	json_object_set_new(line, "reason", about && about->reason ?
			    json_string(reason_name(about->reason)) : json_null());
	json_object_set_new(line, "errno",
			    string_or_null(about ? strerrorname_np(abs(about->err)) : NULL));
	json_object_set_new(line, "site", string_or_null(about ? about->site : NULL));
	return line;
}

static void say(const char *kind, const struct refusal *about, const char *fmt, va_list ap)
{
	char text[4096];

	vsnprintf(text, sizeof(text), fmt, ap);
	make_plain(text);
	/* Data first, when both streams end in the same place. */
	fflush(stdout);

	if (out_json) {
		json_t *line __cleanup(free_json) = message_json(kind, text, about);
		char *dump = line ? json_dumps(line, JSON_COMPACT) : NULL;

		if (dump) {
			fprintf(stderr, "%s\n", dump);
			free(dump);
			return;
		}
	}
	fprintf(stderr, "ktramp: %s: %s\n", kind, text);
}

void p_err(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("error", NULL, fmt, ap);
	va_end(ap);
}

void p_refusal(const struct refusal *about, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("error", about, fmt, ap);
	va_end(ap);
}

void p_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("warning", NULL, fmt, ap);
	va_end(ap);
}

void p_info(const char *fmt, ...)
{
	va_list ap;

	if (out_json)
		return;
	fflush(stdout);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* Once: what comes behind it cannot be written either. */
int out_failed(void)
{
	static bool said;
	const struct refusal about = { .err = errno ? errno : EIO };

	if (!said)
		p_refusal(&about, "cannot write all of the output: %s", strerror(about.err));
	said = true;
	return -about.err;
}

int out_line(FILE *to, json_t *steal)
{
	json_t *line __cleanup(free_json) = steal;

	if (!line) {
		p_err("cannot build a line of JSON: out of memory, or text that is not UTF-8");
		return -ENOMEM;
	}
	errno = 0;
	if (json_dumpf(line, to, JSON_COMPACT | JSON_REAL_PRECISION(12)) ||
	    fputc('\n', to) == EOF || fflush(to))
		return out_failed();
	return 0;
}

/* A field's text, or none. */
const char *json_text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "";
}

/* A field's number, or 0. */
json_int_t json_count(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* An integer where the value is one, so that exact results look exact. */
json_t *json_number(double value)
{
	double rounded = round(value);

	if (fabs(value - rounded) < 1e-9)
		return json_integer((json_int_t)rounded);
	return json_real(round(value * 1e6) / 1e6);
}

/* JSON numbers are doubles to many readers, and would lose an address's low bits. */
json_t *json_address(uint64_t address)
{
	return address ? json_sprintf("0x%016llx", (unsigned long long)address) : json_null();
}

const char *hex(char *buf, size_t size, const uint8_t *bytes, size_t n)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < n && len + 4 <= size; i++)
		len += snprintf(buf + len, size - len, "%s%02x", i ? " " : "", bytes[i]);
	return buf;
}

json_t *json_hex(const uint8_t *bytes, size_t n)
{
	char buf[3 * KTRAMP_CODE_MAX + 1];

	return json_string(hex(buf, sizeof(buf), bytes, n));
}

uint64_t parse_number(struct argp_state *state, const char *what, const char *arg,
		      uint64_t min, uint64_t max)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(arg, &end, 0);
	if (errno || end == arg || *end || strchr(arg, '-') || value < min || value > max)
		argp_error(state, "%s '%s' is not a number from %llu to %llu", what, arg,
			   (unsigned long long)min, (unsigned long long)max);
	return value;
}

static error_t parse_out(int key, char *arg __unused,
			 struct argp_state *state __unused)
{
	if (key != 'j')
		return ARGP_ERR_UNKNOWN;
	out_json = true;
	return 0;
}

static const struct argp_option out_options[] = {
	{ "json", 'j', NULL, 0, "Print JSON Lines instead of text; errors too, on stderr", 0 },
	{ }
};

const struct argp out_argp = { .options = out_options, .parser = parse_out };
const struct argp_child out_children[] = { { &out_argp, 0, NULL, 0 }, { } };
