// One browser, its pages, and what every test looks at: no console error, no breach of the page's policy, no request to
// elsewhere, no violation that axe finds, nothing that scrolls sideways.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const installed = createRequire(join(process.env.UI_MODULES, "package.json"));
const { chromium } = installed("playwright-core");
const AXE = readFileSync(installed.resolve("axe-core/axe.min.js"), "utf8");
const PICTURES = process.env.UI_PICTURES;
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
export const SECONDS = 15;
const WIDE = { width: 1280, height: 800 }, PHONE = { width: 390, height: 844 };

mkdirSync(PICTURES, { recursive: true });

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: FLAGS, env: { PATH: process.env.PATH, HOME: process.env.UI_MODULES, LANG: "C.UTF-8", TZ: "UTC" } });

/* The first true value of condition(), within the deadline. */
export async function until(condition, what, seconds = SECONDS) {
	const deadline = Date.now() + seconds * 1000;
	for (;;) {
		const value = await condition();
		if (value) return value;
		if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${typeof what === "function" ? await what() : what}`);
		await new Promise((resolve) => setTimeout(resolve, 25));
	}
}

/* Answers of the API that say no are shown by Chromium as errors too; the page has to handle them, which the tests see. */
const isApiAnswer = (message) => /^Failed to load resource/.test(message.text()) && /\/api\/v1\/|\/favicon.ico$/.test(message.location().url);

/* A browser of its own, as far as the page can tell: cookies, storage. wrong: texts are added to it. */
export async function openContext(browser, { origin, wrong, ...options }) {
	const context = await browser.newContext({ viewport: WIDE, colorScheme: "light", reducedMotion: "reduce", ...options });
	context.setDefaultTimeout(SECONDS * 1000);
	await context.addInitScript(() => document.addEventListener("securitypolicyviolation", (event) => console.error("policy violation: " + event.violatedDirective + " " + event.blockedURI)));
	context.on("console", (message) => {
		if (message.type() === "error" && !isApiAnswer(message)) wrong.push(`console: ${message.text()} (${message.location().url}:${message.location().lineNumber})`);
	});
	context.on("weberror", (error) => wrong.push("uncaught: " + (error.error().stack || error.error())));
	context.on("request", (request) => {
		const url = new URL(request.url());
		if (/^https?:$/.test(url.protocol) && url.origin !== origin) wrong.push("a request to elsewhere: " + request.url());
	});
	return context;
}

// ---- what one does ----

export const button = (page, name) => page.getByRole("button", { name, exact: typeof name === "string" });
export const press = (page, name) => button(page, name).click();
export const next = (page) => press(page, "Next");
export const fieldOf = (page, label) => page.getByLabel(label, { exact: true });

/* Waits for the one heading of the screen. */
export const heading = (page, text) => page.getByRole("heading", { level: 1, name: text }).waitFor();
/* Waits for words that can be seen. */
export const see = (page, text) => page.getByText(text).filter({ visible: true }).first().waitFor();
export const gone = (page, text) => page.getByText(text).first().waitFor({ state: "hidden" });

/* The verdict below a field, once it says this; its whole text. */
export async function verdict(page, text) {
	const found = page.locator(".verdict").filter({ hasText: text }).first();
	await found.waitFor();
	return (await found.innerText()).replace(/\s+/g, " ");
}
/* A verdict that says what happened, where, and what to do. */
export async function explained(page, { what, where, todo }) {
	const said = await verdict(page, what);
	for (const part of [where, todo])
		if (!(part instanceof RegExp ? part.test(said) : said.includes(part))) throw new Error(`"${said}" does not say ${part}`);
	return said;
}

// ---- looking at a screen ----

async function axe(page, name, wrong, include) {
	if (!(await page.evaluate(() => Boolean(window.axe)))) await page.evaluate(AXE);
	const violations = await page.evaluate(async (include) => (await axe.run(include || document, { resultTypes: ["violations"] })).violations.map((one) => ({ id: one.id, help: one.help, nodes: one.nodes.map((node) => node.html.slice(0, 160) + " | " + node.failureSummary.split("\n").slice(1, 3).join(" ").slice(0, 200)) })), include);
	for (const { id, help, nodes } of violations) wrong.push(`axe, ${name}: ${id} (${help}):\n    ${nodes.slice(0, 4).join("\n    ")}${nodes.length > 4 ? `\n    and ${nodes.length - 4} more` : ""}`);
}

async function fits(page, name, wrong) {
	const wide = await page.evaluate(() => ({ is: document.documentElement.scrollWidth, may: innerWidth, by: [...document.querySelectorAll("body *")].filter((node) => node.getBoundingClientRect().right > innerWidth + 1 && !node.closest(".wrap, .sections, .vh")).slice(0, 4).map((node) => node.outerHTML.slice(0, 120)) }));
	if (wide.is > wide.may) wrong.push(`${name} scrolls sideways: ${wide.is} px in ${wide.may}: ${wide.by.join("  ")}`);
}

/* Keeps pictures of the screen in light and dark, wide and on a phone, and lets axe look at each appearance. */
export async function screen(page, name, wrong) {
	for (const [at, size] of [["1280", WIDE], ["390", PHONE]]) {
		await page.setViewportSize(size);
		for (const colorScheme of ["light", "dark"]) {
			await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
			await page.screenshot({ path: join(PICTURES, `${name}-${at}-${colorScheme}.png`), fullPage: true, animations: "disabled" });
			if (at === "1280" || colorScheme === "light") await axe(page, `${name} at ${at} in ${colorScheme}`, wrong);
		}
		await fits(page, `${name} at ${at}`, wrong);
	}
	await page.setViewportSize({ width: 360, height: 740 });
	await fits(page, `${name} at 360`, wrong);
	await page.setViewportSize(WIDE);
	await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
}

/* What a failed test leaves. */
export async function lastWords(page, name) {
	if (page.isClosed()) return "";
	await page.screenshot({ path: join(PICTURES, `failed-${name.replace(/[^a-z0-9]+/gi, "-")}.png`), timeout: 5000 }).catch(() => {});
	return "the page, " + page.url() + ":\n" + (await page.locator("body").innerText({ timeout: 5000 }).catch((error) => String(error))).replace(/\n\s*\n/g, "\n").slice(0, 3000);
}
