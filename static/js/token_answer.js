// What a token can do for the repositories, as the answer of a live check.
import { h, light, words } from "./dom.js";
import { list, repos } from "./format.js";
import { button } from "./components.js";
import { explain } from "./copy.js";

const SHOWN = 12;

/* seen: the reply of tokens/check. leaveOut(names) offers to go on without those it cannot see. */
export function tokenAnswer(seen, names, { leaveOut } = {}) {
	const by = new Map(seen.repositories.map((repo) => [repo.repository, repo]));
	const readable = names.filter((name) => by.get(name)?.read),
		admin = names.filter((name) => by.get(name)?.admin);
	const owner = seen.owner || "Its owner",
		all = names.length === 1 ? names[0] : "all " + repos(names.length),
		of = " of the " + repos(names.length),
		missing = names.filter((name) => !by.get(name)?.read);
	if (admin.length === names.length)
		return {
			kind: "ok",
			title: "Token accepted. " + owner + " administers " + all,
			facts: [
				["Owner", seen.owner],
				["May", "set statuses and manage webhooks of " + list(names, 3)],
				["Expires", words("no_expiry")],
			],
		};
	return {
		kind: readable.length ? "warn" : "bad",
		title: missing.length
			? owner +
				" can read " +
				(readable.length ? readable.length + of : names.length === 1 ? "not " + names[0] : "none" + of)
			: names.length === 1
				? owner + " can read " + names[0] + ", and does not administer it"
				: owner + " administers " + (admin.length || "none") + of,
		list: h(
			"ul",
			names.slice(0, SHOWN).map((name) => {
				const repo = by.get(name),
					error = repo?.error;
				return h(
					"li.help",
					light(repo?.admin ? "ok" : repo?.read ? "warn" : "bad"),
					h("b", name),
					" ",
					h(
						"span.ink2",
						repo?.admin
							? "statuses and events"
							: repo?.read
								? "may read: statuses only"
								: error && error.code !== "repo_unknown"
									? explain(error).title
									: "not visible to this token",
					),
				);
			}),
			names.length > SHOWN && h("li.ink2", "and " + (names.length - SHOWN) + " more"),
		),
		todo: !readable.length
			? "Use the token of someone who can read " + (names.length === 1 ? "it." : "them.")
			: missing.length
				? words("by_hand")
				: "Use the token of someone who administers " +
					(names.length === 1 ? "it" : "all") +
					", or go on: statuses work, and the webhooks can be created by hand after Save.",
		actions: leaveOut &&
			readable.length > 0 &&
			missing.length > 0 && [
				button(
					"Leave out " + (missing.length === 1 ? missing[0] : repos(missing.length)),
					() => leaveOut(missing),
					"small",
				),
			],
	};
}
