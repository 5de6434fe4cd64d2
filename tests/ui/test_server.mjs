// Step 3, the server: what each address and each certificate that is given is said to be.
import { createServer } from "node:net";
import { explained, fieldOf, gone, heading, next, press, screen, verdict } from "./page.mjs";
import { goTo, URL } from "./steps.mjs";

async function give(page, value) {
	await fieldOf(page, URL).fill(value);
	await fieldOf(page, URL).press("Tab");
}
async function file(page, given) {
	const [choosing] = await Promise.all([page.waitForEvent("filechooser"), page.getByText("Choose a file…").click()]);
	await choosing.setFiles(given);
}
const pem = (text) => ({ name: "ca.pem", mimeType: "text/plain", buffer: Buffer.from(text) });

export default (test) => {
	test("an address that is not whole, no port, and HTTP where TLS is spoken", async (t) => {
		const world = await t.world();
		await world.start({ bitbucket: { tls: "tls-bitbucket" } });
		const page = await t.page(world);
		await goTo(page, world, "server");
		for (const address of ["http://", "https:"]) {
			await give(page, address);
			await explained(page, { what: "That is not the address of a server", where: "it is incomplete: it names no host", todo: "Such as" });
		}
		for (const [address, at] of [["http://127.0.0.2", "127.0.0.2:80"], ["127.0.0.2", "127.0.0.2:443"]]) {
			await give(page, address);
			await explained(page, { what: "Nothing listens at " + at, where: "TCP", todo: "Check the port" });
		}
		// It ends the connection without a word, as OpenSSL does; others send an alert, or say it in HTTP.
		await give(page, world.bitbucket.replace("https", "http"));
		await explained(page, { what: "closed the connection without an answer", where: "HTTP", todo: "Try https:// in the address" });
		for (const answer of [Buffer.from([21, 3, 1, 0, 2, 2, 40]), "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: 56\r\nConnection: close\r\n\r\n<h1>The plain HTTP request was sent to HTTPS port</h1>\r\n"]) {
			const other = createServer((socket) => socket.on("error", () => {}).once("data", () => socket.end(answer)));
			await new Promise((resolve) => other.listen(0, "127.0.0.1", resolve));
			await give(page, "http://127.0.0.1:" + other.address().port);
			await explained(page, { what: "127.0.0.1 speaks HTTPS at this port", where: "HTTP", todo: "Try https:// in the address" });
			other.close();
		}
		await give(page, world.bitbucket.replace("https", "http"));
		await verdict(page, "closed the connection");
		await screen(page, "error-plain-http", t.wrong);
		await press(page, "Try " + world.bitbucket);
		await verdict(page, "is not trusted");
	});

	test("the panel of the CA says one thing at a time, and what was given outlasts a reload", async (t) => {
		const world = await t.world();
		await world.start({ bitbucket: { tls: "tls-bitbucket" } });
		const page = await t.page(world), path = "Path of the CA file on this machine";
		await goTo(page, world, "server");
		await give(page, world.bitbucket);
		await verdict(page, "is not trusted");
		await fieldOf(page, path).fill("ca.pem");
		await fieldOf(page, path).press("Enter");
		await explained(page, { what: "The path of the CA file is not absolute", where: "", todo: "begins with a slash" });
		await fieldOf(page, path).fill("/nowhere/ca.pem");
		await fieldOf(page, path).press("Enter");
		await verdict(page, "/nowhere/ca.pem");
		await file(page, pem("x".repeat(70000)));
		await verdict(page, "That file is too large");
		await gone(page, "/nowhere/ca.pem is no file");
		await screen(page, "error-ca-large", t.wrong);
		await file(page, await world.ask("bitbucket.ca"));
		await verdict(page, "Bitbucket Data Center 9.4");
		await page.reload();
		await heading(page, "Choose the Bitbucket server");
		await verdict(page, "Bitbucket Data Center 9.4");
		if (await page.evaluate(() => JSON.stringify(sessionStorage).includes("PRIVATE"))) throw new Error("a key is kept");
		await next(page);
		await heading(page, "Select the repositories");
	});

	test("of a file with a key beside the certificate only the certificate is taken", async (t) => {
		const world = await t.world();
		await world.start({ bitbucket: { tls: "tls-bitbucket" } });
		const page = await t.page(world), seen = [];
		page.on("request", (request) => seen.push(request.postData() || ""));
		await goTo(page, world, "server");
		await give(page, world.bitbucket);
		await verdict(page, "is not trusted");
		const secret = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
		await file(page, pem(secret + (await world.ask("file_text", [await world.ask("bitbucket.ca")])) + secret));
		await verdict(page, "Bitbucket Data Center 9.4");
		if (seen.some((body) => body.includes("PRIVATE KEY")) || (await page.evaluate(() => JSON.stringify(sessionStorage))).includes("PRIVATE KEY")) throw new Error("the key went along");
	});
};
