/*
 * keeper.h -- the small process that batond runs under: it starts batond's own process, and
 * outlives it.
 *
 *   * A batond that was killed or crashed is started again at once, fenced as at each start (I11).
 *   * I9: what may act on the outside only until a deadline is killed when that has passed and it
 * has not given up itself: a loop that is stuck, a process that was stopped. SIGKILL ends both.
 *   * It ends with its keeper, and so do the programs and the PostgreSQL that it started.
 *   * The lease of one that died is released when no other one can go on with it: it is not started
 *     again, or waits to be, or cannot start its database. First all that it started has ended: the
 *     keeper inherits what a child leaves behind, so it has no child then but the present daemon. A
 *     process of its own asks the arbiter; what is late does no harm, for it names its grant (A6).
 *
 * The keeper has no loop, no connection and no decision: nothing in it can be stuck.
 */
#pragma once

#include <stdint.h>

#include "sites/epoch.h"

#define KEEPER_ARBITER_SIZE   65536
#define KEEPER_RELEASE_MS     3000  /* for the arbiter to answer */
#define KEEPER_LEFT_BEHIND_MS 10000 /* for what a daemon leaves behind, when none follows it */

/* What is released for a daemon that died. */
struct keeper_will {
    struct epoch epoch;
    struct epoch known; /* the latest that the arbiter showed */
    uint64_t grant;     /* 0: nothing */
};

/* The daemon itself; what it returns is the exit code. */
typedef int keeper_work(void *data);

/* In a process of its own, ended after KEEPER_RELEASE_MS: tells the arbiter, whose description is
 * 'arbiter'. What it returns is 0 when that was done. */
typedef int keeper_release(void *data, const struct keeper_will *will, const char *arbiter);

/*
 * Forks, and returns in the keeper once the work has ended for good, with its exit code. Signals
 * TERM, INT, HUP and USR1 are passed on; after TERM or INT nothing is started again. A daemon that
 * ends by itself, with whatever code, is not started again either: it has said why.
 */
int keeper_run(keeper_work *work, keeper_release *release, void *data);

/*
 * In the daemon: it is killed unless this is called again before 'deadline_ms' (clock_now_ms()); 0:
 * no deadline. Does nothing without a keeper.
 */
void keeper_deadline(uint64_t deadline_ms);

/* In the daemon: where a will is to be told; a longer one than KEEPER_ARBITER_SIZE is none. NULL:
 * nowhere. */
void keeper_arbiter(const char *document);

/* In the daemon, before it may act: what is to be released if it dies. NULL: nothing. What a daemon
 * before it left is forgotten. */
void keeper_will(const struct keeper_will *will);

/* In the daemon: its database does not start, so it cannot go on with what one before it held. */
void keeper_despair(void);
