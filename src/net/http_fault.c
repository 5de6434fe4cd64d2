#include "net/http_fault.h"
#include <errno.h>
#include <string.h>

#define SECONDS(ms) ((ms) / 1000.0)

void http_fault_malformed(
    struct err *err, const char *peer, const struct http_parser *parser, const char *why)
{
	if (parser->error_status == 413) {
		err_set(err, "http_too_large", "the answer of %s is larger than %llu bytes", peer,
		    (unsigned long long)parser->limits.body);
		err_hint(err, "check that the URL leads to the API and not to a download");
	} else if (parser->error_status == 431) {
		err_set(err, "http_too_large",
		    "the header of %s's answer is larger than %zu bytes or %u lines", peer,
		    parser->limits.head, parser->limits.fields);
		err_hint(err, "check what stands between this machine and the server");
	} else {
		err_set(err, "http_malformed", "the answer of %s is not proper HTTP/1.1: %s", peer,
		    why);
		err_hint(err,
		    "check scheme and port, and what stands between this machine and the server");
	}
	err_hop(err, "HTTP");
}

void http_fault_cut(struct err *err, const char *peer, bool begun, int error, uint64_t body_bytes)
{
	const char *how = error == ECONNRESET || error == EPIPE ? "reset" : "closed";

	if (!begun)
		err_set(err, "http_cut", "%s %s the connection without an answer", peer, how);
	else
		err_set(err, "http_cut",
		    "%s %s the connection in the middle of its answer, after %llu bytes of body",
		    peer, how, (unsigned long long)body_bytes);
	err_hop(err, "HTTP");
	err_hint(err, "look into the server's log, or that of a proxy before it");
}

void http_fault_proxy_auth(struct err *err, const char *proxy)
{
	err_set(err, "proxy_auth", "the proxy %s wants a user and password (HTTP 407)", proxy);
	err_hop(err, "Proxy");
	err_hint(err, "write them into the proxy's URL: http://user:password@host:port");
}

void http_fault_total(
    struct err *err, const char *authority, const char *doing, const char *peer, uint32_t ms)
{
	err_set(err, "deadline", "the request to %s did not finish within %g s: it was %s%s%s",
	    authority, SECONDS(ms), doing, peer[0] != '\0' ? ", " : "", peer);
}

void http_fault_late(
    struct err *err, const char *hop, const char *who, const struct http_deadlines *limits)
{
	if (strcmp(hop, "DNS") == 0) {
		err_set(err, "dns_failed", "the name of %s was not resolved within %g s", who,
		    SECONDS(limits->dns));
		err_hint(err, "check the name servers in /etc/resolv.conf");
	} else if (strcmp(hop, "TLS") == 0 && who == NULL) {
		err_set(err, "tls_failed", "the CA certificates were not loaded within %g s",
		    SECONDS(limits->tls));
		err_hint(err, "check the disk that holds the system's CA certificates");
	} else if (strcmp(hop, "TLS") == 0) {
		err_set(err, "tls_failed", "%s did not finish the TLS handshake within %g s", who,
		    SECONDS(limits->tls));
		err_hint(err, "check that this port speaks TLS, and that no firewall holds it up");
	} else {
		err_set(err, "http_timeout", "%s did not begin to answer within %g s", who,
		    SECONDS(limits->first_byte));
		err_hint(err, "the server is overloaded or hangs: look there");
	}
	err_hop(err, "%s", hop);
}
