// Live checks: on paste, on leaving the field and on Enter, never per keystroke. The answer stands until the value changes.
import { aborted } from "./api.js";
import { button } from "./components.js";
import { explain } from "./copy.js";

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/*
 * made: a field. look(value, signal) resolves to an answer for its verdict, with kind ok, warn or bad; what it throws becomes a bad one.
 * One with again set is of a fault that may pass: it gets a button, and counts only until an answer is wanted again.
 * options: checking (words while it runs), onchange (typing began), onanswer(answer), onenter, clean.
 */
export function liveCheck(made, look, options = {}) {
	let running = null,
		checkedValue = null,
		answer = null;
	const value = () => made.input.value.trim();

	function reset() {
		running?.abort();
		running = null;
		checkedValue = answer = null;
		made.verdict.clear();
		made.edge("");
		options.onchange?.();
	}

	const fault = (error) => ({
		kind: error.code === "key_rate" ? "idle" : "bad",
		error,
		...explain(error),
		again: !/^4/.test(error.status),
	});
	function put(known) {
		answer = known;
		if (known.again) known.actions = [known.actions, button("Check again", () => ensure(true), "small")];
		made.edge(known.kind === "idle" ? "" : known.kind);
	}
	async function run() {
		const abort = new AbortController(),
			asked = value(),
			begun = performance.now();
		let found,
			shownAt = 0;
		running?.abort();
		running = abort;
		checkedValue = asked;
		made.input.closest(".field")?.setAttribute("aria-busy", "true");
		const timer = setTimeout(
			() => {
				shownAt = performance.now();
				made.verdict.show({
					kind: "checking",
					title: typeof options.checking === "function" ? options.checking(asked) : options.checking,
				});
				options.onchecking?.();
			},
			answer ? 0 : 150,
		);
		try {
			found = await look(asked, abort.signal);
		} catch (error) {
			if (abort.signal.aborted || aborted(error)) return null;
			found = fault(error);
		} finally {
			clearTimeout(timer);
		}
		// Once shown, "checking" stays long enough to be read.
		if (shownAt) await wait(Math.max(0, 300 - (performance.now() - shownAt)));
		if (abort.signal.aborted) return null;
		running = null;
		made.input.closest(".field")?.removeAttribute("aria-busy");
		put(found);
		options.onanswer?.(found, performance.now() - begun);
		made.verdict.show(found);
		return found;
	}

	/* Checks if this value was not yet; resolves to the answer, or null when nothing was entered. */
	let pending = null;
	function ensure(again) {
		if (!value()) return Promise.resolve(null);
		if (!again && value() === checkedValue && (pending || !answer?.again)) return pending || Promise.resolve(answer);
		return (pending = run().finally(() => (pending = null)));
	}

	made.input.addEventListener("input", () => value() !== checkedValue && reset());
	made.input.addEventListener("paste", () =>
		setTimeout(() => {
			const cleaned = options.clean ? options.clean(made.input.value) : made.input.value.trim();
			if (cleaned !== made.input.value) made.input.value = cleaned;
			made.refresh?.();
			ensure();
		}),
	);
	made.input.addEventListener("change", () => {
		if (options.clean && value()) made.input.value = options.clean(value());
		ensure();
	});
	made.input.addEventListener("keydown", async (event) => {
		if (event.key !== "Enter" || event.isComposing) return;
		event.preventDefault();
		if (options.clean && value()) made.input.value = options.clean(value());
		const done = await ensure();
		if (done && done.kind !== "bad" && done.kind !== "idle") options.onenter?.();
	});
	return {
		ensure,
		value,
		reset,
		again: () => ensure(true),
		/* Shows an answer that is known already, or a fault. */
		set(known) {
			checkedValue = value();
			put(known);
			made.verdict.show(known);
		},
		fail(error) {
			this.set(fault(error));
		},
	};
}

/* A press on Next that cannot go on moves the focus to the field at fault, with a word when it is empty. */
export function refuse(made, title, todo) {
	made.edge("bad");
	if (title) made.verdict.show({ kind: "bad", title, todo });
	made.input.focus();
	return false;
}
