// Save: each repository on its own, each of its halves shown apart. It goes on when the page is left; coming back shows it.
import { post } from "./api.js";
import { follow } from "./jobs.js";
import { fill, h, keyed, later, light, state as stateWord } from "./dom.js";
import { list, number, repos, span } from "./format.js";
import { draft, keep, memory, server as serverOf, setLeg, ticks } from "./state.js";
import { button, cell, progress, row, table, verdict } from "./components.js";
import { explain } from "./copy.js";
import { wizardFoot } from "./frame.js";
import { loadStart, loadStatus } from "./session.js";
import { tokenDialog } from "./actions.js";
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
	const rows = table("Repositories", [
		{ label: "Repository" },
		{ label: "Statuses" },
		{ label: "Events" },
		{ label: "State", class: "end" },
	]);
	const results = new Map(),
		left = new Set(),
		running = new Set(names); // by name
	let over = false;

	const say = later((text) => (announce.textContent = text), 3000);
	signal.addEventListener("abort", () => say.stop());

	function take(job) {
		for (const result of job.results || []) {
			results.set(result.repository, result);
			running.delete(result.repository);
		}
		const good = enabled();
		for (const name of good) delete (draft.ticks[draft.jobServer] || {})[name];
		keep({ enabled: [...new Set([...draft.enabled, ...good])] });
		draw();
	}
	const failed = () => names.filter((name) => results.get(name)?.ok === false && !running.has(name) && !left.has(name));
	const enabled = () => names.filter((name) => results.get(name)?.ok && !running.has(name));

	function title() {
		const good = enabled().length,
			all = names.length - left.size;
		if (running.size && !over) return "Enabling " + (names.length === 1 ? names[0] : repos(names.length));
		if (good === all && all > 0) return all === 1 ? enabled()[0] + " is enabled" : repos(all) + " are enabled";
		return good === 0
			? all === 1
				? names[0] + " is not enabled"
				: "None of " + repos(all) + " is enabled"
			: good + " of " + repos(all) + " are enabled";
	}

	function states(name) {
		const result = results.get(name);
		if (running.has(name)) return { kind: "spin", word: "Enabling…" };
		if (result?.ok) return { kind: "ok", word: "Enabled" };
		return left.has(name) ? { kind: "off", word: "Left out" } : { kind: "bad", word: "Failed" };
	}
	function makeRow({ name, kind, word, error }) {
		if (error) return errorRow(name, error);
		return row(
			[
				cell("name", name),
				cell(
					"",
					h(
						"span.state",
						null,
						light(kind),
						kind === "ok" ? "ready" : kind === "spin" ? "checking the token" : "not set up",
					),
				),
				cell("dim", "with a later version"),
				cell("st end", kind === "spin" ? h("span.t-acc", null, word) : stateWord(kind, word)),
			],
			{ class: "plain" },
		);
	}
	function errorRow(name, error) {
		const answer = verdict(),
			at = button("Retry", () => retry([name]), { kind: "small primary", change: true, name: "Retry " + name, f: "retry" });
		const rights = error.code === "token_refused" || error.code === "token_rights" || error.code === "repo_unknown";
		answer.show({
			kind: "bad",
			...explain(error, { leg: "server", host: server?.url, name }),
			actions: [
				at,
				button("Use another token…", () => other([name]), {
					kind: "small",
					change: true,
					name: "Use another token for " + name,
					f: "other",
				}),
				button(
					"Leave it out",
					() => {
						left.add(name);
						draw();
					},
					{ kind: "small quiet", name: "Leave it out: " + name },
				),
			],
		});
		if (rights) at.classList.remove("primary");
		return row([h("td", { role: "cell", colspan: "4" }, answer.element)], { class: "plain wide" });
	}

	function draw() {
		const many = names.length > MANY,
			good = enabled().length,
			bad = failed();
		const listed = many ? names.filter((name) => running.has(name) || failed().includes(name)).slice(0, 100) : names;
		heading.textContent = title();
		lead.textContent = over
			? bad.length
				? "Nothing half-made remains of those that failed: try again, or leave them out."
				: (names.length - left.size === 1 ? "It gets its" : "They get their") + " statuses from now on."
			: "You can leave this page at any time; it goes on, and the console shows the result.";
		bar.set({ done: good, bad: bad.length }, names.length - left.size);
		const done = good + bad.length,
			pace = (performance.now() - begun) / Math.max(1, done);
		count.textContent = [
			number(good) + " done",
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
				const at = { name, ...states(name) };
				return bad.includes(name)
					? [
							at,
							{
								name: name + " failed",
								repository: name,
								error: results.get(name).error || { code: "", message: "It did not work" },
							},
						]
					: [at];
			}),
			(item) => item.name,
			(item) => makeRow(item.repository ? { ...item, name: item.repository } : item),
		);
		setLeg(
			"scm",
			running.size && !over ? "spin" : bad.length ? (good ? "warn" : "bad") : "ok",
			running.size && !over ? "enabling" : bad.length ? bad.length + " failed" : good === 1 ? "1 enabled" : good + " enabled",
		);
		fill(
			foot.mid,
			over && bad.length > 1 && button("Retry the " + bad.length + " that failed", () => retry(bad), { change: true }),
		);
	}

	/* Only those asked for are done again; the others stay as they are. */
	async function retry(which) {
		const token = memory.tokens[draft.jobServer];
		if (!token) return other(which);
		problem.clear();
		try {
			const { job } = await post(
				"repositories/enable",
				{ server: draft.jobServer, repositories: which, token, async: true },
				{ signal },
			);
			which.forEach((name) => running.add(name));
			await watch(job);
		} catch (error) {
			if (!signal.aborted) problem.show({ kind: "bad", ...explain(error, { host: server?.url }) });
		}
	}
	const other = (which) =>
		tokenDialog({
			server,
			names: which,
			title: "Use another token for " + list(which, 2),
			enable: true,
			label: "Save",
			onjob(job) {
				which.forEach((name) => running.add(name));
				watch(job).catch(() => {});
			},
		});

	async function watch(job) {
		over = false;
		keep({ job });
		try {
			await follow(job, take, signal);
		} catch (error) {
			if (signal.aborted) return;
			// The daemon forgot the job (it was restarted): what is enabled is in the console.
			problem.show({
				kind: "warn",
				title: error.status === 404 ? "This run is not known any more" : explain(error).title,
				todo:
					error.status === 404
						? "eyes-scm was restarted meanwhile. The console shows which repositories are enabled."
						: explain(error).todo,
			});
			running.clear();
		}
		over = true;
		running.clear();
		await Promise.all([loadStart(), loadStatus()]).catch(() => {});
		if (signal.aborted) return;
		draw();
		if (failed().length === 0 && document.activeElement === document.body) heading.focus();
	}

	const panel = h("div.panel", null, rows.element);
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
		nodes: [
			h("div", null, heading, lead),
			h("div.stack", null, bar.element, h("div", null, count, announce), problem.element, panel),
		],
		ready: () => watch(draft.job),
	};
}
