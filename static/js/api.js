// Requests to the daemon. A 401 opens the sign-in dialog and repeats the request that was interrupted.
import { learnClock, time } from "./format.js";
import { sessionToken } from "./state.js";

export class ApiError extends Error {
	/* after: seconds until it may be asked again; the hint then names the time. */
	constructor(status, error, after) {
		super(error.message || "eyes-scm answered with HTTP " + status);
		Object.assign(this, { code: "" }, error, { status }); // hop, hint, field, trace, certificate
		if (after) this.hint = error.hint?.replace(/in (\d+ s|one minute)/, "at " + time(Date.now() + after * 1000));
	}
}
export const unreachable = (error) => error instanceof ApiError && error.code === "conn_lost";
export const aborted = (error) => error?.name === "AbortError";

let askAgain = null; // set by the sign-in dialog: resolves when there is a session again, rejects on Leave
export const onSessionEnded = (fn) => (askAgain = fn);

export function headers(extra) {
	const token = sessionToken();
	return token ? { ...extra, "X-Eyes-Scm-Token": token } : { ...extra };
}

/* theme.js asked already for what the first screen needs; each answer is used once. */
function early(method, path) {
	const asked = method === "GET" && window.early?.[path];
	if (asked) delete window.early[path];
	return asked;
}
async function send(method, path, body, signal) {
	try {
		return await (early(method, path) ||
			fetch("/api/v1/" + path, {
				method,
				signal,
				cache: "no-store",
				credentials: "same-origin",
				headers: headers(body === undefined ? {} : { "Content-Type": "application/json" }),
				body: body === undefined ? undefined : JSON.stringify(body),
			}));
	} catch (error) {
		if (aborted(error)) throw error;
		throw new ApiError(0, { code: "conn_lost", message: "No connection to eyes-scm", hint: "Is the service running?" });
	}
}

async function bodyOf(response) {
	try {
		return await response.json();
	} catch (error) {
		if (aborted(error)) throw error;
		return null; // 204, or what explains nothing
	}
}

/* options: signal; open: a call that needs no session, so that its 401 is an answer. */
export async function api(method, path, body, { signal, open } = {}) {
	for (;;) {
		const used = sessionToken(),
			response = await send(method, path, body, signal);
		learnClock(response.headers.get("Date"));
		const data = await bodyOf(response);
		if (response.ok) return data;
		if (response.status === 401 && !open && askAgain) {
			if (used === sessionToken()) await askAgain(); // else somebody signed in meanwhile
			continue;
		}
		throw new ApiError(response.status, data?.error || {}, response.headers.get("Retry-After"));
	}
}
export const get = (path, options) => api("GET", path, undefined, options);
export const post = (path, body, options) => api("POST", path, body, options);

/* query({q: "a b", by: ""}) is "?q=a%20b"; empty ones are left out. */
export function query(values) {
	const text = Object.entries(values)
		.filter(([, value]) => (value ?? "") !== "")
		.map(([name, value]) => name + "=" + encodeURIComponent(value))
		.join("&");
	return text ? "?" + text : "";
}

/* The record of "PROJECT/slug", if there is one. */
export const findRepo = async (server, name, options) =>
	(await get("repositories" + query({ server, search: name, limit: 50 }), options)).repositories.find(
		(at) => at.project + "/" + at.slug === name,
	);

/* Saves an answer as a file; it needs the header, so a plain link does not do. */
export async function download(path, name, pick) {
	const data = await get(path),
		url = URL.createObjectURL(
			new Blob([JSON.stringify(pick ? pick(data) : data, null, 2) + "\n"], { type: "application/json" }),
		);
	const link = document.createElement("a");
	link.href = url;
	link.download = name;
	link.click();
	setTimeout(() => URL.revokeObjectURL(url), 10000);
}
