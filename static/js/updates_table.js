// Updates as rows of a table: what Eyes says, and apart from it how the delivery went. And the live list of them.
import { get, query } from "./api.js";
import { fill, h, keyed, later, outside, state as stateWord, words } from "./dom.js";
import { count, shaUrl, span, tries } from "./format.js";
import { button, cell, row, stamp, table, trouble } from "./components.js";
import { on, state } from "./state.js";
import { repositoryHash } from "./router.js";

const RESULT = {
	SUCCESSFUL: ["ok", "Passed"],
	FAILED: ["bad", "Failed"],
	INPROGRESS: ["run", "In progress"],
	CANCELLED: ["off", "Cancelled"],
};
export const result = (status) => stateWord(...(RESULT[status] || ["off", status || "none yet"]));

function delivered(update) {
	if (update.outcome === "delivered")
		return h(
			"span",
			{ class: update.attempts > 1 ? "t-warn" : "" },
			"in " + span(update.ms ?? 0),
			update.attempts > 1 && ", " + tries(update.attempts),
		);
	if (update.outcome)
		return h(
			"span",
			{ class: update.outcome === "rejected" ? "t-bad" : "dim", title: update.error },
			words("was_" + update.outcome) || update.outcome,
		);
	return h("span.t-bad", update.state === "blocked" ? "waits for a token" : "waits");
}

export const commit = (update) => outside(shaUrl(update), (update.commit || "").slice(0, 8), "mono");
export function repositoryLink(update) {
	const known = state.status?.servers.find((at) => at.url === update.server);
	return known && update.repository
		? h("a", { href: repositoryHash(known.id, update.repository), title: update.repository }, update.repository)
		: h("span", { title: update.repository }, update.repository || "no repository");
}

const COLUMNS = {
	time: "Time",
	repository: "Repository",
	commit: "Commit",
	key: { label: "Key", class: "c-wide" },
	result: "Result",
	delivered: { label: "Delivered", class: "end" },
};

/* most rows of updates, live. options: search, repository (then its column is left out), onpaused. Returns {nodes, pause button, search()}. */
export function liveUpdates({ caption, most, search = "", alone, signal, seed, emptyNode }) {
	const made = table(
		caption,
		Object.entries(COLUMNS)
			.filter(([name]) => !alone || name !== "repository")
			.map(([, column]) => column),
	);
	const held = h("div.more", { hidden: true }),
		emptyRoom = h("div", { hidden: true }),
		room = h("div", held, made.element, emptyRoom);
	let rows = seed || [],
		waiting = [],
		paused = false,
		first = !seed,
		failed = null;

	function draw() {
		keyed(
			made.body,
			rows,
			(update) => update.number,
			(update, isNew) =>
				row(
					[
						cell("time", stamp(update.ended || update.received)),
						!alone && cell("name cut", repositoryLink(update)),
						cell("", commit(update)),
						cell("c-wide ink2 cut", h("span", { title: update.key }, update.key)),
						cell("st", result(update.status)),
						cell("end nob", delivered(update)),
					],
					{ class: isNew && !first ? "new" : "" },
				),
		);
		first = false;
		held.hidden = !waiting.length;
		fill(held, waiting.length > 0 && button(count(waiting.length, "new update"), release, "small quiet"));
		made.element.hidden = !rows.length;
		emptyRoom.hidden = rows.length > 0;
		fill(emptyRoom, failed ? trouble(failed, load) : emptyNode);
	}
	function release() {
		rows = waiting.concat(rows).slice(0, most);
		waiting = [];
		draw();
	}
	// While somebody points at the list or reads further down, new rows wait.
	const watched = () =>
		paused || room.matches(":hover") || room.contains(document.activeElement) || room.getBoundingClientRect().top < 0;

	function take(updates) {
		const newest = Math.max(0, ...rows.map((at) => at.number), ...waiting.map((at) => at.number));
		const fresh = updates.filter((at) => at.number > newest);
		if (!fresh.length) return;
		waiting = fresh.concat(waiting).slice(0, most);
		if (watched()) draw();
		else release();
	}
	const read = async () =>
		(await get("updates" + query({ search, limit: most }), { signal })).updates.sort((a, b) => b.number - a.number);
	async function load() {
		try {
			rows = await read();
			waiting = [];
			failed = null;
		} catch (error) {
			if (signal.aborted) return;
			failed = error;
		}
		draw();
	}
	const more = later(() => read().then(take, () => {}), 0);
	// At most four times a second.
	let due = 0;
	on(
		"event:update",
		() => {
			due ||= setTimeout(() => {
				due = 0;
				more();
			}, 250);
		},
		signal,
	);
	on("refresh", () => more(), signal);
	signal.addEventListener("abort", () => clearTimeout(due));
	if (seed) draw();
	else load();

	const pause = button(
		"Pause",
		() => {
			paused = !paused;
			pause.querySelector("span").textContent = paused ? "Go on" : "Pause";
			pause.querySelector("use").setAttribute("href", paused ? "#i-play" : "#i-pause");
			if (!paused) release();
		},
		"small",
		{ glyph: "pause" },
	);
	return {
		node: room,
		pause,
		find(text) {
			search = text;
			first = true;
			load();
		},
	};
}
