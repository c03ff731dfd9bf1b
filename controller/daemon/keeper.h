/*
 * keeper.h -- the small process that batond runs under: it starts batond's own process, and
 * outlives it.
 *
 *   * A batond that was killed or crashed is started again at once, fenced as at each start (I11).
 *   * I9: what may act on the outside only until a deadline is killed when that has passed and it
 * has not given up itself: a loop that is stuck, a process that was stopped. SIGKILL ends both.
 *   * It ends with its keeper, and so do the programs and the PostgreSQL that it started.
 *
 * The keeper has no loop, no connection and no decision: nothing in it can be stuck.
 */
#pragma once

#include <stdint.h>

/* The daemon itself; what it returns is the exit code. */
typedef int keeper_work(void *data);

/*
 * Forks, and returns in the keeper once the work has ended for good, with its exit code. Signals
 * TERM, INT, HUP and USR1 are passed on; after TERM or INT nothing is started again. A daemon that
 * ends by itself, with whatever code, is not started again either: it has said why.
 */
int keeper_run(keeper_work *work, void *data);

/*
 * In the daemon: it is killed unless this is called again before 'deadline_ms' (clock_now_ms()); 0:
 * no deadline. Does nothing without a keeper.
 */
void keeper_deadline(uint64_t deadline_ms);
