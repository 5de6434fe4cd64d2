// Dialogs. The focus goes to the field, or to Cancel when it destroys something, and back to what opened it.
import { h, uid } from "./dom.js";
import { button, busy, verdict } from "./components.js";
import { aborted } from "./api.js";
import { explain } from "./copy.js";

/*
 * spec: title, body (nodes), act {label, kind, run}, cancel (label), focus (node), onclose.
 * run resolves to close; resolves to false to stay; what it throws is shown in the dialog.
 */
export function dialog(spec) {
	const opener = document.activeElement,
		answer = verdict(),
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
			if ((await spec.act.run()) !== false) close(true);
		} catch (error) {
			if (!aborted(error)) answer.show({ kind: "bad", ...explain(error) });
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
	return { element, close, act, answer };
}

export const confirm = (title, body, label, run, options = {}) =>
	dialog({ title, body, act: { label, kind: "danger solid", run }, ...options });
