// The list of step 4: grouped by project; folded while there are many and nothing is searched. At most 600 rows in the page.
import { h, icon, keyed } from "./dom.js";
import { count, number } from "./format.js";
import { ticked, ticks } from "./state.js";
import { button } from "./components.js";
import { nameOf, repoRow } from "./repo_row.js";

const PAGE = 100,
	MOST = 600,
	FOLD_OVER = 200,
	SELECT_MOST = 500,
	HEADS = 300;

/* source.page(wanted) asks the daemon; on: changed (ticks did), replace, disable, loaded(first page), failed(error). */
export function pickList({ source, on, signal }) {
	const room = h("div.repos"),
		before = button("Show 100 before", () => earlier(), "small"),
		more = button("Show 100 more", () => later(), "small");
	const beforeRoom = h("div.more", { hidden: true }, before),
		moreRoom = h("div.more", { hidden: true }, more);
	let wanted = { search: "", show: "all" },
		info = null,
		rows = [],
		start = 0,
		loading = false,
		open = "",
		last = "",
		heads = HEADS,
		generation = 0;
	const unfolded = new Map(); // project key → {rows, total}, in the order they were opened

	const folded = () =>
		info &&
		!wanted.search &&
		wanted.show === "all" &&
		(info.total > FOLD_OVER || info.state === "reading") &&
		info.projects?.length > 1;
	const ask = (asked) => source.page({ search: wanted.search, show: wanted.show === "all" ? "" : wanted.show, ...asked });

	/* ---- loading ---- */

	async function load(next, quiet) {
		const mine = ++generation;
		if (next) wanted = next;
		if (wanted.show === "selected") return showSelected();
		loading = true;
		try {
			const deep = quiet && (start > 0 || rows.length > PAGE);
			const answer = await ask({ offset: 0, limit: deep ? 1 : PAGE });
			if (mine !== generation || signal.aborted) return;
			info = answer;
			if (!deep) {
				rows = answer.repositories;
				start = 0;
			}
			if (folded()) await openSome(mine);
			if (mine === generation) draw();
			on.loaded(info);
		} catch (error) {
			if (mine === generation && !signal.aborted) on.failed(error);
		} finally {
			if (mine === generation) loading = false;
		}
	}
	function showSelected() {
		const words = wanted.search.toLowerCase();
		rows = ticked()
			.filter((name) => name.toLowerCase().includes(words))
			.map((name) => ticks()[name]);
		info = { ...info, state: info?.state || "done", total: rows.length };
		start = 0;
		draw();
		on.loaded(info);
	}
	/* Projects with a selected or an enabled repository are open at the beginning. */
	let openedSome = false;
	async function openSome(mine) {
		if (openedSome || info.state === "reading") return;
		openedSome = true;
		const mineOnly = new Set(ticked().map((name) => name.split("/")[0]));
		const some = info.projects.filter((project) => mineOnly.has(project.key) || project.enabled > 0).slice(0, 5);
		for (const project of some) if (mine === generation) await unfold(project.key);
	}
	async function unfold(key, further) {
		const at = unfolded.get(key) || { rows: [], total: 0 };
		const answer = await ask({ project: key, offset: further ? at.rows.length : 0, limit: PAGE });
		at.rows = (further ? at.rows : []).concat(answer.repositories.filter((repo) => repo.project === key));
		at.total = answer.total;
		unfolded.set(key, at);
		while ([...unfolded.values()].reduce((sum, one) => sum + one.rows.length, 0) > MOST && unfolded.size > 1)
			unfolded.delete(unfolded.keys().next().value === key ? [...unfolded.keys()][1] : unfolded.keys().next().value);
	}
	async function later() {
		if (loading) return;
		if (folded()) {
			heads += HEADS;
			return draw();
		}
		await fetchPart(start + rows.length, (part) => {
			rows = rows.concat(part);
			if (rows.length > MOST) {
				start += rows.length - MOST;
				rows = rows.slice(-MOST);
			}
		});
	}
	const earlier = () =>
		fetchPart(Math.max(0, start - PAGE), (part, offset) => {
			rows = part
				.slice(0, start - offset)
				.concat(rows)
				.slice(0, MOST);
			start = offset;
		});
	/* What is on the screen stays where it is, whatever is put above it. */
	async function fetchPart(offset, take) {
		const mine = generation;
		loading = true;
		try {
			const answer = await ask({ offset, limit: PAGE });
			if (mine !== generation) return;
			const anchor = [...room.querySelectorAll(".repo")].find((node) => node.getBoundingClientRect().top > 100),
				name = anchor?.dataset.name,
				top = anchor?.getBoundingClientRect().top;
			take(answer.repositories, offset);
			draw();
			const again = name && room.querySelector(`[data-name="${CSS.escape(name)}"]`);
			if (again) scrollBy(0, again.getBoundingClientRect().top - top);
		} catch (error) {
			if (!signal.aborted) on.failed(error);
		} finally {
			loading = false;
		}
	}

	/* ---- ticking ---- */

	const handlers = {
		tick(repo, range) {
			const name = nameOf(repo),
				chosen = !ticks()[name];
			for (const one of range && last ? between(last, name) : [repo]) setTick(one, chosen);
			last = name;
			changed();
		},
		drawer(repo) {
			open = open === nameOf(repo) ? "" : nameOf(repo);
			draw();
		},
		replace: (repo) => on.replace(repo),
		disable: (repo) => on.disable(repo),
	};
	function setTick(repo, chosen) {
		if (repo.state === "enabled" || repo.state === "blocked") return;
		const { project, slug, name, access, archived } = repo;
		if (chosen) ticks()[nameOf(repo)] = { project, slug, name, access, archived, state: "none" };
		else delete ticks()[nameOf(repo)];
	}
	function between(from, to) {
		const all = shown(),
			a = all.findIndex((repo) => nameOf(repo) === from),
			b = all.findIndex((repo) => nameOf(repo) === to);
		return a < 0 || b < 0 ? all.filter((repo) => nameOf(repo) === to) : all.slice(Math.min(a, b), Math.max(a, b) + 1);
	}
	function changed() {
		draw();
		on.changed();
	}
	const shown = () => (folded() ? [...unfolded.values()].flatMap((one) => one.rows) : rows);

	/* ---- drawing ---- */

	const model = (repo) => ({
		...repo,
		selected: Boolean(ticks()[nameOf(repo)]),
		open: open === nameOf(repo),
		search: wanted.search,
	});
	const free = (list) =>
		list.filter((repo) => repo.state === "none" && !repo.archived && !ticks()[nameOf(repo)]).slice(0, SELECT_MOST);

	function groups() {
		if (folded())
			return info.projects.slice(0, heads).map((project) => ({
				project,
				list: unfolded.get(project.key)?.rows || null,
				total: unfolded.get(project.key)?.total,
				fold: true,
			}));
		const byKey = new Map();
		for (const repo of rows) (byKey.get(repo.project) || byKey.set(repo.project, []).get(repo.project)).push(repo);
		return [...byKey].map(([key, list]) => ({
			project: info?.projects?.find((at) => at.key === key) || { key, name: "" },
			list,
		}));
	}
	function head({ project, list, fold }, id) {
		const chosen = ticked().filter((name) => name.startsWith(project.key + "/")).length,
			can = list ? free(list).length : 0;
		const of = project.total ?? project.count,
			counted = chosen
				? chosen + " selected of " + number(of)
				: wanted.search && project.total
					? project.count + " of " + number(project.total)
					: of !== undefined && number(of);
		const words = [
			h("b", { id }, project.key),
			project.name && h("span.nm", { title: project.name }, project.name),
			counted && h("span.dim.nob", counted),
		];
		return h(
			"div.proj",
			fold
				? h(
						"button",
						{
							type: "button",
							"data-f": "fold",
							"aria-expanded": String(Boolean(list)),
							async onclick() {
								if (list) unfolded.delete(project.key);
								else await unfold(project.key).catch(on.failed);
								draw();
							},
						},
						icon("fold"),
						words,
					)
				: words,
			h("span.spring"),
			can > 1 &&
				button(
					"Select " + can,
					() => {
						for (const repo of free(list)) setTick(repo, true);
						changed();
					},
					"small quiet",
					{ name: "Select " + can + " in " + project.key, f: "all" },
				),
		);
	}
	function section(group) {
		const id = "project-" + group.project.key,
			node = h("section", { "aria-labelledby": id }),
			list = h("ul", { role: "list" });
		node.append(h("div"), list);
		node.update = (now) => {
			const print = JSON.stringify([
				now.project,
				now.fold,
				Boolean(now.list),
				now.list && free(now.list).length,
				ticked().filter((name) => name.startsWith(now.project.key + "/")).length,
				wanted.search,
			]);
			if (print !== node.print) {
				const focused = node.firstChild.contains(document.activeElement) && document.activeElement.dataset.f;
				node.firstChild.replaceWith(head(now, id));
				if (focused) node.querySelector(`[data-f=${focused}]`)?.focus();
			}
			node.print = print;
			keyed(list, (now.list || []).map(model), nameOf, (repo) => repoRow(repo, handlers));
			const rest = now.fold && now.list && now.total > now.list.length;
			node.querySelector(":scope > .more")?.remove();
			if (rest)
				node.append(
					h(
						"div.more",
						button(
							"Show 100 more",
							async () => {
								await unfold(now.project.key, true).catch(on.failed);
								draw();
							},
							"small",
							{ name: "Show 100 more of " + now.project.key },
						),
					),
				);
		};
		return node;
	}
	const sections = new Map();
	function draw() {
		const list = groups(),
			nodes = list.map((group) => {
				const key = group.project.key,
					node = sections.get(key) || sections.set(key, section(group)).get(key);
				node.update(group);
				return node;
			});
		nodes.forEach((node, i) => room.children[i] !== node && room.insertBefore(node, room.children[i] || null));
		while (room.children.length > nodes.length) room.lastChild.remove();
		beforeRoom.hidden = folded() || start === 0;
		const rest = folded() ? info.projects.length - heads : (info?.total || 0) - start - rows.length;
		moreRoom.hidden = !(rest > 0) || (!folded() && wanted.show === "selected");
		more.lastChild.textContent = folded()
			? "Show " + count(Math.min(rest, HEADS), "more project", "more projects")
			: "Show " + Math.min(rest, PAGE) + " more";
	}

	// Up and Down go from toggle to toggle; Shift with Space is a click with Shift.
	room.addEventListener("keydown", (event) => {
		if (!event.target.classList.contains("tog")) return;
		const all = [...room.querySelectorAll(".tog")],
			at = all.indexOf(event.target);
		if (event.key === "ArrowDown" || event.key === "ArrowUp") {
			event.preventDefault();
			all[at + (event.key === "ArrowDown" ? 1 : -1)]?.focus();
		} else if (event.key === "Escape" && open) {
			open = "";
			draw();
		}
	});
	const observer = new IntersectionObserver(([entry]) => entry.isIntersecting && !folded() && !moreRoom.hidden && later(), {
		rootMargin: "400px",
	});
	observer.observe(moreRoom);
	signal.addEventListener("abort", () => observer.disconnect());

	return {
		nodes: [beforeRoom, room, moreRoom],
		load,
		draw,
		info: () => info,
		clear() {
			rows = [];
			info = null;
			start = 0;
			openedSome = false;
			unfolded.clear();
			draw();
		},
		/* A repository changed somewhere: what is known of it is corrected in place. */
		correct(name, changes) {
			for (const repo of [...rows, ...[...unfolded.values()].flatMap((one) => one.rows)])
				if (nameOf(repo) === name) Object.assign(repo, changes);
			open = "";
			draw();
		},
	};
}
