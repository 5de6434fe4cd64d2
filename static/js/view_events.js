// Updates, third tab: events on their way from Bitbucket to Eyes. Also the head that the three tabs share.
import { get, post } from "./api.js";
import { fill, h, light, words } from "./dom.js";
import { count, number, time } from "./format.js";
import { on, server, state, waits } from "./state.js";
import { button, busy, cell, empty, facts, loader, refresh, row, stamp, table, tabs, verdict } from "./components.js";
import { confirm } from "./dialogs.js";
import { explain } from "./copy.js";
import { toast } from "./notices.js";
import { repositoryHash } from "./router.js";

const LIMIT = 200;

export function head(name, actions) {
	const room = h("div"),
		draw = () => {
			const queue = state.status?.queue || {},
				n = waits(queue) + (queue.dead || 0);
			fill(
				room,
				tabs("Updates", [
					{ label: "Recent", href: "#/updates/recent", on: name === "recent" },
					{ label: "Not delivered", n: number(n), href: "#/updates/waiting", on: name === "waiting" },
					{
						label: "Events",
						n: state.relay && number(state.relay.counts.waiting + state.relay.counts.dead),
						href: "#/updates/events",
						on: name === "events",
					},
				]),
			);
		};
	draw();
	return { draw, nodes: [h("div.head", h("h1", "Updates"), actions), room] };
}

export function showEvents(route, { signal }) {
	const room = h("div.stack"),
		answer = verdict(),
		top = head("events");
	const load = loader(room, signal, () => get("relay?limit=" + LIMIT, { signal }), draw);

	async function retry(body, at) {
		busy(at, true);
		answer.clear();
		try {
			toast(count((await post("relay/retry", body)).retried, "event is", "events are") + " tried again");
			await load();
		} catch (error) {
			answer.fail(error);
		}
		busy(at, false);
	}
	const drop = (events) =>
		confirm(
			events.length === 1 ? "Drop this event?" : "Drop " + events.length + " events?",
			h("p", words("drop_event")),
			"Drop",
			async () => {
				toast(count((await post("relay/drop", { ids: events.map((one) => one.id) })).dropped, "event") + " dropped");
				await load();
			},
		);

	function makeRow(event) {
		const { id, repository, error } = event,
			name = repository || (event.source === "github" ? "GitHub" : "removed"),
			again = button("Retry", () => retry({ id }, again), "small quiet change", { name: "Retry " + name });
		return row([
			cell("name", name),
			cell("mono", event.event),
			cell("time", stamp(event.received)),
			cell(
				"full ink2",
				error
					? explain({ message: error }).title + (event.attempts > 1 ? ", " + event.attempts + " tries" : "")
					: event.state === "sending"
						? "being sent"
						: "waits",
			),
			cell("act tight", [
				event.state !== "sending" && again,
				event.state !== "sending" &&
					button("Drop…", () => drop([event]), "small quiet change", { name: "Drop " + name }),
			]),
		]);
	}
	function listOf(title, text, events, n, dead) {
		if (!events.length) return null;
		const made = table(title, ["Repository", "Event", "Received", "State", { name: "Actions", class: "tight" }]),
			again = button(
				"Retry all",
				() => retry(dead ? { ids: events.map((one) => one.id) } : { all: true }, again),
				"small change",
			);
		fill(made.body, events.map(makeRow));
		return h(
			"div",
			h(
				"div.head",
				h("h2", title, " ", h("span.dim", number(n))),
				h("p.help.spring", text),
				again,
				dead && button("Drop all…", () => drop(events), "small danger change"),
			),
			h("div.panel", made.element),
		);
	}
	function draw(relay) {
		state.relay = relay;
		top.draw();
		const { counts, webhooks, events, message, hint, state: is } = relay,
			direct = relay.mode === "direct",
			dead = events.filter((one) => one.state === "dead"),
			total = Object.values(webhooks || {}).reduce((sum, n) => sum + n, 0);
		const bad = { failing: "warn", blocked: "bad", unconfigured: "warn" }[is];
		fill(
			room,
			h(
				"section.panel",
				{ "aria-label": "Way to Eyes" },
				bad &&
					h(
						"ul.causes",
						h(
							"li",
							light(bad),
							h(
								"div.tx",
								h("h2.h3", explain({ message }).title),
								h(
									"p",
									[hint, relay.next_try && "Next try at " + time(relay.next_try) + "."]
										.filter(Boolean)
										.join(" "),
								),
							),
						),
					),
				h(
					"div.pad",
					facts([
						["Way", direct ? words("way_direct") : words("way_relay")],
						[
							"Sent to",
							[
								h("code", relay.url),
								h(
									"div.help",
									[relay.configured ? words("as_set") : "The default.", " ", words("undocumented")],
								),
							],
						],
						[
							"Webhooks",
							total > 0 && [
								`${number(webhooks.ok)} of ${number(total)} working. `,
								h("a", { href: "#/repositories" }, "Look at them"),
							],
						],
						["Last taken", relay.last_ok && stamp(relay.last_ok)],
					]),
				),
			),
			!events.length &&
				h(
					"div.panel",
					direct
						? empty(words("no_event"), words("no_relay"))
						: empty("Nothing waits", words("all_taken")),
				),
			listOf(
				"Waiting",
				words("events_order"),
				events.filter((one) => one.state !== "dead"),
				counts.waiting,
			),
			listOf("Given up", words("events_dead"), dead, counts.dead, true),
			relay.truncated && h("p.help", "The first " + LIMIT + " are shown."),
		);
	}
	refresh(["event:events", "event:repository"], load, signal, 400);
	on("status", top.draw, signal);
	return { title: "Events", nodes: [...top.nodes, answer.element, room], ready: load };
}
