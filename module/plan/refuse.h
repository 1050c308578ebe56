/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A refusal: an errno for the caller, a reason for programs, a sentence for people.
 */
#ifndef KTRAMP_REFUSE_H
#define KTRAMP_REFUSE_H

#ifdef __KERNEL__
#include <linux/kernel.h>
#else
#include <stdio.h>
#define scnprintf snprintf
#endif

#include "uapi/ktramp.h"

struct ktramp_refusal {
	enum ktramp_reason reason;
	char why[KTRAMP_WHY_MAX];
};

/*
 * ktramp_refuse() - fill in a refusal
 *
 * A macro so that the format is checked, and so that plan.c needs nothing but
 * this header to be built on the host.
 * Return: @error, a negative errno.
 */
#define ktramp_refuse(r, error, why_code, fmt, ...)				\
({										\
	(r)->reason = (why_code);						\
	scnprintf((r)->why, sizeof((r)->why), fmt, ##__VA_ARGS__);		\
	(error);								\
})

/* Refuse if the kernel was built without an option. Return: 0 or -EOPNOTSUPP. */
#define ktramp_need_config(option, r)						\
	(IS_ENABLED(option) ? 0 :						\
	 ktramp_refuse(r, -EOPNOTSUPP, KTRAMP_R_NO_CONFIG,			\
		       "this kernel was built without %s", #option))

#endif /* KTRAMP_REFUSE_H */
