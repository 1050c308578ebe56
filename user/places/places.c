// SPDX-License-Identifier: GPL-2.0-only
/* What a site's text stands for, where it may stand for several. */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "places/places.h"

#define RETURN	"%return"

static struct place *add(struct places *places)
{
	if (!(places->nr & (places->nr - 1))) {
		struct place *grown = reallocarray(places->v, places->nr ? 2 * places->nr : 1,
						   sizeof(*grown));

		if (!grown) {
			p_err("cannot list the places: %s", strerror(ENOMEM));
			return NULL;
		}
		places->v = grown;
	}
	places->v[places->nr] = (struct place){ 0 };
	return &places->v[places->nr++];
}

/* ---- patterns ---- */

static bool is_pattern(const char *text)
{
	return strpbrk(text, "*?[");
}

/* Without a module in front a pattern is of the kernel's own functions. */
static bool matches(const char *pattern, const char *module, const char *name)
{
	const char *colon = strchr(pattern, ':');
	char of[64] = "";

	/* What stands in front of a function is no function. */
	if (!strncmp(name, "__pfx_", 6) || !strncmp(name, "__cfi_", 6))
		return false;
	if (colon)
		snprintf(of, sizeof(of), "%.*s", (int)(colon - pattern), pattern);
	return !strcmp(of, module) && !fnmatch(colon ? colon + 1 : pattern, name, 0);
}

/* An address is one function, whatever others are called. */
static int add_symbol(struct places *places, const char *module, const char *name,
		      unsigned long long address)
{
	struct place *place;

	for (unsigned int i = places->nr; address && i-- > 0 && places->v[i].matched;)
		if (strtoull(places->v[i].site, NULL, 16) == address)
			return 0;
	place = add(places);
	if (!place)
		return -ENOMEM;
	place->matched = true;
	if (address)
		snprintf(place->site, sizeof(place->site), "0x%llx", address);
	else
		snprintf(place->site, sizeof(place->site), "%s%s%s", module, *module ? ":" : "",
			 name);
	return 0;
}

/* "ADDRESS TYPE NAME\t[MODULE]" */
static int add_matches(struct places *places, const char *pattern)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	unsigned int before = places->nr;
	char *line = NULL;
	size_t size = 0;
	int err = 0;

	if (!file) {
		p_err("cannot read /proc/kallsyms: %s", strerror(errno));
		return -errno;
	}
	while (!err && getline(&line, &size, file) > 0) {
		char name[256], module[64] = "", type;
		unsigned long long address;

		if (sscanf(line, "%llx %c %255s [%63[^]]", &address, &type, name, module) >= 3 &&
		    strchr("tTwW", type) && matches(pattern, module, name))
			err = add_symbol(places, module, name, address);
	}
	free(line);
	fclose(file);
	if (err || places->nr > before)
		return err;
	p_refusal(&(struct refusal){ pattern, KTRAMP_R_NO_SYMBOL, ENOENT },
		  "no function is called like '%s'; a module's are 'module:pattern'", pattern);
	return -ENOENT;
}

/* ---- FUNCTION%return ---- */

static int add_returns(struct places *places, const struct dev *dev, const char *name)
{
	struct function function;
	unsigned int before = places->nr;
	int err = function_read(&function, dev, name, false);

	for (uint32_t i = 0; i < function.nr && !err; i++) {
		struct place *place;

		if (!function_leaves(&function, i))
			continue;
		place = add(places);
		if (!place) {
			err = -ENOMEM;
			break;
		}
		place->leaves = true;
		place->returns = function_returns(&function, i);
		snprintf(place->site, sizeof(place->site), "%s+0x%x", function.name,
			 function.insns[i].offset);
	}
	function_free(&function);
	if (err || places->nr > before)
		return err;
	p_refusal(&(struct refusal){ name, KTRAMP_R_SHAPE, ENOENT },
		  "control leaves %s nowhere that can be seen", name);
	return -ENOENT;
}

int places_add(struct places *places, const struct dev *dev, const char *text)
{
	size_t len = strlen(text), end = len > strlen(RETURN) ? len - strlen(RETURN) : 0;
	struct place *place;

	if (end && !strcmp(text + end, RETURN)) {
		char name[KTRAMP_SITE_MAX];

		snprintf(name, sizeof(name), "%.*s", (int)end, text);
		return add_returns(places, dev, name);
	}
	if (is_pattern(text))
		return add_matches(places, text);
	if (len >= sizeof(place->site)) {
		p_refusal(&(struct refusal){ .site = text, .err = ENAMETOOLONG },
			  "the site '%.32s...' has %zu characters: at most %zu are possible", text,
			  len, sizeof(place->site) - 1);
		return -ENAMETOOLONG;
	}
	place = add(places);
	if (!place)
		return -ENOMEM;
	strcpy(place->site, text);
	return 0;
}

void places_free(struct places *places)
{
	free(places->v);
	*places = (struct places){ 0 };
}
