// Step 5: the token for the ticked repositories, and Save.
import { post } from "./api.js";
import { fill, h, icon, part, words } from "./dom.js";
import { host, repos, these } from "./format.js";
import { chosenServer, draft, keep, legOf, memory, setLeg, ticked, ticks } from "./state.js";
import { button, busy } from "./components.js";
import { nameList } from "./actions.js";
import { dialog } from "./dialogs.js";
import { liveCheck, refuse } from "./checks.js";
import { asking, tokenAnswer, tokenField, tokenPage } from "./token_answer.js";
import { wizardFoot } from "./frame.js";
import { go } from "./router.js";

const TAGS = 12;

export function show(route, { signal }) {
	const server = chosenServer(),
		address = host(server?.url);
	const heading = h("h1"),
		tags = h("div.row");
	const made = tokenField(words("token_help", address), { value: memory.tokens[draft.server] || "", name: "token" });

	const check = liveCheck(
		made,
		async (token, inner) => {
			memory.tokens[draft.server] = token;
			const seen = await post("tokens/check", { server: draft.server, token, repositories: ticked() }, { signal: inner });
			memory.tokenCheck = { server: draft.server, owner: seen.owner };
			return tokenAnswer(seen, ticked(), { leaveOut: without, byHand: () => save(true) });
		},
		{
			checking: asking(server),
			onenter: save,
			onchange: () => {
				memory.tokens[draft.server] = made.input.value.trim();
				memory.tokenCheck = null;
				setLeg("scm");
			},
			onchecking: () => setLeg("scm", "spin", "checking"),
			onanswer(answer) {
				legOf("scm", answer, ["Token accepted", "Rights missing", "Token refused"]);
				if (answer.code === "token_refused") answer.list = h("p", tokenPage(server, "Open HTTP access tokens"));
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
		heading.textContent = "Enter the token for " + these(names);
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
							body: nameList(names),
						}),
					"small quiet",
				),
		);
	}

	const foot = wizardFoot({
		back: "#/setup/repositories",
		end: true,
		mid: words("sets_up"),
		next: { label: "Save", run: save, change: true },
	});
	/* byHand: the webhooks that the token may not create come next */
	async function save(byHand) {
		if (!made.input.value.trim())
			return refuse(made, "The token is missing", words("paste", address));
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
			keep({ job, jobServer: draft.server, jobNames: names, jobHooks: false, results: {}, byHand: byHand === true });
			go("#/setup/save");
		} catch (error) {
			if (signal.aborted) return;
			check.fail(error);
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
			tokenPage(server, "Open HTTP access tokens on " + address),
		),
	};
}
