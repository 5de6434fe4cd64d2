// Giving eyes-scm the certificate of a private CA: a file from the browser's machine, or a path on eyes-scm's.
import { h, icon, uid, words } from "./dom.js";
import { date } from "./format.js";
import { facts, field } from "./components.js";

const CA_MAX = 64 * 1024;

/*
 * use({ca} or {ca_path}) is called with what was given; answer: the verdict that tells what came of it. certificate: what the
 * server showed, when the API tells.
 */
export function caPanel({ use, answer, path = "", onpath, certificate, title = words("ca_title") }) {
	const id = uid("ca");
	const file = h("input.vh", { type: "file", id, accept: ".pem,.crt,.cer,application/x-pem-file", onchange: read });
	const apply = h("button.btn.quiet.small", { type: "button", onclick: usePath }, "Use");
	const at = field({
		label: words("ca_path"),
		bare: true,
		placeholder: "/etc/ssl/corp-ca.pem",
		mono: true,
		value: path,
		action: apply,
		answer,
	});
	at.input.addEventListener("input", () => onpath?.(at.input.value.trim()));
	at.input.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), usePath()));

	function refuse(title, todo) {
		answer.show({ kind: "bad", title, todo });
	}
	async function read() {
		const chosen = file.files[0];
		if (!chosen) return;
		file.value = "";
		if (chosen.size > CA_MAX)
			return refuse("That file is too large", words("ca_size"));
		// Nothing else: a key that stands in the same file stays where it is.
		const found = (await chosen.text()).match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g);
		if (!found) return refuse(words("pem_none"), words("pem"));
		use({ ca: found.join("\n") + "\n" });
	}
	function usePath() {
		if (!at.input.value.trim()) return at.input.focus();
		use({ ca_path: at.input.value.trim() });
	}
	return h(
		"div.ca",
		h("h2.h3", title),
		h("p.help", words("ca_help")),
		h("div.row", file, h("label.btn", { for: id }, icon("file"), "Choose a file…"), h("span.ink2", "or its path"), at.box),
		certificate &&
			h(
				"details",
				{ open: true },
				h("summary", "What the server showed"),
				facts([
					["Issued to", certificate.subject],
					["Issued by", certificate.issuer],
					["Valid", certificate.from && date(certificate.from) + " to " + date(certificate.expires)],
					["SHA-256", certificate.sha256 && h("code", certificate.sha256)],
				]),
			),
	);
}
