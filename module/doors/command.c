// SPDX-License-Identifier: GPL-2.0-only
/*
 * Probes by lines of text, for debugfs/ktramp/probes:
 *
 *   MECHANISM SITE [handler=HANDLER] [pid=PID]	make a probe that stays, and arm it
 *   +SITE or +NUMBER				arm what is there
 *   !SITE or !NUMBER				disarm it, and keep it
 *   -SITE or -NUMBER				remove it
 *
 * What is behind a # does not count. Lines that make probes share their waits until
 * another kind of line comes.
 */
#include <linux/ctype.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "doors/command.h"
#include "engine/create.h"
#include "engine/registry.h"
#include "engine/site.h"
#include "hit/mechanism.h"
#include "kernel/symbol.h"
#include "kernel/text.h"

/* Probes made and not yet armed, or chosen by a site. */
struct batch {
	u32 *ids;
	unsigned int nr;
};

static int add(struct batch *batch, u32 id)
{
	if (batch->nr == KTRAMP_BATCH_MAX)
		return -ENOSPC;
	batch->ids[batch->nr++] = id;
	return 0;
}

static int run(struct batch *batch, struct ktramp_refusal *r,
	       int (*act)(const u32 *ids, unsigned int nr, void *owner, struct ktramp_batch *reply))
{
	struct ktramp_batch reply = {};
	int err = 0;

	if (batch->nr)
		err = act(batch->ids, batch->nr, NULL, &reply);
	batch->nr = 0;
	if (err) {
		r->reason = reply.reason;
		strscpy(r->why, reply.why, sizeof(r->why));
	}
	return err;
}

/* Was it armed, once? */
static bool was_armed(u32 id)
{
	struct ktramp_probe *p = ktramp_probe_get(id, false);
	bool armed = p && READ_ONCE(p->state) != KTRAMP_NEW;

	if (p)
		ktramp_probe_put(p);
	return armed;
}

/* Arm what was made; what cannot be armed does not stay. */
static int flush(struct batch *batch, struct ktramp_refusal *r)
{
	struct ktramp_refusal unused;
	unsigned int nr = batch->nr, i;
	int err = run(batch, r, ktramp_probes_arm);

	if (!err)
		return 0;
	for (i = 0; i < nr; i++)
		if (!was_armed(batch->ids[i]))
			add(batch, batch->ids[i]);
	run(batch, &unused, ktramp_probes_destroy);
	return err;
}

static int refuse_line(struct ktramp_refusal *r, const char *what, const char *word)
{
	return ktramp_refuse(r, -EINVAL, KTRAMP_R_SYNTAX,
			     "no %s '%s': write MECHANISM SITE [handler=HANDLER] [pid=PID], or +, ! or - and a SITE or number",
			     what, word);
}

static int find_mechanism(const char *name)
{
	unsigned int m;

	for (m = 1; ktramp_mechanism(m); m++)
		if (!strcmp(ktramp_mechanism(m)->name, name))
			return m;
	return 0;
}

static int parse_option(char *option, struct ktramp_request *request, struct ktramp_refusal *r)
{
	char *value = strchr(option, '=');

	if (value)
		*value++ = '\0';
	if (value && !strcmp(option, "handler")) {
		request->handler = ktramp_handler_number(value);
		return request->handler ? 0 : refuse_line(r, "handler", value);
	}
	if (value && !strcmp(option, "pid"))
		return kstrtou32(value, 10, &request->pid) ? refuse_line(r, "pid", value) : 0;
	return refuse_line(r, "option", option);
}

/* Words are separated by blanks. Return: the next one, or NULL. */
static char *next_word(char **text)
{
	char *word = skip_spaces(*text);

	if (!*word)
		return NULL;
	*text = word + strcspn(word, " \t");
	if (**text)
		*(*text)++ = '\0';
	return word;
}

/* Disarming and removing are allowed always. */
static int allowed(struct ktramp_refusal *r)
{
	int err = ktramp_text_allowed();

	if (!err)
		return 0;
	return ktramp_refuse(r, err, KTRAMP_R_LOCKDOWN,
			     "lockdown forbids new probes; those that are there can be removed");
}

static int make(char *name, char *rest, struct batch *batch, struct ktramp_refusal *r)
{
	struct ktramp_request request = {
		.mechanism = find_mechanism(name), .handler = KTRAMP_COUNT,
	};
	char *word;
	int id, err = 0;

	if (!request.mechanism)
		return refuse_line(r, "mechanism", name);
	request.site = next_word(&rest);
	if (!request.site)
		return refuse_line(r, "site for", name);
	while (!err && (word = next_word(&rest)))
		err = parse_option(word, &request, r);
	if (err)
		return err;
	err = allowed(r);
	if (err)
		return err;
	id = ktramp_probe_create(&request, r);
	if (id < 0)
		return id;
	err = add(batch, id);
	return err == -ENOSPC ? flush(batch, r) ?: add(batch, id) : err;
}

/* The kept probes at a place, as it is printed. */
static int choose_at(struct batch *batch, const char *site)
{
	char *text = kmalloc(KTRAMP_SITE_MAX, GFP_KERNEL);
	struct ktramp_probe *p;
	u32 id = 0;
	int err = text ? 0 : -ENOMEM;

	while (!err && (p = ktramp_probe_get(id, true))) {
		id = p->id + 1;
		if (!p->owner &&
		    !ktramp_site_print(text, KTRAMP_SITE_MAX, ktramp_probe_addr(p)) &&
		    !strcmp(text, site))
			err = add(batch, p->id);
		ktramp_probe_put(p);
	}
	kfree(text);
	return err;
}

static int choose(const char *what, struct batch *batch, struct ktramp_refusal *r)
{
	struct ktramp_site_info *place;
	int err = -EINVAL;
	u32 id;

	if (!kstrtou32(what, 10, &id))
		return add(batch, id);
	place = kzalloc(sizeof(*place), GFP_KERNEL);
	if (!place)
		return -ENOMEM;
	/* A function's name is its entry's, where the probe is. */
	if (strscpy(place->site, what, sizeof(place->site)) < 0)
		ktramp_refuse(r, err, KTRAMP_R_SYNTAX, "a site has fewer than %d characters",
			      KTRAMP_SITE_MAX);
	else
		err = ktramp_site_describe(place, r);
	if (!err)
		err = choose_at(batch, place->site);
	kfree(place);
	if (!err && !batch->nr)
		err = ktramp_refuse(r, -ENOENT, KTRAMP_R_NO_SYMBOL,
				    "there is no probe at %s", what);
	return err;
}

static int change(char *word, struct batch *batch, struct ktramp_refusal *r)
{
	int err = flush(batch, r) ?: choose(word + 1, batch, r);

	if (err)
		return err;
	if (*word == '+')
		return allowed(r) ?: run(batch, r, ktramp_probes_arm);
	return run(batch, r, *word == '!' ? ktramp_probes_disarm : ktramp_probes_destroy);
}

static int do_line(char *line, struct batch *batch, struct ktramp_refusal *r)
{
	char *word;

	line[strcspn(line, "#\r")] = '\0';
	word = next_word(&line);
	if (!word)
		return 0;
	if (*word == '+' || *word == '!' || *word == '-')
		return change(word, batch, r);
	return make(word, line, batch, r);
}

/**
 * ktramp_command_lines() - do what lines of text say
 * @text: the lines; changed
 * @r: (out) the refusal of the first line that cannot be done, which is the last one tried
 *
 * Context: process, sleeps.
 * Return: 0 or a negative errno, as struct ktramp_create and struct ktramp_batch tell.
 */
int ktramp_command_lines(char *text, struct ktramp_refusal *r)
{
	struct batch batch = {
		.ids = kvmalloc_array(KTRAMP_BATCH_MAX, sizeof(*batch.ids), GFP_KERNEL),
	};
	struct ktramp_refusal later = {};
	int err = 0, flushed;
	char *line;

	if (!batch.ids)
		return -ENOMEM;
	while (!err && (line = strsep(&text, "\n")))
		err = do_line(line, &batch, r);
	flushed = flush(&batch, err ? &later : r);
	kvfree(batch.ids);
	return err ?: flushed;
}

/* Numbers of kept probes from @id up. Return: where to go on, or 0. */
static u32 choose_kept(struct batch *batch, u32 id)
{
	struct ktramp_probe *p;

	while ((p = ktramp_probe_get(id, true))) {
		bool full = !p->owner && add(batch, p->id);

		id = p->id + 1;
		ktramp_probe_put(p);
		if (full)
			return id - 1;
	}
	return 0;
}

/**
 * ktramp_command_clear() - remove all probes that stay
 * @r: (out) the refusal of the first that cannot be removed
 *
 * Return: 0; -EILSEQ somebody else patched over one; -ENOMEM.
 */
int ktramp_command_clear(struct ktramp_refusal *r)
{
	struct batch batch = {
		.ids = kvmalloc_array(KTRAMP_BATCH_MAX, sizeof(*batch.ids), GFP_KERNEL),
	};
	u32 id = 1;
	int err = 0;

	if (!batch.ids)
		return -ENOMEM;
	while (!err && id) {
		id = choose_kept(&batch, id);
		err = run(&batch, r, ktramp_probes_destroy);
	}
	kvfree(batch.ids);
	return err;
}
