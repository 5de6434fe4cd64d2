// Who is signed in: showing an Eyes key of the account's team is the way in. Also the facts that every screen needs.
import { api, get, onSessionEnded, post, query } from "./api.js";
import { h, words } from "./dom.js";
import { count, date, host } from "./format.js";
import { button, field, secretField } from "./components.js";
import { dialog } from "./dialogs.js";
import { liveCheck, refuse } from "./checks.js";
import { explain } from "./copy.js";
import { forget, memory, legOf, on, sessionToken, setLeg, setSessionToken, state, tell } from "./state.js";
import { noteUnreachable, startLive, stopLive } from "./live.js";
import { go } from "./router.js";

export async function loadStart() {
	state.start = await get("start", { open: true });
	tell("session");
}

let loading = null,
	again = false;
function takeStatus(status) {
	state.status = status;
	if (status.account?.configured) state.account = status.account;
	tell("status");
}
/* One at a time; a wish that comes meanwhile is one more afterwards. */
export function loadStatus() {
	if (loading) {
		again = true;
		return loading;
	}
	loading = get("status")
		.then(takeStatus)
		.catch((error) => {
			noteUnreachable(error);
			throw error;
		})
		.finally(() => {
			loading = null;
			if (again) {
				again = false;
				soon();
			}
		});
	return loading;
}
let timer = 0;
// At most four times a second, however much happens.
function soon() {
	timer ||= setTimeout(() => {
		timer = 0;
		if (sessionToken()) loadStatus().catch(() => {});
	}, 250);
}
for (const topic of ["update", "queue", "server", "eyes", "repository", "account", "events"]) on("event:" + topic, soon);
on("refresh", soon);

/* After a reload: is the token of this tab still good? */
export async function resume() {
	try {
		const [session, status] = await Promise.all([get("session", { open: true }), get("status", { open: true })]);
		state.account = session.account;
		state.status = status;
	} catch (error) {
		if (error.status !== 401) throw error;
		setSessionToken("");
		return;
	}
	tell("session");
	tell("status");
	startLive();
}

export async function signOut() {
	stopLive();
	await api("DELETE", "session", undefined, { open: true }).catch(() => {});
	leave();
	go("#/sign-in");
}
function leave() {
	setSessionToken("");
	forget();
	Object.assign(state, { account: null, status: null });
	setLeg("eyes");
	setLeg("scm");
	tell("session");
}

/* ---- the key ---- */

export const expiry = ({ expires, expires_in_days: days }) =>
	expires ? date(expires) + (days === undefined ? "" : ", in " + count(days, "day")) : "does not expire";
export function accountAnswer(account) {
	const days = account.expires_in_days,
		soonGone = days !== undefined && days < 14;
	return {
		kind: soonGone ? "warn" : "ok",
		title: soonGone ? "Key accepted, but it expires in " + count(days, "day") : "Key accepted, with full privileges",
		facts: [
			["User", account.user],
			["Team", account.team && h("code", account.team)],
			["Purpose", account.purpose],
			["Permissions", account.permissions?.join(", ")],
			["Team admin", words("team_admin")],
			["Expires", expiry(account)],
		],
		todo: soonGone && words("key_ends"),
	};
}

async function makeSession(key, signal) {
	const made = await post("session", { key, setup_code: memory.code }, { open: true, signal });
	memory.key = memory.code = "";
	setSessionToken(made.token);
	state.account = made.account;
	Object.assign(state.start, { account: true, team: made.account.team });
	tell("session");
	startLive();
	takeStatus(await get("status", { open: true })); // not loadStatus: that one may be waiting for this sign-in
	return made.account;
}

/* The field of the setup code, where the first sign-in needs one; what is typed stays until then. */
export function codeField() {
	if (!state.start.setup_code || state.start.account) return null;
	const made = field({
		label: "Setup code",
		help: words("setup_code"),
		placeholder: "XXXX-XXXX",
		value: memory.code,
		mono: true,
		name: "setup_code",
	});
	made.input.addEventListener("input", () => {
		memory.code = made.input.value.trim();
		made.edge("");
		made.verdict.clear();
	});
	return made;
}
/* Whether it is missing; if so, says it. */
export const codeMissing = (code) => code && !memory.code && !refuse(code, "The setup code is missing");

const LATER = { kind: "idle", title: words("code_first"), where: "", todo: "", trace: null };
/* A live check of what is asked together with the setup code (code null: without), which has its own verdict. */
export function checkWith(code, made, look, options) {
	const check = liveCheck(made, async (value, signal) => (code && !memory.code ? { ...LATER } : look(value, signal)), {
		...options,
		onanswer(answer) {
			if (code && answer.code === "setup_code") {
				code.edge("bad");
				code.verdict.show({ ...answer, where: "" });
				made.edge("");
				Object.assign(answer, LATER);
			}
			options.onanswer(answer);
		},
	});
	code?.input.addEventListener("input", check.reset);
	code?.input.addEventListener("change", () => check.ensure());
	return check;
}
export const good = (answer) => answer?.kind === "ok" || answer?.kind === "warn";

/*
 * The field of the key with its live check, which signs in; with replace and a session it only asks whose key it is, and
 * use() replaces the stored one.
 * options: help, code (the field of the setup code), onenter, ondone (there is a session).
 */
export function keyField({ help, code, replace, onenter, ondone }) {
	const replaces = () => replace && sessionToken();
	const made = secretField({
		label: "Eyes API key",
		help,
		placeholder: "Paste the key",
		autocomplete: "current-password",
		name: "key",
		value: replaces() ? "" : memory.key,
	});
	const check = checkWith(
		code,
		made,
		async (key, signal) => {
			if (!replaces()) {
				memory.key = key;
				return accountAnswer(await makeSession(key, signal));
			}
			const found = await post("account/check", { key }, { signal }),
				answer = { ...accountAnswer(found), found, at: performance.now() };
			return found.other_team
				? { ...answer, kind: "warn", title: "A key of another team: " + found.team, todo: words("other_team") }
				: { ...answer, todo: answer.todo || words("key_checked") };
		},
		{
			checking: "Asking " + host(state.start.configured?.eyes_url?.value || "Eyes") + " whose key this is…",
			onenter,
			onchange() {
				if (!replaces()) memory.key = made.input.value.trim();
				setLeg("eyes");
			},
			onchecking: () => setLeg("eyes", "spin", "checking"),
			onanswer(answer) {
				if (answer.kind === "bad" && answer.code && answer.code !== "key_unknown")
					answer.actions = [button("Check again", () => check.again(), "small")];
				legOf("eyes", good(answer) ? { kind: "ok" } : answer, ["Key accepted", "", "Key refused"]);
				if (answer.code === "key_rate") {
					made.input.value = memory.key = "";
					made.refresh();
				}
				if (good(answer) && !answer.found) ondone?.();
			},
		},
	);

	/* What the button below the field does. Resolves to whether there is a session with a key that is in use. */
	async function use() {
		const answer = await check.ensure(),
			found = answer?.found,
			key = check.value();
		if (!answer) return refuse(made, "The key is missing", words("copy_key"));
		// A warning that came up with the press has not been read.
		if (!good(answer) || (found?.other_team && performance.now() - answer.at < 1000)) {
			(answer.code === "setup_code" ? code : made).input.focus();
			return false;
		}
		if (!found) return true;
		try {
			if (found.other_team) stopLive();
			state.account = await api("PUT", "account", { key });
			await (found.other_team ? makeSession(key) : loadStatus());
			return true;
		} catch (error) {
			made.verdict.show({ kind: "bad", ...explain(error) });
			return false;
		} finally {
			startLive();
		}
	}
	return { ...made, check, use };
}

/* ---- the session ended in mid-work ---- */

let asking = null;
onSessionEnded(
	() =>
		(asking ||= new Promise((resolve, reject) => {
			stopLive(); // what it says stands below the dialog, and cannot be pressed
			const made = keyField({
				help: state.account?.team ? "A key of team " + state.account.team + "." : "A key of this account’s team.",
				ondone: () => setTimeout(() => box.close(true)),
			});
			const box = dialog({
				title: "Sign in again",
				cancel: "Leave",
				focus: made.input,
				body: [h("p.lead", words("ended")), made.element],
				act: { label: "Continue", run: made.use },
				onclose(done) {
					asking = null;
					if (done) return resolve();
					leave();
					go("#/sign-in" + query({ to: location.hash }));
					reject(Object.assign(new Error("left"), { name: "AbortError" }));
				},
			});
		})),
);
