// Runs the browser tests for tests/run.
//
// usage: node tests/ui/run.mjs RESULTS [WORD]
//
// Appends one line of JSON to RESULTS for each finished test, like tests/e2e_file.py. WORD: only tests with it in their
// name. Environment: UI_MODULES (where node_modules is), UI_PICTURES (where pictures go), and the programs, as for the
// end-to-end tests. Two tests at a time, each lane with a browser of its own; then, one by one, those that measure.
import { appendFileSync, readdirSync } from "node:fs";
import { lastWords, launch, openContext } from "./page.mjs";
import { World } from "./world.mjs";

const [results, word = ""] = process.argv.slice(2);
const LANES = 2, TEST_SECONDS = 90;
const queue = [], measuring = [];

/* slow ones begin first; one that measures runs when nothing else does */
function test(name, run, { slow = 0, measures = false } = {}) {
	if (name.includes(word)) (measures ? measuring : queue).push({ name, run, slow });
}

class Running {
	constructor(browser) {
		Object.assign(this, { browser, wrong: [], worlds: [], contexts: [], notes: [] });
	}
	async world(settings) {
		this.worlds.push(await World.make(settings));
		return this.worlds.at(-1);
	}
	/* A browser of its own on a world's page. */
	async context(world, options = {}) {
		const context = await openContext(this.browser, { origin: world.url, wrong: this.wrong, ...options });
		this.contexts.push(context);
		return context;
	}
	async page(world, hash = "", options = {}) {
		const page = await (await this.context(world, options)).newPage();
		await page.goto(world.url + "/" + hash);
		return page;
	}
	/* A figure to show beside the test's name. */
	note(text) {
		this.notes.push(text);
	}
	/* For page.mjs: screen(page, name, t.wrong) */
	pages() {
		return this.contexts.flatMap((context) => context.pages());
	}
}

async function attempt(browser, { name, run }) {
	const t = new Running(browser), began = performance.now();
	let text = "", timer;
	try {
		const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`not done after ${TEST_SECONDS} s`)), TEST_SECONDS * 1000)));
		await Promise.race([run(t), late]);
	} catch (error) {
		text = (error.stack || String(error)) + "\n";
		for (const page of t.pages()) text += (await lastWords(page, name)) + "\n";
		for (const world of t.worlds) text += (await world.ask("tail").catch(String)) + "\n";
	} finally {
		clearTimeout(timer);
	}
	const wrong = [...new Set(t.wrong)];
	for (const context of t.contexts) await context.close().catch(() => {});
	for (const world of t.worlds) wrong.push(...(await world.end()));
	text += wrong.join("\n");
	appendFileSync(results, JSON.stringify({ name: [name, ...t.notes].join(": "), outcome: text ? "failed" : "passed", seconds: (performance.now() - began) / 1000, text }) + "\n");
}

async function lane(tests) {
	let browser = null;
	for (let one; (one = tests.shift()); ) {
		if (!browser?.isConnected()) browser = await launch();
		await attempt(browser, one);
	}
	await browser?.close();
}

for (const file of readdirSync(new URL(".", import.meta.url)).filter((name) => /^test_.*\.mjs$/.test(name)).sort()) (await import("./" + file)).default(test);
queue.sort((a, b) => b.slow - a.slow);
await Promise.all(Array.from({ length: LANES }, () => lane(queue)));
await lane(measuring);
