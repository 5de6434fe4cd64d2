// Updates: recent ones as they happen, those not delivered grouped by cause, and the place of the events.
import { get } from "./api.js";
import { fill, h, keyed, light } from "./dom.js";
import { count, host, number, time } from "./format.js";
import { on, state } from "./state.js";
import { button, busy, cell, empty, refresh, row, searchField, skeleton, stamp, table, tabs, trouble } from "./components.js";
import { explain } from "./copy.js";
import { say } from "./notices.js";
import { dropDialog, retryUpdates, tokenDialog } from "./actions.js";
import { commit, liveUpdates, repositoryLink, result } from "./updates_table.js";
import { setQuery } from "./router.js";

const SHOWN = 3,
	LIMIT = 1000;

function head(name, actions) {
	const room = h("div"),
		draw = () => {
			const queue = state.status?.queue || {},
				n = (queue.waiting || 0) + (queue.later || 0) + (queue.blocked || 0) + (queue.dead || 0) + (queue.sending || 0);
			if (!room.contains(document.activeElement))
				fill(
					room,
					tabs("Updates", [
						{ label: "Recent", href: "#/updates/recent", on: name === "recent" },
						{ label: "Not delivered", n: number(n), href: "#/updates/waiting", on: name === "waiting" },
						{ label: "Events", href: "#/updates/events", on: name === "events" },
					]),
				);
		};
	draw();
	return { draw, nodes: [h("div.head", null, h("h1", null, "Updates"), actions), room] };
}

export function show(route, context) {
	const tab = route.path[1] || "recent";
	return { waiting, events }[tab]?.(route, context) || recent(route, context);
}

function recent(route, { signal }) {
	const search = searchField(
		"Search updates",
		"Repository, commit or key",
		route.query.get("repo") || "",
		(repo) => {
			setQuery({ repo });
			updates.find(repo);
		},
		signal,
	);
	const updates = liveUpdates({
		caption: "Recent updates",
		most: 100,
		search: search.input.value,
		signal,
		emptyNode: empty(
			"No update here",
			"Updates appear when Eyes finishes a test of an enabled repository. The last ones are kept, not all.",
		),
	});
	const top = head("recent");
	on("status", top.draw, signal);
	return {
		title: "Recent updates",
		nodes: [
			...top.nodes,
			h("div.tools", { role: "search", "aria-label": "Updates" }, search.box, updates.pause),
			h("div.panel", null, updates.node),
		],
	};
}

function events(route, { signal }) {
	const top = head("events");
	on("status", top.draw, signal);
	return {
		title: "Events",
		nodes: [
			...top.nodes,
			h(
				"div.panel",
				null,
				empty(
					"No events yet",
					"This version sets statuses only. Webhooks, which carry Bitbucket’s events to Eyes, come with a later version; their deliveries will be listed here.",
				),
			),
		],
	};
}

/* ---- not delivered ---- */

/* One repair frees a group: the token of one owner, a server, or one reason to give up. */
function group(updates, blocked) {
	const owners = new Map(blocked.map((repo) => [repo.server.url + " " + repo.project + "/" + repo.slug, repo])),
		groups = new Map();
	for (const update of updates) {
		const repo = owners.get(update.server + " " + update.repository),
			code = repo?.error?.code || update.code || "";
		const key =
			update.state === "blocked"
				? ["blocked", update.server, code, repo?.owner].join()
				: update.state === "dead"
					? ["dead", update.server, code].join()
					: ["waiting", update.server, update.state === "sending" ? "" : code].join();
		(
			groups.get(key) ||
			groups
				.set(key, {
					key,
					kind: key.split(",")[0],
					code,
					server: state.status?.servers.find((at) => at.url === update.server) || { url: update.server },
					owner: repo?.owner,
					repoError: repo?.error,
					since: repo?.blocked_since,
					updates: [],
				})
				.get(key)
		).updates.push(update);
	}
	return [...groups.values()].sort((a, b) => b.updates.length - a.updates.length);
}

function words({ kind, code, server, owner, repoError, updates, since }) {
	const n = updates.length,
		[first] = updates,
		where = { leg: "server", host: server.url, name: first.repository };
	if (kind === "blocked") {
		const why = explain(repoError || { code }, where),
			token = code === "token_refused";
		return {
			light: "bad",
			title: token ? n + (n === 1 ? " waits" : " wait") + " for a new token" : why.title,
			text: token
				? `${host(server.url)} refuses the token of ${owner || "its owner"}${since ? " since " + time(since) : ""}. Not asked again until then.`
				: [why.where, why.todo].filter(Boolean).join(". "),
		};
	}
	if (kind === "dead") {
		const why = explain({ code, message: first.error }, where);
		return {
			light: "bad",
			title: why.title,
			text: [
				host(server.url) + (first.attempts > 1 ? ", " + first.attempts + " tries" : "") + ".",
				why.todo || first.error,
			].join(" "),
		};
	}
	const due = updates
		.map((at) => at.due)
		.filter(Boolean)
		.sort()[0];
	if (code === "rate_limited")
		return {
			light: "wait",
			title: n + (n === 1 ? " waits" : " wait") + " because " + host(server.url) + " asks to slow down",
			text: "They go on by themselves" + (due ? ", next at " + time(due) : "") + ".",
		};
	if (code)
		return {
			light: "warn",
			title: n + (n === 1 ? " waits" : " wait") + ": " + explain({ code, message: first.error }, where).title,
			text: due ? "Tried again by itself at " + time(due) + "." : "Tried again by itself.",
		};
	return {
		light: "wait",
		title: count(n, "update is", "updates are") + " on the way to " + host(server.url),
		text: "Sent in order; of each commit only the newest state.",
	};
}

function waiting(route, { signal }) {
	const room = h("div.stack"),
		top = head("waiting");
	let open = new Set(),
		groups = [],
		counts = {},
		truncated = false;

	async function load() {
		const ended = groups.length ? () => {} : skeleton(room);
		try {
			const [queue, blocked] = await Promise.all([
				get("queue?limit=" + LIMIT, { signal }),
				state.status?.repositories.blocked ? get("repositories?state=blocked&limit=500", { signal }) : { repositories: [] },
			]);
			groups = group(queue.updates, blocked.repositories);
			({ counts, truncated } = queue);
			ended();
			draw();
		} catch (error) {
			ended();
			if (!signal.aborted) fill(room, trouble(error, load));
		}
	}
	async function retry(updates, at) {
		busy(at, true);
		await retryUpdates(updates).catch((error) => say(explain(error).title + ". " + explain(error).todo));
		busy(at, false);
	}
	function actions(updates, { kind, code, server }) {
		const n = updates.length,
			both = n === 1 ? "" : n === 2 ? " both" : " all " + n;
		const again = button(kind === "waiting" ? "Retry now" : "Retry" + both, () => retry(updates, again), {
			kind: "small",
			change: true,
		});
		const drop =
			kind !== "waiting" &&
			button("Drop" + both + "…", () => dropDialog({ updates }), { kind: "small danger", change: true });
		if (kind === "blocked" && code === "token_refused")
			return [
				button("Replace token…", () => tokenDialog({ server, names: [...new Set(updates.map((at) => at.repository))] }), {
					kind: "small primary",
					change: true,
				}),
			];
		return [again, drop];
	}
	function makeRow({ update, refused }) {
		const again = button("Retry", () => retry([update], again), {
			kind: "small quiet",
			change: true,
			name: "Retry " + update.repository,
			f: "retry",
		});
		return row([
			cell("name", repositoryLink(update)),
			cell("", commit(update)),
			cell("st", result(update.status)),
			cell("time", update.state === "dead" ? "at " : "since ", stamp(update.received)),
			cell(
				"act tight",
				update.state === "sending"
					? h("span.dim", null, "being sent")
					: [
							!refused && again,
							button("Drop…", () => dropDialog({ updates: [update] }), {
								kind: "small quiet",
								change: true,
								name: "Drop " + update.repository,
								f: "drop",
							}),
						],
			),
		]);
	}
	function panelOf(item) {
		const { key, updates } = item,
			said = words(item),
			all = open.has(key),
			made = table(said.title, [
				{ label: "Repository" },
				{ label: "Commit" },
				{ label: "Result" },
				{ label: "Received" },
				{ name: "Actions", class: "tight" },
			]);
		const refused = item.kind === "blocked" && item.code === "token_refused";
		made.element.querySelector("thead").classList.add("vh");
		keyed(
			made.body,
			updates.slice(0, all ? 200 : SHOWN).map((update) => ({ update, refused })),
			(at) => at.update.id,
			makeRow,
		);
		return h(
			"section.panel",
			{ "aria-label": said.title },
			h(
				"ul.causes",
				null,
				h(
					"li",
					null,
					light(said.light),
					h("div.tx", null, h("h3", null, said.title), h("p", null, said.text)),
					h("div.acts.row", null, actions(updates, item)),
				),
			),
			made.element,
			updates.length > SHOWN &&
				h(
					"div.more",
					null,
					button(
						all ? "Show fewer" : "Show " + (Math.min(updates.length, 200) - SHOWN) + " more",
						() => {
							if (all) open.delete(key);
							else open.add(key);
							draw();
						},
						{ kind: "small quiet", f: "more" },
					),
				),
		);
	}
	function draw() {
		const live = groups.filter((at) => at.kind !== "dead"),
			dead = groups.filter((at) => at.kind === "dead"),
			told = /commands/.test(state.status?.eyes.source || "");
		const part = (title, n, text, items) =>
			items.length > 0 &&
			h(
				"div",
				null,
				h("div.head", null, h("h2", null, title, " ", h("span.dim", null, number(n))), h("p.help", null, text)),
				h("div.stack", null, items.map(panelOf)),
			);
		const waits = (counts.waiting || 0) + (counts.later || 0) + (counts.blocked || 0) + (counts.sending || 0);
		const focused = room.contains(document.activeElement) && document.activeElement,
			key = focused && (focused.dataset.f || "") + (focused.getAttribute("aria-label") || focused.textContent);
		fill(
			room,
			!groups.length &&
				h("div.panel", null, empty("Nothing waits", "Every update reached Bitbucket, or was replaced by a newer one.")),
			part("Waiting", waits, "Kept on disk for 7 days and sent in order; of each commit only the newest state.", live),
			part(
				"Given up",
				counts.dead,
				(told ? "Eyes has been told. " : "") + "They stay here until you retry or drop them.",
				dead,
			),
			truncated && h("p.help", null, "The first " + number(LIMIT) + " are shown."),
		);
		if (focused)
			[...room.querySelectorAll("a, button, input")]
				.find((node) => (node.dataset.f || "") + (node.getAttribute("aria-label") || node.textContent) === key)
				?.focus();
	}
	refresh(["event:queue", "event:repository", "event:server"], load, signal, 400);
	on("status", top.draw, signal);
	return { title: "Not delivered", nodes: [...top.nodes, room], ready: load };
}
