/*
 * tls: whom we trust, and TLS sessions made with that trust.
 *
 * A `struct tls_trust` is an SSL_CTX for outbound connections: TLS 1.2 (ECDHE with AEAD ciphers
 * only) and 1.3, peer verification always on, the system's CA bundle (or SSL_CERT_FILE) or, for a
 * server with a CA of its own, that CA alone beside the system's. It is reference-counted and
 * remembers TLS sessions by host and port, bounded, for resumption. There is no way to skip
 * verification.
 *
 * Loading the system bundle takes 20 ms: tls_system_load does it in a worker; connections made
 * before it is there wait for it.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/err.h"
#include "base/loop.h"
#include <openssl/ssl.h>
#include <sys/queue.h>

struct tls_trust;

/* ca_pem: PEM text of one or more certificates trusted beside the system's, or NULL. err code
 * "ca_invalid". */
struct tls_trust *tls_trust_new(const char *ca_pem, struct err *err);
struct tls_trust *tls_trust_ref(struct tls_trust *trust);
void tls_trust_unref(struct tls_trust *trust); /* NULL is fine */
unsigned tls_trust_id(
    const struct tls_trust *trust); /* differs for every trust: part of the pool's key */

/* ca_file: SSL_CERT_FILE or NULL for the system's default. Reads in `worker`; `done` may be NULL.
 * Called again at SIGHUP. */
void tls_system_load(struct worker *worker, const char *ca_file, loop_fn *done, void *arg);
bool tls_system_ready(void);
/* The failure of the last load (no such file, no certificate in it), code NULL when it went well.
 */
const struct err *tls_system_error(void);

/*
 * Calls fn once when the load under way is over. False, without a call, when there is nothing to
 * wait for (loaded, or never asked for). The waiter is the caller's and must stay until then or
 * tls_system_unwait.
 */
struct tls_waiter {
	TAILQ_ENTRY(tls_waiter) link; /* private */
	loop_fn *fn;
	void *arg;
	bool waits;
};
bool tls_system_wait(struct tls_waiter *waiter, loop_fn *fn, void *arg);
void tls_system_unwait(
    struct tls_waiter *waiter); /* also right for one that does not wait, or is all zero */

/* A client session for host: SNI, name or address check, a remembered session when there is one.
 * NULL with err. */
SSL *tls_client_new(struct tls_trust *trust, const char *host, uint16_t port, struct err *err);
/*
 * The words for a failed handshake: codes tls_untrusted, tls_name, tls_expired, tls_failed; message
 * such as "the certificate of bitbucket.example.com is not trusted: unable to get local issuer
 * certificate", hint with the issuer. openssl_error is what bufferevent_get_openssl_error gave,
 * taken before the bufferevent is freed.
 */
void tls_describe_failure(SSL *ssl, const char *host, unsigned long openssl_error, struct err *err);
/* Whether the error of a connection that was open is TLS's own (an alert, say), not just an end
 * without close_notify. */
bool tls_is_refusal(unsigned long openssl_error);
/*
 * What the server showed of itself, trusted or not, for people. The texts are plain ASCII ('?' for
 * all else), cut, and the server's own words: nothing is proven by them unless it is trusted.
 */
struct tls_certificate {
	char sha256[65];             /* hex, of the whole certificate; "" = there is none */
	char subject[128];           /* common name, else organization, else the names it is for */
	char issuer[128];            /* common name, else organization */
	int64_t from_ms, expires_ms; /* wall; 0 = not readable */
};
/* All zero while none has come; ssl may be NULL. */
void tls_certificate(SSL *ssl, struct tls_certificate *out);
/* "TLSv1.3, TLS_AES_256_GCM_SHA384, resumed" for the trace. */
void tls_describe(SSL *ssl, char *out, size_t size);

#endif
