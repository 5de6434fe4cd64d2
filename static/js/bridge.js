// The bridge: Eyes, this machine, Bitbucket and the two legs between them, at the same place on every step. And the trace,
// which opens a leg: one light a hop.
import { fill, h, hidden, light } from "./dom.js";
import { ago, host, shortProduct, time } from "./format.js";
import { chosenServer, on, stale, state } from "./state.js";

const room = document.getElementById("bridge");

function pier(title, sub, open, short) {
	return h(
		"div.pier",
		{ class: open ? "open" : "", title: sub },
		h("b.long", title),
		h("b.short", short || title),
		h("span", sub),
	);
}
const leg = ({ kind, word }, between) => h("div.leg", { class: kind }, light(kind), h("span", hidden(between + ": "), word));

const UNKNOWN = { kind: "off", word: "not set up" };
const asOf = () => ({ kind: "off", word: "as of " + time(state.since) });

function eyesLeg() {
	const eyes = state.status?.eyes;
	if (state.legs.eyes && mode !== "console") return state.legs.eyes;
	if (!eyes) return state.account ? { kind: "ok", word: "Key accepted" } : UNKNOWN;
	if (eyes.state === "ok") return { kind: "ok", word: "Working" };
	if (eyes.state === "waiting") return { kind: "off", word: "not asked yet" };
	return {
		kind: "bad",
		word: eyes.state === "blocked" ? "Key refused" : eyes.state === "unconfigured" ? "not set up" : "Not reached",
	};
}

/* One server's leg, in words. */
export function serverState(server) {
	if (server.state === "failing") return { kind: "bad", word: "Not reached" };
	if (server.blocked > 0) return { kind: "warn", word: server.blocked + " stopped" };
	return server.state === "ok" ? { kind: "ok", word: "Working" } : { kind: "off", word: "not asked yet" };
}

function scmLeg(all) {
	if (!all && state.legs.scm) return state.legs.scm;
	const server = chosenServer();
	if (!all && server) return server.state === "ok" ? { kind: "ok", word: shortProduct(server) } : serverState(server);
	const states = all ? (state.status?.servers || []).map(serverState) : [];
	return (
		states.find((at) => at.kind === "bad" && states.length === 1) ||
		states.find((at) => at.kind === "warn") ||
		(states.some((at) => at.kind === "bad") && { kind: "warn", word: "1 server not reached" }) ||
		states.find((at) => at.kind === "off") ||
		states[0] ||
		UNKNOWN
	);
}

function lines(status) {
	const { eyes, account, servers } = status,
		gone = stale();
	const source = { commands: "the command feed", batches: "the batches" }[eyes.source?.replace(/^auto:?/, "")] || eyes.source;
	return h(
		"div.spanmore",
		h(
			"div",
			h(
				"p",
				h(
					"b",
					eyes.last_contact
						? ["Last contact ", gone ? time(eyes.last_contact) : ticking(eyes.last_contact)]
						: "No contact yet",
				),
			),
			h(
				"p.ink2",
				[eyes.way, source && "from " + source, account?.user && "with the key of " + account.user]
					.filter(Boolean)
					.join(", "),
			),
		),
		h(
			"ul",
			{ "aria-label": "Servers" },
			servers.map((server) => {
				const at = serverState(server);
				return h(
					"li",
					h(
						"span.cut",
						{ title: server.url },
						h("b", host(server.url)),
						" ",
						server.version,
						!gone && server.last_contact && [", ", ticking(server.last_contact)],
					),
					gone
						? h("span.state.ink2", light("off"), "was: " + at.word)
						: h("span.state", { class: "t-" + at.kind }, light(at.kind), at.word),
				);
			}),
		),
	);
}
const ticking = (at) => h("span", { "data-since": at }, ago(at));
setInterval(() => {
	for (const node of room.querySelectorAll("[data-since]")) node.textContent = ago(node.dataset.since);
}, 1000);

let mode = "";
function draw() {
	if (!mode) return void fill(room);
	const whole = mode === "console",
		servers = state.status?.servers || [];
	const url = state.status?.eyes.origin || state.start?.configured?.eyes_url?.value;
	const scm = whole
		? servers.length === 1
			? host(servers[0].url)
			: servers.length
				? servers.length + " servers"
				: ""
		: host(state.legs.scm?.host || chosenServer()?.url);
	fill(
		room,
		h(
			"div.bridge",
			{ role: "group", "aria-label": "Connection" },
			h(
				"div",
				h(
					"div.span",
					pier("Applitools Eyes", url ? host(url) : "not known yet", !url, "Eyes"),
					leg(stale() ? asOf() : eyesLeg(), "Eyes to eyes-scm"),
					pier("eyes-scm", "this machine"),
					leg(stale() ? asOf() : scmLeg(whole), "eyes-scm to Bitbucket"),
					pier("Bitbucket", scm || "not chosen yet", !scm),
				),
				whole && state.status && lines(state.status),
			),
		),
	);
}
/* "wizard", "console" (with last contacts) or "" for none */
export function showBridge(which) {
	mode = which;
	draw();
}
on("bridge", draw);
on("status", draw);
on("link", draw);

/* hops: [{hop, outcome: ok|failed|skipped|running, detail, ms}] */
export function trace(hops) {
	const WORDS = { ok: "worked", failed: "failed", skipped: "not tried", running: "running" };
	return h(
		"ol.trace",
		{ "aria-label": "Where it happened" },
		hops.map((at, i) => {
			const failed = at.outcome === "failed",
				next = hops[i + 1];
			return h(
				"li",
				{ class: at.outcome === "ok" && (next?.outcome === "ok" || next?.outcome === "failed") ? "" : "gap" },
				light({ ok: "ok", failed: "bad", running: "spin" }[at.outcome] || "off"),
				h("b", { class: failed ? "bad" : at.outcome === "skipped" ? "skip-hop" : "" }, at.hop),
				hidden(" " + (WORDS[at.outcome] || at.outcome) + " "),
				h(
					"span",
					{ class: failed ? "bad" : "ink2", "aria-hidden": at.outcome === "skipped" ? "true" : null },
					at.outcome === "skipped" ? "not tried" : at.detail || "",
				),
			);
		}),
	);
}
