#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Read the exit code of a zombie that exited with 42 in two ways: as the kernel prints it in
# /proc/PID/stat, and out of its task_struct, by the program in moved.bpf.o.
# usage: sh exit-code.sh [--other]
#
#   --other  with the types of the other kernel
set -eu

case ${1:-},$(uname -r) in
,*) set -- ;;
--other,6.1.*) set -- --btf 6.12.btf ;;
--other,*) set -- --btf 6.1.btf ;;
esac
# Its parent does not ask for it: by then it is another program.
sh -c 'sh -c "sleep 1; exit 42" & echo $! >/tmp/zombie; exec tail -f /dev/null' &
parent=$!
ktramp bpf proc_tgid_stat moved.bpf.o --seconds 5 "$@" >/tmp/seen &
reader=$!
sleep 3
kernel=$(sed 's/.* //' "/proc/$(cat /tmp/zombie)/stat")
wait $reader
kill $parent
echo "/proc/PID/stat: $kernel"
grep seen_exit_code /tmp/seen
