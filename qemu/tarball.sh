# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Debian's package of the kernel's own source: which version there is, and what is in it.
# Used by qemu/source and qemu/debug-kernel; leaves $version, and its messages in $PRIVATE.
# shellcheck disable=SC2034,SC2154 # the variables of those scripts

readonly PACKAGE=linux-source-6.12

# Asking apt takes seconds, so its answer is kept until its lists change.
ask_apt_once() {
	local answer=$CACHE/names/$PACKAGE lists=/var/lib/apt/lists

	if [ "$answer" -nt "$lists" ]; then
		version=$(cat "$answer")
		return
	fi
	version=$(apt-cache show --no-all-versions "$PACKAGE" 2>/dev/null | sed -n 's/^Version: //p') ||
		true
	[ -n "$version" ] || return
	mkdir -p "${answer%/*}"
	printf '%s\n' "$version" >"$PRIVATE/answer"
	mv "$PRIVATE/answer" "$answer"
}

# The sandbox user of apt cannot write to a private directory.
download() {
	(cd "$PRIVATE" && apt-get -q -o APT::Sandbox::User=root download \
		"$PACKAGE=$version") >"$PRIVATE/fetch" 2>&1
}

# unpack_source DIR TAR-ARGUMENT...: of what was downloaded.
unpack_source() {
	local to=$1

	shift
	dpkg-deb --fsys-tarfile "$PRIVATE/$PACKAGE"_*.deb |
		tar -xOf - "./usr/src/$PACKAGE.tar.xz" |
		xz -dc -T0 |
		tar -C "$to" --strip-components=1 -xf - "$@" 2>>"$PRIVATE/fetch"
}

update_lists() {
	[ "$(id -u)" = 0 ] || return 1
	apt-get update -q >"$PRIVATE/update" 2>&1
}

why_not() {
	local why

	why=$(sed -n 's/^[EW]: //p' "$PRIVATE/fetch" 2>/dev/null | tail -n 1)
	printf '%s\n' "${why:-apt has no package $PACKAGE}"
}
