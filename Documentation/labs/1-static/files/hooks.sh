#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# How many places of this kernel have a hook compiled in, and how much text is around them?
# usage: sh hooks.sh
set -eu

symbols=/proc/kallsyms

# address NAME: of a symbol.
address() {
	sed -n "s/^\([0-9a-f]*\) . $1\$/\1/p" $symbols
}

count() {
	printf '%-48s %8d\n' "$1" "$2"
}

count 'tracepoints' "$(grep -v '\[' $symbols | grep -c ' __tracepoint_')"
count 'functions with a nop for ftrace' \
	"$(grep -vc '\[' /sys/kernel/tracing/available_filter_functions)"
count 'bytes of text' "$((0x$(address _etext) - 0x$(address _stext)))"
