// Step 5: the token for the ticked repositories, and Save.
import { post } from "./api.js";
import { fill, h, icon, outside } from "./dom.js";
import { host, repos } from "./format.js";
import { chosenServer, draft, keep, legOf, memory, setLeg, ticked, ticks } from "./state.js";
import { button, busy, cell, row, secretField, table } from "./components.js";
import { dialog } from "./dialogs.js";
import { liveCheck, refuse } from "./checks.js";
import { explain } from "./copy.js";
import { tokenAnswer } from "./token_answer.js";
import { wizardFoot } from "./frame.js";
import { go } from "./router.js";

const TAGS = 12;

function permissions() {
	const made = table("What the token must be allowed to do", [
		{ label: "Half" },
		{ label: "Permission" },
		{ label: "What eyes-scm does with it" },
	]);
	fill(
		made.body,
		row(
			[
				cell("name", "Statuses"),
				cell("st", "Repository read"),
				cell("full ink2", "sets build statuses on commits and pull requests"),
			],
			{ class: "plain" },
		),
		row(
			[
				cell("name", "Events"),
				cell("st", "Repository admin"),
				cell("full ink2", "nothing yet: webhooks come with a later version"),
			],
			{ class: "plain" },
		),
	);
	return h("div", null, h("h2", null, "What the token must be allowed to do"), h("div.panel", null, made.element));
}

export function show(route, { signal }) {
	const server = chosenServer(),
		address = host(server?.url),
		page = server?.url + "/plugins/servlet/access-tokens/manage";
	const heading = h("h1"),
		tags = h("div.row");
	const made = secretField({
		label: "Personal access token (PAT)",
		help: "An HTTP access token of " + address + ". Stored encrypted, sent to that server only.",
		placeholder: "Paste the token",
		value: memory.tokens[draft.server] || "",
		name: "token",
	});

	const check = liveCheck(
		made,
		async (token, inner) => {
			memory.tokens[draft.server] = token;
			const seen = await post("tokens/check", { server: draft.server, token, repositories: ticked() }, { signal: inner });
			memory.tokenCheck = { server: draft.server, owner: seen.owner };
			return tokenAnswer(seen, ticked(), { leaveOut: without });
		},
		{
			checking: "Asking " + address + " whose token this is…",
			context: () => ({ leg: "server", host: server?.url }),
			onenter: save,
			onchange: () => {
				memory.tokens[draft.server] = made.input.value.trim();
				memory.tokenCheck = null;
				setLeg("scm");
			},
			onchecking: () => setLeg("scm", "spin", "checking"),
			onanswer(answer) {
				legOf("scm", answer, ["Token accepted", "Some not visible", "Token refused"]);
				if (answer.code === "token_refused") answer.list = h("p", null, outside(page, "Open HTTP access tokens"));
			},
		},
	);

	function without(names) {
		for (const name of names) delete ticks()[name];
		keep({});
		if (!ticked().length) return go("#/setup/repositories");
		draw();
		if (made.input.value) check.again();
		made.input.focus();
	}
	function tag(name) {
		return h(
			"span.tag",
			null,
			h("span.cut", { title: name }, name),
			h("button", { type: "button", "aria-label": "Leave out " + name, onclick: () => without([name]) }, icon("x")),
		);
	}
	function draw() {
		const names = ticked();
		heading.textContent = "Enter the token for " + (names.length === 1 ? names[0] : repos(names.length));
		fill(
			tags,
			names.slice(0, TAGS).map(tag),
			names.length > TAGS &&
				button(
					"and " + (names.length - TAGS) + " more",
					() =>
						dialog({
							title: repos(names.length) + " selected",
							cancel: "Close",
							body: h(
								"ul.list",
								{ tabindex: "0" },
								names.map((name) => h("li", null, name)),
							),
						}),
					{ kind: "small quiet" },
				),
		);
	}

	const foot = wizardFoot({
		back: "#/setup/repositories",
		end: true,
		mid: "Sets up statuses; webhooks come with a later version",
		next: { label: "Save", run: save, change: true },
	});
	async function save() {
		if (!made.input.value.trim())
			return refuse(made, "The token is missing", "Paste a token of " + address + ". It is never kept in the browser.");
		const answer = await check.ensure();
		if (!answer || answer.kind === "bad" || answer.kind === "idle") return made.input.focus();
		busy(foot.next, true);
		try {
			const names = ticked(),
				{ job } = await post(
					"repositories/enable",
					{ server: draft.server, repositories: names, token: made.input.value.trim(), async: true },
					{ signal },
				);
			memory.results = null;
			keep({ job, jobServer: draft.server, jobNames: names });
			go("#/setup/save");
		} catch (error) {
			if (signal.aborted) return;
			check.set({ kind: "bad", ...explain(error, { host: server?.url }) });
			made.input.focus();
		} finally {
			busy(foot.next, false);
		}
	}

	draw();
	if (made.input.value) check.ensure(); // from step 4
	const reloaded = !made.input.value && performance.getEntriesByType("navigation")[0]?.type === "reload";
	const again = reloaded && h("p.help", null, "Paste the token again. It is never kept in the browser.");
	if (again) made.input.addEventListener("input", () => again.remove());
	return {
		focus: made.input.value ? null : made.input,
		nodes: [
			h("div.stack", null, heading, tags),
			h(
				"div.cols",
				null,
				h("div.stack", null, h("div", null, made.element, again), permissions()),
				h(
					"aside.aside",
					null,
					h("h2", null, "Where to make one"),
					h(
						"ol",
						null,
						h("li", null, outside(page, "Open HTTP access tokens on " + address)),
						h("li", null, "Choose ", h("b", null, "Create token")),
						h("li", null, "Repository permissions: ", h("b", null, "Repository read"), " is enough"),
						h("li", null, "Copy it here. Bitbucket shows it only once"),
					),
					h(
						"p",
						null,
						"In Bitbucket it is also under your picture, ",
						h("b", null, "Manage account"),
						", ",
						h("b", null, "HTTP access tokens"),
						". A project’s or a repository’s own token works as well.",
					),
				),
			),
		],
	};
}
