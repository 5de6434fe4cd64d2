// The simulators, the daemon and its commands, from a test: tests/ui/world.py, and with it tests/e2e/harness.py.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("world.py", import.meta.url));
export const COMMIT = "3f2a9c51d7e04b8896a1c2f05d7be34a1190cc8e";

export class World {
	/* settings: of the daemon, as EYES_...; nothing is started yet. */
	static async make(settings = {}) {
		const world = new World();
		world.process = spawn("python3", [PROGRAM], { stdio: ["pipe", "pipe", "inherit"] });
		world.waiting = [];
		createInterface({ input: world.process.stdout }).on("line", (line) => {
			const { resolve, reject } = world.waiting.shift(), answer = JSON.parse(line);
			if (answer.error === undefined) resolve(answer.value);
			else reject(new Error(answer.error));
		});
		world.process.on("exit", () => world.waiting.splice(0).forEach(({ reject }) => reject(new Error("world.py ended"))));
		await world.ask("new", [], settings);
		for (const name of ["key", "token", "url"]) world[name] = await world.ask(name);
		return world;
	}

	/* A name below harness.World, with its arguments and its named ones. */
	ask(name, args = [], named = {}) {
		return new Promise((resolve, reject) => {
			this.waiting.push({ resolve, reject });
			this.process.stdin.write(JSON.stringify({ do: name, args, named }) + "\n");
		});
	}

	/* What is wrong, as texts. */
	async end() {
		const wrong = await this.ask("end").catch((error) => [String(error)]);
		this.process.stdin.end();
		return wrong;
	}

	// ---- the usual ones ----

	async startEyes(named) {
		await this.ask("start_eyes", [], named);
		this.eyes = await this.ask("eyes.url");
	}
	/* After eyes.stop: on the same port. */
	async eyesAgain() {
		await this.ask("eyes.start");
		await this.ask("eyes.allow", [this.key]);
	}
	async startBitbucket(named) {
		await this.ask("start_bitbucket", [], named);
		this.bitbucket = await this.ask("bitbucket.address");
	}
	startDaemon(named) {
		return this.ask("start_daemon", [], named);
	}
	/* Eyes, a Bitbucket with these repositories, and the daemon, knowing nothing yet. */
	async start({ repositories = ["SHOP/web-shop"], bitbucket, eyes, daemon } = {}) {
		await this.startEyes({ args: ["--max-wait", 5], ...eyes });
		await this.startBitbucket({ repositories, ...bitbucket });
		await this.startDaemon(daemon);
	}
	/* The same with account, server and these repositories enabled through the commands. */
	async startEnabled({ enabled, ...more } = {}) {
		await this.start(more);
		await this.ask("set_account");
		await this.ask("add_server");
		await this.ask("enable", enabled || more.repositories || ["SHOP/web-shop"]);
	}
	secret(name) {
		return this.ask("secret", [name]);
	}
	/* Lets Eyes announce an update; returns its id. */
	send(named) {
		return this.ask("send", [], { repository: "SHOP/web-shop", commit: COMMIT, ...named });
	}
}
