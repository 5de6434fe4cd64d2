// What the page knows. Three lifetimes: `memory` ends with the page (secrets live only here), `draft` with the tab (what was
// typed and ticked), `state` mirrors the daemon.

export const memory = { key: "", code: "", tokens: {}, serverCheck: null, tokenCheck: null, machine: null };

export const state = {
	start: null, // GET /start
	account: null, // of the session
	status: null, // GET /status
	relay: null, // GET /relay, as last asked
	link: "off", // off, live, reconnecting, lost
	since: null, // when the link broke
	legs: { eyes: null, scm: null }, // what a wizard step found out: {kind, word}
};

const DRAFT = "eyes-scm-draft",
	TOKEN = "eyes-scm-session";
const emptyDraft = () => ({
	step: "",
	eyesUrl: "",
	organization: "",
	withEyes: false,
	server: 0,
	adding: false,
	url: "",
	given: {}, // the CA of a server that is being added: {ca} or {ca_path}
	search: "",
	show: "all",
	ticks: {},
	job: 0,
	jobServer: 0,
	jobNames: [],
	jobHooks: false,
	results: {},
	enabled: [],
	scroll: {},
});

/*
 * What room (its name: it may be switched off, or full) holds; with a value it is put there, and "" removes it. Without
 * storage the page still works until it is reloaded.
 */
export function stored(room, name, value) {
	try {
		if (value === undefined) return window[room].getItem(name) || "";
		if (value) window[room].setItem(name, value);
		else window[room].removeItem(name);
	} catch {
		/* it holds until then */
	}
	return value || "";
}
const SESSION = "sessionStorage";

export const draft = emptyDraft();
try {
	Object.assign(draft, JSON.parse(stored(SESSION, DRAFT) || "{}"));
} catch {
	/* not ours */
}

export function keep(changes) {
	Object.assign(draft, changes);
	stored(SESSION, DRAFT, JSON.stringify(draft));
}
export function forget() {
	keep(emptyDraft());
	Object.assign(memory, { key: "", code: "", tokens: {}, serverCheck: null, tokenCheck: null });
}

let token = stored(SESSION, TOKEN);
export const sessionToken = () => token;
export function setSessionToken(value) {
	token = stored(SESSION, TOKEN, value);
}

/* The ticked repositories of the chosen server, by name: {project, slug, access}. */
export const ticks = () => (draft.ticks[draft.server] ||= {});
export const ticked = () => Object.keys(ticks()).sort();

/* ---- who wants to know ---- */

const listeners = new Map();
export function on(topic, fn, signal) {
	const fns = listeners.get(topic) || listeners.set(topic, new Set()).get(topic);
	fns.add(fn);
	signal?.addEventListener("abort", () => fns.delete(fn));
}
export function tell(topic, data) {
	for (const fn of [...(listeners.get(topic) || [])]) fn(data);
}

export const stale = () => state.link === "lost";
/* How many updates are on their way (those given up are counts.dead), and how many repositories are enabled. */
export const waits = ({ waiting, later, blocked, sending }) => waiting + later + blocked + sending || 0;
export const enabled = () => (state.status ? state.status.repositories.enabled + state.status.repositories.blocked : 0);
export const server = (id) => state.status?.servers.find((at) => String(at.id) === String(id));
export const chosenServer = () => server(draft.server);

/* What an answer says of a leg: where it stopped, or the words for good, half good and refused. */
export function legOf(which, answer, [good, half, refused], host) {
	const failed = answer.trace?.find((hop) => hop.outcome === "failed")?.hop;
	setLeg(
		which,
		answer.kind === "idle" ? "" : answer.kind,
		answer.kind === "ok"
			? good
			: answer.kind === "warn"
				? half
				: failed && !/HTTP|Eyes/.test(failed)
					? "Stopped at " + failed
					: answer.again
						? "Not checked"
						: refused,
		host,
	);
}
/* host: of a server that is not stored yet */
export function setLeg(which, kind, word, host) {
	state.legs[which] = kind ? { kind, word, host } : null;
	tell("bridge");
}
