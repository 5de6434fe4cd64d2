// Save: each repository on its own, each of its halves shown apart. It goes on when the page is left; coming back shows it.
import { findRepo, post } from "./api.js";
import { follow } from "./jobs.js";
import { fill, h, keyed, later, light, state as stateWord, words } from "./dom.js";
import { list, number, repos, span } from "./format.js";
import { draft, keep, memory, server as serverOf, setLeg, ticks } from "./state.js";
import { button, cell, progress, row, table, verdict } from "./components.js";
import { explain } from "./copy.js";
import { wizardFoot } from "./frame.js";
import { loadStart, loadStatus } from "./session.js";
import { tokenDialog } from "./actions.js";
import { byHandDialog, halfWords } from "./webhooks.js";
import { go } from "./router.js";

const MANY = 12;

export function show(route, { signal }) {
	const server = serverOf(draft.jobServer),
		names = draft.jobNames,
		begun = performance.now();
	const heading = h("h1"),
		lead = h("p.lead"),
		bar = progress("Enabling"),
		count = h("p.ink2"),
		announce = h("span.vh", { role: "status" }),
		problem = verdict();
	const rows = table("Repositories", ["Repository", "Statuses", "Events", { label: "State", class: "end" }]);
	const results = new Map(Object.entries(draft.results)),
		left = new Set(), // what is to stay as it is
		running = new Set(names.filter((name) => !draft.results[name])); // by name
	let over = false;

	const say = later((text) => (announce.textContent = text), 3000);
	signal.addEventListener("abort", () => say.stop());

	/* A run for the webhooks alone says nothing new of the statuses. */
	function take(job) {
		for (const result of job.results || []) {
			const was = results.get(result.repository);
			results.set(result.repository, hooksOnly && was ? { ...was, events: result.events || result } : result);
			running.delete(result.repository);
		}
		const good = names.filter(enabled);
		for (const name of good) delete (draft.ticks[draft.jobServer] || {})[name];
		keep({ results: Object.fromEntries(results), enabled: [...new Set([...draft.enabled, ...good])] });
		draw();
	}
	const enabled = (name) => Boolean(results.get(name)?.ok && !running.has(name));
	const without = (name) => enabled(name) && results.get(name).events?.ok === false;
	const failed = (name) => results.get(name)?.ok === false && !running.has(name) && !left.has(name);

	function title(good, some) {
		const all = names.filter((name) => enabled(name) || !left.has(name)).length,
			which = all === 1 ? (good ? names.find(enabled) : names[0]) : repos(all);
		if (running.size && !over) return "Enabling " + which;
		if (good && good === all)
			return (
				which +
				(all === 1 ? " is" : " are") +
				" enabled" +
				(some ? (all > 1 ? ", " + (some === 1 ? "one" : some) : "") + " without events" : "")
			);
		return good
			? good + " of " + which + " are enabled"
			: (all === 1 ? which + " is not" : "None of " + which + " is") + " enabled";
	}
	const halfOf = ([kind, words]) => h("span.state", light(kind), words);
	function makeRow({ name, trouble, is, half, kind, word }) {
		if (trouble) return troubleRow(name, trouble, is);
		return row(
			[
				cell("name", name),
				cell("", halfOf(kind === "spin" ? [kind, "checking the token"] : is ? ["ok", "ready"] : ["bad", "not set up"])),
				cell("", kind !== "spin" && halfOf(is ? halfWords(half) : ["off", "not set up"])),
				cell("st end", kind === "spin" ? h("span.t-acc", word) : stateWord(kind, word)),
			],
			{ class: "plain" },
		);
	}
	/* is: its statuses work, so only the events are missing. */
	function troubleRow(name, error, is) {
		const answer = verdict(),
			admin = error.code === "not_admin",
			act = (label, run, kind = "") => button(label, run, "small change " + kind, { name: label + " " + name });
		answer.show({
			kind: admin ? "warn" : "bad",
			...explain(error),
			actions: [
				admin && act("Create the webhook by hand…", () => byHand(name), "primary"),
				act("Retry", () => retry([name], is), /^(token_r|repo_u|not_a)/.test(error.code) ? "" : "primary"),
				act("Use another token…", () => other([name])),
				act(
					is ? "Leave it at statuses" : "Leave it out",
					() => {
						left.add(name);
						draw();
					},
					"quiet",
				),
			],
		});
		return row([h("td", { role: "cell", colspan: "4" }, answer.element)], { class: "plain wide" });
	}

	function draw() {
		const good = names.filter(enabled),
			some = names.filter(without),
			bad = names.filter(failed);
		const listed =
			names.length > MANY
				? names.filter((name) => !enabled(name) || (without(name) && !left.has(name))).slice(0, 100)
				: names;
		heading.textContent = title(good.length, some.length);
		lead.textContent = over
			? bad.length
				? words("half_made")
				: (good.length === 1 ? "It gets its" : "All get their") + " statuses from now on."
			: words("leave_page");
		bar.set(
			{ done: good.length - some.length, warn: some.length, bad: bad.length },
			names.length - names.filter((name) => left.has(name) && !enabled(name)).length,
		);
		const done = good.length + bad.length,
			pace = (performance.now() - begun) / Math.max(1, done);
		count.textContent = [
			number(good.length) + " done",
			some.length && number(some.length) + " without events",
			bad.length && number(bad.length) + " failed",
			!over && running.size && number(running.size) + " to go",
			!over && done >= 5 && performance.now() - begun > 5000 && "about " + span(pace * running.size) + " left",
		]
			.filter(Boolean)
			.join(", ");
		say(count.textContent);
		rows.element.parentNode.hidden = !listed.length;
		keyed(
			rows.body,
			listed.flatMap((name) => {
				const { error, statuses, events: half } = results.get(name) || {},
					is = enabled(name),
					at = { name, is, half };
				if (running.has(name)) Object.assign(at, { kind: "spin", word: "Enabling…" });
				else if (is)
					Object.assign(
						at,
						half?.ok === false ? { kind: "warn", word: "Statuses only" } : { kind: "ok", word: "Enabled" },
					);
				else Object.assign(at, left.has(name) ? { kind: "off", word: "Left out" } : { kind: "bad", word: "Failed" });
				const trouble =
					!left.has(name) && (failed(name) ? error || statuses?.error || {} : without(name) && (half.error || {}));
				return trouble ? [at, { name, is, trouble }] : [at];
			}),
			(item) => item.name + Boolean(item.trouble),
			makeRow,
		);
		if (running.size && !over) setLeg("scm", "spin", "enabling");
		else if (bad.length) setLeg("scm", good.length ? "warn" : "bad", bad.length + " failed");
		else setLeg("scm", some.length ? "warn" : "ok", some.length ? some.length + " without events" : good.length + " enabled");
		const missing = some.filter((name) => !left.has(name));
		fill(
			foot.mid,
			over &&
				(bad.length > 1
					? button("Retry the " + bad.length + " that failed", () => retry(bad), "change")
					: missing.length > 1 &&
						button("Retry the events of " + missing.length, () => retry(missing, true), "change")),
		);
	}

	/* Only those asked for are done again; the others stay as they are. */
	async function retry(which, hooks) {
		const token = memory.tokens[draft.jobServer];
		if (!token && !hooks) return other(which);
		problem.clear();
		try {
			const { job } = await post(
				hooks ? "webhooks/repair" : "repositories/enable",
				{ server: draft.jobServer, repositories: which, token: hooks ? undefined : token, async: true },
				{ signal },
			);
			await watch(job, which, hooks);
		} catch (error) {
			if (!signal.aborted) problem.show({ kind: "bad", ...explain(error) });
		}
	}
	const other = (which) =>
		tokenDialog({
			server,
			names: which,
			title: "Use another token for " + list(which, 2),
			enable: true,
			label: "Save",
			onjob: (job) => watch(job, which).catch(() => {}),
		});
	async function byHand(name) {
		try {
			const repo = await findRepo(server.id, name);
			await byHandDialog({
				server,
				repo: repo.id,
				name,
				ondone() {
					results.get(name).events = { ok: true, state: "ok" };
					keep({ results: Object.fromEntries(results) });
					draw();
				},
			});
		} catch (error) {
			if (!signal.aborted) problem.show({ kind: "bad", ...explain(error) });
		}
	}

	let hooksOnly = false;
	async function watch(job, which = names, hooks = false) {
		over = false;
		hooksOnly = hooks;
		which.forEach((name) => running.add(name));
		draw();
		keep({ job, jobHooks: hooks });
		try {
			await follow(job, take, signal);
		} catch (error) {
			if (signal.aborted) return;
			// The daemon forgot the job (it was restarted): what is enabled is in the console.
			problem.show({
				kind: "warn",
				title: error.status === 404 ? "This run is not known any more" : explain(error).title,
				todo: error.status === 404 ? words("restarted") : explain(error).todo,
			});
			running.clear();
		}
		over = true;
		running.clear();
		await Promise.all([loadStart(), loadStatus()]).catch(() => {});
		if (signal.aborted) return;
		draw();
		if (!names.some(failed) && document.activeElement === document.body) heading.focus();
	}

	const panel = h("div.panel", rows.element);
	const foot = wizardFoot({
		back: Object.keys(ticks()).length ? "#/setup/token" : "#/setup/repositories",
		next: {
			label: "Finish",
			run() {
				if (draft.enabled.length) go("#/setup/done");
				else go("#/setup/token");
			},
		},
	});
	draw();
	return {
		nodes: [h("div", heading, lead), h("div.stack", bar.element, h("div", count, announce), problem.element, panel)],
		ready: () => watch(draft.job, [...running], draft.jobHooks), // after a reload only the last run is asked about
	};
}
