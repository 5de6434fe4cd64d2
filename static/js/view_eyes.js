// Step 0: where is your Eyes? Only when neither file, environment nor store names it.
import { api } from "./api.js";
import { h, part, words } from "./dom.js";
import { cleanUrl, span } from "./format.js";
import { draft, keep, legOf, memory, setLeg, state, tell } from "./state.js";
import { field } from "./components.js";
import { liveCheck, refuse } from "./checks.js";
import { wizardFoot } from "./frame.js";
import { loadStart } from "./session.js";
import { go } from "./router.js";

/* The daemon starts anew with what it was told; for a moment it answers as before, or not at all. */
async function started(signal) {
	for (let tries = 0; ; tries++) {
		await loadStart().catch((error) => {
			if (tries > 40) throw error;
		});
		if (signal.aborted || tries > 40) return;
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
		help: from(url, "Where you open the Test Manager."),
		value: url?.value || draft.eyesUrl,
		placeholder: "https://eyes.applitools.com",
		mono: true,
		disabled: fixed(url),
		name: "eyes_url",
	});
	const id = field({
		label: "Organization ID",
		help: from(organization, "In Eyes: Admin, Account, field ID."),
		value: organization?.value || draft.organization,
		mono: true,
		disabled: fixed(organization),
		name: "organization",
	});
	keep({ withEyes: true });

	// Both are checked by reaching the server, so the check belongs to the second field and starts again with the first.
	const check = liveCheck(
		id,
		async (value, signal) => {
			const eyes = cleanUrl(address.input.value);
			if (!eyes) return { kind: "idle", title: "Not checked yet: the URL comes first" };
			const begun = performance.now();
			await api("PUT", "configuration", { eyes_url: eyes, organization: value }, { open: true, signal });
			memory.machine = null;
			await started(signal);
			tell("steps");
			return { kind: "ok", title: "Reached in " + span(performance.now() - begun) };
		},
		{
			checking: () => "Looking for " + cleanUrl(address.input.value) + "…",
			onchange: () => setLeg("eyes"),
			onchecking: () => setLeg("eyes", "spin", "checking"),
			onenter: next,
			onanswer(answer) {
				if (answer.error?.field === "eyes_url") address.edge("bad");
				legOf("eyes", answer, ["Reached", "", "Not reached"]);
			},
		},
	);
	address.input.addEventListener("input", () => {
		keep({ eyesUrl: address.input.value.trim() });
		address.edge("");
		address.verdict.clear();
		check.reset();
	});
	address.input.addEventListener("change", () => {
		address.input.value = cleanUrl(address.input.value);
		if (id.input.value) check.ensure();
	});
	id.input.addEventListener("input", () => keep({ organization: id.input.value.trim() }));

	async function next() {
		if (!address.input.value.trim()) return refuse(address, "The URL is missing", words("eyes_help"));
		if (!id.input.value.trim())
			return refuse(id, "The organization ID is missing", "It is in Eyes under Admin, Account, in the field ID.");
		const answer = await check.ensure();
		if (answer?.kind === "ok") go("#/setup/source");
		else (answer?.error?.field === "organization" ? id : address).input.focus();
	}
	wizardFoot({ next: { run: next } });
	return {
		nodes: part("eyes", [address.element, id.element]),
	};
}
