// The audit trail: who did what when, people and eyes-scm's own repairs as well.
import { download, get, query } from "./api.js";
import { fill, h, keyed, words } from "./dom.js";
import { capital, host } from "./format.js";
import { button, cell, empty, loader, refresh, row, searchField, segments, stamp, table, verdict } from "./components.js";
import { parse, setQuery } from "./router.js";

const PAGE = 100,
	MOST = 1000;

/* Actions are a thing and what was done: "webhook.repair". Their subject is "PRJ/web on https://…", an address or a name. */
const DONE = {
	set: "Set the Eyes API key of team",
	add: "Added",
	remove: "Removed",
	ca: "Replaced the CA of",
	enable: "Enabled",
	token: "Replaced the token of",
	disable: "Disabled",
	blocked: "Stopped",
	follow: "Followed",
	retry: "Tried again",
	drop: "Dropped",
	make: "Created",
	change: "Changed",
	"by-hand": "Found by hand",
	conflict: "Left alone",
	delete: "Deleted",
	adopt: "Took over",
	repair: "Put right",
	rotate: "Gave another secret to",
	test: "Sent a test status to",
	start: "Signed in",
	end: "Signed out",
};
const THING = { server: " the server", webhook: " the webhook of" };
const THEN = { enable: " with the token of ", token: ", now of ", add: ", version ", set: ", user " };
function subjectOf(subject) {
	const [, name, url] = /^(\S+) on (\S+)$/.exec(subject) || [];
	return name ? [h("b", name), h("span.dim", " on " + host(url))] : h("b", host(subject));
}
function sentence({ action, subject, detail }) {
	const [thing, what] = action.split(".");
	return [
		DONE[what] || capital(action.replace(/[._]/g, " ")),
		DONE[what] && THING[thing],
		thing !== "session" && [" ", subjectOf(subject), detail && [THEN[what] || ": ", h("b", detail)]],
	];
}

export function show(route, { signal }) {
	const made = table("Audit trail", ["Time", "What", "Who", "From"]),
		filters = h("div"),
		room = h("div"),
		answer = verdict(),
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

	const load = loader(
		room,
		signal,
		async () => {
			const mine = ++generation,
				answer = await get("audit" + query({ search: filter("q"), by: filter("by"), limit }), { signal });
			if (mine === generation) entries = answer.entries;
		},
		draw,
	);
	function drawFilters() {
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
	}
	function draw() {
		keyed(
			made.body,
			entries,
			(entry) => entry.number,
			(entry) =>
				row([
					cell("time", stamp(entry.time, true)),
					cell("name what", h("span.plainer", sentence(entry))),
					cell("", entry.who),
					cell("dim mono", entry.from),
				]),
		);
		if (entries.length) fill(room, made.element);
		else
			fill(
				room,
				filter("q") || filter("by")
					? empty(
							"Nothing found",
							words("audit_search"),
							button("Show all", () => {
								setQuery({ by: "" });
								search.set("");
								drawFilters();
							}),
						)
					: empty("Nothing has been changed yet", words("audit_none")),
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
				h("h1", "Audit trail"),
				button("Download as JSON", () =>
					download(
						"audit" + query({ search: filter("q"), by: filter("by"), limit: MOST }),
						"eyes-scm-audit.json",
						(data) => data.entries,
					).catch(answer.fail),
				),
			),
			h("div.tools", { role: "search", "aria-label": "Audit trail" }, search.box, filters),
			answer.element,
			h("div.panel", room),
			more,
		],
		ready: load,
	};
}
