// The steps of the guide, as a person does them.
import { fieldOf, heading, next, press, see } from "./page.mjs";

export const KEY = "Eyes API key", URL = "Server URL", TOKEN = "Personal access token (PAT)", LISTING_TOKEN = "Paste a token to list yours";

export async function toKey(page) {
	await heading(page, "Choose the source control system");
	await see(page, "This machine is ready");
	await next(page);
	await heading(page, "Enter the Eyes API key");
}
export async function giveKey(page, world) {
	await fieldOf(page, KEY).fill(world.key);
	await next(page);
	await heading(page, "Choose the Bitbucket server");
}
export async function giveServer(page, world) {
	await fieldOf(page, URL).fill(world.bitbucket);
	await next(page);
	await heading(page, "Select the repositories");
}
/* The repositories that the token sees are listed. */
export async function list(page, token) {
	await fieldOf(page, LISTING_TOKEN).fill(token);
	await press(page, "List all");
	await see(page, "Listed with the token of");
}
export const toggle = (page, name) => page.getByRole("switch", { name, exact: true });
export async function choose(page, ...names) {
	for (const name of names) await toggle(page, name).click();
}
export async function addByName(page, ...names) {
	for (const name of names) {
		await fieldOf(page, "Add by name").fill(name);
		await fieldOf(page, "Add by name").press("Enter");
		await see(page, name + " is selected");
	}
}
export async function toToken(page) {
	await next(page);
	await page.getByRole("heading", { level: 1, name: /^Enter the token for/ }).waitFor();
}
export async function save(page, token) {
	await fieldOf(page, TOKEN).fill(token);
	await press(page, "Save");
}

/* From the empty state to the step that is named. */
export async function goTo(page, world, step) {
	const road = [["key", toKey], ["server", giveKey], ["repositories", giveServer], ["list", () => list(page, world.token)]];
	for (const [name, go] of road) {
		await go(page, world);
		if (name === step) return;
	}
}

/* #/sign-in */
export async function signIn(page, world) {
	await heading(page, "Sign in");
	await fieldOf(page, KEY).fill(world.key);
	await press(page, "Sign in");
	await page.getByRole("heading", { level: 1, name: "Sign in" }).waitFor({ state: "detached" });
}
