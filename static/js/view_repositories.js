// The console's repositories: broken first; ticks bring actions for many at once.
import { get, query } from "./api.js";
import { fill, h, keyed, light, state as stateWord, words } from "./dom.js";
import { host, number } from "./format.js";
import { enabled, on, server as serverOf, state } from "./state.js";
import {
	button,
	cell,
	empty,
	link,
	menu,
	refresh,
	row,
	searchField,
	segments,
	skeleton,
	stamp,
	table,
	trouble,
	verdict,
} from "./components.js";
import { hooksToast, hookState } from "./webhooks.js";
import { short } from "./copy.js";
import { disableDialog, testDialog, tokenDialog } from "./actions.js";
import { result } from "./updates_table.js";
import { parse, repositoryHash, setQuery } from "./router.js";

const PAGE = 100;
const fullName = (repo) => repo.project + "/" + repo.slug;
const keyOf = (repo) => repo.server.id + "/" + fullName(repo);

export function show(route, { signal }) {
	const filters = h("div.row"),
		bar = h("div.pickbar"),
		count = h("p.ink2", { role: "status" }),
		moreRoom = h("div"),
		answer = verdict(),
		problem = h("div");
	const all = h("input", { type: "checkbox", "aria-label": "Select all shown", onchange: () => tickAll(all.checked) });
	const made = table("Repositories", [
		{ node: h("label.tick", all), class: "tight" },
		{ name: "Health", class: "tight" },
		"Repository",
		"Statuses",
		{ label: "Events", class: "c-wide" },
		"Token of",
		"Last update",
		{ name: "Actions", class: "tight" },
	]);
	let repositories = [],
		counts = state.status?.repositories || {},
		next = null,
		ticked = new Set(),
		generation = 0;

	const now = () => parse().query,
		filter = (name) => now().get(name) || "";
	const search = searchField(
		"Search enabled repositories",
		"Search enabled repositories",
		filter("q"),
		(q) => {
			setQuery({ q });
			load();
		},
		signal,
	);

	/* ---- loading: broken first, then by name ---- */

	const ask = (which, after) =>
		get("repositories" + query({ search: filter("q"), server: filter("server"), state: which, after, limit: PAGE }), {
			signal,
		});
	async function load(further) {
		const mine = further ? generation : ++generation,
			ended = skeleton(moreRoom);
		answer.clear();
		if (!further) fill(problem);
		try {
			let got = further ? repositories : [],
				at = further ? next : { which: "broken" };
			for (const wanted = got.length + PAGE; at && got.length < wanted; ) {
				const page = await ask(at.which, at.after);
				if (mine !== generation) return;
				got = got.concat(page.repositories);
				counts = page.counts || counts;
				at = page.next
					? { which: at.which, after: page.next }
					: at.which === "broken" && filter("show") !== "broken" && { which: "working" };
			}
			repositories = got;
			next = at;
			drawFilters();
			if (!further) ticked = new Set(repositories.map(keyOf).filter((key) => ticked.has(key)));
		} catch (error) {
			if (!signal.aborted)
				fill(
					problem,
					trouble(error, () => load()),
				);
		} finally {
			ended();
		}
		if (!signal.aborted) draw();
	}
	refresh(["event:repository"], () => load(), signal);
	on("status", drawFilters, signal);

	/* ---- drawing ---- */

	function drawFilters() {
		const servers = state.status?.servers || [];
		const to = (changes) => ({
			href: location.hash,
			run() {
				setQuery(changes);
				ticked.clear();
				load();
				drawFilters();
			},
		});
		fill(
			filters,
			segments("Show", [
				{
					label: "Enabled",
					n: number(counts.enabled + counts.blocked || 0),
					on: filter("show") !== "broken",
					...to({ show: "" }),
				},
				{ label: "Broken", n: number(counts.broken ?? counts.blocked), on: filter("show") === "broken", ...to({ show: "broken" }) },
			]),
			servers.length > 1 &&
				segments("Server", [
					{
						label: servers.length === 2 ? "Both servers" : "All servers",
						on: !filter("server"),
						...to({ server: "" }),
					},
					...servers.map((at) => ({
						label: host(at.url).split("/")[0],
						on: filter("server") === String(at.id),
						...to({ server: String(at.id) }),
					})),
				]),
		);
	}
	function makeRow({ repo, chosen }) {
		const name = fullName(repo),
			broken = repo.state === "blocked",
			server = serverOf(repo.server.id) || repo.server,
			refused = repo.error?.code === "token_refused",
			[kind, word] = hookState(repo.events),
			ill = /warn|bad/.test(kind),
			events = (ill ? "Events: " : "") + word;
		const box = h("input", {
			type: "checkbox",
			checked: chosen,
			"aria-label": "Select " + name,
			onchange: () => tick(repo, box.checked),
		});
		return row(
			[
				cell("pick tight", h("label.tick", box)),
				cell("pick tight", light(...(broken ? ["bad", short(repo.error)] : ill ? ["warn", events] : ["ok", "Working"]))),
				cell(
					"name cut",
					h("a", { href: repositoryHash(repo.server.id, name), title: name }, name),
					kind !== "ok" && h("div.help.c-narrow.t-" + kind, events),
				),
				cell(
					"st nob",
					broken
						? h("span.t-bad", repo.waiting ? number(repo.waiting) + " wait" : "stopped")
						: h("span.t-ok", "Working"),
				),
				cell("c-wide nob", stateWord(kind, word, repo.events?.error?.message)),
				cell(
					"",
					h(
						"span",
						{ class: refused ? "t-bad" : "" },
						repo.owner || "unknown",
						refused ? ", refused" : !repo.admin && h("span.dim", " (read)"),
					),
				),
				cell(
					"",
					repo.last_update
						? [result(repo.last_update.status), " ", h("span.dim", stamp(repo.last_update.ended))]
						: h("span.dim", repo.last_update === null ? "none yet" : "–"),
				),
				cell(
					"act tight",
					menu(
						"more",
						"Actions for " + name,
						[
							{ label: "Open", href: repositoryHash(repo.server.id, name) },
							{ label: "Send a test status…", change: true, run: () => testDialog({ server, name }) },
							{ label: "Check the webhook", change: true, run: () => checkHooks({ server, names: [name] }) },
							{ label: "Replace token…", change: true, run: () => tokenDialog({ server, names: [name] }) },
							{
								label: "Disable…",
								danger: true,
								change: true,
								run: () => disableDialog({ server, names: [name], waiting: repo.waiting }),
							},
						],
						{ small: true },
					),
				),
			],
			{ class: chosen ? "chosen" : "" },
		);
	}
	function draw() {
		keyed(
			made.body,
			repositories.map((repo) => ({ repo, chosen: ticked.has(keyOf(repo)) })),
			({ repo }) => keyOf(repo),
			makeRow,
		);
		all.checked = repositories.length > 0 && ticked.size === repositories.length;
		all.indeterminate = ticked.size > 0 && !all.checked;
		const total = enabled(),
			narrowed = filter("q") || filter("show") || filter("server");
		panel.hidden = !repositories.length;
		count.textContent = repositories.length
			? number(repositories.length) +
				(next ? " shown" : narrowed ? " found" : "") +
				(total && !narrowed ? (next ? " of " + number(total) : " in all") : "") +
				". Broken first."
			: "";
		fill(moreRoom, next && button("Show " + PAGE + " more", () => load(true), {}));
		if (!repositories.length && !problem.firstChild)
			fill(
				problem,
				h(
					"div.panel",
					narrowed
						? empty(
								filter("q")
									? `No enabled repository matches “${filter("q")}”`
									: filter("show")
										? "None is broken"
										: "Nothing is enabled on this server",
								"",
								button("Show all", () => {
									setQuery({ show: "", server: "" });
									search.set("");
									drawFilters();
								}),
							)
						: empty(
								"No repository is enabled yet",
								words("choose_some"),
								link("Manage repositories", "#/setup/server", "primary"),
							),
				),
			);
		else if (repositories.length) fill(problem);
		drawBar();
	}

	/* ---- many at once ---- */

	function tick(repo, chosen) {
		if (chosen) ticked.add(keyOf(repo));
		else ticked.delete(keyOf(repo));
		draw();
	}
	function tickAll(chosen) {
		ticked = new Set(chosen ? repositories.map(keyOf) : []);
		draw();
	}
	/* The dialogs work on one server; the ticks of several are done one server after the other. */
	function chosen() {
		const all = repositories.filter((repo) => ticked.has(keyOf(repo))),
			{ server } = all[0],
			mine = all.filter((repo) => repo.server.id === server.id);
		return {
			server: serverOf(server.id) || server,
			names: mine.map(fullName),
			waiting: mine.reduce((sum, repo) => sum + (repo.waiting || 0), 0),
			rest: mine.length < all.length,
		};
	}
	const checkHooks = ({ server, names, ondone }) =>
		hooksToast("check", server, names).then(ondone, answer.fail);
	let barShown = -1;
	function drawBar() {
		if (barShown === ticked.size) return;
		barShown = ticked.size;
		bar.classList.toggle("on", ticked.size > 0);
		const each = (open) => () =>
			open({
				...chosen(),
				ondone() {
					ticked.clear();
					load();
				},
			});
		fill(
			bar,
			ticked.size === 0
				? h("span.ink2", words("select_some"))
				: [
						h("span", { role: "status" }, ticked.size + " selected"),
						button("Replace token…", each(tokenDialog), "small primary change"),
						button("Check webhooks", each(checkHooks), "small change"),
						button("Disable…", each(disableDialog), "small danger change"),
						chosen().rest && h("span.help", words("one_server")),
						h("span.spring"),
						button(
							"Clear",
							() => {
								tickAll(false);
								all.focus();
							},
							"small quiet",
						),
					],
		);
	}

	const panel = h("div.panel", { hidden: true }, bar, made.element);
	drawFilters();
	return {
		title: "Repositories",
		nodes: [
			h("div.head", h("h1", "Repositories"), link("Manage repositories", "#/setup/server", "primary")),
			h("div.tools", { role: "search", "aria-label": "Repositories" }, search.box, filters),
			answer.element,
			h("div.stack", problem, panel, count, moreRoom),
		],
		ready: () => load(),
	};
}
