// Settings: the account, the servers, who is signed in, and the configuration with its sources.
import { api, download, get, post } from "./api.js";
import { fill, h, light, state as stateWord } from "./dom.js";
import { ago, date, host, list, product } from "./format.js";
import { keep, on, state } from "./state.js";
import { button, cell, facts, menu, panel, row, skeleton, stamp, table, trouble } from "./components.js";
import { serverState } from "./bridge.js";
import { explain } from "./copy.js";
import { say, toast } from "./notices.js";
import { caDialog, keyDialog, removeDialog } from "./actions.js";
import { loadStatus, signOut } from "./session.js";

const complain = (error) => say(explain(error).title + ". " + explain(error).todo);

export function show(route, { signal }) {
	const account = h("div.pad"),
		servers = h("ul"),
		sessions = h("div"),
		settings = h("div");

	function drawAccount() {
		const { account: of, eyes } = state.status || {},
			days = of?.expires_in_days;
		if (!of) return;
		fill(
			account,
			facts([
				["Key of", (of.user || "unknown") + (of.team ? ", team " + of.team : "")],
				["Permissions", list(of.permissions || []).replace(" and ", ", ")],
				[
					"Expires",
					of.expires
						? h(
								"span",
								{ class: days <= 14 ? "t-warn" : "" },
								date(of.expires) + (days !== undefined ? ", in " + days + " days" : ""),
							)
						: "does not expire",
				],
				["Eyes server", of.origin && h("code", null, of.origin)],
				["Status source", [eyes.source, eyes.source_reason].filter(Boolean).join(", ")],
				["Checked", of.checked && stamp(of.checked)],
				["State", of.refused ? stateWord("bad", "refused by Eyes") : null],
			]),
		);
	}
	function drawServers() {
		if (servers.contains(document.activeElement)) return; // an open menu is not taken away
		const all = state.status?.servers || [];
		fill(
			servers,
			all.length
				? all.map((server) => {
						const at = serverState(server),
							certificate = server.certificate?.expires;
						return h(
							"li.srv",
							null,
							light(at.kind, at.word),
							h(
								"div",
								null,
								h("b", null, host(server.url)),
								product(server, true) + ", trusted by " + (server.ca ? "its own CA file" : "the system’s CAs"),
								h("br"),
								server.state === "failing"
									? h("span.t-bad", null, server.message)
									: [at.word, server.last_contact ? ", last contact " + ago(server.last_contact) : ""].join(""),
								certificate && [h("br"), "Certificate valid until " + date(certificate)],
							),
							menu(
								"more",
								"Actions for " + host(server.url),
								[
									{
										label: "Check now",
										run: () =>
											post("servers/" + server.id + "/check", {}).then((now) => {
												toast(
													host(server.url) +
														": " +
														product(now, true) +
														", " +
														serverState(now).word.toLowerCase(),
												);
												loadStatus();
											}, complain),
									},
									{ label: "Replace CA…", change: true, run: () => caDialog(server, loadStatus) },
									{
										label: "Manage repositories",
										href: "#/setup/repositories",
										run: () => keep({ server: server.id }),
									},
									server.enabled + server.blocked === 0 && {
										label: "Remove…",
										danger: true,
										change: true,
										run: () => removeDialog(server),
									},
								],
								{ small: true },
							),
						);
					})
				: h("li.srv", null, h("div", null, "None is configured yet.")),
		);
	}
	async function drawSessions() {
		const all = (await get("sessions", { signal })).sessions,
			made = table("Signed in", [
				{ label: "Browser" },
				{ label: "From" },
				{ label: "Signed in" },
				{ label: "Last used" },
				{ name: "Actions", class: "tight" },
			]);
		fill(
			made.body,
			all.map((one) =>
				row([
					cell("name", one.agent || "unknown"),
					cell("mono", one.address),
					cell("time", stamp(one.started)),
					cell("time", stamp(one.last_used)),
					cell(
						"st act tight",
						one.current
							? h("span.ink2", null, "this browser")
							: button(
									"End",
									async () => {
										await api("DELETE", "sessions/" + one.id).catch(complain);
										toast("The session from " + one.address + " is ended");
										drawSessions().catch(complain);
									},
									{ kind: "small quiet", change: true, name: "End the session from " + one.address },
								),
					),
				]),
			),
		);
		fill(sessions, made.element);
	}
	async function drawSettings() {
		const all = (await get("settings", { signal })).settings,
			made = table("Configuration", [{ label: "Setting" }, { label: "Value in force" }, { label: "Comes from" }]);
		fill(
			made.body,
			all.map((one) =>
				row(
					[
						cell("name", h("code", null, one.name), one.help && h("div.help", null, one.help)),
						cell(
							"full",
							one.value === "" || one.value === null
								? h("span.dim", null, "not set")
								: h("code", null, String(one.value)),
							one.default !== undefined &&
								one.default !== one.value &&
								h("span.dim", null, " default " + one.default),
						),
						cell("ink2", one.source),
					],
					{ class: "plain" },
				),
			),
		);
		fill(settings, made.element);
	}
	/* Each part fails on its own, with a way to try again. */
	async function part(room, draw) {
		const ended = skeleton(room, 3);
		try {
			await draw();
			ended();
		} catch (error) {
			ended();
			if (!signal.aborted)
				fill(
					room,
					trouble(error, () => part(fill(room), draw)),
				);
		}
	}
	on(
		"status",
		() => {
			drawAccount();
			drawServers();
		},
		signal,
	);
	drawAccount();
	drawServers();
	return {
		title: "Settings",
		nodes: [
			h(
				"div.head",
				null,
				h("h1", null, "Settings"),
				button("Download diagnosis", (event) => {
					const at = event.currentTarget;
					download("diagnosis", "eyes-scm-diagnosis.json").catch(complain);
					at.blur();
					toast("No keys, tokens or secrets are in it");
				}),
			),
			h(
				"div.pair",
				null,
				panel("Eyes account", button("Replace key…", keyDialog, { kind: "small quiet", change: true }), account),
				panel(
					"Servers",
					h("a.btn.small.quiet", { href: "#/setup/server", onclick: () => keep({ adding: true }) }, "Add a new server"),
					servers,
				),
			),
			panel("Signed in", button("Sign out", signOut, { kind: "small quiet" }), sessions),
			h(
				"div",
				null,
				h(
					"div.head",
					null,
					h("h2", null, "Configuration"),
					h(
						"p.help",
						null,
						"Read only here. Later sources win: file, .env, environment, flag. Applied at the next start or reload.",
					),
				),
				h("div.panel", null, settings),
			),
		],
		ready() {
			part(sessions, drawSessions);
			part(settings, drawSettings);
		},
	};
}
