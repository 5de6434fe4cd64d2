#include "net/tls_fault.h"
#include "base/clock.h"
#include "base/codec.h"
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Appends ", text"; outside bytes that are not plain ASCII become '?'. False when there is no room.
 */
static bool add_name(char *out, size_t size, const char *text, size_t length)
{
	size_t used = strlen(out);

	if (used + length + 3 > size)
		return false;
	if (used > 0) {
		memcpy(out + used, ", ", 2);
		used += 2;
	}
	for (size_t i = 0; i < length; i++)
		out[used + i] = text[i] > ' ' && text[i] < 127 ? text[i] : '?';
	out[used + length] = '\0';
	return true;
}

static bool add_general_name(char *out, size_t size, const GENERAL_NAME *name)
{
	char text[INET6_ADDRSTRLEN] = "";
	const ASN1_STRING *value;
	int length;

	if (name->type == GEN_DNS) {
		value = name->d.dNSName;
		return add_name(out, size, (const char *)ASN1_STRING_get0_data(value),
		    (size_t)ASN1_STRING_length(value));
	}
	if (name->type != GEN_IPADD)
		return true;
	value = name->d.iPAddress;
	length = ASN1_STRING_length(value);
	if (length != 4 && length != 16)
		return true;
	inet_ntop(
	    length == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), text, sizeof text);
	return add_name(out, size, text, strlen(text));
}

static void common_name(X509_NAME *name, char *out, size_t size)
{
	char text[100];
	int length = X509_NAME_get_text_by_NID(name, NID_commonName, text, sizeof text);

	if (length <= 0)
		length = X509_NAME_get_text_by_NID(name, NID_organizationName, text, sizeof text);
	if (length <= 0)
		return;
	for (int i = 0; i < length; i++) {
		if (text[i] < ' ' || text[i] >= 127)
			text[i] = '?';
	}
	snprintf(out, size, "%s", text);
}

static void note_names(struct tls_fault *fault, X509 *certificate)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	bool all = true;

	for (int i = 0; all && i < sk_GENERAL_NAME_num(names); i++)
		all = add_general_name(
		    fault->names, sizeof fault->names - 4, sk_GENERAL_NAME_value(names, i));
	if (!all)
		strcat(fault->names, "..."); /* room was kept */
	GENERAL_NAMES_free(names);
	if (fault->names[0] == '\0')
		common_name(X509_get_subject_name(certificate), fault->names, sizeof fault->names);
}

static int64_t time_ms(const ASN1_TIME *time)
{
	struct tm tm;

	return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : 0;
}

static void note_time(const ASN1_TIME *time, char out[CLOCK_TEXT])
{
	int64_t ms = time_ms(time);

	if (ms != 0)
		clock_rfc3339(out, ms, false);
}

static void note_shown(struct tls_certificate *shown, X509 *certificate)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	struct tls_fault names = {0};

	*shown = (struct tls_certificate){0};
	if (X509_digest(certificate, EVP_sha256(), digest, &length) != 1 ||
	    length * 2 >= sizeof shown->sha256)
		return;
	codec_hex_encode(shown->sha256, digest, length);
	common_name(X509_get_subject_name(certificate), shown->subject, sizeof shown->subject);
	common_name(X509_get_issuer_name(certificate), shown->issuer, sizeof shown->issuer);
	shown->from_ms = time_ms(X509_get0_notBefore(certificate));
	shown->expires_ms = time_ms(X509_get0_notAfter(certificate));
	if (shown->subject[0] == '\0') {
		note_names(&names, certificate);
		snprintf(shown->subject, sizeof shown->subject, "%.*s",
		    (int)sizeof shown->subject - 1, names.names);
	}
}

void tls_certificate(SSL *ssl, struct tls_certificate *out)
{
	struct tls_fault *fault = ssl != NULL ? tls_fault_of(ssl) : NULL;
	X509 *certificate;

	*out = (struct tls_certificate){0};
	if (fault == NULL)
		return;
	certificate = fault->shown.sha256[0] == '\0' ? SSL_get0_peer_certificate(ssl) : NULL;
	if (certificate != NULL)
		note_shown(&fault->shown, certificate);
	*out = fault->shown;
}

int tls_fault_verify(int ok, X509_STORE_CTX *store)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_fault *fault = ssl != NULL ? tls_fault_of(ssl) : NULL;
	X509 *certificate = X509_STORE_CTX_get_current_cert(store);

	if (ok || fault == NULL)
		return ok;
	fault->error = X509_STORE_CTX_get_error(store);
	fault->depth = X509_STORE_CTX_get_error_depth(store);
	if (X509_STORE_CTX_get0_cert(store) != NULL)
		note_shown(&fault->shown, X509_STORE_CTX_get0_cert(store));
	if (certificate == NULL)
		return 0;
	note_names(fault, certificate);
	common_name(X509_get_issuer_name(certificate), fault->issuer, sizeof fault->issuer);
	common_name(X509_get_subject_name(certificate), fault->subject, sizeof fault->subject);
	note_time(X509_get0_notBefore(certificate), fault->not_before);
	note_time(X509_get0_notAfter(certificate), fault->not_after);
	return 0;
}

static void describe_date(const struct tls_fault *fault, const char *host, struct err *err)
{
	char whose[160] = "";

	if (fault->depth > 0)
		snprintf(whose, sizeof whose, "'s issuer %s", fault->subject);
	if (fault->error == X509_V_ERR_CERT_NOT_YET_VALID) {
		err_set(err, "tls_expired", "the certificate of %s%s is not valid before %s", host,
		    whose, fault->not_before);
		err_hint(err, "check this machine's clock, then the certificate");
		return;
	}
	err_set(err, "tls_expired", "the certificate of %s%s expired on %s", host, whose,
	    fault->not_after);
	err_hint(err,
	    "renew the certificate on the server; if the date is in the future, check this "
	    "machine's clock");
}

static void describe_trust(const struct tls_fault *fault, const char *host, struct err *err)
{
	const struct err *system = tls_system_error();

	err_set(err, "tls_untrusted", "the certificate of %s is not trusted: %s", host,
	    X509_verify_cert_error_string(fault->error));
	if (!tls_system_ready())
		err_hint(err, "the system's CA certificates are not loaded; give the server's CA");
	else if (system->code != NULL)
		err_hint(err, "the system's CA certificates did not load: %.200s", system->message);
	else if (fault->error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT)
		err_hint(err, "it signed itself: give this certificate as the server's CA");
	else
		err_hint(err, "it was issued by \"%.120s\": give the certificate of that CA (PEM)",
		    fault->issuer[0] != '\0' ? fault->issuer : "an unnamed CA");
}

static void describe_certificate(const struct tls_fault *fault, const char *host, struct err *err)
{
	switch (fault->error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		describe_date(fault, host, err);
		return;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		err_set(err, "tls_name", "the certificate is for %s, not for %s",
		    fault->names[0] != '\0' ? fault->names : "no name", host);
		err_hint(err,
		    "use a name of the certificate in the URL, or have one issued for %.200s",
		    host);
		return;
	default:
		describe_trust(fault, host, err);
	}
}

static const char *protocol_hint(int reason)
{
	switch (reason) {
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_RECORD_LENGTH_MISMATCH:
		return "the other side does not speak TLS on this port: check port and scheme, or "
		       "a proxy "
		       "between";
	case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
	case SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY:
		return "the server must offer TLS 1.2 with ECDHE and AES-GCM or ChaCha20, or TLS "
		       "1.3";
	case SSL_R_TLSV1_UNRECOGNIZED_NAME:
		return "the server does not know this name: check the host in the URL";
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
		return "the server wants a client certificate, which is not supported";
	default:
		return "check the server's TLS settings, and whether a proxy or firewall "
		       "intercepts TLS";
	}
}

void tls_describe_failure(SSL *ssl, const char *host, unsigned long openssl_error, struct err *err)
{
	const struct tls_fault *fault = ssl != NULL ? tls_fault_of(ssl) : NULL;
	int reason = ERR_GET_REASON(openssl_error);
	const char *words = ERR_reason_error_string(openssl_error);

	if (fault != NULL && fault->error != X509_V_OK) {
		describe_certificate(fault, host, err);
	} else if (tls_is_refusal(openssl_error) && words != NULL) {
		err_set(err, "tls_failed", "the TLS handshake with %s failed: %s", host, words);
		err_hint(err, "%s", protocol_hint(reason));
	} else {
		err_set(
		    err, "tls_failed", "%s closed the connection during the TLS handshake", host);
		err_hint(err, "check that this port speaks TLS, and that no firewall cuts it");
	}
	err_hop(err, "TLS");
}

bool tls_is_refusal(unsigned long openssl_error)
{
	return ERR_GET_LIB(openssl_error) == ERR_LIB_SSL &&
	       ERR_GET_REASON(openssl_error) != SSL_R_UNEXPECTED_EOF_WHILE_READING;
}

void tls_describe(SSL *ssl, char *out, size_t size)
{
	snprintf(out, size, "%s, %s%s", SSL_get_version(ssl), SSL_get_cipher_name(ssl),
	    SSL_session_reused(ssl) ? ", resumed" : "");
}
