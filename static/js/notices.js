// The banner under the header and the toast at the foot of the page.
import { fill, h, icon, light } from "./dom.js";

const toastRoom = document.getElementById("toast"),
	bannerRoom = document.getElementById("banner");
let toastTimer;

/* For things done elsewhere, never for an error. Stays while hovered or focused. */
export function toast(text, mark = "check") {
	const hide = () => {
		clearTimeout(toastTimer);
		if (toastRoom.matches(":hover")) toastTimer = setTimeout(hide, 1000);
		else fill(toastRoom);
	};
	clearTimeout(toastTimer);
	fill(toastRoom, h("div", mark && icon(mark), h("span", text)));
	toastTimer = setTimeout(hide, 6000);
}
export const say = (text) => toast(text, "");

/* kind "" takes it away. The same words are not announced twice. */
let shown = "";
export function banner(kind, bold = "", text = "", button) {
	const print = kind + bold + text;
	if (print === shown) return;
	const words = [h("b", bold), " ", text];
	if (kind === "warn" && bannerRoom.firstChild?.className === kind) fill(bannerRoom.querySelector("p"), words);
	else fill(bannerRoom, kind && h("div", { class: kind }, light(kind), h("p", words), button));
	shown = print;
	document.documentElement.style.setProperty("--top", document.querySelector(".top").offsetHeight + "px");
}

/* A control that cannot be used now stays reachable, and a press says why. */
addEventListener(
	"click",
	(event) => {
		const control = event.target.closest?.("[aria-disabled=true]");
		if (!control) return;
		event.preventDefault();
		event.stopImmediatePropagation();
		if (control.dataset.why) say(control.dataset.why);
	},
	true,
);
