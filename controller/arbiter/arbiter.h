/*
 * arbiter.h -- the port to who grants the lease: one record for each cluster, in a third place.
 *
 *   record  epoch (number, holder): the highest ever granted; its holder has the lease, or had it
 *           lease_ms, remaining_ms: by the arbiter's own clock; released: given back by its holder
 *           clean: when this epoch was granted, the one before had been given back
 *           grant: counts what was acquired; promised: no note of an earlier epoch is taken
 *           note, number: what the holder wants everybody to know who comes after it
 *
 *   EMPTY --create--> HELD --release--> RELEASED
 *                     |  ^------------acquire of a later epoch, or of the same one
 *                     '--lease_ms without renewal--> EXPIRED, left as RELEASED is
 *
 *   A1  The record's epoch never falls, and one epoch is granted to one holder only.
 *   A2  A lease is granted while nobody else has it. What an old answer says is believed by nobody:
 *       the lease of a reply ends at sent_ms + lease_ms, and sent_ms is taken before anything of it
 *       is sent. A lease may end later at the arbiter than its holder believes, never earlier; who
 *       takes it without 'clean' waits all the same, because arbiters of others break that.
 *   A3  An arbiter that lost its record is no free seat (EMPTY), and neither is one whose record is
 *       older than what it acknowledged once (RESTORED): it grants nothing to anybody until a
 *       person says what holds (CREATE with 'adopt').
 *   A4  Whatever is not clearly granted is UNCLEAR: a timeout, any error, an answer that does not
 *       make sense, a clock that went back, a comparison that others won.
 *   A5  A note is taken from the holder of the lease alone, only while it has it, only when its
 *       number is higher than that of the note that is there, and never again once a later epoch
 *       was promised. So who has the arbiter's promise knows the last word of every earlier epoch,
 *       and no late message changes it. A record that is made anew keeps the note that it finds,
 *       unless the one that comes with it is higher: a person says who acts, not who acknowledged.
 *   A6  What belongs to one ACQUIRE (its 'grant') does nothing after the next: a RELEASE that was
 *       long under way does not release what was acquired again under the same epoch.
 *   A7  Who was removed is told and granted nothing by a witness, once the holder of the lease has
 *       said so; nobody is let in again by an older list, and who is on none is let in. An etcd
 *       asks its own users and roles.
 *   A8  What was released is not granted again, not to its own holder either: an ACQUIRE that was
 *       long under way would take back what the next one was told to be free of.
 *
 * Asynchronous, on the loop. No call is without a deadline, and none blocks.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/base/err.h"
#include "sites/epoch.h"

struct ev_loop;

#define ARBITER_ENDPOINTS_MAX   8
#define ARBITER_CALLS_MAX       16 /* under way at once */
#define ARBITER_LEASE_MS_MIN    1000
#define ARBITER_LEASE_MS_MAX    3600000
#define ARBITER_DEADLINE_MS_MAX 60000
#define ARBITER_JSON_SIZE_MAX   65536
#define ARBITER_NOTE_SIZE       4097 /* bytes of a note, and its end */

/*    symbol, name */
#define ARBITER_KIND_TABLE(X)                                                                      \
    X(MANUAL, "manual")     /* nobody: people decide */                                            \
    X(POSTGRES, "postgres") /* `baton witness`, or any PostgreSQL with its schema */               \
    X(ETCD, "etcd")

enum arbiter_kind {
#define X(symbol, name) ARBITER_##symbol,
    ARBITER_KIND_TABLE(X)
#undef X
};

/*    symbol, name */
#define ARBITER_OP_TABLE(X)                                                                        \
    X(CREATE, "create") /* by a person only; the record is then held by the holder of 'epoch' */   \
    X(READ, "read")                                                                                \
    X(ACQUIRE, "acquire") /* a later epoch, or our own once more, also after it ran out; A8 */     \
    X(RENEW, "renew")                                                                              \
    X(RELEASE, "release")                                                                          \
    X(PROMISE, "promise") /* a later epoch is about to be taken, whoever has the lease */          \
    X(NOTE, "note")       /* A5 */                                                                 \
    X(BAR, "bar")         /* A7; not of an etcd */

enum arbiter_op {
#define X(symbol, name) ARBITER_OP_##symbol,
    ARBITER_OP_TABLE(X)
#undef X
};

/*    symbol, name */
#define ARBITER_RESULT_TABLE(X)                                                                    \
    X(GRANTED, "granted") /* ACQUIRE, RENEW: ours until sent_ms + lease_ms */                      \
    X(DONE, "done")       /* all others */                                                         \
    X(HELD, "held")       /* ACQUIRE: another has it, for remaining_ms at most */                  \
    X(STALE, "stale")     /* the record has a later epoch than the one asked for (PROMISE: not an  \
                             earlier one), or promised one (NOTE, PROMISE): learn it */            \
    X(EXPIRED, "expired") /* RENEW, RELEASE, NOTE, BAR: too late, not granted, or of another       \
                             grant; ACQUIRE: A8; nobody has taken it yet */                        \
    X(EXISTS, "exists")   /* CREATE without 'adopt': there is a record */                          \
    X(EMPTY, "empty")     /* no record, where one should be (A3) */                                \
    X(RESTORED, "restored") /* the record is older than one that was acknowledged (A3) */          \
    X(UNCLEAR, "unclear")   /* perhaps done, perhaps not; 'err' says why (A4) */

enum arbiter_result {
#define X(symbol, name) ARBITER_##symbol,
    ARBITER_RESULT_TABLE(X)
#undef X
};

const char *arbiter_kind_name(enum arbiter_kind kind);
const char *arbiter_op_name(enum arbiter_op op);
const char *arbiter_result_name(enum arbiter_result result);

/* ---- what the cluster knows of its arbiter: the value of the key "arbiter"; no secrets ---- */

struct arbiter_config {
    enum arbiter_kind kind;
    char *dsn;                              /* owned; POSTGRES: as libpq reads it, no password */
    char *endpoints[ARBITER_ENDPOINTS_MAX]; /* owned; ETCD: "https://HOST:PORT" */
    size_t endpoint_count;
    char *ca; /* owned; PEM: who may sign the arbiter; NULL: DSN or operating system say it */
};

/*
 * {"kind": "manual"}
 * {"kind": "postgres", "dsn": "host=third.example port=7445", "ca": "-----BEGIN ..."}
 * {"kind": "etcd", "endpoints": ["https://etcd-1.example:2379"], "ca": "-----BEGIN ..."}
 * ERR_INVALID, slug "arbiter": the member at fault. '*ret_config' is the caller's.
 */
MUST_CHECK enum err_code arbiter_config_read(struct json_object *value,
                                             struct arbiter_config *ret_config, struct err *err);
void arbiter_config_done(struct arbiter_config *config);

/* ---- asking ---- */

struct arbiter_options {
    struct ev_loop *loop;                /* borrowed */
    const struct arbiter_config *config; /* not MANUAL */
    const char *cluster_id;
    const char *node; /* our name, for the arbiter's log */
    const char *cert; /* paths: the node's certificate is what it proves itself with */
    const char *key;
};

struct arbiter;

/* Copies the options; connects when asked. ERR_INVALID: the configuration names nothing that can
 * be asked. */
MUST_CHECK enum err_code arbiter_open(const struct arbiter_options *options,
                                      struct arbiter **ret_arbiter, struct err *err);
/* Calls that are under way are not answered any more. NULL is fine. Not from inside a 'done'. */
void arbiter_close(struct arbiter *arbiter);

struct arbiter_ask {
    enum arbiter_op op;
    struct epoch epoch; /* CREATE: the lowest that holds; ACQUIRE, PROMISE: wanted; else: ours */
    struct epoch known; /* the highest that this node knows this arbiter to have granted; number 0:
                           none. A record below it was restored (A3) */
    uint32_t lease_ms;  /* CREATE, ACQUIRE, RENEW */
    uint32_t deadline_ms;
    bool adopt;       /* CREATE: whatever the record is, by a person's word */
    uint64_t grant;   /* RENEW, RELEASE, NOTE, BAR: that it belongs to; 0: any */
    uint64_t number;  /* CREATE, NOTE */
    const char *note; /* CREATE, NOTE: UTF-8, shorter than ARBITER_NOTE_SIZE; NULL: ""; BAR:
                         {"NODE": the first generation of that name that is let in, > 1, ...} */
};

struct arbiter_reply {
    enum arbiter_op op;
    enum arbiter_result result;
    uint64_t sent_ms;      /* clock_now_ms() before the first byte was sent */
    uint64_t answered_ms;  /* clock_now_ms() when it was known */
    bool has_record;       /* what follows holds; of after the call when it was done */
    struct epoch epoch;    /* number 0 without a record */
    uint32_t lease_ms;     /* that were granted last */
    uint32_t remaining_ms; /* at most; 0: expired or released */
    bool released;
    bool clean; /* nobody can act under an epoch before this one */
    uint64_t grant;
    struct epoch promised; /* number 0: none */
    uint64_t number;       /* 0: there was no note yet */
    char note[ARBITER_NOTE_SIZE];
    struct err err; /* UNCLEAR: why; else a sentence for people where there is something to say */
};

/* Called once, from the loop, never from inside arbiter_start(). The reply is borrowed. */
typedef void arbiter_done_fn(void *data, const struct arbiter_reply *reply);

struct arbiter_call;

/* Copies the ask. The handle is valid until 'done' is called. */
struct arbiter_call *arbiter_start(struct arbiter *arbiter, const struct arbiter_ask *ask,
                                   arbiter_done_fn *done, void *data);
/* 'done' will not be called; what was sent may be carried out all the same. NULL is fine. Not from
 * inside its own 'done'. */
void arbiter_cancel(struct arbiter_call *call);

/*
 * The note of the next BAR: those of 'wanted' that 'told' (NULL: nobody) does not have, or with an
 * earlier generation, as many as fit. Both are objects of {"NODE": first generation}. NULL: nobody
 * is left to tell; else the caller's.
 */
struct json_object *arbiter_bar_next(struct json_object *told, struct json_object *wanted);
