// What a token can do for the repositories, as the answer of a live check.
import { h, light } from "./dom.js";
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
		all = names.length === 1 ? names[0] : "all " + repos(names.length);
	if (readable.length === names.length) {
		return {
			kind: "ok",
			title: "Token accepted. " + owner + (admin.length === names.length ? " administers " : " can read ") + all,
			facts: [
				["Owner", seen.owner],
				["May", "set statuses of " + list(names, 3)],
				[
					"Webhooks",
					admin.length === names.length
						? "could be managed with it, once eyes-scm has them"
						: admin.length + " of " + names.length + " could be managed with it, once eyes-scm has them",
				],
				["Expires", "Bitbucket does not tell. eyes-scm warns as soon as it is refused."],
			],
		};
	}
	const missing = names.filter((name) => !by.get(name)?.read);
	return {
		kind: readable.length ? "warn" : "bad",
		title:
			owner +
			" can read " +
			(readable.length
				? readable.length + " of the " + names.length + " repositories"
				: names.length === 1
					? "not " + names[0]
					: "none of the " + names.length + " repositories"),
		list: h(
			"ul",
			null,
			names.slice(0, SHOWN).map((name) => {
				const repo = by.get(name);
				return h(
					"li.help",
					null,
					light(repo?.read ? "ok" : "bad"),
					h("b", null, name),
					" ",
					h(
						"span.ink2",
						null,
						repo?.read
							? "statuses"
							: repo?.error && repo.error.code !== "repo_unknown"
								? explain(repo.error, { name }).title
								: "not visible to this token",
					),
				);
			}),
			names.length > SHOWN && h("li.ink2", null, "and " + (names.length - SHOWN) + " more"),
		),
		todo: readable.length
			? "Use the token of someone who can read all, or go on without:"
			: "Use the token of someone who can read " + (names.length === 1 ? "it." : "them."),
		actions:
			leaveOut && readable.length
				? [
						button(
							"Leave out " + (missing.length === 1 ? missing[0] : repos(missing.length)),
							() => leaveOut(missing),
							{ kind: "small" },
						),
					]
				: [],
	};
}
