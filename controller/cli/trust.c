#include "controller/cli/trust.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "controller/base/file.h"
#include "controller/base/str.h"
#include "controller/loop/cert.h"
#include "controller/loop/tls.h"

#define CONNECT_S  5
#define NAP_MS     20
#define PIN_PREFIX "sha256:"

enum err_code
trust_read_ca(const char *path, char **ret_pem, struct err *err)
{
    CLEANUP(buf_done) struct buf text = { 0 };
    struct cert_info info;
    enum err_code code = file_read(path, CERT_PEM_SIZE_MAX, &text, err);
    if (code != ERR_NONE)
        return code;
    struct err cause;
    if (cert_read(buf_text(&text), &info, &cause) != ERR_NONE)
        return err_set(err, ERR_INVALID, "ca_file", "CA file '%s': %s", path, cause.text);
    if (!info.is_ca) {
        (void)err_set(err, ERR_INVALID, "ca_file", "CA file '%s': it is the certificate of '%s'",
                      path, info.common_name);
        return err_mend(err, "take ca.crt of the data directory of any node");
    }
    *ret_pem = buf_take(&text);
    return ERR_NONE;
}

static void
bio_freep(BIO **holder)
{
    BIO_free_all(*holder);
    *holder = NULL;
}

static enum err_code
take_pem(X509 *certificate, char **ret_pem, struct err *err)
{
    CLEANUP(bio_freep) BIO *memory = BIO_new(BIO_s_mem());
    char *data;
    if (memory == NULL || PEM_write_bio_X509(memory, certificate) != 1)
        return err_set(err, ERR_INTERNAL, "internal", "write a certificate");
    long size = BIO_get_mem_data(memory, &data);
    struct buf text = { 0 };
    buf_add(&text, data, (size_t)size);
    *ret_pem = buf_take(&text);
    return ERR_NONE;
}

static enum err_code
choose(const SSL *ssl, const uint8_t pin[TLS_PIN_SIZE], const char *url, char **ret_pem,
       struct err *err)
{
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
    for (int i = 0; i < sk_X509_num(chain); i++) {
        uint8_t found[TLS_PIN_SIZE];
        X509 *certificate = sk_X509_value(chain, i);
        if (tls_pin_x509(certificate, found) && cert_pin_equal(found, pin) &&
            X509_check_ca(certificate) > 0)
            return take_pem(certificate, ret_pem, err);
    }
    (void)err_set(err, ERR_DENIED, "pin_mismatch",
                  "%s: none of its %d certificates is a CA with this key", url, sk_X509_num(chain));
    return err_mend(err, "is the address right? take the pin from baton init, or use --ca FILE");
}

enum err_code
trust_find_ca(const char *url, const char *pin, char **ret_pem, struct err *err)
{
    uint8_t wanted[TLS_PIN_SIZE];
    if (!str_starts(pin, PIN_PREFIX) || strlen(pin) != strlen(PIN_PREFIX) + 2 * sizeof wanted ||
        !str_from_hex(pin + strlen(PIN_PREFIX), wanted, sizeof wanted))
        return err_set(err, ERR_INVALID, "pin", "--pin '%s': must be sha256: and 64 hex digits",
                       pin);
    CLEANUP(tls_freep) SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL)
        return err_set(err, ERR_INTERNAL, "internal", "make a TLS context");
    tls_policy(context);
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL); /* the pin decides */
    CLEANUP(bio_freep) BIO *bio = BIO_new_ssl_connect(context);
    SSL *ssl = NULL;
    if (bio == NULL || BIO_get_ssl(bio, &ssl) <= 0 || ssl == NULL)
        return err_set(err, ERR_INTERNAL, "internal", "make a TLS connection");
    (void)BIO_set_conn_hostname(bio, url + strlen("https://"));
    (void)BIO_set_nbio(bio, 1);
    if (BIO_do_connect_retry(bio, CONNECT_S, NAP_MS) <= 0) {
        char cause[256];
        (void)err_set(err, ERR_UNAVAILABLE, "connect", "%s: %s", url, tls_error_text(cause));
        return err_mend(err, "ask another node with --server");
    }
    return choose(ssl, wanted, url, ret_pem, err);
}
