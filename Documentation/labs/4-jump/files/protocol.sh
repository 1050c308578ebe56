#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Arm a probe and take it away again, and print what was done to the text meanwhile: the
# kernel's function tracer looks at the three tools of module/kernel/text.c.
# usage: sh protocol.sh MECHANISM TARGET|SITE
set -eu

tracing=/sys/kernel/tracing

start() {
	printf '%s\n' ktramp_text_write ktramp_text_sync ktramp_text_wait >$tracing/set_ftrace_filter
	echo >$tracing/trace
	echo function >$tracing/current_tracer
}

# The slot or detour is written before the protocol begins, and given back behind it.
tell() {
	echo "$1:"
	sed -n '/<-build_code/d; s/.*: ktramp_text_\([a-z]*\) <-.*/  \1/p' $tracing/trace
	echo >$tracing/trace
}

stop() {
	echo nop >$tracing/current_tracer
	echo >$tracing/set_ftrace_filter
	ktramp remove --all >/dev/null
}

trap stop EXIT
site=$(ktramp targets | awk -v name="$2" '$1 == name { print "ktramp:" $2 }')
start
ktramp add "$1" "${site:-$2}" >/dev/null
tell armed
ktramp disable --all >/dev/null
tell disarmed
