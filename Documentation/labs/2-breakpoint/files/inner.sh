#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Where a function's own code begins: behind its endbr64, on a kernel with IBT, and the nop for
# ftrace. The target lea begins as every function does.
# usage: sh inner.sh
ktramp targets | sed -n 's/^lea .*+\(0x[0-9a-f]*\) .*/\1/p'
