// Who is signed in: showing an Eyes key of the account's team is the way in. Also the facts that every screen needs.
import { api, get, onSessionEnded, post, query } from "./api.js";
import { h, words } from "./dom.js";
import { count, date, host } from "./format.js";
import { button, secretField } from "./components.js";
import { dialog } from "./dialogs.js";
import { liveCheck, refuse } from "./checks.js";
import { forget, memory, legOf, on, sessionToken, setLeg, setSessionToken, state, tell } from "./state.js";
import { noteUnreachable, startLive, stopLive } from "./live.js";
import { go } from "./router.js";

export async function loadStart() {
	state.start = await get("start", { open: true });
	tell("session");
}

let loading = null,
	again = false;
/* One at a time; a wish that comes meanwhile is one more afterwards. */
export function loadStatus() {
	if (loading) {
		again = true;
		return loading;
	}
	loading = get("status")
		.then((status) => {
			state.status = status;
			if (status.account?.configured) state.account = status.account;
			tell("status");
		})
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
	stopLive();
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
			["Team admin", "Eyes does not tell. Make sure of it in Admin, Users"],
			["Expires", expiry(account)],
		],
		todo: soonGone && words("key_ends"),
	};
}

async function makeSession(key, setupCode, signal) {
	const made = await post("session", { key, setup_code: setupCode || undefined }, { open: true, signal });
	setSessionToken(made.token);
	state.account = made.account;
	if (state.start) state.start.account = true;
	tell("session");
	startLive();
	await loadStatus();
	return made.account;
}

/*
 * The field of the key with its live check, which signs in, or replaces the key when replace is set.
 * options: help, code (the field of the setup code), onenter, onanswer.
 */
export function keyField({ help, code, replace, onenter, ondone } = {}) {
	const made = secretField({
		label: "Eyes API key",
		help,
		placeholder: "Paste the key",
		autocomplete: "current-password",
		name: "key",
		value: memory.key,
	});
	const eyes = state.start?.configured?.eyes_url?.value || state.account?.origin;
	const check = liveCheck(
		made,
		async (key, signal) => {
			memory.key = key;
			if (code && !code.input.value.trim()) return { kind: "idle", title: "Not checked yet: the setup code comes first" };
			let account;
			if (replace && sessionToken()) {
				account = await api("PUT", "account", { key }, { signal });
				state.account = account;
				await loadStatus();
			} else account = await makeSession(key, code?.input.value.trim(), signal);
			return accountAnswer(account);
		},
		{
			checking: "Asking " + (eyes ? host(eyes) : "Eyes") + " whose key this is…",
			onenter,
			onchange: () => {
				memory.key = made.input.value.trim();
				setLeg("eyes");
			},
			onchecking: () => setLeg("eyes", "spin", "checking"),
			onanswer(answer) {
				const good = answer.kind === "ok" || answer.kind === "warn";
				if (good) memory.key = "";
				if (answer.code === "setup_code" && code) {
					made.edge("");
					code.edge("bad");
					code.verdict.show({ kind: "bad", title: answer.title, todo: answer.todo });
					Object.assign(answer, {
						kind: "idle",
						title: "Not checked yet: the setup code comes first",
						where: "",
						todo: "",
						trace: null,
					});
				} else if (!good && answer.code && answer.code !== "key_unknown" && answer.code !== "key_rate")
					answer.actions = [button("Check again", () => check.again(), "small")];
				legOf("eyes", good ? { kind: "ok" } : answer, ["Key accepted", "", "Key refused"]);
				if (answer.code === "key_rate") {
					made.input.value = memory.key = "";
					made.refresh();
				}
				if (good) ondone?.();
			},
		},
	);
	code?.input.addEventListener("input", () => {
		code.edge("");
		code.verdict.clear();
		check.reset();
	});
	code?.input.addEventListener("change", () => check.ensure());
	return { ...made, check };
}

/* ---- the session ended in mid-work ---- */

let asking = null;
onSessionEnded(
	() =>
		(asking ||= new Promise((resolve, reject) => {
			const made = keyField({
				help: state.account?.team ? "A key of team " + state.account.team + "." : "A key of this account’s team.",
				ondone: () => setTimeout(() => box.close(true)),
			});
			const box = dialog({
				title: "Sign in again",
				cancel: "Leave",
				focus: made.input,
				body: [h("p.lead", "Your session ended. What you typed is still here."), made.element],
				act: {
					label: "Continue",
					async run() {
						const answer = await made.check.ensure();
						if (!answer) refuse(made, "The key is missing");
						return Boolean(answer && (answer.kind === "ok" || answer.kind === "warn"));
					},
				},
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
