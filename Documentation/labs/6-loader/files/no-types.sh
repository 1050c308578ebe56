#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Run a command where the kernel has no types: something else lies over the directory.
# usage: sh no-types.sh COMMAND [ARG]...
set -eu

mount -t tmpfs none /sys/kernel/btf
trap 'umount /sys/kernel/btf' EXIT
"$@"
