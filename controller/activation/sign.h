/*
 * sign.h -- what each request to a connector server says of itself: which cluster, under which
 * epoch, by which node; and the signature that proves it.
 *
 *     Baton-Cluster: 6f2f1f6e-7d57-4f6e-9d2b-2a37a9c4c001
 *     Baton-Epoch: 7/west-1
 *     Baton-Node: west-1
 *     Baton-Delivery: ...                          a webhook's
 *     Content-Digest: sha-256=:BASE64:             of a body (RFC 9530)
 *     Signature-Input: baton=("@method" "@request-target" "baton-cluster" "baton-epoch"
 * "baton-node" "baton-delivery" "content-digest");created=N;keyid="K";alg="hmac-sha256" Signature:
 * baton=:BASE64:                    (RFC 9421)
 *
 * A connector without a key gets the first headers only. The receiver that keeps the highest epoch
 * (baton gate) proves by the key that it is one, and that it speaks of this very request:
 *
 *     Baton-Fenced: 7/west-1 BASE64                HMAC-SHA256 over "baton-fenced", the epoch and
 * the request's signature, each followed by a line end
 *
 * I10  An epoch is believed when it is signed: an attacker who could raise a receiver's epoch would
 *      shut everybody out, and one who could lower it would let an old primary in.
 *
 * Pure, but for sign_key_read().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/base/buf.h"
#include "controller/base/err.h"
#include "sites/connector.h"
#include "sites/epoch.h"

#define SIGN_HEADERS_MAX  7
#define SIGN_KEY_SIZE_MIN 32
#define SIGN_KEY_SIZE_MAX 1024
#define SIGN_PARTS_MAX    7   /* that a signature may cover */
#define SIGN_FIELD_MAX    512 /* bytes of a header that is read */

struct sign_key {
    char id[CONNECTOR_NAME_SIZE];
    size_t size; /* 0: no key */
    uint8_t bytes[SIGN_KEY_SIZE_MAX];
};

/* Texts are borrowed. */
struct sign_claim {
    const char *cluster; /* id of the cluster, a UUID */
    struct epoch epoch;
    const char *node;
    const char *delivery; /* NULL: none */
};

struct sign_message {
    const char *method; /* "POST" */
    const char *target; /* path and query as they are sent */
    struct sign_claim claim;
    const void *body; /* NULL: none */
    size_t body_size;
    int64_t now_s; /* wall clock */
};

struct sign_headers {
    size_t count;
    struct {
        const char *name; /* static */
        char *value;      /* owned */
    } list[SIGN_HEADERS_MAX];
};

/* Hands out what secret/NAME holds, appended to 'to', which the caller wipes. */
typedef enum err_code sign_secret_fn(void *data, const char *name, struct buf *to, struct err *err);

/*
 * The key that the document names: the file on this node (which only its owner may read), or the
 * secret by 'secret' (NULL: no secrets here). What stands there counts without the white space
 * at its end, and has SIGN_KEY_SIZE_MIN bytes at least. A 'sign' that is not set gives no key.
 * ERR_NOT_FOUND, ERR_DENIED, ERR_INVALID "sign_key": which file or secret, and what is wrong.
 */
MUST_CHECK enum err_code sign_key_read(const struct connector_sign *sign, sign_secret_fn *secret,
                                       void *data, struct sign_key *ret_key, struct err *err);
/* From the bytes themselves; the same rules. */
MUST_CHECK enum err_code sign_key_make(const char *id, const void *bytes, size_t size,
                                       struct sign_key *ret_key, struct err *err);
/* A file of a key, as sign_key_read(). */
MUST_CHECK enum err_code sign_key_file(const char *id, const char *path, struct sign_key *ret_key,
                                       struct err *err);
void sign_key_wipe(struct sign_key *key);

/* Path and query of "https://HOST[:PORT][/PATH]", as they are sent; borrowed from 'url'. */
const char *sign_target(const char *url);
/* The headers in the order above; '*ret' is the caller's. */
void sign_headers(const struct sign_message *message, const struct sign_key *key,
                  struct sign_headers *ret);
void sign_headers_done(struct sign_headers *headers);
/* The value of a header; NULL when it is not there. */
const char *sign_headers_get(const struct sign_headers *headers, const char *name);

/* What a receiver got; NULL for a header that is not there. */
struct sign_received {
    const char *method;
    const char *target;
    const char *cluster;
    const char *epoch;
    const char *node;
    const char *delivery;
    const char *digest;
    const char *input;
    const char *signature;
};

/*
 * Checks it all and fills in '*ret_claim' (borrowed from 'received') and '*ret_key', the one it was
 * signed with. A body is not looked at: compare sign_digest() with 'received->digest'.
 *
 * ERR_LOGIN: "signature_missing", "signature_bad", "key_unknown", "signature_old" (made more than
 * 'window_s' before or after 'now_s'; both times are said).
 */
MUST_CHECK enum err_code sign_check(const struct sign_received *received,
                                    const struct sign_key *keys, size_t key_count, int64_t now_s,
                                    int64_t window_s, struct sign_claim *ret_claim,
                                    const struct sign_key **ret_key, struct err *err);

/* "sha-256=:BASE64:"; the caller's. */
char *sign_digest(const void *body, size_t size);

/* The value of Baton-Fenced for a request with that signature; the caller's. */
char *sign_proof(const struct sign_key *key, const struct epoch *epoch, const char *signature);
/* false: no proof of who has our key. 'proof' may be NULL. */
MUST_CHECK bool sign_proof_check(const struct sign_key *key, const char *signature,
                                 const char *proof, struct epoch *ret_epoch);
