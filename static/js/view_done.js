// The last screen of the wizard: where the status will appear, and where to go on.
import { h, words } from "./dom.js";
import { these } from "./format.js";
import { chosenServer, draft, keep, setLeg } from "./state.js";
import { button, link } from "./components.js";
import { testDialog } from "./actions.js";

export function show() {
	const names = draft.enabled;
	setLeg("scm");
	return {
		nodes: [
			h("h1", these(names) + (names.length > 1 ? " are enabled" : " is enabled")),
			h("p.lead", words("done_lead")),
			h(
				"div.row",
				h("a.btn.primary", { href: "#/overview", onclick: () => keep({ enabled: [], job: 0 }) }, "Open the console"),
				link("Enable more repositories", "#/setup/repositories"),
				button("Send a test status…", () => testDialog({ server: chosenServer(), name: names[0], names })),
			),
		],
	};
}
