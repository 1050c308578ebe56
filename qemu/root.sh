# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build roots: a Debian release's compiler and build tools, unpacked to the cache by mmdebstrap, and
# commands that run in them. Used by qemu/buildroot and qemu/debug-kernel; needs qemu/archive.sh.
# shellcheck disable=SC2154 # $PRIVATE is of qemu/lib.sh

# What every build needs: a shell and its tools, make, what reads and writes object files, and for
# W=1 the languages of kernel-doc.
readonly ROOT_PACKAGES=(
	base-files dash bash coreutils findutils grep sed mawk diffutils dpkg make binutils
	perl python3
)

# make_root RELEASE NAME PACKAGE...: sets $root, which is made if it is not there. The name says what
# is in it: a root is never changed.
make_root() {
	local release=$1 name=$1-$2

	shift 2
	root=$CACHE/roots/$name
	[ -d "$root" ] || (lock "$CACHE/roots/$name" && unpack_root "$@") || exit
}

unpack_root() {
	local work=$CACHE/roots/.$name.$$ packages

	# Another process may have made it while we waited.
	[ ! -d "$root" ] || return 0
	"$TOP/qemu/deps" roots || exit
	private_dir
	kernels_of "$release" >/dev/null ||
		infra "cannot make a build root of Debian's $release: $(update_error)"
	say "unpacking a build root of Debian's $release to $root, once"
	rm -rf "$CACHE/roots/.$name."*/
	mkdir -p "$work"
	packages=$(printf '%s\n' "${ROOT_PACKAGES[@]}" "$(pahole_of "$release")" "$@" | sort -u | paste -sd ,)
	# How this host reaches an archive: its proxies, and what it thinks of dates.
	apt-config dump Acquire | grep -v '^Acquire::IndexTargets' >"$PRIVATE/acquire"
	# "extract" runs no package's scripts: it needs neither root nor a namespace.
	mmdebstrap --quiet --mode=chrootless --variant=extract --format=tar --include="$packages" \
		--aptopt="$PRIVATE/acquire" "$release" - "$CACHE/apt/$release/sources.list" \
		2>"$PRIVATE/log" |
		tar -C "$work" --no-same-owner --exclude='./dev/*' --exclude=./usr/share/{doc,man,locale} \
			-xf - 2>>"$PRIVATE/log" ||
		{ rm -rf "$work"; infra "cannot make a build root of Debian's $release: $(root_error)"; }
	# One of the links that only the packages' scripts make.
	ln -s mawk "$work/usr/bin/awk"
	mv -T "$work" "$root"
}

# pahole_of RELEASE: its package, which was part of dwarves once.
pahole_of() {
	local package

	package=$(archive "$1" apt-cache show pahole 2>/dev/null | sed -n 's/^Package: //p' | head -n 1) || true
	echo "${package:-dwarves}"
}

root_error() {
	sed -n 's/^E: //p' "$PRIVATE/log" | head -n 1 | grep . || tail -n 1 "$PRIVATE/log"
}

# in_root [DIRECTORY...] -- COMMAND...: replaces this shell. The sources and the cache are there as they
# are here, read only; the directory for temporary files and those named can be written to.
in_root() {
	local entry name directory="${TMPDIR:-/tmp}" options=() writable=()

	while [ "$1" != -- ]; do
		writable+=("$1")
		shift
	done
	shift
	need bwrap roots
	for entry in "$root"/*; do
		name=/${entry##*/}
		case $name in
		/dev | /proc | /sys | /tmp | /root | /home | /run) continue ;;
		esac
		if [ -L "$entry" ]; then
			options+=(--symlink "$(readlink "$entry")" "$name")
		else
			options+=(--ro-bind "$entry" "$name")
		fi
	done
	options+=(--dev /dev --proc /proc --bind "$directory" "$directory")
	options+=(--ro-bind "$TOP" "$TOP" --ro-bind "$CACHE" "$CACHE")
	[ -z "${KTRAMP_SRC:-}" ] || options+=(--ro-bind "$KTRAMP_SRC" "$KTRAMP_SRC")
	for directory in "${writable[@]}"; do options+=(--bind "$directory" "$directory"); done
	options+=(--chdir "$TOP" --die-with-parent)
	# Nothing of this host's environment is part of a build, nor the locales it has.
	options+=(--clearenv --setenv PATH /usr/bin:/bin --setenv LC_ALL C)
	[ -z "${LLVM_OBJCOPY:-}" ] || options+=(--setenv LLVM_OBJCOPY "$LLVM_OBJCOPY")
	exec bwrap "${options[@]}" -- "$@"
}
