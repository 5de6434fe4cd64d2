// The overview: its heading says how it is, "Needs you" what to do, then figures and the last updates.
import { get } from "./api.js";
import { fill, h, keyed, light, words } from "./dom.js";
import { number, span, time } from "./format.js";
import { enabled, on, stale, state, waits } from "./state.js";
import { button, empty, link } from "./components.js";
import { blockedGroups, causes, verdictOf } from "./causes.js";
import { liveUpdates } from "./updates_table.js";

function figures() {
	const { repositories, queue, figures: more } = state.status,
		hooks = Object.values(state.relay?.webhooks || {}).reduce((sum, n) => sum + n, 0);
	const one = (name, value, small) => h("div", h("dt", name), h("dd", value, small && h("small", " " + small)));
	return [
		one(
			"Enabled repositories",
			number(enabled()),
			repositories.blocked > 0 && repositories.blocked + " stopped",
		),
		more?.delivered_today !== undefined && one("Delivered today", number(more.delivered_today)),
		more?.p50_ms !== undefined && one("From Eyes to Bitbucket", span(more.p50_ms), "median, " + span(more.p99_ms) + " p99"),
		one("Waiting", number(waits(queue))),
		one("Given up", number(queue.dead)),
		hooks > 0 && one("Webhooks", number(state.relay.webhooks.ok), "of " + number(hooks) + " working"),
	];
}

export function show(route, { signal }) {
	const heading = h("h1"),
		list = h("ul.causes"),
		n = h("span.n"),
		figs = h("dl.figs");
	let groups = [],
		print = "";

	function draw() {
		if (!state.status) return;
		const found = causes(groups);
		heading.textContent = stale() ? "This is the state of " + time(state.since) : verdictOf(found);
		n.textContent = found.length || "";
		keyed(
			list,
			found.length
				? found.map(({ id, kind, title, text, repair }, i) => ({ id, kind, title, text, repair, first: i === 0 }))
				: [{ id: "none" }],
			(cause) => cause.id,
			(cause) =>
				cause.id === "none"
					? h("li", light("ok"), h("div.tx", "Nothing needs you."))
					: h(
							"li",
							light(cause.kind, cause.kind === "bad" ? "Failing" : "Needs attention"),
							h("div.tx", h("h3", cause.title), h("p", cause.text)),
							cause.repair &&
								h(
									"div.acts",
									cause.repair.href
										? link(cause.repair.label, cause.repair.href, "small")
										: button(
												cause.repair.label,
												() =>
													causes(groups)
														.find((at) => at.id === cause.id)
														?.repair.run(),
												"small" +
													(cause.first ? " primary" : "") +
													(cause.repair.change ? " change" : ""),
											),
								),
						),
		);
		fill(figs, figures());
	}
	async function look() {
		draw();
		// Asked again only when something about repositories changed.
		const now = JSON.stringify([state.status?.repositories, state.status?.queue.blocked, state.status?.problems]);
		if (now === print) return;
		print = now;
		try {
			[groups, state.relay] = await Promise.all([blockedGroups(signal), get("relay?limit=1", { signal })]);
			draw();
		} catch {
			print = "";
		}
	}
	on("status", look, signal);
	on("link", draw, signal);
	const updates = liveUpdates({
		caption: "Recent updates",
		most: 10,
		signal,
		seed: state.status?.updates,
		emptyNode: empty("No update yet", words("first_update")),
	});
	look();
	return {
		title: "Overview",
		nodes: [
			heading,
			h("section.panel", h("header", h("h2", "Needs you", n)), list),
			figs,
			h(
				"section.panel",
				h("header", h("h2", "Recent updates"), updates.pause, link("All updates", "#/updates/recent", "small quiet")),
				updates.node,
			),
		],
	};
}
