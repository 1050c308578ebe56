/* SPDX-License-Identifier: GPL-2.0-only */
/* One traced hit: which function executes each step, and in which of the page's roles. */

/*
 * Below these, within an exception, the kernel looks for whose it is; around them, it enters and
 * leaves.
 */
const DISPATCH = /^(notify_die|kprobe_|do_int3|do_kprobe|optimized_|.*_singlestep|arch_.*kprobe)/;

class Hit {
	/* The indices of a trace must lead somewhere before it is drawn; null if one does not. */
	static of(trace, text) {
		const { steps, nodes, events, phases } = trace.drawn || {};

		if (!text || !text.symbols || !text.insns || !steps || !steps.length || !nodes ||
			!nodes.length)
			return null;
		const within = (i, list) => Number.isInteger(i) && i >= 0 && i < list.length;
		const run = (from, end) => Number.isInteger(from) && Number.isInteger(end) &&
			from >= 0 &&
			from <= end && end <= steps.length;
		const sound = steps.every((i) => within(i, text.insns)) &&
			text.insns.every((insn) => within(insn.symbol, text.symbols)) &&
			nodes.every((node, i) => within(node.symbol, text.symbols) &&
				run(node.first, node.end) &&
				(i ? within(node.parent, nodes) && node.parent < i &&
					node.first >= nodes[node.parent].first &&
						node.end <= nodes[node.parent].end &&
					node.depth === nodes[node.parent].depth + 1 :
						node.depth === 0)) &&
			(phases || []).every((phase) => run(phase.at, phase.end)) &&
			(events || []).every((event) => run(event.at, event.at));

		return sound ? new Hit(trace, text) : null;
	}

	constructor(trace, text) {
		const call = trace.drawn;

		this.trace = trace;
		this.text = text;
		this.steps = call.steps;
		this.events = call.events || [];
		this.phases = call.phases || [];
		/* From the probed instruction to the one after it; null where nothing is probed. */
		this.hit = call.hit && call.hit.length === 2 && call.hit[0] < call.hit[1] &&
			call.hit[1] <= this.steps.length ? call.hit : null;
		this.nodes = call.nodes.map((node, index) => ({ ...node, index, children: [] }));
		this.nodeOf = new Int32Array(this.steps.length);
		this.nodes.forEach((node) => {
			const parent = node.parent === null ? null : this.nodes[node.parent];

			if (parent)
				parent.children.push(node);
			node.name = text.symbols[node.symbol].name;
			node.role = this.roleOf(node, parent);
			this.nodeOf.fill(node.index, node.first, node.end);
		});
	}

	symbol(node) {
		return this.text.symbols[node.symbol];
	}

	insn(step) {
		return this.text.insns[this.steps[step]];
	}

	address(step) {
		const insn = this.insn(step);

		return BigInt(this.text.symbols[insn.symbol].address) + BigInt(insn.offset);
	}

	node(step) {
		return this.nodes[this.nodeOf[step]];
	}

	roleOf(node, parent) {
		switch (this.symbol(node).kind) {
		case "target": return "site";
		case "slot": case "detour": return "copy";
		case "generated": return parent && parent.role === "handler" ? "handler" : "copy";
		case "handler": return "handler";
		case "ktramp": return "ktramp";
		case "entry": return "entry";
		}
		if (parent && ["handler", "ktramp", "kernel"].includes(parent.role))
			return parent.role === "handler" ? "handler" : "kernel";
		return parent && parent.role === "entry" &&
			!DISPATCH.test(node.name) ? "entry" : "kernel";
	}

	/* What the hit adds, in time: [{role, n}], without the probed code itself. */
	parts() {
		const parts = [], [from, end] = this.hit || [0, this.steps.length];

		for (let step = from; step < end; step++) {
			const role = this.node(step).role, last = parts[parts.length - 1];

			if (role === "site")
				continue;
			if (last && last.role === role)
				last.n++;
			else
				parts.push({ role, n: 1 });
		}
		return parts;
	}

	/* What of a function made at run time was executed, as a part of a listing. */
	generated(symbol) {
		const lines = new Map(), { name, address } = this.text.symbols[symbol];

		this.steps.forEach((index) => {
			const insn = this.text.insns[index];

			if (insn.symbol === symbol)
				lines.set(insn.offset, { offset: insn.offset, bytes: insn.bytes,
					insn: insn.text,
					origin: "probe", target: null, note: insn.note });
		});
		return { part: "generated", name, address, lines: [...lines.values()].sort((a, b) =>
			a.offset - b.offset) };
	}
}
