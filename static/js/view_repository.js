// One repository: the cause first, then its two halves apart, its last updates, and disabling at the end.
import { findRepo, get, post, query } from "./api.js";
import { fill, h, icon, outside, state as stateWord, words } from "./dom.js";
import { count, date, host, span, time } from "./format.js";
import { server as serverOf, state, tell } from "./state.js";
import { button, busy, empty, facts, link, panel, refresh, skeleton, stamp, verdict } from "./components.js";
import { explain, short } from "./copy.js";
import { disableDialog, retryUpdates, testDialog, tokenDialog } from "./actions.js";
import { liveUpdates } from "./updates_table.js";
import { byHandDialog, eventWords, hooksToast, hookState } from "./webhooks.js";
import { toast } from "./notices.js";
import { go, repositoryHash } from "./router.js";

export function show(route, { signal }) {
	const [, serverId, project = "", slug = ""] = route.path,
		name = project + "/" + slug,
		server = serverOf(serverId),
		url = server?.url || "";
	const heading = h("h1", name),
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
		emptyNode: empty("No update yet", words("first_update")),
	});
	let repo = null,
		last = null;

	async function load() {
		const ended = repo ? () => {} : skeleton(halves, 3);
		try {
			const [found, recent] = await Promise.all([
				findRepo(serverId, name, { signal }).then((row) => row && get("repositories/" + row.id, { signal })),
				get("updates" + query({ search: name, limit: 1 }), { signal }),
			]);
			repo = found || null;
			last = recent.updates[0];
			ended();
			draw();
		} catch (error) {
			ended();
			answer.fail(error, { actions: [button("Try again", load, "small")] });
		}
	}
	const replaceToken = () => tokenDialog({ server, names: [name], ondone: load });

	/* Runs at the press of a button; what it throws stands where the cause stands. */
	const act = (label, run, kind = "small") => {
		const at = button(
			label,
			async () => {
				busy(at, true);
				try {
					await run();
				} catch (error) {
					answer.fail(error);
				}
				busy(at, false);
			},
			kind + " change",
		);
		return at;
	};
	const hooks = (what) => async () => {
		await hooksToast(what, server, [name]);
		await load();
	};
	const disable = () => disableDialog({ server, names: [name], waiting: repo.waiting, ondone: load });
	const follow = async () => {
		const to = (await post("repositories/" + repo.id + "/follow", {})).repository;
		tell("changed");
		go(repositoryHash(serverId, to));
	};
	async function rotate() {
		const { ok, error } = await post("repositories/" + repo.id + "/webhook/rotate", {});
		if (ok === false) throw error;
		toast(words("rotated"));
		await load();
	}
	async function retry() {
		const { updates: stuck } = await get("queue?state=blocked&limit=1000");
		await retryUpdates(stuck.filter((at) => at.repository === name && at.server === url));
	}

	function drawCause() {
		const { events = {}, error = events.error } = repo,
			code = error?.code || "",
			broken = repo.state === "blocked",
			bad = broken || events.state === "broken";
		if (!broken && !/broken|failing|conflict|manual/.test(events.state)) return answer.clear();
		const refused = code === "token_refused",
			gone = /^repo_(ren|mov|gone|arch|unk)/.test(code),
			repair = act("Put it right now", hooks("repair"), "small primary"),
			waits = broken && repo.waiting > 0 && count(repo.waiting, "update waits", "updates wait"),
			why = explain(error || { message: words("events_lost") });
		answer.show({
			kind: bad ? "bad" : events.state === "manual" ? "idle" : "warn",
			...why,
			trace:
				why.trace ||
				(events.state === "failing" && [
					{ hop: "Bitbucket", outcome: "ok", detail: "webhook is right" },
					{
						hop: "Bitbucket to " + (events.mode === "relay" ? "eyes-scm" : "Eyes"),
						outcome: "failed",
						detail: events.failed && "at " + time(events.failed),
					},
					{ hop: events.mode === "relay" ? "eyes-scm" : "Eyes", outcome: "skipped" },
				]),
			where: [why.where, broken && repo.blocked_since && "since " + stamp(repo.blocked_since).textContent, waits]
				.filter(Boolean)
				.join(", "),
			actions: [
				/^repo_(ren|mov)/.test(code) && act("Follow it", follow, "small primary"),
				broken && !gone && button("Replace token…", replaceToken, "small primary change"),
				gone && button("Disable…", disable, "small change"),
				broken && !refused && repo.waiting > 0 && act("Retry now", retry),
				!broken && events.state === "conflict" && repair,
				!broken && events.state === "broken" && !gone && repair,
				!broken &&
					events.state === "manual" &&
					act(
						"Create the webhook by hand…",
						() => byHandDialog({ server, repo: repo.id, name, ondone: load }),
						"small primary",
					),
				!broken && act("Check again", hooks("check")),
			],
		});
	}
	function eventsPanel() {
		const {
				state: is,
				mode,
				url: to,
				checked,
				wanted,
				secret,
				old_secret_until: old,
				delivered,
				failed,
				waiting,
			} = repo.events || {},
			[kind, word] = hookState(repo.events),
			relay = mode === "relay",
			latest = failed > (delivered || "") ? failed : delivered;
		return panel(
			"Events",
			is && [
				relay && secret === "set" && act("Rotate secret", rotate, "small quiet"),
				act("Check now", hooks("check"), "small quiet"),
			],
			h(
				"div.pad",
				facts([
					["Webhook", [h("span", { class: "t-" + kind }, word), checked && [", checked ", stamp(checked)]]],
					[
						"Sends to",
						to && [
							h("code", to),
							h(
								"div.help",
								relay
									? words("passed_on") + " "
									: (state.start.events?.configured ? words("as_set") : "The default.") + " " + words("seen_below") + " ",
								words("undocumented"),
							),
						],
					],
					["On", wanted && eventWords(wanted)],
					[
						"Signed",
						secret &&
							(secret === "set"
								? ["yes", old && [", the old secret counts until ", stamp(old)]]
								: relay
									? "no"
									: "no, EYES_WEBHOOK_SECRET is not set"),
					],
					[
						"Last delivery",
						is &&
							(latest ? [stamp(latest), latest === failed ? h("span.t-warn", ", failed") : ", taken"] : "none yet"),
					],
					["Waiting", waiting > 0 && count(waiting, "event")],
				]),
			),
		);
	}
	function draw() {
		const enabled = repo && repo.state !== "disabled",
			broken = repo?.state === "blocked";
		chip.hidden = !enabled;
		fill(
			chip,
			enabled &&
				stateWord(
					...(broken
						? ["bad", short(repo.error)]
						: /warn|bad/.test(hookState(repo.events)[0])
							? ["warn", "Needs attention"]
							: ["ok", "Working"]),
				),
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
			enabled && button("Send a test status…", () => testDialog({ server, name, commit: last?.commit }), "change"),
		);
		if (!enabled) {
			answer.clear();
			fill(halves);
			fill(
				tail,
				h(
					"div.panel",
					empty(
						name + " is not enabled",
						words("not_enabled"),
						link("Manage repositories", "#/setup/server", "primary"),
					),
				),
			);
			return;
		}
		drawCause();
		const statuses = panel(
			"Statuses",
			button("Replace token…", replaceToken, "small quiet change"),
			h(
				"div.pad",
				facts([
					[
						"State",
						broken ? h("span.t-bad", "stopped: " + short(repo.error).toLowerCase()) : h("span.t-ok", "working"),
					],
					["Key", last?.key && h("code", last.key)],
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
		fill(halves, eventsPanel(), statuses);
		fill(
			tail,
			h(
				"div.split",
				h("div", h("h3", "Disable this repository"), h("p.help", words("disables"))),
				button("Disable…", disable, "danger change"),
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
	refresh(["event:repository", "event:update", "event:events"], load, signal);

	return {
		title: name,
		nodes: [
			h(
				"div",
				h("a", { href: "#/repositories" }, "Repositories"),
				h("div.head", h("div.row.spring", heading, chip), acts),
				under,
			),
			answer.element,
			halves,
			h(
				"section.panel",
				h(
					"header",
					h("h2", "Last updates"),
					link("All of this repository", "#/updates/recent?repo=" + encodeURIComponent(name), "small quiet"),
				),
				updates.node,
			),
			tail,
		],
		ready: server || state.status ? load : undefined,
	};
}
