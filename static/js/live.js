// The event stream, read with fetch because it needs the session's header, and what to do when it breaks.
//   off ─ start ─▶ connecting ─ first bytes ─▶ live ─ silence, end, error ─▶ reconnecting ─ 3 s ─▶ lost ─▶ … live
import { api, get, headers, unreachable } from "./api.js";
import { words } from "./dom.js";
import { count, time } from "./format.js";
import { sessionToken, state, tell } from "./state.js";
import { banner } from "./notices.js";
import { button } from "./components.js";

const PAUSES = [1, 2, 4, 8, 15],
	SILENCE = 40000,
	HIDDEN = 300000,
	LOST_AFTER = 3000;

let wanted = false,
	resting = false,
	reading = null,
	lastId = "",
	tries = 0,
	retryTimer,
	lostTimer,
	hiddenTimer,
	countdown,
	nextAt = 0,
	changes = 0;

export function startLive() {
	if (wanted) return;
	wanted = true;
	connect();
}
export function stopLive() {
	wanted = false;
	reading?.abort();
	reading = null;
	[retryTimer, lostTimer, hiddenTimer].forEach(clearTimeout);
	clearInterval(countdown);
	setLink("off");
	banner("");
}
function retryNow() {
	clearTimeout(retryTimer);
	if (wanted && !resting && !reading) connect();
}

function setLink(link) {
	if (state.link === link) return;
	state.link = link;
	document.body.classList.toggle("stale", link === "lost");
	tell("link", link);
}

async function connect() {
	const abort = new AbortController(),
		used = sessionToken();
	let silence;
	reading = abort;
	const alive = () => {
		clearTimeout(silence);
		silence = setTimeout(() => abort.abort(), SILENCE);
	};
	try {
		alive();
		const response = await fetch("/api/v1/events", {
			headers: headers(lastId ? { "Last-Event-ID": lastId } : {}),
			signal: abort.signal,
			cache: "no-store",
		});
		if (response.status === 401) {
			// Any ordinary call opens the sign-in dialog; the stream follows when it is done.
			if (used === sessionToken()) await api("GET", "session");
			throw new Error("signed in again");
		}
		if (!response.ok) throw new Error("HTTP " + response.status);
		await read(response.body.pipeThrough(new TextDecoderStream()).getReader(), alive);
	} catch (error) {
		if (error.name !== "AbortError" && error.name !== "TypeError" && !unreachable(error))
			console.warn("event stream:", error.message);
	} finally {
		clearTimeout(silence);
		if (reading === abort) reading = null;
	}
	if (wanted && !resting && !reading) broke();
}

async function read(reader, alive) {
	let rest = "";
	for (;;) {
		const { done, value } = await reader.read();
		if (done) return;
		alive();
		const blocks = (rest + value).replace(/\r\n/g, "\n").split("\n\n");
		rest = blocks.pop();
		for (const block of blocks) handle(block);
	}
}

function handle(block) {
	const event = { name: "message", data: "" };
	for (const line of block.split("\n")) {
		const [, name, value] = /^(\w+): ?(.*)$/.exec(line) || [];
		if (name === "id") lastId = value;
		else if (name === "event") event.name = value;
		else if (name === "data") event.data += value;
	}
	if (!event.data) return;
	let data;
	try {
		data = JSON.parse(event.data);
	} catch {
		return; // not for us
	}
	if (event.name === "hello") return hello(data);
	changes++;
	tell("event", { topic: event.name, ...data });
	tell("event:" + event.name, data);
}

function hello(data) {
	const was = state.since,
		lost = state.link === "lost";
	tries = 0;
	state.since = null;
	[retryTimer, lostTimer].forEach(clearTimeout);
	lostTimer = 0;
	clearInterval(countdown);
	setLink("live");
	if (was || data.resumed === false) {
		tell("refresh");
		changes = 0;
		const later = (ms, fn) => setTimeout(() => state.link === "live" && !updated && fn(), ms);
		if (lost) {
			later(300, () =>
				banner(
					"ok",
					"Connected again.",
					changes ? count(changes, "change") + " came in meanwhile." : words("up_to_date"),
				),
			);
			later(3300, () => banner(""));
		}
	}
	checkBuild();
}

/* A daemon of another build serves another page; it is never reloaded by itself. */
let updated = false;
async function checkBuild() {
	const start = await get("start", { open: true }).catch(() => null);
	if (!start || !state.start?.build || start.build === state.start.build) return;
	updated = true;
	banner(
		"ok",
		"eyes-scm was updated.",
		words("reload"),
		button("Reload", () => location.reload(), "small"),
	);
}

function broke() {
	state.since ||= new Date().toISOString();
	if (state.link !== "lost") setLink("reconnecting");
	const pause = PAUSES[Math.min(tries++, PAUSES.length - 1)] * 1000 * (0.8 + Math.random() * 0.4);
	nextAt = Date.now() + pause;
	clearTimeout(retryTimer);
	retryTimer = setTimeout(connect, pause);
	lostTimer ||= setTimeout(lose, LOST_AFTER);
}

function lose() {
	lostTimer = 0;
	if (!wanted || state.link === "live") return;
	setLink("lost");
	clearInterval(countdown);
	countdown = setInterval(sayLost, 1000);
	sayLost();
}
// The words change when a try begins, not every second: a screen reader would read each.
let saidFor = 0;
function sayLost() {
	if (saidFor !== nextAt) {
		saidFor = nextAt;
		banner(
			"warn",
			"No connection to eyes-scm since " + time(state.since) + ".",
			words("next_try", Math.max(1, Math.round((nextAt - Date.now()) / 1000))) +
				(tries > 4 ? " Is the service running?" : ""),
			button("Try now", retryNow, "small"),
		);
	}
}

/* A request that found nobody tells it sooner than the stream's silence does. */
export function noteUnreachable(error) {
	if (unreachable(error) && state.link === "live") reading?.abort();
}

addEventListener("online", retryNow);
document.addEventListener("visibilitychange", () => {
	clearTimeout(hiddenTimer);
	if (!document.hidden) {
		resting = false;
		retryNow();
	} else
		hiddenTimer = setTimeout(() => {
			resting = true; // nothing reconnects while nobody looks
			reading?.abort();
			clearTimeout(retryTimer);
		}, HIDDEN);
});
