/*
 * repl_attach.h -- makes this node a standby of a primary, whatever it was before.
 *
 *   drop other subscriptions -> where do our logs part? -> set the fork aside
 *     -> slot at the primary -> pull (or snapshot) up to its head -> subscribe -> it streams
 *
 *   I8  What only this node has is set aside before anything of the primary's is taken.
 *   The slot stands before the pull ends, so no row falls between the two; what comes twice is
 *   dropped by the gate. Slots of our own are dropped after a fork: what a forked log has decoded
 *   must never reach anybody.
 *   I4  Subscriptions to others are gone before the first row is pulled: it would come again from
 *   them, as one that is there already, and an earlier primary would count it as acknowledged.
 *   Rows of the primary's own epoch are no fork, whatever it sees itself: while a COMMIT waits for
 *   acknowledgements its standbys have the row, and its own queries do not.
 */
#pragma once

#include "replication/repl_port.h"
#include "sites/epoch.h"

#define REPL_ASK_MS         5000 /* one question to the primary */
#define REPL_SNAPSHOT_MS    60000
#define REPL_PAGE_ROWS      500
#define REPL_ROUNDS_MAX     12 /* of narrowing down where the logs part */
#define REPL_STREAM_POLL_MS 25
#define REPL_STREAM_MS      10000 /* until the subscription receives */
/* For sql_sub_attach, the one statement for which our server asks another. PostgreSQL 15 gives that
 * no end of its own: libpqrcv_connect() polls, and connect_timeout is not for who polls. */
#define REPL_SUBSCRIBE_MS 5000

/* Slug of an error: our own database takes itself for primary (BT009). Fence it, then again. */
#define REPL_ATTACH_PRIMARY "primary"

/* 'err' NULL: it streams. 'setaside' counts the rows that were set aside on the way, also when it
 * failed later. */
typedef void repl_attach_fn(void *data, const struct position *position, uint64_t setaside,
                            const struct err *err);

struct repl_attach;

/* Starts at once. 'port' is borrowed and outlives it. 'tls' names the client certificate files for
 * the conninfo, as the database's user sees them. 'done' is called once, then it is freed. */
struct repl_attach_tls {
    const char *ca;
    const char *certificate;
    const char *key;
    const char *login; /* what the certificate says: role baton_n_LOGIN */
};
struct repl_attach *repl_attach_start(const struct repl_port *port, const char *self,
                                      const char *primary, const struct epoch *epoch,
                                      const struct repl_attach_tls *tls, repl_attach_fn *done,
                                      void *data);
/*
 * For a promotion to 'epoch' that runs here: drop all our subscriptions, set aside what 'member'
 * has not, then pull up to revision 'until'. 'done' as above; nothing streams afterwards.
 */
struct repl_attach *repl_catch_up_start(const struct repl_port *port, const char *self,
                                        const char *member, const struct epoch *epoch,
                                        uint64_t until, repl_attach_fn *done, void *data);
/* 'done' will not be called. What a step has begun ends by itself; it can be repeated. */
void repl_attach_cancel(struct repl_attach *attach);

/*
 * The standing subscription of a switchover: to 'publisher', beside the one that is there; no
 * question of forks, for both are on one history. 'done' as above.
 */
struct repl_attach *repl_prepare_start(const struct repl_port *port, const char *self,
                                       const char *publisher, struct json_object *connection,
                                       const struct repl_attach_tls *tls, repl_attach_fn *done,
                                       void *data);
