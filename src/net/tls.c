/*
 * One X509_STORE holds the system's certificates; every plain trust shares it. A trust with a CA of
 * its own has a small store that points to the same certificates and to its own. tls_system_load
 * reads a new store in the worker and raises the generation; each trust takes it over, and forgets
 * its sessions, when its next connection begins.
 */
#include "net/tls.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/tls_fault.h"
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#define TLS_SESSIONS 64 /* remembered by one trust */
#define TLS12_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

struct session {
	char name[272]; /* "host:port" */
	SSL_SESSION *session;
	uint64_t used; /* the trust's tick: the smallest goes first */
};

struct tls_trust {
	unsigned references, id;
	unsigned generation; /* of the system store that context uses */
	SSL_CTX *context;
	STACK_OF(X509) * own; /* NULL: the system's only */
	struct session *sessions;
	unsigned session_count, session_room;
	uint64_t tick;
};

/* What is tied to one SSL; freed with it. */
struct peer {
	struct tls_trust *trust; /* referenced */
	char name[272];
	struct tls_fault fault;
};

struct load {
	char *file; /* NULL: the system's default */
	X509_STORE *store;
	int certificates;
	struct err err;
	loop_fn *done;
	void *arg;
	struct load *next; /* in tls_state.loads */
};

/* The system's certificates, the same for the whole process. */
static struct {
	X509_STORE *store; /* NULL until the first load is over */
	unsigned generation;
	unsigned loading;
	struct load *loads; /* under way: a worker that ends drops those it has not begun */
	struct err err;
	TAILQ_HEAD(, tls_waiter) waiters;
	bool waiters_ready;
	int peer_index; /* of SSL ex_data; 0: not made (OpenSSL keeps 0 for the application) */
	unsigned last_id;
} tls_state;

/* Loading: in the worker, then in the loop */
static void load_run(void *arg);
static void load_done(void *arg);
/* A trust's context */
static bool context_make(struct tls_trust *trust, struct err *err);
static bool context_follow(struct tls_trust *trust);
/* Sessions */
static int session_new(SSL *ssl, SSL_SESSION *session);
static struct session *session_find(struct tls_trust *trust, const char *name);
static void session_keep(struct tls_trust *trust, const char *name, SSL_SESSION *session);
static void sessions_forget(struct tls_trust *trust);
/* Peers */
static int peer_index(void);
static void peer_free(
    void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long argl, void *argp);

static const char *system_file(void)
{
	static const char *const usual[] = {"/etc/ssl/certs/ca-certificates.crt",
	    "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};

	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
		if (access(usual[i], R_OK) == 0)
			return usual[i];
	}
	return X509_get_default_cert_file();
}

static void load_run(void *arg)
{
	struct load *load = arg;
	const char *file = load->file != NULL ? load->file : system_file();
	X509_LOOKUP *lookup;

	ERR_clear_error();
	load->store = X509_STORE_new();
	if (load->store == NULL)
		fatal("out of memory");
	lookup = X509_STORE_add_lookup(load->store, X509_LOOKUP_file());
	if (lookup == NULL || X509_load_cert_crl_file(lookup, file, X509_FILETYPE_PEM) <= 0) {
		err_set(&load->err, "ca_invalid", "no CA certificates in %s: %s", file,
		    access(file, R_OK) != 0 ? strerror(errno) : "it holds no PEM certificate");
		err_hop(&load->err, "TLS");
		err_field(&load->err, "SSL_CERT_FILE");
		err_hint(&load->err,
		    "install the package ca-certificates, or name a PEM bundle with SSL_CERT_FILE");
	}
	ERR_clear_error();
}

static void load_done(void *arg)
{
	struct load *load = arg;
	struct tls_waiter *waiter;

	for (struct load **at = &tls_state.loads; *at != NULL; at = &(*at)->next)
		if (*at == load) {
			*at = load->next;
			break;
		}
	tls_state.loading--;
	tls_state.err = load->err;
	if (load->err.code == NULL || tls_state.store == NULL) {
		X509_STORE_free(tls_state.store);
		tls_state.store = load->store;
		tls_state.generation++;
	} else {
		X509_STORE_free(load->store); /* a failed reload keeps what was there */
	}
	if (load->err.code != NULL)
		log_error("tls", "the CA certificates did not load", log_err(&load->err));
	while (tls_state.waiters_ready && (waiter = TAILQ_FIRST(&tls_state.waiters)) != NULL) {
		tls_system_unwait(waiter);
		waiter->fn(waiter->arg);
	}
	if (load->done != NULL)
		load->done(load->arg);
	free(load->file);
	free(load);
}

void tls_system_load(struct worker *worker, const char *ca_file, loop_fn *done, void *arg)
{
	struct load *load = mem_zero(sizeof *load);

	load->file = mem_string(ca_file != NULL && *ca_file != '\0' ? ca_file : NULL);
	load->done = done;
	load->arg = arg;
	load->next = tls_state.loads;
	tls_state.loads = load;
	tls_state.loading++;
	if (!worker_add(worker, load_run, load_done, load)) {
		load_run(load);
		load_done(load);
	}
}

bool tls_system_ready(void)
{
	return tls_state.store != NULL;
}

const struct err *tls_system_error(void)
{
	return &tls_state.err;
}

bool tls_system_wait(struct tls_waiter *waiter, loop_fn *fn, void *arg)
{
	if (tls_state.store != NULL || tls_state.loading == 0)
		return false;
	if (!tls_state.waiters_ready) {
		TAILQ_INIT(&tls_state.waiters);
		tls_state.waiters_ready = true;
	}
	waiter->fn = fn;
	waiter->arg = arg;
	waiter->waits = true;
	TAILQ_INSERT_TAIL(&tls_state.waiters, waiter, link);
	return true;
}

void tls_system_unwait(struct tls_waiter *waiter)
{
	if (!waiter->waits)
		return;
	TAILQ_REMOVE(&tls_state.waiters, waiter, link);
	waiter->waits = false;
}

/* Reads every certificate of the text; false when there is none or one is broken. */
static bool own_read(struct tls_trust *trust, const char *pem, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *certificate;
	unsigned long error;

	trust->own = sk_X509_new_null();
	if (bio == NULL || trust->own == NULL)
		fatal("out of memory");
	ERR_clear_error();
	while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		sk_X509_push(trust->own, certificate);
	error = ERR_peek_last_error();
	ERR_clear_error();
	BIO_free(bio);
	if (sk_X509_num(trust->own) > 0 && ERR_GET_REASON(error) == PEM_R_NO_START_LINE)
		return true;
	err_set(err, "ca_invalid",
	    sk_X509_num(trust->own) > 0 ? "certificate %d of the CA is broken: %s"
	                                : "certificate %d of the CA is not readable: %s",
	    sk_X509_num(trust->own) + 1,
	    ERR_GET_REASON(error) == PEM_R_NO_START_LINE
	        ? "it has no line -----BEGIN CERTIFICATE-----"
	        : ERR_reason_error_string(error));
	err_hop(err, "TLS");
	err_hint(err, "paste the CA's certificate in PEM form, with its BEGIN and END lines");
	return false;
}

struct tls_trust *tls_trust_new(const char *ca_pem, struct err *err)
{
	struct tls_trust *trust = mem_zero(sizeof *trust);

	trust->references = 1;
	trust->id = ++tls_state.last_id;
	if ((ca_pem != NULL && !own_read(trust, ca_pem, err)) || !context_make(trust, err)) {
		tls_trust_unref(trust);
		return NULL;
	}
	return trust;
}

struct tls_trust *tls_trust_ref(struct tls_trust *trust)
{
	trust->references++;
	return trust;
}

void tls_trust_unref(struct tls_trust *trust)
{
	if (trust == NULL || --trust->references > 0)
		return;
	sessions_forget(trust);
	free(trust->sessions);
	SSL_CTX_free(trust->context);
	sk_X509_pop_free(trust->own, X509_free);
	free(trust);
}

unsigned tls_trust_id(const struct tls_trust *trust)
{
	return trust->id;
}

static bool context_make(struct tls_trust *trust, struct err *err)
{
	static const unsigned char protocols[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
	SSL_CTX *context = trust->context = SSL_CTX_new(TLS_client_method());

	if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(context, TLS12_CIPHERS) != 1 ||
	    SSL_CTX_set_alpn_protos(context, protocols, sizeof protocols) != 0 ||
	    !context_follow(trust)) {
		err_set(err, "tls_failed", "no TLS context: %s",
		    ERR_reason_error_string(ERR_peek_last_error()));
		err_hop(err, "TLS");
		ERR_clear_error();
		return false;
	}
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, tls_fault_verify);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, session_new);
	if (trust->own != NULL) {
		/* whoever pastes an intermediate or the server's own certificate means that one */
		X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
	}
	return true;
}

/* A store with our own certificates and, by reference, the system's. */
static X509_STORE *store_combine(const struct tls_trust *trust)
{
	X509_STORE *store = X509_STORE_new();
	STACK_OF(X509_OBJECT) *objects =
	    tls_state.store != NULL ? X509_STORE_get0_objects(tls_state.store) : NULL;
	bool ok = store != NULL;

	for (int i = 0; ok && i < sk_X509_num(trust->own); i++)
		ok = X509_STORE_add_cert(store, sk_X509_value(trust->own, i)) == 1;
	for (int i = 0; ok && i < sk_X509_OBJECT_num(objects); i++) {
		X509 *certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));

		if (certificate != NULL)
			ok = X509_STORE_add_cert(store, certificate) == 1;
	}
	if (!ok)
		fatal("out of memory");
	return store;
}

/* Brings the context to the present system store. */
static bool context_follow(struct tls_trust *trust)
{
	X509_STORE *store;

	if (trust->own != NULL) {
		store = store_combine(trust);
		SSL_CTX_set_cert_store(trust->context, store); /* takes it */
	} else if (tls_state.store != NULL) {
		SSL_CTX_set1_cert_store(trust->context, tls_state.store);
	}
	sessions_forget(trust);
	trust->generation = tls_state.generation;
	return true;
}

static int session_new(SSL *ssl, SSL_SESSION *session)
{
	struct peer *peer = SSL_get_ex_data(ssl, peer_index());

	if (peer != NULL && SSL_SESSION_is_resumable(session) &&
	    peer->trust->generation == tls_state.generation)
		session_keep(peer->trust, peer->name, session);
	return 0; /* we took no reference */
}

static struct session *session_find(struct tls_trust *trust, const char *name)
{
	for (unsigned i = 0; i < trust->session_count; i++) {
		if (strcmp(trust->sessions[i].name, name) == 0)
			return &trust->sessions[i];
	}
	return NULL;
}

/* Keeps a copy: OpenSSL marks a session that its connection ended badly as not resumable, and
 * servers often end so. */
static void session_keep(struct tls_trust *trust, const char *name, SSL_SESSION *session)
{
	struct session *slot = session_find(trust, name);
	SSL_SESSION *copy = SSL_SESSION_dup(session);

	if (copy == NULL)
		return;
	if (slot == NULL && trust->session_count < TLS_SESSIONS) {
		if (trust->session_count == trust->session_room) {
			trust->session_room =
			    trust->session_room == 0 ? 4 : trust->session_room * 2;
			trust->sessions =
			    mem_grow(trust->sessions, trust->session_room, sizeof *trust->sessions);
		}
		slot = &trust->sessions[trust->session_count++];
		memset(slot, 0, sizeof *slot);
	} else if (slot == NULL) {
		slot = &trust->sessions[0];
		for (unsigned i = 1; i < TLS_SESSIONS; i++) {
			if (trust->sessions[i].used < slot->used)
				slot = &trust->sessions[i];
		}
	}
	snprintf(slot->name, sizeof slot->name, "%s", name);
	SSL_SESSION_free(slot->session);
	slot->session = copy;
	slot->used = ++trust->tick;
}

static void sessions_forget(struct tls_trust *trust)
{
	for (unsigned i = 0; i < trust->session_count; i++) {
		SSL_SESSION_free(trust->sessions[i].session);
		trust->sessions[i].session = NULL;
	}
	trust->session_count = 0;
}

static int peer_index(void)
{
	if (tls_state.peer_index == 0) {
		tls_state.peer_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, peer_free);
		if (tls_state.peer_index == 0) /* 0 is a right index too: take the next */
			tls_state.peer_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, peer_free);
		if (tls_state.peer_index < 0)
			fatal("out of memory");
	}
	return tls_state.peer_index;
}

static void peer_free(
    void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
	struct peer *peer = ptr;

	(void)parent, (void)data, (void)index, (void)argl, (void)argp;
	if (peer == NULL)
		return;
	tls_trust_unref(peer->trust);
	free(peer);
}

struct tls_fault *tls_fault_of(const SSL *ssl)
{
	struct peer *peer = SSL_get_ex_data(ssl, peer_index());

	return peer != NULL ? &peer->fault : NULL;
}

/* The name to ask for and to check: DNS names go into SNI, addresses do not. */
static bool set_name(SSL *ssl, const char *host)
{
	unsigned char address[16];

	if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

SSL *tls_client_new(struct tls_trust *trust, const char *host, uint16_t port, struct err *err)
{
	struct peer *peer;
	struct session *known;
	SSL_SESSION *copy;
	SSL *ssl;

	ERR_clear_error();
	if (trust->generation != tls_state.generation)
		context_follow(trust);
	ssl = SSL_new(trust->context);
	peer = mem_zero(sizeof *peer);
	if (ssl == NULL || SSL_set_ex_data(ssl, peer_index(), peer) != 1 || !set_name(ssl, host)) {
		err_set(err, "tls_failed", "no TLS session for %s: %s", host,
		    ERR_reason_error_string(ERR_peek_last_error()));
		err_hop(err, "TLS");
		ERR_clear_error();
		if (ssl == NULL || SSL_get_ex_data(ssl, peer_index()) != peer)
			free(peer);
		SSL_free(ssl);
		return NULL;
	}
	peer->trust = tls_trust_ref(trust);
	snprintf(peer->name, sizeof peer->name, "%s:%u", host, port);
	known = session_find(trust, peer->name);
	copy = known != NULL ? SSL_SESSION_dup(known->session) : NULL;
	if (copy != NULL) {
		known->used = ++trust->tick;
		SSL_set_session(ssl, copy);
		SSL_SESSION_free(copy);
	}
	return ssl;
}
