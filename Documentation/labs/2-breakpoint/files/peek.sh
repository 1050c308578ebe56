#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Print bytes of the kernel's memory as they are now. /proc/kcore shows it as a core file, whose
# program headers (56 bytes each, behind the header of 64) tell where which addresses are.
# usage: sh peek.sh SYMBOL+0xOFFSET N
set -eu

# header FIELD_OFFSET: one 8-byte number of it, in hexadecimal.
header() {
	dd if=/proc/kcore bs=8 skip=$(($1 / 8)) count=1 2>/dev/null | od -A n -t x8 | tr -d ' '
}

# ADDRESS TYPE NAME, and a module's name behind it.
symbol=${1%+*} offset=0
[ "$symbol" = "$1" ] || offset=${1#*+}
start=$(awk -v name="$symbol" '$3 == name { print $1; exit }' /proc/kallsyms)
[ -n "$start" ] || {
	echo "peek: no symbol '$symbol'" >&2
	exit 1
}
address=$((0x$start + offset))

at=64
while :; do
	vaddr=$((0x$(header $((at + 16))))) length=$((0x$(header $((at + 40)))))
	into=$((address - vaddr))
	[ $into -lt 0 ] || [ $into -ge $length ] || [ $vaddr = 0 ] || break
	at=$((at + 56))
	[ $at -lt 4096 ] || {
		echo "peek: /proc/kcore has nothing at $1" >&2
		exit 1
	}
done
file=$((0x$(header $((at + 8))) + into))
dd if=/proc/kcore bs=1 skip=$file count="$2" 2>/dev/null | hexdump -v -e '1/1 "%02x "'
echo
