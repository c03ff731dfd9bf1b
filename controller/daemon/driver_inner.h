/*
 * driver_inner.h -- what the files of the driver share; nobody else includes it.
 *
 *   driver.c           the queue of events, the steps, our own database
 *   driver_effects.c   carries out effects of node and promo
 *   driver_peers.c     asks the other members, keeps their last answers
 *   driver_serve.c     answers the other members
 *   driver_order.c     orders of people, and the record of a promotion
 *   driver_note.c      what the arbiter is told and asked beside the lease
 *   driver_set.c       the sync set: who acknowledges, and what follows when too few do
 *   driver_sync.c      once a second: member roles, idle slots, digests, pruning
 *   driver_lease.c     carries out effects of lease
 *   driver_bar.c       names to the witness who was removed
 *   driver_arbiter.c   changes and tests the arbiter
 *   driver_takeover.c  sees whether the primary is gone, and takes over
 *   driver_all.c       one question to every member
 */
#pragma once

#include <ev.h>
#include <libpq-fe.h>

#include "controller/arbiter/arbiter.h"
#include "controller/base/list.h"
#include "controller/daemon/cache.h"
#include "controller/daemon/core.h"
#include "controller/daemon/driver.h"
#include "controller/daemon/tail.h"
#include "controller/daemon/writer.h"
#include "controller/loop/cert.h"
#include "controller/loop/fetch.h"
#include "replication/repl_arm.h"
#include "replication/repl_attach.h"
#include "sites/degrade.h"
#include "sites/lease.h"
#include "sites/takeover.h"

#define DRIVER_QUEUE_MAX      256
#define DRIVER_ADDRESS_SIZE   300
#define DRIVER_TEXT_SIZE      256
#define DRIVER_ID_SIZE        (NODE_NAME_SIZE + 20)
#define DRIVER_WHO_SIZE       128
#define DRIVER_FAST_POLL_MS   200 /* between looks at the peers while we are fenced or frozen */
#define DRIVER_DRAIN_POLL_MS  1
#define DRIVER_FOLLOWER_CALLS 8

enum driver_digest { DRIVER_DIGEST_UNKNOWN, DRIVER_DIGEST_SAME, DRIVER_DIGEST_DIFFERENT };

struct driver_peer {
    char name[NODE_NAME_SIZE];
    char site[SITE_NAME_SIZE];
    char address[DRIVER_ADDRESS_SIZE];
    char login[CERT_NAME_SIZE]; /* "" while its row is not known here */
    struct driver *driver;      /* borrowed */
    struct fetch *poll;         /* in flight, or NULL */
    uint64_t asked_ms;
    uint64_t heard_ms;            /* last good answer; 0 for never */
    char error[DRIVER_TEXT_SIZE]; /* of the last try; "" when it was good */
    struct json_object *document; /* owned; the last good answer */
    struct node_facts facts;      /* of it */
    uint64_t claims_ms;           /* since when it says that it is primary of that epoch; 0: not */
    enum driver_digest digest;    /* its head hash against ours at that revision */
    uint64_t digest_ms;
    struct takeover_path https; /* as we see it */
    /* what it says about taking over */
    bool able;
    unsigned priority;
    uint64_t check_interval_ms; /* what it goes by; 0: it did not tell */
    uint64_t check_own_ms;      /* its local setting; 0: the cluster's holds there */
    uint64_t takeover_delay_ms;
    char primary[NODE_NAME_SIZE]; /* whom it looks at */
    struct takeover_sight sight;  /* and how it sees him */
};

/* What asks others by itself, for a person: when the driver stops, it ends at once. */
struct driver_task {
    struct list node;                                              /* in driver->tasks */
    void (*stop)(struct driver_task *task, const struct err *err); /* frees it; answers */
};

/* An event with everything that it borrows. */
struct driver_queued {
    bool to_promo;
    struct node_event node;
    struct promo_event promo;
    struct node_facts facts;
    struct quorum_record record;
    struct quorum_note note;
    struct promo_order order;
    char name[NODE_NAME_SIZE];
    char text[PROMO_TEXT_SIZE];
};

struct driver {
    struct core *core; /* borrowed */
    struct node node;
    struct promo promo;
    bool running;                /* between driver_start() and driver_stop() */
    bool stepping;               /* a step is under way: events wait in the queue */
    struct driver_queued *queue; /* owned; DRIVER_QUEUE_MAX */
    size_t queue_first;
    size_t queue_count;
    uint64_t generation;
    driver_event *listener;
    void *listener_data;

    struct driver_peer peers[NODE_MEMBERS_MAX];
    size_t peer_count;
    uint64_t members_generation; /* grows when the members are read anew */
    struct tail_listener tail;

    ev_timer poll; /* asks the peers */
    ev_timer node_alarm;
    ev_timer promo_alarm;
    ev_timer drain;  /* looks at our position while draining */
    ev_timer upkeep; /* the sync set, roles, slots: once a second */

    struct repl_port port;
    struct repl_attach *attach;  /* REJOINING */
    bool attach_waits;           /* to begin, until no fence is under way */
    unsigned fences;             /* of our database, under way */
    struct repl_attach *prepare; /* the standing subscription of a switchover being made */
    struct serve *preparing;     /* whose request waits for it */
    struct repl_attach *pull;    /* a promotion catches up */
    struct repl_arm *arm;
    bool detach_wanted;

    unsigned silent_seconds; /* without an answer of our database to the upkeep */
    bool database_asked;
    bool may_act; /* effects on the outside are ours, as far as promotions go */

    struct lease lease;
    bool lease_loaded;    /* what it kept over the restart was read */
    bool leased;          /* effects on the outside are ours, as far as the lease goes */
    uint64_t gate_ms;     /* our database takes writes until then; 0: no end */
    bool gate_none;       /* it has said that it has no end */
    bool changes_arbiter; /* a change is under way */
    uint64_t arbiter_revision;
    enum arbiter_kind arbiter_kind;
    struct arbiter *arbiter;         /* owned; NULL without */
    struct arbiter_call *lease_call; /* under way, or NULL */
    struct arbiter_call *bar_call;   /* under way, or NULL */
    struct json_object *barring;     /* owned; what it says, or NULL */
    struct json_object *barred;      /* owned; all that the witness has from us, or NULL */
    uint64_t bar_revision;           /* up to which it was told all; 0: nothing yet */
    void *lease_question;            /* owned; of it */
    ev_timer lease_alarm;
    ev_timer give_up; /* asks again that nothing of ours acts */
    ev_check turn;
    struct serve *released_for; /* a deactivation that waits until the lease is given back */

    struct driver_counters counters;
    struct list tasks;
    struct takeover takeover;     /* the last verdict */
    char primary[NODE_NAME_SIZE]; /* the last one heard of */
    char primary_site[SITE_NAME_SIZE];
    uint64_t primary_ms;           /* when it last answered as such */
    uint64_t claims_ms;            /* since when we are primary; 0: not */
    struct takeover_path postgres; /* of the primary's database, as we see it */
    struct knock *knocks[2];       /* at its HTTPS and at its database; NULL: none under way */
    uint64_t knock_ms[2];          /* when each began */
    bool rehearses;                /* the sessions that a switchover will ask are to be warmed up */
    bool stood_by;        /* was a standby, with no primacy and no loss of the database since */
    bool suspects;        /* the primary does not answer: everybody is asked often */
    uint64_t suspects_ms; /* since when */
    uint64_t takeover_ms; /* not before; 0: at any time */
    ev_timer suspicion;

    struct quorum_set names; /* synchronous_standby_names that was read back for this epoch */
    bool names_known;
    uint64_t acked_revision; /* newest of our own rows that was acknowledged in this epoch */
    struct repl_names server_names;
    /* what the arbiter has beside the lease */
    bool note_known;
    struct quorum_note note;
    uint64_t note_ms; /* when it was told last */
    struct epoch arbiter_promised;
    struct arbiter_call *note_call; /* that tells it one, under way, or NULL */
    struct driver_inquiry *inquiry; /* owned; of the promotion, under way, or NULL */
    bool set_writing;               /* a row of the sync set is being written ... */
    uint64_t writing_arbiter;       /* ... that names this arbiter */
    uint64_t recorded;              /* the newest note that one of them knows of */
    struct quorum_set acking;       /* members that have all we had flushed a while ago */
    uint64_t waited_ms;             /* the COMMIT that waits longest for them; 0: none */
    uint64_t flushed;               /* how far our log was flushed, in bytes ... */
    uint64_t flushed_ms;            /* ... then; 0: not known */
    uint64_t mark;                  /* the same at the look before */
    bool mark_known;
    char obstacle[DEGRADE_TEXT_SIZE]; /* why they go on waiting; "": they need not */
    ev_timer set_again;
    uint64_t upkeep_count;
    size_t roles_count; /* members and this one when the roles were made; 0 for never */
    unsigned stray_seconds;
    uint64_t roles_generation;
    uint64_t streaming_ms; /* when our subscription was last seen running */
    bool streaming;
    struct json_object *alarms;   /* owned; those that last, see driver_alarms.c */
    uint64_t setaside_kept;       /* rows here that nobody has decided on */
    int certificate_days;         /* left of our certificate; -1 when not known */
    struct json_object *standbys; /* owned; rows of pg_stat_replication, or NULL */

    /* the promotion that runs or ran last here */
    char id[DRIVER_ID_SIZE];
    char who[DRIVER_WHO_SIZE];
    char why[PROMO_TEXT_SIZE];
    driver_answer *dry_done; /* waits for the plan of a dry run */
    void *dry_data;
    int64_t began_wall_ms;
    uint64_t began_ms;
    uint64_t lost_rows; /* set aside by the last return of this node */

    struct http_request *frozen_for; /* the candidate's freeze, waiting for its answer */
};

/* ---- driver.c ---- */

/* Copies the event with all it borrows; it is stepped when no other step is under way. */
void driver_post_node(struct driver *driver, const struct node_event *event);
void driver_post_promo(struct driver *driver, const struct promo_event *event);
void driver_touch(struct driver *driver);
/* Tells acting.h what we are and whether we may act. */
void driver_act(struct driver *driver);
void driver_emit(struct driver *driver, const char *kind, struct json_object *document);
/* The record of the sync set in our log: from the cache; all members and k = 0 when none is there.
 */
void driver_record(const struct driver *driver, struct quorum_record *ret);
/* That, or the arbiter's note where it is later. */
void driver_record_in_force(const struct driver *driver, struct quorum_record *ret);
struct node_facts driver_own_facts(const struct driver *driver);
/* Of a capture: the promise that the new one took the place of. */
MUST_CHECK bool driver_read_before(const PGresult *result, struct epoch *ret_before);
struct promo_limits driver_promo_limits(const struct driver *driver);

/* ---- driver_effects.c ---- */

void driver_do_node(struct driver *driver, const struct node_effect *effect);
void driver_do_promo(struct driver *driver, const struct promo_effect *effect);
void driver_start_promo(struct driver *driver, const struct promo_order *order, const char *who,
                        const char *why);
void driver_drain_look(struct driver *driver);

/* ---- driver_peers.c ---- */

/* An answer or a message of it, read already. */
void driver_peer_said(struct driver_peer *peer, const struct node_facts *facts,
                      struct json_object *document);
struct driver_peer *driver_peer(struct driver *driver, const char *name);
/* Reads the members from the cache, or from node.json before it is loaded. */
void driver_read_members(struct driver *driver);
/* Asks them so often as one who waits for them, from now on. */
void driver_poll_soon(struct driver *driver);
void driver_poll_peers(struct driver *driver);
/* One request to a member below /v1/peer; 'body' NULL is a GET; 'done' once. */
void driver_ask(struct driver *driver, const char *name, const char *path, struct json_object *body,
                unsigned timeout_ms, repl_reply_fn *done, void *context);
/* Owned by the caller. */
struct json_object *driver_state_json(struct driver *driver);
void driver_peers_done(struct driver *driver);

/* ---- driver_all.c ---- */

struct driver_question {
    const char *only; /* the one member that is asked; NULL: all of them */
    const char *path;
    struct json_object *body; /* borrowed; NULL is a GET */
    unsigned timeout_ms;
    /* our own answer: 'done' once, perhaps from inside */
    void (*self)(struct driver *driver, struct json_object *body, repl_reply_fn *done,
                 void *context);
};
/* 'done' once, with {"nodes":[{"node","site","error","answer"}]}, and never with an error. */
void driver_ask_all(struct driver *driver, const struct driver_question *question,
                    driver_answer *done, void *data);

/* ---- driver_arbiter.c ---- */

/* Opens the one of 'value', or the one in force (NULL). ERR_INVALID: nothing can be asked by it;
 * ERR_CONFLICT (no_arbiter). */
MUST_CHECK enum err_code driver_open_arbiter(struct driver *driver, struct json_object *value,
                                             struct arbiter **ret, struct err *err);
/* Asks the arbiter that the document names, or the one in force, from here: of the shape of
 * driver_test_members. */
void driver_test_arbiter_here(struct driver *driver, struct json_object *document,
                              repl_reply_fn *done, void *context);

/* ---- driver_order.c ---- */

/* "west-1.5f3a90c2", for the promotion that begins here now. */
void driver_new_id(struct driver *driver);
struct json_object *driver_promo_json(const struct driver *driver);
void driver_promo_finished(struct driver *driver);

/* ---- driver_sync.c ---- */

/* The members' roles in our database, when they are not those of before. */
void driver_sync_roles(struct driver *driver);
void driver_upkeep(struct driver *driver);
/* A COMMIT waits for longer than usual. 'data' is the driver. */
void driver_wake_standbys(void *data);
void driver_load_key_rules(struct driver *driver);

/* ---- driver_set.c ---- */

void driver_set_start(struct driver *driver);
void driver_set_stop(struct driver *driver);
/* Of a primary: asks our database who receives and who waits, and takes the next step. */
void driver_set_look(struct driver *driver);
/* The record, a setting of durability or the members have changed: look at once. */
void driver_set_changed(struct driver *driver);
/* What an arbiter that is chosen now has to know. */
struct quorum_note driver_set_note(const struct driver *driver);
/* A note is on its way to the arbiter, or was told and is not yet in our log. */
bool driver_set_is_telling(const struct driver *driver);

/* ---- driver_lease.c ---- */

void driver_lease_start(struct driver *driver);
void driver_lease_stop(struct driver *driver);
/* Once our database answers: what was kept over the restart. */
void driver_lease_load(struct driver *driver);
/* The key "arbiter", a time of the lease, or the members may have changed. */
void driver_lease_configure(struct driver *driver);
void driver_lease_members(struct driver *driver);
/* A holder that was fenced asks to go on under 'epoch'. */
void driver_want_lease(struct driver *driver, const struct epoch *epoch);
/* Our database holds 'epoch'; 'before' is the latest that was known here before we promised it. */
void driver_lease_opened(struct driver *driver, const struct epoch *epoch,
                         const struct epoch *before);
/* We are primary no more: our database is fenced, or promised to another. */
void driver_lease_close(struct driver *driver);
/* Nothing of ours acts on the outside any more. */
void driver_lease_stopped(struct driver *driver);
/* It is to be given back, and is not yet: driver_released() is called when it is. */
bool driver_lease_is_releasing(const struct driver *driver);
/* The holder of 'epoch' was allowed to act under it, and acts no more. */
void driver_lease_proved(struct driver *driver, const struct epoch *epoch);
/* We follow 'node', who may act on that for 'lease_ms'. False: we do not, or act ourselves. */
MUST_CHECK bool driver_lease_give_word(struct driver *driver, const char *node,
                                       const struct epoch *epoch, uint64_t lease_ms);
/* The arbiter is about to be changed: nothing is asked until driver_lease_configure(). */
void driver_lease_hold(struct driver *driver);
/* Once a second. */
void driver_lease_upkeep(struct driver *driver);
/* The end of writes as the lease sees it, told to our database. */
void driver_gate_database(struct driver *driver);
/* "lease" of the state that members tell each other: {"state","alarm","trouble","left_ms"}; the
 * caller's. */
struct json_object *driver_lease_news(const struct driver *driver);

/* ---- driver_note.c ---- */

/* Any answer of the arbiter. */
void driver_note_heard(struct driver *driver, const struct arbiter_reply *reply);
/* What it was told last by a primary, as far as is known here; NULL: nothing is known. */
const struct quorum_note *driver_note(const struct driver *driver);
/* Tells it ours; 'done' once, unless it is closed before. NULL: there is nobody to tell. */
struct arbiter_call *driver_note_tell(struct driver *driver, const struct quorum_note *note,
                                      arbiter_done_fn *done);
/* A promotion asks it; the answer is an event of the promotion. */
void driver_note_inquire(struct driver *driver, const struct promo_effect *effect);
/* Another arbiter, or the end: nothing is known, and nothing under way any more. */
void driver_note_stop(struct driver *driver);
/* To be asked now and then. */
void driver_bar_look(struct driver *driver);
void driver_bar_stop(struct driver *driver);

/* ---- driver_effects.c, driver_serve.c ---- */

/* Answers what members still wait for here. */
void driver_serve_stop(struct driver *driver);

void driver_fence_database(struct driver *driver);
void driver_released(struct driver *driver);

/* ---- driver_alarms.c ---- */

/* Once a second: tells what has begun and what is over. */
void driver_alarms_look(struct driver *driver);

/* ---- driver_takeover.c ---- */

void driver_takeover_start(struct driver *driver);
void driver_takeover_stop(struct driver *driver);
/* A question to the peer was answered, or not ('err'). */
void driver_takeover_heard(struct driver *driver, struct driver_peer *peer, uint64_t asked_ms,
                           const struct err *err);
/* Another member has no answer of the primary 'name': look for ourselves, at once. */
void driver_takeover_suspect(struct driver *driver, const char *name);
/* Decides anew, and begins when the decision is to begin. */
void driver_takeover_look(struct driver *driver);
/* The node's state, after an event of that kind. */
void driver_takeover_state(struct driver *driver, enum node_event_kind after);
/* "takeover" of the state that members tell each other; the caller's. */
struct json_object *driver_takeover_json(struct driver *driver);
/* Reads that of a peer; what is missing is not known. */
void driver_takeover_read(struct driver_peer *peer, struct json_object *document);
