// Step 2, and signing in later: the Eyes API key, checked live.
import { h, outside } from "./dom.js";
import { state, sessionToken } from "./state.js";
import { field, verdict } from "./components.js";
import { refuse } from "./checks.js";
import { wizardFoot } from "./frame.js";
import { accountAnswer, keyField } from "./session.js";
import { go, replace } from "./router.js";
import { host } from "./format.js";

const good = (answer) => answer && (answer.kind === "ok" || answer.kind === "warn");

function whereToFind() {
	const url = state.start.configured?.eyes_url?.value;
	return h(
		"aside.aside",
		null,
		h("h2", null, "Where to find it"),
		h(
			"ol",
			null,
			h("li", null, "Open the Eyes Test Manager"),
			h("li", null, "Go to ", h("b", null, "Admin"), ", then ", h("b", null, "API Keys")),
			h("li", null, "Choose a key that has read, write, execute and merge, or make one"),
		),
		url && h("p", null, outside(url, "Open " + host(url))),
	);
}

export function show(route) {
	return route.path[0] === "sign-in" ? signIn(route) : step();
}

function signIn(route) {
	const to = route.query.get("to"),
		team = state.start.team;
	const made = keyField({
		help: team ? "A key of team " + team + "." : "A key of the team that eyes-scm works for.",
		ondone: () => setTimeout(() => replace(to?.startsWith("#/") ? to : "#/")),
	});
	const button = h("button.btn.primary", { type: "submit" }, "Sign in");
	const form = h(
		"form.stack",
		{
			async onsubmit(event) {
				event.preventDefault();
				if (!good(await made.check.ensure()))
					refuse(made, made.check.value() ? "" : "The key is missing", "Paste the whole key.");
			},
		},
		made.element,
		button,
	);
	return {
		title: "Sign in",
		focus: made.input,
		nodes: [
			h("h1", null, "Sign in"),
			h("p.lead", null, "An Eyes API key is how you sign in here. Each tab signs in for itself."),
			h("div.cols", null, form, whereToFind()),
		],
	};
}

function step() {
	const signedIn = Boolean(sessionToken() && state.account);
	const code =
		state.start.setup_code && !state.start.account
			? field({
					label: "Setup code",
					help: "In the log of eyes-scm, or run: eyes-scm setup-code",
					placeholder: "XXXX-XXXX",
					mono: true,
					name: "setup_code",
				})
			: null;
	const made = keyField({
		code,
		replace: signedIn,
		onenter: next,
		help: signedIn
			? "One is stored already. Enter another only to replace it."
			: "Of a user with Team Admin rights. Stored encrypted on this machine, never shown again.",
	});
	const known = verdict();
	if (signedIn && !made.input.value) {
		known.show(accountAnswer(state.account));
		made.input.addEventListener("input", () => known.clear(), { once: true });
	}

	async function next() {
		if (!made.check.value() && sessionToken() && state.account) return go("#/setup/server");
		if (code && !code.input.value.trim())
			return refuse(code, "The setup code is missing", "It is in the log of eyes-scm, or run eyes-scm setup-code.");
		if (!made.check.value()) return refuse(made, "The key is missing", "Copy it from Admin, API Keys.");
		const answer = await made.check.ensure();
		if (good(answer)) go("#/setup/server");
		else if (answer?.kind === "bad") made.input.focus();
	}
	wizardFoot({ back: "#/setup/source", next: { run: next } });
	return {
		focus: signedIn ? null : code?.input || made.input,
		nodes: [
			h("h1", null, "Enter the Eyes API key"),
			h("p.lead", null, "eyes-scm uses it to ask Eyes for status updates. It is also how you sign in here later."),
			h("div.cols", null, h("div.stack", null, code?.element, made.element, known.element), whereToFind()),
		],
	};
}
