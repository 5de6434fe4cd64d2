// The events half: what a webhook's state is called, looking at webhooks and putting them right, and the one made by hand.
import { post } from "./api.js";
import { h, icon, outside, words } from "./dom.js";
import { count } from "./format.js";
import { tell } from "./state.js";
import { button, facts } from "./components.js";
import { dialog } from "./dialogs.js";
import { explain } from "./copy.js";
import { toast } from "./notices.js";

const LOOK_EVERY = 10000;

const STATES = {
	new: ["run", "Being set up"],
	ok: ["ok", "Working"],
	failing: ["warn", "Do not arrive"],
	manual: ["off", "Statuses only"],
	broken: ["bad", "Webhook broken"],
	conflict: ["warn", "Changed back"],
	removing: ["run", "Being removed"],
};
/* Light and word of a repository's events. */
export const hookState = (events) =>
	events?.by_hand && events.state === "ok" ? ["ok", "Webhook by hand"] : STATES[events?.state] || ["off", "Statuses only"];

/* What was done for one half of the Save, as [light, words]. */
export function halfWords(half) {
	if (!half) return ["off", "not asked for"];
	if (half.done === false) return ["off", "not known"];
	const failing = half.state === "failing",
		{ outcome, status } = half.test || {};
	if (!half.ok && !failing)
		return half.state === "manual" ? ["off", "needs repository admin"] : ["bad", "webhook not created"];
	return [
		failing || /^(failed|error)/.test(outcome) ? "warn" : "ok",
		"webhook " +
			(half.made ? "created" : half.repaired ? "put right" : "found as it should be") +
			(outcome && outcome !== "none" ? (status ? ", test answered " + status : ", test not answered") : ""),
	];
}

/* "push, pull request opened, source branch updated" of Bitbucket's names */
export const eventWords = (names = []) =>
	names
		.map((name) => name.replace("repo:refs_changed", "push").replace("from_ref", "source branch").replace("_", " "))
		.join(", ")
		.replace("pr:", "pull request ")
		.replace(/pr:/g, "");

/* what: "check" or "repair". Resolves to the rows. */
export const askHooks = (what, server, repositories, signal) =>
	post("webhooks/" + what, { server: server.id, repositories }, { signal }).then((answer) => answer.results);

/* The same for the console: the answer goes into the toast. */
export async function hooksToast(what, server, names) {
	const results = await askHooks(what, server, names),
		bad = results.filter(({ events }) => !events?.ok || events.state === "failing");
	toast(
		bad.length
			? words(
					"hooks_not",
					bad.length,
					count(results.length, "webhook"),
					explain(bad[0].events?.error || bad[0].error || { message: words("no_events") }).title,
				)
			: words(results.length > 1 ? "hooks_are" : "hook_is", results.length),
	);
	tell("changed");
}

function copyable(name, value, text = value) {
	const at = h("code", text),
		copy = h(
			"button.btn.icon.small",
			{
				type: "button",
				"aria-label": "Copy " + name,
				onclick() {
					getSelection().selectAllChildren(at);
					document.execCommand("copy"); // navigator.clipboard is not there without TLS
					copy.replaceChildren(icon("check"));
				},
			},
			icon("copy"),
		);
	return h("span.copy", at, copy);
}

/*
 * What to enter in Bitbucket; looked for every 10 s and on the button. rest: the names that come after it; onclose(whether
 * they do).
 */
export async function byHandDialog({ server, repo, name, rest = [], ondone, onclose }) {
	const { name: title, url, secret, events } = await post("repositories/" + repo + "/webhook/by-hand", {}),
		[project, slug] = name.split("/");
	let busy = false;
	async function look(quiet) {
		if (busy) return false;
		busy = true;
		try {
			const [{ events: half = {} }] = await askHooks("check", server, [name]);
			if (half.ok && box.element.isConnected) {
				toast("The webhook of " + name + " is found");
				tell("changed");
				ondone?.();
				box.close(true);
			} else if (!quiet)
				box.answer.show({
					kind: "idle",
					...explain(half.error || { message: "It is not there yet", hint: words("save_first") }),
				});
		} catch (error) {
			if (!quiet) throw error;
		} finally {
			busy = false;
		}
		return false;
	}
	const box = dialog({
		title: words("make_hook"),
		cancel: "Close",
		onclose(done) {
			clearInterval(timer);
			onclose?.(done);
		},
		body: [
			h(
				"p",
				"In " + name + ": ",
				outside(
					`${server.url}/plugins/servlet/webhooks/projects/${encodeURIComponent(project)}/repos/${encodeURIComponent(slug)}`,
					"Repository settings, Webhooks",
				),
				", ",
				h("b", "Create webhook"),
				".",
			),
			facts([
				["Name", copyable("the name", title)],
				["URL", copyable("the URL", url)],
				["Secret", secret && [copyable("the secret", secret), h("div.help", "Shown only now.")]],
				["Events", copyable("the events", eventWords(events))],
			]),
			h("p.help", words("looked_for")),
			rest.length > 0 && h("p", button("Next: " + rest[0], () => box.close(true), "small"), ` ${rest.length} more after this`),
		],
		act: { label: "I have made it, check", run: () => look() },
	});
	const timer = setInterval(look, LOOK_EVERY, true);
}
