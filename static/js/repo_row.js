// One repository of the wizard's list: its toggle, its state in words, and the drawer of an enabled one.
import { h, hidden, icon, marked, state as stateWord, words } from "./dom.js";
import { date } from "./format.js";
import { button } from "./components.js";
import { short } from "./copy.js";

export const nameOf = (repo) => repo.project + "/" + repo.slug;

/* What a toggle is: by the daemon's state, and by whether it is ticked here. */
function kindOf(repo) {
	if (repo.running) return "run";
	if (repo.state === "enabled") return "on";
	if (repo.state === "blocked") return "brk";
	return repo.selected ? "sel" : "none";
}
const WORDS = {
	run: () => h("span.t-acc", "Enabling…"),
	on: () => stateWord("ok", "Enabled"),
	brk: (repo) => stateWord("bad", short(repo.error)),
	sel: () => h("span.t-acc", "Selected"),
	none: () => "Disabled",
};

function toggle(repo, kind, on) {
	const name = nameOf(repo),
		face = h("i", { "aria-hidden": "true" });
	if (kind === "on" || kind === "brk")
		return h(
			"button.tog",
			{
				type: "button",
				class: kind,
				"data-f": "tog",
				"aria-expanded": String(Boolean(repo.open)),
				"aria-label": name + ": " + (kind === "on" ? "enabled" : short(repo.error).toLowerCase()) + ". Change",
				onclick: () => on.drawer(repo),
			},
			face,
		);
	return h(
		"button.tog",
		{
			type: "button",
			role: "switch",
			class: kind,
			"data-f": "tog",
			"aria-checked": String(kind === "sel"),
			"aria-label": name,
			"aria-disabled": kind === "run" ? "true" : null,
			"data-why": "It is being enabled.",
			onclick: (event) => on.tick(repo, event.shiftKey),
		},
		face,
	);
}

function drawer(repo, kind, on) {
	const why =
		kind === "brk"
			? [
					h("p.t-bad", repo.error?.message || words("token_gone")),
					h("p.ink2", words("new_token")),
				]
			: h(
					"p.ink2",
					"Enabled",
					repo.owner && [" with the token of ", h("b", repo.owner)],
					repo.enabled_at && " since " + date(repo.enabled_at),
					". What should change?",
				);
	return h(
		"div.drawer",
		{ onkeydown: (event) => event.key === "Escape" && on.drawer(repo) },
		why,
		h(
			"div.row",
			button("Use a new token…", () => on.replace(repo), "small change"),
			button("Disable…", () => on.disable(repo), "small danger change"),
			button("Keep as it is", () => on.drawer(repo), "small quiet"),
		),
	);
}

/* repo: as the API lists it, with selected, running, open and search (what to mark) added. on: tick, drawer, replace, disable. */
export function repoRow(repo, on) {
	const kind = kindOf(repo),
		name = nameOf(repo);
	const access = repo.archived
		? h("span.chip", "archived")
		: repo.access === "admin"
			? h("span.chip", "admin")
			: repo.access === "read"
				? h(
						"span.chip.ro",
						{ title: "Statuses only with this token" },
						icon("lock"),
						"read only",
						hidden(", statuses only with this token"),
					)
				: null;
	return h(
		"li.repo",
		{ class: kind === "sel" ? "on" : "", "data-name": name },
		h(
			"div.line",
			toggle(repo, kind, on),
			h(
				"span.nm",
				{ title: repo.name && repo.name !== repo.slug ? name + " (" + repo.name + ")" : name },
				marked(repo.slug, repo.search),
			),
			access,
			h("span.st", WORDS[kind](repo)),
		),
		repo.open && (kind === "on" || kind === "brk") && drawer(repo, kind, on),
	);
}
