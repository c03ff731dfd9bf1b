/*
 * ready.h -- could this node do the work if it were promoted now, and could its site? Pure: what is
 * known of it comes in, a verdict and every reason come out ("baton ready").
 *
 *   a reason that BLOCKS -> NOT_READY,   else one that is UNKNOWN -> UNKNOWN,   else READY
 *
 * Unknown is not ready: what nobody has tried lately is what fails on the day it is needed (S49,
 * S80, S85). What WARNS is told and changes nothing yet. A site is ready when one of its nodes is.
 *
 * Each node proves its connector servers by itself and tells it in a signed statement
 * (daemon/prover.h), whose records are judged here; the rest is what members tell each other
 * anyway. P5: every target connector is on the server; P4: the flag use_alternate_server that was
 * forgotten.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sites/connector.h"
#include "sites/effective.h"
#include "sites/node.h"
#include "sites/setting.h"

#define READY_REASONS_MAX     64
#define READY_TEXT_SIZE       224
#define READY_STALE_INTERVALS 3 /* of ready.interval_ms; older is unknown */

/* ---- what a node tells of one connector ---- */

/*    symbol, name */
#define READY_CHECK_TABLE(X)                                                                       \
    X(SERVER, "server")           /* the settings choose one */                                    \
    X(REACH, "reach")             /* name, address, connection */                                  \
    X(TLS, "tls")                 /* chain and pin */                                              \
    X(CERTIFICATE, "certificate") /* days until it ends */                                         \
    X(CREDENTIAL, "credential")   /* the secret that it names is there */                          \
    X(HEALTH, "health")           /* its health path answers as it should */                       \
    X(TARGETS, "targets")         /* P5: every target connector exists there */                    \
    X(VERSION, "version")         /* as the server tells it */

enum ready_check {
#define X(symbol, name) READY_CHECK_##symbol,
    READY_CHECK_TABLE(X)
#undef X
        READY_CHECK_COUNT
};
const char *ready_check_name(enum ready_check check);

enum ready_outcome {
    READY_OUTCOME_UNKNOWN, /* not tried, or not known */
    READY_OUTCOME_NONE,    /* there is nothing to check */
    READY_OUTCOME_OK,
    READY_OUTCOME_WARN,
    READY_OUTCOME_FAILED,
};
/* "unknown", "none", "ok", "warn", "failed" */
const char *ready_outcome_name(enum ready_outcome outcome);
/* UNKNOWN for what is no name. */
enum ready_outcome ready_outcome_parse(const char *name);

struct ready_record {
    const char *connector;        /* borrowed */
    enum effective_server server; /* that it would use; in use, when it is primary */
    uint64_t revision;            /* of the document that it read */
    uint64_t age_ms;              /* of the probe */
    struct {
        enum ready_outcome outcome;
        const char *text; /* borrowed */
    } checks[READY_CHECK_COUNT];
};

/* What a connector has to be proved for: as the document is here, for that node's site. */
struct ready_wanted {
    const char *connector; /* borrowed */
    uint64_t revision;
    bool any_server; /* main or alternate is set; without, there is nothing to use yet (P6) */
};

/* ---- what is known of a node ---- */

enum ready_digest { READY_DIGEST_UNKNOWN, READY_DIGEST_SAME, READY_DIGEST_DIFFERENT };

/* Local settings that do not go together; see ready_drift(). */
struct ready_drift {
    const char *key;   /* borrowed, as the names */
    const char *node;  /* that differs, or must and does not ... */
    const char *other; /* ... from this one */
    bool blocks;       /* false: it warns */
};

/* What a node's database keeps of its write-ahead log for one that is away: the worst of its slots.
 */
struct ready_slot {
    const char *name;  /* borrowed; "": none, or not known */
    const char *state; /* borrowed; wal_status of pg_replication_slots */
    bool active;
    uint64_t kept_mb;
    uint64_t most_mb; /* max_slot_wal_keep_size; 0: no bound */
};
/* It is lost, or keeps nine tenths of the most: then its follower has to begin anew. */
bool ready_slot_is_full(const struct ready_slot *slot);

/* Texts are borrowed and never NULL. */
struct ready_view {
    const char *node;
    bool heard;       /* lately */
    const char *deaf; /* else: why not */
    enum node_state state;
    const char *reason; /* of the state */
    bool receiving;     /* a standby: its subscription does */
    bool primary_known;
    uint64_t revision;
    uint64_t head; /* newest of the primary */
    uint64_t lag_max;
    bool voter; /* of the record in force (I13) */
    enum ready_digest digest;
    unsigned schema;
    unsigned primary_schema; /* 0: not known, as below */
    const char *version;
    const char *primary_version; /* "": not known */
    bool paused;

    bool proved; /* a statement of it is here that verifies */
    const char *unproved;
    uint64_t age_ms; /* of the statement: told by who made it, and since it came here */
    uint64_t interval_ms;
    /* from the statement */
    bool database;       /* its own answers */
    const char *arbiter; /* what is wrong with it, as seen from there; "" for nothing */
    bool disk_known;
    uint64_t disk_free_mb;
    uint64_t disk_least_mb;
    bool wal_known; /* where its database keeps the write-ahead log */
    bool wal_apart; /* on another file system than the rest of its data */
    uint64_t wal_free_mb;
    struct ready_slot slot;
    bool certificate_known; /* of the node itself */
    int64_t certificate_days;
    uint64_t certificate_warn_days;
    unsigned postgres; /* major version */
    unsigned primary_postgres;
    const struct ready_record *records;
    size_t record_count;

    const struct ready_wanted *wanted;
    size_t wanted_count;
    const struct ready_drift *drifts; /* of all nodes: those of this one are picked */
    size_t drift_count;
};

/* ---- what follows ---- */

/*    symbol, code (stable: for programs), weight, what to do */
#define READY_RULE_TABLE(X)                                                                        \
    X(UNHEARD, "unheard", UNKNOWN, "start batond there, or mend the network between")              \
    X(UNPROVED, "unproved", UNKNOWN, "wait for ready.interval_ms; then baton doctor there")        \
    X(STALE, "stale", UNKNOWN, "see its log for 'prover'; baton doctor there")                     \
    X(STATE, "state", BLOCKS, "baton doctor there, baton why")                                     \
    X(DATABASE, "database", BLOCKS, "start its PostgreSQL; pg/log there says why it stopped")      \
    X(RECEIVING, "receiving", BLOCKS, "baton doctor there; pg/log says why changes stop")          \
    X(NO_PRIMARY, "no_primary", UNKNOWN,                                                           \
      "baton why; how far it is behind is known with a primary")                                   \
    X(LAG, "lag", BLOCKS, "wait until it has caught up, or set ready.lag_max")                     \
    X(SYNC, "sync", BLOCKS, "wait until it has caught up: the primary takes it in by itself")      \
    X(DIGEST, "digest", BLOCKS, "it holds another history: baton doctor, baton setaside list")     \
    X(DIGEST_UNKNOWN, "digest_unknown", UNKNOWN, "wait for digest.interval_ms")                    \
    X(SCHEMA, "schema", BLOCKS, "finish the upgrade: secondaries first, then the primary")         \
    X(VERSION, "version", WARNS, "finish the upgrade of Baton")                                    \
    X(POSTGRES, "postgres", WARNS, "run the same major version of PostgreSQL on all nodes")        \
    X(ARBITER, "arbiter", BLOCKS, "baton arbiter test")                                            \
    X(DISK, "disk", BLOCKS, "make room under its data directory")                                  \
    X(WAL_DISK, "wal_disk", BLOCKS,                                                                \
      "make room where its database keeps pg_wal; what is kept for a member that is away goes "    \
      "when it is back, or removed: baton node remove")                                            \
    X(SLOT, "slot", BLOCKS,                                                                        \
      "bring the member back that it is for, or baton node remove; pg.wal_keep_mb says how much "  \
      "is kept")                                                                                   \
    X(WAL_ROOM, "wal_room", WARNS,                                                                 \
      "bring the member back that it is for, make room, or lower pg.wal_keep_mb on every node")    \
    X(NODE_CERTIFICATE, "node_certificate", BLOCKS,                                                \
      "its certificate is renewed while batond runs "                                              \
      "and knows a primary: see its log for 'certificate'")                                        \
    X(NODE_CERTIFICATE_SOON, "node_certificate_soon", WARNS, "see its log for 'certificate'")      \
    X(PAUSED, "paused", WARNS, "baton resume, when the work is done")                              \
    X(DRIFT, "drift", BLOCKS, "baton local get KEY on both, then baton local set on one")          \
    X(DRIFT_SITES, "drift_sites", WARNS,                                                           \
      "two sites would use one server: baton local set "                                           \
      "connector/NAME/use_alternate_server on the nodes of one (P4), if that is not meant")        \
    X(NO_RECORD, "no_record", UNKNOWN, "wait for ready.interval_ms; then baton doctor there")      \
    X(REVISION, "revision", UNKNOWN, "wait: the document has changed, and is proved anew")         \
    X(OLD_RECORD, "old_record", UNKNOWN, "wait for ready.interval_ms; see its log for 'probe'")    \
    X(FLAG, "flag", BLOCKS, "configure the alternate server, or unset use_alternate_server there") \
    X(NO_SERVER, "no_server", BLOCKS, "configure main, or set use_alternate_server there")         \
    X(REACH, "reach", BLOCKS, "start the server, or open the way to it from that node")            \
    X(TLS, "tls", BLOCKS,                                                                          \
      "renew the server's certificate, or mend 'ca' or 'pin' of the connector")                    \
    X(CERTIFICATE, "certificate", BLOCKS, "renew the server's certificate")                        \
    X(CERTIFICATE_SOON, "certificate_soon", WARNS, "renew the server's certificate")               \
    X(CREDENTIAL, "credential", BLOCKS,                                                            \
      "baton secret set, or give the node the data key: baton secret list")                        \
    X(HEALTH, "health", BLOCKS, "mend the server; its health path must answer as expected")        \
    X(TARGETS, "targets", BLOCKS, "configure the target connector on that server, too")            \
    X(UNTRIED, "untried", UNKNOWN, "let it be checked: for targets set probe.targets_path")

enum ready_rule {
#define X(symbol, ...) READY_RULE_##symbol,
    READY_RULE_TABLE(X)
#undef X
        READY_RULE_COUNT
};
enum ready_weight { READY_WARNS, READY_UNKNOWN_IS, READY_BLOCKS };
const char *ready_rule_code(enum ready_rule rule);
/* "warns", "unknown", "blocks" */
const char *ready_rule_weight(enum ready_rule rule);
const char *ready_rule_mend(enum ready_rule rule);
/*
 * The alarm that a node raises for it about itself, also where its site need not be ready because
 * it is the primary's: "wal_slot", "wal_disk", "wal_room". NULL: none.
 */
const char *ready_rule_alarm(enum ready_rule rule);

enum ready_verdict { READY_YES, READY_UNKNOWN, READY_NO };
/* "ready", "unknown", "not_ready" */
const char *ready_verdict_name(enum ready_verdict verdict);

struct ready_reason {
    enum ready_rule rule;
    char connector[CONNECTOR_NAME_SIZE]; /* "": the node itself */
    char text[READY_TEXT_SIZE];
};

struct ready {
    enum ready_verdict verdict; /* also by those that did not fit */
    size_t count;
    size_t more;
    struct ready_reason list[READY_REASONS_MAX];
};

void ready_decide(const struct ready_view *view, struct ready *ret);
/* Of its nodes: READY when one is, else UNKNOWN when one is unknown; without any, UNKNOWN. */
enum ready_verdict ready_site(const enum ready_verdict *nodes, size_t count);

/* ---- drift ---- */

/* What a node told of one of its local settings: a keyed digest, never the value. */
struct ready_value {
    const char *node; /* borrowed, as the others */
    const char *site;
    const char *key;
    const char *digest;
    enum setting_drift rule;
};

/*
 * Which do not go together (setting.h says of each key how). MATCH: whoever differs from the
 * primary, or from the first node when the primary told nothing. DIFFER: nodes of one site must
 * match, and a site that has what the primary's site has is told as a warning (P4). Sorts 'values'.
 * Fills at most 'max' and returns how many there are.
 */
size_t ready_drift(struct ready_value *values, size_t count, const char *primary,
                   struct ready_drift *ret, size_t max);
