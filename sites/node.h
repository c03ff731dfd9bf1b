/*
 * node.h -- what a node is: the one primary, a standby, or fenced. Pure: event in, effects out.
 *
 *   FENCED -a primary of an epoch we may follow is heard-> REJOINING -attached-> STANDBY
 *   FENCED -own epoch confirmed by the peers--------------> (resumption) CANDIDATE
 *   FENCED, STANDBY -order-> CANDIDATE -opened-> CLOSED -acknowledged-> PRIMARY
 *   PRIMARY -freeze-> DRAINING -captured-> FENCED,   DRAINING -thaw or deadline-> PRIMARY
 *   PRIMARY, CLOSED, DRAINING -a primary or rows of a later epoch are heard of, or one is promised
 *                              here-> FENCED
 *   CLOSED -members keep a later promise-> FENCED,   PRIMARY -the same-> (renewal) CANDIDATE
 *   PRIMARY -its lease was given back, and can be granted for a later epoch-> (renewal) CANDIDATE
 *   PRIMARY -the arbiter that is told of it keeps a later promise-> (renewal) CANDIDATE
 *
 *   I11 Every start is FENCED, and the node's own row proves nothing: a holder goes on under its
 *       epoch only when the peers that any capture would have met have promised nothing later.
 *       Where there is an arbiter, it has to grant that epoch, too, before the node goes on (WANT);
 *       one that was given back it grants no more, and the node takes a later one (renewal).
 *   I9  PRIMARY, CLOSED, DRAINING -the lease is lost-> FENCED: somebody else may act now.
 *   I11 FENCED is what the database says, too: what could have opened it is followed by a fence,
 *       again until one is confirmed. Nothing is attached, wanted or resumed before.
 *   I3  A node follows only a primary whose epoch is not earlier than its own promise.
 *   I12 A promotion ends what attaches here: that would drop the slots that the promotion makes.
 *   I8  Leaving FENCED towards STANDBY goes through REJOINING, which sets aside what only this node
 *       wrote.
 *   I14 A node follows only a primary whose schema is not newer than its own: rows of a newer one
 *       may not find their columns. So secondaries are upgraded first.
 */
#pragma once

#include "controller/base/err.h"
#include "sites/epoch.h"
#include "sites/quorum.h"

#define NODE_MEMBERS_MAX QUORUM_VOTERS_MAX
#define NODE_REASON_SIZE 192
#define NODE_EFFECTS_MAX 8

/* What a node says of itself; ages are the daemon's business. */
#define NODE_STATE_TABLE(X)                                                                        \
    X(FENCED)    /* may do nothing: every start, every doubt */                                    \
    X(REJOINING) /* setting aside, pulling, attaching */                                           \
    X(STANDBY)   /* follows the primary of 'following' */                                          \
    X(CANDIDATE) /* a promotion runs here */                                                       \
    X(CLOSED)    /* primary of its epoch, first row not yet acknowledged: writes wait */           \
    X(PRIMARY)   /* writes open */                                                                 \
    X(DRAINING)  /* primary, frozen for a switchover: writes are held */

enum node_state {
#define X(name) NODE_##name,
    NODE_STATE_TABLE(X)
#undef X
        NODE_STATE_COUNT
};
const char *node_state_name(enum node_state state);
/* False when it is no state's name. */
MUST_CHECK bool node_state_parse(const char *name, enum node_state *ret_state);

struct node_facts {
    char name[NODE_NAME_SIZE];
    char site[SITE_NAME_SIZE];
    enum node_state state;
    struct epoch epoch;    /* the last one that it held or holds */
    struct epoch promised; /* refuses everything earlier */
    struct position applied;
    unsigned schema;                /* newest migration in its database */
    bool streaming;                 /* a standby: its subscription receives */
    char following[NODE_NAME_SIZE]; /* a standby: from whom; "" for nobody */
};
#define NODE_EVENT_TABLE(X)                                                                        \
    X(START)    /* our database answers: 'facts' are our own row */                                \
    X(LOST)     /* our database is gone; 'ok': it answers, and must not be used */                 \
    X(HEARD)    /* a peer's facts */                                                               \
    X(TICK)     /* time has passed */                                                              \
    X(CAPTURED) /* our row now promises 'epoch' to somebody else, durably; 'ok': a promotion of    \
                   ours to a later epoch goes on all the same */                                   \
    X(FREEZE)   /* the candidate of 'epoch' asks us to stop taking writes */                       \
    X(THAW)     /* it backs out, or is gone: nobody has to wait for it, for a capture meets us     \
                   frozen or not */                                                                \
    X(FENCED)   /* our database took FENCE_DATABASE, or not ok: it may still write. One answer     \
                   for each, in their order; not ok also when its row says that it is primary */   \
    X(FROZEN)   /* our database took FREEZE_DATABASE, or not ok: it still writes */                \
    X(REOPENED) /* our database took THAW_DATABASE, or not ok */                                   \
    X(BEGIN)    /* a promotion starts here */                                                      \
    X(OPENED)   /* our database holds the new 'epoch' */                                           \
    X(ACKED)    /* its first row is acknowledged */                                                \
    X(FAILED)   /* the promotion ended; 'beyond': after its first promise */                       \
    X(ATTACHED) /* REJOINING is done, or not ok; 'is_primary': our own database refused it */      \
    X(LAPSED)   /* the lease is lost: 'text' says how */                                           \
    X(STREAM)   /* our subscription receives (ok) or does not */

enum node_event_kind {
#define X(name) NODE_EV_##name,
    NODE_EVENT_TABLE(X)
#undef X
        NODE_EV_COUNT
};
const char *node_event_name(enum node_event_kind kind);

#define NODE_EFFECT_TABLE(X)                                                                       \
    X(FENCE_DATABASE)  /* is_primary = false, after all that it was asked before, and at once;     \
                          answer FENCED */                                                         \
    X(FREEZE_DATABASE) /* stop local writes; answer the candidate with the last position, and      \
                          FROZEN */                                                                \
    X(THAW_DATABASE)   /* open again under the same epoch; answer REOPENED */                      \
    X(WRITES_OPEN)                                                                                 \
    X(WRITES_HOLD)  /* keep what arrives for the next primary */                                   \
    X(WRITES_CLOSE) /* refuse what arrives, saying why */                                          \
    X(ATTACH)       /* to 'node' of 'epoch': set aside, pull, subscribe; answer ATTACHED */        \
    X(ATTACH_END)   /* what is under way of that takes no further step; no answer */               \
    X(DEACTIVATE)   /* nothing on the outside is ours any more */                                  \
    X(RESUME)       /* start a promotion of kind resumption */                                     \
    X(RENEW)        /* start a promotion of kind renewal */                                        \
    X(WANT)         /* ask the arbiter for 'epoch', ours: node_note_lease() when it is granted */  \
    X(ALARM)        /* TICK at 'at_ms' */

enum node_effect_kind {
#define X(name) NODE_DO_##name,
    NODE_EFFECT_TABLE(X)
#undef X
        NODE_DO_COUNT
};
const char *node_effect_name(enum node_effect_kind kind);

struct node_limits {
    uint64_t fresh_ms;     /* what was heard longer ago than this is not known any more */
    uint64_t retry_ms;     /* between two attempts to attach */
    uint64_t freeze_ms;    /* a frozen primary reopens by itself after this */
    uint64_t challenge_ms; /* a primary renews when peers hold a later promise for this long, and
                              one that is not acknowledged yet gives up */
    uint64_t stream_ms;    /* a standby that receives nothing for this long attaches anew */
};

struct node_peer {
    char name[NODE_NAME_SIZE];
    bool heard;
    uint64_t heard_ms;
    struct node_facts facts;
};

struct node {
    char self[NODE_NAME_SIZE];
    struct node_limits limits;
    enum node_state state;
    enum node_state before; /* CANDIDATE: where a promotion that changed nothing goes back to */
    struct node_facts own;
    struct quorum_record record;
    struct node_peer peers[NODE_MEMBERS_MAX]; /* the other members */
    size_t peer_count;
    bool database;        /* our database answers */
    bool leased;          /* an arbiter grants epochs */
    struct epoch granted; /* by it, to us; number 0 for none */
    bool released;        /* our epoch was given back: only a later one is granted */
    struct epoch
        arbiter_promised; /* the latest that the arbiter has promised; number 0: it is not heard */
    char following[NODE_NAME_SIZE]; /* REJOINING, STANDBY */
    struct epoch following_epoch;
    struct epoch freeze_epoch;     /* DRAINING: asked for by */
    bool freezing;                 /* DRAINING: FROZEN is to come */
    bool thawing;                  /* DRAINING: REOPENED is to come */
    bool thaw_wanted;              /* DRAINING: as soon as FROZEN has come */
    unsigned fencing;              /* so many FENCED are to come */
    bool unfenced;                 /* the last fence failed */
    uint64_t deadline_ms;          /* REJOINING: next try; DRAINING: reopen; 0 for none */
    uint64_t challenged_ms;        /* CLOSED, PRIMARY: since when; 0 for not */
    uint64_t silent_ms;            /* STANDBY: since when nothing is received; 0 for not */
    uint64_t since_ms;             /* when the state was entered */
    char reason[NODE_REASON_SIZE]; /* why it is in this state, for people */
};

struct node_event {
    enum node_event_kind kind;
    uint64_t now_ms;
    const struct node_facts *facts;     /* START, HEARD */
    const struct quorum_record *record; /* any; NULL when it has not changed */
    struct epoch epoch;                 /* CAPTURED, FREEZE, THAW, OPENED */
    struct position position;           /* ATTACHED, OPENED: our own now */
    const char *text; /* LOST, FAILED, LAPSED, ATTACHED and FENCED not ok: the cause; may be NULL */
    bool ok;
    bool beyond;     /* FAILED */
    bool is_primary; /* ATTACHED not ok: our database takes itself for primary */
};

struct node_effect {
    enum node_effect_kind kind;
    char node[NODE_NAME_SIZE];
    struct epoch epoch;
    uint64_t at_ms;
};

struct node_effects {
    size_t count;
    struct node_effect list[NODE_EFFECTS_MAX];
};

void node_init(struct node *node, const char *self, const struct node_limits *limits);

/* The other members; what was heard from those that stay is kept. At most NODE_MEMBERS_MAX. */
void node_set_peers(struct node *node, const char *const *names, size_t count);

/*
 * What our own row has come to between two steps: rows that arrived, a promise to ourselves; either
 * may be NULL. A row raises the promise to its epoch, as the gate of the database does, so that we
 * never go back to the primary of an earlier one (I3).
 */
void node_note(struct node *node, const struct position *applied, const struct epoch *promised);

/* Whether there is an arbiter, and the epoch under which it lets us go on; NULL for none. */
void node_note_lease(struct node *node, bool leased, const struct epoch *granted);
/* What the arbiter has promised a candidate: it takes no word of an earlier epoch any more, so a
 * primary that may have to tell it something takes a later epoch when nobody else does. NULL: it is
 * not heard. */
void node_note_arbiter(struct node *node, const struct epoch *promised);
/* What was wanted of it was given back: a FENCED node that could go on takes a later epoch. */
void node_note_released(struct node *node, bool released);

/* ERR_CONFLICT: no rule for the event in this state; nothing has changed. */
MUST_CHECK enum err_code node_step(struct node *node, const struct node_event *event,
                                   struct node_effects *ret_effects, struct err *err);

/* The peer that this node would follow now, or NULL: the newest primary heard of lately whose
 * epoch is neither before our promise nor before our own. Borrowed until the next step. */
const struct node_peer *node_find_primary(const struct node *node, uint64_t now_ms);

/* As far as this member was heard of: is its schema none that we could not follow (I14)? */
bool node_may_follow(const struct node *node, const char *name);

/* Whether who was promoted to 'epoch' has taken our place, so that lease and connector servers are
 * his to ask for. Not when we are primary of that epoch or of a later one, acknowledged or not: he
 * was overtaken, and his word came late. */
bool node_is_succeeded(const struct node *node, const struct epoch *epoch);

/* The matrix of states and events as text, one line each, refusals included. */
struct buf;
void node_print_table(struct buf *into);
