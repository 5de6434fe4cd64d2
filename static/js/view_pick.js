// Step 4: select the repositories, out of thousands.
import { aborted, ApiError, post } from "./api.js";
import { fill, h, later, light, part, words } from "./dom.js";
import { count, list, number } from "./format.js";
import { chosenServer, draft, keep, legOf, memory, on, ticked, ticks } from "./state.js";
import { button, empty, field, progress, searchField, secretField, segments, skeleton, trouble } from "./components.js";
import { liveCheck, refuse } from "./checks.js";
import { explain } from "./copy.js";
import { say } from "./notices.js";
import { wizardFoot } from "./frame.js";
import { disableDialog, tokenDialog } from "./actions.js";
import { asking } from "./token_answer.js";
import { listing } from "./listing.js";
import { nameOf } from "./repo_row.js";
import { pickList } from "./pick_list.js";
import { go } from "./router.js";

const FORMAT = words("repo_format");
const NAME = /^~?[A-Za-z0-9_.-]+\/[A-Za-z0-9_.-]+$/;

export function show(route, { signal }) {
	const server = chosenServer();
	const source = listing(draft.server, signal);
	const filters = h("div"),
		summary = h("p.ink2"),
		announce = h("span.vh", { role: "status" }),
		bar = progress("Reading repositories"),
		reading = h("div", { hidden: true }, h("p"), bar.element);
	const emptyRoom = h("div"),
		tokenRoom = h("div");
	let ended = null,
		poll = 0;

	/* ---- the list ---- */

	const picks = pickList({
		source,
		signal,
		on: {
			changed,
			loaded,
			failed(error) {
				ended?.();
				if (aborted(error)) return;
				fill(emptyRoom, trouble(error, reload));
			},
			replace: (repo) =>
				tokenDialog({ server, names: [nameOf(repo)], ondone: () => correct(nameOf(repo), "enabled") }),
			disable: (repo) => disableDialog({ server, names: [nameOf(repo)], ondone: () => correct(nameOf(repo), "none") }),
		},
	});
	function correct(name, state) {
		picks.correct(name, { state, error: undefined });
		recount();
	}
	const recount = later(() => picks.load(null, true), 300);
	const wanted = () => ({ search: search.words(), show: draft.show });
	function reload() {
		fill(emptyRoom);
		picks.clear();
		ended = skeleton(emptyRoom);
		picks.load(wanted());
	}

	function loaded(info) {
		ended?.();
		ended = null;
		const failed = info.state === "failed",
			{ search: sought, show: filter } = wanted();
		reading.hidden = info.state !== "reading";
		reading.firstChild.replaceChildren(
			light("spin"),
			" " + words("reading", number(info.read)),
		);
		bar.set({ done: info.read }, Math.max(info.read * 1.25, 500));
		clearTimeout(poll);
		if (info.state === "reading") poll = setTimeout(() => picks.load(null, true), 1000);
		const projects = info.projects?.length;
		const said = sought
			? `${number(info.total)} of ${number(info.read)} match “${sought}”${projects ? ", in " + count(projects, "project") : ""}`
			: filter === "all"
				? count(info.total, "repository", "repositories") + (projects ? " in " + count(projects, "project") : "")
				: number(info.total) + " shown";
		summary.textContent = failed && !info.total ? "" : said;
		tell(said);
		drawFilters(info);
		let none = failed || info.total > 0 || info.state === "reading" ? null : [words("none_seen"), words("no_public")];
		if (none && sought)
			none = [
				`No repository matches “${sought}”`,
				words("searched", number(info.read)),
				button("Clear the search", () => search.set("")),
				button("Add it by name…", () => add.input.focus()),
			];
		else if (none && filter !== "all")
			none = ["None is " + filter, filter === "selected" && words("turn_on"), button("Show all", () => setShow("all"))];
		else if (none && memory.tokens[draft.server])
			none = [words("none_visible"), words("token_projects"), button("Use another token", askToken)];
		fill(
			emptyRoom,
			none && h("div.panel", empty(...none)),
			failed &&
				trouble(info.error || {}, () => {
					source.reset(memory.tokens[draft.server]);
					reload();
				}),
		);
	}
	const tell = later((text) => (announce.textContent = text), 3000);
	signal.addEventListener("abort", () => {
		clearTimeout(poll);
		tell.stop();
		recount.stop();
	});
	on("event:listing", () => picks.info()?.state === "reading" && picks.load(null, true), signal);
	on(
		"event:repository",
		({ repository, state }) => repository && state && correct(repository, state === "disabled" ? "none" : state),
		signal,
	);

	/* ---- search and filter ---- */

	const search = searchField(
		"Search repositories",
		"Search project or repository",
		draft.search,
		() => picks.load(wanted()),
		signal,
	);
	search.input.addEventListener("input", () => keep({ search: search.words() })); // at once: Next may follow
	function setShow(filter) {
		keep({ show: filter });
		picks.load(wanted());
		drawFilters(picks.info());
		filters.querySelector("[aria-current]")?.focus();
	}
	function drawFilters(info) {
		const now = chosenServer(),
			counts = info?.counts || { all: info?.read, enabled: now ? now.enabled + now.blocked : 0, blocked: now?.blocked };
		const one = (filter, label, n) => ({
			label,
			n: n === undefined ? undefined : number(n),
			href: "#/setup/repositories",
			on: draft.show === filter,
			run: () => setShow(filter),
		});
		fill(
			filters,
			segments("Show", [
				one("all", "All", counts.all),
				one("selected", "Selected", ticked().length),
				one("enabled", "Enabled", counts.enabled),
				one("blocked", "Broken", counts.blocked),
			]),
		);
	}

	/* ---- add by name ---- */

	const add = field({
		label: "Add by name",
		bare: true,
		placeholder: "PROJECT/slug",
		mono: true,
		action: h("button.btn.quiet.small", { type: "button", onclick: addByName }, "Add"),
	});
	add.input.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), addByName()));
	add.input.addEventListener("input", () => {
		add.edge("");
		add.verdict.clear();
	});
	async function addByName() {
		const name = add.input.value.trim().replace(/^.*\/projects\/([^/]+)\/repos\/([^/?#]+).*$/, "$1/$2");
		if (!name) return add.input.focus();
		if (!NAME.test(name)) return refuseName({ title: "That looks like the display name", todo: FORMAT });
		const token = memory.tokens[draft.server],
			[project, slug] = name.split("/");
		let access = "";
		if (token) {
			try {
				const [seen] = (await post("tokens/check", { server: draft.server, token, repositories: [name] }, { signal }))
					.repositories;
				if (!seen.read) return refuseName(explain(seen.error || { message: name + " is not visible to this token" }));
				access = seen.admin ? "admin" : "read";
			} catch (error) {
				return signal.aborted ? null : refuseName(explain(error));
			}
		}
		ticks()[name] = { project, slug, access, state: "none" };
		add.input.value = "";
		say(words(token ? "selected_one" : "selected_unseen", name));
		changed();
		picks.draw();
		if (draft.show === "selected") picks.load(wanted());
	}
	const refuseName = ({ title, todo }) => refuse(add, title, todo);

	/* ---- a token to list with ---- */

	/* A token is judged by what it lists, and its owner by one of those. */
	async function ownerOf(token, inner) {
		const trial = listing(draft.server, inner);
		trial.reset(token);
		for (;;) {
			const {
				state,
				error,
				repositories: [first],
			} = await trial.page({ limit: 1 });
			if (state === "failed") throw new ApiError(/^token/.test(error?.code) ? 422 : 502, error || {});
			if (first)
				return (
					(
						await post(
							"tokens/check",
							{ server: draft.server, token, repositories: [nameOf(first)] },
							{ signal: inner },
						)
					).owner || "its owner"
				);
			if (state === "done") return "its owner";
			await new Promise((resolve) => setTimeout(resolve, 200));
		}
	}
	function askToken() {
		drawToken(true);
		tokenRoom.querySelector("input").focus();
	}
	function drawToken(open) {
		const known = memory.tokenCheck?.server === draft.server && memory.tokenCheck.owner;
		if (known && !open)
			return fill(
				tokenRoom,
				h(
					"p.ink2",
					part("listed", h("b", known)),
					button("Use another token", askToken, "small quiet"),
				),
			);
		const made = secretField({
			label: "Paste a token to list yours",
			help: words("public_ones"),
			placeholder: "Paste the token (PAT)",
			value: memory.tokens[draft.server] || "",
		});
		const check = liveCheck(
			made,
			async (token, inner) => {
				const owner = await ownerOf(token, inner);
				memory.tokens[draft.server] = token;
				memory.tokenCheck = { server: draft.server, owner };
				return { kind: "ok", title: "Token accepted: " + owner };
			},
			{
				checking: asking(server),
				onanswer(answer) {
					legOf("scm", answer, ["Token accepted", "", "Token refused"]);
					if (answer.kind !== "ok") return;
					source.reset(memory.tokens[draft.server]);
					setTimeout(() => {
						const focused = tokenRoom.contains(document.activeElement);
						drawToken();
						if (focused) search.input.focus();
						reload();
					});
				},
			},
		);
		made.box.append(
			h(
				"button.btn.quiet.small",
				{ type: "button", onclick: async () => (await check.ensure()) || refuse(made, "The token is missing") },
				"List all",
			),
		);
		fill(tokenRoom, h("div.panel", h("div.pad", made.element)));
	}

	/* ---- foot ---- */

	const foot = wizardFoot({
		back: "#/setup/server",
		next: {
			run() {
				if (ticked().length) return go("#/setup/token");
				say(words("select_one"));
				(document.querySelector(".tog") || search.input).focus();
			},
		},
	});
	function changed() {
		const names = ticked();
		keep({});
		drawFilters(picks.info());
		fill(
			foot.mid,
			names.length > 0 && [
				h("span.cut", { title: names.join(", ") }, h("b", names.length + " selected: "), list(names, 12)),
				button(
					"Clear",
					() => {
						draft.ticks[draft.server] = {};
						changed();
						picks.draw();
						if (draft.show === "selected") picks.load(wanted());
					},
					"small quiet",
					{ name: "Clear the selection" },
				),
			],
		);
	}

	drawToken();
	drawFilters();
	changed();
	source.reset(memory.tokens[draft.server]);
	return {
		nodes: part("pick", [
			tokenRoom,
			h(
				"div",
				{ role: "search", "aria-label": "Repositories" },
				h("div.tools", search.box, filters),
				h(
					"div.tools",
					h("div.spring", summary, announce),
					h("span", h("b", "Not in the list?"), " Add it by name"),
					h("div.add", add.element),
				),
			),
			reading,
			h("div", emptyRoom, picks.nodes),
		]),
		ready: reload,
	};
}
