// The audit trail: who did what when, people and eyes-scm's own repairs as well.
import { download, get, query } from "./api.js";
import { fill, h, keyed } from "./dom.js";
import { capital, host } from "./format.js";
import { button, cell, empty, refresh, row, searchField, segments, skeleton, stamp, table, trouble } from "./components.js";
import { explain } from "./copy.js";
import { say } from "./notices.js";
import { parse, setQuery } from "./router.js";

const PAGE = 100,
	MOST = 1000;

/* A sentence for each action; subject and detail as the daemon writes them ("PRJ/web on https://…"). */
const SENTENCES = {
	"account.set": (subject, detail) => [
		"Set the Eyes API key of ",
		h("b", null, detail || "a user"),
		", team ",
		h("b", null, subject),
	],
	"server.add": (subject, detail) => ["Added the server ", h("b", null, host(subject)), detail && ", version " + detail],
	"server.remove": (subject) => ["Removed the server ", h("b", null, host(subject))],
	"server.ca": (subject) => ["Replaced the CA of ", h("b", null, host(subject))],
	"repository.enable": (subject, detail) => ["Enabled ", repository(subject), detail && " with the token of " + detail],
	"repository.token": (subject, detail) => ["Replaced the token of ", repository(subject), detail && ", now of " + detail],
	"repository.disable": (subject) => ["Disabled ", repository(subject)],
	"repository.blocked": (subject, detail) => ["Stopped ", repository(subject), detail && ": " + detail],
	"queue.retry": (subject) => ["Tried again ", h("b", null, subject)],
	"queue.drop": (subject) => ["Dropped ", h("b", null, subject)],
	"session.start": () => ["Signed in"],
	"session.end": () => ["Signed out"],
	"test_status": (subject) => ["Sent a test status to ", repository(subject)],
};
function repository(subject) {
	const [, name, url] = /^(\S+) on (\S+)$/.exec(subject) || [];
	return name ? [h("b", null, name), h("span.dim", null, " on " + host(url))] : h("b", null, subject);
}
const sentence = ({ action, subject, detail }) =>
	SENTENCES[action]?.(subject, detail) || [
		capital(action.replace(/[._]/g, " ")),
		" ",
		h("b", null, subject),
		detail && ": " + detail,
	];

/* "root (uid 0) on the control socket" is a person and a place. */
function person({ who = "", from }) {
	const [, name, place] = /^(.*?) (?:on|from) (?:the )?(.+)$/.exec(who) || [null, who, ""];
	return [name, from || place];
}

export function show(route, { signal }) {
	const made = table("Audit trail", [{ label: "Time" }, { label: "What" }, { label: "Who" }, { label: "From" }]),
		filters = h("div"),
		room = h("div"),
		more = h("div");
	let entries = [],
		limit = PAGE,
		generation = 0;
	const filter = (name) => parse().query.get(name) || "";
	const search = searchField(
		"Search the audit trail",
		"Person, repository or action",
		filter("q"),
		(q) => {
			setQuery({ q });
			load();
		},
		signal,
	);

	async function load() {
		const mine = ++generation,
			ended = entries.length ? () => {} : skeleton(room);
		try {
			const answer = await get("audit" + query({ q: filter("q"), by: filter("by"), limit }), { signal });
			if (mine !== generation) return ended();
			entries = answer.entries;
			ended();
			draw();
		} catch (error) {
			ended();
			if (!signal.aborted) fill(room, trouble(error, load));
		}
	}
	function drawFilters() {
		const focused = filters.contains(document.activeElement);
		fill(
			filters,
			segments(
				"By",
				[
					["", "All"],
					["people", "By people"],
					["eyes-scm", "By eyes-scm"],
				].map(([by, label]) => ({
					label,
					href: location.hash,
					on: filter("by") === by,
					run() {
						setQuery({ by });
						load();
						drawFilters();
					},
				})),
			),
		);
		if (focused) filters.querySelector("[aria-current]")?.focus();
	}
	function draw() {
		keyed(
			made.body,
			entries,
			(entry) => entry.number,
			(entry) => {
				const [who, from] = person(entry);
				return row([
					cell("time", stamp(entry.time, true)),
					cell("name what", h("span.plainer", null, sentence(entry))),
					cell("", who),
					cell("dim mono", from),
				]);
			},
		);
		if (entries.length) fill(room, made.element);
		else
			fill(
				room,
				filter("q") || filter("by")
					? empty(
							"Nothing found",
							"Searched in person, repository and action.",
							button("Show all", () => {
								setQuery({ by: "" });
								search.set("");
								drawFilters();
							}),
						)
					: empty("Nothing has been changed yet", "Every change is written down here, with who did it."),
			);
		fill(
			more,
			entries.length >= limit &&
				limit < MOST &&
				button("Show more", () => {
					limit = Math.min(MOST, limit * 3);
					load();
				}),
		);
	}
	refresh(["event:repository", "event:server", "event:account"], load, signal, 1000);
	drawFilters();
	return {
		title: "Audit trail",
		nodes: [
			h(
				"div.head",
				null,
				h("h1", null, "Audit trail"),
				button("Download as JSON", () =>
					download(
						"audit" + query({ q: filter("q"), by: filter("by"), limit: MOST }),
						"eyes-scm-audit.json",
						(data) => data.entries,
					).catch((error) => say(explain(error).title)),
				),
			),
			h("div.tools", { role: "search", "aria-label": "Audit trail" }, search.box, filters),
			h("div.panel", null, room),
			more,
		],
		ready: load,
	};
}
