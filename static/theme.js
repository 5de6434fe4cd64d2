/*
 * Runs before the first paint, so that neither a chosen appearance nor the screen of another address flashes; and asks at
 * once for what the first screen needs, while the modules are still on their way.
 */
const page = document.documentElement;
try {
	const theme = localStorage.getItem("eyes-scm-theme");
	if (theme === "light" || theme === "dark") page.dataset.theme = theme;
} catch {
	/* storage is switched off: the system's appearance is used */
}
window.early = {};
try {
	const token = sessionStorage.getItem("eyes-scm-session");
	// The server knows nothing of these when it chooses the screen that the page begins with (first.html).
	if (token || /^#\/setup\/(?!eyes|source)/.test(location.hash)) page.dataset.other = "";
	for (const path of token ? ["start", "session", "status"] : ["start"]) {
		window.early[path] = fetch("/api/v1/" + path, { cache: "no-store", headers: token ? { "X-Eyes-Scm-Token": token } : {} });
		window.early[path].catch(() => {}); // asked again, and told, by the modules
	}
} catch {
	/* the modules ask by themselves */
}
