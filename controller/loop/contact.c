#include "controller/loop/contact.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/loop/tls.h"

#define NAP_MS 20

static void
bio_freep(BIO **holder)
{
    BIO_free_all(*holder);
    *holder = NULL;
}

static char *
pem_of(X509 *certificate)
{
    CLEANUP(bio_freep) BIO *memory = BIO_new(BIO_s_mem());
    char *data = NULL;
    ASSERT(memory != NULL && PEM_write_bio_X509(memory, certificate) == 1);
    long size = BIO_get_mem_data(memory, &data);
    struct buf text = { 0 };
    buf_add(&text, data, (size_t)size);
    return buf_take(&text);
}

static enum err_code
choose(const SSL *ssl, const uint8_t pin[CERT_PIN_SIZE], const char *address, char **ret_pem,
       struct err *err)
{
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *certificate = sk_X509_value(chain, i);
        uint8_t found[CERT_PIN_SIZE];
        if (tls_pin_x509(certificate, found) && cert_pin_equal(found, pin) &&
            X509_check_ca(certificate) > 0) {
            *ret_pem = pem_of(certificate);
            return ERR_NONE;
        }
    }
    return err_set(err, ERR_DENIED, "pin_mismatch",
                   "%s: none of its %d certificates is a CA with this key", address,
                   sk_X509_num(chain) > 0 ? sk_X509_num(chain) : 0);
}

enum err_code
contact_find_ca(const char *address, const uint8_t pin[CERT_PIN_SIZE], char **ret_pem,
                struct err *err)
{
    CLEANUP(tls_freep) SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    ASSERT(context != NULL);
    tls_policy(context);
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL); /* the pin decides */
    CLEANUP(bio_freep) BIO *bio = BIO_new_ssl_connect(context);
    SSL *ssl = NULL;
    ASSERT(bio != NULL && BIO_get_ssl(bio, &ssl) > 0 && ssl != NULL);
    (void)BIO_set_conn_hostname(bio, address);
    (void)BIO_set_nbio(bio, 1);
    if (BIO_do_connect_retry(bio, CONTACT_CONNECT_S, NAP_MS) <= 0) {
        char cause[256];
        return err_set(err, ERR_UNAVAILABLE, "connect", "%s: %s", address, tls_error_text(cause));
    }
    return choose(ssl, pin, address, ret_pem, err);
}
