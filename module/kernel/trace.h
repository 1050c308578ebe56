/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The static hook the tracepoint rows measure.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ktramp

#if !defined(KTRAMP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KTRAMP_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(ktramp_target,
	TP_PROTO(long a, long b),
	TP_ARGS(a, b),
	TP_STRUCT__entry(
		__field(long, a)
		__field(long, b)
	),
	TP_fast_assign(
		__entry->a = a;
		__entry->b = b;
	),
	TP_printk("a=%ld b=%ld", __entry->a, __entry->b)
);

#endif /* KTRAMP_TRACE_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH kernel
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
