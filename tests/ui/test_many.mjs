// Ten thousand repositories.
import { fieldOf, heading, press, screen, see, until } from "./page.mjs";
import { choose, goTo, list, toggle, toToken } from "./steps.mjs";

const BLOCKED_MS = 400; // the page may not stand still for longer

export default (test) => {
	test("10,000 repositories are listed, searched and selected", async (t) => {
		const world = await t.world({ EYES_STORE_SIZE: "128M" });
		await world.start({ repositories: [], bitbucket: { args: ["--repositories", 10000, "--any-commit"] } });
		const page = await t.page(world);
		await page.evaluate(() => {
			window.longest = 0;
			const take = (entries) => entries.forEach((one) => (window.longest = Math.max(window.longest, one.duration)));
			const observer = new PerformanceObserver((seen) => take(seen.getEntries()));
			observer.observe({ type: "longtask" });
			window.longestSoFar = () => { take(observer.takeRecords()); return window.longest; };
		});
		// Pictures of the whole page in four sizes, and axe, are not what a person does: they do not count.
		const picture = async (name) => {
			const before = await page.evaluate(() => window.longestSoFar());
			await screen(page, name, t.wrong);
			await page.evaluate((longest) => { window.longestSoFar(); window.longest = longest; }, before);
		};
		await goTo(page, world, "list");
		await see(page, /10.000 repositories in 100 projects/);
		await page.getByRole("button", { name: /GEN42/ }).waitFor();
		await picture("wizard-repositories-many");
		const search = fieldOf(page, "Search repositories");
		await search.fill("repo-98");
		await see(page, /111 of 10.000 match/);
		const rows = await page.locator(".repo").count();
		if (rows > 600) throw new Error(rows + " rows in the page");
		await search.fill("repo-9876");
		await see(page, /1 of 10.000 match/);
		await choose(page, "GEN98/repo-9876");
		await picture("wizard-repositories-search");
		await search.fill("no-such-thing");
		await see(page, "No repository matches “no-such-thing”");
		await picture("wizard-repositories-nothing");
		await press(page, "Clear the search");
		await page.getByRole("button", { name: /GEN42/ }).click();
		await toggle(page, "GEN42/repo-4217").waitFor();
		await press(page, "Select 100 in GEN42");
		await see(page, "101 selected");
		const longest = await page.evaluate(() => window.longestSoFar());
		if (longest > BLOCKED_MS) throw new Error(`the page stood still for ${longest} ms`);
		await toToken(page);
		await heading(page, "Enter the token for 101 repositories");
		await see(page, "and 89 more");
		await press(page, "Save");
		await heading(page, "101 repositories are enabled");
		await until(async () => (await world.ask("repositories")).length === 101, "all are enabled");
	}, { slow: 8 });
};
