/*
 * sim_ca: a throw-away certificate authority made at run time, and the TLS context of a simulator.
 *
 * The folder holds ca.pem, ca.key, server.pem and server.key (EC P-256; SAN localhost, 127.0.0.1,
 * ::1). Several simulators may share one and start at the same moment: files are made under a lock
 * and renamed into place. A certificate with other names, or an expired one, is issued in memory
 * and never written.
 */
#ifndef SIM_CA_H
#define SIM_CA_H

#include "base/err.h"
#include <openssl/ssl.h>

#define SIM_SANS 16
struct sim_ca_options {
	const char *folder;
	const char *sans[SIM_SANS]; /* extra names or addresses */
	unsigned san_count;
	bool expired;     /* serve a certificate that ended yesterday */
	const char *name; /* serve a certificate for this name only, or NULL */
	bool tls12;       /* nothing newer */
};

SSL_CTX *sim_ca_context(const struct sim_ca_options *options, struct err *err);

#endif
