// Settings: the account, the servers, who is signed in, and the configuration with its sources.
import { api, download, get, post } from "./api.js";
import { fill, h, light, state as stateWord, words } from "./dom.js";
import { ago, date, host, product } from "./format.js";
import { keep, on, state } from "./state.js";
import { button, cell, facts, menu, loader, panel, row, stamp, table, verdict } from "./components.js";
import { serverState } from "./bridge.js";
import { toast } from "./notices.js";
import { caDialog, keyDialog, removeDialog } from "./actions.js";
import { expiry, loadStatus, signOut } from "./session.js";

/* "Firefox on Windows" of what a browser says of itself; all that is built on Chromium calls itself Chrome. */
function browser(agent = "") {
	const has = (name) => agent.replace("Edg/", "Edge").includes(name),
		name = ["Edge", "OPR", "Firefox", "Chrome", "Safari"].find(has)?.replace("Chrome", "Chromium").replace("OPR", "Opera"),
		system = ["Windows", "Android", "iPhone", "iPad", "Mac OS", "Linux"].find(has);
	return name ? name + (system ? " on " + system : "") : agent || "unknown";
}

export function show(route, { signal }) {
	const account = h("div.pad"),
		servers = h("ul"),
		sessions = h("div"),
		settings = h("div"),
		answer = verdict();

	function drawAccount() {
		const { account: of, eyes } = state.status || {};
		if (!of) return;
		fill(
			account,
			facts([
				["Key of", (of.user || "unknown") + (of.team ? ", team " + of.team : "")],
				["Permissions", of.permissions?.join(", ")],
				["Expires", h("span", { class: of.expires_in_days <= 14 ? "t-warn" : "" }, expiry(of))],
				["Eyes server", of.origin && h("code", of.origin)],
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
							light(at.kind, at.word),
							h(
								"div",
								h("b", host(server.url)),
								product(server, true) + ", trusted by " + (server.ca ? "its own CA file" : "the system’s CAs"),
								h("br"),
								server.state === "failing"
									? h("span.t-bad", server.message)
									: at.word + (server.last_contact ? ", last contact " + ago(server.last_contact) : ""),
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
											}, answer.fail),
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
				: h("li.srv", h("div", "None is configured yet.")),
		);
	}
	const loadSessions = loader(
		sessions,
		signal,
		() => get("sessions", { signal }),
		({ sessions: all }) => {
			const made = table("Signed in", ["Browser", "From", "Signed in", "Last used", { name: "Actions", class: "tight" }]);
			fill(
				made.body,
				all.map((one) =>
					row([
						cell("name", h("span", { title: one.agent }, browser(one.agent)), one.user && h("div.help", one.user)),
						cell("mono", one.address),
						cell("time", stamp(one.started)),
						cell("time", stamp(one.last_used)),
						cell(
							"st act tight",
							one.current
								? h("span.ink2", "this tab")
								: button(
										"End",
										async () => {
											await api("DELETE", "sessions/" + one.id).then(
												() => toast("The session from " + one.address + " is ended"),
												answer.fail,
											);
											loadSessions();
										},
										"small quiet change",
										{ name: "End the session from " + one.address },
									),
						),
					]),
				),
			);
			fill(sessions, made.element);
		},
	);
	const loadSettings = loader(
		settings,
		signal,
		() => get("settings", { signal }),
		({ settings: all }) => {
			const made = table("Configuration", ["Setting", "Value in force", "Comes from"]);
			fill(
				made.body,
				all.map((one) =>
					row(
						[
							cell("name", h("code", one.name), one.help && h("div.help", one.help)),
							cell(
								"full",
								one.value === "" || one.value === null
									? h("span.dim", "not set")
									: h("code", String(one.value)),
								one.default !== undefined &&
									one.default !== one.value &&
									h("span.dim", " default " + one.default),
							),
							cell("ink2", one.source),
						],
						{ class: "plain" },
					),
				),
			);
			fill(settings, made.element);
		},
	);
	const draw = () => {
		drawAccount();
		drawServers();
	};
	on("status", draw, signal);
	draw();
	return {
		title: "Settings",
		nodes: [
			h(
				"div.head",
				h("h1", "Settings"),
				button("Download diagnosis", (event) => {
					const at = event.currentTarget;
					download("diagnosis", "eyes-scm-diagnosis.json").then(() => toast(words("no_secrets")), answer.fail);
					at.blur();
				}),
			),
			answer.element,
			h(
				"div.pair",
				panel("Eyes account", button("Replace key…", keyDialog, "small quiet change"), account),
				panel(
					"Servers",
					h(
						"a.btn.small.quiet",
						{ href: "#/setup/server", onclick: () => keep({ adding: true }) },
						"Add a new server",
					),
					servers,
				),
			),
			panel("Signed in", button("Sign out", signOut, "small quiet"), sessions),
			h("div", h("div.head", h("h2", "Configuration"), h("p.help", words("read_only"))), h("div.panel", settings)),
		],
		ready() {
			loadSessions();
			loadSettings();
		},
	};
}
