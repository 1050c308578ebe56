/* SPDX-License-Identifier: GPL-2.0-only */
/* Puts the page together, and keeps the choice of a mechanism and a kernel in its address. */

let model;
const choice = { mechanism: null, kernel: null };

function firstChoice() {
	for (const kernel of [...model.kernels].reverse())
		for (const name of ["int3-step-tf", ...model.mechanisms])
			if (model.hit(kernel, name) || model.show(kernel, name))
				return { mechanism: name, kernel };
	return { mechanism: model.mechanisms[0] || null,
		kernel: model.kernels[model.kernels.length - 1] || null };
}

function readHash() {
	const parts = location.hash.replace(/^#/, "").split("/").map((part) => {
		try {
			return decodeURIComponent(part);
		} catch (error) {
			return "";
		}
	});

	if (parts[0] !== "hit" || !model.mechanisms.includes(parts[1]))
		return false;
	choice.mechanism = parts[1];
	if (model.kernels.includes(parts[2]))
		choice.kernel = parts[2];
	return true;
}

function radio(name, value, checked, ...label) {
	return el("label", { class: "chip" }, el("input", { type: "radio", name, value, checked,
		onchange: () => {
			choice[name] = value;
			history.replaceState(null, "", "#hit/" +
				encodeURIComponent(choice.mechanism) + "/" +
				encodeURIComponent(choice.kernel));
			drawPanel();
		} }), el("span", {}, ...label));
}

function drawPicker() {
	const picker = byId("picker");

	picker.replaceChildren();
	if (model.kernels.length)
		picker.append(el("fieldset", {}, el("legend", {}, "Kernel"),
			...model.kernels.map((kernel) =>
			radio("kernel", kernel, kernel === choice.kernel, "Linux ",
				shortRelease(kernel, model.kernels)))));
	for (const group of GROUPS) {
		const names = model.mechanisms.filter((name) => model.group(name) === group.id);

		if (names.length)
			picker.append(el("fieldset", {}, el("legend", {}, group.title),
				...names.map((name) =>
				radio("mechanism", name, name === choice.mechanism,
					el("code", {}, name)))));
	}
}

function syncPicker() {
	for (const input of byId("picker").querySelectorAll("input"))
		input.checked = choice[input.name] === input.value;
}

function drawSummary(row) {
	const traps = (count, name, field) =>
		count ? el("li", {}, fig(count, rowOf(row, field)), " ",
		el("abbr", { title: COLUMNS.find((c) => c.field === field).says }, name)) : null;

	if (!row)
		return el("p", { class: "missing" }, "Its cost was not measured on this kernel.");
	if (!row.per_hit)
		return el("p", { class: "missing" }, row.unsupported ?
			"This kernel cannot do it: " + row.unsupported + "." :
				"Its measurement failed: " + row.error);
	return el("ul", { class: "summary" },
		el("li", { class: "cost" }, fig(row.per_hit.median, rowOf(row, "per_hit.median")),
			" ", row.unit,
			el("small", {}, row.mechanism === "call" ? "for the call and its loop" :
				"on top of the call")),
		traps(row.bp, "#BP", "bp"), traps(row.db, "#DB", "db"),
		row.bp === 0 && row.db === 0 ? el("li", {}, "no exception") : null,
		row.handler ? el("li", {}, "handler ", el("code", {}, row.handler)) : null,
		row.site ? el("li", {}, "at ", el("code", {}, row.site)) : null);
}

function drawPanel() {
	const { mechanism, kernel } = choice, panel = byId("panel");
	const show = model.code(kernel, mechanism);
	const row = model.row(kernel, mechanism);

	syncPicker();
	hideTip();
	panel.replaceChildren();
	if (!mechanism)
		return;
	/* A screen reader says this, and not all of the panel, when the choice changes. */
	byId("said").textContent = mechanism + ", " + titleOf(model, mechanism) + ", on Linux " + kernel;
	panel.append(el("h3", {}, el("code", {}, mechanism), " ", el("span", { class: "says" },
		titleOf(model, mechanism)), el("small", { class: "on" }, "on Linux ", kernel)));
	panel.append(el("p", { class: "words" }, textOf(model, mechanism)), drawSummary(row));
	if (row && !row.per_hit)
		return;

	const code = el("section", { "aria-label": "What it does to the code" },
		el("h4", {}, "What it does to the code"));
	panel.append(code);
	if (show)
		drawCode(model, show, code);
	else
		code.append(el("p", { class: "missing" },
			"The code was not recorded on this kernel."));
	drawHit(model, kernel, mechanism, panel);
}

/* ---- the tip: what a pointer, a finger or the focus is on ---- */

function showTip(node, ...content) {
	const tip = byId("tip"), r = node.getBoundingClientRect();

	tip.replaceChildren(...content);
	tip.hidden = false;
	const width = tip.offsetWidth, height = tip.offsetHeight;
	const left = Math.min(Math.max(8, r.left + r.width / 2 - width / 2),
		innerWidth - width - 8);

	tip.style.left = left + "px";
	tip.style.top = (r.top - height - 8 < 0 ? r.bottom + 8 : r.top - height - 8) + "px";
}

function hideTip() {
	byId("tip").hidden = true;
}

/* ---- paper: laid out at its width before it is printed, so that overlays fit ---- */

function forPaper(on) {
	document.documentElement.classList.toggle("paper", on);
	for (const drawing of document.querySelectorAll(".flowchart, .hit"))
		if (drawing.redraw)
			drawing.redraw();
}

function start() {
	model = new Model(JSON.parse(byId("data").textContent));
	Object.assign(choice, firstChoice());
	readHash();
	drawHero(model);
	drawNotes(model);
	drawChart(model);
	drawTable(model);
	drawPicker();
	drawPanel();
	drawFacts(model);
	addEventListener("hashchange", () => {
		if (readHash()) {
			drawPanel();
			byId("hit").scrollIntoView();
		}
	});
	addEventListener("scroll", hideTip, { passive: true });
	addEventListener("beforeprint", () => forPaper(true));
	addEventListener("afterprint", () => forPaper(false));
	if (location.hash.startsWith("#hit/"))
		byId("hit").scrollIntoView();
}

start();
