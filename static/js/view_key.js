// Step 2, and signing in later: the Eyes API key, checked live.
import { h, outside, part, words } from "./dom.js";
import { state, sessionToken } from "./state.js";
import { field, verdict } from "./components.js";
import { refuse } from "./checks.js";
import { wizardFoot } from "./frame.js";
import { accountAnswer, keyField } from "./session.js";
import { go, replace } from "./router.js";
import { host } from "./format.js";

const good = (answer) => answer && (answer.kind === "ok" || answer.kind === "warn");

function parts(...nodes) {
	const url = state.start.configured?.eyes_url?.value;
	return part("key", nodes, url && outside(url, "Open " + host(url)));
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
	const nodes = parts(form);
	nodes[0].textContent = "Sign in";
	nodes[1].textContent = words("sign_in");
	return { title: "Sign in", focus: made.input, nodes };
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
		help: signedIn ? words("key_stored") : words("key_help"),
	});
	const known = verdict();
	if (signedIn && !made.input.value) {
		known.show(accountAnswer(state.account));
		made.input.addEventListener("input", () => known.clear(), { once: true });
	}

	async function next() {
		if (!made.check.value() && sessionToken() && state.account) return go("#/setup/server");
		if (code && !code.input.value.trim()) return refuse(code, "The setup code is missing", words("setup_code"));
		if (!made.check.value()) return refuse(made, "The key is missing", "Copy it from Admin, API Keys.");
		const answer = await made.check.ensure();
		if (good(answer)) go("#/setup/server");
		else if (answer?.kind === "bad") made.input.focus();
	}
	wizardFoot({ back: "#/setup/source", next: { run: next } });
	return {
		focus: signedIn ? null : code?.input || made.input,
		nodes: parts(code?.element, made.element, known.element),
	};
}
