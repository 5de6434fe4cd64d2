// Making elements. Everything that comes from outside goes in as text nodes; nothing here takes HTML.

const SVG = "http://www.w3.org/2000/svg";

/* h("p.help", {id: "x", onclick: f}, "text", node, [nodes], null): false and null attributes and children are left out. */
export function h(spec, props, ...children) {
	const [tag, ...classes] = spec.split(".");
	const element = document.createElement(tag);
	if (classes.length) element.className = classes.join(" ");
	for (const [name, value] of Object.entries(props || {})) {
		if (value === null || value === undefined || value === false) continue;
		if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
		else if (name === "class") element.className += " " + value;
		else if (name === "value" || name === "checked" || name === "indeterminate") element[name] = value;
		else element.setAttribute(name, value === true ? "" : value);
	}
	append(element, children);
	return element;
}

export function append(element, children) {
	for (const child of [children].flat(Infinity))
		if (child !== null && child !== undefined && child !== false) element.append(child);
	return element;
}

export function fill(element, ...children) {
	element.replaceChildren();
	return append(element, children);
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
export function light(kind, word, extra) {
	const svg = sprite("l l-" + kind + (extra ? " " + extra : ""), "l-" + kind);
	if (word) {
		svg.removeAttribute("aria-hidden");
		svg.setAttribute("role", "img");
		svg.setAttribute("aria-label", word);
	}
	return svg;
}

/* A light and its word, in the colour of the state. */
export const state = (kind, word, title) => h("span.state.t-" + kind, { title }, light(kind), word);

export const hidden = (text) => h("span.vh", null, text);

/* Links lead only to http and https; anything else stays text. */
export function outside(url, text, className) {
	if (!/^https?:\/\//i.test(url || "")) return h("span", null, text || url);
	return h(
		"a",
		{ href: url, target: "_blank", rel: "noreferrer noopener", class: className || "" },
		text || url,
		hidden(" (opens a new tab)"),
	);
}

/* The part of text that matches is marked. */
export function marked(text, search) {
	const at = search ? text.toLowerCase().indexOf(search.toLowerCase()) : -1;
	if (at < 0) return [text];
	return [text.slice(0, at), h("mark", null, text.slice(at, at + search.length)), text.slice(at + search.length)];
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
	if (focused && !parent.contains(focused)) {
		const row = nodes.find((node) => node.keyedAs === focusKey);
		(row?.querySelector(`[data-f="${focused.dataset.f || "none"}"]`) || row?.querySelector("a, button, input"))?.focus({
			preventScroll: true,
		});
	}
}

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
