#include "sim/sim_ca.h"

#include "base/buf.h"
#include "base/crypto.h"
#include "base/mem.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY (24 * 3600L)

struct pair {
	X509 *certificate;
	EVP_PKEY *key;
};

static void pair_free(struct pair *pair)
{
	X509_free(pair->certificate);
	EVP_PKEY_free(pair->key);
	*pair = (struct pair){0};
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	if (!extension || !X509_add_ext(certificate, extension, -1))
		fatal("cannot add the certificate extension %s", value);
	X509_EXTENSION_free(extension);
}

/* Everything that a certificate of ours and the authority's own have in common; not signed yet. */
static struct pair pair_new(const char *name, long from, long until)
{
	struct pair pair = {.certificate = X509_new(), .key = EVP_EC_gen("P-256")};
	if (!pair.certificate || !pair.key)
		fatal("OpenSSL cannot make a key");
	uint64_t serial;
	crypto_random(&serial, sizeof(serial));
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(pair.certificate), serial >> 1);
	X509_set_version(pair.certificate, X509_VERSION_3);
	X509_gmtime_adj(X509_getm_notBefore(pair.certificate), from);
	X509_gmtime_adj(X509_getm_notAfter(pair.certificate), until);
	X509_set_pubkey(pair.certificate, pair.key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(pair.certificate), "CN", MBSTRING_UTF8,
	    (const unsigned char *)name, -1, -1, 0);
	return pair;
}

static void sign(struct pair *pair, const struct pair *issuer)
{
	X509_set_issuer_name(pair->certificate, X509_get_subject_name(issuer->certificate));
	add_extension(pair->certificate, issuer->certificate, NID_subject_key_identifier, "hash");
	add_extension(
	    pair->certificate, issuer->certificate, NID_authority_key_identifier, "keyid:always");
	if (!X509_sign(pair->certificate, issuer->key, EVP_sha256()))
		fatal("OpenSSL cannot sign a certificate");
}

static struct pair issue_ca(void)
{
	struct pair ca = pair_new("Simulators' throw-away CA", -DAY, 365 * DAY);
	add_extension(ca.certificate, ca.certificate, NID_basic_constraints, "critical,CA:TRUE");
	add_extension(
	    ca.certificate, ca.certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
	sign(&ca, &ca);
	return ca;
}

static void put_san(struct buf *out, const char *name)
{
	unsigned char address[16];
	bool numeric =
	    inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
	buf_printf(out, "%s%s:%s", out->length ? "," : "", numeric ? "IP" : "DNS", name);
}

static struct pair issue_server(const struct pair *ca, const struct sim_ca_options *options)
{
	const char *name = options->name ? options->name : "localhost";
	long from = options->expired ? -30 * DAY : -DAY;
	struct pair pair = pair_new(name, from, options->expired ? -DAY : 90 * DAY);
	struct buf sans;
	buf_init(&sans, 8192);
	put_san(&sans, name);
	if (!options->name) {
		put_san(&sans, "127.0.0.1");
		put_san(&sans, "::1");
		for (unsigned i = 0; i < options->san_count; i++)
			put_san(&sans, options->sans[i]);
	}
	add_extension(
	    pair.certificate, ca->certificate, NID_basic_constraints, "critical,CA:FALSE");
	add_extension(pair.certificate, ca->certificate, NID_ext_key_usage, "serverAuth");
	add_extension(pair.certificate, ca->certificate, NID_subject_alt_name, sans.data);
	buf_free(&sans);
	sign(&pair, ca);
	return pair;
}

/* Writes folder/name by way of a temporary file, so that nobody ever reads half of it. */
static FILE *file_begin(const char *folder, const char *name, char **temporary)
{
	*temporary = mem_printf("%s/.%s.%d", folder, name, (int)getpid());
	int fd = open(*temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file && fd >= 0)
		close(fd);
	return file;
}

static bool file_end(FILE *file, const char *folder, const char *name, char *temporary, int mode)
{
	char *path = mem_printf("%s/%s", folder, name);
	bool good = fchmod(fileno(file), (mode_t)mode) == 0;
	good = fclose(file) == 0 && good && rename(temporary, path) == 0;
	free(path);
	return good;
}

static bool save(const struct pair *pair, const char *folder, const char *stem, struct err *err)
{
	for (int part = 0; part < 2; part++) {
		char *name = mem_printf("%s.%s", stem, part ? "pem" : "key");
		char *temporary;
		FILE *file = file_begin(folder, name, &temporary);
		bool good = file != NULL;
		if (good && part)
			good = PEM_write_X509(file, pair->certificate) == 1;
		else if (good)
			good =
			    PEM_write_PrivateKey(file, pair->key, NULL, NULL, 0, NULL, NULL) == 1;
		if (file)
			good = file_end(file, folder, name, temporary, part ? 0644 : 0600) && good;
		if (!good)
			err_set(err, "tls_dir", "cannot write %s/%s: %s", folder, name,
			    strerror(errno));
		free(name);
		free(temporary);
		if (!good)
			return false;
	}
	return true;
}

static bool load(struct pair *pair, const char *folder, const char *stem)
{
	*pair = (struct pair){0};
	char *path = mem_printf("%s/%s.pem", folder, stem);
	FILE *file = fopen(path, "re");
	if (file) {
		pair->certificate = PEM_read_X509(file, NULL, NULL, NULL);
		fclose(file);
	}
	free(path);
	path = mem_printf("%s/%s.key", folder, stem);
	file = fopen(path, "re");
	if (file) {
		pair->key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
		fclose(file);
	}
	free(path);
	bool good = pair->certificate && pair->key &&
	            X509_cmp_current_time(X509_get0_notAfter(pair->certificate)) > 0 &&
	            X509_check_private_key(pair->certificate, pair->key) == 1;
	if (!good) {
		pair_free(pair);
		ERR_clear_error();
	}
	return good;
}

/* Called with the folder's lock held. */
static bool prepare(
    const struct sim_ca_options *options, struct pair *ca, struct pair *server, struct err *err)
{
	bool own = options->expired || options->name || options->san_count;
	bool had_ca = load(ca, options->folder, "ca");
	if (!had_ca) {
		*ca = issue_ca();
		if (!save(ca, options->folder, "ca", err))
			return false;
	}
	if (own) {
		*server = issue_server(ca, options);
		return true;
	}
	if (had_ca && load(server, options->folder, "server") &&
	    X509_verify(server->certificate, ca->key) == 1)
		return true;
	pair_free(server);
	*server = issue_server(ca, options);
	return save(server, options->folder, "server", err);
}

static SSL_CTX *context_new(const struct pair *server, const struct pair *ca, bool tls12)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	if (!context)
		fatal("SSL_CTX_new failed");
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	if (tls12)
		SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
	X509_up_ref(ca->certificate);
	if (SSL_CTX_use_certificate(context, server->certificate) != 1 ||
	    SSL_CTX_use_PrivateKey(context, server->key) != 1 ||
	    SSL_CTX_add_extra_chain_cert(context, ca->certificate) != 1)
		fatal("OpenSSL does not take the certificate that was just made");
	SSL_CTX_set_session_id_context(context, (const unsigned char *)"sim", 3);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER);
	SSL_CTX_set_mode(
	    context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(context, 1); /* one read() a request instead of two */
	return context;
}

SSL_CTX *sim_ca_context(const struct sim_ca_options *options, struct err *err)
{
	if (mkdir(options->folder, 0755) != 0 && errno != EEXIST) {
		err_set(err, "tls_dir", "cannot make %s: %s", options->folder, strerror(errno));
		return NULL;
	}
	char *path = mem_printf("%s/.lock", options->folder);
	int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	free(path);
	if (lock < 0 || flock(lock, LOCK_EX) != 0) {
		err_set(err, "tls_dir", "cannot lock %s: %s", options->folder, strerror(errno));
		if (lock >= 0)
			close(lock);
		return NULL;
	}
	struct pair ca = {0};
	struct pair server = {0};
	SSL_CTX *context = NULL;
	if (prepare(options, &ca, &server, err))
		context = context_new(&server, &ca, options->tls12);
	close(lock);
	pair_free(&ca);
	pair_free(&server);
	return context;
}
