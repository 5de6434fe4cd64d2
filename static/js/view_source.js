// Step 1: choose the source control system, and proof that this machine is configured.
import { get } from "./api.js";
import { fill, h, part, state as stateWord, words } from "./dom.js";
import { span } from "./format.js";
import { memory, setLeg, state } from "./state.js";
import { button, skeleton, trouble, verdict } from "./components.js";
import { explain } from "./copy.js";
import { wizardFoot, steps } from "./frame.js";
import { go } from "./router.js";

const from = (source) => source && source !== "default" && h("span.dim", /^(set|flag)/.test(source) ? source : "from " + source);

/* Each fact of the machine: name, value, right word, and the verdict when it is wrong. */
function line(name, value, right, wrong) {
	const answer = verdict();
	if (wrong) answer.show({ kind: "bad", ...wrong });
	return h("div", h("dt", name), h("dd", value), h("dd", right), wrong && h("dd.wide", answer.element));
}

function lines(machine) {
	const { eyes, organization, way, clock } = machine;
	return [
		line(
			"Eyes server",
			h("code", eyes.url),
			eyes.ok ? stateWord("ok", "reached in " + span(eyes.ms)) : stateWord("bad", "not reached"),
			!eyes.ok && eyes.error && explain(eyes.error),
		),
		line("Organization ID", organization?.value ? h("code", organization.value) : "not set", from(organization?.source)),
		line(
			"Way to Eyes",
			way.value === "direct" ? "direct" : ["through ", h("code", way.value.replace(/^proxy /, ""))],
			from(way.source),
		),
		clock &&
			line(
				"Clock",
				span(Math.abs(clock.offset_ms)).replace(/^0 ms$/, "0.0 s") + " from the Eyes server",
				clock.ok ? stateWord("ok", "exact enough") : stateWord("bad", "off"),
				!clock.ok && {
					title: "This machine’s clock is " + span(Math.abs(clock.offset_ms)) + " off",
					where: "TLS, validity",
					todo: words("set_clock"),
				},
			),
	];
}

export function show(route, { signal }) {
	const heading = h("h2", "This machine is ready"),
		box = h("dl.panel.ready"),
		again = button("Check again", () => look(), "small");
	again.hidden = true;

	function draw(machine) {
		const ready = machine.eyes.ok && machine.organization?.value && machine.clock?.ok !== false;
		heading.textContent = ready ? "This machine is ready" : "This machine is not ready yet";
		again.hidden = ready;
		fill(box, lines(machine));
		if (!state.account) setLeg("eyes", machine.eyes.ok ? "ok" : "bad", machine.eyes.ok ? "Reached" : "Not reached");
	}
	async function look() {
		const ended = skeleton(fill(box), 4);
		try {
			memory.machine = await get("machine", { open: true, signal });
			ended();
			draw(memory.machine);
		} catch (error) {
			ended();
			if (signal.aborted) return;
			heading.textContent = "This machine";
			fill(box, trouble(error, look));
		}
	}
	if (memory.machine?.eyes.ok) draw(memory.machine);
	else look();

	wizardFoot({
		back: steps()[0][0] === "eyes" ? "#/setup/eyes" : null,
		next: {
			run() {
				const wrong = box.querySelector(".verdict .what");
				if (!wrong) return go("#/setup/key");
				heading.setAttribute("tabindex", "-1");
				heading.focus();
			},
		},
	});
	const nodes = part("source", [heading, again], box);
	nodes[0].addEventListener("keydown", (event) => event.key === "Enter" && document.querySelector(".go").click());
	return { nodes };
}
