// What needs an administrator, worst first: each cause once, with the button that repairs it.
import { get } from "./api.js";
import { capital, count, date, host, number, repos, time } from "./format.js";
import { state } from "./state.js";
import { caDialog, keyDialog, tokenDialog } from "./actions.js";
import { explain } from "./copy.js";

/* The blocked repositories, grouped by server and token owner: one token is one cause. */
export async function blockedGroups(signal) {
	if (!state.status?.repositories.blocked) return [];
	const { repositories } = await get("repositories?state=blocked&limit=500", { signal }),
		groups = new Map();
	for (const repo of repositories) {
		const code = repo.error?.code || "blocked",
			key = [repo.server.id, code, code === "token_refused" ? repo.owner : repo.project + "/" + repo.slug].join();
		const group =
			groups.get(key) ||
			groups
				.set(key, {
					server: repo.server,
					owner: repo.owner,
					code,
					error: repo.error,
					names: [],
					waiting: 0,
					since: repo.blocked_since,
				})
				.get(key);
		group.names.push(repo.project + "/" + repo.slug);
		group.waiting += repo.waiting || 0;
		if (repo.blocked_since && repo.blocked_since < group.since) group.since = repo.blocked_since;
	}
	return [...groups.values()].sort((a, b) => b.waiting - a.waiting);
}

const waits = (n) => count(n, "update waits", "updates wait");

/* Causes: {id, kind, title, text, head (as the page's heading), repair: {label, run | href, change}} */
export function causes(groups) {
	const { eyes, servers, account, store, queue, problems } = state.status,
		found = [];
	const add = (id, kind, head, title, text, repair) => found.push({ id, kind, head, title, text, repair });

	if (eyes.state === "failing") {
		const since = eyes.failing_since || eyes.last_contact;
		add(
			"eyes",
			"bad",
			"Eyes cannot be reached" + (since ? " since " + time(since).slice(0, 5) : ""),
			"Eyes cannot be reached",
			[capital(eyes.message), eyes.hint].filter(Boolean).join(". "),
		);
	} else if (eyes.state === "blocked")
		add(
			"key",
			"bad",
			"Eyes does not take the key",
			"Eyes does not take the key" + (account?.user ? " of " + account.user : ""),
			"No update comes in until it is replaced.",
			{ label: "Replace key…", run: keyDialog, change: true },
		);
	for (const server of servers) {
		if (server.state !== "failing") continue;
		const why = explain({ code: "", message: server.message, hint: server.hint });
		add(
			"server" + server.id,
			"bad",
			host(server.url) + " cannot be reached",
			host(server.url) + " cannot be reached",
			[why.title, why.todo].filter(Boolean).join(". "),
			/certificate/.test(server.message)
				? { label: "Replace CA…", run: () => caDialog(server), change: true }
				: { label: "Look at the server", href: "#/settings" },
		);
	}
	if (store?.used_percent >= 80)
		add(
			"store",
			store.used_percent >= 95 ? "bad" : "warn",
			"The store is " + store.used_percent + " % full",
			"The store is " + store.used_percent + " % full",
			"Make room or raise EYES_STORE_SIZE. Eyes and Bitbucket keep what was not taken.",
		);
	for (const group of groups) {
		const refused = group.code === "token_refused",
			n = group.names.length,
			wait = group.waiting ? ", " + waits(group.waiting) + (refused ? " for it" : "") : "";
		const title = refused
			? `${host(group.server.url)} refuses the token of ${group.owner || "its owner"}`
			: explain(group.error || {}, { host: group.server.url, name: group.names[0] }).title;
		add(
			"token" + group.names[0],
			"bad",
			(refused ? "One token is refused" : group.names[0] + " is stopped") + wait,
			title,
			[
				group.since && "Since " + time(group.since).slice(0, 5) + ".",
				n > 1 ? repos(n) : group.names[0],
				group.waiting ? ", " + waits(group.waiting) + " and will be sent in order once it is replaced." : ".",
			]
				.filter(Boolean)
				.join(" ")
				.replace(" ,", ",")
				.replace(" .", "."),
			{ label: "Replace token…", run: () => tokenDialog({ server: group.server, names: group.names }), change: true },
		);
	}
	const days = account?.expires_in_days;
	if (days !== undefined && days <= 14 && eyes.state !== "blocked")
		add(
			"expiry",
			days < 0 ? "bad" : "warn",
			days < 0 ? "The Eyes API key expired" : "The Eyes API key expires in " + count(days, "day"),
			days < 0 ? "The Eyes API key expired" : "The Eyes API key expires in " + count(days, "day"),
			"On " + date(account.expires) + ". After that no status reaches Bitbucket.",
			{ label: "Replace key…", run: keyDialog, change: true },
		);
	if (queue.dead > 0)
		add(
			"dead",
			"warn",
			count(queue.dead, "update was", "updates were") + " given up",
			count(queue.dead, "update was", "updates were") + " given up",
			"Bitbucket refuses them for good: retry or drop them.",
			{ label: "Look at them", href: "#/updates/waiting" },
		);
	if (!servers.length)
		add(
			"no_server",
			"warn",
			"No server is set up yet",
			"No Bitbucket server is set up yet",
			"Eyes is asked for updates once there is one.",
			{ label: "Add a new server", href: "#/setup/server" },
		);
	// What a newer daemon reports and this page has no words of its own for.
	const known = new Set([
		"failing",
		"blocked",
		"unconfigured",
		"key_expired",
		"key_expires",
		"no_server",
		"store_full",
		"dead",
		...groups.map((group) => group.code),
	]);
	for (const { code, message, hint } of problems)
		if (!known.has(code)) add(code, "warn", capital(message), capital(message), hint);
	return found.sort((a, b) => (a.kind === b.kind ? 0 : a.kind === "bad" ? -1 : 1));
}

/* The heading of the overview is its answer. */
export function verdictOf(found) {
	if (!found.length) return "Everything works";
	const bad = found.filter((cause) => cause.kind === "bad");
	if (found.length === 1 || bad.length === 1) return found[0].head;
	return number(found.length) + " things need you";
}
