// SPDX-License-Identifier: GPL-2.0-only
/* One open file that covers the kernel, for the tests about that. */
#include <stdlib.h>

#include "covers.h"
#include "kt.h"

int cover_open(struct cover_session *s)
{
	*s = (struct cover_session){ 0 };
	return dev_open(&s->dev);
}

void cover_close(struct cover_session *s)
{
	dev_close(&s->dev);
	cover_plan_deinit(&s->plan);
	free(s->hit.v);
	s->hit = (struct cover_addresses){ 0 };
}

int cover_add_function(struct cover_session *s, uint64_t address)
{
	return cover_add(&s->dev, &address, 1, 0, &s->plan);
}

uint64_t cover_target(const struct cover_session *s, const char *name)
{
	const struct ktramp_target_info *target = dev_target(&s->dev, name);

	return target ? target->address - target->offset : 0;
}

/* Where the n-th block is observed. */
uint64_t cover_site(const struct cover_session *s, size_t n)
{
	return s->plan.block[n].address + s->plan.block[n].offset;
}

int cover_do(struct cover_session *s, unsigned long request, struct ktramp_cover *reply)
{
	return dev_cover(&s->dev, request, reply);
}

int cover_read_hits(struct cover_session *s)
{
	return cover_hits(&s->dev, 0, &s->hit);
}

bool cover_is_hit(const struct cover_session *s, uint64_t address)
{
	return cover_has(&s->hit, address);
}

int cover_run(const struct cover_session *s, const char *name, unsigned int loops,
	       struct ktramp_run *reply)
{
	return kt_run(s->dev.fd, kt_target_index(s->dev.fd, name), 0, loops, KTRAMP_RUN_MEASURE,
		      reply);
}
