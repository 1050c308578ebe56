#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The daemon of ktramp exits, in the background.
# usage: sh daemon.sh start [--naive] | tell | kill | unload
#
#   start   start it, with an option
#   tell    what it has printed since, without the numbers of processes
#   kill    kill it, so that it can do nothing more
#   unload  that, and take the program out of the kernel, and forget all records
set -eu

case ${1:-} in
start)
	shift
	ktramp exits daemon "$@" >/tmp/told 2>&1 &
	echo $! >/tmp/daemon
	sleep 1
	;;
tell)
	sleep 1
	sed 's/ (process [0-9]*)//' /tmp/told
	: >/tmp/told
	;;
kill) kill -9 "$(cat /tmp/daemon)" ;;
unload)
	kill -9 "$(cat /tmp/daemon)" 2>/dev/null || true
	# Its lock goes a moment after it.
	sleep 1
	ktramp exits unload
	rm -rf /run/ktramp-exits
	;;
*) sed -n '/^# usage/,/^#   unload/s/^# //p' "$0"; exit 2 ;;
esac
