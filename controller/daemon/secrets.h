/*
 * secrets.h -- secret/NAME on this node: sealing what is written, opening what a driver asks for,
 * and giving the data key to the members that lack it.
 *
 *   secret set -> sealed here by the data key -> shared log -> every node's database (sealed)
 *   driver     -> secrets_read() -> opened here by the data key, out of our own box in seal/keys
 *   D/seal.key    the node's own X25519 key, 0400, made when a secret is met first; sent nowhere
 *
 *   Y1  Plain values and keys stay in this process: no answer of the API, no line of the log, no
 *       row and no error holds one.
 *   Y2  Who uses no secrets notices nothing: no file, no row, no alarm.
 *   Y3  Who has the data key gives it on (sites/sealing.h, Z1), the primary at once, each other
 *       member SECRETS_TURN_MS later than the one before; what two write at once is written once,
 *       by if_match.
 */
#pragma once

#include <json-c/json.h>
#include <stddef.h>

#include "controller/base/buf.h"
#include "controller/base/err.h"
#include "controller/daemon/writer.h"
#include "sites/sealing.h"

#define SECRETS_LOOK_MS  50   /* many changes, one look */
#define SECRETS_TURN_MS  1000 /* between two members that could do the same */
#define SECRETS_AGAIN_MS 5000 /* after a write that failed */
#define SECRETS_HELD_MAX 8    /* data keys kept open; more are opened each time */

struct core;
struct secrets;

/* A write of the node's own, wherever the primary is: takes 'group'; 'done' is called once. */
typedef void secrets_write_fn(void *data, struct json_object *group, writer_done_fn *done,
                              void *done_data);

/* Needs core->{loop, home, cache}, and core->driver from the first turn of the loop on. */
struct secrets *secrets_new(struct core *core, secrets_write_fn *write, void *data);
/* Wipes the keys. What it wrote must have been answered. */
void secrets_free(struct secrets *secrets);

/*
 * The port for drivers: appends what secret/NAME holds ('name' with or without "secret/"), byte for
 * byte; the caller wipes it (seal_wipe() of controller/loop/seal.h).
 * ERR_NOT_FOUND "secret_not_found"; ERR_UNAVAILABLE "seal_key_missing": this node has not got the
 * data key, "config_unknown": nor the configuration; ERR_INVALID "seal_broken": it was altered.
 */
MUST_CHECK enum err_code secrets_read(void *secrets, const char *name, struct buf *to,
                                      struct err *err);

enum secrets_state {
    SECRETS_HERE,    /* it can be opened here */
    SECRETS_LOCKED,  /* it is there, and this node has not got its key */
    SECRETS_MISSING, /* there is none */
};
const char *secrets_state_name(enum secrets_state state);
/* Without opening it. 'name' as above. */
enum secrets_state secrets_state(struct secrets *secrets, const char *name);

/*
 * Adds to 'group' the change that sets secret/NAME, sealed here, and what a first secret needs
 * besides. 'if_match' WRITER_ANY_REVISION: whatever it is now. ERR_LIMIT "secret_size",
 * "secrets_full"; ERR_INVALID "name_invalid"; ERR_UNAVAILABLE as above.
 */
MUST_CHECK enum err_code secrets_put(struct secrets *secrets, const char *name, const void *value,
                                     size_t size, uint64_t if_match, struct json_object *group,
                                     struct err *err);
/*
 * Adds to 'group' a new data key, and every secret sealed by it. '*ret_count': how many. On error
 * the group is of no use any more. ERR_CONFLICT "no_data_key": there never was a secret;
 * "secret_locked": one cannot be opened here.
 */
MUST_CHECK enum err_code secrets_rotate(struct secrets *secrets, struct json_object *group,
                                        char ret_key[SEALING_ID_SIZE], size_t *ret_count,
                                        struct err *err);

/*
 * For a backup: 'value', that secret/NAME holds in the log, opened and sealed anew by 'to', bound
 * to 'bound'. Nothing of it stays here. '*ret' is the caller's. ERR_CONFLICT "secret_locked": this
 * node cannot open it.
 */
struct seal_key;
MUST_CHECK enum err_code secrets_reseal(struct secrets *secrets, const char *key,
                                        struct json_object *value, const struct seal_key *to,
                                        const char *bound, struct json_object **ret,
                                        struct err *err);

/* Who names which secret: {"secret/NAME": [CONNECTOR or notice/NAME, ...]}. The caller's. */
struct json_object *secrets_uses(struct secrets *secrets);
/* The document of GET /v1/secrets; names, states and key ids, never values. The caller's. */
struct json_object *secrets_view(struct secrets *secrets);
/* What is wrong, for status and doctor: view_add_alarm() for each. */
void secrets_alarms(struct secrets *secrets, struct json_object *list);
