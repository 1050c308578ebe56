#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# How many times more does each way take to get ready if the process has memory in use?
# usage: sh cost.sh MIB
set -eu

setup() {
	ktramp overlay --rss "$1" -m thread -m fork --json |
		sed -n 's/.*"mode":"\([a-z]*\)".*"setup":{"median":\([0-9]*\).*/\1 \2/p'
}

{ setup 0; setup "$1"; } | awk -v mib="$1" '
	!($1 in empty) { empty[$1] = $2; next }
	{
		times = $2 / empty[$1]
		# Of a large number the first digit is enough.
		if (times >= 10)
			times = "some " 10 * int(times / 10 + 0.5)
		else
			times = sprintf("%.1f", times)
		print $1 ": with " mib " MiB in use " times " times what it takes with none"
	}'
