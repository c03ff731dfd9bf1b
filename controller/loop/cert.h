/*
 * cert.h -- the cluster's certificates: one CA, one certificate for each node, EC P-256.
 *
 *   CA    CN "<cluster> CA", O = cluster id, 10 years
 *   node  CN = login of the node, O = cluster id, SAN = node name and the hosts it is reached by,
 *         for servers and clients, 90 days, random 128-bit serial, valid from 5 minutes ago
 *
 *   K1  What a certificate says comes from the one who signs, never from the request: of a CSR
 *       only the key is taken, once its own signature proves that the asker holds it.
 *   K2  Private keys are wiped before their memory is freed.
 *
 * All texts are PEM. 'err' is never NULL here.
 */
#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/base/err.h"

#define CERT_CA_DAYS      3650
#define CERT_NODE_DAYS    90
#define CERT_HOSTS_MAX    16
#define CERT_PEM_SIZE_MAX 16384 /* any PEM from outside */
#define CERT_PIN_SIZE     32    /* SHA-256 of the SubjectPublicKeyInfo */
#define CERT_NAME_SIZE    129   /* common name, organization */
#define CERT_SERIAL_SIZE  41    /* hexadecimal text */
#define CERT_HEX_SIZE     65    /* SHA-256 as hexadecimal text */

struct cert_pair {
    char *certificate; /* owned */
    char *key;         /* owned, secret */
};

struct cert_info {
    char common_name[CERT_NAME_SIZE];
    char organization[CERT_NAME_SIZE];
    char serial[CERT_SERIAL_SIZE];   /* lower-case hexadecimal */
    char fingerprint[CERT_HEX_SIZE]; /* SHA-256 of the certificate */
    uint8_t pin[CERT_PIN_SIZE];
    int64_t not_before_s; /* since 1970 UTC */
    int64_t not_after_s;
    bool is_ca;
};

/*
 * A name may be given again once its node was removed. Then the new node logs in as "west-1.2", and
 * what the removed one has, or renews by itself, goes on to say "west-1": it fits no role of
 * PostgreSQL and is refused by every member.
 */
#define CERT_GENERATION_MAX 999
const char *cert_login(const char *node, unsigned generation, char to[CERT_NAME_SIZE]);
/* False: it is none. */
MUST_CHECK bool cert_login_read(const char *login, char ret_node[CERT_NAME_SIZE],
                                unsigned *ret_generation);

/* What a node's certificate shall say. */
struct cert_subject {
    const char *node;
    unsigned generation; /* 0: the first */
    const char *cluster_id;
    const char *const *hosts; /* IP addresses and DNS names; duplicates are fine */
    size_t host_count;        /* at most CERT_HOSTS_MAX */
    unsigned days;            /* 0: CERT_NODE_DAYS; never longer than the CA lives */
};

void cert_pair_done(struct cert_pair *pair);
/* Wipes and frees a secret text; for CLEANUP. */
void cert_secret_freep(char **holder);

MUST_CHECK enum err_code cert_make_ca(const char *cluster, const char *cluster_id,
                                      struct cert_pair *ret_pair, struct err *err);
MUST_CHECK enum err_code cert_make_key(char **ret_key, struct err *err);
/* CN = node; everything else is for the one who signs to say (K1). */
MUST_CHECK enum err_code cert_make_csr(const char *key, const char *node, char **ret_csr,
                                       struct err *err);
/*
 * ERR_INVALID: the CSR does not parse, its signature is wrong, its key is not EC P-256, its CN is
 * not the node's name, or a host is neither an address nor a DNS name.
 */
MUST_CHECK enum err_code cert_sign(const struct cert_pair *ca, const char *csr,
                                   const struct cert_subject *subject, char **ret_certificate,
                                   struct err *err);

/* The first certificate of the text. */
MUST_CHECK enum err_code cert_read(const char *certificate, struct cert_info *ret_info,
                                   struct err *err);
MUST_CHECK enum err_code cert_read_x509(const X509 *certificate, struct cert_info *ret_info,
                                        struct err *err);
/* The certificate is signed by this CA, both are valid at 'now_s', and it is for server and
 * client use. ERR_DENIED with OpenSSL's reason. */
MUST_CHECK enum err_code cert_verify(const char *ca_certificate, const char *certificate,
                                     int64_t now_s, struct err *err);
/* ERR_INVALID: the key does not parse or belongs to another certificate. */
MUST_CHECK enum err_code cert_check_key(const char *certificate, const char *key, struct err *err);
/* Constant time. */
bool cert_pin_equal(const uint8_t left[CERT_PIN_SIZE], const uint8_t right[CERT_PIN_SIZE]);
/* True when two thirds of its life are over: time to renew. */
bool cert_renewal_due(const struct cert_info *info, int64_t now_s);
/* 'count' bytes of the system's randomness; aborts when there are none. */
void cert_random(void *bytes, size_t count);
