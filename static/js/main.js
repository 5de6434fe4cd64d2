// Starts the page, decides which screen an address may show, and puts it up.
import { fill, h } from "./dom.js";
import { banner } from "./notices.js";
import { explain } from "./copy.js";
import { draft, keep, on, sessionToken, setLeg, stale, state, ticked } from "./state.js";
import { onRoute, parse, replace } from "./router.js";
import { showBridge } from "./bridge.js";
import { noFoot, showSide, slashSearches, stepTitle, steps } from "./frame.js";
import { loadStart, resume } from "./session.js";
import { button, NOT_CONNECTED, unavailable } from "./components.js";
import { show as eyes } from "./view_eyes.js";
import { show as source } from "./view_source.js";
import { show as key } from "./view_key.js";
import { show as server } from "./view_server.js";
import { show as pick } from "./view_pick.js";
import { show as token } from "./view_token.js";
import { show as save } from "./view_save.js";
import { show as done } from "./view_done.js";
import { show as overview } from "./view_overview.js";
import { show as repositories } from "./view_repositories.js";
import { show as repository } from "./view_repository.js";
import { show as updates } from "./view_updates.js";
import { show as settings } from "./view_settings.js";
import { show as audit } from "./view_audit.js";

const WIZARD = { eyes, source, key, server, repositories: pick, token, save, done };
const CONSOLE = { overview, repositories, updates, settings, audit };
const content = document.getElementById("content");

/* ---- which screen ---- */

const stepOpen = {
	eyes: () => steps().some(([name]) => name === "eyes"),
	source: () => configured(),
	key: () => configured(),
	server: () => configured() && signedIn(),
	repositories: () => signedIn() && draft.server,
	token: () => signedIn() && draft.server && ticked().length > 0,
	save: () => signedIn() && draft.job,
	done: () => signedIn() && draft.enabled.length > 0,
};
const configured = () => Boolean(state.start.configured?.eyes_url && state.start.configured?.organization);
const signedIn = () => Boolean(sessionToken() && state.account);
const firstStep = () => (!configured() ? "eyes" : !state.start.account ? "source" : "server");

/* The address that is shown instead, or "" when this one may be. */
function elsewhere({ path, hash }) {
	const [section, step] = path;
	if (section === "setup" && !WIZARD[step]) return "#/";
	if (section === "setup" && !signedIn() && !state.start.account) return stepOpen[step]() ? "" : "#/setup/" + firstStep();
	if (!state.start.account || !configured()) return "#/setup/" + firstStep();
	if (section === "sign-in") return signedIn() ? "#/" : "";
	if (!signedIn()) return "#/sign-in" + (section ? "?to=" + encodeURIComponent(hash) : "");
	if (section === "setup")
		return stepOpen[step]()
			? ""
			: "#/setup/" + (["server", "repositories"].filter((name) => stepOpen[name]()).pop() || "server");
	if (!section && !everEnabled()) return "#/setup/" + (stepOpen[draft.step]?.() ? draft.step : "server");
	if (!CONSOLE[section]) return "#/overview";
	return "";
}
function everEnabled() {
	const repos = state.status?.repositories;
	return repos ? repos.enabled + repos.blocked > 0 : state.start.enabled > 0;
}

/* ---- putting it up ---- */

let leaving = null,
	shown = "",
	title = "";

function show(route) {
	const other = elsewhere(route);
	if (other) return replace(other);
	const [section, step] = route.path,
		wizard = section === "setup";
	const view = wizard
		? WIZARD[step]
		: section === "sign-in"
			? key
			: section === "repositories" && route.path.length > 1
				? repository
				: CONSOLE[section];
	if (shown) draft.scroll[shown] = scrollY;
	leaving?.abort();
	leaving = new AbortController();
	if (wizard) keep({ step });
	else ["eyes", "scm"].forEach((leg) => setLeg(leg));
	noFoot();
	showSide(wizard ? "wizard" : section === "sign-in" ? "none" : "console", wizard ? step : section);
	showBridge(wizard ? "wizard" : section === "overview" ? "console" : "");
	const made = view(route, { signal: leaving.signal });
	fill(content, made.nodes);
	content.removeAttribute("aria-busy");
	title = wizard ? stepTitle(step) : made.title;
	nameDocument();
	const back = route.hash === shown,
		first = !shown;
	shown = route.hash;
	const heading = content.querySelector("h1");
	heading?.setAttribute("tabindex", "-1");
	if (!first) scrollTo(0, back ? draft.scroll[shown] || 0 : 0); // asking for it lays the page out
	(made.focus || heading)?.focus({ preventScroll: true });
	made.ready?.();
}

function nameDocument() {
	const problems = state.status?.problems?.length || 0;
	document.title = (problems ? problems + (problems === 1 ? " problem · " : " problems · ") : "") + title + " · eyes-scm";
}
on("status", nameDocument);
on("link", () => {
	for (const control of document.querySelectorAll(".change")) unavailable(control, stale() ? NOT_CONNECTED : "");
});

/* "/" goes to the search of the screen, unless something is being typed. */
addEventListener("keydown", (event) => {
	if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || !slashSearches()) return;
	if (event.target.closest?.("input, textarea, dialog")) return;
	const search = content.querySelector("[name=search]");
	if (search) event.preventDefault();
	search?.focus();
});
document.getElementById("skip").addEventListener("click", (event) => {
	event.preventDefault(); // the fragment is the address of the screen
	content.querySelector("h1")?.focus();
});

/*
 * The screen that stands in the page (first.html) is seen before the modules draw it anew: drawing takes the processor from
 * painting. A tab that is not shown paints nothing.
 */
const firstPaint = () =>
	"other" in document.documentElement.dataset ||
	new Promise((resolve) => {
		new PerformanceObserver((seen) => seen.getEntriesByName("first-contentful-paint")[0] && resolve()).observe({
			type: "paint",
			buffered: true,
		});
		setTimeout(resolve, 200);
	});

async function begin() {
	try {
		await Promise.all([loadStart(), sessionToken() && resume(), firstPaint()]);
	} catch (error) {
		const why = explain(error);
		showSide("none");
		fill(
			content,
			h("h1", { tabindex: "-1" }, why.title),
			h("p.lead", why.todo),
			h("p.help", why.where),
			button("Try now", () => begin(), "primary"),
		);
		content.removeAttribute("aria-busy");
		setTimeout(() => content.querySelector("h1")?.textContent === why.title && begin(), 5000);
		return;
	}
	banner("");
	if (begin.done) return show(parse());
	begin.done = true;
	onRoute(show);
	show(parse());
}
addEventListener("beforeunload", () => keep({ scroll: { ...draft.scroll, [shown]: scrollY } }));
begin();
