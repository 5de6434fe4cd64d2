// Step 1: choose the source control system, and proof that this machine is configured.
import { get } from "./api.js";
import { fill, h, light, state as stateWord } from "./dom.js";
import { span } from "./format.js";
import { memory, setLeg, state } from "./state.js";
import { button, skeleton, verdict } from "./components.js";
import { explain } from "./copy.js";
import { wizardFoot, steps } from "./frame.js";
import { go } from "./router.js";

const from = (source) =>
	source && source !== "default" && h("span.dim", null, /^(set|flag)/.test(source) ? source : "from " + source);

/* Each fact of the machine: name, value, right word, and the verdict when it is wrong. */
function line(name, value, right, wrong) {
	const answer = verdict();
	if (wrong) answer.show({ kind: "bad", ...wrong });
	return h(
		"div",
		null,
		h("dt", null, name),
		h("dd", null, value),
		h("dd", null, right),
		wrong && h("dd.wide", null, answer.element),
	);
}

function lines(machine) {
	const { eyes, organization, way, clock } = machine;
	const context = { leg: "eyes", eyes: eyes.url?.replace(/^https?:\/\//, "") };
	return [
		line(
			"Eyes server",
			h("code", null, eyes.url),
			eyes.ok ? stateWord("ok", "reached in " + span(eyes.ms)) : stateWord("bad", "not reached"),
			!eyes.ok && eyes.error && explain(eyes.error, context),
		),
		line("Organization ID", organization?.value ? h("code", null, organization.value) : "not set", from(organization?.source)),
		line(
			"Way to Eyes",
			way.value === "direct" ? "direct" : ["through ", h("code", null, way.value.replace(/^proxy /, ""))],
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
					todo: "Set the clock (NTP), then check again.",
				},
			),
	];
}

export function show(route, { signal }) {
	const heading = h("h2", null, "This machine is ready"),
		box = h("dl.panel.ready"),
		again = button("Check again", () => look(), { kind: "small" });
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
			const configured = state.start.configured; // what is known without asking
			heading.textContent = "This machine";
			again.hidden = false;
			fill(
				box,
				line(
					"Eyes server",
					h("code", null, configured.eyes_url?.value),
					light("off", "not checked"),
					explain(error, { leg: "eyes" }),
				),
				line("Organization ID", h("code", null, configured.organization?.value), from(configured.organization?.source)),
			);
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
	return {
		nodes: [
			h(
				"h1",
				{ onkeydown: (event) => event.key === "Enter" && document.querySelector(".go").click() },
				"Choose the source control system",
			),
			h(
				"p.lead",
				null,
				"eyes-scm stands between Applitools Eyes and your source control server. It opens the connections itself, so the server stays behind the firewall.",
			),
			h(
				"div.cols",
				null,
				h(
					"div.stack",
					null,
					h(
						"div.card.on",
						null,
						h("input", { type: "radio", name: "source", id: "source-bitbucket", checked: true }),
						h(
							"label",
							{ for: "source-bitbucket" },
							h("b", null, "Bitbucket"),
							h("span", null, "Server or Data Center, inside your network"),
						),
					),
					h("div", null, h("div.head", null, heading, again), box),
				),
				h(
					"aside.aside",
					null,
					h("h2", null, "Have these four ready"),
					h(
						"ol",
						null,
						[
							"An Eyes API key of a team admin, with full privileges",
							"The address of your Bitbucket server",
							"The names of the repositories",
							"A Bitbucket access token (PAT) that can read them",
						].map((text) => h("li", null, text)),
					),
				),
			),
		],
	};
}
