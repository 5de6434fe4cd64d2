// Every screen of the console, with data, with trouble and empty.
import { readFileSync } from "node:fs";
import { fieldOf, heading, press, screen, see, until, verdict } from "./page.mjs";
import { signIn, TOKEN } from "./steps.mjs";
import { COMMIT } from "./world.mjs";

async function open(page, world, hash, title) {
	await page.goto(world.url + "/" + hash);
	await heading(page, title);
}

/* Deliveries of this repository fail, and the daemon knows. */
async function failEvents(world, repository) {
	await world.ask("eyes.fault", ["status"], { status: 500, match: { path: "^/api/externals/" } });
	for (let i = 0; i < 3; i++) await world.ask("bitbucket.push", [repository]);
	await until(async () => (await world.ask("bitbucket.deliveries", [], { repository })).filter((one) => one.outcome === "failure").length >= 3, "three deliveries failed");
	await world.ask("cli", ["webhook", "check", repository], { expect: null });
}

export default (test) => {
	test("every screen of the console, while all is well", async (t) => {
		const world = await t.world(), names = ["SHOP/web-shop", "SHOP/api", "PAY/checkout"];
		await world.startEnabled({ repositories: names });
		const ids = [];
		for (const [i, repository] of names.entries())
			for (const state of ["INPROGRESS", "SUCCESSFUL", "FAILED"]) ids.push(await world.send({ repository, state, commit: COMMIT.slice(0, 38) + "a" + i, key: "tests/applitools/" + state.toLowerCase() }));
		await world.ask("wait_outcomes", [ids]);
		const page = await t.page(world);
		await signIn(page, world);
		await heading(page, "Everything works");
		await page.getByRole("row", { name: /PAY\/checkout/ }).first().waitFor();
		await screen(page, "console-overview", t.wrong);
		await open(page, world, "#/repositories", "Repositories");
		await page.getByRole("link", { name: "PAY/checkout" }).waitFor();
		await page.getByLabel("Select SHOP/api").check();
		await screen(page, "console-repositories", t.wrong);
		await page.getByRole("link", { name: "SHOP/api", exact: true }).click();
		await heading(page, "SHOP/api");
		await see(page, "Disable this repository");
		if (await page.getByText("not enabled").count()) throw new Error("the repository is said not to be enabled");
		await screen(page, "console-repository", t.wrong);
		await open(page, world, "#/updates/recent", "Updates");
		await page.getByRole("row", { name: /PAY\/checkout/ }).first().waitFor();
		await screen(page, "console-updates", t.wrong);
		await fieldOf(page, "Search updates").fill("SHOP/api");
		await until(async () => (await page.getByRole("row", { name: /SHOP\/api/ }).count()) === 3 && (await page.getByRole("row", { name: /checkout|web-shop/ }).count()) === 0, "only those of the repository are shown");
		await open(page, world, "#/updates/waiting", "Updates");
		await see(page, "Nothing waits");
		await screen(page, "console-waiting-empty", t.wrong);
		await open(page, world, "#/updates/events", "Updates");
		await screen(page, "console-events", t.wrong);
		await open(page, world, "#/settings", "Settings");
		await see(page, "EYES_STATE_DIR");
		await screen(page, "console-settings", t.wrong);
		const [download] = await Promise.all([page.waitForEvent("download"), press(page, "Download diagnosis")]);
		const text = readFileSync(await download.path(), "utf8");
		JSON.parse(text);
		for (const secret of [world.key, world.token]) if (text.includes(secret)) throw new Error("a secret is in the diagnosis");
		await open(page, world, "#/audit", "Audit trail");
		await see(page, /SHOP\/api/);
		await screen(page, "console-audit", t.wrong);
		const search = fieldOf(page, "Search the audit trail");
		await search.fill("no such thing");
		await see(page, "Nothing found");
		await search.fill("shop/API");
		await see(page, /SHOP\/api/);
		await until(async () => !(await page.getByRole("row").filter({ hasText: "Signed in" }).count()), "only what is searched for is listed");
	}, { slow: 9 });

	test("what fails in the settings is said where it stays", async (t) => {
		const world = await t.world();
		await world.startEnabled();
		const page = await t.page(world);
		await signIn(page, world);
		await open(page, world, "#/settings", "Settings");
		await page.route("**/api/v1/diagnosis", (route) => route.abort());
		await press(page, "Download diagnosis");
		await verdict(page, "No connection to eyes-scm");
		if (await page.locator("#toast").innerText()) throw new Error("a toast tells of what was not done");
		await page.unroute("**/api/v1/diagnosis");
		await Promise.all([page.waitForEvent("download"), press(page, "Download diagnosis")]);
	});

	test("a refused token: what waits, and a new token frees it", async (t) => {
		const world = await t.world();
		await world.startEnabled();
		const page = await t.page(world);
		await signIn(page, world);
		await heading(page, "Everything works");
		await world.ask("bitbucket.token", [world.token], { revoked: true });
		await world.send({ state: "SUCCESSFUL" });
		await heading(page, /token is refused/);
		await screen(page, "console-overview-trouble", t.wrong);
		await open(page, world, "#/repositories", "Repositories");
		await see(page, /refused/);
		await screen(page, "console-repositories-broken", t.wrong);
		await open(page, world, "#/updates/waiting", "Updates");
		await see(page, /waits for a new token/);
		await screen(page, "console-waiting", t.wrong);
		const fresh = await world.secret("fresh");
		await world.ask("bitbucket.token", [fresh], { user: "new-bot" });
		await press(page, "Replace token…");
		const dialog = page.getByRole("dialog");
		await dialog.getByLabel(TOKEN, { exact: true }).fill(fresh);
		await fieldOf(dialog, TOKEN).press("Tab");
		await verdict(page, "Token accepted. new-bot");
		await screen(page, "dialog-replace-token", t.wrong);
		await dialog.getByRole("button", { name: "Replace token" }).click();
		await see(page, /1 update goes out now/);
		await world.ask("bitbucket.wait_status", [COMMIT, "SUCCESSFUL"]);
		await see(page, "Nothing waits");
		await open(page, world, "#/overview", "Everything works");
	}, { slow: 6 });

	test("given up: retried or dropped", async (t) => {
		const world = await t.world();
		await world.start({ repositories: [] });
		await world.ask("bitbucket.repository", ["SHOP/web-shop"], { any_commit: false, commits: [COMMIT] });
		await world.ask("set_account");
		await world.ask("add_server");
		await world.ask("enable", ["SHOP/web-shop"]);
		await world.ask("bitbucket.fault", ["status"], { status: 400, match: { method: "POST" }, times: 1, body: "{}" });
		const id = await world.send({ state: "SUCCESSFUL" });
		await world.ask("wait_outcome", [id, "rejected"]);
		const page = await t.page(world, "#/updates/waiting");
		await signIn(page, world);
		await heading(page, "Updates");
		await see(page, /Given up/);
		await screen(page, "console-given-up", t.wrong);
		await press(page, "Drop SHOP/web-shop");
		const dialog = page.getByRole("dialog");
		await screen(page, "dialog-drop", t.wrong);
		await dialog.getByRole("button", { name: "Cancel" }).click();
		await press(page, "Retry SHOP/web-shop");
		await world.ask("bitbucket.wait_status", [COMMIT, "SUCCESSFUL"]);
		await see(page, "Nothing waits");
	});

	test("a test status is sent and seen", async (t) => {
		const world = await t.world();
		await world.startEnabled();
		const page = await t.page(world, "#/repositories");
		await signIn(page, world);
		await press(page, "Actions for SHOP/web-shop");
		await page.getByRole("menuitem", { name: "Send a test status…" }).click();
		const dialog = page.getByRole("dialog", { name: "Send a test status" });
		await fieldOf(dialog, "Commit").fill("123");
		await dialog.getByRole("button", { name: "Send" }).click();
		await verdict(page, "That is not a full SHA");
		await fieldOf(dialog, "Commit").fill(COMMIT);
		await dialog.getByRole("button", { name: "Send" }).click();
		await verdict(page, "Bitbucket shows it");
		await screen(page, "dialog-test-status", t.wrong);
		await world.ask("bitbucket.wait_status", [COMMIT, "SUCCESSFUL", "tests/applitools-check"]);
		await dialog.getByRole("button", { name: "Close" }).click();
		await dialog.waitFor({ state: "detached" });
	});

	test("the overview says what comes next while nothing is enabled", async (t) => {
		const world = await t.world();
		await world.start();
		await world.ask("set_account");
		await world.ask("add_server");
		const page = await t.page(world, "#/overview");
		await signIn(page, world);
		await page.goto(world.url + "/#/overview");
		await heading(page, "No repository is enabled yet");
		await screen(page, "console-overview-nothing", t.wrong);
		await page.getByRole("link", { name: "Manage repositories" }).click();
		await heading(page, "Choose the Bitbucket server");
	});

	test("events in trouble are seen in the list, wide and on a phone, and counted", async (t) => {
		const world = await t.world(), names = ["SHOP/web-shop", "SHOP/api", "PAY/checkout"];
		await world.startEnabled({ repositories: names });
		const page = await t.page(world, "#/repositories");
		await signIn(page, world);
		const filter = (name) => page.getByRole("navigation", { name: "Show" }).getByRole("link", { name }), rows = page.locator("tbody tr");
		await filter("Broken 0").waitFor();
		await failEvents(world, "SHOP/api");
		await filter("Broken 1").waitFor();
		await filter("Enabled 3").waitFor();
		await page.getByRole("img", { name: "Events: Do not arrive" }).waitFor();
		await until(async () => /SHOP\/api/.test(await rows.first().innerText()), "it stands first");
		await page.setViewportSize({ width: 390, height: 844 });
		await see(page, "Events: Do not arrive");
		await filter("Broken 1").click();
		await until(async () => (await rows.count()) === 1 && /SHOP\/api/.test(await rows.first().innerText()), "only the one is shown");
		await screen(page, "console-repositories-events", t.wrong);
		await page.goto(world.url + "/#/overview");
		await heading(page, /SHOP\/api/);
		if (await page.getByText("Everything works").count()) throw new Error("everything is said to work");
	}, { slow: 5 });

	test("names and keys as long as they may be are cut, and have their page", async (t) => {
		const world = await t.world(), long = "P".repeat(40) + "/" + "long-name-".repeat(12) + "12345678", key = "tests/applitools/" + "b".repeat(60);
		await world.startEnabled({ repositories: ["PAY/checkout", long] });
		const ids = [];
		for (const repository of ["PAY/checkout", long]) ids.push(await world.send({ repository, key, state: "SUCCESSFUL" }));
		await world.ask("wait_outcomes", [ids]);
		const page = await t.page(world);
		await signIn(page, world);
		await heading(page, "Everything works");
		const row = page.getByRole("row", { name: /PPPP/ });
		await row.waitFor();
		for (const width of [1280, 1040, 390]) {
			await page.setViewportSize({ width, height: 800 });
			const wrong = await page.evaluate(() => [...document.querySelectorAll("td")].filter((cell) => cell.offsetWidth && (cell.getBoundingClientRect().right > cell.closest(".panel").getBoundingClientRect().right + 1 || (innerWidth > 768 && cell.offsetHeight > 45))).map((cell) => cell.outerHTML.slice(0, 90)));
			if (wrong.length) throw new Error(`at ${width}: ${wrong.join("  ")}`);
		}
		await page.setViewportSize({ width: 1280, height: 800 });
		for (const whole of [key, long]) await row.getByTitle(whole).waitFor();
		await screen(page, "console-overview-long", t.wrong);
		await row.getByRole("link", { name: long }).click();
		await heading(page, long);
		await see(page, "Disable this repository");
		await page.getByRole("row", { name: /Passed/ }).waitFor();
		await screen(page, "console-repository-long", t.wrong);
		await open(page, world, "#/repositories", "Repositories");
		await page.getByRole("link", { name: long }).waitFor();
		await screen(page, "console-repositories-long", t.wrong);
	}, { slow: 5 });

	test("the bridge keeps its words whole on 320 px", async (t) => {
		const world = await t.world();
		await world.startEnabled();
		const page = await t.page(world);
		await signIn(page, world);
		await heading(page, "Everything works");
		await page.setViewportSize({ width: 320, height: 640 });
		for (const words of ["Working", "Not reached", "Key accepted", "1 server not reached"]) {
			const broken = await page.evaluate((words) => {
				const wrong = [], boxes = [];
				for (const at of document.querySelectorAll(".leg > span")) {
					const text = at.lastChild, range = document.createRange();
					text.data = words;
					for (const word of words.matchAll(/\S+/g)) {
						range.setStart(text, word.index);
						range.setEnd(text, word.index + word[0].length);
						if (range.getClientRects().length > 1) wrong.push(word[0] + " is broken");
					}
					range.selectNodeContents(text);
					boxes.push(range.getBoundingClientRect());
				}
				if (boxes[0].right > boxes[1].left) wrong.push("the legs' words meet");
				for (const pier of document.querySelectorAll(".pier")) for (const box of boxes) if (box.top < pier.getBoundingClientRect().bottom && box.right > pier.getBoundingClientRect().left && box.left < pier.getBoundingClientRect().right) wrong.push("they lie over " + pier.innerText);
				return wrong;
			}, words);
			if (broken.length) throw new Error(words + ": " + broken.join(", "));
		}
		if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) throw new Error("it scrolls sideways");
		await page.screenshot({ path: process.env.UI_PICTURES + "/console-overview-320.png" });
	});

	test("a dialog about a repository that somebody else disables says who", async (t) => {
		const world = await t.world(), names = ["SHOP/web-shop", "SHOP/api"];
		await world.startEnabled({ repositories: names });
		const page = await t.page(world, "#/repositories");
		await signIn(page, world);
		for (const [item, label] of [["Disable…", "Disable"], ["Replace token…", "Replace token"], ["Send a test status…", "Send"]]) {
			await press(page, "Actions for SHOP/api");
			await page.getByRole("menuitem", { name: item }).click();
			const dialog = page.getByRole("dialog");
			await dialog.getByRole("button", { name: label, exact: true }).waitFor();
			await world.ask("cli", ["repo", "disable", "SHOP/api"]);
			await verdict(page, "SHOP/api is disabled already");
			await verdict(page, /By \S+ \(uid \d+\), control socket, at \d\d:\d\d/);
			await dialog.getByRole("button", { name: label, exact: true }).waitFor({ state: "detached" });
			if (label === "Disable") await screen(page, "dialog-gone", t.wrong);
			await page.keyboard.press("Escape");
			await dialog.waitFor({ state: "detached" });
			await world.ask("enable", ["SHOP/api"]);
			await page.getByRole("link", { name: "SHOP/api" }).waitFor();
		}
		// Another one's end says nothing about this dialog.
		await press(page, "Actions for SHOP/api");
		await page.getByRole("menuitem", { name: "Disable…" }).click();
		await world.ask("cli", ["repo", "disable", "SHOP/web-shop"]);
		await page.getByRole("link", { name: "SHOP/web-shop", includeHidden: true }).waitFor({ state: "detached" });
		await page.getByRole("dialog").getByRole("button", { name: "Disable", exact: true }).click();
		await see(page, "SHOP/api disabled");
		await page.getByRole("dialog").waitFor({ state: "detached" });
	});

	test("a token replaced for many says in the dialog for which it did not work, and why", async (t) => {
		const world = await t.world(), names = ["SHOP/web-shop", "SHOP/api", "PAY/checkout"];
		await world.startEnabled({ repositories: names });
		const some = await world.secret("some");
		await world.ask("bitbucket.token", [some], { user: "shop-bot", read: ["SHOP/web-shop", "SHOP/api"], admin: ["SHOP/web-shop", "SHOP/api"] });
		const page = await t.page(world, "#/repositories");
		await signIn(page, world);
		await page.getByRole("link", { name: "SHOP/api" }).waitFor();
		await page.getByLabel("Select all shown").check();
		await press(page, "Replace token…");
		const dialog = page.getByRole("dialog");
		await dialog.getByLabel(TOKEN, { exact: true }).fill(some);
		// A slow press: the answer that comes meanwhile must not move the button away from below it.
		await dialog.getByRole("button", { name: "Replace token" }).click({ delay: 700 });
		const said = await verdict(page, "Token replaced for 2 repositories. It did not work for 1 repository");
		if (!/PAY\/checkout: .*(visible|read)/.test(said)) throw new Error(`"${said}" does not say why`);
		if (await page.locator("#toast > *").count()) throw new Error("there is a toast");
		await screen(page, "dialog-token-some", t.wrong);
		await dialog.getByLabel(TOKEN, { exact: true }).fill(world.token);
		await dialog.getByRole("button", { name: "Replace token" }).click();
		await see(page, "Token replaced for PAY/checkout");
		await dialog.waitFor({ state: "detached" });
		await page.getByRole("row", { name: /PAY\/checkout/ }).getByText("build-bot").waitFor();
		await page.getByRole("row", { name: /SHOP\/api/ }).getByText("shop-bot").waitFor();
	});
};
