// The words for errors, by code (ui.md §7). A sentence is used when all its {names} are known; else the API's own is.
import { capital, host } from "./format.js";

const COPY = {
	config_missing: [
		null,
		"this machine, configuration",
		"Add it to eyes-scm.conf (in Eyes: Admin, Account, ID) and restart eyes-scm. This page notices by itself.",
	],
	setup_code: [
		"That setup code is not right",
		"this machine, sign-in",
		"It is in the log of eyes-scm, or run eyes-scm setup-code. A new one is made at each start until the first sign-in.",
	],
	eyes_moved: [
		null,
		"this machine, configuration",
		"The stored key is not sent to another server by itself. Enter the key again to go on.",
	],
	eyes_dns: [
		"The name {eyes} is not known here",
		"DNS",
		"Check EYES_SERVER_URL. If the internet is reached through a proxy, set HTTPS_PROXY.",
	],
	eyes_timeout: [
		"{eyes} does not answer",
		"TCP, 10 s",
		"A firewall drops the connection. Allow this machine to reach {eyes}, or set HTTPS_PROXY.",
	],
	eyes_refused: [
		"Nothing listens at {eyes}",
		"TCP",
		"Check EYES_SERVER_URL. If the internet is reached through a proxy, set HTTPS_PROXY.",
	],
	proxy_auth: [
		"The proxy does not let eyes-scm through to Eyes",
		"Proxy, 407",
		"Put user and password into HTTPS_PROXY and restart.",
	],
	eyes_tls: [
		"The certificate of {eyes} is not trusted",
		"TLS",
		"Something on the way opens the connection. Name its CA in SSL_CERT_FILE and restart.",
	],
	clock_skew: [null, "TLS, validity", "Set the clock (NTP), then check again."],
	key_unknown: ["Eyes does not know this key", "Eyes, 401", "Copy it again from Admin, API Keys: all of it, without spaces."],
	key_permissions: [null, "Eyes, permissions", "Tick all four permissions of this key in Admin, API Keys, then check again."],
	key_expired: [null, "Eyes, expiry", "Use another key, or make one."],
	key_other_team: [
		"This key is of another team",
		"Eyes, team {team}",
		"Use a key of team {team}. To change the team, replace the key in Settings first.",
	],
	key_rate: [
		"Five wrong keys from this address",
		"this machine, sign-in",
		"The next one is accepted in {retry} s. Nobody else is held up.",
	],
	eyes_5xx: [null, "Eyes, HTTP", "Nothing to do here: it is tried again, and nothing is lost."],
	url_invalid: [
		"That is not the address of a server",
		"this field",
		"Such as https://bitbucket.example.com or https://example.com/bitbucket.",
	],
	server_exists: ["This server is already in the list", "this field", "Choose it above."],
	server_dns: [
		"The name {host} is not known here",
		"DNS",
		"Check the spelling. The browser's machine may know names that this machine does not.",
	],
	server_refused: ["Nothing listens at {host}", "TCP", "Check the port; Bitbucket's own is 7990, behind a proxy usually 443."],
	server_timeout: [
		"{host} does not answer",
		"TCP, 10 s",
		"A firewall may drop the connection. Allow this machine to reach {host}.",
	],
	tls_untrusted: [
		"The certificate of {host} is not trusted",
		"TLS, issuer unknown",
		"Give eyes-scm the certificate of its CA: a PEM file, used for this server only.",
	],
	tls_name: [null, "TLS, name", "Use one of those names as the URL, or have the certificate renewed with this one."],
	tls_expired: [null, "TLS, validity", "Whoever runs Bitbucket must renew it. Then check again."],
	ca_invalid: [
		"That file holds no PEM certificate",
		"upload",
		"It starts with “BEGIN CERTIFICATE”. A DER or PKCS#12 file must be converted first.",
	],
	ca_other: ["That CA did not issue this certificate", "TLS, issuer", "Ask for the one that did, with its root."],
	not_bitbucket: [
		"{host} is not a Bitbucket server",
		"HTTP",
		"Open the address in a browser. If Bitbucket lives under a path, add it.",
	],
	login_page: [
		"A sign-in page stands in front of {host}",
		"HTTP",
		"Ask for /rest/ to be let through to Bitbucket, or for its inner address.",
	],
	repo_format: [
		"That looks like the display name",
		"this field",
		"Use key and slug from the repository’s address, such as PAY/checkout-web.",
	],
	repo_unknown: ["{name} is not visible to this token", "Bitbucket, 404", "Check the spelling, or use a token that can read it."],
	repo_archived: ["{name} is archived, so read only", "Bitbucket", "Make it active in Bitbucket, or leave it out."],
	token_refused: [
		"{host} refused this token",
		"HTTP 401, not signed in",
		"It may be cut off, expired or revoked. Make a new one and paste it here.",
	],
	token_rights: [null, "Bitbucket, permissions", "Use the token of someone who may, or give this one the right in Bitbucket."],
	rate_limited: ["{host} asks to slow down", "HTTP 429", "Nothing to do: it goes on by itself."],
	update_expired: [
		null,
		"this machine, queue, 7 days",
		"Nothing to do: newer tests set new statuses. Repair what they waited for.",
	],
	commit_unknown: [
		"Bitbucket does not know these commits",
		"Bitbucket, 404",
		"Usually the branch was rebased or deleted. Retry if it came back, else drop.",
	],
	store_full: [null, "this machine, disk", "Make room or raise EYES_STORE_SIZE. Eyes and Bitbucket keep what was not taken."],
	host_denied: ["This page was opened under a name that is not allowed", "browser", "Add the name to EYES_ALLOWED_HOSTS."],
	csrf: ["This page is too old to make changes", "browser", "Reload it. What you typed is kept."],
	conn_lost: ["No connection to eyes-scm", "browser to this machine", "If it stays so: is the service running?"],
};
/* The same thing under the name that the net layer gives it; on the leg to Eyes and on the leg to the server. */
const SAME = { dns_failed: "_dns", connect_timeout: "_timeout", connect_refused: "_refused" };

function filled(text, names) {
	let whole = Boolean(text);
	const result = (text || "").replace(/\{(\w+)\}/g, (_, name) => {
		if (!names[name] && names[name] !== 0) whole = false;
		return names[name];
	});
	return whole ? result : "";
}

/* context: leg "eyes" or "server", host, name, team, eyes. Returns {title, where, todo, trace, code}. */
export function explain(error, context = {}) {
	const leg = context.leg || "server";
	let code = SAME[error.code] ? leg + SAME[error.code] : error.code;
	if (leg === "eyes" && code === "tls_untrusted") code = "eyes_tls";
	const [what, where, todo] = COPY[code] || [];
	const names = { ...context, host: host(context.host).split("/")[0], retry: error.retryAfter };
	const own = capital(error.message),
		title = filled(what, names) || own || "It did not work";
	// The original words help to search for it, unless they say the same again.
	const said = own.toLowerCase().startsWith(title.toLowerCase()),
		words = what && (said ? own.slice(title.length).replace(/^\W+/, "") : own);
	return {
		code,
		title,
		trace: error.trace,
		certificate: error.certificate,
		where: [filled(where, names) || error.hop, words && "(" + words + ")"].filter(Boolean).join(" "),
		todo: code === "key_unknown" && error.hint ? error.hint : filled(todo, names) || capital(error.hint || ""),
	};
}

/* A short reason for a chip or a row. */
const SHORT = {
	token_refused: "Token refused",
	token_rights: "Rights missing",
	repo_unknown: "Not visible",
	repo_archived: "Archived",
	key_unknown: "Key refused",
};
export const short = (error) => SHORT[error?.code] || "Broken";
