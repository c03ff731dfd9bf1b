/*
 * agent.h -- `baton agent`: stands beside one instance of a connector, checks it, and says to every
 * node of the cluster that it is there. A process of its own with one loop; it holds no state on
 * disk.
 *
 *   health URL --GET--> healthy?  --POST /v1/agent/beat--> every node it knows --> their list
 *                          |                                                         of nodes
 *                          '--> GET /healthz of its own (A8)
 *
 *   T1  Its session is its own: drawn at the start, said to all nodes alike, so a promotion ends
 *       nothing. A new one is drawn when no node has answered for instance.silence_ms, for then it
 *       has ended everywhere.
 *   T2  A node is believed when its chain holds the CA of the token (contact.h), from then on by
 *       TLS as usual. Who cannot be reached or refuses is asked again, with growing pauses and
 *       jitter, for ever (A10).
 *   T3  /healthz tells of the connector alone: that no node answers is no reason to restart one
 *       that works.
 */
#pragma once

#include <json-c/json.h>
#include <stddef.h>

#include "controller/base/err.h"

#define AGENT_LISTEN            "0.0.0.0:8080" /* A8 */
#define AGENT_HEALTH_TIMEOUT_MS 5000           /* A8 */
#define AGENT_HEALTH_TRIES      3              /* A8: so many in a row, before it counts as down */
#define AGENT_HEALTH_RETRY_MS   1000
#define AGENT_BEAT_TIMEOUT_MS   5000
#define AGENT_AGAIN_MS          500 /* first pause after a failure; doubles */
#define AGENT_REFUSED_MS_MAX    30000
#define AGENT_LEAVE_MS          2000 /* how long the end may wait for the nodes */

/* All borrowed while it runs. */
struct agent_options {
    const char *connector;    /* must be that of the token */
    const char *token;        /* as `baton connector token create` printed it */
    const char *instance;     /* its name; unique among those of the connector */
    const char *version;      /* of the connector */
    const char *address;      /* where it takes requests (sites/spread.h); NULL: it takes none */
    const char *listen;       /* ADDR:PORT of /healthz */
    const char *health;       /* URL, http or https */
    const char *health_ca;    /* file; NULL: the CAs of the operating system */
    const char *const *nodes; /* HOST:PORT, beside those of the token */
    size_t node_count;
    struct json_object *metadata; /* free fields of the session, or NULL */
};

/* Until SIGTERM or SIGINT, which end the session at once. ERR_INVALID: an option or the token;
 * ERR_UNAVAILABLE: it cannot listen. */
MUST_CHECK enum err_code agent_run(const struct agent_options *options, struct err *err);
