// What stands around every screen: header, side column, foot of the wizard.
import { fill, h, icon, light } from "./dom.js";
import { host, number, product, repos } from "./format.js";
import { button, menu } from "./components.js";
import { chosenServer, draft, enabled, on, state, stored, ticked, waits } from "./state.js";
import { signOut } from "./session.js";

const side = document.getElementById("side"),
	foot = document.getElementById("foot");
const appearance = document.getElementById("appearance"),
	account = document.getElementById("account");
const live = document.getElementById("live");

/* ---- header ---- */

const LOCAL = "localStorage";
let noSlash = stored(LOCAL, "eyes-scm-slash") === "off";
export const slashSearches = () => !noSlash;

function setTheme(theme) {
	stored(LOCAL, "eyes-scm-theme", theme);
	if (theme) document.documentElement.dataset.theme = theme;
	else delete document.documentElement.dataset.theme;
}

fill(
	appearance,
	menu("theme", "Appearance", () => [
		...[
			["As the system", ""],
			["Light", "light"],
			["Dark", "dark"],
		].map(([label, theme]) => ({
			label,
			radio: true,
			checked: (document.documentElement.dataset.theme || "") === theme,
			run: () => setTheme(theme),
		})),
		{
			label: "/ goes to the search",
			checked: !noSlash,
			run: () => stored(LOCAL, "eyes-scm-slash", (noSlash = !noSlash) ? "off" : ""),
		},
	]),
);

const WORDS = { live: ["ok", "Live"], reconnecting: ["warn", "Reconnecting…"], lost: ["warn", "Not connected"] };
function drawHeader() {
	const name = state.start?.host || "";
	document.getElementById("host").textContent = name;
	const [kind, word] = WORDS[state.link] || [];
	fill(live, kind && [light(kind), word]);
	if (!state.account) fill(account);
	else if (!account.firstChild)
		fill(
			account,
			menu("user", "Account", () => [
				[state.account.user && "Key of " + state.account.user, state.account.team && "team " + state.account.team]
					.filter(Boolean)
					.join(", "),
				{ label: "Sign out", run: signOut },
			]),
		);
}
on("link", drawHeader);
on("session", drawHeader);

/* ---- side column ---- */

const STEPS = [
	["eyes", "Eyes server", () => host(state.start?.configured?.eyes_url?.value)],
	["source", "Source control system", () => "Bitbucket"],
	["key", "Eyes API key", () => state.account?.user || ""],
	[
		"server",
		"Server",
		() => chosenServer() && host(chosenServer().url) + " · " + product(chosenServer()).replace(/^.* /, ""),
	],
	["repositories", "Repositories", () => (ticked().length ? ticked().length + " selected" : "")],
	["token", "Token", () => ""],
];
export const steps = () =>
	STEPS.filter(
		([name]) =>
			name !== "eyes" || draft.withEyes || !state.start?.configured?.eyes_url || !state.start?.configured?.organization,
	);
const placeOf = (name) => (name === "save" || name === "done" ? "token" : name);

/* "Step 3 of 5: Server" */
export function stepTitle(name) {
	const all = steps(),
		at = all.findIndex(([step]) => step === placeOf(name));
	return `Step ${at + 1} of ${all.length}: ${all[at][1]}`;
}

let current = { kind: "none", name: "" };
function drawSide() {
	document.body.classList.toggle("bare", current.kind === "none");
	if (current.kind === "none") fill(side);
	else if (current.kind === "wizard") drawSteps();
	else drawSections();
}

function drawSteps() {
	const all = steps(),
		at = all.findIndex(([name]) => name === placeOf(current.name)),
		over = current.name === "done" || current.name === "save";
	side.setAttribute("aria-label", "Steps");
	fill(
		side,
		h(
			"div.steps",
			h(
				"ol",
				all.map(([name, title, answer], i) => {
					const done = i < at || (i === at && current.name === "done"),
						now = i === at && !done;
					return h(
						"li",
						{ class: done ? "done" : now ? "now" : "" },
						h("span.n", { "aria-hidden": "true" }, done ? icon("check") : i + 1),
						done && !over
							? h("a.t", { href: "#/setup/" + name }, title)
							: h("span.t", { "aria-current": now ? "step" : null }, title),
						(done || over) && h("span.s.cut", { title: answer() || null }, answer() || ""),
					);
				}),
			),
			h("p.stepline", { "aria-hidden": "true" }, `Step ${at + 1} of ${all.length} · `, h("b", all[at]?.[1])),
		),
	);
}

function drawSections() {
	const status = state.status,
		counts = status?.queue || {};
	const stuck = (counts.blocked || 0) + (counts.dead || 0) > 0;
	const sections = [
		["overview", "Overview"],
		["repositories", "Repositories", enabled()],
		["updates/recent", "Updates", waits(counts) + (counts.dead || 0), stuck && "t-bad"],
		["settings", "Settings"],
		["audit", "Audit trail"],
	];
	const scrolled = side.querySelector("ul")?.scrollLeft;
	side.setAttribute("aria-label", "Sections");
	fill(
		side,
		h(
			"div.sections",
			h(
				"ul",
				sections.map(([path, title, n, colour]) => {
					const now = path.split("/")[0] === current.name;
					return h(
						"li",
						h(
							"a",
							{
								href: "#/" + (path === "updates/recent" && n ? "updates/waiting" : path),
								"aria-current": now ? "page" : null,
							},
							title,
							n > 0 &&
								h(
									"span.n",
									{ class: colour || "", "aria-label": path[0] === "u" ? n + " not delivered" : repos(n) },
									number(n),
								),
						),
					);
				}),
			),
		),
	);
	const list = side.querySelector("ul"),
		here = list.querySelector("[aria-current]");
	if (scrolled) list.scrollLeft = scrolled;
	else if (here && list.scrollWidth > list.clientWidth) list.scrollLeft = here.offsetLeft - 40;
}

export function showSide(kind, name) {
	current = { kind, name };
	drawSide();
	drawHeader();
}
on("status", () => current.kind === "console" && !side.contains(document.activeElement) && drawSections());
on("steps", () => current.kind === "wizard" && drawSteps());

/* ---- foot of the wizard ---- */

/* back: hash; mid: node or text; next: {label, run, href}. Returns {mid, next} to change them later. */
export function wizardFoot({ back, mid, end, next }) {
	const middle = h("div.mid", { class: end ? "end" : "" }, mid);
	const go = next && button(next.label || "Next", next.run, "primary go " + (next.change ? "change" : ""));
	fill(foot, h("div.foot", h("div", back && h("a.btn", { href: back }, "Back"), middle, go)));
	return { mid: middle, next: go };
}
export const noFoot = () => fill(foot);
