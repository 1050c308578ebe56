#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Room for two exits, no daemon that would fetch them, and three processes.
# usage: sh full.sh [--naive]
set -eu

sh daemon.sh start --size 2 "$@"
sh daemon.sh kill
for i in 1 2 3; do
	ktramp exits run "job$i" -- sh -c "exit $i" >/dev/null 2>/tmp/error &&
		echo "job$i: started" || echo "job$i: $(sed 's/.*error: //' /tmp/error)"
	sleep 1
done
sh daemon.sh start
ktramp exits list | sed '/^ID/d; s/^\(job[0-9]\) *[0-9]*/\1/'
sh daemon.sh unload
