// Updates: recent ones as they happen, those not delivered grouped by cause, and the place of the events.
import { get } from "./api.js";
import { fill, h, keyed, light, words } from "./dom.js";
import { count, host, number, time } from "./format.js";
import { on, state, waits } from "./state.js";
import { button, busy, cell, empty, loader, refresh, row, searchField, stamp, table, verdict } from "./components.js";
import { explain } from "./copy.js";
import { dropDialog, retryUpdates, tokenDialog } from "./actions.js";
import { commit, liveUpdates, repositoryLink, result } from "./updates_table.js";
import { setQuery } from "./router.js";
import { head, showEvents } from "./view_events.js";

const SHOWN = 3,
	LIMIT = 1000;

export function show(route, context) {
	const tab = route.path[1] || "recent";
	return { waiting, events: showEvents }[tab]?.(route, context) || recent(route, context);
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
		emptyNode: empty("No update here", words("first_update")),
	});
	const top = head("recent");
	on("status", top.draw, signal);
	return {
		title: "Recent updates",
		nodes: [
			...top.nodes,
			h("div.tools", { role: "search", "aria-label": "Updates" }, search.box, updates.pause),
			h("div.panel", updates.node),
		],
	};
}

/* ---- not delivered ---- */

const REBASED = {
	message: "Bitbucket does not know these commits",
	hint: words("rebased"),
};

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

function wordsFor({ kind, code, server, owner, repoError, updates, since }) {
	const n = updates.length,
		[first] = updates,
		wait = n + (n === 1 ? " waits" : " wait");

	if (kind === "blocked") {
		const why = explain(repoError || {}),
			token = code === "token_refused";
		return {
			light: "bad",
			title: token ? wait + " for a new token" : why.title,
			text: token
				? words("refuses", host(server.url), owner || "its owner") + (since ? " since " + time(since) : "") + words("not_asked")
				: [why.where, why.todo].filter(Boolean).join(". "),
		};
	}
	if (kind === "dead") {
		const why = explain(first.code === "commit_unknown" ? REBASED : { message: first.error });
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
			title: wait + " because " + host(server.url) + " asks to slow down",
			text: words("go_on") + (due ? " Next at " + time(due) + "." : ""),
		};
	if (code)
		return {
			light: "warn",
			title:
				wait +
				": " +
				explain(first.code === "commit_unknown" ? REBASED : { message: first.error }).title,
			text: words("again_at", due ? " at " + time(due) : ""),
		};
	return {
		light: "wait",
		title: count(n, "update is", "updates are") + " on the way to " + host(server.url),
		text: words("newest"),
	};
}

function waiting(route, { signal }) {
	const room = h("div.stack"),
		answer = verdict(),
		top = head("waiting");
	let open = new Set(),
		groups = [],
		counts = {},
		truncated = false;

	const load = loader(
		room,
		signal,
		() =>
			Promise.all([
				get("queue?limit=" + LIMIT, { signal }),
				state.status?.repositories.blocked
					? get("repositories?state=blocked&limit=500", { signal })
					: { repositories: [] },
			]),
		([queue, blocked]) => {
			groups = group(queue.updates, blocked.repositories);
			({ counts, truncated } = queue);
			draw();
		},
	);
	async function retry(updates, at) {
		busy(at, true);
		answer.clear();
		await retryUpdates(updates).catch(answer.fail);
		busy(at, false);
	}
	function actions(updates, { kind, code, server }) {
		const n = updates.length,
			both = n === 1 ? "" : n === 2 ? " both" : " all " + n;
		const again = button(kind === "waiting" ? "Retry now" : "Retry" + both, () => retry(updates, again), "small change");
		const drop = kind !== "waiting" && button("Drop" + both + "…", () => dropDialog({ updates }), "small danger change");
		if (kind === "blocked" && code === "token_refused")
			return [
				button(
					"Replace token…",
					() => tokenDialog({ server, names: [...new Set(updates.map((at) => at.repository))] }),
					"small primary change",
				),
			];
		return [again, drop];
	}
	function makeRow({ update, refused }) {
		const again = button("Retry", () => retry([update], again), "small quiet change", {
			name: "Retry " + update.repository,
		});
		return row([
			cell("name cut", repositoryLink(update)),
			cell("", commit(update)),
			cell("st", result(update.status)),
			cell("time", update.state === "dead" ? "at " : "since ", stamp(update.received)),
			cell(
				"act tight",
				update.state === "sending"
					? h("span.dim", "being sent")
					: [
							!refused && again,
							button("Drop…", () => dropDialog({ updates: [update] }), "small quiet change", {
								name: "Drop " + update.repository,
							}),
						],
			),
		]);
	}
	function panelOf(item) {
		const { key, updates } = item,
			said = wordsFor(item),
			all = open.has(key),
			made = table(said.title, ["Repository", "Commit", "Result", "Received", { name: "Actions", class: "tight" }]);
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
				h(
					"li",
					light(said.light),
					h("div.tx", h("h3", said.title), h("p", said.text)),
					h("div.acts.row", actions(updates, item)),
				),
			),
			made.element,
			updates.length > SHOWN &&
				h(
					"div.more",
					button(
						all ? "Show fewer" : "Show " + (Math.min(updates.length, 200) - SHOWN) + " more",
						() => {
							if (all) open.delete(key);
							else open.add(key);
							draw();
						},
						"small quiet",
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
				h("div.head", h("h2", title, " ", h("span.dim", number(n))), h("p.help", text)),
				h("div.stack", items.map(panelOf)),
			);
		fill(
			room,
			!groups.length && h("div.panel", empty("Nothing waits", words("none_waits"))),
			part("Waiting", waits(counts), words("updates_order"), live),
			part("Given up", counts.dead, (told ? "Eyes has been told. " : "") + words("given_up"), dead),
			truncated && h("p.help", "The first " + number(LIMIT) + " are shown."),
		);
	}
	refresh(["event:queue", "event:repository", "event:server"], load, signal, 400);
	on("status", top.draw, signal);
	return { title: "Not delivered", nodes: [...top.nodes, answer.element, room], ready: load };
}
