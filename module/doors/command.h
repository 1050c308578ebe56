/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KTRAMP_COMMAND_H
#define KTRAMP_COMMAND_H

#include "plan/refuse.h"

int ktramp_command_lines(char *text, struct ktramp_refusal *r);
int ktramp_command_clear(struct ktramp_refusal *r);

#endif /* KTRAMP_COMMAND_H */
