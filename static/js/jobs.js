// Long changes: the daemon answers at once and reports progress.
import { get } from "./api.js";
import { on } from "./state.js";

/* Follows a job to its end; calls fn(job) at each look. */
export async function follow(id, fn, signal) {
	let wake = () => {};
	on("event:job", () => wake(), signal);
	for (;;) {
		const job = await get("jobs/" + id, { signal });
		fn(job);
		if (job.state === "done") return job;
		await new Promise((resolve) => {
			const timer = setTimeout(resolve, 700);
			wake = () => {
				clearTimeout(timer);
				setTimeout(resolve, 100);
			};
		});
	}
}
