/*
 * tls_fault: what was wrong with a certificate, noted while OpenSSL verifies it (afterwards the
 * peer's certificate is gone) and put into words by tls_describe_failure (tls.h).
 */
#ifndef NET_TLS_FAULT_H
#define NET_TLS_FAULT_H

#include "net/tls.h"

struct tls_fault {
	int error; /* X509_V_ERR_...; 0: no fault of the certificate */
	int depth; /* 0: the server's own certificate */
	char names[256];
	char issuer[128];
	char subject[128];
	char not_before[40], not_after[40]; /* RFC 3339 */
	struct tls_certificate shown;       /* the server's own, also when nothing is wrong */
};

/* An SSL_verify_cb: notes the first fault into the session's tls_fault and lets the handshake fail.
 */
int tls_fault_verify(int ok, X509_STORE_CTX *store);
/* The note of a session made by tls_client_new, else NULL. */
struct tls_fault *tls_fault_of(const SSL *ssl);

#endif
