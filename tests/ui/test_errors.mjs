// Each thing that can be wrong says what happened, where, and what to do; and then it can be put right on the spot.
import { explained, fieldOf, heading, next, press, screen, see, until, verdict } from "./page.mjs";
import { addByName, choose, giveKey, giveServer, goTo, KEY, list, save, TOKEN, toKey, toToken, URL } from "./steps.mjs";

async function giveAnswer(page, label, value) {
	await fieldOf(page, label).fill(value);
	await fieldOf(page, label).press("Tab");
}

export default (test) => {
	test("wrong key, then a key without rights, then the right one", async (t) => {
		const world = await t.world();
		await world.start();
		const weak = await world.secret("weak");
		await world.ask("eyes.allow", [weak], { permissions: ["read", "execute"] });
		const page = await t.page(world);
		await toKey(page);
		await giveAnswer(page, KEY, await world.secret("unknown"));
		await explained(page, { what: "Eyes does not know this key", where: /401/, todo: /API Keys/ });
		await screen(page, "error-key-unknown", t.wrong);
		await giveAnswer(page, KEY, weak);
		const said = await explained(page, { what: "lacks", where: "permissions", todo: "Tick all four permissions" });
		for (const missing of ["write", "merge"]) if (!said.includes(missing)) throw new Error(`"${said}" does not name ${missing}`);
		await screen(page, "error-key-permissions", t.wrong);
		await giveAnswer(page, KEY, "k".repeat(5000));
		await explained(page, { what: "That is too long to be a key", where: "", todo: "Copy it again" });
		await giveKey(page, world);
	});

	test("five wrong keys: how many are left, and when the next one is taken", async (t) => {
		const world = await t.world();
		await world.start();
		const page = await t.page(world);
		await toKey(page);
		for (const left of ["4 more tries before", "3 more tries before", "2 more tries before", "1 more try before", /The next try is at \d\d:\d\d:\d\d\./]) {
			await giveAnswer(page, KEY, await world.secret("wrong"));
			await until(async () => {
				const said = await page.locator(".verdict").allInnerTexts();
				return said.some((text) => (left instanceof RegExp ? left.test(text) : text.includes(left)));
			}, "it says " + left);
		}
		await giveAnswer(page, KEY, world.key);
		await explained(page, { what: "Five wrong keys from 127.0.0.1", where: "sign-in", todo: /The next one is accepted at \d\d:\d\d:\d\d\./ });
		await screen(page, "error-key-rate", t.wrong);
	});

	test("Eyes cannot be reached: said where, and found again", async (t) => {
		const world = await t.world();
		await world.start();
		await world.ask("eyes.stop");
		const page = await t.page(world);
		await heading(page, "Choose the source control system");
		await see(page, "This machine is not ready yet");
		await explained(page, { what: "Nothing listens at localhost", where: "TCP", todo: "EYES_SERVER_URL" });
		await screen(page, "error-eyes-unreachable", t.wrong);
		await next(page); // does not go on, and says why
		await see(page, "This machine is not ready yet");
		await world.eyesAgain();
		await press(page, "Check again");
		await see(page, "This machine is ready");
		await toKey(page);
		await giveKey(page, world);
	});

	test("the key's check while Eyes is away", async (t) => {
		const world = await t.world();
		await world.start();
		const page = await t.page(world);
		await toKey(page);
		await world.ask("eyes.stop");
		await giveAnswer(page, KEY, world.key);
		await explained(page, { what: "Nothing listens at localhost", where: "TCP", todo: "EYES_SERVER_URL" });
		await world.eyesAgain();
		await press(page, "Check again");
		await verdict(page, "Key accepted");
	});

	test("servers: not reached, no address, not a Bitbucket, already there", async (t) => {
		const world = await t.world();
		await world.start();
		const page = await t.page(world);
		await goTo(page, world, "server");
		const port = await world.ask("free_port");
		await giveAnswer(page, URL, "https://localhost:" + port);
		await explained(page, { what: `Nothing listens at localhost:${port}`, where: "TCP", todo: "7990" });
		await screen(page, "error-server-unreachable", t.wrong);
		await giveAnswer(page, URL, "https://no-such-host.invalid");
		await explained(page, { what: "The name no-such-host.invalid is not known here", where: "DNS", todo: "Check the spelling" });
		await giveAnswer(page, URL, world.eyes);
		await explained(page, { what: "is not a Bitbucket server", where: "HTTP", todo: "If Bitbucket lives under a path, add it" });
		await screen(page, "error-not-bitbucket", t.wrong);
		await giveServer(page, world);
		await page.getByRole("link", { name: "Back" }).click();
		await heading(page, "Choose the Bitbucket server");
		await page.getByLabel("Add a new server").check();
		await giveAnswer(page, URL, world.bitbucket);
		await explained(page, { what: "This server is already in the list", where: "this field", todo: "Choose it above" });
	});

	test("an untrusted certificate, then the file of its CA", async (t) => {
		const world = await t.world();
		await world.start({ bitbucket: { tls: "tls-bitbucket" } });
		const page = await t.page(world);
		await goTo(page, world, "server");
		await giveAnswer(page, URL, world.bitbucket);
		await explained(page, { what: /The certificate of localhost:\d+ is not trusted/, where: "TLS", todo: "the certificate of that CA" });
		await screen(page, "error-certificate", t.wrong);
		const [choosing] = await Promise.all([page.waitForEvent("filechooser"), page.getByText("Choose a file…").click()]);
		await choosing.setFiles({ name: "wrong.pem", mimeType: "text/plain", buffer: Buffer.from("no certificate") });
		await explained(page, { what: "That file holds no PEM certificate", where: "", todo: "BEGIN CERTIFICATE" });
		const [again] = await Promise.all([page.waitForEvent("filechooser"), page.getByText("Choose a file…").click()]);
		await again.setFiles(await world.ask("eyes.ca"));
		await explained(page, { what: "That CA did not issue this certificate", where: "TLS", todo: "Ask for the one that did" });
		const [third] = await Promise.all([page.waitForEvent("filechooser"), page.getByText("Choose a file…").click()]);
		await third.setFiles(await world.ask("bitbucket.ca"));
		await verdict(page, "Bitbucket Data Center 9.4");
		await next(page);
		await heading(page, "Select the repositories");
	});

	test("wrong token, then one without admin rights", async (t) => {
		const world = await t.world();
		await world.start();
		const page = await t.page(world), reader = await world.secret("reader");
		await world.ask("bitbucket.token", [reader], { user: "reader", admin: [] });
		await goTo(page, world, "repositories");
		await addByName(page, "SHOP/web-shop");
		await toToken(page);
		await press(page, "Save");
		await verdict(page, "The token is missing");
		await save(page, await world.secret("wrong-token"));
		await explained(page, { what: "localhost refused this token", where: "401", todo: "Make a new one" });
		await screen(page, "error-token-refused", t.wrong);
		await giveAnswer(page, TOKEN, reader);
		const said = await verdict(page, "reader can read SHOP/web-shop, and does not administer it");
		if (!/may read: statuses only/.test(said)) throw new Error(`"${said}" does not say what it lacks for webhooks`);
		await screen(page, "error-token-read-only", t.wrong);
		await press(page, "Save");
		await heading(page, "SHOP/web-shop is enabled without events");
	});

	test("the token's check while Bitbucket is away for a moment: asked again by the button, and by Save", async (t) => {
		const world = await t.world();
		await world.start();
		const page = await t.page(world), other = await world.secret("other");
		await world.ask("bitbucket.token", [other], { user: "other" });
		await goTo(page, world, "repositories");
		await addByName(page, "SHOP/web-shop");
		await toToken(page);
		await world.ask("bitbucket.fault", ["status"], { status: 503, match: { path: "/rest/" }, body: "{}" });
		await giveAnswer(page, TOKEN, world.token);
		const said = await explained(page, { what: "is not available at present", where: "HTTP 503", todo: "Try again" });
		if (/nothing is lost/.test(said)) throw new Error(`"${said}" is true of the queue alone`);
		await screen(page, "error-token-away", t.wrong);
		await world.ask("bitbucket.heal");
		await press(page, "Check again");
		await verdict(page, "Token accepted");
		await world.ask("bitbucket.fault", ["status"], { status: 503, match: { path: "/rest/" }, body: "{}" });
		await giveAnswer(page, TOKEN, other);
		await verdict(page, "is not available at present");
		await world.ask("bitbucket.heal");
		await press(page, "Save");
		await heading(page, "SHOP/web-shop is enabled");
		// The same in a dialog of the console.
		await world.ask("bitbucket.fault", ["status"], { status: 503, match: { path: "/rest/" }, body: "{}" });
		await page.goto(world.url + "/#/repositories");
		await page.getByLabel("Select SHOP/web-shop").check();
		await page.getByRole("button", { name: "Replace token…" }).first().click();
		const dialog = page.getByRole("dialog");
		await dialog.getByLabel(TOKEN, { exact: true }).fill(world.token);
		await dialog.getByRole("button", { name: "Replace token", exact: true }).click();
		await dialog.getByRole("button", { name: "Check again" }).waitFor();
		await world.ask("bitbucket.heal");
		await dialog.getByRole("button", { name: "Replace token", exact: true }).click();
		await see(page, "Token replaced for SHOP/web-shop");
	}, { slow: 4 });

	test("one repository that Bitbucket cannot answer for is that one's result", async (t) => {
		const world = await t.world(), names = ["SHOP/web-shop", "SHOP/api"];
		await world.start({ repositories: names });
		const page = await t.page(world);
		await goTo(page, world, "repositories");
		await addByName(page, ...names);
		await toToken(page);
		await world.ask("bitbucket.fault", ["status"], { status: 500, match: { path: "/repos/api" }, body: "{}" });
		await giveAnswer(page, TOKEN, world.token);
		const said = await verdict(page, "can read 1 of the 2 repositories");
		for (const words of ["SHOP/web-shop statuses and events", "SHOP/api localhost", "HTTP 500", "Try again", "Leave out SHOP/api"]) if (!said.includes(words)) throw new Error(`"${said}" does not say ${words}`);
		await world.ask("bitbucket.heal");
		await press(page, "Check again");
		await verdict(page, "administers all 2 repositories");
	});

	test("one of many fails, and is retried with another token", async (t) => {
		const world = await t.world(), names = ["SHOP/web-shop", "SHOP/api", "PAY/checkout"];
		await world.start({ repositories: names });
		const page = await t.page(world), shop = await world.secret("shop");
		await world.ask("bitbucket.token", [shop], { user: "shop-bot", read: ["SHOP/web-shop", "SHOP/api"], admin: [] });
		await goTo(page, world, "list");
		await choose(page, ...names);
		await toToken(page);
		await fieldOf(page, TOKEN).fill(shop);
		await fieldOf(page, TOKEN).press("Tab");
		const said = await verdict(page, "shop-bot can read 2 of the 3 repositories");
		if (!/PAY\/checkout (not visible to this token|Shop-bot may not read PAY\/checkout)/i.test(said)) throw new Error(`"${said}" does not name the one`);
		await screen(page, "error-token-some", t.wrong);
		await press(page, "Save");
		await heading(page, "2 of 3 repositories are enabled");
		await verdict(page, /PAY\/checkout is not visible to this token|may not read PAY\/checkout/i);
		await screen(page, "error-save-one", t.wrong);
		await press(page, "Use another token… PAY/checkout");
		const dialog = page.getByRole("dialog");
		await dialog.waitFor();
		await screen(page, "dialog-other-token", t.wrong);
		await dialog.getByLabel(TOKEN, { exact: true }).fill(world.token);
		await dialog.getByRole("button", { name: "Save" }).click();
		await heading(page, "3 repositories are enabled");
		await until(async () => (await world.ask("repositories")).filter((one) => one.state === "enabled").length === 3, "all three are enabled");
	}, { slow: 5 });

	test("a token is tried in step 4 and refused there", async (t) => {
		const world = await t.world();
		await world.start();
		const page = await t.page(world);
		await goTo(page, world, "repositories");
		await page.getByLabel("Paste a token to list yours", { exact: true }).fill(await world.secret("wrong-token"));
		await press(page, "List all");
		await explained(page, { what: "localhost refused this token", where: "401", todo: "Make a new one" });
		await list(page, world.token);
		await page.getByRole("switch", { name: "SHOP/web-shop" }).waitFor();
	});

	test("where is your Eyes? asked only when nothing tells", async (t) => {
		const world = await t.world();
		await world.start({ daemon: { env: { EYES_SERVER_URL: null, EYES_ORG_ID: null } } });
		const page = await t.page(world);
		await heading(page, "Where is your Eyes?");
		await next(page);
		await verdict(page, "The URL is missing");
		const [address, id] = ["Eyes server URL", "Organization ID"];
		await giveAnswer(page, address, "https://localhost:" + (await world.ask("free_port")));
		await explained(page, { what: "Nothing listens at localhost", where: "TCP", todo: "EYES_SERVER_URL" });
		await screen(page, "error-eyes-server", t.wrong);
		await giveAnswer(page, address, world.eyes);
		await verdict(page, "Reached in");
		await next(page);
		await verdict(page, "The organization ID is missing");
		await fieldOf(page, id).fill("org-1");
		await next(page);
		await heading(page, "Choose the source control system");
		await until(async () => /^Step 2 of 6/.test(await page.title()), "it is step 2 of 6");
		await toKey(page);
		await giveKey(page, world);
	});

	test("where is your Eyes? with the setup code, which the next step has already", async (t) => {
		const world = await t.world({ EYES_SETUP_CODE: "always" });
		await world.start({ daemon: { env: { EYES_SERVER_URL: null, EYES_ORG_ID: null } } });
		const code = /[A-Z0-9]{4}-[A-Z0-9]{4}/.exec((await world.ask("cli", ["setup-code"])).out)[0];
		const page = await t.page(world);
		await heading(page, "Where is your Eyes?");
		await giveAnswer(page, "Eyes server URL", world.eyes);
		await verdict(page, "Not checked yet: the setup code comes first");
		await next(page);
		await verdict(page, "The setup code is missing");
		await giveAnswer(page, "Setup code", "AAAA-AAAA");
		await explained(page, { what: "That setup code is not right", where: "", todo: "setup-code" });
		await screen(page, "wizard-eyes-setup-code", t.wrong);
		await giveAnswer(page, "Setup code", code.replace("-", "").toLowerCase());
		await verdict(page, "Reached in");
		await giveAnswer(page, "Organization ID", "org-1");
		await next(page);
		await toKey(page);
		if ((await fieldOf(page, "Setup code").inputValue()) !== code.replace("-", "").toLowerCase()) throw new Error("the code is not kept");
		if ((await page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }]))).includes(code.slice(5).toLowerCase())) throw new Error("the code is in the browser's storage");
		await giveKey(page, world);
	});

	test("the setup code, when others can reach this machine", async (t) => {
		const world = await t.world({ EYES_SETUP_CODE: "always" });
		await world.start();
		const page = await t.page(world);
		await toKey(page);
		await fieldOf(page, KEY).fill(world.key);
		await next(page);
		await verdict(page, "The setup code is missing");
		await screen(page, "wizard-setup-code", t.wrong);
		await fieldOf(page, "Setup code").fill("AAAA-AAAA");
		await next(page);
		await explained(page, { what: "That setup code is not right", where: "", todo: "setup-code" });
		const { out } = await world.ask("cli", ["setup-code"]);
		await fieldOf(page, "Setup code").fill(/[A-Z0-9]{4}-[A-Z0-9]{4}/.exec(out)[0]);
		await next(page);
		await heading(page, "Choose the Bitbucket server");
	});
};
