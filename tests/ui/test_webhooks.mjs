// The events half: webhooks in the wizard and in the console, and events on their way.
import { fieldOf, heading, press, screen, see, until, verdict } from "./page.mjs";
import { choose, goTo, save, signIn, toggle, TOKEN, toToken } from "./steps.mjs";

const HOOKS = "/webhooks";

const events = (world, name) => world.ask("get", ["repositories?limit=100"]).then(({ repositories }) => repositories.find((one) => one.project + "/" + one.slug === name)?.events);
const state = (world, name, wanted) => until(async () => (await events(world, name))?.state === wanted, async () => `${name} is ${wanted}: ${JSON.stringify(await events(world, name))}`);
const rowOf = (page, name) => page.getByRole("row", { name: new RegExp(name) }).first();

/* What the dialog says to enter. */
async function entered(dialog) {
	const copy = async (name) => {
		await dialog.getByRole("button", { name: "Copy " + name, exact: true }).click();
		return dialog.page().evaluate(() => getSelection().toString());
	};
	return { name: await copy("the name"), url: await copy("the URL") };
}

export default (test) => {
	test("a token that administers one of two: both halves shown apart, the webhook made by hand", async (t) => {
		const world = await t.world(), names = ["SHOP/web-shop", "SHOP/api"];
		await world.start({ repositories: names });
		const page = await t.page(world), half = await world.secret("half");
		await world.ask("bitbucket.token", [half], { user: "half-bot", admin: ["SHOP/web-shop"] });
		await goTo(page, world, "list");
		await choose(page, ...names);
		await toToken(page);
		await see(page, "creates the webhook, checks it, puts it right again");
		await fieldOf(page, TOKEN).fill(half);
		await fieldOf(page, TOKEN).press("Tab");
		const said = await verdict(page, "half-bot administers 1 of the 2 repositories");
		for (const words of ["SHOP/web-shop statuses and events", "SHOP/api may read: statuses only", "by hand"]) if (!said.includes(words)) throw new Error(`"${said}" does not say ${words}`);
		await screen(page, "wizard-token-half", t.wrong);
		await press(page, "Save");
		await heading(page, "2 repositories are enabled, one without events");
		await rowOf(page, "SHOP/web-shop").getByText("webhook created").waitFor();
		await rowOf(page, "SHOP/web-shop").getByText("Enabled").waitFor();
		await rowOf(page, "SHOP/api").getByText("Statuses only").waitFor();
		await screen(page, "wizard-save-half", t.wrong);
		await page.reload();
		await heading(page, "2 repositories are enabled, one without events");
		await rowOf(page, "SHOP/web-shop").getByText("webhook created").waitFor();
		await press(page, "Create the webhook by hand… SHOP/api");
		const dialog = page.getByRole("dialog", { name: "Create this webhook in Bitbucket by hand" });
		await dialog.waitFor();
		await screen(page, "dialog-by-hand", t.wrong);
		const hook = await entered(dialog);
		await dialog.getByRole("button", { name: "I have made it, check" }).click();
		await dialog.getByText("half-bot may not administer the webhooks of SHOP/api").waitFor(); // so it cannot see them
		await world.ask("bitbucket.rest", ["POST", "api/1.0/projects/SHOP/repos/api/webhooks", { ...hook, active: true, events: ["repo:refs_changed", "pr:opened", "pr:modified", "pr:from_ref_updated", "pr:merged", "pr:declined", "pr:deleted"] }]);
		if (!(await world.ask("bitbucket.webhooks", ["SHOP/api"])).length) throw new Error("the webhook could not be made with " + JSON.stringify(hook));
		await dialog.getByRole("button", { name: "I have made it, check" }).click();
		await until(async () => !(await dialog.count()) || (await dialog.innerText()).includes("administ"), "it is found, or Bitbucket does not show webhooks to this token");
	}, { slow: 7 });

	test("a token that may not administer: saved, then both webhooks by hand, one after the other", async (t) => {
		const world = await t.world(), names = ["SHOP/api", "SHOP/web-shop"];
		await world.start({ repositories: names });
		const page = await t.page(world), reader = await world.secret("reader");
		await world.ask("bitbucket.token", [reader], { user: "reader", admin: [] });
		await goTo(page, world, "list");
		await choose(page, ...names);
		await toToken(page);
		await fieldOf(page, TOKEN).fill(reader);
		await fieldOf(page, TOKEN).press("Tab");
		await press(page, "Save, then create 2 webhooks by hand");
		await heading(page, "2 repositories are enabled, 2 without events");
		const dialog = page.getByRole("dialog", { name: "Create this webhook in Bitbucket by hand" });
		await dialog.getByText("In SHOP/api:").waitFor();
		await screen(page, "dialog-by-hand-first", t.wrong);
		await dialog.getByRole("button", { name: "Next: SHOP/web-shop" }).click();
		await dialog.getByText("In SHOP/web-shop:").waitFor();
		if (await dialog.getByRole("button", { name: /^Next/ }).count()) throw new Error("there is no next one");
		await dialog.getByRole("button", { name: "Close" }).click();
		await screen(page, "wizard-save-by-hand", t.wrong);
		const offered = await page.getByRole("button").allInnerTexts();
		if (offered.filter((text) => /by hand/.test(text)).join() !== "Create 2 webhooks by hand…") throw new Error("by hand is offered otherwise: " + offered);
		if (offered.some((text) => /Retry the/.test(text))) throw new Error("a retry of all cannot help: " + offered);
		await press(page, "Create 2 webhooks by hand…");
		await dialog.getByText("In SHOP/api:").waitFor();
	}, { slow: 5 });

	test("while webhooks are being made nothing is green, and nothing is called done", async (t) => {
		const world = await t.world(), names = ["SHOP/api", "SHOP/web-shop"];
		await world.start({ repositories: names });
		await world.ask("bitbucket.fault", ["slow"], { delay_ms: 5000, match: { method: "POST", path: HOOKS } });
		const page = await t.page(world);
		await goTo(page, world, "list");
		await choose(page, ...names);
		await toToken(page);
		await press(page, "Save");
		await page.getByText("creating the webhook").first().waitFor();
		const said = await page.locator("#content").innerText();
		for (const words of ["Enabling 2 repositories", "ready", "0 done, 2 to go"]) if (!said.includes(words)) throw new Error(`"${said}" does not say ${words}`);
		if (/Enabled|left|not asked|are enabled/.test(said)) throw new Error(`"${said}" is ahead of what is known`);
		const bar = page.getByRole("progressbar");
		if ((await bar.getAttribute("aria-valuenow")) !== "2" || (await bar.getAttribute("aria-valuemax")) !== "4") throw new Error("the bar does not count halves");
		await page.reload();
		await page.getByText("creating the webhook").first().waitFor();
		await screen(page, "wizard-save-making", t.wrong);
		await until(async () => (await page.locator("h1").innerText()) === "2 repositories are enabled", "both are", 30);
		await rowOf(page, "SHOP/api").getByText("Enabled").waitFor();
	}, { slow: 6 });

	test("a webhook that is there and whose test is not answered is not called missing", async (t) => {
		const world = await t.world();
		await world.start();
		await world.ask("eyes.fault", ["status"], { status: 500, match: { path: "^/api/externals/" } });
		const page = await t.page(world);
		await goTo(page, world, "list");
		await choose(page, "SHOP/web-shop");
		await toToken(page);
		await press(page, "Save");
		await heading(page, "SHOP/web-shop is enabled without events");
		await rowOf(page, "SHOP/web-shop").getByText("webhook created, test answered 500").waitFor();
		await verdict(page, "Events of SHOP/web-shop do not arrive at Eyes");
		await screen(page, "wizard-save-test-failed", t.wrong);
		if (await page.getByRole("button", { name: /another token/ }).count()) throw new Error("another token does not help");
		await world.ask("eyes.heal");
		await press(page, "Retry SHOP/web-shop");
		await rowOf(page, "SHOP/web-shop").getByText("Enabled").waitFor();
	});

	test("a webhook that could not be made is made at the next try", async (t) => {
		const world = await t.world();
		await world.start();
		await world.ask("bitbucket.fault", ["status"], { status: 500, match: { method: "POST", path: HOOKS }, body: "{}" });
		const page = await t.page(world);
		await goTo(page, world, "list");
		await choose(page, "SHOP/web-shop");
		await toToken(page);
		await press(page, "Save");
		await heading(page, "SHOP/web-shop is enabled without events");
		await rowOf(page, "SHOP/web-shop").getByText("webhook not created").waitFor();
		await screen(page, "wizard-save-no-webhook", t.wrong);
		await world.ask("bitbucket.heal");
		await press(page, "Retry SHOP/web-shop");
		await heading(page, "SHOP/web-shop is enabled");
		await rowOf(page, "SHOP/web-shop").getByText("webhook created").waitFor();
		await press(page, "Finish");
		await state(world, "SHOP/web-shop", "ok");
	});

	test("the console looks at webhooks, and puts one right", async (t) => {
		const world = await t.world(), names = ["SHOP/web-shop", "SHOP/api"];
		await world.startEnabled({ repositories: names });
		for (const name of names) await state(world, name, "ok");
		const page = await t.page(world, "#/repositories");
		await signIn(page, world);
		await rowOf(page, "SHOP/api").getByText("Working").first().waitFor();
		const [{ id }] = await world.ask("bitbucket.webhooks", ["SHOP/api"]);
		await world.ask("bitbucket.rest", ["DELETE", "api/1.0/projects/SHOP/repos/api/webhooks/" + id]);
		await page.getByLabel("Select all shown").check();
		await press(page, "Check webhooks");
		await see(page, /2 webhooks are as they should be/);
		await until(async () => (await world.ask("bitbucket.webhooks", ["SHOP/api"])).length === 1, "it is there again");
		await page.getByRole("link", { name: "SHOP/api", exact: true }).click();
		await heading(page, "SHOP/api");
		await see(page, "Applitools does not document where Eyes takes Bitbucket’s events.");
		await see(page, /externals\/bitbucket\/events/);
		await press(page, "Check now");
		await see(page, "The webhook is as it should be");
		await screen(page, "console-repository-events", t.wrong);
		// Bitbucket's deliveries fail: said first, with where.
		await world.ask("eyes.fault", ["status"], { status: 500, match: { path: "^/api/externals/" } });
		for (let i = 0; i < 3; i++) await world.ask("bitbucket.push", ["SHOP/api"]);
		await until(async () => (await world.ask("bitbucket.deliveries", [], { repository: "SHOP/api" })).filter((one) => one.outcome === "failure").length >= 3, "three deliveries failed");
		await press(page, "Check now");
		await state(world, "SHOP/api", "failing");
		await see(page, "Needs attention");
		await screen(page, "console-repository-failing", t.wrong);
		await page.goto(world.url + "/#/repositories");
		await rowOf(page, "SHOP/api").getByText("Do not arrive", { exact: true }).waitFor();
		await screen(page, "console-repositories-failing", t.wrong);
		await page.goto(world.url + "/#/overview");
		await see(page, "Needs you");
		await see(page, /SHOP\/api/);
		await screen(page, "console-overview-failing", t.wrong);
	}, { slow: 7 });

	test("the relay: what waits and what was given up, retried and dropped", async (t) => {
		const world = await t.world({ EYES_EVENTS: "relay" });
		await world.startEnabled();
		await state(world, "SHOP/web-shop", "ok");
		const page = await t.page(world, "#/updates/events");
		await signIn(page, world);
		await see(page, "Nothing waits");
		await world.ask("eyes.fault", ["status"], { status: 503, match: { path: "^/api/externals/" } });
		for (let i = 0; i < 2; i++) await world.ask("bitbucket.push", ["SHOP/web-shop"]);
		await page.getByRole("row", { name: /SHOP\/web-shop.*repo:refs_changed/ }).first().waitFor();
		await screen(page, "console-events-waiting", t.wrong);
		await page.getByRole("button", { name: "Drop SHOP/web-shop" }).last().click();
		await page.getByRole("dialog").getByRole("button", { name: "Drop", exact: true }).click();
		await see(page, "1 event dropped");
		await world.ask("eyes.heal");
		await press(page, "Retry all");
		await see(page, "Nothing waits");
		const arrived = (await world.ask("eyes.events")).filter((one) => one.event === "repo:refs_changed" || one.event_key === "repo:refs_changed" || JSON.stringify(one).includes("refs_changed"));
		if (!arrived.length) throw new Error("no event arrived at Eyes");
		await page.goto(world.url + "/#/repositories");
		await page.getByRole("link", { name: "SHOP/web-shop" }).click();
		await see(page, /That is eyes-scm, which passes them on to Eyes/);
		await press(page, "Rotate secret");
		await see(page, /the old one counts for an hour/);
		await see(page, /the old secret counts until/);
		await screen(page, "console-repository-relay", t.wrong);
	}, { slow: 6 });

	test("a webhook that is changed back again and again is left alone until somebody says so", async (t) => {
		const world = await t.world();
		await world.startEnabled();
		await state(world, "SHOP/web-shop", "ok");
		const page = await t.page(world, "#/repositories");
		await signIn(page, world);
		// As the daemon tells it after three times a day; everything else is its own answer.
		let conflict = true;
		await page.route(/\/api\/v1\/repositories\/\d+$/, async (route) => {
			// Outside the browser "localhost" is the system's to resolve, which need not know it.
			const answer = await route.fetch({ url: route.request().url().replace("localhost", "127.0.0.1") }), row = await answer.json();
			if (conflict) Object.assign(row.events, { state: "conflict", error: { code: "webhook_conflict", message: "the webhook of SHOP/web-shop was changed back 3 times today", hint: "It is left alone until it is put right here." } });
			await route.fulfill({ response: answer, json: row });
		});
		await page.getByRole("link", { name: "SHOP/web-shop" }).click();
		await verdict(page, "The webhook of SHOP/web-shop was changed back 3 times today");
		await see(page, "Changed back");
		await screen(page, "console-repository-conflict", t.wrong);
		const asked = page.waitForRequest((request) => request.url().endsWith("/webhooks/repair"));
		conflict = false;
		await page.getByRole("button", { name: "Put it right now" }).focus();
		await page.keyboard.press("Enter");
		if ((await asked).postDataJSON().repositories.join() !== "SHOP/web-shop") throw new Error("another repository was asked for");
		await see(page, "The webhook is as it should be");
		await page.getByRole("button", { name: "Put it right now" }).waitFor({ state: "detached" });
	});

	test("a renamed repository is followed", async (t) => {
		const world = await t.world();
		await world.startEnabled();
		await state(world, "SHOP/web-shop", "ok");
		await world.ask("bitbucket.control", ["POST", "setup", { rename: { "SHOP/web-shop": "SHOP/shop-front" } }]);
		const page = await t.page(world, "#/repositories");
		await signIn(page, world);
		await page.getByRole("link", { name: "SHOP/web-shop" }).click();
		await heading(page, "SHOP/web-shop");
		await press(page, "Check now");
		await button(page, "Follow it");
		await screen(page, "console-repository-renamed", t.wrong);
		await press(page, "Follow it");
		await heading(page, "SHOP/shop-front");
	});
};

async function button(page, name) {
	await page.getByRole("button", { name, exact: true }).waitFor();
}
