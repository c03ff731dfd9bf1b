/*
 * tail.h -- follows this node's own shared.log: on NOTIFY baton_log, and on a slow timer, it reads
 * the new rows in pages and feeds the cache and those who listen.
 *
 *   T1  Rows are delivered in order of revision, each once, after they are committed here.
 *   T2  Before it goes on after revision N it proves that row N is still the same row (its hash);
 *       when it is not (a tail was set aside, a snapshot was loaded) all is loaded anew and
 *       listeners hear 'reloaded' instead of rows.
 */
#pragma once

#include <ev.h>

#include "controller/base/err.h"
#include "controller/base/list.h"
#include "controller/daemon/cache.h"

#define TAIL_PAGE_ROWS 500
#define TAIL_LOOK_MS   5000 /* how often it looks without being told */

/* One row of shared.log, borrowed for the call. */
struct tail_row {
    uint64_t revision;
    uint64_t epoch;
    const char *holder;
    uint64_t txn; /* first revision of its transaction */
    const char *site;
    const char *key;
    const char *text; /* NULL: a deletion */
    const char *author;
    const char *at;     /* "2026-11-22T05:41:03.123Z" */
    const char *reason; /* may be NULL */
};

struct tail_listener {
    struct list node; /* private */
    /* Each may be NULL. 'row': one new row, the cache shows it already. 'applied': after a page;
     * the position is the cache's. 'reloaded': the cache was loaded anew (the first load too). */
    void (*row)(struct tail_listener *listener, const struct tail_row *row);
    void (*applied)(struct tail_listener *listener, const struct cache_position *position);
    void (*reloaded)(struct tail_listener *listener, const struct cache_position *position);
    /* The local settings were read: the cache shows them. */
    void (*local_read)(struct tail_listener *listener);
};

struct tail;

/* Connects by itself and again when lost. 'cache' is borrowed and must outlive the tail. */
MUST_CHECK enum err_code tail_new(struct ev_loop *loop, const char *conninfo, struct cache *cache,
                                  struct tail **ret_tail, struct err *err);
void tail_free(struct tail *tail);
void tail_listen(struct tail *tail, struct tail_listener *listener);
void tail_unlisten(struct tail_listener *listener);
/* Looks now, without waiting for NOTIFY or the timer. */
void tail_poke(struct tail *tail);
/* Loads the local settings anew (after one was written). The answer is the number of the reading
 * that shows it, see tail_local_read(). */
uint64_t tail_poke_local(struct tail *tail);
/* The number of the last reading that ended. */
uint64_t tail_local_read(const struct tail *tail);
/* Our database was started anew. */
void tail_reconnect(struct tail *tail);
bool tail_connected(const struct tail *tail);
