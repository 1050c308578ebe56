/* SPDX-License-Identifier: GPL-2.0-only */
/* Elements, built without ever parsing text as markup: everything from the data is text. */

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
	for (const [name, value] of Object.entries(attributes || {})) {
		if (value === null || value === undefined || value === false)
			continue;
		if (name.startsWith("on"))
			node.addEventListener(name.slice(2), value);
		else
			node.setAttribute(name, value === true ? "" : value);
	}
	node.append(...children.flat().filter((child) => child !== null && child !== undefined));
	return node;
}

function el(name, attributes, ...children) {
	return fill(document.createElement(name), attributes, children);
}

function svg(name, attributes, ...children) {
	return fill(document.createElementNS(SVG, name), attributes, children);
}

function byId(id) {
	return document.getElementById(id);
}

/* Up to two decimals; exact results are integers. */
function digits(value) {
	return String(Math.round(value * 100) / 100);
}

/*
 * A figure, with where it comes from: the test of this page looks each one up in the files.
 * @of: [type, kernel, mechanism, ...] and the name of the field, as the test resolves it.
 */
function fig(value, of, cls) {
	return el("data", { value, "data-of": of.join("|"), class: cls || "fig" }, digits(value));
}

function plural(value, one, many) {
	return value === 1 ? one : many;
}

function listOf(words) {
	if (words.length < 2)
		return words.join("");
	return words.slice(0, -1).join(", ") + " and " + words[words.length - 1];
}
