#include "controller/loop/tls.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "controller/base/buf.h"
#include "controller/base/check.h"
#include "controller/base/file.h"
#include "controller/base/str.h"

/* TLS 1.2: forward secrecy and AEAD only; ours and every browser's of the last ten years. */
#define TLS12_CIPHERS                                                                              \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                   \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define TLS13_CIPHERS "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define TLS_GROUPS    "X25519:P-256:P-384"

static void
bio_freep(BIO **holder)
{
    (void)BIO_free(*holder);
    *holder = NULL;
}

static void
x509_freep(X509 **holder)
{
    X509_free(*holder);
    *holder = NULL;
}

static void
key_freep(EVP_PKEY **holder)
{
    EVP_PKEY_free(*holder);
    *holder = NULL;
}

void
tls_freep(SSL_CTX **holder)
{
    SSL_CTX_free(*holder);
    *holder = NULL;
}

bool
tls_is_pem(const char *text)
{
    return str_starts(text, "-----BEGIN");
}

const char *
tls_error_text(char text[256])
{
    unsigned long number = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(number);
    (void)snprintf(text, 256, "%s",
                   number == 0      ? "no reason given"
                   : reason == NULL ? "unknown reason"
                                    : reason);
    ERR_clear_error();
    return text;
}

void
tls_policy(SSL_CTX *context)
{
    ASSERT(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1);
    ASSERT(SSL_CTX_set_cipher_list(context, TLS12_CIPHERS) == 1);
    ASSERT(SSL_CTX_set_ciphersuites(context, TLS13_CIPHERS) == 1);
    ASSERT(SSL_CTX_set1_groups_list(context, TLS_GROUPS) == 1);
    (void)SSL_CTX_set_options(
        context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF |
                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    /* NO_AUTO_CHAIN: what we send is what the file holds; no chain is built for each handshake */
    (void)SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                        SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
}

/* PEM text or the content of a file, in a BIO that owns nothing but itself. */
static enum err_code
open_material(const char *text, struct buf *content, BIO **ret, struct err *err)
{
    if (!tls_is_pem(text)) {
        if (file_read(text, TLS_FILE_SIZE_MAX, content, err) != ERR_NONE)
            return err->code;
        text = buf_text(content);
    }
    *ret = BIO_new_mem_buf(text, -1);
    ASSERT(*ret != NULL);
    return ERR_NONE;
}

static const char *
show(const char *text)
{
    return tls_is_pem(text) ? "the PEM given" : text;
}

static enum err_code
refuse(struct err *err, const char *what, const char *text)
{
    char reason[256];
    return err_set(err, ERR_INVALID, "tls_material", "%s: no good %s in it: %s", show(text), what,
                   tls_error_text(reason));
}

static enum err_code
use_cert(SSL_CTX *context, const char *cert, struct err *err)
{
    CLEANUP(buf_done) struct buf content = { 0 };
    CLEANUP(bio_freep) BIO *bio = NULL;
    if (open_material(cert, &content, &bio, err) != ERR_NONE)
        return err_wrap(err, "certificate");
    CLEANUP(x509_freep) X509 *leaf = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
    if (leaf == NULL || SSL_CTX_use_certificate(context, leaf) != 1)
        return refuse(err, "certificate", cert);
    for (;;) {
        CLEANUP(x509_freep) X509 *next = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (next == NULL)
            break;
        if (SSL_CTX_add1_chain_cert(context, next) != 1)
            return refuse(err, "chain of certificates", cert);
    }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return refuse(err, "chain of certificates", cert);
    ERR_clear_error();
    return ERR_NONE;
}

/* Keys are never encrypted here: without this OpenSSL would ask on the terminal. */
static int
no_passphrase(char *to, int size, int writing, void *data)
{
    (void)to, (void)size, (void)writing, (void)data;
    return -1;
}

static void
wipe(struct buf *buf)
{
    if (buf->data != NULL)
        OPENSSL_cleanse(buf->data, buf->capacity);
    buf_done(buf);
}

static enum err_code
use_key(SSL_CTX *context, const char *key, struct err *err)
{
    CLEANUP(wipe) struct buf content = { 0 };
    CLEANUP(bio_freep) BIO *bio = NULL;
    if (open_material(key, &content, &bio, err) != ERR_NONE)
        return err_wrap(err, "private key");
    CLEANUP(key_freep) EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    if (pkey == NULL)
        return refuse(err, "private key", key);
    if (SSL_CTX_use_PrivateKey(context, pkey) != 1 || SSL_CTX_check_private_key(context) != 1) {
        ERR_clear_error();
        return err_set(err, ERR_INVALID, "tls_material",
                       "%s: the private key does not belong to the certificate", show(key));
    }
    return ERR_NONE;
}

static enum err_code
use_ca(SSL_CTX *context, const char *ca, bool tell_clients, struct err *err)
{
    CLEANUP(buf_done) struct buf content = { 0 };
    CLEANUP(bio_freep) BIO *bio = NULL;
    if (open_material(ca, &content, &bio, err) != ERR_NONE)
        return err_wrap(err, "CA certificate");
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    unsigned count = 0;
    for (;; count++) {
        CLEANUP(x509_freep) X509 *authority = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (authority == NULL)
            break;
        if (X509_STORE_add_cert(store, authority) != 1 ||
            (tell_clients && SSL_CTX_add_client_CA(context, authority) != 1))
            return refuse(err, "CA certificate", ca);
    }
    if (count == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return refuse(err, "CA certificate", ca);
    ERR_clear_error();
    return ERR_NONE;
}

/* A client that offers protocols gets HTTP/1.1 or none at all. */
static int
choose_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_size,
                const unsigned char *offered, unsigned offered_size, void *data)
{
    (void)ssl, (void)data;
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *found;
    if (SSL_select_next_proto(&found, chosen_size, ours, sizeof ours - 1, offered, offered_size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

enum err_code
tls_server_new(const struct tls_identity *identity, SSL_CTX **ret, struct err *err)
{
    struct err local;
    err = err == NULL ? &local : err;
    ERR_clear_error();
    CLEANUP(tls_freep) SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    ASSERT(context != NULL);
    tls_policy(context);
    if (use_cert(context, identity->cert, err) != ERR_NONE ||
        use_key(context, identity->key, err) != ERR_NONE)
        return err->code;
    if (identity->ca != NULL) {
        if (use_ca(context, identity->ca, true, err) != ERR_NONE)
            return err->code;
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    }
    /* without a session id context, resumption fails where client certificates are asked for */
    static const unsigned char session_id[] = "baton";
    ASSERT(SSL_CTX_set_session_id_context(context, session_id, sizeof session_id - 1) == 1);
    (void)SSL_CTX_set_timeout(context, TLS_SESSION_S);
    /* requests say how long they are: a client that hangs up without a word is no attack */
    (void)SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_read_ahead(context, 1); /* one system call for a record, not two */
    (void)SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    *ret = take_ptr(&context);
    return ERR_NONE;
}

enum err_code
tls_client_new(const struct tls_identity *identity, SSL_CTX **ret, struct err *err)
{
    struct err local;
    err = err == NULL ? &local : err;
    ERR_clear_error();
    CLEANUP(tls_freep) SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    ASSERT(context != NULL && identity->ca != NULL);
    tls_policy(context);
    if (use_ca(context, identity->ca, false, err) != ERR_NONE)
        return err->code;
    if (identity->cert != NULL && (use_cert(context, identity->cert, err) != ERR_NONE ||
                                   use_key(context, identity->key, err) != ERR_NONE))
        return err->code;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    *ret = take_ptr(&context);
    return ERR_NONE;
}

bool
tls_peer_read(const SSL *ssl, struct tls_peer *ret)
{
    /* the verify result is X509_V_OK also when no certificate was sent at all */
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (certificate == NULL || SSL_get_verify_result(ssl) != X509_V_OK)
        return false;
    struct cert_info info;
    struct err err;
    if (cert_read_x509(certificate, &info, &err) != ERR_NONE)
        return false;
    if (!cert_login_read(info.common_name, ret->name, &ret->generation)) {
        memcpy(ret->name, info.common_name, sizeof ret->name);
        ret->generation = 0;
    }
    memcpy(ret->organization, info.organization, sizeof ret->organization);
    return true;
}

bool
tls_pin_x509(X509 *certificate, uint8_t pin[TLS_PIN_SIZE])
{
    unsigned char *der = NULL;
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    bool done = size > 0 && EVP_Digest(der, (size_t)size, pin, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    return done;
}
