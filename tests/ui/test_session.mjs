// What happens around the work: reload, back, other browsers, an ended session, a restarted daemon, no mouse.
import { button, explained, fieldOf, gone, heading, next, press, screen, see, until, verdict } from "./page.mjs";
import { addByName, choose, goTo, KEY, list, LISTING_TOKEN, save, signIn, toggle, TOKEN, toKey, toToken, URL } from "./steps.mjs";

const back = (page) => page.getByRole("link", { name: "Back" }).click();
async function holds(page, label, value) {
	const has = await fieldOf(page, label).inputValue();
	if (has !== value) throw new Error(`${label} holds "${has}" instead of "${value}"`);
}
async function endSessions(world) {
	for (const { id } of (await world.ask("get", ["sessions"])).sessions) await world.ask("api", ["DELETE", "/api/v1/sessions/" + id]);
}

export default (test) => {
	test("a reload in every step returns to it", async (t) => {
		const world = await t.world();
		await world.start();
		const page = await t.page(world);
		const reload = async (title) => {
			await page.reload();
			await heading(page, title);
		};
		await heading(page, "Choose the source control system");
		await reload("Choose the source control system");
		await toKey(page);
		await reload("Enter the Eyes API key");
		await fieldOf(page, KEY).fill(world.key);
		await next(page);
		await heading(page, "Choose the Bitbucket server");
		await fieldOf(page, URL).fill(world.bitbucket);
		await reload("Choose the Bitbucket server");
		await holds(page, URL, world.bitbucket);
		await next(page);
		await heading(page, "Select the repositories");
		await addByName(page, "SHOP/web-shop");
		await fieldOf(page, "Search repositories").fill("shop");
		await until(() => page.evaluate(() => JSON.stringify({ ...sessionStorage }).includes('\\"search\\":\\"shop\\"')), "the search is kept");
		await reload("Select the repositories");
		await see(page, "1 selected");
		await holds(page, "Search repositories", "shop");
		await toToken(page);
		await fieldOf(page, TOKEN).fill(world.token);
		await reload("Enter the token for SHOP/web-shop");
		await holds(page, TOKEN, "");
		await see(page, "It is never kept in the browser");
		await save(page, world.token);
		await heading(page, "SHOP/web-shop is enabled");
		await reload("SHOP/web-shop is enabled");
		await press(page, "Finish");
		await see(page, "you can close this page");
		await page.reload();
		await see(page, "you can close this page");
		const kept = await page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }]) + document.cookie);
		for (const secret of [world.key, world.token]) if (kept.includes(secret)) throw new Error("a secret is kept in the browser: " + kept);
	});

	test("Back keeps what was typed", async (t) => {
		const world = await t.world();
		await world.start({ repositories: ["SHOP/web-shop", "SHOP/api"] });
		const page = await t.page(world);
		await goTo(page, world, "server");
		await fieldOf(page, URL).fill("https://half-typed.example");
		await back(page);
		await heading(page, "Enter the Eyes API key");
		await verdict(page, "Key accepted");
		await next(page);
		await heading(page, "Choose the Bitbucket server");
		await holds(page, URL, "https://half-typed.example");
		await fieldOf(page, URL).fill(world.bitbucket);
		await next(page);
		await heading(page, "Select the repositories");
		await list(page, world.token);
		await choose(page, "SHOP/api");
		await fieldOf(page, "Search repositories").fill("api");
		await toToken(page);
		await holds(page, TOKEN, world.token);
		// Whatever an answer adds to a long screen, what is about to be pressed stays where it is.
		const [end, height] = await page.evaluate(() => [document.querySelector(".foot").getBoundingClientRect().bottom, document.body.scrollHeight]);
		if (end !== 800 || height <= 800) throw new Error(`the foot ends at ${end} px of 800, in a page of ${height}`);
		await fieldOf(page, TOKEN).fill("changed-" + world.token);
		await back(page);
		await heading(page, "Select the repositories");
		await holds(page, "Search repositories", "api");
		await holds(page, LISTING_TOKEN, "changed-" + world.token);
		await see(page, "1 selected");
		await next(page);
		await holds(page, TOKEN, "changed-" + world.token);
		await page.goBack();
		await heading(page, "Select the repositories");
		await page.goForward();
		await heading(page, "Enter the token for SHOP/api");
	});

	test("two browsers at once see what the other does", async (t) => {
		const world = await t.world();
		await world.startEnabled({ repositories: ["SHOP/web-shop", "SHOP/api"], enabled: ["SHOP/web-shop"] });
		const one = await t.page(world), two = await t.page(world);
		await signIn(one, world);
		await signIn(two, world);
		for (const page of [one, two]) await heading(page, "Everything works");
		await one.goto(world.url + "/#/repositories");
		await two.goto(world.url + "/#/repositories");
		for (const page of [one, two]) await page.getByRole("link", { name: "SHOP/web-shop" }).waitFor();
		await world.ask("enable", ["SHOP/api"]);
		for (const page of [one, two]) await page.getByRole("link", { name: "SHOP/api" }).waitFor();
		await press(one, "Actions for SHOP/api");
		await one.getByRole("menuitem", { name: "Disable…" }).click();
		await one.getByRole("dialog").getByRole("button", { name: "Disable" }).click();
		await see(one, "SHOP/api disabled");
		for (const page of [one, two]) await page.getByRole("link", { name: "SHOP/api" }).waitFor({ state: "detached" });
		await two.goto(world.url + "/#/settings");
		await press(two, /^End the session from/);
		await one.goto(world.url + "/#/audit");
		await one.getByRole("dialog").getByText("Your session ended").waitFor();
	});

	test("a session that ends in mid-work: the interrupted request goes on", async (t) => {
		const world = await t.world();
		await world.start();
		const page = await t.page(world);
		await goTo(page, world, "repositories");
		await addByName(page, "SHOP/web-shop");
		await toToken(page);
		await fieldOf(page, TOKEN).fill(world.token);
		await fieldOf(page, TOKEN).press("Tab");
		await verdict(page, "Token accepted");
		await endSessions(world);
		await press(page, "Save");
		const dialog = page.getByRole("dialog", { name: "Sign in again" });
		await dialog.waitFor();
		await screen(page, "dialog-session-ended", t.wrong);
		await holds(page, TOKEN, world.token);
		await dialog.getByLabel(KEY, { exact: true }).fill(world.key);
		await dialog.getByRole("button", { name: "Continue" }).click();
		await heading(page, "SHOP/web-shop is enabled");
	});

	test("two tabs of one browser, each signed in for itself", async (t) => {
		const world = await t.world();
		await world.startEnabled();
		const context = await t.context(world);
		const [one, two] = [await context.newPage(), await context.newPage()];
		for (const page of [one, two]) {
			await page.goto(world.url + "/");
			await signIn(page, world);
			await heading(page, "Everything works");
			await see(page, "Live");
		}
		for (const page of [one, two, one]) {
			for (const [name, title] of [["settings", "Settings"], ["overview", "Everything works"]]) {
				await page.evaluate((to) => (location.hash = "#/" + to), name);
				await heading(page, title);
			}
			if (await page.getByRole("dialog").count()) throw new Error("a tab was thrown out");
		}
		await one.evaluate(() => (location.hash = "#/settings"));
		await see(one, "this tab");
		if ((await button(one, /^End the session from/).count()) !== 1) throw new Error("there are not two sessions");
		await one.reload();
		await see(one, "this tab");
		await press(one, "Account");
		await one.getByRole("menuitem", { name: "Sign out" }).click();
		await heading(one, "Sign in");
		await two.evaluate(() => (location.hash = "#/audit"));
		await see(two, "eyes@example.com");
		await two.reload();
		await heading(two, "Audit trail");
		await see(two, "Live");
	});

	test("Replace key: looked at first, replaced when the button is pressed", async (t) => {
		const world = await t.world();
		await world.startEnabled();
		const [mate, stranger] = [await world.secret("mate"), await world.secret("stranger")];
		await world.ask("eyes.allow", [mate], { user: "mate@example.com" });
		await world.ask("eyes.allow", [stranger], { teamId: "team-2", user: "stranger@example.com" });
		const user = async () => (await world.ask("get", ["account"])).user;
		const page = await t.page(world);
		await signIn(page, world);
		await heading(page, "Everything works");
		await page.evaluate(() => (location.hash = "#/settings"));
		const dialog = page.getByRole("dialog", { name: "Replace the Eyes API key" });
		const paste = async (key) => {
			await press(page, "Replace key…");
			await dialog.getByLabel(KEY, { exact: true }).fill(key);
			await page.keyboard.press("Tab");
		};
		await paste(mate);
		await verdict(page, "It is only checked so far");
		await dialog.getByRole("button", { name: "Cancel" }).click();
		await dialog.waitFor({ state: "detached" });
		if ((await user()) !== "eyes@example.com") throw new Error("looking at a key replaced it");

		await paste(await world.secret("unknown"));
		await explained(page, { what: "Eyes does not know this key", where: /401/, todo: /API Keys/ });
		await dialog.getByRole("button", { name: "Cancel" }).click();

		await paste(mate);
		await verdict(page, "mate@example.com");
		await dialog.getByRole("button", { name: "Replace key" }).click();
		await see(page, "The Eyes API key is replaced");
		await see(page, "mate@example.com, team team-1");
		if ((await user()) !== "mate@example.com") throw new Error("the button did not replace the key");

		// Of another team: said before, also when the button is pressed at once.
		await press(page, "Replace key…");
		await dialog.getByLabel(KEY, { exact: true }).fill(stranger);
		await dialog.getByRole("button", { name: "Replace key" }).click();
		await explained(page, { what: "A key of another team: team-2", where: "", todo: "ends all sessions" });
		await until(() => dialog.locator("[aria-busy=true]").count().then((n) => n === 0), "the button is free again");
		if ((await user()) !== "mate@example.com") throw new Error("it was replaced unread");
		await screen(page, "dialog-other-team", t.wrong);
		await new Promise((resolve) => setTimeout(resolve, 1100));
		await dialog.getByRole("button", { name: "Replace key" }).click();
		await see(page, "The Eyes API key is replaced");
		await see(page, "stranger@example.com, team team-2");
		await see(page, "this tab");
		await see(page, "Live");
		if (await button(page, /^End the session from/).count()) throw new Error("a session of the old team is left");
		await page.evaluate(() => (location.hash = "#/setup/key"));
		await verdict(page, "Key accepted");
		await fieldOf(page, KEY).fill(mate);
		await fieldOf(page, KEY).press("Tab");
		await verdict(page, "A key of another team: team-1");
		await page.getByRole("link", { name: "Back" }).click();
		await heading(page, "Choose the source control system");
		if ((await user()) !== "stranger@example.com") throw new Error("the wizard replaced it without Next");
		await next(page);
		await holds(page, KEY, "");
	}, { slow: 2 });

	test("what can be pressed is never below the sign-in dialog", async (t) => {
		const world = await t.world();
		await world.startEnabled();
		const page = await t.page(world);
		await signIn(page, world);
		await see(page, "Live");
		await endSessions(world);
		const dialog = page.getByRole("dialog", { name: "Sign in again" });
		await dialog.waitFor();
		await world.ask("stop_daemon");
		await new Promise((resolve) => setTimeout(resolve, 6000)); // longer than until a lost connection is told
		if (await page.getByText("Try now").count()) throw new Error("Try now lies below the dialog");
		await dialog.getByLabel(KEY, { exact: true }).fill(world.key);
		await page.keyboard.press("Tab");
		await verdict(page, "No connection to eyes-scm");
		await world.startDaemon();
		await press(page, "Check again");
		await dialog.waitFor({ state: "detached" });
		await see(page, "Live");
		await heading(page, "Everything works");
	}, { slow: 2 });

	test("the daemon is restarted while the page is open: it reconnects", async (t) => {
		const world = await t.world();
		await world.startEnabled();
		const page = await t.page(world);
		await signIn(page, world);
		await heading(page, "Everything works");
		await see(page, "Live");
		await world.ask("stop_daemon");
		await see(page, "Reconnecting…");
		await see(page, /No connection to eyes-scm since/);
		await heading(page, /^This is the state of/);
		await screen(page, "console-lost", t.wrong);
		await page.goto(world.url + "/#/repositories").catch(() => {});
		await world.startDaemon();
		await press(page, "Try now").catch(() => {});
		await see(page, "Live");
		await gone(page, /No connection to eyes-scm since/);
		await page.evaluate(() => (location.hash = "#/overview"));
		await heading(page, "Everything works");
		await world.send({ state: "FAILED" });
		await page.getByRole("row", { name: /SHOP\/web-shop/ }).first().getByText("Failed").waitFor();
	}, { slow: 4 });

	test("the wizard without a mouse", async (t) => {
		const world = await t.world();
		await world.start();
		const page = await t.page(world);
		const type = (text) => page.keyboard.insertText(text);
		/* Tab until this has the focus. */
		const tabTo = async (name, most = 40) => {
			for (let i = 0; i < most; i++) {
				await page.keyboard.press("Tab");
				const here = await page.evaluate(() => {
					const at = document.activeElement, box = at.getBoundingClientRect(), style = getComputedStyle(at);
					return { name: (at.getAttribute("aria-label") || at.labels?.[0]?.textContent || at.textContent).trim(), seen: box.bottom > 0 && box.top < innerHeight, ring: at.matches(":focus-visible"), outline: style.outlineStyle };
				});
				if (!here.seen) throw new Error(`the focus on "${here.name}" cannot be seen`);
				if (here.name === name) return;
			}
			throw new Error(`Tab does not reach "${name}"`);
		};
		await see(page, "This machine is ready");
		await page.keyboard.press("Enter"); // on the heading
		await heading(page, "Enter the Eyes API key");
		await type(world.key);
		await page.keyboard.press("Enter");
		await heading(page, "Choose the Bitbucket server");
		await type(world.bitbucket);
		await page.keyboard.press("Enter");
		await heading(page, "Select the repositories");
		await tabTo("Paste a token to list yours");
		await type(world.token);
		await page.keyboard.press("Enter");
		await see(page, "Listed with the token of");
		await toggle(page, "SHOP/web-shop").waitFor();
		await page.keyboard.press("Escape");
		await page.evaluate(() => document.querySelector("h1").focus());
		await page.keyboard.press("/");
		await until(() => page.evaluate(() => document.activeElement.name === "search"), "/ goes to the search");
		await tabTo("SHOP/web-shop");
		await page.keyboard.press("Space");
		await see(page, "1 selected");
		await tabTo("Next");
		await page.keyboard.press("Enter");
		await heading(page, "Enter the token for SHOP/web-shop");
		await verdict(page, "Token accepted");
		await tabTo("Save");
		await page.keyboard.press("Enter");
		await heading(page, "SHOP/web-shop is enabled");
		await tabTo("Finish");
		await page.keyboard.press("Enter");
		await see(page, "you can close this page");
		await tabTo("Open the console");
		await page.keyboard.press("Enter");
		await heading(page, "Everything works");
	});

	test("a new tab signs in for itself and comes back to its address", async (t) => {
		const world = await t.world();
		await world.startEnabled();
		const page = await t.page(world, "#/updates/waiting");
		await heading(page, "Sign in");
		await screen(page, "sign-in", t.wrong);
		await signIn(page, world);
		await heading(page, "Updates");
		if (!page.url().endsWith("#/updates/waiting")) throw new Error("it went to " + page.url());
		await press(page, "Account");
		await page.getByRole("menuitem", { name: "Sign out" }).click();
		await heading(page, "Sign in");
	});
};
