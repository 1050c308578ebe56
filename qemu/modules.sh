# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The loadable modules of a kernel, for a guest that has no kmod.
# Used by qemu/guest and qemu/root; reads what load_kernel found.
# shellcheck disable=SC2154 # K_modules

# modules_for NAME...: paths of loadable modules, dependencies first, each once.
modules_for() {
	local name file depends

	for name; do
		name=${name//-/_}
		case " ${seen:-} " in *" $name "*) continue ;; esac
		seen="${seen:-} $name"
		file=$(module_file "$name")
		# Built in, or not configured: then the guest says what it misses.
		[ -n "$file" ] || continue
		depends=$(modinfo -F depends "$file")
		# shellcheck disable=SC2046 # a comma-separated list of names
		modules_for $(tr ',' ' ' <<<"$depends")
		printf '%s\n' "$file"
	done
}

# In a package's module directory or a built tree; - and _ are the same in a name.
module_file() {
	local directory=$K_modules/kernel

	[ -d "$directory/drivers" ] || directory=$K_modules
	find "$directory"/drivers/{virtio,char,block,net} "$directory"/fs{,/overlayfs,/ext4,/jbd2} \
		"$directory"/{crypto,lib} -maxdepth 1 -name "${1//_/[-_]}.ko*" 2>/dev/null |
		grep -E '\.ko(\.(xz|zst|gz))?$' | head -n 1 || true
}

module_name() {
	local name=${1##*/}

	echo "${name%.ko*}.ko"
}

# busybox does not unpack modules, and the kernel's own unpacking is optional.
# add_module FILE DIRECTORY
add_module() {
	case $1 in
	*.xz) xz -dc "$1" ;;
	*.zst) zstd -dcq "$1" ;;
	*.gz) gzip -dc "$1" ;;
	*) cat "$1" ;;
	esac >"$2/$(module_name "$1")"
}
