// Times, numbers and names as people read them.

let skew = 0; // the daemon's clock minus the browser's, in ms; only when it is more than the two seconds a reply may take
export function learnClock(dateHeader) {
	const difference = Date.parse(dateHeader) - Date.now();
	if (Number.isFinite(difference)) skew = Math.abs(difference) > 2000 ? difference : 0;
}
export const now = () => Date.now() + skew;

export const time = (at) => (at ? new Date(at).toTimeString().slice(0, 8) : "");
/* "4 May 2026" */
export const date = (at) => (at ? new Date(at).toLocaleString("en-GB", { dateStyle: "long" }) : "");

const daysBack = (at) => Math.round((new Date(now()).setHours(0, 0, 0, 0) - new Date(at).setHours(0, 0, 0, 0)) / 86400000);

/* "14:06:58", "yesterday 17:22:10", "4 May 17:22:10"; the year when it is another one. */
export function when(at, sayToday) {
	if (!at) return "";
	const back = daysBack(at),
		then = new Date(at);
	if (back === 0) return (sayToday ? "today " : "") + time(at);
	if (back === 1) return "yesterday " + time(at);
	return (
		(then.getFullYear() === new Date(now()).getFullYear() ? date(at).replace(/(\S{3})\S* \d+$/, "$1") : date(at)) +
		" " +
		time(at)
	);
}

export const utc = (at) => (at ? new Date(at).toISOString().replace("T", " ").replace("Z", " UTC") : "");

/* "0.3 s", "41 ms", "4 min", "9 days" */
export function span(ms) {
	if (ms < 100) return Math.max(0, Math.round(ms)) + " ms";
	if (ms < 9950) return (ms / 1000).toFixed(1) + " s";
	if (ms < 120000) return Math.round(ms / 1000) + " s";
	if (ms < 7200000) return Math.round(ms / 60000) + " min";
	if (ms < 172800000) return Math.round(ms / 3600000) + " h";
	return Math.round(ms / 86400000) + " days";
}
export const ago = (at) => {
	const ms = Math.max(0, now() - new Date(at));
	return (ms < 9950 ? Math.round(ms / 1000) + " s" : span(ms)) + " ago";
};

export const number = (n) => (n || 0).toLocaleString("en");
/* count(3, "repository", "repositories") */
export const count = (n, one, many) => number(n) + " " + (n === 1 ? one : many || one + "s");
export const repos = (n) => count(n, "repository", "repositories");
export const these = (names, all = "") => (names.length === 1 ? names[0] : all + repos(names.length));
const ordinals = { 2: "2nd", 3: "3rd" };
export const tries = (n) => (ordinals[n] || n + "th") + " try";

export function list(names, most = 99) {
	if (names.length > most) return names.slice(0, most).join(", ") + " and " + (names.length - most) + " more";
	return names.length > 1 ? names.slice(0, -1).join(", ") + " and " + names[names.length - 1] : names[0] || "";
}

export const capital = (text) => (text ? text[0].toUpperCase() + text.slice(1) : "");
/* What the daemon says begins a sentence, unless it begins with a name. */
export const sentence = (text = "") =>
	/^(an?|all|five|its?|not?|only|th\w+|wh\w+|webhook|events?) /.test(text) ? capital(text) : text;

/* "git.example.com/bitbucket" of a URL; the URL itself when it is none. */
export function host(url) {
	try {
		const at = new URL(url);
		return at.host + at.pathname.replace(/\/+$/, "");
	} catch {
		return url || "";
	}
}

/* What people paste from an address bar becomes the server's URL. */
export function cleanUrl(text) {
	let url = text.trim();
	if (url && !/^[a-z][a-z0-9+.-]*:\/\//i.test(url)) url = "https://" + url;
	return url
		.replace(/[?#].*$/, "")
		.replace(/\/(projects|users|repos|dashboard|login|plugins)(\/.*)?$/, "")
		.replace(/([^:/])\/+$/, "$1");
}

/* "Data Center 9.4" of a server; "Bitbucket 9.4" where the product is not told apart. */
export const product = (server, full) => {
	const version = full ? server.version : (server.version || "").split(".").slice(0, 2).join(".");
	return ((server.product || "Bitbucket") + " " + (version || "")).trim();
};
export const shortProduct = (server) => product(server).replace(/^Bitbucket (Data Center|Server)/, "$1");
export const shaUrl = (update) => {
	const [project, slug] = (update.repository || "").split("/");
	return slug
		? `${update.server}/projects/${encodeURIComponent(project)}/repos/${encodeURIComponent(slug)}/commits/${update.commit}`
		: "";
};
