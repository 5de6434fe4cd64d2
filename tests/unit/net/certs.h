/*
 * Throw-away certificates for the tests: a CA and server certificates, made in memory with P-256
 * keys.
 */
#ifndef UNIT_NET_CERTS_H
#define UNIT_NET_CERTS_H

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

struct cert {
	X509 *x509;
	EVP_PKEY *key;
};

static inline void cert_extend(X509 *x509, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	if (extension == NULL || X509_add_ext(x509, extension, -1) != 1)
		abort();
	X509_EXTENSION_free(extension);
}

/* names: "DNS:localhost,IP:127.0.0.1"; NULL makes a CA. ca NULL: signed by itself. from, to:
 * seconds from the present. */
static inline struct cert cert_make(
    const char *common_name, const char *names, const struct cert *ca, long from, long to)
{
	static long serial;
	struct cert cert = {X509_new(), EVP_EC_gen("P-256")};
	X509_NAME *name = X509_get_subject_name(cert.x509);

	X509_set_version(cert.x509, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert.x509), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(cert.x509), from);
	X509_gmtime_adj(X509_getm_notAfter(cert.x509), to);
	X509_set_pubkey(cert.x509, cert.key);
	X509_NAME_add_entry_by_txt(
	    name, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1, 0);
	X509_set_issuer_name(cert.x509, ca != NULL ? X509_get_subject_name(ca->x509) : name);
	cert_extend(cert.x509, ca != NULL ? ca->x509 : cert.x509, NID_basic_constraints,
	    names == NULL ? "critical,CA:TRUE" : "CA:FALSE");
	if (names != NULL)
		cert_extend(cert.x509, cert.x509, NID_subject_alt_name, names);
	if (X509_sign(cert.x509, ca != NULL ? ca->key : cert.key, EVP_sha256()) == 0)
		abort();
	return cert;
}

static inline void cert_free(struct cert *cert)
{
	X509_free(cert->x509);
	EVP_PKEY_free(cert->key);
}

/* PEM text, to be freed. */
static inline char *cert_pem(const struct cert *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text;

	if (PEM_write_bio_X509(bio, cert->x509) != 1)
		abort();
	long length = BIO_get_mem_data(bio, &data);
	text = malloc((size_t)length + 1);
	memcpy(text, data, (size_t)length);
	text[length] = '\0';
	BIO_free(bio);
	return text;
}

static inline SSL_CTX *cert_server(const struct cert *cert)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	if (SSL_CTX_use_certificate(context, cert->x509) != 1 ||
	    SSL_CTX_use_PrivateKey(context, cert->key) != 1)
		abort();
	SSL_CTX_set_session_id_context(context, (const unsigned char *)"t", 1);
	return context;
}

#endif
