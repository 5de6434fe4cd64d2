// Step 3: choose the Bitbucket server, or add a new one, which is checked live.
import { get, post } from "./api.js";
import { fill, h, part, words } from "./dom.js";
import { cleanUrl, date, host, product, repos, shortProduct, span } from "./format.js";
import { draft, keep, legOf, memory, setLeg, state } from "./state.js";
import { button, field } from "./components.js";
import { liveCheck, refuse } from "./checks.js";
import { explain } from "./copy.js";
import { caPanel } from "./ca.js";
import { wizardFoot } from "./frame.js";
import { loadStatus } from "./session.js";
import { go } from "./router.js";

/* In the words of what was typed. */
function titleOf(code, url) {
	const { hostname, protocol, port } = new URL(url),
		at = hostname + ":" + (port || (protocol === "http:" ? 80 : 443));
	return {
		server_dns: `The name ${hostname} is not known here`,
		server_refused: "Nothing listens at " + at,
		server_timeout: at + " does not answer",
		tls_untrusted: `The certificate of ${at} is not trusted`,
	}[code];
}
const OTHER_CA = {
	code: "ca_other",
	message: words("ca_other"),
	hint: words("ca_ask"),
};
const TRUST = new Set(["tls_untrusted", "ca_other", "ca_invalid"]); // what another CA can help with

function foundAnswer(found, ms) {
	const at = found.trace?.find((hop) => hop.hop === "TCP" || hop.hop === "Proxy"),
		abilities = found.abilities;
	return {
		kind: "ok",
		title: product(found, true),
		facts: [
			["Answers", "in " + span(ms) + (at?.detail ? ", from " + at.detail : "")],
			[
				"Certificate",
				found.certificate
					? "trusted, valid until " + date(found.certificate.expires)
					: found.url.startsWith("http:")
						? words("no_tls")
						: "trusted",
			],
			["Statuses", Array.isArray(abilities) ? abilities.join(", ") : abilities],
		],
	};
}

/* The card's inside: the URL with its check, and the way out when its certificate is not trusted. */
function newServer({ servers, onstate, next }) {
	const again = h("button.btn.quiet.small", { type: "button", onclick: () => check.again() }, "Check again");
	const made = field({
		label: "Server URL",
		help: words("url_help"),
		value: draft.url,
		placeholder: "https://bitbucket.example.com",
		mono: true,
		action: again,
		name: "url",
	});
	const trust = h("div");
	again.hidden = true;

	const check = liveCheck(
		made,
		async (url, signal) => {
			if (servers().some((server) => server.url.toLowerCase() === url.toLowerCase()))
				throw {
					code: "server_exists",
					message: words("there"),
					hop: "this field",
					hint: "Choose it above.",
				};
			const begun = performance.now(),
				found = await post("servers/check", { url, ...draft.given }, { signal }).catch((error) => {
					throw draft.given.ca && error.code === "tls_untrusted" ? Object.assign(error, OTHER_CA) : error;
				});
			memory.serverCheck = found;
			if (found.url && found.url !== made.input.value) keep({ url: (made.input.value = found.url) });
			return foundAnswer(found, performance.now() - begun);
		},
		{
			clean: cleanUrl,
			checking: (url) => "Looking at " + host(url) + "…",
			onenter: next,
			onchange() {
				memory.serverCheck = null;
				keep({ url: made.input.value.trim(), given: draft.given.ca ? {} : draft.given });
				fill(trust);
				again.hidden = true;
				setLeg("scm");
				onstate();
			},
			onchecking: () => setLeg("scm", "spin", "checking"),
			onanswer(answer) {
				const url = made.input.value;
				again.hidden = answer.kind !== "bad";
				if (answer.trace) answer.title = titleOf(answer.code, url) || answer.title;
				legOf("scm", answer, [answer.kind === "ok" && shortProduct(memory.serverCheck), "", "Not proven"], url);
				fill(
					trust,
					TRUST.has(answer.code) &&
						caPanel({
							certificate: answer.certificate,
							answer: made.verdict,
							path: draft.given.ca_path,
							onpath: (path) => keep({ given: path ? { ca_path: path } : {} }),
							use(given) {
								keep({ given });
								check.again();
							},
						}),
				);
				const better =
					answer.code === "not_bitbucket"
						? !/\/bitbucket$/.test(url) && url + "/bitbucket"
						: /tls_wanted|server_cut/.test(answer.code) && /^http:/i.test(url) && url.replace(/^http/i, "https");
				if (better)
					answer.actions = [
						button(
							"Try " + better,
							() => {
								keep({ url: (made.input.value = better) });
								check.ensure();
							},
							"small",
						),
					];
				onstate();
			},
		},
	);
	if (draft.url) check.ensure(); // after Back or a reload it is looked at again
	return { ...made, check, body: [made.element, trust] };
}

export function show(route, { signal }) {
	let servers = state.status?.servers || [];
	const listRoom = h("div", { role: "radiogroup", "aria-label": "Bitbucket server" });
	const added = newServer({ servers: () => servers, next, onstate: () => {} });
	const inside = h("div.in", added.body);
	const adding = () => draft.adding || !servers.length;

	function choose(server) {
		keep({ server: server ? server.id : 0, adding: !server });
		setLeg("scm");
		draw();
	}
	function manage(server) {
		choose(server);
		go("#/setup/repositories");
	}
	function card(server) {
		const on = !adding() && server.id === draft.server,
			id = "server-" + server.id;
		return h(
			"div.card",
			{ class: on ? "on" : "" },
			h("input", { type: "radio", name: "server", id, checked: on, onchange: () => choose(server) }),
			h(
				"label",
				{ for: id },
				h("b", host(server.url)),
				h(
					"span",
					product(server, true) +
						", " +
						(server.enabled + server.blocked
							? repos(server.enabled + server.blocked) + " enabled"
							: "no repository enabled yet"),
				),
			),
			button("Manage repositories", () => manage(server), "small", { name: "Manage repositories of " + host(server.url) }),
		);
	}
	function draw() {
		const on = adding();
		fill(
			listRoom,
			servers.map(card),
			h(
				"div.card",
				{ class: on ? "on" : "" },
				h("input", {
					type: "radio",
					name: "server",
					id: "server-new",
					checked: on,
					onchange() {
						choose(null);
						added.input.focus();
					},
				}),
				h("label", { for: "server-new" }, h("b", "Add a new server")),
				on && inside,
			),
		);
	}

	async function next() {
		if (!adding()) {
			if (draft.server) go("#/setup/repositories");
			else document.getElementById("server-" + servers[0].id).focus();
			return;
		}
		if (!added.check.value()) return refuse(added, "The URL is missing", words("url_like"));
		const answer = await added.check.ensure();
		if (answer?.kind !== "ok") return added.input.focus();
		try {
			const server = await post("servers", { url: added.input.value, ...draft.given }, { signal });
			await loadStatus();
			memory.serverCheck = null;
			keep({ server: server.id, adding: false, url: "", given: {} });
			go("#/setup/repositories");
		} catch (error) {
			if (!signal.aborted) added.check.set({ kind: "bad", error, ...explain(error) });
		}
	}

	if (!draft.server && !draft.adding && servers.length === 1) keep({ server: servers[0].id });
	draw();
	get("servers", { signal })
		.then((answer) => {
			if (JSON.stringify(answer.servers.map((at) => at.id)) === JSON.stringify(servers.map((at) => at.id))) return;
			servers = answer.servers;
			draw();
		})
		.catch(() => {});
	wizardFoot({ back: "#/setup/key", next: { run: next } });
	return {
		focus: !servers.length ? added.input : null,
		nodes: part("server", servers.length ? words("choose_server") : words("no_server"), listRoom),
	};
}
