// The words for errors. The daemon says what happened (message), where (hop) and what to do (hint); here they are laid out.
import { aborted, ApiError } from "./api.js";
import { words } from "./dom.js";
import { capital, date, sentence } from "./format.js";

/* What is in parentheses or behind a colon helps to search for it, and is not for the title. */
export function explain(error) {
	if (error instanceof Error && !(error instanceof ApiError) && !aborted(error)) console.error(error); // a fault of the page
	const said = sentence(error.message).replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, date) || "It did not work",
		[, title, inside = "", rest = ""] = /^(.*?)(?: \((.*)\)|: (.*))?$/s.exec(said);
	return {
		code: error.code,
		title,
		trace: error.trace,
		certificate: error.certificate,
		where: error.hop && inside + rest ? error.hop + " (" + inside + rest + ")" : error.hop || sentence(inside + rest),
		todo: capital(error.hint),
	};
}
export const inOne = (error) => {
	const { title, where, todo } = explain(error);
	return [title, where, todo].filter(Boolean).join(". ").replace(/\.\./g, ".");
};

/* A short reason for a chip or a row. */
export const short = (error) => words("is_" + error?.code) || "Broken";
