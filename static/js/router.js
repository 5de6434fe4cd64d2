// Addresses: "#/repositories/3/PAY/web?q=x". Sections push an entry, filters replace it.

export function parse(hash = location.hash) {
	const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
	return { path: path.split("/").filter(Boolean).map(safely), query: new URLSearchParams(query), hash };
}
function safely(part) {
	try {
		return decodeURIComponent(part);
	} catch {
		return part;
	}
}

export const repositoryHash = (server, name) =>
	"#/repositories/" + server + "/" + name.split("/").map(encodeURIComponent).join("/");

let listener = null;
export function onRoute(fn) {
	listener = fn;
	addEventListener("hashchange", () => fn(parse()));
}

export function go(hash) {
	if (location.hash === hash) listener(parse());
	else location.hash = hash;
}
export function replace(hash) {
	history.replaceState(null, "", hash);
	listener(parse());
}

/* Changes a filter in the address without drawing the view anew. */
export function setQuery(changes) {
	const { path, query } = parse();
	for (const [name, value] of Object.entries(changes))
		if (value) query.set(name, value);
		else query.delete(name);
	const text = query.toString();
	history.replaceState(null, "", "#/" + path.map(encodeURIComponent).join("/") + (text ? "?" + text : ""));
}
