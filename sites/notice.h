/*
 * notice.h -- telling somebody outside when a connector is in trouble (A11): what notice/NAME says,
 * what state a connector is in (A7), when that is told, and which node tells it. Pure.
 *
 *     {"url": "https://ops.example/hooks/baton", "ca": PEM, "pin": "sha256:HEX",
 *      "sign": {"key_id": "ops-1", "key": "secret/ops"},
 *      "events": ["warning", "error"], "connectors": ["pam"],
 *      "after_ms": 2000, "timeout_ms": 30000,
 *      "expect_status": 204, "expect_body": {"field": "/ok", "equals": true}}
 *
 *     facts of a connector -> notice_judge() -> notice_step() -> notice_wants() -> notice_body()
 *                              status, issues    is it news?     is it asked for?
 *
 *   O1  One node tells: the primary. Where nobody is known to be primary, of those that hear each
 *       other the first by name; two sides of a cut may both tell, for neither knows the other.
 *   O2  A new teller says once of every connector how it is, and whoever has told trouble also
 *       tells its end, teller or not. So a receiver of all events always comes to know how it is.
 *   O3  What passes within 'after_ms' is not told. While nobody knows how it is, nothing passes: an
 *       activation that fails, is tried again and fails is one trouble.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/base/err.h"
#include "sites/connector.h"
#include "sites/fault.h"
#include "sites/shape.h"

#define NOTICE_PREFIX          "notice/"
#define NOTICE_CONNECTORS_MAX  256
#define NOTICE_TIMEOUT_MS      30000 /* where the document sets none */
#define NOTICE_AFTER_MS        2000
#define NOTICE_TEXT_SIZE       512
#define NOTICE_DELIVERY_SIZE   128
#define NOTICE_EVENT_TYPE_SIZE 32

/* ---- how a connector is (A7) ---- */

/*    symbol, in a body, in "events" and event_type */
#define NOTICE_STATUS_TABLE(X)                                                                     \
    X(ACTIVE, "Active", "active")                                                                  \
    X(WARNING, "Warning", "warning")                                                               \
    X(ERROR, "Error", "error")                                                                     \
    X(DISABLED, "Disabled", "disabled")             /* it has no server and no instances */        \
    X(INITIALIZING, "Initializing", "initializing") /* not known yet; never told */

enum notice_status {
#define X(symbol, word, name) NOTICE_##symbol,
    NOTICE_STATUS_TABLE(X)
#undef X
        NOTICE_STATUS_COUNT
};
/* "Active" */
const char *notice_status_word(enum notice_status status);

/*    symbol, code (stable: for programs), what it makes of a connector */
#define NOTICE_ISSUE_TABLE(X)                                                                      \
    X(NO_PRIMARY, "no_primary", ERROR)                                                             \
    X(NO_SERVER, "no_server", ERROR) /* use_alternate_server is set, and there is none */          \
    X(ACTIVATION_FAILED, "activation_failed", ERROR)                                               \
    X(SERVER_UNREACHABLE, "server_unreachable", ERROR) /* the server in use */                     \
    X(INSTANCES_NONE, "instances_none", ERROR)         /* A10 */                                   \
    X(INSTANCES_FEW, "instances_few", WARNING)                                                     \
    X(INSTANCES_ALONE, "instances_alone", WARNING) /* A9 */                                        \
    X(INSTANCES_MANY, "instances_many", WARNING)                                                   \
    X(CREDENTIAL, "credential", WARNING)        /* its secret is not there */                      \
    X(REPAIRED, "activation_repaired", WARNING) /* somebody else has a hand in it */

enum notice_issue {
#define X(symbol, code, status) NOTICE_ISSUE_##symbol,
    NOTICE_ISSUE_TABLE(X)
#undef X
        NOTICE_ISSUE_COUNT
};
const char *notice_issue_code(enum notice_issue issue);
/* The reverse; NOTICE_ISSUE_COUNT for what is no code. */
enum notice_issue notice_issue_parse(const char *code);

/* What is known of a connector; texts are borrowed, NULL for no such issue. */
struct notice_facts {
    bool wanted;  /* it has a server that would be used, or ought to have instances */
    bool pending; /* its activation runs, or its server was not asked yet */
    const char *issues[NOTICE_ISSUE_COUNT];
};

/* Without a primary all else says nothing: no server is in use. */
enum notice_status notice_judge(const struct notice_facts *facts);

/* ---- when it is told ---- */

/* Zero in the beginning. One for each notice and connector. */
struct notice_track {
    bool any; /* 'told' says something */
    enum notice_status told;
    enum notice_status seen;
    uint64_t seen_ms; /* since then; monotonic */
    bool looked;
};

/* Whether 'status' is to be told now; then it counts as told. 'teller': this node is (O1). */
MUST_CHECK bool notice_step(struct notice_track *track, enum notice_status status, bool teller,
                            uint64_t after_ms, uint64_t now_ms);

/* O1. 'primary' "": nobody is known to be; 'there': the other members that were heard lately. */
MUST_CHECK bool notice_teller(const char *self, const char *primary, const char *const *there,
                              size_t count);

/* ---- the document ---- */

struct notice {
    char name[CONNECTOR_NAME_SIZE];
    struct json_object *document; /* owned reference */
    struct connector_webhook receiver;
    unsigned statuses;       /* bits: 1 << enum notice_status */
    const char **connectors; /* owned array; NULL: every one */
    size_t connector_count;
    uint64_t timeout_ms; /* of all tries of one delivery, before a longer pause */
    uint64_t after_ms;
};

/* Adds every fault of the document. */
void notice_faults(struct json_object *document, struct fault_list *faults);
/* '*ret' is the caller's. ERR_INVALID "bad_value" with the faults. */
MUST_CHECK enum err_code notice_read(const char *name, struct json_object *document,
                                     struct notice **ret, struct err *err);
void notice_free(struct notice *notice);

bool notice_names(const struct notice *notice, const char *connector);
bool notice_wants(const struct notice *notice, enum notice_status status);

/* {"event_type","event_time","data":{"id","name","type","status","issues":[{"code","text"}]}}; the
 * caller's. 'at': when it was seen, in UTC. */
struct json_object *notice_body(const char *connector, enum notice_status status,
                                const struct notice_facts *facts, const char *at);

/* For help, manual and docs. */
extern const struct shape notice_shape;
