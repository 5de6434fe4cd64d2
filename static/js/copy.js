// The words for errors. The daemon says what happened (message), where (hop) and what to do (hint); here they are laid out.
import { capital, date, sentence } from "./format.js";

/* What is in parentheses or behind a colon helps to search for it, and is not for the title. */
export function explain(error) {
	const said = sentence(error.message).replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, date) || "It did not work",
		[, title, words = "", rest = ""] = /^(.*?)(?: \((.*)\)|: (.*))?$/s.exec(said);
	return {
		code: error.code,
		title,
		trace: error.trace,
		certificate: error.certificate,
		where: error.hop && words + rest ? error.hop + " (" + words + rest + ")" : error.hop || sentence(words + rest),
		todo: capital(error.hint),
	};
}
export const inOne = (error) => {
	const { title, where, todo } = explain(error);
	return [title, where, todo].filter(Boolean).join(". ").replace(/\.\./g, ".");
};

/* A short reason for a chip or a row. */
const SHORT = {
	token_refused: "Token refused",
	token_rights: "Rights missing",
	repo_unknown: "Not visible",
	repo_archived: "Archived",
	repo_renamed: "Renamed",
	repo_gone: "Gone",
	key_unknown: "Key refused",
};
export const short = (error) => SHORT[error?.code] || "Broken";
