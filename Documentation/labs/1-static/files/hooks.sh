#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# How many places of this kernel have a hook compiled in, and how much text is around them?
# usage: sh hooks.sh
set -eu

# All symbols are a hundred thousand lines, so they are read once; a module's end in [its name].
symbols=$(grep -F -e __tracepoint_ -e _stext -e _etext /proc/kallsyms | grep -vF '[')
functions=/sys/kernel/tracing/available_filter_functions

# address NAME: of a symbol.
address() {
	echo "$symbols" | sed -n "s/^\([0-9a-f]*\) . $1\$/\1/p"
}

count() {
	printf '%-48s %8d\n' "$1" "$2"
}

count 'tracepoints' "$(echo "$symbols" | grep -c ' __tracepoint_')"
count 'functions with a nop for ftrace' "$(grep -vcF '[' $functions)"
count 'bytes of text' "$((0x$(address _etext) - 0x$(address _stext)))"
