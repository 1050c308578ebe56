# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the scripts of qemu/ share: one voice, the exit codes, the directories.
# Usage: . "$(dirname "$0")/lib.sh"
# shellcheck disable=SC2034 # its variables are for those who read it

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# A second output tree (O= of the Makefile) must not disturb the first.
OUTPUT=${KTRAMP_OUTPUT:-$TOP/.output}
CACHE=${KTRAMP_CACHE:-${XDG_CACHE_HOME:-${HOME:?no home directory: set KTRAMP_CACHE}/.cache}/ktramp}
ME=${0##*/}
# Where only root's PATH leads: modinfo, mke2fs, bpftool.
PATH=$PATH:/usr/sbin:/sbin

readonly EXIT_FAILED=1 EXIT_USAGE=2 EXIT_INFRA=69
# What works where nothing else does.
# shellcheck disable=SC2016 # for who pastes it
readonly CONTAINER='podman run --rm -it -v "$PWD:/ktramp" -w /ktramp debian:13 bash -c "apt-get update && apt-get install -y make && make bench"'

say() { printf '%s: %s\n' "$ME" "$*" >&2; }
fail() { say "$@"; exit "$EXIT_FAILED"; }
usage_error() { say "$@"; exit "$EXIT_USAGE"; }
infra() { say "$@"; exit "$EXIT_INFRA"; }

[[ $CACHE != *[[:space:]]* ]] ||
	infra "the cache is '$CACHE', and kbuild takes no path with a space in it: set KTRAMP_CACHE"

# Print the header comment of the running script: its purpose and usage.
usage() {
	sed -n '/^# SPDX/d; 2,/^[^#]/{s/^# \{0,1\}//p}' "$0"
}

# progress WHAT: for work of more than two seconds, and only for a person.
progress() {
	[ ! -t 2 ] || printf '%s: %s ...\n' "$ME" "$*" >&2
}

# private_dir: a directory for this process alone, removed when it exits.
private_dir() {
	PRIVATE=$(mktemp -d "${TMPDIR:-/tmp}/ktramp.XXXXXXXX") ||
		infra "cannot make a private directory under ${TMPDIR:-/tmp}"
	trap 'rm -rf "$PRIVATE"' EXIT
}

# lock NAME: one writer per product; make -j and parallel runs meet here.
lock() {
	local file=$1.lock

	mkdir -p "${file%/*}"
	exec 9>"$file"
	flock 9
}

# need COMMAND GROUP: every missing tool is named together with its remedy.
need() {
	command -v "$1" >/dev/null ||
		infra "$1 is not installed: run qemu/deps $2"
}

# load_kernel NAME: K_release, K_version, K_bzimage, ... of `qemu/kernel NAME`. Scripts that
# are called from here get the same answer: a name may mean another kernel a moment later,
# when apt's lists were updated, and a guest must not be put together from two.
K_release='' K_version='' K_dir='' K_bzimage='' K_vmlinux='' K_kdir='' K_modules='' K_debian='' K_root='' K_tree=''
load_kernel() {
	local parts key value

	if [ "${KTRAMP_KERNEL_NAME:-}" = "$1" ]; then
		parts=$KTRAMP_KERNEL_PARTS
	else
		parts=$("$TOP/qemu/kernel" "$1") || exit
		export KTRAMP_KERNEL_NAME=$1 KTRAMP_KERNEL_PARTS=$parts
	fi
	while IFS='=' read -r key value; do
		printf -v "K_$key" %s "$value"
	done <<<"$parts"
	# A built tree may carry the release name of a packaged kernel.
	K_out=$OUTPUT/$K_release${K_tree:+-tree}
}

# has_btf FILE: an ELF file with a section of it, or BTF itself (its magic, 0xeb9f).
has_btf() {
	[ -r "$1" ] || return 1
	[ "$(od -An -tx1 -N 2 "$1" | tr -d ' ')" != 9feb ] || return 0
	[ -n "$(readelf -SW "$1" 2>/dev/null | awk '$0 ~ / \.BTF /')" ]
}
