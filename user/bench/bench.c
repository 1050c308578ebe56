// SPDX-License-Identifier: GPL-2.0-only
/*
 * One row of the bench: a mechanism with a handler on a target.
 *
 *	loops of unprobed calls -> arm -> prove the state -> loops of probed calls
 *	-> count exceptions -> prove the state again -> disarm -> unprobed loops again
 *
 * What one hit costs is the difference of the loops, divided by the hits. Anything that
 * is not exactly as expected makes the row an error: a hit that was lost is not noise.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ktramp.h"

/* Counting exceptions slows them down, and needs few calls. */
#define TRAP_CALLS	100U

struct measure {
	const struct dev *dev;
	const struct bench_config *config;
	const struct expect *expect;
	struct row *row;
	struct ktramp_probe_info probe;	/* id 0: no probe */
	struct bpf_counter *counter;	/* the program of handler bpf, or NULL */
	bool watched;			/* libbpf attaches it, the module only watches */
	double *before, *after, *armed;	/* ticks of one loop, config->repeat of each */
	double *scratch;
	struct xray *xray;		/* of the run under way, or NULL */
};

static int __printf(2, 3) fail(struct row *row, const char *fmt, ...)
{
	va_list ap;

	/* The first thing that went wrong explains the others. */
	if (row->state == ROW_ERROR)
		return -EIO;
	row->state = ROW_ERROR;
	va_start(ap, fmt);
	vsnprintf(row->why, sizeof(row->why), fmt, ap);
	va_end(ap);
	return -EIO;
}

static int fail_errno(struct row *row, const char *what, int err, uint32_t reason,
		      const char *why)
{
	row->reason = reason;
	if (stopped)
		return fail(row, "interrupted");
	if (*why)
		return fail(row, "cannot %s: %s", what, why);
	return fail(row, "cannot %s: %s", what, strerror(-err));
}

static int refuse(struct row *row, uint32_t reason, const char *why)
{
	row->state = ROW_UNSUPPORTED;
	row->reason = reason;
	snprintf(row->why, sizeof(row->why), "%s", *why ? why : reason_name(reason));
	return -EOPNOTSUPP;
}

/* The kernel may still be at the bytes when it has detached. */
static int counter_detach(struct measure *m)
{
	bpf_counter_detach(m->counter);
	if (bpf_way_settle(m->dev, m->probe.id, -1))
		return fail(m->row, "the site's bytes are not the original ones after the program "
			    "was detached");
	return 0;
}

static int counter_attach(struct measure *m)
{
	int err = bpf_counter_attach(m->counter, &m->probe);

	if (err)
		return fail_errno(m->row, "attach the program", err, KTRAMP_R_UNREGISTERED,
				  bpf_why(err));
	return 0;
}

/* Of what the module did not attach it knows no hits; of its own, both must say the same. */
static int count_hits(struct measure *m, struct ktramp_run *run, uint64_t hits)
{
	if (m->watched)
		run->hits = hits;
	if (run->hits == hits)
		return 0;
	return fail(m->row, "the program counted %llu of %llu hits", (unsigned long long)hits,
		    run->hits);
}

static int counted_run(struct measure *m, struct ktramp_run *run)
{
	bool fleeting = m->watched && m->expect->fleeting;
	uint64_t before = bpf_counter_read(m->counter);
	int err;

	if (fleeting && counter_attach(m))
		return -EIO;
	err = dev_run(m->dev, run);
	/* Read behind the calls: what is still there was there all the time. */
	if (!err && fleeting && (!run->now_len || run->now[0] != m->expect->first))
		err = -EAGAIN;
	if (!err)
		err = count_hits(m, run, bpf_counter_read(m->counter) - before);
	if (fleeting && counter_detach(m))
		return -EIO;
	return err;
}

static int one_run(struct measure *m, const struct ktramp_target_info *target, uint32_t id,
		   uint32_t flags, uint32_t loops, struct ktramp_run *run)
{
	int tries = m->expect->fleeting ? FLEETING_TRIES : 1;
	int err;

	do {
		if (stopped)
			return fail(m->row, "interrupted");
		*run = (struct ktramp_run){
			.flags	= flags,
			.target	= dev_target_index(m->dev, target),
			.id	= id,
			.loops	= loops,
		};
		xray_start(m->xray, target);
		err = m->counter && id ? counted_run(m, run) : dev_run(m->dev, run);
	} while (err == -EAGAIN && --tries);
	if (err == -EAGAIN)
		return fail(m->row, "the kernel did not stay in this state");
	if (err)
		return fail_errno(m->row, "call the target", err, KTRAMP_R_NONE, "");
	if (run->calls != loops)
		return fail(m->row, "%llu calls were made instead of %u", run->calls, loops);
	if (run->wrong)
		return fail(m->row, "%llu of %u calls returned a wrong result", run->wrong,
			    loops);
	return 0;
}

/* A few calls of which QEMU's plugin keeps every instruction. */
static int xray_calls(struct measure *m, const struct ktramp_target_info *target, uint32_t id)
{
	struct ktramp_run run;
	int err;

	if (!m->config->xray)
		return 0;
	m->xray = m->config->xray;
	err = one_run(m, target, id, KTRAMP_RUN_MEASURE, XRAY_CALLS, &run);
	if (!err && xray_stop(m->xray, m->dev, m->row, target, &m->probe, id != 0, &run))
		err = fail(m->row, "no x-ray of the calls");
	m->xray = NULL;
	return err;
}

/* The first loop fills caches and faults in what is faulted in once: not kept. */
static int unprobed_loops(struct measure *m, double *ticks)
{
	const struct ktramp_target_info *base = dev_base(m->dev, m->row->target);
	const struct bench_config *config = m->config;
	struct ktramp_run run;

	for (uint32_t i = 0; i <= config->repeat; i++) {
		int err = one_run(m, base, 0, KTRAMP_RUN_MEASURE, config->hits, &run);

		if (err)
			return err;
		if (i)
			ticks[i - 1] = run.ticks;
	}
	return 0;
}

static int check_hits(struct measure *m, const struct ktramp_run *run)
{
	__u64 want = m->expect->silent ? 0 : run->calls;

	if (run->hits == want && !run->missed)
		return 0;
	return fail(m->row, "%llu calls were %llu hits and %llu missed, "
		    "expected %llu and 0", run->calls, run->hits, run->missed, want);
}

static int check_bytes(struct measure *m, const struct ktramp_run *run)
{
	char why[256];

	if (!expect_bytes(m->expect, &m->probe, run->now, run->now_len, why, sizeof(why)))
		return 0;
	return fail(m->row, "%s", why);
}

static void keep_bytes(struct measure *m, const struct ktramp_run *run)
{
	uint32_t want = m->probe.length;

	/* All of the instruction, to show what an int3 leaves of it. */
	if (!strcmp(m->probe.site, m->row->target->site))
		want = MAX(want, m->row->target->length);
	m->row->nr_bytes = MIN(MIN(want, run->now_len), (uint32_t)KTRAMP_BYTES_MAX);
	memcpy(m->row->bytes, run->now, m->row->nr_bytes);
	m->row->entry = m->probe.entry;
	memcpy(m->row->entry_why, m->probe.entry_why, sizeof(m->row->entry_why));
}

static int probed_loops(struct measure *m)
{
	const struct bench_config *config = m->config;
	struct row *row = m->row;
	struct ktramp_run run;

	for (uint32_t i = 0; i <= config->repeat; i++) {
		int err = one_run(m, row->target, m->probe.id, KTRAMP_RUN_MEASURE, config->hits,
				  &run);

		if (err)
			return err;
		row->hits = run.hits;
		row->missed = run.missed;
		keep_bytes(m, &run);
		err = check_hits(m, &run);
		if (!err)
			err = check_bytes(m, &run);
		if (err)
			return err;
		if (i)
			m->armed[i - 1] = run.ticks;
	}
	return 0;
}

static int check_trap(struct measure *m, const char *name, int want, __u64 got, __u64 calls,
		      double *per_hit)
{
	*per_hit = -1;
	if (got == KTRAMP_UNKNOWN)
		return 0;
	*per_hit = (double)got / calls;
	/* How many traps end a step is the instruction's business: see check_step(). */
	if (want == EXPECT_ANY || m->expect->steps || got == want * calls)
		return 0;
	return fail(m->row, "%llu calls took %llu %s, expected %llu", calls, got,
		    name, want * calls);
}

/*
 * A step by TF is one #BP, and #DB after it: one more for each iteration of a rep, or none
 * where STI's shadow holds it off until the #BP behind the copy.
 */
static int check_step(struct measure *m, const struct ktramp_run *run)
{
	if (!m->expect->steps || run->bp == KTRAMP_UNKNOWN ||
	    (run->bp + run->db >= 2 * run->calls && !((run->bp + run->db) % run->calls)))
		return 0;
	return fail(m->row, "%llu calls took %llu #BP and %llu #DB, expected 2 or more each",
		    run->calls, run->bp, run->db);
}

static int count_traps(struct measure *m)
{
	const struct ktramp_target_info *target = m->row->target;
	struct ktramp_run run;
	int err;

	err = one_run(m, target, m->probe.id, KTRAMP_RUN_TRAPS, MIN(m->config->hits, TRAP_CALLS),
		      &run);
	if (!err && m->probe.id)
		err = check_hits(m, &run);
	if (!err)
		err = check_trap(m, "#BP", expect_bp(m->expect, &m->probe, target), run.bp,
				 run.calls, &m->row->bp);
	if (!err)
		err = check_trap(m, "#DB", m->expect->db, run.db, run.calls, &m->row->db);
	if (!err)
		err = check_step(m, &run);
	return err;
}

static int prove(struct measure *m)
{
	char why[256];

	if (m->expect->fleeting || !expect_listed(m->expect, &m->probe, why, sizeof(why)))
		return 0;
	return fail(m->row, "%s", why);
}

static int while_armed(struct measure *m)
{
	int err;

	err = dev_probe(m->dev, m->probe.id, 0, &m->probe);
	if (err)
		return fail_errno(m->row, "look at the probe", err, KTRAMP_R_NONE, "");
	snprintf(m->row->site, sizeof(m->row->site), "%s", m->probe.site);

	err = prove(m);
	if (!err)
		err = xray_calls(m, m->row->target, m->probe.id);
	if (!err)
		err = probed_loops(m);
	if (!err)
		err = count_traps(m);
	if (!err)
		err = prove(m);
	return err;
}

static int disarm(struct measure *m)
{
	struct ktramp_probe_info probe;
	struct ktramp_batch batch;
	int err;

	err = dev_disarm(m->dev, m->probe.id, &batch);
	if (err)
		return fail_errno(m->row, "disarm", err, batch.reason, batch.why);
	err = dev_probe(m->dev, m->probe.id, 0, &probe);
	if (err)
		return fail_errno(m->row, "look at the probe", err, KTRAMP_R_NONE, "");
	if (memcmp(probe.before, probe.now, MIN(probe.length, (uint32_t)KTRAMP_BYTES_MAX)))
		return fail(m->row, "the site's bytes are not the original ones after disarming");
	return 0;
}

/* The kernel tells what it can make a jump of by doing so, some time after it was asked to. */
static int wait_for_jump(struct measure *m)
{
	int err = bpf_way_settle(m->dev, m->probe.id, expect_of(KTRAMP_BPF_KPROBE_OPT)->first);

	if (err == -EAGAIN)
		return refuse(m->row, KTRAMP_R_NO_STATE,
			      "the kernel did not make a jump of it: not optimizable");
	if (err)
		return fail_errno(m->row, "look at the probe", err, KTRAMP_R_NONE, "");
	return 0;
}

static int while_attached(struct measure *m)
{
	int err = counter_attach(m), detach_err;

	if (err)
		return err;
	if (m->expect->optimization == 1)
		err = wait_for_jump(m);
	if (!err && !m->expect->fleeting)
		err = while_armed(m);
	detach_err = counter_detach(m);
	return err ? err : detach_err;
}

/*
 * Armed, the module watches what libbpf attaches. What is queued for the optimizer is attached
 * for each run; first it is seen that it is queued at all.
 */
static int watched(struct measure *m)
{
	int err = while_attached(m);

	return err || !m->expect->fleeting ? err : while_armed(m);
}

static int probed(struct measure *m)
{
	struct row *row = m->row;
	struct ktramp_batch batch;
	int err, disarm_err;

	err = dev_arm(m->dev, m->probe.id, &batch);
	if (err && !stopped && reason_is_refusal(batch.reason))
		return refuse(row, batch.reason, batch.why);
	if (err)
		return fail_errno(row, "arm", err, batch.reason, batch.why);

	err = m->watched ? watched(m) : while_armed(m);
	disarm_err = disarm(m);
	return err ? err : disarm_err;
}

static int load_program(struct measure *m)
{
	struct ktramp_bpf bpf = { .id = m->probe.id };
	int err;

	err = dev_probe(m->dev, m->probe.id, 0, &m->probe);
	if (err)
		return fail_errno(m->row, "look at the probe", err, KTRAMP_R_NONE, "");
	err = bpf_counter_load(&m->counter, m->row->mechanism->mechanism, &m->probe);
	if (err)
		return fail_errno(m->row, "load the program", err, KTRAMP_R_UNREGISTERED,
				  bpf_why(err));
	m->watched = bpf_is_way(m->row->mechanism->mechanism);
	if (m->watched)
		return 0;
	bpf.prog_fd = bpf_counter_fd(m->counter);
	err = dev_bpf(m->dev, &bpf);
	if (err)
		return fail_errno(m->row, "hand over the program", err, bpf.reason, bpf.why);
	return 0;
}

static int create(struct measure *m)
{
	struct row *row = m->row;
	struct ktramp_create create = {
		.mechanism	= row->mechanism->mechanism,
		.handler	= row->handler ? row->handler : KTRAMP_COUNT,
	};
	int err;

	snprintf(create.site, sizeof(create.site), "%s", row->target->name);
	err = dev_create(m->dev, &create);
	if (err && reason_is_refusal(create.reason))
		return refuse(row, create.reason, create.why);
	if (err)
		return fail_errno(row, "make the probe", err, create.reason, create.why);
	m->probe.id = create.id;
	return handler_is_program(create.handler) ? load_program(m) : 0;
}

static int summarize(struct measure *m)
{
	const struct bench_config *config = m->config;
	struct row *row = m->row;
	uint32_t n = config->repeat;
	double loop;

	/* The clock's drift, where it has one, is taken for linear. */
	loop = (stats_median(m->before, n, m->scratch) +
		stats_median(m->after, n, m->scratch)) / 2;
	row->call = loop / config->hits;

	for (uint32_t i = 0; i < n; i++)
		m->scratch[i] = m->probe.id ? (m->armed[i] - loop) / config->hits :
					      m->before[i] / config->hits;
	if (stats_spread(m->scratch, n, config->seed, &row->per_hit))
		return fail(row, "%s", strerror(ENOMEM));
	row->state = ROW_OK;
	return 0;
}

static int measure_call(struct measure *m)
{
	int err;

	err = xray_calls(m, m->row->target, 0);
	if (!err)
		err = unprobed_loops(m, m->before);
	if (!err)
		err = count_traps(m);
	if (!err)
		err = unprobed_loops(m, m->after);
	if (!err)
		err = summarize(m);

	m->row->nr_bytes = MIN(m->row->target->length, (uint32_t)KTRAMP_BYTES_MAX);
	memcpy(m->row->bytes, m->row->target->bytes, m->row->nr_bytes);
	return err;
}

static int measure_probe(struct measure *m)
{
	struct ktramp_batch batch;
	int err, destroy_err;

	err = create(m);
	if (!err)
		err = xray_calls(m, dev_base(m->dev, m->row->target), 0);
	if (!err)
		err = unprobed_loops(m, m->before);
	if (!err)
		err = probed(m);
	bpf_counter_free(&m->counter);
	if (!m->probe.id)
		return err;
	destroy_err = dev_destroy(m->dev, m->probe.id, &batch);
	if (destroy_err && err != -EOPNOTSUPP)
		err = fail_errno(m->row, "destroy the probe", destroy_err, batch.reason, batch.why);
	if (!err)
		err = unprobed_loops(m, m->after);
	if (!err)
		err = summarize(m);
	return err;
}

static int measure(struct measure *m, struct kprobe_opt *opt)
{
	struct row *row = m->row;

	if (m->expect->optimization != EXPECT_ANY &&
	    kprobe_opt_hold(opt, m->expect->optimization))
		return fail(row, "debug.kprobes-optimization cannot be set to %d",
			    m->expect->optimization);
	if (row->mechanism->mechanism == KTRAMP_CALL)
		return measure_call(m);
	return measure_probe(m);
}

/* Fills in the row; -EIO when it is an error, 0 when it is a result or unsupported. */
int bench_row(const struct dev *dev, const struct bench_config *config, struct kprobe_opt *opt,
	      struct row *row)
{
	struct measure m = {
		.dev	= dev,
		.config	= config,
		.expect	= expect_of(row->mechanism->mechanism),
		.row	= row,
	};

	row->bp = -1;
	row->db = -1;
	if (row->target)
		snprintf(row->site, sizeof(row->site), "%s", row->target->site);

	if (row->mechanism->reason) {
		refuse(row, row->mechanism->reason, row->mechanism->why);
		return 0;
	}
	if (!row->target)
		return fail(row, "the module names no target for it");
	if (row->handler && !(row->mechanism->handlers & (1U << row->handler))) {
		refuse(row, KTRAMP_R_HANDLER, "the mechanism cannot run this handler");
		return 0;
	}

	m.before = calloc(4 * (size_t)config->repeat, sizeof(double));
	if (!m.before)
		return fail(row, "%s", strerror(ENOMEM));
	m.after = m.before + config->repeat;
	m.armed = m.after + config->repeat;
	m.scratch = m.armed + config->repeat;

	measure(&m, opt);
	free(m.before);
	return row->state == ROW_ERROR ? -EIO : 0;
}
