/*
 * fresh.h -- a node shows what was written through it.
 *
 * A write is answered as soon as it is acknowledged, and the cache reads the row a moment later: on
 * the primary and of a local setting after a millisecond, on another node when the row has arrived
 * there. A read that comes in between waits for that, so that who writes and then reads, on one
 * node, sees the write.
 *
 *   F1  No waiter goes on before the cache shows every write that was noted here, unless
 *       FRESH_WAIT_MS have passed or a later epoch made the note worthless.
 *   F2  Who waited in vain was the only one: until the next write, nobody waits any more.
 *   F3  Every waiter goes on exactly once, never from inside fresh_wait().
 */
#pragma once

#include <stdbool.h>

#include "controller/base/list.h"
#include "controller/daemon/writer.h"

#define FRESH_WAIT_MS 1000

struct core;
struct fresh;

struct fresh_waiter {
    struct list node; /* private */
    void (*go_on)(struct fresh_waiter *waiter);
};

/* Needs core->{loop, cache, tail}. */
struct fresh *fresh_new(struct core *core);
/* Lets all go on. */
void fresh_stop(struct fresh *fresh);
void fresh_free(struct fresh *fresh);

/* A write was acknowledged. */
void fresh_note(struct fresh *fresh, const struct writer_result *result);
/* One of this node's own settings was written: they are read anew. */
void fresh_note_local(struct fresh *fresh);
/* False: there is nothing to wait for, and 'waiter' was not taken. */
MUST_CHECK bool fresh_wait(struct fresh *fresh, struct fresh_waiter *waiter);
