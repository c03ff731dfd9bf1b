/*
 * events.h -- GET /v1/events: what happens, to all who listen.
 *
 *   tail (rows of the log), driver (roles, promotions, connectors) -> ring -> every stream
 *
 * An id is "REVISION-HASH-NUMBER-START": the revision shown and the beginning of its hash, the
 * number of the event, and which start of this batond it was. Who comes back with one gets what the
 * ring still has; from another start or another node, or after too long, the rows of the log and
 * then the present state of nodes and connectors; and "reset" when the log does not go on from
 * there. A revision alone is enough for the rows.
 *
 *   V1  A stream shows each row of the log at most once, in order, and none that is not committed.
 */
#pragma once

#include <stdint.h>

#define EVENTS_RING_MAX   1024
#define EVENTS_RESUME_MAX 1000 /* rows read from the log for one who comes back */
#define EVENTS_CHECK_S    5    /* how often it is asked whether a listener still may */

struct auth;
struct core;
struct events;
struct pq;

/* 'pq' is borrowed and closed before events_free(). */
struct events *events_new(struct core *core, struct pq *pq);
/* Ends all streams. */
void events_stop(struct events *events);
void events_free(struct events *events);

struct events_counters {
    uint64_t listeners_now;
    uint64_t events;
    uint64_t resumed;
    uint64_t resets;
};
struct events_counters events_counters(const struct events *events);
