/* SPDX-License-Identifier: GPL-2.0-only */
/* What a mechanism does to the code: the site before, armed and after, and where control goes. */

const ORIGINS = {
	original: { mark: "", says: "as compiled" },
	probe: { mark: "*", says: "written to make the probe" },
	relocated: { mark: "=", says: "displaced from the site, copied here" },
	rest: { mark: "-", says: "left over, never executed while armed" },
};

function partOf(show, name) {
	return (show && show.code || []).find((part) => part.part === name) || null;
}

/* symbol+0x9 -> 9: offsets in the listing of a site count from the function. */
function siteOffset(show) {
	const match = /\+0x([0-9a-f]+)$/.exec(show.site || "");

	return match ? parseInt(match[1], 16) : 0;
}

function lineOffset(show, part, line) {
	const base = part.part.startsWith("site") ? siteOffset(show) : 0;

	return "+0x" + (base + line.offset).toString(16);
}

/* What a patch reaches within its own function: code that was compiled behind its end. */
function ownBranch(part) {
	return part.lines.find((line) => line.origin === "probe" && line.target &&
		inPart(part, line.target));
}

/* Padding that nobody executes says nothing to a reader. */
function shownLines(part) {
	const lines = part.lines, changed = (line) => line.origin !== "original";
	if (ownBranch(part))
		return lines.filter((line) => changed(line) || !/^int3\b/.test(line.insn));
	let end = lines.findIndex((line, i) => /^ret/.test(line.insn) &&
		!lines.slice(i).some(changed));

	if (end < 0)
		end = lines.length - 1;
	return lines.slice(0, end + 1).filter((line) => changed(line) ||
		!/^int3\b/.test(line.insn));
}

function listingCard(show, part, title, says) {
	return el("div", { class: "card", "data-part": part.part },
		el("h5", {}, title, says ? el("small", {}, says) : null),
		listingTable(part.lines, foldedRows(show, part)));
}

/* As wide a column of bytes as they need, but for the few longest instructions. */
function listingTable(lines, rows) {
	const longest = Math.max(...lines.map((line) => line.bytes.length), 2);

	return el("table", { class: "listing", style: "--bytes:" + Math.min(longest, 23) + "ch" },
		el("tbody", {}, ...rows));
}

function noteOf(note) {
	/* That an immediate is not a name, its instruction says already. */
	if (!note || !/^(->|#) /.test(note) || /^# 0x/.test(note))
		return null;
	return el("span", { class: "note" +
		(/^-> ktramp_handle_/.test(note) ? " role-handler" : "") },
		note.replace(/^-> /, "→\u00a0"));
}

/* In a long listing, what only saves and restores registers is folded until it is asked for. */
function foldedRows(show, part) {
	const lines = shownLines(part), rows = lines.map((line) => listingRow(show, part, line));
	const plain = (i) => i > 1 && i < lines.length - 2 && lines[i].origin === "probe" &&
		!lines[i].note;
	const folded = [];

	if (lines.length < 20)
		return rows;
	for (let i = 0; i < rows.length; i++) {
		let end = i;

		while (plain(end))
			end++;
		if (end - i < 6) {
			folded.push(rows[i]);
			continue;
		}
		const hidden = rows.slice(i + 1, end - 1);

		folded.push(rows[i], foldRow(hidden), ...hidden, rows[end - 1]);
		i = end - 1;
	}
	return folded;
}

function foldRow(hidden) {
	const row = el("tr", { class: "fold" }, el("td", { colspan: 4 }, el("button", {
		type: "button", class: "link", onclick: () => {
			hidden.forEach((each) => each.hidden = false);
			row.remove();
		},
	}, "… more that is alike")));

	hidden.forEach((each) => each.hidden = true);
	return row;
}

function listingRow(show, part, line) {
	const origin = ORIGINS[line.origin] || ORIGINS.original;

	return el("tr", { class: "from-" + line.origin, "data-offset": line.offset,
		title: origin.says },
		el("td", { class: "mark" }, el("span", { "aria-hidden": "true" }, origin.mark),
			origin.mark ? el("span", { class: "sr" }, origin.says + ": ") : null),
		el("td", { class: "at" }, lineOffset(show, part, line)),
		el("td", { class: "bytes" }, line.bytes),
		el("td", { class: "text" }, line.insn, noteOf(line.note)));
}

/*
 * A hit as what it passes on its way from the site and back to it: [{kind, title, says, part}].
 * Told from the code and the exceptions alone; a trace tells more, see hit.js.
 */
function stagesOf(model, show, hit) {
	const armed = partOf(show, "site armed"), copy = partOf(show, "slot") ||
		partOf(show, "detour");
	const springboard = partOf(show, "springboard");
	const first = armed && armed.lines.find((line) => line.origin === "probe");
	const ours = model.group(show.mechanism) === "ours" || show.mechanism === "bpf-jump";
	const per = (count) => count && show.calls ? count / show.calls : 0;
	const stages = [];

	if (!first)
		return stages;
	const trapped = first.bytes.startsWith("cc"), made = hit ? madeFor(hit, show) : [];
	if (trapped)
		stages.push({
			kind: "trap", title: "#BP, the breakpoint exception",
			says: "The kernel’s exception entry, then " +
				(ours ? "ktramp, who recognises its " +
				"breakpoint" : "the kernel’s kprobes, who recognise theirs") +
					". Your handler runs here." +
				(copy || made.length || per(show.bp) > 1 || per(show.db) ? "" : " Then " +
					(/pending/.test(show.mechanism) ?
					"the copy in the kernel’s detour is executed." :
						"C code does the displaced instruction’s work.")),
		});
	if (springboard)
		stages.push({ kind: "code", title: springboard.part,
			says: addressOf(springboard.address) + ", in padding between functions",
			part: springboard });
	if (copy)
		stages.push({ kind: "code", title: copy.part, says: addressOf(copy.address),
			part: copy });
	else if (made.length)
		stages.push(...made.map((part) => ({ kind: "code", title: part.name,
			says: "made by the kernel; what the hit executes of it", part })));
	else if (trapped && per(show.bp) > 1)
		stages.push({ kind: "far", title: "the kernel’s slot",
			says: "A copy of the displaced " +
			"instruction, and an int3 behind it." });
	else if (!trapped && first.target && !inPart(armed, first.target))
		stages.push({
			kind: "far", title: (first.note || "").replace(/^-> /, "") ||
				"generated code",
			says: "Code that the kernel made: it saves registers, calls your handler" +
				(/^e9/.test(first.bytes) ? ", executes the displaced instructions" :
					"") + " and returns.",
		});
	if (trapped && per(show.bp) > 1)
		stages.push({ kind: "trap", title: "#BP, a second breakpoint exception",
			says: "The copy is done: control is sent back behind the site." });
	else if (per(show.db))
		stages.push({ kind: "trap", title: "#DB, the debug exception",
			says: "The trap flag raised it behind the copy: control is sent back " +
				"behind the site." });
	return stages;
}

/*
 * Code that the kernel made for the probe, in the order of its first steps. What was displaced
 * is found in it by its bytes: all of it, in one piece.
 */
function madeFor(hit, show) {
	const displaced = displacedBytes(show);
	const symbols = new Set();

	for (const node of hit.nodes)
		if (hit.symbol(node).kind === "generated" && node.role === "copy")
			symbols.add(node.symbol);
	return [...symbols].map((symbol) => {
		const part = hit.generated(symbol), at = part.lines.findIndex((line, i) =>
			displaced.length && displaced.every((bytes, j) =>
				(part.lines[i + j] || {}).bytes === bytes));

		if (at >= 0)
			part.lines.slice(at, at + displaced.length).forEach((line) =>
				line.origin = "relocated");
		return part;
	});
}

/* The instructions that the patch covers, as they were before; a call only replaces a nop. */
function displacedBytes(show) {
	const before = partOf(show, "site before"), armed = partOf(show, "site armed");
	const covered = armed ? armed.lines.filter((line) => line.origin === "probe" ||
		line.origin === "rest") : [];
	const end = Math.max(0, ...covered.map((line) =>
		line.offset + (line.bytes.length + 1) / 3));

	return before && covered.length && !covered[0].bytes.startsWith("e8") ? before.lines.filter((line) =>
		line.offset >= covered[0].offset &&
		line.offset < end).map((line) => line.bytes) : [];
}

function addressOf(address) {
	return "at " + address;
}

function inPart(part, address) {
	const start = BigInt(part.address), at = BigInt(address);

	return at >= start && at < start + BigInt(part.length || 0);
}

/* Where the site goes on: what generated code jumps back to, or the next whole instruction. */
function resumeOffset(show, armed, stages, hit) {
	if (hit && hit.hit && hit.hit[1] < hit.steps.length &&
		inPart(armed, hit.address(hit.hit[1])))
		return Number(hit.address(hit.hit[1]) - BigInt(armed.address));
	const lines = armed.lines, first = lines.findIndex((line) => line.origin === "probe");
	const code = stages.map((stage) => stage.part).find((part) =>
		part && part.part !== "springboard");
	const back = code && [...code.lines].reverse().find((line) => line.target &&
		/^jmp/.test(line.insn) && inPart(armed, line.target));

	if (back) {
		const offset = Number(BigInt(back.target) - BigInt(armed.address));

		if (lines.some((line) => line.offset === offset))
			return offset;
	}
	const branch = (partOf(show, "site before") || { lines: [] }).lines[first];
	if (branch && /^jmp/.test(branch.insn) && branch.target && inPart(armed, branch.target))
		return Number(BigInt(branch.target) - BigInt(armed.address));
	const next = lines.slice(first + 1).find((line) => line.origin === "original");
	return next ? next.offset : null;
}

function stageCard(show, stage, i) {
	const number = el("span", { class: "step", "aria-hidden": "true" },
		String.fromCharCode(97 + i));

	if (stage.part) {
		const card = listingCard(show, stage.part, stage.title, stage.says);

		card.classList.add("role-edge-copy");
		card.querySelector("h5").prepend(number);
		return card;
	}
	return el("div", { class: "card stage " +
		(stage.kind === "trap" ? "role-edge-entry" : "role-edge-copy") },
		el("h5", {}, number, stage.title), el("p", {}, stage.says));
}

function drawCode(model, show, room) {
	const before = partOf(show, "site before"), armed = partOf(show, "site armed");
	const after = partOf(show, "site after");

	if (!before || !armed) {
		room.append(el("p", { class: "missing" },
			"Addresses were hidden (kernel.kptr_restrict), so there is no code to " +
			"show. The site’s bytes were ",
				el("code", {}, show.before || "none"),
			" before, and ", el("code", {}, show.armed || "none"), " while armed."));
		return;
	}
	const hit = model.hit(show.kernel, show.mechanism), stages = stagesOf(model, show, hit);
	const written = armed.lines.some((line) => line.origin === "probe");
	const flow = el("div", { class: "flowchart" + (stages.length ? "" : " still") });
	const site = el("div", { class: "column site" },
		listingCard(show, before, "before"),
		listingCard(show, armed, "while armed", written ? "" : "nothing is written"),
		after ? listingCard(show, after, "after",
			show.restored ? "the original bytes again" :
			"not the original bytes") : null);

	flow.append(site);
	if (stages.length)
		flow.append(el("div", { class: "column away" }, ...stages.map((stage, i) =>
			stageCard(show, stage, i))));
	room.append(flow, codeLegend(show, stages.map((stage) => stage.part).filter(Boolean)));
	if (stages.length)
		arrows(flow, (overlay) => placeArrows(flow, overlay,
			resumeOffset(show, armed, stages, hit)));
	else if (ownBranch(armed))
		arrows(flow, (overlay) => placeOwn(flow, overlay, ownTrips(armed)));
}

/* There and back again: the patch's branch, and those of the code it leads to. */
function ownTrips(part) {
	const away = ownBranch(part);
	const offset = (line) => Number(BigInt(line.target) - BigInt(part.address));
	const back = part.lines.filter((line) => line.offset > offset(away) && line.target &&
		/^j/.test(line.insn) && inPart(part, line.target) && offset(line) < line.offset);

	return [away, ...back].map((line) => [line.offset, offset(line)]);
}

function codeLegend(show, parts) {
	const used = new Set([...(show.code || []), ...parts].flatMap((part) =>
		part.lines.map((line) => line.origin)));

	return el("ul", { class: "legend marks" }, ...Object.keys(ORIGINS).filter((name) =>
		name !== "original" && used.has(name)).map((name) =>
		el("li", {}, el("span", { class: "mark from-" + name }, ORIGINS[name].mark), " ",
			ORIGINS[name].says)));
}

/* ---- arrows, laid over the cards: positions are the layout's, so they follow every resize ---- */

function arrows(flow, place) {
	const overlay = svg("svg", { class: "arrows", "aria-hidden": "true" });

	flow.append(overlay);
	flow.redraw = () => place(overlay);
	new ResizeObserver(flow.redraw).observe(flow);
	flow.redraw();
}

/* Where things are, seen from the corner of what the arrows are laid over. */
function placesIn(flow) {
	const home = flow.getBoundingClientRect();

	return (node) => {
		const r = node.getBoundingClientRect();

		return { l: r.left - home.left, r: r.right - home.left, t: r.top - home.top,
			b: r.bottom - home.top, y: (r.top + r.bottom) / 2 - home.top };
	};
}

function paint(flow, overlay, paths) {
	const { width, height } = flow.getBoundingClientRect();

	overlay.setAttribute("viewBox", [0, 0, width, height].join(" "));
	overlay.setAttribute("width", width);
	overlay.setAttribute("height", height);
	overlay.replaceChildren(arrowHead(), ...paths.map((d) => svg("path", { d, class: "arrow",
		"marker-end": "url(#head)" })));
}

function placeOwn(flow, overlay, trips) {
	const box = placesIn(flow), card = flow.querySelector('[data-part="site armed"]');
	const edge = box(card).r;
	const row = (offset) => card.querySelector('[data-offset="' + offset + '"]');

	paint(flow, overlay, trips.filter((trip) => trip.every(row)).map(([from, to], i) => {
		const y1 = box(row(from)).y, y2 = box(row(to)).y, x = edge + 18 + 14 * i;

		return "M" + edge + " " + y1 + "C" + x + " " + y1 + " " + x + " " + y2 + " " +
			edge + " " + y2;
	}));
}

function placeArrows(flow, overlay, resume) {
	const box = placesIn(flow);
	const card = flow.querySelector('[data-part="site armed"]');
	const leave = card.querySelector(".from-probe");
	const back = resume === null ? null : card.querySelector('[data-offset="' + resume + '"]');
	const stages = [...flow.querySelectorAll(".away > .card")].map((node) => {
		const rows = [...node.querySelectorAll("tr:not([hidden])")].map(box),
			place = box(node);

		/* Into the first instruction of generated code, and out of its last. */
		return { ...place, into: rows.length ? rows[0].y : place.t + 18,
			outOf: rows.length ? rows[rows.length - 1].y : place.b - 14 };
	});
	const edge = box(card), paths = [];
	const stacked = stages[0].l < edge.r;

	if (stacked)
		stackedPaths(paths, edge, box(leave), back && box(back), stages,
			flow.getBoundingClientRect().width);
	else
		besidePaths(paths, edge, box(leave), back && box(back), stages);
	paint(flow, overlay, paths);
}

function arrowHead() {
	return svg("defs", {}, svg("marker", { id: "head", viewBox: "0 0 8 8", refX: 7, refY: 4,
		markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" },
		svg("path", { d: "M0 0L8 4L0 8z" })));
}

function curve(x1, y1, x2, y2) {
	const bend = Math.max(24, Math.abs(x2 - x1) / 2);

	return "M" + x1 + " " + y1 + "C" + (x1 + bend) + " " + y1 + " " + (x2 - bend) + " " + y2 +
		" " + x2 + " " + y2;
}

function besidePaths(paths, edge, leave, back, stages) {
	const last = stages[stages.length - 1];

	paths.push(curve(edge.r, leave.y, stages[0].l, stages[0].into));
	for (let i = 1; i < stages.length; i++)
		paths.push("M" + (stages[i].l + 28) + " " + stages[i - 1].b + "V" + stages[i].t);
	if (back) {
		const middle = (edge.r + last.l) / 2;

		paths.push("M" + last.l + " " + last.outOf + "C" + (middle - 10) + " " +
			last.outOf + " " +
			(middle + 10) + " " + back.y + " " + edge.r + " " + back.y);
	}
}

/* One column: down the right-hand margin, and back up along it. */
function stackedPaths(paths, edge, leave, back, stages, width) {
	const last = stages[stages.length - 1], out = width - 16, home = width - 6;

	paths.push("M" + edge.r + " " + leave.y + "H" + out + "V" + stages[0].into + "H" +
		stages[0].r);
	for (let i = 1; i < stages.length; i++)
		paths.push("M" + (stages[i].l + 28) + " " + stages[i - 1].b + "V" + stages[i].t);
	if (back)
		paths.push("M" + last.r + " " + last.outOf + "H" + home + "V" + back.y + "H" +
			edge.r);
}
