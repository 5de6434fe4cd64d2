// What needs an administrator, worst first: each cause once, with the button that repairs it.
import { get, query } from "./api.js";
import { words } from "./dom.js";
import { count, host, number, repos, time } from "./format.js";
import { enabled, state } from "./state.js";
import { caDialog, keyDialog, tokenDialog } from "./actions.js";
import { explain, inOne } from "./copy.js";
import { repositoryHash } from "./router.js";

/* The blocked repositories, grouped by server and token owner: one token is one cause. */
export async function blockedGroups(signal) {
	if (!state.status?.repositories.blocked) return [];
	const { repositories } = await get("repositories?state=blocked&limit=500", { signal }),
		groups = new Map();
	for (const repo of repositories) {
		const code = repo.error?.code || "blocked",
			key = [repo.server.id, code, code === "token_refused" ? repo.owner : repo.project + "/" + repo.slug].join();
		const group =
			groups.get(key) || groups.set(key, { ...repo, code, names: [], waiting: 0, since: repo.blocked_since }).get(key);
		group.names.push(repo.project + "/" + repo.slug);
		group.waiting += repo.waiting || 0;
		if (repo.blocked_since && repo.blocked_since < group.since) group.since = repo.blocked_since;
	}
	return [...groups.values()].sort((a, b) => b.waiting - a.waiting);
}

const REPLACE_KEY = { label: "Replace key…", run: keyDialog, change: true };
const waiting = (n) => count(n, "update waits", "updates wait");

/* What the page can do about a problem that the daemon tells. */
function repairOf(code, message) {
	if (/^key_/.test(code)) return REPLACE_KEY;
	if (code === "dead") return { label: "Look at them", href: "#/updates/waiting" };
	if (code === "no_server") return { label: "Add a new server", href: "#/setup/server" };
	if (/^events_/.test(code)) return { label: "Look at the events", href: "#/updates/events" };
	if (/^(webhook|repo|delivery)_/.test(code))
		return { label: "Look at the webhook", href: "#/repositories" + query({ q: /[^\s:]+\/[^\s:]+/.exec(message)?.[0] }) };
	return null;
}

/* Causes: {id, kind, title, text, head (as the page's heading), repair: {label, run | href, change}} */
export function causes(groups) {
	const { eyes, servers, account, problems } = state.status,
		found = [];
	const add = (id, kind, title, text, repair, head = title) => found.push({ id, kind, title, text, repair, head });

	if (eyes.state === "failing") {
		const since = eyes.failing_since || eyes.last_contact;
		add(
			"eyes",
			"bad",
			"Eyes cannot be reached",
			inOne(eyes),
			null,
			"Eyes cannot be reached" + (since ? " since " + time(since).slice(0, 5) : ""),
		);
	} else if (eyes.state === "blocked")
		add(
			"key",
			"bad",
			"Eyes does not take the key" + (account?.user ? " of " + account.user : ""),
			words("no_update"),
			REPLACE_KEY,
		);
	for (const server of servers) {
		if (server.state !== "failing") continue;
		add(
			"server" + server.id,
			"bad",
			host(server.url) + " cannot be reached",
			inOne(server),
			/certificate/.test(server.message)
				? { label: "Replace CA…", run: () => caDialog(server), change: true }
				: { label: "Look at the server", href: "#/settings" },
		);
	}
	for (const group of groups) {
		const refused = group.code === "token_refused",
			n = group.names.length,
			wait = group.waiting ? ", " + waiting(group.waiting) + (refused ? " for it" : "") : "";
		const title = refused
			? words("refuses", host(group.server.url), group.owner || "its owner")
			: explain(group.error || {}).title;
		add(
			"token" + group.names[0],
			"bad",
			title,
			(group.since ? "Since " + time(group.since).slice(0, 5) + ". " : "") +
				(n > 1 ? repos(n) : group.names[0]) +
				(group.waiting ? ", " + waiting(group.waiting) + " " + words("sent_then") : "."),
			/^repo_/.test(group.code)
				? { label: "Look at it", href: repositoryHash(group.server.id, group.names[0]) }
				: {
						label: "Replace token…",
						run: () => tokenDialog({ server: group.server, names: group.names }),
						change: true,
					},
			(refused ? "One token is refused" : group.names[0] + " is stopped") + wait,
		);
	}
	const known = new Set(["failing", "blocked", "unconfigured", ...groups.map((group) => group.code)]);
	for (const problem of problems) {
		const { code, message } = problem,
			repair = repairOf(code, message),
			{ title, where, todo } = explain(problem);
		if (!known.has(code) || /^store/.test(message))
			add(
				code + message,
				/expired|full|blocked/.test(code) ? "bad" : "warn",
				title,
				[where, !repair?.run && todo].filter(Boolean).join(". "),
				repair,
			);
	}
	if (servers.length && !enabled())
		add("start", "wait", "No repository is enabled yet", words("choose_some"), {
			label: "Manage repositories",
			href: "#/setup/server",
		});
	return found.sort((a, b) => (a.kind === b.kind ? 0 : a.kind === "bad" ? -1 : 1));
}

/* The heading of the overview is its answer. */
export function verdictOf(found) {
	if (!found.length) return "Everything works";
	const bad = found.filter((cause) => cause.kind === "bad");
	if (found.length === 1 || bad.length === 1) return found[0].head;
	return number(found.length) + " things need you";
}
