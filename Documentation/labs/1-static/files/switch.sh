#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Switch a trace event on and off, and print what the kernel does to its text meanwhile.
# usage: sh switch.sh SYSTEM/EVENT
set -eu

tracing=/sys/kernel/tracing

tell() {
	echo "$1:"
	sed -n 's/.*: \(__text_poke\|do_sync_core\) <-.*/  \1/p' $tracing/trace
	echo >$tracing/trace
}

stop() {
	echo 0 >"$tracing/events/$1/enable"
	echo nop >$tracing/current_tracer
	echo >$tracing/set_ftrace_filter
	echo >$tracing/trace
}

trap 'stop "$1"' EXIT
printf '%s\n' __text_poke do_sync_core >$tracing/set_ftrace_filter
echo function >$tracing/current_tracer
echo >$tracing/trace
echo 1 >"$tracing/events/$1/enable"
tell on
echo 0 >"$tracing/events/$1/enable"
tell off
