// Step 5: the token for the ticked repositories, and Save.
import { post } from "./api.js";
import { fill, h, icon, outside, part, words } from "./dom.js";
import { host, repos } from "./format.js";
import { chosenServer, draft, keep, legOf, memory, setLeg, ticked, ticks } from "./state.js";
import { button, busy, secretField } from "./components.js";
import { dialog } from "./dialogs.js";
import { liveCheck, refuse } from "./checks.js";
import { explain } from "./copy.js";
import { tokenAnswer } from "./token_answer.js";
import { wizardFoot } from "./frame.js";
import { go } from "./router.js";

const TAGS = 12;

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
			onenter: save,
			onchange: () => {
				memory.tokens[draft.server] = made.input.value.trim();
				memory.tokenCheck = null;
				setLeg("scm");
			},
			onchecking: () => setLeg("scm", "spin", "checking"),
			onanswer(answer) {
				legOf("scm", answer, ["Token accepted", "Rights missing", "Token refused"]);
				if (answer.code === "token_refused") answer.list = h("p", outside(page, "Open HTTP access tokens"));
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
								names.map((name) => h("li", name)),
							),
						}),
					"small quiet",
				),
		);
	}

	const foot = wizardFoot({
		back: "#/setup/repositories",
		end: true,
		mid: "Sets up statuses and events, with one test event each",
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
			keep({ job, jobServer: draft.server, jobNames: names, jobHooks: false, results: {} });
			go("#/setup/save");
		} catch (error) {
			if (signal.aborted) return;
			check.set({ kind: "bad", ...explain(error) });
			made.input.focus();
		} finally {
			busy(foot.next, false);
		}
	}

	draw();
	if (made.input.value) check.ensure(); // from step 4
	const reloaded = !made.input.value && performance.getEntriesByType("navigation")[0]?.type === "reload";
	const again = reloaded && h("p.help", words("not_kept"));
	if (again) made.input.addEventListener("input", () => again.remove());
	return {
		focus: made.input.value ? null : made.input,
		nodes: part(
			"token",
			[heading, tags],
			h("div", made.element, again),
			outside(page, "Open HTTP access tokens on " + address),
		),
	};
}
