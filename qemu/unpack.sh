# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Debian's kernel packages -> a directory of the cache that can be built against and booted.
# Used by qemu/kernel; reads $debian, $release, $version, $dir and $PRIVATE; needs qemu/archive.sh.
# shellcheck disable=SC2154 # the variables of qemu/kernel

# fetch: all packages of $release at $version, unpacked, or nothing.
fetch() {
	local work=$CACHE/kernels/.$release.$$

	lock "$CACHE/kernels/.$release"
	# Another process may have finished the same kernel while we waited.
	[ ! -e "$dir/release" ] || return 0
	for tool in dpkg-deb xz zstd lz4 readelf; do need "$tool" build; done
	progress "fetching $release $version"
	rm -rf "$CACHE/kernels/.$release."*/
	mkdir "$work"
	if download && unpack_packages "$work" && settle "$work"; then
		mv -T "$work" "$dir"
	else
		rm -rf "$work"
		return 1
	fi
}

fetch_error() {
	if grep -qs 'No space left on device' "$PRIVATE/fetch"; then
		echo "no space left in $CACHE or ${TMPDIR:-/tmp}"
		return
	fi
	sed -n 's/^E: //p' "$PRIVATE/fetch" | head -n 1
}

# depends PACKAGE: what it needs, each once, "NAME VERSION" or "NAME"; of alternatives the first.
depends() {
	archive "$debian" apt-cache show "$1=$version" 2>>"$PRIVATE/fetch" |
		sed -n 's/^Depends: //p' | tr ',' '\n' | sed 's/^ *\([^ :|(]*\).*/\1/'
}

# at_version PACKAGE: it at $version, or the newest, where the archive has a newer one only: signed
# images come hours after the rest. For linux-kbuild, of which the headers want ">=", or any.
at_version() {
	if [ -n "$(archive "$debian" apt-cache show "$1=$version" 2>/dev/null)" ]; then
		printf '%s\n' "$1=$version"
	else
		printf '%s\n' "$1"
	fi
}

# parts: the packages that the image and the headers are made of: since 7.0 the image is one of
# three, and the headers share two since ever.
parts() {
	local package

	for package in "linux-image-$release" "linux-headers-$release"; do
		printf '%s\n' "$package"
		depends "$package"
	done | awk '/^linux-(image|headers|binary|modules|base|kbuild)-[0-9]/ && !seen[$1]++'
}

download() {
	local package packages=()

	: >"$PRIVATE/fetch"
	for package in $(parts); do
		case $package in
		linux-kbuild-*)
			depends "$package" >"$PRIVATE/tools"
			package=$(at_version "$package")
			;;
		*) package+="=$version" ;;
		esac
		packages+=("$package")
	done
	[[ "${packages[*]}" == *linux-kbuild-* ]] || {
		echo "E: Debian's $debian has no linux-headers-$release $version" >>"$PRIVATE/fetch"
		return 1
	}
	# What a build root must have for them: the compiler, the libraries of kbuild's programs.
	depends "linux-headers-$release" | grep -E '^(linux-compiler-)?gcc-' >>"$PRIVATE/tools" || true
	(cd "$PRIVATE" && archive "$debian" apt-get download "${packages[@]}") >"$PRIVATE/fetch" 2>&1
}

unpack_packages() {
	local package

	for package in "$PRIVATE"/*.deb; do
		dpkg-deb -x "$package" "$1" 2>>"$PRIVATE/fetch" || return
		rm "$package"
	done
}

# settle DIR: make the packages usable from where they lie.
settle() {
	local headers=$1/usr/src/linux-headers-$release image

	# The absolute paths in the headers; everything else in them is relative.
	# shellcheck disable=SC2016 # $(...) is for make
	sed -i -e 's,^include /usr/src/,include $(abspath $(dir $(lastword $(MAKEFILE_LIST))))/../,' \
		-e 's,^KBUILD_OUTPUT=/.*,KBUILD_OUTPUT := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))),' \
		"$headers/Makefile"
	for image in "$1/boot/vmlinuz-$release" "$1/usr/lib/modules/$release/vmlinuz"; do
		[ ! -e "$image" ] || break
	done
	extract_vmlinux "$image" "$1/vmlinux" || return
	has_btf "$1/vmlinux" ||
		say "$release has no .BTF in its vmlinux: modules for it get none"
	# The last of these says that the directory is complete.
	{
		cp "$PRIVATE/tools" "$1/tools" &&
			printf '%s\n' "$debian" >"$1/debian" &&
			printf '%s\n' "$version" >"$1/version" &&
			printf '%s\n' "$release" >"$1/release"
	} 2>>"$PRIVATE/fetch"
}

# extract_vmlinux BZIMAGE OUT: the boot protocol (2.08 on) says where the payload is.
extract_vmlinux() {
	local image=$1 out=$2 sectors offset length magic tool

	[ "$(le 514 4 "$image")" = $((0x53726448)) ] || infra "no boot header in ${image##*/}"
	sectors=$(le 497 1 "$image")
	offset=$(((sectors + 1) * 512 + $(le 584 4 "$image")))
	length=$(le 588 4 "$image")
	magic=$(od -An -tx1 -j "$offset" -N 4 "$image" | tr -d ' ')
	case $magic in
	1f8b*) tool=(gzip -dc) ;;
	fd377a58) tool=(xz -dc) ;;
	28b52ffd) tool=(zstd -dcq) ;;
	02214c18) tool=(lz4 -dcq) ;;
	*) infra "payload of ${image##*/} starts with $magic: not gzip, xz, zstd or lz4" ;;
	esac
	# The kernel's build appends the unpacked size, which a decompressor calls garbage:
	# the result is judged by what comes out.
	tail -c +$((offset + 1)) "$image" | head -c "$length" |
		"${tool[@]}" >"$out" 2>"$PRIVATE/unpack" || true
	if grep -qs 'No space left on device' "$PRIVATE/unpack"; then
		echo 'No space left on device' >>"$PRIVATE/fetch"
		return 1
	fi
	readelf -h "$out" >/dev/null 2>&1 ||
		infra "payload of ${image##*/} does not unpack to an ELF file"
}

# le OFFSET SIZE FILE: a little-endian number.
le() {
	od -An -tu"$2" -j "$1" -N "$2" "$3" | tr -d ' '
}
