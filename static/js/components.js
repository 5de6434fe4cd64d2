// Parts that screens are made of: buttons, fields, verdicts, menus, filters, tables, empty states.
import { append, fill, h, hidden, icon, later, light, uid, words } from "./dom.js";
import { when, utc } from "./format.js";
import { trace } from "./bridge.js";
import { explain } from "./copy.js";
import { on, stale } from "./state.js";

export const NOT_CONNECTED = words("offline");

/* kind: "primary", "quiet", "danger", "small" and their mixtures; "change": it changes something, so not while disconnected. */
export function button(label, onclick, kind = "", { glyph, name, f } = {}) {
	const element = h(
		"button.btn",
		{ type: "button", class: kind, onclick, "aria-label": name, "data-f": f },
		glyph && icon(glyph),
		h("span", label),
	);
	if (/change/.test(kind) && stale()) unavailable(element, NOT_CONNECTED);
	return element;
}
export const link = (label, href, kind = "", name) => h("a.btn", { href, class: kind, "aria-label": name }, label);
const iconButton = (glyph, name, onclick, extra = {}) =>
	h("button.btn.icon", { type: "button", "aria-label": name, title: name, onclick, ...extra }, icon(glyph));

export function unavailable(element, why) {
	if (why) {
		element.setAttribute("aria-disabled", "true");
		element.dataset.why = why;
	} else element.removeAttribute("aria-disabled");
}
export function busy(element, is) {
	element.toggleAttribute("aria-busy", is);
	if (is) element.setAttribute("aria-busy", "true");
	element.querySelector(".l-spin")?.remove();
	if (is) element.prepend(light("spin"));
	unavailable(element, is ? "It is being done." : "");
}

export const facts = (pairs) =>
	h(
		"dl.facts",
		pairs
			.filter(([, value]) => (value ?? "") !== "" && value !== false)
			.map(([name, value]) => [h("dt", name), h("dd", value)]),
	);

/* While something is being pressed, what would move it waits: else the press would go beside it. */
let held = null; // element -> what it waits for
addEventListener("pointerdown", () => (held ||= new Map()), true);
for (const end of ["pointerup", "pointercancel"])
	addEventListener(
		end,
		() =>
			setTimeout(() => {
				const waiting = held || [];
				held = null;
				for (const [, change] of waiting) change();
			}),
		true,
	);
const settled = (element, change) => (held ? held.set(element, change) : change());

/*
 * The answer of a live check. show({kind, title, trace, facts, where, todo, list, actions}), fail(error); it is in the page from
 * the start.
 */
export function verdict(id = uid("verdict")) {
	const element = h("div.verdict", { role: "status", id });
	const made = {
		element,
		id,
		clear: () => settled(element, () => fill(element)),
		fail: (error, more) => error.name === "AbortError" || made.show({ kind: "bad", ...explain(error), ...more }),
		show(answer) {
			const body = h("div", { class: answer.kind });
			append(body, [
				light(answer.kind === "checking" ? "spin" : answer.kind === "idle" ? "wait" : answer.kind),
				h("p.what", answer.title),
				answer.trace?.length > 1 && trace(answer.trace),
				answer.facts && facts(answer.facts),
				answer.list,
				answer.where && h("p.ink2", answer.where),
				answer.todo && h("p", answer.todo),
				answer.actions?.length && h("div.row", answer.actions),
			]);
			settled(element, () => fill(element, body));
		},
	};
	return made;
}

/* A field with its help above, its action inside and its verdict below. */
export function field({
	label,
	help,
	type = "text",
	value = "",
	placeholder,
	mono,
	action,
	autocomplete = "off",
	disabled,
	name,
	glyph,
	bare,
	answer: given,
}) {
	const id = uid("field"),
		answer = given || verdict(),
		helpId = help ? id + "-help" : "";
	const input = h("input", {
		id,
		type,
		value,
		placeholder,
		disabled,
		autocomplete,
		name,
		class: mono ? "mono" : "",
		spellcheck: "false",
		autocapitalize: "off",
		autocorrect: "off",
		"aria-describedby": [helpId, answer.id].filter(Boolean).join(" "),
		"aria-label": bare ? label : null,
	});
	const box = h("div.box", glyph && icon(glyph), input, action);
	const element = h(
		"div.field",
		!bare && h("label", { for: id }, label),
		help && h("p.help", { id: helpId }, help),
		box,
		!given && answer.element,
	);
	return {
		element,
		input,
		box,
		verdict: answer,
		edge(kind) {
			box.className = "box " + (kind || "");
			if (kind === "bad") input.setAttribute("aria-invalid", "true");
			else input.removeAttribute("aria-invalid");
		},
	};
}

/* A field for a key or a token: hidden until Show, which is absent while it is empty. */
export function secretField(options) {
	const show = h("button.btn.quiet.small", { type: "button", "aria-pressed": "false", hidden: true, onclick: toggle }, "Show");
	const made = field({ type: "password", mono: true, ...options, action: show });
	function toggle() {
		const open = made.input.type === "password";
		made.input.type = open ? "text" : "password";
		show.setAttribute("aria-pressed", String(open));
		show.textContent = open ? "Hide" : "Show";
	}
	made.refresh = () => {
		show.hidden = !made.input.value;
		if (!made.input.value && made.input.type === "text") toggle();
	};
	made.input.addEventListener("input", made.refresh);
	made.refresh();
	return made;
}

/* A button that opens a menu. items: [{label, run, href, danger, checked, change}] or a string for a line of text. */
export function menu(glyph, name, items, { small } = {}) {
	const room = h("div.menu");
	const opener = iconButton(glyph, name, () => (room.children.length > 1 ? close() : open()), {
		"aria-haspopup": "menu",
		"aria-expanded": "false",
		class: small ? "small" : "",
	});
	const close = (focus) => {
		room.children[1]?.remove();
		opener.setAttribute("aria-expanded", "false");
		removeEventListener("pointerdown", outside, true);
		if (focus) opener.focus();
	};
	const outside = (event) => room.contains(event.target) || close();
	function open() {
		const choices = (typeof items === "function" ? items() : items).filter(Boolean).map((item) => {
			if (typeof item === "string") return h("p", { role: "none" }, item);
			const checkable = item.checked !== undefined;
			const choice = h(
				item.href ? "a" : "button",
				{
					type: item.href ? null : "button",
					href: item.href,
					role: checkable ? "menuitem" + (item.radio ? "radio" : "checkbox") : "menuitem",
					tabindex: "-1",
					"aria-checked": checkable ? String(item.checked) : null,
					class: item.danger ? "danger" : "",
					onclick() {
						close(true);
						item.run?.();
					},
				},
				checkable && h("span.tk", item.checked && icon("check")),
				item.label,
			);
			if (item.change && stale()) unavailable(choice, NOT_CONNECTED);
			return choice;
		});
		const list = h("div", { role: "menu", "aria-label": name, onkeydown: keys }, choices);
		room.append(list);
		opener.setAttribute("aria-expanded", "true");
		addEventListener("pointerdown", outside, true);
		list.querySelector("[role^=menuitem]")?.focus();
	}
	function keys(event) {
		const all = [...room.querySelectorAll("[role^=menuitem]")],
			at = all.indexOf(document.activeElement);
		const to = { ArrowDown: at + 1, ArrowUp: at - 1 + all.length, Home: 0, End: all.length - 1 }[event.key];
		if (to !== undefined) {
			all[to % all.length].focus();
			event.preventDefault();
		} else if (event.key === "Escape") {
			event.stopPropagation();
			close(true);
		} else if (event.key === "Tab") close();
	}
	return append(room, opener);
}

/* Filters and tabs are links. items: [{label, n, href, on, run}] */
const links = (kind, current) => (name, items) =>
	h(
		"nav." + kind,
		{ "aria-label": name },
		items.map(({ label, n, href, on: now, run }) =>
			h(
				"a",
				{
					href,
					"data-f": label,
					"aria-current": now ? current : null,
					onclick(event) {
						if (run) event.preventDefault();
						run?.();
					},
				},
				label,
				n !== undefined && [" ", h("span.n", n)],
			),
		),
	);
export const segments = links("segs", "true");
export const tabs = links("tabs", "page");

/* parts: {done, warn, bad} of total */
export function progress(name) {
	const bars = { done: h("i"), warn: h("i.warn"), bad: h("i.bad") };
	const element = h("div.prog", { role: "progressbar", "aria-label": name, "aria-valuemin": "0" }, Object.values(bars));
	return {
		element,
		set(parts, total) {
			for (const [kind, bar] of Object.entries(bars))
				bar.style.width = (100 * (parts[kind] || 0)) / Math.max(1, total) + "%";
			element.setAttribute("aria-valuemax", Math.max(1, total));
			element.setAttribute("aria-valuenow", (parts.done || 0) + (parts.warn || 0) + (parts.bad || 0));
		},
	};
}

/* columns: [label or {label, class}] ({name} is only heard); the body is the caller's. Roles are kept when it is shown as items. */
export function table(caption, columns) {
	const body = h("tbody", { role: "rowgroup" });
	const element = h(
		"div.wrap",
		h(
			"table",
			{ role: "table", "aria-label": caption },
			h(
				"thead",
				{ role: "rowgroup" },
				h(
					"tr",
					{ role: "row" },
					columns.map((column) =>
						h(
							"th",
							{ scope: "col", role: "columnheader", class: column.class },
							column.node || column.label || (column.name ? hidden(column.name) : column),
						),
					),
				),
			),
			body,
		),
	);
	return { element, body };
}
export const row = (cells, props) => h("tr", { role: "row", ...props }, cells);
export const cell = (className, ...children) => h("td", { role: "cell", class: className }, children);

export const empty = (title, text, ...actions) =>
	h("div.empty", h("h2", title), text && h("p", text), actions.length > 0 && h("div.row", actions));

/* Rows of the final height, only when the answer takes longer than 150 ms. */
export function skeleton(room, rows = 6) {
	const timer = setTimeout(() => {
		if (!room.firstChild)
			room.append(
				h(
					"div.skel",
					{ "aria-hidden": "true" },
					Array.from({ length: rows }, () => h("div", h("i"))),
				),
			);
	}, 150);
	room.setAttribute("aria-busy", "true");
	return () => {
		clearTimeout(timer);
		room.removeAttribute("aria-busy");
		room.querySelector(":scope > .skel")?.remove();
	};
}

export const stamp = (at, sayToday) => h("time", { datetime: at, title: utc(at) }, when(at, sayToday));
/* Words for what could not be read, with a way to try again. */
export function trouble(error, again) {
	const why = explain(error);
	return h("div.panel", empty(why.title, [why.where, why.todo].filter(Boolean).join(". "), button("Try again", again)));
}

/* Reads and draws, again and again: with bones only the first time, and with words where it fails. */
export function loader(room, signal, read, draw) {
	let drawn = false;
	return async function load() {
		const ended = drawn ? () => {} : skeleton(room);
		try {
			const got = await read();
			ended();
			drawn = true;
			draw(got);
		} catch (error) {
			ended();
			if (!signal.aborted) fill(room, trouble(error, load));
		}
	};
}

/* A search field; run(words) 150 ms after the last key, Escape clears it. */
export function searchField(label, placeholder, value, run, signal) {
	const clear = h("button.btn.quiet.small", { type: "button", hidden: !value, onclick: () => made.set("") }, "Clear"),
		slash = h("kbd", { "aria-hidden": "true", hidden: Boolean(value) }, "/");
	const made = field({ label, bare: true, placeholder, value, glyph: "search", action: [slash, clear], name: "search" });
	const typed = later(() => run(made.words()), 150);
	made.words = () => made.input.value.trim();
	made.set = (text) => {
		made.input.value = text;
		made.input.dispatchEvent(new Event("input"));
		made.input.focus();
	};
	made.input.addEventListener("input", () => {
		slash.hidden = Boolean(made.input.value);
		clear.hidden = !made.input.value;
		typed();
	});
	made.input.addEventListener("keydown", (event) => event.key === "Escape" && made.input.value && made.set(""));
	signal.addEventListener("abort", typed.stop);
	return made;
}

/* Calls fn for each of the topics, once for many that come together. */
export function refresh(topics, fn, signal, pause = 300) {
	const soon = later(fn, pause);
	for (const topic of [...topics, "changed", "refresh"]) on(topic, soon, signal);
	signal.addEventListener("abort", soon.stop);
}

export const panel = (title, actions, ...body) => h("section.panel", h("header", h("h2", title), actions), body);
