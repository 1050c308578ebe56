/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One open file that covers the kernel, for the tests about that. The functions return 0 or
 * -errno.
 */
#ifndef COVERS_H
#define COVERS_H

#include "../../user/cover/cover.h"

struct cover_session {
	struct dev dev;
	struct cover_plan plan;
	struct cover_addresses hit;
};

int cover_open(struct cover_session *s);
void cover_close(struct cover_session *s);
int cover_add_function(struct cover_session *s, uint64_t address);
uint64_t cover_target(const struct cover_session *s, const char *name);
uint64_t cover_site(const struct cover_session *s, size_t n);
int cover_do(struct cover_session *s, unsigned long request, struct ktramp_cover *reply);
int cover_read_hits(struct cover_session *s);
bool cover_is_hit(const struct cover_session *s, uint64_t address);
int cover_run(const struct cover_session *s, const char *name, unsigned int loops,
	      struct ktramp_run *reply);

#endif /* COVERS_H */
