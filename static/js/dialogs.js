// Dialogs. The focus goes to the field, or to Cancel when it destroys something, and back to what opened it.
import { h, uid } from "./dom.js";
import { button, busy, verdict } from "./components.js";

/*
 * spec: title, body (nodes), act {label, kind, run}, cancel (label), focus (node), onclose.
 * run(signal) resolves to close; resolves to false to stay; what it throws is shown in the dialog. signal: it is closed.
 */
export function dialog(spec) {
	const opener = document.activeElement,
		answer = verdict(),
		abort = new AbortController(),
		titleId = uid("dialog");
	const cancel = button(spec.cancel || "Cancel", () => close(false));
	const act = spec.act && button(spec.act.label, press, spec.act.kind || "primary");
	const element = h(
		"dialog",
		{ "aria-labelledby": titleId },
		h(
			"form",
			{ method: "dialog", onsubmit: submit },
			h("h2", { id: titleId }, spec.title),
			spec.body,
			answer.element,
			h("div.acts", cancel, act),
		),
	);
	let closed = false;

	function close(done) {
		if (closed) return;
		closed = true;
		element.close();
		element.remove();
		abort.abort();
		spec.onclose?.(done);
		if (opener?.isConnected) opener.focus();
		else document.querySelector("h1")?.focus();
	}
	function submit(event) {
		event.preventDefault();
		if (act && !act.hasAttribute("aria-disabled")) press();
	}
	async function press() {
		busy(act, true);
		answer.clear();
		try {
			if ((await spec.act.run(abort.signal)) !== false) close(true);
		} catch (error) {
			answer.fail(error);
		} finally {
			busy(act, false);
		}
	}
	element.addEventListener("cancel", (event) => {
		event.preventDefault();
		close(false);
	});
	document.body.append(element);
	element.showModal();
	(spec.focus || cancel).focus();
	return { element, close, act, answer, cancel, signal: abort.signal };
}

export const confirm = (title, body, label, run) => dialog({ title, body, act: { label, kind: "danger solid", run } });
