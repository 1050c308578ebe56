# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Debian's archive: what it has of each release, by lists of ktramp's own, in the cache.
# Used by qemu/kernel and qemu/buildroot. Nothing is added to the host's apt, no root is needed,
# and what the host has installed, pinned or never heard of changes no answer.
#
# environment: KTRAMP_MIRROR is the archive's address, where apt's own lists do not say it

# The order in which a series is looked for, after the host's own release. With each the
# number that Debian writes behind "+deb" in the names of its kernels.
readonly DEBIAN_RELEASES='trixie:13 bookworm:12 bullseye:11 sid:14'
readonly DEBIAN_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# host_release: the release this machine runs, or nothing. Testing is built as sid is.
host_release() {
	local id codename

	id=$(. /etc/os-release 2>/dev/null && echo "${ID:-}") || true
	[ "$id" = debian ] || return 0
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-sid}")
	[[ $DEBIAN_RELEASES == *"$codename:"* ]] || codename=sid
	echo "$codename"
}

# release_of NUMBER: its name, or nothing.
release_of() {
	local entry

	for entry in $DEBIAN_RELEASES; do
		[ "${entry#*:}" != "$1" ] || echo "${entry%:*}"
	done
}

# releases_in_order: the host's first: what is built for it needs no build root.
releases_in_order() {
	local entry host

	host=$(host_release)
	[ -z "$host" ] || echo "$host"
	for entry in $DEBIAN_RELEASES; do
		[ "${entry%:*}" = "$host" ] || echo "${entry%:*}"
	done
}

# mirrors: where the archive and its security updates are, on one line.
mirrors() {
	local main=${KTRAMP_MIRROR:-} security=''

	# shellcheck disable=SC2016 # apt fills them in
	[ -n "$main" ] || read -r main security < <(
		apt-get indextargets --format '$(SITE) $(RELEASE)' 'Created-By: Packages' 2>/dev/null |
			awk '$2 ~ /-security$/ { security = $1 }
				$2 ~ /^(bullseye|bookworm|trixie|forky|sid|(old)*stable|testing|unstable)$/ { main = $1 }
				END { if (main) print main, security }') || true
	[ -n "$main" ] ||
		infra "apt has no source of Debian's: set KTRAMP_MIRROR to the archive's address, or KDIR to a kernel tree"
	main=${main%/}
	echo "$main ${security:-${main%/debian}/debian-security}"
}

# sources RELEASE: its sources.list.
sources() {
	local main security suite site suites=("$1")

	read -r main security < <(mirrors)
	[ -n "$main" ] || return
	case $1 in
	trixie | bookworm) suites+=("$1-security" "$1-backports") ;;
	bullseye) suites+=("$1-security") ;;
	esac
	for suite in "${suites[@]}"; do
		site=$main
		[[ $suite != *-security ]] || site=$security
		echo "deb [signed-by=$DEBIAN_KEYRING arch=amd64] $site $suite main"
	done
}

# archive RELEASE apt-get|apt-cache ARGUMENT...
archive() {
	local release=$1 tool=$2

	shift 2
	"$tool" -q -o "Dir::Etc::sourcelist=$CACHE/apt/$release/sources.list" \
		-o Dir::Etc::sourceparts=- -o Dir::Etc::preferences=- -o Dir::Etc::preferencesparts=- \
		-o "Dir::State::lists=$CACHE/apt/$release/lists" -o Dir::State::status=/dev/null \
		-o "Dir::Cache=$CACHE/apt/$release/cache" -o APT::Architecture=amd64 \
		-o APT::Update::Error-Mode=any -o Acquire::Retries=1 -o APT::Sandbox::User=root "$@"
}

# update_lists RELEASE: or nothing is changed. What apt says is left in $PRIVATE/update.
update_lists() {
	local dir=$CACHE/apt/$1

	[ -e "$DEBIAN_KEYRING" ] ||
		infra "no $DEBIAN_KEYRING to check Debian's archive with: install debian-archive-keyring"
	progress "fetching the lists of Debian's $1"
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	sources "$1" >"$PRIVATE/sources" || exit
	cp "$PRIVATE/sources" "$dir/sources.list"
	archive "$1" apt-get update >"$PRIVATE/update" 2>&1 || return
	list_kernels "$1" >"$PRIVATE/kernels"
	mv "$PRIVATE/kernels" "$dir/kernels"
}

update_error() {
	sed -n 's/^[EW]: //p' "$PRIVATE/update" 2>/dev/null | head -n 1
}

# list_kernels RELEASE: "KERNEL VERSION WHAT" of each image in the lists, where WHAT is "headers" if
# its headers are there in the same version: signed images come hours after them, and
# backports keep images longer.
list_kernels() {
	local list

	# shellcheck disable=SC2016 # apt fills it in
	archive "$1" apt-get indextargets --format '$(FILENAME)' 'Created-By: Packages' |
		while read -r list; do /usr/lib/apt/apt-helper cat-file "$list"; done |
		sed -n '/^Package: linux-\(image\|headers\)-[0-9]*\.[0-9]*\.[0-9].*-amd64$/,/^$/p' |
		awk '/^Package: / { split($2, word, "-"); what = word[2]
				kernel = substr($2, length("linux-" what "-") + 1) }
			/^Version: / { found[what, kernel, $2]; version[kernel " " $2] }
			END { for (i in version) { split(i, word, " ")
				if (("image", word[1], word[2]) in found)
					print i, ("headers", word[1], word[2]) in found ? "headers" : "image"
			} }' | sort -k 2,2V
}

# kernels_of RELEASE: that list; fetches it if there is none.
kernels_of() {
	[ -e "$CACHE/apt/$1/kernels" ] ||
		(lock "$CACHE/apt/$1" && [ -e "$CACHE/apt/$1/kernels" ] || update_lists "$1") || return
	cat "$CACHE/apt/$1/kernels"
}
