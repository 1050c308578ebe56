#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Watch ./leader, whose first thread ends before the process does, and say at two moments
# what is recorded of it, and what is so.
# usage: sh threads.sh [--naive] [exec]
set -eu

rule='the right rule'
if [ "${1:-}" = --naive ]; then
	rule='the naive rule'
	sh daemon.sh start --naive
	shift
else
	sh daemon.sh start
fi
ktramp exits run it -- ./leader "$@" >/tmp/started
pid=$(sed 's/.* //' /tmp/started)

tell() {
	echo "after $1 seconds"
	echo "  $rule: $(ktramp exits status it)"
	if [ -e "/proc/$pid" ]; then
		sed -n 's/^\(Name\|State\|Threads\):\t/\1 /p' "/proc/$pid/status" |
			tr '\n' ',' | sed 's/^/  \/proc: /; s/,$/\n/; s/,/, /g'
	else
		echo "  /proc: nothing"
	fi
}

sleep 2
tell 2
sleep 4
tell 6
sh daemon.sh unload
