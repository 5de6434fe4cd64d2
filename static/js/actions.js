// What the console can do, each in its dialog: replace a token or the key, disable, drop, send a test status, replace a CA.
import { api, ApiError, get, post, query } from "./api.js";
import { h, outside, part, words } from "./dom.js";
import { count, host, now, repos, shaUrl, span, these, time } from "./format.js";
import { memory, on, state, tell } from "./state.js";
import { field, verdict } from "./components.js";
import { confirm, dialog } from "./dialogs.js";
import { liveCheck, refuse } from "./checks.js";
import { explain, inOne } from "./copy.js";
import { toast } from "./notices.js";
import { keyField, loadStatus } from "./session.js";
import { caPanel } from "./ca.js";
import { asking, tokenAnswer, tokenField, tokenPage } from "./token_answer.js";
import { follow } from "./jobs.js";

const list = (items) =>
	h(
		"ul.list",
		{ tabindex: "0", "aria-label": "Repositories" },
		items.map((item) => h("li", item)),
	);
export const nameList = (names) => names.length > 1 && list(names);

/*
 * Runs a long change to its end. What worked goes into the toast with said(repositories, results); what did not stays in the
 * dialog, each with its reason, and is then what the dialog is about. Resolves to whether all worked.
 */
async function run(box, what, body, names, said, ondone) {
	const { job } = await post("repositories/" + what, { ...body, repositories: names, async: true });
	const { results = [] } = await follow(job, () => {}, box.signal),
		bad = results.filter((result) => !result.ok),
		good = results.filter((result) => result.ok);
	if (bad.length && names.length === 1) throw new ApiError(0, bad[0].error || {});
	await loadStatus().catch(() => {});
	const worked = good.length && said(these(good.map((result) => result.repository)), good);
	if (!bad.length) toast(worked);
	tell("changed");
	if (!bad.length) return ondone?.();
	names.splice(0, names.length, ...bad.map((result) => result.repository));
	box.answer.show({
		kind: "bad",
		title: (worked ? worked + ". " : "") + "It did not work for " + repos(bad.length),
		list: list(bad.map(({ repository, error }) => [h("b", repository), ": ", inOne(error)])),
	});
	return false;
}

/* Somebody else disabled all that a dialog is about: it says who, and its action goes. */
function watch(box, server, names) {
	const look = async () => {
		if (box.act.hasAttribute("aria-busy")) return;
		const { repositories } = await get(
			"repositories" + query({ server: server.id, state: "disabled", search: names[1] ? "" : names[0], limit: 10000 }),
		);
		const off = repositories.map((repo) => repo.project + "/" + repo.slug);
		if (!names.every((name) => off.includes(name))) return;
		const { entries } = await get("audit?limit=1000"),
			by = entries.find((at) => at.action === "repository.disable" && at.subject === names[0] + " on " + server.url);
		box.act.remove();
		box.cancel.textContent = "Close";
		box.answer.show({
			kind: "warn",
			title: these(names) + (names[1] ? " are" : " is") + " disabled already",
			where: by && ["By " + by.who, by.from, "at " + time(by.time)].filter(Boolean).join(", "),
		});
	};
	on("event:repository", () => look().catch(() => {}), box.signal);
	return box;
}

/*
 * Field and live check for all the repositories. enable: those that failed while saving are enabled instead, and onjob gets
 * the job; else the token is replaced and what waits goes out at once.
 */
export function tokenDialog({ server, names: all, title, label = "Replace token", enable, onjob, ondone }) {
	const names = [...all];
	const made = tokenField(words("token_for", host(server?.url), these(names, "all ")));
	const check = liveCheck(
		made,
		async (token, signal) =>
			tokenAnswer(await post("tokens/check", { server: server.id, token, repositories: names }, { signal }), names),
		{ checking: asking(server) },
	);
	const box = dialog({
		title: title || "Replace the token of " + these(names),
		focus: made.input,
		body: [
			made.element,
			h("p.help", tokenPage(server, "Open HTTP access tokens")),
		],
		act: {
			label,
			async run() {
				const answer = await check.ensure();
				if (!answer) return refuse(made, "The token is missing");
				if (answer.kind === "bad") return refuse(made);
				const token = made.input.value.trim(),
					body = { server: server.id, token };
				if (enable) {
					memory.tokens[server.id] = token;
					onjob((await post("repositories/enable", { ...body, repositories: names, async: true })).job);
					return true;
				}
				return run(
					box,
					"token",
					body,
					names,
					(what, good) => {
						const waiting = good.reduce((sum, result) => sum + (result.waiting || 0), 0);
						return (
							"Token replaced for " +
							what +
							(waiting ? "; " + count(waiting, "update goes", "updates go") + " out now" : "")
						);
					},
					ondone,
				);
			},
		},
	});
	if (!enable) watch(box, server, names);
}

export function disableDialog({ server, names: all, waiting = 0, ondone }) {
	const names = [...all];
	const box = confirm(
		"Disable " + these(names) + "?",
		[
			h(
				"p",
				words("disabling"),
				waiting > 0 && [" ", h("b", count(waiting, "update waits", "updates wait")), " and will be dropped."],
			),
			nameList(names),
		],
		"Disable",
		() => run(box, "disable", { server: server.id }, names, (what) => what + " disabled", ondone),
	);
	watch(box, server, names);
}

/* updates: of the queue. With the command feed Eyes is told; with batches there is nobody to tell. */
export function dropDialog({ updates, ondone }) {
	const n = updates.length,
		told = /commands/.test(state.status?.eyes.source || "");
	confirm(
		n === 1 ? "Drop this update?" : "Drop " + n + " updates?",
		[
			h(
				"p",
				words("keeps"),
				told && " Eyes is told.",
			),
			nameList([...new Set(updates.map((update) => update.repository))]),
		],
		n === 1 ? "Drop" : "Drop " + n,
		async () => {
			const dropped = await eachUpdate("drop", updates);
			toast(count(dropped, "update") + " dropped");
			tell("changed");
			ondone?.();
		},
	);
}
export async function retryUpdates(updates) {
	const retried = await eachUpdate("retry", updates);
	toast(count(retried, "update is", "updates are") + " tried again");
	tell("changed");
}
/* One that is gone meanwhile was delivered or dropped elsewhere: that is no failure. */
async function eachUpdate(what, updates) {
	let done = 0;
	for (const { id } of updates) {
		try {
			await post("queue/" + what, { id });
			done++;
		} catch (error) {
			if (error.status !== 404 && error.status !== 409) throw error;
		}
	}
	return done;
}

export function keyDialog() {
	const made = keyField({
		replace: true,
		help: words("key_help"),
	});
	dialog({
		title: "Replace the Eyes API key",
		focus: made.input,
		body: made.element,
		act: {
			label: "Replace key",
			async run() {
				if (!(await made.use())) return false;
				toast("The Eyes API key is replaced");
				tell("changed");
				return true;
			},
		},
	});
}

export function caDialog(server, ondone) {
	const answer = verdict();
	const box = dialog({
		title: "Replace the CA of " + host(server.url),
		cancel: "Close",
		body: [
			caPanel({
				title: "The certificate of its CA",
				answer,
				async use(given) {
					answer.show({ kind: "checking", title: "Looking at " + host(server.url) + "…" });
					try {
						await api("PUT", "servers/" + server.id, given);
						box.close(true);
						toast("The CA of " + host(server.url) + " is replaced");
						ondone?.();
					} catch (error) {
						answer.fail(error);
					}
				},
			}),
			answer.element,
		],
	});
}

export function removeDialog(server, ondone) {
	confirm("Remove " + host(server.url) + "?", h("p", words("remove")), "Remove", async () => {
		await api("DELETE", "servers/" + server.id);
		await loadStatus().catch(() => {});
		toast(host(server.url) + " removed");
		ondone?.();
	});
}

/* The same road as a real status, seen step by step: stored, sent, answered. */
export function testDialog({ server, name, commit = "" }) {
	const answer = verdict();
	const made = field({
		label: "Commit",
		help: words("sha_help"),
		value: commit,
		placeholder: "e07b1a94c2d85f6013ab97e4d1c05f8832b6a970",
		mono: true,
	});
	function stages(update, sha) {
		const done = Boolean(update?.outcome),
			good = update?.outcome === "delivered",
			last = good ? "ok" : done ? "failed" : "running";
		const hops = [
			{ hop: "Stored", outcome: "ok", detail: "" },
			{ hop: "Sent", outcome: done ? "ok" : "running", detail: update?.attempts > 1 ? update.attempts + " tries" : "" },
			{
				hop: "Bitbucket",
				outcome: done ? last : "skipped",
				detail: good ? "in " + span(update.ms || 0) : update?.error || "",
			},
		];
		answer.show(
			!done
				? { kind: "checking", title: "On its way…", trace: hops }
				: good
					? {
							kind: "ok",
							title: "Bitbucket shows it",
							trace: hops,
							list: h(
								"p",
								outside(shaUrl({ repository: name, server: server.url, commit: sha }), "Open the commit"),
							),
						}
					: {
							kind: "bad",
							...explain({ message: update.error || "It was not delivered" }),
							trace: hops,
						},
		);
	}
	const box = dialog({
		title: "Send a test status",
		focus: made.input,
		cancel: "Close",
		body: [
			part("test", h("b", name)),
			made.element,
			answer.element,
		],
		act: {
			label: "Send",
			async run(signal) {
				const sha = made.input.value.trim().toLowerCase();
				if (!/^[0-9a-f]{40}$/.test(sha)) return refuse(made, "That is not a full SHA", words("sha_like"));
				made.edge("");
				made.verdict.clear();
				const begun = now() - 1000;
				await post("test-status", { server: server.id, repository: name, commit: sha });
				stages(null, sha);
				for (let i = 0; i < 120 && !signal.aborted; i++) {
					const found = (
						await get("updates" + query({ search: name, limit: 50 }), { signal })
					).updates.find(
						(at) => at.commit === sha && at.key === "tests/applitools-check" && new Date(at.ended) >= begun,
					);
					if (found?.outcome) {
						stages(found, sha);
						box.act.querySelector("span").textContent = "Send again";
						return false;
					}
					await new Promise((resolve) => setTimeout(resolve, 500));
				}
				answer.show({
					kind: "idle",
					title: "It still waits",
					todo: words("still_waits"),
				});
				return false;
			},
		},
	});
	watch(box, server, [name]);
	if (!commit)
		get("updates" + query({ search: name, limit: 1 }))
			.then(({ updates: [last] }) => {
				if (last?.commit && !made.input.value) made.input.value = last.commit;
			})
			.catch(() => {});
}
