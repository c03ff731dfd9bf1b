/*
 * setting.h -- every key that Baton knows: one table for parser, limits, help, manual and SQL
 * rules.
 *
 *     scope     where a value may stand             its layers, the first that has a value wins
 *     cluster   shared config, site ""              cluster, default
 *     site      shared config, a site or ""         site, cluster, default
 *     node      schema local of one node            node, default
 *     system    shared config, by Baton alone       cluster
 *     secret    shared config, sealed (sealing.h)   cluster
 *
 * Pure: the values come through 'struct setting_source'. A stored value that the table does not
 * allow (psql users write without our check) is never used: the default is, and it is reported.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "controller/base/err.h"
#include "sites/fault.h"

/* The database enforces the same. */
#define SETTING_KEY_SIZE_MAX      255
#define SETTING_VALUE_SIZE_MAX    262144
#define SETTING_NUMBER_LENGTH_MAX 64 /* characters of a number within a value, written out */
#define SETTING_CHANGE_COUNT_MAX  1000

/*
 * In a name, "*" is one RFC 1123 name and a last "**" is anything. The unit of a CHOICE is its list
 * of choices. min and max: the value of an INTEGER, the bytes of a TEXT. A default of NULL: none,
 * or derived (durability). LIVE: in force at once; RESTART: at the next start of batond.
 */
/*    id, name, type, unit, min, max, default, scope, reload, text */
#define SETTING_TABLE(X)                                                                           \
    X(DURABILITY, "durability", CHOICE, "strict|available|async", 0, 0, NULL, CLUSTER, LIVE,       \
      "strict: a write is acknowledged when sync.k members have it; available: the same, but "     \
      "after sync.wait_ms the arbiter is told, and writes go on with fewer; async: when the "      \
      "primary has it. Not set: from two standbys on available with an arbiter and strict "        \
      "without, async below")                                                                      \
    X(SYNC_K, "sync.k", INTEGER, "members", 1, 8, "1", CLUSTER, LIVE,                              \
      "how many members beside the primary must have a write when durability is strict")           \
    X(SYNC_COMMIT_WAIT_MS, "sync.commit_wait_ms", INTEGER, "ms", 100, 600000, "10000", CLUSTER,    \
      LIVE, "a write not acknowledged after this long is answered with outcome unknown")           \
    X(SYNC_WAIT_MS, "sync.wait_ms", INTEGER, "ms", 100, 600000, "2000", CLUSTER, LIVE,             \
      "durability available: a write that nobody acknowledges for this long ends the promise: "    \
      "it is recorded and alarmed, and writes go on without")                                      \
    X(WRITE_HOLD_MS, "write.hold_ms", INTEGER, "ms", 0, 120000, "15000", CLUSTER, LIVE,            \
      "how long a write is held while no node is open for writes, before it fails")                \
    X(WRITE_QUEUE_MAX, "write.queue_max", INTEGER, "writes", 1, 100000, "10000", CLUSTER, LIVE,    \
      "writes that may wait at one node; more are refused at once")                                \
    X(PROMOTE_FREEZE_MS, "promote.freeze_ms", INTEGER, "ms", 100, 60000, "2000", CLUSTER, LIVE,    \
      "how long a switchover waits for writers in flight before it goes back")                     \
    X(PROMOTE_DRAIN_MS, "promote.drain_ms", INTEGER, "ms", 100, 60000, "5000", CLUSTER, LIVE,      \
      "how long a switchover keeps writes closed while the candidate catches up")                  \
    X(PROMOTE_STEP_MS, "promote.step_ms", INTEGER, "ms", 100, 600000, "10000", CLUSTER, LIVE,      \
      "deadline of every other step of a promotion")                                               \
    X(PROMOTE_CALL_MS, "promote.call_ms", INTEGER, "ms", 50, 60000, "1000", CLUSTER, LIVE,         \
      "how long a promotion waits for one answer of a member; for a promise that it needs, "       \
      "promote.step_ms more")                                                                      \
    X(LEASE_TTL_MS, "lease.ttl_ms", INTEGER, "ms", 2000, 300000, "5000", CLUSTER, LIVE,            \
      "how long the arbiter grants the right to act; a silent primary is replaced no sooner")      \
    X(LEASE_RENEW_MS, "lease.renew_ms", INTEGER, "ms", 100, 60000, "1000", CLUSTER, LIVE,          \
      "pause between two renewals of the lease, and how long the arbiter may take to answer")      \
    X(TAKEOVER_WITHIN_SITE, "takeover.within_site", CHOICE, "automatic|manual|unguarded", 0, 0,    \
      "automatic", CLUSTER, LIVE,                                                                  \
      "who decides when the primary is gone and a node of its site could take over. automatic: "   \
      "Baton, with an arbiter; manual: a person; unguarded: Baton without an arbiter, at the "     \
      "risk "                                                                                      \
      "of two primaries")                                                                          \
    X(TAKEOVER_ACROSS_SITES, "takeover.across_sites", CHOICE, "automatic|manual|unguarded", 0, 0,  \
      "manual", CLUSTER, LIVE, "the same for a node of another site")                              \
    X(TAKEOVER_DELAY_MS, "takeover.delay_ms", INTEGER, "ms", 0, 3600000, "500", SITE, LIVE,        \
      "how long the primary must have been gone before a node of this site takes over, and how "   \
      "much longer each node waits for a better one")                                              \
    X(TAKEOVER_PRIORITY, "takeover.priority", INTEGER, "points", 0, 100, "50", NODE, LIVE,         \
      "of several nodes that could take over, the one with the most does; 0: never by itself")     \
    X(TAKEOVER_COOLDOWN_MS, "takeover.cooldown_ms", INTEGER, "ms", 0, 86400000, "60000", CLUSTER,  \
      LIVE, "pause between two automatic takeovers")                                               \
    X(TAKEOVER_PER_HOUR_MAX, "takeover.per_hour_max", INTEGER, "takeovers", 1, 60, "2", CLUSTER,   \
      LIVE, "more automatic takeovers than this within an hour need a person")                     \
    X(CHECK_INTERVAL_MS, "check.interval_ms", INTEGER, "ms", 0, 60000, "0", NODE, LIVE,            \
      "how often this node asks every other member for its state; 0: as peer.poll_ms says")        \
    X(CHECK_TAKEOVER_DELAY_MS, "check.takeover_delay_ms", INTEGER, "ms", 0, 3600000, "0", NODE,    \
      LIVE,                                                                                        \
      "how long the primary must have been gone before this node takes over; 0: as "               \
      "takeover.delay_ms says")                                                                    \
    X(MEMBERS_MODE, "members.mode", CHOICE, "cluster|pair", 0, 0, "cluster", CLUSTER, LIVE,        \
      "pair: the primary and one standby; another may join only in place of one that was lost "    \
      "for "                                                                                       \
      "three check intervals. cluster: any number")                                                \
    X(RTO_MS, "rto_ms", INTEGER, "ms", 0, 86400000, "0", CLUSTER, LIVE,                            \
      "how long an outage may last by your own rules: settings that could take longer are "        \
      "refused; see baton budget. 0: not declared")                                                \
    X(LOG_KEEP_DAYS, "log.keep_days", INTEGER, "days", 1, 3650, "30", CLUSTER, LIVE,               \
      "rows of the shared log younger than this are kept")                                         \
    X(LOG_KEEP_ROWS, "log.keep_rows", INTEGER, "rows", 1000, 100000000, "1000000", CLUSTER, LIVE,  \
      "that many of the newest rows of the shared log are kept whatever their age")                \
    X(DIGEST_INTERVAL_MS, "digest.interval_ms", INTEGER, "ms", 1000, 3600000, "60000", CLUSTER,    \
      LIVE, "how often the head hash of the log is compared with the other members")               \
    X(PEER_POLL_MS, "peer.poll_ms", INTEGER, "ms", 100, 60000, "1000", CLUSTER, LIVE,              \
      "how often every other member is asked for its state")                                       \
    X(PEER_TIMEOUT_MS, "peer.timeout_ms", INTEGER, "ms", 100, 60000, "2000", CLUSTER, LIVE,        \
      "how long one such question may take")                                                       \
    X(PEER_STALE_MS, "peer.stale_ms", INTEGER, "ms", 500, 600000, "5000", CLUSTER, LIVE,           \
      "a fact about a member older than this is shown as unknown")                                 \
    X(READY_INTERVAL_MS, "ready.interval_ms", INTEGER, "ms", 1000, 3600000, "60000", CLUSTER,      \
      LIVE,                                                                                        \
      "how often each node proves the servers that it would use; three times this long "           \
      "without proof is unknown, and unknown is not ready")                                        \
    X(READY_LAG_MAX, "ready.lag_max", INTEGER, "revisions", 0, 1000000000, "1000", CLUSTER, LIVE,  \
      "a member that is further behind the primary is not ready to be promoted")                   \
    X(PROBE_INTERVAL_MS, "probe.interval_ms", INTEGER, "ms", 500, 3600000, "10000", SITE, LIVE,    \
      "pause between two probes of a connector server, where the connector sets none")             \
    X(PROBE_TIMEOUT_MS, "probe.timeout_ms", INTEGER, "ms", 100, 60000, "2000", SITE, LIVE,         \
      "how long a probe may take, where the connector sets no timeout")                            \
    X(ACTIVATION_TIMEOUT_MS, "activation.timeout_ms", INTEGER, "ms", 100, 600000, "30000", SITE,   \
      LIVE, "how long a driver may take, where the connector sets no timeout")                     \
    X(ACTIVATION_RETRY_MS, "activation.retry_ms", INTEGER, "ms", 100, 600000, "1000", SITE, LIVE,  \
      "pause before a failed activation is tried again; doubles each time")                        \
    X(ACTIVATION_RETRY_MAX_MS, "activation.retry_max_ms", INTEGER, "ms", 1000, 3600000, "10000",   \
      SITE, LIVE, "longest pause between two tries of an activation")                              \
    X(ACTIVATION_CHECK_MS, "activation.check_ms", INTEGER, "ms", 0, 3600000, "5000", SITE, LIVE,   \
      "how often a driver that can tell looks whether all is still as it made it, and puts right " \
      "what somebody changed; 0: never")                                                           \
    X(SESSION_IDLE_MS, "session.idle_ms", INTEGER, "ms", 60000, 86400000, "1800000", CLUSTER,      \
      LIVE, "a login that is not used for this long ends")                                         \
    X(SESSION_MAX_MS, "session.max_ms", INTEGER, "ms", 60000, 2592000000, "43200000", CLUSTER,     \
      LIVE, "a login ends after this long, used or not")                                           \
    X(LOGIN_FAILURES_MAX, "login.failures_max", INTEGER, "tries", 1, 100, "5", CLUSTER, LIVE,      \
      "wrong passwords, for an account or from an address, before further tries are delayed")      \
    X(LOGIN_DELAY_MS, "login.delay_ms", INTEGER, "ms", 100, 60000, "1000", CLUSTER, LIVE,          \
      "first delay after too many wrong passwords; doubles with each further one")                 \
    X(LOGIN_DELAY_MAX_MS, "login.delay_max_ms", INTEGER, "ms", 1000, 86400000, "300000", CLUSTER,  \
      LIVE, "longest such delay")                                                                  \
    X(METRICS_PUBLIC, "metrics.public", BOOL, "", 0, 0, "false", CLUSTER, LIVE,                    \
      "whether /metrics answers without a login")                                                  \
    X(ALARM_CERT_DAYS, "alarm.cert_days", INTEGER, "days", 1, 89, "30", CLUSTER, LIVE,             \
      "a certificate that ends within this many days raises an alarm")                             \
    X(ALARM_DISK_FREE_MB, "alarm.disk_free_mb", INTEGER, "MB", 0, 1000000, "100", NODE, LIVE,      \
      "less free space than this under the data directory raises an alarm")                        \
    X(LOG_LEVEL, "log.level", CHOICE, "error|warn|info|debug", 0, 0, "info", NODE, LIVE,           \
      "how much batond of this node writes to its log")                                            \
    X(PG_SHARED_BUFFERS_MB, "pg.shared_buffers_mb", INTEGER, "MB", 8, 65536, "32", NODE, RESTART,  \
      "shared_buffers of the managed PostgreSQL")                                                  \
    X(PG_MAX_CONNECTIONS, "pg.max_connections", INTEGER, "connections", 30, 1000, "60", NODE,      \
      RESTART, "max_connections of the managed PostgreSQL")                                        \
    X(PG_WAL_KEEP_MB, "pg.wal_keep_mb", INTEGER, "MB", 64, 1048576, "2048", NODE, LIVE,            \
      "max_slot_wal_keep_size of the managed PostgreSQL: the most WAL kept for an absent member")  \
    X(USE_ALTERNATE, "connector/*/use_alternate_server", BOOL, "", 0, 0, "false", NODE, LIVE,      \
      "whether this node, when it acts, uses the alternate server of the connector")               \
    X(CONNECTOR, "connector/*", CONNECTOR, "", 0, 0, NULL, SITE, LIVE,                             \
      "a connector: its main and alternate server, probe and activation")                          \
    X(NOTICE, "notice/*", NOTICE, "", 0, 0, NULL, CLUSTER, LIVE,                                   \
      "whom to tell over HTTPS when a connector is in trouble (A11)")                              \
    X(SECRET, "secret/*", ANY, "", 0, 0, NULL, SECRET, LIVE,                                       \
      "a secret, sealed by a node before anybody stores it; never shown: baton secret set")        \
    X(INSTANCE_HEARTBEAT_MS, "instance.heartbeat_ms", INTEGER, "ms", 500, 600000, "10000",         \
      CLUSTER, LIVE, "how often the agent of an instance checks it, and says so to every node")    \
    X(INSTANCE_SILENCE_MS, "instance.silence_ms", INTEGER, "ms", 1000, 3600000, "30000", CLUSTER,  \
      LIVE, "an instance whose agent was silent for this long is DISCONNECTED")                    \
    X(INSTANCE_EXPECTED, "instance/*/expected", INTEGER, "instances", 1, 256, "1", CLUSTER, LIVE,  \
      "how many instances of the connector there ought to be; fewer raise an alarm")               \
    X(INSTANCE_NEXT_VERSION, "instance/*/next_version", TEXT, "", 1, 63, NULL, CLUSTER, LIVE,      \
      "the version that the instances of the connector are upgraded to, one after the other")      \
    X(APP, "app/**", ANY, "", 0, 0, NULL, SITE, LIVE, "free keys for your own configuration")      \
    X(SYSTEM_CLUSTER, "cluster", ANY, "", 0, 0, NULL, SYSTEM, LIVE, "name and id of the cluster")  \
    X(SYSTEM_EPOCH, "epoch", ANY, "", 0, 0, NULL, SYSTEM, LIVE,                                    \
      "number, holder and origin of the current epoch")                                            \
    X(SYSTEM_NODE, "node/*", ANY, "", 0, 0, NULL, SYSTEM, LIVE, "a member")                        \
    X(SYSTEM_TOKEN, "token/*", ANY, "", 0, 0, NULL, SYSTEM, LIVE, "an invitation to join")         \
    X(SYSTEM_AGENT, "agent/*", ANY, "", 0, 0, NULL, SYSTEM, LIVE,                                  \
      "a token for the instances of a connector")                                                  \
    X(SYSTEM_INSTANCES, "instance/*/known", ANY, "", 0, 0, NULL, SYSTEM, LIVE,                     \
      "the version that is admitted for a connector, and its instances")                           \
    X(SYSTEM_USER, "user/*", ANY, "", 0, 0, NULL, SYSTEM, LIVE, "a person who may log in")         \
    X(SYSTEM_SEAL, "seal/keys", ANY, "", 0, 0, NULL, SYSTEM, LIVE,                                 \
      "the data keys of the secrets, each in a box for every member")                              \
    X(SYSTEM_SYNC, "sync/set", ANY, "", 0, 0, NULL, SYSTEM, LIVE,                                  \
      "the members whose acknowledgement counts")                                                  \
    X(SYSTEM_ARBITER, "arbiter", ANY, "", 0, 0, NULL, SYSTEM, LIVE,                                \
      "who grants the lease: kind and address")                                                    \
    X(SYSTEM_PAUSE, "pause", ANY, "", 0, 0, NULL, SYSTEM, LIVE,                                    \
      "until when no takeover starts by itself, and why")                                          \
    X(SYSTEM_PROMOTION, "promotion/**", ANY, "", 0, 0, NULL, SYSTEM, LIVE,                         \
      "the record of a promotion")

/*
 * Keys of node scope: how the values of several nodes go together. FREE: as one likes. MATCH: the
 * same on every node, or a promotion changes more than who is primary. DIFFER: the same on the
 * nodes of a site, and another one at the primary's site, or both sites use the same server (P4).
 */
/*    id, rule */
#define SETTING_DRIFT_TABLE(X)                                                                     \
    X(TAKEOVER_PRIORITY, FREE)                                                                     \
    X(CHECK_INTERVAL_MS, FREE) /* S12: who follows says how often it looks */                      \
    X(CHECK_TAKEOVER_DELAY_MS, FREE)                                                               \
    X(ALARM_DISK_FREE_MB, FREE)                                                                    \
    X(LOG_LEVEL, FREE)                                                                             \
    X(PG_SHARED_BUFFERS_MB, FREE) /* S56: a standby may be a smaller host */                       \
    X(PG_MAX_CONNECTIONS, MATCH)                                                                   \
    X(PG_WAL_KEEP_MB, MATCH)                                                                       \
    X(USE_ALTERNATE, DIFFER)

enum setting_id {
#define X(id, ...) SETTING_##id,
    SETTING_TABLE(X)
#undef X
        SETTING_COUNT
};

/* The table in docs and --json: BOOL is "bool" and so on. */
#define SETTING_TYPE_TABLE(X)                                                                      \
    X(BOOL, "bool")                                                                                \
    X(INTEGER, "integer")                                                                          \
    X(TEXT, "text")                                                                                \
    X(CHOICE, "choice")                                                                            \
    X(CONNECTOR, "connector")                                                                      \
    X(NOTICE, "notice")                                                                            \
    X(ANY, "any")
enum setting_type {
#define X(type, name) SETTING_TYPE_##type,
    SETTING_TYPE_TABLE(X)
#undef X
};

enum setting_scope {
    SETTING_SCOPE_CLUSTER,
    SETTING_SCOPE_SITE,
    SETTING_SCOPE_NODE,
    SETTING_SCOPE_SYSTEM,
    SETTING_SCOPE_SECRET,
};

enum setting_drift { SETTING_DRIFT_FREE, SETTING_DRIFT_MATCH, SETTING_DRIFT_DIFFER };

enum setting_reload { SETTING_RELOAD_LIVE, SETTING_RELOAD_RESTART };

/* From the narrowest to the widest. */
enum setting_layer {
    SETTING_LAYER_NODE,
    SETTING_LAYER_SITE,
    SETTING_LAYER_CLUSTER,
    SETTING_LAYER_DEFAULT,
};

struct setting_row {
    enum setting_id id;
    const char *name; /* with "*" and "**" as in the table */
    enum setting_type type;
    const char *unit;    /* INTEGER, TEXT; "" when there is none */
    const char *choices; /* CHOICE: "a|b"; else NULL */
    int64_t min;
    int64_t max;
    const char *default_text; /* NULL: none */
    enum setting_scope scope;
    enum setting_reload reload;
    const char *text;
};

/* ---- the table ---- */

const struct setting_row *setting_row(enum setting_id id);
/* The row of a key, or NULL when Baton does not know it. */
const struct setting_row *setting_find(const char *key);
const char *setting_type_name(enum setting_type type);
const char *setting_scope_name(enum setting_scope scope);
const char *setting_layer_name(enum setting_layer layer);
/* FREE for keys of another scope. */
enum setting_drift setting_drift(enum setting_id id);
/* "free", "match", "differ" */
const char *setting_drift_name(enum setting_drift drift);
/* The default as JSON, the caller's; NULL when there is none. */
struct json_object *setting_default(const struct setting_row *row);
/* For local.key_rule: [{"pattern","scope"}]; "%" in a pattern is any text, and of several that
 * match the longest decides. The caller's. */
struct json_object *setting_rules_json(void);

/* ---- checks of what comes from outside ---- */

/* "key_unknown" (with the nearest known one), "key_spelling", "key_too_long"; the database says the
 * same by the same slugs, here and below. */
MUST_CHECK enum err_code setting_check_key(const char *key, const struct setting_row **ret,
                                           struct err *err);
/* May a person write this key there? 'layer' NODE: local; else shared, with 'site' "" for the
 * cluster. "key_system"; "key_secret"; "key_scope": node key in shared, shared key in local, a site
 * for a key of cluster scope; "site_spelling". */
MUST_CHECK enum err_code setting_check_place(const char *key, enum setting_layer layer,
                                             const char *site, struct err *err);
/* Every fault of a value; JSON null is NULL. Adds nothing when all is well. */
void setting_faults(const char *key, struct json_object *value, struct fault_list *faults);
/* The same in one error: "bad_value", or ERR_LIMIT "value_too_large", "number_too_long". */
MUST_CHECK enum err_code setting_check_value(const char *key, struct json_object *value,
                                             struct err *err);
/* Key, place and value together, as every write needs it. A deletion checks key and place only. */
MUST_CHECK enum err_code setting_check_change(const char *key, enum setting_layer layer,
                                              const char *site, bool is_delete,
                                              struct json_object *value, struct err *err);

/* ---- effective values ---- */

/* A value as it is stored in one layer. */
struct setting_stored {
    struct json_object *value; /* borrowed; NULL is JSON null */
    const char *author;        /* borrowed; NULL when not known */
    const char *at;            /* borrowed; when, as text; NULL when not known */
    uint64_t revision;         /* shared layers; 0 in local */
};

/* Where values come from, as seen by one node. */
struct setting_source {
    /* Is there a value? 'site' is "" but for SETTING_LAYER_SITE; never asked for DEFAULT. */
    bool (*find)(void *data, enum setting_layer layer, const char *site, const char *key,
                 struct setting_stored *ret);
    void *data;       /* borrowed */
    const char *site; /* borrowed; the site of the node */
    bool node_known;  /* false: another node's local settings, which we cannot see */
};

struct setting_value {
    const struct setting_row *row;
    enum setting_layer layer;     /* where the value is from */
    bool known;                   /* false: a node key of a node that we cannot see */
    bool set;                     /* false: no layer has a value, and there is no default */
    bool refused;                 /* a stored value was not allowed and passed over */
    struct json_object *value;    /* owned */
    struct setting_stored stored; /* layer != DEFAULT */
};

/* What one layer holds; false: nothing, or no such layer for this key. The value is not checked. */
bool setting_layer_find(const struct setting_row *row, const char *key, enum setting_layer layer,
                        const struct setting_source *source, struct setting_stored *ret);
/* Node, else site, else cluster, else default, as far as the scope of the key has these layers. */
void setting_resolve(const struct setting_row *row, const char *key,
                     const struct setting_source *source, struct setting_value *ret);
void setting_value_done(struct setting_value *value);

/* The effective value of a row without "*", of that type. Text is borrowed: from the table, or
 * from the store until it changes. */
uint64_t setting_u64(enum setting_id id, const struct setting_source *source);
bool setting_bool(enum setting_id id, const struct setting_source *source);
const char *setting_text(enum setting_id id, const struct setting_source *source);
/* How often this node asks the others: by its own setting, else by peer.poll_ms. */
uint64_t setting_check_interval_ms(const struct setting_source *source);
bool setting_use_alternate(const char *connector, const struct setting_source *source);

/* How many instances of the connector there ought to be. */
unsigned setting_instances_expected(const char *connector, const struct setting_source *source);
/* The version that they are upgraded to; NULL: none is named. Borrowed until the store changes. */
const char *setting_next_version(const char *connector, const struct setting_source *source);

/* Where one effective value must leave room for another: every pair that does not fit, at the key
 * that is to be mended. To be asked before a change, of the values as they would be after it. */
void setting_bound_faults(const struct setting_source *source, struct fault_list *faults);

/* ---- durability ---- */

struct setting_durability {
    bool strict;    /* acknowledgements are waited for */
    bool available; /* until sync.wait_ms, where the arbiter can be told; never without strict */
    unsigned k;     /* acknowledgements that a write waits for; 0 when not strict */
    bool derived;   /* not set by anybody */
};

/* 'chosen' is "strict", "available", "async", or NULL for not set: from two standbys on strict, or
 * available where there is an arbiter. */
struct setting_durability setting_durability_effective(const char *chosen, unsigned k,
                                                       unsigned standby_count, bool has_arbiter);
struct setting_durability setting_durability(const struct setting_source *source,
                                             unsigned standby_count, bool has_arbiter);
