// Save: each repository on its own, each of its halves shown apart. It goes on when the page is left; coming back shows it.
import { findRepo, post } from "./api.js";
import { fill, h, keyed, later, light, state as stateWord, words } from "./dom.js";
import { list, number, span, these } from "./format.js";
import { draft, keep, memory, server as serverOf, setLeg, ticks } from "./state.js";
import { button, cell, progress, row, table, verdict } from "./components.js";
import { explain } from "./copy.js";
import { wizardFoot } from "./frame.js";
import { loadStart, loadStatus } from "./session.js";
import { tokenDialog } from "./actions.js";
import { follow } from "./jobs.js";
import { byHandDialog, halfWords } from "./webhooks.js";
import { go } from "./router.js";

const MANY = 12;

export function show(route, { signal }) {
	const server = serverOf(draft.jobServer),
		names = draft.jobNames;
	const heading = h("h1"),
		lead = h("p.lead"),
		bar = progress("Enabling"),
		count = h("p.ink2"),
		announce = h("span.vh", { role: "status" }),
		problem = verdict();
	const rows = table("Repositories", ["Repository", "Statuses", "Events", { label: "State", class: "end" }]);
	const results = new Map(Object.entries(draft.results)),
		left = new Set(), // what is to stay as it is
		ready = (name) => results.get(name)?.ok, // its statuses
		eventsOf = (name) => results.get(name)?.events,
		waits = (name) => ready(name) && eventsOf(name)?.done === false,
		running = new Set(names.filter((name) => !results.has(name) || waits(name))); // one half is not over
	let over = false,
		since = 0, // when only webhooks were left to be made, and how many
		toMake = 0;

	const say = later((text) => (announce.textContent = text), 3000);
	signal.addEventListener("abort", () => say.stop());

	/* A run for the webhooks alone says nothing new of the statuses. */
	function take(job) {
		for (const result of job.results || []) {
			const was = results.get(result.repository);
			results.set(result.repository, hooksOnly && was ? { ...was, events: result.events || result } : result);
			if (job.state === "done" || !waits(result.repository)) running.delete(result.repository);
		}
		const good = names.filter(ready);
		for (const name of good) delete (draft.ticks[draft.jobServer] || {})[name];
		keep({ results: Object.fromEntries(results), enabled: [...new Set([...draft.enabled, ...good])] });
		draw();
	}
	const enabled = (name) => Boolean(ready(name) && !running.has(name));
	const without = (name) => enabled(name) && (eventsOf(name)?.ok === false || waits(name));
	const failed = (name) => ready(name) === false && !running.has(name) && !left.has(name);
	const errorOf = (name) => (failed(name) ? results.get(name) : eventsOf(name)).error || {};
	const manual = () => names.filter((name) => without(name) && !left.has(name) && errorOf(name).code === "not_admin");
	const hopeless = (name) => /^(token_r|repo_|not_a)/.test(errorOf(name).code); // with the same token

	function title(good, some) {
		const of = names.filter((name) => enabled(name) || !left.has(name)),
			all = of.length,
			which = these(of);
		if (running.size && !over) return "Enabling " + which;
		if (!good) return (all > 1 ? "None of " + which + " is" : which + " is not") + " enabled";
		if (good < all) return good + " of " + which + " are enabled";
		return (
			which +
			(all > 1 ? " are" : " is") +
			" enabled" +
			(some ? (all > 1 ? ", " + (some > 1 ? some : "one") : "") + " without events" : "")
		);
	}
	const halfOf = ([kind, text]) => h("span.state", light(kind), text);
	function makeRow({ name, trouble, is, half, kind, word, alone }) {
		if (trouble) return troubleRow(name, trouble, is, alone);
		const spins = kind === "spin",
			none = ["off", word === "Not known" ? "not known" : "not set up"];
		return row(
			[
				cell("name", name),
				cell(
					"",
					halfOf(is ? ["ok", "ready"] : spins ? [kind, "checking the token"] : kind === "bad" ? [kind, "not set up"] : none),
				),
				cell("", halfOf(spins ? (is ? [kind, "creating the webhook"] : ["off", "not yet"]) : is ? halfWords(half) : none)),
				cell("st end", spins ? h("span.t-acc", word) : stateWord(kind, word)),
			],
			{ class: "plain" },
		);
	}
	/* is: its statuses work, so only the events are missing. alone: no other webhook is to be made by hand. */
	function troubleRow(name, error, is, alone) {
		const answer = verdict(),
			admin = error.code === "not_admin",
			arrives = error.code !== "delivery_failed",
			act = (label, run, kind = "") => button(label, run, "small change " + kind, { name: label + " " + name });
		answer.show({
			kind: admin || !arrives ? "warn" : "bad",
			...explain(error),
			actions: [
				admin && alone && act("Create the webhook by hand…", () => byHand([name]), "primary"),
				act("Retry", () => retry([name], is), hopeless(name) ? "" : "primary"),
				arrives && act("Use another token…", () => other([name])),
				act(
					!arrives ? "Leave it as it is" : is ? "Leave it at statuses" : "Leave it out",
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
			bad = names.filter(failed),
			gone = names.filter((name) => left.has(name) && !enabled(name)),
			halves = names.filter((name) => running.has(name) && ready(name)),
			missing = some.filter((name) => !left.has(name)),
			hands = manual();
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
			{ done: 2 * good.length - some.length + halves.length, warn: some.length, bad: 2 * bad.length },
			2 * (names.length - gone.length),
		);
		if (halves.length < running.size) since = 0;
		else if (!since) {
			since = performance.now();
			toMake = running.size;
		}
		const made = toMake - running.size,
			took = performance.now() - since;
		count.textContent = [
			number(good.length) + " done",
			some.length && number(some.length) + " without events",
			bad.length && number(bad.length) + " failed",
			running.size && number(running.size) + " to go",
			running.size > 0 && since && made >= 5 && took > 5000 && "about " + span((took / made) * running.size) + " left",
		]
			.filter(Boolean)
			.join(", ");
		say(count.textContent);
		rows.element.parentNode.hidden = !listed.length;
		keyed(
			rows.body,
			listed.flatMap((name) => {
				const is = Boolean(ready(name)),
					[kind, word] = running.has(name)
						? ["spin", "Enabling…"]
						: without(name)
							? ["warn", "Statuses only"]
							: is
								? ["ok", "Enabled"]
								: left.has(name)
									? ["off", "Left out"]
									: results.has(name)
										? ["bad", "Failed"]
										: ["off", "Not known"];
				const at = { name, is, half: eventsOf(name), kind, word };
				const trouble = (failed(name) || (missing.includes(name) && !waits(name))) && errorOf(name);
				return trouble ? [at, { name, is, trouble, alone: hands.length < 2 }] : [at];
			}),
			(item) => item.name + Boolean(item.trouble),
			makeRow,
		);
		if (running.size && !over) setLeg("scm", "spin", "enabling");
		else if (bad.length) setLeg("scm", good.length ? "warn" : "bad", bad.length + " failed");
		else setLeg("scm", some.length || !good.length ? "warn" : "ok", some.length ? some.length + " without events" : good.length + " enabled");
		const all = (id, which, run) =>
				over && which.length > 1 && button(words(id, which.length), () => run(which), "change"),
			again = (which) => which.filter((name) => !hopeless(name));
		fill(
			foot.mid,
			all("hands", hands, byHand),
			all("retry", again(bad), retry) || all("retry_events", again(missing), (which) => retry(which, true)),
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
			wrong(error);
		}
	}
	const wrong = (error) => signal.aborted || problem.show({ kind: "bad", ...explain(error) });
	const other = (which) =>
		tokenDialog({
			server,
			names: which,
			title: "Use another token for " + list(which, 2),
			enable: true,
			label: "Save",
			onjob: (job) => watch(job, which).catch(() => {}),
		});
	/* One after the other. */
	async function byHand([name, ...rest]) {
		try {
			const repo = await findRepo(server.id, name);
			await byHandDialog({
				server,
				repo: repo.id,
				name,
				rest,
				onclose: (on) => on && rest.length && byHand(rest),
				ondone() {
					results.get(name).events = { ok: true, state: "ok" };
					keep({ results: Object.fromEntries(results) });
					draw();
				},
			});
		} catch (error) {
			wrong(error);
		}
	}

	let hooksOnly = false;
	async function watch(job, which = names, hooks = false) {
		over = false;
		since = 0;
		hooksOnly = hooks;
		for (const name of which) {
			running.add(name);
			if (!hooks) results.delete(name);
		}
		draw();
		keep({ job, jobHooks: hooks, results: Object.fromEntries(results) });
		try {
			await follow(job, take, signal);
		} catch (error) {
			if (signal.aborted) return;
			// The daemon forgot the job (it was restarted): what is enabled is in the console.
			problem.show({
				kind: "warn",
				...explain(error.status === 404 ? { message: words("forgotten"), hint: words("restarted") } : error),
			});
			running.clear();
		}
		over = true;
		running.clear();
		await Promise.all([loadStart(), loadStatus()]).catch(() => {});
		if (signal.aborted) return;
		draw();
		if (draft.byHand) {
			keep({ byHand: false });
			if (manual().length) return byHand(manual());
		}
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
