// The overview: its heading says how it is, "Needs you" what to do, then figures and the last updates.
import { fill, h, keyed, light } from "./dom.js";
import { number, span, time } from "./format.js";
import { on, stale, state } from "./state.js";
import { button, empty, link } from "./components.js";
import { blockedGroups, causes, verdictOf } from "./causes.js";
import { liveUpdates } from "./updates_table.js";

function figures() {
	const { repositories, queue, figures: more } = state.status;
	const one = (name, value, small) =>
		h("div", null, h("dt", null, name), h("dd", null, value, small && h("small", null, " " + small)));
	return [
		one(
			"Enabled repositories",
			number(repositories.enabled + repositories.blocked),
			repositories.blocked > 0 && repositories.blocked + " stopped",
		),
		more?.delivered_today !== undefined && one("Delivered today", number(more.delivered_today)),
		more?.p50_ms !== undefined && one("From Eyes to Bitbucket", span(more.p50_ms), "median, " + span(more.p99_ms) + " p99"),
		one("Waiting", number(queue.waiting + queue.later + queue.blocked + queue.sending)),
		one("Given up", number(queue.dead)),
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
					? h("li", null, light("ok"), h("div.tx", null, "Nothing needs you."))
					: h(
							"li",
							null,
							light(cause.kind, cause.kind === "bad" ? "Failing" : "Needs attention"),
							h("div.tx", null, h("h3", null, cause.title), h("p", null, cause.text)),
							cause.repair &&
								h(
									"div.acts",
									null,
									cause.repair.href
										? link(cause.repair.label, cause.repair.href, "small")
										: button(
												cause.repair.label,
												() =>
													causes(groups)
														.find((at) => at.id === cause.id)
														?.repair.run(),
												{
													kind: "small" + (cause.first ? " primary" : ""),
													change: cause.repair.change,
													f: "repair",
												},
											),
								),
						),
		);
		fill(figs, figures());
	}
	async function look() {
		draw();
		// Asked again only when something about blocked repositories changed.
		const now = JSON.stringify([state.status?.repositories, state.status?.queue.blocked]);
		if (now === print) return;
		print = now;
		try {
			groups = await blockedGroups(signal);
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
		emptyNode: empty("No update yet", "The first appears when Eyes finishes a test of an enabled repository."),
	});
	look();
	return {
		title: "Overview",
		nodes: [
			heading,
			h("section.panel", null, h("header", null, h("h2", null, "Needs you", n)), list),
			figs,
			h(
				"section.panel",
				null,
				h(
					"header",
					null,
					h("h2", null, "Recent updates"),
					updates.pause,
					link("All updates", "#/updates/recent", "small quiet"),
				),
				updates.node,
			),
		],
	};
}
