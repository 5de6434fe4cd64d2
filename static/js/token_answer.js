// The field of a token, and what the token can do for the repositories, as the answer of a live check.
import { h, light, outside, words } from "./dom.js";
import { host, list, repos, these } from "./format.js";
import { button, secretField } from "./components.js";
import { explain } from "./copy.js";

const SHOWN = 12;

export const tokenPage = (server, text) => outside(server?.url + "/plugins/servlet/access-tokens/manage", text);
export const tokenField = (help, more) =>
	secretField({ label: "Personal access token (PAT)", placeholder: "Paste the token", help, ...more });
export const asking = (server) => `Asking ${host(server?.url)} whose token this is…`;

/*
 * seen: the reply of tokens/check. leaveOut(names) offers to go on without those it cannot see, byHand() to create by hand
 * the webhooks that it may not.
 */
export function tokenAnswer(seen, names, { leaveOut, byHand } = {}) {
	const by = new Map(seen.repositories.map((repo) => [repo.repository, repo]));
	const readable = names.filter((name) => by.get(name)?.read),
		admin = names.filter((name) => by.get(name)?.admin);
	const owner = seen.owner || "Its owner",
		all = these(names, "all "),
		of = " of the " + repos(names.length),
		missing = names.filter((name) => !by.get(name)?.read),
		hands = readable.length - admin.length,
		passing = seen.repositories.find(({ error }) => error && !/^(repo|token)_/.test(error.code));
	if (admin.length === names.length)
		return {
			kind: "ok",
			title: "Token accepted. " + owner + " administers " + all,
			facts: [
				["Owner", seen.owner],
				["May", words("may_all", list(names, 3))],
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
				const { admin, read, error } = by.get(name) || {},
					[kind, text] = admin
						? ["ok", "statuses and events"]
						: read
							? ["warn", "may read: statuses only"]
							: ["bad", !error || error.code === "repo_unknown" ? "not visible to this token" : explain(error).title];
				return h("li.help", light(kind), h("b", name), " ", h("span.ink2", text));
			}),
			names.length > SHOWN && h("li.ink2", "and " + (names.length - SHOWN) + " more"),
		),
		todo: passing
			? explain(passing.error).todo
			: missing.length
				? words("use_reader")
				: words("use_admin"),
		again: Boolean(passing),
		actions: byHand &&
			readable.length > 0 && [
				missing.length > 0 &&
					button("Leave out " + these(missing), () => leaveOut(missing), "small"),
				hands > 0 &&
					button("Save, then create " + (hands > 1 ? hands + " webhooks" : "the webhook") + " by hand", byHand, "small change"),
			],
	};
}
