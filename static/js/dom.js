// Making elements. Everything that comes from outside goes in as text nodes; nothing here takes HTML.

const SVG = "http://www.w3.org/2000/svg";

/*
 * h("p.help", {id: "x", onclick: f}, "text", node, [nodes], null): false and null attributes and children are left out, and
 * so may the attributes be.
 */
export function h(spec, ...children) {
	const [tag, ...classes] = spec.split("."),
		element = document.createElement(tag),
		props = children[0]?.constructor === Object ? children.shift() : {};
	if (classes.length) element.className = classes.join(" ");
	for (const [name, value] of Object.entries(props)) {
		if (value === false || (value ?? null) === null) continue;
		if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
		else if (name === "class") element.className += " " + value;
		else if (name === "value" || name === "checked") element[name] = value;
		else element.setAttribute(name, value === true ? "" : value);
	}
	append(element, children);
	return element;
}

export function append(element, children) {
	for (const child of [children].flat(Infinity)) if (child !== false && (child ?? null) !== null) element.append(child);
	return element;
}

/* What tells a control from the others in its room. */
const faceOf = (node) => node.dataset.f || node.getAttribute("aria-label") || node.id || node.textContent;

/* The children become these; the focus stays on the control that looks the same. */
export function fill(element, ...children) {
	const focused =
		element.contains(document.activeElement) && document.activeElement !== element && faceOf(document.activeElement);
	element.replaceChildren();
	append(element, children);
	if (focused) refocus(element, focused);
	return element;
}
function refocus(room, face, orFirst) {
	const all = [...room.querySelectorAll("a, button, input")];
	(all.find((node) => faceOf(node) === face) || (orFirst && all[0]))?.focus({ preventScroll: true });
}

function sprite(className, id) {
	const svg = document.createElementNS(SVG, "svg");
	const use = document.createElementNS(SVG, "use");
	svg.setAttribute("class", className);
	svg.setAttribute("aria-hidden", "true");
	use.setAttribute("href", "#" + id);
	svg.append(use);
	return svg;
}

export const icon = (name) => sprite("i", "i-" + name);

/* kind: ok, warn, bad, wait, run, off, spin. With a word it speaks for itself; without, text stands beside it. */
export function light(kind, word) {
	const svg = sprite("l l-" + kind, "l-" + kind);
	if (word) {
		svg.removeAttribute("aria-hidden");
		svg.setAttribute("role", "img");
		svg.setAttribute("aria-label", word);
	}
	return svg;
}

/* A light and its word, in the colour of the state. */
export const state = (kind, word, title) => h("span.state.t-" + kind, { title }, light(kind), word);

export const hidden = (text) => h("span.vh", text);

/* Links lead only to http and https; anything else stays text. */
export function outside(url, text, className) {
	if (!/^https?:\/\//i.test(url || "")) return h("span", text || url);
	return h(
		"a",
		{ href: url, target: "_blank", rel: "noreferrer noopener", class: className },
		text || url,
		hidden(" (opens a new tab)"),
	);
}

/* The part of text that matches is marked. */
export function marked(text, search) {
	const at = search ? text.toLowerCase().indexOf(search.toLowerCase()) : -1;
	if (at < 0) return [text];
	return [text.slice(0, at), h("mark", text.slice(at, at + search.length)), text.slice(at + search.length)];
}

/*
 * Makes parent's children those of items, keeping each node whose item did not change. The focus stays on the control with
 * the same data-f when its row is made anew.
 */
export function keyed(parent, items, keyOf, make) {
	const old = new Map([...parent.children].map((node) => [node.keyedAs, node]));
	const focused = parent.contains(document.activeElement) ? document.activeElement : null;
	const focusKey = focused && [...parent.children].find((node) => node.contains(focused))?.keyedAs;
	const nodes = items.map((item) => {
		const key = String(keyOf(item)),
			print = JSON.stringify(item),
			kept = old.get(key);
		if (kept && kept.keyedPrint === print) return kept;
		const node = make(item, !kept);
		node.keyedAs = key;
		node.keyedPrint = print;
		return node;
	});
	nodes.forEach((node, i) => {
		if (parent.children[i] !== node) parent.insertBefore(node, parent.children[i] || null);
	});
	while (parent.children.length > nodes.length) parent.lastChild.remove();
	const row = focused && !parent.contains(focused) && nodes.find((node) => node.keyedAs === focusKey);
	if (row) refocus(row, faceOf(focused), true);
}

/* The elements that index.html has in its <template id="t-name">; the nodes take the places of its <slot>s, in order. */
export function part(name, ...nodes) {
	const made = document.getElementById("t-" + name).content.cloneNode(true);
	made.querySelectorAll("slot").forEach((slot, i) => slot.replaceWith(...[nodes[i]].flat(Infinity).filter(Boolean)));
	return [...made.children];
}

/* A sentence of its <template id="t-words">, with these values in the places of its {}; undefined when there is none. */
export const words = (id, ...values) =>
	document
		.getElementById("t-words")
		.content.getElementById(id)
		?.textContent.replace(/{}/g, () => values.shift());

let serial = 0;
export const uid = (name) => name + "-" + ++serial;

export function later(fn, ms) {
	let timer;
	const call = (...args) => {
		clearTimeout(timer);
		timer = setTimeout(fn, ms, ...args);
	};
	call.stop = () => clearTimeout(timer);
	return call;
}
