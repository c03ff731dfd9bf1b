/*
 * prover.h -- each member proves, every ready.interval_ms and when something changes, the servers
 * that it would use, and tells it in a statement that it signs; every member keeps those of all.
 *
 *   acting.h: records -> statement, signed -> its id in the state that members tell each other
 *                                          <- GET /v1/peer/ready, by who has not that id yet
 *
 * {"statement": TEXT, "signature": base64url, "certificate": PEM}, the text being JSON:
 *   {"cluster","node","site","made","epoch","revision","version","schema","postgres","database",
 *    "arbiter","disk_free_mb","disk_least_mb","certificate_days",
 *    "records":[acting_records()], "keys":[{"key","digest"}]}
 *
 * Mutual TLS tells us who speaks, and is nothing that can be shown to anybody later; the signature
 * is, with the certificate beside it. A statement counts only when it is signed by a certificate of
 * our CA that logs in as that member does now. (Every node has the CA's key and could forge another
 * one's: docs/decisions/0005.) Its age is told by who made it and counted on by our monotonic
 * clock: no wall clock decides.
 *
 * Digests are of the local settings that have to go together (setting.h), keyed by what only
 * members have: the same value has the same digest, and who has no key cannot guess even a "true".
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "controller/base/err.h"
#include "controller/base/own.h"

#define PROVER_ID_SIZE   65
#define PROVER_TEXT_SIZE 256

struct core;
struct prover;

/* Needs core->{loop, home, cache}; asks by core->driver. */
struct prover *prover_new(struct core *core);
void prover_free(struct prover *prover);
/* Something that is proved may have changed. NULL is fine. */
void prover_soon(struct prover *prover);

/* What this node tells: the id of its statement, "" for none yet, and the answer to who asks for it
 * ({"age_ms","statement","signature","certificate"}, the caller's; NULL for none yet). */
const char *prover_id(const struct prover *prover);
struct json_object *prover_answer(const struct prover *prover);
/* A member has told that its statement is this one. */
void prover_heard(struct prover *prover, const char *node, const char *id);

/* For the alarm: how long this has been so of the site, as often as anybody has looked; 0 for not.
 */
uint64_t prover_lasts(struct prover *prover, const char *site, bool not_ready);

/* Whose statement it has to be, and who vouches for that. All borrowed. */
struct prover_signer {
    const char *ca;         /* PEM */
    const char *cluster_id; /* of ours */
    const char *node;
    const char *login; /* as it logs in now (cert_login()); "": it is no member */
    int64_t now_s;     /* since 1970 */
};
/* The statement in an answer of GET /v1/peer/ready, the caller's. ERR_PROTOCOL: it is none;
 * ERR_DENIED: it is not signed by that member, as it is now, or it is about another one. */
MUST_CHECK enum err_code prover_read(struct json_object *answer, const struct prover_signer *signer,
                                     struct json_object **ret, struct err *err);

/* What counts of a member, or of ourselves. */
struct prover_view {
    struct json_object *statement; /* borrowed until the loop goes on; NULL: none that counts */
    struct json_object *signed_as; /* borrowed; {"statement","signature","certificate"} */
    uint64_t age_ms;
    const char *fault; /* borrowed; why there is none */
};
struct prover_view prover_view(const struct prover *prover, const char *node);
