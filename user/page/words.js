/* SPDX-License-Identifier: GPL-2.0-only */
/* What each mechanism does, for a reader who meets it here. No figures: those are in the data. */

const WORDS = {
	"call": {
		title: "the bare call",
		text: "The function is called and nothing is attached to it. This is the " +
			"baseline that every other figure is counted on top of.",
	},
	"int3-emulate": {
		title: "breakpoint, then C code does the instruction’s work",
		text: "The first byte of the instruction is overwritten with int3. When the " +
			"processor gets there it raises a breakpoint exception (#BP); the " +
			"handler runs inside it. The displaced instruction is never executed: a " +
			"function with the same effect changes the saved registers instead.",
	},
	"int3-step-tf": {
		title: "breakpoint, then a single step",
		text: "After the breakpoint and the handler, a copy of the displaced " +
			"instruction is executed with the trap flag set. The processor raises a " +
			"second exception (#DB) right behind it, and the kernel puts things " +
			"back in order. Linux worked like this for many years.",
	},
	"int3-step-int3": {
		title: "breakpoint, a copy, another breakpoint",
		text: "After the breakpoint and the handler, a copy of the displaced " +
			"instruction is executed from a slot. Behind the copy waits a second " +
			"int3, which brings control back. Linux works like this today.",
	},
	"int3-boost": {
		title: "breakpoint, then a copy that jumps back",
		text: "After the breakpoint and the handler, a copy of the displaced " +
			"instruction is executed from a slot. A jump behind the copy returns to " +
			"the site: no second exception.",
	},
	"jump": {
		title: "a jump to a detour made to measure",
		text: "The instruction is replaced by a jump. It lands in a detour that saves " +
			"only what the handler would clobber, calls it, executes the displaced " +
			"instructions and jumps back. No exception is raised at any point.",
	},
	"kprobe-step": {
		title: "the kernel’s kprobe, stepping",
		text: "The kernel’s own probe in its plainest form: a breakpoint, the " +
			"handler, a copy of the instruction in the kernel’s slot, and a second " +
			"breakpoint behind the copy.",
	},
	"kprobe-emulate": {
		title: "the kernel’s kprobe, on a branch",
		text: "Branches cannot be executed elsewhere, so the kernel computes their " +
			"effect inside the breakpoint exception. It is measured on a jump " +
			"instruction for that reason.",
	},
	"kprobe-boost": {
		title: "the kernel’s kprobe, jumping back",
		text: "A breakpoint, the handler, and a copy of the instruction with a jump " +
			"behind it. Only kernels that are not preemptible contain it.",
	},
	"kprobe-opt-pending": {
		title: "the kernel’s kprobe, waiting to be optimized",
		text: "A kprobe that will become a jump starts its life as a breakpoint. " +
			"Until the kernel finds a safe moment to write the jump, hits take the " +
			"exception and leave it through the detour that is already there.",
	},
	"kprobe-opt": {
		title: "the kernel’s kprobe, turned into a jump",
		text: "The kernel replaced the breakpoint by a jump to a detour buffer, which " +
			"saves every register, calls the handler, restores them all, executes " +
			"the displaced instructions and jumps back.",
	},
	"kprobe-ftrace": {
		title: "the kernel’s kprobe, at a function’s entry",
		text: "Compilers leave room for a call at the start of each kernel function. " +
			"The kprobe uses it, through ftrace: a call to a trampoline that saves " +
			"all registers.",
	},
	"kretprobe": {
		title: "the kernel’s probe on a function’s return",
		text: "At the function’s entry its return address is swapped for that of a " +
			"trampoline, so that the function returns into the handler first, and " +
			"to its caller after.",
	},
	"ftrace": {
		title: "a callback at a function’s entry",
		text: "The space at the start of the function becomes a call to a trampoline " +
			"made for this one user, which calls the handler directly.",
	},
	"fprobe": {
		title: "ftrace, shared by many functions",
		text: "An ftrace user that can watch many functions with one callback, with a " +
			"lock against recursion around it.",
	},
	"tracepoint-off": {
		title: "a hook compiled in, and switched off",
		text: "Somebody wrote a hook into the source code. Nobody listens to it, so " +
			"at its place there is an instruction that does nothing.",
	},
	"tracepoint": {
		title: "a hook compiled in, and switched on",
		text: "The do-nothing instruction becomes a short jump to code at the end of " +
			"the same function, which calls whoever listens.",
	},
	"bpf-jump": {
		title: "a BPF program behind ktramp’s jump",
		text: "A jump to a detour that saves the registers where the program can read " +
			"them, and calls the program directly. It works at any instruction.",
	},
	"bpf-kprobe-step": {
		title: "a BPF program on a stepping kprobe",
		text: "The program is attached to the kernel’s kprobe, which is held in its " +
			"plainest form: a breakpoint, a copy of the instruction, and a second " +
			"breakpoint behind the copy.",
	},
	"bpf-kprobe-int3": {
		title: "a BPF program on a breakpoint kprobe",
		text: "The program is attached to the kernel’s kprobe while that waits to " +
			"become a jump: a breakpoint, and the copy in the detour that is " +
			"already there.",
	},
	"bpf-kprobe-opt": {
		title: "a BPF program on an optimized kprobe",
		text: "The program is attached to the kernel’s kprobe, which has become a " +
			"jump.",
	},
	"bpf-kprobe-ftrace": {
		title: "a BPF program on a kprobe at a function’s entry",
		text: "The program is attached to the kernel’s kprobe at the entry, where it " +
			"uses ftrace.",
	},
	"bpf-kprobe-multi": {
		title: "a BPF program on many functions at once",
		text: "One program is attached to a list of functions, through fprobe.",
	},
	"bpf-kretprobe": {
		title: "a BPF program on a function’s return",
		text: "The program runs from the trampoline that the function returns into.",
	},
	"bpf-fentry": {
		title: "a BPF program at a function’s entry",
		text: "The space at the start of the function becomes a call to a trampoline " +
			"that the kernel generated for this function and program.",
	},
	"bpf-fexit": {
		title: "a BPF program at a function’s exit",
		text: "The generated trampoline calls the function itself, and the program " +
			"after it.",
	},
	"bpf-tracepoint": {
		title: "a BPF program on a tracepoint",
		text: "The program listens to a compiled-in hook, and reads its record " +
			"through perf.",
	},
	"bpf-raw-tp": {
		title: "a BPF program on a raw tracepoint",
		text: "The program listens to a compiled-in hook, and reads its arguments as " +
			"they are.",
	},
};

function titleOf(model, mechanism) {
	const about = model.about.get(mechanism);

	return WORDS[mechanism] ? WORDS[mechanism].title : about ? about.text : "";
}

function textOf(model, mechanism) {
	return WORDS[mechanism] ? WORDS[mechanism].text : "";
}

/* Who executes an instruction of a hit: the colours of the page. */
const ROLES = {
	site: "the probed code",
	copy: "generated code: slot, detour, trampoline",
	entry: "exception entry and exit",
	kernel: "the kernel’s probe machinery",
	ktramp: "ktramp",
	handler: "your handler",
};
