/* SPDX-License-Identifier: GPL-2.0-only */
/* The lines of the data, by kernel and mechanism. Knows what is missing; draws nothing. */

const GROUPS = [
	{ id: "ours", title: "ktramp’s own probes" },
	{ id: "kernel", title: "The kernel’s own" },
	{ id: "bpf", title: "Running a BPF program" },
	{ id: "static", title: "Hooks compiled into the kernel" },
	{ id: "base", title: "No probe at all" },
];

/*
 * What the page reads of each type of line. A "!" is a field without which the object cannot be
 * drawn; any other that is missing, or of another type, is null.
 */
const LINES = {
	offset: "number!", bytes: "string!", origin: "string", insn: "string!", target: "address",
	note: "string",
};
const PARTS = [{ part: "string!", address: "address!", length: "number", lines: [LINES] }];
const SHAPES = {
	run: {
		kernel: "string!", clock: "string", unit: "string", cpu: "string",
			emulated: "boolean",
		module: "string", config: "object", hits: "number", repeat: "number",
	},
	result: {
		kernel: "string!", mechanism: "string!", handler: "string", target: "string",
			site: "string",
		unit: "string", bp: "number", db: "number", bytes: "string", unsupported: "string",
		error: "string", per_hit: { median: "number!", min: "number", max: "number" },
	},
	mechanism: { name: "string!", kind: "string", text: "string" },
	show: {
		kernel: "string!", mechanism: "string!", site: "string", before: "string",
			armed: "string",
		calls: "number", bp: "number", db: "number", restored: "boolean", code: PARTS,
	},
	xray: {
		kernel: "string!", mechanism: "string!", unsupported: "string", error: "string",
		functions: [{ name: "string!", own: "number!", total: "number!" }],
	},
	text: {
		kernel: "string!",
		symbols: [{ name: "string!", module: "string", address: "address!",
			kind: "string!" }],
		insns: [{ symbol: "number!", offset: "number!", bytes: "string!", text: "string!",
			note: "string" }],
	},
	trace: {
		kernel: "string!", mechanism: "string!", site: "string", instructions: "number",
			cold: "number",
		bench: "number", exceptions: { "#BP": "number", "#DB": "number" }, code: PARTS,
		drawn: {
			instructions: "number", hit: ["number"], reads: "number", writes: "number",
			steps: ["number"],
			nodes: [{ symbol: "number!", parent: "number", depth: "number!",
				how: "string!",
				first: "number!", end: "number!", own: "number!",
					total: "number!" }],
			events: [{ at: "number!", what: "string!", name: "string",
				frame: { rip: "string", cs: "string", rflags: "string",
					rip_symbol: "string" } }],
			phases: [{ at: "number!", end: "number!", phase: "string!",
				name: "string!" }],
		},
	},
};

function shaped(value, shape) {
	if (Array.isArray(shape)) {
		const items = Array.isArray(value) ? value.map((item) =>
			shaped(item, shape[0])) : null;

		return items && items.every((item) => item !== null) ? items : null;
	}
	if (typeof shape === "object") {
		const object = {};

		if (typeof value !== "object" || value === null)
			return null;
		for (const [name, field] of Object.entries(shape)) {
			const required = typeof field === "string" && field.endsWith("!");

			object[name] = shaped(value[name], required ? field.slice(0, -1) : field);
			if (required && object[name] === null)
				return null;
		}
		return object;
	}
	if (shape === "address")
		return typeof value === "string" &&
			/^0x[0-9a-f]{1,16}$/i.test(value) ? value : null;
	if (shape === "number" && !Number.isFinite(value))
		return null;
	return typeof value === shape && value !== null ? value : null;
}

function compareReleases(a, b) {
	return a.localeCompare(b, "en", { numeric: true });
}

/* What was measured, asked for and traced, by kernel and mechanism. */
class Model {
	constructor(lines) {
		this.runs = new Map();		/* kernel -> its last run line */
		this.results = [];
		this.about = new Map();		/* mechanism -> its line */
		this.shows = new Map();		/* kernel mechanism -> line */
		this.xrays = new Map();		/* the same of traces' lines */
		this.traces = new Map();
		this.texts = new Map();		/* kernel -> its symbols and insns */
		for (const line of lines)
			this.take(line);
		this.kernels = [...new Set([...this.runs.keys(),
			...this.results.map((r) => r.kernel),
			...this.others().map((line) => line.kernel)])]
			.sort(compareReleases);
		this.mechanisms = this.order();
	}

	take(given) {
		const line = SHAPES[given.type] && shaped(given, SHAPES[given.type]);

		if (!line)
			return;
		switch (given.type) {
		case "run": this.runs.set(line.kernel, line); break;
		case "result": this.results.push(line); break;
		case "mechanism": this.about.set(line.name, line); break;
		case "show": this.put(this.shows, line); break;
		case "xray": this.put(this.xrays, line); break;
		case "trace": this.put(this.traces, line); break;
		case "text": this.texts.set(line.kernel, line); break;
		}
	}

	others() {
		return [...this.shows.values(), ...this.xrays.values(), ...this.traces.values()];
	}

	/* The first of its kind: a site or handler asked for beside the default comes later. */
	put(map, line) {
		const key = line.kernel + " " + line.mechanism;

		if (!map.has(key))
			map.set(key, line);
	}

	order() {
		const names = new Set(this.about.keys());

		for (const name of Object.keys(WORDS))
			names.add(name);
		const seen = new Set(this.results.map((row) => row.mechanism));
		for (const line of this.others())
			seen.add(line.mechanism);
		for (const name of seen)
			names.add(name);
		return [...names].filter((name) => seen.has(name));
	}

	group(mechanism) {
		if (mechanism === "call")
			return "base";
		if (mechanism.startsWith("bpf-"))
			return "bpf";
		if (mechanism.startsWith("tracepoint"))
			return "static";
		const about = this.about.get(mechanism);
		if (about ? about.kind === "ours" : /^(int3-|jump$)/.test(mechanism))
			return "ours";
		return "kernel";
	}

	/* The row that stands for a mechanism: of its first handler, on the lea if there is one. */
	row(kernel, mechanism) {
		const rows = this.results.filter((r) => r.kernel === kernel &&
			r.mechanism === mechanism);
		const rank = (r) => (r.per_hit ? 0 : 4) + (r.target === "lea" ? 0 : 2) +
			(["count", "bpf", null].includes(r.handler) ? 0 : 1);

		return rows.sort((a, b) => rank(a) - rank(b))[0] || null;
	}

	cost(kernel, mechanism) {
		const row = this.row(kernel, mechanism);

		return row && row.per_hit ? row.per_hit.median : null;
	}

	show(kernel, mechanism) {
		return this.shows.get(kernel + " " + mechanism) || null;
	}

	/*
	 * What it did to the code. Where a hit was traced, as it was then: addresses differ between
	 * guests, and must be those of the trace.
	 */
	code(kernel, mechanism) {
		const show = this.show(kernel, mechanism),
			trace = this.traces.get(kernel + " " + mechanism);

		if (!trace || !partOf(trace, "site armed"))
			return show;
		const raised = trace.exceptions || {};
		const after = !partOf(trace, "site after") && partOf(show, "site after");
		return {
			kernel, mechanism, site: trace.site,
				code: after ? [...trace.code, after] : trace.code,
			calls: 1, bp: raised["#BP"] || 0, db: raised["#DB"] || 0, restored: show &&
				show.restored,
		};
	}

	/* Its steady hit; null where none was traced, or where it does not hold together. */
	hit(kernel, mechanism) {
		const trace = this.traces.get(kernel + " " + mechanism);

		if (!trace)
			return null;
		if (trace.made === undefined)
			trace.made = Hit.of(trace, this.texts.get(kernel));
		return trace.made;
	}

	xray(kernel, mechanism) {
		return this.xrays.get(kernel + " " + mechanism) || null;
	}

	unit() {
		const units = new Set(this.results.map((row) => row.unit));

		return units.size === 1 && [...units][0] || "instructions";
	}

	/* Cheapest first, by the newest kernel that has it. */
	sorted(mechanisms) {
		const cost = (name) => {
			for (const kernel of [...this.kernels].reverse())
				if (this.cost(kernel, name) !== null)
					return this.cost(kernel, name);
			return Infinity;
		};
		return [...mechanisms].sort((a, b) => cost(a) === cost(b) ? 0 : cost(a) - cost(b));
	}
}

function rowOf(row, field) {
	return ["result", row.kernel, row.mechanism, row.handler || "", row.target || "", field];
}

/* As short as it still tells the kernels apart: 6.12 of 6.12.117+deb12-cloud-amd64. */
function shortRelease(kernel, kernels) {
	const short = (name) => name.replace(/^(\d+\.\d+)[^-]*(.*)$/, (all, version, rest) => {
		const flavour = rest.replace(/^-\d+(?=-|$)/, "").replace(/^-?(cloud-)?amd64$/, "");
		return version + flavour;
	});
	const mine = short(kernel);

	return kernels.filter((name) => short(name) === mine).length === 1 ? mine : kernel;
}
