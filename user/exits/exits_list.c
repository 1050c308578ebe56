// SPDX-License-Identifier: GPL-2.0-only
/* What is known of the processes, whether or not the daemon has come to know it. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "exits/exits.h"

static int bring_up_to_date(const struct exits *exits, struct record *record)
{
	int pidfd, err = record_settle(exits, record, &pidfd);

	if (err)
		p_err("cannot tell whether '%s' is running: %s", record->id, settle_error(err));
	else if (pidfd >= 0)
		close(pidfd);
	return err;
}

int exits_status(struct exits *exits, const char *id)
{
	struct record record;
	char text[160];
	int dir = records_open(exits->state, false), err;

	if (dir < 0)
		return dir;
	err = record_read(dir, id, &record);
	close(dir);
	if (err) {
		p_err("nothing is known of '%s': %s", id,
		      err == -ENOENT ? "'ktramp exits list' lists what is" : strerror(-err));
		return err;
	}
	err = bring_up_to_date(exits, &record);
	if (err)
		return err;
	if (out_json)
		return out_line(stdout, record_json(&record));
	record_text(&record, text, sizeof(text));
	printf("%s\n", text);
	return 0;
}

struct list {
	const struct exits *exits;
	struct table table;
	bool unknown;	/* what runs, or does not any more */
};

static int list_record(const struct record *read, void *arg)
{
	struct list *list = arg;
	struct record record = *read;
	char text[160];
	int err = bring_up_to_date(list->exits, &record);

	/* What has ended is known all the same. */
	if (err && exits_are_open(list->exits))
		return err;
	list->unknown |= err != 0;
	if (err)
		return 0;
	if (out_json)
		return out_line(stdout, record_json(&record));
	record_text(&record, text, sizeof(text));
	table_add(&list->table, "%s\t%u\t%s", record.id, record.pid, text);
	return 0;
}

static const struct {
	enum exits_counter counter;
	const char *name;
	const char *text;
} counters[] = {
	{ EXITS_RECORDED, "recorded", "exits recorded" },
	{ EXITS_LATE, "late", "exits read from what was left of a process" },
	{ EXITS_STRANGERS, "strangers", "exits of another process with a watched number" },
	{ EXITS_DROPPED, "dropped", "exits lost because there was no room" },
	{ EXITS_UNCLAIMED, "unclaimed", "exits whose room had been taken away" },
	{ EXITS_REFUSED, "refused", "processes refused because there was no room" },
};

static int print_counters(const struct exits *exits)
{
	json_t *object __cleanup(free_json) = json_pack("{s:s, s:b}", "type", "exits",
							"naive", exits->naive);

	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		uint64_t value;
		int err = exits_count(exits, counters[i].counter, &value);

		if (err) {
			p_err("cannot read the counters: %s", strerror(-err));
			return err;
		}
		json_object_set_new(object, counters[i].name, json_integer(value));
		if (!out_json && (value || counters[i].counter == EXITS_RECORDED))
			printf("%llu %s\n", (unsigned long long)value, counters[i].text);
	}
	if (out_json)
		return out_line(stdout, json_incref(object));
	if (exits->naive)
		printf("the naive rule is loaded: it takes the first thread's exit for the "
		       "process's\n");
	return 0;
}

int exits_list(struct exits *exits)
{
	struct list list = { .exits = exits };
	int dir = records_open(exits->state, false), err;

	if (dir < 0)
		return dir;
	table_init(&list.table, 3, 0x2);
	table_add(&list.table, "ID\tPID\tSTATUS");
	err = records_each(dir, list_record, &list);
	if (!err && !out_json)
		err = table_print(&list.table);
	/* They went with the program. */
	if (!err && exits_are_open(exits))
		err = print_counters(exits);
	if (!err && list.unknown)
		err = -ENODEV;
	table_deinit(&list.table);
	close(dir);
	return err;
}
