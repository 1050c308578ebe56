# SPDX-License-Identifier: GPL-2.0-only
#
# What SAY() of machine.pml and protocol.pml prints on one way through the model, in words.
# usage: spin -t -T -DSTORY protocol.pml | awk -f story.awk

BEGIN {
	split("the task;the idle task;the idle task;an interrupt", context, ";")
	split("1 2 4 128 8 16 32 64", bit, " ")
	split("old int3 jmp theirs old jmp old jmp", value, " ")
	did["A"] = "executes the original instruction A"
	did["B"] = "executes the original instruction B"
	did["int3"] = "executes the int3, and takes #BP"
	did["jmp"] = "executes the jump"
	did["other"] = "executes somebody else's int3, and takes #BP"
	did["springboard"] = "executes the springboard, which jumps to the detour"
	did["detour"] = "is in the detour, and calls the handler"
	did["copy-A"] = "executes the copy of A"
	did["copy-B"] = "executes the copy of B"
	did["step-A"] = "executes the copy of A in the slot"
	did["int3-behind"] = "executes the int3 behind it, and takes #BP"
	did["back"] = "jumps back, behind the displaced region"
	cpu1_off = 1
	old = "old old old"
	row("", "", "BYTES IN MEMORY", "CPU 0 MAY SEE", "CPU 1 MAY SEE")
	row("", "at first", old, old, "off")
}

function row(who, what, memory, cpu0, cpu1) {
	if (memory == "")
		printf "%-8s %s\n", who, what
	else
		printf "%-8s %-46s  %-15s  %-20s %s\n", who, what, memory, cpu0, cpu1
}

# bytes SET: of each of the three bytes what it may be.
function bytes(set,    i, text, last, number) {
	last = 0
	for (i = 1; i <= 8; i++) {
		if (int(set / bit[i]) % 2 == 0)
			continue
		number = i <= 4 ? 1 : i <= 6 ? 2 : 3
		text = text (number == last ? "|" : text == "" ? "" : " ") value[i]
		last = number
	}
	return text
}

function named(set) {
	return set == 135 ? 0 : set == 24 ? 1 : 2
}

function seen(    cpu1) {
	cpu1 = cpu1_off ? "off" : bytes(vis[1])
	row(who, what, bytes(mem), bytes(vis[0]), cpu1)
}

/^@write / {
	split(bytes($3), byte, " ")
	which = named($2)
	mem = $3; vis[0] = $4; vis[1] = $5; cpu1_off = $6
	who = "patcher"
	what = "writes " byte[which + 1] " over byte " which
	seen()
	begun = 1
}

/^@sync / { row("patcher", "(" $2 ") sync" ($3 ? ": LEFT OUT" : ": asks every CPU to serialise")) }
/^@wait / { row("patcher", "(" $2 ") wait" ($3 ? ": LEFT OUT" : "")) }

/^@serialise / {
	if (!begun) next
	vis[$2] = mem
	who = "CPU " $2
	what = "serialises"
	seen()
}

/^@run / {
	what = context[$3 + 1] " " did[$4]
	row("CPU " $2, what)
	last = $5 ? bytes($5) : ""
}

/^@handle / { }
/^@find / { row("CPU " $2, "looks whose int3 that was") }
/^@off / { row("CPU " $2, "the task is preempted") }
/^@on / { row("CPU " $2, "the task goes on here") }
/^@irq / { row("CPU " $2, "an interrupt comes") }
/^@eoi / { row("CPU " $2, "the interrupt ends") }

/^@up / {
	row("CPU 1", "comes up")
	cpu1_off = 0
}

/text of failed assertion/ {
	sub(/.*\|\|/, "")
	sub(/\).*/, "")
	why["torn"] = "that is one instruction's first byte with another's behind it"
	why["in_the_middle"] = "and nobody should have been there any more"
	why["lost_hit"] = "a hit that no handler sees"
	why["not_once"] = "an instruction that is executed twice, or not at all"
	why["unknown_int3"] = "nobody knows it: the kernel oopses"
	why["stale_slot"] = "the slot's bytes there are somebody else's, or nobody's"
	why["freed_probe"] = "that probe is freed already"
	why["slow_hit"] = "though arming has returned"
	row("", "  " toupper($0) ": " why[$0] (last == "" ? "" : " (it sees " last ")"))
}
