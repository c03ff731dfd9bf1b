/*
 * instance.h -- the running copies of a connector: which may register, which are there, and what
 * that means for the connector. Pure: time, settings and records come in as values.
 *
 *   hello -> [same version?] -> [newest of its name?] -> CONNECTED --silence, leave--> DISCONNECTED
 *                 |                      |
 *                 '- refused             '- refused: another session holds the name
 *
 * Several instances stand under one connector id (A1). An agent beside each says every
 * instance.heartbeat_ms, to every node, that it is there; each node keeps what it heard in memory,
 * and the shared log holds only what must outlive them: the admitted version, and who was there
 * (the record). An agent draws its session's id itself, so the id is the same on every node, and a
 * promotion changes nothing of it.
 *
 *   N1  All instances of a connector have one version (A2): the admitted one. Another is refused,
 *       but for the one that the operator has named as the next.
 *   N2  The next version becomes the admitted one when enough of its instances work, or when no
 *       other is left; from then on the old one is refused.
 *   N3  A session is there only while its instance is CONNECTED (A5), and one that was ended by its
 *       own agent does not come back.
 *   N4  Of two sessions under one name the one that began later holds it: the other is refused as
 *       long as it is there, so two agents with one name do not take turns.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/base/err.h"
#include "controller/base/list.h"
#include "controller/base/own.h"
#include "sites/spread.h"

#define INSTANCE_NAME_SIZE     64 /* of a connector, and of an instance; RFC 1123 */
#define INSTANCE_VERSION_SIZE  64
#define INSTANCE_SESSION_SIZE  33 /* 16 random bytes, hexadecimal */
#define INSTANCE_TOKEN_SIZE    17
#define INSTANCE_TEXT_SIZE     160
#define INSTANCE_METADATA_MAX  16     /* members */
#define INSTANCE_METADATA_SIZE 256    /* bytes of a name or a value */
#define INSTANCE_COUNT_MAX     4096   /* on one node */
#define INSTANCE_CONNECTOR_MAX 256    /* of one connector */
#define INSTANCE_FORGET_S      604800 /* a week: then one that is gone is no longer shown */
#define INSTANCE_ALARM_SIZE    512

/* What an agent says. All texts are borrowed for the call. */
struct instance_hello {
    const char *connector;
    const char *name;
    const char *session;
    const char *token;            /* its id; who is revoked ends the session */
    const char *version;          /* of the connector (metadata.connector_version) */
    int64_t began_ms;             /* wall clock of the agent when the session began */
    bool healthy;                 /* the connector answers its health check */
    const char *text;             /* why not */
    const char *address;          /* where it takes requests (spread.h); NULL: nowhere */
    struct json_object *metadata; /* free fields: an object of texts, or NULL */
};

/* One instance as this node knows it. */
struct instance {
    struct list node; /* in instance_set.all */
    char connector[INSTANCE_NAME_SIZE];
    char name[INSTANCE_NAME_SIZE];
    char session[INSTANCE_SESSION_SIZE];
    char token[INSTANCE_TOKEN_SIZE];
    char version[INSTANCE_VERSION_SIZE];
    char text[INSTANCE_TEXT_SIZE];
    struct spread_address address;
    int64_t began_ms;
    uint64_t heard_ms;         /* monotonic */
    int64_t last_connected_ms; /* wall clock, of the last heartbeat */
    bool connected;
    bool healthy;
    bool left;                    /* by its own word (N3) */
    struct json_object *metadata; /* owned, or NULL */
};

struct instance_set {
    struct list all; /* in the order in which they first came */
    size_t count;
    struct instance **sorted; /* owned; 'count' of them, by connector, then by name */
    size_t capacity;
};

/* What is decided about a connector elsewhere. */
struct instance_rules {
    const char *admitted; /* NULL or "": nobody has registered yet */
    const char *next;     /* named by the operator; NULL or "": none */
};

struct instance_counts {
    unsigned connected;
    unsigned working;      /* connected and healthy */
    unsigned next_working; /* of these, with the next version */
    unsigned old;          /* connected with another version than the next */
};

void instance_set_init(struct instance_set *set);
void instance_set_done(struct instance_set *set);
/* NULL when this node has not heard of it. */
struct instance *instance_find(const struct instance_set *set, const char *connector,
                               const char *name);

/*
 * Takes one heartbeat, the first of a session or a further one. '*ret_changed': the connector's
 * record may have to be written.
 *
 * ERR_INVALID "instance_invalid": a part of the hello is not what it must be.
 * ERR_CONFLICT "instance_version" (N1): with both versions and the order of an upgrade.
 * ERR_CONFLICT "instance_taken" (N4), "instance_left" (N3).
 * ERR_LIMIT "too_many_instances".
 * A refused session ends if it was there ('*ret_changed'): N1 holds for those that are in, too.
 */
MUST_CHECK enum err_code instance_hear(struct instance_set *set, const struct instance_rules *rules,
                                       const struct instance_hello *hello, uint64_t now_ms,
                                       int64_t wall_ms, bool *ret_changed, struct err *err);
/* The agent ends its session. False: that session is not there. */
bool instance_leave(struct instance_set *set, const char *connector, const char *name,
                    const char *session);
/* Ends the session of one instance, whatever its agent says. */
void instance_end(struct instance *instance);
/* Ends every session that was silent for 'silence_ms'; how many. */
size_t instance_lapse(struct instance_set *set, uint64_t silence_ms, uint64_t now_ms);

/* Those with an address, by name; an address that several have takes when one of them does. How
 * many. */
size_t instance_spread(const struct instance_set *set, const char *connector,
                       struct spread_target list[SPREAD_COUNT_MAX]);

struct instance_counts instance_count(const struct instance_set *set, const char *connector,
                                      const struct instance_rules *rules);
/* The version that is to be admitted from now on; "" for as it is (N2). Borrowed. */
const char *instance_admits(const struct instance_set *set, const char *connector,
                            const struct instance_rules *rules, unsigned expected);

/*
 * The record: {"version": TEXT, "instances": [{"name","version","connected","last_connected_ms"}]},
 * ordered by name; last_connected_ms is null while it is connected, so that a heartbeat changes
 * nothing. The caller's.
 *
 * 'old' is the record of now (borrowed), NULL for none. An instance that it has and this node has
 * not heard of stays as it is, until 'settled': then it is gone, last seen at 'since_ms' at the
 * latest. One that was gone for INSTANCE_FORGET_S is left out.
 */
struct json_object *instance_record(const struct instance_set *set, const char *connector,
                                    struct json_object *old, const char *version, bool settled,
                                    int64_t since_ms, int64_t wall_ms);

/*
 * The alarm of a connector, with its name (A10) and what is to be done (A9); false for none.
 * 'expected' is how many instances there ought to be.
 */
struct instance_alarm {
    const char *name; /* "instances_none", "instances_few", "instances_alone" */
    char text[INSTANCE_ALARM_SIZE];
};
MUST_CHECK bool instance_alarm(const char *connector, const struct instance_counts *counts,
                               const struct instance_rules *rules, unsigned expected,
                               struct instance_alarm *ret_alarm);

/* The same of what its proxy has room for: "instances_many". */
MUST_CHECK bool instance_room_alarm(const char *connector, const struct spread_room *room,
                                    struct instance_alarm *ret_alarm);

/* "1.7.0": letters, digits and ".-_+", at most 63. */
bool instance_is_version(const char *text);
/* 32 hexadecimal digits. */
bool instance_is_session(const char *text);
