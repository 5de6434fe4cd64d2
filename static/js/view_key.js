// Step 2, and signing in later: the Eyes API key, checked live.
import { h, outside, part, words } from "./dom.js";
import { state, sessionToken } from "./state.js";
import { verdict } from "./components.js";
import { wizardFoot } from "./frame.js";
import { accountAnswer, codeField, codeMissing, keyField } from "./session.js";
import { go, replace } from "./router.js";
import { host } from "./format.js";

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
			onsubmit(event) {
				event.preventDefault();
				made.use();
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
	const signedIn = Boolean(sessionToken() && state.account),
		code = codeField();
	const made = keyField({ code, replace: true, onenter: next, help: words(signedIn ? "key_stored" : "key_help") });
	const known = verdict();
	if (signedIn && !made.input.value) {
		known.show(accountAnswer(state.account));
		made.input.addEventListener("input", () => known.clear(), { once: true });
	}

	async function next() {
		if (!made.check.value() && sessionToken() && state.account) return go("#/setup/server");
		if (!codeMissing(code) && (await made.use())) go("#/setup/server");
	}
	wizardFoot({ back: "#/setup/source", next: { run: next } });
	return {
		focus: signedIn ? null : code?.input || made.input,
		nodes: parts(code?.element, made.element, known.element),
	};
}
