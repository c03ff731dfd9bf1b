/*
 * tls.h -- the one TLS policy of Baton, and the contexts made from it.
 *
 * TLS 1.2 with forward secrecy and AEAD, or TLS 1.3; no renegotiation, no compression. A server
 * asks for a client certificate and does not insist; one that does not verify against our CA ends
 * the handshake, so a certificate that a handler sees is always a good one.
 *
 * Wherever a certificate, a key or a CA is given as text it is PEM when it starts with
 * "-----BEGIN", and the path of a PEM file otherwise.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "controller/base/err.h"
#include "controller/loop/cert.h"

#define TLS_FILE_SIZE_MAX (1024UL * 1024)
#define TLS_PIN_SIZE      32
#define TLS_SESSION_S     300 /* how long a session may be resumed without a full handshake */

/* All borrowed for the call that takes it. */
struct tls_identity {
    const char *ca;   /* who may sign the other side; NULL: see the function */
    const char *cert; /* our own, followed by its intermediates */
    const char *key;
};

/* Who a verified certificate speaks for. */
struct tls_peer {
    char name[CERT_NAME_SIZE];         /* the node of its login, or what else its CN says */
    unsigned generation;               /* of its login; 0: the CN is none */
    char organization[CERT_NAME_SIZE]; /* O */
};

bool tls_is_pem(const char *text);

/* Versions, ciphers, groups, options and modes, for both sides. */
void tls_policy(SSL_CTX *context);

/*
 * A server's context. Without 'ca' no client certificate is asked for. '*ret' is the caller's
 * (SSL_CTX_free). A reload is a new context: connections keep theirs, and its new ticket keys
 * make old sessions prove themselves again.
 *
 * ERR_NOT_FOUND, ERR_DENIED, ERR_IO: a file cannot be read.
 * ERR_INVALID slug "tls_material": no certificate or key in it, or they do not belong together.
 */
MUST_CHECK enum err_code tls_server_new(const struct tls_identity *identity, SSL_CTX **ret,
                                        struct err *err);
/* A client's: verifies the server against 'ca' (required); 'cert' and 'key' may be NULL. */
MUST_CHECK enum err_code tls_client_new(const struct tls_identity *identity, SSL_CTX **ret,
                                        struct err *err);
void tls_freep(SSL_CTX **holder); /* for CLEANUP */

/* The other side's certificate; false when it sent none, when it does not verify, or when it does
 * not have one common name and one organization, as ours have. */
MUST_CHECK bool tls_peer_read(const SSL *ssl, struct tls_peer *ret);

/* SHA-256 of the public key (SPKI) of any certificate: what a client may pin. */
MUST_CHECK bool tls_pin_x509(X509 *certificate, uint8_t pin[TLS_PIN_SIZE]);

/* The newest error of OpenSSL, "certificate verify failed"; empties its queue. Returns 'text'. */
const char *tls_error_text(char text[256]);
