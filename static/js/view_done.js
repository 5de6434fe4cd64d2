// The last screen of the wizard: where the status will appear, and where to go on.
import { h } from "./dom.js";
import { repos } from "./format.js";
import { chosenServer, draft, keep, setLeg } from "./state.js";
import { button, link } from "./components.js";
import { testDialog } from "./actions.js";

export function show() {
	const names = draft.enabled;
	setLeg("scm");
	return {
		nodes: [
			h("h1", names.length === 1 ? names[0] + " is enabled" : repos(names.length) + " are enabled"),
			h(
				"p.lead",
				"Statuses appear on ",
				names.length === 1 ? "its" : "their",
				" commits and pull requests as soon as Eyes finishes a test there. eyes-scm goes on by itself; you can close this page.",
			),
			h(
				"div.row",
				h("a.btn.primary", { href: "#/overview", onclick: () => keep({ enabled: [], job: 0 }) }, "Open the console"),
				link("Enable more repositories", "#/setup/repositories"),
				button("Send a test status…", () => testDialog({ server: chosenServer(), name: names[0], names })),
			),
		],
	};
}
