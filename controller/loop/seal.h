/*
 * seal.h -- sealing secrets: AES-256-GCM by a data key (OpenSSL), and the data key in a box for one
 * node's public key (libsodium's crypto_box_seal: X25519, XSalsa20-Poly1305).
 *
 *   L1  The id of a data key is made from the key (SHA-256, 64 bits of it), so a box that holds
 *       another key than it says is refused, and what is sealed cannot be opened by two keys.
 *   L2  A nonce is 96 random bits. Of 2^32 values sealed by one key two have the same with a chance
 *       of 2^-33 (NIST SP 800-38D 8.3); a cluster seals some hundred.
 *   L3  What it is sealed for ('bound': cluster, name, key id) is authenticated with it: a value
 *       that was put under another name, or carried to another cluster, does not open.
 *   L4  Keys and plain values are wiped before their memory is given back.
 *
 * 'err' is never NULL here, and never holds a byte of a key or a value.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/base/buf.h"
#include "controller/base/err.h"

#define SEAL_KEY_SIZE    32
#define SEAL_ID_SIZE     17 /* hexadecimal, with the NUL */
#define SEAL_NONCE_SIZE  12
#define SEAL_TAG_SIZE    16
#define SEAL_PUBLIC_SIZE 44 /* base64url, with the NUL */

/* ---- data keys ---- */

struct seal_key {
    uint8_t bytes[SEAL_KEY_SIZE]; /* secret */
    char id[SEAL_ID_SIZE];
};

void seal_key_draw(struct seal_key *key);
/* A key that was made elsewhere: names it (L1). */
void seal_key_take(const uint8_t bytes[SEAL_KEY_SIZE], struct seal_key *ret_key);
/* Wipes. */
void seal_key_done(struct seal_key *key);

/* Appends nonce, ciphertext and tag to 'to'. */
void seal_close(const struct seal_key *key, const char *bound, const void *value, size_t size,
                struct buf *to);
/*
 * Appends the value to 'to', which the caller wipes (seal_wipe()). ERR_INVALID, slug "seal_broken":
 * the bytes were altered, or are of another name, cluster or key.
 */
MUST_CHECK enum err_code seal_open(const struct seal_key *key, const char *bound,
                                   const uint8_t *bytes, size_t size, struct buf *to,
                                   struct err *err);
/* Wipes what is in it and frees it; for CLEANUP. */
void seal_wipe(struct buf *buf);
/* Wipes a text where it stands: one inside a parsed document, or of a request. */
void seal_wipe_text(const char *text);

/* ---- the node's own key ---- */

struct seal_identity {
    uint8_t secret[SEAL_KEY_SIZE];     /* secret */
    char public_key[SEAL_PUBLIC_SIZE]; /* for everybody */
};

/*
 * The file's key; made, 0400, when there is no file. ERR_INVALID "seal_key": the file is none of
 * ours.
 */
MUST_CHECK enum err_code seal_identity_load(const char *path, struct seal_identity *ret_identity,
                                            struct err *err);
/* Wipes. */
void seal_identity_done(struct seal_identity *identity);

/* A box that only the owner of the public key opens; the caller's text. ERR_INVALID "seal_public":
 * it is no public key. */
MUST_CHECK enum err_code seal_box(const struct seal_key *key, const char *public_key,
                                  char **ret_box, struct err *err);
/* ERR_INVALID "seal_box": it is not for us, was altered, or holds another key than 'id' (L1). */
MUST_CHECK enum err_code seal_unbox(const struct seal_identity *identity, const char *box,
                                    const char *id, struct seal_key *ret_key, struct err *err);
