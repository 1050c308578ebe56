# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What became of a run of qemu/run: the command's status, a kernel that warned, or a guest
# that was lost. Reads $log, $qemu_status, $PRIVATE and the options of qemu/run.
# shellcheck disable=SC2154 # the variables of qemu/run and qemu/vm.sh

# How the kernel says that something is wrong with it.
readonly SPLAT='WARNING: |BUG: |kernel BUG at|Oops|general protection fault|Kernel panic|\
unable to handle|double fault|stack segment|invalid opcode|UBSAN: |KASAN|KFENCE|KCSAN|\
possible circular locking|possible recursive locking|inconsistent lock state|bad unlock balance|\
suspicious RCU usage|illegal context|held lock freed|sleeping function called|\
blocked for more than|detected stall|soft lockup|hard LOCKUP|Call Trace:|cut here'

# judge: the end of the run; leaves with its exit status.
judge() {
	local status splat=''

	report_splat && splat=1
	status=$(read_status) || lost
	save_files
	if [ -n "$splat" ] && [ -z "$allow_splat" ]; then
		exit "$EXIT_FAILED"
	fi
	exit "$status"
}

# Only digits and a newline are a status: anything else is a guest that died while writing.
read_status() {
	[[ $(tr '\n' . <"$PRIVATE/status" 2>/dev/null) =~ ^([0-9]+)\.$ ]] || return 1
	printf '%s' "${BASH_REMATCH[1]}"
}

# Since our own mark: what the kernel says of itself before is not about ktramp.
since_setup() {
	sed -n '/ktramp: setup/,$p' "$log" | tr -d '\r'
}

report_splat() {
	local first

	first=$(since_setup | grep -nE -m 1 "${SPLAT//\\$'\n'/}" | cut -d : -f 1) || true
	[ -n "$first" ] || return 1
	[ -z "$allow_splat" ] || return 0
	say "the kernel warned; whole log in $log"
	since_setup | sed -n "$first,$((first + 39))p" >&2
}

lost() {
	local phase=boot mark why

	for mark in setup command end; do
		! grep -q "ktramp: $mark" "$log" || phase=$mark
	done
	case $qemu_status in
	124 | 137) why="time limit of $timeout s" ;;
	0) why="the guest ended without a status" ;;
	*) why="QEMU ended with status $qemu_status" ;;
	esac
	# ^A x at a prompt.
	if [ -n "$shell" ] && [ -z "$splat" ] && [ "$phase$qemu_status" = command0 ]; then
		exit 0
	fi
	say "lost during $phase: $why; whole log in $log"
	[ ! -s "$PRIVATE/qemu" ] || tail -n 5 "$PRIVATE/qemu" >&2
	# After a splat its end has been shown.
	[ -n "$splat" ] || tr -d '\r' <"$log" | tail -n 15 >&2
	exit "$EXIT_INFRA"
}

save_files() {
	[ -n "$out" ] || return 0
	mkdir -p "$out" || infra "cannot make the directory '$out'"
	# A guest that counts instructions is ahead of our clock by what it waited.
	tar -C "$out" --warning=no-timestamp --no-same-owner --no-same-permissions \
		-xf "$PRIVATE/files" ||
		infra "the files of the guest did not arrive whole"
}
