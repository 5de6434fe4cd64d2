// One repository: the cause first, then its two halves apart, its last updates, and disabling at the end.
import { get, query } from "./api.js";
import { fill, h, icon, light, outside } from "./dom.js";
import { date, host, span } from "./format.js";
import { server as serverOf, state } from "./state.js";
import { button, empty, facts, link, panel, refresh, skeleton, stamp, verdict } from "./components.js";
import { explain, short } from "./copy.js";
import { disableDialog, retryUpdates, testDialog, tokenDialog } from "./actions.js";
import { liveUpdates } from "./updates_table.js";

export function show(route, { signal }) {
	const [, serverId, project = "", slug = ""] = route.path,
		name = project + "/" + slug,
		server = serverOf(serverId),
		url = server?.url || "";
	const heading = h("h1", null, name),
		chip = h("span.chip", { hidden: true }),
		under = h("p.ink2"),
		answer = verdict(),
		halves = h("div.pair"),
		tail = h("div"),
		acts = h("div.row");
	const updates = liveUpdates({
		caption: "Last updates",
		most: 10,
		search: name,
		alone: true,
		signal,
		emptyNode: empty("No update yet", "The first appears when Eyes finishes a test of it."),
	});
	let repo = null,
		last = null;

	async function load() {
		const ended = repo ? () => {} : skeleton(halves, 3);
		try {
			const [found, recent] = await Promise.all([
				get("repositories" + query({ server: serverId, search: name, limit: 50 }), { signal }),
				get("updates" + query({ search: name, limit: 1 }), { signal }),
			]);
			repo = found.repositories.find((at) => at.project === project && at.slug === slug) || null;
			last = recent.updates[0];
			ended();
			draw();
		} catch (error) {
			ended();
			if (!signal.aborted)
				answer.show({ kind: "bad", ...explain(error), actions: [button("Try again", load, { kind: "small" })] });
		}
	}
	const replaceToken = () => tokenDialog({ server, names: [name], ondone: load });

	function drawCause() {
		if (repo.state !== "blocked") return answer.clear();
		const why = explain(repo.error || {}, { leg: "server", host: url, name }),
			refused = repo.error?.code === "token_refused";
		answer.show({
			kind: "bad",
			...why,
			where: [
				why.where,
				repo.blocked_since && "since " + stamp(repo.blocked_since).textContent,
				repo.waiting > 0 && repo.waiting + (repo.waiting === 1 ? " update waits" : " updates wait"),
			]
				.filter(Boolean)
				.join(", "),
			actions: [
				button("Replace token…", replaceToken, { kind: "small primary", change: true }),
				!refused &&
					repo.waiting > 0 &&
					button(
						"Retry now",
						async (event) => {
							event.target.closest("button").blur();
							const { updates: stuck } = await get("queue?state=blocked&limit=1000");
							retryUpdates(stuck.filter((at) => at.repository === name && at.server === url)).catch((error) =>
								answer.show({ kind: "bad", ...explain(error) }),
							);
						},
						{ kind: "small", change: true },
					),
			],
		});
	}
	function draw() {
		const enabled = repo && repo.state !== "disabled",
			broken = repo?.state === "blocked";
		chip.hidden = !enabled;
		fill(
			chip,
			enabled &&
				(broken
					? [light("bad"), h("span.t-bad", null, short(repo.error))]
					: [light("ok"), h("span.t-ok", null, "Working")]),
		);
		under.textContent = [
			host(url),
			!enabled && "not enabled",
			repo?.enabled_by && "enabled by " + repo.enabled_by,
			repo?.enabled_at && "on " + date(repo.enabled_at),
		]
			.filter(Boolean)
			.join(" · ");
		fill(
			acts,
			outsideButton(),
			enabled && button("Send a test status…", () => testDialog({ server, name, commit: last?.commit }), { change: true }),
		);
		if (!enabled) {
			answer.clear();
			fill(halves);
			fill(
				tail,
				h(
					"div.panel",
					null,
					empty(
						name + " is not enabled",
						"Its commits get no statuses. Enable it to change that.",
						link("Manage repositories", "#/setup/server", "primary"),
					),
				),
			);
			return;
		}
		drawCause();
		const statuses = panel(
			"Statuses",
			button("Replace token…", replaceToken, { kind: "small quiet", change: true }),
			h(
				"div.pad",
				null,
				facts([
					[
						"State",
						broken
							? h("span.t-bad", null, "stopped: " + short(repo.error).toLowerCase())
							: h("span.t-ok", null, "working"),
					],
					["Key", last?.key && h("code", null, last.key)],
					["Token of", [repo.owner || "unknown", repo.admin ? ", may administer" : ", may read"]],
					["Given", repo.token_at && date(repo.token_at)],
					["Waiting", repo.waiting ? String(repo.waiting) : "nothing"],
					[
						"Last sent",
						last
							? [stamp(last.ended), last.outcome === "delivered" ? ", accepted in " + span(last.ms || 0) : ""]
							: "nothing yet",
					],
				]),
			),
		);
		const events = panel(
			"Events",
			null,
			h(
				"div.pad",
				null,
				h(
					"p.ink2",
					null,
					"This version sets statuses only. Events need a webhook, and webhooks come with a later version.",
				),
				h(
					"p.help",
					null,
					repo.admin
						? "The token would be allowed to create it."
						: "It will need a token that administers the repository.",
				),
			),
		);
		fill(halves, statuses, events);
		fill(
			tail,
			h(
				"div.split",
				null,
				h(
					"div",
					null,
					h("h3", null, "Disable this repository"),
					h(
						"p.help",
						null,
						"No more statuses are set, and the stored token is forgotten. Statuses already on commits stay.",
					),
				),
				button("Disable…", () => disableDialog({ server, names: [name], waiting: repo.waiting, ondone: load }), {
					kind: "danger",
					change: true,
				}),
			),
		);
	}
	function outsideButton() {
		const at = outside(
			`${url}/projects/${encodeURIComponent(project)}/repos/${encodeURIComponent(slug)}`,
			"Open in Bitbucket",
			"btn",
		);
		at.prepend(icon("out"));
		return at;
	}
	refresh(["event:repository", "event:update"], load, signal);

	return {
		title: name,
		nodes: [
			h(
				"div",
				null,
				h("a", { href: "#/repositories" }, "Repositories"),
				h("div.head", null, h("div.row.spring", null, heading, chip), acts),
				under,
			),
			answer.element,
			halves,
			h(
				"section.panel",
				null,
				h(
					"header",
					null,
					h("h2", null, "Last updates"),
					link("All of this repository", "#/updates/recent?repo=" + encodeURIComponent(name), "small quiet"),
				),
				updates.node,
			),
			tail,
		],
		ready: server || state.status ? load : undefined,
	};
}
