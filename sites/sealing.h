/*
 * sealing.h -- what a sealed secret looks like in the shared log, and who is given the data key.
 * Pure: no key is seen here, and nothing is sealed or opened (controller/loop/seal.h does that).
 *
 *   secret/NAME   {"key": ID, "sealed": base64url(nonce, ciphertext, tag)}
 *   seal/keys     {"current": ID,
 *                  "keys": {ID: {"made_at", "made_by",
 *                                "boxes": {NODE: {"to": PUBLIC, "box": base64url}},
 *                                "left": [NODE, ...]}}}
 *   node/NAME     {..., "seal_key": PUBLIC}   the node's own public key, once it has told it
 *
 *   Z1  A box of each key that counts is there for each member that has told its public key, and
 *       for no other. A key counts while it is the current one, or something is sealed by it.
 *   Z2  Who had a box and is no member any more, or has another public key by now, is remembered
 *       with that key until the key is gone: the current key is then to be rotated.
 *   Z3  The current key is never dropped.
 *
 * Sources: issue #4 "Proof before the day"; NIST SP 800-38D 8.2.2 (a random nonce of 96 bits).
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/base/own.h"

#define SEALING_KEYS           "seal/keys"
#define SEALING_PREFIX         "secret/"
#define SEALING_ID_SIZE        17 /* 16 hexadecimal digits, and the NUL */
#define SEALING_NONCE_SIZE     12
#define SEALING_TAG_SIZE       16
#define SEALING_VALUE_SIZE_MAX 65536 /* of a secret; at least 1 byte */
/* A rotation writes all of them as one group, so together they have to fit in one. */
#define SEALING_COUNT_MAX      500
#define SEALING_TOTAL_SIZE_MAX (2UL * 1024 * 1024) /* bytes of JSON */
#define SEALING_NODE_SIZE      64
#define SEALING_PUBLIC_SIZE    44 /* X25519, base64url, and the NUL */

/* One value of secret/NAME. */
struct sealing_value {
    char key[SEALING_ID_SIZE];
    uint8_t *bytes; /* owned; nonce, ciphertext, tag */
    size_t size;
};

/* Exactly the shape above; false: it is none, and nothing is owned. */
MUST_CHECK bool sealing_read(struct json_object *value, struct sealing_value *ret_value);
struct json_object *sealing_write(const char *key, const uint8_t *bytes, size_t size);
void sealing_value_done(struct sealing_value *value);
/* The id of the key that sealed 'value'; NULL when it is not sealed. Borrowed from it. */
const char *sealing_key_of(struct json_object *value);
/* What people are shown in place of a value of secret/NAME: {"sealed": ID}. The caller's. */
struct json_object *sealing_shown(struct json_object *value);
/* "secret/NAME" with a NAME of RFC 1123. */
bool sealing_is_secret(const char *key);

/* What the value of secret/NAME is sealed for (controller/loop/seal.h, L3): our own texts, none of
 * which holds a line end. The caller's. */
char *sealing_bound(const char *cluster_id, const char *secret, const char *key);

/* ---- seal/keys ---- */

/* NULL: there is no data key yet. Borrowed from the document. */
const char *sealing_current(struct json_object *keys);
/* The box of a member for one key, or NULL; 'ret_to' (may be NULL) is the public key it is for. */
const char *sealing_box(struct json_object *keys, const char *key, const char *node,
                        const char **ret_to);
/* How many left who had this key (Z2); 'ret_names' (may be NULL) lists them. Borrowed. */
size_t sealing_left(struct json_object *keys, const char *key, struct json_object **ret_names);

/* Makes 'key' the current one, with no boxes. '*keys' NULL: the first. The caller's. */
void sealing_add_key(struct json_object **keys, const char *key, const char *at, const char *by);

struct sealing_member {
    const char *name;
    const char *public_key; /* "" while it has told none */
    bool removed;
};

enum sealing_kind {
    SEALING_GIVE,   /* make a box of 'key' for 'public_key' and put it at 'node' */
    SEALING_TAKE,   /* remove the box of 'node' */
    SEALING_FORGET, /* remove 'key' */
};

struct sealing_step {
    enum sealing_kind kind;
    char key[SEALING_ID_SIZE];
    char node[SEALING_NODE_SIZE];
    char public_key[SEALING_PUBLIC_SIZE]; /* GIVE */
};

/*
 * What is to be done so that Z1-Z3 hold, at most 'max' steps; their count. 'used': the ids of the
 * keys by which something is sealed now. Names and keys that do not fit a step are left out.
 */
size_t sealing_plan(struct json_object *keys, const struct sealing_member *members,
                    size_t member_count, const char *const *used, size_t used_count,
                    struct sealing_step *steps, size_t max);
/* Carries out one step in 'keys'; 'box' for GIVE alone. */
void sealing_apply(struct json_object *keys, const struct sealing_step *step, const char *box);

/*
 * How many act before 'self', of those who have the current key: the primary, then the others by
 * name. Each does the same when its turn comes, and what two do at once is written once, by the
 * revision of seal/keys.
 */
size_t sealing_turn(struct json_object *keys, const struct sealing_member *members,
                    size_t member_count, const char *primary, const char *self);
