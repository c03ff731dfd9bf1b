/*
 * plan.h -- what to do about one connector: a pure function of what is wanted and what was done.
 *
 *     wanted   done last                           then
 *     server   the same, and it succeeded          rest
 *     server   the same, it failed                 run again when its pause is over
 *     server   the same, cut short                 run again at once, with the same id
 *     server   the same, refused by a receiver     rest: an epoch that is too old never gets newer
 *     server   something else                      run, with a new id
 *     server   a later epoch                       blocked (I10)
 *     none     nothing, or a deactivation done     rest
 *     none     an activation, done or not          deactivate, under the epoch of that activation
 *     none     a deactivation that failed          run again when its pause is over
 *     any      something that still runs           rest if it is what is wanted, else stop it
 *
 * A deactivation carries the epoch of the activation that it undoes. A receiver that two nodes
 * share has then seen the later epoch of the new primary and refuses it, as it must; one of our own
 * has not, and takes it. Either way the deactivation is done.
 *
 * The action id is the idempotency key: every try of one change has the same, and no two changes
 * share one. The sequence tells main -> alternate -> main within one epoch and revision apart.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sites/connector.h"
#include "sites/effective.h"
#include "sites/epoch.h"

#define ACTIVATION_ID_SIZE 256

/*    symbol     name */
#define ACTIVATION_STATE_TABLE(X)                                                                  \
    X(NEVER, "never") /* nothing was run for this connector on this node */                        \
    X(RUNNING, "running")                                                                          \
    X(OK, "done")                                                                                  \
    X(FAILED, "failed")       /* tried again by itself */                                          \
    X(REFUSED, "refused")     /* a receiver has seen a later epoch */                              \
    X(CANCELLED, "cancelled") /* fenced, superseded, or batond ended: perhaps done, perhaps not */

enum activation_state {
#define X(symbol, name) ACTIVATION_##symbol,
    ACTIVATION_STATE_TABLE(X)
#undef X
};

/* Which effects this node may have now. */
enum activation_gate {
    ACTIVATION_GATE_CLOSED,  /* fenced, or in doubt: none */
    ACTIVATION_GATE_RELEASE, /* standby: deactivations of our own */
    ACTIVATION_GATE_OPEN,    /* primary */
};

/* One change: server 'none' is a deactivation. */
struct activation_change {
    enum effective_server server; /* NONE, MAIN or ALTERNATE */
    struct epoch epoch;
    uint64_t revision; /* of the connector's document in the shared log */
    uint64_t sequence; /* counts the changes of this connector on this node, from 1 */
};

/* The last change and how it went. A zeroed one is "never". */
struct activation_record {
    struct activation_change change;
    enum activation_state state;
    bool before_start; /* done by an earlier batond: an activation is proved again */
    unsigned tries;
    uint64_t failed_at_ms; /* FAILED; clock_now_ms() */
};

struct activation_pauses {
    uint64_t first_ms; /* setting activation.retry_ms */
    uint64_t max_ms;   /* setting activation.retry_max_ms */
};

enum activation_verdict {
    ACTIVATION_REST,    /* nothing to do, or it is under way */
    ACTIVATION_RUN,     /* run 'change' */
    ACTIVATION_WAIT,    /* run 'change', but not before 'at_ms' */
    ACTIVATION_STOP,    /* end what runs, then ask again */
    ACTIVATION_BLOCKED, /* may not run now: see 'reason' */
};

struct activation_step {
    enum activation_verdict verdict;
    struct activation_change change; /* RUN, WAIT */
    uint64_t at_ms;                  /* WAIT */
    const char *reason;              /* static; "" when there is nothing to say */
};

/*
 * 'desired->sequence' is not looked at. EFFECTIVE_ERROR is wanted as none: nothing that the
 * settings do not name is ever in use.
 */
struct activation_step activation_plan(const struct activation_change *desired,
                                       const struct activation_record *recorded,
                                       enum activation_gate gate,
                                       const struct activation_pauses *pauses, uint64_t now_ms);

/*
 * When the drivers that can tell whether all still is as they made it are asked next, in
 * clock_now_ms(); UINT64_MAX: not while all stays as it is. Only what succeeded and is still wanted
 * is looked after, and only by who may do that change now.
 */
struct activation_looks {
    uint64_t looked_ms; /* the last try or look ended then */
    uint64_t pause_ms;  /* setting activation.check_ms; 0: never, but for 'again_ms' */
    uint64_t again_ms;  /* a driver asked for a look after so long; 0: none did */
    bool news;          /* other instances: at once */
};
uint64_t activation_look_at(const struct activation_change *desired,
                            const struct activation_record *recorded, enum activation_gate gate,
                            const struct activation_looks *looks);

/* Nothing is left to do for this desire, now or later. */
bool activation_settled(const struct activation_change *desired,
                        const struct activation_record *recorded);

const char *activation_state_name(enum activation_state state);
/* false, for a name that is none of ours. */
MUST_CHECK bool activation_state_from_name(const char *name, enum activation_state *ret_state);
const char *activation_gate_name(enum activation_gate gate);
const char *activation_verdict_name(enum activation_verdict verdict);

/* "pam:3:west-1:alternate:42:7": connector, epoch, holder, server, revision, sequence. */
const char *activation_id(const char *connector, const struct activation_change *change,
                          char text[ACTIVATION_ID_SIZE]);
/* The reverse, for a record that is read back; false when it is not such an id. */
MUST_CHECK bool activation_id_parse(const char *text, char connector[CONNECTOR_NAME_SIZE],
                                    struct activation_change *ret_change);
