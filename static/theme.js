/* Runs before the first paint, so that a chosen appearance does not flash. */
try {
	const theme = localStorage.getItem("eyes-scm-theme");
	if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
	/* storage is switched off: the system's appearance is used */
}
