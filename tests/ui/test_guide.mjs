// The guide's ten steps, from an empty state to a status on a commit.
import { fieldOf, heading, next, press, screen, see, until, verdict } from "./page.mjs";
import { addByName, choose, goTo, KEY, list, LISTING_TOKEN, save, signIn, toggle, toKey, toToken, URL } from "./steps.mjs";
import { COMMIT } from "./world.mjs";

export default (test) => {
	test("the guide's ten steps, to a status in Bitbucket and in the live list", async (t) => {
		const world = await t.world();
		await world.start({ repositories: ["SHOP/web-shop", "SHOP/api", "PAY/checkout"] });
		const page = await t.page(world);
		await heading(page, "Choose the source control system");
		await see(page, "This machine is ready");
		await screen(page, "wizard-source", t.wrong);
		await toKey(page);
		await screen(page, "wizard-key-empty", t.wrong);
		await fieldOf(page, KEY).fill(world.key);
		await fieldOf(page, KEY).press("Tab");
		await verdict(page, "Key accepted, with full privileges");
		await screen(page, "wizard-key", t.wrong);
		await next(page);
		await heading(page, "Choose the Bitbucket server");
		await screen(page, "wizard-server-empty", t.wrong);
		await fieldOf(page, URL).fill(world.bitbucket + "/projects/SHOP");
		await fieldOf(page, URL).press("Tab");
		await verdict(page, "Bitbucket Data Center 9.4");
		if ((await fieldOf(page, URL).inputValue()) !== world.bitbucket) throw new Error("the address was not cut to the server's");
		await screen(page, "wizard-server", t.wrong);
		await next(page);
		await heading(page, "Select the repositories");
		await screen(page, "wizard-repositories-none", t.wrong);
		await list(page, world.token);
		await toggle(page, "SHOP/web-shop").waitFor();
		await choose(page, "SHOP/web-shop");
		await see(page, "1 selected");
		await screen(page, "wizard-repositories", t.wrong);
		await toToken(page);
		await heading(page, "Enter the token for SHOP/web-shop");
		await verdict(page, "Token accepted");
		await screen(page, "wizard-token", t.wrong);
		await press(page, "Save");
		await heading(page, "SHOP/web-shop is enabled");
		await page.getByRole("row", { name: /SHOP\/web-shop/ }).getByText("Enabled").waitFor();
		await screen(page, "wizard-save", t.wrong);
		await press(page, "Finish");
		await see(page, "you can close this page");
		await screen(page, "wizard-done", t.wrong);
		await page.getByRole("link", { name: "Open the console" }).click();
		await heading(page, "Everything works");
		await see(page, "No update yet");
		await screen(page, "console-overview-empty", t.wrong);

		await world.send({ state: "SUCCESSFUL" });
		await world.ask("bitbucket.wait_status", [COMMIT, "SUCCESSFUL"]);
		const row = page.getByRole("row", { name: /SHOP\/web-shop/ }).first();
		await row.getByText("Passed").waitFor();
		await row.getByText(COMMIT.slice(0, 8)).waitFor();
		const words = await row.innerText();
		if (!/in [\d.]+ m?s/.test(words)) throw new Error("the row does not say how long it took: " + words);
	}, { slow: 9 });

	test("a list that stays empty: nothing is public, and a token that sees nothing", async (t) => {
		const world = await t.world();
		await world.start();
		const page = await t.page(world), blind = await world.secret("blind");
		await world.ask("bitbucket.token", [blind], { user: "blind", read: [], admin: [] });
		await goTo(page, world, "repositories");
		await see(page, "No repository can be seen without a token");
		await see(page, "There are no public ones");
		await fieldOf(page, LISTING_TOKEN).fill(blind);
		await press(page, "List all");
		await see(page, "This server has no repositories that the token can see");
		await screen(page, "wizard-repositories-unseen", t.wrong);
		await page.getByRole("button", { name: "Use another token" }).last().click();
		await list(page, world.token);
		await toggle(page, "SHOP/web-shop").waitFor();
	});

	test("the list of step 4 follows what is disabled, and shows on a phone what the token may", async (t) => {
		const world = await t.world();
		await world.startEnabled({ repositories: ["SHOP/web-shop", "SHOP/api", "PAY/checkout"], enabled: ["SHOP/web-shop", "SHOP/api"] });
		const page = await t.page(world, "#/setup/server");
		await signIn(page, world);
		await heading(page, "Choose the Bitbucket server");
		await page.getByRole("radio").first().check();
		await next(page);
		await heading(page, "Select the repositories");
		await list(page, world.token);
		const shows = page.getByRole("navigation", { name: "Show" });
		await shows.getByText(/^Enabled 2$/).waitFor();
		await page.setViewportSize({ width: 390, height: 844 });
		await page.locator(".repo").filter({ hasText: "checkout" }).getByText("admin").filter({ visible: true }).waitFor();
		await screen(page, "wizard-repositories-enabled", t.wrong);
		await press(page, "SHOP/api: enabled. Change");
		await press(page, "Disable…");
		await page.getByRole("dialog").getByRole("button", { name: "Disable", exact: true }).click();
		await shows.getByText(/^Enabled 1$/).waitFor();
		await toggle(page, "SHOP/api").waitFor();
	});

	test("the typed token is enough when nothing is listed", async (t) => {
		const world = await t.world();
		await world.start();
		const page = await t.page(world);
		await goTo(page, world, "repositories");
		await addByName(page, "SHOP/web-shop");
		await toToken(page);
		await save(page, world.token);
		await heading(page, "SHOP/web-shop is enabled");
		await until(async () => (await world.ask("repositories")).length === 1, "the daemon knows it");
	});
};
