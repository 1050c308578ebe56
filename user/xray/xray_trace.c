// SPDX-License-Identifier: GPL-2.0-only
/* Reads what QEMU's plugin wrote; qemu/xray.c has the format. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "xray/xray.h"

#define ORDERS_MAX	65536

struct reader {
	struct trace *trace;
	struct order *order;	/* that the lines are for */
	struct hit *hit;	/* that is under way */
	size_t *bucket;		/* index + 1 of an instruction */
	size_t *next;
};

#define BUCKETS	65536u

static int parse_bytes(struct trace_insn *insn, const char *text)
{
	unsigned int byte;

	for (; insn->size < sizeof(insn->bytes) && sscanf(text, "%2x", &byte) == 1; text += 2)
		insn->bytes[insn->size++] = byte;
	return insn->size ? 0 : -EBADMSG;
}

static int find_insn(struct reader *r, const struct trace_insn *insn, uint32_t *index)
{
	size_t bucket = (insn->address ^ insn->address >> 16) % BUCKETS;
	struct trace *trace = r->trace;

	for (size_t i = r->bucket[bucket]; i; i = r->next[i - 1]) {
		if (memcmp(&trace->insn[i - 1], insn, sizeof(*insn)))
			continue;
		*index = i - 1;
		return 0;
	}
	if (!array_more(trace->insn, trace->nr_insns) || !array_more(r->next, trace->nr_insns))
		return -ENOMEM;
	*index = trace->nr_insns;
	trace->insn[trace->nr_insns] = *insn;
	r->next[trace->nr_insns] = r->bucket[bucket];
	r->bucket[bucket] = ++trace->nr_insns;
	return 0;
}

void hit_free(struct hit *hit)
{
	free(hit->step);
	free(hit->change);
	*hit = (struct hit){ 0 };
}

static int on_order(struct reader *r, const char *rest)
{
	size_t number = strtoull(rest, NULL, 10);
	struct trace *trace = r->trace;
	struct order *grown;

	if (number >= ORDERS_MAX)
		return -EBADMSG;
	if (number >= trace->nr_orders) {
		grown = reallocarray(trace->order, number + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		memset(&grown[trace->nr_orders], 0,
		       (number + 1 - trace->nr_orders) * sizeof(*grown));
		trace->order = grown;
		trace->nr_orders = number + 1;
	}
	r->order = &trace->order[number];
	r->hit = NULL;
	/* Given again: the calls before were not what was wanted. */
	for (size_t i = 0; i < r->order->nr; i++)
		hit_free(&r->order->hit[i]);
	r->order->nr = 0;
	return 0;
}

static int on_hit(struct reader *r)
{
	if (!r->order)
		return -EBADMSG;
	r->hit = array_more(r->order->hit, r->order->nr);
	if (!r->hit)
		return -ENOMEM;
	r->order->nr++;
	return 0;
}

static int on_insn(struct reader *r, const char *rest)
{
	struct trace_insn insn = { 0 };
	struct hit *hit = r->hit;
	struct step *step;
	char *bytes;
	int err;

	if (!hit)
		return -EBADMSG;
	insn.address = strtoull(rest, &bytes, 16);
	err = *bytes == ' ' ? parse_bytes(&insn, bytes + 1) : -EBADMSG;
	if (err)
		return err;
	step = array_more(hit->step, hit->nr);
	if (!step)
		return -ENOMEM;
	err = find_insn(r, &insn, &step->insn);
	if (!err)
		hit->nr++;
	return err;
}

static int on_access(struct reader *r, bool write, const char *rest)
{
	uint64_t address = strtoull(rest, NULL, 16);
	struct step *step;

	if (!r->hit || !r->hit->nr)
		return -EBADMSG;
	step = &r->hit->step[r->hit->nr - 1];
	if (write) {
		step->writes++;
		step->write = address;
	} else if (!step->reads++) {
		step->read = address;
	}
	return 0;
}

const char *register_name(unsigned int reg)
{
	static const char *const names[] = {
		"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
	};

	return reg < sizeof(names) / sizeof(*names) ? names[reg] : NULL;
}

static int on_register(struct reader *r, const char *rest)
{
	size_t length = strcspn(rest, " ");
	struct hit *hit = r->hit;
	unsigned int reg = 0;
	struct change *change;
	const char *name;

	if (!hit || !hit->nr || !rest[length])
		return -EBADMSG;
	while ((name = register_name(reg)) && (strncmp(name, rest, length) || name[length]))
		reg++;
	if (!name)
		return -EBADMSG;
	change = array_more(hit->change, hit->nr_changes);
	if (!change)
		return -ENOMEM;
	hit->nr_changes++;
	*change = (struct change){
		.step = hit->nr - 1, .reg = reg, .value = strtoull(rest + length, NULL, 16),
	};
	return 0;
}

static int on_words(struct reader *r, const char *rest)
{
	struct step *step;
	char *end;

	if (!r->hit || !r->hit->nr)
		return -EBADMSG;
	step = &r->hit->step[r->hit->nr - 1];
	step->at = strtoull(rest, &end, 16);
	/* Fewer at the end of a stack: the others are zero. */
	for (unsigned int i = 0; i < FRAME_WORDS; i++)
		step->word[i] = strtoull(end, &end, 16);
	return 0;
}

static int on_end(struct reader *r, const char *rest)
{
	if (!r->hit)
		return -EBADMSG;
	r->hit->whole = true;
	r->hit->next = strtoull(rest, NULL, 16);
	r->hit = NULL;
	return 0;
}

static int read_line(struct reader *r, const char *line)
{
	const char *rest = strchr(line, ' ');
	size_t word;

	rest = rest ? rest + 1 : "";
	word = strcspn(line, "\n ");
	if (word == 1) {
		switch (*line) {
		case 'i':
			return on_insn(r, rest);
		case 'r':
		case 'w':
			return on_access(r, *line == 'w', rest);
		case 'm':
			return on_words(r, rest);
		case 'g':
			return on_register(r, rest);
		}
	}
	if (!strncmp(line, "order", word))
		return on_order(r, rest);
	if (!strncmp(line, "hit", word))
		return on_hit(r);
	if (!strncmp(line, "end", word))
		return on_end(r, rest);
	if (!strncmp(line, "registers", word)) {
		r->trace->has_registers = true;
		return 0;
	}
	if (!strncmp(line, "lost", word)) {
		r->hit = NULL;
		return 0;
	}
	return -EBADMSG;
}

int trace_read(struct trace *trace, const char *name)
{
	FILE *file = fopen(name, "re");
	int err = file ? 0 : -errno;
	struct reader r = { .trace = trace };
	unsigned long number = 0;
	char *line = NULL;
	size_t size = 0;

	*trace = (struct trace){ 0 };
	r.bucket = calloc(BUCKETS, sizeof(*r.bucket));
	if (!r.bucket)
		err = -ENOMEM;
	while (!err && getline(&line, &size, file) > 0) {
		number++;
		err = read_line(&r, line);
	}
	free(line);
	free(r.bucket);
	free(r.next);
	if (file)
		fclose(file);
	if (err) {
		p_err("cannot read the trace '%s', line %lu: %s", name, number, strerror(-err));
		trace_free(trace);
	}
	return err;
}

void trace_free(struct trace *trace)
{
	for (size_t i = 0; i < trace->nr_orders; i++) {
		for (size_t j = 0; j < trace->order[i].nr; j++)
			hit_free(&trace->order[i].hit[j]);
		free(trace->order[i].hit);
	}
	free(trace->order);
	free(trace->insn);
	*trace = (struct trace){ 0 };
}
