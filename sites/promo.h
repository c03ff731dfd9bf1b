/*
 * promo.h -- one promotion, seen from the node that is to become primary. Pure: event in, effects
 * out; the daemon carries them out and answers with events.
 *
 *   planned (the primary answers):
 *     IDLE -order-> ASKING -> ARMING -> PREPARING -> FREEZING -> DRAINING -> CAPTURING -.
 *                                            (until here: thaw, and all is as before)   |
 *   failover (it does not):                                                             |
 *     IDLE -order-> ASKING -> CAPTURING -> [CATCHING_UP] -> ARMING ----------------.    |
 *                                                                                  v    v
 *     DONE <- RELEASING <- ACKNOWLEDGING <- OPENING <--------------- [CATCHING_UP] <----'
 *
 *   renewal (a primary that met a later promise takes a later epoch): ASKING -> CAPTURING ...
 *   resumption (a restarted holder whose epoch its peers confirm): ARMING -> OPENING ...
 *
 *   I1  the epoch asked for is later than every one seen, and names its holder.
 *   I3  a promise is durable before it is counted: CAPTURED comes after the commit.
 *   I5  the captured voters meet every acknowledgement (quorum.h), or a person took the loss on.
 *   I6  the candidate holds the largest captured position before it opens.
 *   I4  a row that is pulled acknowledges nothing: before the pull our own subscriptions are gone,
 *       or the row would come again from an earlier primary, as one that is there already, and that
 *       primary would count us, who have promised it nothing.
 *   I5  Where a primary may give up its promise (degrade.h), the arbiter knows whether it has. It
 * is asked with the members; and when the old primary itself does not promise, the arbiter does: to
 * take no word of an earlier epoch any more. Its answer has the last one. So what counts is the
 * later one of two records: of the log, and of the arbiter's note (quorum_in_force()). I12 slots
 * stand before the first row of the epoch: ARMING comes before OPENING. It comes again when the
 * rows that were caught up on have changed who acknowledges. The point of no return is the first
 * promise. Before it a failed step reopens the old primary under its old epoch; after it a repeated
 * command goes forward with a later epoch.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/base/err.h"
#include "sites/node.h"
#include "sites/quorum.h"

#define PROMO_MEMBERS_MAX QUORUM_VOTERS_MAX
#define PROMO_TEXT_SIZE   256
#define PROMO_STEPS_MAX   24
#define PROMO_EFFECTS_MAX 32

enum promo_mode { PROMO_SWITCHOVER, PROMO_FAILOVER, PROMO_RENEWAL, PROMO_RESUMPTION };
const char *promo_mode_name(enum promo_mode mode);

/* How we know that the old primary is out. */
enum promo_proof { PROMO_PROOF_NONE, PROMO_FENCED_PROVED, PROMO_UNREACHABLE, PROMO_ASSERTED };
const char *promo_proof_name(enum promo_proof proof);

#define PROMO_STATE_TABLE(X)                                                                       \
    X(IDLE)                                                                                        \
    X(ASKING)        /* every member is asked what it is */                                        \
    X(ARMING)        /* slots for the others, synchronous_standby_names; read back */              \
    X(PREPARING)     /* the others subscribe to us; writes are still open */                       \
    X(FREEZING)      /* the old primary stops taking writes */                                     \
    X(DRAINING)      /* until we have its last revision */                                         \
    X(CAPTURING)     /* durable promises; the point of no return */                                \
    X(CATCHING_UP)   /* pulling what only another captured member has */                           \
    X(OPENING)       /* our database takes the epoch */                                            \
    X(ACKNOWLEDGING) /* the first row of the epoch, acknowledged by k */                           \
    X(RELEASING)     /* the old side gives its connector servers up; writes are open */            \
    X(THAWING)       /* backing out: the old primary is to open again */                           \
    X(DONE)                                                                                        \
    X(FAILED)

enum promo_state {
#define X(name) PROMO_STATE_##name,
    PROMO_STATE_TABLE(X)
#undef X
        PROMO_STATE_COUNT
};
const char *promo_state_name(enum promo_state state);

#define PROMO_EVENT_TABLE(X)                                                                       \
    X(ORDER)    /* by a person, or by the node itself for renewal and resumption */                \
    X(ANSWER)   /* ok: a member's facts; not ok: it could not be asked */                          \
    X(TOLD)     /* ok: the arbiter's note; not ok: it could not be asked */                        \
    X(ARMED)    /* ok: slots and names are as asked, read back */                                  \
    X(PREPARED) /* a member streams from us, or not ok */                                          \
    X(FROZEN)   /* the old primary's last position, or not ok */                                   \
    X(APPLIED)  /* our own position moved */                                                       \
    X(CAPTURED) /* ok: the member's promise is durable, with its position; or refused */           \
    X(PROMISED) /* ok: the arbiter's promise, and its note; refused: another has a later one */    \
    X(PULLED)   /* ok: our position, and the record in our log now */                              \
    X(OPENED)   /* ok: our database holds the epoch */                                             \
    X(ACKNOWLEDGED) /* the epoch's first row is acknowledged; not ok: outcome unknown */           \
    X(RELEASED)     /* the old side has deactivated, or not ok */                                  \
    X(THAWED)       /* the old primary writes again, or not ok */                                  \
    X(SUPERSEDED)   /* we promised another epoch to somebody else */                               \
    X(LOST)         /* the node is candidate no more: its database went, a later primary came */   \
    X(TIMEOUT)      /* the alarm; the step compares its deadline itself */

enum promo_event_kind {
#define X(name) PROMO_EV_##name,
    PROMO_EVENT_TABLE(X)
#undef X
        PROMO_EV_COUNT
};
const char *promo_event_name(enum promo_event_kind kind);

/* Named checks before anything is touched. 'may override': by --override NAME. */
/*    symbol      name           may override */
#define PROMO_CHECK_TABLE(X)                                                                       \
    X(MEMBER, "member", false)        /* the target is a member of this cluster */                 \
    X(PRIMARY, "primary", false)      /* who is primary now, or that nobody answers as such */     \
    X(QUORUM, "quorum", false)        /* enough voters answer; else --accept-data-loss */          \
    X(SYNC, "sync", false)            /* the target is a voter; else --accept-data-loss */         \
    X(ARBITER, "arbiter", true)       /* it says whether the old primary went on alone */          \
    X(ACKS, "acks", true)             /* enough would acknowledge afterwards; else fewer count */  \
    X(SCHEMA, "schema", true)         /* same schema as the primary */                             \
    X(STREAMING, "streaming", true)   /* the target follows the primary and is near its end */     \
    X(DIGEST, "digest", true)         /* our log holds the same history as the primary's */        \
    X(CONNECTORS, "connectors", true) /* the servers that it would use answer from there */        \
    X(FREEZE, "freeze", true)         /* skipped: no freeze, the primary is treated as lost */

enum promo_check {
#define X(symbol, name, may) PROMO_CHECK_##symbol,
    PROMO_CHECK_TABLE(X)
#undef X
        PROMO_CHECK_COUNT
};
const char *promo_check_name(enum promo_check check);
bool promo_check_may_override(enum promo_check check);
/* False when it is no check's name. */
MUST_CHECK bool promo_check_parse(const char *name, enum promo_check *ret_check);

enum promo_verdict { PROMO_OK, PROMO_WARN, PROMO_STOP, PROMO_OVERRIDDEN };
const char *promo_verdict_name(enum promo_verdict verdict);

struct promo_finding {
    enum promo_verdict verdict;
    char text[PROMO_TEXT_SIZE];
};

struct promo_order {
    enum promo_mode mode; /* FAILOVER and SWITCHOVER are told apart here by who answers */
    bool dry_run;         /* end after the checks */
    bool accept_data_loss;
    bool takeover;             /* Baton's own: nothing to do when a primary answers */
    char gone[NODE_NAME_SIZE]; /* takeover: who was found not to answer, and is not asked again what
                                  it is; for its promise it is. "": nobody */
    unsigned overrides;        /* bit 1u << enum promo_check */
    bool history_differs;      /* the primary's head hash is not in our log (I13) */
    bool connectors_ready;     /* the latent servers of this node answer */
    char connectors_text[PROMO_TEXT_SIZE];
    char time[QUORUM_TIME_SIZE]; /* of the order, for the record */
};

/* What the arbiter says, where it has to be asked. */
struct promo_arbiter {
    bool asked;          /* an answer is outstanding */
    bool told;           /* 'note' is what it has, or had when it was asked last */
    bool promised;       /* it takes none of an earlier epoch any more */
    uint64_t row;        /* that chose the one that was asked last */
    bool changes;        /* CATCHING_UP and later: our record did not name it when we captured */
    struct epoch newest; /* that it has granted or promised */
    struct quorum_note note;
    char text[PROMO_TEXT_SIZE]; /* why it could not be asked */
};

/* Milliseconds; every wait of a promotion has one of these bounds. */
struct promo_limits {
    uint64_t call_ms; /* one question to a peer; a promise that is needed has step_ms beyond it */
    uint64_t prepare_ms; /* slots and standing subscriptions, writes open */
    uint64_t freeze_ms;  /* until the old primary says that its last writer has ended */
    uint64_t drain_ms;
    uint64_t step_ms;    /* every other step */
    uint64_t release_ms; /* the old side's deactivation */
};

struct promo_member {
    char name[NODE_NAME_SIZE];
    bool self;
    bool asked;    /* an answer is outstanding */
    bool answered; /* facts are valid */
    bool lost;     /* could not be asked */
    bool prepared;
    bool captured;
    struct node_facts facts;
    struct position captured_at;
    struct epoch promised_before; /* captured: the promise that ours took the place of */
};

struct promo_step_record {
    enum promo_state state;
    uint64_t started_ms;
    uint64_t ended_ms; /* 0 while it runs */
    char text[PROMO_TEXT_SIZE];
};

struct promo {
    char self[NODE_NAME_SIZE];
    struct promo_limits limits;
    enum promo_state state;
    uint64_t number; /* of the orders that it took */
    struct promo_order order;
    enum promo_mode mode;
    struct epoch epoch;               /* the one being taken */
    struct epoch old_epoch;           /* the newest that any answer showed */
    char old_primary[NODE_NAME_SIZE]; /* the holder to freeze, capture, release; "" for none */
    struct quorum_record log;         /* the record of our log */
    struct quorum_record record;      /* in force, with what the arbiter says */
    struct promo_arbiter arbiter;
    struct node_facts own;
    struct promo_member members[PROMO_MEMBERS_MAX];
    size_t member_count;
    bool armed;
    bool patient;   /* CAPTURING: call_ms are over, and without who is missing it is not enough */
    bool concluded; /* enough promises were given: no way back */
    struct quorum_set armed_for; /* armed: whose acknowledgements our names ask for */
    bool degraded;          /* 'record' is not that of the log, and is to be written: fewer count */
    struct position target; /* DRAINING, CATCHING_UP: what we must hold */
    struct position started_at; /* our position when it began, for the loss report */
    uint64_t deadline_ms;       /* of the state; 0 for none */
    enum promo_proof proof;
    struct promo_finding findings[PROMO_CHECK_COUNT];
    struct promo_step_record steps[PROMO_STEPS_MAX];
    size_t step_count;
    struct err failure; /* FAILED: why, and what next */
};

struct promo_event {
    enum promo_event_kind kind;
    uint64_t now_ms;
    const char *node; /* ANSWER, PREPARED, CAPTURED: the authenticated peer, or self */
    bool ok;
    bool fenced; /* ACKNOWLEDGED, not ok: nothing was written, for our database takes no writes */
    const char *text;                   /* not ok, LOST: the cause; may be NULL */
    const struct node_facts *facts;     /* ANSWER */
    struct position position;           /* FROZEN, APPLIED, CAPTURED, PULLED */
    struct epoch promised;              /* CAPTURED: the promise before ours; refused: the later
                                           one; SUPERSEDED; PROMISED, refused: the later one;
                                           TOLD: the latest that the arbiter has granted, or
                                           promised */
    const struct quorum_record *record; /* PULLED: as the log says now */
    const struct quorum_note *note;     /* TOLD, PROMISED: ok */
    uint64_t arbiter;                   /* TOLD, PROMISED: revision of the row that chose it */
    const struct promo_order *order;    /* ORDER */
};

#define PROMO_EFFECT_TABLE(X)                                                                      \
    X(ASK)         /* facts of 'node', within call_ms */                                           \
    X(ASK_ARBITER) /* for its note; answer TOLD */                                                 \
    X(PROMISE)     /* of the arbiter, for 'epoch'; answer PROMISED */                              \
    X(ARM)         /* slots for all others ('remake': even where they exist), then the names */    \
    X(PREPARE)     /* 'node' makes its subscription to us and says when it streams */              \
    X(FREEZE)      /* 'node', the old primary, for 'epoch'; it reopens after freeze_ms */          \
    X(THAW)        /* 'node' */                                                                    \
    X(CAPTURE)     /* 'node' promises 'epoch' */                                                   \
    X(PULL)        /* drop our own subscriptions, set aside what 'node' has not, then from 'node'  \
                      until 'position' */                                                          \
    X(DETACH)      /* drop our own subscriptions, off the path */                                  \
    X(OPEN)        /* our database takes 'epoch' ('resume': it holds it already) */                \
    X(FOLLOW)      /* tell 'node' that we are primary of 'epoch' */                                \
    X(FIRST_ROW)   /* write the epoch's row and wait for its acknowledgement */                    \
    X(WRITES_OPEN) /* acknowledged: take writes */                                                 \
    X(RELEASE)     /* 'node', the old primary, deactivates its connector servers */                \
    X(ACTIVATE)    /* we may act on the outside */                                                 \
    X(ALARM)       /* TIMEOUT at 'at_ms' */                                                        \
    X(FINISHED)    /* DONE or FAILED (or the checks of a dry run): report and record */

enum promo_effect_kind {
#define X(name) PROMO_DO_##name,
    PROMO_EFFECT_TABLE(X)
#undef X
        PROMO_DO_COUNT
};
const char *promo_effect_name(enum promo_effect_kind kind);

struct promo_effect {
    enum promo_effect_kind kind;
    char node[NODE_NAME_SIZE];
    struct epoch epoch;
    struct position position;
    bool remake;
    bool resume;
    uint64_t at_ms;
};

struct promo_effects {
    size_t count;
    struct promo_effect list[PROMO_EFFECTS_MAX];
};

void promo_init(struct promo *promo, const char *self, const struct promo_limits *limits);

/*
 * Tells who the members are (removed ones left out; the node itself must be among them), what the
 * node itself is and which record its log holds. Only before an ORDER.
 */
MUST_CHECK enum err_code promo_set(struct promo *promo, const struct node_facts *own,
                                   const char *const *members, size_t member_count,
                                   const struct quorum_record *record, struct err *err);

/*
 * What the arbiter has said to this node of its own epoch, for a resumption; NULL for
 * nothing. After promo_set().
 */
void promo_set_note(struct promo *promo, const struct quorum_note *note);

/*
 * One event, borrowed for the call. '*ret_effects' is overwritten and to be started in order.
 * ERR_CONFLICT: the event has no rule in this state (late or duplicate); nothing has changed.
 * ERR_INVALID: the node in the event is no member.
 */
MUST_CHECK enum err_code promo_step(struct promo *promo, const struct promo_event *event,
                                    struct promo_effects *ret_effects, struct err *err);

/* True from the first promise on until DONE or FAILED: only forward. */
bool promo_is_beyond_return(const struct promo *promo);
bool promo_is_running(const struct promo *promo);
/*
 * Whether an answer is for the promotion that runs, and not for an earlier one: it was asked under
 * this number and for this epoch. The epoch alone does not tell: until a promotion has chosen its
 * own it has that of the one before, and two resumptions have the same. Who takes the OPENED of an
 * earlier one is primary of another epoch than its database (I1).
 */
bool promo_awaits(const struct promo *promo, uint64_t number, const struct epoch *epoch);
/* The latest epoch, promises included, that the members showed before they promised ours (I9). */
struct epoch promo_known_before(const struct promo *promo);

/* The whole matrix of states and events as text, one line each, refusals included. */
struct buf;
void promo_print_table(struct buf *into);
