// The repositories of one server as the daemon lists them: it reads in the background, the page asks for what it shows.
import { get, post, query } from "./api.js";

/* reset(token) begins anew; page() begins by itself and once more when the daemon has forgotten the listing. */
export function listing(server, signal) {
	let id = null,
		token = "";

	async function begin() {
		id = (await post("listings", { server, token: token || undefined }, { signal })).listing;
	}
	async function page(wanted) {
		for (let tries = 0; ; tries++) {
			if (id === null) await begin();
			const asked = id;
			try {
				return await get("listings/" + asked + query({ offset: 0, limit: 100, ...wanted }), { signal });
			} catch (error) {
				if (error.status !== 404 || tries > 0) throw error;
				if (id === asked) id = null;
			}
		}
	}
	return {
		page,
		reset(newToken) {
			token = newToken || "";
			id = null;
		},
	};
}
