/* SPDX-License-Identifier: GPL-2.0-only */
/* The first screen, the bar chart and the table. */

/* One of each kind that the first screen shows, where the data has it. */
const HERO = [
	{ names: ["jump"], says: "jump to a detour" },
	{ names: ["kprobe-opt"], says: "the kernel’s kprobe as a jump" },
	{ names: ["kprobe-step", "int3-step-int3"], says: "the kernel’s kprobe, stepping" },
	{ names: ["int3-step-tf"], says: "breakpoint and single step" },
];

function goTo(mechanism, kernel) {
	location.hash = "#hit/" + encodeURIComponent(mechanism) +
		(kernel ? "/" + encodeURIComponent(kernel) : "");
}

function hitLink(mechanism, kernel, cls, ...children) {
	return el("a", {
		href: "#hit/" + encodeURIComponent(mechanism) +
			(kernel ? "/" + encodeURIComponent(kernel) : ""),
		class: cls,
	}, ...children);
}

function roleLegend(roles) {
	return el("ul", { class: "legend" },
		...Object.keys(ROLES).filter((r) => roles.has(r)).map((r) =>
		el("li", {}, el("span", { class: "swatch role-" + r }), ROLES[r])));
}

/* The stream of instructions along the top, and below it, to scale, what each detour adds. */
function drawHero(model) {
	const figure = byId("hero");
	const kernel = [...model.kernels].reverse().find((k) => model.mechanisms.some((m) =>
		m !== "call" && model.cost(k, m) !== null));

	figure.replaceChildren();
	if (!kernel)
		return;
	let lanes = HERO.map((kind) => ({
		says: kind.says,
		name: kind.names.find((m) => model.cost(kernel, m) !== null),
	})).filter((lane) => lane.name);
	if (lanes.length < 2)
		lanes = model.sorted(model.mechanisms.filter((m) => m !== "call" &&
			model.cost(kernel, m) !== null)).slice(0, 5).map((name) => ({
			name, says: titleOf(model, name),
		}));
	lanes.sort((a, b) => model.cost(kernel, a.name) - model.cost(kernel, b.name));

	const most = Math.max(...lanes.map((lane) => model.cost(kernel, lane.name)), 1);
	const roles = new Set();
	const detours = el("div", { class: "lanes" },
		el("p", {}, "Each time the processor gets there, " +
		"it first executes"));
	figure.append(drawStream(model, kernel), detours);
	for (const lane of lanes) {
		const cost = model.cost(kernel, lane.name);
		const hit = model.hit(kernel, lane.name);
		const bar = el("span", { class: "bar", style: "width:" + 100 * cost / most + "%" });

		for (const part of hit ? hit.parts() : []) {
			roles.add(part.role);
			bar.append(el("span", { class: "role-" + part.role,
				style: "flex-grow:" + part.n }));
		}
		detours.append(hitLink(lane.name, kernel, "lane",
			el("span", { class: "lane-name" }, lane.says, el("code", {}, lane.name)),
			el("span", { class: "lane-bar" + (hit ? "" : " plain") }, bar,
				el("span", { class: "lane-value" },
					fig(cost, rowOf(model.row(kernel, lane.name),
						"per_hit.median")), " ",
					model.unit()))));
	}
	figure.append(el("figcaption", {},
		roles.size ? roleLegend(roles) : null,
		"One hit of each, counted on Linux ", shortRelease(kernel, model.kernels),
		", to scale. Choose one to look inside it."));
}

function drawStream(model, kernel) {
	const show = model.show(kernel, "jump") || model.show(kernel, "int3-emulate") ||
		[...model.shows.values()].find((line) => line.code);
	const before = show && (show.code || []).find((part) => part.part === "site before");
	const names = before ? before.lines.slice(0, 3).map((line) => line.insn) :
		["the probed instruction"];

	return el("div", { class: "stream" },
		el("span", { class: "lane-name" }, "the kernel’s own code",
			el("small", {}, "with a probe on one instruction")),
		el("span", { class: "insns" }, ...names.map((text, i) =>
			el("span", { class: i ? "insn" : "insn probed" }, el("code", {}, text)))));
}

/* ---- chart ---- */

function drawChart(model) {
	const chart = byId("chart"), costs = [];

	for (const kernel of model.kernels)
		for (const name of model.mechanisms)
			if (name !== "call" && model.cost(kernel, name) !== null)
				costs.push(model.cost(kernel, name));
	chart.replaceChildren();
	if (!costs.length)
		return;
	const most = Math.max(...costs, 1);

	chart.append(el("ul", { class: "legend" }, ...model.kernels.map((kernel, i) =>
		el("li", {}, el("span", { class: "swatch kernel-" + shade(model, i) }),
			"Linux " + shortRelease(kernel, model.kernels)))));
	for (const group of GROUPS) {
		const names = model.sorted(model.mechanisms.filter((name) =>
			name !== "call" && model.group(name) === group.id &&
			model.kernels.some((kernel) => model.row(kernel, name))));

		if (!names.length)
			continue;
		chart.append(el("h3", {}, group.title));
		for (const name of names)
			chart.append(chartRow(model, name, most));
	}
}

/* The newest kernel in full colour; older ones lighter. */
function shade(model, i) {
	return Math.min(model.kernels.length - 1 - i, 2);
}

function chartRow(model, name, most) {
	return hitLink(name, null, "row",
		el("span", { class: "row-name" }, el("code", {}, name),
			el("span", { class: "says" }, titleOf(model, name))),
		el("span", { class: "bars" }, ...model.kernels.map((kernel, i) => {
			const row = model.row(kernel, name);

			return row ? chartBar(model, row, i, most) : null;
		})));
}

function chartBar(model, row, i, most) {
	const release = el("span", { class: "sr" }, shortRelease(row.kernel, model.kernels) + ": ");

	if (!row.per_hit)
		return el("span", { class: "bar-line why" }, el("span", {},
			shortRelease(row.kernel, model.kernels) + ": "),
			row.unsupported || row.error || "");
	return el("span", { class: "bar-line" }, release,
		el("span", {
			class: "bar kernel-" + shade(model, i),
			style: "width:calc(" + Math.max(0, row.per_hit.median) / most +
				" * (100% - 4.5rem))",
		}),
		fig(row.per_hit.median, rowOf(row, "per_hit.median")),
		el("span", { class: "sr" }, " " + row.unit));
}

/* ---- table ---- */

const COLUMNS = [
	{ title: "#BP", says: "breakpoint exceptions per hit", field: "bp" },
	{ title: "#DB", says: "debug exceptions per hit", field: "db" },
];

function drawTable(model) {
	const room = byId("table").querySelector(".scroll");
	const keys = new Map();

	for (const row of model.results) {
		const key = [row.mechanism, row.handler || "", row.target || ""].join("|");

		if (!keys.has(key))
			keys.set(key, new Map());
		keys.get(key).set(row.kernel, row);
	}
	byId("table").hidden = !keys.size;
	if (!keys.size)
		return;
	const place = (key) => model.mechanisms.indexOf(key.split("|")[0]);
	const rows = [...keys].sort(([a], [b]) => place(a) - place(b));
	const kernels = model.kernels.filter((kernel) =>
		model.results.some((r) => r.kernel === kernel));

	room.replaceChildren(el("table", { class: "costs" },
		el("caption", {}, "Per hit, on top of the bare call. The bytes are those at the " +
			"site while the probe is armed."),
		el("thead", {},
			el("tr", {}, el("th", { scope: "col", rowspan: 2 }, "mechanism"),
				el("th", { scope: "col", rowspan: 2 }, "target"),
				el("th", { scope: "col", rowspan: 2 }, "handler"),
				...kernels.map((kernel) => el("th", {
					scope: "colgroup", title: kernel,
					colspan: COLUMNS.length + 2,
				}, "Linux " + shortRelease(kernel, model.kernels)))),
			el("tr", {}, ...kernels.flatMap((kernel) => [
				el("th", { scope: "col", class: "num first" },
					(model.runs.get(kernel) || {}).unit || model.unit()),
				...COLUMNS.map((column) => el("th", { scope: "col", class: "num" },
					el("abbr", { title: column.says }, column.title))),
				el("th", { scope: "col" }, "bytes"),
			]))),
		el("tbody", {}, ...rows.map(([, row]) => tableRow(row, kernels)))));
}

function tableRow(row, kernels) {
	const any = [...row.values()][0];

	return el("tr", {}, el("th", { scope: "row" },
		hitLink(any.mechanism, null, "", el("code", {}, any.mechanism))),
		el("td", {}, any.target || "–"), el("td", {}, any.handler || "–"),
		...kernels.flatMap((kernel) => tableCells(row.get(kernel))));
}

function tableCells(row) {
	if (!row)
		return [el("td", { class: "first why", colspan: COLUMNS.length + 2 },
			"not measured")];
	if (!row.per_hit)
		return [el("td", { class: "first why", colspan: COLUMNS.length + 2 },
			row.unsupported ? "unsupported: " + row.unsupported :
				"error: " + (row.error || ""))];
	const { min, max } = row.per_hit;
	const spread = min !== null && max !== null && min !== max ? [el("small", {}, " ",
		fig(row.per_hit.min, rowOf(row, "per_hit.min")), "–",
		fig(row.per_hit.max, rowOf(row, "per_hit.max")))] : [];

	return [el("td", { class: "num first" },
		fig(row.per_hit.median, rowOf(row, "per_hit.median")), ...spread),
		...COLUMNS.map((column) => el("td", { class: "num" },
			row[column.field] === null ? "?" :
			fig(row[column.field], rowOf(row, column.field)))),
		el("td", {}, el("code", { class: "bytes" }, row.bytes || ""))];
}

/* ---- what is missing, and what the figures are figures of ---- */

function drawNotes(model) {
	const notes = [];

	if (!model.results.length)
		notes.push("There are no costs in this page’s data: make bench measures them.");
	else if (model.kernels.length === 1)
		notes.push("Only one kernel was measured, so there is none to compare with.");
	for (const [kernel, run] of model.runs)
		if (run.emulated && run.clock !== "icount")
			notes.push("The cycles of " + kernel +
				" are those of an emulator, and say nothing about a processor.");
	for (const row of model.results.filter((r) => r.error))
		notes.push(row.mechanism + " on " + row.kernel + " is an error: " + row.error);
	byId("notes").replaceChildren(...notes.map((note) => el("p", { class: "missing" }, note)));
}

function drawFacts(model) {
	const facts = byId("facts"), exact = [...model.runs.values()].every((r) =>
		r.clock === "icount");

	facts.replaceChildren(el("p", {}, exact && model.runs.size ?
		"Each kernel runs in a QEMU guest whose clock advances by exactly one tick for " +
		"each instruction the guest executes. The same loop is run with the probe and " +
		"without it; the difference, divided by the hits, is the cost. A second run " +
		"gives the same digits. Instructions are not time: to enter and leave an " +
		"exception takes a real processor time that no count of instructions shows." :
		"The same loop is run with the probe and without it; the difference, divided by" +
		" the hits, is the cost."));
	if (model.runs.size)
		facts.append(el("div", { class: "scroll", tabindex: 0, role: "region",
			"aria-label": "What was measured on" },
			el("table", { class: "runs" },
				el("thead", {}, el("tr", {}, ...["kernel", "clock", "CPU",
					"hits per loop", "loops", "ktramp",
					"built with"].map((title) => el("th", { scope: "col" },
						title)))),
				el("tbody", {}, ...[...model.runs.values()].map((run) =>
					el("tr", {},
					el("th", { scope: "row" }, run.kernel),
					el("td", {}, run.clock), el("td", {}, run.cpu),
					...["hits", "repeat"].map((field) =>
						el("td", { class: "num" },
						run[field] === null ? "?" : fig(run[field],
							["run", run.kernel, field]))),
					el("td", {}, run.module),
					el("td", {}, Object.keys(run.config || {}).filter((name) =>
						run.config[name]).join(", "))))))));
	for (const kernel of model.kernels) {
		const traced = model.mechanisms.filter((m) => model.hit(kernel, m)).length;

		if (!traced)
			facts.append(el("p", { class: "missing" },
				"No hit was traced on " + kernel +
				": make xray records them, and then this page shows every " +
				"instruction."));
	}
}
