// Step 0: where is your Eyes? Only when neither file, environment nor store names it.
import { api } from "./api.js";
import { h, part, words } from "./dom.js";
import { cleanUrl, span } from "./format.js";
import { draft, keep, legOf, memory, setLeg, state, tell } from "./state.js";
import { field } from "./components.js";
import { refuse } from "./checks.js";
import { explain } from "./copy.js";
import { wizardFoot } from "./frame.js";
import { checkWith, codeField, codeMissing, good, loadStart } from "./session.js";
import { go } from "./router.js";

/* The daemon starts anew with what it was told; for a moment it answers as before, or not at all. */
async function started() {
	for (let tries = 0; ; tries++) {
		await loadStart().catch((error) => {
			if (tries > 40) throw error;
		});
		if (tries > 40) return;
		if (state.start.configured?.eyes_url && state.start.configured?.organization) return;
		await new Promise((resolve) => setTimeout(resolve, 250));
	}
}

export function show() {
	const { eyes_url: url, organization } = state.start.configured || {};
	const fixed = (known) => known && known.source !== "set in the wizard";
	const from = (known, help) => (fixed(known) ? "Set in " + known.source + ", so it cannot be changed here." : help);
	const address = field({
		label: "Eyes server URL",
		help: from(url, words("eyes_url")),
		value: url?.value || draft.eyesUrl,
		placeholder: "https://eyes.applitools.com",
		mono: true,
		disabled: fixed(url),
		name: "eyes_url",
	});
	const id = field({
		label: "Organization ID",
		help: from(organization, words("id_help")),
		value: organization?.value || draft.organization,
		mono: true,
		disabled: fixed(organization),
		name: "organization",
	});
	keep({ withEyes: true });

	const code = codeField(),
		tellEyes = (more, signal) =>
			api(
				"PUT",
				"configuration",
				{ eyes_url: check.value(), organization: id.input.value.trim(), setup_code: memory.code, ...more },
				{ open: true, signal },
			);
	const check = checkWith(
		code,
		address,
		async (value, signal) => {
			const begun = performance.now();
			await tellEyes({ check: true }, signal);
			return { kind: "ok", title: "Reached in " + span(performance.now() - begun) };
		},
		{
			clean: cleanUrl,
			checking: (value) => "Looking for " + value + "…",
			onchange: () => setLeg("eyes"),
			onchecking: () => setLeg("eyes", "spin", "checking"),
			onenter: () => id.input.focus(),
			onanswer: (answer) => legOf("eyes", answer, ["Reached", "", "Not reached"]),
		},
	);
	for (const made of [address, id])
		made.input.addEventListener("input", () => {
			keep({ eyesUrl: address.input.value.trim(), organization: id.input.value.trim() });
			if (made === id) clear();
		});
	id.input.addEventListener("keydown", (event) => event.key === "Enter" && next());
	const clear = () => {
		id.edge("");
		id.verdict.clear();
	};

	async function next() {
		if (codeMissing(code)) return;
		if (!check.value()) return refuse(address, "The URL is missing", words("eyes_help"));
		if (!id.input.value.trim()) return refuse(id, "The organization ID is missing", words("id_help"));
		const answer = await check.ensure();
		if (!good(answer)) return (answer?.code === "setup_code" ? code : address).input.focus();
		try {
			id.verdict.show({ kind: "checking", title: words("starts") });
			await tellEyes();
			memory.machine = null;
			await started();
			tell("steps");
			go("#/setup/source");
		} catch (error) {
			const why = explain(error);
			refuse(id, why.title, why.todo);
		}
	}
	wizardFoot({ next: { run: next } });
	return {
		nodes: part("eyes", [code?.element, address.element, id.element]),
	};
}
