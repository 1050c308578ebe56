/* SPDX-License-Identifier: GPL-2.0-only */
/* One hit from left to right: whose turn it is, who called whom, and each instruction. */

const LANES = [
	{ phases: ["target"], title: "probed code", role: "site" },
	{ phases: ["slot", "detour", "generated"], title: "generated code", role: "copy" },
	{ phases: ["exception", "interrupt"], title: "exception", role: "entry" },
	{ phases: [], title: "other kernel code", role: "kernel" },
	{ phases: ["handler"], title: "your handler", role: "handler" },
];
const LANE = 24, ROW = 22, EVENTS = 30;

function drawHit(model, kernel, mechanism, panel) {
	const hit = model.hit(kernel, mechanism), xray = model.xray(kernel, mechanism);
	const section = el("section", { "aria-label": "Every instruction of the hit" },
		el("h4", {}, "Every instruction of it"));

	panel.append(section);
	if (!hit) {
		section.append(el("p", { class: "missing" }, xray && xray.error ?
			"It was not traced: " + xray.error :
				"This hit was not traced on this kernel: make xray records it."));
		return;
	}
	new HitView(hit, section).draw();
	section.append(functionTable(model, mechanism));
}

/* Which functions execute how much, on each kernel: where the difference comes from. */
function functionTable(model, mechanism) {
	const lines = model.kernels.map((kernel) => model.xray(kernel, mechanism)).filter((line) =>
		line && line.functions);
	const most = new Map();

	for (const line of lines)
		for (const { name, own } of line.functions)
			most.set(name, Math.max(own, most.get(name) || 0));
	const names = [...most.keys()].sort((a, b) => most.get(b) - most.get(a));

	if (!names.length)
		return el("div", {});
	return el("details", { class: "functions" }, el("summary", {}, "By function",
		lines.length > 1 ? ", on each kernel" : ""),
		el("div", { class: "scroll", tabindex: 0, role: "region",
			"aria-label": "Instructions by function" },
			el("table", { class: "runs" },
				el("thead", {}, el("tr", {}, el("th", { scope: "col" },
					"instructions of its own"),
					...lines.map((line) => el("th", { scope: "col",
						class: "num" },
						"Linux " + shortRelease(line.kernel,
							model.kernels))))),
				el("tbody", {}, ...names.map((name) => el("tr", {},
					el("th", { scope: "row" }, el("code", {}, name)),
					...lines.map((line) => functionCell(line, name))))))));
}

function functionCell(line, name) {
	const found = line.functions.find((each) => each.name === name);

	return el("td", { class: "num" }, found ? fig(found.own,
		["function", line.kernel, line.mechanism,
		name]) : "–");
}

class HitView {
	constructor(hit, section) {
		this.hit = hit;
		this.key = [hit.trace.kernel, hit.trace.mechanism];
		this.selected = hit.nodes[0];
		this.from = 0;
		this.end = hit.steps.length;
		this.chart = el("div", { class: "hit" });
		this.tools = el("div", { class: "tools" });
		this.detail = el("div", { class: "detail", role: "region",
			"aria-label": "The chosen function" });
		section.append(this.intro(), this.route(), this.tools, this.chart, this.legend(),
			this.detail,
			this.contexts());
		this.chart.redraw = () => this.draw();
		new ResizeObserver(() => {
			if (Math.abs(this.chart.clientWidth - this.width) > 1)
				this.draw();
		}).observe(this.chart);
	}

	intro() {
		const { trace, nodes } = this.hit;

		return el("p", { class: "words" },
			"One call of the probed function, from left to right: ",
			fig(nodes[0].total, ["node", ...this.key, 0, "total"]), " instructions",
			trace.instructions === null || trace.mechanism === "call" ? "" : [", ",
				fig(trace.instructions, ["trace", ...this.key, "instructions"]),
					" of them the probe’s"],
			trace.cold === null || trace.mechanism === "call" ? "." :
				trace.cold === trace.instructions ?
					", and as many in the very first hit." :
				[". The very first hit took ", fig(trace.cold,
					["trace", ...this.key, "cold"]), "."],
			" Above, where the processor is; below, who called whom, one row for each ",
			"depth of the calls. ",
			"Choose a function to see its instructions.");
	}

	/* The timeline in words and figures. */
	route() {
		return el("ol", { class: "route", "aria-label": "Where the processor is, in time" },
			...this.hit.phases.map((phase, i) =>
				el("li", { class: "role-" + laneOf(phase).role },
				phase.name, " ", fig(phase.end - phase.at,
					["phase", ...this.key, i]))));
	}

	legend() {
		return roleLegend(new Set(this.hit.nodes.filter((node) => node.own).map((node) =>
			node.role)));
	}

	x(step) {
		const part = (step - this.from) / (this.end - this.from);

		return this.gutter + part * (this.width - this.gutter);
	}

	draw() {
		this.width = this.chart.clientWidth || 640;
		this.gutter = this.width > 600 ? 118 : 0;
		this.lanes = LANES.filter((lane) =>
			this.hit.phases.some((phase) => laneOf(phase) === lane));
		const lane = this.gutter ? LANE : LANE + 12;
		const shown = this.hit.nodes.filter((node) => node.end > this.from &&
			node.first < this.end);
		const top = this.lanes.length ? EVENTS + this.lanes.length * (lane + 4) + 14 : 0;
		const depth = Math.max(...shown.map((node) => node.depth)) + 1;
		const height = top + depth * ROW + 2;
		const focused = this.chart.contains(document.activeElement);

		this.chart.replaceChildren(svg("svg", { width: this.width, height,
			viewBox: [0, 0, this.width, height].join(" ") },
			svg("g", { "aria-hidden": "true" }, ...this.timeline(lane)),
			svg("g", { role: "group",
				"aria-label": "Call tree: arrow keys move, Enter zooms" },
				this.gutter ? svg("text", { class: "lane-label", x: 0,
					y: top + 15 }, "calls ↓") : null,
				...shown.map((node) => this.frame(node, top)))));
		this.select(this.selected, focused);
	}

	timeline(lane) {
		const parts = [], bottom = EVENTS + this.lanes.length * (lane + 4);
		const y = (phase) => EVENTS + this.lanes.indexOf(laneOf(phase)) * (lane + 4) +
			lane - LANE;
		let last = -99, high = false;

		this.lanes.forEach((l, i) => {
			const at = EVENTS + i * (lane + 4);

			parts.push(svg("rect", { class: "track", x: this.gutter,
				y: at + lane - LANE,
				width: this.width - this.gutter, height: LANE }),
				svg("text", { class: "lane-label", x: 0,
					y: this.gutter ? at + 16 : at + 9 }, l.title));
		});
		for (const phase of this.hit.phases) {
			const [x, w] = this.span(phase.at, phase.end);

			if (w > 0)
				parts.push(svg("rect", { class: "role-" + laneOf(phase).role, x,
					y: y(phase),
					width: Math.max(w, 2), height: LANE, rx: w > 6 ? 2 : 0 }),
					...this.label(phase.name, x, y(phase) + 16, w));
		}
		this.hit.phases.slice(1).forEach((phase, i) => {
			const x = this.x(phase.at), a = y(this.hit.phases[i]) + LANE / 2,
				b = y(phase) + LANE / 2;

			if (x >= this.gutter && x <= this.width && a !== b)
				parts.push(svg("path", { class: "turn",
					d: "M" + x + " " + a + "V" + b }));
		});
		for (const event of this.hit.events) {
			const x = this.x(event.at), name = event.what === "iret" ? "iret" :
				event.name || event.what;

			if (x < this.gutter || x > this.width)
				continue;
			high = x - last < 44 && !high;
			last = x;
			parts.push(svg("path", { class: "event",
				d: "M" + x + " " + (high ? 12 : 26) + "V" + bottom }),
				svg("text", { class: "event-label",
					x: Math.min(x + 3, this.width - 30),
					y: high ? 11 : 25 }, name));
		}
		return parts;
	}

	/* The visible part of a run of steps: its place and its width. */
	span(from, end) {
		const x = Math.max(this.gutter, this.x(from));

		return [x, Math.max(0, Math.min(this.width, this.x(end)) - x)];
	}

	label(text, x, y, width) {
		const room = Math.floor((width - 6) / 6.7);

		if (room < 3)
			return [];
		return [svg("text", { class: "frame-label", x: x + 4, y },
			text.length > room ? text.slice(0, room - 1) + "…" : text)];
	}

	frame(node, top) {
		const [x, w] = this.span(node.first, node.end), y = top + node.depth * ROW;
		const say = () => [el("strong", {}, node.name), el("br", {}),
			node.own + " own, " + node.total +
			" in all"];
		const frame = svg("g", { class: "frame", tabindex: -1, role: "button",
			"data-node": node.index,
			"aria-label": node.name + ": " + node.own + " instructions of its own, " +
				node.total + " in all",
			onclick: () => this.select(node, true),
			ondblclick: () => this.zoom(node),
			onpointerenter: () => showTip(frame, ...say()),
			onpointerleave: hideTip,
			onfocus: () => showTip(frame, ...say()),
			onblur: hideTip,
			onkeydown: (event) => this.key_(event, node),
		}, svg("rect", { class: "role-" + node.role, x, y, width: Math.max(w, 0.6),
			height: ROW - 2,
			rx: w > 6 ? 2 : 0 }), ...this.label(node.name, x, y + 14, w));

		return frame;
	}

	key_(event, node) {
		const siblings = node.parent === null ? [node] :
			this.hit.nodes[node.parent].children;
		const beside = (by) => siblings[siblings.indexOf(node) + by];
		const to = {
			ArrowUp: () => node.parent === null ? null : this.hit.nodes[node.parent],
			ArrowDown: () => node.children[0],
			ArrowLeft: () => beside(-1),
			ArrowRight: () => beside(1),
		}[event.key];

		if (event.key === "Enter" || event.key === " ")
			this.zoom(node);
		else if (event.key === "Escape")
			this.zoom(this.hit.nodes[0]);
		else if (!to)
			return;
		event.preventDefault();
		const next = to && to();
		if (next) {
			if (next.first < this.from || next.end > this.end)
				this.zoom(this.hit.nodes[0], next);
			this.select(next, true);
		}
	}

	zoom(node, select) {
		hideTip();
		this.selected = select || node;
		this.from = node.first;
		this.end = Math.max(node.end, node.first + 1);
		this.draw();
		this.select(this.selected, true);
	}

	select(node, focus) {
		this.selected = node;
		for (const frame of this.chart.querySelectorAll(".frame")) {
			const mine = Number(frame.dataset.node) === node.index;

			frame.classList.toggle("selected", mine);
			frame.setAttribute("tabindex", mine ? 0 : -1);
			frame.setAttribute("aria-pressed", mine);
			if (mine && focus)
				frame.focus({ preventScroll: true });
		}
		this.drawTools();
		this.drawDetail();
	}

	drawTools() {
		const whole = this.from === 0 && this.end === this.hit.steps.length,
			node = this.selected;
		const zoomed = this.from === node.first && this.end === node.end;

		this.tools.replaceChildren(
			el("button", { type: "button", disabled: zoomed, onclick: () =>
				this.zoom(node) },
				"Zoom to ", el("code", {}, node.name)),
			el("button", { type: "button", disabled: whole, onclick: () =>
				this.zoom(this.hit.nodes[0], node) }, "Whole hit"));
	}

	drawDetail() {
		const { hit, selected: node } = this, symbol = hit.symbol(node);
		const parent = node.parent === null ? null : hit.nodes[node.parent];

		this.detail.replaceChildren(
			el("h5", {}, el("span", { class: "swatch role-" + node.role }),
				el("code", {}, node.name),
				symbol.module ? el("small", {}, symbol.module) : null),
			el("p", {}, fig(node.own, ["node", ...this.key, node.index, "own"]), " ",
				plural(node.own, "instruction", "instructions"), " of its own, ",
				fig(node.total, ["node", ...this.key, node.index, "total"]),
					" with what it calls",
				parent ? [". Entered ", HOW[node.how] || node.how, " from ",
					this.link(parent)] : "", "."),
			el("div", { class: "scroll", tabindex: 0, role: "region",
				"aria-label": "Its instructions" },
				listingTable(this.hit.steps.slice(node.first,
					node.end).map((index) =>
					this.hit.text.insns[index]), this.rows(node))));
	}

	link(node) {
		return el("button", { type: "button", class: "link", onclick: () =>
			this.select(node, false) },
			el("code", {}, node.name));
	}

	/* Its own instructions in time, and a line for each run of something else in between. */
	rows(node) {
		const { hit } = this, rows = [], events = new Map(hit.events.map((e) => [e.at, e]));
		let child = 0;

		for (let step = node.first; step < node.end;) {
			const below = node.children[child], event = events.get(step);

			if (event)
				rows.push(el("tr", { class: "event-row" }, el("td", {}),
					el("td", { colspan: 3 },
					event.what === "iret" ? "iret: the exception is over" :
						(event.name || event.what) + " is raised")));
			if (below && below.first === step) {
				rows.push(el("tr", { class: "call-row" }, el("td", {}),
					el("td", { colspan: 3 },
					el("span", { class: "swatch role-" + below.role }), " ",
						this.link(below), " ",
					fig(below.total, ["node", ...this.key, below.index,
						"total"]))));
				child++;
				step = below.end;
				continue;
			}
			rows.push(insnRow(hit.insn(step)));
			step++;
		}
		return rows;
	}

	contexts() {
		if (!this.hit.events.length)
			return el("p", { class: "still-there" },
				"No exception is raised: the processor stays in the context of " +
				"the probed code.");
		return el("details", {}, el("summary", {},
			"Each change of context, and what the processor saved"),
			el("div", { class: "scroll", tabindex: 0, role: "region",
				"aria-label": "Changes of context" },
				el("table", { class: "runs" }, el("thead", {},
					el("tr", {}, ...["what", "interrupted at", "mode",
					"flags", "cs", "rflags"].map((title) =>
						el("th", { scope: "col" }, title)))),
				el("tbody", {}, ...this.hit.events.map((event) => el("tr", {},
					el("th", { scope: "row" }, event.what === "iret" ? "iret" :
						event.name || event.what),
					...frameCells(event.frame)))))));
	}
}

const HOW = {
	call: "by a call", jump: "by a jump", exception: "by an exception",
		interrupt: "by an interrupt",
	iret: "by a return from an exception",
};

function laneOf(phase) {
	return LANES.find((lane) => lane.phases.includes(phase.phase)) ||
		LANES.find((lane) => !lane.phases.length);
}

function insnRow(insn) {
	return el("tr", {}, el("td", { class: "at" }, "+0x" + insn.offset.toString(16)),
		el("td", { class: "bytes" }, insn.bytes),
		el("td", { class: "text" }, insn.text, noteOf(insn.note)));
}

/* The privilege is in the low bits of cs; of the flags, those that matter here. */
function frameCells(frame) {
	const bits = (text) => /^0x[0-9a-f]+$/i.test(text || "") ? BigInt(text) : null;
	const cs = bits(frame && frame.cs), flags = bits(frame && frame.rflags);

	if (!frame)
		return [el("td", { colspan: 5 })];
	return [el("td", {}, el("code", {}, frame.rip_symbol || frame.rip || "")),
		el("td", {}, cs === null ? "" : cs & 3n ? "user" : "kernel"),
		el("td", {}, flags === null ? "" : listOf([
			flags & 0x200n ? "interrupts on" : "interrupts off",
			flags & 0x100n ? "trap flag set" : null].filter(Boolean))),
		el("td", {}, el("code", {}, frame.cs || "")),
			el("td", {}, el("code", {}, frame.rflags || ""))];
}
