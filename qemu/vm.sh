# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The virtual machine of qemu/run: its accelerator, its command line, its life.
# Reads what qemu/run read from its own arguments; sets $arguments and $qemu_status.
# shellcheck disable=SC2034,SC2154 # variables of qemu/run and qemu/outcome.sh
# shellcheck disable=SC2054 # commas are part of QEMU's options

QEMU=${QEMU:-qemu-system-x86_64}

# choose_accel: KVM may be there and yet not run a guest, so it is tried once, in bounds.
choose_accel() {
	local why

	case $accel in
	kvm | auto)
		if why=$(kvm_broken); then
			[ "$accel" = auto ] || say "no KVM: $why; emulating instead"
			# icount counts one CPU at a time.
			if [ "${smp:-1}" = 1 ]; then accel=icount; else accel=tcg; fi
		else
			accel=kvm
		fi
		;;
	esac
	case $accel in
	icount) : "${smp:=1}" "${cpu:=max}" ;;
	tcg | tcg-single) : "${smp:=2}" "${cpu:=max}" ;;
	kvm) : "${smp:=2}" "${cpu:=host}" ;;
	esac
	: "${timeout:=$([ -n "$shell" ] && echo 0 || echo 120)}"
}

# kvm_broken: succeeds, and says why, if KVM cannot run a guest. The answer holds until
# the host reboots or QEMU changes.
kvm_broken() {
	local answer key

	[ -z "${KTRAMP_TRY_KVM:-}" ] || return 1
	if [ ! -w /dev/kvm ]; then
		[ -e /dev/kvm ] && echo "no permission for /dev/kvm" || echo "no /dev/kvm"
		return 0
	fi
	key=$(printf '%s\n' "$(cat /proc/sys/kernel/random/boot_id)" "$("$QEMU" --version)" |
		sha256sum | cut -c 1-16)
	answer=$CACHE/kvm/$key
	if [ ! -e "$answer" ]; then
		mkdir -p "${answer%/*}"
		if KTRAMP_TRY_KVM=1 "$TOP/qemu/run" --kernel "$kernel" --accel kvm --no-load \
			--timeout 8 -- true >"$PRIVATE/kvm" 2>&1; then
			echo works >"$answer"
		else
			kvm_reason >"$answer"
		fi
	fi
	[ "$(cat "$answer")" != works ] || return 1
	cat "$answer"
}

kvm_reason() {
	local line

	line=$(grep -m 1 -iE 'kvm|error' "$PRIVATE/kvm" || tail -n 1 "$PRIVATE/kvm")
	printf 'a trial boot failed (%s)\n' "${line#run: }"
}

# Each group of options: the reason above, then what it adds to QEMU's command line.
vm_arguments() {
	arguments=()
	machine_arguments
	accel_arguments
	kernel_arguments
	log_arguments
	port_arguments
	[ -z "$root" ] || root_arguments
	[ -z "$shell" ] || terminal_arguments
	[ -z "$plugin" ] || plugin_arguments
}

machine_arguments() {
	# Nothing the guest does not use: every device costs boot time.
	arguments+=(-nodefaults -no-user-config -display none -monitor none)
	arguments+=(-machine "pc,usb=off,hpet=off,vmport=off")
	# A firmware that starts a kernel and does nothing else.
	arguments+=(-bios qboot.rom)
	arguments+=(-cpu "$cpu" -smp "$smp" -m "$mem")
	# A panic restarts the guest at once (panic=-1); that must be its end.
	arguments+=(-no-reboot)
}

accel_arguments() {
	local sleep=off

	# One nanosecond of guest time per instruction. An idle guest skips to its next timer
	# instead of waiting for it; at a prompt that would be a busy host.
	[ -z "$shell" ] || sleep=on
	case $accel in
	icount) arguments+=(-accel tcg,thread=single -icount "shift=0,sleep=$sleep") ;;
	tcg) arguments+=(-accel tcg,thread=multi) ;;
	# CPUs in turn: no instruction of one runs while the other writes it.
	tcg-single) arguments+=(-accel tcg,thread=single) ;;
	kvm) arguments+=(-accel kvm) ;;
	esac
}

kernel_arguments() {
	local words=(panic=-1) image=$K_vmlinux

	# The early console shows a kernel that dies before its virtio driver; the virtio
	# console takes over from it.
	# What the kernel tells of a boot that goes well takes a tenth of its time.
	words+=(earlycon=uart8250,io,0x3f8,115200 console=hvc0 loglevel=5)
	# The emulated timers are right.
	words+=(no_timer_check tsc=reliable)
	# Calibrating the APIC timer spins through 100 ms of guest time, seconds when each
	# PAUSE leaves the emulated code; one CPU does as well with the PIT.
	[ "$accel$smp" != icount1 ] || words+=(nolapic_timer)
	# Half of the rest of the boot: the kernel's crypto testing itself, and keys for module
	# signatures, which nothing here checks.
	words+=(cryptomgr.notests initcall_blacklist=jent_mod_init,load_system_certificate_list)
	# Started without its decompressor, the kernel is there a second sooner, and stays where
	# it was linked: the bytes of a jump are the same in every run.
	words+=(nokaslr)
	if [ -n "$kaslr" ] || [ ! -r "$image" ]; then image=$K_bzimage; fi
	[ -z "$kaslr" ] || words=("${words[@]/#nokaslr/kaslr}")
	# Who follows each object makes the debug kernel's boot several times as long: kmemleak
	# where it is asked for, and never both.
	case $K_release-${append:-} in
	*-debug-*kmemleak=*) words+=(no_debug_objects) ;;
	*-debug-*) words+=(no_debug_objects kmemleak=off) ;;
	esac
	# shellcheck disable=SC2206 # words, as a boot loader takes them
	words+=(${append:-})
	arguments+=(-kernel "$image" -initrd "$PRIVATE/initrd" -append "${words[*]}")
}

log_arguments() {
	# One file for both consoles, so that the log is whole whichever was in use.
	arguments+=(-chardev "file,id=log,path=${log//,/,,},mux=on")
	arguments+=(-serial chardev:log)
	arguments+=(-device virtio-serial-pci,max_ports=8 -device virtconsole,chardev=log)
}

port_arguments() {
	local port directory=${PRIVATE//,/,,}

	# Output is passed on while the command runs; a pipe holds the guest back when the
	# reader is slow.
	for port in out err; do
		arguments+=(-chardev "pipe,id=$port,path=$directory/$port")
	done
	for port in status files; do
		arguments+=(-chardev "file,id=$port,path=$directory/$port")
	done
	for port in out err status files; do
		arguments+=(-device "virtserialport,chardev=$port,name=ktramp.$port")
	done
}

root_arguments() {
	local disk

	# What the guest writes is kept in a file that is gone with QEMU.
	for disk in "$root_image" ${root_modules:+"$root_modules"}; do
		arguments+=(-drive "file=${disk//,/,,},format=raw,if=virtio,snapshot=on")
	done
}

terminal_arguments() {
	# Keys such as ^C belong to the guest.
	arguments+=(-chardev stdio,id=terminal,mux=on,signal=off)
	arguments+=(-device virtconsole,chardev=terminal,nr=7)
}

plugin_arguments() {
	[[ $("$QEMU" -help) == *$'\n-plugin '* ]] ||
		infra "this $QEMU has no plugins (it was built with --disable-plugins), and x-rays are made by one: name another in QEMU"
	# Plugins cannot read the guest's memory; this one finds it among QEMU's mappings.
	arguments+=(-object "memory-backend-memfd,id=ram,size=${mem}M" -machine memory-backend=ram)
	KTRAMP_QEMU_VERSION=$("$QEMU" --version | sed -n '1s/.*version \([0-9.]*\).*/\1/p')
	export KTRAMP_QEMU_VERSION
	arguments+=(-plugin "$plugin" -d plugin -D "$log.plugin")
}

# print_vm: one option a line, ready for a shell.
print_vm() {
	local word

	printf '%s' "$QEMU"
	for word in "${arguments[@]}"; do
		[[ $word == -* ]] && printf ' \\\n\t%s' "$word" && continue
		[[ $word =~ ^[a-zA-Z0-9_./:=,+-]+$ ]] || word="'${word//\'/\'\\\'\'}'"
		printf ' %s' "$word"
	done
	printf '\n'
}

# boot: QEMU with a time limit; neither outlives this script, however it ends.
boot() {
	local port readers=()

	mkdir -p "${log%/*}"
	: >"$log"
	for port in out err; do
		mkfifo "$PRIVATE/$port.in" "$PRIVATE/$port.out"
	done
	cat "$PRIVATE/out.out" &
	readers+=($!)
	cat "$PRIVATE/err.out" >&2 &
	readers+=($!)
	if [ -n "$shell" ]; then
		run_qemu <&0 &
	else
		run_qemu </dev/null &
	fi
	qemu=$!
	trap 'stop_vm; exit 130' INT
	trap 'stop_vm; exit 143' TERM HUP
	trap 'stop_vm; rm -rf "$PRIVATE"' EXIT
	wait_for_end "${readers[@]}"
	qemu=
}

# wait_for_end READER...: a reader that fails has lost its own reader (a closed pipe); one
# that succeeds has seen QEMU go.
wait_for_end() {
	local ended

	qemu_status=0
	wait -n -p ended "$qemu" "$@" || qemu_status=$?
	if [ "$ended" != "$qemu" ]; then
		[ "$qemu_status" = 0 ] || infra "nobody reads what the command prints"
		wait "$qemu" || qemu_status=$?
	fi
	release_readers "$@"
	wait "$@" || true
}

# release_readers READER...: one waits in open() for a writer if QEMU ended before it was one.
# With every writer gone it reads what is left, and ends.
release_readers() {
	while kill -0 "$@" 2>/dev/null; do
		: <>"$PRIVATE/out.out" <>"$PRIVATE/err.out"
		sleep 0.05
	done
}

run_qemu() {
	exec setpriv --pdeathsig KILL timeout --foreground -k 2 "$timeout" \
		setpriv --pdeathsig KILL "$QEMU" "${arguments[@]}" 2>"$PRIVATE/qemu"
}

stop_vm() {
	[ -z "${qemu:-}" ] || kill "$qemu" 2>/dev/null || true
}
